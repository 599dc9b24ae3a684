/* SPDX-License-Identifier: MIT */
/* http_path_token_test.c: a token that comes in the path, and the one that we send on ourselves. */
#include "http_support.h"

#include <errno.h>

TestSuite(http_path_token, .timeout = 300);

/* The target as it comes; what the path is then, and the token. path NULL: refused with HTTP_REFUSED_PATH. */
static const struct row {
	const char *target, *path, *query, *token;
} rows[] = {
    {"/t/hg_0a1b2c3d_ff/v1.47/containers/json?all=1", "/v1.47/containers/json", "?all=1", "hg_0a1b2c3d_ff"},
    {"/t/a/_ping", "/_ping", "", "a"},
    {"/t/AZaz09-._~/_ping", "/_ping", "", "AZaz09-._~"},
    {"/t/.a/_ping", "/_ping", "", ".a"},
    /* nothing is left: "/" */
    {"/t/a", "/", "", "a"},
    {"/t/a/", "/", "", "a"},
    {"/t/a?x=1", "/", "?x=1", "a"},
    {"/t/t/_ping", "/_ping", "", "t"},
    /* absolute-form */
    {"http://x/t/a/_ping?b", "/_ping", "?b", "a"},
    {"http://x/t/a", "/", "", "a"},
    /* the query is nobody's business */
    {"/t/a/info?p=/t/b/../c%2f", "/info", "?p=/t/b/../c%2f", "a"},
    {"/info?/t/a/", "/info", "?/t/a/", ""},
    /* what follows is decoded and judged as ever */
    {"/t/a/containers/%65xport%3a1/~", "/containers/export:1/~", "", "a"},
    {"/t/a//_ping", NULL, NULL, NULL},
    {"/t/a/../_ping", NULL, NULL, NULL},
    {"/t/a/./_ping", NULL, NULL, NULL},
    {"/t/a/_ping/..", NULL, NULL, NULL},
    {"/t/a/%2e%2e/_ping", NULL, NULL, NULL},
    {"/t/a/b%2fc", NULL, NULL, NULL},
    {"/t/a/b%00", NULL, NULL, NULL},
    {"/t/a/b#c", NULL, NULL, NULL},
    /* no token, or not of these characters */
    {"/t/", NULL, NULL, NULL},
    {"/t/?a", NULL, NULL, NULL},
    {"/t//_ping", NULL, NULL, NULL},
    {"/t/./_ping", NULL, NULL, NULL},
    {"/t/../_ping", NULL, NULL, NULL},
    {"/t/..", NULL, NULL, NULL},
    {"/t/a%62/_ping", NULL, NULL, NULL},
    {"/t/a+b/_ping", NULL, NULL, NULL},
    {"/t/a:b/_ping", NULL, NULL, NULL},
    {"/t/a;b/_ping", NULL, NULL, NULL},
    {"/t/a@b/_ping", NULL, NULL, NULL},
    {"/t/a=/_ping", NULL, NULL, NULL},
    {"/t/a\\b/_ping", NULL, NULL, NULL},
    {"/t/\xc3\xa9/_ping", NULL, NULL, NULL},
    /* a token in any other spelling would stay in the path, so there is none */
    {"/%74/secret/_ping", NULL, NULL, NULL},
    {"/t/one/t/two/_ping", NULL, NULL, NULL},
    {"/t/one/%74/two", NULL, NULL, NULL},
    {"/t%2fsecret/_ping", NULL, NULL, NULL},
    {"/./t/secret/_ping", NULL, NULL, NULL},
    {"//t/secret/_ping", NULL, NULL, NULL},
    /* and these are paths like any other */
    {"/t", "/t", "", ""},
    {"/T/secret/_ping", "/T/secret/_ping", "", ""},
    {"/tt/secret", "/tt/secret", "", ""},
    {"/v1.47/t/secret", "/v1.47/t/secret", "", ""},
    {"/", "/", "", ""},
    {"/_ping", "/_ping", "", ""},
};

static enum http_result parse(struct http_request *request, const char *target, bool takes, char **head,
			      enum http_refusal *refusal)
{
	char text[8192];
	int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);

	cr_assert(len > 0 && (size_t)len < sizeof(text));
	*head = copy(text, (size_t)len);
	memset(request, 0, sizeof(*request));
	request->takes_path_token = takes;
	return http_parse_request(request, *head, (size_t)len, refusal);
}

static void expect_span(struct span got, const char *want, const char *target)
{
	cr_expect(span_eq(got, span_of(want)), "%s: '%.*s', not '%s'", target, (int)got.len, got.ptr, want);
}

Test(http_path_token, targets)
{
	static struct http_request request;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum http_refusal refusal;
		char *head;
		enum http_result result = parse(&request, rows[i].target, true, &head, &refusal);

		cr_expect_eq(result, rows[i].path ? HTTP_OK : HTTP_BAD, "%s", rows[i].target);
		if (!rows[i].path)
			cr_expect_eq(refusal, HTTP_REFUSED_PATH, "%s: %d", rows[i].target, (int)refusal);
		if (rows[i].path && result == HTTP_OK) {
			expect_span(request.path, rows[i].path, rows[i].target);
			expect_span(request.query, rows[i].query, rows[i].target);
			expect_span(request.path_token, rows[i].token, rows[i].target);
			cr_expect_not(request.has_token, "that is the field's");
		}
		cr_expect(request.takes_path_token, "it is asked for of the next request, too");
		free(head);
	}
}

/* Nothing of it goes on. */
Test(http_path_token, is_not_written)
{
	static struct http_request request;
	enum http_refusal refusal;
	char *head, out[256];

	cr_assert_eq(parse(&request, "/t/secret/_ping?a=b", true, &head, &refusal), HTTP_OK);
	long len = http_write_request(&request, HTTP_CONNECTION_KEEP, NULL, out, sizeof(out));
	expect_span((struct span){.ptr = out, .len = (size_t)len},
		    "GET /_ping?a=b HTTP/1.1\r\nHost: x\r\n\r\n", "written");
	free(head);
}

/* Unless it is asked for there is no such thing. */
Test(http_path_token, off)
{
	static struct http_request request;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum http_refusal refusal;
		char *head;

		if (parse(&request, rows[i].target, false, &head, &refusal) == HTTP_OK) {
			cr_expect_eq(request.path_token.len, 0, "%s", rows[i].target);
			cr_expect(strncmp(rows[i].target, "/t/", 3) != 0 ||
				      span_starts(request.path, SPAN("/t/")),
				  "%s", rows[i].target);
		}
		free(head);
	}
	/* A query is never part of it. */
	enum http_refusal refusal;
	char *head;
	cr_assert_eq(parse(&request, "/t/a/_ping", false, &head, &refusal), HTTP_OK);
	expect_span(request.path, "/t/a/_ping", "off");
	free(head);
}

Test(http_path_token, length)
{
	static struct http_request request;

	for (size_t len = TOKEN_SECRET_MAX_BYTES - 1; len <= TOKEN_SECRET_MAX_BYTES + 1; len++) {
		char *target = calloc(1, len + 16), *head;
		enum http_refusal refusal;

		cr_assert_not_null(target);
		memcpy(target, "/t/", 3);
		memset(target + 3, 'f', len);
		memcpy(target + 3 + len, "/_ping", 6);
		enum http_result result = parse(&request, target, true, &head, &refusal);
		cr_expect_eq(result, len <= TOKEN_SECRET_MAX_BYTES ? HTTP_OK : HTTP_BAD, "%zu", len);
		if (result == HTTP_OK)
			cr_expect_eq(request.path_token.len, len);
		else
			cr_expect_eq(refusal, HTTP_REFUSED_PATH);
		free(target);
		free(head);
	}
}

/* OPTIONS of nothing stays refused (it would have to be "*"); of a token alone it is "/". */
Test(http_path_token, options)
{
	static struct http_request request;
	char empty[] = "OPTIONS http://x HTTP/1.1\r\nHost: x\r\n\r\n",
	     alone[] = "OPTIONS /t/a HTTP/1.1\r\nHost: x\r\n\r\n";
	enum http_refusal refusal;

	request.takes_path_token = true;
	cr_expect_eq(http_parse_request(&request, empty, sizeof(empty) - 1, &refusal), HTTP_BAD);
	cr_expect_eq(refusal, HTTP_REFUSED_TARGET);
	cr_expect_eq(http_parse_request(&request, alone, sizeof(alone) - 1, &refusal), HTTP_OK);
	expect_span(request.path, "/", "alone");
}

/* ---- the token that goes on ---- */

Test(http_path_token, our_own_token_replaces_the_clients)
{
	static struct http_request request;
	char head[] =
	    "POST /exec/a/start HTTP/1.1\r\nHost: \r\ntoken: theirs\r\nAuthorization: Bearer theirs\r\n"
	    "X-A: b\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n";
	static const char want[] = "POST /exec/a/start HTTP/1.1\r\nHost: \r\ntoken: hg_ours\r\nX-A: b\r\n"
				   "Content-Length: 2\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
	enum http_refusal refusal;
	char out[512];

	cr_assert_eq(http_parse_request(&request, head, sizeof(head) - 1, &refusal), HTTP_OK);
	long len = http_write_request(&request, HTTP_CONNECTION_UPGRADE, "hg_ours", out, sizeof(out));
	expect_span((struct span){.ptr = out, .len = (size_t)len}, want, "written");
	for (size_t cap = 0; cap < sizeof(want) - 1; cap++)
		cr_assert_eq(http_write_request(&request, HTTP_CONNECTION_UPGRADE, "hg_ours", out, cap),
			     -ENOSPC);
}

/* What HTTP_WRITE_MAX_BYTES promises: the longest head with the longest token fits. */
Test(http_path_token, the_longest_fits)
{
	static struct http_request request;
	static char head[HTTP_HEAD_MAX_BYTES], out[HTTP_WRITE_MAX_BYTES], token[TOKEN_SECRET_MAX_BYTES + 1];
	static const char line[] = "GET / HTTP/1.0\r\n";
	size_t at = sizeof(line) - 1;
	enum http_refusal refusal;

	memcpy(head, line, at);
	for (size_t i = 0; i < HTTP_FIELDS_MAX; i++, at += 5)
		memcpy(head + at, "a:b\r\n", 5);
	memset(head + at - 2, 'c', HTTP_HEAD_MAX_BYTES - at + 2);
	memcpy(head + HTTP_HEAD_MAX_BYTES - 4, "\r\n\r\n", 4);
	memset(token, 'f', TOKEN_SECRET_MAX_BYTES);
	cr_assert_eq(http_parse_request(&request, head, HTTP_HEAD_MAX_BYTES, &refusal), HTTP_OK);
	cr_expect_gt(http_write_request(&request, HTTP_CONNECTION_CLOSE, token, out, sizeof(out)),
		     (long)(HTTP_HEAD_MAX_BYTES + TOKEN_SECRET_MAX_BYTES));
}
