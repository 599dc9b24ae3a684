/* SPDX-License-Identifier: MIT */
/* http_limit_test.c: where a head ends, every byte that may be in it, and how long and how many at most. */
#include "http_support.h"

#include <errno.h>

TestSuite(http, .timeout = 300);

/* A head of exactly `total` bytes: PING HOST, one long field, the empty line. */
static char *long_head(size_t total)
{
	static const char start[] = PING HOST "X: ";
	char *head = malloc(total);

	cr_assert(head && total > sizeof(start) + 4);
	memset(head, 'a', total);
	memcpy(head, start, sizeof(start) - 1);
	memcpy(head + total - 4, "\r\n\r\n", 4);
	return head;
}

Test(http, head_size_limit)
{
	static struct http_request request;
	char *most = long_head(HTTP_HEAD_MAX_BYTES), *more = long_head(HTTP_HEAD_MAX_BYTES + 1);
	size_t cut = HTTP_HEAD_MAX_BYTES - 1;
	struct scanned scanned = scan_pieces(most, HTTP_HEAD_MAX_BYTES, NULL, 0);
	enum http_refusal refusal;

	cr_assert(scanned.result == HTTP_OK && scanned.head_bytes == HTTP_HEAD_MAX_BYTES);
	cr_expect_eq(http_parse_request(&request, most, HTTP_HEAD_MAX_BYTES, &refusal), HTTP_OK);
	cr_expect_eq(scan_pieces(most, HTTP_HEAD_MAX_BYTES - 1, NULL, 0).result, HTTP_MORE);

	scanned = scan_pieces(more, HTTP_HEAD_MAX_BYTES + 1, NULL, 0);
	cr_expect(scanned.result == HTTP_BAD && scanned.refusal == HTTP_REFUSED_HEAD_TOO_LARGE);
	scanned = scan_pieces(more, HTTP_HEAD_MAX_BYTES + 1, &cut, 1);
	cr_expect(scanned.result == HTTP_BAD && scanned.refusal == HTTP_REFUSED_HEAD_TOO_LARGE);
	/* A buffer of the limit's size is full then: waiting for more would never end. */
	scanned = scan_pieces(more, HTTP_HEAD_MAX_BYTES, NULL, 0);
	cr_expect(scanned.result == HTTP_BAD && scanned.refusal == HTTP_REFUSED_HEAD_TOO_LARGE);
	free(most);
	free(more);
}

/* What comes behind the head is neither looked at nor counted. */
Test(http, scan_stops_at_the_end)
{
	static const char bytes[] = PING HOST "\r\n\0\n\r body";
	struct scanned scanned = scan_all_ways(bytes, sizeof(bytes) - 1);

	cr_expect(scanned.result == HTTP_OK && scanned.head_bytes == sizeof(PING HOST "\r\n") - 1);
}

/* Every byte value in a value, at each place of an eight-byte word: only HTAB, and SP to 0xff but DEL. */
Test(http, scan_every_byte)
{
	char head[] = PING HOST "X: aaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n";
	size_t first = sizeof(PING HOST "X: ") - 1;

	for (size_t place = first; place < first + 24; place++) {
		for (int c = 0; c < 256; c++) {
			bool good = c == '\t' || (c >= ' ' && c != 0x7f);
			struct scanned scanned;

			head[place] = (char)c;
			scanned = scan_pieces(head, sizeof(head) - 1, NULL, 0);
			cr_assert_eq(scanned.result, good ? HTTP_OK : HTTP_BAD, "byte %d at %zu", c, place);
		}
		head[place] = 'a';
	}
}

/* A refusal stays one when it is asked for again, with more bytes behind. */
Test(http, scan_bad_stays_bad)
{
	static const char bytes[] = PING "Host: x\n\r\n\r\n";
	struct http_scan scan = {0};
	enum http_refusal refusal;
	size_t head_bytes;

	for (size_t len = sizeof(PING "Host: x\n") - 1; len < sizeof(bytes); len++)
		cr_expect_eq(http_scan(&scan, bytes, len, &head_bytes, &refusal), HTTP_BAD);
}

static char *many_fields(size_t count, const char *line, const char *last, size_t *len)
{
	size_t line_len = strlen(line), at = sizeof(PING HOST) - 1;
	char *head = malloc(at + (count + 1) * line_len + strlen(last) + 3);

	cr_assert_not_null(head);
	memcpy(head, PING HOST, at);
	for (size_t i = 0; i < count; i++, at += line_len)
		memcpy(head + at, line, line_len);
	memcpy(head + at, last, strlen(last));
	at += strlen(last);
	memcpy(head + at, "\r\n", 2);
	*len = at + 2;
	return head;
}

Test(http, field_count_limit)
{
	static struct http_request request;
	enum http_refusal refusal;
	size_t len;
	char *head = many_fields(HTTP_FIELDS_MAX - 1, "a:b\r\n", "", &len);

	cr_expect_eq(http_parse_request(&request, head, len, &refusal), HTTP_OK);
	cr_expect_eq(request.fields_count, HTTP_FIELDS_MAX);
	free(head);
	head = many_fields(HTTP_FIELDS_MAX, "a:b\r\n", "", &len);
	cr_expect_eq(http_parse_request(&request, head, len, &refusal), HTTP_BAD);
	cr_expect_eq(refusal, HTTP_REFUSED_TOO_MANY_FIELDS);
	free(head);
}

Test(http, connection_list_limit)
{
	static struct http_request request;
	enum http_refusal refusal;
	size_t len;
	char *head = many_fields(64, "Connection: x\r\n", "", &len);

	cr_expect_eq(http_parse_request(&request, head, len, &refusal), HTTP_OK);
	free(head);
	head = many_fields(64, "Connection: x\r\n", "Connection: x\r\n", &len);
	cr_expect_eq(http_parse_request(&request, head, len, &refusal), HTTP_BAD);
	cr_expect_eq(refusal, HTTP_REFUSED_CONNECTION);
	free(head);
}

/* The most that writing can add: a space for each colon, Host, Connection. */
Test(http, write_limit)
{
	static struct http_request request;
	char *head = malloc(HTTP_HEAD_MAX_BYTES), *out = malloc(HTTP_WRITE_MAX_BYTES);
	static const char line[] = "GET / HTTP/1.0\r\n";
	enum http_refusal refusal;
	size_t at = sizeof(line) - 1;
	long len;

	cr_assert(head && out);
	memcpy(head, line, at);
	for (size_t i = 0; i < HTTP_FIELDS_MAX; i++, at += 5)
		memcpy(head + at, "a:b\r\n", 5);
	/* The last value fills the head up to its limit. */
	memset(head + at - 2, 'c', HTTP_HEAD_MAX_BYTES - at + 2);
	memcpy(head + HTTP_HEAD_MAX_BYTES - 4, "\r\n\r\n", 4);
	cr_assert_eq(http_parse_request(&request, head, HTTP_HEAD_MAX_BYTES, &refusal), HTTP_OK);
	len = http_write_request(&request, HTTP_CONNECTION_CLOSE, NULL, out, HTTP_WRITE_MAX_BYTES);
	cr_expect_eq(len, (long)(HTTP_HEAD_MAX_BYTES + HTTP_FIELDS_MAX +
				 sizeof("Host: \r\nConnection: close\r\n") - 1));
	free(head);
	free(out);
}

Test(http, raw_is_for_answers)
{
	static struct http_request request;
	char head[] = PING HOST END, out[64];
	enum http_refusal refusal;

	cr_assert_eq(http_parse_request(&request, head, sizeof(head) - 1, &refusal), HTTP_OK);
	cr_expect_eq(http_write_request(&request, HTTP_CONNECTION_RAW, NULL, out, sizeof(out)), -EINVAL);
}
