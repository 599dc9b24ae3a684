/* SPDX-License-Identifier: MIT */
/* gate.h: headgate as a child process: its start and stop, its log, and what it costs, from /proc. */
#ifndef GUEST_GATE_H
#define GUEST_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GATE_TOKEN "hg_guest_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
/* Of the token file, as long as the other one; see gate_write_tokens(). */
#define GATE_PASSING_TOKEN "hg_passing_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd"

struct gate_options {
	const char *program, *ktls, *event, *mover, *dir; /* dir has the certificates and gets the log */
	const char *engine_url, *name, *drain_timeout;
};

struct gate {
	pid_t pid; /* 0 when it does not run */
	int port;
	uint64_t start_cpu_us; /* what it had used when it listened */
	char log_path[512];
	char admin_path[108];
	char tokens_path[512];
};

/* Starts and waits until it listens. 0 or -errno, the reason on standard error. */
int gate_start(struct gate *gate, const struct gate_options *options, uint64_t deadline_ms);
/* SIGTERM. 0 when it exited with 0 in time; else -1, and it was killed. */
int gate_stop(struct gate *gate, uint64_t deadline_ms);
/* The same for one that has got its SIGTERM. */
int gate_wait(struct gate *gate, uint64_t deadline_ms);
bool gate_is_alive(const struct gate *gate);

/* Whether it was built with a sanitizer, whose memory is none of its own. */
bool gate_is_sanitized(const struct gate *gate);

/* Writes the token file anew, with GATE_PASSING_TOKEN in it or without. headgate soon follows. */
bool gate_write_tokens(const struct gate *gate, bool has_passing);

/* CPU time of all its threads. */
uint64_t gate_cpu_us(const struct gate *gate);
uint64_t gate_rss_bytes(const struct gate *gate);

struct gate_files {
	unsigned sockets, pipes, others;
};

struct gate_files gate_files(const struct gate *gate);

/* What GET /metrics says of `name`, labels and all. False when it does not. */
bool gate_metric(const struct gate *gate, const char *name, uint64_t *value);

/* The log's present length: where to look from. */
size_t gate_log_end(const struct gate *gate);
/*
 * The last line behind `from` that contains both texts (`second` may be NULL). False when there is none;
 * gate_log_wait() waits for one.
 */
bool gate_log_find(const struct gate *gate, size_t from, const char *first, const char *second, char *line,
		   size_t line_cap);
bool gate_log_wait(const struct gate *gate, size_t from, const char *first, const char *second, char *line,
		   size_t line_cap, uint64_t deadline_ms);
/* How many lines of the whole log contain the text. */
unsigned gate_log_count(const struct gate *gate, const char *text);
/* Shows what is behind `from` as comments, at most the last lines of it. */
void gate_log_show(const struct gate *gate, size_t from);

#endif
