/* SPDX-License-Identifier: MIT */
#include "histogram.h"

void histogram_add(struct histogram *histogram, uint64_t ns)
{
	uint64_t value = ns < HISTOGRAM_STEPS ? HISTOGRAM_STEPS : ns;
	unsigned log2 = 63U - (unsigned)__builtin_clzll(value);
	uint64_t step = (value >> (log2 - 5)) - HISTOGRAM_STEPS;

	histogram->counts[log2 * HISTOGRAM_STEPS + step]++;
	histogram->total++;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
	into->total += from->total;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
}

uint64_t histogram_quantile(const struct histogram *histogram, double fraction)
{
	uint64_t seen = 0;

	/* histogram_add() uses none below the fifth power of two. */
	for (size_t i = 5 * HISTOGRAM_STEPS; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen > 0 && (double)seen >= fraction * (double)histogram->total)
			return (i % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << (i / HISTOGRAM_STEPS - 5);
	}
	return 0;
}
