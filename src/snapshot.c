/* SPDX-License-Identifier: MIT */
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void snapshot_free(struct snapshot *snapshot)
{
	token_set_fini(&snapshot->tokens);
	policy_free(snapshot->policy);
	if (snapshot->sent_token)
		freezero(snapshot->sent_token, strlen(snapshot->sent_token));
	free(snapshot);
}

int snapshot_new(struct snapshot **made, struct token_set *tokens, struct policy *policy,
		 struct token *unbound)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	*made = NULL;
	if (!snapshot) {
		token_set_fini(tokens);
		policy_free(policy);
		return -ENOMEM;
	}
	atomic_init(&snapshot->references, 1);
	snapshot->tokens = *tokens;
	snapshot->policy = policy;
	*tokens = (struct token_set){0};
	for (size_t i = 0; i < snapshot->tokens.count; i++) {
		struct token *token = &snapshot->tokens.tokens[i];
		token->role = policy_role(policy, span_of(token->role_name));
		if (token->role)
			continue;
		*unbound = *token;
		snapshot_free(snapshot);
		return -ENOENT;
	}
	*made = snapshot;
	return 0;
}

struct snapshot *snapshot_hold(struct snapshot *snapshot)
{
	atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
	return snapshot;
}

void snapshot_release(struct snapshot *snapshot)
{
	/* Whoever frees it has to see what the others did with it. */
	if (snapshot && atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) == 1)
		snapshot_free(snapshot);
}
