/* SPDX-License-Identifier: MIT */
/*
 * own.h: what is headgate's own when it runs in a container of the engine it guards: that container, whose
 * environment may hold the token, its volume, with the CA's key, and in a swarm its service and secrets.
 * Nobody but `admin` may look at it or touch it. Layer 1.
 */
#ifndef HEADGATE_OWN_H
#define HEADGATE_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

/* An ID as Docker shortens it, which is a container's host name. */
#define OWN_ID_CHARS ((size_t)12)
#define OWN_ID_BYTES ((size_t)65) /* a whole one, of a container, and its end */
#define OWN_IDS_MAX  ((size_t)256)
/* Characters of an ID of the swarm's: of a service, task, secret or config. */
#define OWN_SWARM_ID_CHARS ((size_t)25)
#define OWN_PORTS	   ((size_t)17)

enum own_kind { OWN_CONTAINER, OWN_SERVICE, OWN_TASK, OWN_SECRET, OWN_CONFIG, OWN_KINDS };

/* The IDs that the engine has for what bears headgate's name. */
struct own_ids {
	bool is_known[OWN_KINDS]; /* the engine has said all there are of the kind */
	size_t count;
	struct own_id {
		enum own_kind kind;
		char id[OWN_ID_BYTES];
	} ids[OWN_IDS_MAX];
};

struct own {
	const char *name;		/* of the container and its volume, borrowed; NULL: in no container */
	char host_id[OWN_ID_CHARS + 1]; /* the container's, by its host name; "": not known */
	/* Borrowed. Of a kind that is not known, NULL for all, whatever could be an ID is taken for one. */
	const struct own_ids *ids;
	uint16_t ports[OWN_PORTS]; /* of the host, that clients come by; 0: none */
};

/* Whether it is a port of the host that leads to headgate, whether in a container or not. NULL has none. */
bool own_is_port(const struct own *own, long long port);

/* `name` may be NULL. `host_name` is taken for the ID's beginning when it looks like one. */
void own_init(struct own *own, const char *name, const char *host_name);

/* One more, of a kind that is being learnt. False when it is no ID of that kind or there are too many. */
bool own_ids_add(struct own_ids *ids, enum own_kind kind, struct span id);
/* There is none of `kind`; it is known from now on. */
void own_ids_clear(struct own_ids *ids, enum own_kind kind);
/* `from` has all there are of `kind`. False, and the kind is not known, when they do not fit. */
bool own_ids_replace(struct own_ids *ids, enum own_kind kind, const struct own_ids *from);

enum own_verdict {
	OWN_NOT,
	OWN_PERHAPS, /* until the engine has said which IDs it has */
	OWN_IT_IS,
};

/*
 * Whether a request's path (normal form, with its version or without) is about something of headgate's own: a
 * container, service, task, secret or config (see own_is()), or a volume (see own_is_named()). The query
 * counts for what is committed and for the name that a container gets. NULL has nothing.
 */
enum own_verdict own_is_meant(const struct own *own, struct span path, struct span query);

/* Whether the engine would, or could, take the word for one of headgate's own: name, ID, any beginning of an
 * ID. NULL has none. */
enum own_verdict own_is(const struct own *own, enum own_kind kind, struct span word);

/* The name itself, or one that begins with it and a '-', '_' or '.'; whatever the case. NULL has none. */
bool own_is_named(const struct own *own, struct span word);

#endif
