/* SPDX-License-Identifier: MIT */
/* test_server - life and end of the server, its events, and the slow path's socket */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel.h"

#define BURST 120

static uint64_t send_control(struct kernel *k)
{
	struct {
		struct fuse_getxattr_in in;
		char name[16];
	} body = { .in = { .size = 100 }, .name = "user.lamina.x" };

	return kernel_send(k, FUSE_GETXATTR, 1, &body, sizeof(body.in) + strlen(body.name) + 1);
}

static void ends_at_once(void)
{
	struct kernel k;

	for (int i = 0; i < 20; i++) {
		kernel_open(&k, NULL, i % 2);
		kernel_close(&k);
	}
}

static void reports_unmount_and_signals(void)
{
	struct kernel k;
	int detail;

	kernel_open(&k, NULL, 1);
	EXPECT(kill(getpid(), SIGHUP) == 0);
	EXPECT(lam_server_wait(k.srv, &detail) == LAM_EVENT_SIGNAL && detail == SIGHUP);
	kernel_hang_up(&k);
	EXPECT(lam_server_wait(k.srv, &detail) == LAM_EVENT_UNMOUNTED);
	EXPECT(lam_server_wait(k.srv, &detail) == LAM_EVENT_UNMOUNTED); /* it stays so */
	kernel_close(&k);
}

static void refuses_bad_configuration(void)
{
	struct lam_server_config config = { .fuse_fd = -1, .forward = "lookup,nonsense" };
	struct lam_server *srv = NULL;

	EXPECT(lam_server_open(NULL, &config, &srv) == -EINVAL && !srv);
}

/* Requests of all kinds under way at once, for the pool and for ThreadSanitizer. */
static void serves_many_at_once(void)
{
	struct lam_server_config config = { .stateless = LAM_ON, .passthrough = LAM_OFF, .pool_threads = 3 };
	struct fuse_getattr_in getattr = { .fh = 0 };
	struct fuse_fsync_in fsync = { .fh = 0 };
	struct fuse_read_in list = { .size = 4096 };
	struct kernel k;

	kernel_open(&k, &config, 1);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < BURST / 10; i++) {
			kernel_send(&k, FUSE_GETATTR, 1, &getattr, sizeof(getattr));
			kernel_send(&k, FUSE_FSYNCDIR, 1, &fsync, sizeof(fsync));
			kernel_send(&k, FUSE_READDIR, 1, &list, sizeof(list));
			kernel_send(&k, FUSE_SYNCFS, 1, NULL, 0);
		}
		for (int i = 0; i < 4 * (BURST / 10); i++)
			kernel_receive(&k);
	}
	kernel_send(&k, FUSE_SYNCFS, 1, NULL, 0); /* under way while the server ends */
	kernel_close(&k);
}

static void slow_reads(int fd, uint32_t opcode, uint64_t *unique)
{
	unsigned char packet[4096];
	const struct fuse_in_header *head = (const void *)packet;
	ssize_t n = recv(fd, packet, sizeof(packet), 0);

	EXPECT(n >= (ssize_t)sizeof(*head) && head->len == n);
	EXPECT(head->opcode == opcode);
	*unique = head->unique;
}

static void slow_answers(int fd, uint64_t unique, int error, const char *text)
{
	struct {
		struct fuse_out_header head;
		char data[64];
	} reply = { .head = { .error = error, .unique = unique } };

	snprintf(reply.data, sizeof(reply.data), "%s", text);
	reply.head.len = (uint32_t)(sizeof(reply.head) + strlen(text));
	EXPECT(send(fd, &reply, reply.head.len, 0) == (ssize_t)reply.head.len);
}

static void carries_to_the_slow_path(void)
{
	struct lam_server_stats stats;
	uint64_t unique, asked;
	struct kernel k;
	int detail, slow;

	kernel_open(&k, NULL, 1);
	slow = lam_server_slow_fd(k.srv);
	asked = send_control(&k);
	EXPECT(lam_server_wait(k.srv, &detail) == LAM_EVENT_SLOW_WANTED);
	slow_reads(slow, FUSE_INIT, &unique);
	slow_answers(slow, unique, 0, "swallowed");
	slow_reads(slow, FUSE_GETXATTR, &unique);
	EXPECT(unique == asked);
	slow_answers(slow, unique, 0, "answer");
	EXPECT(kernel_receive(&k) == asked);
	EXPECT(k.len == sizeof(struct fuse_out_header) + 6 && !memcmp(kernel_data(&k), "answer", 6));
	asked = send_control(&k); /* no second INIT */
	slow_reads(slow, FUSE_GETXATTR, &unique);
	slow_answers(slow, unique, -ENODATA, "");
	EXPECT(kernel_receive(&k) == asked);
	kernel_call(&k, FUSE_STATFS, 1, NULL, 0); /* the hot thread has counted what it sent before */
	lam_server_stats(k.srv, &stats);
	EXPECT(stats.forwarded == 2);
	kernel_close(&k);
}

static void cuts_setxattr_for_libfuse(void)
{
	struct {
		struct fuse_setxattr_in in;
		char rest[18];
	} body = { .in = { .size = 3 }, .rest = "user.lamina.y\0abc" };
	struct {
		struct fuse_in_header head;
		uint32_t size, flags;
		char rest[64];
	} got;
	uint64_t unique;
	struct kernel k;
	int detail, slow;

	kernel_open(&k, NULL, 1);
	slow = lam_server_slow_fd(k.srv);
	kernel_send(&k, FUSE_SETXATTR, 1, &body, sizeof(body.in) + 17);
	EXPECT(lam_server_wait(k.srv, &detail) == LAM_EVENT_SLOW_WANTED);
	slow_reads(slow, FUSE_INIT, &unique);
	EXPECT(recv(slow, &got, sizeof(got), 0) == (ssize_t)(sizeof(got.head) + 8 + 17));
	EXPECT(got.size == 3 && !strcmp(got.rest, "user.lamina.y") && !memcmp(got.rest + 14, "abc", 3));
	slow_answers(slow, got.head.unique, 0, "");
	kernel_receive(&k);
	kernel_close(&k);
}

static void answers_without_the_slow_path(void)
{
	const struct fuse_out_header *head;
	uint64_t unique, read_by_slow, unread;
	struct kernel k;
	int detail, slow;

	kernel_open(&k, NULL, 1);
	head = (const void *)k.packet;
	slow = lam_server_slow_fd(k.srv);
	read_by_slow = send_control(&k);
	EXPECT(lam_server_wait(k.srv, &detail) == LAM_EVENT_SLOW_WANTED);
	slow_reads(slow, FUSE_INIT, &unique);
	slow_reads(slow, FUSE_GETXATTR, &unique);
	EXPECT(unique == read_by_slow);
	unread = send_control(&k);
	kernel_call(&k, FUSE_STATFS, 1, NULL, 0); /* the one before is in the socket by now */
	lam_server_slow_failed(k.srv);
	for (int i = 0; i < 2; i++) {
		unique = kernel_receive(&k);
		EXPECT(head->error == (unique == unread ? -ENODATA : -EIO));
	}
	unique = send_control(&k);
	EXPECT(kernel_receive(&k) == unique && head->error == -ENODATA);
	kernel_close(&k);
}

/* More requests than the socket holds, and nobody reads: the rest of the mount must go on. */
static void does_not_block_on_a_full_socket(void)
{
	struct fuse_getattr_in in = { .fh = 0 };
	struct kernel k;
	int detail;

	kernel_open(&k, NULL, 1);
	for (int i = 0; i < 1000; i++)
		send_control(&k);
	EXPECT(lam_server_wait(k.srv, &detail) == LAM_EVENT_SLOW_WANTED);
	EXPECT(kernel_call(&k, FUSE_GETATTR, 1, &in, sizeof(in)) == sizeof(struct fuse_attr_out));
	lam_server_slow_failed(k.srv);
	for (int i = 0; i < 1000; i++)
		kernel_receive(&k);
	kernel_close(&k);
}

/* The other end offers io_uring, but a socket takes no such commands: then it is read as ever. */
static void falls_back_from_io_uring(void)
{
	struct lam_server_config config = { .io_uring = LAM_ON };
	struct fuse_fsync_in fsync = { .fh = 0 };
	struct fuse_getattr_in in = { .fh = 0 };
	struct kernel k;
	int reason;

	kernel_open(&k, &config, 1);
	reason = lam_server_uring(k.srv);
	EXPECT(reason < 0 && reason != -ENOSYS);
	EXPECT(kernel_call(&k, FUSE_GETATTR, 1, &in, sizeof(in)) == sizeof(struct fuse_attr_out));
	EXPECT(kernel_call(&k, FUSE_FSYNCDIR, 1, &fsync, sizeof(fsync)) == 0);
	kernel_close(&k);
	kernel_open(&k, &config, 0); /* no INIT ever comes */
	kernel_hang_up(&k);
	EXPECT(lam_server_uring(k.srv) == -ECANCELED);
	kernel_close(&k);
	kernel_open(&k, NULL, 1);
	EXPECT(lam_server_uring(k.srv) == -ENOSYS);
	kernel_close(&k);
}

int main(void)
{
	kernel_watchdog(100);
	refuses_bad_configuration();
	ends_at_once();
	reports_unmount_and_signals();
	serves_many_at_once();
	carries_to_the_slow_path();
	cuts_setxattr_for_libfuse();
	answers_without_the_slow_path();
	does_not_block_on_a_full_socket();
	falls_back_from_io_uring();
	return 0;
}
