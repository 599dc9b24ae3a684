/* SPDX-License-Identifier: MIT */
/*
 * Body inspection: the first line of the input is the route's name, the second the query with its '?', the
 * rest the body. Whoever may do more is refused no more; what a role without rights may send becomes
 * forbidden when it asks for privileged, in whatever spelling; a reason is one line of plain text.
 */
#include <errno.h>

#include "fuzz.h"
#include "inspect.h"

static struct span take_line(struct span *rest)
{
	const char *newline = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
	struct span line = *rest;

	if (newline)
		line.len = (size_t)(newline - rest->ptr);
	*rest = span_skip(*rest, newline ? line.len + 1 : line.len);
	return line;
}

static const struct route *find_route(struct span name)
{
	size_t count;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < count; i++)
		if (span_eq(span_of(table[i].name), name))
			return &table[i];
	return &table[name.len % count];
}

static int ask(const struct inspect_limits *limits, const struct route *route, struct span query,
	       struct span body)
{
	char reason[INSPECT_REASON_BYTES];
	char *copy = fuzz_copy(body.ptr, body.len), *query_copy = fuzz_copy(query.ptr, query.len);
	int error = inspect_request(
	    limits, route, SPAN("/images/a/tag"), (struct span){.ptr = query_copy, .len = query.len},
	    SPAN("application/json"), (struct span){.ptr = copy, .len = body.len}, reason);
	size_t length = strnlen(reason, sizeof(reason));

	FUZZ_CHECK(error == 0 || error == -EACCES || error == -EBADMSG);
	FUZZ_CHECK(length < sizeof(reason) && (length != 0) == (error != 0));
	for (size_t i = 0; i < length; i++)
		FUZZ_CHECK(reason[i] >= ' ' && reason[i] < 0x7f && reason[i] != '"' && reason[i] != '\\');
	free(copy);
	free(query_copy);
	return error;
}

/* `key` as Go would still take it for a field, quoted: case, U+017F, U+212A, escapes. */
static size_t spell(char *out, const char *key, uint64_t *state)
{
	char *start = out;

	*out++ = '"';
	for (; *key; key++) {
		char c = span_lower(*key);
		size_t roll = fuzz_next(state, 4);

		if (roll == 0)
			out += sprintf(out, "\\u%04x", (unsigned)(unsigned char)*key);
		else if (roll == 1 && c == 's')
			out += sprintf(out, fuzz_next(state, 2) ? "\xc5\xbf" : "\\u017F");
		else if (roll == 1 && c == 'k')
			out += sprintf(out, fuzz_next(state, 2) ? "\xe2\x84\xaa" : "\\u212a");
		else
			*out++ = (char)(c >= 'a' && c <= 'z' ? c ^ (roll == 2 ? 0x20 : 0) : c);
	}
	*out++ = '"';
	return (size_t)(out - start);
}

/* The accepted body with what no limited role may ask for in front. */
static void add_privileged(const struct route *route, struct span query, struct span body, uint64_t *state)
{
	static const char *const wrap[] = {"HostConfig", "", "HostConfig", ""};
	static const struct {
		const char *key, *value;
	} asks[] = {
	    {"Privileged", "true"},
	    {"Binds", "[\"/:/x\"]"},
	    {"MaskedPaths", "[]"},
	    {"CapAdd", "[\"SYS_ADMIN\"]"},
	    {"SecurityOpt", "[\"seccomp=unconfined\"]"},
	    {"PidMode", "\"host\""},
	    {"DeviceCgroupRules", "[\"a *:* rwm\"]"},
	};
	struct inspect_limits none = {0};
	size_t start = 0, length = 0, row = fuzz_next(state, ARRAY_SIZE(asks));
	const char *outer = wrap[fuzz_next(state, ARRAY_SIZE(wrap))];
	char *bytes;

	while (start < body.len && body.ptr[start] != '{')
		start++;
	FUZZ_CHECK(start < body.len);
	bytes = malloc(body.len + 512);
	FUZZ_CHECK(bytes);
	bytes[length++] = '{';
	if (*outer) {
		length += spell(bytes + length, outer, state);
		length += (size_t)sprintf(bytes + length, " :{");
	}
	length += spell(bytes + length, asks[row].key, state);
	length += (size_t)sprintf(bytes + length, ": %s%s", asks[row].value, *outer ? "}" : "");
	for (size_t i = start + 1; i < body.len; i++)
		if (!memchr(" \t\r\n", body.ptr[i], 4)) {
			if (body.ptr[i] != '}')
				bytes[length++] = ',';
			break;
		}
	memcpy(bytes + length, body.ptr + start + 1, body.len - start - 1);
	length += body.len - start - 1;
	FUZZ_CHECK(ask(&none, route, query, (struct span){.ptr = bytes, .len = length}) != 0);
	free(bytes);
}

static void try_keys(struct span a, struct span b)
{
	FUZZ_CHECK(inspect_keys_fold_alike(a, a) && inspect_keys_fold_alike(b, b));
	FUZZ_CHECK(inspect_keys_fold_alike(a, b) == inspect_keys_fold_alike(b, a));
	if (span_ieq(a, b))
		FUZZ_CHECK(inspect_keys_fold_alike(a, b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = {.ptr = (const char *)data, .len = size};
	struct span name = take_line(&rest), query = take_line(&rest);
	const struct route *route = find_route(name);
	char *root[] = {"/", "/run/docker.sock"}, *all[] = {"ALL"}, *images[] = {"nginx", "mycorp/"};
	struct inspect_limits none = {0}, most = {0}, any = {.any = true}, some = {0};
	uint64_t state = size;
	int error;

	most.privileged = most.host_namespaces = true;
	most.mounts = most.devices = (struct inspect_words){root, 2};
	most.capabilities = (struct inspect_words){all, 1};
	some.images = (struct inspect_words){images, 2};
	for (size_t i = 0; i < size; i++)
		state = state * 31 + data[i];
	error = ask(&none, route, query, rest);
	FUZZ_CHECK(ask(&any, route, query, rest) == 0);
	if (error == 0)
		FUZZ_CHECK(ask(&most, route, query, rest) == 0);
	if (ask(&some, route, query, rest) == 0)
		FUZZ_CHECK(error == 0);
	if (error == 0 && strcmp(route->name, "container-create") == 0)
		for (int i = 0; i < 4; i++)
			add_privileged(route, query, rest, &state);
	try_keys(name, query);
	return 0;
}
