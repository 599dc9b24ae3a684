/* SPDX-License-Identifier: MIT */
/*
 * `headgate health`: one request to the admin listener of a headgate that runs, for a container's health
 * check: an image needs no curl for it. The answer's first word after the version is all that counts; its
 * text is printed.
 */
#include "cmd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "engine.h"
#include "http.h"
#include "span.h"
#include "timer.h"

#define HEALTH_TIMEOUT_MS   3000
#define HEALTH_ANSWER_BYTES ((size_t)8192)

struct health {
	struct config config;
	struct engine place; /* the admin listener: an address to connect to, as an engine's is */
	char answer[HEALTH_ANSWER_BYTES + 1];
	char error[1024];
};

static int wait_for(int fd, short events, uint64_t end_ms)
{
	struct pollfd pollfd = {.fd = fd, .events = events};
	uint64_t now_ms = timer_now_ms();
	int n;

	do
		n = now_ms < end_ms ? poll(&pollfd, 1, (int)(end_ms - now_ms)) : 0;
	while (n < 0 && errno == EINTR && (now_ms = timer_now_ms()));
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

/* Connects and sends; it fits any socket's buffer. The descriptor or -errno. */
static int send_question(const struct health *health, uint64_t end_ms)
{
	char request[80];
	int fd = -1, result = engine_connect(&health->place, &fd);

	if (result == -EINPROGRESS) {
		result = wait_for(fd, POLLOUT, end_ms);
		if (result == 0)
			result = engine_connected(fd);
	}
	int length = snprintf(request, sizeof(request), "GET /%s HTTP/1.1\r\nHost: headgate\r\n\r\n",
			      health->config.ready ? "ready" : "health");
	if (result == 0 && send(fd, request, (size_t)length, MSG_NOSIGNAL) != length)
		result = errno ? -errno : -EIO;
	if (result == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return result;
}

/* Until the other side closes, as the admin listener does. The number of bytes or -errno. */
static ssize_t read_answer(struct health *health, int fd, uint64_t end_ms)
{
	size_t len = 0;

	while (len < HEALTH_ANSWER_BYTES) {
		ssize_t n = recv(fd, health->answer + len, HEALTH_ANSWER_BYTES - len, MSG_DONTWAIT);

		if (n == 0)
			break;
		if (n > 0) {
			len += (size_t)n;
			continue;
		}
		int result = errno == EAGAIN ? wait_for(fd, POLLIN, end_ms) : -errno;
		if (result < 0)
			return result;
	}
	health->answer[len] = '\0';
	return (ssize_t)len;
}

/* The status, with the answer's text printed; or -errno. */
static int ask(struct health *health)
{
	uint64_t end_ms = timer_now_ms() + HEALTH_TIMEOUT_MS;
	struct http_scan scan = {0};
	struct http_answer *answer = malloc(sizeof(*answer));
	enum http_refusal refusal;
	size_t head_bytes = 0;
	int fd = send_question(health, end_ms), status = -EPROTO;
	ssize_t len = fd < 0 ? fd : read_answer(health, fd, end_ms);

	if (fd >= 0)
		close(fd);
	if (!answer)
		status = -ENOMEM;
	else if (len < 0)
		status = (int)len;
	else if (http_scan(&scan, health->answer, (size_t)len, &head_bytes, &refusal) == HTTP_OK &&
		 http_parse_answer(answer, health->answer, head_bytes, HTTP_GET, &refusal) == HTTP_OK)
		status = answer->status;
	if (status > 0)
		fputs(health->answer + head_bytes, status == 200 ? stdout : stderr);
	free(answer);
	return status;
}

static int run(struct health *health)
{
	struct config *config = &health->config;

	if (!config->admin.text[0]) {
		fputs("headgate health: --admin is needed (or HEADGATE_ADMIN): where the one that runs "
		      "answers\n",
		      stderr);
		return EXIT_USAGE;
	}
	config->engine = config->admin;
	if (engine_init(&health->place, config, health->error, sizeof(health->error)) < 0) {
		fprintf(stderr, "headgate health: --admin %s: cannot be resolved\n", config->admin.text);
		return EXIT_FAILURE;
	}
	int status = ask(health);
	if (status < 0)
		fprintf(stderr, "headgate health: no answer from %s: %s\n", config->admin.text,
			status == -EPROTO ? "that is no headgate" : strerror(-status));
	engine_fini(&health->place);
	return status == 200 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_health(int argc, char **argv)
{
	struct health *health = calloc(1, sizeof(*health));
	int code = EXIT_USAGE;

	if (!health)
		return EXIT_FAILURE;
	switch (config_read(&health->config, CONFIG_HEALTH, argc, argv, environ, health->error,
			    sizeof(health->error))) {
	case CONFIG_HELP:
		config_help(stdout, CONFIG_HEALTH);
		code = EXIT_SUCCESS;
		break;
	case CONFIG_BAD:
		fprintf(stderr, "%s\n", health->error);
		break;
	case CONFIG_OK:
		code = run(health);
		break;
	}
	free(health);
	return code;
}
