/* SPDX-License-Identifier: MIT */
/*
 * Readiness: what is reported, and when. Removing and numbers: event_many_test.c; accepting and waking:
 * event_accept_test.c.
 */
#include "event_support.h"

TestSuite(event, .timeout = 300);

EVENT_TEST(event, in_is_reported_when_bytes_come)
{
	struct probe probe;
	int fds[2];

	net_unix_pair(fds);
	probe_add(loop, &probe, fds[0], EVENT_IN);
	cr_expect_eq(calls_in_wait(loop, &probe, 0), 0);
	cr_expect_eq(write(fds[1], "x", 1), 1);
	cr_expect(wait_for(loop, &probe.calls, 1));
	cr_expect_eq(probe.last, EVENT_IN);
}

EVENT_TEST(event, in_ready_before_it_was_wanted)
{
	struct probe probe;
	int fds[2];

	net_unix_pair(fds);
	cr_expect_eq(write(fds[1], "x", 1), 1);
	probe_add(loop, &probe, fds[0], EVENT_IN);
	cr_expect_eq(calls_in_wait(loop, &probe, 0), 1, "one look is enough");
}

EVENT_TEST(event, out_follows_the_room)
{
	struct probe probe;
	int fds[2];

	net_unix_pair(fds);
	probe_add(loop, &probe, fds[0], EVENT_OUT);
	cr_expect_eq(calls_in_wait(loop, &probe, 1000), 1);
	cr_expect_eq(probe.last, EVENT_OUT);
	fill(fds[0]);
	cr_expect_eq(calls_in_wait(loop, &probe, 0), 0);
	drain(fds[1]);
	cr_expect_eq(calls_in_wait(loop, &probe, 1000), 1);
}

EVENT_TEST(event, level_triggered)
{
	struct probe probe;
	int fds[2];

	net_unix_pair(fds);
	cr_expect_eq(write(fds[1], "x", 1), 1);
	probe_add(loop, &probe, fds[0], EVENT_IN | EVENT_OUT);
	for (int i = 0; i < 5; i++) {
		cr_expect_eq(calls_in_wait(loop, &probe, 1000), 1, "both in one call, wait %d", i);
		cr_expect_eq(probe.last, EVENT_IN | EVENT_OUT);
	}
	drain(fds[0]);
	cr_expect_eq(calls_in_wait(loop, &probe, 1000), 1);
	cr_expect_eq(probe.last, EVENT_OUT);
}

EVENT_TEST(event, withdrawn_interest_is_silent)
{
	struct probe probe;
	int fds[2];

	net_unix_pair(fds);
	cr_expect_eq(write(fds[1], "x", 1), 1);
	probe_add(loop, &probe, fds[0], EVENT_IN | EVENT_OUT);
	cr_expect_eq(calls_in_wait(loop, &probe, 0), 1);
	event_want(loop, &probe.source, 0);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(write(fds[1], "x", 1), 1);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(probe.calls, 1);
	event_want(loop, &probe.source, EVENT_IN);
	cr_expect_eq(calls_in_wait(loop, &probe, 1000), 1);
	cr_expect_eq(probe.last, EVENT_IN);
	/* Withdrawn and wanted again between two waits, with bytes coming in between. */
	drain(fds[0]);
	event_want(loop, &probe.source, 0);
	cr_expect_eq(write(fds[1], "x", 1), 1);
	event_want(loop, &probe.source, EVENT_IN);
	cr_expect_eq(calls_in_wait(loop, &probe, 1000), 1);
}

static void unwant_other(struct probe *probe)
{
	event_want(probe->loop, &probe->other->source, 0);
	probe->other->action = NULL;
}

EVENT_TEST(event, withdrawn_by_the_handler_before_it)
{
	struct probe probes[2];
	int fds[2][2];

	for (int i = 0; i < 2; i++) {
		net_unix_pair(fds[i]);
		probe_add(loop, &probes[i], fds[i][0], EVENT_OUT);
		probes[i].action = unwant_other;
		probes[i].other = &probes[!i];
	}
	cr_assert_eq(event_wait(loop, 1000), 0);
	cr_expect_eq(probes[0].calls + probes[1].calls, 1);
}

EVENT_TEST(event, hangup_without_in)
{
	struct probe probe;
	int fds[2];

	net_tcp_pair(fds);
	probe_add(loop, &probe, fds[0], EVENT_HANGUP);
	cr_expect_eq(write(fds[1], "unread", 6), 6);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(probe.calls, 0);
	shutdown(fds[1], SHUT_WR);
	cr_expect(wait_for(loop, &probe.calls, 1));
	cr_expect_eq(probe.last, EVENT_HANGUP);
	cr_expect_eq(calls_in_wait(loop, &probe, 1000), 1, "level-triggered, too");
	event_want(loop, &probe.source, 0);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(probe.calls, 2);
}

EVENT_TEST(event, hangup_with_in)
{
	struct probe probe;
	int fds[2];

	net_tcp_pair(fds);
	probe_add(loop, &probe, fds[0], EVENT_HANGUP | EVENT_IN);
	cr_expect_eq(calls_in_wait(loop, &probe, 0), 0);
	shutdown(fds[1], SHUT_WR);
	cr_expect(wait_for(loop, &probe.calls, 1));
	cr_expect_eq(probe.last, EVENT_HANGUP | EVENT_IN);
	event_want(loop, &probe.source, EVENT_IN);
	cr_expect_eq(calls_in_wait(loop, &probe, 1000), 1);
	cr_expect_eq(probe.last, EVENT_IN, "the hang-up was not asked for");
	event_want(loop, &probe.source, EVENT_HANGUP);
	cr_expect(wait_for(loop, &probe.calls, 3));
	cr_expect_eq(probe.last, EVENT_HANGUP);
}

/* The peer reads on behind its own end, as slowly as it likes. */
static void out_behind_the_end(struct event_loop *loop, int fds[2])
{
	struct probe probe;

	fill_to_stay(fds[0]);
	probe_add(loop, &probe, fds[0], EVENT_OUT);
	cr_expect_eq(calls_in_wait(loop, &probe, 0), 0);
	shutdown(fds[1], SHUT_WR);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(probe.calls, 0);
	drain(fds[1]);
	cr_expect(wait_for(loop, &probe.calls, 1));
	cr_expect_eq(probe.last, EVENT_OUT);
	cr_expect_eq(calls_in_wait(loop, &probe, 1000), 1, "level-triggered, too");
	fill_to_stay(fds[0]);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(probe.calls, 2);
	event_want(loop, &probe.source, 0);
	drain(fds[1]);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(probe.calls, 2);
	event_want(loop, &probe.source, EVENT_IN | EVENT_OUT);
	cr_expect(wait_for(loop, &probe.calls, 3));
	cr_expect(probe.last & EVENT_OUT || wait_for(loop, &probe.calls, 4));
	event_want(loop, &probe.source, EVENT_OUT);
	cr_expect_eq(calls_in_wait(loop, &probe, 1000), 1);
	cr_expect_eq(probe.last, EVENT_OUT);
	fill_to_stay(fds[0]);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	close(fds[1]); /* with bytes that it has not read: a reset */
	unsigned before = probe.calls;
	cr_expect(wait_for(loop, &probe.calls, before + 1));
	cr_expect_eq(probe.last, EVENT_OUT | EVENT_FAILED);
	event_remove(loop, &probe.source);
	close(fds[0]);
}

EVENT_TEST(event, out_behind_the_peers_end)
{
	int fds[2];

	net_unix_pair(fds);
	out_behind_the_end(loop, fds);
	net_tcp_pair(fds);
	out_behind_the_end(loop, fds);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
}

EVENT_TEST(event, failed_comes_with_what_is_wanted)
{
	static const unsigned masks[] = {EVENT_IN, EVENT_OUT, EVENT_HANGUP, EVENT_IN | EVENT_OUT};

	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		struct probe probe;
		int fds[2];

		net_tcp_pair(fds);
		if (masks[i] & EVENT_OUT)
			fill_to_stay(fds[0]);
		probe_add(loop, &probe, fds[0], masks[i]);
		cr_expect_eq(calls_in_wait(loop, &probe, 0), 0);
		net_reset(fds[1]);
		cr_expect(wait_for(loop, &probe.calls, 1));
		cr_expect_eq(probe.last, masks[i] | EVENT_FAILED, "%x for %x", probe.last, masks[i]);
		event_remove(loop, &probe.source);
		close(fds[0]);
	}
}

EVENT_TEST(event, failed_without_interest_costs_nothing)
{
	struct probe never, once;
	int a[2], b[2];

	net_tcp_pair(a);
	net_tcp_pair(b);
	probe_add(loop, &never, a[0], 0);
	probe_add(loop, &once, b[0], EVENT_IN);
	cr_expect_eq(calls_in_wait(loop, &once, 0), 0);
	net_reset(a[1]);
	net_reset(b[1]);
	cr_expect(wait_for(loop, &once.calls, 1));
	event_want(loop, &once.source, 0);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_leq(early_returns(loop), 0, "all that was late has come");
	cr_expect_eq(once.calls, 1);
	cr_expect_eq(never.calls, 0);
	event_want(loop, &never.source, EVENT_HANGUP);
	cr_expect(wait_for(loop, &never.calls, 1));
	cr_expect(never.last & EVENT_FAILED);
}

EVENT_TEST(event, end_of_a_pipe_is_in)
{
	struct probe probe;
	int fds[2];

	cr_assert_eq(pipe2(fds, O_NONBLOCK), 0);
	probe_add(loop, &probe, fds[0], EVENT_IN);
	cr_expect_eq(calls_in_wait(loop, &probe, 0), 0);
	close(fds[1]);
	cr_expect(wait_for(loop, &probe.calls, 1));
	cr_expect_eq(probe.last, EVENT_IN | EVENT_FAILED);
}

EVENT_TEST(event, bad_descriptor_is_reported)
{
	struct probe probe;
	int fds[2];

	net_unix_pair(fds);
	probe_add(loop, &probe, fds[0], EVENT_IN);
	close(fds[0]);
	cr_expect(wait_for(loop, &probe.calls, 1));
	cr_expect_eq(probe.last, EVENT_IN | EVENT_FAILED);
	event_remove(loop, &probe.source);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(probe.calls, 1);
	probe.source.fd = -1;
	cr_expect_eq(event_add(loop, &probe.source), -EINVAL);
}
