/* SPDX-License-Identifier: MIT */
#include "timer.h"

#include <limits.h>
#include <time.h>

uint64_t timer_now_ms(void)
{
	struct timespec now;

	/* Cannot fail: the clock exists since 2.6.32 and the address is good. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void timers_init(struct timers *timers, const unsigned duration_ms[TIMER_CLASS_COUNT])
{
	for (size_t i = 0; i < TIMER_CLASS_COUNT; i++) {
		TAILQ_INIT(&timers->queues[i]);
		timers->duration_ms[i] = duration_ms[i];
	}
}

void timer_stop(struct timers *timers, struct timer *timer)
{
	if (!timer_running(timer))
		return;
	TAILQ_REMOVE(&timers->queues[timer->class], timer, link);
	timer->due_ms = 0;
}

void timer_start(struct timers *timers, struct timer *timer, enum timer_class class, uint64_t now_ms)
{
	struct timer_queue *queue = &timers->queues[class];
	struct timer *before;

	timer_stop(timers, timer);
	timer->class = class;
	timer->due_ms = now_ms + timers->duration_ms[class];
	if (timer->due_ms == 0)
		timer->due_ms = 1; /* 0 means not running */

	/* At the tail, unless the caller's idea of now is older than that of the one before. */
	before = TAILQ_LAST(queue, timer_queue);
	while (before && before->due_ms > timer->due_ms)
		before = TAILQ_PREV(before, timer_queue, link);
	if (before)
		TAILQ_INSERT_AFTER(queue, before, timer, link);
	else
		TAILQ_INSERT_HEAD(queue, timer, link);
}

/* The one that is due first of all classes, or NULL. */
static struct timer *first_due(const struct timers *timers)
{
	struct timer *first = NULL;

	for (size_t i = 0; i < TIMER_CLASS_COUNT; i++) {
		struct timer *head = TAILQ_FIRST(&timers->queues[i]);

		if (head && (!first || head->due_ms < first->due_ms))
			first = head;
	}
	return first;
}

int timers_next_ms(const struct timers *timers, uint64_t now_ms)
{
	const struct timer *first = first_due(timers);

	if (!first)
		return -1;
	if (first->due_ms <= now_ms)
		return 0;
	return first->due_ms - now_ms > INT_MAX ? INT_MAX : (int)(first->due_ms - now_ms);
}

struct timer *timers_expire(struct timers *timers, uint64_t now_ms)
{
	struct timer *first = first_due(timers);

	if (!first || first->due_ms > now_ms)
		return NULL;
	timer_stop(timers, first);
	return first;
}
