/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The loop: one wait for events (not a blocking one while connections are left that used up their
 * budget), then what was gathered leaves, those others have another turn, and deadlines are looked at.
 * Accepting pauses at the limit of connections, and for a moment when descriptors run out, instead of
 * failing in circles.
 */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "thread.h"

#define ACCEPT_PAUSE_MS 100
/* While draining, how often to see whether the last one has gone. */
#define DRAIN_LOOK_MS 20
/* How soon a token that ends by the clock ends what was opened with it. */
#define EXPIRY_LOOK_MS 500
#define LINGER_MS      10000
/* So long an answered connection keeps OpenSSL's buffers for the next request. */
#define REST_MS 5000
/* How soon a half-closed client's reset is noticed; nothing but a look at the socket tells. */
#define PROBE_MS 2000
/* Whoever has no request on its way yet may not keep the program from ending for longer. */
#define HURRY_MS 2000
/* Between two tries to write or to end where no event will come. */
#define STARVED_MS 20

static void accepted(struct event_source *source, int fd_or_errno)
{
	struct worker_listener *listener = container_of(source, struct worker_listener, event);
	struct worker *worker = listener->worker;

	if (fd_or_errno >= 0) {
		worker->accept_failed = false;
		int result = conn_accept(&worker->env, fd_or_errno, listener->tls, listener->is_unix);
		if (result < 0)
			log_error("cannot serve a new connection: %s", strerror(-result));
		return;
	}
	worker->accepting = false;
	if (atomic_load(&worker->order) != WORKER_RUN) /* the listener was shut down under us */
		return;
	if (!worker->accept_failed)
		log_warn("cannot accept connections: %s; raise the limit of open files (ulimit -n)",
			 strerror(-fd_or_errno));
	worker->accept_failed = true;
	worker->accept_resume_ms = timer_now_ms() + ACCEPT_PAUSE_MS;
}

static void accept_start(struct worker *worker)
{
	worker->accepting = true;
	worker->accept_resume_ms = 0;
	for (size_t i = 0; i < worker->listeners_count; i++) {
		int result = event_accept_start(worker->loop, &worker->listeners[i].event, accepted);
		if (result < 0)
			accepted(&worker->listeners[i].event, result);
	}
}

static void accept_stop(struct worker *worker)
{
	worker->accepting = false;
	for (size_t i = 0; i < worker->listeners_count; i++)
		event_accept_stop(worker->loop, &worker->listeners[i].event);
}

/* Accepting follows the number of connections and the orders. */
static void accept_update(struct worker *worker, uint64_t now_ms)
{
	bool room = worker->env.conns_count < worker->max_connections && !worker->env.draining;

	if (worker->accepting && !room) {
		accept_stop(worker);
		if (!worker->env.draining)
			log_warn("worker %u has %u connections, the limit (--max-connections); new ones wait",
				 worker->index, worker->env.conns_count);
	} else if (!worker->accepting && room && now_ms >= worker->accept_resume_ms) {
		accept_start(worker);
	}
}

/* Wall-clock time may be set while we wait, so it is asked for often enough. */
static int sooner(int timeout_ms, int other_ms)
{
	return timeout_ms < 0 || timeout_ms > other_ms ? other_ms : timeout_ms;
}

static int wait_ms(const struct worker *worker, uint64_t now_ms)
{
	int timeout_ms = timers_next_ms(&worker->env.timers, now_ms);

	if (conn_wants_turn(&worker->env))
		return 0;
	if (worker->env.draining)
		timeout_ms = sooner(timeout_ms, DRAIN_LOOK_MS);
	if (!worker->accepting && worker->accept_resume_ms > now_ms)
		timeout_ms = sooner(timeout_ms, ACCEPT_PAUSE_MS);
	if (worker->env.next_end_s != INT64_MAX && worker->env.conns_count > 0)
		timeout_ms = sooner(timeout_ms, EXPIRY_LOOK_MS);
	return timeout_ms;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	enum worker_order order;

	while ((order = atomic_load(&worker->order)) != WORKER_STOP) {
		if (order == WORKER_DRAIN && !worker->env.draining)
			conn_drain(&worker->env);
		uint64_t now_ms = timer_now_ms();
		accept_update(worker, now_ms);
		int result = event_wait(worker->loop, wait_ms(worker, now_ms));
		if (result < 0) {
			log_error("worker %u: waiting for events failed: %s", worker->index,
				  strerror(-result));
			abort(); /* nothing can be served any more; the service manager restarts us */
		}
		struct snapshot *renewed = atomic_exchange(&worker->renewed, NULL);
		if (renewed)
			conn_env_renew(&worker->env, renewed);
		conn_env_end_expired(&worker->env);
		conn_run_again(&worker->env);
		conn_expire(&worker->env);
		/* After a wait with accepting stopped: what the kernel had accepted before is served, too. */
		if (worker->env.draining && !worker->accepting)
			atomic_store(&worker->idle, conn_env_is_quiet(&worker->env));
	}
	return NULL;
}

static void worker_fini(struct worker *worker)
{
	for (size_t i = 0; i < worker->listeners_count; i++)
		event_remove(worker->loop, &worker->listeners[i].event);
	conn_env_fini(&worker->env);
	snapshot_release(atomic_exchange(&worker->renewed, NULL));
	event_close(worker->loop);
}

int worker_open(struct worker *worker, unsigned index, const struct worker_shared *shared)
{
	const struct config *config = shared->config;
	const unsigned timeouts_ms[TIMER_CLASS_COUNT] = {
	    [TIMER_HANDSHAKE] = config->handshake_timeout_ms,
	    [TIMER_HEAD] = config->head_timeout_ms,
	    [TIMER_HURRY] = HURRY_MS,
	    [TIMER_BODY] = config->head_timeout_ms,
	    [TIMER_REST] = REST_MS,
	    [TIMER_PROBE] = PROBE_MS,
	    [TIMER_IDLE] = config->idle_timeout_ms,
	    [TIMER_CONNECT] = config->connect_timeout_ms,
	    [TIMER_LINGER] = LINGER_MS,
	    [TIMER_STARVED] = STARVED_MS,
	    [TIMER_BATCH] = CONN_BATCH_MS,
	};
	int result = 0;

	memset(worker, 0, sizeof(*worker));
	worker->index = index;
	worker->max_connections = (config->max_connections + shared->workers - 1) / shared->workers;
	worker->loop = event_open(shared->event_ops, &result);
	if (!worker->loop)
		return result;
	worker->env.loop = worker->loop;
	worker->env.engine = shared->engine;
	worker->env.snapshot = snapshot_hold(shared->snapshot);
	worker->env.limits = shared->limits;
	worker->env.engine_watch = shared->engine_watch;
	worker->env.console = shared->console;
	worker->env.own = shared->own;
	worker->env.token_in_path = config->token_in_path;
	worker->env.proxy_sources = config->proxy_sources;
	worker->env.proxy_sources_count = config->proxy_sources_count;
	conn_env_init(&worker->env, timeouts_ms, config->mover != CONFIG_MOVER_COPY);
	for (size_t i = 0; i < shared->listeners_count && result == 0; i++) {
		struct worker_listener *listener = &worker->listeners[i];
		listener->worker = worker;
		listener->is_unix = shared->listeners[i].address.scheme == CONFIG_UNIX;
		listener->tls = shared->listeners[i].address.scheme == CONFIG_TLS ? shared->tls : NULL;
		listener->event.fd = shared->listeners[i].fds[index];
		listener->event.slot = EVENT_NO_SLOT;
		result = event_add(worker->loop, &listener->event);
		worker->listeners_count++;
	}
	if (result < 0)
		worker_fini(worker);
	return result;
}

int worker_start(struct worker *worker)
{
	int result = thread_start(&worker->thread, worker_main, worker);

	worker->has_thread = result == 0;
	return result;
}

void worker_renew(struct worker *worker, struct snapshot *snapshot)
{
	/* One that was never taken is of the past. */
	snapshot_release(atomic_exchange(&worker->renewed, snapshot_hold(snapshot)));
	event_wake(worker->loop);
}

void worker_order(struct worker *worker, enum worker_order order)
{
	atomic_store(&worker->order, order);
	event_wake(worker->loop);
}

void worker_join(struct worker *worker)
{
	if (worker->has_thread)
		pthread_join(worker->thread, NULL);
	worker_fini(worker);
}
