/* SPDX-License-Identifier: MIT */
/* test_resolve - which layers show through a directory, and where redirects lead */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "stack.h"

#define REDIRECT "trusted.overlay.redirect"
#define METACOPY "trusted.overlay.metacopy"
#define OPAQUE "trusted.overlay.opaque"

#define DEEP 10000
#define RAISED 1000 /* of them are copied up: each copy costs the kernel as many steps as it is deep */

static void redirect(const struct stack *s, const char *path, const char *value)
{
	stack_text_xattr(s, path, REDIRECT, value);
}

/* A metadata-only copy of 'size' bytes, as kernel overlayfs leaves it. */
static void metacopy(const struct stack *s, const char *path, uint64_t size, const char *value)
{
	char full[256];

	stack_file(s, path, "");
	snprintf(full, sizeof(full), "%s/%s", s->top, path);
	EXPECT(truncate(full, (off_t)size) == 0);
	stack_xattr(s, path, METACOPY, "", 0);
	if (value)
		redirect(s, path, value);
}

static void merges_until_something_ends_it(void)
{
	struct stack s;

	stack_make(&s, 5, 0);
	for (char path[16] = "l0/d"; path[1] < '5'; path[1]++)
		if (path[1] != '2')
			stack_dir(&s, path);
	stack_file(&s, "l0/d/a", "0");
	stack_file(&s, "l1/d/a", "1");
	stack_file(&s, "l1/d/b", "1");
	stack_file(&s, "l3/d/c", "3");
	stack_file(&s, "l4/d/e", "4");
	stack_text_xattr(&s, "l3/d", OPAQUE, "y");
	stack_open(&s);
	EXPECT(stack_lists(&s, "d", "a b c "));
	EXPECT(stack_reads(&s, "d/a", "0") && stack_reads(&s, "d/b", "1") && stack_reads(&s, "d/c", "3"));
	EXPECT(stack_error(&s, "d/e") == -ENOENT);
	EXPECT(stack_error(&s, "d/a/x") == -ENOTDIR);
	stack_close(&s);
	stack_file(&s, "l2/d", "a file between");
	stack_open(&s);
	EXPECT(stack_lists(&s, "d", "a b "));
	stack_close(&s);
	stack_free(&s);
}

static void follows_names_and_paths(void)
{
	struct stack s;

	stack_make(&s, 3, 1);
	stack_dir(&s, "l2/p");
	stack_dir(&s, "l2/p/q");
	stack_file(&s, "l2/p/q/f", "2");
	stack_dir(&s, "l1/p");
	stack_dir(&s, "l1/p/q");
	stack_file(&s, "l1/p/q/g", "1");
	stack_dir(&s, "l2/other");
	stack_dir(&s, "l2/twice");
	stack_file(&s, "l2/twice/t", "2");
	stack_dir(&s, "l1/once");
	redirect(&s, "l1/once", "twice");
	stack_dir(&s, "l0/abs");
	redirect(&s, "l0/abs", "/p/q");
	stack_dir(&s, "l0/rel");
	redirect(&s, "l0/rel", "other");
	stack_dir(&s, "l0/two");
	redirect(&s, "l0/two", "once"); /* below, which goes on as "twice" */
	stack_dir(&s, "l0/in");
	redirect(&s, "l0/in", "/once/none");
	stack_open(&s);
	EXPECT(stack_lists(&s, "abs", "f g ") && stack_reads(&s, "abs/f", "2") &&
	       stack_reads(&s, "abs/g", "1"));
	EXPECT(stack_lists(&s, "rel", ""));
	EXPECT(stack_lists(&s, "two", "t ") && stack_reads(&s, "two/t", "2"));
	EXPECT(stack_lists(&s, "in", ""));
	EXPECT(stack_lists(&s, "p/q", "f g "));
	stack_close(&s);
	s.config.redirect = LAM_REDIRECT_NOFOLLOW;
	stack_open(&s);
	EXPECT(stack_lists(&s, "abs", "") && stack_lists(&s, "two", ""));
	stack_close(&s);
	stack_free(&s);
}

/* A path that passes directories which are redirected themselves. */
static void follows_redirects_on_the_way(void)
{
	struct stack s;

	stack_make(&s, 3, 0);
	stack_dir(&s, "l2/real");
	stack_dir(&s, "l2/real/in");
	stack_file(&s, "l2/real/in/f", "2");
	stack_dir(&s, "l1/alias");
	redirect(&s, "l1/alias", "/real");
	stack_dir(&s, "l0/d");
	redirect(&s, "l0/d", "/alias/in");
	stack_open(&s);
	EXPECT(stack_reads(&s, "d/f", "2"));
	stack_close(&s);
	stack_free(&s);
}

static void refuses_malformed_ones(void)
{
	static const char *const bad[] = { "",	    "/",      "//",	   "..",     ".",
					   "/..",   "/../..", "/a/../b",   "/a/./b", "a/b",
					   "/a//b", "/a/",    "../../etc", "/a/..",  "./a" };
	char longest[3900], name[300];
	struct stack s;

	stack_make(&s, 2, 1);
	stack_dir(&s, "l1/a");
	stack_file(&s, "l1/a/secret", "x");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(name, sizeof(name), "l0/bad%zu", i);
		stack_dir(&s, name);
		redirect(&s, name, bad[i]);
	}
	stack_dir(&s, "l0/nul");
	stack_xattr(&s, "l0/nul", REDIRECT, "a\0b", 3);
	memset(name, 'n', 299);
	name[299] = '\0';
	stack_dir(&s, "l0/wide"); /* a component beyond NAME_MAX */
	redirect(&s, "l0/wide", name);
	memset(longest, 'a', sizeof(longest));
	for (size_t i = 0; i < sizeof(longest); i += 2)
		longest[i] = '/';
	stack_dir(&s, "l0/long"); /* well-formed, leading nowhere */
	stack_xattr(&s, "l0/long", REDIRECT, longest, sizeof(longest));
	stack_dir(&s, "l0/fine");
	stack_open(&s);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(name, sizeof(name), "bad%zu", i);
		EXPECT(stack_error(&s, name) == -EIO);
	}
	EXPECT(stack_error(&s, "nul") == -EIO && stack_error(&s, "wide") == -EIO);
	EXPECT(stack_lists(&s, "long", ""));
	/* One bad directory does not make its neighbours unreadable. */
	EXPECT(stack_lists(
		&s, "",
		"a bad0 bad1 bad10 bad11 bad12 bad13 bad14 bad2 bad3 bad4 bad5 bad6 bad7 bad8 bad9 "
		"fine long nul wide "));
	stack_close(&s);
	stack_free(&s);
}

/* Each layer sends on to another name and back: it ends at the last layer. */
static void loops_end(void)
{
	char path[32], parent[32];
	struct stack s;

	stack_make(&s, 60, 0);
	for (int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "l%d/ping", i);
		stack_dir(&s, path);
		redirect(&s, path, i % 2 ? "pong" : "/pong");
		snprintf(path, sizeof(path), "l%d/pong", i);
		stack_dir(&s, path);
		redirect(&s, path, i % 2 ? "/ping" : "ping");
		snprintf(parent, sizeof(parent), "l%d/self", i);
		stack_dir(&s, parent);
		redirect(&s, parent, "/self");
		snprintf(path, sizeof(path), "l%d/self/in", i);
		stack_dir(&s, path);
		redirect(&s, path, "/self/in");
	}
	stack_open(&s);
	EXPECT(stack_error(&s, "ping") == 0 || stack_error(&s, "ping") == -ELOOP);
	EXPECT(stack_error(&s, "pong") == 0 || stack_error(&s, "pong") == -ELOOP);
	EXPECT(stack_error(&s, "self") == 0 || stack_error(&s, "self") == -ELOOP);
	stack_error(&s, "self/in");
	stack_close(&s);
	stack_free(&s);
}

/* Redirects inside the paths of redirects multiply: the search is given up before it takes long. */
static void mazes_end(void)
{
	struct timespec from, to;
	char path[1200], name[16];
	struct stack s;

	stack_make(&s, 24, 0);
	for (int i = 0; i < 24; i++) {
		char way[1200] = "";
		int dir, next;

		snprintf(name, sizeof(name), "l%d", i);
		dir = openat(s.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		for (int k = 0; k < 40; k++) {
			EXPECT(mkdirat(dir, "m", 0755) == 0);
			next = openat(dir, "m", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			close(dir);
			dir = next;
			strcat(way, "/m");
		}
		close(dir);
		for (int k = 1; k <= 40; k++) {
			snprintf(path, sizeof(path), "l%d%.*s", i, 2 * k, way);
			stack_text_xattr(&s, path, REDIRECT, way);
		}
	}
	stack_open(&s);
	clock_gettime(CLOCK_MONOTONIC, &from);
	EXPECT(stack_error(&s, "m") == -ELOOP);
	clock_gettime(CLOCK_MONOTONIC, &to);
	EXPECT(to.tv_sec - from.tv_sec < 20);
	stack_close(&s);
	stack_free(&s);
}

static void finds_data_of_metadata_copies(void)
{
	struct stack s;
	char text[16];

	stack_make(&s, 4, 1);
	stack_file(&s, "l3/data", "four");
	stack_dir(&s, "l3/dir");
	stack_file(&s, "l3/dir/data", "deep");
	for (int i = 1; i < 3; i++) {
		char path[16];

		snprintf(path, sizeof(path), "l%d", i);
		stack_text_xattr(&s, path, "trusted.overlay.impure", "y");
	}
	stack_text_xattr(&s, "l0", "trusted.overlay.impure", "y");
	metacopy(&s, "l1/data", 4, NULL);
	metacopy(&s, "l0/data", 4, NULL);
	metacopy(&s, "l0/renamed", 4, "data");
	metacopy(&s, "l0/moved", 4, "/dir/data");
	metacopy(&s, "l0/lost", 4, NULL);
	metacopy(&s, "l0/astray", 4, "/dir");
	metacopy(&s, "l0/nowhere", 4, "/no/such/path");
	metacopy(&s, "l0/broken", 4, "../data");
	metacopy(&s, "u0/data", 4, NULL);
	metacopy(&s, "u0/up", 4, "renamed");
	metacopy(&s, "u0/uplost", 4, "lost");
	stack_open(&s);
	EXPECT(stack_reads(&s, "data", "four"));
	EXPECT(stack_reads(&s, "renamed", "four"));
	EXPECT(stack_reads(&s, "moved", "deep"));
	EXPECT(stack_reads(&s, "up", "four"));
	/* Data that is missing makes reading fail, never the name, and nothing is made up. */
	EXPECT(stack_error(&s, "lost") == 0 && stack_read(&s, "lost", text, sizeof(text)) == -EIO);
	EXPECT(stack_read(&s, "astray", text, sizeof(text)) == -EIO);
	EXPECT(stack_read(&s, "nowhere", text, sizeof(text)) == -EIO);
	EXPECT(stack_read(&s, "broken", text, sizeof(text)) == -EIO);
	EXPECT(stack_read(&s, "uplost", text, sizeof(text)) == -EIO);
	EXPECT(stack_write(&s, "uplost", "data") == -EIO);
	EXPECT(stack_write(&s, "lost", "data") == -EIO);
	EXPECT(stack_chmod(&s, "uplost", 0600) == 0);
	EXPECT(stack_unlink(&s, "uplost") == 0 && stack_error(&s, "uplost") == -ENOENT);
	/* A copy of a copy keeps its way down, also when it is renamed. */
	EXPECT(stack_chmod(&s, "renamed", 0600) == 0 && stack_rename(&s, "renamed", "again", 0) == 0);
	EXPECT(stack_reads(&s, "again", "four"));
	EXPECT(stack_write(&s, "again", "F") == 0 && stack_reads(&s, "again", "Four"));
	EXPECT(stack_reads(&s, "data", "four"));
	EXPECT(stack_rename(&s, "moved", "m2", 0) == 0 && stack_reads(&s, "m2", "deep"));
	stack_close(&s);
	stack_open(&s);
	EXPECT(stack_reads(&s, "again", "Four") && stack_reads(&s, "m2", "deep"));
	stack_close(&s);
	stack_free(&s);
}

/* The renames of directories that this core makes are found again, whatever was renamed before. */
static void redirects_of_its_own(void)
{
	char value[256];
	struct stack s;

	stack_make(&s, 2, 1);
	stack_dir(&s, "l1/a");
	stack_dir(&s, "l1/a/b");
	stack_file(&s, "l1/a/b/f", "1");
	stack_dir(&s, "l0/a");
	stack_file(&s, "l0/a/top", "0");
	stack_open(&s);
	EXPECT(stack_mkdir(&s, "new") == 0);
	EXPECT(stack_rename(&s, "a", "a2", 0) == 0 && stack_rename(&s, "a2/b", "new/b2", 0) == 0);
	EXPECT(stack_rename(&s, "new", "old", 0) == 0 && stack_rename(&s, "old/b2", "old/b3", 0) == 0);
	EXPECT(stack_reads(&s, "old/b3/f", "1") && stack_lists(&s, "a2", "top "));
	EXPECT(stack_mkdir(&s, "a") == 0 && stack_lists(&s, "a", ""));
	EXPECT(stack_get_xattr(&s, "u0/old/b3", REDIRECT, value) == 4 && strcmp(value, "/a/b") == 0);
	EXPECT(stack_get_xattr(&s, "u0/a2", REDIRECT, value) == 1 && strcmp(value, "a") == 0);
	stack_close(&s);
	stack_open(&s);
	EXPECT(stack_lists(&s, "", "a a2 old ") && stack_lists(&s, "old", "b3 "));
	EXPECT(stack_reads(&s, "old/b3/f", "1") && stack_lists(&s, "a2", "top ") && stack_lists(&s, "a", ""));
	stack_close(&s);
	stack_free(&s);
}

/* Directories nested deeper than any path can say, and redirects at the bottom of them. */
static void goes_deep(void)
{
	struct lam_entry entry;
	uint64_t at = LAM_ROOT_ID, middle = 0;
	char list[1024];
	int dir, next;
	struct stack s;

	stack_make(&s, 2, 1);
	s.config.max_fds = 1;
	for (int layer = 0; layer < 2; layer++) {
		dir = openat(s.fd, layer ? "l1" : "l0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		for (int i = 0; i < DEEP; i++) {
			EXPECT(mkdirat(dir, "directory", 0755) == 0);
			next = openat(dir, "directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			close(dir);
			dir = next;
		}
		EXPECT(mkdirat(dir, layer ? "low" : "high", 0755) == 0);
		close(dir);
	}
	stack_open(&s);
	for (int i = 0; i < DEEP; i++) {
		EXPECT(lam_lookup(s.core, ROOT, at, "directory", &entry) == 0);
		if (i == RAISED)
			middle = at;
		else
			stack_forget(&s, at);
		at = entry.nodeid;
	}
	EXPECT(lam_lookup(s.core, ROOT, at, "low", &entry) == 0);
	stack_forget(&s, entry.nodeid);
	EXPECT(lam_readdir_pack(s.core, ROOT, at, 0, false, list, sizeof(list)) > 0);
	stack_forget(&s, at);
	EXPECT(lam_mkdir(s.core, ROOT, middle, "made", 0755, &entry) == 0); /* copies up all the way */
	stack_forget(&s, entry.nodeid);
	EXPECT(lam_rename(s.core, ROOT, middle, "directory", middle, "renamed", 0) == 0);
	EXPECT(lam_rename(s.core, ROOT, middle, "renamed", LAM_ROOT_ID, "out", 0) ==
	       -EXDEV); /* no redirect is that long */
	EXPECT(lam_rmdir(s.core, ROOT, middle, "made") == 0);
	EXPECT(lam_lookup(s.core, ROOT, middle, "renamed", &entry) == 0);
	stack_forget(&s, entry.nodeid);
	stack_forget(&s, middle);
	stack_close(&s);
	stack_free(&s);
}

int main(void)
{
	kernel_watchdog(100);
	merges_until_something_ends_it();
	follows_names_and_paths();
	follows_redirects_on_the_way();
	refuses_malformed_ones();
	loops_end();
	mazes_end();
	finds_data_of_metadata_copies();
	redirects_of_its_own();
	goes_deep();
	return 0;
}
