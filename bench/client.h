/* SPDX-License-Identifier: MIT */
/*
 * client.h: one TLS connection of the load generator, and the thread that it belongs to. See client.c.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mode {
	MODE_UP_LENGTH,	 /* POST /images/load, Content-Length */
	MODE_UP_CHUNKED, /* the same in Go's chunks and records, records gathered into large sends */
	MODE_UP_GO,	 /* the same, each record sent by itself, as Go does */
	MODE_DOWN,	 /* GET /images/get */
	MODE_PING,	 /* GET /_ping, keep-alive */
	MODE_HANDSHAKE,	 /* a new connection for each GET /_ping */
	MODE_IDLE,	 /* GET /containers/x/logs, held open */
	MODE_COUNT,
};

struct load_options {
	enum mode mode;
	struct sockaddr_in address;
	const char *token;
	const char *target; /* instead of the mode's own, or NULL */
	uint64_t bytes;	    /* of one transfer */
	uint64_t requests;  /* in all */
	unsigned connections, threads;
	int expect_status;
	bool wait; /* say "ready" and wait for a line on stdin between set-up and load */
};

/* Latencies in 1/32 steps of their power of two: 3 % resolution, no allocation. */
#define HISTOGRAM_STEPS	  ((size_t)32)
#define HISTOGRAM_BUCKETS (64 * HISTOGRAM_STEPS)

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t total, max_ns;
};

void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The value that `fraction` of all lie at or below. */
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);

struct client;

struct load_thread {
	const struct load_options *options; /* borrowed */
	SSL_CTX *ctx;			    /* borrowed */
	BIO_METHOD *bio;		    /* borrowed */
	int epoll_fd;			    /* owned */
	char *in;			    /* owned; what one recv brought, for one client at a time */
	size_t in_start, in_end;
	bool in_short; /* that recv came up short: the socket is empty */
	char *scratch; /* owned; where plaintext goes */
	struct client *clients;
	unsigned clients_count;
	unsigned opened, established, opening, streaming; /* streaming: idle mode's answers that have begun */
	uint64_t requests_quota, requests_started, requests_done;
	uint64_t bytes; /* of bodies, without framing */
	bool running;	/* set-up is over: clients may send requests */
	uint64_t errors;
	char error[256]; /* the first one */
	char protocol[64];
	struct histogram latencies;
};

uint64_t now_ns(void);
const char *mode_name(enum mode mode);
bool mode_is_upload(enum mode mode);

/* Allocates buffers and clients; exits when there is no memory. */
void load_thread_init(struct load_thread *thread, const struct load_options *options, SSL_CTX *ctx,
		      BIO_METHOD *bio, unsigned clients_count, uint64_t requests_quota);
void load_thread_fini(struct load_thread *thread);

BIO_METHOD *client_bio_method(void);

/* Opens further clients, as many as may be in their handshakes at the same time. */
void load_thread_open_more(struct load_thread *thread);
/* Starts the first request of every client. */
void load_thread_start(struct load_thread *thread);
/* One wait of at most that long and what follows from it. */
void load_thread_turn(struct load_thread *thread, int timeout_ms);

#endif
