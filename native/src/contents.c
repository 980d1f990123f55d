/* SPDX-License-Identifier: MIT */
#include <lamina/contents.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <lamina/copyup.h>
#include <lamina/error.h>
#include <lamina/layer.h>

#define COPY_BUFFER 65536
#define SMALLEST_PAGE 4096

static int extent(const struct lam_contents *from, uint64_t offset, uint64_t want, struct lam_extent *out)
{
	return from->image->ops->extent(from->image, from->object, offset, want, out);
}

static ssize_t pread_full(int fd, unsigned char *buf, size_t size, uint64_t offset)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = pread(fd, buf + got, size - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return got ? (ssize_t)got : -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/*
 * A short NOWAIT read is either the end of the file or the end of what is in memory; a second
 * one tells which, unless the first ended within a page: memory has whole ones.
 */
static ssize_t pread_cached(int fd, unsigned char *buf, size_t size, uint64_t offset)
{
	size_t got = 0;

	while (got < size) {
		struct iovec iov = { .iov_base = buf + got, .iov_len = size - got };
		ssize_t n = preadv2(fd, &iov, 1, (off_t)(offset + got), RWF_NOWAIT);

		if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL))
			return pread_full(fd, buf, size, offset); /* no such promise on this file system */
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? -LAM_EAGAIN : -errno;
		got += (size_t)n;
		if (n == 0 || (offset + got) % SMALLEST_PAGE)
			break;
	}
	return (ssize_t)got;
}

static ssize_t read_fd(int fd, unsigned char *buf, size_t size, uint64_t offset, bool wait)
{
	return wait ? pread_full(fd, buf, size, offset) : pread_cached(fd, buf, size, offset);
}

ssize_t lam_contents_read(const struct lam_contents *from, void *buf, size_t size, uint64_t offset, bool wait)
{
	unsigned char *at = buf;
	size_t got = 0;

	if (from->fd >= 0)
		return read_fd(from->fd, at, size, offset, wait);
	while (got < size) {
		struct lam_extent piece;
		ssize_t n = extent(from, offset + got, size - got, &piece);

		if (n < 0)
			return n;
		if (piece.length == 0)
			break;
		if (piece.fd < 0) {
			memset(at + got, 0, piece.length);
		} else {
			n = read_fd(piece.fd, at + got, piece.length, piece.offset, wait);
			if (n < 0)
				return n;
			if ((uint64_t)n < piece.length)
				return -EIO; /* the file that holds it has become shorter */
		}
		got += piece.length;
	}
	return (ssize_t)got;
}

bool lam_contents_piece(const struct lam_contents *from, uint64_t offset, uint64_t size,
			struct lam_extent *piece)
{
	struct lam_extent next;
	struct stat st;

	if (from->fd < 0) {
		if (extent(from, offset, size, piece) < 0 || piece->fd < 0 || piece->length == 0)
			return false;
		return piece->length == size ||
		       (extent(from, offset + piece->length, size, &next) == 0 && next.length == 0);
	}
	if (fstat(from->fd, &st) < 0 || offset >= (uint64_t)st.st_size)
		return false;
	*piece = (struct lam_extent){ .fd = from->fd,
				      .offset = offset,
				      .length = (uint64_t)st.st_size - offset };
	if (piece->length > size)
		piece->length = size;
	return true;
}

int64_t lam_contents_seek(const struct lam_contents *from, int64_t offset, int whence)
{
	struct lam_extent piece;
	uint64_t at = (uint64_t)offset;
	int rc;

	if (from->fd >= 0) {
		int64_t found = lseek(from->fd, offset, whence);

		return found < 0 ? -errno : found;
	}
	if (offset < 0)
		return -ENXIO;
	for (bool first = true;; first = false) {
		rc = extent(from, at, UINT64_MAX, &piece);
		if (rc < 0)
			return rc;
		if (piece.length == 0) /* the end is a hole, but not for who asks from there on */
			return first || whence == SEEK_DATA ? -ENXIO : (int64_t)at;
		if ((piece.fd < 0) == (whence == SEEK_HOLE))
			return (int64_t)at;
		at += piece.length;
	}
}

/* Zeros are written, and what lies on another file system than 'to' is read and written. */
static ssize_t copy_piece(const struct lam_contents *from, uint64_t offset, int to, uint64_t to_offset,
			  size_t size)
{
	unsigned char buf[COPY_BUFFER];
	ssize_t n = lam_contents_read(from, buf, size < sizeof(buf) ? size : sizeof(buf), offset, true);

	if (n > 0) {
		n = pwrite(to, buf, (size_t)n, (off_t)to_offset);
		n = n < 0 ? -errno : n;
	}
	return n;
}

ssize_t lam_contents_copy_range(const struct lam_contents *from, uint64_t offset, int to, uint64_t to_offset,
				size_t size)
{
	off_t in = (off_t)offset, out = (off_t)to_offset;
	struct lam_extent piece = { .fd = from->fd };
	ssize_t n;

	if (from->fd < 0) {
		n = extent(from, offset, size, &piece);
		if (n < 0 || piece.length == 0)
			return n;
		in = (off_t)piece.offset;
		size = (size_t)piece.length;
	}
	n = piece.fd < 0 ? -1 : copy_file_range(piece.fd, &in, to, &out, size, 0);
	if (from->fd < 0 && n <= 0) {
		if (piece.fd >= 0 && n < 0 && errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP)
			return -errno;
		return copy_piece(from, offset, to, to_offset, size);
	}
	return n < 0 ? -errno : n;
}

static int copy_extent(const struct lam_contents *from, int to, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		ssize_t n = lam_contents_copy_range(from, offset, to, offset, end - offset);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		offset += (uint64_t)n;
	}
	return 0;
}

int lam_contents_copy(const struct lam_contents *from, int to, uint64_t size, bool sparse)
{
	uint64_t offset = 0;
	int rc = 0;

	if (from->fd >= 0)
		return lam_copy_data(from->fd, to, size, sparse);
	while (rc == 0 && offset < size) {
		struct lam_extent piece;

		rc = extent(from, offset, size - offset, &piece);
		if (rc < 0 || piece.length == 0)
			break;
		if (piece.fd >= 0)
			rc = copy_extent(from, to, offset, offset + piece.length);
		offset += piece.length;
	}
	if (rc == 0 && ftruncate(to, (off_t)size) < 0)
		rc = -errno;
	return rc;
}
