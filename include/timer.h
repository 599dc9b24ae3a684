/* SPDX-License-Identifier: MIT */
/*
 * timer.h: deadlines. All deadlines of one class last equally long, so a class is a queue in the
 * order of expiry: start and stop are O(1), the next one due is at a head. Layer 1.
 */
#ifndef HEADGATE_TIMER_H
#define HEADGATE_TIMER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "compiler.h"

enum timer_class {
	TIMER_HANDSHAKE,
	TIMER_HEAD,
	TIMER_HURRY, /* in place of these two, while the program is ending */
	TIMER_BODY,
	TIMER_REST, /* shortly after an answer */
	TIMER_IDLE,
	TIMER_PROBE, /* of a half-closed client, whether it is still there */
	TIMER_CONNECT,
	TIMER_LINGER,
	TIMER_STARVED, /* no event will come, see leg_is_starved(); beside the connection's other deadline */
	TIMER_BATCH,   /* the rest of a batch has not come, see comes_fast(); beside the others, too */
	TIMER_CLASS_COUNT,
};

struct timer {
	TAILQ_ENTRY(timer) link;
	uint64_t due_ms; /* 0 while not running */
	enum timer_class class;
};

TAILQ_HEAD(timer_queue, timer);

struct timers {
	struct timer_queue queues[TIMER_CLASS_COUNT];
	unsigned duration_ms[TIMER_CLASS_COUNT];
};

/* Milliseconds of CLOCK_MONOTONIC_COARSE: cheap, and 4 ms is fine enough for deadlines of seconds. */
uint64_t timer_now_ms(void);

void timers_init(struct timers *timers, const unsigned duration_ms[TIMER_CLASS_COUNT]);

/* (Re)starts `timer` with its class's duration from `now_ms`. It must not be freed while it runs. */
void timer_start(struct timers *timers, struct timer *timer, enum timer_class class, uint64_t now_ms);
/* Stops it; nothing happens when it does not run. */
void timer_stop(struct timers *timers, struct timer *timer);
static inline bool timer_running(const struct timer *timer)
{
	return timer->due_ms != 0;
}

/* Milliseconds until the next one is due; 0 when one is; -1 when none runs. */
int timers_next_ms(const struct timers *timers, uint64_t now_ms);

/* Takes one that is due off its queue and returns it (stopped), or NULL. */
struct timer *timers_expire(struct timers *timers, uint64_t now_ms);

#endif
