/* SPDX-License-Identifier: MIT */
#include "gate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define LOG_TAIL_BYTES ((size_t)3000)
#define LOG_TICK_MS    5
/* Of one look at the log. Cases look from their own start, so this is plenty. */
#define LOG_LOOK_BYTES ((size_t)4 * 1024 * 1024)

/* ---- start and stop ---- */

bool gate_write_tokens(const struct gate *gate, bool has_passing)
{
	unsigned char digest[32];
	char path[520];

	/* As a whole, by its name: headgate may read it at any moment. */
	snprintf(path, sizeof(path), "%s.new", gate->tokens_path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!file ||
	    EVP_Digest(GATE_PASSING_TOKEN, strlen(GATE_PASSING_TOKEN), digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	if (has_passing) {
		(void)fputs("passing role=admin sha256=", file);
		for (size_t i = 0; i < sizeof(digest); i++)
			fprintf(file, "%02x", digest[i]);
		(void)fputs("\n", file);
	}
	return fclose(file) == 0 && rename(path, gate->tokens_path) == 0;
}

static void become_gate(const struct gate_options *options, const char *log_path, const char *tokens_path)
{
	char cert[512], key[512], client[512], admin[512];
	int fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	int null = open("/dev/null", O_RDWR);

	snprintf(cert, sizeof(cert), "%s/gate.pem", options->dir);
	snprintf(key, sizeof(key), "%s/gate.key", options->dir);
	snprintf(client, sizeof(client), "%s/client", options->dir);
	snprintf(admin, sizeof(admin), "unix://%s/%s.admin", options->dir, options->name);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		_exit(126);
	if (null >= 0)
		(void)dup2(null, STDIN_FILENO);
	(void)setenv("DOCKER_API_TOKEN", GATE_TOKEN, 1);
	bool tls = strncmp(options->engine_url, "tls://", 6) == 0;
	/* The last two only where they mean something: headgate refuses them otherwise. */
	execl(options->program, options->program, "serve", "--listen", "tls://127.0.0.1:0", "--engine",
	      options->engine_url, "--cert", cert, "--key", key, "--workers", "1", "--admin", admin,
	      "--event", options->event, "--ktls", options->ktls, "--mover", options->mover, "--log-level",
	      "debug", "--sandbox", "on", "--drain-timeout", options->drain_timeout, "--tokens", tokens_path,
	      tls ? "--engine-cert-dir" : (char *)NULL, client, (char *)NULL);
	fprintf(stderr, "driver: cannot run %s: %s\n", options->program, strerror(errno));
	_exit(127);
}

int gate_start(struct gate *gate, const struct gate_options *options, uint64_t deadline_ms)
{
	static const char ready[] = "listening on tls://127.0.0.1:";
	char line[512];

	*gate = (struct gate){0};
	snprintf(gate->log_path, sizeof(gate->log_path), "%s/%s.log", options->dir, options->name);
	snprintf(gate->admin_path, sizeof(gate->admin_path), "%.60s/%.30s.admin", options->dir,
		 options->name);
	snprintf(gate->tokens_path, sizeof(gate->tokens_path), "%.400s/%.30s.tokens", options->dir,
		 options->name);
	if (!gate_write_tokens(gate, false))
		return -EIO;
	(void)unlink(gate->log_path); /* an earlier one's says that it listens */
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become_gate(options, gate->log_path, gate->tokens_path);
	gate->pid = pid;
	while (!gate_log_find(gate, 0, ready, NULL, line, sizeof(line))) {
		int status;
		if (clock_now_ms() < deadline_ms && waitpid(pid, &status, WNOHANG) == 0) {
			clock_sleep_ms(LOG_TICK_MS);
			continue;
		}
		fprintf(stderr, "driver: headgate for %s does not start\n", options->name);
		gate_log_show(gate, 0);
		(void)gate_stop(gate, clock_now_ms());
		return -ECHILD;
	}
	gate->start_cpu_us = gate_cpu_us(gate);
	gate->port = atoi(strstr(line, ready) + strlen(ready));
	return 0;
}

bool gate_is_alive(const struct gate *gate)
{
	siginfo_t info = {0};

	return gate->pid > 0 && waitid(P_PID, (id_t)gate->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

int gate_stop(struct gate *gate, uint64_t deadline_ms)
{
	if (gate->pid == 0)
		return -1;
	(void)kill(gate->pid, SIGTERM);
	return gate_wait(gate, deadline_ms);
}

int gate_wait(struct gate *gate, uint64_t deadline_ms)
{
	pid_t pid = gate->pid, ended = 0;
	int status = 0;

	gate->pid = 0;
	while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && clock_now_ms() < deadline_ms)
		clock_sleep_ms(LOG_TICK_MS);
	if (ended == 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
	}
	return ended == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* ---- what it costs ---- */

bool gate_is_sanitized(const struct gate *gate)
{
	char path[64], line[600];
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)gate->pid);
	FILE *file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, "libasan") || strstr(line, "libtsan");
	if (file)
		(void)fclose(file);
	return found;
}

uint64_t gate_cpu_us(const struct gate *gate)
{
	clockid_t clock;
	struct timespec used = {0};

	if (clock_getcpuclockid(gate->pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

uint64_t gate_rss_bytes(const struct gate *gate)
{
	char path[64], line[200];
	unsigned long long kib = 0;

	/* Not statm: kernels before 6.2 count there in batches of 64 pages a thread. */
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)gate->pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file) && sscanf(line, "Rss: %llu kB", &kib) != 1)
		;
	if (file)
		(void)fclose(file);
	return kib * 1024;
}

struct gate_files gate_files(const struct gate *gate)
{
	struct gate_files files = {0};
	char path[64], target[64];
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)gate->pid);
	DIR *dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strncmp(target, "socket:", 7) == 0)
			files.sockets++;
		else if (strncmp(target, "pipe:", 5) == 0)
			files.pipes++;
		else
			files.others++;
	}
	if (dir)
		(void)closedir(dir);
	return files;
}

bool gate_metric(const struct gate *gate, const char *name, uint64_t *value)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char answer[8192], line[128];
	size_t used = 0;
	ssize_t n = -1;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", gate->admin_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)) == 0 &&
	    send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == sizeof(request) - 1)
		while (used < sizeof(answer) - 1 &&
		       (n = recv(fd, answer + used, sizeof(answer) - 1 - used, 0)) > 0)
			used += (size_t)n;
	if (fd >= 0)
		close(fd);
	answer[used] = '\0';
	snprintf(line, sizeof(line), "\n%s ", name);
	const char *at = n == 0 ? strstr(answer, line) : NULL;
	if (at)
		*value = strtoull(at + strlen(line), NULL, 10);
	return at != NULL;
}

/* ---- its log ---- */

size_t gate_log_end(const struct gate *gate)
{
	struct stat st;

	return stat(gate->log_path, &st) == 0 ? (size_t)st.st_size : 0;
}

/* The log behind `from`, ended with NUL; NULL when there is nothing. The caller frees it. */
static char *read_log(const struct gate *gate, size_t from)
{
	size_t end = gate_log_end(gate);

	if (end <= from)
		return NULL;
	size_t len = end - from < LOG_LOOK_BYTES ? end - from : LOG_LOOK_BYTES, used = 0;
	char *text = malloc(len + 1);
	int fd = open(gate->log_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;
	while (text && fd >= 0 && used < len &&
	       (n = pread(fd, text + used, len - used, (off_t)(from + used))) > 0)
		used += (size_t)n;
	if (fd >= 0)
		close(fd);
	if (text)
		text[used] = '\0';
	return text;
}

bool gate_log_find(const struct gate *gate, size_t from, const char *first, const char *second, char *line,
		   size_t line_cap)
{
	char *text = read_log(gate, from), *next = text;
	bool found = false;

	while (next && *next) {
		char *end = strchr(next, '\n');
		if (!end)
			break; /* not written in full yet */
		*end = '\0';
		if (strstr(next, first) && (!second || strstr(next, second))) {
			found = true;
			if (line)
				snprintf(line, line_cap, "%s", next);
		}
		next = end + 1;
	}
	free(text);
	return found;
}

bool gate_log_wait(const struct gate *gate, size_t from, const char *first, const char *second, char *line,
		   size_t line_cap, uint64_t deadline_ms)
{
	while (!gate_log_find(gate, from, first, second, line, line_cap)) {
		if (clock_now_ms() >= deadline_ms)
			return false;
		clock_sleep_ms(LOG_TICK_MS);
	}
	return true;
}

unsigned gate_log_count(const struct gate *gate, const char *text)
{
	char *log = read_log(gate, 0), *rest = log;
	const char *line;
	unsigned count = 0;

	while (rest && (line = strsep(&rest, "\n")))
		count += strstr(line, text) != NULL;
	free(log);
	return count;
}

void gate_log_show(const struct gate *gate, size_t from)
{
	size_t end = gate_log_end(gate);
	char *text = read_log(gate, end > from + LOG_TAIL_BYTES ? end - LOG_TAIL_BYTES : from), *rest = text;
	const char *line;

	while (rest && (line = strsep(&rest, "\n")))
		if (*line)
			printf("#   %s\n", line);
	free(text);
}
