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
 * A recv(2) that came up short, or with nothing, has emptied the socket. The BIO then says "retry" without
 * asking again until tls_readable() reports a new event; interest is level-triggered, so nothing is missed.
 *
 * Where the kernel may take over, OpenSSL does the handshake on the socket itself: it has to hand its keys
 * to it, and must not have read one byte more than the handshake. tls_arm() then asks what the kernel
 * took. For a direction that it did not take our BIO comes in; when it took both, this object is freed
 * and ktls.c goes on.
 */
#include "tls_impl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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
	tls->socket_empty = result == -EAGAIN;
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

BIO_METHOD *tls_bio_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "headgate");

	if (!method || !BIO_meth_set_read(method, bio_read) || !BIO_meth_set_write(method, bio_write) ||
	    !BIO_meth_set_ctrl(method, bio_ctrl)) {
		BIO_meth_free(method);
		return NULL;
	}
	return method;
}

/* An empty queue is the rule, and clearing an empty one costs as much as a full one. */
void tls_clear_errors(void)
{
	if (ERR_peek_error())
		ERR_clear_error();
}

/* ---- connections ---- */

/* Puts our BIO in place of OpenSSL's for these directions. */
static bool attach_bio(struct tls *tls, bool reading, bool writing)
{
	BIO *bio = BIO_new(tls->method);

	if (!bio)
		return false;
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	if (reading && writing) { /* SSL_set_bio(3): one reference does for both */
		SSL_set_bio(tls->ssl, bio, bio);
	} else if (reading) {
		SSL_set0_rbio(tls->ssl, bio);
	} else {
		SSL_set0_wbio(tls->ssl, bio);
	}
	return true;
}

static struct tls *connection_new(SSL *ssl, BIO_METHOD *method, bool may_arm, int fd, struct buf_pool *pool)
{
	struct tls *tls = ssl ? calloc(1, sizeof(*tls)) : NULL;

	if (!tls) {
		SSL_free(ssl);
		return NULL;
	}
	*tls = (struct tls){
	    .ssl = ssl, .method = method, .pool = pool, .fd = fd, .may_arm = may_arm, .failure = ""};
	if (may_arm)
		SSL_set_options(ssl, SSL_OP_ENABLE_KTLS);
	if (may_arm ? SSL_set_fd(ssl, fd) != 1 : !attach_bio(tls, true, true)) {
		tls_conn_free(tls);
		return NULL;
	}
	return tls;
}

struct tls *tls_accept(struct tls_server *server, int fd, struct buf_pool *pool)
{
	pthread_mutex_lock(&server->lock);
	SSL *ssl = SSL_new(server->ctx);
	bool may_arm = server->may_arm;
	pthread_mutex_unlock(&server->lock);
	if (ssl)
		SSL_set_accept_state(ssl);
	return connection_new(ssl, server->bio, may_arm, fd, pool);
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
	return connection_new(ssl, client->bio, client->may_arm, fd, pool);
}

void tls_conn_free(struct tls *tls)
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
		tls->failure = tls_peer_failure(tls);
	else
		tls->failure = code ? ERR_reason_error_string(code) : "connection closed";
	if (!tls->failure)
		tls->failure = "unknown TLS error";
	return tls->fin ? -ECONNRESET : -EPROTO;
}

/*
 * With TLS 1.2 the kernel decrypts from the peer's ChangeCipherSpec on: a part of what follows, its Finished,
 * is nothing to read there, and wakes us again and again on some kernels.
 */
static int do_handshake(struct tls *tls)
{
	int result;

	do {
		tls_clear_errors();
		result = SSL_do_handshake(tls->ssl);
	} while (result != 1 && tls->may_arm && SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ &&
		 BIO_get_ktls_recv(SSL_get_rbio(tls->ssl)) && ktls_mark(tls->fd, &tls->mark_bytes));
	if (result == 1)
		ktls_unmark(tls->fd, &tls->mark_bytes);
	return result;
}

enum tls_step tls_handshake(struct tls *tls)
{
	tls->socket_error = 0;
	int result = do_handshake(tls);
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
	if (flushed == -EAGAIN || ssl_error == SSL_ERROR_WANT_WRITE) /* our BIO always takes a flight */
		return TLS_WANT_WRITE;
	if (flushed < 0) {
		tls->failure = strerror(-flushed);
		return TLS_FAILED;
	}
	return ssl_error == SSL_ERROR_NONE ? TLS_DONE : TLS_WANT_READ;
}

int tls_arm(struct tls *tls, struct ktls *ktls)
{
	bool sends = tls->may_arm && BIO_get_ktls_send(SSL_get_wbio(tls->ssl));
	bool receives = tls->may_arm && BIO_get_ktls_recv(SSL_get_rbio(tls->ssl));
	bool attach = tls->may_arm && !(sends && receives);

	tls->may_arm = false;
	*ktls = (struct ktls){.sends = sends,
			      .receives = receives,
			      .is_client = !SSL_is_server(tls->ssl),
			      .is_tls13 = SSL_version(tls->ssl) == TLS1_3_VERSION};
	/* Without read-ahead the handshake ends with its last record; anything else would be lost here. */
	if (receives && SSL_has_pending(tls->ssl)) {
		tls->failure = "data behind the handshake in OpenSSL's buffers";
		return -EPROTO;
	}
	/* OpenSSL does not hand over what it sends when an error is on the socket, which is gone by now: with
	 * TLS 1.2 that is what the kernel says about a broken record behind the peer's Finished. */
	if (receives && !sends) {
		tls->failure = "the kernel has found a broken record behind the handshake";
		return -EPROTO;
	}
	return attach && !attach_bio(tls, !receives, !sends) ? -ENOMEM : 0;
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
		/*
		 * From OpenSSL 3.2 on the record layer has a copy of the mode (tls_set_options() in
		 * tls_common.c), which is brought up to date when a mode is set, but not when one is
		 * cleared (tried with 3.5: without this line it releases and wipes all the same).
		 */
		SSL_set_mode(tls->ssl, 0);
	} else {
		SSL_clear_options(tls->ssl, SSL_OP_CLEANSE_PLAINTEXT);
		SSL_set_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
	}
}

void tls_trim(struct tls *tls)
{
	uint64_t cleanse = SSL_get_options(tls->ssl) & SSL_OP_CLEANSE_PLAINTEXT;

	/*
	 * OpenSSL 3.2 and later cleanse the read buffer here even when there is none any more, at address 0
	 * (tried with 3.5.7: freed by RELEASE_BUFFERS, it keeps its length). What was plaintext in it was
	 * wiped when it was read.
	 */
	(void)SSL_clear_options(tls->ssl, SSL_OP_CLEANSE_PLAINTEXT);
	(void)SSL_free_buffers(tls->ssl); /* refused while there is something in them */
	(void)SSL_set_options(tls->ssl, cleanse);
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

	tls_clear_errors();
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
	tls_clear_errors();
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
	tls_clear_errors();
	/* 0: our close_notify is queued, the peer's has not come; that is all a half-close wants. */
	if (!(SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN) && SSL_shutdown(tls->ssl) < 0) {
		tls_clear_errors();
		return -EPROTO;
	}
	return out_send(tls);
}
