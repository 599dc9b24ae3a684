/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The engine has no event for the two networks that matter here: they come with the engine and with the
 * swarm. So they are asked for again and again, by a thread that does nothing else, because an engine that
 * hangs must hold up neither a worker nor the main thread. Answers other than 200 with an ID, and none at
 * all, make the ID unknown; headgate's own containers stay who they were. Between a swarm's end and the next
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
	const char *container;	     /* borrowed; NULL: in none */
	struct engine_ids ids;
};

int engine_watch_new(struct engine_watch **made, const char *container)
{
	pthread_condattr_t attributes;
	struct engine_watch *watch = calloc(1, sizeof(*watch));

	*made = watch;
	if (!watch)
		return -ENOMEM;
	watch->container = container;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&watch->wake, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	(void)pthread_mutex_init(&watch->lock, NULL);
	return 0;
}

/* The answer's status, 0 without one; with 200 there may be an ID in it. */
static int ask_one(const struct engine *engine, const char *target, char id[INSPECT_NETWORK_ID_BYTES])
{
	struct engine_body body;
	char error[512];

	id[0] = '\0';
	if (engine_get(engine, target, ASK_TIMEOUT_MS, &body, error, sizeof(error)) < 0) {
		log_debug("%s", error);
		return 0;
	}
	int status = body.status;
	if (body.status == 200 && body.data)
		(void)inspect_network_id((struct span){.ptr = body.data, .len = body.len}, id);
	engine_body_fini(&body);
	return status;
}

/* False when the engine does not say. */
static bool ask_container(const struct engine *engine, const char *name, const char *suffix,
			  char id[INSPECT_NETWORK_ID_BYTES])
{
	char target[512];
	int n = snprintf(target, sizeof(target), "/containers/%s%s/json", name, suffix);

	id[0] = '\0';
	if (n < 0 || (size_t)n >= sizeof(target) || name[strspn(name, NAME_CHARACTERS)])
		return false;
	int status = ask_one(engine, target, id);
	return status == 404 || (status == 200 && id[0]);
}

static void ask_own(const struct engine_watch *watch, struct engine_ids *ids)
{
	struct engine_ids now;

	if (!watch->container || !ask_container(watch->engine, watch->container, "", now.own) ||
	    !ask_container(watch->engine, watch->container, OWN_BEFORE_SUFFIX, now.own_before))
		return;
	memcpy(ids->own, now.own, sizeof(now.own));
	memcpy(ids->own_before, now.own_before, sizeof(now.own_before));
	ids->own_is_known = true;
}

/* Who is no manager, or reaches no leader, says nothing. */
static void ask_own_services(const struct engine_watch *watch, struct engine_ids *ids)
{
	struct own own = {.name = watch->container};
	struct own_services services;
	struct engine_body body;
	char target[512], error[512];

	if (!watch->container || watch->container[strspn(watch->container, NAME_CHARACTERS)])
		return;
	/* The filter is a name's beginning: {"name":["NAME"]} */
	int n = snprintf(target, sizeof(target),
			 "/services?filters=%%7B%%22name%%22%%3A%%5B%%22%s%%22%%5D%%7D", watch->container);
	if (n < 0 || (size_t)n >= sizeof(target))
		return;
	if (engine_get(watch->engine, target, ASK_TIMEOUT_MS, &body, error, sizeof(error)) < 0) {
		log_debug("%s", error);
		return;
	}
	if (body.status == 200 && body.data &&
	    inspect_own_services((struct span){.ptr = body.data, .len = body.len}, &own, &services))
		ids->own_services = services;
	engine_body_fini(&body);
}

static void ask(struct engine_watch *watch)
{
	struct engine_ids ids;

	engine_watch_get(watch, &ids);
	ids.local[0] = ids.swarm[0] = '\0';
	(void)ask_one(watch->engine, "/networks/host", ids.local);
	(void)ask_one(watch->engine, "/networks/host?scope=swarm", ids.swarm);
	ask_own(watch, &ids);
	ask_own_services(watch, &ids);
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
