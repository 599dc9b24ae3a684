/* SPDX-License-Identifier: MIT */
/* http_head.c: see http_head.h. Every line is read from left to right, once. */
#include "http_head.h"

#include <assert.h>

static_assert(HTTP_FIELD_COUNT < 32, "sets of fields are bits of an unsigned");

/*
 * Fields that our judgement of the message rests on: the engine must see what was judged, so
 * Connection may not have them dropped (RFC 9110 7.6.1 forbids to list end-to-end fields).
 */
#define NEVER_LISTED                                                                           \
	(HTTP_FIELD_BIT(HTTP_FIELD_HOST) | HTTP_FIELD_BIT(HTTP_FIELD_EXPECT) |                 \
	 HTTP_FIELD_BIT(HTTP_FIELD_CONTENT_TYPE) | HTTP_FIELD_BIT(HTTP_FIELD_CONTENT_LENGTH) | \
	 HTTP_FIELD_BIT(HTTP_FIELD_TRANSFER_ENCODING))

bool http_line_next(const char **at, const char *end, struct span *line)
{
	size_t left = (size_t)(end - *at);
	const char *cr = left ? memchr(*at, '\r', left) : NULL;

	if (!cr || end - cr < 2 || cr[1] != '\n')
		return false;
	*line = (struct span){.ptr = *at, .len = (size_t)(cr - *at)};
	*at = cr + 2;
	return true;
}

/* RFC 9110 7.6.1: connection options; others than the three we know are names of fields. */
static enum http_refusal connection_read(struct http_head *head, struct span value)
{
	struct span option;

	while (http_list_next(&value, &option)) {
		if (option.len == 0)
			continue;
		if (!http_token_ok(option))
			return HTTP_REFUSED_CONNECTION;
		if (span_ieq(option, SPAN("close")))
			head->close = true;
		else if (span_ieq(option, SPAN("keep-alive")))
			head->keep_alive = true;
		else if (span_ieq(option, SPAN("upgrade")))
			head->upgrade = true;
		else if (head->listed_count == HTTP_LISTED_MAX)
			return HTTP_REFUSED_CONNECTION;
		else
			head->listed[head->listed_count++] = option;
	}
	return HTTP_REFUSED_NOTHING;
}

/* Takes note of a field. Not everybody tells content_length from Content-Length: such names are refused. */
static enum http_refusal known_field_read(struct http_head *head, enum http_field_id id,
					  struct http_field *field)
{
	unsigned bit = HTTP_FIELD_BIT(id);

	if (memchr(field->name.ptr, '_', field->name.len))
		return HTTP_REFUSED_FIELD;
	field->hop_by_hop = (head->dropped & bit) != 0;
	if (!(head->seen & bit)) {
		head->seen |= bit;
		head->values[id] = field->value;
	} else {
		head->repeated |= bit;
		if (!span_eq(head->values[id], field->value))
			head->differing |= bit;
	}
	if (id == HTTP_FIELD_CONNECTION)
		return connection_read(head, field->value);
	return HTTP_REFUSED_NOTHING;
}

/* RFC 9112 5.1: no white space before the colon; 5.2: a line that starts with one is obs-fold. */
static enum http_refusal field_read(struct http_head *head, struct span line)
{
	struct http_field *field;
	enum http_field_id id;
	size_t name_len = 0;

	while (name_len < line.len && http_char_is(line.ptr[name_len], HTTP_CHAR_TOKEN))
		name_len++;
	if (name_len == 0 || name_len == line.len || line.ptr[name_len] != ':')
		return HTTP_REFUSED_FIELD;
	if (head->count == HTTP_FIELDS_MAX)
		return HTTP_REFUSED_TOO_MANY_FIELDS;

	field = &head->fields[head->count++];
	field->name = (struct span){.ptr = line.ptr, .len = name_len};
	field->value = span_trim(span_skip(line, name_len + 1));
	field->hop_by_hop = false;
	id = http_field_find(field->name);
	return id == HTTP_FIELD_OTHER ? HTTP_REFUSED_NOTHING : known_field_read(head, id, field);
}

/* Marks the fields that Connection lists. */
static enum http_refusal listed_mark(struct http_head *head)
{
	for (size_t i = 0; i < head->listed_count; i++) {
		enum http_field_id id = http_field_find(head->listed[i]);

		if (id != HTTP_FIELD_OTHER && (NEVER_LISTED & HTTP_FIELD_BIT(id)))
			return HTTP_REFUSED_CONNECTION;
		for (size_t j = 0; j < head->count; j++)
			if (span_ieq(head->fields[j].name, head->listed[i]))
				head->fields[j].hop_by_hop = true;
	}
	return HTTP_REFUSED_NOTHING;
}

enum http_refusal http_fields_read(struct http_head *head, const char *at, const char *end)
{
	enum http_refusal refusal;
	struct span line;

	for (;;) {
		if (!http_line_next(&at, end, &line))
			return HTTP_REFUSED_FIELD;
		if (line.len == 0)
			break;
		refusal = field_read(head, line);
		if (refusal)
			return refusal;
	}
	return at == end ? listed_mark(head) : HTTP_REFUSED_FIELD;
}

void http_head_init(struct http_head *head, struct http_field *fields, unsigned dropped)
{
	/* The two tables are written before they are read; clearing them would cost more than a head. */
	head->fields = fields;
	head->count = head->listed_count = 0;
	head->dropped = dropped;
	head->seen = head->repeated = head->differing = 0;
	head->close = head->keep_alive = head->upgrade = false;
}

/* ---- framing -------------------------------------------------------------------------------- */

/* RFC 9110 8.6: 1*DIGIT. Go and others count in int64_t, so more than that is refused. */
static bool content_length_read(struct span value, uint64_t *length)
{
	uint64_t sum = 0;

	if (value.len == 0 || !http_all_of(value, HTTP_CHAR_DIGIT))
		return false;
	for (size_t i = 0; i < value.len; i++) {
		uint64_t digit = (uint64_t)(value.ptr[i] - '0');

		if (sum > (INT64_MAX - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*length = sum;
	return true;
}

/*
 * RFC 9112 6.1, 7: exactly one `chunked`, without parameters. A coding that we do not know is 501;
 * chunked twice or not last, empty members and the like are malformed.
 */
static enum http_refusal transfer_coding_read(struct span value)
{
	struct span coding, name;
	bool chunked = false, unknown = false;

	while (http_list_next(&value, &coding)) {
		const char *semicolon = coding.len ? memchr(coding.ptr, ';', coding.len) : NULL;

		name = coding;
		if (semicolon)
			name.len = (size_t)(semicolon - coding.ptr);
		name = span_trim(name);
		if (chunked || !http_token_ok(name))
			return HTTP_REFUSED_TRANSFER_CODING;
		if (!span_ieq(name, SPAN("chunked")))
			unknown = true;
		else if (semicolon)
			return HTTP_REFUSED_TRANSFER_CODING;
		else
			chunked = true;
	}
	return unknown ? HTTP_REFUSED_TRANSFER_CODING_UNKNOWN : HTTP_REFUSED_NOTHING;
}

enum http_refusal http_framing_read(const struct http_head *head, int minor_version,
				    unsigned repeated_lengths, enum http_framing *framing,
				    uint64_t *content_length)
{
	bool has_length = http_head_has(head, HTTP_FIELD_CONTENT_LENGTH);

	*framing = HTTP_FRAMING_NONE;
	*content_length = 0;
	if (has_length && ((repeated_lengths & HTTP_FIELD_BIT(HTTP_FIELD_CONTENT_LENGTH)) ||
			   !content_length_read(head->values[HTTP_FIELD_CONTENT_LENGTH], content_length)))
		return HTTP_REFUSED_CONTENT_LENGTH;
	if (http_head_has(head, HTTP_FIELD_TRANSFER_ENCODING)) {
		if (has_length)
			return HTTP_REFUSED_LENGTH_AND_CODING;
		if (minor_version == 0 || (head->repeated & HTTP_FIELD_BIT(HTTP_FIELD_TRANSFER_ENCODING)))
			return HTTP_REFUSED_TRANSFER_CODING;
		*framing = HTTP_FRAMING_CHUNKED;
		return transfer_coding_read(head->values[HTTP_FIELD_TRANSFER_ENCODING]);
	}
	if (has_length)
		*framing = HTTP_FRAMING_LENGTH;
	return HTTP_REFUSED_NOTHING;
}

/* ---- version, connection, upgrade ----------------------------------------------------------- */

enum http_refusal http_version_read(struct span text, int *minor_version, enum http_refusal malformed)
{
	if (text.len != 8 || memcmp(text.ptr, "HTTP/", 5) != 0 ||
	    !http_char_is(text.ptr[5], HTTP_CHAR_DIGIT) || text.ptr[6] != '.' ||
	    !http_char_is(text.ptr[7], HTTP_CHAR_DIGIT))
		return malformed;
	if (text.ptr[5] != '1' || text.ptr[7] > '1')
		return HTTP_REFUSED_VERSION;
	*minor_version = text.ptr[7] - '0';
	return HTTP_REFUSED_NOTHING;
}

bool http_keeps_alive(const struct http_head *head, int minor_version)
{
	return !head->close && (minor_version == 1 || head->keep_alive);
}

/* One protocol: a token, perhaps with "/" and a version (RFC 9110 7.8). */
static bool protocol_ok(struct span value)
{
	const char *slash = value.len ? memchr(value.ptr, '/', value.len) : NULL;
	size_t name_len = slash ? (size_t)(slash - value.ptr) : value.len;

	if (slash && !http_token_ok(span_skip(value, name_len + 1)))
		return false;
	return http_token_ok((struct span){.ptr = value.ptr, .len = name_len});
}

bool http_upgrade_is_one(const struct http_head *head)
{
	return http_head_has(head, HTTP_FIELD_UPGRADE) &&
	       !(head->repeated & HTTP_FIELD_BIT(HTTP_FIELD_UPGRADE)) &&
	       protocol_ok(head->values[HTTP_FIELD_UPGRADE]);
}
