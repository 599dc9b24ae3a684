/* SPDX-License-Identifier: MIT */
#include "leg.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <linux/tcp.h> /* netinet/tcp.h has an older tcp_info, and does not go together with it */

/* What a turn moves; less costs throughput. */
#define UNSENT_MAX_BYTES (512 * 1024)

void leg_init(struct leg *leg)
{
	*leg = (struct leg){.fd = -1};
}

void leg_open(struct leg *leg, int fd, struct tls *tls, bool is_unix)
{
	*leg = (struct leg){.fd = fd, .tls = tls, .is_unix = is_unix};
}

int leg_arm(struct leg *leg, struct pipe_pool *pipes)
{
	if (!leg->tls)
		return 0;
	int result = tls_arm(leg->tls, &leg->ktls);
	leg->pipes = pipes;
	if (result == 0 && leg->ktls.receives && !pipe_reader(pipes)) /* reads find it there, then */
		result = -ENOMEM;
	if (leg->ktls.sends)
		ktls_begin_sending(&leg->ktls, leg->fd);
	if (result == 0 && leg->ktls.sends && leg->ktls.receives) {
		tls_conn_free(leg->tls);
		leg->tls = NULL;
	}
	return result;
}

enum leg_carrier leg_reads_by(const struct leg *leg)
{
	return leg->ktls.receives ? LEG_KTLS : leg->tls ? LEG_TLS : LEG_PLAIN;
}

enum leg_carrier leg_writes_by(const struct leg *leg)
{
	return leg->ktls.sends ? LEG_KTLS : leg->tls ? LEG_TLS : LEG_PLAIN;
}

bool leg_was_truncated(const struct leg *leg)
{
	return leg->ktls.truncated || (leg->tls && tls_was_truncated(leg->tls));
}

const char *leg_failure(const struct leg *leg)
{
	return leg->ktls.failure		    ? leg->ktls.failure
	       : leg->tls && *tls_failure(leg->tls) ? tls_failure(leg->tls)
						    : NULL;
}

void leg_ask_failure(struct leg *leg)
{
	int number = 0;
	socklen_t len = sizeof(number);

	if (leg_reads_by(leg) == LEG_KTLS && !leg->ktls.failure &&
	    getsockopt(leg->fd, SOL_SOCKET, SO_ERROR, &number, &len) == 0 && number > 0)
		(void)ktls_write_error(&leg->ktls, leg->fd, number);
}

void leg_prepare_tcp(int fd)
{
	const int on = 1, idle_seconds = 60, interval_seconds = 15, probes = 4;

	/* Without NODELAY the second answer on a connection waits 40 ms for the client's ACK. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* Kernel TLS never gets past a mark of urgent data, and poll(2) reports what is behind it. */
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof(idle_seconds));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof(interval_seconds));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

void leg_prepare_client(int fd)
{
	const int bytes = UNSENT_MAX_BYTES;

	leg_prepare_tcp(fd);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

void leg_close(struct leg *leg)
{
	tls_conn_free(leg->tls);
	if (leg->fd >= 0)
		close(leg->fd);
	leg_init(leg);
}

void leg_abort(struct leg *leg)
{
	/* SO_LINGER with 0 seconds makes close() send a reset (socket(7)); unix sockets ignore it. */
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	if (leg->fd >= 0)
		(void)setsockopt(leg->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	leg_close(leg);
}

void leg_readable(struct leg *leg)
{
	leg->socket_empty = false;
	if (leg->ktls.receives)
		ktls_readable(&leg->ktls);
	else if (leg->tls)
		tls_readable(leg->tls);
}

ssize_t leg_read(struct leg *leg, void *data, size_t len)
{
	ssize_t n;

	if (leg->in_ended)
		return 0;
	if (leg->ktls.receives) {
		n = ktls_read(&leg->ktls, leg->fd, leg->pipes, data, len);
	} else if (leg->tls) {
		leg->plain_reads++;
		n = tls_read(leg->tls, data, len);
	} else if (leg->socket_empty) {
		return -EAGAIN;
	} else {
		leg->plain_reads++;
		do
			n = recv(leg->fd, data, len, 0);
		while (n < 0 && errno == EINTR);
		if (n < 0) {
			n = errno == ECONNRESET && leg->is_unix ? 0 : -errno;
			leg->socket_empty = n == -EAGAIN;
		} else if (n == 0 && leg->was_reset) {
			return -ECONNRESET;
		} else if (n > 0) {
			leg->socket_empty = (size_t)n < len;
		}
	}
	if (n == 0)
		leg->in_ended = true;
	return n;
}

ssize_t leg_splice(struct leg *leg, struct pipe *pipe, size_t len)
{
	if (leg->in_ended)
		return 0;
	if (leg->ktls.receives)
		return ktls_splice(&leg->ktls, leg->fd, pipe, len);
	leg->plain_reads++;
	ssize_t n = pipe_fill(pipe, leg->fd, len);
	if (n == -ECONNRESET && leg->is_unix)
		n = 0;
	if (n == 0 && leg->was_reset)
		return -ECONNRESET;
	if (n == 0)
		leg->in_ended = true;
	return n;
}

bool leg_batch(struct leg *leg, size_t bytes)
{
	int mark = bytes > 0 ? (int)bytes : 1;

	if (leg->is_unix || leg_reads_by(leg) == LEG_KTLS)
		return false;
	if (leg->batch_bytes != bytes &&
	    setsockopt(leg->fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark)) == 0)
		leg->batch_bytes = bytes;
	return leg->batch_bytes == bytes;
}

bool leg_is_done(const struct leg *leg)
{
	int unsent_bytes = 0, unread_bytes = 0;

	return leg->in_ended && leg->out_ended && !leg->is_unix && leg_reads_by(leg) != LEG_KTLS &&
	       leg_writes_by(leg) != LEG_KTLS && ioctl(leg->fd, SIOCOUTQNSD, &unsent_bytes) == 0 &&
	       unsent_bytes == 0 && ioctl(leg->fd, FIONREAD, &unread_bytes) == 0 && unread_bytes == 0;
}

bool leg_has_pending(const struct leg *leg)
{
	return leg_reads_by(leg) == LEG_TLS && tls_has_pending(leg->tls);
}

/* What a try to write has given. The second time that it was nothing, poll(2) is asked why. */
static ssize_t written(struct leg *leg, ssize_t result)
{
	struct pollfd pollfd = {.fd = leg->fd, .events = POLLOUT};
	bool blocked = result == -EAGAIN;

	if (result > 0)
		ktls_took(&leg->ktls, (size_t)result);
	if (result < 0 && !blocked && leg_writes_by(leg) == LEG_KTLS)
		result = ktls_write_error(&leg->ktls, leg->fd, (int)-result);
	/* Of a plain TCP socket, where a read would call it the end now. */
	leg->was_reset |= result == -ECONNRESET && !leg->is_unix && leg_reads_by(leg) == LEG_PLAIN;
	leg->is_starved = blocked && leg->is_blocked && poll(&pollfd, 1, 0) == 1 && pollfd.revents == POLLOUT;
	leg->is_blocked = blocked;
	return result;
}

ssize_t leg_write(struct leg *leg, const void *data, size_t len)
{
	ssize_t n;

	if (leg_writes_by(leg) == LEG_TLS)
		return written(leg, tls_write(leg->tls, data, len));
	do
		n = send(leg->fd, data, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return written(leg, n < 0 ? -errno : n);
}

/*
 * splice(2) tells TCP of all but the pipe's last page that more will follow, and kernel TLS does not take
 * that back when it finds the socket full. Before Linux 6.5 nothing may be on its way then, so that no ACK
 * ever makes room: with a send buffer of 46 KB, Ethernet's default, and a peer whose window is 128 KiB it
 * stands still for good. Setting TCP_NODELAY, even again, sends what is queued (tcp(7)).
 */
static void push_held_back(const struct leg *leg)
{
	const int on = 1;

	if (leg_writes_by(leg) == LEG_KTLS)
		(void)setsockopt(leg->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

ssize_t leg_drain(struct leg *leg, struct pipe *pipe)
{
	ssize_t n = pipe_drain(pipe, leg->fd);

	if (n == -EAGAIN)
		push_held_back(leg);
	return written(leg, n);
}

int leg_flush(struct leg *leg)
{
	return leg_writes_by(leg) == LEG_TLS ? (int)written(leg, tls_flush(leg->tls)) : 0;
}

/* 1: there is room; 0: there is none; -errno: the socket has failed, as a write would tell. */
static int has_room(struct leg *leg)
{
	struct pollfd pollfd = {.fd = leg->fd, .events = POLLOUT};
	int number = 0;
	socklen_t len = sizeof(number);

	if (poll(&pollfd, 1, 0) == 0)
		return 0;
	if (pollfd.revents & POLLERR && getsockopt(leg->fd, SOL_SOCKET, SO_ERROR, &number, &len) == 0 &&
	    number > 0)
		return (int)written(leg, -number);
	return 1;
}

int leg_settle(struct leg *leg)
{
	if (leg_writes_by(leg) != LEG_KTLS)
		return leg_flush(leg);
	leg->is_starved = false;
	int room = has_room(leg);
	if (room < 0)
		return room;
	if (room > 0 && !ktls_is_holding(&leg->ktls, leg->fd))
		return 0;
	leg->is_starved = room > 0;
	return -EAGAIN;
}

int leg_end(struct leg *leg)
{
	int result = 0;

	switch (leg_writes_by(leg)) {
	case LEG_TLS:
		result = (int)written(leg, tls_end(leg->tls));
		break;
	case LEG_KTLS:
		/* A FIN, and close(2), too, drops what the kernel has taken and the socket had no room for.
		 */
		if (leg->out_ended)
			break;
		if (!leg->has_notified && (result = leg_settle(leg)) == 0) {
			result = (int)written(leg, ktls_close_notify(&leg->ktls, leg->fd));
			leg->has_notified = result == 0;
		}
		if (result == 0)
			result = leg_settle(leg);
		if (result == -EAGAIN) /* it is not on its way yet */
			return result;
		break;
	case LEG_PLAIN:
		result = leg->out_ended || shutdown(leg->fd, SHUT_WR) == 0 ? 0 : -errno;
		break;
	}
	leg->out_ended = true;
	return result;
}

bool leg_has_unacked(const struct leg *leg, uint64_t *acked_bytes)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	int unacked_bytes = 0;

	*acked_bytes = 0;
	if (getsockopt(leg->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	    ioctl(leg->fd, SIOCOUTQ, &unacked_bytes) < 0)
		return false;
	*acked_bytes = info.tcpi_bytes_acked;
	return unacked_bytes > 0;
}

void leg_fin(struct leg *leg)
{
	if (!leg->out_ended || leg_writes_by(leg) != LEG_PLAIN)
		(void)shutdown(leg->fd, SHUT_WR); /* a peer that has gone already is no matter now */
}

int leg_discard(struct leg *leg, size_t limit)
{
	/* No decryption: what is thrown away need not be read. MSG_TRUNC on TCP drops without copying
	 * (tcp(7)). */
	char scratch[16384];

	while (limit > 0) {
		size_t len = limit < sizeof(scratch) ? limit : sizeof(scratch);
		ssize_t n;
		unsigned before = leg_reads(leg);
		if (leg->ktls.receives) { /* recv(2) would stop at a control record */
			n = ktls_read(&leg->ktls, leg->fd, leg->pipes, scratch, len);
		} else {
			leg->plain_reads++;
			n = recv(leg->fd, scratch, len, leg->is_unix ? 0 : MSG_TRUNC);
			n = n < 0 ? -errno : n;
			/* The kernel may decrypt although the handshake has failed, see tls.c. */
			if (n == -EAGAIN && !leg->is_unix && ktls_mark(leg->fd, &leg->mark_bytes))
				n = -EINTR;
		}
		if (n == 0 || (n < 0 && n != -EINTR))
			return (int)n;
		size_t cost = leg_cost(leg, before, n > 0 ? (size_t)n : 0);
		limit -= cost < limit ? cost : limit;
	}
	return -EAGAIN;
}
