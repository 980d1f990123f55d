/* SPDX-License-Identifier: MIT */
#include <lamina/resolve.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lamina/layer.h>
#include <lamina/node.h>
#include <lamina/sys.h>
#include <lamina/xattr.h>

#define MAX_REDIRECTS 32 /* redirects inside redirects; each goes to lower layers */
/*
 * Places looked at for one name.  Redirects on the way of redirects multiply: a few crafted
 * layers could ask for more than there is time for.  Enough for 16 components on all layers.
 */
#define MAX_STEPS (16u * LAM_MAX_LAYERS)

/* A walk down the layers for one name, which redirects may change on the way. */
struct walk {
	struct lam_ldir *const *parents; /* parts where the name is looked for */
	uint32_t nparents;
	uint32_t at;
	const struct lam_dent *hint; /* layers known to have the name; NULL after a redirect */
	struct lam_parts owned;	     /* holds 'parents' after an absolute redirect */
	unsigned int depth;
	uint32_t *steps; /* left; shared by the walks for one name */
	char name[LAM_NAME_MAX + 1];
};

static int walk_path(struct lam_core *core, const char *path, uint32_t min_layer, const struct walk *from,
		     struct lam_parts *out);

void lam_parts_free(struct lam_core *core, struct lam_parts *parts)
{
	for (uint32_t i = 0; i < parts->count; i++)
		lam_ldir_put(core, parts->list[i]);
	free(parts->list);
	*parts = (struct lam_parts){ 0 };
}

static int parts_add(struct lam_core *core, struct lam_parts *parts, struct lam_ldir *dir)
{
	if (parts->count == parts->room) {
		uint32_t room = parts->room ? parts->room * 2 : 4;
		struct lam_ldir **list = realloc(parts->list, room * sizeof(*list));

		if (!list) {
			lam_ldir_put(core, dir);
			return -ENOMEM;
		}
		parts->list = list;
		parts->room = room;
	}
	parts->list[parts->count++] = dir;
	return 0;
}

struct lam_ldir *lam_part_on(const struct lam_node *dir, uint32_t layer)
{
	uint32_t low = 0, high = dir->d.nparts;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (dir->d.parts[mid]->layer->index < layer)
			low = mid + 1;
		else
			high = mid;
	}
	return low < dir->d.nparts && dir->d.parts[low]->layer->index == layer ? dir->d.parts[low] : NULL;
}

static bool component_ok(const char *name, size_t length)
{
	return length > 0 && length <= LAM_NAME_MAX && !(length == 1 && name[0] == '.') &&
	       !(length == 2 && name[0] == '.' && name[1] == '.') && !memchr(name, '/', length);
}

int lam_redirect_get(struct lam_core *core, struct lam_ldir *dir, const char *name,
		     char buf[LAM_REDIRECT_BUF])
{
	ssize_t length = lam_private_get(core, dir, name, "redirect", buf, LAM_REDIRECT_BUF - 1);
	const char *part, *end;

	if (length < 0)
		return length == -ERANGE ? -EIO : (int)length;
	buf[length] = '\0';
	part = buf + (*buf == '/');
	for (;; part = end + 1) {
		end = strchrnul(part, '/');
		if (!component_ok(part, (size_t)(end - part)))
			return -EIO;
		if (!*end)
			break;
		if (*buf != '/')
			return -EIO; /* a relative redirect is one name */
	}
	return strlen(buf) == (size_t)length ? 0 : -EIO;
}

/* Go on below layer 'above' under the redirect 'value' (checked). */
static int walk_redirect(struct lam_core *core, struct walk *walk, const char *value, uint32_t above)
{
	struct lam_parts parts = { 0 };
	char prefix[LAM_REDIRECT_BUF];
	const char *base;
	int rc;

	walk->hint = NULL;
	if (*value != '/') {
		snprintf(walk->name, sizeof(walk->name), "%s", value);
		return 0;
	}
	base = strrchr(value, '/') + 1;
	snprintf(walk->name, sizeof(walk->name), "%s", base);
	snprintf(prefix, sizeof(prefix), "%.*s", (int)(base - value), value);
	rc = walk_path(core, prefix, above + 1, walk, &parts);
	if (rc < 0)
		return rc;
	lam_parts_free(core, &walk->owned);
	walk->owned = parts;
	walk->parents = parts.list;
	walk->nparents = parts.count;
	walk->at = 0;
	return 0;
}

static bool hinted(const struct walk *walk, const struct lam_ldir *parent)
{
	const struct lam_dent *dent = walk->hint;

	if (!dent || dent->first == parent->layer->index)
		return true;
	for (uint16_t i = 0; i < dent->nmore; i++)
		if (dent->more[i] == parent->layer->index)
			return true;
	return false;
}

/* A file named .wh.NAME or .wh..wh..opq beside or in a directory; only asked where no table knows. */
static bool has_mark_file(struct lam_core *core, struct lam_ldir *dir, const char *name)
{
	char mark[LAM_NAME_MAX + 8];
	struct statx st;

	if (strlen(name) + 4 > LAM_NAME_MAX)
		return false;
	snprintf(mark, sizeof(mark), ".wh.%s", name);
	return lam_layer_stat(core, dir, mark, &st) == 0;
}

enum step { STEP_MISS, STEP_DIR, STEP_OTHER, STEP_END };

/* What is at the walk's present parent?  Advances. */
static int walk_step(struct lam_core *core, struct walk *walk, struct lam_ldir **parent, struct statx *st)
{
	int rc;

	if ((*walk->steps)-- == 0) {
		*walk->steps = 0;
		return -ELOOP;
	}
	*parent = walk->parents[walk->at++];
	if (!hinted(walk, *parent))
		return STEP_MISS;
	if (walk->hint && walk->hint->type == DT_DIR)
		return STEP_DIR;
	rc = lam_layer_stat(core, *parent, walk->name, st);
	if (rc == -ENOENT || rc == -ENOTDIR || rc == -ENAMETOOLONG)
		return has_mark_file(core, *parent, walk->name) ? STEP_END : STEP_MISS;
	if (rc < 0)
		return rc;
	if (lam_layer_whiteout(core, *parent, walk->name, st))
		return STEP_END;
	return S_ISDIR(st->stx_mode) ? STEP_DIR : STEP_OTHER;
}

/* An absolute redirect goes on below even where no parent is left: only the last layer needs no look. */
static bool last_layer(const struct lam_core *core, const struct lam_ldir *dir)
{
	return dir->layer->index + 1 == core->nlayers;
}

/* Take the directory (parent, walk->name) as the next part.  Returns 1 if it ends the walk. */
static int walk_take(struct lam_core *core, struct walk *walk, struct lam_ldir *parent, struct lam_parts *out)
{
	struct lam_ldir *child = lam_ldir_child(parent, walk->name);
	bool was_hinted = walk->hint;
	int rc;

	if (!child)
		return -ENOMEM;
	rc = parts_add(core, out, child);
	if (rc < 0)
		return rc;
	if (last_layer(core, parent))
		return 0; /* nothing below: its marks do not matter */
	rc = lam_ldir_marks(core, child);
	if (rc < 0)
		return rc;
	if (child->flags & LAM_LDIR_OPAQUE || (!was_hinted && has_mark_file(core, child, ".wh..opq")))
		return 1;
	if (child->flags & LAM_LDIR_REDIRECT && core->redirect >= LAM_REDIRECT_FOLLOW) {
		char value[LAM_REDIRECT_BUF];

		rc = lam_redirect_get(core, child, ".", value);
		return rc < 0 ? rc : walk_redirect(core, walk, value, parent->layer->index);
	}
	return 0;
}

/* Collect the parts of a directory; a non-directory or a whiteout ends it. */
static int walk_dirs(struct lam_core *core, struct walk *walk, struct lam_parts *out)
{
	struct lam_ldir *parent;
	struct statx st;
	int rc = 0;

	if (walk->depth > MAX_REDIRECTS)
		return -ELOOP;
	while (rc == 0 && walk->at < walk->nparents) {
		rc = walk_step(core, walk, &parent, &st);
		if (rc == STEP_MISS)
			continue;
		if (rc == STEP_DIR)
			rc = walk_take(core, walk, parent, out);
	}
	if (rc < 0)
		lam_parts_free(core, out);
	return rc < 0 ? rc : 0;
}

/* The parts of the directory at the absolute 'path', on layers from 'min_layer' down, for the walk 'from'. */
static int walk_path(struct lam_core *core, const char *path, uint32_t min_layer, const struct walk *from,
		     struct lam_parts *out)
{
	struct lam_parts parts = { 0 };
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < core->root->d.nparts; i++)
		if (core->root->d.parts[i]->layer->index >= min_layer)
			rc = parts_add(core, &parts, lam_ldir_get(core->root->d.parts[i]));
	while (rc == 0 && *path) {
		const char *end;
		struct walk walk = { .parents = parts.list,
				     .nparents = parts.count,
				     .depth = from->depth + 1,
				     .steps = from->steps };
		struct lam_parts next = { 0 };

		path += *path == '/';
		end = strchrnul(path, '/');
		if (end == path)
			break;
		snprintf(walk.name, sizeof(walk.name), "%.*s", (int)(end - path), path);
		rc = walk_dirs(core, &walk, &next);
		lam_parts_free(core, &walk.owned);
		lam_parts_free(core, &parts);
		parts = next;
		path = end;
	}
	if (rc < 0)
		lam_parts_free(core, &parts);
	*out = parts;
	return rc;
}

int lam_resolve_dir(struct lam_core *core, const struct lam_dent *dent, struct lam_parts *out)
{
	uint32_t steps = MAX_STEPS;
	struct walk walk = {
		.parents = dent->dir->d.parts, .nparents = dent->dir->d.nparts, .hint = dent, .steps = &steps
	};
	int rc;

	*out = (struct lam_parts){ 0 };
	memcpy(walk.name, dent->name, dent->namelen + 1u);
	rc = walk_dirs(core, &walk, out);
	lam_parts_free(core, &walk.owned);
	return rc == 0 && out->count == 0 ? -ENOENT : rc;
}

static int find_data(struct lam_core *core, struct walk *walk, const char *redirect, uint32_t above,
		     struct lam_place *place)
{
	char value[LAM_REDIRECT_BUF];
	struct lam_ldir *parent;
	struct statx st;
	int rc;

	if (redirect && core->redirect >= LAM_REDIRECT_FOLLOW) {
		rc = walk_redirect(core, walk, redirect, above);
		if (rc < 0)
			return rc;
	}
	while (walk->at < walk->nparents) {
		rc = walk_step(core, walk, &parent, &st);
		if (rc == STEP_MISS)
			continue;
		if (rc != STEP_OTHER || !S_ISREG(st.stx_mode))
			return rc < 0 ? rc : -ENODATA;
		if (last_layer(core, parent) ||
		    lam_private_get(core, parent, walk->name, "metacopy", NULL, 0) < 0)
			return lam_place_set(core, place, parent, walk->name);
		rc = lam_redirect_get(core, parent, walk->name, value);
		if (rc == 0)
			rc = walk_redirect(core, walk, value, parent->layer->index);
		if (rc < 0 && rc != -ENODATA)
			return rc;
	}
	return -ENODATA;
}

int lam_resolve_data(struct lam_core *core, const struct lam_node *parent, const char *name, uint32_t above,
		     const char *redirect, struct lam_place *place)
{
	uint32_t steps = MAX_STEPS;
	struct walk walk = { .parents = parent->d.parts, .nparents = parent->d.nparts, .steps = &steps };
	int rc;

	while (walk.at < walk.nparents && walk.parents[walk.at]->layer->index <= above)
		walk.at++;
	snprintf(walk.name, sizeof(walk.name), "%s", name);
	rc = find_data(core, &walk, redirect, above, place);
	lam_parts_free(core, &walk.owned);
	return rc;
}
