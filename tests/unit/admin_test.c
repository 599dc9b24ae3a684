/* SPDX-License-Identifier: MIT */
/* admin_test.c: /health and /ready, asked by clients good and bad. */
#include "admin.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>

#include "net_support.h"

/* What the header says is two seconds; a loaded host adds to that, one that hangs goes on for ever. */
#define AT_MOST_MS 10000

static char dir[64], admin_path[108], engine_path[108], answer[4096];
static struct admin admin;
static struct engine engine;
static struct config config;

static struct counters counters[2];

static void sum(void *context, uint64_t sums[COUNTER_COUNT])
{
	cr_assert_null(context);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		counters_sum(sums, &counters[i]);
}

static void setup(void)
{
	char url[128], error[512] = "";
	const char *reason;

	net_dir_make(dir);
	snprintf(admin_path, sizeof(admin_path), "%s/admin", dir);
	snprintf(engine_path, sizeof(engine_path), "%s/engine", dir);
	snprintf(url, sizeof(url), "unix://%s", engine_path);
	cr_assert_eq(config_address_parse(&config.engine, url, false, &reason), 0);
	cr_assert_eq(engine_init(&engine, &config, error, sizeof(error)), 0, "%s", error);
	snprintf(url, sizeof(url), "unix://%s", admin_path);
	cr_assert_eq(config_address_parse(&config.admin, url, true, &reason), 0);
	admin_init(&admin);
	cr_assert_eq(admin.fd, -1);
	cr_assert_eq(admin_open(&admin, &config.admin, &engine, sum, NULL, error, sizeof(error)), 0, "%s",
		     error);
	cr_assert_geq(admin.fd, 0);
}

static void teardown(void)
{
	admin_close(&admin);
	engine_fini(&engine);
	net_dir_remove(dir);
}

TestSuite(admin, .init = setup, .fini = teardown, .timeout = 300);

/* Sends the bytes, lets admin answer and reads all until the end; the status or 0. */
static int ask(const char *request, size_t len, bool draining)
{
	unsigned fds = net_open_fds();
	int client = net_unix_connect(admin_path), status = 0;
	size_t n;

	cr_assert_geq(client, 0);
	cr_assert(net_wait(admin.fd, POLLIN, 0));
	if (len)
		net_send(client, request, len);
	admin_answer(&admin, draining);
	n = net_recv(client, answer, sizeof(answer) - 1, 100);
	answer[n] = '\0';
	/* With bytes unread a unix socket ends in a reset, behind the answer. */
	char byte;
	ssize_t end = recv(client, &byte, 1, MSG_DONTWAIT);
	cr_assert(end == 0 || (end < 0 && errno == ECONNRESET), "it is closed");
	close(client);
	cr_assert_eq(net_open_fds(), fds, "descriptors");
	if (n > 0)
		cr_assert_eq(sscanf(answer, "HTTP/1.1 %d ", &status), 1, "%s", answer);
	return status;
}

static int get(const char *method, const char *target, bool draining)
{
	char request[256];
	int len = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, target);

	return ask(request, (size_t)len, draining);
}

static const char *body(void)
{
	const char *end = strstr(answer, "\r\n\r\n");

	cr_assert_not_null(end, "%s", answer);
	return end + 4;
}

static size_t content_length(void)
{
	const char *field = strstr(answer, "\r\nContent-Length: ");

	cr_assert_not_null(field, "%s", answer);
	return (size_t)strtoul(field + 18, NULL, 10);
}

Test(admin, health)
{
	cr_assert_eq(get("GET", "/health", false), 200, "though the engine is down");
	cr_assert_eq(strlen(body()), content_length());
	cr_assert_not_null(strstr(answer, "\r\nConnection: close\r\n"));
	cr_assert_eq(get("GET", "/health", true), 200, "and while draining");
}

/* An engine that gives these answers, one a connection. */
struct scripted {
	int listener;
	const char *const *answers;
	pthread_t thread;
};

static void *scripted_run(void *arg)
{
	struct scripted *scripted = arg;

	for (const char *const *one = scripted->answers; *one; one++) {
		char request[1024];
		int fd = accept(scripted->listener, NULL, NULL);

		cr_assert_gt(recv(fd, request, sizeof(request), 0), 0);
		net_send(fd, *one, strlen(*one));
		close(fd);
	}
	return NULL;
}

static int get_ready(const char *first, const char *second)
{
	const char *const answers[] = {first, second, NULL};
	struct scripted scripted = {.listener = net_unix_listener(engine_path, 5), .answers = answers};

	cr_assert_eq(pthread_create(&scripted.thread, NULL, scripted_run, &scripted), 0);
	/* Its descriptors come and go meanwhile: ask() would count them. */
	static const char request[] = "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n";
	int client = net_unix_connect(admin_path), status = 0;
	net_send(client, request, sizeof(request) - 1);
	admin_answer(&admin, false);
	answer[net_recv(client, answer, sizeof(answer) - 1, 100)] = '\0';
	close(client);
	pthread_join(scripted.thread, NULL);
	close(scripted.listener);
	unlink(engine_path);
	cr_assert_eq(sscanf(answer, "HTTP/1.1 %d ", &status), 1, "%s", answer);
	return status;
}

#define NO_SWARM    "HTTP/1.0 503 Service Unavailable\r\n\r\n{\"message\":\"This node is not a swarm manager.\"}"
#define INFO(state) "HTTP/1.0 200 OK\r\n\r\n{\"ID\":\"x\",\"Swarm\":{\"LocalNodeState\":\"" state "\"}}"

Test(admin, ready_is_a_manager_or_in_no_swarm)
{
	cr_assert_eq(get_ready("HTTP/1.0 200 OK\r\n\r\n{\"ID\":\"x\"}", NULL), 200);
	cr_assert_str_eq(body(), "ok\n");
	cr_assert_eq(get_ready(NO_SWARM, INFO("inactive")), 200);
	cr_assert_eq(get_ready(NO_SWARM, INFO("active")), 503, "a worker, or no leader");
	cr_assert_not_null(strstr(body(), "no manager of it that reaches its leader"), "%s", answer);
	cr_assert_eq(get_ready(NO_SWARM, INFO("locked")), 503);
	cr_assert_eq(get_ready(NO_SWARM, "HTTP/1.0 500 Oops\r\n\r\n{}"), 503);
	cr_assert_not_null(strstr(body(), "answers GET /info with 500"), "%s", answer);
	cr_assert_eq(get_ready("SSH-2.0\r\n", NULL), 503);
}

Test(admin, ready)
{
	int listener;

	cr_assert_eq(get("GET", "/ready", false), 503);
	cr_assert_not_null(strstr(body(), engine_path), "the reason: %s", answer);
	cr_assert_eq(strlen(body()), content_length());
	listener = net_unix_listener(engine_path, 5);
	cr_assert_eq(get("GET", "/ready", false), 503, "it is there, and says nothing");
	cr_assert_not_null(strstr(body(), "timed out"), "%s", answer);
	cr_assert_eq(strlen(body()), content_length());
	cr_assert_eq(get("GET", "/ready", true), 503);
	cr_assert_not_null(strstr(body(), "draining"));
	close(listener);
	cr_assert_eq(get("GET", "/ready", false), 503, "its socket is there, but nobody listens");
}

/* Each question to an engine that says nothing takes a second, in which no token is revoked. */
Test(admin, all_that_ask_together_wait_once)
{
	static const char request[] = "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n";
	int clients[4], asked = 0, fd, listener = net_unix_listener(engine_path, 5);

	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = net_unix_connect(admin_path);
		net_send(clients[i], request, sizeof(request) - 1);
	}
	admin_answer(&admin, false);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		answer[net_recv(clients[i], answer, sizeof(answer) - 1, 100)] = '\0';
		cr_assert_not_null(strstr(answer, "timed out"), "client %zu: %s", i, answer);
		close(clients[i]);
	}
	while (net_wait(listener, POLLIN, 0) && (fd = accept(listener, NULL, NULL)) >= 0) {
		asked++;
		close(fd);
	}
	cr_assert_eq(asked, 1);
	close(listener);
}

/* While one waits for the engine, another's question is none the worse. */
Test(admin, health_is_told_while_the_engine_hangs)
{
	static const char ready[] = "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n",
			  health[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
	int first, second, listener = net_unix_listener(engine_path, 5);

	first = net_unix_connect(admin_path);
	second = net_unix_connect(admin_path);
	net_send(first, ready, sizeof(ready) - 1);
	net_send(second, health, sizeof(health) - 1);
	while (net_wait(admin.fd, POLLIN, 0))
		admin_answer(&admin, false);
	answer[net_recv(second, answer, sizeof(answer) - 1, 100)] = '\0';
	cr_assert_eq(strncmp(answer, "HTTP/1.1 200 ", 13), 0, "%s", answer);
	close(first);
	close(second);
	close(listener);
}

Test(admin, ready_with_a_busy_engine)
{
	int clients[16], listener = net_unix_listener(engine_path, 0);
	int count = net_unix_fill_queue(engine_path, clients, (int)ARRAY_SIZE(clients));

	cr_assert_eq(get("GET", "/ready", false), 503);
	while (count > 0)
		close(clients[--count]);
	close(listener);
}

/* An engine that lets connections hang (a TCP queue that is full answers nothing). */
Test(admin, ready_with_a_hanging_engine)
{
	struct sockaddr_in address;
	struct engine unix_engine = engine;
	char url[64], error[512];
	const char *reason;
	int fds[8], count = 0, listener = net_tcp_listener(0, &address);

	snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
	cr_assert_eq(config_address_parse(&config.engine, url, false, &reason), 0);
	cr_assert_eq(engine_init(&engine, &config, error, sizeof(error)), 0, "%s", error);
	do {
		cr_assert_lt(count, 8, "the queue never fills");
		cr_assert_eq(engine_connect(&engine, &fds[count]), -EINPROGRESS);
	} while (net_wait(fds[count++], POLLOUT, 200));
	long long before = net_now_ms();
	cr_assert_eq(get("GET", "/ready", false), 503);
	cr_assert_lt(net_now_ms() - before, AT_MOST_MS);
	cr_assert_not_null(strstr(body(), "timed out"), "%s", answer);
	while (count > 0)
		close(fds[--count]);
	close(listener);
	engine_fini(&engine);
	engine = unix_engine;
}

static bool has_line(const char *line)
{
	const char *at = strstr(body(), line);

	return at && (at == body() || at[-1] == '\n') && at[strlen(line)] == '\n';
}

Test(admin, metrics)
{
	counter_add(&counters[0], COUNTER_OPENED, 5);
	counter_add(&counters[1], COUNTER_OPENED, 2);
	counter_add(&counters[1], COUNTER_CLOSED, 3);
	counter_add(&counters[0], COUNTER_KEY_UPDATES, 1);
	counter_add(&counters[1], COUNTER_DOWN_BYTES, UINT64_C(1) << 40);
	cr_assert_eq(get("GET", "/metrics", true), 200, "while draining, too");
	cr_assert_eq(strlen(body()), content_length());
	cr_assert_not_null(strstr(answer, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	cr_assert(has_line("headgate_connections_open 4"), "%s", answer);
	cr_assert(has_line("headgate_connections_total 7"), "%s", answer);
	cr_assert(has_line("headgate_key_updates_total 1"), "%s", answer);
	cr_assert(has_line("headgate_body_bytes_total{direction=\"down\"} 1099511627776"), "%s", answer);
	cr_assert(has_line("headgate_requests_total{result=\"unauthorized\"} 0"), "%s", answer);
	cr_assert_eq(body()[strlen(body()) - 1], '\n', "or Prometheus takes it for cut off");
}

/* Each metric has its HELP and TYPE once, before its first sample, and no name comes back later. */
Test(admin, metrics_stand_together)
{
	char last[64] = "", seen[4096] = "", *line, *next;

	cr_assert_eq(get("GET", "/metrics", false), 200);
	for (line = strstr(answer, "\r\n\r\n") + 4; *line; line = next + 1) {
		char name[64];

		next = strchr(line, '\n');
		cr_assert_not_null(next);
		*next = '\0';
		cr_assert_eq(sscanf(line, *line == '#' ? "# %*s %63s" : "%63[^{ ]", name), 1, "%s", line);
		if (strcmp(name, last) != 0) {
			cr_assert_eq(strncmp(line, "# HELP ", 7), 0, "%s", line);
			cr_assert_null(strstr(seen, name), "%s again", name);
			strlcat(seen, name, sizeof(seen));
			strlcat(seen, "\n", sizeof(seen));
			strlcpy(last, name, sizeof(last));
		}
	}
}

Test(admin, metrics_never_overflow)
{
	uint64_t sums[COUNTER_COUNT];
	char text[COUNTERS_TEXT_MAX];

	memset(sums, 0xff, sizeof(sums));
	sums[COUNTER_CLOSED] = 0;
	long whole = counters_write(sums, text, sizeof(text));
	cr_assert_gt(whole, 0);
	cr_assert_eq(strlen(text), (size_t)whole);
	for (size_t cap = 1; cap <= (size_t)whole; cap += 7)
		cr_assert_eq(counters_write(sums, text, cap), -ENOSPC, "%zu", cap);
}

Test(admin, head_has_no_body)
{
	static const char *const targets[] = {"/health", "/ready", "/metrics", "/nothing"};

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		int status = get("GET", targets[i], false);
		size_t length = content_length();

		cr_assert_eq(get("HEAD", targets[i], false), status, "%s", targets[i]);
		cr_assert_str_empty(body());
		cr_assert_eq(content_length(), length, "the same as for GET");
	}
}

Test(admin, nothing_else_is_there)
{
	static const char *const targets[] = {"/",	  "/healthy", "/health/",
					      "/ready/x", "/version", "/containers/json"};

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		cr_assert_eq(get("GET", targets[i], false), 404, "%s", targets[i]);
		cr_assert_eq(strlen(body()), content_length());
	}
	cr_assert_eq(get("POST", "/health", false) / 100, 4);
	cr_assert_eq(get("DELETE", "/ready", false) / 100, 4);
}

Test(admin, garbage)
{
	static const char *const rows[] = {
	    "\r\n\r\n",
	    "hello\r\n\r\n",
	    "GET /health HTTP/1.1\r\nbad field\r\n\r\n",
	    "GET /health HTTP/2.0\r\nHost: x\r\n\r\n",
	    "\x16\x03\x01\x02\x00\x01",
	    "GET /health HTTP/1.1\r\nHost: x\r\n",
	};
	static char large[16384];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		long long before = net_now_ms();

		cr_assert_eq(ask(rows[i], strlen(rows[i]), false), 400, "row %zu: %s", i, answer);
		cr_assert_lt(net_now_ms() - before, AT_MOST_MS);
	}
	memset(large, 'A', sizeof(large));
	cr_assert_eq(ask(large, sizeof(large), false) / 100, 4);
	cr_assert_eq(get("GET", "/health", false), 200, "and the next one is served");
}

Test(admin, a_silent_client_holds_nobody_long)
{
	long long before = net_now_ms();
	int status = ask("", 0, false);

	cr_assert_lt(net_now_ms() - before, AT_MOST_MS);
	cr_assert(status == 0 || status / 100 == 4, "%d", status);
	cr_assert_eq(get("GET", "/health", false), 200);
}

Test(admin, a_client_that_is_gone)
{
	int client = net_unix_connect(admin_path);
	long long before = net_now_ms();

	net_send(client, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 33);
	close(client);
	admin_answer(&admin, false); /* no signal */
	cr_assert_lt(net_now_ms() - before, AT_MOST_MS);
	cr_assert_eq(get("GET", "/health", false), 200);
}

Test(admin, nobody_there)
{
	long long before = net_now_ms();

	admin_answer(&admin, false);
	cr_assert_lt(net_now_ms() - before, AT_MOST_MS);
}

Test(admin, over_tcp_and_closed)
{
	struct admin tcp;
	struct config_address address;
	char error[512] = "";
	const char *reason;

	cr_assert_eq(config_address_parse(&address, "tcp://127.0.0.1:0", true, &reason), 0, "%s", reason);
	admin_init(&tcp);
	cr_assert_eq(admin_open(&tcp, &address, &engine, sum, NULL, error, sizeof(error)), 0, "%s", error);
	cr_assert_neq(tcp.listener.address.port, 0);
	admin_close(&tcp);
	cr_assert_eq(tcp.fd, -1);
	admin_close(&tcp);
}

Test(admin, the_error_names_its_option)
{
	struct admin other;
	char error[512] = "";

	admin_init(&other);
	cr_assert_eq(admin_open(&other, &config.admin, &engine, sum, NULL, error, sizeof(error)),
		     -EADDRINUSE);
	cr_assert_eq(strncmp(error, "--admin ", 8), 0, "%s", error);
	cr_assert_null(strstr(error, "--listen"), "%s", error);
	cr_assert_eq(other.fd, -1);
	admin_close(&other);
	admin_answer(&admin, false); /* the other one's question whether anybody lives here */
	cr_assert_eq(get("GET", "/health", false), 200, "the first one is unharmed");
}
