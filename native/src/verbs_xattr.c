/* SPDX-License-Identifier: MIT */
/*
 * verbs_xattr - extended attributes as users see them
 *
 * Private names of the overlay are neither shown nor settable; a user's own name that looks
 * like one is stored one level deeper (xattr.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <lamina/at.h>
#include <lamina/copyup.h>
#include <lamina/layer.h>
#include <lamina/owner.h>
#include <lamina/verbs.h>
#include <lamina/xattr.h>

#define KEY_MAX 256    /* XATTR_NAME_MAX and NUL */
#define LIST_MAX 65536 /* XATTR_LIST_MAX */

static bool is_acl(const char *key)
{
	return strncmp(key, "system.posix_acl_", 17) == 0;
}

/* The name under which a user's xattr is stored. */
static int stored_key(const struct lam_core *core, const char *key, char buf[KEY_MAX])
{
	int n;

	if (core->flags & LAM_CFG_NOXATTR || (core->flags & LAM_CFG_NOACL && is_acl(key)))
		return -EOPNOTSUPP;
	/* Where owners and modes are read from it, nobody may give himself one. */
	if (lam_private_key(core, key) == LAM_KEY_OVERRIDE && lam_override_believed(core))
		return -EPERM;
	if (strncmp(key, core->prefix, core->prefix_len) == 0)
		n = snprintf(buf, KEY_MAX, "%soverlay.%s", core->prefix, key + core->prefix_len);
	else
		n = snprintf(buf, KEY_MAX, "%s", key);
	return n >= KEY_MAX ? -ERANGE : 0;
}

/* The name under which a stored xattr is shown; NULL: hidden. */
static const char *shown_key(const struct lam_core *core, const char *key, char buf[KEY_MAX])
{
	if (core->flags & LAM_CFG_NOACL && is_acl(key))
		return NULL;
	if (strncmp(key, core->prefix, core->prefix_len) != 0)
		return lam_private_key(core, key) == LAM_KEY_OVERRIDE && lam_override_believed(core) ? NULL
												     : key;
	if (strncmp(key + core->prefix_len, "overlay.", 8) != 0)
		return NULL;
	snprintf(buf, KEY_MAX, "%s%s", core->prefix, key + core->prefix_len + 8);
	return buf;
}

ssize_t lam_getxattr(struct lam_core *core, uint64_t nodeid, const char *name, void *value, size_t size)
{
	struct lam_node *node;
	char key[KEY_MAX];
	struct lam_at at;
	ssize_t rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	rc = stored_key(core, name, key);
	/* The kernel asks for this one before the first write to each file. */
	if (rc == 0 && node->flags & (LAM_NODE_NOPRIV | LAM_NODE_NOCAP) &&
	    strcmp(name, "security.capability") == 0)
		rc = -ENODATA;
	if (rc == 0)
		rc = lam_at_top(core, node, &at);
	if (rc == 0)
		rc = lam_at_getxattr(core, &at, key, value, size);
	lam_leave(core, node);
	return rc;
}

/* Translate the names in 'from' into 'list' (of 'size' bytes; 0: only count). */
static ssize_t show_list(struct lam_core *core, const struct lam_caller *caller, const char *from,
			 size_t length, char *list, size_t size)
{
	const char *key, *end = from + length;
	size_t used = 0;
	char buf[KEY_MAX];

	for (key = from; key < end; key += strlen(key) + 1) {
		const char *shown = shown_key(core, key, buf);
		size_t n;

		if (caller->uid != 0 && strncmp(key, "trusted.", 8) == 0)
			shown = NULL;
		n = shown ? strlen(shown) + 1 : 0;
		if (size && used + n > size)
			return -ERANGE;
		if (size && n)
			memcpy(list + used, shown, n);
		used += n;
	}
	return (ssize_t)used;
}

ssize_t lam_listxattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, char *list,
		      size_t size)
{
	char small[1024], *from = small;
	struct lam_node *node;
	struct lam_at at;
	ssize_t rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	rc = core->flags & LAM_CFG_NOXATTR ? -EOPNOTSUPP : lam_at_top(core, node, &at);
	if (rc == 0)
		rc = lam_at_listxattr(core, &at, small, sizeof(small));
	if (rc == -ERANGE) {
		from = malloc(LIST_MAX);
		rc = from ? lam_at_listxattr(core, &at, from, LIST_MAX) : -ENOMEM;
	}
	if (rc >= 0)
		rc = show_list(core, caller, from, (size_t)rc, list, size);
	if (from != small)
		free(from);
	lam_leave(core, node);
	return rc;
}

/* An ACL may change the mode's group bits, and a default ACL what new objects inherit. */
static void acl_changed(struct lam_node *node, const char *key)
{
	struct lam_ldir *part = lam_is_dir(node) ? lam_upper_dir(node) : NULL;

	if (part && strcmp(key, "system.posix_acl_default") == 0)
		part->flags &= ~(uint32_t)(LAM_LDIR_ACL_KNOWN | LAM_LDIR_ACL);
}

static int drop_sgid(struct lam_core *core, const struct lam_at *at, const struct statx *st)
{
	return st->stx_mode & S_ISGID ? lam_at_chmod(core, at, st->stx_mode & 07777 & ~S_ISGID) : 0;
}

static int change(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node,
		  const char *name, char key[KEY_MAX], struct lam_at *at)
{
	int rc = lam_may_write(core);

	if (rc == 0)
		rc = stored_key(core, name, key);
	if (rc == 0)
		rc = lam_copyup(core, caller, node, LAM_COPY_META);
	if (rc == 0)
		rc = lam_at_top(core, node, at);
	node->flags &= (uint16_t) ~(LAM_NODE_NOPRIV | LAM_NODE_NOCAP);
	return rc;
}

int lam_setxattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, const char *name,
		 const void *value, size_t size, int flags, bool kill_sgid)
{
	struct lam_node *node;
	char key[KEY_MAX];
	struct lam_at at;
	struct statx st;
	int rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	rc = change(core, caller, node, name, key, &at);
	if (rc == 0)
		rc = lam_at_setxattr(core, &at, key, value, size, flags);
	if (rc == 0 && is_acl(key))
		acl_changed(node, key);
	/* The kernel says so with a default ACL too, which no file system heeds. */
	if (rc == 0 && kill_sgid && strcmp(key, "system.posix_acl_access") == 0 &&
	    lam_at_stat(core, &at, &st) == 0)
		rc = drop_sgid(core, &at, &st);
	lam_leave(core, node);
	return rc;
}

int lam_removexattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, const char *name)
{
	struct lam_node *node;
	char key[KEY_MAX];
	struct lam_at at;
	struct statx st;
	bool absent;
	int rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	/* What is not there is not worth a copy-up. */
	rc = stored_key(core, name, key);
	if (rc == 0)
		rc = lam_at_top(core, node, &at);
	if (rc == 0) {
		ssize_t length = lam_at_getxattr(core, &at, key, NULL, 0);

		rc = length < 0 ? (int)length : 0;
	}
	/* File systems take the removal of no ACL for done; kernel overlayfs asks a lower first. */
	absent = rc == -ENODATA && is_acl(key) &&
		 (lam_is_dir(node) ? !!lam_upper_dir(node) : lam_on_upper(node));
	if (rc == 0)
		rc = change(core, caller, node, name, key, &at);
	if (rc == 0)
		rc = lam_at_removexattr(core, &at, key);
	if (absent)
		rc = 0;
	else if (rc == 0 && is_acl(key))
		acl_changed(node, key);
	/* Whoever takes an ACL away and is not of the group loses set-group-ID; there is no flag for it. */
	if (rc == 0 && strcmp(key, "system.posix_acl_access") == 0 && caller->uid != 0 &&
	    lam_at_stat(core, &at, &st) == 0 && !lam_caller_in_group(caller, lam_gid_out(core, st.stx_gid)))
		rc = drop_sgid(core, &at, &st);
	lam_leave(core, node);
	return rc;
}
