/* SPDX-License-Identifier: MIT */
/*
 * Bodies. The first byte picks the framing, the second the length or the seed for the cuts. Whole,
 * byte by byte and in random pieces must agree, and with a naive reader of the same grammar.
 */
#include "body.h"
#include "fuzz.h"
#include "http_lex.h"

struct walked {
	enum body_result result;
	size_t used;
};

static struct walked walk(enum http_framing framing, uint64_t length, const uint8_t *data, size_t size,
			  size_t way, uint64_t state)
{
	struct walked walked = {.result = BODY_MORE};
	struct body body;

	body_init(&body, framing, length);
	do {
		size_t left = size - walked.used, used = SIZE_MAX;
		size_t piece = way == 0 ? left : way == 1 ? 1 : 1 + fuzz_next(&state, 23);
		uint64_t blind;
		char *copy;

		piece = piece < left ? piece : left;
		/* The third way also moves bytes unseen where that is allowed. */
		blind = body_blind_bytes(&body);
		if (way == 3 && blind > 0 && piece > 0) {
			used = blind < piece ? (size_t)blind : piece;
			body_skip(&body, used);
			walked.result = body_is_done(&body) ? BODY_DONE : BODY_MORE;
			walked.used += used;
			continue;
		}
		copy = fuzz_copy(data + walked.used, piece);
		walked.result = body_walk(&body, copy, piece, &used);
		free(copy);
		FUZZ_CHECK(used <= piece);
		FUZZ_CHECK(walked.result != BODY_MORE || used == piece);
		FUZZ_CHECK(body_is_done(&body) == (walked.result == BODY_DONE));
		walked.used += used;
	} while (walked.result == BODY_MORE && walked.used < size);
	return walked;
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_tchar(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* Whether a trailer of that name may pass: not one that heads treat specially, '_' read as '-'. */
static bool name_allowed(const uint8_t *name, size_t len)
{
	char folded[64];

	if (len == 0 || len >= sizeof(folded))
		return len > 0;
	for (size_t i = 0; i < len; i++)
		folded[i] = name[i] == '_' ? '-' : (char)name[i];
	for (size_t i = 0; i < HTTP_FIELD_COUNT; i++)
		if (span_ieq(http_field_names[i], (struct span){.ptr = folded, .len = len}))
			return false;
	return true;
}

/* Takes one expected byte; false, with the result set, when it is another or there is none. */
static bool expect(const uint8_t *data, size_t size, struct walked *walked, uint8_t c)
{
	if (walked->used < size && data[walked->used] == c) {
		walked->used++;
		return true;
	}
	walked->result = walked->used < size ? BODY_BAD : BODY_MORE;
	return false;
}

/* A trailer line without its end, from walked->used on. */
static bool naive_trailer(const uint8_t *data, size_t size, struct walked *walked)
{
	size_t start = walked->used;

	while (walked->used < size && is_tchar(data[walked->used]))
		walked->used++;
	if (walked->used < size && data[walked->used] == ':' &&
	    !name_allowed(data + start, walked->used - start)) {
		walked->result = BODY_BAD;
		return false;
	}
	if (!expect(data, size, walked, ':'))
		return false;
	while (walked->used < size && data[walked->used] != 0x7f &&
	       (data[walked->used] >= ' ' || data[walked->used] == '\t'))
		walked->used++;
	return true;
}

static void naive_trailers(const uint8_t *data, size_t size, struct walked *walked)
{
	for (;;) {
		if (walked->used < size && data[walked->used] == '\r') {
			walked->used++;
			if (expect(data, size, walked, '\n'))
				walked->result = BODY_DONE;
			return;
		}
		if (walked->used == size || !naive_trailer(data, size, walked) ||
		    !expect(data, size, walked, '\r') || !expect(data, size, walked, '\n'))
			return;
	}
}

/* The grammar of RFC 9112 7.1 without extensions, read from left to right over the whole input. */
static struct walked naive_chunked(const uint8_t *data, size_t size)
{
	struct walked walked = {.result = BODY_MORE};

	for (;;) {
		char digits[17] = {0};
		size_t count = 0;
		uint64_t chunk;

		while (walked.used < size && is_hex(data[walked.used]) && count < 16) {
			digits[count++] = (char)data[walked.used];
			if (strtoull(digits, NULL, 16) > INT64_MAX)
				return (struct walked){.result = BODY_BAD, .used = walked.used};
			walked.used++;
		}
		if (count == 0 && walked.used < size)
			return (struct walked){.result = BODY_BAD, .used = walked.used};
		if (count == 0 || !expect(data, size, &walked, '\r') || !expect(data, size, &walked, '\n'))
			return walked;
		chunk = strtoull(digits, NULL, 16);
		if (chunk == 0)
			break;
		if (size - walked.used <= chunk)
			return (struct walked){.result = BODY_MORE, .used = size};
		walked.used += (size_t)chunk;
		if (!expect(data, size, &walked, '\r') || !expect(data, size, &walked, '\n'))
			return walked;
	}
	naive_trailers(data, size, &walked);
	return walked;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum http_framing framing;
	struct walked whole, other;
	uint64_t parameter;

	if (size < 2)
		return 0;
	framing = (enum http_framing)(data[0] % (HTTP_FRAMING_CLOSE + 1));
	parameter = data[1];
	data += 2;
	size -= 2;
	whole = walk(framing, parameter, data, size, 0, 0);
	for (size_t way = 1; way <= 3; way++) {
		other = walk(framing, parameter, data, size, way, parameter);
		FUZZ_CHECK(other.result == whole.result && other.used == whole.used);
	}
	/* The naive reader knows no limit for trailers; an input that short cannot reach it. */
	if (framing == HTTP_FRAMING_CHUNKED && size < BODY_TRAILER_MAX_BYTES) {
		other = naive_chunked(data, size);
		FUZZ_CHECK(other.result == whole.result && other.used == whole.used);
	}
	if (framing == HTTP_FRAMING_LENGTH) {
		FUZZ_CHECK(whole.used == (parameter < size ? parameter : size));
		FUZZ_CHECK((whole.result == BODY_DONE) == (parameter <= size));
	}
	return 0;
}
