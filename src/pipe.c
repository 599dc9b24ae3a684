/* SPDX-License-Identifier: MIT */
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Of the smallest machines: larger ones waste a little of a pipe. */
#define PAGE_BYTES ((size_t)4096)

void pipe_pool_init(struct pipe_pool *pool, size_t free_max)
{
	*pool = (struct pipe_pool){.free_max = free_max};
	SLIST_INIT(&pool->free);
}

static void pipe_free(struct pipe *pipe)
{
	close(pipe->read_fd);
	close(pipe->write_fd);
	free(pipe);
}

void pipe_pool_fini(struct pipe_pool *pool)
{
	while (!SLIST_EMPTY(&pool->free)) {
		struct pipe *pipe = SLIST_FIRST(&pool->free);
		SLIST_REMOVE_HEAD(&pool->free, link);
		pipe_free(pipe);
	}
	if (pool->reader)
		pipe_free(pool->reader);
	pool->reader = NULL;
}

static struct pipe *pipe_new(void)
{
	struct pipe *pipe = calloc(1, sizeof(*pipe));
	long page_bytes = sysconf(_SC_PAGESIZE);
	int fds[2];

	if (!pipe)
		return NULL;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) {
		free(pipe);
		return NULL;
	}
	(void)fcntl(fds[1], F_SETPIPE_SZ, (int)PIPE_BYTES); /* refused: the default of 64 KiB works too */
	int capacity_bytes = fcntl(fds[1], F_GETPIPE_SZ);
	pipe->read_fd = fds[0];
	pipe->write_fd = fds[1];
	pipe->slots = capacity_bytes > 0 && page_bytes > 0 ? (size_t)capacity_bytes / (size_t)page_bytes : 0;
	if (pipe->slots < 2) { /* of no use */
		pipe_free(pipe);
		return NULL;
	}
	return pipe;
}

struct pipe *pipe_take(struct pipe_pool *pool)
{
	struct pipe *pipe = SLIST_FIRST(&pool->free);

	if (!pipe)
		return pipe_new();
	SLIST_REMOVE_HEAD(&pool->free, link);
	pool->free_count--;
	return pipe;
}

struct pipe *pipe_reader(struct pipe_pool *pool)
{
	if (pool->reader && pool->reader->used_bytes > 0) { /* a read of it failed: no byte may stay */
		pipe_free(pool->reader);
		pool->reader = NULL;
	}
	if (!pool->reader)
		pool->reader = pipe_new();
	return pool->reader;
}

void pipe_give(struct pipe_pool *pool, struct pipe **pipe)
{
	struct pipe *given = *pipe;

	*pipe = NULL;
	if (!given)
		return;
	if (given->used_bytes > 0 || pool->free_count >= pool->free_max) {
		pipe_free(given);
		return;
	}
	SLIST_INSERT_HEAD(&pool->free, given, link);
	pool->free_count++;
}

static void took(struct pipe *pipe, size_t len)
{
	pipe->used_bytes -= len;
	if (pipe->used_bytes == 0)
		pipe->used_slots = 0;
}

ssize_t pipe_fill(struct pipe *pipe, int fd, size_t len)
{
	ssize_t n;

	/* SPLICE_F_NONBLOCK always: O_NONBLOCK on the socket is not enough for every kind of it. */
	do
		n = splice(fd, NULL, pipe->write_fd, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n > 0) {
		pipe->used_bytes += (size_t)n;
		pipe->used_slots += (size_t)n / PAGE_BYTES + 2;
	}
	return n;
}

size_t pipe_record_room(const struct pipe *pipe, size_t len)
{
	size_t free_slots = pipe->slots > pipe->used_slots ? pipe->slots - pipe->used_slots : 0;
	size_t room = free_slots > 1 ? (free_slots - 1) * PAGE_BYTES : 0;

	return len < room ? len : room;
}

ssize_t pipe_get(struct pipe *pipe, void *data, size_t len)
{
	ssize_t n;

	do
		n = read(pipe->read_fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	took(pipe, (size_t)n);
	return n;
}

int pipe_put(struct pipe *pipe, const void *data, size_t len)
{
	ssize_t n;

	if (len > PIPE_PUT_MAX_BYTES)
		return -EINVAL;
	do
		n = write(pipe->write_fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	pipe->used_bytes += (size_t)n;
	pipe->used_slots += 2;
	return 0;
}

ssize_t pipe_drain(struct pipe *pipe, int fd)
{
	ssize_t n;

	/*
	 * No SPLICE_F_MORE: the kernel would withhold the tail for 200 ms whenever the sender pauses. A
	 * closed peer raises SIGPIPE here; there is no flag against it, so the program ignores the signal.
	 */
	do
		n = splice(pipe->read_fd, NULL, fd, NULL, pipe->used_bytes,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	took(pipe, (size_t)n);
	return n;
}
