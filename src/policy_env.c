/* SPDX-License-Identifier: MIT */
/*
 * policy_env.c: what the switches of Tecnativa's docker-socket-proxy stand for, as a policy.
 *
 * Its haproxy.cfg, in the newest form: a section is a prefix of the path, GET and HEAD are always allowed in
 * it, the other methods by a switch each; parts of /containers have a switch of their own beside CONTAINERS,
 * and need both. Where forms of it differ, what is not set counts as refused:
 *  - Older ones have no switch for DELETE and PUT (POST opens them) and none for attach, archive, exec,
 *    export, kill and logs (CONTAINERS opens them). Here they have to be set.
 *  - ALLOW_START and its like are meant to open one call without POST; in some releases they need it.
 */
#include <string.h>
#include <strings.h>

#include "policy.h"

static const struct {
	const char *name, *path;
	bool fallback;
} sections[] = {
    {"AUTH", "/auth", false},
    {"BUILD", "/build", false},
    {"COMMIT", "/commit", false},
    {"CONFIGS", "/configs", false},
    {"CONTAINERS", "/containers", false},
    {"DISTRIBUTION", "/distribution", false},
    {"EVENTS", "/events", true},
    {"EXEC", "/exec", false},
    {"GRPC", "/grpc", false},
    {"IMAGES", "/images", false},
    {"INFO", "/info", false},
    {"NETWORKS", "/networks", false},
    {"NODES", "/nodes", false},
    {"PING", "/_ping", true},
    {"PLUGINS", "/plugins", false},
    {"SECRETS", "/secrets", false},
    {"SERVICES", "/services", false},
    {"SESSION", "/session", false},
    {"SWARM", "/swarm", false},
    {"SYSTEM", "/system", false},
    {"TASKS", "/tasks", false},
    {"VERSION", "/version", true},
    {"VOLUMES", "/volumes", false},
};

/* DELETE and PUT have two names: that of the method, and the one its image sets. */
static const struct {
	const char *method, *name, *other_name;
	enum http_method number;
} methods[] = {
    {"GET", NULL, NULL, HTTP_GET},
    {"POST", "POST", NULL, HTTP_POST},
    {"PUT", "PUT", "ALLOW_PUT", HTTP_PUT},
    {"DELETE", "DELETE", "ALLOW_DELETE", HTTP_DELETE},
};

/* Parts of /containers that are refused without their own switch. */
static const struct {
	const char *name, *rights;
} gates[] = {
    {"ALLOW_ARCHIVE", "container-archive container-archive-info container-archive-put"},
    {"ALLOW_ATTACH", "container-attach container-attach-ws"},
    {"ALLOW_EXEC", "exec-create"},
    {"ALLOW_EXPORT", "container-export"},
    {"ALLOW_KILL", "container-kill"},
    {"ALLOW_LOGS", "container-logs"},
};

static const struct {
	const char *name, *rights;
} extras[] = {
    {"ALLOW_PAUSE", "container-pause"},
    {"ALLOW_RESTARTS", "container-stop container-restart container-kill"},
    {"ALLOW_START", "container-start"},
    {"ALLOW_STOP", "container-stop"},
    {"ALLOW_UNPAUSE", "container-unpause"},
};

struct switches {
	char *(*getenv_fn)(const char *name);
	size_t found;
};

/* HAProxy's `env(X) -m bool`: what is no true word is false. */
static bool is_true(const char *value)
{
	static const char *const words[] = {"1", "true", "yes", "on"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(value, words[i]) == 0)
			return true;
	return false;
}

static bool is_on(struct switches *switches, const char *name, bool fallback)
{
	const char *value = name ? switches->getenv_fn(name) : NULL;

	if (!value)
		return fallback;
	switches->found++;
	return is_true(value);
}

/* Whether the engine has a call there: a line that could never decide anything is refused in a policy. */
static bool has_route(enum http_method method, const char *path, bool below)
{
	size_t count, length = strlen(path);
	const struct route *routes = route_table(&count);

	for (size_t i = 0; i < count; i++) {
		const char *pattern = routes[i].pattern;

		if (routes[i].method != method || strncmp(pattern, path, length) != 0)
			continue;
		if (below ? pattern[length] == '/' && pattern[length + 1] : pattern[length] == '\0')
			return true;
	}
	return false;
}

/* Returns the number of lines that let something be changed. */
static size_t print_section(FILE *out, const char *path, const bool on[ARRAY_SIZE(methods)])
{
	size_t changing = 0;

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (!on[i])
			continue;
		for (int below = 0; below <= 1; below++) {
			if (!has_route(methods[i].number, path, below))
				continue;
			fprintf(out, "  allow %s %s%s\n", methods[i].method, path, below ? "/**" : "");
			changing += methods[i].number != HTTP_GET;
		}
	}
	return changing;
}

static void print_gates(FILE *out, struct switches *switches, bool containers)
{
	for (size_t i = 0; i < ARRAY_SIZE(gates); i++)
		if (!is_on(switches, gates[i].name, false) && containers)
			fprintf(out, "  deny %s  # %s\n", gates[i].rights, gates[i].name);
}

size_t policy_from_switches(FILE *out, const char *name, char *(*getenv_fn)(const char *name))
{
	struct switches switches = {.getenv_fn = getenv_fn};
	bool on[ARRAY_SIZE(methods)], containers = false, kill = false;
	size_t changing = 0;

	fprintf(out, "# From the switches of docker-socket-proxy.\nrole %s\n", name);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		on[i] = is_on(&switches, methods[i].name, methods[i].number == HTTP_GET);
		on[i] |= is_on(&switches, methods[i].other_name, false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		if (!is_on(&switches, sections[i].name, sections[i].fallback))
			continue;
		containers |= strcmp(sections[i].name, "CONTAINERS") == 0;
		changing += print_section(out, sections[i].path, on);
	}
	for (size_t i = 0; i < ARRAY_SIZE(extras); i++) {
		if (!is_on(&switches, extras[i].name, false))
			continue;
		kill |= strcmp(extras[i].name, "ALLOW_RESTARTS") == 0;
		fprintf(out, "  allow %s  # %s\n", extras[i].rights, extras[i].name);
	}
	print_gates(out, &switches, containers || kill);
	if (changing)
		fputs("  # It did not look into bodies. The next line would bring that back: who may create\n"
		      "  # containers or services is root on the host then.\n"
		      "  #body any\n",
		      out);
	return switches.found;
}
