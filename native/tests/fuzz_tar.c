/* SPDX-License-Identifier: MIT */
/* fuzz_tar - any bytes as a layer: refused, or an index that can be read and built */
#include "image_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	image_fuzz_tar(data, size);
	return 0;
}
