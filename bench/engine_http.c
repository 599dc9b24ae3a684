/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A connection is in one of the states of enum state; conn_step() runs until something would block. Bodies go
 * through one static buffer that all connections share, because nothing is kept of them.
 */
#include "engine.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define BULK_BYTES ((size_t)(256 * 1024))
#define TURN_BYTES ((size_t)(1024 * 1024)) /* of one connection, then the others have their turn */

static char bulk[BULK_BYTES];

static void answer(struct conn *c, enum state after, const char *text)
{
	c->out_start = 0;
	c->out_end = strlen(text);
	memcpy(c->out, text, c->out_end);
	c->after_answer = after;
	c->state = STATE_ANSWER;
}

static void answer_received(struct conn *c)
{
	char body[64], text[256];

	snprintf(body, sizeof(body), "{\"bytes\":%llu}\n", (unsigned long long)c->received_bytes);
	snprintf(text, sizeof(text),
		 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
		 c->close_after ? "Connection: close\r\n" : "", strlen(body), body);
	answer(c, STATE_HEAD, text);
}

/* The value of a field in a NUL-terminated head, or NULL. `name` is with its colon and in lower case. */
static const char *field(const char *head, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line + 2, name, len) == 0)
			return line + 2 + len + strspn(line + 2 + len, " ");
	}
	return NULL;
}

static bool field_is(const char *head, const char *name, const char *value)
{
	const char *text = field(head, name);

	return text && strncasecmp(text, value, strlen(value)) == 0;
}

/* ---- logs ---- */

/* In the order in which their next lines are due. */
static TAILQ_HEAD(log_list, conn) logs = TAILQ_HEAD_INITIALIZER(logs);

uint64_t engine_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static uint64_t query_number(const char *head, const char *name, uint64_t otherwise)
{
	const char *found = strstr(head, name);

	return found && found < strstr(head, " HTTP/") ? strtoull(found + strlen(name), NULL, 10) : otherwise;
}

/* Mostly at the end: all logs of a run have the same interval, and come in the order of their phases. */
static void log_enqueue(struct conn *c)
{
	struct conn *before = TAILQ_LAST(&logs, log_list);

	while (before && before->line_due_ns > c->line_due_ns)
		before = TAILQ_PREV(before, log_list, due_link);
	if (before)
		TAILQ_INSERT_AFTER(&logs, before, c, due_link);
	else
		TAILQ_INSERT_HEAD(&logs, c, due_link);
	c->is_due = true;
}

/*
 * Lines start at the next moment that is `phase_ms` past a whole interval, so that a proxy that is slow to
 * connect them all gets them spread no better than a fast one.
 */
static void log_begin(struct conn *c, const char *head)
{
	uint64_t now = engine_now_ns(), phase_ns = query_number(head, "phase_ms=", 0) * 1000000U;

	c->lines_left = (unsigned)query_number(head, "lines=", 0);
	c->line_number = 0;
	c->line_interval_ns = query_number(head, "interval_ms=", 1000) * 1000000U;
	if (!c->lines_left || !c->line_interval_ns)
		return;
	c->line_due_ns = now / c->line_interval_ns * c->line_interval_ns + phase_ns;
	while (c->line_due_ns < now + c->line_interval_ns)
		c->line_due_ns += c->line_interval_ns;
	log_enqueue(c);
}

void conn_forget(struct conn *c)
{
	if (c->is_due)
		TAILQ_REMOVE(&logs, c, due_link);
	c->is_due = false;
}

/* What waits goes first. False when the connection is to be closed. */
static bool log_send(struct conn *c)
{
	while (c->out_start < c->out_end) {
		ssize_t n = wire_send(c, c->out + c->out_start, c->out_end - c->out_start);
		if (n < 0)
			return errno == EAGAIN;
		c->out_start += (size_t)n;
	}
	c->out_start = c->out_end = 0;
	return true;
}

/* A line is 100 bytes with its number and the time at which it was written, in a chunk of its own. */
static bool log_line(struct conn *c, uint64_t now)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "line %u %llu ", c->line_number++, (unsigned long long)now);

	memset(line + n, 'x', (size_t)(99 - n));
	line[99] = '\n';
	c->lines_left--;
	const char *end = c->lines_left ? "" : "0\r\n\r\n";
	if (OUT_CAP - c->out_end < 128)
		return false; /* the proxy has not read for many lines: the load misses one */
	n = snprintf(c->out + c->out_end, OUT_CAP - c->out_end, "64\r\n%.100s\r\n%s", line, end);
	c->out_end += (size_t)n;
	return c->state != STATE_LOG || log_send(c);
}

int logs_write_due(void (*failed)(struct conn *c))
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&logs))) {
		uint64_t now = engine_now_ns();
		if (c->line_due_ns > now)
			return (int)((c->line_due_ns - now + 999999) / 1000000);
		conn_forget(c);
		c->line_due_ns += c->line_interval_ns;
		bool good = log_line(c, now);
		if (good && c->lines_left)
			log_enqueue(c);
		else if (!good)
			failed(c);
		else if (!c->out_end)
			c->state = STATE_HEAD;
	}
	return -1;
}

static enum step step_log(struct conn *c)
{
	ssize_t n = wire_recv(c, bulk, BULK_BYTES);

	if (n == 0 || (n < 0 && errno != EAGAIN) || !log_send(c))
		return STEP_END;
	if (c->out_end)
		return STEP_WAIT_OUT;
	if (c->lines_left == 0)
		c->state = STATE_HEAD;
	return STEP_WAIT_IN;
}

/* ---- requests ---- */

/* net/http sends what is longer than 2048 bytes, and of no length that it was told, in chunks. */
static void answer_inspect(struct conn *c, uint64_t bytes)
{
	char text[OUT_CAP];

	if (bytes > OUT_CAP - 512)
		bytes = OUT_CAP - 512;
	snprintf(text, sizeof(text),
		 "HTTP/1.1 200 OK\r\nApi-Version: 1.48\r\nContent-Type: application/json\r\n"
		 "Docker-Experimental: false\r\nOstype: linux\r\nServer: Docker\r\n%s"
		 "Transfer-Encoding: chunked\r\n\r\n%llx\r\n%.*s\r\n0\r\n\r\n",
		 c->close_after ? "Connection: close\r\n" : "", (unsigned long long)bytes, (int)bytes, bulk);
	answer(c, STATE_HEAD, text);
}

static void route_get(struct conn *c, const char *head)
{
	char text[256];

	if (strstr(head, "/images/get?bytes=") == head + 4) {
		c->remaining_bytes = strtoull(strchr(head, '=') + 1, NULL, 10);
		snprintf(
		    text, sizeof(text),
		    "HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n%sContent-Length: %llu\r\n\r\n",
		    c->close_after ? "Connection: close\r\n" : "", (unsigned long long)c->remaining_bytes);
		answer(c, STATE_SOURCE, text);
	} else if (strstr(head, "/logs")) {
		log_begin(c, head);
		answer(c, c->lines_left ? STATE_LOG : STATE_SILENT,
		       "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
		       "Transfer-Encoding: chunked\r\n\r\n");
	} else if (strstr(head, "/json?bytes=")) {
		answer_inspect(c, query_number(head, "bytes=", 0));
	} else {
		/* As large as dockerd's own. */
		snprintf(text, sizeof(text),
			 "HTTP/1.1 200 OK\r\nApi-Version: 1.48\r\nCache-Control: no-cache\r\nContent-Type: "
			 "text/plain; charset=utf-8\r\nDocker-Experimental: false\r\nOstype: linux\r\n"
			 "Server: Docker\r\n%sContent-Length: 2\r\n\r\nOK",
			 c->close_after ? "Connection: close\r\n" : "");
		answer(c, STATE_HEAD, text);
	}
}

static void route(struct conn *c, const char *head)
{
	const char *length = field(head, "content-length:");

	c->close_after = field_is(head, "connection:", "close");
	c->received_bytes = 0;
	c->remaining_bytes = 0;
	if (strncmp(head, "POST ", 5) != 0) {
		route_get(c, head);
	} else if ((strstr(head, "/attach") || strstr(head, "/exec/")) && field(head, "upgrade:")) {
		answer(c, STATE_ECHO,
		       "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
		       "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
	} else if (field_is(head, "transfer-encoding:", "chunked")) {
		c->chunk = CHUNK_SIZE;
		c->state = STATE_CHUNKED;
	} else {
		c->remaining_bytes = length ? strtoull(length, NULL, 10) : 0;
		c->state = STATE_LENGTH;
	}
}

/* One byte of a chunked body's framing. True when it was the body's last. */
static bool chunk_byte(struct conn *c, char byte)
{
	switch (c->chunk) {
	case CHUNK_SIZE:
		if (isxdigit((unsigned char)byte)) {
			unsigned digit =
			    byte <= '9' ? (unsigned)byte - '0' : ((unsigned)byte | 0x20) - 'a' + 10;
			c->remaining_bytes = c->remaining_bytes << 4 | digit;
		} else if (byte == '\n') {
			c->chunk = c->remaining_bytes ? CHUNK_DATA : CHUNK_TRAILER;
			c->line_empty = true;
		}
		return false;
	case CHUNK_DATA_END:
		if (byte == '\n')
			c->chunk = CHUNK_SIZE;
		return false;
	case CHUNK_TRAILER:
		if (byte == '\n' && c->line_empty)
			return true;
		if (byte == '\n')
			c->line_empty = true;
		else if (byte != '\r')
			c->line_empty = false;
		return false;
	case CHUNK_DATA:
		break;
	}
	return false;
}

/* Takes body bytes; the answer starts when the body is complete. Returns how many belonged to it. */
static size_t take_body(struct conn *c, const char *data, size_t len)
{
	size_t used = 0;

	while (used < len) {
		if (c->state == STATE_CHUNKED && c->chunk != CHUNK_DATA) {
			if (chunk_byte(c, data[used++])) {
				answer_received(c);
				return used;
			}
			continue;
		}
		size_t n = len - used < c->remaining_bytes ? len - used : (size_t)c->remaining_bytes;
		used += n;
		c->received_bytes += n;
		c->remaining_bytes -= n;
		if (c->remaining_bytes > 0)
			continue;
		if (c->state == STATE_CHUNKED) {
			c->chunk = CHUNK_DATA_END;
			continue;
		}
		break;
	}
	if (c->state == STATE_LENGTH && c->remaining_bytes == 0)
		answer_received(c);
	return used;
}

static enum step step_head(struct conn *c)
{
	char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);

	if (!end) {
		if (c->in_len == HEAD_CAP - 1)
			return STEP_END;
		ssize_t n = wire_recv(c, c->in + c->in_len, HEAD_CAP - 1 - c->in_len);
		if (n < 0 && errno == EAGAIN)
			return STEP_WAIT_IN;
		if (n <= 0)
			return STEP_END;
		c->in_len += (size_t)n;
		end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
		if (!end)
			return STEP_WAIT_IN;
	}
	size_t used = (size_t)(end - c->in) + 4;
	end[2] = '\0'; /* what stands behind is no part of the head */
	route(c, c->in);
	if (c->state == STATE_LENGTH || c->state == STATE_CHUNKED)
		used += take_body(c, c->in + used, c->in_len - used);
	memmove(c->in, c->in + used, c->in_len - used);
	c->in_len -= used;
	return STEP_NEXT;
}

static enum step step_body(struct conn *c)
{
	for (size_t turn = 0; turn < TURN_BYTES || wire_has_pending(c);) {
		ssize_t n = wire_recv(c, bulk, BULK_BYTES);
		if (n < 0 && errno == EAGAIN)
			return STEP_WAIT_IN;
		if (n <= 0)
			return STEP_END;
		if (take_body(c, bulk, (size_t)n) < (size_t)n)
			return STEP_END; /* bytes behind the body: no proxy here pipelines */
		if (c->state == STATE_ANSWER)
			return STEP_NEXT;
		if ((size_t)n < BULK_BYTES) /* level-triggered: what comes meanwhile is reported */
			return STEP_WAIT_IN;
		turn += (size_t)n;
	}
	return STEP_WAIT_IN;
}

static enum step step_answer(struct conn *c)
{
	while (c->out_start < c->out_end) {
		ssize_t n = wire_send(c, c->out + c->out_start, c->out_end - c->out_start);
		if (n < 0)
			return errno == EAGAIN ? STEP_WAIT_OUT : STEP_END;
		c->out_start += (size_t)n;
	}
	c->state = c->after_answer;
	if (c->state != STATE_HEAD)
		return STEP_NEXT;
	if (c->close_after)
		return STEP_END;
	return c->in_len > 0 ? STEP_NEXT : STEP_WAIT_IN;
}

static enum step step_source(struct conn *c)
{
	for (size_t turn = 0; c->remaining_bytes > 0;) {
		if (turn >= TURN_BYTES)
			return STEP_WAIT_OUT;
		size_t len = c->remaining_bytes < BULK_BYTES ? (size_t)c->remaining_bytes : BULK_BYTES;
		ssize_t n = wire_send(c, bulk, len);
		if (n < 0)
			return errno == EAGAIN ? STEP_WAIT_OUT : STEP_END;
		c->remaining_bytes -= (size_t)n;
		turn += (size_t)n;
	}
	if (c->close_after)
		return STEP_END;
	c->state = STATE_HEAD;
	return STEP_NEXT;
}

static enum step step_echo(struct conn *c)
{
	size_t sent = 0;

	if (c->in_len == 0) {
		ssize_t n = wire_recv(c, c->in, HEAD_CAP);
		if (n < 0 && errno == EAGAIN)
			return STEP_WAIT_IN;
		if (n <= 0)
			return STEP_END;
		c->in_len = (size_t)n;
	}
	while (sent < c->in_len) {
		ssize_t n = wire_send(c, c->in + sent, c->in_len - sent);
		if (n < 0 && errno != EAGAIN)
			return STEP_END;
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	memmove(c->in, c->in + sent, c->in_len - sent);
	c->in_len -= sent;
	return c->in_len > 0 ? STEP_WAIT_OUT : STEP_WAIT_IN;
}

/* Nothing is expected of the client of a silent stream but its end. */
static enum step step_silent(struct conn *c)
{
	ssize_t n = wire_recv(c, bulk, BULK_BYTES);

	return n > 0 || (n < 0 && errno == EAGAIN) ? STEP_WAIT_IN : STEP_END;
}

enum step conn_step(struct conn *c)
{
	static enum step (*const steps[])(struct conn * c) = {
	    [STATE_HEAD] = step_head,	  [STATE_LENGTH] = step_body,	[STATE_CHUNKED] = step_body,
	    [STATE_ANSWER] = step_answer, [STATE_SOURCE] = step_source, [STATE_ECHO] = step_echo,
	    [STATE_SILENT] = step_silent, [STATE_LOG] = step_log,	[STATE_HANDSHAKE] = wire_handshake,
	};
	enum step step;

	do
		step = steps[c->state](c);
	while (step == STEP_NEXT);
	return step;
}

void conn_init_all(void)
{
	memset(bulk, 'x', sizeof(bulk));
}
