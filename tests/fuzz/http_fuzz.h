/* SPDX-License-Identifier: MIT */
/* http_fuzz.h: checks for both kinds of heads. */
#ifndef HEADGATE_HTTP_FUZZ_H
#define HEADGATE_HTTP_FUZZ_H

#include "fuzz.h"
#include "http.h"

/*
 * Scans whole, byte by byte and in random pieces; all must agree. False when there is no whole, good
 * head; else *head_bytes is its length.
 */
static inline bool fuzz_scan(const uint8_t *data, size_t size, size_t *head_bytes)
{
	enum http_result results[3];
	enum http_refusal refusals[3];
	size_t ends[3] = {0};
	uint64_t state = size;

	for (size_t way = 0; way < ARRAY_SIZE(results); way++) {
		struct http_scan scan = {0};
		char *copy = fuzz_arriving(data, size);
		size_t len = 0;

		do {
			size_t left = size - len;
			size_t piece = way == 0 ? left : way == 1 ? 1 : 1 + fuzz_next(&state, 17);

			len += piece < left ? piece : left;
			fuzz_arrived(copy, len);
			results[way] = http_scan(&scan, copy, len, &ends[way], &refusals[way]);
			FUZZ_CHECK(scan.done_bytes <= len);
		} while (results[way] == HTTP_MORE && len < size);
		fuzz_arrived(copy, size);
		free(copy);
		FUZZ_CHECK(results[way] == results[0] && ends[way] == ends[0]);
		FUZZ_CHECK(refusals[way] == refusals[0]);
		FUZZ_CHECK((results[way] == HTTP_BAD) == (refusals[way] != HTTP_REFUSED_NOTHING));
	}
	*head_bytes = ends[0];
	FUZZ_CHECK(results[0] != HTTP_OK || (ends[0] >= 4 && ends[0] <= size));
	return results[0] == HTTP_OK;
}

static inline bool fuzz_span_inside(struct span s, const char *buf, size_t len)
{
	return s.len == 0 || (s.ptr >= buf && s.ptr + s.len <= buf + len);
}

/*
 * A naive reader of what was written: every line ends in CRLF, no other CR, LF or control byte but
 * HTAB, one empty line, at the end. Counts the field lines with that (lower-case) name.
 */
static inline size_t fuzz_count_fields(const char *head, size_t len, const char *name)
{
	size_t count = 0, lines = 0, name_len = strlen(name);

	for (size_t at = 0; at < len; lines++) {
		size_t end = at;

		while (end < len && head[end] != '\r') {
			unsigned char c = (unsigned char)head[end++];

			FUZZ_CHECK((c >= ' ' && c != 0x7f) || c == '\t');
		}
		FUZZ_CHECK(end + 1 < len && head[end + 1] == '\n');
		FUZZ_CHECK((end == at) == (end + 2 == len));
		if (lines > 0 && end - at > name_len && head[at + name_len] == ':' &&
		    span_ieq((struct span){.ptr = head + at, .len = name_len}, span_of(name)))
			count++;
		at = end + 2;
	}
	return count;
}

/* Whether what was written has no more fields than the parser takes: ours may be one too many. */
static inline bool fuzz_fields_fit(const char *head, size_t len)
{
	size_t lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += head[i] == '\n';
	return lines <= HTTP_FIELDS_MAX + 2;
}

/* Fields that never pass, whatever Connection says; the framing fields are counted elsewhere. */
static inline void fuzz_check_hop_by_hop(const char *head, size_t len)
{
	static const char *const names[] = {"te",
					    "keep-alive",
					    "proxy-connection",
					    "proxy-authorization",
					    "proxy-authenticate",
					    "http2-settings"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		FUZZ_CHECK(fuzz_count_fields(head, len, names[i]) == 0);
}

#endif
