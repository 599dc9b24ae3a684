/* SPDX-License-Identifier: MIT */
/*
 * The ways of moving bytes in which io_uring does the work itself, not only the waiting. Sockets are
 * blocking: the ring gives up at once on one that is not, instead of waiting for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "movers.h"

/* Newer than some liburing.h; the numbers are the kernel's interface. */
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12) /* 6.0 */
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13) /* 6.1 */
#endif

enum { RING_ENTRIES = 8, RECV_BUFS = 4, RECV_GROUP = 0 };

/* What a completion is of. */
enum { OP_POLL = 1, OP_IN, OP_OUT };

static int ring_open(struct io_uring *ring)
{
	static const unsigned flag_sets[] = {
	    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	    0,
	};
	int rc = -EINVAL;

	for (size_t i = 0; i < sizeof(flag_sets) / sizeof(flag_sets[0]) && rc == -EINVAL; i++)
		rc = io_uring_queue_init(RING_ENTRIES, ring, flag_sets[i]);
	return rc;
}

/* The queue is as long as the longest chain and is submitted whole, so there is always room in it. */
static void add_poll_in(struct io_uring *ring, int fd, unsigned sqe_flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_flags(sqe, sqe_flags);
	sqe->user_data = OP_POLL;
}

static void add_splice(struct io_uring *ring, uint64_t op, const int ends[2], size_t len, unsigned flags,
		       unsigned sqe_flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_splice(sqe, ends[0], -1, ends[1], -1, (unsigned)len, SPLICE_F_MOVE | flags);
	io_uring_sqe_set_flags(sqe, sqe_flags);
	sqe->user_data = op;
}

/* Submits what is queued and takes one completion: its result, or -errno. */
static int ring_turn(struct io_uring *ring, uint64_t *op)
{
	struct io_uring_cqe *cqe;
	int rc;

	while (io_uring_peek_cqe(ring, &cqe) != 0) {
		rc = io_uring_submit_and_wait(ring, 1);
		if (rc < 0 && rc != -EINTR)
			return rc;
	}
	int result = cqe->res;
	*op = cqe->user_data;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

/*
 * One thing after the other, as a loop would do it that lets the ring splice as well as wait. Behind the
 * poll a blocking splice does not wait, and the kernel runs it on a worker thread in any case.
 */
static int splice_in_turn(const struct mover *mover, const struct move *move, struct io_uring *ring,
			  const int pipe_fds[2])
{
	const int in[2] = {move->from_fd, pipe_fds[1]}, out[2] = {pipe_fds[0], move->to_fd};
	uint64_t left = move->bytes, op;

	while (left > 0) {
		add_poll_in(ring, move->from_fd, 0);
		int n = ring_turn(ring, &op);
		if (n < 0)
			return n;
		add_splice(ring, OP_IN, in, at_most(left, mover->pipe_bytes), 0, 0);
		n = ring_turn(ring, &op);
		if (n <= 0)
			return n < 0 ? n : -ENODATA;
		left -= (uint64_t)n;
		for (int used = n; used > 0; used -= n) {
			add_splice(ring, OP_OUT, out, (size_t)used, 0, 0);
			n = ring_turn(ring, &op);
			if (n < 0)
				return n;
		}
	}
	return 0;
}

/*
 * Poll, fill and drain as one hard-linked chain: one system call a round. How much the middle brings is not
 * known when the last one is queued, so that one asks for all there is; NONBLOCK, or it would wait for ever
 * on an empty pipe.
 */
static int splice_linked(const struct mover *mover, const struct move *move, struct io_uring *ring,
			 const int pipe_fds[2])
{
	const int in[2] = {move->from_fd, pipe_fds[1]}, out[2] = {pipe_fds[0], move->to_fd};
	uint64_t left = move->bytes, op;
	size_t used = 0;

	while (left > 0 || used > 0) {
		unsigned queued = 1;

		if (left > 0) {
			add_poll_in(ring, move->from_fd, IOSQE_IO_HARDLINK);
			add_splice(ring, OP_IN, in, at_most(left, mover->pipe_bytes - used), 0,
				   IOSQE_IO_HARDLINK);
			queued = 3;
		}
		add_splice(ring, OP_OUT, out, mover->pipe_bytes, SPLICE_F_NONBLOCK, 0);
		for (; queued > 0; queued--) {
			int n = ring_turn(ring, &op);
			if (n < 0 && !(op == OP_OUT && n == -EAGAIN))
				return n;
			if (op == OP_IN && n == 0)
				return -ENODATA;
			if (op == OP_IN) {
				left -= (uint64_t)n;
				used += (size_t)n;
			} else if (op == OP_OUT && n > 0) {
				used -= (size_t)n;
			}
		}
	}
	return 0;
}

/*
 * One splice each way always under way, no poll: the fewest system calls. A splice that waits for input
 * holds the pipe's lock, so what is in the pipe cannot leave meanwhile: --lockstep shows that as a hang.
 */
static int splice_free(const struct mover *mover, const struct move *move, struct io_uring *ring,
		       const int pipe_fds[2])
{
	const int in[2] = {move->from_fd, pipe_fds[1]}, out[2] = {pipe_fds[0], move->to_fd};
	uint64_t in_left = move->bytes, out_left = in_left, op;
	bool filling = false, draining = false;

	while (out_left > 0) {
		if (!filling && in_left > 0)
			add_splice(ring, OP_IN, in, at_most(in_left, mover->pipe_bytes), 0, 0);
		if (!draining)
			add_splice(ring, OP_OUT, out, at_most(out_left, mover->pipe_bytes), 0, 0);
		filling = in_left > 0;
		draining = true;
		int n = ring_turn(ring, &op);
		if (n <= 0)
			return n < 0 ? n : -ENODATA;
		if (op == OP_IN) {
			in_left -= (uint64_t)n;
			filling = false;
		} else {
			out_left -= (uint64_t)n;
			draining = false;
		}
	}
	return 0;
}

typedef int ring_splice_body(const struct mover *mover, const struct move *move, struct io_uring *ring,
			     const int pipe_fds[2]);

static int with_ring_and_pipe(const struct mover *mover, const struct move *move, ring_splice_body *body)
{
	struct io_uring ring;
	int fds[2];
	int rc = pipe_open(mover->pipe_bytes, fds);

	if (rc)
		return rc;
	rc = ring_open(&ring);
	if (!rc) {
		rc = body(mover, move, &ring, fds);
		io_uring_queue_exit(&ring);
	}
	pipe_close(fds);
	return rc;
}

int ring_splice(const struct mover *mover, const struct move *move)
{
	return with_ring_and_pipe(mover, move, splice_in_turn);
}

int ring_splice_linked(const struct mover *mover, const struct move *move)
{
	return with_ring_and_pipe(mover, move, splice_linked);
}

int ring_splice_free(const struct mover *mover, const struct move *move)
{
	return with_ring_and_pipe(mover, move, splice_free);
}

/* ---- recv and send in the ring ---- */

struct filled {
	int id; /* which buffer */
	size_t start, end;
};

struct recv_send {
	const struct move *move;	     /* borrowed */
	struct io_uring ring;		     /* owned */
	struct io_uring_buf_ring *bufs_ring; /* owned; a page */
	char *bufs;			     /* owned; RECV_BUFS of COPY_BYTES */
	struct filled filled[RECV_BUFS];     /* oldest first, from `first` on */
	unsigned first, filled_count;
	bool receiving, sending;
	uint64_t in_left, out_left;
};

static void bufs_give(struct recv_send *state, int id)
{
	io_uring_buf_ring_add(state->bufs_ring, state->bufs + (size_t)id * COPY_BYTES, (unsigned)COPY_BYTES,
			      (unsigned short)id, io_uring_buf_ring_mask(RECV_BUFS), 0);
	io_uring_buf_ring_advance(state->bufs_ring, 1);
}

static int bufs_open(struct recv_send *state)
{
	size_t ring_bytes = RECV_BUFS * sizeof(struct io_uring_buf);
	void *ring = mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);

	if (ring == MAP_FAILED)
		return -errno;
	state->bufs_ring = ring;
	state->bufs = malloc(RECV_BUFS * COPY_BYTES);
	if (!state->bufs)
		return -ENOMEM;
	io_uring_buf_ring_init(state->bufs_ring);
	struct io_uring_buf_reg reg = {
	    .ring_addr = (uintptr_t)ring, .ring_entries = RECV_BUFS, .bgid = RECV_GROUP};
	int rc = io_uring_register_buf_ring(&state->ring, &reg, 0);
	for (int id = 0; !rc && id < RECV_BUFS; id++)
		bufs_give(state, id);
	return rc;
}

static void bufs_close(struct recv_send *state)
{
	if (state->bufs_ring)
		munmap(state->bufs_ring, RECV_BUFS * sizeof(struct io_uring_buf));
	free(state->bufs);
}

static void recv_send_queue(struct recv_send *state)
{
	if (!state->receiving && state->in_left > 0 && state->filled_count < RECV_BUFS) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&state->ring);

		io_uring_prep_recv(sqe, state->move->from_fd, NULL, at_most(state->in_left, COPY_BYTES), 0);
		io_uring_sqe_set_flags(sqe, IOSQE_BUFFER_SELECT);
		sqe->buf_group = RECV_GROUP;
		sqe->user_data = OP_IN;
		state->receiving = true;
	}
	if (!state->sending && state->filled_count > 0) {
		const struct filled *oldest = &state->filled[state->first];
		struct io_uring_sqe *sqe = io_uring_get_sqe(&state->ring);

		/* No MSG_WAITALL, which would save the rest of a short send: kTLS refuses it. */
		io_uring_prep_send(sqe, state->move->to_fd,
				   state->bufs + (size_t)oldest->id * COPY_BYTES + oldest->start,
				   oldest->end - oldest->start, MSG_NOSIGNAL);
		sqe->user_data = OP_OUT;
		state->sending = true;
	}
}

static int recv_send_done(struct recv_send *state, const struct io_uring_cqe *cqe)
{
	if (cqe->res < 0)
		return cqe->res;
	size_t len = (size_t)cqe->res;
	if (cqe->user_data == OP_IN) {
		if (!(cqe->flags & IORING_CQE_F_BUFFER))
			return -ENODATA;
		state->receiving = false;
		state->in_left -= len;
		state->filled[(state->first + state->filled_count++) % RECV_BUFS] =
		    (struct filled){.id = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT), .end = len};
		return 0;
	}
	struct filled *oldest = &state->filled[state->first];
	state->sending = false;
	state->out_left -= len;
	oldest->start += len;
	if (oldest->start == oldest->end) {
		bufs_give(state, oldest->id);
		state->first = (state->first + 1) % RECV_BUFS;
		state->filled_count--;
	}
	return 0;
}

static int recv_send_loop(struct recv_send *state)
{
	int rc = 0;

	while (state->out_left > 0 && rc >= 0) {
		struct io_uring_cqe *cqe;

		recv_send_queue(state);
		rc = io_uring_submit_and_wait(&state->ring, 1);
		if (rc == -EINTR)
			rc = 0;
		while (rc >= 0 && io_uring_peek_cqe(&state->ring, &cqe) == 0) {
			rc = recv_send_done(state, cqe);
			io_uring_cqe_seen(&state->ring, cqe);
		}
	}
	return rc < 0 ? rc : 0;
}

int ring_recv_send(const struct mover *mover, const struct move *move)
{
	struct recv_send state = {.move = move, .in_left = move->bytes, .out_left = move->bytes};
	int rc = ring_open(&state.ring);

	(void)mover;
	if (rc)
		return rc;
	rc = bufs_open(&state);
	if (!rc)
		rc = recv_send_loop(&state);
	io_uring_queue_exit(&state.ring);
	bufs_close(&state);
	return rc;
}
