/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * `headgate check` takes the options of `serve` and tries what serve would do with them, as far as that
 * leaves nothing behind: the same functions read tokens and state, the same handshakes ask the kernel, the
 * engine is really asked. One item a line, printed as soon as it is known. What is missing leaves one remedy;
 * these are printed together at the end, before the verdict. No listener is opened: on the machine where this
 * is run, headgate mostly listens there already.
 */
#include "cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "access.h"
#include "config.h"
#include "engine.h"
#include "engine_ask.h"
#include "event.h"
#include "pki.h"
#include "sandbox.h"
#include "state.h"
#include "tls.h"
#include "tls_probe.h"
#include "token.h"

#define TEXT_COLUMN    19
#define REMEDIES_MAX   12
#define DAY_SECONDS    86400
#define CERT_WARN_DAYS 30
/* The oldest kernel that headgate is tried on. */
#define KERNEL_MAJOR 5
#define KERNEL_MINOR 15

enum verdict { CHECK_OK, CHECK_NOTE, CHECK_ERROR };

/* How the kernel's share of TLS came out. */
enum kernel_share { SHARE_UNASKED, SHARE_ALL, SHARE_SOME, SHARE_NONE };

struct check {
	struct config config;
	bool colours;
	bool state_usable; /* there, or could be made; `state_dir` says where */
	bool state_is_there;
	bool state_writable; /* or could be made */
	char state_dir[3072];
	enum kernel_share share;
	char stumbled[256]; /* names of what serve would stumble over, "engine, tokens" */
	size_t remedies_count;
	char remedies[REMEDIES_MAX][1024];
	char error[1024];
};

/* ---- output ---- */

static void print_item(struct check *check, enum verdict verdict, const char *name, const char *format, ...)
    PRINTF_LIKE(4, 5);

static void print_item(struct check *check, enum verdict verdict, const char *name, const char *format, ...)
{
	static const char *const words[] = {"ok", "note", "error"};
	static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
	char text[1536];
	va_list args;

	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) < 0)
		text[0] = '\0';
	va_end(args);
	/* What others wrote, file names among it, must not drive a terminal. */
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	printf("%s%-5s%s  %-12s", check->colours ? colours[verdict] : "", words[verdict],
	       check->colours ? "\033[0m" : "", name);
	config_print_words(stdout, text, TEXT_COLUMN, TEXT_COLUMN);
	putchar('\n');
	(void)fflush(stdout); /* the next item may take its time */
	if (verdict != CHECK_ERROR)
		return;
	if (check->stumbled[0])
		strlcat(check->stumbled, ", ", sizeof(check->stumbled));
	strlcat(check->stumbled, name, sizeof(check->stumbled));
}

static void add_remedy(struct check *check, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);

static void add_remedy(struct check *check, const char *name, const char *format, ...)
{
	char text[768];
	va_list args;

	if (check->remedies_count >= REMEDIES_MAX)
		return;
	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) < 0)
		text[0] = '\0';
	va_end(args);
	snprintf(check->remedies[check->remedies_count++], sizeof(check->remedies[0]), "%s: %s", name, text);
}

/* An error's line as all of headgate writes them: what is wrong, "; " and the remedy. Some know none. */
static void print_error(struct check *check, const char *name, const char *line, const char *remedy)
{
	static const char prefix[] = "headgate: ";
	char text[sizeof(check->error)], *cut;

	if (strncmp(line, prefix, sizeof(prefix) - 1) == 0)
		line += sizeof(prefix) - 1;
	strlcpy(text, line, sizeof(text));
	cut = strstr(text, "; ");
	if (cut)
		*cut = '\0';
	print_item(check, CHECK_ERROR, name, "%s", text);
	add_remedy(check, name, "%s", cut ? cut + 2 : remedy);
}

/* ---- the host ---- */

static void check_kernel(struct check *check)
{
	struct utsname host;
	char *end;
	unsigned long major, minor;

	if (uname(&host) < 0)
		return;
	major = strtoul(host.release, &end, 10);
	minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR)) {
		print_item(check, CHECK_OK, "kernel", "%s %s", host.sysname, host.release);
		return;
	}
	print_item(check, CHECK_NOTE, "kernel", "%s %s", host.sysname, host.release);
	add_remedy(check, "kernel", "headgate is made for Linux %d.%d or later", KERNEL_MAJOR, KERNEL_MINOR);
}

/* A number that the kernel shows in /proc; -1 where it does not. */
static int proc_number(const char *path)
{
	char text[16] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	return n > 0 && text[0] >= '0' && text[0] <= '9' ? text[0] - '0' : -1;
}

static void io_uring_remedy(struct check *check, int error)
{
	int disabled = proc_number("/proc/sys/kernel/io_uring_disabled");

	if (error == -EPERM && disabled > 0)
		add_remedy(check, "io_uring",
			   "'sysctl kernel.io_uring_disabled=0' on the host allows it%s (now it is %d)",
			   disabled == 1 ? ", or headgate's group in kernel.io_uring_group" : "", disabled);
	else if (error == -EPERM)
		add_remedy(
		    check, "io_uring",
		    "a seccomp profile refuses it (Docker's own does): run the container with one that "
		    "allows io_uring_setup, io_uring_enter and io_uring_register");
	else if (error == -ENOMEM)
		add_remedy(check, "io_uring", "raise the limit of locked memory ('ulimit -l')");
	else
		add_remedy(check, "io_uring", "a kernel of %d.%d or later with CONFIG_IO_URING has it",
			   KERNEL_MAJOR, KERNEL_MINOR);
}

static bool loop_opens(const struct event_ops *ops, int *error)
{
	struct event_loop *loop = event_open(ops, error);

	event_close(loop);
	return loop != NULL;
}

static void check_sandbox(struct check *check)
{
	enum config_sandbox sandbox = check->config.sandbox;
	char reason[512];
	const char *missing = sandbox_missing(reason, sizeof(reason));

	if (sandbox == CONFIG_SANDBOX_OFF)
		print_item(check, CHECK_OK, "sandbox", "not tried: --sandbox off");
	else if (!missing)
		print_item(check, CHECK_OK, "sandbox", "files, ports and system calls can be limited");
	else if (sandbox == CONFIG_SANDBOX_ON)
		print_item(check, CHECK_ERROR, "sandbox", "%s, and --sandbox on asks for it", missing);
	else
		print_item(check, CHECK_NOTE, "sandbox", "%s", missing);
}

static void check_events(struct check *check)
{
	enum config_event event = check->config.event;
	int uring_error = 0, epoll_error = 0;

	if (event != CONFIG_EVENT_EPOLL && loop_opens(&event_uring_ops, &uring_error)) {
		print_item(check, CHECK_OK, "io_uring", "available");
		return;
	}
	if (event == CONFIG_EVENT_URING) {
		print_item(check, CHECK_ERROR, "io_uring", "refused (%s), and --event uring asks for it",
			   strerror(-uring_error));
		io_uring_remedy(check, uring_error);
		return;
	}
	if (event == CONFIG_EVENT_AUTO) {
		print_item(check, CHECK_NOTE, "io_uring", "refused (%s)", strerror(-uring_error));
		io_uring_remedy(check, uring_error);
	}
	if (loop_opens(&event_epoll_ops, &epoll_error)) {
		print_item(check, CHECK_OK, "epoll", "%s",
			   event == CONFIG_EVENT_AUTO ? "available, is used instead"
						      : "available, is used as --event says");
		return;
	}
	print_item(check, CHECK_ERROR, "epoll", "refused (%s)", strerror(-epoll_error));
	add_remedy(check, "epoll", "raise the limit of open files ('ulimit -n')");
}

/* ---- kernel TLS ---- */

static void print_rows(const struct tls_probe_row rows[TLS_PROBE_ROWS])
{
	for (size_t i = 0; i < TLS_PROBE_ROWS; i++) {
		printf("%*s%-9s%-21s", TEXT_COLUMN, "", rows[i].version, rows[i].cipher);
		if (rows[i].error[0])
			puts("no handshake");
		else
			printf("%-6s%s\n", rows[i].sends ? "yes" : "no", rows[i].receives ? "yes" : "no");
	}
}

static bool row_is_chacha(const struct tls_probe_row *row)
{
	return strncmp(row->cipher, "ChaCha20", 8) == 0;
}

/* What one cipher's module would give, where others show that all else works. */
static void cipher_remedies(struct check *check, const struct tls_probe_row rows[TLS_PROBE_ROWS])
{
	bool gcm = false, chacha = false, half = false;
	const char *failure = NULL;

	for (size_t i = 0; i < TLS_PROBE_ROWS; i++) {
		if (rows[i].error[0] && !failure)
			failure = rows[i].error;
		half |= rows[i].sends != rows[i].receives;
		if (!rows[i].error[0] && !rows[i].sends && !rows[i].receives)
			*(row_is_chacha(&rows[i]) ? &chacha : &gcm) = true;
	}
	if (gcm && chacha && !half && check->share == SHARE_NONE) {
		add_remedy(
		    check, "kernel TLS",
		    "the kernel has no cipher for it ('modprobe gcm' and 'modprobe chacha20poly1305' on the "
		    "host), or this OpenSSL was built without kernel TLS (enable-ktls)");
	} else {
		if (gcm)
			add_remedy(check, "AES-GCM",
				   "'modprobe gcm' on the host, and aesni_intel for its speed on x86-64");
		if (chacha)
			add_remedy(check, "ChaCha20-Poly1305", "'modprobe chacha20poly1305' on the host");
	}
	if (half)
		add_remedy(check, "kernel TLS",
			   "this kernel takes one direction only; a newer one takes both");
	if (failure)
		add_remedy(check, "no handshake", "OpenSSL refuses it (%s); see its configuration", failure);
}

static enum kernel_share share_of(const struct tls_probe_row rows[TLS_PROBE_ROWS])
{
	size_t whole = 0;

	for (size_t i = 0; i < TLS_PROBE_ROWS; i++)
		whole += rows[i].sends && rows[i].receives;
	/* serve goes by the first row, which is what most clients get. */
	if (!rows[0].sends || !rows[0].receives)
		return SHARE_NONE;
	return whole == TLS_PROBE_ROWS ? SHARE_ALL : SHARE_SOME;
}

static void check_module(struct check *check, bool was_loaded, bool is_missed)
{
	enum verdict verdict = is_missed ? CHECK_ERROR : CHECK_NOTE;

	if (was_loaded) {
		print_item(check, CHECK_OK, "tls module", "loaded");
	} else if (tls_probe_module_is_loaded()) {
		/* The kernel does that for a process with CAP_NET_ADMIN, and for nobody else. */
		print_item(check, CHECK_OK, "tls module",
			   "loaded just now by the kernel, as it will be for a headgate with as many rights");
	} else if (access("/proc/sys/net/ipv4/tcp_available_ulp", R_OK) < 0) {
		print_item(check, CHECK_NOTE, "tls module", "not known, /proc does not show it");
	} else {
		print_item(check, verdict, "tls module", "not loaded");
		add_remedy(
		    check, "tls module",
		    "'modprobe tls' on the host (a container without CAP_NET_ADMIN cannot load it), and "
		    "'echo tls >/etc/modules-load.d/tls.conf' for its next starts; where modprobe does not "
		    "find "
		    "it, the kernel was built without CONFIG_TLS");
	}
}

static bool tls_is_used(const struct config *config)
{
	return config_wants_tls(config) || config->engine.scheme == CONFIG_TLS;
}

static void check_library(struct check *check, bool is_missed)
{
	if (tls_probe_library_is_enough() || check->config.ktls == CONFIG_KTLS_OFF) {
		print_item(check, CHECK_OK, "OpenSSL", "%s", tls_probe_library());
		return;
	}
	print_item(check, is_missed ? CHECK_ERROR : CHECK_NOTE, "OpenSSL", "%s, too old for kernel TLS",
		   tls_probe_library());
	add_remedy(
	    check, "OpenSSL",
	    "3.2 or later can hand both directions to the kernel; a newer release of the distribution has "
	    "it (Debian 13, for one), and headgate's container image");
}

/* OpenSSL, the module and what both give together. */
static void check_tls(struct check *check)
{
	struct tls_probe_row rows[TLS_PROBE_ROWS];
	enum config_ktls ktls = check->config.ktls;
	bool was_loaded = tls_probe_module_is_loaded();
	bool used = ktls != CONFIG_KTLS_OFF && tls_is_used(&check->config);
	int result = used ? tls_probe(rows) : 0;

	check->share = !used ? SHARE_UNASKED : result < 0 ? SHARE_NONE : share_of(rows);
	bool is_missed = check->share == SHARE_NONE && ktls == CONFIG_KTLS_ON;
	check_library(check, is_missed);
	if (!used) {
		print_item(check, CHECK_OK, "kernel TLS", "%s",
			   ktls == CONFIG_KTLS_OFF ? "not tried: --ktls off"
						   : "not tried: neither clients nor engine use TLS");
		return;
	}
	check_module(check, was_loaded, is_missed);
	if (result < 0) {
		print_item(check, is_missed ? CHECK_ERROR : CHECK_NOTE, "kernel TLS",
			   "not tried: a connection over loopback failed (%s)", strerror(-result));
		add_remedy(check, "kernel TLS", "'ip link set lo up' where the loopback interface is down");
		return;
	}
	print_item(check,
		   is_missed		       ? CHECK_ERROR
		   : check->share == SHARE_ALL ? CHECK_OK
					       : CHECK_NOTE,
		   "kernel TLS", "tried over loopback");
	printf("%*s%-30s%-6s%s\n", TEXT_COLUMN, "", "", "send", "receive");
	print_rows(rows);
	if (!tls_probe_kernel_is_enough())
		add_remedy(check, "kernel TLS",
			   "Linux 6.1 or later; with older ones other bytes can arrive than were sent");
	else if (tls_probe_library_is_enough() && tls_probe_module_is_loaded())
		cipher_remedies(check, rows);
}

/* ---- the engine ---- */

static void check_engine(struct check *check)
{
	struct engine engine;
	struct engine_identity identity;
	const char *address = check->config.engine.text;
	char server[sizeof(identity.server)];

	if (engine_init(&engine, &check->config, check->error, sizeof(check->error)) < 0) {
		print_error(check, "engine", check->error, "mend --engine or --engine-cert-dir");
		return;
	}
	int result = engine_ask(&engine, check->config.connect_timeout_ms, &identity, check->error,
				sizeof(check->error));
	engine_fini(&engine);
	if (result < 0) {
		print_error(check, "engine", check->error,
			    "is a Docker Engine at that address, and does it take headgate's connection?");
		return;
	}
	/* "Docker/26.1.5+dfsg1 (linux)" */
	strlcpy(server, identity.server, sizeof(server));
	server[strcspn(server, " ")] = '\0';
	for (char *slash = server; (slash = strchr(slash, '/'));)
		*slash = ' ';
	print_item(check, CHECK_OK, "engine", "%s: %s%s%s", address, server[0] ? server : "answers",
		   identity.api_version[0] ? ", API " : "", identity.api_version);
}

/* ---- files ---- */

static void check_state(struct check *check)
{
	int result;

	if (!config_needs_state(&check->config))
		return;
	result = state_dir_look(check->config.state_dir, check->state_dir, sizeof(check->state_dir),
				check->error, sizeof(check->error));
	if (result < 0) {
		print_error(check, "state", check->error, "give another directory with --state DIR");
		return;
	}
	check->state_usable = true;
	check->state_is_there = result == 0;
	check->state_writable =
	    result == 1 || faccessat(AT_FDCWD, check->state_dir, W_OK | X_OK, AT_EACCESS) == 0;
	print_item(check, CHECK_OK, "state", "%s%s", check->state_dir,
		   result == 1 ? " will be made at the first start" : "");
}

/* The pair as the server loads it, and how long it is good for. `own`: renewed by us, in time. */
static void check_pair(struct check *check, const char *cert_file, const char *key_file, bool own)
{
	static const char remedy[] = "put a new one there and send SIGHUP";
	struct tls_server *server = tls_server_new(cert_file, key_file, check->config.client_ca_file,
						   check->error, sizeof(check->error));
	time_t now = time(NULL), not_before, not_after;
	bool good = server != NULL;

	tls_server_free(server);
	if (!good || pki_life(cert_file, &not_before, &not_after, check->error, sizeof(check->error)) < 0) {
		print_error(check, "certificate", check->error, "give the files with --cert and --key");
		return;
	}
	long long days = ((long long)not_after - now) / DAY_SECONDS;
	if (now >= not_after) {
		print_item(check, CHECK_ERROR, "certificate", "%s has expired", cert_file);
		add_remedy(check, "certificate", "%s", remedy);
	} else if (now < not_before) {
		print_item(check, CHECK_ERROR, "certificate", "%s begins in the future", cert_file);
		add_remedy(check, "certificate", "set this host's clock right, or %s", remedy);
	} else {
		bool soon = !own && days < CERT_WARN_DAYS;
		print_item(check, soon ? CHECK_NOTE : CHECK_OK, "certificate", "valid for %lld more day%s%s",
			   days, days == 1 ? "" : "s", own ? ", renewed in time" : "");
		if (soon)
			add_remedy(check, "certificate", "%s", remedy);
	}
}

static void not_writable(struct check *check, const char *name, const char *what)
{
	print_item(check, CHECK_ERROR, name, "%s cannot be made: nothing can be written to %s", what,
		   check->state_dir);
	add_remedy(check, name, "make that directory writable, or give another with --state DIR");
}

static void check_own_certificate(struct check *check)
{
	const struct config *config = &check->config;
	struct pki_paths paths;
	int result;

	if (!check->state_usable) /* there is an error for it already */
		return;
	if (!check->state_is_there) {
		print_item(check, CHECK_OK, "certificate", "will be made at the first start");
		return;
	}
	if (pki_paths(&paths, check->state_dir) < 0) {
		print_item(check, CHECK_ERROR, "certificate", "the state directory's name is too long");
		add_remedy(check, "certificate", "give another with --state DIR");
		return;
	}
	result = pki_look(check->state_dir, config->sans, config->sans_count, time(NULL), check->error,
			  sizeof(check->error));
	if (result < 0)
		print_error(check, "certificate", check->error, "remove that file, if it is not needed");
	else if (result > 0 && !check->state_writable)
		not_writable(check, "certificate", "a new one");
	else if (result > 0)
		print_item(check, CHECK_OK, "certificate", "will be made at the next start: %s",
			   check->error);
	else
		check_pair(check, paths.cert, paths.key, true);
}

static void check_certificate(struct check *check)
{
	const struct config *config = &check->config;

	if (!config_wants_tls(config))
		print_item(check, CHECK_OK, "certificate", "not needed: no --listen with TLS");
	else if (config->cert_file)
		check_pair(check, config->cert_file, config->key_file, false);
	else
		check_own_certificate(check);
}

static void check_access(struct check *check)
{
	const struct config *config = &check->config;
	struct access access;
	int result;

	if (config_needs_state(config) && !config->tokens_file && !check->state_usable)
		return;
	result = access_load(&access, config, check->state_dir, NULL, check->error, sizeof(check->error));
	size_t count = result < 0 ? 0 : access.snapshot->tokens.count;
	if (result < 0) {
		print_error(check, "tokens", check->error,
			    "mend the file, or give another one with --tokens");
	} else if (result > 0 && !check->state_writable) {
		not_writable(check, "tokens", "the first");
	} else if (result > 0) {
		print_item(check, CHECK_OK, "tokens", "the first will be made at the %s start",
			   check->state_is_there ? "next" : "first");
	} else if (count == 0) {
		print_item(check, CHECK_ERROR, "tokens", "none in %s, nobody can get in", access.tokens_path);
		add_remedy(check, "tokens", "'headgate token create NAME --role ROLE' adds one");
	} else {
		print_item(check, CHECK_OK, "tokens", "%zu token%s", count, count == 1 ? "" : "s");
	}
	if (result >= 0 && access.policy_path[0] && access.policy_watch.read.inode)
		print_item(check, CHECK_OK, "policy", "%s", access.policy_path);
	access_fini(&access);
}

/* ---- the end ---- */

static void print_end(const struct check *check)
{
	static const char *const shares[] = {
	    [SHARE_UNASKED] = "",
	    [SHARE_ALL] = " The kernel takes TLS over, both ways.",
	    [SHARE_SOME] = " The kernel takes TLS over, but not with every cipher.",
	    [SHARE_NONE] = " TLS stays in userspace, which works as well.",
	};
	char text[512];

	if (check->remedies_count)
		puts("\nWhat to do");
	for (size_t i = 0; i < check->remedies_count; i++) {
		fputs("  - ", stdout);
		config_print_words(stdout, check->remedies[i], 4, 4);
		putchar('\n');
	}
	if (check->stumbled[0])
		snprintf(text, sizeof(text), "Not ready: 'headgate serve' would stumble over %s.",
			 check->stumbled);
	else
		snprintf(text, sizeof(text),
			 "Ready: nothing found that 'headgate serve' would stumble over.%s",
			 shares[check->share]);
	putchar('\n');
	config_print_words(stdout, text, 0, 0);
	putchar('\n');
}

static bool wants_colours(void)
{
	const char *terminal = getenv("TERM"), *refused = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) == 1 && terminal && strcmp(terminal, "dumb") != 0 &&
	       !(refused && *refused);
}

int cmd_check(int argc, char **argv)
{
	struct check *check = calloc(1, sizeof(*check));
	int code = EXIT_SUCCESS;

	if (!check)
		return EXIT_FAILURE;
	switch (config_read(&check->config, CONFIG_CHECK, argc, argv, environ, check->error,
			    sizeof(check->error))) {
	case CONFIG_HELP:
		config_help(stdout, CONFIG_CHECK);
		break;
	case CONFIG_BAD:
		fprintf(stderr, "%s\n", check->error);
		code = EXIT_USAGE;
		break;
	case CONFIG_OK:
		check->colours = wants_colours();
		check_kernel(check);
		check_sandbox(check);
		check_events(check);
		check_tls(check);
		check_engine(check);
		check_state(check);
		check_certificate(check);
		check_access(check);
		print_end(check);
		code = check->stumbled[0] ? EXIT_FAILURE : EXIT_SUCCESS;
		break;
	}
	free(check);
	return code;
}
