/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * An answer to /metrics takes many questions to the engine, and a second between two of them: so each is made
 * by a thread of its own, of which there are few, at the other end of a socket pair. To the connection that
 * socket is an engine like any other: no path through conn.c is special.
 *
 * The original asked all nodes, each at its own proxy, with the caller's token and without looking at
 * certificates; here only this node's engine is asked. /maintenance made the proxy call any port of any task
 * that the caller named. It is refused, in the words that the console knows.
 */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "engine_ask.h"
#include "inspect.h"
#include "log.h"
#include "thread.h"

#define VISITORS_MAX	4U
#define CONTAINERS_MAX	((size_t)512)
#define LINE_MAX_BYTES	((size_t)16384)
#define ASK_TIMEOUT_MS	5000
#define SOCKET_SECONDS	10
#define BETWEEN_SECONDS 1

struct console {
	const struct engine *engine; /* borrowed */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned visitors;
	bool stop;
};

struct visit {
	struct console *console; /* borrowed; waits for its visitors */
	int fd;			 /* owned */
};

/* One container, its first and its second sample. */
struct measured {
	const struct inspect_listed *listed; /* borrowed */
	struct inspect_sample first, second;
	bool is_gone;
};

bool console_has(struct span path)
{
	return span_eq(path, SPAN("/metrics")) || span_eq(path, SPAN("/maintenance"));
}

int console_new(struct console **made, const struct engine *engine)
{
	pthread_condattr_t attributes;
	struct console *console = calloc(1, sizeof(*console));

	*made = console;
	if (!console)
		return -ENOMEM;
	console->engine = engine;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&console->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	(void)pthread_mutex_init(&console->lock, NULL);
	return 0;
}

void console_free(struct console *console)
{
	if (!console)
		return;
	pthread_mutex_lock(&console->lock);
	console->stop = true;
	pthread_cond_broadcast(&console->changed);
	while (console->visitors > 0)
		pthread_cond_wait(&console->changed, &console->lock);
	pthread_mutex_unlock(&console->lock);
	(void)pthread_cond_destroy(&console->changed);
	(void)pthread_mutex_destroy(&console->lock);
	free(console);
}

/* False when headgate ends meanwhile. */
static bool pause_between(struct console *console)
{
	struct timespec until;
	int result = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += BETWEEN_SECONDS;
	pthread_mutex_lock(&console->lock);
	while (!console->stop && result != ETIMEDOUT)
		result = pthread_cond_timedwait(&console->changed, &console->lock, &until);
	bool goes_on = !console->stop;
	pthread_mutex_unlock(&console->lock);
	return goes_on;
}

static bool is_stopped(struct console *console)
{
	pthread_mutex_lock(&console->lock);
	bool stop = console->stop;
	pthread_mutex_unlock(&console->lock);
	return stop;
}

/* The status, 0 without an answer. engine_body_fini() is due with any other. */
static int ask(struct console *console, const char *target, struct engine_body *body)
{
	char error[512];

	if (engine_get(console->engine, target, ASK_TIMEOUT_MS, body, error, sizeof(error)) == 0)
		return body->status;
	log_warn("console: %s", error);
	return 0;
}

/* Engines before API 1.41 do not know `one-shot`: they take a second, and give both samples at once. */
static bool sample(struct console *console, struct measured *measured, struct inspect_sample *sample)
{
	char target[INSPECT_NETWORK_ID_BYTES + 64];
	struct engine_body body;

	snprintf(target, sizeof(target), "/containers/%s/stats?stream=false&one-shot=true",
		 measured->listed->id);
	int status = ask(console, target, &body);
	if (status == 0)
		return false;
	bool good = status == 200 && body.data &&
		    inspect_sample_read((struct span){.ptr = body.data, .len = body.len}, sample);
	engine_body_fini(&body);
	measured->is_gone = status == 404;
	return good || measured->is_gone;
}

static bool sample_all(struct console *console, struct measured *all, size_t count, bool again)
{
	for (size_t i = 0; i < count; i++) {
		if (all[i].is_gone || (again && all[i].first.cpu_before > 0))
			continue;
		if (is_stopped(console) || !sample(console, &all[i], again ? &all[i].second : &all[i].first))
			return false;
	}
	return true;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole > 0 ? (double)part / (double)whole * 100 : 0;
}

static void print_measured(FILE *out, const struct measured *measured, bool is_first)
{
	bool has_both = measured->first.cpu_before > 0;
	const struct inspect_sample *now = has_both ? &measured->first : &measured->second;
	uint64_t cpu_before = has_both ? now->cpu_before : measured->first.cpu;
	uint64_t system_before = has_both ? now->system_before : measured->first.system;
	uint64_t cpu = now->cpu > cpu_before ? now->cpu - cpu_before : 0;
	uint64_t system = now->system > system_before ? now->system - system_before : 0;

	fprintf(out,
		"%s\"%s\":{\"cpuPercent\":\"%.2f\",\"memory\":%llu,\"online_cpus\":%llu,\"memoryLimit\":%llu,"
		"\"memPercent\":\"%.2f\",\"timestamp\":\"%s\",\"blkRead\":%llu,\"blkWrite\":%llu,"
		"\"netIn\":%llu,\"netOut\":%llu}",
		is_first ? "" : ",", measured->listed->name, percent(cpu, system) * (double)now->online_cpus,
		(unsigned long long)now->memory, (unsigned long long)now->online_cpus,
		(unsigned long long)now->memory_limit, percent(now->memory, now->memory_limit), now->read_at,
		(unsigned long long)now->block_read, (unsigned long long)now->block_written,
		(unsigned long long)now->net_received, (unsigned long long)now->net_sent);
}

/* Which containers run. */
static bool list_all(struct console *console, struct inspect_listed *listed, size_t *count)
{
	struct engine_body body;
	int status = ask(console, "/containers/json", &body);
	bool good = status == 200 && body.data &&
		    inspect_list_read((struct span){.ptr = body.data, .len = body.len}, listed,
				      CONTAINERS_MAX, count);

	if (status != 0)
		engine_body_fini(&body);
	return good;
}

static bool print_all(const struct measured *all, size_t count, char **text, size_t *len)
{
	FILE *out = open_memstream(text, len);
	bool is_first = true;

	if (!out)
		return false;
	fputc('{', out);
	for (size_t i = 0; i < count; i++) {
		if (all[i].is_gone)
			continue;
		print_measured(out, &all[i], is_first);
		is_first = false;
	}
	fputc('}', out);
	return fclose(out) == 0;
}

/* The JSON object in `text`, which the caller frees; false when the engine or memory fails. */
static bool metrics(struct console *console, char **text, size_t *len)
{
	struct inspect_listed *listed = calloc(CONTAINERS_MAX, sizeof(*listed));
	struct measured *all = calloc(CONTAINERS_MAX, sizeof(*all));
	size_t count = 0;
	bool good = listed && all && list_all(console, listed, &count);

	*text = NULL;
	for (size_t i = 0; good && i < count; i++)
		all[i].listed = &listed[i];
	good = good && sample_all(console, all, count, false);
	if (good && count > 0)
		good = pause_between(console) && sample_all(console, all, count, true);
	good = good && print_all(all, count, text, len);
	free(all);
	free(listed);
	return good;
}

/* The original's words. */
static const char *maintenance_error(const char *line)
{
	static const char *const wanted[] = {"id=", "maintenancePort=", "operation=", "network="};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		const char *found = strstr(line, wanted[i]);
		if (!found || (found[-1] != '?' && found[-1] != '&'))
			return "One or more parameters are missing. Make sure id, maintenancePort, "
			       "operation, and network are provided";
	}
	return "The swarm network is not configured properly. Maintenance operations are not available at "
	       "the moment.";
}

static void send_answer(int fd, int status, const char *body, size_t len, bool is_head)
{
	char head[256];
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=utf-8\r\n"
			 "Content-Length: %zu\r\nConnection: close\r\n\r\n",
			 status, status == 200 ? "OK" : "Internal Server Error", len);

	/* A client that has gone meanwhile is no matter. */
	if (n > 0 && send(fd, head, (size_t)n, MSG_NOSIGNAL) == n && !is_head)
		for (ssize_t sent; len > 0 && (sent = send(fd, body, len, MSG_NOSIGNAL)) > 0;
		     body += sent, len -= (size_t)sent)
			;
}

static void answer(struct console *console, int fd, const char *line)
{
	char *text = NULL, error[256];
	size_t len = 0;
	bool is_head = strncmp(line, "HEAD ", 5) == 0;
	const char *target = strchr(line, ' ');
	const char *why = "Unable to list containers";

	if (target && strncmp(target, " /maintenance", 13) == 0)
		why = maintenance_error(line);
	else if (metrics(console, &text, &len))
		why = NULL;
	if (why)
		len = (size_t)snprintf(error, sizeof(error), "{\"error\":\"%s\"}", why);
	send_answer(fd, why ? 500 : 200, why ? error : text, len, is_head);
	free(text);
}

/* The request's line; it is the connection that wrote it, and what follows is of no interest. */
static bool read_line(int fd, char line[LINE_MAX_BYTES])
{
	size_t len = 0;

	while (len < LINE_MAX_BYTES - 1) {
		ssize_t n = recv(fd, line + len, LINE_MAX_BYTES - 1 - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		line[len] = '\0';
		char *end = strstr(line, "\r\n");
		if (end) {
			*end = '\0';
			return true;
		}
	}
	return false;
}

static void *visit_main(void *arg)
{
	struct visit *visit = arg;
	struct console *console = visit->console;
	char line[LINE_MAX_BYTES], rest[4096];

	if (read_line(visit->fd, line))
		answer(console, visit->fd, line);
	/* An end with bytes unread would be a reset. */
	(void)shutdown(visit->fd, SHUT_WR);
	while (recv(visit->fd, rest, sizeof(rest), 0) > 0)
		;
	close(visit->fd);
	free(visit);
	pthread_mutex_lock(&console->lock);
	console->visitors--;
	pthread_cond_broadcast(&console->changed);
	pthread_mutex_unlock(&console->lock);
	return NULL;
}

/* One more, if there may be. */
static bool enter(struct console *console)
{
	pthread_mutex_lock(&console->lock);
	bool may = !console->stop && console->visitors < VISITORS_MAX;
	console->visitors += may;
	pthread_mutex_unlock(&console->lock);
	return may;
}

static int start_visit(struct console *console, int fd)
{
	const struct timeval patience = {.tv_sec = SOCKET_SECONDS};
	struct visit *visit = malloc(sizeof(*visit));
	pthread_t thread;

	if (!visit)
		return -ENOMEM;
	*visit = (struct visit){.console = console, .fd = fd};
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	int result = thread_start(&thread, visit_main, visit);
	if (result == 0)
		pthread_detach(thread);
	else
		free(visit);
	return result;
}

int console_open(struct console *console, int *fd)
{
	int pair[2];

	if (!enter(console))
		return -EBUSY;
	int result = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
	if (result == 0) {
		int flags = fcntl(pair[0], F_GETFL);
		if (flags < 0 || fcntl(pair[0], F_SETFL, flags | O_NONBLOCK) < 0)
			result = -errno;
		else
			result = start_visit(console, pair[1]);
		if (result < 0) {
			close(pair[0]);
			close(pair[1]);
		}
	}
	if (result < 0) {
		pthread_mutex_lock(&console->lock);
		console->visitors--;
		pthread_cond_broadcast(&console->changed);
		pthread_mutex_unlock(&console->lock);
		return result;
	}
	*fd = pair[0];
	return 0;
}
