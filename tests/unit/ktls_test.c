/* SPDX-License-Identifier: MIT */
/* ktls_test.c: the arithmetic of what kernel TLS holds. All else needs a kernel that has it: tests/guest. */
#include "ktls.h"

#include <criterion/criterion.h>

TestSuite(ktls, .timeout = 300);

/* Records of 22 bytes more than their content; TCP had 1000 bytes before them. */
static struct ktls_sent begun(void)
{
	return (struct ktls_sent){.base_record = 2, .base_bytes = 1000, .info_len = 40, .overhead_bytes = 22};
}

Test(ktls, nothing_is_held_before_the_first_record)
{
	struct ktls_sent sent = begun();

	cr_assert_not(ktls_sent_look(&sent, 2, 1000, 0, 1));
}

Test(ktls, a_record_is_held_until_tcp_has_its_last_byte)
{
	struct ktls_sent sent = begun();

	sent.taken_bytes = 100 + 2;
	cr_assert(ktls_sent_look(&sent, 4, 1000, 500, 1));
	cr_assert(ktls_sent_look(&sent, 4, 1000 + 100 + 2 + 2 * 22 - 1, 500, 1));
	cr_assert_not(ktls_sent_look(&sent, 4, 1000 + 100 + 2 + 2 * 22, 500, 1));
	/* Our FIN counts as a byte. */
	cr_assert_not(ktls_sent_look(&sent, 4, 1000 + 100 + 2 + 2 * 22 + 1, 500, 1));
}

/* What was taken is in no record yet. */
Test(ktls, an_open_record_is_held)
{
	struct ktls_sent sent = begun();

	sent.taken_bytes = 100;
	cr_assert(ktls_sent_look(&sent, 2, 1000, 0, 1));
}

/* An acknowledgement between the system calls makes the sum smaller than it is, even than the base. */
Test(ktls, a_sum_below_the_base_is_held)
{
	struct ktls_sent sent = begun();

	cr_assert(ktls_sent_look(&sent, 2, 900, 0, 1));
	cr_assert_not(ktls_sent_look(&sent, 2, 1000, 0, 1));
}

Test(ktls, it_is_given_up_after_a_time_without_progress_and_for_good)
{
	struct ktls_sent sent = begun();

	sent.taken_bytes = 100;
	for (uint64_t look = 0; look < 1000; look++) /* looks are no time */
		cr_assert(ktls_sent_look(&sent, 3, 1000, 0, 7000));
	cr_assert(ktls_sent_look(&sent, 3, 1050, 0, 7000 + KTLS_STILL_MS)); /* progress */
	cr_assert(ktls_sent_look(&sent, 3, 1050, 0, 7001 + KTLS_STILL_MS));
	cr_assert(ktls_sent_look(&sent, 3, 1050, 50, 7001 + 3 * KTLS_STILL_MS)); /* on its way */
	cr_assert(ktls_sent_look(&sent, 3, 1050, 0, 7002 + 3 * KTLS_STILL_MS));
	cr_assert(ktls_sent_look(&sent, 3, 1050, 0, 7001 + 4 * KTLS_STILL_MS));
	cr_assert_not(ktls_sent_look(&sent, 3, 1050, 0, 7002 + 4 * KTLS_STILL_MS));
	cr_assert_not(ktls_is_holding(&(struct ktls){.sent = sent}, -1));
}
