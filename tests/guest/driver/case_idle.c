/* SPDX-License-Identifier: MIT */
/*
 * case_idle.c: hundreds of followed logs that are silent. Each costs two descriptors and little memory, none
 * holds a pipe; then each gets a line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "run.h"

#define STREAMS	    500
#define STREAMS_FEW 80
/* A pool may keep some for whom they are no use. */
#define PIPES_MAX 64
/*
 * With both directions in the kernel the SSL object is gone; otherwise it and its session are the price: 22
 * to 29 KB with OpenSSL 3.5, by the allocator below it.
 */
#define KERNEL_BYTES	(2 * KIB)
#define USERSPACE_BYTES (32 * KIB)
/* Streams that come first and settle what is allocated once. */
#define WARM_UP 20

static bool open_streams(struct run *run, unsigned count)
{
	struct head head;

	for (unsigned i = 0; i < count; i++) {
		struct peer *client = run_client(run, 0);
		if (!client || !run_ask(run, client, "GET /containers/idle/logs?follow=1", NULL) ||
		    !run_answer(run, client, &head, 200))
			return false;
	}
	return true;
}

static bool cost_is_right(struct run *run, unsigned count, struct gate_files before, uint64_t rss_before)
{
	struct gate_files files = gate_files(run->gate);
	uint64_t rss = gate_rss_bytes(run->gate), grown = rss > rss_before ? rss - rss_before : 0;
	/* Where it is not known who carries, the dearer of the two. */
	uint64_t limit = run->driver->carried == CARRIED_KERNEL ? KERNEL_BYTES : USERSPACE_BYTES;

	printf("# %u idle streams: %" PRIu64 " bytes each, %u sockets, %u pipes\n", count, grown / count,
	       files.sockets - before.sockets, files.pipes);
	/* AddressSanitizer has a price of its own. */
	if (gate_is_sanitized(run->gate))
		limit = UINT64_MAX;
	return run_expect(run, files.sockets - before.sockets == 2 * count, "%u sockets more for %u streams",
			  files.sockets - before.sockets, count) &&
	       run_expect(run, files.pipes <= PIPES_MAX, "%u pipes are open while nothing moves",
			  files.pipes) &&
	       run_expect(run, files.others <= before.others, "%u other descriptors more",
			  files.others - before.others) &&
	       run_expect(run, grown / count <= limit, "%" PRIu64 " bytes of memory a stream", grown / count);
}

static void idle_streams(struct run *run)
{
	static const char line[] = "one line for everyone, at last\n";
	unsigned count = run->test->variant;
	char text[sizeof(line)];

	/* What was allocated for other cases could be used again here, and would hide the cost. */
	if (!run_renew(run) || !open_streams(run, WARM_UP))
		return;
	struct gate_files before = gate_files(run->gate);
	uint64_t rss_before = gate_rss_bytes(run->gate);
	if (!open_streams(run, count) || !run_expect(run, rss_before > 0, "no smaps_rollup in this kernel"))
		return;
	struct run_load load = run_load_begin(run);
	clock_sleep_ms(1000);
	if (!run_load_end(run, load, 2, "idle streams") || !cost_is_right(run, count, before, rss_before))
		return;
	unsigned woken = engine_wake(run->engine, line);
	if (!run_expect(run, woken == count + WARM_UP, "the engine has %u of %u streams", woken,
			count + WARM_UP))
		return;
	for (unsigned i = 0; i < run->clients_count; i++) {
		int result =
		    peer_get_all_by(run->clients[i], text, strlen(line), run_deadline(run, PROMPTLY_MS));
		if (!run_expect(run, result == 0 && memcmp(text, line, strlen(line)) == 0, "stream %u: %s", i,
				strerror(-result)))
			return;
	}
	if (!run_expect(run, gate_files(run->gate).pipes <= PIPES_MAX, "pipes stay open behind small lines"))
		return;
	engine_unpark(run->engine);
	for (unsigned i = 0; i < run->clients_count; i++) {
		/* All of them end now, so that headgate has much to do. */
		enum ending ending = peer_drain_by(run->clients[i], NULL, run_deadline(run, PROMPTLY_MS));
		if (!run_expect(run, ending == ENDING_CLEAN, "a log ends with: %s", ending_name(ending)))
			return;
	}
}

void cases_idle(struct test_list *list)
{
	struct test test = {.run = idle_streams, .variant = STREAMS_FEW, .core = true};

	test_add(list, test, "idle-streams/tls13-aes128");
	test.core = false;
	test.variant = STREAMS;
	test.suite = SUITE_TLS12_AES128;
	test_add(list, test, "idle-streams-many/tls12-aes128");
}
