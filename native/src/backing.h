/* SPDX-License-Identifier: MIT */
/*
 * backing - passthrough: which real file the kernel reads and writes for an inode
 *
 * Theory.  The kernel allows an inode one backing file while any handle of it is open, wants
 * FOPEN_PASSTHROUGH on each of those opens, and answers EIO where the server gets it wrong.
 * Nor may an open for writing be given the backing file of a lower layer: the kernel would open
 * that file for writing.  So when a file is copied up while readers of the lower one are open,
 * the next open cannot be served on the same inode.  It is answered ESTALE, and from then on the
 * node is shown to the kernel under a second nodeid, its alias (the highest bit set): the kernel
 * looks the name up again, finds another inode, and opens that.  Old handles keep the lower file
 * and the old inode, as with kernel overlayfs.  When these are closed and the kernel has forgotten
 * the alias, the first nodeid serves again.
 *
 * Setuid.  Such files are not passed through: with HANDLE_KILLPRIV_V2 it is the server's part to
 * clear the bits when somebody writes who may not keep them, and it does not see these writes.
 * A file that becomes setuid while it is open for writing remains passed through; so the kernel
 * is given such a file (an upper one) with credentials that lack CAP_FSETID, clears the bits itself, for
 * every writer, and is told not to cache the mode of such a file (lam_attr_timeout()).
 *
 * Here are only numbers: nodeids as the kernel knows them, device and inode of real files,
 * backing ids.  The core never sees an alias.
 *
 * Threads: any; one lock.  While nothing is open in passthrough all calls but the first open
 * cost one atomic load.
 */
#ifndef LAMINA_BACKING_H
#define LAMINA_BACKING_H

#include <stdbool.h>
#include <stdint.h>

#define LAM_ALIAS_BIT (1ull << 63)

struct lam_backing;
struct fuse_open_out;
struct lam_data;

static inline uint64_t lam_backing_real(uint64_t nodeid)
{
	return nodeid & ~LAM_ALIAS_BIT;
}

struct lam_backing *lam_backing_new(int fuse_fd);   /* NULL: no memory; the descriptor is borrowed */
void lam_backing_free(struct lam_backing *backing); /* NULL is fine */

/* The nodeid to tell the kernel in an entry; counts the lookup if it is an alias. */
uint64_t lam_backing_visible(struct lam_backing *backing, uint64_t nodeid);
void lam_backing_forget(struct lam_backing *backing, uint64_t nodeid, uint64_t nlookup);

/*
 * lam_backing_open() - register an open of 'nodeid' (the kernel's) whose contents 'data' lends
 *
 * 'suitable' false asks for the page cache (setuid files: writes past the server would not
 * clear the bit; what lies on an image and has no descriptor).  Sets 'out->open_flags' and
 * 'out->backing_id'; 0 must be paired with lam_backing_close().  -ESTALE: the caller must look up
 * again; -EPERM: the kernel refuses passthrough for this mount.
 */
int lam_backing_open(struct lam_backing *backing, uint64_t nodeid, const struct lam_data *data, bool suitable,
		     struct fuse_open_out *out);
void lam_backing_close(struct lam_backing *backing, uint64_t nodeid);

#endif
