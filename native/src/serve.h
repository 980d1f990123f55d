/* SPDX-License-Identifier: MIT */
/*
 * serve - what the parts of the FUSE fast path share: server, worker, request, reply
 *
 * Theory.  A worker is a thread that may answer requests: the hot thread (one, reads the
 * device) or one of the pool's.  A request lives on its worker's stack; its bytes lie in a
 * buffer of the worker.  A handler answers it by lam_reply*() and returns 0, or returns a
 * negative errno, which the dispatcher turns into the reply, or -LAM_EAGAIN, which moves the
 * whole request to the pool.  No handler may return 0 without a reply where one is due, and
 * none may reply twice.
 *
 * Threads.  'session' is written once, at INIT, by the hot thread, before any other request is
 * taken; pool and keeper see it through their locks.  All else in the server is either constant
 * after lam_server_open(), atomic, or guarded by the part that owns it.
 */
#ifndef LAMINA_SERVE_H
#define LAMINA_SERVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lamina/fuse_abi.h>
#include <lamina/server.h>

#include "pipe.h"
#include "watch.h"

#define LAM_MAX_WRITE_DEFAULT (1u << 20) /* the most that the kernel's max_pages_limit gives */
#define LAM_POOL_DEFAULT 4
#define LAM_HEADER_ROOM 4096 /* beside max_write bytes of data: a request's headers and names */

struct lam_pool;
struct lam_slow;
struct lam_backing;
struct lam_keeper;
struct lam_buf;
struct lam_uring;

/* Seconds and nanoseconds, as replies carry them. */
struct lam_timeout {
	uint64_t sec;
	uint32_t nsec;
};

/* What INIT settled. */
struct lam_session {
	uint32_t minor;
	uint32_t max_write;
	uint64_t flags; /* FUSE_*, both halves */
	bool ready;
	bool stateless; /* OPEN is answered ENOSYS, fh is always 0 */
	bool writeback;
	bool setxattr_ext;
	bool direct_create; /* what is created for writing only is written past the page cache */
};

struct lam_server {
	struct lam_core *core;
	int fd;				 /* /dev/fuse, borrowed */
	struct lam_server_config config; /* 'forward' is not kept */
	struct lam_timeout entry_timeout;
	struct lam_timeout attr_timeout;
	struct lam_timeout negative_timeout;
	uint64_t forward; /* a bit an opcode: forwarded whatever it asks */

	struct lam_session session;
	bool splices;		 /* 'fd' is the device itself, and replies do not go over io_uring */
	bool passthrough_lower;	 /* lower files too: asked for, or nothing can be copied up */
	atomic_bool passthrough; /* negotiated, and the kernel has not refused yet */
	atomic_bool priming;	 /* prime.h: 'prime_name' is being opened */
	char prime_name[32];

	struct lam_pool *pool;
	struct lam_slow *slow;
	struct lam_backing *backing;
	struct lam_keeper *keeper;
	struct lam_uring *uring; /* NULL: not asked for */

	atomic_bool stopping;
	atomic_uint events; /* a bit an enum lam_event that waits to be reported */
	atomic_int failure; /* errno behind LAM_EVENT_FAILED */
	int event_fd;
	int signal_fd;
	bool started;
	struct lam_watch watch;
	atomic_int_fast64_t quiet_until; /* follow.h: from one hot thread to its successor */

	atomic_uint_fast64_t requests;
	atomic_uint_fast64_t forwarded;
	atomic_uint_fast64_t pooled;
	atomic_uint_fast64_t by_opcode[FUSE_OPCODES];
};

struct lam_worker {
	struct lam_server *srv;
	struct lam_buf *in; /* the request in hand */
	unsigned char *out; /* room for a reply's data */
	size_t out_size;
	struct lam_pipe pipe;
	bool may_block; /* of the pool */
};

struct lam_req {
	struct lam_server *srv;
	struct lam_core *core;
	struct lam_worker *worker;
	const struct fuse_in_header *head;
	const void *in;		   /* the opcode's structure, at least as long as the opcode table says */
	const unsigned char *rest; /* what follows it: names, data */
	size_t left;		   /* bytes at 'rest' */
	uint64_t nodeid;	   /* the core's, which may differ from the kernel's (backing.h) */
	struct lam_caller caller;
};

void lam_server_raise(struct lam_server *srv, enum lam_event event);

/* ---- request ---- */

/*
 * lam_req_name() - take the next NUL-terminated name off a request
 *
 * Returns -EIO if none is there, -ENAMETOOLONG, or -EINVAL if it is empty, "." or "..", or
 * has a slash: the kernel does not send such, and the core must not see them.
 */
int lam_req_name(struct lam_req *req, const char **name);

/* The same without any meaning: a symbolic link's target, an attribute's name. */
int lam_req_string(struct lam_req *req, const char **text);

/* ---- reply; 0, or a negative errno if the kernel did not take it and so took no references ---- */

int lam_reply(const struct lam_req *req, const void *data, size_t size);

/* For those who know a request by its number alone: data, or a negative errno, the way it came. */
int lam_answer(struct lam_server *srv, uint64_t unique, int error, const void *data, size_t size);

/* A new or found name.  Takes the lookup back if the kernel does not want it. */
int lam_reply_entry(const struct lam_req *req, const struct lam_entry *entry);
int lam_reply_attr(const struct lam_req *req, const struct lam_attr *attr);

struct lam_timeout lam_attr_timeout(const struct lam_server *srv, const struct lam_attr *attr);
void lam_fill_attr(const struct lam_attr *attr, struct fuse_attr *out);
void lam_fill_entry(const struct lam_server *srv, const struct lam_entry *entry, struct fuse_entry_out *out);

#endif
