/* SPDX-License-Identifier: MIT */
/*
 * entries - the buffers of requests over io_uring (uring.h)
 *
 * Layout of one: the kernel's header, then, ending with its page, a struct lam_buf whose data begin
 * with room for a request's header and for the structure of a WRITE; the payload follows.
 *
 * Threads: an entry belongs to the kernel, to the hot thread or to whoever struck out its request.
 * Which entry holds which request is guarded by the caller.
 */
#ifndef LAMINA_ENTRIES_H
#define LAMINA_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct lam_buf;
struct fuse_uring_req_header;

struct lam_ring_entry {
	struct lam_ring_entry *next; /* in its bucket, or in a list of uring.c */
	struct fuse_uring_req_header *header;
	struct lam_buf *buf;
	unsigned char *payload;
	struct iovec iov[2]; /* as it is registered */
	uint64_t unique;     /* of the request that it holds */
	uint64_t commit_id;
	uint32_t number;
	uint16_t qid;
	bool refused; /* by the kernel, at registration: it will hold none */
};

struct lam_entries {
	struct lam_ring_entry *all; /* one of each queue, then the next of each ... */
	struct lam_ring_entry **buckets;
	unsigned char *memory;
	size_t memory_size;
	uint32_t count;
	uint32_t queues;
	uint32_t nbuckets; /* a power of two */
	uint32_t payload;  /* bytes of each */
};

int lam_entries_open(struct lam_entries *entries, uint32_t max_write);
void lam_entries_close(struct lam_entries *entries); /* again is fine */

/* The request that the kernel has put there, in one piece; one that cannot be is left with its header alone. */
struct lam_buf *lam_entry_take(struct lam_ring_entry *entry);
/* The request has no payload: the reply may be made in place. */
bool lam_entry_is_empty(const struct lam_ring_entry *entry);
/* The reply, 'data' wherever they lie; what does not fit goes out as -EIO. */
void lam_entry_fill(struct lam_ring_entry *entry, int error, const void *data, size_t size);

void lam_entries_note(struct lam_entries *entries, struct lam_ring_entry *entry);
struct lam_ring_entry *lam_entries_strike(struct lam_entries *entries, uint64_t unique); /* or NULL */

#endif
