/* SPDX-License-Identifier: MIT */
/*
 * case_control.c: records that are legal and rare. Empty and padded ones carry nothing and must be passed
 * over; a KeyUpdate must work where userspace has the keys, and may end the connection, at once and with a
 * line in the log, where a kernel has them that cannot rekey.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "record.h"
#include "run.h"

/* ---- empty and padded records ---- */

/* How odd records are strewn between those with data. */
struct odd {
	size_t data_bytes, pad_bytes;
	unsigned empty_before;
};

static const struct {
	const char *name;
	struct odd odd;
} odd_rows[] = {
    {"empty", {5000, 0, 3}},	      {"empty-many", {3000, 0, 20}},
    {"padded-1", {4000, 1, 0}},	      {"padded-12000", {4000, 12000, 0}},
    {"padded-empty", {4000, 255, 2}},
};

#define ODD_BYTES 100000

static bool send_odd(struct run *run, struct peer *client, struct record_writer *writer, const char *data,
		     size_t len)
{
	const struct odd *odd = &odd_rows[run->test->variant].odd;
	int result = 0;

	for (size_t done = 0; result == 0 && done < len; done += odd->data_bytes) {
		size_t n = len - done < odd->data_bytes ? len - done : odd->data_bytes;
		for (unsigned i = 0; result == 0 && i < odd->empty_before; i++)
			result = record_send_by(writer, client, RECORD_DATA, NULL, 0,
						i % 2 ? odd->pad_bytes : 0, run_deadline(run, PROMPTLY_MS));
		if (result == 0)
			result = record_send_by(writer, client, RECORD_DATA, data + done, n, odd->pad_bytes,
						run_deadline(run, PROMPTLY_MS));
	}
	return run_expect(run, result == 0, "cannot send: %s", strerror(-result));
}

/* A head and a body of known length, or a head and a tunnel's bytes, with odd records before and between. */
static void odd_records(struct run *run)
{
	uint64_t id = run_new_id(run);
	bool tunnel = run->test->framing == FRAMING_RAW;
	struct record_writer writer;
	struct peer *client = run_client(run, 0);
	char request[200], fields[100] = "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n",
			   text[2048];
	static const unsigned char close_notify[] = {1, 0};
	char data[ODD_BYTES];
	struct head head;

	if (!client)
		return;
	snprintf(request, sizeof(request), "POST %s?id=%" PRIu64 "&seed=%" PRIu64 "&want=%d",
		 tunnel ? "/containers/x/attach" : "/images/load", id, id, ODD_BYTES);
	if (!tunnel)
		snprintf(fields, sizeof(fields), "Content-Length: %d\r\n", ODD_BYTES);
	if (!run_expect(run, record_init(&writer, client) == 0, "no keys"))
		return;
	size_t len = run_write_head(text, sizeof(text), request, fields);
	pattern_fill(id, 0, data, sizeof(data));
	if (!send_odd(run, client, &writer, text, len) || (tunnel && !run_answer(run, client, &head, 101)) ||
	    !send_odd(run, client, &writer, data, sizeof(data)))
		return;
	if (!tunnel) {
		if (run_answer(run, client, &head, 200))
			run_engine_got(run, id, ODD_BYTES, ENDING_NONE);
		return;
	}
	int result = record_send_by(&writer, client, RECORD_ALERT, close_notify, sizeof(close_notify), 0,
				    run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "cannot send close_notify") &&
	    run_engine_got(run, id, ODD_BYTES, ENDING_CLEAN))
		run_closes(run, client, "both ends");
}

#define SEGMENT_BYTES	  60
#define SEGMENTED_RECORDS 4
#define SEGMENTED_BYTES	  ((size_t)16000)

/* Full records, each in hundreds of segments: a kernel that decrypts it in these pieces must not lose any. */
static void small_segments(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct record_writer writer;
	struct peer *client = run_client(run, 0);
	char request[200], text[2048], data[SEGMENTED_BYTES];
	unsigned char record[SEGMENTED_BYTES + RECORD_OVERHEAD_BYTES];
	struct head head;

	if (!client || !run_expect(run, record_init(&writer, client) == 0, "no keys"))
		return;
	snprintf(request, sizeof(request),
		 "POST /containers/x/attach?id=%" PRIu64 "&seed=%" PRIu64 "&want=%zu", id, id,
		 SEGMENTED_RECORDS * SEGMENTED_BYTES);
	size_t len = run_write_head(text, sizeof(text), request,
				    "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n");
	int result =
	    record_send_by(&writer, client, RECORD_DATA, text, len, 0, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0, "cannot send") || !run_answer(run, client, &head, 101))
		return;
	for (size_t i = 0; i < SEGMENTED_RECORDS; i++) {
		pattern_fill(id, i * SEGMENTED_BYTES, data, sizeof(data));
		len = record_seal(&writer, RECORD_DATA, data, sizeof(data), 0, record, sizeof(record));
		for (size_t done = 0; result == 0 && done < len; done += SEGMENT_BYTES)
			result = peer_put_raw_by(client, record + done,
						 len - done < SEGMENT_BYTES ? len - done : SEGMENT_BYTES,
						 run_deadline(run, PROMPTLY_MS));
	}
	static const unsigned char close_notify[] = {1, 0};
	if (result == 0)
		result = record_send_by(&writer, client, RECORD_ALERT, close_notify, sizeof(close_notify), 0,
					run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "cannot send: %s", strerror(-result)))
		run_engine_got(run, id, SEGMENTED_RECORDS * SEGMENTED_BYTES, ENDING_CLEAN);
}

/* Empty records, and then nothing: not more CPU than their decryption takes. */
static void empty_then_idle(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct record_writer writer;
	struct peer *client = run_client(run, 0);
	struct head head;
	char query[200], text[2048];
	struct engine_result got;

	if (!client || !run_expect(run, record_init(&writer, client) == 0, "no keys"))
		return;
	snprintf(query, sizeof(query), "POST /containers/x/attach?id=%" PRIu64 "&seed=%" PRIu64 "&want=0", id,
		 id);
	size_t len = run_write_head(text, sizeof(text), query,
				    "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n");
	int result =
	    record_send_by(&writer, client, RECORD_DATA, text, len, 0, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0, "cannot send") || !run_answer(run, client, &head, 101))
		return;
	for (unsigned i = 0; i < 5 && result == 0; i++)
		result =
		    record_send_by(&writer, client, RECORD_DATA, NULL, 0, 0, run_deadline(run, PROMPTLY_MS));
	struct run_load load = run_load_begin(run);
	clock_sleep_ms(700);
	if (!run_expect(run, result == 0, "cannot send: %s", strerror(-result)) ||
	    !run_load_end(run, load, 5, "idle behind empty records"))
		return;
	result = peer_end_by(client, run_deadline(run, PROMPTLY_MS));
	(void)
	    result; /* OpenSSL's own sequence number is behind: headgate sees a bad record, and must close */
	if (run_closes(run, client, "a record out of sequence"))
		run_expect(run, engine_wait(run->engine, id, &got, run_deadline(run, PROMPTLY_MS)),
			   "the engine does not learn of it");
}

/* ---- KeyUpdate ---- */

/* Whether the connection ended, and was allowed to: the kernel had the keys, and the log says why. */
static bool died_of_rekey(struct run *run, struct peer *client)
{
	enum ending ending = peer_drain_by(client, NULL, run_deadline(run, PROMPTLY_MS));

	if (!run_expect(run, run->driver->carried != CARRIED_USERSPACE,
			"a KeyUpdate breaks userspace TLS: %s", ending_name(ending)) ||
	    !run_expect(run, ending != ENDING_NONE, "after a KeyUpdate headgate neither goes on nor closes"))
		return true;
	if (run_logged(run, "KeyUpdate"))
		run_counts_key_update(run);
	return true;
}

static bool update_key(struct run *run, struct peer *client)
{
	int kind = run->test->variant ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;

	return run_expect(run, SSL_key_update(client->ssl, kind) == 1 && SSL_do_handshake(client->ssl) == 1,
			  "this OpenSSL cannot update keys");
}

/* Back and forth through an echo, with a KeyUpdate before every third. */
static void rekey_tunnel(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = run_client(run, 0);
	char query[64], sent[2000], back[2000];

	if (!client)
		return;
	snprintf(query, sizeof(query), "id=%" PRIu64 "&echo=1", id);
	if (!run_tunnel(run, client, query))
		return;
	struct run_load load = run_load_begin(run);
	for (unsigned i = 0; i < 9; i++) {
		pattern_fill(id, i, sent, sizeof(sent));
		if (i % 3 == 1 && !update_key(run, client))
			return;
		int result = peer_put_by(client, sent, sizeof(sent), PEER_RECORD_MAX_BYTES,
					 run_deadline(run, PROMPTLY_MS));
		if (result == 0)
			result = peer_get_all_by(client, back, sizeof(back), run_deadline(run, PROMPTLY_MS));
		if (result < 0) {
			if (died_of_rekey(run, client))
				run_load_end(run, load, 50, "a KeyUpdate");
			return;
		}
		if (!run_expect(run, memcmp(sent, back, sizeof(sent)) == 0, "the echo is wrong"))
			return;
	}
	int result = peer_end_by(client, run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "cannot end: %s", strerror(-result)))
		run_closes(run, client, "the client's end");
}

/* In the middle of an upload. A half that arrived and died of the KeyUpdate is not taken for the whole. */
static void rekey_upload(struct run *run)
{
	const uint64_t half = 300000;
	uint64_t id = run_new_id(run);
	struct peer *client = run_client(run, 0);
	struct body_out out;
	struct transfer transfer = {.out = &out};
	struct engine_result got;
	struct head head;
	char request[200], fields[64];

	if (!client)
		return;
	snprintf(request, sizeof(request), "POST /images/load?id=%" PRIu64 "&seed=%" PRIu64, id, id);
	snprintf(fields, sizeof(fields), "Content-Length: %" PRIu64 "\r\n", 2 * half);
	if (!run_ask(run, client, request, fields))
		return;
	body_out_init(&out, FRAMING_LENGTH, id, half);
	int result = transfer_by(client, &transfer, run_deadline(run, LONG_MS));
	if (!run_expect(run, result == 0 && transfer.out_error == 0, "cannot send") ||
	    !update_key(run, client))
		return;
	out.total_bytes = 2 * half;
	(void)transfer_by(client, &transfer, run_deadline(run, LONG_MS));
	result = head_read_by(&head, client, run_deadline(run, PROMPTLY_MS));
	if (result == 0 && head_status(&head) == 200) {
		run_engine_got(run, id, 2 * half, ENDING_NONE);
		return;
	}
	if (died_of_rekey(run, client) && !run->failed &&
	    run_expect(run, engine_wait(run->engine, id, &got, run_deadline(run, PROMPTLY_MS)),
		       "the engine still waits for the rest"))
		run_expect(run, !got.in_whole, "the engine took the cut upload as complete");
}

/* On an idle connection, before the first head and between two. */
static void rekey_idle(struct run *run)
{
	struct peer *client = run_client(run, 0);
	struct head head;

	for (unsigned i = 0; client && i < 3; i++) {
		if (!update_key(run, client) || !run_expect(run, peer_flush(client) == 0, "cannot send"))
			return;
		clock_sleep_ms(20); /* apart from the head, so that headgate meets it alone */
		char request[100];
		snprintf(request, sizeof(request), "GET /containers/json?seed=%u&bytes=500", i);
		if (!run_ask(run, client, request, NULL))
			return;
		int result = head_read_by(&head, client, run_deadline(run, PROMPTLY_MS));
		if (result < 0) {
			(void)died_of_rekey(run, client);
			return;
		}
		if (!run_expect(run, head_status(&head) == 200, "status %d", head_status(&head)) ||
		    !run_body(run, client, &head, i + 1, 500, false))
			return;
	}
}

/* ---- records that may not come, of types that TLS has ---- */

static void odd_type(struct run *run)
{
	/* A ClientHello's beginning: renegotiation, or post-handshake nonsense. */
	static const unsigned char data[] = {1, 0, 0, 4, 3, 3, 0, 0};
	struct record_writer writer;
	struct peer *client = run_client(run, 0);

	if (!client || !run_expect(run, record_init(&writer, client) == 0, "no keys"))
		return;
	int result = record_send_by(&writer, client, (enum record_type)run->test->variant, data, sizeof(data),
				    0, run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0, "cannot send: %s", strerror(-result)))
		return;
	if (run->test->variant == RECORD_HANDSHAKE) {
		/* It may wait for the rest of the ClientHello, but then it must not spin. */
		struct run_load load = run_load_begin(run);
		(void)peer_drain_by(client, NULL, clock_now_ms() + 700);
		run_load_end(run, load, 10, "a handshake record");
		return;
	}
	run_closes(run, client, "a record of an unexpected type");
}

/* ---- alerts ---- */

/* In TLS 1.2 a warning is one; in 1.3 all but two alerts are fatal, whatever level they claim. */
static void warning(struct run *run)
{
	static const unsigned char harmless[] = {SSL3_AL_WARNING, SSL_AD_UNRECOGNIZED_NAME};
	static const unsigned char internal_error[] = {SSL3_AL_WARNING, SSL_AD_INTERNAL_ERROR};
	bool tls13 = run_suites[run->test->suite].version == TLS1_3_VERSION;
	struct record_writer writer;
	struct peer *client = run_client(run, 0);
	struct head head;
	char text[2048];

	if (!client || !run_expect(run, record_init(&writer, client) == 0, "no keys"))
		return;
	int result = record_send_by(&writer, client, RECORD_ALERT, tls13 ? internal_error : harmless, 2, 0,
				    run_deadline(run, PROMPTLY_MS));
	if (!run_expect(run, result == 0, "cannot send: %s", strerror(-result)))
		return;
	if (tls13) {
		run_closes(run, client, "an alert of TLS 1.3");
		return;
	}
	size_t len = run_write_head(text, sizeof(text), "GET /version?bytes=10&seed=1", NULL);
	result = record_send_by(&writer, client, RECORD_DATA, text, len, 0, run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "cannot send: %s", strerror(-result)) &&
	    run_answer(run, client, &head, 200))
		run_body(run, client, &head, 2, 10, false);
}

void cases_control(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, 1, 2, SUITE_TLS12_AES128, 5};

	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		const char *name = run_suites[suites[i]].name;
		bool tls13 = run_suites[suites[i]].version == TLS1_3_VERSION;
		for (unsigned row = 0; row < ARRAY_SIZE(odd_rows); row++) {
			struct test test = {.suite = suites[i], .variant = row, .run = odd_records};
			if (!tls13 && odd_rows[row].odd.pad_bytes > 0)
				continue; /* padding came with 1.3 */
			test.core = i == 0 && (row == 0 || row == 3);
			test_add(list, test, "record-%s-upload/%s", odd_rows[row].name, name);
			test.framing = FRAMING_RAW;
			test_add(list, test, "record-%s-tunnel/%s", odd_rows[row].name, name);
		}
		struct test test = {.suite = suites[i], .run = empty_then_idle, .core = i == 0};
		if (i % 3 == 0)
			test_add(list, test, "record-empty-then-idle/%s", name);
		test.run = small_segments;
		test_add(list, test, "record-small-segments-tunnel/%s", name);
		test.run = odd_type;
		test.variant = RECORD_HEARTBEAT;
		test_add(list, test, "record-type-heartbeat/%s", name);
		test.variant = RECORD_HANDSHAKE;
		test.core = false;
		test_add(list, test, "record-type-handshake/%s", name);
		test.run = warning;
		test_add(list, test, "alert-warning/%s", name);
		for (unsigned request = 0; tls13 && request < 2; request++) {
			const char *kind = request ? "requested" : "one-way";
			test = (struct test){.suite = suites[i], .variant = request, .core = i == 0};
			test.run = rekey_tunnel;
			test_add(list, test, "keyupdate-%s-tunnel/%s", kind, name);
			test.run = rekey_upload;
			test_add(list, test, "keyupdate-%s-upload/%s", kind, name);
			test.run = rekey_idle;
			test_add(list, test, "keyupdate-%s-idle/%s", kind, name);
		}
	}
}
