/* SPDX-License-Identifier: MIT */
/* stack_verbs - verbs by path, see stack.h */
#include <fcntl.h>

#include "stack.h"

/* The directory that 'path' lies in, and the last name. */
static int parent_of(struct stack *stack, const char *path, uint64_t *parent, const char **name)
{
	const char *slash = strrchr(path, '/');
	char above[4096] = "";

	if (slash)
		snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path);
	*name = slash ? slash + 1 : path;
	return stack_lookup(stack, above, parent);
}

int stack_create(struct stack *stack, const char *path, const char *text)
{
	struct lam_entry entry;
	const char *name;
	uint64_t parent, fh;
	int rc = parent_of(stack, path, &parent, &name);

	if (rc == 0)
		rc = lam_create(stack->core, ROOT, parent, name, 0644, O_RDWR, &entry, &fh);
	if (rc == 0) {
		EXPECT(lam_write(stack->core, ROOT, entry.nodeid, fh, text, strlen(text), 0, false) ==
		       (ssize_t)strlen(text));
		lam_release(stack->core, fh);
		stack_forget(stack, entry.nodeid);
	}
	stack_forget(stack, parent);
	return rc;
}

int stack_mkdir(struct stack *stack, const char *path)
{
	struct lam_entry entry;
	const char *name;
	uint64_t parent;
	int rc = parent_of(stack, path, &parent, &name);

	if (rc == 0)
		rc = lam_mkdir(stack->core, ROOT, parent, name, 0755, &entry);
	if (rc == 0)
		stack_forget(stack, entry.nodeid);
	stack_forget(stack, parent);
	return rc;
}

int stack_unlink(struct stack *stack, const char *path)
{
	const char *name;
	uint64_t parent;
	int rc = parent_of(stack, path, &parent, &name);

	if (rc == 0)
		rc = lam_unlink(stack->core, ROOT, parent, name);
	stack_forget(stack, parent);
	return rc;
}

int stack_rmdir(struct stack *stack, const char *path)
{
	const char *name;
	uint64_t parent;
	int rc = parent_of(stack, path, &parent, &name);

	if (rc == 0)
		rc = lam_rmdir(stack->core, ROOT, parent, name);
	stack_forget(stack, parent);
	return rc;
}

int stack_rename(struct stack *stack, const char *from, const char *to, uint32_t flags)
{
	const char *oldname, *newname;
	uint64_t olddir, newdir = LAM_ROOT_ID;
	int rc = parent_of(stack, from, &olddir, &oldname);

	if (rc == 0)
		rc = parent_of(stack, to, &newdir, &newname);
	if (rc == 0)
		rc = lam_rename(stack->core, ROOT, olddir, oldname, newdir, newname, flags);
	stack_forget(stack, olddir);
	stack_forget(stack, newdir);
	return rc;
}

int stack_link(struct stack *stack, const char *from, const char *to)
{
	struct lam_entry entry;
	uint64_t nodeid = stack_find(stack, from), parent;
	const char *name;
	int rc = parent_of(stack, to, &parent, &name);

	if (rc == 0)
		rc = lam_link(stack->core, ROOT, nodeid, parent, name, &entry);
	if (rc == 0)
		stack_forget(stack, entry.nodeid);
	stack_forget(stack, nodeid);
	stack_forget(stack, parent);
	return rc;
}
