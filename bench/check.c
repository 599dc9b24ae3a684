/* SPDX-License-Identifier: MIT */
/*
 * check: what one request's check costs, and a reload, without any network.
 *
 *     check [--tokens N] [--rules N] [--runs N] [--checks N]
 *
 * A check is what stands between a request's head and the engine: the token out of its field, its digest, its
 * token, the route, the rules of its role. A reload is what a changed file costs the thread that does it: the
 * text of the token file and of the policy read, bound together, and the snapshot before it freed (reading
 * from the disk is left out). Tokens are asked for in no order, as clients do, so that the caches do not
 * help. What the calls answer is compared with what they have to; the exit code is 1 when one is wrong.
 *
 * Each figure is the median of the runs, with the smallest and the largest behind it; a first run is not
 * counted.
 */
#include <err.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "limit.h"
#include "policy.h"
#include "route.h"
#include "snapshot.h"
#include "token.h"

#define RUNS_MAX ((size_t)99)
#define NOW_S	 INT64_C(1795000000)
#define LATER_S	 INT64_C(1900000000)

/* A rule has a number, so that no two are alike; a request that it decides has it, too. */
struct kind {
	const char *rule, *rule_end; /* around the number */
	enum http_method method;
	const char *path, *path_end;
	enum policy_verdict verdict;
};

static const struct kind kinds[] = {
    {"allow GET /containers/web-", "-*/logs", HTTP_GET, "/v1.51/containers/web-", "-a/logs", POLICY_ALLOW},
    {"allow POST /containers/web-", "-*/restart", HTTP_POST, "/v1.51/containers/web-", "-a/restart",
     POLICY_ALLOW},
    {"deny DELETE /volumes/data-", "", HTTP_DELETE, "/v1.51/volumes/data-", "", POLICY_DENY},
    {"allow GET /networks/net-", "", HTTP_GET, "/v1.51/networks/net-", "", POLICY_ALLOW},
};

struct text {
	char *data; /* owned */
	size_t len, cap;
};

struct bench {
	size_t tokens, rules, runs, checks;
	struct text token_file, policy_file;
	char (*secrets)[TOKEN_GENERATED_BYTES]; /* owned; in the order of the file */
	struct snapshot *snapshot;		/* a reference */
	struct address from;
	uint64_t state;
};

struct spread {
	double values[RUNS_MAX];
	size_t count;
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The same numbers each time, in no order that a cache could guess. */
static size_t next_below(struct bench *bench, size_t below)
{
	bench->state = bench->state * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(bench->state >> 33) % below;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void spread_print(struct spread *spread, const char *what, const char *unit)
{
	qsort(spread->values, spread->count, sizeof(spread->values[0]), compare);
	printf("  %-58s %9.2f %s  (%.2f to %.2f)\n", what, spread->values[spread->count / 2], unit,
	       spread->values[0], spread->values[spread->count - 1]);
}

PRINTF_LIKE(2, 3) static void text_add(struct text *text, const char *format, ...)
{
	va_list arguments;
	int len;

	if (text->cap - text->len < TOKEN_LINE_MAX) {
		text->cap = 2 * text->cap + 2 * TOKEN_LINE_MAX;
		text->data = realloc(text->data, text->cap);
		if (!text->data)
			err(1, "text of %zu bytes", text->cap);
	}
	va_start(arguments, format);
	len = vsnprintf(text->data + text->len, text->cap - text->len, format, arguments);
	va_end(arguments);
	if (len < 0 || (size_t)len >= text->cap - text->len)
		errx(1, "a line is too long");
	text->len += (size_t)len;
}

static struct span text_span(const struct text *text)
{
	return (struct span){.ptr = text->data, .len = text->len};
}

/* Every token has all that a check has to look at: an end, and two networks, of which the second is the
 * client's. */
static void make_token_file(struct bench *bench)
{
	bench->secrets = calloc(bench->tokens, sizeof(*bench->secrets));
	if (!bench->secrets)
		err(1, "secrets");
	for (size_t i = 0; i < bench->tokens; i++) {
		struct token token = {.created_s = NOW_S - 1, .expires_s = LATER_S, .sources_count = 2};
		char line[TOKEN_LINE_MAX];

		snprintf(token.name, sizeof(token.name), "client-%05zu", i);
		snprintf(token.role_name, sizeof(token.role_name), "spread");
		if (token_generate(bench->secrets[i]) ||
		    token_digest(span_of(bench->secrets[i]), token.digest) ||
		    address_prefix_parse(&token.sources[0], SPAN("2001:db8::/32")) ||
		    address_prefix_parse(&token.sources[1], SPAN("192.0.2.0/24")) ||
		    token_line_write(&token, line, sizeof(line)) < 0)
			errx(1, "token %zu cannot be made", i);
		text_add(&bench->token_file, "%s", line);
	}
}

/* `spread`: the rules are about several routes, as in a real file. `heaped`: all are about one and the same.
 */
static void make_policy_file(struct bench *bench)
{
	text_add(&bench->policy_file, "role spread\n");
	for (size_t i = 0; i < bench->rules; i++) {
		const struct kind *kind = &kinds[i % ARRAY_SIZE(kinds)];

		text_add(&bench->policy_file, "%s%05zu%s\n", kind->rule, i, kind->rule_end);
	}
	text_add(&bench->policy_file, "role heaped\n");
	for (size_t i = 0; i < bench->rules; i++)
		text_add(&bench->policy_file, "%s%05zu%s\n", kinds[0].rule, i, kinds[0].rule_end);
}

static void reload(struct bench *bench)
{
	char why[POLICY_REASON_BYTES];
	struct token unbound;
	struct snapshot *before = bench->snapshot;
	struct token_set tokens = {0};
	struct policy *policy;
	const char *reason;
	size_t line;

	if (token_set_parse(&tokens, text_span(&bench->token_file), &line, &reason))
		errx(1, "tokens, line %zu: %s", line, reason);
	if (policy_new(&policy, text_span(&bench->policy_file), &line, why))
		errx(1, "policy, line %zu: %s", line, why);
	if (snapshot_new(&bench->snapshot, &tokens, policy, &unbound))
		errx(1, "no snapshot");
	snapshot_release(before);
}

/* One request of the role: the rule with that number decides. */
static struct span request_path(char path[128], const struct kind *kind, size_t number)
{
	int len = snprintf(path, 128, "%s%05zu%s", kind->path, number, kind->path_end);

	return (struct span){.ptr = path, .len = (size_t)len};
}

static const struct token *find_token(struct bench *bench, size_t number)
{
	char scratch[TOKEN_SECRET_MAX_BYTES + 512];
	struct token_credential credential;
	const struct token *token;
	struct span secret;

	/* token_from_fields() writes to scratch for Basic alone. */
	if (!token_from_fields(span_of(bench->secrets[number]), (struct span){0}, scratch, sizeof(scratch),
			       &secret) ||
	    token_set_find(&bench->snapshot->tokens, secret, &bench->from, NOW_S, &token, &credential) !=
		TOKEN_GOOD ||
	    token != &bench->snapshot->tokens.tokens[number])
		errx(1, "token %zu was not found", number);
	return token;
}

static void decide(const struct role *role, const struct kind *kind, struct span path)
{
	struct policy_decision decision;

	policy_decide(role, kind->method, path, route_find(kind->method, path), &decision);
	if (decision.verdict != kind->verdict || !decision.rule)
		errx(1, "%.*s: another verdict than expected", (int)path.len, path.ptr);
}

/* Nanoseconds for each check. What to ask is made before the clock starts. */
static double run_tokens(struct bench *bench)
{
	size_t *numbers = calloc(bench->checks, sizeof(*numbers));
	double start;

	if (!numbers)
		err(1, "numbers");
	for (size_t i = 0; i < bench->checks; i++)
		numbers[i] = next_below(bench, bench->tokens);
	start = now_ns();
	for (size_t i = 0; i < bench->checks; i++)
		find_token(bench, numbers[i]);
	start = now_ns() - start;
	free(numbers);
	return start / (double)bench->checks;
}

enum part { PART_SPREAD, PART_HEAPED, PART_ALL };

/* 64 paths, each decided by another rule, asked for in turn. */
static double run_rules(struct bench *bench, enum part part)
{
	enum { PATHS = 64 };
	const struct role *heaped = policy_role(bench->snapshot->policy, SPAN("heaped"));
	const struct role *spread = policy_role(bench->snapshot->policy, SPAN("spread"));
	const struct kind *kind[PATHS];
	char texts[PATHS][128];
	struct span paths[PATHS];
	size_t *numbers = calloc(bench->checks, sizeof(*numbers));
	double start;

	if (!numbers || !heaped || !spread)
		errx(1, "the roles are not there");
	for (size_t i = 0; i < PATHS; i++) {
		size_t number = bench->rules - 1 - next_below(bench, bench->rules);

		kind[i] = part == PART_HEAPED ? &kinds[0] : &kinds[number % ARRAY_SIZE(kinds)];
		paths[i] = request_path(texts[i], kind[i], number);
	}
	for (size_t i = 0; i < bench->checks; i++)
		numbers[i] = next_below(bench, bench->tokens);
	start = now_ns();
	for (size_t i = 0; i < bench->checks; i++) {
		size_t at = i % PATHS;

		if (part == PART_ALL)
			decide(find_token(bench, numbers[i])->role, kind[at], paths[at]);
		else
			decide(part == PART_HEAPED ? heaped : spread, kind[at], paths[at]);
	}
	start = now_ns() - start;
	free(numbers);
	return start / (double)bench->checks;
}

/* As long as somebody fails, requests of all others take the locks. Nobody else does here. */
static double run_limits(struct bench *bench)
{
	struct limit_rules rules = {.failures_max = 20,
				    .failures_window_ms = 60000,
				    .peer_connections_max = 1000,
				    .token_connections_max = 1000,
				    .entries_max = 16384};
	struct address stranger = bench->from;
	struct limits *limits;
	double start;

	if (limits_new(&limits, &rules))
		errx(1, "no limits");
	stranger.bytes[15] ^= 1;
	limit_failed(limits, &stranger, 1);
	start = now_ns();
	for (size_t i = 0; i < bench->checks; i++) {
		const struct token *token = &bench->snapshot->tokens.tokens[i % bench->tokens];

		if (limit_wait_s(limits, &bench->from, 1) || !limit_token_opens(limits, token->name))
			errx(1, "%s has to wait", token->name);
		limit_token_closes(limits, token->name);
	}
	start = now_ns() - start;
	limits_free(limits);
	return start / (double)bench->checks;
}

static void measure(struct bench *bench)
{
	struct spread tokens = {.count = bench->runs}, spread = tokens, heaped = tokens, all = tokens;
	struct spread limits = tokens, reloads = tokens;

	/* The first run warms up and is written over. */
	for (size_t run = 0; run <= bench->runs; run++) {
		size_t at = run ? run - 1 : 0;
		double start = now_ns();

		reload(bench);
		reloads.values[at] = (now_ns() - start) / 1e6;
		tokens.values[at] = run_tokens(bench);
		spread.values[at] = run_rules(bench, PART_SPREAD);
		heaped.values[at] = run_rules(bench, PART_HEAPED);
		all.values[at] = run_rules(bench, PART_ALL);
		limits.values[at] = run_limits(bench);
	}
	printf("%zu tokens, %zu rules a role; median of %zu runs of %zu checks (smallest to largest)\n",
	       bench->tokens, bench->rules, bench->runs, bench->checks);
	spread_print(&tokens, "token: field, SHA-256, token, its end and networks", "ns");
	spread_print(&spread, "rules: route, and the rule that decides", "ns");
	spread_print(&heaped, "rules: the same, with every rule about that one route", "ns");
	spread_print(&all, "check: token and rules", "ns");
	spread_print(&limits, "limits, while somebody fails: asked, counted in and out", "ns");
	spread_print(&reloads, "reload: both texts read and bound, the old ones freed", "ms");
}

static size_t number(const char *name, const char *text, size_t max)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < 1 || value > max)
		errx(2, "--%s: '%s' is no number from 1 to %zu", name, text, max);
	return (size_t)value;
}

static void options_read(struct bench *bench, int argc, char **argv)
{
	static const struct option options[] = {
	    {"tokens", required_argument, NULL, 't'},
	    {"rules", required_argument, NULL, 'r'},
	    {"runs", required_argument, NULL, 'n'},
	    {"checks", required_argument, NULL, 'c'},
	    {NULL, 0, NULL, 0},
	};
	int id;

	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (id) {
		case 't':
			bench->tokens = number("tokens", optarg, TOKEN_SET_MAX);
			break;
		case 'r':
			bench->rules = number("rules", optarg, POLICY_RULES_MAX / 2);
			break;
		case 'n':
			bench->runs = number("runs", optarg, RUNS_MAX);
			break;
		case 'c':
			bench->checks = number("checks", optarg, 100000000);
			break;
		default:
			errx(2, "usage: check [--tokens N] [--rules N] [--runs N] [--checks N]");
		}
	}
	if (optind != argc)
		errx(2, "'%s' is no option", argv[optind]);
}

int main(int argc, char **argv)
{
	struct bench bench = {.tokens = 10000, .rules = 200, .runs = 9, .checks = 100000, .state = 1};

	options_read(&bench, argc, argv);
	if (address_parse(&bench.from, SPAN("192.0.2.7")))
		errx(1, "no address");
	make_token_file(&bench);
	make_policy_file(&bench);
	measure(&bench);
	snapshot_release(bench.snapshot);
	free(bench.secrets);
	free(bench.token_file.data);
	free(bench.policy_file.data);
	return 0;
}
