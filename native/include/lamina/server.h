/* SPDX-License-Identifier: MIT */
/*
 * server - the FUSE fast path: reads requests from /dev/fuse and answers them from the core
 *
 * Theory.  One hot thread reads the device, answers from the core at once, and hands what may
 * wait (large copy-ups, cold reads, fsync) to a small pool.  What the opcode table marks as
 * the slow path's goes unchanged over a SOCK_SEQPACKET pair to pyfuse3, whose replies come
 * back the same way.  INIT's outcome is ours: libfuse sees a replayed INIT that was cut down
 * to what it knows.  FORGET is always the core's.
 *
 * Life.  lam_server_open() - lam_server_start() (threads) - lam_server_wait() (events, in the
 * thread that owns the process) - lam_server_free().  SIGTERM, SIGINT and SIGHUP are blocked in
 * all threads by lam_server_open() and reported by lam_server_wait().
 */
#ifndef LAMINA_SERVER_H
#define LAMINA_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lamina/core.h>

struct lam_server;

/* LAM_UPPER is for passthrough alone. */
enum lam_tristate { LAM_AUTO, LAM_OFF, LAM_ON, LAM_UPPER };

struct lam_server_config {
	int fuse_fd; /* borrowed: an open /dev/fuse that is mounted */
	/*
	 * enum lam_tristate: the kernel reads and writes real files itself; needs CAP_SYS_ADMIN in
	 * the initial namespace, and that the server hears of each open.  Upper: files whose data no
	 * copy-up can move.  On: lower files of a writable mount too; a descriptor opened before the
	 * copy-up then keeps the old contents.  Auto: where nothing can be copied up, or opens are
	 * heard of anyway; else stateless opens save more.
	 */
	uint32_t passthrough;
	uint32_t stateless;    /* enum lam_tristate: ENOSYS on OPEN; auto: where passthrough is not had */
	uint32_t writeback;    /* enum lam_tristate: auto is off */
	uint32_t max_write;    /* bytes; 0: 1 MiB */
	uint32_t pool_threads; /* at most; 0: 4 */
	uint32_t debug;	       /* 1: one line a request on stderr */
	uint32_t follow;       /* enum lam_tristate: the reader stays on its client's CPU; auto is on */
	uint32_t io_uring;     /* enum lam_tristate: on tries requests over io_uring; auto is off */
	uint32_t padding;
	/*
	 * Bytes; 0: none.  Lower files of at least that size which nobody may execute are read past
	 * the page cache: large reads cost half, small ones more.  Opens are heard of then.
	 */
	uint64_t direct_read;
	double entry_timeout; /* seconds */
	double attr_timeout;
	double negative_timeout;
	const char *
		forward; /* comma-separated opcode names for the slow path besides the table's, or "all"; NULL */
};

enum lam_event {
	LAM_EVENT_UNMOUNTED = 1, /* the connection is gone */
	LAM_EVENT_SIGNAL = 2,	 /* SIGTERM, SIGINT or SIGHUP came */
	LAM_EVENT_SLOW_WANTED =
		3, /* the first request for the slow path waits: start it on lam_server_slow_fd() */
	LAM_EVENT_FAILED = 4, /* the fast path cannot go on; see errno in *detail */
};

int lam_server_open(struct lam_core *core, const struct lam_server_config *config, struct lam_server **out);
int lam_server_start(struct lam_server *server);
/*
 * lam_server_prime() - once started, where stateless opens are wanted: make the kernel know at once
 *
 * Opens a file of its own below the absolute path 'mountpoint'.  Whatever it returns, the mount works.
 */
int lam_server_prime(struct lam_server *server, const char *mountpoint);
/*
 * lam_server_uring() - how requests come, once started: waits until the kernel has been asked
 *
 * 0: over io_uring.  -ENOSYS: nobody asked for that.  Else they are read from the device, for the reason
 * given: -EOPNOTSUPP where the kernel does not offer it, or what setting it up said.
 */
int lam_server_uring(struct lam_server *server);
/* Returns an enum lam_event or a negative errno; '*detail' is the signal number or errno. */
int lam_server_wait(struct lam_server *server, int *detail);
/* The slow path's end of the pair, for pyfuse3.init(ops, "/dev/fd/N"); the server keeps owning it. */
int lam_server_slow_fd(const struct lam_server *server);
/* The slow path could not be started: requests for it are answered -ENOSYS (or by the core) from now on. */
void lam_server_slow_failed(struct lam_server *server);
/* Ends the threads; returns when they are gone. */
void lam_server_stop(struct lam_server *server);
void lam_server_free(struct lam_server *server); /* NULL is fine */

struct lam_server_stats {
	uint64_t requests;	/* read from the device */
	uint64_t forwarded;	/* of those, given to the slow path */
	uint64_t pooled;	/* of those, done by the pool */
	uint64_t by_opcode[64]; /* index is the FUSE opcode; 63 counts the rest */
};
void lam_server_stats(struct lam_server *server, struct lam_server_stats *out);

#endif
