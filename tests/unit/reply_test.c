/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reply.h"

TestSuite(reply, .timeout = 300);

static char reply[REPLY_MAX_BYTES + 1];

static const char *write_reply(int status, const char *message, enum http_method method)
{
	long length = reply_write(status, message, 0, method, reply, REPLY_MAX_BYTES);

	cr_assert(length > 0, "%ld", length);
	reply[length] = '\0';
	cr_assert_eq(strlen(reply), (size_t)length);
	return reply;
}

/* The body, after checking that Content-Length tells its length. */
static const char *body_of(const char *text)
{
	const char *body = strstr(text, "\r\n\r\n"), *field = strstr(text, "\r\nContent-Length: ");

	cr_assert_not_null(body);
	cr_assert_not_null(field);
	cr_assert(field < body);
	body += 4;
	cr_assert_eq(strtoul(field + 18, NULL, 10), strlen(body));
	return body;
}

Test(reply, dockers_form)
{
	cr_assert_str_eq(write_reply(502, "cannot reach the engine", HTTP_GET),
			 "HTTP/1.1 502 Bad Gateway\r\n"
			 "Content-Type: application/json\r\n"
			 "Content-Length: 38\r\n"
			 "Connection: close\r\n"
			 "\r\n"
			 "{\"message\":\"cannot reach the engine\"}\n");
}

Test(reply, unauthorized_has_a_challenge_and_only_it)
{
	const char *text = write_reply(401, "unauthorized", HTTP_POST);
	const char *field = strstr(text, "\r\nWWW-Authenticate: Bearer realm=\"headgate\"\r\n");

	cr_assert_not_null(field);
	cr_assert(field < strstr(text, "\r\n\r\n"));
	cr_assert_null(strstr(text, "Authenticate: Basic"),
		       "a Basic challenge makes browsers keep the password");
	cr_assert_null(strstr(write_reply(403, "no", HTTP_POST), "WWW-Authenticate"));
}

/* Read in the CLI's `Error response from daemon: ...`, and not sent for what is no matter of tokens. */
Test(reply, unauthorized_says_how_a_token_comes)
{
	cr_assert_str_eq(
	    body_of(write_reply(401, "a valid token is required", HTTP_GET)),
	    "{\"message\":\"a valid token is required, as header 'token: TOKEN' or 'Authorization: "
	    "Bearer TOKEN', or as the password of 'Authorization: Basic'\"}\n");
	cr_assert_null(strstr(write_reply(403, "no", HTTP_GET), "TOKEN"));
	cr_assert_null(strstr(write_reply(401, "no", HTTP_HEAD), "TOKEN"));
}

Test(reply, answer_to_head_has_the_same_head_and_no_body)
{
	char get[REPLY_MAX_BYTES + 1];
	const char *head;

	strcpy(get, write_reply(401, "unauthorized", HTTP_GET));
	head = write_reply(401, "unauthorized", HTTP_HEAD);
	cr_assert_str_eq(strstr(head, "\r\n\r\n"), "\r\n\r\n");
	cr_assert_eq(strncmp(get, head, strlen(head)), 0);
	body_of(get);
}

struct escape_row {
	const char *message, *json;
};

static const struct escape_row escape_rows[] = {
    {"", ""},
    {"plain", "plain"},
    {"a \"quoted\" \\ word", "a \\\"quoted\\\" \\\\ word"},
    {"line\nline\r\ttab\x01\x1f\x7f", "line\\u000aline\\u000d\\u0009tab\\u0001\\u001f\\u007f"},
    {"</script>", "</script>"},
    {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb3", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb3"},
    /* Not UTF-8: stray, cut off, overlong, surrogate, above U+10FFFF. */
    {"\x80", "\\ufffd"},
    {"a\xc3", "a\\ufffd"},
    {"\xc3(", "\\ufffd("},
    {"\xc0\xaf", "\\ufffd\\ufffd"},
    {"\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd"},
    {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},
    {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
    {"\xf0\x80\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
    {"\xe2\x82", "\\ufffd\\ufffd"},
    {"\xff\xfe", "\\ufffd\\ufffd"},
    {"\xef\xbf\xbf", "\xef\xbf\xbf"},
};

Test(reply, messages_are_escaped)
{
	for (size_t i = 0; i < ARRAY_SIZE(escape_rows); i++) {
		char wanted[256];

		snprintf(wanted, sizeof(wanted), "{\"message\":\"%s\"}\n", escape_rows[i].json);
		cr_assert_str_eq(body_of(write_reply(400, escape_rows[i].message, HTTP_GET)), wanted,
				 "row %zu", i);
	}
}

Test(reply, long_messages_are_cut_between_characters)
{
	static const char *const units[] = {"a", "\"", "\n", "\xe2\x82\xac", "\xf0\x9f\x90\xb3"};
	static const size_t escaped[] = {1, 2, 6, 3, 4};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		char message[8192] = "";
		size_t unit = strlen(units[i]), length;
		const char *body;

		for (size_t j = 0; (j + 1) * unit < sizeof(message) - 1; j++)
			memcpy(message + j * unit, units[i], unit + 1);
		body = body_of(write_reply(503, message, HTTP_GET));
		length = strlen(body) - strlen("{\"message\":\"\"}\n");
		cr_assert_eq(length, 1024 / escaped[i] * escaped[i], "unit %zu: %zu", i, length);
		cr_assert_str_eq(body + strlen(body) - 3, "\"}\n");
	}
}

Test(reply, the_longest_reply_fits)
{
	char message[4096];

	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	for (int status = 100; status < 600; status++)
		cr_assert(reply_write(status, message, 0, HTTP_GET, reply, REPLY_MAX_BYTES) > 0, "%d",
			  status);
}

Test(reply, too_small_a_buffer)
{
	long whole = reply_write(401, "unauthorized", 0, HTTP_GET, reply, REPLY_MAX_BYTES);

	for (size_t cap = 0; cap <= (size_t)whole; cap++) {
		char *small = malloc(cap ? cap : 1);

		cr_assert_eq(reply_write(401, "unauthorized", 0, HTTP_GET, small, cap), -ENOSPC, "%zu", cap);
		free(small);
	}
	cr_assert_eq(reply_write(401, "unauthorized", 0, HTTP_GET, reply, (size_t)whole + 1), whole);
}

Test(reply, plain_http_on_the_tls_port)
{
	struct span text = reply_plain_http_on_tls();

	cr_assert(text.len < sizeof(reply));
	memcpy(reply, text.ptr, text.len);
	reply[text.len] = '\0';
	cr_assert_eq(strncmp(reply, "HTTP/1.0 400 Bad Request\r\n", 26), 0);
	cr_assert_str_eq(body_of(reply), "Client sent an HTTP request to an HTTPS server.\n");
}
