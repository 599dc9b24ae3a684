/* SPDX-License-Identifier: MIT */
#include "limit_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

/* Little-endian; fewer than eight bytes are filled up with 0. */
static uint64_t read_word(const uint8_t *p, size_t len)
{
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)p[i] << (8 * i);
	return word;
}

static void sip_rounds(uint64_t v[4], unsigned count)
{
	while (count--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
}

uint64_t limit_hash(const uint8_t key[LIMIT_HASH_KEY_BYTES], const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t k0 = read_word(key, 8), k1 = read_word(key + 8, 8);
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
			 k1 ^ 0x7465646279746573};
	size_t at = 0;

	for (; len - at >= 8; at += 8)
		sip_word(v, read_word(p + at, 8));
	sip_word(v, read_word(p + at, len - at) | (uint64_t)len << 56);
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int limit_table_init(struct limit_table *table, size_t entries_max, size_t key_bytes)
{
	*table = (struct limit_table){.key_bytes = key_bytes, .entries_max = entries_max, .chains_count = 1};
	LIST_INIT(&table->unused);
	if (key_bytes > LIMIT_KEY_MAX_BYTES || entries_max > LIMIT_ENTRIES_MAX)
		return -ENOMEM;
	if (entries_max == 0)
		return 0;
	while (table->chains_count < entries_max)
		table->chains_count *= 2;
	/* calloc() of this size is fresh pages: all 0, which is an empty chain, and not there until written.
	 */
	table->entries = calloc(entries_max, sizeof(*table->entries));
	table->chains = calloc(table->chains_count, sizeof(*table->chains));
	if (!table->entries || !table->chains) {
		limit_table_fini(table);
		return -ENOMEM;
	}
	arc4random_buf(table->hash_key, sizeof(table->hash_key));
	return 0;
}

void limit_table_fini(struct limit_table *table)
{
	free(table->entries);
	free(table->chains);
	*table = (struct limit_table){0};
}

static struct limit_chain *chain_of(const struct limit_table *table, const void *key)
{
	uint64_t hash = limit_hash(table->hash_key, key, table->key_bytes);

	return &table->chains[hash & (table->chains_count - 1)];
}

struct limit_entry *limit_table_find(const struct limit_table *table, const void *key)
{
	struct limit_entry *entry;

	if (table->used == 0)
		return NULL;
	LIST_FOREACH (entry, chain_of(table, key), chain)
		if (memcmp(entry->key, key, table->key_bytes) == 0)
			return entry;
	return NULL;
}

struct limit_entry *limit_table_take(struct limit_table *table, const void *key)
{
	struct limit_entry *entry = LIST_FIRST(&table->unused);

	if (entry)
		LIST_REMOVE(entry, chain);
	else if (table->touched < table->entries_max)
		entry = &table->entries[table->touched++];
	else
		return NULL;
	*entry = (struct limit_entry){0};
	memcpy(entry->key, key, table->key_bytes);
	LIST_INSERT_HEAD(chain_of(table, key), entry, chain);
	table->used++;
	return entry;
}

void limit_table_drop(struct limit_table *table, struct limit_entry *entry)
{
	LIST_REMOVE(entry, chain);
	LIST_INSERT_HEAD(&table->unused, entry, chain);
	table->used--;
}
