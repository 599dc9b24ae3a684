/* SPDX-License-Identifier: MIT */
/* limit_support.h: what limit_test.c (failures) and limit_count_test.c (counts, threads) share. */
#ifndef HEADGATE_LIMIT_SUPPORT_H
#define HEADGATE_LIMIT_SUPPORT_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"

#define NOW ((uint64_t)1000000)

static inline struct limits *limits_of(struct limit_rules rules)
{
	struct limits *limits;

	cr_assert_eq(limits_new(&limits, &rules), 0);
	return limits;
}

/* 10.x.x.x, another for each number. */
static inline struct address v4(unsigned number)
{
	return (struct address){{[10] = 0xff,
				 [11] = 0xff,
				 [12] = 10,
				 [13] = (uint8_t)(number >> 16),
				 [14] = (uint8_t)(number >> 8),
				 [15] = (uint8_t)number}};
}

/* 2001:db8:SITE:NET::HOST */
static inline struct address v6(unsigned site, unsigned net, unsigned host)
{
	return (struct address){{0x20, 0x01, 0x0d, 0xb8, (uint8_t)(site >> 8), (uint8_t)site,
				 (uint8_t)(net >> 8),
				 (uint8_t)net, [14] = (uint8_t)(host >> 8), [15] = (uint8_t)host}};
}

static inline void fail_times(struct limits *limits, struct address peer, unsigned times, uint64_t now_ms)
{
	while (times--)
		limit_failed(limits, &peer, now_ms);
}

static inline unsigned wait_s(struct limits *limits, struct address peer, uint64_t now_ms)
{
	return limit_wait_s(limits, &peer, now_ms);
}

#endif
