/* SPDX-License-Identifier: MIT */
/* engine_ask_test.c: what the engine says of itself, and every way in which it does not. */
#include "engine_ask.h"

#include "tls_support.h"

#include <pthread.h>

#define SHORT_MS   300
#define PING_START "GET /_ping HTTP/1.1\r\nHost: docker\r\n"

static char dir[64], path[108], url[128], error[512];
static struct config config;
static struct engine engine;
static struct engine_identity identity;

static void setup(void)
{
	net_dir_make(dir);
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(url, sizeof(url), "unix://%s", path);
}

static void teardown(void)
{
	engine_fini(&engine);
	net_dir_remove(dir);
}

TestSuite(engine_ask, .init = setup, .fini = teardown, .timeout = 300);

/* An engine for one connection: reads a request's head, says `answer` byte by byte, and closes or holds on.
 */
struct fake {
	pthread_t thread;
	int listener;
	SSL_CTX *ctx; /* NULL: plain */
	const char *answer;
	bool holds; /* until the peer goes */
	char request[1024];
};

static int fake_read(SSL *ssl, int fd, char *data, size_t len)
{
	return ssl ? SSL_read(ssl, data, (int)len) : (int)recv(fd, data, len, 0);
}

static void fake_talk(struct fake *fake, SSL *ssl, int fd)
{
	size_t len = 0;
	int n;

	while (!strstr(fake->request, "\r\n\r\n") &&
	       (n = fake_read(ssl, fd, fake->request + len, sizeof(fake->request) - 1 - len)) > 0)
		len += (size_t)n;
	for (const char *c = fake->answer; *c; c++)
		if ((ssl ? SSL_write(ssl, c, 1) : (int)send(fd, c, 1, MSG_NOSIGNAL)) != 1)
			return;
	if (fake->holds)
		while (fake_read(ssl, fd, (char[64]){0}, 64) > 0)
			;
}

static void *fake_run(void *arg)
{
	struct fake *fake = arg;
	int fd = accept(fake->listener, NULL, NULL);
	SSL *ssl = fake->ctx ? SSL_new(fake->ctx) : NULL;

	if (ssl)
		SSL_set_fd(ssl, fd);
	if (!ssl || SSL_accept(ssl) == 1)
		fake_talk(fake, ssl, fd);
	SSL_free(ssl);
	close(fd);
	return NULL;
}

static void engine_at(const char *text)
{
	const char *reason = "";

	cr_assert_eq(config_address_parse(&config.engine, text, false, &reason), 0, "%s: %s", text, reason);
	cr_assert_eq(engine_init(&engine, &config, error, sizeof(error)), 0, "%s", error);
}

static int ask(struct fake *fake, unsigned timeout_ms)
{
	unsigned fds = net_open_fds();

	error[0] = '\0';
	cr_assert_eq(pthread_create(&fake->thread, NULL, fake_run, fake), 0);
	int result = engine_ask(&engine, timeout_ms, &identity, error, sizeof(error));
	pthread_join(fake->thread, NULL);
	cr_assert_eq(net_open_fds(), fds, "descriptors are left open");
	return result;
}

static int ask_unix(const char *answer, bool holds, unsigned timeout_ms)
{
	struct fake fake = {.listener = net_unix_listener(path, 5), .answer = answer, .holds = holds};

	engine_at(url);
	int result = ask(&fake, timeout_ms);
	cr_assert_eq(strncmp(fake.request, PING_START, sizeof(PING_START) - 1), 0, "%s", fake.request);
	close(fake.listener);
	return result;
}

static void error_has(const char *text)
{
	cr_assert_not_null(strstr(error, text), "'%s' in: %s", text, error);
	cr_assert_null(strchr(error, '\n'), "more than one line: %s", error);
}

Test(engine_ask, versions_stand_in_the_head_and_the_end_need_not_come)
{
	cr_assert_eq(
	    ask_unix("HTTP/1.1 200 OK\r\nApi-Version: 1.45\r\nServer: Docker/26.1.5+dfsg1 (linux)\r\n"
		     "Content-Length: 2\r\n\r\nOK",
		     true, NET_PATIENCE_MS),
	    0, "%s", error);
	cr_assert_str_eq(identity.server, "Docker/26.1.5+dfsg1 (linux)");
	cr_assert_str_eq(identity.api_version, "1.45");
}

Test(engine_ask, an_engine_that_says_no_version_is_one_too)
{
	cr_assert_eq(ask_unix("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nOK", false, NET_PATIENCE_MS), 0);
	cr_assert_str_eq(identity.server, "");
	cr_assert_str_eq(identity.api_version, "");
}

Test(engine_ask, long_and_odd_versions_are_cut_and_printable)
{
	char answer[512];

	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 200 OK\r\nApi-Version: 1.4\xff\r\nServer: %0200d\r\nContent-Length: 0\r\n\r\n", 7);
	cr_assert_eq(ask_unix(answer, false, NET_PATIENCE_MS), 0, "%s", error);
	cr_assert_str_eq(identity.api_version, "1.4?");
	cr_assert_eq(strlen(identity.server), sizeof(identity.server) - 1);
}

Test(engine_ask, what_is_no_engine)
{
	static const struct {
		const char *answer, *says;
	} cases[] = {
	    {"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "with 400 (does it want tls://?)"},
	    {"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n", "answers GET /_ping with 503"},
	    {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "its answer is no HTTP"},
	    {"\x15\x03\x03", "its answer is no HTTP"},
	    {"HTTP/1.1 200 OK\r\nApi", "without an answer"},
	    {"", "without an answer"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_lt(ask_unix(cases[i].answer, false, NET_PATIENCE_MS), 0, "%s", cases[i].answer);
		error_has("headgate: no good answer from the Docker Engine at unix://");
		error_has(cases[i].says);
		cr_assert_str_eq(identity.server, "");
		unlink(path);
	}
}

Test(engine_ask, a_head_without_end_is_not_read_for_ever)
{
	char *answer = calloc(1, 40000);

	strlcpy(answer, "HTTP/1.1 200 OK\r\nX: ", 40000);
	memset(answer + strlen(answer), 'x', 30000);
	cr_assert_lt(ask_unix(answer, false, NET_PATIENCE_MS), 0);
	error_has("very long head");
	free(answer);
}

Test(engine_ask, silence_has_an_end)
{
	long long begin = net_now_ms();

	cr_assert_eq(ask_unix("", true, SHORT_MS), -ETIMEDOUT);
	cr_assert_geq(net_now_ms() - begin, SHORT_MS - 20);
	cr_assert_lt(net_now_ms() - begin, NET_PATIENCE_MS);
	error_has("timed out");
}

Test(engine_ask, a_trickle_has_the_same_end)
{
	long long begin = net_now_ms();

	/* A head that never ends, one byte at a time, holds nobody longer than silence does. */
	cr_assert_eq(ask_unix("HTTP/1.1 200 OK\r\nA: b\r\n", true, SHORT_MS), -ETIMEDOUT);
	cr_assert_lt(net_now_ms() - begin, NET_PATIENCE_MS);
}

Test(engine_ask, nobody_there)
{
	unsigned fds = net_open_fds();

	engine_at(url);
	cr_assert_eq(engine_ask(&engine, NET_PATIENCE_MS, &identity, error, sizeof(error)), -ENOENT);
	error_has("cannot reach the Docker Engine");
	error_has("; is dockerd running");
	cr_assert_eq(net_open_fds(), fds);
}

/* An engine with TLS that wants a client certificate; `server_ca` signs what it shows. */
static int ask_tls(const char *server_dir, const char *answer)
{
	struct sockaddr_in address;
	struct fake fake = {.listener = net_tcp_listener(5, &address), .answer = answer};
	char text[64];

	fake.ctx = bare_ctx(server_dir, true, TLS1_3_VERSION);
	config.engine_cert_dir = dir;
	snprintf(text, sizeof(text), "tls://127.0.0.1:%u", ntohs(address.sin_port));
	engine_at(text);
	int result = ask(&fake, NET_PATIENCE_MS);
	SSL_CTX_free(fake.ctx);
	close(fake.listener);
	return result;
}

Test(engine_ask, over_tls_with_a_client_certificate)
{
	struct authority authority;

	authority_make(&authority);
	credentials_save(&authority, dir);
	cr_assert_eq(ask_tls(dir, "HTTP/1.1 200 OK\r\nServer: Docker/1\r\nContent-Length: 0\r\n\r\n"), 0,
		     "%s", error);
	cr_assert_str_eq(identity.server, "Docker/1");
	authority_free(&authority);
}

Test(engine_ask, another_ca_is_not_believed)
{
	struct authority ours, others;
	char other_dir[64];

	net_dir_make(other_dir);
	authority_make(&ours);
	authority_make(&others);
	credentials_save(&ours, dir);
	credentials_save(&others, other_dir);
	cr_assert_lt(ask_tls(other_dir, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 0);
	error_has("cannot reach the Docker Engine");
	error_has("certificate");
	net_dir_remove(other_dir);
	authority_free(&ours);
	authority_free(&others);
}

/* TLS 1.3: our handshake is done before the engine has seen our certificate. */
Test(engine_ask, a_client_certificate_that_the_engine_refuses)
{
	struct authority ours, others;
	char other_dir[64];

	net_dir_make(other_dir);
	authority_make(&ours);
	authority_make(&others);
	credentials_save(&ours, other_dir);
	credentials_save(&others, dir);
	/* It is believed: its CA is given to us. What we show is another's. */
	pem_save(dir, "ca.pem", pki_certs_pem(ours.cert, NULL), 0644);
	cr_assert_lt(ask_tls(other_dir, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 0);
	error_has("no good answer from the Docker Engine");
	error_has("alert");
	net_dir_remove(other_dir);
	authority_free(&ours);
	authority_free(&others);
}
