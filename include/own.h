/* SPDX-License-Identifier: MIT */
/*
 * own.h: what is headgate's own when it runs in a container of the engine it guards: that container, whose
 * environment may hold the token, and its volume, with the CA's key. Nobody but `admin` may look at it or
 * touch it. Layer 1.
 */
#ifndef HEADGATE_OWN_H
#define HEADGATE_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

/* An ID as Docker shortens it, which is a container's host name, and a whole one. */
#define OWN_ID_CHARS	   ((size_t)12)
#define OWN_WHOLE_ID_CHARS ((size_t)64)

/* By its host name; by what the engine says of NAME and of the container before (see own_before()). */
#define OWN_IDS ((size_t)3)

/* Services that bear the name; more than these would be a strange stack, and then none is known. */
#define OWN_SERVICES	     ((size_t)8)
#define OWN_SERVICE_ID_CHARS ((size_t)25)

#define OWN_PORTS ((size_t)17)

struct own_services {
	char ids[OWN_SERVICES][OWN_SERVICE_ID_CHARS + 1]; /* ""s behind the last */
	bool is_sure; /* the swarm has said which they are; else whatever could be an ID is taken for one */
};

struct own {
	const char *name; /* of the container and its volume, borrowed; NULL: in no container */
	char ids[OWN_IDS][OWN_WHOLE_ID_CHARS + 1]; /* of containers, or their beginnings; "": not known */
	bool is_sure; /* the engine has said which they are; else whatever could be an ID is taken for one */
	struct own_services services;
	uint16_t ports[OWN_PORTS]; /* of the host, that clients come by; 0: none */
};

/* Whether it is a port of the host that leads to headgate, whether in a container or not. NULL has none. */
bool own_is_port(const struct own *own, long long port);

/* What container/deploy.sh renames the container before to until the new one is ready. */
#define OWN_BEFORE_SUFFIX "-before"

/* `name` may be NULL. `host_name` is taken for the ID's beginning when it looks like one. */
void own_init(struct own *own, const char *name, const char *host_name);

/* The IDs that the engine has for the container and for the one before ("": there is none). */
void own_learn(struct own *own, const char *id, const char *before_id);

/*
 * Whether a request's path (normal form, with its version or without) is about something of headgate's own: a
 * container (see own_is_container()), a service by its name or any beginning of its ID, or a volume, secret
 * or config by its name (see own_is_named()): of a secret nobody sees more than that it is there. The query
 * counts for what is committed and for the name that a container gets. NULL has nothing.
 */
bool own_is_meant(const struct own *own, struct span path, struct span query);

/* Whether the engine would, or could, take the word for a container of headgate's own: name, ID, any
 * beginning of an ID. NULL has none. */
bool own_is_container(const struct own *own, struct span word);

/* The name itself, or one that begins with it and a '-', '_' or '.'; whatever the case. NULL has none. */
bool own_is_named(const struct own *own, struct span word);

#endif
