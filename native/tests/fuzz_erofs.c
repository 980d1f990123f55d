/* SPDX-License-Identifier: MIT */
/* fuzz_erofs - libFuzzer's view of the image reader; the checksum is no obstacle to it */
#include <stdlib.h>
#include <string.h>

#include "erofs_walk.h"

#define COMPAT_FLAGS_AT 1032

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1); /* of the exact size, so that what lies behind is poisoned */

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (size > COMPAT_FLAGS_AT)
		copy[COMPAT_FLAGS_AT] &= 0xfe;
	erofs_walk(copy, size);
	free(copy);
	return 0;
}
