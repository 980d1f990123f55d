/* SPDX-License-Identifier: MIT */
/*
 * network - what a container's own network needs of processes outside it
 *
 * Theory.  A network namespace begins with nothing but a loopback device.  What leads out of it is
 * a helper (slirp4netns, pasta) or the keeper of a named network; what leads into it is the
 * forwarder of published ports.  Setup tells the monitor when the namespace is there; the monitor
 * starts the helper while setup goes on, and setup waits for it only at the end.
 *
 * The forwarder gets sockets that listen in the host's network and itself lives in the container's:
 * what it accepts comes from one, what it connects to is in the other.  It sees the host's files
 * (it is no process of the container), but has no capability left.
 *
 * None outlives the monitor, however that ends: the helper sees the end of a pipe, the keeper that
 * of a connection, the forwarder gets a signal.
 */
#ifndef LAMINA_LAUNCH_NETWORK_H
#define LAMINA_LAUNCH_NETWORK_H

#include "plan.h"

#include <sys/types.h>

struct lam_network {
	int ready; /* -1, or to be polled: what comes there is lam_network_answer()'s */
	int held;  /* our end of what must not outlive us, or -1 */
	int said;  /* what the helper writes, while it may be wanted; or -1 */
	pid_t helper;
	int status; /* of the helper's end, -1 while it runs */
};

/*
 * lam_network_begin() - lead out of the network namespace of process 'pid'
 *
 * Returns 1 where nothing is to be waited for, else 0: then 'ready' is readable once it works or
 * has failed.  Reports and exits on failure.
 */
int lam_network_begin(const struct lam_plan *plan, struct lam_network *network, pid_t pid);

/* 'ready' is readable, or the helper has ended: it works from now on; else reports and exits. */
void lam_network_answer(const struct lam_plan *plan, struct lam_network *network);

/* Start what forwards published ports into the network of process 'pid', if there are any. */
void lam_network_forward(const struct lam_plan *plan, pid_t pid);

/* The sockets that the plan names are the monitor's: nobody else inherits them. */
void lam_network_inherit(const struct lam_plan *plan);
/* In a fork of the monitor: let go of them. */
void lam_network_disinherit(const struct lam_plan *plan);

/* In a new network namespace: the loopback device is up. */
int lam_network_loopback(void);
/* In the container's, once the helper is ready: addresses and routes. */
int lam_network_configure(const struct lam_plan *plan);

#endif
