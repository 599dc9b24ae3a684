/* SPDX-License-Identifier: MIT */
/* leg_test.c: one socket of a connection, plain and with TLS on it. */
#include "leg.h"

#include "tls_support.h"

TestSuite(leg, .timeout = 300);

static char bytes[65536];

/* A leg and its peer; over TCP or over unix sockets. */
static int open_leg(struct leg *leg, bool tcp)
{
	int fds[2];

	if (tcp)
		net_tcp_pair(fds);
	else
		net_unix_pair(fds);
	leg_open(leg, fds[0], NULL, !tcp);
	return fds[1];
}

Test(leg, opens_and_closes)
{
	unsigned fds = net_open_fds();
	struct leg leg;

	leg_init(&leg);
	cr_assert_not(leg_is_open(&leg));
	leg_close(&leg);
	leg_abort(&leg);
	int peer = open_leg(&leg, false);
	cr_assert(leg_is_open(&leg));
	cr_assert_not(leg_has_pending(&leg));
	leg_close(&leg);
	cr_assert_not(leg_is_open(&leg));
	leg_close(&leg);
	close(peer);
	cr_assert_eq(net_open_fds(), fds);
}

Test(leg, reads_and_writes)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct leg leg;
		int peer = open_leg(&leg, tcp);

		cr_assert_eq(leg_read(&leg, bytes, 10), -EAGAIN);
		net_send(peer, "hello", 5);
		cr_assert(net_wait(leg.fd, POLLIN, NET_PATIENCE_MS));
		leg_readable(&leg);
		cr_assert_eq(leg_read(&leg, bytes, 3), 3);
		cr_assert_eq(leg_read(&leg, bytes + 3, 10), 2);
		cr_assert_eq(memcmp(bytes, "hello", 5), 0);
		cr_assert_eq(leg_read(&leg, bytes, 10), -EAGAIN);
		cr_assert_eq(leg_write(&leg, "world", 5), 5);
		cr_assert_eq(leg_flush(&leg), 0);
		cr_assert_eq(net_recv(peer, bytes, 5, NET_PATIENCE_MS), 5);
		leg_close(&leg);
		cr_assert(net_ended(peer));
		close(peer);
	}
}

/* The event loop reports it again, so what came in between is not lost. */
Test(leg, a_short_read_waits_for_the_next_event)
{
	struct leg leg;
	int peer = open_leg(&leg, false);

	net_send(peer, "a", 1);
	cr_assert_eq(leg_read(&leg, bytes, 10), 1);
	net_send(peer, "b", 1);
	leg_readable(&leg);
	cr_assert_eq(leg_read(&leg, bytes, 10), 1);
	cr_assert_eq(bytes[0], 'b');
	leg_close(&leg);
	close(peer);
}

Test(leg, the_end_stays_and_reading_goes_on_after_ours)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct leg leg;
		int peer = open_leg(&leg, tcp);

		cr_assert_eq(leg_end(&leg), 0);
		cr_assert(leg.out_ended);
		cr_assert_eq(leg_end(&leg), 0, "twice is once");
		cr_assert(net_ended(peer));
		net_send(peer, "still", 5);
		shutdown(peer, SHUT_WR);
		cr_assert(net_wait(leg.fd, POLLIN, NET_PATIENCE_MS));
		leg_readable(&leg);
		cr_assert_eq(leg_read(&leg, bytes, 5), 5);
		cr_assert_eq(leg_read(&leg, bytes, 5), 0);
		cr_assert(leg.in_ended);
		cr_assert_eq(leg_read(&leg, bytes, 5), 0);
		leg_fin(&leg);
		leg_close(&leg);
		close(peer);
	}
}

Test(leg, an_end_after_the_peer_is_gone)
{
	struct leg leg;
	int peer = open_leg(&leg, true);

	net_reset(peer);
	cr_assert(net_wait(leg.fd, POLLIN, NET_PATIENCE_MS));
	leg_readable(&leg);
	cr_assert_eq(leg_read(&leg, bytes, 1), -ECONNRESET);
	cr_assert_lt(leg_end(&leg), 0);
	cr_assert_lt(leg_write(&leg, "x", 1), 0, "and no signal");
	leg_close(&leg);
}

Test(leg, a_unix_reset_is_an_end)
{
	struct leg leg;
	int peer = open_leg(&leg, false);

	cr_assert_eq(leg_write(&leg, "unread", 6), 6);
	net_send(peer, "answer", 6);
	close(peer);
	leg_readable(&leg);
	cr_assert_eq(leg_read(&leg, bytes, sizeof(bytes)), 6);
	leg_readable(&leg);
	cr_assert_eq(leg_read(&leg, bytes, sizeof(bytes)), 0);
	cr_assert_eq(leg_read(&leg, bytes, sizeof(bytes)), 0);
	leg_close(&leg);
}

Test(leg, splices_like_it_reads)
{
	struct pipe_pool pool;
	struct pipe *pipe;
	struct leg leg;
	int peer = open_leg(&leg, false);

	pipe_pool_init(&pool, 1);
	pipe = pipe_take(&pool);
	cr_assert_eq(leg_splice(&leg, pipe, 100), -EAGAIN);
	cr_assert_eq(leg_write(&leg, "unread", 6), 6);
	net_send(peer, "answer", 6);
	close(peer);
	cr_assert_eq(leg_splice(&leg, pipe, 100), 6);
	cr_assert_eq(leg_splice(&leg, pipe, 100), 0, "a reset on a unix socket");
	cr_assert(leg.in_ended);
	cr_assert_eq(leg_splice(&leg, pipe, 100), 0);
	leg_close(&leg);
	pipe_give(&pool, &pipe);
	pipe_pool_fini(&pool);
}

/* ---- batches ---- */

static bool has_event(const struct leg *leg, int patience_ms)
{
	return net_wait(leg->fd, POLLIN, patience_ms);
}

Test(leg, a_batch_comes_when_it_is_whole)
{
	struct leg leg;
	int peer = open_leg(&leg, true);

	cr_assert(leg_batch(&leg, 1000));
	net_send(peer, bytes, 999);
	cr_assert_not(has_event(&leg, 50));
	cr_assert_eq(leg_read(&leg, bytes, sizeof(bytes)), 999, "a read waits for nothing");
	net_send(peer, bytes, 500);
	net_send(peer, bytes, 500);
	cr_assert(has_event(&leg, NET_PATIENCE_MS));
	leg_readable(&leg);
	cr_assert_eq(leg_read(&leg, bytes, sizeof(bytes)), 1000);
	net_send(peer, bytes, 1);
	cr_assert_not(has_event(&leg, 50));
	cr_assert(leg_batch(&leg, 0));
	cr_assert(has_event(&leg, NET_PATIENCE_MS), "what was there already counts");
	leg_close(&leg);
	close(peer);
}

Test(leg, the_end_is_no_part_of_a_batch)
{
	for (int reset = 0; reset < 2; reset++) {
		const struct linger linger = {.l_onoff = reset, .l_linger = 0};
		struct leg leg;
		int peer = open_leg(&leg, true);

		cr_assert(leg_batch(&leg, 1000));
		cr_assert_eq(setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
		close(peer);
		cr_assert(has_event(&leg, NET_PATIENCE_MS));
		leg_close(&leg);
	}
}

Test(leg, no_batches_from_unix_sockets)
{
	struct leg leg;
	int peer = open_leg(&leg, false);

	cr_assert_not(leg_batch(&leg, 1000));
	net_send(peer, bytes, 1);
	cr_assert(has_event(&leg, NET_PATIENCE_MS));
	leg_close(&leg);
	close(peer);
}

/* ---- abort ---- */

Test(leg, abort_is_a_reset)
{
	struct leg leg;
	char byte;
	int peer = open_leg(&leg, true);

	cr_assert_eq(leg_write(&leg, "part", 4), 4);
	cr_assert_eq(net_recv(peer, bytes, 4, NET_PATIENCE_MS), 4);
	leg_abort(&leg);
	cr_assert_not(leg_is_open(&leg));
	leg_abort(&leg);
	cr_assert(net_wait(peer, POLLIN, NET_PATIENCE_MS));
	cr_assert(recv(peer, &byte, 1, 0) < 0 && errno == ECONNRESET, "the peer takes it for the whole");
	close(peer);
}

Test(leg, abort_of_a_unix_socket_closes_it)
{
	struct leg leg;
	int peer = open_leg(&leg, false);

	leg_abort(&leg);
	cr_assert(net_ended(peer));
	close(peer);
}

/* A full socket is not a starved one: poll(2) says so as well. */
Test(leg, a_full_socket_waits_for_its_event)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct leg leg;
		int peer = open_leg(&leg, tcp);
		ssize_t n;

		while ((n = leg_write(&leg, bytes, sizeof(bytes))) > 0)
			;
		cr_assert_eq(n, -EAGAIN);
		cr_assert_not(leg_is_starved(&leg));
		cr_assert_eq(leg_write(&leg, bytes, 1), -EAGAIN);
		cr_assert_not(leg_is_starved(&leg));
		leg_close(&leg);
		close(peer);
	}
}

/* Where kernel TLS sends, the end of an output that a reset has cut off must not look like one that arrived.
 */
Test(leg, settling_tells_of_a_reset)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct leg leg;
	int peer = open_leg(&leg, true);

	leg.ktls.sends = true;
	cr_assert_eq(leg_settle(&leg), 0);
	cr_assert_eq(setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(peer);
	cr_assert(net_wait(leg.fd, POLLIN, NET_PATIENCE_MS));
	cr_assert_eq(leg_settle(&leg), -ECONNRESET);
	leg_close(&leg);
}

/* The end of the peer, then ours. */
static void end_both(struct leg *leg, int peer)
{
	shutdown(peer, SHUT_WR);
	cr_assert(net_wait(leg->fd, POLLIN, NET_PATIENCE_MS));
	leg_readable(leg);
	cr_assert_eq(leg_read(leg, bytes, 1), 0);
	cr_assert_not(leg_is_done(leg), "ours is still due");
	cr_assert_eq(leg_end(leg), 0);
}

Test(leg, is_done_when_both_have_ended)
{
	struct leg leg;
	int peer = open_leg(&leg, true);

	cr_assert_not(leg_is_done(&leg));
	cr_assert_eq(leg_write(&leg, "all of it", 9), 9);
	end_both(&leg, peer);
	cr_assert(leg_is_done(&leg));
	leg_close(&leg);
	cr_assert_eq(net_recv(peer, bytes, 9, NET_PATIENCE_MS), 9);
	cr_assert(net_ended(peer), "and no reset");
	close(peer);
}

/* The kernel gives up on a closed socket's slow reader sooner than we do. */
Test(leg, is_not_done_while_the_peer_is_behind)
{
	struct leg leg;
	int peer = open_leg(&leg, true);

	while (leg_write(&leg, bytes, sizeof(bytes)) > 0)
		;
	end_both(&leg, peer);
	cr_assert_not(leg_is_done(&leg));
	leg_close(&leg);
	close(peer);
}

/* With TLS more may come behind a close_notify, and unread it would make a reset of the close. */
Test(leg, is_not_done_with_something_unread)
{
	struct leg leg;
	int peer = open_leg(&leg, true);

	cr_assert_eq(leg_end(&leg), 0);
	leg.in_ended = true;
	cr_assert(leg_is_done(&leg));
	net_send(peer, "x", 1);
	cr_assert(net_wait(leg.fd, POLLIN, NET_PATIENCE_MS));
	cr_assert_not(leg_is_done(&leg));
	leg_close(&leg);
	close(peer);
}

/* ---- discard ---- */

/* A read counts more than its bytes, so the last bytes of a limit are not read. */
Test(leg, discard_has_a_limit)
{
	static const size_t limits[] = {1, 1000, 16384, 16385, 50000};
	static const size_t taken[] = {1, 1000, 16384, 16384, 50000 - 2 * LEG_READ_COST_BYTES};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(limits); i++) {
		bool tcp = i % 2;
		size_t gone = taken[i / 2];
		struct leg leg;
		int peer = open_leg(&leg, tcp);

		net_fill(bytes, 0, sizeof(bytes));
		net_send(peer, bytes, sizeof(bytes));
		cr_assert(net_wait(leg.fd, POLLIN, NET_PATIENCE_MS));
		cr_assert_eq(leg_discard(&leg, limits[i / 2]), -EAGAIN);
		cr_assert_eq(net_recv(leg.fd, bytes, sizeof(bytes) - gone, NET_PATIENCE_MS),
			     sizeof(bytes) - gone, "%zu", gone);
		cr_assert(net_is(bytes, gone, sizeof(bytes) - gone), "%zu", gone);
		leg_close(&leg);
		close(peer);
	}
}

/* However small the reads are, a call ends soon. */
Test(leg, discard_counts_reads)
{
	struct leg leg;
	int peer = open_leg(&leg, false);

	leg_turn(&leg);
	cr_assert_not(leg_had_its_turn(&leg));
	for (unsigned i = 0; i < LEG_TURN_READS; i++) {
		cr_assert_not(leg_had_its_turn(&leg));
		net_send(peer, "a", 1);
		cr_assert_eq(leg_discard(&leg, 1), -EAGAIN);
	}
	cr_assert(leg_had_its_turn(&leg));
	leg_turn(&leg);
	cr_assert_not(leg_had_its_turn(&leg));
	leg_close(&leg);
	close(peer);
}

Test(leg, discard_until_the_end)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct leg leg;
		int peer = open_leg(&leg, tcp);

		cr_assert_eq(leg_discard(&leg, 1000), -EAGAIN, "nothing there");
		net_send(peer, bytes, 40000);
		shutdown(peer, SHUT_WR);
		long long until = net_now_ms() + NET_PATIENCE_MS;
		int result;
		while ((result = leg_discard(&leg, 100000)) == -EAGAIN && net_now_ms() < until)
			(void)net_wait(leg.fd, POLLIN, 100);
		cr_assert_eq(result, 0);
		leg_close(&leg);
		close(peer);
	}
}

Test(leg, discard_tells_of_a_reset)
{
	struct leg leg;
	int peer = open_leg(&leg, true);

	net_reset(peer);
	cr_assert(net_wait(leg.fd, POLLIN, NET_PATIENCE_MS));
	cr_assert_eq(leg_discard(&leg, 1000), -ECONNRESET);
	leg_close(&leg);
}

/* ---- with TLS ---- */

Test(leg, with_tls)
{
	struct authority authority;
	struct tls_server *server;
	struct tls_client *client;
	struct end ends[2];
	struct leg leg;
	enum tls_step steps[2];
	char dir[64], byte;
	int fds[2];

	net_dir_make(dir);
	authority_make(&authority);
	credentials_save(&authority, dir);
	server = server_of(dir);
	client = client_of(dir, TLS_HOST);
	net_unix_pair(fds);
	end_ours(&ends[0], fds[0], server, NULL);
	end_ours(&ends[1], fds[1], NULL, client);
	ends_shake(ends, steps);
	leg_open(&leg, ends[0].fd, ends[0].tls, true); /* takes both over */
	ends[0].fd = -1;
	ends[0].tls = NULL;

	cr_assert_eq(leg_write(&leg, "hello", 5), 5);
	cr_assert_eq(leg_flush(&leg), 0);
	cr_assert_eq(end_read(&ends[1], bytes, 10), 5);
	cr_assert_eq(end_write(&ends[1], "one", 3), 3);
	cr_assert_eq(end_write(&ends[1], "two", 3), 3);
	leg_readable(&leg);
	cr_assert_eq(leg_read(&leg, bytes, 10), 3);
	cr_assert(leg_has_pending(&leg));
	cr_assert_eq(leg_read(&leg, bytes, 10), 3);
	cr_assert_eq(leg_read(&leg, bytes, 10), -EAGAIN);
	cr_assert_not(leg_has_pending(&leg));

	cr_assert_eq(leg_end(&leg), 0);
	cr_assert_eq(leg_end(&leg), 0);
	cr_assert_eq(end_read(&ends[1], bytes, 10), 0);
	cr_assert_not(tls_was_truncated(ends[1].tls), "a close_notify");
	cr_assert(net_is_silent(ends[1].fd), "and no FIN");
	cr_assert_eq(end_write(&ends[1], "more", 4), 4);
	leg_readable(&leg);
	cr_assert_eq(leg_read(&leg, bytes, 10), 4);
	leg_fin(&leg);
	cr_assert(net_ended(ends[1].fd), "now the FIN");
	cr_assert_eq(end_finish(&ends[1]), 0);
	leg_readable(&leg);
	cr_assert_eq(leg_read(&leg, &byte, 1), 0);
	cr_assert(leg.in_ended);
	leg_close(&leg);
	cr_assert_null(leg.tls);
	end_close(&ends[0]);
	end_close(&ends[1]);
	tls_server_free(server);
	tls_client_free(client);
	authority_free(&authority);
	net_dir_remove(dir);
}
