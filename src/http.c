/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. http_scan() is the only place that judges single bytes: after it said HTTP_OK
 * every CR and LF of the head is part of a CRLF and no other control byte but HTAB is in it. The
 * parsers here rely on that to find line ends with memchr(), and stay within buf[0..len) without it.
 * They read every line from left to right, once. What a field means is looked up once by
 * http_field_find(), the first value of each known name is kept, and the judgement over all of them
 * (framing, Connection, Upgrade) comes last, so that the order of fields does not matter.
 */
#include "http.h"
#include "http_lex.h"

#include <assert.h>

/* A Connection field may list so many names besides close, keep-alive and upgrade. */
#define LISTED_MAX ((size_t)64)

#define BIT(id) (1u << (id))
static_assert(HTTP_FIELD_COUNT < 32, "sets of fields are bits of an unsigned");

/* RFC 9110 7.6.1, and what we write ourselves. Trailer stays: chunked bodies travel as they came. */
#define CONNECTION_FIELDS                                                                               \
	(BIT(HTTP_FIELD_TE) | BIT(HTTP_FIELD_UPGRADE) | BIT(HTTP_FIELD_CONNECTION) |                    \
	 BIT(HTTP_FIELD_KEEP_ALIVE) | BIT(HTTP_FIELD_CONTENT_LENGTH) | BIT(HTTP_FIELD_HTTP2_SETTINGS) | \
	 BIT(HTTP_FIELD_PROXY_CONNECTION) | BIT(HTTP_FIELD_TRANSFER_ENCODING) |                         \
	 BIT(HTTP_FIELD_PROXY_AUTHENTICATE) | BIT(HTTP_FIELD_PROXY_AUTHORIZATION))
#define REQUEST_DROPPED \
	(CONNECTION_FIELDS | BIT(HTTP_FIELD_HOST) | BIT(HTTP_FIELD_TOKEN) | BIT(HTTP_FIELD_AUTHORIZATION))
#define ANSWER_DROPPED CONNECTION_FIELDS

/*
 * Fields that our judgement of the message rests on: the engine must see what was judged, so
 * Connection may not have them dropped (RFC 9110 7.6.1 forbids to list end-to-end fields).
 */
#define NEVER_LISTED                                                                    \
	(BIT(HTTP_FIELD_HOST) | BIT(HTTP_FIELD_EXPECT) | BIT(HTTP_FIELD_CONTENT_TYPE) | \
	 BIT(HTTP_FIELD_CONTENT_LENGTH) | BIT(HTTP_FIELD_TRANSFER_ENCODING))

/* What fields_read() finds, for requests and answers alike. */
struct head {
	struct http_field *fields; /* borrowed: the request's or answer's table */
	size_t count;
	unsigned dropped;		      /* fields not forwarded, as bits */
	unsigned seen, repeated, differing;   /* as bits; differing: repeated with another value */
	struct span values[HTTP_FIELD_COUNT]; /* the first value of each; only where seen */
	bool close, keep_alive, upgrade;      /* listed in Connection */
	size_t listed_count;
	struct span listed[LISTED_MAX]; /* the other names in Connection */
};

/* ---- fields --------------------------------------------------------------------------------- */

/* Takes the line at *at, without its CRLF, and steps behind it. */
static bool line_next(const char **at, const char *end, struct span *line)
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
static enum http_refusal connection_read(struct head *head, struct span value)
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
		else if (head->listed_count == LISTED_MAX)
			return HTTP_REFUSED_CONNECTION;
		else
			head->listed[head->listed_count++] = option;
	}
	return HTTP_REFUSED_NOTHING;
}

/* Takes note of a field. Not everybody tells content_length from Content-Length: such names are refused. */
static enum http_refusal known_field_read(struct head *head, enum http_field_id id, struct http_field *field)
{
	unsigned bit = BIT(id);

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
static enum http_refusal field_read(struct head *head, struct span line)
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
static enum http_refusal listed_mark(struct head *head)
{
	for (size_t i = 0; i < head->listed_count; i++) {
		enum http_field_id id = http_field_find(head->listed[i]);

		if (id != HTTP_FIELD_OTHER && (NEVER_LISTED & BIT(id)))
			return HTTP_REFUSED_CONNECTION;
		for (size_t j = 0; j < head->count; j++)
			if (span_ieq(head->fields[j].name, head->listed[i]))
				head->fields[j].hop_by_hop = true;
	}
	return HTTP_REFUSED_NOTHING;
}

/* Reads all field lines and the empty line, which must be the last thing before `end`. */
static enum http_refusal fields_read(struct head *head, const char *at, const char *end)
{
	enum http_refusal refusal;
	struct span line;

	for (;;) {
		if (!line_next(&at, end, &line))
			return HTTP_REFUSED_FIELD;
		if (line.len == 0)
			break;
		refusal = field_read(head, line);
		if (refusal)
			return refusal;
	}
	return at == end ? listed_mark(head) : HTTP_REFUSED_FIELD;
}

static void head_init(struct head *head, struct http_field *fields, unsigned dropped)
{
	/* The two tables are written before they are read; clearing them would cost more than a head. */
	head->fields = fields;
	head->count = head->listed_count = 0;
	head->dropped = dropped;
	head->seen = head->repeated = head->differing = 0;
	head->close = head->keep_alive = head->upgrade = false;
}

static bool has(const struct head *head, enum http_field_id id)
{
	return (head->seen & BIT(id)) != 0;
}

/* The first value of a field, len 0 when it is absent. */
static struct span value_of(const struct head *head, enum http_field_id id)
{
	return has(head, id) ? head->values[id] : (struct span){0};
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

/*
 * RFC 9112 6.1-6.3, for messages that may have a body. *framing is HTTP_FRAMING_NONE when there is
 * neither field. A repeated Content-Length is refused in requests; in answers equal ones are one.
 */
static enum http_refusal framing_read(const struct head *head, int minor_version, unsigned repeated_lengths,
				      enum http_framing *framing, uint64_t *content_length)
{
	bool has_length = has(head, HTTP_FIELD_CONTENT_LENGTH);

	*framing = HTTP_FRAMING_NONE;
	*content_length = 0;
	if (has_length && ((repeated_lengths & BIT(HTTP_FIELD_CONTENT_LENGTH)) ||
			   !content_length_read(head->values[HTTP_FIELD_CONTENT_LENGTH], content_length)))
		return HTTP_REFUSED_CONTENT_LENGTH;
	if (has(head, HTTP_FIELD_TRANSFER_ENCODING)) {
		if (has_length)
			return HTTP_REFUSED_LENGTH_AND_CODING;
		if (minor_version == 0 || (head->repeated & BIT(HTTP_FIELD_TRANSFER_ENCODING)))
			return HTTP_REFUSED_TRANSFER_CODING;
		*framing = HTTP_FRAMING_CHUNKED;
		return transfer_coding_read(head->values[HTTP_FIELD_TRANSFER_ENCODING]);
	}
	if (has_length)
		*framing = HTTP_FRAMING_LENGTH;
	return HTTP_REFUSED_NOTHING;
}

/* RFC 9112 9.3. */
static bool keeps_alive(const struct head *head, int minor_version)
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

/* Exactly one Upgrade field with one protocol in it. */
static bool upgrade_is_one(const struct head *head)
{
	return has(head, HTTP_FIELD_UPGRADE) && !(head->repeated & BIT(HTTP_FIELD_UPGRADE)) &&
	       protocol_ok(head->values[HTTP_FIELD_UPGRADE]);
}

/* ---- requests ------------------------------------------------------------------------------- */

static enum http_method method_find(struct span name)
{
	static const struct {
		struct span name;
		enum http_method method;
	} known[] = {
	    {{"GET", 3}, HTTP_GET},	    {{"HEAD", 4}, HTTP_HEAD},	  {{"POST", 4}, HTTP_POST},
	    {{"PUT", 3}, HTTP_PUT},	    {{"DELETE", 6}, HTTP_DELETE}, {{"PATCH", 5}, HTTP_PATCH},
	    {{"OPTIONS", 7}, HTTP_OPTIONS},
	};
	static_assert(ARRAY_SIZE(known) == HTTP_OTHER, "a method without a name");

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (span_eq(name, known[i].name))
			return known[i].method;
	return HTTP_OTHER;
}

/* "HTTP/1.0" or "HTTP/1.1" (RFC 9112 2.3); other numbers are another protocol, the rest is no HTTP. */
static enum http_refusal version_read(struct span text, int *minor_version, enum http_refusal malformed)
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

/* RFC 9112 3: method SP request-target SP HTTP-version, exactly. */
static enum http_refusal request_line_read(struct http_request *request, char *line, size_t len,
					   struct span *authority)
{
	const char *space = memchr(line, ' ', len);
	enum http_refusal refusal;
	struct span rest;
	size_t target_len;
	char *target;

	if (!space)
		return HTTP_REFUSED_REQUEST_LINE;
	request->method_name = (struct span){.ptr = line, .len = (size_t)(space - line)};
	request->method = method_find(request->method_name);
	/* PRI starts HTTP/2 (RFC 9113 3.4); CONNECT and it are refused in any case, to be safe. */
	if (!http_token_ok(request->method_name) || span_ieq(request->method_name, SPAN("CONNECT")) ||
	    span_ieq(request->method_name, SPAN("PRI")))
		return HTTP_REFUSED_METHOD;

	target = line + request->method_name.len + 1;
	rest = (struct span){.ptr = target, .len = len - request->method_name.len - 1};
	space = rest.len ? memchr(rest.ptr, ' ', rest.len) : NULL;
	if (!space)
		return HTTP_REFUSED_REQUEST_LINE;
	target_len = (size_t)(space - target);
	refusal =
	    version_read(span_skip(rest, target_len + 1), &request->minor_version, HTTP_REFUSED_REQUEST_LINE);
	return refusal ? refusal : http_target_parse(request, target, target_len, authority);
}

/* RFC 9112 3.2, 3.2.2. */
static enum http_refusal host_judge(const struct head *head, struct http_request *request,
				    struct span authority)
{
	request->host = value_of(head, HTTP_FIELD_HOST);
	if (head->repeated & BIT(HTTP_FIELD_HOST))
		return HTTP_REFUSED_HOST;
	if (!has(head, HTTP_FIELD_HOST) && request->minor_version == 1)
		return HTTP_REFUSED_HOST;
	if (!http_host_ok(request->host))
		return HTTP_REFUSED_HOST;
	if (authority.len && !span_ieq(authority, request->host))
		return HTTP_REFUSED_TARGET;
	return HTTP_REFUSED_NOTHING;
}

/* RFC 9110 10.1.1: only 100-continue is defined; on HTTP/1.0 it is ignored, so not forwarded either. */
static enum http_refusal expect_judge(const struct head *head, struct http_request *request)
{
	if (!has(head, HTTP_FIELD_EXPECT))
		return HTTP_REFUSED_NOTHING;
	if ((head->repeated & BIT(HTTP_FIELD_EXPECT)) ||
	    !span_ieq(head->values[HTTP_FIELD_EXPECT], SPAN("100-continue")))
		return HTTP_REFUSED_EXPECT;
	request->expect_continue = request->minor_version == 1;
	if (request->expect_continue)
		return HTTP_REFUSED_NOTHING;
	for (size_t i = 0; i < head->count; i++)
		if (http_field_find(head->fields[i].name) == HTTP_FIELD_EXPECT)
			head->fields[i].hop_by_hop = true;
	return HTTP_REFUSED_NOTHING;
}

/* RFC 9110 7.8: Upgrade counts only on HTTP/1.1 and when Connection lists it. */
static enum http_refusal upgrade_judge(const struct head *head, struct http_request *request)
{
	if (!has(head, HTTP_FIELD_UPGRADE))
		return HTTP_REFUSED_NOTHING;
	if (!head->upgrade || request->minor_version == 0) {
		request->upgrade_ignored = true;
		return HTTP_REFUSED_NOTHING;
	}
	if (!upgrade_is_one(head))
		return HTTP_REFUSED_UPGRADE;
	request->upgrade = true;
	request->upgrade_to = head->values[HTTP_FIELD_UPGRADE];
	return HTTP_REFUSED_NOTHING;
}

/* Two of these, and we might judge by one and the engine, or the reader of a log, by the other. */
static enum http_refusal singles_judge(const struct head *head, struct http_request *request)
{
	request->has_origin = has(head, HTTP_FIELD_ORIGIN);
	request->has_authorization = has(head, HTTP_FIELD_AUTHORIZATION);
	request->has_token = has(head, HTTP_FIELD_TOKEN);
	request->authorization = value_of(head, HTTP_FIELD_AUTHORIZATION);
	request->token = value_of(head, HTTP_FIELD_TOKEN);
	request->content_type = value_of(head, HTTP_FIELD_CONTENT_TYPE);
	if (head->repeated & (BIT(HTTP_FIELD_AUTHORIZATION) | BIT(HTTP_FIELD_TOKEN)))
		return HTTP_REFUSED_CREDENTIALS;
	return head->repeated & BIT(HTTP_FIELD_CONTENT_TYPE) ? HTTP_REFUSED_FIELD : HTTP_REFUSED_NOTHING;
}

static enum http_refusal request_read(struct http_request *request, char *buf, size_t len)
{
	const char *at = buf, *end = buf + len;
	struct span line, authority = {0};
	enum http_refusal refusal;
	struct head head;

	if (!line_next(&at, end, &line) || line.len == 0)
		return HTTP_REFUSED_REQUEST_LINE;
	refusal = request_line_read(request, buf, line.len, &authority);
	if (refusal)
		return refusal;

	head_init(&head, request->fields, REQUEST_DROPPED);
	refusal = fields_read(&head, at, end);
	if (!refusal)
		refusal = framing_read(&head, request->minor_version, head.repeated, &request->framing,
				       &request->content_length);
	if (!refusal)
		refusal = host_judge(&head, request, authority);
	if (!refusal)
		refusal = upgrade_judge(&head, request);
	if (!refusal)
		refusal = singles_judge(&head, request);
	if (!refusal)
		refusal = expect_judge(&head, request);
	if (refusal)
		return refusal;
	request->keep_alive = keeps_alive(&head, request->minor_version);
	request->fields_count = head.count;
	return HTTP_REFUSED_NOTHING;
}

enum http_result http_parse_request(struct http_request *request, char *buf, size_t len,
				    enum http_refusal *refusal)
{
	memset(request, 0, offsetof(struct http_request, fields));
	request->method = HTTP_OTHER;
	request->minor_version = 1;
	*refusal = request_read(request, buf, len);
	return *refusal ? HTTP_BAD : HTTP_OK;
}

/* ---- answers -------------------------------------------------------------------------------- */

/* RFC 9112 4: HTTP-version SP 3DIGIT SP [ reason ]; the last SP may be missing before no reason. */
static enum http_refusal status_line_read(struct http_answer *answer, struct span line)
{
	enum http_refusal refusal;

	if (line.len < 12 || line.ptr[8] != ' ' || (line.len > 12 && line.ptr[12] != ' ') ||
	    !http_all_of((struct span){.ptr = line.ptr + 9, .len = 3}, HTTP_CHAR_DIGIT))
		return HTTP_REFUSED_STATUS_LINE;
	refusal = version_read((struct span){.ptr = line.ptr, .len = 8}, &answer->minor_version,
			       HTTP_REFUSED_STATUS_LINE);
	if (refusal)
		return refusal;
	answer->status = (line.ptr[9] - '0') * 100 + (line.ptr[10] - '0') * 10 + (line.ptr[11] - '0');
	answer->reason = line.len > 12 ? span_skip(line, 13) : (struct span){0};
	return answer->status >= 100 && answer->status <= 599 ? HTTP_REFUSED_NOTHING
							      : HTTP_REFUSED_STATUS_LINE;
}

/* RFC 9112 6.3: what has no body whatever its fields say, then the fields, then until the end. */
static enum http_refusal answer_framing_judge(const struct head *head, struct http_answer *answer,
					      enum http_method to_method)
{
	bool never = answer->status < 200 || answer->status == 204;
	enum http_refusal refusal;

	refusal = framing_read(head, answer->minor_version, head->differing, &answer->framing,
			       &answer->content_length);
	if (refusal)
		return refusal;
	/* RFC 9112 6.1: these must not have a transfer coding; what would follow is no answer. */
	if (never && answer->framing == HTTP_FRAMING_CHUNKED)
		return HTTP_REFUSED_TRANSFER_CODING;
	answer->has_content_length = answer->framing == HTTP_FRAMING_LENGTH && !never;
	if (never)
		answer->content_length = 0;
	if (never || answer->status == 304 || to_method == HTTP_HEAD)
		answer->framing = HTTP_FRAMING_NONE;
	else if (answer->framing == HTTP_FRAMING_NONE)
		answer->framing = HTTP_FRAMING_CLOSE;
	return HTTP_REFUSED_NOTHING;
}

static enum http_refusal answer_read(struct http_answer *answer, const char *buf, size_t len,
				     enum http_method to_method)
{
	const char *at = buf, *end = buf + len;
	enum http_refusal refusal;
	struct span line;
	struct head head;

	if (!line_next(&at, end, &line))
		return HTTP_REFUSED_STATUS_LINE;
	refusal = status_line_read(answer, line);
	if (refusal)
		return refusal;

	head_init(&head, answer->fields, ANSWER_DROPPED);
	refusal = fields_read(&head, at, end);
	if (!refusal)
		refusal = answer_framing_judge(&head, answer, to_method);
	if (refusal)
		return refusal;

	answer->upgrade = head.upgrade && answer->minor_version == 1 && upgrade_is_one(&head);
	if (answer->status == 101 && head.upgrade && !answer->upgrade)
		return HTTP_REFUSED_UPGRADE;
	if (answer->upgrade)
		answer->upgrade_to = head.values[HTTP_FIELD_UPGRADE];
	answer->content_type = value_of(&head, HTTP_FIELD_CONTENT_TYPE);
	answer->keep_alive =
	    keeps_alive(&head, answer->minor_version) && answer->framing != HTTP_FRAMING_CLOSE;
	answer->fields_count = head.count;
	return HTTP_REFUSED_NOTHING;
}

enum http_result http_parse_answer(struct http_answer *answer, const char *buf, size_t len,
				   enum http_method to_method, enum http_refusal *refusal)
{
	memset(answer, 0, offsetof(struct http_answer, fields));
	*refusal = answer_read(answer, buf, len, to_method);
	return *refusal ? HTTP_BAD : HTTP_OK;
}
