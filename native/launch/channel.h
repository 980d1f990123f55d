/* SPDX-License-Identifier: MIT */
/*
 * channel - the conversation of the monitor with the processes it starts
 *
 * A SOCK_SEQPACKET pair; a message is one byte that says what, a number, and perhaps one
 * descriptor.  It closes on exec, and that is how the monitor learns that execve(2) succeeded.
 */
#ifndef LAMINA_LAUNCH_CHANNEL_H
#define LAMINA_LAUNCH_CHANNEL_H

#include <stdint.h>

enum lam_word {
	LAM_WORD_END = 0,	 /* the other end is closed */
	LAM_WORD_MAP = 'm',	 /* setup: map my user namespace; monitor: it is mapped */
	LAM_WORD_DRIVER = 'd',	 /* setup: the driver is process 'number' */
	LAM_WORD_INIT = 'i',	 /* setup: init is process 'number' */
	LAM_WORD_NETWORK = 'n',	 /* setup: process 'number' has a network namespace; monitor: it is served */
	LAM_WORD_GO = 'g',	 /* monitor: go on */
	LAM_WORD_TERMINAL = 't', /* init: here is the terminal's other end */
	LAM_WORD_LISTENER = 'l', /* init, to the recorder: the listener of the filter */
	LAM_WORD_EXEC = 'x',	 /* init: about to execute */
	LAM_WORD_FAILED = 'f',	 /* init: that did not work */
};

struct lam_message {
	int64_t number;
	int32_t fd; /* received: owned by the receiver, or -1 */
	uint8_t word;
};

/* 0 or a negative errno. */
int lam_send(int channel, enum lam_word word, int64_t number, int fd);
/* The word (LAM_WORD_END too) or a negative errno. */
int lam_receive(int channel, struct lam_message *message);

#endif
