/* SPDX-License-Identifier: MIT */
/*
 * limit.h: who asks too often. Failed authentication by address (address_owner()), open connections by
 * address and by token. Bounded tables shared by the workers behind locks that are touched when a connection
 * opens or closes, a token is wrong, or (an atomic look first) an address has failed lately. Pure but for the
 * locks; the time is the caller's, of a clock that does not go back by more than the workers' clocks differ.
 * Layer 1.
 *
 * Who is kept is chosen so that a client cannot make itself forgotten (limit.c says why):
 *   - one address, or one /64, is one entry, whatever it does;
 *   - the /64s of one /48 together get LIMIT_WIDE_FACTOR times what one gets, so that a customer with 65,536
 * of them has no more than that, and fills no more entries than that;
 *   - an address that has to wait is forgotten before its time only when all entries are of such addresses.
 * A client on a unix socket has no address (NULL): file modes say who that is, and nothing here counts it.
 */
#ifndef HEADGATE_LIMIT_H
#define HEADGATE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "compiler.h"

#define LIMIT_WIDE_FACTOR 16u

struct limits;

struct limit_rules {
	unsigned failures_max; /* wrong tokens within failures_window_ms before an address has to wait */
	unsigned failures_window_ms;	/* and so long it waits; 0 failures_max: no limit */
	unsigned peer_connections_max;	/* open at once from one address; 0: no limit */
	unsigned token_connections_max; /* exchanges open at once with one token; 0: no limit */
	/* Of each table. As many as there can be connections: then the counts of connections never fill one.
	 */
	size_t entries_max;
};

int limits_new(struct limits **limits, const struct limit_rules *rules) MUST_USE; /* 0 or -ENOMEM */
void limits_free(struct limits *limits);					  /* NULL is fine */

/*
 * A wrong token came. A full table forgets who has been silent longest. Good ones forgive nothing: whoever
 * has one could guess at another in between.
 */
void limit_failed(struct limits *limits, const struct address *peer, uint64_t now_ms);
/* 0, or the seconds until another try is looked at (for Retry-After), rounded up. */
unsigned limit_wait_s(struct limits *limits, const struct address *peer, uint64_t now_ms);

/* Counts an open connection. False when it is one too many (it is not counted then). A full table lets it in.
 */
bool limit_peer_opens(struct limits *limits, const struct address *peer);
/* For each that was opened: what is not counted stays so. */
void limit_peer_closes(struct limits *limits, const struct address *peer);

/* The same for an exchange with a token, by its name. */
bool limit_token_opens(struct limits *limits, const char *name);
void limit_token_closes(struct limits *limits, const char *name);

/* How many were let in without being counted, because a table was full: for the log and for metrics. */
uint64_t limits_uncounted(const struct limits *limits);

#endif
