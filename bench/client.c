/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The generator shares its processor with the stand-in engine and must be faster than the proxy, so it
 * saves system calls wherever it can: OpenSSL sits on a BIO that reads with one large recv for many
 * records and gathers many records into one send (but not in mode up-go). One recv buffer serves all
 * clients of a thread, because every step reads until OpenSSL wants more, and then nothing is in it.
 *
 * A client: HANDSHAKE, READY (set-up is over for it), then for each request SENDING and ANSWER, both in
 * client_step(). CLOSED is the end, or the beginning.
 */
#include "client.h"

#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IN_BYTES	 ((size_t)(256 * 1024))
#define SCRATCH_BYTES	 ((size_t)(64 * 1024))
#define OUT_BULK_BYTES	 ((size_t)(256 * 1024))
#define OUT_BYTES	 ((size_t)(24 * 1024)) /* a ClientHello, or a request with its token */
#define CHUNK_BYTES	 ((size_t)32768)
#define TURN_BYTES	 ((size_t)(1024 * 1024)) /* one client sends this much, then the others */
#define OPENING_MAX	 64			 /* below every proxy's listen backlog */
#define HEAD_CAP	 ((size_t)4096)
#define RECORD_MAX_BYTES ((size_t)(18 * 1024)) /* with what TLS adds */
#define EVENTS_MAX	 256

enum client_state { CLIENT_CLOSED, CLIENT_HANDSHAKE, CLIENT_READY, CLIENT_SENDING, CLIENT_ANSWER };

struct client {
	struct load_thread *thread; /* borrowed */
	enum client_state state;
	int fd;	  /* owned */
	SSL *ssl; /* owned */
	BIO *bio; /* owned by ssl */
	uint32_t armed;
	char *out; /* owned; records that are to be sent: out[out_start..out_end) */
	size_t out_cap, out_start, out_end;
	uint64_t unsent_bytes; /* of the body */
	unsigned chunk_part;   /* of mode up-chunked: the next of a chunk's writes */
	bool last_sent;	       /* the chunk of size 0 has been written */
	bool head_done, close_after;
	size_t answer_len;    /* bytes in `answer`: the head, and what fits of the body */
	uint64_t answer_left; /* of the body */
	uint64_t started_ns;  /* the request, or the connection in mode handshake */
	char answer[HEAD_CAP + 1];
};

static const char *const mode_names[MODE_COUNT] = {
    "up-cl", "up-chunked", "up-go", "down", "ping", "handshake", "idle",
};

/* "8000\r\n" and the 32768 bytes of a chunk behind it. */
static char chunk[6 + CHUNK_BYTES] = "8000\r\n";

const char *mode_name(enum mode mode)
{
	return mode_names[mode];
}

bool mode_is_upload(enum mode mode)
{
	return mode == MODE_UP_LENGTH || mode == MODE_UP_CHUNKED || mode == MODE_UP_GO;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* ---- latencies ---- */

void histogram_add(struct histogram *histogram, uint64_t ns)
{
	uint64_t value = ns < HISTOGRAM_STEPS ? HISTOGRAM_STEPS : ns;
	unsigned log2 = 63U - (unsigned)__builtin_clzll(value);
	uint64_t step = (value >> (log2 - 5)) - HISTOGRAM_STEPS;

	histogram->counts[log2 * HISTOGRAM_STEPS + step]++;
	histogram->total++;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
	into->total += from->total;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
}

uint64_t histogram_quantile(const struct histogram *histogram, double fraction)
{
	uint64_t seen = 0;

	/* histogram_add() uses none below the fifth power of two. */
	for (size_t i = 5 * HISTOGRAM_STEPS; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen > 0 && (double)seen >= fraction * (double)histogram->total)
			return (i % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << (i / HISTOGRAM_STEPS - 5);
	}
	return 0;
}

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *data, int len)
{
	struct client *c = BIO_get_data(bio);
	struct load_thread *thread = c->thread;

	BIO_clear_retry_flags(bio);
	if (thread->in_start == thread->in_end) {
		ssize_t n = -1;
		if (!thread->in_short)
			n = recv(c->fd, thread->in, IN_BYTES, MSG_DONTWAIT);
		if (thread->in_short || (n < 0 && errno == EAGAIN)) {
			BIO_set_retry_read(bio);
			return -1;
		}
		if (n <= 0)
			return (int)n;
		thread->in_start = 0;
		thread->in_end = (size_t)n;
		thread->in_short = (size_t)n < IN_BYTES;
	}
	size_t n = thread->in_end - thread->in_start;
	if (n > (size_t)len)
		n = (size_t)len;
	memcpy(data, thread->in + thread->in_start, n);
	thread->in_start += n;
	return (int)n;
}

static int bio_write(BIO *bio, const char *data, int len)
{
	struct client *c = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (c->out_cap - c->out_end < (size_t)len) {
		BIO_set_retry_write(bio);
		return -1;
	}
	memcpy(c->out + c->out_end, data, (size_t)len);
	c->out_end += (size_t)len;
	return len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *client_bio_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "load");

	if (!method || !BIO_meth_set_read(method, bio_read) || !BIO_meth_set_write(method, bio_write) ||
	    !BIO_meth_set_ctrl(method, bio_ctrl))
		errx(1, "out of memory");
	return method;
}

/* ---- opening and closing ---- */

static void client_failed(struct client *c, const char *text)
{
	struct load_thread *thread = c->thread;
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	if (thread->errors++ == 0)
		snprintf(thread->error, sizeof(thread->error), "%.*s%s%s", (int)strcspn(text, "\r\n\""), text,
			 reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
}

static void client_close(struct client *c)
{
	if (c->state == CLIENT_HANDSHAKE)
		c->thread->opening--;
	SSL_free(c->ssl);
	close(c->fd);
	c->ssl = NULL;
	c->fd = -1;
	c->state = CLIENT_CLOSED;
}

/* Sends what is gathered: 0, -EAGAIN, or -errno. */
static int out_send(struct client *c)
{
	while (c->out_start < c->out_end) {
		ssize_t n = send(c->fd, c->out + c->out_start, c->out_end - c->out_start,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return -errno;
		c->out_start += (size_t)n;
	}
	c->out_start = c->out_end = 0;
	return 0;
}

/* Blocks for the TCP handshake only, which the kernel answers while there is room in the backlog. */
static void client_open(struct client *c)
{
	struct load_thread *thread = c->thread;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	int one = 1;

	c->started_ns = now_ns();
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)(const void *)&thread->options->address,
				 sizeof(thread->options->address)) < 0)
		err(1, "connect");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->ssl = SSL_new(thread->ctx);
	c->bio = c->ssl ? BIO_new(thread->bio) : NULL;
	if (!c->bio)
		errx(1, "out of memory");
	BIO_set_data(c->bio, c);
	BIO_set_init(c->bio, 1);
	SSL_set_bio(c->ssl, c->bio, c->bio);
	SSL_set_connect_state(c->ssl);
	c->out_start = c->out_end = 0;
	c->armed = EPOLLIN;
	if (epoll_ctl(thread->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
		err(1, "epoll_ctl");
	c->state = CLIENT_HANDSHAKE;
	thread->opening++;
	/* The ClientHello; nothing can be there to read yet, and what the buffer holds is another's. */
	thread->in_start = thread->in_end = 0;
	thread->in_short = true;
	(void)SSL_do_handshake(c->ssl);
	(void)out_send(c);
}

/* ---- sending ---- */

static bool ssl_put(struct client *c, const char *data, size_t len)
{
	size_t n;

	return SSL_write_ex(c->ssl, data, len, &n) == 1 && n == len;
}

/*
 * The next write of Go's chunked encoder through its 4 KiB buffer: 4096 (with the size line), 28678, 2.
 * The second makes two records; they are two writes here, so that mode up-go can send each by itself.
 */
static bool produce_chunked(struct client *c)
{
	static const struct {
		size_t offset, len;
	} parts[] = {{0, 4096}, {4096, 16384}, {20480, 12294}};

	if (c->unsent_bytes == 0) {
		c->last_sent = true;
		return ssl_put(c, "0\r\n\r\n", 5);
	}
	if (c->chunk_part < 3) {
		unsigned part = c->chunk_part++;
		return ssl_put(c, chunk + parts[part].offset, parts[part].len);
	}
	c->chunk_part = 0;
	c->unsent_bytes -= CHUNK_BYTES;
	return ssl_put(c, "\r\n", 2);
}

static bool produce_length(struct client *c)
{
	size_t len = c->unsent_bytes < 16384 ? (size_t)c->unsent_bytes : 16384;

	c->unsent_bytes -= len;
	return ssl_put(c, chunk + 6, len);
}

static bool body_left(const struct client *c)
{
	return c->unsent_bytes > 0 || !c->last_sent;
}

/* Sends of request and body what the socket takes: 0 when all is out, -EAGAIN, 1 for "more later", or -EIO.
 */
static int client_send(struct client *c)
{
	enum mode mode = c->thread->options->mode;
	size_t turn = 0;

	for (;;) {
		int result = out_send(c);
		if (result < 0)
			return result == -EAGAIN ? result : -EIO;
		if (!body_left(c))
			return 0;
		if (turn >= TURN_BYTES)
			return 1;
		do {
			if (!(mode == MODE_UP_LENGTH ? produce_length(c) : produce_chunked(c)))
				return -EIO;
		} while (mode != MODE_UP_GO && body_left(c) && c->out_cap - c->out_end > RECORD_MAX_BYTES);
		turn += c->out_end;
	}
}

static bool request_write(struct client *c)
{
	const struct load_options *options = c->thread->options;
	static const char *const targets[MODE_COUNT] = {
	    [MODE_UP_LENGTH] = "POST /v1.41/images/load?quiet=1",
	    [MODE_UP_CHUNKED] = "POST /v1.41/images/load?quiet=1",
	    [MODE_UP_GO] = "POST /v1.41/images/load?quiet=1",
	    [MODE_PING] = "GET /_ping",
	    [MODE_HANDSHAKE] = "GET /_ping",
	    [MODE_IDLE] = "GET /containers/x/logs?follow=1&stdout=1",
	};
	char head[HEAD_CAP], target[256], framing[64] = "";

	if (options->target)
		snprintf(target, sizeof(target), "GET %s", options->target);
	else if (options->mode == MODE_DOWN)
		snprintf(target, sizeof(target), "GET /images/get?bytes=%llu",
			 (unsigned long long)options->bytes);
	else
		snprintf(target, sizeof(target), "%s", targets[options->mode]);
	if (options->mode == MODE_UP_LENGTH)
		snprintf(framing, sizeof(framing), "Content-Length: %llu\r\n",
			 (unsigned long long)options->bytes);
	else if (mode_is_upload(options->mode))
		snprintf(framing, sizeof(framing), "Transfer-Encoding: chunked\r\n");
	int n = snprintf(head, sizeof(head),
			 "%s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Docker-Client/28.5.2 (linux)\r\n%s"
			 "token: %s\r\n\r\n",
			 target, framing, options->token);
	c->unsent_bytes = mode_is_upload(options->mode) ? options->bytes : 0;
	c->last_sent = !mode_is_upload(options->mode) || options->mode == MODE_UP_LENGTH;
	c->chunk_part = 0;
	return n > 0 && (size_t)n < sizeof(head) && ssl_put(c, head, (size_t)n);
}

/* ---- the answer ---- */

static const char *answer_field(const struct client *c, const char *name)
{
	const char *found = strcasestr(c->answer, name);

	return found ? found + strlen(name) : NULL;
}

/* Reads the head, once it is complete. NULL, or what is wrong with it. */
static const char *answer_head(struct client *c)
{
	char *end = strstr(c->answer, "\r\n\r\n");
	struct load_thread *thread = c->thread;

	if (!end)
		return c->answer_len == HEAD_CAP ? "the answer's head is too long" : NULL;
	*end = '\0';
	const char *length = answer_field(c, "\r\ncontent-length:");
	const char *connection = answer_field(c, "\r\nconnection: close");
	long status = c->answer_len > 12 ? strtol(c->answer + 9, NULL, 10) : 0;
	size_t head_len = (size_t)(end - c->answer) + 4;
	if (status != thread->options->expect_status)
		return c->answer;
	if (!length && thread->options->mode != MODE_IDLE)
		return "the answer has no Content-Length";
	c->close_after = connection != NULL;
	c->answer_left = length ? strtoull(length, NULL, 10) : UINT64_MAX;
	memmove(c->answer, c->answer + head_len, c->answer_len - head_len);
	c->answer_len -= head_len;
	c->answer[c->answer_len] = '\0';
	c->head_done = true;
	if (thread->options->mode == MODE_IDLE) {
		thread->streaming++;
		thread->requests_done++;
		return NULL;
	}
	if (c->answer_len > c->answer_left)
		return "more bytes than the answer's Content-Length";
	c->answer_left -= c->answer_len;
	return NULL;
}

/* Takes plaintext that came. NULL, or what is wrong. */
static const char *answer_take(struct client *c, const char *data, size_t len)
{
	size_t room = HEAD_CAP - c->answer_len;
	size_t kept = len < room ? len : room;

	if (c->state != CLIENT_ANSWER && c->state != CLIENT_SENDING)
		return "bytes without a request";
	memcpy(c->answer + c->answer_len, data, kept);
	c->answer_len += kept;
	c->answer[c->answer_len] = '\0';
	if (c->head_done) {
		if (len > c->answer_left)
			return "more bytes than the answer's Content-Length";
		c->answer_left -= len;
		return NULL;
	}
	const char *wrong = answer_head(c);
	if (wrong || !c->head_done || kept == len)
		return wrong;
	if (len - kept > c->answer_left)
		return "more bytes than the answer's Content-Length";
	c->answer_left -= len - kept;
	return NULL;
}

/* What the engine counted must be what was sent. */
static bool answer_is_right(const struct client *c)
{
	const struct load_options *options = c->thread->options;
	char expected[64];

	if (!mode_is_upload(options->mode))
		return true;
	snprintf(expected, sizeof(expected), "{\"bytes\":%llu}", (unsigned long long)options->bytes);
	return strstr(c->answer, expected) != NULL;
}

/* ---- one client's steps ---- */

static void client_want(struct client *c, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = c};

	if (events == c->armed)
		return;
	c->armed = events;
	if (epoll_ctl(c->thread->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
		err(1, "epoll_ctl");
}

static bool request_start(struct client *c)
{
	struct load_thread *thread = c->thread;

	if (!thread->running || thread->requests_started == thread->requests_quota)
		return true;
	thread->requests_started++;
	c->answer_len = 0;
	c->answer[0] = '\0';
	c->head_done = c->close_after = false;
	if (thread->options->mode != MODE_HANDSHAKE)
		c->started_ns = now_ns();
	c->state = CLIENT_SENDING;
	return request_write(c);
}

/* The next request of this client, on a new connection where that is the mode or the answer said so. */
static bool request_next(struct client *c)
{
	struct load_thread *thread = c->thread;
	bool fresh = thread->options->mode == MODE_HANDSHAKE || c->close_after;

	c->state = CLIENT_READY;
	if (!fresh)
		return request_start(c);
	(void)SSL_shutdown(c->ssl);
	(void)out_send(c);
	client_close(c);
	if (thread->requests_started < thread->requests_quota)
		client_open(c);
	return true;
}

static bool client_handshake(struct client *c)
{
	struct load_thread *thread = c->thread;
	int result = SSL_do_handshake(c->ssl);

	if (result != 1 && SSL_get_error(c->ssl, result) != SSL_ERROR_WANT_READ)
		return false;
	if (result == 1) {
		thread->opening--;
		thread->established++;
		if (!thread->protocol[0])
			snprintf(thread->protocol, sizeof(thread->protocol), "%s %s", SSL_get_version(c->ssl),
				 SSL_get_cipher_name(c->ssl));
		c->state = CLIENT_READY;
		if (!request_start(c))
			return false;
	}
	int sent = out_send(c);
	return sent == 0 || sent == -EAGAIN;
}

/* Reads until nothing more is there. Returns false at a failure. */
static bool client_read(struct client *c)
{
	struct load_thread *thread = c->thread;

	for (;;) {
		size_t n = 0;
		if (SSL_read_ex(c->ssl, thread->scratch, SCRATCH_BYTES, &n) != 1) {
			if (SSL_get_error(c->ssl, 0) == SSL_ERROR_WANT_READ)
				return true;
			client_failed(c, "the connection ended too early");
			return false;
		}
		const char *wrong = answer_take(c, thread->scratch, n);
		if (wrong) {
			client_failed(c, wrong);
			return false;
		}
		if (!c->head_done || c->answer_left > 0)
			continue;
		if (c->state == CLIENT_SENDING || !answer_is_right(c)) {
			client_failed(c, c->answer);
			return false;
		}
		histogram_add(&thread->latencies, now_ns() - c->started_ns);
		thread->requests_done++;
		thread->bytes += thread->options->mode == MODE_DOWN || mode_is_upload(thread->options->mode)
				     ? thread->options->bytes
				     : 0;
		if (!request_next(c)) {
			client_failed(c, "cannot write a request");
			return false;
		}
		if (c->state != CLIENT_SENDING)
			return true;
		int sent = client_send(c);
		if (sent == 0)
			c->state = CLIENT_ANSWER;
	}
}

static void client_step(struct client *c)
{
	struct load_thread *thread = c->thread;
	int sent = 0;

	thread->in_short = false;
	if (c->state == CLIENT_HANDSHAKE) {
		if (!client_handshake(c)) {
			client_failed(c, "handshake");
			client_close(c);
			return;
		}
		if (c->state == CLIENT_HANDSHAKE)
			return;
	}
	if (c->state == CLIENT_SENDING) {
		sent = client_send(c);
		if (sent == 0)
			c->state = CLIENT_ANSWER;
	}
	/* After a failed send the answer may still tell why. */
	if (!client_read(c)) {
		if (thread->options->mode == MODE_IDLE && c->head_done)
			thread->streaming--;
		client_close(c);
	}
	thread->in_start = thread->in_end = 0;
	if (c->state == CLIENT_CLOSED)
		return;
	client_want(c, c->state == CLIENT_SENDING && sent != 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* ---- a thread's clients ---- */

void load_thread_init(struct load_thread *thread, const struct load_options *options, SSL_CTX *ctx,
		      BIO_METHOD *bio, unsigned clients_count, uint64_t requests_quota)
{
	*thread = (struct load_thread){
	    .options = options,
	    .ctx = ctx,
	    .bio = bio,
	    .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
	    .in = malloc(IN_BYTES),
	    .scratch = malloc(SCRATCH_BYTES),
	    .clients = calloc(clients_count, sizeof(struct client)),
	    .clients_count = clients_count,
	    .requests_quota = requests_quota,
	};
	if (thread->epoll_fd < 0 || !thread->in || !thread->scratch || !thread->clients)
		err(1, "set-up");
	memset(chunk + 6, 'x', CHUNK_BYTES);
	for (unsigned i = 0; i < clients_count; i++) {
		struct client *c = &thread->clients[i];
		*c = (struct client){.thread = thread, .fd = -1};
		c->out_cap = mode_is_upload(options->mode) ? OUT_BULK_BYTES : OUT_BYTES;
		c->out = malloc(c->out_cap);
		if (!c->out)
			errx(1, "out of memory");
	}
}

void load_thread_fini(struct load_thread *thread)
{
	for (unsigned i = 0; i < thread->clients_count; i++) {
		if (thread->clients[i].fd >= 0)
			client_close(&thread->clients[i]);
		free(thread->clients[i].out);
	}
	close(thread->epoll_fd);
	free(thread->in);
	free(thread->scratch);
	free(thread->clients);
}

void load_thread_open_more(struct load_thread *thread)
{
	while (thread->opened < thread->clients_count && thread->opening < OPENING_MAX) {
		client_open(&thread->clients[thread->opened++]);
	}
}

void load_thread_start(struct load_thread *thread)
{
	thread->running = true;
	for (unsigned i = 0; i < thread->clients_count; i++) {
		struct client *c = &thread->clients[i];
		if (c->state == CLIENT_READY && request_start(c))
			client_step(c);
	}
}

void load_thread_turn(struct load_thread *thread, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(thread->epoll_fd, events, EVENTS_MAX, timeout_ms);

	if (count < 0 && errno != EINTR)
		err(1, "epoll_wait");
	for (int i = 0; i < count; i++)
		client_step(events[i].data.ptr);
}
