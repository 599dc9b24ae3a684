/* SPDX-License-Identifier: MIT */
/* head.h: request and answer heads, as far as these tests need them. The other end is headgate, not an enemy.
 */
#ifndef GUEST_HEAD_H
#define GUEST_HEAD_H

#include "peer.h"

struct head {
	char text[8192]; /* ends with NUL */
	size_t len;
};

/* Reads one head; what came behind it is put back into the peer. 0, -EPIPE at any end, or -errno. */
int head_read_by(struct head *head, struct peer *peer, uint64_t deadline_ms);

/* The status of an answer's head, 0 when it is none. */
int head_status(const struct head *head);
/* Whether the field `name` is there and (when not NULL) contains `value`. */
bool head_has(const struct head *head, const char *name, const char *value);
/* Whether the request's line contains `text`. */
bool head_line_has(const struct head *head, const char *text);
/* NAME=number in the request line's query; `otherwise` without it. */
uint64_t head_query(const struct head *head, const char *name, uint64_t otherwise);
/* How the body is framed, and Content-Length (0 without one). */
enum framing head_framing(const struct head *head, uint64_t *length);

#endif
