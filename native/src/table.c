/* SPDX-License-Identifier: MIT */
#include <lamina/table.h>

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MIN_BITS 3
#define MAX_BITS 28
#define HASH_BITS 63 /* cookies are positive off_t */

uint64_t lam_name_hash(const struct lam_core *core, const char *name, size_t length)
{
	uint64_t hash = XXH3_64bits_withSeed(name, length, core->seed) >> (64 - HASH_BITS);

	return hash < LAM_COOKIE_FIRST ? hash + LAM_COOKIE_FIRST : hash;
}

static uint32_t bucket_of(const struct lam_table *table, uint64_t hash)
{
	return (uint32_t)(hash >> (HASH_BITS - table->bits));
}

/* The link that points at the first dent that is not before (hash, name). */
static struct lam_dent **seek(const struct lam_table *table, uint64_t hash, const char *name)
{
	struct lam_dent **link = &table->buckets[bucket_of(table, hash)];

	while (*link && ((*link)->hash < hash || ((*link)->hash == hash && strcmp((*link)->name, name) < 0)))
		link = &(*link)->next;
	return link;
}

struct lam_dent *lam_table_find(const struct lam_core *core, const struct lam_node *dir, const char *name)
{
	const struct lam_table *table = &dir->d.table;
	uint64_t hash;
	struct lam_dent *dent;

	if (!table->count)
		return NULL;
	hash = lam_name_hash(core, name, strlen(name));
	dent = *seek(table, hash, name);
	return dent && dent->hash == hash && strcmp(dent->name, name) == 0 ? dent : NULL;
}

static struct lam_dent *first_from(const struct lam_table *table, uint32_t bucket)
{
	if (!table->count)
		return NULL;
	for (; bucket < 1u << table->bits; bucket++)
		if (table->buckets[bucket])
			return table->buckets[bucket];
	return NULL;
}

struct lam_dent *lam_table_after(const struct lam_node *dir, uint64_t cookie)
{
	const struct lam_table *table = &dir->d.table;
	struct lam_dent *dent;

	if (!table->count || cookie >> HASH_BITS)
		return NULL;
	if (cookie < LAM_COOKIE_FIRST)
		return first_from(table, 0);
	for (dent = table->buckets[bucket_of(table, cookie)]; dent; dent = dent->next)
		if (dent->hash > cookie)
			return dent;
	return first_from(table, bucket_of(table, cookie) + 1);
}

struct lam_dent *lam_table_next(const struct lam_node *dir, const struct lam_dent *dent)
{
	return dent->next ? dent->next : first_from(&dir->d.table, bucket_of(&dir->d.table, dent->hash) + 1);
}

/* Twice the buckets: each chain splits into two, order is kept. */
static int grow(struct lam_table *table)
{
	uint8_t bits = table->buckets ? (uint8_t)(table->bits + 1) : MIN_BITS;
	struct lam_dent **buckets = calloc((size_t)1 << bits, sizeof(*buckets));

	if (!buckets)
		return -1;
	for (uint32_t i = 0; table->buckets && i < 1u << table->bits; i++) {
		struct lam_dent **low = &buckets[2 * i], **high = &buckets[2 * i + 1], *dent, *next;

		for (dent = table->buckets[i]; dent; dent = next) {
			struct lam_dent ***tail = dent->hash >> (HASH_BITS - bits) & 1 ? &high : &low;

			next = dent->next;
			dent->next = NULL;
			**tail = dent;
			*tail = &dent->next;
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->bits = bits;
	return 0;
}

struct lam_dent *lam_table_add(struct lam_core *core, struct lam_node *dir, const char *name)
{
	struct lam_table *table = &dir->d.table;
	size_t length = strlen(name);
	uint64_t hash = lam_name_hash(core, name, length);
	struct lam_dent **link, *dent;

	assert(length <= LAM_NAME_MAX);
	if (!table->buckets || (table->count >= 2u << table->bits && table->bits < MAX_BITS))
		if (grow(table) < 0 && !table->buckets)
			return NULL;
	link = seek(table, hash, name);
	if (*link && (*link)->hash == hash && strcmp((*link)->name, name) == 0)
		return *link;
	dent = malloc(sizeof(*dent) + length + 1);
	if (!dent)
		return NULL;
	memset(dent, 0, sizeof(*dent));
	dent->hash = hash;
	dent->dir = dir;
	dent->first = LAM_NO_LAYER;
	dent->namelen = (uint8_t)length;
	memcpy(dent->name, name, length + 1);
	dent->next = *link;
	*link = dent;
	table->count++;
	core->stats.names++;
	return dent;
}

static void free_dent(struct lam_core *core, struct lam_table *table, struct lam_dent *dent)
{
	free(dent->more);
	free(dent);
	table->count--;
	core->stats.names--;
}

void lam_table_remove(struct lam_core *core, struct lam_node *dir, struct lam_dent *dent)
{
	struct lam_table *table = &dir->d.table;
	struct lam_dent **link = &table->buckets[bucket_of(table, dent->hash)];

	assert(!dent->child);
	while (*link != dent)
		link = &(*link)->next;
	*link = dent->next;
	if (lam_dent_positive(dent))
		table->positive--;
	free_dent(core, table, dent);
}

void lam_table_shrink(struct lam_core *core, struct lam_node *dir)
{
	struct lam_table *table = &dir->d.table;

	for (uint32_t i = 0; table->buckets && i < 1u << table->bits; i++) {
		struct lam_dent **link = &table->buckets[i], *dent;

		while ((dent = *link)) {
			if (dent->child) {
				link = &dent->next;
				continue;
			}
			*link = dent->next;
			if (lam_dent_positive(dent))
				table->positive--;
			free_dent(core, table, dent);
		}
	}
	table->complete = false;
	if (!table->count) {
		free(table->buckets);
		memset(table, 0, sizeof(*table));
	}
}

void lam_table_free(struct lam_core *core, struct lam_node *dir)
{
	assert(!dir->d.table.live);
	lam_table_shrink(core, dir);
}

int lam_dent_more(struct lam_dent *dent, uint16_t layer)
{
	if (dent->nmore % 4 == 0) {
		uint16_t *more = realloc(dent->more, (dent->nmore + 4u) * sizeof(*more));

		if (!more)
			return -1;
		dent->more = more;
	}
	dent->more[dent->nmore++] = layer;
	return 0;
}

void lam_dent_set_first(struct lam_dent *dent, uint16_t layer, uint8_t type)
{
	struct lam_table *table = &dent->dir->d.table;

	if (lam_dent_positive(dent))
		table->positive--;
	dent->first = layer;
	dent->type = type;
	if (type == DT_WHT)
		dent->flags |= LAM_DENT_WHITEOUT;
	else
		dent->flags &= (uint8_t) ~(LAM_DENT_WHITEOUT | LAM_DENT_WHFILE);
	if (lam_dent_positive(dent))
		table->positive++;
}

int lam_dent_raise(struct lam_dent *dent, uint16_t layer)
{
	if (dent->type == DT_DIR && lam_dent_more(dent, dent->first) < 0)
		return -ENOMEM;
	lam_dent_set_first(dent, layer, dent->type);
	dent->flags |= LAM_DENT_BELOW;
	return 0;
}
