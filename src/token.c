/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A set is an array of tokens and two open-addressed tables over it, by digest (of the secret, and of the one
 * before a rotation) and by name. Both are never more than half full. Where a digest is looked for depends on
 * a random key of the set, so how long a search takes tells nothing about the digests in it, and whether it
 * is the right one is compared in constant time.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "token.h"

/* For `ci` and the secret of `ci` before its rotation: the index of the token, shifted, and which one;
 * plus 1. */
struct token_index {
	uint64_t key;
	size_t capacity; /* of each table, a power of two */
	uint32_t *digests, *names;
	uint32_t room[];
};

#define SLOTS_MIN ((size_t)32)

void token_set_fini(struct token_set *set)
{
	if (set->tokens)
		freezero(set->tokens, set->count * sizeof(*set->tokens));
	free(set->index);
	*set = (struct token_set){0};
}

/*
 * Fetched once: a digest with EVP_sha256() looks the algorithm up again each time, which is most of
 * its cost (330 against 148 ns for a generated token, OpenSSL 3.0).
 */
static EVP_MD *sha256;
static CRYPTO_ONCE sha256_once = CRYPTO_ONCE_STATIC_INIT;

static void sha256_fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

int token_digest(struct span secret, uint8_t digest[TOKEN_DIGEST_BYTES])
{
	unsigned length = 0;

	if (!CRYPTO_THREAD_run_once(&sha256_once, sha256_fetch) || !sha256)
		return -EIO;
	if (!EVP_Digest(secret.ptr, secret.len, digest, &length, sha256, NULL) ||
	    length != TOKEN_DIGEST_BYTES)
		return -EIO;
	return 0;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (span_lower(c) >= 'a' && span_lower(c) <= 'z');
}

bool token_name_ok(struct span name)
{
	if (name.len == 0 || name.len > TOKEN_NAME_MAX || !is_alnum(name.ptr[0]))
		return false;
	for (size_t i = 1; i < name.len; i++)
		if (!is_alnum(name.ptr[i]) && !strchr(".-_", name.ptr[i]))
			return false;
	return memchr(name.ptr, '\0', name.len) == NULL;
}

/* ---- the index ---- */

static size_t digest_slot(const struct token_index *index, const uint8_t digest[TOKEN_DIGEST_BYTES])
{
	uint64_t words[TOKEN_DIGEST_BYTES / sizeof(uint64_t)], hash = index->key;

	/* All of it: somebody may have written digests by hand that begin alike. */
	memcpy(words, digest, sizeof(words));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		hash = (hash ^ words[i] ^ (words[i] >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(hash >> 32) & (index->capacity - 1);
}

static size_t name_slot(const struct token_index *index, struct span name)
{
	uint64_t hash = index->key ^ UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (unsigned char)name.ptr[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
	return (size_t)(hash ^ hash >> 32) & (index->capacity - 1);
}

/*
 * 1 when two digests differ, else 0: four words and no branch. CRYPTO_memcmp() goes byte by byte,
 * which with 4096 tokens makes the difference between 55 and 14 us.
 */
static size_t digest_differs(const uint8_t a[TOKEN_DIGEST_BYTES], const uint8_t b[TOKEN_DIGEST_BYTES])
{
	uint64_t difference = 0;

	for (size_t i = 0; i < TOKEN_DIGEST_BYTES; i += sizeof(difference)) {
		uint64_t left, right;

		memcpy(&left, a + i, sizeof(left));
		memcpy(&right, b + i, sizeof(right));
		difference |= left ^ right;
	}
	return (size_t)((difference | (0 - difference)) >> 63);
}

/* The token with that digest, and whether it is the one before a rotation. */
static const struct token *lookup_digest(const struct token_set *set,
					 const uint8_t digest[TOKEN_DIGEST_BYTES], bool *previous)
{
	const struct token_index *index = set->index;

	if (!index)
		return NULL;
	for (size_t i = digest_slot(index, digest); index->digests[i]; i = (i + 1) & (index->capacity - 1)) {
		const struct token *token = &set->tokens[(index->digests[i] - 1) >> 1];

		*previous = (index->digests[i] - 1) & 1;
		if (!digest_differs(*previous ? token->previous : token->digest, digest))
			return token;
	}
	return NULL;
}

const struct token *token_set_name(const struct token_set *set, struct span name)
{
	const struct token_index *index = set->index;

	if (!index)
		return NULL;
	for (size_t i = name_slot(index, name); index->names[i]; i = (i + 1) & (index->capacity - 1)) {
		const struct token *token = &set->tokens[index->names[i] - 1];

		if (span_eq(span_of(token->name), name))
			return token;
	}
	return NULL;
}

static void index_put(struct token_index *index, uint32_t *table, size_t slot, uint32_t value)
{
	while (table[slot])
		slot = (slot + 1) & (index->capacity - 1);
	table[slot] = value + 1;
}

static void index_token(struct token_index *index, const struct token *token, size_t number)
{
	uint32_t twice = (uint32_t)number * 2;

	index_put(index, index->names, name_slot(index, span_of(token->name)), (uint32_t)number);
	index_put(index, index->digests, digest_slot(index, token->digest), twice);
	if (token->previous_until_s)
		index_put(index, index->digests, digest_slot(index, token->previous), twice + 1);
}

/* Room for one more token, which may have two digests. */
static int index_grow(struct token_set *set)
{
	size_t capacity = SLOTS_MIN;
	struct token_index *index;

	while (capacity < 4 * (set->count + 1))
		capacity *= 2;
	if (set->index && set->index->capacity >= capacity)
		return 0;
	index = calloc(1, sizeof(*index) + 2 * capacity * sizeof(index->room[0]));
	if (!index)
		return -ENOMEM;
	if (getrandom(&index->key, sizeof(index->key), 0) != (ssize_t)sizeof(index->key)) {
		free(index);
		return -EIO;
	}
	index->capacity = capacity;
	index->digests = index->room;
	index->names = index->room + capacity;
	for (size_t i = 0; i < set->count; i++)
		index_token(index, &set->tokens[i], i);
	free(set->index);
	set->index = index;
	return 0;
}

/* ---- the set ---- */

/* Room for one more. The capacity is not kept: it is the next power of two, from 8 on. */
static int tokens_grow(struct token_set *set)
{
	size_t count = set->count;
	struct token *bigger;

	if (count && (count < 8 || (count & (count - 1))))
		return 0;
	bigger = recallocarray(set->tokens, count, count ? 2 * count : 8, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	set->tokens = bigger;
	return 0;
}

static bool token_ok(const struct token *token)
{
	static const uint8_t none[TOKEN_DIGEST_BYTES];

	/* All zero stands for "no secret" in a credential. */
	return token_name_ok(span_of(token->name)) && token_name_ok(span_of(token->role_name)) &&
	       token->sources_count <= TOKEN_SOURCES_MAX && digest_differs(token->digest, none) &&
	       (!token->previous_until_s || digest_differs(token->previous, none)) && token->created_s >= 0 &&
	       token->expires_s >= 0 && token->previous_until_s >= 0;
}

int token_set_add(struct token_set *set, const struct token *token)
{
	bool previous;
	int error;

	if (!token_ok(token))
		return -EINVAL;
	if (token_set_name(set, span_of(token->name)))
		return -EEXIST;
	if (lookup_digest(set, token->digest, &previous))
		return -ENOTUNIQ;
	if (token->previous_until_s && (lookup_digest(set, token->previous, &previous) ||
					!digest_differs(token->previous, token->digest)))
		return -ENOTUNIQ;
	if (set->count >= TOKEN_SET_MAX)
		return -E2BIG;
	error = tokens_grow(set);
	if (!error)
		error = index_grow(set);
	if (error)
		return error;
	set->tokens[set->count] = *token;
	set->tokens[set->count].role = NULL;
	index_token(set->index, &set->tokens[set->count], set->count);
	set->count++;
	return 0;
}

/* Where it is looked at from is asked first: who is elsewhere learns nothing about it. */
static enum token_standing standing_of(const struct token *token, bool previous, const struct address *from,
				       int64_t now_s)
{
	bool here = token->sources_count == 0 || !from;

	for (size_t i = 0; i < token->sources_count && !here; i++)
		here = address_prefix_has(&token->sources[i], from);
	if (!here)
		return TOKEN_ELSEWHERE;
	if ((token->expires_s && now_s >= token->expires_s) || (previous && now_s >= token->previous_until_s))
		return TOKEN_EXPIRED;
	return TOKEN_GOOD;
}

static enum token_standing find_digest(const struct token_set *set, const uint8_t digest[TOKEN_DIGEST_BYTES],
				       const struct address *from, int64_t now_s, const struct token **token)
{
	bool previous = false;

	*token = lookup_digest(set, digest, &previous);
	return *token ? standing_of(*token, previous, from, now_s) : TOKEN_UNKNOWN;
}

enum token_standing token_set_find(const struct token_set *set, struct span secret,
				   const struct address *from, int64_t now_s, const struct token **token,
				   struct token_credential *credential)
{
	uint8_t digest[TOKEN_DIGEST_BYTES];
	enum token_standing standing;

	*token = NULL;
	if (secret.len == 0 || token_digest(secret, digest))
		return TOKEN_UNKNOWN;
	standing = find_digest(set, digest, from, now_s, token);
	if (standing == TOKEN_GOOD) {
		*credential = (struct token_credential){0};
		memcpy(credential->digest, digest, sizeof(digest));
	}
	explicit_bzero(digest, sizeof(digest));
	return standing;
}

enum token_standing token_set_find_name(const struct token_set *set, struct span name,
					const struct address *from, int64_t now_s, const struct token **token,
					struct token_credential *credential)
{
	enum token_standing standing;

	*token = token_name_ok(name) ? token_set_name(set, name) : NULL;
	standing = *token ? standing_of(*token, false, from, now_s) : TOKEN_UNKNOWN;
	if (standing == TOKEN_GOOD) {
		*credential = (struct token_credential){0};
		memcpy(credential->name, name.ptr, name.len);
	}
	return standing;
}

enum token_standing token_set_recheck(const struct token_set *set, const struct token_credential *credential,
				      const struct address *from, int64_t now_s, const struct token **token)
{
	if (!credential->name[0])
		return find_digest(set, credential->digest, from, now_s, token);
	*token = token_set_name(set, span_of(credential->name));
	return *token ? standing_of(*token, false, from, now_s) : TOKEN_UNKNOWN;
}

int64_t token_set_next_end(const struct token_set *set, int64_t now_s)
{
	int64_t next_s = INT64_MAX;

	for (size_t i = 0; i < set->count; i++) {
		const int64_t ends_s[] = {set->tokens[i].expires_s, set->tokens[i].previous_until_s};

		for (size_t j = 0; j < ARRAY_SIZE(ends_s); j++)
			if (ends_s[j] > now_s && ends_s[j] < next_s)
				next_s = ends_s[j];
	}
	return next_s;
}

/* Without a table: generated secrets pass through here. */
static void hex_write(const uint8_t *bytes, size_t count, char *out)
{
	for (size_t i = 0; i < 2 * count; i++) {
		unsigned nibble = i & 1 ? bytes[i / 2] & 15U : (unsigned)bytes[i / 2] >> 4;

		out[i] = (char)(nibble + '0' + (((9 - nibble) >> 8) & ('a' - '0' - 10)));
	}
}

int token_generate(char secret[TOKEN_GENERATED_BYTES])
{
	/* The first four bytes tell tokens apart in lists; the rest is the secret. */
	uint8_t random[4 + 32];
	size_t filled = 0;

	while (filled < sizeof(random)) {
		ssize_t got = getrandom(random + filled, sizeof(random) - filled, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			explicit_bzero(random, sizeof(random));
			return -EIO;
		}
		filled += (size_t)got;
	}
	memcpy(secret, "hg_", 3);
	hex_write(random, 4, secret + 3);
	secret[11] = '_';
	hex_write(random + 4, 32, secret + 12);
	secret[TOKEN_GENERATED_BYTES - 1] = '\0';
	explicit_bzero(random, sizeof(random));
	return 0;
}

const char *token_secret_problem(struct span secret)
{
	if (secret.len == 0)
		return "it is empty";
	if (secret.len > TOKEN_SECRET_MAX_BYTES)
		return "it is longer than 4096 characters";
	if (span_trim(secret).len != secret.len)
		return "it begins or ends with a blank, which no header keeps";
	for (size_t i = 0; i < secret.len; i++)
		if ((unsigned char)secret.ptr[i] < ' ' || secret.ptr[i] == 0x7f)
			return "it has a line end or another control character in it, which no header can "
			       "carry";
	return NULL;
}
