/* SPDX-License-Identifier: MIT */
/*
 * engine: a stand-in Docker Engine for benchmarks, on a unix socket, that costs as little as it can.
 *
 *     engine SOCKET        serves until it is killed; prints "ready" once it listens
 *
 *     POST /images/load             takes the body in, answers {"bytes":N} with what it counted
 *     GET  /images/get?bytes=N      N bytes, Content-Length
 *     GET  /containers/x/logs...    a chunked answer's head, then silence
 *     POST /containers/x/attach     101 when Upgrade was asked for, then echo
 *     anything else                 a small answer, as to /_ping
 *
 * Theory of operation
 *
 * One thread, level-triggered epoll, one slot a descriptor in a table that is allocated once. A slot is
 * in one of the states of enum state; conn_step() runs until something would block. Bodies go through
 * one static buffer that all connections share, because nothing is kept of them. It trusts its clients:
 * they are the proxies under test and have read the head before.
 */
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD_CAP	((size_t)8192)
#define BULK_BYTES	((size_t)(256 * 1024))
#define TURN_BYTES	((size_t)(1024 * 1024)) /* of one connection, then the others have their turn */
#define CONNECTIONS_MAX ((size_t)65536)
#define EVENTS_MAX	256

enum state { STATE_HEAD, STATE_LENGTH, STATE_CHUNKED, STATE_ANSWER, STATE_SOURCE, STATE_ECHO, STATE_SILENT };
enum chunk { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER };
enum step { STEP_NEXT, STEP_WAIT_IN, STEP_WAIT_OUT, STEP_END };

struct conn {
	int fd;
	enum state state;
	enum state after_answer; /* where to go once the answer's head has left */
	enum chunk chunk;
	bool line_empty;	  /* of the trailer section */
	bool close_after;	  /* the request asked for it */
	uint32_t armed;		  /* EPOLLIN or EPOLLOUT */
	uint64_t remaining_bytes; /* of the body or chunk that comes in, or of what goes out */
	uint64_t received_bytes;  /* of the body, without its framing */
	size_t in_len;		  /* bytes in `in` */
	size_t out_start, out_end;
	char out[512];
	char in[HEAD_CAP]; /* a head, or bytes on their way back */
};

static char bulk[BULK_BYTES];

static void answer(struct conn *c, enum state after, const char *text)
{
	c->out_start = 0;
	c->out_end = strlen(text);
	memcpy(c->out, text, c->out_end);
	c->after_answer = after;
	c->state = STATE_ANSWER;
}

static void answer_received(struct conn *c)
{
	char body[64], text[256];

	snprintf(body, sizeof(body), "{\"bytes\":%llu}\n", (unsigned long long)c->received_bytes);
	snprintf(text, sizeof(text),
		 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
		 c->close_after ? "Connection: close\r\n" : "", strlen(body), body);
	answer(c, STATE_HEAD, text);
}

/* The value of a field in a NUL-terminated head, or NULL. `name` is with its colon and in lower case. */
static const char *field(const char *head, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line + 2, name, len) == 0)
			return line + 2 + len + strspn(line + 2 + len, " ");
	}
	return NULL;
}

static bool field_is(const char *head, const char *name, const char *value)
{
	const char *text = field(head, name);

	return text && strncasecmp(text, value, strlen(value)) == 0;
}

static void route_get(struct conn *c, const char *head)
{
	char text[256];

	if (strstr(head, "/images/get?bytes=") == head + 4) {
		c->remaining_bytes = strtoull(strchr(head, '=') + 1, NULL, 10);
		snprintf(
		    text, sizeof(text),
		    "HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n%sContent-Length: %llu\r\n\r\n",
		    c->close_after ? "Connection: close\r\n" : "", (unsigned long long)c->remaining_bytes);
		answer(c, STATE_SOURCE, text);
	} else if (strstr(head, "/logs")) {
		answer(c, STATE_SILENT,
		       "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
		       "Transfer-Encoding: chunked\r\n\r\n");
	} else {
		/* As large as dockerd's own. */
		snprintf(text, sizeof(text),
			 "HTTP/1.1 200 OK\r\nApi-Version: 1.48\r\nCache-Control: no-cache\r\nContent-Type: "
			 "text/plain; charset=utf-8\r\nDocker-Experimental: false\r\nOstype: linux\r\n"
			 "Server: Docker\r\n%sContent-Length: 2\r\n\r\nOK",
			 c->close_after ? "Connection: close\r\n" : "");
		answer(c, STATE_HEAD, text);
	}
}

static void route(struct conn *c, const char *head)
{
	const char *length = field(head, "content-length:");

	c->close_after = field_is(head, "connection:", "close");
	c->received_bytes = 0;
	c->remaining_bytes = 0;
	if (strncmp(head, "POST ", 5) != 0) {
		route_get(c, head);
	} else if (strstr(head, "/attach") && field(head, "upgrade:")) {
		answer(c, STATE_ECHO,
		       "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
		       "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
	} else if (field_is(head, "transfer-encoding:", "chunked")) {
		c->chunk = CHUNK_SIZE;
		c->state = STATE_CHUNKED;
	} else {
		c->remaining_bytes = length ? strtoull(length, NULL, 10) : 0;
		c->state = STATE_LENGTH;
	}
}

/* One byte of a chunked body's framing. True when it was the body's last. */
static bool chunk_byte(struct conn *c, char byte)
{
	switch (c->chunk) {
	case CHUNK_SIZE:
		if (isxdigit((unsigned char)byte)) {
			unsigned digit =
			    byte <= '9' ? (unsigned)byte - '0' : ((unsigned)byte | 0x20) - 'a' + 10;
			c->remaining_bytes = c->remaining_bytes << 4 | digit;
		} else if (byte == '\n') {
			c->chunk = c->remaining_bytes ? CHUNK_DATA : CHUNK_TRAILER;
			c->line_empty = true;
		}
		return false;
	case CHUNK_DATA_END:
		if (byte == '\n')
			c->chunk = CHUNK_SIZE;
		return false;
	case CHUNK_TRAILER:
		if (byte == '\n' && c->line_empty)
			return true;
		if (byte == '\n')
			c->line_empty = true;
		else if (byte != '\r')
			c->line_empty = false;
		return false;
	case CHUNK_DATA:
		break;
	}
	return false;
}

/* Takes body bytes; the answer starts when the body is complete. Returns how many belonged to it. */
static size_t take_body(struct conn *c, const char *data, size_t len)
{
	size_t used = 0;

	while (used < len) {
		if (c->state == STATE_CHUNKED && c->chunk != CHUNK_DATA) {
			if (chunk_byte(c, data[used++])) {
				answer_received(c);
				return used;
			}
			continue;
		}
		size_t n = len - used < c->remaining_bytes ? len - used : (size_t)c->remaining_bytes;
		used += n;
		c->received_bytes += n;
		c->remaining_bytes -= n;
		if (c->remaining_bytes > 0)
			continue;
		if (c->state == STATE_CHUNKED) {
			c->chunk = CHUNK_DATA_END;
			continue;
		}
		break;
	}
	if (c->state == STATE_LENGTH && c->remaining_bytes == 0)
		answer_received(c);
	return used;
}

static enum step step_head(struct conn *c)
{
	char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);

	if (!end) {
		if (c->in_len == HEAD_CAP - 1)
			return STEP_END;
		ssize_t n = recv(c->fd, c->in + c->in_len, HEAD_CAP - 1 - c->in_len, 0);
		if (n < 0 && errno == EAGAIN)
			return STEP_WAIT_IN;
		if (n <= 0)
			return STEP_END;
		c->in_len += (size_t)n;
		end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
		if (!end)
			return STEP_WAIT_IN;
	}
	size_t used = (size_t)(end - c->in) + 4;
	end[2] = '\0'; /* what stands behind is no part of the head */
	route(c, c->in);
	if (c->state == STATE_LENGTH || c->state == STATE_CHUNKED)
		used += take_body(c, c->in + used, c->in_len - used);
	memmove(c->in, c->in + used, c->in_len - used);
	c->in_len -= used;
	return STEP_NEXT;
}

static enum step step_body(struct conn *c)
{
	for (size_t turn = 0; turn < TURN_BYTES;) {
		ssize_t n = recv(c->fd, bulk, BULK_BYTES, 0);
		if (n < 0 && errno == EAGAIN)
			return STEP_WAIT_IN;
		if (n <= 0)
			return STEP_END;
		if (take_body(c, bulk, (size_t)n) < (size_t)n)
			return STEP_END; /* bytes behind the body: no proxy here pipelines */
		if (c->state == STATE_ANSWER)
			return STEP_NEXT;
		if ((size_t)n < BULK_BYTES) /* level-triggered: what comes meanwhile is reported */
			return STEP_WAIT_IN;
		turn += (size_t)n;
	}
	return STEP_WAIT_IN;
}

static enum step step_answer(struct conn *c)
{
	while (c->out_start < c->out_end) {
		ssize_t n = send(c->fd, c->out + c->out_start, c->out_end - c->out_start, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN ? STEP_WAIT_OUT : STEP_END;
		c->out_start += (size_t)n;
	}
	c->state = c->after_answer;
	if (c->state != STATE_HEAD)
		return STEP_NEXT;
	if (c->close_after)
		return STEP_END;
	return c->in_len > 0 ? STEP_NEXT : STEP_WAIT_IN;
}

static enum step step_source(struct conn *c)
{
	for (size_t turn = 0; c->remaining_bytes > 0;) {
		if (turn >= TURN_BYTES)
			return STEP_WAIT_OUT;
		size_t len = c->remaining_bytes < BULK_BYTES ? (size_t)c->remaining_bytes : BULK_BYTES;
		ssize_t n = send(c->fd, bulk, len, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN ? STEP_WAIT_OUT : STEP_END;
		c->remaining_bytes -= (size_t)n;
		turn += (size_t)n;
	}
	if (c->close_after)
		return STEP_END;
	c->state = STATE_HEAD;
	return STEP_NEXT;
}

static enum step step_echo(struct conn *c)
{
	size_t sent = 0;

	if (c->in_len == 0) {
		ssize_t n = recv(c->fd, c->in, HEAD_CAP, 0);
		if (n < 0 && errno == EAGAIN)
			return STEP_WAIT_IN;
		if (n <= 0)
			return STEP_END;
		c->in_len = (size_t)n;
	}
	while (sent < c->in_len) {
		ssize_t n = send(c->fd, c->in + sent, c->in_len - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return STEP_END;
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	memmove(c->in, c->in + sent, c->in_len - sent);
	c->in_len -= sent;
	return c->in_len > 0 ? STEP_WAIT_OUT : STEP_WAIT_IN;
}

/* Nothing is expected of the client of a silent stream but its end. */
static enum step step_silent(struct conn *c)
{
	ssize_t n = recv(c->fd, bulk, BULK_BYTES, 0);

	return n > 0 || (n < 0 && errno == EAGAIN) ? STEP_WAIT_IN : STEP_END;
}

static enum step conn_step(struct conn *c)
{
	static enum step (*const steps[])(struct conn * c) = {
	    [STATE_HEAD] = step_head,	  [STATE_LENGTH] = step_body,	[STATE_CHUNKED] = step_body,
	    [STATE_ANSWER] = step_answer, [STATE_SOURCE] = step_source, [STATE_ECHO] = step_echo,
	    [STATE_SILENT] = step_silent,
	};
	enum step step;

	do
		step = steps[c->state](c);
	while (step == STEP_NEXT);
	return step;
}

static void conn_event(int epoll_fd, struct conn *c)
{
	enum step step = conn_step(c);
	uint32_t events = step == STEP_WAIT_OUT ? EPOLLOUT : EPOLLIN;

	if (step == STEP_END) {
		close(c->fd);
		return;
	}
	if (events == c->armed)
		return;
	c->armed = events;
	struct epoll_event event = {.events = events, .data.fd = c->fd};
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
		err(1, "epoll_ctl");
}

static void accept_all(int epoll_fd, int listen_fd, struct conn *conns)
{
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if ((size_t)fd >= CONNECTIONS_MAX)
			errx(1, "too many connections");
		struct conn *c = &conns[fd];
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
		c->fd = fd;
		c->state = STATE_HEAD;
		c->armed = EPOLLIN;
		c->in_len = c->out_start = c->out_end = 0;
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
			err(1, "epoll_ctl");
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		err(1, "accept");
}

static int listen_at(const char *path)
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

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	struct rlimit files = {.rlim_cur = CONNECTIONS_MAX, .rlim_max = CONNECTIONS_MAX};

	if (argc != 2) {
		fprintf(stderr, "usage: engine SOCKET\n");
		return 2;
	}
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	/* Pages of slots that are not used are never touched. */
	struct conn *conns = mmap(NULL, CONNECTIONS_MAX * sizeof(*conns), PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (conns == MAP_FAILED)
		err(1, "mmap");
	memset(bulk, 'x', sizeof(bulk));
	int listen_fd = listen_at(argv[1]);
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listen_fd};
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event) < 0)
		err(1, "epoll");
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
		if (count < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < count; i++) {
			if (events[i].data.fd == listen_fd)
				accept_all(epoll_fd, listen_fd, conns);
			else
				conn_event(epoll_fd, &conns[events[i].data.fd]);
		}
	}
}
