/* SPDX-License-Identifier: MIT */
/*
 * state - what a container's directory says while nobody asks the monitor
 *
 *   pid   "PID START BOOT\n" of the first process; START as in /proc/PID/stat and the id of this
 *         boot, so that a pid that was given to somebody else is not taken for it
 *   exit  "STATUS\n", written when it ended: 0..255 as a shell shows it
 *   driver      as "pid"
 *   restarting  as "pid": the monitor itself, if it is to become another command; written before "exit"
 *   health      see health.h
 *   oom         the kernel killed a process for the limit of memory
 *
 * The directory itself is locked by flock(2) while the monitor lives: whoever finds it free, with
 * "pid" and without "exit", knows that the monitor was killed.
 *
 * Each is written under another name and renamed, so that it is there as a whole or not at all.
 */
#ifndef LAMINA_LAUNCH_STATE_H
#define LAMINA_LAUNCH_STATE_H

#include <sys/types.h>

/* Open and lock a container's directory; -EWOULDBLOCK while another monitor has it. */
int lam_state_open(const char *path);
/* Write a file; 0 or a negative errno. */
int lam_state_put(int directory, const char *name, const char *text);
/* When a process began, in ticks since boot; 0 if there is none. */
unsigned long long lam_state_start_time(pid_t pid);
int lam_state_process(int directory, const char *name, pid_t pid);
int lam_state_ended(int directory, int status);

#endif
