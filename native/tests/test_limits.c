/* SPDX-License-Identifier: MIT */
/* test_limits - few descriptors, deep and wide trees, many layers */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "stack.h"

#define WIDE 400
#define DEEP 1100
#define LAYERS 600
#define CACHE 80 /* with max_fds small: 64 directories and 16 files */

/* A chain of directories with long names, DEEP of them, below (dirfd, name). */
static void dig(const struct stack *s, const char *name, const char *link, const char *last)
{
	int dir = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;

	for (int i = 0; i < DEEP; i++) {
		EXPECT(mkdirat(dir, link, 0755) == 0);
		next = openat(dir, link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(dir);
		dir = next;
	}
	EXPECT(mkdirat(dir, last, 0755) == 0);
	close(dir);
}

static void bounded(struct stack *s)
{
	struct lam_stats stats;

	lam_core_stats(s->core, &stats);
	EXPECT(stats.fds <= CACHE);
}

static long table_of_descriptors(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	long size = 0;

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "FDSize: %ld", &size) == 1)
			break;
	if (status)
		fclose(status);
	return size;
}

/* Once threads run, growing it would stop the hot thread for a grace period of RCU. */
static void the_table_of_descriptors_is_large_before_threads_are(void)
{
	struct rlimit limit;
	struct stack s;

	stack_make(&s, 1, 1);
	stack_open(&s);
	EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	EXPECT(table_of_descriptors() >= (limit.rlim_cur < 1u << 17 ? (long)limit.rlim_cur / 4 : 1 << 15));
	stack_close(&s);
	stack_free(&s);
}

static void wide_trees(void)
{
	uint64_t dirs[WIDE], files[WIDE];
	struct lam_entry entry;
	char path[64], text[8];
	struct stack s;

	stack_make(&s, 1, 1);
	s.config.max_fds = 10;
	for (int i = 0; i < WIDE; i++) {
		snprintf(path, sizeof(path), "l0/d%d", i);
		stack_dir(&s, path);
		snprintf(path, sizeof(path), "l0/d%d/f", i);
		stack_file(&s, path, "text");
	}
	stack_open(&s);
	for (int i = 0; i < WIDE; i++) {
		snprintf(path, sizeof(path), "d%d", i);
		dirs[i] = stack_find(&s, path);
		EXPECT(lam_lookup(s.core, ROOT, dirs[i], "f", &entry) == 0);
		files[i] = entry.nodeid;
		bounded(&s);
	}
	for (int i = WIDE - 1; i >= 0; i--) {
		EXPECT(lam_read(s.core, ROOT, files[i], 0, text, 4, 0) == 4);
		if (i % 4 == 0)
			EXPECT(lam_write(s.core, ROOT, files[i], 0, "T", 1, 0, false) == 1);
		if (i % 4 == 1)
			EXPECT(lam_rename(s.core, ROOT, dirs[i], "f", dirs[(i + 7) % WIDE], "moved", 0) == 0);
		if (i % 4 == 2)
			EXPECT(lam_unlink(s.core, ROOT, dirs[i], "f") == 0);
		bounded(&s);
	}
	for (int i = 0; i < WIDE; i++) {
		EXPECT(lam_read(s.core, ROOT, files[i], 0, text, 4, 0) == 4);
		EXPECT(memcmp(text, i % 4 ? "text" : "Text", 4) == 0);
		stack_forget(&s, files[i]);
		stack_forget(&s, dirs[i]);
	}
	stack_close(&s);
	stack_free(&s);
}

static uint64_t descend(struct stack *s, const char *link)
{
	uint64_t at = LAM_ROOT_ID;
	struct lam_entry entry;

	for (int i = 0; i < DEEP; i++) {
		EXPECT(lam_lookup(s->core, ROOT, at, link, &entry) == 0);
		stack_forget(s, at);
		at = entry.nodeid;
	}
	return at;
}

/*
 * Two branches so deep that reopening a directory takes more steps than the cache has room:
 * what a verb has opened in the one stays open while it goes down the other.
 */
static void deep_trees(void)
{
	char one[251], two[251];
	struct lam_entry entry;
	uint64_t a, b;
	struct stack s;

	memset(one, 'a', 250);
	memset(two, 'b', 250);
	one[250] = two[250] = '\0';
	stack_make(&s, 1, 1);
	s.config.max_fds = 1;
	s.config.redirect = LAM_REDIRECT_OFF;
	dig(&s, "u0", one, "x");
	dig(&s, "u0", two, "y");
	stack_open(&s);
	a = descend(&s, one);
	b = descend(&s, two);
	for (int i = 0; i < 20; i++) { /* x and y change places */
		uint64_t from = i % 2 ? b : a, to = i % 2 ? a : b;

		EXPECT(lam_rename(s.core, ROOT, from, "x", to, "x", 0) == 0);
		EXPECT(lam_rename(s.core, ROOT, to, "y", from, "y", 0) == 0);
		bounded(&s);
	}
	EXPECT(lam_create(s.core, ROOT, a, "f", 0644, O_RDWR, &entry, NULL) == 0);
	EXPECT(lam_link(s.core, ROOT, entry.nodeid, b, "f", &entry) == 0);
	lam_forget(s.core, entry.nodeid, 2);
	EXPECT(lam_unlink(s.core, ROOT, a, "f") == 0 && lam_unlink(s.core, ROOT, b, "f") == 0);
	stack_forget(&s, a);
	stack_forget(&s, b);
	stack_close(&s);
	stack_free(&s);
}

static void many_layers(void)
{
	char path[64], text[16];
	struct stack s;

	stack_make(&s, LAYERS, 1);
	for (int i = 0; i < LAYERS; i++) {
		snprintf(path, sizeof(path), "l%d/d", i);
		stack_dir(&s, path);
		snprintf(path, sizeof(path), "l%d/d/all", i);
		snprintf(text, sizeof(text), "%d", i);
		stack_file(&s, path, text);
		snprintf(path, sizeof(path), "l%d/d/sub", i);
		stack_dir(&s, path);
		snprintf(path, sizeof(path), "l%d/d/sub/f%d", i, i);
		stack_file(&s, path, text);
	}
	s.config.max_fds = 1;
	stack_open(&s);
	EXPECT(stack_reads(&s, "d/all", "0") && stack_reads(&s, "d/sub/f0", "0"));
	EXPECT(stack_reads(&s, "d/sub/f599", "599"));
	bounded(&s);
	EXPECT(stack_rename(&s, "d/sub", "sub", 0) == 0 && stack_reads(&s, "sub/f300", "300"));
	EXPECT(stack_unlink(&s, "d/all") == 0 && stack_lists(&s, "d", "") && stack_rmdir(&s, "d") == 0);
	bounded(&s);
	stack_close(&s);
	stack_open(&s);
	EXPECT(stack_lists(&s, "", "sub ") && stack_reads(&s, "sub/f599", "599"));
	stack_close(&s);
	stack_free(&s);
}

/* Names are remembered while something in the directory is known, and large indexes no longer than that. */
static void names_are_forgotten(void)
{
	struct lam_stats stats;
	char path[64];
	struct stack s;

	stack_make(&s, 2, 0);
	stack_dir(&s, "l0/d");
	stack_dir(&s, "l1/d");
	for (int i = 0; i < 6000; i++) {
		snprintf(path, sizeof(path), "l%d/d/%d", i % 2, i);
		stack_file(&s, path, "");
	}
	stack_open(&s);
	for (int i = 0; i < 6000; i += 500) {
		snprintf(path, sizeof(path), "d/%d", i);
		EXPECT(stack_error(&s, path) == 0);
	}
	lam_core_stats(s.core, &stats);
	EXPECT(stats.names <= 1);
	stack_close(&s);
	stack_free(&s);
}

static void odd_configurations(void)
{
	struct stack s;

	stack_make(&s, 0, 0);
	EXPECT(stack_try_open(&s) == -EINVAL && strstr(s.why, "no layers"));
	s.lowers = 1;
	EXPECT(stack_try_open(&s) == -ENOENT && strstr(s.why, "lowerdir"));
	stack_file(&s, "l0", "");
	EXPECT(stack_try_open(&s) == -EINVAL && strstr(s.why, "is not an EROFS image"));
	s.lowers = 0;
	s.uppers = 1;
	stack_dir(&s, "u0");
	EXPECT(stack_try_open(&s) == -ENOENT && strstr(s.why, "workdir"));
	stack_dir(&s, "w0");
	stack_open(&s);
	EXPECT(stack_create(&s, "f", "alone") == 0 && stack_reads(&s, "f", "alone"));
	stack_close(&s);
	s.config.flags |= LAM_CFG_READONLY;
	stack_open(&s);
	EXPECT(stack_create(&s, "g", "") == -EROFS && lam_core_readonly(s.core));
	stack_close(&s);
	stack_free(&s);
	lam_core_close(NULL);
}

int main(void)
{
	kernel_watchdog(100);
	the_table_of_descriptors_is_large_before_threads_are();
	wide_trees();
	deep_trees();
	many_layers();
	names_are_forgotten();
	odd_configurations();
	return 0;
}
