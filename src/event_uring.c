/* SPDX-License-Identifier: MIT */
/*
 * The io_uring back-end; the only file that includes liburing.
 *
 * Theory of operation
 *
 * Each thing to watch for is a one-shot poll of its own: IN (with RDHUP), OUT, and HANGUP for those
 * that do not want IN. A poll looks at the descriptor when it is armed, so arming it again in the
 * next wait, if it is still wanted by then, makes it level-triggered. Withdrawing an interest costs
 * nothing: the poll stays where it is, fires once at most, and is dropped. So no poll is ever
 * changed, and all that a wait has to submit goes into the io_uring_enter that also waits.
 *
 * A pending poll holds a reference to its file: without a cancel the peer would not see the FIN after
 * close(2). ASYNC_CANCEL and not POLL_REMOVE, which gives up with EALREADY on a poll that was just woken;
 * when the bytes that woke it are gone by then, that poll would stay (io_uring/poll.c, io_poll_disarm()).
 * event_remove() itself does not touch the ring (its queue might be full): the slot goes on the list of the
 * removed, the next wait asks the kernel to drop what is armed, and only then does the slot get its new
 * generation. Completions are told apart by their cookie:
 *
 *     8 bits operation (= its bit in event_source.armed) | 24 bits slot | 32 bits generation
 *
 * so at most one request is under way for each cookie, which is what a cancel goes by.
 *
 * io_uring adds RDHUP to what a poll asks for (io_uring/poll.c, IO_POLL_UNMASK). Behind the peer's FIN a poll
 * for OUT would complete at once with nothing else, again and again, for as long as the peer reads slowly.
 * Such a source waits for OUT, one-shot as well, in an epoll instance, which adds no more than ERR and HUP;
 * the ring polls that instance.
 *
 * An accepted connection whose listener is gone is closed here, nobody else knows of it.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "event_backend.h"

/* Newer than some liburing.h; the numbers are the kernel's interface. */
#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7) /* 5.18 */
#endif
#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8) /* 5.19 */
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12) /* 6.0 */
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13) /* 6.1 */
#endif
#ifndef IORING_ACCEPT_MULTISHOT
#define IORING_ACCEPT_MULTISHOT (1U << 0) /* 5.19 */
#endif
#ifndef IORING_FEAT_CQE_SKIP
#define IORING_FEAT_CQE_SKIP (1U << 11) /* 5.17 */
#endif
#ifndef IOSQE_CQE_SKIP_SUCCESS
#define IOSQE_CQE_SKIP_SUCCESS (1U << 6)
#endif

static_assert(EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP,
	      "event_mark_ready() takes the bits of poll(2)");

enum {
	URING_SUBMISSIONS = 512,
	URING_COMPLETIONS = 4096,
	OUT_BATCH = 64, /* what is left of more is reported in the next wait */
};

/* The operations; IN, OUT and HANGUP are those of event_mask. */
enum {
	OP_ACCEPT = 0x10,
	OP_WAKE = 0x20,
	OP_CANCEL = 0x40,
	OP_OUTS = 0x80, /* the epoll instance */
	OPS_POLL = EVENT_IN | EVENT_OUT | EVENT_HANGUP,
	OPS_ALL = OPS_POLL | OP_ACCEPT,
	/* In event_source.armed only: */
	ARMED_CANCELLING = 0x100, /* the accept was told to stop */
	ARMED_PEER_ENDED = 0x200, /* a poll said RDHUP */
	ARMED_OUT_EPOLL = 0x400,  /* known to the epoll instance: EVENT_OUT is armed there, not in the ring */
};

struct uring_loop {
	struct event_loop loop;
	struct io_uring ring; /* owned */
	uint32_t removed;     /* head of the list of slots whose source is gone; EVENT_NO_SLOT */
	int out_fd;	      /* the epoll instance; owned */
	bool enabled;	      /* its thread is known */
	bool wake_armed, outs_armed;
	bool accept_once; /* no multishot accept in this kernel */
};

static struct uring_loop *uring_of(struct event_loop *loop)
{
	return container_of(loop, struct uring_loop, loop);
}

static uint64_t cookie(unsigned op, uint32_t slot, uint32_t generation)
{
	return (uint64_t)op << 56 | (uint64_t)slot << 32 | generation;
}

/* ---- opening and closing ---- */

/*
 * No filter of system calls sees what goes through a ring, so the ring itself refuses all that is not done
 * here: no other operation, nothing to register but its own start. (io_uring_register_restrictions(3), which
 * the shared liburing before 2.4 forgets to export, too.)
 */
static int ring_restrict(const struct io_uring *ring)
{
	struct io_uring_restriction rules[] = {
	    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_ADD},
	    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ACCEPT},
	    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ASYNC_CANCEL},
	    {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_CQE_SKIP_SUCCESS},
	    {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_ENABLE_RINGS},
	};

	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, rules,
		    ARRAY_SIZE(rules)) < 0)
		return -errno;
	return 0;
}

/*
 * The first set of flags that the kernel knows. With DEFER_TASKRUN completions are made only while we
 * wait, on our own thread; R_DISABLED leaves it open which thread that is until the first wait.
 */
static int ring_open(struct io_uring *ring)
{
	static const unsigned flag_sets[] = {
	    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		IORING_SETUP_COOP_TASKRUN,
	    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
	    0,
	};
	const unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
	int rc = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(flag_sets) && rc == -EINVAL; i++) {
		struct io_uring_params params = {
		    .flags =
			flag_sets[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
		    .cq_entries = URING_COMPLETIONS,
		};

		rc = io_uring_queue_init_params(URING_SUBMISSIONS, ring, &params);
	}
	if (rc)
		return rc;
	if ((ring->features & needed) != needed) {
		io_uring_queue_exit(ring);
		return -ENOSYS;
	}
	rc = ring_restrict(ring);
	if (rc)
		io_uring_queue_exit(ring);
	return rc;
}

/* io_uring_enable_rings(3), which the shared liburing before 2.4 forgets to export. 0 or -errno. */
static int ring_enable(const struct io_uring *ring)
{
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
		return -errno;
	return 0;
}

static struct event_loop *uring_loop_open(int *error)
{
	struct uring_loop *uring = calloc(1, sizeof(*uring));

	if (!uring) {
		*error = -ENOMEM;
		return NULL;
	}
	uring->removed = EVENT_NO_SLOT;
	uring->out_fd = epoll_create1(EPOLL_CLOEXEC);
	*error = uring->out_fd < 0 ? -errno : 0;
	int init_error = event_loop_init(&uring->loop, &event_uring_ops);
	if (!*error)
		*error = init_error;
	if (!*error)
		*error = ring_open(&uring->ring);
	if (*error) {
		if (uring->out_fd >= 0)
			close(uring->out_fd);
		event_loop_fini(&uring->loop);
		free(uring);
		return NULL;
	}
	return &uring->loop;
}

static void uring_loop_close(struct event_loop *loop)
{
	struct uring_loop *uring = uring_of(loop);
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&uring->ring, &cqe) == 0) {
		if (cqe->user_data >> 56 == OP_ACCEPT && cqe->res >= 0)
			close(cqe->res);
		io_uring_cqe_seen(&uring->ring, cqe);
	}
	io_uring_queue_exit(&uring->ring);
	close(uring->out_fd);
	event_loop_fini(loop);
	free(uring);
}

static bool uring_loop_forget(struct event_loop *loop, struct event_source *source)
{
	struct uring_loop *uring = uring_of(loop);

	if (source->armed & ARMED_OUT_EPOLL) {
		epoll_ctl(uring->out_fd, EPOLL_CTL_DEL, source->fd, NULL);
		source->armed &= ~(unsigned)EVENT_OUT;
		loop->slots[source->slot].armed = source->armed;
	}
	if (!(source->armed & OPS_ALL))
		return true;
	loop->slots[source->slot].next = uring->removed;
	uring->removed = source->slot;
	return false;
}

/* ---- what is submitted ---- */

/*
 * NULL when the kernel takes nothing at the moment: try again in the next wait, after reaping. What
 * is submitted early may complete at once, and then the wait itself finds something in the ring and
 * asks for no more: so it is here that late completions are collected, or many ready sources would
 * starve the others.
 */
static struct io_uring_sqe *submission(struct uring_loop *uring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	if (!sqe && io_uring_submit_and_get_events(&uring->ring) >= 0)
		sqe = io_uring_get_sqe(&uring->ring);
	return sqe;
}

static bool arm_poll(struct uring_loop *uring, int fd, unsigned poll_bits, uint64_t user_data)
{
	struct io_uring_sqe *sqe = submission(uring);

	if (!sqe)
		return false;
	io_uring_prep_poll_add(sqe, fd, poll_bits);
	sqe->user_data = user_data;
	return true;
}

/*
 * With O_NONBLOCK on the listener an accept may say -EAGAIN at once (older kernels) instead of waiting.
 * What cannot be read or changed here, the accept itself reports.
 */
static void listener_block(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && (flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

static bool arm_accept(struct uring_loop *uring, int fd, uint64_t user_data)
{
	struct io_uring_sqe *sqe = submission(uring);

	if (!sqe)
		return false;
	listener_block(fd);
	io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (!uring->accept_once)
		sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
	sqe->user_data = user_data;
	return true;
}

static bool cancel(struct uring_loop *uring, uint64_t user_data)
{
	struct io_uring_sqe *sqe = submission(uring);

	if (!sqe)
		return false;
	io_uring_prep_cancel64(sqe, user_data, 0);
	if (uring->ring.features & IORING_FEAT_CQE_SKIP)
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = cookie(OP_CANCEL, 0, 0);
	return true;
}

/* Asks for all that is armed for removed sources to be dropped; false when some had to be left. */
static bool drop_removed(struct uring_loop *uring)
{
	static const unsigned ops[] = {EVENT_IN, EVENT_OUT, EVENT_HANGUP, OP_ACCEPT};

	while (uring->removed != EVENT_NO_SLOT) {
		uint32_t slot = uring->removed;
		struct event_slot *entry = &uring->loop.slots[slot];

		for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
			if (!(entry->armed & ops[i]))
				continue;
			if (!cancel(uring, cookie(ops[i], slot, entry->generation)))
				return false;
			entry->armed &= ~ops[i];
		}
		uring->removed = entry->next;
		event_slot_release(&uring->loop, slot);
	}
	return true;
}

/* EVENT_OUT behind the peer's end; false when it was refused, which is reported until somebody gives up. */
static bool arm_out(struct uring_loop *uring, struct event_source *source)
{
	uint32_t generation = uring->loop.slots[source->slot].generation;
	struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT,
				    .data.u64 = cookie(EVENT_OUT, source->slot, generation)};
	int op = source->armed & ARMED_OUT_EPOLL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (epoll_ctl(uring->out_fd, op, source->fd, &event) < 0) {
		event_mark_ready(&uring->loop, source, POLLERR);
		return false;
	}
	source->armed |= (unsigned)ARMED_OUT_EPOLL | EVENT_OUT;
	return true;
}

/* Arms what `source` needs and has not; false when some had to be left. */
static bool arm_source(struct uring_loop *uring, struct event_source *source)
{
	static const struct {
		unsigned op, poll_bits;
	} polls[] = {
	    {EVENT_IN, POLLIN | POLLRDHUP},
	    {EVENT_OUT, POLLOUT},
	    {EVENT_HANGUP, POLLRDHUP},
	};
	uint32_t slot = source->slot, generation = uring->loop.slots[slot].generation;
	unsigned missing = source->wanted;

	if (missing & EVENT_IN)
		missing &= ~(unsigned)EVENT_HANGUP; /* comes with it */
	missing &= ~source->armed;
	if (missing & EVENT_OUT && source->armed & ARMED_PEER_ENDED) {
		if (!arm_out(uring, source))
			return false;
		missing &= ~(unsigned)EVENT_OUT;
	}
	for (size_t i = 0; i < ARRAY_SIZE(polls); i++) {
		if (!(missing & polls[i].op))
			continue;
		if (!arm_poll(uring, source->fd, polls[i].poll_bits, cookie(polls[i].op, slot, generation)))
			return false;
		source->armed |= polls[i].op;
	}
	if (source->accepting && !(source->armed & OP_ACCEPT)) {
		if (!arm_accept(uring, source->fd, cookie(OP_ACCEPT, slot, generation)))
			return false;
		source->armed |= OP_ACCEPT;
	} else if (!source->accepting && (source->armed & (OP_ACCEPT | ARMED_CANCELLING)) == OP_ACCEPT) {
		if (!cancel(uring, cookie(OP_ACCEPT, slot, generation)))
			return false;
		source->armed |= ARMED_CANCELLING;
	}
	return true;
}

/* Fills the submission queue; false when something had to be left for the next wait. */
static bool submit_changes(struct uring_loop *uring)
{
	struct event_loop *loop = &uring->loop;

	if (!uring->wake_armed) {
		if (!arm_poll(uring, loop->wake_fd, POLLIN, cookie(OP_WAKE, 0, 0)))
			return false;
		uring->wake_armed = true;
	}
	if (!uring->outs_armed) {
		if (!arm_poll(uring, uring->out_fd, POLLIN, cookie(OP_OUTS, 0, 0)))
			return false;
		uring->outs_armed = true;
	}
	/* The removed first: their requests were queued before, and their cookies must be void soon. */
	if (!drop_removed(uring))
		return false;
	while (loop->dirty_count) {
		struct event_source *source = event_dirty_take(loop);

		if (!arm_source(uring, source)) {
			event_mark_dirty(loop, source);
			return false;
		}
	}
	return true;
}

/* ---- what comes back ---- */

static void accept_complete(struct uring_loop *uring, struct event_source *listener, int res)
{
	if (!listener) {
		if (res >= 0)
			close(res);
		return;
	}
	if (res == -EINVAL && !uring->accept_once) {
		/* Either the kernel has no multishot accept, or the single one will say EINVAL too. */
		uring->accept_once = true;
		return;
	}
	event_deliver_accepted(&uring->loop, listener, res);
}

static void complete(struct uring_loop *uring, uint64_t user_data, int res, bool over)
{
	unsigned op = (unsigned)(user_data >> 56);
	uint32_t slot = (uint32_t)(user_data >> 32) & (EVENT_SLOTS_MAX - 1);
	struct event_slot *entry = event_slot_find(&uring->loop, slot, (uint32_t)user_data);
	struct event_source *source = entry ? entry->source : NULL;

	if (entry && over) {
		entry->armed &= ~op; /* when removed: nothing left to drop */
		if (source) {
			source->armed &= ~(op | (op == OP_ACCEPT ? (unsigned)ARMED_CANCELLING : 0));
			if (source->wanted || source->accepting)
				event_mark_dirty(&uring->loop, source);
		}
	}
	if (op == OP_ACCEPT) {
		accept_complete(uring, source, res);
	} else if (source && res != -ECANCELED) {
		if (res > 0 && res & POLLRDHUP)
			source->armed |= ARMED_PEER_ENDED;
		event_mark_ready(&uring->loop, source, res < 0 ? POLLERR : (uint32_t)res);
	}
}

static void outs_complete(struct uring_loop *uring)
{
	struct epoll_event events[OUT_BATCH];
	int count = epoll_wait(uring->out_fd, events, OUT_BATCH, 0);

	for (int i = 0; i < count; i++)
		complete(uring, events[i].data.u64, (int)events[i].events, true);
}

static void cqe_complete(struct uring_loop *uring, const struct io_uring_cqe *cqe)
{
	switch (cqe->user_data >> 56) {
	case OP_CANCEL:
		break;
	case OP_WAKE:
		uring->wake_armed = false;
		event_wake_drain(&uring->loop);
		break;
	case OP_OUTS:
		uring->outs_armed = false;
		outs_complete(uring);
		break;
	default:
		complete(uring, cqe->user_data, cqe->res, !(cqe->flags & IORING_CQE_F_MORE));
	}
}

/* As many as are there now: each is copied and given back, so that callbacks find the ring in order. */
static unsigned reap(struct uring_loop *uring)
{
	unsigned count = io_uring_cq_ready(&uring->ring), head;
	struct io_uring_cqe *cqe, copy;

	for (unsigned i = 0; i < count; i++) {
		cqe = NULL;
		io_uring_for_each_cqe(&uring->ring, head, cqe)
		{
			break;
		}
		if (!cqe)
			return i;
		copy = *cqe;
		io_uring_cq_advance(&uring->ring, 1);
		cqe_complete(uring, &copy);
	}
	return count;
}

/*
 * Not for no time at all: the kernel would start a timer that has run out already, and take its interrupt
 * (17 us a turn in a virtual machine, a quarter of the CPU of a transfer in small turns).
 */
static int enter_and_wait(struct uring_loop *uring, int timeout_ms)
{
	struct __kernel_timespec timeout = {
	    .tv_sec = timeout_ms / 1000,
	    .tv_nsec = (long long)(timeout_ms % 1000) * 1000000,
	};
	struct io_uring_cqe *cqe;

	return io_uring_submit_and_wait_timeout(&uring->ring, &cqe, 1, timeout_ms < 0 ? NULL : &timeout,
						NULL);
}

static int uring_loop_wait(struct event_loop *loop, int timeout_ms)
{
	struct uring_loop *uring = uring_of(loop);
	bool all;
	int rc;

	if (!uring->enabled) {
		rc = ring_enable(&uring->ring);
		if (rc)
			return rc;
		uring->enabled = true;
	}
	all = submit_changes(uring);
	if (!all)
		timeout_ms = 0;
	rc = timeout_ms ? enter_and_wait(uring, timeout_ms) : io_uring_submit_and_get_events(&uring->ring);
	if (!reap(uring) && (rc == -EAGAIN || rc == -EBUSY)) {
		/* The kernel is out of memory: no use in asking again at once. */
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	if (rc < 0 && rc != -ETIME && rc != -EAGAIN && rc != -EBUSY)
		return rc;
	return 0;
}

const struct event_ops event_uring_ops = {
    .name = "uring",
    .open = uring_loop_open,
    .close = uring_loop_close,
    .forget = uring_loop_forget,
    .wait = uring_loop_wait,
};
