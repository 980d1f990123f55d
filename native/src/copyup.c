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
#include <lamina/contents.h>
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
	struct lam_at at; /* the object whose metadata is copied */
	struct statx st;
	struct lam_temp temp;
	struct lam_wish *wish;	  /* NULL: nothing but the copy is asked for */
	struct lam_contents from; /* the data, if it is copied */
	bool copies;
	bool shared_only; /* whoever asks may not wait for more */
	enum lam_copy how;
	bool metacopy; /* leave the data below */
	bool indexed;
	bool replace; /* take the place of a metadata-only copy */
	char index_name[LAM_INDEX_NAME];
};

static bool may_block(const struct lam_caller *caller)
{
	return caller->flags & LAM_CALLER_MAY_BLOCK;
}

static const struct lam_setattr *wanted(const struct copy *copy)
{
	return copy->wish ? copy->wish->set : NULL;
}

/* A copy has its last mode from the start if nothing on the way needs more rights or takes bits away. */
static mode_t first_mode(const struct copy *copy)
{
	const struct lam_setattr *set = wanted(copy);
	mode_t mode = (set && set->valid & LAM_SET_MODE ? set->mode : copy->st.stx_mode) & 07777;

	return (mode & ~0777u) == 0 && (mode & 0600) == 0600 ? mode : 0600;
}

static int make_temp(struct lam_core *core, struct copy *copy)
{
	const struct statx *st = &copy->st;
	char target[4096];
	ssize_t length = 0;

	if (S_ISREG(st->stx_mode))
		return lam_temp_file(core, copy->layer, first_mode(copy), &copy->temp);
	if (S_ISLNK(st->stx_mode)) {
		length = lam_at_readlink(core, &copy->at, target, sizeof(target) - 1);
		if (length < 0)
			return (int)length;
	}
	target[length] = '\0';
	return lam_temp_node(core, copy->layer, (mode_t)((st->stx_mode & S_IFMT) | 0600),
			     makedev(st->stx_rdev_major, st->stx_rdev_minor), target, &copy->temp);
}

/* The descriptor of the data serves for the metadata too, unless that is a copy's and the data its lower's. */
static int meta_fd(const struct copy *copy)
{
	return copy->node->flags & LAM_NODE_METACOPY ? -1 : copy->from.fd;
}

/* What the copy comes from: for st_ino, and for the index of hard links. */
static int mark_origin(struct lam_core *core, struct copy *copy)
{
	char key[LAM_KEY_MAX];
	struct lam_fh fh;
	ssize_t length;
	int rc;

	if (copy->replace) {
		length = copy->at.fd < 0 ? lam_private_get(core, copy->at.dir, copy->at.name, "origin",
							   fh.bytes, sizeof(fh.bytes))
					 : -ENODATA;
		return length <= 0 ? 0
				   : lam_temp_setxattr(&copy->temp, lam_private_name(core, "origin", key),
						       fh.bytes, (size_t)length);
	}
	/* The origin of a name whose link is broken is shared with others: it says nothing of st_ino. */
	if (copy->st.stx_nlink > 1 && !copy->indexed)
		return 0;
	rc = lam_set_origin(core, &copy->at, meta_fd(copy), &copy->st, &copy->temp);
	if (rc == 0)
		copy->node->flags |= LAM_NODE_ORIGIN;
	if (!copy->indexed)
		return 0; /* kernel overlayfs does without one as well */
	/* An index entry has to say whose it is and, from the start, how many names there are. */
	return rc < 0 ? rc : lam_temp_setxattr(&copy->temp, lam_private_name(core, "nlink", key), "L+0", 3);
}

/* Contents (or just the size, for a metadata-only copy), then metadata and marks. */
static int fill_temp(struct lam_core *core, struct copy *copy)
{
	struct lam_at meta = { .fd = meta_fd(copy) };
	char key[LAM_KEY_MAX];
	int rc = 0;

	if (copy->metacopy) {
		if (ftruncate(copy->temp.fd, (off_t)copy->st.stx_size) < 0)
			return -errno;
	} else if (copy->copies) {
		rc = lam_copy_contents(core, copy->node, copy->layer, &copy->from, copy->temp.fd, &copy->st,
				       copy->shared_only);
		if (rc == 0) /* it may have lost its name meanwhile */
			rc = lam_at_top(core, copy->node, &copy->at);
	}
	if (rc == 0 && copy->metacopy)
		rc = lam_temp_setxattr(&copy->temp, lam_private_name(core, "metacopy", key), "", 0);
	if (rc == 0)
		rc = mark_origin(core, copy);
	if (rc == 0)
		rc = lam_copy_meta(core, meta.fd < 0 ? &copy->at : &meta, &copy->st, &copy->temp,
				   copy->how == LAM_COPY_EMPTY, wanted(copy));
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
	lam_close(&copy->node->fd);
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
	if (copy->metacopy) /* also if it gets no further */
		node->flags |= LAM_NODE_METACOPY;
	return lam_links_up(core, node, dir, node->dent->name);
}

static int publish(struct lam_core *core, struct copy *copy)
{
	struct lam_node *node = copy->node;
	struct timespec mtime;
	struct lam_ldir *dir;
	int rc;

	if (!node->dent)
		return publish_nameless(copy);
	rc = lam_dir_on(core, node->dent->dir, copy->layer, &dir);
	if (rc == 0 && node->flags & LAM_NODE_ORIGIN)
		rc = lam_mark_impure(core, dir);
	if (rc == 0)
		rc = lam_mtime_save(core, dir, &mtime);
	if (rc < 0)
		return rc;
	if (copy->indexed) {
		rc = publish_indexed(core, copy, dir);
	} else {
		rc = lam_temp_publish(core, &copy->temp, dir, node->dent->name, copy->replace);
		if (rc == 0)
			rc = lam_place_set(core, &node->f.upper, dir, NULL);
	}
	lam_mtime_restore(core, dir, &mtime);
	return rc < 0 || copy->replace ? rc : lam_dent_raise(node->dent, (uint16_t)copy->layer->index);
}

/* Who has a file copied up writes to it next: the descriptor of the copy is at hand. */
static void keep_open(struct lam_core *core, struct copy *copy)
{
	struct lam_file *file;

	lam_file_uncache(core, copy->node);
	if (copy->temp.fd < 0 || !S_ISREG(copy->st.stx_mode))
		return;
	file = lam_file_new(copy->temp.fd, true, false);
	copy->temp.fd = -1;
	if (!file)
		return;
	lam_file_cache(core, copy->node, file);
	lam_file_put(core, file);
}

/* The node lives on the upper now: what was open below no longer counts. */
static void settle(struct lam_core *core, struct copy *copy)
{
	struct lam_node *node = copy->node;

	if (copy->metacopy) {
		node->flags |= LAM_NODE_METACOPY;
		node->flags &=
			(uint16_t)~LAM_NODE_REDIRECT; /* that was the lower's; the copy is below it by name */
		core->stats.metacopies++;
	} else {
		node->flags &= (uint16_t) ~(LAM_NODE_METACOPY | LAM_NODE_REDIRECT);
		keep_open(core, copy);
		if (!(node->flags & LAM_NODE_INDEXED))
			lam_place_clear(core, &node->f.lower);
	}
	core->stats.copyups++;
}

static bool metadata_suffices(const struct lam_core *core, const struct copy *copy)
{
	return copy->how == LAM_COPY_META && core->flags & LAM_CFG_METACOPY &&
	       copy->layer->abilities & LAM_UP_XATTR;
}

/* Open the data if it is going to be copied.  Its attributes are then the descriptor's. */
static int open_source(struct lam_core *core, struct copy *copy)
{
	struct lam_at data;
	int rc = 0;

	copy->copies = S_ISREG(copy->node->type) && copy->how != LAM_COPY_EMPTY &&
		       !metadata_suffices(core, copy);
	if (copy->copies)
		rc = lam_at_data(core, copy->node, &data);
	if (rc == 0 && copy->copies)
		rc = lam_at_contents(core, &data, O_RDONLY, &copy->from, &copy->st);
	if (rc == 0 && (!copy->copies || copy->node->flags & LAM_NODE_METACOPY))
		rc = lam_at_stat(core, &copy->at, &copy->st);
	if (rc == 0 && (copy->st.stx_mode & S_IFMT) != copy->node->type)
		rc = -ESTALE; /* replaced below the mount */
	return rc;
}

static int prepare(struct lam_core *core, const struct lam_caller *caller, struct copy *copy)
{
	struct lam_node *node = copy->node;
	struct lam_ldir *dir;
	int rc;

	rc = lam_at_top(core, node, &copy->at);
	if (rc == 0)
		rc = open_source(core, copy);
	copy->shared_only = rc == 0 && copy->copies && !may_block(caller) &&
			    lam_copy_takes_long(core, copy->layer, copy->st.stx_size);
	if (copy->shared_only && !lam_copy_shares_soon(copy->layer, &copy->from, &copy->st))
		rc = -LAM_EAGAIN;
	if (rc == 0)
		lam_copy_owner(core, &copy->at, &copy->st);
	if (rc == 0 && node->dent)
		rc = lam_dir_on(core, node->dent->dir, copy->layer, &dir);
	if (rc < 0)
		return rc;
	copy->metacopy = S_ISREG(node->type) && copy->st.stx_size > 0 && metadata_suffices(core, copy);
	copy->indexed = !copy->replace && node->dent &&
			lam_links_indexed(core, &copy->at, copy->layer, &copy->st, copy->index_name);
	if (!S_ISREG(node->type) || (copy->wish && !lam_copy_can_set(core, &copy->st, copy->wish->set)))
		copy->wish = NULL;
	return 0;
}

/* What the wish has come to. */
static int grant(struct copy *copy)
{
	struct lam_wish *wish = copy->wish;
	int rc;

	if (!wish)
		return 0;
	if (wish->set->valid & LAM_SET_MODE)
		copy->node->flags &= (uint16_t)~LAM_NODE_NOPRIV;
	wish->done = true;
	rc = lam_stat_at(copy->temp.fd >= 0 ? copy->temp.fd : copy->node->fd, "", &wish->st);
	if (copy->metacopy)
		wish->st.stx_blocks = copy->st.stx_blocks;
	return rc;
}

static int copy_whole(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node,
		      enum lam_copy how, struct lam_wish *wish)
{
	bool replace = lam_on_upper(node); /* a metadata-only copy */
	struct copy copy = { .node = node,
			     .layer = replace ? node->f.upper.dir->layer : &core->layers[0],
			     .how = how,
			     .wish = wish,
			     .from = { .fd = -1 },
			     .temp = { .fd = -1 },
			     .replace = replace };
	bool had_origin = node->flags & LAM_NODE_ORIGIN;
	int rc;

	rc = prepare(core, caller, &copy);
	if (rc == 0)
		rc = make_temp(core, &copy);
	if (rc == 0)
		rc = fill_temp(core, &copy);
	if (rc == 0)
		rc = publish(core, &copy);
	if (rc == 0) {
		rc = grant(&copy);
		settle(core, &copy);
	} else if (!had_origin) {
		node->flags &= (uint16_t)~LAM_NODE_ORIGIN;
	}
	lam_close(&copy.from.fd);
	lam_temp_end(&copy.temp);
	return rc;
}

/*
 * A metadata-only copy gets its data.  One with a single name is replaced by a whole copy at one
 * instant; one with several names has to be filled where it is.
 */
static int complete(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node,
		    enum lam_copy how)
{
	struct lam_at at;
	struct statx st;
	int rc = lam_at_top(core, node, &at);

	if (rc == 0)
		rc = lam_at_stat(core, &at, &st);
	if (rc < 0)
		return rc;
	if (at.fd < 0 && st.stx_nlink < 2 && !(node->flags & LAM_NODE_INDEXED))
		return copy_whole(core, caller, node, how, NULL);
	if (how != LAM_COPY_EMPTY && !may_block(caller) &&
	    lam_copy_takes_long(core, &core->layers[0], st.stx_size))
		return -LAM_EAGAIN;
	return lam_metacopy_fill(core, node, how);
}

int lam_copyup(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node,
	       enum lam_copy how)
{
	return lam_copyup_for(core, caller, node, how, NULL);
}

int lam_copyup_for(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node,
		   enum lam_copy how, struct lam_wish *wish)
{
	struct lam_ldir *dir;

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
		core->lulls++;
		pthread_cond_wait(&core->copied, &core->lock);
	}
	if (lam_on_upper(node) && (how == LAM_COPY_META || !(node->flags & LAM_NODE_METACOPY)))
		return 0;
	if (lam_on_upper(node))
		return complete(core, caller, node, how);
	return copy_whole(core, caller, node, how, how == LAM_COPY_META ? wish : NULL);
}
