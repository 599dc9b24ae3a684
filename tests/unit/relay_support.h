/* SPDX-License-Identifier: MIT */
/*
 * relay_support.h: the mover between sockets, the writer's and the reader's ends being held by the test. Each
 * test runs over unix sockets and over TCP, with pipes to splice through and without.
 */
#ifndef HEADGATE_RELAY_SUPPORT_H
#define HEADGATE_RELAY_SUPPORT_H

#include "relay.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>

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

static inline void pair_of(int kind, int fds[2])
{
	if (kind & KIND_TCP)
		net_tcp_pair(fds);
	else
		net_unix_pair(fds);
}

static inline void rig_open(struct rig *rig, int kind)
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

static inline void rig_close(struct rig *rig)
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
	ParameterizedTest(int *kind, relay, name, .timeout = 300) \
	{                                                         \
		unsigned fds = net_open_fds();                    \
		struct rig rig;                                   \
		rig_open(&rig, *kind);                            \
		relay_##name(&rig);                               \
		rig_close(&rig);                                  \
		cr_assert_eq(net_open_fds(), fds, "descriptors"); \
	}                                                         \
	static void relay_##name(struct rig *rig)

static inline void start(struct rig *rig, enum http_framing framing, size_t length)
{
	relay_start(&rig->relay, &rig->pools, NULL, framing, length);
}

/* One step, right after an event of the loop. */
static inline enum relay_result step(struct rig *rig, size_t budget)
{
	leg_readable(&rig->from);
	return relay_step(&rig->relay, &rig->pools, budget);
}

/* Steps until something else than AGAIN or WAIT_IN; what was sent must lead there, at once or soon. */
static inline enum relay_result step_on(struct rig *rig)
{
	enum relay_result result;

	do
		result = step(rig, BUDGET);
	while (result == RELAY_AGAIN ||
	       (result == RELAY_WAIT_IN && net_wait(rig->from.fd, POLLIN, NET_PATIENCE_MS)));
	return result;
}

/* Steps until the relay waits for more, having moved that much of the body. */
static inline void step_until_moved(struct rig *rig, uint64_t bytes)
{
	enum relay_result result;

	do
		result = step(rig, BUDGET);
	while (result == RELAY_AGAIN || (result == RELAY_WAIT_IN && rig->relay.moved_bytes < bytes &&
					 net_wait(rig->from.fd, POLLIN, NET_PATIENCE_MS)));
	cr_assert_eq(result, RELAY_WAIT_IN);
	cr_assert_eq(rig->relay.moved_bytes, bytes);
}

/*
 * The writer sends the next bytes of the stream, up to `upto`, as many as the socket takes. What it does not
 * take was made for nothing, and some tests come here hundreds of times with the socket full: so not much at
 * once.
 */
static inline void write_upto(struct rig *rig, size_t upto)
{
	const size_t at_once = 64 * 1024;

	while (rig->written < upto) {
		size_t len = upto - rig->written < at_once ? upto - rig->written : at_once;

		net_fill(scratch, rig->written, len);
		ssize_t n = send(rig->writer, scratch, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		rig->written += (size_t)n;
	}
}

/* The reader takes what is there and compares it. */
static inline void read_some(struct rig *rig)
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
static inline enum relay_result pump(struct rig *rig, size_t total)
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
static inline void expect_received(struct rig *rig, size_t total)
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

static inline void expect_text(struct rig *rig, const char *text, size_t len)
{
	char got[8192];

	cr_assert_lt(len, sizeof(got));
	cr_assert_eq(net_recv(rig->reader, got, len, NET_PATIENCE_MS), len);
	cr_assert_eq(memcmp(got, text, len), 0, "got %.*s", (int)len, got);
	cr_assert(net_is_silent(rig->reader), "more than that");
}

static inline struct buf *head_of(struct rig *rig, size_t len)
{
	struct buf *buf = buf_take(&rig->bufs);

	net_fill(buf_tail(buf), rig->written, len);
	buf->end += len;
	rig->written += len;
	return buf;
}

/* Steps and writes until neither goes on; the relay then waits for the reader. */
static inline void block(struct rig *rig)
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

#endif
