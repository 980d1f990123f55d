/* SPDX-License-Identifier: MIT */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int lam_place_open_as(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	if (path[0] == '\0')
		path = ".";
	do {
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd < 0 ? -errno : fd;
}

int lam_place_open(int root, const char *path)
{
	return lam_place_open_as(root, path, O_PATH);
}

/* Make what is missing of 'path', one component after the other. */
int lam_place_directory(int root, const char *path)
{
	char text[PATH_MAX];
	size_t length = strlen(path);
	int fd = lam_place_open_as(root, path, O_PATH | O_DIRECTORY), parent;
	const char *name;

	if (fd != -ENOENT)
		return fd;
	if (length >= sizeof(text))
		return -ENAMETOOLONG;
	memcpy(text, path, length + 1);
	for (char *end = text;; end++) {
		char saved;

		end += strspn(end, "/");
		end += strcspn(end, "/");
		saved = *end;
		*end = '\0';
		fd = lam_place_open_as(root, text, O_PATH | O_DIRECTORY);
		if (fd == -ENOENT) {
			name = strrchr(text, '/');
			name = name ? name + 1 : text;
			*end = '\0';
			if (name > text) {
				text[name - text - 1] = '\0';
				parent = lam_place_open_as(root, text, O_PATH | O_DIRECTORY);
				text[name - text - 1] = '/';
			} else {
				parent = lam_place_open_as(root, ".", O_PATH | O_DIRECTORY);
			}
			if (parent < 0)
				return parent;
			fd = mkdirat(parent, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
			close(parent);
			if (fd == 0)
				fd = lam_place_open_as(root, text, O_PATH | O_DIRECTORY);
		}
		if (fd < 0)
			return fd;
		*end = saved;
		if (saved == '\0' || end[strspn(end, "/")] == '\0')
			return fd;
		close(fd);
	}
}

int lam_place_parent(int root, const char *path, const char **name)
{
	char text[PATH_MAX];
	const char *last = strrchr(path, '/');

	*name = last ? last + 1 : path;
	if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
		return -EINVAL;
	if (!last)
		return lam_place_directory(root, ".");
	if ((size_t)(last - path) >= sizeof(text))
		return -ENAMETOOLONG;
	memcpy(text, path, (size_t)(last - path));
	text[last - path] = '\0';
	return lam_place_directory(root, text);
}

int lam_place_file(int root, const char *path)
{
	const char *name;
	int fd = lam_place_open(root, path), parent;

	if (fd != -ENOENT)
		return fd;
	parent = lam_place_parent(root, path, &name);
	if (parent < 0)
		return parent;
	fd = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0644);
	fd = fd < 0 ? -errno : fd;
	close(parent);
	if (fd < 0 && fd != -EEXIST)
		return fd;
	if (fd >= 0)
		close(fd);
	return lam_place_open(root, path);
}
