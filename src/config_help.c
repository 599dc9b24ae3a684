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

/* Prints words from column `at` on, later lines indented to `indent`; returns the column reached. */
static size_t print_words(FILE *out, const char *text, size_t indent, size_t at)
{
	while (*text) {
		size_t length = strcspn(text, " ");
		bool first = at == indent;

		if (!first && at + 1 + length > HELP_WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		at += (size_t)fprintf(out, "%s%.*s", first ? "" : " ", (int)length, text);
		text += length;
		text += strspn(text, " ");
	}
	return at;
}

static void print_paragraph(FILE *out, const char *text, size_t indent)
{
	fprintf(out, "%*s", (int)indent, "");
	print_words(out, text, indent, indent);
	fputc('\n', out);
}

static void print_row(FILE *out, const char *left, const char *text, const char *fallback)
{
	char note[128];
	size_t at;

	fprintf(out, "  %-*s", HELP_COLUMN - 2, left);
	at = print_words(out, text, HELP_COLUMN, HELP_COLUMN);
	if (fallback) {
		int length = snprintf(note, sizeof(note), "(default: %s)", fallback);

		/* Kept in one piece. */
		fprintf(out, at + 1 + (size_t)length > HELP_WIDTH ? "\n%*s%s" : "%*s%s",
			at + 1 + (size_t)length > HELP_WIDTH ? HELP_COLUMN : 1, "", note);
	}
	fputc('\n', out);
}

void config_help_serve(FILE *out)
{
	size_t count;
	const struct config_option *options = config_serve_options(&count);
	const char *group = "";

	fputs("Usage: headgate serve [OPTION]...\n\n", out);
	print_paragraph(out, "Serves the Docker Engine API over TLS to clients that present a token.", 0);
	for (size_t i = 0; i < count; i++) {
		char left[CONFIG_NAME_CAP];

		if (strcmp(group, options[i].group) != 0) {
			group = options[i].group;
			fprintf(out, "\n%s\n", group);
		}
		snprintf(left, sizeof(left), "--%s %s", options[i].name, options[i].argument);
		print_row(out, left, options[i].help, options[i].fallback);
	}
	fputs("\n", out);
	print_row(out, "-h, --help", "this text", NULL);
	fputs("\n", out);
	print_paragraph(out, "TIME is a number with ms, s, m or h after it; a number alone is seconds.", 0);
	fputs("\nEnvironment\n", out);
	print_paragraph(
	    out,
	    "Every option can come from the environment too, --head-timeout as "
	    "HEADGATE_HEAD_TIMEOUT and so on. The command line wins. Values of a repeatable option "
	    "are separated by commas there. A variable that is set but empty is an error.",
	    2);
	fputs("\n", out);
	print_row(out, "DOCKER_API_TOKEN", "a token with full access, named default", NULL);
	print_row(out, "DOCKER_API_TOKEN_FILE", "a file that holds it", NULL);
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

void config_man_serve(FILE *out)
{
	size_t count;
	const struct config_option *options = config_serve_options(&count);

	fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < count; i++) {
		fputs(".It Fl \\-", out);
		print_roff(out, options[i].name);
		fprintf(out, " Ar %s\n", options[i].argument);
		print_roff(out, options[i].help);
		fputc('\n', out);
		if (options[i].fallback) {
			fputs("\\%(default:\\ ", out); /* kept in one piece */
			print_roff(out, options[i].fallback);
			fputs(")\n", out);
		}
	}
	fputs(".El\n", out);
}
