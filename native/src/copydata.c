/* SPDX-License-Identifier: MIT */
/*
 * copydata - the bytes of a copy-up, by the cheapest way that both file systems offer
 *
 * Theory.  Shared blocks cost nothing and are on the disk already (FICLONE).  Network file systems copy at the server
 * (copy_file_range).  Elsewhere copy_file_range goes page by page; writing straight from a mapping
 * of the source takes a third less processor time, as the page cache may use larger pieces.  The
 * mapping is touched by the kernel alone: a source cut short is an error of write(2), no signal.
 */
#include <lamina/copyup.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (1u << 20)
#define SMALL (64u << 10)
#define WINDOW (2u << 20)  /* mapped at a time */
#define AHEAD (4 * WINDOW) /* read from the disk meanwhile */
#define CEPH_MAGIC 0x00c36400
#define FEW 64		     /* extents; each costs FICLONE some microseconds */
#define PIECE (32u << 20)    /* looked at for unwritten pages at a time */
#define LONGEST_LOOK_US 1000 /* at them all */
#ifndef SYS_cachestat
#define SYS_cachestat 451 /* the same on all architectures but alpha */
#endif
#define TINY (16u << 10) /* fits any thread's stack */

static int write_all(int to, const char *buf, size_t size, uint64_t offset)
{
	while (size > 0) {
		ssize_t n = pwrite(to, buf, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		buf += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* Read and write; a source that ends early is left as it is. */
static int copy_plain(int from, int to, uint64_t offset, uint64_t end)
{
	size_t room = end - offset < CHUNK ? (size_t)(end - offset) : CHUNK;
	char tiny[TINY], *buf = room > sizeof(tiny) ? malloc(room) : tiny;
	int rc = buf ? 0 : -ENOMEM;

	while (rc == 0 && offset < end) {
		size_t want = end - offset < room ? (size_t)(end - offset) : room;
		ssize_t n = pread(from, buf, want, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = n < 0 ? -errno : 0;
			break;
		}
		rc = write_all(to, buf, (size_t)n, offset);
		offset += (uint64_t)n;
	}
	if (buf != tiny)
		free(buf);
	return rc;
}

static bool copies_at_server(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	return fs.f_type == NFS_SUPER_MAGIC || fs.f_type == SMB2_SUPER_MAGIC ||
	       fs.f_type == CIFS_SUPER_MAGIC || fs.f_type == CEPH_MAGIC;
}

/* Write from mappings of the source; what cannot be mapped is read. */
static int copy_mapped(int from, int to, uint64_t offset, uint64_t end)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	int rc = 0;

	while (rc == 0 && offset < end) {
		uint64_t start = offset & ~page, skip = offset - start;
		size_t size = end - start < WINDOW ? (size_t)(end - start) : WINDOW;
		char *map;

		if (offset % AHEAD < WINDOW)
			posix_fadvise(from, (off_t)(start + size), AHEAD, POSIX_FADV_WILLNEED);
		map = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, from, (off_t)start);
		if (map == MAP_FAILED)
			return copy_plain(from, to, offset, end);
		rc = write_all(to, map + skip, size - skip, offset);
		munmap(map, size);
		if (rc == -EFAULT) /* it ends early, or cannot be read */
			return copy_plain(from, to, offset, end);
		offset = start + size;
	}
	return rc;
}

static int copy_segment(int from, int to, uint64_t offset, uint64_t end)
{
	if (end - offset <= SMALL)
		return copy_plain(from, to, offset, end);
	if (!copies_at_server(to))
		return copy_mapped(from, to, offset, end);
	while (offset < end) {
		off_t in = (off_t)offset, out = (off_t)offset;
		ssize_t n = copy_file_range(from, &in, to, &out, end - offset, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS ||
			      errno == EBADF || errno == EIO))
			return copy_plain(from, to, offset, end);
		if (n < 0)
			return -errno;
		if (n == 0) /* some file systems answer 0 for what they cannot */
			return copy_plain(from, to, offset, end);
		offset += (uint64_t)n;
	}
	return 0;
}

int lam_copy_shared(int from, int to, uint64_t size)
{
	if (ioctl(to, FICLONE, from) < 0)
		return errno == EOPNOTSUPP || errno == ENOTTY ? -EOPNOTSUPP : -EXDEV;
	return ftruncate(to, (off_t)size) < 0 ? -errno : 0;
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

/* Is all of it on the disk?  False also where that takes long to say: many small pages in memory. */
static bool is_clean(int fd, uint64_t size)
{
	int64_t start = now_us();
	struct {
		uint64_t cached, dirty, writeback, evicted, recently;
	} pages;

	for (uint64_t at = 0; at < size; at += PIECE) {
		struct {
			uint64_t offset, length;
		} range = { at, PIECE };

		if (syscall(SYS_cachestat, fd, &range, &pages, 0) < 0 || pages.dirty || pages.writeback ||
		    now_us() - start > LONGEST_LOOK_US)
			return false;
	}
	return true;
}

bool lam_shares_soon(int from, uint64_t size)
{
	struct fsxattr about;

	return ioctl(from, FS_IOC_FSGETXATTR, &about) == 0 && about.fsx_nextents <= FEW &&
	       is_clean(from, size);
}

int lam_copy_data(int from, int to, uint64_t size, bool sparse)
{
	uint64_t offset = 0;
	int rc = 0;

	if (size <= SMALL && !sparse)
		return size ? copy_plain(from, to, 0, size) : 0;
	while (rc == 0 && offset < size) {
		off_t data = lseek(from, (off_t)offset, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			break; /* a hole to the end */
		if (data < 0) {
			rc = copy_segment(from, to, offset, size);
			break;
		}
		if ((uint64_t)data >= size)
			break;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0 || (uint64_t)hole > size)
			hole = (off_t)size;
		if ((uint64_t)data < offset || hole <= data) { /* it lies: a FUSE server may say anything */
			rc = copy_segment(from, to, offset, size);
			break;
		}
		rc = copy_segment(from, to, (uint64_t)data, (uint64_t)hole);
		offset = (uint64_t)hole;
	}
	if (rc == 0 && ftruncate(to, (off_t)size) < 0)
		rc = -errno;
	return rc;
}
