/* SPDX-License-Identifier: MIT */
/*
 * case_small.c: sockets that have less room than a record. The kernel then holds what it has encrypted, and
 * the end of a stream must not overtake it. Segments have to be smaller than the buffers: with the loopback's
 * own of 64 KiB TCP goes on by its persist timer alone, which waits longer and longer.
 */
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "clock.h"
#include "run.h"

#define ROUNDS_OUT 20
#define ROUNDS_IN  6 /* slow ones */
#define BYTES	   200000
#define RMEM	   "/proc/sys/net/ipv4/tcp_rmem"
#define WMEM	   "/proc/sys/net/ipv4/tcp_wmem"
#define SMALL	   "4096 8192 12000\n"
#define TEXT_CAP   100
#define MTU	   1500
#define MTU_BEFORE 65536 /* the kernel's default for the loopback */

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
	int result = transfer_by(client, &transfer, run_deadline(run, LONG_MS));
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
	int result = transfer_by(client, &transfer, run_deadline(run, LONG_MS));
	if (run_expect(run, result == 0 && transfer.out_error == 0, "cannot send: %s, %s", strerror(-result),
		       strerror(-transfer.out_error)))
		run_engine_got(run, id, BYTES, ENDING_CLEAN);
}

static void small_buffers(struct run *run)
{
	char rmem[TEXT_CAP], wmem[TEXT_CAP];
	unsigned rounds = run->test->leg == LEG_UNIX ? ROUNDS_OUT : ROUNDS_IN;

	if (!run_expect(run, read_setting(RMEM, rmem) && read_setting(WMEM, wmem), "cannot read " WMEM))
		return;
	run_expect(run, run_write_setting(RMEM, SMALL) && run_write_setting(WMEM, SMALL), "cannot set " WMEM);
	run_expect(run, set_loopback_mtu(MTU), "cannot set the loopback's MTU: %s", strerror(errno));
	for (unsigned round = 0; round < rounds && !run->failed; round++) {
		if (run->test->leg == LEG_UNIX)
			end_of_output(run);
		else
			end_of_input(run);
	}
	run_expect(run, run_write_setting(RMEM, rmem) && run_write_setting(WMEM, wmem), "cannot set " WMEM);
	run_expect(run, set_loopback_mtu(MTU_BEFORE), "cannot set the loopback's MTU: %s", strerror(errno));
}

/*
 * An open fault: on 6.1 the input stands still for good (always with segments of 1500 bytes, now and then
 * with the loopback's), on 6.12 it does not. Whether it is the kernel's or ours is not known. README's limits
 * say so.
 */
static bool kernel_goes_on_with_input(void)
{
	struct utsname name;
	unsigned major = 0, minor = 0;

	return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 12));
}

void cases_small(struct test_list *list)
{
	static const unsigned suites[] = {SUITE_TLS13_AES128, SUITE_TLS12_AES128};

	for (size_t i = 0; run_is_guest() && i < ARRAY_SIZE(suites); i++) {
		const char *name = run_suites[suites[i]].name;
		struct test test = {.suite = suites[i], .run = small_buffers, .core = i == 0};
		test_add(list, test, "small-buffers-output/%s", name);
		test.leg = i == 0 ? LEG_TLS13 : LEG_TLS12;
		if (kernel_goes_on_with_input())
			test_add(list, test, "small-buffers-input/%s", name);
	}
}
