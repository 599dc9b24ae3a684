/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * `headgate connect` is serve turned round: a unix socket in front that only its owner can open, and behind
 * it, over TLS, a remote headgate instead of an engine. The connections are the same ones, with two
 * differences that the snapshot carries: every request is `everyone`'s, whatever it presents, and goes on
 * with the token of --token-file. So programs that can send neither a header nor a certificate (buildx) work
 * unchanged; what the token may do is the remote headgate's to say.
 *
 * The token file is read again when it changes, and on SIGHUP. A broken one is refused and the token before
 * stays.
 */
#include "cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "engine.h"
#include "engine_ask.h"
#include "file.h"
#include "limit.h"
#include "log.h"
#include "policy.h"
#include "sandbox.h"
#include "service.h"
#include "snapshot.h"
#include "timer.h"
#include "token.h"

#define EVERYONE	 "local"
#define ROLE_OF_EVERYONE "admin"
#define FILE_LOOK_MS	 500
#define ASK_TIMEOUT_MS	 5000

struct connect {
	struct service service;
	struct snapshot *snapshot; /* held */
	struct limits *limits;	   /* owned */
	struct file_watch token_watch;
};

/* ---- what was asked for ---- */

/* HOST:PORT, with or without tls:// before it. */
static int take_address(struct service *service, const char *text)
{
	char url[sizeof(service->config.engine.text)];
	const char *reason = "";

	if (snprintf(url, sizeof(url), "%s%s", strstr(text, "://") ? "" : "tls://", text) >=
		(int)sizeof(url) ||
	    config_address_parse(&service->config.engine, url, false, &reason) < 0) {
		snprintf(service->error, sizeof(service->error), "'%.100s' %s; give HOST:PORT", text,
			 *reason ? reason : "is too long");
		return -EINVAL;
	}
	return 0;
}

/* Nobody but us can look into XDG_RUNTIME_DIR, and root alone writes to /run. */
static int default_listener(struct service *service)
{
	const char *dir = getenv("XDG_RUNTIME_DIR"), *reason = "";
	struct config *config = &service->config;
	char url[sizeof(config->listen[0].text)];

	if (geteuid() == 0)
		strlcpy(url, "unix:///run/headgate-connect.sock", sizeof(url));
	else if (!dir || dir[0] != '/' ||
		 snprintf(url, sizeof(url), "unix://%s/headgate.sock", dir) >= (int)sizeof(url))
		url[0] = '\0';
	if (!url[0] || config_address_parse(&config->listen[0], url, true, &reason) < 0) {
		snprintf(
		    service->error, sizeof(service->error),
		    "no place for the socket (XDG_RUNTIME_DIR is not usable); give --listen unix:///PATH");
		return -EINVAL;
	}
	config->listen_count = 1;
	return 0;
}

static int check_config(struct service *service)
{
	struct config *config = &service->config;
	int result = 0;

	if (config->arguments_count > 0 && config->engine.text[0]) {
		snprintf(service->error, sizeof(service->error),
			 "two addresses: --to, and one without an option's name; give one of them");
		result = -EINVAL;
	} else if (config->arguments_count > 0) {
		result = take_address(service, config->arguments[0]);
	} else if (!config->engine.text[0]) {
		snprintf(service->error, sizeof(service->error),
			 "where is the headgate to connect to? give HOST:PORT");
		result = -EINVAL;
	}
	if (result == 0 && !config->token_file) {
		snprintf(service->error, sizeof(service->error),
			 "--token-file is needed: a file with the token, readable by you alone (chmod 600)");
		result = -EINVAL;
	}
	if (result == 0 && config->listen_count == 0)
		result = default_listener(service);
	/* There is no token to ask for here: the socket's mode is what keeps others out. */
	for (size_t i = 0; i < config->listen_count && result == 0; i++) {
		if (config->listen[i].scheme == CONFIG_UNIX)
			continue;
		snprintf(service->error, sizeof(service->error),
			 "--listen %s: connect listens at unix:///PATH only", config->listen[i].text);
		result = -EINVAL;
	}
	return result;
}

/* ---- the token ---- */

/* The file's secret without the line end that editors add; why it can be none, or NULL. */
static const char *secret_of(const struct file_text *text, struct span *secret)
{
	*secret = (struct span){.ptr = text->data, .len = text->len};
	while (secret->len && (secret->ptr[secret->len - 1] == '\n' || secret->ptr[secret->len - 1] == '\r'))
		secret->len--;
	for (size_t i = 0; i < secret->len; i++)
		if ((unsigned char)secret->ptr[i] <= ' ' || (unsigned char)secret->ptr[i] >= 0x7f)
			return "only the token may be in it, on one line, without blanks";
	return secret->len == 0 ? "there is no token in it" : token_secret_problem(*secret);
}

/* The one whose requests all are, in a set of its own. */
static int everyone_new(struct snapshot **snapshot, struct span secret)
{
	struct token everyone = {.name = EVERYONE, .role_name = ROLE_OF_EVERYONE}, unbound;
	char reason[POLICY_REASON_BYTES];
	struct token_set tokens = {0};
	struct policy *policy = NULL;
	size_t line = 0;
	int result = token_digest(secret, everyone.digest);

	if (result == 0)
		result = token_set_add(&tokens, &everyone);
	if (result == 0)
		result = policy_new(&policy, SPAN(""), &line, reason);
	if (result < 0) {
		token_set_fini(&tokens);
		return result;
	}
	return snapshot_new(snapshot, &tokens, policy, &unbound);
}

/* A new snapshot with what the token file holds now. 0 or -errno with service->error; the old one stays then.
 */
static int read_token(struct connect *connect)
{
	struct service *service = &connect->service;
	const char *file = service->config.token_file, *problem;
	struct snapshot *snapshot = NULL;
	struct file_text text;
	struct span secret;

	file_watch_mark(&connect->token_watch, file);
	int result = file_read(file, FILE_SECRET, TOKEN_SECRET_MAX_BYTES + 2, &text, service->error,
			       sizeof(service->error));
	if (result < 0) {
		if (result == -ENOENT)
			snprintf(service->error, sizeof(service->error), "%s: no such token file", file);
		return result;
	}
	problem = secret_of(&text, &secret);
	result = problem ? -EINVAL : everyone_new(&snapshot, secret);
	if (result == 0) {
		snapshot->everyone = &snapshot->tokens.tokens[0];
		snapshot->sent_token = strndup(secret.ptr, secret.len);
		if (!snapshot->sent_token)
			result = -ENOMEM;
	}
	file_text_fini(&text);
	if (result < 0) {
		snprintf(service->error, sizeof(service->error), "%s: %s", file,
			 problem ? problem : strerror(-result));
		snapshot_release(snapshot);
		return result;
	}
	snapshot_release(connect->snapshot);
	connect->snapshot = snapshot;
	return 0;
}

static void reload(struct connect *connect)
{
	struct service *service = &connect->service;

	if (read_token(connect) < 0) {
		log_error("keeping the present token: %s", service->error);
		return;
	}
	service_renew(service, connect->snapshot);
	log_info("%s: requests get this token from now on", service->config.token_file);
}

/* ---- life ---- */

/* The token is read again, sockets go away at the end. */
static int enter_sandbox(struct service *service)
{
	struct sandbox sandbox = {.mode = service->config.sandbox};

	sandbox_add_engine(&sandbox, &service->engine);
	sandbox_add_file(&sandbox, service->config.token_file);
	for (size_t i = 0; i < service->listeners_count; i++)
		sandbox_add_listener(&sandbox, &service->listeners[i].address);
	return sandbox_enter(&sandbox, service->error, sizeof(service->error));
}

static int prepare(struct connect *connect)
{
	struct service *service = &connect->service;
	int result = service_take_signals(service);

	if (result == 0)
		result = check_config(service);
	if (result == 0)
		result = read_token(connect);
	if (result == 0)
		result = engine_init_remote(&service->engine, &service->config, service->error,
					    sizeof(service->error));
	if (result == 0) { /* no limits: whoever may open the socket is one and the same */
		result = limits_new(&connect->limits, &(struct limit_rules){.entries_max = 1});
		if (result < 0)
			snprintf(service->error, sizeof(service->error), "out of memory");
	}
	if (result == 0)
		result = service_prepare(service);
	if (result == 0)
		result = service_open(service, (struct worker_shared){.snapshot = connect->snapshot,
								      .limits = connect->limits});
	if (result == 0)
		result = enter_sandbox(service);
	if (result == 0)
		result = service_start(service);
	return result;
}

/* Trust in the other side, and the token, are tried now: a command that fails later tells less. */
static void report_remote(struct connect *connect)
{
	struct service *service = &connect->service;
	struct engine_identity identity;
	char error[512];

	if (engine_ask_with_token(&service->engine, connect->snapshot->sent_token, ASK_TIMEOUT_MS, &identity,
				  error, sizeof(error)) < 0)
		log_warn("%s (every request tries again)", error);
	else
		log_info("connected to %s: %s, API %s", service->engine.address.text, identity.server,
			 identity.api_version);
}

static void report_ready(const struct service *service)
{
	service_report_ready(service, "");
	printf("\nThe engine is here now, for you alone:\n\n  export DOCKER_HOST=unix://%s\n\n",
	       service->listeners[0].address.path);
	(void)fflush(stdout);
}

static void fini(struct connect *connect)
{
	service_fini(&connect->service);
	snapshot_release(connect->snapshot);
	limits_free(connect->limits);
	free(connect);
}

static void run(struct connect *connect)
{
	report_ready(&connect->service);
	report_remote(connect);
	for (;;) {
		int number = service_next_signal(&connect->service, FILE_LOOK_MS);
		if (number == SIGTERM || number == SIGINT)
			break;
		if (number == SIGHUP ||
		    file_watch_changed(&connect->token_watch, connect->service.config.token_file,
				       timer_now_ms()))
			reload(connect);
	}
	service_drain(&connect->service);
}

int cmd_connect(int argc, char **argv)
{
	struct connect *connect = calloc(1, sizeof(*connect));
	struct service *service;

	if (!connect)
		return EXIT_FAILURE;
	service = &connect->service;
	service_init(service);
	service->is_private = true;
	switch (config_read(&service->config, CONFIG_CONNECT, argc, argv, environ, service->error,
			    sizeof(service->error))) {
	case CONFIG_HELP:
		config_help(stdout, CONFIG_CONNECT);
		free(connect);
		return EXIT_SUCCESS;
	case CONFIG_BAD:
		fprintf(stderr, "%s\n", service->error);
		free(connect);
		return EXIT_USAGE;
	case CONFIG_OK:
		break;
	}
	log_set_level(service->config.log_level);
	if (prepare(connect) < 0) {
		fprintf(stderr, "headgate connect: %s\n", service->error);
		fini(connect);
		return EXIT_USAGE;
	}
	run(connect);
	fini(connect);
	log_info("stopped");
	return EXIT_SUCCESS;
}
