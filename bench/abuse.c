/* SPDX-License-Identifier: MIT */
/*
 * abuse: clients that mean no good, for the benchmarks. One kind a run, one line of JSON on stdout.
 *
 *     abuse KIND --port PORT --token TOKEN --seconds N [--connections N]
 *
 *     slow-heads       each connection sends a request's head, a byte every 100 ms
 *     stalled-readers  each asks for 1 GB and reads nothing of it
 *     tiny-records     each uploads in TLS records of one byte, as fast as it can
 *     bad-tokens       each asks with a wrong token again and again, on a new connection when it was closed
 *
 * They come from 127.0.0.2, so that what a proxy does against an address is done against theirs alone. Says
 * "ready" when its connections stand and goes on at a line on stdin, as bench/load does. A connection that
 * the proxy closes is opened again: that is what an attacker would do. SIGTERM ends the attack before its
 * time.
 *
 * Blocking sockets with timeouts, a thread for each connection of the kinds that are busy, one thread for the
 * others.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define THREADS_MAX	16
#define STEP_US		100000
#define TINY_RECORDS	64 /* in one send: an attacker would gather them, too */

enum kind { KIND_SLOW_HEADS, KIND_STALLED_READERS, KIND_TINY_RECORDS, KIND_BAD_TOKENS, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"slow-heads", "stalled-readers", "tiny-records",
						   "bad-tokens"};

struct peer {
	int fd; /* -1: not open */
	SSL *ssl;
	size_t sent; /* of a slow head */
	bool asked;  /* its request has been written */
};

/* Set before threads start, but for the counters. */
struct abuse {
	enum kind kind;
	uint16_t port;
	unsigned connections, seconds;
	const char *token;
	SSL_CTX *ctx;
	struct peer peers[CONNECTIONS_MAX];
	atomic_uint next;
	atomic_bool stop;
	atomic_ullong opened, closed, sent, refused;
};

static struct abuse abuse;

static void peer_close(struct peer *peer)
{
	if (peer->fd < 0)
		return;
	SSL_free(peer->ssl);
	close(peer->fd);
	ERR_clear_error();
	*peer = (struct peer){.fd = -1};
}

static bool peer_open(struct peer *peer)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
	struct timeval timeout = {.tv_sec = 2};
	int small = 4096, one = 1;

	*peer = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	address.sin_port = htons(abuse.port);
	if (peer->fd < 0)
		err(1, "socket");
	if (abuse.kind == KIND_STALLED_READERS)
		(void)setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	(void)setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(peer->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(peer->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	peer->ssl = SSL_new(abuse.ctx);
	if (!peer->ssl ||
	    bind(peer->fd, (const struct sockaddr *)(const void *)&source, sizeof(source)) < 0 ||
	    connect(peer->fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0 ||
	    SSL_set_fd(peer->ssl, peer->fd) != 1 || SSL_connect(peer->ssl) != 1) {
		peer_close(peer);
		return false;
	}
	atomic_fetch_add(&abuse.opened, 1);
	return true;
}

static bool peer_put(struct peer *peer, const char *data, size_t len)
{
	if (SSL_write(peer->ssl, data, (int)len) == (int)len)
		return true;
	atomic_fetch_add(&abuse.closed, 1);
	peer_close(peer);
	return false;
}

static bool peer_request(struct peer *peer, const char *target, const char *fields, const char *token)
{
	char head[2048];
	int n = snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: localhost\r\n%stoken: %s\r\n\r\n", target,
			 fields, token);

	return peer_put(peer, head, (size_t)n);
}

/* ---- the kinds ---- */

static void slow_heads_step(struct peer *peer)
{
	static const char head[] = "GET /_ping HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";

	if (peer->fd < 0 && !peer_open(peer))
		return;
	if (peer_put(peer, peer->sent < sizeof(head) - 1 ? head + peer->sent : "x", 1)) {
		peer->sent++;
		atomic_fetch_add(&abuse.sent, 1);
	}
}

static void stalled_readers_step(struct peer *peer)
{
	if (peer->asked || (peer->fd < 0 && !peer_open(peer)))
		return;
	if (!peer_request(peer, "GET /images/get?bytes=1073741824", "", abuse.token))
		return;
	peer->asked = true;
	atomic_fetch_add(&abuse.sent, 1);
}

static void tiny_records_step(struct peer *peer)
{
	if (peer->fd < 0 && !peer_open(peer))
		return;
	if (!peer->asked &&
	    !peer_request(peer, "POST /images/load", "Content-Length: 1073741824\r\n", abuse.token))
		return;
	peer->asked = true;
	/* With a buffering BIO before the socket many records leave in one send. */
	BIO *buffer = BIO_new(BIO_f_buffer());
	if (!buffer)
		errx(1, "out of memory");
	BIO *socket_bio = SSL_get_wbio(peer->ssl);
	BIO_up_ref(socket_bio);
	SSL_set0_wbio(peer->ssl, BIO_push(buffer, socket_bio));
	bool good = true;
	for (unsigned i = 0; i < TINY_RECORDS && good; i++)
		good = SSL_write(peer->ssl, "x", 1) == 1;
	good = good && BIO_flush(buffer) == 1;
	BIO_up_ref(socket_bio);
	SSL_set0_wbio(peer->ssl, socket_bio);
	if (good) {
		atomic_fetch_add(&abuse.sent, TINY_RECORDS);
		return;
	}
	atomic_fetch_add(&abuse.closed, 1);
	peer_close(peer);
}

static void bad_tokens_step(struct peer *peer)
{
	char answer[4096];

	if (peer->fd < 0 && !peer_open(peer))
		return;
	if (!peer_request(peer, "GET /_ping", "", "wrong"))
		return;
	atomic_fetch_add(&abuse.sent, 1);
	int n = SSL_read(peer->ssl, answer, sizeof(answer) - 1);
	if (n <= 0) {
		atomic_fetch_add(&abuse.closed, 1);
		peer_close(peer);
		return;
	}
	answer[n] = '\0';
	if (strncmp(answer, "HTTP/1.1 4", 10) == 0)
		atomic_fetch_add(&abuse.refused, 1);
	if (strcasestr(answer, "\r\nconnection: close") || SSL_get_shutdown(peer->ssl))
		peer_close(peer);
}

static void step(struct peer *peer)
{
	static void (*const steps[KIND_COUNT])(struct peer * peer) = {slow_heads_step, stalled_readers_step,
								      tiny_records_step, bad_tokens_step};

	steps[abuse.kind](peer);
}

/* ---- threads ---- */

/* All connections by turns, with a pause: the kinds that only hold on. */
static void *patient_main(void *arg)
{
	(void)arg;
	while (!atomic_load(&abuse.stop)) {
		for (unsigned i = 0; i < abuse.connections && !atomic_load(&abuse.stop); i++)
			step(&abuse.peers[i]);
		usleep(STEP_US);
	}
	return NULL;
}

static void *busy_main(void *arg)
{
	struct peer *peer = &abuse.peers[atomic_fetch_add(&abuse.next, 1)];

	(void)arg;
	while (!atomic_load(&abuse.stop)) {
		step(peer);
		if (peer->fd < 0)
			usleep(1000);
	}
	return NULL;
}

static void options_read(int argc, char **argv)
{
	static const struct option long_options[] = {
	    {"port", required_argument, NULL, 'p'},
	    {"token", required_argument, NULL, 't'},
	    {"seconds", required_argument, NULL, 's'},
	    {"connections", required_argument, NULL, 'c'},
	    {NULL, 0, NULL, 0},
	};
	int id;

	abuse.kind = KIND_COUNT;
	abuse.connections = THREADS_MAX;
	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (id == 'p')
			abuse.port = (uint16_t)strtoul(optarg, NULL, 10);
		else if (id == 't')
			abuse.token = optarg;
		else if (id == 's')
			abuse.seconds = (unsigned)strtoul(optarg, NULL, 10);
		else if (id == 'c')
			abuse.connections = (unsigned)strtoul(optarg, NULL, 10);
	}
	for (enum kind kind = 0; optind == argc - 1 && kind < KIND_COUNT; kind++)
		if (strcmp(argv[optind], kind_names[kind]) == 0)
			abuse.kind = kind;
	if (abuse.kind == KIND_COUNT || !abuse.port || !abuse.token || !abuse.seconds || !abuse.connections ||
	    abuse.connections > CONNECTIONS_MAX)
		errx(2, "usage: abuse slow-heads|stalled-readers|tiny-records|bad-tokens --port PORT "
			"--token TOKEN --seconds N [--connections N]");
}

int main(int argc, char **argv)
{
	pthread_t ids[THREADS_MAX];
	sigset_t term;
	char byte;

	options_read(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	bool busy = abuse.kind == KIND_TINY_RECORDS || abuse.kind == KIND_BAD_TOKENS;
	if (busy && abuse.connections > THREADS_MAX)
		abuse.connections = THREADS_MAX;
	unsigned threads = busy ? abuse.connections : 1;
	abuse.ctx = SSL_CTX_new(TLS_client_method());
	if (!abuse.ctx || !SSL_CTX_set_min_proto_version(abuse.ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(abuse.ctx, "TLS_AES_128_GCM_SHA256"))
		errx(1, "OpenSSL cannot do TLS 1.3 with AES-128-GCM");
	for (unsigned i = 0; i < abuse.connections; i++)
		if (!peer_open(&abuse.peers[i]))
			errx(1, "connection %u of %u was not taken", i + 1, abuse.connections);
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n')
		;
	/* Waited for instead of handled: blocked in every thread, so it cannot come between two steps. */
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, busy ? busy_main : patient_main, NULL))
			errx(1, "cannot start a thread");
	sigtimedwait(&term, NULL, &(struct timespec){.tv_sec = abuse.seconds});
	atomic_store(&abuse.stop, true);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("{\"kind\":\"%s\",\"connections\":%u,\"opened\":%llu,\"closed\":%llu,\"sent\":%llu,"
	       "\"refused\":%llu}\n",
	       kind_names[abuse.kind], abuse.connections, atomic_load(&abuse.opened),
	       atomic_load(&abuse.closed), atomic_load(&abuse.sent), atomic_load(&abuse.refused));
	for (unsigned i = 0; i < abuse.connections; i++)
		peer_close(&abuse.peers[i]);
	SSL_CTX_free(abuse.ctx);
	return 0;
}
