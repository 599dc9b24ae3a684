/* SPDX-License-Identifier: MIT */
/*
 * swarm.h: whether the engine can do a manager's work: it is in no swarm, or it is a manager of one that has
 * a leader. Blocks, for a thread that serves nobody. Layer 2.
 */
#ifndef HEADGATE_SWARM_H
#define HEADGATE_SWARM_H

#include <stddef.h>

#include "engine.h"

/*
 * 0, or a negative errno with a line in `text`: the engine cannot be reached or does not answer within
 * `timeout_ms` (each of two questions), or it is in a swarm and no manager that reaches the leader
 * (-EHOSTDOWN). GET /swarm and GET /info (moby: daemon/cluster/swarm.go, errNoSwarm and errNoManager are both
 * 503).
 */
int swarm_is_manageable(const struct engine *engine, unsigned timeout_ms, char *text, size_t text_cap);

#endif
