/* SPDX-License-Identifier: MIT */
/*
 * state.h: the files that headgate keeps or reads at start: state directory, token file, secrets.
 * Everything that is secret must not be readable by others, or start is refused. Layer 2.
 */
#ifndef HEADGATE_STATE_H
#define HEADGATE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "compiler.h"
#include "config.h"
#include "token.h"

#define STATE_PATH_MAX 4096
/* The largest token file: TOKEN_SET_MAX lines. */
#define STATE_TOKENS_MAX_BYTES ((size_t)16 << 20)
#define STATE_TOKENS_MODE      ((mode_t)0600)

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

/* What DOCKER_API_TOKEN is called. */
#define TOKEN_ORIGINAL_NAME "default"

/* Gives the token a new secret: digest and id. 0 or -EIO. The caller wipes the secret. */
int state_token_make(struct token *token, char secret[TOKEN_GENERATED_BYTES]) MUST_USE;

/* Where the token file is, --tokens or in the state directory, whether it is there or not. 0 or -errno with
 * `error`. */
int state_tokens_path(const struct config *config, char *path, size_t path_cap, char *error,
		      size_t error_cap);

enum { STATE_WRITE, STATE_REMOVE };

/*
 * Makes of a token what it is to be: all zero when there is none of that name (!`exists`). STATE_WRITE,
 * STATE_REMOVE, or -errno with `error`: then nothing is written.
 */
typedef int state_change(void *context, bool exists, struct token *token, char *error, size_t error_cap);

/*
 * Changes one line of the token file and nothing else of it, under the lock of its directory, by rename after
 * fsync: two that change it at once both get their way. A file that is missing is made. 0 or -errno with a
 * one-line `error`.
 */
int state_tokens_change(const char *file, const char *name, state_change *change, void *context, char *error,
			size_t error_cap);

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
