/* SPDX-License-Identifier: MIT */
/*
 * policy_match.c: patterns, compared with paths when a request is decided and with the routes' own patterns
 * when a policy is read.
 */
#include <errno.h>
#include <stdlib.h>

#include "policy_impl.h"

bool policy_glob_matches(struct span wanted, struct span text)
{
	size_t star = SIZE_MAX, mark = 0, i = 0, j = 0;

	while (j < text.len) {
		if (i < wanted.len && wanted.ptr[i] == '*') {
			star = i++;
			mark = j;
		} else if (i < wanted.len && wanted.ptr[i] == text.ptr[j]) {
			i++;
			j++;
		} else if (star != SIZE_MAX) {
			i = star + 1;
			j = ++mark;
		} else {
			return false;
		}
	}
	while (i < wanted.len && wanted.ptr[i] == '*')
		i++;
	return i == wanted.len;
}

static uint64_t head_of(struct span text)
{
	uint64_t head = 0;

	if (text.len)
		memcpy(&head, text.ptr, text.len < sizeof(head) ? text.len : sizeof(head));
	return head;
}

bool policy_cut(struct policy_cut *cut, struct span path)
{
	cut->count = 0;
	while (path.len && path.ptr[0] == '/') {
		const char *slash;
		struct span segment;

		path = span_skip(path, 1);
		if (path.len == 0)
			break;
		slash = memchr(path.ptr, '/', path.len);
		segment =
		    (struct span){.ptr = path.ptr, .len = slash ? (size_t)(slash - path.ptr) : path.len};
		if (cut->count == POLICY_SEGMENTS_MAX)
			return false;
		cut->heads[cut->count] = head_of(segment);
		cut->segments[cut->count++] = segment;
		path = span_skip(path, segment.len);
	}
	return path.len == 0 && cut->count > 0;
}

static bool is_rest(struct span segment)
{
	return segment.len == 2 && memcmp(segment.ptr, "**", 2) == 0;
}

static bool has_star(struct span text)
{
	return text.len && memchr(text.ptr, '*', text.len);
}

bool policy_segment_matches(const struct policy_segment *wanted, const struct policy_cut *path, size_t i)
{
	struct span segment = path->segments[i];

	if ((wanted->head ^ path->heads[i]) & wanted->mask)
		return false;
	if (wanted->has_star)
		return segment.len > 0 && policy_glob_matches(wanted->text, segment);
	return wanted->text.len == segment.len && (segment.len <= sizeof(wanted->head) ||
						   memcmp(wanted->text.ptr, segment.ptr, segment.len) == 0);
}

static const char *pattern_problem(struct span text, const struct policy_cut *cut, bool is_cut)
{
	size_t rests = 0;

	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] <= 0x20 || (unsigned char)text.ptr[i] >= 0x7f ||
		    strchr("?#%\\", text.ptr[i]))
			return "a pattern is a path as it is decoded, without query";
	if (text.len > POLICY_PATTERN_MAX)
		return "a pattern has at most 512 characters";
	if (route_strip_version(text).len != text.len)
		return "a pattern has no version in front: it is for every version";
	if (!is_cut)
		return "a pattern is a path of at most 32 segments";
	for (size_t i = 0; i < cut->count; i++) {
		struct span segment = cut->segments[i];

		if (segment.len == 0)
			return "a pattern has no empty segment";
		if (!is_rest(segment) && segment.len > 1 && memmem(segment.ptr, segment.len, "**", 2))
			return "'**' stands alone between slashes";
		rests += is_rest(segment);
	}
	return rests > 1 ? "a pattern has at most one '**'" : NULL;
}

/* The head of what stands before the first star, and which of its bytes count. */
static struct policy_segment segment_of(struct span text)
{
	struct policy_segment segment = {.text = text, .has_star = has_star(text)};
	static const char ones[] = "\xff\xff\xff\xff\xff\xff\xff\xff"; /* char has a sign or none */
	struct span plain = text;

	if (segment.has_star)
		plain.len = (size_t)((const char *)memchr(text.ptr, '*', text.len) - text.ptr);
	segment.head = head_of(plain);
	segment.mask = head_of((struct span){.ptr = ones, .len = plain.len < 8 ? plain.len : 8});
	return segment;
}

int policy_pattern_new(struct policy_pattern **made, struct span text, const char **problem)
{
	struct policy_cut cut;
	bool is_cut = policy_cut(&cut, text);
	struct policy_pattern *pattern;

	*problem = pattern_problem(text, &cut, is_cut);
	if (*problem)
		return -EINVAL;
	pattern = malloc(sizeof(*pattern) + cut.count * sizeof(pattern->segments[0]));
	if (!pattern)
		return -ENOMEM;
	pattern->count = cut.count;
	pattern->rest = POLICY_NO_REST;
	for (size_t i = 0; i < cut.count; i++) {
		pattern->segments[i] = segment_of(cut.segments[i]);
		if (is_rest(cut.segments[i]))
			pattern->rest = i;
	}
	*made = pattern;
	return 0;
}

bool policy_pattern_matches(const struct policy_pattern *pattern, const struct policy_cut *path)
{
	size_t before = pattern->rest == POLICY_NO_REST ? pattern->count : pattern->rest;
	size_t behind = pattern->rest == POLICY_NO_REST ? 0 : pattern->count - pattern->rest - 1;

	if (pattern->rest == POLICY_NO_REST ? path->count != pattern->count : path->count < pattern->count)
		return false;
	for (size_t i = 0; i < before; i++)
		if (!policy_segment_matches(&pattern->segments[i], path, i))
			return false;
	/* Each is compared with the one as far from the end. */
	for (size_t i = before + 1; i < before + 1 + behind; i++)
		if (!policy_segment_matches(&pattern->segments[i], path, path->count - pattern->count + i))
			return false;
	return true;
}

bool policy_method_matches(int wanted, enum http_method method)
{
	return wanted == (int)method || (wanted == POLICY_ANY_METHOD && method != HTTP_OPTIONS) ||
	       (wanted == HTTP_GET && method == HTTP_HEAD);
}

/* ---- patterns and routes ---- */

enum meeting { NEVER, PERHAPS, ALWAYS };

static enum meeting segments_meet(const struct policy_segment *wanted, const struct policy_segment *of_route)
{
	/* A route's segment is a word, `*` or `**`. */
	if (of_route->has_star)
		return span_eq(wanted->text, SPAN("*")) ? ALWAYS : PERHAPS;
	if ((wanted->head ^ of_route->head) & wanted->mask)
		return NEVER;
	return policy_glob_matches(wanted->text, of_route->text) ? ALWAYS : NEVER;
}

/* From both ends up to the first `**` of either; what lies between can be anything. */
static enum meeting patterns_meet(const struct policy_pattern *pattern, const struct policy_pattern *route)
{
	bool rest = pattern->rest != POLICY_NO_REST, route_rest = route->rest != POLICY_NO_REST;
	size_t before = rest ? pattern->rest : pattern->count;
	size_t behind = rest ? pattern->count - pattern->rest - 1 : pattern->count;
	size_t route_before = route_rest ? route->rest : route->count;
	size_t route_behind = route_rest ? route->count - route->rest - 1 : route->count;
	enum meeting meeting = ALWAYS;

	if ((!rest && pattern->count < route->count) || (!route_rest && route->count < pattern->count))
		return NEVER;
	/* A path of the route may have more segments than the pattern, or fewer, or other ones in between. */
	if (route_before < before || route_behind < behind || route->count < pattern->count)
		meeting = PERHAPS;
	for (size_t i = 0; i < before && i < route_before; i++) {
		enum meeting here = segments_meet(&pattern->segments[i], &route->segments[i]);
		if (here == NEVER)
			return NEVER;
		meeting = here < meeting ? here : meeting;
	}
	for (size_t i = 1; i <= behind && i <= route_behind; i++) {
		enum meeting here =
		    segments_meet(&pattern->segments[pattern->count - i], &route->segments[route->count - i]);
		meeting = here < meeting ? here : meeting;
	}
	return meeting;
}

static enum meeting methods_meet(int wanted, enum http_method of_route)
{
	if (policy_method_matches(wanted, of_route))
		return ALWAYS;
	/* HEAD finds the routes of GET. */
	return of_route == HTTP_GET && wanted == HTTP_HEAD ? PERHAPS : NEVER;
}

static enum meeting right_meets(struct span right, const struct route *route)
{
	/* A star is for what roles are about; OPTIONS is not. */
	if (route->method == HTTP_OPTIONS && has_star(right))
		return NEVER;
	return policy_glob_matches(right, span_of(route->name)) ? ALWAYS : NEVER;
}

static enum meeting rule_meets(const struct policy_rule *rule, const struct route *route,
			       const struct policy_pattern *pattern)
{
	enum meeting method, path;

	if (!rule->pattern)
		return right_meets(rule->right, route);
	method = methods_meet(rule->method, route->method);
	if (method == NEVER)
		return NEVER;
	path = patterns_meet(rule->pattern, pattern);
	return path < method ? path : method;
}

bool policy_rule_place(const struct policy *policy, struct policy_rule *rule)
{
	size_t count;
	const struct route *routes = route_table(&count);
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		enum meeting meeting = rule_meets(rule, &routes[i], policy->routes[i].pattern);

		if (meeting != NEVER)
			policy_routes_add(&rule->meets, i);
		if (meeting == ALWAYS)
			policy_routes_add(&rule->fills, i);
		any |= meeting != NEVER;
	}
	return any;
}
