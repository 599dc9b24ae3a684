/* SPDX-License-Identifier: MIT */
/*
 * engine_ask.h: asks the engine who it is, one request and its answer's head. Blocks, for a command's own
 * use. Layer 2, part of engine.
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

#endif
