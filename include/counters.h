/* SPDX-License-Identifier: MIT */
/*
 * counters.h: what has happened, in numbers. Each worker writes its own, the main thread adds them up. Pure
 * but for the atomics, which cost a plain load and store. Layer 0.
 */
#ifndef HEADGATE_COUNTERS_H
#define HEADGATE_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

enum counter {
	COUNTER_OPENED, /* connections of clients */
	COUNTER_CLOSED,
	COUNTER_HANDSHAKES_FAILED,
	COUNTER_KERNEL_SENDS, /* connections of clients whose direction the kernel encrypts */
	COUNTER_KERNEL_RECEIVES,
	COUNTER_ANSWERED, /* exchanges that got the engine's answer, to its end or not */
	COUNTER_UNAUTHORIZED,
	COUNTER_REFUSED,	/* by headgate, for other reasons of the request's: 4xx, 501, 505 */
	COUNTER_ENGINE_TROUBLE, /* answers of headgate's own for reasons of the engine's: 502, 503 */
	COUNTER_BROKEN,		/* exchanges without any answer */
	COUNTER_TUNNELS,
	COUNTER_CLIENT_TRUNCATED, /* connections: FIN without close_notify within a head or an exchange */
	COUNTER_ENGINE_TRUNCATED, /* connections: the same within an answer or a tunnel */
	COUNTER_KEY_UPDATES,	  /* that ended a connection, the kernel could not follow */
	COUNTER_UP_BYTES,	  /* of the bodies of exchanges that are over */
	COUNTER_DOWN_BYTES,
	COUNTER_COUNT,
};

/* One a worker, amid what only that worker touches. All zero at the start. */
struct counters {
	_Atomic uint64_t values[COUNTER_COUNT];
};

/* Only from the thread that owns them. */
static inline void counter_add(struct counters *counters, enum counter counter, uint64_t number)
{
	uint64_t before = atomic_load_explicit(&counters->values[counter], memory_order_relaxed);

	atomic_store_explicit(&counters->values[counter], before + number, memory_order_relaxed);
}

/* Adds `counters` to `sums`; from any thread. What is counted meanwhile may be in it in part. */
void counters_sum(uint64_t sums[COUNTER_COUNT], const struct counters *counters);

/*
 * Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). Returns the length or
 * -ENOSPC; COUNTERS_TEXT_MAX always suffices.
 */
#define COUNTERS_TEXT_MAX ((size_t)4096)
long counters_write(const uint64_t sums[COUNTER_COUNT], char *text, size_t cap) MUST_USE;

/* How many requests these are, whatever became of them. */
uint64_t counters_requests(const uint64_t sums[COUNTER_COUNT]);

#endif
