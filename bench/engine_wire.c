/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A plain connection is recv and send. For the `direct` rows, where no proxy is between load and engine, TLS
 * ends here: many records are read with one recv (read-ahead) and gathered into one send by a BIO that
 * appends to `records`, because the ceiling should be a high one.
 */
#include "engine.h"

#include <err.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GATHER_BYTES ((size_t)(128 * 1024))
#define READ_AHEAD   ((size_t)(128 * 1024))

static BIO_METHOD *bio_out;

static int bio_out_write(BIO *bio, const char *data, int len)
{
	struct conn *c = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (c->records_cap - c->records_end < (size_t)len) {
		size_t cap = c->records_end + (size_t)len + (c->records_end ? GATHER_BYTES : 0);
		char *records = realloc(c->records, cap);
		if (!records)
			return -1;
		c->records = records;
		c->records_cap = cap;
	}
	memcpy(c->records + c->records_end, data, (size_t)len);
	c->records_end += (size_t)len;
	return len;
}

static long bio_out_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

SSL_CTX *wire_ctx_new(const char *cert_path, const char *key_path)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	bio_out = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gather");
	if (!ctx || !bio_out || !BIO_meth_set_write(bio_out, bio_out_write) ||
	    !BIO_meth_set_ctrl(bio_out, bio_out_ctrl) || !SSL_CTX_set_num_tickets(ctx, 0) ||
	    SSL_CTX_use_certificate_chain_file(ctx, cert_path) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) != 1)
		errx(1, "%s, %s: no TLS with these", cert_path, key_path);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	return ctx;
}

bool wire_open(struct conn *c, SSL_CTX *ctx)
{
	BIO *in, *out;

	c->ssl = NULL;
	c->records = NULL;
	c->records_start = c->records_end = c->records_cap = 0;
	if (!ctx)
		return true;
	c->ssl = SSL_new(ctx);
	in = BIO_new_socket(c->fd, BIO_NOCLOSE);
	out = BIO_new(bio_out);
	if (!c->ssl || !in || !out)
		return false;
	BIO_set_data(out, c);
	BIO_set_init(out, 1);
	SSL_set_bio(c->ssl, in, out);
	SSL_set_accept_state(c->ssl);
	return true;
}

void wire_close(struct conn *c)
{
	SSL_free(c->ssl);
	free(c->records);
	c->ssl = NULL;
	c->records = NULL;
	close(c->fd);
}

int wire_flush(struct conn *c)
{
	while (c->records_start < c->records_end) {
		ssize_t n = send(c->fd, c->records + c->records_start, c->records_end - c->records_start,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return -errno;
		c->records_start += (size_t)n;
	}
	c->records_start = c->records_end = 0;
	/* A bulk answer's buffer is kept until its end; an idle stream has none. */
	if (c->records && c->state != STATE_SOURCE) {
		free(c->records);
		c->records = NULL;
		c->records_cap = 0;
	}
	return 0;
}

enum step wire_handshake(struct conn *c)
{
	int result = SSL_do_handshake(c->ssl);
	int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, result);
	int flushed = wire_flush(c);

	ERR_clear_error();
	if (flushed < 0 && flushed != -EAGAIN)
		return STEP_END;
	if (error == SSL_ERROR_WANT_READ)
		return STEP_WAIT_IN;
	if (error != SSL_ERROR_NONE)
		return STEP_END;
	c->state = STATE_HEAD;
	return STEP_NEXT;
}

ssize_t wire_recv(struct conn *c, void *data, size_t len)
{
	size_t got = 0;

	if (!c->ssl)
		return recv(c->fd, data, len, 0);
	while (got < len) {
		size_t n = 0;
		if (SSL_read_ex(c->ssl, (char *)data + got, len - got, &n) == 1) {
			got += n;
			continue;
		}
		int error = SSL_get_error(c->ssl, 0);
		ERR_clear_error();
		if (got > 0)
			break;
		if (error == SSL_ERROR_ZERO_RETURN)
			return 0;
		errno = error == SSL_ERROR_WANT_READ ? EAGAIN : ECONNRESET;
		return -1;
	}
	return (ssize_t)got;
}

ssize_t wire_send(struct conn *c, const void *data, size_t len)
{
	size_t n = 0;

	if (!c->ssl)
		return send(c->fd, data, len, MSG_NOSIGNAL);
	int flushed = wire_flush(c);
	if (flushed == 0) {
		if (len > GATHER_BYTES)
			len = GATHER_BYTES;
		if (SSL_write_ex(c->ssl, data, len, &n) != 1) {
			ERR_clear_error();
			errno = EIO;
			return -1;
		}
		flushed = wire_flush(c);
		if (flushed == 0 || flushed == -EAGAIN)
			return (ssize_t)n; /* conn_event() waits for room for the rest */
	}
	errno = -flushed;
	return -1;
}

bool wire_has_pending(const struct conn *c)
{
	return c->ssl && SSL_has_pending(c->ssl);
}
