/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. Two kinds of table, each behind a lock of its own.
 *
 * Counts (of connections by address, of exchanges by token) have an entry only while something is open, and
 * such an entry never leaves: counts are exact. A full table lets a newcomer in uncounted; its later close
 * finds no entry, or takes one off an entry that the same key got since. So a count is never above the truth,
 * and right again when the key's last one has closed: being full can only let too many in, never lock
 * somebody out.
 *
 * Failures have an entry from the first wrong token on. It is in one of two queues:
 *
 *     counting   fewer than `max` wrong ones since started_ms; the one that failed last is at the tail
 *     waiting    `max` were reached at started_ms; the order is that of the ends
 *
 * and ends `window_ms` after started_ms in both. The window starts with the first failure and does not slide:
 * in the worst case 2 * max - 1 fall into one of that length. What has ended is dropped when the tables are
 * looked at, some entries at a time, so that after an attack the atomic count comes back to 0 and requests
 * touch no lock.
 *
 * What an attacker could want is to be forgotten: to fill the table from other addresses until its own entry
 * is gone. One that counts goes before one that waits, so that this takes either an entry for each other
 * place in the table with `max` failures (which costs more tries than being forgotten gives back), or is
 * about an entry that only counts: then `entries_max` addresses fail once to give one address `max` more
 * tries. With IPv4 that is a botnet that has as many tries anyhow. With IPv6 addresses cost nothing: whoever
 * has a /48 has 65,536 /64s. So a /48 is counted as well, in a table of its own that its /64s cannot fill,
 * and with LIMIT_WIDE_FACTOR times the limit, which neighbours of one site do not reach by typing. To be
 * forgotten there takes `entries_max` /48s.
 */
#include "limit.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "limit_table.h"

/* Ended entries that one look drops: more than one failure adds, so that they become fewer. */
#define DROPS_A_LOOK 8

#define WIDE_BYTES ((size_t)6) /* of an address: a /48 */

struct failures {
	pthread_mutex_t lock;
	struct limit_table table;
	struct limit_queue counting, waiting;
	unsigned max, window_ms; /* max 0: no limit */
	_Atomic size_t known;	 /* entries; read without the lock */
};

struct counts {
	pthread_mutex_t lock;
	struct limit_table table;
	unsigned max;		    /* 0: no limit */
	_Atomic uint64_t uncounted; /* were let in because the table was full */
};

struct limits {
	struct failures narrow; /* by address_owner() */
	struct failures wide;	/* by /48 of IPv6 */
	struct counts peers, tokens;
};

static void lock(pthread_mutex_t *mutex)
{
	/* A plain mutex that its thread does not hold: it cannot fail. */
	(void)pthread_mutex_lock(mutex);
}

static void unlock(pthread_mutex_t *mutex)
{
	(void)pthread_mutex_unlock(mutex);
}

static int failures_init(struct failures *failures, unsigned max, unsigned window_ms, size_t entries_max)
{
	*failures = (struct failures){.lock = PTHREAD_MUTEX_INITIALIZER, .max = max, .window_ms = window_ms};
	TAILQ_INIT(&failures->counting);
	TAILQ_INIT(&failures->waiting);
	return limit_table_init(&failures->table, max ? entries_max : 0, sizeof(struct address));
}

static bool has_ended(const struct failures *failures, const struct limit_entry *entry, uint64_t now_ms)
{
	/* Another worker's clock may be a tick ahead. */
	return now_ms > entry->started_ms && now_ms - entry->started_ms >= failures->window_ms;
}

static struct limit_queue *queue_of(struct failures *failures, const struct limit_entry *entry)
{
	return entry->waiting ? &failures->waiting : &failures->counting;
}

/* The table's count, for those who look without the lock. */
static void tell_known(struct failures *failures)
{
	atomic_store_explicit(&failures->known, failures->table.used, memory_order_relaxed);
}

static void forget(struct failures *failures, struct limit_entry *entry)
{
	TAILQ_REMOVE(queue_of(failures, entry), entry, turn);
	limit_table_drop(&failures->table, entry);
	tell_known(failures);
}

static void forget_ended(struct failures *failures, uint64_t now_ms)
{
	for (unsigned i = 0; i < DROPS_A_LOOK; i++) {
		struct limit_entry *counting = TAILQ_FIRST(&failures->counting);
		struct limit_entry *waiting = TAILQ_FIRST(&failures->waiting);

		if (waiting && has_ended(failures, waiting, now_ms))
			forget(failures, waiting);
		else if (counting && has_ended(failures, counting, now_ms))
			forget(failures, counting);
		else
			return;
	}
}

/* The entry of that key, at the tail of `counting` if it is new. NULL only when the table has no room for
 * one. */
static struct limit_entry *remember(struct failures *failures, const struct address *key, uint64_t now_ms)
{
	struct limit_entry *entry = limit_table_find(&failures->table, key);

	if (entry && has_ended(failures, entry, now_ms)) {
		forget(failures, entry);
		entry = NULL;
	}
	if (entry)
		return entry;
	forget_ended(failures, now_ms);
	entry = limit_table_take(&failures->table, key);
	if (!entry) {
		struct limit_entry *oldest = TAILQ_FIRST(&failures->counting);

		if (!oldest)
			oldest = TAILQ_FIRST(&failures->waiting);
		if (!oldest)
			return NULL;
		forget(failures, oldest);
		entry = limit_table_take(&failures->table, key);
	}
	entry->started_ms = now_ms;
	TAILQ_INSERT_TAIL(&failures->counting, entry, turn);
	tell_known(failures);
	return entry;
}

static void failures_add(struct failures *failures, const struct address *key, uint64_t now_ms)
{
	struct limit_entry *entry;

	lock(&failures->lock);
	entry = remember(failures, key, now_ms);
	/* One that waits was on its way when the limit was reached; it must not make a wait longer that was
	 * told. */
	if (entry && !entry->waiting) {
		TAILQ_REMOVE(&failures->counting, entry, turn);
		entry->count++;
		if (entry->count >= failures->max) {
			entry->waiting = true;
			entry->started_ms = now_ms;
		}
		TAILQ_INSERT_TAIL(queue_of(failures, entry), entry, turn);
	}
	unlock(&failures->lock);
}

static bool nobody_failed(struct failures *failures)
{
	return atomic_load_explicit(&failures->known, memory_order_relaxed) == 0;
}

static uint64_t failures_wait_ms(struct failures *failures, const struct address *key, uint64_t now_ms)
{
	const struct limit_entry *entry;
	uint64_t wait_ms = 0;

	if (nobody_failed(failures))
		return 0;
	lock(&failures->lock);
	forget_ended(failures, now_ms);
	entry = limit_table_find(&failures->table, key);
	if (entry && entry->waiting && !has_ended(failures, entry, now_ms)) {
		wait_ms = failures->window_ms;
		if (now_ms > entry->started_ms)
			wait_ms -= now_ms - entry->started_ms;
	}
	unlock(&failures->lock);
	return wait_ms;
}

static int counts_init(struct counts *counts, unsigned max, size_t entries_max, size_t key_bytes)
{
	*counts = (struct counts){.lock = PTHREAD_MUTEX_INITIALIZER, .max = max};
	return limit_table_init(&counts->table, max ? entries_max : 0, key_bytes);
}

static bool counts_open(struct counts *counts, const void *key)
{
	struct limit_entry *entry;
	bool allowed = true;

	if (counts->max == 0)
		return true;
	lock(&counts->lock);
	entry = limit_table_find(&counts->table, key);
	if (!entry)
		entry = limit_table_take(&counts->table, key);
	if (!entry)
		atomic_fetch_add_explicit(&counts->uncounted, 1, memory_order_relaxed);
	else if (entry->count < counts->max)
		entry->count++;
	else
		allowed = false;
	unlock(&counts->lock);
	return allowed;
}

static void counts_close(struct counts *counts, const void *key)
{
	struct limit_entry *entry;

	if (counts->max == 0)
		return;
	lock(&counts->lock);
	entry = limit_table_find(&counts->table, key);
	if (entry && --entry->count == 0)
		limit_table_drop(&counts->table, entry);
	unlock(&counts->lock);
}

int limits_new(struct limits **limits, const struct limit_rules *rules)
{
	struct limits *new = calloc(1, sizeof(*new));
	unsigned wide_max = rules->failures_max > UINT_MAX / LIMIT_WIDE_FACTOR
				? UINT_MAX
				: rules->failures_max * LIMIT_WIDE_FACTOR;
	size_t entries_max = rules->entries_max;

	*limits = NULL;
	if (!new)
		return -ENOMEM;
	if (failures_init(&new->narrow, rules->failures_max, rules->failures_window_ms, entries_max) ||
	    failures_init(&new->wide, wide_max, rules->failures_window_ms, entries_max) ||
	    counts_init(&new->peers, rules->peer_connections_max, entries_max, sizeof(struct address)) ||
	    counts_init(&new->tokens, rules->token_connections_max, entries_max, LIMIT_KEY_MAX_BYTES)) {
		limits_free(new);
		return -ENOMEM;
	}
	*limits = new;
	return 0;
}

void limits_free(struct limits *limits)
{
	if (!limits)
		return;
	limit_table_fini(&limits->narrow.table);
	limit_table_fini(&limits->wide.table);
	limit_table_fini(&limits->peers.table);
	limit_table_fini(&limits->tokens.table);
	free(limits);
}

/* The /48 of an IPv6 address; false for IPv4, whose addresses are too dear to have many. */
static bool wide_owner(const struct address *peer, struct address *wide)
{
	static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(peer->bytes, v4_mapped, sizeof(v4_mapped)) == 0)
		return false;
	*wide = (struct address){0};
	memcpy(wide->bytes, peer->bytes, WIDE_BYTES);
	return true;
}

void limit_failed(struct limits *limits, const struct address *peer, uint64_t now_ms)
{
	struct address owner, wide;

	if (!peer || limits->narrow.max == 0)
		return;
	owner = address_owner(peer);
	failures_add(&limits->narrow, &owner, now_ms);
	if (wide_owner(peer, &wide))
		failures_add(&limits->wide, &wide, now_ms);
}

unsigned limit_wait_s(struct limits *limits, const struct address *peer, uint64_t now_ms)
{
	struct address owner, wide;
	uint64_t wait_ms, wide_ms = 0;

	if (!peer)
		return 0;
	owner = address_owner(peer);
	wait_ms = failures_wait_ms(&limits->narrow, &owner, now_ms);
	if (wide_owner(peer, &wide))
		wide_ms = failures_wait_ms(&limits->wide, &wide, now_ms);
	if (wide_ms > wait_ms)
		wait_ms = wide_ms;
	return (unsigned)((wait_ms + 999) / 1000);
}

bool limit_peer_opens(struct limits *limits, const struct address *peer)
{
	struct address owner;

	if (!peer)
		return true;
	owner = address_owner(peer);
	return counts_open(&limits->peers, &owner);
}

void limit_peer_closes(struct limits *limits, const struct address *peer)
{
	struct address owner;

	if (!peer)
		return;
	owner = address_owner(peer);
	counts_close(&limits->peers, &owner);
}

/* A name with what is behind it filled with 0; token_name_ok() lets none be longer. */
static void name_key(uint8_t key[LIMIT_KEY_MAX_BYTES], const char *name)
{
	memset(key, 0, LIMIT_KEY_MAX_BYTES);
	memcpy(key, name, strnlen(name, LIMIT_KEY_MAX_BYTES));
}

bool limit_token_opens(struct limits *limits, const char *name)
{
	uint8_t key[LIMIT_KEY_MAX_BYTES];

	name_key(key, name);
	return counts_open(&limits->tokens, key);
}

void limit_token_closes(struct limits *limits, const char *name)
{
	uint8_t key[LIMIT_KEY_MAX_BYTES];

	name_key(key, name);
	counts_close(&limits->tokens, key);
}

uint64_t limits_uncounted(const struct limits *limits)
{
	return atomic_load_explicit(&limits->peers.uncounted, memory_order_relaxed) +
	       atomic_load_explicit(&limits->tokens.uncounted, memory_order_relaxed);
}
