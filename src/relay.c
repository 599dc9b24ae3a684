/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * relay_step() turns in a small circle: drain what is in hand; if the body is complete, finish; else
 * fill. Nothing new is read while something in hand cannot leave, so a slow reader stops a fast
 * writer, and memory is bounded by two buffers: one of records in tls.c for each leg that has TLS, and one
 * here while a plain leg does not take what it gets. A slow client of a plain engine holds one.
 *
 * What is in hand sits in `buf`:
 *
 *     | our head | body, walked over | surplus |
 *      head_bytes  passed_bytes        behind the body's end, never sent
 *
 * or in `pipe`, when the kernel can move it (plain sockets, kernel TLS) and enough of the body may move
 * unseen. Buf and pipe are filled only when both are empty, and the pipe leaves first, so the order of bytes
 * is kept.
 *
 * The data of a long chunk is spliced, too: what stands between two chunks is read, walked over and written
 * into the pipe behind the chunk before it, so that many chunks leave by one splice(2), and still not one
 * byte behind the last of them.
 *
 * A buffer is filled with as many reads as give data at once, and leaves in one write: that is where the
 * CPU per GB comes from. It is never held back to be filled further; that the next event of a fast body may
 * wait for more is conn.c's business.
 */
#include "relay.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Below this, copying is cheaper than two splices: so much of a body, or of a chunk, must be left to begin.
 */
#define SPLICE_MIN_BYTES       ((uint64_t)65536)
#define SPLICE_CHUNK_MIN_BYTES ((uint64_t)8192)
/* The end of a chunk, the next size line and a little data, which all travel with the size line. */
#define FRAMING_BYTES ((size_t)32)

static const char *const mover_names[] = {"tls", "copy", "splice", "ktls-copy", "ktls-splice"};
static_assert(ARRAY_SIZE(mover_names) == RELAY_MOVER_COUNT, "one name a mover");

const char *relay_mover_name(enum relay_mover mover)
{
	return mover_names[mover];
}

static enum relay_mover mover_of(const struct relay *relay, bool splices)
{
	enum leg_carrier in = leg_reads_by(relay->from), out = leg_writes_by(relay->to);

	if (in == LEG_TLS || out == LEG_TLS)
		return RELAY_TLS;
	if (in == LEG_KTLS || out == LEG_KTLS)
		return splices ? RELAY_KTLS_SPLICE : RELAY_KTLS_COPY;
	return splices ? RELAY_SPLICE : RELAY_COPY;
}

void relay_init(struct relay *relay, struct leg *from, struct leg *to)
{
	*relay = (struct relay){.from = from, .to = to};
	relay->mover = mover_of(relay, false);
}

void relay_fini(struct relay *relay, const struct relay_pools *pools)
{
	buf_give(pools->bufs, &relay->buf);
	if (pools->pipes)
		pipe_give(pools->pipes, &relay->pipe);
	relay->given_bytes = 0;
}

void relay_start(struct relay *relay, const struct relay_pools *pools, struct buf *buf,
		 enum http_framing framing, uint64_t content_length)
{
	relay_fini(relay, pools);
	relay_init(relay, relay->from, relay->to);
	relay->buf = buf;
	relay->head_bytes = buf_used(buf);
	body_init(&relay->body, framing, content_length);
	relay->body_ended = body_is_done(&relay->body);
}

/* Walks over bytes that were just put at the end of buf. */
static void walk(struct relay *relay, size_t len)
{
	size_t used = 0;

	if (relay->body_ended)
		return;
	enum body_result result = body_walk(&relay->body, buf_tail(relay->buf) - len, len, &used);
	relay->passed_bytes += used;
	relay->moved_bytes += used;
	relay->body_ended = result == BODY_DONE;
	relay->bad = result == BODY_BAD;
}

ssize_t relay_feed(struct relay *relay, const struct relay_pools *pools, const char *data, size_t len)
{
	if (len == 0)
		return 0;
	if (!relay->buf && !(relay->buf = buf_take(pools->bufs)))
		return -ENOMEM;
	assert(len <= buf_room(relay->buf));
	memcpy(buf_tail(relay->buf), data, len);
	relay->buf->end += len;
	size_t before = relay->passed_bytes;
	walk(relay, len);
	return relay->bad ? -EBADMSG : (ssize_t)(relay->passed_bytes - before);
}

void relay_give(struct relay *relay, const char *data, size_t len)
{
	relay->given = data;
	relay->given_bytes = len;
}

bool relay_has_surplus(const struct relay *relay)
{
	return buf_used(relay->buf) > relay->head_bytes + relay->passed_bytes;
}

/* Everything in hand leaves, or the reason why not. RELAY_DONE here says: nothing in hand any more. */
static enum relay_result drain(struct relay *relay, const struct relay_pools *pools)
{
	ssize_t n = 0;

	while (relay->pipe && relay->pipe->used_bytes > 0) {
		n = leg_drain(relay->to, relay->pipe);
		if (n < 0)
			goto blocked;
	}
	while (relay->head_bytes + relay->passed_bytes > 0) {
		n = leg_write(relay->to, buf_head(relay->buf), relay->head_bytes + relay->passed_bytes);
		if (n < 0)
			goto blocked;
		size_t of_head = (size_t)n < relay->head_bytes ? (size_t)n : relay->head_bytes;
		relay->head_bytes -= of_head;
		relay->passed_bytes -= (size_t)n - of_head;
		relay->buf->start += (size_t)n;
	}
	/* Before the records have left, which a slow reader may take hours for. */
	if (buf_used(relay->buf) == 0)
		buf_give(pools->bufs, &relay->buf);
	n = leg_flush(relay->to);
	if (n < 0)
		goto blocked;
	if (relay->pipe)
		pipe_give(pools->pipes, &relay->pipe);
	return RELAY_DONE;
blocked:
	if (n == -EAGAIN)
		return RELAY_WAIT_OUT;
	relay->error = (int)n;
	return RELAY_TO_FAILED;
}

/* The result of a read that gave no bytes. */
static enum relay_result no_bytes(struct relay *relay, ssize_t n)
{
	if (n == 0)
		return RELAY_ENDED;
	if (n == -EAGAIN)
		return RELAY_WAIT_IN;
	relay->error = (int)n;
	return RELAY_FROM_FAILED;
}

/* A read costs something even when it gives one byte: a peer with tiny records must not hold up the others.
 */
static void charge(size_t *budget, const struct leg *leg, unsigned reads_before, size_t len)
{
	size_t cost = leg_cost(leg, reads_before, len);

	*budget -= cost < *budget ? cost : *budget;
}

/*
 * How much may be read at once: never beyond the end of a body of known length, and not more than leaves as
 * records at once, so that no bytes wait here while those wait in tls.c.
 */
static size_t read_limit(const struct relay *relay, size_t budget)
{
	size_t room = buf_room(relay->buf), used = buf_used(relay->buf);

	if (leg_writes_by(relay->to) == LEG_TLS && room + used > TLS_WRITE_MAX_BYTES)
		room = used < TLS_WRITE_MAX_BYTES ? TLS_WRITE_MAX_BYTES - used : 0;
	size_t limit = room < budget ? room : budget;
	if (relay->body.framing == HTTP_FRAMING_LENGTH && relay->body.remaining_bytes < limit)
		limit = (size_t)relay->body.remaining_bytes;
	return limit;
}

/* As leg_read(), from what was given first. */
static ssize_t read_some(struct relay *relay, size_t limit)
{
	size_t len = relay->given_bytes < limit ? relay->given_bytes : limit;

	if (len == 0)
		return leg_read(relay->from, buf_tail(relay->buf), limit);
	memcpy(buf_tail(relay->buf), relay->given, len);
	relay->given += len;
	relay->given_bytes -= len;
	return (ssize_t)len;
}

/* Reads until the buffer is full, the budget is used up or nothing more is there. RELAY_AGAIN: there is
 * something. */
static enum relay_result fill_buf(struct relay *relay, const struct relay_pools *pools, size_t *budget)
{
	enum relay_result result = RELAY_AGAIN;

	if (!relay->buf && !(relay->buf = buf_take(pools->bufs)))
		return RELAY_NO_MEMORY;
	while (!relay->body_ended && !relay->bad && *budget > 0) {
		size_t limit = read_limit(relay, *budget);
		if (limit == 0)
			break;
		unsigned reads = leg_reads(relay->from);
		ssize_t n = read_some(relay, limit);
		if (n <= 0) {
			result = no_bytes(relay, n);
			break;
		}
		relay->buf->end += (size_t)n;
		charge(budget, relay->from, reads, (size_t)n);
		walk(relay, (size_t)n);
	}
	if (buf_used(relay->buf) == 0) {
		buf_give(pools->bufs, &relay->buf);
		return result;
	}
	return relay->passed_bytes > 0 || relay->body_ended || relay->bad ? RELAY_AGAIN : result;
}

static bool can_splice(const struct relay *relay, const struct relay_pools *pools)
{
	uint64_t blind = body_blind_bytes(&relay->body);
	bool chunked = relay->body.framing == HTTP_FRAMING_CHUNKED;
	bool enough = blind >= (chunked ? SPLICE_CHUNK_MIN_BYTES : SPLICE_MIN_BYTES);

	return pools->pipes && relay->given_bytes == 0 && leg_reads_by(relay->from) != LEG_TLS &&
	       leg_writes_by(relay->to) != LEG_TLS && !relay->from->in_ended &&
	       (enough || relay->long_chunks);
}

/* Moves body bytes unseen into the pipe. Returns as leg_splice(). */
static ssize_t splice_data(struct relay *relay, size_t budget)
{
	uint64_t blind = body_blind_bytes(&relay->body);
	size_t limit = budget < PIPE_BYTES ? budget : PIPE_BYTES;

	if (blind < limit)
		limit = (size_t)blind;
	ssize_t n = leg_splice(relay->from, relay->pipe, limit);
	if (n <= 0)
		return n;
	relay->mover = mover_of(relay, true);
	relay->long_chunks = relay->body.framing == HTTP_FRAMING_CHUNKED;
	body_skip(&relay->body, (uint64_t)n);
	relay->moved_bytes += (uint64_t)n;
	relay->body_ended = body_is_done(&relay->body);
	return n;
}

/*
 * Reads the rest of a chunk and the next size line, and puts them into the pipe. Returns as leg_read().
 * Without room in the pipe they stay in buf, which leaves next.
 */
static ssize_t read_framing(struct relay *relay, const struct relay_pools *pools)
{
	size_t limit = (size_t)body_blind_bytes(&relay->body) + FRAMING_BYTES;

	static_assert(SPLICE_CHUNK_MIN_BYTES / 4 + FRAMING_BYTES <= PIPE_PUT_MAX_BYTES,
		      "it fits the pipe at once");
	if (!relay->buf && !(relay->buf = buf_take(pools->bufs)))
		return -ENOMEM;
	ssize_t n = leg_read(relay->from, buf_tail(relay->buf), limit);
	if (n > 0) {
		relay->buf->end += (size_t)n;
		walk(relay, (size_t)n);
		if (pipe_put(relay->pipe, buf_head(relay->buf), relay->passed_bytes) == 0) {
			relay->buf->start += relay->passed_bytes;
			relay->passed_bytes = 0;
		}
	}
	if (buf_used(relay->buf) == 0)
		buf_give(pools->bufs, &relay->buf);
	return n;
}

/*
 * Until the socket is empty or the pipe full: one splice(2) takes at most one record of a kTLS socket, one
 * chunk of a body; and what leaves at once fills records and segments better (a twentieth of the CPU towards
 * kTLS).
 */
static enum relay_result fill_pipe(struct relay *relay, const struct relay_pools *pools, size_t *budget)
{
	bool chunked = relay->body.framing == HTTP_FRAMING_CHUNKED;
	bool goes_on = true;
	ssize_t n;

	if (!relay->pipe && !(relay->pipe = pipe_take(pools->pipes)))
		return fill_buf(relay, pools, budget);
	do {
		bool framing = chunked && body_blind_bytes(&relay->body) < SPLICE_CHUNK_MIN_BYTES / 4;
		unsigned reads = leg_reads(relay->from);
		n = framing ? read_framing(relay, pools) : splice_data(relay, *budget);
		if (n <= 0)
			break;
		charge(budget, relay->from, reads, (size_t)n);
		uint64_t blind = body_blind_bytes(&relay->body);
		if (framing && blind > 0 && blind < SPLICE_CHUNK_MIN_BYTES / 4)
			relay->long_chunks = goes_on = false; /* copying is cheaper then */
	} while (goes_on && !relay->buf && !relay->body_ended && *budget > 0);
	if (relay->pipe->used_bytes > 0 || relay->buf) {
		if (n < 0 && n != -EAGAIN && n != -EINVAL)
			relay->error = (int)n;
		return RELAY_AGAIN;
	}
	pipe_give(pools->pipes, &relay->pipe);
	return n == -EINVAL ? fill_buf(relay, pools, budget) : no_bytes(relay, n);
}

enum relay_result relay_step(struct relay *relay, const struct relay_pools *pools, size_t budget)
{
	for (;;) {
		enum relay_result result = drain(relay, pools);
		if (result != RELAY_DONE)
			return result;
		if (relay->bad)
			return RELAY_BAD;
		if (relay->body_ended)
			return RELAY_DONE;
		if (relay->error) /* came right behind bytes; the socket reports it only once */
			return RELAY_FROM_FAILED;
		if (budget == 0)
			return RELAY_AGAIN;
		result = can_splice(relay, pools) ? fill_pipe(relay, pools, &budget)
						  : fill_buf(relay, pools, &budget);
		if (result != RELAY_AGAIN)
			return result;
	}
}
