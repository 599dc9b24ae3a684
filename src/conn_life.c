/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * conn.c says what a connection does in each state; here is what makes it run: accept, the two
 * event handlers, the queues of those that want another turn, deadlines, drain and close. A handler's
 * END frees the connection at once; nothing here touches it afterwards, and event_remove() has taken
 * back whatever event was on its way.
 */
#include "conn_impl.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * What a bulk transfer moves in a turn. Large turns cost the least CPU; but a turn is what anybody else waits
 * for, and one of 512 KiB takes half a millisecond. So they are short while somebody is there who moves
 * little.
 */
#define BUDGET_BYTES	   ((size_t)(512 * 1024))
#define BUDGET_SHORT_BYTES ((size_t)(64 * 1024))
/* So long after such a one's turn there may be one more; the clock goes by 4 ms. */
#define QUICK_MS 16
/* So many turns a gathered request waits for at most: a third of a millisecond, where nobody does anything
 * long. */
#define GATHER_TURNS 32
/* So many bulk transfers have a turn before the next look at who else wants one. */
#define BULK_TURNS_SHORT 4

static void count_rekeyed(struct conn *c, const struct leg *leg)
{
	if (leg->ktls.rekeyed)
		counter_add(&c->env->counters, COUNTER_KEY_UPDATES, 1);
}

/* An engine leg is read within an exchange only, so a FIN that a read has met is in the middle of one. */
static void count_engine_end(struct conn *c)
{
	count_rekeyed(c, &c->engine);
	if (leg_was_truncated(&c->engine))
		counter_add(&c->env->counters, COUNTER_ENGINE_TRUNCATED, 1);
}

void conn_engine_close(struct conn *c)
{
	if (!leg_is_open(&c->engine))
		return;
	event_remove(c->env->loop, &c->engine_event);
	count_engine_end(c);
	leg_close(&c->engine);
}

void conn_engine_abort(struct conn *c)
{
	if (!leg_is_open(&c->engine))
		return;
	event_remove(c->env->loop, &c->engine_event);
	count_engine_end(c);
	leg_abort(&c->engine);
}

/* On one queue at most: whichever it is, the turn comes. */
static void queue_on(struct conn *c, struct conn_list *queue)
{
	if (c->queue)
		return;
	c->queue = queue;
	TAILQ_INSERT_TAIL(queue, c, queue_link);
}

static void queue_off(struct conn *c)
{
	if (!c->queue)
		return;
	TAILQ_REMOVE(c->queue, c, queue_link);
	c->queue = NULL;
}

void conn_run_again_later(struct conn *c)
{
	queue_on(c, &c->env->again);
}

void conn_gather(struct conn *c)
{
	queue_on(c, &c->env->gathered);
}

/* Whether somebody who moves little was there a moment ago. */
static bool is_anybody_quick(const struct conn_env *env)
{
	return timer_now_ms() < env->quick_ms + QUICK_MS;
}

size_t conn_budget_bytes(const struct conn *c)
{
	return is_anybody_quick(c->env) ? BUDGET_SHORT_BYTES : BUDGET_BYTES;
}

static void note_turn(struct conn *c)
{
	if (c->env->turn_of == c)
		return;
	c->env->turn_of = c;
	if (!c->is_bulk)
		c->env->quick_ms = timer_now_ms();
}

static void conn_free(struct conn *c)
{
	struct conn_env *env = c->env;

	timer_stop(&env->timers, &c->timer);
	timer_stop(&env->timers, &c->starved);
	timer_stop(&env->timers, &c->batch);
	queue_off(c);
	TAILQ_REMOVE(&env->conns, c, link);
	env->conns_count--;
	counter_add(&env->counters, COUNTER_CLOSED, 1);
	count_rekeyed(c, &c->client);
	relay_fini(&c->up, &env->relay_pools);
	relay_fini(&c->down, &env->relay_pools);
	conn_held_drop(c);
	conn_inspection_free(c);
	conn_uncount(c);
	if (c->is_counted)
		limit_peer_closes(env->limits, &c->address);
	free(c->certified);
	buf_give(&env->bufs, &c->answer);
	/* The engine must not take a tunnel's input that broke off for the whole of it. */
	if (c->state == CONN_TUNNEL && !c->tunnel_up_ended)
		conn_engine_abort(c);
	conn_engine_close(c);
	event_remove(env->loop, &c->client_event);
	leg_close(&c->client);
	free(c);
}

/* EVENT_OUT of a starved leg would be reported at once, again and again: time takes its place. */
static void wait_by_time(struct conn *c)
{
	bool client = c->want_client & EVENT_OUT && leg_is_starved(&c->client);
	bool engine = c->want_engine & EVENT_OUT && leg_is_starved(&c->engine);

	if (client)
		c->want_client &= ~(unsigned)EVENT_OUT;
	if (engine)
		c->want_engine &= ~(unsigned)EVENT_OUT;
	if ((client || engine) && !timer_running(&c->starved))
		timer_start(&c->env->timers, &c->starved, TIMER_STARVED, timer_now_ms());
}

/*
 * While EVENT_IN is wanted and the client's leg makes it wait for a batch, the timer runs: else what is
 * there, and is less, would never be read. So each turn that wants EVENT_IN sets both, or takes both back.
 * Without that interest the mark may stay as it is; reads do not care. The timer goes on while the engine's
 * events come, and anew (move_request() stops it) with each byte of the client's.
 */
static void wait_for_batch(struct conn *c)
{
	if (!(c->want_client & EVENT_IN))
		return;
	if (!leg_batch(&c->client, c->want_batch ? CONN_BATCH_BYTES : 0) || !c->want_batch)
		timer_stop(&c->env->timers, &c->batch);
	else if (!timer_running(&c->batch))
		timer_start(&c->env->timers, &c->batch, TIMER_BATCH, timer_now_ms());
}

static void conn_event(struct conn *c)
{
	note_turn(c);
	if (conn_handle(c) == END) {
		conn_free(c);
		return;
	}
	wait_by_time(c);
	wait_for_batch(c);
	event_want(c->env->loop, &c->client_event, c->want_client);
	if (leg_is_open(&c->engine))
		event_want(c->env->loop, &c->engine_event, c->want_engine);
	/* Bytes that OpenSSL holds already make no event. */
	if ((c->want_client & EVENT_IN && c->state != CONN_DRAIN && leg_has_pending(&c->client)) ||
	    (c->want_engine & EVENT_IN && leg_is_open(&c->engine) && leg_has_pending(&c->engine)))
		conn_run_again_later(c);
}

/* Those that are there now, `most` of them: what comes back meanwhile waits for the next time, after the
 * events. */
static void run_queue(struct conn_list *queue, unsigned most)
{
	struct conn *last = TAILQ_LAST(queue, conn_list);
	struct conn *c;

	while (last && most-- > 0 && (c = TAILQ_FIRST(queue))) {
		bool is_last = c == last;
		queue_off(c);
		conn_event(c);
		if (is_last)
			return;
	}
}

/* What comes back meanwhile waits for others anew. */
static void run_gathered(struct conn_env *env)
{
	env->gathered_turns = 0;
	run_queue(&env->gathered, UINT_MAX);
}

/* With TLS, a client's or the engine's, still to be agreed: a turn of it may take what a dozen others take.
 */
static bool may_shake_hands(const struct conn *c)
{
	return c->state <= CONN_HANDSHAKE || (c->state == CONN_CONNECT && c->engine.tls);
}

/*
 * Of all that is ready, what takes long is last; and nothing that was gathered waits for many others, nor for
 * a handshake.
 */
static void conn_turn(struct conn *c)
{
	struct conn_env *env = c->env;

	if (c->is_bulk) {
		conn_run_again_later(c);
		return;
	}
	/* This is the turn that it waits for, and one before it could be its last. */
	if (c->queue == &env->gathered)
		queue_off(c);
	if (!TAILQ_EMPTY(&env->gathered) && (++env->gathered_turns >= GATHER_TURNS || may_shake_hands(c)))
		run_gathered(env);
	conn_event(c);
}

static void client_ready(struct event_source *source, unsigned ready)
{
	struct conn *c = container_of(source, struct conn, client_event);

	if (ready & EVENT_FAILED && c->want_client == EVENT_HANGUP) {
		/* Its sending side had ended before, so no read would tell. */
		conn_client_gone(c);
		conn_free(c);
		return;
	}
	if (ready & EVENT_HANGUP && c->want_client & EVENT_HANGUP)
		c->hangup_seen = true;
	/* Whatever else it is, the next read or write tells. */
	leg_readable(&c->client);
	conn_turn(c);
}

void conn_held_drop(struct conn *c)
{
	if (c->held)
		explicit_bzero(c->held->data, c->held->end);
	buf_give(&c->env->bufs, &c->held);
}

bool conn_engine_is_alive(const struct conn *c)
{
	char byte;
	int queued_bytes = 0;

	if (leg_has_pending(&c->engine))
		return false;
	/* With kernel TLS the part of a record is nothing to read, and wakes us again and again all the same;
	 * nothing is due from an engine that was asked nothing. */
	if (leg_reads_by(&c->engine) == LEG_KTLS &&
	    (ioctl(c->engine.fd, FIONREAD, &queued_bytes) < 0 || queued_bytes > 0))
		return false;
	return recv(c->engine.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void conn_engine_ready(struct event_source *source, unsigned ready)
{
	struct conn *c = container_of(source, struct conn, engine_event);

	(void)ready;
	if (c->state == CONN_HEAD) {
		/* Idle. The event may also be an older one, of the answer that the client's event has just
		 * moved. */
		if (!conn_engine_is_alive(c))
			conn_engine_close(c);
		return;
	}
	leg_readable(&c->engine);
	conn_turn(c);
}

static void name_peer(struct conn *c, unsigned port)
{
	char host[ADDRESS_TEXT_BYTES];

	address_write(&c->address, host);
	snprintf(c->peer, sizeof(c->peer), strchr(host, ':') ? "[%.45s]:%u" : "%.45s:%u", host,
		 port & 0xffff);
}

/* The other end of the socket. */
static void look_at_peer(struct conn *c)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage room;
	} peer = {0};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */
	socklen_t len = sizeof(peer);

	strlcpy(c->peer, "unix", sizeof(c->peer));
	if (getpeername(c->client.fd, &peer.any, &len) < 0)
		return;
	if (peer.any.sa_family == AF_INET) {
		memcpy(c->address.bytes, mapped, sizeof(mapped));
		memcpy(c->address.bytes + sizeof(mapped), &peer.in.sin_addr, 4);
		c->has_address = true;
		name_peer(c, ntohs(peer.in.sin_port));
	} else if (peer.any.sa_family == AF_INET6) {
		memcpy(c->address.bytes, &peer.in6.sin6_addr, sizeof(c->address.bytes));
		c->has_address = true;
		name_peer(c, ntohs(peer.in6.sin6_port));
	}
}

static bool speaks_proxy_protocol(const struct conn *c)
{
	for (size_t i = 0; c->has_address && i < c->env->proxy_sources_count; i++)
		if (address_prefix_has(&c->env->proxy_sources[i], &c->address))
			return true;
	return false;
}

void conn_peer_is_known(struct conn *c, bool by_proxy)
{
	if (by_proxy)
		name_peer(c, 0);
	if (!c->has_address)
		return;
	c->is_counted = limit_peer_opens(c->env->limits, &c->address);
	c->is_crowded = !c->is_counted;
}

int conn_accept(struct conn_env *env, int fd, struct tls_server *server, bool is_unix)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct tls *tls = server ? tls_accept(server, fd, &env->bufs) : NULL;

	if (!c || (server && !tls)) {
		free(c);
		tls_conn_free(tls);
		close(fd);
		return -ENOMEM;
	}
	c->env = env;
	leg_open(&c->client, fd, tls, is_unix);
	leg_init(&c->engine);
	relay_init(&c->up, &c->client, &c->engine);
	relay_init(&c->down, &c->engine, &c->client);
	c->engine_event.slot = EVENT_NO_SLOT;
	c->client_event = (struct event_source){.fd = fd, .handler = client_ready, .slot = EVENT_NO_SLOT};
	int result = event_add(env->loop, &c->client_event);
	if (result < 0) {
		leg_close(&c->client);
		free(c);
		return result;
	}
	look_at_peer(c);
	if (speaks_proxy_protocol(c)) {
		c->state = CONN_PROXY;
	} else {
		conn_peer_is_known(c, false);
		c->state = CONN_HANDSHAKE;
	}
	TAILQ_INSERT_TAIL(&env->conns, c, link);
	env->conns_count++;
	counter_add(&env->counters, COUNTER_OPENED, 1);
	timer_start(&env->timers, &c->timer, env->draining ? TIMER_HURRY : TIMER_HANDSHAKE, timer_now_ms());
	conn_event(c);
	return 0;
}

void conn_run_again(struct conn_env *env)
{
	run_gathered(env);
	run_queue(&env->again, is_anybody_quick(env) ? BULK_TURNS_SHORT : UINT_MAX);
}

bool conn_wants_turn(const struct conn_env *env)
{
	return !TAILQ_EMPTY(&env->gathered) || !TAILQ_EMPTY(&env->again);
}

/* What is there of it is read, and the next event is for the first byte. */
static void batch_ends(struct conn *c)
{
	leg_readable(&c->client);
	if (c->queue) /* it may have come; its turn has not */
		return;
	conn_note_pace(c, false);
	conn_event(c);
}

void conn_expire(struct conn_env *env)
{
	uint64_t now_ms = timer_now_ms();
	struct timer *timer;

	while ((timer = timers_expire(&env->timers, now_ms))) {
		if (timer->class == TIMER_STARVED) {
			conn_event(container_of(timer, struct conn, starved));
			continue;
		}
		if (timer->class == TIMER_BATCH) {
			batch_ends(container_of(timer, struct conn, batch));
			continue;
		}
		struct conn *c = container_of(timer, struct conn, timer);
		if (conn_deadline(c, timer->class) == END)
			conn_free(c);
		else
			conn_event(c);
	}
}

/* Who is counted by a name that his token no longer has is counted by the new one, be it one too many. */
static void bind_again(struct conn *c, const struct token *token)
{
	if (c->x.is_counted && strcmp(c->x.principal->name, token->name) != 0) {
		conn_uncount(c);
		c->x.is_counted = limit_token_opens(c->env->limits, token->name);
	}
	c->x.principal = token;
}

/* Whoever's token is not good any more ends; the others are the new snapshot's from now on. */
static void recheck_all(struct conn_env *env, int64_t now_s)
{
	static const char *const why[] = {
	    [TOKEN_UNKNOWN] = "the token was revoked",
	    [TOKEN_EXPIRED] = "the token has expired",
	    [TOKEN_ELSEWHERE] = "the token is no longer for this address",
	};
	struct conn *c, *next;

	TAILQ_FOREACH_SAFE (c, &env->conns, link, next) {
		const struct token *token = NULL;
		enum token_standing standing;

		if (!c->x.principal)
			continue;
		standing = env->snapshot->everyone ? TOKEN_GOOD
						   : token_set_recheck(&env->snapshot->tokens, &c->credential,
								       conn_address(c), now_s, &token);
		if (standing == TOKEN_GOOD) {
			bind_again(c, env->snapshot->everyone ? env->snapshot->everyone : token);
			continue;
		}
		bool runs = c->state != CONN_REPLY && c->state != CONN_DRAIN;
		enum conn_step step = runs ? conn_revoke(c, why[standing]) : WAIT;
		conn_uncount(c);
		c->x.principal = NULL;
		if (step == END)
			conn_free(c);
		else if (runs || c->state == CONN_DRAIN) /* which has no time limit while the token is good */
			conn_event(c);
	}
	env->next_end_s = token_set_next_end(&env->snapshot->tokens, now_s);
}

void conn_env_renew(struct conn_env *env, struct snapshot *snapshot)
{
	struct snapshot *old = env->snapshot;

	env->snapshot = snapshot;
	recheck_all(env, time(NULL));
	snapshot_release(old);
}

void conn_env_end_expired(struct conn_env *env)
{
	int64_t now_s = time(NULL);

	if (now_s >= env->next_end_s)
		recheck_all(env, now_s);
}

/*
 * An answer for a good token is on its way to the client. The kernel goes on with that when the program has
 * ended, but not when its network namespace ends with it, as a container's does.
 */
static bool is_arriving(const struct conn *c)
{
	uint64_t acked_bytes;

	return (c->x.principal || c->is_owed) && leg_has_unacked(&c->client, &acked_bytes);
}

void conn_drain(struct conn_env *env)
{
	struct conn *c, *next;

	env->draining = true;
	TAILQ_FOREACH_SAFE (c, &env->conns, link, next) {
		if (c->state < CONN_HEAD || (c->state == CONN_HEAD && c->held))
			timer_start(&env->timers, &c->timer, TIMER_HURRY, timer_now_ms());
		if (c->state != CONN_HEAD || c->held)
			continue;
		bool is_under_way = is_arriving(c);
		if (leg_end(&c->client) == -EAGAIN || is_under_way) {
			c->state = CONN_DRAIN;
			conn_event(c);
		} else {
			conn_free(c);
		}
	}
}

bool conn_env_is_quiet(const struct conn_env *env)
{
	const struct conn *c;

	/* Who only lingers behind its end is no longer waited for. */
	TAILQ_FOREACH (c, &env->conns, link)
		if (c->state != CONN_DRAIN || !(c->client.out_ended || c->cut) || is_arriving(c))
			return false;
	return true;
}

void conn_env_init(struct conn_env *env, const unsigned timeouts_ms[TIMER_CLASS_COUNT], bool may_splice)
{
	timers_init(&env->timers, timeouts_ms);
	buf_pool_init(&env->bufs, 64);
	pipe_pool_init(&env->pipes, 32);
	env->relay_pools = (struct relay_pools){.bufs = &env->bufs, .pipes = may_splice ? &env->pipes : NULL};
	TAILQ_INIT(&env->conns);
	TAILQ_INIT(&env->gathered);
	TAILQ_INIT(&env->again);
	env->next_end_s = token_set_next_end(&env->snapshot->tokens, time(NULL));
}

void conn_env_fini(struct conn_env *env)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it loses track of TAILQ_REMOVE()'s other end. */
	while (!TAILQ_EMPTY(&env->conns))
		conn_free(TAILQ_FIRST(&env->conns)); /* NOLINT(clang-analyzer-unix.Malloc): the same */
	buf_pool_fini(&env->bufs);
	pipe_pool_fini(&env->pipes);
	snapshot_release(env->snapshot);
	env->snapshot = NULL;
}
