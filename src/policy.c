/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * policy_new() reads the built-in text and then that of the file. Each line's rules are kept once, with the
 * routes that they can meet and those among them that they always match; a role is a list of such rules, a
 * role that includes another has them, too. When all is read, each role gets a list of candidates for each
 * route: denials first, then what allows, each in the order in which it was written, up to the first that
 * always matches. So a decision looks at few rules, often at one without comparing anything, and says the
 * same as all rules looked at one after the other would.
 *
 * Texts point into a copy of what was read, whose lines are ended by NUL.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy_impl.h"

const struct role *policy_role(const struct policy *policy, struct span name)
{
	for (size_t i = 0; i < policy->roles_count; i++)
		if (span_eq(span_of(policy->roles[i]->name), name))
			return policy->roles[i];
	return NULL;
}

const char *role_name(const struct role *role)
{
	return role->name;
}

bool role_is_unlimited(const struct role *role)
{
	return role->unlimited;
}

struct role *policy_role_add(struct policy *policy, struct span name)
{
	struct role *role = calloc(1, sizeof(*role));

	if (!role)
		return NULL;
	memcpy(role->name, name.ptr, name.len);
	role->policy = policy;
	policy->roles[policy->roles_count++] = role;
	return role;
}

static void words_free(struct inspect_words *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->words[i]);
	free(list->words);
	*list = (struct inspect_words){0};
}

/* ---- candidates ---- */

/* One walk over a role's rules: the routes that are still open to a rule, and what to do with each. */
struct walk {
	struct policy_routes open;
	uint32_t counts[POLICY_ROUTES_MAX];
	struct policy_candidate *candidates; /* NULL: only counted */
};

static struct policy_candidate candidate_of(const struct policy_rule *rule, size_t index, size_t route)
{
	return (struct policy_candidate){
	    .pattern = policy_routes_has(&rule->fills, route) ? NULL : rule->pattern,
	    .method = rule->method,
	    .rule = (uint32_t)index,
	};
}

static void walk_rule(struct walk *walk, struct role *role, size_t index)
{
	const struct policy_rule *rule = &role->policy->rules[index];

	for (size_t word = 0; word < ARRAY_SIZE(walk->open.words); word++) {
		uint64_t bits = rule->meets.words[word] & walk->open.words[word];

		for (; bits; bits &= bits - 1) {
			size_t route = word * 64 + (size_t)__builtin_ctzll(bits);
			uint32_t at = walk->counts[route]++;

			if (walk->candidates)
				walk->candidates[role->ranges[route].start + at] =
				    candidate_of(rule, index, route);
		}
		/* What comes behind a rule that always matches is never asked. */
		walk->open.words[word] &= ~rule->fills.words[word];
	}
}

static void walk_rules(struct walk *walk, struct role *role)
{
	memset(&walk->open, 0xff, sizeof(walk->open));
	memset(walk->counts, 0, sizeof(walk->counts));
	for (int allows = 0; allows <= 1; allows++)
		for (size_t i = 0; i < role->rules_count; i++)
			if (role->policy->rules[role->rules[i]].allows == (allows == 1))
				walk_rule(walk, role, role->rules[i]);
}

static int role_compile(struct role *role)
{
	struct walk walk = {0};
	uint32_t used = 0;

	walk_rules(&walk, role);
	for (size_t i = 0; i < POLICY_ROUTES_MAX; i++) {
		role->ranges[i] = (struct policy_range){.start = used, .count = walk.counts[i]};
		used += walk.counts[i];
	}
	role->candidates = calloc(used + 1, sizeof(*role->candidates));
	if (!role->candidates)
		return -ENOMEM;
	walk.candidates = role->candidates;
	walk_rules(&walk, role);
	free(role->has);
	role->has = NULL;
	return 0;
}

/* ---- the whole ---- */

static void role_free(struct role *role)
{
	words_free(&role->limits.mounts);
	words_free(&role->limits.images);
	words_free(&role->limits.capabilities);
	words_free(&role->limits.devices);
	free(role->rules);
	free(role->has);
	free(role->candidates);
	free(role);
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->roles_count; i++)
		role_free(policy->roles[i]);
	for (size_t i = 0; i < policy->rules_count; i++)
		free(policy->rules[i].pattern);
	for (size_t i = 0; i < POLICY_ROUTES_MAX; i++)
		free(policy->routes[i].pattern);
	free(policy->rules);
	free(policy->texts[0]);
	free(policy->texts[1]);
	free(policy);
}

static char *copy_of(struct span text)
{
	char *copy = malloc(text.len + 1);

	if (copy && text.len)
		memcpy(copy, text.ptr, text.len);
	if (copy)
		copy[text.len] = '\0';
	return copy;
}

/* The route table's patterns are in the same language. */
static int read_routes(struct policy *policy, char *reason)
{
	size_t count;
	const struct route *routes = route_table(&count);
	const char *problem = "too many routes";

	for (size_t i = 0; i < count; i++) {
		struct policy_route *route = &policy->routes[i];
		int result = i < POLICY_ROUTES_MAX
				 ? policy_pattern_new(&route->pattern, span_of(routes[i].pattern), &problem)
				 : -EINVAL;
		if (result == -EINVAL)
			snprintf(reason, POLICY_REASON_BYTES, "%s: %s", routes[i].pattern, problem);
		if (result < 0)
			return result;
		for (size_t j = 0; j < route->pattern->count; j++)
			if (span_eq(route->pattern->segments[j].text, SPAN("*")))
				route->wild |= UINT32_C(1) << j;
		route->need = inspect_need(&routes[i]);
	}
	return 0;
}

static int policy_read(struct policy *policy, struct span text, size_t *line_number, char *reason)
{
	struct span built_in = span_of(policy_builtin_text);
	int result = read_routes(policy, reason);
	struct role *admin;

	if (result < 0)
		return result;
	admin = policy_role_add(policy, SPAN("admin"));
	if (!admin)
		return -ENOMEM;
	admin->unlimited = admin->built_in = admin->limits.any = true;
	admin->about = "Everything, unknown routes too: root on the host.";
	policy->texts[0] = copy_of(built_in);
	policy->texts[1] = copy_of(text);
	if (!policy->texts[0] || !policy->texts[1])
		return -ENOMEM;
	result = policy_read_text(policy, policy->texts[0], built_in.len, true, line_number, reason);
	policy->rules_built_in = policy->rules_count;
	if (result == 0)
		result = policy_read_text(policy, policy->texts[1], text.len, false, line_number, reason);
	for (size_t i = 0; i < policy->roles_count && result == 0; i++)
		result = role_compile(policy->roles[i]);
	return result;
}

int policy_new(struct policy **made, struct span text, size_t *line_number, char reason[POLICY_REASON_BYTES])
{
	struct policy *policy = calloc(1, sizeof(*policy));
	int result;

	*made = NULL;
	*line_number = 0;
	reason[0] = '\0';
	if (!policy)
		return -ENOMEM;
	result = policy_read(policy, text, line_number, reason);
	if (result < 0)
		policy_free(policy);
	else
		*made = policy;
	return result;
}

/* ---- deciding ---- */

/* `path` is of that route: only what stands for the route's stars is left to compare, if nothing is moved. */
static bool wild_segments_match(const struct policy_pattern *pattern, uint32_t wild,
				const struct policy_cut *path)
{
	for (; wild; wild &= wild - 1) {
		size_t i = (size_t)__builtin_ctz(wild);

		if (!policy_segment_matches(&pattern->segments[i], path, i))
			return false;
	}
	return true;
}

static bool candidate_matches(const struct policy_candidate *candidate, enum http_method method,
			      const struct policy_route *route, const struct policy_cut *path)
{
	const struct policy_pattern *pattern = candidate->pattern;

	if (!policy_method_matches(candidate->method, method))
		return false;
	if (pattern->rest == POLICY_NO_REST && route->pattern->rest == POLICY_NO_REST)
		return wild_segments_match(pattern, route->wild, path);
	return policy_pattern_matches(pattern, path);
}

/* The first candidate that matches; NULL when none does, or the path is none that can be judged. */
static const struct policy_rule *find_rule(const struct role *role, enum http_method method, struct span path,
					   size_t route)
{
	const struct policy *policy = role->policy;
	struct policy_range range = role->ranges[route];
	struct policy_cut cut;
	bool is_cut = false;

	for (uint32_t i = 0; i < range.count; i++) {
		const struct policy_candidate *candidate = &role->candidates[range.start + i];

		if (!candidate->pattern)
			return &policy->rules[candidate->rule];
		/* A denial that cannot be compared must not be passed over. */
		if (!is_cut && !policy_cut(&cut, route_strip_version(path)))
			return NULL;
		is_cut = true;
		if (candidate_matches(candidate, method, &policy->routes[route], &cut))
			return &policy->rules[candidate->rule];
	}
	return NULL;
}

void policy_decide(const struct role *role, enum http_method method, struct span path,
		   const struct route *route, struct policy_decision *decision)
{
	const struct policy_rule *rule;
	size_t count, index;

	*decision = (struct policy_decision){.verdict = POLICY_DENY,
					     .right = route ? route->name : "unknown",
					     .rule_role = role->name,
					     .limits = &role->limits};
	if (role->unlimited) {
		decision->verdict = POLICY_ALLOW;
		return;
	}
	if (!route)
		return;
	index = (size_t)(route - route_table(&count));
	rule = find_rule(role, method, path, index);
	if (!rule)
		return;
	decision->rule = rule->text;
	decision->line = rule->line;
	decision->rule_role = rule->role_name;
	if (!rule->allows)
		return;
	decision->verdict = role->limits.any || role->policy->routes[index].need == INSPECT_NOTHING
				? POLICY_ALLOW
				: POLICY_INSPECT;
}
