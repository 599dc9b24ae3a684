/* SPDX-License-Identifier: MIT */
/*
 * service.h: what every command that serves clients has: listeners, workers, the engine behind, the admin
 * listener, signals, and the way it stops. A command fills in config, engine and tls, then calls these from
 * top to bottom; between the last two it waits for signals and does what is its own. Layer 4.
 */
#ifndef HEADGATE_SERVICE_H
#define HEADGATE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "admin.h"
#include "compiler.h"
#include "config.h"
#include "engine.h"
#include "event.h"
#include "listener.h"
#include "tls.h"
#include "worker.h"

struct service {
	struct config config;
	struct engine engine;	/* owned */
	struct tls_server *tls; /* owned; NULL without a TLS listener */
	struct listener listeners[CONFIG_LISTEN_MAX];
	size_t listeners_count;
	struct worker *workers; /* owned */
	unsigned workers_count;
	const struct event_ops *event_ops;
	bool is_private; /* unix sockets are for their owner alone */
	bool kernel_tls; /* connections go over to the kernel */
	struct admin admin;
	int signal_fd;	  /* owned */
	char error[1024]; /* one line, after a failure */
};

/* Nothing is open. The caller has zeroed it. */
void service_init(struct service *service);

/* Before any thread is started: signals are read by service_next_signal() from here on. 0 or -errno. */
int service_take_signals(struct service *service);

/* Event loop, kernel TLS, listeners and admin listener, as the configuration asks for them. 0 or -errno. */
int service_prepare(struct service *service);

/* Opens the workers. The caller fills in what is the command's own of `shared`; the rest is set here. 0 or
 * -errno. */
int service_open(struct service *service, struct worker_shared shared);

/* Starts them: from here on clients are served. 0 or -errno. */
int service_start(struct service *service);

/* Warns when the engine cannot be reached: it need not run yet, but its user wants to know now. */
void service_report_engine(const struct service *service);

/* One log line for each listener; `more` ends it. */
void service_report_ready(const struct service *service, const char *more);

/* Hands the workers other tokens and another policy. */
void service_renew(struct service *service, struct snapshot *snapshot);

/* SIGTERM, SIGINT or SIGHUP within that time, 0 when none came. Answers the admin listener meanwhile. */
int service_next_signal(struct service *service, int timeout_ms);

/* Stops accepting and lets what runs finish; a second signal or the time-out ends it. */
void service_drain(struct service *service);

/* The workers end, and with them all that uses what they share: that may be freed then. */
void service_stop(struct service *service);

/* Stops the workers, closes and frees everything; also after a failure at any step. */
void service_fini(struct service *service);

#endif
