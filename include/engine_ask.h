/* SPDX-License-Identifier: MIT */
/*
 * engine_ask.h: asks the engine one thing, who it is or any GET. Blocks, for a thread that serves nobody.
 * Layer 2, part of engine.
 */
#ifndef HEADGATE_ENGINE_ASK_H
#define HEADGATE_ENGINE_ASK_H

#include <stddef.h>

#include "engine.h"

/* As its answer says; printable, "" where it says nothing. */
struct engine_identity {
	char server[64];      /* "Docker/26.1.5" */
	char api_version[16]; /* "1.45" */
};

/*
 * GET /_ping, over TLS where the engine has it; all of it within `timeout_ms`. 0, or -errno with a line in
 * `error` as engine_trouble() writes it.
 */
int engine_ask(const struct engine *engine, unsigned timeout_ms, struct engine_identity *identity,
	       char *error, size_t error_cap);

/* The same with a token, for the engine behind another headgate, which says whether it takes it. */
int engine_ask_with_token(const struct engine *engine, const char *token, unsigned timeout_ms,
			  struct engine_identity *identity, char *error, size_t error_cap);

#define ENGINE_BODY_MAX_BYTES ((size_t)1048576)

struct engine_body {
	int status; /* 200 and so on */
	char *data; /* owned, NUL behind it; NULL when there is none */
	size_t len;
};

/*
 * GET `target`, the answer with its body, whatever its status; all of it within `timeout_ms`. 0, and
 * engine_body_fini() is due; or -errno with a line in `error`: no engine, no answer, a body over
 * ENGINE_BODY_MAX_BYTES. For an engine without another headgate before it.
 */
int engine_get(const struct engine *engine, const char *target, unsigned timeout_ms, struct engine_body *body,
	       char *error, size_t error_cap);
void engine_body_fini(struct engine_body *body);

#endif
