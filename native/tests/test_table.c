/* SPDX-License-Identifier: MIT */
/* test_table - names of a directory: order, cookies, growth, equal hashes, shrinking */
#include <dirent.h>
#include <stdio.h>

#include <lamina/list.h>
#include <lamina/node.h>
#include <lamina/table.h>

#include "kernel.h"

#define MANY 20000

struct bench {
	struct lam_core core;
	struct lam_node *dir;
};

static void make(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	lam_list_init(&b->core.dirfds);
	lam_list_init(&b->core.files);
	b->core.seed = 7;
	b->dir = lam_node_new(&b->core, S_IFDIR);
	lam_node_ref(b->dir);
}

static void drop(struct bench *b)
{
	lam_node_unref(&b->core, b->dir);
	EXPECT(b->core.stats.names == 0);
	EXPECT(b->core.stats.nodes == 0);
	free(b->core.slots);
	free(b->core.free_slots);
}

static const char *name_of(unsigned int i, char buf[32])
{
	snprintf(buf, 32, "name-%u", i);
	return buf;
}

static void fill(struct bench *b, unsigned int count)
{
	char name[32];

	for (unsigned int i = 0; i < count; i++)
		lam_dent_set_first(lam_table_add(&b->core, b->dir, name_of(i, name)), 0, DT_REG);
}

/* Walk by cookies; returns how many dents there were. */
static unsigned int walk(const struct bench *b)
{
	struct lam_dent *dent, *follows = NULL;
	unsigned int count = 0;
	uint64_t cookie = 0;

	while ((dent = lam_table_after(b->dir, cookie))) {
		EXPECT(dent->hash > cookie && dent->hash >= LAM_COOKIE_FIRST);
		EXPECT(dent->hash >> 63 == 0);
		EXPECT(!follows || follows == dent);
		follows = lam_table_next(b->dir, dent);
		cookie = dent->hash;
		count++;
	}
	EXPECT(!follows);
	return count;
}

static void finds_what_was_added(void)
{
	struct bench b;
	char name[32];

	make(&b);
	EXPECT(!lam_table_find(&b.core, b.dir, "x"));
	EXPECT(!lam_table_after(b.dir, 0));
	for (unsigned int i = 0; i < MANY; i++) {
		struct lam_dent *dent = lam_table_add(&b.core, b.dir, name_of(i, name));

		EXPECT(dent && dent->first == LAM_NO_LAYER && !lam_dent_positive(dent));
		EXPECT(lam_table_add(&b.core, b.dir, name) == dent);
		EXPECT(lam_table_find(&b.core, b.dir, name) == dent);
	}
	EXPECT(b.core.stats.names == MANY && b.dir->d.table.count == MANY);
	EXPECT(walk(&b) == MANY);
	EXPECT(!lam_table_find(&b.core, b.dir, "name-x"));
	drop(&b);
}

/* A cookie means the same after growth, after removals and in a table built anew. */
static void cookies_depend_on_names_only(void)
{
	struct bench b, c;
	uint64_t cookie;
	char name[32];

	make(&b);
	make(&c);
	fill(&b, 100);
	cookie = lam_table_find(&b.core, b.dir, "name-50")->hash;
	fill(&b, MANY);
	for (unsigned int i = 0; i < MANY; i += 2)
		if (i != 50)
			lam_table_remove(&b.core, b.dir, lam_table_find(&b.core, b.dir, name_of(i, name)));
	EXPECT(walk(&b) == MANY / 2 + 1);
	EXPECT(b.dir->d.table.positive == MANY / 2 + 1);
	fill(&c, 51);
	EXPECT(lam_table_find(&c.core, c.dir, "name-50")->hash == cookie);
	EXPECT(lam_table_after(b.dir, cookie - 1)->hash == cookie);
	lam_table_remove(&b.core, b.dir, lam_table_find(&b.core, b.dir, "name-50"));
	EXPECT(!lam_table_after(b.dir, cookie - 1) || lam_table_after(b.dir, cookie - 1)->hash > cookie);
	drop(&b);
	drop(&c);
}

static void odd_cookies_are_the_end_or_the_start(void)
{
	struct bench b;

	make(&b);
	fill(&b, 10);
	for (uint64_t cookie = 0; cookie < LAM_COOKIE_FIRST; cookie++)
		EXPECT(lam_table_after(b.dir, cookie) == lam_table_after(b.dir, 0));
	EXPECT(!lam_table_after(b.dir, UINT64_MAX));
	EXPECT(!lam_table_after(b.dir, 1ull << 63));
	EXPECT(!lam_table_after(b.dir, (1ull << 63) - 1));
	drop(&b);
}

/* Names whose hashes are the same lie side by side, by name; each is found and removed by itself. */
static void equal_hashes_are_neighbours(void)
{
	struct lam_dent *twins[3];
	struct bench b;

	make(&b);
	for (int i = 0; i < 3; i++) {
		twins[i] = lam_table_add(&b.core, b.dir, (char[2]){ (char)('a' + i), '\0' });
		lam_dent_set_first(twins[i], 0, DT_REG);
	}
	/* No two names with one hash are at hand: put them so by hand. */
	for (int i = 0; i < 8; i++)
		b.dir->d.table.buckets[i] = NULL;
	for (int i = 0; i < 3; i++) {
		twins[i]->hash = 99;
		twins[i]->next = i < 2 ? twins[i + 1] : NULL;
	}
	b.dir->d.table.buckets[0] = twins[0];
	EXPECT(lam_table_after(b.dir, 98) == twins[0] && lam_table_next(b.dir, twins[0]) == twins[1]);
	EXPECT(!lam_table_after(b.dir, 99));
	lam_table_remove(&b.core, b.dir, twins[1]);
	EXPECT(lam_table_next(b.dir, twins[0]) == twins[2] && !lam_table_next(b.dir, twins[2]));
	fill(&b, 100); /* growth keeps them together */
	EXPECT(lam_table_after(b.dir, 98) == twins[0] && lam_table_next(b.dir, twins[0]) == twins[2]);
	drop(&b);
}

static void shrinking_spares_names_in_use(void)
{
	struct lam_node *node;
	struct lam_dent *dent;
	struct bench b;

	make(&b);
	fill(&b, MANY);
	b.dir->d.table.complete = true;
	dent = lam_table_find(&b.core, b.dir, "name-123");
	node = lam_node_new(&b.core, S_IFREG);
	lam_node_ref(node);
	lam_node_attach(&b.core, node, dent);
	lam_table_shrink(&b.core, b.dir);
	EXPECT(!b.dir->d.table.complete && b.dir->d.table.count == 1 && b.dir->d.table.positive == 1);
	EXPECT(lam_table_find(&b.core, b.dir, "name-123") == dent && dent->child == node);
	EXPECT(walk(&b) == 1);
	lam_node_unref(&b.core, node); /* takes the name along: the table does not hold them all */
	EXPECT(b.dir->d.table.count == 0 && b.core.stats.names == 0);
	fill(&b, 10);
	EXPECT(walk(&b) == 10);
	drop(&b);
}

/* An index in which the kernel knows nothing any more is kept only while it is small. */
static void forgetting_drops_large_indexes(void)
{
	struct lam_node *node;
	struct bench b;

	make(&b);
	fill(&b, MANY);
	b.dir->d.table.complete = true;
	node = lam_node_new(&b.core, S_IFREG);
	lam_node_ref(node);
	lam_node_attach(&b.core, node, lam_table_find(&b.core, b.dir, "name-1"));
	lam_node_unref(&b.core, node);
	EXPECT(b.core.stats.names == 0 && !b.dir->d.table.complete);
	drop(&b);
}

static void dents_collect_layers(void)
{
	struct lam_dent *dent;
	struct bench b;

	make(&b);
	dent = lam_table_add(&b.core, b.dir, "d");
	lam_dent_set_first(dent, 5, DT_DIR);
	for (uint16_t layer = 6; layer < LAM_MAX_LAYERS; layer++)
		EXPECT(lam_dent_more(dent, layer) == 0);
	EXPECT(dent->nmore == LAM_MAX_LAYERS - 6 && dent->more[dent->nmore - 1] == LAM_MAX_LAYERS - 1);
	EXPECT(lam_dent_raise(dent, 0) == 0);
	EXPECT(dent->first == 0 && dent->flags & LAM_DENT_BELOW && dent->more[dent->nmore - 1] == 5);
	EXPECT(b.dir->d.table.positive == 1);
	lam_dent_set_first(dent, 0, DT_WHT);
	EXPECT(!lam_dent_positive(dent) && b.dir->d.table.positive == 0);
	drop(&b);
}

int main(void)
{
	kernel_watchdog(60);
	finds_what_was_added();
	cookies_depend_on_names_only();
	odd_cookies_are_the_end_or_the_start();
	equal_hashes_are_neighbours();
	shrinking_spares_names_in_use();
	forgetting_drops_large_indexes();
	dents_collect_layers();
	return 0;
}
