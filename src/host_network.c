/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The engine has no event for the two networks that matter here: they come with the engine and with the
 * swarm. So they are asked for again and again, by a thread that does nothing else, because an engine that
 * hangs must hold up neither a worker nor the main thread. Answers other than 200 with an ID, and none at
 * all, make the ID unknown. Between a swarm's end and the next question the old ID stands: who can end and
 * make swarms has the host anyway.
 */
#include "host_network.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine_ask.h"
#include "log.h"
#include "thread.h"

#define ASK_TIMEOUT_MS 1000

struct host_network {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool is_watched, stop;
	unsigned period_ms;
	const struct engine *engine; /* borrowed */
	struct host_network_ids ids;
};

int host_network_new(struct host_network **made)
{
	pthread_condattr_t attributes;
	struct host_network *network = calloc(1, sizeof(*network));

	*made = network;
	if (!network)
		return -ENOMEM;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&network->wake, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	(void)pthread_mutex_init(&network->lock, NULL);
	return 0;
}

static void ask_one(const struct engine *engine, const char *target, char id[INSPECT_NETWORK_ID_BYTES])
{
	struct engine_body body;
	char error[512];

	id[0] = '\0';
	if (engine_get(engine, target, ASK_TIMEOUT_MS, &body, error, sizeof(error)) < 0) {
		log_debug("%s", error);
		return;
	}
	if (body.status == 200 && body.data)
		(void)inspect_network_id((struct span){.ptr = body.data, .len = body.len}, id);
	engine_body_fini(&body);
}

static void ask(struct host_network *network)
{
	struct host_network_ids ids = {0};

	ask_one(network->engine, "/networks/host", ids.local);
	ask_one(network->engine, "/networks/host?scope=swarm", ids.swarm);
	/* Without a swarm some engines answer the second with what they answered to the first. */
	if (strcmp(ids.local, ids.swarm) == 0)
		ids.swarm[0] = '\0';
	pthread_mutex_lock(&network->lock);
	network->ids = ids;
	pthread_mutex_unlock(&network->lock);
}

static void *watch(void *arg)
{
	struct host_network *network = arg;

	pthread_mutex_lock(&network->lock);
	while (!network->stop) {
		struct timespec until;
		int result = 0;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += network->period_ms / 1000;
		until.tv_nsec += (long)(network->period_ms % 1000) * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		while (!network->stop && result != ETIMEDOUT)
			result = pthread_cond_timedwait(&network->wake, &network->lock, &until);
		if (network->stop)
			break;
		pthread_mutex_unlock(&network->lock);
		ask(network);
		pthread_mutex_lock(&network->lock);
	}
	pthread_mutex_unlock(&network->lock);
	return NULL;
}

int host_network_watch(struct host_network *network, const struct engine *engine, unsigned period_ms)
{
	if (network->is_watched || period_ms == 0)
		return 0;
	network->engine = engine;
	network->period_ms = period_ms;
	ask(network);
	int result = thread_start(&network->thread, watch, network);
	network->is_watched = result == 0;
	return result;
}

void host_network_free(struct host_network *network)
{
	if (!network)
		return;
	pthread_mutex_lock(&network->lock);
	network->stop = true;
	pthread_cond_signal(&network->wake);
	pthread_mutex_unlock(&network->lock);
	if (network->is_watched)
		pthread_join(network->thread, NULL);
	(void)pthread_cond_destroy(&network->wake);
	(void)pthread_mutex_destroy(&network->lock);
	free(network);
}

void host_network_get(struct host_network *network, struct host_network_ids *ids)
{
	*ids = (struct host_network_ids){0};
	if (!network)
		return;
	pthread_mutex_lock(&network->lock);
	*ids = network->ids;
	pthread_mutex_unlock(&network->lock);
}
