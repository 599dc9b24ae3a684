/* SPDX-License-Identifier: MIT */
/*
 * certs.h: a CA and its certificates, made anew for each run in the run's own directory, and what OpenSSL
 * needs to use them. Files: gate.pem, gate.key (headgate's), client/{ca,cert,key}.pem (--engine-cert-dir).
 */
#ifndef GUEST_CERTS_H
#define GUEST_CERTS_H

#include <openssl/ssl.h>

enum certs_engine {
	CERTS_ENGINE_GOOD,
	CERTS_ENGINE_FOREIGN_CA, /* signed by a CA that headgate was not told of */
	CERTS_ENGINE_WRONG_NAME,
	CERTS_ENGINE_COUNT,
};

struct certs {
	EVP_PKEY *ca_key, *foreign_key; /* owned */
	X509 *ca, *foreign;		/* owned */
};

/* 0 or -EIO, with the reason on standard error. */
int certs_make(struct certs *certs, const char *dir);
void certs_free(struct certs *certs);

/* For clients of headgate; NULL on failure. */
SSL_CTX *certs_client_ctx(const struct certs *certs);
/* For the stand-in engine: a client certificate is demanded. max_version as in
 * SSL_CTX_set_max_proto_version(). */
SSL_CTX *certs_engine_ctx(const struct certs *certs, enum certs_engine kind, int max_version);

#endif
