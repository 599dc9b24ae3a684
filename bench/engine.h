/* SPDX-License-Identifier: MIT */
/*
 * engine.h: one connection of the stand-in engine. engine.c has the listeners and the loop, engine_http.c
 * what a connection does, engine_wire.c how bytes get in and out (plain or TLS).
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#define HEAD_CAP ((size_t)8192)
#define OUT_CAP	 ((size_t)8192) /* an answer's head, a small answer, or lines of a log that wait */

enum state {
	STATE_HANDSHAKE,
	STATE_HEAD,
	STATE_LENGTH,
	STATE_CHUNKED,
	STATE_ANSWER,
	STATE_SOURCE,
	STATE_ECHO,
	STATE_SILENT,
	STATE_LOG,
};
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
	SSL *ssl;		  /* owned; NULL on a plain listener */
	char *records; /* owned; TLS records that the socket has not taken: [records_start..records_end) */
	size_t records_start, records_end, records_cap;
	bool is_due; /* it is in the list of logs */
	uint64_t line_due_ns, line_interval_ns;
	unsigned lines_left, line_number;
	TAILQ_ENTRY(conn) due_link;
	size_t in_len; /* bytes in `in` */
	size_t out_start, out_end;
	char out[OUT_CAP];
	char in[HEAD_CAP]; /* a head, or bytes on their way back */
};

uint64_t engine_now_ns(void);

/* ---- engine_http.c ---- */

/* Once, before the first connection. */
void conn_init_all(void);
/* Does what can be done without waiting. */
enum step conn_step(struct conn *c);
/* Takes it out of the list of logs; the caller closes it. */
void conn_forget(struct conn *c);
/* Writes the lines that are due; `failed` is called for a connection that took none of it. Returns the
 * milliseconds until the next line, or -1 for none. */
int logs_write_due(void (*failed)(struct conn *c));

/* ---- engine_wire.c ---- */

SSL_CTX *wire_ctx_new(const char *cert_path, const char *key_path);
/* ctx may be NULL: a plain connection. False when there is no memory. */
bool wire_open(struct conn *c, SSL_CTX *ctx);
void wire_close(struct conn *c);
enum step wire_handshake(struct conn *c);
/* As recv and send without waiting; fewer bytes than asked for means that there are no more now. */
ssize_t wire_recv(struct conn *c, void *data, size_t len);
ssize_t wire_send(struct conn *c, const void *data, size_t len);
/* Whether bytes may be in OpenSSL that epoll does not know of. */
bool wire_has_pending(const struct conn *c);
/* Sends records that wait: 0, -EAGAIN or -errno. */
int wire_flush(struct conn *c);

#endif
