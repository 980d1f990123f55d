/* SPDX-License-Identifier: MIT */
/*
 * test_mount - what mounting says when it fails; and, where mounting is allowed, a real mount
 *
 * The real mount is used by a child process; whatever becomes of it, the parent unmounts.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lamina/mount.h>

#include "kernel.h"

#define STRANGER 65534
#define NO_OTHER_USER 77 /* in a user namespace that maps only one */

struct stage {
	struct kernel k;
	char mnt[96];
	int fuse_fd;
};

static void explains_failures(void)
{
	char why[200], small[8];

	EXPECT(lam_mount_direct("/nonexistent/dir", "x", 0, "", why, sizeof(why)) == -ENOENT);
	EXPECT(!strcmp(why, "mount point /nonexistent/dir does not exist"));
	EXPECT(lam_mount_direct("/dev/null", "x", 0, "", why, sizeof(why)) == -ENOTDIR);
	EXPECT(!strcmp(why, "mount point /dev/null is not a directory"));
	EXPECT(lam_mount_direct("/dev/null", "x", 0, "", small, sizeof(small)) == -ENOTDIR);
	EXPECT(!strcmp(small, "mount p"));
	EXPECT(lam_mount_direct("/dev/null", "x", 0, "", NULL, 0) == -ENOTDIR);
	EXPECT(setenv("PATH", "/nonexistent", 1) == 0);
	EXPECT(lam_mount_helper("/", "", why, sizeof(why)) == -ENOENT);
	EXPECT(!strcmp(why, "fusermount3 is not installed (package fuse3)"));
	EXPECT(lam_unmount("/nonexistent/dir", 0) < 0);
}

static void put(const char *top, const char *path, const char *text)
{
	char full[200];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", top, path);
	file = fopen(full, "w");
	EXPECT(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static int opened(const struct stage *stage, const char *name, int flags)
{
	char full[200];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", stage->mnt, name);
	fd = open(full, flags | O_CLOEXEC, 0666);
	EXPECT(fd >= 0);
	return fd;
}

static int holds(int fd, const char *text)
{
	char buf[64] = "";
	ssize_t n = pread(fd, buf, sizeof(buf), 0);

	return n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n);
}

/*
 * Old readers and new writers of a file that is copied up meanwhile (backing.h).  What the old
 * reader sees afterwards is not said: with passthrough it keeps the lower file.
 */
static void copies_up_under_a_reader(const struct stage *stage)
{
	int reader = opened(stage, "f", O_RDONLY), writer, later;
	struct stat first, second;
	char *map;

	EXPECT(holds(reader, "lower"));
	writer = opened(stage, "f", O_RDWR);
	EXPECT(pwrite(writer, "UPPER", 5, 0) == 5);
	EXPECT(holds(writer, "UPPER"));
	later = opened(stage, "f", O_RDONLY);
	EXPECT(holds(later, "UPPER"));
	map = mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);
	EXPECT(map != MAP_FAILED && map[0] == 'U');
	map[0] = 'u';
	EXPECT(munmap(map, 5) == 0 && fsync(writer) == 0);
	EXPECT(holds(later, "uPPER"));
	EXPECT(fstat(reader, &first) == 0 && fstat(writer, &second) == 0 && first.st_ino == second.st_ino);
	EXPECT(close(reader) == 0 && close(writer) == 0 && close(later) == 0);
	later = opened(stage, "f", O_WRONLY | O_APPEND);
	EXPECT(write(later, "!", 1) == 1 && close(later) == 0);
	later = opened(stage, "f", O_RDONLY);
	EXPECT(holds(later, "uPPER!") && close(later) == 0);
}

/* The core keeps capabilities over changes of the user in its process; a stranger has none. */
static int becomes_stranger(void)
{
	return prctl(PR_SET_SECUREBITS, 0) == 0 && setgid(STRANGER) == 0 && setuid(STRANGER) == 0;
}

/* A file that becomes setuid while a user has it open for writing (backing.h). */
static void clears_setuid_on_late_writes(const struct stage *stage)
{
	int fd = opened(stage, "prog", O_RDWR | O_CREAT), status;
	struct stat st;
	pid_t pid;

	EXPECT(write(fd, "code", 4) == 4 && fchmod(fd, 04777) == 0);
	pid = fork();
	if (pid == 0)
		_exit(becomes_stranger() ? pwrite(fd, "evil", 4, 0) != 4 : NO_OTHER_USER);
	EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	EXPECT(fstat(fd, &st) == 0);
	EXPECT(WEXITSTATUS(status) == NO_OTHER_USER ||
	       (WEXITSTATUS(status) == 0 && (st.st_mode & 07777) == 0777));
	EXPECT(close(fd) == 0);
}

static void uses(const struct stage *stage)
{
	char full[200];

	copies_up_under_a_reader(stage);
	if (geteuid() == 0)
		clears_setuid_on_late_writes(stage);
	snprintf(full, sizeof(full), "%s/made", stage->mnt);
	EXPECT(mkdir(full, 0700) == 0 && rmdir(full) == 0);
}

static void serve_mounted(struct stage *stage, const struct lam_server_config *config)
{
	struct lam_server_config mine = *config;
	int status = 1, detail;
	pid_t pid;

	mine.fuse_fd = stage->fuse_fd;
	mine.entry_timeout = mine.attr_timeout = mine.negative_timeout = 60;
	EXPECT(lam_server_open(stage->k.core, &mine, &stage->k.srv) == 0);
	EXPECT(lam_server_start(stage->k.srv) == 0);
	pid = fork();
	if (pid == 0) {
		kernel_watchdog(40);
		uses(stage);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	EXPECT(lam_unmount(stage->mnt, status != 0) == 0);
	EXPECT(status == 0);
	EXPECT(lam_server_wait(stage->k.srv, &detail) == LAM_EVENT_UNMOUNTED);
	lam_server_free(stage->k.srv);
}

/* 0 if this host lets us. */
static int mount_and_use(const struct lam_server_config *config)
{
	struct stage stage = { .fuse_fd = -1 };
	char why[200] = "";

	kernel_make_core(&stage.k);
	put(stage.k.top, "lower/f", "lower");
	snprintf(stage.mnt, sizeof(stage.mnt), "%s/mnt", stage.k.top);
	stage.fuse_fd = lam_mount_direct(stage.mnt, "lamina", 0, "default_permissions,allow_other", why,
					 sizeof(why));
	if (stage.fuse_fd >= 0) {
		serve_mounted(&stage, config);
		close(stage.fuse_fd);
	}
	kernel_drop_core(&stage.k);
	return stage.fuse_fd < 0 ? stage.fuse_fd : 0;
}

int main(void)
{
	struct lam_server_config stateless = { .passthrough = LAM_OFF };
	struct lam_server_config handles = { .passthrough = LAM_OFF, .stateless = LAM_OFF };
	struct lam_server_config passthrough = { .passthrough = LAM_ON };

	kernel_watchdog(110);
	explains_failures();
	if (geteuid() || mount_and_use(&stateless)) {
		fprintf(stderr, "test_mount: no real mount: this user may not, or there is no /dev/fuse\n");
		return 0;
	}
	EXPECT(mount_and_use(&handles) == 0);
	EXPECT(mount_and_use(&passthrough) == 0);
	return 0;
}
