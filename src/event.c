/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A source has a slot in the loop's table from event_add() to event_remove(). What goes to the kernel
 * and comes back is never a pointer but the slot's index with its generation, so whatever comes back
 * for a source that is gone, or whose slot somebody else has by now, is recognised and dropped.
 *
 * event_want() only writes the interest down and puts the source on the dirty list. A wait is then:
 *   1. back-end: go through the dirty list, tell the kernel what it does not know yet;
 *   2. back-end: wait; mark what is ready (accepted descriptors are handed over at once);
 *   3. here: call the handlers of the ready list, each with what it still wants by then.
 * A handler may remove any source: that takes it off both lists, so a source that was seen ready in
 * the same wait as its remover is not reported any more. Nothing but step 2 adds to the ready list,
 * so step 3 ends.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "event_backend.h"

enum { EVENT_SLOTS_FIRST = 64 };

int event_loop_init(struct event_loop *loop, const struct event_ops *ops)
{
	loop->ops = ops;
	TAILQ_INIT(&loop->dirty);
	loop->dirty_count = 0;
	TAILQ_INIT(&loop->ready);
	loop->slots = NULL;
	loop->slot_count = 0;
	loop->slot_free = EVENT_NO_SLOT;
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return loop->wake_fd < 0 ? -errno : 0;
}

void event_loop_fini(struct event_loop *loop)
{
	free(loop->slots); /* the sources are not touched, their owners may have freed them */
	loop->slots = NULL;
	loop->slot_count = 0;
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	loop->wake_fd = -1;
}

struct event_loop *event_open(const struct event_ops *ops, int *error)
{
	return ops->open(error);
}

void event_close(struct event_loop *loop)
{
	if (loop)
		loop->ops->close(loop);
}

const char *event_name(const struct event_loop *loop)
{
	return loop->ops->name;
}

static int slots_grow(struct event_loop *loop)
{
	uint32_t count = loop->slot_count ? loop->slot_count * 2 : EVENT_SLOTS_FIRST;
	struct event_slot *slots;

	if (count > EVENT_SLOTS_MAX)
		return -ENOMEM;
	slots = reallocarray(loop->slots, count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = loop->slot_count; i < count; i++) {
		slots[i] = (struct event_slot){
		    .next = i + 1 < count ? i + 1 : loop->slot_free,
		};
	}
	loop->slot_free = loop->slot_count;
	loop->slots = slots;
	loop->slot_count = count;
	return 0;
}

struct event_slot *event_slot_find(struct event_loop *loop, uint32_t slot, uint32_t generation)
{
	if (slot >= loop->slot_count || loop->slots[slot].generation != generation)
		return NULL;
	return &loop->slots[slot];
}

void event_slot_release(struct event_loop *loop, uint32_t slot)
{
	struct event_slot *entry = &loop->slots[slot];

	entry->source = NULL;
	entry->armed = 0;
	entry->generation++;
	entry->next = loop->slot_free;
	loop->slot_free = slot;
}

/* Asks the table, not only the source: one that was zeroed and never added says slot 0. */
static bool source_added(const struct event_loop *loop, const struct event_source *source)
{
	return source->slot < loop->slot_count && loop->slots[source->slot].source == source;
}

int event_add(struct event_loop *loop, struct event_source *source)
{
	int rc;

	if (source->fd < 0 || source_added(loop, source))
		return -EINVAL;
	if (loop->slot_free == EVENT_NO_SLOT) {
		rc = slots_grow(loop);
		if (rc)
			return rc;
	}
	source->slot = loop->slot_free;
	loop->slot_free = loop->slots[source->slot].next;
	loop->slots[source->slot].source = source;
	source->accepted = NULL;
	source->wanted = 0;
	source->armed = 0;
	source->ready = 0;
	source->accepting = false;
	source->is_dirty = false;
	source->is_ready = false;
	return 0;
}

void event_mark_dirty(struct event_loop *loop, struct event_source *source)
{
	if (source->is_dirty)
		return;
	source->is_dirty = true;
	loop->dirty_count++;
	TAILQ_INSERT_TAIL(&loop->dirty, source, dirty_link);
}

static void dirty_drop(struct event_loop *loop, struct event_source *source)
{
	if (!source->is_dirty)
		return;
	source->is_dirty = false;
	loop->dirty_count--;
	TAILQ_REMOVE(&loop->dirty, source, dirty_link);
}

struct event_source *event_dirty_take(struct event_loop *loop)
{
	struct event_source *source = TAILQ_FIRST(&loop->dirty);

	if (source)
		dirty_drop(loop, source);
	return source;
}

void event_want(struct event_loop *loop, struct event_source *source, unsigned mask)
{
	mask &= EVENT_INTERESTS;
	if (!source_added(loop, source) || source->wanted == mask)
		return;
	source->wanted = mask;
	event_mark_dirty(loop, source);
}

void event_remove(struct event_loop *loop, struct event_source *source)
{
	if (!source_added(loop, source))
		return;
	dirty_drop(loop, source);
	if (source->is_ready)
		TAILQ_REMOVE(&loop->ready, source, ready_link);
	source->is_ready = false;
	source->wanted = 0;
	source->accepting = false;
	loop->slots[source->slot].source = NULL;
	loop->slots[source->slot].armed = source->armed;
	if (loop->ops->forget(loop, source))
		event_slot_release(loop, source->slot);
	source->armed = 0;
	source->slot = EVENT_NO_SLOT;
}

int event_accept_start(struct event_loop *loop, struct event_source *listener,
		       void (*accepted)(struct event_source *listener, int fd_or_errno))
{
	if (!source_added(loop, listener) || !accepted)
		return -EINVAL;
	listener->accepted = accepted;
	listener->accepting = true;
	event_mark_dirty(loop, listener);
	return 0;
}

void event_accept_stop(struct event_loop *loop, struct event_source *listener)
{
	if (!source_added(loop, listener) || !listener->accepting)
		return;
	listener->accepting = false;
	event_mark_dirty(loop, listener);
}

/* accept(2): the new connection broke, or the network under it did; the listener is well. */
static bool accept_error_is_passing(int error)
{
	switch (error) {
	case -EAGAIN:
	case -EINTR:
	case -ECANCELED:
	case -ECONNABORTED:
	case -EPROTO:
	case -ENETDOWN:
	case -ENETUNREACH:
	case -EHOSTDOWN:
	case -EHOSTUNREACH:
	case -ENONET:
		return true;
	default:
		return false;
	}
}

void event_deliver_accepted(struct event_loop *loop, struct event_source *listener, int fd_or_errno)
{
	if (fd_or_errno < 0) {
		if (!listener->accepting || accept_error_is_passing(fd_or_errno))
			return;
		listener->accepting = false;
		event_mark_dirty(loop, listener);
	}
	listener->accepted(listener, fd_or_errno);
}

unsigned event_mark_ready(struct event_loop *loop, struct event_source *source, uint32_t poll_bits)
{
	unsigned seen = 0;

	if (poll_bits & POLLIN)
		seen |= EVENT_IN;
	if (poll_bits & POLLOUT)
		seen |= EVENT_OUT;
	if (poll_bits & POLLRDHUP)
		seen |= EVENT_IN | EVENT_HANGUP;
	if (poll_bits & (POLLERR | POLLHUP | POLLNVAL))
		seen |= EVENT_FAILED;
	source->ready |= seen;
	if (seen && !source->is_ready) {
		source->is_ready = true;
		TAILQ_INSERT_TAIL(&loop->ready, source, ready_link);
	}
	return seen;
}

static void report(struct event_source *source, unsigned seen)
{
	unsigned ready = seen & source->wanted;

	if (!source->wanted)
		return;
	if (seen & EVENT_FAILED)
		ready |= EVENT_FAILED | (source->wanted & (EVENT_IN | EVENT_OUT));
	if (ready)
		source->handler(source, ready);
}

int event_wait(struct event_loop *loop, int timeout_ms)
{
	int rc = loop->ops->wait(loop, timeout_ms);
	struct event_source *source;

	while ((source = TAILQ_FIRST(&loop->ready)) != NULL) {
		unsigned seen = source->ready;

		TAILQ_REMOVE(&loop->ready, source, ready_link);
		source->is_ready = false;
		source->ready = 0;
		report(source, seen);
	}
	return rc == -EINTR ? 0 : rc;
}

void event_wake(struct event_loop *loop)
{
	const uint64_t one = 1;
	int saved = errno;
	ssize_t rc;

	/* EAGAIN only when the counter is full, and then a wake-up is pending anyway. */
	do {
		rc = write(loop->wake_fd, &one, sizeof(one));
	} while (rc < 0 && errno == EINTR);
	errno = saved;
}

void event_wake_drain(struct event_loop *loop)
{
	uint64_t count;
	ssize_t rc;

	do {
		rc = read(loop->wake_fd, &count, sizeof(count));
	} while (rc < 0 && errno == EINTR);
}
