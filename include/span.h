/* SPDX-License-Identifier: MIT */
/*
 * span.h: a borrowed piece of somebody else's buffer. Never NUL-terminated, never owned.
 * The parsers hand out spans into the head buffer; they are valid as long as that buffer is.
 * Layer 0.
 */
#ifndef HEADGATE_SPAN_H
#define HEADGATE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *ptr; /* borrowed; may be NULL when len is 0 */
	size_t len;
};

/* A span over a string literal. */
#define SPAN(literal) ((struct span){.ptr = (literal), .len = sizeof(literal) - 1})

static inline struct span span_of(const char *string)
{
	return (struct span){.ptr = string, .len = strlen(string)};
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline char span_lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char)(c | 0x20) : c;
}

/* ASCII case-insensitive, independent of the locale (RFC 9110 5.1: field names). */
static inline bool span_ieq(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (span_lower(a.ptr[i]) != span_lower(b.ptr[i]))
			return false;
	return true;
}

static inline bool span_starts(struct span s, struct span prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* The rest of `s` after its first `n` bytes; n must not exceed s.len. */
static inline struct span span_skip(struct span s, size_t n)
{
	return (struct span){.ptr = s.ptr + n, .len = s.len - n};
}

/* Without leading and trailing spaces and tabs (RFC 9110 5.6.3: OWS). */
static inline struct span span_trim(struct span s)
{
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = span_skip(s, 1);
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* As much of `s` as `out` holds, NUL-terminated; `out_cap` must not be 0. */
static inline void span_copy(char *out, size_t out_cap, struct span s)
{
	size_t len = s.len < out_cap ? s.len : out_cap - 1;

	if (len)
		memcpy(out, s.ptr, len);
	out[len] = '\0';
}

#endif
