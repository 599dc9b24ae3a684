/* SPDX-License-Identifier: MIT */
/* engine_watch_test.c: the IDs as an engine answers, and everything that is no ID. */
#include "engine_watch.h"

#include "net_support.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

#define LOCAL "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SWARM "nftvohcrdok9hrp0i5xkrnl35"

static char dir[64], path[108], url[128];
static struct config config;
static struct engine engine;
static struct engine_watch *watch;

/* What is answered to one question after the other; then it is gone. */
#define QUESTIONS_MAX ((size_t)5)
static const char *answers[QUESTIONS_MAX];
static size_t answers_count = 2;
static char requests[QUESTIONS_MAX][512];
static const char *container; /* headgate's own */
static int listener;

static void *serve(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < answers_count; i++) {
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

static struct engine_ids ids_of(const char *first, const char *second)
{
	struct engine_ids ids;
	const char *reason;
	char error[512];
	pthread_t thread;

	net_dir_make(dir);
	snprintf(path, sizeof(path), "%s/engine", dir);
	snprintf(url, sizeof(url), "unix://%s", path);
	cr_assert_eq(config_address_parse(&config.engine, url, false, &reason), 0);
	cr_assert_eq(engine_init(&engine, &config, error, sizeof(error)), 0, "%s", error);
	cr_assert_eq(engine_watch_new(&watch, container), 0);
	answers[0] = first;
	answers[1] = second;
	memset(requests, 0, sizeof(requests));
	listener = net_unix_listener(path, 5);
	cr_assert_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	cr_assert_eq(engine_watch_start(watch, &engine, 60000), 0);
	cr_assert_eq(engine_watch_start(watch, &engine, 60000), 0, "a second time changes nothing");
	pthread_join(thread, NULL);
	engine_watch_get(watch, &ids);
	engine_watch_free(watch);
	engine_fini(&engine);
	net_dir_remove(dir);
	cr_assert_eq(strncmp(requests[0], "GET /networks/host HTTP/1.0\r\n", 29), 0, "%s", requests[0]);
	cr_assert_eq(strncmp(requests[1], "GET /networks/host?scope=swarm HTTP/1.0\r\n", 41), 0, "%s",
		     requests[1]);
	return ids;
}

#define OK_CLOSE  "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
#define OK_LENGTH "HTTP/1.0 200 OK\r\nContent-Length: 34\r\n\r\n"

TestSuite(engine_watch, .timeout = 60);

Test(engine_watch, both_ids)
{
	struct engine_ids ids =
	    ids_of(OK_CLOSE "{\"Name\":\"host\",\"Id\":\"" LOCAL "\",\"Containers\":{}}\n",
		   OK_LENGTH "{\"Id\":\"" SWARM "\"}");

	cr_assert_str_eq(ids.local, LOCAL);
	cr_assert_str_eq(ids.swarm, SWARM);
}

Test(engine_watch, no_swarm)
{
	struct engine_ids ids =
	    ids_of(OK_CLOSE "{\"Id\":\"" LOCAL "\"}", "HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"no\"}");

	cr_assert_str_eq(ids.local, LOCAL);
	cr_assert_str_eq(ids.swarm, "");
	ids = ids_of(OK_CLOSE "{\"Id\":\"" LOCAL "\"}", OK_CLOSE "{\"Id\":\"" LOCAL "\"}");
	cr_assert_str_eq(ids.swarm, "");
}

Test(engine_watch, what_is_no_id_is_unknown)
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
		struct engine_ids ids = ids_of(bad[i], bad[i]);
		cr_assert_str_eq(ids.local, "", "%s", bad[i]);
		cr_assert_str_eq(ids.swarm, "", "%s", bad[i]);
	}
}

Test(engine_watch, nobody_knows_nothing)
{
	struct engine_ids ids;

	engine_watch_get(NULL, &ids);
	cr_assert_str_eq(ids.local, "");
	engine_watch_free(NULL);
}

/* headgate's own container, and the one before, which may not be there; any other answer says nothing. */
static struct engine_ids own_ids_with(const char *own, const char *before, const char *services)
{
	answers[4] = services;
	answers[2] = own;
	answers[3] = before;
	answers_count = QUESTIONS_MAX;
	container = "gate";
	struct engine_ids ids = ids_of(OK_CLOSE "{}", OK_CLOSE "{}");
	cr_assert_eq(strncmp(requests[2], "GET /containers/gate/json HTTP/1.0\r\n", 36), 0, "%s",
		     requests[2]);
	return ids;
}

static struct engine_ids own_ids_of(const char *own, const char *before)
{
	return own_ids_with(own, before, OK_CLOSE "[]");
}

#define NOT_FOUND "HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"No such container\"}"

Test(engine_watch, own_containers)
{
	struct engine_ids ids = own_ids_of(OK_CLOSE "{\"Id\":\"" LOCAL "\"}", NOT_FOUND);

	cr_assert(ids.own_is_known);
	cr_assert_str_eq(ids.own, LOCAL);
	cr_assert_str_eq(ids.own_before, "");
	cr_assert_eq(strncmp(requests[3], "GET /containers/gate-before/json HTTP/1.0\r\n", 43), 0, "%s",
		     requests[3]);
}

Test(engine_watch, own_container_before)
{
	struct engine_ids ids = own_ids_of(NOT_FOUND, OK_CLOSE "{\"Id\":\"" LOCAL "\"}");

	cr_assert(ids.own_is_known);
	cr_assert_str_eq(ids.own_before, LOCAL);
}

Test(engine_watch, own_container_of_an_engine_in_trouble)
{
	cr_assert_not(
	    own_ids_of(OK_CLOSE "{\"Id\":\"" LOCAL "\"}", "HTTP/1.0 500 Oh\r\n\r\n{}").own_is_known);
}

#define SERVICE_OF(id, name) "{\"ID\":\"" id "\",\"Spec\":{\"Name\":\"" name "\"}}"

/* The filter is for a name's beginning, so others come, too. */
Test(engine_watch, own_services)
{
	struct engine_ids ids =
	    own_ids_with(NOT_FOUND, NOT_FOUND,
			 OK_CLOSE "[" SERVICE_OF("aaa", "gates") "," SERVICE_OF(SWARM, "gate_gate") "]");

	cr_assert_eq(strncmp(requests[4],
			     "GET /services?filters=%7B%22name%22%3A%5B%22gate%22%5D%7D HTTP/1.0\r\n", 68),
		     0, "%s", requests[4]);
	cr_assert(ids.own_services.is_sure);
	cr_assert_str_eq(ids.own_services.ids[0], SWARM);
	cr_assert_str_eq(ids.own_services.ids[1], "");
}

Test(engine_watch, own_services_that_are_not_known)
{
#define GATE SERVICE_OF("abc", "gate")
	static const char *const bad[] = {
	    "HTTP/1.0 503 Unavailable\r\n\r\n{\"message\":\"This node is not a swarm manager.\"}",
	    OK_CLOSE "{}",
	    OK_CLOSE "[{}]",
	    OK_CLOSE "[" SERVICE_OF("", "gate") "]",
	    OK_CLOSE "[" SERVICE_OF(SWARM "0", "gate") "]",
	    OK_CLOSE "[" GATE "," GATE "," GATE "," GATE "," GATE "," GATE "," GATE "," GATE "," GATE "]",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_not(own_ids_with(NOT_FOUND, NOT_FOUND, bad[i]).own_services.is_sure, "%s", bad[i]);
	cr_assert(own_ids_of(NOT_FOUND, NOT_FOUND).own_services.is_sure);
}
