/* SPDX-License-Identifier: MIT */
/* pki_cert.c: see pki_cert.h. */
#include "pki_cert.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define SERIAL_BITS 128
#define DAY_S	    ((time_t)86400)
/* Clients' clocks are not all right: a certificate is good from an hour before it was made. */
#define BACKDATE_S ((time_t)3600)
/* Room for the host in the CA's name: 64 bytes (ub-common-name) less "headgate CA " and " 01234567". */
#define CA_HOST_MAX 43

const char *pki_crypto_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return reason ? reason : "no reason given";
}

EVP_PKEY *pki_key_new(void)
{
	return EVP_EC_gen("P-256");
}

static bool set_serial(X509 *cert)
{
	BIGNUM *number = BN_new();
	/* The top bit is set, so the number is positive, never 0, and always as long. */
	bool ok = number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
		  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));

	BN_free(number);
	return ok;
}

static bool set_common_name(X509 *cert, const char *name)
{
	return X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
					  (const unsigned char *)name, -1, -1, 0) == 1;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = extension && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

static GENERAL_NAME *general_name(const struct pki_name *name)
{
	GENERAL_NAME *general = GENERAL_NAME_new();
	bool address = name->address_len != 0;
	ASN1_STRING *string = address ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	const void *bytes = address ? (const void *)name->address : (const void *)name->dns;
	int len = address ? (int)name->address_len : (int)strlen(name->dns);

	if (!general || !string || ASN1_STRING_set(string, bytes, len) != 1) {
		GENERAL_NAME_free(general);
		ASN1_STRING_free(string);
		return NULL;
	}
	GENERAL_NAME_set0_value(general, address ? GEN_IPADD : GEN_DNS, string);
	return general;
}

static bool add_names(X509 *cert, const struct pki_names *names)
{
	GENERAL_NAMES *generals = GENERAL_NAMES_new();
	bool ok = generals != NULL;

	for (size_t i = 0; ok && i < names->count; i++) {
		GENERAL_NAME *general = general_name(&names->names[i]);

		ok = general && sk_GENERAL_NAME_push(generals, general) > 0;
		if (!ok)
			GENERAL_NAME_free(general);
	}
	ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, generals, 0, X509V3_ADD_DEFAULT) == 1;
	GENERAL_NAMES_free(generals);
	return ok;
}

/* What both kinds have: version 3, serial, life, subject, key. */
static X509 *cert_new(EVP_PKEY *key, const char *name, time_t not_before, time_t not_after)
{
	X509 *cert = X509_new();

	if (cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
	    ASN1_TIME_set(X509_getm_notBefore(cert), not_before) &&
	    ASN1_TIME_set(X509_getm_notAfter(cert), not_after) && set_common_name(cert, name) &&
	    X509_set_pubkey(cert, key) == 1)
		return cert;
	X509_free(cert);
	return NULL;
}

/* The random part tells the CAs of two installations on one host apart, also in a client's trust store. */
static bool ca_name(const char *host, char out[PKI_HOST_MAX + 1])
{
	uint32_t random = arc4random();
	int n = snprintf(out, PKI_HOST_MAX + 1, "headgate CA %.*s %08x", CA_HOST_MAX, host, random);

	return n > 0 && (size_t)n <= PKI_HOST_MAX;
}

X509 *pki_cert_new_ca(EVP_PKEY *key, const char *host, time_t now, int days)
{
	char name[PKI_HOST_MAX + 1];
	X509 *cert;

	if (!ca_name(host, name))
		return NULL;
	cert = cert_new(key, name, now - BACKDATE_S, now + days * DAY_S);
	if (cert && X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1 &&
	    add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    add_extension(cert, cert, NID_subject_key_identifier, "hash") &&
	    add_extension(cert, cert, NID_authority_key_identifier, "keyid:always") &&
	    X509_sign(cert, key, EVP_sha256()) > 0)
		return cert;
	X509_free(cert);
	return NULL;
}

X509 *pki_cert_new_server(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const struct pki_names *names,
			  time_t now, int days)
{
	time_t ca_start, ca_end, start = now - BACKDATE_S, end = now + days * DAY_S;
	X509 *cert;

	if (pki_cert_times(ca, &ca_start, &ca_end) < 0)
		return NULL;
	cert = cert_new(key, names->host, start < ca_start ? ca_start : start, end > ca_end ? ca_end : end);
	if (cert && X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1 &&
	    add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(cert, ca, NID_key_usage, "critical,digitalSignature") &&
	    add_extension(cert, ca, NID_ext_key_usage, "serverAuth") && add_names(cert, names) &&
	    add_extension(cert, ca, NID_subject_key_identifier, "hash") &&
	    add_extension(cert, ca, NID_authority_key_identifier, "keyid:always") &&
	    X509_sign(cert, ca_key, EVP_sha256()) > 0)
		return cert;
	X509_free(cert);
	return NULL;
}

static BIO *span_bio(struct span text)
{
	if (text.len == 0 || text.len > INT_MAX)
		return NULL;
	return BIO_new_mem_buf(text.ptr, (int)text.len);
}

/* Instead of OpenSSL's default, which would ask on the terminal and wait. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

EVP_PKEY *pki_key_read(struct span pem)
{
	BIO *bio = span_bio(pem);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

	BIO_free(bio);
	return key;
}

X509 *pki_cert_read(struct span pem, unsigned index)
{
	BIO *bio = span_bio(pem);
	X509 *cert = NULL;

	for (unsigned i = 0; bio && i <= index; i++) {
		X509_free(cert);
		cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
		if (!cert)
			break;
	}
	BIO_free(bio);
	return cert;
}

BIO *pki_certs_pem(X509 *first, X509 *second)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio && PEM_write_bio_X509(bio, first) == 1 && (!second || PEM_write_bio_X509(bio, second) == 1))
		return bio;
	BIO_free(bio);
	return NULL;
}

BIO *pki_key_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		return bio;
	BIO_free(bio);
	return NULL;
}

static int time_of(const ASN1_TIME *asn1, time_t *out)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(asn1, &tm) != 1)
		return -EINVAL;
	*out = timegm(&tm);
	return 0;
}

int pki_cert_times(const X509 *cert, time_t *not_before, time_t *not_after)
{
	int ret = time_of(X509_get0_notBefore(cert), not_before);

	return ret < 0 ? ret : time_of(X509_get0_notAfter(cert), not_after);
}

static bool general_is(const GENERAL_NAME *general, const struct pki_name *name)
{
	int type;
	const ASN1_STRING *string = GENERAL_NAME_get0_value(general, &type);
	bool address = name->address_len != 0;
	const void *bytes = address ? (const void *)name->address : (const void *)name->dns;
	int len = address ? (int)name->address_len : (int)strlen(name->dns);

	return type == (address ? GEN_IPADD : GEN_DNS) && ASN1_STRING_length(string) == len &&
	       memcmp(ASN1_STRING_get0_data(string), bytes, (size_t)len) == 0;
}

const struct pki_name *pki_cert_missing(const X509 *cert, const struct pki_names *names)
{
	GENERAL_NAMES *generals = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const struct pki_name *missing = NULL;

	for (size_t i = 0; !missing && i < names->count; i++) {
		bool found = false;

		for (int j = 0; !found && j < sk_GENERAL_NAME_num(generals); j++)
			found = general_is(sk_GENERAL_NAME_value(generals, j), &names->names[i]);
		if (!found)
			missing = &names->names[i];
	}
	GENERAL_NAMES_free(generals);
	return missing;
}

bool pki_cert_signed_by(X509 *cert, X509 *ca)
{
	EVP_PKEY *key = X509_get0_pubkey(ca);

	return key && X509_check_issued(ca, cert) == X509_V_OK && X509_verify(cert, key) == 1;
}
