/* SPDX-License-Identifier: MIT */
/* test_owner - owners, modes and times: kept in xattrs, and changed on the way of a copy-up */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "stack.h"

#define OVERRIDE "user.containers.override_stat"
#define USER (&(const struct lam_caller){ .uid = 1000, .gid = 1000, .flags = LAM_CALLER_MAY_BLOCK })

static struct lam_attr set(struct stack *s, const char *path, const struct lam_setattr *what)
{
	uint64_t node = stack_find(s, path);
	struct lam_attr attr = { 0 };

	EXPECT(lam_setattr(s->core, ROOT, node, 0, what, &attr) == 0);
	stack_forget(s, node);
	return attr;
}

static struct lam_attr get(struct stack *s, const char *path)
{
	uint64_t node = stack_find(s, path);
	struct lam_attr attr = { 0 };

	EXPECT(lam_getattr(s->core, node, 0, &attr) == 0);
	stack_forget(s, node);
	return attr;
}

static void override_is_not_the_users_to_touch(void)
{
	char list[256], value[256];
	struct stack s;
	uint64_t node;

	stack_make(&s, 1, 1);
	s.config.xattr_permissions = 2;
	stack_file(&s, "l0/f", "text");
	stack_open(&s);
	EXPECT(stack_chmod(&s, "f", 0640) == 0);
	EXPECT(stack_get_xattr(&s, "u0/f", OVERRIDE, value) > 0 && strstr(value, ":640"));
	node = stack_find(&s, "f");
	EXPECT(lam_setxattr(s.core, ROOT, node, OVERRIDE, "0:0:4777", 8, 0, false) == -EPERM);
	EXPECT(lam_removexattr(s.core, ROOT, node, OVERRIDE) == -EPERM);
	EXPECT(lam_getxattr(s.core, node, OVERRIDE, list, sizeof(list)) < 0);
	EXPECT(lam_listxattr(s.core, ROOT, node, list, sizeof(list)) == 0);
	stack_forget(&s, node);
	EXPECT((get(&s, "f").mode & 07777) == 0640);
	stack_close(&s);
	stack_free(&s);
}

static void writers_take_set_ids_from_the_override(void)
{
	struct stack s;
	uint64_t node;

	stack_make(&s, 1, 1);
	s.config.xattr_permissions = 2;
	stack_open(&s);
	EXPECT(stack_create(&s, "f", "text") == 0 && stack_chmod(&s, "f", 06755) == 0);
	EXPECT((get(&s, "f").mode & 07777) == 06755);
	node = stack_find(&s, "f");
	EXPECT(lam_write(s.core, USER, node, 0, "x", 1, 0, true) == 1);
	stack_forget(&s, node);
	EXPECT((get(&s, "f").mode & 07777) == 0755);
	stack_close(&s);
	stack_free(&s);
}

/* What a change comes to must not depend on whether it was made by the copy-up or after it. */
static void changes_on_the_way_equal_later_ones(void)
{
	static const uint32_t modes[] = { 0644, 0600, 0000, 0444, 04755, 02755, 06711, 01777 };
	char below[32], above[32], path[32];
	struct stack s;

	stack_make(&s, 1, 1);
	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "l0/b%d", i);
		stack_file(&s, path, "text");
		EXPECT(fchownat(s.fd, path, i & 1 ? 7 : 0, 7, 0) == 0);
		EXPECT(fchmodat(s.fd, path, modes[i % 8], 0) == 0);
	}
	stack_open(&s);
	for (int i = 0; i < 64; i++) {
		struct lam_setattr what = { .mode = modes[i / 8], .uid = 9, .gid = 11, .mtime = 1000000 + i };
		struct lam_setattr nothing = { .valid = LAM_SET_ATIME, .atime = 1 };
		struct lam_attr a, b;

		what.valid = (i & 1 ? LAM_SET_MODE : 0) | (i & 2 ? LAM_SET_UID : 0) |
			     (i & 4 ? LAM_SET_GID : 0) | (i % 3 ? LAM_SET_MTIME : 0);
		snprintf(below, sizeof(below), "b%d", i);
		snprintf(above, sizeof(above), "a%d", i);
		EXPECT(stack_create(&s, above, "text") == 0);
		snprintf(path, sizeof(path), "u0/a%d", i);
		EXPECT(fchownat(s.fd, path, i & 1 ? 7 : 0, 7, 0) == 0);
		EXPECT(fchmodat(s.fd, path, modes[i % 8], 0) == 0);
		set(&s, above, &nothing);
		a = set(&s, below, &what);
		b = set(&s, above, &what);
		EXPECT(a.mode == b.mode && a.uid == b.uid && a.gid == b.gid && a.size == b.size);
		EXPECT(!(what.valid & LAM_SET_MTIME) || (a.mtime == b.mtime && a.mtime == 1000000 + i));
		b = get(&s, below);
		EXPECT(memcmp(&a, &b, sizeof(a)) == 0);
		EXPECT(stack_reads(&s, below, "text"));
	}
	stack_close(&s);
	stack_free(&s);
}

static void new_owners_get_no_capabilities(void)
{
	static const unsigned char caps[20] = {
		1, 0, 0, 2, 0, 4
	}; /* VFS_CAP_REVISION_2, CAP_NET_BIND_SERVICE */
	struct lam_setattr chown = { .valid = LAM_SET_UID, .uid = 5 };
	struct lam_setattr chmod = { .valid = LAM_SET_MODE, .mode = 0755 };
	char value[256];
	struct stack s;

	stack_make(&s, 1, 1);
	stack_file(&s, "l0/f", "text");
	stack_file(&s, "l0/g", "text");
	stack_xattr(&s, "l0/f", "security.capability", caps, sizeof(caps));
	stack_xattr(&s, "l0/g", "security.capability", caps, sizeof(caps));
	stack_open(&s);
	set(&s, "f", &chown);
	set(&s, "g", &chmod);
	EXPECT(stack_get_xattr(&s, "u0/f", "security.capability", value) < 0);
	EXPECT(stack_get_xattr(&s, "u0/g", "security.capability", value) > 0);
	stack_close(&s);
	stack_free(&s);
}

/* Copies leave a directory's mtime alone; what users change in between they do not take back. */
static void copies_keep_the_directorys_mtime(void)
{
	struct lam_setattr when = { .valid = LAM_SET_MTIME, .mtime = 12345 };
	struct lam_attr before, after;
	struct stack s;

	stack_make(&s, 1, 1);
	stack_dir(&s, "l0/d");
	for (int i = 0; i < 6; i++) {
		char path[32];

		snprintf(path, sizeof(path), "l0/d/f%d", i);
		stack_file(&s, path, "text");
	}
	stack_open(&s);
	before = get(&s, "d");
	EXPECT(stack_chmod(&s, "d/f0", 0600) == 0 && stack_write(&s, "d/f1", "x") == 0);
	after = get(&s, "d");
	EXPECT(before.mtime == after.mtime && before.mtimensec == after.mtimensec);
	set(&s, "d", &when);
	EXPECT(stack_chmod(&s, "d/f2", 0600) == 0 && get(&s, "d").mtime == 12345);
	EXPECT(stack_create(&s, "d/new", "") == 0);
	before = get(&s, "d");
	EXPECT(before.mtime != 12345);
	EXPECT(stack_chmod(&s, "d/f3", 0600) == 0);
	after = get(&s, "d");
	EXPECT(before.mtime == after.mtime && before.mtimensec == after.mtimensec);
	EXPECT(stack_unlink(&s, "d/f3") == 0);
	before = get(&s, "d");
	EXPECT(stack_chmod(&s, "d/f4", 0600) == 0);
	after = get(&s, "d");
	EXPECT(before.mtime == after.mtime && before.mtimensec == after.mtimensec);
	stack_close(&s);
	stack_free(&s);
}

int main(void)
{
	kernel_watchdog(60);
	override_is_not_the_users_to_touch();
	writers_take_set_ids_from_the_override();
	changes_on_the_way_equal_later_ones();
	new_owners_get_no_capabilities();
	copies_keep_the_directorys_mtime();
	return 0;
}
