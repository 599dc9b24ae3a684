/* SPDX-License-Identifier: MIT */
/*
 * route.c: the Docker Engine API, API versions 1.24 to 1.56.
 *
 * Theory of operation. The table is sorted by the first segment of the pattern: route_find() cuts the
 * path into segments once, finds the rows with that first segment by bisection and takes the first row
 * of them that matches. So where two patterns could match the same path the more special one stands
 * first, as in the engine itself; there is one such pair (container-delete hides a checkpoint's).
 *
 * Prunes are streams: they work for minutes, and since API 1.56 they can tell of their progress.
 *
 * The engine's own patterns are `{name:.*}`. Those become `**` only where names with a slash exist
 * (images, plugins, volumes of a plugin, networks, and the legacy links of containers, which can only
 * be deleted); everything else is one segment here, and what does not match is an unknown route.
 */
#include <stdint.h>

#include "route.h"

#define GET    HTTP_GET
#define HEAD   HTTP_HEAD
#define POST   HTTP_POST
#define PUT    HTTP_PUT
#define DELETE HTTP_DELETE

#define MESSAGE ROUTE_MESSAGE
#define STREAM	ROUTE_STREAM
#define TUNNEL	ROUTE_TUNNEL
#define LEGACY	ROUTE_TUNNEL_LEGACY

/* clang-format off */
static const struct route table[] = {
	/* Stays first: the one row without a first segment of its own. */
	{HTTP_OPTIONS, "/**",			MESSAGE, "options"},

	{GET,	 "/_ping",			MESSAGE, "ping"},
	{POST,	 "/auth",			MESSAGE, "auth"},

	{POST,	 "/build",			STREAM,	 "build"},
	{POST,	 "/build/cancel",		MESSAGE, "build-cancel"},
	{POST,	 "/build/prune",		STREAM,	 "build-prune"},

	{POST,	 "/commit",			MESSAGE, "commit"},

	{GET,	 "/configs",			MESSAGE, "config-list"},
	{POST,	 "/configs/create",		MESSAGE, "config-create"},
	{GET,	 "/configs/*",			MESSAGE, "config-inspect"},
	{DELETE, "/configs/*",			MESSAGE, "config-delete"},
	{POST,	 "/configs/*/update",		MESSAGE, "config-update"},

	{GET,	 "/containers/json",		MESSAGE, "container-list"},
	{POST,	 "/containers/create",		MESSAGE, "container-create"},
	{POST,	 "/containers/prune",		STREAM,	 "container-prune"},
	{GET,	 "/containers/*/json",		MESSAGE, "container-inspect"},
	{GET,	 "/containers/*/logs",		STREAM,	 "container-logs"},
	{GET,	 "/containers/*/stats",		STREAM,	 "container-stats"},
	{GET,	 "/containers/*/top",		MESSAGE, "container-top"},
	{GET,	 "/containers/*/changes",	MESSAGE, "container-changes"},
	{GET,	 "/containers/*/export",	STREAM,	 "container-export"},
	{HEAD,	 "/containers/*/archive",	MESSAGE, "container-archive-info"},
	{GET,	 "/containers/*/archive",	STREAM,	 "container-archive"},
	{PUT,	 "/containers/*/archive",	STREAM,	 "container-archive-put"},
	{GET,	 "/containers/*/attach/ws",	TUNNEL,	 "container-attach-ws"},
	{POST,	 "/containers/*/attach",	LEGACY,	 "container-attach"},
	{POST,	 "/containers/*/exec",		MESSAGE, "exec-create"},
	{POST,	 "/containers/*/start",		MESSAGE, "container-start"},
	{POST,	 "/containers/*/stop",		MESSAGE, "container-stop"},
	{POST,	 "/containers/*/restart",	MESSAGE, "container-restart"},
	{POST,	 "/containers/*/kill",		MESSAGE, "container-kill"},
	{POST,	 "/containers/*/pause",		MESSAGE, "container-pause"},
	{POST,	 "/containers/*/unpause",	MESSAGE, "container-unpause"},
	{POST,	 "/containers/*/wait",		STREAM,	 "container-wait"},
	{POST,	 "/containers/*/resize",	MESSAGE, "container-resize"},
	{POST,	 "/containers/*/rename",	MESSAGE, "container-rename"},
	{POST,	 "/containers/*/update",	MESSAGE, "container-update"},
	{GET,	 "/containers/*/checkpoints",	MESSAGE, "checkpoint-list"},
	{POST,	 "/containers/*/checkpoints",	MESSAGE, "checkpoint-create"},
	{DELETE, "/containers/*/checkpoints/*",	MESSAGE, "checkpoint-delete"},
	{DELETE, "/containers/**",		MESSAGE, "container-delete"},

	/* Only where the engine runs with debug on. */
	{GET,	 "/debug/vars",			MESSAGE, "debug-vars"},
	{GET,	 "/debug/pprof/",		MESSAGE, "debug-pprof-index"},
	{GET,	 "/debug/pprof/*",		STREAM,	 "debug-pprof"},

	{GET,	 "/distribution/**/json",	MESSAGE, "distribution-inspect"},

	{GET,	 "/events",			STREAM,	 "events"},

	{GET,	 "/exec/*/json",		MESSAGE, "exec-inspect"},
	{POST,	 "/exec/*/start",		LEGACY,	 "exec-start"},
	{POST,	 "/exec/*/resize",		MESSAGE, "exec-resize"},

	{POST,	 "/grpc",			TUNNEL,	 "grpc"},

	{GET,	 "/images/json",		MESSAGE, "image-list"},
	{GET,	 "/images/search",		MESSAGE, "image-search"},
	{GET,	 "/images/get",			STREAM,	 "image-save-many"},
	{POST,	 "/images/load",		STREAM,	 "image-load"},
	{POST,	 "/images/create",		STREAM,	 "image-create"},
	{POST,	 "/images/prune",		STREAM,	 "image-prune"},
	{GET,	 "/images/**/json",		MESSAGE, "image-inspect"},
	{GET,	 "/images/**/history",		MESSAGE, "image-history"},
	{GET,	 "/images/**/attestations",	MESSAGE, "image-attestations"},
	{GET,	 "/images/**/get",		STREAM,	 "image-save"},
	{POST,	 "/images/**/push",		STREAM,	 "image-push"},
	{POST,	 "/images/**/tag",		MESSAGE, "image-tag"},
	{DELETE, "/images/**",			MESSAGE, "image-delete"},

	{GET,	 "/info",			MESSAGE, "info"},

	{GET,	 "/networks",			MESSAGE, "network-list"},
	{GET,	 "/networks/",			MESSAGE, "network-list"},
	{POST,	 "/networks/create",		MESSAGE, "network-create"},
	{POST,	 "/networks/prune",		STREAM,	 "network-prune"},
	{POST,	 "/networks/**/connect",	MESSAGE, "network-connect"},
	{POST,	 "/networks/**/disconnect",	MESSAGE, "network-disconnect"},
	{GET,	 "/networks/**",		MESSAGE, "network-inspect"},
	{DELETE, "/networks/**",		MESSAGE, "network-delete"},

	{GET,	 "/nodes",			MESSAGE, "node-list"},
	{GET,	 "/nodes/*",			MESSAGE, "node-inspect"},
	{DELETE, "/nodes/*",			MESSAGE, "node-delete"},
	{POST,	 "/nodes/*/update",		MESSAGE, "node-update"},

	{GET,	 "/plugins",			MESSAGE, "plugin-list"},
	{GET,	 "/plugins/privileges",		MESSAGE, "plugin-privileges"},
	{POST,	 "/plugins/pull",		STREAM,	 "plugin-pull"},
	{POST,	 "/plugins/create",		STREAM,	 "plugin-create"},
	{GET,	 "/plugins/**/json",		MESSAGE, "plugin-inspect"},
	{POST,	 "/plugins/**/enable",		MESSAGE, "plugin-enable"},
	{POST,	 "/plugins/**/disable",		MESSAGE, "plugin-disable"},
	{POST,	 "/plugins/**/push",		STREAM,	 "plugin-push"},
	{POST,	 "/plugins/**/upgrade",		STREAM,	 "plugin-upgrade"},
	{POST,	 "/plugins/**/set",		MESSAGE, "plugin-set"},
	{DELETE, "/plugins/**",			MESSAGE, "plugin-delete"},

	{GET,	 "/secrets",			MESSAGE, "secret-list"},
	{POST,	 "/secrets/create",		MESSAGE, "secret-create"},
	{GET,	 "/secrets/*",			MESSAGE, "secret-inspect"},
	{DELETE, "/secrets/*",			MESSAGE, "secret-delete"},
	{POST,	 "/secrets/*/update",		MESSAGE, "secret-update"},

	{GET,	 "/services",			MESSAGE, "service-list"},
	{POST,	 "/services/create",		MESSAGE, "service-create"},
	{GET,	 "/services/*",			MESSAGE, "service-inspect"},
	{DELETE, "/services/*",			MESSAGE, "service-delete"},
	{POST,	 "/services/*/update",		MESSAGE, "service-update"},
	{GET,	 "/services/*/logs",		STREAM,	 "service-logs"},

	{POST,	 "/session",			TUNNEL,	 "session"},

	{GET,	 "/swarm",			MESSAGE, "swarm-inspect"},
	{GET,	 "/swarm/unlockkey",		MESSAGE, "swarm-unlockkey"},
	{POST,	 "/swarm/init",			MESSAGE, "swarm-init"},
	{POST,	 "/swarm/join",			MESSAGE, "swarm-join"},
	{POST,	 "/swarm/leave",		MESSAGE, "swarm-leave"},
	{POST,	 "/swarm/unlock",		MESSAGE, "swarm-unlock"},
	{POST,	 "/swarm/update",		MESSAGE, "swarm-update"},

	{GET,	 "/system/df",			MESSAGE, "system-df"},

	{GET,	 "/tasks",			MESSAGE, "task-list"},
	{GET,	 "/tasks/*",			MESSAGE, "task-inspect"},
	{GET,	 "/tasks/*/logs",		STREAM,	 "task-logs"},

	{GET,	 "/version",			MESSAGE, "version"},

	{GET,	 "/volumes",			MESSAGE, "volume-list"},
	{POST,	 "/volumes/create",		MESSAGE, "volume-create"},
	{POST,	 "/volumes/prune",		STREAM,	 "volume-prune"},
	{GET,	 "/volumes/**",			MESSAGE, "volume-inspect"},
	{PUT,	 "/volumes/**",			MESSAGE, "volume-update"},
	{DELETE, "/volumes/**",			MESSAGE, "volume-delete"},
};
/* clang-format on */

/* No pattern has more literal or `*` segments than this in front. */
#define SEGMENTS_KEPT ((size_t)4)

struct path_cut {
	struct span segments[SEGMENTS_KEPT]; /* the first ones */
	struct span last;		     /* empty when the path ends in a slash */
	size_t count;			     /* of all of them */
};

/* False when it is no path of ours: no slash in front, or an empty segment other than the last. */
static bool path_cut(struct path_cut *cut, struct span path)
{
	cut->count = 0;
	if (path.len < 2 || path.ptr[0] != '/')
		return false;
	while (path.len) {
		struct span rest = span_skip(path, 1);
		const char *slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
		size_t length = slash ? (size_t)(slash - rest.ptr) : rest.len;

		if (length == 0 && slash)
			return false;
		cut->last = (struct span){.ptr = rest.ptr, .len = length};
		if (cut->count < SEGMENTS_KEPT)
			cut->segments[cut->count] = cut->last;
		cut->count++;
		path = span_skip(rest, length);
	}
	return true;
}

/* Takes the first segment, without its slash, off the front of a pattern. */
static struct span next_segment(const char **pattern)
{
	const char *start = *pattern + 1, *end = start;

	while (*end && *end != '/')
		end++;
	*pattern = end;
	return (struct span){.ptr = start, .len = (size_t)(end - start)};
}

static bool segment_matches(struct span wanted, struct span segment)
{
	if (wanted.len == 1 && wanted.ptr[0] == '*')
		return segment.len != 0;
	return span_eq(wanted, segment);
}

/* `**` takes all that is left, less one literal segment when one follows it. */
static bool rest_matches(const char *pattern, const struct path_cut *cut, size_t taken)
{
	size_t after = *pattern ? 1 : 0;

	if (cut->count < taken + 1 + after)
		return false;
	return after ? segment_matches(next_segment(&pattern), cut->last) : cut->last.len != 0;
}

static bool pattern_matches(const char *pattern, const struct path_cut *cut)
{
	size_t taken = 0;

	while (*pattern) {
		struct span wanted = next_segment(&pattern);

		if (wanted.len == 2 && wanted.ptr[0] == '*')
			return rest_matches(pattern, cut, taken);
		if (taken == cut->count || taken == SEGMENTS_KEPT ||
		    !segment_matches(wanted, cut->segments[taken]))
			return false;
		taken++;
	}
	return taken == cut->count;
}

/* Orders the first segment of a row against `first`: below, at or above 0. */
static int first_segment_compare(const struct route *row, struct span first)
{
	const char *pattern = row->pattern;
	struct span segment = next_segment(&pattern);
	size_t common = segment.len < first.len ? segment.len : first.len;
	int order = memcmp(segment.ptr, first.ptr, common);

	if (order)
		return order;
	return (segment.len > first.len) - (segment.len < first.len);
}

/* The index of the first row with that first segment, or ARRAY_SIZE(table). */
static size_t group_start(struct span first)
{
	size_t low = 0, high = ARRAY_SIZE(table);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (first_segment_compare(&table[middle], first) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct route *find_in_group(size_t start, enum http_method method, const struct path_cut *cut)
{
	for (size_t i = start; i < ARRAY_SIZE(table); i++) {
		if (table[i].method == method && pattern_matches(table[i].pattern, cut))
			return &table[i];
		/* Rows of a later group cannot match, so stopping at the next letter is soon enough. */
		if (table[i].pattern[1] != cut->segments[0].ptr[0])
			break;
	}
	return NULL;
}

static bool all_digits(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return s.len != 0;
}

struct span route_strip_version(struct span path)
{
	const char *slash, *dot;
	struct span rest, version;

	if (!span_starts(path, SPAN("/v")))
		return path;
	rest = span_skip(path, 2);
	slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
	if (!slash)
		return path;
	version = (struct span){.ptr = rest.ptr, .len = (size_t)(slash - rest.ptr)};
	dot = version.len ? memchr(version.ptr, '.', version.len) : NULL;
	if (!dot)
		return path;
	if (!all_digits((struct span){.ptr = version.ptr, .len = (size_t)(dot - version.ptr)}) ||
	    !all_digits(span_skip(version, (size_t)(dot - version.ptr) + 1)))
		return path;
	return span_skip(rest, version.len);
}

const struct route *route_find(enum http_method method, struct span path)
{
	const struct route *route;
	struct path_cut cut;
	size_t start;

	if (!path_cut(&cut, route_strip_version(path)))
		return NULL;
	if (method == HTTP_OPTIONS)
		return pattern_matches(table[0].pattern, &cut) ? &table[0] : NULL;
	start = group_start(cut.segments[0]);
	route = find_in_group(start, method, &cut);
	if (!route && method == HTTP_HEAD)
		route = find_in_group(start, HTTP_GET, &cut);
	return route;
}

const struct route *route_table(size_t *count)
{
	*count = ARRAY_SIZE(table);
	return table;
}
