/* SPDX-License-Identifier: MIT */
/*
 * PROXY protocol version 2: the input is what arrives. Byte by byte, with what has not come yet out of reach,
 * the answer changes once at most, and the whole must be what a plain reading of the document says.
 */
#include "fuzz.h"
#include "proxy_protocol.h"

#define HEAD_BYTES 16

struct answer {
	enum proxy_protocol_result result;
	size_t used;
	bool has_address;
	struct address address;
};

static struct answer parse(const char *bytes, size_t len)
{
	struct answer answer = {.used = SIZE_MAX};

	answer.result = proxy_protocol_parse((struct span){.ptr = bytes, .len = len}, &answer.used,
					     &answer.address, &answer.has_address);
	FUZZ_CHECK(answer.result == PROXY_PROTOCOL_DONE || (answer.used == 0 && !answer.has_address));
	FUZZ_CHECK(answer.used <= len && answer.used <= PROXY_PROTOCOL_MAX_BYTES);
	return answer;
}

/* By a table, where the parser goes bit by bit. */
static uint32_t checksum(const uint8_t *bytes, size_t len)
{
	uint32_t table[256], crc = UINT32_MAX;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82f63b78 : table[i] >> 1;
	}
	for (size_t i = 0; i < len; i++)
		crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xff];
	return ~crc;
}

/* Of a complete header: its TLVs tile the rest, and a checksum among them is right. */
static bool plain_tlvs(const uint8_t *data, size_t at, size_t end)
{
	uint8_t zeroed[PROXY_PROTOCOL_MAX_BYTES];
	size_t checksum_at = 0;

	memcpy(zeroed, data, end);
	while (at != end) {
		size_t len;

		if (end - at < 3)
			return false;
		len = (size_t)data[at + 1] * 256 + data[at + 2];
		if (at + 3 + len > end)
			return false;
		if (data[at] == 3) {
			if (len != 4 || checksum_at)
				return false;
			checksum_at = at + 3;
			memset(zeroed + checksum_at, 0, 4);
		}
		at += 3 + len;
	}
	return !checksum_at ||
	       checksum(zeroed, end) ==
		   ((uint32_t)data[checksum_at] << 24 | (uint32_t)data[checksum_at + 1] << 16 |
		    (uint32_t)data[checksum_at + 2] << 8 | (uint32_t)data[checksum_at + 3]);
}

/* For an input that is long enough for the header it begins: DONE or BAD. MORE when it is not. */
static struct answer plainly(const uint8_t *data, size_t size)
{
	static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";
	struct answer answer = {.result = PROXY_PROTOCOL_BAD};
	size_t block[] = {0, 12, 36, 216}, end;
	unsigned family, transport;

	if (size < HEAD_BYTES)
		return (struct answer){.result = PROXY_PROTOCOL_MORE};
	end = HEAD_BYTES + (size_t)data[14] * 256 + data[15];
	family = data[13] / 16;
	transport = data[13] % 16;
	if (memcmp(data, signature, 12) != 0 || end > PROXY_PROTOCOL_MAX_BYTES)
		return answer;
	if (data[12] != 0x20 && data[12] != 0x21)
		return answer;
	if (size < end)
		return (struct answer){.result = PROXY_PROTOCOL_MORE};
	if (data[12] == 0x21) {
		if (family > 3 || transport > 2)
			return answer;
		if (family && transport) {
			if (end < HEAD_BYTES + block[family] ||
			    !plain_tlvs(data, HEAD_BYTES + block[family], end))
				return answer;
			answer.has_address = family < 3 && transport == 1;
		}
	}
	answer.result = PROXY_PROTOCOL_DONE;
	answer.used = end;
	if (answer.has_address && family == 1) {
		memset(answer.address.bytes + 10, 0xff, 2);
		memcpy(answer.address.bytes + 12, data + HEAD_BYTES, 4);
	} else if (answer.has_address) {
		memcpy(answer.address.bytes, data + HEAD_BYTES, 16);
	}
	return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer before = {.result = PROXY_PROTOCOL_MORE}, now, wanted;
	char *arriving;

	if (size > 4 * PROXY_PROTOCOL_MAX_BYTES)
		size = 4 * PROXY_PROTOCOL_MAX_BYTES;
	arriving = fuzz_arriving(data, size);
	for (size_t len = 0; len <= size; len++) {
		fuzz_arrived(arriving, len);
		now = parse(arriving, len);
		if (before.result != PROXY_PROTOCOL_MORE)
			FUZZ_CHECK(now.result == before.result && now.used == before.used);
		else if (now.result == PROXY_PROTOCOL_DONE)
			FUZZ_CHECK(now.used == len);
		FUZZ_CHECK(now.result != PROXY_PROTOCOL_MORE || len < PROXY_PROTOCOL_MAX_BYTES);
		before = now;
	}
	fuzz_arrived(arriving, size);
	free(arriving);

	wanted = plainly(data, size);
	/* What is not complete may be known to be bad already, and nothing else. */
	if (wanted.result == PROXY_PROTOCOL_MORE) {
		FUZZ_CHECK(now.result != PROXY_PROTOCOL_DONE);
		return 0;
	}
	FUZZ_CHECK(now.result == wanted.result && now.used == wanted.used);
	FUZZ_CHECK(now.has_address == wanted.has_address);
	if (now.has_address)
		FUZZ_CHECK(memcmp(&now.address, &wanted.address, sizeof(now.address)) == 0);
	return 0;
}
