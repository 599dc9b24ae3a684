/* SPDX-License-Identifier: MIT */
/* Failures: who has to wait, for how long, and who is forgotten when the table is full. */
#include <limits.h>

#include "limit_support.h"

TestSuite(limit, .timeout = 300);

#define MAX	  5u
#define WINDOW_MS 60000u

static struct limits *failures_of(size_t entries_max)
{
	return limits_of((struct limit_rules){
	    .failures_max = MAX, .failures_window_ms = WINDOW_MS, .entries_max = entries_max});
}

Test(limit, waits_after_the_last_allowed_failure_and_not_before)
{
	struct limits *limits = failures_of(16);

	cr_expect_eq(wait_s(limits, v4(1), NOW), 0, "nothing has failed");
	for (unsigned i = 1; i < MAX; i++) {
		fail_times(limits, v4(1), 1, NOW + i);
		cr_expect_eq(wait_s(limits, v4(1), NOW + i), 0, "after %u", i);
	}
	fail_times(limits, v4(1), 1, NOW + MAX);
	cr_expect_eq(wait_s(limits, v4(1), NOW + MAX), 60);
	cr_expect_eq(wait_s(limits, v4(2), NOW + MAX), 0, "its neighbour");
	limits_free(limits);
}

Test(limit, the_wait_begins_with_the_last_failure)
{
	struct limits *limits = failures_of(16);

	fail_times(limits, v4(1), MAX - 1, NOW);
	fail_times(limits, v4(1), 1, NOW + WINDOW_MS - 1);
	cr_expect_eq(wait_s(limits, v4(1), NOW + WINDOW_MS - 1), 60);
	limits_free(limits);
}

Test(limit, seconds_are_rounded_up_and_never_0_too_early)
{
	struct limits *limits = failures_of(16);
	uint64_t end = NOW + WINDOW_MS;

	fail_times(limits, v4(1), MAX, NOW);
	cr_expect_eq(wait_s(limits, v4(1), NOW), 60);
	cr_expect_eq(wait_s(limits, v4(1), NOW + 1), 60);
	cr_expect_eq(wait_s(limits, v4(1), NOW + 999), 60);
	cr_expect_eq(wait_s(limits, v4(1), NOW + 1000), 59);
	cr_expect_eq(wait_s(limits, v4(1), end - 1001), 2);
	cr_expect_eq(wait_s(limits, v4(1), end - 1000), 1);
	cr_expect_eq(wait_s(limits, v4(1), end - 1), 1);
	cr_expect_eq(wait_s(limits, v4(1), end), 0);
	limits_free(limits);
}

Test(limit, a_window_below_a_second)
{
	struct limits *limits =
	    limits_of((struct limit_rules){.failures_max = 1, .failures_window_ms = 10, .entries_max = 16});

	fail_times(limits, v4(1), 1, NOW);
	cr_expect_eq(wait_s(limits, v4(1), NOW + 9), 1);
	cr_expect_eq(wait_s(limits, v4(1), NOW + 10), 0);
	limits_free(limits);
}

Test(limit, after_the_wait_it_starts_from_0)
{
	struct limits *limits = failures_of(16);
	uint64_t later = NOW + WINDOW_MS;

	fail_times(limits, v4(1), MAX, NOW);
	fail_times(limits, v4(1), MAX - 1, later);
	cr_expect_eq(wait_s(limits, v4(1), later), 0);
	fail_times(limits, v4(1), 1, later);
	cr_expect_eq(wait_s(limits, v4(1), later), 60);
	limits_free(limits);
}

Test(limit, failures_of_an_earlier_window_do_not_count)
{
	struct limits *limits = failures_of(16);

	fail_times(limits, v4(1), MAX - 1, NOW);
	fail_times(limits, v4(1), MAX - 1, NOW + WINDOW_MS);
	cr_expect_eq(wait_s(limits, v4(1), NOW + WINDOW_MS), 0);
	limits_free(limits);
}

/* Requests that were on their way when the limit was reached. */
Test(limit, a_failure_while_waiting_does_not_make_it_longer)
{
	struct limits *limits = failures_of(16);

	fail_times(limits, v4(1), MAX, NOW);
	fail_times(limits, v4(1), 100, NOW + WINDOW_MS - 1);
	cr_expect_eq(wait_s(limits, v4(1), NOW + WINDOW_MS - 1), 1);
	cr_expect_eq(wait_s(limits, v4(1), NOW + WINDOW_MS), 0);
	limits_free(limits);
}

Test(limit, addresses_of_one_64_are_one)
{
	struct limits *limits = failures_of(16);

	for (unsigned i = 0; i < MAX; i++)
		fail_times(limits, v6(1, 1, i), 1, NOW);
	cr_expect_eq(wait_s(limits, v6(1, 1, 0xffff), NOW), 60);
	cr_expect_eq(wait_s(limits, v6(1, 2, 0), NOW), 0);
	limits_free(limits);
}

Test(limit, the_64s_of_one_48_have_a_limit_together)
{
	struct limits *limits = failures_of(1024);

	/* One failure each: no /64 has to wait for its own. */
	for (unsigned net = 1; net < MAX * LIMIT_WIDE_FACTOR; net++)
		fail_times(limits, v6(1, net, 0), 1, NOW);
	cr_expect_eq(wait_s(limits, v6(1, 0, 0), NOW), 0);
	fail_times(limits, v6(1, 0xffff, 0), 1, NOW);
	cr_expect_eq(wait_s(limits, v6(1, 0, 0), NOW), 60);
	cr_expect_eq(wait_s(limits, v6(2, 0, 0), NOW), 0, "another site");
	cr_expect_eq(wait_s(limits, v4(1), NOW), 0);
	cr_expect_eq(wait_s(limits, v6(1, 0xffff, 0), NOW + WINDOW_MS - 1), 1);
	cr_expect_eq(wait_s(limits, v6(1, 0xffff, 0), NOW + WINDOW_MS), 0);
	limits_free(limits);
}

Test(limit, ipv4_addresses_have_no_limit_together)
{
	struct limits *limits = failures_of(4096);

	for (unsigned i = 0; i < 1000; i++)
		fail_times(limits, v4(i), MAX - 1, NOW);
	for (unsigned i = 0; i < 1000; i++)
		cr_expect_eq(wait_s(limits, v4(i), NOW), 0);
	limits_free(limits);
}

Test(limit, is_off)
{
	struct limits *limits = limits_of((struct limit_rules){.failures_window_ms = 1, .entries_max = 4});
	struct address peer = v4(1);

	for (unsigned i = 0; i < 1000; i++) {
		limit_failed(limits, &peer, NOW);
		cr_expect(limit_peer_opens(limits, &peer));
		cr_expect(limit_token_opens(limits, "ci"));
	}
	cr_expect_eq(wait_s(limits, peer, NOW), 0);
	cr_expect_eq(limits_uncounted(limits), 0);
	limit_peer_closes(limits, &peer);
	limit_token_closes(limits, "ci");
	limits_free(limits);
	limits_free(NULL);
}

Test(limit, a_unix_socket_has_no_address)
{
	struct limits *limits = limits_of((struct limit_rules){
	    .failures_max = 1, .failures_window_ms = WINDOW_MS, .peer_connections_max = 1, .entries_max = 4});

	for (unsigned i = 0; i < 10; i++) {
		limit_failed(limits, NULL, NOW);
		cr_expect_eq(limit_wait_s(limits, NULL, NOW), 0);
		cr_expect(limit_peer_opens(limits, NULL));
	}
	limit_peer_closes(limits, NULL);
	limits_free(limits);
}

/* The workers' coarse clocks differ by a tick or two. */
Test(limit, a_clock_that_is_behind)
{
	struct limits *limits = failures_of(16);

	fail_times(limits, v4(1), MAX, NOW);
	cr_expect_eq(wait_s(limits, v4(1), NOW - 8), 60);
	fail_times(limits, v4(2), 1, NOW);
	fail_times(limits, v4(2), MAX - 1, NOW - 8);
	cr_expect_eq(wait_s(limits, v4(2), NOW), 60);
	limits_free(limits);
}

Test(limit, the_ends_of_the_clock)
{
	struct limits *limits = limits_of(
	    (struct limit_rules){.failures_max = 1, .failures_window_ms = UINT_MAX, .entries_max = 4});

	fail_times(limits, v4(1), 1, 0);
	cr_expect_eq(wait_s(limits, v4(1), 0), 4294968);
	cr_expect_eq(wait_s(limits, v4(1), UINT_MAX - (uint64_t)1), 1);
	cr_expect_eq(wait_s(limits, v4(1), UINT_MAX), 0);
	fail_times(limits, v4(2), 1, UINT64_MAX - 10);
	cr_expect_eq(wait_s(limits, v4(2), UINT64_MAX), 4294968);
	limits_free(limits);
}

/* Sixteen times that would be 16 again. */
Test(limit, a_number_of_failures_that_the_48_cannot_have_more_of)
{
	struct limits *limits = limits_of((struct limit_rules){
	    .failures_max = UINT_MAX / LIMIT_WIDE_FACTOR + 2, .failures_window_ms = 10, .entries_max = 4});

	fail_times(limits, v6(1, 1, 1), 1000, NOW);
	cr_expect_eq(wait_s(limits, v6(1, 1, 1), NOW), 0);
	limits_free(limits);
}

/* --- a full table */

Test(limit, one_that_waits_outlives_any_number_of_single_failures)
{
	enum { ENTRIES = 64 };
	struct limits *limits = failures_of(ENTRIES);

	fail_times(limits, v4(0), MAX, NOW);
	for (unsigned i = 1; i < 100 * ENTRIES; i++)
		fail_times(limits, v4(i), 1, NOW + i);
	cr_expect_gt(wait_s(limits, v4(0), NOW + 100 * ENTRIES), 0);
	limits_free(limits);
}

/* An address or a /64 is one entry: hammering from there pushes nobody out, itself least. */
Test(limit, one_peer_cannot_fill_the_table)
{
	struct limits *limits = failures_of(8);

	fail_times(limits, v4(1), MAX - 1, NOW);
	for (unsigned i = 0; i < 10000; i++)
		fail_times(limits, v6(1, 1, i), 1, NOW + 1);
	fail_times(limits, v4(1), 1, NOW + 2);
	cr_expect_eq(wait_s(limits, v4(1), NOW + 2), 60);
	limits_free(limits);
}

/* Whoever has a /48 goes round its 65,536 networks, so that each is forgotten before it comes back. */
Test(limit, going_round_a_48_gives_no_more_tries_than_its_limit)
{
	enum { ENTRIES = 64, NETS = 65536 };
	struct limits *limits = failures_of(ENTRIES);
	unsigned tries = 0;

	for (unsigned i = 0; i < 2 * NETS; i++) {
		struct address peer = v6(1, i % NETS, 0);

		if (limit_wait_s(limits, &peer, NOW) == 0) {
			tries++;
			limit_failed(limits, &peer, NOW);
		}
	}
	cr_expect_eq(tries, MAX * LIMIT_WIDE_FACTOR);
	limits_free(limits);
}

Test(limit, who_has_been_silent_longest_is_forgotten_first)
{
	enum { ENTRIES = 8 };
	struct limits *limits = failures_of(ENTRIES);

	for (unsigned i = 0; i < ENTRIES; i++)
		fail_times(limits, v4(i), MAX - 2, NOW + i);
	/* The first speaks again, so that the second is next. */
	fail_times(limits, v4(0), 1, NOW + ENTRIES);
	fail_times(limits, v4(100), 1, NOW + ENTRIES);

	fail_times(limits, v4(0), 1, NOW + ENTRIES);
	cr_expect_eq(wait_s(limits, v4(0), NOW + ENTRIES), 60, "remembered");
	fail_times(limits, v4(2), 2, NOW + ENTRIES);
	cr_expect_eq(wait_s(limits, v4(2), NOW + ENTRIES), 60, "remembered");
	fail_times(limits, v4(1), 2, NOW + ENTRIES);
	cr_expect_eq(wait_s(limits, v4(1), NOW + ENTRIES), 0, "forgotten");
	limits_free(limits);
}

Test(limit, of_those_that_wait_the_one_whose_end_is_nearest_goes)
{
	enum { ENTRIES = 8 };
	struct limits *limits = failures_of(ENTRIES);

	for (unsigned i = 0; i < ENTRIES; i++)
		fail_times(limits, v4(i), MAX, NOW + i);
	fail_times(limits, v4(100), 1, NOW + ENTRIES);
	cr_expect_eq(wait_s(limits, v4(0), NOW + ENTRIES), 0);
	for (unsigned i = 1; i < ENTRIES; i++)
		cr_expect_eq(wait_s(limits, v4(i), NOW + ENTRIES), 60, "%u", i);
	limits_free(limits);
}

/* Ended ones are in the way of nobody, though nobody asked for them since. */
Test(limit, ended_ones_make_room)
{
	enum { ENTRIES = 8 };
	struct limits *limits = failures_of(ENTRIES);
	uint64_t later = NOW + WINDOW_MS;

	for (unsigned i = 0; i < ENTRIES - 1; i++)
		fail_times(limits, v4(i), MAX, NOW);
	fail_times(limits, v4(50), MAX - 1, later);
	fail_times(limits, v4(100), 1, later);
	fail_times(limits, v4(50), 1, later);
	cr_expect_eq(wait_s(limits, v4(50), later), 60);
	limits_free(limits);
}

Test(limit, a_table_of_nothing_remembers_nothing)
{
	struct limits *limits = limits_of((struct limit_rules){
	    .failures_max = 1, .failures_window_ms = WINDOW_MS, .peer_connections_max = 1});
	struct address peer = v4(1);

	fail_times(limits, peer, 3, NOW);
	cr_expect_eq(wait_s(limits, peer, NOW), 0);
	cr_expect(limit_peer_opens(limits, &peer));
	cr_expect(limit_peer_opens(limits, &peer));
	cr_expect_eq(limits_uncounted(limits), 2);
	limits_free(limits);
}
