/* SPDX-License-Identifier: MIT */
/* http_request_test.c: good requests, and what goes to the engine for each. */
#include "http_support.h"

#include <errno.h>

TestSuite(http, .timeout = 300);

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
	struct http_request again = {.takes_path_token = false};
	enum http_refusal refusal;
	long first_len, second_len;

	cr_assert(first && second);
	first_len = http_write_request(request, connection, NULL, first, HTTP_WRITE_MAX_BYTES);
	cr_assert(first_len == (long)strlen(row->writes) && !memcmp(first, row->writes, (size_t)first_len),
		  "wrote\n%.*s\nnot\n%s", (int)first_len, first, row->writes);
	for (size_t cap = 0; cap < (size_t)first_len; cap++) {
		char *exact = copy(first, cap);

		cr_assert_eq(http_write_request(request, connection, NULL, exact, cap), -ENOSPC);
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
	second_len = http_write_request(&again, connection, NULL, second, HTTP_WRITE_MAX_BYTES);
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
		request.takes_path_token = false;
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
