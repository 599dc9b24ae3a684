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
 * client_step(). CLOSED is the end, or the beginning. In mode echo the tunnel is part of the set-up.
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

#define IN_BYTES       ((size_t)(256 * 1024))
#define SCRATCH_BYTES  ((size_t)(64 * 1024))
#define OUT_BULK_BYTES ((size_t)(256 * 1024))
#define OUT_BYTES      ((size_t)(24 * 1024)) /* a ClientHello, or a request with its token */
#define OPENING_MAX    64		     /* below every proxy's listen backlog */
#define EVENTS_MAX     256

static const char *const mode_names[MODE_COUNT] = {
    "up-cl", "up-chunked", "up-go", "down", "mixed", "ping", "inspect", "handshake", "idle", "logs", "echo",
};

const char *mode_name(enum mode mode)
{
	return mode_names[mode];
}

bool mode_is_upload(enum mode mode)
{
	return mode == MODE_UP_LENGTH || mode == MODE_UP_CHUNKED || mode == MODE_UP_GO;
}

bool mode_is_chunked(enum mode mode)
{
	return mode == MODE_LOGS || mode == MODE_INSPECT;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
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

void client_failed(struct client *c, const char *text)
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

int client_flush(struct client *c)
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

/* So that one address's ports are enough for many connections, and a proxy's limits per address are not
 * reached. */
static void client_bind(const struct client *c)
{
	struct sockaddr_in source = {.sin_family = AF_INET};
	int one = 1;

	if (c->thread->options->sources == 0)
		return;
	source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + c->index % c->thread->options->sources);
	(void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(c->fd, (const struct sockaddr *)(const void *)&source, sizeof(source)) < 0)
		err(1, "bind");
}

/* Blocks for the TCP handshake only, which the kernel answers while there is room in the backlog. */
static void client_open(struct client *c)
{
	struct load_thread *thread = c->thread;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	int one = 1;

	c->started_ns = now_ns();
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		err(1, "socket");
	client_bind(c);
	if (connect(c->fd, (const struct sockaddr *)(const void *)&thread->options->address,
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
	(void)client_flush(c);
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

/* The next request of this client, on a new connection where that is the mode or the answer said so. */
static bool request_next(struct client *c)
{
	struct load_thread *thread = c->thread;
	bool fresh = thread->options->mode == MODE_HANDSHAKE || c->close_after;

	c->state = CLIENT_READY;
	if (!fresh)
		return request_start(c);
	(void)SSL_shutdown(c->ssl);
	(void)client_flush(c);
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
		thread->established += c->kind != MODE_ECHO; /* a tunnel is there when the engine says so */
		if (!thread->protocol[0])
			snprintf(thread->protocol, sizeof(thread->protocol), "%s %s", SSL_get_version(c->ssl),
				 SSL_get_cipher_name(c->ssl));
		c->state = CLIENT_READY;
		if (!(c->kind == MODE_ECHO ? request_tunnel(c) : request_start(c)))
			return false;
	}
	int sent = client_flush(c);
	return sent == 0 || sent == -EAGAIN;
}

static void request_done(struct client *c)
{
	struct load_thread *thread = c->thread;
	uint64_t now = now_ns();

	if (c->kind != MODE_LOGS)
		load_thread_add_latency(thread, c->started_ns, now);
	thread->requests_done++;
	if (c->kind == MODE_DOWN || mode_is_upload(c->kind))
		thread->bytes += thread->options->bytes;
	thread->transfer_s[c - thread->clients] = (double)(now - c->started_ns) / 1000000000.0;
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
		if (!answer_is_complete(c) || (c->kind == MODE_ECHO && c->state == CLIENT_READY))
			continue;
		if (c->state == CLIENT_SENDING || !answer_is_right(c)) {
			client_failed(c, c->answer);
			return false;
		}
		request_done(c);
		if (!request_next(c)) {
			client_failed(c, "cannot write a request");
			return false;
		}
		if (c->state != CLIENT_SENDING)
			return true;
		int sent = request_send(c);
		if (sent == 0)
			c->state = CLIENT_ANSWER;
	}
}

static void client_step(struct client *c)
{
	struct load_thread *thread = c->thread;

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
	if (c->state == CLIENT_SENDING && request_send(c) == 0)
		c->state = CLIENT_ANSWER;
	/* After a failed send the answer may still tell why. */
	if (!client_read(c)) {
		if (thread->options->mode == MODE_IDLE && c->head_done)
			thread->streaming--;
		client_close(c);
	}
	thread->in_start = thread->in_end = 0;
	if (c->state == CLIENT_CLOSED)
		return;
	/* client_read() may have begun the next request. */
	client_want(c, c->state == CLIENT_SENDING ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* ---- a thread's clients ---- */

void load_thread_init(struct load_thread *thread, const struct load_options *options, unsigned thread_index,
		      SSL_CTX *ctx, BIO_METHOD *bio, unsigned clients_count, uint64_t requests_quota)
{
	static const enum mode mixed[] = {MODE_UP_LENGTH, MODE_DOWN, MODE_UP_CHUNKED, MODE_DOWN};

	*thread = (struct load_thread){
	    .options = options,
	    .ctx = ctx,
	    .bio = bio,
	    .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
	    .in = malloc(IN_BYTES),
	    .scratch = malloc(SCRATCH_BYTES),
	    .clients = calloc(clients_count, sizeof(struct client)),
	    .transfer_s = calloc(clients_count, sizeof(double)),
	    .clients_count = clients_count,
	    .requests_quota = requests_quota,
	};
	if (options->watched_count > 0) {
		thread->samples_cap = options->mode == MODE_LOGS ? (size_t)clients_count * options->lines
								 : (size_t)requests_quota;
		thread->samples = calloc(thread->samples_cap, sizeof(struct sample));
		if (!thread->samples)
			err(1, "set-up");
	}
	if (thread->epoll_fd < 0 || !thread->in || !thread->scratch || !thread->clients ||
	    !thread->transfer_s)
		err(1, "set-up");
	for (unsigned i = 0; i < clients_count; i++) {
		struct client *c = &thread->clients[i];
		*c = (struct client){.thread = thread, .fd = -1, .kind = options->mode};
		c->index = i * options->threads + thread_index;
		if (options->mode == MODE_MIXED)
			c->kind = mixed[i % 4];
		c->out_cap = mode_is_upload(c->kind) ? OUT_BULK_BYTES : OUT_BYTES;
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
	free(thread->transfer_s);
	free(thread->samples);
}

void load_thread_add_latency(struct load_thread *thread, uint64_t from_ns, uint64_t until_ns)
{
	histogram_add(&thread->latencies, until_ns - from_ns);
	if (thread->samples_count < thread->samples_cap)
		thread->samples[thread->samples_count++] = (struct sample){from_ns, until_ns};
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
	thread->paced_from_ns = now_ns();
	if (thread->options->interval_ns > 0 && thread->options->mode != MODE_LOGS)
		return;
	for (unsigned i = 0; i < thread->clients_count; i++) {
		struct client *c = &thread->clients[i];
		if (c->state == CLIENT_READY && request_start(c))
			client_step(c);
	}
}

/* When the next request of all is due: clients take turns, evenly over the interval. */
static uint64_t paced_next_ns(const struct load_thread *thread)
{
	return thread->paced_from_ns +
	       thread->paced_count * thread->options->interval_ns / thread->clients_count;
}

/* Starts what is due; returns the nanoseconds until the next. */
static uint64_t paced_start(struct load_thread *thread, uint64_t timeout_ns)
{
	uint64_t now = now_ns(), next;

	while ((next = paced_next_ns(thread)) <= now && thread->paced_count < thread->requests_quota) {
		struct client *c = &thread->clients[thread->paced_count++ % thread->clients_count];
		if (c->owed++ == 0 && c->state == CLIENT_READY) {
			c->due_ns = next;
			if (request_start(c))
				client_step(c);
		} else if (c->owed == 1) {
			c->due_ns = next;
		}
	}
	if (thread->paced_count == thread->requests_quota || next - now > timeout_ns)
		return timeout_ns;
	return next - now;
}

void load_thread_turn(struct load_thread *thread, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t timeout_ns = (uint64_t)timeout_ms * 1000000;

	if (thread->running && thread->options->interval_ns > 0 && thread->options->mode != MODE_LOGS)
		timeout_ns = paced_start(thread, timeout_ns);
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
				   .tv_nsec = (long)(timeout_ns % 1000000000)};
	int count = epoll_pwait2(thread->epoll_fd, events, EVENTS_MAX, &timeout, NULL);

	if (count < 0 && errno != EINTR)
		err(1, "epoll_wait");
	for (int i = 0; i < count; i++)
		client_step(events[i].data.ptr);
}
