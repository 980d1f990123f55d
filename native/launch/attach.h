/* SPDX-License-Identifier: MIT */
/*
 * attach - those who watch a container and talk to it
 *
 * A SOCK_SEQPACKET socket "attach" in a directory.  A packet is one byte that says
 * what, then data:
 *
 *   to the container    'i' standard input; 'c' its end; 'w' window size: rows, columns as
 *                       decimal text with a space between; 'k' the end is known; 'h' hold the
 *                       driver still until this connection ends
 *   from the container  'o' standard output, 'e' standard error; 'x' it ended: status in decimal
 *
 * Somebody who does not read holds the container's output up, as with a pipe: one packet is on
 * its way at a time, and nothing more is taken from the container until all have it.
 */
#ifndef LAMINA_LAUNCH_ATTACH_H
#define LAMINA_LAUNCH_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAM_CLIENTS 16
#define LAM_PACKET 32768

struct lam_attach {
	int listener;		  /* -1: nobody can attach */
	int clients[LAM_CLIENTS]; /* -1: free */
	uint32_t waiting;	  /* bit i: client i has not got the packet yet */
	uint32_t holding;	  /* bit i: client i wants the driver held, and hears nothing */
	size_t size;
	char packet[LAM_PACKET];
};

/* Listen in 'directory' (NULL: do not).  0 or a negative errno. */
int lam_attach_open(struct lam_attach *attach, const char *directory);
/* Take a connection as client 0, before any other. */
void lam_attach_first(struct lam_attach *attach, int fd);
void lam_attach_accept(struct lam_attach *attach);
/* Send at most LAM_PACKET - 1 bytes to all; who is gone is dropped.  Nothing may be on its way. */
void lam_attach_send(struct lam_attach *attach, char kind, const char *data, size_t size);
/* Try again; true when all have it. */
bool lam_attach_sent(struct lam_attach *attach);
/* Let go of those who do not have it yet. */
void lam_attach_drop_waiting(struct lam_attach *attach);
/* A packet of client 'index' into 'packet' (LAM_PACKET); its size, 0 when there is none. */
size_t lam_attach_receive(struct lam_attach *attach, int index, char *packet);
void lam_attach_close(struct lam_attach *attach);

#endif
