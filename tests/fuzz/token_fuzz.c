/* SPDX-License-Identifier: MIT */
/*
 * Tokens: the token file and the fields of a request. The first line of the input is the `token` field,
 * the second Authorization, the rest a token file; each is handed over in a block of just its
 * size. What token_line_write() writes must be read back as it was; the first two lines are tried as prefixes
 * and times, too, and the second is where the client is.
 */
#include "fuzz.h"
#include "token.h"

static struct span copy_span(struct span s)
{
	return (struct span){.ptr = fuzz_copy(s.ptr, s.len), .len = s.len};
}

static void free_span(struct span s)
{
	free((char *)(uintptr_t)s.ptr);
}

/* Takes a line off the front. */
static struct span take_line(struct span *rest)
{
	const char *newline = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
	struct span line = *rest;

	if (newline)
		line.len = (size_t)(newline - rest->ptr);
	*rest = span_skip(*rest, newline ? line.len + 1 : line.len);
	return line;
}

static bool lies_in(struct span part, const char *start, size_t len)
{
	return part.ptr >= start && part.ptr + part.len <= start + len;
}

static void try_fields(struct span token_field, struct span authorization)
{
	static const size_t caps[] = {0, 1, 16, TOKEN_SECRET_MAX_BYTES + 512};

	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		struct span token = copy_span(token_field), field = copy_span(authorization),
			    secret = SPAN("x");
		char *scratch = malloc(caps[i] ? caps[i] : 1);
		bool found;

		FUZZ_CHECK(scratch);
		found = token_from_fields(token, field, scratch, caps[i], &secret);
		FUZZ_CHECK(found == (secret.len != 0));
		FUZZ_CHECK(secret.len <= TOKEN_SECRET_MAX_BYTES);
		if (found)
			FUZZ_CHECK(lies_in(secret, token.ptr, token.len) ||
				   lies_in(secret, field.ptr, field.len) ||
				   lies_in(secret, scratch, caps[i]));
		if (token.len)
			FUZZ_CHECK(!found || secret.ptr == token.ptr);
		free(scratch);
		free_span(token);
		free_span(field);
	}
}

/* Writes every token, reads the text and compares. */
static void try_round_trip(const struct token_set *set)
{
	size_t cap = set->count * TOKEN_LINE_MAX + 1, used = 0, line_number;
	char *text = malloc(cap);
	struct token_set again = {0};
	const char *reason;

	FUZZ_CHECK(text);
	for (size_t i = 0; i < set->count; i++) {
		long length = token_line_write(&set->tokens[i], text + used, cap - used);

		FUZZ_CHECK(length > 0 && (size_t)length < TOKEN_LINE_MAX);
		used += (size_t)length;
	}
	FUZZ_CHECK(token_set_parse(&again, (struct span){.ptr = text, .len = used}, &line_number, &reason) ==
		   0);
	FUZZ_CHECK(again.count == set->count);
	for (size_t i = 0; i < set->count; i++)
		FUZZ_CHECK(memcmp(&again.tokens[i], &set->tokens[i], sizeof(again.tokens[i])) == 0);
	token_set_fini(&again);
	free(text);
}

/* The token with that secret, whether it has ended or not. */
static const struct token *find(const struct token_set *set, struct span secret)
{
	struct token_credential credential;
	const struct token *token;

	(void)token_set_find(set, secret, NULL, 0, &token, &credential);
	return token;
}

/* Each token is found by its name and stands as its fields say, before and after each of its ends. */
static void try_standing(const struct token_set *set, const struct address *from)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct token *token = &set->tokens[i], *found;
		const int64_t times_s[] = {0, token->expires_s - 1, token->expires_s,
					   token->previous_until_s};
		struct token_credential credential = {0};
		bool here = token->sources_count == 0;

		for (size_t j = 0; j < token->sources_count; j++)
			here |= address_prefix_has(&token->sources[j], from);
		FUZZ_CHECK(token_set_name(set, span_of(token->name)) == token);
		for (size_t j = 0; j < ARRAY_SIZE(times_s); j++) {
			bool over = token->expires_s && times_s[j] >= token->expires_s;
			enum token_standing wanted = !here  ? TOKEN_ELSEWHERE
						     : over ? TOKEN_EXPIRED
							    : TOKEN_GOOD;
			int64_t next_s = token_set_next_end(set, times_s[j]);

			FUZZ_CHECK(next_s > times_s[j]);
			FUZZ_CHECK(token_set_find_name(set, span_of(token->name), from, times_s[j], &found,
						       &credential) == wanted &&
				   found == token);
			memcpy(credential.digest, token->digest, sizeof(credential.digest));
			credential.name[0] = '\0';
			FUZZ_CHECK(token_set_recheck(set, &credential, from, times_s[j], &found) == wanted &&
				   found == token);
			if (!token->previous_until_s)
				continue;
			memcpy(credential.digest, token->previous, sizeof(credential.digest));
			over |= times_s[j] >= token->previous_until_s;
			wanted = !here ? TOKEN_ELSEWHERE : over ? TOKEN_EXPIRED : TOKEN_GOOD;
			FUZZ_CHECK(token_set_recheck(set, &credential, from, times_s[j], &found) == wanted &&
				   found == token);
		}
	}
}

/* What is read as a prefix or a time is written the same way again. */
static void try_words(struct span text)
{
	struct span copy = copy_span(text);
	struct address_prefix prefix, again;
	char written[ADDRESS_PREFIX_TEXT_BYTES], time_text[sizeof("2026-11-23T19:30:00Z")];
	int64_t seconds;

	if (address_prefix_parse(&prefix, copy) == 0) {
		address_prefix_write(&prefix, written);
		FUZZ_CHECK(address_prefix_parse(&again, span_of(written)) == 0);
		FUZZ_CHECK(again.bits == prefix.bits && address_eq(&again.address, &prefix.address));
		FUZZ_CHECK(address_prefix_has(&prefix, &prefix.address));
	}
	if (token_time_parse(copy, &seconds) == 0) {
		FUZZ_CHECK(seconds >= 0);
		token_time_write(seconds, time_text);
		FUZZ_CHECK(span_eq(span_of(time_text), copy));
	}
	free_span(copy);
}

static void try_file(struct span text, struct span secret)
{
	struct span copy = copy_span(text);
	struct token_set set = {0};
	const char *reason = NULL;
	size_t line_number = 0, lines = 1;

	for (size_t i = 0; i < copy.len; i++)
		lines += copy.ptr[i] == '\n';
	if (token_set_parse(&set, copy, &line_number, &reason)) {
		FUZZ_CHECK(set.count == 0 && !set.tokens);
		FUZZ_CHECK(reason && line_number >= 1 && line_number <= lines);
	} else {
		struct token added = {.name = "fuzz-found", .role_name = "admin"};
		struct address from;

		/* From somewhere that the input says, if it does. */
		if (address_parse(&from, secret) < 0)
			FUZZ_CHECK(address_parse(&from, SPAN("10.1.2.3")) == 0);
		try_standing(&set, &from);
		try_round_trip(&set);
		FUZZ_CHECK(!find(&set, (struct span){0}));
		FUZZ_CHECK(token_digest(secret, added.digest) == 0);
		if (token_set_add(&set, &added) == 0 && secret.len)
			FUZZ_CHECK(find(&set, secret) &&
				   memcmp(find(&set, secret)->digest, added.digest, TOKEN_DIGEST_BYTES) == 0);
	}
	token_set_fini(&set);
	free_span(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = {.ptr = (const char *)data, .len = size};
	struct span token_field = take_line(&rest), authorization = take_line(&rest);
	bool name_ok = token_name_ok(token_field);

	FUZZ_CHECK(!name_ok || (token_field.len && token_field.len <= TOKEN_NAME_MAX));
	try_fields(token_field, authorization);
	try_fields((struct span){0}, authorization);
	try_words(token_field);
	try_words(authorization);
	try_file(rest, authorization);
	return 0;
}
