/* SPDX-License-Identifier: MIT */
/*
 * Request heads. What was taken and written must parse again to the same request, writing that must
 * give the same bytes, and nothing hop-by-hop and no credentials may be in them. A token in the path must be
 * gone from it as if it had never been there.
 */
#include "http_fuzz.h"
#include "http_lex.h"

static struct http_request first, again;

/* The normal form, judged anew: one '/' at a time, no dots, nothing that wants decoding. */
static void check_path(struct span path)
{
	FUZZ_CHECK(path.len > 0 && path.ptr[0] == '/');
	for (size_t i = 0; i < path.len; i++) {
		struct span rest = span_skip(path, i);
		size_t end = 1;

		FUZZ_CHECK(path.ptr[i] > ' ' && path.ptr[i] < 0x7f &&
			   !strchr("%?#\\\"<>[]^`{|}", path.ptr[i]));
		if (path.ptr[i] != '/')
			continue;
		while (end < rest.len && rest.ptr[end] != '/')
			end++;
		rest.len = end;
		FUZZ_CHECK(!span_eq(rest, SPAN("/.")) && !span_eq(rest, SPAN("/..")));
		FUZZ_CHECK(rest.len > 1 || i + 1 == path.len);
	}
}

/* What the parser promises about a request that it took. */
static void check_request(const struct http_request *request, const char *buf, size_t len)
{
	check_path(request->path);
	FUZZ_CHECK(span_eq(request->path, SPAN("/")) || fuzz_span_inside(request->path, buf, len));
	FUZZ_CHECK(fuzz_span_inside(request->query, buf, len));
	FUZZ_CHECK(request->query.len == 0 || request->query.ptr[0] == '?');
	FUZZ_CHECK(fuzz_span_inside(request->host, buf, len));
	FUZZ_CHECK(request->minor_version == 0 || request->minor_version == 1);
	FUZZ_CHECK(request->framing != HTTP_FRAMING_CLOSE);
	FUZZ_CHECK(request->framing != HTTP_FRAMING_CHUNKED || request->minor_version == 1);
	FUZZ_CHECK(request->content_length <= INT64_MAX);
	FUZZ_CHECK(request->framing == HTTP_FRAMING_LENGTH || request->content_length == 0);
	FUZZ_CHECK(!request->upgrade || (request->minor_version == 1 && request->upgrade_to.len > 0));
	FUZZ_CHECK(!(request->upgrade && request->upgrade_ignored));
	FUZZ_CHECK(request->fields_count <= HTTP_FIELDS_MAX);
	for (size_t i = 0; i < request->fields_count; i++) {
		FUZZ_CHECK(request->fields[i].name.len > 0);
		FUZZ_CHECK(fuzz_span_inside(request->fields[i].name, buf, len));
		FUZZ_CHECK(fuzz_span_inside(request->fields[i].value, buf, len));
	}
}

static void check_same(const struct http_request *a, const struct http_request *b)
{
	FUZZ_CHECK(a->method == b->method && span_eq(a->method_name, b->method_name));
	FUZZ_CHECK(span_eq(a->path, b->path) && span_eq(a->query, b->query) && span_eq(a->host, b->host));
	FUZZ_CHECK(a->framing == b->framing && a->content_length == b->content_length);
	FUZZ_CHECK(a->minor_version == b->minor_version && a->expect_continue == b->expect_continue);
	FUZZ_CHECK(span_eq(a->content_type, b->content_type));
}

/* Reads what was written with that connection, and writes it again. */
static void check_again(enum http_connection connection, const char *out, size_t len)
{
	char *exact = fuzz_copy(out, len), *twice = malloc(HTTP_WRITE_MAX_BYTES);
	bool upgrade = connection == HTTP_CONNECTION_UPGRADE;
	enum http_refusal refusal;

	FUZZ_CHECK(twice);
	FUZZ_CHECK(http_parse_request(&again, exact, len, &refusal) == HTTP_OK);
	check_request(&again, exact, len);
	check_same(&first, &again);
	FUZZ_CHECK(again.upgrade == upgrade && !again.upgrade_ignored);
	FUZZ_CHECK(!upgrade || span_eq(again.upgrade_to, first.upgrade_to));
	FUZZ_CHECK(connection != HTTP_CONNECTION_CLOSE || !again.keep_alive);
	FUZZ_CHECK(!again.has_token && !again.has_authorization);

	FUZZ_CHECK(http_write_request(&again, connection, NULL, twice, HTTP_WRITE_MAX_BYTES) == (long)len);
	FUZZ_CHECK(memcmp(out, twice, len) == 0);
	free(twice);
	free(exact);
}

/* What Connection lists is gone, but for the two fields that we write ourselves. */
static void check_listed(const char *out, size_t len)
{
	for (size_t i = 0; i < first.fields_count; i++) {
		struct span list = first.fields[i].value, member;
		char name[64];

		if (!span_ieq(first.fields[i].name, SPAN("connection")))
			continue;
		while (http_list_next(&list, &member)) {
			if (member.len == 0 || member.len >= sizeof(name) ||
			    span_ieq(member, SPAN("connection")) || span_ieq(member, SPAN("upgrade")))
				continue;
			memcpy(name, member.ptr, member.len);
			name[member.len] = 0;
			FUZZ_CHECK(fuzz_count_fields(out, len, name) == 0);
		}
	}
}

/* Writes `first` with that connection and looks at what came out. */
static void check_written(enum http_connection connection)
{
	char *out = malloc(HTTP_WRITE_MAX_BYTES);
	size_t len, head_bytes;

	FUZZ_CHECK(out);
	len = (size_t)http_write_request(&first, connection, NULL, out, HTTP_WRITE_MAX_BYTES);
	FUZZ_CHECK(len <= HTTP_WRITE_MAX_BYTES);
	/* A head that was full already may be over the limit with what we add; dockerd's is 1 MiB. */
	if (len <= HTTP_HEAD_MAX_BYTES)
		FUZZ_CHECK(fuzz_scan((const uint8_t *)out, len, &head_bytes) && head_bytes == len);

	FUZZ_CHECK(fuzz_count_fields(out, len, "host") == 1);
	FUZZ_CHECK(fuzz_count_fields(out, len, "token") == 0);
	FUZZ_CHECK(fuzz_count_fields(out, len, "authorization") == 0);
	FUZZ_CHECK(fuzz_count_fields(out, len, "content-length") == (first.framing == HTTP_FRAMING_LENGTH));
	FUZZ_CHECK(fuzz_count_fields(out, len, "transfer-encoding") ==
		   (first.framing == HTTP_FRAMING_CHUNKED));
	FUZZ_CHECK(fuzz_count_fields(out, len, "connection") == (connection != HTTP_CONNECTION_KEEP));
	FUZZ_CHECK(fuzz_count_fields(out, len, "upgrade") == (connection == HTTP_CONNECTION_UPGRADE));
	fuzz_check_hop_by_hop(out, len);
	check_listed(out, len);

	if (fuzz_fields_fit(out, len))
		check_again(connection, out, len);
	FUZZ_CHECK(http_write_request(&first, connection, NULL, out, len - 1) < 0);
	free(out);
}

/* The token that we send ourselves, and nobody else's; but for its line nothing changes. */
static void check_token_written(enum http_connection connection)
{
	static const char secret[] = "hg_fuzz", line[] = "token: hg_fuzz\r\n";
	char *with = malloc(HTTP_WRITE_MAX_BYTES), *without = malloc(HTTP_WRITE_MAX_BYTES);
	long with_len, without_len;

	FUZZ_CHECK(with && without);
	with_len = http_write_request(&first, connection, secret, with, HTTP_WRITE_MAX_BYTES);
	without_len = http_write_request(&first, connection, NULL, without, HTTP_WRITE_MAX_BYTES);
	FUZZ_CHECK(without_len > 0 && with_len == without_len + (long)strlen(line));
	FUZZ_CHECK(fuzz_count_fields(with, (size_t)with_len, "token") == 1);
	const char *at = memmem(with, (size_t)with_len, line, strlen(line));
	FUZZ_CHECK(at && memcmp(with, without, (size_t)(at - with)) == 0);
	FUZZ_CHECK(memcmp(at + strlen(line), without + (at - with),
			  (size_t)(without + without_len - without) - (size_t)(at - with)) == 0);
	free(with);
	free(without);
}

/* The head as it would be without /t/TOKEN in its path, read without looking for one, is the same request. */
static void check_path_token(const uint8_t *data, size_t len)
{
	char *buf = fuzz_copy(data, len), *bare = fuzz_copy(data, len);
	enum http_refusal refusal, bare_refusal;

	first.takes_path_token = true;
	if (http_parse_request(&first, buf, len, &refusal) == HTTP_OK) {
		struct span token = first.path_token;
		bool has_slash = token.len > 0 && token.ptr[token.len] == '/';
		size_t bare_len = len;

		check_request(&first, buf, len);
		FUZZ_CHECK(!span_starts(first.path, SPAN("/t/")));
		FUZZ_CHECK(token.len <= TOKEN_SECRET_MAX_BYTES && fuzz_span_inside(token, buf, len));
		for (size_t i = 0; i < token.len; i++)
			FUZZ_CHECK(http_char_is(token.ptr[i], HTTP_CHAR_TOKEN) &&
				   !strchr("!#$%&'*+^`|", token.ptr[i]));
		if (token.len > 0) {
			char *at = bare + (token.ptr - buf) - 3;
			size_t cut = 3 + token.len;

			if (!has_slash) { /* nothing left: "/" */
				at++;
				cut--;
			}
			memmove(at, at + cut, len - (size_t)(at - bare) - cut);
			bare_len -= cut;
		}
		again.takes_path_token = false;
		FUZZ_CHECK(http_parse_request(&again, bare, bare_len, &bare_refusal) == HTTP_OK);
		check_same(&first, &again);
		FUZZ_CHECK(first.has_token == again.has_token && again.path_token.len == 0);
	} else {
		FUZZ_CHECK(refusal != HTTP_REFUSED_NOTHING && refusal < HTTP_REFUSAL_COUNT);
	}
	free(buf);
	free(bare);
	first.takes_path_token = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum http_refusal refusal;
	size_t head_bytes = size;
	bool scanned = fuzz_scan(data, size, &head_bytes);
	char *buf;

	/* Unscanned bytes may be judged wrongly, but must do no harm. */
	buf = fuzz_copy(data, size);
	(void)!http_parse_request(&first, buf, size, &refusal);
	free(buf);
	if (!scanned)
		return 0;

	buf = fuzz_copy(data, head_bytes);
	if (http_parse_request(&first, buf, head_bytes, &refusal) == HTTP_OK) {
		FUZZ_CHECK(refusal == HTTP_REFUSED_NOTHING);
		check_request(&first, buf, head_bytes);
		check_written(HTTP_CONNECTION_KEEP);
		check_written(HTTP_CONNECTION_CLOSE);
		check_token_written(HTTP_CONNECTION_CLOSE);
		if (first.upgrade)
			check_written(HTTP_CONNECTION_UPGRADE);
	} else {
		FUZZ_CHECK(refusal != HTTP_REFUSED_NOTHING && refusal < HTTP_REFUSAL_COUNT);
	}
	free(buf);
	check_path_token(data, head_bytes);
	return 0;
}
