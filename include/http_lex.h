/* SPDX-License-Identifier: MIT */
/*
 * http_lex.h: the words of HTTP/1.1 heads, shared by http*.c and body.c; of no use to
 * others. Byte classes, the field names that mean something to us, comma lists. Layer 1.
 */
#ifndef HEADGATE_HTTP_LEX_H
#define HEADGATE_HTTP_LEX_H

#include <stdbool.h>
#include <stdint.h>

#include "compiler.h"
#include "http.h"
#include "span.h"

enum http_char {
	HTTP_CHAR_TOKEN = 1,  /* tchar (RFC 9110 5.6.2) */
	HTTP_CHAR_PATH = 2,   /* pchar less "%" (RFC 3986 3.3); "/" is not one */
	HTTP_CHAR_HOST = 4,   /* unreserved and sub-delims: reg-name less "%" (RFC 3986 3.2.2) */
	HTTP_CHAR_QUERY = 8,  /* what may stay in a query: no control byte, space, DEL or "#" */
	HTTP_CHAR_VALUE = 16, /* field value: HTAB, SP, VCHAR, obs-text (RFC 9110 5.5) */
	HTTP_CHAR_HEX = 32,
	HTTP_CHAR_DIGIT = 64,
};

extern const uint8_t http_char_classes[256];

static inline bool http_char_is(char c, enum http_char class)
{
	return http_char_classes[(unsigned char)c] & class;
}

/* The value of a hexadecimal digit; `c` must be one. */
static inline unsigned http_hex_value(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(span_lower(c) - 'a' + 10);
}

/* Every byte of `s` is of that class; true for an empty one. */
bool http_all_of(struct span s, enum http_char class);

/* RFC 9110 5.6.2: at least one tchar. */
bool http_token_ok(struct span s);

/* The fields that are read, written anew or not forwarded. */
enum http_field_id {
	HTTP_FIELD_TE,
	HTTP_FIELD_HOST,
	HTTP_FIELD_TOKEN,
	HTTP_FIELD_EXPECT,
	HTTP_FIELD_ORIGIN,
	HTTP_FIELD_UPGRADE,
	HTTP_FIELD_TRAILER,
	HTTP_FIELD_CONNECTION,
	HTTP_FIELD_KEEP_ALIVE,
	HTTP_FIELD_CONTENT_TYPE,
	HTTP_FIELD_AUTHORIZATION,
	HTTP_FIELD_CONTENT_LENGTH,
	HTTP_FIELD_HTTP2_SETTINGS,
	HTTP_FIELD_PROXY_CONNECTION,
	HTTP_FIELD_TRANSFER_ENCODING,
	HTTP_FIELD_PROXY_AUTHENTICATE,
	HTTP_FIELD_PROXY_AUTHORIZATION,
	HTTP_FIELD_COUNT,
	HTTP_FIELD_OTHER = HTTP_FIELD_COUNT,
};

#define HTTP_FIELD_NAME_MAX_BYTES ((size_t)19)

extern const struct span http_field_names[HTTP_FIELD_COUNT];

/*
 * For comparing field names: lower case, and '_' as '-'. CGI-like engines read both as one
 * (`content_length`), so a name that differs from a known one by '_' only is never just another name.
 */
static inline char http_field_fold(char c)
{
	return c == '_' ? '-' : span_lower(c);
}

/* Which known field a name is after folding; HTTP_FIELD_OTHER when none. */
enum http_field_id http_field_find(struct span name);

/*
 * Takes the next member of a comma-separated list off *rest, without white space around it. Empty
 * members are handed out too. False when there is none left; an empty list has one empty member.
 */
bool http_list_next(struct span *rest, struct span *member);

/* ---- http_target.c -------------------------------------------------------------------------- */

/*
 * Reads a request target into request->path and ->query; the path is decoded in place. *authority is
 * what an absolute-form target names, len 0 for origin-form.
 */
enum http_refusal http_target_parse(struct http_request *request, char *target, size_t len,
				    struct span *authority);

/* RFC 9110 7.2: uri-host [ ":" port ]; empty is fine. */
bool http_host_ok(struct span host);

#endif
