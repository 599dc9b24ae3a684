/* SPDX-License-Identifier: MIT */
/* engine_script.c: what one connection of the stand-in engine does; see the table in engine.h. */
#include <inttypes.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "engine.h"
#include "record.h"

/* One request being served. */
struct script {
	struct engine *engine;
	struct peer *peer;
	const struct head *head;
	struct engine_result *result; /* NULL without an id */
	uint64_t deadline_ms, seed;
};

static bool say(const struct script *script, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool say(const struct script *script, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return len > 0 &&
	       peer_put_by(script->peer, text, (size_t)len, PEER_RECORD_MAX_BYTES, script->deadline_ms) == 0;
}

static _Atomic uint64_t *moved(const struct script *script)
{
	return script->result ? &script->result->moved : NULL;
}

static void report(const struct script *script, const struct body_in *in)
{
	struct engine_result *result = script->result;

	if (!result)
		return;
	pthread_mutex_lock(&script->engine->lock);
	if (in) {
		result->in_bytes = in->done_bytes;
		result->in_bad = in->bad;
		result->in_whole = body_in_is_whole(in);
	}
	result->ending = script->peer->ending;
	result->done = true;
	pthread_cond_broadcast(&script->engine->changed);
	pthread_mutex_unlock(&script->engine->lock);
}

/* What is no TLS, in the middle of an upload that nobody reads; it is read when the client has seen enough.
 */
static void serve_garbage(const struct script *script)
{
	char garbage[64];

	memset(garbage, '!', sizeof(garbage)); /* neither a record's type nor a version */
	if (peer_put_raw_by(script->peer, garbage, sizeof(garbage), script->deadline_ms) == 0 &&
	    script->result)
		engine_stall(script->engine, script->result, script->deadline_ms);
	(void)peer_drain_by(script->peer, NULL, script->deadline_ms);
	script->peer->out_ended = true; /* no close_notify */
}

/* ---- uploads ---- */

static bool serve_upload(const struct script *script)
{
	uint64_t length;
	enum framing framing = head_framing(script->head, &length);
	struct body_in in;
	struct transfer transfer = {.in = &in, .moved = moved(script)};
	char answer[100];
	bool keep = !head_has(script->head, "Connection", "close");

	body_in_init(&in, framing == FRAMING_RAW ? FRAMING_LENGTH : framing, script->seed,
		     framing == FRAMING_CHUNKED ? head_query(script->head, "want", 0) : length);
	if (head_query(script->head, "stall", 0) == 1 && script->result)
		engine_stall(script->engine, script->result, script->deadline_ms);
	if (head_query(script->head, "garbage", 0) == 1)
		serve_garbage(script);
	else
		(void)transfer_by(script->peer, &transfer, script->deadline_ms);
	if (!in.ended) {
		report(script, &in);
		return false;
	}
	snprintf(answer, sizeof(answer), "%" PRIu64 " bytes, %s\n", in.done_bytes,
		 body_in_is_whole(&in) ? "good" : "bad");
	bool said =
	    say(script, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		strlen(answer), answer);
	report(script, &in);
	return said && keep;
}

/* ---- answers ---- */

static bool send_answer_head(const struct script *script, enum framing framing, uint64_t bytes)
{
	char framing_field[64] = "Connection: close";

	if (framing == FRAMING_LENGTH)
		snprintf(framing_field, sizeof(framing_field), "Content-Length: %" PRIu64, bytes);
	else if (framing == FRAMING_CHUNKED)
		snprintf(framing_field, sizeof(framing_field), "Transfer-Encoding: chunked");
	return say(script,
		   "HTTP/1.1 200 OK\r\nApi-Version: 1.43\r\nContent-Type: application/json\r\n%s\r\n\r\n",
		   framing_field);
}

/* The first half; then what the query wants to happen in the middle. False when the answer ends here. */
static bool serve_middle(const struct script *script, struct body_out *out)
{
	uint64_t rekey = head_query(script->head, "rekey", 0), cut = head_query(script->head, "cut", 0);
	uint64_t total = out->total_bytes;
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct transfer transfer = {.out = out, .moved = moved(script)};

	if (rekey == 0 && cut == 0)
		return true;
	/* Half of the content, in the framing of the whole: only length and close are used so. */
	out->total_bytes = total / 2;
	(void)transfer_by(script->peer, &transfer, script->deadline_ms);
	out->total_bytes = total;
	if (rekey > 0 && script->peer->ssl)
		(void)SSL_key_update(script->peer->ssl,
				     rekey == 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
	if (cut == 0)
		return true;
	script->peer->out_ended = true; /* no close_notify */
	if (cut == 2)
		(void)setsockopt(script->peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return false;
}

/* Half of an answer, and then records without data until they are taken no more, or half a record. */
static void serve_records(const struct script *script, uint64_t bytes, uint64_t count, bool half)
{
	struct record_writer writer;
	char text[200], data[10000];
	int result = record_init(&writer, script->peer);

	/* OpenSSL has written the tickets with these keys already. */
	writer.sequence = SSL_get_num_tickets(script->peer->ssl);
	int len =
	    snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %" PRIu64 "\r\n\r\n", bytes);
	if (result == 0)
		result = record_send_by(&writer, script->peer, RECORD_DATA, text, (size_t)len, 0,
					script->deadline_ms);
	for (uint64_t done = 0; result == 0 && done < bytes / 2; done += sizeof(data)) {
		size_t n = bytes / 2 - done < sizeof(data) ? (size_t)(bytes / 2 - done) : sizeof(data);
		pattern_fill(script->seed + 1, done, data, n);
		result = record_send_by(&writer, script->peer, RECORD_DATA, data, n, 0, script->deadline_ms);
	}
	for (uint64_t i = 0; result == 0 && i < count; i++)
		result = record_send_by(&writer, script->peer, RECORD_DATA, NULL, 0, 0, script->deadline_ms);
	if (result == 0 && half) {
		unsigned char record[1000 + RECORD_OVERHEAD_BYTES];
		size_t record_len = record_seal(&writer, RECORD_DATA, data, 1000, 0, record, sizeof(record));
		result = peer_put_raw_by(script->peer, record, record_len / 2, script->deadline_ms);
	}
	while (result == 0 && peer_get_by(script->peer, data, sizeof(data), script->deadline_ms) > 0)
		;
	script->peer->out_ended = true; /* no close_notify */
}

static bool serve_download(const struct script *script)
{
	enum framing framing = (enum framing)head_query(script->head, "how", FRAMING_LENGTH);
	uint64_t bytes = head_query(script->head, "bytes", 0);
	size_t step = (size_t)head_query(script->head, "step", 0);
	struct body_out out;
	struct transfer transfer = {.out = &out, .records = {&step, step > 0}, .moved = moved(script)};

	uint64_t empty = head_query(script->head, "empty", 0);
	bool half = head_query(script->head, "half", 0) == 1;

	if ((empty > 0 || half) && script->peer->ssl) {
		serve_records(script, bytes, empty, half);
		report(script, NULL);
		return false;
	}
	body_out_init(&out, framing, script->seed + 1, bytes);
	if (!send_answer_head(script, framing, bytes))
		return false;
	bool whole = serve_middle(script, &out) &&
		     transfer_by(script->peer, &transfer, script->deadline_ms) == 0 &&
		     transfer.out_error == 0;
	report(script, NULL);
	return whole && framing != FRAMING_RAW && !head_has(script->head, "Connection", "close");
}

/* ---- logs ---- */

static bool serve_log(const struct script *script)
{
	uint64_t lines = head_query(script->head, "lines", 0);
	unsigned gap_ms = (unsigned)head_query(script->head, "gap", 300);
	char line[ENGINE_LINE_BYTES + 1];

	if (!send_answer_head(script, FRAMING_CHUNKED, 0))
		return false;
	for (uint64_t i = 0; i < lines; i++) {
		clock_sleep_ms(gap_ms);
		snprintf(line, sizeof(line), "%020" PRIu64 " line %04" PRIu64 " %0*d", clock_now_us(), i,
			 ENGINE_LINE_BYTES - 32, 0);
		line[ENGINE_LINE_BYTES - 1] = '\n';
		line[ENGINE_LINE_BYTES] = '\0';
		if (!say(script, "%x\r\n%s\r\n", ENGINE_LINE_BYTES, line))
			return false;
	}
	(void)say(script, "0\r\n\r\n");
	return false;
}

/* ---- tunnels ---- */

static void serve_echo(const struct script *script)
{
	char data[4096];
	ssize_t n;

	while ((n = peer_get_by(script->peer, data, sizeof(data), script->deadline_ms)) > 0)
		if (peer_put_by(script->peer, data, (size_t)n, PEER_RECORD_MAX_BYTES, script->deadline_ms) <
		    0)
			break;
	(void)peer_end_by(script->peer, script->deadline_ms);
	report(script, NULL);
}

static bool serve_tunnel(const struct script *script)
{
	const struct head *head = script->head;
	uint64_t after = head_query(head, "after", 0);
	size_t step = (size_t)head_query(head, "step", 0);
	struct body_in in;
	struct body_out out;
	struct transfer transfer = {.out = &out,
				    .records = {&step, step > 0},
				    .end_out = head_query(head, "end", 0) == 1,
				    .in = &in,
				    .until_end = true,
				    .moved = moved(script)};
	bool legacy = head_query(head, "legacy", 0) == 1;
	const char *answer = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
			     "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

	if (legacy)
		answer = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n";
	if ((!legacy && !head_has(head, "Upgrade", "tcp")) || !say(script, "%s", answer))
		return false;
	if (head_query(head, "echo", 0) == 1) {
		serve_echo(script);
		return false;
	}
	if (head_query(head, "deaf", 0) == 1)
		(void)shutdown(script->peer->fd, SHUT_RD);
	uint64_t stall = head_query(head, "stall", 0);
	if (stall == 2)
		(void)peer_end_by(script->peer, script->deadline_ms);
	if (stall > 0 && script->result)
		engine_stall(script->engine, script->result, script->deadline_ms);
	if (head_query(head, "reset", 0) == 1) {
		const struct linger reset = {.l_onoff = 1, .l_linger = 0};
		(void)setsockopt(script->peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		return false;
	}
	body_in_init(&in, FRAMING_RAW, script->seed, head_query(head, "want", 0));
	body_out_init(&out, FRAMING_RAW, script->seed + 1, head_query(head, "bytes", 0));
	(void)transfer_by(script->peer, &transfer, script->deadline_ms);
	if (after > 0) {
		struct body_out rest;
		struct transfer last = {.out = &rest, .end_out = true};
		body_out_init(&rest, FRAMING_RAW, script->seed + 2, after);
		(void)transfer_by(script->peer, &last, script->deadline_ms);
	} else if (!transfer.end_out) {
		(void)peer_end_by(script->peer, script->deadline_ms);
	}
	report(script, &in);
	return false;
}

bool engine_serve(struct engine *engine, struct peer *peer, const struct head *head, bool *parked)
{
	uint64_t id = head_query(head, "id", 0);
	const struct script script = {.engine = engine,
				      .peer = peer,
				      .head = head,
				      .result = id ? engine_result(engine, id) : NULL,
				      .deadline_ms = clock_now_ms() + ENGINE_PATIENCE_MS,
				      .seed = head_query(head, "seed", 0)};

	if (head_line_has(head, "/attach"))
		return serve_tunnel(&script);
	if (head_line_has(head, "/images/load") || head_line_has(head, "/archive") ||
	    head_line_has(head, "/containers/create"))
		return serve_upload(&script);
	if (head_line_has(head, "/containers/idle/logs")) {
		*parked = send_answer_head(&script, FRAMING_RAW, 0);
		if (*parked)
			engine_park(engine, peer);
		return false;
	}
	if (head_line_has(head, "/logs"))
		return serve_log(&script);
	return serve_download(&script);
}
