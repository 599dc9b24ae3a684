/* SPDX-License-Identifier: MIT */
#include "body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the pattern ---- */

static uint64_t pattern_word(uint64_t seed, uint64_t index)
{
	uint64_t x = (index + seed * 0x632be59bd9b4e019u) * 0x9e3779b97f4a7c15u;

	x ^= x >> 29;
	return x * 0xbf58476d1ce4e5b9u;
}

void pattern_fill(uint64_t seed, uint64_t offset, void *data, size_t len)
{
	unsigned char *out = data;

	while (len > 0) {
		uint64_t word = pattern_word(seed, offset / 8);
		size_t skip = (size_t)(offset % 8), n = 8 - skip < len ? 8 - skip : len;
		memcpy(out, (const unsigned char *)&word + skip, n);
		out += n;
		offset += n;
		len -= n;
	}
}

size_t pattern_check(uint64_t seed, uint64_t offset, const void *data, size_t len)
{
	const unsigned char *in = data;
	size_t done = 0;

	while (done < len) {
		uint64_t word = pattern_word(seed, (offset + done) / 8);
		size_t skip = (size_t)((offset + done) % 8),
		       n = 8 - skip < len - done ? 8 - skip : len - done;
		if (memcmp(in + done, (const unsigned char *)&word + skip, n) != 0)
			break;
		done += n;
	}
	while (done < len) {
		unsigned char expected;
		pattern_fill(seed, offset + done, &expected, 1);
		if (in[done] != expected)
			break;
		done++;
	}
	return done;
}

/* ---- out ---- */

void body_out_init(struct body_out *body, enum framing framing, uint64_t seed, uint64_t total_bytes)
{
	*body = (struct body_out){
	    .seed = seed, .total_bytes = total_bytes, .framing = framing, .chunk_bytes = BODY_GO_CHUNK_BYTES};
}

static void edge_add(struct body_out *body, const char *text)
{
	size_t len = strlen(text);

	memcpy(body->edge + body->edge_end, text, len);
	body->edge_end += len;
}

/* What stands between two pieces of content. False when nothing more comes. */
static bool next_edge(struct body_out *body)
{
	uint64_t left = body->total_bytes - body->done_bytes;
	char size[20];

	body->edge_start = body->edge_end = 0;
	if (body->last_chunk_out)
		return false;
	if (body->in_chunk)
		edge_add(body, "\r\n");
	body->in_chunk = left > 0;
	body->last_chunk_out = left == 0;
	/* The CRLF leaves by itself, as Go's does; the size line begins the next chunk. */
	if (body->edge_end > 0 && left > 0) {
		body->in_chunk = false;
		return true;
	}
	body->chunk_left_bytes = left < body->chunk_bytes ? left : body->chunk_bytes;
	snprintf(size, sizeof(size), "%llx\r\n", (unsigned long long)body->chunk_left_bytes);
	edge_add(body, size);
	if (left == 0)
		edge_add(body, "\r\n");
	return true;
}

static size_t fill_content(struct body_out *body, void *data, uint64_t limit, size_t cap)
{
	size_t n = limit < cap ? (size_t)limit : cap;

	pattern_fill(body->seed, body->done_bytes, data, n);
	body->done_bytes += n;
	return n;
}

size_t body_out_fill(struct body_out *body, void *data, size_t cap)
{
	char *out = data;
	size_t used = 0;

	if (body->framing != FRAMING_CHUNKED)
		return fill_content(body, data, body->total_bytes - body->done_bytes, cap);
	while (used < cap) {
		size_t n = body->edge_end - body->edge_start;
		if (n > 0) {
			n = n < cap - used ? n : cap - used;
			memcpy(out + used, body->edge + body->edge_start, n);
			body->edge_start += n;
		} else if (body->chunk_left_bytes > 0) {
			n = fill_content(body, out + used, body->chunk_left_bytes, cap - used);
			body->chunk_left_bytes -= n;
		} else if (!next_edge(body)) {
			break;
		}
		used += n;
	}
	return used;
}

/* ---- in ---- */

void body_in_init(struct body_in *body, enum framing framing, uint64_t seed, uint64_t total_bytes)
{
	*body = (struct body_in){.seed = seed, .total_bytes = total_bytes, .framing = framing};
	body->ended = framing == FRAMING_LENGTH && total_bytes == 0;
}

static void found_bad(struct body_in *body, uint64_t at)
{
	if (!body->bad)
		body->bad_at = at;
	body->bad = true;
}

static void take_content(struct body_in *body, const void *data, size_t len)
{
	size_t good = pattern_check(body->seed, body->done_bytes, data, len);

	if (good < len)
		found_bad(body, body->done_bytes + good);
	body->done_bytes += len;
	if (body->done_bytes > body->total_bytes)
		found_bad(body, body->total_bytes);
}

/* One byte of the framing around chunks. */
static void take_edge(struct body_in *body, char c)
{
	if (body->chunk_state == CHUNK_DATA_CRLF) {
		if (c == '\n')
			body->chunk_state = CHUNK_SIZE;
		else if (c != '\r')
			found_bad(body, body->done_bytes);
		return;
	}
	if (body->line_len + 1 >= sizeof(body->line)) {
		found_bad(body, body->done_bytes);
		body->line_len = 0;
	}
	body->line[body->line_len++] = c;
	if (c != '\n')
		return;
	body->line[body->line_len] = '\0';
	size_t len = body->line_len;
	body->line_len = 0;
	if (body->chunk_state == CHUNK_TRAILER) {
		body->ended = len == 2;
		return;
	}
	char *end;
	body->chunk_left_bytes = strtoull(body->line, &end, 16);
	if (end == body->line || *end != '\r')
		found_bad(body, body->done_bytes);
	body->chunk_state = body->chunk_left_bytes > 0 ? CHUNK_DATA : CHUNK_TRAILER;
}

size_t body_in_take(struct body_in *body, const void *data, size_t len)
{
	const char *in = data;
	size_t used = 0;

	if (body->framing == FRAMING_RAW) {
		take_content(body, data, len);
		return len;
	}
	while (used < len && !body->ended) {
		uint64_t limit = body->framing == FRAMING_LENGTH ? body->total_bytes - body->done_bytes
								 : body->chunk_left_bytes;
		if (body->framing == FRAMING_CHUNKED && body->chunk_state != CHUNK_DATA) {
			take_edge(body, in[used++]);
			continue;
		}
		size_t n = limit < len - used ? (size_t)limit : len - used;
		take_content(body, in + used, n);
		used += n;
		body->chunk_left_bytes -= body->framing == FRAMING_CHUNKED ? n : 0;
		if (body->framing == FRAMING_LENGTH)
			body->ended = body->done_bytes == body->total_bytes;
		else if (body->chunk_left_bytes == 0)
			body->chunk_state = CHUNK_DATA_CRLF;
	}
	return used;
}

bool body_in_is_whole(const struct body_in *body)
{
	return !body->bad && body->done_bytes == body->total_bytes &&
	       (body->ended || body->framing == FRAMING_RAW);
}
