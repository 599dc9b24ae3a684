/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <string.h>

#include "config_option.h"

/* Where the second column starts and where lines end. */
#define HELP_COLUMN 28
#define HELP_WIDTH  79

void config_environment_name(const struct config_option *option, char out[CONFIG_NAME_CAP])
{
	size_t used = strlcpy(out, "HEADGATE_", CONFIG_NAME_CAP);

	for (const char *c = option->name; *c && used + 1 < CONFIG_NAME_CAP; c++)
		out[used++] = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
	out[used] = '\0';
}

size_t config_print_words(FILE *out, const char *text, size_t indent, size_t at)
{
	while (*text) {
		size_t length = strcspn(text, " \n");
		bool first = at == indent;

		if (!first && at + 1 + length > HELP_WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		at += (size_t)fprintf(out, "%s%.*s", first ? "" : " ", (int)length, text);
		text += length;
		text += strspn(text, " \n");
	}
	return at;
}

static void print_paragraph(FILE *out, const char *text, size_t indent)
{
	fprintf(out, "%*s", (int)indent, "");
	config_print_words(out, text, indent, indent);
	fputc('\n', out);
}

static void print_row(FILE *out, const char *left, const char *text, const char *fallback)
{
	char note[128];
	size_t at;

	if (strlen(left) + 3 > HELP_COLUMN) /* as getopt_long's programs do: the text on the next line */
		fprintf(out, "  %s\n%*s", left, HELP_COLUMN, "");
	else
		fprintf(out, "  %-*s", HELP_COLUMN - 2, left);
	at = config_print_words(out, text, HELP_COLUMN, HELP_COLUMN);
	if (fallback) {
		int length = snprintf(note, sizeof(note), "(default: %s)", fallback);

		/* Kept in one piece. */
		fprintf(out, at + 1 + (size_t)length > HELP_WIDTH ? "\n%*s%s" : "%*s%s",
			at + 1 + (size_t)length > HELP_WIDTH ? HELP_COLUMN : 1, "", note);
	}
	fputc('\n', out);
}

/* The options that mean something to the command. */
static void print_options(FILE *out, enum config_command command)
{
	size_t count;
	const struct config_option *options = config_options(&count);
	const char *group = "";

	for (size_t i = 0; i < count; i++) {
		bool has_fallback = !(options[i].without_fallback & CONFIG_BIT(command));
		char left[CONFIG_NAME_CAP];

		if (!(options[i].commands & CONFIG_BIT(command)))
			continue;
		if (strcmp(group, options[i].group) != 0) {
			group = options[i].group;
			fprintf(out, "\n%s\n", group);
		}
		snprintf(left, sizeof(left), "--%s%s%s", options[i].name, options[i].argument ? " " : "",
			 options[i].argument ? options[i].argument : "");
		print_row(out, left, options[i].help, has_fallback ? options[i].fallback : NULL);
	}
	fputs("\n", out);
	print_row(out, "-h, --help", "this text", NULL);
	fputs("\n", out);
}

static void print_original(FILE *out)
{
	fputs("\n", out);
	print_row(out, "DOCKER_API_TOKEN", "a token with full access, named default", NULL);
	print_row(out, "DOCKER_API_TOKEN_FILE", "a file that holds it", NULL);
}

static void help_serve(FILE *out)
{
	fputs("Usage: headgate serve [OPTION]...\n\n", out);
	print_paragraph(out, "Serves the Docker Engine API over TLS to clients that present a token.", 0);
	print_options(out, CONFIG_SERVE);
	print_paragraph(out, "TIME is a number with ms, s, m or h after it; a number alone is seconds.", 0);
	fputs("\nEnvironment\n", out);
	print_paragraph(
	    out,
	    "Every option can come from the environment too, --head-timeout as "
	    "HEADGATE_HEAD_TIMEOUT and so on. The command line wins. Values of a repeatable option "
	    "are separated by commas there. A variable that is set but empty is an error.",
	    2);
	print_original(out);
}

static void help_check(FILE *out)
{
	fputs("Usage: headgate check [OPTION]...\n\n", out);
	print_paragraph(
	    out,
	    "Says what 'headgate serve' would find on this host: what of TLS the kernel takes over, "
	    "io_uring, the engine, certificate and tokens, and what to do about what is missing. "
	    "Makes and changes nothing.",
	    0);
	print_options(out, CONFIG_CHECK);
	print_paragraph(out,
			"The other options of serve are read and otherwise ignored, those in the environment "
			"(HEADGATE_...) too: give what serve is given.",
			0);
	fputs("\nEnvironment\n", out);
	print_paragraph(out, "As for serve: HEADGATE_ENGINE and so on; the command line wins.", 2);
	print_original(out);
	fputs("\nExit code\n", out);
	print_row(out, "0", "ready; with TLS in userspace, too", NULL);
	print_row(out, "1", "serve would not start, or serve nobody; the last lines say why", NULL);
	print_row(out, "2", "an option is wrong", NULL);
}

static void help_connect(FILE *out)
{
	fputs("Usage: headgate connect HOST:PORT --token-file FILE [OPTION]...\n\n", out);
	print_paragraph(
	    out,
	    "A unix socket here that is the Docker engine behind a headgate elsewhere: for programs that "
	    "cannot send a token. Only its owner can open it.",
	    0);
	print_options(out, CONFIG_CONNECT);
	print_paragraph(out,
			"Without --listen: $XDG_RUNTIME_DIR/headgate.sock, for root "
			"/run/headgate-connect.sock. SIGHUP reads the token file again.",
			0);
}

static void help_token(FILE *out)
{
	fputs("Usage: headgate token create NAME --role ROLE [OPTION]...\n"
	      "       headgate token rotate NAME [--overlap TIME]\n"
	      "       headgate token revoke NAME\n"
	      "       headgate token list\n"
	      "       headgate token show NAME\n\n",
	      out);
	print_paragraph(
	    out,
	    "Makes, changes and takes back tokens. A secret is shown once, when it is made; only its "
	    "SHA-256 digest is kept. A headgate that runs follows within a second.",
	    0);
	print_options(out, CONFIG_TOKEN);
}

static void help_explain(FILE *out)
{
	fputs("Usage: headgate explain METHOD PATH --token NAME\n"
	      "       headgate explain METHOD PATH --role ROLE\n"
	      "       headgate explain --role ROLE\n"
	      "       headgate explain --roles\n"
	      "       headgate explain --from-env\n\n",
	      out);
	print_paragraph(
	    out, "Says whether a request is allowed, and which rule decides; or what a role may do.", 0);
	print_options(out, CONFIG_EXPLAIN);
	fputs("Exit code\n", out);
	print_row(out, "0", "allowed", NULL);
	print_row(out, "1", "refused", NULL);
	print_row(out, "2", "the question or a file is wrong", NULL);
}

static void help_health(FILE *out)
{
	fputs("Usage: headgate health [--ready] --admin ADDRESS\n\n", out);
	print_paragraph(
	    out,
	    "Asks the headgate that runs with the same --admin (or HEADGATE_ADMIN) for its health: for "
	    "HEALTHCHECK and the like. Prints the answer.",
	    0);
	print_options(out, CONFIG_HEALTH);
	fputs("Exit code\n", out);
	print_row(out, "0", "all is well", NULL);
	print_row(out, "1", "it is not, or nobody answers within three seconds", NULL);
	print_row(out, "2", "an option is wrong or missing", NULL);
}

void config_help(FILE *out, enum config_command command)
{
	static void (*const helps[])(FILE *) = {
	    [CONFIG_SERVE] = help_serve,     [CONFIG_CONNECT] = help_connect, [CONFIG_TOKEN] = help_token,
	    [CONFIG_EXPLAIN] = help_explain, [CONFIG_CHECK] = help_check,     [CONFIG_HEALTH] = help_health,
	};

	helps[command](out);
}

/* Text in a manual's source: what roff would read as a command or an escape is written as a character. */
static void print_roff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

void config_man(FILE *out, enum config_command command)
{
	size_t count;
	const struct config_option *options = config_options(&count);

	fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < count; i++) {
		if (!(options[i].commands & CONFIG_BIT(command)))
			continue;
		fputs(".It Fl \\-", out);
		print_roff(out, options[i].name);
		fprintf(out, options[i].argument ? " Ar %s\n" : "\n", options[i].argument);
		print_roff(out, options[i].help);
		fputc('\n', out);
		if (options[i].fallback && !(options[i].without_fallback & CONFIG_BIT(command))) {
			fputs("\\%(default:\\ ", out); /* kept in one piece */
			print_roff(out, options[i].fallback);
			fputs(")\n", out);
		}
	}
	fputs(".El\n", out);
}
