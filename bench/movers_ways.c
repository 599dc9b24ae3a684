/* SPDX-License-Identifier: MIT */
/*
 * The ways of moving bytes that need no ring, and the table of all. Each one is written as well as we know
 * how to, stands by itself, and ends when exactly so many bytes have left as it was told: what ends a stream
 * is not measured here.
 *
 * Splicing keeps this order: an empty pipe is filled, then drained to the last byte, so that EAGAIN while it
 * is filled means that the socket has no more or the pipe no room, and draining is right for both.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "movers.h"

static int wait_for(int fd, short events)
{
	struct pollfd item = {.fd = fd, .events = events};

	while (poll(&item, 1, -1) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* A pipe that is smaller than asked for would be measured under a wrong name, so it is an error. */
int pipe_open(size_t bytes, int fds[2])
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	int got = fcntl(fds[1], F_SETPIPE_SZ, (int)bytes);
	int rc = got < 0 ? -errno : (size_t)got < bytes ? -ENOBUFS : 0;
	if (rc) {
		close(fds[0]);
		close(fds[1]);
	}
	return rc;
}

void pipe_close(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

/* ---- poll(2) and splice(2) ---- */

/* SPLICE_F_NONBLOCK although the sockets are non-blocking: a kTLS socket goes by the flag alone. */
static ssize_t splice_some(int from_fd, int to_fd, size_t len)
{
	ssize_t n = splice(from_fd, NULL, to_fd, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	return n < 0 ? -errno : n;
}

/* At least one byte into an empty pipe: their number or -errno. */
static ssize_t pipe_fill(const struct mover *mover, int from_fd, int pipe_fd, uint64_t left)
{
	size_t used = 0;

	do {
		ssize_t n = splice_some(from_fd, pipe_fd, at_most(left - used, mover->pipe_bytes - used));
		if (n == -EAGAIN && used > 0)
			break;
		if (n == -EAGAIN)
			n = wait_for(from_fd, POLLIN);
		else if (n == 0)
			n = -ENODATA;
		if (n < 0)
			return n;
		used += (size_t)n;
	} while (used == 0 || (mover->gather && used < left && used < mover->pipe_bytes));
	return (ssize_t)used;
}

static int pipe_drain(int pipe_fd, int to_fd, size_t used)
{
	while (used > 0) {
		ssize_t n = splice_some(pipe_fd, to_fd, used);
		if (n == -EAGAIN)
			n = wait_for(to_fd, POLLOUT);
		if (n < 0)
			return (int)n;
		used -= (size_t)n;
	}
	return 0;
}

static int poll_splice(const struct mover *mover, const struct move *move)
{
	uint64_t left = move->bytes;
	int fds[2];
	int rc = pipe_open(mover->pipe_bytes, fds);

	if (rc)
		return rc;
	while (left > 0 && !rc) {
		ssize_t n = pipe_fill(mover, move->from_fd, fds[1], left);
		if (n < 0) {
			rc = (int)n;
			break;
		}
		left -= (uint64_t)n;
		rc = pipe_drain(fds[0], move->to_fd, (size_t)n);
	}
	pipe_close(fds);
	return rc;
}

/* ---- read(2) and write(2) ---- */

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EAGAIN)
			n = wait_for(fd, POLLOUT);
		else if (n < 0)
			n = -errno;
		if (n < 0)
			return (int)n;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_write(const struct mover *mover, const struct move *move)
{
	uint64_t left = move->bytes;
	char *buf = malloc(COPY_BYTES);
	int rc = buf ? 0 : -ENOMEM;

	(void)mover;
	while (left > 0 && !rc) {
		ssize_t n = read(move->from_fd, buf, at_most(left, COPY_BYTES));
		if (n > 0) {
			left -= (uint64_t)n;
			rc = write_all(move->to_fd, buf, (size_t)n);
		} else if (n == 0) {
			rc = -ENODATA;
		} else {
			rc = errno == EAGAIN ? wait_for(move->from_fd, POLLIN) : -errno;
		}
	}
	free(buf);
	return rc;
}

#define KIB ((size_t)1024)

static const struct mover movers[] = {
    {"poll-splice-64k", "poll(2), splice(2) in and out", poll_splice, 64 * KIB, false, true},
    {"poll-splice-1m", "the same with a pipe of 1 MiB", poll_splice, 1024 * KIB, false, true},
    {"poll-gather-1m", "the same, filled until EAGAIN before it is drained", poll_splice, 1024 * KIB, true,
     true},
    {"ring-splice-64k", "POLL_ADD, SPLICE, SPLICE, each waited for", ring_splice, 64 * KIB, false, false},
    {"ring-splice-1m", "the same with a pipe of 1 MiB", ring_splice, 1024 * KIB, false, false},
    {"ring-link-1m", "POLL_ADD=>SPLICE=>SPLICE, hard-linked", ring_splice_linked, 1024 * KIB, false, false},
    {"ring-free-1m", "both SPLICEs always under way", ring_splice_free, 1024 * KIB, false, false},
    {"ring-recv-send", "RECV into a buffer ring, SEND", ring_recv_send, 0, false, false},
    {"read-write-256k", "poll(2), read(2), write(2)", read_write, 0, false, true},
};

const struct mover *mover_at(size_t index)
{
	return index < sizeof(movers) / sizeof(movers[0]) ? &movers[index] : NULL;
}
