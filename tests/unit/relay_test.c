/* SPDX-License-Identifier: MIT */
/*
 * relay_test.c: the mover between sockets, the writer's and the reader's ends being held by the test. Each
 * test runs over unix sockets and over TCP, with pipes to splice through and without.
 */
#include "relay.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <sys/resource.h>

#include "net_support.h"

#define KINDS		 4
#define KIND_SPLICE	 1
#define KIND_TCP	 2
#define BUDGET		 ((size_t)512 * 1024)
#define MIB		 ((size_t)1024 * 1024)
#define SPLICE_CERTAINLY ((size_t)128 * 1024)
#define NOTHING_LEFT	 0

/* writer -> `from` -> relay -> `to` -> reader */
struct rig {
	int kind;
	struct buf_pool bufs;
	struct pipe_pool pipes;
	struct relay_pools pools;
	struct leg from, to;
	int writer, reader;
	struct relay relay;
	size_t written, received; /* bytes of net_byte()'s stream */
	size_t step_bytes;	  /* how much the reader takes at once; 0: all */
};

static char scratch[4 * MIB];

static void pair_of(int kind, int fds[2])
{
	if (kind & KIND_TCP)
		net_tcp_pair(fds);
	else
		net_unix_pair(fds);
}

static void rig_open(struct rig *rig, int kind)
{
	int in[2], out[2];

	/* pipe_drain() says that the program ignores it; send() must not need that. */
	if (kind & KIND_SPLICE)
		signal(SIGPIPE, SIG_IGN);
	*rig = (struct rig){.kind = kind};
	buf_pool_init(&rig->bufs, 4);
	pipe_pool_init(&rig->pipes, 4);
	rig->pools =
	    (struct relay_pools){.bufs = &rig->bufs, .pipes = kind & KIND_SPLICE ? &rig->pipes : NULL};
	pair_of(kind, in);
	pair_of(kind, out);
	rig->writer = in[0];
	rig->reader = out[1];
	leg_open(&rig->from, in[1], NULL, !(kind & KIND_TCP));
	leg_open(&rig->to, out[0], NULL, !(kind & KIND_TCP));
	relay_init(&rig->relay, &rig->from, &rig->to);
}

static void rig_close(struct rig *rig)
{
	relay_fini(&rig->relay, &rig->pools);
	relay_fini(&rig->relay, &rig->pools);
	cr_assert_eq(rig->bufs.taken_count, 0);
	cr_assert_null(rig->relay.pipe);
	leg_close(&rig->from);
	leg_close(&rig->to);
	if (rig->writer >= 0)
		close(rig->writer);
	if (rig->reader >= 0)
		close(rig->reader);
	buf_pool_fini(&rig->bufs);
	pipe_pool_fini(&rig->pipes);
}

/* A body that runs for each kind. */
#define RELAY_TEST(name)                                          \
	static void relay_##name(struct rig *rig);                \
	ParameterizedTestParameters(relay, name)                  \
	{                                                         \
		static int kinds[] = {0, 1, 2, 3};                \
		return cr_make_param_array(int, kinds, KINDS);    \
	}                                                         \
	ParameterizedTest(int *kind, relay, name, .timeout = 60)  \
	{                                                         \
		unsigned fds = net_open_fds();                    \
		struct rig rig;                                   \
		rig_open(&rig, *kind);                            \
		relay_##name(&rig);                               \
		rig_close(&rig);                                  \
		cr_assert_eq(net_open_fds(), fds, "descriptors"); \
	}                                                         \
	static void relay_##name(struct rig *rig)

static void start(struct rig *rig, enum http_framing framing, size_t length)
{
	relay_start(&rig->relay, &rig->pools, NULL, framing, length);
}

/* One step, right after an event of the loop. */
static enum relay_result step(struct rig *rig, size_t budget)
{
	leg_readable(&rig->from);
	return relay_step(&rig->relay, &rig->pools, budget);
}

/* Steps until something else than AGAIN or WAIT_IN; what was sent must lead there, at once or soon. */
static enum relay_result step_on(struct rig *rig)
{
	enum relay_result result;

	do
		result = step(rig, BUDGET);
	while (result == RELAY_AGAIN ||
	       (result == RELAY_WAIT_IN && net_wait(rig->from.fd, POLLIN, NET_PATIENCE_MS)));
	return result;
}

/* Steps until the relay waits for more, having moved that much of the body. */
static void step_until_moved(struct rig *rig, uint64_t bytes)
{
	enum relay_result result;

	do
		result = step(rig, BUDGET);
	while (result == RELAY_AGAIN || (result == RELAY_WAIT_IN && rig->relay.moved_bytes < bytes &&
					 net_wait(rig->from.fd, POLLIN, NET_PATIENCE_MS)));
	cr_assert_eq(result, RELAY_WAIT_IN);
	cr_assert_eq(rig->relay.moved_bytes, bytes);
}

/* The writer sends the next bytes of the stream, up to `upto`, as many as the socket takes. */
static void write_upto(struct rig *rig, size_t upto)
{
	while (rig->written < upto) {
		size_t len = upto - rig->written < sizeof(scratch) ? upto - rig->written : sizeof(scratch);

		net_fill(scratch, rig->written, len);
		ssize_t n = send(rig->writer, scratch, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		rig->written += (size_t)n;
	}
}

/* The reader takes what is there and compares it. */
static void read_some(struct rig *rig)
{
	size_t len = rig->step_bytes ? rig->step_bytes : sizeof(scratch);
	ssize_t n;

	do {
		n = recv(rig->reader, scratch, len, 0);
		if (n > 0) {
			cr_assert(net_is(scratch, rig->received, (size_t)n), "bytes differ near %zu",
				  rig->received);
			rig->received += (size_t)n;
		}
	} while (n > 0 && !rig->step_bytes);
}

/* Both ends and the relay by turns until it says something final. `total` bytes are written. */
static enum relay_result pump(struct rig *rig, size_t total)
{
	long long until = net_now_ms() + 40000;
	enum relay_result result;

	do {
		write_upto(rig, total);
		result = step(rig, BUDGET);
		cr_assert_leq(rig->bufs.taken_count, 1);
		read_some(rig);
		cr_assert_lt(net_now_ms(), until, "stuck: %d after %zu of %zu", result, rig->received, total);
		if (result == RELAY_WAIT_IN)
			(void)net_wait(rig->from.fd, POLLIN, 10);
		else if (result == RELAY_WAIT_OUT && !net_wait(rig->to.fd, POLLOUT, 0))
			(void)net_wait(rig->reader, POLLIN, 10);
	} while (result == RELAY_AGAIN || result == RELAY_WAIT_IN || result == RELAY_WAIT_OUT);
	return result;
}

/* Everything that left the relay arrives, and nothing more. */
static void expect_received(struct rig *rig, size_t total)
{
	rig->step_bytes = 0;
	while (rig->received < total && net_wait(rig->reader, POLLIN, NET_PATIENCE_MS)) {
		size_t before = rig->received;
		read_some(rig);
		if (rig->received == before)
			break;
	}
	cr_assert_eq(rig->received, total, "%zu of %zu", rig->received, total);
}

static void expect_text(struct rig *rig, const char *text, size_t len)
{
	char got[8192];

	cr_assert_lt(len, sizeof(got));
	cr_assert_eq(net_recv(rig->reader, got, len, NET_PATIENCE_MS), len);
	cr_assert_eq(memcmp(got, text, len), 0, "got %.*s", (int)len, got);
	cr_assert(net_is_silent(rig->reader), "more than that");
}

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

static struct buf *head_of(struct rig *rig, size_t len)
{
	struct buf *buf = buf_take(&rig->bufs);

	net_fill(buf_tail(buf), rig->written, len);
	buf->end += len;
	rig->written += len;
	return buf;
}

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

/* Steps and writes until neither goes on; the relay then waits for the reader. */
static void block(struct rig *rig)
{
	size_t before;

	do {
		before = rig->written;
		write_upto(rig, 256 * MIB);
		enum relay_result result = step(rig, BUDGET);
		cr_assert(result == RELAY_WAIT_OUT || result == RELAY_AGAIN || result == RELAY_WAIT_IN);
		if (rig->written == before)
			(void)net_wait(rig->writer, POLLOUT, 50); /* TCP still on its way */
		write_upto(rig, 256 * MIB);
	} while (rig->written > before);
	cr_assert_eq(step(rig, BUDGET), RELAY_WAIT_OUT);
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
	cr_assert_geq(rig->received, rig->relay.moved_bytes);
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

/* ---- chunked ---- */

static const char chunks[] = "5\r\nhello\r\n1F\r\nabcdefghijklmnopqrstuvwxyz01234\r\n0\r\nA: b\r\n\r\n";
#define CHUNKS_BYTES (sizeof(chunks) - 1)

RELAY_TEST(chunks_pass_as_they_are_at_every_cut)
{
	for (size_t cut = 0; cut <= CHUNKS_BYTES; cut++) {
		start(rig, HTTP_FRAMING_CHUNKED, 0);
		if (cut > 0)
			net_send(rig->writer, chunks, cut);
		if (cut < CHUNKS_BYTES)
			step_until_moved(rig, cut);
		else
			cr_assert_eq(step_on(rig), RELAY_DONE);
		expect_text(rig, chunks, cut);
		if (cut < CHUNKS_BYTES)
			net_send(rig->writer, chunks + cut, CHUNKS_BYTES - cut);
		cr_assert_eq(step_on(rig), RELAY_DONE, "cut %zu", cut);
		expect_text(rig, chunks + cut, CHUNKS_BYTES - cut);
		cr_assert_not(relay_has_surplus(&rig->relay));
		cr_assert_eq(rig->relay.moved_bytes, CHUNKS_BYTES);
		cr_assert_eq(rig->bufs.taken_count, 0);
	}
}

RELAY_TEST(chunked_surplus_is_seen_and_stays)
{
	for (size_t fed = 0; fed < CHUNKS_BYTES; fed += 7) {
		char text[256];
		int len = snprintf(text, sizeof(text), "%sGET /secrets HTTP/1.1\r\n", chunks);

		start(rig, HTTP_FRAMING_CHUNKED, 0);
		cr_assert_eq(relay_feed(&rig->relay, &rig->pools, text, fed), (ssize_t)fed);
		cr_assert_not(relay_has_surplus(&rig->relay));
		net_send(rig->writer, text + fed, (size_t)len - fed);
		cr_assert_eq(step_on(rig), RELAY_DONE);
		expect_text(rig, chunks, CHUNKS_BYTES);
		cr_assert(relay_has_surplus(&rig->relay));
		cr_assert_eq(step_on(rig), RELAY_DONE, "and once more");
		cr_assert(net_is_silent(rig->reader));
	}
}

RELAY_TEST(malformed_chunks_let_only_the_good_part_through)
{
	static const struct {
		const char *good, *bad;
	} rows[] = {
	    {"5\r\nhello\r\n", "xyz\r\n"},
	    {"5\r\nhello\r\n", "\n5\r\nhello\r\n"},
	    {"5\r\nhello", "XX0\r\n\r\n"},
	    {"", "-1\r\n"},
	    {"5\r\nhello\r\n0\r\n", "Content-Length: 5\r\n\r\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char got[64] = "";

		for (int feed = 0; feed < 2; feed++) {
			char text[64];
			int len = snprintf(text, sizeof(text), "%s%s", rows[i].good, rows[i].bad);

			start(rig, HTTP_FRAMING_CHUNKED, 0);
			if (feed)
				cr_assert_eq(relay_feed(&rig->relay, &rig->pools, text, (size_t)len),
					     -EBADMSG);
			else
				net_send(rig->writer, text, (size_t)len);
			cr_assert_eq(step_on(rig), RELAY_BAD, "row %zu", i);
			cr_assert_eq(step_on(rig), RELAY_BAD, "row %zu", i);
			/* Of the bad line, bytes that look good yet may go; never all of it. */
			size_t good = strlen(rows[i].good);
			size_t n = net_recv(rig->reader, got, good, NET_PATIENCE_MS);
			n += net_recv(rig->reader, got + n, sizeof(got) - 1 - n, 20);
			cr_assert(n >= good && n < (size_t)len, "row %zu: %zu", i, n);
			cr_assert_eq(memcmp(got, text, n), 0, "row %zu", i);
		}
	}
}

/* A long chunked body, chunk by chunk of growing size, against a reader that is slow by turns. */
RELAY_TEST(a_long_chunked_body)
{
	static char all[2 * MIB], got[2 * MIB];
	size_t len = 0, sent = 0, have = 0;
	long long until = net_now_ms() + 40000;
	enum relay_result result;

	for (size_t size = 1; len + size < sizeof(all) - 64; size = size * 5 / 3 + 1) {
		len += (size_t)snprintf(all + len, 32, "%zx\r\n", size);
		net_fill(all + len, len, size);
		len += size;
		all[len++] = '\r';
		all[len++] = '\n';
	}
	len += (size_t)snprintf(all + len, 32, "0\r\n\r\n");
	net_small_buffers(rig->to.fd);
	start(rig, HTTP_FRAMING_CHUNKED, 0);
	do {
		ssize_t n = sent < len ? send(rig->writer, all + sent, len - sent, MSG_NOSIGNAL) : 0;
		sent += n > 0 ? (size_t)n : 0;
		result = step(rig, BUDGET);
		cr_assert_leq(rig->bufs.taken_count, 1);
		n = recv(rig->reader, got + have, 7777 < sizeof(got) - have ? 7777 : sizeof(got) - have, 0);
		have += n > 0 ? (size_t)n : 0;
		cr_assert_lt(net_now_ms(), until, "stuck");
	} while (result != RELAY_DONE && result <= RELAY_WAIT_OUT);
	cr_assert_eq(result, RELAY_DONE);
	have += net_recv(rig->reader, got + have, len - have, NET_PATIENCE_MS);
	cr_assert_eq(have, len);
	cr_assert_eq(memcmp(got, all, len), 0);
	cr_assert_eq(rig->relay.mover, RELAY_COPY, "its ends have to be looked at");
}

/* ---- without pipes ---- */

Test(relay, copies_when_no_pipe_can_be_had, .timeout = 60)
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
