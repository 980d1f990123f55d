/* SPDX-License-Identifier: MIT */
/*
 * mapping - a file in memory that others may truncate
 *
 * Theory.  Touching a page of a mapping that the file no longer has, or that its disk cannot
 * read, raises SIGBUS.  The handler puts zeros in place of what is missing, marks the mapping as
 * lost and lets the thread go on; so readers must take zeros anywhere (they check all that they
 * read anyhow), and look at lam_mapping_lost() before they believe a result.  A lost mapping
 * stays lost: what it shows is no longer what was opened.
 *
 * The handler is the process's; it passes on what is not a mapping's.  That needs the one table
 * of the core that is not an object's: the mappings of the process.
 */
#ifndef LAMINA_MAPPING_H
#define LAMINA_MAPPING_H

#include <stdbool.h>
#include <stdint.h>

struct lam_mapping {
	const uint8_t *base; /* NULL: none */
	uint64_t size;
	uint32_t slot;
};

/* Map the first 'size' bytes of 'fd' for reading.  -ENFILE: the process has too many. */
int lam_mapping_open(struct lam_mapping *mapping, int fd, uint64_t size);
void lam_mapping_close(struct lam_mapping *mapping); /* of all zeros is fine */
bool lam_mapping_lost(const struct lam_mapping *mapping);

#endif
