/* SPDX-License-Identifier: MIT */
/* test_whiteout - every way of hiding names is understood, and the right one is left behind */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "stack.h"

static bool is_whiteout(const struct stack *s, const char *path)
{
	struct stat st;

	return fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

/* Six files below, each hidden by another dialect, and one that only looks hidden. */
static void hide_all(const struct stack *s, const char *layer, const char *kind)
{
	char path[64], key[64];

	snprintf(path, sizeof(path), "%s/d", layer);
	stack_dir(s, path);
	snprintf(key, sizeof(key), "%s.overlay.opaque", kind);
	stack_text_xattr(s, path, key, "x");
	snprintf(path, sizeof(path), "%s/d/device", layer);
	stack_whiteout(s, path);
	snprintf(path, sizeof(path), "%s/d/.wh.oci", layer);
	stack_file(s, path, "");
	snprintf(path, sizeof(path), "%s/d/xattr", layer);
	stack_file(s, path, "");
	snprintf(key, sizeof(key), "%s.overlay.whiteout", kind);
	stack_xattr(s, path, key, "y", 1);
	snprintf(path, sizeof(path), "%s/d/full", layer); /* has contents: a file */
	stack_file(s, path, "full");
	stack_xattr(s, path, key, "y", 1);
	snprintf(path, sizeof(path), "%s/d/.wh..wh.aufs", layer);
	stack_file(s, path, "");
}

static void reads_all_dialects(const char *layer, const char *kind, unsigned int uppers)
{
	static const char *const names[] = { "device", "oci", "xattr", "full", "stays" };
	char path[64];
	struct stack s;

	stack_make(&s, 2, uppers);
	if (strcmp(kind, "user") == 0)
		s.config.flags |= LAM_CFG_USERXATTR;
	stack_dir(&s, "l1/d");
	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "l1/d/%s", names[i]);
		stack_file(&s, path, "low");
	}
	hide_all(&s, layer, kind);
	stack_open(&s);
	EXPECT(stack_lists(&s, "d", "full stays "));
	EXPECT(stack_error(&s, "d/device") == -ENOENT && stack_error(&s, "d/oci") == -ENOENT);
	EXPECT(stack_error(&s, "d/xattr") == -ENOENT && stack_error(&s, "d/.wh.oci") == -ENOENT);
	EXPECT(stack_reads(&s, "d/full", "full") && stack_reads(&s, "d/stays", "low"));
	if (uppers) { /* and what is created in their place shows, now and at the next mount */
		EXPECT(stack_create(&s, "d/device", "new") == 0 && stack_mkdir(&s, "d/oci") == 0);
		EXPECT(stack_create(&s, "d/xattr", "new") == 0 && stack_unlink(&s, "d/full") == 0);
		EXPECT(stack_lists(&s, "d", "device oci stays xattr "));
		stack_close(&s);
		stack_open(&s);
		EXPECT(stack_lists(&s, "d", "device oci stays xattr ") && stack_lists(&s, "d/oci", ""));
		EXPECT(stack_reads(&s, "d/xattr", "new") && stack_reads(&s, "d/device", "new"));
		EXPECT(stack_error(&s, "d/full") == -ENOENT);
	}
	stack_close(&s);
	stack_free(&s);
}

static void reads_all_kinds_of_opaque(void)
{
	static const struct {
		const char *key;
		const char *value;
		bool hides;
	} marks[] = {
		{ "trusted.overlay.opaque", "y", true },    { "user.overlay.opaque", "y", true },
		{ "user.fuseoverlayfs.opaque", "y", true }, { "trusted.overlay.opaque", "x", false },
		{ "trusted.overlay.opaque", "n", false },   { "trusted.overlay.opaque", "yes", false },
		{ "trusted.overlay.opaque", "", false },    { NULL, NULL, true },
	};

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
		struct stack s;

		stack_make(&s, 2, 0);
		stack_dir(&s, "l1/d");
		stack_file(&s, "l1/d/low", "");
		stack_dir(&s, "l0/d");
		stack_file(&s, "l0/d/high", "");
		if (marks[i].key)
			stack_text_xattr(&s, "l0/d", marks[i].key, marks[i].value);
		else
			stack_file(&s, "l0/d/.wh..wh..opq", "");
		stack_open(&s);
		EXPECT(stack_lists(&s, "d", marks[i].hides ? "high " : "high low "));
		EXPECT(stack_error(&s, "d/low") == (marks[i].hides ? -ENOENT : 0));
		stack_close(&s);
		stack_free(&s);
	}
}

/* A whiteout hides what is below, never what is beside it. */
static void hides_downwards_only(void)
{
	struct stack s;

	stack_make(&s, 3, 0);
	stack_file(&s, "l2/f", "2");
	stack_file(&s, "l1/f", "1");
	stack_file(&s, "l1/.wh.f", "");
	stack_file(&s, "l0/g", "0");
	stack_whiteout(&s, "l1/g");
	stack_dir(&s, "l0/d");
	stack_dir(&s, "l1/d");
	stack_file(&s, "l1/.wh.d", "");
	stack_file(&s, "l1/d/one", "1");
	stack_dir(&s, "l2/d");
	stack_file(&s, "l2/d/two", "2");
	stack_open(&s);
	EXPECT(stack_reads(&s, "f", "1") && stack_reads(&s, "g", "0") && stack_lists(&s, "d", "one "));
	stack_close(&s);
	stack_free(&s);
}

static void leaves_what_is_needed(void)
{
	struct stack s;

	stack_make(&s, 1, 1);
	stack_file(&s, "l0/f", "low");
	stack_dir(&s, "l0/d");
	stack_file(&s, "l0/d/in", "low");
	stack_dir(&s, "l0/e");
	stack_open(&s);
	EXPECT(stack_unlink(&s, "f") == 0 && is_whiteout(&s, "u0/f"));
	EXPECT(stack_rmdir(&s, "d") == -ENOTEMPTY && stack_unlink(&s, "d/in") == 0 &&
	       is_whiteout(&s, "u0/d/in"));
	EXPECT(stack_rmdir(&s, "d") == 0 && is_whiteout(&s, "u0/d"));
	EXPECT(stack_rename(&s, "e", "e2", 0) == 0 && is_whiteout(&s, "u0/e"));
	EXPECT(stack_create(&s, "own", "x") == 0 && stack_unlink(&s, "own") == 0 && !stack_has(&s, "u0/own"));
	EXPECT(stack_mkdir(&s, "d") == 0 && stack_lists(&s, "d", "") && stack_create(&s, "d/in", "new") == 0);
	EXPECT(stack_create(&s, "f", "new") == 0 && stack_reads(&s, "f", "new"));
	EXPECT(stack_unlink(&s, "f") == 0 && is_whiteout(&s, "u0/f"));
	EXPECT(stack_rename(&s, "d/in", "f", 0) == 0 && stack_reads(&s, "f", "new") &&
	       !stack_has(&s, "u0/d/in"));
	EXPECT(stack_rename(&s, "d", "d2", 0) == 0 && is_whiteout(&s, "u0/d") && stack_lists(&s, "d2", ""));
	EXPECT(stack_rename(&s, "d2", "d", 0) == 0 && !stack_has(&s, "u0/d2") && stack_lists(&s, "d", ""));
	stack_close(&s);
	stack_open(&s);
	EXPECT(stack_lists(&s, "", "d e2 f ") && stack_lists(&s, "d", "") && stack_reads(&s, "f", "new"));
	stack_close(&s);
	stack_free(&s);
}

/* A removed directory whose upper holds nothing but whiteouts goes with them. */
static void directories_of_whiteouts_go(void)
{
	char path[32];
	struct stack s;

	stack_make(&s, 1, 1);
	stack_dir(&s, "l0/d");
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "l0/d/%d", i);
		stack_file(&s, path, "");
	}
	stack_open(&s);
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "d/%d", i);
		EXPECT(stack_unlink(&s, path) == 0);
	}
	EXPECT(stack_mkdir(&s, "over") == 0 && stack_rename(&s, "over", "d", 0) == 0);
	EXPECT(stack_lists(&s, "", "d ") && stack_lists(&s, "d", ""));
	EXPECT(stack_mkdir(&s, "plain") == 0 && stack_create(&s, "plain/1", "") == 0);
	EXPECT(stack_unlink(&s, "plain/1") == 0 && stack_rmdir(&s, "plain") == 0 &&
	       !stack_has(&s, "u0/plain"));
	EXPECT(stack_rmdir(&s, "d") == 0);
	stack_close(&s);
	stack_open(&s);
	EXPECT(stack_lists(&s, "", ""));
	stack_close(&s);
	stack_free(&s);
}

/* With several uppers, a name is made where no whiteout above hides it. */
static void creations_are_not_hidden(void)
{
	struct stack s;

	stack_make(&s, 1, 2);
	s.config.create_policy = LAM_CREATE_PATH_PRESERVING;
	stack_file(&s, "l0/f", "low");
	stack_dir(&s, "u1/d");
	stack_dir(&s, "l0/d");
	stack_file(&s, "l0/d/g", "low");
	stack_dir(&s, "u0/d");
	stack_whiteout(&s, "u0/d/g");
	stack_open(&s);
	EXPECT(stack_create(&s, "d/g", "new") == 0 && stack_reads(&s, "d/g", "new"));
	EXPECT(stack_unlink(&s, "f") == 0 && stack_create(&s, "f", "new") == 0);
	s.config.create_policy = LAM_CREATE_MOST_FREE;
	stack_close(&s);
	stack_open(&s);
	EXPECT(stack_reads(&s, "d/g", "new") && stack_reads(&s, "f", "new"));
	EXPECT(stack_unlink(&s, "d/g") == 0 && stack_create(&s, "d/g", "newer") == 0);
	stack_close(&s);
	stack_whiteout(&s, "u0/h");
	stack_open(&s);
	EXPECT(stack_create(&s, "h", "seen") == 0);
	stack_close(&s);
	stack_open(&s);
	EXPECT(stack_reads(&s, "d/g", "newer") && stack_reads(&s, "h", "seen"));
	stack_close(&s);
	stack_free(&s);
}

int main(void)
{
	kernel_watchdog(60);
	reads_all_dialects("l0", "trusted", 0);
	reads_all_dialects("l0", "user", 0);
	reads_all_dialects("l0", "trusted", 1);
	reads_all_dialects("u0", "trusted", 1);
	reads_all_dialects("u0", "user", 1);
	reads_all_kinds_of_opaque();
	hides_downwards_only();
	leaves_what_is_needed();
	directories_of_whiteouts_go();
	creations_are_not_hidden();
	return 0;
}
