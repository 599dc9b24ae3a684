/* SPDX-License-Identifier: MIT */
/*
 * case_message.c: several requests on one connection. Between two of them TLS state must survive: with kernel
 * TLS the next head comes from the kernel, and bytes read ahead must not be lost on the way.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "run.h"

#define SMALL_BYTES	300
#define ROUNDS		8
#define UPLOAD_BYTES	20000
#define SLOW_HEAD_BYTES 400
#define MANY_ENDS	100

static void small_request(char *out, size_t cap, uint64_t seed, uint64_t bytes)
{
	snprintf(out, cap, "GET /v1.43/containers/json?seed=%" PRIu64 "&bytes=%" PRIu64, seed, bytes);
}

static bool small_answer(struct run *run, struct peer *client, uint64_t seed, uint64_t bytes)
{
	struct head head;

	return run_answer(run, client, &head, 200) && run_body(run, client, &head, seed + 1, bytes, false);
}

/* The client ends an idle connection; headgate does the same, at once. */
static void end_idle(struct run *run, struct peer *client)
{
	int result = peer_end_by(client, run_deadline(run, PROMPTLY_MS));

	if (run_expect(run, result == 0, "cannot send close_notify: %s", strerror(-result)) &&
	    run_closes(run, client, "close_notify on an idle connection"))
		run_expect(run, client->ending == ENDING_CLEAN, "close_notify is answered by: %s",
			   ending_name(client->ending));
}

static void keep_alive(struct run *run)
{
	struct peer *client = run_client(run, 0);
	char request[200];

	for (uint64_t i = 0; client && i < ROUNDS; i++) {
		uint64_t bytes = SMALL_BYTES * (i % 3) * (i % 3) * 40 + i;
		small_request(request, sizeof(request), i, bytes);
		if (!run_ask(run, client, request, NULL) || !small_answer(run, client, i, bytes))
			return;
	}
	if (client && run_carried(run, client, 0, SMALL_BYTES * 40 + ROUNDS - 1, false))
		end_idle(run, client);
}

/* Two heads in one record: the second must not be lost behind the first. */
static void pipelined(struct run *run)
{
	struct peer *client = run_client(run, 0);
	char first[200], second[200], text[2048];

	if (!client)
		return;
	small_request(first, sizeof(first), 1, SMALL_BYTES);
	small_request(second, sizeof(second), 2, SMALL_BYTES + 1);
	size_t len = run_write_head(text, sizeof(text), first, NULL);
	len += run_write_head(text + len, sizeof(text) - len, second, NULL);
	int result = peer_put_by(client, text, len, PEER_RECORD_MAX_BYTES, run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "cannot send: %s", strerror(-result)) &&
	    small_answer(run, client, 1, SMALL_BYTES) && small_answer(run, client, 2, SMALL_BYTES + 1))
		end_idle(run, client);
}

/* A body of known length, sent in records of `variant` bytes with the next head in the body's last one. */
static void body_then_head(struct run *run)
{
	struct peer *client = run_client(run, 0);
	uint64_t id = run_new_id(run);
	char request[200], fields[64], text[4096 + UPLOAD_BYTES];
	struct head head;

	if (!client)
		return;
	snprintf(request, sizeof(request), "POST /containers/create?id=%" PRIu64 "&seed=%" PRIu64, id, id);
	snprintf(fields, sizeof(fields), "Content-Length: %d\r\n", UPLOAD_BYTES);
	size_t len = run_write_head(text, sizeof(text), request, fields);
	pattern_fill(id, 0, text + len, UPLOAD_BYTES);
	len += UPLOAD_BYTES;
	small_request(request, sizeof(request), 3, SMALL_BYTES);
	len += run_write_head(text + len, sizeof(text) - len, request, NULL);
	int result = peer_put_by(client, text, len, run->test->variant, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0, "cannot send: %s", strerror(-result)) ||
	    !run_answer(run, client, &head, 200) || !run_engine_got(run, id, UPLOAD_BYTES, ENDING_NONE))
		return;
	uint64_t length;
	(void)head_framing(&head, &length);
	result = peer_get_all_by(client, text, (size_t)length, run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "the answer's body: %s", strerror(-result)) &&
	    small_answer(run, client, 3, SMALL_BYTES))
		end_idle(run, client);
}

/* Clients that come and go, in either way, cost those who come later nothing. */
static void many_ends(struct run *run)
{
	for (unsigned round = 0; round < MANY_ENDS && !run->failed; round++) {
		struct peer *client = run_client(run, 0);
		if (!client)
			return;
		if (round % 4 == 0)
			(void)peer_end_by(client, run_deadline(run, PROMPTLY_MS));
		peer_free(client);
		run->clients_count--;
	}
	struct peer *client = run_client(run, 0);
	char request[200];
	small_request(request, sizeof(request), 5, SMALL_BYTES);
	if (client && run_ask(run, client, request, NULL) && small_answer(run, client, 5, SMALL_BYTES))
		end_idle(run, client);
}

/* Each byte of the head is a record, and a segment. */
static void slow_head(struct run *run)
{
	struct peer *client = run_client(run, 0);
	char request[200], text[2048];

	if (!client)
		return;
	small_request(request, sizeof(request), 4, SMALL_BYTES);
	size_t len = run_write_head(text, sizeof(text), request, NULL);
	int result = peer_put_by(client, text, len, 1, run_deadline(run, LONG_MS));
	if (run_expect(run, result == 0, "cannot send: %s", strerror(-result)) &&
	    small_answer(run, client, 4, SMALL_BYTES))
		end_idle(run, client);
}

/* A refusal is answered and ends the connection; nothing reaches the engine. */
static void wrong_token(struct run *run)
{
	static const char text[] =
	    "GET /v1.43/images/get?id=0&bytes=1 HTTP/1.1\r\nHost: a\r\ntoken: wrong\r\n\r\n";
	struct peer *client = run_client(run, 0);
	struct head head;

	if (!client)
		return;
	int result =
	    peer_put_by(client, text, strlen(text), PEER_RECORD_MAX_BYTES, run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "cannot send: %s", strerror(-result)) &&
	    run_answer(run, client, &head, 401) && run_closes(run, client, "a 401") &&
	    run_carried(run, client, 0, UINT64_MAX, false))
		run_expect(run, client->ending == ENDING_CLEAN, "the 401 ends with: %s",
			   ending_name(client->ending));
}

/* Nothing is said after the handshake but close_notify. */
static void silent(struct run *run)
{
	struct peer *client = run_client(run, 0);

	if (client)
		end_idle(run, client);
}

void cases_message(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, SUITE_TLS12_AES128};
	static const struct {
		enum leg_kind leg;
		const char *name;
	} legs[] = {{LEG_UNIX, "unix"}, {LEG_TLS13, "engine-tls13"}, {LEG_TLS12, "engine-tls12"}};

	for (size_t i = 0; i < ARRAY_SIZE(suites) * ARRAY_SIZE(legs); i++) {
		unsigned suite = suites[i % ARRAY_SIZE(suites)];
		size_t leg = i / ARRAY_SIZE(suites);
		const char *name = run_suites[suite].name;
		struct test test = {.suite = suite, .leg = legs[leg].leg, .core = leg < 2, .run = keep_alive};
		test_add(list, test, "message-keep-alive/%s/%s", name, legs[leg].name);
		test.run = pipelined;
		test_add(list, test, "message-pipelined/%s/%s", name, legs[leg].name);
		test.core = false;
		test.run = body_then_head;
		test.variant = PEER_RECORD_MAX_BYTES;
		test_add(list, test, "message-body-then-head/%s/%s", name, legs[leg].name);
		test.variant = 999;
		test_add(list, test, "message-body-then-head-999/%s/%s", name, legs[leg].name);
		if (leg > 0)
			continue;
		test.run = slow_head;
		test_add(list, test, "message-slow-head/%s", name);
		test.run = many_ends;
		test_add(list, test, "message-many-ends/%s", name);
		test.run = wrong_token;
		test_add(list, test, "message-wrong-token/%s", name);
		test.run = silent;
		test_add(list, test, "message-silent/%s", name);
	}
}
