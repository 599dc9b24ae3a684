/* SPDX-License-Identifier: MIT */
/*
 * check_test.c: what `headgate check` asks about files: the same verdict as a start gives, and nothing made.
 */
#include <dirent.h>
#include <stdlib.h>

#include "pki_support.h"

#include "config.h"
#include "state.h"

#define NOBODY 65534

TestSuite(check, .init = setup, .fini = teardown, .timeout = 300);

static char path[4096];

static size_t entries(const char *name)
{
	DIR *listing = opendir(name);
	size_t count = 0;

	cr_assert_not_null(listing);
	for (struct dirent *entry; (entry = readdir(listing));)
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(listing);
	return count;
}

/* ---- the state directory ---- */

static int look(const char *given)
{
	error[0] = '\0';
	return state_dir_look(given, path, sizeof(path), error, sizeof(error));
}

Test(check, a_state_directory_that_is_not_there_is_not_made)
{
	char given[96];

	snprintf(given, sizeof(given), "%s/a/b/c", dir);
	cr_assert_eq(look(given), 1, "%s", error);
	cr_assert_str_eq(path, given);
	cr_assert_eq(entries(dir), 0);
}

Test(check, a_state_directory_that_is_there)
{
	cr_assert_eq(look(dir), 0, "%s", error);
	cr_assert_str_eq(path, dir);
	cr_assert_eq(look("/"), geteuid() == 0 ? 0 : -EPERM, "%s", error);
}

Test(check, what_stands_in_the_way_of_a_state_directory)
{
	char given[96], file[80];

	snprintf(file, sizeof(file), "%s", paths.ca);
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	snprintf(given, sizeof(given), "%s/below", file);
	cr_assert_eq(look(given), -ENOTDIR, "%s", error);
	cr_assert_not_null(strstr(error, given), "%s", error);
	cr_assert_eq(look(file), -ENOTDIR);
}

Test(check, a_plain_user_cannot_make_one_anywhere)
{
	cr_assert_eq(geteuid(), 0, "run by root");
	cr_assert_eq(seteuid(NOBODY), 0);
	int below = look("/var/lib/headgate-check-test/x");
	bool says = strstr(error, "Permission denied; give another") != NULL;
	cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(below, -EACCES, "%s", error);
	cr_assert(says, "%s", error);
}

/* ---- CA and certificate ---- */

static int look_pki(time_t now)
{
	error[0] = '\0';
	return pki_look(dir, NULL, 0, now, error, sizeof(error));
}

Test(check, pki_look_says_what_pki_ensure_does_and_writes_nothing)
{
	char told[FIELD];

	cr_assert_eq(look_pki(start), 1, "%s", error);
	cr_assert_eq(entries(dir), 0);
	strlcpy(told, error, sizeof(told));
	cr_assert_eq(ensure(start), 1);
	cr_assert_str_eq(error, told);
	cr_assert_eq(look_pki(start), 0, "%s", error);

	time_t due = start + 80 * DAY, not_before, not_after, still_not_after;
	cr_assert_eq(pki_life(paths.cert, &not_before, &not_after, error, sizeof(error)), 0);
	cr_assert(not_before <= start && not_after == start + PKI_SERVER_DAYS * DAY);
	cr_assert_eq(look_pki(due), 1);
	cr_assert_eq(pki_life(paths.cert, &not_before, &still_not_after, error, sizeof(error)), 0);
	cr_assert_eq(not_after, still_not_after, "written");
	cr_assert_eq(entries(dir), 4);
}

Test(check, pki_look_fails_where_pki_ensure_does)
{
	char told[FIELD];

	cr_assert_eq(ensure(start), 1);
	cr_assert_eq(unlink(paths.ca_key), 0);
	int result = look_pki(start);
	strlcpy(told, error, sizeof(told));
	cr_assert_lt(result, 0);
	cr_assert_eq(ensure(start), result);
	cr_assert_str_eq(error, told);
}

Test(check, pki_life_of_what_is_no_certificate)
{
	time_t not_before, not_after;

	cr_assert_eq(pki_life(paths.cert, &not_before, &not_after, error, sizeof(error)), -ENOENT);
	cr_assert_not_null(strstr(error, paths.cert));
}

/* ---- tokens ---- */

static struct config config;

static int load(struct token_set *set)
{
	error[0] = '\0';
	return state_tokens_load(set, &config, dir, path, sizeof(path), error, sizeof(error));
}

Test(check, tokens_that_have_to_be_made_are_not_made)
{
	struct token_set set = {0};

	config = (struct config){.state_dir = dir};
	cr_assert_eq(load(&set), 1, "%s", error);
	cr_assert_eq(strncmp(path, dir, strlen(dir)), 0);
	cr_assert_str_eq(path + strlen(dir), "/tokens");
	cr_assert(set.count == 0 && entries(dir) == 0);
}

Test(check, tokens_of_the_environment_need_no_file)
{
	char secret[] = "0123456789abcdef";
	struct token_set set = {0};

	config = (struct config){.original_token = secret};
	config.listen[0].scheme = CONFIG_UNIX;
	config.listen_count = 1;
	cr_assert_eq(load(&set), 0, "%s", error);
	cr_assert_str_eq(path, "");
	cr_assert_eq(set.count, 1);
	token_set_fini(&set);
	cr_assert_eq(secret[0], '\0', "the secret is not wiped");
}

Test(check, a_token_file_that_was_given_has_to_be_there)
{
	struct token_set set = {0};

	config = (struct config){.tokens_file = "/no/such/file"};
	cr_assert_eq(load(&set), -ENOENT);
	cr_assert_str_eq(error, "/no/such/file: no such token file; make one: headgate token create NAME "
				"--role ROLE --tokens /no/such/file");
}

/* ---- options ---- */

static char *no_environment(const char *name)
{
	(void)name;
	return NULL;
}

static enum config_result parse(const char *first, const char *second)
{
	char *argv[] = {(char *)(uintptr_t) "check", (char *)(uintptr_t)first, (char *)(uintptr_t)second};
	int argc = 1 + (first != NULL) + (second != NULL);

	return config_parse(&config, CONFIG_CHECK, argc, argv, no_environment, error, sizeof(error));
}

Test(check, takes_what_serve_takes)
{
	cr_assert_eq(parse(NULL, NULL), CONFIG_OK, "%s", error);
	cr_assert_eq(parse("--workers=3", "--log-level=warn"), CONFIG_OK, "%s", error);
	cr_assert_eq(config.workers, 3);
	cr_assert_eq(parse("-h", NULL), CONFIG_HELP);
	cr_assert_eq(parse("--wokers=3", NULL), CONFIG_BAD);
	cr_assert_str_eq(error, "headgate check: unknown option '--wokers' (did you mean '--workers'?); try "
				"'headgate check --help'");
}

Test(check, help_fits_and_has_only_what_it_looks_at)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_help(out, CONFIG_CHECK);
	cr_assert_eq(fclose(out), 0);
	cr_assert_eq(strncmp(text, "Usage: headgate check ", 22), 0);
	for (char *line = text; *line; line += strcspn(line, "\n") + 1)
		cr_assert_leq(strcspn(line, "\n"), 79, "%s", line);
	static const char *const there[] = {"listen", "engine", "engine-cert-dir", "state", "cert", "key",
					    "tokens", "san",	"connect-timeout", "event", "ktls"};
	static const char *const absent[] = {"workers", "mover", "log-level", "admin", "drain-timeout"};
	char flag[64];
	for (size_t i = 0; i < ARRAY_SIZE(there); i++) {
		snprintf(flag, sizeof(flag), "\n  --%s ", there[i]);
		cr_assert_not_null(strstr(text, flag), "%s", flag);
	}
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
		snprintf(flag, sizeof(flag), "--%s", absent[i]);
		cr_assert_null(strstr(text, flag), "%s", flag);
	}
	free(text);
}

Test(check, words_wrap_at_the_column)
{
	char *text = NULL;
	size_t size, at;
	FILE *out = open_memstream(&text, &size);

	fputs("name  ", out);
	at = config_print_words(
	    out, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb c  d", 6, 6);
	cr_assert_eq(fclose(out), 0);
	cr_assert_str_eq(text,
			 "name  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
			 "\n      c d");
	cr_assert_eq(at, 9);
	free(text);
}

Test(check, who_needs_certificate_and_state)
{
	config = (struct config){.listen_count = 1};
	config.listen[0].scheme = CONFIG_TLS;
	cr_assert(config_wants_tls(&config) && config_needs_state(&config));
	config.cert_file = config.tokens_file = "/x";
	cr_assert(!config_needs_state(&config));
	config.state_dir = "/y";
	cr_assert(config_needs_state(&config));
	config.listen[0].scheme = CONFIG_UNIX;
	cr_assert(!config_wants_tls(&config));
}
