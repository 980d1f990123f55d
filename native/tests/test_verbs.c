/* SPDX-License-Identifier: MIT */
/* test_verbs - each verb on a small tree: what it answers, what it leaves, and that it forgets */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "stack.h"

#define BIG ((256u << 10) + 1)

static void plant(struct stack *s, uint32_t flags)
{
	stack_make(s, 2, 1);
	s->config.flags = flags;
	stack_dir(s, "l0/d");
	stack_dir(s, "l1/d");
	stack_file(s, "l1/d/low", "low");
	stack_file(s, "l0/d/high", "high");
	stack_file(s, "l1/f", "text");
	stack_sized(s, "l1/big", BIG);
	stack_xattr(s, "l1/f", "user.own", "value", 5);
	stack_xattr(s, "l1/f", "trusted.own", "t", 1);
	EXPECT(symlinkat("d/low", s->fd, "l1/link") == 0);
	EXPECT(mkfifoat(s->fd, "l1/pipe", 0600) == 0);
	stack_open(s);
}

static void uproot(struct stack *s)
{
	stack_close(s);
	stack_free(s);
}

static void lookups_balance(struct stack *s)
{
	struct lam_entry entry[3];
	struct lam_stats stats;

	for (int i = 0; i < 3; i++)
		EXPECT(lam_lookup(s->core, ROOT, LAM_ROOT_ID, "f", &entry[i]) == 0);
	EXPECT(entry[0].nodeid == entry[2].nodeid && entry[0].attr.size == 4 && entry[0].attr.ino);
	lam_forget(s->core, entry[0].nodeid, 2);
	lam_core_stats(s->core, &stats);
	EXPECT(stats.nodes == 2);
	lam_forget(s->core, entry[0].nodeid, 1);
	stack_balanced(s);
	lam_forget(s->core, entry[0].nodeid, 5); /* known no more: nothing happens */
	lam_forget(s->core, LAM_ROOT_ID, 100);
	lam_forget(s->core, 12345, 1);
	EXPECT(lam_lookup(s->core, ROOT, entry[0].nodeid, "x", &entry[1]) == -ESTALE);
	EXPECT(lam_lookup(s->core, ROOT, LAM_ROOT_ID, "f", &entry[1]) == 0 &&
	       entry[1].nodeid != entry[0].nodeid);
	EXPECT(lam_lookup(s->core, ROOT, entry[1].nodeid, "x", &entry[2]) == -ENOTDIR);
	lam_forget(s->core, entry[1].nodeid, UINT64_MAX);
	EXPECT(lam_lookup(s->core, ROOT, LAM_ROOT_ID, "none", &entry[1]) == -ENOENT);
	stack_balanced(s);
}

static void creations(struct stack *s)
{
	struct lam_caller user = { .uid = 1000, .gid = 1000, .umask = 022, .flags = LAM_CALLER_MAY_BLOCK };
	struct lam_entry entry;
	char target[16] = "";
	uint64_t fh = 0;

	EXPECT(lam_mknod(s->core, &user, LAM_ROOT_ID, "m", S_IFREG | 0666, 0, &entry) == 0);
	EXPECT(entry.attr.mode == (S_IFREG | 0644) && entry.attr.uid == 1000 && entry.attr.nlink == 1);
	stack_forget(s, entry.nodeid);
	EXPECT(lam_mknod(s->core, ROOT, LAM_ROOT_ID, "c", S_IFCHR | 0600, 0x105, &entry) == 0);
	EXPECT(S_ISCHR(entry.attr.mode) && entry.attr.rdev == 0x105);
	stack_forget(s, entry.nodeid);
	EXPECT(lam_mknod(s->core, ROOT, LAM_ROOT_ID, "w", S_IFCHR | 0600, 0, &entry) == -EPERM);
	EXPECT(lam_mkdir(s->core, &user, LAM_ROOT_ID, "dir", 0777, &entry) == 0 &&
	       entry.attr.mode == (S_IFDIR | 0755));
	stack_forget(s, entry.nodeid);
	EXPECT(lam_mkdir(s->core, ROOT, LAM_ROOT_ID, "d", 0777, &entry) == -EEXIST);
	EXPECT(lam_mkdir(s->core, ROOT, LAM_ROOT_ID, "dir", 0777, &entry) == -EEXIST);
	EXPECT(lam_symlink(s->core, &user, LAM_ROOT_ID, "sym", "a target", &entry) == 0);
	EXPECT(lam_readlink(s->core, entry.nodeid, target, sizeof(target)) == 8 &&
	       !strcmp(target, "a target"));
	EXPECT(lam_readlink(s->core, entry.nodeid, target, 3) == 3);
	EXPECT(lam_readlink(s->core, LAM_ROOT_ID, target, 3) == -EINVAL);
	stack_forget(s, entry.nodeid);
	EXPECT(lam_create(s->core, ROOT, LAM_ROOT_ID, "f", 0600, O_RDWR, &entry, &fh) == -EEXIST);
	EXPECT(lam_create(s->core, ROOT, LAM_ROOT_ID, "new", 0600, O_RDWR, &entry, &fh) == 0 && fh);
	EXPECT(lam_write(s->core, ROOT, entry.nodeid, fh, "hello", 5, 0, false) == 5);
	EXPECT(lam_fsync(s->core, entry.nodeid, fh, false) == 0 && lam_syncfs(s->core) == 0);
	lam_release(s->core, fh);
	lam_release(s->core, fh); /* no such handle: nothing happens */
	stack_forget(s, entry.nodeid);
	EXPECT(stack_reads(s, "new", "hello"));
	EXPECT(lam_create(s->core, ROOT, LAM_ROOT_ID, "stateless", 0600, O_RDWR, &entry, NULL) == 0);
	EXPECT(lam_write(s->core, ROOT, entry.nodeid, 0, "x", 1, 0, false) == 1);
	stack_forget(s, entry.nodeid);
	EXPECT(lam_tmpfile(s->core, ROOT, LAM_ROOT_ID, 0600, O_RDWR, &entry, &fh) == 0 &&
	       entry.attr.nlink == 0);
	EXPECT(lam_write(s->core, ROOT, entry.nodeid, fh, "tmp", 3, 0, false) == 3);
	lam_release(s->core, fh);
	EXPECT(lam_link(s->core, ROOT, entry.nodeid, LAM_ROOT_ID, "named", &entry) == 0 &&
	       entry.attr.nlink == 1);
	lam_forget(s->core, entry.nodeid, 2);
	EXPECT(stack_reads(s, "named", "tmp"));
	stack_balanced(s);
}

static void attributes(struct stack *s)
{
	struct lam_setattr set = { .valid = LAM_SET_UID | LAM_SET_GID | LAM_SET_MTIME | LAM_SET_MODE,
				   .uid = 7,
				   .gid = 8,
				   .mtime = 1000,
				   .mtimensec = 5,
				   .mode = 0640 };
	uint64_t f = stack_find(s, "f"), ino;
	struct lam_attr attr;
	struct lam_statx stx;
	struct statvfs vfs;

	EXPECT(lam_getattr(s->core, f, 0, &attr) == 0 && attr.size == 4);
	ino = attr.ino;
	EXPECT(lam_setattr(s->core, ROOT, f, 0, &set, &attr) == 0);
	EXPECT(attr.uid == 7 && attr.gid == 8 && attr.mtime == 1000 && attr.mtimensec == 5 &&
	       attr.ino == ino);
	EXPECT((attr.mode & 07777) == 0640 && attr.size == 4);
	set = (struct lam_setattr){ .valid = LAM_SET_SIZE, .size = 2 };
	EXPECT(lam_setattr(s->core, ROOT, f, 0, &set, &attr) == 0 && attr.size == 2 &&
	       stack_reads(s, "f", "te"));
	EXPECT(lam_setattr(s->core, ROOT, LAM_ROOT_ID, 0, &set, &attr) == -EISDIR);
	EXPECT(lam_statx(s->core, f, 0, &stx) == 0 && stx.attr.ino == ino);
	EXPECT(lam_statfs(s->core, f, &vfs) == 0 && vfs.f_namemax == 255);
	stack_forget(s, f);
	EXPECT(lam_getattr(s->core, f, 0, &attr) == -ESTALE);
	EXPECT(stack_chmod(s, "d", 0711) == 0 && stack_chmod(s, "pipe", 0622) == 0);
	EXPECT(stack_lists(s, "d", "high low "));
}

static void xattrs(struct stack *s)
{
	struct lam_caller user = { .uid = 1 };
	uint64_t f = stack_find(s, "f");
	char value[64] = "", list[256] = "";
	ssize_t n;

	EXPECT(lam_getxattr(s->core, f, "user.own", value, sizeof(value)) == 5 &&
	       strcmp(value, "value") == 0);
	EXPECT(lam_getxattr(s->core, f, "user.own", NULL, 0) == 5);
	EXPECT(lam_getxattr(s->core, f, "user.own", value, 2) == -ERANGE);
	EXPECT(lam_getxattr(s->core, f, "user.none", value, 2) == -ENODATA);
	EXPECT(lam_setxattr(s->core, ROOT, f, "user.own", "v", 1, XATTR_CREATE, false) == -EEXIST);
	EXPECT(lam_setxattr(s->core, ROOT, f, "user.new", "v", 1, XATTR_REPLACE, false) == -ENODATA);
	EXPECT(lam_setxattr(s->core, ROOT, f, "user.new", "v", 1, 0, false) == 0);
	EXPECT(lam_setxattr(s->core, ROOT, f, "trusted.overlay.opaque", "y", 1, 0, false) == 0);
	EXPECT(lam_getxattr(s->core, f, "trusted.overlay.opaque", value, sizeof(value)) == 1);
	EXPECT(lam_getxattr(s->core, f, "trusted.overlay.origin", value, sizeof(value)) == -ENODATA);
	n = lam_listxattr(s->core, ROOT, f, list, sizeof(list));
	EXPECT(n == lam_listxattr(s->core, ROOT, f, NULL, 0));
	for (const char *key = list; key < list + n; key += strlen(key) + 1)
		EXPECT(strcmp(key, "user.own") == 0 || strcmp(key, "user.new") == 0 ||
		       strcmp(key, "trusted.own") == 0 || strcmp(key, "trusted.overlay.opaque") == 0);
	EXPECT(lam_listxattr(s->core, &user, f, list, sizeof(list)) == 18);
	EXPECT(lam_listxattr(s->core, ROOT, f, list, 4) == -ERANGE);
	EXPECT(lam_removexattr(s->core, ROOT, f, "user.own") == 0);
	EXPECT(lam_removexattr(s->core, ROOT, f, "user.own") == -ENODATA);
	stack_forget(s, f);
}

static void data(struct stack *s)
{
	uint64_t f = stack_find(s, "f"), big = stack_find(s, "big"), pipe = stack_find(s, "pipe"), fh, other;
	struct lam_data loan;
	char text[16] = "";

	EXPECT(lam_open(s->core, ROOT, pipe, O_RDONLY, &fh) == -EINVAL);
	EXPECT(lam_open(s->core, ROOT, LAM_ROOT_ID, O_RDONLY, &fh) == -EISDIR);
	EXPECT(lam_open(s->core, ROOT, f, O_RDONLY, &fh) == 0 &&
	       lam_open(s->core, ROOT, f, O_RDWR, &other) == 0);
	EXPECT(lam_write(s->core, ROOT, f, other, "T", 1, 0, true) == 1);
	EXPECT(lam_read(s->core, ROOT, f, fh, text, 15, 0) == 4 && strcmp(text, "Text") == 0);
	EXPECT(lam_fallocate(s->core, ROOT, f, other, 0, 0, 8192) == 0);
	EXPECT(lam_lseek(s->core, f, fh, 0, SEEK_DATA) == 0 &&
	       lam_lseek(s->core, f, fh, 0, SEEK_SET) == -EINVAL);
	EXPECT(lam_copy_file_range(s->core, ROOT, big, 0, 0, f, other, 0, 4) == 4);
	EXPECT(lam_read(s->core, ROOT, f, fh, text, 4, 0) == 4 && strcmp(text, "xxxx") == 0);
	lam_release(s->core, fh);
	/* A loan outlives its handle. */
	EXPECT(lam_data_get(s->core, ROOT, f, other, LAM_FOR_WRITE, &loan) == 0);
	lam_release(s->core, other);
	EXPECT(pwrite(loan.fd, "y", 1, 0) == 1);
	lam_data_put(s->core, &loan);
	/* Who may not wait is sent to where one may, and nothing has changed. */
	EXPECT(lam_open(s->core, NO_WAIT, big, O_RDWR, &fh) == -LAM_EAGAIN && !stack_has(s, "u0/big"));
	EXPECT(lam_write(s->core, NO_WAIT, big, 0, "y", 1, 0, false) == -LAM_EAGAIN);
	EXPECT(lam_open(s->core, NO_WAIT, big, O_RDWR | O_TRUNC, &fh) == 0 && stack_reads(s, "big", ""));
	lam_release(s->core, fh);
	stack_forget(s, f);
	stack_forget(s, big);
	stack_forget(s, pipe);
}

static void inode_flags(struct stack *s)
{
	uint64_t f = stack_find(s, "f");
	unsigned int flags = 0;

	EXPECT(lam_ioctl(s->core, ROOT, f, 0, FIFREEZE, &flags, sizeof(flags)) == -ENOTTY);
	EXPECT(lam_ioctl(s->core, ROOT, f, 0, FS_IOC_GETFLAGS, &flags, 1) == -ENOTTY);
	lam_ioctl(s->core, ROOT, f, 0, FS_IOC_GETFLAGS, &flags,
		  sizeof(flags)); /* not every file system has them */
	lam_ioctl(s->core, ROOT, LAM_ROOT_ID, 0, FS_IOC_GETFLAGS, &flags, sizeof(flags));
	stack_forget(s, f);
}

static void removals(struct stack *s)
{
	uint64_t f = stack_find(s, "f"), d, fh;
	struct lam_entry entry;
	struct lam_attr attr;
	char text[8] = "";

	EXPECT(stack_unlink(s, "d") == -EISDIR && stack_rmdir(s, "f") == -ENOTDIR &&
	       stack_rmdir(s, "d") == -ENOTEMPTY);
	EXPECT(lam_open(s->core, ROOT, f, O_RDONLY, &fh) == 0 && stack_unlink(s, "f") == 0);
	EXPECT(stack_error(s, "f") == -ENOENT && lam_getattr(s->core, f, fh, &attr) == 0 && attr.nlink == 0);
	EXPECT(lam_read(s->core, ROOT, f, fh, text, 4, 0) == 4 && strcmp(text, "text") == 0);
	EXPECT(lam_write(s->core, ROOT, f, 0, "T", 1, 0, false) == 1 &&
	       lam_read(s->core, ROOT, f, fh, text, 4, 0) == 4);
	EXPECT(strcmp(text, "Text") == 0);
	lam_release(s->core, fh);
	stack_forget(s, f);
	EXPECT(stack_mkdir(s, "gone") == 0);
	d = stack_find(s, "gone");
	EXPECT(stack_rmdir(s, "gone") == 0 && stack_mkdir(s, "gone") == 0);
	/* The one that went stays empty, whoever has its name now. */
	EXPECT(lam_create(s->core, ROOT, d, "x", 0644, O_RDWR, &entry, NULL) == -ENOENT);
	EXPECT(lam_rename(s->core, ROOT, LAM_ROOT_ID, "big", d, "big", 0) == -ENOENT);
	EXPECT(lam_lookup(s->core, ROOT, d, "x", &entry) == -ENOENT &&
	       lam_getattr(s->core, d, 0, &attr) == 0);
	EXPECT(attr.nlink == 0 && stack_chmod(s, "gone", 0700) == 0 && stack_lists(s, "gone", ""));
	stack_forget(s, d);
}

static void renames(struct stack *s)
{
	EXPECT(stack_rename(s, "f", "g", RENAME_NOREPLACE) == 0 &&
	       stack_rename(s, "g", "big", RENAME_NOREPLACE) == -EEXIST);
	EXPECT(stack_rename(s, "g", "d", 0) == -EISDIR && stack_rename(s, "d", "g", 0) == -ENOTDIR);
	EXPECT(stack_rename(s, "d", "d/sub", 0) == -EINVAL && stack_rename(s, "none", "x", 0) == -ENOENT);
	EXPECT(stack_rename(s, "g", "d", RENAME_EXCHANGE) == 0 && stack_reads(s, "d", "text"));
	EXPECT(stack_lists(s, "g", "high low ") && stack_reads(s, "g/low", "low"));
	EXPECT(stack_rename(s, "g/low", "d", 0) == 0 && stack_reads(s, "d", "low") &&
	       stack_lists(s, "g", "high "));
	EXPECT(stack_rename(s, "d", "d", 0) == 0 && stack_rename(s, "g", "h", 16) == -EINVAL);
	EXPECT(stack_mkdir(s, "empty") == 0 && stack_rename(s, "g", "empty", 0) == 0);
	EXPECT(stack_rename(s, "big", "empty/b", RENAME_WHITEOUT) == 0 &&
	       stack_lists(s, "", "d empty link pipe "));
	EXPECT(stack_lists(s, "empty", "b high "));
}

static int never(void *arg, const struct lam_dirinfo *info)
{
	(void)info;
	return ++*(int *)arg, 1;
}

static void listings(struct stack *s)
{
	char buf[4096], seen[1024] = "";
	struct lam_dirent head;
	uint64_t cookie = 0;
	int calls = 0;
	ssize_t n;

	/* With a buffer for one entry at a time, each comes once and with a lookup. */
	while ((n = lam_readdir_pack(s->core, ROOT, LAM_ROOT_ID, cookie, true, buf, sizeof(head) + 8)) > 0) {
		memcpy(&head, buf, sizeof(head));
		EXPECT(n == (ssize_t)sizeof(head) + 8 && head.cookie > cookie);
		cookie = head.cookie;
		snprintf(seen + strlen(seen), 32, "%.*s ", (int)head.namelen, buf + sizeof(head));
		EXPECT(!head.entry.nodeid == (head.namelen <= 2 && buf[sizeof(head)] == '.'));
		stack_forget(s, head.entry.nodeid ? head.entry.nodeid : LAM_ROOT_ID);
	}
	EXPECT(n == 0 && strlen(seen) == strlen(". .. d f big link pipe "));
	EXPECT(strncmp(seen, ". .. ", 5) == 0);
	EXPECT(lam_readdir(s->core, ROOT, LAM_ROOT_ID, 3, true, never, &calls) == 0 && calls == 1);
	stack_balanced(s); /* the lookup of the entry that did not fit was taken back */
	EXPECT(lam_readdir_pack(s->core, ROOT, LAM_ROOT_ID, 1ull << 62, false, buf, sizeof(buf)) >= 0);
	EXPECT(lam_readdir_pack(s->core, ROOT, LAM_ROOT_ID, UINT64_MAX, false, buf, sizeof(buf)) == 0);
	n = lam_why(s->core, LAM_ROOT_ID, buf, sizeof(buf));
	EXPECT(n > 0 && strstr(buf, "upper 0 /") && strstr(buf, "lower 1 /"));
	EXPECT(lam_why(s->core, LAM_ROOT_ID, buf, 3) == -ERANGE);
}

static void without_an_upper(void)
{
	struct lam_entry entry;
	struct stack s;
	uint64_t fh;

	stack_make(&s, 1, 0);
	stack_file(&s, "l0/f", "text");
	stack_open(&s);
	EXPECT(lam_core_readonly(s.core) && stack_reads(&s, "f", "text"));
	EXPECT(stack_unlink(&s, "f") == -EROFS && stack_write(&s, "f", "x") == -EROFS &&
	       stack_chmod(&s, "f", 0) == -EROFS);
	EXPECT(stack_mkdir(&s, "d") == -EROFS && stack_rename(&s, "f", "g", 0) == -EROFS &&
	       stack_link(&s, "f", "g") == -EROFS);
	EXPECT(lam_tmpfile(s.core, ROOT, LAM_ROOT_ID, 0600, O_RDWR, &entry, &fh) == -EROFS);
	uproot(&s);
}

/* Closing while the kernel still knows everything: nothing leaks. */
static void closes_in_the_middle(void)
{
	struct lam_entry entry;
	struct stack s;
	uint64_t fh, d;

	plant(&s, LAM_CFG_METACOPY | LAM_CFG_INDEX);
	d = stack_find(&s, "d");
	EXPECT(lam_lookup(s.core, ROOT, d, "low", &entry) == 0 &&
	       lam_open(s.core, ROOT, entry.nodeid, O_RDWR, &fh) == 0);
	EXPECT(lam_unlink(s.core, ROOT, d, "low") == 0);
	EXPECT(lam_tmpfile(s.core, ROOT, d, 0600, O_RDWR, &entry, &fh) == 0);
	lam_core_close(s.core);
	stack_open(&s);
	uproot(&s);
}

int main(void)
{
	static void (*const cases[])(struct stack *) = { lookups_balance, creations, attributes,
							 xattrs,	  data,	     inode_flags,
							 removals,	  renames,   listings };
	static const uint32_t flags[] = { 0, LAM_CFG_METACOPY, LAM_CFG_METACOPY | LAM_CFG_INDEX };
	struct stack s;

	kernel_watchdog(60);
	for (size_t f = 0; f < 3; f++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			plant(&s, flags[f]);
			cases[i](&s);
			uproot(&s);
		}
	without_an_upper();
	closes_in_the_middle();
	return 0;
}
