/* SPDX-License-Identifier: MIT */
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_in(int directory)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -errno;
	/* through /proc, because a socket's address has 107 bytes and a directory's path has not */
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/attach", directory);
	unlinkat(directory, "attach", 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, LAM_CLIENTS) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int lam_attach_open(struct lam_attach *attach, const char *directory)
{
	int fd;

	for (int i = 0; i < LAM_CLIENTS; i++)
		attach->clients[i] = -1;
	attach->waiting = attach->holding = 0;
	attach->listener = -1;
	if (!directory)
		return 0;
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	attach->listener = listen_in(fd);
	close(fd);
	return attach->listener < 0 ? attach->listener : 0;
}

void lam_attach_first(struct lam_attach *attach, int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	attach->clients[0] = fd;
}

void lam_attach_accept(struct lam_attach *attach)
{
	int fd = accept4(attach->listener, NULL, NULL, SOCK_CLOEXEC);

	for (int i = 0; fd >= 0 && i < LAM_CLIENTS; i++) {
		if (attach->clients[i] < 0) {
			attach->clients[i] = fd;
			return;
		}
	}
	if (fd >= 0)
		close(fd); /* more than there is room for */
}

static void drop(struct lam_attach *attach, int index)
{
	close(attach->clients[index]);
	attach->clients[index] = -1;
	attach->waiting &= ~(1u << index);
	attach->holding &= ~(1u << index);
}

void lam_attach_send(struct lam_attach *attach, char kind, const char *data, size_t size)
{
	attach->packet[0] = kind;
	memcpy(attach->packet + 1, data, size);
	attach->size = size + 1;
	for (int i = 0; i < LAM_CLIENTS; i++) {
		if (attach->clients[i] >= 0 && !(attach->holding >> i & 1))
			attach->waiting |= 1u << i;
	}
	lam_attach_sent(attach);
}

bool lam_attach_sent(struct lam_attach *attach)
{
	for (int i = 0; i < LAM_CLIENTS; i++) {
		ssize_t n;

		if (!(attach->waiting >> i & 1))
			continue;
		n = send(attach->clients[i], attach->packet, attach->size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
			continue;
		if (n < 0)
			drop(attach, i);
		attach->waiting &= ~(1u << i);
	}
	return attach->waiting == 0;
}

void lam_attach_drop_waiting(struct lam_attach *attach)
{
	for (int i = 0; i < LAM_CLIENTS; i++) {
		if (attach->waiting >> i & 1)
			drop(attach, i);
	}
}

size_t lam_attach_receive(struct lam_attach *attach, int index, char *packet)
{
	ssize_t n = recv(attach->clients[index], packet, LAM_PACKET, MSG_DONTWAIT);

	if (n > 0)
		return (size_t)n;
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		drop(attach, index);
	return 0;
}

void lam_attach_close(struct lam_attach *attach)
{
	for (int i = 0; i < LAM_CLIENTS; i++) {
		if (attach->clients[i] >= 0)
			drop(attach, i);
	}
	if (attach->listener >= 0)
		close(attach->listener);
	attach->listener = -1;
}
