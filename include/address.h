/* SPDX-License-Identifier: MIT */
/*
 * address.h: IP addresses as values: who a client is, which it may be. IPv4 is kept as IPv4-mapped IPv6, so
 * that one and the same client is one value however it came. Pure. Layer 1.
 */
#ifndef HEADGATE_ADDRESS_H
#define HEADGATE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "compiler.h"
#include "span.h"

#define ADDRESS_TEXT_BYTES	  ((size_t)46) /* with a NUL */
#define ADDRESS_PREFIX_TEXT_BYTES (ADDRESS_TEXT_BYTES + 4)

struct address {
	uint8_t bytes[16];
};

struct address_prefix {
	struct address address; /* bits behind the prefix are 0 */
	uint8_t bits;		/* of all 128 */
};

/* "10.0.0.0/8", "2001:db8::/32"; an address alone is one host. 0 or -EINVAL (also for bits behind the
 * prefix). */
int address_prefix_parse(struct address_prefix *prefix, struct span text) MUST_USE;
/* The same spelling back: IPv4 as IPv4. */
void address_prefix_write(const struct address_prefix *prefix, char text[ADDRESS_PREFIX_TEXT_BYTES]);
bool address_prefix_has(const struct address_prefix *prefix, const struct address *address);

/* "192.0.2.1" or "2001:db8::1", without a port. 0 or -EINVAL. */
int address_parse(struct address *address, struct span text) MUST_USE;
void address_write(const struct address *address, char text[ADDRESS_TEXT_BYTES]);

/* Whom to hold responsible: an IPv4 address, or the /64 of an IPv6 address (the rest is the client's to
 * choose). */
struct address address_owner(const struct address *address);

bool address_eq(const struct address *a, const struct address *b);

#endif
