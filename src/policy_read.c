/* SPDX-License-Identifier: MIT */
/* policy_read.c: the lines of a policy, see policy.h, into roles and their rules. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "policy_impl.h"

/* Where the reader stands. */
struct reader {
	struct policy *policy;
	struct role *role; /* the present one; NULL before the first */
	bool built_in;
	size_t line;
	const char *text; /* the line */
	char *about;	  /* the comment on the lines above, or NULL */
	char *reason;
};

/* ---- words ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span next_word(struct span *rest)
{
	struct span word;

	while (rest->len && is_blank(rest->ptr[0]))
		*rest = span_skip(*rest, 1);
	word = (struct span){.ptr = rest->ptr};
	while (word.len < rest->len && !is_blank(rest->ptr[word.len]))
		word.len++;
	*rest = span_skip(*rest, word.len);
	return word;
}

static int refuse(struct reader *reader, const char *format, ...) PRINTF_LIKE(2, 3);

static int refuse(struct reader *reader, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vsnprintf(reader->reason, POLICY_REASON_BYTES, format, args) < 0)
		reader->reason[0] = '\0';
	va_end(args);
	return -EINVAL;
}

static int words_add(struct inspect_words *list, struct span word)
{
	char **bigger = reallocarray(list->words, list->count + 1, sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	list->words = bigger;
	bigger[list->count] = strndup(word.ptr, word.len);
	if (!bigger[list->count])
		return -ENOMEM;
	list->count++;
	return 0;
}

/* ---- rules ---- */

/* The role gets the rule, unless it has it already. */
static int rule_give(struct reader *reader, size_t index)
{
	struct role *role = reader->role;
	uint16_t *bigger;

	if (!role->has)
		role->has = calloc(POLICY_RULES_TOTAL / 64, sizeof(*role->has));
	if (!role->has)
		return -ENOMEM;
	if (role->has[index / 64] >> (index % 64) & 1)
		return 0;
	if (reader->policy->included_count == POLICY_INCLUDED_MAX)
		return refuse(reader, "more than %zu rules in all roles, with what they include",
			      POLICY_INCLUDED_MAX);
	bigger = reallocarray(role->rules, role->rules_count + 1, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	role->rules = bigger;
	bigger[role->rules_count++] = (uint16_t)index;
	role->has[index / 64] |= UINT64_C(1) << (index % 64);
	reader->policy->included_count++;
	return 0;
}

/* Takes over the rule's pattern, whatever comes of it. */
static int rule_add(struct reader *reader, struct policy_rule *rule)
{
	struct policy *policy = reader->policy;
	struct policy_rule *bigger;

	if (policy->rules_count == POLICY_RULES_TOTAL ||
	    (!reader->built_in && policy->rules_count - policy->rules_built_in == POLICY_RULES_MAX)) {
		free(rule->pattern);
		return refuse(reader, "more than %zu rules", POLICY_RULES_MAX);
	}
	bigger = reallocarray(policy->rules, policy->rules_count + 1, sizeof(*bigger));
	if (!bigger) {
		free(rule->pattern);
		return -ENOMEM;
	}
	policy->rules = bigger;
	bigger[policy->rules_count] = *rule;
	return rule_give(reader, policy->rules_count++);
}

/* ---- directives ---- */

static int read_role(struct reader *reader, struct span rest)
{
	struct span name = next_word(&rest);

	if (!token_name_ok(name) || next_word(&rest).len)
		return refuse(reader, "'role' needs one name of letters, digits, '.', '-', '_'");
	if (policy_role(reader->policy, name))
		return refuse(reader, "there is a role of that name already, built in or above");
	if (reader->policy->roles_count == POLICY_ROLES_MAX)
		return refuse(reader, "more than %zu roles", POLICY_ROLES_MAX);
	reader->role = policy_role_add(reader->policy, name);
	if (!reader->role)
		return -ENOMEM;
	reader->role->built_in = reader->built_in;
	reader->role->about = reader->about;
	return 0;
}

static int merge_words(struct inspect_words *into, const struct inspect_words *from)
{
	int result = 0;

	for (size_t i = 0; i < from->count && result == 0; i++)
		result = words_add(into, span_of(from->words[i]));
	return result;
}

static int merge_limits(struct inspect_limits *into, const struct inspect_limits *from)
{
	/* "No list" of images is every image: of two lists both count, beside none the other one does not. */
	bool images = into->images.count > 0 || from->images.count > 0;
	int result = merge_words(&into->mounts, &from->mounts);

	into->any |= from->any;
	into->privileged |= from->privileged;
	into->host_namespaces |= from->host_namespaces;
	if (result == 0 && images)
		result = merge_words(&into->images, &from->images);
	if (result == 0)
		result = merge_words(&into->capabilities, &from->capabilities);
	return result == 0 ? merge_words(&into->devices, &from->devices) : result;
}

static int read_include(struct reader *reader, struct span rest)
{
	struct span name = next_word(&rest);
	const struct role *from = name.len ? policy_role(reader->policy, name) : NULL;

	if (!from || from == reader->role || next_word(&rest).len)
		return refuse(reader,
			      "'include' needs the name of one role that is built in or stands above");
	if (from->unlimited)
		return refuse(reader, "'%s' cannot be included: it has no rules, it may do everything",
			      from->name);
	for (size_t i = 0; i < from->rules_count; i++) {
		int result = rule_give(reader, from->rules[i]);
		if (result < 0)
			return result;
	}
	return merge_limits(&reader->role->limits, &from->limits);
}

static bool method_read(struct span word, int *method)
{
	static const struct {
		const char *name;
		int method;
	} names[] = {{"*", POLICY_ANY_METHOD}, {"GET", HTTP_GET}, {"HEAD", HTTP_HEAD},
		     {"POST", HTTP_POST},      {"PUT", HTTP_PUT}, {"DELETE", HTTP_DELETE},
		     {"OPTIONS", HTTP_OPTIONS}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!span_eq(word, span_of(names[i].name)))
			continue;
		*method = names[i].method;
		return true;
	}
	return false;
}

static int read_pattern_rule(struct reader *reader, struct policy_rule *rule, struct span method,
			     struct span pattern)
{
	const char *problem;
	int result;

	if (!method_read(method, &rule->method))
		return refuse(reader, "the method is none of GET HEAD POST PUT DELETE OPTIONS *");
	result = policy_pattern_new(&rule->pattern, pattern, &problem);
	if (result == -EINVAL)
		return refuse(reader, "%s", problem);
	if (result < 0)
		return result;
	if (!policy_rule_place(reader->policy, rule)) {
		free(rule->pattern);
		return refuse(reader, "no route of the Docker API has that method and such a path");
	}
	return rule_add(reader, rule);
}

static int read_rights(struct reader *reader, const struct policy_rule *line, struct span rest)
{
	struct span word = next_word(&rest);

	for (; word.len; word = next_word(&rest)) {
		struct policy_rule rule = *line;
		int result;

		rule.right = word;
		if (!policy_rule_place(reader->policy, &rule))
			return refuse(reader,
				      "'%.*s' is no right; 'headgate explain --role admin' lists them",
				      (int)(word.len < 64 ? word.len : 64), word.ptr);
		result = rule_add(reader, &rule);
		if (result < 0)
			return result;
	}
	return 0;
}

static int read_rule(struct reader *reader, struct span rest, bool allows)
{
	const char *what = allows ? "allow" : "deny";
	struct policy_rule rule = {.allows = allows,
				   .method = POLICY_ANY_METHOD,
				   .text = reader->text,
				   .line = reader->built_in ? 0 : reader->line,
				   .role_name = reader->role->name};
	struct span behind = rest, word = next_word(&behind), second = next_word(&behind);

	if (word.len == 0)
		return refuse(reader, "'%s' needs METHOD and PATTERN, or rights", what);
	if (word.ptr[0] == '/')
		return refuse(reader, "'%s' needs a METHOD before the pattern: GET, POST, * ...", what);
	if (second.len == 0 || second.ptr[0] != '/')
		return read_rights(reader, &rule, rest);
	if (next_word(&behind).len)
		return refuse(reader, "'%s' takes one pattern a line", what);
	return read_pattern_rule(reader, &rule, word, second);
}

/* What inspect.h would never find anything below: a path with `..` means what the links on the host make of
 * it. */
static const char *path_problem(struct span path)
{
	if (path.ptr[0] != '/')
		return "not an absolute path";
	for (size_t i = 0; i + 2 < path.len; i++)
		if (memcmp(path.ptr + i, "/..", 3) == 0 && (i + 3 == path.len || path.ptr[i + 3] == '/'))
			return "a path with '..'";
	return NULL;
}

static int read_words(struct reader *reader, struct inspect_words *list, struct span rest, bool paths)
{
	struct span word = next_word(&rest);

	if (word.len == 0)
		return refuse(reader, "a list with nothing in it");
	for (; word.len; word = next_word(&rest)) {
		const char *problem = paths ? path_problem(word) : NULL;
		int result;

		if (problem)
			return refuse(reader, "%s: '%.*s'", problem, (int)(word.len < 64 ? word.len : 64),
				      word.ptr);
		result = words_add(list, word);
		if (result < 0)
			return result;
	}
	return 0;
}

static int read_body(struct reader *reader, struct span rest)
{
	struct inspect_limits *limits = &reader->role->limits;
	struct span what = next_word(&rest);
	bool *flag = span_eq(what, SPAN("any"))		      ? &limits->any
		     : span_eq(what, SPAN("privileged"))      ? &limits->privileged
		     : span_eq(what, SPAN("host-namespaces")) ? &limits->host_namespaces
							      : NULL;

	if (flag) {
		*flag = true;
		return next_word(&rest).len ? refuse(reader, "nothing follows this word") : 0;
	}
	if (span_eq(what, SPAN("mounts")))
		return read_words(reader, &limits->mounts, rest, true);
	if (span_eq(what, SPAN("devices")))
		return read_words(reader, &limits->devices, rest, true);
	if (span_eq(what, SPAN("images")))
		return read_words(reader, &limits->images, rest, false);
	if (span_eq(what, SPAN("capabilities")))
		return read_words(reader, &limits->capabilities, rest, false);
	return refuse(
	    reader, "'body' needs any, privileged, host-namespaces, mounts, devices, images or capabilities");
}

/* Where a comment begins: at a `#` that begins a word, so that a path may hold one. */
static size_t comment_start(struct span line)
{
	size_t i;

	for (i = 0; i < line.len; i++)
		if (line.ptr[i] == '#' && (i == 0 || is_blank(line.ptr[i - 1])))
			break;
	return i;
}

static int read_directive(struct reader *reader, struct span line)
{
	struct span word = next_word(&line);

	reader->text = word.ptr;
	if (span_eq(word, SPAN("role")))
		return read_role(reader, line);
	if (!reader->role)
		return refuse(reader, "the first directive is 'role NAME'");
	if (span_eq(word, SPAN("include")))
		return read_include(reader, line);
	if (span_eq(word, SPAN("allow")) || span_eq(word, SPAN("deny")))
		return read_rule(reader, line, word.ptr[0] == 'a');
	if (span_eq(word, SPAN("body")))
		return read_body(reader, line);
	return refuse(reader, "not a directive: role, include, allow, deny or body");
}

/*
 * A line of a comment: what stood on the lines above it goes on with it. The text is joined where it is;
 * between two lines there was at least the end of the one and the `#` of the other.
 */
static void read_comment(struct reader *reader, struct span line)
{
	char *end = (char *)(uintptr_t)line.ptr;

	if (line.len && reader->about) {
		end = reader->about + strlen(reader->about);
		*end++ = '\n';
		memmove(end, line.ptr, line.len);
	} else {
		reader->about = line.len ? end : NULL;
	}
	end[line.len] = '\0';
}

static int read_line(struct reader *reader, struct span line)
{
	size_t comment = comment_start(line);
	struct span directive = {.ptr = line.ptr, .len = comment}, words = directive;
	int result = 0;

	for (size_t i = 0; i < line.len; i++)
		if (((unsigned char)line.ptr[i] < 0x20 && line.ptr[i] != '\t') || line.ptr[i] == 0x7f)
			return refuse(reader, "a control character, perhaps a carriage return");
	if (next_word(&words).len) {
		result = read_directive(reader, directive);
		reader->about = NULL;
	} else {
		read_comment(reader, span_trim(span_skip(line, comment < line.len ? comment + 1 : comment)));
	}
	return result;
}

int policy_read_text(struct policy *policy, char *text, size_t len, bool built_in, size_t *line_number,
		     char reason[POLICY_REASON_BYTES])
{
	struct reader reader = {.policy = policy, .built_in = built_in, .reason = reason};
	char *end = text + len;
	int result = 0;

	while (text < end && result == 0) {
		char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
		struct span line = {.ptr = text, .len = (size_t)(stop - text)};

		*stop = '\0'; /* the copy has room for one behind its end */
		reader.line++;
		if (memchr(line.ptr, '\0', line.len))
			result = refuse(&reader, "a NUL");
		else
			result = read_line(&reader, line);
		text = stop + 1;
	}
	*line_number = reader.line;
	return result;
}
