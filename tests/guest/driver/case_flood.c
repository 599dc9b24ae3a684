/* SPDX-License-Identifier: MIT */
/*
 * case_flood.c: one peer that costs as much as it can, and the others that must not notice. Records without
 * data and records of one byte are cheap to send and as dear to decrypt as others; a system without memory
 * for TCP takes no bytes and says that it would.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "record.h"
#include "run.h"

#define UPGRADE "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n"

#define EMPTY_RECORDS	 20000U
#define ONE_BYTE_RECORDS 60000U
/* Counted in instructions it is 2.3; a guest counts as CPU time what its host takes from it, and up to 3.8
 * was seen. */
#define ONE_BYTE_CPU_FACTOR 5
/* What a turn of headgate's may take, and some more, on an idle server processor. */
#define TURN_MS 20
/* A third of what it takes to decrypt EMPTY_RECORDS on such a one. */
#define EMPTY_MS    8
#define EMPTY_TRIES 3
#define QUIET_LOOKS 60

enum where { WHERE_IDLE, WHERE_DRAIN, WHERE_TUNNEL };
static const char *const where_names[] = {"idle", "drain", "tunnel"};

/* Brings the connection to where the flood begins; its own records are sealed by `writer`. */
static bool go_where(struct run *run, struct peer *client, struct record_writer *writer, enum where where)
{
	uint64_t id = run_new_id(run);
	char text[2048] = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n", request[200];
	size_t len = strlen(text);
	struct head head;

	if (!run_expect(run, record_init(writer, client) == 0, "no keys"))
		return false;
	if (where == WHERE_IDLE)
		return true;
	if (where == WHERE_TUNNEL) {
		snprintf(request, sizeof(request),
			 "POST /containers/x/attach?id=%" PRIu64 "&seed=%" PRIu64 "&want=%u", id, id,
			 2 * ONE_BYTE_RECORDS);
		len = run_write_head(text, sizeof(text), request, UPGRADE);
	}
	int result =
	    record_send_by(writer, client, RECORD_DATA, text, len, 0, run_deadline(run, PROMPTLY_MS));
	return run_expect(run, result == 0, "cannot send: %s", strerror(-result)) &&
	       run_answer(run, client, &head, where == WHERE_TUNNEL ? 101 : 401);
}

/* Until headgate has nothing to do any more. */
static void wait_until_quiet(const struct run *run)
{
	for (unsigned i = 0; i < QUIET_LOOKS; i++) {
		uint64_t before_us = gate_cpu_us(run->gate);
		clock_sleep_ms(100);
		if (gate_cpu_us(run->gate) - before_us < 10000)
			return;
	}
}

/* `count` records of `data_bytes` (0 or 1), one behind the other; free() them. NULL: failed. */
static unsigned char *make_flood(struct run *run, struct record_writer *writer, unsigned count,
				 size_t data_bytes, size_t *len)
{
	size_t cap = count * (RECORD_OVERHEAD_BYTES + data_bytes);
	unsigned char *flood = malloc(cap);

	*len = 0;
	for (unsigned i = 0; flood && i < count; i++)
		*len += record_seal(writer, RECORD_DATA, "x", data_bytes, 0, flood + *len, cap - *len);
	run_expect(run, flood != NULL, "no memory");
	return flood;
}

/* ---- empty records ---- */

/* The client that sent the flood, and what headgate worked for it; NULL: failed. */
static struct peer *send_empty_flood(struct run *run, uint64_t *cpu_us)
{
	struct record_writer writer;
	struct peer *client = run_client(run, 0);
	size_t len;

	if (!client || !go_where(run, client, &writer, run->test->variant))
		return NULL;
	unsigned char *flood = make_flood(run, &writer, EMPTY_RECORDS, 0, &len);
	if (!flood)
		return NULL;
	*cpu_us = gate_cpu_us(run->gate);
	(void)peer_put_raw_by(client, flood, len, run_deadline(run, PROMPTLY_MS));
	free(flood);
	wait_until_quiet(run);
	*cpu_us = gate_cpu_us(run->gate) - *cpu_us;
	return client;
}

/*
 * So many of them have one purpose. headgate ends that connection after a few, as OpenSSL does. A guest
 * counts as CPU time what its host takes from it: whoever decrypts them all is too slow each time.
 */
static void flood_of_empty(struct run *run)
{
	uint64_t cpu_us = UINT64_MAX, limit_us = run_stretch_ms(run, EMPTY_MS) * 1000;
	struct peer *client = NULL;

	for (unsigned i = 0; i < EMPTY_TRIES && cpu_us > limit_us; i++) {
		client = send_empty_flood(run, &cpu_us);
		if (!client)
			return;
	}
	if (run_expect(run, cpu_us <= limit_us, "headgate took %" PRIu64 " ms for empty records",
		       cpu_us / 1000) &&
	    run_closes(run, client, "many empty records") && run->driver->carried == CARRIED_KERNEL &&
	    run->test->variant != WHERE_DRAIN)
		run_logged(run, "too many records without data");
}

/* The same from an engine, in the middle of its answer: the client sees that it was cut. */
static void engine_floods(struct run *run)
{
	const uint64_t whole = 100000;
	uint64_t id = run_new_id(run), length;
	struct peer *client = run_client(run, 0);
	char request[200];
	struct head head;
	struct body_in in;
	struct transfer transfer = {.in = &in, .until_end = true};

	snprintf(request, sizeof(request),
		 "GET /images/get?id=%" PRIu64 "&seed=%" PRIu64 "&bytes=%" PRIu64 "&empty=%u", id, id, whole,
		 EMPTY_RECORDS);
	if (!client || !run_ask(run, client, request, NULL) || !run_answer(run, client, &head, 200))
		return;
	body_in_init(&in, head_framing(&head, &length), id + 1, whole);
	(void)transfer_by(client, &transfer, run_deadline(run, PROMPTLY_MS));
	run_expect(run, !in.bad && in.done_bytes == whole / 2, "%" PRIu64 " bytes of the half came",
		   in.done_bytes);
	run_expect(run, client->ending != ENDING_NONE && client->ending != ENDING_CLEAN, "the ending is: %s",
		   ending_name(client->ending));
	run_logged(run, "the engine did not finish its answer");
}

/* ---- records of one byte ---- */

/* Another client's small request; what headgate worked meanwhile, which other load on this machine does not
 * change. */
static bool ask_beside(struct run *run, struct peer *other, uint64_t *took_us)
{
	uint64_t before_us = gate_cpu_us(run->gate);
	struct head head;

	if (!run_ask(run, other, "GET /version?bytes=10&seed=1", NULL) ||
	    !run_answer(run, other, &head, 200) || !run_body(run, other, &head, 2, 10, false))
		return false;
	*took_us = gate_cpu_us(run->gate) - before_us;
	return true;
}

/*
 * They are decrypted for as long as it takes, but in turns with other connections: nobody else waits for a
 * large part of it. Idle is the longest way: a head, which grows too long, and then what is thrown away.
 */
static void flood_of_one_byte(struct run *run)
{
	struct record_writer writer;
	struct peer *other = run_client(run, 0), *client = other ? run_client(run, 0) : NULL;
	uint64_t took_us, worst_us = 0, limit_us = run_stretch_ms(run, TURN_MS) * 1000;
	size_t len, sent = 0;

	if (!client || !ask_beside(run, other, &took_us) ||
	    !go_where(run, client, &writer, run->test->variant))
		return;
	unsigned char *flood = make_flood(run, &writer, ONE_BYTE_RECORDS, 1, &len);
	uint64_t cpu_us = gate_cpu_us(run->gate);
	for (unsigned i = 0; flood && i < 12; i++) {
		ssize_t n = send(client->fd, flood + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		sent += n > 0 ? (size_t)n : 0;
		if (!ask_beside(run, other, &took_us))
			break;
		worst_us = took_us > worst_us ? took_us : worst_us;
	}
	free(flood);
	wait_until_quiet(run);
	cpu_us = gate_cpu_us(run->gate) - cpu_us;
	if (cpu_us / 2 > limit_us)
		limit_us = cpu_us / 2;
	run_expect(run, worst_us <= limit_us,
		   "another client waited for %" PRIu64 " ms of the %" PRIu64
		   " ms that headgate took for a flood",
		   worst_us / 1000, cpu_us / 1000);
}

/* ---- no memory for TCP ---- */

#define TCP_MEM	       "/proc/sys/net/ipv4/tcp_mem"
#define STALLED	       4U
#define STALLED_BYTES  (16 * MIB)
#define EXHAUSTED_MS   800
#define NO_MEMORY_TEXT "10 20 30\n" /* pages */

/* Readers that stand still, and then there is no memory either: headgate waits, and burns no CPU. */
static void no_tcp_memory(struct run *run)
{
	char before[100] = "", request[200];
	FILE *file = fopen(TCP_MEM, "re");
	struct head head;

	if (!run_expect(run, file && fgets(before, sizeof(before), file), "cannot read " TCP_MEM))
		return;
	(void)fclose(file);
	for (unsigned i = 0; i <= STALLED; i++) {
		uint64_t id = run_new_id(run);
		/* The last one would take more, if there were memory. */
		struct peer *client = run_client(run, i < STALLED ? 65536 : 0);
		snprintf(request, sizeof(request),
			 "GET /images/get?id=%" PRIu64 "&seed=%" PRIu64 "&bytes=%" PRIu64, id, id,
			 STALLED_BYTES);
		if (i == STALLED &&
		    !run_expect(run, run_write_setting(TCP_MEM, NO_MEMORY_TEXT), "cannot set " TCP_MEM))
			return;
		if (!client || !run_ask(run, client, request, NULL) ||
		    (i < STALLED && !run_answer(run, client, &head, 200)))
			break;
	}
	clock_sleep_ms((unsigned)run_stretch_ms(run, 100));
	struct run_load load = run_load_begin(run);
	clock_sleep_ms(EXHAUSTED_MS);
	run_load_end(run, load, 20, "no memory for TCP");
	run_expect(run, run_write_setting(TCP_MEM, before), "cannot set " TCP_MEM);
}

void cases_flood(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, SUITE_TLS12_AES128};

	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		const char *name = run_suites[suites[i]].name;
		struct test test = {.suite = suites[i], .run = flood_of_empty};
		for (unsigned where = WHERE_IDLE; where <= WHERE_TUNNEL; where++) {
			test.variant = where;
			test.core = i == 0 && where == WHERE_IDLE;
			test_add(list, test, "flood-empty-%s/%s", where_names[where], name);
		}
		test.core = false;
		test.run = no_tcp_memory;
		if (i == 0 && run_is_guest())
			test_add(list, test, "no-tcp-memory/%s", name);
	}
	struct test test = {.suite = SUITE_TLS13_AES128,
			    .run = flood_of_one_byte,
			    .variant = WHERE_IDLE,
			    .cpu_factor = ONE_BYTE_CPU_FACTOR};
	test_add(list, test, "flood-one-byte-idle/%s", run_suites[test.suite].name);
	test.variant = WHERE_TUNNEL;
	test_add(list, test, "flood-one-byte-tunnel/%s", run_suites[test.suite].name);
	test = (struct test){.suite = SUITE_TLS13_AES128, .leg = LEG_TLS13, .run = engine_floods};
	test_add(list, test, "flood-empty-engine/tls13");
}
