/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The same steps as a connection's engine leg (connect, handshake, request, answer), one after the other:
 * whatever says -EAGAIN is waited for with poll(2), until the one deadline. /_ping and not /version, because
 * its answer says the versions in its head, so that no body and no JSON has to be read.
 */
#include "engine_ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "leg.h"
#include "span.h"
#include "timer.h"
#include "token.h"

#define ANSWER_MAX_BYTES 8192

struct ask {
	const struct engine *engine; /* borrowed */
	const char *token;	     /* borrowed; or NULL */
	const char *target;	     /* of the request */
	struct engine_body *body;    /* where the answer's body goes; NULL: it is not read */
	struct buf_pool pool;
	struct leg leg;
	uint64_t end_ms;
	bool connected;	    /* and the handshake is done */
	const char *detail; /* more about a failure, static or the leg's; or NULL */
	struct http_answer answer;
	size_t head_bytes, have_bytes; /* in `head`: the head's length, and all that was read */
	char head[ANSWER_MAX_BYTES];
	char status[80]; /* what `detail` points to for an answer that is none of ours */
};

static int wait_for(const struct ask *ask, short events)
{
	struct pollfd pollfd = {.fd = ask->leg.fd, .events = events};
	uint64_t now_ms = timer_now_ms();
	int n;

	do
		n = now_ms < ask->end_ms ? poll(&pollfd, 1, (int)(ask->end_ms - now_ms)) : 0;
	while (n < 0 && errno == EINTR && (now_ms = timer_now_ms()));
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

static int ask_connect(struct ask *ask)
{
	int fd;
	int result = engine_connect(ask->engine, &fd);

	leg_open(&ask->leg, fd, NULL, ask->engine->address.scheme == CONFIG_UNIX);
	if (result == -EINPROGRESS) {
		result = wait_for(ask, POLLOUT);
		if (result == 0)
			result = engine_connected(fd);
	}
	return result;
}

static int ask_handshake(struct ask *ask)
{
	int result = 0;

	if (!ask->engine->tls)
		return 0;
	ask->leg.tls = tls_connect(ask->engine->tls, ask->leg.fd, &ask->pool);
	if (!ask->leg.tls)
		return -ENOMEM;
	while (result == 0) {
		switch (tls_handshake(ask->leg.tls)) {
		case TLS_DONE:
			return 0;
		case TLS_WANT_READ:
			result = wait_for(ask, POLLIN);
			leg_readable(&ask->leg);
			break;
		case TLS_WANT_WRITE:
			result = wait_for(ask, POLLOUT);
			break;
		case TLS_PLAIN_HTTP:
		case TLS_FAILED:
		default:
			ask->detail = tls_failure(ask->leg.tls);
			return -EPROTO;
		}
	}
	return result;
}

static int send_all(struct ask *ask, struct span rest)
{
	int result = 0;

	while (rest.len > 0 && result == 0) {
		ssize_t n = leg_write(&ask->leg, rest.ptr, rest.len);
		if (n >= 0)
			rest = span_skip(rest, (size_t)n);
		else
			result = n == -EAGAIN ? wait_for(ask, POLLOUT) : (int)n;
	}
	while (result == 0 && (result = leg_flush(&ask->leg)) == -EAGAIN)
		result = wait_for(ask, POLLOUT);
	return result;
}

static int send_request(struct ask *ask)
{
	char head[TOKEN_SECRET_MAX_BYTES + 128];
	int n = snprintf(head, sizeof(head),
			 "GET %s HTTP/1.%d\r\nHost: docker\r\nUser-Agent: headgate\r\n"
			 "%s%s%sConnection: close\r\n\r\n",
			 /* To 1.0 nothing is sent in chunks: a body ends where the connection does. */
			 ask->target, ask->body ? 0 : 1, ask->token ? "token: " : "",
			 ask->token ? ask->token : "", ask->token ? "\r\n" : "");
	int result = n > 0 && (size_t)n < sizeof(head)
			 ? send_all(ask, (struct span){.ptr = head, .len = (size_t)n})
			 : -EINVAL;

	if (ask->token)
		explicit_bzero(head, sizeof(head));
	return result;
}

/* What to make of an answer that is not 200. */
static const char *status_hint(const struct ask *ask)
{
	switch (ask->answer.status) {
	case 400:
		return ask->engine->tls ? "" : " (does it want tls://?)";
	case 401:
		return ask->token ? " (it does not take the token)" : "";
	case 403:
		return ask->token ? " (the token's role has no right to it)" : "";
	default:
		return "";
	}
}

static int read_answer(struct ask *ask)
{
	struct http_scan scan = {0};
	enum http_refusal refusal = HTTP_REFUSED_NOTHING;
	enum http_result scanned = HTTP_MORE;
	size_t len = 0, head_bytes = 0;

	while (scanned == HTTP_MORE) {
		if (len == sizeof(ask->head)) {
			ask->detail = "its answer has a very long head";
			return -EPROTO;
		}
		ssize_t n = leg_read(&ask->leg, ask->head + len, sizeof(ask->head) - len);
		if (n == -EAGAIN) {
			int result = wait_for(ask, POLLIN);
			if (result < 0)
				return result;
			leg_readable(&ask->leg);
			continue;
		}
		if (n < 0) {
			ask->detail = leg_failure(&ask->leg);
			return (int)n;
		}
		if (n == 0) {
			ask->detail = "it closed the connection without an answer";
			return 0;
		}
		len += (size_t)n;
		scanned = http_scan(&scan, ask->head, len, &head_bytes, &refusal);
	}
	if (scanned != HTTP_OK ||
	    http_parse_answer(&ask->answer, ask->head, head_bytes, HTTP_GET, &refusal) != HTTP_OK) {
		ask->detail = "its answer is no HTTP";
		return 0;
	}
	ask->head_bytes = head_bytes;
	ask->have_bytes = len;
	if (ask->answer.status != 200 && !ask->body) {
		snprintf(ask->status, sizeof(ask->status), "it answers GET /_ping with %d%s",
			 ask->answer.status, status_hint(ask));
		ask->detail = ask->status;
	}
	return 0;
}

/* Into a field of an identity: printable, and cut where it gets long. */
static void keep(char *out, size_t cap, struct span value)
{
	size_t used = 0;

	for (; used < value.len && used + 1 < cap; used++)
		out[used] = (char)(value.ptr[used] >= 0x20 && value.ptr[used] < 0x7f ? value.ptr[used] : '?');
	out[used] = '\0';
}

static void identify(const struct http_answer *answer, struct engine_identity *identity)
{
	for (size_t i = 0; i < answer->fields_count; i++) {
		const struct http_field *field = &answer->fields[i];

		if (span_ieq(field->name, SPAN("server")))
			keep(identity->server, sizeof(identity->server), field->value);
		else if (span_ieq(field->name, SPAN("api-version")))
			keep(identity->api_version, sizeof(identity->api_version), field->value);
	}
}

/* What came with the head, then the rest until the connection or its length ends. */
static int read_body(struct ask *ask)
{
	struct engine_body *body = ask->body;
	bool by_length = ask->answer.framing == HTTP_FRAMING_LENGTH;
	size_t have = ask->have_bytes - ask->head_bytes, cap = ENGINE_BODY_MAX_BYTES;

	if (ask->answer.framing == HTTP_FRAMING_NONE)
		return 0;
	if (by_length && ask->answer.content_length < cap)
		cap = (size_t)ask->answer.content_length;
	if (ask->answer.framing == HTTP_FRAMING_CHUNKED || (by_length && ask->answer.content_length > cap)) {
		ask->detail = "its answer is too long, or in chunks that were not asked for";
		return -EPROTO;
	}
	body->data = malloc(cap + 1);
	if (!body->data)
		return -ENOMEM;
	body->len = have < cap ? have : cap;
	memcpy(body->data, ask->head + ask->head_bytes, body->len);
	while (body->len < cap) {
		ssize_t n = leg_read(&ask->leg, body->data + body->len, cap - body->len);
		if (n == -EAGAIN) {
			int result = wait_for(ask, POLLIN);
			if (result < 0)
				return result;
			leg_readable(&ask->leg);
			continue;
		}
		if (n < 0) {
			ask->detail = leg_failure(&ask->leg);
			return (int)n;
		}
		if (n == 0)
			break;
		body->len += (size_t)n;
	}
	body->data[body->len] = '\0';
	bool is_cut = by_length ? body->len < cap : leg_was_truncated(&ask->leg);
	if (is_cut || (!by_length && body->len == cap)) {
		ask->detail = is_cut ? "its answer was cut off" : "its answer is too long";
		return -EPROTO;
	}
	return 0;
}

/* All the steps; what is to be kept of the answer is the caller's. */
static int run(struct ask *ask, const struct engine *engine, unsigned timeout_ms, char *error,
	       size_t error_cap)
{
	int result;

	ask->engine = engine;
	ask->end_ms = timer_now_ms() + timeout_ms;
	buf_pool_init(&ask->pool, 0);
	leg_init(&ask->leg);
	result = ask_connect(ask);
	if (result == 0)
		result = ask_handshake(ask);
	ask->connected = result == 0;
	if (result == 0)
		result = send_request(ask);
	/* An engine that refuses our certificate says so and closes, in TLS 1.3 maybe before it has the
	 * request. */
	if (result == 0 || result == -EPIPE || result == -ECONNRESET)
		result = read_answer(ask);
	if (result == 0 && !ask->detail && ask->body)
		result = read_body(ask);
	if (result < 0 || ask->detail)
		engine_trouble(engine, ask->connected, ask->detail ? 0 : result, ask->detail, error,
			       error_cap);
	if (ask->detail && result == 0)
		result = -EPROTO;
	leg_close(&ask->leg);
	buf_pool_fini(&ask->pool);
	return result;
}

int engine_ask(const struct engine *engine, unsigned timeout_ms, struct engine_identity *identity,
	       char *error, size_t error_cap)
{
	return engine_ask_with_token(engine, NULL, timeout_ms, identity, error, error_cap);
}

int engine_ask_with_token(const struct engine *engine, const char *token, unsigned timeout_ms,
			  struct engine_identity *identity, char *error, size_t error_cap)
{
	struct ask *ask = calloc(1, sizeof(*ask));
	int result;

	*identity = (struct engine_identity){0};
	if (!ask) {
		snprintf(error, error_cap, "out of memory");
		return -ENOMEM;
	}
	ask->token = token;
	ask->target = "/_ping";
	result = run(ask, engine, timeout_ms, error, error_cap);
	if (result == 0)
		identify(&ask->answer, identity);
	free(ask);
	return result;
}

int engine_get(const struct engine *engine, const char *target, unsigned timeout_ms, struct engine_body *body,
	       char *error, size_t error_cap)
{
	struct ask *ask = calloc(1, sizeof(*ask));
	int result;

	*body = (struct engine_body){0};
	if (!ask) {
		snprintf(error, error_cap, "out of memory");
		return -ENOMEM;
	}
	ask->target = target;
	ask->body = body;
	result = run(ask, engine, timeout_ms, error, error_cap);
	body->status = result == 0 ? ask->answer.status : 0;
	if (result < 0)
		engine_body_fini(body);
	free(ask);
	return result;
}

void engine_body_fini(struct engine_body *body)
{
	free(body->data);
	*body = (struct engine_body){0};
}
