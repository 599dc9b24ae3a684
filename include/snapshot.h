/* SPDX-License-Identifier: MIT */
/*
 * snapshot.h: tokens and policy as they are at one moment, immutable, counted. A reload makes a new one and
 * hands it to the workers; the last to let go of an old one frees it. Layer 2.
 */
#ifndef HEADGATE_SNAPSHOT_H
#define HEADGATE_SNAPSHOT_H

#include <stdatomic.h>
#include <stdint.h>

#include "compiler.h"
#include "policy.h"
#include "token.h"

struct snapshot {
	_Atomic unsigned references;
	struct token_set tokens; /* their roles are bound to `policy` */
	struct policy *policy;	 /* owned */
	/* `connect`: whose requests all are, of `tokens`, whatever they present; and what the engine side
	 * gets. */
	const struct token *everyone;
	char *sent_token; /* owned, wiped; NULL: requests go on without a token */
};

/*
 * Takes over tokens and policy (on failure, too: they are freed) and binds each token to its role. 0 with one
 * reference in *made; -ENOENT with a copy of the first token whose role is not known in *unbound;
 * -ENOMEM.
 */
int snapshot_new(struct snapshot **made, struct token_set *tokens, struct policy *policy,
		 struct token *unbound) MUST_USE;
struct snapshot *snapshot_hold(struct snapshot *snapshot);
void snapshot_release(struct snapshot *snapshot); /* NULL is fine */

#endif
