/* SPDX-License-Identifier: MIT */
/*
 * http_head.h: what the heads of requests and of answers have in common, shared by http.c and http_head.c; of
 * no use to others. Field lines with what Connection says of them, framing, version, Upgrade. Layer 1.
 */
#ifndef HEADGATE_HTTP_HEAD_H
#define HEADGATE_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "http.h"
#include "http_lex.h"
#include "span.h"

/* A Connection field may list so many names besides close, keep-alive and upgrade. */
#define HTTP_LISTED_MAX ((size_t)64)

#define HTTP_FIELD_BIT(id) (1u << (id))

/* RFC 9110 7.6.1, and what we write ourselves. Trailer stays: chunked bodies travel as they came. */
#define HTTP_CONNECTION_FIELDS                                                                        \
	(HTTP_FIELD_BIT(HTTP_FIELD_TE) | HTTP_FIELD_BIT(HTTP_FIELD_UPGRADE) |                         \
	 HTTP_FIELD_BIT(HTTP_FIELD_CONNECTION) | HTTP_FIELD_BIT(HTTP_FIELD_KEEP_ALIVE) |              \
	 HTTP_FIELD_BIT(HTTP_FIELD_CONTENT_LENGTH) | HTTP_FIELD_BIT(HTTP_FIELD_HTTP2_SETTINGS) |      \
	 HTTP_FIELD_BIT(HTTP_FIELD_PROXY_CONNECTION) | HTTP_FIELD_BIT(HTTP_FIELD_TRANSFER_ENCODING) | \
	 HTTP_FIELD_BIT(HTTP_FIELD_PROXY_AUTHENTICATE) | HTTP_FIELD_BIT(HTTP_FIELD_PROXY_AUTHORIZATION))

/* What http_fields_read() finds, for requests and answers alike. */
struct http_head {
	struct http_field *fields; /* borrowed: the request's or answer's table */
	size_t count;
	unsigned dropped;		      /* fields not forwarded, as bits */
	unsigned seen, repeated, differing;   /* as bits; differing: repeated with another value */
	struct span values[HTTP_FIELD_COUNT]; /* the first value of each; only where seen */
	bool close, keep_alive, upgrade;      /* listed in Connection */
	size_t listed_count;
	struct span listed[HTTP_LISTED_MAX]; /* the other names in Connection */
};

static inline bool http_head_has(const struct http_head *head, enum http_field_id id)
{
	return (head->seen & HTTP_FIELD_BIT(id)) != 0;
}

/* The first value of a field, len 0 when it is absent. */
static inline struct span http_head_value(const struct http_head *head, enum http_field_id id)
{
	return http_head_has(head, id) ? head->values[id] : (struct span){0};
}

/* Takes the line at *at, without its CRLF, and steps behind it. False when there is no whole line. */
bool http_line_next(const char **at, const char *end, struct span *line);

/* An empty head, whose fields will stand in `fields` (HTTP_FIELDS_MAX); `dropped`: not forwarded, as bits. */
void http_head_init(struct http_head *head, struct http_field *fields, unsigned dropped);

/* Reads all field lines and the empty line, which must be the last thing before `end`. */
enum http_refusal http_fields_read(struct http_head *head, const char *at, const char *end);

/*
 * RFC 9112 6.1-6.3, for messages that may have a body. *framing is HTTP_FRAMING_NONE when there is
 * neither field. A repeated Content-Length is refused where `repeated_lengths` has its bit: in requests
 * always, in answers equal ones are one.
 */
enum http_refusal http_framing_read(const struct http_head *head, int minor_version,
				    unsigned repeated_lengths, enum http_framing *framing,
				    uint64_t *content_length);

/*
 * "HTTP/1.0" or "HTTP/1.1" (RFC 9112 2.3); other numbers are another protocol, and what is no HTTP gets
 * `malformed`.
 */
enum http_refusal http_version_read(struct span text, int *minor_version, enum http_refusal malformed);

/* RFC 9112 9.3. */
bool http_keeps_alive(const struct http_head *head, int minor_version);

/* Exactly one Upgrade field with one protocol in it. */
bool http_upgrade_is_one(const struct http_head *head);

#endif
