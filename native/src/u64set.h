/* SPDX-License-Identifier: MIT */
/* u64set - a small set of numbers, by linear search: some dozens of members at most are usual */
#ifndef LAMINA_U64SET_H
#define LAMINA_U64SET_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct lam_u64set { /* all zero: empty */
	uint64_t *members;
	size_t count;
	size_t room;
};

static inline int lam_u64set_add(struct lam_u64set *set, uint64_t member)
{
	if (set->count == set->room) {
		size_t room = set->room ? set->room * 2 : 16;
		uint64_t *members = reallocarray(set->members, room, sizeof(members[0]));

		if (!members)
			return -ENOMEM;
		set->members = members;
		set->room = room;
	}
	set->members[set->count++] = member;
	return 0;
}

static inline bool lam_u64set_has(const struct lam_u64set *set, uint64_t member)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->members[i] == member)
			return true;
	return false;
}

static inline void lam_u64set_remove(struct lam_u64set *set, uint64_t member)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->members[i] == member) {
			set->members[i] = set->members[--set->count];
			return;
		}
}

static inline bool lam_u64set_pop(struct lam_u64set *set, uint64_t *member)
{
	if (set->count == 0)
		return false;
	*member = set->members[--set->count];
	return true;
}

static inline void lam_u64set_clear(struct lam_u64set *set)
{
	free(set->members);
	*set = (struct lam_u64set){ .members = NULL };
}

#endif
