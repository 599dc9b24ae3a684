/* SPDX-License-Identifier: MIT */
#include "buf.h"

#include <stdlib.h>

/* Bytes in a pooled buffer belong to nobody: let AddressSanitizer catch who still touches them. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUF_POISON 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(BUF_POISON)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

void buf_pool_init(struct buf_pool *pool, size_t free_max)
{
	SLIST_INIT(&pool->free);
	pool->free_count = 0;
	pool->free_max = free_max;
	pool->taken_count = 0;
}

/* The first free one, off the list and open to access; NULL when there is none. */
static struct buf *pool_pop(struct buf_pool *pool)
{
	struct buf *buf = SLIST_FIRST(&pool->free);

	if (!buf)
		return NULL;
	SLIST_REMOVE_HEAD(&pool->free, link);
	pool->free_count--;
	ASAN_UNPOISON_MEMORY_REGION(buf->data, BUF_BYTES);
	return buf;
}

void buf_pool_fini(struct buf_pool *pool)
{
	struct buf *buf;

	while ((buf = pool_pop(pool)) != NULL)
		free(buf);
}

struct buf *buf_take(struct buf_pool *pool)
{
	struct buf *buf = pool_pop(pool);

	if (!buf)
		buf = malloc(sizeof(*buf) + BUF_BYTES);
	if (!buf)
		return NULL;
	buf->start = 0;
	buf->end = 0;
	pool->taken_count++;
	return buf;
}

void buf_give(struct buf_pool *pool, struct buf **buf)
{
	struct buf *given = *buf;

	if (!given)
		return;
	*buf = NULL;
	pool->taken_count--;
	if (pool->free_count >= pool->free_max) {
		free(given);
		return;
	}
	ASAN_POISON_MEMORY_REGION(given->data, BUF_BYTES);
	SLIST_INSERT_HEAD(&pool->free, given, link);
	pool->free_count++;
}
