/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "limit_table.h"

TestSuite(limit_table, .timeout = 300);

static uint64_t hash_of(const uint8_t *key, size_t len)
{
	uint8_t bytes[256];

	cr_assert_leq(len, sizeof(bytes));
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)i;
	return limit_hash(key, bytes, len);
}

/* The key 00 01 .. 0f and the messages 00 01 .. of the reference implementation; the second is the paper's.
 */
Test(limit_table, hash_of_the_reference)
{
	uint8_t key[LIMIT_HASH_KEY_BYTES];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	cr_expect_eq(hash_of(key, 0), 0x726fdb47dd0e0e31);
	cr_expect_eq(hash_of(key, 15), 0xa129ca6149be45e5);
}

Test(limit_table, hash_agrees_with_openssl)
{
	size_t size = 8;
	OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t("size", &size), OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
	uint8_t key[LIMIT_HASH_KEY_BYTES], bytes[130], wanted[8];

	cr_assert_not_null(context);
	srand(7);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		uint64_t hash;

		for (size_t i = 0; i < sizeof(key); i++)
			key[i] = (uint8_t)rand();
		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)rand();
		cr_assert(EVP_MAC_init(context, key, sizeof(key), parameters));
		cr_assert(EVP_MAC_update(context, bytes, len));
		cr_assert(EVP_MAC_final(context, wanted, &size, sizeof(wanted)));
		hash = limit_hash(key, bytes, len);
		for (size_t i = 0; i < sizeof(wanted); i++)
			cr_expect_eq((uint8_t)(hash >> (8 * i)), wanted[i], "%zu bytes, byte %zu", len, i);
	}
	EVP_MAC_CTX_free(context);
	EVP_MAC_free(mac);
}

/* Who knows one process's chains does not know another's. */
Test(limit_table, every_table_has_a_hash_key_of_its_own)
{
	struct limit_table a, b;

	cr_assert_eq(limit_table_init(&a, 4, 4), 0);
	cr_assert_eq(limit_table_init(&b, 4, 4), 0);
	cr_expect_arr_neq(a.hash_key, b.hash_key, sizeof(a.hash_key));
	limit_table_fini(&a);
	limit_table_fini(&b);
}

Test(limit_table, without_entries_it_is_always_full)
{
	struct limit_table table;

	cr_assert_eq(limit_table_init(&table, 0, 4), 0);
	cr_expect_null(limit_table_take(&table, "abcd"));
	cr_expect_null(limit_table_find(&table, "abcd"));
	limit_table_fini(&table);
	limit_table_fini(&table);
}

Test(limit_table, what_cannot_be_had_is_refused)
{
	struct limit_table table;

	cr_expect_eq(limit_table_init(&table, SIZE_MAX, 4), -ENOMEM);
	cr_expect_eq(limit_table_init(&table, LIMIT_ENTRIES_MAX + 1, 4), -ENOMEM);
	cr_expect_eq(limit_table_init(&table, 4, LIMIT_KEY_MAX_BYTES + 1), -ENOMEM);
}

/* One chain, many chains, and numbers between powers of two. */
static const size_t sizes[] = {1, 2, 3, 7, 64, 100};

/* Against an array in which the key is the index. */
static void walk_at_random(size_t entries_max)
{
	enum { KEYS = 160, STEPS = 20000 };
	struct limit_entry *kept[KEYS] = {0}, *entry;
	struct limit_table table;
	size_t used = 0;

	cr_assert_eq(limit_table_init(&table, entries_max, sizeof(uint32_t)), 0);
	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t key = (uint32_t)rand() % KEYS;

		entry = limit_table_find(&table, &key);
		cr_assert_eq(entry, kept[key], "step %u", step);
		if (entry) {
			cr_assert_eq(entry->count, key, "it is still the same entry");
			limit_table_drop(&table, entry);
			kept[key] = NULL;
			used--;
			continue;
		}
		kept[key] = entry = limit_table_take(&table, &key);
		cr_assert_eq(entry == NULL, used == entries_max, "step %u: %zu of %zu", step, used,
			     entries_max);
		if (entry) {
			cr_assert_eq(entry->count, 0);
			entry->count = key;
			used++;
		}
		cr_assert_eq(table.used, used);
	}
	limit_table_fini(&table);
}

Test(limit_table, finds_what_was_put_in_and_nothing_else)
{
	srand(1);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		walk_at_random(sizes[i]);
}
