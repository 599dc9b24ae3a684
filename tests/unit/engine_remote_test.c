/* SPDX-License-Identifier: MIT */
/* engine_remote_test.c: the engine behind another headgate: trust, the token, and what is said when it fails.
 */
#include "engine_ask.h"

#include <pthread.h>

#include "tls_support.h"
#include "token.h"

static char dir[64], error[512];
static struct authority authority;
static struct config config;
static struct engine engine;

static void setup(void)
{
	net_dir_make(dir);
	authority_make(&authority);
	credentials_save(&authority, dir);
}

static void teardown(void)
{
	engine_fini(&engine);
	authority_free(&authority);
	net_dir_remove(dir);
}

TestSuite(engine_remote, .init = setup, .fini = teardown, .timeout = 300);

static int init_at(const char *text)
{
	const char *reason = "";

	cr_assert_eq(config_address_parse(&config.engine, text, false, &reason), 0, "%s: %s", text, reason);
	error[0] = '\0';
	return engine_init_remote(&engine, &config, error, sizeof(error));
}

static void error_has(const char *text)
{
	cr_assert_not_null(strstr(error, text), "'%s' in: %s", text, error);
	cr_assert_null(strchr(error, '\n'), "more than one line: %s", error);
}

Test(engine_remote, needs_no_certificate_of_ours)
{
	config.ca_file = path_in(dir, "ca.pem");
	cr_assert_eq(init_at("tls://127.0.0.1:2376"), 0, "%s", error);
	cr_assert_not_null(engine.tls);
	cr_assert(engine.is_remote);
}

/* The token would go over the network in the clear, or to whoever answers. */
Test(engine_remote, is_reached_by_tls_alone)
{
	config.ca_file = path_in(dir, "ca.pem");
	cr_assert_lt(init_at("tcp://127.0.0.1:2375"), 0);
	error_has("tls://HOST:PORT");
	cr_assert_lt(init_at("unix:///run/docker.sock"), 0);
	error_has("tls://HOST:PORT");
}

Test(engine_remote, what_cannot_be_used)
{
	config.ca_file = path_in(dir, "none.pem");
	cr_assert_lt(init_at("tls://127.0.0.1:2376"), 0);
	error_has("none.pem");
	config.ca_file = path_in(dir, "ca.pem");
	cr_assert_lt(init_at("tls://no-such-host.invalid:2376"), 0);
	error_has("no-such-host.invalid");
	cr_assert_null(strstr(error, "--engine"), "connect has no such option: %s", error);
	config.fingerprint.is_given = true;
	cr_assert_lt(init_at("tls://127.0.0.1:2376"), 0);
	error_has("--fingerprint");
}

/* ---- a headgate for one connection ---- */

struct fake {
	pthread_t thread;
	int listener;
	SSL_CTX *ctx;
	const char *answer;
	char request[8192];
};

static void *fake_run(void *arg)
{
	struct fake *fake = arg;
	int fd = accept(fake->listener, NULL, NULL), n;
	SSL *ssl = SSL_new(fake->ctx);
	size_t len = 0;

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1) {
		while (!strstr(fake->request, "\r\n\r\n") &&
		       (n = SSL_read(ssl, fake->request + len, (int)(sizeof(fake->request) - 1 - len))) > 0)
			len += (size_t)n;
		(void)SSL_write(ssl, fake->answer, (int)strlen(fake->answer));
		(void)SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	close(fd);
	return NULL;
}

/* Asks a fake headgate with that token; what it got is in fake->request. */
static int ask(struct fake *fake, const char *token, const char *answer)
{
	struct engine_identity identity;
	struct sockaddr_in address;
	char url[64];

	*fake = (struct fake){.listener = net_tcp_listener(5, &address),
			      .ctx = bare_ctx(dir, true, TLS1_3_VERSION),
			      .answer = answer};
	SSL_CTX_set_verify(fake->ctx, SSL_VERIFY_NONE, NULL);
	snprintf(url, sizeof(url), "tls://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
	engine_fini(&engine);
	cr_assert_eq(init_at(url), 0, "%s", error);
	cr_assert_eq(pthread_create(&fake->thread, NULL, fake_run, fake), 0);
	int result = engine_ask_with_token(&engine, token, NET_PATIENCE_MS, &identity, error, sizeof(error));
	pthread_join(fake->thread, NULL);
	SSL_CTX_free(fake->ctx);
	close(fake->listener);
	return result;
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"

Test(engine_remote, the_token_goes_along)
{
	static const char want[] = "GET /_ping HTTP/1.1\r\nHost: docker\r\nUser-Agent: headgate\r\n"
				   "token: hg_secret\r\nConnection: close\r\n\r\n";
	char longest[TOKEN_SECRET_MAX_BYTES + 1];
	struct fake fake;

	config.ca_file = path_in(dir, "ca.pem");
	cr_assert_eq(ask(&fake, "hg_secret", OK), 0, "%s", error);
	cr_assert_str_eq(fake.request, want);
	cr_assert_eq(ask(&fake, NULL, OK), 0, "%s", error);
	cr_assert_null(strstr(fake.request, "token"), "%s", fake.request);
	memset(longest, 'f', TOKEN_SECRET_MAX_BYTES);
	longest[TOKEN_SECRET_MAX_BYTES] = '\0';
	cr_assert_eq(ask(&fake, longest, OK), 0, "%s", error);
	cr_assert_not_null(strstr(fake.request, longest));
}

Test(engine_remote, a_token_that_is_not_taken)
{
	struct fake fake;

	config.ca_file = path_in(dir, "ca.pem");
	cr_assert_lt(ask(&fake, "hg_secret", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), 0);
	error_has("does not take the token");
	error_has("the headgate at tls://127.0.0.1:");
	cr_assert_null(strstr(error, "hg_secret"), "%s", error);
	cr_assert_lt(ask(&fake, "hg_secret", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), 0);
	error_has("no right");
	cr_assert_lt(ask(&fake, NULL, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), 0);
	cr_assert_null(strstr(error, "token"), "none was sent: %s", error);
}

/* Nobody gets the token who has not shown who he is. */
Test(engine_remote, no_token_for_strangers)
{
	uint8_t wrong[TLS_FINGERPRINT_BYTES] = {1};
	struct fake fake;

	memcpy(config.fingerprint.bytes, wrong, sizeof(wrong));
	config.fingerprint.is_given = true;
	config.ca_file = NULL;
	cr_assert_lt(ask(&fake, "hg_secret", OK), 0);
	error_has("fingerprint");
	cr_assert_str_eq(fake.request, "");

	config.fingerprint.is_given = false;
	config.ca_file = path_in(dir, "ca.pem");
	config.server_name = "another.name";
	cr_assert_lt(ask(&fake, "hg_secret", OK), 0);
	error_has("mismatch");
	cr_assert_str_eq(fake.request, "");
	config.server_name = TLS_HOST;
	cr_assert_eq(ask(&fake, "hg_secret", OK), 0, "%s", error);
}

Test(engine_remote, by_the_fingerprint_of_its_ca)
{
	struct fake fake;
	unsigned len = 0;

	cr_assert_eq(X509_digest(authority.cert, EVP_sha256(), config.fingerprint.bytes, &len), 1);
	config.fingerprint.is_given = true;
	cr_assert_eq(ask(&fake, "hg_secret", OK), 0, "%s", error);
	cr_assert_not_null(strstr(fake.request, "hg_secret"));
}

Test(engine_remote, trouble)
{
	char text[512];

	config.ca_file = path_in(dir, "ca.pem");
	cr_assert_eq(init_at("tls://127.0.0.1:2376"), 0, "%s", error);
	engine_trouble(&engine, false, -ECONNREFUSED, NULL, text, sizeof(text));
	cr_expect_str_eq(text, "headgate: cannot reach the headgate at tls://127.0.0.1:2376: Connection "
			       "refused; is headgate serve running there?");
	engine_trouble(&engine, true, 0, "it fell silent", text, sizeof(text));
	cr_expect_str_eq(
	    text, "headgate: no good answer from the headgate at tls://127.0.0.1:2376: it fell silent");
}
