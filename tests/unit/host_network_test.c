/* SPDX-License-Identifier: MIT */
/* host_network_test.c: the IDs as an engine answers, and everything that is no ID. */
#include "host_network.h"

#include "net_support.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

#define LOCAL "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SWARM "nftvohcrdok9hrp0i5xkrnl35"

static char dir[64], path[108], url[128];
static struct config config;
static struct engine engine;
static struct host_network *network;

/* What is answered to the first question and to the second; then it is gone. */
static const char *answers[2];
static char requests[2][512];
static int listener;

static void *serve(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < 2; i++) {
		int fd = accept(listener, NULL, NULL);
		size_t len = 0;
		ssize_t n;

		while (!strstr(requests[i], "\r\n\r\n") &&
		       (n = recv(fd, requests[i] + len, sizeof(requests[i]) - 1 - len, 0)) > 0)
			len += (size_t)n;
		(void)send(fd, answers[i], strlen(answers[i]), MSG_NOSIGNAL);
		close(fd);
	}
	close(listener);
	return NULL;
}

static struct host_network_ids ids_of(const char *first, const char *second)
{
	struct host_network_ids ids;
	const char *reason;
	char error[512];
	pthread_t thread;

	net_dir_make(dir);
	snprintf(path, sizeof(path), "%s/engine", dir);
	snprintf(url, sizeof(url), "unix://%s", path);
	cr_assert_eq(config_address_parse(&config.engine, url, false, &reason), 0);
	cr_assert_eq(engine_init(&engine, &config, error, sizeof(error)), 0, "%s", error);
	cr_assert_eq(host_network_new(&network), 0);
	answers[0] = first;
	answers[1] = second;
	memset(requests, 0, sizeof(requests));
	listener = net_unix_listener(path, 5);
	cr_assert_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	cr_assert_eq(host_network_watch(network, &engine, 60000), 0);
	cr_assert_eq(host_network_watch(network, &engine, 60000), 0, "a second time changes nothing");
	pthread_join(thread, NULL);
	host_network_get(network, &ids);
	host_network_free(network);
	engine_fini(&engine);
	net_dir_remove(dir);
	cr_assert_eq(strncmp(requests[0], "GET /networks/host HTTP/1.0\r\n", 29), 0, "%s", requests[0]);
	cr_assert_eq(strncmp(requests[1], "GET /networks/host?scope=swarm HTTP/1.0\r\n", 41), 0, "%s",
		     requests[1]);
	return ids;
}

#define OK_CLOSE  "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
#define OK_LENGTH "HTTP/1.0 200 OK\r\nContent-Length: 34\r\n\r\n"

TestSuite(host_network, .timeout = 60);

Test(host_network, both_ids)
{
	struct host_network_ids ids =
	    ids_of(OK_CLOSE "{\"Name\":\"host\",\"Id\":\"" LOCAL "\",\"Containers\":{}}\n",
		   OK_LENGTH "{\"Id\":\"" SWARM "\"}");

	cr_assert_str_eq(ids.local, LOCAL);
	cr_assert_str_eq(ids.swarm, SWARM);
}

Test(host_network, no_swarm)
{
	struct host_network_ids ids =
	    ids_of(OK_CLOSE "{\"Id\":\"" LOCAL "\"}", "HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"no\"}");

	cr_assert_str_eq(ids.local, LOCAL);
	cr_assert_str_eq(ids.swarm, "");
	ids = ids_of(OK_CLOSE "{\"Id\":\"" LOCAL "\"}", OK_CLOSE "{\"Id\":\"" LOCAL "\"}");
	cr_assert_str_eq(ids.swarm, "");
}

Test(host_network, what_is_no_id_is_unknown)
{
	static const char *const bad[] = {
	    "",
	    "HTTP/1.0 200 OK\r\n\r\n",
	    OK_CLOSE "{\"Id\":\"\"}",
	    OK_CLOSE "{\"Id\":\"a b\"}",
	    OK_CLOSE "{\"Id\":7}",
	    OK_CLOSE "[]",
	    OK_CLOSE "{\"Id\":\"" LOCAL "0\"}",
	    OK_CLOSE "{\"Id\":\"abc\",\"Id\":\"abd\"}",
	    OK_LENGTH "{\"Id\":\"abc\"}",
	    "HTTP/1.0 500 Oops\r\n\r\n{\"Id\":\"abc\"}",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n{\"Id\":\"abc\"}\r\n0\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct host_network_ids ids = ids_of(bad[i], bad[i]);
		cr_assert_str_eq(ids.local, "", "%s", bad[i]);
		cr_assert_str_eq(ids.swarm, "", "%s", bad[i]);
	}
}

Test(host_network, nobody_knows_nothing)
{
	struct host_network_ids ids;

	host_network_get(NULL, &ids);
	cr_assert_str_eq(ids.local, "");
	host_network_free(NULL);
}
