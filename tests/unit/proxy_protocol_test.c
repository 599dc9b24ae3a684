/* SPDX-License-Identifier: MIT */
/*
 * The headers come from tests/support/proxy_protocol_vectors, which knows HAProxy's document and not our
 * code. Each is shown as it would arrive, byte by byte, in a block of just that size.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_protocol.h"

TestSuite(proxy_protocol, .timeout = 300);

struct vector {
	char name[64];
	enum proxy_protocol_result result;
	size_t used; /* DONE: the header's length; BAD: the bytes it takes to know */
	bool has_address;
	struct address address;
	uint8_t bytes[2048];
	size_t len;
};

struct answer {
	enum proxy_protocol_result result;
	size_t used;
	bool has_address;
	struct address address;
};

static size_t unhex(const char *text, uint8_t *out, size_t cap)
{
	size_t len = strlen(text) / 2;

	cr_assert_leq(len, cap);
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(sscanf(text + 2 * i, "%2hhx", &out[i]), 1);
	return len;
}

static bool vector_read(FILE *from, struct vector *vector)
{
	char result[8], address[64], hex[4097];

	*vector = (struct vector){0};
	if (fscanf(from, "%63s %7s %zu %63s %4096s", vector->name, result, &vector->used, address, hex) != 5)
		return false;
	cr_assert(strcmp(result, "done") == 0 || strcmp(result, "bad") == 0, "%s: %s", vector->name, result);
	vector->result = strcmp(result, "done") == 0 ? PROXY_PROTOCOL_DONE : PROXY_PROTOCOL_BAD;
	vector->has_address = strcmp(address, "-") != 0;
	if (vector->has_address)
		cr_assert_eq(unhex(address, vector->address.bytes, sizeof(vector->address.bytes)), 16);
	vector->len = unhex(hex, vector->bytes, sizeof(vector->bytes));
	cr_assert_leq(vector->used, vector->len);
	return true;
}

/* What is in *address before must not be taken for an answer. */
static struct answer parse(const uint8_t *bytes, size_t len)
{
	struct answer answer = {.used = SIZE_MAX, .has_address = true};
	char *copy = malloc(len ? len : 1);

	cr_assert_not_null(copy);
	memcpy(copy, bytes, len);
	memset(&answer.address, 0xa5, sizeof(answer.address));
	answer.result = proxy_protocol_parse((struct span){.ptr = copy, .len = len}, &answer.used,
					     &answer.address, &answer.has_address);
	free(copy);
	return answer;
}

static void expect_at(const struct vector *vector, size_t len)
{
	struct answer answer = parse(vector->bytes, len);
	bool known = len >= vector->used, done = known && vector->result == PROXY_PROTOCOL_DONE;

	cr_expect_eq(answer.result, known ? vector->result : PROXY_PROTOCOL_MORE, "%s: %d after %zu bytes",
		     vector->name, (int)answer.result, len);
	cr_expect_eq(answer.used, done ? vector->used : 0, "%s: %zu used of %zu", vector->name, answer.used,
		     len);
	cr_expect_eq(answer.has_address, done && vector->has_address, "%s: after %zu bytes", vector->name,
		     len);
	if (answer.has_address)
		cr_expect_arr_eq(answer.address.bytes, vector->address.bytes, 16, "%s", vector->name);
}

Test(proxy_protocol, agrees_with_an_independent_encoder_at_every_byte)
{
	/* Wherever the tests are started from: beside this file, as the compiler was told of it. */
	static const char tests[] = __FILE__;
	char command[512];
	struct vector vector;
	unsigned done = 0, bad = 0;
	FILE *from;

	cr_assert_lt(snprintf(command, sizeof(command),
			      "python3 '%.*s../support/proxy_protocol_vectors' --random 400",
			      (int)(strrchr(tests, '/') + 1 - tests), tests),
		     (int)sizeof(command));
	from = popen(command, "r");
	cr_assert_not_null(from);
	while (vector_read(from, &vector)) {
		for (size_t len = 0; len <= vector.len; len++)
			expect_at(&vector, len);
		vector.result == PROXY_PROTOCOL_DONE ? done++ : bad++;
	}
	cr_assert(feof(from));
	cr_assert_eq(pclose(from), 0);
	cr_expect_geq(done, 423, "%u", done);
	cr_expect_geq(bad, 424, "%u", bad);
}

/* Written out once by hand, so that the encoder and the parser cannot share a mistake about the layout. */
static const uint8_t by_hand[] = {
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, /* signature */
    0x21, 0x11, 0x00, 0x0c, /* version 2, PROXY; TCP over IPv4; 12 */
    203,  0,	113,  9,    /* source */
    10,	  0,	0,    1,    /* destination */
    0xdc, 0x04, 0x09, 0x48, /* ports 56324 and 2376 */
    0x16, 0x03, 0x01,	    /* the client's own bytes */
};

Test(proxy_protocol, leaves_what_stands_behind_the_header)
{
	struct answer answer = parse(by_hand, sizeof(by_hand));
	struct address address = {{[10] = 0xff, [11] = 0xff, [12] = 203, [13] = 0, [14] = 113, [15] = 9}};

	cr_expect_eq(answer.result, PROXY_PROTOCOL_DONE);
	cr_expect_eq(answer.used, 28);
	cr_expect(answer.has_address);
	cr_expect_arr_eq(answer.address.bytes, address.bytes, 16);
}

Test(proxy_protocol, the_destination_and_the_ports_do_not_matter)
{
	uint8_t bytes[sizeof(by_hand)];
	struct answer plain = parse(by_hand, sizeof(by_hand)), other;

	for (size_t at = 20; at < sizeof(bytes); at++) {
		memcpy(bytes, by_hand, sizeof(bytes));
		bytes[at] ^= 0xff;
		other = parse(bytes, sizeof(bytes));
		cr_expect_eq(other.result, plain.result, "byte %zu", at);
		cr_expect_arr_eq(other.address.bytes, plain.address.bytes, 16, "byte %zu", at);
	}
}

Test(proxy_protocol, every_other_byte_of_the_head_counts)
{
	uint8_t bytes[sizeof(by_hand)];

	for (size_t at = 0; at < 13; at++) {
		for (unsigned value = 0; value < 256; value++) {
			bool same = by_hand[at] == value, local = at == 12 && value == 0x20;

			memcpy(bytes, by_hand, sizeof(bytes));
			bytes[at] = (uint8_t)value;
			cr_expect_eq(parse(bytes, at + 1).result,
				     same || local ? PROXY_PROTOCOL_MORE : PROXY_PROTOCOL_BAD, "%zu: %u", at,
				     value);
		}
	}
}

Test(proxy_protocol, nothing_came_yet)
{
	struct address address;
	bool has_address = true;
	size_t used = 1;

	cr_expect_eq(proxy_protocol_parse((struct span){0}, &used, &address, &has_address),
		     PROXY_PROTOCOL_MORE);
	cr_expect_eq(used, 0);
	cr_expect_not(has_address);
}
