/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Whether the kernel takes a direction depends on its version, its modules (tls, and one a cipher), OpenSSL's
 * version and how it was built. Nothing tells but a handshake: setsockopt(TLS_TX) fails without a word to the
 * application. So both ends of a connection over loopback are stepped in turn here, with a certificate made
 * for the purpose, and the server's end is asked.
 */
#include "tls_probe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

/* 3.2 rewrote the record layer. */
#define LIBRARY_MINIMUM 0x30200000UL
/*
 * Before 6.0 a record is decrypted in the pieces that it came in, and splice(2) takes it for moved when it
 * had room for only some of them (net/tls/tls_sw.c). Tried with 5.10: other bytes come out than went in, and
 * nothing fails. 6.1 is the oldest one that tests/guest runs on.
 */
#define KERNEL_MAJOR	  6
#define KERNEL_MINOR	  1
#define HANDSHAKE_STEPS	  64
#define HANDSHAKE_WAIT_MS 2000

static const struct suite {
	int version;
	const char *suite, *version_name, *cipher_name;
} suites[] = {
    {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", "TLSv1.3", "AES-128-GCM"},
    {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", "TLSv1.3", "AES-256-GCM"},
    {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3", "ChaCha20-Poly1305"},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2", "AES-128-GCM"},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2", "AES-256-GCM"},
    {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2", "ChaCha20-Poly1305"},
};
static_assert(ARRAY_SIZE(suites) == TLS_PROBE_ROWS, "one row a suite");

const char *tls_probe_library(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}

bool tls_probe_library_is_enough(void)
{
	return OpenSSL_version_num() >= LIBRARY_MINIMUM;
}

bool tls_probe_release_is_enough(const char *release)
{
	char *end;
	unsigned long major = strtoul(release, &end, 10);
	unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;

	return major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR);
}

bool tls_probe_kernel_is_enough(void)
{
	struct utsname host;

	return uname(&host) == 0 && tls_probe_release_is_enough(host.release);
}

bool tls_probe_module_is_loaded(void)
{
	char names[256];
	int fd = open("/proc/sys/net/ipv4/tcp_available_ulp", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, names, sizeof(names) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	names[n] = '\0';
	for (char *rest = names, *name; (name = strtok_r(rest, " \n", &rest));)
		if (strcmp(name, "tls") == 0)
			return true;
	return false;
}

/* Two connected sockets over loopback; kernel TLS is for TCP alone. */
static int connected_pair(int pair[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *any = (struct sockaddr *)(void *)&address;
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result = 0;

	pair[0] = -1;
	pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || pair[1] < 0 || bind(listener, any, len) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, any, &len) < 0 || connect(pair[1], any, len) < 0 ||
	    (pair[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0 ||
	    fcntl(pair[1], F_SETFL, O_NONBLOCK) < 0)
		result = -errno;
	if (listener >= 0)
		close(listener);
	if (result == 0)
		return 0;
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
	return result;
}

/* A certificate for nobody, signed by itself. */
static X509 *throwaway_certificate(EVP_PKEY *key)
{
	X509 *certificate = X509_new();

	if (certificate && X509_set_version(certificate, 2) &&
	    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) &&
	    X509_gmtime_adj(X509_getm_notBefore(certificate), -60) &&
	    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) && X509_set_pubkey(certificate, key) &&
	    X509_sign(certificate, key, EVP_sha256()) > 0)
		return certificate;
	X509_free(certificate);
	return NULL;
}

static SSL_CTX *server_context(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = key ? throwaway_certificate(key) : NULL;
	SSL_CTX *ctx = certificate ? SSL_CTX_new(TLS_server_method()) : NULL;

	if (ctx &&
	    (SSL_CTX_use_certificate(ctx, certificate) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1)) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	if (ctx) {
		SSL_CTX_set_num_tickets(ctx, 0);
		if (tls_probe_library_is_enough() && tls_probe_kernel_is_enough())
			SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
	return ctx;
}

static bool offer_only(SSL *ssl, const struct suite *suite)
{
	return SSL_set_min_proto_version(ssl, suite->version) == 1 &&
	       SSL_set_max_proto_version(ssl, suite->version) == 1 &&
	       (suite->version == TLS1_3_VERSION ? SSL_set_ciphersuites(ssl, suite->suite)
						 : SSL_set_cipher_list(ssl, suite->suite)) == 1;
}

/* Steps both ends until the server's is done. */
static bool handshake(SSL *server, SSL *client)
{
	for (int i = 0; i < HANDSHAKE_STEPS; i++) {
		struct pollfd fds[] = {{.fd = SSL_get_fd(server), .events = POLLIN},
				       {.fd = SSL_get_fd(client), .events = POLLIN}};
		int client_done = SSL_do_handshake(client), server_done = SSL_do_handshake(server);
		if (client_done == 1 && server_done == 1)
			return true;
		int client_error = SSL_get_error(client, client_done);
		int server_error = SSL_get_error(server, server_done);
		if ((client_done != 1 && client_error != SSL_ERROR_WANT_READ) ||
		    (server_done != 1 && server_error != SSL_ERROR_WANT_READ) ||
		    poll(fds, ARRAY_SIZE(fds), HANDSHAKE_WAIT_MS) <= 0)
			return false;
	}
	return false;
}

static int probe_suite(SSL_CTX *server_ctx, SSL_CTX *client_ctx, const struct suite *suite,
		       struct tls_probe_row *row)
{
	int pair[2];
	int result = connected_pair(pair);

	*row = (struct tls_probe_row){.version = suite->version_name, .cipher = suite->cipher_name};
	if (result < 0)
		return result;
	SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
	ERR_clear_error();
	if (!server || !client || SSL_set_fd(server, pair[0]) != 1 || SSL_set_fd(client, pair[1]) != 1) {
		result = -ENOMEM;
	} else {
		SSL_set_accept_state(server);
		SSL_set_connect_state(client);
		if (offer_only(client, suite) && offer_only(server, suite) && handshake(server, client)) {
			row->sends = BIO_get_ktls_send(SSL_get_wbio(server));
			row->receives = BIO_get_ktls_recv(SSL_get_rbio(server));
		} else {
			const char *reason = ERR_reason_error_string(ERR_peek_error());
			snprintf(row->error, sizeof(row->error), "%s", reason ? reason : "no handshake");
		}
	}
	SSL_free(server);
	SSL_free(client);
	close(pair[0]);
	close(pair[1]);
	ERR_clear_error();
	return result;
}

static int probe_first(struct tls_probe_row *rows, size_t count)
{
	SSL_CTX *server_ctx = server_context(), *client_ctx = SSL_CTX_new(TLS_client_method());
	int result = server_ctx && client_ctx ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && result == 0; i++)
		result = probe_suite(server_ctx, client_ctx, &suites[i], &rows[i]);
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	ERR_clear_error();
	return result;
}

int tls_probe(struct tls_probe_row rows[TLS_PROBE_ROWS])
{
	return probe_first(rows, TLS_PROBE_ROWS);
}

bool tls_probe_kernel(char *reason, size_t reason_cap)
{
	struct tls_probe_row row = {0};

	if (!tls_probe_library_is_enough()) {
		snprintf(reason, reason_cap, "OpenSSL %s is too old for it; 3.2 or later is needed",
			 tls_probe_library());
		return false;
	}
	if (!tls_probe_kernel_is_enough()) {
		snprintf(reason, reason_cap, "the kernel is too old for it; Linux %d.%d or later is needed",
			 KERNEL_MAJOR, KERNEL_MINOR);
		return false;
	}
	int result = probe_first(&row, 1);
	if (result < 0)
		snprintf(reason, reason_cap, "a connection over loopback failed: %s", strerror(-result));
	else if (row.error[0])
		snprintf(reason, reason_cap, "a handshake over loopback failed: %s", row.error);
	else if (row.sends && row.receives)
		return true;
	else if (!tls_probe_module_is_loaded())
		snprintf(reason, reason_cap,
			 "the kernel's tls module is not loaded; 'modprobe tls' on the host loads it");
	else
		snprintf(reason, reason_cap,
			 "the kernel does not take %s; is the module of that cipher loaded ('modprobe gcm')?",
			 row.sends	? "what is received"
			 : row.receives ? "what is sent"
					: "TLS 1.3 AES-128-GCM");
	return false;
}
