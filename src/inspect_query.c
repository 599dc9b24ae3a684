/* SPDX-License-Identifier: MIT */
/*
 * inspect_query.c: the query as Go's url.ParseQuery reads it, and what is asked for there.
 *
 * Pairs are separated by `&`. A `;` is refused: Go before 1.17 took it for a separator, and later ones refuse
 * it. A key twice is refused unless the engine reads it as a list: of two the engine takes the first, another
 * reader the last. Percent signs have to be followed by two hex digits, as in Go.
 */
#include <stdlib.h>

#include "inspect_impl.h"

#define PAIRS_MAX ((size_t)512) /* they are compared with each other */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = span_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes to `out`, which has room for text.len bytes. False when it cannot be decoded, or holds a NUL. */
static bool decode(struct span text, char *out, struct span *decoded)
{
	size_t length = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
			int low = i + 2 < text.len ? hex_value(text.ptr[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0')
			return false;
		out[length++] = c;
	}
	*decoded = (struct span){.ptr = out, .len = length};
	return true;
}

static bool may_repeat(struct span key, const char *const *repeatable)
{
	if (key.len && key.ptr[0] >= 'A' && key.ptr[0] <= 'Z')
		return true;
	for (; repeatable && *repeatable; repeatable++)
		if (span_eq(key, span_of(*repeatable)))
			return true;
	return false;
}

static bool is_there(const struct inspect_query *query, struct span key)
{
	for (size_t i = 0; i < query->count; i++)
		if (span_eq(query->pairs[i].key, key))
			return true;
	return false;
}

/* Decodes one pair behind what is decoded already; *used grows. */
static int add_pair(struct inspect *inspect, struct inspect_query *query, struct span text, size_t *used,
		    const char *const *repeatable)
{
	const char *equals = memchr(text.ptr, '=', text.len);
	struct span key = text, value = {0};
	struct inspect_pair pair;

	if (equals) {
		key.len = (size_t)(equals - text.ptr);
		value = span_skip(text, key.len + 1);
	}
	if (query->count == PAIRS_MAX)
		return inspect_unreadable(inspect, "the query has too many keys");
	if (!decode(key, query->decoded + *used, &pair.key) ||
	    !decode(value, query->decoded + *used + pair.key.len, &pair.value))
		return inspect_unreadable(inspect, "the query cannot be decoded");
	*used += pair.key.len + pair.value.len;
	if (!may_repeat(pair.key, repeatable) && is_there(query, pair.key))
		return inspect_unreadable(inspect, "the query has the key %s twice",
					  inspect_quote(pair.key).text);
	query->pairs[query->count++] = pair;
	return 0;
}

int inspect_query_parse(struct inspect *inspect, struct inspect_query *query, struct span text,
			const char *const *repeatable)
{
	size_t used = 0;
	int error = 0;

	*query = (struct inspect_query){0};
	if (text.len && text.ptr[0] == '?')
		text = span_skip(text, 1);
	if (text.len == 0)
		return 0;
	if (memchr(text.ptr, ';', text.len))
		return inspect_unreadable(inspect, "the query has a semicolon");
	query->decoded = malloc(text.len);
	query->pairs = calloc(PAIRS_MAX, sizeof(*query->pairs));
	if (!query->decoded || !query->pairs)
		error = -ENOMEM;
	while (!error && text.len) {
		const char *end = memchr(text.ptr, '&', text.len);
		struct span pair = {.ptr = text.ptr, .len = end ? (size_t)(end - text.ptr) : text.len};

		text = span_skip(text, end ? pair.len + 1 : pair.len);
		if (pair.len)
			error = add_pair(inspect, query, pair, &used, repeatable);
	}
	if (error)
		inspect_query_fini(query);
	return error;
}

void inspect_query_fini(struct inspect_query *query)
{
	free(query->decoded);
	free(query->pairs);
	*query = (struct inspect_query){0};
}

static struct span get(const struct inspect_query *query, struct span key)
{
	for (size_t i = 0; i < query->count; i++)
		if (span_eq(query->pairs[i].key, key))
			return query->pairs[i].value;
	return (struct span){0};
}

/* NAME with TAG in place of its own tag or digest; a digest as the tag is one. */
static int check_tagged(struct inspect *inspect, struct span name, struct span tag)
{
	char joined[512];
	size_t end = name.len, length;

	if (inspect->limits->images.count == 0)
		return 0;
	if (end == 0)
		return inspect_image(inspect, name);
	/* `pull -a` sends a colon at the end. */
	if (name.ptr[end - 1] == ':')
		end--;
	if (tag.len) {
		const char *at = memchr(name.ptr, '@', end);

		if (at)
			end = (size_t)(at - name.ptr);
		for (size_t i = end; i > 0 && name.ptr[i - 1] != '/'; i--)
			if (name.ptr[i - 1] == ':')
				end = i - 1;
	}
	if (end + tag.len + 1 > sizeof(joined) || (tag.len && end == 0))
		return inspect_refuse(inspect, INSPECT_LACKS_IMAGES, "the image %s",
				      inspect_quote(name).text);
	memcpy(joined, name.ptr, end);
	length = end;
	if (tag.len) {
		joined[length++] = memchr(tag.ptr, ':', tag.len) ? '@' : ':';
		memcpy(joined + length, tag.ptr, tag.len);
		length += tag.len;
	}
	return inspect_image(inspect, (struct span){.ptr = joined, .len = length});
}

/* An image may be made without a name: then it has only an ID, which no limited role can use. */
static int check_new_name(struct inspect *inspect, struct span name, struct span tag)
{
	return name.len ? check_tagged(inspect, name, tag) : 0;
}

static bool starts_with_any(struct span text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct span word = span_of(words[i]);

		if (text.len >= word.len && span_ieq((struct span){.ptr = text.ptr, .len = word.len}, word))
			return true;
	}
	return false;
}

/* A place in the network, or the client's session; anything else could be one of the host's. */
static int check_remote(struct inspect *inspect, struct span value)
{
	static const char *const prefixes[] = {"https://", "http://", "git://",
					       "git@",	   "ssh://",  "github.com/"};

	if (value.len == 0 || span_eq(value, SPAN("client-session")) ||
	    starts_with_any(value, prefixes, ARRAY_SIZE(prefixes)))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "a build from %s", inspect_quote(value).text);
}

static int check_build_network(struct inspect *inspect, struct span value)
{
	if (inspect->limits->host_namespaces || value.len == 0 ||
	    (!span_ieq(value, SPAN("host")) && !memchr(value.ptr, ':', value.len) &&
	     !memchr(value.ptr, '/', value.len)))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_NAMESPACES, "networkmode=%s", inspect_quote(value).text);
}

static int check_cgroup_parent(struct inspect *inspect, struct span value)
{
	if (value.len == 0 || inspect->limits->privileged)
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_PRIVILEGED, "cgroupparent");
}

static int check_isolation(struct inspect *inspect, struct span value)
{
	if (value.len == 0 || span_eq(value, SPAN("default")))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "isolation=%s", inspect_quote(value).text);
}

static int check_build_tag(struct inspect *inspect, struct span value)
{
	return check_new_name(inspect, value, (struct span){0});
}

/* They have names of images, beside or in place of `t`. */
static int check_outputs(struct inspect *inspect, struct span value)
{
	if (value.len == 0 || inspect->limits->images.count == 0)
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_IMAGES,
			      "a build's outputs, whose names are not looked into");
}

/* What the engine reads of a build. podman's copy of the API has more (volume, devices, addcaps). */
static const struct {
	const char *key;
	int (*check)(struct inspect *inspect, struct span value); /* NULL: allowed whatever it says */
} build_keys[] = {
    {"t", check_build_tag},
    {"remote", check_remote},
    {"networkmode", check_build_network},
    {"cgroupparent", check_cgroup_parent},
    {"isolation", check_isolation},
    {"dockerfile", NULL},
    {"extrahosts", NULL},
    {"q", NULL},
    {"nocache", NULL},
    {"cachefrom", NULL},
    {"pull", NULL},
    {"rm", NULL},
    {"forcerm", NULL},
    {"memory", NULL},
    {"memswap", NULL},
    {"cpushares", NULL},
    {"cpusetcpus", NULL},
    {"cpusetmems", NULL},
    {"cpuperiod", NULL},
    {"cpuquota", NULL},
    {"buildargs", NULL},
    {"shmsize", NULL},
    {"squash", NULL},
    {"labels", NULL},
    {"platform", NULL},
    {"target", NULL},
    {"outputs", check_outputs},
    {"session", NULL},
    {"buildid", NULL},
    {"version", NULL},
    {"ulimits", NULL},
};

int inspect_query_build(struct inspect *inspect, struct span path, const struct inspect_query *query)
{
	(void)path;
	for (size_t i = 0; i < query->count; i++) {
		const struct inspect_pair *pair = &query->pairs[i];
		size_t row = 0;
		int error = 0;

		while (row < ARRAY_SIZE(build_keys) && !span_eq(pair->key, span_of(build_keys[row].key)))
			row++;
		if (row == ARRAY_SIZE(build_keys))
			return inspect_refuse(inspect, INSPECT_LACKS_ANY,
					      "a build with %s, which headgate does not know or take",
					      inspect_quote(pair->key).text);
		if (build_keys[row].check)
			error = build_keys[row].check(inspect, pair->value);
		if (error)
			return error;
	}
	return 0;
}

int inspect_query_image_create(struct inspect *inspect, struct span path, const struct inspect_query *query)
{
	struct span name = get(query, SPAN("fromImage")), tag = get(query, SPAN("tag"));

	(void)path;
	if (name.len)
		return check_tagged(inspect, name, tag);
	return check_new_name(inspect, get(query, SPAN("repo")), tag);
}

/* The names stand in the tar. */
int inspect_query_image_load(struct inspect *inspect, struct span path, const struct inspect_query *query)
{
	(void)path;
	(void)query;
	if (inspect->limits->images.count == 0)
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY,
			      "images from a file, whose names cannot be looked into");
}

/* /images/NAME/tag?repo=REPO&tag=TAG: both have to be allowed, else a name would open a foreign image. */
int inspect_query_image_tag(struct inspect *inspect, struct span path, const struct inspect_query *query)
{
	static const struct span start = {.ptr = "/images/", .len = 8}, end = {.ptr = "/tag", .len = 4};
	struct span name = route_strip_version(path);
	int error;

	if (inspect->limits->images.count == 0)
		return 0;
	if (!span_starts(name, start) || name.len <= start.len + end.len)
		return inspect_unreadable(inspect, "the path cannot be read");
	name = span_skip(name, start.len);
	name.len -= end.len;
	error = inspect_image(inspect, name);
	return error ? error : check_tagged(inspect, get(query, SPAN("repo")), get(query, SPAN("tag")));
}

int inspect_query_commit(struct inspect *inspect, struct span path, const struct inspect_query *query)
{
	(void)path;
	return check_new_name(inspect, get(query, SPAN("repo")), get(query, SPAN("tag")));
}

static int check_directory(struct inspect *inspect, const struct inspect_query *query, struct span key)
{
	if (get(query, key).len == 0)
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "checkpoints in a directory of the host");
}

int inspect_query_start(struct inspect *inspect, struct span path, const struct inspect_query *query)
{
	(void)path;
	return check_directory(inspect, query, SPAN("checkpoint-dir"));
}

int inspect_query_checkpoint(struct inspect *inspect, struct span path, const struct inspect_query *query)
{
	(void)path;
	return check_directory(inspect, query, SPAN("dir"));
}
