/* SPDX-License-Identifier: MIT */
/*
 * case_small.c: sockets that are full before TCP has filled a segment.
 *
 * With less room than a record the kernel holds what it has encrypted, and the end of a stream must not
 * overtake it. And with splice(2) TCP holds back what is not the last of a pipe: when the socket is full
 * then, nobody sends it (Linux before 6.5), or the persist timer alone does, which waits longer and longer.
 * On Ethernet the defaults are enough for that: a send buffer of 46 KB and a peer that announces a window of
 * 128 KiB, for TCP makes segments of half a window then.
 *
 * What the kernel holds is carried over by a worker thread of its own, and on a busy machine that has its
 * turn long after poll(2) has called the socket writable. In the busy cases the kernel's workers come last.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "run.h"

#define ROUNDS_OUT	   20
#define ROUNDS_IN	   6 /* slow ones */
#define ROUNDS_BUSY	   4
#define SPINNER_NICE	   10
#define BYTES		   200000
#define RECORD_BYTES	   16000
#define RESET_WINDOW_BYTES 2048
#define WHOLE_MS	   (5 * LONG_MS) /* workers are waited for, or the persist timer */
#define HELD_MS		   200
#define LATE_MS		   14000 /* they linger for 10 s */
#define RMEM		   "/proc/sys/net/ipv4/tcp_rmem"
#define WMEM		   "/proc/sys/net/ipv4/tcp_wmem"
#define TEXT_CAP	   100
#define MTU_BEFORE	   65536 /* the kernel's default for the loopback */

static const struct setting {
	const char *rmem, *wmem;
	int mtu;
} setting_small = {"4096 8192 12000\n", "4096 8192 12000\n", 1500},
  setting_small_long = {"4096 8192 12000\n", "4096 8192 12000\n", MTU_BEFORE},
  setting_wide = {"4096 262144 4194304\n", "4096 16384 4194304\n", 1500};

static bool read_setting(const char *path, char *text)
{
	FILE *file = fopen(path, "re");
	bool good = file && fgets(text, TEXT_CAP, file);

	if (file)
		(void)fclose(file);
	return good;
}

static bool set_loopback_mtu(int bytes)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_mtu = bytes};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 && ioctl(fd, SIOCSIFMTU, &request) == 0;

	if (fd >= 0)
		(void)close(fd);
	return good;
}

/* All worker threads that the kernel has now; more may come. */
static bool set_workers_policy(int policy)
{
	const struct sched_param param = {0};
	unsigned count = 0, refused = 0;
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	while (proc && (entry = readdir(proc))) {
		char path[300], name[20] = "";
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		FILE *file = atoi(entry->d_name) > 0 ? fopen(path, "re") : NULL;
		bool is_worker = file && fgets(name, sizeof(name), file) && strncmp(name, "kworker/", 8) == 0;
		if (file)
			(void)fclose(file);
		if (!is_worker)
			continue;
		if (sched_setscheduler(atoi(entry->d_name), policy, &param) == 0)
			count++;
		else if (errno != ESRCH) /* it has ended meanwhile */
			refused++;
	}
	if (proc)
		(void)closedir(proc);
	return count > 0 && refused == 0;
}

/* Somebody who always has something to do, and goes before the workers, not before headgate. */
static pid_t start_spinner(void)
{
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		(void)setpriority(PRIO_PROCESS, 0, SPINNER_NICE);
		for (;;)
			;
	}
	return pid;
}

/* The client has no input; the engine's output ends behind so many bytes. */
static void end_of_output(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = run_client(run, 0);
	struct body_in in;
	struct transfer transfer = {.end_out = true, .in = &in, .until_end = true};
	char query[100];

	if (!client)
		return;
	snprintf(query, sizeof(query), "id=%" PRIu64 "&seed=%" PRIu64 "&after=%d", id, id, BYTES);
	if (!run_tunnel(run, client, query))
		return;
	body_in_init(&in, FRAMING_RAW, id + 2, BYTES);
	int result = transfer_by(client, &transfer, run_deadline(run, WHOLE_MS));
	run_expect(run, result == 0 && body_in_is_whole(&in) && client->ending == ENDING_CLEAN,
		   "%" PRIu64 " of %d bytes came: %s, %s", in.done_bytes, BYTES, strerror(-result),
		   ending_name(client->ending));
}

/* The engine has no output; the client's input ends behind so many bytes. */
static void end_of_input(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = run_client(run, 0);
	struct body_out out;
	struct transfer transfer = {.out = &out, .end_out = true};
	char query[100];

	if (!client)
		return;
	snprintf(query, sizeof(query), "id=%" PRIu64 "&seed=%" PRIu64 "&end=1&want=%d", id, id, BYTES);
	if (!run_tunnel(run, client, query))
		return;
	body_out_init(&out, FRAMING_RAW, id, BYTES);
	int result = transfer_by(client, &transfer, run_deadline(run, WHOLE_MS));
	if (run_expect(run, result == 0 && transfer.out_error == 0, "cannot send: %s, %s", strerror(-result),
		       strerror(-transfer.out_error)))
		run_engine_got(run, id, BYTES, ENDING_CLEAN);
}

static void with_setting(struct run *run, const struct setting *setting, unsigned rounds,
			 void (*round_of)(struct run *run))
{
	char rmem[TEXT_CAP], wmem[TEXT_CAP];

	if (!run_expect(run, read_setting(RMEM, rmem) && read_setting(WMEM, wmem), "cannot read " WMEM))
		return;
	run_expect(run, run_write_setting(RMEM, setting->rmem) && run_write_setting(WMEM, setting->wmem),
		   "cannot set " WMEM);
	run_expect(run, set_loopback_mtu(setting->mtu), "cannot set the loopback's MTU: %s", strerror(errno));
	for (unsigned round = 0; round < rounds && !run->failed; round++)
		round_of(run);
	run_expect(run, run_write_setting(RMEM, rmem) && run_write_setting(WMEM, wmem), "cannot set " WMEM);
	run_expect(run, set_loopback_mtu(MTU_BEFORE), "cannot set the loopback's MTU: %s", strerror(errno));
}

static void end_of_stream(struct run *run, const struct setting *setting)
{
	if (run->test->leg == LEG_UNIX)
		with_setting(run, setting, ROUNDS_OUT, end_of_output);
	else
		with_setting(run, setting, ROUNDS_IN, end_of_input);
}

static void small_buffers(struct run *run)
{
	end_of_stream(run, &setting_small);
}

static void small_buffers_busy(struct run *run)
{
	pid_t spinner = start_spinner();

	if (run_expect(run, spinner > 0 && set_workers_policy(SCHED_IDLE), "cannot have the workers wait"))
		with_setting(run, &setting_small, ROUNDS_BUSY,
			     run->test->leg == LEG_UNIX ? end_of_output : end_of_input);
	run_expect(run, set_workers_policy(SCHED_OTHER), "cannot have the workers go on");
	if (spinner > 0) {
		(void)kill(spinner, SIGKILL);
		(void)waitpid(spinner, NULL, 0);
	}
}

/* An output of one record, of which the kernel holds a part; the client reads nothing, and goes. The runner
 * looks for connections that are left. */
static void reset_while_held(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = run_client(run, RESET_WINDOW_BYTES);
	char query[100];

	if (!client)
		return;
	snprintf(query, sizeof(query), "id=%" PRIu64 "&seed=%" PRIu64 "&after=%d", id, id, RECORD_BYTES);
	if (!run_tunnel(run, client, query))
		return;
	clock_sleep_ms((unsigned)run_stretch_ms(run, HELD_MS));
	run_forget(run, client);
	peer_reset(client);
}

/* A kept connection's last answer, of which the kernel holds a part; the client ends its direction, and reads
 * when a connection without a token would no longer linger. */
static void read_late(struct run *run)
{
	uint64_t id = run_new_id(run);
	struct peer *client = run_client(run, RESET_WINDOW_BYTES);
	char request[200], line[500];

	snprintf(request, sizeof(request), "GET /containers/json?id=%" PRIu64 "&seed=%" PRIu64 "&bytes=%d",
		 id, id, RECORD_BYTES);
	if (!client || !run_ask(run, client, request, NULL))
		return;
	bool over = gate_log_wait(run->gate, run->log_from, "/containers/json 200", NULL, line, sizeof(line),
				  run_deadline(run, LONG_MS));
	if (!run_expect(run, over, "the kernel did not take the answer") ||
	    !run_expect(run, peer_end_by(client, run_deadline(run, PROMPTLY_MS)) == 0, "cannot end"))
		return;
	clock_sleep_ms(LATE_MS);
	uint64_t bytes = 0;
	enum ending ending = peer_drain_by(client, &bytes, run_deadline(run, WHOLE_MS));
	run_expect(run, bytes > RECORD_BYTES && ending == ENDING_CLEAN,
		   "%" PRIu64 " bytes of a head and %d came: %s", bytes, RECORD_BYTES, ending_name(ending));
}

static void small_buffers_late(struct run *run)
{
	with_setting(run, &setting_small, 1, read_late);
}

static void small_buffers_reset(struct run *run)
{
	with_setting(run, &setting_small, 1, reset_while_held);
}

static void small_buffers_long_segments(struct run *run)
{
	end_of_stream(run, &setting_small_long);
}

static void wide_window(struct run *run)
{
	end_of_stream(run, &setting_wide);
}

void cases_small(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, SUITE_TLS12_AES128};
	static const struct {
		const char *name;
		void (*run)(struct run *run);
		bool core, is_output_only;
	} cases[] = {{"small-buffers", small_buffers, true, false},
		     {"small-buffers-busy", small_buffers_busy, true, false},
		     {"small-buffers-reset", small_buffers_reset, true, true},
		     {"small-buffers-late", small_buffers_late, false, true},
		     {"small-buffers-long-segments", small_buffers_long_segments, false, false},
		     {"wide-window", wide_window, true, false}};

	for (size_t i = 0; run_is_guest() && i < ARRAY_SIZE(suites); i++) {
		const char *name = run_suites[suites[i]].name;
		for (size_t j = 0; j < ARRAY_SIZE(cases); j++) {
			struct test test = {
			    .suite = suites[i], .run = cases[j].run, .core = i == 0 && cases[j].core};
			test_add(list, test, "%s-output/%s", cases[j].name, name);
			if (cases[j].is_output_only)
				continue;
			test.leg = i == 0 ? LEG_TLS13 : LEG_TLS12;
			test_add(list, test, "%s-input/%s", cases[j].name, name);
		}
	}
}
