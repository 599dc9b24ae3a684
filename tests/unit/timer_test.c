/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "timer.h"

TestSuite(timer, .timeout = 300);

static const unsigned durations_ms[TIMER_CLASS_COUNT] = {
    [TIMER_HANDSHAKE] = 100, [TIMER_HEAD] = 300,   [TIMER_HURRY] = 150, [TIMER_BODY] = 300,
    [TIMER_REST] = 1000,     [TIMER_PROBE] = 2000, [TIMER_IDLE] = 6000, [TIMER_CONNECT] = 200,
    [TIMER_LINGER] = 50,     [TIMER_STARVED] = 60, [TIMER_BATCH] = 70,
};

Test(timer, none_runs)
{
	struct timers timers;

	timers_init(&timers, durations_ms);
	cr_expect_eq(timers_next_ms(&timers, 1000), -1);
	cr_expect_null(timers_expire(&timers, UINT64_MAX));
}

Test(timer, is_due_after_its_duration_and_not_before)
{
	struct timer timer = {0};
	struct timers timers;

	timers_init(&timers, durations_ms);
	cr_expect_not(timer_running(&timer));
	timer_start(&timers, &timer, TIMER_HEAD, 1000);
	cr_expect(timer_running(&timer));
	cr_expect_eq(timers_next_ms(&timers, 1000), 300);
	cr_expect_eq(timers_next_ms(&timers, 1299), 1);
	cr_expect_null(timers_expire(&timers, 1299));
	cr_expect_eq(timers_next_ms(&timers, 1300), 0);
	cr_expect_eq(timers_next_ms(&timers, 5000), 0, "overdue is due");
	cr_expect_eq(timers_expire(&timers, 1300), &timer);
	cr_expect_not(timer_running(&timer));
	cr_expect_null(timers_expire(&timers, 1300));
	cr_expect_eq(timers_next_ms(&timers, 1300), -1);
}

Test(timer, stop)
{
	struct timer a = {0}, b = {0};
	struct timers timers;

	timers_init(&timers, durations_ms);
	timer_stop(&timers, &a);
	timer_start(&timers, &a, TIMER_HEAD, 1000);
	timer_start(&timers, &b, TIMER_HEAD, 1010);
	timer_stop(&timers, &a);
	timer_stop(&timers, &a);
	cr_expect_not(timer_running(&a));
	cr_expect_eq(timers_next_ms(&timers, 1010), 300);
	cr_expect_eq(timers_expire(&timers, 2000), &b);
}

Test(timer, restart_moves_it_also_to_another_class)
{
	struct timer a = {0}, b = {0};
	struct timers timers;

	timers_init(&timers, durations_ms);
	timer_start(&timers, &a, TIMER_HEAD, 1000);
	timer_start(&timers, &b, TIMER_HEAD, 1100);
	timer_start(&timers, &a, TIMER_HEAD, 1200);
	cr_expect_eq(timers_next_ms(&timers, 1200), 200, "b is first now");
	timer_start(&timers, &b, TIMER_IDLE, 1200);
	cr_expect_eq(timers_next_ms(&timers, 1200), 300);
	cr_expect_eq(timers_expire(&timers, 1500), &a);
	cr_expect_null(timers_expire(&timers, 7199));
	cr_expect_eq(timers_expire(&timers, 7200), &b);
}

Test(timer, the_first_of_all_classes)
{
	struct timer timer[TIMER_CLASS_COUNT] = {0};
	struct timers timers;
	uint64_t last_ms = 0;

	timers_init(&timers, durations_ms);
	for (unsigned i = 0; i < TIMER_CLASS_COUNT; i++)
		timer_start(&timers, &timer[i], (enum timer_class)i, 1000);
	cr_expect_eq(timers_next_ms(&timers, 1000), 50);
	for (unsigned i = 0; i < TIMER_CLASS_COUNT; i++) {
		struct timer *due = timers_expire(&timers, 10000);
		uint64_t due_ms;

		cr_assert_not_null(due);
		due_ms = 1000 + durations_ms[due->class];
		cr_expect_leq(last_ms, due_ms, "in the order of expiry");
		last_ms = due_ms;
	}
	cr_expect_null(timers_expire(&timers, 10000));
}

Test(timer, a_clock_that_goes_back_keeps_the_order)
{
	struct timer a = {0}, b = {0}, c = {0};
	struct timers timers;

	timers_init(&timers, durations_ms);
	timer_start(&timers, &a, TIMER_HEAD, 1000);
	timer_start(&timers, &b, TIMER_HEAD, 1020);
	timer_start(&timers, &c, TIMER_HEAD, 1010);
	cr_expect_eq(timers_expire(&timers, 2000), &a);
	cr_expect_eq(timers_expire(&timers, 2000), &c);
	cr_expect_eq(timers_expire(&timers, 2000), &b);
}

Test(timer, far_away_is_clamped)
{
	unsigned far_ms[TIMER_CLASS_COUNT] = {[TIMER_IDLE] = UINT_MAX};
	struct timer timer = {0};
	struct timers timers;

	timers_init(&timers, far_ms);
	timer_start(&timers, &timer, TIMER_IDLE, 1000);
	cr_expect_eq(timers_next_ms(&timers, 1000), INT_MAX);
	timer_start(&timers, &timer, TIMER_HEAD, 0);
	cr_expect(timer_running(&timer), "due at 0 runs all the same");
	cr_expect_eq(timers_expire(&timers, 1), &timer);
}

/* Against a plain array that is searched. */
Test(timer, agrees_with_a_model)
{
	enum { COUNT = 50, STEPS = 100000 };
	struct timer timer[COUNT] = {0};
	uint64_t due_ms[COUNT] = {0}, now_ms = 5;
	unsigned seed = 7, expired = 0;
	struct timers timers;

	timers_init(&timers, durations_ms);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)rand_r(&seed) % COUNT;
		enum timer_class class = (enum timer_class)((unsigned)rand_r(&seed) % TIMER_CLASS_COUNT);
		uint64_t first = UINT64_MAX;
		struct timer *due;

		if (rand_r(&seed) % 3) {
			timer_start(&timers, &timer[i], class, now_ms);
			due_ms[i] = now_ms + durations_ms[class];
		} else {
			timer_stop(&timers, &timer[i]);
			due_ms[i] = 0;
		}
		now_ms += (unsigned)rand_r(&seed) % 20;
		for (unsigned k = 0; k < COUNT; k++) {
			if (due_ms[k] && due_ms[k] < first)
				first = due_ms[k];
		}
		cr_assert_eq(timers_next_ms(&timers, now_ms), first == UINT64_MAX ? -1
							      : first <= now_ms	  ? 0
										  : (int)(first - now_ms));
		while ((due = timers_expire(&timers, now_ms)) != NULL) {
			cr_assert(due_ms[due - timer] && due_ms[due - timer] <= now_ms);
			due_ms[due - timer] = 0;
			expired++;
		}
		for (unsigned k = 0; k < COUNT; k++)
			cr_assert(due_ms[k] == 0 || due_ms[k] > now_ms);
	}
	cr_expect_gt(expired, 1000);
}

Test(timer, the_clock_goes_on)
{
	uint64_t start_ms = timer_now_ms(), turns = 0;

	cr_assert_gt(start_ms, 0);
	while (timer_now_ms() < start_ms + 20 && turns < UINT32_MAX)
		turns++;
	cr_expect_geq(timer_now_ms(), start_ms + 20);
}
