/* SPDX-License-Identifier: MIT */
/*
 * conn_check.c: the two questions of CHECK, who asks and whether he may; and the look into the body that
 * some answers to the second one depend on. Nothing here moves a connection on: conn.c does, by the refusal
 * that is or is not filled in.
 */
#include "conn_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "inspect.h"
#include "log.h"

/* 128 bits in hex. */
#define SECRET_LONG_CHARS ((size_t)32)

static void refuse_with(struct refusal *refusal, int status, const char *format, ...) PRINTF_LIKE(3, 4);

static void refuse_with(struct refusal *refusal, int status, const char *format, ...)
{
	va_list args;

	refusal->status = status;
	va_start(args, format);
	if (vsnprintf(refusal->message, sizeof(refusal->message), format, args) < 0)
		refusal->message[0] = '\0';
	va_end(args);
}

/* ---- who ---- */

/* By the first of the names in a client certificate that is a token's. */
static enum token_standing find_certified(const struct conn *c, const struct token_set *tokens, int64_t now_s,
					  const struct token **token, struct token_credential *credential)
{
	enum token_standing standing = TOKEN_UNKNOWN;

	for (const char *name = c->certified; standing == TOKEN_UNKNOWN && *name; name += strlen(name) + 1)
		standing =
		    token_set_find_name(tokens, span_of(name), conn_address(c), now_s, token, credential);
	return standing;
}

static bool presents_token(const struct http_request *request)
{
	return request->has_token || request->has_authorization || request->path_token.len > 0;
}

/*
 * A token that was presented decides, even if it is wrong and a certificate were right. `guessable` when one
 * might be found by trying: it is short.
 */
static enum token_standing find_token(struct conn *c, const struct http_request *request,
				      const struct token **token, bool *guessable)
{
	const struct token_set *tokens = &c->env->snapshot->tokens;
	char scratch[TOKEN_SECRET_MAX_BYTES + 512];
	struct span secret = request->path_token;
	int64_t now_s = time(NULL);

	*guessable = false;
	if (c->certified && !presents_token(request))
		return find_certified(c, tokens, now_s, token, &c->credential);
	if ((request->has_token || request->has_authorization) &&
	    !token_from_fields(request->token, request->authorization, scratch, sizeof(scratch), &secret))
		secret = (struct span){0};
	*guessable = secret.len < SECRET_LONG_CHARS;
	enum token_standing standing =
	    token_set_find(tokens, secret, conn_address(c), now_s, token, &c->credential);
	if (request->has_authorization)
		explicit_bzero(scratch, sizeof(scratch));
	return standing;
}

/*
 * An address that has failed too often is not looked at for a while, whatever it presents: that is what stops
 * guessing. Long ones are beyond guessing, so these are still let in, and one bad client behind an address
 * does not shut out the others.
 */
static bool has_to_wait(const struct conn *c, enum token_standing standing, bool guessable,
			struct refusal *refusal)
{
	const struct address *address = conn_address(c);

	if (!address || (standing == TOKEN_GOOD && !guessable))
		return false;
	refusal->retry_after_s = limit_wait_s(c->env->limits, address, timer_now_ms());
	if (refusal->retry_after_s)
		refuse_with(refusal, 429, "too many wrong tokens from this address; try again in %u s",
			    refusal->retry_after_s);
	return refusal->retry_after_s > 0;
}

const struct token *conn_authenticate(struct conn *c, const struct http_request *request,
				      struct refusal *refusal)
{
	struct conn_env *env = c->env;
	const struct token *token = NULL;

	if (c->is_crowded) {
		refusal->retry_after_s = 1;
		refuse_with(refusal, 429, "too many connections from this address (--peer-connections)");
		return NULL;
	}
	if (env->snapshot->everyone)
		return env->snapshot->everyone;
	bool guessable;
	enum token_standing standing = find_token(c, request, &token, &guessable);
	if (has_to_wait(c, standing, guessable, refusal))
		return NULL;
	switch (standing) {
	case TOKEN_GOOD:
		break;
	case TOKEN_EXPIRED:
		log_info("%s presented the token '%s', which has expired", c->peer, token->name);
		refuse_with(refusal, 401,
			    "a valid token is required; this one has expired, ask for a new one");
		return NULL;
	case TOKEN_UNKNOWN:
	case TOKEN_ELSEWHERE:
		if (conn_address(c) && presents_token(request))
			limit_failed(env->limits, conn_address(c), timer_now_ms());
		/* The answer is the same for all; whoever runs this may know. */
		if (standing == TOKEN_ELSEWHERE)
			log_warn("%s presented the token '%s', which is not for this address", c->peer,
				 token->name);
		else
			log_info("%s presented %s", c->peer,
				 presents_token(request) ? "an unknown token"
				 : c->certified		 ? "a certificate, but no token has a name of it"
							 : "no token");
		refuse_with(refusal, 401, "a valid token is required");
		return NULL;
	}
	if (!limit_token_opens(env->limits, token->name)) {
		refusal->retry_after_s = 1;
		/* The record has no name for a request that was not let in. */
		refuse_with(refusal, 429,
			    "too many requests at once with the token '%s' (--token-connections)",
			    token->name);
		return NULL;
	}
	c->x.is_counted = true;
	return token;
}

void conn_uncount(struct conn *c)
{
	if (c->x.is_counted)
		limit_token_closes(c->env->limits, c->x.principal->name);
	c->x.is_counted = false;
}

/* ---- may he ---- */

/* All bodies that a worker holds at a time: a client with a lesser token could have it hold one a connection.
 */
#define INSPECTED_MAX_BYTES ((size_t)64 * 1024 * 1024)

/* What inspect_request() needs when the head is gone; one allocation, the body at its end. */
struct inspection {
	const struct inspect_limits *limits; /* borrowed of the snapshot that is held */
	struct snapshot *snapshot;	     /* held */
	const struct route *route;
	struct span path, query, content_type;
	size_t body_bytes, body_have;
	char bytes[];
};

static struct span keep(char **end, struct span text)
{
	struct span kept = {.ptr = *end, .len = text.len};

	if (text.len)
		memcpy(*end, text.ptr, text.len);
	*end += text.len;
	return kept;
}

static int inspection_start(struct conn *c, const struct http_request *request, const struct route *route,
			    const struct inspect_limits *limits)
{
	size_t head = request->path.len + request->query.len + request->content_type.len;
	size_t body = request->framing == HTTP_FRAMING_LENGTH ? (size_t)request->content_length : 0;
	struct inspection *inspection;

	if (body > INSPECTED_MAX_BYTES - c->env->inspected_bytes)
		return -EBUSY;
	inspection = malloc(sizeof(*inspection) + head + body);
	if (!inspection)
		return -ENOMEM;
	c->env->inspected_bytes += body;
	char *end = inspection->bytes;
	*inspection = (struct inspection){
	    .limits = limits,
	    .snapshot = snapshot_hold(c->env->snapshot),
	    .route = route,
	    .path = keep(&end, request->path),
	    .query = keep(&end, request->query),
	    .content_type = keep(&end, request->content_type),
	    .body_bytes = body,
	};
	c->inspection = inspection;
	return 0;
}

static char *inspection_body(struct inspection *inspection)
{
	return inspection->bytes + inspection->path.len + inspection->query.len +
	       inspection->content_type.len;
}

void conn_inspection_free(struct conn *c)
{
	struct inspection *inspection = c->inspection;

	if (!inspection)
		return;
	/* Secrets and environments go through here. */
	explicit_bzero(inspection_body(inspection), inspection->body_have);
	explicit_bzero((void *)(uintptr_t)inspection->query.ptr, inspection->query.len);
	c->env->inspected_bytes -= inspection->body_bytes;
	snapshot_release(inspection->snapshot);
	free(inspection);
	c->inspection = NULL;
}

/* The role's limits, and the IDs that the host's network and headgate's own have at this moment. */
struct limits_now {
	struct inspect_limits limits;
	struct engine_ids ids;
	struct own own;
	char *words[2];
};

/* What is headgate's own, as far as the engine has said by now; `ids` lives as long as `own`. */
static void own_now(const struct conn_env *env, struct engine_ids *ids, struct own *own)
{
	engine_watch_get(env->engine_watch, ids);
	*own = env->own ? *env->own : (struct own){0};
	own->ids = &ids->own;
}

static const struct inspect_limits *limits_now(const struct conn_env *env,
					       const struct inspect_limits *limits, struct limits_now *now)
{
	struct inspect_words *known = &now->limits.host_networks;

	now->limits = *limits;
	own_now(env, &now->ids, &now->own);
	now->limits.own = &now->own;
	*known = (struct inspect_words){.words = now->words};
	if (now->ids.local[0])
		known->words[known->count++] = now->ids.local;
	if (now->ids.swarm[0])
		known->words[known->count++] = now->ids.swarm;
	return &now->limits;
}

static void inspect_now(const struct conn_env *env, const struct inspect_limits *limits,
			const struct route *route, const struct http_request *request,
			struct refusal *refusal)
{
	struct limits_now now;
	int result = inspect_request(limits_now(env, limits, &now), route, request->path, request->query,
				     request->content_type, (struct span){.ptr = ""}, refusal->message);

	if (result < 0)
		refusal->status = result == -EACCES ? 403 : result == -ENOMEM ? 503 : 400;
}

/* The body decides: it is read whole before anything of the request goes on. */
static void inspect_later(struct conn *c, const struct http_request *request, const struct route *route,
			  const struct inspect_limits *limits, struct refusal *refusal)
{
	if (request->framing == HTTP_FRAMING_CHUNKED)
		refuse_with(refusal, 411,
			    "with this token the request needs a Content-Length: its body is looked into");
	else if (request->framing == HTTP_FRAMING_LENGTH && request->content_length > INSPECT_BODY_MAX_BYTES)
		refuse_with(refusal, 413,
			    "with this token the request's body may have %zu bytes: it is looked into",
			    INSPECT_BODY_MAX_BYTES);
	else if (inspection_start(c, request, route, limits) < 0) {
		refusal->retry_after_s = 1;
		refuse_with(refusal, 503, "too many requests at once whose body is looked into");
	}
}

/* True, and the refusal is written, when the request is about headgate's own. */
static bool refuse_own(struct conn *c, const struct http_request *request, struct refusal *refusal)
{
	struct engine_ids ids;
	struct own own;

	if (!c->env->own || !c->env->own->name)
		return false;
	own_now(c->env, &ids, &own);
	switch (own_is_meant(&own, request->path, request->query)) {
	case OWN_NOT:
		return false;
	case OWN_PERHAPS:
		refuse_with(refusal, 403,
			    "this could be headgate's own: the Docker Engine has not said yet which IDs that "
			    "has");
		return true;
	case OWN_IT_IS:
		break;
	}
	refuse_with(refusal, 403, "this is headgate's own, for tokens with the role admin alone");
	return true;
}

void conn_authorize(struct conn *c, const struct http_request *request, const struct route *route,
		    struct refusal *refusal)
{
	struct policy_decision decision;

	policy_decide(c->x.principal->role, request->method, request->path, route, &decision);
	if (decision.verdict != POLICY_DENY && !role_is_unlimited(c->x.principal->role) &&
	    refuse_own(c, request, refusal))
		return;
	if (decision.verdict == POLICY_ALLOW)
		return;
	enum inspect_need need = decision.verdict == POLICY_INSPECT ? inspect_need(route) : INSPECT_NOTHING;
	if (decision.verdict == POLICY_DENY || need == INSPECT_NEVER)
		refuse_with(refusal, 403, "this token does not have the right '%s'", decision.right);
	else if (need == INSPECT_QUERY)
		inspect_now(c->env, decision.limits, route, request, refusal);
	else if (need == INSPECT_BODY)
		inspect_later(c, request, route, decision.limits, refusal);
}

size_t conn_inspection_take(struct conn *c, const char *data, size_t len)
{
	struct inspection *inspection = c->inspection;
	size_t missing = inspection->body_bytes - inspection->body_have;

	if (len > missing)
		len = missing;
	if (len)
		memcpy(inspection_body(inspection) + inspection->body_have, data, len);
	inspection->body_have += len;
	return len;
}

bool conn_inspection_is_complete(const struct conn *c)
{
	return c->inspection->body_have == c->inspection->body_bytes;
}

bool conn_inspect(struct conn *c, struct refusal *refusal)
{
	struct inspection *inspection = c->inspection;
	struct span body = {.ptr = inspection_body(inspection), .len = inspection->body_have};
	struct limits_now now;
	int result =
	    inspect_request(limits_now(c->env, inspection->limits, &now), inspection->route, inspection->path,
			    inspection->query, inspection->content_type, body, refusal->message);

	if (result < 0) {
		refusal->status = result == -EACCES ? 403 : result == -ENOMEM ? 503 : 400;
		return false;
	}
	relay_give(&c->up, body.ptr, body.len);
	return true;
}
