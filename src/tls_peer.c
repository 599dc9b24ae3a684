/* SPDX-License-Identifier: MIT */
/*
 * Who the other side is: the names that a client's certificate proves, and the trust in a server by
 * fingerprint.
 *
 * OpenSSL verifies a client's certificate during the handshake, so a connection that got through it has
 * a good one or none. A server that is trusted by fingerprint is verified here instead: by the digest of its
 * own certificate, whose key the handshake proves, or by OpenSSL with the CA that has the digest as the only
 * one trusted. The second way outlives renewals: headgate's server certificate comes with its CA.
 */
#include "tls_impl.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "span.h"
#include "token.h"

/* Intermediate CAs between a client's certificate and the CA of the file. */
#define CLIENT_CHAIN_MAX 4
/* What a client may make us take in and parse before anything is verified; OpenSSL's default is 100 KB. */
#define CLIENT_CHAIN_BYTES_MAX 32768
#define NAMES_MAX	       ((size_t)16)

int tls_peer_expect(SSL_CTX *ctx, const char *client_ca_file)
{
	static const unsigned char session_context[] = "headgate";

	if (SSL_CTX_load_verify_locations(ctx, client_ca_file, NULL) != 1)
		return -EINVAL;
	/* With the list, a client that has a certificate of another CA only shows none, and may have a token.
	 */
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(client_ca_file);
	if (!names)
		return -EINVAL;
	SSL_CTX_set_client_CA_list(ctx, names);
	/* No FAIL_IF_NO_PEER_CERT: who shows none needs a token. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_verify_depth(ctx, CLIENT_CHAIN_MAX);
	SSL_CTX_set_max_cert_list(ctx, CLIENT_CHAIN_BYTES_MAX);
	/* Nothing is resumed here; should that change, then never into another server's idea of who a client
	 * is. */
	if (SSL_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context) - 1) != 1)
		return -EINVAL;
	return 0;
}

/* ---- a client's names ---- */

struct name_list {
	char text[NAMES_MAX * (TOKEN_NAME_MAX + 1)];
	size_t len, count;
};

/* A NUL or anything else that is not in a token's name makes it no name, whoever signed it. */
static void name_add(struct name_list *list, struct span name)
{
	if (list->count == NAMES_MAX || !token_name_ok(name))
		return;
	memcpy(list->text + list->len, name.ptr, name.len);
	list->len += name.len;
	list->text[list->len++] = '\0';
	list->count++;
}

static void common_names_add(struct name_list *list, const X509 *cert)
{
	const X509_NAME *subject = X509_get_subject_name(cert);

	for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;) {
		unsigned char *text = NULL;
		int len =
		    ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));

		if (len > 0)
			name_add(list, (struct span){.ptr = (const char *)text, .len = (size_t)len});
		OPENSSL_free(text);
	}
}

static void alternative_names_add(struct name_list *list, const X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) { /* -1 of NULL */
		int type;
		const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);

		if (type == GEN_DNS || type == GEN_EMAIL)
			name_add(list, (struct span){.ptr = (const char *)ASN1_STRING_get0_data(value),
						     .len = (size_t)ASN1_STRING_length(value)});
	}
	GENERAL_NAMES_free(names);
}

int tls_peer_names(const struct tls *tls, char **names)
{
	struct name_list list = {.len = 0};
	X509 *cert = NULL;

	*names = NULL;
	/* The handshake fails with a bad one; that it was verified is asked for all the same. */
	if ((SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER) && SSL_get_verify_result(tls->ssl) == X509_V_OK)
		cert = SSL_get1_peer_certificate(tls->ssl);
	if (!cert)
		return 0;
	common_names_add(&list, cert);
	alternative_names_add(&list, cert);
	X509_free(cert);
	tls_clear_errors(); /* of names that are not to be read */
	*names = malloc(list.len + 1);
	if (!*names)
		return -ENOMEM;
	memcpy(*names, list.text, list.len);
	(*names)[list.len] = '\0';
	return 0;
}

/* ---- a server's fingerprint ---- */

static bool has_fingerprint(const X509 *cert, const uint8_t fingerprint[TLS_FINGERPRINT_BYTES])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	return X509_digest(cert, EVP_sha256(), digest, &len) == 1 && len == TLS_FINGERPRINT_BYTES &&
	       CRYPTO_memcmp(digest, fingerprint, TLS_FINGERPRINT_BYTES) == 0;
}

/* OpenSSL's own verification, names and dates and all, with this CA as the only one trusted. */
static int verify_below(X509_STORE_CTX *ctx, X509 *ca)
{
	STACK_OF(X509) *trusted = sk_X509_new_null();
	int verified = 0;

	if (trusted && sk_X509_push(trusted, ca) > 0) {
		X509_STORE_CTX_set0_trusted_stack(ctx, trusted);
		/* It may be one that another CA has signed. */
		X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
		verified = X509_verify_cert(ctx);
	} else {
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_OUT_OF_MEM);
	}
	sk_X509_free(trusted);
	return verified;
}

static int verify_pinned(X509_STORE_CTX *ctx, void *arg)
{
	const struct tls_client *client = arg;
	const STACK_OF(X509) *shown = X509_STORE_CTX_get0_untrusted(ctx);

	if (has_fingerprint(X509_STORE_CTX_get0_cert(ctx), client->fingerprint)) {
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1;
	}
	for (int i = 1; i < sk_X509_num(shown); i++)
		if (has_fingerprint(sk_X509_value(shown, i), client->fingerprint))
			return verify_below(ctx, sk_X509_value(shown, i));
	X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

void tls_peer_pin(struct tls_client *client)
{
	SSL_CTX_set_cert_verify_callback(client->ctx, verify_pinned, client);
}

/* Not a bad certificate, but one of a CA that nobody has named. */
static bool is_of_a_strange_ca(long verdict)
{
	return verdict == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
	       verdict == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
	       verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       verdict == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

const char *tls_peer_failure(struct tls *tls)
{
	long verdict = SSL_get_verify_result(tls->ssl);
	const char *text = X509_verify_cert_error_string(verdict);

	if (verdict == X509_V_ERR_APPLICATION_VERIFICATION) /* only verify_pinned() says so */
		return "no certificate that it shows has the fingerprint that was given";
	if (!SSL_is_server(tls->ssl)) {
		const struct tls_client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls->ssl));

		if (!client->ca_option || !is_of_a_strange_ca(verdict))
			return text;
		snprintf(tls->failure_text, sizeof(tls->failure_text),
			 "%s; %s has to be the CA that signed its certificate", text, client->ca_option);
		return tls->failure_text;
	}
	snprintf(tls->failure_text, sizeof(tls->failure_text), "the client's certificate is refused: %s",
		 text);
	return tls->failure_text;
}
