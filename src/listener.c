/* SPDX-License-Identifier: MIT */
/*
 * listener.c: see listener.h.
 *
 * Theory of operation, for unix sockets. A path outlives the process that bound it, so whoever comes next
 * asks it: a socket that refuses a connection is stale and is removed. Between that answer, unlink(), bind()
 * and listen() nobody else may do the same, or the second unlink() hits a socket that somebody serves: all
 * of it happens under file_lock() of the directory. The lock is released once the socket listens, for from
 * then on it answers for itself. At the end the file is removed only while it is still ours, told by device
 * and inode: after listener_stop() our socket refuses too, and a successor may have taken its place. That
 * look happens before the descriptors are closed, since they keep the inode's number from being used again.
 */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "file.h"
#include "leg.h"

#define BACKLOG 4096

static int fail(char *error, size_t error_cap, const char *what, int number, const char *remedy)
{
	snprintf(error, error_cap, "%s: %s%s", what, strerror(number), remedy);
	return -number;
}

static const char *remedy_for(int number)
{
	switch (number) {
	case EADDRINUSE:
		return "; another program serves this address, stop it or choose another one";
	case EEXIST:
		return "; that is no socket, choose another path";
	case EACCES:
		return "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
	case EADDRNOTAVAIL:
		return "; this host has no such address";
	default:
		return "";
	}
}

/* A bound socket; `shared` lets the other workers bind the same address. -errno. */
static int bind_tcp(const struct sockaddr_storage *address, socklen_t len, bool shared)
{
	int one = 1, zero = 0;
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address->ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	leg_prepare_client(fd);
	if ((shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0) ||
	    bind(fd, (const struct sockaddr *)(const void *)address, len) < 0) {
		int result = -errno;
		close(fd);
		return result;
	}
	return fd;
}

static int resolve(const struct listener *listener, struct sockaddr_storage *out, socklen_t *len, char *error,
		   size_t error_cap)
{
	const struct config_address *address = &listener->address;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char port[8];

	snprintf(port, sizeof(port), "%u", (unsigned)address->port);
	int result = getaddrinfo(address->host, port, &hints, &found);
	if (result != 0) {
		snprintf(error, error_cap, "%s: cannot resolve '%s': %s", listener->label, address->host,
			 gai_strerror(result));
		return -EADDRNOTAVAIL;
	}
	memcpy(out, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* Every address: IPv6 with IPv4 mapped into it where the host has IPv6, else IPv4. */
static void every_address(uint16_t port, bool ipv6, struct sockaddr_storage *out, socklen_t *len)
{
	memset(out, 0, sizeof(*out));
	if (ipv6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)out;
		*in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
		*len = sizeof(*in6);
	} else {
		struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;
		*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
		*len = sizeof(*in);
	}
}

static uint16_t port_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address = {0};
	socklen_t len = sizeof(address);

	if (getsockname(fd, &address.any, &len) < 0)
		return 0;
	return ntohs(address.any.sa_family == AF_INET6 ? address.in6.sin6_port : address.in.sin_port);
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
}

static int open_tcp(struct listener *listener, unsigned workers, char *error, size_t error_cap)
{
	const char *name = listener->label;
	struct sockaddr_storage address = {0};
	socklen_t len = 0;

	if (listener->address.host[0]) {
		int result = resolve(listener, &address, &len, error, error_cap);
		if (result < 0)
			return result;
	} else {
		every_address(listener->address.port, true, &address, &len);
	}
	/* Alone first: this fails when somebody else has the address, and finds a free port for port 0. */
	int probe = bind_tcp(&address, len, false);
	if (probe == -EAFNOSUPPORT && !listener->address.host[0]) {
		every_address(listener->address.port, false, &address, &len);
		probe = bind_tcp(&address, len, false);
	}
	if (probe < 0)
		return fail(error, error_cap, name, -probe, remedy_for(-probe));
	listener->address.port = port_of(probe);
	set_port(&address, listener->address.port);
	/* SO_REUSEADDR lets two sockets bind that do not listen: only listening tells that nobody else does.
	 */
	if (listen(probe, 1) < 0) {
		int number = errno;
		close(probe);
		return fail(error, error_cap, name, number, remedy_for(number));
	}
	close(probe);
	for (; listener->count < workers; listener->count++) {
		int fd = bind_tcp(&address, len, true);
		if (fd < 0)
			return fail(error, error_cap, name, -fd, remedy_for(-fd));
		listener->fds[listener->count] = fd;
		if (listen(fd, BACKLOG) < 0) {
			listener->count++;
			return fail(error, error_cap, name, errno, remedy_for(errno));
		}
	}
	return 0;
}

/* Whether that unix socket was left behind by a process that died. Any other answer may be a live one. */
static bool unix_is_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool stale = fd >= 0 &&
		     connect(fd, (const struct sockaddr *)(const void *)address, sizeof(*address)) < 0 &&
		     errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return stale;
}

/* Makes way for a socket at that path. 0, -EADDRINUSE when one is in use there, -EEXIST for what is no
 * socket, or another -errno. */
static int unix_clear(const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(address->sun_path, &st) < 0)
		return 0; /* bind() knows the reason, if there is one */
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (!unix_is_stale(address))
		return -EADDRINUSE;
	return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Under the directory's lock. 0 or -errno. */
static int unix_bind(struct listener *listener, int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int result;

	strlcpy(address.sun_path, listener->address.path, sizeof(address.sun_path));
	result = unix_clear(&address);
	if (result < 0)
		return result;
	mode_t before = umask(listener->is_private ? 0177 : 0117);
	result = bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(before);
	if (result < 0)
		return result;
	if (lstat(address.sun_path, &st) == 0) {
		listener->dev = st.st_dev;
		listener->ino = st.st_ino;
		listener->bound = true;
	}
	return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

/* The lock of the directory in which the socket's file is; see file_lock(). */
static int unix_lock(const struct listener *listener, char *error, size_t error_cap)
{
	char dir[sizeof(listener->address.path)];
	int result = file_parent(listener->address.path, dir, sizeof(dir));

	if (result < 0) {
		snprintf(error, error_cap, "%s", strerror(-result));
		return result;
	}
	return file_lock(dir, error, error_cap);
}

static int open_unix(struct listener *listener, unsigned workers, char *error, size_t error_cap)
{
	const char *name = listener->label;
	char reason[256];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fail(error, error_cap, name, errno, "");
	listener->fds[listener->count++] = fd;
	int lock = unix_lock(listener, reason, sizeof(reason));
	if (lock < 0) {
		snprintf(error, error_cap, "%s: %s", name, reason);
		return lock;
	}
	int result = unix_bind(listener, fd);
	close(lock);
	if (result < 0)
		return fail(error, error_cap, name, -result,
			    result == -EADDRINUSE || result == -EEXIST ? remedy_for(-result) : "");
	while (listener->count < workers) {
		int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (copy < 0)
			return fail(error, error_cap, name, errno, "");
		listener->fds[listener->count++] = copy;
	}
	return 0;
}

/* Removes the file if it is still ours. A lock that cannot be had is no reason to leave it behind. */
static void unix_remove(const struct listener *listener)
{
	char ignored[256];
	struct stat st;
	int lock = unix_lock(listener, ignored, sizeof(ignored));

	if (lstat(listener->address.path, &st) == 0 && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino)
		(void)unlink(listener->address.path);
	if (lock >= 0)
		close(lock);
}

static int open_any(struct listener *listener, bool is_private, const char *option,
		    const struct config_address *address, unsigned workers, char *error, size_t error_cap)
{
	*listener = (struct listener){
	    .address = *address, .fds = calloc(workers, sizeof(int)), .is_private = is_private};
	snprintf(listener->label, sizeof(listener->label), "%s %s", option, address->text);
	if (!listener->fds) {
		snprintf(error, error_cap, "out of memory");
		return -ENOMEM;
	}
	return address->scheme == CONFIG_UNIX ? open_unix(listener, workers, error, error_cap)
					      : open_tcp(listener, workers, error, error_cap);
}

int listener_open(struct listener *listener, const char *option, const struct config_address *address,
		  unsigned workers, char *error, size_t error_cap)
{
	return open_any(listener, false, option, address, workers, error, error_cap);
}

int listener_open_private(struct listener *listener, const char *option, const struct config_address *address,
			  unsigned workers, char *error, size_t error_cap)
{
	return open_any(listener, true, option, address, workers, error, error_cap);
}

void listener_stop(const struct listener *listener)
{
	for (unsigned i = 0; i < listener->count; i++)
		(void)shutdown(listener->fds[i], SHUT_RDWR);
}

void listener_close(struct listener *listener)
{
	if (listener->bound)
		unix_remove(listener);
	for (unsigned i = 0; i < listener->count; i++)
		close(listener->fds[i]);
	free(listener->fds);
	*listener = (struct listener){0};
}

void listener_name(const struct listener *listener, char *text, size_t text_cap)
{
	const struct config_address *address = &listener->address;
	const char *host = address->host[0] ? address->host : "*";

	if (address->scheme == CONFIG_UNIX)
		snprintf(text, text_cap, "unix://%s", address->path);
	else
		snprintf(text, text_cap, strchr(host, ':') ? "tls://[%s]:%u" : "tls://%s:%u", host,
			 (unsigned)address->port);
}
