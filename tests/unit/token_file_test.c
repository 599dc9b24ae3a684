/* SPDX-License-Identifier: MIT */
/* token_file_test.c: the lines of the token file, and the times in them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "token_support.h"

TestSuite(token_file, .timeout = 300);

struct file_row {
	const char *text;
	size_t count;	    /* tokens, when it is good */
	size_t bad_line;    /* 0 = good */
	const char *reason; /* a part of it */
};

#define LINE(name, digest) name " sha256=" digest " role=admin created=" DATE "\n"

#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct file_row files[] = {
    {"", 0, 0, NULL},
    {"\n\n", 0, 0, NULL},
    {"# caf\xc3\xa9, only a comment", 0, 0, NULL},
    {"  \t # indented\n", 0, 0, NULL},
    {LINE("a", ABC), 1, 0, NULL},
    {LINE("a", ABC) LINE("b", EMPTY), 2, 0, NULL},
    {"a sha256=" ABC " role=admin", 1, 0, NULL},
    {"  a\trole=admin \t sha256=" ABC "  \n", 1, 0, NULL},
    {"a sha256=" ABC " role=admin # mine\n", 1, 0, NULL},
    {"a sha256=" ABC " role=admin#mine\n", 1, 0, NULL},
    {"a sha256=BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD role=admin\n", 1, 0, NULL},
    {"a sha256=" ABC " role=admin created=2024-02-29T23:59:59Z\n", 1, 0, NULL},
    /* Bad ones. */
    {"a\n", 0, 1, "sha256 is missing"},
    {"a role=admin\n", 0, 1, "sha256 is missing"},
    {"a sha256=" ABC "\n", 0, 1, "role is missing"},
    {"\n\n" LINE("a", ABC) "b\n", 0, 4, "sha256 is missing"},
    {LINE("a", ABC) LINE("a", EMPTY), 0, 2, "same name"},
    {LINE("a", ABC) LINE("b", ABC), 0, 2, "a digest that the file has already"},
    {"-a sha256=" ABC " role=admin\n", 0, 1, "name"},
    {"sha256=" ABC " role=admin\n", 0, 1, "name"},
    {"a sha256=" ABC " role=ro/ot\n", 0, 1, "role is not a name"},
    {"a sha256=" ABC " role=\n", 0, 1, "role is not a name"},
    {"a sha256=" ABC " role=my.own-role_2\n", 1, 0, NULL},
    {"a sha256=" ABC " role=r id=0123abcd from=10.0.0.0/8,::1 expires=" DATE "\n", 1, 0, NULL},
    {"a sha256=" ABC " role=r previous=" EMPTY " previous-until=" DATE "\n", 1, 0, NULL},
    {"a sha256=" ABC " role=r previous=" EMPTY "\n", 0, 1, "belong together"},
    {"a sha256=" ABC " role=r previous-until=" DATE "\n", 0, 1, "belong together"},
    {"a sha256=" ABC " role=r previous=" ABC " previous-until=" DATE "\n", 0, 1,
     "a digest that the file has already"},
    {LINE("b", EMPTY) "a sha256=" ABC " role=r previous=" EMPTY " previous-until=" DATE "\n", 0, 2,
     "a digest that the file has already"},
    {"a sha256=" ABC " role=r previous=00 previous-until=" DATE "\n", 0, 1, "previous is not"},
    {"a sha256=" ABC " role=r previous=" EMPTY " previous-until=soon\n", 0, 1, "previous-until is not"},
    {"a sha256=" ABC " role=r expires=1970-01-01T00:00:00Z\n", 0, 1, "expires"},
    {"a sha256=" ABC " role=r expires=1969-12-31T00:00:00Z\n", 0, 1, "expires"},
    {"a sha256=" ABC " role=r expires=2100-02-29T00:00:00Z\n", 0, 1, "expires"},
    {"a sha256=" ABC " role=r id=0123abc\n", 0, 1, "id is not"},
    {"a sha256=" ABC " role=r id=0123abcg\n", 0, 1, "id is not"},
    {"a sha256=" ABC " role=r from=\n", 0, 1, "from"},
    {"a sha256=" ABC " role=r from=10.0.0.1/8\n", 0, 1, "from"},
    {"a sha256=" ABC " role=r from=10.0.0.0/8,\n", 0, 1, "from"},
    {"a sha256=" ABC " role=r from=::1,::2,::3,::4,::5,::6,::7,::8\n", 1, 0, NULL},
    {"a sha256=" ABC " role=r from=::1,::2,::3,::4,::5,::6,::7,::8,::9\n", 0, 1, "more than 8"},
    {"a sha256=" ZEROS " role=r\n", 0, 1, "all zero"},
    {"a sha256=" ABC " role=r previous=" ZEROS " previous-until=" DATE "\n", 0, 1, "all zero"},
    {"a sha256=" ABC " role=r previous=" EMPTY " previous-until=" DATE "\nb sha256=" EMPTY " role=r\n", 0, 2,
     "a digest that the file has already"},
    {"a sha256=" ABC " role=r previous=" EMPTY " previous-until=" DATE "\nb sha256=" DIGITS
     " role=r previous=" EMPTY " previous-until=" DATE "\n",
     0, 2, "a digest that the file has already"},
    {"a sha256=" ABC " role=r previous=" EMPTY " previous=" EMPTY " previous-until=" DATE "\n", 0, 1,
     "twice"},
    {"a sha256=" ABC " role=r previous=" EMPTY " previous-until=" DATE " previous-until=" DATE "\n", 0, 1,
     "twice"},
    {"a sha256=" ABC " role=r previous=" EMPTY " previous-until=1970-01-01T00:00:00Z\n", 0, 1,
     "previous-until is not"},
    {"a sha256=" ABC " role=r id=01234567 id=01234567\n", 0, 1, "twice"},
    {"a sha256=" ABC " role=r id=\n", 0, 1, "id is not"},
    {"a sha256=" ABC " role=r id=0123ABCD\n", 1, 0, NULL},
    {"a sha256=" ABC " role=r expires=" DATE " expires=" DATE "\n", 0, 1, "twice"},
    {"a sha256=" ABC " role=r expires=2026-11-23\n", 0, 1, "expires"},
    {"a sha256=" ABC " role=r expires=9999-12-31T23:59:59Z\n", 1, 0, NULL},
    {"a sha256=" ABC " role=r expires=10000-01-01T00:00:00Z\n", 0, 1, "expires"},
    {"a sha256=" ABC " role=r from=::1 from=::2\n", 0, 1, "twice"},
    {"a sha256=" ABC " role=r from=,::1\n", 0, 1, "from"},
    {"a sha256=" ABC " role=r from=::1,,::2\n", 0, 1, "from"},
    {"a sha256=" ABC " role=r from=10.0.0.0/8, ::1\n", 0, 1, "from"},
    {"a sha256=" ABC " role=r from=localhost\n", 0, 1, "from"},
    {"a from=0.0.0.0/0,::/0 previous-until=" DATE " id=ffffffff role=r previous=" EMPTY " sha256=" ABC "\n",
     1, 0, NULL},
    {"a sha256=" ABC " role=r Expires=" DATE "\n", 0, 1, "not known"},
    {"a sha256=" ABC " role=r expires =" DATE "\n", 0, 1, "key=value"},
    {"a sha256=" ABC " role=a234567890123456789012345678901234567890123456789012345678901234\n", 0, 1,
     "role is not a name"},
    {"a sha256=" ABC " role=admin role=admin\n", 0, 1, "twice"},
    {"a sha256=" ABC " sha256=" ABC " role=admin\n", 0, 1, "twice"},
    {"a sha256=" ABC " role=admin created=" DATE " created=" DATE "\n", 0, 1, "twice"},
    {"a sha256=" ABC " role=admin expires=never\n", 0, 1, "expires"},
    {"a sha256=" ABC " role=admin Role=admin\n", 0, 1, "not known"},
    {"a sha256=" ABC " role=admin =\n", 0, 1, "not known"},
    {"a sha256=" ABC " role=admin word\n", 0, 1, "key=value"},
    {"a sha256= role=admin\n", 0, 1, "64 hex"},
    {"a sha256=" ABC "0 role=admin\n", 0, 1, "64 hex"},
    {"a sha256=" ABC "00 role=admin\n", 0, 1, "64 hex"},
    {"a sha256=zz7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad role=admin\n", 0, 1,
     "64 hex"},
    {"a sha256=0x" ZEROS " role=admin\n", 0, 1, "64 hex"},
    {"a sha256=" ABC " role=admin created=2026-13-01T00:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-00-01T00:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-02-30T00:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-00T00:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01T24:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01T00:60:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01T00:00:60Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01T00:00:00\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01T00:00:00.0Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=2026-01-01 00:00:00Z\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin created=\n", 0, 1, "created"},
    {"a sha256=" ABC " role=admin\r\n", 0, 1, "carriage return"},
    {"# x\x01\n", 0, 1, "control character"},
    {"a sha256=" ABC " role=admin\x7f\n", 0, 1, "control character"},
    {"\xef\xbb\xbf" LINE("a", ABC), 0, 1, "name"},
    {"a sha256=" ABC " role=admin\xc2\xa0\n", 0, 1, "role is not a name"},
};

Test(token_file, files)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const struct file_row *row = &files[i];
		size_t length = strlen(row->text), line = 77;
		char *copy = malloc(length ? length : 1);
		struct token_set set = {0};
		const char *reason;
		int error;

		memcpy(copy, row->text, length);
		error = token_set_parse(&set, (struct span){.ptr = copy, .len = length}, &line, &reason);
		free(copy);
		if (row->bad_line) {
			cr_assert_eq(error, -EINVAL, "row %zu", i);
			cr_assert_eq(line, row->bad_line, "row %zu: %zu", i, line);
			cr_assert_not_null(strstr(reason, row->reason), "row %zu: %s", i, reason);
			cr_assert(set.count == 0 && !set.tokens, "row %zu", i);
		} else {
			cr_assert_eq(error, 0, "row %zu: %s", i, reason);
			cr_assert_eq(set.count, row->count, "row %zu", i);
			if (set.count) {
				cr_assert_str_eq(set.tokens[0].name, "a");
				cr_assert_str_eq(hex_of(set.tokens[0].digest), ABC);
			}
		}
		token_set_fini(&set);
	}
}

/* A file that was cut short anywhere is understood wholly or refused. */
Test(token_file, truncated_file)
{
	static const char text[] = LINE("a", ABC) LINE("b", EMPTY);
	size_t line;
	const char *reason;

	for (size_t length = 0; length < sizeof(text); length++) {
		struct token_set set = {0};

		if (token_set_parse(&set, (struct span){.ptr = text, .len = length}, &line, &reason) == 0)
			for (size_t i = 0; i < set.count; i++)
				cr_assert_str_eq(hex_of(set.tokens[i].digest), i ? EMPTY : ABC);
		else
			cr_assert_eq(set.count, 0);
		token_set_fini(&set);
	}
}

Test(token_file, file_over_the_limit)
{
	const size_t width = strlen("n00000 sha256=" ABC " role=admin\n");
	char *text = malloc((TOKEN_SET_MAX + 1) * width + 1);
	struct token_set set = {0};
	const char *reason;
	size_t line;

	for (size_t i = 0; i <= TOKEN_SET_MAX; i++)
		sprintf(text + i * width, "n%05zu sha256=%064zx role=admin\n", i, i + 1);
	cr_assert_eq(token_set_parse(&set, (struct span){text, TOKEN_SET_MAX * width}, &line, &reason), 0);
	cr_assert_eq(set.count, TOKEN_SET_MAX);
	token_set_fini(&set);
	cr_assert_eq(token_set_parse(&set, span_of(text), &line, &reason), -EINVAL);
	cr_assert_eq(line, TOKEN_SET_MAX + 1);
	cr_assert_str_eq(reason, "more than 16384 tokens");
	free(text);
}

Test(token_file, line_is_written_as_it_is_read)
{
	static const char text[] =
	    "ci.runner sha256=" ABC " role=build id=0123abcd created=2026-11-23T19:30:00Z "
	    "expires=2028-02-29T23:59:59Z from=10.0.0.0/8,192.0.2.1,2001:db8::/32 previous=" EMPTY
	    " previous-until=2026-11-24T19:30:00Z\n";
	struct token_set set = {0};
	char line[TOKEN_LINE_MAX];
	const char *reason;
	size_t number;
	long length;

	cr_assert_eq(token_set_parse(&set, SPAN(text), &number, &reason), 0, "%s", reason);
	length = token_line_write(&set.tokens[0], line, sizeof(line));
	cr_assert_str_eq(line, text);
	cr_assert_eq(length, (long)strlen(text));
	for (size_t cap = 0; cap <= (size_t)length; cap++)
		cr_assert_eq(token_line_write(&set.tokens[0], line, cap), -ENOSPC, "%zu", cap);
	strcpy(set.tokens[0].name, "two words");
	cr_assert_eq(token_line_write(&set.tokens[0], line, sizeof(line)), -EINVAL);
	strcpy(set.tokens[0].name, "one");
	strcpy(set.tokens[0].id, "xyz");
	cr_assert_eq(token_line_write(&set.tokens[0], line, sizeof(line)), -EINVAL);
	token_set_fini(&set);
}

/* The longest that there can be. */
Test(token_file, line_max)
{
	struct token token = {
	    .previous_until_s = 1, .created_s = 1, .expires_s = 1, .sources_count = TOKEN_SOURCES_MAX};
	char line[TOKEN_LINE_MAX];

	memset(token.name, 'n', TOKEN_NAME_MAX);
	memset(token.role_name, 'r', TOKEN_NAME_MAX);
	strcpy(token.id, "01234567");
	for (size_t i = 0; i < TOKEN_SOURCES_MAX; i++)
		cr_assert_eq(address_prefix_parse(&token.sources[i],
						  SPAN("1111:2222:3333:4444:5555:6666:7777:888e/127")),
			     0);
	cr_assert_gt(token_line_write(&token, line, sizeof(line)), 0);
}

Test(token_file, times)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {
	    {"1970-01-01T00:00:00Z", 0},	   {"1970-12-31T23:59:59Z", 31535999},
	    {"2000-02-29T12:00:00Z", 951825600},   {"2000-03-01T00:00:00Z", 951868800},
	    {"2026-11-23T19:30:00Z", 1795462200},  {"2100-03-01T00:00:00Z", 4107542400},
	    {"2400-02-29T00:00:00Z", 13574563200}, {"9999-12-31T23:59:59Z", 253402300799},
	};
	char text[sizeof("2026-11-23T19:30:00Z")];
	int64_t seconds;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(token_time_parse(span_of(rows[i].text), &seconds), 0, "%s", rows[i].text);
		cr_assert_eq(seconds, rows[i].seconds, "%s: %lld", rows[i].text, (long long)seconds);
		token_time_write(seconds, text);
		cr_assert_str_eq(text, rows[i].text);
	}
	/* Every day of 130 years, against the C library. */
	for (int64_t day = 0; day < 130 * 365; day++) {
		time_t now = (time_t)(day * 86400 + 3723);
		char wanted[32];
		struct tm tm;

		cr_assert_gt(strftime(wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm)), 0);
		token_time_write((int64_t)now, text);
		cr_assert_str_eq(text, wanted);
		cr_assert_eq(token_time_parse(span_of(text), &seconds), 0);
		cr_assert_eq(seconds, (int64_t)now);
	}
}

Test(token_file, times_that_are_none)
{
	static const char *const bad[] = {
	    "",
	    "2026-11-23",
	    "2026-11-23T19:30:00z",
	    "2026-11-23t19:30:00Z",
	    "2026-11-23T19:30:00+00:00",
	    "2026-11-23T19:30:00Z ",
	    " 2026-11-23T19:30:0Z",
	    "2026-11-2:T19:30:00Z",
	    "2026-1/-23T19:30:00Z",
	    "-026-11-23T19:30:00Z",
	    "1969-12-31T23:59:59Z",
	    "0000-01-01T00:00:00Z",
	    "1970-02-29T00:00:00Z",
	    "2100-02-29T00:00:00Z",
	    "2200-02-29T00:00:00Z",
	    "2024-02-30T00:00:00Z",
	    "2026-04-31T00:00:00Z",
	    "2026-06-31T00:00:00Z",
	    "2026-09-31T00:00:00Z",
	    "2026-11-31T00:00:00Z",
	    "2026-12-32T00:00:00Z",
	    "2026-12-31T23:59:60Z",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int64_t seconds;

		cr_expect_eq(token_time_parse(span_of(bad[i]), &seconds), -EINVAL, "'%s'", bad[i]);
	}
}

/* First and last second of each month of every year that can be written, against the C library. */
Test(token_file, times_of_all_years)
{
	for (int year = 1970; year <= 9999; year++)
		for (int month = 0; month < 12; month++)
			for (int end = 0; end < 2; end++) {
				struct tm tm = {.tm_year = year - 1900, .tm_mon = month + end, .tm_mday = 1};
				int64_t wanted = (int64_t)timegm(&tm) - end, seconds;
				char text[sizeof(DATE)], again[32];
				time_t time = (time_t)wanted;

				(void)strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ",
					       gmtime_r(&time, &tm));
				token_time_write(wanted, text);
				cr_assert_str_eq(text, again);
				cr_assert_eq(token_time_parse(span_of(text), &seconds), 0, "%s", text);
				cr_assert_eq(seconds, wanted, "%s: %" PRId64, text, seconds);
			}
}

/* Whatever fields a token has, it is read as it was written. */
Test(token_file, every_choice_of_fields_is_read_as_written)
{
	for (unsigned has = 0; has < 32; has++) {
		struct token token = {.name = "ci.runner_2", .role_name = "my-own", .digest = {7, [31] = 9}};
		struct token_set set = {0};
		char line[TOKEN_LINE_MAX];
		const char *reason;
		size_t number;
		long length;

		if (has & 1)
			strcpy(token.id, "00ffa9b1");
		token.created_s = has & 2 ? 1 : 0;
		token.expires_s = has & 4 ? INT64_C(253402300799) : 0;
		token.sources_count = has & 8 ? 2 : 0;
		if (has & 8) {
			cr_assert_eq(address_prefix_parse(&token.sources[0], SPAN("0.0.0.0/0")), 0);
			cr_assert_eq(address_prefix_parse(&token.sources[1], SPAN("fe80::/10")), 0);
		}
		token.previous_until_s = has & 16 ? 1 : 0;
		if (has & 16)
			memset(token.previous, 0xab, sizeof(token.previous));
		length = token_line_write(&token, line, sizeof(line));
		cr_assert_gt(length, 0);
		cr_assert_eq(line[length - 1], '\n');
		cr_assert_eq(token_set_parse(&set, span_of(line), &number, &reason), 0, "%s: %s", line,
			     reason);
		cr_assert_eq(set.count, 1);
		cr_assert_eq(memcmp(&set.tokens[0], &token, sizeof(token)), 0, "%s", line);
		token_set_fini(&set);
	}
}
