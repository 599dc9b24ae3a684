/* SPDX-License-Identifier: MIT */
/*
 * case_bulk.c: bodies of all sizes, up and down, in records of all sizes, and tunnels that carry both
 * directions at once, for each TLS version and cipher; and what headgate's log says about who carried them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "run.h"

static const size_t record_1[] = {1}, record_1000[] = {1000}, record_1400[] = {1400},
		    record_16384[] = {16384}, record_go[] = {4096, 28678, 2},
		    record_mixed[] = {1, 16384, 17, 5000};

static const struct {
	const char *name;
	struct records records;
	uint64_t bytes;
} record_rows[] = {
    {"1", {record_1, 1}, 3000},
    {"1000", {record_1000, 1}, 256 * KIB},
    {"1400", {record_1400, 1}, 256 * KIB + 1},
    {"16384", {record_16384, 1}, MIB},
    {"go", {record_go, 3}, MIB},
    {"mixed", {record_mixed, 4}, 512 * KIB + 3},
};

static const uint64_t size_rows[] = {1, 1000, 16383, 16384, 16385, 65536, 262144 + 1};

/* ---- up ---- */

static void up(struct run *run)
{
	const struct test *test = run->test;
	uint64_t id = run_new_id(run), bytes = test->bytes;
	bool chunked = test->framing == FRAMING_CHUNKED;
	char request[300], fields[100] = "Transfer-Encoding: chunked\r\n", text[64], expected[64];
	struct body_out out;
	struct transfer transfer = {.out = &out, .records = test->records};
	struct head head;
	struct peer *client = run_client(run, 0);

	if (!client)
		return;
	snprintf(request, sizeof(request), "%s?id=%" PRIu64 "&seed=%" PRIu64 "&want=%" PRIu64,
		 chunked ? "POST /v1.43/images/load" : "PUT /containers/x/archive", id, id, bytes);
	if (!chunked)
		snprintf(fields, sizeof(fields), "Content-Length: %" PRIu64 "\r\n", bytes);
	if (!run_ask(run, client, request, fields))
		return;
	body_out_init(&out, test->framing, id, bytes);
	int result = transfer_by(client, &transfer, run_deadline(run, LONG_MS));
	if (!run_expect(run, result == 0 && transfer.out_error == 0, "sending stopped at %" PRIu64 ": %s, %s",
			out.done_bytes, strerror(-result), strerror(-transfer.out_error)) ||
	    !run_answer(run, client, &head, 200))
		return;
	snprintf(expected, sizeof(expected), "%" PRIu64 " bytes, good\n", bytes);
	result = peer_get_all_by(client, text, strlen(expected), run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0 && memcmp(text, expected, strlen(expected)) == 0,
			"the engine did not confirm '%s'", expected) ||
	    !run_engine_got(run, id, bytes, ENDING_NONE))
		return;
	run_carried(run, client, chunked ? UINT64_MAX : bytes, UINT64_MAX, !chunked);
}

/* ---- down ---- */

static void down(struct run *run)
{
	const struct test *test = run->test;
	uint64_t id = run_new_id(run), bytes = test->bytes;
	char request[300];
	struct head head;
	struct peer *client = run_client(run, 0);

	if (!client)
		return;
	snprintf(request, sizeof(request),
		 "GET /v1.43/images/get?id=%" PRIu64 "&seed=%" PRIu64 "&bytes=%" PRIu64 "&how=%d&step=%zu",
		 id, id, bytes, (int)test->framing, test->records.count ? test->records.sizes[0] : 0);
	if (!run_ask(run, client, request, NULL) || !run_answer(run, client, &head, 200) ||
	    !run_body(run, client, &head, id + 1, bytes, true))
		return;
	run_carried(run, client, 0, test->framing == FRAMING_CHUNKED ? UINT64_MAX : bytes,
		    test->framing == FRAMING_LENGTH);
}

/* ---- both at once ---- */

static void both(struct run *run)
{
	const struct test *test = run->test;
	uint64_t id = run_new_id(run), bytes = test->bytes;
	bool legacy = test->variant == 1;
	char query[300];
	struct body_out out;
	struct body_in in;
	struct transfer transfer = {
	    .out = &out, .records = test->records, .end_out = true, .in = &in, .until_end = true};
	struct peer *client = run_client(run, 0);

	if (!client)
		return;
	snprintf(query, sizeof(query),
		 "id=%" PRIu64 "&seed=%" PRIu64 "&bytes=%" PRIu64 "&want=%" PRIu64 "&legacy=%d", id, id,
		 bytes, bytes, legacy);
	if (!run_tunnel(run, client, query))
		return;
	body_out_init(&out, FRAMING_RAW, id, bytes);
	body_in_init(&in, FRAMING_RAW, id + 1, bytes);
	int result = transfer_by(client, &transfer, run_deadline(run, LONG_MS));
	if (!run_expect(run, result == 0 && body_in_is_whole(&in) && client->ending == ENDING_CLEAN,
			"%" PRIu64 " of %" PRIu64 " bytes came: %s, %s", in.done_bytes, bytes,
			strerror(-result), ending_name(client->ending)) ||
	    !run_engine_got(run, id, bytes, ENDING_CLEAN))
		return;
	run_carried(run, client, bytes, bytes, false);
}

/* ---- who carries ---- */

static void armed(struct run *run)
{
	const struct suite *suite = &run_suites[run->test->suite];
	struct peer *client = run_client(run, 0);
	char peer[40], text[128], line[400];

	if (!client)
		return;
	snprintf(peer, sizeof(peer), " 127.0.0.1:%d ", run_port(client));
	snprintf(text, sizeof(text), " %s %s", suite->version_name, suite->suite_name);
	if (!run_expect(run,
			gate_log_wait(run->gate, run->log_from, peer, text, line, sizeof(line),
				      run_deadline(run, PROMPTLY_MS)),
			"no line of headgate's log says '%s%s'", peer, text + 1))
		return;
	bool tx = strstr(line, " ktls-tx"), rx = strstr(line, " ktls-rx");
	if (run->driver->carried == CARRIED_KERNEL)
		run_expect(run, tx && rx, "not both directions are in the kernel: %s", line);
	else if (run->driver->carried == CARRIED_USERSPACE)
		run_expect(run, !tx && !rx, "the kernel has a direction: %s", line);
}

/* What headgate said when it started, and how often. */
static void said_at_start(struct run *run)
{
	bool kernel = run->driver->carried == CARRIED_KERNEL,
	     automatic = strcmp(run->driver->ktls, "auto") == 0;
	const char *where = kernel ? ", TLS in the kernel," : ", TLS in userspace,";
	unsigned reasons;

	if (run->driver->carried == CARRIED_ANY || !run_renew(run))
		return;
	reasons = gate_log_count(run->gate, "TLS stays in userspace: ");
	run_expect(run, gate_log_count(run->gate, where) == 1, "the first lines do not say '%s'", where);
	run_expect(run, reasons == (!kernel && automatic ? 1U : 0U),
		   "%u lines say why TLS stays in userspace", reasons);
}

/* ---- the list ---- */

static void add_suite(struct test_list *list, unsigned suite)
{
	const char *name = run_suites[suite].name;
	bool core = suite == SUITE_TLS13_AES128 || suite == SUITE_TLS12_AES128;
	struct test test = {.suite = suite, .core = true, .run = armed, .bytes = MIB};

	test_add(list, test, "armed/%s", name);
	test.core = core;
	test.run = up;
	test.framing = FRAMING_LENGTH;
	test_add(list, test, "up-length/%s/1MiB", name);
	test.framing = FRAMING_CHUNKED;
	test.records = (struct records){record_go, 3};
	test_add(list, test, "up-chunked/%s/1MiB", name);
	test.records = (struct records){0};
	test.run = down;
	test.framing = FRAMING_LENGTH;
	test_add(list, test, "down-length/%s/1MiB", name);
	test.framing = FRAMING_CHUNKED;
	test_add(list, test, "down-chunked/%s/1MiB", name);
	test.framing = FRAMING_RAW;
	test_add(list, test, "down-close/%s/1MiB", name);
	test.run = both;
	test_add(list, test, "tunnel-both/%s/1MiB", name);
}

static void add_sizes(struct test_list *list, unsigned suite)
{
	const char *name = run_suites[suite].name;

	for (size_t i = 0; i < ARRAY_SIZE(size_rows); i++) {
		struct test test = {.suite = suite, .bytes = size_rows[i], .run = up};
		/* One just beyond a record's end is enough for the short selection. */
		test.core = suite == SUITE_TLS13_AES128 && size_rows[i] == 16385;
		test_add(list, test, "up-length/%s/%" PRIu64, name, test.bytes);
		test.framing = FRAMING_CHUNKED;
		test_add(list, test, "up-chunked/%s/%" PRIu64, name, test.bytes);
		test.run = down;
		test_add(list, test, "down-chunked/%s/%" PRIu64, name, test.bytes);
		test.framing = FRAMING_LENGTH;
		test_add(list, test, "down-length/%s/%" PRIu64, name, test.bytes);
		test.framing = FRAMING_RAW;
		test.run = both;
		test_add(list, test, "tunnel-both/%s/%" PRIu64, name, test.bytes);
	}
}

static void add_records(struct test_list *list, unsigned suite)
{
	const char *name = run_suites[suite].name;

	for (size_t i = 0; i < ARRAY_SIZE(record_rows); i++) {
		struct test test = {.suite = suite,
				    .bytes = record_rows[i].bytes,
				    .records = record_rows[i].records,
				    .run = up};
		test_add(list, test, "records-up-length/%s/%s", name, record_rows[i].name);
		test.framing = FRAMING_CHUNKED;
		test_add(list, test, "records-up-chunked/%s/%s", name, record_rows[i].name);
		test.framing = FRAMING_RAW;
		test.run = both;
		test.core = suite == SUITE_TLS13_AES128 && i == 1;
		test_add(list, test, "records-tunnel/%s/%s", name, record_rows[i].name);
		/* The engine writes in one size only. */
		if (record_rows[i].records.count > 1)
			continue;
		test.core = false;
		test.run = down;
		test.framing = FRAMING_LENGTH;
		test_add(list, test, "writes-down-length/%s/%s", name, record_rows[i].name);
	}
}

/* More than the queues and pipes hold; 16 MiB where most clients are, 4 MiB elsewhere, for time's sake. */
static void add_large(struct test_list *list, unsigned suite)
{
	const char *name = run_suites[suite].name;
	uint64_t mib = suite == SUITE_TLS13_AES128 ? 16 : 4;
	struct test test = {.suite = suite, .bytes = mib * MIB, .run = up};

	test_add(list, test, "up-length/%s/%" PRIu64 "MiB", name, mib);
	test.run = down;
	test_add(list, test, "down-length/%s/%" PRIu64 "MiB", name, mib);
	if (suite != SUITE_TLS13_AES128)
		return;
	test.framing = FRAMING_RAW;
	test.records = (struct records){record_go, 3};
	test.run = both;
	test_add(list, test, "tunnel-both/%s/16MiB", name);
	test.bytes = 4 * MIB;
	test.framing = FRAMING_CHUNKED;
	test.run = up;
	test_add(list, test, "up-chunked/%s/4MiB", name);
	test.records = (struct records){0};
	test.run = down;
	test_add(list, test, "down-chunked/%s/4MiB", name);
}

void cases_bulk(struct test_list *list)
{
	static const unsigned main_suites[] = {SUITE_TLS13_AES128, SUITE_TLS12_AES128};

	test_add(list, (struct test){.core = true, .run = said_at_start}, "said-at-start");
	for (unsigned suite = 0; suite < SUITE_COUNT; suite++)
		add_suite(list, suite);
	for (size_t i = 0; i < ARRAY_SIZE(main_suites); i++) {
		add_sizes(list, main_suites[i]);
		add_records(list, main_suites[i]);
		add_large(list, main_suites[i]);
		const struct test legacy = {.suite = main_suites[i], .bytes = MIB, .run = both, .variant = 1};
		test_add(list, legacy, "tunnel-both-legacy/%s/1MiB", run_suites[main_suites[i]].name);
	}
	/* The other kinds of engine leg. */
	static const struct {
		enum leg_kind leg;
		const char *name;
	} legs[] = {{LEG_TCP, "tcp"}, {LEG_TLS13, "tls13"}, {LEG_TLS12, "tls12"}};
	for (size_t i = 0; i < ARRAY_SIZE(legs); i++) {
		struct test test = {.leg = legs[i].leg, .bytes = MIB, .run = up, .core = i == 1};
		test_add(list, test, "engine-%s/up-length", legs[i].name);
		test.run = down;
		test_add(list, test, "engine-%s/down-length", legs[i].name);
		test.framing = FRAMING_CHUNKED;
		test_add(list, test, "engine-%s/down-chunked", legs[i].name);
		test.records = (struct records){record_go, 3};
		test.run = up;
		test_add(list, test, "engine-%s/up-chunked", legs[i].name);
		test.framing = FRAMING_RAW;
		test.run = both;
		test_add(list, test, "engine-%s/tunnel-both", legs[i].name);
		test.records = (struct records){0};
		test.run = down;
		test_add(list, test, "engine-%s/down-close", legs[i].name);
	}
}
