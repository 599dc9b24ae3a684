/* SPDX-License-Identifier: MIT */
/*
 * conn_impl.h: what conn.c (the states, top to bottom) and conn_life.c (accept, events, deadlines, close)
 * share; nobody else includes it. Layer 3.
 */
#ifndef HEADGATE_CONN_IMPL_H
#define HEADGATE_CONN_IMPL_H

#include <netinet/in.h>

#include "conn.h"
#include "inspect.h"
#include "route.h"

enum conn_state {
	CONN_PROXY,
	CONN_HANDSHAKE,
	CONN_ARM,
	CONN_HEAD,
	CONN_CHECK,
	CONN_BODY,
	CONN_CONNECT,
	CONN_EXCHANGE,
	CONN_TUNNEL,
	CONN_REPLY,
	CONN_DRAIN,
	CONN_STATE_COUNT,
};

enum conn_step { NEXT, WAIT, END };

enum answer_phase {
	ANSWER_HEAD,	/* reading its head */
	ANSWER_INTERIM, /* a 1xx is leaving; another head follows */
	ANSWER_BODY,	/* head and body are leaving */
};

enum connect_phase { CONNECT_GATHER, CONNECT_START, CONNECT_SOCKET, CONNECT_TLS };

/* How fast a request's body comes, see comes_fast(). */
struct pace {
	uint64_t since_ms, since_bytes; /* when it was last looked at, and what had come then */
	bool is_fast;
};

/* What remains of a request after its head was checked; the head itself is gone by then. */
struct exchange {
	enum http_method method;
	enum route_kind kind; /* as it is treated: HTTP/1.0 and chunked bodies make a stream of a message */
	bool keep_alive;      /* the client would send another request */
	bool for_console;     /* answered by console.h, not by the engine */
	bool legacy_tunnel;   /* a raw-stream 200 opens it */
	bool expects_continue;
	bool says_continue;	       /* a 100 of our own, for a body that is looked into */
	bool takes_interim;	       /* not HTTP/1.0 */
	bool body_deadline;	       /* a body of known length that stands still is given up */
	bool up_open;		       /* the request is still leaving */
	bool keep_client, keep_engine; /* decided with the answer's head */
	enum answer_phase phase;
	int interim_count;
	size_t said_bytes;	       /* of our own 100 */
	int status;		       /* of the answer, for the log */
	bool is_refused;	       /* that answer is our own */
	size_t head_bytes;	       /* of the request's head in `held`, while it is being checked */
	char upgrade_to[64];	       /* "" when no upgrade was asked for */
	const struct token *principal; /* borrowed from env->snapshot */
	bool is_counted;	       /* among those that are open with its token */
	struct pace pace;	       /* of its body */
	uint64_t started_ms;
	char method_name[12]; /* for the log; cut */
	char path[120];	      /* for the log, once the token was good; without the query; cut */
};

/* Why a request is refused; status 0: it is not. */
struct refusal {
	int status;
	unsigned retry_after_s; /* 0: it would not help */
	char message[INSPECT_REASON_BYTES];
};

struct inspection; /* of a request whose body decides, see conn_check.c */

struct conn {
	struct conn_env *env; /* borrowed */
	enum conn_state state;
	struct leg client, engine;
	struct event_source client_event, engine_event;
	unsigned want_client, want_engine; /* the interest that the present WAIT ends with */
	bool want_batch;		   /* EVENT_IN of the client may wait for CONN_BATCH_BYTES */
	struct timer timer;
	struct timer starved;  /* a write or an end is tried again then; see leg_is_starved() */
	struct timer batch;    /* it waits no longer then */
	struct http_scan scan; /* of the head that is being read, ours or the engine's */
	struct buf *held;      /* owned; client bytes that belong to no approved request yet */
	struct buf *answer;    /* owned; engine bytes of an incomplete answer head */
	struct relay up, down;
	struct exchange x;
	struct inspection *inspection;	    /* owned; until its body has left */
	struct token_credential credential; /* of the principal: what has to stay good */
	char *certified; /* owned; the names in the client's certificate, each with its NUL, then an empty one
			  */
	struct address address;	      /* of the client, behind a proxy that may say so; not on unix sockets */
	bool has_address, is_counted; /* among the connections of that address */
	bool is_crowded;	      /* one too many of them: its request is refused */
	enum connect_phase connect_phase;
	bool tunnel_up_ended, tunnel_down_ended;
	bool engine_end_settled; /* the client's end was carried to the engine, or must not be */
	bool truncation_counted;
	bool cut;		 /* the answer was not finished: DRAIN sends no close_notify */
	bool is_owed;		 /* its last answer was for a good token, and may not have arrived yet */
	uint64_t acked_bytes;	 /* by the client's machine, when the linger deadline last passed */
	bool hangup_seen;	 /* the client's FIN was reported; it would be for ever */
	struct conn_list *queue; /* where queue_link is: of env, gathered or again; NULL */
	bool is_bulk;		 /* its exchange has used up a turn's bytes, or filled a peer's buffer */
	char peer[INET6_ADDRSTRLEN + 8];
	TAILQ_ENTRY(conn) link, queue_link;
};

static inline const struct address *conn_address(const struct conn *c)
{
	return c->has_address ? &c->address : NULL;
}

/*
 * Whose request it is; NULL with `refusal` filled in. The exchange is counted among its token's until
 * conn_uncount().
 */
const struct token *conn_authenticate(struct conn *c, const struct http_request *request,
				      struct refusal *refusal);
void conn_uncount(struct conn *c);

/*
 * Whether c->x.principal may; fills in `refusal` if not. Where the body decides, c->inspection is there
 * afterwards: it takes the body, and conn_inspect() says.
 */
void conn_authorize(struct conn *c, const struct http_request *request, const struct route *route,
		    struct refusal *refusal);

/* Takes bytes of the body that is looked into; returns how many belong to it. */
size_t conn_inspection_take(struct conn *c, const char *data, size_t len);
bool conn_inspection_is_complete(const struct conn *c);
/* Looks into the whole body. If it may go on, the up relay has it and c->inspection stays until it has left.
 */
bool conn_inspect(struct conn *c, struct refusal *refusal);
void conn_inspection_free(struct conn *c);

/* The token that the exchange was approved for is no longer good. Returns as a handler. */
enum conn_step conn_revoke(struct conn *c, const char *why);

/* Runs the handlers of the connection's states until one says WAIT or END. */
enum conn_step conn_handle(struct conn *c);

/* A deadline has passed: NEXT (the state is a new one, run it) or END. */
enum conn_step conn_deadline(struct conn *c, enum timer_class class);

/* The client has gone altogether in the middle of an exchange: counts and logs that. END comes next. */
void conn_client_gone(struct conn *c);

/* What the client's next event may wait for, until TIMER_BATCH. Half of what one read takes. */
#define CONN_BATCH_BYTES (BUF_BYTES / 2)

/* Another turn after the others had theirs. */
void conn_run_again_later(struct conn *c);

/* Another turn after a few of the others had theirs, together with all that want the same. */
void conn_gather(struct conn *c);

/* Whether the request's body comes fast, until it is looked at again; see comes_fast(). */
void conn_note_pace(struct conn *c, bool is_fast);

/* How many bytes one direction may move in this turn. */
size_t conn_budget_bytes(const struct conn *c);

/* Who the client is: as the socket says, or the PROXY header, from which c->address is then. */
void conn_peer_is_known(struct conn *c, bool by_proxy);

/* Closes the engine leg; nothing happens when it is not open. */
void conn_engine_close(struct conn *c);
/* The same by a reset: what it got of the request or the tunnel is not the whole. */
void conn_engine_abort(struct conn *c);

/* Drops what is held of the client's bytes, wiped: there may be a token in them. */
void conn_held_drop(struct conn *c);

/* Whether an idle engine leg is still open and says nothing that nobody asked for. */
bool conn_engine_is_alive(const struct conn *c);

/* The handler of the engine leg's events. */
void conn_engine_ready(struct event_source *source, unsigned ready);

#endif
