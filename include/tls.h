/* SPDX-License-Identifier: MIT */
/*
 * tls.h: TLS 1.2 and 1.3 on a non-blocking socket, in userspace. The only user of OpenSSL's SSL.
 *
 * Records travel between socket and OpenSSL through large pooled buffers: one recv(2) takes in up to
 * BUF_BYTES of records, and the records of one tls_write() leave in one send(2). A connection holds
 * such a buffer only while bytes are in it.
 *
 * Stepper contract: -EAGAIN from tls_read() means wait for EVENT_IN, or with tls_has_pending() call again
 * after the others had their turn; from tls_write() and tls_flush()
 * wait for EVENT_OUT. Nothing blocks. Layer 2.
 */
#ifndef HEADGATE_TLS_H
#define HEADGATE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "compiler.h"
#include "ktls.h"

/* What one tls_write() takes; its records then fit one buffer with room for a close_notify. */
#define TLS_WRITE_MAX_BYTES   ((size_t)(224 * 1024))
#define TLS_FINGERPRINT_BYTES ((size_t)32)

struct tls_server; /* certificate and settings for accepted connections; shared by the workers */
struct tls_client; /* settings for connections to a tls:// engine */
struct tls;	   /* one connection */

/*
 * Loads a certificate chain and its key (PEM). `client_ca_file` (NULL: none) has the CAs whose certificates
 * clients may show; one that shows none is served as well, one whose certificate is not good is not. NULL
 * with a one-line `error` that names the file and the remedy: unreadable, not PEM, key does not match, key
 * readable by others.
 */
struct tls_server *tls_server_new(const char *cert_file, const char *key_file, const char *client_ca_file,
				  char *error, size_t error_cap);

/* The same for a running server: new connections get what was loaded, open ones stay. 0 or -EINVAL. */
int tls_server_reload(struct tls_server *server, const char *cert_file, const char *key_file,
		      const char *client_ca_file, char *error, size_t error_cap);
void tls_server_free(struct tls_server *server);

/*
 * For an engine at tls://HOST: `dir` has ca.pem (whom to trust), cert.pem and key.pem (who we are), as
 * Docker names them; the engine's certificate must name `host`. NULL with `error`.
 */
struct tls_client *tls_client_new(const char *dir, const char *host, char *error, size_t error_cap);

/*
 * For a server that wants no certificate of ours. Trusted is what `ca_file` has signed; or, with a
 * fingerprint, the server certificate that has it (whatever its names and dates are), or what is signed by a
 * CA that has it and comes with the server's certificate, as headgate's own does; or, with neither, what the
 * system's CAs, as they are now, have signed. Fingerprints are SHA-256 of the whole certificate. But for the
 * first kind of fingerprint the certificate must name `host`. NULL with `error`.
 */
struct tls_client *tls_client_new_remote(const char *ca_file,
					 const uint8_t fingerprint[TLS_FINGERPRINT_BYTES], const char *host,
					 char *error, size_t error_cap);
void tls_client_free(struct tls_client *client);

/*
 * Lets connections from now on go over to kernel TLS, see tls_arm(); off at first. Only where
 * tls_probe_kernel() has found it at work: the kernel looks for its module at each attempt.
 */
void tls_server_allow_kernel(struct tls_server *server);
void tls_client_allow_kernel(struct tls_client *client);

/* A connection on `fd` (borrowed), with buffers from `pool` (borrowed). NULL without memory. */
struct tls *tls_accept(struct tls_server *server, int fd, struct buf_pool *pool);
struct tls *tls_connect(struct tls_client *client, int fd, struct buf_pool *pool);
/* Frees the connection, wiping its keys; the descriptor stays. NULL is fine. */
void tls_conn_free(struct tls *tls);

enum tls_step {
	TLS_DONE, /* the handshake is complete; tls_has_pending() may be true already */
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_PLAIN_HTTP, /* the client speaks plain HTTP: answer on the bare socket, then close */
	TLS_FAILED,	/* tls_failure() has the reason; an alert was sent where there is one */
};

enum tls_step tls_handshake(struct tls *tls);

/*
 * After TLS_DONE and before tls_arm(), for a server with client CAs: what the client's certificate names it,
 * its common names and DNS and e-mail names, as far as they could be names of tokens (token_name_ok(); the
 * first 16). *names is owned by the caller: each with its NUL, an empty one behind the last; or NULL when the
 * client has shown no certificate. 0 or -ENOMEM.
 */
int tls_peer_names(const struct tls *tls, char **names) MUST_USE;

/*
 * After TLS_DONE, once: which directions the kernel took over goes to *ktls. Use ktls.h for these from now
 * on, and this connection for the others; when it has both, the connection may be freed. 0, -ENOMEM or
 * -EPROTO.
 */
int tls_arm(struct tls *tls, struct ktls *ktls);

/* Why the last call failed, for the log; never NULL. Valid until the next call on this connection. */
const char *tls_failure(const struct tls *tls);

/*
 * While request heads with tokens are read, OpenSSL wipes its copy of what it decrypted, and keeps its
 * buffers; otherwise (at the start, and for streams) it gives them back whenever they are empty.
 */
void tls_expect_secrets(struct tls *tls, bool secrets);

/* Gives OpenSSL's empty buffers back until the next record. */
void tls_trim(struct tls *tls);

/* "TLSv1.3 TLS_AES_128_GCM_SHA256"-like parts, for the log; static strings. */
const char *tls_version(const struct tls *tls);
const char *tls_cipher(const struct tls *tls);

/* Says that the socket was reported readable: the next tls_read() may ask it again. */
void tls_readable(struct tls *tls);

/*
 * Decrypts into data[0..len). Returns the bytes read, 0 when the peer ended its direction (close_notify,
 * or FIN without one: see tls_was_truncated()), -EAGAIN, -EPROTO (bad record, fatal alert) or -errno.
 */
ssize_t tls_read(struct tls *tls, void *data, size_t len);

/* Whether the 0 of tls_read() came from a FIN without close_notify: a truncation attack or a careless peer.
 */
bool tls_was_truncated(const struct tls *tls);

/* Whether tls_read() would find bytes without asking the socket. Poll does not know about those. */
bool tls_has_pending(const struct tls *tls);

/*
 * Encrypts and sends up to TLS_WRITE_MAX_BYTES. Returns the bytes taken; some of their records may
 * still wait (tls_flush()). Takes nothing and returns -EAGAIN while records of an earlier call wait.
 */
ssize_t tls_write(struct tls *tls, const void *data, size_t len);

/* Sends what waits. 0 when nothing waits any more, -EAGAIN or -errno. */
int tls_flush(struct tls *tls);

/* Queues a close_notify (half-close: reading goes on) and tries to send it. 0, -EAGAIN or -errno. */
int tls_end(struct tls *tls);

#endif
