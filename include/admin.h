/* SPDX-License-Identifier: MIT */
/*
 * admin.h: the admin listener, for health checks and load balancers: no token, no engine data, plain
 * HTTP. Meant for loopback or a unix socket. Served by the main thread, one short request at a time.
 *
 *     GET /health  200 as long as the program runs
 *     GET /ready   200 when it takes new clients and the engine answers, and is in no swarm or a
 *                  manager that reaches the leader; else 503 with the reason
 *     GET /metrics what was counted (counters.h), for Prometheus
 *
 * Layer 4.
 */
#ifndef HEADGATE_ADMIN_H
#define HEADGATE_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "compiler.h"
#include "config.h"
#include "counters.h"
#include "engine.h"
#include "listener.h"

/* Adds up everybody's counters. */
typedef void admin_sum(void *context, uint64_t sums[COUNTER_COUNT]);

struct admin {
	const struct engine *engine; /* borrowed */
	admin_sum *sum;
	void *sum_context;
	struct listener listener; /* owned */
	int fd;			  /* to poll for reading; -1 when there is none */
};

/* No admin listener. */
void admin_init(struct admin *admin);

/* Binds and listens; `engine` and `sum` are for the answers. 0 or -errno with a one-line `error`. */
int admin_open(struct admin *admin, const struct config_address *address, const struct engine *engine,
	       admin_sum *sum, void *sum_context, char *error, size_t error_cap);
void admin_close(struct admin *admin);

/*
 * Answers the connections that wait. Slow clients hold the caller for a tenth of a second together, and the
 * engine, which is asked once for all of them, for two.
 */
void admin_answer(const struct admin *admin, bool draining);

#endif
