/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * `headgate serve` prepares everything that can fail first (options, state, certificate, tokens,
 * engine address, listeners), each failure one line and exit code 2, and only then starts the
 * workers. The main thread serves nothing: it takes signals, renews the certificate, and drains.
 */
#include "cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "config.h"
#include "engine.h"
#include "event.h"
#include "listener.h"
#include "log.h"
#include "pki.h"
#include "state.h"
#include "tls.h"
#include "tls_probe.h"
#include "token.h"
#include "welcome.h"
#include "worker.h"

/* How often a certificate's end is looked at. */
#define RENEWAL_CHECK_SECONDS 3600
#define DRAIN_TICK_MS	      50
/* A certificate that is not ours to renew: time enough to have a new one made. */
#define CERT_WARNING_DAYS 30
#define DAY_SECONDS	  86400

/* Everything that lives as long as the command. */
struct serve {
	struct config config;
	char state_dir[3072];
	struct pki_paths pki;
	const char *cert_file, *key_file; /* borrowed from config or pki */
	time_t cert_loaded_s;
	int cert_days, cert_days_told; /* left when it was loaded, and by the last warning */
	struct token_set tokens;
	bool tokens_are_new;
	char new_token[TOKEN_GENERATED_BYTES];
	struct engine engine;
	struct tls_server *tls;
	struct listener listeners[CONFIG_LISTEN_MAX];
	size_t listeners_count;
	struct worker *workers; /* owned */
	unsigned workers_count;
	const struct event_ops *event_ops;
	bool kernel_tls; /* connections go over to the kernel */
	struct admin admin;
	int signal_fd; /* owned */
	char error[1024];
};

static bool own_certificate(const struct serve *serve)
{
	return !serve->config.cert_file;
}

/* State directory, certificate and its key. */
static int prepare_certificate(struct serve *serve)
{
	const struct config *config = &serve->config;
	char *error = serve->error;
	int result = 0;

	if (config_needs_state(config))
		result = state_dir_open(config->state_dir, serve->state_dir, sizeof(serve->state_dir), error,
					sizeof(serve->error));
	if (result < 0)
		return result;
	result = pki_paths(&serve->pki, serve->state_dir);
	if (result < 0) {
		snprintf(error, sizeof(serve->error), "%s: name is too long", serve->state_dir);
		return result;
	}
	serve->cert_file = own_certificate(serve) ? serve->pki.cert : config->cert_file;
	serve->key_file = own_certificate(serve) ? serve->pki.key : config->key_file;
	if (!config_wants_tls(config))
		return 0;
	if (own_certificate(serve)) {
		result = pki_ensure(serve->state_dir, config->sans, config->sans_count, time(NULL), error,
				    sizeof(serve->error));
		if (result < 0)
			return result;
	}
	serve->tls = tls_server_new(serve->cert_file, serve->key_file, error, sizeof(serve->error));
	return serve->tls ? 0 : -EINVAL;
}

/* The token file, made on the first start unless tokens come from elsewhere, and DOCKER_API_TOKEN. */
static int prepare_tokens(struct serve *serve)
{
	char path[PATH_MAX];
	int result = state_tokens_load(&serve->tokens, &serve->config, serve->state_dir, path, sizeof(path),
				       serve->error, sizeof(serve->error));

	if (result <= 0)
		return result;
	result = state_tokens_create(path, serve->new_token, serve->error, sizeof(serve->error));
	if (result < 0)
		return result;
	serve->tokens_are_new = true;
	return state_tokens_read(path, &serve->tokens, serve->error, sizeof(serve->error));
}

static int prepare_listeners(struct serve *serve)
{
	const struct config *config = &serve->config;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	serve->workers_count = config->workers ? config->workers : processors > 0 ? (unsigned)processors : 1;
	if (serve->workers_count > CONFIG_WORKERS_MAX)
		serve->workers_count = CONFIG_WORKERS_MAX;
	for (size_t i = 0; i < config->listen_count; i++) {
		serve->listeners_count++;
		int result = listener_open(&serve->listeners[i], "--listen", &config->listen[i],
					   serve->workers_count, serve->error, sizeof(serve->error));
		if (result < 0)
			return result;
	}
	return 0;
}

/* One client connection takes two descriptors, and the pools some. */
static void raise_file_limit(const struct config *config)
{
	struct rlimit limit;
	rlim_t wanted = 2 * (rlim_t)config->max_connections + 1024;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || wanted < limit.rlim_max ? wanted : limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* io_uring where it is to be had, or as --event says. */
static int choose_event(struct serve *serve)
{
	int result = 0;

	serve->event_ops = &event_epoll_ops;
	if (serve->config.event == CONFIG_EVENT_EPOLL)
		return 0;
	struct event_loop *loop = event_open(&event_uring_ops, &result);
	if (loop) {
		event_close(loop);
		serve->event_ops = &event_uring_ops;
		return 0;
	}
	if (serve->config.event == CONFIG_EVENT_URING) {
		snprintf(serve->error, sizeof(serve->error),
			 "--event uring: the kernel refuses io_uring: %s; allow it "
			 "(kernel.io_uring_disabled, seccomp "
			 "profile) or use --event epoll",
			 strerror(-result));
		return result;
	}
	log_warn("io_uring is refused (%s); using epoll, which works as well", strerror(-result));
	return 0;
}

/* Kernel TLS where it works, or as --ktls says. */
static int choose_ktls(struct serve *serve)
{
	char reason[256];

	if (serve->config.ktls == CONFIG_KTLS_OFF || (!serve->tls && !serve->engine.tls))
		return 0;
	serve->kernel_tls = tls_probe_kernel(reason, sizeof(reason));
	if (serve->kernel_tls) {
		if (serve->tls)
			tls_server_allow_kernel(serve->tls);
		if (serve->engine.tls)
			tls_client_allow_kernel(serve->engine.tls);
		return 0;
	}
	if (serve->config.ktls == CONFIG_KTLS_ON) {
		snprintf(serve->error, sizeof(serve->error), "--ktls on: %s; or use --ktls auto", reason);
		return -ENOTSUP;
	}
	log_info("TLS stays in userspace: %s ('headgate check' tells more)", reason);
	return 0;
}

/* The engine need not run yet, but its user wants to know now. */
static void report_engine(const struct serve *serve)
{
	int fd;
	char text[512];
	int result = engine_connect(&serve->engine, &fd);

	if (fd >= 0)
		close(fd);
	if (result == 0 || result == -EINPROGRESS)
		return;
	engine_trouble(&serve->engine, false, result, NULL, text, sizeof(text));
	log_warn("%s; every request tries again", text);
}

/* Nobody but its owner can renew a given certificate. Each number of days is told once. */
static void warn_certificate(struct serve *serve, time_t now)
{
	int days = serve->cert_days - (int)((now - serve->cert_loaded_s) / DAY_SECONDS);
	const char *remedy = "put a new one there and send SIGHUP";

	if (!serve->tls || own_certificate(serve) || days >= CERT_WARNING_DAYS ||
	    days == serve->cert_days_told)
		return;
	serve->cert_days_told = days;
	if (days < 0)
		log_warn("%s: the certificate has expired, clients refuse it; %s", serve->cert_file, remedy);
	else if (days == 0)
		log_warn("%s: the certificate ends within a day; %s", serve->cert_file, remedy);
	else
		log_warn("%s: the certificate ends in %d day%s; %s", serve->cert_file, days,
			 days == 1 ? "" : "s", remedy);
}

/* What was loaded counts: a new file without a SIGHUP helps nobody. */
static void note_certificate(struct serve *serve)
{
	char error[1024];

	serve->cert_loaded_s = time(NULL);
	serve->cert_days_told = INT_MAX;
	if (!serve->tls || pki_days_left(serve->cert_file, serve->cert_loaded_s, &serve->cert_days, error,
					 sizeof(error)) < 0)
		serve->cert_days = INT_MAX;
	warn_certificate(serve, serve->cert_loaded_s);
}

/* Works as asked, and serves nobody. */
static void warn_tokens(const struct serve *serve)
{
	const char *given = serve->config.tokens_file;

	if (serve->tokens.count > 0)
		return;
	if (given)
		log_warn("%s: no token in it, nobody can get in; add one (headgate(8), TOKENS) and restart",
			 given);
	else
		log_warn("%s/tokens: no token in it, nobody can get in; remove that file and restart, then a "
			 "new token is made and shown",
			 serve->state_dir);
}

static int start_workers(struct serve *serve)
{
	const struct worker_shared shared = {
	    .config = &serve->config,
	    .engine = &serve->engine,
	    .tokens = &serve->tokens,
	    .tls = serve->tls,
	    .listeners = serve->listeners,
	    .listeners_count = serve->listeners_count,
	    .event_ops = serve->event_ops,
	    .workers = serve->workers_count,
	};

	serve->workers = calloc(serve->workers_count, sizeof(*serve->workers));
	if (!serve->workers) {
		snprintf(serve->error, sizeof(serve->error), "out of memory");
		return -ENOMEM;
	}
	for (unsigned i = 0; i < serve->workers_count; i++) {
		int result = worker_start(&serve->workers[i], i, &shared);
		if (result < 0) {
			snprintf(serve->error, sizeof(serve->error), "cannot start worker %u: %s", i,
				 strerror(-result));
			serve->workers_count = i;
			return result;
		}
	}
	return 0;
}

static void order_all(const struct serve *serve, enum worker_order order)
{
	for (unsigned i = 0; serve->workers && i < serve->workers_count; i++)
		worker_order(&serve->workers[i], order);
}

static bool all_idle(const struct serve *serve)
{
	for (unsigned i = 0; i < serve->workers_count; i++)
		if (!atomic_load(&serve->workers[i].idle))
			return false;
	return true;
}

static void report_ready(struct serve *serve)
{
	char name[300];

	for (size_t i = 0; i < serve->listeners_count; i++) {
		listener_name(&serve->listeners[i], name, sizeof(name));
		log_info("listening on %s, engine %s, events by %s, TLS in %s, %u worker%s, %zu token%s", name,
			 serve->config.engine.text, event_name(serve->workers[0].loop),
			 serve->kernel_tls ? "the kernel" : "userspace", serve->workers_count,
			 serve->workers_count == 1 ? "" : "s", serve->tokens.count,
			 serve->tokens.count == 1 ? "" : "s");
	}
	const char *ca = config_wants_tls(&serve->config) && own_certificate(serve) ? serve->pki.ca : NULL;
	size_t shown = 0;
	while (shown + 1 < serve->listeners_count && serve->listeners[shown].address.scheme != CONFIG_TLS)
		shown++;
	if (serve->tokens_are_new)
		welcome_print(stdout, &serve->listeners[shown], ca, serve->state_dir, serve->new_token);
	else if (ca)
		welcome_print_ca(stdout, &serve->listeners[shown], ca);
	explicit_bzero(serve->new_token, sizeof(serve->new_token));
}

/* A certificate that we made is renewed in time; one that was given is read again. */
static void renew_certificate(struct serve *serve, bool reload)
{
	int result = 0;

	if (!serve->tls)
		return;
	if (own_certificate(serve))
		result = pki_ensure(serve->state_dir, serve->config.sans, serve->config.sans_count,
				    time(NULL), serve->error, sizeof(serve->error));
	if (result == 0 && !reload) {
		warn_certificate(serve, time(NULL));
		return;
	}
	if (result >= 0)
		result = tls_server_reload(serve->tls, serve->cert_file, serve->key_file, serve->error,
					   sizeof(serve->error));
	if (result < 0) {
		log_error("keeping the present certificate: %s", serve->error);
		return;
	}
	log_info("%s: new connections get this certificate from now on", serve->cert_file);
	note_certificate(serve);
}

/* The next signal within that time, 0 when none came. Answers the admin listener meanwhile. */
static int next_signal(struct serve *serve, int timeout_ms, bool draining)
{
	struct pollfd fds[] = {{.fd = serve->signal_fd, .events = POLLIN},
			       {.fd = serve->admin.fd, .events = POLLIN}};
	struct signalfd_siginfo info;

	if (poll(fds, ARRAY_SIZE(fds), timeout_ms) <= 0)
		return 0;
	if (fds[1].revents)
		admin_answer(&serve->admin, &serve->engine, draining);
	if (!fds[0].revents || read(serve->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

/* Until SIGTERM or SIGINT. */
static void serve_signals(struct serve *serve)
{
	time_t checked = time(NULL);

	for (;;) {
		int number = next_signal(serve, RENEWAL_CHECK_SECONDS * 1000, false);
		if (number == SIGTERM || number == SIGINT)
			return;
		if (number != SIGHUP && time(NULL) - checked < RENEWAL_CHECK_SECONDS)
			continue;
		checked = time(NULL);
		renew_certificate(serve, number == SIGHUP);
	}
}

/* Stops accepting and lets what runs finish; a second signal or the time-out ends it. */
static void drain(struct serve *serve)
{
	uint64_t end_ms = timer_now_ms() + serve->config.drain_timeout_ms;

	order_all(serve, WORKER_DRAIN);
	for (size_t i = 0; i < serve->listeners_count; i++)
		listener_stop(&serve->listeners[i]);
	log_info("draining: no new connections; open exchanges have up to %u s",
		 serve->config.drain_timeout_ms / 1000);
	while (!all_idle(serve)) {
		if (timer_now_ms() >= end_ms) {
			log_warn("the drain time-out is over; open exchanges are cut");
			break;
		}
		int number = next_signal(serve, DRAIN_TICK_MS, true);
		if (number == SIGTERM || number == SIGINT) {
			log_warn("a second signal; open exchanges are cut");
			break;
		}
	}
}

static int serve_prepare(struct serve *serve)
{
	int result = prepare_certificate(serve);

	if (result == 0)
		result = prepare_tokens(serve);
	if (result == 0)
		result = engine_init(&serve->engine, &serve->config, serve->error, sizeof(serve->error));
	if (result == 0)
		result = choose_event(serve);
	if (result == 0)
		result = choose_ktls(serve);
	if (result == 0)
		result = prepare_listeners(serve);
	if (result == 0 && serve->config.admin.text[0])
		result = admin_open(&serve->admin, &serve->config.admin, serve->error, sizeof(serve->error));
	return result;
}

static void serve_fini(struct serve *serve)
{
	order_all(serve, WORKER_STOP);
	for (unsigned i = 0; serve->workers && i < serve->workers_count; i++)
		worker_join(&serve->workers[i]);
	free(serve->workers);
	for (size_t i = 0; i < serve->listeners_count; i++)
		listener_close(&serve->listeners[i]);
	admin_close(&serve->admin);
	if (serve->signal_fd >= 0)
		close(serve->signal_fd);
	tls_server_free(serve->tls);
	engine_fini(&serve->engine);
	token_set_fini(&serve->tokens);
	explicit_bzero(serve->new_token, sizeof(serve->new_token));
	free(serve);
}

/* Every thread inherits this mask; the main thread reads these signals from a descriptor. */
static int block_signals(struct serve *serve)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN); /* splice(2) has no MSG_NOSIGNAL */
	serve->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (serve->signal_fd >= 0)
		return 0;
	int number = errno;
	snprintf(serve->error, sizeof(serve->error), "signalfd: %s", strerror(number));
	return -number;
}

int cmd_serve(int argc, char **argv)
{
	struct serve *serve = calloc(1, sizeof(*serve));

	if (!serve)
		return EXIT_FAILURE;
	serve->signal_fd = -1;
	admin_init(&serve->admin);
	switch (config_parse_serve(&serve->config, argc, argv, getenv, serve->error, sizeof(serve->error))) {
	case CONFIG_HELP:
		config_help_serve(stdout);
		free(serve);
		return EXIT_SUCCESS;
	case CONFIG_BAD:
		fprintf(stderr, "%s\n", serve->error);
		free(serve);
		return EXIT_USAGE;
	case CONFIG_OK:
		break;
	}
	log_set_level(serve->config.log_level);
	raise_file_limit(&serve->config);
	int result = block_signals(serve);
	if (result == 0)
		result = serve_prepare(serve);
	if (result == 0)
		result = start_workers(serve);
	if (result < 0) {
		fprintf(stderr, "headgate serve: %s\n", serve->error);
		serve_fini(serve);
		return EXIT_USAGE;
	}
	report_engine(serve);
	warn_tokens(serve);
	note_certificate(serve);
	report_ready(serve);
	serve_signals(serve);
	drain(serve);
	serve_fini(serve);
	log_info("stopped");
	return EXIT_SUCCESS;
}
