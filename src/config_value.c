/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config_host.h"
#include "config_option.h"

/* 24 days: in milliseconds it still fits an int, as poll() and timers have it. */
#define DURATION_MAX_MS (24U * 24 * 3600 * 1000)

static_assert(sizeof(enum config_event) == sizeof(unsigned) && sizeof(enum config_ktls) == sizeof(unsigned) &&
		  sizeof(enum config_mover) == sizeof(unsigned) &&
		  sizeof(enum config_sandbox) == sizeof(unsigned) &&
		  sizeof(enum log_level) == sizeof(unsigned),
	      "words are stored as unsigned");

/* Digits only, which strtonum() alone does not ask for. */
static bool number_parse(const char *text, size_t length, unsigned min, unsigned max, unsigned *number)
{
	char digits[12];
	const char *error;
	long long value;

	if (length == 0 || length >= sizeof(digits) || strspn(text, "0123456789") < length)
		return false;
	memcpy(digits, text, length);
	digits[length] = '\0';
	value = strtonum(digits, min, max, &error);
	if (error)
		return false;
	*number = (unsigned)value;
	return true;
}

int config_duration_parse(const char *text, unsigned *milliseconds)
{
	static const struct {
		const char *unit;
		unsigned milliseconds;
	} units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	size_t digits = strspn(text, "0123456789");

	if (digits == 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		unsigned number;

		if (strcmp(text + digits, units[i].unit) != 0)
			continue;
		if (!number_parse(text, digits, 0, DURATION_MAX_MS / units[i].milliseconds, &number))
			return -ERANGE;
		*milliseconds = number * units[i].milliseconds;
		return 0;
	}
	return -EINVAL;
}

static int refuse(const char **reason, const char *text)
{
	*reason = text;
	return -EINVAL;
}

/* All digits and dots: it is meant as an IPv4 address, and must be one. */
static bool looks_like_ipv4(const char *host)
{
	return host[strspn(host, "0123456789.")] == '\0';
}

/* What an interface can be called, as far as it is of any use in an address. */
static bool zone_ok(const char *zone)
{
	size_t len = strlen(zone);

	if (len == 0 || len >= IF_NAMESIZE)
		return false;
	for (const char *c = zone; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			return false;
	return true;
}

/* An IPv6 address, perhaps with a %zone. */
static bool ipv6_ok(const char *host)
{
	struct span address = {.ptr = host, .len = strcspn(host, "%")};
	const char *zone = host + address.len;

	return config_host_kind(address) == CONFIG_HOST_IPV6 && (*zone == '\0' || zone_ok(zone + 1));
}

static int unix_parse(struct config_address *address, const char *path, const char **reason)
{
	if (path[0] != '/')
		return refuse(reason, "has no absolute path: unix:///PATH");
	if (path[strspn(path, "/")] == '\0')
		return refuse(reason, "names no socket: unix:///PATH");
	if (strlcpy(address->path, path, sizeof(address->path)) >= sizeof(address->path))
		return refuse(reason, "has a path of more than 107 characters, which no socket can have");
	return 0;
}

/* Cuts HOST:PORT; *port is where the port starts. */
static int host_cut(struct config_address *address, const char *text, const char **port, const char **reason)
{
	bool brackets = text[0] == '[';
	const char *start = text + brackets, *end = brackets ? strchr(start, ']') : strchr(start, ':');
	size_t length;

	if (!end)
		return refuse(reason,
			      brackets ? "has no ']' after the IPv6 address" : "has no port: HOST:PORT");
	if (!brackets && strchr(end + 1, ':'))
		return refuse(reason,
			      "has more than one ':'; an IPv6 address stands in brackets: [::1]:2376");
	if (brackets && end[1] != ':')
		return refuse(reason, "has no port after the ']': [ADDRESS]:PORT");
	length = (size_t)(end - start);
	if (length >= sizeof(address->host))
		return refuse(reason, "has a host name of more than 253 characters");
	memcpy(address->host, start, length);
	address->host[length] = '\0';
	*port = end + brackets + 1;
	if (brackets)
		return ipv6_ok(address->host) ? 0 : refuse(reason, "has no IPv6 address in its brackets");
	if (length == 0)
		return 0;
	switch (config_host_kind(span_of(address->host))) {
	case CONFIG_HOST_DNS:
	case CONFIG_HOST_IPV4:
		return 0;
	case CONFIG_HOST_NONE:
	case CONFIG_HOST_WILDCARD:
	case CONFIG_HOST_IPV6:
		break;
	}
	return refuse(reason, looks_like_ipv4(address->host) ? "has an IPv4 address that is none"
							     : "has a host that is no name and no address");
}

static int inet_parse(struct config_address *address, const char *text, bool listener, const char **reason)
{
	const char *port_text = "";
	unsigned port;
	int error;

	if (strchr(text, '@'))
		return refuse(reason, "has a user name or password in it, which an address cannot have");
	error = host_cut(address, text, &port_text, reason);
	if (error)
		return error;
	if (address->host[0] == '\0' && !listener)
		return refuse(reason, "has no host: HOST:PORT");
	if (!number_parse(port_text, strlen(port_text), listener ? 0 : 1, UINT16_MAX, &port))
		return refuse(reason, listener ? "has no port between 0 and 65535 at its end"
					       : "has no port between 1 and 65535 at its end");
	address->port = (uint16_t)port;
	return 0;
}

/* Also compared by its address: what an option says to it depends on the schemes that it takes. */
static const char no_scheme[] = "is no address: unix:///PATH, tcp://HOST:PORT or tls://HOST:PORT";

int config_address_parse(struct config_address *address, const char *text, bool listener, const char **reason)
{
	static const struct {
		struct span prefix;
		enum config_scheme scheme;
	} schemes[] = {
	    {{"unix://", 7}, CONFIG_UNIX}, {{"tcp://", 6}, CONFIG_TCP}, {{"tls://", 6}, CONFIG_TLS}};
	struct config_address parsed = {0};

	for (const char *c = text; *c; c++)
		if (*c <= 0x20 || *c >= 0x7f)
			return refuse(reason, "has a blank or another character in it that no address has");
	if (strlcpy(parsed.text, text, sizeof(parsed.text)) >= sizeof(parsed.text))
		return refuse(reason, "is longer than an address can be");
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		const char *rest = text + schemes[i].prefix.len;
		int error;

		if (!span_starts(span_of(text), schemes[i].prefix))
			continue;
		parsed.scheme = schemes[i].scheme;
		error = parsed.scheme == CONFIG_UNIX ? unix_parse(&parsed, rest, reason)
						     : inet_parse(&parsed, rest, listener, reason);
		if (error == 0)
			*address = parsed;
		return error;
	}
	return refuse(reason, no_scheme);
}

static int reason_write(char reason[CONFIG_REASON_CAP], const char *format, ...) PRINTF_LIKE(2, 3);

static int reason_write(char reason[CONFIG_REASON_CAP], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vsnprintf(reason, CONFIG_REASON_CAP, format, args) < 0)
		reason[0] = '\0';
	va_end(args);
	return -EINVAL;
}

/* A path or a [HOST:]PORT is an address but for its scheme: then the reason says the whole. */
static int suggest_address(const struct config_option *option, const char *value,
			   char reason[CONFIG_REASON_CAP])
{
	bool listener = option->kind == CONFIG_VALUE_LISTEN;
	bool path = value[0] == '/', port = value[strspn(value, "0123456789")] == '\0';
	const char *scheme = path ? "unix://" : listener ? "tls://" : "tcp://";
	/* What asks for no token is better kept at home. */
	const char *host = !port ? "" : listener ? "0.0.0.0:" : "127.0.0.1:";
	struct config_address address;
	const char *ignored;
	char text[sizeof(address.text)];

	snprintf(text, sizeof(text), "%s%s%s", scheme, host, value);
	if (config_address_parse(&address, text, listener, &ignored) == 0)
		return reason_write(reason, "has no scheme; write %s", text);
	switch (option->kind) {
	case CONFIG_VALUE_LISTEN:
		return reason_write(reason, "is no address: tls://HOST:PORT or unix:///PATH");
	case CONFIG_VALUE_ADMIN:
		return reason_write(reason, "is no address: tcp://HOST:PORT or unix:///PATH");
	default:
		return reason_write(reason, "%s", no_scheme);
	}
}

static int set_address(struct config_address *address, const struct config_option *option, const char *value,
		       char reason[CONFIG_REASON_CAP])
{
	const char *text = NULL;
	bool listener = option->kind == CONFIG_VALUE_LISTEN;

	if (config_address_parse(address, value, listener, &text))
		return text == no_scheme ? suggest_address(option, value, reason)
					 : reason_write(reason, "%s", text);
	if (listener && address->scheme == CONFIG_TCP)
		return reason_write(reason,
				    "would carry tokens in the clear; use tls://HOST:PORT or unix:///PATH");
	if (option->kind == CONFIG_VALUE_ADMIN && address->scheme == CONFIG_TLS)
		return reason_write(reason, "cannot be TLS; use tcp://127.0.0.1:PORT or unix:///PATH");
	return 0;
}

/* HOST:PORT; the tls:// before it goes without saying. */
static int set_remote(struct config_address *address, const char *value, char reason[CONFIG_REASON_CAP])
{
	char text[sizeof(address->text)];
	const char *why = NULL;
	int n = snprintf(text, sizeof(text), "%s%s", strstr(value, "://") ? "" : "tls://", value);

	if (n < 0 || (size_t)n >= sizeof(text))
		return reason_write(reason, "is longer than an address can be");
	if (config_address_parse(address, text, false, &why))
		return reason_write(reason, "%s", why == no_scheme ? "is no address: HOST:PORT" : why);
	if (address->scheme != CONFIG_TLS)
		return reason_write(reason, "is no address of a headgate: HOST:PORT, spoken to over TLS");
	return 0;
}

static int set_flag(bool *flag, const char *value, char reason[CONFIG_REASON_CAP])
{
	*flag = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
	if (*flag || strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		return 0;
	return reason_write(reason, "is not true or false");
}

/* "20/1m"; 0 alone says never. */
static int set_rate(unsigned rate[2], const struct config_option *option, const char *value,
		    char reason[CONFIG_REASON_CAP])
{
	size_t digits = strcspn(value, "/");

	if (strcmp(value, "0") == 0)
		return 0;
	if (value[digits] == '/' && number_parse(value, digits, 1, option->max, &rate[0]) &&
	    config_duration_parse(value + digits + 1, &rate[1]) == 0 && rate[1] > 0)
		return 0;
	return reason_write(reason, "is not a number of times in a time, like 20/1m, or 0");
}

static unsigned hex_nibble(char c)
{
	static const char digits[] = "0123456789abcdef";

	return (unsigned)(strchr(digits, tolower((unsigned char)c)) - digits);
}

/* With or without what `openssl x509 -fingerprint` writes: colons, and the kind with an equals sign before
 * it. */
static int set_digest(struct config_digest *digest, const char *value, char reason[CONFIG_REASON_CAP])
{
	static const char kind[] = "sha256 Fingerprint=";
	size_t nibbles = 0;

	if (strncasecmp(value, kind, sizeof(kind) - 1) == 0)
		value += sizeof(kind) - 1;

	for (const char *c = value; *c; c++) {
		if (*c == ':' && nibbles % 2 == 0 && nibbles > 0 && c[1])
			continue;
		if (!isxdigit((unsigned char)*c) || nibbles == 2 * sizeof(digest->bytes)) {
			nibbles = 0;
			break;
		}
		unsigned nibble = hex_nibble(*c);
		digest->bytes[nibbles / 2] = (uint8_t)((unsigned)digest->bytes[nibbles / 2] << 4 | nibble);
		nibbles++;
	}
	digest->is_given = nibbles == 2 * sizeof(digest->bytes);
	return digest->is_given ? 0 : reason_write(reason, "is not a SHA-256 fingerprint: 64 hex digits");
}

static int set_word(unsigned *word, const struct config_option *option, const char *value,
		    char reason[CONFIG_REASON_CAP])
{
	size_t used;

	for (unsigned i = 0; option->words[i]; i++) {
		if (strcmp(option->words[i], value) == 0) {
			*word = i;
			return 0;
		}
	}
	used = strlcpy(reason, "is not one of", CONFIG_REASON_CAP);
	for (size_t i = 0; option->words[i] && used < CONFIG_REASON_CAP; i++)
		used += (size_t)snprintf(reason + used, CONFIG_REASON_CAP - used, "%s %s", i ? "," : "",
					 option->words[i]);
	return -EINVAL;
}

static int set_number(unsigned *number, const struct config_option *option, const char *value,
		      char reason[CONFIG_REASON_CAP])
{
	if (option->kind == CONFIG_VALUE_NUMBER) {
		if (number_parse(value, strlen(value), option->min, option->max, number))
			return 0;
		return reason_write(reason, "is not a number between %u and %u", option->min, option->max);
	}
	if (config_duration_parse(value, number) == 0 && *number >= option->min)
		return 0;
	return reason_write(reason, "is not a time between %s and 24 days, like 500ms, 10s, 5m or 2h",
			    option->min ? "1ms" : "0");
}

static int set_text(const char **target, const struct config_option *option, const char *value,
		    char reason[CONFIG_REASON_CAP])
{
	if (option->kind == CONFIG_VALUE_NAME) {
		struct span name;

		if (config_host_san(span_of(value), &name) == CONFIG_HOST_NONE)
			return reason_write(reason, "is not a host name, an IPv4 or an IPv6 address");
	} else if (strlen(value) >= PATH_MAX) {
		return reason_write(reason, "is longer than a path can be");
	}
	*target = value;
	return 0;
}

int config_value_set(struct config *config, const struct config_option *option, const char *value,
		     char reason[CONFIG_REASON_CAP])
{
	char *field = (char *)config + option->offset;
	size_t count = 0;
	struct config_address address = {0};
	const char *text = NULL;
	unsigned number = 0;
	unsigned rate[2] = {0};
	bool flag = false;
	struct address_prefix prefix = {0};
	struct config_digest digest = {0};
	const void *from = &number;
	size_t size = sizeof(number);
	int error;

	if (option->count_offset) {
		memcpy(&count, (char *)config + option->count_offset, sizeof(count));
		if (count >= option->max)
			return reason_write(reason, "is one too many; there can be %u", option->max);
	}
	switch (option->kind) {
	case CONFIG_VALUE_FLAG:
		error = set_flag(&flag, value, reason);
		from = &flag;
		size = sizeof(flag);
		break;
	case CONFIG_VALUE_PREFIX:
		error = address_prefix_parse(&prefix, span_of(value));
		if (error)
			reason_write(reason,
				     "is no address or prefix like 10.0.0.0/8 or 2001:db8::/32 (bits behind "
				     "a prefix must be 0)");
		from = &prefix;
		size = sizeof(prefix);
		break;
	case CONFIG_VALUE_RATE:
		error = set_rate(rate, option, value, reason);
		from = rate;
		size = sizeof(rate);
		break;
	case CONFIG_VALUE_DIGEST:
		error = set_digest(&digest, value, reason);
		from = &digest;
		size = sizeof(digest);
		break;
	case CONFIG_VALUE_REMOTE:
		error = set_remote(&address, value, reason);
		from = &address;
		size = sizeof(address);
		break;
	case CONFIG_VALUE_LISTEN:
	case CONFIG_VALUE_ENGINE:
	case CONFIG_VALUE_ADMIN:
		error = set_address(&address, option, value, reason);
		from = &address;
		size = sizeof(address);
		break;
	case CONFIG_VALUE_WORD:
		error = set_word(&number, option, value, reason);
		break;
	case CONFIG_VALUE_NUMBER:
	case CONFIG_VALUE_DURATION:
		error = set_number(&number, option, value, reason);
		break;
	case CONFIG_VALUE_TEXT:
	case CONFIG_VALUE_NAME:
	default:
		error = set_text(&text, option, value, reason);
		from = &text;
		size = sizeof(text);
		break;
	}
	if (error)
		return error;
	memcpy(field + count * size, from, size);
	if (option->count_offset) {
		count++;
		memcpy((char *)config + option->count_offset, &count, sizeof(count));
	}
	return 0;
}

size_t config_edit_distance(struct span a, struct span b)
{
	/* Rows of the optimal string alignment matrix: i-2, i-1 and i. */
	size_t rows[3][CONFIG_NAME_CAP + 1];

	if (a.len > CONFIG_NAME_CAP || b.len > CONFIG_NAME_CAP)
		return SIZE_MAX;
	for (size_t j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t best = before[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);

			if (before[j] + 1 < best)
				best = before[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
			    two_before[j - 2] + 1 < best)
				best = two_before[j - 2] + 1;
			now[j] = best;
		}
	}
	return rows[a.len % 3][b.len];
}
