/* SPDX-License-Identifier: MIT */
/*
 * Criterion under ThreadSanitizer; linked into that variant's unit tests.
 *
 * Criterion shares memory with its test processes at a random address between 0x200000000000 and
 * 0x600000000000 (BoxFort, arena.c: 22 bits of rand_r(), in steps of 16 MiB). ThreadSanitizer lets a
 * program use only 0x550000000000 to 0x568000000000 of that, so that mostly no test would run. This
 * rand_r() chooses below 0x555000000000: a position-independent program lies above, at another address in
 * each test process, and would else now and then be where the arena has to go.
 */
#include <stdlib.h>

#define STEP_BITS  24
#define ARENA_BASE 0x200000000000
#define FIRST_STEP ((unsigned)((0x550000000000 - ARENA_BASE) >> STEP_BITS))
#define STEP_COUNT ((unsigned)((0x555000000000 - 0x550000000000) >> STEP_BITS))

int rand_r(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return (int)(FIRST_STEP + (*seed >> 8) % STEP_COUNT);
}
