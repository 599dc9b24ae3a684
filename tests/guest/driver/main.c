/* SPDX-License-Identifier: MIT */
/*
 * driver: runs headgate before a stand-in engine and drives it by clients whose TLS is never in the kernel.
 *
 *     driver --headgate PATH [options] [FILTER...]
 *
 * A FILTER is a part of a case's name. Each case is one line, `ok NAME` or `not ok NAME: reason`; the last
 * line is `driver: N passed, N failed, N skipped`; the exit status is 0 only when nothing failed. It needs
 * nothing but a directory to write in and loopback, so it runs as the only program of a guest.
 *
 * Files: clock, body (pattern and framing), peer (one end of a connection, TLS over memory), record (records
 * that OpenSSL would not write), head (HTTP), certs, engine (the stand-in), gate (headgate as a child), run
 * (what cases share), case_* (the cases, a function each).
 */
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "run.h"

static const char usage[] =
    "usage: driver --headgate PATH [--ktls on|off|auto] [--event uring|epoll] [--mover auto|splice|copy]\n"
    "              [--carried any|userspace|kernel] [--core] [--scale N] [--keep] [--list] [FILTER...]\n"
    "  --carried  who must carry the bytes (default: by --ktls and by what the kernel has)\n"
    "  --core     the short selection\n"
    "  --scale    divides the sizes of streams that stand still (default: 1, on slow machines 4)\n"
    "  --keep     leaves the directory with headgate's logs\n";

struct settings {
	const char *program, *ktls, *event, *mover, *carried;
	unsigned scale;
	bool core, list, keep;
	char **filters;
	int filters_count;
};

static bool is_one_of(const char *value, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(value, *words) == 0)
			return true;
	return false;
}

static bool settings_read(struct settings *settings, int argc, char **argv)
{
	enum { HEADGATE = 1, KTLS, EVENT, MOVER, CARRIED, SCALE, CORE, LIST, KEEP };
	static const struct option options[] = {{"headgate", 1, NULL, HEADGATE}, {"ktls", 1, NULL, KTLS},
						{"event", 1, NULL, EVENT},	 {"mover", 1, NULL, MOVER},
						{"carried", 1, NULL, CARRIED},	 {"scale", 1, NULL, SCALE},
						{"core", 0, NULL, CORE},	 {"list", 0, NULL, LIST},
						{"keep", 0, NULL, KEEP},	 {NULL, 0, NULL, 0}};
	static const char *const ktls[] = {"on", "off", "auto", NULL},
				 *const event[] = {"uring", "epoll", NULL},
				 *const mover[] = {"auto", "splice", "copy", NULL},
				 *const carried[] = {"any", "userspace", "kernel", NULL};
	int option;

	*settings = (struct settings){.ktls = "auto", .event = "uring", .mover = "auto"};
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case HEADGATE:
			settings->program = optarg;
			break;
		case KTLS:
			settings->ktls = optarg;
			break;
		case EVENT:
			settings->event = optarg;
			break;
		case MOVER:
			settings->mover = optarg;
			break;
		case CARRIED:
			settings->carried = optarg;
			break;
		case SCALE:
			settings->scale = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case CORE:
			settings->core = true;
			break;
		case LIST:
			settings->list = true;
			break;
		case KEEP:
			settings->keep = true;
			break;
		default:
			return false;
		}
	}
	settings->filters = argv + optind;
	settings->filters_count = argc - optind;
	return (settings->program || settings->list) && is_one_of(settings->ktls, ktls) &&
	       is_one_of(settings->event, event) && is_one_of(settings->mover, mover) &&
	       (!settings->carried || is_one_of(settings->carried, carried));
}

static bool is_selected(const struct settings *settings, const struct test *test)
{
	if (settings->core && !test->core)
		return false;
	for (int i = 0; i < settings->filters_count; i++)
		if (strstr(test->name, settings->filters[i]))
			return true;
	return settings->filters_count == 0;
}

/* Whether the kernel has TLS for sockets at all. */
static bool kernel_has_tls(void)
{
	char text[256] = "";
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_available_ulp", "re");

	if (!file)
		return false;
	bool has = fgets(text, sizeof(text), file) && strstr(text, "tls");
	(void)fclose(file);
	return has;
}

static enum carried who_carries(const struct settings *settings)
{
	const char *carried = settings->carried;

	if (carried)
		return strcmp(carried, "kernel") == 0 ? CARRIED_KERNEL
		       : strcmp(carried, "any") == 0  ? CARRIED_ANY
						      : CARRIED_USERSPACE;
	if (strcmp(settings->ktls, "on") == 0)
		return CARRIED_KERNEL;
	/* With auto it depends on the version of headgate's OpenSSL, which is not known here. */
	return strcmp(settings->ktls, "auto") == 0 && kernel_has_tls() ? CARRIED_ANY : CARRIED_USERSPACE;
}

static int driver_open(struct driver *driver, const struct settings *settings)
{
	const char *tmp = getenv("TMPDIR");
	struct rlimit files;

	*driver = (struct driver){.program = settings->program,
				  .ktls = settings->ktls,
				  .event = settings->event,
				  .mover = settings->mover,
				  .drain_timeout = DRAIN_TIMEOUT,
				  .carried = who_carries(settings),
				  .slowness = clock_slowness()};
	driver->scale = settings->scale ? settings->scale : driver->slowness > 6 ? 4 : 1;
	for (int i = 0; i < LEG_COUNT; i++)
		driver->engines[i].fd = -1;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	snprintf(driver->dir, sizeof(driver->dir), "%s/guest-driver-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(driver->dir)) {
		fprintf(stderr, "driver: %s: %s\n", driver->dir, strerror(errno));
		driver->dir[0] = '\0';
		return -errno;
	}
	if (certs_make(&driver->certs, driver->dir) < 0)
		return -EIO;
	driver->client_ctx = certs_client_ctx(&driver->certs);
	return driver->client_ctx ? 0 : -EIO;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void driver_close(struct driver *driver, bool keep)
{
	SSL_CTX_free(driver->client_ctx);
	certs_free(&driver->certs);
	if (keep)
		printf("# logs are in %s\n", driver->dir);
	else if (driver->dir[0])
		(void)nftw(driver->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static bool report(const char *name, bool good, const char *reason, uint64_t took_ms, const struct run *run)
{
	if (good && run)
		printf("ok %s (%" PRIu64 " ms; CPU of headgate %" PRIu64 ", of its peers %" PRIu64 ")\n",
		       name, took_ms, run->cpu_us / 1000, run->own_cpu_us / 1000);
	else if (good)
		printf("ok %s (%" PRIu64 " ms)\n", name, took_ms);
	else
		printf("not ok %s: %s\n", name, reason);
	(void)fflush(stdout);
	return good;
}

/* Runs what is selected; the number of failures. */
static unsigned run_all(struct driver *driver, const struct test_list *list, const struct settings *settings,
			unsigned *passed)
{
	struct run *run = calloc(1, sizeof(*run));
	unsigned failed = 0;
	char reason[600];

	for (size_t i = 0; run && i < list->count; i++) {
		const struct test *test = &list->tests[i];
		if (!is_selected(settings, test))
			continue;
		uint64_t start_ms = clock_now_ms();
		run_test(run, driver, test);
		bool good = report(test->name, !run->failed, run->reason, clock_now_ms() - start_ms, run);
		*passed += good;
		failed += !good;
	}
	for (unsigned leg = 0; leg < LEG_COUNT; leg++) {
		bool used = driver->gates[leg].pid != 0;
		char name[40];
		snprintf(name, sizeof(name), "finish/%s", run_leg_name(leg));
		uint64_t start_ms = clock_now_ms();
		bool good = run_finish(driver, leg, reason, sizeof(reason));
		if (!used)
			continue;
		(void)report(name, good, reason, clock_now_ms() - start_ms, NULL);
		*passed += good;
		failed += !good;
	}
	free(run);
	return failed;
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct test_list list = {0};
	struct driver driver;
	unsigned passed = 0, failed = 1, selected = 0;

	if (!settings_read(&settings, argc, argv)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	cases_bulk(&list);
	cases_message(&list);
	cases_tunnel(&list);
	cases_arm(&list);
	cases_revoke(&list);
	cases_drain(&list);
	cases_small(&list);
	cases_urgent(&list);
	cases_cut(&list);
	cases_control(&list);
	cases_garbage(&list);
	cases_stall(&list);
	cases_flood(&list);
	cases_engine(&list);
	cases_idle(&list);
	for (size_t i = 0; i < list.count; i++) {
		bool is = is_selected(&settings, &list.tests[i]);
		selected += is;
		if (is && settings.list)
			puts(list.tests[i].name);
	}
	if (settings.list || selected == 0) {
		free(list.tests);
		if (selected == 0)
			fprintf(stderr, "driver: no case has such a name\n");
		return selected == 0 ? 2 : 0;
	}
	if (driver_open(&driver, &settings) == 0) {
		printf("# --ktls %s --event %s --mover %s, %s, %.1f times slower than a server processor, "
		       "stalled streams / %u\n",
		       driver.ktls, driver.event, driver.mover,
		       driver.carried == CARRIED_KERNEL	     ? "TLS must be in the kernel"
		       : driver.carried == CARRIED_USERSPACE ? "TLS must be in userspace"
							     : "TLS may be anywhere",
		       driver.slowness, driver.scale);
		failed = run_all(&driver, &list, &settings, &passed);
	}
	driver_close(&driver, settings.keep);
	free(list.tests);
	/* A case that was selected and not run would be a skipped one. */
	unsigned done = passed + failed;
	printf("driver: %u passed, %u failed, %u skipped\n", passed, failed,
	       done < selected ? selected - done : 0);
	return failed == 0 && passed > 0 ? 0 : 1;
}
