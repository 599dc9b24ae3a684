/* SPDX-License-Identifier: MIT */
/*
 * engine_watch.h: IDs that only the engine knows: of its network `host`, which a service may name by any
 * beginning of them (inspect.h), and of what is headgate's own (own.h). A thread asks the engine again and
 * again, so that a swarm that is made anew is noticed; what it cannot learn is unknown, and then more is
 * refused. Layer 2.
 */
#ifndef HEADGATE_ENGINE_WATCH_H
#define HEADGATE_ENGINE_WATCH_H

#include "compiler.h"
#include "engine.h"
#include "inspect.h"

struct engine_watch; /* locks itself */

struct engine_ids {
	char local[INSPECT_NETWORK_ID_BYTES]; /* of the engine's own; "": not known */
	char swarm[INSPECT_NETWORK_ID_BYTES]; /* of the swarm's, 25 letters; "": not known, or no swarm */
	struct own_ids own;
};

/* Nothing is known yet, and nobody asks. `own`: borrowed, for the name that is asked for; NULL: none. 0 or
 * -ENOMEM. */
int engine_watch_new(struct engine_watch **made, const struct own *own) MUST_USE;
/* Ends the thread, which may take as long as the engine's answer: a second at most. NULL is fine. */
void engine_watch_free(struct engine_watch *watch);

/*
 * Asks once, then keeps asking in a thread of its own until engine_watch_free(), for which `engine` has to
 * live. Does nothing when it is asked already, or with a period of 0. 0 or -errno.
 */
int engine_watch_start(struct engine_watch *watch, const struct engine *engine, unsigned period_ms);

/* What is known now. NULL knows nothing. Any thread. */
void engine_watch_get(struct engine_watch *watch, struct engine_ids *ids);

#endif
