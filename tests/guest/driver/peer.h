/* SPDX-License-Identifier: MIT */
/*
 * peer.h: one end of a connection, plain or TLS; clients of headgate and connections of the stand-in engine
 * are such ends. TLS runs over memory, never on the descriptor: one peer_put() is one record on the wire, and
 * no kernel TLS can slip in. All functions but peer_wait() and the *_by ones return at once.
 */
#ifndef GUEST_PEER_H
#define GUEST_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "body.h"

#define PEER_RECORD_MAX_BYTES ((size_t)16384)

enum ending {
	ENDING_NONE,
	ENDING_CLEAN,	  /* close_notify, or a plain FIN */
	ENDING_TRUNCATED, /* FIN without close_notify */
	ENDING_RESET,
	ENDING_BROKEN, /* a fatal alert, or what came is no TLS */
};

const char *ending_name(enum ending ending);

struct peer {
	int fd;			      /* owned */
	SSL *ssl;		      /* owned; NULL when plain */
	BIO *in, *out;		      /* borrowed from ssl */
	unsigned char pending[20480]; /* records on their way to the socket */
	size_t pending_start, pending_end;
	unsigned char back[8192]; /* read behind a head, to be read again */
	size_t back_start, back_end;
	unsigned char traffic_secret[2][64]; /* TLS 1.3: ours, theirs */
	size_t traffic_secret_len;
	bool fin;
	bool out_ended;
	enum ending ending;
	int alert; /* with ENDING_BROKEN: the fatal alert that came, 0: none did */
};

/* Takes the descriptor over; ssl may be NULL and is taken over, too. NULL (and both freed) without memory. */
struct peer *peer_new(int fd, SSL *ssl);
void peer_free(struct peer *peer);
/* Frees it with a reset instead of a FIN. */
void peer_reset(struct peer *peer);

/* For SSL_CTX_set_keylog_callback(). */
void peer_keylog(const SSL *ssl, const char *line);

/* Bytes, 0 at a clean end, -EAGAIN, or -EPIPE, -ECONNRESET, -EPROTO: see peer->ending then. */
ssize_t peer_get(struct peer *peer, void *data, size_t cap);
/* Bytes that are to be read again. */
void peer_unget(struct peer *peer, const void *data, size_t len);
/* One record of at most PEER_RECORD_MAX_BYTES (plain: one send). Bytes taken, -EAGAIN or -errno. */
ssize_t peer_put(struct peer *peer, const void *data, size_t len);
/* 0 when nothing is on its way any more, -EAGAIN or -errno. */
int peer_flush(struct peer *peer);
/* Half-close: close_notify, or FIN when plain. 0, -EAGAIN or -errno. */
int peer_end(struct peer *peer);

/* Waits for readiness (POLLIN, POLLOUT). False at the deadline. */
bool peer_wait(const struct peer *peer, short events, uint64_t deadline_ms);

/* ---- until a deadline ---- */

int peer_handshake_by(struct peer *peer, uint64_t deadline_ms);
/* All of data in records of `record_bytes`. 0 or -errno. */
int peer_put_by(struct peer *peer, const void *data, size_t len, size_t record_bytes, uint64_t deadline_ms);
/* Bytes as they are, past TLS. */
int peer_put_raw_by(struct peer *peer, const void *data, size_t len, uint64_t deadline_ms);
int peer_end_by(struct peer *peer, uint64_t deadline_ms);
/* As peer_get(), -ETIMEDOUT at the deadline. */
ssize_t peer_get_by(struct peer *peer, void *data, size_t cap, uint64_t deadline_ms);
/* Exactly len bytes; 0 or -errno (-EPIPE at any end). */
int peer_get_all_by(struct peer *peer, void *data, size_t len, uint64_t deadline_ms);
/* Discards until the end; how it ended, ENDING_NONE at the deadline. `discarded` may be NULL. */
enum ending peer_drain_by(struct peer *peer, uint64_t *discarded_bytes, uint64_t deadline_ms);

/* ---- both directions at once ---- */

struct records {
	const size_t *sizes; /* repeated; more than a record holds is cut as Go cuts it */
	size_t count;
};

struct transfer {
	struct body_out *out; /* NULL: nothing goes out */
	struct records records;
	bool end_out; /* half-close behind it */
	struct body_in *in;
	bool until_end; /* read on behind the body until the peer's end */
	/* results */
	uint64_t behind_body_bytes;
	int out_error;		 /* -errno that stopped the outward direction; the inward one goes on */
	_Atomic uint64_t *moved; /* NULL, or counts bytes moved, for onlookers */
	/* where it stands */
	unsigned char stage[PEER_RECORD_MAX_BYTES]; /* one record */
	size_t stage_start, stage_end;
	size_t record;		  /* which of `records` is next */
	size_t record_left_bytes; /* of one that does not fit into one record */
};

/*
 * 0, or -ETIMEDOUT, after which it can be called again to go on. Results are in the bodies, in peer->ending
 * and above.
 */
int transfer_by(struct peer *peer, struct transfer *transfer, uint64_t deadline_ms);

#endif
