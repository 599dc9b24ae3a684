/* SPDX-License-Identifier: MIT */
#include "admin.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"
#include "span.h"
#include "swarm.h"
#include "timer.h"

#define ADMIN_TIMEOUT_MS 1000 /* for the engine */
#define ADMIN_READ_MS	 100  /* for the clients that came together */
#define ADMIN_CLIENTS	 32   /* at a time */
#define ADMIN_HEAD_BYTES 4096
#define ACCEPT_PAUSE_MS	 100

void admin_init(struct admin *admin)
{
	*admin = (struct admin){.fd = -1};
}

int admin_open(struct admin *admin, const struct config_address *address, const struct engine *engine,
	       admin_sum *sum, void *sum_context, char *error, size_t error_cap)
{
	admin->engine = engine;
	admin->sum = sum;
	admin->sum_context = sum_context;
	int result = listener_open(&admin->listener, "--admin", address, 1, error, error_cap);

	if (result == 0)
		admin->fd = admin->listener.fds[0];
	return result;
}

void admin_close(struct admin *admin)
{
	listener_close(&admin->listener);
	admin_init(admin);
}

/* Whether it takes connections; `text` says why not. */
static bool takes_connections(const struct engine *engine, char *text, size_t text_cap)
{
	int fd = -1;
	int result = engine_connect(engine, &fd);
	struct pollfd pollfd = {.fd = fd, .events = POLLOUT};

	if (result == -EINPROGRESS)
		result = poll(&pollfd, 1, ADMIN_TIMEOUT_MS) == 1 ? engine_connected(fd) : -ETIMEDOUT;
	if (fd >= 0)
		close(fd);
	if (result < 0)
		engine_trouble(engine, false, result, NULL, text, text_cap);
	return result == 0;
}

/* Another headgate answers nobody without a token. */
static bool engine_answers(const struct engine *engine, char *text, size_t text_cap)
{
	if (engine->is_remote)
		return takes_connections(engine, text, text_cap);
	if (swarm_is_manageable(engine, ADMIN_TIMEOUT_MS, text, text_cap) < 0)
		return false;
	strlcpy(text, "ok", text_cap);
	return true;
}

/* One read: what asks for health sends its head in one piece, or is not worth waiting for. */
static bool read_request(int fd, struct http_request *request, char head[ADMIN_HEAD_BYTES])
{
	struct http_scan scan = {0};
	enum http_refusal refusal;
	size_t head_bytes;

	ssize_t n = recv(fd, head, ADMIN_HEAD_BYTES, 0);
	return n > 0 && http_scan(&scan, head, (size_t)n, &head_bytes, &refusal) == HTTP_OK &&
	       http_parse_request(request, head, head_bytes, &refusal) == HTTP_OK;
}

static void send_text(int fd, int status, const char *text, bool head_only)
{
	char answer[COUNTERS_TEXT_MAX + 512];
	/* Prometheus wants to be told the format's version; to others it says nothing. */
	int n = snprintf(answer, sizeof(answer),
			 "HTTP/1.1 %d %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
			 "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
			 status, http_status_text(status), strlen(text), head_only ? "" : text);

	if (n > 0 && (size_t)n < sizeof(answer))
		(void)send(fd, answer, (size_t)n, MSG_NOSIGNAL);
}

/* What all that ask in one call of admin_answer() are told: an engine that hangs holds the caller up once. */
struct readiness {
	int status; /* 200 or 503; 0: not asked yet */
	char text[512];
};

static void find_readiness(const struct admin *admin, struct readiness *readiness)
{
	if (readiness->status == 0)
		readiness->status =
		    engine_answers(admin->engine, readiness->text, sizeof(readiness->text)) ? 200 : 503;
}

static void answer_one(const struct admin *admin, int fd, struct readiness *readiness)
{
	char head[ADMIN_HEAD_BYTES], text[COUNTERS_TEXT_MAX] = "ok";
	struct http_request *request = calloc(1, sizeof(*request));
	int status = 200;

	if (request && !read_request(fd, request, head)) {
		send_text(fd, 400, "not a request\n", false);
	} else if (request) {
		bool is_get = request->method == HTTP_GET || request->method == HTTP_HEAD;
		if (is_get && span_eq(request->path, SPAN("/ready"))) {
			find_readiness(admin, readiness);
			status = readiness->status;
			strlcpy(text, readiness->text, sizeof(text) - 1);
		} else if (is_get && span_eq(request->path, SPAN("/metrics"))) {
			uint64_t sums[COUNTER_COUNT] = {0};
			admin->sum(admin->sum_context, sums);
			status = counters_write(sums, text, sizeof(text) - 1) < 0 ? 500 : 200;
		} else if (!is_get || !span_eq(request->path, SPAN("/health"))) {
			status = 404;
			strlcpy(text, "there are GET /health, /ready and /metrics", sizeof(text));
		}
		if (!*text || text[strlen(text) - 1] != '\n')
			strlcat(text, "\n", sizeof(text));
		send_text(fd, status, text, request->method == HTTP_HEAD);
	}
	free(request);
	close(fd);
}

/* Takes all that wait, as far as there is room; fds[0] is the listener. */
static bool accept_all(const struct admin *admin, struct pollfd fds[1 + ADMIN_CLIENTS], nfds_t *count)
{
	while (*count < 1 + ADMIN_CLIENTS) {
		int fd = accept4(admin->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
		fds[(*count)++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
	return true;
}

/* One that says nothing waits beside the others, not before them. */
void admin_answer(const struct admin *admin, bool draining)
{
	struct pollfd fds[1 + ADMIN_CLIENTS] = {{.fd = admin->fd, .events = POLLIN}};
	struct readiness readiness = {.status = draining ? 503 : 0, .text = "draining"};
	uint64_t now_ms = timer_now_ms(), until_ms = now_ms + ADMIN_READ_MS;
	nfds_t count = 1;

	do {
		fds[0].fd = count < ARRAY_SIZE(fds) ? admin->fd : -1;
		if (poll(fds, count, (int)(until_ms - now_ms)) <= 0)
			break;
		for (nfds_t i = count - 1; i > 0; i--) {
			if (!fds[i].revents)
				continue;
			answer_one(admin, fds[i].fd, &readiness);
			fds[i] = fds[--count];
		}
		if (fds[0].fd >= 0 && fds[0].revents && !accept_all(admin, fds, &count)) {
			(void)poll(NULL, 0, ACCEPT_PAUSE_MS); /* out of descriptors: not in circles */
			break;
		}
		now_ms = timer_now_ms();
	} while (count > 1 && now_ms < until_ms);
	/* Who asked while the engine was waited for has asked in time. */
	while (count > 1) {
		count--;
		if (poll(&fds[count], 1, 0) == 1) {
			answer_one(admin, fds[count].fd, &readiness);
			continue;
		}
		send_text(fds[count].fd, 400, "not a request\n", false);
		close(fds[count].fd);
	}
}
