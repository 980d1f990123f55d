/* SPDX-License-Identifier: MIT */
/* Past 400 lines: every way a name comes to be shares the steps before and after; three lines over. */
/*
 * create - new objects: mknod, mkdir, symlink, create, tmpfile
 *
 * Theory.  Where nothing is in the way on the upper, the object is created in place, as the
 * caller, so that the file system itself gives it owner, inherited group and ACL.  Where a
 * whiteout is, the object is made in a stand-in for the directory (same group, set-group-ID
 * and default ACL) in workdir and then takes the whiteout's place at one instant; a directory
 * is opaque before it does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <lamina/at.h>
#include <lamina/copyup.h>
#include <lamina/handle.h>
#include <lamina/inomap.h>
#include <lamina/layer.h>
#include <lamina/node.h>
#include <lamina/owner.h>
#include <lamina/resolve.h>
#include <lamina/sys.h>
#include <lamina/table.h>
#include <lamina/verbs.h>
#include <lamina/whiteout.h>

struct make {
	const struct lam_caller *caller;
	const char *target; /* of a symbolic link */
	mode_t mode;	    /* with type */
	dev_t rdev;
	int fd; /* of a regular file, open for reading and writing; else -1 */
};

/* Type and mode as they are stored: with owners in xattrs the inode itself stays ours and plain. */
static mode_t stored_mode(const struct lam_core *core, mode_t mode)
{
	if (!lam_override_used(core) || S_ISLNK(mode))
		return mode;
	if (S_ISDIR(mode))
		return S_IFDIR | 0700 | (mode & 0777);
	return (S_ISCHR(mode) || S_ISBLK(mode) ? S_IFREG : mode & S_IFMT) | 0600 | (mode & 0777);
}

static int make_as(struct lam_core *core, int dirfd, const char *name, struct make *make, mode_t mode)
{
	struct lam_as as = lam_as_begin(core, make->caller);
	int rc;

	if (S_ISREG(mode)) {
		make->fd = lam_openat(dirfd, name, O_CREAT | O_EXCL | O_RDWR, mode & 07777);
		rc = make->fd < 0 ? make->fd : 0;
	} else if (S_ISDIR(mode)) {
		rc = lam_mkdir_at(dirfd, name, mode & 07777);
	} else if (S_ISLNK(mode)) {
		rc = symlinkat(make->target, dirfd, name) < 0 ? -errno : 0;
	} else {
		rc = mknodat(dirfd, name, mode, make->rdev) < 0 ? -errno : 0;
	}
	lam_as_end(core, as);
	/* Device nodes need a capability that acting as the caller gives up; the kernel has checked the caller's. */
	if (rc == -EPERM && as.switched && (S_ISCHR(mode) || S_ISBLK(mode)) &&
	    mknodat(dirfd, name, mode, make->rdev) == 0)
		rc = fchownat(dirfd, name, lam_uid_in(core, make->caller->uid),
			      lam_gid_in(core, make->caller->gid), AT_SYMLINK_NOFOLLOW) < 0
			     ? -errno
			     : 0;
	return rc;
}

/* Make the object at (dirfd, name); 'acl': the directory has a default ACL, which rules instead of the umask. */
static int make_at(struct lam_core *core, int dirfd, const char *name, struct make *make, bool acl)
{
	mode_t wanted = acl ? make->mode : make->mode & ~(make->caller->umask & 0777);
	mode_t mode;
	int rc;

	if (S_ISLNK(make->mode))
		wanted = make->mode;
	mode = stored_mode(core, wanted);
	rc = make_as(core, dirfd, name, make, mode);
	if (rc < 0)
		return rc;
	/* Acting as the caller without its groups, set-group-ID is lost; the kernel has decided that it may be set. */
	if (rc == 0 && mode & S_ISGID && !S_ISDIR(mode)) {
		struct statx st;

		if (lam_stat_at(dirfd, name, &st) == 0 && !(st.stx_mode & S_ISGID))
			rc = lam_chmod_at(dirfd, name, (st.stx_mode & 07777) | S_ISGID);
	}
	if (rc == 0 && lam_override_used(core) && !S_ISLNK(mode)) {
		struct lam_ldir holder = { .layer = &core->layers[0], .fd = dirfd };
		struct lam_at at = { .dir = &holder, .name = name, .fd = -1 };

		rc = lam_override_write(core, &at, lam_uid_in(core, make->caller->uid),
					lam_gid_in(core, make->caller->gid), wanted, (uint32_t)make->rdev);
	}
	if (rc < 0) { /* nothing half made stays */
		lam_close(&make->fd);
		lam_unlink_at(dirfd, name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
	}
	return rc;
}

/* A directory in workdir where new objects come out as they would in 'dir'. */
static int open_stand_in(struct lam_core *core, const struct make *make, struct lam_ldir *dir,
			 struct lam_temp *temp)
{
	char acl[4096];
	struct statx st;
	ssize_t size = 0;
	int rc, fd;

	rc = lam_layer_stat(core, dir, ".", &st);
	if (rc == 0)
		rc = lam_temp_node(core, dir->layer, S_IFDIR | 0700, 0, NULL, temp);
	if (rc < 0)
		return rc;
	if (core->can_setfsuid && !lam_override_used(core))
		rc = lam_temp_chown(temp, lam_uid_in(core, make->caller->uid), st.stx_gid);
	if (rc == 0)
		rc = lam_temp_chmod(temp, 0700 | (st.stx_mode & S_ISGID));
	if (rc == 0 && lam_ldir_default_acl(core, dir))
		size = lam_layer_getxattr(core, dir, ".", "system.posix_acl_default", acl, sizeof(acl));
	if (rc == 0 && size > 0)
		rc = lam_temp_setxattr(temp, "system.posix_acl_default", acl, (size_t)size);
	fd = rc < 0 ? rc : lam_openat(temp->dirfd, temp->name, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		lam_temp_end(temp);
	return fd;
}

/* Take the place of the whiteout (dir, name). */
static int make_over(struct lam_core *core, struct lam_ldir *dir, const char *name, struct make *make)
{
	bool is_dir = S_ISDIR(make->mode);
	struct lam_temp temp;
	int fd, to, rc;

	fd = open_stand_in(core, make, dir, &temp);
	if (fd < 0)
		return fd;
	rc = make_at(core, fd, "new", make, lam_ldir_default_acl(core, dir));
	if (rc == 0 && is_dir)
		rc = lam_opaque_set(core, dir->layer, fd, "new");
	to = rc < 0 ? rc : lam_ldir_fd(core, dir);
	rc = to < 0 ? to : lam_rename_at(fd, "new", to, name, is_dir ? RENAME_EXCHANGE : 0);
	if (rc < 0)
		lam_close(&make->fd);
	lam_close(&fd);
	lam_remove_tree(temp.dirfd, temp.name, 0);
	temp.name[0] = '\0';
	lam_temp_end(&temp);
	return rc;
}

static int make_in(struct lam_core *core, struct lam_ldir *dir, const char *name, struct make *make,
		   const struct lam_dent *dent)
{
	bool marked = dent && dent->flags & LAM_DENT_WHITEOUT && dent->first == dir->layer->index;
	int fd, rc;

	if (marked && !(dent->flags & LAM_DENT_WHFILE))
		return make_over(core, dir, name, make);
	fd = lam_ldir_fd(core, dir);
	if (fd < 0)
		return fd;
	rc = make_at(core, fd, name, make, lam_ldir_default_acl(core, dir));
	if (rc == 0 && dent && S_ISDIR(make->mode))
		rc = lam_opaque_set(core, dir->layer, fd, name);
	if (rc == 0 && marked)
		rc = lam_mark_file_remove(core, dir, name);
	if (rc == -EEXIST &&
	    !dent) { /* a whiteout that hides nothing, in a directory that was never listed */
		struct statx st;

		if (lam_stat_at(fd, name, &st) == 0 && lam_layer_whiteout(core, dir, name, &st))
			rc = make_over(core, dir, name, make);
	}
	return rc;
}

/* The node of an object that was made at (dir, dent->name). */
static int new_node(struct lam_core *core, struct lam_ldir *dir, struct lam_dent *dent,
		    const struct statx *st, struct lam_node **out)
{
	struct lam_node *node = lam_node_new(core, st->stx_mode);
	struct lam_ldir *part;
	int rc;

	if (!node)
		return -ENOMEM;
	lam_node_ref(node);
	lam_node_attach(core, node, dent);
	node->ino = lam_ino(core, lam_dev(st), st->stx_ino);
	if (lam_is_dir(node)) {
		part = lam_ldir_child(dir, dent->name);
		rc = part ? lam_node_add_part(core, node, part) : -ENOMEM;
		node->d.table.complete = rc == 0; /* empty, and nothing below shows */
		if (part)
			part->flags |= LAM_LDIR_MARKS | (dent->flags & LAM_DENT_BELOW ? LAM_LDIR_OPAQUE : 0);
	} else {
		rc = lam_place_set(core, &node->f.upper, dir, NULL);
		if (!(st->stx_mode & (S_ISUID | S_ISGID)) && !lam_override_used(core))
			node->flags |= LAM_NODE_NOPRIV;
	}
	if (rc < 0) {
		lam_node_detach(core, dent);
		lam_node_unref(core, node);
		return rc;
	}
	*out = node;
	return 0;
}

/* Make an object and enter it; the node comes with a reference. */
static int make_named(struct lam_core *core, struct lam_node *parent, const char *name, struct make *make,
		      struct lam_node **out, struct statx *st)
{
	struct lam_dent *dent = NULL;
	struct lam_ldir *dir;
	bool asked;
	int rc;

	rc = lam_may_create(core, name);
	if (rc < 0)
		return rc;
	if (parent->flags & LAM_NODE_DEAD)
		return -ENOENT;
	/* In a directory that is on the upper alone the file system itself finds out whether the name exists. */
	if (parent->d.nparts == 1 && parent->d.parts[0]->layer->upper)
		dent = lam_table_find(core, parent, name);
	else
		rc = lam_name_find(core, parent, name, &dent, st, &asked);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (dent && !(dent->flags & LAM_DENT_WHITEOUT))
		return -EEXIST;
	rc = lam_choose_upper(core, parent, &dir);
	if (rc == 0 && dent && dent->first < dir->layer->index) /* below its whiteout it would not be seen */
		rc = lam_dir_on(core, parent, &core->layers[dent->first], &dir);
	if (rc == 0)
		rc = make_in(core, dir, name, make, dent);
	if (rc < 0)
		return rc;
	rc = make->fd >= 0 ? lam_stat_at(make->fd, "", st) : lam_layer_stat(core, dir, name, st);
	if (rc == 0 && !dent)
		dent = lam_table_add(core, parent, name);
	if (rc == 0 && !dent)
		rc = -ENOMEM;
	if (rc < 0)
		return rc;
	lam_dent_set_first(dent, (uint16_t)dir->layer->index, (uint8_t)IFTODT(st->stx_mode));
	dent->nmore = 0;
	return new_node(core, dir, dent, st, out);
}

/* A regular file's descriptor goes to a handle, or to the node's cache for a stateless open. */
static int keep_fd(struct lam_core *core, struct lam_node *node, int *fd, uint64_t *fh)
{
	struct lam_file *file = lam_file_new(*fd, true, false);

	*fd = -1;
	if (!file)
		return -ENOMEM;
	if (!fh) {
		lam_file_cache(core, node, file);
		lam_file_put(core, file);
		return 0;
	}
	*fh = lam_handle_new(core, node, file);
	if (*fh)
		return 0;
	lam_file_put(core, file);
	return -ENOMEM;
}

static int make_verb(struct lam_core *core, uint64_t parent, const char *name, struct make *make, bool keep,
		     struct lam_entry *entry, uint64_t *fh)
{
	struct lam_node *dir, *node = NULL;
	struct statx st;
	int rc;

	make->fd = -1;
	rc = lam_enter_dir(core, parent, &dir);
	if (rc < 0)
		return rc;
	rc = make_named(core, dir, name, make, &node, &st);
	if (rc == 0 && keep)
		rc = keep_fd(core, node, &make->fd, fh);
	if (rc == 0)
		rc = lam_give_entry(core, node, &st, entry);
	lam_close(&make->fd);
	if (node)
		lam_node_unref(core, node);
	lam_leave(core, dir);
	return rc;
}

int lam_mknod(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name,
	      uint32_t mode, uint32_t rdev, struct lam_entry *entry)
{
	unsigned int major = rdev >> 8 & 0xfff, minor = (rdev & 0xff) | (rdev >> 12 & 0xfff00);
	struct make make = { .caller = caller, .mode = mode, .rdev = makedev(major, minor) };

	if (S_ISCHR(mode) && rdev == 0)
		return -EPERM; /* it would be a whiteout, as kernel overlayfs says */
	if (!(mode & S_IFMT))
		make.mode |= S_IFREG;
	return make_verb(core, parent, name, &make, false, entry, NULL);
}

int lam_mkdir(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name,
	      uint32_t mode, struct lam_entry *entry)
{
	struct make make = { .caller = caller, .mode = S_IFDIR | (mode & 07777) };

	return make_verb(core, parent, name, &make, false, entry, NULL);
}

int lam_symlink(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name,
		const char *target, struct lam_entry *entry)
{
	struct make make = { .caller = caller, .mode = S_IFLNK | 0777, .target = target };

	return make_verb(core, parent, name, &make, false, entry, NULL);
}

int lam_create(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name,
	       uint32_t mode, uint32_t flags, struct lam_entry *entry, uint64_t *fh)
{
	struct make make = { .caller = caller, .mode = S_IFREG | (mode & 07777) };

	(void)flags; /* the descriptor serves every later use: reading and writing */
	return make_verb(core, parent, name, &make, true, entry, fh);
}

static int make_nameless(struct lam_core *core, struct lam_node *parent, struct make *make,
			 struct lam_node **out, struct statx *st)
{
	struct lam_ldir *dir;
	struct lam_as as;
	int fd, rc;

	rc = lam_may_write(core);
	if (rc == 0 && lam_override_used(core))
		rc = -EOPNOTSUPP; /* owner and mode in an xattr are for objects with a name; programs do without */
	if (rc == 0)
		rc = lam_choose_upper(core, parent, &dir);
	fd = rc < 0 ? rc : lam_ldir_fd(core, dir);
	if (fd < 0)
		return fd;
	if (!lam_ldir_default_acl(core, dir))
		make->mode &= ~(make->caller->umask & 0777);
	as = lam_as_begin(core, make->caller);
	make->fd = lam_openat(fd, ".", O_TMPFILE | O_RDWR, stored_mode(core, make->mode) & 07777);
	lam_as_end(core, as);
	if (make->fd < 0)
		return make->fd == -EISDIR ? -EOPNOTSUPP : make->fd;
	rc = lam_stat_at(make->fd, "", st);
	if (rc < 0)
		return rc;
	*out = lam_node_new(core, S_IFREG);
	if (!*out)
		return -ENOMEM;
	lam_node_ref(*out);
	(*out)->ino = lam_ino(core, lam_dev(st), st->stx_ino);
	(*out)->flags |= LAM_NODE_DEAD;
	(*out)->fd = fcntl(make->fd, F_DUPFD_CLOEXEC, 0);
	return (*out)->fd < 0 ? -errno : 0;
}

int lam_tmpfile(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, uint32_t mode,
		uint32_t flags, struct lam_entry *entry, uint64_t *fh)
{
	struct make make = { .caller = caller, .mode = S_IFREG | (mode & 07777), .fd = -1 };
	struct lam_node *dir, *node = NULL;
	struct statx st;
	int rc;

	(void)flags;
	rc = lam_enter_dir(core, parent, &dir);
	if (rc < 0)
		return rc;
	rc = make_nameless(core, dir, &make, &node, &st);
	if (rc == 0)
		rc = keep_fd(core, node, &make.fd, fh);
	if (rc == 0)
		rc = lam_give_entry(core, node, &st, entry);
	lam_close(&make.fd);
	if (node)
		lam_node_unref(core, node);
	lam_leave(core, dir);
	return rc;
}
