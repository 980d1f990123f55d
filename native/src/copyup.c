/* SPDX-License-Identifier: MIT */
#include <lamina/copyup.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <lamina/at.h>
#include <lamina/handle.h>
#include <lamina/inomap.h>
#include <lamina/layer.h>
#include <lamina/links.h>
#include <lamina/node.h>
#include <lamina/resolve.h>
#include <lamina/sys.h>
#include <lamina/table.h>
#include <lamina/xattr.h>

/* One copy-up of a non-directory on its way. */
struct copy {
	struct lam_node *node;
	struct lam_layer *layer;
	struct lam_at at; /* the lower object */
	struct statx st;
	struct lam_temp temp;
	enum lam_copy how;
	bool metacopy;
	bool indexed;
	char index_name[LAM_INDEX_NAME];
};

static bool may_block(const struct lam_caller *caller)
{
	return caller->flags & LAM_CALLER_MAY_BLOCK;
}

/* Does a copy of 'bytes' take long enough to be made without the lock, by a thread that may wait? */
static bool takes_long(const struct lam_core *core, const struct lam_layer *layer, uint64_t bytes)
{
	return bytes > LAM_SMALL_COPY || (bytes > 0 && layer->slow_sync && core->fsync != LAM_FSYNC_VOLATILE);
}

static int copy_bytes(struct lam_core *core, int from, int to, uint64_t size, const struct statx *st)
{
	int rc = lam_copy_data(from, to, size, st->stx_blocks * 512 < st->stx_size);

	if (rc == 0 && core->fsync != LAM_FSYNC_VOLATILE && fdatasync(to) < 0)
		rc = -errno;
	return rc;
}

/*
 * Copy the data of 'node' into 'to', without the lock if it takes long.  Whoever else wants
 * the node copied waits for LAM_NODE_COPYING to go.
 */
static int copy_contents(struct lam_core *core, struct lam_node *node, const struct lam_layer *layer, int to,
			 uint64_t size, const struct statx *st)
{
	bool slow = takes_long(core, layer, size);
	struct lam_at data;
	int from, rc;

	rc = lam_at_data(core, node, &data);
	if (rc < 0)
		return rc;
	from = lam_at_open(core, &data, O_RDONLY);
	if (from < 0)
		return from;
	if (slow) {
		node->flags |= LAM_NODE_COPYING;
		pthread_mutex_unlock(&core->lock);
	}
	rc = copy_bytes(core, from, to, size, st);
	if (slow) {
		pthread_mutex_lock(&core->lock);
		node->flags &= (uint16_t)~LAM_NODE_COPYING;
		pthread_cond_broadcast(&core->copied);
	}
	lam_close(&from);
	if (rc == 0)
		core->stats.copied_bytes += size;
	return rc;
}

/* ---- directories ---- */

static int set_origin(struct lam_core *core, const struct lam_at *at, const struct statx *st, struct lam_temp *temp)
{
	char key[LAM_KEY_MAX];
	struct lam_fh fh;
	int fd, rc;

	if (!(temp->layer->abilities & LAM_UP_XATTR) || at->fd >= 0)
		return -EOPNOTSUPP;
	fd = lam_ldir_fd(core, at->dir);
	if (fd < 0)
		return fd;
	rc = lam_fh_encode(core, fd, at->name, lam_dev(st), &fh);
	if (rc < 0)
		return -EOPNOTSUPP;
	return lam_temp_setxattr(temp, lam_private_name(core, "origin", key), fh.bytes, fh.length);
}

/* Copy the directory 'dir', whose parent has 'above' on the layer. */
static int copy_dir(struct lam_core *core, struct lam_node *dir, struct lam_ldir *above)
{
	struct lam_dent *dent = dir->dent;
	struct lam_layer *layer = above->layer;
	struct lam_times times;
	struct lam_ldir *part;
	struct lam_temp temp;
	struct lam_at at;
	struct statx st;
	int rc;

	rc = lam_at_top(core, dir, &at);
	if (rc == 0)
		rc = lam_at_stat(core, &at, &st);
	if (rc == 0)
		rc = lam_temp_node(core, layer, S_IFDIR | 0700, 0, NULL, &temp);
	if (rc < 0)
		return rc;
	if (set_origin(core, &at, &st, &temp) == 0)
		rc = lam_mark_impure(core, above);
	if (rc == 0)
		rc = lam_copy_meta(core, &at, &st, &temp);
	if (rc == 0)
		rc = lam_times_save(core, above, &times);
	if (rc == 0)
		rc = lam_temp_publish(core, &temp, above, dent->name, false);
	if (rc == 0)
		lam_times_restore(core, above, &times);
	lam_temp_end(&temp);
	if (rc < 0)
		return rc;
	part = lam_ldir_child(above, dent->name);
	rc = part ? lam_node_add_part(core, dir, part) : -ENOMEM;
	if (rc < 0)
		return rc;
	core->stats.copyups++;
	/* Only directories below an opaque or foreign upper have parts above this one. */
	return dent->first > layer->index ? lam_dent_raise(dent, (uint16_t)layer->index) : lam_dent_more(dent, (uint16_t)layer->index);
}

int lam_dir_on(struct lam_core *core, struct lam_node *dir, struct lam_layer *layer, struct lam_ldir **out)
{
	for (;;) {
		struct lam_node *missing = dir, *parent;
		struct lam_ldir *above;
		int rc;

		*out = lam_part_on(dir, layer->index);
		if (*out)
			return 0;
		if (dir->flags & LAM_NODE_DEAD)
			return -ENOENT;
		/* The highest ancestor that is not on the layer comes first. */
		for (;; missing = parent) {
			parent = missing->dent ? missing->dent->dir : NULL;
			if (!parent)
				return -ESTALE;
			above = lam_part_on(parent, layer->index);
			if (above)
				break;
		}
		rc = copy_dir(core, missing, above);
		if (rc < 0)
			return rc;
	}
}

/* ---- files and other objects ---- */

static int make_temp(struct lam_core *core, struct copy *copy)
{
	const struct statx *st = &copy->st;
	char target[4096];
	ssize_t length = 0;

	if (S_ISREG(st->stx_mode))
		return lam_temp_file(core, copy->layer, 0600, &copy->temp);
	if (S_ISLNK(st->stx_mode)) {
		length = lam_at_readlink(core, &copy->at, target, sizeof(target) - 1);
		if (length < 0)
			return (int)length;
	}
	target[length] = '\0';
	return lam_temp_node(core, copy->layer, (mode_t)((st->stx_mode & S_IFMT) | 0600),
			     makedev(st->stx_rdev_major, st->stx_rdev_minor), target, &copy->temp);
}

/* Contents (or just the size, for a metadata-only copy), then metadata and marks. */
static int fill_temp(struct lam_core *core, struct copy *copy)
{
	char key[LAM_KEY_MAX];
	int rc = 0;

	if (copy->metacopy) {
		if (ftruncate(copy->temp.fd, (off_t)copy->st.stx_size) < 0)
			return -errno;
	} else if (S_ISREG(copy->st.stx_mode) && copy->how != LAM_COPY_EMPTY) {
		rc = copy_contents(core, copy->node, copy->layer, copy->temp.fd, copy->st.stx_size, &copy->st);
		if (rc == 0) /* it may have lost its name meanwhile */
			rc = lam_at_top(core, copy->node, &copy->at);
	}
	if (rc == 0 && copy->metacopy)
		rc = lam_temp_setxattr(&copy->temp, lam_private_name(core, "metacopy", key), "", 0);
	/* The origin of a name whose link is broken is shared with others: it says nothing of st_ino. */
	if (rc == 0 && (copy->st.stx_nlink == 1 || copy->indexed) &&
	    set_origin(core, &copy->at, &copy->st, &copy->temp) == 0)
		copy->node->flags |= LAM_NODE_ORIGIN;
	if (rc == 0)
		rc = lam_copy_meta(core, &copy->at, &copy->st, &copy->temp);
	if (rc == 0 && core->fsync == LAM_FSYNC_STRICT && copy->temp.fd >= 0 && fsync(copy->temp.fd) < 0)
		rc = -errno;
	return rc;
}

/* An object without a name stays without one: open files whose last name is gone. */
static int publish_nameless(struct copy *copy)
{
	struct lam_temp *temp = &copy->temp;

	if (temp->fd < 0) {
		temp->fd = lam_openat(temp->dirfd, temp->name, O_PATH, 0);
		if (temp->fd < 0)
			return temp->fd;
	}
	if (temp->name[0])
		lam_unlink_at(temp->dirfd, temp->name, 0);
	temp->name[0] = '\0';
	copy->node->fd = temp->fd;
	temp->fd = -1;
	return 0;
}

static int publish_indexed(struct lam_core *core, struct copy *copy, struct lam_ldir *dir)
{
	struct lam_node *node = copy->node;
	struct statx st;
	int rc;

	rc = lam_temp_publish(core, &copy->temp, copy->layer->index_dir, copy->index_name, false);
	if (rc == 0)
		rc = lam_layer_stat(core, copy->layer->index_dir, copy->index_name, &st);
	if (rc == 0)
		rc = lam_ident_add(core, node, lam_dev(&st), st.stx_ino);
	if (rc == 0)
		rc = lam_place_set(core, &node->f.upper, copy->layer->index_dir, copy->index_name);
	if (rc < 0)
		return rc;
	node->nlink = node->f.below = copy->st.stx_nlink;
	node->flags |= LAM_NODE_INDEXED;
	return lam_links_up(core, node, dir, node->dent->name);
}

static int publish(struct lam_core *core, struct copy *copy)
{
	struct lam_node *node = copy->node;
	struct lam_times times;
	struct lam_ldir *dir;
	int rc;

	if (!node->dent)
		return publish_nameless(copy);
	rc = lam_dir_on(core, node->dent->dir, copy->layer, &dir);
	if (rc == 0 && node->flags & LAM_NODE_ORIGIN)
		rc = lam_mark_impure(core, dir);
	if (rc == 0)
		rc = lam_times_save(core, dir, &times);
	if (rc < 0)
		return rc;
	if (copy->indexed) {
		rc = publish_indexed(core, copy, dir);
	} else {
		rc = lam_temp_publish(core, &copy->temp, dir, node->dent->name, false);
		if (rc == 0)
			rc = lam_place_set(core, &node->f.upper, dir, NULL);
	}
	lam_times_restore(core, dir, &times);
	return rc < 0 ? rc : lam_dent_raise(node->dent, (uint16_t)copy->layer->index);
}

/* The node lives on the upper now: what was open below no longer counts. */
static void settle(struct lam_core *core, struct copy *copy)
{
	struct lam_node *node = copy->node;

	if (copy->metacopy) {
		node->flags |= LAM_NODE_METACOPY;
		node->flags &= (uint16_t)~LAM_NODE_REDIRECT; /* that was the lower's; the copy is below it by name */
		core->stats.metacopies++;
	} else {
		node->flags &= (uint16_t)~LAM_NODE_METACOPY;
		lam_file_uncache(core, node);
		if (!(node->flags & LAM_NODE_INDEXED))
			lam_place_clear(core, &node->f.lower);
	}
	core->stats.copyups++;
}

static int copy_whole(struct lam_core *core, struct lam_node *node, enum lam_copy how)
{
	struct copy copy = {.node = node, .layer = &core->layers[0], .how = how, .temp = {.fd = -1}};
	struct lam_ldir *dir;
	int rc;

	rc = lam_at_top(core, node, &copy.at);
	if (rc == 0)
		rc = lam_at_stat(core, &copy.at, &copy.st);
	if (rc == 0 && node->dent)
		rc = lam_dir_on(core, node->dent->dir, copy.layer, &dir);
	if (rc < 0)
		return rc;
	copy.metacopy = how == LAM_COPY_META && S_ISREG(copy.st.stx_mode) && copy.st.stx_size > 0 &&
			core->flags & LAM_CFG_METACOPY && copy.layer->abilities & LAM_UP_XATTR;
	copy.indexed = node->dent && lam_links_indexed(core, &copy.at, copy.layer, &copy.st, copy.index_name);
	rc = make_temp(core, &copy);
	if (rc == 0)
		rc = fill_temp(core, &copy);
	if (rc == 0)
		rc = publish(core, &copy);
	lam_temp_end(&copy.temp);
	if (rc < 0) {
		node->flags &= (uint16_t)~LAM_NODE_ORIGIN;
		return rc;
	}
	settle(core, &copy);
	return 0;
}

/* The mark goes, and with it the detour over the lower; writing has taken privileges that were to stay. */
static int finish_metacopy(struct lam_core *core, struct lam_node *node, const struct lam_at *top,
			   const struct statx *before, const void *caps, ssize_t caps_size)
{
	char key[LAM_KEY_MAX];
	struct statx now;
	int rc;

	rc = lam_at_stat(core, top, &now);
	if (rc == 0 && now.stx_mode != before->stx_mode)
		rc = lam_at_chmod(core, top, before->stx_mode & 07777);
	if (rc == 0 && caps_size > 0)
		rc = lam_at_setxattr(core, top, "security.capability", caps, (size_t)caps_size, 0);
	if (rc == 0)
		rc = top->fd < 0 ? lam_private_remove(core, top->dir, top->name, "metacopy") :
				   lam_at_removexattr(core, top, lam_private_name(core, "metacopy", key));
	if (rc < 0)
		return rc;
	node->flags &= (uint16_t)~LAM_NODE_METACOPY;
	lam_file_uncache(core, node);
	if (!(node->flags & LAM_NODE_INDEXED))
		lam_place_clear(core, &node->f.lower);
	return 0;
}

/* Bring the data of a metadata-only copy up into it; until the mark goes, readers use the lower. */
static int fill_metacopy(struct lam_core *core, struct lam_node *node, enum lam_copy how)
{
	struct timespec times[2];
	struct lam_at top;
	struct statx st, below;
	char caps[64];
	ssize_t caps_size;
	int rc, to;

	rc = lam_at_top(core, node, &top);
	if (rc == 0)
		rc = lam_at_stat(core, &top, &st);
	if (rc < 0)
		return rc;
	caps_size = lam_at_getxattr(core, &top, "security.capability", caps, sizeof(caps));
	to = lam_at_open(core, &top, O_WRONLY);
	if (to < 0)
		return to;
	below = st;
	below.stx_blocks = 0; /* look for holes */
	if (how == LAM_COPY_EMPTY)
		rc = ftruncate(to, 0) < 0 ? -errno : 0;
	else
		rc = copy_contents(core, node, &core->layers[0], to, st.stx_size, &below);
	times[0] = (struct timespec){.tv_sec = st.stx_atime.tv_sec, .tv_nsec = st.stx_atime.tv_nsec};
	times[1] = (struct timespec){.tv_sec = st.stx_mtime.tv_sec, .tv_nsec = st.stx_mtime.tv_nsec};
	if (rc == 0 && futimens(to, times) < 0)
		rc = -errno;
	lam_close(&to);
	if (rc == 0)
		rc = lam_at_top(core, node, &top); /* it may have been renamed meanwhile */
	return rc < 0 ? rc : finish_metacopy(core, node, &top, &st, caps, caps_size);
}

int lam_copyup(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node, enum lam_copy how)
{
	struct lam_ldir *dir;
	struct lam_at at;
	struct statx st;
	int rc;

	if (!core->nuppers || core->flags & LAM_CFG_READONLY)
		return -EROFS;
	if (lam_is_dir(node)) {
		if (node->fd >= 0 || lam_upper_dir(node))
			return 0;
		return lam_dir_on(core, node, &core->layers[0], &dir);
	}
	while (node->flags & LAM_NODE_COPYING) {
		if (!may_block(caller))
			return -LAM_EAGAIN;
		pthread_cond_wait(&core->copied, &core->lock);
	}
	if (lam_on_upper(node) && (how == LAM_COPY_META || !(node->flags & LAM_NODE_METACOPY)))
		return 0;
	if (!may_block(caller) && S_ISREG(node->type) && how != LAM_COPY_EMPTY &&
	    !(how == LAM_COPY_META && core->flags & LAM_CFG_METACOPY)) {
		rc = lam_at_data(core, node, &at);
		if (rc == 0)
			rc = lam_at_stat(core, &at, &st);
		if (rc < 0)
			return rc;
		if (takes_long(core, &core->layers[0], st.stx_size))
			return -LAM_EAGAIN;
	}
	return lam_on_upper(node) ? fill_metacopy(core, node, how) : copy_whole(core, node, how);
}
