/* SPDX-License-Identifier: MIT */
/* list - a circular doubly linked list; an element that is in no list points at itself */
#ifndef LAMINA_LIST_H
#define LAMINA_LIST_H

#include <stddef.h>

struct lam_list {
	struct lam_list *prev;
	struct lam_list *next;
};

#define lam_container(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void lam_list_init(struct lam_list *list)
{
	list->prev = list;
	list->next = list;
}

static inline int lam_list_empty(const struct lam_list *list)
{
	return list->next == list;
}

static inline void lam_list_del(struct lam_list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	lam_list_init(item);
}

/* Put 'item' at the end of 'list', taking it out of where it is. */
static inline void lam_list_move_tail(struct lam_list *list, struct lam_list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->prev = list->prev;
	item->next = list;
	list->prev->next = item;
	list->prev = item;
}

#endif
