/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "address.h"

TestSuite(address, .timeout = 300);

static struct address address_of(const char *text)
{
	struct address address;

	cr_assert_eq(address_parse(&address, span_of(text)), 0, "%s", text);
	return address;
}

Test(address, are_read_and_written)
{
	static const struct {
		const char *text, *written; /* NULL: refused */
	} rows[] = {
	    {"0.0.0.0", "0.0.0.0"},
	    {"192.0.2.1", "192.0.2.1"},
	    {"255.255.255.255", "255.255.255.255"},
	    {"::ffff:192.0.2.1", "192.0.2.1"}, /* one and the same client */
	    {"::ffff:c000:201", "192.0.2.1"},
	    {"::", "::"},
	    {"::1", "::1"},
	    {"2001:DB8::1", "2001:db8::1"},
	    {"2001:db8:0:0:0:0:0:1", "2001:db8::1"},
	    {"1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888"},
	    {"::192.0.2.1", "::192.0.2.1"}, /* not a mapped one */
	    {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
	    {"1111:2222:3333:4444:5555:6666:255.255.255.255", "1111:2222:3333:4444:5555:6666:ffff:ffff"},
	    {"", NULL},
	    {" ", NULL},
	    {"1", NULL},
	    {"1.2.3", NULL},
	    {"1.2.3.4.5", NULL},
	    {"1.2.3.256", NULL},
	    {"1.2.3.04", NULL}, /* octal for some */
	    {"0x7f.0.0.1", NULL},
	    {"1.2.3.4 ", NULL},
	    {" 1.2.3.4", NULL},
	    {"1.2.3.4:80", NULL},
	    {"1.2.3.4/32", NULL},
	    {"[::1]", NULL},
	    {"fe80::1%lo", NULL},
	    {":::", NULL},
	    {"1::2::3", NULL},
	    {"12345::", NULL},
	    {"localhost", NULL},
	    {"1111:2222:3333:4444:5555:6666:7777:8888:9999", NULL},
	    {"1111:2222:3333:4444:5555:6666:255.255.255.255x", NULL}, /* 46 characters */
	    {"1111111111111111111111111111111111111111111111111111111111111111", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct address address, again;
		char text[ADDRESS_TEXT_BYTES];
		int result = address_parse(&address, span_of(rows[i].text));

		cr_expect_eq(result, rows[i].written ? 0 : -EINVAL, "'%s'", rows[i].text);
		if (result < 0 || !rows[i].written)
			continue;
		address_write(&address, text);
		cr_expect_str_eq(text, rows[i].written);
		again = address_of(text);
		cr_expect(address_eq(&address, &again), "%s", text);
	}
	cr_expect_eq(address_parse(&(struct address){0}, SPAN("1.2.3.4\0")), -EINVAL, "a NUL ends nothing");
	cr_expect_eq(address_parse(&(struct address){0}, (struct span){0}), -EINVAL);
}

Test(address, equal)
{
	struct address a = address_of("::ffff:1.2.3.4"), b = address_of("1.2.3.4");

	cr_assert(address_eq(&a, &b));
	b = address_of("::1.2.3.4");
	cr_assert(!address_eq(&a, &b));
	for (size_t bit = 0; bit < 128; bit++) {
		b = a;
		b.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		cr_assert(!address_eq(&a, &b), "%zu", bit);
	}
}

Test(address, prefixes_are_read_and_written)
{
	static const struct {
		const char *text, *written; /* NULL: refused */
		unsigned bits;
	} rows[] = {
	    {"10.0.0.0/8", "10.0.0.0/8", 104},
	    {"0.0.0.0/0", "0.0.0.0/0", 96},
	    {"128.0.0.0/1", "128.0.0.0/1", 97},
	    {"192.0.2.1", "192.0.2.1", 128},
	    {"192.0.2.1/32", "192.0.2.1", 128},
	    {"192.0.2.2/31", "192.0.2.2/31", 127},
	    {"::ffff:10.0.0.0/104", "10.0.0.0/8", 104},
	    {"::ffff:0.0.0.0/96", "0.0.0.0/0", 96},
	    {"::/0", "::/0", 0},
	    {"8000::/1", "8000::/1", 1},
	    {"2001:db8::/32", "2001:db8::/32", 32},
	    {"2001:db8::1", "2001:db8::1", 128},
	    {"2001:db8::1/128", "2001:db8::1", 128},
	    {"1111:2222:3333:4444:5555:6666:7777:888e/127", "1111:2222:3333:4444:5555:6666:7777:888e/127",
	     127},
	    {"", NULL, 0},
	    {"/", NULL, 0},
	    {"/8", NULL, 0},
	    {"10.0.0.0/", NULL, 0},
	    {"10.0.0.0/33", NULL, 0},
	    {"10.0.0.0/128", NULL, 0},
	    {"10.0.0.0/08", NULL, 0},
	    {"10.0.0.0/008", NULL, 0},
	    {"0.0.0.0/00", NULL, 0},
	    {"10.0.0.0/+8", NULL, 0},
	    {"10.0.0.0/-1", NULL, 0},
	    {"10.0.0.0/8 ", NULL, 0},
	    {"10.0.0.0/8/8", NULL, 0},
	    {"10.0.0.0/4294967304", NULL, 0}, /* 2^32 + 8 */
	    {"10.0.0.0/99999999999999999999999999", NULL, 0},
	    {"10.0.0.0/255.0.0.0", NULL, 0},
	    {"10.0.0.1/8", NULL, 0},
	    {"10.128.0.0/8", NULL, 0},
	    {"10.0.0.1/31", NULL, 0},
	    {"10/8", NULL, 0},
	    {"::/129", NULL, 0},
	    {"::1/127", NULL, 0},
	    {"::1/0", NULL, 0},
	    {"2001:db8::/31x", NULL, 0},
	    {"2001:db8:0:1::/48", NULL, 0},
	    {"::ffff:10.0.0.0/8", NULL, 0}, /* as it is written: of 128 bits */
	    {"::ffff:0:0/95", NULL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct address_prefix prefix, again;
		char text[ADDRESS_PREFIX_TEXT_BYTES];
		int result = address_prefix_parse(&prefix, span_of(rows[i].text));

		cr_expect_eq(result, rows[i].written ? 0 : -EINVAL, "'%s'", rows[i].text);
		if (result < 0 || !rows[i].written)
			continue;
		cr_expect_eq(prefix.bits, rows[i].bits, "%s: %u", rows[i].text, prefix.bits);
		address_prefix_write(&prefix, text);
		cr_expect_str_eq(text, rows[i].written);
		cr_expect_eq(address_prefix_parse(&again, span_of(text)), 0, "%s", text);
		cr_expect(again.bits == prefix.bits && address_eq(&again.address, &prefix.address), "%s",
			  text);
	}
}

Test(address, prefixes_have)
{
	static const struct {
		const char *prefix, *address;
		bool has;
	} rows[] = {
	    {"10.0.0.0/8", "10.0.0.0", true},
	    {"10.0.0.0/8", "10.255.255.255", true},
	    {"10.0.0.0/8", "11.0.0.0", false},
	    {"10.0.0.0/8", "9.255.255.255", false},
	    {"10.0.0.0/8", "::ffff:10.1.2.3", true},
	    {"10.0.0.0/8", "::10.1.2.3", false},
	    {"10.0.0.0/8", "a00::", false},
	    {"0.0.0.0/0", "255.1.2.3", true},
	    {"0.0.0.0/0", "::1", false},
	    {"::/0", "2001:db8::", true},
	    {"::/0", "192.0.2.1", true}, /* a mapped address is an IPv6 address */
	    {"192.0.2.1", "192.0.2.1", true},
	    {"192.0.2.1", "192.0.2.2", false},
	    {"192.0.2.2/31", "192.0.2.3", true},
	    {"192.0.2.2/31", "192.0.2.4", false},
	    {"2001:db8::/32", "2001:db8:ffff::1", true},
	    {"2001:db8::/32", "2001:db9::", false},
	    {"2001:db8::1", "2001:db8::1", true},
	    {"2001:db8::1", "2001:db8::2", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct address_prefix prefix;
		struct address address = address_of(rows[i].address);

		cr_assert_eq(address_prefix_parse(&prefix, span_of(rows[i].prefix)), 0);
		cr_expect_eq(address_prefix_has(&prefix, &address), rows[i].has, "%s %s", rows[i].prefix,
			     rows[i].address);
	}
}

/* Every length: exactly the bits of the prefix count. */
Test(address, every_bit_of_every_prefix)
{
	const struct address all = address_of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");

	for (unsigned bits = 0; bits <= 128; bits++) {
		struct address_prefix prefix, again;
		char text[ADDRESS_PREFIX_TEXT_BYTES], host[ADDRESS_TEXT_BYTES];
		struct address address = {0};

		for (unsigned bit = 0; bit < bits; bit++)
			address.bytes[bit / 8] |= (uint8_t)(0x80U >> bit % 8);
		address_write(&address, host);
		snprintf(text, sizeof(text), "%s/%u", host, bits);
		cr_assert_eq(address_prefix_parse(&prefix, span_of(text)), 0, "%s", text);
		for (unsigned bit = 0; bit < 128; bit++) {
			address = all;
			address.bytes[bit / 8] ^= (uint8_t)(0x80U >> bit % 8);
			cr_assert_eq(address_prefix_has(&prefix, &address), bit >= bits, "%s, bit %u", text,
				     bit);
		}
		address_prefix_write(&prefix, text);
		cr_assert_eq(address_prefix_parse(&again, span_of(text)), 0, "%s", text);
		cr_assert_eq(again.bits, bits);
		/* One bit behind it is an error. */
		if (bits == 0 || bits == 128)
			continue;
		snprintf(text, sizeof(text), "%s/%u", host, bits - 1);
		cr_assert_eq(address_prefix_parse(&again, span_of(text)), -EINVAL, "%s", text);
	}
}

Test(address, owners)
{
	static const struct {
		const char *address, *owner;
	} rows[] = {
	    {"192.0.2.1", "192.0.2.1"},
	    {"::ffff:192.0.2.1", "192.0.2.1"},
	    {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
	    {"2001:db8:1:2::", "2001:db8:1:2::"},
	    {"::1", "::"},
	    {"::192.0.2.1", "::"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct address address = address_of(rows[i].address), owner = address_owner(&address);
		char text[ADDRESS_TEXT_BYTES];

		address_write(&owner, text);
		cr_expect_str_eq(text, rows[i].owner);
	}
}
