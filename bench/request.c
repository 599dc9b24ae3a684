/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES	 ((size_t)32768)
#define TURN_BYTES	 ((size_t)(1024 * 1024)) /* one client sends this much, then the others */
#define RECORD_MAX_BYTES ((size_t)(18 * 1024))	 /* with what TLS adds */

/* "8000\r\n" and the 32768 bytes of a chunk behind it. */
static char chunk[6 + CHUNK_BYTES] = "8000\r\n";

void request_init(void)
{
	memset(chunk + 6, 'x', CHUNK_BYTES);
}

static bool ssl_put(struct client *c, const char *data, size_t len)
{
	size_t n;

	return SSL_write_ex(c->ssl, data, len, &n) == 1 && n == len;
}

/*
 * The next write of Go's chunked encoder through its 4 KiB buffer: 4096 (with the size line), 28678, 2.
 * The second makes two records; they are two writes here, so that mode up-go can send each by itself.
 */
static bool produce_chunked(struct client *c)
{
	static const struct {
		size_t offset, len;
	} parts[] = {{0, 4096}, {4096, 16384}, {20480, 12294}};

	if (c->unsent_bytes == 0) {
		c->last_sent = true;
		return ssl_put(c, "0\r\n\r\n", 5);
	}
	if (c->chunk_part < 3) {
		unsigned part = c->chunk_part++;
		return ssl_put(c, chunk + parts[part].offset, parts[part].len);
	}
	c->chunk_part = 0;
	c->unsent_bytes -= CHUNK_BYTES;
	return ssl_put(c, "\r\n", 2);
}

static bool produce_length(struct client *c)
{
	size_t len = c->unsent_bytes < 16384 ? (size_t)c->unsent_bytes : 16384;

	c->unsent_bytes -= len;
	return ssl_put(c, chunk + 6, len);
}

static bool body_left(const struct client *c)
{
	return c->unsent_bytes > 0 || !c->last_sent;
}

int request_send(struct client *c)
{
	enum mode mode = c->kind;
	size_t turn = 0;

	for (;;) {
		int result = client_flush(c);
		if (result < 0)
			return result == -EAGAIN ? result : -EIO;
		if (!body_left(c))
			return 0;
		if (turn >= TURN_BYTES)
			return 1;
		do {
			if (!(mode == MODE_UP_LENGTH ? produce_length(c) : produce_chunked(c)))
				return -EIO;
		} while (mode != MODE_UP_GO && body_left(c) && c->out_cap - c->out_end > RECORD_MAX_BYTES);
		turn += c->out_end;
	}
}

static void target_write(const struct client *c, char *target, size_t cap)
{
	const struct load_options *options = c->thread->options;
	uint64_t interval_ms = options->interval_ns / 1000000;

	if (options->target)
		snprintf(target, cap, "GET %s", options->target);
	else if (mode_is_upload(c->kind))
		snprintf(target, cap, "POST /v1.41/images/load?quiet=1");
	else if (c->kind == MODE_DOWN)
		snprintf(target, cap, "GET /images/get?bytes=%llu", (unsigned long long)options->bytes);
	else if (c->kind == MODE_INSPECT)
		snprintf(target, cap, "GET /v1.41/containers/x/json?bytes=%llu",
			 (unsigned long long)INSPECT_BYTES);
	else if (c->kind == MODE_IDLE)
		snprintf(target, cap, "GET /containers/x/logs?follow=1&stdout=1");
	else if (c->kind == MODE_LOGS)
		snprintf(target, cap,
			 "GET /containers/x/logs?follow=1&stdout=1&lines=%u&interval_ms=%llu&phase_ms=%llu",
			 options->lines, (unsigned long long)interval_ms,
			 (unsigned long long)(interval_ms * c->index / options->connections));
	else if (c->kind == MODE_ECHO)
		snprintf(target, cap, "POST /exec/x/start");
	else
		snprintf(target, cap, "GET /_ping");
}

static bool head_write(struct client *c, const char *fields)
{
	char head[HEAD_CAP], target[256];

	target_write(c, target, sizeof(target));
	int n = snprintf(head, sizeof(head),
			 "%s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Docker-Client/28.5.2 (linux)\r\n%s"
			 "token: %s\r\n\r\n",
			 target, fields, c->thread->options->token);
	return n > 0 && (size_t)n < sizeof(head) && ssl_put(c, head, (size_t)n);
}

/* A tunnel's first bytes may come in one read with the 101, so it has no body that could be mistaken for
 * them. */
bool request_tunnel(struct client *c)
{
	c->answer_len = 0;
	c->answer[0] = '\0';
	c->head_done = c->tunnelled = false;
	c->last_sent = true;
	c->unsent_bytes = 0;
	return head_write(c, "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n");
}

static bool request_write(struct client *c)
{
	const struct load_options *options = c->thread->options;
	char framing[64] = "";

	if (c->kind == MODE_ECHO)
		return ssl_put(c, "x", 1);
	if (c->kind == MODE_UP_LENGTH)
		snprintf(framing, sizeof(framing), "Content-Length: %llu\r\n",
			 (unsigned long long)options->bytes);
	else if (mode_is_upload(c->kind))
		snprintf(framing, sizeof(framing), "Transfer-Encoding: chunked\r\n");
	c->unsent_bytes = mode_is_upload(c->kind) ? options->bytes : 0;
	c->last_sent = !mode_is_upload(c->kind) || c->kind == MODE_UP_LENGTH;
	c->chunk_part = 0;
	return head_write(c, framing);
}

bool request_start(struct client *c)
{
	struct load_thread *thread = c->thread;
	uint64_t interval_ns = thread->options->mode == MODE_LOGS ? 0 : thread->options->interval_ns;

	bool single = thread->options->mode == MODE_MIXED || thread->options->mode == MODE_LOGS ||
		      thread->options->mode == MODE_IDLE;

	if (!thread->running || thread->requests_started == thread->requests_quota || (single && c->begun) ||
	    (interval_ns > 0 && c->owed == 0))
		return true;
	c->begun = true;
	thread->requests_started++;
	c->answer_len = 0;
	c->answer[0] = '\0';
	c->head_done = c->close_after = false;
	c->lines = 0;
	c->framing = FRAMING_SIZE;
	c->chunked_bytes = 0;
	/* With an interval from when it was due: what a slow answer delays counts as late (no coordinated
	 * omission). */
	if (interval_ns > 0) {
		c->owed--;
		c->started_ns = c->due_ns;
		c->due_ns += interval_ns;
	} else if (c->kind != MODE_HANDSHAKE) {
		c->started_ns = now_ns();
	}
	c->state = CLIENT_SENDING;
	return request_write(c);
}
