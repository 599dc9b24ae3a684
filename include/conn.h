/* SPDX-License-Identifier: MIT */
/*
 * conn.h: one client connection, from accept to close. Layer 3.
 */
#ifndef HEADGATE_CONN_H
#define HEADGATE_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "buf.h"
#include "compiler.h"
#include "console.h"
#include "counters.h"
#include "engine.h"
#include "engine_watch.h"
#include "event.h"
#include "http.h"
#include "limit.h"
#include "own.h"
#include "pipe.h"
#include "relay.h"
#include "snapshot.h"
#include "timer.h"
#include "tls.h"

/* About so long, TIMER_BATCH's, a part of a batch waits for the rest; see comes_fast() in conn.c. */
#define CONN_BATCH_MS 4

struct conn;
TAILQ_HEAD(conn_list, conn);

/* What a worker lends its connections. One a worker; nothing in it is shared but what is marked so. */
struct conn_env {
	struct event_loop *loop;	   /* borrowed */
	const struct engine *engine;	   /* borrowed, shared, immutable */
	struct snapshot *snapshot;	   /* held, shared, immutable */
	int64_t next_end_s;		   /* when the next of its tokens ends */
	struct limits *limits;		   /* borrowed, shared; locks itself */
	size_t inspected_bytes;		   /* of bodies that wait to be looked into */
	struct engine_watch *engine_watch; /* borrowed, shared; locks itself; NULL: its IDs are not known */
	struct console *console; /* borrowed, shared; locks itself; NULL: its routes are the engine's */
	bool token_in_path;
	const struct own *own;			    /* borrowed, shared, immutable; NULL: nothing is */
	const struct address_prefix *proxy_sources; /* borrowed: who speaks the PROXY protocol */
	size_t proxy_sources_count;
	struct timers timers;
	struct buf_pool bufs;
	struct pipe_pool pipes;
	struct relay_pools relay_pools; /* bufs, and pipes unless --mover copy */
	struct conn_list conns;		/* every open connection */
	struct conn_list gathered;	/* have a request that is ready to leave, see conn_gather() */
	unsigned gathered_turns;	/* of others, since such requests last left */
	struct conn_list again;		/* used up their budget, or have bytes that poll does not know of */
	unsigned conns_count;
	struct counters counters;
	const struct conn *turn_of;  /* whose turn was the last one; only compared */
	uint64_t quick_ms;	     /* when it last became that of somebody who moves no bulk */
	bool draining;		     /* no further request on kept connections */
	struct http_request request; /* scratch: valid within one handler only */
	struct http_answer answer;   /* scratch: valid within one handler only */
};

/* Readies pools, timers and lists. The caller has set what is borrowed or held above. */
void conn_env_init(struct conn_env *env, const unsigned timeouts_ms[TIMER_CLASS_COUNT], bool may_splice);
/* Closes every connection and frees the pools. */
void conn_env_fini(struct conn_env *env);

/*
 * Takes over an accepted descriptor. `server` is NULL on a plain listener. 0 or -errno, the descriptor
 * is closed then.
 */
int conn_accept(struct conn_env *env, int fd, struct tls_server *server, bool is_unix);

/* Behind the events of a wait: sends the requests that were gathered, and gives those on env->again another
 * turn. */
void conn_run_again(struct conn_env *env);

/* Whether conn_run_again() has something to do: then the next wait for events must not take time. */
bool conn_wants_turn(const struct conn_env *env);

/* Handles every deadline that has passed. */
void conn_expire(struct conn_env *env);

/*
 * Takes over a new snapshot (the caller's reference). Exchanges whose token is not good any more end, with a
 * log record; the others go on.
 */
void conn_env_renew(struct conn_env *env, struct snapshot *snapshot);

/* Ends the exchanges whose token has ended by the clock; cheap while none has. */
void conn_env_end_expired(struct conn_env *env);

/*
 * SIGTERM: closes idle connections now, or when their last answer has arrived, the others after their present
 * exchange. Who has sent no whole request by then has two seconds for it.
 */
void conn_drain(struct conn_env *env);

/*
 * True when every connection that is left only waits for its client to hang up, and no answer for a good
 * token is on its way.
 */
bool conn_env_is_quiet(const struct conn_env *env);

#endif
