/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#define TAG_BYTES    ((size_t)16)
#define HEADER_BYTES ((size_t)5)

/* ---- keys ---- */

/* RFC 8446 7.1, with an empty context; one block of HMAC is enough for a key. */
static bool expand_label(const EVP_MD *md, const unsigned char *secret, size_t secret_len, const char *label,
			 unsigned char *out, size_t out_len)
{
	unsigned char info[64], block[EVP_MAX_MD_SIZE];
	unsigned block_len = 0;
	size_t label_len = strlen(label), n = 0;

	info[n++] = 0;
	info[n++] = (unsigned char)out_len;
	info[n++] = (unsigned char)(6 + label_len);
	memcpy(info + n, "tls13 ", 6);
	memcpy(info + n + 6, label, label_len);
	n += 6 + label_len;
	info[n++] = 0; /* the context's length */
	info[n++] = 1; /* HKDF's block counter */
	if (!HMAC(md, secret, (int)secret_len, info, n, block, &block_len) || block_len < out_len)
		return false;
	memcpy(out, block, out_len);
	return true;
}

/* RFC 5246 6.3: client key, server key, client IV, server IV; there are no MAC keys with AEAD. */
static bool key_block(const struct peer *peer, const EVP_MD *md, unsigned char *out, size_t out_len)
{
	unsigned char master[64], seed[64];
	size_t master_len = SSL_SESSION_get_master_key(SSL_get_session(peer->ssl), master, sizeof(master));
	char label[] = "key expansion", *md_name = (char *)(uintptr_t)EVP_MD_get0_name(md);

	(void)SSL_get_server_random(peer->ssl, seed, 32);
	(void)SSL_get_client_random(peer->ssl, seed + 32, 32);
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, md_name, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, master_len),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, label, strlen(label)),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof(seed)),
	    OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	bool good = ctx && EVP_KDF_derive(ctx, out, out_len, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return good;
}

int record_init(struct record_writer *writer, const struct peer *peer)
{
	const SSL_CIPHER *suite = SSL_get_current_cipher(peer->ssl);
	const EVP_MD *md = suite ? SSL_CIPHER_get_handshake_digest(suite) : NULL;
	bool chacha = suite && strstr(SSL_CIPHER_get_name(suite), "CHACHA20");
	bool aes256 = suite && SSL_CIPHER_get_bits(suite, NULL) == 256;
	size_t key_len = aes256 ? 32 : 16, iv_len = chacha ? 12 : 4;
	unsigned char block[2 * 32 + 2 * 12];
	bool is_server = SSL_is_server(peer->ssl);

	*writer = (struct record_writer){.tls13 = SSL_version(peer->ssl) == TLS1_3_VERSION};
	writer->cipher = chacha ? EVP_chacha20_poly1305() : aes256 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
	if (!md)
		return -EINVAL;
	if (writer->tls13) {
		const unsigned char *secret = peer->traffic_secret[0];
		return expand_label(md, secret, peer->traffic_secret_len, "key", writer->key, key_len) &&
			       expand_label(md, secret, peer->traffic_secret_len, "iv", writer->iv, 12)
			   ? 0
			   : -EINVAL;
	}
	if (!key_block(peer, md, block, 2 * key_len + 2 * iv_len))
		return -EINVAL;
	memcpy(writer->key, block + (is_server ? key_len : 0), key_len);
	memcpy(writer->iv, block + 2 * key_len + (is_server ? iv_len : 0), iv_len);
	writer->explicit_nonce = !chacha;
	writer->sequence = 1; /* Finished was record 0 */
	return 0;
}

/* ---- records ---- */

static void put_number(unsigned char *out, uint64_t number, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		out[i] = (unsigned char)(number >> (8 * (bytes - 1 - i)));
}

static void make_nonce(const struct record_writer *writer, unsigned char nonce[12])
{
	unsigned char sequence[8];

	put_number(sequence, writer->sequence, 8);
	memcpy(nonce, writer->iv, 12);
	if (writer->explicit_nonce)
		memcpy(nonce + 4, sequence, 8);
	else
		for (size_t i = 0; i < 8; i++)
			nonce[4 + i] ^= sequence[i];
}

static bool encrypt(const struct record_writer *writer, const unsigned char *aad, size_t aad_len,
		    unsigned char *text, size_t len)
{
	unsigned char nonce[12];
	int n = 0, m = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	make_nonce(writer, nonce);
	bool good = ctx && EVP_EncryptInit_ex(ctx, writer->cipher, NULL, writer->key, nonce) == 1 &&
		    EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len) == 1 &&
		    (len == 0 || EVP_EncryptUpdate(ctx, text, &n, text, (int)len) == 1) &&
		    EVP_EncryptFinal_ex(ctx, text + len, &m) == 1 &&
		    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)TAG_BYTES, text + len) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

size_t record_seal(struct record_writer *writer, enum record_type type, const void *data, size_t len,
		   size_t pad_bytes, void *out, size_t cap)
{
	unsigned char *header = out, aad[13];
	size_t nonce_len = writer->explicit_nonce ? 8 : 0;
	size_t inner_len = writer->tls13 ? len + 1 + pad_bytes : len, aad_len = HEADER_BYTES;
	size_t body_len = nonce_len + inner_len + TAG_BYTES;
	unsigned char *text = header + HEADER_BYTES + nonce_len;

	if (HEADER_BYTES + body_len > cap)
		abort();
	header[0] = writer->tls13 ? RECORD_DATA : (unsigned char)type;
	header[1] = 3;
	header[2] = 3;
	put_number(header + 3, body_len, 2);
	put_number(header + HEADER_BYTES, writer->sequence, nonce_len);
	if (len > 0)
		memcpy(text, data, len);
	if (writer->tls13) {
		text[len] = (unsigned char)type;
		memset(text + len + 1, 0, pad_bytes);
		memcpy(aad, header, HEADER_BYTES);
	} else {
		put_number(aad, writer->sequence, 8);
		memcpy(aad + 8, header, 3);
		put_number(aad + 11, len, 2);
		aad_len = sizeof(aad);
	}
	if (!encrypt(writer, aad, aad_len, text, inner_len))
		abort();
	writer->sequence++;
	return HEADER_BYTES + body_len;
}

int record_send_by(struct record_writer *writer, struct peer *peer, enum record_type type, const void *data,
		   size_t len, size_t pad_bytes, uint64_t deadline_ms)
{
	unsigned char out[PEER_RECORD_MAX_BYTES + RECORD_OVERHEAD_BYTES];
	size_t n = record_seal(writer, type, data, len, pad_bytes, out, sizeof(out));

	return peer_put_raw_by(peer, out, n, deadline_ms);
}
