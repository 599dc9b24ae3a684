/* SPDX-License-Identifier: MIT */
/* inspect_support.h: what the tests of inspect.c have in common. */
#ifndef HEADGATE_INSPECT_SUPPORT_H
#define HEADGATE_INSPECT_SUPPORT_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect.h"

static const struct inspect_limits limits_none;

static inline const struct route *route_named(const char *name)
{
	size_t count;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	cr_assert_fail("no route %s", name);
	return NULL;
}

/* The body in memory of just its size, so that a look past its end is seen. */
static inline int inspect_bytes(const struct inspect_limits *limits, const char *route, const char *query,
				struct span body, char reason[INSPECT_REASON_BYTES])
{
	char *copy = malloc(body.len ? body.len : 1);
	int error;

	cr_assert_not_null(copy);
	if (body.len)
		memcpy(copy, body.ptr, body.len);
	error =
	    inspect_request(limits, route_named(route), SPAN("/x"), span_of(query), SPAN("application/json"),
			    (struct span){.ptr = copy, .len = body.len}, reason);
	free(copy);
	return error;
}

/* Decodes hexadecimal in place; the length. */
static inline size_t unhex(char *text)
{
	size_t length = 0;

	for (char *c = text; c[0] && c[1]; c += 2) {
		char digits[3] = {c[0], c[1], '\0'};

		text[length++] = (char)strtol(digits, NULL, 16);
	}
	return length;
}

/* A test's script beside it, run from the top of the tree or from anywhere else. */
static inline FILE *script(const char *file, const char *arguments)
{
	char command[512];
	const char *slash = strrchr(__FILE__, '/');
	FILE *pipe;

	cr_assert_not_null(slash);
	snprintf(command, sizeof(command), "python3 '%.*s/%s' %s", (int)(slash - __FILE__), __FILE__, file,
		 arguments);
	pipe = popen(command, "r");
	cr_assert_not_null(pipe);
	return pipe;
}

#endif
