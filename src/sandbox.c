/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Stages, each of which takes away what the next would otherwise have to think of: capabilities; other
 * programs (no_new_privs, which the two last need as well) and other processes' eyes; files and ports
 * (Landlock); system calls (sandbox_calls.c). All of it is inherited by threads, so it comes before the
 * first.
 *
 * Landlock goes by directories, not by names, because a file that is replaced is another file. Links on the
 * way to it may be replaced, too (certbot, Kubernetes): whatever lies beneath a directory in which one of
 * them is may be read.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file.h"
#include "log.h"
#include "sandbox_impl.h"

/* ---- Landlock, Documentation/userspace-api/landlock.rst; newer than some linux/landlock.h ---- */

#define LL_VERSION	(1U << 0) /* LANDLOCK_CREATE_RULESET_VERSION */
#define LL_PATH_BENEATH 1
#define LL_NET_PORT	2
#define LL_WRITE_FILE	(1ULL << 1)
#define LL_READ_FILE	(1ULL << 2)
#define LL_READ_DIR	(1ULL << 3)
#define LL_REMOVE_FILE	(1ULL << 5)
#define LL_MAKE_REG	(1ULL << 8)
#define LL_TRUNCATE	(1ULL << 14)
#define LL_CONNECT_TCP	(1ULL << 1)
#define LL_NET_ALL	(1ULL << 0 | LL_CONNECT_TCP) /* bind and connect */
#define LL_SCOPE_ALL	(1ULL << 0 | 1ULL << 1)	     /* abstract unix sockets, signals */

struct ll_attributes {
	uint64_t files, net, scopes;
};

struct ll_path {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

struct ll_port {
	uint64_t allowed, port;
};

/* What the kernel's version of Landlock knows, and how much of the structure it reads. */
static size_t ll_everything(long version, struct ll_attributes *all)
{
	*all = (struct ll_attributes){
	    .files = version >= 5   ? 0xffff
		     : version >= 3 ? 0x7fff
		     : version == 2 ? 0x3fff
				    : 0x1fff,
	    .net = version >= 4 ? LL_NET_ALL : 0,
	    .scopes = version >= 6 ? LL_SCOPE_ALL : 0,
	};
	return version >= 6 ? sizeof(*all) : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

static long ll_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION);

	return version < 0 ? -errno : version;
}

/* `allowed` beneath that directory; one that is not there has nothing to be read. */
static int ll_allow(int rules, const char *dir, uint64_t allowed)
{
	struct ll_path rule = {.allowed = allowed};
	int result = 0;

	rule.parent_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (syscall(SYS_landlock_add_rule, rules, LL_PATH_BENEATH, &rule, 0) < 0)
		result = -errno;
	close(rule.parent_fd);
	return result;
}

/* The first symbolic link on the way, as the length of its name in `path`; 0 when there is none. */
static size_t first_link(const char *path, char target[PATH_MAX])
{
	char part[PATH_MAX];

	for (size_t len = 1;; len++) {
		if (path[len] && path[len] != '/')
			continue;
		memcpy(part, path, len);
		part[len] = '\0';
		ssize_t n = readlink(part, target, PATH_MAX - 1);
		if (n > 0) {
			target[n] = '\0';
			return len;
		}
		if (!path[len])
			return 0;
	}
}

/* Where a file may be replaced: its directory, and that of each link on the way. */
static int ll_allow_file(int rules, const char *file)
{
	char path[PATH_MAX], next[PATH_MAX], target[PATH_MAX], dir[PATH_MAX];
	size_t len;
	int result = 0;

	if (strlcpy(path, file, sizeof(path)) >= sizeof(path))
		return -ENAMETOOLONG;
	for (int links = 0; result == 0 && links < 40; links++) { /* as many as the kernel follows */
		len = first_link(path, target);
		if (len) {
			memcpy(next, path, len);
			next[len] = '\0';
		}
		result = file_parent(len ? next : path, dir, sizeof(dir));
		if (result == 0)
			result = ll_allow(rules, dir, LL_READ_FILE | LL_READ_DIR);
		if (!len)
			break;
		int n = target[0] == '/' ? snprintf(next, sizeof(next), "%s%s", target, path + len)
					 : snprintf(next, sizeof(next), "%s/%s%s", dir, target, path + len);
		if (n < 0 || (size_t)n >= sizeof(next))
			return -ENAMETOOLONG;
		memcpy(path, next, (size_t)n + 1);
	}
	return result;
}

/*
 * A file of the state may be a link that leads out of it. Those that are there now count, by the directory's
 * real name: a link on the way to the directory itself opens nothing.
 */
static int ll_allow_links(int rules, const char *state_dir)
{
	char real[PATH_MAX], path[PATH_MAX], target[2];
	DIR *entries = opendir(state_dir);
	const struct dirent *entry;
	int result = 0;

	if (!entries)
		return -errno;
	if (!realpath(state_dir, real))
		result = -errno;
	while (result == 0 && (entry = readdir(entries)) != NULL) {
		if (readlinkat(dirfd(entries), entry->d_name, target, sizeof(target)) < 0)
			continue;
		int n = snprintf(path, sizeof(path), "%s/%s", real, entry->d_name);
		result = n < 0 || (size_t)n >= sizeof(path) ? -ENAMETOOLONG : ll_allow_file(rules, path);
	}
	closedir(entries);
	return result;
}

static int ll_allow_all(int rules, const struct sandbox *sandbox, const struct ll_attributes *all)
{
	const uint64_t state =
	    LL_READ_FILE | LL_READ_DIR | LL_WRITE_FILE | LL_REMOVE_FILE | LL_MAKE_REG | LL_TRUNCATE;
	struct ll_port engine = {.allowed = LL_CONNECT_TCP, .port = sandbox->engine_port};
	char dir[PATH_MAX];
	int result = 0;

	for (size_t i = 0; i < sandbox->files_count && result == 0; i++)
		result = ll_allow_file(rules, sandbox->files[i]);
	if (result == 0 && sandbox->state_dir)
		result = ll_allow(rules, sandbox->state_dir, state & all->files);
	if (result == 0 && sandbox->state_dir)
		result = ll_allow_links(rules, sandbox->state_dir);
	for (size_t i = 0; i < sandbox->sockets_count && result == 0; i++) {
		result = file_parent(sandbox->sockets[i], dir, sizeof(dir));
		if (result == 0)
			result = ll_allow(rules, dir, LL_READ_DIR | LL_REMOVE_FILE);
	}
	if (result == 0 && all->net && sandbox->engine_port &&
	    syscall(SYS_landlock_add_rule, rules, LL_NET_PORT, &engine, 0) < 0)
		result = -errno;
	return result;
}

/* 0 or -errno; nothing has changed then. */
static int ll_enter(const struct sandbox *sandbox)
{
	struct ll_attributes all;
	long version = ll_version();
	int result;

	if (version < 0)
		return (int)version;
	size_t size = ll_everything(version, &all);
	int rules = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (rules < 0)
		return -errno;
	result = ll_allow_all(rules, sandbox, &all);
	if (result == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		result = -errno;
	close(rules);
	return result;
}

/* ---- capabilities ---- */

/*
 * Of root's there stays what reading and replacing files of others takes. Nobody else has any, unless
 * somebody gave headgate CAP_NET_BIND_SERVICE, which is not needed any more.
 */
static int drop_capabilities(void)
{
	const uint32_t keep =
	    1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH | 1U << CAP_FOWNER;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	data[0].permitted &= keep;
	data[0].effective &= keep;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){0};
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* ---- all of it ---- */

void sandbox_add_file(struct sandbox *sandbox, const char *path)
{
	assert(sandbox->files_count < SANDBOX_PATHS_MAX);
	if (path)
		sandbox->files[sandbox->files_count++] = path;
}

void sandbox_add_listener(struct sandbox *sandbox, const struct config_address *address)
{
	assert(sandbox->sockets_count < SANDBOX_PATHS_MAX);
	if (address->scheme == CONFIG_UNIX && address->path[0])
		sandbox->sockets[sandbox->sockets_count++] = address->path;
}

void sandbox_add_engine(struct sandbox *sandbox, const struct engine *engine)
{
	sandbox->engine_family = engine->sockaddr.ss_family;
	sandbox->engine_port = sandbox->engine_family == AF_UNIX ? 0 : engine->address.port;
}

static const char *landlock_reason(int error)
{
	switch (-error) {
	case ENOSYS:
		return "this kernel has no Landlock (Linux 5.13 or later, CONFIG_SECURITY_LANDLOCK)";
	case EOPNOTSUPP:
		return "Landlock is off in this kernel (start it with lsm=landlock,...)";
	case EPERM:
		return "a seccomp profile refuses Landlock";
	default:
		return strerror(-error);
	}
}

static const char *calls_reason(int error)
{
	return error == -EINVAL || error == -ENOSYS
		   ? "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)"
		   : strerror(-error);
}

/* What is missing, of two results of 0 or -errno; NULL when nothing is. */
static const char *describe(int files, int calls, char *reason, size_t reason_cap)
{
	if (files == 0 && calls == 0)
		return NULL;
	snprintf(reason, reason_cap, "%s%s%s", files < 0 ? landlock_reason(files) : "",
		 files < 0 && calls < 0 ? "; " : "", calls < 0 ? calls_reason(calls) : "");
	return reason;
}

const char *sandbox_missing(char *reason, size_t reason_cap)
{
	long version = ll_version();

	return describe(version < 0 ? (int)version : 0, sandbox_calls_probe(), reason, reason_cap);
}

int sandbox_require(char *error, size_t error_cap)
{
	char reason[512];
	const char *missing = sandbox_missing(reason, sizeof(reason));

	if (!missing)
		return 0;
	snprintf(error, error_cap, "--sandbox on: %s; or use --sandbox auto", missing);
	return -ENOTSUP;
}

/* The sanitizers look at /proc, map and clone as they like. */
static bool is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	return false;
#endif
}

int sandbox_enter(const struct sandbox *sandbox, char *error, size_t error_cap)
{
	bool strict = sandbox->mode == CONFIG_SANDBOX_ON;
	char reason[512];

	if (sandbox->mode == CONFIG_SANDBOX_OFF || is_sanitized())
		return 0;
	int result = drop_capabilities();
	if (result == 0 &&
	    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
		result = -errno;
	if (result < 0) {
		snprintf(error, error_cap, "the sandbox: cannot give up privileges: %s; or use --sandbox off",
			 strerror(-result));
		return result;
	}
	int files = ll_enter(sandbox);
	int calls = strict && files < 0 ? 0 : sandbox_calls_enter(sandbox);
	const char *missing = describe(files, calls, reason, sizeof(reason));
	if (missing && strict) {
		snprintf(error, error_cap, "--sandbox on: %s; or use --sandbox auto", missing);
		return files < 0 ? files : calls;
	}
	if (!missing)
		log_info("sandbox: files, ports and system calls are limited");
	else
		log_info("sandbox: %s: %s",
			 files == 0   ? "files and ports are limited, system calls are not"
			 : calls == 0 ? "system calls are limited, files and ports are not"
				      : "nothing but privileges is limited",
			 missing);
	return 0;
}
