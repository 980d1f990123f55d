/* SPDX-License-Identifier: MIT */
#include <lamina/owner.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/sysmacros.h>

#include <lamina/layer.h>
#include <lamina/xattr.h>

#define OVERFLOW_ID 65534 /* shown for an id that no row of the mapping holds */

static uint32_t map(const struct lam_idmap *rows, uint32_t count, uint32_t id, bool out)
{
	if (!count)
		return id;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t from = out ? rows[i].host : rows[i].to;
		uint32_t to = out ? rows[i].to : rows[i].host;

		if (id >= from && id - from < rows[i].count)
			return to + (id - from);
	}
	return OVERFLOW_ID;
}

uint32_t lam_uid_in(const struct lam_core *core, uint32_t uid)
{
	return map(core->uidmap, core->nuidmap, uid, false);
}

uint32_t lam_gid_in(const struct lam_core *core, uint32_t gid)
{
	return map(core->gidmap, core->ngidmap, gid, false);
}

uint32_t lam_uid_out(const struct lam_core *core, uint32_t uid)
{
	if (core->flags & LAM_CFG_SQUASH_TO_ROOT)
		return 0;
	if (core->flags & LAM_CFG_SQUASH_TO_UID)
		return core->squash_uid;
	return map(core->uidmap, core->nuidmap, uid, true);
}

uint32_t lam_gid_out(const struct lam_core *core, uint32_t gid)
{
	if (core->flags & LAM_CFG_SQUASH_TO_ROOT)
		return 0;
	if (core->flags & LAM_CFG_SQUASH_TO_GID)
		return core->squash_gid;
	return map(core->gidmap, core->ngidmap, gid, true);
}

static const char *const override_names[] = {
	"user.containers.override_stat",
	"user.fuseoverlayfs.override_stat",
	"security.fuseoverlayfs.override_stat",
};

static const struct {
	const char *name;
	mode_t type;
} override_types[] = {
	{ "dir", S_IFDIR },   { "file", S_IFREG },    { "symlink", S_IFLNK }, { "pipe", S_IFIFO },
	{ "sock", S_IFSOCK }, { "socket", S_IFSOCK }, { "block", S_IFBLK },   { "char", S_IFCHR },
};

/* The optional fourth field: a type, for device nodes followed by "-MAJOR-MINOR". */
static void override_type(const char *text, struct statx *st)
{
	for (size_t i = 0; i < sizeof(override_types) / sizeof(*override_types); i++) {
		size_t n = strlen(override_types[i].name);
		unsigned int major, minor;

		if (strncmp(text, override_types[i].name, n) != 0 || (text[n] && text[n] != '-'))
			continue;
		/* Directories and links stay what they are: the core has already decided how to serve them. */
		if (S_ISDIR(override_types[i].type) || S_ISDIR(st->stx_mode) || S_ISLNK(st->stx_mode))
			return;
		st->stx_mode = (uint16_t)((st->stx_mode & 07777) | override_types[i].type);
		if (text[n] == '-' && sscanf(text + n, "-%u-%u", &major, &minor) == 2) {
			st->stx_rdev_major = major;
			st->stx_rdev_minor = minor;
		}
		return;
	}
}

void lam_override_read(struct lam_core *core, const struct lam_at *at, struct statx *st)
{
	char value[LAM_OVERRIDE_MAX + 1];
	unsigned int uid, gid, mode;
	int used = 0;

	if (!lam_override_used(core) && (at->fd >= 0 || !at->dir->layer->override))
		return;
	for (size_t i = 0; i < sizeof(override_names) / sizeof(*override_names); i++) {
		ssize_t length = lam_at_getxattr(core, at, override_names[i], value, LAM_OVERRIDE_MAX);

		if (length <= 0)
			continue;
		value[length] = '\0';
		if (sscanf(value, "%u:%u:%o%n", &uid, &gid, &mode, &used) < 3)
			continue;
		st->stx_uid = uid;
		st->stx_gid = gid;
		st->stx_mode = (uint16_t)((st->stx_mode & S_IFMT) | (mode & 07777));
		if (value[used] == ':')
			override_type(value + used + 1, st);
		return;
	}
}

bool lam_override_used(const struct lam_core *core)
{
	return core->xattr_permissions != 0;
}

bool lam_override_believed(const struct lam_core *core)
{
	for (uint32_t i = 0; i < core->nlayers; i++)
		if (core->layers[i].override)
			return true;
	return lam_override_used(core);
}

int lam_override_write(struct lam_core *core, const struct lam_at *at, uint32_t uid, uint32_t gid,
		       mode_t mode, uint32_t rdev)
{
	const char *name = override_names[core->xattr_permissions == 1 ? 2 : 0];
	char value[LAM_OVERRIDE_MAX];
	int n = snprintf(value, sizeof(value), "%u:%u:%o", uid, gid, mode & 07777);

	if (S_ISCHR(mode) || S_ISBLK(mode))
		n += snprintf(value + n, sizeof(value) - (size_t)n, ":%s-%u-%u",
			      S_ISBLK(mode) ? "block" : "char", major(rdev), minor(rdev));
	return lam_at_setxattr(core, at, name, value, (size_t)n, 0);
}

bool lam_caller_in_group(const struct lam_caller *caller, uint32_t gid)
{
	char path[32], line[4096], *at = NULL, *end;
	FILE *status;

	if (caller->gid == gid)
		return true;
	snprintf(path, sizeof(path), "/proc/%u/status", caller->pid);
	status = caller->pid ? fopen(path, "re") : NULL;
	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, "Groups:", 7) == 0) {
			at = line + 7;
			break;
		}
	if (status)
		fclose(status);
	while (at && *at) {
		unsigned long group = strtoul(at, &end, 10);

		if (end == at)
			break;
		if (group == gid)
			return true;
		at = end;
	}
	return false;
}

struct lam_as lam_as_begin(const struct lam_core *core, const struct lam_caller *caller)
{
	uint32_t uid = lam_uid_in(core, caller->uid), gid = lam_gid_in(core, caller->gid);

	if (!core->can_setfsuid || lam_override_used(core) || (uid == core->euid && gid == core->egid))
		return (struct lam_as){ false };
	setfsgid(gid); /* first: it needs what setfsuid drops */
	setfsuid(uid);
	return (struct lam_as){ true };
}

void lam_as_end(const struct lam_core *core, struct lam_as as)
{
	if (!as.switched)
		return;
	setfsuid(core->euid);
	setfsgid(core->egid);
}
