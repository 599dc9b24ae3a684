/* SPDX-License-Identifier: MIT */
/* Connections of an address and exchanges of a token; then threads, which are for the thread sanitizer. */
#include <pthread.h>
#include <stdatomic.h>

#include "limit_support.h"

TestSuite(limit_count, .timeout = 300);

#define MAX	  5u
#define WINDOW_MS 60000u

static struct limits *counts_of(unsigned peer_max, unsigned token_max, size_t entries_max)
{
	return limits_of((struct limit_rules){.peer_connections_max = peer_max,
					      .token_connections_max = token_max,
					      .entries_max = entries_max});
}

Test(limit_count, connections_of_an_address)
{
	struct limits *limits = counts_of(2, 0, 16);
	struct address a = v6(1, 1, 1), same = v6(1, 1, 2), b = v6(1, 2, 1), c = v4(1);

	cr_expect(limit_peer_opens(limits, &a));
	cr_expect(limit_peer_opens(limits, &same));
	for (unsigned i = 0; i < 10; i++)
		cr_expect_not(limit_peer_opens(limits, &a), "a refused one is not counted");
	cr_expect(limit_peer_opens(limits, &b));
	cr_expect(limit_peer_opens(limits, &c));
	limit_peer_closes(limits, &same);
	cr_expect(limit_peer_opens(limits, &a));
	cr_expect_not(limit_peer_opens(limits, &a));
	limits_free(limits);
}

Test(limit_count, exchanges_of_a_token)
{
	/* The longest names that there are, which differ in their last byte. */
	char longest[64], other[64];
	struct limits *limits = counts_of(0, 1, 16);

	memset(longest, 'x', sizeof(longest));
	longest[63] = '\0';
	memcpy(other, longest, sizeof(other));
	other[62] = 'y';
	cr_expect(limit_token_opens(limits, longest));
	cr_expect(limit_token_opens(limits, other));
	cr_expect_not(limit_token_opens(limits, longest));
	cr_expect(limit_token_opens(limits, "x"));
	cr_expect(limit_token_opens(limits, "xx"));
	cr_expect_not(limit_token_opens(limits, "x"));
	limit_token_closes(limits, "x");
	cr_expect(limit_token_opens(limits, "x"));
	cr_expect_not(limit_token_opens(limits, "xx"));
	limits_free(limits);
}

Test(limit_count, closing_what_is_not_open)
{
	struct limits *limits = counts_of(1, 1, 16);
	struct address peer = v4(1);

	limit_peer_closes(limits, &peer);
	limit_token_closes(limits, "ci");
	cr_expect(limit_peer_opens(limits, &peer));
	cr_expect_not(limit_peer_opens(limits, &peer));
	cr_expect(limit_token_opens(limits, "ci"));
	cr_expect_not(limit_token_opens(limits, "ci"));
	limits_free(limits);
}

Test(limit_count, a_full_table_lets_in_and_forgets_nobody)
{
	enum { ENTRIES = 8 };
	struct limits *limits = counts_of(1, 0, ENTRIES);
	struct address peer;

	for (unsigned i = 0; i < 10 * ENTRIES; i++) {
		peer = v4(i);
		cr_expect(limit_peer_opens(limits, &peer), "%u", i);
	}
	cr_expect_eq(limits_uncounted(limits), 9 * ENTRIES);
	for (unsigned i = 0; i < ENTRIES; i++) {
		peer = v4(i);
		cr_expect_not(limit_peer_opens(limits, &peer), "%u is counted still", i);
	}
	/* Those that were not counted close; then the others. */
	for (unsigned i = 10 * ENTRIES; i-- > 0;) {
		peer = v4(i);
		limit_peer_closes(limits, &peer);
	}
	for (unsigned i = 0; i < ENTRIES; i++) {
		peer = v4(1000 + i);
		cr_expect(limit_peer_opens(limits, &peer));
		cr_expect_not(limit_peer_opens(limits, &peer));
	}
	cr_expect_eq(limits_uncounted(limits), 9 * ENTRIES);
	limits_free(limits);
}

/* Opened and closed at random: refused exactly when as many are open as may be. */
Test(limit_count, counts_are_exact)
{
	enum { PEERS = 32, PEER_MAX = 3, STEPS = 200000 };
	struct limits *limits = counts_of(PEER_MAX, 0, PEERS);
	unsigned open[PEERS] = {0};

	srand(3);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)rand() % PEERS;
		struct address peer = v4(i);

		if (rand() % 2) {
			bool allowed = limit_peer_opens(limits, &peer);

			cr_assert_eq(allowed, open[i] < PEER_MAX, "step %u", step);
			open[i] += allowed ? 1 : 0;
		} else if (open[i]) {
			limit_peer_closes(limits, &peer);
			open[i]--;
		}
	}
	cr_expect_eq(limits_uncounted(limits), 0);
	limits_free(limits);
}

/* With too few entries: never more strict than the truth, and exact again when all have closed. */
Test(limit_count, a_full_table_never_refuses_too_much)
{
	enum { PEERS = 32, ENTRIES = 8, PEER_MAX = 3, STEPS = 200000 };
	struct limits *limits = counts_of(PEER_MAX, 0, ENTRIES);
	unsigned open[PEERS] = {0};

	srand(4);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)rand() % PEERS;
		struct address peer = v4(i);

		if (rand() % 2) {
			bool allowed = limit_peer_opens(limits, &peer);

			cr_assert(allowed || open[i] >= PEER_MAX, "step %u", step);
			open[i] += allowed ? 1 : 0;
		} else if (open[i]) {
			limit_peer_closes(limits, &peer);
			open[i]--;
		}
	}
	for (unsigned i = 0; i < PEERS; i++) {
		struct address peer = v4(i);

		while (open[i]--)
			limit_peer_closes(limits, &peer);
	}
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct address peer = v4(i);

		for (unsigned n = 0; n < PEER_MAX; n++)
			cr_expect(limit_peer_opens(limits, &peer));
		cr_expect_not(limit_peer_opens(limits, &peer));
	}
	limits_free(limits);
}

#define THREADS	     4
#define THREAD_STEPS 20000

struct crowd {
	struct limits *limits;
	atomic_uint open, open_max, next;
	atomic_uint refused, wrong;
};

#define CROWD_MAX 3u

static void *open_and_close(void *argument)
{
	struct crowd *crowd = argument;
	struct address peer = v4(1);

	for (unsigned step = 0; step < THREAD_STEPS; step++) {
		unsigned now, most;

		if (!limit_peer_opens(crowd->limits, &peer)) {
			atomic_fetch_add(&crowd->refused, 1);
			continue;
		}
		now = atomic_fetch_add(&crowd->open, 1) + 1;
		most = atomic_load(&crowd->open_max);
		while (most < now && !atomic_compare_exchange_weak(&crowd->open_max, &most, now))
			;
		/* No more threads than exchanges allowed. */
		if (limit_token_opens(crowd->limits, "ci"))
			limit_token_closes(crowd->limits, "ci");
		else
			atomic_fetch_add(&crowd->wrong, 1);
		atomic_fetch_sub(&crowd->open, 1);
		limit_peer_closes(crowd->limits, &peer);
	}
	return NULL;
}

static void run_threads(void *(*body)(void *), void *argument)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, body, argument), 0);
	for (unsigned i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
}

Test(limit_count, threads_together_open_no_more_than_allowed)
{
	struct limits *limits = counts_of(CROWD_MAX, THREADS, 4);
	struct crowd crowd = {.limits = limits};
	struct address peer = v4(1);

	run_threads(open_and_close, &crowd);
	cr_expect_leq(atomic_load(&crowd.open_max), CROWD_MAX);
	cr_expect_eq(atomic_load(&crowd.wrong), 0);
	for (unsigned i = 0; i < CROWD_MAX; i++)
		cr_expect(limit_peer_opens(limits, &peer), "all have closed: %u", i);
	cr_expect_not(limit_peer_opens(limits, &peer));
	limits_free(limits);
}

/* Each thread its own share of the addresses, few entries, and a clock that goes on. */
static void *fail_and_ask(void *argument)
{
	struct crowd *crowd = argument;
	unsigned own = atomic_fetch_add(&crowd->next, 1);

	for (unsigned step = 0; step < THREAD_STEPS; step++) {
		struct address peer = step % 2 ? v4(step % 97) : v6(own, step % 97, step);
		uint64_t now_ms = NOW + step / 10;

		if (limit_wait_s(crowd->limits, &peer, now_ms))
			atomic_fetch_add(&crowd->refused, 1);
		else
			limit_failed(crowd->limits, &peer, now_ms);
	}
	return NULL;
}

Test(limit_count, threads_fail_and_ask_together)
{
	struct limits *limits = limits_of(
	    (struct limit_rules){.failures_max = MAX, .failures_window_ms = 100, .entries_max = 32});
	struct crowd crowd = {.limits = limits};

	run_threads(fail_and_ask, &crowd);
	cr_expect_gt(atomic_load(&crowd.refused), 0);
	/* None is blocked for good, and it counts as before. */
	for (unsigned i = 0; i < 97; i++)
		cr_expect_eq(wait_s(limits, v4(i), NOW + WINDOW_MS), 0);
	fail_times(limits, v4(1), MAX, NOW + WINDOW_MS);
	cr_expect_eq(wait_s(limits, v4(1), NOW + WINDOW_MS), 1);
	limits_free(limits);
}

static void *fail_once_each(void *argument)
{
	struct crowd *crowd = argument;

	for (unsigned step = 0; step < THREAD_STEPS; step++) {
		struct address peer = v4(step);

		limit_failed(crowd->limits, &peer, NOW);
	}
	return NULL;
}

/* As many threads as failures are allowed: not one may be lost. */
Test(limit_count, no_failure_is_lost_between_threads)
{
	struct limits *limits = limits_of((struct limit_rules){
	    .failures_max = THREADS, .failures_window_ms = WINDOW_MS, .entries_max = THREAD_STEPS});
	struct crowd crowd = {.limits = limits};

	run_threads(fail_once_each, &crowd);
	for (unsigned i = 0; i < THREAD_STEPS; i++)
		cr_assert_eq(wait_s(limits, v4(i), NOW), 60, "%u", i);
	limits_free(limits);
}
