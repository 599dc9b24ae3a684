/* SPDX-License-Identifier: MIT */
/*
 * stall.h: when processors stood still.
 *
 * A thread on each, above every program of a benchmark, sleeps a millisecond again and again. Where it wakes
 * up more than another one late, no program could run there meanwhile: a hypervisor had the processor, or the
 * kernel did. What was measured then says nothing of the program that waited. (A proxy cannot make a stall
 * itself, unless one of its system calls takes a millisecond. But a longer latency is more likely to touch
 * one: what is left is the better for that, which is why the share that was left out, and p99 with it, is
 * told.)
 */
#ifndef BENCH_STALL_H
#define BENCH_STALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STALL_CPUS_MAX 8
#define STALLS_MAX     ((size_t)16384) /* of a processor; none fits in after them */

/* When the processor's watch last ran before, and when it did again. */
struct stall {
	uint64_t from_ns, until_ns;
};

struct stall_cpu {
	atomic_size_t count; /* of the stalls, written by the watch alone */
	struct stall stalls[STALLS_MAX];
};

struct stall_watch {
	unsigned count;
	struct stall_cpu cpus[STALL_CPUS_MAX];
};

/* Watches another processor until the process ends. False: it cannot, for which it mostly needs root. */
bool stall_watch(struct stall_watch *watch, unsigned cpu);
/* Whether a watched processor stood still in that time, or up to a millisecond before. */
bool stall_touches(const struct stall_watch *watch, uint64_t from_ns, uint64_t until_ns);
/* How long the processor with the most stood still in that time, and the longest stall of any. */
uint64_t stall_total_ns(const struct stall_watch *watch, uint64_t from_ns, uint64_t until_ns,
			uint64_t *longest_ns);

#endif
