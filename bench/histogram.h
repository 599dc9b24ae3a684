/* SPDX-License-Identifier: MIT */
/*
 * histogram.h: latencies in 1/32 steps of their power of two. 3 % resolution from 32 ns to centuries, in a
 * fixed 16 KiB: nothing is allocated and nothing is sorted while a load runs.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_STEPS	  ((size_t)32)
#define HISTOGRAM_BUCKETS (64 * HISTOGRAM_STEPS)

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t total, max_ns;
};

void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The lower end of the step that the value at `fraction` of all lies in; 0 of an empty one. */
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);

#endif
