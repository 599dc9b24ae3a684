/* SPDX-License-Identifier: MIT */
/* peer_by.c: what peer.c does at once, until a deadline; and both directions at once. */
#include "peer.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

int peer_handshake_by(struct peer *peer, uint64_t deadline_ms)
{
	char scratch[8192];

	while (peer->ssl) {
		ERR_clear_error();
		int result = SSL_do_handshake(peer->ssl);
		int ssl_error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(peer->ssl, result);
		int flushed;
		while ((flushed = peer_flush(peer)) == -EAGAIN)
			if (!peer_wait(peer, POLLOUT, deadline_ms))
				return -ETIMEDOUT;
		if (ssl_error == SSL_ERROR_NONE || flushed < 0)
			return flushed;
		if (ssl_error != SSL_ERROR_WANT_READ)
			return -EPROTO;
		if (!peer_wait(peer, POLLIN, deadline_ms))
			return -ETIMEDOUT;
		ssize_t n = recv(peer->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0 && BIO_write(peer->in, scratch, (int)n) != (int)n)
			return -ENOMEM;
	}
	return 0;
}

static int flush_by(struct peer *peer, uint64_t deadline_ms)
{
	int result;

	while ((result = peer_flush(peer)) == -EAGAIN)
		if (!peer_wait(peer, POLLOUT, deadline_ms))
			return -ETIMEDOUT;
	return result;
}

int peer_put_by(struct peer *peer, const void *data, size_t len, size_t record_bytes, uint64_t deadline_ms)
{
	const char *next = data;

	while (len > 0) {
		ssize_t n = peer_put(peer, next, len < record_bytes ? len : record_bytes);
		if (n == -EAGAIN) {
			if (!peer_wait(peer, POLLOUT, deadline_ms))
				return -ETIMEDOUT;
			continue;
		}
		if (n < 0)
			return (int)n;
		next += n;
		len -= (size_t)n;
	}
	return flush_by(peer, deadline_ms);
}

int peer_put_raw_by(struct peer *peer, const void *data, size_t len, uint64_t deadline_ms)
{
	const char *next = data;
	int result = flush_by(peer, deadline_ms);

	while (result == 0 && len > 0) {
		ssize_t n = send(peer->fd, next, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			next += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			result = peer_wait(peer, POLLOUT, deadline_ms) ? 0 : -ETIMEDOUT;
		} else if (errno != EINTR) {
			result = -errno;
		}
	}
	return result;
}

int peer_end_by(struct peer *peer, uint64_t deadline_ms)
{
	int result;

	while ((result = peer_end(peer)) == -EAGAIN)
		if (!peer_wait(peer, POLLOUT, deadline_ms))
			return -ETIMEDOUT;
	return result;
}

ssize_t peer_get_by(struct peer *peer, void *data, size_t cap, uint64_t deadline_ms)
{
	for (;;) {
		ssize_t n = peer_get(peer, data, cap);
		if (n != -EAGAIN)
			return n;
		if (!peer_wait(peer, POLLIN, deadline_ms))
			return -ETIMEDOUT;
	}
}

int peer_get_all_by(struct peer *peer, void *data, size_t len, uint64_t deadline_ms)
{
	char *next = data;

	while (len > 0) {
		ssize_t n = peer_get_by(peer, next, len, deadline_ms);
		if (n <= 0)
			return n == 0 ? -EPIPE : (int)n;
		next += n;
		len -= (size_t)n;
	}
	return 0;
}

enum ending peer_drain_by(struct peer *peer, uint64_t *discarded_bytes, uint64_t deadline_ms)
{
	char scratch[16384];
	uint64_t discarded = 0;
	ssize_t n;

	while ((n = peer_get_by(peer, scratch, sizeof(scratch), deadline_ms)) > 0)
		discarded += (uint64_t)n;
	if (discarded_bytes)
		*discarded_bytes = discarded;
	return peer->ending;
}

/* ---- both directions at once ---- */

/* The transfer at work. */
struct pump {
	struct peer *peer;
	struct transfer *transfer;
	bool out_done, in_done;
};

/* How long the next record is to be. */
static size_t next_record_bytes(struct transfer *transfer)
{
	const struct records *records = &transfer->records;
	size_t max = sizeof(transfer->stage);

	if (transfer->record_left_bytes == 0 && records->count > 0)
		transfer->record_left_bytes = records->sizes[transfer->record++ % records->count];
	if (transfer->record_left_bytes == 0)
		return max;
	size_t n = transfer->record_left_bytes < max ? transfer->record_left_bytes : max;
	transfer->record_left_bytes -= n;
	return n;
}

static void count(const struct transfer *transfer, ssize_t n)
{
	if (transfer->moved)
		*transfer->moved += (uint64_t)n;
}

/* One step outwards; whether it got on. */
static bool step_out(struct pump *pump)
{
	struct transfer *transfer = pump->transfer;
	int result = peer_flush(pump->peer);

	if (result == 0 && transfer->stage_start == transfer->stage_end && transfer->out) {
		transfer->stage_start = 0;
		transfer->stage_end =
		    body_out_fill(transfer->out, transfer->stage, next_record_bytes(transfer));
	}
	if (result == 0 && transfer->stage_start < transfer->stage_end) {
		ssize_t n = peer_put(pump->peer, transfer->stage + transfer->stage_start,
				     transfer->stage_end - transfer->stage_start);
		if (n >= 0) {
			transfer->stage_start += (size_t)n;
			count(transfer, n);
			return true;
		}
		result = (int)n;
	} else if (result == 0) {
		if (transfer->end_out)
			result = peer_end(pump->peer);
		pump->out_done = result != -EAGAIN;
	}
	if (result < 0 && result != -EAGAIN) {
		transfer->out_error = result;
		pump->out_done = true;
	}
	return pump->out_done;
}

static bool step_in(struct pump *pump)
{
	struct transfer *transfer = pump->transfer;
	char data[32768];
	ssize_t n = peer_get(pump->peer, data, sizeof(data));

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		pump->in_done = true;
		return true;
	}
	size_t used = body_in_take(transfer->in, data, (size_t)n);
	transfer->behind_body_bytes += (size_t)n - used;
	count(transfer, n);
	/* A raw body is never ended by its own framing; without until_end it is by its length. */
	bool whole = transfer->in->framing == FRAMING_RAW
			 ? transfer->in->done_bytes >= transfer->in->total_bytes
			 : transfer->in->ended;
	pump->in_done = transfer->in->bad || (whole && !transfer->until_end);
	return true;
}

int transfer_by(struct peer *peer, struct transfer *transfer, uint64_t deadline_ms)
{
	struct pump pump = {.peer = peer, .transfer = transfer};

	pump.out_done = !transfer->out && !transfer->end_out;
	pump.in_done = !transfer->in || (!transfer->until_end && transfer->in->total_bytes == 0 &&
					 transfer->in->framing != FRAMING_CHUNKED);
	while (!pump.out_done || !pump.in_done) {
		bool moved = false;
		if (!pump.out_done)
			moved |= step_out(&pump);
		if (!pump.in_done)
			moved |= step_in(&pump);
		if (moved || (pump.out_done && pump.in_done))
			continue;
		short events = (short)((pump.in_done ? 0 : POLLIN) | (pump.out_done ? 0 : POLLOUT));
		if (!peer_wait(peer, events, deadline_ms))
			return -ETIMEDOUT;
	}
	return 0;
}
