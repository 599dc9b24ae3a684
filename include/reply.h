/* SPDX-License-Identifier: MIT */
/*
 * reply.h: the answers headgate gives itself. Docker's form, `{"message":"..."}`, so that the docker
 * CLI prints them as `Error response from daemon: ...` (moby: api/types/error_response.go). Pure.
 * Layer 1.
 */
#ifndef HEADGATE_REPLY_H
#define HEADGATE_REPLY_H

#include "compiler.h"
#include "http.h"

/* The longest reply that reply_write() makes. */
#define REPLY_MAX_BYTES ((size_t)2048)

/*
 * Writes a complete answer, head and JSON body, with `Connection: close`; 401 carries
 * WWW-Authenticate (RFC 9110 11.6.1), and its message ends with the fields that a token may come in. An
 * answer to HEAD has the same head and no body. `retry_after_s` goes out as Retry-After (RFC 9110 10.2.3),
 * unless it is 0. `message` is escaped for JSON and cut at 1 KiB. Returns the length, or -ENOSPC.
 */
long reply_write(int status, const char *message, unsigned retry_after_s, enum http_method to_method,
		 char *buf, size_t cap) MUST_USE;

/* The plain text that a client gets which speaks HTTP on the TLS port (as net/http does). */
struct span reply_plain_http_on_tls(void);

#endif
