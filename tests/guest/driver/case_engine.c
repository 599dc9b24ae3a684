/* SPDX-License-Identifier: MIT */
/*
 * case_engine.c: what an engine behind TLS does that others do not: tickets at the head (OpenSSL's servers
 * send two by default, so every case with such an engine has them), KeyUpdate in its answer, an end without
 * close_notify, a certificate that must be refused.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "run.h"

#define ANSWER_BYTES (400 * KIB)
/* More than the kernel's queues hold beside a client that stands still, and how much that client's holds. */
#define STALLED_ANSWER_BYTES (16 * MIB)
#define STALLED_BUFFER_BYTES 65536
#define STANDS_MS	     30

static struct peer *ask_download(struct run *run, uint64_t id, const char *extra)
{
	struct peer *client = run_client(run, run->test->bytes > ANSWER_BYTES ? STALLED_BUFFER_BYTES : 0);
	char request[200];

	snprintf(request, sizeof(request),
		 "GET /images/get?id=%" PRIu64 "&seed=%" PRIu64 "&bytes=%" PRIu64 "&how=%d&%s", id, id,
		 run->test->bytes, (int)run->test->framing, extra);
	return client && run_ask(run, client, request, NULL) ? client : NULL;
}

/* A KeyUpdate of the engine's: it works, or the client sees a cut, promptly, and the log says why. */
static void rekey_answer(struct run *run)
{
	uint64_t id = run_new_id(run), length;
	struct peer *client = ask_download(run, id, run->test->variant ? "rekey=2" : "rekey=1");
	struct body_in in;
	struct transfer transfer = {.in = &in, .until_end = true};
	struct head head;

	if (!client)
		return;
	int result = head_read_by(&head, client, run_deadline(run, PROMPTLY_MS));
	if (result == 0 && head_status(&head) == 200) {
		struct run_load load = run_load_begin(run);
		body_in_init(&in, head_framing(&head, &length), id + 1, run->test->bytes);
		result = transfer_by(client, &transfer, run_deadline(run, PROMPTLY_MS));
		if (!run_expect(run, result == 0,
				"after a KeyUpdate of the engine's the answer neither goes on nor ends") ||
		    !run_expect(run, !in.bad, "the answer is wrong at byte %" PRIu64, in.bad_at) ||
		    !run_load_end(run, load, 60, "a KeyUpdate of the engine's"))
			return;
		if (body_in_is_whole(&in) && client->ending == ENDING_CLEAN)
			return;
	}
	/* A 502 instead of the head is a fair answer, too. */
	if (run_expect(run, run->driver->carried != CARRIED_USERSPACE,
		       "a KeyUpdate of the engine's breaks userspace TLS: status %d, %s", head_status(&head),
		       ending_name(client->ending)) &&
	    run_expect(run, head_status(&head) != 200 || client->ending != ENDING_CLEAN,
		       "a cut answer ends as if it were whole") &&
	    run_logged(run, "KeyUpdate"))
		run_counts_key_update(run);
}

/* The engine breaks off in the middle of its answer: by FIN (1) or by reset (2). */
static void cut_answer(struct run *run)
{
	uint64_t id = run_new_id(run), length;
	struct peer *client = ask_download(run, id, run->test->variant == 1 ? "cut=1" : "cut=2");
	struct body_in in;
	struct transfer transfer = {.in = &in, .until_end = true};
	struct head head;

	if (!client)
		return;
	int result = head_read_by(&head, client, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0, "no answer: %s", strerror(-result)))
		return;
	if (head_status(&head) == 502) /* the reset can overtake the engine's head */
		return;
	if (run->test->bytes > ANSWER_BYTES) /* stands still until the cut has reached headgate */
		clock_sleep_ms((unsigned)run_stretch_ms(run, STANDS_MS));
	body_in_init(&in, head_framing(&head, &length), id + 1, run->test->bytes);
	result = transfer_by(client, &transfer, run_deadline(run, LONG_MS));
	run_expect(run, result == 0, "the cut answer does not end");
	run_expect(run, !in.bad, "the answer is wrong at byte %" PRIu64, in.bad_at);
	run_expect(run, !body_in_is_whole(&in), "the cut answer is whole");
	run_expect(run, client->ending != ENDING_CLEAN,
		   "the client cannot tell the cut answer from a whole one");
	if (run->test->variant == 1)
		run_expect(run, in.done_bytes == run->test->bytes / 2,
			   "%" PRIu64 " bytes came of %" PRIu64 " sent before the cut", in.done_bytes,
			   run->test->bytes / 2);
}

/* Half a record, and then silence: the first half is passed on, and nothing spins until the rest comes. */
static void half_a_record(struct run *run)
{
	uint64_t id = run_new_id(run), length;
	struct peer *client = ask_download(run, id, "half=1");
	struct body_in in;
	struct transfer transfer = {.in = &in};
	struct head head;

	if (!client || !run_answer(run, client, &head, 200))
		return;
	body_in_init(&in, head_framing(&head, &length), id + 1, run->test->bytes);
	while (in.done_bytes < run->test->bytes / 2 && !in.bad) {
		uint64_t before = in.done_bytes;
		(void)transfer_by(client, &transfer, run_deadline(run, 100));
		if (in.done_bytes == before)
			break;
	}
	if (!run_expect(run, in.done_bytes == run->test->bytes / 2 && !in.bad,
			"%" PRIu64 " bytes of the half came", in.done_bytes))
		return;
	struct run_load load = run_load_begin(run);
	(void)transfer_by(client, &transfer, clock_now_ms() + 700);
	run_expect(run, in.done_bytes == run->test->bytes / 2 && client->ending == ENDING_NONE,
		   "half a record ended the answer: %s", ending_name(client->ending));
	run_load_end(run, load, 5, "half a record of the engine's");
}

/* An engine that headgate must not speak to gets no request, and the client learns why. */
static void refused(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = ask_download(run, id, "");
	struct head head;

	if (!client)
		return;
	int result = head_read_by(&head, client, run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "no answer: %s", strerror(-result)) &&
	    run_expect(run, head_status(&head) == 502 || head_status(&head) == 503, "status %d",
		       head_status(&head)) &&
	    run_expect(run, engine_moved(run->engine, id) == 0, "the request reached the wrong engine"))
		run_closes(run, client, "the refusal");
}

void cases_engine(struct test_list *list)
{
	static const struct {
		enum leg_kind leg;
		const char *name;
	} legs[] = {{LEG_TLS13, "engine-tls13"}, {LEG_TLS12, "engine-tls12"}};
	struct test test = {.run = rekey_answer, .leg = LEG_TLS13, .bytes = ANSWER_BYTES};

	for (unsigned requested = 0; requested < 2; requested++) {
		const char *kind = requested ? "requested" : "one-way";
		test.variant = requested;
		test.core = requested == 0;
		test.framing = FRAMING_LENGTH;
		test_add(list, test, "engine-keyupdate-%s/length", kind);
		test.core = false;
		test.framing = FRAMING_RAW;
		test_add(list, test, "engine-keyupdate-%s/close", kind);
	}
	for (size_t i = 0; i < ARRAY_SIZE(legs); i++) {
		for (unsigned how = 1; how <= 2; how++) {
			const char *kind = how == 1 ? "fin" : "rst";
			test = (struct test){.run = cut_answer,
					     .leg = legs[i].leg,
					     .bytes = ANSWER_BYTES,
					     .variant = how,
					     .core = how == 1 && i == 0};
			test_add(list, test, "engine-%s-answer-length/%s", kind, legs[i].name);
			test.framing = FRAMING_RAW;
			test_add(list, test, "engine-%s-answer-close/%s", kind, legs[i].name);
		}
	}
	/* No TLS: FIN is a close-delimited answer's proper end there, so only a known length can tell. */
	test = (struct test){.run = cut_answer, .leg = LEG_UNIX, .variant = 1, .bytes = ANSWER_BYTES};
	test_add(list, test, "engine-fin-answer-length/unix");
	/* What the kernel has taken and not yet encrypted must leave in front of the FIN. */
	test.bytes = STALLED_ANSWER_BYTES;
	test_add(list, test, "engine-fin-answer-stalled/unix");
	test.bytes = ANSWER_BYTES;
	test.leg = LEG_TCP;
	test_add(list, test, "engine-fin-answer-length/tcp");
	test.variant = 2;
	test_add(list, test, "engine-rst-answer-length/tcp");
	test = (struct test){.run = half_a_record, .leg = LEG_TLS13, .core = true, .bytes = ANSWER_BYTES};
	test_add(list, test, "engine-half-record/tls13");
	test = (struct test){.run = refused, .leg = LEG_FOREIGN_CA, .core = true, .bytes = ANSWER_BYTES};
	test_add(list, test, "engine-certificate/foreign-ca");
	test.leg = LEG_WRONG_NAME;
	test_add(list, test, "engine-certificate/wrong-name");
}
