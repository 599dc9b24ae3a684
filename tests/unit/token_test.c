/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "token.h"

TestSuite(token, .timeout = 30);

/* SHA-256 of "abc" (FIPS 180-2, B.1), of nothing, and of a million times "a" (B.3). */
#define ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DATE  "2026-11-23T19:30:00Z"

static const char *hex_of(const uint8_t digest[TOKEN_DIGEST_BYTES])
{
	static char hex[65];

	for (size_t i = 0; i < TOKEN_DIGEST_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return hex;
}

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

#define NOW INT64_C(1800000000)

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

struct file_row {
	const char *text;
	size_t count;	    /* tokens, when it is good */
	size_t bad_line;    /* 0 = good */
	const char *reason; /* a part of it */
};

#define LINE(name, digest) name " sha256=" digest " role=admin created=" DATE "\n"
#define ZEROS		   "0000000000000000000000000000000000000000000000000000000000000000"

static const struct file_row files[] = {
    {"", 0, 0, NULL},
    {"\n\n", 0, 0, NULL},
    {"# caf\xc3\xa9, only a comment", 0, 0, NULL},
    {"  \t # indented\n", 0, 0, NULL},
    {LINE("a", ABC), 1, 0, NULL},
    {LINE("a", ABC) LINE("b", EMPTY), 2, 0, NULL},
    {"a sha256=" ABC " role=admin", 1, 0, NULL},
    {"  a\trole=admin \t sha256=" ABC "  \n", 1, 0, NULL},
    {"a sha256=" ABC " role=admin # mine\n", 1, 0, NULL},
    {"a sha256=" ABC " role=admin#mine\n", 1, 0, NULL},
    {"a sha256=BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD role=admin\n", 1, 0, NULL},
    {"a sha256=" ABC " role=admin created=2024-02-29T23:59:59Z\n", 1, 0, NULL},
    /* Bad ones. */
    {"a\n", 0, 1, "sha256 is missing"},
    {"a role=admin\n", 0, 1, "sha256 is missing"},
    {"a sha256=" ABC "\n", 0, 1, "role is missing"},
    {"\n\n" LINE("a", ABC) "b\n", 0, 4, "sha256 is missing"},
    {LINE("a", ABC) LINE("a", EMPTY), 0, 2, "same name"},
    {LINE("a", ABC) LINE("b", ABC), 0, 2, "same sha256"},
    {"-a sha256=" ABC " role=admin\n", 0, 1, "name"},
    {"sha256=" ABC " role=admin\n", 0, 1, "name"},
    {"a sha256=" ABC " role=ro/ot\n", 0, 1, "role is not a name"},
    {"a sha256=" ABC " role=\n", 0, 1, "role is not a name"},
    {"a sha256=" ABC " role=my.own-role_2\n", 1, 0, NULL},
    {"a sha256=" ABC " role=r id=0123abcd from=10.0.0.0/8,::1 expires=" DATE "\n", 1, 0, NULL},
    {"a sha256=" ABC " role=r previous=" EMPTY " previous-until=" DATE "\n", 1, 0, NULL},
    {"a sha256=" ABC " role=r previous=" EMPTY "\n", 0, 1, "belong together"},
    {"a sha256=" ABC " role=r previous-until=" DATE "\n", 0, 1, "belong together"},
    {"a sha256=" ABC " role=r previous=" ABC " previous-until=" DATE "\n", 0, 1, "same sha256"},
    {LINE("b", EMPTY) "a sha256=" ABC " role=r previous=" EMPTY " previous-until=" DATE "\n", 0, 2,
     "same sha256"},
    {"a sha256=" ABC " role=r previous=00 previous-until=" DATE "\n", 0, 1, "previous is not"},
    {"a sha256=" ABC " role=r previous=" EMPTY " previous-until=soon\n", 0, 1, "previous-until is not"},
    {"a sha256=" ABC " role=r expires=1970-01-01T00:00:00Z\n", 0, 1, "expires"},
    {"a sha256=" ABC " role=r expires=1969-12-31T00:00:00Z\n", 0, 1, "expires"},
    {"a sha256=" ABC " role=r expires=2100-02-29T00:00:00Z\n", 0, 1, "expires"},
    {"a sha256=" ABC " role=r id=0123abc\n", 0, 1, "id is not"},
    {"a sha256=" ABC " role=r id=0123abcg\n", 0, 1, "id is not"},
    {"a sha256=" ABC " role=r from=\n", 0, 1, "from"},
    {"a sha256=" ABC " role=r from=10.0.0.1/8\n", 0, 1, "from"},
    {"a sha256=" ABC " role=r from=10.0.0.0/8,\n", 0, 1, "from"},
    {"a sha256=" ABC " role=r from=::1,::2,::3,::4,::5,::6,::7,::8\n", 1, 0, NULL},
    {"a sha256=" ABC " role=r from=::1,::2,::3,::4,::5,::6,::7,::8,::9\n", 0, 1, "more than 8"},
    {"a sha256=" ZEROS " role=r\n", 0, 1, "all zero"},
    {"a sha256=" ABC " role=admin role=admin\n", 0, 1, "twice"},
    {"a sha256=" ABC " sha256=" ABC " role=admin\n", 0, 1, "twice"},
    {"a sha256=" ABC " role=admin created=" DATE " created=" DATE "\n", 0, 1, "twice"},
    {"a sha256=" ABC " role=admin expires=never\n", 0, 1, "expires"},
    {"a sha256=" ABC " role=admin Role=admin\n", 0, 1, "not known"},
    {"a sha256=" ABC " role=admin =\n", 0, 1, "not known"},
    {"a sha256=" ABC " role=admin word\n", 0, 1, "key=value"},
    {"a sha256= role=admin\n", 0, 1, "64 hex"},
    {"a sha256=" ABC "0 role=admin\n", 0, 1, "64 hex"},
    {"a sha256=" ABC "00 role=admin\n", 0, 1, "64 hex"},
    {"a sha256=zz7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad role=admin\n", 0, 1,
     "64 hex"},
    {"a sha256=0x" ZEROS " role=admin\n", 0, 1, "64 hex"},
    {"a sha256=" ABC " role=admin created=2026-13-01T00:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-00-01T00:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-02-30T00:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-00T00:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01T24:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01T00:60:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01T00:00:60Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01T00:00:00\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01T00:00:00.0Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01 00:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin\r\n", 0, 1, "carriage return"},
    {"# x\x01\n", 0, 1, "control character"},
    {"a sha256=" ABC " role=admin\x7f\n", 0, 1, "control character"},
    {"\xef\xbb\xbf" LINE("a", ABC), 0, 1, "name"},
    {"a sha256=" ABC " role=admin\xc2\xa0\n", 0, 1, "role is not a name"},
};

Test(token, files)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const struct file_row *row = &files[i];
		size_t length = strlen(row->text), line = 77;
		char *copy = malloc(length ? length : 1);
		struct token_set set = {0};
		const char *reason;
		int error;

		memcpy(copy, row->text, length);
		error = token_set_parse(&set, (struct span){.ptr = copy, .len = length}, &line, &reason);
		free(copy);
		if (row->bad_line) {
			cr_assert_eq(error, -EINVAL, "row %zu", i);
			cr_assert_eq(line, row->bad_line, "row %zu: %zu", i, line);
			cr_assert_not_null(strstr(reason, row->reason), "row %zu: %s", i, reason);
			cr_assert(set.count == 0 && !set.tokens, "row %zu", i);
		} else {
			cr_assert_eq(error, 0, "row %zu: %s", i, reason);
			cr_assert_eq(set.count, row->count, "row %zu", i);
			if (set.count) {
				cr_assert_str_eq(set.tokens[0].name, "a");
				cr_assert_str_eq(hex_of(set.tokens[0].digest), ABC);
			}
		}
		token_set_fini(&set);
	}
}

/* A file that was cut short anywhere is understood wholly or refused. */
Test(token, truncated_file)
{
	static const char text[] = LINE("a", ABC) LINE("b", EMPTY);
	size_t line;
	const char *reason;

	for (size_t length = 0; length < sizeof(text); length++) {
		struct token_set set = {0};

		if (token_set_parse(&set, (struct span){.ptr = text, .len = length}, &line, &reason) == 0)
			for (size_t i = 0; i < set.count; i++)
				cr_assert_str_eq(hex_of(set.tokens[i].digest), i ? EMPTY : ABC);
		else
			cr_assert_eq(set.count, 0);
		token_set_fini(&set);
	}
}

Test(token, file_over_the_limit)
{
	const size_t width = strlen("n00000 sha256=" ABC " role=admin\n");
	char *text = malloc((TOKEN_SET_MAX + 1) * width + 1);
	struct token_set set = {0};
	const char *reason;
	size_t line;

	for (size_t i = 0; i <= TOKEN_SET_MAX; i++)
		sprintf(text + i * width, "n%05zu sha256=%064zx role=admin\n", i, i + 1);
	cr_assert_eq(token_set_parse(&set, (struct span){text, TOKEN_SET_MAX * width}, &line, &reason), 0);
	cr_assert_eq(set.count, TOKEN_SET_MAX);
	token_set_fini(&set);
	cr_assert_eq(token_set_parse(&set, span_of(text), &line, &reason), -EINVAL);
	cr_assert_eq(line, TOKEN_SET_MAX + 1);
	cr_assert_str_eq(reason, "more than 16384 tokens");
	free(text);
}

Test(token, line_is_written_as_it_is_read)
{
	static const char text[] =
	    "ci.runner sha256=" ABC " role=build id=0123abcd created=2026-11-23T19:30:00Z "
	    "expires=2028-02-29T23:59:59Z from=10.0.0.0/8,192.0.2.1,2001:db8::/32 previous=" EMPTY
	    " previous-until=2026-11-24T19:30:00Z\n";
	struct token_set set = {0};
	char line[TOKEN_LINE_MAX];
	const char *reason;
	size_t number;
	long length;

	cr_assert_eq(token_set_parse(&set, SPAN(text), &number, &reason), 0, "%s", reason);
	length = token_line_write(&set.tokens[0], line, sizeof(line));
	cr_assert_str_eq(line, text);
	cr_assert_eq(length, (long)strlen(text));
	for (size_t cap = 0; cap <= (size_t)length; cap++)
		cr_assert_eq(token_line_write(&set.tokens[0], line, cap), -ENOSPC, "%zu", cap);
	strcpy(set.tokens[0].name, "two words");
	cr_assert_eq(token_line_write(&set.tokens[0], line, sizeof(line)), -EINVAL);
	strcpy(set.tokens[0].name, "one");
	strcpy(set.tokens[0].id, "xyz");
	cr_assert_eq(token_line_write(&set.tokens[0], line, sizeof(line)), -EINVAL);
	token_set_fini(&set);
}

/* The longest that there can be. */
Test(token, line_max)
{
	struct token token = {
	    .previous_until_s = 1, .created_s = 1, .expires_s = 1, .sources_count = TOKEN_SOURCES_MAX};
	char line[TOKEN_LINE_MAX];

	memset(token.name, 'n', TOKEN_NAME_MAX);
	memset(token.role_name, 'r', TOKEN_NAME_MAX);
	strcpy(token.id, "01234567");
	for (size_t i = 0; i < TOKEN_SOURCES_MAX; i++)
		cr_assert_eq(address_prefix_parse(&token.sources[i],
						  SPAN("1111:2222:3333:4444:5555:6666:7777:888e/127")),
			     0);
	cr_assert_gt(token_line_write(&token, line, sizeof(line)), 0);
}

Test(token, times)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {
	    {"1970-01-01T00:00:00Z", 0},	   {"1970-12-31T23:59:59Z", 31535999},
	    {"2000-02-29T12:00:00Z", 951825600},   {"2000-03-01T00:00:00Z", 951868800},
	    {"2026-11-23T19:30:00Z", 1795462200},  {"2100-03-01T00:00:00Z", 4107542400},
	    {"2400-02-29T00:00:00Z", 13574563200}, {"9999-12-31T23:59:59Z", 253402300799},
	};
	char text[sizeof("2026-11-23T19:30:00Z")];
	int64_t seconds;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(token_time_parse(span_of(rows[i].text), &seconds), 0, "%s", rows[i].text);
		cr_assert_eq(seconds, rows[i].seconds, "%s: %lld", rows[i].text, (long long)seconds);
		token_time_write(seconds, text);
		cr_assert_str_eq(text, rows[i].text);
	}
	/* Every day of 130 years, against the C library. */
	for (int64_t day = 0; day < 130 * 365; day++) {
		time_t now = (time_t)(day * 86400 + 3723);
		char wanted[32];
		struct tm tm;

		cr_assert_gt(strftime(wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm)), 0);
		token_time_write((int64_t)now, text);
		cr_assert_str_eq(text, wanted);
		cr_assert_eq(token_time_parse(span_of(text), &seconds), 0);
		cr_assert_eq(seconds, (int64_t)now);
	}
}

struct field_row {
	const char *token, *authorization, *secret; /* secret NULL: none */
};

static const struct field_row fields[] = {
    {"", "", NULL},
    {"abc", "", "abc"},
    {"abc", "Bearer xyz", "abc"},
    {"abc", "nonsense", "abc"},
    {"two words", "", "two words"},
    {"", "Bearer xyz", "xyz"},
    {"", "bearer xyz", "xyz"},
    {"", "BEARER xyz", "xyz"},
    {"", "Bearer    xyz", "xyz"},
    {"", "Bearer hg_00.~+/-_==", "hg_00.~+/-_=="},
    {"", "Bearer x!{}\"", "x!{}\""},
    {"", "Bearer caf\xc3\xa9", "caf\xc3\xa9"},
    {"", "Bearer", NULL},
    {"", "Bearer ", NULL},
    {"", "Bearerxyz", NULL},
    {"", "Bearer\txyz", NULL},
    {"", "Bearer x y", NULL},
    {"", "Bearer x ", NULL},
    {"", "Bearer x\ty", NULL},
    {"", "Bearer x\x01", NULL},
    {"", "Bearer x\x7f", NULL},
    {"", " Bearer x", NULL},
    {"", "Digest xyz", NULL},
    {"", "xyz", NULL},
    /* Basic */
    {"", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "open sesame"}, /* RFC 7617 2 */
    {"", "basic OmFiYw==", "abc"},			       /* :abc */
    {"", "BASIC   dTphYmM=", "abc"},			       /* u:abc */
    {"", "Basic dXNlcjphYmM6ZGVm", "abc:def"},		       /* user:abc:def */
    {"", "Basic dGVzdDoxMjPCow==", "123\xc2\xa3"},	       /* RFC 7617 2.1 */
    {"", "Basic Ojo=", ":"},				       /* :: */
    {"", "Basic dTo=", NULL},				       /* u: */
    {"", "Basic Og==", NULL},				       /* : */
    {"", "Basic YWJj", NULL},				       /* abc, no colon */
    {"", "Basic", NULL},
    {"", "Basic ", NULL},
    {"", "Basic =", NULL},
    {"", "Basic ====", NULL},
    {"", "Basic OmFiYw", NULL},	 /* without padding */
    {"", "Basic OmFiYw=", NULL}, /* with half of it */
    {"", "Basic OmFiYw===", NULL},
    {"", "Basic OmFiYx==", NULL}, /* unused bits not zero */
    {"", "Basic dTphYmN=", NULL}, /* the same, two bits */
    {"", "Basic OmFi Yw==", NULL},
    {"", "Basic OmFi\tYw==", NULL},
    {"", "Basic OmFiYw== ", NULL},
    {"", "Basic Om=iYw==", NULL},
    {"", "Basic OmFi====", NULL},
    {"", "Basic OmF-", NULL}, /* base64url */
    {"", "Basic OmF_", NULL},
    {"", "Basic OmF\xc3", NULL},
    {"", "Basic OmEAYg==", NULL}, /* :a NUL b */
    {"", "Basic OmEKYg==", NULL}, /* :a newline b */
    {"", "Basic f3U6YQ==", NULL}, /* DEL in the user's name */
};

static bool from_fields(struct span token, struct span authorization, size_t cap, char *secret,
			size_t *length)
{
	/* Copies of just that size let the sanitizer see a byte too far. */
	char *token_copy = malloc(token.len ? token.len : 1), *field = malloc(authorization.len + 1);
	char *scratch = malloc(cap ? cap : 1);
	struct span found = SPAN("left over");
	bool ok;

	memcpy(token_copy, token.ptr, token.len);
	field = realloc(field, authorization.len ? authorization.len : 1);
	memcpy(field, authorization.ptr, authorization.len);
	ok = token_from_fields((struct span){token_copy, token.len}, (struct span){field, authorization.len},
			       scratch, cap, &found);
	if (ok)
		memcpy(secret, found.ptr, found.len);
	else
		cr_assert_eq(found.len, 0);
	*length = found.len;
	free(token_copy);
	free(field);
	free(scratch);
	return ok;
}

#define SCRATCH_CAP (TOKEN_SECRET_MAX_BYTES + 512)

Test(token, fields)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char secret[SCRATCH_CAP];
		size_t length;
		bool ok = from_fields(span_of(fields[i].token), span_of(fields[i].authorization), SCRATCH_CAP,
				      secret, &length);

		cr_assert_eq(ok, fields[i].secret != NULL, "row %zu: %s", i, fields[i].authorization);
		if (ok)
			cr_assert(span_eq((struct span){secret, length}, span_of(fields[i].secret)),
				  "row %zu", i);
	}
}

static size_t encode_base64(const char *text, size_t length, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t used = 0;

	for (size_t i = 0; i < length; i += 3) {
		size_t have = length - i < 3 ? length - i : 3;
		uint32_t group = 0;

		for (size_t j = 0; j < 3; j++)
			group = group << 8 | (j < have ? (uint8_t)text[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			out[used++] = j <= have ? digits[group >> (18 - 6 * j) & 63] : '=';
	}
	return used;
}

Test(token, lengths)
{
	static char text[SCRATCH_CAP + 32], field[2 * SCRATCH_CAP], secret[2 * SCRATCH_CAP];
	size_t found;

	memset(text, 'f', sizeof(text));
	memcpy(field, "Bearer ", 7);
	memset(field + 7, 'f', sizeof(field) - 7);
	cr_assert(from_fields((struct span){text, 4096}, SPAN(""), SCRATCH_CAP, secret, &found) &&
		  found == 4096);
	cr_assert(!from_fields((struct span){text, 4097}, SPAN(""), SCRATCH_CAP, secret, &found));
	cr_assert(!from_fields((struct span){text, 4097}, SPAN("Bearer x"), SCRATCH_CAP, secret, &found));
	cr_assert(from_fields(SPAN(""), (struct span){field, 7 + 4096}, SCRATCH_CAP, secret, &found) &&
		  found == 4096);
	cr_assert(!from_fields(SPAN(""), (struct span){field, 7 + 4097}, SCRATCH_CAP, secret, &found));

	memcpy(field, "Basic ", 6);
	for (size_t user = 0; user <= 520; user++) {
		size_t length;

		memset(text, 'f', sizeof(text));
		text[user] = ':';
		/* 4096 + 512 bytes hold the longest secret with a user name of 511. */
		length = encode_base64(text, user + 1 + 4096, field + 6);
		cr_assert_eq(
		    from_fields(SPAN(""), (struct span){field, 6 + length}, SCRATCH_CAP, secret, &found),
		    user <= 511, "%zu", user);
		length = encode_base64(text, user + 1 + 4097, field + 6);
		cr_assert(
		    !from_fields(SPAN(""), (struct span){field, 6 + length}, SCRATCH_CAP, secret, &found));
	}
	/* Whatever the scratch buffer's size, it is not overrun. */
	memset(text, 'f', sizeof(text));
	text[0] = ':';
	for (size_t cap = 0; cap < 64; cap++) {
		size_t length = encode_base64(text, 30, field + 6);

		cr_assert_eq(from_fields(SPAN(""), (struct span){field, 6 + length}, cap, secret, &found),
			     cap >= 30);
	}
}

Test(token, every_password_is_found)
{
	char text[64], field[256], secret[SCRATCH_CAP];
	size_t found;

	memcpy(field, "Basic ", 6);
	for (size_t length = 1; length < 50; length++) {
		size_t coded;

		for (size_t i = 0; i < length; i++)
			text[i + 1] = (char)(0x80 + (i * 37 + length) % 128);
		text[0] = ':';
		coded = encode_base64(text, length + 1, field + 6);
		cr_assert(
		    from_fields(SPAN(""), (struct span){field, 6 + coded}, SCRATCH_CAP, secret, &found));
		cr_assert(span_eq((struct span){secret, found}, (struct span){text + 1, length}));
	}
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
