/* SPDX-License-Identifier: MIT */
/*
 * Answer heads from the engine. The first byte says which method the answer is to; what was taken and
 * written must be read by the client with the same framing that we read.
 */
#include "http_fuzz.h"

static struct http_answer first, again;

static void check_answer(const struct http_answer *answer, enum http_method to_method)
{
	bool bodiless = answer->status < 200 || answer->status == 204 || answer->status == 304;

	FUZZ_CHECK(answer->status >= 100 && answer->status <= 599);
	FUZZ_CHECK((answer->framing == HTTP_FRAMING_NONE) == (bodiless || to_method == HTTP_HEAD));
	FUZZ_CHECK(answer->framing != HTTP_FRAMING_LENGTH || answer->has_content_length);
	FUZZ_CHECK(answer->framing != HTTP_FRAMING_CLOSE || !answer->keep_alive);
	FUZZ_CHECK(answer->content_length <= INT64_MAX);
	FUZZ_CHECK(!answer->upgrade || answer->upgrade_to.len > 0);
	FUZZ_CHECK(answer->fields_count <= HTTP_FIELDS_MAX);
}

/* Reads what was written with that connection as the client does, and writes it again. */
static void check_again(enum http_connection connection, enum http_method to_method, const char *out,
			size_t len)
{
	char *twice = malloc(HTTP_WRITE_MAX_BYTES);
	enum http_refusal refusal;

	FUZZ_CHECK(twice);
	FUZZ_CHECK(http_parse_answer(&again, out, len, to_method, &refusal) == HTTP_OK);
	check_answer(&again, to_method);
	FUZZ_CHECK(again.status == first.status && again.minor_version == 1);
	FUZZ_CHECK(span_eq(again.reason, first.reason) && span_eq(again.content_type, first.content_type));
	if (connection != HTTP_CONNECTION_RAW) {
		FUZZ_CHECK(again.framing == first.framing && again.content_length == first.content_length);
		FUZZ_CHECK(again.framing != HTTP_FRAMING_CLOSE || !again.keep_alive);
		FUZZ_CHECK(connection != HTTP_CONNECTION_CLOSE || !again.keep_alive);
	}
	FUZZ_CHECK(http_write_answer(&again, connection, twice, HTTP_WRITE_MAX_BYTES) == (long)len);
	FUZZ_CHECK(memcmp(out, twice, len) == 0);
	free(twice);
}

static void check_written(enum http_connection connection, enum http_method to_method)
{
	char *out = malloc(HTTP_WRITE_MAX_BYTES);
	bool raw = connection == HTTP_CONNECTION_RAW;
	size_t len, head_bytes;

	FUZZ_CHECK(out);
	len = (size_t)http_write_answer(&first, connection, out, HTTP_WRITE_MAX_BYTES);
	FUZZ_CHECK(len <= HTTP_WRITE_MAX_BYTES);
	if (len <= HTTP_HEAD_MAX_BYTES)
		FUZZ_CHECK(fuzz_scan((const uint8_t *)out, len, &head_bytes) && head_bytes == len);
	FUZZ_CHECK(memcmp(out, "HTTP/1.1 ", 9) == 0);
	FUZZ_CHECK(fuzz_count_fields(out, len, "content-length") == (!raw && first.has_content_length));
	FUZZ_CHECK(fuzz_count_fields(out, len, "transfer-encoding") ==
		   (!raw && first.framing == HTTP_FRAMING_CHUNKED));
	FUZZ_CHECK(fuzz_count_fields(out, len, "connection") <= !raw);
	FUZZ_CHECK(fuzz_count_fields(out, len, "upgrade") <= (connection == HTTP_CONNECTION_UPGRADE));
	fuzz_check_hop_by_hop(out, len);

	if (fuzz_fields_fit(out, len))
		check_again(connection, to_method, out, len);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum http_method to_method;
	enum http_refusal refusal;
	size_t head_bytes = 0;
	bool scanned;
	char *buf;

	if (size == 0)
		return 0;
	to_method = (enum http_method)(data[0] % (HTTP_OTHER + 1));
	data++;
	size--;
	scanned = fuzz_scan(data, size, &head_bytes);
	buf = fuzz_copy(data, size);
	(void)!http_parse_answer(&first, buf, size, to_method, &refusal);
	free(buf);
	if (!scanned)
		return 0;

	buf = fuzz_copy(data, head_bytes);
	if (http_parse_answer(&first, buf, head_bytes, to_method, &refusal) == HTTP_OK) {
		check_answer(&first, to_method);
		check_written(HTTP_CONNECTION_KEEP, to_method);
		check_written(HTTP_CONNECTION_CLOSE, to_method);
		/* Raw is for answers that end with the connection; with a length it would be a lie. */
		if (first.framing == HTTP_FRAMING_CLOSE)
			check_written(HTTP_CONNECTION_RAW, to_method);
		if (first.upgrade)
			check_written(HTTP_CONNECTION_UPGRADE, to_method);
	} else {
		FUZZ_CHECK(refusal != HTTP_REFUSED_NOTHING && refusal < HTTP_REFUSAL_COUNT);
	}
	free(buf);
	return 0;
}
