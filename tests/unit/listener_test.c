/* SPDX-License-Identifier: MIT */
/* listener_test.c: the sockets that clients connect to, and what stands in their way. */
#include "listener.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "net_support.h"

#define NOBODY 65534
#define PROCS  8

static char dir[64], path[108], url[128], error[512];

static void setup(void)
{
	net_dir_make(dir);
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(url, sizeof(url), "unix://%s", path);
}

static void teardown(void)
{
	net_dir_remove(dir);
}

TestSuite(listener, .init = setup, .fini = teardown, .timeout = 300);

static int open_at(struct listener *listener, const char *text, unsigned workers)
{
	struct config_address address;
	const char *reason = "";

	cr_assert_eq(config_address_parse(&address, text, true, &reason), 0, "%s: %s", text, reason);
	error[0] = '\0';
	return listener_open(listener, "--listen", &address, workers, error, sizeof(error));
}

static void must_open(struct listener *listener, const char *text, unsigned workers)
{
	cr_assert_eq(open_at(listener, text, workers), 0, "%s", error);
	cr_assert_eq(listener->count, workers);
}

static void must_refuse(const char *text, unsigned workers, int want)
{
	struct listener listener;
	unsigned fds = net_open_fds();

	cr_assert_eq(open_at(&listener, text, workers), want, "%s: %s", text, error);
	cr_assert_eq(strncmp(error, "--listen ", 9), 0, "%s", error);
	cr_assert_not_null(strstr(error, text), "%s", error);
	cr_assert_null(strchr(error, '\n'), "%s", error);
	listener_close(&listener);
	cr_assert_eq(net_open_fds(), fds, "descriptors");
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);

	cr_assert_eq(getsockname(fd, (struct sockaddr *)(void *)&address, &len), 0);
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
						   : ((struct sockaddr_in *)(void *)&address)->sin_port);
}

/* Connects to a loopback port: a descriptor or -errno. */
static int connect_to(uint16_t port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};

	return net_tcp_connect(&address);
}

/* How many of the waiting connections the workers get. */
static unsigned accept_all(const struct listener *listener)
{
	unsigned accepted = 0;

	for (unsigned i = 0; i < listener->count; i++) {
		int fd;

		while ((fd = accept(listener->fds[i], NULL, NULL)) >= 0) {
			accepted++;
			close(fd);
		}
		cr_assert_eq(errno, EAGAIN, "they do not block");
	}
	return accepted;
}

/* ---- TCP ---- */

Test(listener, port_zero_gives_all_workers_one_port)
{
	static const char *const urls[] = {"tls://127.0.0.1:0", "tls://:0", "tls://localhost:0"};

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct listener listener;
		char name[300], port[16];
		unsigned fds = net_open_fds();
		int clients[20];

		must_open(&listener, urls[i], 4);
		cr_assert_neq(listener.address.port, 0);
		for (unsigned j = 0; j < 4; j++) {
			cr_assert_eq(port_of(listener.fds[j]), listener.address.port, "%s", urls[i]);
			cr_assert(fcntl(listener.fds[j], F_GETFD) & FD_CLOEXEC);
		}
		listener_name(&listener, name, sizeof(name));
		snprintf(port, sizeof(port), ":%u", (unsigned)listener.address.port);
		cr_assert_eq(strncmp(name, "tls://", 6), 0, "%s", name);
		cr_assert_str_eq(strrchr(name, ':'), port);
		if (strstr(urls[i], "localhost")) { /* may be ::1 */
			listener_close(&listener);
			continue;
		}
		for (size_t j = 0; j < ARRAY_SIZE(clients); j++)
			cr_assert_geq(clients[j] = connect_to(listener.address.port), 0);
		cr_assert_eq(accept_all(&listener), ARRAY_SIZE(clients), "%s", urls[i]);
		for (size_t j = 0; j < ARRAY_SIZE(clients); j++)
			close(clients[j]);
		listener_close(&listener);
		cr_assert_eq(net_open_fds(), fds);
	}
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	cr_assert_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* Whether a keep-alive timer runs for the connection between these ports (proc(5), /proc/net/tcp: timer 2).
 */
static bool is_kept_alive(uint16_t local, uint16_t remote)
{
	FILE *table = fopen("/proc/net/tcp", "re");
	unsigned from, to, state, timer = 0;
	char line[256];
	bool found = false;

	cr_assert_not_null(table);
	while (!found && fgets(line, sizeof(line), table))
		found = sscanf(line, " %*d: %*x:%x %*x:%x %x %*x:%*x %x:", &from, &to, &state, &timer) == 4 &&
			from == local && to == remote;
	fclose(table);
	cr_assert(found);
	return timer == 2;
}

/* Nothing is set on a client's own socket: the kernel has to give the listening one's options on. */
Test(listener, clients_inherit_the_options)
{
	struct listener listener;

	must_open(&listener, "tls://127.0.0.1:0", 1);
	int client = connect_to(listener.address.port);
	cr_assert_geq(client, 0);
	int fd = accept(listener.fds[0], NULL, NULL);
	cr_assert_geq(fd, 0);
	cr_assert_eq(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	cr_assert_eq(option(fd, SOL_SOCKET, SO_OOBINLINE), 1);
	cr_assert_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	cr_assert_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
	cr_assert_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
	cr_assert_eq(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
	cr_assert_eq(option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 512 * 1024);
	cr_assert(is_kept_alive(listener.address.port, port_of(client)));
	close(fd);
	close(client);
	listener_close(&listener);
}

Test(listener, names)
{
	struct listener listener;
	char name[300], want[300];

	must_open(&listener, "tls://127.0.0.1:0", 1);
	listener_name(&listener, name, sizeof(name));
	snprintf(want, sizeof(want), "tls://127.0.0.1:%u", (unsigned)listener.address.port);
	cr_assert_str_eq(name, want);
	listener_close(&listener);
	must_open(&listener, url, 1);
	listener_name(&listener, name, sizeof(name));
	cr_assert_str_eq(name, url);
	listener_close(&listener);
	if (open_at(&listener, "tls://[::1]:0", 1) == 0) { /* a host without IPv6 */
		listener_name(&listener, name, sizeof(name));
		snprintf(want, sizeof(want), "tls://[::1]:%u", (unsigned)listener.address.port);
		cr_assert_str_eq(name, want);
	}
	listener_close(&listener);
}

Test(listener, an_address_in_use_is_refused)
{
	struct listener first;
	struct sockaddr_in address;
	char text[64];
	int other = net_tcp_listener(1, &address);

	snprintf(text, sizeof(text), "tls://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
	must_refuse(text, 1, -EADDRINUSE);
	must_refuse(text, 4, -EADDRINUSE);
	close(other);

	/* Our own kind shares the port among its workers; a second program must not slip in. */
	must_open(&first, "tls://127.0.0.1:0", 2);
	snprintf(text, sizeof(text), "tls://127.0.0.1:%u", (unsigned)first.address.port);
	must_refuse(text, 1, -EADDRINUSE);
	must_refuse(text, 2, -EADDRINUSE);
	cr_assert_not_null(strstr(error, "another"), "the remedy: %s", error);
	int client = connect_to(first.address.port);
	cr_assert_geq(client, 0);
	cr_assert_eq(accept_all(&first), 1, "the first one is unharmed");
	close(client);
	listener_close(&first);
	must_open(&first, text, 2);
	listener_close(&first);
}

Test(listener, an_address_that_is_not_here)
{
	must_refuse("tls://192.0.2.1:4000", 1, -EADDRNOTAVAIL);
}

/* After a restart the old connections of the port may still linger. */
Test(listener, a_port_with_old_connections)
{
	struct listener listener;
	char text[64], byte;

	must_open(&listener, "tls://127.0.0.1:0", 1);
	snprintf(text, sizeof(text), "tls://127.0.0.1:%u", (unsigned)listener.address.port);
	int client = connect_to(listener.address.port);
	int server = accept(listener.fds[0], NULL, NULL);
	cr_assert_geq(server, 0);
	close(server); /* ends first, so its side goes into TIME_WAIT */
	cr_assert_eq(recv(client, &byte, 1, 0), 0);
	close(client);
	listener_close(&listener);
	must_open(&listener, text, 2);
	listener_close(&listener);
}

Test(listener, stop_refuses_but_keeps_the_descriptors)
{
	struct listener listener;
	unsigned fds;

	must_open(&listener, "tls://127.0.0.1:0", 2);
	fds = net_open_fds();
	listener_stop(&listener);
	cr_assert_eq(connect_to(listener.address.port), -ECONNREFUSED);
	cr_assert_eq(net_open_fds(), fds);
	cr_assert_lt(accept(listener.fds[0], NULL, NULL), 0);
	listener_stop(&listener);
	listener_close(&listener);
	must_open(&listener, url, 2);
	listener_stop(&listener);
	cr_assert_eq(net_unix_connect(path), -ECONNREFUSED);
	listener_close(&listener);
	listener_close(&listener);
}

/* ---- unix ---- */

static bool is_socket(void)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

Test(listener, unix_socket)
{
	struct listener listener;
	struct stat st;
	int client;

	umask(0);
	must_open(&listener, url, 3);
	cr_assert_eq(umask(0), 0, "the umask is as before");
	cr_assert_eq(lstat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0660, "%o", st.st_mode);
	for (unsigned i = 0; i < 3; i++)
		cr_assert(fcntl(listener.fds[i], F_GETFD) & FD_CLOEXEC, "worker %u", i);
	cr_assert_geq(client = net_unix_connect(path), 0);
	cr_assert_eq(accept_all(&listener), 1);
	close(client);
	listener_close(&listener);
	cr_assert_lt(lstat(path, &st), 0, "its file goes with it");
}

Test(listener, a_private_unix_socket)
{
	struct config_address address;
	struct listener listener;
	const char *reason = "";
	struct stat st;

	umask(0);
	cr_assert_eq(config_address_parse(&address, url, true, &reason), 0, "%s", reason);
	cr_assert_eq(listener_open_private(&listener, "--listen", &address, 1, error, sizeof(error)), 0, "%s",
		     error);
	cr_assert_eq(umask(0), 0, "the umask is as before");
	cr_assert_eq(lstat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600, "%o", st.st_mode);
	listener_close(&listener);
}

Test(listener, a_stale_unix_socket_is_replaced)
{
	struct listener listener;

	close(net_unix_listener(path, 1)); /* as a process that died leaves it */
	cr_assert(is_socket());
	must_open(&listener, url, 1);
	int client = net_unix_connect(path);
	cr_assert_geq(client, 0);
	close(client);
	listener_close(&listener);
}

Test(listener, a_live_unix_socket_is_not)
{
	int other = net_unix_listener(path, 5);

	must_refuse(url, 2, -EADDRINUSE);
	cr_assert(is_socket());
	int client = net_unix_connect(path);
	cr_assert_geq(client, 0, "it still answers");
	close(client);
	close(other);
}

/* It is alive, only busy; and asking it must not block. */
Test(listener, a_live_unix_socket_with_a_full_queue)
{
	int other = net_unix_listener(path, 0), clients[16];
	int count = net_unix_fill_queue(path, clients, (int)ARRAY_SIZE(clients));
	long long before = net_now_ms();

	must_refuse(url, 1, -EADDRINUSE);
	cr_assert_lt(net_now_ms() - before, NET_PATIENCE_MS);
	cr_assert(is_socket());
	while (count > 0)
		close(clients[--count]);
	close(other);
}

/* Somebody else's: we may not ask it, so we cannot know that it is stale. */
Test(listener, a_live_unix_socket_of_somebody_else)
{
	int other = net_unix_listener(path, 5);
	bool root = geteuid() == 0;

	cr_assert_eq(chmod(path, 0), 0);
	cr_assert_eq(chmod(dir, 0777), 0);
	if (root)
		cr_assert_eq(seteuid(NOBODY), 0);
	must_refuse(url, 1, -EADDRINUSE);
	if (root)
		cr_assert_eq(seteuid(0), 0);
	cr_assert(is_socket());
	close(other);
}

Test(listener, a_live_datagram_socket)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	cr_assert_eq(bind(other, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
	must_refuse(url, 1, -EADDRINUSE);
	cr_assert(is_socket());
	close(other);
}

Test(listener, other_files_are_not_removed)
{
	struct stat st;
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	cr_assert_eq(write(fd, "precious", 8), 8);
	close(fd);
	must_refuse(url, 1, -EEXIST);
	cr_assert_not_null(strstr(error, "no socket, choose another path"), "the remedy: %s", error);
	cr_assert(lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 8);
	unlink(path);

	cr_assert_eq(symlink("/nowhere/at-all", path), 0);
	must_refuse(url, 1, -EEXIST);
	cr_assert(lstat(path, &st) == 0 && S_ISLNK(st.st_mode));
	unlink(path);

	cr_assert_eq(mkdir(path, 0700), 0);
	must_refuse(url, 1, -EEXIST);
	cr_assert(lstat(path, &st) == 0 && S_ISDIR(st.st_mode));
	rmdir(path);
}

/* ---- several of us ---- */

/* While it drains, a successor may take the path: its socket is not ours to remove. */
Test(listener, a_successor_keeps_its_unix_socket)
{
	struct listener old, new;

	for (int stopped = 0; stopped < 2; stopped++) {
		must_open(&old, url, 2);
		if (stopped)
			listener_stop(&old);
		else
			cr_assert_eq(unlink(path), 0); /* somebody made way by hand */
		must_open(&new, url, 1);
		listener_close(&old);
		int client = net_unix_connect(path);
		cr_assert_geq(client, 0, "%d: %s", stopped, strerror(-client));
		close(client);
		listener_close(&new);
		cr_assert_not(is_socket());
	}
}

/* Another program's file may be there by then, too. */
Test(listener, a_file_in_place_of_the_socket_stays)
{
	struct listener listener;
	struct stat st;

	must_open(&listener, url, 1);
	cr_assert_eq(unlink(path), 0);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
	listener_close(&listener);
	cr_assert(lstat(path, &st) == 0 && S_ISREG(st.st_mode));
}

/* What was refused has nothing to remove: closing it must not harm the one that is served. */
Test(listener, a_refused_one_leaves_the_socket)
{
	struct listener first, second;

	must_open(&first, url, 1);
	cr_assert_eq(open_at(&second, url, 1), -EADDRINUSE);
	listener_close(&second);
	int client = net_unix_connect(path);
	cr_assert_geq(client, 0);
	close(client);
	listener_close(&first);
}

/* How far the processes of a round are; shared by them. */
struct round {
	atomic_int tried, refused, accepted;
};

/* 1 for whoever gets the path: it stays until everybody has tried. */
static int open_and_stay(void *arg)
{
	struct round *round = arg;
	struct listener listener;
	struct config_address address;
	const char *reason;
	long long until = net_now_ms() + NET_PATIENCE_MS;

	if (config_address_parse(&address, url, true, &reason) != 0)
		return 99;
	int result = listener_open(&listener, "--listen", &address, 1, error, sizeof(error));
	if (result == -EADDRINUSE)
		round->refused++;
	round->tried++;
	while (round->tried < PROCS && net_now_ms() < until)
		usleep(1000);
	if (result == 0) {
		int client = net_unix_connect(path), fd = accept(listener.fds[0], NULL, NULL);

		/* The path leads to this one. */
		round->accepted += client >= 0 && fd >= 0;
	}
	listener_close(&listener);
	return result == 0;
}

/* Each of them finds the stale socket; without exclusion the second removes the first one's new socket. */
Test(listener, of_several_at_once_one_gets_the_path)
{
	struct round *round =
	    mmap(NULL, sizeof(*round), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(round, MAP_FAILED);
	for (int i = 0; i < 20; i++) {
		if (i % 2 == 0)
			close(net_unix_listener(path, 1));
		*round = (struct round){0};
		cr_assert_eq(net_race(PROCS, open_and_stay, round), 1, "round %d", i);
		cr_assert_eq(round->refused, PROCS - 1, "round %d", i);
		cr_assert_eq(round->accepted, 1, "round %d", i);
		cr_assert_not(is_socket(), "round %d", i);
	}
	munmap(round, sizeof(*round));
}

Test(listener, no_such_directory)
{
	must_refuse("unix:///nowhere/at/all/sock", 1, -ENOENT);
}

/* The option that the message names is the one that was given. */
Test(listener, the_message_names_the_option)
{
	struct config_address address;
	struct listener listener;
	const char *reason;

	cr_assert_eq(config_address_parse(&address, "unix:///nowhere/at/all/sock", true, &reason), 0);
	cr_assert_eq(listener_open(&listener, "--admin", &address, 1, error, sizeof(error)), -ENOENT);
	cr_assert_eq(strncmp(error, "--admin unix:///nowhere", 23), 0, "%s", error);
	listener_close(&listener);
}
