/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"

TestSuite(log, .timeout = 300);

/* What was written to standard error since capture_start(). */
static char captured[65536];
static int capture_fd = -1;

static void capture_start(void)
{
	capture_fd = memfd_create("stderr", 0);
	cr_assert(capture_fd >= 0);
	cr_assert(dup2(capture_fd, STDERR_FILENO) >= 0);
}

static const char *capture_read(void)
{
	ssize_t got = pread(capture_fd, captured, sizeof(captured) - 1, 0);

	cr_assert(got >= 0);
	captured[got] = '\0';
	return captured;
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;

	cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	cr_assert_eq(regexec(&regex, text, 0, NULL, 0), 0, "'%s' does not match '%s'", text, pattern);
	regfree(&regex);
}

#define STAMP "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z "

Test(log, record_has_time_level_and_message)
{
	capture_start();
	log_warn("engine %s: %d", "unix:///x", 7);
	assert_matches(capture_read(), STAMP "warn engine unix:///x: 7\n$");
}

Test(log, level_decides)
{
	capture_start();
	log_set_level(LOG_LEVEL_WARN);
	log_debug("d");
	log_info("i");
	cr_assert_str_eq(capture_read(), "");
	cr_assert(log_enabled(LOG_LEVEL_ERROR) && log_enabled(LOG_LEVEL_WARN));
	cr_assert(!log_enabled(LOG_LEVEL_INFO) && !log_enabled(LOG_LEVEL_DEBUG));
	log_error("e");
	assert_matches(capture_read(), STAMP "error e\n$");
}

Test(log, info_is_the_default)
{
	cr_assert(log_enabled(LOG_LEVEL_INFO));
	cr_assert(!log_enabled(LOG_LEVEL_DEBUG));
}

Test(log, level_names)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	enum log_level level = LOG_LEVEL_DEBUG;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cr_assert_eq(log_level_parse(names[i], &level), 0);
		cr_assert_eq((size_t)level, i);
	}
	cr_assert_eq(log_level_parse("INFO", &level), -EINVAL);
	cr_assert_eq(log_level_parse("", &level), -EINVAL);
	cr_assert_eq(log_level_parse("information", &level), -EINVAL);
	cr_assert_eq(level, LOG_LEVEL_DEBUG, "changed by a refused name");
}

Test(log, nothing_a_client_sends_forges_a_line_or_drives_a_terminal)
{
	capture_start();
	log_info("%s", "GET /a\n2026 error forged\r\x1b[31m\x7f\t\xc3\xa9");
	assert_matches(
	    capture_read(),
	    STAMP "info GET /a\\\\x0a2026 error forged\\\\x0d\\\\x1b\\[31m\\\\x7f\\\\x09\\\\xc3\\\\xa9\n$");
}

static void assert_cut(const char *text)
{
	size_t length = strlen(text);

	cr_assert(length <= 2048, "%zu bytes", length);
	cr_assert(length > 2000, "%zu bytes", length);
	cr_assert_str_eq(text + length - 7, " [cut]\n");
	cr_assert_eq(strchr(text, '\n'), text + length - 1);
}

Test(log, long_record_is_cut)
{
	char long_text[5000];

	memset(long_text, 'a', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	capture_start();
	log_info("%s", long_text);
	assert_cut(capture_read());
}

Test(log, escapes_are_cut_whole)
{
	char long_text[1500];

	memset(long_text, '\n', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	capture_start();
	log_info("%s", long_text);
	assert_cut(capture_read());
	cr_assert_eq(strncmp(captured + strlen(captured) - 11, "\\x0a [cut]\n", 11), 0);
}

Test(log, record_of_just_the_limit)
{
	char text[2100];

	/* Whatever the length, the record ends in one newline and stays within 2 KiB. */
	for (size_t length = 1990; length < 2060; length++) {
		capture_start();
		memset(text, 'b', length);
		text[length] = '\0';
		log_info("%s", text);
		capture_read();
		cr_assert(strlen(captured) <= 2048);
		cr_assert_eq(captured[strlen(captured) - 1], '\n');
		cr_assert(strstr(captured, "[cut]") || strlen(captured) > length);
		close(capture_fd);
	}
}

Test(log, errno_is_kept)
{
	close(STDERR_FILENO);
	errno = ENOTTY;
	log_error("nobody hears this");
	cr_assert_eq(errno, ENOTTY);
}

#define THREADS 4
#define RECORDS 200

static void *write_records(void *arg)
{
	for (int i = 0; i < RECORDS; i++)
		log_info("thread %c says a line of its own", *(const char *)arg);
	return NULL;
}

Test(log, threads_do_not_mix_lines)
{
	static char names[THREADS] = {'a', 'b', 'c', 'd'};
	pthread_t threads[THREADS];
	int fds[2], lines = 0;
	char line[256];
	FILE *in;

	cr_assert_eq(pipe(fds), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
	cr_assert(dup2(fds[1], STDERR_FILENO) >= 0);
	for (size_t i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, write_records, &names[i]), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	close(fds[1]);
	close(STDERR_FILENO);
	in = fdopen(fds[0], "r");
	while (fgets(line, sizeof(line), in)) {
		assert_matches(line, STAMP "info thread [a-d] says a line of its own\n$");
		lines++;
	}
	cr_assert_eq(lines, THREADS * RECORDS);
	fclose(in);
}
