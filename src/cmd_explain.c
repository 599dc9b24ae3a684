/* SPDX-License-Identifier: MIT */
/*
 * `headgate explain`: what a request would meet. The request is read as the proxy reads it, from a head, and
 * judged by the same function; what it asks for in its body is the proxy's to see. The exit code is the
 * answer: 0 allowed, 1 refused; 2 is for a question that could not be answered.
 */
#include "cmd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "access.h"
#include "config.h"
#include "http.h"
#include "policy.h"
#include "route.h"
#include "state.h"

#define HEAD_BYTES 8192

struct question {
	struct config config;
	char state_dir[PATH_MAX];
	struct access access;
	struct policy *policy;
	const struct role *role;
	const struct token *token; /* of the snapshot; NULL when a role is asked about */
	struct http_request request;
	char head[HEAD_BYTES];
	char error[1024];
};

/* The role that is asked about: --role's, or that of --token. 0 or -errno. */
static int find_role(struct question *question)
{
	const struct config *config = &question->config;
	const struct policy *policy;
	const char *name = config->role;
	int result = 0;

	if (!config->token) {
		result = access_policy(config, question->state_dir, &question->policy, question->error,
				       sizeof(question->error));
		policy = question->policy;
	} else {
		result = access_load(&question->access, config, question->state_dir, NULL, question->error,
				     sizeof(question->error));
		if (result < 0)
			return result;
		const struct snapshot *snapshot = question->access.snapshot;
		const struct token *token = token_set_name(&snapshot->tokens, span_of(config->token));
		if (!token) {
			snprintf(question->error, sizeof(question->error),
				 "%s: there is no token '%.64s'; 'headgate token list' shows them",
				 question->access.tokens_path, config->token);
			return -ENOENT;
		}
		question->token = token;
		policy = snapshot->policy;
		name = token->role_name;
	}
	if (result < 0 || !name)
		return result;
	question->role = policy_role(policy, span_of(name));
	if (question->role)
		return 0;
	snprintf(question->error, sizeof(question->error),
		 "there is no role '%.64s'; 'headgate explain --roles' lists them", name);
	return -ENOENT;
}

/* Of the request line's words; with one of these they would be other words, or more lines. */
static bool has_space(const char *word)
{
	for (; *word; word++)
		if ((unsigned char)*word <= ' ')
			return true;
	return false;
}

/* The request as it would come over the wire. HTTP_BAD with the reason: nobody gets it through. */
static enum http_result read_request(struct question *question, enum http_refusal *refusal)
{
	const char *const *words = question->config.arguments;
	struct http_scan scan = {0};
	size_t head_bytes = 0;
	int n = snprintf(question->head, sizeof(question->head), "%s %s HTTP/1.1\r\nHost: x\r\n\r\n",
			 words[0], words[1]);

	*refusal = HTTP_REFUSED_REQUEST_LINE;
	if (has_space(words[0]) || has_space(words[1]))
		return HTTP_BAD;
	if (n < 0 || (size_t)n >= sizeof(question->head)) {
		*refusal = HTTP_REFUSED_HEAD_TOO_LARGE;
		return HTTP_BAD;
	}
	if (http_scan(&scan, question->head, (size_t)n, &head_bytes, refusal) != HTTP_OK ||
	    head_bytes != (size_t)n)
		return HTTP_BAD;
	return http_parse_request(&question->request, question->head, head_bytes, refusal);
}

static const char *what_is_looked_into(const struct route *route)
{
	switch (inspect_need(route)) {
	case INSPECT_QUERY:
		return "its query is looked into";
	case INSPECT_BODY:
		return "its body is looked into";
	case INSPECT_NEVER:
		return "what it brings cannot be looked into, so it is refused";
	case INSPECT_NOTHING:
		break;
	}
	return "";
}

/* The role decides; whether the token itself is good is another question, and shown. */
static void print_token(const struct token *token)
{
	if (!token)
		return;
	printf("  token  %s", token->name);
	if (token->expires_s && token->expires_s <= time(NULL))
		fputs(" (expired: refused with 401, whatever it asks for)", stdout);
	else if (token->sources_count)
		fputs(" (not from every address)", stdout);
	putchar('\n');
}

static void print_rule(const struct question *question, const struct route *route,
		       const struct policy_decision *decision)
{
	const char *file = question->config.policy_file ? question->config.policy_file : "the policy file";

	if (decision->rule && decision->line)
		printf("  rule   %s\n         line %zu of %s, role %s\n", decision->rule, decision->line,
		       file, decision->rule_role);
	else if (decision->rule)
		printf("  rule   %s\n         built in, role %s\n", decision->rule, decision->rule_role);
	else if (role_is_unlimited(question->role))
		puts("  rule   none: this role may do everything");
	else
		puts(route ? "  rule   none allows it"
			   : "  rule   none: no route of the Docker API that headgate knows");
}

/* Whether it is allowed. */
static bool answer(struct question *question)
{
	const struct http_request *request = &question->request;
	struct policy_decision decision;
	const struct route *route;
	enum http_refusal refusal;

	if (read_request(question, &refusal) != HTTP_OK) {
		printf("refused\n  to everybody: %s\n", http_reason(refusal));
		return false;
	}
	route = route_find(request->method, request->path);
	policy_decide(question->role, request->method, request->path, route, &decision);
	bool inspected = decision.verdict == POLICY_INSPECT;
	bool allowed =
	    decision.verdict == POLICY_ALLOW || (inspected && inspect_need(route) != INSPECT_NEVER);
	puts(allowed ? "allowed" : "refused");
	print_token(question->token);
	printf("  role   %s\n  right  %s\n", role_name(question->role), decision.right);
	print_rule(question, route, &decision);
	if (inspected)
		printf("  body   %s\n", what_is_looked_into(route));
	return allowed;
}

static int fail(const struct question *question)
{
	fprintf(stderr, "headgate explain: %s\n", question->error);
	return EXIT_USAGE;
}

static int print_switches(struct question *question)
{
	const char *name = question->config.role ? question->config.role : "socket-proxy";

	if (!token_name_ok(span_of(name))) {
		snprintf(question->error, sizeof(question->error),
			 "--role: a name has 1 to 63 letters, digits, '.', '-', '_'");
		return fail(question);
	}
	if (policy_from_switches(stdout, name, getenv) == 0)
		fputs("headgate explain: none of the switches is set; these are the defaults\n", stderr);
	return EXIT_SUCCESS;
}

static int ask(struct question *question)
{
	const struct config *config = &question->config;
	int result = 0;

	if (config->from_env)
		return print_switches(question);
	if (config->role && config->token) {
		snprintf(question->error, sizeof(question->error),
			 "--role and --token are two questions; ask one");
		return fail(question);
	}
	if (!config->policy_file || (config->token && !config->tokens_file))
		result = state_dir_look(config->state_dir, question->state_dir, sizeof(question->state_dir),
					question->error, sizeof(question->error));
	if (result >= 0)
		result = find_role(question);
	if (result < 0)
		return fail(question);
	if (config->roles) {
		policy_print_roles(question->policy ? question->policy : question->access.snapshot->policy,
				   stdout);
		return EXIT_SUCCESS;
	}
	if (question->role && config->arguments_count == 0) {
		policy_print_role(question->role, stdout);
		return EXIT_SUCCESS;
	}
	if (config->arguments_count == 0) {
		config_help(stderr, CONFIG_EXPLAIN);
		return EXIT_USAGE;
	}
	if (!question->role || config->arguments_count != 2) {
		snprintf(question->error, sizeof(question->error), "%s; try 'headgate explain --help'",
			 question->role ? "a METHOD and a PATH are needed"
					: "--token NAME or --role ROLE is needed, to say who asks");
		return fail(question);
	}
	return answer(question) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_explain(int argc, char **argv)
{
	struct question *question = calloc(1, sizeof(*question));
	int code = EXIT_USAGE;

	if (!question)
		return EXIT_FAILURE;
	switch (config_read(&question->config, CONFIG_EXPLAIN, argc, argv, environ, question->error,
			    sizeof(question->error))) {
	case CONFIG_HELP:
		config_help(stdout, CONFIG_EXPLAIN);
		code = EXIT_SUCCESS;
		break;
	case CONFIG_BAD:
		fprintf(stderr, "%s\n", question->error);
		break;
	case CONFIG_OK:
		code = ask(question);
		break;
	}
	policy_free(question->policy);
	access_fini(&question->access);
	free(question);
	return code;
}
