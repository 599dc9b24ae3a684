/* SPDX-License-Identifier: MIT */
/* relay_chunked_test.c: chunked bodies pass as they are; what is not chunked stops. */
#include "relay_support.h"

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
	cr_assert_eq(rig->relay.mover, rig->kind & KIND_SPLICE ? RELAY_SPLICE : RELAY_COPY);
}

/* Chunks as Go makes them, moved by splice(2) where that is allowed, and a request smuggled in behind them.
 */
RELAY_TEST(chunks_end_exactly)
{
	static const char behind[] = "POST /containers/create HTTP/1.1\r\n\r\n";
	static char all[MIB], got[MIB];
	size_t len = 0, sent = 0, have = 0;
	enum relay_result result;

	while (len < 600000) {
		len += (size_t)snprintf(all + len, 32, "8000\r\n");
		net_fill(all + len, len, 32768);
		len += 32768;
		all[len++] = '\r';
		all[len++] = '\n';
	}
	len += (size_t)snprintf(all + len, 32, "0\r\n\r\n");
	memcpy(all + len, behind, sizeof(behind) - 1);
	size_t total = len + sizeof(behind) - 1;
	start(rig, HTTP_FRAMING_CHUNKED, 0);
	do { /* what is behind comes in one piece with the end */
		size_t piece = total - sent < 100000 ? total - sent : 100000;
		ssize_t n = piece ? send(rig->writer, all + sent, piece, MSG_NOSIGNAL) : 0;
		sent += n > 0 ? (size_t)n : 0;
		result = step(rig, BUDGET);
		n = recv(rig->reader, got + have, sizeof(got) - have, MSG_DONTWAIT);
		have += n > 0 ? (size_t)n : 0;
	} while (result != RELAY_DONE && result <= RELAY_WAIT_OUT);
	cr_assert_eq(result, RELAY_DONE);
	have += net_recv(rig->reader, got + have, len - have, NET_PATIENCE_MS);
	cr_assert_eq(have, len);
	cr_assert_eq(memcmp(got, all, len), 0);
	cr_assert_eq(recv(rig->reader, got, sizeof(got), MSG_DONTWAIT), -1, "something behind the end");
	cr_assert_eq(rig->relay.moved_bytes, len);
	cr_assert_eq(rig->relay.mover, rig->kind & KIND_SPLICE ? RELAY_SPLICE : RELAY_COPY);
}
