/* SPDX-License-Identifier: MIT */
/*
 * case_stall.c: one side stands still. The other is held up, memory stays bounded, no CPU is used, and when
 * it goes on everything arrives. And the opposite: what came is passed on at once, never kept for more.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "record.h"
#include "run.h"

/* Long for one engine, short for the others and for the variants. */
#define STALL_MS	  2000
#define STALL_SHORT_MS	  700
#define SETTLE_MS	  200
#define SETTLE_MAX_MS	  700
#define STALL_CPU_PERCENT 5
#define RSS_GROWTH_BYTES  (8 * MIB)

/* More of them than a pool keeps pipes; a pipe is two descriptors, and a worker has one for itself. */
#define DEAF_TUNNELS   48
#define DEAF_PIPES_MAX 66

/* More than all buffers on the way hold; TCP's own grow to 4 and 6 MiB. */
static uint64_t stall_bytes(const struct run *run)
{
	return (run->test->leg == LEG_UNIX ? 32 : 64) * MIB / run->driver->scale;
}

static unsigned stall_ms(const struct run *run)
{
	return run->test->core ? STALL_MS : STALL_SHORT_MS;
}

/* How long nothing must have moved before that is called a stall. */
static uint64_t settle_ms(const struct run *run)
{
	uint64_t ms = run_stretch_ms(run, SETTLE_MS);

	return ms < SETTLE_MAX_MS ? ms : SETTLE_MAX_MS;
}

/* Watches headgate while nothing can move. */
static bool watch_stall(struct run *run, uint64_t rss_before, const char *who)
{
	struct run_load load = run_load_begin(run);

	clock_sleep_ms(stall_ms(run));
	uint64_t rss = gate_rss_bytes(run->gate);
	return run_load_end(run, load, STALL_CPU_PERCENT, who) &&
	       run_expect(run, gate_is_sanitized(run->gate) || rss < rss_before + RSS_GROWTH_BYTES,
			  "%s: headgate's memory grew by %" PRIu64 " KiB", who, (rss - rss_before) / KIB);
}

/* Waits until the engine's writing has come to a stand. */
static bool engine_is_held_up(struct run *run, uint64_t id)
{
	uint64_t moved, since_ms = clock_now_ms(), deadline_ms = run_deadline(run, LONG_MS);

	do {
		moved = engine_moved(run->engine, id);
		clock_sleep_ms(20);
		if (engine_moved(run->engine, id) != moved)
			since_ms = clock_now_ms();
		if (!run_expect(run, clock_now_ms() < deadline_ms, "the engine is not held up"))
			return false;
	} while (clock_now_ms() - since_ms < settle_ms(run));
	return true;
}

/* The client's close_notify and FIN: it sends nothing more, and may still read. */
static bool end_input(struct run *run, struct peer *client)
{
	int result = peer_end_by(client, run_deadline(run, PROMPTLY_MS));

	if (result == 0 && shutdown(client->fd, SHUT_WR) < 0)
		result = -errno;
	return run_expect(run, result == 0, "cannot end: %s", strerror(-result));
}

/* The client reads nothing for a while. `variant` 1: it has ended its own direction before. */
static void stalled_reader(struct run *run)
{
	uint64_t id = run_new_id(run), bytes = stall_bytes(run);
	struct peer *client = run_client(run, 65536);
	uint64_t rss = gate_rss_bytes(run->gate);
	char request[200];
	struct head head;

	if (!client)
		return;
	snprintf(request, sizeof(request),
		 "GET /images/get?id=%" PRIu64 "&seed=%" PRIu64 "&bytes=%" PRIu64 "&how=%d", id, id, bytes,
		 (int)run->test->framing);
	if (!run_ask(run, client, request, NULL) || !run_answer(run, client, &head, 200) ||
	    (run->test->variant == 1 && !end_input(run, client)) || !engine_is_held_up(run, id) ||
	    !watch_stall(run, rss, "the client stands still"))
		return;
	uint64_t moved = engine_moved(run->engine, id);
	if (run_expect(run, moved < bytes, "the engine was not held up") &&
	    run_body(run, client, &head, id + 1, bytes, true))
		run_carried(run, client, 0, run->test->framing == FRAMING_CHUNKED ? UINT64_MAX : bytes,
			    run->test->framing == FRAMING_LENGTH);
}

/* Sends until nothing moves any more. */
static bool client_is_held_up(struct run *run, struct peer *client, struct transfer *transfer)
{
	uint64_t moved = 0, since_ms = clock_now_ms(), deadline_ms = run_deadline(run, LONG_MS);
	int result;

	do {
		result = transfer_by(client, transfer, clock_now_ms() + 50);
		if (transfer->out->done_bytes != moved)
			since_ms = clock_now_ms();
		moved = transfer->out->done_bytes;
	} while (result == -ETIMEDOUT && clock_now_ms() - since_ms < settle_ms(run) &&
		 clock_now_ms() < deadline_ms);
	return run_expect(run, result == -ETIMEDOUT && moved < transfer->out->total_bytes,
			  "the client is not held up");
}

/* The engine does not read an upload for a while. */
static void stalled_engine(struct run *run)
{
	uint64_t id = run_new_id(run), bytes = stall_bytes(run);
	struct peer *client = run_client(run, 0);
	uint64_t rss = gate_rss_bytes(run->gate);
	struct body_out out;
	struct transfer transfer = {.out = &out};
	char request[200], fields[100] = "Transfer-Encoding: chunked\r\n";
	bool chunked = run->test->framing == FRAMING_CHUNKED;
	struct head head;

	if (!client)
		return;
	snprintf(request, sizeof(request),
		 "POST /images/load?id=%" PRIu64 "&seed=%" PRIu64 "&want=%" PRIu64 "&stall=1", id, id, bytes);
	if (!chunked)
		snprintf(fields, sizeof(fields), "Content-Length: %" PRIu64 "\r\n", bytes);
	if (!run_ask(run, client, request, fields))
		return;
	body_out_init(&out, run->test->framing, id, bytes);
	bool stalled =
	    client_is_held_up(run, client, &transfer) && watch_stall(run, rss, "the engine stands still");
	engine_go(run->engine, id);
	if (!stalled)
		return;
	int result = transfer_by(client, &transfer, run_deadline(run, LONG_MS));
	if (run_expect(run, result == 0 && transfer.out_error == 0, "cannot go on: %s, %s", strerror(-result),
		       strerror(-transfer.out_error)) &&
	    run_answer(run, client, &head, 200) && run_engine_got(run, id, bytes, ENDING_NONE))
		run_carried(run, client, chunked ? UINT64_MAX : bytes, UINT64_MAX, !chunked);
}

/* A tunnel's engine has ended its output, and reads its input later. */
static void stalled_engine_ended(struct run *run)
{
	uint64_t id = run_new_id(run), bytes = stall_bytes(run);
	struct peer *client = run_client(run, 0);
	uint64_t rss = gate_rss_bytes(run->gate);
	struct body_out out;
	struct transfer transfer = {.out = &out, .end_out = true};
	char query[150];

	if (!client)
		return;
	snprintf(query, sizeof(query), "id=%" PRIu64 "&seed=%" PRIu64 "&want=%" PRIu64 "&stall=2", id, id,
		 bytes);
	if (!run_tunnel(run, client, query))
		return;
	enum ending ending = peer_drain_by(client, NULL, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, ending == ENDING_CLEAN, "the engine's end is passed on as: %s",
			ending_name(ending)))
		return;
	body_out_init(&out, FRAMING_RAW, id, bytes);
	bool stalled = client_is_held_up(run, client, &transfer) &&
		       watch_stall(run, rss, "the engine has ended and stands still");
	engine_go(run->engine, id);
	if (!stalled)
		return;
	int result = transfer_by(client, &transfer, run_deadline(run, LONG_MS));
	if (run_expect(run, result == 0 && transfer.out_error == 0, "cannot go on: %s, %s", strerror(-result),
		       strerror(-transfer.out_error)))
		run_engine_got(run, id, bytes, ENDING_CLEAN);
}

/* The engine does not read, and then the client is gone: a reset is not passed on as the input's end. */
static void stalled_engine_client_gone(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = run_client(run, 0);
	struct engine_result result;
	struct body_out out;
	struct transfer transfer = {.out = &out};
	char query[100];

	if (!client)
		return;
	snprintf(query, sizeof(query), "id=%" PRIu64 "&seed=%" PRIu64 "&want=%" PRIu64 "&stall=1", id, id,
		 64 * MIB);
	if (!run_tunnel(run, client, query))
		return;
	body_out_init(&out, FRAMING_RAW, id, 64 * MIB);
	if (!client_is_held_up(run, client, &transfer))
		return;
	run_forget(run, client);
	peer_reset(client);
	clock_sleep_ms((unsigned)run_stretch_ms(run, 30));
	engine_go(run->engine, id);
	if (run_expect(run, engine_wait(run->engine, id, &result, run_deadline(run, LONG_MS)),
		       "the engine does not learn that the client is gone"))
		run_expect(run, result.ending != ENDING_CLEAN,
			   "the engine cannot tell input that was cut from a whole one");
}

/* The engine does not read, and then resets: the client must not take its output for the whole. */
static void stalled_engine_resets(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = run_client(run, 0);
	struct body_out out;
	struct transfer transfer = {.out = &out};
	char query[100];

	if (!client)
		return;
	snprintf(query, sizeof(query), "id=%" PRIu64 "&seed=%" PRIu64 "&stall=1&reset=1", id, id);
	if (!run_tunnel(run, client, query))
		return;
	body_out_init(&out, FRAMING_RAW, id, 64 * MIB);
	if (!client_is_held_up(run, client, &transfer))
		return;
	engine_go(run->engine, id);
	enum ending ending = peer_drain_by(client, NULL, run_deadline(run, PROMPTLY_MS));
	run_expect(run, ending != ENDING_NONE && ending != ENDING_CLEAN,
		   "the engine's reset is passed on as: %s", ending_name(ending));
}

/* Engines that read nothing: what was on its way to them holds no pipes while they are silent. */
static void deaf_engines(struct run *run)
{
	uint64_t first = run->driver->last_id + 1;
	char query[100], data[200] = "";

	if (!run_renew(run))
		return;
	for (unsigned i = 0; i < DEAF_TUNNELS; i++) {
		struct peer *client = run_client(run, 0);
		snprintf(query, sizeof(query), "id=%" PRIu64 "&deaf=1&stall=1", run_new_id(run));
		if (!client || !run_tunnel(run, client, query))
			break;
	}
	clock_sleep_ms((unsigned)run_stretch_ms(run, 20)); /* they are deaf behind their 101 */
	for (unsigned i = 0; i < run->clients_count; i++) {
		int result = peer_put_by(run->clients[i], data, sizeof(data), PEER_RECORD_MAX_BYTES,
					 run_deadline(run, PROMPTLY_MS));
		run_expect(run, result == 0, "cannot send: %s", strerror(-result));
	}
	clock_sleep_ms((unsigned)run_stretch_ms(run, 20));
	struct run_load load = run_load_begin(run);
	clock_sleep_ms(STALL_SHORT_MS);
	run_load_end(run, load, STALL_CPU_PERCENT, "engines that read nothing");
	unsigned pipes = gate_files(run->gate).pipes;
	run_expect(run, pipes <= DEAF_PIPES_MAX, "%u pipes are open while nothing moves", pipes);
	for (uint64_t id = first; id <= run->driver->last_id; id++)
		engine_go(run->engine, id);
}

/* An upload that stands still, and its engine sends what is no TLS: whichever call meets it, it is the end.
 */
static void stalled_engine_breaks(struct run *run)
{
	uint64_t id = run_new_id(run), bytes = stall_bytes(run);
	struct peer *client = run_client(run, 0);
	struct body_out out;
	struct transfer transfer = {.out = &out};
	char request[200], fields[100];
	struct head head = {0};

	if (!client)
		return;
	snprintf(request, sizeof(request),
		 "POST /images/load?id=%" PRIu64 "&seed=%" PRIu64 "&stall=1&garbage=1", id, id);
	snprintf(fields, sizeof(fields), "Content-Length: %" PRIu64 "\r\n", bytes);
	if (!run_ask(run, client, request, fields))
		return;
	body_out_init(&out, FRAMING_LENGTH, id, bytes);
	bool stalled = client_is_held_up(run, client, &transfer);
	engine_go(run->engine, id);
	int result = stalled ? head_read_by(&head, client, run_deadline(run, PROMPTLY_MS)) : -ETIMEDOUT;
	engine_go(run->engine, id);
	if (run_expect(run, result == 0 && head_status(&head) == 502, "status %d: %s", head_status(&head),
		       strerror(-result)) &&
	    run->driver->carried == CARRIED_KERNEL)
		run_logged(run, "this is not TLS");
}

/* Half a record, a while of nothing, the rest. `variant` is how much of it comes first. */
static void half_record(struct run *run)
{
	uint64_t id = run_new_id(run);
	bool tunnel = run->test->framing == FRAMING_RAW;
	struct record_writer writer;
	struct peer *client = run_client(run, 0);
	char request[200], fields[100] = "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n",
			   text[2048], data[16000];
	unsigned char out[PEER_RECORD_MAX_BYTES + RECORD_OVERHEAD_BYTES];
	struct head head;

	if (!client || !run_expect(run, record_init(&writer, client) == 0, "no keys"))
		return;
	snprintf(request, sizeof(request), "POST %s?id=%" PRIu64 "&seed=%" PRIu64 "&want=%zu",
		 tunnel ? "/containers/x/attach" : "/images/load", id, id, 2 * sizeof(data));
	if (!tunnel)
		snprintf(fields, sizeof(fields), "Content-Length: %zu\r\n", 2 * sizeof(data));
	size_t len = run_write_head(text, sizeof(text), request, fields);
	int result =
	    record_send_by(&writer, client, RECORD_DATA, text, len, 0, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0, "cannot send") || (tunnel && !run_answer(run, client, &head, 101)))
		return;
	for (uint64_t i = 0; i < 2; i++) {
		pattern_fill(id, i * sizeof(data), data, sizeof(data));
		len = record_seal(&writer, RECORD_DATA, data, sizeof(data), 0, out, sizeof(out));
		result = peer_put_raw_by(client, out, run->test->variant, run_deadline(run, PROMPTLY_MS));
		clock_sleep_ms(50);
		struct run_load load = run_load_begin(run);
		clock_sleep_ms(i == 0 ? stall_ms(run) - 50 : 50);
		if (!run_load_end(run, load, STALL_CPU_PERCENT, "half a record"))
			return;
		if (result == 0)
			result = peer_put_raw_by(client, out + run->test->variant, len - run->test->variant,
						 run_deadline(run, PROMPTLY_MS));
		if (!run_expect(run, result == 0, "cannot send: %s", strerror(-result)))
			return;
	}
	if (!tunnel) {
		if (run_answer(run, client, &head, 200))
			run_engine_got(run, id, 2 * sizeof(data), ENDING_NONE);
		return;
	}
	uint64_t deadline_ms = run_deadline(run, PROMPTLY_MS);
	while (engine_moved(run->engine, id) < 2 * sizeof(data) && clock_now_ms() < deadline_ms)
		clock_sleep_ms(2);
	run_expect(run, engine_moved(run->engine, id) == 2 * sizeof(data),
		   "the record's rest did not arrive");
}

/* ---- log lines ---- */

#define LINES	    5
#define LINES_SHORT 2
#define GAP_MS	    300

/* A followed log: each line is there long before the next is written. */
static void log_lines(struct run *run)
{
	struct peer *client = run_client(run, 0);
	char request[100], text[ENGINE_LINE_BYTES + 10];
	struct head head;
	/* A slow processor gets more time for a line, and the lines come less often. */
	unsigned limit_ms = (unsigned)(200 * (1 + (run->driver->slowness - 1) / 10));
	unsigned lines = run->test->core ? LINES : LINES_SHORT;
	unsigned gap_ms = limit_ms * GAP_MS / 200;

	if (!client)
		return;
	snprintf(request, sizeof(request), "GET /containers/x/logs?follow=1&lines=%u&gap=%u", lines, gap_ms);
	if (!run_ask(run, client, request, NULL) || !run_answer(run, client, &head, 200))
		return;
	struct run_load load = run_load_begin(run);
	for (unsigned i = 0; i < lines; i++) {
		/* Size line, line, CRLF. */
		size_t len = strlen("3c\r\n") + ENGINE_LINE_BYTES + 2;
		int result = peer_get_all_by(client, text, len, run_deadline(run, PROMPTLY_MS) + gap_ms);
		uint64_t now_us = clock_now_us(), written_us = strtoull(text + 4, NULL, 10);
		text[len] = '\0';
		if (!run_expect(run, result == 0, "line %u: %s", i, strerror(-result)) ||
		    !run_expect(run, strncmp(text, "3c\r\n", 4) == 0, "line %u is '%s'", i, text) ||
		    !run_expect(run, now_us - written_us <= (uint64_t)limit_ms * 1000,
				"line %u took %" PRIu64 " ms", i, (now_us - written_us) / 1000))
			return;
	}
	if (run_load_end(run, load, STALL_CPU_PERCENT, "a slow log"))
		run_closes(run, client, "the log's end");
}

void cases_stall(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, SUITE_TLS12_AES128};
	struct test test = {.run = stalled_reader, .core = true};

	test_add(list, test, "stall-reader-length/unix");
	test.run = stalled_engine;
	test_add(list, test, "stall-engine-length/unix");
	test.run = stalled_engine_ended;
	test_add(list, test, "stall-engine-ended/unix");
	test.run = deaf_engines;
	test_add(list, test, "stall-deaf-engines/unix");
	test.run = log_lines;
	test_add(list, test, "log-lines/unix");
	test.core = false;
	test.leg = LEG_TCP;
	test_add(list, test, "log-lines/tcp");
	test.run = stalled_engine_client_gone;
	test_add(list, test, "stall-engine-client-gone/tcp");
	test.run = stalled_engine_resets;
	test_add(list, test, "stall-engine-resets/tcp");
	test.run = stalled_engine_ended;
	test_add(list, test, "stall-engine-ended/tcp");
	test.run = stalled_reader;
	test_add(list, test, "stall-reader-length/tcp");
	test.leg = LEG_TLS13;
	test_add(list, test, "stall-reader-length/engine-tls13");
	test.run = stalled_engine;
	test_add(list, test, "stall-engine-length/engine-tls13");
	test.run = stalled_engine_breaks;
	test_add(list, test, "stall-engine-garbage/engine-tls13");
	test.run = log_lines;
	test_add(list, test, "log-lines/engine-tls13");
	test.leg = LEG_UNIX;
	test.suite = SUITE_TLS12_AES128;
	test_add(list, test, "log-lines/tls12-aes128");
	test.framing = FRAMING_CHUNKED;
	test.run = stalled_engine;
	test_add(list, test, "stall-engine-chunked/tls12-aes128");
	test.run = stalled_reader;
	test_add(list, test, "stall-reader-chunked/tls12-aes128");
	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		const char *name = run_suites[suites[i]].name;
		test = (struct test){.suite = suites[i], .run = half_record, .variant = 8000, .core = i == 0};
		test_add(list, test, "half-record-upload/%s", name);
		test.run = stalled_reader;
		test.variant = 1;
		test_add(list, test, "stall-reader-ended/%s", name);
		test.run = half_record;
		test.variant = 8000;
		test.core = false;
		test.framing = FRAMING_RAW;
		test_add(list, test, "half-record-tunnel/%s", name);
		test.variant = 3; /* not even the record's header */
		test_add(list, test, "half-header-tunnel/%s", name);
	}
}
