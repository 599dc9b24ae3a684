/* SPDX-License-Identifier: MIT */
/*
 * http_support.h: what the tests of heads share. Every head is scanned whole, at every split point and byte
 * by byte, each time from a buffer of just its size, so that AddressSanitizer sees a look past the end.
 */
#ifndef HEADGATE_HTTP_SUPPORT_H
#define HEADGATE_HTTP_SUPPORT_H

#include "http.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PING	    "GET /_ping HTTP/1.1\r\n"
#define HOST	    "Host: x\r\n"
#define END	    "\r\n"
#define BYTES(text) (text), sizeof(text) - 1

static inline void *copy(const char *bytes, size_t len)
{
	char *exact = malloc(len ? len : 1);

	cr_assert_not_null(exact);
	memcpy(exact, bytes, len);
	return exact;
}

struct scanned {
	enum http_result result;
	enum http_refusal refusal;
	size_t head_bytes;
};

/* Scans bytes[0..len) as it arrives in pieces that end at `cuts` and at len; stops at the first end. */
static inline struct scanned scan_pieces(const char *bytes, size_t len, const size_t *cuts, size_t cuts_count)
{
	struct scanned scanned = {.result = HTTP_MORE};
	struct http_scan scan = {0};

	for (size_t i = 0; i <= cuts_count && scanned.result == HTTP_MORE; i++) {
		size_t piece = i < cuts_count ? cuts[i] : len;
		char *exact = copy(bytes, piece);

		scanned.result = http_scan(&scan, exact, piece, &scanned.head_bytes, &scanned.refusal);
		free(exact);
	}
	return scanned;
}

/* The result of scanning whole; it must be the same for all pieces. */
static inline struct scanned scan_all_ways(const char *bytes, size_t len)
{
	struct scanned whole = scan_pieces(bytes, len, NULL, 0), other;
	size_t *each = calloc(len + 1, sizeof(*each));

	cr_assert_not_null(each);
	for (size_t cut = 0; cut <= len; cut++) {
		each[cut] = cut;
		other = scan_pieces(bytes, len, &cut, 1);
		cr_assert(other.result == whole.result && other.refusal == whole.refusal &&
			      other.head_bytes == whole.head_bytes,
			  "cut at %zu: %.60s", cut, bytes);
	}
	other = scan_pieces(bytes, len, each, len);
	cr_assert(other.result == whole.result && other.refusal == whole.refusal &&
		      other.head_bytes == whole.head_bytes,
		  "byte by byte: %.60s", bytes);
	free(each);
	return whole;
}

static inline const char *framing_text(enum http_framing framing, uint64_t length, char *buf, size_t cap)
{
	switch (framing) {
	case HTTP_FRAMING_NONE:
		return "none";
	case HTTP_FRAMING_CHUNKED:
		return "chunked";
	case HTTP_FRAMING_CLOSE:
		return "close";
	case HTTP_FRAMING_LENGTH:
		break;
	}
	snprintf(buf, cap, "%" PRIu64, length);
	return buf;
}

static inline void add_span(char *buf, size_t cap, const char *label, struct span value)
{
	size_t len = strlen(buf);

	snprintf(buf + len, cap - len, "%s%.*s", label, (int)value.len, value.ptr ? value.ptr : "");
}

struct bad_case {
	const char *bytes;
	size_t len;
	enum http_refusal refusal;
};

#endif
