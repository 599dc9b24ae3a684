/* SPDX-License-Identifier: MIT */
/*
 * movers: which way of moving bytes between two sockets costs least, on this kernel and this processor.
 *
 *     movers [--bytes N] [--rounds N] [--only REGEX] [--lockstep N] [--check-all] [--pin] [--stall S]
 * [--json]
 *
 * Every way (movers_ways.c, movers_ring.c) on every kind of path: unix and TCP sockets, and kernel TLS where
 * the kernel has it. A round runs each pair once, so that what disturbs the machine disturbs all alike; the
 * table shows medians and, in brackets, the smallest and largest. CPU is the relay's alone. See movers.md.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "movers.h"

#define GB 1e9

enum { ROUNDS_MAX = 99 };

/* Records of 16384 bytes are what large writes give, 4096 what nginx does, 1400 what a careful server begins
 * with. */
static const struct path paths[] = {
    {"unix-tcp", LEG_UNIX, LEG_TCP, 0},
    {"tcp-unix", LEG_TCP, LEG_UNIX, 0},
    {"tcp-tcp", LEG_TCP, LEG_TCP, 0},
    {"unix-tls1.3", LEG_UNIX, LEG_KTLS13, 0},
    {"tls1.3-unix", LEG_KTLS13, LEG_UNIX, 16384},
    {"tls1.3-tls1.3", LEG_KTLS13, LEG_KTLS13, 16384},
    {"unix-tls1.2", LEG_UNIX, LEG_KTLS12, 0},
    {"tls1.2-unix", LEG_KTLS12, LEG_UNIX, 16384},
    {"tls1.2-tls1.2", LEG_KTLS12, LEG_KTLS12, 16384},
    {"tls1.3-unix/4096", LEG_KTLS13, LEG_UNIX, 4096},
    {"tls1.3-unix/1400", LEG_KTLS13, LEG_UNIX, 1400},
    {"tls1.2-unix/4096", LEG_KTLS12, LEG_UNIX, 4096},
    {"tls1.2-unix/1400", LEG_KTLS12, LEG_UNIX, 1400},
};

struct options {
	struct run_options run;
	unsigned rounds;
	const char *only; /* NULL: all */
	bool json;
};

/* One pair of path and mover, and what its rounds gave; or a path that this kernel does not have. */
struct row {
	const struct path *path;
	const struct mover *mover; /* NULL: no such path here */
	int absent;		   /* and why: -errno */
	struct sample *samples;	   /* owned; options.rounds of them */
};

struct range {
	double median, min, max;
};

static const char *const outcome_texts[OUTCOME_COUNT] = {"ok", "failed", "cut short", "corrupts", "hangs"};

/* ---- options ---- */

static uint64_t number_parse(const char *option, const char *text, uint64_t max)
{
	static const char suffixes[] = "KMG";
	char *end;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	const char *suffix = *end ? strchr(suffixes, *end) : NULL;
	for (size_t power = 0; suffix && power <= (size_t)(suffix - suffixes); power++)
		value = value > max / 1024 ? max + 1 : value * 1024;
	if (suffix)
		end++;
	if (errno || end == text || *end || *text == '-' || value == 0 || value > max)
		errx(2, "--%s %s: a number from 1 to %llu, K, M or G may follow", option, text,
		     (unsigned long long)max);
	return value;
}

static void usage(FILE *out)
{
	(void)fputs("usage: movers [OPTION ...]\n"
		    "  --bytes N      of one run (1000000000)\n"
		    "  --rounds N     of all rows, interleaved (5)\n"
		    "  --only REGEX   only rows of which \"PATH MOVER\" matches\n"
		    "  --lockstep N   the source sends N bytes at a time and waits until they have arrived:\n"
		    "                 what an interactive stream sees\n"
		    "  --check-all    compare every byte, not one block in 16\n"
		    "  --pin          a processor for the relay alone\n"
		    "  --stall S      no byte for S seconds: it hangs (10)\n"
		    "  --json         all samples, not a table\n"
		    "paths:",
		    out);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		(void)fprintf(out, " %s", paths[i].name);
	(void)fputs("\nmovers:\n", out);
	for (size_t i = 0; mover_at(i); i++)
		(void)fprintf(out, "  %-16s %s\n", mover_at(i)->name, mover_at(i)->what);
}

enum {
	OPT_BYTES = 256,
	OPT_ROUNDS,
	OPT_ONLY,
	OPT_LOCKSTEP,
	OPT_CHECK_ALL,
	OPT_PIN,
	OPT_STALL,
	OPT_JSON,
	OPT_HELP
};

static const struct option long_options[] = {
    {"bytes", required_argument, NULL, OPT_BYTES},   {"rounds", required_argument, NULL, OPT_ROUNDS},
    {"only", required_argument, NULL, OPT_ONLY},     {"lockstep", required_argument, NULL, OPT_LOCKSTEP},
    {"check-all", no_argument, NULL, OPT_CHECK_ALL}, {"pin", no_argument, NULL, OPT_PIN},
    {"stall", required_argument, NULL, OPT_STALL},   {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},	     {NULL, 0, NULL, 0},
};

static void option_take(struct options *options, int option)
{
	switch (option) {
	case OPT_BYTES:
		options->run.bytes = number_parse("bytes", optarg, INT64_MAX / 2);
		break;
	case OPT_ROUNDS:
		options->rounds = (unsigned)number_parse("rounds", optarg, ROUNDS_MAX);
		break;
	case OPT_ONLY:
		options->only = optarg;
		break;
	case OPT_LOCKSTEP:
		options->run.lockstep_bytes = (size_t)number_parse("lockstep", optarg, 65536);
		break;
	case OPT_CHECK_ALL:
		options->run.check_all = true;
		break;
	case OPT_PIN:
		options->run.pin = true;
		break;
	case OPT_STALL:
		options->run.stall_s = (unsigned)number_parse("stall", optarg, 3600);
		break;
	case OPT_JSON:
		options->json = true;
		break;
	case OPT_HELP:
		usage(stdout);
		exit(0);
	default:
		usage(stderr);
		exit(2);
	}
}

/* ---- results ---- */

static enum outcome row_outcome(const struct row *row, unsigned rounds, int *error)
{
	enum outcome worst = OUTCOME_OK;

	for (unsigned i = 0; i < rounds; i++) {
		if (row->samples[i].outcome > worst) {
			worst = row->samples[i].outcome;
			*error = row->samples[i].error;
		}
	}
	return worst;
}

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

enum column { COLUMN_ELAPSED, COLUMN_CPU, COLUMN_SWITCHES };

static struct range row_range(const struct row *row, enum column column, const struct options *options)
{
	const struct run_options *run = &options->run;
	double units = (double)run->bytes / (run->lockstep_bytes ? (double)run->lockstep_bytes : GB);
	unsigned rounds = options->rounds;
	double values[ROUNDS_MAX] = {0};

	for (unsigned i = 0; i < rounds; i++) {
		const struct sample *sample = &row->samples[i];
		double value = column == COLUMN_ELAPSED ? sample->elapsed_s
			       : column == COLUMN_CPU	? sample->cpu_s
							: (double)sample->switches;
		values[i] = value / units;
	}
	qsort(values, rounds, sizeof(values[0]), compare_doubles);
	double median = (values[(rounds - 1) / 2] + values[rounds / 2]) / 2;
	return (struct range){.median = median, .min = values[0], .max = values[rounds - 1]};
}

/* GB/s and CPU s/GB, or with --lockstep the microseconds of both for a step. */
static void row_print(const struct row *row, const struct options *options)
{
	bool steps = options->run.lockstep_bytes > 0;
	int error = 0;

	if (!row->mover) {
		printf("| %s | all | not in this kernel: %s | | |\n", row->path->name,
		       strerror(-row->absent));
		return;
	}
	enum outcome outcome = row_outcome(row, options->rounds, &error);
	printf("| %s | %s | ", row->path->name, row->mover->name);
	if (outcome != OUTCOME_OK) {
		printf("%s%s%s | | |\n", outcome_texts[outcome], outcome == OUTCOME_FAILED ? ": " : "",
		       outcome == OUTCOME_FAILED ? strerror(-error) : "");
		return;
	}
	struct range elapsed = row_range(row, COLUMN_ELAPSED, options);
	struct range cpu = row_range(row, COLUMN_CPU, options);
	struct range switches = row_range(row, COLUMN_SWITCHES, options);
	if (steps)
		printf("%.1f (%.1f-%.1f) | %.1f (%.1f-%.1f) | %.1f |\n", elapsed.median * 1e6,
		       elapsed.min * 1e6, elapsed.max * 1e6, cpu.median * 1e6, cpu.min * 1e6, cpu.max * 1e6,
		       switches.median);
	else
		printf("%#.3g (%#.3g-%#.3g) | %#.3g (%#.3g-%#.3g) | %.0f |\n", 1 / elapsed.median,
		       1 / elapsed.max, 1 / elapsed.min, cpu.median, cpu.min, cpu.max, switches.median);
}

/* "model name" of the first processor, or the machine's kind. */
static void machine_name(char *name, size_t size)
{
	struct utsname system;
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	(void)uname(&system);
	(void)snprintf(name, size, "%s", system.machine);
	while (file && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');
		if (strncmp(line, "model name", 10) == 0 && colon) {
			(void)snprintf(name, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
			break;
		}
	}
	if (file)
		(void)fclose(file);
}

static void table_print(const struct row *rows, size_t count, const struct options *options)
{
	const struct run_options *run = &options->run;
	struct utsname system;
	char machine[256];

	(void)uname(&system);
	machine_name(machine, sizeof(machine));
	printf("Linux %s, %s; %llu bytes a run, %u rounds%s", system.release, machine,
	       (unsigned long long)run->bytes, options->rounds,
	       run->pin ? ", relay on its own processor" : "");
	if (run->lockstep_bytes)
		printf(", in steps of %zu bytes", run->lockstep_bytes);
	printf("\n\n| path | mover | %s | switches/%s |\n|---|---|---|---|---|\n",
	       run->lockstep_bytes ? "us/step | CPU us/step" : "GB/s | CPU s/GB",
	       run->lockstep_bytes ? "step" : "GB");
	for (size_t i = 0; i < count; i++)
		row_print(&rows[i], options);
}

static void json_row(const struct row *row, unsigned rounds)
{
	printf("\"mover\": \"%s\", \"samples\": [", row->mover->name);
	for (unsigned round = 0; round < rounds; round++) {
		const struct sample *sample = &row->samples[round];
		printf("%s\n  {\"outcome\": \"%s\", \"errno\": %d, \"elapsed_s\": %.6f, \"cpu_s\": %.6f, "
		       "\"switches\": %llu}",
		       round ? "," : "", outcome_texts[sample->outcome], -sample->error, sample->elapsed_s,
		       sample->cpu_s, (unsigned long long)sample->switches);
	}
	printf("]}");
}

static void json_print(const struct row *rows, size_t count, const struct options *options)
{
	struct utsname system;
	char machine[256];

	(void)uname(&system);
	machine_name(machine, sizeof(machine));
	printf("{\"kernel\": \"%s\", \"machine\": \"%s\", \"bytes\": %llu, \"lockstep\": %zu, \"rows\": [",
	       system.release, machine, (unsigned long long)options->run.bytes, options->run.lockstep_bytes);
	for (size_t i = 0; i < count; i++) {
		printf("%s\n {\"path\": \"%s\", ", i ? "," : "", rows[i].path->name);
		if (rows[i].mover)
			json_row(&rows[i], options->rounds);
		else
			printf("\"absent\": %d}", -rows[i].absent);
	}
	printf("]}\n");
}

/* ---- rows ---- */

static bool row_wanted(const regex_t *only, const struct path *path, const struct mover *mover)
{
	char name[128];

	(void)snprintf(name, sizeof(name), "%s %s", path->name, mover->name);
	return !only || regexec(only, name, 0, NULL, 0) == 0;
}

static struct row *row_add(struct row *rows, size_t *count, const struct path *path,
			   const struct mover *mover)
{
	struct row *row = &rows[(*count)++];

	*row = (struct row){.path = path, .mover = mover};
	return row;
}

/* A path that is not in this kernel has one row for all the movers that were asked for. */
static void rows_of_path(struct row *rows, size_t *count, const struct path *path, const regex_t *only,
			 unsigned rounds)
{
	int absent = path_probe(path);

	for (size_t i = 0; mover_at(i); i++) {
		if (!row_wanted(only, path, mover_at(i)))
			continue;
		if (absent) {
			row_add(rows, count, path, NULL)->absent = absent;
			return;
		}
		struct row *row = row_add(rows, count, path, mover_at(i));
		row->samples = calloc(rounds, sizeof(*row->samples));
		if (!row->samples)
			err(1, "samples");
	}
}

static size_t rows_make(struct row **rows, const struct options *options)
{
	const size_t paths_count = sizeof(paths) / sizeof(paths[0]);
	size_t movers_count = 0, count = 0;
	regex_t only;

	while (mover_at(movers_count))
		movers_count++;
	*rows = calloc(paths_count * movers_count, sizeof(**rows));
	if (!*rows)
		err(1, "rows");
	if (options->only && regcomp(&only, options->only, REG_EXTENDED | REG_NOSUB))
		errx(2, "--only %s: no regular expression", options->only);
	for (size_t i = 0; i < paths_count; i++)
		rows_of_path(*rows, &count, &paths[i], options->only ? &only : NULL, options->rounds);
	if (options->only)
		regfree(&only);
	if (count == 0)
		errx(2, "--only %s: no row matches", options->only);
	return count;
}

/* What hangs or fails does so once: its further rounds are not run. */
static void rows_run(struct row *rows, size_t count, const struct options *options)
{
	for (unsigned round = 0; round < options->rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			struct row *row = &rows[i];
			if (!row->mover)
				continue;
			if (round > 0 && row->samples[round - 1].outcome != OUTCOME_OK)
				row->samples[round] = row->samples[round - 1];
			else
				row->samples[round] = run_once(row->path, row->mover, &options->run);
		}
	}
}

int main(int argc, char **argv)
{
	struct options options = {.run = {.bytes = 1000 * 1000 * 1000, .stall_s = 10}, .rounds = 5};
	struct row *rows;
	bool good = true;
	int option, error;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		option_take(&options, option);
	if (optind < argc) {
		usage(stderr);
		return 2;
	}
	size_t count = rows_make(&rows, &options);
	rows_run(rows, count, &options);
	if (options.json)
		json_print(rows, count, &options);
	else
		table_print(rows, count, &options);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].mover)
			good = good && row_outcome(&rows[i], options.rounds, &error) == OUTCOME_OK;
		free(rows[i].samples);
	}
	free(rows);
	return good ? 0 : 1;
}
