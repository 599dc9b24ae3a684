/* SPDX-License-Identifier: MIT */
/*
 * The built-in roles, route by route, against tests/unit/policy_roles.txt, which a person has read. A change
 * of a role or of the route table has to be seen there: POLICY_ROLES_WRITE=1 writes the file anew.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/policy_naive.h"
#include "policy_impl.h"

TestSuite(policy_roles, .timeout = 300);

#define GOLDEN "tests/unit/policy_roles.txt"

static struct policy *built_in(void)
{
	char reason[POLICY_REASON_BYTES];
	struct policy *policy;
	size_t line;

	cr_assert_eq(policy_new(&policy, (struct span){0}, &line, reason), 0, "line %zu: %s", line, reason);
	return policy;
}

static enum policy_verdict verdict_of(const struct role *role, enum http_method method, const char *path)
{
	struct policy_decision decision;

	policy_decide(role, method, span_of(path), route_find(method, span_of(path)), &decision);
	return decision.verdict;
}

static const char *method_name(enum http_method method)
{
	static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "?"};

	return names[method];
}

static void print_table(const struct policy *policy, FILE *out)
{
	size_t count;
	const struct route *routes = route_table(&count);

	fputs(
	    "# Every route and what the built-in roles may do there; see src/policy_roles.c.\n"
	    "#\n"
	    "#   +  allowed\n"
	    "#   i  allowed as far as the request, looked into (inspect.h), asks for nothing of the host's\n"
	    "#   .  refused\n"
	    "#\n"
	    "#   r  reads   w  writes   s  gives secrets, environments or files away, or is a way in\n"
	    "#   x  makes programs run, or says which\n",
	    out);
	for (int group = 0; group < ROUTE_GROUP_COUNT; group++) {
		fprintf(out, "\n%-31s", route_group_name((enum route_group)group));
		for (size_t i = 0; i < policy->roles_count; i++)
			fprintf(out, " %s", policy->roles[i]->name);
		fputc('\n', out);
		for (size_t i = 0; i < count; i++) {
			unsigned traits = routes[i].traits;
			char path[256];

			if ((int)routes[i].group != group)
				continue;
			naive_route_path(&routes[i], "one", "two", path, sizeof(path));
			fprintf(out, "  %-24s%s%s%s%s", routes[i].name, traits & ROUTE_READS ? "r" : "-",
				traits & ROUTE_WRITES ? "w" : "-", traits & ROUTE_SENSITIVE ? "s" : "-",
				traits & ROUTE_RUNS ? "x" : "-");
			for (size_t j = 0; j < policy->roles_count; j++) {
				static const char marks[] = {
				    [POLICY_ALLOW] = '+', [POLICY_INSPECT] = 'i', [POLICY_DENY] = '.'};
				const struct role *role = policy->roles[j];

				fprintf(out, " %*s%c", (int)strlen(role->name) - 1, "",
					marks[verdict_of(role, routes[i].method, path)]);
			}
			fprintf(out, "   %s %s\n", method_name(routes[i].method), routes[i].pattern);
		}
	}
}

Test(policy_roles, are_as_reviewed)
{
	struct policy *policy = built_in();
	char *text = NULL, *line = NULL;
	size_t length = 0, cap = 0, number = 0;
	FILE *out = open_memstream(&text, &length), *golden;

	cr_assert_not_null(out);
	print_table(policy, out);
	cr_assert_eq(fclose(out), 0);
	if (getenv("POLICY_ROLES_WRITE")) {
		golden = fopen(GOLDEN, "w");
		cr_assert(golden && fputs(text, golden) >= 0 && fclose(golden) == 0);
	}
	golden = fopen(GOLDEN, "r");
	cr_assert_not_null(golden, GOLDEN ": %s", strerror(errno));
	for (char *rest = text; *rest; number++) {
		size_t wanted = strcspn(rest, "\n") + 1;
		ssize_t got = getline(&line, &cap, golden);

		cr_assert(got >= 0 && (size_t)got == wanted && memcmp(line, rest, wanted) == 0,
			  "%s:%zu: now it would be:\n%.*s", GOLDEN, number + 1, (int)wanted, rest);
		rest += wanted;
	}
	cr_assert_eq(getline(&line, &cap, golden), -1, "%s has more lines than there are routes", GOLDEN);
	cr_assert_gt(number, 130);
	fclose(golden);
	free(line);
	free(text);
	policy_free(policy);
}

/* Every method on every route's path, with and without a version. */
static void each_request(const struct policy *policy,
			 void (*check)(const struct policy *policy, enum http_method method,
				       const char *path))
{
	size_t count;
	const struct route *routes = route_table(&count);

	for (size_t i = 0; i < count; i++) {
		for (int method = HTTP_GET; method <= HTTP_OTHER; method++) {
			char path[256] = "/v1.45";

			naive_route_path(&routes[i], "a", "b", path + 6, sizeof(path) - 6);
			check(policy, (enum http_method)method, path);
			check(policy, (enum http_method)method, path + 6);
		}
	}
	check(policy, HTTP_GET, "/");
	check(policy, HTTP_GET, "/unknown");
	check(policy, HTTP_GET, "/metrics");
}

static void check_admin(const struct policy *policy, enum http_method method, const char *path)
{
	cr_assert_eq(verdict_of(policy->roles[0], method, path), POLICY_ALLOW);
}

Test(policy_roles, none_may_more_than_admin)
{
	struct policy *policy = built_in();

	cr_assert_str_eq(role_name(policy->roles[0]), "admin");
	cr_assert(role_is_unlimited(policy->roles[0]));
	for (size_t i = 1; i < policy->roles_count; i++)
		cr_assert(!role_is_unlimited(policy->roles[i]));
	each_request(policy, check_admin);
	policy_free(policy);
}

static void check_read(const struct policy *policy, enum http_method method, const char *path)
{
	const struct route *route = route_find(method, span_of(path));

	if (verdict_of(policy_role(policy, SPAN("read")), method, path) == POLICY_DENY)
		return;
	cr_assert(method == HTTP_GET || method == HTTP_HEAD, "%s", path);
	cr_assert_eq(route->traits, ROUTE_READS, "%s", route->name);
}

Test(policy_roles, read_never_writes_and_never_sees_what_is_sensitive)
{
	struct policy *policy = built_in();

	each_request(policy, check_read);
	policy_free(policy);
}

static const char *const readers[] = {"read", "read-env", "logs", "traefik"};

static void check_readers(const struct policy *policy, enum http_method method, const char *path)
{
	const struct route *route = route_find(method, span_of(path));

	for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
		if (verdict_of(policy_role(policy, span_of(readers[i])), method, path) != POLICY_DENY)
			cr_assert(route->traits & ROUTE_READS, "%s %s", readers[i], route->name);
}

Test(policy_roles, readers_only_read)
{
	struct policy *policy = built_in();

	each_request(policy, check_readers);
	policy_free(policy);
}

static void check_unknown(const struct policy *policy, enum http_method method, const char *path)
{
	const struct route *route = route_find(method, span_of(path));

	if (route && route->method != HTTP_OPTIONS)
		return;
	for (size_t i = 1; i < policy->roles_count; i++)
		cr_assert_eq(verdict_of(policy->roles[i], method, path), POLICY_DENY, "%s %s %s",
			     policy->roles[i]->name, method_name(method), path);
}

Test(policy_roles, what_is_unknown_and_options_are_for_admin_alone)
{
	struct policy *policy = built_in();

	each_request(policy, check_unknown);
	policy_free(policy);
}

/* Nothing that runs or changes anything is left to the body by a role that is not admin. */
Test(policy_roles, all_but_admin_are_looked_into)
{
	struct policy *policy = built_in();

	for (size_t i = 1; i < policy->roles_count; i++) {
		const struct inspect_limits *limits = &policy->roles[i]->limits;

		cr_assert(!limits->any && !limits->privileged && !limits->host_namespaces, "%s",
			  policy->roles[i]->name);
		cr_assert_eq(limits->mounts.count + limits->capabilities.count + limits->devices.count, 0);
	}
	policy_free(policy);
}

static void check_naively(const struct policy *policy, enum http_method method, const char *path)
{
	for (size_t i = 0; i < policy->roles_count; i++)
		cr_assert(naive_agrees(policy->roles[i], method, span_of(path)), "%s %s %s",
			  policy->roles[i]->name, method_name(method), path);
}

Test(policy_roles, decide_as_the_rules_read)
{
	struct policy *policy = built_in();

	each_request(policy, check_naively);
	policy_free(policy);
}

/* What others let through: the incidents that are about rights. */
static const struct {
	const char *role;
	enum http_method method;
	const char *path;
	bool allowed;
} incidents[] = {
    {"read", HTTP_GET, "/containers/x/attach/ws", false}, /* CONTAINERS=1 POST=0 could write */
    {"read", HTTP_GET, "/containers/x/export", false},
    {"read", HTTP_GET, "/containers/x/archive", false},
    {"read", HTTP_HEAD, "/containers/x/archive", false},
    {"read", HTTP_GET, "/containers/x/logs", false},
    {"read", HTTP_GET, "/containers/x/json", false},
    {"read", HTTP_GET, "/containers/x/top", false}, /* ps auxe */
    {"read", HTTP_GET, "/images/a/b/get", false},
    {"read", HTTP_GET, "/images/get", false},
    {"read", HTTP_GET, "/swarm", false},
    {"read", HTTP_GET, "/swarm/unlockkey", false},
    {"read", HTTP_GET, "/configs", false},
    {"read", HTTP_GET, "/secrets", false},
    {"read", HTTP_GET, "/services", false},
    {"read", HTTP_GET, "/tasks", false},
    {"read", HTTP_GET, "/distribution/evil:8443/x/json", false},
    {"read", HTTP_POST, "/v1.24/containers/x/exec", false},
    {"portainer", HTTP_POST, "/plugins/pull", false}, /* no rule named /plugins: all of it was allowed */
    {"portainer", HTTP_POST, "/plugins/a/b/enable", false},
    {"portainer", HTTP_GET, "/debug/pprof/heap", false},
    {"portainer", HTTP_GET, "/containers/x/archive", false},
    {"build", HTTP_POST, "/containers/x/exec", false},
    {"build", HTTP_POST, "/containers/create", false},
    {"build", HTTP_POST, "/images/load", true},
    {"build", HTTP_POST, "/session", true},
    {"build", HTTP_POST, "/grpc", true},
    {"deploy", HTTP_POST, "/containers/x/exec", false},
    {"deploy", HTTP_PUT, "/containers/x/archive", false},
    {"operate", HTTP_POST, "/containers/x/restart", true},
    {"operate", HTTP_DELETE, "/containers/x", false},
    {"operate", HTTP_POST, "/containers/create", false},
    {"logs", HTTP_GET, "/v1.45/containers/x/logs", true},
    {"logs", HTTP_GET, "/services/x/logs", true},
    {"logs", HTTP_POST, "/containers/x/attach", false},
    {"soajs", HTTP_POST, "/swarm/init", false},
    {"soajs", HTTP_POST, "/networks/create", true},
    {"traefik", HTTP_GET, "/v1.24/containers/x/json", true},
    {"traefik", HTTP_GET, "/nodes/x", true},
};

Test(policy_roles, incidents)
{
	struct policy *policy = built_in();

	for (size_t i = 0; i < ARRAY_SIZE(incidents); i++) {
		const struct role *role = policy_role(policy, span_of(incidents[i].role));

		cr_assert_eq(verdict_of(role, incidents[i].method, incidents[i].path) != POLICY_DENY,
			     incidents[i].allowed, "%s %s", incidents[i].role, incidents[i].path);
	}
	policy_free(policy);
}

/* What the docker CLI and Docker Compose were seen to ask for (28.5, 2.40), by what they were doing. */
static const struct {
	const char *role, *doing;
	enum http_method method;
	const char *path;
} calls[] = {
    {"read", "any", HTTP_HEAD, "/_ping"},
    {"read", "docker version", HTTP_GET, "/v1.45/version"},
    {"read", "docker ps", HTTP_GET, "/v1.45/containers/json"},
    {"read", "docker stats", HTTP_GET, "/v1.45/containers/x/stats"},
    {"read", "docker image ls", HTTP_GET, "/v1.45/images/json"},
    {"read", "docker network ls", HTTP_GET, "/v1.45/networks"},
    {"read", "docker node ls", HTTP_GET, "/v1.45/nodes"},
    {"read", "docker events", HTTP_GET, "/v1.45/events"},
    {"read-env", "docker system df", HTTP_GET, "/v1.45/system/df"},
    {"read-env", "docker inspect", HTTP_GET, "/v1.45/containers/x/json"},
    {"read-env", "docker top", HTTP_GET, "/v1.45/containers/x/top"},
    {"read-env", "docker volume ls", HTTP_GET, "/v1.45/volumes"},
    {"read-env", "docker service ls", HTTP_GET, "/v1.45/services"},
    {"read-env", "docker service ps", HTTP_GET, "/v1.45/tasks"},
    {"logs", "docker logs", HTTP_GET, "/v1.45/containers/x/json"},
    {"logs", "docker service logs", HTTP_GET, "/v1.45/services/x"},
    {"logs", "docker service logs", HTTP_GET, "/v1.45/nodes/x"},
    {"logs", "docker service logs", HTTP_GET, "/v1.45/tasks/x"},
    {"operate", "docker service scale", HTTP_GET, "/v1.45/services/x"},
    {"operate", "docker service scale", HTTP_POST, "/v1.45/services/x/update"},
    {"operate", "docker service scale", HTTP_GET, "/v1.45/tasks"},
    {"deploy", "docker stack deploy", HTTP_GET, "/v1.45/distribution/busybox:latest/json"},
    {"deploy", "docker stack deploy", HTTP_GET, "/v1.45/secrets"},
    {"deploy", "docker stack deploy", HTTP_POST, "/v1.45/secrets/create"},
    {"deploy", "docker stack deploy", HTTP_GET, "/v1.45/configs"},
    {"deploy", "docker stack deploy", HTTP_POST, "/v1.45/configs/create"},
    {"deploy", "docker stack deploy", HTTP_POST, "/v1.45/networks/create"},
    {"deploy", "docker stack deploy", HTTP_POST, "/v1.45/services/create"},
    {"deploy", "docker stack rm", HTTP_DELETE, "/v1.45/services/x"},
    {"deploy", "docker stack rm", HTTP_DELETE, "/v1.45/networks/x"},
    {"deploy", "compose up", HTTP_GET, "/v1.45/info"},
    {"deploy", "compose up", HTTP_GET, "/v1.45/images/busybox/json"},
    {"deploy", "compose up", HTTP_POST, "/v1.45/images/create"},
    {"deploy", "compose up", HTTP_POST, "/v1.45/volumes/create"},
    {"deploy", "compose up", HTTP_GET, "/v1.45/volumes/x"},
    {"deploy", "compose up", HTTP_POST, "/v1.45/containers/create"},
    {"deploy", "compose up", HTTP_POST, "/v1.45/containers/x/start"},
    {"deploy", "compose up", HTTP_POST, "/v1.45/containers/x/attach"},
    {"deploy", "compose up", HTTP_POST, "/v1.45/containers/x/wait"},
    {"deploy", "compose up", HTTP_POST, "/v1.45/containers/x/rename"},
    {"deploy", "compose down", HTTP_POST, "/v1.45/containers/x/stop"},
    {"deploy", "compose down", HTTP_DELETE, "/v1.45/containers/x"},
    {"deploy", "compose down -v", HTTP_DELETE, "/v1.45/volumes/x"},
    {"deploy", "compose logs", HTTP_GET, "/v1.45/containers/x/logs"},
    {"build", "docker build", HTTP_POST, "/v1.45/build"},
    {"build", "docker build", HTTP_POST, "/grpc"},
    {"build", "docker buildx", HTTP_GET, "/v1.45/info"},
    {"build", "docker push", HTTP_POST, "/v1.45/images/r:5000/a/b/push"},
    {"build", "docker tag", HTTP_POST, "/v1.45/images/busybox:latest/tag"},
    {"build", "docker login", HTTP_POST, "/v1.45/auth"},
};

Test(policy_roles, programs_get_what_they_ask_for)
{
	struct policy *policy = built_in();

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const struct role *role = policy_role(policy, span_of(calls[i].role));

		cr_assert_neq(verdict_of(role, calls[i].method, calls[i].path), POLICY_DENY, "%s: %s %s",
			      calls[i].role, calls[i].doing, calls[i].path);
	}
	policy_free(policy);
}
