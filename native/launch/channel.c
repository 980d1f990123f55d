/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

struct packet {
	int64_t number;
	uint8_t word;
};

int lam_send(int channel, enum lam_word word, int64_t number, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct packet packet = { .number = number, .word = (uint8_t)word };
	struct iovec iov = { &packet, sizeof(packet) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *part;

		header.msg_control = control;
		header.msg_controllen = sizeof(control);
		part = CMSG_FIRSTHDR(&header);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(part), &fd, sizeof(fd));
	}
	do {
		n = sendmsg(channel, &header, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int lam_receive(int channel, struct lam_message *message)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct packet packet;
	struct iovec iov = { &packet, sizeof(packet) };
	struct msghdr header = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *part;
	ssize_t n;

	do {
		n = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	message->fd = -1;
	message->word = LAM_WORD_END;
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return LAM_WORD_END;
	if (n < 0)
		return -errno;
	part = CMSG_FIRSTHDR(&header);
	if (part && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
		memcpy(&message->fd, CMSG_DATA(part), sizeof(message->fd));
	if ((size_t)n != sizeof(packet))
		return -EPROTO;
	message->number = packet.number;
	message->word = packet.word;
	return packet.word;
}
