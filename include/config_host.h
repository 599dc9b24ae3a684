/* SPDX-License-Identifier: MIT */
/*
 * config_host.h: what is a name or an address, by its form alone; for the options here and for the names in
 * our certificate. No name server is asked. Layer 1, pure, part of config.
 */
#ifndef HEADGATE_CONFIG_HOST_H
#define HEADGATE_CONFIG_HOST_H

#include "span.h"

#define CONFIG_HOST_MAX ((size_t)253) /* characters of a DNS name (RFC 1035 2.3.4, as text) */

enum config_host {
	CONFIG_HOST_NONE, /* neither a name nor an address */
	CONFIG_HOST_DNS,
	CONFIG_HOST_WILDCARD, /* "*." and a DNS name: only what a certificate is for can be one */
	CONFIG_HOST_IPV4,
	CONFIG_HOST_IPV6,
};

/*
 * What to listen on or to connect to: a DNS name, perhaps with its final dot, or an address without
 * brackets, port and zone. Never a wildcard.
 */
enum config_host config_host_kind(struct span text);

/*
 * What a certificate can be made for (--san), with the name that goes into it in *name: a DNS name without
 * a final dot (RFC 5280 4.2.1.6), a wildcard as the whole left-most label and nowhere else (RFC 6125
 * 6.4.3, 7.2), or an address, IPv6 in brackets or not.
 */
enum config_host config_host_san(struct span text, struct span *name);

#endif
