/* SPDX-License-Identifier: MIT */
/*
 * load: the load generator of the benchmarks. One mode a run, one line of JSON on stdout.
 *
 *     load MODE --port PORT --token TOKEN [OPTION]...        MODE: see `load --help`
 *
 * With --wait it says "ready" when its connections stand and goes on at a line on stdin, so that the
 * caller can read the proxy's CPU clock right before and after the load. In mode idle it holds the
 * streams, after its line of JSON, until stdin ends, and then says in a second line how many are left.
 * SIGTERM ends a load early; the line of JSON then has what was complete by then.
 *
 * Certificates are not verified: that would be the client's time, not the proxy's. TLS 1.3 with
 * AES-128-GCM only, so that every proxy encrypts the same way.
 */
#include "client.h"

#include <arpa/inet.h>
#include <err.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define THREADS_MAX	64
#define CHUNK_BYTES	32768
#define SETUP_SECONDS	60
#define TURN_TIMEOUT_MS 100

/* Shared by the main thread and the loading ones. */
struct load {
	struct load_options options;
	pthread_barrier_t established, go; /* the main thread takes part */
	atomic_bool stop;		   /* mode idle: stdin has ended */
	atomic_uint streaming;		   /* mode idle: streams that have begun, and not ended */
	atomic_uint failed;		   /* threads that saw an error */
	atomic_ullong first_ns, last_ns;   /* of the load */
	struct load_thread threads[THREADS_MAX];
	pthread_t ids[THREADS_MAX];
	atomic_uint next_thread;
	struct stall_watch watch;
};

static const char usage[] =
    "Usage: load MODE --port PORT --token TOKEN [OPTION]...\n"
    "\n"
    "Modes\n"
    "  up-cl                POST /images/load with Content-Length\n"
    "  up-chunked           the same in 32 KiB chunks, in the records that Go makes\n"
    "  up-go                the same, each record sent by itself\n"
    "  down                 GET /images/get\n"
    "  ping                 GET /_ping on kept connections, one after the other\n"
    "  inspect              the same with GET /containers/x/json, chunked\n"
    "  handshake            a new connection for each GET /_ping\n"
    "  idle                 GET /containers/x/logs, held until stdin ends\n"
    "  logs                 the same, with lines; latencies: of lines but the last\n"
    "  echo                 a byte there and back in tunnels of POST /exec/x/start\n"
    "  mixed                up-cl, down, up-chunked, down: one transfer a connection\n"
    "\n"
    "Options\n"
    "  --host ADDRESS       IPv4 address of the proxy (default: 127.0.0.1)\n"
    "  --port PORT          its port\n"
    "  --token TOKEN        sent as `token:`\n"
    "  --target TARGET      GET this instead (ping, handshake, idle, down)\n"
    "  --bytes N            of one transfer; whole chunks (default: 256 MiB)\n"
    "  --requests N         in all connections together (default: 1)\n"
    "  --connections N      at the same time (default: 1)\n"
    "  --threads N          that share them (default: 1)\n"
    "  --interval-us N      between a connection's requests (ping, echo) or lines\n"
    "  --lines N            of each log (default: 3)\n"
    "  --sources N          connections come from 127.0.0.1 and the N-1 behind it\n"
    "  --expect-status N    that every answer must have (default: 200)\n"
    "  --watch CPU          p50_us to max_us without what ran while that processor\n"
    "                       stood still (repeatable, needs root)\n"
    "  --wait               say \"ready\" after set-up, go on at a line on stdin\n";

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < min || value > max)
		errx(2, "--%s: '%s' is no number from %llu to %llu", name, text, (unsigned long long)min,
		     (unsigned long long)max);
	return value;
}

enum option_id {
	OPTION_HELP,
	OPTION_HOST,
	OPTION_PORT,
	OPTION_TOKEN,
	OPTION_TARGET,
	OPTION_BYTES,
	OPTION_REQUESTS,
	OPTION_CONNECTIONS,
	OPTION_THREADS,
	OPTION_INTERVAL,
	OPTION_LINES,
	OPTION_SOURCES,
	OPTION_EXPECT_STATUS,
	OPTION_WATCH,
	OPTION_WAIT,
};

static const struct option long_options[] = {
    {"help", no_argument, NULL, OPTION_HELP},
    {"host", required_argument, NULL, OPTION_HOST},
    {"port", required_argument, NULL, OPTION_PORT},
    {"token", required_argument, NULL, OPTION_TOKEN},
    {"target", required_argument, NULL, OPTION_TARGET},
    {"bytes", required_argument, NULL, OPTION_BYTES},
    {"requests", required_argument, NULL, OPTION_REQUESTS},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"interval-us", required_argument, NULL, OPTION_INTERVAL},
    {"lines", required_argument, NULL, OPTION_LINES},
    {"sources", required_argument, NULL, OPTION_SOURCES},
    {"expect-status", required_argument, NULL, OPTION_EXPECT_STATUS},
    {"watch", required_argument, NULL, OPTION_WATCH},
    {"wait", no_argument, NULL, OPTION_WAIT},
    {NULL, 0, NULL, 0},
};

static void option_set(struct load_options *options, enum option_id id, const char *name)
{
	switch (id) {
	case OPTION_HELP:
		fputs(usage, stdout);
		exit(0);
	case OPTION_HOST:
		if (inet_pton(AF_INET, optarg, &options->address.sin_addr) != 1)
			errx(2, "--host: '%s' is no IPv4 address", optarg);
		break;
	case OPTION_PORT:
		options->address.sin_port = htons((uint16_t)number(name, optarg, 1, 65535));
		break;
	case OPTION_TOKEN:
		options->token = optarg;
		break;
	case OPTION_TARGET:
		options->target = optarg;
		break;
	case OPTION_BYTES:
		options->bytes = number(name, optarg, 1, UINT64_MAX / 2);
		break;
	case OPTION_REQUESTS:
		options->requests = number(name, optarg, 1, UINT64_MAX / 2);
		break;
	case OPTION_CONNECTIONS:
		options->connections = (unsigned)number(name, optarg, 1, 60000);
		break;
	case OPTION_THREADS:
		options->threads = (unsigned)number(name, optarg, 1, THREADS_MAX);
		break;
	case OPTION_INTERVAL:
		options->interval_ns = number(name, optarg, 1, UINT32_MAX) * 1000;
		break;
	case OPTION_LINES:
		options->lines = (unsigned)number(name, optarg, 1, UINT32_MAX);
		break;
	case OPTION_SOURCES:
		options->sources = (unsigned)number(name, optarg, 1, 250);
		break;
	case OPTION_EXPECT_STATUS:
		options->expect_status = (int)number(name, optarg, 200, 599);
		break;
	case OPTION_WATCH:
		if (options->watched_count == STALL_CPUS_MAX)
			errx(2, "--watch: no more than %d", STALL_CPUS_MAX);
		options->watched_cpus[options->watched_count++] = (unsigned)number(name, optarg, 0, 1023);
		break;
	case OPTION_WAIT:
		options->wait = true;
		break;
	}
}

static void options_read(struct load_options *options, int argc, char **argv)
{
	int id, index = 0;

	*options = (struct load_options){
	    .mode = MODE_COUNT,
	    .address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
	    .bytes = (uint64_t)256 * 1024 * 1024,
	    .requests = 1,
	    .connections = 1,
	    .threads = 1,
	    .lines = 3,
	    .expect_status = 200,
	};
	while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (id == '?')
			exit(2);
		option_set(options, (enum option_id)id, long_options[index].name);
	}
	for (enum mode mode = 0; optind == argc - 1 && mode < MODE_COUNT; mode++)
		if (strcmp(argv[optind], mode_name(mode)) == 0)
			options->mode = mode;
	if (options->mode == MODE_COUNT || !options->address.sin_port || !options->token) {
		fputs(usage, stderr);
		exit(2);
	}
	if (options->mode == MODE_LOGS && !options->interval_ns)
		options->interval_ns = 1000000000;
	if (mode_is_upload(options->mode) || options->mode == MODE_MIXED)
		options->bytes = (options->bytes + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_BYTES;
	if (options->mode == MODE_IDLE || options->mode == MODE_LOGS || options->mode == MODE_MIXED)
		options->requests = options->connections;
	if (options->requests < options->connections)
		options->connections = (unsigned)options->requests;
	if (options->connections < options->threads)
		options->threads = options->connections;
}

static SSL_CTX *ctx_new(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256"))
		errx(1, "OpenSSL cannot do TLS 1.3 with AES-128-GCM");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* As many records as one recv brings; later, on the connection, it has no effect. */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, (size_t)128 * 1024);
	SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return ctx;
}

/* Share `index` of `total` among `threads`; the shares add up to the total. */
static uint64_t share(uint64_t total, unsigned threads, unsigned index)
{
	return total / threads + (index < total % threads ? 1 : 0);
}

/* Every connection stands before the load begins. Not for the modes whose load is connecting. */
static void set_up(struct load_thread *thread)
{
	enum mode mode = thread->options->mode;
	uint64_t deadline_ns = now_ns() + (uint64_t)SETUP_SECONDS * 1000000000;

	if (mode == MODE_HANDSHAKE || mode == MODE_IDLE)
		return;
	while (thread->established < thread->clients_count && !thread->errors) {
		load_thread_open_more(thread);
		load_thread_turn(thread, TURN_TIMEOUT_MS);
		if (now_ns() > deadline_ns) {
			thread->errors++;
			snprintf(thread->error, sizeof(thread->error), "no connection in %d s",
				 SETUP_SECONDS);
		}
	}
}

static void hold(struct load *load, struct load_thread *thread)
{
	unsigned before = thread->streaming;

	while (!atomic_load(&load->stop)) {
		load_thread_turn(thread, TURN_TIMEOUT_MS);
		if (thread->streaming != before)
			atomic_fetch_sub(&load->streaming, before - thread->streaming);
		before = thread->streaming;
	}
}

/* SIGTERM: what is done so far is the result. */
static volatile sig_atomic_t stop_asked;

static void on_term(int signal_number)
{
	(void)signal_number;
	stop_asked = 1;
}

static void *thread_main(void *arg)
{
	struct load *load = arg;
	struct load_thread *thread = &load->threads[atomic_fetch_add(&load->next_thread, 1)];
	enum mode mode = load->options.mode;

	set_up(thread);
	pthread_barrier_wait(&load->established);
	pthread_barrier_wait(&load->go);
	if (mode == MODE_HANDSHAKE || mode == MODE_IDLE)
		thread->running = true;
	else
		load_thread_start(thread);
	while (!stop_asked && !thread->errors && thread->requests_done < thread->requests_quota) {
		if (thread->opened < thread->clients_count)
			load_thread_open_more(thread);
		load_thread_turn(thread, TURN_TIMEOUT_MS);
	}
	unsigned long long now = now_ns(), last = atomic_load(&load->last_ns);
	while (now > last && !atomic_compare_exchange_weak(&load->last_ns, &last, now))
		;
	if (thread->errors)
		atomic_fetch_add(&load->failed, 1);
	atomic_fetch_add(&load->streaming, thread->streaming);
	pthread_barrier_wait(&load->established);
	if (mode == MODE_IDLE)
		hold(load, thread);
	return NULL;
}

/* The latencies without those that a stall of the machine is in. */
static void calm_latencies(const struct load *load, struct histogram *calm)
{
	for (unsigned i = 0; i < load->options.threads; i++) {
		const struct load_thread *thread = &load->threads[i];

		for (size_t j = 0; j < thread->samples_count; j++) {
			const struct sample *sample = &thread->samples[j];

			if (!stall_touches(&load->watch, sample->from_ns, sample->until_ns))
				histogram_add(calm, sample->until_ns - sample->from_ns);
		}
	}
}

static void report(const struct load *load)
{
	const struct load_options *options = &load->options;
	static struct histogram all, calm;
	uint64_t first_ns = atomic_load(&load->first_ns), last_ns = atomic_load(&load->last_ns), longest_ns;
	uint64_t stalled_ns = stall_total_ns(&load->watch, first_ns, last_ns, &longest_ns);
	uint64_t bytes = 0, requests = 0, errors = 0, lines = 0;
	const char *error = "";
	double seconds = (double)(last_ns - first_ns) / 1000000000.0;

	for (unsigned i = 0; i < options->threads; i++) {
		const struct load_thread *thread = &load->threads[i];
		histogram_merge(&all, &thread->latencies);
		bytes += thread->bytes;
		requests += thread->requests_done;
		errors += thread->errors;
		lines += thread->lines;
		if (thread->error[0])
			error = thread->error;
	}
	calm_latencies(load, &calm);
	/* Where most would be left out, each takes so long that stalls hardly matter. */
	const struct histogram *shown = calm.total > all.total / 2 ? &calm : &all;
	printf("{\"mode\":\"%s\",\"tls\":\"%s\",\"connections\":%u,\"bytes\":%llu,\"requests\":%llu,"
	       "\"errors\":%llu,\"error\":\"%s\",\"seconds\":%.6f,\"requests_per_s\":%.1f,"
	       "\"bytes_per_s\":%.0f,\"lines\":%llu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
	       "\"max_us\":%.1f,\"all_p99_us\":%.1f,\"latencies\":%llu,\"left_out\":%llu,\"watched\":%u,"
	       "\"stalled_share\":%.6f,\"longest_stall_ms\":%.2f,\"transfer_s\":[",
	       mode_name(options->mode), load->threads[0].protocol, options->connections,
	       (unsigned long long)bytes, (unsigned long long)requests, (unsigned long long)errors, error,
	       seconds, (double)requests / seconds, (double)bytes / seconds, (unsigned long long)lines,
	       (double)histogram_quantile(shown, 0.5) / 1000, (double)histogram_quantile(shown, 0.99) / 1000,
	       (double)histogram_quantile(shown, 0.999) / 1000, (double)shown->max_ns / 1000,
	       (double)histogram_quantile(&all, 0.99) / 1000, (unsigned long long)all.total,
	       (unsigned long long)(all.total - shown->total), load->watch.count,
	       (double)stalled_ns / (double)(last_ns - first_ns), (double)longest_ns / 1000000);
	for (unsigned i = 0; options->mode == MODE_MIXED && i < options->threads; i++)
		for (unsigned j = 0; j < load->threads[i].clients_count; j++)
			printf("%s%.6f", i + j > 0 ? "," : "", load->threads[i].transfer_s[j]);
	printf("]}\n");
	fflush(stdout);
}

/* One line of stdin; its end counts as one, too. */
static void wait_for_line(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n')
		;
}

static void load_run(struct load *load)
{
	pthread_barrier_wait(&load->established);
	if (load->options.wait) {
		printf("ready\n");
		fflush(stdout);
		wait_for_line();
	}
	atomic_store(&load->first_ns, now_ns());
	pthread_barrier_wait(&load->go);
	pthread_barrier_wait(&load->established);
	report(load);
	if (load->options.mode == MODE_IDLE) {
		char byte;
		while (read(STDIN_FILENO, &byte, 1) == 1)
			;
		atomic_store(&load->stop, true);
	}
	for (unsigned i = 0; i < load->options.threads; i++)
		pthread_join(load->ids[i], NULL);
	if (load->options.mode == MODE_IDLE)
		printf("{\"streams_left\":%u}\n", atomic_load(&load->streaming));
}

int main(int argc, char **argv)
{
	static struct load load;
	struct rlimit files = {.rlim_cur = 65536, .rlim_max = 65536};

	options_read(&load.options, argc, argv);
	signal(SIGTERM, on_term);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	SSL_CTX *ctx = ctx_new();
	BIO_METHOD *bio = client_bio_method();
	const struct load_options *options = &load.options;
	for (unsigned i = 0; i < options->watched_count; i++)
		if (!stall_watch(&load.watch, options->watched_cpus[i]))
			errx(1, "--watch %u: needs root, and a processor of that number",
			     options->watched_cpus[i]);
	request_init();
	pthread_barrier_init(&load.established, NULL, options->threads + 1);
	pthread_barrier_init(&load.go, NULL, options->threads + 1);
	for (unsigned i = 0; i < options->threads; i++)
		load_thread_init(&load.threads[i], options, i, ctx, bio,
				 (unsigned)share(options->connections, options->threads, i),
				 share(options->requests, options->threads, i));
	for (unsigned i = 0; i < options->threads; i++)
		if (pthread_create(&load.ids[i], NULL, thread_main, &load))
			errx(1, "cannot start a thread");
	load_run(&load);
	for (unsigned i = 0; i < options->threads; i++)
		load_thread_fini(&load.threads[i]);
	BIO_meth_free(bio);
	SSL_CTX_free(ctx);
	return atomic_load(&load.failed) ? 1 : 0;
}
