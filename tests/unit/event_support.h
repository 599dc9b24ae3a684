/* SPDX-License-Identifier: MIT */
/*
 * event_support.h: what the tests of the event loop share. Each test runs once for each back-end. A
 * host that refuses io_uring fails half of them, unless HEADGATE_TEST_NO_URING=1 says that it may.
 */
#ifndef HEADGATE_EVENT_SUPPORT_H
#define HEADGATE_EVENT_SUPPORT_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <sys/resource.h>

#include "event.h"
#include "net_support.h"

/* A body that runs against an open loop of each back-end. */
#define EVENT_TEST(suite, name)                                \
	static void suite##_##name(struct event_loop *loop);   \
	ParameterizedTestParameters(suite, name)               \
	{                                                      \
		static int backends[] = {0, 1};                \
		return cr_make_param_array(int, backends, 2);  \
	}                                                      \
	ParameterizedTest(int *backend, suite, name)           \
	{                                                      \
		struct event_loop *loop = loop_open(*backend); \
		suite##_##name(loop);                          \
		event_close(loop);                             \
	}                                                      \
	static void suite##_##name(struct event_loop *loop)

static inline struct event_loop *loop_open(int backend)
{
	const char *no_uring = getenv("HEADGATE_TEST_NO_URING");
	struct event_loop *loop;
	int error = 0;

	if (backend == 0 && no_uring && strcmp(no_uring, "1") == 0)
		cr_skip_test("HEADGATE_TEST_NO_URING=1");
	loop = event_open(backend == 0 ? &event_uring_ops : &event_epoll_ops, &error);
	cr_assert_not_null(loop, "%s: %s%s", backend == 0 ? "io_uring" : "epoll", strerror(-error),
			   backend == 0 ? "; if this host refuses it, set HEADGATE_TEST_NO_URING=1" : "");
	return loop;
}

/* A source that counts what is reported. */
struct probe {
	struct event_source source;
	struct event_loop *loop;
	unsigned calls, last;
	void (*action)(struct probe *probe); /* what its handler does besides */
	struct probe *other;		     /* for the action */
};

static inline void probe_handler(struct event_source *source, unsigned ready)
{
	struct probe *probe = container_of(source, struct probe, source);

	probe->calls++;
	probe->last = ready;
	if (probe->action)
		probe->action(probe);
}

static inline void probe_add(struct event_loop *loop, struct probe *probe, int fd, unsigned wanted)
{
	*probe = (struct probe){.source = {.fd = fd, .handler = probe_handler}, .loop = loop};
	cr_assert_eq(event_add(loop, &probe->source), 0);
	event_want(loop, &probe->source, wanted);
}

/* One wait that must succeed; returns how often the handler was called in it. */
static inline unsigned calls_in_wait(struct event_loop *loop, struct probe *probe, int timeout_ms)
{
	unsigned before = probe->calls;

	cr_assert_eq(event_wait(loop, timeout_ms), 0);
	return probe->calls - before;
}

/* Waits until *count reaches `enough`; false when it never does. */
static inline bool wait_for(struct event_loop *loop, const unsigned *count, unsigned enough)
{
	long long until = net_now_ms() + NET_PATIENCE_MS;

	while (*count < enough && net_now_ms() < until)
		cr_assert_eq(event_wait(loop, 100), 0);
	return *count >= enough;
}

/*
 * How many waits come back before their time while nothing is going on: a few late completions may
 * come, a loop that spins has thousands.
 */
static inline unsigned early_returns(struct event_loop *loop)
{
	long long until = net_now_ms() + 150;
	unsigned early = 0;

	for (;;) {
		long long left = until - net_now_ms();

		if (left <= 0 || early > 1000)
			return early;
		cr_assert_eq(event_wait(loop, (int)left), 0);
		if (net_now_ms() < until)
			early++;
	}
}
#define QUIET_MAX 4

static inline void fill(int fd)
{
	static const char zeroes[65536];

	while (write(fd, zeroes, sizeof(zeroes)) > 0)
		;
	cr_assert_eq(errno, EAGAIN);
}

/* Until it stays full: TCP moves on what it has taken for a while, and there is room again. */
static inline void fill_to_stay(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLOUT};

	do
		fill(fd);
	while (poll(&pollfd, 1, 200) != 0);
}

static inline void drain(int fd)
{
	char bytes[65536];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
	cr_assert_eq(errno, EAGAIN);
}

/* As many descriptors as this host allows; at least `needed`. */
static inline void files_raise(rlim_t needed)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	cr_assert_geq(limit.rlim_cur, needed, "needs a limit of %llu open files", (unsigned long long)needed);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

#endif
