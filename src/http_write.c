/* SPDX-License-Identifier: MIT */
/*
 * Heads written anew. Nothing is copied but the parts that the parser judged: what the other side
 * reads is what was checked. Then the texts for refusals and status codes.
 */
#include "http.h"

#include <assert.h>
#include <errno.h>

struct writer {
	char *buf; /* borrowed from the caller */
	size_t cap, len;
	bool full; /* something did not fit */
};

static void put(struct writer *writer, struct span s)
{
	if (writer->cap - writer->len < s.len)
		writer->full = true;
	if (writer->full || s.len == 0)
		return;
	memcpy(writer->buf + writer->len, s.ptr, s.len);
	writer->len += s.len;
}

static void put_field(struct writer *writer, struct span name, struct span value)
{
	put(writer, name);
	put(writer, SPAN(": "));
	put(writer, value);
	put(writer, SPAN("\r\n"));
}

static void put_fields(struct writer *writer, const struct http_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!fields[i].hop_by_hop)
			put_field(writer, fields[i].name, fields[i].value);
}

static void put_content_length(struct writer *writer, uint64_t length)
{
	char digits[20]; /* of UINT64_MAX */
	size_t at = sizeof(digits);

	/* Not snprintf(): every request with a body comes here, and every answer. */
	do
		digits[--at] = (char)('0' + length % 10);
	while (length /= 10);
	put_field(writer, SPAN("Content-Length"),
		  (struct span){.ptr = digits + at, .len = sizeof(digits) - at});
}

/* RFC 9110 7.6.1, 7.8. An upgrade to nothing is the caller's mistake; `close` is its safe reading. */
static void put_connection(struct writer *writer, enum http_connection connection, struct span upgrade_to)
{
	if (connection == HTTP_CONNECTION_UPGRADE && upgrade_to.len) {
		put(writer, SPAN("Connection: Upgrade\r\n"));
		put_field(writer, SPAN("Upgrade"), upgrade_to);
	} else if (connection == HTTP_CONNECTION_UPGRADE || connection == HTTP_CONNECTION_CLOSE) {
		put(writer, SPAN("Connection: close\r\n"));
	}
}

static long finish(struct writer *writer)
{
	put(writer, SPAN("\r\n"));
	return writer->full ? -ENOSPC : (long)writer->len;
}

long http_write_request(const struct http_request *request, enum http_connection connection,
			const char *token, char *buf, size_t cap)
{
	struct writer writer = {.buf = buf, .cap = cap};

	/* Without framing a body would be read as the next request. */
	if (connection == HTTP_CONNECTION_RAW)
		return -EINVAL;
	put(&writer, request->method_name);
	put(&writer, SPAN(" "));
	put(&writer, request->path);
	put(&writer, request->query);
	put(&writer, request->minor_version == 0 ? SPAN(" HTTP/1.0\r\n") : SPAN(" HTTP/1.1\r\n"));
	put_field(&writer, SPAN("Host"), request->host);
	if (token)
		put_field(&writer, SPAN("token"), span_of(token));
	put_fields(&writer, request->fields, request->fields_count);
	if (request->framing == HTTP_FRAMING_LENGTH)
		put_content_length(&writer, request->content_length);
	else if (request->framing == HTTP_FRAMING_CHUNKED)
		put(&writer, SPAN("Transfer-Encoding: chunked\r\n"));
	put_connection(&writer, connection, request->upgrade_to);
	return finish(&writer);
}

long http_write_answer(const struct http_answer *answer, enum http_connection connection, char *buf,
		       size_t cap)
{
	struct writer writer = {.buf = buf, .cap = cap};
	char status[4] = {(char)('0' + answer->status / 100 % 10), (char)('0' + answer->status / 10 % 10),
			  (char)('0' + answer->status % 10), ' '};

	put(&writer, SPAN("HTTP/1.1 "));
	put(&writer, (struct span){.ptr = status, .len = sizeof(status)});
	put(&writer, answer->reason);
	put(&writer, SPAN("\r\n"));
	put_fields(&writer, answer->fields, answer->fields_count);
	if (connection == HTTP_CONNECTION_RAW)
		return finish(&writer);
	if (answer->framing == HTTP_FRAMING_CHUNKED)
		put(&writer, SPAN("Transfer-Encoding: chunked\r\n"));
	else if (answer->framing == HTTP_FRAMING_LENGTH ||
		 (answer->framing == HTTP_FRAMING_NONE && answer->has_content_length))
		put_content_length(&writer, answer->content_length);
	/* A body that only the end of the connection ends is no keep-alive, whatever the caller says. */
	if (answer->framing == HTTP_FRAMING_CLOSE && connection == HTTP_CONNECTION_KEEP)
		connection = HTTP_CONNECTION_CLOSE;
	put_connection(&writer, connection, answer->upgrade_to);
	return finish(&writer);
}

/* ---- texts ---------------------------------------------------------------------------------- */

static const struct {
	int status;
	const char *text;
} refusals[] = {
    [HTTP_REFUSED_NOTHING] = {400, "nothing is wrong with the request"},
    [HTTP_REFUSED_HEAD_TOO_LARGE] = {431, "request line and header fields are longer than 64 KiB"},
    [HTTP_REFUSED_TOO_MANY_FIELDS] = {431, "more than 256 header fields"},
    [HTTP_REFUSED_BYTE] = {400, "a control character, or a CR or LF that is not part of a CRLF"},
    [HTTP_REFUSED_REQUEST_LINE] = {400, "malformed request line"},
    [HTTP_REFUSED_METHOD] = {400, "malformed or unsupported method"},
    [HTTP_REFUSED_VERSION] = {505, "only HTTP/1.1 and HTTP/1.0 are spoken here"},
    [HTTP_REFUSED_TARGET] = {400, "malformed request target, or one for another host"},
    [HTTP_REFUSED_PATH] = {400, "the path is not in normal form: an escape or character that does not "
				"belong there, an empty segment or a dot segment"},
    [HTTP_REFUSED_FIELD] = {400, "malformed, folded or repeated header field"},
    [HTTP_REFUSED_HOST] = {400, "the Host field is missing, repeated or malformed"},
    [HTTP_REFUSED_CONTENT_LENGTH] = {400, "malformed or repeated Content-Length"},
    [HTTP_REFUSED_TRANSFER_CODING] = {400, "malformed or repeated Transfer-Encoding"},
    [HTTP_REFUSED_TRANSFER_CODING_UNKNOWN] = {501, "no transfer coding but chunked is known"},
    [HTTP_REFUSED_LENGTH_AND_CODING] = {400, "Content-Length beside Transfer-Encoding"},
    [HTTP_REFUSED_CONNECTION] = {400, "the Connection field lists a field that must not be dropped"},
    [HTTP_REFUSED_UPGRADE] = {400, "Upgrade must name exactly one protocol"},
    [HTTP_REFUSED_CREDENTIALS] = {400, "the same credentials field twice"},
    [HTTP_REFUSED_EXPECT] = {417, "no expectation but 100-continue is known"},
    [HTTP_REFUSED_STATUS_LINE] = {400, "malformed status line"},
};

static_assert(ARRAY_SIZE(refusals) == HTTP_REFUSAL_COUNT, "a refusal without a text");

const char *http_reason(enum http_refusal refusal)
{
	return refusals[refusal < HTTP_REFUSAL_COUNT ? refusal : HTTP_REFUSED_REQUEST_LINE].text;
}

int http_reason_status(enum http_refusal refusal)
{
	return refusals[refusal < HTTP_REFUSAL_COUNT ? refusal : HTTP_REFUSED_REQUEST_LINE].status;
}

const char *http_status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
	    {100, "Continue"},
	    {101, "Switching Protocols"},
	    {200, "OK"},
	    {201, "Created"},
	    {204, "No Content"},
	    {304, "Not Modified"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {408, "Request Timeout"},
	    {411, "Length Required"},
	    {413, "Content Too Large"},
	    {414, "URI Too Long"},
	    {415, "Unsupported Media Type"},
	    {417, "Expectation Failed"},
	    {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Unknown";
}
