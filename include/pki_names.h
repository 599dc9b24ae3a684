/* SPDX-License-Identifier: MIT */
/*
 * pki_names.h: the names and addresses that a server certificate has to cover. No OpenSSL. Layer 2,
 * part of pki.
 */
#ifndef HEADGATE_PKI_NAMES_H
#define HEADGATE_PKI_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"
#include "config_host.h"

#define PKI_NAME_MAX	256 /* subject alternative names in one certificate */
#define PKI_DNS_MAX	CONFIG_HOST_MAX
#define PKI_HOST_MAX	((size_t)64) /* HOST_NAME_MAX on Linux, and what fits a common name (X.520) */
#define PKI_ADDRESS_MAX ((size_t)16)

/* One name: an address when address_len is 4 or 16, else a DNS name in lower case. */
struct pki_name {
	char dns[PKI_DNS_MAX + 1];
	uint8_t address[PKI_ADDRESS_MAX];
	uint8_t address_len;
};

struct pki_names {
	size_t count;
	char host[PKI_HOST_MAX + 1]; /* this machine's name, or "localhost" when it is no DNS name */
	struct pki_name names[PKI_NAME_MAX];
};

/*
 * Adds what config_host_san() takes: a DNS name, perhaps with "*" as its first label, or a literal address.
 * One that is there already is not added again. 0, -EINVAL, or -ENOSPC when the list is full.
 */
int pki_names_add(struct pki_names *list, const char *text) MUST_USE;

/*
 * Adds localhost, the host name (and its first label) and every address of this machine, as far as
 * there is room. Asks no name server. 0 or -errno.
 */
int pki_names_add_local(struct pki_names *list) MUST_USE;

/* The name as text, for messages: `out` holds INET6_ADDRSTRLEN and PKI_DNS_MAX + 1. */
void pki_name_text(const struct pki_name *name, char out[PKI_DNS_MAX + 1]);

#endif
