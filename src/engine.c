/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "leg.h"

/*
 * A bulk transfer fills what the socket takes in one send(2): at 1 MiB a load costs a fifth less than
 * with the default. The kernel caps it at net.core.wmem_max without a word.
 */
#define ENGINE_SEND_BUFFER_BYTES (1024 * 1024)

static int resolve(struct engine *engine, const char *option, char *error, size_t error_cap)
{
	const struct config_address *address = &engine->address;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
	struct addrinfo *found = NULL;
	char port[8];

	snprintf(port, sizeof(port), "%u", (unsigned)address->port);
	int result = getaddrinfo(address->host, port, &hints, &found);
	if (result == EAI_ADDRFAMILY || result == EAI_NONAME) { /* a host with nothing but loopback */
		hints.ai_flags = AI_NUMERICSERV;
		result = getaddrinfo(address->host, port, &hints, &found);
	}
	if (result != 0) {
		snprintf(error, error_cap, "%s%s: cannot resolve '%s': %s", option, address->text,
			 address->host, gai_strerror(result));
		return -EHOSTUNREACH;
	}
	memcpy(&engine->sockaddr, found->ai_addr, found->ai_addrlen);
	engine->sockaddr_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

int engine_init(struct engine *engine, const struct config *config, char *error, size_t error_cap)
{
	*engine = (struct engine){.address = config->engine};
	if (engine->address.scheme == CONFIG_UNIX) {
		struct sockaddr_un *un = (struct sockaddr_un *)(void *)&engine->sockaddr;
		un->sun_family = AF_UNIX;
		strlcpy(un->sun_path, engine->address.path, sizeof(un->sun_path));
		engine->sockaddr_len = sizeof(*un);
		return 0;
	}
	int result = resolve(engine, "--engine ", error, error_cap);
	if (result < 0)
		return result;
	if (engine->address.scheme == CONFIG_TLS) {
		engine->tls = tls_client_new(config->engine_cert_dir, engine->address.host, error, error_cap);
		if (!engine->tls)
			return -EINVAL;
	}
	return 0;
}

int engine_init_remote(struct engine *engine, const struct config *config, char *error, size_t error_cap)
{
	*engine = (struct engine){.address = config->engine, .is_remote = true};
	/* The token goes there: never in the clear, never to who has not shown who it is. */
	if (engine->address.scheme != CONFIG_TLS) {
		snprintf(error, error_cap, "%s: a headgate is reached at tls://HOST:PORT",
			 engine->address.text);
		return -EINVAL;
	}
	int result = resolve(engine, "", error, error_cap);
	if (result < 0)
		return result;
	engine->tls = tls_client_new_remote(
	    config->ca_file, config->fingerprint.is_given ? config->fingerprint.bytes : NULL,
	    config->server_name ? config->server_name : engine->address.host, error, error_cap);
	return engine->tls ? 0 : -EINVAL;
}

void engine_fini(struct engine *engine)
{
	tls_client_free(engine->tls);
	engine->tls = NULL;
}

int engine_connect(const struct engine *engine, int *fd)
{
	int family = engine->sockaddr.ss_family;
	int size = ENGINE_SEND_BUFFER_BYTES;

	*fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	if (family == AF_UNIX) /* TCP sizes its own buffers better than we could */
		(void)setsockopt(*fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	else
		leg_prepare_tcp(*fd);
	if (connect(*fd, (const struct sockaddr *)(const void *)&engine->sockaddr, engine->sockaddr_len) == 0)
		return 0;
	int result = -errno;
	if (result == -EINPROGRESS)
		return result;
	close(*fd);
	*fd = -1;
	return result;
}

int engine_connected(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
	int result = 0;
	socklen_t len = sizeof(result);

	if (poll(&pollfd, 1, 0) == 0) /* SO_ERROR is 0 while the attempt still runs, too */
		return -EINPROGRESS;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &len) < 0)
		return -errno;
	return -result;
}

static const char *remedy(const struct engine *engine, int error)
{
	bool is_unix = engine->address.scheme == CONFIG_UNIX;
	struct stat st;

	switch (-error) {
	case ENOENT:
		return is_unix ? "; is dockerd running, and is its socket there?" : "";
	case ECONNREFUSED:
		if (engine->is_remote)
			return "; is headgate serve running there?";
		if (!is_unix)
			return "; is dockerd running?";
		return stat(engine->address.path, &st) == 0 && !S_ISSOCK(st.st_mode)
			   ? "; that is no socket"
			   : "; the socket is there, but no dockerd listens on it";
	case EACCES:
	case EPERM:
		return is_unix ? "; run headgate as root (sudo), or as a member of the group of that socket "
				 "(mostly docker)"
			       : "";
	case EAGAIN:
		return "; it does not accept connections at the moment";
	default:
		return "";
	}
}

void engine_trouble(const struct engine *engine, bool connected, int error, const char *detail, char *text,
		    size_t text_cap)
{
	const char *cause = error ? strerror(-error) : detail ? "" : "unknown error";

	if (error == -EAGAIN)
		cause = "its queue is full";
	snprintf(text, text_cap, "headgate: %s the %s at %s: %s%s%s%s",
		 connected ? "no good answer from" : "cannot reach",
		 engine->is_remote ? "headgate" : "Docker Engine", engine->address.text, cause,
		 error && detail ? ": " : "", detail ? detail : "", connected ? "" : remedy(engine, error));
}
