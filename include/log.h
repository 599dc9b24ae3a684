/* SPDX-License-Identifier: MIT */
/*
 * log.h: one line a record on standard error, `time level message`.
 *
 * Callers give no token, no query string and no body to it: a record names principals by token
 * name and requests by method and path. Bytes that are not printable ASCII are written as \xNN, so
 * that what a client sends cannot forge a line or drive a terminal. Safe from every thread: each
 * record is one write(2). When whoever reads standard error does not keep up, records are lost rather than a
 * worker held up. Layer 0.
 */
#ifndef HEADGATE_LOG_H
#define HEADGATE_LOG_H

#include "compiler.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Records above `level` are dropped. Set once, before threads start. */
void log_set_level(enum log_level level);

/* "error", "warn", "info", "debug" -> level. Returns 0 or -EINVAL. */
int log_level_parse(const char *name, enum log_level *level);

/* Whether a record of that level would be written (to save the work of composing it). */
int log_enabled(enum log_level level);

/* Writes one record; a longer one than 2 KiB is cut. errno is kept. */
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
