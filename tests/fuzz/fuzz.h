/* SPDX-License-Identifier: MIT */
/* fuzz.h: what the fuzz targets have in common. A broken invariant aborts, with its text. */
#ifndef HEADGATE_FUZZ_H
#define HEADGATE_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                          \
	do {                                                                                           \
		if (!(condition)) {                                                                    \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                       \
		}                                                                                      \
	} while (0)

/* A copy in memory of just that size, so that a look past the end is seen. The caller frees it. */
static inline char *fuzz_copy(const void *bytes, size_t len)
{
	char *copy = malloc(len ? len : 1);

	FUZZ_CHECK(copy);
	if (len)
		memcpy(copy, bytes, len);
	return copy;
}

/*
 * A copy of which only the first bytes have arrived: the rest may not be touched before
 * fuzz_arrived() says so. The caller frees it.
 */
static inline char *fuzz_arriving(const void *bytes, size_t len)
{
	char *copy = fuzz_copy(bytes, len);

	ASAN_POISON_MEMORY_REGION(copy, len);
	return copy;
}

static inline void fuzz_arrived(char *copy, size_t len)
{
	(void)copy;
	(void)len;
	ASAN_UNPOISON_MEMORY_REGION(copy, len);
}

/* A small deterministic generator, for cutting input into pieces: the same input, the same cuts. */
static inline size_t fuzz_next(uint64_t *state, size_t below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return below ? (size_t)(*state >> 33) % below : 0;
}

#endif
