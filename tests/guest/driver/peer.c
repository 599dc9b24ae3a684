/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

const char *ending_name(enum ending ending)
{
	static const char *const names[] = {"still open", "clean end", "FIN without close_notify", "reset",
					    "fatal alert or broken TLS"};

	return names[ending];
}

struct peer *peer_new(int fd, SSL *ssl)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	if (!peer || !in || !out) {
		BIO_free(in);
		BIO_free(out);
		SSL_free(ssl);
		free(peer);
		close(fd);
		return NULL;
	}
	peer->fd = fd;
	peer->ssl = ssl;
	if (!ssl) {
		BIO_free(in);
		BIO_free(out);
		return peer;
	}
	peer->in = in;
	peer->out = out;
	SSL_set_bio(ssl, in, out);
	SSL_set_app_data(ssl, peer);
	return peer;
}

void peer_free(struct peer *peer)
{
	if (!peer)
		return;
	SSL_free(peer->ssl);
	close(peer->fd);
	free(peer);
}

void peer_reset(struct peer *peer)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	peer_free(peer);
}

static size_t from_hex(const char *text, unsigned char *out, size_t cap)
{
	size_t n = 0;

	for (; n < cap && text[0] && text[1]; n++, text += 2) {
		const char pair[3] = {text[0], text[1], '\0'};
		out[n] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return n;
}

void peer_keylog(const SSL *ssl, const char *line)
{
	struct peer *peer = SSL_get_app_data(ssl);
	const char *client = "CLIENT_TRAFFIC_SECRET_0 ", *server = "SERVER_TRAFFIC_SECRET_0 ";
	bool of_client = strncmp(line, client, strlen(client)) == 0;
	const char *secret = strrchr(line, ' ');

	if (!peer || !secret || (!of_client && strncmp(line, server, strlen(server)) != 0))
		return;
	bool ours = of_client == !SSL_is_server(ssl);
	peer->traffic_secret_len =
	    from_hex(secret + 1, peer->traffic_secret[ours ? 0 : 1], sizeof(peer->traffic_secret[0]));
}

/* ---- at once ---- */

static ssize_t ended(struct peer *peer, enum ending ending)
{
	static const int errors[] = {[ENDING_NONE] = -EAGAIN,
				     [ENDING_CLEAN] = 0,
				     [ENDING_TRUNCATED] = -EPIPE,
				     [ENDING_RESET] = -ECONNRESET,
				     [ENDING_BROKEN] = -EPROTO};

	peer->ending = ending;
	return errors[ending];
}

static ssize_t get_socket(struct peer *peer, void *data, size_t cap)
{
	ssize_t n;

	do
		n = recv(peer->fd, data, cap, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n < 0)
		return ended(peer, ENDING_RESET);
	return n;
}

static ssize_t get_tls(struct peer *peer, void *data, size_t cap)
{
	char scratch[32768];

	for (;;) {
		size_t n = 0;
		ERR_clear_error();
		int result = SSL_read_ex(peer->ssl, data, cap, &n);
		int ssl_error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(peer->ssl, result);
		(void)peer_flush(peer); /* an answer to a KeyUpdate, or an alert */
		if (ssl_error == SSL_ERROR_NONE)
			return (ssize_t)n;
		if (ssl_error == SSL_ERROR_ZERO_RETURN)
			return ended(peer, ENDING_CLEAN);
		if (ssl_error != SSL_ERROR_WANT_READ) {
			int reason = ERR_GET_REASON(ERR_peek_error());
			/* OpenSSL's number for an alert that the other side has sent. */
			peer->alert = reason > SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET : 0;
			return ended(peer, ENDING_BROKEN);
		}
		if (peer->fin)
			return ended(peer, ENDING_TRUNCATED);
		ssize_t got = get_socket(peer, scratch, sizeof(scratch));
		if (got < 0)
			return got;
		if (got == 0)
			peer->fin = true;
		else if (BIO_write(peer->in, scratch, (int)got) != (int)got)
			return ended(peer, ENDING_BROKEN);
	}
}

ssize_t peer_get(struct peer *peer, void *data, size_t cap)
{
	size_t back = peer->back_end - peer->back_start;

	if (back > 0) {
		back = back < cap ? back : cap;
		memcpy(data, peer->back + peer->back_start, back);
		peer->back_start += back;
		return (ssize_t)back;
	}
	if (peer->ending)
		return ended(peer, peer->ending);
	if (peer->ssl)
		return get_tls(peer, data, cap);
	ssize_t n = get_socket(peer, data, cap);
	return n == 0 ? ended(peer, ENDING_CLEAN) : n;
}

void peer_unget(struct peer *peer, const void *data, size_t len)
{
	if (len > sizeof(peer->back))
		abort();
	memcpy(peer->back, data, len);
	peer->back_start = 0;
	peer->back_end = len;
}

int peer_flush(struct peer *peer)
{
	for (;;) {
		if (peer->pending_start == peer->pending_end) {
			if (!peer->ssl || BIO_ctrl_pending(peer->out) == 0)
				return 0;
			int n = BIO_read(peer->out, peer->pending, (int)sizeof(peer->pending));
			if (n <= 0)
				return 0;
			peer->pending_start = 0;
			peer->pending_end = (size_t)n;
		}
		ssize_t sent = send(peer->fd, peer->pending + peer->pending_start,
				    peer->pending_end - peer->pending_start, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EINTR)
			return -errno;
		if (sent > 0)
			peer->pending_start += (size_t)sent;
	}
}

ssize_t peer_put(struct peer *peer, const void *data, size_t len)
{
	if (!peer->ssl) {
		ssize_t n = send(peer->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		return n < 0 ? -errno : n;
	}
	int result = peer_flush(peer);
	if (result < 0)
		return result;
	size_t n = 0;
	ERR_clear_error();
	if (SSL_write_ex(peer->ssl, data, len < PEER_RECORD_MAX_BYTES ? len : PEER_RECORD_MAX_BYTES, &n) != 1)
		return -EPROTO;
	result = peer_flush(peer);
	return result < 0 && result != -EAGAIN ? result : (ssize_t)n;
}

int peer_end(struct peer *peer)
{
	if (!peer->ssl) {
		peer->out_ended = true;
		return shutdown(peer->fd, SHUT_WR) < 0 ? -errno : 0;
	}
	int result = peer_flush(peer);
	if (result < 0)
		return result;
	ERR_clear_error();
	if (!peer->out_ended && SSL_shutdown(peer->ssl) < 0)
		return -EPROTO;
	peer->out_ended = true;
	return peer_flush(peer);
}

bool peer_wait(const struct peer *peer, short events, uint64_t deadline_ms)
{
	struct pollfd pollfd = {.fd = peer->fd, .events = events};
	uint64_t now_ms = clock_now_ms();

	return now_ms < deadline_ms && poll(&pollfd, 1, (int)(deadline_ms - now_ms)) > 0;
}
