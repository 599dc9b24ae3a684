/* SPDX-License-Identifier: MIT */
/* token_test.c: the set, who is found in it and how it stands, and new secrets. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "token_support.h"

TestSuite(token, .timeout = 300);

Test(token, digest_is_sha256)
{
	uint8_t digest[TOKEN_DIGEST_BYTES];

	cr_assert_eq(token_digest(SPAN("abc"), digest), 0);
	cr_assert_str_eq(hex_of(digest), ABC);
	cr_assert_eq(token_digest((struct span){0}, digest), 0);
	cr_assert_str_eq(hex_of(digest), EMPTY);
}

static const struct {
	const char *name;
	bool ok;
} names[] = {
    {"a", true},
    {"0", true},
    {"ci-runner_2.prod", true},
    {"A.", true},
    {"", false},
    {"-a", false},
    {".a", false},
    {"_a", false},
    {"a b", false},
    {"a/b", false},
    {"a=b", false},
    {"a#", false},
    {"caf\xc3\xa9", false},
    {"a\n", false},
    /* 63 and 64 */
    {"a23456789012345678901234567890123456789012345678901234567890123", true},
    {"a234567890123456789012345678901234567890123456789012345678901234", false},
};

Test(token, names)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cr_assert_eq(token_name_ok(span_of(names[i].name)), names[i].ok, "'%s'", names[i].name);
	cr_assert(!token_name_ok(SPAN("a\0b")), "strchr() finds the NUL at the end of its string too");
}

/* Adds a token that may do everything, from everywhere, for ever. */
static int add(struct token_set *set, const char *name, const uint8_t digest[TOKEN_DIGEST_BYTES])
{
	struct token token = {.role_name = "admin"};

	strlcpy(token.name, name, sizeof(token.name));
	memcpy(token.digest, digest, TOKEN_DIGEST_BYTES);
	return token_set_add(set, &token);
}

/* The token with that secret, if it is good now. */
static const struct token *find(const struct token_set *set, struct span secret)
{
	struct token_credential credential;
	const struct token *token;

	return token_set_find(set, secret, NULL, NOW, &token, &credential) == TOKEN_GOOD ? token : NULL;
}

/* A digest that no other `number` has. */
static void number_digest(size_t number, uint8_t digest[TOKEN_DIGEST_BYTES])
{
	char text[32];

	snprintf(text, sizeof(text), "secret-%zu", number);
	cr_assert_eq(token_digest(span_of(text), digest), 0);
}

Test(token, set_takes_its_limit_and_finds_each)
{
	struct token_set set = {0};
	uint8_t digest[TOKEN_DIGEST_BYTES];
	char text[32];

	for (size_t i = 0; i < TOKEN_SET_MAX; i++) {
		snprintf(text, sizeof(text), "name-%zu", i);
		number_digest(i, digest);
		cr_assert_eq(add(&set, text, digest), 0);
	}
	cr_assert_eq(set.count, TOKEN_SET_MAX);
	number_digest(TOKEN_SET_MAX + 1, digest);
	cr_assert_eq(add(&set, "one-more", digest), -E2BIG);
	for (size_t i = 0; i < TOKEN_SET_MAX; i += 37) {
		snprintf(text, sizeof(text), "secret-%zu", i);
		cr_assert_eq(find(&set, span_of(text)), &set.tokens[i], "%zu", i);
	}
	snprintf(text, sizeof(text), "secret-%zu", TOKEN_SET_MAX - 1);
	cr_assert_eq(find(&set, span_of(text)), &set.tokens[TOKEN_SET_MAX - 1]);
	cr_assert_null(find(&set, SPAN("secret-16384")));
	token_set_fini(&set);
	cr_assert_null(set.tokens);
	cr_assert_eq(set.count, 0);
	token_set_fini(&set);
}

Test(token, set_refuses)
{
	struct token_set set = {0};
	uint8_t digest[TOKEN_DIGEST_BYTES] = {1}, other[TOKEN_DIGEST_BYTES] = {2},
		zero[TOKEN_DIGEST_BYTES] = {0};
	struct token rotated = {.name = "r", .role_name = "admin", .previous_until_s = NOW};

	cr_assert_eq(add(&set, "a", digest), 0);
	cr_assert_eq(add(&set, "a", other), -EEXIST);
	cr_assert_eq(add(&set, "b", digest), -ENOTUNIQ, "taking `a` away would not revoke that secret");
	cr_assert_eq(add(&set, "", other), -EINVAL);
	cr_assert_eq(add(&set, "b c", other), -EINVAL);
	cr_assert_eq(add(&set, "b", zero), -EINVAL, "it stands for no secret");
	memcpy(rotated.digest, other, sizeof(other));
	memcpy(rotated.previous, digest, sizeof(digest));
	cr_assert_eq(token_set_add(&set, &rotated), -ENOTUNIQ, "the one before its rotation is another's");
	memcpy(rotated.previous, other, sizeof(other));
	cr_assert_eq(token_set_add(&set, &rotated), -ENOTUNIQ, "and not its own");
	rotated.previous_until_s = 0;
	cr_assert_eq(token_set_add(&set, &rotated), 0);
	strcpy(rotated.name, "s");
	strcpy(rotated.role_name, "no role");
	cr_assert_eq(token_set_add(&set, &rotated), -EINVAL);
	cr_assert_eq(set.count, 2);
	token_set_fini(&set);
}

Test(token, find)
{
	struct token_set set = {0};
	uint8_t digest[TOKEN_DIGEST_BYTES];

	cr_assert_null(find(&set, SPAN("abc")));
	cr_assert_eq(token_digest((struct span){0}, digest), 0);
	cr_assert_eq(add(&set, "empty", digest), 0);
	cr_assert_null(find(&set, (struct span){0}), "an empty secret is never known");
	cr_assert_eq(token_digest(SPAN("abc"), digest), 0);
	cr_assert_eq(add(&set, "abc", digest), 0);
	cr_assert_str_eq(find(&set, SPAN("abc"))->name, "abc");
	cr_assert_null(find(&set, SPAN("ab")));
	cr_assert_null(find(&set, SPAN("abcd")));
	cr_assert_null(find(&set, SPAN("ABC")));
	cr_assert_null(find(&set, SPAN("abc\0")));
	/* Digests that differ in one bit only, wherever it is (those that decide the slot, too). */
	for (size_t bit = 0; bit < 8 * TOKEN_DIGEST_BYTES; bit++) {
		set.tokens[1].digest[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_null(find(&set, SPAN("abc")), "%zu", bit);
		set.tokens[1].digest[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_assert_str_eq(find(&set, SPAN("abc"))->name, "abc");
	token_set_fini(&set);
}

static enum token_standing standing(const struct token_set *set, const char *secret, const char *from,
				    int64_t now_s)
{
	struct token_credential credential;
	const struct token *token;
	struct address address;

	if (from)
		cr_assert_eq(address_parse(&address, span_of(from)), 0);
	return token_set_find(set, span_of(secret), from ? &address : NULL, now_s, &token, &credential);
}

Test(token, expires)
{
	struct token_set set = {0};
	struct token token = {.name = "a", .role_name = "admin", .expires_s = NOW};

	cr_assert_eq(token_digest(SPAN("abc"), token.digest), 0);
	cr_assert_eq(token_set_add(&set, &token), 0);
	cr_assert_eq(standing(&set, "abc", NULL, NOW - 1), TOKEN_GOOD);
	cr_assert_eq(standing(&set, "abc", NULL, NOW), TOKEN_EXPIRED);
	cr_assert_eq(standing(&set, "abd", NULL, NOW), TOKEN_UNKNOWN);
	cr_assert_eq(token_set_next_end(&set, NOW - 5), NOW);
	cr_assert_eq(token_set_next_end(&set, NOW), INT64_MAX, "it has ended already");
	token_set_fini(&set);
}

Test(token, is_for_addresses)
{
	struct token_set set = {0};
	struct token token = {.name = "a", .role_name = "admin", .sources_count = 2, .expires_s = NOW};

	cr_assert_eq(token_digest(SPAN("abc"), token.digest), 0);
	cr_assert_eq(address_prefix_parse(&token.sources[0], SPAN("10.0.0.0/8")), 0);
	cr_assert_eq(address_prefix_parse(&token.sources[1], SPAN("2001:db8::/32")), 0);
	cr_assert_eq(token_set_add(&set, &token), 0);
	cr_assert_eq(standing(&set, "abc", "10.9.8.7", 0), TOKEN_GOOD);
	cr_assert_eq(standing(&set, "abc", "::ffff:10.9.8.7", 0), TOKEN_GOOD);
	cr_assert_eq(standing(&set, "abc", "2001:db8:1::2", 0), TOKEN_GOOD);
	cr_assert_eq(standing(&set, "abc", "11.0.0.1", 0), TOKEN_ELSEWHERE);
	cr_assert_eq(standing(&set, "abc", "2001:db9::", 0), TOKEN_ELSEWHERE);
	cr_assert_eq(standing(&set, "abc", "::10.9.8.7", 0), TOKEN_ELSEWHERE);
	cr_assert_eq(standing(&set, "abc", NULL, 0), TOKEN_GOOD, "a unix socket is everywhere");
	cr_assert_eq(standing(&set, "abc", "11.0.0.1", NOW), TOKEN_ELSEWHERE, "not even that it has expired");
	token_set_fini(&set);
}

/* Both secrets are good for a while; then the streams of the old one end, too. */
Test(token, rotated)
{
	struct token_set set = {0};
	struct token token = {.name = "a", .role_name = "admin", .previous_until_s = NOW};
	struct token_credential old_credential, new_credential;
	const struct token *found;

	cr_assert_eq(token_digest(SPAN("new"), token.digest), 0);
	cr_assert_eq(token_digest(SPAN("old"), token.previous), 0);
	cr_assert_eq(token_set_add(&set, &token), 0);
	cr_assert_eq(token_set_find(&set, SPAN("old"), NULL, NOW - 1, &found, &old_credential), TOKEN_GOOD);
	cr_assert_eq(found, &set.tokens[0]);
	cr_assert_eq(token_set_find(&set, SPAN("new"), NULL, NOW + 9, &found, &new_credential), TOKEN_GOOD);
	cr_assert_eq(standing(&set, "old", NULL, NOW), TOKEN_EXPIRED);
	cr_assert_eq(token_set_next_end(&set, 0), NOW);
	cr_assert_eq(token_set_recheck(&set, &old_credential, NULL, NOW - 1, &found), TOKEN_GOOD);
	cr_assert_eq(token_set_recheck(&set, &old_credential, NULL, NOW, &found), TOKEN_EXPIRED);
	cr_assert_eq(token_set_recheck(&set, &new_credential, NULL, NOW, &found), TOKEN_GOOD);
	token_set_fini(&set);
	cr_assert_eq(token_set_recheck(&set, &new_credential, NULL, NOW, &found), TOKEN_UNKNOWN, "revoked");
}

Test(token, by_name)
{
	struct token_set set = {0};
	struct token token = {.name = "ci", .role_name = "admin", .expires_s = NOW};
	struct token_credential credential;
	const struct token *found;

	cr_assert_eq(token_digest(SPAN("abc"), token.digest), 0);
	cr_assert_eq(token_set_add(&set, &token), 0);
	cr_assert_eq(token_set_find_name(&set, SPAN("ci"), NULL, 0, &found, &credential), TOKEN_GOOD);
	cr_assert_str_eq(found->name, "ci");
	cr_assert_eq(token_set_recheck(&set, &credential, NULL, 0, &found), TOKEN_GOOD);
	cr_assert_eq(token_set_recheck(&set, &credential, NULL, NOW, &found), TOKEN_EXPIRED);
	cr_assert_eq(token_set_find_name(&set, SPAN("CI"), NULL, 0, &found, &credential), TOKEN_UNKNOWN);
	cr_assert_eq(token_set_find_name(&set, SPAN("c"), NULL, 0, &found, &credential), TOKEN_UNKNOWN);
	cr_assert_eq(token_set_find_name(&set, SPAN("ci\0"), NULL, 0, &found, &credential), TOKEN_UNKNOWN);
	cr_assert_eq(token_set_find_name(&set, (struct span){0}, NULL, 0, &found, &credential),
		     TOKEN_UNKNOWN);
	cr_assert_str_eq(token_set_name(&set, SPAN("ci"))->role_name, "admin");
	cr_assert_null(token_set_name(&set, SPAN("cj")));
	token_set_fini(&set);
}

static void *find_often(void *arg)
{
	const struct token_set *set = arg;
	size_t found = 0;

	for (int i = 0; i < 500; i++)
		found += find(set, SPAN("abc")) == set->tokens;
	return found == 500 ? arg : NULL;
}

/* The first digests of a process, from several threads at once. */
Test(token, threads_share_a_set)
{
	uint8_t digest[TOKEN_DIGEST_BYTES];
	struct token_set set = {0};
	pthread_t threads[4];

	for (size_t i = 0; i < 32; i++)
		cr_assert_eq(sscanf(&ABC[2 * i], "%2hhx", &digest[i]), 1);
	cr_assert_eq(add(&set, "abc", digest), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, find_often, &set), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *result = NULL;

		pthread_join(threads[i], &result);
		cr_assert_eq(result, &set);
	}
	token_set_fini(&set);
}

Test(token, generated_secrets)
{
	char first[TOKEN_GENERATED_BYTES], second[TOKEN_GENERATED_BYTES];
	unsigned seen = 0;

	cr_assert_eq(token_generate(first), 0);
	cr_assert_eq(strlen(first), TOKEN_GENERATED_BYTES - 1);
	cr_assert_eq(strncmp(first, "hg_", 3), 0);
	cr_assert_eq(first[11], '_');
	for (int round = 0; round < 20; round++) {
		cr_assert_eq(token_generate(second), 0);
		cr_assert_str_neq(first, second);
		for (size_t i = 3; i < TOKEN_GENERATED_BYTES - 1; i++) {
			const char *digit = strchr("0123456789abcdef", second[i]);

			if (i == 11)
				continue;
			cr_assert_not_null(digit, "%s", second);
			seen |= 1U << (*digit <= '9' ? *digit - '0' : *digit - 'a' + 10);
		}
	}
	cr_assert_eq(seen, 0xffff, "not every digit in 1440: %x", seen);
}

/* ---- the set as it grows ---- */

/* A token with that number: name, secret and the secret before. */
static struct token numbered(size_t number, bool rotated)
{
	struct token token = {.role_name = "read", .previous_until_s = rotated ? NOW : 0};
	char text[40];

	snprintf(token.name, sizeof(token.name), "name-%zu", number);
	number_digest(number, token.digest);
	snprintf(text, sizeof(text), "before-%zu", number);
	cr_assert_eq(token_digest(span_of(text), token.previous), 0);
	return token;
}

static enum token_standing standing_number(const struct token_set *set, const char *kind, size_t number,
					   const struct token **token)
{
	struct token_credential credential;
	char text[40];

	snprintf(text, sizeof(text), "%s-%zu", kind, number);
	return token_set_find(set, span_of(text), NULL, NOW - 1, token, &credential);
}

static void find_all_ways(const struct token_set *set, size_t number)
{
	const struct token *token, *wanted = &set->tokens[number];
	char text[40];

	cr_assert_eq(standing_number(set, "secret", number, &token), TOKEN_GOOD, "%zu", number);
	cr_assert_eq(token, wanted);
	cr_assert_eq(standing_number(set, "before", number, &token), number % 3 ? TOKEN_GOOD : TOKEN_UNKNOWN,
		     "%zu", number);
	cr_assert_eq(token, number % 3 ? wanted : NULL);
	snprintf(text, sizeof(text), "name-%zu", number);
	cr_assert_eq(token_set_name(set, span_of(text)), wanted, "%s", text);
}

/* Each growth of the index leaves everybody where he is found. */
Test(token, all_are_found_whenever_the_index_has_grown)
{
	struct token_set set = {0};
	const struct token *token;

	for (size_t i = 0; i < 700; i++) {
		struct token one = numbered(i, i % 3);

		one.role = (const struct role *)&set; /* whoever it was of: it is bound anew */
		cr_assert_eq(token_set_add(&set, &one), 0, "%zu", i);
		cr_assert_null(set.tokens[i].role);
		for (size_t j = 0; j <= i; j += i < 70 ? 1 : 41)
			find_all_ways(&set, j);
		cr_assert_eq(standing_number(&set, "secret", i + 1, &token), TOKEN_UNKNOWN);
		cr_assert_null(token);
	}
	token_set_fini(&set);
}

/* Twice as many digests as tokens. */
Test(token, the_most_tokens_may_all_be_rotated)
{
	struct token_set set = {0};
	const struct token *token;

	for (size_t i = 0; i < TOKEN_SET_MAX; i++) {
		struct token one = numbered(i, true);

		cr_assert_eq(token_set_add(&set, &one), 0, "%zu", i);
	}
	for (size_t i = 0; i < TOKEN_SET_MAX; i++) {
		cr_assert_eq(standing_number(&set, "secret", i, &token), TOKEN_GOOD);
		cr_assert_eq(token, &set.tokens[i]);
		cr_assert_eq(standing_number(&set, "before", i, &token), TOKEN_GOOD);
		cr_assert_eq(token, &set.tokens[i]);
	}
	cr_assert_eq(standing_number(&set, "before", TOKEN_SET_MAX, &token), TOKEN_UNKNOWN);
	token_set_fini(&set);
}

/* A secret belongs to one line, as the one before a rotation, too: else revoking that line would not end it.
 */
Test(token, a_secret_before_a_rotation_is_nobody_elses)
{
	struct token_set set = {0};
	struct token a = numbered(1, true), b = numbered(2, true);

	cr_assert_eq(token_set_add(&set, &a), 0);
	memcpy(b.previous, a.previous, sizeof(b.previous));
	cr_assert_eq(token_set_add(&set, &b), -ENOTUNIQ, "before and before");
	memcpy(b.digest, a.previous, sizeof(b.digest));
	b.previous_until_s = 0;
	cr_assert_eq(token_set_add(&set, &b), -ENOTUNIQ, "now and before");
	b = numbered(2, true);
	memset(b.previous, 0, sizeof(b.previous));
	cr_assert_eq(token_set_add(&set, &b), -EINVAL, "all zero is no secret");
	b.previous_until_s = 0;
	cr_assert_eq(token_set_add(&set, &b), 0);
	cr_assert_eq(set.count, 2);
	token_set_fini(&set);
}

Test(token, what_no_token_can_be_is_refused)
{
	struct token_set set = {0};
	struct token token = numbered(1, true);

	token.sources_count = TOKEN_SOURCES_MAX + 1;
	cr_assert_eq(token_set_add(&set, &token), -EINVAL);
	token.sources_count = TOKEN_SOURCES_MAX;
	token.expires_s = -1;
	cr_assert_eq(token_set_add(&set, &token), -EINVAL);
	token.expires_s = 0;
	token.created_s = -1;
	cr_assert_eq(token_set_add(&set, &token), -EINVAL);
	token.created_s = 0;
	token.previous_until_s = -1;
	cr_assert_eq(token_set_add(&set, &token), -EINVAL);
	token.previous_until_s = INT64_MAX;
	cr_assert_eq(token_set_add(&set, &token), 0);
	token_set_fini(&set);
}

Test(token, next_end_is_the_nearest_that_is_to_come)
{
	/* Expires, and the end of the secret before. */
	static const int64_t ends_s[][2] = {{0, 0}, {500, 0}, {0, 300}, {400, 100}, {INT64_MAX - 1, 0}};
	static const struct {
		int64_t now_s, next_s;
	} rows[] = {{0, 100},	{99, 100},  {100, 300},		  {299, 300},
		    {300, 400}, {450, 500}, {500, INT64_MAX - 1}, {INT64_MAX - 1, INT64_MAX}};
	struct token_set set = {0};

	cr_assert_eq(token_set_next_end(&set, 0), INT64_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(ends_s); i++) {
		struct token token = numbered(i, false);

		token.expires_s = ends_s[i][0];
		token.previous_until_s = ends_s[i][1];
		cr_assert_eq(token_set_add(&set, &token), 0);
		if (i == 0)
			cr_assert_eq(token_set_next_end(&set, 0), INT64_MAX);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_assert_eq(token_set_next_end(&set, rows[i].now_s), rows[i].next_s, "row %zu", i);
	token_set_fini(&set);
}
