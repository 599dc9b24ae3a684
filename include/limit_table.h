/* SPDX-License-Identifier: MIT */
/*
 * limit_table.h: what limit.c counts in: a hash table of fixed size whose keys come from strangers. The hash
 * is keyed by random bytes of this process, so that nobody outside can make keys that meet in one chain.
 * Memory is reserved at once and touched only as far as it was ever filled. No lock: that is the caller's.
 * Layer 1.
 */
#ifndef HEADGATE_LIMIT_TABLE_H
#define HEADGATE_LIMIT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "compiler.h"

#define LIMIT_KEY_MAX_BYTES  ((size_t)64)
#define LIMIT_HASH_KEY_BYTES ((size_t)16)
#define LIMIT_ENTRIES_MAX    ((size_t)1 << 24)

struct limit_entry {
	LIST_ENTRY(limit_entry) chain; /* of its hash value, or of the unused */
	TAILQ_ENTRY(limit_entry) turn; /* the caller's */
	uint64_t started_ms;	       /* the caller's, as what follows */
	unsigned count;
	bool waiting;
	uint8_t key[LIMIT_KEY_MAX_BYTES];
};

LIST_HEAD(limit_chain, limit_entry);
TAILQ_HEAD(limit_queue, limit_entry);

struct limit_table {
	struct limit_entry *entries; /* owned */
	struct limit_chain *chains;  /* owned; a power of two of them */
	struct limit_chain unused;   /* entries that were given back */
	size_t key_bytes, entries_max, chains_count;
	size_t touched; /* entries that were ever in use */
	size_t used;
	uint8_t hash_key[LIMIT_HASH_KEY_BYTES];
};

/*
 * A table of keys of just `key_bytes`. 0 or -ENOMEM (also above LIMIT_ENTRIES_MAX). With no entries it is
 * always full.
 */
int limit_table_init(struct limit_table *table, size_t entries_max, size_t key_bytes) MUST_USE;
void limit_table_fini(struct limit_table *table);

struct limit_entry *limit_table_find(const struct limit_table *table, const void *key);
/* A new entry, all 0 but its key, which is not in the table yet. NULL when it is full. */
struct limit_entry *limit_table_take(struct limit_table *table, const void *key);
/* The caller has taken it out of queues of its own. */
void limit_table_drop(struct limit_table *table, struct limit_entry *entry);

/* SipHash-2-4 (Aumasson, Bernstein 2012). */
uint64_t limit_hash(const uint8_t key[LIMIT_HASH_KEY_BYTES], const void *bytes, size_t len);

#endif
