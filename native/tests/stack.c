/* SPDX-License-Identifier: MIT */
/* stack - see stack.h */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "stack.h"

#define LIST_ROOM 65536

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	EXPECT(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

void stack_make(struct stack *stack, unsigned int lowers, unsigned int uppers)
{
	char name[16];

	memset(stack, 0, sizeof(*stack));
	umask(0);
	/* Memory where there is some: a disk would be waited for at each copy-up. */
	snprintf(stack->top, sizeof(stack->top), "%s/lamina-test-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	EXPECT(mkdtemp(stack->top));
	stack->fd = open(stack->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT(stack->fd >= 0);
	stack->lowers = lowers;
	stack->uppers = uppers;
	stack->config.redirect = LAM_REDIRECT_ON;
	stack->config.flags = LAM_CFG_METACOPY | LAM_CFG_INDEX;
	for (unsigned int i = 0; i < lowers; i++) {
		snprintf(name, sizeof(name), "l%u", i);
		stack_dir(stack, name);
	}
	for (unsigned int i = 0; i < uppers; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		stack_dir(stack, name);
		*name = 'w';
		stack_dir(stack, name);
	}
}

void stack_free(struct stack *stack)
{
	char command[96];

	close(stack->fd);
	snprintf(command, sizeof(command), "rm -rf %s", stack->top); /* it knows how to go deep */
	EXPECT(system(command) == 0);
}

void stack_dir(const struct stack *stack, const char *path)
{
	EXPECT(mkdirat(stack->fd, path, 0755) == 0);
}

void stack_file(const struct stack *stack, const char *path, const char *text)
{
	int fd = openat(stack->fd, path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

	EXPECT(fd >= 0);
	EXPECT(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

void stack_sized(const struct stack *stack, const char *path, uint64_t size)
{
	int fd = openat(stack->fd, path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
	char block[4096];

	EXPECT(fd >= 0);
	memset(block, 'x', sizeof(block));
	while (size > 0) {
		size_t n = size < sizeof(block) ? size : sizeof(block);

		EXPECT(write(fd, block, n) == (ssize_t)n);
		size -= n;
	}
	close(fd);
}

void stack_whiteout(const struct stack *stack, const char *path)
{
	EXPECT(mknodat(stack->fd, path, S_IFCHR | 0600, 0) == 0);
}

void stack_xattr(const struct stack *stack, const char *path, const char *key, const void *value, size_t size)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", stack->top, path);
	EXPECT(lsetxattr(full, key, value, size, 0) == 0);
}

void stack_text_xattr(const struct stack *stack, const char *path, const char *key, const char *value)
{
	stack_xattr(stack, path, key, value, strlen(value));
}

bool stack_has(const struct stack *stack, const char *path)
{
	return faccessat(stack->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int stack_get_xattr(const struct stack *stack, const char *path, const char *key, char value[256])
{
	char full[512];
	ssize_t n;

	snprintf(full, sizeof(full), "%s/%s", stack->top, path);
	n = lgetxattr(full, key, value, 255);
	value[n > 0 ? n : 0] = '\0';
	return (int)n;
}

int stack_try_open(struct stack *stack)
{
	static const char kinds[] = { 'l', 'u', 'w' };
	unsigned int counts[] = { stack->lowers, stack->uppers, stack->uppers };
	const char **lists[3];
	struct lam_config config = stack->config;
	int rc;

	for (int k = 0; k < 3; k++) {
		lists[k] = calloc(counts[k] + 1, sizeof(char *));
		for (unsigned int i = 0; i < counts[k]; i++) {
			char *path = malloc(96);

			snprintf(path, 96, "%s/%c%u", stack->top, kinds[k], i);
			lists[k][i] = path;
		}
	}
	config.lower = lists[0];
	config.upper = lists[1];
	config.work = lists[2];
	config.nlower = stack->lowers;
	config.nupper = stack->uppers;
	stack->fds = count_fds();
	rc = lam_core_open(&config, stack->why, sizeof(stack->why), &stack->core);
	for (int k = 0; k < 3; k++) {
		for (unsigned int i = 0; i < counts[k]; i++)
			free((char *)lists[k][i]);
		free(lists[k]);
	}
	if (rc < 0) {
		stack->core = NULL;
		EXPECT(count_fds() == stack->fds);
	}
	return rc;
}

void stack_open(struct stack *stack)
{
	int rc = stack_try_open(stack);

	if (rc < 0)
		fprintf(stderr, "%s\n", stack->why);
	EXPECT(rc == 0);
}

void stack_balanced(struct stack *stack)
{
	struct lam_stats stats;

	lam_core_stats(stack->core, &stats);
	if (stats.nodes != 1)
		fprintf(stderr, "%llu nodes are left\n", (unsigned long long)stats.nodes);
	EXPECT(stats.nodes == 1);
}

void stack_close(struct stack *stack)
{
	stack_balanced(stack);
	lam_core_close(stack->core);
	stack->core = NULL;
	EXPECT(count_fds() == stack->fds);
}

void stack_forget(struct stack *stack, uint64_t nodeid)
{
	if (nodeid != LAM_ROOT_ID)
		lam_forget(stack->core, nodeid, 1);
}

int stack_lookup(struct stack *stack, const char *path, uint64_t *nodeid)
{
	uint64_t at = LAM_ROOT_ID;
	int rc = 0;

	while (rc == 0 && *path) {
		const char *end = strchrnul(path, '/');
		struct lam_entry entry;
		char name[512];

		snprintf(name, sizeof(name), "%.*s", (int)(end - path), path);
		rc = lam_lookup(stack->core, ROOT, at, name, &entry);
		stack_forget(stack, at);
		at = rc == 0 ? entry.nodeid : LAM_ROOT_ID;
		path = *end ? end + 1 : end;
	}
	*nodeid = at;
	return rc;
}

uint64_t stack_find(struct stack *stack, const char *path)
{
	uint64_t nodeid;
	int rc = stack_lookup(stack, path, &nodeid);

	if (rc < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(-rc));
	EXPECT(rc == 0);
	return nodeid;
}

int stack_error(struct stack *stack, const char *path)
{
	uint64_t nodeid;
	int rc = stack_lookup(stack, path, &nodeid);

	stack_forget(stack, nodeid);
	return rc;
}

ssize_t stack_read(struct stack *stack, const char *path, char *text, size_t size)
{
	uint64_t nodeid;
	ssize_t n = stack_lookup(stack, path, &nodeid);

	*text = '\0';
	if (n == 0)
		n = lam_read(stack->core, ROOT, nodeid, 0, text, size - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	stack_forget(stack, nodeid);
	return n;
}

bool stack_reads(struct stack *stack, const char *path, const char *text)
{
	char found[256];
	ssize_t n = stack_read(stack, path, found, sizeof(found));

	if (n < 0 || strcmp(found, text) != 0) {
		fprintf(stderr, "%s: '%s' instead of '%s' (%zd)\n", path, found, text, n);
		return false;
	}
	return true;
}

int stack_write(struct stack *stack, const char *path, const char *text)
{
	uint64_t nodeid = stack_find(stack, path);
	ssize_t n = lam_write(stack->core, ROOT, nodeid, 0, text, strlen(text), 0, false);

	stack_forget(stack, nodeid);
	return n < 0 ? (int)n : 0;
}

int stack_chmod(struct stack *stack, const char *path, uint32_t mode)
{
	struct lam_setattr set = { .valid = LAM_SET_MODE, .mode = mode };
	uint64_t nodeid = stack_find(stack, path);
	struct lam_attr attr;
	int rc = lam_setattr(stack->core, ROOT, nodeid, 0, &set, &attr);

	stack_forget(stack, nodeid);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int stack_list(struct stack *stack, const char *path, char *names, size_t size)
{
	char *buf = malloc(LIST_ROOM), *list[4096];
	uint64_t nodeid = stack_find(stack, path), cookie = 0;
	unsigned int count = 0;
	ssize_t n;

	for (;;) {
		struct lam_dirent head;

		n = lam_readdir_pack(stack->core, ROOT, nodeid, cookie, false, buf, LIST_ROOM);
		if (n <= 0)
			break;
		for (ssize_t at = 0; at < n; at += (ssize_t)((sizeof(head) + head.namelen + 7) & ~7ul)) {
			memcpy(&head, buf + at, sizeof(head));
			cookie = head.cookie;
			EXPECT(head.entry.attr.ino != 0);
			if (cookie >= 16 && count < 4096)
				list[count++] = strndup(buf + at + sizeof(head), head.namelen);
		}
	}
	qsort(list, count, sizeof(*list), by_name);
	*names = '\0';
	for (unsigned int i = 0; i < count; i++) {
		size_t used = strlen(names);

		snprintf(names + used, size - used, "%s ", list[i]);
		free(list[i]);
	}
	free(buf);
	stack_forget(stack, nodeid);
	return (int)n;
}

bool stack_lists(struct stack *stack, const char *path, const char *names)
{
	char found[4096];
	int rc = stack_list(stack, path, found, sizeof(found));

	if (rc < 0 || strcmp(found, names) != 0) {
		fprintf(stderr, "%s: '%s' instead of '%s' (%d)\n", path, found, names, rc);
		return false;
	}
	return true;
}
