/* SPDX-License-Identifier: MIT */
/*
 * case_cut.c: connections that end as they should not: FIN without close_notify, reset, fatal alert. What was
 * cut is never taken as complete, is logged, and nothing hangs or spins.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "record.h"
#include "run.h"

enum how {
	HOW_FIN,
	HOW_RESET,
	HOW_ALERT, /* a fatal one, in a record of its own, encrypted */
};

static const char *const how_names[] = {"fin", "rst", "alert"};

/* Cuts the client's side; afterwards *client is NULL where no socket is left. */
static bool cut(struct run *run, struct peer **client, struct record_writer *writer)
{
	static const unsigned char internal_error[] = {2, 80};
	int result = 0;

	switch ((enum how)run->test->variant) {
	case HOW_FIN:
		result = shutdown((*client)->fd, SHUT_WR);
		break;
	case HOW_RESET:
		run_forget(run, *client);
		peer_reset(*client);
		*client = NULL;
		break;
	case HOW_ALERT:
		result = record_send_by(writer, *client, RECORD_ALERT, internal_error, sizeof(internal_error),
					0, run_deadline(run, PROMPTLY_MS));
		break;
	}
	return run_expect(run, result == 0, "cannot cut the connection");
}

/* A head, and all else, by the record writer; the first argument of each case below. */
static bool ask(struct run *run, struct peer *client, struct record_writer *writer, const char *request,
		const char *fields)
{
	char text[2048];
	size_t len = run_write_head(text, sizeof(text), request, fields);
	int result = record_init(writer, client);

	if (result == 0)
		result =
		    record_send_by(writer, client, RECORD_DATA, text, len, 0, run_deadline(run, PROMPTLY_MS));
	return run_expect(run, result == 0, "cannot send the head: %s", strerror(-result));
}

static bool send_pattern(struct run *run, struct peer *client, struct record_writer *writer, uint64_t seed,
			 size_t len)
{
	char data[PEER_RECORD_MAX_BYTES];

	for (size_t done = 0; done < len; done += sizeof(data)) {
		size_t n = len - done < sizeof(data) ? len - done : sizeof(data);
		pattern_fill(seed, done, data, n);
		int result =
		    record_send_by(writer, client, RECORD_DATA, data, n, 0, run_deadline(run, PROMPTLY_MS));
		if (!run_expect(run, result == 0, "cannot send: %s", strerror(-result)))
			return false;
	}
	return true;
}

/* In the middle of an upload: the engine must not take it for the whole. */
static void cut_upload(struct run *run)
{
	const uint64_t half = 40000;
	uint64_t id = run_new_id(run);
	bool chunked = run->test->framing == FRAMING_CHUNKED;
	struct record_writer writer;
	struct engine_result result;
	struct peer *client = run_client(run, 0);
	char request[200], fields[64] = "Transfer-Encoding: chunked\r\n", size[16];

	if (!client)
		return;
	snprintf(request, sizeof(request), "POST /images/load?id=%" PRIu64 "&seed=%" PRIu64 "&want=%" PRIu64,
		 id, id, 2 * half);
	if (!chunked)
		snprintf(fields, sizeof(fields), "Content-Length: %" PRIu64 "\r\n", 2 * half);
	if (!ask(run, client, &writer, request, fields))
		return;
	int len = snprintf(size, sizeof(size), "%" PRIx64 "\r\n", half);
	if (chunked && !run_expect(run,
				   record_send_by(&writer, client, RECORD_DATA, size, (size_t)len, 0,
						  run_deadline(run, PROMPTLY_MS)) == 0,
				   "cannot send"))
		return;
	if (!send_pattern(run, client, &writer, id, half))
		return;
	/* All of it is at the engine before the cut, so that only the cut itself is judged. */
	uint64_t deadline_ms = run_deadline(run, PROMPTLY_MS);
	while (engine_moved(run->engine, id) < half && clock_now_ms() < deadline_ms)
		clock_sleep_ms(2);
	if (!cut(run, &client, &writer))
		return;
	bool done = engine_wait(run->engine, id, &result, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, done, "the engine still waits for the rest") ||
	    !run_expect(run, !result.in_whole, "the engine took the cut upload as complete") ||
	    !run_expect(run, result.in_bytes <= half && !result.in_bad, "the engine got other bytes") ||
	    (client && !run_closes(run, client, "the cut upload")))
		return;
	if (run->test->variant == HOW_FIN && run_logged(run, "client-truncated"))
		run_counts_truncation(run);
}

/* While a download runs that is longer than all buffers: it goes on, or ends, and is not waited for. */
static void cut_download(struct run *run)
{
	uint64_t id = run_new_id(run), bytes = 6 * MIB;
	struct record_writer writer;
	struct engine_result result;
	struct peer *client = run_client(run, 65536);
	struct head head;
	char request[200];

	if (!client)
		return;
	snprintf(request, sizeof(request),
		 "GET /images/get?id=%" PRIu64 "&seed=%" PRIu64 "&bytes=%" PRIu64 "&how=%d", id, id, bytes,
		 (int)run->test->framing);
	if (!ask(run, client, &writer, request, NULL) || !run_answer(run, client, &head, 200) ||
	    !cut(run, &client, &writer))
		return;
	if (client) {
		enum ending ending = peer_drain_by(client, NULL, run_deadline(run, LONG_MS));
		if (!run_expect(run, ending != ENDING_NONE, "neither does the answer end nor the connection"))
			return;
	}
	if (!run_expect(run, engine_wait(run->engine, id, &result, run_deadline(run, LONG_MS)),
			"the engine still sends"))
		return;
	if (run->test->variant == HOW_FIN && run_logged(run, "client-truncated"))
		run_counts_truncation(run);
}

/* In a tunnel. After FIN the engine's output may still come, or not; but the engine learns of it. */
static void cut_tunnel(struct run *run)
{
	const size_t bytes = 20000;
	uint64_t id = run_new_id(run);
	struct record_writer writer;
	struct engine_result result;
	struct peer *client = run_client(run, 0);
	struct head head;
	char request[200];

	if (!client)
		return;
	snprintf(request, sizeof(request),
		 "POST /containers/x/attach?id=%" PRIu64 "&seed=%" PRIu64 "&want=%zu", id, id, bytes);
	if (!ask(run, client, &writer, request,
		 "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n") ||
	    !run_answer(run, client, &head, 101) || !send_pattern(run, client, &writer, id, bytes))
		return;
	uint64_t deadline_ms = run_deadline(run, PROMPTLY_MS);
	while (engine_moved(run->engine, id) < bytes && clock_now_ms() < deadline_ms)
		clock_sleep_ms(2);
	if (!cut(run, &client, &writer) ||
	    !run_expect(run, engine_wait(run->engine, id, &result, run_deadline(run, PROMPTLY_MS)),
			"the engine does not learn of the client's end") ||
	    !run_expect(run, result.in_bytes == bytes && !result.in_bad,
			"%" PRIu64 " bytes reached the engine of %zu sent before the cut", result.in_bytes,
			bytes) ||
	    (client && !run_closes(run, client, "the cut tunnel")))
		return;
	if (run->test->variant == HOW_FIN && run_logged(run, "client-truncated"))
		run_counts_truncation(run);
}

/* On a connection that waits for a request, and for the rest of one. */
static void cut_head(struct run *run)
{
	static const char text[] = "GET /version HTTP/1.1\r\nHo";
	struct record_writer writer;
	struct peer *client = run_client(run, 0);

	if (!client)
		return;
	int result = record_init(&writer, client);
	if (result == 0 && run->test->bytes > 0)
		result = record_send_by(&writer, client, RECORD_DATA, text, strlen(text), 0,
					run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "cannot send: %s", strerror(-result)) &&
	    cut(run, &client, &writer) && client && run_closes(run, client, "the cut head") &&
	    run->test->variant == HOW_FIN && run->test->bytes > 0)
		run_counts_truncation(run);
}

void cases_cut(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, SUITE_TLS12_AES128};

	for (size_t i = 0; i < ARRAY_SIZE(suites) * ARRAY_SIZE(how_names); i++) {
		unsigned suite = suites[i % ARRAY_SIZE(suites)], how = (unsigned)(i / ARRAY_SIZE(suites));
		const char *name = run_suites[suite].name, *how_name = how_names[how];
		struct test test = {.suite = suite, .variant = how, .core = suite == SUITE_TLS13_AES128};
		test.run = cut_upload;
		test_add(list, test, "%s-upload-length/%s", how_name, name);
		test.framing = FRAMING_CHUNKED;
		test_add(list, test, "%s-upload-chunked/%s", how_name, name);
		test.run = cut_tunnel;
		test_add(list, test, "%s-tunnel/%s", how_name, name);
		test.core = false;
		test.run = cut_download;
		test_add(list, test, "%s-download-chunked/%s", how_name, name);
		test.framing = FRAMING_LENGTH;
		test_add(list, test, "%s-download-length/%s", how_name, name);
		test.run = cut_head;
		test_add(list, test, "%s-idle/%s", how_name, name);
		test.bytes = 1;
		test_add(list, test, "%s-head/%s", how_name, name);
		test.bytes = 0;
		test.leg = LEG_TLS13;
		test.run = cut_tunnel;
		test_add(list, test, "%s-tunnel/%s/engine-tls13", how_name, name);
		test.run = cut_upload;
		test_add(list, test, "%s-upload-length/%s/engine-tls13", how_name, name);
	}
}
