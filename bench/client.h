/* SPDX-License-Identifier: MIT */
/*
 * client.h: one TLS connection of the load generator, and the thread that it belongs to.
 *
 * client.c opens, closes and steps connections, request.c writes what they send, answer.c reads what they
 * get.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "histogram.h"
#include "stall.h"

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
	MODE_MIXED,	 /* up-cl, down, up-chunked and down by turns, one transfer a connection */
	MODE_PING,	 /* GET /_ping, keep-alive */
	MODE_INSPECT,	 /* GET /containers/x/json, keep-alive; the answer is chunked */
	MODE_HANDSHAKE,	 /* a new connection for each GET /_ping */
	MODE_IDLE,	 /* GET /containers/x/logs, held open */
	MODE_LOGS,	 /* the same, with lines that say when they were written */
	MODE_ECHO,	 /* POST /exec/x/start, then bytes there and back */
	MODE_COUNT,
};

struct load_options {
	enum mode mode;
	struct sockaddr_in address;
	const char *token;
	const char *target;   /* instead of the mode's own, or NULL */
	uint64_t bytes;	      /* of one transfer */
	uint64_t requests;    /* in all */
	uint64_t interval_ns; /* between a connection's requests or lines; 0: the next follows the answer */
	unsigned connections, threads;
	unsigned lines;	  /* of each log */
	unsigned sources; /* addresses from 127.0.0.1 on that connections come from; 0: the kernel's choice */
	int expect_status;
	unsigned watched_cpus[STALL_CPUS_MAX], watched_count;
	bool wait; /* say "ready" and wait for a line on stdin between set-up and load */
};

#define HEAD_CAP      ((size_t)4096)
#define INSPECT_BYTES ((uint64_t)6144) /* a container's inspect, as large as dockerd's own */

enum client_state { CLIENT_CLOSED, CLIENT_HANDSHAKE, CLIENT_READY, CLIENT_SENDING, CLIENT_ANSWER };
enum framing { FRAMING_SIZE, FRAMING_DATA, FRAMING_DATA_END, FRAMING_LAST };

struct load_thread;

/* When a latency began, and when it ended. */
struct sample {
	uint64_t from_ns, until_ns;
};

struct client {
	struct load_thread *thread; /* borrowed */
	enum client_state state;
	enum mode kind; /* the thread's mode, but of mixed one of its parts */
	unsigned index; /* among all threads' clients */
	int fd;		/* owned */
	SSL *ssl;	/* owned */
	BIO *bio;	/* owned by ssl */
	uint32_t armed;
	char *out; /* owned; records that are to be sent: out[out_start..out_end) */
	size_t out_cap, out_start, out_end;
	uint64_t unsent_bytes; /* of the body */
	unsigned chunk_part;   /* of a chunked body: the next of a chunk's writes */
	bool last_sent;	       /* the chunk of size 0 has been written */
	bool head_done, close_after;
	bool begun;		/* modes of one request a connection: it has had it */
	bool tunnelled;		/* mode echo: the 101 has come */
	size_t answer_len;	/* bytes in `answer`: the head, and what fits of the body; or a log's line */
	uint64_t answer_left;	/* of the body, or of its chunk */
	enum framing framing;	/* of a chunked answer */
	uint64_t chunked_bytes; /* of its chunks, up to now */
	unsigned lines;		/* that came */
	uint64_t started_ns;	/* the request, or the connection in mode handshake */
	uint64_t due_ns;	/* with an interval: when the first of the owed requests should have gone */
	unsigned owed;		/* with an interval: requests whose time has come */
	char answer[HEAD_CAP + 1];
};

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
	uint64_t paced_from_ns,
	    paced_count; /* with an interval: when it began, requests whose time has come */
	uint64_t bytes;	 /* of bodies, without framing */
	uint64_t lines;	 /* of logs */
	bool running;	 /* set-up is over: clients may send requests */
	uint64_t errors;
	char error[256]; /* the first one */
	char protocol[64];
	double *transfer_s; /* owned; of mode mixed, by client */
	struct histogram latencies;
	struct sample *samples; /* owned; all of them, where processors are watched */
	size_t samples_count, samples_cap;
};

uint64_t now_ns(void);
const char *mode_name(enum mode mode);
bool mode_is_upload(enum mode mode);
/* Whether its answers are chunked, and read as such. */
bool mode_is_chunked(enum mode mode);

/* ---- client.c ---- */

/* Allocates buffers and clients; exits when there is no memory. */
void load_thread_init(struct load_thread *thread, const struct load_options *options, unsigned thread_index,
		      SSL_CTX *ctx, BIO_METHOD *bio, unsigned clients_count, uint64_t requests_quota);
void load_thread_fini(struct load_thread *thread);
/* What `--watch` may leave out is kept, too; what there is no room for counts as left out. */
void load_thread_add_latency(struct load_thread *thread, uint64_t from_ns, uint64_t until_ns);

BIO_METHOD *client_bio_method(void);

/* Opens further clients, as many as may be in their handshakes at the same time. */
void load_thread_open_more(struct load_thread *thread);
/* Starts the first request of every client, or the clock that starts them. */
void load_thread_start(struct load_thread *thread);
/* One wait of at most that long and what follows from it. */
void load_thread_turn(struct load_thread *thread, int timeout_ms);

/* Remembers the first failure's text, with OpenSSL's reason, and counts it. */
void client_failed(struct client *c, const char *text);
/* Sends what is gathered: 0, -EAGAIN, or -errno. */
int client_flush(struct client *c);

/* ---- request.c ---- */

/* What all bodies are made of; before the first request. */
void request_init(void);
/* Begins the next request where there is one to begin. False when it cannot be written. */
bool request_start(struct client *c);
/* Writes the request that makes a tunnel of the connection. */
bool request_tunnel(struct client *c);
/* Sends of request and body what the socket takes: 0 when all is out, -EAGAIN, 1 for "more later", or -EIO.
 */
int request_send(struct client *c);

/* ---- answer.c ---- */

/* Takes plaintext that came. NULL, or what is wrong. */
const char *answer_take(struct client *c, const char *data, size_t len);
/* Whether the answer to the request is complete. */
bool answer_is_complete(const struct client *c);
/* What the engine counted must be what was sent. */
bool answer_is_right(const struct client *c);

#endif
