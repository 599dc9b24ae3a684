/* SPDX-License-Identifier: MIT */
/*
 * policy_naive.h: what a policy says, read plainly: every rule of the role, one after the other, from the
 * text of its line; no table, no order but that of the lines. What policy.c does quickly has to be the same.
 */
#ifndef HEADGATE_POLICY_NAIVE_H
#define HEADGATE_POLICY_NAIVE_H

#include <stdlib.h>
#include <string.h>

#include "policy_impl.h"

/* One segment, or a right. */
static inline bool naive_glob(struct span wanted, struct span text)
{
	if (!wanted.len)
		return !text.len;
	if (wanted.ptr[0] == '*')
		return naive_glob(span_skip(wanted, 1), text) ||
		       (text.len && naive_glob(wanted, span_skip(text, 1)));
	return text.len && wanted.ptr[0] == text.ptr[0] &&
	       naive_glob(span_skip(wanted, 1), span_skip(text, 1));
}

static inline struct span naive_segment(struct span path)
{
	const char *slash = path.len ? memchr(path.ptr, '/', path.len) : NULL;

	return (struct span){.ptr = path.ptr, .len = slash ? (size_t)(slash - path.ptr) : path.len};
}

/* Both start with a slash, or are empty. */
static inline bool naive_path(struct span pattern, struct span path)
{
	struct span wanted, segment;

	if (!pattern.len || !path.len)
		return !pattern.len && !path.len;
	if (path.ptr[0] != '/')
		return false;
	wanted = naive_segment(span_skip(pattern, 1));
	segment = naive_segment(span_skip(path, 1));
	pattern = span_skip(pattern, 1 + wanted.len);
	path = span_skip(path, 1 + segment.len);
	if (span_eq(wanted, SPAN("**")))
		return segment.len &&
		       (naive_path(pattern, path) ||
			(path.len &&
			 naive_path((struct span){.ptr = wanted.ptr - 1, .len = pattern.len + 3}, path)));
	return segment.len && naive_glob(wanted, segment) && naive_path(pattern, path);
}

static inline struct span naive_without_slash(struct span path)
{
	if (path.len > 1 && path.ptr[path.len - 1] == '/')
		path.len--;
	return path;
}

static inline size_t naive_segments(struct span path)
{
	size_t count = 0;

	path = naive_without_slash(route_strip_version(path));
	for (size_t i = 0; i < path.len; i++)
		count += path.ptr[i] == '/';
	return count;
}

static inline struct span naive_word(const char **text)
{
	size_t length;
	const char *word = *text + strspn(*text, " \t");

	length = strcspn(word, " \t");
	*text = word + length;
	return (struct span){.ptr = word, .len = length};
}

static inline bool naive_method(struct span wanted, enum http_method method)
{
	static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "?"};

	if (span_eq(wanted, SPAN("*")))
		return method != HTTP_OPTIONS;
	if (span_eq(wanted, SPAN("GET")) && method == HTTP_HEAD)
		return true;
	return span_eq(wanted, span_of(names[method]));
}

static inline bool naive_rule_matches(const struct policy_rule *rule, enum http_method method,
				      struct span path, const struct route *route)
{
	const char *text = rule->text;
	struct span method_word, pattern;

	(void)naive_word(&text); /* allow or deny */
	method_word = naive_word(&text);
	pattern = naive_word(&text);
	if (!pattern.len || pattern.ptr[0] != '/') {
		if (route->method == HTTP_OPTIONS && memchr(rule->right.ptr, '*', rule->right.len))
			return false;
		return naive_glob(rule->right, span_of(route->name));
	}
	return naive_method(method_word, method) &&
	       naive_path(naive_without_slash(pattern), naive_without_slash(path));
}

/* The rule that decides, NULL for none; only for roles that are not unlimited, and known routes. */
static inline const struct policy_rule *naive_decide(const struct role *role, enum http_method method,
						     struct span path, const struct route *route)
{
	const struct policy *policy = role->policy;

	path = route_strip_version(path);
	for (int allows = 0; allows <= 1; allows++) {
		for (size_t i = 0; i < role->rules_count; i++) {
			const struct policy_rule *rule = &policy->rules[role->rules[i]];

			if ((strncmp(rule->text, "allow", 5) == 0) == (allows == 1) &&
			    naive_rule_matches(rule, method, path, route))
				return rule;
		}
	}
	return NULL;
}

/* Whether policy_decide() says the same. */
static inline bool naive_agrees(const struct role *role, enum http_method method, struct span path)
{
	const struct route *route = route_find(method, path);
	const struct policy_rule *rule;
	struct policy_decision decision;

	policy_decide(role, method, path, route, &decision);
	if (role_is_unlimited(role))
		return decision.verdict == POLICY_ALLOW;
	if (!route)
		return decision.verdict == POLICY_DENY && !decision.rule &&
		       strcmp(decision.right, "unknown") == 0;
	if (strcmp(decision.right, route->name) != 0 || decision.limits != &role->limits)
		return false;
	/* With too many segments nothing is compared: what would have to be is refused. */
	if (naive_segments(path) > POLICY_SEGMENTS_MAX && !decision.rule)
		return decision.verdict == POLICY_DENY;
	rule = naive_decide(role, method, path, route);
	if (!rule)
		return decision.verdict == POLICY_DENY && !decision.rule;
	if (decision.rule != rule->text || decision.line != rule->line)
		return false;
	if (strncmp(rule->text, "deny", 4) == 0)
		return decision.verdict == POLICY_DENY;
	return decision.verdict ==
	       (role->limits.any || inspect_need(route) == INSPECT_NOTHING ? POLICY_ALLOW : POLICY_INSPECT);
}

/* A path of the route, with `first` and `second` for its stars; `**` becomes both. */
static inline void naive_route_path(const struct route *route, const char *first, const char *second,
				    char *path, size_t cap)
{
	const char *pattern = route->pattern;
	size_t used = 0;

	while (*pattern && used + 2 < cap) {
		if (*pattern != '*') {
			path[used++] = *pattern++;
			continue;
		}
		pattern++;
		used += (size_t)snprintf(path + used, cap - used, *pattern == '*' ? "%s/%s" : "%s", first,
					 second);
		pattern += *pattern == '*';
	}
	path[used < cap ? used : cap - 1] = '\0';
}

#endif
