/* SPDX-License-Identifier: MIT */
/* worker - a thread's buffers, and the hot thread's loop */
#ifndef LAMINA_WORKER_H
#define LAMINA_WORKER_H

#include <stdbool.h>

#include "serve.h"

/* Without memory for a buffer the worker has none, and answers what needs it with an error. */
void lam_worker_open(struct lam_worker *worker, struct lam_server *srv, bool may_block);
void lam_worker_close(struct lam_worker *worker);

/* Reads and dispatches until the mount is gone, the server stops, or another thread should take over. */
void *lam_worker_hot(void *server);

#endif
