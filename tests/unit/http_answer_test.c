/* SPDX-License-Identifier: MIT */
/* http_answer_test.c: the engine's answers, good and bad, and what goes to the client for each. */
#include "http_support.h"

#include <errno.h>

TestSuite(http, .timeout = 300);

struct answer_case {
	const char *bytes;
	size_t len;
	enum http_method to_method;
	enum http_connection connection;
	const char *says;
	const char *writes;
};

static void answer_text(const struct http_answer *answer, char *buf, size_t cap)
{
	char number[24];

	snprintf(buf, cap, "%d %s%s%s%s", answer->status,
		 framing_text(answer->framing, answer->content_length, number, sizeof(number)),
		 answer->keep_alive ? "" : " last", answer->minor_version == 1 ? "" : " 1.0",
		 answer->has_content_length ? " length" : "");
	if (answer->upgrade)
		add_span(buf, cap, " upgrade:", answer->upgrade_to);
	if (answer->content_type.len)
		add_span(buf, cap, " type:", answer->content_type);
}

#define OK_LINE	 "HTTP/1.1 200 OK\r\n"
#define RAW_TYPE "application/vnd.docker.raw-stream"

static const struct answer_case good_answers[] = {
    {BYTES(OK_LINE
	   "Api-Version: 1.51\r\nContent-Length: 2\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"),
     HTTP_GET, HTTP_CONNECTION_KEEP, "200 2 length type:text/plain; charset=utf-8",
     OK_LINE "Api-Version: 1.51\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\n"},
    {BYTES("HTTP/1.1 101 UPGRADED\r\nContent-Type: " RAW_TYPE "\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
	   "Api-Version: 1.51\r\n\r\n"),
     HTTP_POST, HTTP_CONNECTION_UPGRADE, "101 none upgrade:tcp type:" RAW_TYPE,
     "HTTP/1.1 101 UPGRADED\r\nContent-Type: " RAW_TYPE "\r\nApi-Version: 1.51\r\n"
     "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"},
    {BYTES("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), HTTP_POST,
     HTTP_CONNECTION_UPGRADE, "101 none upgrade:h2c",
     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"},
    {BYTES(OK_LINE "Content-Type: " RAW_TYPE "\r\n\r\n"), HTTP_POST, HTTP_CONNECTION_RAW,
     "200 close last type:" RAW_TYPE, OK_LINE "Content-Type: " RAW_TYPE "\r\n\r\n"},
    {BYTES(OK_LINE "Content-Type: " RAW_TYPE "\r\n\r\n"), HTTP_POST, HTTP_CONNECTION_KEEP,
     "200 close last type:" RAW_TYPE, OK_LINE "Content-Type: " RAW_TYPE "\r\nConnection: close\r\n\r\n"},
    {BYTES(OK_LINE "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_CLOSE,
     "200 chunked", OK_LINE "Trailer: X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
    /* no body, whatever the fields say: RFC 9112 6.3 */
    {BYTES(OK_LINE "Content-Length: 9223372036854775807\r\n\r\n"), HTTP_HEAD, HTTP_CONNECTION_KEEP,
     "200 none length", OK_LINE "Content-Length: 9223372036854775807\r\n\r\n"},
    {BYTES(OK_LINE "Content-Length: 1234\r\n\r\n"), HTTP_HEAD, HTTP_CONNECTION_KEEP, "200 none length",
     OK_LINE "Content-Length: 1234\r\n\r\n"},
    {BYTES(OK_LINE "Transfer-Encoding: chunked\r\n\r\n"), HTTP_HEAD, HTTP_CONNECTION_KEEP, "200 none",
     OK_LINE "\r\n"},
    {BYTES(OK_LINE "\r\n"), HTTP_HEAD, HTTP_CONNECTION_KEEP, "200 none", OK_LINE "\r\n"},
    {BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: \"a\"\r\n\r\n"), HTTP_GET,
     HTTP_CONNECTION_KEEP, "304 none length",
     "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n"},
    {BYTES("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP,
     "204 none", "HTTP/1.1 204 No Content\r\n\r\n"},
    {BYTES("HTTP/1.1 100 Continue\r\n\r\n"), HTTP_PUT, HTTP_CONNECTION_KEEP, "100 none",
     "HTTP/1.1 100 Continue\r\n\r\n"},
    {BYTES("HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP,
     "103 none", "HTTP/1.1 103 Early Hints\r\n\r\n"},
    /* reason: any, none, with or without its space */
    {BYTES("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP, "200 0 length",
     "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"},
    {BYTES("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP, "200 0 length",
     "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"},
    {BYTES("HTTP/1.1 599 a\tb \xc3\xa9\r\nContent-Length: 0\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP,
     "599 0 length", "HTTP/1.1 599 a\tb \xc3\xa9\r\nContent-Length: 0\r\n\r\n"},
    /* keep-alive */
    {BYTES("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_CLOSE,
     "200 1 last 1.0 length", OK_LINE "Content-Length: 1\r\nConnection: close\r\n\r\n"},
    {BYTES("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n"), HTTP_GET,
     HTTP_CONNECTION_KEEP, "200 1 1.0 length", OK_LINE "Content-Length: 1\r\n\r\n"},
    {BYTES(OK_LINE "Connection: close\r\nContent-Length: 1\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP,
     "200 1 last length", OK_LINE "Content-Length: 1\r\n\r\n"},
    /* two equal lengths are one (RFC 9112 6.3); hop-by-hop fields go; others stay as they are */
    {BYTES(OK_LINE "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP,
     "200 5 length", OK_LINE "Content-Length: 5\r\n\r\n"},
    {BYTES(OK_LINE
	   "Content-Length: 0\r\nKeep-Alive: 5\r\nX-A: 1\r\nConnection: x-a\r\nUpgrade: h2\r\n"
	   "Proxy-Authenticate: Basic\r\nWWW-Authenticate: Basic\r\nServer: Docker/28.5.2 (linux)\r\n\r\n"),
     HTTP_GET, HTTP_CONNECTION_KEEP, "200 0 length",
     OK_LINE "WWW-Authenticate: Basic\r\nServer: Docker/28.5.2 (linux)\r\nContent-Length: 0\r\n\r\n"},
    /* an upgrade to nothing is written as close */
    {BYTES(OK_LINE "Content-Length: 0\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_UPGRADE, "200 0 length",
     OK_LINE "Content-Length: 0\r\nConnection: close\r\n\r\n"},
};

Test(http, good_answers)
{
	static struct http_answer answer;
	char says[1024], written[1024];

	for (size_t i = 0; i < ARRAY_SIZE(good_answers); i++) {
		const struct answer_case *row = &good_answers[i];
		struct scanned scanned = scan_all_ways(row->bytes, row->len);
		char *exact = copy(row->bytes, row->len);
		enum http_refusal refusal = HTTP_REFUSAL_COUNT;
		long len;

		cr_assert(scanned.result == HTTP_OK && scanned.head_bytes == row->len, "scan: %s",
			  row->bytes);
		memset(&answer, 0xa5, sizeof(answer));
		cr_assert_eq(http_parse_answer(&answer, exact, row->len, row->to_method, &refusal), HTTP_OK,
			     "%d (%s):\n%s", (int)refusal, http_reason(refusal), row->bytes);
		answer_text(&answer, says, sizeof(says));
		cr_expect_str_eq(says, row->says, "%s\n%s", says, row->bytes);
		len = http_write_answer(&answer, row->connection, written, sizeof(written));
		cr_assert(len == (long)strlen(row->writes) && !memcmp(written, row->writes, (size_t)len),
			  "wrote\n%.*s\nnot\n%s", (int)len, written, row->writes);
		for (size_t cap = 0; cap < (size_t)len; cap++)
			cr_assert_eq(http_write_answer(&answer, row->connection, written, cap), -ENOSPC);
		free(exact);
	}
}

static const struct bad_case bad_answers[] = {
    {BYTES(" HTTP/1.1 200 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1  200 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 20 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 2000 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 200OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 200\tOK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 +20 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 099 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 600 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 \r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("ICY 200 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("http/1.1 200 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/2.0 200 OK\r\n\r\n"), HTTP_REFUSED_VERSION},
    {BYTES("HTTP/1.2 200 OK\r\n\r\n"), HTTP_REFUSED_VERSION},
    {BYTES("HTTP/1.1 200 O\0K\r\n\r\n"), HTTP_REFUSED_BYTE},
    {BYTES("HTTP/1.1 200 OK\n\n"), HTTP_REFUSED_BYTE},
    {BYTES(OK_LINE "X : a\r\n\r\n"), HTTP_REFUSED_FIELD},
    {BYTES(OK_LINE "X: a\r\n b\r\n\r\n"), HTTP_REFUSED_FIELD},
    {BYTES(OK_LINE "content_length: 1\r\n\r\n"), HTTP_REFUSED_FIELD},
    {BYTES(OK_LINE "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(OK_LINE "Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 05\r\n\r\n"),
     HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(OK_LINE "Content-Length: 5, 5\r\n\r\n"), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(OK_LINE "Content-Length: -1\r\n\r\n"), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n\r\n"), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(OK_LINE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
     HTTP_REFUSED_LENGTH_AND_CODING},
    {BYTES(OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
     HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(OK_LINE "Transfer-Encoding: gzip\r\n\r\n"), HTTP_REFUSED_TRANSFER_CODING_UNKNOWN},
    {BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES("HTTP/1.1 101 UPGRADED\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(OK_LINE "Connection: content-length\r\n\r\n"), HTTP_REFUSED_CONNECTION},
    {BYTES("HTTP/1.1 101 U\r\nConnection: upgrade\r\nUpgrade: a, b\r\n\r\n"), HTTP_REFUSED_UPGRADE},
    {BYTES("HTTP/1.1 101 U\r\nConnection: upgrade\r\n\r\n"), HTTP_REFUSED_UPGRADE},
};

Test(http, bad_answers)
{
	static struct http_answer answer;

	for (size_t i = 0; i < ARRAY_SIZE(bad_answers); i++) {
		const struct bad_case *row = &bad_answers[i];
		struct scanned scanned = scan_all_ways(row->bytes, row->len);
		char *exact = copy(row->bytes, row->len);

		cr_assert_neq(scanned.result, HTTP_MORE, "row %zu", i);
		if (scanned.result == HTTP_OK)
			cr_expect_eq(http_parse_answer(&answer, exact, row->len, HTTP_GET, &scanned.refusal),
				     HTTP_BAD, "row %zu was taken:\n%s", i, row->bytes);
		cr_expect_eq(scanned.refusal, row->refusal, "row %zu: %d (%s):\n%s", i, (int)scanned.refusal,
			     http_reason(scanned.refusal), row->bytes);
		free(exact);
	}
}

/* A 101 that does not list upgrade is left to the caller, who must not open a tunnel for it. */
Test(http, answer_101_without_connection)
{
	static const char head[] = "HTTP/1.1 101 U\r\nUpgrade: tcp\r\n\r\n";
	static struct http_answer answer;
	enum http_refusal refusal;

	cr_assert_eq(http_parse_answer(&answer, head, sizeof(head) - 1, HTTP_POST, &refusal), HTTP_OK);
	cr_expect_not(answer.upgrade);
	cr_expect_eq(answer.upgrade_to.len, 0);
}
