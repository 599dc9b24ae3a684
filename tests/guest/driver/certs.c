/* SPDX-License-Identifier: MIT */
#include "certs.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "peer.h"

#define DAY_SECONDS 86400L

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool good = extension && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return good;
}

static bool set_name(X509 *cert, const char *name)
{
	return X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
					  (const unsigned char *)name, -1, -1, 0) == 1;
}

/* A certificate for `key`; signed by itself, as a CA, when there is no issuer. NULL on failure. */
static X509 *make(EVP_PKEY *key, const char *name, const char *san, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *cert = X509_new();
	uint64_t serial = 0;

	if (!cert || RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1)
		return cert;
	bool good = X509_set_version(cert, X509_VERSION_3) == 1 &&
		    ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) == 1 &&
		    X509_gmtime_adj(X509_getm_notBefore(cert), -DAY_SECONDS) &&
		    X509_gmtime_adj(X509_getm_notAfter(cert), 30 * DAY_SECONDS) &&
		    X509_set_pubkey(cert, key) == 1 && set_name(cert, name) &&
		    X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert)) == 1 &&
		    add_extension(cert, issuer ? issuer : cert, NID_basic_constraints,
				  issuer ? "critical,CA:FALSE" : "critical,CA:TRUE") &&
		    (!san || add_extension(cert, issuer, NID_subject_alt_name, san)) &&
		    X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256()) > 0;
	if (good)
		return cert;
	X509_free(cert);
	return NULL;
}

static bool write_pem(const char *dir, const char *name, X509 *cert, EVP_PKEY *key)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *file = fopen(path, "we");
	if (!file)
		return false;
	bool good = fchmod(fileno(file), 0600) == 0;
	if (cert)
		good = good && PEM_write_X509(file, cert) == 1;
	if (key)
		good = good && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;
	return fclose(file) == 0 && good;
}

/* A key with a certificate of the CA in two files. */
static bool make_pair(const struct certs *certs, const char *dir, const char *cert_name, const char *key_name,
		      const char *san)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = key ? make(key, "guest tests", san, certs->ca, certs->ca_key) : NULL;
	bool good = cert && write_pem(dir, cert_name, cert, NULL) && write_pem(dir, key_name, NULL, key);

	X509_free(cert);
	EVP_PKEY_free(key);
	return good;
}

int certs_make(struct certs *certs, const char *dir)
{
	char client[512];

	snprintf(client, sizeof(client), "%s/client", dir);
	*certs = (struct certs){.ca_key = EVP_EC_gen("P-256"), .foreign_key = EVP_EC_gen("P-256")};
	if (certs->ca_key && certs->foreign_key) {
		certs->ca = make(certs->ca_key, "guest tests CA", NULL, NULL, NULL);
		certs->foreign = make(certs->foreign_key, "foreign CA", NULL, NULL, NULL);
	}
	if (certs->ca && certs->foreign && mkdir(client, 0700) == 0 &&
	    make_pair(certs, dir, "gate.pem", "gate.key", "IP:127.0.0.1,DNS:localhost") &&
	    make_pair(certs, client, "cert.pem", "key.pem", "DNS:headgate") &&
	    write_pem(client, "ca.pem", certs->ca, NULL))
		return 0;
	ERR_print_errors_fp(stderr);
	fprintf(stderr, "driver: cannot make certificates in %s\n", dir);
	return -EIO;
}

void certs_free(struct certs *certs)
{
	X509_free(certs->ca);
	X509_free(certs->foreign);
	EVP_PKEY_free(certs->ca_key);
	EVP_PKEY_free(certs->foreign_key);
	*certs = (struct certs){0};
}

static SSL_CTX *ctx_new(const struct certs *certs, const SSL_METHOD *method, int verify)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx || X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), certs->ca) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_verify(ctx, verify, NULL);
	SSL_CTX_set_keylog_callback(ctx, peer_keylog);
	/* Hundreds of idle connections of the tests would hold 16 KiB each. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	return ctx;
}

SSL_CTX *certs_client_ctx(const struct certs *certs)
{
	return ctx_new(certs, TLS_client_method(), SSL_VERIFY_PEER);
}

SSL_CTX *certs_engine_ctx(const struct certs *certs, enum certs_engine kind, int max_version)
{
	SSL_CTX *ctx = ctx_new(certs, TLS_server_method(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	bool foreign = kind == CERTS_ENGINE_FOREIGN_CA;
	const char *san = kind == CERTS_ENGINE_WRONG_NAME ? "DNS:elsewhere,IP:192.0.2.1" : "IP:127.0.0.1";
	X509 *cert = key ? make(key, "engine", san, foreign ? certs->foreign : certs->ca,
				foreign ? certs->foreign_key : certs->ca_key)
			 : NULL;

	if (!ctx || !cert || SSL_CTX_use_certificate(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"guest", 5) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, max_version) != 1) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}
