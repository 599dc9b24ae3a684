/* SPDX-License-Identifier: MIT */
/*
 * inspect_path.c: whether a path of the host lies below an allowed one.
 *
 * Compared by whole segments, letter by letter, after both were written in one form: no empty and no `.`
 * segments, /var/run as /run. `..` is refused, because what it means depends on links. A socket, and every
 * directory that holds the engine's, is allowed only when the socket's own path is in the list: a prefix does
 * not open it.
 */
#include <limits.h>
#include <string.h>

#include "inspect_impl.h"

static const struct span engine_socket = {.ptr = "/run/docker.sock", .len = sizeof("/run/docker.sock") - 1};

/* The next segment that says something; false at the end. */
static bool take_segment(struct span *path, struct span *segment)
{
	while (path->len) {
		const char *slash;

		while (path->len && path->ptr[0] == '/')
			*path = span_skip(*path, 1);
		slash = path->len ? memchr(path->ptr, '/', path->len) : NULL;
		segment->ptr = path->ptr;
		segment->len = slash ? (size_t)(slash - path->ptr) : path->len;
		*path = span_skip(*path, segment->len);
		if (segment->len && !span_eq(*segment, SPAN(".")))
			return true;
	}
	return false;
}

/* "/a/b", or "" for the root; false when it is no path that can be judged. */
static bool canonical(struct span path, char out[PATH_MAX], struct span *result)
{
	struct span segment = {0};
	size_t length = 0;

	if (path.len == 0 || path.ptr[0] != '/' || path.len >= PATH_MAX || memchr(path.ptr, '\0', path.len))
		return false;
	while (take_segment(&path, &segment)) {
		if (span_eq(segment, SPAN("..")))
			return false;
		out[length++] = '/';
		memcpy(out + length, segment.ptr, segment.len);
		length += segment.len;
		if (length == strlen("/var/run") && memcmp(out, "/var/run", length) == 0) {
			memcpy(out, "/run", 4);
			length = 4;
		}
	}
	*result = (struct span){.ptr = out, .len = length};
	return true;
}

static bool is_at_or_below(struct span path, struct span prefix)
{
	return span_starts(path, prefix) && (path.len == prefix.len || path.ptr[prefix.len] == '/');
}

static bool list_has(const struct inspect_words *list, struct span path, bool below_too)
{
	for (size_t i = 0; i < list->count; i++) {
		char buffer[PATH_MAX];
		struct span word;

		if (!canonical(span_of(list->words[i]), buffer, &word))
			continue;
		if (below_too ? is_at_or_below(path, word) : span_eq(path, word))
			return true;
	}
	return false;
}

static bool is_socket(struct span path)
{
	static const struct span end = {.ptr = ".sock", .len = 5};

	return path.len > end.len && memcmp(path.ptr + path.len - end.len, end.ptr, end.len) == 0;
}

/*
 * Swarm fills in sources and volume options of a service's mounts (swarmkit, template.ExpandContainerSpec):
 * with the service's labels, or whatever text/template can say.
 */
bool inspect_is_template(struct span text)
{
	return text.len && memmem(text.ptr, text.len, "{{", 2);
}

int inspect_host_path(struct inspect *inspect, struct span path)
{
	const struct inspect_words *mounts = &inspect->limits->mounts;
	char buffer[PATH_MAX];
	struct span own;

	if (inspect_is_template(path) || !canonical(path, buffer, &own))
		return inspect_refuse(inspect, INSPECT_LACKS_MOUNTS,
				      "the host's path %s, which is not absolute or not plain",
				      inspect_quote(path).text);
	if (!list_has(mounts, own, true))
		return inspect_refuse(inspect, INSPECT_LACKS_MOUNTS, "the host's path %s",
				      inspect_quote(path).text);
	if (is_socket(own) && !list_has(mounts, own, false))
		return inspect_refuse(inspect, INSPECT_LACKS_MOUNTS,
				      "the socket %s, which has to be named by itself",
				      inspect_quote(path).text);
	/* /var too: /var/run is not everywhere a link. */
	if ((is_at_or_below(engine_socket, own) || span_eq(own, SPAN("/var"))) &&
	    !list_has(mounts, engine_socket, false))
		return inspect_refuse(
		    inspect, INSPECT_LACKS_MOUNTS,
		    "the host's path %s, which holds docker.sock, which has to be named by itself",
		    inspect_quote(path).text);
	return 0;
}

bool inspect_device_allowed(const struct inspect_limits *limits, struct span path)
{
	char buffer[PATH_MAX];
	struct span own;

	return canonical(path, buffer, &own) && list_has(&limits->devices, own, true);
}
