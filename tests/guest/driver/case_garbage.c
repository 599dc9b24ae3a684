/* SPDX-License-Identifier: MIT */
/*
 * case_garbage.c: what is no TLS, behind a handshake that was. headgate closes at once, gives the engine no
 * end that looks like one, and burns no CPU.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "record.h"
#include "run.h"

enum garbage {
	GARBAGE_RANDOM,
	GARBAGE_BAD_TAG,
	GARBAGE_OVERSIZED,   /* a length that no record may have */
	GARBAGE_TOO_SHORT,   /* a record with no room for its tag */
	GARBAGE_PLAIN_ALERT, /* unencrypted, which only a handshake may have */
	GARBAGE_COUNT,
};

static const char *const garbage_names[] = {"random", "bad-tag", "oversized", "too-short", "plain-alert"};

enum state {
	STATE_IDLE,   /* no request yet */
	STATE_HEAD,   /* half a head is there */
	STATE_UPLOAD, /* half a body */
	STATE_TUNNEL,
	STATE_DOWNLOAD, /* an answer is on its way, and the client does not read */
	STATE_COUNT,
};

static const char *const state_names[] = {"idle", "head", "upload", "tunnel", "download"};

#define BODY_BYTES 30000

static size_t make_garbage(enum garbage kind, struct record_writer *writer, unsigned char *out, size_t cap)
{
	static const unsigned char alert[] = {RECORD_ALERT, 3, 3, 0, 2, 2, 80};
	unsigned char data[1000];
	/* Kernels look at a record once its nonce is there, too: something has to follow a short one. */
	const size_t tail_len = 32;
	size_t len = 0;

	pattern_fill(99, 0, data, sizeof(data));
	switch (kind) {
	case GARBAGE_RANDOM:
		len = sizeof(data);
		memcpy(out, data, len);
		out[0] = 0x61; /* no record's type by chance */
		break;
	case GARBAGE_BAD_TAG:
		len = record_seal(writer, RECORD_DATA, data, sizeof(data), 0, out, cap);
		out[len - 1] ^= 1;
		break;
	case GARBAGE_OVERSIZED:
		memcpy(out, "\x17\x03\x03\xff\xff", 5);
		memcpy(out + 5, data, sizeof(data));
		len = 5 + sizeof(data);
		break;
	case GARBAGE_TOO_SHORT:
		memcpy(out, "\x17\x03\x03\x00\x05", 5);
		memcpy(out + 5, data, 5 + tail_len);
		len = 10 + tail_len;
		break;
	case GARBAGE_PLAIN_ALERT:
		memcpy(out, alert, sizeof(alert));
		memcpy(out + sizeof(alert), data, tail_len);
		len = sizeof(alert) + tail_len;
		break;
	case GARBAGE_COUNT:
		break;
	}
	return len;
}

static size_t write_request(enum state state, uint64_t id, char *out, size_t cap)
{
	char request[200], fields[100] = "";

	switch (state) {
	case STATE_UPLOAD:
		snprintf(request, sizeof(request), "POST /images/load?id=%" PRIu64 "&seed=%" PRIu64, id, id);
		snprintf(fields, sizeof(fields), "Content-Length: %d\r\n", 2 * BODY_BYTES);
		break;
	case STATE_TUNNEL:
		snprintf(request, sizeof(request),
			 "POST /containers/x/attach?id=%" PRIu64 "&seed=%" PRIu64 "&want=%d", id, id,
			 BODY_BYTES);
		snprintf(fields, sizeof(fields),
			 "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n");
		break;
	case STATE_DOWNLOAD:
		snprintf(request, sizeof(request), "GET /images/get?id=%" PRIu64 "&bytes=%llu", id,
			 (unsigned long long)(16 * MIB));
		break;
	default:
		snprintf(request, sizeof(request), "GET /version");
		break;
	}
	return run_write_head(out, cap, request, fields);
}

/* Brings the connection into that state. */
static bool enter(struct run *run, struct peer *client, struct record_writer *writer, enum state state,
		  uint64_t id)
{
	char text[2048], data[BODY_BYTES];
	struct head head;
	int result = 0;
	size_t len = write_request(state, id, text, sizeof(text));

	if (state == STATE_IDLE)
		return true;
	if (state == STATE_HEAD)
		len /= 2;
	result = record_send_by(writer, client, RECORD_DATA, text, len, 0, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0, "cannot send: %s", strerror(-result)))
		return false;
	if ((state == STATE_TUNNEL && !run_answer(run, client, &head, 101)) ||
	    (state == STATE_DOWNLOAD && !run_answer(run, client, &head, 200)))
		return false;
	if (state != STATE_UPLOAD && state != STATE_TUNNEL)
		return true;
	pattern_fill(id, 0, data, sizeof(data));
	for (size_t done = 0; result == 0 && done < sizeof(data); done += sizeof(data) / 3)
		result = record_send_by(writer, client, RECORD_DATA, data + done, sizeof(data) / 3, 0,
					run_deadline(run, PROMPTLY_MS));
	return run_expect(run, result == 0, "cannot send: %s", strerror(-result));
}

static void garbage(struct run *run)
{
	enum garbage kind = run->test->variant % GARBAGE_COUNT;
	enum state state = run->test->variant / GARBAGE_COUNT;
	uint64_t id = run_new_id(run);
	unsigned char out[2048];
	struct record_writer writer;
	struct engine_result got;
	struct peer *client = run_client(run, state == STATE_DOWNLOAD ? 65536 : 0);

	if (!client || !run_expect(run, record_init(&writer, client) == 0, "no keys") ||
	    !enter(run, client, &writer, state, id))
		return;
	size_t len = make_garbage(kind, &writer, out, sizeof(out));
	int result = peer_put_raw_by(client, out, len, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0, "cannot send: %s", strerror(-result)))
		return;
	if (state == STATE_DOWNLOAD) {
		/* While the client does not read: headgate may see it only later, but must not spin. */
		struct run_load load = run_load_begin(run);
		clock_sleep_ms(200);
		if (!run_load_end(run, load, 10, "garbage beside a stalled download"))
			return;
		enum ending ending = peer_drain_by(client, NULL, run_deadline(run, LONG_MS));
		run_expect(run, ending != ENDING_NONE, "neither does the answer end nor the connection");
		return;
	}
	if (!run_closes(run, client, garbage_names[kind]))
		return;
	/* Said, and not only done (RFC 8446 5.2). */
	if (kind == GARBAGE_BAD_TAG && !run_expect(run, client->alert == SSL_AD_BAD_RECORD_MAC,
						   "alert %d came, not bad_record_mac", client->alert))
		return;
	if (state != STATE_UPLOAD && state != STATE_TUNNEL)
		return;
	if (run_expect(run, engine_wait(run->engine, id, &got, run_deadline(run, PROMPTLY_MS)),
		       "the engine does not learn of it") &&
	    run_expect(run, !got.in_bad, "something of the garbage reached the engine"))
		run_expect(run, state != STATE_UPLOAD || !got.in_whole,
			   "the engine took the upload as complete");
}

/* By records of the case's own, which `writer` goes on to seal. */
static bool open_tunnel(struct run *run, struct peer *client, struct record_writer *writer,
			const char *request)
{
	char text[2048];
	struct head head;

	if (!run_expect(run, record_init(writer, client) == 0, "no keys"))
		return false;
	size_t len = run_write_head(text, sizeof(text), request,
				    "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n");
	int result =
	    record_send_by(writer, client, RECORD_DATA, text, len, 0, run_deadline(run, PROMPTLY_MS));
	return run_expect(run, result == 0, "cannot send") && run_answer(run, client, &head, 101);
}

/* While headgate writes: whichever call meets the broken record's error, the log says what it was. */
static void garbage_beside_output(struct run *run)
{
	enum garbage kind = run->test->variant;
	uint64_t id = run_new_id(run);
	char text[2048], request[200];
	unsigned char out[2048];
	struct record_writer writer;
	struct peer *client = run_client(run, 0);

	snprintf(request, sizeof(request),
		 "POST /containers/x/attach?id=%" PRIu64 "&seed=%" PRIu64 "&want=1&bytes=%" PRIu64, id, id,
		 64 * MIB);
	if (!client || !open_tunnel(run, client, &writer, request))
		return;
	int result = 0;
	for (unsigned i = 0; i < 20 && result == 0; i++) { /* some of the output, so that it is on its way */
		ssize_t n = peer_get_by(client, text, sizeof(text), run_deadline(run, PROMPTLY_MS));
		result = n < 0 ? (int)n : 0;
	}
	size_t len = make_garbage(kind, &writer, out, sizeof(out));
	if (!run_expect(run, result == 0, "no output: %s", strerror(-result)) ||
	    !run_expect(run, peer_put_raw_by(client, out, len, run_deadline(run, PROMPTLY_MS)) == 0,
			"cannot send"))
		return;
	enum ending ending = peer_drain_by(client, NULL, run_deadline(run, LONG_MS));
	if (run_expect(run, ending != ENDING_NONE && ending != ENDING_CLEAN, "the ending is: %s",
		       ending_name(ending)) &&
	    run->driver->carried == CARRIED_KERNEL)
		run_logged(run, kind == GARBAGE_BAD_TAG	    ? "a record was forged or damaged"
				: kind == GARBAGE_OVERSIZED ? "a record is too long"
							    : "this is not TLS");
}

/* Behind the client's close_notify headgate reads no more; the kernel looks at it, and the log says what it
 * was. */
static void garbage_behind_end(struct run *run)
{
	static const unsigned char close_notify[] = {1, 0};
	uint64_t id = run_new_id(run);
	char request[200];
	unsigned char out[2048];
	struct record_writer writer;
	struct peer *client = run_client(run, 0);

	snprintf(request, sizeof(request), "POST /containers/x/attach?id=%" PRIu64 "&stall=1", id);
	if (!client || !open_tunnel(run, client, &writer, request))
		return;
	int result = record_send_by(&writer, client, RECORD_ALERT, close_notify, sizeof(close_notify), 0,
				    run_deadline(run, PROMPTLY_MS));
	size_t len = make_garbage(GARBAGE_OVERSIZED, &writer, out, sizeof(out));
	if (result == 0)
		result = peer_put_raw_by(client, out, len, run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "cannot send: %s", strerror(-result)) &&
	    run->driver->carried == CARRIED_KERNEL && run_closes(run, client, "garbage behind the end"))
		run_logged(run, "a record is too long");
	engine_go(run->engine, id);
}

void cases_garbage(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, 2, SUITE_TLS12_AES128};
	struct test beside = {.suite = SUITE_TLS13_AES128, .run = garbage_beside_output};

	for (unsigned kind = 0; kind <= GARBAGE_OVERSIZED; kind++) {
		beside.variant = kind;
		test_add(list, beside, "garbage-%s-beside-output/%s", garbage_names[kind],
			 run_suites[beside.suite].name);
	}

	beside.run = garbage_behind_end;
	test_add(list, beside, "garbage-behind-end/%s", run_suites[beside.suite].name);

	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		for (unsigned state = 0; state < STATE_COUNT; state++) {
			for (unsigned kind = 0; kind < GARBAGE_COUNT; kind++) {
				struct test test = {.suite = suites[i],
						    .variant = state * GARBAGE_COUNT + kind,
						    .run = garbage};
				/* ChaCha20 has a code path of its own only for tags. */
				if (i == 1 && kind != GARBAGE_BAD_TAG)
					continue;
				test.core = i == 0 && (state == STATE_TUNNEL || state == STATE_IDLE) &&
					    kind <= GARBAGE_OVERSIZED;
				test_add(list, test, "garbage-%s-%s/%s", garbage_names[kind],
					 state_names[state], run_suites[suites[i]].name);
			}
		}
	}
}
