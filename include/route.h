/* SPDX-License-Identifier: MIT */
/*
 * route.h: which Docker Engine API route a request is, and of which kind. Pure, fuzzed.
 *
 * The path given is in the normal form of http.h. At most one version prefix /v<digits>.<digits> is
 * stripped; every route also works without it (moby: api/server/server.go, createMux). Layer 1.
 */
#ifndef HEADGATE_ROUTE_H
#define HEADGATE_ROUTE_H

#include "compiler.h"
#include "http.h"
#include "span.h"

enum route_kind {
	ROUTE_MESSAGE, /* bodies of known length, answers parsed exactly, keep-alive */
	ROUTE_STREAM,  /* forwarded with Connection: close, one request a connection, no idle time-out */
	ROUTE_TUNNEL,  /* stream, unless Upgrade is asked for and the engine says 101 */
	ROUTE_TUNNEL_LEGACY, /* the same, and a raw-stream 200 without Upgrade too (attach, exec/start) */
};

/* What a route is about. */
enum route_group {
	ROUTE_GROUP_SYSTEM, /* ping, version, events, the engine's own state */
	ROUTE_GROUP_CONTAINER,
	ROUTE_GROUP_EXEC,
	ROUTE_GROUP_IMAGE,
	ROUTE_GROUP_DISTRIBUTION,
	ROUTE_GROUP_BUILD,
	ROUTE_GROUP_SESSION, /* BuildKit's own connections */
	ROUTE_GROUP_NETWORK,
	ROUTE_GROUP_VOLUME,
	ROUTE_GROUP_PLUGIN,
	ROUTE_GROUP_SWARM,
	ROUTE_GROUP_NODE,
	ROUTE_GROUP_SERVICE,
	ROUTE_GROUP_TASK,
	ROUTE_GROUP_SECRET,
	ROUTE_GROUP_CONFIG,
	ROUTE_GROUP_COUNT,
};

/* What a request of a route does, for roles. Each route has one of the first two. */
enum {
	ROUTE_READS = 1 << 0,	  /* changes nothing */
	ROUTE_WRITES = 1 << 1,	  /* changes something, or can be written to */
	ROUTE_SENSITIVE = 1 << 2, /* gives away secrets, environments or contents of files, or is a way in */
	ROUTE_RUNS = 1 << 3,	  /* makes programs run, or says which */
};

struct route {
	enum http_method method;
	const char *pattern; /* segments; `*` is one segment, `**` one or more (image names) */
	enum route_kind kind;
	const char *name; /* short, for logs and rights: "container-attach" */
	enum route_group group;
	unsigned traits; /* ROUTE_READS and so on */
};

/* The route, or NULL when none matches. HEAD matches as GET does. The pointer is into a static table. */
const struct route *route_find(enum http_method method, struct span path);

/* The path without its version prefix; the path itself when there is none. */
struct span route_strip_version(struct span path);

/* "container", for listings. */
const char *route_group_name(enum route_group group);

/* The whole table, for tests and listings. */
const struct route *route_table(size_t *count);

#endif
