/* SPDX-License-Identifier: MIT */
/* fuzz_index - any bytes as the records of two layers' indexes: refused, or an image */
#include "image_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	image_fuzz_index(data, size);
	return 0;
}
