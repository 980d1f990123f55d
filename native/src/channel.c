/* SPDX-License-Identifier: MIT */
/* channel - see channel.h */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <lamina/fuse_abi.h>

#include "channel.h"

#define COPY_MAX 16384 /* up to here a copy is cheaper than a fresh mapping's page faults */
#define PAGE 4096u
#define LEAD (PAGE - offsetof(struct lam_buf, data)) /* before a mapped lam_buf */
#define MAX_WIRE_ERRNO 511			     /* fuse_dev_do_write() refuses anything beyond */

/* A page of data then lies in one page, and is one piece for the kernel to find and to copy. */
static struct lam_buf *map_aligned(size_t cap)
{
	unsigned char *map = mmap(NULL, PAGE + cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				  0);

	return map == MAP_FAILED ? NULL : (struct lam_buf *)(void *)(map + LEAD);
}

struct lam_buf *lam_buf_new(size_t cap)
{
	struct lam_buf *buf = cap <= COPY_MAX ? malloc(sizeof(*buf) + cap) : map_aligned(cap);

	if (!buf)
		return NULL;
	buf->next = NULL;
	buf->cap = cap;
	buf->len = 0;
	buf->lent = false;
	return buf;
}

void lam_buf_free(struct lam_buf *buf)
{
	if (!buf)
		return;
	if (buf->cap <= COPY_MAX)
		free(buf);
	else
		munmap((unsigned char *)buf - LEAD, PAGE + buf->cap);
}

struct lam_buf *lam_buf_take(struct lam_buf **slot)
{
	struct lam_buf *old = *slot, *fresh;

	if (old->len <= COPY_MAX || old->lent) {
		fresh = lam_buf_new(old->len);
		if (!fresh)
			return NULL;
		memcpy(fresh->data, old->data, old->len);
		fresh->len = old->len;
		return fresh;
	}
	fresh = lam_buf_new(old->cap);
	if (!fresh)
		return NULL;
	*slot = fresh;
	return old;
}

int lam_channel_try(int fd, struct lam_buf *buf)
{
	ssize_t n = read(fd, buf->data, buf->cap);

	if (n > 0) {
		buf->len = (size_t)n;
		return 0;
	}
	if (n == 0)
		return -ENODEV;
	switch (errno) {
	case ENOENT: /* the request was interrupted before we had it */
		return -EINTR;
	case ECONNABORTED:
	case ECONNRESET:
		return -ENODEV;
	default:
		return -errno;
	}
}

int lam_channel_read(int fd, struct lam_buf *buf)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int err = lam_channel_try(fd, buf);

	if (err != -EAGAIN)
		return err;
	poll(&pfd, 1, -1); /* somebody made the device non-blocking */
	return -EINTR;
}

int lam_wire_error(int error)
{
	return error > 0 || error < -MAX_WIRE_ERRNO ? -EIO : error;
}

int lam_channel_reply(int fd, uint64_t unique, int error, const void *data, size_t size)
{
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + size),
		.error = lam_wire_error(error),
		.unique = unique,
	};
	struct iovec iov[2] = {
		{ .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = (void *)data, .iov_len = size },
	};
	ssize_t n;

	do
		n = writev(fd, iov, size ? 2 : 1);
	while (n < 0 && (errno == EINTR || errno == EAGAIN));
	return n < 0 ? -errno : 0;
}
