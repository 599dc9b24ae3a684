/* SPDX-License-Identifier: MIT */
/*
 * case_arm.c: the moment at which the kernel takes over. Whatever stands behind the client's Finished, in the
 * same segment, is the kernel's; and TLS 1.2 has the kernel decrypt already while the handshake is not over.
 */
#include <inttypes.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "record.h"
#include "run.h"

#define STAND_MS	  500
#define STAND_CPU_PERCENT 5

/* A client's last flight, and what is sent with it. */
struct flight {
	unsigned char bytes[8192];
	size_t len;
};

/* The handshake, up to the client's last flight, which is not sent. */
static bool handshake_without_last(struct run *run, struct peer *client, struct flight *last)
{
	uint64_t deadline_ms = run_deadline(run, PROMPTLY_MS);
	unsigned char scratch[8192];

	(void)SSL_do_handshake(client->ssl); /* the ClientHello */
	if (!run_expect(run, peer_flush(client) == 0, "cannot send a ClientHello"))
		return false;
	while (BIO_ctrl_pending(client->out) == 0) {
		bool came = peer_wait(client, POLLIN, deadline_ms);
		ssize_t n = came ? recv(client->fd, scratch, sizeof(scratch), MSG_DONTWAIT) : 0;
		if (!run_expect(run, n > 0 && BIO_write(client->in, scratch, (int)n) == (int)n,
				"headgate's flight does not come"))
			return false;
		(void)SSL_do_handshake(client->ssl);
	}
	int n = BIO_read(client->out, last->bytes, (int)sizeof(last->bytes));
	last->len = n > 0 ? (size_t)n : 0;
	return run_expect(run, n > 0, "no last flight");
}

static bool send_now(struct run *run, struct peer *client, const void *data, size_t len)
{
	int result = peer_put_raw_by(client, data, len, run_deadline(run, PROMPTLY_MS));

	return run_expect(run, result == 0, "cannot send: %s", strerror(-result));
}

/* Nothing comes for a while, and headgate has nothing to do meanwhile. */
static bool stand(struct run *run, const char *where)
{
	clock_sleep_ms(30);
	struct run_load load = run_load_begin(run);
	clock_sleep_ms(STAND_MS);
	return run_load_end(run, load, STAND_CPU_PERCENT, where);
}

/* ---- behind Finished ---- */

enum behind {
	BEHIND_HEAD,
	BEHIND_EMPTY_HEAD,
	BEHIND_HALF_HEAD, /* half a record, and the rest later */
	BEHIND_HALF_HEADER,
	BEHIND_HEAD_FIN,
	BEHIND_CLOSE_NOTIFY_HEAD,
	BEHIND_ALERT_HEAD,
	BEHIND_KEY_UPDATE_HEAD,
	BEHIND_HELLO_HEAD,
	BEHIND_GARBAGE_HEAD,
	BEHIND_WRONG_TOKEN,
	BEHIND_COUNT,
};

static const char *const behind_names[] = {
    "head",	   "empty-head", "half-head", "half-header", "head-fin",    "close-notify",
    "fatal-alert", "key-update", "hello",     "garbage",     "wrong-token",
};

static void add(struct flight *flight, struct record_writer *writer, enum record_type type, const void *data,
		size_t len)
{
	flight->len += record_seal(writer, type, data, len, 0, flight->bytes + flight->len,
				   sizeof(flight->bytes) - flight->len);
}

static void add_what_comes_first(struct flight *flight, struct record_writer *writer, enum behind behind)
{
	static const unsigned char close_notify[] = {1, 0}, internal_error[] = {2, 80},
				   key_update[] = {24, 0, 0, 1, 0}, hello[] = {1, 0, 0, 4, 3, 3, 0, 0};

	switch (behind) {
	case BEHIND_EMPTY_HEAD:
		for (unsigned i = 0; i < 5; i++)
			add(flight, writer, RECORD_DATA, NULL, 0);
		break;
	case BEHIND_CLOSE_NOTIFY_HEAD:
		add(flight, writer, RECORD_ALERT, close_notify, sizeof(close_notify));
		break;
	case BEHIND_ALERT_HEAD:
		add(flight, writer, RECORD_ALERT, internal_error, sizeof(internal_error));
		break;
	case BEHIND_KEY_UPDATE_HEAD:
		add(flight, writer, RECORD_HANDSHAKE, key_update, sizeof(key_update));
		break;
	case BEHIND_HELLO_HEAD:
		add(flight, writer, RECORD_HANDSHAKE, hello, sizeof(hello));
		break;
	case BEHIND_GARBAGE_HEAD:
		pattern_fill(7, 0, flight->bytes + flight->len, 100);
		flight->bytes[flight->len] = 0x61;
		flight->len += 100;
		break;
	default:
		break;
	}
}

/* Sends the flight, at once or with a rest in the middle. */
static bool send_flight(struct run *run, struct peer *client, const struct flight *flight, size_t first)
{
	if (first >= flight->len)
		return send_now(run, client, flight->bytes, flight->len);
	return send_now(run, client, flight->bytes, first) && stand(run, "half a record behind Finished") &&
	       send_now(run, client, flight->bytes + first, flight->len - first);
}

static void behind_finished(struct run *run)
{
	const uint64_t bytes = 3000;
	enum behind behind = run->test->variant;
	uint64_t id = run_new_id(run);
	struct peer *client = run_connect(run, 0);
	struct flight flight;
	struct record_writer writer;
	char text[2048], request[100];
	struct head head;

	if (!client || !handshake_without_last(run, client, &flight) ||
	    !run_expect(run, record_init(&writer, client) == 0, "no keys"))
		return;
	snprintf(request, sizeof(request), "GET /images/get?id=%" PRIu64 "&seed=%" PRIu64 "&bytes=%" PRIu64,
		 id, id, bytes);
	size_t len = run_write_head(text, sizeof(text), request, NULL);
	if (behind == BEHIND_WRONG_TOKEN)
		memcpy(strstr(text, "token: ") + strlen("token: "), "wrong", strlen("wrong"));
	add_what_comes_first(&flight, &writer, behind);
	size_t before = flight.len;
	add(&flight, &writer, RECORD_DATA, text, len);
	size_t first = behind == BEHIND_HALF_HEAD     ? (before + flight.len) / 2
		       : behind == BEHIND_HALF_HEADER ? before + 3
						      : flight.len;
	if (!send_flight(run, client, &flight, first))
		return;
	if (behind == BEHIND_HEAD_FIN)
		(void)shutdown(client->fd, SHUT_WR);
	int result = peer_handshake_by(client, run_deadline(run, PROMPTLY_MS));
	if (behind <= BEHIND_HEAD_FIN) {
		if (run_expect(run, result == 0, "handshake: %s", strerror(-result)) &&
		    run_answer(run, client, &head, 200))
			(void)run_body(run, client, &head, id + 1, bytes, false);
		return;
	}
	if (behind == BEHIND_WRONG_TOKEN && run_answer(run, client, &head, 401))
		return;
	/* OpenSSL answers a renegotiation of TLS 1.2 by a warning, and goes on. */
	if (behind == BEHIND_HELLO_HEAD && run->driver->carried != CARRIED_KERNEL)
		return;
	/* Userspace TLS follows a KeyUpdate, and then the head is under the wrong keys. */
	if (run_closes(run, client, behind_names[behind]))
		run_expect(run, engine_moved(run->engine, id) == 0,
			   "the request behind it reached the engine");
}

/* ---- TLS 1.2: a Finished that is not whole, or not right ---- */

/* Its record, which has 16 bytes of data. */
#define FINISHED_BYTES(writer) ((size_t)((writer)->explicit_nonce ? 45 : 37))

/* All but the last byte of it, or the first bytes of its header. */
static void half_finished(struct run *run)
{
	struct peer *client = run_connect(run, 0);
	struct flight flight;
	struct record_writer writer;
	struct head head;

	if (!client || !handshake_without_last(run, client, &flight) ||
	    !run_expect(run, record_init(&writer, client) == 0, "no keys"))
		return;
	size_t left = run->test->variant ? FINISHED_BYTES(&writer) - run->test->variant : 1;
	if (!send_flight(run, client, &flight, flight.len - left))
		return;
	int result = peer_handshake_by(client, run_deadline(run, PROMPTLY_MS));
	if (run_expect(run, result == 0, "handshake: %s", strerror(-result)) &&
	    run_ask(run, client, "GET /version?bytes=10&seed=1", NULL) && run_answer(run, client, &head, 200))
		(void)run_body(run, client, &head, 2, 10, false);
}

/* The handshake fails, and then there is half a record. */
static void bad_finished(struct run *run)
{
	static const unsigned char half[] = {RECORD_DATA, 3, 3, 1, 0, 1, 2, 3, 4, 5},
				   finished[] = {20, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
	struct peer *client = run_connect(run, 0);
	struct flight flight;
	struct record_writer writer;

	if (!client || !handshake_without_last(run, client, &flight) ||
	    !run_expect(run, record_init(&writer, client) == 0, "no keys"))
		return;
	flight.len -= FINISHED_BYTES(&writer);
	writer.sequence = 0;
	add(&flight, &writer, RECORD_HANDSHAKE, finished, sizeof(finished));
	if (!send_now(run, client, flight.bytes, flight.len) || !run_logged(run, "TLS handshake failed"))
		return;
	(void)peer_put_raw_by(client, half, sizeof(half), run_deadline(run, PROMPTLY_MS));
	(void)stand(run, "half a record behind a failed handshake");
}

void cases_arm(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, SUITE_TLS12_AES128};

	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		const char *name = run_suites[suites[i]].name;
		bool tls13 = run_suites[suites[i]].version == TLS1_3_VERSION;
		struct test test = {.suite = suites[i], .run = behind_finished};
		for (unsigned behind = 0; behind < BEHIND_COUNT; behind++) {
			if (!tls13 && behind == BEHIND_KEY_UPDATE_HEAD)
				continue;
			test.variant = behind;
			test_add(list, test, "arm-behind-%s/%s", behind_names[behind], name);
		}
		if (tls13)
			continue;
		test = (struct test){.suite = suites[i], .run = half_finished, .core = i == 1};
		test_add(list, test, "arm-half-finished/%s", name);
		test.core = false;
		test.variant = 3;
		test_add(list, test, "arm-header-of-finished/%s", name);
		test.core = i == 1;
		test.run = bad_finished;
		test_add(list, test, "arm-bad-finished/%s", name);
	}
}
