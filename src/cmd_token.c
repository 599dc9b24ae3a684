/* SPDX-License-Identifier: MIT */
/*
 * `headgate token`: makes, changes, takes back and lists the tokens of the token file. The program that
 * serves is not spoken to: it sees the file change. A secret is printed once, when it is made; to a pipe it
 * goes alone, so that TOKEN=$(headgate token create ...) works.
 */
#include "cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "access.h"
#include "config.h"
#include "file.h"
#include "policy.h"
#include "state.h"
#include "token.h"

#define HOUR_S		INT64_C(3600)
#define PERIOD_MAX_S	(INT64_C(100) * 365 * 24 * HOUR_S)
#define NAME_COLUMN_MAX 24

struct tokens {
	struct config config;
	char path[PATH_MAX];
	const char *name; /* borrowed from argv; NULL where none is asked for */
	struct token made;
	bool dropped; /* rotate: a secret from before the last one was still good */
	char secret[TOKEN_GENERATED_BYTES];
	char error[1024];
};

static int bad(struct tokens *tokens, const char *format, ...) PRINTF_LIKE(2, 3);

static int bad(struct tokens *tokens, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vsnprintf(tokens->error, sizeof(tokens->error), format, args) < 0)
		tokens->error[0] = '\0';
	va_end(args);
	return -EINVAL;
}

/* ---- times ---- */

/* "90d": digits and one of h, d, w. */
static bool period_parse(const char *text, int64_t *seconds)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'h', HOUR_S}, {'d', HOUR_S * 24}, {'w', HOUR_S * 24 * 7}};
	size_t digits = strspn(text, "0123456789");
	int64_t number = 0;

	if (digits == 0 || digits > 6 || text[digits] == '\0' || text[digits + 1] != '\0')
		return false;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (text[i] - '0');
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (units[i].unit != text[digits])
			continue;
		*seconds = number * units[i].seconds;
		return *seconds <= PERIOD_MAX_S;
	}
	return false;
}

/* A period from now, a day (its first second) or a time. */
static int expiry_parse(struct tokens *tokens, const char *text, int64_t now_s, int64_t *expires_s)
{
	char day[sizeof("2026-11-23T19:30:00Z")];
	int64_t period_s;

	snprintf(day, sizeof(day), "%.10sT00:00:00Z", text);
	if (period_parse(text, &period_s))
		*expires_s = now_s + period_s;
	else if ((strlen(text) != 10 || token_time_parse(span_of(day), expires_s) < 0) &&
		 token_time_parse(span_of(text), expires_s) < 0)
		return bad(tokens,
			   "--expires: '%.64s' is no time: 12h, 90d, 8w, 2027-01-31 or "
			   "2027-01-31T12:00:00Z",
			   text);
	if (*expires_s <= now_s)
		return bad(tokens, "--expires: '%.64s' is over already", text);
	return 0;
}

/* ---- changes ---- */

/* The role has to be one that serve will know. */
static int check_role(struct tokens *tokens)
{
	struct policy *policy = NULL;
	char dir[PATH_MAX] = "";
	int result = 0;

	if (!tokens->config.role)
		return bad(tokens,
			   "--role is needed: what may it do? 'headgate explain --roles' lists the roles");
	if (!tokens->config.policy_file && (!tokens->config.tokens_file || tokens->config.state_dir))
		result = state_dir_look(tokens->config.state_dir, dir, sizeof(dir), tokens->error,
					sizeof(tokens->error));
	if (result >= 0)
		result = access_policy(&tokens->config, dir, &policy, tokens->error, sizeof(tokens->error));
	if (result < 0)
		return result;
	if (!token_name_ok(span_of(tokens->config.role)) ||
	    !policy_role(policy, span_of(tokens->config.role)))
		result =
		    bad(tokens, "--role: there is no role '%.64s'; 'headgate explain --roles' lists them",
			tokens->config.role);
	policy_free(policy);
	return result;
}

static int make(void *context, bool exists, struct token *token, char *error, size_t error_cap)
{
	struct tokens *tokens = context;
	const struct config *config = &tokens->config;

	if (exists) {
		snprintf(error, error_cap,
			 "there is a token '%s' already; 'headgate token rotate %s' gives it a new secret",
			 tokens->name, tokens->name);
		return -EEXIST;
	}
	*token = tokens->made;
	strlcpy(token->name, tokens->name, sizeof(token->name));
	strlcpy(token->role_name, config->role, sizeof(token->role_name));
	memcpy(token->sources, config->from, config->from_count * sizeof(token->sources[0]));
	token->sources_count = config->from_count;
	if (state_token_make(token, tokens->secret) < 0) {
		snprintf(error, error_cap, "the random number generator failed");
		return -EIO;
	}
	tokens->made = *token;
	return STATE_WRITE;
}

static int missing(const struct tokens *tokens, char *error, size_t error_cap)
{
	snprintf(error, error_cap, "%s: there is no token '%.64s'; 'headgate token list' shows them",
		 tokens->path, tokens->name);
	return -ESRCH;
}

static int renew(void *context, bool exists, struct token *token, char *error, size_t error_cap)
{
	struct tokens *tokens = context;
	int64_t now_s = time(NULL), overlap_s = tokens->made.previous_until_s;

	if (!exists)
		return missing(tokens, error, error_cap);
	if (token->expires_s && token->expires_s <= now_s) {
		snprintf(error, error_cap,
			 "%s: the token '%s' has expired, a new secret would be of no use; revoke it and "
			 "create it again",
			 tokens->path, tokens->name);
		return -EKEYEXPIRED;
	}
	tokens->dropped = token->previous_until_s > now_s;
	memcpy(token->previous, token->digest, sizeof(token->previous));
	token->previous_until_s = overlap_s ? now_s + overlap_s : 0;
	if (state_token_make(token, tokens->secret) < 0) {
		snprintf(error, error_cap, "the random number generator failed");
		return -EIO;
	}
	tokens->made = *token;
	return STATE_WRITE;
}

static int take_back(void *context, bool exists, struct token *token, char *error, size_t error_cap)
{
	(void)token;
	return exists ? STATE_REMOVE : missing(context, error, error_cap);
}

/* ---- what is printed ---- */

/*
 * The secret, for a program alone and for a person with what to do with it. -EIO where it could not be
 * written: then nobody has it.
 */
static int print_secret(struct tokens *tokens)
{
	const struct token *token = &tokens->made;
	bool person = isatty(STDOUT_FILENO);
	FILE *words = person ? stdout : stderr;
	char until[sizeof("2026-11-23T19:30:00Z")];

	fprintf(words, "Token '%s', role %s", token->name, token->role_name);
	if (token->expires_s) {
		token_time_write(token->expires_s, until);
		fprintf(words, ", until %s", until);
	}
	fputs(". Its secret is shown this once:\n", words);
	(void)fflush(words);
	printf(person ? "\n  %s\n\n" : "%s\n", tokens->secret);
	if (fflush(stdout) != 0) {
		bad(tokens,
		    "its secret could not be written (%s); 'headgate token rotate %s --overlap 0' makes "
		    "another",
		    strerror(errno), token->name);
		return -EIO;
	}
	if (token->previous_until_s) {
		token_time_write(token->previous_until_s, until);
		fprintf(words, "The secret before stays good until %s; what was opened with it ends then.\n",
			until);
	}
	if (tokens->dropped)
		fputs("The one before that was still good from the last rotation; it has ended now.\n",
		      words);
	if (person)
		printf("docker CLI, 27.1 or later:  export DOCKER_CUSTOM_HEADERS=token=SECRET\n"
		       "curl:                       -H 'token: SECRET'\n"
		       "others:                     README, \"Use it\"\n");
	return 0;
}

static const char *state_text(const struct token *token, int64_t now_s, char text[40])
{
	if (!token->expires_s)
		return "never";
	token_time_write(token->expires_s, text);
	return token->expires_s <= now_s ? "expired" : text;
}

static void print_sources(const struct token *token, const char *none, const char *quote)
{
	char prefix[ADDRESS_PREFIX_TEXT_BYTES];

	if (token->sources_count == 0)
		fputs(none, stdout);
	for (size_t i = 0; i < token->sources_count; i++) {
		address_prefix_write(&token->sources[i], prefix);
		printf("%s%s%s%s", i ? "," : "", quote, prefix, quote);
	}
}

static void print_json_time(const char *key, int64_t seconds)
{
	char text[sizeof("2026-11-23T19:30:00Z")];

	token_time_write(seconds, text);
	if (seconds)
		printf(",\"%s\":\"%s\"", key, text);
}

/* Names, roles and ids are of letters, digits, '.', '-' and '_': nothing to escape. */
static void print_json(const struct token *token)
{
	printf("{\"name\":\"%s\",\"role\":\"%s\"", token->name, token->role_name);
	if (token->id[0])
		printf(",\"id\":\"%s\"", token->id);
	print_json_time("created", token->created_s);
	print_json_time("expires", token->expires_s);
	print_json_time("previous_until", token->previous_until_s);
	fputs(",\"from\":[", stdout);
	print_sources(token, "", "\"");
	fputs("]}", stdout);
}

static void print_list(const struct tokens *tokens, const struct token_set *set)
{
	int64_t now_s = time(NULL);
	int width = 4, role_width = 4;
	char text[40];

	for (size_t i = 0; i < set->count; i++) {
		int length = (int)strlen(set->tokens[i].name), role = (int)strlen(set->tokens[i].role_name);
		width = length > width ? length : width;
		role_width = role > role_width ? role : role_width;
	}
	if (width > NAME_COLUMN_MAX)
		width = NAME_COLUMN_MAX;
	if (tokens->config.json)
		putchar('[');
	else
		printf("%-*s  %-*s  %-20s  %s\n", width, "NAME", role_width, "ROLE", "EXPIRES", "FROM");
	for (size_t i = 0; i < set->count; i++) {
		const struct token *token = &set->tokens[i];
		if (tokens->config.json) {
			fputs(i ? ",\n " : "", stdout);
			print_json(token);
			continue;
		}
		printf("%-*s  %-*s  %-20s  ", width, token->name, role_width, token->role_name,
		       state_text(token, now_s, text));
		print_sources(token, "anywhere", "");
		putchar('\n');
	}
	if (tokens->config.json)
		puts("]");
}

static void print_one(const struct token *token)
{
	char text[40];

	printf("name      %s\nrole      %s\nid        %s\n", token->name, token->role_name,
	       token->id[0] ? token->id : "-");
	if (token->created_s) {
		token_time_write(token->created_s, text);
		printf("created   %s\n", text);
	}
	printf("expires   %s\nfrom      ", state_text(token, time(NULL), text));
	print_sources(token, "anywhere", "");
	putchar('\n');
	if (token->previous_until_s > time(NULL)) {
		token_time_write(token->previous_until_s, text);
		printf("rotated   the secret before is good until %s\n", text);
	}
}

/* ---- the commands ---- */

/* -ENOENT is about the file or its directory. serve makes both, with the CA that clients need. */
static int told(struct tokens *tokens, int result)
{
	if (result == -ENOENT)
		bad(tokens,
		    "%s: there is no such file or directory; start 'headgate serve' once, which makes it, or "
		    "give --state DIR or --tokens FILE",
		    tokens->path);
	return result;
}

static int do_create(struct tokens *tokens)
{
	int64_t now_s = time(NULL);
	int result = check_role(tokens);

	tokens->made.created_s = now_s;
	if (result >= 0 && tokens->config.expires)
		result = expiry_parse(tokens, tokens->config.expires, now_s, &tokens->made.expires_s);
	if (result >= 0)
		result = state_tokens_change(tokens->path, tokens->name, make, tokens, tokens->error,
					     sizeof(tokens->error));
	return result < 0 ? told(tokens, result) : print_secret(tokens);
}

static int do_rotate(struct tokens *tokens)
{
	const char *overlap = tokens->config.overlap;
	int result;

	if (strcmp(overlap, "0") != 0 && !period_parse(overlap, &tokens->made.previous_until_s))
		return bad(tokens, "--overlap: '%.64s' is no time: 0, 24h, 7d", overlap);
	result = state_tokens_change(tokens->path, tokens->name, renew, tokens, tokens->error,
				     sizeof(tokens->error));
	return result < 0 ? told(tokens, result) : print_secret(tokens);
}

static int do_revoke(struct tokens *tokens)
{
	int result = state_tokens_change(tokens->path, tokens->name, take_back, tokens, tokens->error,
					 sizeof(tokens->error));

	if (result >= 0)
		printf("%s is revoked; what was opened with it ends now\n", tokens->name);
	return told(tokens, result);
}

static int read_set(struct tokens *tokens, struct token_set *set)
{
	return told(tokens, state_tokens_read(tokens->path, set, tokens->error, sizeof(tokens->error)));
}

static int do_list(struct tokens *tokens)
{
	struct token_set set = {0};
	int result = read_set(tokens, &set);

	if (result == 0)
		print_list(tokens, &set);
	token_set_fini(&set);
	return result;
}

static int do_show(struct tokens *tokens)
{
	struct token_set set = {0};
	int result = read_set(tokens, &set);
	const struct token *token = result == 0 ? token_set_name(&set, span_of(tokens->name)) : NULL;

	if (result == 0 && !token)
		result = missing(tokens, tokens->error, sizeof(tokens->error));
	if (token && tokens->config.json) {
		print_json(token);
		putchar('\n');
	} else if (token) {
		print_one(token);
	}
	token_set_fini(&set);
	return result;
}

static const struct verb {
	const char *name;
	bool needs_name;
	int (*run)(struct tokens *tokens);
} verbs[] = {
    {"create", true, do_create}, {"rotate", true, do_rotate}, {"revoke", true, do_revoke},
    {"list", false, do_list},	 {"show", true, do_show},
};

/* Which of them is asked for; NULL with the error filled in. */
static const struct verb *find_verb(struct tokens *tokens)
{
	const struct config *config = &tokens->config;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const struct verb *verb = &verbs[i];
		if (strcmp(config->arguments[0], verb->name) != 0)
			continue;
		if (config->arguments_count != 1U + verb->needs_name) {
			bad(tokens, verb->needs_name ? "%s needs the token's NAME" : "%s takes no NAME",
			    verb->name);
			return NULL;
		}
		tokens->name = verb->needs_name ? config->arguments[1] : NULL;
		if (!tokens->name || token_name_ok(span_of(tokens->name)))
			return verb;
		bad(tokens,
		    "a NAME has 1 to 63 letters, digits, '.', '-', '_', and starts with a letter or digit");
		return NULL;
	}
	bad(tokens, "'%.64s' is not one of create, rotate, revoke, list, show; try 'headgate token --help'",
	    config->arguments[0]);
	return NULL;
}

static int run(struct tokens *tokens)
{
	const struct verb *verb = find_verb(tokens);
	int result = verb ? 0 : -EINVAL;

	if (result == 0)
		result = state_tokens_path(&tokens->config, tokens->path, sizeof(tokens->path), tokens->error,
					   sizeof(tokens->error));
	if (result == 0)
		result = verb->run(tokens);
	if (result >= 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "headgate token: %s\n", tokens->error);
	return verb && result != -EINVAL ? EXIT_FAILURE : EXIT_USAGE;
}

int cmd_token(int argc, char **argv)
{
	struct tokens *tokens = calloc(1, sizeof(*tokens));
	int code = EXIT_USAGE;

	if (!tokens)
		return EXIT_FAILURE;
	switch (config_read(&tokens->config, CONFIG_TOKEN, argc, argv, environ, tokens->error,
			    sizeof(tokens->error))) {
	case CONFIG_HELP:
		config_help(stdout, CONFIG_TOKEN);
		code = EXIT_SUCCESS;
		break;
	case CONFIG_BAD:
		fprintf(stderr, "%s\n", tokens->error);
		break;
	case CONFIG_OK:
		if (tokens->config.arguments_count > 0)
			code = run(tokens);
		else
			config_help(stderr, CONFIG_TOKEN);
		break;
	}
	explicit_bzero(tokens->secret, sizeof(tokens->secret));
	free(tokens);
	return code;
}
