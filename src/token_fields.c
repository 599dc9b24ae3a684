/* SPDX-License-Identifier: MIT */
/* token_fields.c: the secret that a request presents, in one of three fields. */
#include <string.h>

#include "token.h"

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
