/* SPDX-License-Identifier: MIT */
/*
 * record.h: records that OpenSSL would never write: empty, padded, with a bad tag, of odd types. It takes the
 * writing side over from a peer whose handshake is complete and that has written no data yet; reading stays
 * with OpenSSL. Afterwards nothing may be written by peer_put() or peer_end().
 */
#ifndef GUEST_RECORD_H
#define GUEST_RECORD_H

#include <openssl/evp.h>

#include "peer.h"

enum record_type {
	RECORD_CHANGE_CIPHER = 20,
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_DATA = 23,
	RECORD_HEARTBEAT = 24,
};

/* Header, explicit nonce, type and tag. */
#define RECORD_OVERHEAD_BYTES ((size_t)(5 + 8 + 1 + 16))

struct record_writer {
	const EVP_CIPHER *cipher; /* borrowed from OpenSSL */
	unsigned char key[32], iv[12];
	uint64_t sequence;
	bool tls13, explicit_nonce;
};

/* 0, or -EINVAL when the keys cannot be had. */
int record_init(struct record_writer *writer, const struct peer *peer);
/*
 * Seals one record behind `pad_bytes` of TLS 1.3 padding into out[0..cap). Returns its length; aborts when
 * `cap` is too small, which only the caller can have got wrong.
 */
size_t record_seal(struct record_writer *writer, enum record_type type, const void *data, size_t len,
		   size_t pad_bytes, void *out, size_t cap);
/* Seals and sends; the deadline is the peer's. 0 or -errno. */
int record_send_by(struct record_writer *writer, struct peer *peer, enum record_type type, const void *data,
		   size_t len, size_t pad_bytes, uint64_t deadline_ms);

#endif
