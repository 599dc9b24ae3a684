/* SPDX-License-Identifier: MIT */
#include "own.h"

#include <string.h>

#include "compiler.h"
#include "route.h"

void own_init(struct own *own, const char *name, const char *host_name)
{
	*own = (struct own){.name = name};
	if (name && strlen(host_name) == OWN_ID_CHARS &&
	    strspn(host_name, "0123456789abcdef") == OWN_ID_CHARS)
		memcpy(own->id, host_name, OWN_ID_CHARS + 1);
}

/* The segment in front, taken off with its slash. */
static struct span take_segment(struct span *path)
{
	const char *slash;
	struct span segment;

	while (path->len && path->ptr[0] == '/')
		*path = span_skip(*path, 1);
	slash = path->len ? memchr(path->ptr, '/', path->len) : NULL;
	segment = (struct span){.ptr = path->ptr, .len = slash ? (size_t)(slash - path->ptr) : path->len};
	*path = span_skip(*path, segment.len);
	return segment;
}

/* The engine looks for an ID, a name, and the beginning of an ID. */
static bool is_container(const struct own *own, struct span word)
{
	struct span id = span_of(own->id);

	while (word.len && word.ptr[0] == '/')
		word = span_skip(word, 1);
	if (span_ieq(word, span_of(own->name)))
		return true;
	if (word.len == 0 || id.len == 0)
		return false;
	return word.len < id.len ? span_starts(id, word) : span_starts(word, id);
}

static bool is_named(const struct own *own, struct span word)
{
	struct span name = span_of(own->name);

	if (word.len < name.len || !span_ieq((struct span){.ptr = word.ptr, .len = name.len}, name))
		return false;
	return word.len == name.len || strchr("-_.", word.ptr[name.len]);
}

static bool is_escaped(struct span text)
{
	return text.len && (memchr(text.ptr, '%', text.len) || memchr(text.ptr, '+', text.len));
}

/* What a commit is made of stands in the query, maybe escaped: one that could be is taken for it. */
static bool commits(const struct own *own, struct span query)
{
	while (query.len) {
		const char *end = memchr(query.ptr, '&', query.len);
		struct span pair = {.ptr = query.ptr, .len = end ? (size_t)(end - query.ptr) : query.len};

		query = span_skip(query, pair.len + !!end);
		if (pair.len && pair.ptr[0] == '?')
			pair = span_skip(pair, 1);
		const char *equals = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
		struct span key = {.ptr = pair.ptr, .len = equals ? (size_t)(equals - pair.ptr) : pair.len};
		struct span value = span_skip(pair, key.len + !!equals);
		if (is_escaped(key))
			return true;
		if (span_eq(key, SPAN("container")) && (is_escaped(value) || is_container(own, value)))
			return true;
	}
	return false;
}

bool own_is_meant(const struct own *own, struct span path, struct span query)
{
	static const char *const named[] = {"volumes", "services", "secrets", "configs"};
	struct span kind, word;

	if (!own || !own->name)
		return false;
	path = route_strip_version(path);
	kind = take_segment(&path);
	word = take_segment(&path);
	if (span_eq(kind, SPAN("containers")))
		return is_container(own, word);
	if (span_eq(kind, SPAN("commit")))
		return commits(own, query);
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (span_eq(kind, span_of(named[i])))
			return is_named(own, word);
	return false;
}
