/* SPDX-License-Identifier: MIT */
/*
 * policy_impl.h: what the files of policy share, and their tests; nobody else includes it: policy_read.c
 * reads the text into rules, policy_match.c compares patterns with paths and routes, policy.c decides,
 * policy_print.c shows. Layer 1.
 */
#ifndef HEADGATE_POLICY_IMPL_H
#define HEADGATE_POLICY_IMPL_H

#include <stdint.h>

#include "policy.h"
#include "token.h"

/* A path or a pattern with more is refused: no name has so many parts. */
#define POLICY_SEGMENTS_MAX ((size_t)32)
#define POLICY_PATTERN_MAX  ((size_t)512)
#define POLICY_ANY_METHOD   (-1) /* all but OPTIONS */
#define POLICY_NO_REST	    SIZE_MAX
/* Those of a file and the built-in ones. */
#define POLICY_RULES_TOTAL (POLICY_RULES_MAX + 2048)

/* Room for the route table, which is smaller: one bit a route. */
#define POLICY_ROUTES_MAX ((size_t)192)

struct policy_routes {
	uint64_t words[POLICY_ROUTES_MAX / 64];
};

/* A path, cut at its slashes; a slash at its end counts for nothing. */
struct policy_cut {
	struct span segments[POLICY_SEGMENTS_MAX];
	uint64_t heads[POLICY_SEGMENTS_MAX]; /* their first eight bytes, filled up with 0 */
	size_t count;
};

/* Between two slashes of a pattern. The first bytes are compared in one: most rules differ there. */
struct policy_segment {
	uint64_t head, mask;
	struct span text;
	bool has_star;
};

struct policy_pattern {
	size_t count;
	size_t rest; /* where `**` stands; POLICY_NO_REST */
	struct policy_segment segments[];
};

struct policy_rule {
	bool allows;
	int method;			/* of enum http_method, or POLICY_ANY_METHOD */
	struct policy_pattern *pattern; /* owned; NULL: `right` is meant */
	struct span right;		/* a route's name, may have stars; borrowed */
	const char *text;		/* its line, borrowed */
	size_t line;			/* 0: built in */
	const char *role_name;		/* where it was written; borrowed of that role */
	struct policy_routes meets,
	    fills; /* which routes' requests it can match; which of them it always does */
};

/* A rule that can match a route's requests, in few bytes: a decision runs over many. */
struct policy_candidate {
	const struct policy_pattern *pattern; /* of the rule; NULL: it always matches */
	int method;
	uint32_t rule; /* index of the policy's */
};

/* Those of a route: candidates[start .. start + count) of the role. */
struct policy_range {
	uint32_t start, count;
};

struct role {
	char name[TOKEN_NAME_MAX + 1];
	bool unlimited, built_in;
	const char *about;	     /* the comment above it, or NULL; borrowed */
	const struct policy *policy; /* borrowed: it owns the role */
	uint16_t *rules;	     /* owned; indices of the policy's, in order, included ones too */
	size_t rules_count;
	uint64_t *has;		      /* owned; a bit for each rule of the policy; only while reading */
	struct inspect_limits limits; /* its words are owned */
	struct policy_range ranges[POLICY_ROUTES_MAX];
	struct policy_candidate *candidates; /* owned */
};

/* A row of the route table. */
struct policy_route {
	struct policy_pattern *pattern; /* owned */
	uint32_t wild;			/* a bit for each segment that is `*` */
	enum inspect_need need;
};

struct policy {
	struct role *roles[POLICY_ROLES_MAX]; /* owned */
	size_t roles_count;
	struct policy_rule *rules; /* owned, with their patterns */
	size_t rules_count, rules_built_in, included_count;
	char *texts[2]; /* owned */
	struct policy_route routes[POLICY_ROUTES_MAX];
};

/* The built-in roles in the language of policy.h, `admin` apart. */
extern const char policy_builtin_text[];

/* Adds a role without rules; NULL: no memory. There has to be room, and the name has to be good. */
struct role *policy_role_add(struct policy *policy, struct span name);

/*
 * Reads `text` (of policy->texts: its lines are ended by NUL, one byte behind `len` is ours, too). 0, -EINVAL
 * with *line_number and `reason`, or -ENOMEM.
 */
int policy_read_text(struct policy *policy, char *text, size_t len, bool built_in, size_t *line_number,
		     char reason[POLICY_REASON_BYTES]);

/* `*` in `wanted` stands for any part, also an empty one. */
bool policy_glob_matches(struct span wanted, struct span text);

/* Cuts at the slashes; false when it does not begin with one, or has too many. */
bool policy_cut(struct policy_cut *cut, struct span path);

/*
 * Makes a pattern, which the caller frees. 0, -ENOMEM, or -EINVAL with a static text in *problem: why it
 * could never match. The spans point into `text`.
 */
int policy_pattern_new(struct policy_pattern **made, struct span text, const char **problem) MUST_USE;

bool policy_segment_matches(const struct policy_segment *wanted, const struct policy_cut *path, size_t i);
/* `**` is one segment or more; a pattern has at most one. */
bool policy_pattern_matches(const struct policy_pattern *pattern, const struct policy_cut *path);

bool policy_method_matches(int wanted, enum http_method method);

/* Fills in rule->meets and rule->fills. False when it meets no route: then it could never decide anything. */
bool policy_rule_place(const struct policy *policy, struct policy_rule *rule);

static inline bool policy_routes_has(const struct policy_routes *routes, size_t route)
{
	return routes->words[route / 64] >> (route % 64) & 1;
}

static inline void policy_routes_add(struct policy_routes *routes, size_t route)
{
	routes->words[route / 64] |= UINT64_C(1) << (route % 64);
}

#endif
