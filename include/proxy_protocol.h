/* SPDX-License-Identifier: MIT */
/*
 * proxy_protocol.h: the address of the client behind a load balancer, PROXY protocol version 2 (HAProxy's
 * doc/proxy-protocol.txt, section 2.2). Pure, fuzzed. Layer 1.
 *
 * Nothing in the header is proof of anything: the caller takes one only from addresses that were named to it,
 * and there takes nothing else. Whether a header is there is never guessed.
 */
#ifndef HEADGATE_PROXY_PROTOCOL_H
#define HEADGATE_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"
#include "compiler.h"
#include "span.h"

/* The header with every TLV that is taken; a longer one is refused. */
#define PROXY_PROTOCOL_MAX_BYTES ((size_t)536)

enum proxy_protocol_result {
	PROXY_PROTOCOL_MORE, /* not complete; what is there is right so far */
	PROXY_PROTOCOL_DONE,
	PROXY_PROTOCOL_BAD,
};

/*
 * Looks at the first bytes of a connection, as many as have come; behind the header anything may follow.
 * DONE: *used bytes are the header; *has_address tells whether *address is the client's (LOCAL, UNSPEC,
 * datagram and unix ones have none: the connection's own counts). Otherwise *used is 0. BAD comes with the
 * byte that makes it so: a wrong signature, version or command (version 1 is BAD with its first byte), a
 * family that there is not, a length that is too long, or too short for the family, a TLV that ends behind
 * the header, and at its end a CRC32C that is wrong.
 */
enum proxy_protocol_result proxy_protocol_parse(struct span bytes, size_t *used, struct address *address,
						bool *has_address) MUST_USE;

#endif
