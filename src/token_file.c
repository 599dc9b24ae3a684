/* SPDX-License-Identifier: MIT */
/* token_file.c: the lines of the token file, and the times in them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "token.h"

#define TIME_CHARS ((size_t)20) /* 2026-11-23T19:30:00Z */
#define DAY_S	   INT64_C(86400)

/* ---- times ---- */

/* A number of `digits` digits at `s`, or -1. */
static int fixed_number(const char *s, size_t digits)
{
	int number = 0;

	for (size_t i = 0; i < digits; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		number = number * 10 + (s[i] - '0');
	}
	return number;
}

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01 to the first of January of that year. */
static int64_t days_before_year(int year)
{
	int64_t past = year - 1;

	return 365 * (int64_t)(year - 1970) + (past / 4 - 1969 / 4) - (past / 100 - 1969 / 100) +
	       (past / 400 - 1969 / 400);
}

static int days_of_month(int year, int month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

/* RFC 3339 in UTC, without fractions and leap seconds, from 1970 on: as headgate writes it. */
int token_time_parse(struct span text, int64_t *seconds)
{
	static const char shape[] = "0000-00-00T00:00:00Z";
	int year, month, day, hour, minute, second;

	if (text.len != TIME_CHARS)
		return -EINVAL;
	for (size_t i = 0; i < TIME_CHARS; i++) {
		bool digit = text.ptr[i] >= '0' && text.ptr[i] <= '9';

		if (shape[i] == '0' ? !digit : text.ptr[i] != shape[i])
			return -EINVAL;
	}
	year = fixed_number(text.ptr, 4);
	month = fixed_number(text.ptr + 5, 2);
	day = fixed_number(text.ptr + 8, 2);
	hour = fixed_number(text.ptr + 11, 2);
	minute = fixed_number(text.ptr + 14, 2);
	second = fixed_number(text.ptr + 17, 2);
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) ||
	    hour > 23 || minute > 59 || second > 59)
		return -EINVAL;
	*seconds = days_before_year(year) + day - 1;
	for (int i = 1; i < month; i++)
		*seconds += days_of_month(year, i);
	*seconds = ((*seconds * 24 + hour) * 60 + minute) * 60 + second;
	return 0;
}

void token_time_write(int64_t seconds, char text[sizeof("2026-11-23T19:30:00Z")])
{
	int64_t days = seconds / DAY_S, rest = seconds % DAY_S;
	int year = 1970, month = 1;

	while (year < 9999 && days >= 365 + (is_leap(year) ? 1 : 0)) {
		days -= 365 + (is_leap(year) ? 1 : 0);
		year++;
	}
	while (month < 12 && days >= days_of_month(year, month))
		days -= days_of_month(year, month++);
	snprintf(text, TIME_CHARS + 1, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, (int)(days % 31) + 1,
		 (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
}

/* ---- reading ---- */

/* 0-15, or -1. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = span_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_decode(struct span hex, uint8_t *out, size_t bytes)
{
	if (hex.len != 2 * bytes)
		return false;
	for (size_t i = 0; i < bytes; i++) {
		int high = hex_digit(hex.ptr[2 * i]), low = hex_digit(hex.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* Which fields a line has had. */
enum {
	HAS_DIGEST = 1 << 0,
	HAS_ROLE = 1 << 1,
	HAS_ID = 1 << 2,
	HAS_CREATED = 1 << 3,
	HAS_EXPIRES = 1 << 4,
	HAS_FROM = 1 << 5,
	HAS_PREVIOUS = 1 << 6,
	HAS_PREVIOUS_UNTIL = 1 << 7,
};

struct token_line {
	struct token token;
	unsigned has;
};

static const char *read_digest(struct token_line *line, struct span value)
{
	return hex_decode(value, line->token.digest, TOKEN_DIGEST_BYTES) ? NULL
									 : "sha256 is not 64 hex digits";
}

static const char *read_previous(struct token_line *line, struct span value)
{
	return hex_decode(value, line->token.previous, TOKEN_DIGEST_BYTES) ? NULL
									   : "previous is not 64 hex digits";
}

static const char *read_role(struct token_line *line, struct span value)
{
	if (!token_name_ok(value))
		return "the role is not a name: letters, digits, '.', '-', '_'";
	memcpy(line->token.role_name, value.ptr, value.len);
	return NULL;
}

static const char *read_id(struct token_line *line, struct span value)
{
	uint8_t bytes[4];

	if (!hex_decode(value, bytes, sizeof(bytes)))
		return "id is not 8 hex digits";
	memcpy(line->token.id, value.ptr, value.len);
	return NULL;
}

static const char *read_created(struct token_line *line, struct span value)
{
	return token_time_parse(value, &line->token.created_s) < 0
		   ? "created is not a time like 2026-11-23T19:30:00Z"
		   : NULL;
}

static const char *read_expires(struct token_line *line, struct span value)
{
	/* 1970-01-01T00:00:00Z would be "never". */
	return token_time_parse(value, &line->token.expires_s) < 0 || line->token.expires_s == 0
		   ? "expires is not a time like 2026-11-23T19:30:00Z"
		   : NULL;
}

static const char *read_previous_until(struct token_line *line, struct span value)
{
	return token_time_parse(value, &line->token.previous_until_s) < 0 || line->token.previous_until_s == 0
		   ? "previous-until is not a time like 2026-11-23T19:30:00Z"
		   : NULL;
}

static const char *read_from(struct token_line *line, struct span value)
{
	struct token *token = &line->token;

	for (;;) {
		const char *comma = value.len ? memchr(value.ptr, ',', value.len) : NULL;
		struct span one = {.ptr = value.ptr, .len = comma ? (size_t)(comma - value.ptr) : value.len};

		if (token->sources_count == TOKEN_SOURCES_MAX)
			return "from has more than 8 prefixes";
		if (address_prefix_parse(&token->sources[token->sources_count++], one) < 0)
			return "from is not a list of prefixes like 10.0.0.0/8,2001:db8::/32 (bits behind a "
			       "prefix must be 0)";
		if (!comma)
			return NULL;
		value = span_skip(value, one.len + 1);
	}
}

static const struct {
	const char *name;
	unsigned bit;
	const char *(*read)(struct token_line *line, struct span value);
	const char *twice;
} line_fields[] = {
    {"sha256", HAS_DIGEST, read_digest, "the field sha256 stands twice"},
    {"role", HAS_ROLE, read_role, "the field role stands twice"},
    {"id", HAS_ID, read_id, "the field id stands twice"},
    {"created", HAS_CREATED, read_created, "the field created stands twice"},
    {"expires", HAS_EXPIRES, read_expires, "the field expires stands twice"},
    {"from", HAS_FROM, read_from, "the field from stands twice"},
    {"previous", HAS_PREVIOUS, read_previous, "the field previous stands twice"},
    {"previous-until", HAS_PREVIOUS_UNTIL, read_previous_until, "the field previous-until stands twice"},
};

/* Reads one `key=value`. NULL, or why it is refused. */
static const char *field_parse(struct token_line *line, struct span field)
{
	const char *equals = memchr(field.ptr, '=', field.len);
	struct span key;

	if (!equals)
		return "a field is not of the form key=value";
	key = (struct span){.ptr = field.ptr, .len = (size_t)(equals - field.ptr)};
	for (size_t i = 0; i < ARRAY_SIZE(line_fields); i++) {
		if (!span_eq(key, span_of(line_fields[i].name)))
			continue;
		if (line->has & line_fields[i].bit)
			return line_fields[i].twice;
		line->has |= line_fields[i].bit;
		return line_fields[i].read(line, span_skip(field, key.len + 1));
	}
	return "a field is not known; known are sha256, role, id, created, expires, from, previous and "
	       "previous-until";
}

/* The next piece between blanks; empty at the end. */
static struct span next_field(struct span *rest)
{
	struct span field;

	*rest = span_trim(*rest);
	field = *rest;
	field.len = 0;
	while (field.len < rest->len && rest->ptr[field.len] != ' ' && rest->ptr[field.len] != '\t')
		field.len++;
	*rest = span_skip(*rest, field.len);
	return field;
}

static const char *bytes_check(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '\r')
			return "a carriage return; the file must have Unix line ends";
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return "a control character";
	}
	return NULL;
}

static const char *set_add_line(struct token_set *set, const struct token_line *line)
{
	switch (token_set_add(set, &line->token)) {
	case 0:
		return NULL;
	case -EEXIST:
		return "the same name as on a line above";
	case -ENOTUNIQ:
		return "a digest that the file has already";
	case -EINVAL:
		return "a digest is all zero";
	case -E2BIG:
		return "more than 16384 tokens";
	default:
		return "out of memory";
	}
}

/* Reads one line, comment included, into the set. NULL, or why it is refused. */
static const char *line_parse(struct token_set *set, struct span text)
{
	const char *reason = bytes_check(text);
	const char *comment = text.len ? memchr(text.ptr, '#', text.len) : NULL;
	struct token_line line = {0};
	struct span field;

	if (reason)
		return reason;
	if (comment)
		text.len = (size_t)(comment - text.ptr);
	field = next_field(&text);
	if (field.len == 0)
		return NULL;
	if (!token_name_ok(field))
		return "the name is not 1 to 63 letters, digits, '.', '-', '_', starting with a letter or "
		       "digit";
	memcpy(line.token.name, field.ptr, field.len);
	for (field = next_field(&text); field.len; field = next_field(&text)) {
		reason = field_parse(&line, field);
		if (reason)
			return reason;
	}
	if (!(line.has & HAS_DIGEST))
		return "the field sha256 is missing";
	if (!(line.has & HAS_ROLE))
		return "the field role is missing";
	if (!(line.has & HAS_PREVIOUS) != !(line.has & HAS_PREVIOUS_UNTIL))
		return "previous and previous-until belong together";
	return set_add_line(set, &line);
}

int token_set_parse(struct token_set *set, struct span text, size_t *line_number, const char **reason)
{
	*line_number = 0;
	*reason = NULL;
	while (text.len) {
		const char *newline = memchr(text.ptr, '\n', text.len);
		struct span line = {.ptr = text.ptr,
				    .len = newline ? (size_t)(newline - text.ptr) : text.len};

		(*line_number)++;
		*reason = line_parse(set, line);
		if (*reason) {
			token_set_fini(set);
			return -EINVAL;
		}
		text = span_skip(text, newline ? line.len + 1 : line.len);
	}
	return 0;
}

/* ---- writing ---- */

struct writer {
	char *buf;
	size_t cap, used;
	bool full;
};

static void put(struct writer *writer, const char *format, ...) PRINTF_LIKE(2, 3);

static void put(struct writer *writer, const char *format, ...)
{
	size_t room = writer->cap - writer->used;
	va_list args;

	va_start(args, format);
	int n = vsnprintf(writer->buf + writer->used, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		writer->full = true;
	else
		writer->used += (size_t)n;
}

static void put_digest(struct writer *writer, const char *key, const uint8_t digest[TOKEN_DIGEST_BYTES])
{
	put(writer, " %s=", key);
	for (size_t i = 0; i < TOKEN_DIGEST_BYTES; i++)
		put(writer, "%02x", digest[i]);
}

static void put_time(struct writer *writer, const char *key, int64_t seconds)
{
	char text[TIME_CHARS + 1];

	token_time_write(seconds, text);
	put(writer, " %s=%s", key, text);
}

long token_line_write(const struct token *token, char *buf, size_t cap)
{
	struct writer writer = {.buf = buf, .cap = cap};
	uint8_t id[4];

	/* What is written here must be read back; a bad line would refuse the whole file. */
	if (!token_name_ok(span_of(token->name)) || !token_name_ok(span_of(token->role_name)) ||
	    token->sources_count > TOKEN_SOURCES_MAX ||
	    (token->id[0] && !hex_decode(span_of(token->id), id, sizeof(id))))
		return -EINVAL;
	put(&writer, "%s", token->name);
	put_digest(&writer, "sha256", token->digest);
	put(&writer, " role=%s", token->role_name);
	if (token->id[0])
		put(&writer, " id=%s", token->id);
	if (token->created_s)
		put_time(&writer, "created", token->created_s);
	if (token->expires_s)
		put_time(&writer, "expires", token->expires_s);
	for (size_t i = 0; i < token->sources_count; i++) {
		char text[ADDRESS_PREFIX_TEXT_BYTES];

		address_prefix_write(&token->sources[i], text);
		put(&writer, "%s%s", i == 0 ? " from=" : ",", text);
	}
	if (token->previous_until_s) {
		put_digest(&writer, "previous", token->previous);
		put_time(&writer, "previous-until", token->previous_until_s);
	}
	put(&writer, "\n");
	return writer.full ? -ENOSPC : (long)writer.used;
}
