/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "compiler.h"
#include "config.h"

#ifndef HEADGATE_VERSION /* the Makefile says it */
#define HEADGATE_VERSION "unknown"
#endif

struct command {
	const char *name;
	const char *help;
	int (*run)(int argc, char **argv);
};

static int cmd_man(int argc, char **argv);

static const struct command commands[] = {
    {"serve", "the proxy: clients with a token on one side, the engine on the other", cmd_serve},
    {"connect", "a unix socket here, the engine behind a headgate elsewhere", cmd_connect},
    {"token", "makes, lists, rotates and revokes tokens", cmd_token},
    {"explain", "whether a token or role may do something, and which rule decides", cmd_explain},
    {"check", "what serve would find on this host, and what to do about it", cmd_check},
    {"health", "asks the one that runs whether it is well", cmd_health},
    {"man-options", "the options of a command as manual page source (for the build)", cmd_man},
};

/* man-options COMMAND; see the Makefile. */
static int cmd_man(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum config_command command;
	} names[] = {{"serve", CONFIG_SERVE},
		     {"connect", CONFIG_CONNECT},
		     {"token", CONFIG_TOKEN},
		     {"explain", CONFIG_EXPLAIN},
		     {"health", CONFIG_HEALTH}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (argc != 2 || strcmp(argv[1], names[i].name) != 0)
			continue;
		config_man(stdout, names[i].command);
		return EXIT_SUCCESS;
	}
	return EXIT_USAGE;
}

static void print_help(FILE *out)
{
	fputs("headgate " HEADGATE_VERSION "\n"
	      "A token-checking TLS gate in front of the Docker Engine API.\n\n"
	      "Usage: headgate COMMAND [OPTIONS]\n\nCommands:\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].run != cmd_man)
			fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\n'headgate COMMAND --help' shows a command's options, 'man headgate' all of it.\n", out);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0 || strcmp(name, "-v") == 0 ||
	    strcmp(name, "version") == 0) {
		puts("headgate " HEADGATE_VERSION);
		return EXIT_SUCCESS;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help(stdout);
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (!*name) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	fprintf(stderr, "headgate: '%s' is not a command; try 'headgate --help'\n", name);
	return EXIT_USAGE;
}
