/* SPDX-License-Identifier: MIT */
/* The switches of docker-socket-proxy, as a policy. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_impl.h"

TestSuite(policy_env, .timeout = 300);

static const char *const *environment;

static char *fake_getenv(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; environment[i]; i++)
		if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=')
			return strchr(environment[i], '=') + 1;
	return NULL;
}

/* What is printed has to be a policy. */
static struct policy *policy_of(const char *const *variables, size_t *found)
{
	char reason[POLICY_REASON_BYTES], *text = NULL;
	size_t length = 0, line;
	FILE *out = open_memstream(&text, &length);
	struct policy *policy;

	environment = variables;
	*found = policy_from_switches(out, "proxy", fake_getenv);
	fclose(out);
	cr_assert_eq(policy_new(&policy, (struct span){.ptr = text, .len = length}, &line, reason), 0,
		     "line %zu: %s\n%s", line, reason, text);
	free(text);
	return policy;
}

#define SET_MAX 6

static const struct {
	const char *set[SET_MAX];
	enum http_method method;
	const char *path;
	bool allowed;
} cases[] = {
    /* Its defaults. */
    {{NULL}, HTTP_GET, "/_ping", true},
    {{NULL}, HTTP_HEAD, "/v1.45/_ping", true},
    {{NULL}, HTTP_GET, "/version", true},
    {{NULL}, HTTP_GET, "/events", true},
    {{NULL}, HTTP_GET, "/containers/json", false},
    {{NULL}, HTTP_GET, "/info", false},
    {{"PING=0"}, HTTP_GET, "/_ping", false},
    {{"EVENTS="}, HTTP_GET, "/events", false},
    /* Reading. */
    {{"CONTAINERS=1"}, HTTP_GET, "/containers/json", true},
    {{"CONTAINERS=1"}, HTTP_GET, "/v1.24/containers/x/json", true},
    {{"CONTAINERS=1"}, HTTP_POST, "/containers/create", false},
    {{"CONTAINERS=1"}, HTTP_DELETE, "/containers/x", false},
    {{"CONTAINERS=true"}, HTTP_GET, "/containers/json", true},
    {{"CONTAINERS=2"}, HTTP_GET, "/containers/json", false},
    {{"SERVICES=1"}, HTTP_GET, "/services", true},
    {{"SERVICES=1"}, HTTP_GET, "/services/x/logs", true},
    {{"SERVICES=1"}, HTTP_GET, "/tasks", false},
    {{"SWARM=on"}, HTTP_GET, "/swarm/unlockkey", true},
    {{"IMAGES=1"}, HTTP_GET, "/images/a/b/json", true},
    /* Parts of /containers with a switch of their own. */
    {{"CONTAINERS=1"}, HTTP_GET, "/containers/x/logs", false},
    {{"CONTAINERS=1", "ALLOW_LOGS=1"}, HTTP_GET, "/containers/x/logs", true},
    {{"CONTAINERS=1"}, HTTP_GET, "/containers/x/attach/ws", false},
    {{"CONTAINERS=1", "ALLOW_ATTACH=1"}, HTTP_GET, "/containers/x/attach/ws", true},
    {{"CONTAINERS=1"}, HTTP_HEAD, "/containers/x/archive", false},
    {{"CONTAINERS=1", "ALLOW_ARCHIVE=1"}, HTTP_HEAD, "/containers/x/archive", true},
    {{"CONTAINERS=1", "POST=1"}, HTTP_POST, "/containers/x/exec", false},
    {{"CONTAINERS=1", "POST=1", "ALLOW_EXEC=1"}, HTTP_POST, "/containers/x/exec", true},
    {{"ALLOW_LOGS=1"}, HTTP_GET, "/containers/x/logs", false},
    /* Writing. */
    {{"CONTAINERS=1", "POST=1"}, HTTP_POST, "/containers/create", true},
    {{"CONTAINERS=1", "POST=1"}, HTTP_DELETE, "/containers/x", false},
    {{"CONTAINERS=1", "DELETE=1"}, HTTP_DELETE, "/containers/x", true},
    {{"CONTAINERS=1", "ALLOW_DELETE=1"}, HTTP_DELETE, "/containers/x", true},
    {{"CONTAINERS=1", "POST=1"}, HTTP_POST, "/volumes/create", false},
    {{"VOLUMES=1", "POST=1"}, HTTP_POST, "/volumes/create", true},
    {{"BUILD=1", "POST=1"}, HTTP_POST, "/build", true},
    {{"BUILD=1"}, HTTP_POST, "/build", false},
    {{"SESSION=1", "POST=1"}, HTTP_POST, "/session", true},
    {{"EXEC=1", "POST=1"}, HTTP_POST, "/exec/x/start", true},
    {{"POST=1"}, HTTP_POST, "/containers/create", false},
    /* One call alone. */
    {{"ALLOW_START=1"}, HTTP_POST, "/containers/x/start", true},
    {{"ALLOW_START=1"}, HTTP_POST, "/containers/x/stop", false},
    {{"ALLOW_STOP=1", "POST=0"}, HTTP_POST, "/containers/x/stop", true},
    {{"ALLOW_RESTARTS=1"}, HTTP_POST, "/containers/x/restart", true},
    {{"ALLOW_RESTARTS=1"}, HTTP_POST, "/containers/x/stop", true},
    {{"ALLOW_RESTARTS=1"}, HTTP_POST, "/containers/x/kill", false},
    {{"ALLOW_RESTARTS=1", "ALLOW_KILL=1"}, HTTP_POST, "/containers/x/kill", true},
    {{"ALLOW_RESTARTS=1"}, HTTP_POST, "/containers/create", false},
    {{"ALLOW_PAUSE=1"}, HTTP_POST, "/containers/x/pause", true},
    /* What no switch names. */
    {{"SYSTEM=1", "POST=1"}, HTTP_GET, "/debug/vars", false},
    {{"CONTAINERS=1", "POST=1"}, HTTP_OPTIONS, "/containers/json", false},
};

Test(policy_env, switches_mean_what_they_meant)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t found, set = 0;
		struct policy *policy = policy_of(cases[i].set, &found);
		struct policy_decision decision;

		while (set < SET_MAX && cases[i].set[set])
			set++;
		cr_assert_eq(found, set);
		policy_decide(policy_role(policy, SPAN("proxy")), cases[i].method, span_of(cases[i].path),
			      route_find(cases[i].method, span_of(cases[i].path)), &decision);
		cr_assert_eq(decision.verdict != POLICY_DENY, cases[i].allowed, "%s: %s %s",
			     cases[i].set[0] ? cases[i].set[0] : "defaults",
			     cases[i].set[0] && cases[i].set[1] ? cases[i].set[1] : "", cases[i].path);
		policy_free(policy);
	}
}

/* All of them on: every line is one that a policy takes, and bodies stay looked into. */
Test(policy_env, all_switches)
{
	static const char *const all[] = {
	    "AUTH=1",	      "BUILD=1",	"COMMIT=1",	   "CONFIGS=1",	       "CONTAINERS=1",
	    "DISTRIBUTION=1", "EVENTS=1",	"EXEC=1",	   "GRPC=1",	       "IMAGES=1",
	    "INFO=1",	      "NETWORKS=1",	"NODES=1",	   "PING=1",	       "PLUGINS=1",
	    "SECRETS=1",      "SERVICES=1",	"SESSION=1",	   "SWARM=1",	       "SYSTEM=1",
	    "TASKS=1",	      "VERSION=1",	"VOLUMES=1",	   "POST=1",	       "PUT=1",
	    "DELETE=1",	      "ALLOW_START=1",	"ALLOW_STOP=1",	   "ALLOW_KILL=1",     "ALLOW_EXEC=1",
	    "ALLOW_LOGS=1",   "ALLOW_EXPORT=1", "ALLOW_ATTACH=1",  "ALLOW_PAUSE=1",    "ALLOW_UNPAUSE=1",
	    "ALLOW_DELETE=1", "ALLOW_PUT=1",	"ALLOW_ARCHIVE=1", "ALLOW_RESTARTS=1", NULL};
	size_t found, count;
	struct policy *policy = policy_of(all, &found);
	const struct role *role = policy_role(policy, SPAN("proxy"));
	const struct route *routes = route_table(&count);

	cr_assert_eq(found, ARRAY_SIZE(all) - 1);
	cr_assert(!role->limits.any);
	/* Everything but what it has no switch for. */
	for (size_t i = 0; i < count; i++) {
		struct policy_decision decision;
		char path[128];

		snprintf(path, sizeof(path), "%s", routes[i].pattern);
		policy_decide(role, routes[i].method, span_of(path), &routes[i], &decision);
		cr_assert_eq(decision.verdict == POLICY_DENY,
			     routes[i].method == HTTP_OPTIONS || strncmp(path, "/debug/", 7) == 0 ||
				 strncmp(routes[i].name, "console-", 8) == 0,
			     "%s", routes[i].name);
	}
	policy_free(policy);
}
