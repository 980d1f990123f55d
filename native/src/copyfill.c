/* SPDX-License-Identifier: MIT */
/* copyfill - contents for a copy that is being made, or that so far had metadata alone */
#include <lamina/copyup.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lamina/at.h>
#include <lamina/handle.h>
#include <lamina/layer.h>
#include <lamina/node.h>
#include <lamina/sys.h>
#include <lamina/xattr.h>

#define MOST_REFUSALS 8 /* one after the other, to share blocks within a file system */

/* Does a copy of 'bytes' take long enough to be made without the lock, by a thread that may wait? */
bool lam_copy_takes_long(const struct lam_core *core, const struct lam_layer *layer, uint64_t bytes)
{
	return bytes > LAM_SMALL_COPY || (bytes > 0 && layer->slow_sync && core->fsync != LAM_FSYNC_VOLATILE);
}

static bool may_share(const struct lam_layer *layer, const struct lam_contents *from)
{
	return from->fd >= 0 && layer->slow_sync && !layer->unshared;
}

bool lam_copy_shares_soon(const struct lam_layer *layer, const struct lam_contents *from,
			  const struct statx *st)
{
	return may_share(layer, from) && layer->counts_extents && lam_dev(st) == layer->dev &&
	       lam_shares_soon(from->fd, st->stx_size);
}

static int copy_bytes(const struct lam_core *core, const struct lam_layer *layer,
		      const struct lam_contents *from, int to, const struct statx *st)
{
	int rc = lam_contents_copy(from, to, st->stx_size, st->stx_blocks * 512 < st->stx_size);

	/* Before the copy gets its name.  Memory has nothing to wait for. */
	if (rc == 0 && layer->slow_sync && core->fsync != LAM_FSYNC_VOLATILE && fdatasync(to) < 0)
		rc = -errno;
	return rc;
}

/* Learn from how sharing blocks with a file on 'dev' went. */
static void note_sharing(struct lam_layer *layer, int rc, uint64_t dev)
{
	if (rc == -EXDEV && dev == layer->dev)
		layer->refusals++;
	else if (rc == 0)
		layer->refusals = 0;
	layer->unshared |= rc == -EOPNOTSUPP || layer->refusals == MOST_REFUSALS;
}

int lam_copy_contents(struct lam_core *core, struct lam_node *node, struct lam_layer *layer,
		      const struct lam_contents *from, int to, const struct statx *st, bool shared_only)
{
	bool slow = !shared_only && lam_copy_takes_long(core, layer, st->stx_size);
	/* Little that nobody waits for is copied sooner than it is written out, as sharing wants it. */
	bool share = (slow || shared_only) && may_share(layer, from);
	int shared = -EXDEV, rc = 0;

	if (slow) {
		node->flags |= LAM_NODE_COPYING;
		core->lulls++;
		pthread_mutex_unlock(&core->lock);
	}
	if (share)
		shared = lam_copy_shared(from->fd, to, st->stx_size);
	if (shared != -EXDEV && shared != -EOPNOTSUPP)
		rc = shared;
	else
		rc = shared_only ? -LAM_EAGAIN : copy_bytes(core, layer, from, to, st);
	if (slow) {
		pthread_mutex_lock(&core->lock);
		node->flags &= (uint16_t)~LAM_NODE_COPYING;
		pthread_cond_broadcast(&core->copied);
	}
	if (share)
		note_sharing(layer, shared, lam_dev(st));
	if (rc == 0)
		core->stats.copied_bytes += st->stx_size;
	return rc;
}

static int fill_in_place(struct lam_core *core, struct lam_node *node, int to, const struct statx *st)
{
	struct lam_layer *layer = node->f.upper.dir ? node->f.upper.dir->layer : &core->layers[0];
	struct lam_contents from;
	struct lam_at data;
	int rc = lam_at_data(core, node, &data);

	if (rc == 0)
		rc = lam_at_contents(core, &data, O_RDONLY, &from, NULL);
	if (rc < 0)
		return rc;
	rc = lam_copy_contents(core, node, layer, &from, to, st, false);
	lam_close(&from.fd);
	return rc;
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
		rc = top->fd < 0 ? lam_private_remove(core, top->dir, top->name, "metacopy")
				 : lam_at_removexattr(core, top, lam_private_name(core, "metacopy", key));
	if (rc < 0)
		return rc;
	node->flags &= (uint16_t)~LAM_NODE_METACOPY;
	lam_file_uncache(core, node);
	if (!(node->flags & LAM_NODE_INDEXED))
		lam_place_clear(core, &node->f.lower);
	return 0;
}

/* Bring the data of a metadata-only copy up into it; until the mark goes, readers use the lower. */
int lam_metacopy_fill(struct lam_core *core, struct lam_node *node, enum lam_copy how)
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
		rc = fill_in_place(core, node, to, &below);
	times[0] = (struct timespec){ .tv_sec = st.stx_atime.tv_sec, .tv_nsec = st.stx_atime.tv_nsec };
	times[1] = (struct timespec){ .tv_sec = st.stx_mtime.tv_sec, .tv_nsec = st.stx_mtime.tv_nsec };
	if (how == LAM_COPY_EMPTY)
		times[1].tv_nsec = UTIME_NOW;
	if (rc == 0 && futimens(to, times) < 0)
		rc = -errno;
	lam_close(&to);
	if (rc == 0)
		rc = lam_at_top(core, node, &top); /* it may have been renamed meanwhile */
	return rc < 0 ? rc : finish_metacopy(core, node, &top, &st, caps, caps_size);
}
