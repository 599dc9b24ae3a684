/* SPDX-License-Identifier: MIT */
/* (long: one table a kind of value, and every option is tried through the same parser) */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_option.h"

TestSuite(config, .timeout = 300);

/* The environment of the test at hand: name, value, name, value, NULL. */
static const char *environment[16];

static char *test_getenv(const char *name)
{
	for (size_t i = 0; environment[i]; i += 2)
		if (strcmp(environment[i], name) == 0)
			return (char *)(uintptr_t)environment[i + 1];
	return NULL;
}

static struct config config;
static char error[512];
static enum config_command command = CONFIG_SERVE; /* which one parse() is */

/* Parses a command line, words separated by single blanks ("~" stands for a blank in a word). */
static enum config_result parse(const char *line)
{
	static char words[4096];
	char *argv[64], *rest = words;
	int argc = 1;

	argv[0] = (char *)(uintptr_t) "serve";
	cr_assert(strlcpy(words, line, sizeof(words)) < sizeof(words));
	while (*line && rest && argc < 64) {
		argv[argc] = strsep(&rest, " ");
		for (char *c = argv[argc]; *c; c++)
			if (*c == '~')
				*c = ' ';
		argc++;
	}
	memset(&config, 0x5a, sizeof(config));
	return config_parse(&config, command, argc, argv, test_getenv, error, sizeof(error));
}

static void assert_bad(const char *line, const char *wanted)
{
	cr_assert_eq(parse(line), CONFIG_BAD, "'%s' was accepted", line);
	cr_assert_str_eq(error, wanted);
}

Test(config, defaults)
{
	cr_assert_eq(parse(""), CONFIG_OK, "%s", error);
	cr_assert_str_eq(error, "");
	cr_assert_eq(config.listen_count, 1);
	cr_assert_eq(config.listen[0].scheme, CONFIG_TLS);
	cr_assert_str_eq(config.listen[0].host, "");
	cr_assert_eq(config.listen[0].port, 2376);
	cr_assert_str_eq(config.admin.text, "");
	cr_assert_eq(config.engine.scheme, CONFIG_UNIX);
	cr_assert_str_eq(config.engine.path, "/var/run/docker.sock");
	cr_assert(!config.engine_cert_dir && !config.state_dir && !config.cert_file && !config.key_file);
	cr_assert(!config.tokens_file && config.sans_count == 0);
	cr_assert(!config.original_token && !config.original_token_file);
	cr_assert_eq(config.workers, 0);
	cr_assert(config.event == CONFIG_EVENT_AUTO && config.ktls == CONFIG_KTLS_AUTO);
	cr_assert_eq(config.sandbox, CONFIG_SANDBOX_AUTO);
	cr_assert(config.mover == CONFIG_MOVER_AUTO && config.log_level == LOG_LEVEL_INFO);
	cr_assert_eq(config.handshake_timeout_ms, 10000);
	cr_assert_eq(config.head_timeout_ms, 30000);
	cr_assert_eq(config.idle_timeout_ms, 600000);
	cr_assert_eq(config.connect_timeout_ms, 10000);
	cr_assert_eq(config.drain_timeout_ms, 30000);
	cr_assert_eq(config.engine_poll_ms, 5000);
	cr_assert_eq(config.max_connections, 16384);
	cr_assert_eq(config.auth_failures, 20);
	cr_assert_eq(config.auth_failures_window_ms, 60000);
	cr_assert(!config.peer_connections && !config.token_connections && !config.token_in_path);
	cr_assert(!config.proxy_sources_count && !config.policy_file && !config.client_ca_file);
}

static bool text_is(const char *text, const char *wanted)
{
	return text && strcmp(text, wanted) == 0;
}

/* Says whether the option's value is in place; one for each option of the table. */
struct option_row {
	const char *name, *value, *other; /* `other` is good too, and different */
	const char *with;		  /* what it needs beside it */
	enum config_command command;	  /* one that takes it */
};

#define ABCD "abcdef0123456789"

static const struct option_row options[] = {
    {"listen", "tls://[::1]:443", "unix:///run/x", "", CONFIG_SERVE},
    {"max-connections", "7", "8", "", CONFIG_SERVE},
    {"admin", "tcp://127.0.0.1:2377", "unix:///run/a", "", CONFIG_SERVE},
    {"ready", "true", "false", "", CONFIG_HEALTH},
    {"engine", "tcp://h:2375", "unix:///y", "", CONFIG_SERVE},
    {"engine-cert-dir", "/certs", "/other", " --engine tls://h:2376", CONFIG_SERVE},
    {"engine-poll", "0", "7s", "", CONFIG_SERVE},
    {"state", "/s", "/t", "", CONFIG_SERVE},
    {"cert", "/c", "/d", " --key /k", CONFIG_SERVE},
    {"key", "/k", "/l", " --cert /c", CONFIG_SERVE},
    {"san", "a.example", "10.0.0.1", "", CONFIG_SERVE},
    {"tokens", "/tok", "/en", "", CONFIG_SERVE},
    {"policy", "/pol", "/icy", "", CONFIG_SERVE},
    {"client-ca", "/ca", "/cb", "", CONFIG_SERVE},
    {"container", "gate", "other", "", CONFIG_SERVE},
    {"container-port", "443", "8443", "", CONFIG_SERVE},
    {"to", "tls://h:1", "tls://[::1]:2", "", CONFIG_CONNECT},
    {"token-file", "/tf", "/ft", "", CONFIG_CONNECT},
    {"ca", "/ca", "/ac", "", CONFIG_CONNECT},
    {"fingerprint", ABCD ABCD ABCD ABCD, "0a:0A:" ABCD ABCD ABCD "000102030405", "", CONFIG_CONNECT},
    {"server-name", "a.example", "10.0.0.1", "", CONFIG_CONNECT},
    {"role", "read", "logs", "", CONFIG_TOKEN},
    {"expires", "90d", "2027-01-31", "", CONFIG_TOKEN},
    {"from", "10.0.0.0/8", "2001:db8::/32", "", CONFIG_TOKEN},
    {"overlap", "0", "7d", "", CONFIG_TOKEN},
    {"json", "true", "false", "", CONFIG_TOKEN},
    {"token", "ci", "bob", "", CONFIG_EXPLAIN},
    {"roles", "1", "0", "", CONFIG_EXPLAIN},
    {"from-env", "true", "false", "", CONFIG_EXPLAIN},
    {"handshake-timeout", "1ms", "2s", "", CONFIG_SERVE},
    {"head-timeout", "3", "4s", "", CONFIG_SERVE},
    {"idle-timeout", "5m", "6h", "", CONFIG_SERVE},
    {"connect-timeout", "7s", "8s", "", CONFIG_SERVE},
    {"drain-timeout", "0", "9s", "", CONFIG_SERVE},
    {"auth-failures", "5/2m", "0", "", CONFIG_SERVE},
    {"peer-connections", "9", "0", "", CONFIG_SERVE},
    {"token-connections", "1048576", "1", "", CONFIG_SERVE},
    {"proxy-protocol", "10.1.2.3", "fd00::/8", "", CONFIG_SERVE},
    {"token-in-path", "true", "false", "", CONFIG_SERVE},
    {"workers", "256", "1", "", CONFIG_SERVE},
    {"event", "uring", "epoll", "", CONFIG_SERVE},
    {"ktls", "on", "off", "", CONFIG_SERVE},
    {"mover", "splice", "copy", "", CONFIG_SERVE},
    {"sandbox", "on", "off", "", CONFIG_SERVE},
    {"log-level", "debug", "error", "", CONFIG_SERVE},
};

/* The value as the configuration holds it, as text. */
static const char *value_now(const char *name)
{
	static char text[80];
	const struct {
		const char *name;
		unsigned number;
	} numbers[] = {
	    {"max-connections", config.max_connections},
	    {"handshake-timeout", config.handshake_timeout_ms},
	    {"head-timeout", config.head_timeout_ms},
	    {"idle-timeout", config.idle_timeout_ms},
	    {"connect-timeout", config.connect_timeout_ms},
	    {"drain-timeout", config.drain_timeout_ms},
	    {"engine-poll", config.engine_poll_ms},
	    {"workers", config.workers},
	    {"container-port", config.container_port},
	    {"peer-connections", config.peer_connections},
	    {"token-connections", config.token_connections},
	    {"event", config.event},
	    {"ktls", config.ktls},
	    {"mover", config.mover},
	    {"sandbox", config.sandbox},
	    {"log-level", config.log_level},
	};
	const struct {
		const char *name, *text;
	} texts[] = {
	    {"listen", config.listen_count == 1 ? config.listen[0].text : NULL},
	    {"admin", config.admin.text},
	    {"admin", config.admin.text},
	    {"engine", config.engine.text},
	    {"engine-cert-dir", config.engine_cert_dir},
	    {"state", config.state_dir},
	    {"cert", config.cert_file},
	    {"key", config.key_file},
	    {"san", config.sans_count == 1 ? config.sans[0] : NULL},
	    {"tokens", config.tokens_file},
	    {"policy", config.policy_file},
	    {"client-ca", config.client_ca_file},
	    {"container", config.container},
	    {"to", config.engine.text},
	    {"token-file", config.token_file},
	    {"ca", config.ca_file},
	    {"server-name", config.server_name},
	    {"role", config.role},
	    {"expires", config.expires},
	    {"overlap", config.overlap},
	    {"token", config.token},
	};
	const struct {
		const char *name;
		const struct address_prefix *prefix;
	} prefixes[] = {
	    {"from", config.from_count == 1 ? &config.from[0] : NULL},
	    {"proxy-protocol", config.proxy_sources_count == 1 ? &config.proxy_sources[0] : NULL},
	};
	const struct {
		const char *name;
		bool flag;
	} flags[] = {{"json", config.json},
		     {"roles", config.roles},
		     {"from-env", config.from_env},
		     {"ready", config.ready},
		     {"token-in-path", config.token_in_path}};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (strcmp(prefixes[i].name, name) != 0)
			continue;
		if (!prefixes[i].prefix)
			return NULL;
		address_prefix_write(prefixes[i].prefix, text);
		return text;
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (strcmp(flags[i].name, name) == 0)
			return flags[i].flag ? "true" : "false";
	if (strcmp(name, "auth-failures") == 0) {
		snprintf(text, sizeof(text), "%u/%u", config.auth_failures, config.auth_failures_window_ms);
		return text;
	}
	if (strcmp(name, "fingerprint") == 0) {
		for (size_t i = 0; i < sizeof(config.fingerprint.bytes); i++)
			snprintf(text + 2 * i, sizeof(text) - 2 * i, "%02x", config.fingerprint.bytes[i]);
		return config.fingerprint.is_given ? text : NULL;
	}

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (strcmp(texts[i].name, name) == 0)
			return texts[i].text;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (strcmp(numbers[i].name, name) == 0)
			snprintf(text, sizeof(text), "%u", numbers[i].number);
	return text;
}

/* The same for a value as it is written. */
static const char *value_wanted(const char *name, const char *value)
{
	static const char *const words[] = {"auto",  "uring",  "epoll", "auto", "on", "off",
					    "auto",  "splice", "copy",	"auto", "on", "off",
					    "error", "warn",   "info",	"debug"};
	static const char *const kinds[] = {
	    "event", "event",	"event",   "ktls",    "ktls",	   "ktls",	"mover",     "mover",
	    "mover", "sandbox", "sandbox", "sandbox", "log-level", "log-level", "log-level", "log-level"};
	static char text[80];
	unsigned base = 0, ms;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (i && strcmp(kinds[i], kinds[i - 1]) != 0)
			base = (unsigned)i;
		if (strcmp(kinds[i], name) == 0 && strcmp(words[i], value) == 0) {
			snprintf(text, sizeof(text), "%u", (unsigned)i - base);
			return text;
		}
	}
	if (strcmp(name, "auth-failures") == 0)
		return strcmp(value, "0") == 0 ? "0/0" : "5/120000";
	if (strcmp(value, "1") == 0 || strcmp(value, "0") == 0)
		return strcmp(name, "roles") != 0 ? value : *value == '1' ? "true" : "false";
	if (strcmp(name, "fingerprint") == 0) {
		size_t used = 0;

		for (const char *c = value; *c; c++)
			if (*c != ':')
				text[used++] = (char)(*c >= 'A' && *c <= 'F' ? *c + 32 : *c);
		text[used] = '\0';
		return text;
	}
	if (strstr(name, "-timeout") || strcmp(name, "engine-poll") == 0) {
		cr_assert_eq(config_duration_parse(value, &ms), 0);
		snprintf(text, sizeof(text), "%u", ms);
		return text;
	}
	return value;
}

static void assert_value(const struct option_row *row, const char *value)
{
	cr_assert(text_is(value_now(row->name), value_wanted(row->name, value)), "--%s %s: %s", row->name,
		  value, value_now(row->name));
}

/* These take a value behind a `=` only. */
static bool is_flag(const struct option_row *row)
{
	return strcmp(row->other, "false") == 0 || strcmp(row->name, "roles") == 0;
}

static const char *variable_of(const char *name)
{
	static char variable[64];
	size_t length = (size_t)snprintf(variable, sizeof(variable), "HEADGATE_%s", name);

	for (size_t i = 0; i < length; i++)
		variable[i] = (char)(variable[i] == '-'	  ? '_'
				     : variable[i] >= 'a' ? variable[i] - 32
							  : variable[i]);
	return variable;
}

Test(config, the_tests_know_every_option)
{
	size_t count;
	const struct config_option *table = config_options(&count);

	cr_assert_eq(count, ARRAY_SIZE(options));
	for (size_t i = 0; i < count; i++) {
		cr_assert_str_eq(table[i].name, options[i].name);
		cr_assert(strlen(table[i].name) + strlen("HEADGATE_") < CONFIG_NAME_CAP);
	}
}

Test(config, every_option_by_flag)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		char line[256];

		command = options[i].command;
		snprintf(line, sizeof(line), "--%s%s%s%s", options[i].name, is_flag(&options[i]) ? "=" : " ",
			 options[i].value, options[i].with);
		cr_assert_eq(parse(line), CONFIG_OK, "%s: %s", line, error);
		assert_value(&options[i], options[i].value);
		snprintf(line, sizeof(line), "--%s=%s%s", options[i].name, options[i].other, options[i].with);
		cr_assert_eq(parse(line), CONFIG_OK, "%s: %s", line, error);
		assert_value(&options[i], options[i].other);
	}
}

Test(config, every_option_from_the_environment)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option_row *row = &options[i];
		char line[256];

		command = row->command;
		environment[0] = variable_of(row->name);
		environment[1] = row->value;
		cr_assert_eq(parse(row->with + (*row->with == ' ')), CONFIG_OK, "%s: %s", row->name, error);
		assert_value(row, row->value);
		snprintf(line, sizeof(line), "--%s%s%s%s", row->name, is_flag(row) ? "=" : " ", row->other,
			 row->with);
		cr_assert_eq(parse(line), CONFIG_OK, "%s: %s", line, error);
		assert_value(row, row->other);
	}
}

Test(config, empty_variable_is_a_mistake)
{
	environment[1] = "";
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		char wanted[256];

		static const char *const names[] = {"serve",   "connect", "token",
						    "explain", "check",	  "health"};

		command = options[i].command;
		environment[0] = variable_of(options[i].name);
		snprintf(wanted, sizeof(wanted), "headgate %s: %s is set but empty; give it a value (",
			 names[command], environment[0]);
		cr_assert_eq(parse(""), CONFIG_BAD, "%s", environment[0]);
		cr_assert_eq(strncmp(error, wanted, strlen(wanted)), 0, "%s", error);
	}
	command = CONFIG_SERVE;
	environment[0] = "HEADGATE_WORKERS";
	assert_bad("",
		   "headgate serve: HEADGATE_WORKERS is set but empty; give it a value (NUMBER) or unset it; "
		   "try 'headgate serve --help'");
	cr_assert_eq(parse("--workers 2"), CONFIG_OK, "the command line wins: %s", error);
}

/* Without a word headgate would make a token of its own, or take a file's alone. */
Test(config, empty_secret_is_a_mistake)
{
	static const char *const names[] = {"DOCKER_API_TOKEN", "DOCKER_API_TOKEN_FILE"};

	environment[1] = "";
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char wanted[256];

		environment[0] = names[i];
		snprintf(wanted, sizeof(wanted),
			 "headgate serve: %s is set but empty; give it a value or unset it; "
			 "try 'headgate serve --help'",
			 names[i]);
		assert_bad("", wanted);
		assert_bad("--tokens /t", wanted);
	}
	environment[2] = "DOCKER_API_TOKEN";
	environment[3] = "0123";
	cr_assert_eq(parse(""), CONFIG_BAD, "the other being good does not help");
}

Test(config, later_flag_wins)
{
	cr_assert_eq(parse("--workers 2 --workers=3 --engine tcp://h:1 --engine unix:///x"), CONFIG_OK);
	cr_assert_eq(config.workers, 3);
	cr_assert_eq(config.engine.scheme, CONFIG_UNIX);
	cr_assert_str_eq(config.engine.host, "", "left over from the first");
}

Test(config, repeatable_options)
{
	environment[0] = "HEADGATE_LISTEN";
	environment[1] = "tls://:1, unix:///run/a ,tls://[::]:3";
	environment[2] = "HEADGATE_SAN";
	environment[3] = "a.example, 10.0.0.1,::1";
	cr_assert_eq(parse(""), CONFIG_OK, "%s", error);
	cr_assert_eq(config.listen_count, 3);
	cr_assert_str_eq(config.listen[1].path, "/run/a");
	cr_assert_eq(config.listen[2].port, 3);
	cr_assert_eq(config.sans_count, 3);
	cr_assert_str_eq(config.sans[0], "a.example");
	cr_assert_str_eq(config.sans[1], "10.0.0.1");
	cr_assert_str_eq(config.sans[2], "::1");
	cr_assert_str_eq(environment[3], "a.example, 10.0.0.1,::1", "the environment is not ours to change");
	/* The command line takes the place of the list, it does not add to it. */
	cr_assert_eq(parse("--listen tls://h:9 --listen=unix:///b --san x"), CONFIG_OK, "%s", error);
	cr_assert_eq(config.listen_count, 2);
	cr_assert_str_eq(config.listen[0].host, "h");
	cr_assert_str_eq(config.listen[1].path, "/b");
	cr_assert_eq(config.sans_count, 1);
	cr_assert_str_eq(config.sans[0], "x");
}

Test(config, repeatable_options_have_a_limit)
{
	char line[2048] = "", list[2048] = "";

	for (size_t i = 0; i < CONFIG_LISTEN_MAX; i++) {
		strcat(line, "--listen tls://:1 ");
		strcat(list, "tls://:1,");
	}
	line[strlen(line) - 1] = '\0';
	cr_assert_eq(parse(line), CONFIG_OK, "%s", error);
	cr_assert_eq(config.listen_count, CONFIG_LISTEN_MAX);
	strcat(line, " --listen tls://:2");
	assert_bad(line, "headgate serve: --listen: 'tls://:2' is one too many; there can be 16; "
			 "try 'headgate serve --help'");
	environment[0] = "HEADGATE_LISTEN";
	environment[1] = strcat(list, "tls://:2");
	assert_bad("", "headgate serve: HEADGATE_LISTEN: 'tls://:2' is one too many; there can be 16; "
		       "try 'headgate serve --help'");
}

Test(config, san_list_has_a_limit)
{
	static char list[CONFIG_LIST_CAP + 16];

	for (size_t i = 0; i < CONFIG_SAN_MAX; i++)
		strcat(list, i ? ",n" : "n");
	environment[0] = "HEADGATE_SAN";
	environment[1] = list;
	cr_assert_eq(parse(""), CONFIG_OK, "%s", error);
	cr_assert_eq(config.sans_count, CONFIG_SAN_MAX);
	strcat(list, ",n");
	assert_bad("", "headgate serve: HEADGATE_SAN: 'n' is one too many; there can be 64; "
		       "try 'headgate serve --help'");
	memset(list, 'n', CONFIG_LIST_CAP);
	assert_bad("",
		   "headgate serve: HEADGATE_SAN: longer than 8191 characters; try 'headgate serve --help'");
}

Test(config, help_is_asked_for)
{
	cr_assert_eq(parse("--help"), CONFIG_HELP);
	cr_assert_eq(parse("-h"), CONFIG_HELP);
	cr_assert_eq(parse("--workers 2 --help --nonsense"), CONFIG_HELP);
	cr_assert_eq(parse("--nonsense --help"), CONFIG_BAD);
}

/* Two rows, one error: what is on the command line, what the line says between name and remedy. */
static const struct {
	const char *line, *error;
} errors[] = {
    {"--workers x", "--workers: 'x' is not a number between 1 and 256"},
    {"--workers 0", "--workers: '0' is not a number between 1 and 256"},
    {"--workers=257", "--workers: '257' is not a number between 1 and 256"},
    {"--workers -1", "--workers: '-1' is not a number between 1 and 256"},
    {"--workers +1", "--workers: '+1' is not a number between 1 and 256"},
    {"--workers ~1", "--workers: ' 1' is not a number between 1 and 256"},
    {"--workers 1x", "--workers: '1x' is not a number between 1 and 256"},
    {"--workers 0x1", "--workers: '0x1' is not a number between 1 and 256"},
    {"--workers 99999999999999999999", "--workers: '99999999999999999999' is not a number between 1 and 256"},
    {"--max-connections 0", "--max-connections: '0' is not a number between 1 and 1048576"},
    {"--max-connections 1048577", "--max-connections: '1048577' is not a number between 1 and 1048576"},
    {"--event urin", "--event: 'urin' is not one of auto, uring, epoll"},
    {"--event URING", "--event: 'URING' is not one of auto, uring, epoll"},
    {"--ktls yes", "--ktls: 'yes' is not one of auto, on, off"},
    {"--sandbox yes", "--sandbox: 'yes' is not one of auto, on, off"},
    {"--mover tls", "--mover: 'tls' is not one of auto, splice, copy"},
    {"--log-level loud", "--log-level: 'loud' is not one of error, warn, info, debug"},
    {"--idle-timeout 0",
     "--idle-timeout: '0' is not a time between 1ms and 24 days, like 500ms, 10s, 5m or 2h"},
    {"--head-timeout 577h",
     "--head-timeout: '577h' is not a time between 1ms and 24 days, like 500ms, 10s, 5m or 2h"},
    {"--drain-timeout 1d",
     "--drain-timeout: '1d' is not a time between 0 and 24 days, like 500ms, 10s, 5m or 2h"},
    {"--workers", "--workers needs a value: NUMBER"},
    {"--workers=", "--workers needs a value: NUMBER"},
    {"--state --key", "--state needs a value: DIR"},
    {"--listen tcp://:2375",
     "--listen: 'tcp://:2375' would carry tokens in the clear; use tls://HOST:PORT or unix:///PATH"},
    {"--admin tls://:1", "--admin: 'tls://:1' has no host: HOST:PORT"},
    {"--admin tls://h:1", "--admin: 'tls://h:1' cannot be TLS; use tcp://127.0.0.1:PORT or unix:///PATH"},
    {"--listen https://x:1", "--listen: 'https://x:1' is no address: tls://HOST:PORT or unix:///PATH"},
    {"--listen 8443", "--listen: '8443' has no scheme; write tls://0.0.0.0:8443"},
    {"--listen :8443", "--listen: ':8443' has no scheme; write tls://:8443"},
    {"--listen 127.0.0.1:8443", "--listen: '127.0.0.1:8443' has no scheme; write tls://127.0.0.1:8443"},
    {"--listen [::1]:8443", "--listen: '[::1]:8443' has no scheme; write tls://[::1]:8443"},
    {"--listen /run/h.sock", "--listen: '/run/h.sock' has no scheme; write unix:///run/h.sock"},
    {"--listen 84430", "--listen: '84430' is no address: tls://HOST:PORT or unix:///PATH"},
    {"--listen localhost", "--listen: 'localhost' is no address: tls://HOST:PORT or unix:///PATH"},
    {"--listen me:pass@h:1", "--listen: the value is no address: tls://HOST:PORT or unix:///PATH"},
    {"--admin 9323", "--admin: '9323' has no scheme; write tcp://127.0.0.1:9323"},
    {"--admin :9323", "--admin: ':9323' is no address: tcp://HOST:PORT or unix:///PATH"},
    {"--engine h:2375", "--engine: 'h:2375' has no scheme; write tcp://h:2375"},
    {"--engine nothing",
     "--engine: 'nothing' is no address: unix:///PATH, tcp://HOST:PORT or tls://HOST:PORT"},
    {"--listen tls://x", "--listen: 'tls://x' has no port: HOST:PORT"},
    {"--admin tls://h:1", "--admin: 'tls://h:1' cannot be TLS; use tcp://127.0.0.1:PORT or unix:///PATH"},
    {"--admin tcp://:2377", "--admin: 'tcp://:2377' has no host: HOST:PORT"},
    {"--engine tcp://:2375", "--engine: 'tcp://:2375' has no host: HOST:PORT"},
    {"--engine tls://me:pass@h:1",
     "--engine: the value has a user name or password in it, which an address cannot have"},
    {"--engine /var/run/docker.sock",
     "--engine: '/var/run/docker.sock' has no scheme; write unix:///var/run/docker.sock"},
    {"--san a,b", "--san: 'a,b' is not a host name, an IPv4 or an IPv6 address"},
    {"--san 1.2.3", "--san: '1.2.3' is not a host name, an IPv4 or an IPv6 address"},
    {"--san fe80::1%eth0", "--san: 'fe80::1%eth0' is not a host name, an IPv4 or an IPv6 address"},
    {"--cert /c", "--cert needs --key, the file with its private key"},
    {"--key /k", "--key needs --cert, the file with the certificate"},
    {"--engine-cert-dir /d", "--engine-cert-dir is for an engine at tls://HOST:PORT only"},
    {"--engine-cert-dir /d --engine tcp://h:1", "--engine-cert-dir is for an engine at tls://HOST:PORT only"},
    {"--engine tls://h:1",
     "an engine at tls:// needs --engine-cert-dir, the directory with ca.pem, cert.pem and key.pem"},
    {"--worker 2", "unknown option '--worker' (did you mean '--workers'?)"},
    {"--wrokers=2", "unknown option '--wrokers' (did you mean '--workers'?)"},
    {"-workers 2", "unknown option '-workers' (did you mean '--workers'?)"},
    {"--Listen x", "unknown option '--Listen' (did you mean '--listen'?)"},
    {"--token hg_secret", "unknown option '--token' (did you mean '--tokens'?)"},
    {"--token=hg_secret", "unknown option '--token' (did you mean '--tokens'?)"},
    {"--loglevel debug", "unknown option '--loglevel' (did you mean '--log-level'?)"},
    {"--idle-time-out 5", "unknown option '--idle-time-out' (did you mean '--idle-timeout'?)"},
    {"--password=secret", "unknown option '--password'"},
    {"--", "unknown option '--'"},
    {"-x", "unknown option '-x'"},
    {"--=x", "unknown option '--'"},
    {"x", "'x' is not an option"},
    {"-", "'-' is not an option"},
    {"--workers 2 3", "'3' is not an option"},
};

Test(config, errors)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		char wanted[512];

		snprintf(wanted, sizeof(wanted), "headgate serve: %s; try 'headgate serve --help'",
			 errors[i].error);
		assert_bad(errors[i].line, wanted);
	}
}

Test(config, empty_argument)
{
	char *argv[] = {(char *)(uintptr_t) "serve", (char *)(uintptr_t) "", NULL};

	cr_assert_eq(config_parse(&config, CONFIG_SERVE, 2, argv, test_getenv, error, sizeof(error)),
		     CONFIG_BAD);
	cr_assert_str_eq(error, "headgate serve: '' is not an option; try 'headgate serve --help'");
	cr_assert_eq(config_parse(&config, CONFIG_SERVE, 0, argv, test_getenv, error, sizeof(error)),
		     CONFIG_OK);
}

Test(config, errors_name_the_variable)
{
	environment[0] = "HEADGATE_IDLE_TIMEOUT";
	environment[1] = "soon";
	assert_bad("", "headgate serve: HEADGATE_IDLE_TIMEOUT: 'soon' is not a time between 1ms and 24 days, "
		       "like 500ms, 10s, 5m or 2h; try 'headgate serve --help'");
	environment[0] = "HEADGATE_LISTEN";
	environment[1] = "tls://:1,,tls://:2";
	assert_bad("", "headgate serve: HEADGATE_LISTEN: nothing between two commas; "
		       "try 'headgate serve --help'");
	environment[1] = "tls://:1,";
	assert_bad("", "headgate serve: HEADGATE_LISTEN: nothing between two commas; "
		       "try 'headgate serve --help'");
	environment[1] = "tls://:1 tls://:2";
	cr_assert_eq(parse(""), CONFIG_BAD, "a list without commas");
}

Test(config, errors_are_one_printable_line)
{
	char line[4096];

	cr_assert_eq(parse("--state /x \x1b[31m\nfoo"), CONFIG_BAD);
	cr_assert_str_eq(error, "headgate serve: '?[31m?foo' is not an option; try 'headgate serve --help'");
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	memcpy(line, "--event=", 8);
	cr_assert_eq(parse(line), CONFIG_BAD);
	cr_assert(strlen(error) < 200);
	cr_assert_not_null(strstr(error, "xxx...' is not one of auto, uring, epoll; try"));
	memcpy(line, "--eventX", 8);
	cr_assert_eq(parse(line), CONFIG_BAD);
	cr_assert(strlen(error) < 200);
}

Test(config, error_buffer_of_any_size)
{
	char *argv[] = {(char *)(uintptr_t) "serve", (char *)(uintptr_t) "--nonsense", NULL};

	for (size_t cap = 0; cap < 100; cap++) {
		char *small = malloc(cap ? cap : 1);

		cr_assert_eq(config_parse(&config, CONFIG_SERVE, 2, argv, test_getenv, small, cap),
			     CONFIG_BAD);
		cr_assert(cap == 0 || strlen(small) < cap);
		free(small);
	}
}

Test(config, original_token)
{
	environment[0] = "DOCKER_API_TOKEN";
	environment[1] = "0123";
	cr_assert_eq(parse(""), CONFIG_OK);
	cr_assert_eq(config.original_token, environment[1]);
	environment[2] = "DOCKER_API_TOKEN_FILE";
	environment[3] = "/run/secrets/token";
	assert_bad("", "headgate serve: DOCKER_API_TOKEN and DOCKER_API_TOKEN_FILE are both set; keep one; "
		       "try 'headgate serve --help'");
	environment[0] = "X";
	cr_assert_eq(parse(""), CONFIG_OK);
	cr_assert(!config.original_token);
	cr_assert_str_eq(config.original_token_file, "/run/secrets/token");
}

static const struct {
	const char *text;
	bool listener, ok;
	enum config_scheme scheme;
	const char *host_or_path;
	uint16_t port;
} addresses[] = {
    {"unix:///var/run/docker.sock", false, true, CONFIG_UNIX, "/var/run/docker.sock", 0},
    {"unix:///x", true, true, CONFIG_UNIX, "/x", 0},
    {"tcp://127.0.0.1:2375", false, true, CONFIG_TCP, "127.0.0.1", 2375},
    {"tls://docker-1.example.com:2376", false, true, CONFIG_TLS, "docker-1.example.com", 2376},
    {"tls://tasks.my_service:65535", false, true, CONFIG_TLS, "tasks.my_service", 65535},
    {"tls://[::1]:2376", false, true, CONFIG_TLS, "::1", 2376},
    {"tls://[fe80::1%eth0]:2376", false, true, CONFIG_TLS, "fe80::1%eth0", 2376},
    {"tls://[::ffff:1.2.3.4]:1", false, true, CONFIG_TLS, "::ffff:1.2.3.4", 1},
    {"tls://:2376", true, true, CONFIG_TLS, "", 2376},
    {"tls://h:0", true, true, CONFIG_TLS, "h", 0},
    {"tcp://:1", true, true, CONFIG_TCP, "", 1},
    {"tls://Host:00080", true, true, CONFIG_TLS, "Host", 80},
    {"tls://h.:1", true, true, CONFIG_TLS, "h.", 1},
    {.text = "", .ok = false},
    {.text = "tls://"},
    {.text = "tls://h"},
    {.text = "tls://h:"},
    {.text = "tls://h:0"},
    {.text = "tls://:1"},
    {.text = "tls://h:65536", .listener = true},
    {.text = "tls://h:-1", .listener = true},
    {.text = "tls://h:+1", .listener = true},
    {.text = "tls://h:1x", .listener = true},
    {.text = "tls://h:0x10", .listener = true},
    {.text = "tls://h: 1", .listener = true},
    {.text = "tls://h:1 ", .listener = true},
    {.text = "tls://h:1\n", .listener = true},
    {.text = " tls://h:1", .listener = true},
    {.text = "tls://h:1/", .listener = true},
    {.text = "tls://h:1/path", .listener = true},
    {.text = "tls://h:000000000000000080", .listener = true},
    {.text = "TLS://h:1", .listener = true},
    {.text = "tls:/h:1", .listener = true},
    {.text = "h:1", .listener = true},
    {.text = "http://h:1", .listener = true},
    {.text = "tls://::1:2376", .listener = true},
    {.text = "tls://[::1]", .listener = true},
    {.text = "tls://[::1]2376", .listener = true},
    {.text = "tls://[::1", .listener = true},
    {.text = "tls://[]:1", .listener = true},
    {.text = "tls://[1.2.3.4]:1", .listener = true},
    {.text = "tls://[::g]:1", .listener = true},
    {.text = "tls://[::1%]:1", .listener = true},
    {.text = "tls://[::1%a/b]:1", .listener = true},
    {.text = "tls://[::1%sixteenlettersss]:1", .listener = true},
    {.text = "tls://1.2.3:1", .listener = true},
    {.text = "tls://1.2.3.256:1", .listener = true},
    {.text = "tls://01.2.3.4:1", .listener = true},
    {.text = "tls://12345:1", .listener = true},
    {.text = "tls://*:1", .listener = true},
    {.text = "tls://-h:1", .listener = true},
    {.text = "tls://a..b:1", .listener = true},
    {.text = "tls://.b:1", .listener = true},
    {.text = "tls://a b:1", .listener = true},
    {.text = "tls://user@h:1", .listener = true},
    {.text = "tls://h\xc3\xa9:1", .listener = true},
    {.text = "tls://a%41:1", .listener = true},
    {.text = "unix://relative", .listener = true},
    {.text = "unix://", .listener = true},
    {.text = "unix:///", .listener = true},
    {.text = "unix:////", .listener = true},
    {.text = "unix:/x", .listener = true},
    {.text = "unix:///a b", .listener = true},
};

Test(config, addresses)
{
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct config_address address, before;
		const char *reason = NULL;
		int result;

		memset(&address, 0x5a, sizeof(address));
		before = address;
		result = config_address_parse(&address, addresses[i].text, addresses[i].listener, &reason);
		cr_assert_eq(result, addresses[i].ok ? 0 : -EINVAL, "%s: %s", addresses[i].text, reason);
		if (!addresses[i].ok) {
			cr_assert_not_null(reason, "%s", addresses[i].text);
			cr_assert_eq(memcmp(&address, &before, sizeof(address)), 0, "%s", addresses[i].text);
			continue;
		}
		cr_assert_eq(address.scheme, addresses[i].scheme);
		cr_assert_eq(address.port, addresses[i].port);
		cr_assert_str_eq(address.scheme == CONFIG_UNIX ? address.path : address.host,
				 addresses[i].host_or_path);
		cr_assert_str_eq(address.scheme == CONFIG_UNIX ? address.host : address.path, "");
		cr_assert_str_eq(address.text, addresses[i].text);
	}
}

Test(config, address_lengths)
{
	struct config_address address;
	const char *reason;
	char text[400];

	for (size_t length = 2; length < 120; length++) {
		snprintf(text, sizeof(text), "unix:///%0*d", (int)length - 1, 1);
		text[7 + length] = '\0';
		cr_assert_eq(config_address_parse(&address, text, false, &reason) == 0, length <= 107, "%zu",
			     length);
	}
	for (size_t labels = 1; labels < 40; labels++) {
		size_t used = (size_t)snprintf(text, sizeof(text), "tls://");

		for (size_t i = 0; i < labels; i++)
			used += (size_t)snprintf(text + used, sizeof(text) - used,
						 i ? ".label%02zu" : "label%02zu", i);
		snprintf(text + used, sizeof(text) - used, ":1");
		cr_assert_eq(config_address_parse(&address, text, false, &reason) == 0, used - 6 <= 253, "%s",
			     text);
	}
	snprintf(text, sizeof(text), "tls://%.*s:1", 63,
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	cr_assert_eq(config_address_parse(&address, text, false, &reason), 0);
	snprintf(text, sizeof(text), "tls://%.*s:1", 64,
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	cr_assert_eq(config_address_parse(&address, text, false, &reason), -EINVAL);
}

static const struct {
	const char *text;
	int result;
	unsigned ms;
} durations[] = {
    {"10s", 0, 10000},
    {"5m", 0, 300000},
    {"500ms", 0, 500},
    {"2h", 0, 7200000},
    {"7", 0, 7000},
    {"0", 0, 0},
    {"0ms", 0, 0},
    {"007s", 0, 7000},
    {"576h", 0, 2073600000},
    {"2073600000ms", 0, 2073600000},
    {"2073600", 0, 2073600000},
    {"34560m", 0, 2073600000},
    {"577h", -ERANGE, 0},
    {"2073600001ms", -ERANGE, 0},
    {"2073601", -ERANGE, 0},
    {"34561m", -ERANGE, 0},
    {"99999999999999999999s", -ERANGE, 0},
    {"", -EINVAL, 0},
    {"s", -EINVAL, 0},
    {"-1s", -EINVAL, 0},
    {"+1s", -EINVAL, 0},
    {" 1s", -EINVAL, 0},
    {"1 s", -EINVAL, 0},
    {"1s ", -EINVAL, 0},
    {"1S", -EINVAL, 0},
    {"1.5s", -EINVAL, 0},
    {"1e3", -EINVAL, 0},
    {"1d", -EINVAL, 0},
    {"1m30s", -EINVAL, 0},
    {"0x10", -EINVAL, 0},
    {"1mss", -EINVAL, 0},
    {"ten", -EINVAL, 0},
};

Test(config, durations)
{
	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		unsigned ms = 12345;

		cr_assert_eq(config_duration_parse(durations[i].text, &ms), durations[i].result, "'%s'",
			     durations[i].text);
		cr_assert_eq(ms, durations[i].result ? 12345 : durations[i].ms, "'%s': %u", durations[i].text,
			     ms);
	}
}

Test(config, edit_distance)
{
	cr_assert_eq(config_edit_distance(SPAN("workers"), SPAN("workers")), 0);
	cr_assert_eq(config_edit_distance(SPAN("worker"), SPAN("workers")), 1);
	cr_assert_eq(config_edit_distance(SPAN("wrokers"), SPAN("workers")), 1);
	cr_assert_eq(config_edit_distance(SPAN("workerss"), SPAN("workers")), 1);
	cr_assert_eq(config_edit_distance(SPAN("Workers"), SPAN("workers")), 1);
	cr_assert_eq(config_edit_distance(SPAN("kitten"), SPAN("sitting")), 3);
	cr_assert_eq(config_edit_distance(SPAN(""), SPAN("abc")), 3);
	cr_assert_eq(config_edit_distance(SPAN("abc"), SPAN("")), 3);
	cr_assert_eq(config_edit_distance(SPAN("ab"), SPAN("ba")), 1);
	cr_assert_eq(config_edit_distance((struct span){.ptr = error, .len = 65}, SPAN("a")), SIZE_MAX);
}

/* What a function prints, as one string. */
static char *printed(void (*print)(FILE *, enum config_command), enum config_command of)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	cr_assert_not_null(out);
	print(out, of);
	cr_assert_eq(fclose(out), 0);
	return text;
}

static bool takes(const struct config_option *option, enum config_command of)
{
	return option->commands & CONFIG_BIT(of);
}

Test(config, help_fits_and_names_every_option)
{
	static const char *const names[] = {"serve", "connect", "token", "explain", "check", "health"};
	size_t count;
	const struct config_option *table = config_options(&count);

	for (enum config_command of = 0; of < CONFIG_COMMAND_COUNT; of++) {
		char *text = printed(config_help, of), flag[64];

		snprintf(flag, sizeof(flag), "Usage: headgate %s ", names[of]);
		cr_assert_eq(strncmp(text, flag, strlen(flag)), 0, "%s", text);
		for (char *line = text; *line; line += strcspn(line, "\n") + 1) {
			size_t length = strcspn(line, "\n");

			cr_assert_leq(length, 79, "%.*s", (int)length, line);
			cr_assert(length == 0 || line[length - 1] != ' ', "a blank at the end: %.*s",
				  (int)length, line);
			cr_assert_null(memchr(line, '\t', length));
			/* Between an option and its help: an end of the line, or a blank before the column.
			 */
			cr_assert(strncmp(line, "  --", 4) != 0 || length <= 28 || line[27] == ' ', "%.*s",
				  (int)length, line);
		}
		for (size_t i = 0; i < count; i++) {
			snprintf(flag, sizeof(flag), "\n  --%s ", table[i].name);
			cr_assert_eq(strstr(text, flag) != NULL, takes(&table[i], of), "%s of %s",
				     table[i].name, names[of]);
		}
		free(text);
	}
}

Test(config, help_of_serve)
{
	char *text = printed(config_help, CONFIG_SERVE);

	cr_assert_not_null(strstr(text, "HEADGATE_HEAD_TIMEOUT"));
	cr_assert_not_null(strstr(text, "DOCKER_API_TOKEN "));
	cr_assert_not_null(strstr(text, "DOCKER_API_TOKEN_FILE "));
	cr_assert_not_null(strstr(text, "(default: unix:///var/run/docker.sock)"));
	free(text);
}

/* What means nothing to a command is a mistake there, and its variable is nobody's business. */
Test(config, options_of_another_command)
{
	size_t count;
	const struct config_option *table = config_options(&count);

	environment[1] = "";
	for (enum config_command of = 0; of < CONFIG_COMMAND_COUNT; of++) {
		for (size_t i = 0; i < count; i++) {
			char line[80];

			if (takes(&table[i], of) || (of == CONFIG_CHECK && takes(&table[i], CONFIG_SERVE)))
				continue;
			command = of;
			environment[0] = variable_of(table[i].name);
			cr_assert_eq(parse(""), CONFIG_OK, "%s", error);
			snprintf(line, sizeof(line), "--%s 1", table[i].name);
			cr_assert_eq(parse(line), CONFIG_BAD, "%s", line);
			cr_assert_not_null(strstr(error, "unknown option"), "%s", error);
		}
	}
}

Test(config, arguments)
{
	command = CONFIG_TOKEN;
	cr_assert_eq(parse("create ci --role read"), CONFIG_OK, "%s", error);
	cr_assert_eq(config.arguments_count, 2);
	cr_assert_str_eq(config.arguments[0], "create");
	cr_assert_str_eq(config.arguments[1], "ci");
	cr_assert_str_eq(config.overlap, "24h");
	assert_bad("create ci x", "headgate token: 'x' is one word too many; try 'headgate token --help'");
	command = CONFIG_CONNECT;
	cr_assert_eq(parse("h:1 --token-file /t"), CONFIG_OK, "%s", error);
	cr_assert_eq(config.arguments_count, 1);
	cr_assert_eq(config.listen_count, 0, "its default is not serve's");
	command = CONFIG_CHECK;
	assert_bad("x", "headgate check: 'x' is not an option; try 'headgate check --help'");
}

Test(config, flags)
{
	cr_assert_eq(parse("--token-in-path --workers 3"), CONFIG_OK, "%s", error);
	cr_assert(config.token_in_path);
	cr_assert_eq(config.workers, 3, "a flag takes no word");
	cr_assert_eq(parse("--token-in-path=false"), CONFIG_OK, "%s", error);
	cr_assert_not(config.token_in_path);
	assert_bad("--token-in-path=maybe",
		   "headgate serve: --token-in-path: 'maybe' is not true or false; try "
		   "'headgate serve --help'");
}

Test(config, rates_prefixes_and_digests)
{
	static const char *const bad_rates[] = {"5",   "/1m",	"5/",	"0/1m",
						"5/0", "-1/1m", "5/1x", "1000001/1m"};
	static const char *const bad_prefixes[] = {"10.0.0.1/8", "x",		"10.0.0.0/33",
						   "::/129",	 "10.0.0.0/08", "/8"};
	static const char *const bad_digests[] = {"ab",
						  ABCD,
						  ABCD ABCD ABCD ABCD "0",
						  ":" ABCD ABCD ABCD ABCD,
						  ABCD ABCD ABCD ABCD ":",
						  "a:b" ABCD ABCD ABCD "abcdef01234567"};
	char line[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad_rates); i++) {
		snprintf(line, sizeof(line), "--auth-failures=%s", bad_rates[i]);
		cr_assert_eq(parse(line), CONFIG_BAD, "%s", line);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad_prefixes); i++) {
		snprintf(line, sizeof(line), "--proxy-protocol=%s", bad_prefixes[i]);
		cr_assert_eq(parse(line), CONFIG_BAD, "%s", line);
	}
	command = CONFIG_CONNECT;
	for (size_t i = 0; i < ARRAY_SIZE(bad_digests); i++) {
		snprintf(line, sizeof(line), "--fingerprint=%s", bad_digests[i]);
		cr_assert_eq(parse(line), CONFIG_BAD, "%s", line);
	}
	/* As openssl prints it, 3.0 and older ones. */
	cr_assert_eq(parse("--fingerprint=sha256~Fingerprint=0a:0B:" ABCD ABCD ABCD "000102030405"),
		     CONFIG_OK, "%s", error);
	cr_assert(config.fingerprint.bytes[0] == 0x0a && config.fingerprint.bytes[1] == 0x0b);
	cr_assert_eq(parse("--fingerprint=SHA256~Fingerprint=0a:0B:" ABCD ABCD ABCD "000102030405"),
		     CONFIG_OK, "%s", error);
	cr_assert_eq(parse("--fingerprint=SHA1~Fingerprint=" ABCD ABCD ABCD ABCD), CONFIG_BAD);
	cr_assert_eq(parse("--to unix:///x"), CONFIG_BAD);
	cr_assert_eq(parse("--to tcp://h:1"), CONFIG_BAD, "in the clear");
	cr_assert_eq(parse("--to h:1"), CONFIG_OK, "%s", error);
	cr_assert_str_eq(config.engine.text, "tls://h:1");
}

Test(config, manual_names_every_option)
{
	char *text = printed(config_man, CONFIG_SERVE), item[64];

	cr_assert_eq(strncmp(text, ".Bl ", 4), 0);
	cr_assert_str_eq(text + strlen(text) - 5, "\n.El\n");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].command != CONFIG_SERVE)
			continue;
		size_t used = (size_t)snprintf(item, sizeof(item), "\n.It Fl \\-");

		for (const char *c = options[i].name; *c; c++)
			used +=
			    (size_t)snprintf(item + used, sizeof(item) - used, *c == '-' ? "\\%c" : "%c", *c);
		cr_assert_not_null(strstr(text, item), "%s", options[i].name);
	}
	cr_assert_not_null(strstr(text, "\n\\%(default:\\ 16384)\n"), "no line ends in the middle of it");
	/* Every line that starts like a request is one we meant. */
	for (char *line = text; *line; line += strcspn(line, "\n") + 1)
		cr_assert(*line != '\'' && (*line != '.' || strchr("BIE", line[1])), "%.40s", line);
	free(text);
}

/* ---- misspelt variables ---- */

static const struct {
	const char *variable, *meant; /* NULL: it is let pass */
} misspelt[] = {
    {"HEADGATE_AUTH_FAILURE=3", "HEADGATE_AUTH_FAILURES"},
    {"HEADGATE_LISTN=x", "HEADGATE_LISTEN"},
    {"HEADGATE_LISTEN=x", NULL},
    {"HEADGATE_TOKEN_FILE=x", NULL}, /* connect's */
    {"HEADGATE_OVERLAP=x", NULL},    /* token's */
    {"HEADGATE_IMAGE=x", NULL},
    {"HEADGATE_=x", NULL},
    {"HEADGATE_LISTN", "HEADGATE_LISTEN"},
    {"HEADGAT_LISTN=x", NULL},
};

Test(config, misspelt_variables)
{
	for (size_t i = 0; i < ARRAY_SIZE(misspelt); i++) {
		char *variables[] = {(char *)(uintptr_t) "PATH=/bin", (char *)(uintptr_t)misspelt[i].variable,
				     NULL};
		enum config_result result = config_check_names(CONFIG_SERVE, variables, error, sizeof(error));

		cr_assert_eq(result, misspelt[i].meant ? CONFIG_BAD : CONFIG_OK, "%s", misspelt[i].variable);
		if (misspelt[i].meant)
			cr_assert_not_null(strstr(error, misspelt[i].meant), "%s", error);
	}
}
