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
		memcpy(own->ids[0], host_name, OWN_ID_CHARS + 1);
}

void own_learn(struct own *own, const char *id, const char *before_id)
{
	const char *const known[] = {id, before_id};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		size_t len = strlen(known[i]);

		if (len <= OWN_WHOLE_ID_CHARS)
			memcpy(own->ids[1 + i], known[i], len + 1);
	}
	own->is_sure = true;
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

static bool is_hex(struct span word)
{
	for (size_t i = 0; i < word.len; i++)
		if (!strchr("0123456789abcdef", word.ptr[i]) || word.ptr[i] == '\0')
			return false;
	return word.len > 0;
}

/*
 * The engine looks for an ID, a name, and the beginning of an ID. PARENT/ALIAS is what a link calls a
 * container, headgate's perhaps.
 */
bool own_is_container(const struct own *own, struct span word)
{
	if (!own || !own->name)
		return false;
	while (word.len && word.ptr[0] == '/')
		word = span_skip(word, 1);
	if (word.len == 0)
		return false;
	if (own_is_named(own, word) || memchr(word.ptr, '/', word.len) || (!own->is_sure && is_hex(word)))
		return true;
	for (size_t i = 0; i < OWN_IDS; i++) {
		struct span id = span_of(own->ids[i]);

		if (id.len && (word.len < id.len ? span_starts(id, word) : span_starts(word, id)))
			return true;
	}
	return false;
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

/* IDs of the swarm are small letters and digits: what has another character is a name and nothing else. */
static bool could_be_service_id(struct span word)
{
	for (size_t i = 0; i < word.len; i++)
		if (!strchr("0123456789abcdefghijklmnopqrstuvwxyz", word.ptr[i]) || word.ptr[i] == '\0')
			return false;
	return word.len > 0 && word.len <= OWN_SERVICE_ID_CHARS;
}

/* As a container: an ID, a name, and the beginning of an ID. */
static bool is_service(const struct own *own, struct span word)
{
	if (!own || own_is_named(own, word))
		return own != NULL;
	if (!could_be_service_id(word))
		return false;
	for (size_t i = 0; i < OWN_SERVICES; i++)
		if (span_starts(span_of(own->services.ids[i]), word))
			return true;
	return !own->services.is_sure;
}

static bool is_escaped(struct span text)
{
	return text.len && (memchr(text.ptr, '%', text.len) || memchr(text.ptr, '+', text.len));
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

bool own_is_meant(const struct own *own, struct span path, struct span query)
{
	static const char *const named[] = {"volumes", "secrets", "configs"};
	struct span kind, word;

	if (!own || !own->name)
		return false;
	path = route_strip_version(path);
	const struct span whole = path;
	kind = take_segment(&path);
	word = take_segment(&path);
	if (span_eq(kind, SPAN("containers")))
		return own_is_container(own, word) || (path.len && is_alias(whole)) ||
		       (makes_a_name(word, path) && query_means(own, query, SPAN("name"), is_taken));
	if (span_eq(kind, SPAN("commit")))
		return query_means(own, query, SPAN("container"), own_is_container);
	if (span_eq(kind, SPAN("services")))
		return !span_eq(word, SPAN("create")) && is_service(own, word);
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (span_eq(kind, span_of(named[i])))
			return own_is_named(own, word);
	return false;
}
