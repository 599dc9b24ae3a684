/* SPDX-License-Identifier: MIT */
/*
 * event.h: readiness, one interface, two back-ends: io_uring (event_uring.c) and epoll
 * (event_epoll.c), for where io_uring is refused (Docker's default seccomp profile,
 * kernel.io_uring_disabled).
 *
 * A source is a descriptor with an interest that stays until it is changed, level-triggered: as long
 * as it is ready and wanted, each wait reports it. Changes cost no system call of their own: both
 * back-ends apply them at the next wait (io_uring: polls are submitted in the same io_uring_enter
 * that waits; epoll: one EPOLL_CTL_MOD, and only where the interest really differs from what the
 * kernel has). Listeners accept inside the back-end (io_uring: multishot accept).
 *
 * One loop a thread; only event_wake() may be called from others. Layer 1.
 */
#ifndef HEADGATE_EVENT_H
#define HEADGATE_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "compiler.h"

enum event_mask {
	EVENT_IN = 1,	  /* readable, or end of stream, or an error */
	EVENT_OUT = 2,	  /* writable, or an error */
	EVENT_HANGUP = 4, /* wanted: tell when the peer has shut down its sending side, without reading */
	/*
	 * Reported, never wanted: error or both directions shut (POLLERR, POLLHUP), together with each
	 * of IN and OUT that is wanted. Bytes may still be there to read (a unix socket whose peer has
	 * closed is in this state): it is the next read or write that tells what happened. Not reported
	 * while nothing at all is wanted.
	 */
	EVENT_FAILED = 8,
};

struct event_loop;
struct event_ops;

/* Embedded in whoever owns the descriptor. What stands below `handler` belongs to the loop. */
struct event_source {
	int fd; /* borrowed */
	/* Called with what is ready; may change, remove or close any source, its own included. */
	void (*handler)(struct event_source *source, unsigned ready);
	void (*accepted)(struct event_source *listener, int fd_or_errno); /* set while it has accepted */
	unsigned wanted; /* event_mask bits; set by event_want() */
	unsigned armed;	 /* what the kernel was asked for: event_mask bits and the back-end's own */
	unsigned ready;	 /* seen in this wait and not yet reported */
	uint32_t slot;	 /* index in the loop's table; EVENT_NO_SLOT when not open */
	bool accepting;
	bool is_dirty; /* on the loop's list of changed sources */
	bool is_ready; /* on the loop's list of ready sources */
	TAILQ_ENTRY(event_source) dirty_link, ready_link;
};

#define EVENT_NO_SLOT UINT32_MAX

extern const struct event_ops event_uring_ops;
extern const struct event_ops event_epoll_ops;

/*
 * Opens a loop with that back-end. NULL with *error = -errno (io_uring: -EPERM where a seccomp
 * profile or the sysctl refuses it, -ENOSYS on old kernels): the caller falls back to epoll. Any
 * thread may open it; the one that waits first owns it from then on.
 */
struct event_loop *event_open(const struct event_ops *ops, int *error) MUST_USE;
/* Sources that are still in it are forgotten; no handler may call this. NULL is fine. */
void event_close(struct event_loop *loop);

/* "uring" or "epoll" */
const char *event_name(const struct event_loop *loop);

/*
 * Takes a source in with no interest yet. `fd` and `handler` are set. 0, -EINVAL (no descriptor) or
 * -ENOMEM. A descriptor that the kernel refuses to watch shows up as EVENT_FAILED once it is wanted.
 */
int event_add(struct event_loop *loop, struct event_source *source) MUST_USE;

/* Sets the interest (EVENT_IN, EVENT_OUT, EVENT_HANGUP or 0). Cheap; applied at the next wait. */
void event_want(struct event_loop *loop, struct event_source *source, unsigned mask);

/*
 * Forgets a source; no handler is called for it any more, late completions included, and its memory
 * may go. To be called before its descriptor is closed (with io_uring the socket is really closed
 * in the next wait, when the kernel has dropped its polls). Nothing happens when it was not added.
 */
void event_remove(struct event_loop *loop, struct event_source *source);

/*
 * Accepts on a listening source (added, not wanted otherwise). `accepted` gets each new descriptor
 * (non-blocking, close-on-exec; the callee owns it) or -errno (EMFILE and the like; accepting goes on
 * only after event_accept_start() is called again: after a pause, or it fails again at once). Whether
 * the listener itself is blocking is the back-end's affair: it sets O_NONBLOCK as it needs it.
 */
int event_accept_start(struct event_loop *loop, struct event_source *listener,
		       void (*accepted)(struct event_source *listener, int fd_or_errno)) MUST_USE;
/*
 * Stops accepting at the next wait. What the kernel has accepted until then is still delivered, so
 * that no client is lost; after event_remove() it is closed.
 */
void event_accept_stop(struct event_loop *loop, struct event_source *listener);

/*
 * Applies changes, waits until something is ready, `timeout_ms` passed (-1: for ever, 0: only look)
 * or event_wake() was called, and calls the handlers, each at most once. It may return
 * early with nothing reported (a signal, a late completion). 0 or -errno (not -EINTR).
 */
int event_wait(struct event_loop *loop, int timeout_ms);

/* Makes event_wait() return; from any thread, async-signal-safe. */
void event_wake(struct event_loop *loop);

#endif
