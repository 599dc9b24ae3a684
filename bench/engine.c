/* SPDX-License-Identifier: MIT */
/*
 * engine: a stand-in Docker Engine for benchmarks that costs as little as it can.
 *
 *     engine [--tcp PORT] [--tls PORT --cert FILE --key FILE] [SOCKET]
 *
 * serves on a unix socket, on 127.0.0.1 or both until it is killed; prints "ready" once it listens.
 *
 *     POST /images/load             takes the body in, answers {"bytes":N} with what it counted
 *     GET  /images/get?bytes=N      N bytes, Content-Length
 *     GET  /containers/x/logs?lines=N&interval_ms=I&phase_ms=P
 *                                   a chunked answer of N lines, one each I; without `lines` silence
 *                                   behind its head
 *     GET  /containers/x/json?bytes=N   a chunked answer of one chunk
 *     POST /containers/x/attach     101 when Upgrade was asked for, then echo; /exec/x/start is the same
 *     anything else                 a small answer, as to /_ping
 *
 * One thread, level-triggered epoll, one slot a descriptor in a table that is allocated once. It trusts its
 * clients: they are the proxies under test and have read the head before.
 */
#include "engine.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX ((size_t)65536)
#define EVENTS_MAX	256
#define LISTENERS_MAX	3

struct listener {
	int fd;
	bool is_tcp;
	SSL_CTX *ctx; /* borrowed; NULL for plain ones */
};

static void conn_close(struct conn *c)
{
	conn_forget(c);
	wire_close(c);
}

static void conn_event(int epoll_fd, struct conn *c)
{
	int flushed = wire_flush(c);
	enum step step = flushed < 0 && flushed != -EAGAIN ? STEP_END : conn_step(c);
	uint32_t events = step == STEP_WAIT_OUT ? EPOLLOUT : EPOLLIN;

	if (step == STEP_END) {
		conn_close(c);
		return;
	}
	if (c->records_start < c->records_end)
		events |= EPOLLOUT;
	if (events == c->armed)
		return;
	c->armed = events;
	struct epoll_event event = {.events = events, .data.fd = c->fd};
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
		err(1, "epoll_ctl");
}

static void accept_all(int epoll_fd, const struct listener *listener, struct conn *conns)
{
	int fd, one = 1;

	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if ((size_t)fd >= CONNECTIONS_MAX)
			errx(1, "too many connections");
		struct conn *c = &conns[fd];
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
		c->fd = fd;
		c->state = listener->ctx ? STATE_HANDSHAKE : STATE_HEAD;
		c->armed = EPOLLIN;
		c->is_due = false;
		c->in_len = c->out_start = c->out_end = 0;
		if (listener->is_tcp)
			(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (!wire_open(c, listener->ctx))
			errx(1, "out of memory");
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
			err(1, "epoll_ctl");
	}
	/* Without a free descriptor they wait in the backlog until others have gone. */
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR && errno != EMFILE)
		err(1, "accept");
}

static int listen_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		errx(2, "%s: the path is too long for a unix socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	unlink(path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0 ||
	    listen(fd, 4096) < 0)
		err(1, "%s", path);
	return fd;
}

static int listen_tcp(const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	char *end;
	unsigned long number = strtoul(port, &end, 10);

	if (*end || number < 1 || number > 65535)
		errx(2, "'%s' is no port", port);
	address.sin_port = htons((uint16_t)number);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0 ||
	    listen(fd, 4096) < 0)
		err(1, "127.0.0.1:%s", port);
	return fd;
}

static size_t options_read(int argc, char **argv, struct listener *listeners)
{
	static const struct option long_options[] = {
	    {"tcp", required_argument, NULL, 't'},
	    {"tls", required_argument, NULL, 's'},
	    {"cert", required_argument, NULL, 'c'},
	    {"key", required_argument, NULL, 'k'},
	    {NULL, 0, NULL, 0},
	};
	const char *tls = NULL, *cert = NULL, *key = NULL;
	size_t count = 0;
	int id;

	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (id == 't' && count == 0)
			listeners[count++] = (struct listener){.fd = listen_tcp(optarg), .is_tcp = true};
		else if (id == 's')
			tls = optarg;
		else if (id == 'c')
			cert = optarg;
		else if (id == 'k')
			key = optarg;
	}
	if (tls && cert && key)
		listeners[count++] =
		    (struct listener){.fd = listen_tcp(tls), .is_tcp = true, .ctx = wire_ctx_new(cert, key)};
	if (optind == argc - 1)
		listeners[count++] = (struct listener){.fd = listen_unix(argv[optind])};
	if (count == 0 || optind < argc - 1 || (tls && (!cert || !key))) {
		fprintf(stderr, "usage: engine [--tcp PORT] [--tls PORT --cert FILE --key FILE] [SOCKET]\n");
		exit(2);
	}
	return count;
}

static const struct listener *listener_of(const struct listener *listeners, size_t count, int fd)
{
	for (size_t i = 0; i < count; i++)
		if (listeners[i].fd == fd)
			return &listeners[i];
	return NULL;
}

static void serve(int epoll_fd, const struct listener *listeners, size_t count, struct conn *conns)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int timeout_ms = logs_write_due(conn_close);
		int ready = epoll_wait(epoll_fd, events, EVENTS_MAX, timeout_ms);
		if (ready < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < ready; i++) {
			const struct listener *listener = listener_of(listeners, count, events[i].data.fd);
			if (listener)
				accept_all(epoll_fd, listener, conns);
			else
				conn_event(epoll_fd, &conns[events[i].data.fd]);
		}
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = {.rlim_cur = CONNECTIONS_MAX, .rlim_max = CONNECTIONS_MAX};
	struct listener listeners[LISTENERS_MAX];
	size_t count = options_read(argc, argv, listeners);

	if (setrlimit(RLIMIT_NOFILE, &files) < 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	/* Pages of slots that are not used are never touched. */
	struct conn *conns = mmap(NULL, CONNECTIONS_MAX * sizeof(*conns), PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (conns == MAP_FAILED || epoll_fd < 0)
		err(1, "set-up");
	conn_init_all();
	for (size_t i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = listeners[i].fd};
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listeners[i].fd, &event) < 0)
			err(1, "epoll");
	}
	printf("ready\n");
	fflush(stdout);
	serve(epoll_fd, listeners, count, conns);
}
