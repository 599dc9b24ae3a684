/* SPDX-License-Identifier: MIT */
/* run_test.c: starts what a case needs, runs it, and looks after headgate behind it. */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

#define CIRCLES_GRACE_US 40000.0
#define CPU_FACTOR	 3.0

static const struct {
	const char *name;
	bool tls;
	enum certs_engine cert;
	int version;
} legs[LEG_COUNT] = {
    [LEG_UNIX] = {"unix", false, CERTS_ENGINE_GOOD, 0},
    [LEG_TCP] = {"tcp", false, CERTS_ENGINE_GOOD, 0},
    [LEG_TLS13] = {"tls13", true, CERTS_ENGINE_GOOD, TLS1_3_VERSION},
    [LEG_TLS12] = {"tls12", true, CERTS_ENGINE_GOOD, TLS1_2_VERSION},
    [LEG_FOREIGN_CA] = {"foreign-ca", true, CERTS_ENGINE_FOREIGN_CA, TLS1_3_VERSION},
    [LEG_WRONG_NAME] = {"wrong-name", true, CERTS_ENGINE_WRONG_NAME, TLS1_3_VERSION},
};

const char *run_leg_name(enum leg_kind leg)
{
	return legs[leg].name;
}

void test_add(struct test_list *list, struct test test, const char *name_format, ...)
{
	va_list args;

	if (list->count == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 64;
		list->tests = realloc(list->tests, list->cap * sizeof(*list->tests));
		if (!list->tests)
			abort();
	}
	va_start(args, name_format);
	(void)vsnprintf(test.name, sizeof(test.name), name_format, args);
	va_end(args);
	list->tests[list->count++] = test;
}

int run_prepare(struct driver *driver, enum leg_kind leg)
{
	struct gate *gate = &driver->gates[leg];
	struct engine *engine = &driver->engines[leg];
	char path[512];

	if (gate->pid || driver->start_error[leg])
		return driver->start_error[leg];
	if (engine->fd < 0) {
		if (legs[leg].tls)
			driver->engine_ctx[leg] =
			    certs_engine_ctx(&driver->certs, legs[leg].cert, legs[leg].version);
		if (legs[leg].tls && !driver->engine_ctx[leg])
			return -ENOMEM;
		snprintf(path, sizeof(path), "%s/engine.sock", driver->dir);
		int result = engine_start(engine, leg == LEG_UNIX ? path : NULL, driver->engine_ctx[leg]);
		if (result < 0)
			return result;
	}
	const struct gate_options options = {.program = driver->program,
					     .ktls = driver->ktls,
					     .event = driver->event,
					     .mover = driver->mover,
					     .dir = driver->dir,
					     .engine_url = engine->url,
					     .name = legs[leg].name,
					     .drain_timeout = driver->drain_timeout};
	int result = gate_start(gate, &options, clock_now_ms() + (uint64_t)(LONG_MS * driver->slowness));
	driver->start_error[leg] = result;
	if (result == 0)
		driver->idle_sockets[leg] = gate_files(gate).sockets;
	return result;
}

/* Every descriptor is given back, and so is every connection to the engine. */
static void expect_quiet(struct run *run)
{
	uint64_t deadline_ms = run_deadline(run, PROMPTLY_MS);
	unsigned idle = run->driver->idle_sockets[run->test->leg];
	struct gate_files files = {0};

	run_expect(run, engine_wait_connections(run->engine, 0, deadline_ms),
		   "headgate still has connections to the engine, though the clients are gone");
	do {
		files = gate_files(run->gate);
		if (files.sockets <= idle)
			return;
		clock_sleep_ms(5);
	} while (clock_now_ms() < deadline_ms);
	run_expect(run, false, "headgate holds %u sockets, %u when idle, though the clients are gone",
		   files.sockets, idle);
}

static const char key_updates[] = "headgate_key_updates_total",
		  truncations[] = "headgate_truncated_total{side=\"client\"}";

static void counted_begin(struct run *run, struct run_counted *counted, const char *name)
{
	run_expect(run, gate_metric(run->gate, name, &counted->before), "/metrics does not say %s", name);
}

/* Behind expect_quiet(): no connection is left that could be counted later, or twice. */
static void counted_end(struct run *run, const struct run_counted *counted, const char *name)
{
	uint64_t now = 0;

	if (!counted->once)
		return;
	bool said = gate_metric(run->gate, name, &now);
	run_expect(run, said && now == counted->before + 1,
		   "%s is %" PRIu64 " behind this case, not %" PRIu64, name, now, counted->before + 1);
}

static uint64_t own_cpu_us(void)
{
	struct timespec used;

	return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0
		   ? (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000
		   : 0;
}

/*
 * Hardly a case makes headgate work more than three times as much as its client and engine together, which
 * are in this process: whoever turns in circles does, also while bytes move. A headgate that the case started
 * itself counts from there on.
 */
static void expect_no_circles(struct run *run, pid_t pid, uint64_t gate_us, uint64_t own_us)
{
	double factor = run->test->cpu_factor ? run->test->cpu_factor : CPU_FACTOR;

	gate_us = gate_cpu_us(run->gate) - (run->gate->pid == pid ? gate_us : run->gate->start_cpu_us);
	own_us = own_cpu_us() - own_us;
	run->cpu_us = gate_us;
	run->own_cpu_us = own_us;
	(void)run_expect(
	    run, (double)gate_us <= factor * (double)own_us + CIRCLES_GRACE_US * run->driver->slowness,
	    "headgate used %" PRIu64 " ms of CPU, its client and engine %" PRIu64, gate_us / 1000,
	    own_us / 1000);
}

void run_test(struct run *run, struct driver *driver, const struct test *test)
{
	*run = (struct run){.driver = driver,
			    .test = test,
			    .engine = &driver->engines[test->leg],
			    .gate = &driver->gates[test->leg]};
	int result = run_prepare(driver, test->leg);
	if (!run_expect(run, result == 0, "cannot start engine and headgate: %s", strerror(-result)))
		return;
	pid_t pid = run->gate->pid;
	uint64_t gate_us = gate_cpu_us(run->gate), own_us = own_cpu_us();
	run->log_from = gate_log_end(run->gate);
	counted_begin(run, &run->key_updates, key_updates);
	counted_begin(run, &run->truncations, truncations);
	test->run(run);
	for (unsigned i = 0; i < run->clients_count; i++)
		peer_free(run->clients[i]);
	engine_unpark(run->engine);
	if (run_expect(run, gate_is_alive(run->gate), "headgate has died")) {
		expect_quiet(run);
		expect_no_circles(run, pid, gate_us, own_us);
		counted_end(run, &run->key_updates, key_updates);
		counted_end(run, &run->truncations, truncations);
	}
	if (run->failed)
		gate_log_show(run->gate, run->log_from);
	if (!gate_is_alive(run->gate))
		(void)gate_stop(run->gate, clock_now_ms()); /* the next case gets a new one */
}

/* Stops headgate; what it did and what its log says must be as it should. */
static bool stop_gate(struct driver *driver, enum leg_kind leg, char *reason, size_t reason_cap)
{
	static const char *const bad_words[] = {"Sanitizer", "runtime error:", "Assertion", "panic"};
	struct gate *gate = &driver->gates[leg];
	bool good = true;
	char line[300];

	if (!gate->pid)
		return true;
	uint64_t start_ms = clock_now_ms();
	if (gate_stop(gate, start_ms + (uint64_t)(5000 * driver->slowness)) < 0) {
		good = false;
		snprintf(reason, reason_cap, "headgate for %s does not end with 0 after SIGTERM",
			 legs[leg].name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad_words); i++) {
		if (!gate_log_find(gate, 0, bad_words[i], NULL, line, sizeof(line)))
			continue;
		good = false;
		snprintf(reason, reason_cap, "in headgate's log: %s", line);
	}
	if (!good)
		gate_log_show(gate, 0);
	return good;
}

bool run_renew(struct run *run)
{
	char reason[400];
	bool stopped = stop_gate(run->driver, run->test->leg, reason, sizeof(reason));

	if (!run_expect(run, stopped, "%s", reason))
		return false;
	int result = run_prepare(run->driver, run->test->leg);
	run->log_from = 0;
	return run_expect(run, result == 0, "cannot start headgate again: %s", strerror(-result));
}

bool run_finish(struct driver *driver, enum leg_kind leg, char *reason, size_t reason_cap)
{
	bool good = stop_gate(driver, leg, reason, reason_cap);

	engine_stop(&driver->engines[leg]);
	SSL_CTX_free(driver->engine_ctx[leg]);
	driver->engine_ctx[leg] = NULL;
	return good;
}
