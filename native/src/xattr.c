/* SPDX-License-Identifier: MIT */
#include <lamina/xattr.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lamina/at.h>
#include <lamina/layer.h>
#include <lamina/sys.h>

static const struct {
	const char *suffix;
	enum lam_key key;
} private_keys[] = {
	{ "opaque", LAM_KEY_OPAQUE }, { "redirect", LAM_KEY_REDIRECT }, { "metacopy", LAM_KEY_METACOPY },
	{ "origin", LAM_KEY_ORIGIN }, { "impure", LAM_KEY_IMPURE },	{ "nlink", LAM_KEY_NLINK },
};

enum lam_key lam_private_key(const struct lam_core *core, const char *key)
{
	if (strncmp(key, core->prefix, core->prefix_len) == 0) {
		const char *suffix = key + core->prefix_len;

		for (size_t i = 0; i < sizeof(private_keys) / sizeof(*private_keys); i++)
			if (strcmp(suffix, private_keys[i].suffix) == 0)
				return private_keys[i].key;
		return strncmp(suffix, "overlay.", 8) == 0 ? LAM_KEY_NONE : LAM_KEY_OTHER;
	}
	if (strcmp(key, "user.fuseoverlayfs.opaque") == 0)
		return LAM_KEY_OPAQUE;
	if (strcmp(key, "user.containers.override_stat") == 0 ||
	    strcmp(key, "user.fuseoverlayfs.override_stat") == 0 ||
	    strcmp(key, "security.fuseoverlayfs.override_stat") == 0)
		return LAM_KEY_OVERRIDE;
	return LAM_KEY_NONE;
}

const char *lam_private_name(const struct lam_core *core, const char *suffix, char buf[LAM_KEY_MAX])
{
	snprintf(buf, LAM_KEY_MAX, "%s%s", core->prefix, suffix);
	return buf;
}

int lam_xattr_names(struct lam_core *core, struct lam_ldir *dir, const char *name,
		    struct lam_xattr_names *names)
{
	return lam_xattr_names_at(core, &(const struct lam_at){ .dir = dir, .name = name, .fd = -1 }, names);
}

int lam_xattr_names_at(struct lam_core *core, const struct lam_at *at, struct lam_xattr_names *names)
{
	ssize_t length;
	size_t room;

	names->list = names->buffer;
	length = lam_at_listxattr(core, at, names->buffer, sizeof(names->buffer));
	for (int tries = 0; length == -ERANGE && tries < 8; tries++) { /* the list may grow meanwhile */
		lam_xattr_names_free(names);
		length = lam_at_listxattr(core, at, NULL, 0);
		if (length < 0)
			break;
		room = (size_t)length + 256; /* never 0, which would ask for the length again */
		names->list = malloc(room);
		if (!names->list)
			return -ENOMEM;
		length = lam_at_listxattr(core, at, names->list, room);
	}
	if (length < 0) {
		lam_xattr_names_free(names);
		return (int)length;
	}
	names->length = (size_t)length;
	return 0;
}

const char *lam_xattr_next(const struct lam_xattr_names *names, const char *key)
{
	const char *next = key ? key + strlen(key) + 1 : names->list;

	return next < names->list + names->length ? next : NULL;
}

void lam_xattr_names_free(struct lam_xattr_names *names)
{
	if (names->list != names->buffer)
		free(names->list);
	names->list = names->buffer;
	names->length = 0;
}

/* Set ('value') or remove a private xattr at (fd, name). */
static int change(int fd, const char *name, const char *key, const void *value, size_t size)
{
	return value ? lam_setxattr_at(fd, name, key, value, size, 0) : lam_removexattr_at(fd, name, key);
}

/*
 * The same where the mode forbids its owner, that is us, to write: user.* xattrs then need the
 * right for a moment.  Symbolic links have no mode to lend, and no user.* xattrs.
 */
static int change_forced(const struct lam_core *core, int fd, const char *name, const char *key,
			 const void *value, size_t size)
{
	struct statx st;
	int rc = change(fd, name, key, value, size), back;

	if (rc != -EACCES || lam_stat_at(fd, name, &st) < 0 || st.stx_uid != core->euid ||
	    S_ISLNK(st.stx_mode))
		return rc;
	if (lam_chmod_at(fd, name, (st.stx_mode & 07777) | S_IWUSR) < 0)
		return rc;
	rc = change(fd, name, key, value, size);
	back = lam_chmod_at(fd, name, st.stx_mode & 07777);
	return rc < 0 ? rc : back;
}

int lam_private_set(struct lam_core *core, struct lam_ldir *dir, const char *name, const char *suffix,
		    const void *value, size_t size)
{
	char key[LAM_KEY_MAX];
	int fd = lam_ldir_look_at(core, dir, &name);

	if (fd < 0)
		return fd;
	return change_forced(core, fd, name, lam_private_name(core, suffix, key), value, size);
}

int lam_private_remove(struct lam_core *core, struct lam_ldir *dir, const char *name, const char *suffix)
{
	char key[LAM_KEY_MAX];
	int fd = lam_ldir_look_at(core, dir, &name);

	if (fd < 0)
		return fd;
	return change_forced(core, fd, name, lam_private_name(core, suffix, key), NULL, 0);
}

ssize_t lam_private_get(struct lam_core *core, struct lam_ldir *dir, const char *name, const char *suffix,
			void *value, size_t size)
{
	char key[LAM_KEY_MAX];

	return lam_layer_getxattr(core, dir, name, lam_private_name(core, suffix, key), value, size);
}

int lam_mark_impure(struct lam_core *core, struct lam_ldir *dir)
{
	int rc;

	if (dir->flags & LAM_LDIR_IMPURE)
		return 0;
	rc = lam_private_set(core, dir, ".", "impure", "y", 1);
	if (rc == 0)
		dir->flags |= LAM_LDIR_IMPURE;
	/* Without it only inode numbers of this directory's listing in kernel overlayfs suffer. */
	return rc == -EOPNOTSUPP || rc == -EPERM ? 0 : rc;
}
