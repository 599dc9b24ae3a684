/* SPDX-License-Identifier: MIT */
/*
 * body.h: where a message body ends. Pure, fuzzed.
 *
 * The walker goes along the bytes as they are moved and says how many of them belong to this body. It
 * copies nothing and cuts nothing: chunked bodies travel as they came, size lines included, only
 * checked (RFC 9112 7.1). It costs one look per size line, not per byte. What it refuses: bare LF in
 * chunk lines, chunk extensions, signed, empty or over-long sizes, trailers with anything in them that
 * http.h would refuse. Layer 1.
 */
#ifndef HEADGATE_BODY_H
#define HEADGATE_BODY_H

#include <stdint.h>

#include "compiler.h"
#include "http.h"

/* A trailer section may not be longer than this. */
#define BODY_TRAILER_MAX_BYTES ((size_t)8192)

enum body_result {
	BODY_MORE, /* all bytes given belong to the body, and more will come */
	BODY_DONE, /* the body ended; bytes after *used are not part of it */
	BODY_BAD,  /* malformed framing; *used bytes before it were good */
};

struct body {
	enum http_framing framing;
	uint64_t remaining_bytes; /* of the body (LENGTH) or of the present chunk (CHUNKED) */
	uint8_t state;		  /* chunk parser, see body.c */
	uint8_t size_digits;
	uint16_t trailer_bytes;
	uint8_t trailer_name_bytes; /* of the name that is being read */
	uint32_t trailer_names;	    /* known names that still fit it, as bits */
};

/* Starts a body of that framing. `content_length` counts with HTTP_FRAMING_LENGTH only. */
void body_init(struct body *body, enum http_framing framing, uint64_t content_length);

/* True when no further byte belongs to the body (NONE, LENGTH 0, or the end was walked over). */
bool body_is_done(const struct body *body);

/*
 * Walks over buf[0..len) and says in *used how many bytes belong to the body. With
 * HTTP_FRAMING_CLOSE everything belongs to it and the answer is always BODY_MORE.
 */
enum body_result body_walk(struct body *body, const char *buf, size_t len, size_t *used);

/*
 * How many bytes may be moved unseen (by splice) before the walker must look again: the rest of a
 * LENGTH body or of the present chunk's data, UINT64_MAX for CLOSE, 0 between chunks and when the body is
 * done.
 */
uint64_t body_blind_bytes(const struct body *body);

/* Says that `count` bytes (at most body_blind_bytes()) were moved unseen. */
void body_skip(struct body *body, uint64_t count);

#endif
