/* SPDX-License-Identifier: MIT */
/*
 * net_support.h: what the tests that need sockets share: pairs of connected sockets, bytes that tell
 * where in a stream they belong, a directory of the test's own. The peer's ends are non-blocking too, so
 * that one thread can step both sides.
 */
#ifndef HEADGATE_NET_SUPPORT_H
#define HEADGATE_NET_SUPPORT_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Longer than any host under load takes for what happens at once; a test that waits so long has failed. */
#define NET_PATIENCE_MS 20000

static inline long long net_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A byte that depends on its place in the stream, with no short period: lost or swapped bytes show. */
static inline char net_byte(size_t place)
{
	uint32_t x = (uint32_t)place * 2654435761U;

	x ^= x >> 15;
	x *= 2246822519U;
	return (char)(x >> 24);
}

static inline void net_fill(char *data, size_t place, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = net_byte(place + i);
}

/* Whether data[0..len) are the bytes of that place. */
static inline bool net_is(const char *data, size_t place, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != net_byte(place + i))
			return false;
	return true;
}

static inline void net_unblock(int fd)
{
	cr_assert_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static inline void net_unix_pair(int fds[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* A listener on a loopback port that the kernel chose. */
static inline int net_tcp_listener(int backlog, struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	cr_assert_eq(bind(fd, (struct sockaddr *)(void *)address, len), 0);
	cr_assert_eq(listen(fd, backlog), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)(void *)address, &len), 0);
	return fd;
}

/* Connects, and waits for it: a descriptor that blocks, or -errno. */
static inline int net_tcp_connect(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)(const void *)address, sizeof(*address)) == 0)
		return fd;
	int result = -errno;
	close(fd);
	return result;
}

static inline void net_tcp_pair(int fds[2])
{
	struct sockaddr_in address;
	int listener = net_tcp_listener(1, &address);

	fds[0] = net_tcp_connect(&address);
	cr_assert_geq(fds[0], 0);
	fds[1] = accept(listener, NULL, NULL);
	cr_assert_geq(fds[1], 0);
	close(listener);
	net_unblock(fds[0]);
	net_unblock(fds[1]);
}

/* A listening unix socket at `path`. */
static inline int net_unix_listener(const char *path, int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	cr_assert_eq(bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0, "%s", path);
	cr_assert_eq(listen(fd, backlog), 0);
	return fd;
}

/* Connects without blocking: a descriptor, or -errno (also -EINPROGRESS: then nothing stays open). */
static inline int net_unix_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)) == 0)
		return fd;
	int result = -errno;
	close(fd);
	return result;
}

/* Connections until the queue takes no more, in fds[0..max). Returns how many; the next would wait. */
static inline int net_unix_fill_queue(const char *path, int *fds, int max)
{
	for (int i = 0; i < max; i++) {
		fds[i] = net_unix_connect(path);
		if (fds[i] == -EAGAIN)
			return i;
		cr_assert_geq(fds[i], 0, "%s: %s", path, strerror(-fds[i]));
	}
	cr_assert_fail("the queue of %s never fills", path);
	return -1;
}

static inline bool net_wait(int fd, short events, int timeout_ms)
{
	struct pollfd pollfd = {.fd = fd, .events = events};

	return poll(&pollfd, 1, timeout_ms) == 1;
}

/* Every byte, at once: the socket must have room for them. */
static inline void net_send(int fd, const void *data, size_t len)
{
	cr_assert_eq(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len, "%zu bytes: %s", len, strerror(errno));
}

/* Until `len` bytes have come, the end, or nothing for so long. Returns how many came. */
static inline size_t net_recv(int fd, void *data, size_t len, int timeout_ms)
{
	size_t have = 0;

	while (have < len && net_wait(fd, POLLIN, timeout_ms)) {
		ssize_t n = recv(fd, (char *)data + have, len - have, 0);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	return have;
}

/* Whether the socket has nothing to read now, and has not ended. */
static inline bool net_is_silent(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* Waits for the peer's end: true for a clean one, false for a reset, bytes or nothing. */
static inline bool net_ended(int fd)
{
	char byte;

	return net_wait(fd, POLLIN, NET_PATIENCE_MS) && recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* Closes with a reset instead of a FIN. */
static inline void net_reset(int fd)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(fd);
}

/* Less than a buffer of ours, more than a packet of loopback: TCP crawls below that. */
static inline void net_small_buffers(int fd)
{
	int bytes = 100000;

	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
}

/*
 * Runs `body` in `count` processes that start at the same moment, and sums up what they return: 0 or 1 each.
 * A body must not assert, for its process is none of the test's.
 */
static inline int net_race(int count, int (*body)(void *arg), void *arg)
{
	int gate[2], sum = 0;
	pid_t pids[32];

	cr_assert_leq(count, 32);
	cr_assert_eq(pipe(gate), 0);
	for (int i = 0; i < count; i++) {
		pids[i] = fork();
		cr_assert_geq(pids[i], 0);
		if (pids[i] == 0) {
			char byte;

			close(gate[1]);
			(void)!read(gate[0], &byte, 1);
			_exit(body(arg));
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < count; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1, "status %x", (unsigned)status);
		sum += WEXITSTATUS(status);
	}
	return sum;
}

static inline unsigned net_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	cr_assert_not_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* A directory of the test's own, for sockets and keys. */
static inline void net_dir_make(char dir[64])
{
	snprintf(dir, 64, "/tmp/headgate-test.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

/* With the files in it; it has no directories. */
static inline void net_dir_remove(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	cr_assert_eq(rmdir(path), 0, "%s: %s", path, strerror(errno));
}

#endif
