/* SPDX-License-Identifier: MIT */
/*
 * engine.c: accepting, threads, results. What a connection does is in engine_script.c.
 *
 * Theory of operation. One thread accepts; each connection has a detached thread of its own, counted in
 * `connections`. A parked log gives its thread up and lives in a list. engine_stop() closes the listener and
 * waits for the threads, which all end when headgate, at the other end, has stopped.
 */
#include "engine.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

#define THREAD_STACK_BYTES ((size_t)512 * 1024)
#define ACCEPT_TICK_MS	   100

/* ---- results ---- */

struct engine_result *engine_result(struct engine *engine, uint64_t id)
{
	struct engine_result *result = &engine->results[id % ENGINE_RESULTS];

	pthread_mutex_lock(&engine->lock);
	if (result->id != id)
		*result = (struct engine_result){.id = id};
	pthread_mutex_unlock(&engine->lock);
	return result;
}

static void until(struct timespec *at, uint64_t ms)
{
	*at = (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

bool engine_wait(struct engine *engine, uint64_t id, struct engine_result *result, uint64_t deadline_ms)
{
	struct engine_result *slot = engine_result(engine, id);
	struct timespec at;
	int error = 0;

	until(&at, deadline_ms);
	pthread_mutex_lock(&engine->lock);
	while (!slot->done && error == 0)
		error = pthread_cond_timedwait(&engine->changed, &engine->lock, &at);
	*result = *slot;
	pthread_mutex_unlock(&engine->lock);
	return result->done;
}

void engine_go(struct engine *engine, uint64_t id)
{
	struct engine_result *result = engine_result(engine, id);

	pthread_mutex_lock(&engine->lock);
	result->go = true;
	pthread_cond_broadcast(&engine->changed);
	pthread_mutex_unlock(&engine->lock);
}

void engine_stall(struct engine *engine, struct engine_result *result, uint64_t deadline_ms)
{
	struct timespec at;
	int error = 0;

	until(&at, deadline_ms);
	pthread_mutex_lock(&engine->lock);
	while (!result->go && error == 0)
		error = pthread_cond_timedwait(&engine->changed, &engine->lock, &at);
	result->go = false; /* the next stall waits again */
	pthread_mutex_unlock(&engine->lock);
}

uint64_t engine_moved(struct engine *engine, uint64_t id)
{
	return engine_result(engine, id)->moved;
}

bool engine_wait_connections(struct engine *engine, unsigned count, uint64_t deadline_ms)
{
	struct timespec at;
	int error = 0;

	until(&at, deadline_ms);
	pthread_mutex_lock(&engine->lock);
	while (engine->connections > count && error == 0)
		error = pthread_cond_timedwait(&engine->changed, &engine->lock, &at);
	bool good = engine->connections <= count;
	pthread_mutex_unlock(&engine->lock);
	return good;
}

static void connection_ended(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	engine->connections--;
	pthread_cond_broadcast(&engine->changed);
	pthread_mutex_unlock(&engine->lock);
}

/* ---- parked logs ---- */

void engine_park(struct engine *engine, struct peer *peer)
{
	struct parked *parked = calloc(1, sizeof(*parked));

	if (!parked)
		abort();
	parked->peer = peer;
	pthread_mutex_lock(&engine->lock);
	SLIST_INSERT_HEAD(&engine->parked, parked, link);
	pthread_mutex_unlock(&engine->lock);
}

unsigned engine_wake(struct engine *engine, const char *line)
{
	const struct parked *parked;
	unsigned count = 0;

	pthread_mutex_lock(&engine->lock);
	SLIST_FOREACH (parked, &engine->parked, link)
		count += peer_put_by(parked->peer, line, strlen(line), PEER_RECORD_MAX_BYTES,
				     clock_now_ms() + 1000) == 0;
	pthread_mutex_unlock(&engine->lock);
	return count;
}

void engine_unpark(struct engine *engine)
{
	for (;;) {
		pthread_mutex_lock(&engine->lock);
		struct parked *parked = SLIST_FIRST(&engine->parked);
		if (parked)
			SLIST_REMOVE_HEAD(&engine->parked, link);
		pthread_mutex_unlock(&engine->lock);
		if (!parked)
			return;
		(void)peer_end(parked->peer);
		peer_free(parked->peer);
		free(parked);
		connection_ended(engine);
	}
}

/* ---- threads ---- */

struct connection {
	struct engine *engine; /* borrowed */
	int fd;
};

static void *serve_connection(void *arg)
{
	const struct connection connection = *(struct connection *)arg;
	struct engine *engine = connection.engine;
	bool parked = false;
	struct head head;

	free(arg);
	struct peer *peer = peer_new(connection.fd, engine->ctx ? SSL_new(engine->ctx) : NULL);
	if (peer && peer->ssl)
		SSL_set_accept_state(peer->ssl);
	if (peer && peer_handshake_by(peer, clock_now_ms() + ENGINE_PATIENCE_MS) == 0)
		while (head_read_by(&head, peer, clock_now_ms() + ENGINE_PATIENCE_MS) == 0)
			if (!engine_serve(engine, peer, &head, &parked))
				break;
	if (parked)
		return NULL;
	if (peer && peer->ssl && !peer->out_ended)
		(void)peer_end(peer);
	peer_free(peer);
	connection_ended(engine);
	return NULL;
}

static void start_connection(struct engine *engine, int fd)
{
	struct connection *connection = malloc(sizeof(*connection));
	pthread_attr_t attr;
	pthread_t thread;
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!connection)
		abort();
	*connection = (struct connection){engine, fd};
	pthread_mutex_lock(&engine->lock);
	engine->connections++;
	pthread_mutex_unlock(&engine->lock);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, serve_connection, connection) != 0)
		abort(); /* a test that cannot have its threads has no verdict */
	pthread_attr_destroy(&attr);
}

static void *accept_connections(void *arg)
{
	struct engine *engine = arg;
	struct pollfd pollfd = {.fd = engine->fd, .events = POLLIN};

	while (!engine->stopping) {
		if (poll(&pollfd, 1, ACCEPT_TICK_MS) <= 0)
			continue;
		int fd = accept4(engine->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			start_connection(engine, fd);
	}
	return NULL;
}

static int listen_unix(struct engine *engine, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	snprintf(engine->url, sizeof(engine->url), "unix://%s", path);
	engine->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return engine->fd < 0 ||
		       bind(engine->fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0
		   ? -errno
		   : 0;
}

static int listen_tcp(struct engine *engine)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	engine->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (engine->fd < 0 ||
	    bind(engine->fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0 ||
	    getsockname(engine->fd, (struct sockaddr *)(void *)&address, &len) < 0)
		return -errno;
	snprintf(engine->url, sizeof(engine->url), "%s://127.0.0.1:%d", engine->ctx ? "tls" : "tcp",
		 ntohs(address.sin_port));
	return 0;
}

int engine_start(struct engine *engine, const char *path, SSL_CTX *ctx)
{
	pthread_condattr_t attr;

	*engine = (struct engine){.fd = -1, .ctx = ctx};
	SLIST_INIT(&engine->parked);
	pthread_mutex_init(&engine->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&engine->changed, &attr);
	pthread_condattr_destroy(&attr);
	int result = path ? listen_unix(engine, path) : listen_tcp(engine);
	if (result == 0 && listen(engine->fd, 1024) < 0)
		result = -errno;
	if (result == 0)
		result = -pthread_create(&engine->thread, NULL, accept_connections, engine);
	if (result < 0 && engine->fd >= 0) {
		close(engine->fd);
		engine->fd = -1;
	}
	return result;
}

void engine_stop(struct engine *engine)
{
	if (engine->fd < 0)
		return;
	engine->stopping = true;
	pthread_join(engine->thread, NULL);
	close(engine->fd);
	engine->fd = -1;
	engine_unpark(engine);
	(void)engine_wait_connections(engine, 0, clock_now_ms() + 5000);
}
