/* SPDX-License-Identifier: MIT */
/*
 * ops - the handlers: one a request, one verb of the core each
 *
 * See serve.h for what a handler returns.  'req->in' has the opcode's structure.
 */
#ifndef LAMINA_OPS_H
#define LAMINA_OPS_H

#include "serve.h"

/*
 * The fh of a file that was created by a stateless CREATE and is written past the page cache: no
 * handle of the core, which finds none in it, but a mark by which lam_op_write() knows it.
 */
#define LAM_DIRECT_FH (1ull << 63)

/* ops_lookup.c */
int lam_op_lookup(struct lam_req *req);
int lam_op_forget(struct lam_req *req);
int lam_op_batch_forget(struct lam_req *req);

/* ops_attr.c */
int lam_op_getattr(struct lam_req *req);
int lam_op_statx(struct lam_req *req);
int lam_op_setattr(struct lam_req *req);
int lam_op_statfs(struct lam_req *req);
int lam_op_ioctl(struct lam_req *req);

/* ops_link.c */
int lam_op_readlink(struct lam_req *req);
int lam_op_symlink(struct lam_req *req);
int lam_op_mknod(struct lam_req *req);
int lam_op_mkdir(struct lam_req *req);
int lam_op_unlink(struct lam_req *req);
int lam_op_rmdir(struct lam_req *req);
int lam_op_rename(struct lam_req *req);
int lam_op_rename2(struct lam_req *req);
int lam_op_link(struct lam_req *req);

/* ops_open.c */
int lam_op_open(struct lam_req *req);
int lam_op_create(struct lam_req *req);
int lam_op_tmpfile(struct lam_req *req);
int lam_op_flush(struct lam_req *req);
int lam_op_release(struct lam_req *req);
int lam_op_releasedir(struct lam_req *req);

/* ops_data.c */
int lam_op_read(struct lam_req *req);
int lam_op_write(struct lam_req *req);
int lam_op_fsync(struct lam_req *req);
int lam_op_fallocate(struct lam_req *req);
int lam_op_lseek(struct lam_req *req);
int lam_op_copy_file_range(struct lam_req *req);
int lam_op_copy_file_range_64(struct lam_req *req);
int lam_op_syncfs(struct lam_req *req);

/* ops_dir.c */
int lam_op_readdir(struct lam_req *req);
int lam_op_readdirplus(struct lam_req *req);

/* ops_xattr.c */
int lam_op_getxattr(struct lam_req *req);
int lam_op_listxattr(struct lam_req *req);
int lam_op_setxattr(struct lam_req *req);
int lam_op_removexattr(struct lam_req *req);

/* init.c */
int lam_op_init(struct lam_req *req);
int lam_op_destroy(struct lam_req *req);

#endif
