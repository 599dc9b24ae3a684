/* SPDX-License-Identifier: MIT */
/* http_words_test.c: byte classes, field names, lists, and the texts of refusals. */
#include "http_lex.h"

#include <criterion/criterion.h>

TestSuite(http, .timeout = 300);

static bool one_of(int c, const char *set)
{
	return c && strchr(set, c);
}

Test(http, byte_classes)
{
	for (int c = 0; c < 256; c++) {
		bool digit = c >= '0' && c <= '9';
		bool alnum = digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool host = alnum || one_of(c, "-._~!$&'()*+,;=");

		cr_expect_eq(http_char_is((char)c, HTTP_CHAR_TOKEN), alnum || one_of(c, "!#$%&'*+-.^_`|~"));
		cr_expect_eq(http_char_is((char)c, HTTP_CHAR_HOST), host);
		cr_expect_eq(http_char_is((char)c, HTTP_CHAR_PATH), host || one_of(c, ":@"));
		cr_expect_eq(http_char_is((char)c, HTTP_CHAR_QUERY), c > ' ' && c != 0x7f && c != '#');
		cr_expect_eq(http_char_is((char)c, HTTP_CHAR_VALUE), c == '\t' || (c >= ' ' && c != 0x7f));
		cr_expect_eq(http_char_is((char)c, HTTP_CHAR_HEX), digit || one_of(c, "abcdefABCDEF"));
		cr_expect_eq(http_char_is((char)c, HTTP_CHAR_DIGIT), digit);
	}
}

Test(http, field_names)
{
	for (unsigned id = 0; id < HTTP_FIELD_COUNT; id++) {
		struct span name = http_field_names[id];
		char other[HTTP_FIELD_NAME_MAX_BYTES + 2];

		cr_assert(name.len && name.len <= HTTP_FIELD_NAME_MAX_BYTES);
		cr_expect_eq(http_field_find(name), id, "%s", name.ptr);
		for (size_t i = 0; i < name.len; i++) {
			memcpy(other, name.ptr, name.len);
			if (other[i] == '-')
				other[i] = '_';
			else if (other[i] >= 'a')
				other[i] = (char)(other[i] - 'a' + 'A');
			cr_expect_eq(http_field_find((struct span){other, name.len}), id, "%.*s",
				     (int)name.len, other);
			other[i] = '!';
			cr_expect_eq(http_field_find((struct span){other, name.len}), HTTP_FIELD_OTHER);
		}
		memcpy(other, name.ptr, name.len);
		other[name.len] = 's';
		cr_expect_eq(http_field_find((struct span){other, name.len + 1}), HTTP_FIELD_OTHER);
	}
	cr_expect_eq(http_field_find((struct span){0}), HTTP_FIELD_OTHER);
}

Test(http, lists)
{
	static const struct {
		const char *list;
		const char *members[4]; /* up to NULL */
	} rows[] = {
	    {"a, B ,c", {"a", "B", "c"}},
	    {"\tclose", {"close"}},
	    {",,x", {"", "", "x"}},
	    {"x,", {"x", ""}},
	    {"a b", {"a b"}},
	    {"", {""}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct span rest = span_of(rows[i].list), member;

		for (size_t j = 0; rows[i].members[j]; j++) {
			cr_assert(http_list_next(&rest, &member), "row %zu", i);
			cr_expect(span_eq(member, span_of(rows[i].members[j])), "row %zu: %.*s", i,
				  (int)member.len, member.ptr);
		}
		cr_expect_not(http_list_next(&rest, &member), "row %zu", i);
	}
}

Test(http, texts)
{
	for (unsigned i = 0; i < HTTP_REFUSAL_COUNT; i++) {
		int status = http_reason_status((enum http_refusal)i);

		cr_expect(http_reason((enum http_refusal)i) && strlen(http_reason((enum http_refusal)i)) > 5);
		cr_expect(status == 400 || status == 417 || status == 431 || status == 501 || status == 505);
		cr_expect_str_neq(http_status_text(status), "Unknown");
	}
	cr_expect_eq(http_reason_status(HTTP_REFUSED_TRANSFER_CODING_UNKNOWN), 501);
	cr_expect_eq(http_reason_status(HTTP_REFUSED_HEAD_TOO_LARGE), 431);
	cr_expect_eq(http_reason_status(HTTP_REFUSED_TOO_MANY_FIELDS), 431);
	cr_expect_eq(http_reason_status(HTTP_REFUSED_EXPECT), 417);
	cr_expect_eq(http_reason_status(HTTP_REFUSED_VERSION), 505);
	cr_expect_str_eq(http_status_text(502), "Bad Gateway");
	cr_expect_str_eq(http_status_text(999), "Unknown");
}
