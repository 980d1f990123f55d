/* SPDX-License-Identifier: MIT */
/*
 * state - what a container's directory says while nobody asks the monitor
 *
 *   pid   "PID START\n" of the first process; START as in /proc/PID/stat, so that a pid that
 *         was given to somebody else is not taken for it
 *   exit  "STATUS\n", written when it ended: 0..255 as a shell shows it
 *
 * Each is written under another name and renamed, so that it is there as a whole or not at all.
 */
#ifndef LAMINA_LAUNCH_STATE_H
#define LAMINA_LAUNCH_STATE_H

#include <sys/types.h>

int lam_state_running(int directory, pid_t pid);
int lam_state_ended(int directory, int status);

#endif
