/* SPDX-License-Identifier: MIT */
/*
 * config.c: the options of all commands, from one table.
 *
 * Theory of operation. Each row names an option, how its text is read and where the value goes. Three
 * passes fill the configuration: the command line, then the environment for options that were not on
 * it, then the table's defaults, which go through the same readers. Checks that concern two options
 * come last. Help and manual are the same rows printed.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_option.h"
#include "span.h"

/* As much of a bad value as an error shows. */
#define SHOWN_VALUE_MAX 64

#define FIELD(member) offsetof(struct config, member)

static const char *const event_words[] = {"auto", "uring", "epoll", NULL};
static const char *const ktls_words[] = {"auto", "on", "off", NULL};
static const char *const sandbox_words[] = {"auto", "on", "off", NULL};
static const char *const mover_words[] = {"auto", "splice", "copy", NULL};
static const char *const level_words[] = {"error", "warn", "info", "debug", NULL};

enum {
	SERVE = CONFIG_BIT(CONFIG_SERVE),
	CHECK = CONFIG_BIT(CONFIG_CHECK),
	CONNECT = CONFIG_BIT(CONFIG_CONNECT),
	TOKEN = CONFIG_BIT(CONFIG_TOKEN),
	EXPLAIN = CONFIG_BIT(CONFIG_EXPLAIN),
	HEALTH = CONFIG_BIT(CONFIG_HEALTH),
};

static const char *const command_names[] = {
    [CONFIG_SERVE] = "serve",	  [CONFIG_CONNECT] = "connect", [CONFIG_TOKEN] = "token",
    [CONFIG_EXPLAIN] = "explain", [CONFIG_CHECK] = "check",	[CONFIG_HEALTH] = "health",
};

/* Rows of one group stand together; help prints the group's title before the first. */
/* clang-format off */
static const struct config_option all_options[] = {
	{"listen", "ADDRESS", CONFIG_VALUE_LISTEN, FIELD(listen), "Listening", "tls://:2376",
	 .help = "where to listen: tls://HOST:PORT (an empty HOST is every address) or unix:///PATH; repeatable",
	 .count_offset = FIELD(listen_count), .max = CONFIG_LISTEN_MAX, .commands = SERVE | CHECK | CONNECT, .without_fallback = CONNECT},
	{"max-connections", "NUMBER", CONFIG_VALUE_NUMBER, FIELD(max_connections), "Listening", "16384",
	 .help = "clients served at the same time; more have to wait", .min = 1, .max = 1048576, .commands = SERVE | CONNECT},
	{"admin", "ADDRESS", CONFIG_VALUE_ADMIN, FIELD(admin), "Listening", NULL,
	 .help = "address of GET /health, /ready and /metrics, without a token: tcp://HOST:PORT or unix:///PATH "
	 "(default: none)", .commands = SERVE | CONNECT | HEALTH},
	{"ready", NULL, CONFIG_VALUE_FLAG, FIELD(ready), "Listening", NULL,
	 .help = "asks whether it takes clients and the engine can be reached, not only whether it runs",
	 .commands = HEALTH},

	{"engine", "ADDRESS", CONFIG_VALUE_ENGINE, FIELD(engine), "Docker Engine",
	 "unix:///var/run/docker.sock",
	 .help = "the engine behind: unix:///PATH, tcp://HOST:PORT or tls://HOST:PORT", .commands = SERVE | CHECK},
	{"engine-cert-dir", "DIR", CONFIG_VALUE_TEXT, FIELD(engine_cert_dir), "Docker Engine", NULL,
	 .help = "ca.pem, cert.pem and key.pem for an engine at tls://", .commands = SERVE | CHECK},
	{"engine-poll", "TIME", CONFIG_VALUE_DURATION, FIELD(engine_poll_ms), "Docker Engine", "5s",
	 .help = "how often to ask the engine for the IDs of its host network and of what is headgate's own (--container), while "
	 "there are tokens of lesser roles; 0: never, and such roles are refused more", .commands = SERVE},

	{"state", "DIR", CONFIG_VALUE_TEXT, FIELD(state_dir), "Files", NULL,
	 .help = "where headgate keeps its CA, certificate and tokens (default: /var/lib/headgate for root, else "
	 "$XDG_STATE_HOME/headgate)", .commands = SERVE | CHECK | TOKEN | EXPLAIN},
	{"cert", "FILE", CONFIG_VALUE_TEXT, FIELD(cert_file), "Files", NULL,
	 .help = "your own server certificate, PEM, with its chain; goes with --key", .commands = SERVE | CHECK},
	{"key", "FILE", CONFIG_VALUE_TEXT, FIELD(key_file), "Files", NULL, .help = "the private key of --cert, PEM", .commands = SERVE | CHECK},
	{"san", "NAME", CONFIG_VALUE_NAME, FIELD(sans), "Files", NULL,
	 .help = "one more host name or address for headgate's own certificate; repeatable",
	 .count_offset = FIELD(sans_count), .max = CONFIG_SAN_MAX, .commands = SERVE | CHECK},
	{"tokens", "FILE", CONFIG_VALUE_TEXT, FIELD(tokens_file), "Files", NULL,
	 .help = "the token file (default: tokens in the state directory)", .commands = SERVE | CHECK | TOKEN | EXPLAIN},

	{"policy", "FILE", CONFIG_VALUE_TEXT, FIELD(policy_file), "Files", NULL,
	 .help = "roles of your own (default: policy in the state directory, if it is there)",
	 .commands = SERVE | CHECK | TOKEN | EXPLAIN},
	{"client-ca", "FILE", CONFIG_VALUE_TEXT, FIELD(client_ca_file), "Files", NULL,
	 .help = "PEM; a client certificate of this CA does for a token: its CN or DNS name is the token's name", .commands = SERVE | CHECK},
	{"container", "NAME", CONFIG_VALUE_TEXT, FIELD(container), "Files", NULL,
	 .help = "the container of the engine that this runs in; also its volume's name, or what its service's and secrets' names "
	 "begin with: every role but admin is kept from them", .commands = SERVE},
	{"container-port", "PORT", CONFIG_VALUE_NUMBER, FIELD(container_port), "Files", NULL,
	 .help = "the port of the host that leads to it: no service of such a role may publish it, or one of --listen",
	 .min = 1, .max = 65535, .commands = SERVE},

	{"to", "HOST:PORT", CONFIG_VALUE_REMOTE, FIELD(engine), "Remote headgate", NULL,
	 .help = "where it is; may stand without the option's name", .commands = CONNECT},
	{"token-file", "FILE", CONFIG_VALUE_TEXT, FIELD(token_file), "Remote headgate", NULL,
	 .help = "a file with the token, and nobody else's to read", .commands = CONNECT},
	{"ca", "FILE", CONFIG_VALUE_TEXT, FIELD(ca_file), "Remote headgate", NULL,
	 .help = "its ca.pem (default: the CAs of this system)", .commands = CONNECT},
	{"fingerprint", "SHA256", CONFIG_VALUE_DIGEST, FIELD(fingerprint), "Remote headgate", NULL,
	 .help = "of its CA's certificate, or of its own, instead of --ca: openssl x509 -noout -fingerprint -sha256 -in ca.pem",
	 .commands = CONNECT},
	{"server-name", "NAME", CONFIG_VALUE_NAME, FIELD(server_name), "Remote headgate", NULL,
	 .help = "whom its certificate has to name (default: HOST)", .commands = CONNECT},

	{"role", "ROLE", CONFIG_VALUE_TEXT, FIELD(role), "Token", NULL,
	 .help = "what it may do; 'headgate explain --roles' lists the roles", .commands = TOKEN | EXPLAIN},
	{"expires", "WHEN", CONFIG_VALUE_TEXT, FIELD(expires), "Token", NULL,
	 .help = "12h, 90d, 8w, 2027-01-31 or 2027-01-31T12:00:00Z (default: never)", .commands = TOKEN},
	{"from", "PREFIX", CONFIG_VALUE_PREFIX, FIELD(from), "Token", NULL,
	 .help = "the addresses it is good from, like 10.0.0.0/8; repeatable (default: all)",
	 .count_offset = FIELD(from_count), .max = 8, .commands = TOKEN},
	{"overlap", "TIME", CONFIG_VALUE_TEXT, FIELD(overlap), "Token", "24h",
	 .help = "how long a rotated token's old secret stays good", .commands = TOKEN},
	{"json", NULL, CONFIG_VALUE_FLAG, FIELD(json), "Token", NULL, .help = "for programs: list and show as JSON",
	 .commands = TOKEN},
	{"token", "NAME", CONFIG_VALUE_TEXT, FIELD(token), "Question", NULL, .help = "for that token's role",
	 .commands = EXPLAIN},
	{"roles", NULL, CONFIG_VALUE_FLAG, FIELD(roles), "Question", NULL, .help = "lists all roles",
	 .commands = EXPLAIN},
	{"from-env", NULL, CONFIG_VALUE_FLAG, FIELD(from_env), "Question", NULL,
	 .help = "prints the policy that docker-socket-proxy's switches in the environment (CONTAINERS=1, POST=0) stand for",
	 .commands = EXPLAIN},
	{"handshake-timeout", "TIME", CONFIG_VALUE_DURATION, FIELD(handshake_timeout_ms), "Time limits", "10s",
	 .help = "for a TLS handshake", .min = 1, .commands = SERVE},
	{"head-timeout", "TIME", CONFIG_VALUE_DURATION, FIELD(head_timeout_ms), "Time limits", "30s",
	 .help = "for a request's head, and for a body of known length that stands still", .min = 1, .commands = SERVE | CONNECT},
	{"idle-timeout", "TIME", CONFIG_VALUE_DURATION, FIELD(idle_timeout_ms), "Time limits", "10m",
	 .help = "for a connection that is kept between requests", .min = 1, .commands = SERVE | CONNECT},
	{"connect-timeout", "TIME", CONFIG_VALUE_DURATION, FIELD(connect_timeout_ms), "Time limits", "10s",
	 .help = "for a connection to the engine", .min = 1, .commands = SERVE | CHECK | CONNECT},
	{"drain-timeout", "TIME", CONFIG_VALUE_DURATION, FIELD(drain_timeout_ms), "Time limits", "30s",
	 .help = "for open requests to end after SIGTERM", .commands = SERVE | CONNECT},


	{"auth-failures", "N/TIME", CONFIG_VALUE_RATE, FIELD(auth_failures), "Abuse", "20/1m",
	 .help = "so many wrong tokens from an address in that time, then it has to wait as long; 0: never",
	 .max = 1000000, .commands = SERVE},
	{"peer-connections", "NUMBER", CONFIG_VALUE_NUMBER, FIELD(peer_connections), "Abuse", "0",
	 .help = "open at once from one address; 0: any number", .max = 1048576, .commands = SERVE},
	{"token-connections", "NUMBER", CONFIG_VALUE_NUMBER, FIELD(token_connections), "Abuse", "0",
	 .help = "requests at once with one token; 0: any number", .max = 1048576, .commands = SERVE},
	{"proxy-protocol", "PREFIX", CONFIG_VALUE_PREFIX, FIELD(proxy_sources), "Abuse", NULL,
	 .help = "load balancers that say whose connection it is (PROXY protocol, version 2); they have to; repeatable",
	 .count_offset = FIELD(proxy_sources_count), .max = CONFIG_PREFIXES_MAX, .commands = SERVE},
	{"token-in-path", NULL, CONFIG_VALUE_FLAG, FIELD(token_in_path), "Abuse", NULL,
	 .help = "takes the token from the path, too: /t/TOKEN/... (it then stands in histories and others' logs)",
	 .commands = SERVE},
	{"workers", "NUMBER", CONFIG_VALUE_NUMBER, FIELD(workers), "Running", NULL,
	 .help = "worker threads (default: one a processor)", .min = 1, .max = CONFIG_WORKERS_MAX, .commands = SERVE | CONNECT},
	{"event", "KIND", CONFIG_VALUE_WORD, FIELD(event), "Running", "auto",
	 .help = "how to wait for work: auto, uring or epoll", .words = event_words, .commands = SERVE | CHECK | CONNECT},
	{"ktls", "WHEN", CONFIG_VALUE_WORD, FIELD(ktls), "Running", "auto",
	 .help = "TLS in the kernel: auto, on (do not start without) or off", .words = ktls_words, .commands = SERVE | CHECK | CONNECT},
	{"mover", "KIND", CONFIG_VALUE_WORD, FIELD(mover), "Running", "auto",
	 .help = "what carries long bodies: auto, splice or copy", .words = mover_words, .commands = SERVE | CONNECT},
	{"sandbox", "WHEN", CONFIG_VALUE_WORD, FIELD(sandbox), "Running", "auto",
	 .help = "what headgate may still do once it serves (Landlock, seccomp): auto limits it where the kernel can, "
		 "on does not start without, off", .words = sandbox_words, .commands = SERVE | CHECK | CONNECT},
	{"log-level", "LEVEL", CONFIG_VALUE_WORD, FIELD(log_level), "Running", "info",
	 .help = "error, warn, info or debug", .words = level_words, .commands = SERVE | CONNECT},
};
/* clang-format on */

#define OPTION_COUNT ARRAY_SIZE(all_options)

/* Where the reader stands. */
struct parse {
	struct config *config;
	enum config_command command;
	bool given[OPTION_COUNT];
	char *error;
	size_t error_cap;
};

static enum config_result fail(struct parse *parse, const char *format, ...) PRINTF_LIKE(2, 3);

static enum config_result fail(struct parse *parse, const char *format, ...)
{
	char what[512];
	va_list args;

	va_start(args, format);
	if (vsnprintf(what, sizeof(what), format, args) < 0)
		what[0] = '\0';
	va_end(args);
	snprintf(parse->error, parse->error_cap, "headgate %s: %s; try 'headgate %s --help'",
		 command_names[parse->command], what, command_names[parse->command]);
	return CONFIG_BAD;
}

/* A value for an error message: printable, and not longer than it helps. */
static const char *shown(const char *value, char out[SHOWN_VALUE_MAX + 4])
{
	size_t i;

	for (i = 0; i < SHOWN_VALUE_MAX && value[i]; i++)
		out[i] = (char)(value[i] >= 0x20 && value[i] < 0x7f ? value[i] : '?');
	memcpy(out + i, value[i] ? "..." : "", value[i] ? 4 : 1);
	return out;
}

/* Reads one value; `source` is the option or the variable that it came by. */
static enum config_result set_value(struct parse *parse, const struct config_option *option,
				    const char *source, const char *value)
{
	char reason[CONFIG_REASON_CAP], text[SHOWN_VALUE_MAX + 4];

	if (config_value_set(parse->config, option, value, reason) == 0)
		return CONFIG_OK;
	/* A URL with a password in it is no address, and not shown. */
	if (strchr(value, '@'))
		return fail(parse, "%s: the value %s", source, reason);
	return fail(parse, "%s: '%s' %s", source, shown(value, text), reason);
}

const struct config_option *config_options(size_t *count)
{
	*count = OPTION_COUNT;
	return all_options;
}

/* `check` is given what serve is given, and looks at some of it. */
static bool takes(enum config_command command, const struct config_option *option)
{
	return option->commands & (command == CONFIG_CHECK ? SERVE : CONFIG_BIT(command));
}

static const struct config_option *find_option(enum config_command command, struct span name)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (takes(command, &all_options[i]) && span_eq(name, span_of(all_options[i].name)))
			return &all_options[i];
	return NULL;
}

/* The option whose name takes the fewest changes to get from `name`; NULL when none is close. */
static const struct config_option *nearest_option(enum config_command command, struct span name)
{
	const struct config_option *nearest = NULL;
	size_t best = 3;

	for (size_t i = 0; i < OPTION_COUNT; i++) {
		struct span candidate = span_of(all_options[i].name);
		size_t distance = config_edit_distance(name, candidate);

		if (!takes(command, &all_options[i]))
			continue;
		/* Two changes in a word of three letters are another word. */
		if (distance < best && distance * 2 < candidate.len) {
			best = distance;
			nearest = &all_options[i];
		}
	}
	return nearest;
}

static enum config_result unknown_option(struct parse *parse, const char *argument, struct span name)
{
	const struct config_option *nearest = nearest_option(parse->command, name);
	char text[SHOWN_VALUE_MAX + 4], given[SHOWN_VALUE_MAX + 1];
	size_t dashes = argument[0] == '-' ? (argument[1] == '-' ? 2 : 1) : 0;
	size_t length = dashes + name.len;

	/* Without what follows the `=`: it may be a secret that was meant for another program. */
	if (length > SHOWN_VALUE_MAX)
		length = SHOWN_VALUE_MAX;
	memcpy(given, argument, length);
	given[length] = '\0';
	if (nearest)
		return fail(parse, "unknown option '%s' (did you mean '--%s'?)", shown(given, text),
			    nearest->name);
	return fail(parse, "unknown option '%s'", shown(given, text));
}

/* What is no option. */
static enum config_result take_argument(struct parse *parse, const char *argument)
{
	static const size_t most[CONFIG_COMMAND_COUNT] = {
	    [CONFIG_CONNECT] = 1, [CONFIG_TOKEN] = 2, [CONFIG_EXPLAIN] = 2};
	struct config *config = parse->config;
	char text[SHOWN_VALUE_MAX + 4];

	if (most[parse->command] == 0)
		return fail(parse, "'%s' is not an option", shown(argument, text));
	if (config->arguments_count == most[parse->command])
		return fail(parse, "'%s' is one word too many", shown(argument, text));
	config->arguments[config->arguments_count++] = argument;
	return CONFIG_OK;
}

/* Reads argv[*index], and the argument after it where that is the value. */
static enum config_result read_argument(struct parse *parse, int argc, char **argv, int *index)
{
	const char *argument = argv[*index], *equals = strchr(argument, '='), *value;
	const struct config_option *option;
	char source[CONFIG_NAME_CAP];
	struct span name;

	if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
		return CONFIG_HELP;
	if (argument[0] != '-' || argument[1] == '\0')
		return take_argument(parse, argument);
	name =
	    equals ? (struct span){.ptr = argument, .len = (size_t)(equals - argument)} : span_of(argument);
	name = span_skip(name, name.len > 1 && name.ptr[1] == '-' ? 2 : 1);
	option = argument[1] == '-' ? find_option(parse->command, name) : NULL;
	if (!option)
		return unknown_option(parse, argument, name);

	if (equals)
		value = equals + 1;
	else if (option->kind == CONFIG_VALUE_FLAG)
		value = "true";
	else
		value = *index + 1 < argc && strncmp(argv[*index + 1], "--", 2) != 0 ? argv[++*index] : "";
	if (*value == '\0')
		return fail(parse, "--%s needs a value: %s", option->name, option->argument);
	parse->given[option - all_options] = true;
	snprintf(source, sizeof(source), "--%s", option->name);
	return set_value(parse, option, source, value);
}

/* Reads an option from the environment; a repeatable one is cut at the commas. */
static enum config_result read_environment(struct parse *parse, const struct config_option *option,
					   const char *value)
{
	char source[CONFIG_NAME_CAP], copy[CONFIG_LIST_CAP], *piece, *next;
	/* Names are kept as pointers, addresses are not. */
	char *pieces = option->kind == CONFIG_VALUE_NAME ? parse->config->san_text : copy;

	config_environment_name(option, source);
	if (option->count_offset == 0)
		return set_value(parse, option, source, value);
	if (strlcpy(pieces, value, CONFIG_LIST_CAP) >= CONFIG_LIST_CAP)
		return fail(parse, "%s: longer than %zu characters", source, CONFIG_LIST_CAP - 1);
	for (piece = pieces; piece; piece = next) {
		enum config_result result;

		next = strchr(piece, ',');
		if (next)
			*next++ = '\0';
		piece += strspn(piece, " ");
		for (size_t end = strlen(piece); end && piece[end - 1] == ' '; end--)
			piece[end - 1] = '\0';
		if (*piece == '\0')
			return fail(parse, "%s: nothing between two commas", source);
		result = set_value(parse, option, source, piece);
		if (result != CONFIG_OK)
			return result;
	}
	return CONFIG_OK;
}

/* Environment and defaults, for what the command line did not say. */
static enum config_result fill_in(struct parse *parse, char *(*getenv_fn)(const char *name))
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct config_option *option = &all_options[i];
		enum config_result result = CONFIG_OK;
		char name[CONFIG_NAME_CAP];
		const char *value;

		if (parse->given[i] || !takes(parse->command, option))
			continue;
		config_environment_name(option, name);
		value = getenv_fn(name);
		/* As on the command line: whoever sets it means a value, and lost it on the way. */
		if (value && !*value)
			return fail(parse, "%s is set but empty; give it a value (%s) or unset it", name,
				    option->argument ? option->argument : "true or false");
		if (value)
			result = read_environment(parse, option, value);
		else if (option->fallback && !(option->without_fallback & CONFIG_BIT(parse->command)))
			result = set_value(parse, option, option->name, option->fallback);
		if (result != CONFIG_OK)
			return result;
	}
	return CONFIG_OK;
}

/*
 * An empty secret is one that a deployment lost on the way: taken for "none", the gate would start with other
 * tokens than meant, and say so to nobody.
 */
static enum config_result read_original(struct parse *parse, char *(*getenv_fn)(const char *name),
					const char *name, const char **value)
{
	*value = getenv_fn(name);
	if (*value && !**value)
		return fail(parse, "%s is set but empty; give it a value or unset it", name);
	return CONFIG_OK;
}

static enum config_result check_together(struct parse *parse)
{
	const struct config *config = parse->config;

	if (config->cert_file && !config->key_file)
		return fail(parse, "--cert needs --key, the file with its private key");
	if (config->key_file && !config->cert_file)
		return fail(parse, "--key needs --cert, the file with the certificate");
	if (config->engine_cert_dir && config->engine.scheme != CONFIG_TLS)
		return fail(parse, "--engine-cert-dir is for an engine at tls://HOST:PORT only");
	if (!config->engine_cert_dir && config->engine.scheme == CONFIG_TLS)
		return fail(parse, "an engine at tls:// needs --engine-cert-dir, the directory with ca.pem, "
				   "cert.pem and key.pem");
	if (config->original_token && config->original_token_file)
		return fail(parse, "DOCKER_API_TOKEN and DOCKER_API_TOKEN_FILE are both set; keep one");
	return CONFIG_OK;
}

static bool serves(enum config_command command)
{
	return command == CONFIG_SERVE || command == CONFIG_CHECK;
}

enum config_result config_parse(struct config *config, enum config_command command, int argc, char **argv,
				char *(*getenv_fn)(const char *name), char *error, size_t error_cap)
{
	struct parse parse = {.config = config, .command = command, .error = error, .error_cap = error_cap};
	enum config_result result = CONFIG_OK;

	memset(config, 0, sizeof(*config));
	if (error_cap)
		error[0] = '\0';
	for (int i = 1; i < argc && result == CONFIG_OK; i++)
		result = read_argument(&parse, argc, argv, &i);
	if (result == CONFIG_OK)
		result = fill_in(&parse, getenv_fn);
	if (!serves(command) || result != CONFIG_OK)
		return result;
	result = read_original(&parse, getenv_fn, "DOCKER_API_TOKEN", &config->original_token);
	if (result == CONFIG_OK)
		result =
		    read_original(&parse, getenv_fn, "DOCKER_API_TOKEN_FILE", &config->original_token_file);
	return result == CONFIG_OK ? check_together(&parse) : result;
}

/* The name of a variable as an option's: HEADGATE_HEAD_TIMEOUT is head-timeout. */
static struct span option_name_of(struct span variable, char name[CONFIG_NAME_CAP])
{
	size_t used = 0;

	for (; used < variable.len && used + 1 < CONFIG_NAME_CAP; used++) {
		char c = variable.ptr[used];
		name[used] = (char)(c == '_' ? '-' : tolower((unsigned char)c));
	}
	name[used] = '\0';
	return (struct span){.ptr = name, .len = used};
}

static bool is_option_of_any(struct span name)
{
	static const char file[] = "-file";
	struct span of_file = name;

	if (name.len > sizeof(file) - 1 &&
	    memcmp(name.ptr + name.len - (sizeof(file) - 1), file, sizeof(file) - 1) == 0)
		of_file.len -= sizeof(file) - 1;
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (span_eq(name, span_of(all_options[i].name)) ||
		    span_eq(of_file, span_of(all_options[i].name)))
			return true;
	return false;
}

enum config_result config_check_names(enum config_command command, char *const *environment, char *error,
				      size_t error_cap)
{
	struct parse parse = {.command = command, .error = error, .error_cap = error_cap};
	static const char prefix[] = "HEADGATE_";

	for (; *environment; environment++) {
		const char *variable = *environment;
		char name[CONFIG_NAME_CAP], meant[CONFIG_NAME_CAP];
		size_t len = strcspn(variable, "=");

		if (strncmp(variable, prefix, sizeof(prefix) - 1) != 0)
			continue;
		struct span option = option_name_of(
		    (struct span){.ptr = variable + sizeof(prefix) - 1, .len = len - (sizeof(prefix) - 1)},
		    name);
		const struct config_option *nearest =
		    is_option_of_any(option) ? NULL : nearest_option(command, option);
		if (!nearest)
			continue;
		config_environment_name(nearest, meant);
		return fail(&parse, "there is no variable %.*s (did you mean %s?)", (int)len, variable,
			    meant);
	}
	return CONFIG_OK;
}

enum config_result config_read(struct config *config, enum config_command command, int argc, char **argv,
			       char *const *environment, char *error, size_t error_cap)
{
	enum config_result result = config_parse(config, command, argc, argv, getenv, error, error_cap);

	return result == CONFIG_OK ? config_check_names(command, environment, error, error_cap) : result;
}

bool config_wants_tls(const struct config *config)
{
	for (size_t i = 0; i < config->listen_count; i++)
		if (config->listen[i].scheme == CONFIG_TLS)
			return true;
	return false;
}

bool config_needs_state(const struct config *config)
{
	bool given_tokens = config->tokens_file || config->original_token || config->original_token_file;

	return config->state_dir || (config_wants_tls(config) && !config->cert_file) || !given_tokens;
}
