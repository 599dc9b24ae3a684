/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. A body of known length is a count. A chunked one goes round
 *
 *     SIZE -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *
 * until a chunk of size 0, after which comes the trailer section, a line at a time:
 *
 *     LINE_START -> NAME -> VALUE -> VALUE_LF -> LINE_START ... -> END_LF -> DONE
 *
 * DATA is walked over in one step, everything else byte by byte. BAD is final: after it nothing
 * belongs to the body any more. The state lives in `struct body` alone, so it does not matter where
 * the bytes are cut.
 *
 * A trailer name is compared with all known names at once while its bytes come: `trailer_names` has a
 * bit for each name that still fits.
 */
#include "body.h"
#include "http_lex.h"

#include <assert.h>

enum body_state {
	BODY_SIZE, /* at the first or a further digit of a chunk size */
	BODY_SIZE_LF,
	BODY_DATA,
	BODY_DATA_CR,
	BODY_DATA_LF,
	BODY_LINE_START, /* of the trailer section */
	BODY_NAME,
	BODY_VALUE,
	BODY_VALUE_LF,
	BODY_END_LF,
	BODY_STATE_DONE,
	BODY_STATE_BAD,
};

/* As many as an int64_t can have: Go and others count so, and also refuse more leading zeros. */
#define SIZE_DIGITS_MAX 16

static_assert(HTTP_FIELD_NAME_MAX_BYTES < UINT8_MAX, "trailer_name_bytes is an uint8_t");
static_assert(BODY_TRAILER_MAX_BYTES < UINT16_MAX, "trailer_bytes is an uint16_t");
static_assert(HTTP_FIELD_COUNT < 32, "trailer_names is an uint32_t");

void body_init(struct body *body, enum http_framing framing, uint64_t content_length)
{
	*body = (struct body){.framing = framing};
	if (framing == HTTP_FRAMING_LENGTH)
		body->remaining_bytes = content_length;
}

bool body_is_done(const struct body *body)
{
	switch (body->framing) {
	case HTTP_FRAMING_NONE:
		return true;
	case HTTP_FRAMING_LENGTH:
		return body->remaining_bytes == 0;
	case HTTP_FRAMING_CHUNKED:
		return body->state == BODY_STATE_DONE;
	case HTTP_FRAMING_CLOSE:
		break;
	}
	return false;
}

/* RFC 9112 7.1: 1*HEXDIG CRLF. Chunk extensions (7.1.1) are refused: nobody sends them but attackers. */
static enum body_state size_step(struct body *body, char c)
{
	if (c == '\r')
		return body->size_digits ? BODY_SIZE_LF : BODY_STATE_BAD;
	if (!http_char_is(c, HTTP_CHAR_HEX) || body->size_digits == SIZE_DIGITS_MAX ||
	    body->remaining_bytes > (uint64_t)INT64_MAX >> 4)
		return BODY_STATE_BAD;
	body->size_digits++;
	body->remaining_bytes = body->remaining_bytes << 4 | http_hex_value(c);
	return BODY_SIZE;
}

static void trailer_name_narrow(struct body *body, char c)
{
	/* No name is left at the latest behind the longest one, so the count stays small. */
	if (!body->trailer_names)
		return;
	for (unsigned id = 0; id < HTTP_FIELD_COUNT; id++) {
		struct span name = http_field_names[id];

		if (body->trailer_name_bytes >= name.len ||
		    name.ptr[body->trailer_name_bytes] != http_field_fold(c))
			body->trailer_names &= ~((uint32_t)1 << id);
	}
	body->trailer_name_bytes++;
}

/* RFC 9110 6.5.1: framing, routing, authentication and their like have no place in a trailer. */
static bool trailer_name_is_ours(const struct body *body)
{
	for (unsigned id = 0; id < HTTP_FIELD_COUNT; id++)
		if ((body->trailer_names >> id & 1) && http_field_names[id].len == body->trailer_name_bytes)
			return true;
	return false;
}

/* The same rules as for the fields of a head (RFC 9112 7.1.2, 5). */
static enum body_state name_step(struct body *body, char c)
{
	if (c == ':')
		return trailer_name_is_ours(body) ? BODY_STATE_BAD : BODY_VALUE;
	if (!http_char_is(c, HTTP_CHAR_TOKEN))
		return BODY_STATE_BAD;
	trailer_name_narrow(body, c);
	return BODY_NAME;
}

static enum body_state line_start_step(struct body *body, char c)
{
	if (c == '\r')
		return BODY_END_LF;
	body->trailer_names = ((uint32_t)1 << HTTP_FIELD_COUNT) - 1;
	body->trailer_name_bytes = 0;
	return c == ':' ? BODY_STATE_BAD : name_step(body, c);
}

static enum body_state size_lf_step(struct body *body, char c)
{
	if (c != '\n')
		return BODY_STATE_BAD;
	body->size_digits = 0;
	return body->remaining_bytes ? BODY_DATA : BODY_LINE_START;
}

/* One byte outside chunk data. */
static enum body_state step(struct body *body, char c)
{
	enum body_state state = (enum body_state)body->state;

	if (state >= BODY_LINE_START && ++body->trailer_bytes > BODY_TRAILER_MAX_BYTES)
		return BODY_STATE_BAD;
	switch (state) {
	case BODY_SIZE:
		return size_step(body, c);
	case BODY_SIZE_LF:
		return size_lf_step(body, c);
	case BODY_DATA_CR:
		return c == '\r' ? BODY_DATA_LF : BODY_STATE_BAD;
	case BODY_DATA_LF:
		return c == '\n' ? BODY_SIZE : BODY_STATE_BAD;
	case BODY_LINE_START:
		return line_start_step(body, c);
	case BODY_NAME:
		return name_step(body, c);
	case BODY_VALUE:
		if (c == '\r')
			return BODY_VALUE_LF;
		return http_char_is(c, HTTP_CHAR_VALUE) ? BODY_VALUE : BODY_STATE_BAD;
	case BODY_VALUE_LF:
		return c == '\n' ? BODY_LINE_START : BODY_STATE_BAD;
	case BODY_END_LF:
		return c == '\n' ? BODY_STATE_DONE : BODY_STATE_BAD;
	case BODY_DATA:
	case BODY_STATE_DONE:
	case BODY_STATE_BAD:
		break;
	}
	return BODY_STATE_BAD;
}

static void data_step(struct body *body, uint64_t count)
{
	body->remaining_bytes -= count;
	if (body->remaining_bytes == 0)
		body->state = BODY_DATA_CR;
}

static enum body_result chunked_walk(struct body *body, const char *buf, size_t len, size_t *used)
{
	size_t at = 0;

	while (at < len && body->state < BODY_STATE_DONE) {
		if (body->state == BODY_DATA) {
			size_t left = len - at;
			size_t data = body->remaining_bytes < left ? (size_t)body->remaining_bytes : left;

			at += data;
			data_step(body, data);
			continue;
		}
		body->state = (uint8_t)step(body, buf[at]);
		if (body->state != BODY_STATE_BAD)
			at++;
	}
	*used = at;
	if (body->state == BODY_STATE_BAD)
		return BODY_BAD;
	return body->state == BODY_STATE_DONE ? BODY_DONE : BODY_MORE;
}

enum body_result body_walk(struct body *body, const char *buf, size_t len, size_t *used)
{
	switch (body->framing) {
	case HTTP_FRAMING_CHUNKED:
		return chunked_walk(body, buf, len, used);
	case HTTP_FRAMING_LENGTH:
		*used = body->remaining_bytes < len ? (size_t)body->remaining_bytes : len;
		body->remaining_bytes -= *used;
		break;
	case HTTP_FRAMING_CLOSE:
		*used = len;
		break;
	case HTTP_FRAMING_NONE:
		*used = 0;
		break;
	}
	return body_is_done(body) ? BODY_DONE : BODY_MORE;
}

uint64_t body_blind_bytes(const struct body *body)
{
	switch (body->framing) {
	case HTTP_FRAMING_CLOSE:
		return UINT64_MAX;
	case HTTP_FRAMING_LENGTH:
		return body->remaining_bytes;
	case HTTP_FRAMING_CHUNKED:
		return body->state == BODY_DATA ? body->remaining_bytes : 0;
	case HTTP_FRAMING_NONE:
		break;
	}
	return 0;
}

void body_skip(struct body *body, uint64_t count)
{
	uint64_t blind = body_blind_bytes(body);

	if (count > blind)
		count = blind;
	if (body->framing == HTTP_FRAMING_LENGTH)
		body->remaining_bytes -= count;
	else if (body->framing == HTTP_FRAMING_CHUNKED && count > 0)
		data_step(body, count);
}
