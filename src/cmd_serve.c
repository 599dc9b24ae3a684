/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * `headgate serve` prepares everything that can fail first (options, state, certificate, tokens,
 * engine address, listeners), each failure one line and exit code 2, then gives up what it needs no more
 * (sandbox.h), and only then starts the workers. The main thread serves nothing: it takes signals, renews the
 * certificate, and drains.
 */
#include "cmd.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "access.h"
#include "config.h"
#include "console.h"
#include "engine.h"
#include "engine_watch.h"
#include "limit.h"
#include "listener.h"
#include "log.h"
#include "own.h"
#include "pki.h"
#include "policy.h"
#include "sandbox.h"
#include "service.h"
#include "state.h"
#include "timer.h"
#include "tls.h"
#include "token.h"
#include "welcome.h"

/* How often a certificate's end is looked at. */
#define RENEWAL_CHECK_SECONDS 3600
/* How often files are: a change is in force within a second, and seen at rest before. */
#define FILES_LOOK_MS 250
/* A certificate that is not ours to renew: time enough to have a new one made. */
#define CERT_WARNING_DAYS 30
#define DAY_SECONDS	  86400
/* Addresses and tokens that limits remember; some 100 bytes each. */
#define LIMIT_ENTRIES ((size_t)16384)

/* Everything that lives as long as the command. */
struct serve {
	struct service service;
	char state_dir[3072];
	struct pki_paths pki;
	const char *cert_file, *key_file; /* borrowed from config or pki */
	struct file_watch cert_watch, key_watch, client_ca_watch;
	time_t cert_loaded_s;
	int cert_days, cert_days_told; /* left when it was loaded, and by the last warning */
	struct access access;
	struct limits *limits;		   /* owned */
	struct engine_watch *engine_watch; /* owned */
	struct console *console;	   /* owned */
	struct own own;
	char new_token[TOKEN_GENERATED_BYTES];
};

static bool own_certificate(const struct serve *serve)
{
	return !serve->service.config.cert_file;
}

/* State directory, certificate and its key. */
static int prepare_certificate(struct serve *serve)
{
	struct service *service = &serve->service;
	const struct config *config = &service->config;
	char *error = service->error;
	int result = 0;

	if (config_needs_state(config))
		result = state_dir_open(config->state_dir, serve->state_dir, sizeof(serve->state_dir), error,
					sizeof(service->error));
	if (result < 0)
		return result;
	result = pki_paths(&serve->pki, serve->state_dir);
	if (result < 0) {
		snprintf(error, sizeof(service->error), "%s: name is too long", serve->state_dir);
		return result;
	}
	serve->cert_file = own_certificate(serve) ? serve->pki.cert : config->cert_file;
	serve->key_file = own_certificate(serve) ? serve->pki.key : config->key_file;
	if (!config_wants_tls(config))
		return 0;
	if (own_certificate(serve)) {
		result = pki_ensure(serve->state_dir, config->sans, config->sans_count, time(NULL), error,
				    sizeof(service->error));
		if (result < 0)
			return result;
	}
	service->tls = tls_server_new(serve->cert_file, serve->key_file, config->client_ca_file, error,
				      sizeof(service->error));
	return service->tls ? 0 : -EINVAL;
}

static int prepare_limits(struct serve *serve)
{
	const struct config *config = &serve->service.config;
	const struct limit_rules rules = {
	    .failures_max = config->auth_failures,
	    .failures_window_ms = config->auth_failures_window_ms,
	    .peer_connections_max = config->peer_connections,
	    .token_connections_max = config->token_connections,
	    .entries_max = LIMIT_ENTRIES,
	};
	int result = limits_new(&serve->limits, &rules);

	if (result < 0)
		snprintf(serve->service.error, sizeof(serve->service.error), "out of memory");
	return result;
}

/* Nobody but its owner can renew a given certificate. Each number of days is told once. */
static void warn_certificate(struct serve *serve, time_t now)
{
	int days = serve->cert_days - (int)((now - serve->cert_loaded_s) / DAY_SECONDS);
	const char *remedy = "put a new one there and send SIGHUP";

	if (!serve->service.tls || own_certificate(serve) || days >= CERT_WARNING_DAYS ||
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
	if (!serve->service.tls || pki_days_left(serve->cert_file, serve->cert_loaded_s, &serve->cert_days,
						 error, sizeof(error)) < 0)
		serve->cert_days = INT_MAX;
	warn_certificate(serve, serve->cert_loaded_s);
}

/* Works as asked, and serves nobody. */
static void warn_tokens(const struct serve *serve)
{
	const char *given = serve->service.config.tokens_file;

	if (serve->access.snapshot->tokens.count > 0)
		return;
	if (given)
		log_warn("%s: no token in it, nobody can get in; add one: headgate token create "
			 "NAME --role ROLE --tokens %s",
			 given, given);
	else
		log_warn("%s/tokens: no token in it, nobody can get in; add one: headgate token create NAME "
			 "--role ROLE --state %s",
			 serve->state_dir, serve->state_dir);
}

static void report_ready(struct serve *serve)
{
	const struct service *service = &serve->service;
	size_t count = serve->access.snapshot->tokens.count;
	char tokens[40];

	snprintf(tokens, sizeof(tokens), ", %zu token%s", count, count == 1 ? "" : "s");
	service_report_ready(service, tokens);
	const char *ca = config_wants_tls(&service->config) && own_certificate(serve) ? serve->pki.ca : NULL;
	size_t shown = 0;
	while (shown + 1 < service->listeners_count && service->listeners[shown].address.scheme != CONFIG_TLS)
		shown++;
	if (serve->new_token[0])
		welcome_print(stdout, &service->listeners[shown], ca, serve->state_dir, serve->new_token);
	else if (ca)
		welcome_print_ca(stdout, &service->listeners[shown], ca);
	if (serve->new_token[0] && ferror(stdout))
		log_warn(
		    "the token could not be written to standard output, so nobody has it; 'headgate token "
		    "rotate admin --overlap 0' makes another");
	explicit_bzero(serve->new_token, sizeof(serve->new_token));
}

static void mark_certificate(struct serve *serve)
{
	file_watch_mark(&serve->cert_watch, serve->cert_file);
	file_watch_mark(&serve->key_watch, serve->key_file);
	if (serve->service.config.client_ca_file)
		file_watch_mark(&serve->client_ca_watch, serve->service.config.client_ca_file);
}

static bool certificate_has_changed(struct serve *serve, uint64_t now_ms)
{
	const char *client_ca = serve->service.config.client_ca_file;

	if (!serve->service.tls)
		return false;
	bool cert = file_watch_changed(&serve->cert_watch, serve->cert_file, now_ms);
	bool key = file_watch_changed(&serve->key_watch, serve->key_file, now_ms);
	return (client_ca && file_watch_changed(&serve->client_ca_watch, client_ca, now_ms)) || cert || key;
}

/* A certificate that we made is renewed in time; one that was given is read again. */
static void renew_certificate(struct serve *serve, bool reload)
{
	struct service *service = &serve->service;
	int result = 0;

	if (!service->tls)
		return;
	if (own_certificate(serve))
		result = pki_ensure(serve->state_dir, service->config.sans, service->config.sans_count,
				    time(NULL), service->error, sizeof(service->error));
	if (result == 0 && !reload) {
		warn_certificate(serve, time(NULL));
		return;
	}
	mark_certificate(serve);
	if (result >= 0)
		result =
		    tls_server_reload(service->tls, serve->cert_file, serve->key_file,
				      service->config.client_ca_file, service->error, sizeof(service->error));
	if (result < 0) {
		log_error("keeping the present certificate: %s", service->error);
		return;
	}
	log_info("%s: new connections get this certificate from now on", serve->cert_file);
	note_certificate(serve);
}

/* Only roles with limits are ever asked whether a network is the host's. */
static void start_engine_watch(struct serve *serve)
{
	const struct token_set *tokens = &serve->access.snapshot->tokens;

	for (size_t i = 0; i < tokens->count; i++) {
		if (role_is_unlimited(tokens->tokens[i].role))
			continue;
		if (engine_watch_start(serve->engine_watch, &serve->service.engine,
				       serve->service.config.engine_poll_ms) < 0)
			log_warn("the IDs of the host's network stay unknown: no thread could be started");
		return;
	}
}

/* Tokens and policy again; the workers end what they no longer allow. */
static void renew_access(struct serve *serve)
{
	struct service *service = &serve->service;

	if (access_reload(&serve->access, service->error, sizeof(service->error)) < 0) {
		log_error("keeping the present tokens and policy: %s", service->error);
		return;
	}
	size_t count = serve->access.snapshot->tokens.count;
	log_info("tokens and policy were read again: %zu token%s", count, count == 1 ? "" : "s");
	service_renew(service, serve->access.snapshot);
	start_engine_watch(serve);
	warn_tokens(serve);
}

/* Until SIGTERM or SIGINT. */
static void serve_signals(struct serve *serve)
{
	time_t checked = time(NULL);

	for (;;) {
		int number = service_next_signal(&serve->service, FILES_LOOK_MS);
		if (number == SIGTERM || number == SIGINT)
			return;
		uint64_t now_ms = timer_now_ms();
		if (number == SIGHUP || access_has_changed(&serve->access, now_ms))
			renew_access(serve);
		if (number == SIGHUP || certificate_has_changed(serve, now_ms))
			renew_certificate(serve, true);
		if (time(NULL) - checked < RENEWAL_CHECK_SECONDS)
			continue;
		checked = time(NULL);
		renew_certificate(serve, false);
	}
}

/* Whoever publishes one of these for a service has what clients send there, tokens too. */
static void note_own_ports(struct serve *serve)
{
	const struct config *config = &serve->service.config;
	size_t count = 0;

	static_assert(OWN_PORTS > CONFIG_LISTEN_MAX, "one more for --container-port");
	serve->own.ports[count++] = (uint16_t)config->container_port;
	for (size_t i = 0; i < config->listen_count; i++)
		serve->own.ports[count++] = config->listen[i].port;
}

/* What is read again are tokens, policy and certificates; ours are renewed, too. */
static int enter_sandbox(struct serve *serve)
{
	struct service *service = &serve->service;
	const struct config *config = &service->config;
	struct sandbox sandbox = {
	    .mode = config->sandbox,
	    .state_dir = serve->state_dir[0] ? serve->state_dir : NULL,
	    .asks_interfaces = service->tls && own_certificate(serve),
	};

	sandbox_add_engine(&sandbox, &service->engine);
	sandbox_add_file(&sandbox, config->tokens_file);
	sandbox_add_file(&sandbox, config->policy_file);
	sandbox_add_file(&sandbox, config->cert_file);
	sandbox_add_file(&sandbox, config->key_file);
	sandbox_add_file(&sandbox, config->client_ca_file);
	sandbox_add_file(&sandbox, config->original_token_file);
	for (size_t i = 0; i < service->listeners_count; i++)
		sandbox_add_listener(&sandbox, &service->listeners[i].address);
	sandbox_add_listener(&sandbox, &config->admin);
	return sandbox_enter(&sandbox, service->error, sizeof(service->error));
}

static int serve_prepare(struct serve *serve)
{
	struct service *service = &serve->service;
	int result = service_take_signals(service);

	if (result == 0)
		result = prepare_certificate(serve);
	if (result == 0)
		result = prepare_limits(serve);
	char host_name[256] = "";
	(void)gethostname(host_name, sizeof(host_name) - 1);
	own_init(&serve->own, service->config.container, host_name);
	note_own_ports(serve);
	if (result == 0) {
		result = engine_watch_new(&serve->engine_watch, &serve->own);
		if (result < 0)
			snprintf(service->error, sizeof(service->error), "out of memory");
	}
	if (result == 0)
		result =
		    engine_init(&service->engine, &service->config, service->error, sizeof(service->error));
	if (result == 0 && (result = console_new(&serve->console, &service->engine)) < 0)
		snprintf(service->error, sizeof(service->error), "out of memory");
	if (result == 0)
		result = service_prepare(service);
	if (result == 0 && service->config.sandbox == CONFIG_SANDBOX_ON)
		result = sandbox_require(service->error, sizeof(service->error));
	/* Late: it may make the first token, and a start that fails shows nobody what that is. */
	if (result == 0)
		result = access_load(&serve->access, &service->config, serve->state_dir, serve->new_token,
				     service->error, sizeof(service->error));
	if (result == 0)
		result = service_open(service, (struct worker_shared){.snapshot = serve->access.snapshot,
								      .limits = serve->limits,
								      .own = &serve->own,
								      .console = serve->console,
								      .engine_watch = serve->engine_watch});
	if (result == 0)
		result = enter_sandbox(serve);
	if (result == 0)
		result = service_start(service);
	return result;
}

static void serve_fini(struct serve *serve)
{
	/* The workers ask these two, whose threads ask the service's engine. */
	service_stop(&serve->service);
	engine_watch_free(serve->engine_watch);
	console_free(serve->console);
	service_fini(&serve->service);
	access_fini(&serve->access);
	limits_free(serve->limits);
	explicit_bzero(serve->new_token, sizeof(serve->new_token));
	free(serve);
}

int cmd_serve(int argc, char **argv)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	struct service *service;

	if (!serve)
		return EXIT_FAILURE;
	service = &serve->service;
	service_init(service);
	switch (config_read(&service->config, CONFIG_SERVE, argc, argv, environ, service->error,
			    sizeof(service->error))) {
	case CONFIG_HELP:
		config_help(stdout, CONFIG_SERVE);
		free(serve);
		return EXIT_SUCCESS;
	case CONFIG_BAD:
		fprintf(stderr, "%s\n", service->error);
		free(serve);
		return EXIT_USAGE;
	case CONFIG_OK:
		break;
	}
	log_set_level(service->config.log_level);
	if (serve_prepare(serve) < 0) {
		fprintf(stderr, "headgate serve: %s\n", service->error);
		serve_fini(serve);
		return EXIT_USAGE;
	}
	service_report_engine(service);
	start_engine_watch(serve);
	warn_tokens(serve);
	if (service->tls)
		mark_certificate(serve);
	note_certificate(serve);
	report_ready(serve);
	serve_signals(serve);
	service_drain(service);
	serve_fini(serve);
	log_info("stopped");
	return EXIT_SUCCESS;
}
