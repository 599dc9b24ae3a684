/* SPDX-License-Identifier: MIT */
/*
 * buf.h: large buffers from a worker's pool. A connection holds one only while bytes are in it, so
 * idle connections cost none, and the one used last (warm in the cache) is used next. Layer 1.
 */
#ifndef HEADGATE_BUF_H
#define HEADGATE_BUF_H

#include <stddef.h>
#include <sys/queue.h>

#include "compiler.h"

/* Measured: 128-256 KiB is the best size for records and for sends; 1 MiB falls out of the cache. */
#define BUF_BYTES ((size_t)(256 * 1024))

struct buf {
	SLIST_ENTRY(buf) link; /* while in the pool */
	size_t start, end;     /* the bytes in it: data[start..end) */
	char data[];	       /* BUF_BYTES */
};

/* One a worker; not for two threads. */
struct buf_pool {
	SLIST_HEAD(, buf) free; /* owned */
	size_t free_count, free_max;
	size_t taken_count; /* for metrics and tests */
};

/* An empty pool that keeps up to `free_max` buffers for the next taker. */
void buf_pool_init(struct buf_pool *pool, size_t free_max);
/* Frees what is in the pool; every buffer must have come back. */
void buf_pool_fini(struct buf_pool *pool);

/* An empty buffer, or NULL when there is no memory. */
struct buf *buf_take(struct buf_pool *pool) MUST_USE;
/* Gives it back and sets the pointer to NULL; nothing happens when it is NULL already. */
void buf_give(struct buf_pool *pool, struct buf **buf);

static inline size_t buf_used(const struct buf *buf)
{
	return buf ? buf->end - buf->start : 0;
}

static inline size_t buf_room(const struct buf *buf)
{
	return BUF_BYTES - buf->end;
}

static inline char *buf_head(struct buf *buf)
{
	return buf->data + buf->start;
}

static inline char *buf_tail(struct buf *buf)
{
	return buf->data + buf->end;
}

#endif
