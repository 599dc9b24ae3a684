/* SPDX-License-Identifier: MIT */
/* Sources that go, and many of them at once. */
#include <poll.h>
#include <sys/eventfd.h>

#include "event_support.h"

TestSuite(remove, .timeout = 300);
TestSuite(many, .timeout = 300);

static void remove_and_free(struct probe *probe)
{
	event_remove(probe->loop, &probe->source);
	close(probe->source.fd);
	memset(probe, 0xa5, sizeof(*probe));
	free(probe);
}

EVENT_TEST(remove, handler_frees_its_own_source)
{
	for (int i = 0; i < 20; i++) {
		struct probe *probe = malloc(sizeof(*probe));
		int fds[2];

		net_unix_pair(fds);
		cr_expect_eq(write(fds[1], "x", 1), 1);
		probe_add(loop, probe, fds[0], EVENT_IN | EVENT_OUT | EVENT_HANGUP);
		probe->action = remove_and_free;
		cr_assert_eq(event_wait(loop, 1000), 0);
		cr_expect_eq(fcntl(fds[0], F_GETFD), -1, "it was called and closed its descriptor");
		cr_assert_eq(event_wait(loop, 0), 0);
		close(fds[1]);
	}
	cr_expect_leq(early_returns(loop), QUIET_MAX);
}

static void free_other(struct probe *probe)
{
	remove_and_free(probe->other);
	probe->action = NULL;
}

EVENT_TEST(remove, handler_frees_another_of_the_same_batch)
{
	struct probe *probes[2];
	int fds[2][2], open_count;

	for (int i = 0; i < 2; i++) {
		probes[i] = malloc(sizeof(*probes[i]));
		net_unix_pair(fds[i]);
		probe_add(loop, probes[i], fds[i][0], EVENT_OUT);
		probes[i]->action = free_other;
	}
	probes[0]->other = probes[1];
	probes[1]->other = probes[0];
	cr_assert_eq(event_wait(loop, 1000), 0);
	open_count = (fcntl(fds[0][0], F_GETFD) >= 0) + (fcntl(fds[1][0], F_GETFD) >= 0);
	cr_expect_eq(open_count, 1, "one freed the other, which was not called");
	for (int i = 0; i < 3; i++)
		cr_assert_eq(event_wait(loop, 1000), 0);
	for (int i = 0; i < 2; i++) {
		if (fcntl(fds[i][0], F_GETFD) >= 0)
			remove_and_free(probes[i]);
	}
}

static struct probe reused;
static int reused_peer;

/* Closes the other one's descriptor and gives its number to a fresh source that is not ready. */
static void replace_other(struct probe *probe)
{
	int number = probe->other->source.fd, fds[2];

	event_remove(probe->loop, &probe->other->source);
	close(number);
	net_unix_pair(fds);
	if (fds[0] != number) {
		cr_assert_eq(dup2(fds[0], number), number);
		close(fds[0]);
	}
	reused_peer = fds[1] == number ? -1 : fds[1];
	probe_add(probe->loop, &reused, number, EVENT_IN);
	probe->action = NULL;
	event_want(probe->loop, &probe->source, 0);
}

EVENT_TEST(remove, descriptor_number_reused_in_the_same_batch)
{
	struct probe probes[2];
	int fds[2][2];

	for (int i = 0; i < 2; i++) {
		net_unix_pair(fds[i]);
		cr_expect_eq(write(fds[i][1], "x", 1), 1);
		probe_add(loop, &probes[i], fds[i][0], EVENT_IN);
		probes[i].action = replace_other;
		probes[i].other = &probes[!i];
	}
	cr_assert_eq(event_wait(loop, 1000), 0);
	cr_expect_eq(probes[0].calls + probes[1].calls, 1);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(reused.calls, 0, "nothing of the old one");
	cr_expect_eq(write(reused_peer, "x", 1), 1);
	cr_expect(wait_for(loop, &reused.calls, 1));
}

EVENT_TEST(remove, late_completions_do_not_reach_a_reused_slot)
{
	struct probe probe;
	unsigned stale = 0;

	for (int i = 0; i < 1000; i++) {
		int fds[2], number;

		net_unix_pair(fds);
		number = fds[0];
		probe_add(loop, &probe, number, EVENT_IN | EVENT_HANGUP);
		cr_assert_eq(event_wait(loop, 0), 0);
		cr_assert_eq(write(fds[1], "x", 1), 1); /* under way while the source goes */
		event_remove(loop, &probe.source);
		close(number);
		close(fds[1]);
		net_unix_pair(fds);
		probe_add(loop, &probe, fds[0], EVENT_IN);
		for (int turn = 0; turn < 3; turn++)
			stale += calls_in_wait(loop, &probe, 0);
		cr_assert_eq(write(fds[1], "x", 1), 1);
		cr_assert_eq(calls_in_wait(loop, &probe, 1000), 1);
		event_remove(loop, &probe.source);
		close(fds[0]);
		close(fds[1]);
	}
	cr_expect_eq(stale, 0);
}

/*
 * More at once than a wait completes: the rest comes when the slots have new owners already. (Without
 * generations this fails with io_uring on kernels that complete 20 a wait.)
 */
EVENT_TEST(remove, late_completions_of_many)
{
	enum { BATCH = 300 };
	static struct probe probes[BATCH];
	static int fds[BATCH][2];
	unsigned stale = 0;

	files_raise(4 * BATCH);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < BATCH; i++) {
			net_unix_pair(fds[i]);
			probe_add(loop, &probes[i], fds[i][0], EVENT_IN | EVENT_OUT);
		}
		cr_assert_eq(event_wait(loop, 0), 0);
		for (int i = 0; i < BATCH; i++) {
			event_want(loop, &probes[i].source, EVENT_IN);
			cr_assert_eq(write(fds[i][1], "x", 1), 1);
			event_remove(loop, &probes[i].source);
			close(fds[i][0]);
			close(fds[i][1]);
		}
		cr_assert_eq(event_wait(loop, 0), 0); /* the slots are free from here on */
		for (int i = 0; i < BATCH; i++) {
			net_unix_pair(fds[i]);
			probe_add(loop, &probes[i], fds[i][0], EVENT_IN);
		}
		for (int turn = 0; turn < 2 * BATCH / 20; turn++)
			cr_assert_eq(event_wait(loop, 0), 0);
		for (int i = 0; i < BATCH; i++) {
			stale += probes[i].calls;
			event_remove(loop, &probes[i].source);
			close(fds[i][0]);
			close(fds[i][1]);
		}
		cr_expect_leq(early_returns(loop), 2 * BATCH / 20);
	}
	cr_expect_eq(stale, 0, "%u", stale);
}

/* Sources whose peers have ended and read nothing: those that go, and those that stay and are all heard. */
EVENT_TEST(remove, out_of_many_behind_their_peers_end)
{
	enum { MANY = 200 };
	static struct probe probes[MANY];
	static int fds[MANY][2];
	unsigned heard = 0;

	files_raise(4 * MANY);
	for (int i = 0; i < MANY; i++) {
		net_unix_pair(fds[i]);
		fill(fds[i][0]);
		shutdown(fds[i][1], SHUT_WR);
		probe_add(loop, &probes[i], fds[i][0], EVENT_OUT);
	}
	cr_expect_leq(early_returns(loop), 2 * MANY / 20);
	for (int i = 0; i < MANY; i += 2) {
		event_remove(loop, &probes[i].source);
		close(fds[i][0]);
		cr_expect_eq(probes[i].calls, 0);
		net_unix_pair(fds[i]); /* the same numbers, and slots in the end */
		fill(fds[i][0]);
		probe_add(loop, &probes[i], fds[i][0], EVENT_OUT);
	}
	cr_expect_leq(early_returns(loop), 2 * MANY / 20);
	for (int i = 0; i < MANY; i++)
		drain(fds[i][1]);
	for (int turn = 0; turn < MANY && heard < MANY; turn++) {
		cr_assert_eq(event_wait(loop, 100), 0);
		heard = 0;
		for (int i = 0; i < MANY; i++)
			heard += probes[i].calls > 0;
	}
	cr_expect_eq(heard, MANY, "%u", heard);
	for (int i = 0; i < MANY; i++) {
		event_remove(loop, &probes[i].source);
		close(fds[i][0]);
		close(fds[i][1]);
	}
	cr_expect_leq(early_returns(loop), 2 * MANY / 20);
}

EVENT_TEST(remove, remove_of_what_was_never_added)
{
	struct event_source zeroed = {0};
	struct probe probe;
	int fds[2];

	net_unix_pair(fds);
	probe_add(loop, &probe, fds[0], EVENT_OUT); /* has slot 0 */
	event_remove(loop, &zeroed);
	event_want(loop, &zeroed, EVENT_IN);
	cr_expect_eq(event_add(loop, &probe.source), -EINVAL, "twice");
	cr_expect_eq(calls_in_wait(loop, &probe, 1000), 1);
	event_remove(loop, &probe.source);
	event_remove(loop, &probe.source);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(probe.calls, 1);
}

EVENT_TEST(remove, peer_sees_the_end_although_polls_were_armed)
{
	struct probe probe;
	int fds[2];
	char byte;

	net_tcp_pair(fds);
	fill_to_stay(fds[0]);
	probe_add(loop, &probe, fds[0], EVENT_HANGUP);
	cr_expect_eq(calls_in_wait(loop, &probe, 0), 0);
	event_want(loop, &probe.source, EVENT_IN | EVENT_OUT);
	cr_expect_eq(calls_in_wait(loop, &probe, 0), 0);
	event_remove(loop, &probe.source);
	close(fds[0]);
	cr_assert_eq(event_wait(loop, 0), 0);
	cr_assert_eq(event_wait(loop, 0), 0);
	while (net_wait(fds[1], POLLIN, NET_PATIENCE_MS) && read(fds[1], &(char[65536]){0}, 65536) > 0)
		;
	cr_expect_eq(read(fds[1], &byte, 1), 0, "%s", strerror(errno));
}

/* Bytes that came and were read without the loop leave a poll that the kernel has woken, but not looked at
 * yet. */
EVENT_TEST(remove, peer_sees_the_end_although_a_poll_was_being_woken)
{
	struct probe probe;
	int fds[2];
	char byte;

	net_tcp_pair(fds);
	probe_add(loop, &probe, fds[0], EVENT_IN | EVENT_HANGUP);
	cr_expect_eq(calls_in_wait(loop, &probe, 0), 0);
	cr_expect_eq(write(fds[1], "x", 1), 1);
	cr_assert(net_wait(fds[0], POLLIN, NET_PATIENCE_MS));
	cr_expect_eq(read(fds[0], &byte, 1), 1);
	event_remove(loop, &probe.source);
	close(fds[0]);
	cr_assert_eq(event_wait(loop, 0), 0);
	cr_assert_eq(event_wait(loop, 0), 0);
	cr_assert(net_wait(fds[1], POLLIN, NET_PATIENCE_MS),
		  "the descriptor is closed, the connection is not");
	cr_expect_eq(read(fds[1], &byte, 1), 0, "%s", strerror(errno));
}

/* ---- many ---- */

enum { MANY = 5000 };

static void consume(struct probe *probe)
{
	eventfd_t count;

	cr_assert_eq(eventfd_read(probe->source.fd, &count), 0);
}

EVENT_TEST(many, five_thousand_at_once)
{
	static struct probe probes[MANY];
	long long until;
	unsigned done = 0, wrong = 0;

	files_raise(MANY + 100);
	for (int i = 0; i < MANY; i++) {
		probe_add(loop, &probes[i], eventfd(0, EFD_NONBLOCK), EVENT_IN);
		probes[i].action = consume;
	}
	cr_assert_eq(event_wait(loop, 0), 0);
	for (int round = 1; round <= 3; round++) {
		for (int i = 0; i < MANY; i++)
			cr_assert_eq(eventfd_write(probes[i].source.fd, 1), 0);
		until = net_now_ms() + 20000;
		do {
			cr_assert_eq(event_wait(loop, 100), 0);
			done = 0;
			for (int i = 0; i < MANY; i++)
				done += probes[i].calls == (unsigned)round;
		} while (done < MANY && net_now_ms() < until);
		cr_assert_eq(done, MANY, "round %d: %u of %d", round, done, MANY);
	}
	/* All are armed; all go at once. */
	cr_assert_eq(event_wait(loop, 0), 0);
	for (int i = 0; i < MANY; i++) {
		event_remove(loop, &probes[i].source);
		close(probes[i].source.fd);
	}
	for (int i = 0; i < MANY / 10; i++) /* recent kernels complete no more than 20 a wait */
		cr_assert_eq(event_wait(loop, 0), 0);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	for (int i = 0; i < MANY; i++)
		wrong += probes[i].calls != 3;
	cr_expect_eq(wrong, 0);
}

/* More are ready all the time than the ring submits at once; one that becomes ready has its turn, too. */
EVENT_TEST(many, many_ready_do_not_starve_one)
{
	enum { BUSY = 1500 };
	static struct probe busy[BUSY];
	struct probe probe;
	unsigned waits = 0;
	int fds[2];

	files_raise(BUSY + 100);
	for (int i = 0; i < BUSY; i++)
		probe_add(loop, &busy[i], eventfd(1, EFD_NONBLOCK), EVENT_IN);
	net_unix_pair(fds);
	probe_add(loop, &probe, fds[0], EVENT_IN);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(event_wait(loop, 1000), 0);
	cr_assert_eq(write(fds[1], "x", 1), 1);
	while (probe.calls == 0 && waits++ < 50)
		cr_assert_eq(event_wait(loop, 1000), 0);
	cr_expect_eq(probe.calls, 1, "after %u waits", waits);
	for (int i = 0; i < BUSY; i++)
		cr_assert_gt(busy[i].calls, 0);
}

/*
 * Whatever is wanted, written, read, shut down and removed in whatever order: what is reported is what
 * poll(2) says, and nothing that is not wanted. Two waits: a poll in the ring that bytes have completed
 * does not tell of the hang-up that came after them, its successor does.
 */
EVENT_TEST(many, agrees_with_poll)
{
	enum { COUNT = 16, STEPS = 30000 };
	struct probe probes[COUNT];
	int fds[COUNT][2];
	unsigned reported[COUNT], missed = 0, unwanted = 0, seed = 20261107;

	for (int i = 0; i < COUNT; i++) {
		net_unix_pair(fds[i]);
		probe_add(loop, &probes[i], fds[i][0], EVENT_IN);
	}
	for (int step = 0; step < STEPS; step++) {
		int i = rand_r(&seed) % COUNT;

		switch (rand_r(&seed) % 12) {
		case 0:
			event_remove(loop, &probes[i].source);
			close(fds[i][0]);
			close(fds[i][1]);
			net_unix_pair(fds[i]);
			probe_add(loop, &probes[i], fds[i][0], (unsigned)rand_r(&seed) % 8);
			break;
		case 1:
			shutdown(fds[i][1], SHUT_WR);
			break;
		case 2:
			fill(fds[i][0]);
			break;
		case 3:
		case 4:
			while (read(fds[i][1], &(char[4096]){0}, 4096) > 0)
				;
			break;
		case 5:
		case 6:
			while (read(fds[i][0], &(char[4096]){0}, 4096) > 0)
				;
			break;
		case 7:
		case 8:
			(void)!send(fds[i][1], "x", 1, MSG_NOSIGNAL);
			break;
		default:
			event_want(loop, &probes[i].source, (unsigned)rand_r(&seed) % 8);
		}
		if (rand_r(&seed) % 3)
			continue;
		for (int k = 0; k < COUNT; k++)
			reported[k] = probes[k].last = 0;
		for (int turn = 0; turn < 2; turn++) {
			cr_assert_eq(event_wait(loop, 0), 0);
			for (int k = 0; k < COUNT; k++)
				reported[k] |= probes[k].last;
		}
		for (int k = 0; k < COUNT; k++) {
			unsigned wanted = probes[k].source.wanted, truth = 0;
			struct pollfd poll_fd = {.fd = fds[k][0], .events = POLLIN | POLLOUT | POLLRDHUP};

			poll(&poll_fd, 1, 0);
			truth |= poll_fd.revents & POLLIN ? EVENT_IN : 0;
			truth |= poll_fd.revents & POLLOUT ? EVENT_OUT : 0;
			truth |= poll_fd.revents & POLLRDHUP ? EVENT_HANGUP : 0;
			missed += (truth & wanted & ~reported[k]) != 0;
			unwanted += (reported[k] & ~wanted & ~(unsigned)EVENT_FAILED) != 0;
		}
	}
	cr_expect_eq(missed, 0, "%u missed", missed);
	cr_expect_eq(unwanted, 0, "%u not wanted", unwanted);
}
