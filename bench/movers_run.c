/* SPDX-License-Identifier: MIT */
/*
 * One measured run: source -> relay -> sink, a process each, so that getrusage(2) in the relay counts its
 * CPU alone, worker threads of the ring included.
 *
 * Theory of operation
 *
 * Two pairs of sockets are made, the far end of one for the source, that of the other for the sink, both
 * near ends for the relay. Keys of kTLS sockets are fixed and set on both ends by hand: there is no
 * handshake to wait for, and no TLS library has a part in it. What the source sends is a function of the
 * position alone, with a period that no buffer size divides; so the sink can compare any block by itself,
 * and a block lost, doubled or exchanged shows in the next one that it looks at. The parent only watches
 * the sink's count: when it stands still for too long the way hangs, and all three are killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "movers.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

#define PERIOD_BYTES ((size_t)1048573) /* a prime */
#define IO_BYTES     ((size_t)(256 * 1024))
#define BLOCK_BYTES  ((size_t)4096)
#define CHECK_EVERY  16
/* As headgate asks for on its unix sockets. */
#define UNIX_SEND_BYTES (1024 * 1024)

/* Seen by all processes of a run. */
struct shared {
	_Atomic uint64_t sink_bytes;
	_Atomic bool corrupt;
	struct sample sample; /* the relay's */
	bool relay_done;
};

struct run {
	const struct path *path; /* borrowed, as all here */
	const struct mover *mover;
	const struct run_options *options;
	const char *content; /* PERIOD_BYTES, and IO_BYTES more, so that any piece of it lies in one */
	struct shared *shared;
	int in[2], out[2]; /* pairs of sockets; [0] is the far end */
	int ack[2];	   /* pipe from sink to source, lockstep only */
};

/* ---- sockets ---- */

static int tcp_pair(int fds[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int one = 1, rc = 0;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || fds[0] < 0 || bind(listener, (struct sockaddr *)&address, len) < 0 ||
	    listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &len) < 0 ||
	    connect(fds[0], (struct sockaddr *)&address, len) < 0 ||
	    (fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
		rc = -errno;
	for (int i = 0; !rc && i < 2; i++) {
		if (setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
			rc = -errno;
	}
	if (listener >= 0)
		close(listener);
	return rc;
}

static int unix_pair(int fds[2])
{
	int size = UNIX_SEND_BYTES;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

/* One key for all directions: nonces are used twice, and nobody minds. */
static int ktls_arm(int fd, unsigned short version)
{
	struct tls12_crypto_info_aes_gcm_128 keys = {
	    .info = {.version = version, .cipher_type = TLS_CIPHER_AES_GCM_128},
	};

	memset(keys.key, 0x2b, sizeof(keys.key));
	memset(keys.iv, 0x7e, sizeof(keys.iv));
	memset(keys.salt, 0x15, sizeof(keys.salt));
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 ||
	    setsockopt(fd, SOL_TLS, TLS_TX, &keys, sizeof(keys)) < 0 ||
	    setsockopt(fd, SOL_TLS, TLS_RX, &keys, sizeof(keys)) < 0)
		return -errno;
	return 0;
}

static void pair_close(int fds[2])
{
	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static int pair_open(enum leg_kind kind, int fds[2])
{
	unsigned short version = kind == LEG_KTLS13 ? TLS_1_3_VERSION : TLS_1_2_VERSION;

	fds[0] = fds[1] = -1;
	int rc = kind == LEG_UNIX ? unix_pair(fds) : tcp_pair(fds);
	if (!rc && (kind == LEG_KTLS12 || kind == LEG_KTLS13)) {
		rc = ktls_arm(fds[0], version);
		if (!rc)
			rc = ktls_arm(fds[1], version);
	}
	if (rc)
		pair_close(fds);
	return rc;
}

int path_probe(const struct path *path)
{
	int fds[2];
	int rc = pair_open(path->from, fds);

	if (!rc) {
		pair_close(fds);
		rc = pair_open(path->to, fds);
	}
	if (!rc)
		pair_close(fds);
	return rc;
}

/* ---- the three processes ---- */

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static char *content_new(void)
{
	char *content = malloc(PERIOD_BYTES + IO_BYTES);
	uint32_t state = 2463534242;

	if (!content)
		return NULL;
	for (size_t i = 0; i < PERIOD_BYTES; i++)
		content[i] = (char)(next_random(&state) >> 24);
	memcpy(content + PERIOD_BYTES, content, IO_BYTES);
	return content;
}

static int source_main(const struct run *run)
{
	const struct run_options *options = run->options;
	size_t piece = run->path->record_bytes ? run->path->record_bytes : IO_BYTES;
	uint64_t sent = 0, acked = 0;

	if (options->lockstep_bytes && options->lockstep_bytes < piece)
		piece = options->lockstep_bytes;
	while (sent < options->bytes) {
		size_t len = at_most(options->bytes - sent, piece);
		ssize_t n = send(run->in[0], run->content + sent % PERIOD_BYTES, len, MSG_NOSIGNAL);
		if (n < 0)
			return errno;
		sent += (uint64_t)n;
		while (options->lockstep_bytes && acked < sent) {
			if (read(run->ack[0], &acked, sizeof(acked)) != (ssize_t)sizeof(acked))
				return EIO;
		}
	}
	return 0;
}

/* Whether what came is right, as far as it lies in blocks that are to be looked at. */
static bool content_right(const struct run *run, uint64_t position, const char *data, size_t len)
{
	while (len > 0) {
		size_t here = at_most(len, BLOCK_BYTES - (size_t)(position % BLOCK_BYTES));

		if ((run->options->check_all || position / BLOCK_BYTES % CHECK_EVERY == 0) &&
		    memcmp(data, run->content + position % PERIOD_BYTES, here) != 0)
			return false;
		position += here;
		data += here;
		len -= here;
	}
	return true;
}

/* Reads to the end, not to the expected count: what comes behind it is wrong too. */
static int sink_main(const struct run *run)
{
	uint64_t position = 0;
	char *buf = malloc(IO_BYTES);

	if (!buf)
		return ENOMEM;
	for (;;) {
		ssize_t n = recv(run->out[0], buf, IO_BYTES, 0);
		if (n < 0)
			return errno;
		if (n == 0)
			return 0;
		if (!content_right(run, position, buf, (size_t)n))
			run->shared->corrupt = true;
		position += (uint64_t)n;
		run->shared->sink_bytes = position;
		if (run->options->lockstep_bytes &&
		    write(run->ack[1], &position, sizeof(position)) != (ssize_t)sizeof(position))
			return EIO;
	}
}

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int relay_main(const struct run *run)
{
	struct move move = {.from_fd = run->in[1], .to_fd = run->out[1], .bytes = run->options->bytes};
	struct sample *sample = &run->shared->sample;
	int flags = run->mover->nonblocking ? O_NONBLOCK : 0;
	struct rusage before, after;

	if (fcntl(move.from_fd, F_SETFL, flags) < 0 || fcntl(move.to_fd, F_SETFL, flags) < 0)
		return errno;
	(void)getrusage(RUSAGE_SELF, &before);
	double start_s = now_s();
	sample->error = run->mover->run(run->mover, &move);
	sample->elapsed_s = now_s() - start_s;
	(void)getrusage(RUSAGE_SELF, &after);
	sample->cpu_s = seconds_of(after.ru_utime) + seconds_of(after.ru_stime) -
			seconds_of(before.ru_utime) - seconds_of(before.ru_stime);
	sample->switches = (uint64_t)(after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw);
	run->shared->relay_done = true;
	return 0;
}

/* The relay has the last of our processors for itself, the others share what is left. */
static void pin(bool relay)
{
	cpu_set_t cpus, mine;
	size_t last = 0;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) < 2)
		return;
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &cpus))
			last = cpu;
	}
	CPU_ZERO(&mine);
	CPU_SET(last, &mine);
	CPU_CLR(last, &cpus);
	(void)sched_setaffinity(0, sizeof(cpus), relay ? &mine : &cpus);
}

/* ---- the parent ---- */

enum child { CHILD_SINK, CHILD_RELAY, CHILD_SOURCE, CHILD_COUNT };

/* Each child keeps only the ends that are its own, or nobody would ever see an end of file. */
static _Noreturn void child_main(struct run *run, enum child child)
{
	bool relay = child == CHILD_RELAY;
	int rc;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (run->options->pin)
		pin(relay);
	if (child != CHILD_SOURCE)
		close(run->in[0]);
	if (child != CHILD_SINK)
		close(run->out[0]);
	if (!relay) {
		close(run->in[1]);
		close(run->out[1]);
	}
	close(run->ack[child == CHILD_SINK ? 0 : 1]);
	if (relay)
		close(run->ack[0]);
	rc = relay ? relay_main(run) : child == CHILD_SINK ? sink_main(run) : source_main(run);
	_exit(rc ? 1 : 0);
}

/* Until all have ended. False: nothing moved for so long that they were killed. */
static bool children_wait(const struct run *run, pid_t pids[CHILD_COUNT])
{
	uint64_t seen_bytes = 0;
	double since_s = now_s();
	bool stalled = false;
	size_t left = 0;

	for (size_t i = 0; i < CHILD_COUNT; i++)
		left += pids[i] > 0;
	while (left > 0) {
		struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
		uint64_t bytes = run->shared->sink_bytes;

		(void)nanosleep(&pause, NULL);
		if (bytes != seen_bytes) {
			seen_bytes = bytes;
			since_s = now_s();
		}
		bool kill_them = !stalled && now_s() - since_s > run->options->stall_s;
		for (size_t i = 0; i < CHILD_COUNT; i++) {
			if (pids[i] <= 0)
				continue;
			if (kill_them)
				(void)kill(pids[i], SIGKILL);
			if (waitpid(pids[i], NULL, WNOHANG) == pids[i]) {
				pids[i] = 0;
				left--;
			}
		}
		stalled = stalled || kill_them;
	}
	return !stalled;
}

static struct sample judge(const struct run *run, bool finished)
{
	struct sample sample = run->shared->sample;

	if (run->shared->corrupt || run->shared->sink_bytes > run->options->bytes)
		sample.outcome = OUTCOME_CORRUPT;
	else if (!finished)
		sample.outcome = OUTCOME_HANGS;
	else if (sample.error < 0 && sample.error != -ENODATA)
		sample.outcome = OUTCOME_FAILED;
	else if (!run->shared->relay_done || sample.error || run->shared->sink_bytes != run->options->bytes)
		sample.outcome = OUTCOME_CUT;
	return sample;
}

static int run_sockets(struct run *run)
{
	int rc = pair_open(run->path->from, run->in);

	if (!rc)
		rc = pair_open(run->path->to, run->out);
	if (!rc && pipe2(run->ack, O_CLOEXEC) < 0)
		rc = -errno;
	return rc;
}

static struct sample run_children(struct run *run)
{
	pid_t pids[CHILD_COUNT] = {0};
	struct sample failed = {.outcome = OUTCOME_FAILED};

	(void)fflush(NULL);
	for (unsigned child = 0; child < CHILD_COUNT && !failed.error; child++) {
		pids[child] = fork();
		if (pids[child] == 0)
			child_main(run, (enum child)child);
		if (pids[child] < 0)
			failed.error = -errno;
	}
	pair_close(run->in);
	pair_close(run->out);
	pair_close(run->ack);
	bool finished = children_wait(run, pids); /* with one missing, the others meet closed sockets */
	return failed.error ? failed : judge(run, finished);
}

struct sample run_once(const struct path *path, const struct mover *mover, const struct run_options *options)
{
	struct run run = {.path = path,
			  .mover = mover,
			  .options = options,
			  .in = {-1, -1},
			  .out = {-1, -1},
			  .ack = {-1, -1}};
	struct sample sample = {.outcome = OUTCOME_FAILED, .error = -ENOMEM};
	char *content = content_new();
	void *shared =
	    mmap(NULL, sizeof(*run.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (content && shared != MAP_FAILED) {
		run.content = content;
		run.shared = shared;
		sample.error = run_sockets(&run);
		if (!sample.error)
			sample = run_children(&run);
	}
	pair_close(run.in);
	pair_close(run.out);
	pair_close(run.ack);
	if (shared != MAP_FAILED)
		(void)munmap(shared, sizeof(*run.shared));
	free(content);
	return sample;
}
