/* SPDX-License-Identifier: MIT */
/*
 * streams - what goes into a container's program and what comes out of it
 *
 * Theory.  The program's output is copied to the log and to those attached; what they send is fed to
 * it.  Nothing is taken from a side before the other has taken what came last, so one packet each way
 * is all that is held, and whoever does not read holds the container up, as with a pipe.
 *
 * Part of the monitor's poll(2) loop: lam_streams_watch() says what is waited for, and
 * lam_streams_serve() does what can be done.  No allocation.
 */
#ifndef LAMINA_LAUNCH_STREAMS_H
#define LAMINA_LAUNCH_STREAMS_H

#include "attach.h"
#include "log.h"
#include "plan.h"

#include <poll.h>

#define LAM_STREAM_FDS (5 + LAM_CLIENTS)

struct lam_streams {
	int master;	   /* the terminal, or -1 */
	int input;	   /* the program's standard input, or -1 */
	int output[2];	   /* its standard output and error, or -1 */
	size_t fed, given; /* of 'feed', what the program has taken and what there is */
	char feed[LAM_PACKET];
	struct lam_log log;
	struct lam_attach attach;
};

/* Open the log, and the socket in 'directory' (NULL: nobody can attach); reports and exits on failure. */
void lam_streams_open(struct lam_streams *streams, const struct lam_plan *plan, const char *directory);
/* Make the pipes that the plan wants; 'theirs' get the program's ends, or -1.  The same on failure. */
void lam_streams_make(struct lam_streams *streams, const struct lam_plan *plan, int theirs[3]);
/* Take the other end of the program's terminal. */
void lam_streams_terminal(struct lam_streams *streams, int master);

void lam_streams_watch(const struct lam_streams *streams, struct pollfd fds[LAM_STREAM_FDS]);
void lam_streams_serve(struct lam_streams *streams, const struct pollfd fds[LAM_STREAM_FDS]);

/* The program has ended: copy what it wrote and nobody took yet, close its side and the log. */
void lam_streams_drain(struct lam_streams *streams);
/* Tell those attached the status. */
void lam_streams_tell(struct lam_streams *streams, int status);
/* Wait, but not for ever, until who was given with the plan says that it knows; false if it is gone. */
bool lam_streams_known(struct lam_streams *streams);
void lam_streams_close(struct lam_streams *streams);

#endif
