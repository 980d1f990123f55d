/* SPDX-License-Identifier: MIT */
/*
 * spawn - helper commands: the id mappers, the driver, the network
 */
#ifndef LAMINA_LAUNCH_SPAWN_H
#define LAMINA_LAUNCH_SPAWN_H

#include <sys/types.h>

/* Start a command; its standard input is empty.  A pid or a negative errno. */
pid_t lam_spawn(char **args);

/* Start it, wait for it.  0, -ECHILD where it failed (it has said why), or a negative errno. */
int lam_run(char **args);

#endif
