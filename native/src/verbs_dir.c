/* SPDX-License-Identifier: MIT */
/*
 * verbs_dir - listing merged directories
 *
 * The listing is the directory's table in order of hashes; the hash of a name is its cookie.
 * Should two names of one directory ever have the same 63-bit hash, a listing that breaks off
 * exactly between them shows the first of them twice rather than losing the second.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include <lamina/inomap.h>
#include <lamina/node.h>
#include <lamina/resolve.h>
#include <lamina/table.h>
#include <lamina/verbs.h>

#define COOKIE_DOT 1
#define COOKIE_DOTDOT 2

struct listing {
	struct lam_core *core;
	struct lam_node *dir;
	bool plus;
	lam_dirfill fill;
	void *arg;
};

static int give_dots(struct listing *l, uint64_t cookie)
{
	struct lam_node *parent = l->dir->dent ? l->dir->dent->dir : l->dir;
	struct lam_dirinfo info = {
		.name = ".", .namelen = 1, .type = DT_DIR, .ino = l->dir->ino, .cookie = COOKIE_DOT
	};
	int full = 0;

	if (cookie < COOKIE_DOT)
		full = l->fill(l->arg, &info);
	if (full || cookie >= COOKIE_DOTDOT)
		return full;
	info = (struct lam_dirinfo){
		.name = "..", .namelen = 2, .type = DT_DIR, .ino = parent->ino, .cookie = COOKIE_DOTDOT
	};
	return l->fill(l->arg, &info);
}

/* One entry.  1: the buffer is full; -ENOENT: the name went meanwhile. */
static int give(struct listing *l, struct lam_dent *dent)
{
	const struct lam_dent *next = lam_table_next(l->dir, dent);
	bool twin = next && next->hash == dent->hash;
	struct lam_dirinfo info = { .name = dent->name,
				    .namelen = dent->namelen,
				    .cookie = dent->hash - twin };
	struct lam_entry entry;
	struct lam_node *node;
	struct statx st;
	int rc;

	rc = lam_node_of(l->core, dent, &st, false, &node);
	if (rc == -ENOENT || rc == -ESTALE)
		return rc;
	if (rc < 0) { /* a redirect that leads nowhere, say: looking it up fails, its neighbours are listed */
		info.ino = dent->hash;
		info.type = dent->type;
		return l->fill(l->arg, &info);
	}
	lam_node_ref(node);
	info.ino = node->ino;
	info.type = IFTODT(node->type);
	rc = l->plus ? lam_give_entry(l->core, node, &st, &entry) : 0;
	if (rc == 0) {
		info.entry = l->plus ? &entry : NULL;
		rc = l->fill(l->arg, &info);
		if (rc && l->plus)
			node->nlookup--;
	}
	lam_node_unref(l->core, node);
	return rc;
}

static int list(struct listing *l, uint64_t cookie)
{
	struct lam_dent *dent;
	int rc;

	for (dent = lam_table_after(l->dir, cookie); dent; dent = lam_table_next(l->dir, dent)) {
		if (!lam_dent_positive(dent))
			continue;
		rc = give(l, dent);
		if (rc == 1)
			return 0;
		if (rc == -ENOENT || rc == -ESTALE) /* changed below the mount: as if it had not been seen */
			continue;
		if (rc < 0)
			return rc;
	}
	return 0;
}

int lam_readdir(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t cookie,
		bool plus, lam_dirfill fill, void *arg)
{
	struct listing l = { .core = core, .plus = plus, .fill = fill, .arg = arg };
	int rc = lam_enter_dir(core, nodeid, &l.dir);

	(void)caller;
	if (rc < 0)
		return rc;
	rc = cookie < LAM_COOKIE_FIRST ? give_dots(&l, cookie) : 0;
	if (rc == 0 && !(l.dir->flags & LAM_NODE_DEAD)) {
		rc = lam_index_build(core, l.dir);
		l.dir->d.table.busy = true;
		if (rc == 0)
			rc = list(&l, cookie);
		l.dir->d.table.busy = false;
	}
	lam_leave(core, l.dir);
	return rc < 0 ? rc : 0;
}

struct pack {
	char *buf;
	size_t size;
	size_t used;
};

static int pack_one(void *arg, const struct lam_dirinfo *info)
{
	struct pack *pack = arg;
	size_t length = (sizeof(struct lam_dirent) + info->namelen + 7) & ~(size_t)7;
	struct lam_dirent head = { .cookie = info->cookie, .type = info->type, .namelen = info->namelen };

	if (pack->used + length > pack->size)
		return 1;
	if (info->entry)
		head.entry = *info->entry;
	else
		head.entry.attr.ino = info->ino;
	memset(pack->buf + pack->used, 0, length);
	memcpy(pack->buf + pack->used, &head, sizeof(head));
	memcpy(pack->buf + pack->used + sizeof(head), info->name, info->namelen);
	pack->used += length;
	return 0;
}

ssize_t lam_readdir_pack(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid,
			 uint64_t cookie, bool plus, void *buf, size_t size)
{
	struct pack pack = { .buf = buf, .size = size };
	int rc = lam_readdir(core, caller, nodeid, cookie, plus, pack_one, &pack);

	return rc < 0 ? rc : (ssize_t)pack.used;
}
