/* SPDX-License-Identifier: MIT */
/* counters: what the admin listener's tests, which see the whole text, do not. */
#include "counters.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#define ROUNDS 200000

static char text[COUNTERS_TEXT_MAX];

static const char *write_text(const uint64_t sums[COUNTER_COUNT])
{
	cr_assert_gt(counters_write(sums, text, sizeof(text)), 0);
	return text;
}

Test(counters, sum_adds_to_what_is_there)
{
	struct counters first = {0}, second = {0};
	uint64_t sums[COUNTER_COUNT] = {0};

	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		counter_add(&first, (enum counter)i, i);
		counter_add(&second, (enum counter)i, 100 * i);
		counter_add(&second, (enum counter)i, 0);
	}
	counters_sum(sums, &first);
	counters_sum(sums, &second);
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		cr_assert_eq(sums[i], 101 * i, "%u", i);
}

/* Each counter but CLOSED, which is in the gauge, stands in the text once. */
Test(counters, each_is_written)
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		uint64_t sums[COUNTER_COUNT] = {0};
		unsigned found = 0;

		sums[i] = 987654321;
		for (const char *at = write_text(sums); (at = strstr(at, " 987654321\n")); at++)
			found++;
		unsigned expected = i == COUNTER_CLOSED ? 0 : i == COUNTER_OPENED ? 2 : 1;
		cr_assert_eq(found, expected, "counter %u: %u times\n%s", i, found, text);
	}
}

/* A sum that met a worker between its two numbers. */
Test(counters, fewer_than_none_are_open)
{
	uint64_t sums[COUNTER_COUNT] = {0};

	sums[COUNTER_OPENED] = 41;
	sums[COUNTER_CLOSED] = 42;
	cr_assert_not_null(strstr(write_text(sums), "\nheadgate_connections_open 0\n"), "%s", text);
	sums[COUNTER_OPENED] = 43;
	cr_assert_not_null(strstr(write_text(sums), "\nheadgate_connections_open 1\n"), "%s", text);
}

Test(counters, requests_by_all_results)
{
	uint64_t sums[COUNTER_COUNT] = {0};

	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		sums[i] = UINT64_C(1) << 40;
	sums[COUNTER_ANSWERED] = 1;
	sums[COUNTER_UNAUTHORIZED] = 10;
	sums[COUNTER_REFUSED] = 100;
	sums[COUNTER_ENGINE_TROUBLE] = 1000;
	sums[COUNTER_BROKEN] = 10000;
	cr_assert_eq(counters_requests(sums), 11111);
}

static void *count_up(void *arg)
{
	struct counters *counters = arg;

	for (unsigned i = 0; i < ROUNDS; i++)
		counter_add(counters, COUNTER_ANSWERED, 1);
	return NULL;
}

/* One thread writes, another reads: never backwards, and nothing is lost. */
Test(counters, read_from_another_thread)
{
	struct counters counters = {0};
	pthread_t thread;
	uint64_t last = 0;

	cr_assert_eq(pthread_create(&thread, NULL, count_up, &counters), 0);
	while (last < ROUNDS) {
		uint64_t sums[COUNTER_COUNT] = {0};

		counters_sum(sums, &counters);
		cr_assert_geq(sums[COUNTER_ANSWERED], last);
		last = sums[COUNTER_ANSWERED];
	}
	pthread_join(thread, NULL);
	cr_assert_eq(last, ROUNDS);
}
