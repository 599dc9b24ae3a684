/* SPDX-License-Identifier: MIT */
/* config_host_test.c: what is a host, what a certificate can be for, and that options and pki agree on it. */
#include "config_host.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "pki_names.h"

TestSuite(config_host, .timeout = 300);

#define NONE CONFIG_HOST_NONE
#define DNS  CONFIG_HOST_DNS
#define WILD CONFIG_HOST_WILDCARD
#define IPV4 CONFIG_HOST_IPV4
#define IPV6 CONFIG_HOST_IPV6

#define LABEL_63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static const struct {
	const char *text;
	enum config_host host, san;
} rows[] = {
    {"a", DNS, DNS},
    {"localhost", DNS, DNS},
    {"Docker-1.Example.org", DNS, DNS},
    {"under_score", DNS, DNS},
    {"_a._b", DNS, DNS},
    {"xn--bcher-kva.example", DNS, DNS},
    {"3com.example", DNS, DNS},
    {"1.2.3.4.example", DNS, DNS},
    {"1a", DNS, DNS},
    {LABEL_63 ".a", DNS, DNS},
    {"a.example.", DNS, NONE}, /* a certificate has no final dot: RFC 5280 4.2.1.6 */
    {"a.", DNS, NONE},
    /* RFC 6125 6.4.3, 7.2: a wildcard is the whole left-most label, and no host */
    {"*.example.org", NONE, WILD},
    {"*.example", NONE, WILD},
    {"*.under_score.example", NONE, WILD},
    {"*.xn--bcher-kva.example", NONE, WILD},
    {"*", NONE, NONE},
    {"*.", NONE, NONE},
    {"*..a", NONE, NONE},
    {"*.example.", NONE, NONE},
    {"**.example", NONE, NONE},
    {"*.*.example", NONE, NONE},
    {"a.*.example", NONE, NONE},
    {"example.*", NONE, NONE},
    {"a*.example", NONE, NONE},
    {"*a.example", NONE, NONE},
    {"a*b.example", NONE, NONE},
    {"xn--*.example", NONE, NONE},
    {"*.1.2.3.4", NONE, NONE},
    {"*.2.3.4", NONE, NONE},
    {"*.1", NONE, NONE},
    {"*.::1", NONE, NONE},
    {"*.[::1]", NONE, NONE},
    {"*.-a", NONE, NONE},
    /* addresses */
    {"1.2.3.4", IPV4, IPV4},
    {"255.255.255.255", IPV4, IPV4},
    {"::1", IPV6, IPV6},
    {"2001:DB8::7", IPV6, IPV6},
    {"::ffff:1.2.3.4", IPV6, IPV6},
    {"[::1]", NONE, IPV6},
    {"[2001:db8::8]", NONE, IPV6},
    {"[1.2.3.4]", NONE, NONE},
    {"[a.example]", NONE, NONE},
    {"[*.example]", NONE, NONE},
    {"[]", NONE, NONE},
    {"[::1", NONE, NONE},
    {"::1]", NONE, NONE},
    {"[[::1]]", NONE, NONE},
    {"fe80::1%eth0", NONE, NONE},
    {"2001:db8::g", NONE, NONE},
    {"1.2.3.4.", NONE, NONE},
    {"1.2.3", NONE, NONE},
    {"1.2.3.256", NONE, NONE},
    {"01.2.3.4", NONE, NONE},
    {"1.2.3.4.5", NONE, NONE},
    {"12345", NONE, NONE},
    {"a.1", NONE, NONE},
    /* neither */
    {"", NONE, NONE},
    {".", NONE, NONE},
    {"..", NONE, NONE},
    {" ", NONE, NONE},
    {".a", NONE, NONE},
    {"a..b", NONE, NONE},
    {"a..", NONE, NONE},
    {"-a", NONE, NONE},
    {"a-", NONE, NONE},
    {"a-.example", NONE, NONE},
    {"a.-example", NONE, NONE},
    {"a b", NONE, NONE},
    {"a,b", NONE, NONE},
    {"a/b", NONE, NONE},
    {"a:1", NONE, NONE},
    {"u@a", NONE, NONE},
    {"a\n", NONE, NONE},
    {"b\xc3\xbc-cher", NONE, NONE},
    {"g" LABEL_63 ".a", NONE, NONE},
};

/* In a buffer of just its size, so that AddressSanitizer sees a look past the end. */
static void expect_kinds(struct span text, enum config_host host, enum config_host san)
{
	char *exact = malloc(text.len ? text.len : 1);
	struct span at = {.ptr = exact, .len = text.len}, name;

	cr_assert_not_null(exact);
	memcpy(exact, text.ptr, text.len);
	cr_expect_eq(config_host_kind(at), host, "host '%.*s': %d", (int)text.len, text.ptr,
		     config_host_kind(at));
	cr_expect_eq(config_host_san(at, &name), san, "san '%.*s': %d", (int)text.len, text.ptr,
		     config_host_san(at, &name));
	free(exact);
}

Test(config_host, kinds)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_kinds(span_of(rows[i].text), rows[i].host, rows[i].san);
	expect_kinds(SPAN("a\0b"), NONE, NONE);
	expect_kinds(SPAN("::1\0"), NONE, NONE);
	expect_kinds(SPAN("*.a\0"), NONE, NONE);
}

/* "aaa...a.aaa" of that many characters. */
static struct span long_name(char *text, size_t len)
{
	memset(text, 'a', len);
	for (size_t i = 1; i < len - 1; i += 60)
		text[i] = '.';
	return (struct span){.ptr = text, .len = len};
}

Test(config_host, lengths)
{
	char text[300];

	expect_kinds(long_name(text, 253), DNS, DNS);
	expect_kinds(long_name(text, 254), NONE, NONE);
	long_name(text, 253);
	text[0] = '*';
	expect_kinds((struct span){.ptr = text, .len = 253}, NONE, WILD);
	long_name(text, 254);
	text[0] = '*';
	expect_kinds((struct span){.ptr = text, .len = 254}, NONE, NONE);
}

Test(config_host, the_name_is_without_brackets)
{
	struct span name;

	cr_assert_eq(config_host_san(SPAN("[2001:db8::8]"), &name), IPV6);
	cr_assert(span_eq(name, SPAN("2001:db8::8")));
	cr_assert_eq(config_host_san(SPAN("*.Example"), &name), WILD);
	cr_assert(span_eq(name, SPAN("*.Example")));
}

static char *no_environment(const char *name)
{
	(void)name;
	return NULL;
}

/* What --san takes, a certificate can be made for, and the other way round. */
Test(config_host, options_and_certificates_agree)
{
	static struct config config;
	static struct pki_names names;
	char error[512];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char serve[] = "serve", san[] = "--san", value[128];
		char *argv[] = {serve, san, value, NULL};
		bool ok = rows[i].san != NONE;

		snprintf(value, sizeof(value), "%s", rows[i].text);
		names.count = 0;
		cr_expect_eq(
		    config_parse(&config, CONFIG_SERVE, 3, argv, no_environment, error, sizeof(error)),
		    ok ? CONFIG_OK : CONFIG_BAD, "'%s': %s", value, error);
		cr_expect_eq(pki_names_add(&names, value), ok ? 0 : -EINVAL, "'%s'", value);
		cr_expect_eq(names.count, ok ? 1 : 0, "'%s'", value);
	}
}

/* A wildcard is nothing to listen on or to connect to. */
Test(config_host, addresses_have_no_wildcard)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config_address address;
		const char *reason = NULL;
		char text[160];
		bool brackets = rows[i].host == IPV6;
		int result;

		if (!rows[i].text[0] || strpbrk(rows[i].text, "[%")) /* another meaning there */
			continue;
		snprintf(text, sizeof(text), brackets ? "tls://[%s]:1" : "tls://%s:1", rows[i].text);
		for (int listener = 0; listener < 2; listener++) {
			result = config_address_parse(&address, text, listener, &reason);
			cr_expect_eq(result, rows[i].host == NONE ? -EINVAL : 0, "%s: %d", text, result);
		}
	}
}
