/* SPDX-License-Identifier: MIT */
/*
 * tls_impl.h: what tls.c (connections) and tls_context.c (certificates and settings) share; nobody else
 * includes it. Layer 2.
 */
#ifndef HEADGATE_TLS_IMPL_H
#define HEADGATE_TLS_IMPL_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "tls.h"

struct tls_server {
	pthread_mutex_t lock; /* guards ctx; held for SSL_new() only */
	SSL_CTX *ctx;	      /* owned */
	BIO_METHOD *bio;      /* owned */
	bool may_arm;	      /* connections may go over to the kernel */
};

struct tls_client {
	SSL_CTX *ctx;	 /* owned */
	BIO_METHOD *bio; /* owned */
	bool may_arm;
	char host[256];
	const char *ca_option;			    /* how one says whom to trust, for errors; or NULL */
	uint8_t fingerprint[TLS_FINGERPRINT_BYTES]; /* what tls_peer_pin() is about */
};

struct tls {
	SSL *ssl;	       /* owned; owns the BIO */
	BIO_METHOD *method;    /* borrowed from the server or client, which lives longer */
	struct buf_pool *pool; /* borrowed from the worker */
	struct buf *in;	       /* owned; records received, not yet taken by OpenSSL */
	struct buf *out;       /* owned; records not yet sent */
	int fd;		       /* borrowed from the leg */
	int mark_bytes;	       /* see ktls_mark(); during the handshake only */
	int socket_error;      /* errno of the last failed recv or send, 0 when none */
	bool socket_empty;     /* the last recv came up short; wait for an event */
	bool fin;	       /* recv returned 0 */
	bool truncated;
	bool may_arm; /* until tls_arm(): OpenSSL sits on the socket itself */
	const char *failure;
	char failure_text[160]; /* what it points to, where no static text says it */
};

/* How OpenSSL reads and writes: tls.c's theory of operation. NULL without memory. */
BIO_METHOD *tls_bio_method_new(void);

/* ---- tls_peer.c: who the other side is -------------------------------------------------------- */

/* Asks clients for a certificate of the CAs in that file. 0, or -EINVAL with OpenSSL's errors in its queue.
 */
int tls_peer_expect(SSL_CTX *ctx, const char *client_ca_file);

/* Trusts what has the client's fingerprint and nothing else. */
void tls_peer_pin(struct tls_client *client);

/* Why the other side's certificate was refused; may use tls->failure_text. */
const char *tls_peer_failure(struct tls *tls);

/* An empty queue is the rule, and clearing an empty one costs as much as a full one. */
void tls_clear_errors(void);

#endif
