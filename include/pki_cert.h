/* SPDX-License-Identifier: MIT */
/*
 * pki_cert.h: makes, reads and judges keys and certificates; touches no file. EC P-256, SHA-256, the
 * profile that RFC 5280's strict readers (Go, Python's VERIFY_X509_STRICT) ask for. Layer 2, part of
 * pki.
 */
#ifndef HEADGATE_PKI_CERT_H
#define HEADGATE_PKI_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <openssl/types.h>

#include "compiler.h"
#include "pki_names.h"
#include "span.h"

/* A new P-256 key, or NULL; the caller frees it. */
EVP_PKEY *pki_key_new(void);

/* A new self-signed CA certificate for `key`, named after `host`. NULL on failure; the caller frees it. */
X509 *pki_cert_new_ca(EVP_PKEY *key, const char *host, time_t now, int days);

/* A new server certificate for `key`, signed by the CA; it ends with the CA if that is earlier. */
X509 *pki_cert_new_server(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const struct pki_names *names,
			  time_t now, int days);

/* The private key in a PEM text, NULL when there is none or it has a passphrase. The caller frees it. */
EVP_PKEY *pki_key_read(struct span pem);

/* Certificate number `index` of a PEM text, or NULL. The caller frees it. */
X509 *pki_cert_read(struct span pem, unsigned index);

/* The PEM text of certificates (one or two) or of a key, in a memory BIO that wipes what it frees. */
BIO *pki_certs_pem(X509 *first, X509 *second);
BIO *pki_key_pem(EVP_PKEY *key);

/* First and last second of the certificate's life. 0 or -EINVAL. */
int pki_cert_times(const X509 *cert, time_t *not_before, time_t *not_after) MUST_USE;

/* The first of `names` that the certificate does not cover, or NULL. */
const struct pki_name *pki_cert_missing(const X509 *cert, const struct pki_names *names);

/* Whether the CA's key signed `cert`, and the names and key ids agree. */
bool pki_cert_signed_by(X509 *cert, X509 *ca);

/* The crypto library's latest reason, for messages; empties its error queue. */
const char *pki_crypto_reason(void);

#endif
