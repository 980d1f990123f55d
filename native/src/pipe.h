/* SPDX-License-Identifier: MIT */
/*
 * pipe - large answers whose bytes the server never touches
 *
 * Theory.  What the page cache holds is handed on by reference: splice(2) from the file to a pipe,
 * and from the pipe to the device, which copies it into the client's page.  read(2) and writev(2)
 * copy twice.  Not with SPLICE_F_MOVE, by which the device would take the lower's pages away.  The
 * header, which has the length of the whole, goes first; a file that then gives less costs the pipe
 * with what is in it, and nothing has been answered yet.
 *
 * Threads: a pipe belongs to one worker.
 */
#ifndef LAMINA_PIPE_H
#define LAMINA_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAM_PIPE_LEAST (32u << 10) /* below, two more system calls cost more than a copy */

struct lam_pipe {
	int ends[2]; /* opened at first use */
	size_t room; /* pages; 0: not open */
	bool refused;
};

/*
 * lam_pipe_reply() - answer 'unique' with 'length' bytes at 'offset' of 'file'
 *
 * Without 'wait' only if they seem to be in memory (the first and the last are looked at).  -EAGAIN:
 * not answered, in whichever way it failed; answer otherwise.
 */
int lam_pipe_reply(struct lam_pipe *pipe, int device, uint64_t unique, int file, uint64_t offset,
		   uint64_t length, bool wait);
void lam_pipe_close(struct lam_pipe *pipe);

#endif
