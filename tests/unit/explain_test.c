/* SPDX-License-Identifier: MIT */
/* `headgate explain`, with a state directory, tokens and a policy file of its own. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fuzz/policy_naive.h"
#include "cmd.h"
#include "policy.h"

static char dir[] = "/tmp/headgate-explain-XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(dir));
	write_file("policy", "role web\n  include read\n  allow GET /containers/web-*/logs\n  deny events\n");
	write_file("tokens",
		   "ci sha256=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa role=build\n"
		   "old sha256=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb role=web "
		   "expires=2020-01-01T00:00:00Z\n"
		   "lost sha256=cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc role=build "
		   "from=10.0.0.0/8\n");
}

static void tear_down(void)
{
	static const char *const names[] = {"policy", "tokens", "out", "err", ".lock"};
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	cr_assert_eq(rmdir(dir), 0);
}

TestSuite(explain, .timeout = 300, .init = set_up, .fini = tear_down);

#define OUTPUT_CAP 32768

static char output[OUTPUT_CAP], errors[OUTPUT_CAP];

static void read_back(const char *name, char *text)
{
	char path[128];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = read(fd, text, OUTPUT_CAP - 1);
	cr_assert(fd >= 0 && got >= 0);
	text[got] = '\0';
	close(fd);
}

static void redirect(int fd, const char *name)
{
	char path[128];
	int file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert(file >= 0 && dup2(file, fd) == fd);
	close(file);
}

/* Runs it with these arguments, NULL at the end, and --state; what it prints goes to `output` and `errors`.
 */
static int explain(const char *first, ...)
{
	char *argv[16] = {(char *)(uintptr_t) "explain", (char *)(uintptr_t) "--state", dir};
	int argc = 3, code, out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	va_list args;

	va_start(args, first);
	for (const char *arg = first; arg; arg = va_arg(args, const char *))
		argv[argc++] = (char *)(uintptr_t)arg;
	va_end(args);
	fflush(NULL);
	redirect(STDOUT_FILENO, "out");
	redirect(STDERR_FILENO, "err");
	code = cmd_explain(argc, argv);
	fflush(NULL);
	cr_assert(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
	close(out);
	close(err);
	read_back("out", output);
	read_back("err", errors);
	return code;
}

Test(explain, a_role)
{
	cr_assert_eq(explain("GET", "/containers/json", "--role", "read", NULL), 0, "%s", errors);
	cr_assert(strncmp(output, "allowed\n", 8) == 0, "%s", output);
	cr_assert(strstr(output, "container-list") && strstr(output, "built in, role read"), "%s", output);
	cr_assert_eq(explain("GET", "/v1.45/containers/x/archive", "--role", "read", NULL), 1);
	cr_assert(strncmp(output, "refused\n", 8) == 0, "%s", output);
	cr_assert(strstr(output, "container-archive") && strstr(output, "none allows it"), "%s", output);
	cr_assert_eq(explain("PATCH", "/x", "--role", "admin", NULL), 0);
	cr_assert(strstr(output, "may do everything"), "%s", output);
	cr_assert_eq(explain("GET", "/x", "--role", "portainer", NULL), 1);
	cr_assert(strstr(output, "no route of the Docker API"), "%s", output);
	cr_assert_eq(explain("POST", "/containers/create", "--role", "deploy", NULL), 0);
	cr_assert(strstr(output, "its body is looked into"), "%s", output);
}

Test(explain, a_role_of_the_policy_file)
{
	cr_assert_eq(explain("GET", "/v1.45/containers/web-1/logs", "--role", "web", NULL), 0, "%s", errors);
	cr_assert(strstr(output, "allow GET /containers/web-*/logs"), "%s", output);
	cr_assert(strstr(output, "line 3 of"), "%s", output);
	cr_assert_eq(explain("GET", "/containers/db/logs", "--role", "web", NULL), 1);
	cr_assert_eq(explain("GET", "/events", "--role", "web", NULL), 1);
	cr_assert(strstr(output, "deny events") && strstr(output, "line 4 of"), "%s", output);
}

Test(explain, a_token)
{
	cr_assert_eq(explain("POST", "/build", "--token", "ci", NULL), 0, "%s", errors);
	cr_assert(strstr(output, "token  ci\n") && strstr(output, "role   build\n"), "%s", output);
	cr_assert_eq(explain("POST", "/containers/x/exec", "--token", "ci", NULL), 1);
	cr_assert_eq(explain("GET", "/_ping", "--token", "old", NULL), 0);
	cr_assert(strstr(output, "expired"), "%s", output);
	cr_assert_eq(explain("GET", "/_ping", "--token", "lost", NULL), 0);
	cr_assert(strstr(output, "not from every address"), "%s", output);
	cr_assert_eq(explain("GET", "/_ping", "--token", "nobody", NULL), 2);
	cr_assert(strstr(errors, "no token 'nobody'"), "%s", errors);
	cr_assert_null(strstr(output, "aaaa"));
}

/* The same path as in the proxy: what is refused to everybody there is refused here. */
static const char *const bad_paths[] = {
    "containers/json",
    "/containers/../swarm",
    "/containers/%2e%2e/swarm",
    "/containers//json",
    "/containers%2fjson",
    "/containers/x%00/json",
    "/x HTTP/1.1\r\nA: b",
    "/x\r\nA: b",
    "/containers/x\n/json",
    "/containers/json ",
    "",
    "/%zz",
    "/containers/\xc3\xa9/json",
    "*",
    "/containers/./json",
};

Test(explain, paths_are_read_as_the_proxy_reads_them)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_paths); i++) {
		cr_assert_eq(explain("GET", bad_paths[i], "--role", "admin", NULL), 1, "%s: %s%s",
			     bad_paths[i], output, errors);
		cr_assert(strstr(output, "to everybody"), "%s: %s", bad_paths[i], output);
	}
	cr_assert_eq(explain("GET /x", "/_ping", "--role", "admin", NULL), 1);
	cr_assert_eq(explain("GET", "/containers/%65xport/json", "--role", "read", NULL), 1);
	cr_assert(strstr(output, "container-inspect"), "%s", output);
	cr_assert_eq(explain("GET", "/containers/x/%65xport", "--role", "read-env", NULL), 1);
	cr_assert(strstr(output, "container-export"), "%s", output);
	cr_assert_eq(explain("GET", "/containers/json?all=1", "--role", "read", NULL), 0);
	cr_assert_eq(explain("get", "/containers/json", "--role", "read", NULL), 1);
}

static char *long_path(size_t length)
{
	char *path = malloc(length + 1);

	cr_assert_not_null(path);
	memset(path, 'a', length);
	path[0] = '/';
	path[length] = '\0';
	return path;
}

Test(explain, long_paths)
{
	char *path = long_path(7000);

	cr_assert_eq(explain("GET", path, "--role", "admin", NULL), 0, "%s", errors);
	free(path);
	path = long_path(100000);
	cr_assert_eq(explain("GET", path, "--role", "admin", NULL), 1);
	free(path);
}

Test(explain, every_route_and_role_as_policy_decide)
{
	char reason[POLICY_REASON_BYTES];
	struct policy *policy;
	size_t count, line;
	const struct route *routes = route_table(&count);

	cr_assert_eq(policy_new(&policy, (struct span){0}, &line, reason), 0);
	for (size_t i = 0; i < count; i++) {
		static const char *const methods[] = {"GET",	"HEAD",	 "POST",   "PUT",
						      "DELETE", "PATCH", "OPTIONS"};
		char path[256];

		naive_route_path(&routes[i], "a", "b", path, sizeof(path));
		for (size_t j = 0; j < policy->roles_count; j++) {
			struct policy_decision decision;
			const struct role *role = policy->roles[j];
			int code = explain(methods[routes[i].method], path, "--role", role->name, NULL);

			policy_decide(role, routes[i].method, span_of(path),
				      route_find(routes[i].method, span_of(path)), &decision);
			cr_assert_eq(code, decision.verdict == POLICY_DENY, "%s %s", role->name, path);
			cr_assert(strstr(output, decision.right), "%s", output);
		}
	}
	policy_free(policy);
}

Test(explain, lists)
{
	cr_assert_eq(explain("--roles", NULL), 0, "%s", errors);
	cr_assert(strstr(output, "\nread ") && strstr(output, "\nsoajs ") && strstr(output, "\nweb "), "%s",
		  output);
	cr_assert_eq(explain("--role", "web", NULL), 0);
	cr_assert(strstr(output, "role web\n") && strstr(output, "\n  deny events\n"), "%s", output);
	cr_assert_eq(explain("--token", "ci", NULL), 0);
	cr_assert(strstr(output, "role build\n"), "%s", output);
	cr_assert_eq(explain("--role", "admin", NULL), 0);
	cr_assert(strstr(output, "image-attestations"), "%s", output);
}

Test(explain, switches)
{
	/* A shell may have VERSION or BUILD set. */
	cr_assert_eq(clearenv(), 0);
	cr_assert_eq(setenv("CONTAINERS", "1", 1), 0);
	cr_assert_eq(explain("--from-env", NULL), 0);
	cr_assert(strstr(output, "role socket-proxy\n") && strstr(output, "allow GET /containers/**\n"), "%s",
		  output);
	cr_assert_eq(explain("--from-env", "--role", "mine", NULL), 0);
	cr_assert(strstr(output, "role mine\n"), "%s", output);
	cr_assert_eq(explain("--from-env", "--role", "a b", NULL), 2);
	unsetenv("CONTAINERS");
	cr_assert_eq(explain("--from-env", NULL), 0);
	cr_assert(strstr(errors, "none of the switches"), "%s", errors);
}

Test(explain, wrong_questions)
{
	cr_assert_eq(explain(NULL, NULL), 2);
	cr_assert(strstr(errors, "Usage: headgate explain"), "%s", errors);
	cr_assert_eq(explain("GET", "/_ping", NULL), 2);
	cr_assert_str_eq(errors, "headgate explain: --token NAME or --role ROLE is needed, to say who asks; "
				 "try 'headgate explain --help'\n");
	cr_assert_eq(explain("GET", "--role", "read", NULL), 2);
	cr_assert_str_eq(errors,
			 "headgate explain: a METHOD and a PATH are needed; try 'headgate explain --help'\n");
	cr_assert_eq(explain("GET", "/_ping", "x", "--role", "read", NULL), 2);
	cr_assert_eq(explain("GET", "/_ping", "--role", "nobody", NULL), 2);
	cr_assert(strstr(errors, "no role 'nobody'"), "%s", errors);
	cr_assert_eq(explain("GET", "/_ping", "--role", "read", "--token", "ci", NULL), 2);
	cr_assert_eq(explain("--nonsense", NULL), 2);
	cr_assert_eq(explain("--help", NULL), 0);
	write_file("policy", "role web\n  allow nothing-of-the-kind\n");
	cr_assert_eq(explain("GET", "/_ping", "--role", "read", NULL), 2);
	cr_assert(strstr(errors, "policy:2: 'nothing-of-the-kind' is no right"), "%s", errors);
}
