/* SPDX-License-Identifier: MIT */
/*
 * The request target and the Host field. The path that comes out is the one form that is matched by
 * the route table and sent to the engine: what the engine would decode or clean once more (Go's
 * ServeMux redirects //, . and ..) does not occur in it.
 */
#include "http_lex.h"

/* "" is the end of a path, or `//`; dots are what RFC 3986 5.2.4 would remove. */
static bool segment_is_dots(const char *segment, size_t len)
{
	return (len == 1 && segment[0] == '.') || (len == 2 && segment[0] == '.' && segment[1] == '.');
}

/* The byte that `%XY` at path[in] stands for; false when it is cut short or not hexadecimal. */
static bool escape_decode(const char *path, size_t in, size_t len, char *c)
{
	if (len - in < 3 || !http_char_is(path[in + 1], HTTP_CHAR_HEX) ||
	    !http_char_is(path[in + 2], HTTP_CHAR_HEX))
		return false;
	*c = (char)(unsigned char)(http_hex_value(path[in + 1]) << 4 | http_hex_value(path[in + 2]));
	return true;
}

/*
 * Decodes a path that starts with '/' in place, once. Only escapes of bytes that may stand there
 * unescaped are decoded (RFC 3986 2.3, 3.3); every other one (%2f, %5c, %00, %25, %3f, %20 ...) would
 * be read differently by the next parser, and no Docker API path needs one.
 */
static enum http_refusal path_decode(char *path, size_t len, size_t *decoded_len)
{
	size_t out = 0, segment = 1;

	for (size_t in = 0; in < len; in++) {
		char c = path[in];

		if (c == '/') {
			if (in > 0 && (out == segment || segment_is_dots(path + segment, out - segment)))
				return HTTP_REFUSED_PATH;
			path[out++] = c;
			segment = out;
			continue;
		}
		if (c == '%') {
			if (!escape_decode(path, in, len, &c))
				return HTTP_REFUSED_PATH;
			in += 2;
		}
		if (!http_char_is(c, HTTP_CHAR_PATH))
			return HTTP_REFUSED_PATH;
		path[out++] = c;
	}
	if (segment_is_dots(path + segment, out - segment))
		return HTTP_REFUSED_PATH;
	*decoded_len = out;
	return HTTP_REFUSED_NOTHING;
}

/* RFC 3986 2.3. */
static bool is_unreserved(char c)
{
	char lower = span_lower(c);

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

/*
 * Takes /t/TOKEN off the start of *path. Raw bytes, before anything is decoded: one spelling, so that a
 * reader of the path elsewhere sees the same token in it, or none.
 */
static bool path_token_take(struct span *path, struct span *token)
{
	struct span rest;
	size_t len = 0;

	if (!span_starts(*path, SPAN("/t/")))
		return true;
	rest = span_skip(*path, 3);
	while (len < rest.len && is_unreserved(rest.ptr[len]))
		len++;
	if (len == 0 || len > TOKEN_SECRET_MAX_BYTES || (len < rest.len && rest.ptr[len] != '/') ||
	    segment_is_dots(rest.ptr, len))
		return false;
	*token = (struct span){.ptr = rest.ptr, .len = len};
	*path = span_skip(rest, len);
	return true;
}

/* The length of "http://" or "https://" at the start, in any case (RFC 3986 3.1); 0 for neither. */
static size_t scheme_len(struct span target)
{
	static const struct span schemes[] = {{"http://", 7}, {"https://", 8}};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (target.len >= schemes[i].len &&
		    span_ieq((struct span){.ptr = target.ptr, .len = schemes[i].len}, schemes[i]))
			return schemes[i].len;
	return 0;
}

/* `path` is what stands before the query, maybe nothing. */
static enum http_refusal path_read(struct http_request *request, char *path, size_t len)
{
	struct span rest = {.ptr = path, .len = len};
	enum http_refusal refusal;

	if (len > 0 && path[0] != '/')
		return HTTP_REFUSED_TARGET;
	/* RFC 9112 3.2.1: an empty path is sent as "/", but with OPTIONS as "*" (3.2.4). */
	if (len == 0 && request->method == HTTP_OPTIONS)
		return HTTP_REFUSED_TARGET;
	if (request->takes_path_token && !path_token_take(&rest, &request->path_token))
		return HTTP_REFUSED_PATH;
	request->path = SPAN("/");
	if (rest.len == 0)
		return HTTP_REFUSED_NOTHING;
	path += len - rest.len;
	refusal = path_decode(path, rest.len, &len);
	if (refusal)
		return refusal;
	request->path = (struct span){.ptr = path, .len = len};
	/* Another one, or one in another spelling. */
	return request->takes_path_token && span_starts(request->path, SPAN("/t/")) ? HTTP_REFUSED_PATH
										    : HTTP_REFUSED_NOTHING;
}

enum http_refusal http_target_parse(struct http_request *request, char *target, size_t len,
				    struct span *authority)
{
	size_t at = 0, path_len;

	*authority = (struct span){0};
	if (len == 0)
		return HTTP_REFUSED_TARGET;
	if (target[0] != '/') {
		/* RFC 9112 3.2.2; authority-form and asterisk-form end here too (3.2.3, 3.2.4). */
		at = scheme_len((struct span){.ptr = target, .len = len});
		authority->ptr = target + at;
		while (at && at < len && target[at] != '/' && target[at] != '?' && target[at] != '#') {
			authority->len++;
			at++;
		}
		if (authority->len == 0)
			return HTTP_REFUSED_TARGET;
	}

	path_len = 0;
	while (at + path_len < len && target[at + path_len] != '?')
		path_len++;
	request->query = (struct span){.ptr = target + at + path_len, .len = len - at - path_len};
	if (!http_all_of(request->query, HTTP_CHAR_QUERY))
		return HTTP_REFUSED_TARGET;
	return path_read(request, target + at, path_len);
}

/* RFC 3986 3.2.3, without the empty port, which nobody sends. */
static bool port_ok(struct span port)
{
	unsigned value = 0;

	if (port.len == 0 || port.len > 5 || !http_all_of(port, HTTP_CHAR_DIGIT))
		return false;
	for (size_t i = 0; i < port.len; i++)
		value = value * 10 + (unsigned)(port.ptr[i] - '0');
	return value <= UINT16_MAX;
}

/* The length of "[...]" at the start of `host`, 0 when it is not an address literal. No zones. */
static size_t literal_len(struct span host)
{
	for (size_t i = 1; i < host.len; i++) {
		if (host.ptr[i] == ']')
			return i >= 3 ? i + 1 : 0;
		if (!http_char_is(host.ptr[i], HTTP_CHAR_HEX) && host.ptr[i] != ':' && host.ptr[i] != '.')
			return 0;
	}
	return 0;
}

/* The length of the reg-name at the start of `host`. */
static size_t reg_name_len(struct span host)
{
	size_t len = 0;
	char c;

	while (len < host.len) {
		if (http_char_is(host.ptr[len], HTTP_CHAR_HOST))
			len++;
		else if (host.ptr[len] == '%' && escape_decode(host.ptr, len, host.len, &c))
			len += 3;
		else
			break;
	}
	return len;
}

bool http_host_ok(struct span host)
{
	size_t len;

	if (host.len == 0)
		return true;
	if (host.ptr[0] == '[') {
		len = literal_len(host);
		if (len == 0)
			return false;
	} else {
		len = reg_name_len(host);
	}
	host = span_skip(host, len);
	return host.len == 0 || (host.ptr[0] == ':' && port_ok(span_skip(host, 1)));
}
