/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/resource.h>

#include "buf.h"

TestSuite(buf, .timeout = 300);

Test(buf, a_fresh_one_is_empty)
{
	struct buf_pool pool;
	struct buf *buf;

	buf_pool_init(&pool, 2);
	buf = buf_take(&pool);
	cr_assert_not_null(buf);
	cr_expect_eq(buf_used(buf), 0);
	cr_expect_eq(buf_room(buf), BUF_BYTES);
	cr_expect_eq(buf_head(buf), buf->data);
	memset(buf_tail(buf), 'x', BUF_BYTES);
	buf->end = BUF_BYTES;
	buf->start = 10;
	cr_expect_eq(buf_used(buf), BUF_BYTES - 10);
	cr_expect_eq(buf_room(buf), 0);
	cr_expect_eq(pool.taken_count, 1);
	buf_give(&pool, &buf);
	cr_expect_null(buf);
	cr_expect_eq(buf_used(buf), 0, "no buffer, no bytes");
	cr_expect_eq(pool.taken_count, 0);
	buf_pool_fini(&pool);
}

Test(buf, the_one_used_last_comes_first_and_empty)
{
	struct buf *a, *b, *b_was, *again;
	struct buf_pool pool;

	buf_pool_init(&pool, 2);
	a = buf_take(&pool);
	b = buf_take(&pool);
	b_was = b;
	b->end = 100;
	buf_give(&pool, &a);
	buf_give(&pool, &b);
	cr_expect_eq(pool.free_count, 2);
	again = buf_take(&pool);
	cr_expect_eq(again, b_was);
	cr_expect_eq(buf_used(again), 0);
	cr_expect_eq(buf_room(again), BUF_BYTES);
	memset(again->data, 0, BUF_BYTES);
	cr_expect_eq(pool.free_count, 1);
	buf_give(&pool, &again);
	buf_pool_fini(&pool);
	cr_expect_eq(pool.free_count, 0);
}

Test(buf, keeps_no_more_than_its_maximum)
{
	struct buf *bufs[5];
	struct buf_pool pool;

	buf_pool_init(&pool, 3);
	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
		bufs[i] = buf_take(&pool);
	cr_expect_eq(pool.taken_count, 5);
	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
		buf_give(&pool, &bufs[i]);
	cr_expect_eq(pool.taken_count, 0);
	cr_expect_eq(pool.free_count, 3);
	buf_pool_fini(&pool);
}

Test(buf, a_maximum_of_none)
{
	struct buf_pool pool;
	struct buf *buf;

	buf_pool_init(&pool, 0);
	buf = buf_take(&pool);
	cr_assert_not_null(buf);
	buf_give(&pool, &buf);
	cr_expect_eq(pool.free_count, 0);
	buf_pool_fini(&pool);
}

Test(buf, giving_nothing)
{
	struct buf *none = NULL;
	struct buf_pool pool;

	buf_pool_init(&pool, 1);
	buf_give(&pool, &none);
	cr_expect_eq(pool.taken_count, 0);
	cr_expect_eq(pool.free_count, 0);
	buf_pool_fini(&pool);
}

#ifdef __has_feature /* clang's way to say what gcc defines */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

/* Sanitizers keep address space of their own and do not return NULL. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
Test(buf, out_of_memory)
{
	enum { MANY = 4096 };
	static struct buf *bufs[MANY];
	struct rlimit limit;
	struct buf_pool pool;
	size_t count = 0;

	buf_pool_init(&pool, MANY);
	cr_assert_eq(getrlimit(RLIMIT_AS, &limit), 0);
	limit.rlim_cur = 512 * 1024 * 1024;
	cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
	while (count < MANY && (bufs[count] = buf_take(&pool)) != NULL)
		count++;
	cr_expect_lt(count, MANY, "NULL came");
	cr_expect_gt(count, 10);
	cr_expect_eq(pool.taken_count, count, "what was not given is not counted");
	for (size_t i = 0; i < count; i++)
		buf_give(&pool, &bufs[i]);
	buf_pool_fini(&pool);
}
#endif
