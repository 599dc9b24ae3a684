/* SPDX-License-Identifier: MIT */
/*
 * own.h: what is headgate's own when it runs in a container of the engine it guards: that container, whose
 * environment may hold the token, and its volume, with the CA's key. Nobody but `admin` may look at it or
 * touch it. Layer 1.
 */
#ifndef HEADGATE_OWN_H
#define HEADGATE_OWN_H

#include <stdbool.h>

#include "span.h"

/* An ID as Docker shortens it, which is a container's host name. */
#define OWN_ID_CHARS ((size_t)12)

struct own {
	const char *name;	   /* of the container and its volume, borrowed; NULL: in no container */
	char id[OWN_ID_CHARS + 1]; /* the beginning of the container's ID; "": not known */
};

/* `name` may be NULL. `host_name` is taken for the ID's beginning when it looks like one. */
void own_init(struct own *own, const char *name, const char *host_name);

/*
 * Whether a request's path (normal form, with its version or without) is about something of headgate's own: a
 * container by name, ID or any beginning of it; a volume, service, secret or config with that name or one
 * that begins with it and a '-', '_' or '.'. The query counts for POST /commit alone.
 */
bool own_is_meant(const struct own *own, struct span path, struct span query);

#endif
