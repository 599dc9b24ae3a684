/* SPDX-License-Identifier: MIT */
/*
 * Bodies, whole, cut in two at every place, and byte by byte: result and end must always be the same.
 */
#include "body.h"
#include "http_lex.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(body, .timeout = 300);

#define BYTES(text) (text), sizeof(text) - 1

struct walked {
	enum body_result result;
	size_t used;
};

/* Walks bytes[0..len) in pieces of `piece` bytes, the first of `first`; each in memory of its size. */
static struct walked walk(enum http_framing framing, uint64_t length, const char *bytes, size_t len,
			  size_t first, size_t piece)
{
	struct walked walked = {.result = BODY_MORE};
	struct body body;
	size_t at = 0, now = first;

	body_init(&body, framing, length);
	do {
		size_t used = SIZE_MAX;
		char *exact;

		now = now < len - at ? now : len - at;
		exact = malloc(now ? now : 1);
		cr_assert_not_null(exact);
		memcpy(exact, bytes + at, now);
		walked.result = body_walk(&body, exact, now, &used);
		free(exact);
		cr_assert_leq(used, now);
		if (walked.result == BODY_MORE)
			cr_assert_eq(used, now, "BODY_MORE takes all");
		cr_assert_eq(body_is_done(&body), walked.result == BODY_DONE);
		walked.used += used;
		at += used;
		now = piece;
	} while (walked.result == BODY_MORE && at < len);
	return walked;
}

static struct walked walk_all_ways(enum http_framing framing, uint64_t length, const char *bytes, size_t len)
{
	struct walked whole = walk(framing, length, bytes, len, len, len), other;

	for (size_t cut = 0; cut <= len; cut++) {
		other = walk(framing, length, bytes, len, cut, len);
		cr_assert(other.result == whole.result && other.used == whole.used, "cut at %zu: %.40s", cut,
			  bytes);
	}
	other = walk(framing, length, bytes, len, 1, 1);
	cr_assert(other.result == whole.result && other.used == whole.used, "byte by byte: %.40s", bytes);
	return whole;
}

struct chunked_case {
	const char *bytes;
	size_t len;
	enum body_result result;
	size_t used;
};

#define DONE(text)	 BYTES(text), BODY_DONE, sizeof(text) - 1
#define DONE_AT(text, n) BYTES(text), BODY_DONE, (n)
#define MORE(text)	 BYTES(text), BODY_MORE, sizeof(text) - 1
#define BAD_AT(text, n)	 BYTES(text), BODY_BAD, (n)

static const struct chunked_case chunked_cases[] = {
    {DONE("0\r\n\r\n")},
    {DONE("5\r\nhello\r\n0\r\n\r\n")},
    {DONE("5\r\nhello\r\nA\r\n0123456789\r\n0a\r\n\r\n\r\n\r\n\r\n\r\n\r\n00\r\n\r\n")},
    {DONE("0000000000000005\r\n\0\n\r\xff;\r\n0000000000000000\r\n\r\n")},
    {DONE("1\r\n0\r\n0\r\nX-Sum: 1\r\nY:\r\nZ: \t \xff\r\n\r\n")},
    {DONE("0\r\ntokens: 1\r\nx-token: 1\r\ntoke: 1\r\nHostname: 1\r\n\r\n")},
    {DONE_AT("0\r\n\r\n0\r\n\r\n", 5)},
    {DONE_AT("0\r\n\r\nGET / HTTP/1.1\r\n", 5)},
    {MORE("")},
    {MORE("5")},
    {MORE("5\r")},
    {MORE("5\r\nhel")},
    {MORE("5\r\nhello")},
    {MORE("5\r\nhello\r\n0\r\n")},
    {MORE("0\r\nX: a\r\n")},
    {MORE("7fffffffffffffff\r\nx")},
    /* sizes: RFC 9112 7.1 */
    {BAD_AT("\r\n", 0)},
    {BAD_AT(" 5\r\n", 0)},
    {BAD_AT("5 \r\n", 1)},
    {BAD_AT("5\t\r\n", 1)},
    {BAD_AT("+5\r\n", 0)},
    {BAD_AT("-5\r\n", 0)},
    {BAD_AT("0x5\r\n", 1)},
    {BAD_AT("5_0\r\n", 1)},
    {BAD_AT("g\r\n", 0)},
    {BAD_AT("\0\r\n", 0)},
    {BAD_AT("8000000000000000\r\n", 15)},
    {BAD_AT("ffffffffffffffff\r\n", 15)},
    {BAD_AT("00000000000000005\r\n", 16)},
    {BAD_AT("10000000000000005\r\n", 16)},
    /* extensions: RFC 9112 7.1.1 */
    {BAD_AT("5;a=b\r\n", 1)},
    {BAD_AT("5;\r\n", 1)},
    {BAD_AT("0;\r\n\r\n", 1)},
    /* bare CR, bare LF (CVE-2025-22871), data of another length */
    {BAD_AT("5\nhello\r\n", 1)},
    {BAD_AT("5\r\r\nhello\r\n", 2)},
    {BAD_AT("5\rhello\r\n", 2)},
    {BAD_AT("5\r\nhello0\r\n\r\n", 8)},
    {BAD_AT("5\r\nhello\n0\r\n\r\n", 8)},
    {BAD_AT("5\r\nhello\r0\r\n\r\n", 9)},
    {BAD_AT("5\r\nhello\r\n\r\n", 10)},
    {BAD_AT("0\r\n\n", 3)},
    {BAD_AT("0\r\n\r\r\n", 4)},
    {BAD_AT("0\n\n", 1)},
    /* trailers: RFC 9110 6.5.1, and the rules for fields */
    {BAD_AT("0\r\nX: a\n\r\n", 7)},
    {BAD_AT("0\r\nX: a\rb\r\n\r\n", 8)},
    {BAD_AT("0\r\nX: a\0\r\n\r\n", 7)},
    {BAD_AT("0\r\nX: \x7f\r\n\r\n", 6)},
    {BAD_AT("0\r\nX : a\r\n\r\n", 4)},
    {BAD_AT("0\r\n: a\r\n\r\n", 3)},
    {BAD_AT("0\r\nX\r\n\r\n", 4)},
    {BAD_AT("0\r\nX: a\r\n b\r\n\r\n", 9)},
    {BAD_AT("0\r\n\tX: a\r\n\r\n", 3)},
    {BAD_AT("0\r\nX\xc3: a\r\n\r\n", 4)},
    {BAD_AT("0\r\nHost: a\r\n\r\n", 7)},
    {BAD_AT("0\r\nX: a\r\nToKeN: a\r\n\r\n", 14)},
    {BAD_AT("0\r\nAuthorization: a\r\n\r\n", 16)},
    {BAD_AT("0\r\ncontent_length: 5\r\n\r\n", 17)},
    {BAD_AT("0\r\nTransfer-Encoding: chunked\r\n\r\n", 20)},
    {BAD_AT("0\r\nTE: a\r\n\r\n", 5)},
};

Test(body, chunked)
{
	for (size_t i = 0; i < ARRAY_SIZE(chunked_cases); i++) {
		const struct chunked_case *row = &chunked_cases[i];
		struct walked walked = walk_all_ways(HTTP_FRAMING_CHUNKED, 0, row->bytes, row->len);

		cr_expect(walked.result == row->result && walked.used == row->used,
			  "row %zu: result %d at %zu, not %d at %zu: %s", i, (int)walked.result, walked.used,
			  (int)row->result, row->used, row->bytes);
	}
}

/* Every name that a head treats specially is refused in a trailer. */
Test(body, trailer_names)
{
	for (unsigned id = 0; id < HTTP_FIELD_COUNT; id++) {
		char bytes[64];
		int len = snprintf(bytes, sizeof(bytes), "0\r\n%s: x\r\n\r\n", http_field_names[id].ptr);
		struct walked walked = walk_all_ways(HTTP_FRAMING_CHUNKED, 0, bytes, (size_t)len);

		cr_expect_eq(walked.result, BODY_BAD, "%s", bytes);
		len = snprintf(bytes, sizeof(bytes), "0\r\n%sx: x\r\n\r\n", http_field_names[id].ptr);
		walked = walk_all_ways(HTTP_FRAMING_CHUNKED, 0, bytes, (size_t)len);
		cr_expect_eq(walked.result, BODY_DONE, "%s", bytes);
	}
}

/* The section's bytes count, its empty line included; a name longer than any counter is just a name. */
Test(body, trailer_limit)
{
	size_t cap = BODY_TRAILER_MAX_BYTES + 4;
	char *bytes = malloc(cap);
	struct walked walked;

	cr_assert_not_null(bytes);
	for (size_t over = 0; over < 2; over++) {
		size_t len = 3 + BODY_TRAILER_MAX_BYTES + over;

		memset(bytes, 'x', cap);
		memcpy(bytes, "0\r\n", 3);
		memcpy(bytes + len - 5, ":\r\n\r\n", 5);
		walked = walk(HTTP_FRAMING_CHUNKED, 0, bytes, len, len, len);
		cr_expect_eq(walked.result, over ? BODY_BAD : BODY_DONE);
		walked = walk(HTTP_FRAMING_CHUNKED, 0, bytes, len, 1, 1);
		cr_expect_eq(walked.result, over ? BODY_BAD : BODY_DONE);
	}
	free(bytes);
}

/* After a refusal nothing belongs to the body any more. */
Test(body, bad_is_final)
{
	struct body body;
	size_t used;

	body_init(&body, HTTP_FRAMING_CHUNKED, 0);
	cr_assert_eq(body_walk(&body, "x", 1, &used), BODY_BAD);
	cr_expect_eq(body_walk(&body, "0\r\n\r\n", 5, &used), BODY_BAD);
	cr_expect_eq(used, 0);
	cr_expect_not(body_is_done(&body));
	cr_expect_eq(body_blind_bytes(&body), 0);
}

Test(body, length)
{
	static const char bytes[] = "0123456789";
	struct walked walked = walk_all_ways(HTTP_FRAMING_LENGTH, 7, bytes, 10);

	cr_expect(walked.result == BODY_DONE && walked.used == 7);
	walked = walk_all_ways(HTTP_FRAMING_LENGTH, 10, bytes, 10);
	cr_expect(walked.result == BODY_DONE && walked.used == 10);
	walked = walk_all_ways(HTTP_FRAMING_LENGTH, INT64_MAX, bytes, 10);
	cr_expect(walked.result == BODY_MORE && walked.used == 10);
	walked = walk_all_ways(HTTP_FRAMING_LENGTH, 0, bytes, 10);
	cr_expect(walked.result == BODY_DONE && walked.used == 0);
	walked = walk_all_ways(HTTP_FRAMING_NONE, 5, bytes, 10);
	cr_expect(walked.result == BODY_DONE && walked.used == 0);
	walked = walk_all_ways(HTTP_FRAMING_CLOSE, 5, bytes, 10);
	cr_expect(walked.result == BODY_MORE && walked.used == 10);
}

Test(body, skip)
{
	struct body body;
	size_t used;

	body_init(&body, HTTP_FRAMING_LENGTH, (uint64_t)5 << 32);
	cr_expect_eq(body_blind_bytes(&body), (uint64_t)5 << 32);
	body_skip(&body, ((uint64_t)5 << 32) - 3);
	cr_expect_eq(body_blind_bytes(&body), 3);
	cr_expect_not(body_is_done(&body));
	cr_expect_eq(body_walk(&body, "abcd", 4, &used), BODY_DONE);
	cr_expect_eq(used, 3);
	cr_expect_eq(body_blind_bytes(&body), 0);

	body_init(&body, HTTP_FRAMING_LENGTH, 3);
	body_skip(&body, 3);
	cr_expect(body_is_done(&body));
	body_init(&body, HTTP_FRAMING_CLOSE, 0);
	cr_expect_eq(body_blind_bytes(&body), UINT64_MAX);
	body_skip(&body, 1 << 20);
	cr_expect_not(body_is_done(&body));
	body_init(&body, HTTP_FRAMING_NONE, 9);
	cr_expect(body_is_done(&body));
	cr_expect_eq(body_blind_bytes(&body), 0);
}

Test(body, skip_in_chunk)
{
	struct body body;
	size_t used;

	body_init(&body, HTTP_FRAMING_CHUNKED, 0);
	cr_expect_eq(body_blind_bytes(&body), 0);
	body_skip(&body, 5); /* nothing may be skipped here */
	cr_expect_eq(body_walk(&body, "8000\r\nab", 8, &used), BODY_MORE);
	cr_expect_eq(body_blind_bytes(&body), 0x8000 - 2);
	body_skip(&body, 0x8000 - 3);
	cr_expect_eq(body_blind_bytes(&body), 1);
	body_skip(&body, 1);
	cr_expect_eq(body_blind_bytes(&body), 0);
	cr_expect_eq(body_walk(&body, "\r\n1\r\nx", 6, &used), BODY_MORE);
	cr_expect_eq(body_blind_bytes(&body), 0);
	cr_expect_eq(body_walk(&body, "\r\n0\r\n\r\nmore", 11, &used), BODY_DONE);
	cr_expect_eq(used, 7);
	cr_expect_eq(body_blind_bytes(&body), 0);
}
