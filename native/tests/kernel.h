/* SPDX-License-Identifier: MIT */
/*
 * kernel - the other end of the device, for tests
 *
 * Theory.  To the server a SOCK_SEQPACKET pair is as good as /dev/fuse: one read a request, one
 * write a reply.  So its tests need no mount and no privilege.
 */
#ifndef LAMINA_TESTS_KERNEL_H
#define LAMINA_TESTS_KERNEL_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <lamina/core.h>
#include <lamina/fuse_abi.h>
#include <lamina/server.h>

#define EXPECT(condition)                                                                                 \
	do {                                                                                              \
		if (!(condition)) {                                                                       \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
			exit(1);                                                                          \
		}                                                                                         \
	} while (0)

#define KERNEL_PACKET (160u << 10)

struct kernel {
	char top[64]; /* a scratch directory with lower, upper, work and mnt */
	struct lam_core *core;
	struct lam_server *srv;
	int fd; /* the kernel's end; -1 after kernel_hang_up() */
	int server_fd;
	uint64_t unique;       /* of the last request */
	unsigned char *packet; /* the last reply, with its header */
	size_t len;
};

/* Ends the process after some seconds, so that no test hangs. */
void kernel_watchdog(unsigned int seconds);

/* The scratch directory and a core over it. */
void kernel_make_core(struct kernel *kernel);
/* Removes what kernel_make_core() made; nothing is mounted there any more. */
void kernel_drop_core(struct kernel *kernel);

/* Both, and a server on a socket; 'config' has what is not the default.  With 'init' the handshake is done. */
void kernel_open(struct kernel *kernel, const struct lam_server_config *config, int init);
void kernel_close(struct kernel *kernel);
void kernel_hang_up(struct kernel *kernel); /* what an unmount looks like */

/* Sends; returns the request's number.  'len' bytes of 'body' follow the header. */
uint64_t kernel_send(struct kernel *kernel, uint32_t opcode, uint64_t nodeid, const void *body, size_t len);
void kernel_send_raw(struct kernel *kernel, const void *packet, size_t len);
/* Waits for a reply to whatever; returns its number. */
uint64_t kernel_receive(struct kernel *kernel);

/* Both; returns the reply's error, or the length of its data. */
int kernel_call(struct kernel *kernel, uint32_t opcode, uint64_t nodeid, const void *body, size_t len);
const void *kernel_data(const struct kernel *kernel);

/* LOOKUP of a name below the root; its nodeid. */
uint64_t kernel_lookup(struct kernel *kernel, const char *name);

#endif
