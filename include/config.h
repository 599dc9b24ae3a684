/* SPDX-License-Identifier: MIT */
/*
 * config.h: options. One table per command makes the parser, `--help`, the environment names and the
 * manual page's option list; nothing is said twice. Pure: files named by options are read elsewhere.
 *
 * Every option `--some-name VALUE` (or `--some-name=VALUE`) may also come as HEADGATE_SOME_NAME; the
 * command line wins. A repeatable option is comma-separated in the environment. Layer 1.
 */
#ifndef HEADGATE_CONFIG_H
#define HEADGATE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "address.h"
#include "compiler.h"
#include "log.h"

#define CONFIG_LISTEN_MAX    ((size_t)16)
#define CONFIG_SAN_MAX	     ((size_t)64)
#define CONFIG_WORKERS_MAX   256
#define CONFIG_PREFIXES_MAX  ((size_t)16)
#define CONFIG_ARGUMENTS_MAX ((size_t)4)
/* The longest list that the environment may hold for a repeatable option, with its NUL. */
#define CONFIG_LIST_CAP ((size_t)8192)

enum config_event { CONFIG_EVENT_AUTO, CONFIG_EVENT_URING, CONFIG_EVENT_EPOLL };
enum config_sandbox { CONFIG_SANDBOX_AUTO, CONFIG_SANDBOX_ON, CONFIG_SANDBOX_OFF };
enum config_ktls { CONFIG_KTLS_AUTO, CONFIG_KTLS_ON, CONFIG_KTLS_OFF };
enum config_mover { CONFIG_MOVER_AUTO, CONFIG_MOVER_SPLICE, CONFIG_MOVER_COPY };

/* The programs of this one that have options; in the order of `headgate --help`. */
enum config_command {
	CONFIG_SERVE,
	CONFIG_CONNECT,
	CONFIG_TOKEN,
	CONFIG_EXPLAIN,
	CONFIG_CHECK,
	CONFIG_HEALTH,
	CONFIG_COMMAND_COUNT,
};

/* An address as the options write it: unix:///PATH, tcp://HOST:PORT, tls://HOST:PORT. */
enum config_scheme { CONFIG_UNIX, CONFIG_TCP, CONFIG_TLS };

struct config_address {
	enum config_scheme scheme;
	char host[256]; /* name or address without brackets; "" = every address (listeners only) */
	uint16_t port;	/* 0 lets the kernel choose (listeners only) */
	char path[108]; /* unix only; fits sockaddr_un.sun_path */
	char text[300]; /* as given, for messages */
};

/* A SHA-256. */
struct config_digest {
	uint8_t bytes[32];
	bool is_given;
};

/*
 * Strings are borrowed from argv or the environment, which outlive the configuration; names from
 * HEADGATE_SAN point into the structure itself, so it must not be copied.
 */
struct config {
	struct config_address listen[CONFIG_LISTEN_MAX]; /* --listen, default tls://:2376 */
	size_t listen_count;
	struct config_address admin;  /* --admin; text is empty when there is none */
	struct config_address engine; /* --engine, default unix:///var/run/docker.sock */
	const char *engine_cert_dir;  /* --engine-cert-dir: ca.pem, cert.pem, key.pem */
	const char *state_dir;	      /* --state; NULL = /var/lib/headgate or $XDG_STATE_HOME/headgate */
	const char *cert_file;	      /* --cert and --key come together */
	const char *key_file;
	const char *tokens_file;	  /* --tokens; NULL = <state>/tokens */
	const char *sans[CONFIG_SAN_MAX]; /* --san, more names and addresses for our own certificate */
	size_t sans_count;
	char san_text[CONFIG_LIST_CAP]; /* HEADGATE_SAN, cut at its commas */
	unsigned workers;		/* --workers; 0 = one a processor */
	enum config_event event;	/* --event */
	enum config_ktls ktls;		/* --ktls */
	enum config_mover mover;	/* --mover */
	enum config_sandbox sandbox;	/* --sandbox */
	unsigned handshake_timeout_ms;	/* --handshake-timeout, default 10s */
	unsigned head_timeout_ms;	/* --head-timeout, default 30s: a head, or a body of known length that
					   stands still */
	unsigned idle_timeout_ms;	/* --idle-timeout, default 10m: a kept connection between requests */
	unsigned connect_timeout_ms;	/* --connect-timeout, default 10s: to the engine */
	unsigned engine_poll_ms;	/* --engine-poll, default 5s; 0 = never */
	unsigned drain_timeout_ms;	/* --drain-timeout, default 30s: after SIGTERM */
	unsigned max_connections;	/* --max-connections, default 16384 */
	enum log_level log_level;	/* --log-level, default info */

	const char *policy_file;    /* --policy; NULL = <state>/policy, if it is there */
	const char *client_ca_file; /* --client-ca */
	const char *container;	    /* --container; NULL: in none */
	unsigned container_port;    /* --container-port; 0: not known */
	bool token_in_path;	    /* --token-in-path */
	/* --auth-failures, default 20/1m: so many wrong tokens from an address, then it waits; 0: no limit */
	unsigned auth_failures, auth_failures_window_ms;
	unsigned peer_connections;				  /* --peer-connections; 0 = no limit */
	unsigned token_connections;				  /* --token-connections; 0 = no limit */
	struct address_prefix proxy_sources[CONFIG_PREFIXES_MAX]; /* --proxy-protocol */
	size_t proxy_sources_count;

	/* connect: the engine is another headgate */
	const char *ca_file;		  /* --ca; NULL = the system's */
	struct config_digest fingerprint; /* --fingerprint of its certificate, instead of a CA */
	const char *token_file;		  /* --token-file */
	const char *server_name;	  /* --server-name; NULL = the host of its address */

	/* token, explain */
	const char *role;				 /* --role */
	const char *expires;				 /* --expires */
	const char *overlap;				 /* --overlap */
	struct address_prefix from[CONFIG_PREFIXES_MAX]; /* --from */
	size_t from_count;
	bool json;	   /* --json */
	const char *token; /* --token: a name */
	bool roles;	   /* --roles */
	bool from_env;	   /* --from-env */
	bool ready;	   /* --ready, of health */

	const char *arguments[CONFIG_ARGUMENTS_MAX]; /* what was no option; borrowed from argv */
	size_t arguments_count;

	const char *original_token;	 /* DOCKER_API_TOKEN; secret, wiped after use */
	const char *original_token_file; /* DOCKER_API_TOKEN_FILE */
};

enum config_result {
	CONFIG_OK,
	CONFIG_HELP, /* --help was asked for */
	CONFIG_BAD,  /* `error` has the line to print; the exit code is 2 */
};

/*
 * Reads the options of a command; argv[0] is the command's name, `getenv_fn` is getenv() or a test's own.
 * Defaults are filled in first. What is no option goes to `arguments`, where the command takes any. `check`
 * takes every option of `serve`, so that what serves well passes there as it is. On CONFIG_BAD `error` holds
 * one line that names the option and the remedy (never the value of a secret).
 */
enum config_result config_parse(struct config *config, enum config_command command, int argc, char **argv,
				char *(*getenv_fn)(const char *name), char *error, size_t error_cap);

/*
 * CONFIG_BAD when a variable of `environment` (environ(7)) is no option's but is spelt nearly as one of the
 * command's: without a word it would be ignored, and a limit with it.
 */
enum config_result config_check_names(enum config_command command, char *const *environment, char *error,
				      size_t error_cap);

/* Both, with the environment of this process: `environment` is environ. */
enum config_result config_read(struct config *config, enum config_command command, int argc, char **argv,
			       char *const *environment, char *error, size_t error_cap);

/* Whether clients come by TLS on any listener: then there has to be a certificate. */
bool config_wants_tls(const struct config *config);

/* Whether anything is to be kept: with a given certificate and given tokens there is nothing. */
bool config_needs_state(const struct config *config);

/* Prints `headgate COMMAND --help`, from the same table; fits 80 columns. */
void config_help(FILE *out, enum config_command command);

/*
 * Prints words, in lines that fit 80 columns, wherever `text` has a new line: the first goes on in column
 * `at`, the others are indented. Returns the column reached.
 */
size_t config_print_words(FILE *out, const char *text, size_t indent, size_t at);

/* Prints the same table as a man page's option list (mdoc). */
void config_man(FILE *out, enum config_command command);

/*
 * Reads an address. 0, or -EINVAL with a static text in *reason. `listener` allows an empty host and
 * port 0. IPv6 addresses stand in brackets.
 */
int config_address_parse(struct config_address *address, const char *text, bool listener,
			 const char **reason);

/* "10s", "5m", "500ms", "2h", or plain seconds. 0, -EINVAL, or -ERANGE over 24 days. */
int config_duration_parse(const char *text, unsigned *milliseconds);

#endif
