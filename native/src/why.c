/* SPDX-License-Identifier: MIT */
/* why - on which layers an object lies, as text for people */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <lamina/layer.h>
#include <lamina/verbs.h>

struct text {
	char *buf;
	size_t size;
	size_t used;
};

static void say(struct text *text, const char *format, ...)
{
	size_t room = text->used < text->size ? text->size - text->used : 0;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(room ? text->buf + text->used : NULL, room, format, args);
	va_end(args);
	text->used += n > 0 ? (size_t)n : 0;
}

/* The path of a directory on its layer, from the layer's root. */
static void say_path(struct text *text, const struct lam_ldir *dir)
{
	const struct lam_ldir *from = NULL, *d;

	while (from != dir) {
		for (d = dir; d->parent && d->parent != from; d = d->parent)
			continue;
		if (d->parent || !from)
			say(text, d->parent ? "/%s" : "", d->parent ? d->name : "");
		from = d;
	}
}

static void say_place(struct lam_core *core, struct text *text, const struct lam_ldir *dir, const char *name,
		      const char *marks)
{
	const struct lam_layer *layer = dir->layer;

	say(text, "%s %u ", layer->upper ? "upper" : "lower",
	    layer->upper ? layer->index : layer->index - core->nuppers);
	say_path(text, dir);
	say(text, "%s%s%s\n", name ? "/" : dir->parent ? "" : "/", name ? name : "", marks);
}

static void say_node(struct lam_core *core, struct text *text, const struct lam_node *node)
{
	const char *name = node->dent ? node->dent->name : "";

	if (lam_is_dir(node)) {
		for (uint32_t i = 0; i < node->d.nparts; i++) {
			const struct lam_ldir *part = node->d.parts[i];
			const char *marks = part->flags & LAM_LDIR_OPAQUE     ? " opaque"
					    : part->flags & LAM_LDIR_REDIRECT ? " redirect"
									      : "";

			say_place(core, text, part, NULL, marks);
		}
		return;
	}
	if (node->f.upper.dir)
		say_place(core, text, node->f.upper.dir, node->f.upper.name ? node->f.upper.name : name,
			  node->flags & LAM_NODE_METACOPY ? " metacopy" : "");
	if (node->f.lower.dir && (!node->f.upper.dir || node->flags & LAM_NODE_METACOPY))
		say_place(core, text, node->f.lower.dir, node->f.lower.name ? node->f.lower.name : name, "");
}

ssize_t lam_why(struct lam_core *core, uint64_t nodeid, char *buf, size_t size)
{
	struct text text = { .buf = buf, .size = size };
	struct lam_node *node;
	int rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	say_node(core, &text, node);
	lam_leave(core, node);
	return text.used < size ? (ssize_t)text.used : -ERANGE;
}
