/* SPDX-License-Identifier: MIT */
#include "streams.h"

#include "report.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DRAINED 1024	 /* packets: more than any pipe holds */
#define END_WAIT_MS 2000 /* for those attached to take what was written */

static void close_once(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void lam_streams_open(struct lam_streams *streams, const struct lam_plan *plan, const char *directory)
{
	const struct lam_record *log = lam_plan_first(plan, LAM_OP_LOG);
	const struct lam_record *client = lam_plan_first(plan, LAM_OP_CLIENT);
	int err;

	streams->master = streams->input = streams->output[0] = streams->output[1] = -1;
	streams->fed = streams->given = 0;
	err = lam_log_open(&streams->log, log ? log->arg[0] : NULL);
	if (err == 0)
		err = lam_attach_open(&streams->attach, directory);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "the container's directory %s", directory ? directory : "");
	if (client)
		lam_attach_first(&streams->attach, (int)lam_record_number(client, 0, 10));
}

void lam_streams_make(struct lam_streams *streams, const struct lam_plan *plan, int theirs[3])
{
	int pair[2];

	theirs[0] = theirs[1] = theirs[2] = -1;
	if (lam_plan_first(plan, LAM_OP_TERMINAL) || lam_plan_first(plan, LAM_OP_STDIO))
		return;
	for (int i = 1; i < 3; i++) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			lam_fail(LAM_FAILED, errno, "pipe");
		streams->output[i - 1] = pair[0];
		theirs[i] = pair[1];
	}
	if (lam_plan_first(plan, LAM_OP_STDIN)) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			lam_fail(LAM_FAILED, errno, "pipe");
		streams->input = pair[1];
		theirs[0] = pair[0];
		fcntl(pair[1], F_SETFL, O_NONBLOCK);
	} else {
		theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
}

void lam_streams_terminal(struct lam_streams *streams, int master)
{
	streams->master = master;
	fcntl(master, F_SETFL, O_NONBLOCK);
}

/* What the container wrote; false at the end. */
static bool copy_output(struct lam_streams *streams, int fd, int stream)
{
	char data[LAM_PACKET - 1];
	ssize_t n = read(fd, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false; /* a terminal says EIO when nobody has it open */
	lam_log_write(&streams->log, stream, data, (size_t)n);
	lam_attach_send(&streams->attach, stream ? 'e' : 'o', data, (size_t)n);
	return true;
}

static int input_of(const struct lam_streams *streams)
{
	return streams->master >= 0 ? streams->master : streams->input;
}

/* Give the program what it takes of its input; neither a full pipe nor a full terminal is waited for. */
static void feed(struct lam_streams *streams)
{
	int fd = input_of(streams);
	ssize_t n = fd < 0 ? -1 : write(fd, streams->feed + streams->fed, streams->given - streams->fed);

	if (n >= 0)
		streams->fed += (size_t)n;
	else if (fd >= 0 && (errno == EAGAIN || errno == EINTR))
		return;
	else
		streams->fed = streams->given; /* it does not read any more */
	if (n < 0)
		close_once(&streams->input);
}

static void hear(struct lam_streams *streams, int client)
{
	char packet[LAM_PACKET + 1];
	size_t size = lam_attach_receive(&streams->attach, client, packet);
	unsigned int rows, columns;

	if (size == 0)
		return;
	packet[size] = '\0';
	switch (packet[0]) {
	case 'i':
		memcpy(streams->feed, packet + 1, size - 1);
		streams->fed = 0;
		streams->given = size - 1;
		feed(streams);
		break;
	case 'c':
		close_once(&streams->input);
		break;
	case 'w':
		if (streams->master >= 0 && sscanf(packet + 1, "%u %u", &rows, &columns) == 2)
			lam_terminal_resize(streams->master, rows, columns);
		break;
	case 'h':
		streams->attach.holding |= 1u << client;
		break;
	default:
		break;
	}
}

/* poll(2) leaves out negative descriptors. */
static int only_if(bool wanted, int fd)
{
	return wanted ? fd : -1;
}

void lam_streams_watch(const struct lam_streams *streams, struct pollfd fds[LAM_STREAM_FDS])
{
	const struct lam_attach *attach = &streams->attach;
	bool sent = attach->waiting == 0, fed = streams->fed == streams->given;

	fds[0] = (struct pollfd){ only_if(sent, streams->master), POLLIN, 0 };
	fds[1] = (struct pollfd){ only_if(sent, streams->output[0]), POLLIN, 0 };
	fds[2] = (struct pollfd){ only_if(sent, streams->output[1]), POLLIN, 0 };
	fds[3] = (struct pollfd){ attach->listener, POLLIN, 0 };
	fds[4] = (struct pollfd){ only_if(!fed, input_of(streams)), POLLOUT, 0 };
	for (int i = 0; i < LAM_CLIENTS; i++) {
		bool heard = fed ||
			     attach->holding >> i & 1; /* who holds the driver may hold up the program */
		short events = (short)((heard ? POLLIN : 0) | (attach->waiting >> i & 1 ? POLLOUT : 0));

		fds[5 + i] = (struct pollfd){ attach->clients[i], events, 0 };
	}
}

void lam_streams_serve(struct lam_streams *streams, const struct pollfd fds[LAM_STREAM_FDS])
{
	int *outputs[] = { &streams->master, &streams->output[0], &streams->output[1] };
	struct lam_attach *attach = &streams->attach;

	if (attach->waiting != 0)
		lam_attach_sent(attach);
	if (fds[4].revents)
		feed(streams);
	for (int i = 0; i < LAM_CLIENTS; i++) {
		bool heard = streams->fed == streams->given || attach->holding >> i & 1;

		if (heard && (fds[5 + i].revents & ~POLLOUT) && attach->clients[i] >= 0)
			hear(streams, i);
	}
	for (int i = 0; i < 3 && attach->waiting == 0; i++) {
		if (fds[i].revents && !copy_output(streams, *outputs[i], i == 2))
			close_once(outputs[i]);
	}
	if (fds[3].revents)
		lam_attach_accept(attach);
}

/* Wait, but not for ever, until all who are attached have what was sent; who has not, is dropped. */
static void flush(struct lam_attach *attach)
{
	const struct timespec step = { .tv_nsec = 1000000 };

	for (int waited = 0; waited < END_WAIT_MS && !lam_attach_sent(attach); waited++)
		nanosleep(&step, NULL);
	lam_attach_drop_waiting(attach);
}

/* No more can come after this but from who outlives the program. */
void lam_streams_drain(struct lam_streams *streams)
{
	int *fds[] = { &streams->master, &streams->output[0], &streams->output[1] };

	for (int i = 0; i < 3; i++) {
		struct pollfd ready = { *fds[i], POLLIN, 0 };

		for (int n = 0; n < DRAINED && *fds[i] >= 0 && poll(&ready, 1, 0) > 0; n++) {
			flush(&streams->attach);
			if (!copy_output(streams, *fds[i], i == 2))
				break;
		}
		close_once(fds[i]);
	}
	lam_log_close(&streams->log);
}

void lam_streams_tell(struct lam_streams *streams, int status)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", status);
	flush(&streams->attach);
	lam_attach_send(&streams->attach, 'x', text, strlen(text));
	flush(&streams->attach);
}

bool lam_streams_known(struct lam_streams *streams)
{
	struct pollfd client = { streams->attach.clients[0], POLLIN, 0 };
	char packet[LAM_PACKET];

	/* what it typed before it knew may still lie there */
	while (streams->attach.clients[0] >= 0 && poll(&client, 1, END_WAIT_MS) > 0) {
		if (lam_attach_receive(&streams->attach, 0, packet) > 0 && packet[0] == 'k')
			return true;
	}
	return false;
}

void lam_streams_close(struct lam_streams *streams)
{
	lam_attach_close(&streams->attach);
}
