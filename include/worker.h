/* SPDX-License-Identifier: MIT */
/*
 * worker.h: one thread with its own event loop, listeners and connections. Nothing on the way of a
 * byte is shared between workers. Layer 4.
 */
#ifndef HEADGATE_WORKER_H
#define HEADGATE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "compiler.h"
#include "config.h"
#include "conn.h"
#include "engine.h"
#include "event.h"
#include "limit.h"
#include "listener.h"
#include "snapshot.h"
#include "tls.h"

enum worker_order { WORKER_RUN, WORKER_DRAIN, WORKER_STOP };

/* One accepting socket of a worker. */
struct worker_listener {
	struct event_source event;
	struct worker *worker;
	struct tls_server *tls; /* borrowed; NULL on a plain listener */
	bool is_unix;
};

struct worker {
	pthread_t thread;
	bool has_thread;
	unsigned index;
	struct event_loop *loop; /* owned */
	struct conn_env env;
	struct worker_listener listeners[CONFIG_LISTEN_MAX];
	size_t listeners_count;
	unsigned max_connections;
	bool accepting, accept_failed;
	uint64_t accept_resume_ms;
	_Atomic(struct snapshot *) renewed; /* held; from the main thread, until the worker takes it */
	_Atomic(enum worker_order) order;   /* written by the main thread */
	_Atomic(bool) idle;		    /* draining, and nothing is left */
};

/* What all workers share; immutable while they run (tls locks itself). */
struct worker_shared {
	const struct config *config;
	const struct engine *engine;
	struct snapshot *snapshot; /* borrowed; each worker holds it itself */
	struct limits *limits;
	struct engine_watch *engine_watch; /* or NULL */
	struct console *console;	   /* or NULL */
	const struct own *own;		   /* or NULL */
	struct tls_server *tls;
	const struct listener *listeners;
	size_t listeners_count;
	const struct event_ops *event_ops;
	unsigned workers;
};

/* Opens the loop and takes its listeners. 0 or -errno; nothing is left open then. */
int worker_open(struct worker *worker, unsigned index, const struct worker_shared *shared) MUST_USE;

/* Starts the thread of an open one, and with it to serve. 0 or -errno. */
int worker_start(struct worker *worker) MUST_USE;

/* Tells the worker what to do from now on; from the main thread. */
void worker_order(struct worker *worker, enum worker_order order);

/* Hands it another snapshot, which it takes over within its next turn; from the main thread. */
void worker_renew(struct worker *worker, struct snapshot *snapshot);

/* Waits for the thread, if it was started, and frees what it had. WORKER_STOP must have been ordered. */
void worker_join(struct worker *worker);

#endif
