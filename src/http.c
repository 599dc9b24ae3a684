/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. http_scan() is the only place that judges single bytes: after it said HTTP_OK
 * every CR and LF of the head is part of a CRLF and no other control byte but HTAB is in it. The
 * parsers here and in http_head.c rely on that to find line ends with memchr(), and stay within
 * buf[0..len) without it.
 * They read every line from left to right, once. What a field means is looked up once by http_field_find(),
 * the first value of each known name is kept, and the judgement over all of them (framing, Connection,
 * Upgrade) comes last, so that the order of fields does not matter.
 */
#include "http_head.h"

#include <assert.h>

#define REQUEST_DROPPED                                                                                \
	(HTTP_CONNECTION_FIELDS | HTTP_FIELD_BIT(HTTP_FIELD_HOST) | HTTP_FIELD_BIT(HTTP_FIELD_TOKEN) | \
	 HTTP_FIELD_BIT(HTTP_FIELD_AUTHORIZATION))
#define ANSWER_DROPPED HTTP_CONNECTION_FIELDS

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
	refusal = http_version_read(span_skip(rest, target_len + 1), &request->minor_version,
				    HTTP_REFUSED_REQUEST_LINE);
	return refusal ? refusal : http_target_parse(request, target, target_len, authority);
}

/* RFC 9112 3.2, 3.2.2. */
static enum http_refusal host_judge(const struct http_head *head, struct http_request *request,
				    struct span authority)
{
	request->host = http_head_value(head, HTTP_FIELD_HOST);
	if (head->repeated & HTTP_FIELD_BIT(HTTP_FIELD_HOST))
		return HTTP_REFUSED_HOST;
	if (!http_head_has(head, HTTP_FIELD_HOST) && request->minor_version == 1)
		return HTTP_REFUSED_HOST;
	if (!http_host_ok(request->host))
		return HTTP_REFUSED_HOST;
	if (authority.len && !span_ieq(authority, request->host))
		return HTTP_REFUSED_TARGET;
	return HTTP_REFUSED_NOTHING;
}

/* RFC 9110 10.1.1: only 100-continue is defined; on HTTP/1.0 it is ignored, so not forwarded either. */
static enum http_refusal expect_judge(const struct http_head *head, struct http_request *request)
{
	if (!http_head_has(head, HTTP_FIELD_EXPECT))
		return HTTP_REFUSED_NOTHING;
	if ((head->repeated & HTTP_FIELD_BIT(HTTP_FIELD_EXPECT)) ||
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
static enum http_refusal upgrade_judge(const struct http_head *head, struct http_request *request)
{
	if (!http_head_has(head, HTTP_FIELD_UPGRADE))
		return HTTP_REFUSED_NOTHING;
	if (!head->upgrade || request->minor_version == 0) {
		request->upgrade_ignored = true;
		return HTTP_REFUSED_NOTHING;
	}
	if (!http_upgrade_is_one(head))
		return HTTP_REFUSED_UPGRADE;
	request->upgrade = true;
	request->upgrade_to = head->values[HTTP_FIELD_UPGRADE];
	return HTTP_REFUSED_NOTHING;
}

/* Two of these, and we might judge by one and the engine, or the reader of a log, by the other. */
static enum http_refusal singles_judge(const struct http_head *head, struct http_request *request)
{
	request->has_origin = http_head_has(head, HTTP_FIELD_ORIGIN);
	request->has_authorization = http_head_has(head, HTTP_FIELD_AUTHORIZATION);
	request->has_token = http_head_has(head, HTTP_FIELD_TOKEN);
	request->authorization = http_head_value(head, HTTP_FIELD_AUTHORIZATION);
	request->token = http_head_value(head, HTTP_FIELD_TOKEN);
	request->content_type = http_head_value(head, HTTP_FIELD_CONTENT_TYPE);
	if (head->repeated & (HTTP_FIELD_BIT(HTTP_FIELD_AUTHORIZATION) | HTTP_FIELD_BIT(HTTP_FIELD_TOKEN)))
		return HTTP_REFUSED_CREDENTIALS;
	return head->repeated & HTTP_FIELD_BIT(HTTP_FIELD_CONTENT_TYPE) ? HTTP_REFUSED_FIELD
									: HTTP_REFUSED_NOTHING;
}

static enum http_refusal request_read(struct http_request *request, char *buf, size_t len)
{
	const char *at = buf, *end = buf + len;
	struct span line, authority = {0};
	enum http_refusal refusal;
	struct http_head head;

	if (!http_line_next(&at, end, &line) || line.len == 0)
		return HTTP_REFUSED_REQUEST_LINE;
	refusal = request_line_read(request, buf, line.len, &authority);
	if (refusal)
		return refusal;

	http_head_init(&head, request->fields, REQUEST_DROPPED);
	refusal = http_fields_read(&head, at, end);
	if (!refusal)
		refusal = http_framing_read(&head, request->minor_version, head.repeated, &request->framing,
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
	request->keep_alive = http_keeps_alive(&head, request->minor_version);
	request->fields_count = head.count;
	return HTTP_REFUSED_NOTHING;
}

enum http_result http_parse_request(struct http_request *request, char *buf, size_t len,
				    enum http_refusal *refusal)
{
	const bool takes_path_token = request->takes_path_token;

	memset(request, 0, offsetof(struct http_request, fields));
	request->takes_path_token = takes_path_token;
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
	refusal = http_version_read((struct span){.ptr = line.ptr, .len = 8}, &answer->minor_version,
				    HTTP_REFUSED_STATUS_LINE);
	if (refusal)
		return refusal;
	answer->status = (line.ptr[9] - '0') * 100 + (line.ptr[10] - '0') * 10 + (line.ptr[11] - '0');
	answer->reason = line.len > 12 ? span_skip(line, 13) : (struct span){0};
	return answer->status >= 100 && answer->status <= 599 ? HTTP_REFUSED_NOTHING
							      : HTTP_REFUSED_STATUS_LINE;
}

/* RFC 9112 6.3: what has no body whatever its fields say, then the fields, then until the end. */
static enum http_refusal answer_framing_judge(const struct http_head *head, struct http_answer *answer,
					      enum http_method to_method)
{
	bool never = answer->status < 200 || answer->status == 204;
	enum http_refusal refusal;

	refusal = http_framing_read(head, answer->minor_version, head->differing, &answer->framing,
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
	struct http_head head;

	if (!http_line_next(&at, end, &line))
		return HTTP_REFUSED_STATUS_LINE;
	refusal = status_line_read(answer, line);
	if (refusal)
		return refusal;

	http_head_init(&head, answer->fields, ANSWER_DROPPED);
	refusal = http_fields_read(&head, at, end);
	if (!refusal)
		refusal = answer_framing_judge(&head, answer, to_method);
	if (refusal)
		return refusal;

	answer->upgrade = head.upgrade && answer->minor_version == 1 && http_upgrade_is_one(&head);
	if (answer->status == 101 && head.upgrade && !answer->upgrade)
		return HTTP_REFUSED_UPGRADE;
	if (answer->upgrade)
		answer->upgrade_to = head.values[HTTP_FIELD_UPGRADE];
	answer->content_type = http_head_value(&head, HTTP_FIELD_CONTENT_TYPE);
	answer->keep_alive =
	    http_keeps_alive(&head, answer->minor_version) && answer->framing != HTTP_FRAMING_CLOSE;
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
