/* SPDX-License-Identifier: MIT */
/*
 * case_revoke.c: a token that is taken back while its bearer's streams are open. They end, no side can take
 * what it got for the whole, and who stands still holds nothing for long.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "run.h"

/* headgate looks at its files once a second. */
#define FOLLOW_MS     3000
#define ANSWER_BYTES  (16 * MIB)
#define SMALL_RECEIVE 65536
/* The lengths lie around what a socket takes from headgate for a client that does not read. */
#define STALLED_ENDS	    40U
#define STALLED_FIRST_BYTES 200000U
#define STALLED_STEP_BYTES  20000U
/* headgate's own limit for a slow end. */
#define LINGER_MS 10000

static bool ask(struct run *run, struct peer *client, const char *request, const char *fields)
{
	char text[2048];
	size_t len = run_write_head(text, sizeof(text), request, fields);

	static_assert(sizeof(GATE_PASSING_TOKEN) == sizeof(GATE_TOKEN), "it takes the other one's place");
	memcpy(strstr(text, GATE_TOKEN), GATE_PASSING_TOKEN, strlen(GATE_PASSING_TOKEN));
	int result = peer_put_by(client, text, len, PEER_RECORD_MAX_BYTES, run_deadline(run, PROMPTLY_MS));
	return run_expect(run, result == 0, "cannot send the head of %s: %s", request, strerror(-result));
}

/* Hands the token out, and waits until headgate knows it. */
static bool grant(struct run *run)
{
	uint64_t deadline_ms = run_deadline(run, FOLLOW_MS);
	struct head head = {0};

	if (!run_expect(run, gate_write_tokens(run->gate, true), "cannot write the token file"))
		return false;
	while (head_status(&head) != 200) {
		struct peer *client = run_client(run, 0);
		if (!client || !ask(run, client, "GET /version?bytes=10&seed=1", "Connection: close\r\n") ||
		    !run_expect(run, head_read_by(&head, client, run_deadline(run, PROMPTLY_MS)) == 0,
				"no answer") ||
		    !run_expect(run, clock_now_ms() < deadline_ms, "the new token is not taken"))
			return false;
		clock_sleep_ms(300);
	}
	return true;
}

static bool revoke(struct run *run)
{
	return run_expect(run, gate_write_tokens(run->gate, false), "cannot write the token file");
}

/* The client stands still in the middle of an answer. */
static void revoke_download(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = grant(run) ? run_client(run, SMALL_RECEIVE) : NULL;
	struct engine_result result;
	struct head head;
	char request[200];

	snprintf(request, sizeof(request), "GET /images/get?id=%" PRIu64 "&seed=%" PRIu64 "&bytes=%" PRIu64,
		 id, id, ANSWER_BYTES);
	if (!client || !ask(run, client, request, NULL) || !run_answer(run, client, &head, 200))
		return;
	clock_sleep_ms((unsigned)run_stretch_ms(run, 50));
	if (!revoke(run) || !run_logged(run, "the token was revoked") ||
	    !run_expect(run, engine_wait(run->engine, id, &result, run_deadline(run, PROMPTLY_MS)),
			"the engine still sends"))
		return;
	struct run_load load = run_load_begin(run);
	clock_sleep_ms(500);
	if (!run_load_end(run, load, 5, "a revoked client that stands still"))
		return;
	uint64_t bytes = 0;
	enum ending ending = peer_drain_by(client, &bytes, run_deadline(run, LONG_MS));
	run_expect(run, bytes < ANSWER_BYTES && ending != ENDING_NONE && ending != ENDING_CLEAN,
		   "%" PRIu64 " bytes came, and then: %s", bytes, ending_name(ending));
}

static void revoke_tunnel(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = grant(run) ? run_client(run, 0) : NULL;
	struct engine_result result;
	struct head head;
	char request[200], back[4] = "";

	snprintf(request, sizeof(request), "POST /containers/x/attach?id=%" PRIu64 "&echo=1", id);
	if (!client ||
	    !ask(run, client, request, "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n") ||
	    !run_answer(run, client, &head, 101))
		return;
	int error = peer_put_by(client, "echo", 4, PEER_RECORD_MAX_BYTES, run_deadline(run, PROMPTLY_MS));
	if (error == 0)
		error = peer_get_all_by(client, back, sizeof(back), run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, error == 0, "no echo: %s", strerror(-error)) || !revoke(run))
		return;
	enum ending ending = peer_drain_by(client, NULL, run_deadline(run, FOLLOW_MS));
	run_expect(run, ending != ENDING_NONE && ending != ENDING_CLEAN, "the tunnel ends with: %s",
		   ending_name(ending));
	if (run_expect(run, engine_wait(run->engine, id, &result, run_deadline(run, PROMPTLY_MS)),
		       "the engine does not learn of it"))
		run_expect(run, result.ending != ENDING_CLEAN,
			   "the engine takes the tunnel's input for the whole");
}

/* Between two requests: the next one is refused. */
static void revoke_idle(struct run *run)
{
	struct peer *client = grant(run) ? run_client(run, 0) : NULL;
	struct head head;

	if (!client || !ask(run, client, "GET /version?bytes=10&seed=1", NULL) ||
	    !run_answer(run, client, &head, 200) || !run_body(run, client, &head, 2, 10, false) ||
	    !revoke(run))
		return;
	clock_sleep_ms((unsigned)run_stretch_ms(run, 100) + 1500);
	if (ask(run, client, "GET /version?bytes=10&seed=1", NULL) && run_answer(run, client, &head, 401))
		run_closes(run, client, "a 401");
}

/*
 * Clients that stand still, each with an answer of another length: at some of them all of it has left the
 * engine, and its end has no room yet. As long as the token is good that may take its time.
 */
static void revoke_stalled_end(struct run *run)
{
	struct head head;
	char request[200];

	if (!grant(run))
		return;
	for (unsigned i = 0; i < STALLED_ENDS; i++) {
		struct peer *client = run_client(run, SMALL_RECEIVE);
		snprintf(request, sizeof(request), "GET /images/get?how=2&bytes=%u",
			 STALLED_FIRST_BYTES + i * STALLED_STEP_BYTES);
		if (!client || !ask(run, client, request, NULL) || !run_answer(run, client, &head, 200))
			return;
	}
	clock_sleep_ms((unsigned)run_stretch_ms(run, 50));
	unsigned idle = run->driver->idle_sockets[run->test->leg];
	uint64_t deadline_ms = run_deadline(run, FOLLOW_MS) + 2 * LINGER_MS;
	if (!revoke(run))
		return;
	while (gate_files(run->gate).sockets > idle && clock_now_ms() < deadline_ms)
		clock_sleep_ms(100);
	run_expect(run, gate_files(run->gate).sockets <= idle,
		   "headgate keeps %u sockets of a revoked token's", gate_files(run->gate).sockets - idle);
}

void cases_revoke(struct test_list *list)
{
	struct test test = {.run = revoke_download};

	test_add(list, test, "revoke-download/unix");
	test.run = revoke_idle;
	test_add(list, test, "revoke-idle/unix");
	test.run = revoke_stalled_end;
	test_add(list, test, "revoke-stalled-end/unix");
	test.run = revoke_tunnel;
	test.leg = LEG_TCP;
	test_add(list, test, "revoke-tunnel/tcp");
}
