/* SPDX-License-Identifier: MIT */
/*
 * test_threads - many requesters at once on few names
 *
 * Theory.  Eight threads do random verbs on the same small tree, among them copies of files
 * too large to be made with the lock held, while others rename, remove, link and forget the
 * same objects.  What each verb answers is a matter of luck; afterwards everything balances:
 * no node, descriptor or stray file is left.  The sanitizers do the rest.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "stack.h"

#define THREADS 8
#define NAMES 6
#define HELD 8
#define BIG (3u << 20)	 /* far more than LAM_SMALL_COPY, so that the copy takes a while */
#define MILLISECONDS 700 /* a run; there are four */

struct shared {
	struct stack *stack;
	uint64_t dirs[3];
	atomic_bool stop;
	atomic_ulong done;
};

struct worker {
	struct shared *shared;
	pthread_t thread;
	uint64_t state;
	uint64_t held[HELD]; /* lookups that the thread owns */
};

static uint32_t draw(struct worker *w, uint32_t below)
{
	w->state = w->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(w->state >> 33) % below;
}

static const char *some_name(struct worker *w)
{
	static const char *const names[NAMES] = { "a", "b", "c", "d", "e", "sub" };

	return names[draw(w, NAMES)];
}

static uint64_t some_dir(struct worker *w)
{
	return w->shared->dirs[draw(w, 3)];
}

static void hold(struct worker *w, uint64_t nodeid)
{
	uint64_t *slot = &w->held[draw(w, HELD)];

	if (*slot)
		lam_forget(w->shared->stack->core, *slot, 1);
	*slot = nodeid;
}

static uint64_t some_node(struct worker *w)
{
	uint64_t nodeid = w->held[draw(w, HELD)];

	return nodeid ? nodeid : some_dir(w);
}

/* Any errno will do, but none that a correct core has no reason for. */
static void check(int64_t rc)
{
	if (rc == -EFAULT || rc == -EBADF || rc == -ENODATA || rc == -EIO) {
		fprintf(stderr, "unexpected: %s\n", strerror((int)-rc));
		abort();
	}
}

static void change_names(struct worker *w, const struct lam_caller *caller)
{
	struct lam_core *core = w->shared->stack->core;
	struct lam_entry entry;
	uint64_t fh;
	int rc;

	switch (draw(w, 7)) {
	case 0:
		rc = lam_unlink(core, caller, some_dir(w), some_name(w));
		break;
	case 1:
		rc = lam_rmdir(core, caller, some_dir(w), some_name(w));
		break;
	case 2:
		rc = lam_rename(core, caller, some_dir(w), some_name(w), some_dir(w), some_name(w),
				draw(w, 3) ? 0 : RENAME_EXCHANGE);
		break;
	case 3:
		rc = lam_mkdir(core, caller, some_dir(w), some_name(w), 0755, &entry);
		if (rc == 0)
			hold(w, entry.nodeid);
		break;
	case 4:
		rc = lam_link(core, caller, some_node(w), some_dir(w), some_name(w), &entry);
		if (rc == 0)
			hold(w, entry.nodeid);
		break;
	case 5:
		rc = lam_tmpfile(core, caller, some_dir(w), 0644, O_RDWR, &entry, &fh);
		if (rc == 0) {
			lam_release(core, fh);
			hold(w, entry.nodeid);
		}
		break;
	default:
		rc = lam_create(core, caller, some_dir(w), some_name(w), 0644, O_RDWR, &entry, &fh);
		if (rc == 0) {
			lam_release(core, fh);
			hold(w, entry.nodeid);
		}
	}
	check(rc);
}

static void change_objects(struct worker *w, const struct lam_caller *caller)
{
	struct lam_setattr set = { .valid = draw(w, 2) ? LAM_SET_MODE : LAM_SET_SIZE,
				   .mode = 0600 | draw(w, 64),
				   .size = draw(w, 3) ? BIG : 0 };
	struct lam_core *core = w->shared->stack->core;
	struct lam_attr attr;
	uint64_t fh = 0, node = some_node(w);
	char value[16];
	int64_t rc;

	switch (draw(w, 6)) {
	case 0:
		rc = lam_setattr(core, caller, node, 0, &set, &attr);
		break;
	case 1:
		rc = lam_write(core, caller, node, 0, "new", 3, draw(w, BIG), draw(w, 2));
		break;
	case 2:
		rc = lam_open(core, caller, node, draw(w, 2) ? O_RDWR : O_RDONLY, &fh);
		if (rc == 0) {
			check(lam_read(core, caller, node, fh, value, sizeof(value), draw(w, BIG)));
			check(lam_write(core, caller, node, fh, "x", 1, 0, false));
			lam_release(core, fh);
		}
		break;
	case 3:
		rc = lam_setxattr(core, caller, node, "user.test", "v", 1, 0, false);
		break;
	case 4:
		rc = lam_fsync(core, node, 0, true);
		break;
	default:
		rc = lam_getxattr(core, node, "user.test", value, sizeof(value));
		rc = rc == -ENODATA ? 0 : rc;
	}
	check(rc);
}

static void look(struct worker *w, const struct lam_caller *caller)
{
	struct lam_core *core = w->shared->stack->core;
	char buf[4096], text[16];
	struct lam_dirent head;
	struct lam_entry entry;
	struct lam_attr attr;
	ssize_t n;

	switch (draw(w, 4)) {
	case 0:
		n = lam_readdir_pack(core, caller, some_dir(w), 0, true, buf, sizeof(buf));
		check(n);
		for (ssize_t at = 0; at < n; at += (ssize_t)((sizeof(head) + head.namelen + 7) & ~7ul)) {
			memcpy(&head, buf + at, sizeof(head));
			if (head.entry.nodeid)
				lam_forget(core, head.entry.nodeid, 1);
		}
		break;
	case 1:
		check(lam_getattr(core, some_node(w), 0, &attr));
		check(lam_why(core, some_node(w), buf, sizeof(buf)));
		break;
	case 2:
		check(lam_read(core, caller, some_node(w), 0, text, sizeof(text), draw(w, BIG)));
		break;
	default:
		if (lam_lookup(core, caller, some_dir(w), some_name(w), &entry) == 0)
			hold(w, entry.nodeid);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&w->shared->stop)) {
		const struct lam_caller *caller = draw(w, 4) ? ROOT : NO_WAIT;

		switch (draw(w, 4)) {
		case 0:
			change_names(w, caller);
			break;
		case 1:
			change_objects(w, caller);
			break;
		default:
			look(w, caller);
		}
		atomic_fetch_add(&w->shared->done, 1);
	}
	for (int i = 0; i < HELD; i++)
		if (w->held[i])
			lam_forget(w->shared->stack->core, w->held[i], 1);
	return NULL;
}

static int strays(const struct stack *s, const char *path)
{
	int fd = openat(s->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), count = 0;
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	while ((entry = readdir(dir)))
		count += entry->d_name[0] == '#';
	closedir(dir);
	return count;
}

static void populate(const struct stack *s)
{
	char path[64];

	for (const char *name = "abcde"; *name; name++) {
		snprintf(path, sizeof(path), "l1/%c", *name);
		stack_sized(s, path, BIG);
	}
	stack_dir(s, "l0/one");
	stack_dir(s, "l1/one");
	stack_dir(s, "l1/two");
	for (const char *name = "abc"; *name; name++) {
		snprintf(path, sizeof(path), "l0/one/%c", *name);
		stack_sized(s, path, BIG);
		snprintf(path, sizeof(path), "l1/one/%c", *name + 2);
		stack_sized(s, path, BIG);
	}
	stack_sized(s, "l1/two/d", BIG);
	EXPECT(linkat(s->fd, "l1/two/d", s->fd, "l1/two/e", 0) == 0);
	EXPECT(linkat(s->fd, "l1/two/d", s->fd, "l1/one/link", 0) == 0);
	stack_dir(s, "l1/two/sub");
	stack_sized(s, "l1/two/sub/a", 100);
}

static void run(uint32_t flags, uint32_t redirect, uint32_t max_fds)
{
	struct timespec pause = { .tv_sec = MILLISECONDS / 1000, .tv_nsec = MILLISECONDS % 1000 * 1000000l };
	struct worker workers[THREADS] = { 0 };
	struct shared shared = { 0 };
	struct stack s;

	stack_make(&s, 2, 1);
	populate(&s);
	s.config.flags = flags;
	s.config.redirect = redirect;
	s.config.max_fds = max_fds;
	stack_open(&s);
	shared.stack = &s;
	shared.dirs[0] = LAM_ROOT_ID;
	shared.dirs[1] = stack_find(&s, "one");
	shared.dirs[2] = stack_find(&s, "two");
	for (int i = 0; i < THREADS; i++) {
		workers[i].shared = &shared;
		workers[i].state = (uint64_t)i * 77 + 1;
		EXPECT(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	nanosleep(&pause, NULL);
	atomic_store(&shared.stop, true);
	for (int i = 0; i < THREADS; i++)
		EXPECT(pthread_join(workers[i].thread, NULL) == 0);
	EXPECT(atomic_load(&shared.done) > THREADS);
	stack_forget(&s, shared.dirs[1]);
	stack_forget(&s, shared.dirs[2]);
	EXPECT(strays(&s, "w0/work") == 0);
	stack_close(&s);
	/* What is left can be mounted again, and read. */
	stack_open(&s);
	EXPECT(stack_error(&s, "") == 0);
	for (const char *name = "abcde"; *name; name++) {
		char path[2] = { *name, '\0' }, text[16];
		ssize_t n = stack_error(&s, path) == 0 ? stack_read(&s, path, text, sizeof(text)) : 0;

		EXPECT(n >= 0 || n == -EISDIR);
	}
	stack_close(&s);
	stack_free(&s);
}

int main(void)
{
	kernel_watchdog(100);
	run(0, LAM_REDIRECT_OFF, 0);
	run(LAM_CFG_METACOPY | LAM_CFG_INDEX, LAM_REDIRECT_ON, 1);
	run(LAM_CFG_METACOPY, LAM_REDIRECT_ON, 0);
	run(LAM_CFG_INDEX, LAM_REDIRECT_ON, 0);
	return 0;
}
