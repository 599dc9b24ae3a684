/* SPDX-License-Identifier: MIT */
/* token_fields_test.c: the secret that a request presents. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "token_support.h"

TestSuite(token_fields, .timeout = 300);

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

Test(token_fields, which_field)
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

Test(token_fields, lengths)
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

Test(token_fields, every_password_is_found)
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
