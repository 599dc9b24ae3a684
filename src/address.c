/* SPDX-License-Identifier: MIT */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* RFC 4291 2.5.5.2 */
static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const struct address *address)
{
	return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

int address_parse(struct address *address, struct span text)
{
	char copy[ADDRESS_TEXT_BYTES];

	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
		return -EINVAL;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET6, copy, address->bytes) == 1)
		return 0;
	memcpy(address->bytes, mapped, sizeof(mapped));
	return inet_pton(AF_INET, copy, address->bytes + sizeof(mapped)) == 1 ? 0 : -EINVAL;
}

void address_write(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
	bool ipv4 = is_ipv4(address);

	if (!inet_ntop(ipv4 ? AF_INET : AF_INET6, address->bytes + (ipv4 ? sizeof(mapped) : 0), text,
		       ADDRESS_TEXT_BYTES))
		text[0] = '\0'; /* cannot be: the buffer holds every address */
}

bool address_eq(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* The bits of byte `index` that belong to the first `bits` of an address. */
static uint8_t byte_mask(unsigned bits, size_t index)
{
	unsigned before = (unsigned)index * 8;

	if (bits <= before)
		return 0;
	return (uint8_t)(bits - before >= 8 ? 0xffU : 0xff00U >> (bits - before));
}

int address_prefix_parse(struct address_prefix *prefix, struct span text)
{
	const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
	struct span host = text, number = {0};
	unsigned bits = 0, most;

	if (slash) {
		host.len = (size_t)(slash - text.ptr);
		number = span_skip(text, host.len + 1);
	}
	if (address_parse(&prefix->address, host) < 0)
		return -EINVAL;
	/* As it was written: ::ffff:10.0.0.0/104 counts all bits. */
	most = memchr(host.ptr, ':', host.len) ? 128 : 32;
	for (size_t i = 0; i < number.len && bits <= most; i++) {
		if (number.ptr[i] < '0' || number.ptr[i] > '9')
			return -EINVAL;
		bits = bits * 10 + (unsigned)(number.ptr[i] - '0');
	}
	if (!slash)
		bits = most;
	else if (number.len == 0 || number.len > 3 || bits > most || (number.len > 1 && number.ptr[0] == '0'))
		return -EINVAL;
	prefix->bits = (uint8_t)(bits + 128 - most);
	for (size_t i = 0; i < sizeof(prefix->address.bytes); i++)
		if (prefix->address.bytes[i] & ~byte_mask(prefix->bits, i))
			return -EINVAL;
	return 0;
}

void address_prefix_write(const struct address_prefix *prefix, char text[ADDRESS_PREFIX_TEXT_BYTES])
{
	char host[ADDRESS_TEXT_BYTES];
	bool ipv4 = is_ipv4(&prefix->address) && prefix->bits >= 96;

	address_write(&prefix->address, host);
	if (prefix->bits == 128)
		snprintf(text, ADDRESS_PREFIX_TEXT_BYTES, "%s", host);
	else
		snprintf(text, ADDRESS_PREFIX_TEXT_BYTES, "%s/%u", host,
			 (unsigned)prefix->bits - (ipv4 ? 96U : 0U));
}

bool address_prefix_has(const struct address_prefix *prefix, const struct address *address)
{
	for (size_t i = 0; i < sizeof(address->bytes); i++)
		if ((prefix->address.bytes[i] ^ address->bytes[i]) & byte_mask(prefix->bits, i))
			return false;
	return true;
}

struct address address_owner(const struct address *address)
{
	struct address owner = *address;

	if (!is_ipv4(address))
		memset(owner.bytes + 8, 0, 8);
	return owner;
}
