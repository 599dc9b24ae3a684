/* SPDX-License-Identifier: MIT */
/*
 * body.h: the content of bodies and tunnels. Byte i of the pattern `seed` can be computed at once, so nobody
 * stores what was sent: producer and checker each know it. Framing (Content-Length, chunked, none) is added
 * and taken off here, byte by byte if need be, so that records can be cut anywhere.
 */
#ifndef GUEST_BODY_H
#define GUEST_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing {
	FRAMING_LENGTH,
	FRAMING_CHUNKED,
	FRAMING_RAW, /* until the end of the stream */
};

/* What Go's HTTP writes: with size line and CRLF a chunk is 4096 + 28678 + 2 bytes. */
#define BODY_GO_CHUNK_BYTES ((size_t)32768)

void pattern_fill(uint64_t seed, uint64_t offset, void *data, size_t len);
/* The index of the first byte that differs; len when none does. */
size_t pattern_check(uint64_t seed, uint64_t offset, const void *data, size_t len);

struct body_out {
	uint64_t seed, total_bytes, done_bytes;
	enum framing framing;
	size_t chunk_bytes;
	uint64_t chunk_left_bytes;
	char edge[24]; /* a size line or a CRLF that is on its way */
	size_t edge_start, edge_end;
	bool in_chunk, last_chunk_out;
};

void body_out_init(struct body_out *body, enum framing framing, uint64_t seed, uint64_t total_bytes);
/* The next bytes of the framed body; 0 when all of it was given. */
size_t body_out_fill(struct body_out *body, void *data, size_t cap);

struct body_in {
	uint64_t seed, total_bytes, done_bytes;
	enum framing framing;
	bool ended;	 /* the framing's own end was reached */
	bool bad;	 /* wrong content or framing, */
	uint64_t bad_at; /* at this byte of the content */
	char line[24];	 /* of a chunk's size */
	size_t line_len;
	uint64_t chunk_left_bytes;
	enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_CRLF, CHUNK_TRAILER } chunk_state;
};

/* total_bytes is what the content must be; with FRAMING_CHUNKED and _RAW more is `bad`, less is not `ended`.
 */
void body_in_init(struct body_in *body, enum framing framing, uint64_t seed, uint64_t total_bytes);
/* Checks; returns how many of `len` bytes belong to the body. */
size_t body_in_take(struct body_in *body, const void *data, size_t len);
/* Everything came, nothing was wrong. */
bool body_in_is_whole(const struct body_in *body);

#endif
