/* SPDX-License-Identifier: MIT */
/*
 * Policies: a method's number and a path up to the first newline, the policy behind it. A text is read wholly
 * or refused with its line and a reason. What is decided for the path, and for each route with parts of the
 * path as its names, is what the rules say when they are read one after the other.
 */
#include <errno.h>

#include "fuzz.h"
#include "policy_naive.h"

#define ROLES_LOOKED_AT 8
#define RULES_LOOKED_AT 400

static void check_role(const struct role *role, enum http_method method, struct span path, const char *name)
{
	size_t count;
	const struct route *routes = route_table(&count);

	FUZZ_CHECK(naive_agrees(role, method, path));
	if (role->rules_count > RULES_LOOKED_AT)
		return;
	for (size_t i = 0; i < count; i++) {
		char made[512];

		naive_route_path(&routes[i], name, "web-1", made, sizeof(made));
		FUZZ_CHECK(naive_agrees(role, routes[i].method, span_of(made)));
		if (routes[i].method == HTTP_GET)
			FUZZ_CHECK(naive_agrees(role, HTTP_HEAD, span_of(made)));
	}
}

/* A role that is printed can be read again, and means the same; only its lines' numbers are other ones. */
static void check_printed(const struct role *role, enum http_method method, struct span path)
{
	char *text = NULL, reason[POLICY_REASON_BYTES];
	size_t length = 0, line;
	FILE *out = open_memstream(&text, &length);
	struct policy_decision wanted, given;
	const struct route *route = route_find(method, path);
	struct policy *again;

	FUZZ_CHECK(out);
	policy_print_role(role, out);
	FUZZ_CHECK(fclose(out) == 0);
	FUZZ_CHECK(policy_new(&again, (struct span){.ptr = text, .len = length}, &line, reason) == 0);
	policy_decide(role, method, path, route, &wanted);
	policy_decide(policy_role(again, span_of(role->name)), method, path, route, &given);
	FUZZ_CHECK(wanted.verdict == given.verdict);
	policy_free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char reason[POLICY_REASON_BYTES], name[65];
	const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
	size_t head = newline ? (size_t)(newline - data) : size, line = 0, looked_at = 0;
	struct policy *policy;
	enum http_method method;
	struct span path;
	char *text, *path_copy;
	int result;

	if (head < 1 || !newline)
		return 0;
	method = (enum http_method)(data[0] % (HTTP_OTHER + 1));
	path_copy = fuzz_copy(data + 1, head - 1);
	path = (struct span){.ptr = path_copy, .len = head - 1};
	snprintf(name, sizeof(name), "%.*s", path.len < 64 ? (int)path.len : 64, path_copy);
	for (char *c = name; *c; c++)
		if (*c == '/' || *c == '*')
			*c = 'x';
	text = fuzz_copy(newline + 1, size - head - 1);
	result = policy_new(&policy, (struct span){.ptr = text, .len = size - head - 1}, &line, reason);
	FUZZ_CHECK(result == 0 || result == -EINVAL);
	if (result < 0)
		FUZZ_CHECK(!policy && line > 0 && reason[0] && memchr(reason, '\0', sizeof(reason)));
	for (size_t i = policy ? policy->roles_count : 0; i-- > 0 && looked_at < ROLES_LOOKED_AT;
	     looked_at++) {
		check_role(policy->roles[i], method, path, name[0] ? name : "x");
		if (!policy->roles[i]->built_in)
			check_printed(policy->roles[i], method, path);
	}
	policy_free(policy);
	free(text);
	free(path_copy);
	return 0;
}
