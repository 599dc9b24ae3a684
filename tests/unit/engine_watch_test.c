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
#define QUESTIONS_MAX ((size_t)7)
static const char *answers[QUESTIONS_MAX];
static size_t answers_count = 2;
static char requests[QUESTIONS_MAX][512];
static struct own own; /* headgate's name */
static struct engine_ids known;
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
	cr_assert_eq(engine_watch_new(&watch, &own), 0);
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

TestSuite(engine_watch, .timeout = 300);

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

#define SERVICE "5a0ycuoz9hlyw6r5ntuzxwhio"
#define TASK	"0oam3mkj0ulq4tzu1yw0o8ldo"

/* headgate's own: containers, services, secrets, configs, tasks. */
static struct engine_ids own_ids_of(const char *containers, const char *services, const char *tasks)
{
	answers[2] = containers;
	answers[3] = services;
	answers[4] = answers[5] = OK_CLOSE "[]";
	answers[6] = tasks;
	answers_count = tasks ? QUESTIONS_MAX : QUESTIONS_MAX - 1;
	own_init(&own, "gate", "manager1");
	struct engine_ids ids = ids_of(OK_CLOSE "{}", OK_CLOSE "{}");
	static const char *const targets[] = {"containers/json?all=1&filters=%7B%22name",
					      "services?filters=", "secrets?filters=", "configs?filters="};
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		cr_assert(strstr(requests[2 + i], targets[i]), "%s", requests[2 + i]);
	known = ids;
	own.ids = &known.own;
	return ids;
}

#define CONTAINERS OK_CLOSE "[{\"Id\":\"" LOCAL "\",\"Names\":[\"/gate\"]}]"
#define SERVICES   OK_CLOSE "[{\"ID\":\"" SERVICE "\",\"Spec\":{\"Name\":\"gate_gate\"}}]"
#define NO_MANAGER \
	"HTTP/1.0 503 Service Unavailable\r\n\r\n{\"message\":\"This node is not a swarm manager.\"}"

Test(engine_watch, own_containers)
{
	struct engine_ids ids = own_ids_of(CONTAINERS, OK_CLOSE "[]", NULL);

	for (size_t kind = 0; kind < OWN_KINDS; kind++)
		cr_assert(ids.own.is_known[kind], "%zu", kind);
	cr_assert_eq(ids.own.count, 1);
	cr_assert_str_eq(ids.own.ids[0].id, LOCAL);
	cr_assert(strstr(requests[2], "%7B%22name%22%3A%7B%22gate%22%3Atrue%7D%7D HTTP/1.0\r\n"), "%s",
		  requests[2]);
}

Test(engine_watch, own_services_and_their_tasks)
{
	struct engine_ids ids = own_ids_of(OK_CLOSE "[]", SERVICES, OK_CLOSE "[{\"ID\":\"" TASK "\"}]");

	cr_assert(strstr(requests[6], "GET /tasks?filters=%7B%22service%22%3A%7B%22" SERVICE
				      "%22%3Atrue%7D%7D HTTP/1.0\r\n"),
		  "%s", requests[6]);
	cr_assert_eq(ids.own.count, 2);
	cr_assert_eq(own_is(&own, OWN_SERVICE, SPAN(SERVICE)), OWN_IT_IS);
	cr_assert_eq(own_is(&own, OWN_TASK, SPAN(TASK)), OWN_IT_IS);
}

/* What is not said stays unknown: nothing that could be an ID is let through. */
Test(engine_watch, own_of_an_engine_in_trouble)
{
	(void)own_ids_of("HTTP/1.0 500 Oh\r\n\r\n{}", NO_MANAGER, NULL);
	cr_assert_eq(own_is(&own, OWN_CONTAINER, SPAN("0")), OWN_PERHAPS);
	cr_assert_eq(own_is(&own, OWN_SERVICE, SPAN("web")), OWN_PERHAPS);
	cr_assert_eq(own_is(&own, OWN_TASK, SPAN("web")), OWN_PERHAPS);
	cr_assert_eq(own_is(&own, OWN_SECRET, SPAN("web")), OWN_NOT);
	(void)own_ids_of(OK_CLOSE "[{\"Names\":[\"/gate\"]}]", SERVICES, "HTTP/1.0 200 OK\r\n\r\n[");
	cr_assert_eq(own_is(&own, OWN_CONTAINER, SPAN("0")), OWN_PERHAPS);
	cr_assert_eq(own_is(&own, OWN_TASK, SPAN("web")), OWN_PERHAPS);
}

#define SERVICE_OF(id, name) "{\"ID\":\"" id "\",\"Spec\":{\"Name\":\"" name "\"}}"

/* The filter is for a name's beginning, so others come, too. */
Test(engine_watch, own_services)
{
	struct engine_ids ids = own_ids_of(
	    OK_CLOSE "[]", OK_CLOSE "[" SERVICE_OF("aaa", "gates") "," SERVICE_OF(SWARM, "gate_gate") "]",
	    OK_CLOSE "[]");

	cr_assert(strstr(requests[3],
			 "GET /services?filters=%7B%22name%22%3A%7B%22gate%22%3Atrue%7D%7D HTTP/1.0\r\n"),
		  "%s", requests[3]);
	cr_assert(ids.own.is_known[OWN_SERVICE]);
	cr_assert_eq(ids.own.count, 1);
	cr_assert_eq(ids.own.ids[0].kind, OWN_SERVICE);
	cr_assert_str_eq(ids.own.ids[0].id, SWARM);
}

/* Nor are their tasks known then, and nobody asks for them. */
Test(engine_watch, own_services_that_are_not_known)
{
	static const char *const bad[] = {
	    NO_MANAGER,
	    OK_CLOSE "{}",
	    OK_CLOSE "[{}]",
	    OK_CLOSE "[{\"ID\":\"abc\",\"Spec\":{}}]",
	    OK_CLOSE "[" SERVICE_OF("", "gate") "]",
	    OK_CLOSE "[" SERVICE_OF(SWARM "0", "gate") "]",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct engine_ids ids = own_ids_of(OK_CLOSE "[]", bad[i], NULL);

		cr_assert_not(ids.own.is_known[OWN_SERVICE], "%s", bad[i]);
		cr_assert_not(ids.own.is_known[OWN_TASK], "%s", bad[i]);
		cr_assert(ids.own.is_known[OWN_CONTAINER], "%s", bad[i]);
	}
	cr_assert(own_ids_of(OK_CLOSE "[]", OK_CLOSE "[]", NULL).own.is_known[OWN_SERVICE]);
}

/* As many as there is room for, and one more. */
Test(engine_watch, own_services_are_too_many)
{
	static char text[32768];
	size_t used = strlcpy(text, OK_CLOSE "[" SERVICE_OF("abc", "gate"), sizeof(text));

	for (size_t i = 0; i < OWN_IDS_MAX; i++)
		used += strlcpy(text + used, "," SERVICE_OF("abc", "gate"), sizeof(text) - used);
	cr_assert_lt(strlcpy(text + used, "]", sizeof(text) - used), sizeof(text) - used);
	cr_assert_not(own_ids_of(OK_CLOSE "[]", text, NULL).own.is_known[OWN_SERVICE]);
}
