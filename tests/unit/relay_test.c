/* SPDX-License-Identifier: MIT */
/* relay_test.c: bodies of known length, in order, within a budget; what is in hand at start and end. */
#include "relay_support.h"

#include <sys/resource.h>

/* ---- a body of known length ---- */

RELAY_TEST(length_takes_exactly_its_bytes)
{
	static const size_t lengths[] = {0, 1, 100, 65535, 65536, 65537, BUF_BYTES, 300001, 3 * MIB + 7};
	const size_t surplus = 4321;
	static char rest[4321];

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		rig->written = rig->received = 0;
		start(rig, HTTP_FRAMING_LENGTH, lengths[i]);
		cr_assert_eq(pump(rig, lengths[i] + surplus), RELAY_DONE, "%zu", lengths[i]);
		expect_received(rig, lengths[i]);
		cr_assert(net_is_silent(rig->reader));
		cr_assert_eq(rig->relay.moved_bytes, lengths[i]);
		cr_assert(body_is_done(&rig->relay.body));
		cr_assert_not(relay_has_surplus(&rig->relay));
		cr_assert_eq(rig->bufs.taken_count, 0);
		cr_assert_null(rig->relay.pipe);
		write_upto(rig, lengths[i] + surplus);
		cr_assert_eq(net_recv(rig->from.fd, rest, surplus, NET_PATIENCE_MS), surplus);
		cr_assert(net_is(rest, lengths[i], surplus));
		cr_assert(net_is_silent(rig->from.fd));
	}
}

RELAY_TEST(length_cut_short_is_no_whole)
{
	static const size_t lengths[] = {1000, 3 * MIB};
	size_t i = rig->kind & KIND_SPLICE ? 1 : 0;

	start(rig, HTTP_FRAMING_LENGTH, lengths[i]);
	write_upto(rig, 999);
	shutdown(rig->writer, SHUT_WR);
	cr_assert_eq(pump(rig, 999), RELAY_ENDED);
	expect_received(rig, 999);
	cr_assert_not(body_is_done(&rig->relay.body));
	cr_assert_eq(step_on(rig), RELAY_ENDED, "and it stays so");
}

RELAY_TEST(long_bodies_go_by_the_mover_that_is_there)
{
	start(rig, HTTP_FRAMING_LENGTH, 2 * MIB);
	cr_assert_eq(pump(rig, 2 * MIB), RELAY_DONE);
	cr_assert_eq(rig->relay.mover, rig->kind & KIND_SPLICE ? RELAY_SPLICE : RELAY_COPY);
	cr_assert_str_eq(relay_mover_name(rig->relay.mover), rig->kind & KIND_SPLICE ? "splice" : "copy");
	cr_assert_eq(rig->pipes.free_count, rig->kind & KIND_SPLICE ? 1 : 0);
}

/* What has come so far leaves at once, though the rest lets wait for itself. A cork holds it 200 ms. */
RELAY_TEST(nothing_is_held_back)
{
	long long fastest_ms = NET_PATIENCE_MS;

	start(rig, HTTP_FRAMING_LENGTH, 8 * MIB);
	for (size_t part = 1; part <= 10; part++) {
		long long before = net_now_ms();

		write_upto(rig, part * 1001);
		step_until_moved(rig, part * 1001);
		expect_received(rig, part * 1001);
		if (net_now_ms() - before < fastest_ms)
			fastest_ms = net_now_ms() - before;
		cr_assert_eq(rig->bufs.taken_count, 0, "idle");
		cr_assert_null(rig->relay.pipe, "idle");
	}
	cr_assert_lt(fastest_ms, 150, "%lld ms", fastest_ms);
}

/* ---- order ---- */

RELAY_TEST(head_then_feed_then_reads)
{
	static const size_t heads[] = {0, 1, 300, 66000}, feeds[] = {0, 1, 5000, 65536};
	static char fed[65536];
	const size_t later = MIB;

	for (size_t row = 0; row < 16; row++) {
		size_t head = heads[row / 4], feed = feeds[row % 4];

		rig->written = rig->received = 0;
		relay_start(&rig->relay, &rig->pools, head ? head_of(rig, head) : NULL, HTTP_FRAMING_LENGTH,
			    feed + later);
		net_fill(fed, rig->written, feed);
		rig->written += feed;
		cr_assert_eq(relay_feed(&rig->relay, &rig->pools, fed, feed), (ssize_t)feed);
		cr_assert_eq(pump(rig, head + feed + later), RELAY_DONE);
		expect_received(rig, head + feed + later);
		cr_assert_eq(rig->relay.moved_bytes, feed + later, "the head is not part of the body");
		cr_assert(net_is_silent(rig->from.fd));
	}
}

RELAY_TEST(a_head_alone_leaves)
{
	relay_start(&rig->relay, &rig->pools, head_of(rig, 500), HTTP_FRAMING_NONE, 0);
	net_send(rig->writer, "next", 4);
	cr_assert_eq(step_on(rig), RELAY_DONE);
	expect_received(rig, 500);
	cr_assert_eq(rig->bufs.taken_count, 0);
	cr_assert_eq(net_recv(rig->from.fd, scratch, 4, NET_PATIENCE_MS), 4, "nothing of the next was read");
}

RELAY_TEST(a_feed_beyond_the_body_stays)
{
	cr_assert_eq(relay_feed(&rig->relay, &rig->pools, "", 0), 0);
	start(rig, HTTP_FRAMING_LENGTH, 5);
	cr_assert_eq(relay_feed(&rig->relay, &rig->pools, "helloGET /", 10), 5);
	cr_assert(relay_has_surplus(&rig->relay));
	cr_assert_eq(step_on(rig), RELAY_DONE);
	expect_text(rig, "hello", 5);
	cr_assert(relay_has_surplus(&rig->relay));

	start(rig, HTTP_FRAMING_NONE, 0);
	cr_assert_not(relay_has_surplus(&rig->relay), "a new start forgets it");
	cr_assert_eq(relay_feed(&rig->relay, &rig->pools, "GET /", 5), 0);
	cr_assert(relay_has_surplus(&rig->relay));
	cr_assert_eq(step_on(rig), RELAY_DONE);
	cr_assert(net_is_silent(rig->reader));
}

/* ---- in hand ---- */

/* The connection dies while bytes are in hand: none of them may meet another connection. */
RELAY_TEST(fini_in_the_middle)
{
	start(rig, HTTP_FRAMING_CLOSE, 0);
	block(rig);
	cr_assert(rig->relay.pipe ? rig->relay.pipe->used_bytes > 0 : rig->bufs.taken_count == 1);
	relay_fini(&rig->relay, &rig->pools);
	cr_assert_eq(rig->bufs.taken_count, 0);
	cr_assert_null(rig->relay.buf);
	cr_assert_null(rig->relay.pipe);
	cr_assert_eq(rig->pipes.free_count, 0, "a pipe with bytes in it");
	relay_fini(&rig->relay, &rig->pools);
}

RELAY_TEST(fini_before_anything)
{
	relay_fini(&rig->relay, &rig->pools);
	relay_fini(&rig->relay, &rig->pools);
	start(rig, HTTP_FRAMING_LENGTH, 10);
	relay_fini(&rig->relay, &rig->pools);
}

RELAY_TEST(a_start_gives_back_what_was_in_hand)
{
	relay_start(&rig->relay, &rig->pools, head_of(rig, 10), HTTP_FRAMING_NONE, 0);
	relay_start(&rig->relay, &rig->pools, head_of(rig, 10), HTTP_FRAMING_NONE, 0);
	cr_assert_eq(rig->bufs.taken_count, 1);
}

/* ---- budget ---- */

RELAY_TEST(a_budget_lets_the_others_in)
{
	const size_t total = 3 * MIB;
	long long until = net_now_ms() + 40000;
	unsigned again = 0;
	enum relay_result result;

	start(rig, HTTP_FRAMING_LENGTH, total);
	do {
		write_upto(rig, total);
		result = step(rig, 5000);
		again += result == RELAY_AGAIN;
		read_some(rig);
		cr_assert_lt(net_now_ms(), until, "stuck at %zu", rig->received);
	} while (result == RELAY_AGAIN || result == RELAY_WAIT_IN || result == RELAY_WAIT_OUT);
	cr_assert_eq(result, RELAY_DONE);
	expect_received(rig, total);
	cr_assert_geq(again, 1);
}

RELAY_TEST(no_step_reads_more_than_its_budget)
{
	const size_t budget = 100000;

	start(rig, HTTP_FRAMING_CLOSE, 0);
	write_upto(rig, 4 * MIB);
	for (int i = 0; i < 60; i++) {
		uint64_t before = rig->relay.moved_bytes;
		enum relay_result result = step(rig, budget);

		cr_assert_leq(rig->relay.moved_bytes - before, budget, "%d", result);
		read_some(rig);
		write_upto(rig, 4 * MIB);
	}
	cr_assert_gt(rig->received, budget);
}

RELAY_TEST(no_budget_reads_nothing_but_still_drains)
{
	relay_start(&rig->relay, &rig->pools, head_of(rig, 100), HTTP_FRAMING_CLOSE, 0);
	net_send(rig->writer, "x", 1);
	cr_assert_eq(step(rig, 0), RELAY_AGAIN);
	expect_received(rig, 100);
	cr_assert_eq(rig->relay.moved_bytes, 0);
}

/* ---- without pipes ---- */

Test(relay, copies_when_no_pipe_can_be_had, .timeout = 300)
{
	struct rig rig;
	struct rlimit before, few;

	rig_open(&rig, KIND_SPLICE);
	int lowest = dup(rig.writer);
	close(lowest);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){(rlim_t)lowest, before.rlim_max};
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	start(&rig, HTTP_FRAMING_LENGTH, MIB);
	enum relay_result result = pump(&rig, MIB);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	cr_assert_eq(result, RELAY_DONE);
	expect_received(&rig, MIB);
	cr_assert_eq(rig.relay.mover, RELAY_COPY);
	rig_close(&rig);
}
