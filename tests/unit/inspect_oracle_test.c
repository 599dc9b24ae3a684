/* SPDX-License-Identifier: MIT */
/* Judged by others: folding and whole bodies by two Python programs, and what real clients send by the
 * clients. */
#include "inspect_support.h"

#include <glob.h>

TestSuite(inspect_oracle, .timeout = 300);

/* UTF-8 of a character above ASCII. */
static size_t encode(char out[4], unsigned long code)
{
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* Every character of Unicode against every ASCII one: those that are alike are those that Python lists. */
Test(inspect_oracle, folding_of_every_character)
{
	static char letter_of[0x110000];
	FILE *pipe = script("inspect_fold.py", "points");
	unsigned long code;
	char letter;
	size_t listed = 0;

	while (fscanf(pipe, "%lu %c", &code, &letter) == 2) {
		cr_assert_lt(code, sizeof(letter_of));
		letter_of[code] = letter;
		listed++;
	}
	cr_assert_eq(pclose(pipe), 0);
	cr_assert_eq(listed, 2);
	for (code = 0x80; code < sizeof(letter_of); code++) {
		char bytes[4];
		struct span one = {.ptr = bytes, .len = encode(bytes, code)};

		if (code >= 0xd800 && code <= 0xdfff)
			continue;
		for (int ascii = 0; ascii < 0x80; ascii++) {
			char c = (char)ascii;
			bool wanted = letter_of[code] && span_lower(c) == letter_of[code];

			cr_assert_eq(inspect_keys_fold_alike(one, (struct span){.ptr = &c, .len = 1}), wanted,
				     "U+%04lX and '%c'", code, c);
		}
	}
}

Test(inspect_oracle, folding_of_keys)
{
	FILE *pipe = script("inspect_fold.py", "pairs 20261124 50000");
	char a[512], b[512];
	size_t counts[2] = {0};
	int alike;

	while (fscanf(pipe, "%511s %511s %d", a, b, &alike) == 3) {
		struct span first = {.ptr = a, .len = unhex(a)},
			    second = {.ptr = b, .len = b[0] == '-' ? 0 : unhex(b)};

		cr_assert_eq(inspect_keys_fold_alike(first, second), alike == 1, "%.*s and %.*s",
			     (int)first.len, first.ptr, (int)second.len, second.ptr);
		cr_assert_eq(inspect_keys_fold_alike(second, first), alike == 1);
		counts[alike == 1]++;
	}
	cr_assert_eq(pclose(pipe), 0);
	cr_assert(counts[0] > 10000 && counts[1] > 10000, "%zu and %zu", counts[0], counts[1]);
}

Test(inspect_oracle, bodies)
{
	FILE *pipe = script("inspect_oracle.py", "20261124 20000");
	size_t clean = 0, forbidden = 0, size = 0;
	char *line = NULL;

	while (getline(&line, &size, pipe) > 0) {
		bool bad = strncmp(line, "forbidden ", 10) == 0;
		char *hex = strchr(line, ' ') + 1, reason[INSPECT_REASON_BYTES];
		struct span body = {.ptr = hex, .len = unhex(hex)};
		int error = inspect_bytes(&limits_none, "container-create", "", body, reason);

		cr_assert_eq(error, bad ? -EACCES : 0, "%s: %d, %s: %.*s", bad ? "forbidden" : "clean", error,
			     reason, (int)body.len, body.ptr);
		*(bad ? &forbidden : &clean) += 1;
	}
	free(line);
	cr_assert_eq(pclose(pipe), 0);
	cr_assert(clean > 5000 && forbidden > 5000, "%zu and %zu", clean, forbidden);
}

static char *read_file(const char *path, size_t *length)
{
	char *bytes = malloc(65536);
	FILE *file = fopen(path, "r");

	cr_assert(file && bytes);
	*length = fread(bytes, 1, 65536, file);
	cr_assert_lt(*length, 65536);
	fclose(file);
	return bytes;
}

static struct span cut(struct span *rest, char c)
{
	const char *end = memchr(rest->ptr, c, rest->len);
	struct span part = *rest;

	cr_assert_not_null(end);
	part.len = (size_t)(end - rest->ptr);
	*rest = span_skip(*rest, part.len + 1);
	return part;
}

/* The same request, but privileged: in front of what is there already. */
static void assert_not_with_privileged(const struct route *route, struct span path, struct span body)
{
	static const char *const extra[] = {
	    "{\"HostConfig\":{\"Privileged\":true},",
	    "{\"hostconfig\":{\"privileged\":true},",
	    "{\"Ho\\u017ftConfig\":{\"Privileged\":true},",
	    "{\"Privileged\":true,",
	    "{\"TaskTemplate\":{\"ContainerSpec\":{\"CapabilityAdd\":[\"ALL\"]}},",
	};
	char reason[INSPECT_REASON_BYTES], *bytes = malloc(body.len + 128);

	cr_assert_not_null(bytes);
	for (size_t i = 0; i < ARRAY_SIZE(extra); i++) {
		size_t length = strlen(extra[i]);

		memcpy(bytes, extra[i], length);
		memcpy(bytes + length, body.ptr + 1, body.len - 1);
		cr_assert_neq(inspect_request(&limits_none, route, path, SPAN(""), SPAN("application/json"),
					      (struct span){.ptr = bytes, .len = length + body.len - 1},
					      reason),
			      0, "%.200s", bytes);
	}
	free(bytes);
}

/* METHOD TARGET, Content-Type, an empty line, the body: as docker 26.1, compose, docker-py and dockerode send
 * it. */
static void assert_fixture(const char *file)
{
	size_t length;
	char *bytes = read_file(file, &length), reason[INSPECT_REASON_BYTES];
	struct span rest = {.ptr = bytes, .len = length}, target, path, query = {0}, type;
	/* docker and dockerode name a service's network by its ID. */
	char *host_networks[] = {"nftvohcrdok9hrp0i5xkrnl35"};
	struct inspect_limits limits = {.host_networks = {host_networks, 1}};
	const struct route *route;
	const char *mark;
	int error;

	cr_assert(span_eq(cut(&rest, ' '), SPAN("POST")), "%s", file);
	target = path = cut(&rest, '\n');
	mark = memchr(target.ptr, '?', target.len);
	if (mark) {
		path.len = (size_t)(mark - target.ptr);
		query = span_skip(target, path.len);
	}
	type = cut(&rest, '\n');
	cr_assert(span_starts(type, SPAN("Content-Type:")), "%s", file);
	type = span_trim(span_skip(type, 13));
	cr_assert_eq(cut(&rest, '\n').len, 0, "%s", file);
	route = route_find(HTTP_POST, path);
	cr_assert(route && inspect_need(route) != INSPECT_NOTHING, "%s", file);
	error = inspect_request(&limits, route, path, query, type, rest, reason);
	cr_expect_eq(error, 0, "%s: %d, %s", file, error, reason);
	if (inspect_need(route) == INSPECT_BODY && rest.len > 2)
		assert_not_with_privileged(route, path, rest);
	free(bytes);
}

Test(inspect_oracle, what_clients_send_is_accepted)
{
	const char *slash = strrchr(__FILE__, '/');
	char pattern[512];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%.*s/inspect_fixtures/*.http", (int)(slash - __FILE__), __FILE__);
	cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
	cr_assert_geq(found.gl_pathc, 45);
	for (size_t i = 0; i < found.gl_pathc; i++)
		assert_fixture(found.gl_pathv[i]);
	globfree(&found);
}
