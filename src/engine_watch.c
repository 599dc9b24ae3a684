/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The engine has no event for the two networks that matter here: they come with the engine and with the
 * swarm. So they are asked for again and again, by a thread that does nothing else, because an engine that
 * hangs must hold up neither a worker nor the main thread. Answers other than 200 with an ID, and none at
 * all, make the ID unknown; what is headgate's own stays what it was. Between a swarm's end and the next
 * question the old ID stands: who can end and make swarms has the host anyway.
 */
#include "engine_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine_ask.h"
#include "log.h"
#include "thread.h"

#define ASK_TIMEOUT_MS 1000
/* moby daemon/names: what else stands in a name belongs to no container. */
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

struct engine_watch {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool is_watched, stop;
	unsigned period_ms;
	const struct engine *engine; /* borrowed */
	const struct own *own;	     /* borrowed, its name alone; NULL: none */
	struct engine_ids ids;
};

int engine_watch_new(struct engine_watch **made, const struct own *own)
{
	pthread_condattr_t attributes;
	struct engine_watch *watch = calloc(1, sizeof(*watch));

	*made = watch;
	if (!watch)
		return -ENOMEM;
	watch->own = own;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&watch->wake, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	(void)pthread_mutex_init(&watch->lock, NULL);
	return 0;
}

/* False when it is time to end; an engine that hangs is not asked everything before that. */
static bool goes_on(struct engine_watch *watch)
{
	pthread_mutex_lock(&watch->lock);
	bool stop = watch->stop;
	pthread_mutex_unlock(&watch->lock);
	return !stop;
}

/* False without an answer of 200; with one engine_body_fini() is due. */
static bool get(struct engine_watch *watch, const char *target, struct engine_body *body)
{
	char error[512];

	*body = (struct engine_body){0};
	if (!goes_on(watch))
		return false;
	if (engine_get(watch->engine, target, ASK_TIMEOUT_MS, body, error, sizeof(error)) < 0) {
		log_debug("%s", error);
		return false;
	}
	if (body->status == 200 && body->data)
		return true;
	engine_body_fini(body);
	return false;
}

static void ask_network(struct engine_watch *watch, const char *target, char id[INSPECT_NETWORK_ID_BYTES])
{
	struct engine_body body;

	id[0] = '\0';
	if (!get(watch, target, &body))
		return;
	(void)inspect_network_id((struct span){.ptr = body.data, .len = body.len}, id);
	engine_body_fini(&body);
}

/* The filters are JSON, escaped. By name the engine gives too much: what only begins so, or has it within. */
static bool target_by_name(char *target, size_t cap, const char *list, const char *name)
{
	int n = snprintf(target, cap, "/%s%%7B%%22name%%22%%3A%%7B%%22%s%%22%%3Atrue%%7D%%7D", list, name);

	return n > 0 && (size_t)n < cap && name[strspn(name, NAME_CHARACTERS)] == '\0';
}

/* Tasks by their services, because the engine's list does not have their names. */
static bool target_of_tasks(char *target, size_t cap, const struct own_ids *ids, size_t *count)
{
	size_t used = strlcpy(target, "/tasks?filters=%7B%22service%22%3A%7B", cap);

	*count = 0;
	for (size_t i = 0; i < ids->count; i++) {
		if (ids->ids[i].kind != OWN_SERVICE)
			continue;
		int n = snprintf(target + used, cap - used, "%s%%22%s%%22%%3Atrue", (*count)++ ? "%2C" : "",
				 ids->ids[i].id);
		used += n > 0 ? (size_t)n : 0;
		if (used >= cap)
			return false;
	}
	return strlcpy(target + used, "%7D%7D", cap - used) < cap - used;
}

static void ask_kind(struct engine_watch *watch, enum own_kind kind, const char *target, struct own_ids *ids)
{
	struct own_ids *found = calloc(1, sizeof(*found));
	struct engine_body body;

	if (!found || !get(watch, target, &body)) {
		free(found);
		return;
	}
	if (!inspect_own_ids((struct span){.ptr = body.data, .len = body.len}, watch->own, kind, found) ||
	    !own_ids_replace(ids, kind, found))
		ids->is_known[kind] = false;
	engine_body_fini(&body);
	free(found);
}

static void ask_tasks(struct engine_watch *watch, struct own_ids *ids)
{
	char target[2048];
	size_t services;

	if (!ids->is_known[OWN_SERVICE])
		return;
	if (!target_of_tasks(target, sizeof(target), ids, &services))
		ids->is_known[OWN_TASK] = false;
	else if (services)
		ask_kind(watch, OWN_TASK, target, ids);
	else
		own_ids_clear(ids, OWN_TASK);
}

static void ask_own(struct engine_watch *watch, struct own_ids *ids)
{
	static const struct {
		enum own_kind kind;
		const char *list;
	} named[] = {
	    {OWN_CONTAINER, "containers/json?all=1&filters="},
	    {OWN_SERVICE, "services?filters="},
	    {OWN_SECRET, "secrets?filters="},
	    {OWN_CONFIG, "configs?filters="},
	};
	char target[512];

	if (!watch->own || !watch->own->name)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (target_by_name(target, sizeof(target), named[i].list, watch->own->name))
			ask_kind(watch, named[i].kind, target, ids);
	ask_tasks(watch, ids);
}

static void ask(struct engine_watch *watch)
{
	struct engine_ids ids;

	engine_watch_get(watch, &ids);
	ask_network(watch, "/networks/host", ids.local);
	ask_network(watch, "/networks/host?scope=swarm", ids.swarm);
	ask_own(watch, &ids.own);
	/* Without a swarm some engines answer the second with what they answered to the first. */
	if (strcmp(ids.local, ids.swarm) == 0)
		ids.swarm[0] = '\0';
	pthread_mutex_lock(&watch->lock);
	watch->ids = ids;
	pthread_mutex_unlock(&watch->lock);
}

static void *watch_main(void *arg)
{
	struct engine_watch *watch = arg;

	pthread_mutex_lock(&watch->lock);
	while (!watch->stop) {
		struct timespec until;
		int result = 0;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += watch->period_ms / 1000;
		until.tv_nsec += (long)(watch->period_ms % 1000) * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		while (!watch->stop && result != ETIMEDOUT)
			result = pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
		if (watch->stop)
			break;
		pthread_mutex_unlock(&watch->lock);
		ask(watch);
		pthread_mutex_lock(&watch->lock);
	}
	pthread_mutex_unlock(&watch->lock);
	return NULL;
}

int engine_watch_start(struct engine_watch *watch, const struct engine *engine, unsigned period_ms)
{
	if (watch->is_watched || period_ms == 0)
		return 0;
	watch->engine = engine;
	watch->period_ms = period_ms;
	ask(watch);
	int result = thread_start(&watch->thread, watch_main, watch);
	watch->is_watched = result == 0;
	return result;
}

void engine_watch_free(struct engine_watch *watch)
{
	if (!watch)
		return;
	pthread_mutex_lock(&watch->lock);
	watch->stop = true;
	pthread_cond_signal(&watch->wake);
	pthread_mutex_unlock(&watch->lock);
	if (watch->is_watched)
		pthread_join(watch->thread, NULL);
	(void)pthread_cond_destroy(&watch->wake);
	(void)pthread_mutex_destroy(&watch->lock);
	free(watch);
}

void engine_watch_get(struct engine_watch *watch, struct engine_ids *ids)
{
	*ids = (struct engine_ids){0};
	if (!watch)
		return;
	pthread_mutex_lock(&watch->lock);
	*ids = watch->ids;
	pthread_mutex_unlock(&watch->lock);
}
