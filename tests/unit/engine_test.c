/* SPDX-License-Identifier: MIT */
/* engine_test.c: finding and reaching an engine, and what is said when that fails. */
#include "engine.h"

#include "tls_support.h"

static char dir[64], path[108], url[128], error[512];
static struct config config;

static void setup(void)
{
	net_dir_make(dir);
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(url, sizeof(url), "unix://%s", path);
}

static void teardown(void)
{
	net_dir_remove(dir);
}

TestSuite(engine, .init = setup, .fini = teardown, .timeout = 300);

static int init_at(struct engine *engine, const char *text)
{
	const char *reason = "";

	cr_assert_eq(config_address_parse(&config.engine, text, false, &reason), 0, "%s: %s", text, reason);
	error[0] = '\0';
	return engine_init(engine, &config, error, sizeof(error));
}

static void must_init(struct engine *engine, const char *text)
{
	cr_assert_eq(init_at(engine, text), 0, "%s", error);
}

/* Connects and waits; 0 or -errno. */
static int reach(const struct engine *engine, int *fd)
{
	int result = engine_connect(engine, fd);

	if (result == -EINPROGRESS) {
		cr_assert_geq(*fd, 0);
		cr_assert(net_wait(*fd, POLLOUT, NET_PATIENCE_MS));
		return engine_connected(*fd);
	}
	cr_assert_eq(*fd >= 0, result == 0);
	return result;
}

/* ---- connecting ---- */

Test(engine, unix_that_accepts)
{
	struct engine engine;
	unsigned fds = net_open_fds();
	int listener = net_unix_listener(path, 5), fd = -1;

	must_init(&engine, url);
	cr_assert_eq(engine_connect(&engine, &fd), 0);
	cr_assert_eq(engine_connected(fd), 0);
	cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	int accepted = accept(listener, NULL, NULL);
	net_send(fd, "hello", 5);
	cr_assert_eq(net_recv(accepted, error, 5, NET_PATIENCE_MS), 5);
	close(accepted);
	close(fd);
	close(listener);
	engine_fini(&engine);
	cr_assert_eq(net_open_fds(), fds);
}

Test(engine, unix_that_is_not_there)
{
	struct engine engine;
	unsigned fds = net_open_fds();
	int fd = 77;

	must_init(&engine, url);
	cr_assert_eq(engine_connect(&engine, &fd), -ENOENT);
	cr_assert_eq(fd, -1);
	close(net_unix_listener(path, 1));
	cr_assert_eq(engine_connect(&engine, &fd), -ECONNREFUSED, "a socket that nobody listens on");
	cr_assert_eq(fd, -1);
	engine_fini(&engine);
	cr_assert_eq(net_open_fds(), fds);
}

/* The engine comes back without a restart of ours. */
Test(engine, unix_that_comes_later)
{
	struct engine engine;
	int fd;

	must_init(&engine, url);
	cr_assert_eq(engine_connect(&engine, &fd), -ENOENT);
	int listener = net_unix_listener(path, 1);
	cr_assert_eq(engine_connect(&engine, &fd), 0);
	close(fd);
	close(listener);
	engine_fini(&engine);
}

Test(engine, unix_with_a_full_queue)
{
	struct engine engine;
	int clients[16], fd = 77, listener = net_unix_listener(path, 0);
	int count = net_unix_fill_queue(path, clients, (int)ARRAY_SIZE(clients));

	must_init(&engine, url);
	cr_assert_eq(engine_connect(&engine, &fd), -EAGAIN);
	cr_assert_eq(fd, -1);
	while (count > 0)
		close(clients[--count]);
	close(listener);
	engine_fini(&engine);
}

Test(engine, tcp_that_accepts_and_then_refuses)
{
	struct engine engine;
	struct sockaddr_in address;
	char text[64];
	int fd, listener = net_tcp_listener(5, &address);

	snprintf(text, sizeof(text), "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
	must_init(&engine, text);
	cr_assert_eq(reach(&engine, &fd), 0);
	cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	close(listener);
	cr_assert_eq(reach(&engine, &fd), -ECONNREFUSED);
	if (fd >= 0)
		close(fd);
	engine_fini(&engine);

	snprintf(text, sizeof(text), "tcp://localhost:%u", (unsigned)ntohs(address.sin_port));
	must_init(&engine, text);
	cr_assert_eq(reach(&engine, &fd), -ECONNREFUSED);
	if (fd >= 0)
		close(fd);
	engine_fini(&engine);
}

/* An older event of the loop may come before the attempt is over: that is not a success. */
Test(engine, still_connecting_is_not_connected)
{
	struct engine engine;
	struct sockaddr_in address;
	char text[64];
	int fds[8], count = 0, listener = net_tcp_listener(0, &address);

	snprintf(text, sizeof(text), "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
	must_init(&engine, text);
	/* When its queue is full, the kernel leaves the next one without an answer. */
	for (;;) {
		cr_assert_lt(count, 8, "the queue never fills");
		cr_assert_eq(engine_connect(&engine, &fds[count]), -EINPROGRESS);
		if (!net_wait(fds[count++], POLLOUT, 200))
			break;
		cr_assert_eq(engine_connected(fds[count - 1]), 0);
	}
	cr_assert_eq(engine_connected(fds[count - 1]), -EINPROGRESS);
	for (int i = 0; i < count - 1; i++) {
		int accepted = accept(listener, NULL, NULL);
		cr_assert_geq(accepted, 0);
		close(accepted);
	}
	cr_assert(net_wait(fds[count - 1], POLLOUT, NET_PATIENCE_MS), "asked again after a second");
	cr_assert_eq(engine_connected(fds[count - 1]), 0);
	while (count > 0)
		close(fds[--count]);
	close(listener);
	engine_fini(&engine);
}

/* ---- starting ---- */

Test(engine, a_name_that_does_not_resolve)
{
	struct engine engine;

	cr_assert_lt(init_at(&engine, "tcp://no-such-host.invalid:2375"), 0);
	cr_assert(strstr(error, "--engine") && strstr(error, "no-such-host.invalid"), "%s", error);
	cr_assert_null(strchr(error, '\n'));
	engine_fini(&engine);
}

Test(engine, tls_loads_its_credentials)
{
	struct authority authority;
	struct engine engine;

	config.engine_cert_dir = dir;
	cr_assert_lt(init_at(&engine, "tls://127.0.0.1:2376"), 0, "there are none");
	cr_assert_not_null(strstr(error, dir), "%s", error);
	engine_fini(&engine);
	authority_make(&authority);
	credentials_save(&authority, dir);
	must_init(&engine, "tls://127.0.0.1:2376");
	cr_assert_not_null(engine.tls);
	engine_fini(&engine);
	cr_assert_null(engine.tls);
	engine_fini(&engine);
	must_init(&engine, "tcp://127.0.0.1:2375");
	cr_assert_null(engine.tls, "only a tls:// engine has them");
	engine_fini(&engine);
	authority_free(&authority);
}

/* ---- what is said ---- */

static const struct {
	const char *url;
	bool connected;
	int error;
	const char *detail;
	const char *has[3]; /* NULL: no more */
	const char * not ;
} troubles[] = {
    {"unix:///run/d.sock",
     false,
     -ENOENT,
     NULL,
     {"cannot reach", "No such file", "is dockerd running"},
     NULL},
    {"unix:///run/d.sock", false, -ECONNREFUSED, NULL, {"refused", "no dockerd listens", NULL}, NULL},
    {"unix:///run/d.sock",
     false,
     -EACCES,
     NULL,
     {"Permission denied", "root (sudo)", "(mostly docker)"},
     NULL},
    {"unix:///run/d.sock", false, -EPERM, NULL, {"not permitted", "root", NULL}, NULL},
    {"unix:///run/d.sock", false, -EAGAIN, NULL, {"queue is full", "not accept", NULL}, "unavailable"},
    {"tcp://127.0.0.1:2375", false, -ECONNREFUSED, NULL, {"refused", "is dockerd running", NULL}, "socket"},
    {"tcp://127.0.0.1:2375", false, -ETIMEDOUT, NULL, {"cannot reach", "timed out", NULL}, "socket"},
    {"tcp://127.0.0.1:2375", false, -EACCES, NULL, {"Permission denied", NULL, NULL}, "socket"},
    {"tcp://127.0.0.1:2375", false, -EHOSTUNREACH, NULL, {"No route to host", NULL, NULL}, "socket"},
    {"tls://127.0.0.1:2376", false, -EPROTO, "bad certificate", {"bad certificate", NULL, NULL}, "running"},
    {"unix:///run/d.sock",
     true,
     -ECONNRESET,
     NULL,
     {"no good answer from", "reset by peer", NULL},
     "running"},
    {"unix:///run/d.sock",
     true,
     0,
     "it fell silent",
     {"no good answer from", ": it fell silent", NULL},
     "Success"},
    {"unix:///run/d.sock", true, -EPIPE, "half way", {"Broken pipe: half way", NULL, NULL}, NULL},
    {"unix:///run/d.sock", true, 0, NULL, {"no good answer from", "unknown error", NULL}, "Success"},
};

Test(engine, trouble)
{
	for (size_t i = 0; i < ARRAY_SIZE(troubles); i++) {
		struct engine engine;
		char text[512];

		/* No credentials are needed to say what is wrong. */
		const char *reason = "";
		engine = (struct engine){0};
		cr_assert_eq(config_address_parse(&engine.address, troubles[i].url, false, &reason), 0);
		engine_trouble(&engine, troubles[i].connected, troubles[i].error, troubles[i].detail, text,
			       sizeof(text));
		cr_expect_eq(strncmp(text, "headgate: ", 10), 0, "%s", text);
		cr_expect_not_null(strstr(text, troubles[i].url), "which engine: %s", text);
		cr_expect_null(strchr(text, '\n'), "%s", text);
		for (size_t j = 0; j < 3 && troubles[i].has[j]; j++)
			cr_expect_not_null(strstr(text, troubles[i].has[j]), "row %zu wants '%s': %s", i,
					   troubles[i].has[j], text);
		if (troubles[i].not )
			cr_expect_null(strstr(text, troubles[i].not ), "row %zu: %s", i, text);
	}
}

Test(engine, trouble_is_cut_at_the_end)
{
	struct engine engine;
	char text[64];

	must_init(&engine, url);
	memset(text, 'x', sizeof(text));
	engine_trouble(&engine, false, -ENOENT, "a long detail", text, 32);
	cr_assert_eq(strnlen(text, sizeof(text)), 31);
	cr_assert_eq(text[32], 'x');
	engine_fini(&engine);
}
