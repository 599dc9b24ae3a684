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
		memcpy(own->host_id, host_name, OWN_ID_CHARS + 1);
}

/* What an ID of the kind is made of; beginnings of one are, too. */
static bool could_be_id(enum own_kind kind, struct span word)
{
	size_t max = kind == OWN_CONTAINER ? OWN_ID_BYTES - 1 : OWN_SWARM_ID_CHARS;

	for (size_t i = 0; i < word.len; i++) {
		char c = word.ptr[i];
		bool is_digit = c >= '0' && c <= '9';

		if (!is_digit && (c < 'a' || c > (kind == OWN_CONTAINER ? 'f' : 'z')))
			return false;
	}
	return word.len > 0 && word.len <= max;
}

bool own_ids_add(struct own_ids *ids, enum own_kind kind, struct span id)
{
	struct own_id *added = &ids->ids[ids->count];

	if (ids->count == OWN_IDS_MAX || !could_be_id(kind, id))
		return false;
	*added = (struct own_id){.kind = kind};
	memcpy(added->id, id.ptr, id.len);
	ids->count++;
	return true;
}

void own_ids_clear(struct own_ids *ids, enum own_kind kind)
{
	size_t kept = 0;

	for (size_t i = 0; i < ids->count; i++)
		if (ids->ids[i].kind != kind)
			ids->ids[kept++] = ids->ids[i];
	ids->count = kept;
	ids->is_known[kind] = true;
}

bool own_ids_replace(struct own_ids *ids, enum own_kind kind, const struct own_ids *from)
{
	own_ids_clear(ids, kind);
	for (size_t i = 0; i < from->count && ids->is_known[kind]; i++)
		if (from->ids[i].kind == kind)
			ids->is_known[kind] = own_ids_add(ids, kind, span_of(from->ids[i].id));
	return ids->is_known[kind];
}

bool own_is_port(const struct own *own, long long port)
{
	for (size_t i = 0; own && i < OWN_PORTS; i++)
		if (own->ports[i] && own->ports[i] == port)
			return true;
	return false;
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

/* One may be the beginning of the other: what the engine would do with more than an ID is not guessed at. */
static bool is_beginning(struct span word, const char *of)
{
	struct span id = span_of(of);

	return id.len && (word.len < id.len ? span_starts(id, word) : span_starts(word, id));
}

/*
 * The engine looks for an ID, a name, and the beginning of an ID. PARENT/ALIAS is what a link calls a
 * container, headgate's perhaps.
 */
enum own_verdict own_is(const struct own *own, enum own_kind kind, struct span word)
{
	if (!own || !own->name)
		return OWN_NOT;
	while (word.len && word.ptr[0] == '/')
		word = span_skip(word, 1);
	if (word.len == 0)
		return OWN_NOT;
	if (own_is_named(own, word) ||
	    (kind == OWN_CONTAINER && (memchr(word.ptr, '/', word.len) || is_beginning(word, own->host_id))))
		return OWN_IT_IS;
	if (!own->ids || !own->ids->is_known[kind])
		return could_be_id(kind, word) ? OWN_PERHAPS : OWN_NOT;
	for (size_t i = 0; i < own->ids->count; i++)
		if (own->ids->ids[i].kind == kind && is_beginning(word, own->ids->ids[i].id))
			return OWN_IT_IS;
	return OWN_NOT;
}

bool own_is_named(const struct own *own, struct span word)
{
	if (!own || !own->name)
		return false;
	struct span name = span_of(own->name);

	if (word.len < name.len || !span_ieq((struct span){.ptr = word.ptr, .len = name.len}, name))
		return false;
	return word.len == name.len || strchr("-_.", word.ptr[name.len]);
}

static bool is_escaped(struct span text)
{
	return text.len && (memchr(text.ptr, '%', text.len) || memchr(text.ptr, '+', text.len));
}

static bool is_container(const struct own *own, struct span value)
{
	return own_is(own, OWN_CONTAINER, value) != OWN_NOT;
}

/* A container that is given the name of the one before would be taken for it by the next deployment. */
static bool is_taken(const struct own *own, struct span value)
{
	while (value.len && value.ptr[0] == '/')
		value = span_skip(value, 1);
	return own_is_named(own, value);
}

/* Whether `is_own` holds for a value of `key`; what is escaped could be anything and is taken for it. */
static bool query_means(const struct own *own, struct span query, struct span wanted,
			bool (*is_own)(const struct own *own, struct span value))
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
		if (span_eq(key, wanted) && (is_escaped(value) || is_own(own, value)))
			return true;
	}
	return false;
}

/* /containers/create and /containers/ID/rename */
static bool makes_a_name(struct span word, struct span rest)
{
	static const struct span rename = {.ptr = "/rename", .len = 7};

	return span_eq(word, SPAN("create")) ||
	       (rest.len >= rename.len && span_eq(span_skip(rest, rest.len - rename.len), rename));
}

/* /containers/PARENT/ALIAS, which can be deleted and nothing else. */
static bool is_alias(struct span path)
{
	static const enum http_method others[] = {HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT};
	const struct route *route = route_find(HTTP_DELETE, path);

	if (!route || strcmp(route->name, "container-delete") != 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (route_find(others[i], path))
			return false;
	return true;
}

static enum own_verdict yes(bool is_own)
{
	return is_own ? OWN_IT_IS : OWN_NOT;
}

enum own_verdict own_is_meant(const struct own *own, struct span path, struct span query)
{
	static const char *const kinds[] = {
	    [OWN_CONTAINER] = "containers", [OWN_SERVICE] = "services", [OWN_TASK] = "tasks",
	    [OWN_SECRET] = "secrets",	    [OWN_CONFIG] = "configs",
	};
	struct span first, word;

	if (!own || !own->name)
		return OWN_NOT;
	path = route_strip_version(path);
	const struct span whole = path;
	first = take_segment(&path);
	word = take_segment(&path);
	if (span_eq(first, SPAN("volumes")))
		return yes(own_is_named(own, word));
	if (span_eq(first, SPAN("commit")))
		return yes(query_means(own, query, SPAN("container"), is_container));
	if (span_eq(first, SPAN("containers")) &&
	    ((path.len && is_alias(whole)) ||
	     (makes_a_name(word, path) && query_means(own, query, SPAN("name"), is_taken))))
		return OWN_IT_IS;
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		if (!span_eq(first, span_of(kinds[kind])))
			continue;
		enum own_verdict verdict = own_is(own, (enum own_kind)kind, word);
		/* POST /services/create names none; what it makes is judged by its body. */
		return verdict == OWN_PERHAPS && span_eq(word, SPAN("create")) ? OWN_NOT : verdict;
	}
	return OWN_NOT;
}
