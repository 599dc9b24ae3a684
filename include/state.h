/* SPDX-License-Identifier: MIT */
/*
 * state.h: the files that headgate keeps or reads at start: state directory, token file, secrets.
 * Everything that is secret must not be readable by others, or start is refused. Layer 2.
 */
#ifndef HEADGATE_STATE_H
#define HEADGATE_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "compiler.h"
#include "config.h"
#include "token.h"

/*
 * The state directory: `given`, or /var/lib/headgate for root, or $XDG_STATE_HOME/headgate, or
 * ~/.local/state/headgate; made with mode 0700 when it is missing (its parents too), owner and mode
 * checked. 0 or -errno with a one-line `error`.
 */
int state_dir_open(const char *given, char *path, size_t path_cap, char *error, size_t error_cap);

/*
 * Looks at that directory and makes nothing. 0 when it is good; 1 when it is not there and could be made;
 * -errno with `error` where state_dir_open() would fail.
 */
int state_dir_look(const char *given, char *path, size_t path_cap, char *error, size_t error_cap);

/*
 * Reads the token file. 0; -ENOENT when there is none; -EACCES when others can read it, -EINVAL and
 * so on with a one-line `error` that names the file, the line and the remedy (`chmod 600 FILE`).
 */
int state_tokens_read(const char *file, struct token_set *set, char *error, size_t error_cap);

/*
 * First start: makes a token `admin`, writes the token file (mode 0600, by rename after fsync, never
 * over an existing one) and gives the secret to the caller, who prints it once and wipes it.
 */
int state_tokens_create(const char *file, char secret[TOKEN_GENERATED_BYTES], char *error, size_t error_cap);

/*
 * Adds DOCKER_API_TOKEN (or the contents of DOCKER_API_TOKEN_FILE, less one trailing newline) as the
 * token `default` and wipes it from the environment's memory. 1 when one was added, 0 when none is
 * given, -errno with `error`.
 */
int state_tokens_add_original(struct token_set *set, const struct config *config, char *error,
			      size_t error_cap);

/*
 * All tokens: --tokens, else `tokens` in `state_dir` (where config_needs_state()), and those of
 * state_tokens_add_original(). 0; 1 when there are none and `path` is where state_tokens_create() has to make
 * the first; -errno with `error`. `path` is "" where no file is asked for.
 */
int state_tokens_load(struct token_set *set, const struct config *config, const char *state_dir, char *path,
		      size_t path_cap, char *error, size_t error_cap);

#endif
