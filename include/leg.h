/* SPDX-License-Identifier: MIT */
/*
 * leg.h: one socket of a connection, client's or engine's, plain or with TLS on it. What stands above
 * reads, writes and half-closes a leg without asking which. Layer 2.
 */
#ifndef HEADGATE_LEG_H
#define HEADGATE_LEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "compiler.h"
#include "ktls.h"
#include "pipe.h"
#include "tls.h"

struct leg {
	int fd;		    /* owned; -1 when closed */
	struct tls *tls;    /* owned; NULL on a plain leg, and where the kernel has both directions */
	struct ktls ktls;   /* which directions the kernel has, and what it said */
	bool is_unix;	    /* a unix socket: its peer's reset loses no bytes already sent (see leg_read()) */
	bool socket_empty;  /* plain legs: the last read came up short or with nothing, wait for an event */
	bool in_ended;	    /* the peer will send nothing more */
	bool out_ended;	    /* we have sent our end */
	bool has_notified;  /* kernel TLS: it has our close_notify */
	bool was_reset;	    /* a write has met the reset, which the kernel reports only once */
	bool is_blocked;    /* the last write took nothing */
	int mark_bytes;	    /* see ktls_mark(); in leg_discard() only */
	bool is_starved;    /* no event will come, see leg_is_starved() */
	size_t batch_bytes; /* see leg_batch(); 0: of any size */
	unsigned plain_reads, turn_reads; /* see leg_reads() */
	struct pipe_pool *pipes;	  /* borrowed from leg_arm() */
};

/* What a read costs beside its bytes, in bytes that could be moved in that time. */
#define LEG_READ_COST_BYTES ((size_t)2048)
/* More reads than that a turn, of a byte each perhaps, and the others wait too long. */
#define LEG_TURN_READS 256U

/* How a direction of a leg is carried. */
enum leg_carrier { LEG_PLAIN, LEG_TLS, LEG_KTLS };

/* A closed leg. */
void leg_init(struct leg *leg);

/* Takes over the descriptor and the TLS connection (NULL: plain). */
void leg_open(struct leg *leg, int fd, struct tls *tls, bool is_unix);

/*
 * After the handshake: hands over to kernel TLS what it takes; reads borrow a pipe of `pipes` then. 0 or
 * -errno, leg_failure() says more. Nothing happens on a plain leg.
 */
int leg_arm(struct leg *leg, struct pipe_pool *pipes);

/*
 * From now on EVENT_IN comes when `bytes` are there, not with the first one; 0 takes that back, and what is
 * there counts at once. A FIN and a reset come as ever (a close_notify is bytes), and reads give what is
 * there. Whoever sends that many is never kept from it: the receive buffer grows with the mark, which is no
 * more than half of what that may grow to, and a window that is nearly closed makes the event, too.
 * (SO_RCVLOWAT, socket(7); Linux: tcp_set_rcvlowat() in net/ipv4/tcp.c, tcp_epollin_ready() in
 * include/net/tcp.h.) False where that cannot be: on unix sockets and where kernel TLS reads.
 */
bool leg_batch(struct leg *leg, size_t bytes);

enum leg_carrier leg_reads_by(const struct leg *leg);
enum leg_carrier leg_writes_by(const struct leg *leg);

/* Whether the end that leg_read() reported was a FIN without close_notify. */
bool leg_was_truncated(const struct leg *leg);

/* Why TLS failed, for the log; NULL when it was not TLS that failed. */
const char *leg_failure(const struct leg *leg);

/*
 * The event loop reported an error, and no read or write is due that would tell: with kernel TLS it may be a
 * broken record, and leg_failure() knows afterwards. The socket's error is taken by that.
 */
void leg_ask_failure(struct leg *leg);

/*
 * For a TCP socket before it is connected: no delay; urgent data is data like other data; keep-alive, so that
 * a peer that vanished is noticed within about two minutes, not two hours.
 */
void leg_prepare_tcp(int fd);

/*
 * The same for the socket that clients connect to, and a client that stands still need not hold more than
 * half a megabyte in the kernel beside what is on its way; with the system's limits that would be megabytes
 * each. Linux gives these options on to each socket that it accepts (net/core/sock.c, sk_clone_lock();
 * net/ipv4/tcp_minisocks.c starts the keep-alive timer), which saves seven system calls a connection.
 */
void leg_prepare_client(int fd);

/* Frees TLS and closes the socket. Nothing happens when it is closed already. */
void leg_close(struct leg *leg);

/*
 * The same by a reset (RST, no close_notify), so that the peer cannot take what it got so far for the
 * whole.
 */
void leg_abort(struct leg *leg);

static inline bool leg_is_open(const struct leg *leg)
{
	return leg->fd >= 0;
}

/* The event loop reported the socket readable. */
void leg_readable(struct leg *leg);

/* How often the socket was read so far (with kernel TLS: how many records were looked at); wraps. */
static inline unsigned leg_reads(const struct leg *leg)
{
	return leg->plain_reads + leg->ktls.records;
}

/* What `len` bytes have cost that were read since leg_reads() was `before`. */
static inline size_t leg_cost(const struct leg *leg, unsigned before, size_t len)
{
	return len + (size_t)(leg_reads(leg) - before) * LEG_READ_COST_BYTES;
}

/* A turn begins, and whether as much was read in it as is good for the others. */
static inline void leg_turn(struct leg *leg)
{
	leg->turn_reads = leg_reads(leg);
}

static inline bool leg_had_its_turn(const struct leg *leg)
{
	return leg_reads(leg) - leg->turn_reads >= LEG_TURN_READS;
}

/*
 * Bytes read, 0 at the end of the peer's direction, -EAGAIN (wait for EVENT_IN), or -errno. A reset on
 * a unix socket counts as an end: the kernel delivers what was sent before it (unix(7)).
 */
ssize_t leg_read(struct leg *leg, void *data, size_t len);

/*
 * Moves up to `len` bytes into a pipe, not for LEG_TLS. Returns as leg_read(), and -EINVAL when leg_read()
 * has to be called first, for something on the way that is not data.
 */
ssize_t leg_splice(struct leg *leg, struct pipe *pipe, size_t len);

/* Moves out what is in the pipe, not for LEG_TLS. Bytes, -EAGAIN (wait for EVENT_OUT), or -errno. */
ssize_t leg_drain(struct leg *leg, struct pipe *pipe);

/*
 * Whether it is of no use to wait for EVENT_OUT, because poll(2) calls the socket writable already: with no
 * memory left for TCP a kernel TLS socket takes nothing nevertheless, and leg_settle() may be waiting for the
 * kernel's worker. Then the next try is a matter of time.
 */
static inline bool leg_is_starved(const struct leg *leg)
{
	return leg->is_starved;
}

/* Whether leg_read() has bytes that the event loop does not know of. */
bool leg_has_pending(const struct leg *leg);

/* Bytes taken (all of them have left the caller's care, not always this machine), -EAGAIN (wait for
 * EVENT_OUT), or -errno. */
ssize_t leg_write(struct leg *leg, const void *data, size_t len);

/* Sends what OpenSSL still holds; what kernel TLS holds leaves by itself. 0, -EAGAIN or -errno. */
int leg_flush(struct leg *leg);

/*
 * As leg_flush(), and with kernel TLS -EAGAIN also while the kernel holds records that TCP has not: a FIN
 * would drop them. With room in the socket no event tells of their end (see leg_is_starved()).
 */
int leg_settle(struct leg *leg);

/*
 * Ends our direction, reading goes on. With TLS that is a close_notify and the socket stays open both
 * ways (RFC 8446 6.1); on a plain leg it is a FIN. 0, -EAGAIN (call again) or -errno.
 */
int leg_end(struct leg *leg);

/*
 * After leg_end(): whether close() harms nobody. Both sides have ended, all that was sent is on its way or
 * there, and nothing is left to read that would turn the close into a reset. Never with kernel TLS, which may
 * hold what no ioctl tells of.
 */
bool leg_is_done(const struct leg *leg);

/*
 * Of a TCP leg: whether the peer's machine has yet to acknowledge something; what it has, but for a constant,
 * in *acked_bytes.
 */
bool leg_has_unacked(const struct leg *leg, uint64_t *acked_bytes);

/* After leg_end(): the FIN of a TLS leg, too. After leg_settle() alone: the end of a stream that was cut. */
void leg_fin(struct leg *leg);

/*
 * Reads what comes and throws it away, at most `limit` bytes, LEG_READ_COST_BYTES a read among them. 0 at the
 * end, -EAGAIN (wait for EVENT_IN, there may be more at once), or -errno.
 */
int leg_discard(struct leg *leg, size_t limit);

#endif
