/* SPDX-License-Identifier: MIT */
/*
 * Heads, good and bad. Every one is scanned whole, at every split point and byte by byte, each time
 * from a buffer of just its size, so that AddressSanitizer sees a look past the end.
 */
#include "http.h"
#include "http_lex.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(http, .timeout = 60);

#define ANY_VERSION "HTTP/1.1\r\n"
#define PING	    "GET /_ping HTTP/1.1\r\n"
#define HOST	    "Host: x\r\n"
#define END	    "\r\n"
#define BYTES(text) (text), sizeof(text) - 1

static void *copy(const char *bytes, size_t len)
{
	char *exact = malloc(len ? len : 1);

	cr_assert_not_null(exact);
	memcpy(exact, bytes, len);
	return exact;
}

struct scanned {
	enum http_result result;
	enum http_refusal refusal;
	size_t head_bytes;
};

/* Scans bytes[0..len) as it arrives in pieces that end at `cuts` and at len; stops at the first end. */
static struct scanned scan_pieces(const char *bytes, size_t len, const size_t *cuts, size_t cuts_count)
{
	struct scanned scanned = {.result = HTTP_MORE};
	struct http_scan scan = {0};

	for (size_t i = 0; i <= cuts_count && scanned.result == HTTP_MORE; i++) {
		size_t piece = i < cuts_count ? cuts[i] : len;
		char *exact = copy(bytes, piece);

		scanned.result = http_scan(&scan, exact, piece, &scanned.head_bytes, &scanned.refusal);
		free(exact);
	}
	return scanned;
}

/* The result of scanning whole; it must be the same for all pieces. */
static struct scanned scan_all_ways(const char *bytes, size_t len)
{
	struct scanned whole = scan_pieces(bytes, len, NULL, 0), other;
	size_t *each = calloc(len + 1, sizeof(*each));

	cr_assert_not_null(each);
	for (size_t cut = 0; cut <= len; cut++) {
		each[cut] = cut;
		other = scan_pieces(bytes, len, &cut, 1);
		cr_assert(other.result == whole.result && other.refusal == whole.refusal &&
			      other.head_bytes == whole.head_bytes,
			  "cut at %zu: %.60s", cut, bytes);
	}
	other = scan_pieces(bytes, len, each, len);
	cr_assert(other.result == whole.result && other.refusal == whole.refusal &&
		      other.head_bytes == whole.head_bytes,
		  "byte by byte: %.60s", bytes);
	free(each);
	return whole;
}

static const char *framing_text(enum http_framing framing, uint64_t length, char *buf, size_t cap)
{
	switch (framing) {
	case HTTP_FRAMING_NONE:
		return "none";
	case HTTP_FRAMING_CHUNKED:
		return "chunked";
	case HTTP_FRAMING_CLOSE:
		return "close";
	case HTTP_FRAMING_LENGTH:
		break;
	}
	snprintf(buf, cap, "%" PRIu64, length);
	return buf;
}

static void add_span(char *buf, size_t cap, const char *label, struct span value)
{
	size_t len = strlen(buf);

	snprintf(buf + len, cap - len, "%s%.*s", label, (int)value.len, value.ptr ? value.ptr : "");
}

/* What the parser says in one line: framing, then only what is not usual. */
static void request_text(const struct http_request *request, char *buf, size_t cap)
{
	char number[24];

	snprintf(buf, cap, "%s%s%s%s%s%s",
		 framing_text(request->framing, request->content_length, number, sizeof(number)),
		 request->keep_alive ? "" : " last", request->minor_version == 1 ? "" : " 1.0",
		 request->upgrade_ignored ? " ignored" : "", request->expect_continue ? " expect" : "",
		 request->has_origin ? " origin" : "");
	if (request->upgrade)
		add_span(buf, cap, " upgrade:", request->upgrade_to);
	if (request->has_authorization)
		add_span(buf, cap, " auth:", request->authorization);
	if (request->has_token)
		add_span(buf, cap, " token:", request->token);
	if (request->content_type.len)
		add_span(buf, cap, " type:", request->content_type);
}

static enum http_connection request_connection(const struct http_request *request)
{
	if (request->upgrade)
		return HTTP_CONNECTION_UPGRADE;
	return request->keep_alive ? HTTP_CONNECTION_KEEP : HTTP_CONNECTION_CLOSE;
}

struct request_case {
	const char *bytes;
	size_t len;
	enum http_method method;
	const char *says;   /* request_text() */
	const char *writes; /* what goes to the engine */
};

#define TOKEN_1 "hg_0a1b2c3d_secret"

static const struct request_case good_requests[] = {
    /* docker CLI 28: version, ps, attach, exec, cp */
    {BYTES("HEAD /_ping HTTP/1.1\r\nHost: swarm.example:8443\r\nUser-Agent: Docker-Client/28.5.2 (linux)\r\n"
	   "Token: " TOKEN_1 "\r\n\r\n"),
     HTTP_HEAD, "none token:" TOKEN_1,
     "HEAD /_ping HTTP/1.1\r\nHost: swarm.example:8443\r\nUser-Agent: Docker-Client/28.5.2 (linux)\r\n\r\n"},
    {BYTES("GET /v1.51/containers/json?all=1&filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%7D "
	   "HTTP/1.1\r\nHost: swarm.example:8443\r\nUser-Agent: Docker-Client/28.5.2 (linux)\r\n"
	   "Authorization: Bearer " TOKEN_1 "\r\n\r\n"),
     HTTP_GET, "none auth:Bearer " TOKEN_1,
     "GET /v1.51/containers/json?all=1&filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%7D HTTP/1.1\r\n"
     "Host: swarm.example:8443\r\nUser-Agent: Docker-Client/28.5.2 (linux)\r\n\r\n"},
    {BYTES("POST /v1.51/containers/4f5/attach?stderr=1&stdin=1&stdout=1&stream=1 HTTP/1.1\r\n"
	   "Host: swarm.example:8443\r\nUser-Agent: Docker-Client/28.5.2 (linux)\r\nContent-Length: 0\r\n"
	   "Connection: Upgrade\r\nContent-Type: text/plain\r\nToken: t\r\nUpgrade: tcp\r\n\r\n"),
     HTTP_POST, "0 upgrade:tcp token:t type:text/plain",
     "POST /v1.51/containers/4f5/attach?stderr=1&stdin=1&stdout=1&stream=1 HTTP/1.1\r\n"
     "Host: swarm.example:8443\r\nUser-Agent: Docker-Client/28.5.2 (linux)\r\nContent-Type: text/plain\r\n"
     "Content-Length: 0\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"},
    {BYTES("POST /v1.51/exec/77aa/start HTTP/1.1\r\nHost: a:1\r\nUser-Agent: Docker-Client/28.5.2 (linux)\r\n"
	   "Content-Length: 29\r\nConnection: Upgrade\r\nContent-Type: application/json\r\nUpgrade: "
	   "tcp\r\n\r\n"),
     HTTP_POST, "29 upgrade:tcp type:application/json",
     "POST /v1.51/exec/77aa/start HTTP/1.1\r\nHost: a:1\r\nUser-Agent: Docker-Client/28.5.2 (linux)\r\n"
     "Content-Type: application/json\r\nContent-Length: 29\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"},
    {BYTES("POST /v1.51/images/load?quiet=1 HTTP/1.1\r\nHost: a:1\r\n"
	   "User-Agent: Docker-Client/28.5.2 (linux)\r\nTransfer-Encoding: chunked\r\n"
	   "Content-Type: application/x-tar\r\n\r\n"),
     HTTP_POST, "chunked type:application/x-tar",
     "POST /v1.51/images/load?quiet=1 HTTP/1.1\r\nHost: a:1\r\nUser-Agent: Docker-Client/28.5.2 (linux)\r\n"
     "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n"},
    /* BuildKit: /session with an empty Host and many repeated fields */
    {BYTES("POST /session HTTP/1.1\r\nHost: \r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n"
	   "X-Docker-Expose-Session-Grpc-Method: /moby.filesync.v1.Auth/Credentials\r\n"
	   "X-Docker-Expose-Session-Grpc-Method: /moby.filesync.v1.FileSync/DiffCopy\r\n"
	   "X-Docker-Expose-Session-Name: ctx\r\nX-Docker-Expose-Session-Uuid: abc\r\n\r\n"),
     HTTP_POST, "0 upgrade:h2c",
     "POST /session HTTP/1.1\r\nHost: \r\n"
     "X-Docker-Expose-Session-Grpc-Method: /moby.filesync.v1.Auth/Credentials\r\n"
     "X-Docker-Expose-Session-Grpc-Method: /moby.filesync.v1.FileSync/DiffCopy\r\n"
     "X-Docker-Expose-Session-Name: ctx\r\nX-Docker-Expose-Session-Uuid: abc\r\n"
     "Content-Length: 0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"},
    /* dockerode behind the SOAJS console: unversioned, JSON in the query of a POST, Connection: close */
    {BYTES("POST /containers/create?{\"Image\":\"a|b\",\"Env\":[\"x=^\xc3\xa9\"]} HTTP/1.1\r\n"
	   "token: 00ff\r\nContent-Type: application/json\r\nContent-Length: 44\r\nHost: 10.0.0.1\r\n"
	   "Connection: close\r\n\r\n"),
     HTTP_POST, "44 last token:00ff type:application/json",
     "POST /containers/create?{\"Image\":\"a|b\",\"Env\":[\"x=^\xc3\xa9\"]} HTTP/1.1\r\nHost: 10.0.0.1\r\n"
     "Content-Type: application/json\r\nContent-Length: 44\r\nConnection: close\r\n\r\n"},
    /* docker-py: Accept-Encoding, keep-alive spelled out */
    {BYTES("GET /v1.41/info HTTP/1.1\r\nHost: [2001:db8::1]:2376\r\nUser-Agent: docker-sdk-python/5.0.3\r\n"
	   "Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n"
	   "Authorization: Basic dTpw\r\n\r\n"),
     HTTP_GET, "none auth:Basic dTpw",
     "GET /v1.41/info HTTP/1.1\r\nHost: [2001:db8::1]:2376\r\nUser-Agent: docker-sdk-python/5.0.3\r\n"
     "Accept-Encoding: gzip, deflate\r\nAccept: */*\r\n\r\n"},
    /* docker-py attach: Connection and Upgrade in another spelling */
    {BYTES("POST /v1.41/containers/c/attach?logs=0 HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n"
	   "Upgrade: TCP\r\nContent-Length: 0\r\n\r\n"),
     HTTP_POST, "0 upgrade:TCP",
     "POST /v1.41/containers/c/attach?logs=0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
     "Connection: Upgrade\r\nUpgrade: TCP\r\n\r\n"},
    /* curl */
    {BYTES(
	 "PUT /containers/c/archive?path=%2F HTTP/1.1\r\nHost: localhost:8443\r\nUser-Agent: curl/7.88.1\r\n"
	 "Accept: */*\r\nContent-Length: 2048000\r\nExpect: 100-continue\r\n\r\n"),
     HTTP_PUT, "2048000 expect",
     "PUT /containers/c/archive?path=%2F HTTP/1.1\r\nHost: localhost:8443\r\nUser-Agent: curl/7.88.1\r\n"
     "Accept: */*\r\nExpect: 100-continue\r\nContent-Length: 2048000\r\n\r\n"},
    /* absolute-form becomes origin-form */
    {BYTES("GET HTTP://EXAMPLE.org:80/_ping?x HTTP/1.1\r\nHost: example.ORG:80\r\n\r\n"), HTTP_GET, "none",
     "GET /_ping?x HTTP/1.1\r\nHost: example.ORG:80\r\n\r\n"},
    {BYTES("GET https://x HTTP/1.1\r\n" HOST END), HTTP_GET, "none", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
    {BYTES("GET https://x?a=http://y/ HTTP/1.1\r\n" HOST END), HTTP_GET, "none",
     "GET /?a=http://y/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    /* escapes that may be decoded are; the query is left alone */
    {BYTES("GET /containers/%65xport%3a1/%7e?%65%2f%00 HTTP/1.1\r\n" HOST END), HTTP_GET, "none",
     "GET /containers/export:1/~?%65%2f%00 HTTP/1.1\r\nHost: x\r\n\r\n"},
    {BYTES("GET /images/reg.example:5000/a/b@sha256:00/json HTTP/1.1\r\n" HOST END), HTTP_GET, "none",
     "GET /images/reg.example:5000/a/b@sha256:00/json HTTP/1.1\r\nHost: x\r\n\r\n"},
    {BYTES("GET /a/?? HTTP/1.1\r\n" HOST END), HTTP_GET, "none", "GET /a/?? HTTP/1.1\r\nHost: x\r\n\r\n"},
    {BYTES("GET /.../.a/b..?/../x//y HTTP/1.1\r\n" HOST END), HTTP_GET, "none",
     "GET /.../.a/b..?/../x//y HTTP/1.1\r\nHost: x\r\n\r\n"},
    /* versions and keep-alive */
    {BYTES("GET /_ping HTTP/1.0\r\n\r\n"), HTTP_GET, "none last 1.0",
     "GET /_ping HTTP/1.0\r\nHost: \r\nConnection: close\r\n\r\n"},
    {BYTES("GET /_ping HTTP/1.0\r\nConnection: Keep-Alive\r\nKeep-Alive: timeout=5\r\n\r\n"), HTTP_GET,
     "none 1.0", "GET /_ping HTTP/1.0\r\nHost: \r\n\r\n"},
    {BYTES("GET /_ping HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), HTTP_GET, "none last 1.0",
     "GET /_ping HTTP/1.0\r\nHost: \r\nConnection: close\r\n\r\n"},
    {BYTES("GET /_ping HTTP/1.0\r\nExpect: 100-continue\r\nUpgrade: tcp\r\nConnection: upgrade\r\n\r\n"),
     HTTP_GET, "none last 1.0 ignored", "GET /_ping HTTP/1.0\r\nHost: \r\nConnection: close\r\n\r\n"},
    {BYTES(PING "Connection: ,, Close ,\r\n" HOST END), HTTP_GET, "none last",
     PING HOST "Connection: close\r\n\r\n"},
    {BYTES(PING "Connection:\r\nConnection: CLOSE\r\n" HOST END), HTTP_GET, "none last",
     PING HOST "Connection: close\r\n\r\n"},
    /* what Connection lists, and what is never forwarded */
    {BYTES(PING HOST "X-A: 1\r\nX-B: 2\r\nconnection: x-a, X-NONE\r\nx-A: 3\r\nTE: trailers\r\n"
		     "Proxy-Connection: close\r\nProxy-Authorization: Basic x\r\nHTTP2-Settings: AAA\r\n"
		     "Keep-Alive: 1\r\nTrailer: X-Sum\r\n\r\n"),
     HTTP_GET, "none", PING HOST "X-B: 2\r\nTrailer: X-Sum\r\n\r\n"},
    {BYTES(PING HOST "token: t\r\nAuthorization: Bearer u\r\nConnection: token, Authorization\r\n\r\n"),
     HTTP_GET, "none auth:Bearer u token:t", PING HOST "\r\n"},
    {BYTES(PING HOST "ToKeN:\r\nauthorization:\t \r\n\r\n"), HTTP_GET, "none auth: token:", PING HOST "\r\n"},
    /* Upgrade without Connection: upgrade opens nothing */
    {BYTES(PING HOST "Upgrade: tcp\r\nUpgrade: h2c, x\r\n\r\n"), HTTP_GET, "none ignored", PING HOST "\r\n"},
    {BYTES(PING HOST "Connection: upgrade\r\n\r\n"), HTTP_GET, "none", PING HOST "\r\n"},
    {BYTES(PING HOST "Connection: keep-alive, Upgrade\r\nUpgrade: websocket/13\r\n\r\n"), HTTP_GET,
     "none upgrade:websocket/13", PING HOST "Connection: Upgrade\r\nUpgrade: websocket/13\r\n\r\n"},
    /* values: white space around them goes, what is in them stays */
    {BYTES(PING "Host:x\r\nX-Text: \t a\tb  c\xff\x80 \t\r\nX-Empty:\r\nOrigin:  null\r\nx_token: 1\r\n\r\n"),
     HTTP_GET, "none origin",
     PING HOST "X-Text: a\tb  c\xff\x80\r\nX-Empty: \r\nOrigin: null\r\nx_token: 1\r\n\r\n"},
    /* lengths and codings */
    {BYTES("DELETE /a HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n"), HTTP_DELETE,
     "9223372036854775807", "DELETE /a HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n"},
    {BYTES("PATCH /a HTTP/1.1\r\n" HOST "Content-Length: \t007 \r\n\r\n"), HTTP_PATCH, "7",
     "PATCH /a HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\n"},
    {BYTES("OPTIONS /a HTTP/1.1\r\n" HOST "TRANSFER-ENCODING:Chunked\r\n\r\n"), HTTP_OPTIONS, "chunked",
     "OPTIONS /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"},
    {BYTES("get /a HTTP/1.1\r\n" HOST END), HTTP_OTHER, "none", "get /a HTTP/1.1\r\n" HOST END},
    {BYTES("M-SEARCH /a HTTP/1.1\r\n" HOST END), HTTP_OTHER, "none", "M-SEARCH /a HTTP/1.1\r\n" HOST END},
    /* Host in its forms */
    {BYTES(PING "Host: %2Fvar%2Frun%2Fdocker.sock\r\n\r\n"), HTTP_GET, "none",
     PING "Host: %2Fvar%2Frun%2Fdocker.sock\r\n\r\n"},
    {BYTES(PING "Host: :2376\r\n\r\n"), HTTP_GET, "none", PING "Host: :2376\r\n\r\n"},
    {BYTES(PING "Host: a_b-c.d:65535\r\n\r\n"), HTTP_GET, "none", PING "Host: a_b-c.d:65535\r\n\r\n"},
    {BYTES(PING "Host: [::ffff:1.2.3.4]\r\n\r\n"), HTTP_GET, "none", PING "Host: [::ffff:1.2.3.4]\r\n\r\n"},
};

/* Writes a request, expects `writes`; parses that again, expects the same request and the same bytes. */
static void check_written(const struct http_request *request, const struct request_case *row)
{
	char *first = malloc(HTTP_WRITE_MAX_BYTES), *second = malloc(HTTP_WRITE_MAX_BYTES);
	enum http_connection connection = request_connection(request);
	struct http_request again;
	enum http_refusal refusal;
	long first_len, second_len;

	cr_assert(first && second);
	first_len = http_write_request(request, connection, first, HTTP_WRITE_MAX_BYTES);
	cr_assert(first_len == (long)strlen(row->writes) && !memcmp(first, row->writes, (size_t)first_len),
		  "wrote\n%.*s\nnot\n%s", (int)first_len, first, row->writes);
	for (size_t cap = 0; cap < (size_t)first_len; cap++) {
		char *exact = copy(first, cap);

		cr_assert_eq(http_write_request(request, connection, exact, cap), -ENOSPC);
		free(exact);
	}
	cr_assert_eq(http_parse_request(&again, first, (size_t)first_len, &refusal), HTTP_OK);
	cr_expect(again.method == request->method && again.framing == request->framing &&
		      again.content_length == request->content_length &&
		      again.minor_version == request->minor_version &&
		      again.expect_continue == request->expect_continue &&
		      again.upgrade == request->upgrade && again.has_origin == request->has_origin &&
		      !again.has_token && !again.has_authorization && !again.upgrade_ignored &&
		      span_eq(again.path, request->path) && span_eq(again.query, request->query) &&
		      span_eq(again.host, request->host) && span_eq(again.upgrade_to, request->upgrade_to) &&
		      span_eq(again.content_type, request->content_type),
		  "not the same after writing:\n%s", row->writes);
	second_len = http_write_request(&again, connection, second, HTTP_WRITE_MAX_BYTES);
	cr_expect(second_len == first_len && !memcmp(second, row->writes, (size_t)first_len),
		  "no fixed point:\n%s", row->writes);
	free(first);
	free(second);
}

Test(http, good_requests)
{
	static struct http_request request;
	char says[1024];

	for (size_t i = 0; i < ARRAY_SIZE(good_requests); i++) {
		const struct request_case *row = &good_requests[i];
		struct scanned scanned = scan_all_ways(row->bytes, row->len);
		char *exact = copy(row->bytes, row->len);
		enum http_refusal refusal = HTTP_REFUSAL_COUNT;

		cr_assert(scanned.result == HTTP_OK && scanned.head_bytes == row->len, "scan: %s",
			  row->bytes);
		memset(&request, 0xa5, sizeof(request));
		cr_assert_eq(http_parse_request(&request, exact, row->len, &refusal), HTTP_OK, "%d (%s):\n%s",
			     (int)refusal, http_reason(refusal), row->bytes);
		cr_expect_eq(refusal, HTTP_REFUSED_NOTHING);
		cr_expect_eq(request.method, row->method, "%s", row->bytes);
		request_text(&request, says, sizeof(says));
		cr_expect_str_eq(says, row->says, "%s\n%s", says, row->bytes);
		check_written(&request, row);
		free(exact);
	}
}

struct bad_case {
	const char *bytes;
	size_t len;
	enum http_refusal refusal;
};

#define LINE(target)  "GET " target " " ANY_VERSION HOST END
#define WITH(field)   "POST /a HTTP/1.1\r\n" HOST field "\r\n\r\n"
#define HOSTED(value) PING "Host: " value "\r\n\r\n"

static const struct bad_case bad_requests[] = {
    /* bytes: RFC 9112 2.2, RFC 9110 5.5 */
    {BYTES("GET /_ping HTTP/1.1\nHost: x\n\n"), HTTP_REFUSED_BYTE},
    {BYTES(PING "Host: x\n\r\n"), HTTP_REFUSED_BYTE},
    {BYTES(PING "Host: x\r\r\n\r\n"), HTTP_REFUSED_BYTE},
    {BYTES(PING "Host: x\rX: y\r\n\r\n"), HTTP_REFUSED_BYTE},
    {BYTES(PING HOST "\n"), HTTP_REFUSED_BYTE},
    {BYTES(PING HOST "\rX: y\r\n\r\n"), HTTP_REFUSED_BYTE},
    {BYTES(PING HOST "\r\r\n"), HTTP_REFUSED_BYTE},
    {BYTES("\n" PING HOST END), HTTP_REFUSED_BYTE},
    {BYTES(WITH("X: a\0b")), HTTP_REFUSED_BYTE},
    {BYTES(WITH("X: a\vb")), HTTP_REFUSED_BYTE},
    {BYTES(WITH("X: a\fb")), HTTP_REFUSED_BYTE},
    {BYTES(WITH("X: a\x1f"
		"b")),
     HTTP_REFUSED_BYTE},
    {BYTES(WITH("X: a\x7f"
		"b")),
     HTTP_REFUSED_BYTE},
    {BYTES(WITH("X\0: a")), HTTP_REFUSED_BYTE},
    {BYTES(LINE("/a\0")), HTTP_REFUSED_BYTE},
    {BYTES(LINE("/a\x7f")), HTTP_REFUSED_BYTE},
    {BYTES(LINE("/a?\x01")), HTTP_REFUSED_BYTE},
    {BYTES("\x16\x03\x01\x02"), HTTP_REFUSED_BYTE},
    /* request line: RFC 9112 3 */
    {BYTES(END PING HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET\r\n\r\n"), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /_ping\r\n\r\n"), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /_ping \r\n\r\n"), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET  /_ping HTTP/1.1\r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /_ping  HTTP/1.1\r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /_ping HTTP/1.1 \r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /a b HTTP/1.1\r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /a?b c HTTP/1.1\r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /_ping http/1.1\r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /_ping HTTP/1.1x\r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /_ping HTTP/11\r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /_ping HTTP/1.\r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /_ping HTTP/01.1\r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET\t/_ping\tHTTP/1.1\r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /_ping ICY/1.1\r\n" HOST END), HTTP_REFUSED_REQUEST_LINE},
    {BYTES("GET /_ping HTTP/0.9\r\n" HOST END), HTTP_REFUSED_VERSION},
    {BYTES("GET /_ping HTTP/1.2\r\n" HOST END), HTTP_REFUSED_VERSION},
    {BYTES("GET /_ping HTTP/2.0\r\n" HOST END), HTTP_REFUSED_VERSION},
    {BYTES("GET /_ping HTTP/3.1\r\n" HOST END), HTTP_REFUSED_VERSION},
    /* methods */
    {BYTES("PRI * HTTP/2.0\r\n\r\n"), HTTP_REFUSED_METHOD},
    {BYTES("PRI /_ping HTTP/1.1\r\n" HOST END), HTTP_REFUSED_METHOD},
    {BYTES("CONNECT x:80 HTTP/1.1\r\n" HOST END), HTTP_REFUSED_METHOD},
    {BYTES("Connect /a HTTP/1.1\r\n" HOST END), HTTP_REFUSED_METHOD},
    {BYTES(" GET /_ping HTTP/1.1\r\n" HOST END), HTTP_REFUSED_METHOD},
    {BYTES("G@T /_ping HTTP/1.1\r\n" HOST END), HTTP_REFUSED_METHOD},
    {BYTES("G\xc3T /_ping HTTP/1.1\r\n" HOST END), HTTP_REFUSED_METHOD},
    {BYTES("GET:/_ping HTTP/1.1\r\n" HOST END), HTTP_REFUSED_METHOD},
    /* targets: RFC 9112 3.2 */
    {BYTES(LINE("*")), HTTP_REFUSED_TARGET},
    {BYTES("OPTIONS * HTTP/1.1\r\n" HOST END), HTTP_REFUSED_TARGET},
    {BYTES("OPTIONS http://x HTTP/1.1\r\n" HOST END), HTTP_REFUSED_TARGET},
    {BYTES(LINE("x:80")), HTTP_REFUSED_TARGET},
    {BYTES(LINE("_ping")), HTTP_REFUSED_TARGET},
    {BYTES(LINE("?a")), HTTP_REFUSED_TARGET},
    {BYTES(LINE("http:/_ping")), HTTP_REFUSED_TARGET},
    {BYTES(LINE("http://")), HTTP_REFUSED_TARGET},
    {BYTES(LINE("http:///_ping")), HTTP_REFUSED_TARGET},
    {BYTES(LINE("http://y/_ping")), HTTP_REFUSED_TARGET},
    {BYTES(LINE("http://x:80/_ping")), HTTP_REFUSED_TARGET},
    {BYTES(LINE("http://u@x/_ping")), HTTP_REFUSED_TARGET},
    {BYTES(LINE("http://x#/_ping")), HTTP_REFUSED_TARGET},
    {BYTES(LINE("ftp://x/_ping")), HTTP_REFUSED_TARGET},
    {BYTES("GET http://x/ HTTP/1.0\r\n\r\n"), HTTP_REFUSED_TARGET},
    {BYTES(PING "Host: y\r\nHost: x\r\n\r\n"), HTTP_REFUSED_HOST},
    {BYTES(LINE("/a?b#c")), HTTP_REFUSED_TARGET},
    {BYTES(LINE("/a?b\tc")), HTTP_REFUSED_TARGET},
    /* paths */
    {BYTES(LINE("//a")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a//b")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a//")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/.")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/..")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a/./b")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a/../b")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a/..")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a/%2e%2E/b")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a/.%2e")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/%2e")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a/../b?x")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%2fb")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%2Fb")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%5cb")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%00b")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%25b")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%252fb")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%3fb")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%23b")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%20b")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%0ab")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%7fb")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%c3%a9")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%4")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%4?1")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%4g")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a%u0041")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a\\b")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a\xc3\xa9")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a#b")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a\tb")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a{b}")), HTTP_REFUSED_PATH},
    {BYTES(LINE("/a\"b")), HTTP_REFUSED_PATH},
    {BYTES(LINE("http://x//a")), HTTP_REFUSED_PATH},
    /* fields: RFC 9112 5 */
    {BYTES(WITH("X : a")), HTTP_REFUSED_FIELD},
    {BYTES(WITH("X\t: a")), HTTP_REFUSED_FIELD},
    {BYTES(WITH(": a")), HTTP_REFUSED_FIELD},
    {BYTES(WITH("X")), HTTP_REFUSED_FIELD},
    {BYTES(WITH("X a")), HTTP_REFUSED_FIELD},
    {BYTES(WITH("X: a\r\n b")), HTTP_REFUSED_FIELD},
    {BYTES(WITH("X: a\r\n\tb: c")), HTTP_REFUSED_FIELD},
    {BYTES(PING " " HOST END), HTTP_REFUSED_FIELD},
    {BYTES(WITH("X(): a")), HTTP_REFUSED_FIELD},
    {BYTES(WITH("X\xe9: a")), HTTP_REFUSED_FIELD},
    {BYTES(WITH("\"X\": a")), HTTP_REFUSED_FIELD},
    {BYTES(WITH("content_length: 5")), HTTP_REFUSED_FIELD},
    {BYTES(WITH("Transfer_Encoding: chunked")), HTTP_REFUSED_FIELD},
    {BYTES(WITH("keep_alive: 5")), HTTP_REFUSED_FIELD},
    {BYTES(WITH("Content-Type: a/b\r\ncontent-type: a/b")), HTTP_REFUSED_FIELD},
    /* Host: RFC 9112 3.2 */
    {BYTES(PING END), HTTP_REFUSED_HOST},
    {BYTES(PING HOST HOST END), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("a b")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("a/b")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("u@a")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("a:")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("a:b")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("a:1:2")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("a:65536")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("a:000080")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("a%4")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("a%zz")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("a\\b")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("a\xc3\xa9")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("::1")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("[::1")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("[]")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("[::1]x")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("[fe80::1%25eth0]")), HTTP_REFUSED_HOST},
    {BYTES(HOSTED("[g::1]")), HTTP_REFUSED_HOST},
    {BYTES("GET /_ping HTTP/1.0\r\nHost: a b\r\n\r\n"), HTTP_REFUSED_HOST},
    /* framing: RFC 9112 6 */
    {BYTES(WITH("Content-Length: 5\r\nContent-Length: 5")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: 5\r\ncontent-length: 6")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: 5, 5")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: 5,")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length:")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: ")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: +5")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: -0")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: 0x5")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: 5 5")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: 5.0")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: \xd9\xa1")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: 9223372036854775808")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: 18446744073709551621")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: 99999999999999999999999999999999999999999")), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(WITH("Content-Length: 5\r\nTransfer-Encoding: chunked")), HTTP_REFUSED_LENGTH_AND_CODING},
    {BYTES(WITH("Transfer-Encoding: chunked\r\nContent-Length: 0")), HTTP_REFUSED_LENGTH_AND_CODING},
    {BYTES(WITH("Transfer-Encoding: gzip\r\nContent-Length: 0")), HTTP_REFUSED_LENGTH_AND_CODING},
    {BYTES("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked")), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding: chunked, chunked")), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding: chunked, gzip")), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding: chunked,")), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding: ,chunked")), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding: chunked;q=1")), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding:")), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding: \"chunked\"")), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding: chunked x")), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding: chunked\xff")), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(WITH("Transfer-Encoding: gzip")), HTTP_REFUSED_TRANSFER_CODING_UNKNOWN},
    {BYTES(WITH("Transfer-Encoding: identity")), HTTP_REFUSED_TRANSFER_CODING_UNKNOWN},
    {BYTES(WITH("Transfer-Encoding: xchunked")), HTTP_REFUSED_TRANSFER_CODING_UNKNOWN},
    {BYTES(WITH("Transfer-Encoding: gzip;q=1, chunked")), HTTP_REFUSED_TRANSFER_CODING_UNKNOWN},
    /* Connection, Upgrade, Expect, credentials: RFC 9110 7.6.1, 7.8, 10.1.1 */
    {BYTES(WITH("Connection: host")), HTTP_REFUSED_CONNECTION},
    {BYTES(WITH("Connection: close, Content-Length")), HTTP_REFUSED_CONNECTION},
    {BYTES(WITH("Connection: Transfer-Encoding")), HTTP_REFUSED_CONNECTION},
    {BYTES(WITH("Connection: transfer_encoding")), HTTP_REFUSED_CONNECTION},
    {BYTES(WITH("Connection: x\r\nConnection: content-type")), HTTP_REFUSED_CONNECTION},
    {BYTES(WITH("Connection: expect")), HTTP_REFUSED_CONNECTION},
    {BYTES(WITH("Connection: close x")), HTTP_REFUSED_CONNECTION},
    {BYTES(WITH("Connection: \"close\"")), HTTP_REFUSED_CONNECTION},
    {BYTES(WITH("Connection: Upgrade\r\nUpgrade: tcp\r\nUpgrade: tcp")), HTTP_REFUSED_UPGRADE},
    {BYTES(WITH("Connection: Upgrade\r\nUpgrade: tcp, h2c")), HTTP_REFUSED_UPGRADE},
    {BYTES(WITH("Connection: Upgrade\r\nUpgrade:")), HTTP_REFUSED_UPGRADE},
    {BYTES(WITH("Connection: Upgrade\r\nUpgrade: tcp/")), HTTP_REFUSED_UPGRADE},
    {BYTES(WITH("Connection: Upgrade\r\nUpgrade: a b")), HTTP_REFUSED_UPGRADE},
    {BYTES(WITH("token: a\r\ntoken: a")), HTTP_REFUSED_CREDENTIALS},
    {BYTES(WITH("Authorization: Bearer a\r\nAuthorization: Bearer b")), HTTP_REFUSED_CREDENTIALS},
    {BYTES(WITH("Expect: 200-ok")), HTTP_REFUSED_EXPECT},
    {BYTES(WITH("Expect:")), HTTP_REFUSED_EXPECT},
    {BYTES(WITH("Expect: 100-continue, x")), HTTP_REFUSED_EXPECT},
    {BYTES(WITH("Expect: 100-continue\r\nExpect: 100-continue")), HTTP_REFUSED_EXPECT},
};

Test(http, bad_requests)
{
	static struct http_request request;

	for (size_t i = 0; i < ARRAY_SIZE(bad_requests); i++) {
		const struct bad_case *row = &bad_requests[i];
		struct scanned scanned = scan_all_ways(row->bytes, row->len);
		char *exact;

		cr_assert_neq(scanned.result, HTTP_MORE, "row %zu is not a whole head: %s", i, row->bytes);
		if (scanned.result == HTTP_BAD) {
			cr_expect_eq(scanned.refusal, row->refusal, "row %zu: %d (%s):\n%s", i,
				     (int)scanned.refusal, http_reason(scanned.refusal), row->bytes);
			continue;
		}
		exact = copy(row->bytes, row->len);
		memset(&request, 0xa5, sizeof(request));
		cr_expect_eq(http_parse_request(&request, exact, row->len, &scanned.refusal), HTTP_BAD,
			     "row %zu was taken:\n%s", i, row->bytes);
		cr_expect_eq(scanned.refusal, row->refusal, "row %zu: %d (%s):\n%s", i, (int)scanned.refusal,
			     http_reason(scanned.refusal), row->bytes);
		free(exact);
	}
}

/* The refusal of a HEAD must itself have no body: its method and version are known even then. */
Test(http, bad_request_keeps_method)
{
	static struct http_request request;
	char head[] = "HEAD //a HTTP/1.0\r\n\r\n";
	enum http_refusal refusal;

	cr_assert_eq(http_parse_request(&request, head, sizeof(head) - 1, &refusal), HTTP_BAD);
	cr_expect_eq(request.method, HTTP_HEAD);
	cr_expect_eq(request.minor_version, 0);
}

/* Without http_scan() before it the parser may judge wrongly, but never look outside buf[0..len). */
Test(http, truncated_heads_stay_inside)
{
	static struct http_request request;
	static struct http_answer answer;
	enum http_refusal refusal;

	for (size_t i = 0; i < ARRAY_SIZE(good_requests); i++) {
		for (size_t len = 0; len < good_requests[i].len; len++) {
			char *exact = copy(good_requests[i].bytes, len);

			cr_assert_eq(http_parse_request(&request, exact, len, &refusal), HTTP_BAD);
			cr_assert_eq(http_parse_answer(&answer, exact, len, HTTP_GET, &refusal), HTTP_BAD);
			free(exact);
		}
	}
}

/* The caller says where the head ends; bytes behind its empty line are a mistake, not a second head. */
Test(http, bytes_behind_the_head)
{
	static struct http_request request;
	char head[] = PING HOST END "X: y\r\n\r\n";
	enum http_refusal refusal;

	cr_expect_eq(http_parse_request(&request, head, sizeof(head) - 1, &refusal), HTTP_BAD);
	cr_expect_eq(refusal, HTTP_REFUSED_FIELD);
}

/* ---- answers -------------------------------------------------------------------------------- */

struct answer_case {
	const char *bytes;
	size_t len;
	enum http_method to_method;
	enum http_connection connection;
	const char *says;
	const char *writes;
};

static void answer_text(const struct http_answer *answer, char *buf, size_t cap)
{
	char number[24];

	snprintf(buf, cap, "%d %s%s%s%s", answer->status,
		 framing_text(answer->framing, answer->content_length, number, sizeof(number)),
		 answer->keep_alive ? "" : " last", answer->minor_version == 1 ? "" : " 1.0",
		 answer->has_content_length ? " length" : "");
	if (answer->upgrade)
		add_span(buf, cap, " upgrade:", answer->upgrade_to);
	if (answer->content_type.len)
		add_span(buf, cap, " type:", answer->content_type);
}

#define OK_LINE	 "HTTP/1.1 200 OK\r\n"
#define RAW_TYPE "application/vnd.docker.raw-stream"

static const struct answer_case good_answers[] = {
    {BYTES(OK_LINE
	   "Api-Version: 1.51\r\nContent-Length: 2\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"),
     HTTP_GET, HTTP_CONNECTION_KEEP, "200 2 length type:text/plain; charset=utf-8",
     OK_LINE "Api-Version: 1.51\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\n"},
    {BYTES("HTTP/1.1 101 UPGRADED\r\nContent-Type: " RAW_TYPE "\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
	   "Api-Version: 1.51\r\n\r\n"),
     HTTP_POST, HTTP_CONNECTION_UPGRADE, "101 none upgrade:tcp type:" RAW_TYPE,
     "HTTP/1.1 101 UPGRADED\r\nContent-Type: " RAW_TYPE "\r\nApi-Version: 1.51\r\n"
     "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"},
    {BYTES("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), HTTP_POST,
     HTTP_CONNECTION_UPGRADE, "101 none upgrade:h2c",
     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"},
    {BYTES(OK_LINE "Content-Type: " RAW_TYPE "\r\n\r\n"), HTTP_POST, HTTP_CONNECTION_RAW,
     "200 close last type:" RAW_TYPE, OK_LINE "Content-Type: " RAW_TYPE "\r\n\r\n"},
    {BYTES(OK_LINE "Content-Type: " RAW_TYPE "\r\n\r\n"), HTTP_POST, HTTP_CONNECTION_KEEP,
     "200 close last type:" RAW_TYPE, OK_LINE "Content-Type: " RAW_TYPE "\r\nConnection: close\r\n\r\n"},
    {BYTES(OK_LINE "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_CLOSE,
     "200 chunked", OK_LINE "Trailer: X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
    /* no body, whatever the fields say: RFC 9112 6.3 */
    {BYTES(OK_LINE "Content-Length: 1234\r\n\r\n"), HTTP_HEAD, HTTP_CONNECTION_KEEP, "200 none length",
     OK_LINE "Content-Length: 1234\r\n\r\n"},
    {BYTES(OK_LINE "Transfer-Encoding: chunked\r\n\r\n"), HTTP_HEAD, HTTP_CONNECTION_KEEP, "200 none",
     OK_LINE "\r\n"},
    {BYTES(OK_LINE "\r\n"), HTTP_HEAD, HTTP_CONNECTION_KEEP, "200 none", OK_LINE "\r\n"},
    {BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: \"a\"\r\n\r\n"), HTTP_GET,
     HTTP_CONNECTION_KEEP, "304 none length",
     "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n"},
    {BYTES("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP,
     "204 none", "HTTP/1.1 204 No Content\r\n\r\n"},
    {BYTES("HTTP/1.1 100 Continue\r\n\r\n"), HTTP_PUT, HTTP_CONNECTION_KEEP, "100 none",
     "HTTP/1.1 100 Continue\r\n\r\n"},
    {BYTES("HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP,
     "103 none", "HTTP/1.1 103 Early Hints\r\n\r\n"},
    /* reason: any, none, with or without its space */
    {BYTES("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP, "200 0 length",
     "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"},
    {BYTES("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP, "200 0 length",
     "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"},
    {BYTES("HTTP/1.1 599 a\tb \xc3\xa9\r\nContent-Length: 0\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP,
     "599 0 length", "HTTP/1.1 599 a\tb \xc3\xa9\r\nContent-Length: 0\r\n\r\n"},
    /* keep-alive */
    {BYTES("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_CLOSE,
     "200 1 last 1.0 length", OK_LINE "Content-Length: 1\r\nConnection: close\r\n\r\n"},
    {BYTES("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n"), HTTP_GET,
     HTTP_CONNECTION_KEEP, "200 1 1.0 length", OK_LINE "Content-Length: 1\r\n\r\n"},
    {BYTES(OK_LINE "Connection: close\r\nContent-Length: 1\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP,
     "200 1 last length", OK_LINE "Content-Length: 1\r\n\r\n"},
    /* two equal lengths are one (RFC 9112 6.3); hop-by-hop fields go; others stay as they are */
    {BYTES(OK_LINE "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_KEEP,
     "200 5 length", OK_LINE "Content-Length: 5\r\n\r\n"},
    {BYTES(OK_LINE
	   "Content-Length: 0\r\nKeep-Alive: 5\r\nX-A: 1\r\nConnection: x-a\r\nUpgrade: h2\r\n"
	   "Proxy-Authenticate: Basic\r\nWWW-Authenticate: Basic\r\nServer: Docker/28.5.2 (linux)\r\n\r\n"),
     HTTP_GET, HTTP_CONNECTION_KEEP, "200 0 length",
     OK_LINE "WWW-Authenticate: Basic\r\nServer: Docker/28.5.2 (linux)\r\nContent-Length: 0\r\n\r\n"},
    /* an upgrade to nothing is written as close */
    {BYTES(OK_LINE "Content-Length: 0\r\n\r\n"), HTTP_GET, HTTP_CONNECTION_UPGRADE, "200 0 length",
     OK_LINE "Content-Length: 0\r\nConnection: close\r\n\r\n"},
};

Test(http, good_answers)
{
	static struct http_answer answer;
	char says[1024], written[1024];

	for (size_t i = 0; i < ARRAY_SIZE(good_answers); i++) {
		const struct answer_case *row = &good_answers[i];
		struct scanned scanned = scan_all_ways(row->bytes, row->len);
		char *exact = copy(row->bytes, row->len);
		enum http_refusal refusal = HTTP_REFUSAL_COUNT;
		long len;

		cr_assert(scanned.result == HTTP_OK && scanned.head_bytes == row->len, "scan: %s",
			  row->bytes);
		memset(&answer, 0xa5, sizeof(answer));
		cr_assert_eq(http_parse_answer(&answer, exact, row->len, row->to_method, &refusal), HTTP_OK,
			     "%d (%s):\n%s", (int)refusal, http_reason(refusal), row->bytes);
		answer_text(&answer, says, sizeof(says));
		cr_expect_str_eq(says, row->says, "%s\n%s", says, row->bytes);
		len = http_write_answer(&answer, row->connection, written, sizeof(written));
		cr_assert(len == (long)strlen(row->writes) && !memcmp(written, row->writes, (size_t)len),
			  "wrote\n%.*s\nnot\n%s", (int)len, written, row->writes);
		for (size_t cap = 0; cap < (size_t)len; cap++)
			cr_assert_eq(http_write_answer(&answer, row->connection, written, cap), -ENOSPC);
		free(exact);
	}
}

static const struct bad_case bad_answers[] = {
    {BYTES(" HTTP/1.1 200 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1  200 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 20 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 2000 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 200OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 200\tOK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 +20 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 099 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 600 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/1.1 \r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("ICY 200 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("http/1.1 200 OK\r\n\r\n"), HTTP_REFUSED_STATUS_LINE},
    {BYTES("HTTP/2.0 200 OK\r\n\r\n"), HTTP_REFUSED_VERSION},
    {BYTES("HTTP/1.2 200 OK\r\n\r\n"), HTTP_REFUSED_VERSION},
    {BYTES("HTTP/1.1 200 O\0K\r\n\r\n"), HTTP_REFUSED_BYTE},
    {BYTES("HTTP/1.1 200 OK\n\n"), HTTP_REFUSED_BYTE},
    {BYTES(OK_LINE "X : a\r\n\r\n"), HTTP_REFUSED_FIELD},
    {BYTES(OK_LINE "X: a\r\n b\r\n\r\n"), HTTP_REFUSED_FIELD},
    {BYTES(OK_LINE "content_length: 1\r\n\r\n"), HTTP_REFUSED_FIELD},
    {BYTES(OK_LINE "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(OK_LINE "Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 05\r\n\r\n"),
     HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(OK_LINE "Content-Length: 5, 5\r\n\r\n"), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(OK_LINE "Content-Length: -1\r\n\r\n"), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n\r\n"), HTTP_REFUSED_CONTENT_LENGTH},
    {BYTES(OK_LINE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
     HTTP_REFUSED_LENGTH_AND_CODING},
    {BYTES(OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
     HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(OK_LINE "Transfer-Encoding: gzip\r\n\r\n"), HTTP_REFUSED_TRANSFER_CODING_UNKNOWN},
    {BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES("HTTP/1.1 101 UPGRADED\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_REFUSED_TRANSFER_CODING},
    {BYTES(OK_LINE "Connection: content-length\r\n\r\n"), HTTP_REFUSED_CONNECTION},
    {BYTES("HTTP/1.1 101 U\r\nConnection: upgrade\r\nUpgrade: a, b\r\n\r\n"), HTTP_REFUSED_UPGRADE},
    {BYTES("HTTP/1.1 101 U\r\nConnection: upgrade\r\n\r\n"), HTTP_REFUSED_UPGRADE},
};

Test(http, bad_answers)
{
	static struct http_answer answer;

	for (size_t i = 0; i < ARRAY_SIZE(bad_answers); i++) {
		const struct bad_case *row = &bad_answers[i];
		struct scanned scanned = scan_all_ways(row->bytes, row->len);
		char *exact = copy(row->bytes, row->len);

		cr_assert_neq(scanned.result, HTTP_MORE, "row %zu", i);
		if (scanned.result == HTTP_OK)
			cr_expect_eq(http_parse_answer(&answer, exact, row->len, HTTP_GET, &scanned.refusal),
				     HTTP_BAD, "row %zu was taken:\n%s", i, row->bytes);
		cr_expect_eq(scanned.refusal, row->refusal, "row %zu: %d (%s):\n%s", i, (int)scanned.refusal,
			     http_reason(scanned.refusal), row->bytes);
		free(exact);
	}
}

/* A 101 that does not list upgrade is left to the caller, who must not open a tunnel for it. */
Test(http, answer_101_without_connection)
{
	static const char head[] = "HTTP/1.1 101 U\r\nUpgrade: tcp\r\n\r\n";
	static struct http_answer answer;
	enum http_refusal refusal;

	cr_assert_eq(http_parse_answer(&answer, head, sizeof(head) - 1, HTTP_POST, &refusal), HTTP_OK);
	cr_expect_not(answer.upgrade);
	cr_expect_eq(answer.upgrade_to.len, 0);
}

/* ---- limits --------------------------------------------------------------------------------- */

/* A head of exactly `total` bytes: PING HOST, one long field, the empty line. */
static char *long_head(size_t total)
{
	static const char start[] = PING HOST "X: ";
	char *head = malloc(total);

	cr_assert(head && total > sizeof(start) + 4);
	memset(head, 'a', total);
	memcpy(head, start, sizeof(start) - 1);
	memcpy(head + total - 4, "\r\n\r\n", 4);
	return head;
}

Test(http, head_size_limit)
{
	static struct http_request request;
	char *most = long_head(HTTP_HEAD_MAX_BYTES), *more = long_head(HTTP_HEAD_MAX_BYTES + 1);
	size_t cut = HTTP_HEAD_MAX_BYTES - 1;
	struct scanned scanned = scan_pieces(most, HTTP_HEAD_MAX_BYTES, NULL, 0);
	enum http_refusal refusal;

	cr_assert(scanned.result == HTTP_OK && scanned.head_bytes == HTTP_HEAD_MAX_BYTES);
	cr_expect_eq(http_parse_request(&request, most, HTTP_HEAD_MAX_BYTES, &refusal), HTTP_OK);
	cr_expect_eq(scan_pieces(most, HTTP_HEAD_MAX_BYTES - 1, NULL, 0).result, HTTP_MORE);

	scanned = scan_pieces(more, HTTP_HEAD_MAX_BYTES + 1, NULL, 0);
	cr_expect(scanned.result == HTTP_BAD && scanned.refusal == HTTP_REFUSED_HEAD_TOO_LARGE);
	scanned = scan_pieces(more, HTTP_HEAD_MAX_BYTES + 1, &cut, 1);
	cr_expect(scanned.result == HTTP_BAD && scanned.refusal == HTTP_REFUSED_HEAD_TOO_LARGE);
	/* A buffer of the limit's size is full then: waiting for more would never end. */
	scanned = scan_pieces(more, HTTP_HEAD_MAX_BYTES, NULL, 0);
	cr_expect(scanned.result == HTTP_BAD && scanned.refusal == HTTP_REFUSED_HEAD_TOO_LARGE);
	free(most);
	free(more);
}

/* What comes behind the head is neither looked at nor counted. */
Test(http, scan_stops_at_the_end)
{
	static const char bytes[] = PING HOST "\r\n\0\n\r body";
	struct scanned scanned = scan_all_ways(bytes, sizeof(bytes) - 1);

	cr_expect(scanned.result == HTTP_OK && scanned.head_bytes == sizeof(PING HOST "\r\n") - 1);
}

/* Every byte value in a value, at each place of an eight-byte word: only HTAB, and SP to 0xff but DEL. */
Test(http, scan_every_byte)
{
	char head[] = PING HOST "X: aaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n";
	size_t first = sizeof(PING HOST "X: ") - 1;

	for (size_t place = first; place < first + 24; place++) {
		for (int c = 0; c < 256; c++) {
			bool good = c == '\t' || (c >= ' ' && c != 0x7f);
			struct scanned scanned;

			head[place] = (char)c;
			scanned = scan_pieces(head, sizeof(head) - 1, NULL, 0);
			cr_assert_eq(scanned.result, good ? HTTP_OK : HTTP_BAD, "byte %d at %zu", c, place);
		}
		head[place] = 'a';
	}
}

/* A refusal stays one when it is asked for again, with more bytes behind. */
Test(http, scan_bad_stays_bad)
{
	static const char bytes[] = PING "Host: x\n\r\n\r\n";
	struct http_scan scan = {0};
	enum http_refusal refusal;
	size_t head_bytes;

	for (size_t len = sizeof(PING "Host: x\n") - 1; len < sizeof(bytes); len++)
		cr_expect_eq(http_scan(&scan, bytes, len, &head_bytes, &refusal), HTTP_BAD);
}

static char *many_fields(size_t count, const char *line, const char *last, size_t *len)
{
	size_t line_len = strlen(line), at = sizeof(PING HOST) - 1;
	char *head = malloc(at + (count + 1) * line_len + strlen(last) + 3);

	cr_assert_not_null(head);
	memcpy(head, PING HOST, at);
	for (size_t i = 0; i < count; i++, at += line_len)
		memcpy(head + at, line, line_len);
	memcpy(head + at, last, strlen(last));
	at += strlen(last);
	memcpy(head + at, "\r\n", 2);
	*len = at + 2;
	return head;
}

Test(http, field_count_limit)
{
	static struct http_request request;
	enum http_refusal refusal;
	size_t len;
	char *head = many_fields(HTTP_FIELDS_MAX - 1, "a:b\r\n", "", &len);

	cr_expect_eq(http_parse_request(&request, head, len, &refusal), HTTP_OK);
	cr_expect_eq(request.fields_count, HTTP_FIELDS_MAX);
	free(head);
	head = many_fields(HTTP_FIELDS_MAX, "a:b\r\n", "", &len);
	cr_expect_eq(http_parse_request(&request, head, len, &refusal), HTTP_BAD);
	cr_expect_eq(refusal, HTTP_REFUSED_TOO_MANY_FIELDS);
	free(head);
}

Test(http, connection_list_limit)
{
	static struct http_request request;
	enum http_refusal refusal;
	size_t len;
	char *head = many_fields(64, "Connection: x\r\n", "", &len);

	cr_expect_eq(http_parse_request(&request, head, len, &refusal), HTTP_OK);
	free(head);
	head = many_fields(64, "Connection: x\r\n", "Connection: x\r\n", &len);
	cr_expect_eq(http_parse_request(&request, head, len, &refusal), HTTP_BAD);
	cr_expect_eq(refusal, HTTP_REFUSED_CONNECTION);
	free(head);
}

/* The most that writing can add: a space for each colon, Host, Connection. */
Test(http, write_limit)
{
	static struct http_request request;
	char *head = malloc(HTTP_HEAD_MAX_BYTES), *out = malloc(HTTP_WRITE_MAX_BYTES);
	static const char line[] = "GET / HTTP/1.0\r\n";
	enum http_refusal refusal;
	size_t at = sizeof(line) - 1;
	long len;

	cr_assert(head && out);
	memcpy(head, line, at);
	for (size_t i = 0; i < HTTP_FIELDS_MAX; i++, at += 5)
		memcpy(head + at, "a:b\r\n", 5);
	/* The last value fills the head up to its limit. */
	memset(head + at - 2, 'c', HTTP_HEAD_MAX_BYTES - at + 2);
	memcpy(head + HTTP_HEAD_MAX_BYTES - 4, "\r\n\r\n", 4);
	cr_assert_eq(http_parse_request(&request, head, HTTP_HEAD_MAX_BYTES, &refusal), HTTP_OK);
	len = http_write_request(&request, HTTP_CONNECTION_CLOSE, out, HTTP_WRITE_MAX_BYTES);
	cr_expect_eq(len, (long)(HTTP_HEAD_MAX_BYTES + HTTP_FIELDS_MAX +
				 sizeof("Host: \r\nConnection: close\r\n") - 1));
	free(head);
	free(out);
}

Test(http, raw_is_for_answers)
{
	static struct http_request request;
	char head[] = PING HOST END, out[64];
	enum http_refusal refusal;

	cr_assert_eq(http_parse_request(&request, head, sizeof(head) - 1, &refusal), HTTP_OK);
	cr_expect_eq(http_write_request(&request, HTTP_CONNECTION_RAW, out, sizeof(out)), -EINVAL);
}

/* ---- words ---------------------------------------------------------------------------------- */

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
	cr_expect(http_list_has(SPAN("a, B ,c"), SPAN("b")));
	cr_expect(http_list_has(SPAN("\tclose"), SPAN("Close")));
	cr_expect(http_list_has(SPAN(",,x"), SPAN("x")));
	cr_expect_not(http_list_has(SPAN("ab,c"), SPAN("b")));
	cr_expect_not(http_list_has(SPAN("a b"), SPAN("b")));
	cr_expect_not(http_list_has((struct span){0}, SPAN("b")));
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
