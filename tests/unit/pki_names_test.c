/* SPDX-License-Identifier: MIT */
/* pki_names_test.c: the names and addresses that the server certificate covers. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include "pki_support.h"

Test(pki, local_names_and_addresses_are_covered)
{
	char host[65] = {0}, text[INET6_ADDRSTRLEN];
	struct ifaddrs *all;

	cr_assert_eq(ensure(start), 1, "%s", error);
	cr_assert_eq(verify("localhost", NULL, start), X509_V_OK);
	cr_assert_eq(verify(NULL, "127.0.0.1", start), X509_V_OK);
	cr_assert_eq(verify(NULL, "::1", start), X509_V_OK);
	cr_assert_eq(gethostname(host, sizeof(host) - 1), 0);
	cr_assert_eq(verify(host, NULL, start), X509_V_OK, "%s", host);
	cr_assert_eq(getifaddrs(&all), 0);
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, text,
			  sizeof(text));
		cr_assert_eq(verify(NULL, text, start), X509_V_OK, "%s", text);
	}
	freeifaddrs(all);
	cr_assert_eq(verify("example.org", NULL, start), X509_V_ERR_HOSTNAME_MISMATCH);
	cr_assert_eq(verify(NULL, "192.0.2.1", start), X509_V_ERR_IP_ADDRESS_MISMATCH);
	/* An address must not be in the certificate as a DNS name too: Go and curl differ on it. */
	cr_assert_eq(verify("127.0.0.1", NULL, start), X509_V_ERR_HOSTNAME_MISMATCH);
}

Test(pki, asked_for_names_are_covered)
{
	static const char *const sans[] = {
	    "Docker.Example.org", "*.swarm.example",	   "192.0.2.7", "2001:db8::7", "[2001:db8::8]",
	    "under_score",	  "xn--bcher-kva.example",
	};

	cr_assert_eq(pki_ensure(dir, sans, ARRAY_SIZE(sans), start, error, sizeof(error)), 1, "%s", error);
	cr_assert_eq(verify("docker.example.org", NULL, start), X509_V_OK);
	cr_assert_eq(verify("node1.swarm.example", NULL, start), X509_V_OK);
	cr_assert_eq(verify("xn--bcher-kva.example", NULL, start), X509_V_OK);
	cr_assert_eq(verify(NULL, "192.0.2.7", start), X509_V_OK);
	cr_assert_eq(verify(NULL, "2001:db8::7", start), X509_V_OK);
	cr_assert_eq(verify(NULL, "2001:db8::8", start), X509_V_OK);
	cr_assert_eq(pki_ensure(dir, sans, ARRAY_SIZE(sans), start, error, sizeof(error)), 0, "%s", error);
}

Test(pki, what_is_no_name_is_refused)
{
	static const char *const bad[] = {
	    "",
	    " ",
	    "a b",
	    "a..b",
	    ".a",
	    "a.",
	    "-a.example",
	    "a-.example",
	    "b\xc3\xbc-cher",
	    "1.2.3",
	    "1.2.3.256",
	    "1.2.3.4.5",
	    "*",
	    "*.",
	    "a.*.b",
	    "[::1",
	    "::1]",
	    "[]",
	    "2001:db8::g",
	    "fe80::1%eth0",
	    "a/b",
	    "host:443",
	    "a\nb",
	    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg.example",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect_eq(ensure_san(start, bad[i]), -EINVAL, "row %zu '%s'", i, bad[i]);
		cr_expect(strstr(error, "--san"), "row %zu: %s", i, error);
		cr_expect_neq(access(paths.ca, F_OK), 0, "row %zu made a CA", i);
	}
}

Test(pki, the_longest_dns_name_fits_and_one_more_does_not)
{
	char name[256];

	memset(name, 'a', sizeof(name));
	for (size_t i = 63; i < sizeof(name); i += 64)
		name[i] = '.';
	name[253] = '\0';
	cr_assert_eq(ensure_san(start, name), 1, "%s", error);
	cr_assert_eq(verify(name, NULL, start), X509_V_OK);
	name[253] = 'a';
	name[254] = '\0';
	cr_assert_eq(ensure_san(start, name), -EINVAL);
}

Test(pki, more_names_than_fit_are_refused)
{
	static char names[PKI_NAME_MAX + 1][16];
	const char *sans[PKI_NAME_MAX + 1];

	for (size_t i = 0; i < ARRAY_SIZE(sans); i++) {
		snprintf(names[i], sizeof(names[i]), "h%zu.example", i);
		sans[i] = names[i];
	}
	cr_assert_eq(pki_ensure(dir, sans, ARRAY_SIZE(sans), start, error, sizeof(error)), -ENOSPC);
	error_has("--san", "too many");
	/* 200 of them leave room for what is local, and the certificate still verifies. */
	cr_assert_eq(pki_ensure(dir, sans, 200, start, error, sizeof(error)), 1, "%s", error);
	cr_assert_eq(verify("h199.example", NULL, start), X509_V_OK);
	cr_assert_eq(verify("localhost", NULL, start), X509_V_OK);
}
