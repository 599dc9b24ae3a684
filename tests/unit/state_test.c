/* SPDX-License-Identifier: MIT */
/* state_test.c: the state directory. */
#include <sys/wait.h>

#include "state_support.h"

TestSuite(state, .init = setup, .fini = teardown, .timeout = 300);

/* -- the state directory --------------------------------------------------------------------------- */

Test(state, a_missing_directory_is_made_for_us_alone)
{
	umask(0);
	cr_assert_eq(dir_open(below("a/b/c")), 0, "%s", error);
	cr_assert_str_eq(path, below("a/b/c"));
	cr_assert_eq(mode_of(below("a/b/c")), 0700);
	cr_assert_eq(mode_of(below("a/b")), 0700);
	cr_assert_eq(mode_of(below("a")), 0700);
	cr_assert_eq(dir_open(below("a/b/c")), 0, "%s", error);
}

Test(state, slashes_at_the_end_go)
{
	cr_assert_eq(dir_open(below("a//")), 0, "%s", error);
	cr_assert_str_eq(path, below("a"));
}

Test(state, a_relative_path_becomes_absolute)
{
	cr_assert_eq(chdir(base), 0);
	cr_assert_eq(dir_open("rel/state"), 0, "%s", error);
	cr_assert_str_eq(path, below("rel/state"));
}

Test(state, a_directory_that_others_can_write_is_refused)
{
	static const mode_t modes[] = {0770, 0702, 0777, 01777};

	cr_assert_eq(mkdir(below("d"), 0755), 0);
	cr_assert_eq(dir_open(below("d")), 0, "%s", error);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		cr_assert_eq(chmod(below("d"), modes[i]), 0);
		cr_assert_eq(dir_open(below("d")), -EACCES, "row %zu", i);
		error_has("/d: others can write to it; run 'chmod 700 ", "/d'");
	}
}

Test(state, a_directory_of_another_user_is_refused)
{
	if (geteuid() != 0)
		cr_skip_test("only root can give a directory away");
	cr_assert_eq(mkdir(below("d"), 0700), 0);
	cr_assert_eq(chown(below("d"), NOBODY, NOBODY), 0);
	cr_assert_eq(dir_open(below("d")), -EPERM);
	error_has("belongs to user 65534", "run 'chown 0 ");
}

/* Only root can follow `run 'chown ...'`, and it would take the state away from the gate that has it. */
Test(state, a_directory_of_roots_is_for_sudo)
{
	int status = 0;
	pid_t pid;

	if (geteuid() != 0)
		cr_skip_test("only root can become another user");
	cr_assert_eq(mkdir(below("d"), 0755), 0);
	cr_assert_eq(chmod(base, 0755), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			_exit(10);
		_exit(dir_open(below("d")) == -EPERM &&
			      strstr(error, "belongs to user 0, headgate runs as user 65534; run it as root "
					    "(sudo), or ") &&
			      !strstr(error, "chown")
			  ? 0
			  : 11);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
}

Test(state, a_file_in_the_place_of_the_directory_is_refused)
{
	spill(below("f"), "x", 1, 0600);
	cr_assert_eq(dir_open(below("f")), -ENOTDIR);
	error_has("/f: not a directory", "--state");
	cr_assert_eq(dir_open(below("f/state")), -ENOTDIR);
}

Test(state, a_place_where_nothing_can_be_made_is_an_error)
{
	cr_assert_lt(dir_open("/proc/headgate"), 0);
	error_has("/proc/headgate: cannot make the directory", "--state DIR");
}

Test(state, an_empty_name_and_a_long_one_are_errors)
{
	static char longer[5000];
	char tiny[8];

	cr_assert_eq(dir_open(""), -EINVAL);
	error_has("--state", "empty");
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	cr_assert_eq(dir_open(longer), -ENAMETOOLONG);
	cr_assert_eq(state_dir_open(base, tiny, sizeof(tiny), error, sizeof(error)), -ENAMETOOLONG);
}

/* As a plain user, in a child: the environment and the user id are the process's. The exit code is 0 when
   state_dir_open() chose `want`, or failed and `want` is NULL. */
static int as_nobody(const char *xdg, const char *home, const char *want)
{
	int status;
	pid_t pid;

	cr_assert_eq(chown(base, NOBODY, NOBODY), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		int ret;

		if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			_exit(10);
		xdg ? setenv("XDG_STATE_HOME", xdg, 1) : unsetenv("XDG_STATE_HOME");
		home ? setenv("HOME", home, 1) : unsetenv("HOME");
		ret = dir_open(NULL);
		if (!want)
			_exit(ret < 0 && strstr(error, "--state DIR") ? 0 : 11);
		_exit(ret == 0 && strcmp(path, want) == 0 ? 0 : 12);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(state, the_default_place_of_a_plain_user)
{
	char want[160];

	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	snprintf(want, sizeof(want), "%s/headgate", base);
	cr_expect_eq(as_nobody(base, "/nowhere", want), 0);
	snprintf(want, sizeof(want), "%s/.local/state/headgate", base);
	cr_expect_eq(as_nobody(NULL, base, want), 0);
	cr_expect_eq(mode_of(want), 0700);
	/* The XDG rule: a relative path is no path. */
	cr_expect_eq(as_nobody("relative", base, want), 0);
	cr_expect_eq(as_nobody("", base, want), 0);
	cr_expect_eq(as_nobody(NULL, NULL, NULL), 0);
	cr_expect_eq(as_nobody(NULL, "", NULL), 0);
}

/* -- the state directory, looked at ------------------------------------------------------------------ */

static int dir_look(const char *given)
{
	return state_dir_look(given, path, sizeof(path), error, sizeof(error));
}

Test(state, looking_makes_nothing)
{
	cr_assert_eq(dir_look(below("a/b")), 1);
	cr_assert_str_eq(path, below("a/b"));
	cr_assert_neq(access(below("a"), F_OK), 0);
	cr_assert_eq(dir_open(below("a/b")), 0, "%s", error);
	cr_assert_eq(dir_look(below("a/b")), 0, "%s", error);
	cr_assert_eq(chmod(below("a/b"), 0777), 0);
	cr_assert_eq(dir_look(below("a/b")), -EACCES);
	error_has("/a/b: others can write to it", "chmod 700");
	spill(below("f"), "x", 1, 0600);
	cr_assert_eq(dir_look(below("f")), -ENOTDIR);
	cr_assert_eq(dir_look(below("f/state")), -ENOTDIR);
	cr_assert_eq(dir_look(""), -EINVAL);
}

Test(state, where_the_token_file_is)
{
	static char longer[5000];
	struct config config = {0};
	char tiny[12];

	config.state_dir = below("a");
	cr_assert_eq(state_tokens_path(&config, path, sizeof(path), error, sizeof(error)), 0, "%s", error);
	cr_assert_str_eq(path, below("a/tokens"));
	cr_assert_neq(access(below("a"), F_OK), 0);
	config.tokens_file = "relative";
	cr_assert_eq(state_tokens_path(&config, path, sizeof(path), error, sizeof(error)), 0, "%s", error);
	cr_assert_str_eq(path, "relative", "--tokens counts");
	config.tokens_file = "longer/than/that";
	cr_assert_eq(state_tokens_path(&config, tiny, sizeof(tiny), error, sizeof(error)), -ENAMETOOLONG);
	memset(longer, 'a', sizeof(longer) - 1);
	config.tokens_file = longer;
	cr_assert_eq(state_tokens_path(&config, path, sizeof(path), error, sizeof(error)), -ENAMETOOLONG);
	error_has("aaa...", "too long");
	config = (struct config){.state_dir = below("f")};
	spill(below("f"), "x", 1, 0600);
	cr_assert_eq(state_tokens_path(&config, path, sizeof(path), error, sizeof(error)), -ENOTDIR);
}
