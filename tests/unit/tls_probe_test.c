/* SPDX-License-Identifier: MIT */
/*
 * tls_probe_test.c: what the probe says against what the kernel says by itself. It has to hold with kernel
 * TLS and without; a kernel that takes a direction is asked in tests/guest.
 */
#include "tls_probe.h"

#include "net_support.h"

#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

TestSuite(tls_probe, .timeout = 300);

/* Whether a connected TCP socket takes the protocol; a kernel without it says ENOENT. */
static bool kernel_has_tls(void)
{
	int fds[2];

	net_tcp_pair(fds);
	bool has = setsockopt(fds[0], IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0;
	close(fds[0]);
	close(fds[1]);
	return has;
}

Test(tls_probe, every_version_and_cipher_gets_its_handshake)
{
	static const char *const wanted[TLS_PROBE_ROWS][2] = {
	    {"TLSv1.3", "AES-128-GCM"}, {"TLSv1.3", "AES-256-GCM"}, {"TLSv1.3", "ChaCha20-Poly1305"},
	    {"TLSv1.2", "AES-128-GCM"}, {"TLSv1.2", "AES-256-GCM"}, {"TLSv1.2", "ChaCha20-Poly1305"},
	};
	struct tls_probe_row rows[TLS_PROBE_ROWS];
	unsigned fds = net_open_fds();

	memset(rows, 0x5a, sizeof(rows));
	cr_assert_eq(tls_probe(rows), 0);
	for (size_t i = 0; i < TLS_PROBE_ROWS; i++) {
		cr_assert_str_eq(rows[i].version, wanted[i][0]);
		cr_assert_str_eq(rows[i].cipher, wanted[i][1]);
		cr_assert_str_eq(rows[i].error, "", "%s %s", rows[i].version, rows[i].cipher);
	}
	cr_assert_eq(net_open_fds(), fds, "descriptors are left open");
	cr_assert_eq(ERR_peek_error(), 0, "errors are left in the queue");
}

Test(tls_probe, nothing_is_offloaded_where_the_kernel_or_the_library_cannot)
{
	struct tls_probe_row rows[TLS_PROBE_ROWS];
	bool possible = kernel_has_tls() && tls_probe_library_is_enough() && tls_probe_kernel_is_enough();

	cr_assert_eq(tls_probe(rows), 0);
	for (size_t i = 0; i < TLS_PROBE_ROWS; i++)
		cr_assert(possible || (!rows[i].sends && !rows[i].receives), "%s %s", rows[i].version,
			  rows[i].cipher);
}

Test(tls_probe, kernels_that_lose_bytes_are_not_asked)
{
	static const char *const enough[] = {"6.1.0-25-amd64", "6.12.117+deb13-cloud-amd64", "6.1", "7.0.3",
					     "10.0"};
	static const char *const too_old[] = {"5.15.0-91-generic", "5.10.46", "6.0.19", "6", "", "unknown"};

	for (size_t i = 0; i < ARRAY_SIZE(enough); i++)
		cr_assert(tls_probe_release_is_enough(enough[i]), "%s", enough[i]);
	for (size_t i = 0; i < ARRAY_SIZE(too_old); i++)
		cr_assert_not(tls_probe_release_is_enough(too_old[i]), "%s", too_old[i]);
}

Test(tls_probe, the_short_probe_agrees_with_the_long_one)
{
	struct tls_probe_row rows[TLS_PROBE_ROWS];
	char reason[256] = "";

	cr_assert_eq(tls_probe(rows), 0);
	bool works = tls_probe_kernel(reason, sizeof(reason));
	cr_assert_eq(works, rows[0].sends && rows[0].receives, "%s", reason);
	cr_assert(works || reason[0]);
	if (!works)
		cr_assert_neq(reason[strlen(reason) - 1], '.');
	if (!tls_probe_library_is_enough())
		cr_assert_not_null(strstr(reason, "3.2 or later"), "%s", reason);
	else if (!tls_probe_kernel_is_enough())
		cr_assert_not_null(strstr(reason, "6.1 or later"), "%s", reason);
	else if (!kernel_has_tls())
		cr_assert_not_null(strstr(reason, "modprobe tls"), "%s", reason);
}

Test(tls_probe, a_short_reason_is_cut)
{
	char reason[8];

	memset(reason, 'x', sizeof(reason));
	if (!tls_probe_kernel(reason, sizeof(reason) - 1))
		cr_assert_eq(strnlen(reason, sizeof(reason)), sizeof(reason) - 2);
	cr_assert_eq(reason[7], 'x', "written behind the end");
}

Test(tls_probe, the_library_is_the_one_that_runs)
{
	cr_assert_str_eq(tls_probe_library(), OpenSSL_version(OPENSSL_VERSION_STRING));
	cr_assert_eq(tls_probe_library_is_enough(),
		     OPENSSL_version_major() > 3 ||
			 (OPENSSL_version_major() == 3 && OPENSSL_version_minor() >= 2));
}

Test(tls_probe, the_module_is_what_the_kernel_lists)
{
	bool has = kernel_has_tls(); /* this may load it */

	cr_assert_eq(tls_probe_module_is_loaded(), has);
}
