/* SPDX-License-Identifier: MIT */
#include "stall.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#define NAP_NS	 1000000
#define LATE_NS	 1000000
#define AFTER_NS 1000000 /* what it left begins to be worked off; the rest of a long queue counts */
#define PRIORITY 3	 /* above the load's and the engine's */

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void *watch_run(void *argument)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	struct stall_cpu *cpu = argument;
	uint64_t before = clock_ns();
	size_t count = 0;

	while (count < STALLS_MAX) {
		nanosleep(&nap, NULL);
		uint64_t now = clock_ns();
		if (now - before > NAP_NS + LATE_NS) {
			cpu->stalls[count] = (struct stall){.from_ns = before, .until_ns = now};
			atomic_store_explicit(&cpu->count, ++count, memory_order_release);
		}
		before = now;
	}
	return NULL;
}

bool stall_watch(struct stall_watch *watch, unsigned cpu)
{
	struct sched_param priority = {.sched_priority = PRIORITY};
	pthread_attr_t attributes;
	pthread_t thread;
	cpu_set_t cpus;

	if (watch->count == STALL_CPUS_MAX || cpu >= CPU_SETSIZE || pthread_attr_init(&attributes))
		return false;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	bool started = !pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus) &&
		       !pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED) &&
		       !pthread_attr_setschedpolicy(&attributes, SCHED_FIFO) &&
		       !pthread_attr_setschedparam(&attributes, &priority) &&
		       !pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) &&
		       !pthread_create(&thread, &attributes, watch_run, &watch->cpus[watch->count]);
	pthread_attr_destroy(&attributes);
	watch->count += started;
	return started;
}

bool stall_touches(const struct stall_watch *watch, uint64_t from_ns, uint64_t until_ns)
{
	for (unsigned i = 0; i < watch->count; i++) {
		const struct stall_cpu *cpu = &watch->cpus[i];
		size_t count = atomic_load_explicit(&cpu->count, memory_order_acquire);

		for (size_t j = 0; j < count; j++)
			if (from_ns < cpu->stalls[j].until_ns + AFTER_NS && until_ns > cpu->stalls[j].from_ns)
				return true;
	}
	return false;
}

uint64_t stall_total_ns(const struct stall_watch *watch, uint64_t from_ns, uint64_t until_ns,
			uint64_t *longest_ns)
{
	uint64_t most_ns = 0;

	*longest_ns = 0;
	for (unsigned i = 0; i < watch->count; i++) {
		const struct stall_cpu *cpu = &watch->cpus[i];
		size_t count = atomic_load_explicit(&cpu->count, memory_order_acquire);
		uint64_t sum_ns = 0;

		for (size_t j = 0; j < count; j++) {
			const struct stall *stall = &cpu->stalls[j];
			/* It should have woken up a nap later, so its first millisecond was none. */
			uint64_t start_ns = stall->from_ns + NAP_NS, end_ns = stall->until_ns;

			start_ns = start_ns > from_ns ? start_ns : from_ns;
			end_ns = end_ns < until_ns ? end_ns : until_ns;
			if (end_ns <= start_ns)
				continue;
			uint64_t took_ns = end_ns - start_ns;
			sum_ns += took_ns;
			*longest_ns = took_ns > *longest_ns ? took_ns : *longest_ns;
		}
		most_ns = sum_ns > most_ns ? sum_ns : most_ns;
	}
	return most_ns;
}
