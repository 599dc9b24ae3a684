/* SPDX-License-Identifier: MIT */
/* state_change_test.c: one line of the token file changed, and nothing else of it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"
#include "state.h"

#define PROCS	    8
#define PROC_TOKENS 12
#define NOBODY	    65534
#define A	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define B	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static char base[64], file[128], error[512];

static void setup(void)
{
	snprintf(base, sizeof(base), "/tmp/change-test.XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	snprintf(file, sizeof(file), "%s/tokens", base);
	umask(022);
}

/* Only what the test made can be there, and `base` came from mkdtemp(). */
static void teardown(void)
{
	char command[160];

	snprintf(command, sizeof(command), "chmod 700 '%s'; rm -rf '%s'", base, base);
	cr_assert_eq(system(command), 0);
}

TestSuite(state_change, .init = setup, .fini = teardown, .timeout = 300);

static void spill(const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void holds(const char *wanted)
{
	struct file_text text;

	cr_assert_eq(file_read(file, FILE_PUBLIC, STATE_TOKENS_MAX_BYTES, &text, error, sizeof(error)), 0);
	cr_assert_str_eq(text.data, wanted);
	file_text_fini(&text);
}

/* ---- changes ---- */

static int remove_a(void *context, bool exists, struct token *token, char *why, size_t why_cap)
{
	(void)context;
	(void)token;
	(void)why;
	(void)why_cap;
	cr_assert(exists);
	return STATE_REMOVE;
}

/* Kept elsewhere and linked to: the file changes there, and the link stays. */
Test(state_change, a_link_stays_a_link)
{
	char link_path[128];
	struct stat st;

	snprintf(link_path, sizeof(link_path), "%s/link", base);
	spill("a sha256=" A " role=read\nb sha256=" B " role=read\n");
	cr_assert_eq(symlink(file, link_path), 0);
	cr_assert_eq(state_tokens_change(link_path, "a", remove_a, NULL, error, sizeof(error)), 0, "%s",
		     error);
	cr_assert_eq(lstat(link_path, &st), 0);
	cr_assert(S_ISLNK(st.st_mode));
	holds("b sha256=" B " role=read\n");
}

/* What the change is to do, and what it saw. */
struct wish {
	int result; /* STATE_WRITE and so on */
	const char *name, *role;
	uint8_t digest_byte; /* 0: the digest stays */
	bool existed;
	char old_role[TOKEN_NAME_MAX + 1];
	int calls;
};

static int grant(void *context, bool exists, struct token *token, char *reason, size_t reason_cap)
{
	struct wish *wish = context;

	wish->calls++;
	wish->existed = exists;
	strlcpy(wish->old_role, token->role_name, sizeof(wish->old_role));
	if (wish->result < 0)
		snprintf(reason, reason_cap, "not now");
	if (!exists)
		cr_assert_eq(memcmp(token, &(struct token){0}, sizeof(*token)), 0, "all zero");
	strlcpy(token->name, wish->name, sizeof(token->name));
	if (wish->role)
		strlcpy(token->role_name, wish->role, sizeof(token->role_name));
	if (wish->digest_byte)
		memset(token->digest, wish->digest_byte, sizeof(token->digest));
	return wish->result;
}

static int change(struct wish *wish)
{
	error[0] = '\0';
	return state_tokens_change(file, wish->name, grant, wish, error, sizeof(error));
}

#define AB "abababababababababababababababababababababababababababababababab"

Test(state_change, the_line_and_nothing_else)
{
	static const struct {
		const char *before, *after;
		int result;
		const char *name;
	} rows[] = {
	    /* made: at the end */
	    {"", "x sha256=" AB " role=read\n", STATE_WRITE, "x"},
	    {"# mine\n", "# mine\nx sha256=" AB " role=read\n", STATE_WRITE, "x"},
	    {"# no newline", "# no newline\nx sha256=" AB " role=read\n", STATE_WRITE, "x"},
	    {"\n\n", "\n\nx sha256=" AB " role=read\n", STATE_WRITE, "x"},
	    {"# x sha256=" A " role=admin\n", "# x sha256=" A " role=admin\nx sha256=" AB " role=read\n",
	     STATE_WRITE, "x"},
	    /* names that only look like it */
	    {"xx sha256=" A " role=admin\n", "xx sha256=" A " role=admin\nx sha256=" AB " role=read\n",
	     STATE_WRITE, "x"},
	    {"X sha256=" A " role=admin\n", "X sha256=" A " role=admin\nx sha256=" AB " role=read\n",
	     STATE_WRITE, "x"},
	    /* changed: where it stands; the others as somebody wrote them */
	    {"x sha256=" A " role=admin\n", "x sha256=" AB " role=read\n", STATE_WRITE, "x"},
	    {"x sha256=" A " role=admin", "x sha256=" AB " role=read\n", STATE_WRITE, "x"},
	    {" \t# tabs\t\n\n  b\trole=r   sha256=" B " # b's\n\t x  role=admin sha256=" A "\n# end",
	     " \t# tabs\t\n\n  b\trole=r   sha256=" B " # b's\nx sha256=" AB " role=read\n# end", STATE_WRITE,
	     "x"},
	    /* the comment behind it is somebody's, too */
	    {"x sha256=" A " role=admin  # Eve's laptop\n# end\n",
	     "x sha256=" AB " role=read  # Eve's laptop\n# end\n", STATE_WRITE, "x"},
	    {"x sha256=" A " role=admin#x #", "x sha256=" AB " role=read#x #", STATE_WRITE, "x"},
	    /* taken out, with its comment */
	    {"x sha256=" A " role=admin\n", "", STATE_REMOVE, "x"},
	    {"x sha256=" A " role=admin", "", STATE_REMOVE, "x"},
	    {"# 1\nx sha256=" A " role=admin # Eve's\n# 2\nb sha256=" B " role=r\n",
	     "# 1\n# 2\nb sha256=" B " role=r\n", STATE_REMOVE, "x"},
	    {"b sha256=" B " role=r\nx sha256=" A " role=admin", "b sha256=" B " role=r\n", STATE_REMOVE,
	     "x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct wish wish = {
		    .result = rows[i].result, .name = rows[i].name, .role = "read", .digest_byte = 0xab};

		spill(rows[i].before);
		cr_assert_eq(change(&wish), 0, "row %zu: %s", i, error);
		holds(rows[i].after);
	}
}

Test(state_change, it_is_shown_what_there_is)
{
	struct wish wish = {.result = STATE_WRITE, .name = "x", .role = "logs"};
	static const char text[] = "x sha256=" A " role=admin id=00112233 created=2026-11-23T19:30:00Z "
				   "expires=2027-11-23T19:30:00Z from=10.0.0.0/8,::1 previous=" B
				   " previous-until=2026-11-24T19:30:00Z\n";
	static const char after[] = "x sha256=" A " role=logs id=00112233 created=2026-11-23T19:30:00Z "
				    "expires=2027-11-23T19:30:00Z from=10.0.0.0/8,::1 previous=" B
				    " previous-until=2026-11-24T19:30:00Z\n";

	spill(text);
	cr_assert_eq(change(&wish), 0, "%s", error);
	cr_assert(wish.existed);
	cr_assert_str_eq(wish.old_role, "admin");
	holds(after);
	wish.name = "y";
	wish.digest_byte = 1;
	cr_assert_eq(change(&wish), 0, "%s", error);
	cr_assert(!wish.existed);
	cr_assert_eq(wish.calls, 2);
}

Test(state_change, a_missing_file_is_made)
{
	struct wish wish = {.result = STATE_WRITE, .name = "x", .role = "read", .digest_byte = 0xab};
	struct stat st;

	umask(0);
	cr_assert_eq(change(&wish), 0, "%s", error);
	holds("x sha256=" AB " role=read\n");
	cr_assert_eq(stat(file, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	snprintf(file, sizeof(file), "%s/missing/tokens", base);
	cr_assert_eq(change(&wish), -ENOENT);
	cr_assert_not_null(strstr(error, "missing: cannot open the directory"), "%s", error);
}

/* Nothing is written, and nothing is left lying there. */
static void refused(struct wish *wish, int wanted, const char *reason, const char *text)
{
	struct stat before, after;
	char leftover[160];

	spill(text);
	cr_assert_eq(stat(file, &before), 0);
	cr_assert_eq(change(wish), wanted, "%s", error);
	cr_assert_not_null(strstr(error, reason), "%s", error);
	cr_assert_null(strchr(error, '\n'));
	cr_assert_eq(stat(file, &after), 0);
	cr_assert_eq(before.st_ino, after.st_ino);
	holds(text);
	snprintf(leftover, sizeof(leftover), "%s.new", file);
	cr_assert_neq(access(leftover, F_OK), 0);
}

Test(state_change, what_is_refused_changes_nothing)
{
	struct wish wish = {.result = -EPERM, .name = "x", .role = "read", .digest_byte = 0xab};

	refused(&wish, -EPERM, "not now", "b sha256=" B " role=r\n");
	wish.result = STATE_WRITE;
	refused(&wish, -EINVAL, "tokens:2: ", "# broken\nx\n");
	refused(&wish, -EINVAL, "tokens:1: a carriage return", "b sha256=" B " role=r\r\n");
	refused(&wish, -EINVAL, "a digest that the file has already", "b sha256=" AB " role=r\n");
	wish.role = "two words";
	refused(&wish, -EINVAL, "", "");
	wish.role = "read";
	wish.digest_byte = 0;
	refused(&wish, -EINVAL, "all zero", "");
	wish.digest_byte = 0xab;
	cr_assert_eq(chmod(file, 0644), 0);
	spill("");
	cr_assert_eq(change(&wish), -EACCES);
	cr_assert_not_null(strstr(error, "others can read it; run 'chmod 600 "), "%s", error);
}

Test(state_change, mode_and_owner_stay)
{
	struct wish wish = {.result = STATE_WRITE, .name = "x", .role = "read", .digest_byte = 0xab};
	struct stat st;

	spill("");
	cr_assert_eq(chmod(file, 0400), 0);
	if (geteuid() == 0)
		cr_assert_eq(chown(file, NOBODY, NOBODY - 1), 0);
	cr_assert_eq(change(&wish), 0, "%s", error);
	cr_assert_eq(stat(file, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0400);
	if (geteuid() == 0) {
		cr_assert_eq(st.st_uid, NOBODY);
		cr_assert_eq(st.st_gid, NOBODY - 1);
	}
	holds("x sha256=" AB " role=read\n");
}

/* As somebody who may read it, in a directory that is not his: a swarm secret, for example. */
Test(state_change, in_a_directory_that_cannot_be_written)
{
	struct wish wish = {.result = STATE_WRITE, .name = "x", .role = "read", .digest_byte = 0xab};
	int status;
	pid_t pid;

	spill("b sha256=" B " role=r\n");
	if (geteuid() == 0)
		cr_assert_eq(chown(file, NOBODY, NOBODY), 0);
	cr_assert_eq(chmod(base, 0555), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
			_exit(2);
		_exit(change(&wish) == -EACCES && strstr(error, "tokens: cannot write it: ") ? 0 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	holds("b sha256=" B " role=r\n");
}

/* ---- several at once ---- */

static void change_many(int number)
{
	for (int i = 0; i < PROC_TOKENS; i++) {
		char name[32];
		struct wish wish = {.result = STATE_WRITE, .name = name, .role = "read"};

		snprintf(name, sizeof(name), "p%d-%d", number, i);
		/* 1 to 96: a digest of its own for each. */
		wish.digest_byte = (uint8_t)(1 + number * PROC_TOKENS + i);
		if (change(&wish) < 0)
			_exit(1);
		/* Every third is taken back at once. */
		wish.result = STATE_REMOVE;
		if (i % 3 == 0 && change(&wish) < 0)
			_exit(2);
	}
	_exit(0);
}

Test(state_change, two_at_once_lose_nothing)
{
	pid_t pids[PROCS];
	struct token_set set = {0};
	size_t wanted = 1;

	spill("# kept\nb sha256=" B " role=r\n");
	for (int i = 0; i < PROCS; i++) {
		pids[i] = fork();
		cr_assert_geq(pids[i], 0);
		if (pids[i] == 0)
			change_many(i);
	}
	for (int i = 0; i < PROCS; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert_eq(status, 0, "process %d: %x", i, (unsigned)status);
	}
	cr_assert_eq(state_tokens_read(file, &set, error, sizeof(error)), 0, "%s", error);
	for (int i = 0; i < PROCS; i++)
		for (int j = 0; j < PROC_TOKENS; j++) {
			char name[32];

			snprintf(name, sizeof(name), "p%d-%d", i, j);
			cr_assert_eq(token_set_name(&set, span_of(name)) != NULL, j % 3 != 0, "%s", name);
			wanted += j % 3 != 0;
		}
	cr_assert_eq(set.count, wanted);
	cr_assert_not_null(token_set_name(&set, SPAN("b")));
	token_set_fini(&set);
}

/* The file is whole whenever somebody looks. */
Test(state_change, a_reader_never_sees_half_of_it)
{
	struct wish wish = {.result = STATE_WRITE, .name = "x", .role = "read", .digest_byte = 1};
	struct token_set set;
	int status, looks = 0;
	pid_t pid;

	spill("b sha256=" B " role=r\n");
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		for (int i = 0; i < 100; i++) {
			wish.digest_byte = (uint8_t)(1 + i);
			wish.result = i & 1 ? STATE_REMOVE : STATE_WRITE;
			if (change(&wish) < 0)
				_exit(1);
		}
		_exit(0);
	}
	do {
		set = (struct token_set){0};
		cr_assert_eq(state_tokens_read(file, &set, error, sizeof(error)), 0, "%s", error);
		cr_assert_not_null(token_set_name(&set, SPAN("b")));
		token_set_fini(&set);
		looks++;
	} while (waitpid(pid, &status, WNOHANG) == 0);
	cr_assert_eq(status, 0);
	cr_assert_gt(looks, 1);
}

Test(state_change, a_full_file_takes_no_more_and_gives_back)
{
	struct wish wish = {.result = STATE_WRITE, .name = "x", .role = "read", .digest_byte = 0xab};
	const size_t width = strlen("n00000 sha256=" A " role=r\n");
	char *text = malloc(TOKEN_SET_MAX * width + 1);

	cr_assert_not_null(text);
	for (size_t i = 0; i < TOKEN_SET_MAX; i++)
		sprintf(text + i * width, "n%05zu sha256=%064zx role=r\n", i, i + 1);
	refused(&wish, -EINVAL, "more than 16384 tokens", text);
	wish.result = STATE_REMOVE;
	wish.name = "n00000";
	cr_assert_eq(change(&wish), 0, "%s", error);
	holds(text + width);
	free(text);
}

/* ---- secrets ---- */

Test(state_change, a_new_secret_for_a_token)
{
	struct token token = {.name = "x", .role_name = "read"}, before;
	char secret[TOKEN_GENERATED_BYTES];
	uint8_t digest[TOKEN_DIGEST_BYTES];

	for (int i = 0; i < 3; i++) {
		before = token;
		cr_assert_eq(state_token_make(&token, secret), 0);
		cr_assert_eq(token_digest(span_of(secret), digest), 0);
		cr_assert_eq(memcmp(digest, token.digest, sizeof(digest)), 0);
		cr_assert_neq(memcmp(before.digest, token.digest, sizeof(digest)), 0);
		cr_assert_eq(strncmp(secret + 3, token.id, 8), 0);
		cr_assert_eq(strlen(token.id), 8);
		cr_assert_str_eq(token.role_name, "read");
	}
}
