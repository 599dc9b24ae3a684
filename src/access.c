/* SPDX-License-Identifier: MIT */
#include "access.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy.h"
#include "state.h"

#define POLICY_FILE_MAX_BYTES ((size_t)(1024 * 1024))

static int path_join(char out[PATH_MAX], const char *given, const char *dir, const char *name, char *error,
		     size_t error_cap)
{
	int n = given ? snprintf(out, PATH_MAX, "%s", given) : snprintf(out, PATH_MAX, "%s/%s", dir, name);

	if (n >= 0 && n < PATH_MAX)
		return 0;
	snprintf(error, error_cap, "%.64s...: the path is too long", out);
	return -ENAMETOOLONG;
}

/* The built-in roles, and those of the file, if there is one or --policy says that there is. */
static int load_policy(struct access *access, struct policy **policy, char *error, size_t error_cap)
{
	struct file_text text = {0};
	char reason[POLICY_REASON_BYTES];
	size_t line = 0;
	int result = 0;

	*policy = NULL;
	if (access->policy_path[0]) {
		file_watch_mark(&access->policy_watch, access->policy_path);
		result = file_read(access->policy_path, FILE_TRUSTED, POLICY_FILE_MAX_BYTES, &text, error,
				   error_cap);
	}
	if (result == -ENOENT && !access->config->policy_file)
		result = 0;
	if (result < 0)
		return result;
	result = policy_new(policy, (struct span){.ptr = text.data, .len = text.len}, &line, reason);
	file_text_fini(&text);
	if (result == -EINVAL)
		snprintf(error, error_cap, "%s:%zu: %s", access->policy_path, line, reason);
	else if (result < 0)
		snprintf(error, error_cap, "out of memory");
	return result;
}

static int find_policy(struct access *access, const char *state_dir, char *error, size_t error_cap)
{
	const char *given = access->config->policy_file;

	if (!given && !state_dir[0])
		return 0;
	return path_join(access->policy_path, given, state_dir, "policy", error, error_cap);
}

int access_policy(const struct config *config, const char *state_dir, struct policy **policy, char *error,
		  size_t error_cap)
{
	struct access access = {.config = config};
	int result = find_policy(&access, state_dir, error, error_cap);

	return result < 0 ? result : load_policy(&access, policy, error, error_cap);
}

/* Takes over `tokens`, whatever comes of it. */
static int make_snapshot(struct access *access, struct token_set *tokens, char *error, size_t error_cap)
{
	struct snapshot *snapshot;
	struct policy *policy;
	struct token unbound;
	int result = load_policy(access, &policy, error, error_cap);

	if (result < 0) {
		token_set_fini(tokens);
		return result;
	}
	result = snapshot_new(&snapshot, tokens, policy, &unbound);
	if (result == -ENOENT)
		snprintf(
		    error, error_cap,
		    "%s: the token '%s' has the role '%s', which is not known; 'headgate explain --roles' "
		    "lists those that are",
		    access->tokens_path, unbound.name, unbound.role_name);
	else if (result < 0)
		snprintf(error, error_cap, "out of memory");
	if (result < 0)
		return result;
	snapshot_release(access->snapshot);
	access->snapshot = snapshot;
	return 0;
}

/* DOCKER_API_TOKEN_FILE, where that is what counts. */
static const char *original_path(const struct access *access)
{
	return access->has_original ? NULL : access->config->original_token_file;
}

/* A token that is made goes with the start's success, so what else could fail comes before. */
static int make_first(struct access *access, struct token_set *tokens, char new_token[TOKEN_GENERATED_BYTES],
		      char *error, size_t error_cap)
{
	struct policy *policy;
	int result = load_policy(access, &policy, error, error_cap);

	if (result < 0)
		return result;
	policy_free(policy);
	result = state_tokens_create(access->tokens_path, new_token, error, error_cap);
	file_watch_mark(&access->tokens_watch, access->tokens_path);
	/* Another one that started at the same time was first: its token it is. */
	if (result == 0 || result == -EEXIST)
		result = state_tokens_read(access->tokens_path, tokens, error, error_cap);
	return result;
}

/* The one that came by the environment is kept: it cannot be read there again. */
static void keep_original(struct access *access, const struct token_set *tokens)
{
	for (size_t i = 0; access->config->original_token && i < tokens->count; i++) {
		if (strcmp(tokens->tokens[i].name, TOKEN_ORIGINAL_NAME) != 0)
			continue;
		access->original = tokens->tokens[i];
		access->has_original = true;
	}
}

int access_load(struct access *access, const struct config *config, const char *state_dir,
		char new_token[TOKEN_GENERATED_BYTES], char *error, size_t error_cap)
{
	struct token_set tokens = {0};
	bool first;
	int result;

	*access = (struct access){.config = config};
	if (new_token)
		new_token[0] = '\0';
	/* Marked before it is read, so that a change in between is seen. */
	if (config->tokens_file || config_needs_state(config)) {
		result = path_join(access->tokens_path, config->tokens_file, state_dir, "tokens", error,
				   error_cap);
		if (result < 0)
			return result;
		file_watch_mark(&access->tokens_watch, access->tokens_path);
	}
	if (original_path(access))
		file_watch_mark(&access->original_watch, original_path(access));
	result = state_tokens_load(&tokens, config, state_dir, access->tokens_path,
				   sizeof(access->tokens_path), error, error_cap);
	first = result > 0;
	if (result >= 0)
		result = find_policy(access, state_dir, error, error_cap);
	if (result == 0 && first && new_token)
		result = make_first(access, &tokens, new_token, error, error_cap);
	if (result < 0)
		goto failed;
	access->has_tokens_file = access->tokens_path[0] && file_watch_was_there(&access->tokens_watch);
	keep_original(access, &tokens);
	result = make_snapshot(access, &tokens, error, error_cap);
	return result == 0 && first && !new_token ? 1 : result;
failed:
	token_set_fini(&tokens);
	return result;
}

bool access_has_changed(struct access *access, uint64_t now_ms)
{
	const char *original = original_path(access);
	bool tokens =
	    access->tokens_path[0] && file_watch_changed(&access->tokens_watch, access->tokens_path, now_ms);
	bool policy =
	    access->policy_path[0] && file_watch_changed(&access->policy_watch, access->policy_path, now_ms);

	return (original && file_watch_changed(&access->original_watch, original, now_ms)) || tokens ||
	       policy;
}

int access_reload(struct access *access, char *error, size_t error_cap)
{
	struct token_set tokens = {0};
	int result = 0;

	/* Also where the tokens are refused before it is read: else it would be a change for ever. */
	if (access->policy_path[0])
		file_watch_mark(&access->policy_watch, access->policy_path);
	if (access->tokens_path[0]) {
		file_watch_mark(&access->tokens_watch, access->tokens_path);
		result = state_tokens_read(access->tokens_path, &tokens, error, error_cap);
		access->has_tokens_file |= result == 0;
	}
	if (original_path(access))
		file_watch_mark(&access->original_watch, original_path(access));
	/* With DOCKER_API_TOKEN there need not be one, until there is. */
	if (result == -ENOENT && !access->has_tokens_file)
		result = 0;
	else if (result == -ENOENT)
		snprintf(error, error_cap, "%s: the token file is gone", access->tokens_path);
	if (result == 0 && access->has_original) {
		result = token_set_add(&tokens, &access->original);
		if (result < 0)
			snprintf(error, error_cap,
				 "%s: a token named '%s', or with its secret, stands beside "
				 "DOCKER_API_TOKEN",
				 access->tokens_path, TOKEN_ORIGINAL_NAME);
	} else if (result == 0) {
		result = state_tokens_add_original(&tokens, access->config, error, error_cap);
	}
	if (result < 0) {
		token_set_fini(&tokens);
		return result;
	}
	return make_snapshot(access, &tokens, error, error_cap);
}

void access_fini(struct access *access)
{
	snapshot_release(access->snapshot);
	access->snapshot = NULL;
	explicit_bzero(&access->original, sizeof(access->original));
}
