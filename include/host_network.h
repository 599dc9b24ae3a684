/* SPDX-License-Identifier: MIT */
/*
 * host_network.h: the IDs of the engine's network `host`, which a service may name by any beginning of them
 * (inspect.h). A thread asks the engine again and again, so that a swarm that is made anew is noticed; what
 * it cannot learn is unknown, and then more is refused. Layer 2.
 */
#ifndef HEADGATE_HOST_NETWORK_H
#define HEADGATE_HOST_NETWORK_H

#include "compiler.h"
#include "engine.h"
#include "inspect.h"

struct host_network; /* locks itself */

struct host_network_ids {
	char local[INSPECT_NETWORK_ID_BYTES]; /* of the engine's own; "": not known */
	char swarm[INSPECT_NETWORK_ID_BYTES]; /* of the swarm's, 25 letters; "": not known, or no swarm */
};

/* Nothing is known yet, and nobody asks. 0 or -ENOMEM. */
int host_network_new(struct host_network **made) MUST_USE;
/* Ends the thread, which may take as long as an answer of the engine: two seconds at most. NULL is fine. */
void host_network_free(struct host_network *network);

/*
 * Asks once, then keeps asking in a thread of its own until host_network_free(), for which `engine` has to
 * live. Does nothing
 * when it is asked already, or with a period of 0. 0 or -errno.
 */
int host_network_watch(struct host_network *network, const struct engine *engine, unsigned period_ms);

/* What is known now. NULL knows nothing. Any thread. */
void host_network_get(struct host_network *network, struct host_network_ids *ids);

#endif
