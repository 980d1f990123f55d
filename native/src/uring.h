/* SPDX-License-Identifier: MIT */
/*
 * uring - requests over io_uring instead of read(2) and writev(2)
 *
 * Theory.  The kernel has a queue for each possible CPU; a request goes to that of the CPU where its
 * caller runs and waits for one of the queue's entries: a header and a payload, registered once.  An
 * entry completes when a request lies in it, and one command carries the reply and asks for the next
 * request.  So where requests wait a system call ends several of them and begins several.  One ring and
 * one thread serve all queues: the hot thread, which goes on following its client.  FORGET, INTERRUPT
 * and notifications still travel over the device, which the ring polls.
 *
 * An entry's buffer is laid out so that the payload of a WRITE lies where read(2) would have put it;
 * other requests' (names, attributes) are moved there.  Whoever answers by number finds the entry; a
 * number that no entry has came over the device and is answered there.
 *
 * Threads.  Only the hot thread touches the ring.  Others fill the entry, put it into a list and
 * wake the hot thread, which commits.  It stays until the server ends: commands belong to the thread
 * that gave them.  So it has no successor (keeper.h), and follows only where it can turn back.
 *
 * Bounds: entries and the bytes of their payloads, of which only those that were used are resident.
 */
#ifndef LAMINA_URING_H
#define LAMINA_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAM_URING_REPLY_MAX (128u << 10) /* room for a reply's data at least */

struct lam_buf;
struct lam_uring;

struct lam_uring *lam_uring_new(void);	      /* NULL: errno says why */
void lam_uring_free(struct lam_uring *uring); /* NULL is fine */

/* ---- the hot thread's ---- */

/*
 * lam_uring_open() - at INIT, before the kernel is told: rings and memory
 *
 * 0, or why there will be none.
 */
int lam_uring_open(struct lam_uring *uring, int fuse_fd, uint32_t max_write);
uint32_t lam_uring_max_write(const struct lam_uring *uring);

/* After INIT's reply.  0: lam_uring_wait() from now on.  Else the kernel uses the device. */
int lam_uring_register(struct lam_uring *uring);

/* What lam_server_uring() waits for; the first word counts. */
void lam_uring_settle(struct lam_uring *uring, int result);

/* A request: 'in' is the entry's and as good as one that was read.  'out' may be NULL. */
struct lam_uring_work {
	struct lam_buf *in; /* NULL: look at the device */
	unsigned char *out; /* room for the reply's data that need not be copied */
	size_t out_size;
	int error; /* of a command: if the device still lives, the ring is of no use */
};

/* Commits and waits; 0, -EINTR, or what makes the ring useless. */
int lam_uring_wait(struct lam_uring *uring);
/* After it, until false. */
bool lam_uring_next(struct lam_uring *uring, struct lam_uring_work *work);

/* No request is taken any more, but the pool may still answer: returns after lam_uring_dismiss(). */
void lam_uring_linger(struct lam_uring *uring);

/* ---- anybody's ---- */

void lam_uring_dismiss(struct lam_uring *uring);
int lam_uring_settled(struct lam_uring *uring);
bool lam_uring_serves(const struct lam_uring *uring); /* NULL is fine */

/* False: no entry holds this request. */
bool lam_uring_reply(struct lam_uring *uring, uint64_t unique, int error, const void *data, size_t size);

/* The keeper's (watch.h): readable once a request came after 'on'; 'off' forgets those. */
int lam_uring_stir_fd(const struct lam_uring *uring);
void lam_uring_stir(struct lam_uring *uring, bool on);

#endif
