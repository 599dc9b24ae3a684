/* SPDX-License-Identifier: MIT */
/*
 * access.h: what clients are judged by, tokens and policy: where the files are, loaded at the start, watched,
 * and loaded again. What is broken is refused as a whole, and what was there stays in force. Layer 2.
 */
#ifndef HEADGATE_ACCESS_H
#define HEADGATE_ACCESS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"
#include "config.h"
#include "file.h"
#include "snapshot.h"

struct access {
	const struct config *config; /* borrowed */
	char tokens_path[PATH_MAX];  /* "" where no file is asked for */
	char policy_path[PATH_MAX];
	bool has_tokens_file; /* it was there once: without it now, something is wrong */
	struct file_watch tokens_watch, policy_watch, original_watch;
	struct token original; /* DOCKER_API_TOKEN's, whose text is wiped */
	bool has_original;
	struct snapshot *snapshot; /* held; the one in force */
};

/*
 * Loads both for the first time. A state directory without a token file gets one with a new `admin` token, if
 * `new_token` is given: its secret goes there (else ""), for the caller to print once and wipe; without
 * `new_token` nothing is made, the set is empty and the answer is 1. Else 0, or -errno with a one-line
 * `error`; access_fini() is due in either case.
 */
int access_load(struct access *access, const struct config *config, const char *state_dir,
		char new_token[TOKEN_GENERATED_BYTES], char *error, size_t error_cap) MUST_USE;

/* The policy alone, for who asks of roles only. The caller frees it. 0 or -errno with `error`. */
int access_policy(const struct config *config, const char *state_dir, struct policy **policy, char *error,
		  size_t error_cap) MUST_USE;

/* Whether a file has changed since it was read, and rests (see file_watch_changed()). */
bool access_has_changed(struct access *access, uint64_t now_ms);

/* Loads both again. 0: access->snapshot is the new one; -errno with `error`: it is the old one. */
int access_reload(struct access *access, char *error, size_t error_cap) MUST_USE;

void access_fini(struct access *access);

#endif
