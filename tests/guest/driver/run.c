/* SPDX-License-Identifier: MIT */
/* run.c: what cases have in common on the client's side. The runner itself is run_test.c. */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

/* A line that is not there yet comes soon, or not at all. */
#define LOG_WAIT_MS 5000
/* CPU time that nobody has to explain: the tail of what came before, a timer. */
#define LOAD_GRACE_US 20000.0

/* From here on a body of known length must be moved as --mover says. */
#define BIG_BYTES ((uint64_t)4 * 65536)

const struct suite run_suites[SUITE_COUNT] = {
    {"tls13-aes128", TLS1_3_VERSION, "TLSv1.3", "TLS_AES_128_GCM_SHA256"},
    {"tls13-aes256", TLS1_3_VERSION, "TLSv1.3", "TLS_AES_256_GCM_SHA384"},
    {"tls13-chacha", TLS1_3_VERSION, "TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"},
    {"tls12-aes128", TLS1_2_VERSION, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {"tls12-aes256", TLS1_2_VERSION, "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {"tls12-chacha", TLS1_2_VERSION, "TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305"},
};

bool run_expect(struct run *run, bool good, const char *format, ...)
{
	va_list args;

	if (good || run->failed)
		return good;
	run->failed = true;
	va_start(args, format);
	(void)vsnprintf(run->reason, sizeof(run->reason), format, args);
	va_end(args);
	return false;
}

uint64_t run_stretch_ms(const struct run *run, uint64_t ms)
{
	return (uint64_t)((double)ms * run->driver->slowness);
}

uint64_t run_deadline(const struct run *run, uint64_t ms)
{
	return clock_now_ms() + run_stretch_ms(run, ms);
}

uint64_t run_new_id(struct run *run)
{
	return ++run->driver->last_id;
}

/* ---- clients ---- */

static SSL *client_ssl(const struct run *run)
{
	const struct suite *suite = &run_suites[run->test->suite];
	SSL *ssl = SSL_new(run->driver->client_ctx);

	if (!ssl)
		return NULL;
	SSL_set_connect_state(ssl);
	int good = SSL_set_min_proto_version(ssl, suite->version) == 1 &&
		   SSL_set_max_proto_version(ssl, suite->version) == 1 &&
		   X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), "127.0.0.1") == 1;
	good = good && (suite->version == TLS1_3_VERSION ? SSL_set_ciphersuites(ssl, suite->suite_name)
							 : SSL_set_cipher_list(ssl, suite->suite_name)) == 1;
	if (good)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

static int client_socket(const struct run *run, int receive_bytes)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
					    .sin_port = htons((uint16_t)run->gate->port),
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -errno;
	if (receive_bytes > 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0) {
		int result = -errno;
		close(fd);
		return result;
	}
	return fd;
}

struct peer *run_connect(struct run *run, int receive_bytes)
{
	const struct suite *suite = &run_suites[run->test->suite];

	if (!run_expect(run, run->clients_count < RUN_CLIENTS_MAX, "too many clients in one case"))
		return NULL;
	int fd = client_socket(run, receive_bytes);
	if (!run_expect(run, fd >= 0, "cannot connect to headgate: %s", strerror(-fd)))
		return NULL;
	SSL *ssl = client_ssl(run);
	if (!ssl)
		close(fd);
	struct peer *client = ssl ? peer_new(fd, ssl) : NULL;
	if (!run_expect(run, client, "this OpenSSL has no %s %s", suite->version_name, suite->suite_name))
		return NULL;
	run->clients[run->clients_count++] = client;
	return client;
}

struct peer *run_client(struct run *run, int receive_bytes)
{
	struct peer *client = run_connect(run, receive_bytes);

	if (!client)
		return NULL;
	int result = peer_handshake_by(client, run_deadline(run, LONG_MS));
	if (!run_expect(run, result == 0, "handshake: %s", strerror(-result)))
		return NULL;
	return client;
}

void run_forget(struct run *run, const struct peer *client)
{
	for (unsigned i = 0; i < run->clients_count; i++)
		if (run->clients[i] == client)
			run->clients[i] = NULL;
}

int run_port(const struct peer *client)
{
	struct sockaddr_in address = {0};
	socklen_t len = sizeof(address);

	if (getsockname(client->fd, (struct sockaddr *)(void *)&address, &len) < 0)
		return 0;
	return ntohs(address.sin_port);
}

/* ---- requests and answers ---- */

size_t run_write_head(char *out, size_t cap, const char *request, const char *fields)
{
	int n = snprintf(out, cap, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\ntoken: " GATE_TOKEN "\r\n%s\r\n",
			 request, fields ? fields : "");

	return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

bool run_ask(struct run *run, struct peer *client, const char *request, const char *fields)
{
	char text[2048];
	size_t len = run_write_head(text, sizeof(text), request, fields);
	int result = peer_put_by(client, text, len, PEER_RECORD_MAX_BYTES, run_deadline(run, PROMPTLY_MS));

	return run_expect(run, result == 0, "cannot send the head of %s: %s", request, strerror(-result));
}

bool run_answer(struct run *run, struct peer *client, struct head *head, int status)
{
	int result = head_read_by(head, client, run_deadline(run, LONG_MS));

	if (!run_expect(run, result == 0, "no answer: %s (%s)", strerror(-result),
			ending_name(client->ending)))
		return false;
	return run_expect(run, head_status(head) == status, "status %d instead of %d: %s", head_status(head),
			  status, head->text);
}

bool run_body(struct run *run, struct peer *client, const struct head *head, uint64_t seed, uint64_t bytes,
	      bool until_end)
{
	uint64_t length;
	struct body_in in;
	struct transfer transfer = {.in = &in, .until_end = until_end};
	enum framing framing = head_framing(head, &length);

	if (framing == FRAMING_LENGTH &&
	    !run_expect(run, length == bytes, "Content-Length %" PRIu64 " instead of %" PRIu64, length,
			bytes))
		return false;
	body_in_init(&in, framing, seed, bytes);
	int result = transfer_by(client, &transfer, run_deadline(run, LONG_MS));
	if (!run_expect(run, !in.bad, "the answer's content is wrong at byte %" PRIu64, in.bad_at) ||
	    !run_expect(run, result == 0 && body_in_is_whole(&in),
			"%" PRIu64 " of %" PRIu64 " bytes came: %s, %s", in.done_bytes, bytes,
			result ? strerror(-result) : "ended", ending_name(client->ending)))
		return false;
	return !until_end ||
	       (run_expect(run, transfer.behind_body_bytes == 0, "bytes behind the answer's end") &&
		run_expect(run, client->ending == ENDING_CLEAN, "after the answer: %s",
			   ending_name(client->ending)));
}

bool run_tunnel(struct run *run, struct peer *client, const char *query)
{
	char request[512];
	bool legacy = strstr(query, "legacy=1");
	struct head head;

	snprintf(request, sizeof(request), "POST /v1.43/containers/x/attach?%s", query);
	return run_ask(run, client, request,
		       legacy ? "Content-Length: 0\r\n"
			      : "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n") &&
	       run_answer(run, client, &head, legacy ? 200 : 101);
}

bool run_engine_got(struct run *run, uint64_t id, uint64_t bytes, enum ending ending)
{
	struct engine_result result;
	bool done = engine_wait(run->engine, id, &result, run_deadline(run, LONG_MS));

	return run_expect(run, done, "the engine still waits, with %" PRIu64 " bytes moved", result.moved) &&
	       run_expect(run, !result.in_bad, "wrong bytes reached the engine") &&
	       run_expect(run, result.in_bytes == bytes && result.in_whole,
			  "%" PRIu64 " of %" PRIu64 " bytes reached the engine (%s)", result.in_bytes, bytes,
			  ending_name(result.ending)) &&
	       run_expect(run, !ending || result.ending == ending, "the engine saw: %s",
			  ending_name(result.ending));
}

bool run_closes(struct run *run, struct peer *client, const char *after_what)
{
	struct run_load load = run_load_begin(run);
	enum ending ending = peer_drain_by(client, NULL, run_deadline(run, PROMPTLY_MS));

	return run_expect(run, ending != ENDING_NONE, "headgate does not close after %s", after_what) &&
	       run_load_end(run, load, 50, after_what);
}

/* ---- headgate's log ---- */

static bool mover_is_right(const struct run *run, const char *mover, bool big)
{
	const struct driver *driver = run->driver;
	bool kernel = strncmp(mover, "ktls-", 5) == 0;

	if (!kernel)
		return driver->carried != CARRIED_KERNEL && strcmp(mover, "tls") == 0;
	if (driver->carried == CARRIED_USERSPACE)
		return false;
	if (strcmp(driver->mover, "copy") == 0)
		return strcmp(mover, "ktls-copy") == 0;
	return !big || strcmp(driver->mover, "splice") != 0 || strcmp(mover, "ktls-splice") == 0;
}

bool run_carried(struct run *run, const struct peer *client, uint64_t up_bytes, uint64_t down_bytes,
		 bool known_length)
{
	char peer[40], wanted[40] = " up=", line[600], up_mover[24] = "", down_mover[24] = "";
	uint64_t up = 0, down = 0;

	snprintf(peer, sizeof(peer), " 127.0.0.1:%d ", run_port(client));
	/* With the bytes in it, so that no earlier record of this connection is taken for the last one. */
	if (down_bytes != UINT64_MAX)
		snprintf(wanted, sizeof(wanted), " down=%" PRIu64 "/", down_bytes);
	else if (up_bytes != UINT64_MAX)
		snprintf(wanted, sizeof(wanted), " up=%" PRIu64 "/", up_bytes);
	bool found = gate_log_wait(run->gate, run->log_from, peer, wanted, line, sizeof(line),
				   run_deadline(run, PROMPTLY_MS));
	if (!found)
		found = gate_log_find(run->gate, run->log_from, peer, " up=", line, sizeof(line));
	if (!run_expect(run, found, "headgate logs no record of the exchange"))
		return false;
	const char *at = strstr(line, " up=");
	if (!run_expect(run,
			sscanf(at, " up=%" SCNu64 "/%23s down=%" SCNu64 "/%23s", &up, up_mover, &down,
			       down_mover) == 4,
			"cannot read the record: %s", line))
		return false;
	return run_expect(run, up_bytes == UINT64_MAX || up == up_bytes, "the record's bytes up: %s", line) &&
	       run_expect(run, down_bytes == UINT64_MAX || down == down_bytes, "the record's bytes down: %s",
			  line) &&
	       run_expect(run, mover_is_right(run, up_mover, known_length && up >= BIG_BYTES),
			  "the mover up: %s", line) &&
	       run_expect(run, mover_is_right(run, down_mover, known_length && down >= BIG_BYTES),
			  "the mover down: %s", line);
}

bool run_logged(struct run *run, const char *text)
{
	return run_expect(
	    run, gate_log_wait(run->gate, run->log_from, text, NULL, NULL, 0, clock_now_ms() + LOG_WAIT_MS),
	    "headgate's log does not say '%s'", text);
}

void run_counts_key_update(struct run *run)
{
	run->key_updates.once = true;
}

void run_counts_truncation(struct run *run)
{
	run->truncations.once = true;
}

/* ---- the machine ---- */

bool run_is_guest(void)
{
	char text[512] = "";
	FILE *file = fopen("/proc/cmdline", "re");

	if (!file)
		return false;
	bool is = fgets(text, sizeof(text), file) && strstr(text, "rdinit=/init");
	(void)fclose(file);
	return is;
}

bool run_write_setting(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return false;
	bool good = fputs(text, file) >= 0;
	return fclose(file) == 0 && good;
}

/* ---- CPU ---- */

struct run_load run_load_begin(const struct run *run)
{
	return (struct run_load){clock_now_us(), gate_cpu_us(run->gate)};
}

bool run_load_end(struct run *run, struct run_load begin, unsigned percent, const char *during_what)
{
	uint64_t wall_us = clock_now_us() - begin.start_us, cpu_us = gate_cpu_us(run->gate) - begin.cpu_us;
	double limit_us = (double)wall_us * percent / 100 + LOAD_GRACE_US * run->driver->slowness;

	return run_expect(run, (double)cpu_us <= limit_us,
			  "headgate used %" PRIu64 " ms of CPU in %" PRIu64 " ms: %s", cpu_us / 1000,
			  wall_us / 1000, during_what);
}
