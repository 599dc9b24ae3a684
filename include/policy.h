/* SPDX-License-Identifier: MIT */
/* clang-format off */
/*
 * policy.h: which role may do what. Pure, fuzzed. Layer 1.
 *
 * A policy is a list of roles: the built-in ones, which are text in the same language (src/policy_roles.c), and
 * those of the policy file. A line is a directive; a word that begins with `#` starts a comment:
 *
 *     role NAME                    starts a role; what follows is its own until the next. The comment on the
 *                                  lines above it is what lists of roles say about it
 *     include ROLE                 all rules and limits of that role, which stands above or is built in
 *     allow METHOD PATTERN         METHOD: GET, HEAD, POST, PUT, DELETE, OPTIONS, or * for all but OPTIONS;
 *     deny METHOD PATTERN          PATTERN: as in route.h, and `*` within a segment stands for a part of one:
 *                                  /containers/web-*\/logs
 *     allow RIGHT...               a route's name, or with `*` several: container-logs, container-*, *-list
 *     deny RIGHT...                (OPTIONS apart, whose right is called `options`)
 *     body any                     requests are not looked into: whoever may create is root on the host, then
 *     body mounts PREFIX...        what they may ask for (inspect.h); repeatable
 *     body images PREFIX...
 *     body capabilities NAME...
 *     body devices PATH...
 *     body privileged
 *     body host-namespaces
 *
 * A deny wins over every allow, wherever it stands; what nothing allows is refused. GET allows, and denies, HEAD.
 * A request that is no known route is refused to every role but `admin`. A pattern is compared with the path as
 * it goes to the engine, without its version and without a slash at its end. Beware: the engine takes names, IDs
 * and beginnings of IDs, so that a name can be allowed, but denying one leaves its ID.
 */
/* clang-format on */
#ifndef HEADGATE_POLICY_H
#define HEADGATE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "compiler.h"
#include "http.h"
#include "inspect.h"
#include "route.h"
#include "span.h"

#define POLICY_RULES_MAX    ((size_t)4096)  /* written in a file; a line with several rights has several */
#define POLICY_INCLUDED_MAX ((size_t)65536) /* of all roles, includes expanded */
#define POLICY_ROLES_MAX    ((size_t)256)
#define POLICY_REASON_BYTES ((size_t)256)

struct policy; /* immutable once made; shared read-only by the workers */
struct role;

/*
 * The built-in roles and those of `text` (may be empty). 0 with *made, which the caller owns; -EINVAL with
 * *line_number and `reason` (one line: what is wrong and what is allowed there); -ENOMEM.
 */
int policy_new(struct policy **made, struct span text, size_t *line_number,
	       char reason[POLICY_REASON_BYTES]) MUST_USE;
void policy_free(struct policy *policy);

/* NULL when there is none. The pointer lives as long as the policy. */
const struct role *policy_role(const struct policy *policy, struct span name);
const char *role_name(const struct role *role);
/* admin and nobody else: everything, unknown routes too, bodies not looked into. */
bool role_is_unlimited(const struct role *role);

enum policy_verdict {
	POLICY_ALLOW,
	POLICY_INSPECT, /* allowed, if the body (and query) stays within `limits` */
	POLICY_DENY,
};

struct policy_decision {
	enum policy_verdict verdict;
	const char *right;     /* what is asked for: the route's name; "unknown" when there is none */
	const char *rule;      /* the rule that decides, as written; NULL when none does */
	size_t line;	       /* of it in the policy file; 0: built in */
	const char *rule_role; /* the role it was written in (include) */
	const struct inspect_limits *limits; /* with POLICY_INSPECT */
};

/*
 * `path` is in the normal form of http.h, version prefix and all; `route` is route_find()'s answer for it. No
 * allocation; under a microsecond with 200 rules, because each role knows which of its rules can meet which
 * route.
 */
void policy_decide(const struct role *role, enum http_method method, struct span path,
		   const struct route *route, struct policy_decision *decision);

/* Every role with a line about it, and a role's rules, for `explain`. */
void policy_print_roles(const struct policy *policy, FILE *out);
void policy_print_role(const struct role *role, FILE *out);

/*
 * The policy that the switches of Tecnativa's docker-socket-proxy stand for (CONTAINERS=1, POST=0,
 * ALLOW_START=1 and so on, its defaults filled in), printed as role `name`. `getenv_fn` is getenv() or a
 * test's own. Returns the number of switches that were found.
 */
size_t policy_from_switches(FILE *out, const char *name, char *(*getenv_fn)(const char *name));

#endif
