/* SPDX-License-Identifier: MIT */
/* Accepting, waking, time-outs and the loop's own life. Readiness: event_test.c, event_many_test.c. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "event_support.h"

TestSuite(accept, .timeout = 300);
TestSuite(wake, .timeout = 300);

/* A listener that counts and keeps what it accepts. */
struct door {
	struct event_source source;
	struct event_loop *loop;
	struct sockaddr_in address;
	int fds[1200];
	unsigned accepted, errors;
	int last_error;
	bool leave; /* removes and closes itself with the first connection */
};

static void door_accepted(struct event_source *source, int fd_or_errno)
{
	struct door *door = container_of(source, struct door, source);

	if (fd_or_errno < 0) {
		door->errors++;
		door->last_error = fd_or_errno;
		return;
	}
	cr_assert_lt(door->accepted, ARRAY_SIZE(door->fds));
	door->fds[door->accepted++] = fd_or_errno;
	if (door->leave) {
		event_remove(door->loop, source);
		close(source->fd);
	}
}

static void door_ready(struct event_source *source, unsigned ready)
{
	(void)source;
	cr_assert_fail("the handler of a listener was called with %x", ready);
}

static void door_open(struct event_loop *loop, struct door *door, bool blocking)
{
	memset(door, 0, sizeof(*door));
	door->loop = loop;
	door->source.fd = net_tcp_listener(128, &door->address);
	door->source.handler = door_ready;
	if (!blocking)
		net_unblock(door->source.fd);
	cr_assert_eq(event_add(loop, &door->source), 0);
	cr_assert_eq(event_accept_start(loop, &door->source, door_accepted), 0);
}

static int door_knock(const struct door *door)
{
	int fd = net_tcp_connect(&door->address);

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	return fd;
}

EVENT_TEST(accept, a_thousand)
{
	static struct door door;
	unsigned before;

	files_raise(2100);
	door_open(loop, &door, true);
	cr_assert_eq(event_wait(loop, 0), 0);
	before = net_open_fds();
	for (unsigned i = 0; i < 10; i++) {
		int clients[100];

		for (size_t k = 0; k < ARRAY_SIZE(clients); k++)
			clients[k] = door_knock(&door);
		cr_assert(wait_for(loop, &door.accepted, (i + 1) * 100), "%u accepted", door.accepted);
		for (size_t k = 0; k < ARRAY_SIZE(clients); k++)
			close(clients[k]);
	}
	cr_expect_eq(door.accepted, 1000);
	cr_expect_eq(door.errors, 0);
	for (unsigned i = 0; i < door.accepted; i++) {
		cr_assert(fcntl(door.fds[i], F_GETFL) & O_NONBLOCK);
		cr_assert(fcntl(door.fds[i], F_GETFD) & FD_CLOEXEC);
		close(door.fds[i]);
	}
	cr_expect_eq(net_open_fds(), before);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
}

EVENT_TEST(accept, from_a_listener_that_does_not_block)
{
	static struct door door;

	door_open(loop, &door, false);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	door_knock(&door);
	door_knock(&door);
	cr_expect(wait_for(loop, &door.accepted, 2));
	cr_expect_eq(door.errors, 0);
}

EVENT_TEST(accept, out_of_descriptors_is_reported_once)
{
	static struct door door;
	struct rlimit limit, low;
	int client;

	door_open(loop, &door, true);
	client = door_knock(&door);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)client + 1;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	cr_expect(wait_for(loop, &door.errors, 1));
	cr_expect_eq(door.last_error, -EMFILE, "%s", strerror(-door.last_error));
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(door.errors, 1);
	cr_expect_eq(door.accepted, 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(event_accept_start(loop, &door.source, door_accepted), 0);
	cr_expect(wait_for(loop, &door.accepted, 1));
	door_knock(&door);
	cr_expect(wait_for(loop, &door.accepted, 2));
	cr_expect_eq(door.errors, 1);
}

EVENT_TEST(accept, of_what_does_not_listen_is_reported)
{
	static struct door door;
	int fds[2];

	net_unix_pair(fds);
	door.source.fd = fds[0];
	door.source.handler = door_ready;
	cr_assert_eq(event_add(loop, &door.source), 0);
	cr_assert_eq(event_accept_start(loop, &door.source, door_accepted), 0);
	/* epoll finds out when something arrives. */
	cr_assert_eq(write(fds[1], "x", 1), 1);
	cr_expect(wait_for(loop, &door.errors, 1));
	cr_expect_eq(door.last_error, -EINVAL);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(door.errors, 1);
}

EVENT_TEST(accept, stop_and_start)
{
	static struct door door;

	door_open(loop, &door, true);
	cr_assert_eq(event_wait(loop, 0), 0);
	for (unsigned i = 0; i < 20; i++) {
		event_accept_stop(loop, &door.source);
		/* Half of the time the kernel does not even hear of it. */
		if (i % 2)
			cr_expect_leq(early_returns(loop), QUIET_MAX);
		door_knock(&door);
		if (i % 2) {
			cr_expect_leq(early_returns(loop), QUIET_MAX);
			cr_expect_eq(door.accepted, i, "stopped");
		}
		cr_assert_eq(event_accept_start(loop, &door.source, door_accepted), 0);
		cr_assert(wait_for(loop, &door.accepted, i + 1), "round %u", i);
	}
	cr_expect_eq(door.errors, 0);
}

EVENT_TEST(accept, what_a_removed_listener_left_is_closed)
{
	static struct door door;
	int clients[20];
	unsigned before = net_open_fds();

	door_open(loop, &door, true);
	door.leave = true;
	cr_assert_eq(event_wait(loop, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		clients[i] = door_knock(&door);
	cr_assert(wait_for(loop, &door.accepted, 1));
	cr_expect_leq(early_returns(loop), QUIET_MAX);
	cr_expect_eq(door.accepted, 1);
	close(door.fds[0]);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		struct timeval soon = {.tv_sec = 5};
		char byte;

		cr_assert_eq(setsockopt(clients[i], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)), 0);
		errno = 0;
		cr_expect(read(clients[i], &byte, 1) == 0 || errno == ECONNRESET, "client %zu: %s", i,
			  strerror(errno));
		close(clients[i]);
	}
	cr_expect_eq(net_open_fds(), before);
}

EVENT_TEST(accept, close_leaves_no_descriptor)
{
	static struct door door;
	struct event_loop *second;
	unsigned before = net_open_fds();
	int error = 0, fds[2];
	struct probe probe;

	second =
	    event_open(strcmp(event_name(loop), "uring") == 0 ? &event_uring_ops : &event_epoll_ops, &error);
	cr_assert_not_null(second);
	door_open(second, &door, true);
	net_unix_pair(fds);
	probe_add(second, &probe, fds[0], EVENT_IN);
	cr_assert_eq(event_wait(second, 0), 0);
	close(door_knock(&door));
	event_close(second);
	close(door.source.fd);
	close(fds[0]);
	close(fds[1]);
	cr_expect_eq(net_open_fds(), before);
	event_close(NULL);
}

/* ---- waking ---- */

struct waker {
	struct event_loop *loop;
	atomic_uint asked, answered;
	unsigned rounds;
};

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void *wake_later(void *argument)
{
	pause_ms(100);
	event_wake(argument);
	return NULL;
}

EVENT_TEST(wake, from_another_thread)
{
	long long start = net_now_ms();
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, wake_later, loop), 0);
	cr_expect_eq(event_wait(loop, -1), 0);
	cr_expect_geq(net_now_ms() - start, 95);
	pthread_join(thread, NULL);
	cr_expect_leq(early_returns(loop), QUIET_MAX);
}

/* One wake-up for each round, and the next round only when the loop has seen the last one. */
static void *wake_often(void *argument)
{
	struct waker *waker = argument;

	for (unsigned i = 1; i <= waker->rounds; i++) {
		atomic_store(&waker->asked, i);
		event_wake(waker->loop);
		while (atomic_load(&waker->answered) < i)
			sched_yield();
	}
	return NULL;
}

EVENT_TEST(wake, none_is_lost)
{
	struct waker waker = {.loop = loop, .rounds = 5000};
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, wake_often, &waker), 0);
	while (atomic_load(&waker.answered) < waker.rounds) {
		long long start = net_now_ms();

		cr_assert_eq(event_wait(loop, 10000), 0);
		cr_assert_lt(net_now_ms() - start, 9000, "lost after %u", atomic_load(&waker.answered));
		atomic_store(&waker.answered, atomic_load(&waker.asked));
	}
	pthread_join(thread, NULL);
}

EVENT_TEST(wake, before_the_wait)
{
	long long start = net_now_ms();

	event_wake(loop);
	event_wake(loop);
	cr_expect_eq(event_wait(loop, 10000), 0);
	cr_expect_lt(net_now_ms() - start, 5000);
	cr_expect_leq(early_returns(loop), QUIET_MAX, "once is enough for both");
}

static struct event_loop *signal_loop;

static void on_alarm(int number)
{
	(void)number;
	event_wake(signal_loop);
}

EVENT_TEST(wake, from_a_signal)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval in_50_ms = {.it_value.tv_usec = 50000};
	long long start = net_now_ms();

	signal_loop = loop;
	cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &in_50_ms, NULL), 0);
	cr_expect_eq(event_wait(loop, 10000), 0, "a signal is no error");
	cr_expect_lt(net_now_ms() - start, 5000);
}

EVENT_TEST(wake, timeouts)
{
	long long start = net_now_ms(), took;

	cr_expect_eq(event_wait(loop, 0), 0);
	cr_expect_lt(net_now_ms() - start, 5000);
	start = net_now_ms();
	cr_expect_eq(event_wait(loop, 120), 0);
	took = net_now_ms() - start;
	cr_expect_geq(took, 115);
	cr_expect_lt(took, 5000);
	start = net_now_ms();
	cr_expect_eq(event_wait(loop, 1100), 0);
	took = net_now_ms() - start;
	cr_expect_geq(took, 1095);
	cr_expect_lt(took, 6000);
}

static void *wait_elsewhere(void *argument)
{
	struct probe *probe = argument;
	long long until = net_now_ms() + NET_PATIENCE_MS;

	while (probe->calls == 0 && net_now_ms() < until) {
		if (event_wait(probe->loop, 100))
			return NULL;
	}
	return argument;
}

EVENT_TEST(wake, a_loop_opened_here_runs_there)
{
	struct probe probe;
	pthread_t thread;
	void *result;
	int fds[2];

	net_unix_pair(fds);
	probe_add(loop, &probe, fds[0], EVENT_IN);
	cr_assert_eq(write(fds[1], "x", 1), 1);
	cr_assert_eq(pthread_create(&thread, NULL, wait_elsewhere, &probe), 0);
	cr_assert_eq(pthread_join(thread, &result), 0);
	cr_expect_eq(result, &probe, "no wait failed");
	cr_expect_eq(probe.calls, 1);
}
