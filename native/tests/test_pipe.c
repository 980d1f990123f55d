/* SPDX-License-Identifier: MIT */
/* test_pipe - answers by reference: whole, or not at all; another pipe stands for the device */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel.h"
#include "pipe.h"

#define SIZE (100 << 10)
#define UNIQUE 42

struct scene {
	struct lam_pipe pipe;
	unsigned char bytes[SIZE];
	int file;
	int device[2];
};

static void open_scene(struct scene *s)
{
	*s = (struct scene){ .file = memfd_create("file", MFD_CLOEXEC) };
	for (size_t i = 0; i < SIZE; i++)
		s->bytes[i] = (unsigned char)(i * i >> 7);
	EXPECT(write(s->file, s->bytes, SIZE) == SIZE);
	EXPECT(pipe2(s->device, O_CLOEXEC | O_NONBLOCK) == 0);
	EXPECT(fcntl(s->device[1], F_SETPIPE_SZ, 1 << 20) >= 1 << 20);
}

static void close_scene(struct scene *s)
{
	lam_pipe_close(&s->pipe);
	lam_pipe_close(&s->pipe);
	close(s->file);
	close(s->device[0]);
	close(s->device[1]);
}

static int answer(struct scene *s, uint64_t offset, uint64_t length)
{
	return lam_pipe_reply(&s->pipe, s->device[1], UNIQUE, s->file, offset, length, false);
}

static bool arrived(struct scene *s, uint64_t offset, uint64_t length)
{
	struct {
		struct fuse_out_header head;
		unsigned char data[SIZE + 1];
	} reply;
	ssize_t n = read(s->device[0], &reply, sizeof(reply));

	return n == (ssize_t)(sizeof(reply.head) + length) && reply.head.len == n &&
	       reply.head.unique == UNIQUE && reply.head.error == 0 &&
	       !memcmp(reply.data, s->bytes + offset, length);
}

static bool nothing_arrived(struct scene *s)
{
	char byte;

	return read(s->device[0], &byte, 1) < 0 && errno == EAGAIN;
}

static void gives_what_is_there(void)
{
	static struct scene s;

	open_scene(&s);
	EXPECT(answer(&s, 0, SIZE) == 0 && arrived(&s, 0, SIZE));
	EXPECT(answer(&s, 4096, 65536) == 0 && arrived(&s, 4096, 65536));
	EXPECT(answer(&s, 1, SIZE - 1) == 0 && arrived(&s, 1, SIZE - 1));
	EXPECT(answer(&s, SIZE - 1, 1) == 0 && arrived(&s, SIZE - 1, 1));
	close_scene(&s);
}

static void gives_all_or_nothing(void)
{
	static struct scene s;

	open_scene(&s);
	EXPECT(answer(&s, 1, SIZE) == -EAGAIN && nothing_arrived(&s)); /* the file has become shorter */
	EXPECT(answer(&s, SIZE, 1) == -EAGAIN && nothing_arrived(&s));
	EXPECT(answer(&s, 0, 0) == -EAGAIN && nothing_arrived(&s));
	EXPECT(answer(&s, 0, 1ull << 32) == -EAGAIN && nothing_arrived(&s)); /* more than a pipe holds */
	EXPECT(answer(&s, 0, SIZE) == 0 && arrived(&s, 0, SIZE));	     /* nothing is left of those */
	close_scene(&s);
}

static void gives_up_where_the_device_refuses(void)
{
	static struct scene s;
	int device;

	open_scene(&s);
	device = s.device[1];
	s.device[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	EXPECT(answer(&s, 0, SIZE) == -EAGAIN);
	close(s.device[1]);
	s.device[1] = device;
	EXPECT(answer(&s, 0, SIZE) == 0 && arrived(&s, 0, SIZE));
	close_scene(&s);
}

int main(void)
{
	kernel_watchdog(60);
	gives_what_is_there();
	gives_all_or_nothing();
	gives_up_where_the_device_refuses();
	return 0;
}
