/* SPDX-License-Identifier: MIT */
/* relay_tls_test.c: the mover with TLS on one of its legs, where records hold more than poll knows of. */
#include "relay.h"

#include "tls_support.h"

#include <signal.h>

#define BUDGET ((size_t)512 * 1024)

/* TLS peer (bare OpenSSL, a client) <-> `tls` leg <-> relays <-> `plain` leg <-> plain peer */
static struct rig {
	char dir[64];
	struct authority authority;
	struct tls_server *server;
	SSL_CTX *ctx;
	struct buf_pool bufs;
	struct pipe_pool pipes;
	struct relay_pools pools;
	struct end peer; /* of the TLS leg */
	int plain_peer;
	struct leg tls, plain;
	struct relay in, out; /* from TLS to plain; from plain to TLS */
} rig;

static char data[1 << 20], got[1 << 20];

static void setup(void)
{
	struct end ours;
	enum tls_step steps[2];
	struct end ends[2];
	int fds[2];

	signal(SIGPIPE, SIG_IGN); /* bare OpenSSL's socket BIO writes without MSG_NOSIGNAL */
	net_dir_make(rig.dir);
	authority_make(&rig.authority);
	credentials_save(&rig.authority, rig.dir);
	rig.server = server_of(rig.dir);
	rig.ctx = bare_ctx(rig.dir, false, TLS1_3_VERSION);
	buf_pool_init(&rig.bufs, 4);
	pipe_pool_init(&rig.pipes, 4);
	rig.pools = (struct relay_pools){.bufs = &rig.bufs, .pipes = &rig.pipes};

	net_unix_pair(fds);
	end_bare(&rig.peer, fds[1], rig.ctx, false);
	ours = (struct end){.fd = fds[0], .tls = tls_accept(rig.server, fds[0], &rig.bufs)};
	ends[0] = ours;
	ends[1] = rig.peer;
	ends_shake(ends, steps);
	cr_assert(steps[0] == TLS_DONE && steps[1] == TLS_DONE);
	leg_open(&rig.tls, fds[0], ours.tls, true);

	net_unix_pair(fds);
	leg_open(&rig.plain, fds[0], NULL, true);
	rig.plain_peer = fds[1];
	relay_init(&rig.in, &rig.tls, &rig.plain);
	relay_init(&rig.out, &rig.plain, &rig.tls);
	net_fill(data, 0, sizeof(data));
}

static void teardown(void)
{
	relay_fini(&rig.in, &rig.pools);
	relay_fini(&rig.out, &rig.pools);
	leg_close(&rig.tls);
	leg_close(&rig.plain);
	end_close(&rig.peer);
	if (rig.plain_peer >= 0)
		close(rig.plain_peer);
	SSL_CTX_free(rig.ctx);
	tls_server_free(rig.server);
	authority_free(&rig.authority);
	buf_pool_fini(&rig.bufs);
	pipe_pool_fini(&rig.pipes);
	net_dir_remove(rig.dir);
}

TestSuite(relay_tls, .init = setup, .fini = teardown, .timeout = 300);

static enum relay_result step(struct relay *relay)
{
	if (net_wait(relay->from->fd, POLLIN, 0))
		leg_readable(relay->from);
	return relay_step(relay, &rig.pools, BUDGET);
}

static enum relay_result step_on(struct relay *relay)
{
	enum relay_result result;

	do
		result = step(relay);
	while (result == RELAY_AGAIN || (result == RELAY_WAIT_IN && net_wait(relay->from->fd, POLLIN, 0)));
	return result;
}

static void start(struct relay *relay, enum http_framing framing, size_t length)
{
	relay_start(relay, &rig.pools, NULL, framing, length);
}

/* What the TLS peer would send, as records in `out`. */
static size_t capture(const char *text, size_t piece, size_t len, char *out, size_t cap)
{
	BIO *mem = BIO_new(BIO_s_mem());

	SSL_set0_wbio(rig.peer.ssl, mem);
	for (size_t done = 0; done < len; done += piece)
		cr_assert_gt(
		    SSL_write(rig.peer.ssl, text + done, (int)(len - done < piece ? len - done : piece)), 0);
	int n = BIO_read(mem, out, (int)cap);
	cr_assert_gt(n, 0);
	return (size_t)n;
}

Test(relay_tls, both_ways)
{
	size_t sent = 0, received = 0;
	ssize_t n;

	start(&rig.in, HTTP_FRAMING_LENGTH, sizeof(data));
	while (received < sizeof(data)) {
		n = sent < sizeof(data) ? end_write(&rig.peer, data + sent, sizeof(data) - sent) : 0;
		sent += n > 0 ? (size_t)n : 0;
		(void)step(&rig.in);
		cr_assert_leq(rig.bufs.taken_count, 2, "one here, one of records");
		n = recv(rig.plain_peer, got, sizeof(got), 0);
		cr_assert(n < 0 || net_is(got, received, (size_t)n), "near %zu", received);
		received += n > 0 ? (size_t)n : 0;
	}
	cr_assert_eq(step(&rig.in), RELAY_DONE);
	cr_assert_eq(rig.in.mover, RELAY_TLS);
	cr_assert_str_eq(relay_mover_name(rig.in.mover), "tls");
	cr_assert_eq(rig.bufs.taken_count, 0);

	sent = received = 0;
	start(&rig.out, HTTP_FRAMING_LENGTH, sizeof(data));
	while (received < sizeof(data)) {
		n = sent < sizeof(data) ? send(rig.plain_peer, data + sent, sizeof(data) - sent, MSG_NOSIGNAL)
					: 0;
		sent += n > 0 ? (size_t)n : 0;
		(void)step(&rig.out);
		cr_assert_leq(rig.bufs.taken_count, 1, "of records");
		n = end_read(&rig.peer, got, 50000);
		cr_assert(n < 0 || net_is(got, received, (size_t)n), "near %zu", received);
		received += n > 0 ? (size_t)n : 0;
	}
	cr_assert_eq(step(&rig.out), RELAY_DONE);
	cr_assert_eq(rig.out.mover, RELAY_TLS);
	cr_assert_eq(rig.bufs.taken_count, 0);
	cr_assert_eq(rig.pipes.free_count, 0, "nothing to splice");
}

/* A body that ends in the middle of a record, or between two that came in one read. */
Test(relay_tls, length_ends_inside_what_came)
{
	static const size_t lengths[] = {1, 99, 100, 101, 150, 200};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		char records[1024];
		size_t len = capture(data, 100, 250, records, sizeof(records));

		net_send(rig.peer.fd, records, len);
		start(&rig.in, HTTP_FRAMING_LENGTH, lengths[i]);
		cr_assert_eq(step_on(&rig.in), RELAY_DONE);
		cr_assert_eq(net_recv(rig.plain_peer, got, sizeof(got), 10), lengths[i]);
		cr_assert(net_is(got, 0, lengths[i]));
		cr_assert(leg_has_pending(&rig.tls), "no event comes for the rest");
		for (size_t rest = 250 - lengths[i]; rest > 0;) {
			ssize_t n = leg_read(&rig.tls, got, sizeof(got));
			cr_assert_gt(n, 0);
			cr_assert(net_is(got, 250 - rest, (size_t)n));
			rest -= (size_t)n;
		}
		cr_assert_eq(leg_read(&rig.tls, got, 1), -EAGAIN);
		cr_assert_eq(rig.bufs.taken_count, 0);
	}
}

/* The socket, and OpenSSL, report it only once: it must not get lost behind the bytes. */
Test(relay_tls, bytes_with_garbage_right_behind)
{
	char records[1024];
	size_t len = capture(data, 100, 250, records, sizeof(records) - 64);

	memset(records + len, 0, 45);
	memcpy(records + len, "\x17\x03\x03\x00\x28", 5);
	net_send(rig.peer.fd, records, len + 45);
	start(&rig.in, HTTP_FRAMING_CLOSE, 0);
	cr_assert_eq(step_on(&rig.in), RELAY_FROM_FAILED);
	cr_assert_eq(rig.in.error, -EPROTO);
	cr_assert_eq(net_recv(rig.plain_peer, got, sizeof(got), 10), 250, "the bytes first");
	cr_assert(net_is(got, 0, 250));
	cr_assert_eq(step_on(&rig.in), RELAY_FROM_FAILED, "never a clean end");
}

/* The same while the reader is slow: the failure waits until the bytes have left. */
Test(relay_tls, garbage_while_the_reader_is_slow)
{
	static char records[300000];
	size_t len = capture(data, 16384, 200000, records, sizeof(records) - 64), received = 0;
	enum relay_result result;

	net_small_buffers(rig.plain.fd);
	memset(records + len, 0, 45);
	memcpy(records + len, "\x17\x03\x03\x00\x28", 5);
	len += 45;
	start(&rig.in, HTTP_FRAMING_CLOSE, 0);
	long long until = net_now_ms() + NET_PATIENCE_MS;
	for (size_t sent = 0;;) {
		ssize_t n = sent < len ? send(rig.peer.fd, records + sent, len - sent, MSG_NOSIGNAL) : 0;
		sent += n > 0 ? (size_t)n : 0;
		result = step(&rig.in);
		cr_assert_lt(net_now_ms(), until, "stuck");
		if (result != RELAY_WAIT_OUT && result != RELAY_WAIT_IN && result != RELAY_AGAIN)
			break;
		n = recv(rig.plain_peer, got, 30000, 0);
		cr_assert(n < 0 || net_is(got, received, (size_t)n));
		received += n > 0 ? (size_t)n : 0;
	}
	cr_assert_eq(result, RELAY_FROM_FAILED);
	received += net_recv(rig.plain_peer, got, sizeof(got), 10);
	cr_assert_eq(received, 200000);
}

Test(relay_tls, the_peer_s_end)
{
	char records[1024];
	size_t len = capture(data, 100, 250, records, sizeof(records));

	net_send(rig.peer.fd, records, len);
	shutdown(rig.peer.fd, SHUT_WR); /* no close_notify */
	start(&rig.in, HTTP_FRAMING_CLOSE, 0);
	cr_assert_eq(step_on(&rig.in), RELAY_ENDED);
	cr_assert_eq(net_recv(rig.plain_peer, got, sizeof(got), 10), 250);
	cr_assert(tls_was_truncated(rig.tls.tls), "the caller can tell");
	cr_assert_eq(rig.bufs.taken_count, 0);
}

/* Records that wait in tls.c count as not sent: DONE says that all has left. */
Test(relay_tls, done_means_that_the_records_have_left)
{
	const size_t total = 400000;
	size_t sent = 0, received = 0;
	enum relay_result result;
	unsigned blocked = 0;

	net_small_buffers(rig.tls.fd);
	start(&rig.out, HTTP_FRAMING_LENGTH, total);
	do {
		ssize_t n = sent < total ? send(rig.plain_peer, data + sent, total - sent, MSG_NOSIGNAL) : 0;
		sent += n > 0 ? (size_t)n : 0;
		result = step(&rig.out);
		cr_assert_leq(rig.bufs.taken_count, 1, "of records: nothing waits in front of them");
		if (result == RELAY_WAIT_OUT) {
			blocked++;
			uint64_t moved = rig.out.moved_bytes;
			cr_assert_eq(step(&rig.out), RELAY_WAIT_OUT);
			cr_assert_eq(rig.out.moved_bytes, moved, "nothing is read while records wait");
			while ((n = end_read(&rig.peer, got, sizeof(got))) > 0) {
				cr_assert(net_is(got, received, (size_t)n));
				received += (size_t)n;
			}
		}
	} while (result != RELAY_DONE && result < RELAY_DONE);
	cr_assert_eq(result, RELAY_DONE);
	cr_assert_gt(blocked, 0);
	cr_assert_eq(tls_flush(rig.tls.tls), 0, "nothing waits");
	cr_assert_eq(rig.bufs.taken_count, 0);
	while (received < total) {
		ssize_t n = end_read(&rig.peer, got, sizeof(got));
		cr_assert_gt(n, 0);
		cr_assert(net_is(got, received, (size_t)n));
		received += (size_t)n;
	}
}
