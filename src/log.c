/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define LOG_RECORD_MAX ((size_t)2048)
/* What a record that did not fit ends with. */
#define LOG_CUT_MARK " [cut]"

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

/* The program's one piece of global mutable state: written once, before there is a second thread. */
static enum log_level current_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	current_level = level;
}

int log_level_parse(const char *name, enum log_level *level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

int log_enabled(enum log_level level)
{
	return level <= current_level;
}

/* Appends `message` with everything but printable ASCII escaped; false when it was cut. */
static bool append_escaped(char *record, size_t *used, size_t limit, const char *message)
{
	static const char hex[] = "0123456789abcdef";

	for (; *message; message++) {
		unsigned char c = (unsigned char)*message;

		if (c >= 0x20 && c < 0x7f) {
			if (*used + 1 > limit)
				return false;
			record[(*used)++] = (char)c;
		} else {
			if (*used + 4 > limit)
				return false;
			record[(*used)++] = '\\';
			record[(*used)++] = 'x';
			record[(*used)++] = hex[c >> 4];
			record[(*used)++] = hex[c & 15];
		}
	}
	return true;
}

static size_t write_prefix(char *record, size_t cap, enum log_level level)
{
	struct timespec now;
	struct tm tm;
	int length;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	length = snprintf(record, cap, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s ", tm.tm_year + 1900,
			  tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000,
			  level_names[level]);
	return length < 0 ? 0 : (size_t)length;
}

void log_write(enum log_level level, const char *format, ...)
{
	char message[LOG_RECORD_MAX], record[LOG_RECORD_MAX];
	const size_t limit = sizeof(record) - sizeof(LOG_CUT_MARK); /* leaves room for mark and newline */
	int saved_errno = errno, length;
	bool whole;
	size_t used;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	length = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (length < 0)
		strlcpy(message, "(a record that could not be formatted)", sizeof(message));

	used = write_prefix(record, sizeof(record), level);
	whole = append_escaped(record, &used, limit, message);
	if (!whole || length >= (int)sizeof(message)) {
		memcpy(record + used, LOG_CUT_MARK, sizeof(LOG_CUT_MARK) - 1);
		used += sizeof(LOG_CUT_MARK) - 1;
	}
	record[used++] = '\n';
	/* Nobody can be told when this fails, and a full pipe must not hold a worker up. */
	struct pollfd pollfd = {.fd = STDERR_FILENO, .events = POLLOUT};
	if (poll(&pollfd, 1, 0) == 1)
		while (write(STDERR_FILENO, record, used) < 0 && errno == EINTR)
			;
	errno = saved_errno;
}
