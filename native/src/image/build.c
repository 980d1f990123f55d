/* SPDX-License-Identifier: MIT */
#include <lamina/image/build.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "emit.h"
#include "layout.h"
#include "moves.h"
#include "text.h"

struct build {
	struct lam_tree tree;
	struct lam_layout layout;
	struct lam_apply apply;
	char *why;
	size_t why_size;
};

static int refuse(struct build *build, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static int refuse(struct build *build, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(build->why, build->why_size, format, arguments);
	va_end(arguments);
	return code;
}

static int refuse_entry(struct build *build, int code, const struct lam_index_entry *entry, size_t layer)
{
	char path[160], link[160];

	lam_text_show(entry->path, entry->path_size, path, sizeof(path));
	lam_text_show(entry->link, entry->link_size, link, sizeof(link));
	switch (code) {
	case -ENOENT:
		return refuse(build, code, "layer %zu: %s: a hard link to %s, which is not there", layer + 1,
			      path, link);
	case -EISDIR:
		return refuse(build, code, "layer %zu: %s: a hard link to a directory", layer + 1, path);
	case -ENOTDIR:
		return refuse(build, code, "layer %zu: %s: not a directory on the way there", layer + 1,
			      path);
	case -ELOOP:
		return refuse(build, code, "layer %zu: %s: too many symbolic links on the way there",
			      layer + 1, path);
	case -ENAMETOOLONG:
		return refuse(build, code, "layer %zu: %s: too deep", layer + 1, path);
	case -EMLINK:
		return refuse(build, code, "layer %zu: %s: too many hard links", layer + 1, path);
	default:
		return code;
	}
}

/* Whiteouts first: they concern what lies below the layer, wherever they are in it. */
static int apply_pass(struct build *build, struct lam_index *index, size_t layer, int whiteouts)
{
	struct lam_index_entry entry;
	int result, err = 0;

	build->apply.parent = NULL;
	lam_index_rewind(index);
	while (!err && (result = lam_index_next(index, &entry)) != 0) {
		if (result < 0)
			return refuse(build, result, "layer %zu: its index is damaged", layer + 1);
		if ((entry.kind >= LAM_KIND_WHITEOUT) != whiteouts)
			continue;
		if (whiteouts)
			lam_apply_whiteout(&build->apply, &entry);
		else
			err = lam_apply_entry(&build->apply, &entry);
	}
	return err ? refuse_entry(build, err, &entry, layer) : 0;
}

static int apply_layer(struct build *build, const struct lam_image_layer *layer, size_t number)
{
	struct lam_index *index = NULL;
	struct lam_index_info info;
	int err;

	err = lam_index_open(layer->index, layer->index_size, &index);
	if (err < 0)
		return refuse(build, err, "layer %zu: its index is damaged or of another version",
			      number + 1);
	lam_index_info(index, &info);
	build->apply.layer = (uint16_t)number;
	if (info.tar_size != layer->tar_size)
		err = refuse(build, -EBADMSG, "layer %zu: its index belongs to another tar", number + 1);
	if (!err && info.tar_size >> LAM_IMAGE_BLOCK_BITS >= UINT32_MAX)
		err = refuse(build, -EFBIG, "layer %zu: larger than 2 TiB", number + 1);
	if (!err && info.whiteouts)
		err = apply_pass(build, index, number, 1);
	if (!err)
		err = apply_pass(build, index, number, 0);
	lam_index_free(index);
	return err;
}

int lam_image_build(int out_fd, const struct lam_image_layer *layers, size_t count,
		    const struct lam_image_options *options, struct lam_image_info *info, char *why,
		    size_t why_size)
{
	struct build build = { .why = why, .why_size = why_size };
	int err;

	why[0] = '\0';
	if (count > LAM_IMAGE_MAX_LAYERS)
		return refuse(&build, -EFBIG, "an image of more than %d layers", LAM_IMAGE_MAX_LAYERS);
	if (lam_moves_check(layers, count) < 0)
		return refuse(&build, -EBADMSG, "the list of moved data is damaged");
	err = lam_tree_init(&build.tree);
	build.apply.tree = build.layout.tree = &build.tree;
	build.layout.layers = layers;
	build.layout.count = count;
	for (size_t i = 0; i < count && !err; i++)
		err = layers[i].index ? apply_layer(&build, &layers[i], i) : 0;
	if (err)
		goto out;
	err = lam_layout_make(&build.layout);
	if (err == -EFBIG)
		refuse(&build, err,
		       "the image's sparse files, attributes or all files together are too large");
	if (!err)
		err = lam_emit(out_fd, &build.layout, options, info->uuid);
	info->inodes = build.layout.inodes;
	info->names = build.layout.names;
	info->bytes = build.layout.end;
	info->file_size = build.layout.file_size;
out:
	lam_layout_free(&build.layout);
	lam_tree_free(&build.tree);
	return err;
}
