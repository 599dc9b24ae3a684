/* SPDX-License-Identifier: MIT */
/* token_support.h: what the tests of tokens have in common. */
#ifndef HEADGATE_TOKEN_SUPPORT_H
#define HEADGATE_TOKEN_SUPPORT_H

#include <stdio.h>

#include "token.h"

/* SHA-256 of "abc" (FIPS 180-2, B.1) and of nothing. */
#define ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define NOW   INT64_C(1800000000)
#define DATE  "2026-11-23T19:30:00Z"

static inline const char *hex_of(const uint8_t digest[TOKEN_DIGEST_BYTES])
{
	static char hex[2 * TOKEN_DIGEST_BYTES + 1];

	for (size_t i = 0; i < TOKEN_DIGEST_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return hex;
}

#endif
