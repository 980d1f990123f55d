/* SPDX-License-Identifier: MIT */
#include "refuse.h"

#include "report.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

void lam_refuse_link(int root, const char *path)
{
	static const char *const places[] = { "/proc", "/sys", "/dev" };
	struct stat st;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (strcmp(path, places[i]) == 0 && fstatat(root, path + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !S_ISDIR(st.st_mode))
			lam_fail(LAM_FAILED, 0, "the image's %s is no directory: nothing is mounted on it",
				 path);
	}
}

static bool is_proc(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

void lam_refuse_inside_proc(int tree, int target, const char *path)
{
	static const char *const told[] = { "/proc/cpuinfo",
					    "/proc/diskstats",
					    "/proc/loadavg",
					    "/proc/meminfo",
					    "/proc/net/dev",
					    "/proc/slabinfo",
					    "/proc/stat",
					    "/proc/swaps",
					    "/proc/sys/crypto/fips_enabled",
					    "/proc/sys/kernel/ns_last_pid",
					    "/proc/uptime" };

	if (strcmp(path, "/proc") == 0 && is_proc(tree))
		return;
	/* by its name where none is mounted yet; else by where it lies, to which links may lead */
	if (!is_proc(target) && strcmp(path, "/proc") != 0 && strncmp(path, "/proc/", 6) != 0)
		return;
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		if (strcmp(path, told[i]) == 0)
			return;
	}
	lam_fail(LAM_FAILED, 0, "%s cannot be mounted because it is inside /proc", path);
}
