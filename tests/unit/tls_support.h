/* SPDX-License-Identifier: MIT */
/*
 * tls_support.h: two ends of TLS over a socket pair, stepped by one thread. End 0 is always ours; end 1 is
 * ours too, or bare OpenSSL, which can be told to do what ours never does. Certificates are made here, in a
 * directory of the test's own.
 */
#ifndef HEADGATE_TLS_SUPPORT_H
#define HEADGATE_TLS_SUPPORT_H

#include "net_support.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "compiler.h"
#include "pki_cert.h"
#include "tls.h"

#define TLS_HOST "engine.test"

/* A CA with its key; both owned. */
struct authority {
	EVP_PKEY *key;
	X509 *cert;
};

static inline void authority_make(struct authority *authority)
{
	authority->key = pki_key_new();
	authority->cert = pki_cert_new_ca(authority->key, "test", time(NULL), 2);
	cr_assert_not_null(authority->cert);
}

static inline void authority_free(struct authority *authority)
{
	X509_free(authority->cert);
	EVP_PKEY_free(authority->key);
	*authority = (struct authority){0};
}

static inline void pem_save(const char *dir, const char *name, BIO *pem, mode_t mode)
{
	char path[128], *text;
	long len = BIO_get_mem_data(pem, &text);

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file, "%s", path);
	cr_assert_eq(fwrite(text, 1, (size_t)len, file), (size_t)len);
	fclose(file);
	cr_assert_eq(chmod(path, mode), 0);
	BIO_free(pem);
}

/* Writes DIR/<name>.pem and DIR/<name>-key.pem, signed by the CA, for `sans` ("DNS:a,IP:1.2.3.4"). */
static inline void pair_save(const struct authority *authority, const char *dir, const char *cert_name,
			     const char *key_name, const char *common_name, const char *sans)
{
	EVP_PKEY *key = pki_key_new();
	X509 *cert = X509_new();
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, sans);
	X509_NAME *name = X509_get_subject_name(cert);

	cr_assert_not_null(extension);
	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), arc4random());
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(authority->cert));
	X509_set_pubkey(cert, key);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	cr_assert_gt(X509_sign(cert, authority->key, EVP_sha256()), 0);
	pem_save(dir, cert_name, pki_certs_pem(cert, authority->cert), 0644);
	pem_save(dir, key_name, pki_key_pem(key), 0600);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* What tls_client_new() and docker want: ca.pem, cert.pem, key.pem; and server.pem, server-key.pem. */
static inline void credentials_save(const struct authority *authority, const char *dir)
{
	pem_save(dir, "ca.pem", pki_certs_pem(authority->cert, NULL), 0644);
	pair_save(authority, dir, "cert.pem", "key.pem", "client", "DNS:client.test");
	pair_save(authority, dir, "server.pem", "server-key.pem", "server", "DNS:" TLS_HOST ",IP:127.0.0.1");
}

/* A path in `dir`; the next call but seven overwrites it. */
static inline const char *path_in(const char *dir, const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static inline struct tls_server *server_of(const char *dir)
{
	char error[512] = "";
	struct tls_server *server = tls_server_new(path_in(dir, "server.pem"), path_in(dir, "server-key.pem"),
						   NULL, error, sizeof(error));

	cr_assert_not_null(server, "%s", error);
	return server;
}

static inline struct tls_client *client_of(const char *dir, const char *host)
{
	char error[512] = "";
	struct tls_client *client = tls_client_new(dir, host, error, sizeof(error));

	cr_assert_not_null(client, "%s", error);
	return client;
}

/* A context of bare OpenSSL that takes exactly that version, with the credentials in `dir`. */
static inline SSL_CTX *bare_ctx(const char *dir, bool server, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	cr_assert_eq(SSL_CTX_set_min_proto_version(ctx, version), 1);
	cr_assert_eq(SSL_CTX_set_max_proto_version(ctx, version), 1);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_num_tickets(ctx, 0);
	cr_assert_eq(SSL_CTX_load_verify_locations(ctx, path_in(dir, "ca.pem"), NULL), 1);
	if (server) {
		cr_assert_eq(SSL_CTX_use_certificate_chain_file(ctx, path_in(dir, "server.pem")), 1);
		cr_assert_eq(
		    SSL_CTX_use_PrivateKey_file(ctx, path_in(dir, "server-key.pem"), SSL_FILETYPE_PEM), 1);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	} else {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	}
	return ctx;
}

/* One end: ours (`tls`) or bare OpenSSL (`ssl`). */
struct end {
	int fd;		 /* owned */
	struct tls *tls; /* owned */
	SSL *ssl;	 /* owned */
	struct buf_pool pool;
	bool done;
};

static inline void end_close(struct end *end)
{
	tls_conn_free(end->tls);
	SSL_free(end->ssl);
	if (end->fd >= 0)
		close(end->fd);
	cr_assert_eq(end->pool.taken_count, 0, "buffers come back");
	buf_pool_fini(&end->pool);
	*end = (struct end){.fd = -1};
}

static inline void end_ours(struct end *end, int fd, struct tls_server *server, struct tls_client *client)
{
	*end = (struct end){.fd = fd};
	buf_pool_init(&end->pool, 2);
	end->tls = server ? tls_accept(server, fd, &end->pool) : tls_connect(client, fd, &end->pool);
	cr_assert_not_null(end->tls);
}

static inline void end_bare(struct end *end, int fd, SSL_CTX *ctx, bool server)
{
	*end = (struct end){.fd = fd, .ssl = SSL_new(ctx)};
	buf_pool_init(&end->pool, 0);
	SSL_set_fd(end->ssl, fd);
	if (server)
		SSL_set_accept_state(end->ssl);
	else
		SSL_set_connect_state(end->ssl);
}

/* What the event loop says. */
static inline void end_event(struct end *end)
{
	if (end->tls && net_wait(end->fd, POLLIN, 0))
		tls_readable(end->tls);
}

static inline ssize_t bare_result(const struct end *end, int result)
{
	switch (SSL_get_error(end->ssl, result)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	default:
		return -EPROTO;
	}
}

static inline ssize_t end_read(struct end *end, void *data, size_t len)
{
	end_event(end);
	if (end->tls)
		return tls_read(end->tls, data, len);
	ERR_clear_error();
	int n = SSL_read(end->ssl, data, (int)len);
	return n > 0 ? n : bare_result(end, n);
}

static inline ssize_t end_write(struct end *end, const void *data, size_t len)
{
	if (end->tls)
		return tls_write(end->tls, data, len);
	ERR_clear_error();
	int n = SSL_write(end->ssl, data, (int)len);
	return n > 0 ? n : bare_result(end, n);
}

static inline int end_flush(struct end *end)
{
	return end->tls ? tls_flush(end->tls) : 0;
}

static inline int end_finish(struct end *end)
{
	if (end->tls)
		return tls_end(end->tls);
	return SSL_shutdown(end->ssl) < 0 ? -EAGAIN : 0;
}

static inline enum tls_step end_shake(struct end *end)
{
	end_event(end);
	if (end->tls)
		return tls_handshake(end->tls);
	ERR_clear_error();
	int result = SSL_do_handshake(end->ssl);
	if (result == 1)
		return TLS_DONE;
	return bare_result(end, result) == -EAGAIN ? TLS_WANT_READ : TLS_FAILED;
}

/* Steps both until each is done or has failed; the results are in steps[]. */
static inline void ends_shake(struct end ends[2], enum tls_step steps[2])
{
	long long until = net_now_ms() + NET_PATIENCE_MS;

	steps[0] = steps[1] = TLS_WANT_READ;
	do {
		for (int i = 0; i < 2; i++)
			if (steps[i] == TLS_WANT_READ || steps[i] == TLS_WANT_WRITE)
				steps[i] = end_shake(&ends[i]);
		/* One that waits for a peer that has failed waits for ever. */
		if ((steps[0] >= TLS_PLAIN_HTTP || steps[1] >= TLS_PLAIN_HTTP) &&
		    !net_wait(ends[0].fd, POLLIN, 0) && !net_wait(ends[1].fd, POLLIN, 0))
			return;
		cr_assert_lt(net_now_ms(), until, "the handshake stands still: %d %d", steps[0], steps[1]);
	} while (steps[0] < TLS_PLAIN_HTTP && steps[1] < TLS_PLAIN_HTTP &&
		 (steps[0] != TLS_DONE || steps[1] != TLS_DONE));
	for (int i = 0; i < 2; i++) /* the alert of the one that failed */
		if (steps[i] == TLS_WANT_READ)
			steps[i] = end_shake(&ends[i]);
}

/* Bytes [sent, total) from one end to the other, both stepped by turns; `piece` a write. */
static inline void ends_carry(struct end *from, struct end *to, size_t total, size_t piece, size_t read_size)
{
	static char out[1 << 20], in[1 << 20];
	long long until = net_now_ms() + 20000;
	size_t sent = 0, received = 0;

	net_fill(out, 0, sizeof(out));
	while (received < total) {
		size_t len = total - sent < piece ? total - sent : piece;
		ssize_t n = len ? end_write(from, out + sent, len) : end_flush(from);

		cr_assert(n >= 0 || n == -EAGAIN, "write: %s", strerror((int)-n));
		sent += n > 0 ? (size_t)n : 0;
		n = end_read(to, in, read_size);
		cr_assert(n > 0 || n == -EAGAIN, "read: %zd after %zu of %zu", n, received, total);
		if (n > 0)
			cr_assert(net_is(in, received, (size_t)n), "bytes differ near %zu", received);
		received += n > 0 ? (size_t)n : 0;
		cr_assert_lt(net_now_ms(), until, "stuck at %zu of %zu", received, total);
	}
	cr_assert_eq(received, total);
	cr_assert_eq(end_flush(from), 0);
	cr_assert_eq(end_read(to, in, 1), -EAGAIN, "nothing more");
}

#endif
