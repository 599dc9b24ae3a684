/* SPDX-License-Identifier: MIT */
/* sandbox_test.c: what can still be done inside, and what cannot. Each case enters in a process of its own.
 */
#include "sandbox.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "event.h"
#include "file.h"
#include "net_support.h"

#define TEXT 512

/* The sanitizers need more than is left inside: there, entering does nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool enters = false;
#else
static const bool enters = true;
#endif

static char base[64], state[80], file[128], error[TEXT];
static struct sandbox sandbox;
static struct engine engine;

static void spill(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void setup(void)
{
	net_dir_make(base);
	snprintf(state, sizeof(state), "%s/state", base);
	cr_assert_eq(mkdir(state, 0700), 0);
	snprintf(file, sizeof(file), "%s/elsewhere", base);
	spill(file, "x");
	engine.sockaddr.ss_family = AF_UNIX;
	sandbox = (struct sandbox){.mode = CONFIG_SANDBOX_ON, .state_dir = state};
	sandbox_add_engine(&sandbox, &engine);
}

/* Only what the test made can be there, and `base` came from mkdtemp(). */
static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	cr_assert_eq(system(command), 0);
}

TestSuite(sandbox, .init = setup, .fini = teardown, .timeout = 300);

/* Enters and calls `act` there: its answer, or minus the signal that ended it. */
static int inside(int (*act)(void))
{
	int status;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (sandbox_enter(&sandbox, error, sizeof(error)) < 0) {
			dprintf(STDERR_FILENO, "%s\n", error);
			_exit(255);
		}
		_exit(act());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Both modes: what is no call of ours ends the process, or fails. */
static void refused(const char *what, int (*act)(void))
{
	if (!enters)
		return;
	sandbox.mode = CONFIG_SANDBOX_ON;
	int strict = inside(act);
	sandbox.mode = CONFIG_SANDBOX_AUTO;
	int relaxed = inside(act);

	cr_expect_eq(strict, -SIGSYS, "%s: %d with on", what, strict);
	cr_expect(relaxed == ENOSYS || relaxed == -SIGSYS, "%s: %d with auto", what, relaxed);
}

static int nothing(void)
{
	return 42;
}

/* Inside, a kernel that has neither: what is not listed fails with ENOSYS. */
static int require_again(void)
{
	char reason[TEXT];

	if (sandbox_require(error, sizeof(error)) != -ENOTSUP || !sandbox_missing(reason, sizeof(reason)))
		return 1;
	return strstr(error, "--sandbox on: ") && strstr(reason, "Landlock") && strstr(reason, "seccomp") ? 0
													  : 2;
}

Test(sandbox, says_what_a_kernel_lacks)
{
	if (!enters)
		return;
	cr_expect_eq(sandbox_require(error, sizeof(error)), 0, "%s", error);
	sandbox.mode = CONFIG_SANDBOX_AUTO;
	cr_expect_eq(inside(require_again), 0);
}

Test(sandbox, entering_changes_what_it_says)
{
	cr_expect_eq(inside(nothing), 42);
	sandbox.mode = CONFIG_SANDBOX_OFF;
	cr_expect_eq(inside(nothing), 42);
	cr_expect_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0, "not here");
}

/* Waits to be looked at. */
static int stay(void)
{
	char byte;

	return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}

Test(sandbox, privileges_are_gone)
{
	int hold[2], ready[2], status;
	unsigned long long effective = ~0ULL;
	char path[64], line[256];
	unsigned no_new_privs = 0;
	struct stat st;
	FILE *text;
	pid_t pid;

	cr_assert_eq(pipe2(hold, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		close(hold[1]);
		dup2(hold[0], STDIN_FILENO);
		if (sandbox_enter(&sandbox, error, sizeof(error)) < 0 || write(ready[1], "x", 1) != 1)
			_exit(255);
		_exit(stay());
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], line, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	text = fopen(path, "re");
	cr_assert_not_null(text);
	while (fgets(line, sizeof(line), text)) {
		(void)sscanf(line, "CapEff: %llx", &effective);
		(void)sscanf(line, "NoNewPrivs: %u", &no_new_privs);
	}
	(void)fclose(text);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	cr_assert_eq(stat(path, &st), 0);
	if (enters) {
		cr_expect_eq(no_new_privs, 1);
		cr_expect_eq(effective & ~0xfULL, 0, "%llx", effective);
		cr_expect_eq(st.st_uid, 0, "nobody but root looks in");
	}
	close(hold[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
}

static int read_elsewhere(void)
{
	return open(file, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno;
}

static int write_elsewhere(void)
{
	char path[160];

	snprintf(path, sizeof(path), "%s.new", file);
	return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 ? 0 : errno;
}

static int remove_elsewhere(void)
{
	return unlink(file) == 0 ? 0 : errno;
}

Test(sandbox, files_elsewhere_are_out_of_reach)
{
	if (!enters)
		return;
	cr_expect_eq(inside(read_elsewhere), EACCES);
	cr_expect_eq(inside(write_elsewhere), EACCES);
	cr_expect_eq(inside(remove_elsewhere), EACCES);
	cr_expect_eq(access(file, F_OK), 0);
}

/* As pki.c and token files do it. */
static int replace_in_state(void)
{
	struct file_text text;
	char path[128];
	int lock = file_lock(state, error, sizeof(error)), result;

	snprintf(path, sizeof(path), "%s/tokens", state);
	if (lock < 0)
		return 1;
	for (int i = 0; i < 2; i++)
		if (file_write(path, "new", 3, 0600, FILE_REPLACE, error, sizeof(error)) < 0)
			return 2;
	result = file_read(path, FILE_SECRET, 100, &text, error, sizeof(error));
	if (result < 0 || text.len != 3)
		return 3;
	file_text_fini(&text);
	close(lock);
	return unlink(path) == 0 ? 0 : 4;
}

Test(sandbox, the_state_is_replaced_as_ever)
{
	cr_expect_eq(inside(replace_in_state), 0);
}

/* Kubernetes: cert.pem -> ..data/cert.pem, ..data -> ..1; certbot: live/cert.pem -> ../archive/cert1.pem. */
static char link_path[160], next_path[160], next_target[160], wanted_file[160];

static int file_of_the_next_turn(void)
{
	struct file_text text;

	if (file_read(wanted_file, FILE_PUBLIC, 100, &text, error, sizeof(error)) < 0)
		return 1;
	return text.len == 3 && memcmp(text.data, "two", 3) == 0 ? 0 : 2;
}

static void swap_link(void)
{
	snprintf(next_path, sizeof(next_path), "%s.new", link_path);
	cr_assert_eq(symlink(next_target, next_path), 0);
	cr_assert_eq(rename(next_path, link_path), 0);
}

/* The child waits inside until the links were changed from outside. */
static int turned(void)
{
	for (int i = 0; i < 1000; i++) {
		int result = file_of_the_next_turn();

		if (result != 2)
			return result;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return 3;
}

static int rotates(const char *given_file)
{
	int status;
	pid_t pid;

	sandbox_add_file(&sandbox, given_file);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (sandbox_enter(&sandbox, error, sizeof(error)) < 0)
			_exit(255);
		_exit(turned());
	}
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	swap_link();
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void make(const char *name, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	if (text)
		spill(path, text);
	else
		cr_assert_eq(mkdir(path, 0755), 0);
}

Test(sandbox, links_may_be_changed_as_kubernetes_does)
{
	make("..1", NULL);
	make("..2", NULL);
	make("..1/cert", "one");
	make("..2/cert", "two");
	snprintf(link_path, sizeof(link_path), "%s/..data", base);
	cr_assert_eq(symlink("..1", link_path), 0);
	snprintf(wanted_file, sizeof(wanted_file), "%s/cert", base);
	cr_assert_eq(symlink("..data/cert", wanted_file), 0);
	snprintf(next_target, sizeof(next_target), "..2");
	cr_expect_eq(rotates(wanted_file), 0);
}

Test(sandbox, links_may_be_changed_as_certbot_does)
{
	make("live", NULL);
	make("archive", NULL);
	make("archive/cert1", "one");
	make("archive/cert2", "two");
	snprintf(link_path, sizeof(link_path), "%s/live/cert", base);
	cr_assert_eq(symlink("../archive/cert1", link_path), 0);
	memcpy(wanted_file, link_path, sizeof(wanted_file));
	snprintf(next_target, sizeof(next_target), "../archive/cert2");
	cr_expect_eq(rotates(wanted_file), 0);
}

/* A link to a directory on the way, absolute this time, to a place that has nothing to do with the first. */
Test(sandbox, links_of_directories_may_be_changed)
{
	make("releases", NULL);
	make("releases/1", NULL);
	make("releases/2", NULL);
	make("releases/1/cert", "one");
	make("releases/2/cert", "two");
	snprintf(link_path, sizeof(link_path), "%s/releases/current", base);
	cr_assert_eq(symlink("1", link_path), 0);
	snprintf(wanted_file, sizeof(wanted_file), "%s/releases/current/cert", base);
	snprintf(next_target, sizeof(next_target), "%s/releases/2", base);
	cr_expect_eq(rotates(wanted_file), 0);
}

/* The state's policy is kept elsewhere; the state itself is behind a link, beside `file`. */
Test(sandbox, links_lead_out_of_the_state)
{
	static char linked[160];

	make("policies", NULL);
	make("policies/1", "one");
	make("policies/2", "two");
	snprintf(linked, sizeof(linked), "%s/linked", base);
	cr_assert_eq(symlink("state", linked), 0);
	sandbox.state_dir = linked;
	snprintf(next_target, sizeof(next_target), "../policies/1");
	snprintf(link_path, sizeof(link_path), "%s/policy", state);
	cr_assert_eq(symlink(next_target, link_path), 0);
	snprintf(wanted_file, sizeof(wanted_file), "%s/policy", linked);
	snprintf(next_target, sizeof(next_target), "../policies/2");
	cr_expect_eq(rotates(NULL), 0);
	if (enters)
		cr_expect_eq(inside(read_elsewhere), EACCES, "the link to the state opens nothing");
}

Test(sandbox, links_in_a_circle_are_no_end)
{
	make("archive", NULL);
	snprintf(link_path, sizeof(link_path), "%s/round", base);
	cr_assert_eq(symlink("round", link_path), 0);
	sandbox_add_file(&sandbox, link_path);
	cr_expect_eq(inside(nothing), 42);
}

static int start_a_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return errno;
}

static int fork_one(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	return pid == 0 ? 77 : pid > 0 ? 0 : errno;
}

static int open_a_ring(void)
{
	int result = 0;
	struct event_loop *loop = event_open(&event_uring_ops, &result);

	return loop ? 0 : -result;
}

static int listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)) == 0 ? 0 : errno;
}

static int send_datagrams(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0 ? 0 : errno;
}

static int stream_of_another_protocol(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP) >= 0 ? 0 : errno;
}

/* One that is connected can be connected again: to the socket of another daemon. */
static int pair_of_datagrams(void)
{
	int fds[2];

	return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) == 0 ? 0 : errno;
}

static int signal_another(void)
{
	return syscall(SYS_tgkill, getppid(), getppid(), 0) == 0 ? 0 : errno;
}

static int signal_a_thread_of_another(void)
{
	return syscall(SYS_tkill, getppid(), 0) == 0 ? 0 : errno;
}

static int have_another_signalled(void)
{
	return fcntl(STDIN_FILENO, F_SETOWN, getppid()) == 0 ? 0 : errno;
}

static int ask_interfaces(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0 ? 0 : errno;
}

static int ask_packet_filters(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER) >= 0 ? 0 : errno;
}

static int map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		       MAP_FAILED
		   ? errno
		   : 0;
}

static int make_data_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 ? errno : 0;
}

static int set_a_limit(void)
{
	struct rlimit limit = {1, 1};

	return syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL) < 0 ? errno : 0;
}

static int type_into_a_terminal(void)
{
	return ioctl(STDIN_FILENO, TIOCSTI, "x") < 0 ? errno : 0;
}

Test(sandbox, calls_of_others)
{
	engine.sockaddr.ss_family = AF_INET; /* the socket is there, binding it is the point */
	engine.address.port = 2376;
	sandbox_add_engine(&sandbox, &engine);
	refused("execve", start_a_program);
	refused("fork", fork_one);
	refused("io_uring_setup", open_a_ring);
	refused("bind", listen_somewhere);
	refused("UDP", send_datagrams);
	refused("another protocol", stream_of_another_protocol);
	refused("unix datagrams", pair_of_datagrams);
	refused("tgkill", signal_another);
	refused("tkill", signal_a_thread_of_another);
	refused("F_SETOWN", have_another_signalled);
	refused("netlink", ask_interfaces);
	refused("executable memory", map_code);
	refused("memory made executable", make_data_code);
	refused("limits", set_a_limit);
	refused("TIOCSTI", type_into_a_terminal);
}

static int all_interfaces(void)
{
	struct ifaddrs *all = NULL;

	return getifaddrs(&all) == 0 && all ? 0 : 1;
}

Test(sandbox, interfaces_for_a_certificate)
{
	sandbox.asks_interfaces = true;
	cr_expect_eq(inside(all_interfaces), 0);
	refused("packet filters by netlink", ask_packet_filters);
}

/* A signal, and not the filter: it tells whoever looks for the cause more. */
static int give_up(void)
{
	abort();
}

Test(sandbox, a_failed_assertion_aborts)
{
	static const struct rlimit no_core = {0, 0};

	cr_assert_eq(setrlimit(RLIMIT_CORE, &no_core), 0);
	cr_expect_eq(inside(give_up), -SIGABRT);
}

static int null_fd;

/* glibc before 2.42, since, and musl; of a character device that is no terminal the answer is ENOTTY. */
static int ask_for_a_terminal(void)
{
	static const unsigned long asked[] = {TCGETS, _IOR('T', 0x2a, char[44]), TIOCGWINSZ};
	char answer[64];

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
		if (ioctl(null_fd, asked[i], answer) == 0 || errno != ENOTTY)
			return 1;
	return 0;
}

Test(sandbox, standard_output_may_be_a_terminal)
{
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cr_assert_geq(null_fd, 0);
	cr_expect_eq(inside(ask_for_a_terminal), 0);
	close(null_fd);
}

static void *thread_main(void *arg)
{
	*(int *)arg = 42;
	return NULL;
}

static int run_a_thread(void)
{
	pthread_t thread;
	int answer = 0;

	if (pthread_create(&thread, NULL, thread_main, &answer) != 0 || pthread_join(thread, NULL) != 0)
		return 1;
	return answer;
}

Test(sandbox, threads_can_be_started)
{
	if (!enters) /* ThreadSanitizer starts none behind a fork */
		return;
	cr_expect_eq(inside(run_a_thread), 42);
}

/* ---- the engine's port alone ---- */

static struct sockaddr_in engine_at, other_at;

static int connect_to(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	return connect(fd, (const struct sockaddr *)(const void *)address, sizeof(*address)) == 0 ? 0 : errno;
}

static int connect_to_engine(void)
{
	return connect_to(&engine_at);
}

static int connect_to_other(void)
{
	return connect_to(&other_at);
}

/* Ports need Linux 6.7; with older ones this connects. */
static bool limits_ports(void)
{
	return enters && syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 4;
}

Test(sandbox, the_engine_and_no_other_port)
{
	int engine_fd = net_tcp_listener(8, &engine_at), other_fd = net_tcp_listener(8, &other_at);

	engine.sockaddr.ss_family = AF_INET;
	engine.address.port = ntohs(engine_at.sin_port);
	sandbox_add_engine(&sandbox, &engine);
	cr_expect_eq(inside(connect_to_engine), 0);
	cr_expect_eq(inside(connect_to_other), limits_ports() ? EACCES : 0);
	close(engine_fd);
	close(other_fd);
}

/* Both connect, and Landlock does not hear of it: the call has to be refused. */
static int connect_by_sendto(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return sendto(fd, "x", 1, MSG_FASTOPEN, (const struct sockaddr *)(const void *)&other_at,
		      sizeof(other_at)) == 1
		   ? 0
		   : errno;
}

static int connect_by_sendmsg(void)
{
	struct iovec byte = {.iov_base = "x", .iov_len = 1};
	struct msghdr message = {
	    .msg_name = &other_at, .msg_namelen = sizeof(other_at), .msg_iov = &byte, .msg_iovlen = 1};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return sendmsg(fd, &message, MSG_FASTOPEN) == 1 ? 0 : errno;
}

Test(sandbox, no_port_by_fast_open)
{
	int other_fd = net_tcp_listener(8, &other_at);

	engine.sockaddr.ss_family = AF_INET;
	engine.address.port = 2376;
	sandbox_add_engine(&sandbox, &engine);
	refused("sendto", connect_by_sendto);
	refused("sendmsg", connect_by_sendmsg);
	close(other_fd);
}

Test(sandbox, no_port_with_a_unix_engine)
{
	int other_fd = net_tcp_listener(8, &other_at);

	refused("TCP", connect_to_other);
	close(other_fd);
}

/* ---- io_uring ---- */

static struct event_loop *loop;

static int wait_in_it(void)
{
	struct event_source source = {.slot = EVENT_NO_SLOT};
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		return 1;
	source.fd = fds[0];
	if (event_add(loop, &source) < 0)
		return 2;
	event_wake(loop);
	return event_wait(loop, 1000) == 0 ? 0 : 3;
}

Test(sandbox, a_ring_that_was_opened_before_works)
{
	int result = 0;

	loop = event_open(&event_uring_ops, &result);
	if (!loop) /* where it is refused, event_test.c says so */
		loop = event_open(&event_epoll_ops, &result);
	cr_assert_not_null(loop);
	cr_expect_eq(inside(wait_in_it), 0);
	event_close(loop);
}
