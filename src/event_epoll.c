/* SPDX-License-Identifier: MIT */
/*
 * The epoll back-end: for kernels and containers that refuse io_uring.
 *
 * Theory of operation
 *
 * Level-triggered; a descriptor is registered when something is wanted of it for the first time, so a
 * source costs one EPOLL_CTL_ADD and, before close, one EPOLL_CTL_DEL. In between there is a MOD only
 * where the kernel must know:
 *   - something is wanted that is not armed;
 *   - EVENT_OUT is no longer wanted (a socket is nearly always writable, it would be reported at once);
 *   - something arrived that is not wanted (ARMED_STALE). EVENT_IN is withdrawn and wanted again for
 *     every request, mostly without a byte arriving in between, and that is free this way.
 *
 * epoll reports EPOLLERR and EPOLLHUP whatever is asked for. A source that wants nothing is therefore
 * left armed with EPOLLONESHOT alone: at most one report, which is dropped, then silence until the
 * next MOD.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event_backend.h"

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP &&
		  EPOLLRDHUP == POLLRDHUP,
	      "event_mark_ready() takes the bits of poll(2)");

/* Above the bits of event_mask in event_source.armed. */
enum {
	ARMED_REGISTERED = 0x100,
	ARMED_STALE = 0x200, /* the kernel reports what nobody wants: to be told */
};

enum {
	EPOLL_BATCH = 256, /* events a wait */
	ACCEPT_BATCH = 64, /* connections a listener and wait: the others have their turn in between */
};

#define COOKIE_WAKE UINT64_MAX /* its slot is above EVENT_SLOTS_MAX */

struct epoll_loop {
	struct event_loop loop;
	int epoll_fd; /* owned */
	struct epoll_event events[EPOLL_BATCH];
};

static struct epoll_loop *epoll_of(struct event_loop *loop)
{
	return container_of(loop, struct epoll_loop, loop);
}

static void epoll_loop_close(struct event_loop *loop)
{
	struct epoll_loop *epoll = epoll_of(loop);

	if (epoll->epoll_fd >= 0)
		close(epoll->epoll_fd);
	event_loop_fini(loop);
	free(epoll);
}

static struct event_loop *epoll_loop_open(int *error)
{
	struct epoll_event wake = {.events = EPOLLIN, .data.u64 = COOKIE_WAKE};
	struct epoll_loop *epoll = calloc(1, sizeof(*epoll));

	if (!epoll) {
		*error = -ENOMEM;
		return NULL;
	}
	epoll->epoll_fd = -1;
	*error = event_loop_init(&epoll->loop, &event_epoll_ops);
	if (!*error) {
		epoll->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		if (epoll->epoll_fd < 0 ||
		    epoll_ctl(epoll->epoll_fd, EPOLL_CTL_ADD, epoll->loop.wake_fd, &wake) < 0)
			*error = -errno;
	}
	if (*error) {
		epoll_loop_close(&epoll->loop);
		return NULL;
	}
	return &epoll->loop;
}

static bool epoll_loop_forget(struct event_loop *loop, struct event_source *source)
{
	/* Not left to close(2): another descriptor of the same file would keep reporting for ever. */
	if (source->armed & ARMED_REGISTERED)
		epoll_ctl(epoll_of(loop)->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	return true;
}

static unsigned source_needs(const struct event_source *source)
{
	return source->wanted | (source->accepting ? (unsigned)EVENT_IN : 0);
}

/* accept4() is called until it says EAGAIN, so the listener must not block. */
static int listener_unblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/* Tells the kernel what `source` needs, if it has to know. 0 or -errno. */
static int source_apply(struct epoll_loop *epoll, struct event_source *source)
{
	const struct event_slot *slot = &epoll->loop.slots[source->slot];
	unsigned armed = source->armed & EVENT_INTERESTS, needs = source_needs(source);
	bool registered = source->armed & ARMED_REGISTERED;
	struct epoll_event event = {.data.u64 = (uint64_t)slot->generation << 32 | source->slot};
	int rc;

	if (registered ? !(needs & ~armed) && !(armed & ~needs & EVENT_OUT) && !(source->armed & ARMED_STALE)
		       : !needs)
		return 0;
	if (source->accepting && !(armed & EVENT_IN)) {
		rc = listener_unblock(source->fd);
		if (rc)
			return rc;
	}
	if (needs & EVENT_IN)
		event.events |= EPOLLIN;
	if (needs & EVENT_OUT)
		event.events |= EPOLLOUT;
	if (needs & EVENT_HANGUP)
		event.events |= EPOLLRDHUP;
	if (!needs)
		event.events = EPOLLONESHOT;
	if (epoll_ctl(epoll->epoll_fd, registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, source->fd, &event) < 0)
		return -errno;
	source->armed = ARMED_REGISTERED | needs;
	return 0;
}

/* A source that the kernel refused is reported as failed in each wait, until its owner gives up on it. */
static void epoll_apply_dirty(struct epoll_loop *epoll)
{
	for (size_t count = epoll->loop.dirty_count; count > 0; count--) {
		struct event_source *source = event_dirty_take(&epoll->loop);
		int rc = source ? source_apply(epoll, source) : 0;

		if (!rc)
			continue;
		if (source->accepting) {
			event_deliver_accepted(&epoll->loop, source, rc);
			continue;
		}
		event_mark_ready(&epoll->loop, source, POLLERR);
		event_mark_dirty(&epoll->loop, source);
	}
}

static void listener_accept(struct event_loop *loop, uint32_t slot, uint32_t generation)
{
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		/* Looked up each time: the callback before may have stopped or removed it. */
		struct event_slot *entry = event_slot_find(loop, slot, generation);
		struct event_source *listener = entry ? entry->source : NULL;
		int fd;

		if (!listener || !listener->accepting)
			return;
		fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			fd = -errno;
			if (fd == -EAGAIN)
				return;
			/* The connection that could not be accepted is still there. */
			listener->armed |= ARMED_STALE;
		}
		event_deliver_accepted(loop, listener, fd);
	}
}

static void epoll_dispatch(struct event_loop *loop, const struct epoll_event *event)
{
	uint32_t slot = (uint32_t)event->data.u64, generation = (uint32_t)(event->data.u64 >> 32);
	struct event_source *source;
	struct event_slot *entry;
	unsigned seen, armed;

	if (event->data.u64 == COOKIE_WAKE) {
		event_wake_drain(loop);
		return;
	}
	entry = event_slot_find(loop, slot, generation);
	source = entry ? entry->source : NULL;
	if (!source)
		return;
	armed = source->armed & EVENT_INTERESTS;
	if (!armed)
		return; /* the one report of EPOLLONESHOT */
	if (source->accepting) {
		listener_accept(loop, slot, generation);
		return;
	}
	seen = event_mark_ready(loop, source, event->events);
	if (!source->wanted || (seen & armed & ~source->wanted)) {
		source->armed |= ARMED_STALE;
		event_mark_dirty(loop, source);
	}
}

static int epoll_loop_wait(struct event_loop *loop, int timeout_ms)
{
	struct epoll_loop *epoll = epoll_of(loop);
	int count;

	epoll_apply_dirty(epoll);
	if (loop->dirty_count)
		timeout_ms = 0;
	count = epoll_wait(epoll->epoll_fd, epoll->events, EPOLL_BATCH, timeout_ms);
	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++)
		epoll_dispatch(loop, &epoll->events[i]);
	return 0;
}

const struct event_ops event_epoll_ops = {
    .name = "epoll",
    .open = epoll_loop_open,
    .close = epoll_loop_close,
    .forget = epoll_loop_forget,
    .wait = epoll_loop_wait,
};
