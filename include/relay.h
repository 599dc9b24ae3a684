/* SPDX-License-Identifier: MIT */
/*
 * relay.h: the mover. One direction, bounded memory: fill from one leg, drain into the other. Of HTTP
 * it knows only where a body ends (body.h), so that not one byte more is moved. Layer 2.
 */
#ifndef HEADGATE_RELAY_H
#define HEADGATE_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "body.h"
#include "buf.h"
#include "compiler.h"
#include "leg.h"
#include "pipe.h"

/* How the bytes of a direction travel; in the log. */
enum relay_mover {
	RELAY_TLS,	 /* OpenSSL encrypts or decrypts */
	RELAY_COPY,	 /* recv and send */
	RELAY_SPLICE,	 /* socket, pipe, socket */
	RELAY_KTLS_COPY, /* as these two, and the kernel encrypts or decrypts */
	RELAY_KTLS_SPLICE,
	RELAY_MOVER_COUNT,
};

enum relay_result {
	RELAY_AGAIN,	/* the budget is used up, more is there: call again after the others had their turn */
	RELAY_WAIT_IN,	/* wait for EVENT_IN of `from` */
	RELAY_WAIT_OUT, /* wait for EVENT_OUT of `to` */
	RELAY_DONE,  /* the body is complete and has left; with kernel TLS, its socket's queue may hold it */
	RELAY_ENDED, /* `from` ended; everything it sent has left; body_is_done() tells if it was the whole */
	RELAY_BAD,   /* the body's framing is malformed; the good part before it may have left */
	RELAY_FROM_FAILED,
	RELAY_TO_FAILED,
	RELAY_NO_MEMORY,
};

/* The pools of a worker that relays draw from. */
struct relay_pools {
	struct buf_pool *bufs;	 /* borrowed */
	struct pipe_pool *pipes; /* borrowed; NULL: never splice */
};

struct relay {
	struct leg *from, *to; /* borrowed; same life as the connection */
	struct body body;      /* how much of what comes may pass */
	struct buf *buf;       /* owned; bytes on their way */
	size_t head_bytes;     /* at the start of buf: our own head, not part of the body */
	size_t passed_bytes;   /* of buf, after the head: walked over, may leave */
	struct pipe *pipe;     /* owned; bytes on their way, instead of buf */
	enum relay_mover mover;
	const char *given; /* borrowed; bytes of the body that come before what `from` sends */
	size_t given_bytes;
	bool long_chunks; /* a chunked body whose chunks are worth a splice */
	bool body_ended;  /* the walker has seen the end; anything behind it stays in buf */
	bool bad;
	int error;	      /* -errno of a failed leg */
	uint64_t moved_bytes; /* of the body, for the log */
};

/* A relay that moves nothing yet. */
void relay_init(struct relay *relay, struct leg *from, struct leg *to);
/* Gives everything back. May be called at any time and twice. */
void relay_fini(struct relay *relay, const struct relay_pools *pools);

/*
 * Starts a body of that framing behind a head that waits in `buf` (owned from now on; NULL: no head).
 * Bytes of the body that are in hand already follow by relay_feed().
 */
void relay_start(struct relay *relay, const struct relay_pools *pools, struct buf *buf,
		 enum http_framing framing, uint64_t content_length);

/*
 * Takes bytes that were read together with a head. They must fit (a head and HTTP_HEAD_MAX_BYTES do).
 * Returns how many belong to the body, or -EBADMSG when its framing is malformed.
 */
ssize_t relay_feed(struct relay *relay, const struct relay_pools *pools, const char *data, size_t len);

/*
 * The next `len` bytes of the body are in hand at `data` (borrowed until the body is done, the relay is
 * started anew or relay_fini()), however many they are; only behind them `from` is read.
 */
void relay_give(struct relay *relay, const char *data, size_t len);

/* Moves bytes until something blocks or `budget` bytes were read. */
enum relay_result relay_step(struct relay *relay, const struct relay_pools *pools, size_t budget);

/* Bytes in hand that came after the end of the body: the peer said more than it may. */
bool relay_has_surplus(const struct relay *relay);

const char *relay_mover_name(enum relay_mover mover);

#endif
