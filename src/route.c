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
 *
 * Sensitive are environments (containers, execs, images, services, tasks, plugins), contents of files, logs,
 * join tokens and keys, what stands in configs and in the options of volumes (passwords of CIFS shares), and
 * every way in. Not so plain: container-top takes options of ps, and `auxe` shows environments; an image's
 * history and attestations show the values of build arguments; image-push takes an image wherever one likes.
 */
#include <assert.h>
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

#define READS	  ROUTE_READS
#define WRITES	  ROUTE_WRITES
#define SENSITIVE ROUTE_SENSITIVE
#define RUNS	  ROUTE_RUNS

#define SYSTEM	     ROUTE_GROUP_SYSTEM
#define CONTAINER    ROUTE_GROUP_CONTAINER
#define EXEC	     ROUTE_GROUP_EXEC
#define IMAGE	     ROUTE_GROUP_IMAGE
#define DISTRIBUTION ROUTE_GROUP_DISTRIBUTION
#define BUILD	     ROUTE_GROUP_BUILD
#define SESSION	     ROUTE_GROUP_SESSION
#define NETWORK	     ROUTE_GROUP_NETWORK
#define VOLUME	     ROUTE_GROUP_VOLUME
#define PLUGIN	     ROUTE_GROUP_PLUGIN
#define SWARM	     ROUTE_GROUP_SWARM
#define NODE	     ROUTE_GROUP_NODE
#define SERVICE	     ROUTE_GROUP_SERVICE
#define TASK	     ROUTE_GROUP_TASK
#define SECRET	     ROUTE_GROUP_SECRET
#define CONFIG	     ROUTE_GROUP_CONFIG

/* clang-format off */
static const struct route table[] = {
	/* Stays first: the one row without a first segment of its own. */
	{HTTP_OPTIONS, "/**",			MESSAGE, "options",		SYSTEM,		READS},

	{GET,	 "/_ping",			MESSAGE, "ping",			SYSTEM,		READS},
	{POST,	 "/auth",			MESSAGE, "auth",			SYSTEM,		WRITES},

	{POST,	 "/build",			STREAM,	 "build",		BUILD,		WRITES | RUNS},
	{POST,	 "/build/cancel",		MESSAGE, "build-cancel",		BUILD,		WRITES},
	{POST,	 "/build/prune",		STREAM,	 "build-prune",		BUILD,		WRITES},

	{POST,	 "/commit",			MESSAGE, "commit",		IMAGE,		WRITES},

	{GET,	 "/configs",			MESSAGE, "config-list",		CONFIG,		READS | SENSITIVE},
	{POST,	 "/configs/create",		MESSAGE, "config-create",	CONFIG,		WRITES},
	{GET,	 "/configs/*",			MESSAGE, "config-inspect",	CONFIG,		READS | SENSITIVE},
	{DELETE, "/configs/*",			MESSAGE, "config-delete",	CONFIG,		WRITES},
	{POST,	 "/configs/*/update",		MESSAGE, "config-update",	CONFIG,		WRITES},

	{GET,	 "/containers/json",		MESSAGE, "container-list",	CONTAINER,	READS},
	{POST,	 "/containers/create",		MESSAGE, "container-create",	CONTAINER,	WRITES | RUNS},
	{POST,	 "/containers/prune",		STREAM,	 "container-prune",	CONTAINER,	WRITES},
	{GET,	 "/containers/*/json",		MESSAGE, "container-inspect",	CONTAINER,	READS | SENSITIVE},
	{GET,	 "/containers/*/logs",		STREAM,	 "container-logs",	CONTAINER,	READS | SENSITIVE},
	{GET,	 "/containers/*/stats",		STREAM,	 "container-stats",	CONTAINER,	READS},
	{GET,	 "/containers/*/top",		MESSAGE, "container-top",	CONTAINER,	READS | SENSITIVE},
	{GET,	 "/containers/*/changes",	MESSAGE, "container-changes",	CONTAINER,	READS},
	{GET,	 "/containers/*/export",	STREAM,	 "container-export",	CONTAINER,	READS | SENSITIVE},
	{HEAD,	 "/containers/*/archive",	MESSAGE, "container-archive-info", CONTAINER,	READS | SENSITIVE},
	{GET,	 "/containers/*/archive",	STREAM,	 "container-archive",	CONTAINER,	READS | SENSITIVE},
	{PUT,	 "/containers/*/archive",	STREAM,	 "container-archive-put", CONTAINER,	WRITES | SENSITIVE},
	{GET,	 "/containers/*/attach/ws",	TUNNEL,	 "container-attach-ws",	CONTAINER,	WRITES | SENSITIVE},
	{POST,	 "/containers/*/attach",	LEGACY,	 "container-attach",	CONTAINER,	WRITES | SENSITIVE},
	{POST,	 "/containers/*/exec",		MESSAGE, "exec-create",		EXEC,		WRITES | SENSITIVE | RUNS},
	{POST,	 "/containers/*/start",		MESSAGE, "container-start",	CONTAINER,	WRITES | RUNS},
	{POST,	 "/containers/*/stop",		MESSAGE, "container-stop",	CONTAINER,	WRITES},
	{POST,	 "/containers/*/restart",	MESSAGE, "container-restart",	CONTAINER,	WRITES | RUNS},
	{POST,	 "/containers/*/kill",		MESSAGE, "container-kill",	CONTAINER,	WRITES},
	{POST,	 "/containers/*/pause",		MESSAGE, "container-pause",	CONTAINER,	WRITES},
	{POST,	 "/containers/*/unpause",	MESSAGE, "container-unpause",	CONTAINER,	WRITES},
	{POST,	 "/containers/*/wait",		STREAM,	 "container-wait",	CONTAINER,	READS},
	{POST,	 "/containers/*/resize",	MESSAGE, "container-resize",	CONTAINER,	WRITES},
	{POST,	 "/containers/*/rename",	MESSAGE, "container-rename",	CONTAINER,	WRITES},
	{POST,	 "/containers/*/update",	MESSAGE, "container-update",	CONTAINER,	WRITES},
	{GET,	 "/containers/*/checkpoints",	MESSAGE, "checkpoint-list",	CONTAINER,	READS},
	{POST,	 "/containers/*/checkpoints",	MESSAGE, "checkpoint-create",	CONTAINER,	WRITES},
	{DELETE, "/containers/*/checkpoints/*",	MESSAGE, "checkpoint-delete",	CONTAINER,	WRITES},
	{DELETE, "/containers/**",		MESSAGE, "container-delete",	CONTAINER,	WRITES},

	/* Only where the engine runs with debug on. */
	{GET,	 "/debug/vars",			MESSAGE, "debug-vars",		SYSTEM,		READS | SENSITIVE},
	{GET,	 "/debug/pprof/",		MESSAGE, "debug-pprof-index",	SYSTEM,		READS | SENSITIVE},
	{GET,	 "/debug/pprof/*",		STREAM,	 "debug-pprof",		SYSTEM,		READS | SENSITIVE},

	{GET,	 "/distribution/**/json",	MESSAGE, "distribution-inspect",	DISTRIBUTION,	READS},

	{GET,	 "/events",			STREAM,	 "events",		SYSTEM,		READS},

	{GET,	 "/exec/*/json",		MESSAGE, "exec-inspect",		EXEC,		READS | SENSITIVE},
	{POST,	 "/exec/*/start",		LEGACY,	 "exec-start",		EXEC,		WRITES | SENSITIVE | RUNS},
	{POST,	 "/exec/*/resize",		MESSAGE, "exec-resize",		EXEC,		WRITES},

	{POST,	 "/grpc",			TUNNEL,	 "grpc",			SESSION,	WRITES | SENSITIVE | RUNS},

	{GET,	 "/images/json",		MESSAGE, "image-list",		IMAGE,		READS},
	{GET,	 "/images/search",		MESSAGE, "image-search",		IMAGE,		READS},
	{GET,	 "/images/get",			STREAM,	 "image-save-many",	IMAGE,		READS | SENSITIVE},
	{POST,	 "/images/load",		STREAM,	 "image-load",		IMAGE,		WRITES},
	{POST,	 "/images/create",		STREAM,	 "image-create",		IMAGE,		WRITES},
	{POST,	 "/images/prune",		STREAM,	 "image-prune",		IMAGE,		WRITES},
	{GET,	 "/images/**/json",		MESSAGE, "image-inspect",	IMAGE,		READS | SENSITIVE},
	{GET,	 "/images/**/history",		MESSAGE, "image-history",	IMAGE,		READS | SENSITIVE},
	{GET,	 "/images/**/attestations",	MESSAGE, "image-attestations",	IMAGE,		READS | SENSITIVE},
	{GET,	 "/images/**/get",		STREAM,	 "image-save",		IMAGE,		READS | SENSITIVE},
	{POST,	 "/images/**/push",		STREAM,	 "image-push",		IMAGE,		WRITES | SENSITIVE},
	{POST,	 "/images/**/tag",		MESSAGE, "image-tag",		IMAGE,		WRITES},
	{DELETE, "/images/**",			MESSAGE, "image-delete",		IMAGE,		WRITES},

	{GET,	 "/info",			MESSAGE, "info",			SYSTEM,		READS},

	/* No route of the engine's: headgate's own answers to an old client (console.h). */
	{GET,	 "/maintenance",		MESSAGE, "console-maintenance",	SYSTEM,		READS},
	{GET,	 "/metrics",			MESSAGE, "console-metrics",	SYSTEM,		READS},

	{GET,	 "/networks",			MESSAGE, "network-list",		NETWORK,	READS},
	{GET,	 "/networks/",			MESSAGE, "network-list",		NETWORK,	READS},
	{POST,	 "/networks/create",		MESSAGE, "network-create",	NETWORK,	WRITES},
	{POST,	 "/networks/prune",		STREAM,	 "network-prune",	NETWORK,	WRITES},
	{POST,	 "/networks/**/connect",	MESSAGE, "network-connect",	NETWORK,	WRITES},
	{POST,	 "/networks/**/disconnect",	MESSAGE, "network-disconnect",	NETWORK,	WRITES},
	{GET,	 "/networks/**",		MESSAGE, "network-inspect",	NETWORK,	READS},
	{DELETE, "/networks/**",		MESSAGE, "network-delete",	NETWORK,	WRITES},

	{GET,	 "/nodes",			MESSAGE, "node-list",		NODE,		READS},
	{GET,	 "/nodes/*",			MESSAGE, "node-inspect",		NODE,		READS},
	{DELETE, "/nodes/*",			MESSAGE, "node-delete",		NODE,		WRITES},
	{POST,	 "/nodes/*/update",		MESSAGE, "node-update",		NODE,		WRITES},

	{GET,	 "/plugins",			MESSAGE, "plugin-list",		PLUGIN,		READS | SENSITIVE},
	{GET,	 "/plugins/privileges",		MESSAGE, "plugin-privileges",	PLUGIN,		READS},
	{POST,	 "/plugins/pull",		STREAM,	 "plugin-pull",		PLUGIN,		WRITES | SENSITIVE | RUNS},
	{POST,	 "/plugins/create",		STREAM,	 "plugin-create",	PLUGIN,		WRITES | SENSITIVE | RUNS},
	{GET,	 "/plugins/**/json",		MESSAGE, "plugin-inspect",	PLUGIN,		READS | SENSITIVE},
	{POST,	 "/plugins/**/enable",		MESSAGE, "plugin-enable",	PLUGIN,		WRITES | SENSITIVE | RUNS},
	{POST,	 "/plugins/**/disable",		MESSAGE, "plugin-disable",	PLUGIN,		WRITES},
	{POST,	 "/plugins/**/push",		STREAM,	 "plugin-push",		PLUGIN,		WRITES | SENSITIVE},
	{POST,	 "/plugins/**/upgrade",		STREAM,	 "plugin-upgrade",	PLUGIN,		WRITES | SENSITIVE | RUNS},
	{POST,	 "/plugins/**/set",		MESSAGE, "plugin-set",		PLUGIN,		WRITES | SENSITIVE},
	{DELETE, "/plugins/**",			MESSAGE, "plugin-delete",	PLUGIN,		WRITES},

	{GET,	 "/secrets",			MESSAGE, "secret-list",		SECRET,		READS | SENSITIVE},
	{POST,	 "/secrets/create",		MESSAGE, "secret-create",	SECRET,		WRITES},
	{GET,	 "/secrets/*",			MESSAGE, "secret-inspect",	SECRET,		READS | SENSITIVE},
	{DELETE, "/secrets/*",			MESSAGE, "secret-delete",	SECRET,		WRITES},
	{POST,	 "/secrets/*/update",		MESSAGE, "secret-update",	SECRET,		WRITES},

	{GET,	 "/services",			MESSAGE, "service-list",		SERVICE,	READS | SENSITIVE},
	{POST,	 "/services/create",		MESSAGE, "service-create",	SERVICE,	WRITES | RUNS},
	{GET,	 "/services/*",			MESSAGE, "service-inspect",	SERVICE,	READS | SENSITIVE},
	{DELETE, "/services/*",			MESSAGE, "service-delete",	SERVICE,	WRITES},
	{POST,	 "/services/*/update",		MESSAGE, "service-update",	SERVICE,	WRITES | RUNS},
	{GET,	 "/services/*/logs",		STREAM,	 "service-logs",		SERVICE,	READS | SENSITIVE},

	{POST,	 "/session",			TUNNEL,	 "session",		SESSION,	WRITES | SENSITIVE | RUNS},

	{GET,	 "/swarm",			MESSAGE, "swarm-inspect",	SWARM,		READS | SENSITIVE},
	{GET,	 "/swarm/unlockkey",		MESSAGE, "swarm-unlockkey",	SWARM,		READS | SENSITIVE},
	{POST,	 "/swarm/init",			MESSAGE, "swarm-init",		SWARM,		WRITES},
	{POST,	 "/swarm/join",			MESSAGE, "swarm-join",		SWARM,		WRITES},
	{POST,	 "/swarm/leave",		MESSAGE, "swarm-leave",		SWARM,		WRITES},
	{POST,	 "/swarm/unlock",		MESSAGE, "swarm-unlock",		SWARM,		WRITES | SENSITIVE},
	{POST,	 "/swarm/update",		MESSAGE, "swarm-update",		SWARM,		WRITES},

	{GET,	 "/system/df",			MESSAGE, "system-df",		SYSTEM,		READS},

	{GET,	 "/tasks",			MESSAGE, "task-list",		TASK,		READS | SENSITIVE},
	{GET,	 "/tasks/*",			MESSAGE, "task-inspect",		TASK,		READS | SENSITIVE},
	{GET,	 "/tasks/*/logs",		STREAM,	 "task-logs",		TASK,		READS | SENSITIVE},

	{GET,	 "/version",			MESSAGE, "version",		SYSTEM,		READS},

	{GET,	 "/volumes",			MESSAGE, "volume-list",		VOLUME,		READS | SENSITIVE},
	{POST,	 "/volumes/create",		MESSAGE, "volume-create",	VOLUME,		WRITES},
	{POST,	 "/volumes/prune",		STREAM,	 "volume-prune",		VOLUME,		WRITES},
	{GET,	 "/volumes/**",			MESSAGE, "volume-inspect",	VOLUME,		READS | SENSITIVE},
	{PUT,	 "/volumes/**",			MESSAGE, "volume-update",	VOLUME,		WRITES},
	{DELETE, "/volumes/**",			MESSAGE, "volume-delete",	VOLUME,		WRITES},
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

const char *route_group_name(enum route_group group)
{
	static const char *const names[] = {
	    [ROUTE_GROUP_SYSTEM] = "system",
	    [ROUTE_GROUP_CONTAINER] = "container",
	    [ROUTE_GROUP_EXEC] = "exec",
	    [ROUTE_GROUP_IMAGE] = "image",
	    [ROUTE_GROUP_DISTRIBUTION] = "distribution",
	    [ROUTE_GROUP_BUILD] = "build",
	    [ROUTE_GROUP_SESSION] = "session",
	    [ROUTE_GROUP_NETWORK] = "network",
	    [ROUTE_GROUP_VOLUME] = "volume",
	    [ROUTE_GROUP_PLUGIN] = "plugin",
	    [ROUTE_GROUP_SWARM] = "swarm",
	    [ROUTE_GROUP_NODE] = "node",
	    [ROUTE_GROUP_SERVICE] = "service",
	    [ROUTE_GROUP_TASK] = "task",
	    [ROUTE_GROUP_SECRET] = "secret",
	    [ROUTE_GROUP_CONFIG] = "config",
	};

	static_assert(ARRAY_SIZE(names) == ROUTE_GROUP_COUNT, "a name for each group");
	return names[group];
}
