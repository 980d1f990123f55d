/* SPDX-License-Identifier: MIT */
/*
 * verbs_data - open files and their contents
 *
 * Descriptors are lent (lam_data_get) and used without the lock: reads and writes of many
 * threads run side by side.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lamina/at.h>
#include <lamina/copyup.h>
#include <lamina/handle.h>
#include <lamina/layer.h>
#include <lamina/node.h>
#include <lamina/verbs.h>

static bool wants_write(uint32_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
}

static int open_node(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node,
		     uint32_t flags, uint64_t *fh)
{
	bool emptied = false;
	struct lam_file *file;
	int rc = 0;

	if (!S_ISREG(node->type))
		return lam_is_dir(node) ? -EISDIR : -EINVAL;
	if (wants_write(flags)) {
		/* A copy that leaves the data behind is empty already. */
		emptied = flags & O_TRUNC && (!lam_on_upper(node) || node->flags & LAM_NODE_METACOPY);
		rc = lam_may_write(core);
		if (rc == 0)
			rc = lam_copyup(core, caller, node, flags & O_TRUNC ? LAM_COPY_EMPTY : LAM_COPY_DATA);
	}
	if (rc == 0)
		rc = lam_node_file(core, node, wants_write(flags), &file);
	if (rc < 0)
		return rc;
	if (flags & O_TRUNC && !emptied && ftruncate(file->fd, 0) < 0)
		rc = -errno;
	*fh = rc == 0 ? lam_handle_new(core, node, file) : 0;
	if (*fh)
		return 0;
	lam_file_put(core, file);
	return rc < 0 ? rc : -ENOMEM;
}

int lam_open(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint32_t flags,
	     uint64_t *fh)
{
	struct lam_node *node;
	int rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	rc = open_node(core, caller, node, flags, fh);
	lam_leave(core, node);
	return rc;
}

void lam_release(struct lam_core *core, uint64_t fh)
{
	struct lam_handle *handle;

	pthread_mutex_lock(&core->lock);
	handle = lam_handle_find(core, fh);
	if (handle)
		lam_handle_free(core, handle);
	pthread_mutex_unlock(&core->lock);
}

/* The handle's file, exchanged if the node has been copied up or a writable one is needed. */
static int handle_file(struct lam_core *core, struct lam_node *node, struct lam_handle *handle, bool write,
		       struct lam_file **out)
{
	struct lam_file *file = handle->file;
	bool stale = file->on_lower && lam_on_upper(node) && !(node->flags & LAM_NODE_METACOPY);
	int rc;

	if (stale || (write && (!file->writable || file->on_lower))) {
		rc = lam_node_file(core, node, write || file->writable, &file);
		if (rc < 0)
			return rc;
		lam_file_put(core, handle->file);
		handle->file = file;
	}
	file->refs++;
	*out = file;
	return 0;
}

int lam_data_get(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		 uint32_t purpose, struct lam_data *data)
{
	bool write = purpose == LAM_FOR_WRITE;
	struct lam_handle *handle;
	struct lam_file *file;
	struct lam_node *node;
	int rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	if (!S_ISREG(node->type))
		rc = lam_is_dir(node) ? -EISDIR : -EINVAL;
	if (rc == 0 && write) {
		rc = lam_may_write(core);
		if (rc == 0)
			rc = lam_copyup(core, caller, node, LAM_COPY_DATA);
	}
	if (rc == 0) {
		handle = lam_handle_find(core, fh);
		if (handle && handle->node == node)
			rc = handle_file(core, node, handle, write, &file);
		else
			rc = lam_node_file(core, node, write, &file);
	}
	if (rc == 0)
		*data = (struct lam_data){ .fd = file->fd,
					   .flags = file->on_lower ? LAM_DATA_IMMUTABLE : 0,
					   .pin = file };
	lam_leave(core, node);
	return rc;
}

void lam_data_put(struct lam_core *core, struct lam_data *data)
{
	pthread_mutex_lock(&core->lock);
	lam_file_put(core, data->pin);
	pthread_mutex_unlock(&core->lock);
	data->pin = NULL;
}

ssize_t lam_data_read(const struct lam_data *data, void *buf, size_t size, uint64_t offset, bool wait)
{
	struct lam_contents from = lam_file_contents(data->pin);

	return lam_contents_read(&from, buf, size, offset, wait);
}

bool lam_data_piece(const struct lam_data *data, size_t size, uint64_t offset, struct lam_extent *piece)
{
	struct lam_contents from = lam_file_contents(data->pin);

	return lam_contents_piece(&from, offset, size, piece);
}

ssize_t lam_read(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		 void *buf, size_t size, uint64_t offset)
{
	struct lam_data data;
	ssize_t n = lam_data_get(core, caller, nodeid, fh, LAM_FOR_READ, &data);

	if (n < 0)
		return n;
	n = lam_data_read(&data, buf, size, offset, true);
	lam_data_put(core, &data);
	return n;
}

static int kill_after_write(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid)
{
	struct lam_node *node;
	int rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	rc = lam_kill_privileges(core, caller, node);
	lam_leave(core, node);
	return rc;
}

ssize_t lam_write(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		  const void *buf, size_t size, uint64_t offset, bool kill_suidgid)
{
	struct lam_data data;
	ssize_t n = lam_data_get(core, caller, nodeid, fh, LAM_FOR_WRITE, &data);
	int rc;

	if (n < 0)
		return n;
	do {
		n = pwrite(data.fd, buf, size, (off_t)offset);
	} while (n < 0 && errno == EINTR);
	n = n < 0 ? -errno : n;
	lam_data_put(core, &data);
	if (n > 0 && kill_suidgid) {
		rc = kill_after_write(core, caller, nodeid);
		if (rc < 0)
			return rc;
	}
	return n;
}

static int sync_fd(const struct lam_core *core, int fd, bool datasync)
{
	if (core->fsync == LAM_FSYNC_VOLATILE)
		return 0;
	return (datasync ? fdatasync(fd) : fsync(fd)) < 0 ? -errno : 0;
}

/* A directory's upper part is all that can be dirty. */
static int sync_dir(struct lam_core *core, struct lam_node *node, bool datasync)
{
	struct lam_ldir *part = lam_upper_dir(node);
	int fd = part ? lam_ldir_look(core, part) : -1, rc;

	if (!part)
		return 0;
	fd = fd < 0 ? fd : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* removed meanwhile */
	pthread_mutex_unlock(&core->lock);
	rc = sync_fd(core, fd, datasync);
	close(fd);
	pthread_mutex_lock(&core->lock);
	return rc;
}

int lam_fsync(struct lam_core *core, uint64_t nodeid, uint64_t fh, bool datasync)
{
	struct lam_caller caller = { .flags = LAM_CALLER_MAY_BLOCK };
	struct lam_data data;
	struct lam_node *node;
	bool dirty;
	int rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	dirty = S_ISREG(node->type) && lam_on_upper(node); /* what lies below has nothing to write back */
	if (lam_is_dir(node))
		rc = sync_dir(core, node, datasync);
	lam_leave(core, node);
	if (!dirty)
		return rc;
	rc = lam_data_get(core, &caller, nodeid, fh, LAM_FOR_READ, &data);
	if (rc < 0)
		return rc;
	rc = sync_fd(core, data.fd, datasync);
	lam_data_put(core, &data);
	return rc;
}

int lam_syncfs(struct lam_core *core)
{
	int rc = 0;

	if (core->fsync == LAM_FSYNC_VOLATILE)
		return 0;
	for (uint32_t i = 0; i < core->nuppers; i++) {
		int fd = openat(core->layers[i].root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 || syncfs(fd) < 0)
			rc = -errno;
		if (fd >= 0)
			close(fd);
	}
	return rc;
}

int lam_fallocate(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		  int mode, uint64_t offset, uint64_t length)
{
	struct lam_data data;
	int rc = lam_data_get(core, caller, nodeid, fh, LAM_FOR_WRITE, &data);

	if (rc < 0)
		return rc;
	rc = fallocate(data.fd, mode, (off_t)offset, (off_t)length) < 0 ? -errno : 0;
	lam_data_put(core, &data);
	/* The request does not say whether the caller may keep set-user-ID: take it from all but root. */
	return rc < 0 || caller->uid == 0 ? rc : kill_after_write(core, caller, nodeid);
}

int64_t lam_lseek(struct lam_core *core, uint64_t nodeid, uint64_t fh, int64_t offset, int whence)
{
	struct lam_caller caller = { .flags = LAM_CALLER_MAY_BLOCK };
	struct lam_contents from;
	struct lam_data data;
	int64_t rc;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL; /* the kernel does the others; the offset here is shared */
	rc = lam_data_get(core, &caller, nodeid, fh, LAM_FOR_READ, &data);
	if (rc < 0)
		return rc;
	from = lam_file_contents(data.pin);
	rc = lam_contents_seek(&from, offset, whence);
	lam_data_put(core, &data);
	return rc;
}

ssize_t lam_copy_file_range(struct lam_core *core, const struct lam_caller *caller, uint64_t node_in,
			    uint64_t fh_in, uint64_t off_in, uint64_t node_out, uint64_t fh_out,
			    uint64_t off_out, size_t length)
{
	struct lam_contents source;
	struct lam_data from, to;
	ssize_t n;

	/* The output first: its copy-up may change where the input's data is. */
	n = lam_data_get(core, caller, node_out, fh_out, LAM_FOR_WRITE, &to);
	if (n < 0)
		return n;
	n = lam_data_get(core, caller, node_in, fh_in, LAM_FOR_READ, &from);
	if (n == 0) {
		source = lam_file_contents(from.pin);
		n = lam_contents_copy_range(&source, off_in, to.fd, off_out, length);
		lam_data_put(core, &from);
	}
	lam_data_put(core, &to);
	if (n >= 0 && caller->uid != 0)
		kill_after_write(core, caller, node_out);
	return n;
}
