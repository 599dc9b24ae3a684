/* SPDX-License-Identifier: MIT */
#include "http_lex.h"

#include <assert.h>

/* Sums of enum http_char; the unit test compares them with the grammars, byte for byte. */
/* clang-format off */
const uint8_t http_char_classes[256] = {
	  0,   0,   0,   0,   0,   0,   0,   0,   0,  16,   0,   0,   0,   0,   0,   0, /* NUL to SI; HTAB is 16 */
	  0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0, /* DLE to US */
	 16,  31,  24,  17,  31,  25,  31,  31,  30,  30,  31,  31,  30,  31,  31,  24, /* SP to / */
	127, 127, 127, 127, 127, 127, 127, 127, 127, 127,  26,  30,  24,  30,  24,  24, /* 0 to ? */
	 26,  63,  63,  63,  63,  63,  63,  31,  31,  31,  31,  31,  31,  31,  31,  31, /* @ to O */
	 31,  31,  31,  31,  31,  31,  31,  31,  31,  31,  31,  24,  24,  24,  25,  31, /* P to _ */
	 25,  63,  63,  63,  63,  63,  63,  31,  31,  31,  31,  31,  31,  31,  31,  31, /* ` to o */
	 31,  31,  31,  31,  31,  31,  31,  31,  31,  31,  31,  24,  25,  24,  31,   0, /* p to DEL */
	 24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24, /* 0x80 */
	 24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24, /* 0x90 */
	 24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24, /* 0xA0 */
	 24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24, /* 0xB0 */
	 24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24, /* 0xC0 */
	 24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24, /* 0xD0 */
	 24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24, /* 0xE0 */
	 24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24,  24, /* 0xF0 */
};
/* clang-format on */

static_assert(HTTP_CHAR_TOKEN == 1 && HTTP_CHAR_PATH == 2 && HTTP_CHAR_HOST == 4 && HTTP_CHAR_QUERY == 8 &&
		  HTTP_CHAR_VALUE == 16 && HTTP_CHAR_HEX == 32 && HTTP_CHAR_DIGIT == 64,
	      "http_char_classes[] is made of these numbers");

/* clang-format off */
#define NAME(id, text) [id] = { .ptr = (text), .len = sizeof(text) - 1 }
/* clang-format on */

const struct span http_field_names[] = {
    NAME(HTTP_FIELD_TE, "te"),
    NAME(HTTP_FIELD_HOST, "host"),
    NAME(HTTP_FIELD_TOKEN, "token"),
    NAME(HTTP_FIELD_EXPECT, "expect"),
    NAME(HTTP_FIELD_ORIGIN, "origin"),
    NAME(HTTP_FIELD_UPGRADE, "upgrade"),
    NAME(HTTP_FIELD_TRAILER, "trailer"),
    NAME(HTTP_FIELD_CONNECTION, "connection"),
    NAME(HTTP_FIELD_KEEP_ALIVE, "keep-alive"),
    NAME(HTTP_FIELD_CONTENT_TYPE, "content-type"),
    NAME(HTTP_FIELD_AUTHORIZATION, "authorization"),
    NAME(HTTP_FIELD_CONTENT_LENGTH, "content-length"),
    NAME(HTTP_FIELD_HTTP2_SETTINGS, "http2-settings"),
    NAME(HTTP_FIELD_PROXY_CONNECTION, "proxy-connection"),
    NAME(HTTP_FIELD_TRANSFER_ENCODING, "transfer-encoding"),
    NAME(HTTP_FIELD_PROXY_AUTHENTICATE, "proxy-authenticate"),
    NAME(HTTP_FIELD_PROXY_AUTHORIZATION, "proxy-authorization"),
};

static_assert(ARRAY_SIZE(http_field_names) == HTTP_FIELD_COUNT, "a field without a name");

bool http_all_of(struct span s, enum http_char class)
{
	for (size_t i = 0; i < s.len; i++)
		if (!http_char_is(s.ptr[i], class))
			return false;
	return true;
}

bool http_token_ok(struct span s)
{
	return s.len > 0 && http_all_of(s, HTTP_CHAR_TOKEN);
}

static bool name_is(struct span name, enum http_field_id id)
{
	for (size_t i = 0; i < name.len; i++)
		if (http_field_fold(name.ptr[i]) != http_field_names[id].ptr[i])
			return false;
	return true;
}

/* By length, then by first letter: at most one name is compared in full, mostly none. */
enum http_field_id http_field_find(struct span name)
{
	enum http_field_id id;
	char first;

	if (name.len == 0)
		return HTTP_FIELD_OTHER;
	first = span_lower(name.ptr[0]);
	switch (name.len) {
	case 2:
		id = HTTP_FIELD_TE;
		break;
	case 4:
		id = HTTP_FIELD_HOST;
		break;
	case 5:
		id = HTTP_FIELD_TOKEN;
		break;
	case 6:
		id = first == 'e' ? HTTP_FIELD_EXPECT : HTTP_FIELD_ORIGIN;
		break;
	case 7:
		id = first == 'u' ? HTTP_FIELD_UPGRADE : HTTP_FIELD_TRAILER;
		break;
	case 10:
		id = first == 'c' ? HTTP_FIELD_CONNECTION : HTTP_FIELD_KEEP_ALIVE;
		break;
	case 12:
		id = HTTP_FIELD_CONTENT_TYPE;
		break;
	case 13:
		id = HTTP_FIELD_AUTHORIZATION;
		break;
	case 14:
		id = first == 'c' ? HTTP_FIELD_CONTENT_LENGTH : HTTP_FIELD_HTTP2_SETTINGS;
		break;
	case 16:
		id = HTTP_FIELD_PROXY_CONNECTION;
		break;
	case 17:
		id = HTTP_FIELD_TRANSFER_ENCODING;
		break;
	case 18:
		id = HTTP_FIELD_PROXY_AUTHENTICATE;
		break;
	case 19:
		id = HTTP_FIELD_PROXY_AUTHORIZATION;
		break;
	default:
		return HTTP_FIELD_OTHER;
	}
	return name_is(name, id) ? id : HTTP_FIELD_OTHER;
}

bool http_list_next(struct span *rest, struct span *member)
{
	const char *comma;
	size_t len;

	if (!rest->ptr)
		return false;
	comma = rest->len ? memchr(rest->ptr, ',', rest->len) : NULL;
	if (!comma) {
		*member = span_trim(*rest);
		*rest = (struct span){0};
		return true;
	}
	len = (size_t)(comma - rest->ptr);
	*member = span_trim((struct span){.ptr = rest->ptr, .len = len});
	*rest = span_skip(*rest, len + 1);
	return true;
}
