/* SPDX-License-Identifier: MIT */
/*
 * Options: the input's lines are the arguments of `serve`; a line NAME=value that starts with HEADGATE_
 * or DOCKER_ is put in the environment instead. Each line is also tried as an address and a duration.
 */
#include "config.h"
#include "fuzz.h"

#define LINES_MAX 128

/* getenv() has no argument for a context: the environment of the input at hand. */
static char *environment[LINES_MAX];
static size_t environment_count;

static char *fuzz_getenv(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < environment_count; i++)
		if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=')
			return environment[i] + length + 1;
	return NULL;
}

static void check_address(const struct config_address *address, bool listener)
{
	FUZZ_CHECK(memchr(address->host, '\0', sizeof(address->host)));
	FUZZ_CHECK(memchr(address->path, '\0', sizeof(address->path)));
	FUZZ_CHECK(memchr(address->text, '\0', sizeof(address->text)));
	if (address->scheme == CONFIG_UNIX) {
		FUZZ_CHECK(address->path[0] == '/' && !address->host[0] && address->port == 0);
		return;
	}
	FUZZ_CHECK(!address->path[0]);
	FUZZ_CHECK(listener || (address->host[0] && address->port));
	FUZZ_CHECK(!strpbrk(address->host, "/@[] "));
}

static void try_words(const char *text)
{
	unsigned ms = 0;

	for (int listener = 0; listener <= 1; listener++) {
		struct config_address address, again;
		const char *reason = NULL;

		if (config_address_parse(&address, text, listener, &reason)) {
			FUZZ_CHECK(reason && *reason);
			continue;
		}
		check_address(&address, listener);
		FUZZ_CHECK(strcmp(address.text, text) == 0);
		FUZZ_CHECK(config_address_parse(&again, address.text, listener, &reason) == 0);
		FUZZ_CHECK(memcmp(&address, &again, sizeof(address)) == 0);
	}
	if (config_duration_parse(text, &ms) == 0)
		FUZZ_CHECK(ms <= 24U * 24 * 3600 * 1000);
}

static void check_config(const struct config *config)
{
	FUZZ_CHECK(config->listen_count >= 1 && config->listen_count <= CONFIG_LISTEN_MAX);
	for (size_t i = 0; i < config->listen_count; i++) {
		check_address(&config->listen[i], true);
		FUZZ_CHECK(config->listen[i].scheme != CONFIG_TCP);
	}
	check_address(&config->engine, false);
	FUZZ_CHECK((config->engine.scheme == CONFIG_TLS) == (config->engine_cert_dir != NULL));
	FUZZ_CHECK(!config->cert_file == !config->key_file);
	FUZZ_CHECK(config->sans_count <= CONFIG_SAN_MAX);
	for (size_t i = 0; i < config->sans_count; i++)
		FUZZ_CHECK(config->sans[i] && *config->sans[i] && strlen(config->sans[i]) <= 253);
	FUZZ_CHECK(config->workers <= CONFIG_WORKERS_MAX && config->max_connections >= 1);
	FUZZ_CHECK(config->event <= CONFIG_EVENT_EPOLL && config->ktls <= CONFIG_KTLS_OFF);
	FUZZ_CHECK(config->mover <= CONFIG_MOVER_COPY && config->log_level <= LOG_LEVEL_DEBUG);
	FUZZ_CHECK(config->handshake_timeout_ms && config->head_timeout_ms && config->idle_timeout_ms);
	FUZZ_CHECK(!config->original_token || !config->original_token_file);
}

static void check_error(const char *error, size_t cap)
{
	size_t length = strnlen(error, cap);

	FUZZ_CHECK(length > 0 && length < cap);
	FUZZ_CHECK(strncmp(error, "headgate ", 9) == 0);
	for (size_t i = 0; i < length; i++)
		FUZZ_CHECK(error[i] >= 0x20 && error[i] < 0x7f);
}

static void try_arguments(enum config_command command, int argc, char **argv)
{
	static struct config config;
	char error[1024], tiny[3];
	enum config_result result =
	    config_parse(&config, command, argc, argv, fuzz_getenv, error, sizeof(error));

	if (result == CONFIG_OK && command == CONFIG_SERVE)
		check_config(&config);
	if (result == CONFIG_BAD)
		check_error(error, sizeof(error));
	FUZZ_CHECK(config_parse(&config, command, argc, argv, fuzz_getenv, tiny, sizeof(tiny)) == result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *lines[LINES_MAX], *argv[LINES_MAX + 1];
	size_t count = 0;
	int argc = 0;

	argv[argc++] = strdup("serve");
	environment_count = 0;
	while (size && count < LINES_MAX - 1) {
		const uint8_t *newline = memchr(data, '\n', size);
		size_t length = newline ? (size_t)(newline - data) : size;
		char *line = strndup((const char *)data, length);

		FUZZ_CHECK(line);
		lines[count++] = line;
		try_words(line);
		if (strncmp(line, "HEADGATE_", 9) == 0 || strncmp(line, "DOCKER_", 7) == 0)
			environment[environment_count++] = line;
		else
			argv[argc++] = line;
		data += newline ? length + 1 : length;
		size -= newline ? length + 1 : length;
	}
	argv[argc] = NULL;
	for (enum config_command command = 0; command < CONFIG_COMMAND_COUNT; command++)
		try_arguments(command, argc, argv);
	for (size_t i = 0; i < count; i++)
		free(lines[i]);
	free(argv[0]);
	return 0;
}
