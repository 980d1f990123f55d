/* SPDX-License-Identifier: MIT */
/*
 * reap - process 1 of a container that asked for an init (--init)
 *
 * Starts the program as a child in its own process group, passes every signal on to it, waits
 * for whatever is orphaned, and ends as the program ended (128 + signal where it was killed).
 */
#ifndef LAMINA_LAUNCH_REAP_H
#define LAMINA_LAUNCH_REAP_H

/* Forks; returns in the child only.  'channel' is closed in the parent. */
void lam_reap(int channel);

#endif
