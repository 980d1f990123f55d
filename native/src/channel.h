/* SPDX-License-Identifier: MIT */
/*
 * channel - one read takes a request from the device, one writev answers it
 *
 * Theory.  The kernel wants a read buffer of max_write bytes and a header; such a buffer is
 * mapped, so that only the pages that a request touched cost memory.  A request that moves to
 * another thread takes its bytes along: a small one is copied, a large one gives its buffer
 * away and the reader maps another.
 */
#ifndef LAMINA_CHANNEL_H
#define LAMINA_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lam_buf {
	struct lam_buf *next; /* the pool's queue */
	size_t cap;	      /* bytes at 'data' */
	size_t len;	      /* of those, the request's */
	bool lent;	      /* not this thread's to give away (uring.h) */
	_Alignas(16) unsigned char data[];
};

struct lam_buf *lam_buf_new(size_t cap); /* NULL: no memory */
void lam_buf_free(struct lam_buf *buf);	 /* NULL is fine */

/*
 * lam_buf_take() - the request in '*slot' for another thread
 *
 * Afterwards '*slot' holds a buffer to read into again.  NULL: no memory, and '*slot' is as it was.
 */
struct lam_buf *lam_buf_take(struct lam_buf **slot);

/*
 * lam_channel_read() - one request into 'buf'
 *
 * 0, or -EINTR (a signal: look whether to stop, then try again), or -ENODEV (unmounted), or
 * another negative errno (the device is unusable).
 */
int lam_channel_read(int fd, struct lam_buf *buf);

/* The same where the device does not block: -EAGAIN if nothing is there. */
int lam_channel_try(int fd, struct lam_buf *buf);

/* Errors that the kernel would refuse are -EIO. */
int lam_wire_error(int error);

/*
 * lam_channel_reply() - answer 'unique' with data, or with a negative errno
 *
 * Errors go out as lam_wire_error() has them, so that the caller wakes in any case.
 */
int lam_channel_reply(int fd, uint64_t unique, int error, const void *data, size_t size);

#endif
