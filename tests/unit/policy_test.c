/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/policy_naive.h"
#include "policy_impl.h"

TestSuite(policy, .timeout = 300);

static struct policy *policy_of(const char *text)
{
	char reason[POLICY_REASON_BYTES];
	struct policy *policy;
	size_t line;

	cr_assert_eq(policy_new(&policy, span_of(text), &line, reason), 0, "line %zu: %s", line, reason);
	return policy;
}

static struct policy_decision decide(const struct policy *policy, const char *role, enum http_method method,
				     const char *path)
{
	struct policy_decision decision;
	const struct role *found = policy_role(policy, span_of(role));

	cr_assert_not_null(found, "%s", role);
	cr_assert(naive_agrees(found, method, span_of(path)), "%s %s", role, path);
	policy_decide(found, method, span_of(path), route_find(method, span_of(path)), &decision);
	return decision;
}

/* ---- what is refused ---- */

static const struct {
	const char *text;
	size_t line;
	const char *reason; /* a part of it */
} bad[] = {
    {"allow ping\n", 1, "role NAME"},
    {"# x\n\nrole\n", 3, "needs one name"},
    {"role a b\n", 1, "needs one name"},
    {"role -a\n", 1, "needs one name"},
    {"role a/b\n", 1, "needs one name"},
    {"role read\n", 1, "already"},
    {"role admin\n", 1, "already"},
    {"role a\nrole b\nrole a\n", 3, "already"},
    {"role a\npermit ping\n", 2, "not a directive"},
    {"role a\nALLOW ping\n", 2, "not a directive"},
    {"role a\ninclude\n", 2, "include"},
    {"role a\ninclude b\nrole b\n", 2, "stands above"},
    {"role a\ninclude a\n", 2, "stands above"},
    {"role a\ninclude read logs\n", 2, "one role"},
    {"role a\ninclude admin\n", 2, "cannot be included"},
    {"role a\nallow\n", 2, "needs METHOD"},
    {"role a\nallow /_ping\n", 2, "needs a METHOD"},
    {"role a\nallow GET\n", 2, "no right"},
    {"role a\nallow get /_ping\n", 2, "the method"},
    {"role a\nallow PATCH /_ping\n", 2, "the method"},
    {"role a\nallow GET /_ping /info\n", 2, "one pattern"},
    {"role a\nallow GET /v1.45/_ping\n", 2, "no version"},
    {"role a\nallow GET /container/json\n", 2, "no route"},
    {"role a\ndeny POST /containers/json/x/y\n", 2, "no route"},
    {"role a\nallow GET /containers/x/json?all=1\n", 2, "without query"},
    {"role a\nallow GET /containers/%78/json\n", 2, "decoded"},
    {"role a\nallow GET /containers/\xc3\xa9/json\n", 2, "decoded"},
    {"role a\nallow GET /containers//json\n", 2, "empty segment"},
    {"role a\nallow GET //containers/json\n", 2, "empty segment"},
    {"role a\nallow GET /images/**/x/**\n", 2, "at most one"},
    {"role a\nallow GET /images/a**/json\n", 2, "stands alone"},
    {"role a\nallow GET /images/***/json\n", 2, "stands alone"},
    {"role a\nallow pong\n", 2, "'pong' is no right"},
    {"role a\nallow ping pong\n", 2, "'pong' is no right"},
    {"role a\nallow x-*\n", 2, "no right"},
    {"role a\nbody\n", 2, "'body' needs"},
    {"role a\nbody all\n", 2, "'body' needs"},
    {"role a\nbody any thing\n", 2, "nothing follows"},
    {"role a\nbody mounts\n", 2, "nothing in it"},
    {"role a\nbody mounts srv\n", 2, "not an absolute path: 'srv'"},
    {"role a\nbody mounts /srv /a/../b\n", 2, "'..'"},
    {"role a\nbody devices /dev/..\n", 2, "'..'"},
    {"role a\r\nallow ping\r\n", 1, "carriage return"},
    {"role a\nallow ping # \x1b[31m\n", 2, "control character"},
};

Test(policy, bad_text_is_refused_with_its_line)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char reason[POLICY_REASON_BYTES];
		struct policy *policy = NULL;
		size_t line = 0;

		cr_assert_eq(policy_new(&policy, span_of(bad[i].text), &line, reason), -EINVAL, "%s",
			     bad[i].text);
		cr_assert_null(policy);
		cr_assert_eq(line, bad[i].line, "%s: line %zu", bad[i].text, line);
		cr_assert(strstr(reason, bad[i].reason), "%s: %s", bad[i].text, reason);
	}
}

Test(policy, a_nul_is_refused)
{
	static const char text[] = "role a\nallow pi\0ng\n";
	char reason[POLICY_REASON_BYTES];
	struct policy *policy;
	size_t line;

	cr_assert_eq(policy_new(&policy, (struct span){.ptr = text, .len = sizeof(text) - 1}, &line, reason),
		     -EINVAL);
	cr_assert_eq(line, 2);
}

static int read_many(const char *line_format, size_t count, size_t *line)
{
	char reason[POLICY_REASON_BYTES], *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	struct policy *policy;
	int result;

	cr_assert_not_null(out);
	for (size_t i = 0; i < count; i++)
		fprintf(out, line_format, i);
	fclose(out);
	result = policy_new(&policy, (struct span){.ptr = text, .len = length}, line, reason);
	policy_free(policy);
	free(text);
	return result;
}

Test(policy, is_bounded)
{
	size_t line, built_in;
	struct policy *policy = policy_of("");

	built_in = policy->roles_count;
	policy_free(policy);
	cr_assert_eq(read_many("role r%zu\n", POLICY_ROLES_MAX - built_in, &line), 0);
	cr_assert_eq(read_many("role r%zu\n", POLICY_ROLES_MAX - built_in + 1, &line), -EINVAL);
	cr_assert_eq(line, POLICY_ROLES_MAX - built_in + 1);
	cr_assert_eq(read_many("role r%zu\nallow ping\n", 200, &line), 0);
	/* A role of many rules, and many roles that include the one above. */
	cr_assert_eq(read_many("role r%zu\n include portainer\n allow *-list\n", 200, &line), 0);
}

Test(policy, rules_are_counted_as_written_and_as_included)
{
	size_t length = 0, line;
	char reason[POLICY_REASON_BYTES], *text = NULL;
	FILE *out = open_memstream(&text, &length);
	struct policy *policy;

	fputs("role a\n", out);
	for (size_t i = 0; i < POLICY_RULES_MAX; i++)
		fprintf(out, "allow GET /containers/c%zu/json\n", i);
	fflush(out);
	cr_assert_eq(policy_new(&policy, (struct span){.ptr = text, .len = length}, &line, reason), 0);
	cr_assert_eq(decide(policy, "a", HTTP_GET, "/containers/c4095/json").line, POLICY_RULES_MAX + 1);
	cr_assert_eq(decide(policy, "a", HTTP_GET, "/containers/c4096/json").verdict, POLICY_DENY);
	policy_free(policy);
	for (int i = 0; i < 16; i++)
		fprintf(out, "role b%d\ninclude a\n", i);
	fflush(out);
	cr_assert_eq(policy_new(&policy, (struct span){.ptr = text, .len = length}, &line, reason), -EINVAL);
	cr_assert(strstr(reason, "with what they include"), "%s", reason);
	fputs("role c\nallow ping\n", out);
	fclose(out);
	cr_assert_eq(policy_new(&policy, (struct span){.ptr = text, .len = length}, &line, reason), -EINVAL);
	free(text);
}

/* ---- what is decided ---- */

static const char language[] = "# Looks around.\n"
			       "role a\n"
			       "  allow container-list ping\t container-inspect # three\n"
			       "  deny GET /containers/db*/json\n"
			       "  allow GET /containers/web-*/logs\n"
			       "  allow HEAD /containers/*/archive\n"
			       "\n"
			       "# Not about b: a line is between.\n"
			       "\n"
			       "role b\n"
			       "  include a\n"
			       "  deny *-list\n"
			       "  allow * /volumes/**\n"
			       "  allow GET /images/mycorp/**/json\n"
			       "role c\n"
			       "  allow *\n"
			       "  allow * /**\n"
			       "  deny GET /networks\n"
			       "  deny * /images/**\n"
			       "role d\n"
			       "  allow OPTIONS /containers/**\n"
			       "role e\n"
			       "  allow options\n";

static const struct {
	const char *role;
	enum http_method method;
	const char *path;
	enum policy_verdict verdict;
	size_t line; /* of the rule that decides; 0: none */
} decisions[] = {
    {"a", HTTP_GET, "/containers/json", POLICY_ALLOW, 3},
    {"a", HTTP_HEAD, "/v1.45/_ping", POLICY_ALLOW, 3},
    {"a", HTTP_GET, "/containers/x/json", POLICY_ALLOW, 3},
    {"a", HTTP_GET, "/v1.45/containers/db1/json", POLICY_DENY, 4},
    {"a", HTTP_HEAD, "/containers/db/json", POLICY_DENY, 4},
    {"a", HTTP_GET, "/containers/web-1/logs", POLICY_ALLOW, 5},
    {"a", HTTP_GET, "/containers/web-/logs", POLICY_ALLOW, 5},
    {"a", HTTP_HEAD, "/containers/web-1/logs", POLICY_ALLOW, 5},
    {"a", HTTP_GET, "/containers/web/logs", POLICY_DENY, 0},
    {"a", HTTP_HEAD, "/containers/x/archive", POLICY_ALLOW, 6},
    {"a", HTTP_GET, "/containers/x/archive", POLICY_DENY, 0},
    {"a", HTTP_POST, "/containers/x/stop", POLICY_DENY, 0},
    {"a", HTTP_GET, "/unknown", POLICY_DENY, 0},
    {"b", HTTP_GET, "/containers/json", POLICY_DENY, 12},
    {"b", HTTP_GET, "/containers/x/json", POLICY_ALLOW, 3},
    {"b", HTTP_GET, "/containers/db/json", POLICY_DENY, 4},
    {"b", HTTP_GET, "/volumes/a", POLICY_ALLOW, 13},
    {"b", HTTP_DELETE, "/volumes/a/b", POLICY_ALLOW, 13},
    {"b", HTTP_POST, "/volumes/create", POLICY_INSPECT, 13},
    {"b", HTTP_GET, "/volumes", POLICY_DENY, 12},
    {"b", HTTP_GET, "/images/mycorp/a/b/json", POLICY_ALLOW, 14},
    {"b", HTTP_GET, "/images/mycorp/json", POLICY_DENY, 0},
    {"c", HTTP_GET, "/networks", POLICY_DENY, 18},
    {"c", HTTP_GET, "/networks/", POLICY_DENY, 18}, /* is the same call */
    {"c", HTTP_GET, "/networks/x", POLICY_ALLOW, 16},
    {"c", HTTP_POST, "/images/load", POLICY_DENY, 19},
    {"c", HTTP_POST, "/plugins/pull", POLICY_INSPECT, 16},
    {"c", HTTP_OPTIONS, "/networks", POLICY_DENY, 0}, /* a star is not for OPTIONS */
    {"c", HTTP_PATCH, "/networks", POLICY_DENY, 0},
    {"c", HTTP_GET, "/metric", POLICY_DENY, 0},
    {"d", HTTP_OPTIONS, "/containers/x/json", POLICY_ALLOW, 21},
    {"d", HTTP_OPTIONS, "/images/json", POLICY_DENY, 0},
    {"e", HTTP_OPTIONS, "/images/json", POLICY_ALLOW, 23},
};

Test(policy, decides)
{
	struct policy *policy = policy_of(language);

	for (size_t i = 0; i < ARRAY_SIZE(decisions); i++) {
		struct policy_decision decision =
		    decide(policy, decisions[i].role, decisions[i].method, decisions[i].path);

		cr_assert_eq(decision.verdict, decisions[i].verdict, "%s %s: %d", decisions[i].role,
			     decisions[i].path, (int)decision.verdict);
		cr_assert_eq(decision.line, decisions[i].line, "%s %s: line %zu", decisions[i].role,
			     decisions[i].path, decision.line);
		cr_assert_eq(decision.rule == NULL, decisions[i].line == 0);
	}
	policy_free(policy);
}

Test(policy, says_which_rule_and_right)
{
	struct policy *policy = policy_of(language);
	struct policy_decision decision = decide(policy, "b", HTTP_GET, "/containers/x/json");

	cr_assert_str_eq(decision.right, "container-inspect");
	cr_assert_str_eq(decision.rule, "allow container-list ping\t container-inspect # three");
	cr_assert_str_eq(decision.rule_role, "a");
	cr_assert_str_eq(decide(policy, "b", HTTP_GET, "/x").right, "unknown");
	decision = decide(policy, "read", HTTP_GET, "/info");
	cr_assert_eq(decision.line, 0);
	cr_assert(strncmp(decision.rule, "allow ", 6) == 0);
	policy_free(policy);
}

/* A name with more parts than are compared: what would have to be compared is refused. */
Test(policy, too_many_segments_pass_no_denial)
{
	struct policy *policy = policy_of("role a\nallow image-*\ndeny GET /images/**/secret/json\n"
					  "role b\nallow image-*\nrole c\nallow GET /images/**/json\n");
	char path[256] = "/images";

	for (int i = 0; i < 40; i++)
		strcat(path, "/a");
	strcat(path, "/json");
	cr_assert_eq(decide(policy, "a", HTTP_GET, path).verdict, POLICY_DENY);
	cr_assert_eq(decide(policy, "b", HTTP_GET, path).verdict, POLICY_ALLOW);
	policy_free(policy);
}

Test(policy, limits_of_the_body)
{
	struct policy *policy = policy_of("role a\nallow container-create\nbody mounts /srv/a#b /opt\n"
					  "body capabilities NET_ADMIN\nbody devices /dev/fuse\n"
					  "role b\ninclude a\nbody mounts /x # and no more\nbody privileged\n"
					  "role c\ninclude deploy\nbody images mycorp/ docker.io/\n"
					  "role d\ninclude c\ninclude a\nbody host-namespaces\n"
					  "role e\ninclude d\nbody any\n");
	const struct inspect_limits *limits = decide(policy, "a", HTTP_POST, "/containers/create").limits;

	cr_assert_eq(limits->mounts.count, 2);
	cr_assert_str_eq(limits->mounts.words[0], "/srv/a#b"); /* not /srv/a */
	cr_assert_str_eq(limits->capabilities.words[0], "NET_ADMIN");
	cr_assert_str_eq(limits->devices.words[0], "/dev/fuse");
	cr_assert(!limits->privileged && !limits->any && !limits->host_namespaces);
	limits = &policy_role(policy, SPAN("b"))->limits;
	cr_assert_eq(limits->mounts.count, 3);
	cr_assert(limits->privileged);
	limits = &policy_role(policy, SPAN("d"))->limits;
	cr_assert_eq(limits->images.count, 2);
	cr_assert(limits->host_namespaces && !limits->privileged);
	cr_assert_eq(decide(policy, "d", HTTP_POST, "/containers/create").verdict, POLICY_INSPECT);
	cr_assert_eq(decide(policy, "e", HTTP_POST, "/containers/create").verdict, POLICY_ALLOW);
	policy_free(policy);
}

Test(policy, roles_are_listed_with_what_is_written_above_them)
{
	struct policy *policy = policy_of(language);
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	policy_print_roles(policy, out);
	fclose(out);
	cr_assert(strstr(text, "\na          Looks around.\n"), "%s", text);
	cr_assert(strstr(text, "\nb          Of the policy file.\n"), "%s", text);
	cr_assert(strncmp(text, "admin      ", 11) == 0);
	free(text);
	policy_free(policy);
}

Test(policy, what_is_written_above_a_role_may_have_several_lines)
{
	struct policy *policy = policy_of("# Not about a:\n"
					  "#\n"
					  "#  One line,  \n"
					  "#and another.\n"
					  "role a # not about b\n"
					  "# A comment of a's.\n"
					  "  allow ping # not about b\n"
					  "role b\n");
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	policy_print_roles(policy, out);
	policy_print_role(policy_role(policy, SPAN("a")), out);
	fclose(out);
	cr_assert(strstr(text, "\nportainer  Portainer without its agent: "), "%s", text);
	cr_assert(strstr(text, "\na          One line, and another.\n"), "%s", text);
	cr_assert(strstr(text, "\nb          Of the policy file.\n"), "%s", text);
	cr_assert(strstr(text, "\n# One line,\n# and another.\nrole a\n  allow ping"), "%s", text);
	free(text);
	policy_free(policy);
}

Test(policy, a_printed_role_reads_as_the_same)
{
	struct policy *policy = policy_of(language);

	for (size_t i = 1; i < policy->roles_count; i++) {
		const struct role *role = policy->roles[i];
		char *text = NULL, *again = NULL, *start;
		size_t length = 0;
		FILE *out = open_memstream(&text, &length);
		struct policy *copy;

		policy_print_role(role, out);
		fclose(out);
		/* The built-in names are taken. */
		start = strstr(text, "role ");
		cr_assert_eq(asprintf(&again, "role copy\n%s", strchr(start, '\n') + 1) > 0, 1);
		copy = policy_of(again);
		for (size_t j = 0; j < ARRAY_SIZE(decisions); j++)
			cr_assert_eq(
			    decide(policy, role->name, decisions[j].method, decisions[j].path).verdict,
			    decide(copy, "copy", decisions[j].method, decisions[j].path).verdict, "%s %s",
			    role->name, decisions[j].path);
		policy_free(copy);
		free(again);
		free(text);
	}
	policy_free(policy);
}

/* ---- patterns at random, against the plain reading ---- */

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/* A route's pattern with its words and stars changed here and there. */
static void make_pattern(const struct route *route, uint64_t *state, char *out)
{
	static const char *const parts[] = {"*", "a", "b*", "*b", "*-*", "json", "a/b"};
	size_t used = 0;
	bool rest = false;

	for (const char *p = route->pattern; *p;) {
		size_t length = strcspn(p + 1, "/");
		uint64_t choice = next_random(state) % 8;

		out[used++] = '/';
		if (choice == 0 && !rest) {
			rest = true;
			used += (size_t)sprintf(out + used, "**");
		} else if (choice == 1 || p[1] == '*') {
			used +=
			    (size_t)sprintf(out + used, "%s", parts[next_random(state) % ARRAY_SIZE(parts)]);
		} else {
			used += (size_t)sprintf(out + used, "%.*s", (int)length, p + 1);
		}
		p += length + 1;
	}
	out[used] = '\0';
}

static void compare_everywhere(const struct policy *policy, const struct role *role)
{
	static const char *const names[] = {"a", "b", "ab", "b-b", "json", "x"};
	size_t count;
	const struct route *routes = route_table(&count);

	(void)policy;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(names); j++) {
			char path[256];

			naive_route_path(&routes[i], names[j], names[(i + j) % ARRAY_SIZE(names)], path,
					 sizeof(path));
			cr_assert(naive_agrees(role, routes[i].method, span_of(path)), "%s", path);
			if (routes[i].method == HTTP_GET)
				cr_assert(naive_agrees(role, HTTP_HEAD, span_of(path)), "%s", path);
		}
	}
}

Test(policy, random_rules_decide_as_they_read)
{
	static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "*"};
	uint64_t state = 1;
	size_t count, accepted = 0;
	const struct route *routes = route_table(&count);

	for (int round = 0; round < 120; round++) {
		char text[4096] = "role r\n", reason[POLICY_REASON_BYTES];
		struct policy *policy;
		size_t line;

		for (int i = 0; i < 12; i++) {
			const struct route *route = &routes[1 + next_random(&state) % (count - 1)];
			char pattern[256], rule[320];

			make_pattern(route, &state, pattern);
			if (next_random(&state) % 4 == 0)
				snprintf(rule, sizeof(rule), "%s %s\n", i % 3 ? "allow" : "deny",
					 route->name);
			else
				snprintf(rule, sizeof(rule), "%s %s %s\n", i % 3 ? "allow" : "deny",
					 methods[next_random(&state) % ARRAY_SIZE(methods)], pattern);
			/* One that meets no route is refused, and left away. */
			strcat(text, rule);
			if (policy_new(&policy, span_of(text), &line, reason) < 0)
				text[strlen(text) - strlen(rule)] = '\0';
			else
				accepted++;
			policy_free(policy);
		}
		policy = policy_of(text);
		compare_everywhere(policy, policy_role(policy, SPAN("r")));
		policy_free(policy);
	}
	cr_assert_gt(accepted, 600, "%zu", accepted);
}
