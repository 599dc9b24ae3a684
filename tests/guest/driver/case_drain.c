/* SPDX-License-Identifier: MIT */
/*
 * case_drain.c: headgate is told to end while the last answer of a kept connection is not read yet. Log lines
 * and metrics say that it was delivered then, but it is in the kernel's socket. A container's network goes
 * with its last process, so headgate stays for it.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "run.h"

/* More than the client's window, less than headgate's socket takes. */
#define ANSWER_BYTES (256 * KIB)
#define WINDOW_BYTES 16384
/* Far longer than headgate takes to end, shorter than a connection that has ended lingers (10 s). */
#define UNREAD_MS 3000

/* A client that has an answer on its way, of which its window takes the beginning. */
static struct peer *client_with_answer(struct run *run, struct head *head, uint64_t *id)
{
	struct peer *client = run_client(run, WINDOW_BYTES);
	char request[200], line[500];

	*id = run_new_id(run);
	snprintf(request, sizeof(request),
		 "GET /images/get?id=%" PRIu64 "&seed=%" PRIu64 "&bytes=%" PRIu64 "&how=%d", *id, *id,
		 ANSWER_BYTES, (int)FRAMING_LENGTH);
	if (!client || !run_ask(run, client, request, NULL) || !run_answer(run, client, head, 200))
		return NULL;
	bool over = gate_log_wait(run->gate, run->log_from, "GET /images/get 200", NULL, line, sizeof(line),
				  run_deadline(run, LONG_MS));
	return run_expect(run, over, "the answer did not fit into headgate's socket") ? client : NULL;
}

/* The usual time limit is too short for these. */
static bool begin(struct run *run)
{
	run->driver->drain_timeout = "120s";
	return run_renew(run);
}

static void end(struct run *run)
{
	run->driver->drain_timeout = DRAIN_TIMEOUT;
	(void)run_renew(run);
}

/* SIGTERM: it ends when the answer has arrived, not before, and not much later. */
static void unread_answer(struct run *run)
{
	struct head head;
	uint64_t id;
	struct peer *client = begin(run) ? client_with_answer(run, &head, &id) : NULL;

	if (client) {
		(void)kill(run->gate->pid, SIGTERM);
		clock_sleep_ms(UNREAD_MS);
	}
	if (client &&
	    run_expect(run, gate_is_alive(run->gate), "headgate has ended before its answer arrived") &&
	    run_body(run, client, &head, id + 1, ANSWER_BYTES, true))
		run_expect(run, gate_wait(run->gate, run_deadline(run, LONG_MS)) == 0,
			   "headgate does not end with 0 after the answer has arrived");
	end(run);
}

/* Who has not asked for anything yet does not keep it: one before its handshake, one in the middle of a head.
 */
static void strangers(struct run *run)
{
	static const char text[] = "GET /version HT";
	struct peer *silent = begin(run) ? run_connect(run, 0) : NULL,
		    *client = silent ? run_client(run, 0) : NULL;

	if (client) {
		int result = peer_put_by(client, text, strlen(text), PEER_RECORD_MAX_BYTES,
					 run_deadline(run, PROMPTLY_MS));
		run_expect(run, result == 0, "cannot send: %s", strerror(-result));
		clock_sleep_ms((unsigned)run_stretch_ms(run, 20));
		(void)kill(run->gate->pid, SIGTERM);
		run_expect(run, gate_wait(run->gate, run_deadline(run, LONG_MS)) == 0,
			   "strangers keep headgate from ending");
	}
	end(run);
}

void cases_drain(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, SUITE_TLS12_AES128};

	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		const char *name = run_suites[suites[i]].name;
		struct test test = {.suite = suites[i], .core = i == 0, .run = unread_answer};
		test_add(list, test, "drain-unread-answer/%s", name);
		test.run = strangers;
		test_add(list, test, "drain-strangers/%s", name);
	}
}
