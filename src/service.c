/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Everything that can fail is prepared first, each failure one line in `error`, and only then are the workers
 * started. The main thread serves nothing: it takes signals, answers the admin listener, and drains.
 */
#include "service.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "log.h"
#include "timer.h"
#include "tls_probe.h"

#define DRAIN_TICK_MS 50

void service_init(struct service *service)
{
	service->signal_fd = -1;
	admin_init(&service->admin);
}

/* Every thread inherits this mask; the main thread reads these signals from a descriptor. */
int service_take_signals(struct service *service)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN); /* splice(2) has no MSG_NOSIGNAL */
	service->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (service->signal_fd >= 0)
		return 0;
	int number = errno;
	snprintf(service->error, sizeof(service->error), "signalfd: %s", strerror(number));
	return -number;
}

/* io_uring where it is to be had, or as --event says. */
static int choose_event(struct service *service)
{
	int result = 0;

	service->event_ops = &event_epoll_ops;
	if (service->config.event == CONFIG_EVENT_EPOLL)
		return 0;
	struct event_loop *loop = event_open(&event_uring_ops, &result);
	if (loop) {
		event_close(loop);
		service->event_ops = &event_uring_ops;
		return 0;
	}
	if (service->config.event == CONFIG_EVENT_URING) {
		snprintf(service->error, sizeof(service->error),
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
static int choose_ktls(struct service *service)
{
	char reason[256];

	if (service->config.ktls == CONFIG_KTLS_OFF || (!service->tls && !service->engine.tls))
		return 0;
	service->kernel_tls = tls_probe_kernel(reason, sizeof(reason));
	if (service->kernel_tls) {
		if (service->tls)
			tls_server_allow_kernel(service->tls);
		if (service->engine.tls)
			tls_client_allow_kernel(service->engine.tls);
		return 0;
	}
	if (service->config.ktls == CONFIG_KTLS_ON) {
		snprintf(service->error, sizeof(service->error), "--ktls on: %s; or use --ktls auto", reason);
		return -ENOTSUP;
	}
	log_info("TLS stays in userspace: %s ('headgate check' tells more)", reason);
	return 0;
}

static int open_listeners(struct service *service)
{
	const struct config *config = &service->config;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	service->workers_count = config->workers  ? config->workers
				 : processors > 0 ? (unsigned)processors
						  : 1;
	if (service->workers_count > CONFIG_WORKERS_MAX)
		service->workers_count = CONFIG_WORKERS_MAX;
	for (size_t i = 0; i < config->listen_count; i++) {
		service->listeners_count++;
		int result = (service->is_private ? listener_open_private : listener_open)(
		    &service->listeners[i], "--listen", &config->listen[i], service->workers_count,
		    service->error, sizeof(service->error));
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

static void sum_counters(void *context, uint64_t sums[COUNTER_COUNT])
{
	const struct service *service = context;

	for (unsigned i = 0; service->workers && i < service->workers_count; i++)
		counters_sum(sums, &service->workers[i].env.counters);
}

int service_prepare(struct service *service)
{
	const struct config *config = &service->config;
	int result;

	raise_file_limit(config);
	result = choose_event(service);
	if (result == 0)
		result = choose_ktls(service);
	if (result == 0)
		result = open_listeners(service);
	if (result == 0 && config->admin.text[0])
		result = admin_open(&service->admin, &config->admin, &service->engine, sum_counters, service,
				    service->error, sizeof(service->error));
	return result;
}

int service_open(struct service *service, struct worker_shared shared)
{
	shared.config = &service->config;
	shared.engine = &service->engine;
	shared.tls = service->tls;
	shared.listeners = service->listeners;
	shared.listeners_count = service->listeners_count;
	shared.event_ops = service->event_ops;
	shared.workers = service->workers_count;
	service->workers = calloc(service->workers_count, sizeof(*service->workers));
	if (!service->workers) {
		snprintf(service->error, sizeof(service->error), "out of memory");
		return -ENOMEM;
	}
	for (unsigned i = 0; i < service->workers_count; i++) {
		int result = worker_open(&service->workers[i], i, &shared);
		if (result < 0) {
			snprintf(service->error, sizeof(service->error), "cannot prepare worker %u: %s", i,
				 strerror(-result));
			service->workers_count = i;
			return result;
		}
	}
	return 0;
}

int service_start(struct service *service)
{
	for (unsigned i = 0; i < service->workers_count; i++) {
		int result = worker_start(&service->workers[i]);
		if (result < 0) {
			snprintf(service->error, sizeof(service->error), "cannot start worker %u: %s", i,
				 strerror(-result));
			return result;
		}
	}
	return 0;
}

void service_report_engine(const struct service *service)
{
	int fd;
	char text[512];
	int result = engine_connect(&service->engine, &fd);

	if (fd >= 0)
		close(fd);
	if (result == 0 || result == -EINPROGRESS)
		return;
	engine_trouble(&service->engine, false, result, NULL, text, sizeof(text));
	log_warn("%s (every request tries again)", text);
}

void service_report_ready(const struct service *service, const char *more)
{
	char name[300];

	for (size_t i = 0; i < service->listeners_count; i++) {
		listener_name(&service->listeners[i], name, sizeof(name));
		log_info("listening on %s, engine %s, events by %s, bytes by %s, TLS in %s, %u worker%s%s",
			 name, service->config.engine.text, event_name(service->workers[0].loop),
			 service->config.mover == CONFIG_MOVER_COPY ? "copy" : "splice",
			 service->kernel_tls ? "the kernel" : "userspace", service->workers_count,
			 service->workers_count == 1 ? "" : "s", more);
	}
}

void service_renew(struct service *service, struct snapshot *snapshot)
{
	for (unsigned i = 0; i < service->workers_count; i++)
		worker_renew(&service->workers[i], snapshot);
}

static int next_signal(struct service *service, int timeout_ms, bool draining)
{
	struct pollfd fds[] = {{.fd = service->signal_fd, .events = POLLIN},
			       {.fd = service->admin.fd, .events = POLLIN}};
	struct signalfd_siginfo info;

	if (poll(fds, ARRAY_SIZE(fds), timeout_ms) <= 0)
		return 0;
	if (fds[1].revents)
		admin_answer(&service->admin, draining);
	if (!fds[0].revents || read(service->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

int service_next_signal(struct service *service, int timeout_ms)
{
	return next_signal(service, timeout_ms, false);
}

static void order_all(const struct service *service, enum worker_order order)
{
	for (unsigned i = 0; service->workers && i < service->workers_count; i++)
		worker_order(&service->workers[i], order);
}

static bool all_idle(const struct service *service)
{
	for (unsigned i = 0; i < service->workers_count; i++)
		if (!atomic_load(&service->workers[i].idle))
			return false;
	return true;
}

void service_drain(struct service *service)
{
	uint64_t end_ms = timer_now_ms() + service->config.drain_timeout_ms;

	order_all(service, WORKER_DRAIN);
	for (size_t i = 0; i < service->listeners_count; i++)
		listener_stop(&service->listeners[i]);
	log_info("draining: no new connections; open exchanges have up to %u s",
		 service->config.drain_timeout_ms / 1000);
	while (!all_idle(service)) {
		if (timer_now_ms() >= end_ms) {
			log_warn("the drain time-out is over; open exchanges are cut");
			break;
		}
		int number = next_signal(service, DRAIN_TICK_MS, true);
		if (number == SIGTERM || number == SIGINT) {
			log_warn("a second signal; open exchanges are cut");
			break;
		}
	}
}

/* After the workers have ended, so that these are the last numbers. */
static void report_served(struct service *service)
{
	uint64_t sums[COUNTER_COUNT] = {0};

	sum_counters(service, sums);
	if (sums[COUNTER_OPENED] == 0) /* also after a start that failed */
		return;
	log_info("served %" PRIu64 " connections, %" PRIu64 " requests (%" PRIu64 " unauthorized), %" PRIu64
		 " bytes up, %" PRIu64 " down",
		 sums[COUNTER_OPENED], counters_requests(sums), sums[COUNTER_UNAUTHORIZED],
		 sums[COUNTER_UP_BYTES], sums[COUNTER_DOWN_BYTES]);
}

void service_stop(struct service *service)
{
	order_all(service, WORKER_STOP);
	for (unsigned i = 0; service->workers && i < service->workers_count; i++)
		worker_join(&service->workers[i]);
	report_served(service);
	free(service->workers);
	service->workers = NULL;
}

void service_fini(struct service *service)
{
	service_stop(service);
	for (size_t i = 0; i < service->listeners_count; i++)
		listener_close(&service->listeners[i]);
	service->listeners_count = 0;
	admin_close(&service->admin);
	if (service->signal_fd >= 0)
		close(service->signal_fd);
	service->signal_fd = -1;
	tls_server_free(service->tls);
	service->tls = NULL;
	engine_fini(&service->engine);
}
