/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "token.h"

static const char *const role_names[] = {
    [TOKEN_ROLE_ADMIN] = "admin",
};

/* 2026-11-23T19:30:00Z */
#define CREATED_BYTES ((size_t)20)

void token_set_fini(struct token_set *set)
{
	if (set->tokens)
		freezero(set->tokens, set->count * sizeof(*set->tokens));
	set->tokens = NULL;
	set->count = 0;
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

/* Room for one more. The capacity is not kept: it is the next power of two, from 8 on. */
static int token_set_grow(struct token_set *set)
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

int token_set_add(struct token_set *set, const char *name, const uint8_t digest[TOKEN_DIGEST_BYTES],
		  enum token_role role)
{
	struct token *token;
	int error;

	if (!token_name_ok(span_of(name)) || (size_t)role >= ARRAY_SIZE(role_names))
		return -EINVAL;
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->tokens[i].name, name) == 0)
			return -EEXIST;
	if (set->count >= TOKEN_SET_MAX)
		return -E2BIG;
	error = token_set_grow(set);
	if (error)
		return error;
	token = &set->tokens[set->count++];
	memset(token, 0, sizeof(*token));
	memcpy(token->name, name, strlen(name));
	memcpy(token->digest, digest, TOKEN_DIGEST_BYTES);
	token->role = role;
	return 0;
}

/* 0-15, or -1. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = span_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_decode(struct span hex, uint8_t *out, size_t bytes)
{
	if (hex.len != 2 * bytes)
		return false;
	for (size_t i = 0; i < bytes; i++) {
		int high = hex_digit(hex.ptr[2 * i]), low = hex_digit(hex.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* Without a table: generated secrets pass through here. */
static void hex_encode(const uint8_t *bytes, size_t count, char *out)
{
	for (size_t i = 0; i < 2 * count; i++) {
		unsigned nibble = i & 1 ? bytes[i / 2] & 15U : (unsigned)bytes[i / 2] >> 4;

		out[i] = (char)(nibble + '0' + (((9 - nibble) >> 8) & ('a' - '0' - 10)));
	}
}

/* A number of `digits` digits at `s`, or -1. */
static int fixed_number(const char *s, size_t digits)
{
	int number = 0;

	for (size_t i = 0; i < digits; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		number = number * 10 + (s[i] - '0');
	}
	return number;
}

/* RFC 3339 in UTC, without fractions, as headgate writes it. */
static bool created_ok(struct span created)
{
	static const char shape[] = "0000-00-00T00:00:00Z";
	static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int month, day;

	if (created.len != CREATED_BYTES)
		return false;
	for (size_t i = 0; i < CREATED_BYTES; i++) {
		bool digit = created.ptr[i] >= '0' && created.ptr[i] <= '9';

		if (shape[i] == '0' ? !digit : created.ptr[i] != shape[i])
			return false;
	}
	month = fixed_number(created.ptr + 5, 2);
	day = fixed_number(created.ptr + 8, 2);
	return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] &&
	       fixed_number(created.ptr + 11, 2) <= 23 && fixed_number(created.ptr + 14, 2) <= 59 &&
	       fixed_number(created.ptr + 17, 2) <= 60;
}

/* A line of the token file as far as it has been read. */
struct token_line {
	struct token token;
	bool has_digest, has_role, has_created;
};

/* Reads one `key=value`. NULL, or why it is refused. */
static const char *field_parse(struct token_line *line, struct span field)
{
	const char *equals = memchr(field.ptr, '=', field.len);
	struct span key, value;

	if (!equals)
		return "a field is not of the form key=value";
	key = (struct span){.ptr = field.ptr, .len = (size_t)(equals - field.ptr)};
	value = span_skip(field, key.len + 1);
	if (span_eq(key, SPAN("sha256"))) {
		if (line->has_digest)
			return "the field sha256 stands twice";
		line->has_digest = true;
		if (!hex_decode(value, line->token.digest, TOKEN_DIGEST_BYTES))
			return "sha256 is not 64 hex digits";
	} else if (span_eq(key, SPAN("role"))) {
		if (line->has_role)
			return "the field role stands twice";
		line->has_role = true;
		if (!span_eq(value, span_of(role_names[TOKEN_ROLE_ADMIN])))
			return "the role is not known; it must be admin";
	} else if (span_eq(key, SPAN("created"))) {
		if (line->has_created)
			return "the field created stands twice";
		line->has_created = true;
		if (!created_ok(value))
			return "created is not a time like 2026-11-23T19:30:00Z";
	} else {
		return "a field is not known; known are sha256, role and created";
	}
	return NULL;
}

/* The next piece between blanks; empty at the end. */
static struct span next_field(struct span *rest)
{
	struct span field;

	*rest = span_trim(*rest);
	field = *rest;
	field.len = 0;
	while (field.len < rest->len && rest->ptr[field.len] != ' ' && rest->ptr[field.len] != '\t')
		field.len++;
	*rest = span_skip(*rest, field.len);
	return field;
}

static const char *bytes_check(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '\r')
			return "a carriage return; the file must have Unix line ends";
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return "a control character";
	}
	return NULL;
}

static const char *set_add_line(struct token_set *set, const struct token_line *line)
{
	/* Two names for one secret: taking one line away would not revoke it. */
	for (size_t i = 0; i < set->count; i++)
		if (memcmp(set->tokens[i].digest, line->token.digest, TOKEN_DIGEST_BYTES) == 0)
			return "the same sha256 as on a line above";
	switch (token_set_add(set, line->token.name, line->token.digest, line->token.role)) {
	case 0:
		return NULL;
	case -EEXIST:
		return "the same name as on a line above";
	case -E2BIG:
		return "more than 4096 tokens";
	default:
		return "out of memory";
	}
}

/* Reads one line, comment included, into the set. NULL, or why it is refused. */
static const char *line_parse(struct token_set *set, struct span text)
{
	const char *reason = bytes_check(text);
	const char *comment = text.len ? memchr(text.ptr, '#', text.len) : NULL;
	struct token_line line = {0};
	struct span field;

	if (reason)
		return reason;
	if (comment)
		text.len = (size_t)(comment - text.ptr);
	field = next_field(&text);
	if (field.len == 0)
		return NULL;
	if (!token_name_ok(field))
		return "the name is not 1 to 63 letters, digits, '.', '-', '_', starting with a letter or "
		       "digit";
	memcpy(line.token.name, field.ptr, field.len);
	for (field = next_field(&text); field.len; field = next_field(&text)) {
		reason = field_parse(&line, field);
		if (reason)
			return reason;
	}
	if (!line.has_digest)
		return "the field sha256 is missing";
	if (!line.has_role)
		return "the field role is missing";
	return set_add_line(set, &line);
}

int token_set_parse(struct token_set *set, struct span text, size_t *line_number, const char **reason)
{
	*line_number = 0;
	*reason = NULL;
	while (text.len) {
		const char *newline = memchr(text.ptr, '\n', text.len);
		struct span line = {.ptr = text.ptr,
				    .len = newline ? (size_t)(newline - text.ptr) : text.len};

		(*line_number)++;
		*reason = line_parse(set, line);
		if (*reason) {
			token_set_fini(set);
			return -EINVAL;
		}
		text = span_skip(text, newline ? line.len + 1 : line.len);
	}
	return 0;
}

long token_line_write(const struct token *token, const char *created, char *buf, size_t cap)
{
	char hex[2 * TOKEN_DIGEST_BYTES + 1];
	bool dated = created && *created;
	int length;

	/* What is written here must be read back; a bad line would refuse the whole file. */
	if (!token_name_ok(span_of(token->name)) || (size_t)token->role >= ARRAY_SIZE(role_names) ||
	    (dated && !created_ok(span_of(created))))
		return -EINVAL;
	hex_encode(token->digest, TOKEN_DIGEST_BYTES, hex);
	hex[sizeof(hex) - 1] = '\0';
	length = snprintf(buf, cap, "%s sha256=%s role=%s%s%s\n", token->name, hex, role_names[token->role],
			  dated ? " created=" : "", dated ? created : "");
	if (length < 0 || (size_t)length >= cap)
		return -ENOSPC;
	return length;
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

const struct token *token_set_find(const struct token_set *set, struct span secret)
{
	uint8_t digest[TOKEN_DIGEST_BYTES];
	size_t found = 0; /* index + 1 */

	if (secret.len == 0 || token_digest(secret, digest))
		return NULL;
	for (size_t i = 0; i < set->count; i++) {
		size_t differs = digest_differs(set->tokens[i].digest, digest);
		/* All ones for the first entry that is equal; no branch, so no entry's place shows. */
		size_t first_zero = (found | (0 - found)) >> (sizeof(found) * CHAR_BIT - 1);
		size_t mask = (differs - 1) & (first_zero - 1);

		found |= (i + 1) & mask;
	}
	explicit_bzero(digest, sizeof(digest));
	return found ? &set->tokens[found - 1] : NULL;
}

/* 0-63, or -1 (RFC 4648 4). */
static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/*
 * Strict base64: whole groups of four, padding only at the end, unused bits zero, so that there is one
 * spelling for each value. (EVP_DecodeBlock() skips white space and counts padding as bytes.)
 */
static bool base64_decode(struct span text, char *out, size_t cap, size_t *length)
{
	size_t padding = 0;
	size_t used = 0;

	if (text.len == 0 || text.len % 4 || text.len / 4 * 3 > cap)
		return false;
	while (padding < 2 && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < text.len; i += 4) {
		size_t last = i + 4 == text.len ? padding : 0;
		uint32_t group = 0;

		for (size_t j = 0; j < 4; j++) {
			int digit = j < 4 - last ? base64_digit(text.ptr[i + j]) : 0;

			if (digit < 0)
				return false;
			group = group << 6 | (uint32_t)digit;
		}
		if (group & ((1U << (8 * last)) - 1))
			return false;
		for (size_t j = 0; j < 3 - last; j++)
			out[used++] = (char)(group >> (16 - 8 * j) & 0xff);
	}
	*length = used;
	return true;
}

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return true;
	return false;
}

/* The password in Basic credentials: everything after the first colon (RFC 7617 2). */
static bool basic_password(struct span credentials, char *scratch, size_t scratch_cap, struct span *password)
{
	struct span user_pass = {.ptr = scratch};
	const char *colon;

	if (!base64_decode(credentials, scratch, scratch_cap, &user_pass.len) || has_control(user_pass))
		return false;
	colon = memchr(user_pass.ptr, ':', user_pass.len);
	if (!colon)
		return false;
	*password = span_skip(user_pass, (size_t)(colon - user_pass.ptr) + 1);
	return true;
}

static bool secret_length_ok(struct span secret)
{
	return secret.len != 0 && secret.len <= TOKEN_SECRET_MAX_BYTES;
}

bool token_from_fields(struct span token_field, struct span authorization, char *scratch, size_t scratch_cap,
		       struct span *secret)
{
	struct span scheme = authorization, credentials, found = {0};

	*secret = (struct span){0};
	/* The field that is there decides: a bad one is not made good by the other. */
	if (token_field.len) {
		if (secret_length_ok(token_field))
			*secret = token_field;
		return secret->len != 0;
	}
	scheme.len = 0;
	while (scheme.len < authorization.len && authorization.ptr[scheme.len] != ' ')
		scheme.len++;
	credentials = span_skip(authorization, scheme.len);
	while (credentials.len && credentials.ptr[0] == ' ')
		credentials = span_skip(credentials, 1);

	if (span_ieq(scheme, SPAN("bearer"))) {
		found = credentials;
		if (has_control(found) || (found.len && memchr(found.ptr, ' ', found.len)))
			return false;
	} else if (span_ieq(scheme, SPAN("basic"))) {
		if (!basic_password(credentials, scratch, scratch_cap, &found))
			return false;
	}
	if (!secret_length_ok(found))
		return false;
	*secret = found;
	return true;
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
	hex_encode(random, 4, secret + 3);
	secret[11] = '_';
	hex_encode(random + 4, 32, secret + 12);
	secret[TOKEN_GENERATED_BYTES - 1] = '\0';
	explicit_bzero(random, sizeof(random));
	return 0;
}
