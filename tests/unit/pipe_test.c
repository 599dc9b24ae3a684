/* SPDX-License-Identifier: MIT */
/* pipe_test.c: pipes from a pool, and splicing through them. */
#include "pipe.h"

#include <signal.h>
#include <sys/resource.h>

#include "net_support.h"

TestSuite(pipe, .timeout = 300);

static char bytes[65536], got[65536];

Test(pipe, comes_and_goes)
{
	struct pipe_pool pool;
	unsigned fds = net_open_fds();

	pipe_pool_init(&pool, 4);
	struct pipe *pipe = pipe_take(&pool);
	const struct pipe *first = pipe;
	cr_assert_not_null(pipe);
	cr_assert_eq(pipe->used_bytes, 0);
	cr_assert_eq(net_open_fds(), fds + 2);
	cr_assert_eq(fcntl(pipe->read_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	cr_assert_eq(fcntl(pipe->write_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	cr_assert_geq(fcntl(pipe->write_fd, F_GETPIPE_SZ), 65536);
	pipe_give(&pool, &pipe);
	cr_assert_null(pipe);
	cr_assert_eq(pool.free_count, 1);
	pipe_give(&pool, &pipe);
	cr_assert_eq(pool.free_count, 1, "nothing was given");
	pipe = pipe_take(&pool);
	cr_assert_eq(pipe, first, "an empty one is used again");
	cr_assert_eq(pool.free_count, 0);
	pipe_give(&pool, &pipe);
	pipe_pool_fini(&pool);
	cr_assert_eq(net_open_fds(), fds);
}

Test(pipe, the_reader_stays)
{
	struct pipe_pool pool;
	unsigned fds = net_open_fds();

	pipe_pool_init(&pool, 0);
	struct pipe *reader = pipe_reader(&pool);
	cr_assert_not_null(reader);
	cr_assert_geq(reader->slots, 2);
	cr_assert_eq(pipe_reader(&pool), reader);
	cr_assert_eq(net_open_fds(), fds + 2);
	cr_assert_eq(pipe_put(reader, "hello", 5), 0);
	cr_assert_gt(reader->used_slots, 0);
	cr_assert_eq(pipe_get(reader, got, 3), 3);
	cr_assert_eq(pipe_get(reader, got + 3, 10), 2);
	cr_assert_eq(memcmp(got, "hello", 5), 0);
	cr_assert_eq(reader->used_slots, 0);
	cr_assert_eq(pipe_get(reader, got, 1), -EAGAIN);

	/* What one connection has left in it no other one may get. */
	cr_assert_eq(pipe_put(reader, "rest", 4), 0);
	reader = pipe_reader(&pool);
	cr_assert_not_null(reader);
	cr_assert_eq(pipe_get(reader, got, 10), -EAGAIN);
	cr_assert_eq(net_open_fds(), fds + 2);
	pipe_pool_fini(&pool);
	cr_assert_eq(net_open_fds(), fds);
}

/* Each connection ends once; that must not use the reader up. */
Test(pipe, what_gives_nothing_takes_no_room)
{
	struct pipe_pool pool;
	int fds[2];

	pipe_pool_init(&pool, 0);
	struct pipe *reader = pipe_reader(&pool);
	cr_assert_not_null(reader);
	net_unix_pair(fds);
	close(fds[1]);
	size_t room = pipe_record_room(reader, SIZE_MAX);
	cr_assert_gt(room, 0);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(pipe_fill(reader, fds[0], 100), 0);
	cr_assert_eq(pipe_record_room(reader, SIZE_MAX), room);
	close(fds[0]);
	pipe_pool_fini(&pool);
}

/* A slot for each page that is asked for, whatever is in the pipe already. */
Test(pipe, record_room_leaves_a_slot_for_each_page)
{
	struct pipe_pool pool;

	pipe_pool_init(&pool, 0);
	struct pipe *pipe = pipe_take(&pool);
	cr_assert_not_null(pipe);
	cr_assert_eq(pipe_record_room(pipe, 100), 100);
	size_t slots = pipe->slots, puts = 0;
	for (size_t room; (room = pipe_record_room(pipe, SIZE_MAX)) > 0; puts++) {
		cr_assert_leq(room / 4096 + 1 + pipe->used_slots, slots);
		cr_assert_eq(pipe_put(pipe, "x", 1), 0, "it has room, it said");
	}
	cr_assert_gt(puts, 1);
	cr_assert_eq(pipe_get(pipe, got, sizeof(got)), (ssize_t)puts);
	cr_assert_gt(pipe_record_room(pipe, 100), 0, "read out, it has room again");
	pipe_give(&pool, &pipe);
	pipe_pool_fini(&pool);
}

Test(pipe, the_pool_has_a_limit)
{
	struct pipe_pool pool;
	struct pipe *pipes[5];
	unsigned fds = net_open_fds();

	pipe_pool_init(&pool, 3);
	for (int i = 0; i < 5; i++)
		cr_assert_not_null(pipes[i] = pipe_take(&pool));
	for (int i = 0; i < 5; i++)
		pipe_give(&pool, &pipes[i]);
	cr_assert_eq(pool.free_count, 3);
	cr_assert_eq(net_open_fds(), fds + 6, "the others are closed");
	pipe_pool_fini(&pool);
	cr_assert_eq(net_open_fds(), fds);

	pipe_pool_init(&pool, 0);
	pipes[0] = pipe_take(&pool);
	pipe_give(&pool, &pipes[0]);
	cr_assert_eq(net_open_fds(), fds);
	pipe_pool_fini(&pool);
}

/* One connection's bytes must not meet another's. */
Test(pipe, with_bytes_in_it_never_comes_back)
{
	struct pipe_pool pool;
	unsigned fds = net_open_fds();
	int in[2], out[2];

	net_unix_pair(in);
	net_unix_pair(out);
	pipe_pool_init(&pool, 4);
	for (int drained = 0; drained < 3; drained++) { /* nothing, a part, all */
		struct pipe *pipe = pipe_take(&pool);

		cr_assert_eq(pipe->used_bytes, 0);
		net_send(in[0], "secret", 6);
		cr_assert_eq(pipe_fill(pipe, in[1], 100), 6);
		cr_assert_eq(pipe->used_bytes, 6);
		if (drained == 1) { /* a drain goes to the end; half of it is left by hand */
			cr_assert_eq(read(pipe->read_fd, got, 3), 3);
			pipe->used_bytes -= 3;
		} else if (drained == 2) {
			cr_assert_eq(pipe_drain(pipe, out[0]), 6);
			cr_assert_eq(pipe->used_bytes, 0);
		}
		pipe_give(&pool, &pipe);
		cr_assert_null(pipe);
		cr_assert_eq(pool.free_count, drained == 2 ? 1 : 0);
		cr_assert_eq(net_open_fds(), fds + 4 + (drained == 2 ? 2 : 0));
	}
	struct pipe *again = pipe_take(&pool);
	cr_assert(read(again->read_fd, got, 1) < 0 && errno == EAGAIN, "it is empty");
	pipe_give(&pool, &again);
	pipe_pool_fini(&pool);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

static void carries(void (*pair_of)(int fds[2]))
{
	struct pipe_pool pool;
	struct pipe *pipe;
	int in[2], out[2];

	pair_of(in);
	pair_of(out);
	pipe_pool_init(&pool, 4);
	pipe = pipe_take(&pool);
	cr_assert_eq(pipe_fill(pipe, in[1], 100), -EAGAIN, "nothing there");
	net_fill(bytes, 0, sizeof(bytes));
	net_send(in[0], bytes, 1000);
	cr_assert(net_wait(in[1], POLLIN, NET_PATIENCE_MS));
	cr_assert_eq(pipe_fill(pipe, in[1], 600), 600, "never more than was asked for");
	cr_assert_eq(pipe->used_bytes, 600);
	cr_assert_eq(pipe_fill(pipe, in[1], 600), 400);
	cr_assert_eq(pipe->used_bytes, 1000);
	cr_assert_eq(pipe_drain(pipe, out[0]), 1000);
	cr_assert_eq(net_recv(out[1], got, 1000, NET_PATIENCE_MS), 1000);
	cr_assert(net_is(got, 0, 1000));
	shutdown(in[0], SHUT_WR);
	cr_assert(net_wait(in[1], POLLIN, NET_PATIENCE_MS));
	cr_assert_eq(pipe_fill(pipe, in[1], 100), 0, "the end");
	pipe_give(&pool, &pipe);
	cr_assert_eq(pool.free_count, 1);
	pipe_pool_fini(&pool);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

Test(pipe, carries_between_unix_sockets)
{
	carries(net_unix_pair);
}

Test(pipe, carries_between_tcp_sockets)
{
	carries(net_tcp_pair);
}

/* A full pipe and a full socket say the same, and no byte is lost. */
Test(pipe, full_pipe_and_full_socket)
{
	struct pipe_pool pool;
	struct pipe *pipe;
	size_t written = 0, received = 0;
	int in[2], out[2];
	ssize_t n;

	net_unix_pair(in);
	net_unix_pair(out);
	pipe_pool_init(&pool, 4);
	pipe = pipe_take(&pool);
	do { /* in small pieces: a pipe has a limited number of them, too */
		net_fill(bytes, written, 5000);
		n = send(in[0], bytes, 5000, MSG_NOSIGNAL);
		if (n > 0)
			written += (size_t)n;
		ssize_t filled = pipe_fill(pipe, in[1], PIPE_BYTES);
		cr_assert(filled > 0 || filled == -EAGAIN);
	} while (n > 0);
	cr_assert_eq(pipe_fill(pipe, in[1], PIPE_BYTES), -EAGAIN, "full, though the socket has bytes");
	cr_assert(net_wait(in[1], POLLIN, 0));
	cr_assert_leq(pipe->used_bytes, PIPE_BYTES);

	while ((n = pipe_drain(pipe, out[0])) > 0)
		;
	cr_assert(n == -EAGAIN || pipe->used_bytes == 0);
	while (received < written) {
		n = recv(out[1], got, sizeof(got), 0);
		if (n > 0) {
			cr_assert(net_is(got, received, (size_t)n), "near %zu", received);
			received += (size_t)n;
		}
		if (pipe->used_bytes > 0)
			(void)pipe_drain(pipe, out[0]);
		else
			(void)pipe_fill(pipe, in[1], PIPE_BYTES);
	}
	cr_assert_eq(pipe->used_bytes, 0);
	pipe_give(&pool, &pipe);
	pipe_pool_fini(&pool);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

Test(pipe, errors_come_out)
{
	struct pipe_pool pool;
	struct pipe *pipe;
	int in[2], out[2];

	signal(SIGPIPE, SIG_IGN); /* as pipe_drain() says */
	net_tcp_pair(in);
	net_unix_pair(out);
	pipe_pool_init(&pool, 4);
	pipe = pipe_take(&pool);
	net_send(in[0], "x", 1);
	cr_assert(net_wait(in[1], POLLIN, NET_PATIENCE_MS));
	cr_assert_eq(pipe_fill(pipe, in[1], 100), 1);
	close(out[1]);
	cr_assert_eq(pipe_drain(pipe, out[0]), -EPIPE);
	cr_assert_eq(pipe->used_bytes, 1, "it is still there");
	net_reset(in[0]);
	cr_assert(net_wait(in[1], POLLIN, NET_PATIENCE_MS));
	cr_assert_eq(pipe_fill(pipe, in[1], 100), -ECONNRESET);
	pipe_give(&pool, &pipe);
	pipe_pool_fini(&pool);
	close(in[1]);
	close(out[0]);
}

Test(pipe, no_descriptors_no_pipe)
{
	struct pipe_pool pool;
	struct pipe *kept;
	struct rlimit before, few;

	pipe_pool_init(&pool, 4);
	kept = pipe_take(&pool);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	/* Below its descriptors all are in use; one more is half a pipe. */
	few = (struct rlimit){(rlim_t)kept->write_fd + 2, before.rlim_max};
	pipe_give(&pool, &kept);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	kept = pipe_take(&pool);
	cr_assert_not_null(kept, "one from the pool needs none");
	cr_assert_null(pipe_take(&pool));
	pipe_give(&pool, &kept);
	pipe_pool_fini(&pool);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}
