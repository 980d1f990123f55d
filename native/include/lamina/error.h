/* SPDX-License-Identifier: MIT */
/*
 * error - results where errno has no word
 *
 * Everything in the core returns 0 or a positive result, or a negative errno; own codes
 * lie below -4096 so that they never meet an errno.  They do not reach the kernel.
 */
#ifndef LAMINA_ERROR_H
#define LAMINA_ERROR_H

#define LAM_EAGAIN 4097 /* would copy much data: repeat with LAM_CALLER_MAY_BLOCK */

#endif
