/* SPDX-License-Identifier: MIT */
/* test_copydata - bytes and holes survive a copy, whatever the sizes and file systems */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lamina/copyup.h>

#include "kernel.h"

#define CHUNK (1u << 20)
#define SMALL (64u << 10)
#define BLOCK 4096u

static int scratch(const char *where)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/lamina-test-XXXXXX", where);
	fd = mkstemp(path);
	EXPECT(fd >= 0 && unlink(path) == 0);
	return fd;
}

static void fill(int fd, uint64_t offset, size_t size)
{
	unsigned char *data = malloc(size + 1);

	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)((offset + i) * 2654435761u >> 13 | 1);
	EXPECT(pwrite(fd, data, size, (off_t)offset) == (ssize_t)size);
	free(data);
}

static void same(int a, int b, size_t size)
{
	struct stat st;
	void *x, *y;

	EXPECT(fstat(b, &st) == 0 && (uint64_t)st.st_size == size);
	if (!size)
		return;
	x = mmap(NULL, size, PROT_READ, MAP_SHARED, a, 0);
	y = mmap(NULL, size, PROT_READ, MAP_SHARED, b, 0);
	EXPECT(x != MAP_FAILED && y != MAP_FAILED && memcmp(x, y, size) == 0);
	munmap(x, size);
	munmap(y, size);
}

static const size_t sizes[] = { 0,	   1,	      BLOCK - 1, BLOCK,	    SMALL - 1,	   SMALL,
				SMALL + 1, CHUNK - 1, CHUNK,	 CHUNK + 1, 3 * CHUNK + 17 };

/* /dev/shm and /tmp are usually two file systems: neither reflink nor copy_file_range reaches across. */
static void copies_all_sizes(const char *from_dir, const char *to_dir)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (int sparse = 0; sparse < 2; sparse++) {
			int from = scratch(from_dir), to = scratch(to_dir);

			fill(from, 0, sizes[i]);
			EXPECT(lam_copy_data(from, to, sizes[i], sparse) == 0);
			same(from, to, sizes[i]);
			close(from);
			close(to);
		}
}

/* Data at the given offsets, one block each, in a file of 'size' bytes. */
static void copies_holes(const char *from_dir, const char *to_dir, const uint64_t *at, int count, size_t size)
{
	int from = scratch(from_dir), to = scratch(to_dir);
	struct stat a, b;

	EXPECT(ftruncate(from, (off_t)size) == 0);
	for (int i = 0; i < count; i++)
		fill(from, at[i], at[i] + BLOCK > size ? (size_t)(size - at[i]) : BLOCK);
	EXPECT(lam_copy_data(from, to, size, true) == 0);
	/* Before looking into them: on tmpfs a hole that was mapped is one no more. */
	EXPECT(fstat(from, &a) == 0 && fstat(to, &b) == 0);
	EXPECT(b.st_blocks <= a.st_blocks + 256); /* a file system may put up to a large page at once */
	same(from, to, size);
	close(from);
	close(to);
}

static void keeps_holes(const char *from, const char *to)
{
	copies_holes(from, to, NULL, 0, 6 * CHUNK);
	copies_holes(from, to, (const uint64_t[]){ 0 }, 1, 6 * CHUNK);
	copies_holes(from, to, (const uint64_t[]){ 6 * CHUNK - 1 }, 1, 6 * CHUNK);
	copies_holes(from, to, (const uint64_t[]){ CHUNK - BLOCK, CHUNK, 5 * CHUNK + BLOCK }, 3,
		     7 * CHUNK + 5);
	copies_holes(from, to, (const uint64_t[]){ BLOCK }, 1, 3 * BLOCK);
}

/* The file changes below us while it is copied: no error, no bytes that were never there. */
static void a_source_that_ends_early_leaves_zeros(const char *dir)
{
	static const size_t real[] = { 10, SMALL + 100, 2 * CHUNK };

	for (size_t i = 0; i < 3; i++)
		for (int sparse = 0; sparse < 2; sparse++) {
			int from = scratch(dir), to = scratch(dir);
			struct stat st;

			fill(from, 0, real[i]);
			EXPECT(lam_copy_data(from, to, real[i] + 2 * CHUNK, sparse) == 0);
			EXPECT(fstat(to, &st) == 0 && (size_t)st.st_size >= real[i]);
			EXPECT(ftruncate(to, (off_t)real[i]) == 0);
			same(from, to, real[i]);
			close(from);
			close(to);
		}
}

static void a_source_that_grew_is_cut(const char *dir)
{
	int from = scratch(dir), to = scratch(dir);

	fill(from, 0, 2 * CHUNK);
	EXPECT(lam_copy_data(from, to, CHUNK + 3, true) == 0);
	same(from, to, CHUNK + 3);
	close(from);
	close(to);
}

/* Memory has no blocks to share; two file systems have none in common. */
static void what_cannot_be_shared_is_left_alone(const char *dir)
{
	int from = scratch(dir), to = memfd_create("to", MFD_CLOEXEC),
	    other = memfd_create("other", MFD_CLOEXEC);
	struct stat st;

	fill(from, 0, CHUNK);
	fill(other, 0, CHUNK);
	EXPECT(lam_copy_shared(other, to, CHUNK) == -EOPNOTSUPP);
	EXPECT(lam_copy_shared(from, to, CHUNK) < 0);
	EXPECT(fstat(to, &st) == 0 && st.st_size == 0);
	close(other);
	close(to);
	close(from);
}

static void errors_are_told(const char *dir)
{
	int from = scratch(dir), to = open("/dev/full", O_WRONLY | O_CLOEXEC), write_only;

	fill(from, 0, CHUNK);
	EXPECT(lam_copy_data(from, to, BLOCK, false) == -ENOSPC);
	EXPECT(lam_copy_data(from, to, CHUNK, false) < 0);
	close(to);
	write_only = open("/dev/null", O_WRONLY | O_CLOEXEC);
	to = scratch(dir);
	EXPECT(lam_copy_data(write_only, to, BLOCK, false) == -EBADF);
	close(write_only);
	close(to);
	close(from);
}

int main(void)
{
	static const char *const dirs[] = { "/tmp", "/dev/shm" };

	kernel_watchdog(60);
	for (int i = 0; i < 4; i++) {
		copies_all_sizes(dirs[i & 1], dirs[i >> 1]);
		keeps_holes(dirs[i & 1], dirs[i >> 1]);
	}
	a_source_that_ends_early_leaves_zeros("/tmp");
	a_source_that_ends_early_leaves_zeros("/dev/shm");
	a_source_that_grew_is_cut("/dev/shm");
	what_cannot_be_shared_is_left_alone("/tmp");
	what_cannot_be_shared_is_left_alone("/dev/shm");
	errors_are_told("/dev/shm");
	return 0;
}
