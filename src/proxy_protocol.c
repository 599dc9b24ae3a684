/* SPDX-License-Identifier: MIT */
#include "proxy_protocol.h"

#include <stdint.h>
#include <string.h>

static const uint8_t signature[] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

/* Where the parts stand; the addresses follow the fixed head, the TLVs the addresses. */
#define COMMAND_AT sizeof(signature)
#define FAMILY_AT  ((size_t)13)
#define LENGTH_AT  ((size_t)14)
#define HEAD_BYTES ((size_t)16)

/* Version 2 and the command, in one byte. */
#define COMMAND_LOCAL 0x20
#define COMMAND_PROXY 0x21

/* Address family and transport, in one byte. */
#define FAMILY_TCP4	 0x11
#define FAMILY_TCP6	 0x21
#define FAMILY_LAST	 3 /* AF_UNIX */
#define TRANSPORT_UNSPEC 0
#define TRANSPORT_LAST	 2 /* datagrams */

#define TLV_HEAD_BYTES	 ((size_t)3)
#define TLV_CRC32C	 0x03
#define TLV_CRC32C_BYTES ((size_t)4)

/* Two addresses and two ports; unix paths have none. */
static const size_t block_bytes[FAMILY_LAST + 1] = {0, 12, 36, 216};

static size_t read16(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

/* Of the fixed head, of which `len` bytes are there. */
static bool head_ok(const uint8_t *p, size_t len)
{
	if (memcmp(p, signature, len < sizeof(signature) ? len : sizeof(signature)) != 0)
		return false;
	if (len > COMMAND_AT && p[COMMAND_AT] != COMMAND_LOCAL && p[COMMAND_AT] != COMMAND_PROXY)
		return false;
	/* A LOCAL one's family is not to be looked at. */
	if (len > FAMILY_AT && p[COMMAND_AT] == COMMAND_PROXY &&
	    (p[FAMILY_AT] >> 4 > FAMILY_LAST || (p[FAMILY_AT] & 0x0f) > TRANSPORT_LAST))
		return false;
	if (len > LENGTH_AT && p[LENGTH_AT] > (PROXY_PROTOCOL_MAX_BYTES - HEAD_BYTES) >> 8)
		return false;
	return len < HEAD_BYTES || read16(p + LENGTH_AT) <= PROXY_PROTOCOL_MAX_BYTES - HEAD_BYTES;
}

/*
 * The TLVs from `at` to `end`, of which the bytes before `len` are there. *checksum_at is set where there is
 * a checksum; it cannot be at 0.
 */
static bool tlvs_ok(const uint8_t *p, size_t len, size_t at, size_t end, size_t *checksum_at)
{
	*checksum_at = 0;
	while (at < end) {
		size_t left = end - at, value_bytes;

		if (left < TLV_HEAD_BYTES)
			return false;
		if (len < at + TLV_HEAD_BYTES)
			return len < at + 2 || (size_t)p[at + 1] << 8 <= left - TLV_HEAD_BYTES;
		value_bytes = read16(p + at + 1);
		if (value_bytes > left - TLV_HEAD_BYTES)
			return false;
		if (p[at] == TLV_CRC32C) {
			/* One that stands twice cannot be right: each would count the other's bytes. */
			if (value_bytes != TLV_CRC32C_BYTES || *checksum_at)
				return false;
			*checksum_at = at + TLV_HEAD_BYTES;
		}
		at += TLV_HEAD_BYTES + value_bytes;
	}
	return true;
}

/* CRC32c (RFC 4960, appendix B), its own four bytes taken as 0. Bit by bit: 536 bytes, once a connection. */
static bool checksum_ok(const uint8_t *p, size_t end, size_t checksum_at)
{
	uint32_t crc = UINT32_MAX, wanted = 0;

	for (size_t i = 0; i < end; i++) {
		bool own = i >= checksum_at && i < checksum_at + TLV_CRC32C_BYTES;

		crc ^= own ? 0 : p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	for (size_t i = 0; i < TLV_CRC32C_BYTES; i++)
		wanted = wanted << 8 | p[checksum_at + i];
	return ~crc == wanted;
}

static void read_source(struct address *address, const uint8_t *p, uint8_t family)
{
	*address = (struct address){0};
	if (family == FAMILY_TCP6) {
		memcpy(address->bytes, p + HEAD_BYTES, 16);
		return;
	}
	address->bytes[10] = address->bytes[11] = 0xff;
	memcpy(address->bytes + 12, p + HEAD_BYTES, 4);
}

enum proxy_protocol_result proxy_protocol_parse(struct span bytes, size_t *used, struct address *address,
						bool *has_address)
{
	const uint8_t *p = (const uint8_t *)bytes.ptr;
	size_t end, block = 0, checksum_at = 0;

	*used = 0;
	*has_address = false;
	if (bytes.len == 0)
		return PROXY_PROTOCOL_MORE;
	if (!head_ok(p, bytes.len))
		return PROXY_PROTOCOL_BAD;
	if (bytes.len < HEAD_BYTES)
		return PROXY_PROTOCOL_MORE;

	end = HEAD_BYTES + read16(p + LENGTH_AT);
	/* Without a family or a transport nobody knows how long the addresses are, and so where TLVs begin.
	 */
	if (p[COMMAND_AT] == COMMAND_PROXY && (p[FAMILY_AT] & 0x0f) != TRANSPORT_UNSPEC)
		block = block_bytes[p[FAMILY_AT] >> 4];
	if (block && (end - HEAD_BYTES < block ||
		      !tlvs_ok(p, bytes.len < end ? bytes.len : end, HEAD_BYTES + block, end, &checksum_at)))
		return PROXY_PROTOCOL_BAD;
	if (bytes.len < end)
		return PROXY_PROTOCOL_MORE;
	if (checksum_at && !checksum_ok(p, end, checksum_at))
		return PROXY_PROTOCOL_BAD;

	if (block && (p[FAMILY_AT] == FAMILY_TCP4 || p[FAMILY_AT] == FAMILY_TCP6)) {
		read_source(address, p, p[FAMILY_AT]);
		*has_address = true;
	}
	*used = end;
	return PROXY_PROTOCOL_DONE;
}
