/* SPDX-License-Identifier: MIT */
/*
 * Routes: the first byte is the method, the rest the path, in a block of just its size. The row found
 * must be the first one whose pattern, read plainly, matches; with a version in front it is the same.
 */
#include "fuzz.h"
#include "route.h"

static size_t segment_length(struct span s)
{
	const char *slash = s.len ? memchr(s.ptr, '/', s.len) : NULL;

	return slash ? (size_t)(slash - s.ptr) : s.len;
}

/* The plain meaning of a pattern; `path` starts with a slash or is empty. */
static bool plainly_matches(const char *pattern, struct span path)
{
	struct span wanted, rest;
	size_t length;

	if (!*pattern || !path.len)
		return !*pattern && !path.len;
	if (path.ptr[0] != '/')
		return false;
	pattern++;
	wanted = (struct span){.ptr = pattern, .len = strcspn(pattern, "/")};
	rest = span_skip(path, 1);
	length = segment_length(rest);
	if (span_eq(wanted, SPAN("**"))) {
		/* One segment at least, then as many as the end of the pattern leaves. */
		while (length) {
			rest = span_skip(rest, length);
			if (plainly_matches(pattern + wanted.len, rest))
				return true;
			if (!rest.len)
				return false;
			rest = span_skip(rest, 1);
			length = segment_length(rest);
		}
		return false;
	}
	if (span_eq(wanted, SPAN("*")) ? length == 0
				       : !span_eq(wanted, (struct span){.ptr = rest.ptr, .len = length}))
		return false;
	return plainly_matches(pattern + wanted.len, span_skip(rest, length));
}

static const struct route *plainly_find(enum http_method method, struct span path)
{
	size_t count;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < count; i++)
		if (table[i].method == method && plainly_matches(table[i].pattern, path))
			return &table[i];
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct route *found, *wanted;
	struct span path, stripped;
	enum http_method method;
	char *copy, *versioned;

	if (size == 0)
		return 0;
	method = (enum http_method)(data[0] % (HTTP_OTHER + 1));
	path = (struct span){.len = size - 1};
	copy = fuzz_copy(data + 1, path.len);
	versioned = malloc(path.len + 6);
	FUZZ_CHECK(versioned);
	path.ptr = copy;

	stripped = route_strip_version(path);
	FUZZ_CHECK(stripped.ptr + stripped.len == path.ptr + path.len);
	FUZZ_CHECK(stripped.len == path.len || stripped.ptr[0] == '/');

	found = route_find(method, path);
	wanted = plainly_find(method, stripped);
	if (!wanted && method == HTTP_HEAD)
		wanted = plainly_find(HTTP_GET, stripped);
	FUZZ_CHECK(found == wanted);
	if (stripped.len == path.len && path.len && path.ptr[0] == '/') {
		memcpy(versioned, "/v1.41", 6);
		memcpy(versioned + 6, path.ptr, path.len);
		FUZZ_CHECK(route_find(method, (struct span){.ptr = versioned, .len = path.len + 6}) == found);
	}
	free(versioned);
	free(copy);
	return 0;
}
