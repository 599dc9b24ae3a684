/* SPDX-License-Identifier: MIT */
/*
 * inspect.c: which requests are looked into, and how.
 *
 * Theory of operation. A request that is looked into has been read whole by the caller. Three things are read
 * as the engine reads them, and where that is in doubt the request is refused: the content type (Go would
 * take a form in the body for a part of the query), the query, and the JSON value. Then the tables of
 * inspect_container.c, inspect_service.c and so on judge field by field. The bytes that go on are the bytes
 * that were judged.
 *
 * What cannot be judged by looking at a request, and stays allowed:
 *  - A path below an allowed prefix may be a symbolic link to anywhere, made by a container that had the
 * prefix mounted: whoever may write below a prefix has, in effect, the host. Allow exact, read-only places.
 *  - A named volume may have been made with options by somebody with more rights.
 *  - /grpc and /session (BuildKit) are not HTTP bodies. The engine's `builder.entitlements` decides about the
 * host's network there, and allows it where nothing is said.
 *  - A rollback (service-update?rollback=previous) brings back a spec that somebody was allowed to set.
 */
#include <stdarg.h>
#include <stdio.h>

#include "inspect_impl.h"

struct rule {
	const char *route;
	int (*query)(struct inspect *inspect, struct span path,
		     const struct inspect_query *query);    /* or NULL */
	int (*body)(struct inspect *inspect, json_t *root); /* or NULL */
	const char *const *repeatable; /* keys of the query that may stand more than once; NULL: none */
	enum inspect_need need;
	bool empty_ok; /* a request without a body means something */
};

static const char *const build_repeatable[] = {"t", "extrahosts", NULL};
static const char *const changes_repeatable[] = {"changes", NULL};

/* clang-format off */
static const struct rule rules[] = {
	{"build",		inspect_query_build, NULL, build_repeatable, INSPECT_QUERY, false},
	{"checkpoint-create",	NULL, inspect_checkpoint, NULL, INSPECT_BODY, false},
	{"checkpoint-delete",	inspect_query_checkpoint, NULL, NULL, INSPECT_QUERY, false},
	{"checkpoint-list",	inspect_query_checkpoint, NULL, NULL, INSPECT_QUERY, false},
	{"commit",		inspect_query_commit, inspect_commit, changes_repeatable, INSPECT_BODY, true},
	{"container-create",	NULL, inspect_container, NULL, INSPECT_BODY, false},
	/* For its new name (own_is_meant()): the engine would take one out of a form in the body first. */
	{"container-rename",	NULL, NULL, NULL, INSPECT_QUERY, false},
	{"container-start",	inspect_query_start, inspect_container_start, NULL, INSPECT_BODY, true},
	{"container-update",	NULL, inspect_container_update, NULL, INSPECT_BODY, false},
	{"exec-create",		NULL, inspect_exec, NULL, INSPECT_BODY, false},
	{"image-create",	inspect_query_image_create, NULL, changes_repeatable, INSPECT_QUERY, false},
	{"image-load",		inspect_query_image_load, NULL, NULL, INSPECT_QUERY, false},
	{"image-tag",		inspect_query_image_tag, NULL, NULL, INSPECT_QUERY, false},
	{"network-connect",	NULL, inspect_network_member, NULL, INSPECT_BODY, false},
	{"network-create",	NULL, inspect_network, NULL, INSPECT_BODY, false},
	{"network-disconnect",	NULL, inspect_network_member, NULL, INSPECT_BODY, false},
	/* A plugin runs as root on the host, with the privileges that its own configuration lists. */
	{"plugin-create",	NULL, NULL, NULL, INSPECT_NEVER, false},
	{"plugin-pull",		NULL, NULL, NULL, INSPECT_NEVER, false},
	{"plugin-set",		NULL, NULL, NULL, INSPECT_NEVER, false},
	{"plugin-upgrade",	NULL, NULL, NULL, INSPECT_NEVER, false},
	{"secret-create",	NULL, inspect_secret, NULL, INSPECT_BODY, false},
	{"service-create",	NULL, inspect_service, NULL, INSPECT_BODY, false},
	{"service-update",	NULL, inspect_service, NULL, INSPECT_BODY, false},
	{"volume-create",	NULL, inspect_volume, NULL, INSPECT_BODY, false},
	/* Cluster volumes only: what a storage plugin makes of it is the plugin's. */
	{"volume-update",	NULL, NULL, NULL, INSPECT_NEVER, false},
};
/* clang-format on */

int inspect_refuse(struct inspect *inspect, const char *lacks, const char *format, ...)
{
	char what[INSPECT_REASON_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	snprintf(inspect->reason, INSPECT_REASON_BYTES, "asks for %.190s; its role lacks: %s", what, lacks);
	return -EACCES;
}

int inspect_unreadable(struct inspect *inspect, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(inspect->reason, INSPECT_REASON_BYTES, format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

struct inspect_quoted inspect_quote(struct span text)
{
	struct inspect_quoted quoted = {.text = ""};
	size_t length = text.len < sizeof(quoted.text) ? text.len : sizeof(quoted.text) - 1;

	for (size_t i = 0; i < length; i++) {
		char c = text.ptr[i];

		quoted.text[i] = '?';
		if (c > ' ' && c < 0x7f && c != '"' && c != '\\')
			quoted.text[i] = c;
	}
	if (text.len > length)
		memcpy(quoted.text + length - 3, "...", 3);
	return quoted;
}

static const struct rule *rule_of(const struct route *route)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i].route, route->name) == 0)
			return &rules[i];
	return NULL;
}

enum inspect_need inspect_need(const struct route *route)
{
	const struct rule *rule = rule_of(route);

	return rule ? rule->need : INSPECT_NOTHING;
}

/* The type without its parameters. */
static struct span media_type(struct span content_type)
{
	const char *semicolon = content_type.len ? memchr(content_type.ptr, ';', content_type.len) : NULL;

	if (semicolon)
		content_type.len = (size_t)(semicolon - content_type.ptr);
	return span_trim(content_type);
}

/* Where the body is no JSON: only types that Go's ParseForm leaves alone. */
static bool raw_type_ok(struct span type)
{
	static const char *const types[] = {
	    "",
	    "application/x-tar",
	    "application/tar",
	    "application/octet-stream",
	    "application/gzip",
	    "application/json",
	    "application/x-gzip",
	    "application/x-bzip2",
	    "application/x-bzip",
	    "application/x-xz",
	    "application/zstd",
	    "text/plain",
	    "application/x-gtar",
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (span_ieq(type, span_of(types[i])))
			return true;
	return false;
}

static int check_query(struct inspect *inspect, const struct rule *rule, struct span path, struct span text)
{
	struct inspect_query query = {0};
	int error = inspect_query_parse(inspect, &query, text, rule->repeatable);

	if (!error && rule->query)
		error = rule->query(inspect, path, &query);
	inspect_query_fini(&query);
	return error;
}

static int check_body(struct inspect *inspect, const struct rule *rule, struct span content_type,
		      struct span body)
{
	json_t *root;
	int error;

	if (body.len == 0)
		return rule->empty_ok ? 0 : inspect_unreadable(inspect, "there is no body");
	if (body.len > INSPECT_BODY_MAX_BYTES)
		return inspect_unreadable(inspect, "the body is larger than 1 MiB");
	if (!span_ieq(media_type(content_type), SPAN("application/json")))
		return inspect_unreadable(inspect, "the content type is not application/json");
	error = inspect_json_load(inspect, body, &root);
	if (error)
		return error;
	if (json_is_object(root))
		error = rule->body(inspect, root);
	else if (!json_is_null(root) || !rule->empty_ok)
		error = inspect_unreadable(inspect, "the body is not an object");
	json_decref(root);
	return error;
}

int inspect_request(const struct inspect_limits *limits, const struct route *route, struct span path,
		    struct span query, struct span content_type, struct span body,
		    char reason[INSPECT_REASON_BYTES])
{
	struct inspect inspect = {.limits = limits, .reason = reason};
	const struct rule *rule = rule_of(route);
	int error;

	reason[0] = '\0';
	if (limits->any || !rule)
		return 0;
	if (rule->need == INSPECT_NEVER)
		return inspect_refuse(&inspect, INSPECT_LACKS_ANY, "%s, which cannot be looked into",
				      route->name);
	if (rule->need == INSPECT_QUERY && !raw_type_ok(media_type(content_type)))
		return inspect_unreadable(&inspect, "the content type does not fit this request");
	error = check_query(&inspect, rule, path, query);
	if (!error && rule->need == INSPECT_BODY)
		error = check_body(&inspect, rule, content_type, body);
	return error;
}
