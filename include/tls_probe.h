/* SPDX-License-Identifier: MIT */
/*
 * tls_probe.h: what of TLS this host's kernel takes over, found out by handshakes over loopback. Layer 2.
 */
#ifndef HEADGATE_TLS_PROBE_H
#define HEADGATE_TLS_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "compiler.h"

struct tls_probe_row {
	const char *version; /* "TLSv1.3"; static */
	const char *cipher;  /* "AES-128-GCM"; static */
	bool sends, receives;
	char error[128]; /* why there was no handshake; "" otherwise */
};

#define TLS_PROBE_ROWS ((size_t)6)

/*
 * A handshake for every version and cipher that we speak, with kernel TLS asked for where OpenSSL and the
 * kernel can do it right. Takes some milliseconds. 0, or -errno when there is no loopback, no memory or the
 * like.
 */
int tls_probe(struct tls_probe_row rows[TLS_PROBE_ROWS]);

/*
 * Whether kernel TLS works here, both ways, for the suite that most clients get (TLS 1.3 AES-128-GCM). When
 * not, `reason` has why and what to do about it, without a full stop.
 */
bool tls_probe_kernel(char *reason, size_t reason_cap);

/* "OpenSSL 3.5.4": the library that runs, not the one this was built with. */
const char *tls_probe_library(void);

/* Whether that library is new enough: before 3.2 it cannot hand TLS 1.3's receiving side over. */
bool tls_probe_library_is_enough(void);

/* Whether this kernel is new enough, and whether one of that release ("6.1.0-25-amd64") would be. */
bool tls_probe_kernel_is_enough(void);
bool tls_probe_release_is_enough(const char *release);

/* Whether `tls` is among the kernel's upper-layer protocols (net.ipv4.tcp_available_ulp). */
bool tls_probe_module_is_loaded(void);

#endif
