/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "reply.h"

/* The longest message in a reply, escapes counted. */
#define MESSAGE_MAX_BYTES ((size_t)1024)

/*
 * Follows the message of every 401, whatever was wrong: who guesses learns nothing, who forgot the header
 * learns which. The docker CLI shows it behind `Error response from daemon: `.
 */
static const char unauthorized_hint[] = ", as header 'token: TOKEN' or 'Authorization: Bearer TOKEN', or as "
					"the password of 'Authorization: Basic'";

/* The length of the valid UTF-8 sequence at `s` (RFC 3629: no overlong forms, no surrogates), or 0. */
static size_t utf8_length(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		length = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		length = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < length; i++) {
		/* The terminating NUL is no continuation byte, so this never runs past it. */
		if (s[i] < low || s[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return length;
}

/* Writes one character of `s` as it stands in a JSON string; says in *taken how much of `s` it was. */
static size_t escape_one(const unsigned char *s, size_t *taken, char out[8])
{
	size_t length;

	*taken = 1;
	if (*s == '"' || *s == '\\') {
		out[0] = '\\';
		out[1] = (char)*s;
		return 2;
	}
	if (*s < 0x20 || *s == 0x7f)
		return (size_t)snprintf(out, 8, "\\u%04x", *s);
	if (*s < 0x80) {
		out[0] = (char)*s;
		return 1;
	}
	length = utf8_length(s);
	if (length == 0)
		return (size_t)snprintf(out, 8, "\\ufffd");
	memcpy(out, s, length);
	*taken = length;
	return length;
}

/*
 * Escapes `message` behind the `used` bytes of `out`, cut between two characters when it is too long. Returns
 * the length of both.
 */
static size_t escape_message(const char *message, char out[MESSAGE_MAX_BYTES], size_t used)
{
	const unsigned char *s = (const unsigned char *)message;
	size_t taken;

	for (; *s; s += taken) {
		char one[8];
		size_t length = escape_one(s, &taken, one);

		if (used + length > MESSAGE_MAX_BYTES)
			break;
		memcpy(out + used, one, length);
		used += length;
	}
	return used;
}

long reply_write(int status, const char *message, unsigned retry_after_s, enum http_method to_method,
		 char *buf, size_t cap)
{
	/* Only Bearer: a Basic challenge makes browsers ask for, keep and resend a password by themselves. */
	const char *challenge = status == 401 ? "WWW-Authenticate: Bearer realm=\"headgate\"\r\n" : "";
	static const char body_start[] = "{\"message\":\"", body_end[] = "\"}\n";
	char escaped[MESSAGE_MAX_BYTES], retry[40] = "";
	size_t escaped_length = escape_message(message, escaped, 0);
	if (status == 401)
		escaped_length = escape_message(unauthorized_hint, escaped, escaped_length);
	size_t body_length = sizeof(body_start) - 1 + escaped_length + sizeof(body_end) - 1;
	int length;

	if (retry_after_s)
		snprintf(retry, sizeof(retry), "Retry-After: %u\r\n", retry_after_s);
	length = snprintf(buf, cap,
			  "HTTP/1.1 %03d %s\r\n"
			  "Content-Type: application/json\r\n"
			  "Content-Length: %zu\r\n"
			  "%s%s"
			  "Connection: close\r\n"
			  "\r\n"
			  "%s%.*s%s",
			  status, http_status_text(status), body_length, challenge, retry,
			  to_method == HTTP_HEAD ? "" : body_start,
			  to_method == HTTP_HEAD ? 0 : (int)escaped_length, escaped,
			  to_method == HTTP_HEAD ? "" : body_end);
	if (length < 0 || (size_t)length >= cap)
		return -ENOSPC;
	return length;
}

struct span reply_plain_http_on_tls(void)
{
	/* What net/http says (Go, server.go, badRequest on a TLS listener); HTTP/1.0 as no version was read.
	 */
	return SPAN("HTTP/1.0 400 Bad Request\r\n"
		    "Content-Type: text/plain; charset=utf-8\r\n"
		    "Content-Length: 48\r\n"
		    "Connection: close\r\n"
		    "\r\n"
		    "Client sent an HTTP request to an HTTPS server.\n");
}
