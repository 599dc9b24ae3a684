/* SPDX-License-Identifier: MIT */
/* snapshot_test.c: run with AddressSanitizer it sees what is freed twice, too early or never. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot.h"

TestSuite(snapshot, .timeout = 300);

static struct policy *policy_of(const char *text)
{
	struct policy *policy;
	char reason[POLICY_REASON_BYTES];
	size_t line;

	cr_assert_eq(policy_new(&policy, span_of(text), &line, reason), 0, "%zu: %s", line, reason);
	return policy;
}

static void add(struct token_set *set, const char *name, const char *role)
{
	struct token token = {0};

	strlcpy(token.name, name, sizeof(token.name));
	strlcpy(token.role_name, role, sizeof(token.role_name));
	cr_assert_eq(token_digest(span_of(name), token.digest), 0);
	cr_assert_eq(token_set_add(set, &token), 0);
}

Test(snapshot, binds_each_token_to_its_role)
{
	struct token_set set = {0};
	struct token unbound = {0};
	struct policy *policy = policy_of("role mine\n\tallow GET /info\n");
	struct snapshot *snapshot;

	add(&set, "a", "admin");
	add(&set, "b", "mine");
	add(&set, "c", "read");
	cr_assert_eq(snapshot_new(&snapshot, &set, policy, &unbound), 0);
	cr_assert(set.count == 0 && !set.tokens && !set.index, "the snapshot has it now");
	cr_assert_eq(snapshot->policy, policy);
	cr_assert_eq(snapshot->tokens.count, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct token *token = &snapshot->tokens.tokens[i];

		cr_assert_not_null(token->role);
		cr_assert_eq(token->role, policy_role(policy, span_of(token->role_name)));
		cr_assert_eq(token_set_name(&snapshot->tokens, span_of(token->name)), token);
	}
	cr_assert_neq(snapshot->tokens.tokens[0].role, snapshot->tokens.tokens[1].role);
	cr_assert_null(snapshot->everyone);
	cr_assert_null(snapshot->sent_token);
	snapshot_release(snapshot);
}

Test(snapshot, a_role_that_is_not_known_is_named)
{
	struct token_set set = {0};
	struct token unbound = {0};
	struct snapshot *snapshot = (struct snapshot *)&set;

	add(&set, "a", "admin");
	add(&set, "b", "mine");
	add(&set, "c", "yours");
	cr_assert_eq(snapshot_new(&snapshot, &set, policy_of(""), &unbound), -ENOENT);
	cr_assert_null(snapshot);
	cr_assert_str_eq(unbound.name, "b");
	cr_assert_str_eq(unbound.role_name, "mine");
	cr_assert(set.count == 0 && !set.tokens && !set.index, "taken over on failure, too");
}

Test(snapshot, names_of_roles_count_in_full)
{
	static const char *const near[] = {"Admin", "admi", "admins", "ADMIN"};

	for (size_t i = 0; i < ARRAY_SIZE(near); i++) {
		struct token_set set = {0};
		struct token unbound;
		struct snapshot *snapshot;

		add(&set, "a", near[i]);
		cr_expect_eq(snapshot_new(&snapshot, &set, policy_of(""), &unbound), -ENOENT, "%s", near[i]);
	}
}

Test(snapshot, lives_until_the_last_lets_go)
{
	struct token_set set = {0};
	struct token unbound;
	struct snapshot *snapshot;

	snapshot_release(NULL);
	add(&set, "a", "admin");
	cr_assert_eq(snapshot_new(&snapshot, &set, policy_of(""), &unbound), 0);
	cr_assert_eq(snapshot_hold(snapshot), snapshot);
	snapshot->sent_token = strdup("secret");
	snapshot_release(snapshot);
	cr_assert_str_eq(snapshot->sent_token, "secret");
	cr_assert_not_null(token_set_name(&snapshot->tokens, SPAN("a")));
	snapshot_release(snapshot);
}

Test(snapshot, without_tokens)
{
	struct token_set set = {0};
	struct token unbound;
	struct snapshot *snapshot;

	cr_assert_eq(snapshot_new(&snapshot, &set, policy_of(""), &unbound), 0);
	cr_assert_null(token_set_name(&snapshot->tokens, SPAN("a")));
	snapshot_release(snapshot);
}

/* As workers do while the main thread hands out new ones. */
static void *hold_and_release(void *arg)
{
	struct snapshot *snapshot = arg;

	for (int i = 0; i < 20000; i++) {
		struct snapshot *mine = snapshot_hold(snapshot);

		if (mine->tokens.count != 1)
			return NULL;
		snapshot_release(mine);
	}
	snapshot_release(snapshot);
	return arg;
}

Test(snapshot, is_shared_by_threads)
{
	struct token_set set = {0};
	struct token unbound;
	struct snapshot *snapshot;
	pthread_t threads[4];

	add(&set, "a", "admin");
	cr_assert_eq(snapshot_new(&snapshot, &set, policy_of(""), &unbound), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, hold_and_release, snapshot_hold(snapshot)), 0);
	snapshot_release(snapshot);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *result;

		cr_assert_eq(pthread_join(threads[i], &result), 0);
		cr_assert_eq(result, snapshot);
	}
}
