/* SPDX-License-Identifier: MIT */
/*
 * engine.h: the stand-in for the Docker Engine. It knows nothing but what a request's query tells it to do,
 * so a case is written down in one place, with the client:
 *
 *   id=N       under which engine_result() finds what became of the exchange
 *   seed=N     of the pattern that the client sends, and (plus 1) of what the engine sends
 *   bytes=N    of an answer's body, or of the first part of a tunnel's output
 *   how=0|1|2  its framing: length, chunked, until close
 *   step=N     bytes of one write
 *   stall=1    the engine reads a body or a tunnel only after engine_go(); 2: a tunnel's output ends before
 *   deaf=1     a tunnel's engine reads nothing at all, and writing to it fails
 *   garbage=1  instead of reading an upload the engine sends what is no TLS; then it stalls again
 *   want=N     bytes that a tunnel is to bring
 *   end=1      a tunnel's output ends at once after `bytes`, not after the client's end
 *   after=N    bytes of output behind the client's end, with seed plus 2
 *   reset=1    a tunnel's engine resets the connection, behind a stall perhaps
 *   echo=1     a tunnel that sends back what comes
 *   legacy=1   200 raw-stream instead of 101
 *   lines=N gap=MS   of a followed log; each line is ENGINE_LINE_BYTES long and begins with the time it was
 *              written, in us of CLOCK_MONOTONIC
 *   rekey=1|2  TLS 1.3: a KeyUpdate in the middle of an answer (2: that asks for one back)
 *   empty=N    TLS 1.3: after an answer's first half N records without data, and then nothing
 *   half=1     TLS 1.3: after an answer's first half half a record, and then nothing
 *   cut=1      the answer's second half never comes: FIN, without close_notify; 2: reset
 *
 * Routes: uploads (/images/load, PUT .../archive, /containers/create), downloads (/images/get), logs
 * (/containers/x/logs), parked logs (/containers/idle/logs: one line at each engine_wake()), tunnels
 * (/attach), and anything else as a small answer. A thread serves a connection.
 */
#ifndef GUEST_ENGINE_H
#define GUEST_ENGINE_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/queue.h>

#include "head.h"
#include "peer.h"

#define ENGINE_LINE_BYTES 60
#define ENGINE_RESULTS	  256
/* No script of a test waits longer. */
#define ENGINE_PATIENCE_MS 120000

struct engine_result {
	uint64_t id;
	uint64_t in_bytes;
	bool in_whole;	    /* the body or the tunnel's input came in full and was right */
	bool in_bad;	    /* some byte was wrong */
	enum ending ending; /* of the client's direction, where it was read to its end */
	bool done;
	bool go;
	_Atomic uint64_t moved; /* bytes moved so far, both ways */
};

struct parked {
	SLIST_ENTRY(parked) link;
	struct peer *peer; /* owned */
};

struct engine {
	int fd;	      /* owned; listens */
	SSL_CTX *ctx; /* borrowed; NULL when plain */
	char url[160];
	pthread_t thread;
	pthread_mutex_t lock;	/* guards what follows */
	pthread_cond_t changed; /* a result or the number of connections */
	unsigned connections;
	_Atomic bool stopping;
	struct engine_result results[ENGINE_RESULTS];
	SLIST_HEAD(, parked) parked;
};

/* Listens on a unix socket when path is given, else on a port of 127.0.0.1; starts. 0 or -errno. */
int engine_start(struct engine *engine, const char *path, SSL_CTX *ctx);
void engine_stop(struct engine *engine);

/* Waits until the exchange is over; false at the deadline. `result` gets what is known either way. */
bool engine_wait(struct engine *engine, uint64_t id, struct engine_result *result, uint64_t deadline_ms);
/* Bytes that the exchange has moved until now. */
uint64_t engine_moved(struct engine *engine, uint64_t id);
/* Ends the exchange's stall. */
void engine_go(struct engine *engine, uint64_t id);
/* Waits until no more than `count` connections are served or parked. */
bool engine_wait_connections(struct engine *engine, unsigned count, uint64_t deadline_ms);

/* Writes `line` to every parked log; how many took it. */
unsigned engine_wake(struct engine *engine, const char *line);
/* Ends every parked log. */
void engine_unpark(struct engine *engine);

/* For engine_script.c. */
struct engine_result *engine_result(struct engine *engine, uint64_t id);
void engine_park(struct engine *engine, struct peer *peer);
/* Waits for engine_go(). */
void engine_stall(struct engine *engine, struct engine_result *result, uint64_t deadline_ms);
/* Serves one request; false when the connection is at its end. *parked: the peer is not the caller's any
 * more. */
bool engine_serve(struct engine *engine, struct peer *peer, const struct head *head, bool *parked);

#endif
