/* SPDX-License-Identifier: MIT */
/*
 * event_backend.h: what event.c and its two back-ends share; nobody else includes it. Layer 1.
 */
#ifndef HEADGATE_EVENT_BACKEND_H
#define HEADGATE_EVENT_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "compiler.h"
#include "event.h"

#define EVENT_INTERESTS (EVENT_IN | EVENT_OUT | EVENT_HANGUP)

/* A slot's index and generation travel through the kernel in 24 and 32 bits of its 64-bit cookie. */
#define EVENT_SLOTS_MAX ((uint32_t)1 << 24)

struct event_slot {
	struct event_source *source; /* borrowed; NULL while the slot is free or only waits to be */
	uint32_t generation;	     /* counts up when the slot is freed: older cookies match no more */
	uint32_t next;		     /* in the free list, or in the back-end's list of removed sources */
	unsigned armed;		     /* the removed source's */
};

TAILQ_HEAD(event_list, event_source);

/* What the back-ends have in common; each embeds it first. */
struct event_loop {
	const struct event_ops *ops;
	struct event_list dirty; /* what they want may differ from what the kernel was asked for */
	size_t dirty_count;
	struct event_list ready;  /* to be reported when the back-end's wait is over */
	struct event_slot *slots; /* owned; moves when it grows, so never kept across a callback */
	uint32_t slot_count, slot_free;
	int wake_fd; /* eventfd; owned */
};

struct event_ops {
	const char *name; /* "uring", "epoll" */
	struct event_loop *(*open)(int *error);
	void (*close)(struct event_loop *loop);
	/*
	 * `source` goes: the kernel has to drop what is armed for it. True when the slot is free at
	 * once, false when the back-end will call event_slot_release() itself.
	 */
	bool (*forget)(struct event_loop *loop, struct event_source *source);
	/*
	 * Applies what is dirty, waits once, gives what it saw to event_mark_ready() and
	 * event_deliver_accepted(). 0 or -errno.
	 */
	int (*wait)(struct event_loop *loop, int timeout_ms);
};

/* Readies the common part. 0 or -errno. */
int event_loop_init(struct event_loop *loop, const struct event_ops *ops) MUST_USE;
void event_loop_fini(struct event_loop *loop);

/* The slot that a cookie stands for, or NULL when it belongs to an earlier user of that slot. */
struct event_slot *event_slot_find(struct event_loop *loop, uint32_t slot, uint32_t generation);
/* Frees a slot; cookies handed out for it so far are void. */
void event_slot_release(struct event_loop *loop, uint32_t slot);

/*
 * A back-end goes through as many sources as `dirty_count` said before it began: those that it has to
 * put back are for the next wait, and while any are left it must not sleep.
 */
void event_mark_dirty(struct event_loop *loop, struct event_source *source);
/* Takes the next dirty source off the list, or NULL. */
struct event_source *event_dirty_take(struct event_loop *loop);

/* Notes what poll(2) bits were seen for a source; returns them as event_mask bits. */
unsigned event_mark_ready(struct event_loop *loop, struct event_source *source, uint32_t poll_bits);

/*
 * Hands a new descriptor, or -errno, to the listener's owner; afterwards the source may be gone. An
 * error that concerns one connection only is passed over; any other ends the accepting.
 */
void event_deliver_accepted(struct event_loop *loop, struct event_source *listener, int fd_or_errno);

/* Takes what event_wake() left. */
void event_wake_drain(struct event_loop *loop);

#endif
