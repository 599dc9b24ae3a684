/* SPDX-License-Identifier: MIT */
/*
 * case_tunnel.c: half-close each way, first bytes, and small bytes back and forth: what exec and attach are
 * made of.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "run.h"

#define PINGS	    20
#define EARLY_BYTES 5000

/* The client has no input at all (`docker run` without -i): close_notify behind the 101, the output follows.
 */
static void client_ends_first(struct run *run)
{
	uint64_t id = run_new_id(run), up = run->test->variant, down = run->test->bytes;
	struct peer *client = run_client(run, 0);
	char query[200];
	struct body_out out;
	struct body_in in;
	struct transfer last = {.out = &out, .end_out = true};
	struct transfer rest = {.in = &in, .until_end = true};

	if (!client)
		return;
	snprintf(query, sizeof(query), "id=%" PRIu64 "&seed=%" PRIu64 "&want=%" PRIu64 "&after=%" PRIu64, id,
		 id, up, down);
	if (!run_tunnel(run, client, query))
		return;
	body_out_init(&out, FRAMING_RAW, id, up);
	body_in_init(&in, FRAMING_RAW, id + 2, down);
	int result = transfer_by(client, &last, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0 && last.out_error == 0, "cannot send: %s, %s", strerror(-result),
			strerror(-last.out_error)))
		return;
	result = transfer_by(client, &rest, run_deadline(run, LONG_MS));
	if (!run_expect(run, result == 0 && body_in_is_whole(&in) && client->ending == ENDING_CLEAN,
			"after the client's end %" PRIu64 " of %" PRIu64 " bytes came: %s, %s", in.done_bytes,
			down, strerror(-result), ending_name(client->ending)) ||
	    !run_engine_got(run, id, up, ENDING_CLEAN))
		return;
	run_carried(run, client, up, down, false);
}

/* The engine's output ends (close_notify to the client), the client's input goes on for a while. */
static void engine_ends_first(struct run *run)
{
	uint64_t id = run_new_id(run), up = run->test->bytes, down = run->test->variant;
	struct peer *client = run_client(run, 0);
	char query[200];
	struct body_out out;
	struct body_in in;
	struct transfer first = {.in = &in, .until_end = true};
	struct transfer rest = {.out = &out, .end_out = true};

	if (!client)
		return;
	snprintf(query, sizeof(query),
		 "id=%" PRIu64 "&seed=%" PRIu64 "&want=%" PRIu64 "&bytes=%" PRIu64 "&end=1", id, id, up,
		 down);
	if (!run_tunnel(run, client, query))
		return;
	body_out_init(&out, FRAMING_RAW, id, up);
	body_in_init(&in, FRAMING_RAW, id + 1, down);
	int result = transfer_by(client, &first, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0 && body_in_is_whole(&in) && client->ending == ENDING_CLEAN,
			"%" PRIu64 " of %" PRIu64 " bytes came: %s, %s", in.done_bytes, down,
			strerror(-result), ending_name(client->ending)))
		return;
	result = transfer_by(client, &rest, run_deadline(run, LONG_MS));
	if (!run_expect(run, result == 0 && rest.out_error == 0, "after the engine's end: %s, %s",
			strerror(-result), strerror(-rest.out_error)) ||
	    !run_engine_got(run, id, up, ENDING_CLEAN))
		return;
	run_carried(run, client, up, down, false);
}

/* Tunnel bytes in the head's own record: held until the 101, then the first to leave. */
static void early_bytes(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = run_client(run, 0);
	char request[200], text[2048 + EARLY_BYTES];
	struct head head;

	if (!client)
		return;
	snprintf(request, sizeof(request),
		 "POST /containers/x/attach?id=%" PRIu64 "&seed=%" PRIu64 "&want=%d", id, id,
		 2 * EARLY_BYTES);
	size_t len = run_write_head(text, sizeof(text), request,
				    "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n");
	pattern_fill(id, 0, text + len, EARLY_BYTES);
	int result = peer_put_by(client, text, len + EARLY_BYTES, PEER_RECORD_MAX_BYTES,
				 run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0, "cannot send: %s", strerror(-result)) ||
	    !run_answer(run, client, &head, 101))
		return;
	pattern_fill(id, EARLY_BYTES, text, EARLY_BYTES);
	result =
	    peer_put_by(client, text, EARLY_BYTES, PEER_RECORD_MAX_BYTES, run_deadline(run, PROMPTLY_MS));
	if (result == 0)
		result = peer_end_by(client, run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "cannot send: %s", strerror(-result)) &&
	    run_engine_got(run, id, 2 * EARLY_BYTES, ENDING_CLEAN))
		run_closes(run, client, "both ends");
}

/* Keystrokes: each comes back before the next is sent. */
static void interactive(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = run_client(run, 0);
	char query[100], sent[64], back[64];

	if (!client)
		return;
	snprintf(query, sizeof(query), "id=%" PRIu64 "&echo=1", id);
	if (!run_tunnel(run, client, query))
		return;
	for (unsigned i = 0; i < PINGS; i++) {
		size_t len = 1 + i * 3;
		pattern_fill(id, i * 64, sent, len);
		uint64_t start_ms = clock_now_ms();
		int result =
		    peer_put_by(client, sent, len, PEER_RECORD_MAX_BYTES, run_deadline(run, PROMPTLY_MS));
		if (result == 0)
			result = peer_get_all_by(client, back, len, run_deadline(run, PROMPTLY_MS));
		uint64_t took_ms = clock_now_ms() - start_ms;
		if (!run_expect(run, result == 0 && memcmp(sent, back, len) == 0, "echo %u: %s", i,
				strerror(-result)) ||
		    !run_expect(run, took_ms <= run_stretch_ms(run, 200), "echo %u took %" PRIu64 " ms", i,
				took_ms))
			return;
	}
	int result = peer_end_by(client, run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "cannot end: %s", strerror(-result)))
		run_closes(run, client, "the client's end");
}

void cases_tunnel(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, SUITE_TLS12_AES128, 2 /* ChaCha20 */};
	static const struct {
		enum leg_kind leg;
		const char *name;
	} legs[] = {
	    {LEG_UNIX, "unix"}, {LEG_TCP, "tcp"}, {LEG_TLS13, "engine-tls13"}, {LEG_TLS12, "engine-tls12"}};

	for (size_t i = 0; i < ARRAY_SIZE(suites) * ARRAY_SIZE(legs); i++) {
		unsigned suite = suites[i % ARRAY_SIZE(suites)];
		size_t leg = i / ARRAY_SIZE(suites);
		const char *name = run_suites[suite].name;
		struct test test = {.suite = suite,
				    .leg = legs[leg].leg,
				    .bytes = MIB,
				    .core = suite == SUITE_TLS13_AES128 && legs[leg].leg != LEG_TCP,
				    .run = client_ends_first};
		if (leg > 0 && suite == 2)
			continue;
		test_add(list, test, "half-close-client/%s/%s", name, legs[leg].name);
		test.run = engine_ends_first;
		test_add(list, test, "half-close-engine/%s/%s", name, legs[leg].name);
		test.core = false;
		test.variant = 1000;
		test_add(list, test, "half-close-engine-1000/%s/%s", name, legs[leg].name);
		test.run = client_ends_first;
		test_add(list, test, "half-close-client-1000/%s/%s", name, legs[leg].name);
		test.run = interactive;
		test.core = suite == SUITE_TLS13_AES128 && leg == 0;
		test_add(list, test, "tunnel-interactive/%s/%s", name, legs[leg].name);
		test.core = false;
		test.run = early_bytes;
		test_add(list, test, "tunnel-early-bytes/%s/%s", name, legs[leg].name);
	}
}
