/* SPDX-License-Identifier: MIT */
/* clang-format off */
/*
 * Theory of operation
 * (long: one connection's way through the program is to be read top to bottom, in one place)
 *
 * A connection goes through these states; each has one handler below, in this order, and a handler
 * says only NEXT (run the handler of the present state), WAIT (for an event of a leg or a deadline) or
 * END (close). The only way back is from EXCHANGE to HEAD, when both messages ended exactly.
 *
 *     state      what happens                                                deadline
 *     PROXY      the client's address, from a load balancer that may say it  handshake
 *     HANDSHAKE  TLS, stepped by OpenSSL                                     handshake
 *     ARM        each direction goes over to kernel TLS, where the kernel takes it
 *     HEAD       read until a head is complete                               head; idle between requests
 *     CHECK      parse, token, route; write the head that goes on
 *     BODY       the first byte of a promised body must be there, or all of  body
 *                it, where it has to be looked into
 *     CONNECT    behind the events that came with it: the engine leg,        connect
 *                unless it is still open
 *     EXCHANGE   request up, answer down                                     body, while one of known length is due
 *     TUNNEL     raw both ways, after the engine's own consent               none
 *     REPLY      an answer of our own leaves                                 linger
 *     DRAIN      close_notify, FIN, discard what still comes                 linger
 *
 * Four ways to give up: refuse() answers with a status of our own; refuse_engine() does so with the
 * engine's trouble as the reason; engine_broke() and request_broke() choose between that and a cut, by
 * whether the engine's answer has begun to leave.
 *
 * Two invariants hold, and the conformance tests watch them from the engine's side:
 *
 *  1. Client bytes reach the engine only inside one approved request. The up relay is started in CHECK
 *     with a head that we wrote and exactly that request's body. What the client sends behind it is
 *     held in `held` (behind a chunked body some of it in the relay's buffer, which never sends it) and
 *     becomes the next head, or, after the engine's consent, the tunnel's first bytes. A stream or
 *     tunnel is the last request of its connection.
 *  2. An Upgrade field alone never opens a tunnel. That takes a route that has one, and the engine's 101
 *     with the protocol asked for (or, on attach and exec/start, its raw-stream 200).
 *
 * Ends. A half-close of the client is carried to the engine once its request is complete; the answer is
 * still delivered. An answer that the engine did not finish is cut: no close_notify, so that the client
 * cannot take it for the whole. Refusals are answered, then the connection drains, so that the answer
 * is not lost to a reset while the client still sends.
 */
/* clang-format on */
#include "conn_impl.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/sockios.h>

#include "log.h"
#include "proxy_protocol.h"
#include "reply.h"

/* A head and the body bytes that came with it; with the head written anew it all fits one buffer. */
#define HELD_MAX_BYTES (BUF_BYTES / 2)
static_assert(HELD_MAX_BYTES + HTTP_HEAD_MAX_BYTES + 1024 <= BUF_BYTES, "relay_feed() fits behind a head");
static_assert(HELD_MAX_BYTES > HTTP_HEAD_MAX_BYTES, "a head that is too long is seen as such");
/* dockerd sends at most one 100; more than a few is an engine gone wrong. */
#define INTERIM_MAX 8
/* A batch in its time; looked at over so long, as the clock goes by 4 ms. */
#define PACE_BYTES_PER_MS   (CONN_BATCH_BYTES / CONN_BATCH_MS)
#define PACE_MS		    16
#define DRAIN_DISCARD_BYTES ((size_t)(1024 * 1024))

/* ---- small things that handlers share ---- */

static void want(struct conn *c, const struct leg *leg, unsigned mask)
{
	if (leg == &c->client)
		c->want_client |= mask;
	else
		c->want_engine |= mask;
}

/* A reset, or (unix) closed by the peer; not a FIN, after which the peer may still read. */
static bool socket_is_gone(int fd)
{
	struct pollfd pollfd = {.fd = fd};

	return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & (POLLHUP | POLLERR));
}

/* One turn of a direction. */
static enum relay_result move(struct conn *c, struct relay *relay)
{
	enum relay_result result = relay_step(relay, &c->env->relay_pools, conn_budget_bytes(c));

	c->is_bulk |= result == RELAY_AGAIN || result == RELAY_WAIT_OUT;
	return result;
}

static void deadline(struct conn *c, enum timer_class class)
{
	timer_start(&c->env->timers, &c->timer, class, timer_now_ms());
}

static enum counter result_of(const struct exchange *x)
{
	if (x->status == 0)
		return COUNTER_BROKEN;
	if (!x->is_refused)
		return COUNTER_ANSWERED;
	if (x->status == 401)
		return COUNTER_UNAUTHORIZED;
	/* 501 and 505 are about the request. */
	return x->status == 502 || x->status == 503 ? COUNTER_ENGINE_TROUBLE : COUNTER_REFUSED;
}

/* Once a connection: behind pipelined requests the same FIN is met by each. */
static void count_truncation(struct conn *c)
{
	if (c->truncation_counted || !leg_was_truncated(&c->client))
		return;
	c->truncation_counted = true;
	counter_add(&c->env->counters, COUNTER_CLIENT_TRUNCATED, 1);
}

/* Counts and logs it, once: what became of the request, `how` it ended if not well. */
static void exchange_over(struct conn *c, const char *how)
{
	const struct exchange *x = &c->x;
	struct counters *counters = &c->env->counters;

	counter_add(counters, result_of(x), 1);
	counter_add(counters, COUNTER_UP_BYTES, c->up.moved_bytes);
	counter_add(counters, COUNTER_DOWN_BYTES, c->x.is_refused ? 0 : c->down.moved_bytes);
	count_truncation(c);
	if (!log_enabled(LOG_LEVEL_INFO))
		return;
	log_info("%s %s %s %s %d up=%" PRIu64 "/%s down=%" PRIu64 "/%s ms=%" PRIu64 "%s%s%s", c->peer,
		 x->principal ? x->principal->name : "-", x->method_name, x->principal ? x->path : "-",
		 x->status, c->up.moved_bytes, relay_mover_name(c->up.mover), c->down.moved_bytes,
		 relay_mover_name(c->down.mover), timer_now_ms() - x->started_ms, *how ? " " : "", how,
		 leg_was_truncated(&c->client) ? " client-truncated" : "");
}

/* The client's leg failed in the middle of an exchange. */
static enum conn_step client_broke(struct conn *c)
{
	const char *failure = leg_failure(&c->client);

	exchange_over(c, failure ? failure : "the client broke off");
	return END;
}

static enum conn_step out_of_memory(struct conn *c)
{
	log_error("out of memory: a connection of %s is closed", c->peer);
	return END;
}

/* An answer of our own instead of the engine's. Only before anything of the engine's answer has left. */
static enum conn_step refuse_for(struct conn *c, int status, const char *message, unsigned retry_after_s)
{
	struct buf *buf = buf_take(&c->env->bufs);
	long n =
	    buf ? reply_write(status, message, retry_after_s, c->x.method, buf->data, BUF_BYTES) : -ENOMEM;

	conn_engine_close(c);
	conn_inspection_free(c);
	timer_stop(&c->env->timers, &c->timer);
	if (n < 0) {
		buf_give(&c->env->bufs, &buf);
		return END;
	}
	buf->end = (size_t)n;
	relay_fini(&c->up, &c->env->relay_pools);
	relay_start(&c->down, &c->env->relay_pools, buf, HTTP_FRAMING_NONE, 0);
	c->x.status = status;
	c->x.is_refused = true;
	exchange_over(c, message);
	c->state = CONN_REPLY;
	return NEXT;
}

static enum conn_step refuse(struct conn *c, int status, const char *message)
{
	return refuse_for(c, status, message, 0);
}

static enum conn_step refuse_engine(struct conn *c, int status, int error, const char *detail)
{
	char text[512];

	engine_trouble(c->env->engine, c->state == CONN_EXCHANGE, error, detail, text, sizeof(text));
	log_warn("%s", text);
	return refuse(c, status, text);
}

/*
 * Ends the connection so that the client cannot take what it got for the whole: no close_notify. Yet by
 * way of DRAIN, because a close() with unread bytes would reset it and destroy what was sent before.
 */
static enum conn_step cut(struct conn *c)
{
	c->cut = true;
	c->state = CONN_DRAIN;
	return NEXT;
}

/* The engine broke off. If its head is out, the client must see a cut, not an end. */
static enum conn_step engine_broke(struct conn *c, int error, const char *detail)
{
	bool interim_left = c->x.phase != ANSWER_INTERIM || !buf_used(c->down.buf);
	if (c->x.phase != ANSWER_BODY && interim_left)
		return refuse_engine(c, 502, error, detail);
	char how[256];
	snprintf(how, sizeof(how), "cut: the engine did not finish its answer%s%s", detail ? ": " : "",
		 detail ? detail : "");
	exchange_over(c, how);
	return cut(c);
}

/* A read of the engine's leg failed. */
static enum conn_step engine_read_failed(struct conn *c, int error)
{
	const char *failure = leg_failure(&c->engine);

	return failure ? engine_broke(c, 0, failure) : engine_broke(c, error, NULL);
}

/*
 * Reads client bytes that no approved request covers yet. What comes is kept for later; -EAGAIN when
 * there is nothing now, 0 at the client's end, 1 when something came, -ENOBUFS when HELD_MAX_BYTES are held.
 */
static int hold_client_bytes(struct conn *c)
{
	struct conn_env *env = c->env;

	if (!c->held && !(c->held = buf_take(&env->bufs)))
		return -ENOMEM;
	size_t room = HELD_MAX_BYTES > c->held->end ? HELD_MAX_BYTES - c->held->end : 0;
	if (room == 0)
		return -ENOBUFS;
	ssize_t n = -EAGAIN;
	if (leg_had_its_turn(&c->client))
		conn_run_again_later(c);
	else
		n = leg_read(&c->client, buf_tail(c->held), room);
	if (n > 0)
		c->held->end += (size_t)n;
	if (buf_used(c->held) == 0)
		buf_give(&env->bufs, &c->held);
	return n > 0 ? 1 : (int)n;
}

/* Drops the first `len` held bytes and wipes them: a head has a token in it. */
static void release_held(struct conn *c, size_t len, bool secret)
{
	if (secret)
		explicit_bzero(buf_head(c->held), len);
	c->held->start += len;
	if (buf_used(c->held) == 0) {
		buf_give(&c->env->bufs, &c->held);
		return;
	}
	size_t left = buf_used(c->held);
	memmove(c->held->data, buf_head(c->held), left);
	explicit_bzero(c->held->data + left,
		       c->held->end - left); /* the next request's token may be in there */
	c->held->end = left;
	c->held->start = 0;
}

/*
 * Nothing is read of the client any more, but it should not go unnoticed. Before its FIN an event tells;
 * after it the FIN would be reported for ever, so the socket is looked at now and then.
 */
static void want_hangup(struct conn *c)
{
	if (!c->hangup_seen)
		want(c, &c->client, EVENT_HANGUP);
	else if (!timer_running(&c->timer))
		deadline(c, TIMER_PROBE);
}

/* ---- PROXY ---- */

/*
 * What is there already would be reported at once, again and again: only more than that counts, or the end.
 * False at the end.
 */
static bool wait_for_more_than(struct conn *c, size_t len)
{
	struct pollfd pollfd = {.fd = c->client.fd, .events = POLLRDHUP};
	int mark = (int)len + 1;

	(void)setsockopt(c->client.fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
	want(c, &c->client, EVENT_IN);
	return poll(&pollfd, 1, 0) == 0;
}

/* Exactly the header is taken out of the socket: what follows is TLS's. */
static enum conn_step state_proxy(struct conn *c)
{
	char bytes[PROXY_PROTOCOL_MAX_BYTES];
	const int one = 1;
	bool has_address = false;
	size_t used = 0;
	ssize_t n = recv(c->client.fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return END;
	struct span seen = {.ptr = bytes, .len = n > 0 ? (size_t)n : 0};
	switch (proxy_protocol_parse(seen, &used, &c->address, &has_address)) {
	case PROXY_PROTOCOL_MORE:
		break;
	case PROXY_PROTOCOL_BAD:
		log_warn("%s did not begin with a PROXY protocol header (version 2), which --proxy-protocol "
			 "asks of it",
			 c->peer);
		return END;
	case PROXY_PROTOCOL_DONE:
		if (recv(c->client.fd, bytes, used, MSG_DONTWAIT) != (ssize_t)used)
			return END;
		(void)setsockopt(c->client.fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
		conn_peer_is_known(c, has_address);
		c->state = CONN_HANDSHAKE;
		return NEXT;
	}
	return wait_for_more_than(c, seen.len) ? WAIT : END;
}

/* ---- HANDSHAKE ---- */

static enum conn_step state_handshake(struct conn *c)
{
	if (!c->client.tls) {
		c->state = CONN_ARM;
		return NEXT;
	}
	switch (tls_handshake(c->client.tls)) {
	case TLS_DONE:
		c->state = CONN_ARM;
		return NEXT;
	case TLS_WANT_READ:
		want(c, &c->client, EVENT_IN);
		return WAIT;
	case TLS_WANT_WRITE:
		want(c, &c->client, EVENT_OUT);
		return WAIT;
	case TLS_PLAIN_HTTP: {
		struct span text = reply_plain_http_on_tls();
		(void)send(c->client.fd, text.ptr, text.len, MSG_NOSIGNAL);
		log_info("%s refused: plain HTTP on a TLS listener", c->peer);
		break;
	}
	case TLS_FAILED:
		counter_add(&c->env->counters, COUNTER_HANDSHAKES_FAILED, 1);
		log_info("%s TLS handshake failed: %s", c->peer, tls_failure(c->client.tls));
		break;
	}
	/* No TLS to speak from here on; DRAIN lets the text or the alert arrive before the close. */
	tls_conn_free(c->client.tls);
	c->client.tls = NULL;
	c->state = CONN_DRAIN;
	return NEXT;
}

/* ---- ARM ---- */

/* Each direction goes over to the kernel, if it takes it; userspace TLS carries the others. */
static int arm(struct conn *c, struct leg *leg, const char *who)
{
	const char *version = leg->tls ? tls_version(leg->tls) : "",
		   *cipher = leg->tls ? tls_cipher(leg->tls) : "";
	int result = leg_arm(leg, &c->env->pipes);

	if (result == 0 && *version)
		log_debug("%s %s%s %s%s%s", c->peer, who, version, cipher, leg->ktls.sends ? " ktls-tx" : "",
			  leg->ktls.receives ? " ktls-rx" : "");
	return result;
}

static enum conn_step state_arm(struct conn *c)
{
	/* The names go with the SSL object. */
	if (c->client.tls && tls_peer_names(c->client.tls, &c->certified) < 0)
		return out_of_memory(c);
	c->scan = (struct http_scan){0};
	if (arm(c, &c->client, "") < 0) {
		const char *failure = leg_failure(&c->client);
		log_info("%s TLS failed: %s", c->peer, failure ? failure : "out of memory");
		return END;
	}
	if (c->client.ktls.sends)
		counter_add(&c->env->counters, COUNTER_KERNEL_SENDS, 1);
	if (c->client.ktls.receives)
		counter_add(&c->env->counters, COUNTER_KERNEL_RECEIVES, 1);
	if (c->client.tls)
		tls_expect_secrets(c->client.tls, true);
	relay_init(&c->up, &c->client, &c->engine); /* the record of a refusal, too, tells who carried it */
	relay_init(&c->down, &c->engine, &c->client);
	deadline(c, c->env->draining ? TIMER_HURRY : TIMER_HEAD);
	c->state = CONN_HEAD;
	return NEXT;
}

/* ---- HEAD ---- */

static enum conn_step head_ended(struct conn *c)
{
	if (c->held) {
		count_truncation(c);
		log_info("%s closed in the middle of a request head", c->peer);
	}
	c->state = CONN_DRAIN;
	return NEXT;
}

static enum conn_step state_head(struct conn *c)
{
	for (;;) {
		size_t head_bytes = 0;
		enum http_refusal refusal;

		switch (c->held ? http_scan(&c->scan, c->held->data, c->held->end, &head_bytes, &refusal)
				: HTTP_MORE) {
		case HTTP_OK:
			c->x = (struct exchange){.head_bytes = head_bytes, .started_ms = timer_now_ms()};
			c->is_bulk = c->is_owed = false;
			c->scan = (struct http_scan){0}; /* the answer's head is scanned next */
			timer_stop(&c->env->timers, &c->timer);
			c->state = CONN_CHECK;
			return NEXT;
		case HTTP_BAD:
			c->x = (struct exchange){.method = HTTP_GET, .started_ms = timer_now_ms()};
			return refuse(c, http_reason_status(refusal), http_reason(refusal));
		case HTTP_MORE:
			break;
		}
		int n = hold_client_bytes(c);
		if (n == 0)
			return head_ended(c);
		if (n == -EAGAIN) {
			/* The first byte of a further head ends the idle time and starts that head's own. */
			if (c->held && c->timer.class != TIMER_HEAD && c->timer.class != TIMER_HURRY)
				deadline(c, TIMER_HEAD);
			want(c, &c->client, EVENT_IN);
			want(c, &c->engine,
			     EVENT_IN); /* an idle engine leg that reports anything is closed */
			return WAIT;
		}
		if (n < 0) {
			if (leg_failure(&c->client))
				log_info("%s TLS failed: %s", c->peer, leg_failure(&c->client));
			return END;
		}
	}
}

/* ---- CHECK ---- */

static void remember_request(struct conn *c, const struct http_request *request)
{
	struct exchange *x = &c->x;

	x->method = request->method;
	x->keep_alive = request->keep_alive;
	x->expects_continue = request->expect_continue;
	x->takes_interim = request->minor_version > 0;
	span_copy(x->method_name, sizeof(x->method_name), request->method_name);
	span_copy(x->path, sizeof(x->path), request->path);
}

/* What the route and the head make of the request; see the table of kinds in route.h. */
static enum http_connection classify(struct conn *c, const struct http_request *request,
				     const struct route *route)
{
	struct exchange *x = &c->x;

	x->kind = route ? route->kind : ROUTE_MESSAGE;
	x->body_deadline =
	    request->framing == HTTP_FRAMING_LENGTH &&
	    (x->kind != ROUTE_STREAM || (request->method != HTTP_POST && request->method != HTTP_PUT));
	/* HEAD finds the route of GET, but opens nothing. */
	bool may_tunnel =
	    (x->kind == ROUTE_TUNNEL || x->kind == ROUTE_TUNNEL_LEGACY) && request->method == route->method;
	x->legacy_tunnel = may_tunnel && x->kind == ROUTE_TUNNEL_LEGACY && request->minor_version == 1 &&
			   request->framing != HTTP_FRAMING_CHUNKED;
	if (may_tunnel && request->upgrade && request->upgrade_to.len < sizeof(x->upgrade_to)) {
		memcpy(x->upgrade_to, request->upgrade_to.ptr, request->upgrade_to.len);
		return HTTP_CONNECTION_UPGRADE;
	}
	/* After an Upgrade that is ignored the client may speak something else: no further request is read.
	 */
	if (request->minor_version == 0 || request->framing == HTTP_FRAMING_CHUNKED || request->upgrade ||
	    request->upgrade_ignored)
		x->kind = ROUTE_STREAM;
	return x->kind == ROUTE_MESSAGE ? HTTP_CONNECTION_KEEP : HTTP_CONNECTION_CLOSE;
}

/* Writes the head that the engine gets, and behind it what is there of the body; starts the up relay. */
static enum conn_step compose_request(struct conn *c, const struct http_request *request,
				      enum http_connection connection)
{
	struct conn_env *env = c->env;
	struct buf *buf = buf_take(&env->bufs);

	if (!buf)
		return out_of_memory(c);
	long n = http_write_request(request, connection, env->snapshot->sent_token, buf->data,
				    BUF_BYTES - HELD_MAX_BYTES);
	if (n < 0) {
		buf_give(&env->bufs, &buf);
		return refuse(c, 431, http_reason(HTTP_REFUSED_HEAD_TOO_LARGE));
	}
	buf->end = (size_t)n;
	relay_start(&c->up, &env->relay_pools, buf, request->framing, request->content_length);
	c->x.up_open = true;

	/* `request` points into what is wiped here. */
	size_t body_offset = c->x.head_bytes;
	ssize_t used = 0;
	if (c->inspection)
		used = (ssize_t)conn_inspection_take(c, buf_head(c->held) + body_offset,
						     buf_used(c->held) - body_offset);
	else if (request->framing != HTTP_FRAMING_NONE)
		used = relay_feed(&c->up, &env->relay_pools, buf_head(c->held) + body_offset,
				  buf_used(c->held) - body_offset < request->content_length ||
					  request->framing != HTTP_FRAMING_LENGTH
				      ? buf_used(c->held) - body_offset
				      : (size_t)request->content_length);
	release_held(c, body_offset, true);
	if (used > 0)
		release_held(c, (size_t)used, false);
	if (used == -EBADMSG)
		return refuse(c, 400, "the request body's chunked framing is malformed");
	if (used < 0)
		return END;
	c->state = CONN_BODY;
	return NEXT;
}

static enum conn_step state_check(struct conn *c)
{
	struct conn_env *env = c->env;
	struct http_request *request = &env->request;
	enum http_refusal refusal;
	struct refusal why = {0};

	request->takes_path_token = env->token_in_path;
	bool good = http_parse_request(request, c->held->data, c->x.head_bytes, &refusal) == HTTP_OK;
	c->x.method = request->method;
	if (!good) {
		return refuse(c, http_reason_status(refusal), http_reason(refusal));
	}
	remember_request(c, request);
	if (request->has_origin) {
		return refuse(c, 403, "requests from web pages (with an Origin field) are not allowed");
	}
	c->x.principal = conn_authenticate(c, request, &why);
	if (!c->x.principal) {
		return refuse_for(c, why.status, why.message, why.retry_after_s);
	}
	if (request->upgrade && request->framing == HTTP_FRAMING_CHUNKED)
		return refuse(c, 400, "an Upgrade with a chunked body is not allowed");
	const struct route *route = route_find(request->method, request->path);
	conn_authorize(c, request, route, &why);
	if (why.status) {
		return refuse(c, why.status, why.message);
	}
	c->x.for_console = c->env->console && console_has(request->path);
	enum http_connection connection = classify(c, request, route);
	if (c->client.tls && c->x.kind != ROUTE_MESSAGE) /* the last request here: no further token comes */
		tls_expect_secrets(c->client.tls, false);
	return compose_request(c, request, connection);
}

/* ---- BODY ---- */

/*
 * A client with a stale Content-Length and no body (the old console does that) must not leave a half
 * request at the engine, which would wait for ever: nothing is sent before the body has begun. With
 * Expect it is the engine that says when.
 */
static enum conn_step body_is_there(struct conn *c)
{
	timer_stop(&c->env->timers, &c->timer);
	c->connect_phase = CONNECT_GATHER;
	c->state = CONN_CONNECT;
	return NEXT;
}

/*
 * A client with Expect waits for the engine's word, which only comes behind ours. 0, or -EAGAIN where the
 * client's socket has no room for it yet, or -errno.
 */
static int say_continue(struct conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!c->x.says_continue)
		return 0;
	while (c->x.said_bytes < sizeof(text) - 1) {
		ssize_t n = leg_write(&c->client, text + c->x.said_bytes, sizeof(text) - 1 - c->x.said_bytes);
		if (n < 0)
			return (int)n;
		c->x.said_bytes += (size_t)n;
	}
	return leg_flush(&c->client);
}

/*
 * The body decides whether the request may go on, so the engine gets nothing until it is there as a whole and
 * was looked into. It has to come within the time that a head has.
 */
static enum conn_step state_body_inspected(struct conn *c)
{
	struct refusal why = {0};
	int said = say_continue(c);

	if (said < 0 && said != -EAGAIN)
		return END;
	if (said == -EAGAIN) {
		want(c, &c->client, EVENT_OUT);
		if (c->x.said_bytes > 0) /* no answer may follow a part of it */
			return WAIT;
	}
	while (!conn_inspection_is_complete(c)) {
		int n = c->held ? 1 : hold_client_bytes(c);
		if (n == -EAGAIN && !timer_running(&c->timer)) {
			deadline(c, TIMER_BODY);
			c->x.says_continue = c->x.expects_continue && c->x.takes_interim;
			return NEXT;
		}
		if (n == -EAGAIN) {
			want(c, &c->client, EVENT_IN);
			return WAIT;
		}
		if (n <= 0)
			return n == 0 ? refuse(c, 400, "the request body ended early") : END;
		release_held(c, conn_inspection_take(c, buf_head(c->held), buf_used(c->held)), true);
	}
	if (!conn_inspect(c, &why))
		return refuse(c, why.status, why.message);
	return body_is_there(c);
}

static enum conn_step state_body(struct conn *c)
{
	if (c->inspection)
		return state_body_inspected(c);
	bool begun = body_is_done(&c->up.body) || c->up.moved_bytes > 0;

	if (begun || !c->x.body_deadline || c->x.expects_continue)
		return body_is_there(c);
	if (!timer_running(&c->timer))
		deadline(c, TIMER_BODY);
	int n = hold_client_bytes(c);
	if (n == -EAGAIN) {
		want(c, &c->client, EVENT_IN);
		return WAIT;
	}
	if (n <= 0)
		return n == 0 ? refuse(c, 400, "the request body ended early") : END;
	timer_stop(&c->env->timers, &c->timer);
	size_t len = buf_used(c->held) < c->up.body.remaining_bytes ? buf_used(c->held)
								    : (size_t)c->up.body.remaining_bytes;
	if (relay_feed(&c->up, &c->env->relay_pools, buf_head(c->held), len) < 0)
		return END;
	release_held(c, len, false);
	return NEXT;
}

/* ---- CONNECT ---- */

static enum conn_step connect_start(struct conn *c)
{
	struct conn_env *env = c->env;
	int fd = -1;

	if (c->x.for_console)
		conn_engine_close(c);
	if (leg_is_open(&c->engine)) { /* kept; but a request sent into a closed one would be lost */
		if (conn_engine_is_alive(c)) {
			c->state = CONN_EXCHANGE;
			return NEXT;
		}
		conn_engine_close(c);
	}
	int result = c->x.for_console ? console_open(env->console, &fd) : engine_connect(env->engine, &fd);
	if (fd < 0 && c->x.for_console)
		return refuse_for(c, 503, "too many requests for metrics at once", 1);
	if (fd < 0)
		return refuse_engine(c, 503, result, NULL);
	struct tls_client *with = c->x.for_console ? NULL : env->engine->tls;
	struct tls *tls = with ? tls_connect(with, fd, &env->bufs) : NULL;
	leg_open(&c->engine, fd, tls, c->x.for_console || env->engine->address.scheme == CONFIG_UNIX);
	c->engine_event =
	    (struct event_source){.fd = fd, .handler = conn_engine_ready, .slot = EVENT_NO_SLOT};
	if ((with && !tls) || event_add(env->loop, &c->engine_event) < 0)
		return refuse_engine(c, 503, -ENOMEM, NULL);
	deadline(c, TIMER_CONNECT);
	c->connect_phase = result == 0 ? CONNECT_TLS : CONNECT_SOCKET;
	if (result == 0)
		return NEXT;
	want(c, &c->engine, EVENT_OUT);
	return WAIT;
}

static enum conn_step state_connect(struct conn *c)
{
	int result;

	switch (c->connect_phase) {
	case CONNECT_GATHER:
		/*
		 * An engine that has nothing to do sleeps after each request. Requests that come together
		 * leave together, so that it is woken once: a wake-up is a seventh of what a small request
		 * costs.
		 */
		c->connect_phase = CONNECT_START;
		conn_gather(c);
		return WAIT;
	case CONNECT_START:
		return connect_start(c);
	case CONNECT_SOCKET:
		result = engine_connected(c->engine.fd);
		if (result == -EINPROGRESS) { /* something else has woken us */
			want(c, &c->engine, EVENT_OUT);
			return WAIT;
		}
		if (result < 0)
			return refuse_engine(c, 503, result, NULL);
		c->connect_phase = CONNECT_TLS;
		return NEXT;
	case CONNECT_TLS:
		break;
	}
	switch (c->engine.tls ? tls_handshake(c->engine.tls) : TLS_DONE) {
	case TLS_WANT_READ:
		want(c, &c->engine, EVENT_IN);
		return WAIT;
	case TLS_WANT_WRITE:
		want(c, &c->engine, EVENT_OUT);
		return WAIT;
	case TLS_FAILED:
	case TLS_PLAIN_HTTP:
		return refuse_engine(c, 503, 0, tls_failure(c->engine.tls));
	case TLS_DONE:
		break;
	}
	int armed = arm(c, &c->engine, "engine: ");
	if (armed < 0)
		return refuse_engine(c, 503, armed, leg_failure(&c->engine));
	timer_stop(&c->env->timers, &c->timer);
	c->state = CONN_EXCHANGE;
	return NEXT;
}

/* ---- EXCHANGE: the request, up ---- */

/*
 * The request cannot be completed. The engine must not take what it got for the whole of it, so it gets
 * no end; if it has answered already, that answer is still delivered.
 */
static enum conn_step request_broke(struct conn *c, const char *message)
{
	if (c->x.phase == ANSWER_BODY) {
		c->x.up_open = false;
		c->engine_end_settled = true;
		return WAIT;
	}
	conn_engine_abort(c);
	return refuse(c, 400, message);
}

/* The client rightly sends nothing before the engine's 100. */
static bool waits_for_continue(const struct conn *c)
{
	return c->x.expects_continue && c->x.interim_count == 0 && c->up.moved_bytes == 0;
}

void conn_note_pace(struct conn *c, bool is_fast)
{
	c->x.pace =
	    (struct pace){.since_ms = timer_now_ms(), .since_bytes = c->up.moved_bytes, .is_fast = is_fast};
}

/*
 * A body that comes faster than PACE_BYTES_PER_MS. One that is handed on as fast as it comes wakes us for
 * each piece of it, 40 KB with `docker load`, and that costs as much as to decrypt the piece. So the next
 * event may wait for a batch; one that has not come by TIMER_BATCH makes a slow body of it, until it is
 * looked at again.
 */
static bool comes_fast(struct conn *c)
{
	const struct pace *pace = &c->x.pace;
	uint64_t elapsed_ms = timer_now_ms() - pace->since_ms;

	if (elapsed_ms >= PACE_MS)
		conn_note_pace(c, c->up.moved_bytes - pace->since_bytes >= PACE_BYTES_PER_MS * elapsed_ms);
	return pace->is_fast;
}

/* Whether a whole batch is still to come, as far as the framing tells. */
static bool is_batch_due(const struct body *body)
{
	return body->framing != HTTP_FRAMING_LENGTH || body->remaining_bytes >= CONN_BATCH_BYTES;
}

static enum conn_step move_request(struct conn *c)
{
	uint64_t before = c->up.moved_bytes;
	enum relay_result result = move(c, &c->up);

	if (c->up.moved_bytes != before) {
		timer_stop(&c->env->timers, &c->batch);
		if (c->x.body_deadline)
			timer_stop(&c->env->timers, &c->timer);
	}
	switch (result) {
	case RELAY_AGAIN:
		conn_run_again_later(c);
		return WAIT;
	case RELAY_WAIT_IN:
		if (c->x.body_deadline && !timer_running(&c->timer) && !waits_for_continue(c))
			deadline(c, TIMER_BODY);
		want(c, &c->client, EVENT_IN);
		c->want_batch = is_batch_due(&c->up.body) && comes_fast(c);
		return WAIT;
	case RELAY_WAIT_OUT:
		want(c, &c->engine, EVENT_OUT);
		want_hangup(c);
		return WAIT;
	case RELAY_TO_FAILED: /* the engine reads no further, but its answer may be on the way */
	case RELAY_DONE:
		timer_stop(&c->env->timers, &c->timer);
		conn_inspection_free(c);
		c->x.up_open = false;
		if (result == RELAY_TO_FAILED) {
			c->x.keep_alive = false;
			relay_fini(&c->up, &c->env->relay_pools); /* what cannot leave need not wait */
		}
		return WAIT;
	case RELAY_ENDED:
		return request_broke(c, "the request body ended early");
	case RELAY_BAD:
		return request_broke(c, "the request body's chunked framing is malformed");
	case RELAY_FROM_FAILED:
	case RELAY_NO_MEMORY:
		break;
	}
	return client_broke(c);
}

/* Where a tunnel may still open, held bytes go before the client's end: the tunnel carries both. */
static bool tunnel_is_undecided(const struct conn *c)
{
	return c->x.phase != ANSWER_BODY && (c->x.upgrade_to[0] || c->x.legacy_tunnel);
}

static bool next_request_is_held(const struct conn *c)
{
	return c->x.kind == ROUTE_MESSAGE && c->x.keep_alive && c->held;
}

/* The request is out: notice the client's end and carry it; hold what else it sends. */
static enum conn_step watch_client(struct conn *c)
{
	int result = 1;

	while (!c->client.in_ended && result > 0)
		result = hold_client_bytes(c);
	if (result < 0 && result != -EAGAIN && result != -ENOBUFS) {
		return client_broke(c);
	}
	if (result == -EAGAIN)
		want(c, &c->client, EVENT_IN);
	else
		want_hangup(c);
	if (!c->client.in_ended || c->engine_end_settled || tunnel_is_undecided(c) ||
	    next_request_is_held(c) || !leg_is_open(&c->engine))
		return WAIT;
	result = leg_end(&c->engine);
	if (result == -EAGAIN)
		want(c, &c->engine, EVENT_OUT);
	else
		c->engine_end_settled = true;
	return WAIT;
}

/* ---- EXCHANGE: the answer, down ---- */

/* Raw both ways from here. The held bytes go first, and so does what the engine sent behind its head. */
static enum conn_step open_tunnel(struct conn *c, struct buf *head, const char *rest, size_t rest_len)
{
	const struct relay_pools *pools = &c->env->relay_pools;

	relay_start(&c->down, pools, head, HTTP_FRAMING_CLOSE, 0);
	relay_start(&c->up, pools, NULL, HTTP_FRAMING_CLOSE, 0);
	if (relay_feed(&c->down, pools, rest, rest_len) < 0)
		return END;
	if (c->held && relay_feed(&c->up, pools, buf_head(c->held), buf_used(c->held)) < 0)
		return END;
	buf_give(&c->env->bufs, &c->held);
	buf_give(&c->env->bufs, &c->answer);
	c->x.phase = ANSWER_BODY;
	counter_add(&c->env->counters, COUNTER_TUNNELS, 1);
	c->state = CONN_TUNNEL;
	return NEXT;
}

static bool is_raw_stream(const struct http_answer *answer)
{
	/* moby: api/types/client.go, MediaTypeRawStream and MediaTypeMultiplexedStream */
	return answer->status == 200 && answer->framing == HTTP_FRAMING_CLOSE &&
	       (span_ieq(answer->content_type, SPAN("application/vnd.docker.raw-stream")) ||
		span_ieq(answer->content_type, SPAN("application/vnd.docker.multiplexed-stream")));
}

/* What the answer's head means for both legs. */
static enum http_connection judge_answer(struct conn *c, const struct http_answer *answer)
{
	struct exchange *x = &c->x;

	x->keep_client = x->kind == ROUTE_MESSAGE && x->keep_alive && !x->up_open &&
			 (!c->client.in_ended || c->held) && !c->env->draining &&
			 answer->framing != HTTP_FRAMING_CLOSE;
	x->keep_engine = x->keep_client && answer->keep_alive;
	return x->keep_client ? HTTP_CONNECTION_KEEP : HTTP_CONNECTION_CLOSE;
}

/* A complete head of `head_bytes` stands at the start of c->answer. Writes the one the client gets. */
static enum conn_step forward_answer(struct conn *c, size_t head_bytes)
{
	struct conn_env *env = c->env;
	struct http_answer *answer = &env->answer;
	enum http_connection connection = HTTP_CONNECTION_RAW;
	enum http_refusal refusal;

	if (http_parse_answer(answer, c->answer->data, head_bytes, c->x.method, &refusal) != HTTP_OK)
		return engine_broke(c, 0, http_reason(refusal));
	bool interim = answer->status < 200 && answer->status != 101;
	bool switching = answer->status == 101;
	bool tunnel = switching ? c->x.upgrade_to[0] && answer->upgrade && !c->x.up_open &&
				      span_ieq(answer->upgrade_to, span_of(c->x.upgrade_to))
				: c->x.legacy_tunnel && !c->x.up_open && is_raw_stream(answer);
	if (switching && !tunnel)
		return engine_broke(c, 0, "it switched protocols without being asked to");
	if (interim && ++c->x.interim_count > INTERIM_MAX)
		return engine_broke(c, 0, "too many interim answers");
	if (switching)
		connection = HTTP_CONNECTION_UPGRADE;
	else if (!tunnel && !interim)
		connection = judge_answer(c, answer);

	if (interim && !c->x.takes_interim) { /* RFC 9110 15.2 */
		c->answer->end -= head_bytes;
		memmove(c->answer->data, c->answer->data + head_bytes, c->answer->end);
		return NEXT;
	}
	struct buf *buf = buf_take(&env->bufs);
	if (!buf)
		return out_of_memory(c);
	long n = http_write_answer(answer, connection, buf->data, BUF_BYTES - HELD_MAX_BYTES);
	if (n < 0) {
		buf_give(&env->bufs, &buf);
		return engine_broke(c, 0, http_reason(HTTP_REFUSED_HEAD_TOO_LARGE));
	}
	buf->end = (size_t)n;
	if (!interim)
		c->x.status = answer->status;
	const char *rest = c->answer->data + head_bytes;
	size_t rest_len = c->answer->end - head_bytes;
	if (tunnel)
		return open_tunnel(c, buf, rest, rest_len);

	relay_start(&c->down, &env->relay_pools, buf, interim ? HTTP_FRAMING_NONE : answer->framing,
		    answer->content_length);
	if (interim) { /* what follows is the next head */
		memmove(c->answer->data, rest, rest_len);
		c->answer->end = rest_len;
		c->x.phase = ANSWER_INTERIM;
		return NEXT;
	}
	ssize_t used = relay_feed(&c->down, &env->relay_pools, rest, rest_len);
	buf_give(&env->bufs, &c->answer);
	if (used < 0)
		return used == -EBADMSG ? engine_broke(c, 0, "the chunked framing of its answer is malformed")
					: END;
	c->x.phase = ANSWER_BODY;
	return NEXT;
}

static enum conn_step read_answer_head(struct conn *c)
{
	struct conn_env *env = c->env;

	for (;;) {
		size_t head_bytes = 0;
		enum http_refusal refusal;

		switch (c->answer
			    ? http_scan(&c->scan, c->answer->data, c->answer->end, &head_bytes, &refusal)
			    : HTTP_MORE) {
		case HTTP_OK:
			c->scan = (struct http_scan){0};
			return forward_answer(c, head_bytes);
		case HTTP_BAD:
			return engine_broke(c, 0, http_reason(refusal));
		case HTTP_MORE:
			break;
		}
		if (!c->answer && !(c->answer = buf_take(&env->bufs)))
			return END;
		ssize_t n = -EAGAIN;
		if (leg_had_its_turn(&c->engine))
			conn_run_again_later(c);
		else
			n = leg_read(&c->engine, buf_tail(c->answer), HELD_MAX_BYTES - c->answer->end);
		if (n > 0) {
			c->answer->end += (size_t)n;
			continue;
		}
		if (buf_used(c->answer) == 0)
			buf_give(&env->bufs, &c->answer);
		if (n == -EAGAIN) {
			want(c, &c->engine, EVENT_IN);
			return WAIT;
		}
		return n == 0 ? engine_broke(c, 0, "it closed the connection without an answer")
			      : engine_read_failed(c, (int)n);
	}
}

/* Both messages ended exactly: the way back to HEAD. Otherwise the connection ends here. */
static enum conn_step answer_done(struct conn *c)
{
	exchange_over(c, "");
	conn_uncount(c);
	bool surplus = relay_has_surplus(&c->down);
	relay_fini(&c->up, &c->env->relay_pools);
	relay_fini(&c->down, &c->env->relay_pools);
	relay_init(&c->up, &c->client, &c->engine);
	relay_init(&c->down, &c->engine, &c->client);
	if (!c->x.keep_client || c->env->draining) {
		c->state = CONN_DRAIN;
		return NEXT;
	}
	if (!c->x.keep_engine || surplus || leg_has_pending(&c->engine))
		conn_engine_close(c);
	c->is_owed = c->x.principal;
	c->x.principal = NULL; /* nobody's until the next head is read; its snapshot may go */
	c->scan = (struct http_scan){0};
	deadline(c, c->held ? TIMER_HEAD : TIMER_REST);
	c->state = CONN_HEAD;
	return NEXT;
}

/* A TLS engine's FIN without close_notify: somebody on the way may have cut the answer short. */
static bool engine_was_truncated(const struct conn *c)
{
	return leg_was_truncated(&c->engine);
}

static enum conn_step move_answer(struct conn *c)
{
	switch (move(c, &c->down)) {
	case RELAY_AGAIN:
		conn_run_again_later(c);
		return WAIT;
	case RELAY_WAIT_IN:
		want(c, &c->engine, EVENT_IN);
		return WAIT;
	case RELAY_WAIT_OUT:
		want(c, &c->client, EVENT_OUT);
		return WAIT;
	case RELAY_DONE:
		if (c->x.phase == ANSWER_BODY)
			return answer_done(c);
		c->x.phase = ANSWER_HEAD;
		return NEXT;
	case RELAY_ENDED:
		if (c->down.body.framing == HTTP_FRAMING_CLOSE && !engine_was_truncated(c))
			return answer_done(c);
		return engine_broke(c, 0, "it ended in the middle of its answer");
	case RELAY_BAD:
		return engine_broke(c, 0, "the chunked framing of its answer is malformed");
	case RELAY_FROM_FAILED:
		return engine_read_failed(c, c->down.error);
	case RELAY_TO_FAILED:
	case RELAY_NO_MEMORY:
		break;
	}
	return client_broke(c);
}

static enum conn_step state_exchange(struct conn *c)
{
	enum conn_step step = c->x.up_open ? move_request(c) : WAIT;

	if (step == WAIT && !c->x.up_open)
		step = watch_client(c);
	if (step != WAIT)
		return step;
	return c->x.phase == ANSWER_HEAD ? read_answer_head(c) : move_answer(c);
}

/* ---- TUNNEL ---- */

/* unix sockets tell whether the peer is gone altogether or has only ended its own direction. */
static bool engine_is_gone(const struct conn *c)
{
	return c->engine.is_unix && socket_is_gone(c->engine.fd);
}

/* One direction of a tunnel; *ended when nothing more will go this way. */
static enum conn_step tunnel_direction(struct conn *c, struct relay *relay, bool *ended)
{
	int result;

	switch (move(c, relay)) {
	case RELAY_AGAIN:
		conn_run_again_later(c);
		return WAIT;
	case RELAY_WAIT_IN:
		want(c, relay->from, EVENT_IN);
		return WAIT;
	case RELAY_WAIT_OUT:
		want(c, relay->to, EVENT_OUT);
		if (relay->to == &c->engine)
			want_hangup(c);
		return WAIT;
	case RELAY_ENDED:
		if (leg_was_truncated(relay->from))
			return END;
		result = leg_end(relay->to);
		if (result == -EAGAIN) {
			want(c, relay->to, EVENT_OUT);
			return WAIT;
		}
		*ended = true;
		return result < 0 && relay->to == &c->client ? END : WAIT;
	case RELAY_TO_FAILED: /* an engine that reads no further may still have output */
		*ended = true;
		relay_fini(relay, &c->env->relay_pools); /* for hours, perhaps: no pipe waits with it */
		return relay->to == &c->client ? END : WAIT;
	case RELAY_DONE:
	case RELAY_BAD:
	case RELAY_FROM_FAILED:
	case RELAY_NO_MEMORY:
		break;
	}
	return END;
}

/*
 * Neither side may take what it got for the whole. A FIN of the client without close_notify is one of these
 * ends: anybody on the way could have sent it.
 */
static enum conn_step tunnel_broke(struct conn *c)
{
	const char *failure = leg_failure(&c->client);

	if (!failure)
		failure = leg_failure(&c->engine);
	exchange_over(c, failure ? failure : "cut");
	conn_engine_abort(c);
	return cut(c);
}

static enum conn_step state_tunnel(struct conn *c)
{
	enum conn_step step = WAIT;

	if (!c->tunnel_up_ended)
		step = tunnel_direction(c, &c->up, &c->tunnel_up_ended);
	if (c->tunnel_up_ended)
		want_hangup(c);
	if (step == WAIT && !c->tunnel_down_ended) {
		step = tunnel_direction(c, &c->down, &c->tunnel_down_ended);
		if (c->tunnel_down_ended && engine_is_gone(c))
			c->tunnel_up_ended = true;
	}
	if (step == END)
		return tunnel_broke(c);
	if (step != WAIT || !c->tunnel_up_ended || !c->tunnel_down_ended)
		return step;
	exchange_over(c, "");
	c->state = CONN_DRAIN;
	return NEXT;
}

/* ---- REPLY ---- */

static enum conn_step state_reply(struct conn *c)
{
	switch (move(c, &c->down)) {
	case RELAY_DONE:
		c->state = CONN_DRAIN;
		return NEXT;
	case RELAY_WAIT_OUT:
		if (!timer_running(&c->timer))
			deadline(c, TIMER_LINGER);
		want(c, &c->client, EVENT_OUT);
		return WAIT;
	default:
		return END;
	}
}

/* ---- DRAIN ---- */

/*
 * A close() with unread bytes in the socket sends a reset, which can overtake and destroy the answer. So:
 * our end first, then read and discard until the client's end, or until it had its time.
 */
static enum conn_step state_drain(struct conn *c)
{
	conn_held_drop(c);
	bool lingering = c->timer.class == TIMER_LINGER && timer_running(&c->timer);
	if (!lingering)
		timer_stop(&c->env->timers, &c->timer);
	/* A client with a token may read an answer as slowly as it likes; the clock starts behind it. */
	if (!lingering && !c->x.principal)
		deadline(c, TIMER_LINGER);
	int result = c->cut ? leg_settle(&c->client) : leg_end(&c->client);
	conn_engine_close(c); /* behind the client's end, which somebody waits for */
	if (result == -EAGAIN) {
		want(c, &c->client, EVENT_OUT);
		return WAIT;
	}
	if (result < 0 || leg_is_done(&c->client))
		return END;
	if (!lingering)
		deadline(c, TIMER_LINGER);
	leg_fin(&c->client);
	result = leg_discard(&c->client, DRAIN_DISCARD_BYTES);
	if (result != -EAGAIN)
		return END;
	want(c, &c->client, EVENT_IN);
	return WAIT;
}

/* ---- what conn_life.c drives them by ---- */

static enum conn_step (*const handlers[])(struct conn *c) = {
    [CONN_PROXY] = state_proxy,	    [CONN_HANDSHAKE] = state_handshake, [CONN_ARM] = state_arm,
    [CONN_HEAD] = state_head,	    [CONN_CHECK] = state_check,		[CONN_BODY] = state_body,
    [CONN_CONNECT] = state_connect, [CONN_EXCHANGE] = state_exchange,	[CONN_TUNNEL] = state_tunnel,
    [CONN_REPLY] = state_reply,	    [CONN_DRAIN] = state_drain,
};
static_assert(ARRAY_SIZE(handlers) == CONN_STATE_COUNT, "one handler a state");

enum conn_step conn_handle(struct conn *c)
{
	enum conn_step step;

	leg_turn(&c->client);
	leg_turn(&c->engine);
	do {
		c->want_client = c->want_engine = 0;
		c->want_batch = false;
		step = handlers[c->state](c);
	} while (step == NEXT);
	return step;
}

enum conn_step conn_revoke(struct conn *c, const char *why)
{
	bool answered = c->state == CONN_TUNNEL || (c->state == CONN_EXCHANGE && c->x.phase == ANSWER_BODY);

	if (answered)
		exchange_over(c, why);
	conn_engine_abort(c);
	return answered ? cut(c) : refuse(c, 401, why);
}

void conn_client_gone(struct conn *c)
{
	leg_ask_failure(&c->client);
	const char *failure = leg_failure(&c->client);
	exchange_over(c, failure ? failure : "the client has gone");
}

enum conn_step conn_deadline(struct conn *c, enum timer_class class)
{
	uint64_t acked_bytes = 0;

	switch (class) {
	case TIMER_HURRY:
	case TIMER_HEAD:
		if (c->state != CONN_HEAD)
			break;
		if (!c->held) { /* it never asked for anything */
			c->state = CONN_DRAIN;
			return NEXT;
		}
		c->x = (struct exchange){.method = HTTP_GET, .started_ms = timer_now_ms()};
		return refuse(c, 408, "the request head did not arrive in time");
	case TIMER_BODY:
		if (c->state == CONN_EXCHANGE && c->x.phase != ANSWER_HEAD) {
			exchange_over(c, "cut: the request body did not arrive in time");
			break;
		}
		return refuse(c, 408, "the request body did not arrive in time");
	case TIMER_REST: /* no further request follows at once: idle connections hold no buffers */
		if (c->client.tls)
			tls_trim(c->client.tls);
		deadline(c, TIMER_IDLE);
		return WAIT;
	case TIMER_IDLE:
		c->state = CONN_DRAIN;
		return NEXT;
	case TIMER_PROBE:
		if (socket_is_gone(c->client.fd)) {
			conn_client_gone(c);
			break;
		}
		return NEXT; /* the handler asks for the next look, if it still wants one */
	case TIMER_CONNECT:
		return refuse_engine(c, 503, -ETIMEDOUT, NULL);
	case TIMER_LINGER: /* a slow reader that still gets on has another turn */
		if ((c->x.principal || c->is_owed) && leg_has_unacked(&c->client, &acked_bytes) &&
		    (c->acked_bytes == 0 || acked_bytes > c->acked_bytes)) {
			c->acked_bytes = acked_bytes;
			deadline(c, TIMER_LINGER);
			return WAIT;
		}
		break;
	case TIMER_HANDSHAKE:
	case TIMER_STARVED:
	case TIMER_BATCH:
	case TIMER_CLASS_COUNT:
		break;
	}
	return END;
}
