/* SPDX-License-Identifier: MIT */
/* config_host.c: see config_host.h. */
#include "config_host.h"

#include <arpa/inet.h>

#include "compiler.h"

#define LABEL_MAX ((size_t)63)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* '_' is no host name character (RFC 952), but containers have it, and every verifier takes it. */
static bool label_char_ok(char c)
{
	c = span_lower(c);
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

static bool label_ok(struct span label)
{
	if (label.len == 0 || label.len > LABEL_MAX || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++)
		if (!label_char_ok(label.ptr[i]))
			return false;
	return true;
}

static bool digits_only(struct span label)
{
	for (size_t i = 0; i < label.len; i++)
		if (!is_digit(label.ptr[i]))
			return false;
	return true;
}

/* A last label of digits only is a mistyped IPv4 address; resolvers take some of these for one. */
static bool dns_ok(struct span name)
{
	while (true) {
		const char *dot = name.len ? memchr(name.ptr, '.', name.len) : NULL;
		struct span label = {.ptr = name.ptr, .len = dot ? (size_t)(dot - name.ptr) : name.len};

		if (!label_ok(label))
			return false;
		if (!dot)
			return !digits_only(label);
		name = span_skip(name, label.len + 1);
	}
}

static enum config_host address_kind(struct span text)
{
	char string[INET6_ADDRSTRLEN];
	struct in6_addr parsed; /* has room for either */

	if (text.len == 0 || text.len >= sizeof(string) || memchr(text.ptr, '\0', text.len))
		return CONFIG_HOST_NONE;
	memcpy(string, text.ptr, text.len);
	string[text.len] = '\0';
	if (inet_pton(AF_INET, string, &parsed) == 1)
		return CONFIG_HOST_IPV4;
	return inet_pton(AF_INET6, string, &parsed) == 1 ? CONFIG_HOST_IPV6 : CONFIG_HOST_NONE;
}

static enum config_host name_kind(struct span name)
{
	enum config_host kind = address_kind(name);

	if (kind != CONFIG_HOST_NONE)
		return kind;
	return name.len <= CONFIG_HOST_MAX && dns_ok(name) ? CONFIG_HOST_DNS : CONFIG_HOST_NONE;
}

enum config_host config_host_kind(struct span text)
{
	struct span relative = text;

	if (text.len > CONFIG_HOST_MAX)
		return CONFIG_HOST_NONE;
	if (text.len && text.ptr[text.len - 1] == '.')
		relative.len--;
	enum config_host kind = name_kind(relative);
	return kind == CONFIG_HOST_DNS || relative.len == text.len ? kind : CONFIG_HOST_NONE;
}

enum config_host config_host_san(struct span text, struct span *name)
{
	enum config_host kind;

	*name = text;
	if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
		*name = (struct span){.ptr = text.ptr + 1, .len = text.len - 2};
		return address_kind(*name) == CONFIG_HOST_IPV6 ? CONFIG_HOST_IPV6 : CONFIG_HOST_NONE;
	}
	if (!span_starts(text, SPAN("*.")))
		return name_kind(text);
	kind = text.len <= CONFIG_HOST_MAX ? name_kind(span_skip(text, 2)) : CONFIG_HOST_NONE;
	return kind == CONFIG_HOST_DNS ? CONFIG_HOST_WILDCARD : CONFIG_HOST_NONE;
}
