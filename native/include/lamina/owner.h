/* SPDX-License-Identifier: MIT */
/*
 * owner - whose an object is: on the layers, and as users of the mount see it
 *
 * Ids pass uidmapping=/gidmapping= and squash_*; with xattr_permissions (and on layers whose
 * root says so) owner, mode and type are kept in an override_stat xattr "UID:GID:MODE[:TYPE]"
 * instead of the inode, as fuse-overlayfs and containers/storage do.
 */
#ifndef LAMINA_OWNER_H
#define LAMINA_OWNER_H

#include <lamina/at.h>

/* A requester's id as it is stored on the layers. */
uint32_t lam_uid_in(const struct lam_core *core, uint32_t uid);
uint32_t lam_gid_in(const struct lam_core *core, uint32_t gid);
/* A stored id as users see it. */
uint32_t lam_uid_out(const struct lam_core *core, uint32_t uid);
uint32_t lam_gid_out(const struct lam_core *core, uint32_t gid);

/* Replace owner, mode (and type of device nodes) in 'st' by what an override_stat xattr says. */
void lam_override_read(struct lam_core *core, const struct lam_at *at, struct statx *st);
/* Does a new or changed object of this core keep owner and mode in an xattr? */
bool lam_override_used(const struct lam_core *core);
/* Is any override_stat xattr believed, of new objects or of a layer's?  Then they are not users' to touch. */
bool lam_override_believed(const struct lam_core *core);
int lam_override_write(struct lam_core *core, const struct lam_at *at, uint32_t uid, uint32_t gid,
		       mode_t mode, uint32_t rdev);

/*
 * Create as the caller: between begin and end the thread's fsuid and fsgid are the caller's
 * (where the process may), so that the file system itself gives the new object its owner.
 */
/* Is the caller in a group, by its fsgid or its supplementary groups? */
bool lam_caller_in_group(const struct lam_caller *caller, uint32_t gid);

struct lam_as {
	bool switched;
};
struct lam_as lam_as_begin(const struct lam_core *core, const struct lam_caller *caller);
void lam_as_end(const struct lam_core *core, struct lam_as as);

#endif
