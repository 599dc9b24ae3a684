/* SPDX-License-Identifier: MIT */
/*
 * ktls.h: a TCP socket whose records the kernel encrypts and decrypts (Documentation/networking/tls.rst).
 * Data goes by plain send(2), recv(2) and splice(2); here is what does not: control records, which tell
 * about the peer's end, its alerts and its keys, and what the kernel says about records that are broken.
 * Who armed the socket (OpenSSL) is of no interest here. Layer 1.
 */
#ifndef HEADGATE_KTLS_H
#define HEADGATE_KTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "compiler.h"
#include "pipe.h"

/* What the kernel was given to send, and what TCP was; see ktls_is_holding(). */
struct ktls_sent {
	uint64_t taken_bytes;		  /* of what is in records, since ktls_begin_sending() */
	uint64_t base_record, base_bytes; /* as they were then */
	uint64_t last_given_bytes;	  /* to TCP, at the last look */
	uint64_t still_since_ms; /* nothing has moved since, nothing is on its way; 0: something is */
	uint8_t info_len;	 /* of the cipher's tls_crypto_info; 0: not counted */
	uint8_t overhead_bytes;	 /* of a record */
};

/* After so long without progress whatever is held will not be sent. */
#define KTLS_STILL_MS 5000

/* What a direction's state is, between two calls. All zero: the kernel has neither direction. */
struct ktls {
	bool sends, receives;  /* the kernel has this direction */
	bool is_client;	       /* the peer is a server: it may send session tickets */
	bool is_tls13;	       /* not TLS 1.2 */
	bool close_notify;     /* the peer ended its direction as it should */
	bool truncated;	       /* the peer's direction ended by FIN, without a close_notify */
	bool rekeyed;	       /* the peer's KeyUpdate ended it */
	bool is_odd;	       /* splice(2) has met something that is not data; the next read says what */
	bool is_woken;	       /* an event said there is something, and nothing was got since */
	bool has_watermark;    /* SO_RCVLOWAT is set, see ktls.c */
	bool is_ending;	       /* splice(2) gave nothing after the peer's FIN, with ending_bytes queued */
	uint8_t ignored_count; /* harmless control records since the last data */
	uint8_t empty_count;   /* empty records since the last data */
	uint8_t alert_level;   /* of an alert whose second byte has not come, else 0 */
	uint8_t message_type;  /* of the handshake message whose header is being read */
	uint8_t message_header_bytes;
	uint32_t message_bytes; /* left of that handshake message */
	int ending_bytes;
	struct ktls_sent sent;
	unsigned records;    /* looked at so far; wraps */
	const char *failure; /* static text; NULL when nothing failed; once it has, every read fails */
};

/* An event reported the socket readable. */
void ktls_readable(struct ktls *ktls);

/*
 * Reads data, of one record at most. Bytes; 0 at the end of the peer's direction (close_notify, or FIN alone:
 * `truncated`); -EAGAIN; -EKEYEXPIRED when the peer has sent a KeyUpdate, which is not followed; -EPROTO for
 * a fatal alert, a broken or a forbidden record (an alert is sent then, if the kernel sends); or -errno.
 * Control records are handled on the way. The pool lends its reader.
 */
ssize_t ktls_read(struct ktls *ktls, int fd, struct pipe_pool *pipes, void *data, size_t len);

/*
 * Moves data of one record into a pipe, at most `len` bytes. Returns as ktls_read(), but -EINVAL when
 * something else than data comes next: ktls_read() then has to be called.
 */
ssize_t ktls_splice(struct ktls *ktls, int fd, struct pipe *pipe, size_t len);

/*
 * What a failed write means, from its errno: a record that the kernel could not decrypt leaves its error on
 * the socket (sk_err), and the next call gets it, be it a send(2). -EPROTO then, as from ktls_read(), else
 * -number.
 */
int ktls_write_error(struct ktls *ktls, int fd, int number);

/*
 * For who reads such a socket by other means than the above, after a read that gave nothing: an event is to
 * come only when more is there than now, of a record of which a part is (see ktls.c). *mark_bytes is 0 at
 * first, and what is there afterwards. True when that has changed since the last call: read once more first.
 */
bool ktls_mark(int fd, int *mark_bytes);
/* Ends that. Nothing happens while *mark_bytes is 0. */
void ktls_unmark(int fd, int *mark_bytes);

/* Sends a close_notify. 0, -EAGAIN (wait until writable, call again) or -errno. */
int ktls_close_notify(struct ktls *ktls, int fd);

/* After the handshake, when the kernel has the sending direction and nothing was written yet. */
void ktls_begin_sending(struct ktls *ktls, int fd);

/* To be told what each send(2) or splice(2) of data took; the calls here count their own. */
static inline void ktls_took(struct ktls *ktls, size_t len)
{
	ktls->sent.taken_bytes += len;
}

/*
 * Whether the kernel has bytes that TCP has not, which shutdown(2) and close(2) would drop. No event comes
 * when it has none any more. False, and from then on, after KTLS_STILL_MS without progress, when the
 * connection is gone, and where the kernel does not tell.
 */
bool ktls_is_holding(struct ktls *ktls, int fd);

/* What one look says, for that: the next record's number, what TCP was given in all, what of it is not
 * acknowledged. */
bool ktls_sent_look(struct ktls_sent *sent, uint64_t record, uint64_t given_bytes, int unacked_bytes,
		    uint64_t now_ms);

#endif
