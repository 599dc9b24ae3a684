/* SPDX-License-Identifier: MIT */
/* event_ring_test.c: what a ring refuses, as no filter of system calls can. Rings behave elsewhere:
 * event_test.c. */
#include "event_backend.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net_support.h"

/* The loop's own; should a loop be built differently one day, its descriptor is none of a ring. */
static struct io_uring *ring_of(struct event_loop *of)
{
	struct io_uring *ring = (struct io_uring *)(void *)(of + 1);
	char path[64], target[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", ring->ring_fd);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	cr_assert_gt(n, 0);
	target[n] = '\0';
	cr_assert_str_eq(target, "anon_inode:[io_uring]");
	return ring;
}

/* What a submission of that operation comes to. */
static int submit(struct io_uring *ring, unsigned char op, unsigned char flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe = NULL;

	cr_assert_not_null(sqe);
	io_uring_prep_rw(op, sqe, -1, NULL, 0, 0);
	sqe->flags = flags;
	cr_assert_eq(io_uring_submit_and_wait(ring, 1), 1);
	cr_assert_eq(io_uring_wait_cqe(ring, &cqe), 0);
	int result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

/* EINVAL: newer than this kernel. */
static void expect_refused(int error, const char *what, unsigned op)
{
	cr_expect(error == EACCES || error == EINVAL, "%s %u: %s", what, op, strerror(error));
}

Test(event_ring, nothing_but_what_events_need, .timeout = 300)
{
	static const unsigned char allowed[] = {IORING_OP_POLL_ADD, IORING_OP_ACCEPT, IORING_OP_ASYNC_CANCEL};
	int result = 0;

	struct event_loop *loop = event_open(&event_uring_ops, &result);

	if (!loop)
		cr_skip("no io_uring here");
	cr_assert_eq(event_wait(loop, 0), 0, "its restrictions count once it is enabled");
	struct io_uring *ring = ring_of(loop);
	for (unsigned op = 0; op < IORING_OP_LAST; op++)
		if (!memchr(allowed, (int)op, sizeof(allowed)))
			expect_refused(-submit(ring, (unsigned char)op, 0), "operation", op);
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		cr_expect_neq(submit(ring, allowed[i], 0), -EACCES, "operation %u", allowed[i]);
		cr_expect_eq(submit(ring, allowed[i], IOSQE_IO_LINK), -EACCES, "a chain of them");
		cr_expect_eq(submit(ring, allowed[i], IOSQE_FIXED_FILE), -EACCES, "a file of the ring's");
	}
	for (unsigned op = 0; op < IORING_REGISTER_LAST; op++) {
		if (op == IORING_REGISTER_ENABLE_RINGS)
			continue;
		cr_expect_lt(syscall(SYS_io_uring_register, ring->ring_fd, op, NULL, 0), 0);
		expect_refused(errno, "registering", op);
	}
	event_close(loop);
}
