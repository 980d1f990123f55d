/* SPDX-License-Identifier: MIT */
/* pipe - see pipe.h */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <lamina/fuse_abi.h>

#include "pipe.h"

#define ROOM (256 << 10) /* bytes: the kernel's readahead asks for 128 KiB */
#define PAGE 4096u

void lam_pipe_close(struct lam_pipe *pipe)
{
	if (!pipe->room)
		return;
	close(pipe->ends[0]);
	close(pipe->ends[1]);
	pipe->room = 0;
}

/* A user with many pipes gets smaller ones, or none. */
static bool open_pipe(struct lam_pipe *pipe)
{
	int size;

	if (pipe->room || pipe->refused)
		return pipe->room;
	pipe->refused = pipe2(pipe->ends, O_CLOEXEC) < 0;
	if (pipe->refused)
		return false;
	size = fcntl(pipe->ends[1], F_SETPIPE_SZ, ROOM);
	if (size < 0)
		size = fcntl(pipe->ends[1], F_GETPIPE_SZ);
	pipe->room = size > (int)PAGE ? (size_t)size / PAGE : 1;
	return true;
}

/* File systems without RWF_NOWAIT make no promise; there an ordinary read would wait as well. */
static bool is_in_memory(int file, uint64_t first, uint64_t last)
{
	unsigned char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	ssize_t n = preadv2(file, &iov, 1, (off_t)last, RWF_NOWAIT);

	if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL))
		return true;
	return n == 1 && preadv2(file, &iov, 1, (off_t)first, RWF_NOWAIT) == 1;
}

/* Pages that the bytes lie in, and one for the header. */
static uint64_t pages(uint64_t offset, uint64_t length)
{
	return (offset % PAGE + length + PAGE - 1) / PAGE + 1;
}

static bool fill(const struct lam_pipe *pipe, int file, uint64_t offset, uint64_t length)
{
	loff_t at = (loff_t)offset;

	while (length > 0) {
		ssize_t n = splice(file, &at, pipe->ends[1], NULL, length, SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		length -= (uint64_t)n;
	}
	return true;
}

int lam_pipe_reply(struct lam_pipe *pipe, int device, uint64_t unique, int file, uint64_t offset,
		   uint64_t length, bool wait)
{
	const struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + length), .unique = unique };
	bool done;

	if (length == 0 || length > ROOM || !open_pipe(pipe) || pages(offset, length) > pipe->room)
		return -EAGAIN;
	if (!wait && !is_in_memory(file, offset, offset + length - 1))
		return -EAGAIN;
	done = write(pipe->ends[1], &head, sizeof(head)) == sizeof(head) &&
	       fill(pipe, file, offset, length) &&
	       splice(pipe->ends[0], NULL, device, NULL, head.len, 0) == (ssize_t)head.len;
	if (!done)
		lam_pipe_close(pipe); /* with what is left in it */
	return done ? 0 : -EAGAIN;
}
