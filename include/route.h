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

struct route {
	enum http_method method;
	const char *pattern; /* segments; `*` is one segment, `**` one or more (image names) */
	enum route_kind kind;
	const char *name; /* short, for logs and metrics: "container-attach" */
};

/* The route, or NULL when none matches. HEAD matches as GET does. The pointer is into a static table. */
const struct route *route_find(enum http_method method, struct span path);

/* The path without its version prefix; the path itself when there is none. */
struct span route_strip_version(struct span path);

/* The whole table, for tests and listings. */
const struct route *route_table(size_t *count);

#endif
