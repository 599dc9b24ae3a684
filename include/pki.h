/* SPDX-License-Identifier: MIT */
/*
 * pki.h: headgate's own small CA and its server certificate, kept in the state directory:
 *
 *     ca.pem          what clients trust          0644
 *     ca-key.pem      signs server certificates   0600
 *     server.pem      leaf, then CA               0644
 *     server-key.pem                              0600
 *
 * ca.pem alone is what a client needs, and the directory can serve as DOCKER_CERT_PATH on this host:
 * the server's files are not called cert.pem and key.pem, which the docker CLI would take for a client
 * certificate. The CA stays; the server certificate is renewed when a third of its life is left or
 * when it does not cover a name asked for. Files appear by rename after fsync; two processes exclude
 * each other by a lock on the directory. Uses OpenSSL's X.509 and EVP, not its SSL. Layer 2.
 */
#ifndef HEADGATE_PKI_H
#define HEADGATE_PKI_H

#include <stddef.h>
#include <time.h>

#include "compiler.h"

#define PKI_CA_DAYS	3650
#define PKI_SERVER_DAYS 90

struct pki_paths {
	char ca[4096], ca_key[4096], cert[4096], key[4096];
};

/* The four paths below `state_dir`. 0 or -ENAMETOOLONG. */
int pki_paths(struct pki_paths *paths, const char *state_dir);

/*
 * Makes what is missing and renews what is due: CA, server key and certificate. `sans` are DNS names
 * or literal addresses, added to localhost, the host name and every local address. `now` is the time
 * to judge by. Returns 1 when a server certificate was written (`error` then says why, for the log), 0
 * when nothing was due, or -errno with a one-line text in `error`: what failed, on which file, what to
 * do.
 */
int pki_ensure(const char *state_dir, const char *const *sans, size_t sans_count, time_t now, char *error,
	       size_t error_cap);

/*
 * What pki_ensure() would do, with all its checks and the same result and `error`; writes nothing and takes
 * no lock. The directory has to be there.
 */
int pki_look(const char *state_dir, const char *const *sans, size_t sans_count, time_t now, char *error,
	     size_t error_cap);

/* First and last second of the life of the certificate in `cert_file`. 0 or -errno with `error`. */
int pki_life(const char *cert_file, time_t *not_before, time_t *not_after, char *error, size_t error_cap);

/*
 * The days until the certificate in `cert_file` ends (negative when it has), in *days. 0 or -errno
 * with `error`.
 */
int pki_days_left(const char *cert_file, time_t now, int *days, char *error, size_t error_cap);

/* The SHA-256 of the (first) certificate in `cert_file`, as openssl and `connect --fingerprint` write it. */
#define PKI_FINGERPRINT_BYTES ((size_t)(32 * 3))
int pki_fingerprint(const char *cert_file, char text[PKI_FINGERPRINT_BYTES], char *error, size_t error_cap);

#endif
