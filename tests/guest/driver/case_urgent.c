/* SPDX-License-Identifier: MIT */
/*
 * case_urgent.c: TCP's urgent data (RFC 9293 3.8.5), which TLS knows nothing of. To headgate it is data like
 * other data: nothing is lost, and nothing spins or hangs at its mark.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "record.h"
#include "run.h"

#define STAND_MS	  500
#define STAND_CPU_PERCENT 5

static bool send_urgent(struct run *run, const struct peer *client, const void *byte)
{
	return run_expect(run, send(client->fd, byte, 1, MSG_OOB | MSG_NOSIGNAL) == 1,
			  "cannot send urgent data");
}

/* `data` with its byte at `at` as the urgent one, and a rest behind it. */
static bool send_with_mark(struct run *run, struct peer *client, const unsigned char *data, size_t len,
			   size_t at)
{
	int result = peer_put_raw_by(client, data, at, run_deadline(run, PROMPTLY_MS));

	if (!run_expect(run, result == 0, "cannot send: %s", strerror(-result)) ||
	    !send_urgent(run, client, data + at))
		return false;
	clock_sleep_ms(30);
	struct run_load load = run_load_begin(run);
	clock_sleep_ms(STAND_MS);
	if (!run_load_end(run, load, STAND_CPU_PERCENT, "urgent data"))
		return false;
	result = peer_put_raw_by(client, data + at + 1, len - at - 1, run_deadline(run, PROMPTLY_MS));
	return run_expect(run, result == 0, "cannot send: %s", strerror(-result));
}

static void urgent_head(struct run *run)
{
	struct peer *client = run_client(run, 0);
	struct record_writer writer;
	unsigned char out[2048 + RECORD_OVERHEAD_BYTES];
	char text[2048];
	struct head head;

	if (!client || !run_expect(run, record_init(&writer, client) == 0, "no keys"))
		return;
	size_t len = run_write_head(text, sizeof(text), "GET /version?bytes=10&seed=1", NULL);
	len = record_seal(&writer, RECORD_DATA, text, len, 0, out, sizeof(out));
	size_t at = run->test->variant < len ? run->test->variant : len - 1;
	if (send_with_mark(run, client, out, len, at) && run_answer(run, client, &head, 200))
		(void)run_body(run, client, &head, 2, 10, false);
}

static void urgent_tunnel(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = run_client(run, 0);
	struct record_writer writer;
	unsigned char out[PEER_RECORD_MAX_BYTES + RECORD_OVERHEAD_BYTES], data[10000];
	char text[2048], request[200];
	struct head head;

	if (!client || !run_expect(run, record_init(&writer, client) == 0, "no keys"))
		return;
	snprintf(request, sizeof(request),
		 "POST /containers/x/attach?id=%" PRIu64 "&seed=%" PRIu64 "&want=%zu", id, id,
		 3 * sizeof(data));
	size_t len = run_write_head(text, sizeof(text), request,
				    "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n");
	int result =
	    record_send_by(&writer, client, RECORD_DATA, text, len, 0, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0, "cannot send: %s", strerror(-result)) ||
	    !run_answer(run, client, &head, 101))
		return;
	for (unsigned i = 0; i < 3; i++) {
		pattern_fill(id, i * sizeof(data), data, sizeof(data));
		len = record_seal(&writer, RECORD_DATA, data, sizeof(data), 0, out, sizeof(out));
		if (!send_with_mark(run, client, out, len, i == 0 ? 0 : i == 1 ? len / 2 : len - 1))
			return;
	}
	uint64_t deadline_ms = run_deadline(run, PROMPTLY_MS);
	while (engine_moved(run->engine, id) < 3 * sizeof(data) && clock_now_ms() < deadline_ms)
		clock_sleep_ms(2);
	run_expect(run, engine_moved(run->engine, id) == 3 * sizeof(data), "%" PRIu64 " of %zu bytes arrived",
		   engine_moved(run->engine, id), 3 * sizeof(data));
}

void cases_urgent(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, SUITE_TLS12_AES128};

	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		const char *name = run_suites[suites[i]].name;
		struct test test = {.suite = suites[i], .run = urgent_head, .core = i == 0};
		test_add(list, test, "urgent-first-byte/%s", name);
		test.core = false;
		test.variant = 60;
		test_add(list, test, "urgent-in-record/%s", name);
		test.variant = 100000;
		test_add(list, test, "urgent-last-byte/%s", name);
		test.run = urgent_tunnel;
		if (i == 0)
			test_add(list, test, "urgent-tunnel/%s", name);
	}
}
