/* SPDX-License-Identifier: MIT */
/*
 * http.h: the strict HTTP/1.1 head parser and writer. Pure: no I/O, no allocation, fuzzed.
 *
 * dockerd itself accepts bare LF, folded lines, Content-Length beside Transfer-Encoding, pipelining
 * and HTTP/1.0, so headgate has to be the strict side: whatever two parsers could read differently is
 * refused here, and what goes on is written anew from the parsed parts, never passed through.
 *
 * Two steps. http_scan() looks for the end of the head as bytes arrive; it never looks at a byte
 * twice, so one-byte records cost nothing extra, and it refuses a bad byte at once.
 * http_parse_request() / http_parse_answer() then read the complete head. Spans point into the
 * caller's buffer (an absent path, at "/"). Rules: RFC 9110, RFC 9112 and the list of incidents they
 * answer to; each refusal's reason is in http_reason(). Layer 1.
 */
#ifndef HEADGATE_HTTP_H
#define HEADGATE_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "compiler.h"
#include "span.h"
#include "token.h"

/* Request line and fields together; the SOAJS console sends up to 64 KiB. */
#define HTTP_HEAD_MAX_BYTES ((size_t)65536)
/* A head is written with a space after each colon, and with our own fields; a token of ours may be one. */
#define HTTP_WRITE_MAX_BYTES (HTTP_HEAD_MAX_BYTES + HTTP_FIELDS_MAX + 256 + TOKEN_SECRET_MAX_BYTES)
/* BuildKit repeats X-Docker-Expose-Session-* some dozens of times. */
#define HTTP_FIELDS_MAX ((size_t)256)

enum http_result {
	HTTP_OK,
	HTTP_MORE, /* the head is not complete yet; only from http_scan() */
	HTTP_BAD,
};

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_PATCH,
	HTTP_OPTIONS,
	HTTP_OTHER, /* a valid token that we do not know (CONNECT and PRI are refused) */
};

enum http_framing {
	HTTP_FRAMING_NONE,    /* a request without a body; an answer that has none (1xx, 204, 304, to HEAD) */
	HTTP_FRAMING_LENGTH,  /* Content-Length bytes (may be 0) */
	HTTP_FRAMING_CHUNKED, /* Transfer-Encoding: chunked */
	HTTP_FRAMING_CLOSE,   /* answers only: until the engine closes */
};

/* Why a head was refused. http_reason() gives the text, http_reason_status() the status code. */
enum http_refusal {
	HTTP_REFUSED_NOTHING,
	HTTP_REFUSED_HEAD_TOO_LARGE,
	HTTP_REFUSED_TOO_MANY_FIELDS,
	HTTP_REFUSED_BYTE, /* control byte, NUL, bare CR or LF */
	HTTP_REFUSED_REQUEST_LINE,
	HTTP_REFUSED_METHOD,
	HTTP_REFUSED_VERSION,
	HTTP_REFUSED_TARGET,
	HTTP_REFUSED_PATH,  /* dot segments, //, encoded slash and the like */
	HTTP_REFUSED_FIELD, /* name, colon, obs-fold */
	HTTP_REFUSED_HOST,
	HTTP_REFUSED_CONTENT_LENGTH,
	HTTP_REFUSED_TRANSFER_CODING,	      /* malformed or repeated */
	HTTP_REFUSED_TRANSFER_CODING_UNKNOWN, /* 501 */
	HTTP_REFUSED_LENGTH_AND_CODING,
	HTTP_REFUSED_CONNECTION, /* lists a field that must not be dropped */
	HTTP_REFUSED_UPGRADE,
	HTTP_REFUSED_CREDENTIALS, /* the same credential field twice */
	HTTP_REFUSED_EXPECT,	  /* an expectation other than 100-continue: 417 */
	HTTP_REFUSED_STATUS_LINE,
	HTTP_REFUSAL_COUNT,
};

struct http_field {
	struct span name;
	struct span value; /* without surrounding white space */
	bool hop_by_hop;   /* or listed in Connection, or a credential: not forwarded */
};

/* Progress of http_scan(); all zero at the start of each head. */
struct http_scan {
	size_t done_bytes; /* looked at so far */
	uint8_t state;
};

struct http_request {
	bool takes_path_token; /* set by the caller of http_parse_request(), see there */
	enum http_method method;
	struct span method_name;
	struct span path; /* decoded once, normal form; starts with '/'; what is matched and forwarded */
	struct span path_token; /* what stood in front of it; len 0 when there was none */
	struct span query;	/* with its '?', byte for byte; empty when there is none */
	int minor_version;	/* 0 or 1 */
	struct span host;	/* may be empty: BuildKit sends none */
	enum http_framing framing;
	uint64_t content_length; /* with HTTP_FRAMING_LENGTH */
	bool keep_alive;	 /* what version and Connection ask for */
	bool upgrade;		 /* Connection lists upgrade and there is exactly one Upgrade value */
	bool upgrade_ignored;	 /* an Upgrade field without that, or on HTTP/1.0 */
	struct span upgrade_to;	 /* value of Upgrade, when upgrade is set */
	bool expect_continue;
	bool has_origin;
	struct span authorization; /* raw value; len 0 when absent */
	struct span token;	   /* raw value of the `token` field; len 0 when absent */
	bool has_authorization, has_token;
	struct span content_type;
	size_t fields_count;
	struct http_field fields[HTTP_FIELDS_MAX];
};

struct http_answer {
	int status; /* 100-599 */
	struct span reason;
	int minor_version;
	enum http_framing framing; /* already takes the request's method into account */
	uint64_t content_length;
	bool has_content_length;
	bool keep_alive;
	bool upgrade; /* Connection lists upgrade */
	struct span upgrade_to;
	struct span content_type;
	size_t fields_count;
	struct http_field fields[HTTP_FIELDS_MAX];
};

/*
 * Looks for the end of a head in buf[0..len), going on where the last call with the same `scan`
 * stopped. On HTTP_OK *head_bytes is the length of the head with its empty line. On HTTP_BAD
 * *refusal says why (a bare CR or LF, a control byte, over HTTP_HEAD_MAX_BYTES; an empty line before
 * the request line). `buf` must be the same bytes as before, with more behind them.
 */
enum http_result http_scan(struct http_scan *scan, const char *buf, size_t len, size_t *head_bytes,
			   enum http_refusal *refusal);

/*
 * Reads a complete request head (buf[0..len), len as http_scan() gave it). The path is decoded in
 * place, so buf is written to. HTTP_OK or HTTP_BAD with *refusal; on HTTP_BAD `request` holds
 * nothing that may be used except method and minor_version.
 *
 * With request->takes_path_token, the one member that is read, a path may begin with /t/TOKEN: that is taken
 * off before anything else is made of the path, and what is left has to be in order by itself (nothing is
 * "/"). TOKEN is 1 to TOKEN_SECRET_MAX_BYTES unreserved characters (RFC 3986 2.3) as they are: no escapes. A
 * path that begins with /t/ in any other way (escaped, malformed, twice) is refused, so that no token is ever
 * in a path that is logged or forwarded. Without it /t/TOKEN is a path like any other.
 */
enum http_result http_parse_request(struct http_request *request, char *buf, size_t len,
				    enum http_refusal *refusal);

/*
 * Reads a complete answer head from the engine. `to_method` is the request's method: an answer to
 * HEAD has no body (RFC 9112 6.3). HTTP_OK or HTTP_BAD with *refusal.
 */
enum http_result http_parse_answer(struct http_answer *answer, const char *buf, size_t len,
				   enum http_method to_method, enum http_refusal *refusal);

/* How the forwarded head ends: the framing and connection fields that we add ourselves. */
enum http_connection {
	HTTP_CONNECTION_KEEP,	 /* nothing is added: the HTTP/1.1 default */
	HTTP_CONNECTION_CLOSE,	 /* Connection: close */
	HTTP_CONNECTION_UPGRADE, /* Connection: Upgrade and Upgrade: <upgrade_to> */
	HTTP_CONNECTION_RAW,	 /* nothing is added, no framing either: the legacy raw-stream 200 */
};

/*
 * Writes the head that goes to the engine: request line in origin form with the request's own minor
 * version, Host, the end-to-end fields in their order and spelling, then our own framing and
 * connection fields. Credentials and hop-by-hop fields are left out; `token` (NULL: none) goes on in a
 * `token` field, for an engine behind another headgate. The caller has checked that it is a field's value.
 * Returns the length, or -ENOSPC when `cap` is too small (HTTP_WRITE_MAX_BYTES always suffices), -EINVAL
 * for HTTP_CONNECTION_RAW, which is for answers only.
 */
long http_write_request(const struct http_request *request, enum http_connection connection,
			const char *token, char *buf, size_t cap) MUST_USE;

/*
 * Writes the head that goes to the client, HTTP/1.1 always; the same rules and return as
 * http_write_request(). With HTTP_FRAMING_NONE a Content-Length that the engine sent (HEAD, 304) is kept.
 */
long http_write_answer(const struct http_answer *answer, enum http_connection connection, char *buf,
		       size_t cap) MUST_USE;

/* One line for the client, never with anything of its input in it. */
const char *http_reason(enum http_refusal refusal);
/* 400, 417, 431, 501 or 505. */
int http_reason_status(enum http_refusal refusal);

/* The usual text of a status code, "Bad Gateway"; "Unknown" for one we do not send. */
const char *http_status_text(int status);

#endif
