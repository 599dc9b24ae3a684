/* SPDX-License-Identifier: MIT */
/*
 * pipe.h: kernel pipes for splice(2), from a worker's pool. A direction holds one only while bytes are
 * in it; only empty pipes come back to the pool, so no byte of one connection meets another. Layer 1.
 */
#ifndef HEADGATE_PIPE_H
#define HEADGATE_PIPE_H

#include <stddef.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "compiler.h"

/* Asked for; an unprivileged user gets smaller ones after 64 (pipe(7): pipe-user-pages-soft). */
#define PIPE_BYTES ((size_t)1024 * 1024)

/* pipe(7): that much is written as a whole or not at all. */
#define PIPE_PUT_MAX_BYTES ((size_t)4096)

struct pipe {
	SLIST_ENTRY(pipe) link; /* while in the pool */
	int read_fd, write_fd;	/* owned */
	size_t used_bytes;
	size_t slots, used_slots; /* pages it takes; at most so many hold something, see pipe_record_room() */
};

/* One a worker; not for two threads. */
struct pipe_pool {
	SLIST_HEAD(, pipe) free; /* owned */
	size_t free_count, free_max;
	struct pipe *reader; /* owned; NULL until asked for */
};

void pipe_pool_init(struct pipe_pool *pool, size_t free_max);
void pipe_pool_fini(struct pipe_pool *pool);

/* An empty pipe, or NULL when descriptors or memory are short: the caller copies instead. */
struct pipe *pipe_take(struct pipe_pool *pool) MUST_USE;
/* Gives it back and sets the pointer to NULL; one with bytes in it is closed. NULL is fine. */
void pipe_give(struct pipe_pool *pool, struct pipe **pipe);

/*
 * The pipe for those who splice a little and read it out at once: always the same one, empty before and
 * after, so that a read does not fail for want of a pipe when others hold many. NULL: there was none yet,
 * and there is none to be had.
 */
struct pipe *pipe_reader(struct pipe_pool *pool) MUST_USE;

/* Takes up to `len` bytes out of the pipe. Bytes or -errno. */
ssize_t pipe_get(struct pipe *pipe, void *data, size_t len);

/*
 * Moves up to `len` bytes from a socket into the pipe. Bytes, 0 at the socket's end, -EAGAIN (nothing
 * there, or the pipe is full: drain it first), or -errno.
 */
ssize_t pipe_fill(struct pipe *pipe, int fd, size_t len);

/*
 * How many of `len` bytes may come from a kernel TLS socket at once; 0: drain it first. Such a socket takes
 * the end of a record for moved when the pipe has no slot left for it (net/tls/tls_sw.c,
 * tls_sw_splice_read(), does not look at how much skb_splice_bits() took). So there must be one for each page
 * of what is asked for.
 */
size_t pipe_record_room(const struct pipe *pipe, size_t len);

/*
 * Copies a few bytes (at most PIPE_PUT_MAX_BYTES) into the pipe, all or none. 0, -EAGAIN (no room: drain it
 * first) or -errno.
 */
int pipe_put(struct pipe *pipe, const void *data, size_t len);

/* Moves what is in the pipe into a socket. Bytes, -EAGAIN or -errno. */
ssize_t pipe_drain(struct pipe *pipe, int fd);

#endif
