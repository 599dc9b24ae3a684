/* SPDX-License-Identifier: MIT */
/*
 * The system calls of a headgate that serves; the only file that includes libseccomp.
 *
 * Theory of operation
 *
 * A list of what is allowed, made by looking at what the program does with glibc and with musl. What is
 * not in it fails, or ends the process (sandbox.h); what nothing but an intruder would ever call here ends it
 * always. All that only a start needs comes before: sockets are bound, rings are set up (io_uring_setup),
 * files of libraries are mapped to be executed. io_uring_enter is one call for many operations, which no
 * filter sees: event_uring.c has each ring refuse all but the three that it uses.
 *
 * container/seccomp.json is the wider list of a whole container, start and runtime included; tests/lint
 * looks that nothing is missing there. glibc and musl differ, and so do their versions: hence the calls that
 * look redundant. Calls without conditions cost least: the kernel answers them from a bitmap
 * (kernel/seccomp.c, seccomp_cache_check_allow(); Linux 5.11), the others by a binary tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox_impl.h"

/* TCGETS2, whose definition goes by a structure that C libraries hide. */
#define TERMINAL_GETS2 _IOR('T', 0x2a, char[44])

/* Without conditions. A call that this architecture does not have is left out by libseccomp. */
static const int allowed[] = {
    /* bytes */
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64),
    SCMP_SYS(splice), SCMP_SYS(pipe2), SCMP_SYS(close), SCMP_SYS(lseek),
    /* sockets */
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(connect), SCMP_SYS(shutdown), SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    /* waiting */
    SCMP_SYS(io_uring_enter), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(restart_syscall),
    /* files that are read again, and those of the state */
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
    SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(flock),
    SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fchmod), SCMP_SYS(fchown),
    SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
    SCMP_SYS(umask),
    /* memory */
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
    /* threads and signals */
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(exit), SCMP_SYS(exit_group),
    SCMP_SYS(membarrier), SCMP_SYS(set_tid_address),
    /* what libraries ask about */
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrandom),
    SCMP_SYS(getrlimit), SCMP_SYS(uname), SCMP_SYS(sysinfo)};

/* Whoever calls one of these from here has taken the program over. */
static const int fatal[] = {
    /* other programs, other processes */
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(memfd_create),
    /* the system */
    SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
    SCMP_SYS(chroot), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(keyctl),
    SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(init_module), SCMP_SYS(finit_module),
    SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(open_by_handle_at),
    /* what a start needs */
    SCMP_SYS(io_uring_setup), SCMP_SYS(listen)};

static struct scmp_arg_cmp is(unsigned arg, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){.arg = arg, .op = SCMP_CMP_EQ, .datum_a = value};
}

static struct scmp_arg_cmp masked_is(unsigned arg, scmp_datum_t mask, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){.arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

static int allow_if(scmp_filter_ctx filter, int call, struct scmp_arg_cmp condition)
{
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &condition);
}

static int allow_any_of(scmp_filter_ctx filter, int call, unsigned arg, const unsigned long *values,
			size_t count)
{
	int result = 0;

	for (size_t i = 0; i < count && result == 0; i++)
		result = allow_if(filter, call, is(arg, values[i]));
	return result;
}

/* No memory is both written and executed, none becomes executable. */
static int allow_memory(scmp_filter_ctx filter)
{
	int result = allow_if(filter, SCMP_SYS(mmap), masked_is(2, PROT_EXEC, 0));

	if (result == 0)
		result = allow_if(filter, SCMP_SYS(mprotect), masked_is(2, PROT_EXEC, 0));
	return result;
}

/* Threads and nothing else: clone3(2) has its flags where no filter sees them, C libraries go on with clone.
 */
static int allow_threads(scmp_filter_ctx filter, bool strict)
{
	int result =
	    allow_if(filter, SCMP_SYS(clone), masked_is(0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM));

	if (result == 0 && strict) /* elsewhere it is the default, and libseccomp refuses a rule for that */
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return result;
}

/* The other kinds would lead around Landlock (MPTCP), to other daemons (unix datagrams), or to other code. */
static int allow_stream(scmp_filter_ctx filter, int call, int family)
{
	const struct scmp_arg_cmp stream[] = {
	    is(0, (scmp_datum_t)family),
	    masked_is(1, ~(scmp_datum_t)(SOCK_NONBLOCK | SOCK_CLOEXEC), SOCK_STREAM),
	    is(2, 0),
	};

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, ARRAY_SIZE(stream), stream);
}

/* The list of interfaces, and nothing else of netlink(7). */
static int allow_interfaces(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp route[] = {is(0, AF_NETLINK), is(2, NETLINK_ROUTE)};
	int result =
	    seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), ARRAY_SIZE(route), route);

	if (result == 0) /* glibc binds it; addresses of TCP are longer */
		result = allow_if(filter, SCMP_SYS(bind), is(2, sizeof(struct sockaddr_nl)));
	return result;
}

/* To the engine, and the console's pairs. MSG_FASTOPEN connects, and Landlock is not asked. */
static int allow_sockets(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
	int result = allow_stream(filter, SCMP_SYS(socket), sandbox->engine_family);

	if (result == 0)
		result = allow_stream(filter, SCMP_SYS(socketpair), AF_UNIX);
	if (result == 0 && sandbox->asks_interfaces)
		result = allow_interfaces(filter);
	if (result == 0)
		result = allow_if(filter, SCMP_SYS(sendto), masked_is(3, MSG_FASTOPEN, 0));
	if (result == 0)
		result = allow_if(filter, SCMP_SYS(sendmsg), masked_is(2, MSG_FASTOPEN, 0));
	return result;
}

static int allow_conditional(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
	/* The last three: whether standard output is a terminal (glibc before 2.42 and since, musl). */
	static const unsigned long ioctls[] = {FIONREAD, SIOCOUTQ,	 SIOCOUTQNSD,
					       TCGETS,	 TERMINAL_GETS2, TIOCGWINSZ};
	/* Not F_SETOWN: the kernel would send signals to others. */
	static const unsigned long fcntls[] = {F_GETFD, F_SETFD,	 F_GETFL,      F_SETFL,
					       F_DUPFD, F_DUPFD_CLOEXEC, F_GETPIPE_SZ, F_SETPIPE_SZ};
	static const unsigned long prctls[] = {PR_SET_NAME};
	static const unsigned long registers[] = {IORING_REGISTER_ENABLE_RINGS};
	int result = allow_memory(filter);

	if (result == 0)
		result = allow_threads(filter, sandbox->mode == CONFIG_SANDBOX_ON);
	if (result == 0)
		result = allow_sockets(filter, sandbox);
	if (result == 0)
		result = allow_any_of(filter, SCMP_SYS(ioctl), 1, ioctls, ARRAY_SIZE(ioctls));
	if (result == 0)
		result = allow_any_of(filter, SCMP_SYS(fcntl), 1, fcntls, ARRAY_SIZE(fcntls));
	if (result == 0)
		result = allow_any_of(filter, SCMP_SYS(prctl), 0, prctls, ARRAY_SIZE(prctls));
	if (result == 0)
		result =
		    allow_any_of(filter, SCMP_SYS(io_uring_register), 1, registers, ARRAY_SIZE(registers));
	if (result == 0) /* limits are asked for, not set */
		result = allow_if(filter, SCMP_SYS(prlimit64), is(2, 0));
	if (result == 0) /* abort(3); Landlock keeps signals in from Linux 6.12 on alone */
		result = allow_if(filter, SCMP_SYS(tgkill), is(0, (scmp_datum_t)getpid()));
	return result;
}

static int fill(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
	int result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (result == 0)
		result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/*
	 * A filter is no reason to slow all code down against speculative store bypass, as kernels
	 * before 5.16 do unless told: nobody runs code of his own here. Kernels before 4.17 cannot be told.
	 */
	if (result == 0)
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	for (size_t i = 0; i < ARRAY_SIZE(allowed) && result == 0; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	/* With ON that is the default already, and libseccomp refuses a rule for it. */
	for (size_t i = 0; i < ARRAY_SIZE(fatal) && result == 0 && sandbox->mode != CONFIG_SANDBOX_ON; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, fatal[i], 0);
	if (result == 0)
		result = allow_conditional(filter, sandbox);
	return result;
}

int sandbox_calls_enter(const struct sandbox *sandbox)
{
	bool strict = sandbox->mode == CONFIG_SANDBOX_ON;
	scmp_filter_ctx filter = seccomp_init(strict ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(ENOSYS));
	int result;

	if (!filter)
		return -ENOMEM;
	result = fill(filter, sandbox);
	if (result == 0)
		result = seccomp_load(filter);
	seccomp_release(filter);
	return result;
}

int sandbox_calls_probe(void)
{
	/* EFAULT: it would take one, but none was given (seccomp(2) has this for a probe). */
	if (prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, NULL) < 0 && errno != EFAULT)
		return -errno;
	return 0;
}
