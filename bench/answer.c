/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *answer_field(const struct client *c, const char *name)
{
	const char *found = strcasestr(c->answer, name);

	return found ? found + strlen(name) : NULL;
}

/* ---- chunked answers: logs, inspects ---- */

/* "line NUMBER NANOSECONDS xxx": none may be missing, and the time says how long it took. The last one's is
 * not taken: with it streams end, a thousand in a second, which is another work than a line. */
static const char *log_line(struct client *c)
{
	unsigned number;
	unsigned long long written_ns;

	c->answer[c->answer_len] = '\0';
	c->answer_len = 0;
	if (sscanf(c->answer, "line %u %llu ", &number, &written_ns) != 2)
		return "a log's line is not one of the engine's";
	if (number != c->lines)
		return "a log's line is missing";
	c->lines++;
	c->thread->lines++;
	if (c->lines < c->thread->options->lines)
		load_thread_add_latency(c->thread, written_ns, now_ns());
	return NULL;
}

static const char *chunked_byte(struct client *c, char byte)
{
	switch (c->framing) {
	case FRAMING_SIZE:
		if (byte == '\n') {
			c->framing = c->answer_left ? FRAMING_DATA : FRAMING_LAST;
		} else if (byte != '\r') {
			unsigned digit = (unsigned)byte - '0';
			if (digit > 9)
				digit = ((unsigned)byte | 0x20) - 'a' + 10;
			if (digit > 15)
				return "a chunk's size is no number";
			c->answer_left = c->answer_left << 4 | digit;
		}
		return NULL;
	case FRAMING_DATA:
		if (c->answer_len == HEAD_CAP)
			return "a log's line is too long";
		c->answer[c->answer_len++] = byte;
		if (--c->answer_left == 0)
			c->framing = FRAMING_DATA_END;
		return byte == '\n' ? log_line(c) : NULL;
	case FRAMING_DATA_END:
		if (byte == '\n')
			c->framing = FRAMING_SIZE;
		return NULL;
	case FRAMING_LAST:
		if (c->answer_len == SIZE_MAX)
			return "bytes behind the last chunk";
		if (byte == '\n')
			c->answer_len = SIZE_MAX; /* the end */
		return NULL;
	}
	return NULL;
}

static const char *chunked_take(struct client *c, const char *data, size_t len)
{
	const char *wrong = NULL;
	size_t i = 0;

	while (i < len && !wrong) {
		if (c->kind == MODE_LOGS || c->framing != FRAMING_DATA) {
			wrong = chunked_byte(c, data[i++]);
			continue;
		}
		/* Of an inspect only how long it is matters. */
		size_t n = len - i < c->answer_left ? len - i : (size_t)c->answer_left;
		i += n;
		c->chunked_bytes += n;
		c->answer_left -= n;
		if (c->answer_left == 0)
			c->framing = FRAMING_DATA_END;
	}
	return wrong;
}

/* What came behind the head is taken in as the rest will be. */
static const char *chunked_head_done(struct client *c)
{
	char behind[HEAD_CAP];
	size_t len = c->answer_len;

	memcpy(behind, c->answer, len);
	c->answer_len = 0;
	c->answer_left = 0;
	return chunked_take(c, behind, len);
}

/* ---- tunnels ---- */

static const char *echo_take(struct client *c, const char *data, size_t len)
{
	if (c->state != CLIENT_ANSWER && c->state != CLIENT_SENDING)
		return "a byte without a question";
	if (len != 1 || *data != 'x' || c->answer_len)
		return "not the byte that was sent";
	c->answer_len = 1;
	return NULL;
}

/* ---- answers ---- */

/* Reads the head, once it is complete. NULL, or what is wrong with it. */
static const char *answer_head(struct client *c)
{
	char *end = strstr(c->answer, "\r\n\r\n");
	struct load_thread *thread = c->thread;

	if (!end)
		return c->answer_len == HEAD_CAP ? "the answer's head is too long" : NULL;
	*end = '\0';
	const char *length = answer_field(c, "\r\ncontent-length:");
	const char *connection = answer_field(c, "\r\nconnection: close");
	long status = c->answer_len > 12 ? strtol(c->answer + 9, NULL, 10) : 0;
	size_t head_len = (size_t)(end - c->answer) + 4;
	int expected = c->kind == MODE_ECHO ? 101 : thread->options->expect_status;
	if (status != expected)
		return c->answer;
	bool chunked = mode_is_chunked(c->kind);
	if (chunked && !answer_field(c, "\r\ntransfer-encoding: chunked"))
		return "the answer is not chunked";
	if (!length && !chunked && c->kind != MODE_IDLE && c->kind != MODE_ECHO)
		return "the answer has no Content-Length";
	c->close_after = connection != NULL;
	c->answer_left = length ? strtoull(length, NULL, 10) : UINT64_MAX;
	memmove(c->answer, c->answer + head_len, c->answer_len - head_len);
	c->answer_len -= head_len;
	c->answer[c->answer_len] = '\0';
	c->head_done = true;
	if (c->kind == MODE_ECHO) {
		c->tunnelled = true;
		thread->established++;
		return c->answer_len > 0 ? "bytes behind the 101" : NULL;
	}
	if (chunked)
		return chunked_head_done(c);
	if (c->kind == MODE_IDLE) {
		thread->streaming++;
		thread->requests_done++;
		return NULL;
	}
	if (c->answer_len > c->answer_left)
		return "more bytes than the answer's Content-Length";
	c->answer_left -= c->answer_len;
	return NULL;
}

const char *answer_take(struct client *c, const char *data, size_t len)
{
	size_t room = HEAD_CAP - c->answer_len;
	size_t kept = len < room ? len : room;

	if (c->kind == MODE_ECHO && c->tunnelled)
		return echo_take(c, data, len);
	if (c->kind == MODE_LOGS && c->head_done)
		return chunked_take(c, data, len);
	if (c->kind != MODE_ECHO && c->state != CLIENT_ANSWER && c->state != CLIENT_SENDING)
		return "bytes without a request";
	if (c->kind == MODE_INSPECT && c->head_done)
		return chunked_take(c, data, len);
	memcpy(c->answer + c->answer_len, data, kept);
	c->answer_len += kept;
	c->answer[c->answer_len] = '\0';
	if (c->head_done) {
		if (len > c->answer_left)
			return "more bytes than the answer's Content-Length";
		c->answer_left -= len;
		return NULL;
	}
	const char *wrong = answer_head(c);
	if (wrong || !c->head_done || kept == len)
		return wrong;
	if (mode_is_chunked(c->kind))
		return chunked_take(c, data + kept, len - kept);
	if (len - kept > c->answer_left)
		return "more bytes than the answer's Content-Length";
	c->answer_left -= len - kept;
	return NULL;
}

bool answer_is_right(const struct client *c)
{
	const struct load_options *options = c->thread->options;
	char expected[64];

	if (c->kind == MODE_LOGS)
		return c->lines == options->lines;
	if (c->kind == MODE_INSPECT)
		return c->chunked_bytes == INSPECT_BYTES;
	if (!mode_is_upload(c->kind))
		return true;
	snprintf(expected, sizeof(expected), "{\"bytes\":%llu}", (unsigned long long)options->bytes);
	return strstr(c->answer, expected) != NULL;
}

bool answer_is_complete(const struct client *c)
{
	if (c->kind == MODE_ECHO)
		return c->tunnelled && c->answer_len == 1;
	if (mode_is_chunked(c->kind))
		return c->head_done && c->answer_len == SIZE_MAX;
	return c->head_done && c->answer_left == 0;
}
