/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route.h"

TestSuite(route, .timeout = 300);

/* The plain meaning of a pattern, one segment after the other; what route.c does quickly. */
static bool reference_matches(const char *pattern, const char *path)
{
	size_t wanted, given;

	if (!*pattern || !*path)
		return !*pattern && !*path;
	if (*pattern != '/' || *path != '/')
		return false;
	wanted = strcspn(++pattern, "/");
	given = strcspn(++path, "/");
	if (wanted == 2 && strncmp(pattern, "**", 2) == 0) {
		if (given == 0)
			return false;
		/* All of it, or this segment and more. */
		if (reference_matches(pattern + 2, path + given))
			return true;
		return path[given] && reference_matches(pattern - 1, path + given);
	}
	if (wanted == 1 && *pattern == '*' ? given == 0
					   : wanted != given || strncmp(pattern, path, given) != 0)
		return false;
	return reference_matches(pattern + wanted, path + given);
}

static const struct route *reference_find(enum http_method method, const char *path, size_t *matches)
{
	const struct route *table, *found = NULL;
	size_t count;

	*matches = 0;
	table = route_table(&count);
	for (size_t i = 0; i < count; i++) {
		if (table[i].method != method || !reference_matches(table[i].pattern, path))
			continue;
		if (!found)
			found = &table[i];
		(*matches)++;
	}
	return found;
}

#define WORDS_MAX 200

/* Every literal segment of the table, and some that are none. */
static size_t collect_words(char words[WORDS_MAX][32])
{
	static const char *const others[] = {"x", "a.b-c_d", "sha256:0123", "v1.41", "localhost:5000",
					     "*", "**"};
	size_t used = 0, count;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		strcpy(words[used++], others[i]);
	for (size_t i = 0; i < count; i++) {
		for (const char *p = table[i].pattern; *p;) {
			size_t length = strcspn(++p, "/"), j;

			for (j = 0; j < used; j++)
				if (strlen(words[j]) == length && strncmp(words[j], p, length) == 0)
					break;
			if (j == used && length) {
				cr_assert(used < WORDS_MAX && length < 32);
				memcpy(words[used], p, length);
				words[used++][length] = '\0';
			}
			p += length;
		}
	}
	return used;
}

/* Puts `first` and `second` in the place of wildcards; `two` gives a `**` both. */
static void make_path(const char *pattern, const char *first, const char *second, bool two, char *path,
		      size_t cap)
{
	size_t used = 0, wildcards = 0;

	while (*pattern) {
		size_t length = strcspn(++pattern, "/");
		int written;

		if (length == 2 && pattern[0] == '*')
			written = snprintf(path + used, cap - used, two ? "/%s/%s" : "/%s", first, second);
		else if (length == 1 && pattern[0] == '*')
			written = snprintf(path + used, cap - used, "/%s", wildcards++ ? second : first);
		else
			written = snprintf(path + used, cap - used, "/%.*s", (int)length, pattern);
		cr_assert(written > 0 && (size_t)written < cap - used);
		used += (size_t)written;
		pattern += length;
	}
}

/* The one overlap, which the engine has too: what looks like a checkpoint is one. */
static bool overlap_is_known(const struct route *route, enum http_method method, const char *path)
{
	return method == HTTP_DELETE && strcmp(route->name, "checkpoint-delete") == 0 &&
	       reference_matches("/containers/*/checkpoints/*", path);
}

static void check_path(enum http_method method, const char *path)
{
	char versioned[512];
	size_t matches;
	const struct route *wanted = reference_find(method, path, &matches);

	cr_assert_eq(route_find(method, span_of(path)), wanted, "%s: %s instead of %s", path,
		     route_find(method, span_of(path)) ? route_find(method, span_of(path))->name : "nothing",
		     wanted ? wanted->name : "nothing");
	cr_assert(matches <= 1 || overlap_is_known(wanted, method, path), "%s matches %zu rows", path,
		  matches);
	snprintf(versioned, sizeof(versioned), "/v1.41%s", path);
	cr_assert_eq(route_find(method, span_of(versioned)), wanted, "%s", versioned);
}

Test(route, every_row_is_found_and_no_path_has_two)
{
	static char words[WORDS_MAX][32];
	size_t words_count = collect_words(words), count, found = 0;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < count; i++) {
		const char *first = strchr(table[i].pattern, '*');
		bool wild = first != NULL, many = strstr(table[i].pattern, "**") != NULL;
		bool wild_twice = wild && strchr(first + 1, '*') != NULL;
		bool reached = false;
		char path[256];

		for (size_t j = 0; j < (wild ? words_count : 1); j++) {
			for (size_t k = 0; k < (wild_twice ? words_count : 1); k++) {
				for (int two = 0; two <= many; two++) {
					make_path(table[i].pattern, words[j], words[k], two, path,
						  sizeof(path));
					check_path(table[i].method, path);
					reached |= route_find(table[i].method, span_of(path)) == &table[i];
				}
			}
		}
		cr_assert(reached, "%s is never found", table[i].pattern);
		found++;
	}
	cr_assert_eq(found, count);
	cr_assert(count > 100);
}

Test(route, other_methods_find_what_the_table_says)
{
	size_t count;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < count; i++) {
		char path[256];

		make_path(table[i].pattern, "some", "thing", false, path, sizeof(path));
		for (int method = HTTP_POST; method <= HTTP_OTHER; method++)
			check_path((enum http_method)method, path);
		cr_assert_null(route_find(HTTP_PATCH, span_of(path)));
		cr_assert_null(route_find(HTTP_OTHER, span_of(path)));
	}
}

Test(route, head_is_get_where_it_has_no_row)
{
	size_t count;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < count; i++) {
		const struct route *route;
		char path[256];

		if (table[i].method != HTTP_GET)
			continue;
		make_path(table[i].pattern, "some", "thing", false, path, sizeof(path));
		route = route_find(HTTP_HEAD, span_of(path));
		cr_assert_not_null(route, "%s", path);
		if (strcmp(table[i].name, "container-archive") == 0)
			cr_assert_str_eq(route->name, "container-archive-info");
		else
			cr_assert_eq(route, &table[i], "%s", path);
	}
}

/* All that is no message; a row that is missing here must be one. */
static const struct {
	const char *name;
	enum route_kind kind;
} kinds[] = {
    {"build", ROUTE_STREAM},
    {"build-prune", ROUTE_STREAM},
    {"container-prune", ROUTE_STREAM},
    {"image-prune", ROUTE_STREAM},
    {"network-prune", ROUTE_STREAM},
    {"volume-prune", ROUTE_STREAM},
    {"container-logs", ROUTE_STREAM},
    {"service-logs", ROUTE_STREAM},
    {"task-logs", ROUTE_STREAM},
    {"container-stats", ROUTE_STREAM},
    {"container-export", ROUTE_STREAM},
    {"container-archive", ROUTE_STREAM},
    {"container-archive-put", ROUTE_STREAM},
    {"container-wait", ROUTE_STREAM},
    {"container-attach", ROUTE_TUNNEL_LEGACY},
    {"exec-start", ROUTE_TUNNEL_LEGACY},
    {"container-attach-ws", ROUTE_TUNNEL},
    {"session", ROUTE_TUNNEL},
    {"grpc", ROUTE_TUNNEL},
    {"events", ROUTE_STREAM},
    {"image-save", ROUTE_STREAM},
    {"image-save-many", ROUTE_STREAM},
    {"image-load", ROUTE_STREAM},
    {"image-create", ROUTE_STREAM},
    {"image-push", ROUTE_STREAM},
    {"plugin-pull", ROUTE_STREAM},
    {"plugin-push", ROUTE_STREAM},
    {"plugin-upgrade", ROUTE_STREAM},
    {"plugin-create", ROUTE_STREAM},
    {"debug-pprof", ROUTE_STREAM},
};

Test(route, kinds)
{
	size_t count, listed = 0;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < count; i++) {
		enum route_kind wanted = ROUTE_MESSAGE;

		for (size_t j = 0; j < ARRAY_SIZE(kinds); j++) {
			if (strcmp(kinds[j].name, table[i].name) == 0) {
				wanted = kinds[j].kind;
				listed++;
			}
		}
		cr_assert_eq(table[i].kind, wanted, "%s", table[i].name);
	}
	cr_assert_eq(listed, ARRAY_SIZE(kinds), "a name above is not in the table, or twice");
}

/* Groups follow the names, but for what is about something else than it is called after. */
Test(route, groups)
{
	static const struct {
		const char *name, *group;
	} others[] = {
	    {"options", "system"},
	    {"ping", "system"},
	    {"auth", "system"},
	    {"commit", "image"},
	    {"debug-vars", "system"},
	    {"debug-pprof", "system"},
	    {"debug-pprof-index", "system"},
	    {"events", "system"},
	    {"info", "system"},
	    {"system-df", "system"},
	    {"console-metrics", "system"},
	    {"console-maintenance", "system"},
	    {"version", "system"},
	    {"grpc", "session"},
	    {"checkpoint-list", "container"},
	    {"checkpoint-create", "container"},
	    {"checkpoint-delete", "container"},
	};
	size_t count;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < count; i++) {
		const char *group = route_group_name(table[i].group), *wanted = NULL;

		for (size_t j = 0; j < ARRAY_SIZE(others); j++)
			if (strcmp(others[j].name, table[i].name) == 0)
				wanted = others[j].group;
		if (wanted)
			cr_assert_str_eq(group, wanted, "%s", table[i].name);
		else
			cr_assert(strncmp(table[i].name, group, strlen(group)) == 0, "%s is not of %s",
				  table[i].name, group);
	}
}

Test(route, traits)
{
	size_t count;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < count; i++) {
		unsigned traits = table[i].traits;

		cr_assert_eq(!!(traits & ROUTE_READS) + !!(traits & ROUTE_WRITES), 1, "%s", table[i].name);
		cr_assert(!(traits & ROUTE_RUNS) || (traits & ROUTE_WRITES), "%s", table[i].name);
		/* A way in is one, whatever its method is. */
		if (table[i].kind == ROUTE_TUNNEL || table[i].kind == ROUTE_TUNNEL_LEGACY)
			cr_assert_eq(traits & (ROUTE_WRITES | ROUTE_SENSITIVE),
				     ROUTE_WRITES | ROUTE_SENSITIVE, "%s", table[i].name);
		else if (table[i].method == HTTP_GET || table[i].method == HTTP_HEAD)
			cr_assert(traits & ROUTE_READS, "%s", table[i].name);
		else if (table[i].method == HTTP_PUT || table[i].method == HTTP_DELETE)
			cr_assert(traits & ROUTE_WRITES, "%s", table[i].name);
		else if (table[i].method == HTTP_POST)
			cr_assert_eq(!(traits & ROUTE_WRITES), strcmp(table[i].name, "container-wait") == 0,
				     "%s", table[i].name);
	}
}

Test(route, names_are_unique)
{
	size_t count;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			cr_assert(strcmp(table[i].name, table[j].name) != 0 ||
				      strcmp(table[i].name, "network-list") == 0,
				  "%s", table[i].name);
}

/* route_find() bisects: the table has to be in the order of first segments. */
Test(route, table_is_sorted)
{
	size_t count;
	const struct route *table = route_table(&count);

	for (size_t i = 1; i < count; i++) {
		char before[32], now[32];

		snprintf(before, sizeof(before), "%.*s", (int)strcspn(table[i - 1].pattern + 1, "/"),
			 table[i - 1].pattern + 1);
		snprintf(now, sizeof(now), "%.*s", (int)strcspn(table[i].pattern + 1, "/"),
			 table[i].pattern + 1);
		cr_assert(strcmp(before, now) <= 0, "%s before %s", before, now);
	}
}

static const struct {
	enum http_method method;
	const char *path, *name; /* NULL: unknown */
} examples[] = {
    {HTTP_GET, "/_ping", "ping"},
    {HTTP_HEAD, "/_ping", "ping"},
    {HTTP_HEAD, "/v1.47/_ping", "ping"},
    {HTTP_GET, "/images/json", "image-list"},
    {HTTP_GET, "/images/search", "image-search"},
    {HTTP_GET, "/images/get", "image-save-many"},
    {HTTP_GET, "/images/busybox/get", "image-save"},
    {HTTP_GET, "/images/get/get", "image-save"},
    {HTTP_GET, "/images/a/b/json", "image-inspect"},
    {HTTP_GET, "/images/json/json", "image-inspect"},
    {HTTP_GET, "/images/localhost:5000/a/b/c/d/e/f/g:tag/json", "image-inspect"},
    {HTTP_GET, "/images/a@sha256:00/history", "image-history"},
    {HTTP_GET, "/images/a/b/c/attestations", "image-attestations"},
    {HTTP_GET, "/images/a", NULL},
    {HTTP_GET, "/images", NULL},
    {HTTP_GET, "/images/", NULL},
    {HTTP_GET, "/images/load", NULL},
    {HTTP_POST, "/images/load", "image-load"},
    {HTTP_POST, "/images/load/push", "image-push"},
    {HTTP_POST, "/images/a/b/push", "image-push"},
    {HTTP_POST, "/images/a/b/tag", "image-tag"},
    {HTTP_DELETE, "/images/a/b/c", "image-delete"},
    {HTTP_DELETE, "/images/json", "image-delete"},
    {HTTP_DELETE, "/images/a/", NULL},
    {HTTP_GET, "/containers/json", "container-list"},
    {HTTP_GET, "/containers/json/json", "container-inspect"},
    {HTTP_GET, "/containers/x/json", "container-inspect"},
    {HTTP_GET, "/containers/x/y/json", NULL},
    {HTTP_GET, "/containers/x/attach/ws", "container-attach-ws"},
    {HTTP_GET, "/containers/x/attach", NULL},
    {HTTP_POST, "/containers/x/attach", "container-attach"},
    {HTTP_POST, "/containers/x/attach/ws", NULL},
    {HTTP_HEAD, "/containers/x/archive", "container-archive-info"},
    {HTTP_PUT, "/containers/x/archive", "container-archive-put"},
    {HTTP_DELETE, "/containers/x", "container-delete"},
    {HTTP_DELETE, "/containers/parent/alias", "container-delete"},
    {HTTP_DELETE, "/containers/x/checkpoints/c", "checkpoint-delete"},
    {HTTP_DELETE, "/containers/x/checkpoints", "container-delete"},
    {HTTP_DELETE, "/containers/", NULL},
    {HTTP_GET, "/exec/x/json", "exec-inspect"},
    {HTTP_POST, "/exec/x/start", "exec-start"},
    {HTTP_POST, "/v1.24/exec/x/start", "exec-start"},
    {HTTP_POST, "/build", "build"},
    {HTTP_POST, "/build/prune", "build-prune"},
    {HTTP_POST, "/session", "session"},
    {HTTP_POST, "/grpc", "grpc"},
    {HTTP_GET, "/grpc", NULL},
    {HTTP_GET, "/networks", "network-list"},
    {HTTP_GET, "/networks/", "network-list"},
    {HTTP_GET, "/networks/a/b", "network-inspect"},
    {HTTP_POST, "/networks/a/disconnect", "network-disconnect"},
    {HTTP_PUT, "/volumes/v", "volume-update"},
    {HTTP_GET, "/plugins/vieux/sshfs:latest/json", "plugin-inspect"},
    {HTTP_GET, "/plugins/privileges", "plugin-privileges"},
    {HTTP_GET, "/distribution/docker.io/library/alpine/json", "distribution-inspect"},
    {HTTP_GET, "/swarm", "swarm-inspect"},
    {HTTP_GET, "/swarm/unlockkey", "swarm-unlockkey"},
    {HTTP_GET, "/services/s/logs", "service-logs"},
    {HTTP_GET, "/services/s/t/logs", NULL},
    {HTTP_GET, "/tasks/t/logs", "task-logs"},
    {HTTP_OPTIONS, "/containers/json", "options"},
    {HTTP_OPTIONS, "/what/ever", "options"},
    {HTTP_OPTIONS, "/", NULL},
    {HTTP_GET, "/what/ever", NULL},
    {HTTP_GET, "/", NULL},
    {HTTP_GET, "", NULL},
    {HTTP_GET, "_ping", NULL},
    {HTTP_GET, "x/_ping", NULL},
    {HTTP_GET, "/_ping/", NULL},
    {HTTP_GET, "/_PING", NULL},
    {HTTP_GET, "/_pin", NULL},
    {HTTP_GET, "/_pingx", NULL},
    {HTTP_GET, "//_ping", NULL},
    {HTTP_GET, "/images//json", NULL},
    {HTTP_GET, "/images/a//json", NULL},
    {HTTP_GET, "/containers//json", NULL},
    /* A wildcard of the table is no wildcard in a request. */
    {HTTP_GET, "/**", NULL},
    {HTTP_GET, "/containers/*", NULL},
    /* One version prefix, well-formed. */
    {HTTP_GET, "/v1.41/v1.41/info", NULL},
    {HTTP_GET, "/v1/info", NULL},
    {HTTP_GET, "/v1./info", NULL},
    {HTTP_GET, "/v.1/info", NULL},
    {HTTP_GET, "/v1.4.1/info", NULL},
    {HTTP_GET, "/v1.4a/info", NULL},
    {HTTP_GET, "/V1.41/info", NULL},
    {HTTP_GET, "/v1.41", NULL},
    {HTTP_GET, "/v1.41/", NULL},
    {HTTP_GET, "/v/info", NULL},
    {HTTP_GET, "/v1.41info", NULL},
    {HTTP_GET, "/version", "version"},
    {HTTP_GET, "/v1.41/version", "version"},
    {HTTP_GET, "/volumes", "volume-list"},
    {HTTP_GET, "/v1.00000000000000000000/info", "info"},
};

Test(route, examples)
{
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		/* A copy of just that size lets the sanitizer see a byte too far. */
		size_t length = strlen(examples[i].path);
		char *copy = malloc(length ? length : 1);
		const struct route *route;

		memcpy(copy, examples[i].path, length);
		route = route_find(examples[i].method, (struct span){.ptr = copy, .len = length});
		cr_assert_str_eq(route ? route->name : "", examples[i].name ? examples[i].name : "", "%s",
				 examples[i].path);
		free(copy);
	}
	cr_assert_null(route_find(HTTP_GET, (struct span){0}));
}

Test(route, nul_is_a_byte_like_any_other)
{
	cr_assert_null(route_find(HTTP_GET, SPAN("/info\0")));
	cr_assert_null(route_find(HTTP_GET, SPAN("/images/a\0/json/x")));
	cr_assert_str_eq(route_find(HTTP_GET, SPAN("/images/a\0b/json"))->name, "image-inspect");
}

Test(route, version_is_stripped_once)
{
	cr_assert(span_eq(route_strip_version(SPAN("/v1.41/info")), SPAN("/info")));
	cr_assert(span_eq(route_strip_version(SPAN("/v1.41/v1.41/info")), SPAN("/v1.41/info")));
	cr_assert(span_eq(route_strip_version(SPAN("/v1.41/")), SPAN("/")));
	cr_assert(span_eq(route_strip_version(SPAN("/v1.41")), SPAN("/v1.41")));
	cr_assert(span_eq(route_strip_version(SPAN("/volumes/x")), SPAN("/volumes/x")));
	cr_assert(span_eq(route_strip_version(SPAN("/v")), SPAN("/v")));
	cr_assert(span_eq(route_strip_version(SPAN("")), SPAN("")));
	cr_assert(span_eq(route_strip_version((struct span){0}), SPAN("")));
}

Test(route, very_long_path)
{
	size_t length = 65536;
	char *path = malloc(length);

	for (size_t i = 0; i < length; i++)
		path[i] = i & 1 ? 'a' : '/';
	memcpy(path, "/images/a", 9);
	memcpy(path + length - 6, "a/json", 6);
	cr_assert_str_eq(route_find(HTTP_GET, (struct span){.ptr = path, .len = length})->name,
			 "image-inspect");
	free(path);
}
