/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * OpenSSL sits on a BIO of our own. Reading, the BIO hands out bytes from `in`, which one large
 * recv(2) filled; writing, it gathers records in `out`, which one send(2) empties. Against OpenSSL on
 * the bare descriptor (two reads and one write a record) that saves most system calls and about a
 * third of the CPU of a bulk transfer.
 *
 * `in` is empty whenever SSL_read() reports WANT_READ (OpenSSL then holds the incomplete record
 * itself), and `out` is empty unless the peer is slow, so idle connections own neither.
 *
 * A recv(2) that came up short has emptied the socket. The BIO then says "retry" without asking again
 * until tls_readable() reports a new event; interest is level-triggered, so nothing is missed.
 *
 * The kernel-TLS variant takes its place beside these functions: arm after the handshake, and where the
 * kernel has both directions this object is freed.
 */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "file.h"

/* AEAD only, cheapest first: AES-128 is enough and costs a fifth less than AES-256. */
static const char tls12_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
				    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char tls13_ciphers[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

struct tls_server {
	pthread_mutex_t lock; /* guards ctx; held for SSL_new() only */
	SSL_CTX *ctx;	      /* owned */
	BIO_METHOD *bio;      /* owned */
};

struct tls_client {
	SSL_CTX *ctx;	 /* owned */
	BIO_METHOD *bio; /* owned */
	char host[256];
};

struct tls {
	SSL *ssl;	       /* owned; owns the BIO */
	struct buf_pool *pool; /* borrowed from the worker */
	struct buf *in;	       /* owned; records received, not yet taken by OpenSSL */
	struct buf *out;       /* owned; records not yet sent */
	int fd;		       /* borrowed from the leg */
	int socket_error;      /* errno of the last failed recv or send, 0 when none */
	bool socket_empty;     /* the last recv came up short; wait for an event */
	bool fin;	       /* recv returned 0 */
	bool truncated;
	const char *failure;
};

/* ---- the BIO ---- */

static int bio_recv(struct tls *tls)
{
	if (tls->socket_empty)
		return -EAGAIN;
	if (!tls->in && !(tls->in = buf_take(tls->pool)))
		return -ENOMEM;
	tls->in->start = tls->in->end = 0;
	ssize_t n = recv(tls->fd, tls->in->data, BUF_BYTES, 0);
	if (n > 0) {
		tls->in->end = (size_t)n;
		tls->socket_empty = (size_t)n < BUF_BYTES;
		return 0;
	}
	int result = n == 0 ? 0 : -errno;
	buf_give(tls->pool, &tls->in);
	if (n == 0)
		tls->fin = true;
	return result == -EINTR ? -EAGAIN : result;
}

static int bio_read(BIO *bio, char *data, int len)
{
	struct tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	if (buf_used(tls->in) == 0) {
		int result = tls->fin ? 0 : bio_recv(tls);
		if (result == -EAGAIN) {
			BIO_set_retry_read(bio);
			return -1;
		}
		if (result < 0) {
			tls->socket_error = -result;
			return -1;
		}
		if (tls->fin)
			return 0;
	}
	size_t n = buf_used(tls->in) < (size_t)len ? buf_used(tls->in) : (size_t)len;
	memcpy(data, buf_head(tls->in), n);
	tls->in->start += n;
	if (buf_used(tls->in) == 0)
		buf_give(tls->pool, &tls->in);
	return (int)n;
}

/* Sends `out` as far as the socket takes it. */
static int out_send(struct tls *tls)
{
	while (buf_used(tls->out)) {
		ssize_t n = send(tls->fd, buf_head(tls->out), buf_used(tls->out), MSG_NOSIGNAL);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			tls->socket_error = errno == EAGAIN ? 0 : errno;
			return -errno;
		}
		tls->out->start += (size_t)n;
	}
	buf_give(tls->pool, &tls->out);
	return 0;
}

static int bio_write(BIO *bio, const char *data, int len)
{
	struct tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	if (!tls->out && !(tls->out = buf_take(tls->pool))) {
		tls->socket_error = ENOMEM;
		return -1;
	}
	/* tls_write() leaves room; only replies to a flood of KeyUpdates by a peer that does not read come
	 * here. */
	if (buf_room(tls->out) < (size_t)len) {
		BIO_set_retry_write(bio);
		return -1;
	}
	memcpy(buf_tail(tls->out), data, (size_t)len);
	tls->out->end += (size_t)len;
	return len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	struct tls *tls = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH: /* sending is tls_flush()'s business */
		return 1;
	case BIO_CTRL_EOF:
		return tls->fin;
	default:
		return 0;
	}
}

static BIO_METHOD *bio_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "headgate");

	if (!method || !BIO_meth_set_read(method, bio_read) || !BIO_meth_set_write(method, bio_write) ||
	    !BIO_meth_set_ctrl(method, bio_ctrl)) {
		BIO_meth_free(method);
		return NULL;
	}
	return method;
}

/* ---- contexts ---- */

/* An empty queue is the rule, and clearing an empty one costs as much as a full one. */
static void clear_errors(void)
{
	if (ERR_peek_error())
		ERR_clear_error();
}

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

static SSL_CTX *server_ctx_new(const char *cert_file, const char *key_file, char *error, size_t error_cap)
{
	SSL_CTX *ctx = ctx_new(TLS_server_method());

	if (!ctx) {
		snprintf(error, error_cap, "OpenSSL: %s", openssl_reason());
		return NULL;
	}
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	if (load_pair(ctx, cert_file, key_file, error, error_cap) < 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

struct tls_server *tls_server_new(const char *cert_file, const char *key_file, char *error, size_t error_cap)
{
	struct tls_server *server = calloc(1, sizeof(*server));

	if (!server || !(server->bio = bio_method_new())) {
		free(server);
		snprintf(error, error_cap, "out of memory");
		return NULL;
	}
	server->ctx = server_ctx_new(cert_file, key_file, error, error_cap);
	if (!server->ctx) {
		BIO_meth_free(server->bio);
		free(server);
		return NULL;
	}
	pthread_mutex_init(&server->lock, NULL);
	return server;
}

int tls_server_reload(struct tls_server *server, const char *cert_file, const char *key_file, char *error,
		      size_t error_cap)
{
	SSL_CTX *ctx = server_ctx_new(cert_file, key_file, error, error_cap);

	if (!ctx)
		return -EINVAL;
	pthread_mutex_lock(&server->lock);
	SSL_CTX *old = server->ctx;
	server->ctx = ctx;
	pthread_mutex_unlock(&server->lock);
	SSL_CTX_free(old); /* open connections hold references of their own */
	return 0;
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

struct tls_client *tls_client_new(const char *dir, const char *host, char *error, size_t error_cap)
{
	struct tls_client *client = calloc(1, sizeof(*client));
	char ca[4096], cert[4096], key[4096];

	if (!client || strlen(host) >= sizeof(client->host) || strlen(dir) > sizeof(ca) - 16) {
		free(client);
		snprintf(error, error_cap, "%s: name is too long", dir);
		return NULL;
	}
	snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	memcpy(client->host, host, strlen(host) + 1);
	client->bio = bio_method_new();
	client->ctx = ctx_new(TLS_client_method());
	if (!client->bio || !client->ctx) {
		snprintf(error, error_cap, "OpenSSL: %s", openssl_reason());
		goto failed;
	}
	ERR_clear_error();
	if (SSL_CTX_load_verify_locations(client->ctx, ca, NULL) != 1) {
		snprintf(error, error_cap, "%s: cannot load the CA that signed the engine's certificate: %s",
			 ca, openssl_reason());
		goto failed;
	}
	SSL_CTX_set_verify(client->ctx, SSL_VERIFY_PEER, NULL);
	if (load_pair(client->ctx, cert, key, error, error_cap) < 0)
		goto failed;
	return client;
failed:
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

/* ---- connections ---- */

static struct tls *connection_new(SSL *ssl, const BIO_METHOD *method, int fd, struct buf_pool *pool)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	BIO *bio = ssl ? BIO_new(method) : NULL;

	if (!tls || !bio) {
		free(tls);
		BIO_free(bio);
		SSL_free(ssl);
		return NULL;
	}
	*tls = (struct tls){.ssl = ssl, .pool = pool, .fd = fd, .failure = ""};
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	return tls;
}

struct tls *tls_accept(struct tls_server *server, int fd, struct buf_pool *pool)
{
	pthread_mutex_lock(&server->lock);
	SSL *ssl = SSL_new(server->ctx);
	pthread_mutex_unlock(&server->lock);
	if (ssl)
		SSL_set_accept_state(ssl);
	return connection_new(ssl, server->bio, fd, pool);
}

/* A literal address is checked against the certificate's IP names, anything else against its DNS names. */
static bool expect_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
		return true;
	ERR_clear_error();
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

struct tls *tls_connect(struct tls_client *client, int fd, struct buf_pool *pool)
{
	SSL *ssl = SSL_new(client->ctx);

	if (ssl && !expect_host(ssl, client->host)) {
		SSL_free(ssl);
		ssl = NULL;
	}
	if (ssl)
		SSL_set_connect_state(ssl);
	return connection_new(ssl, client->bio, fd, pool);
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	buf_give(tls->pool, &tls->in);
	buf_give(tls->pool, &tls->out);
	free(tls);
}

/* Turns the last OpenSSL error into tls->failure and an errno. */
static int failed(struct tls *tls, int ssl_error)
{
	unsigned long code = ERR_peek_last_error();

	if (ssl_error == SSL_ERROR_SYSCALL && tls->socket_error) {
		tls->failure = strerror(tls->socket_error);
		return -tls->socket_error;
	}
	if (ssl_error == SSL_ERROR_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		tls->failure = X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl));
	else
		tls->failure = code ? ERR_reason_error_string(code) : "connection closed";
	if (!tls->failure)
		tls->failure = "unknown TLS error";
	return tls->fin ? -ECONNRESET : -EPROTO;
}

enum tls_step tls_handshake(struct tls *tls)
{
	clear_errors();
	tls->socket_error = 0;
	int result = SSL_do_handshake(tls->ssl);
	int ssl_error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, result);
	int reason = ERR_GET_REASON(ERR_peek_last_error());
	bool retry = ssl_error == SSL_ERROR_WANT_READ || ssl_error == SSL_ERROR_WANT_WRITE;

	if (ssl_error != SSL_ERROR_NONE && !retry)
		failed(tls, ssl_error);
	if (ssl_error == SSL_ERROR_SSL && reason == SSL_R_HTTP_REQUEST) {
		buf_give(tls->pool, &tls->out); /* the alert would be noise before a readable answer */
		return TLS_PLAIN_HTTP;
	}
	int flushed = out_send(tls); /* a flight of the handshake, or the alert */
	if (ssl_error != SSL_ERROR_NONE && !retry)
		return TLS_FAILED;
	if (flushed == -EAGAIN)
		return TLS_WANT_WRITE;
	if (flushed < 0) {
		tls->failure = strerror(-flushed);
		return TLS_FAILED;
	}
	return ssl_error == SSL_ERROR_NONE ? TLS_DONE : TLS_WANT_READ;
}

void tls_expect_secrets(struct tls *tls, bool secrets)
{
	/*
	 * CLEANSE_PLAINTEXT wipes what was read; together with RELEASE_BUFFERS it would wipe the whole
	 * 16 KiB buffer for each small request, a tenth of that request's cost. So the buffer is kept
	 * while requests come, and released when a stream begins, which may be silent for hours.
	 */
	if (secrets) {
		SSL_set_options(tls->ssl, SSL_OP_CLEANSE_PLAINTEXT);
		SSL_clear_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
	} else {
		SSL_clear_options(tls->ssl, SSL_OP_CLEANSE_PLAINTEXT);
		SSL_set_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
	}
}

void tls_trim(struct tls *tls)
{
	(void)SSL_free_buffers(tls->ssl); /* refused while there is something in them */
}

const char *tls_failure(const struct tls *tls)
{
	return tls->failure;
}

const char *tls_version(const struct tls *tls)
{
	return SSL_get_version(tls->ssl);
}

const char *tls_cipher(const struct tls *tls)
{
	return SSL_get_cipher_name(tls->ssl);
}

void tls_readable(struct tls *tls)
{
	tls->socket_empty = false;
}

ssize_t tls_read(struct tls *tls, void *data, size_t len)
{
	size_t n = 0;

	clear_errors();
	tls->socket_error = 0;
	int done = SSL_read_ex(tls->ssl, data, len, &n);
	int ssl_error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, done);
	if (tls->out) /* an answer to a KeyUpdate, or what a slow peer has not taken yet */
		(void)out_send(tls);
	switch (ssl_error) {
	case SSL_ERROR_NONE:
		return (ssize_t)n;
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE: /* tls_write() leaves room for dozens of such answers */
		tls->failure = "the peer floods with KeyUpdates and does not read";
		return -EPROTO;
	case SSL_ERROR_ZERO_RETURN:
		tls->truncated = tls->fin;
		return 0;
	default:
		return failed(tls, ssl_error);
	}
}

bool tls_was_truncated(const struct tls *tls)
{
	return tls->truncated;
}

bool tls_has_pending(const struct tls *tls)
{
	/* Not SSL_has_pending(): it also counts the part of a record that only the socket can complete. */
	return buf_used(tls->in) > 0 || SSL_pending(tls->ssl) > 0;
}

ssize_t tls_write(struct tls *tls, const void *data, size_t len)
{
	size_t n = 0;
	int result = out_send(tls);

	if (result < 0)
		return result;
	if (len > TLS_WRITE_MAX_BYTES)
		len = TLS_WRITE_MAX_BYTES;
	clear_errors();
	if (SSL_write_ex(tls->ssl, data, len, &n) != 1)
		return failed(tls, SSL_get_error(tls->ssl, 0));
	result = out_send(tls);
	if (result < 0 && result != -EAGAIN)
		return result;
	return (ssize_t)n;
}

int tls_flush(struct tls *tls)
{
	return out_send(tls);
}

int tls_end(struct tls *tls)
{
	clear_errors();
	/* 0: our close_notify is queued, the peer's has not come; that is all a half-close wants. */
	if (!(SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN) && SSL_shutdown(tls->ssl) < 0) {
		clear_errors();
		return -EPROTO;
	}
	return out_send(tls);
}
