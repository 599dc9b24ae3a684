/* SPDX-License-Identifier: MIT */
/*
 * Certificates, keys and settings: what connections are made from. A server's are replaced while it runs;
 * connections hold references of their own to what they began with.
 */
#include "tls_impl.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

/* AEAD only, cheapest first: AES-128 is enough and costs a fifth less than AES-256. */
static const char tls12_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
				    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char tls13_ciphers[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/* What went wrong first: the last record only says which library noticed it ("system lib"). */
static const char *openssl_reason(void)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);

	if (ERR_SYSTEM_ERROR(code))
		return strerror(ERR_GET_REASON(code));
	switch (ERR_GET_REASON(code)) {
	case PEM_R_NO_START_LINE:
	case ERR_R_UNSUPPORTED:
		return "there is none in it";
	case ERR_R_INTERRUPTED_OR_CANCELLED: /* no_passphrase() */
		return "it has a passphrase; 'openssl pkey -in OLD -out NEW' takes it off";
	default:
		return reason ? reason : "unknown error";
	}
}

/* Nobody is there to type one, and OpenSSL would ask on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

/*
 * Docker clients offer no ALPN and get none. A client that offers it gets http/1.1, or a
 * no_application_protocol alert when that is not among its offers (RFC 7301 3.2).
 */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		       unsigned in_len, void *arg)
{
	static const unsigned char http11[] = "\x08http/1.1";

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, http11, sizeof(http11) - 1, in,
				  in_len) == OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_OK;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *ctx_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx)
		return NULL;
	/*
	 * No tickets and no session cache: Docker's clients never resume, tickets cost a quarter of the
	 * handshake, and they would put control records at the head of a stream. IGNORE_UNEXPECTED_EOF
	 * keeps the sending side alive after a FIN without close_notify; `truncated` remembers it.
	 */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
				     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* One record a call: a flood of KeyUpdates must not hold the worker inside one SSL_read(). */
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (!SSL_CTX_set_num_tickets(ctx, 0) || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(ctx, tls12_ciphers) || !SSL_CTX_set_ciphersuites(ctx, tls13_ciphers)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static int load_pair(SSL_CTX *ctx, const char *cert_file, const char *key_file, char *error, size_t error_cap)
{
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
		snprintf(error, error_cap, "%s: cannot load a PEM certificate: %s", cert_file,
			 openssl_reason());
		return -EINVAL;
	}
	if (file_secret_check(key_file, error, error_cap) < 0)
		return -EINVAL;
	int loaded = SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM);
	int reason = ERR_GET_REASON(ERR_peek_last_error());
	bool mismatch = reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH;
	if (loaded != 1 && !mismatch) {
		snprintf(error, error_cap, "%s: cannot load a PEM private key: %s", key_file,
			 openssl_reason());
		return -EINVAL;
	}
	/* A key that does not fit may also have been taken in place of the certificate, which is gone then.
	 */
	if (loaded != 1 || SSL_CTX_check_private_key(ctx) != 1) {
		snprintf(error, error_cap,
			 "%s: is not the key of the certificate %s; give the pair that belongs together",
			 key_file, cert_file);
		return -EINVAL;
	}
	return 0;
}

static SSL_CTX *server_ctx_new(const char *cert_file, const char *key_file, const char *client_ca_file,
			       char *error, size_t error_cap)
{
	SSL_CTX *ctx = ctx_new(TLS_server_method());

	if (!ctx) {
		snprintf(error, error_cap, "OpenSSL: %s", openssl_reason());
		return NULL;
	}
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	int result = load_pair(ctx, cert_file, key_file, error, error_cap);
	if (result == 0 && client_ca_file) {
		ERR_clear_error();
		result = tls_peer_expect(ctx, client_ca_file);
		if (result < 0)
			snprintf(error, error_cap,
				 "%s: cannot load the CA of client certificates, PEM: %s; see --client-ca",
				 client_ca_file, openssl_reason());
	}
	if (result < 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

struct tls_server *tls_server_new(const char *cert_file, const char *key_file, const char *client_ca_file,
				  char *error, size_t error_cap)
{
	struct tls_server *server = calloc(1, sizeof(*server));

	if (!server || !(server->bio = tls_bio_method_new())) {
		free(server);
		snprintf(error, error_cap, "out of memory");
		return NULL;
	}
	server->ctx = server_ctx_new(cert_file, key_file, client_ca_file, error, error_cap);
	if (!server->ctx) {
		BIO_meth_free(server->bio);
		free(server);
		return NULL;
	}
	pthread_mutex_init(&server->lock, NULL);
	return server;
}

int tls_server_reload(struct tls_server *server, const char *cert_file, const char *key_file,
		      const char *client_ca_file, char *error, size_t error_cap)
{
	SSL_CTX *ctx = server_ctx_new(cert_file, key_file, client_ca_file, error, error_cap);

	if (!ctx)
		return -EINVAL;
	pthread_mutex_lock(&server->lock);
	SSL_CTX *old = server->ctx;
	server->ctx = ctx;
	pthread_mutex_unlock(&server->lock);
	SSL_CTX_free(old); /* open connections hold references of their own */
	return 0;
}

void tls_server_allow_kernel(struct tls_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->may_arm = true;
	pthread_mutex_unlock(&server->lock);
}

void tls_client_allow_kernel(struct tls_client *client)
{
	client->may_arm = true;
}

void tls_server_free(struct tls_server *server)
{
	if (!server)
		return;
	SSL_CTX_free(server->ctx);
	BIO_meth_free(server->bio);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

/* What every client has, before it is told whom to trust. */
static struct tls_client *client_new(const char *host, char *error, size_t error_cap)
{
	struct tls_client *client = calloc(1, sizeof(*client));

	if (!client) {
		snprintf(error, error_cap, "out of memory");
		return NULL;
	}
	if (strlcpy(client->host, host, sizeof(client->host)) >= sizeof(client->host)) {
		free(client);
		snprintf(error, error_cap, "%.64s...: the name is too long", host);
		return NULL;
	}
	client->bio = tls_bio_method_new();
	client->ctx = ctx_new(TLS_client_method());
	if (!client->bio || !client->ctx) {
		snprintf(error, error_cap, "OpenSSL: %s", openssl_reason());
		tls_client_free(client);
		return NULL;
	}
	SSL_CTX_set_verify(client->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_app_data(client->ctx, client); /* for tls_peer_failure() */
	ERR_clear_error();
	return client;
}

struct tls_client *tls_client_new(const char *dir, const char *host, char *error, size_t error_cap)
{
	char ca[4096], cert[4096], key[4096];
	struct tls_client *client;

	if (strlen(dir) > sizeof(ca) - 16) {
		snprintf(error, error_cap, "%.64s...: the name is too long", dir);
		return NULL;
	}
	snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	client = client_new(host, error, error_cap);
	if (!client)
		return NULL;
	client->ca_option = "ca.pem in --engine-cert-dir";
	if (SSL_CTX_load_verify_locations(client->ctx, ca, NULL) != 1)
		snprintf(error, error_cap, "%s: cannot load the CA that signed the engine's certificate: %s",
			 ca, openssl_reason());
	else if (load_pair(client->ctx, cert, key, error, error_cap) == 0)
		return client;
	tls_client_free(client);
	return NULL;
}

/* The certificates of a directory that 'openssl rehash' has prepared. */
static void directory_load(X509_STORE *store, const char *dir)
{
	static const char digits[] = "0123456789abcdef";
	DIR *entries = opendir(dir);
	const struct dirent *entry;
	char path[PATH_MAX];

	while (entries && (entry = readdir(entries)) != NULL) {
		int n = snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);

		/* Of names as OpenSSL looks for them: 8 digits and a number. */
		if (strspn(entry->d_name, digits) == 8 && entry->d_name[8] == '.' && n > 0 &&
		    (size_t)n < sizeof(path))
			(void)X509_STORE_load_file(store, path);
	}
	if (entries)
		closedir(entries);
}

/*
 * OpenSSL reads the system's file of CAs at once, and a certificate of its directories when it is asked for:
 * too late inside the sandbox. What cannot be read is no CA, as with OpenSSL itself.
 */
static bool system_cas_load(SSL_CTX *ctx)
{
	const char *given = secure_getenv(X509_get_default_cert_dir_env());
	const char *dirs = given ? given : X509_get_default_cert_dir();
	char dir[PATH_MAX];

	if (SSL_CTX_set_default_verify_paths(ctx) != 1)
		return false;
	while (*dirs) {
		size_t len = strcspn(dirs, ":");

		if (len > 0 && len < sizeof(dir)) {
			memcpy(dir, dirs, len);
			dir[len] = '\0';
			directory_load(SSL_CTX_get_cert_store(ctx), dir);
		}
		dirs += len + (dirs[len] == ':');
	}
	ERR_clear_error();
	return true;
}

struct tls_client *tls_client_new_remote(const char *ca_file,
					 const uint8_t fingerprint[TLS_FINGERPRINT_BYTES], const char *host,
					 char *error, size_t error_cap)
{
	struct tls_client *client;

	if (ca_file && fingerprint) {
		snprintf(error, error_cap, "--ca and --fingerprint both say whom to trust; give one of them");
		return NULL;
	}
	client = client_new(host, error, error_cap);
	if (!client)
		return NULL;
	if (fingerprint) {
		memcpy(client->fingerprint, fingerprint, sizeof(client->fingerprint));
		tls_peer_pin(client);
		return client;
	}
	client->ca_option = "--ca";
	if (ca_file ? SSL_CTX_load_verify_locations(client->ctx, ca_file, NULL) == 1
		    : system_cas_load(client->ctx))
		return client;
	snprintf(error, error_cap, "%s: cannot load the CA that signed the server's certificate: %s",
		 ca_file ? ca_file : "the system's CAs", openssl_reason());
	tls_client_free(client);
	return NULL;
}

void tls_client_free(struct tls_client *client)
{
	if (!client)
		return;
	SSL_CTX_free(client->ctx);
	BIO_meth_free(client->bio);
	free(client);
}
