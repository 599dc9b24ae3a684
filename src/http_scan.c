/* SPDX-License-Identifier: MIT */
/* The end of a head, found as its bytes arrive; each byte is judged once, mostly eight at a time. */
#include "http_lex.h"

enum scan_state {
	SCAN_START,	 /* before the first byte */
	SCAN_LINE,	 /* in a line that has bytes */
	SCAN_LINE_CR,	 /* after its CR */
	SCAN_LINE_START, /* after its LF */
	SCAN_EMPTY_CR,	 /* after the CR of the empty line */
};

/*
 * The first byte in buf[at..end) that may end or spoil a line: below SP, or DEL. Eight at a time: the
 * two terms have the high bit of a byte set where it is < 0x20 or = 0x7f. A borrow from a byte below
 * can set it wrongly one byte above, never miss one; then the loop at the end decides.
 */
static size_t skip_plain(const char *buf, size_t at, size_t end)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
	uint64_t word, del;

	while (end - at >= sizeof(word)) {
		memcpy(&word, buf + at, sizeof(word));
		del = word ^ (0x7f * ones);
		if ((((word - 0x20 * ones) & ~word) | ((del - ones) & ~del)) & high)
			break;
		at += sizeof(word);
	}
	while (at < end && http_char_is(buf[at], HTTP_CHAR_VALUE) && buf[at] != '\t')
		at++;
	return at;
}

/* One byte in any state; false when it is refused. */
static bool scan_byte(uint8_t *state, char c)
{
	switch ((enum scan_state) * state) {
	case SCAN_LINE_CR:
		*state = SCAN_LINE_START;
		return c == '\n';
	case SCAN_START:
	case SCAN_LINE:
	case SCAN_LINE_START:
		if (c == '\r') {
			*state = *state == SCAN_LINE_START ? SCAN_EMPTY_CR : SCAN_LINE_CR;
			return true;
		}
		*state = SCAN_LINE;
		return http_char_is(c, HTTP_CHAR_VALUE);
	case SCAN_EMPTY_CR:
		break;
	}
	return false;
}

enum http_result http_scan(struct http_scan *scan, const char *buf, size_t len, size_t *head_bytes,
			   enum http_refusal *refusal)
{
	size_t at = scan->done_bytes, end = len < HTTP_HEAD_MAX_BYTES ? len : HTTP_HEAD_MAX_BYTES;
	uint8_t state = scan->state;

	*refusal = HTTP_REFUSED_NOTHING;
	while (at < end) {
		if (state == SCAN_LINE) {
			at = skip_plain(buf, at, end);
			if (at == end)
				break;
		}
		/* RFC 9112 2.2 lets a server skip an empty line here; it only ever hides a lost body. */
		if (state == SCAN_START && buf[at] == '\r') {
			*refusal = HTTP_REFUSED_REQUEST_LINE;
			break;
		}
		if (state == SCAN_EMPTY_CR && buf[at] == '\n') {
			*head_bytes = at + 1;
			return HTTP_OK;
		}
		scan->done_bytes = at;
		scan->state = state;
		if (!scan_byte(&state, buf[at])) {
			*refusal = HTTP_REFUSED_BYTE;
			return HTTP_BAD;
		}
		at++;
	}
	scan->done_bytes = at;
	scan->state = state;
	if (*refusal == HTTP_REFUSED_NOTHING && at < HTTP_HEAD_MAX_BYTES)
		return HTTP_MORE;
	if (*refusal == HTTP_REFUSED_NOTHING)
		*refusal = HTTP_REFUSED_HEAD_TOO_LARGE;
	return HTTP_BAD;
}
