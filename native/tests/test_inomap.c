/* SPDX-License-Identifier: MIT */
/* test_inomap - numbers of objects: unique over file systems, read back from file handles */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lamina/inomap.h>
#include <lamina/sys.h>

#include "kernel.h"

#define HEAD 21

static void numbers_devices_in_order(void)
{
	struct lam_core core = { 0 };

	for (int i = 0; i < 100; i++)
		EXPECT(lam_fsid(&core, 1000 + (uint64_t)i) == i);
	for (int i = 0; i < 100; i++)
		EXPECT(lam_fsid(&core, 1000 + (uint64_t)i) == i);
	free(core.devices);
}

static void numbers_differ(void)
{
	static const uint64_t inos[] = { 1,	    2, 0xffffffff, 1ull << 55, 1ull << 56, (1ull << 56) + 1,
					 UINT64_MAX };
	uint64_t seen[80 * 7];
	struct lam_core core = { 0 };
	int count = 0;

	for (uint64_t dev = 0; dev < 80; dev++)
		for (int i = 0; i < 7; i++) {
			uint64_t ino = lam_ino(&core, dev, inos[i]);

			EXPECT(ino != 0 && ino == lam_ino(&core, dev, inos[i]));
			for (int j = 0; j < count; j++)
				EXPECT(seen[j] != ino);
			seen[count++] = ino;
		}
	EXPECT(lam_ino(&core, 0, 42) == 42); /* the first file system's own numbers */
	free(core.devices);
}

static void handles_tell_the_number(const char *where)
{
	char path[64];
	struct lam_core core = { 0 };
	struct statx st;
	struct lam_fh fh, odd;
	uint64_t ino;
	int dir, fd;

	snprintf(path, sizeof(path), "%s/lamina-test-XXXXXX", where);
	fd = mkstemp(path);
	dir = open(where, O_PATH | O_DIRECTORY | O_CLOEXEC);
	EXPECT(fd >= 0 && dir >= 0 && lam_stat_at(fd, "", &st) == 0);
	lam_fsid_learn(&core, dir, lam_dev(&st));
	EXPECT(lam_fh_encode(&core, dir, strrchr(path, '/') + 1, lam_dev(&st), &fh) == 0);
	EXPECT(fh.length > HEAD && fh.length <= LAM_FH_MAX && fh.bytes[2] == fh.length);
	EXPECT(lam_fh_ino(&core, &fh, &ino) && ino == lam_ino(&core, lam_dev(&st), st.stx_ino));
	EXPECT(lam_fh_encode(&core, dir, "no such name", lam_dev(&st), &fh) == -ENOENT);
	/* Every cut and every bit that is not the inode's: an answer or none, but no read beyond the end. */
	EXPECT(lam_fh_encode(&core, dir, strrchr(path, '/') + 1, lam_dev(&st), &fh) == 0);
	for (uint32_t length = 0; length < fh.length; length++) {
		odd = fh;
		odd.length = length;
		EXPECT(!lam_fh_ino(&core, &odd, &ino));
	}
	for (uint32_t bit = 0; bit < HEAD * 8; bit++) {
		odd = fh;
		odd.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		lam_fh_ino(&core, &odd, &ino);
	}
	unlink(path);
	close(fd);
	close(dir);
	free(core.devices);
}

static void names_are_hexadecimal(void)
{
	char name[2 * LAM_FH_MAX + 1];
	struct lam_fh fh = { .length = 3, .bytes = { 0x00, 0xfb, 0x9a } };

	lam_fh_name(&fh, name);
	EXPECT(strcmp(name, "00fb9a") == 0);
	fh.length = LAM_FH_MAX;
	lam_fh_name(&fh, name);
	EXPECT(strlen(name) == 2 * LAM_FH_MAX);
	fh.length = 0;
	lam_fh_name(&fh, name);
	EXPECT(!*name);
}

int main(void)
{
	kernel_watchdog(30);
	numbers_devices_in_order();
	numbers_differ();
	handles_tell_the_number("/tmp");
	handles_tell_the_number("/dev/shm");
	names_are_hexadecimal();
	return 0;
}
