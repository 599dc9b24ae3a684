/* SPDX-License-Identifier: MIT */
/* relay_end_test.c: readers that are slow, peers that end, reset or go away. */
#include "relay_support.h"

/* ---- slow and odd readers ---- */

RELAY_TEST(a_full_socket_and_then_on)
{
	const size_t total = 6 * MIB + 11;

	net_small_buffers(rig->to.fd);
	net_small_buffers(rig->reader);
	rig->step_bytes = 65521;
	start(rig, HTTP_FRAMING_LENGTH, total);
	cr_assert_eq(pump(rig, total), RELAY_DONE);
	expect_received(rig, total);
}

RELAY_TEST(many_sizes_of_reads_and_writes)
{
	const size_t total = 3 * MIB;
	uint32_t random = 12345 + (uint32_t)rig->kind;
	size_t next = 0;
	enum relay_result result;

	net_small_buffers(rig->to.fd);
	start(rig, HTTP_FRAMING_LENGTH, total);
	long long until = net_now_ms() + 40000;
	do {
		random = random * 1664525 + 1013904223;
		next += random >> (14 + random % 7);
		write_upto(rig, next < total ? next : total);
		result = step(rig, 1 + (random >> 12) % 400000);
		cr_assert_leq(rig->bufs.taken_count, 1);
		rig->step_bytes = 1 + (random >> 8) % 90000;
		if (random & 0x40000)
			read_some(rig);
		cr_assert_lt(net_now_ms(), until, "stuck at %zu", rig->received);
	} while (result == RELAY_AGAIN || result == RELAY_WAIT_IN || result == RELAY_WAIT_OUT);
	cr_assert_eq(result, RELAY_DONE);
	expect_received(rig, total);
}

RELAY_TEST(a_slow_reader_stops_the_writer)
{
	start(rig, HTTP_FRAMING_CLOSE, 0);
	block(rig);
	uint64_t moved = rig->relay.moved_bytes;

	cr_assert_leq(rig->bufs.taken_count, 1);
	cr_assert_lt(rig->written, 64 * MIB, "somebody holds it all");
	for (int i = 0; i < 5; i++)
		cr_assert_eq(step(rig, BUDGET), RELAY_WAIT_OUT);
	cr_assert_eq(rig->relay.moved_bytes, moved, "nothing is read while something cannot leave");
	shutdown(rig->writer, SHUT_WR);
	size_t total = rig->written;
	cr_assert_eq(pump(rig, NOTHING_LEFT), RELAY_ENDED);
	expect_received(rig, total);
	cr_assert_eq(rig->bufs.taken_count, 0);
}

/* ---- ends ---- */

RELAY_TEST(close_framing_ends_with_its_peer)
{
	write_upto(rig, 100000);
	shutdown(rig->writer, SHUT_WR);
	start(rig, HTTP_FRAMING_CLOSE, 0);
	cr_assert_eq(pump(rig, rig->written), RELAY_ENDED);
	expect_received(rig, rig->written);
	cr_assert(net_is_silent(rig->reader), "the half-close is the caller's business");
	cr_assert_not(body_is_done(&rig->relay.body));
	cr_assert_eq(step_on(rig), RELAY_ENDED);
	cr_assert_eq(rig->bufs.taken_count, 0);
}

RELAY_TEST(an_end_without_a_byte)
{
	start(rig, HTTP_FRAMING_CLOSE, 0);
	step_until_moved(rig, 0);
	close(rig->writer);
	rig->writer = -1;
	cr_assert_eq(step_on(rig), RELAY_ENDED);
}

RELAY_TEST(bytes_then_a_reset)
{
	static const size_t sizes[] = {1, 1000, 65536};

	for (size_t i = 0; i < ARRAY_SIZE(sizes) && rig->kind & KIND_TCP; i++) {
		int in[2];

		rig->written = rig->received = 0;
		write_upto(rig, sizes[i]);
		cr_assert_eq(rig->written, sizes[i]);
		net_reset(rig->writer);
		start(rig, HTTP_FRAMING_CLOSE, 0);
		cr_assert_eq(step_on(rig), RELAY_FROM_FAILED);
		cr_assert_eq(rig->relay.error, -ECONNRESET);
		expect_received(rig, sizes[i]);
		cr_assert_neq(step_on(rig), RELAY_ENDED, "never a clean end");

		leg_close(&rig->from);
		pair_of(rig->kind, in);
		rig->writer = in[0];
		leg_open(&rig->from, in[1], NULL, false);
	}
}

RELAY_TEST(a_reset_while_the_reader_is_slow)
{
	if (!(rig->kind & KIND_TCP))
		return;
	start(rig, HTTP_FRAMING_CLOSE, 0);
	block(rig);
	net_reset(rig->writer);
	rig->writer = -1;
	cr_assert_eq(step(rig, BUDGET), RELAY_WAIT_OUT);
	cr_assert_eq(pump(rig, NOTHING_LEFT), RELAY_FROM_FAILED);
	/* The last of it may still be on its way: TCP on loopback waits for its softirq on a busy host. */
	expect_received(rig, rig->relay.moved_bytes);
}

/* unix(7): what was sent before it is delivered, so nothing is lost, and it is an end like another. */
RELAY_TEST(a_unix_reset_is_an_end)
{
	static const size_t sizes[] = {0, 1, 1000, SPLICE_CERTAINLY};

	for (size_t i = 0; i < ARRAY_SIZE(sizes) && !(rig->kind & KIND_TCP); i++) {
		int in[2];

		rig->written = rig->received = 0;
		write_upto(rig, sizes[i]);
		cr_assert_eq(rig->written, sizes[i]);
		net_send(rig->from.fd, "unread", 6);
		close(rig->writer);
		start(rig, HTTP_FRAMING_CLOSE, 0);
		cr_assert_eq(step_on(rig), RELAY_ENDED, "%s", strerror(-rig->relay.error));
		expect_received(rig, sizes[i]);
		cr_assert_eq(step_on(rig), RELAY_ENDED, "and it stays so");

		leg_close(&rig->from);
		pair_of(rig->kind, in);
		rig->writer = in[0];
		leg_open(&rig->from, in[1], NULL, true);
	}
}

RELAY_TEST(the_reader_is_gone)
{
	enum relay_result result = RELAY_AGAIN;

	if (rig->kind & KIND_TCP)
		net_reset(rig->reader);
	else
		close(rig->reader);
	rig->reader = -1;
	start(rig, HTTP_FRAMING_CLOSE, 0);
	for (int i = 0; i < 50 && (result == RELAY_AGAIN || result == RELAY_WAIT_IN); i++) {
		write_upto(rig, rig->written + 1000);
		(void)net_wait(rig->from.fd, POLLIN, 100);
		result = step(rig, BUDGET);
	}
	cr_assert_eq(result, RELAY_TO_FAILED);
	cr_assert(rig->relay.error == -EPIPE || rig->relay.error == -ECONNRESET, "%d", rig->relay.error);
}

RELAY_TEST(the_reader_goes_while_it_blocks)
{
	start(rig, HTTP_FRAMING_CLOSE, 0);
	block(rig);
	close(rig->reader); /* with unread bytes: a reset on TCP, too */
	rig->reader = -1;
	(void)net_wait(rig->to.fd, POLLOUT, NET_PATIENCE_MS);
	cr_assert_eq(step(rig, BUDGET), RELAY_TO_FAILED);
	cr_assert_lt(rig->relay.error, 0);
}
