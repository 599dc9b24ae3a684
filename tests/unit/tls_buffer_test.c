/* SPDX-License-Identifier: MIT */
/*
 * tls_buffer_test.c: when OpenSSL takes and frees the 16 KiB of its record buffers.
 *
 * What it does about its modes differs by release, so this also runs with the one of Debian trixie
 * (tests/unit/run trixie).
 */
#include "tls_support.h"

#include <malloc.h>

/* A record's text: no buffer of records is smaller, and next to nothing else is as large. */
#define LARGE_BYTES 16384

static size_t taken_count, freed_count; /* of large blocks */

static void *counting_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	taken_count += size >= LARGE_BYTES;
	return malloc(size);
}

static void *counting_realloc(void *block, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return realloc(block, size);
}

static void counting_free(void *block, const char *file, int line)
{
	(void)file, (void)line;
	freed_count += malloc_usable_size(block) >= LARGE_BYTES;
	free(block);
}

/* Before main(): Criterion brings a libgit2 that has OpenSSL take memory, after which it refuses. */
static bool is_counting;

__attribute__((constructor)) static void count_memory(void)
{
	is_counting = CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free) == 1;
}

/* `count` requests of a few bytes from the peer to us, each read before the next. */
static void requests(struct end ends[2], int count)
{
	taken_count = freed_count = 0;
	for (int i = 0; i < count; i++)
		ends_carry(&ends[1], &ends[0], 100, 100, 4096);
}

Test(tls_buffer, stays_between_requests_and_goes_with_a_stream, .timeout = 300)
{
	static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};
	struct authority authority;
	char dir[64];

	cr_assert(is_counting);
	net_dir_make(dir);
	authority_make(&authority);
	credentials_save(&authority, dir);
	struct tls_server *server = server_of(dir);
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		SSL_CTX *ctx = bare_ctx(dir, false, versions[i]);
		enum tls_step steps[2];
		struct end ends[2];
		int fds[2];

		net_unix_pair(fds);
		end_ours(&ends[0], fds[0], server, NULL);
		end_bare(&ends[1], fds[1], ctx, false);
		ends_shake(ends, steps);
		cr_assert(steps[0] == TLS_DONE && steps[1] == TLS_DONE, "%s", tls_failure(ends[0].tls));

		/* Twice: a stream may have come between. */
		for (int again = 0; again < 2; again++) {
			tls_expect_secrets(ends[0].tls, true);
			requests(ends, 1);
			requests(ends, 10);
			cr_assert_eq(taken_count, 0, "%zu for 10 requests", taken_count);
			cr_assert_eq(freed_count, 0, "%zu for 10 requests", freed_count);

			tls_expect_secrets(ends[0].tls, false);
			requests(ends, 1);
			cr_assert_eq(freed_count, taken_count + 1, "a silent stream holds none: %zu, %zu",
				     freed_count, taken_count);
			requests(ends, 10);
			cr_assert_eq(taken_count, freed_count);
		}
		end_close(&ends[0]);
		end_close(&ends[1]);
		SSL_CTX_free(ctx);
	}
	tls_server_free(server);
	authority_free(&authority);
	net_dir_remove(dir);
}
