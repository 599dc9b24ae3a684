/* SPDX-License-Identifier: MIT */
/* state_tokens_test.c: the token file and the original system's token. */
#include <sys/wait.h>
#include <time.h>

#include "compiler.h"
#include "state_support.h"

#define PROCS 6

TestSuite(state_tokens, .init = setup, .fini = teardown, .timeout = 300);

/* The token with that secret, if it is good now. */
static const struct token *find(const struct token_set *set, struct span secret)
{
	struct token_credential credential;
	const struct token *token;

	return token_set_find(set, secret, NULL, time(NULL), &token, &credential) == TOKEN_GOOD ? token
												: NULL;
}

/* -- the token file --------------------------------------------------------------------------------
 */

static int create(char secret[TOKEN_GENERATED_BYTES])
{
	return state_tokens_create(file, secret, error, sizeof(error));
}

static int read_set(struct token_set *set)
{
	*set = (struct token_set){0};
	return state_tokens_read(file, set, error, sizeof(error));
}

Test(state_tokens, the_first_token_works_and_is_not_in_the_file)
{
	char secret[TOKEN_GENERATED_BYTES], text[1024] = {0};
	const struct token *found;
	struct token_set set;
	FILE *in;

	umask(0);
	cr_assert_eq(create(secret), 0, "%s", error);
	cr_assert_eq(mode_of(file), 0600);
	cr_assert_eq(strlen(secret), TOKEN_GENERATED_BYTES - 1);
	in = fopen(file, "r");
	cr_assert_gt(fread(text, 1, sizeof(text) - 1, in), 0);
	fclose(in);
	cr_assert_null(strstr(text, secret));
	cr_assert_eq(strncmp(text, "admin sha256=", 13), 0, "%s", text);
	cr_assert_not_null(strstr(text, " role=admin id="), "%s", text);
	cr_assert_eq(text[strlen(text) - 1], '\n');
	cr_assert_eq(read_set(&set), 0, "%s", error);
	cr_assert_eq(set.count, 1);
	found = find(&set, span_of(secret));
	cr_assert_not_null(found);
	cr_assert_str_eq(found->name, "admin");
	secret[20] = secret[20] == 'a' ? 'b' : 'a';
	cr_assert_null(find(&set, span_of(secret)));
	token_set_fini(&set);
}

Test(state_tokens, an_existing_token_file_stays)
{
	static const char text[] = "# mine\n";
	char secret[TOKEN_GENERATED_BYTES], empty[TOKEN_GENERATED_BYTES] = {0};
	struct stat st;

	spill(file, text, sizeof(text) - 1, 0600);
	memset(secret, 'x', sizeof(secret));
	cr_assert_eq(create(secret), -EEXIST);
	error_has("/tokens", "cannot write it");
	cr_assert_eq(stat(file, &st), 0);
	cr_assert_eq(st.st_size, (off_t)(sizeof(text) - 1));
	cr_assert_eq(memcmp(secret, empty, sizeof(secret)), 0, "a secret that no file knows was handed out");
	cr_assert_neq(access(below("tokens.new"), F_OK), 0);
}

/* A link to nowhere is not "no file": what it points to is not ours to make. */
Test(state_tokens, a_dangling_link_is_not_written_through)
{
	char secret[TOKEN_GENERATED_BYTES];

	cr_assert_eq(symlink(below("elsewhere"), file), 0);
	cr_assert_eq(create(secret), -EEXIST);
	cr_assert_neq(access(below("elsewhere"), F_OK), 0);
}

Test(state_tokens, processes_at_once_make_one_token_file)
{
	int gate[2], made = 0;
	pid_t pids[PROCS];
	struct token_set set;

	cr_assert_eq(pipe(gate), 0);
	for (int i = 0; i < PROCS; i++) {
		pids[i] = fork();
		cr_assert_geq(pids[i], 0);
		if (pids[i] == 0) {
			char secret[TOKEN_GENERATED_BYTES], byte;
			int ret;

			close(gate[1]);
			(void)!read(gate[0], &byte, 1);
			ret = create(secret);
			if (ret == -EEXIST)
				_exit(0);
			_exit(ret == 0 && read_set(&set) == 0 && find(&set, span_of(secret)) ? 1 : 99);
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < PROCS; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1, "status %x", (unsigned)status);
		made += WEXITSTATUS(status);
	}
	cr_assert_eq(made, 1);
}

Test(state_tokens, a_token_file_that_others_can_read_is_refused)
{
	static const mode_t modes[] = {0644, 0604, 0640, 0660, 0666, 0602};
	char secret[TOKEN_GENERATED_BYTES];
	struct token_set set;

	cr_assert_eq(create(secret), 0, "%s", error);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		cr_assert_eq(chmod(file, modes[i]), 0);
		cr_assert_eq(read_set(&set), -EACCES, "row %zu", i);
		error_has("/tokens: others can read it; run 'chmod 600 ", "/tokens'");
		cr_assert_eq(set.count, 0);
	}
	cr_assert_eq(chmod(file, 0400), 0);
	cr_assert_eq(read_set(&set), 0, "%s", error);
	token_set_fini(&set);
}

/* root:headgate 0640, read by the user headgate: an administrator's choice, and the only way in. */
Test(state_tokens, a_group_may_read_a_file_of_roots)
{
	char secret[TOKEN_GENERATED_BYTES];
	int status;
	pid_t pid;

	if (geteuid() != 0)
		cr_skip_test("only root can make a file of root's");
	cr_assert_eq(create(secret), 0, "%s", error);
	cr_assert_eq(chown(file, 0, NOBODY), 0);
	cr_assert_eq(chmod(file, 0640), 0);
	cr_assert_eq(chmod(base, 0755), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		struct token_set set;

		if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			_exit(10);
		_exit(read_set(&set) == 0 && set.count == 1 ? 0 : 11);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}

Test(state_tokens, a_missing_token_file_is_enoent)
{
	struct token_set set;

	cr_assert_eq(read_set(&set), -ENOENT);
	error_has("/tokens", "No such file");
}

Test(state_tokens, a_bad_line_is_named)
{
	static const char text[] = "# comment\n\nadmin sha256=beef role=admin\n";
	struct token_set set;

	spill(file, text, sizeof(text) - 1, 0600);
	cr_assert_eq(read_set(&set), -EINVAL);
	error_has("/tokens:3: ", "line");
	cr_assert_null(strstr(error, "beef"));
	cr_assert_eq(set.count, 0);
}

Test(state_tokens, odd_token_files_are_refused)
{
	struct token_set set;

	cr_assert_eq(mkdir(file, 0700), 0);
	cr_assert_eq(read_set(&set), -EINVAL);
	error_has("not a regular file", "");
	cr_assert_eq(rmdir(file), 0);
	cr_assert_eq(mkfifo(file, 0600), 0);
	cr_assert_eq(read_set(&set), -EINVAL);
	cr_assert_eq(unlink(file), 0);
	spill(file, "", 0, 0600);
	cr_assert_eq(truncate(file, 64 << 20), 0);
	cr_assert_eq(read_set(&set), -EFBIG);
	error_has("/tokens: larger than", "");
}

/* -- the original system's token --------------------------------------------------------------------
 */

static int add_original(struct token_set *set, const char *value, const char *value_file)
{
	struct config config = {.original_token = value, .original_token_file = value_file};

	return state_tokens_add_original(set, &config, error, sizeof(error));
}

Test(state_tokens, none_given_adds_none)
{
	struct token_set set = {0};

	cr_assert_eq(add_original(&set, NULL, NULL), 0);
	cr_assert_eq(set.count, 0);
}

/* Taken for none, the gate would open to other tokens than meant. */
Test(state_tokens, an_empty_one_is_refused)
{
	struct token_set set = {0};
	char none[] = "";

	cr_assert_eq(add_original(&set, none, NULL), -EINVAL);
	error_has("DOCKER_API_TOKEN: it is empty", "give another");
	cr_assert_eq(add_original(&set, NULL, ""), -ENOENT);
	cr_assert_eq(set.count, 0);
}

Test(state_tokens, the_token_of_the_environment_is_added_and_wiped)
{
	static const char value[] = "0123456789abcdef secret";
	struct token_set set = {0};
	const struct token *found;
	const char *env;

	cr_assert_eq(setenv("DOCKER_API_TOKEN", value, 1), 0);
	env = getenv("DOCKER_API_TOKEN");
	cr_assert_eq(add_original(&set, env, NULL), 1, "%s", error);
	found = find(&set, span_of(value));
	cr_assert_not_null(found);
	cr_assert_str_eq(found->name, "default");
	for (size_t i = 0; i < sizeof(value); i++)
		cr_assert_eq(env[i], '\0', "byte %zu is still there", i);
	cr_assert_str_empty(getenv("DOCKER_API_TOKEN"));
	token_set_fini(&set);
}

Test(state_tokens, the_longest_token_is_taken_and_one_more_is_not)
{
	static char longest[TOKEN_SECRET_MAX_BYTES + 1], copy[TOKEN_SECRET_MAX_BYTES + 2];
	struct token_set set = {0};

	memset(longest, 'f', TOKEN_SECRET_MAX_BYTES);
	memcpy(copy, longest, sizeof(longest));
	cr_assert_eq(add_original(&set, copy, NULL), 1, "%s", error);
	cr_assert_not_null(find(&set, span_of(longest)));
	token_set_fini(&set);
	memset(copy, 'f', TOKEN_SECRET_MAX_BYTES + 1);
	cr_assert_eq(add_original(&set, copy, NULL), -EINVAL);
	error_has("DOCKER_API_TOKEN: it is longer than 4096", "");
	cr_assert_null(strstr(error, "ffff"));
	cr_assert_eq(copy[0], '\0', "a refused one is wiped too");
}

Test(state_tokens, what_no_header_can_carry_is_refused_and_not_told)
{
	static const char *const bad[] = {" hush",  "hush ",	"hush\t",  "hu\nsh",
					  "hu\rsh", "hu\x01sh", "hush\x7f"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct token_set set = {0};
		char copy[16];

		snprintf(copy, sizeof(copy), "%s", bad[i]);
		cr_expect_eq(add_original(&set, copy, NULL), -EINVAL, "row %zu", i);
		cr_expect_null(strstr(error, "hu"), "row %zu: %s", i, error);
		cr_expect_eq(set.count, 0, "row %zu", i);
	}
}

Test(state_tokens, a_secret_file_loses_one_newline)
{
	static const struct {
		const char *text, *secret; /* NULL: refused */
	} rows[] = {
	    {"s3cret", "s3cret"}, {"s3cret\n", "s3cret"}, {"s3cret\r\n", "s3cret"}, {"s3cret\n\n", NULL},
	    {"", NULL},		  {"\n", NULL},		  {"\ns3cret", NULL},	    {"s3cret\r", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct token_set set = {0};

		spill(file, rows[i].text, strlen(rows[i].text), 0600);
		if (rows[i].secret) {
			cr_expect_eq(add_original(&set, NULL, file), 1, "row %zu: %s", i, error);
			cr_expect_not_null(find(&set, span_of(rows[i].secret)), "row %zu", i);
		} else {
			cr_expect_eq(add_original(&set, NULL, file), -EINVAL, "row %zu", i);
			cr_expect_null(strstr(error, "s3cret"), "row %zu: %s", i, error);
			cr_expect_not_null(strstr(error, file), "row %zu: %s", i, error);
		}
		token_set_fini(&set);
	}
}

/* A NUL ends no secret: "abc\0def" must not become the token "abc". */
Test(state_tokens, a_nul_in_a_secret_file_is_refused)
{
	struct token_set set = {0};

	spill(file, "abc\0def", 7, 0600);
	cr_assert_eq(add_original(&set, NULL, file), -EINVAL);
	cr_assert_eq(set.count, 0);
}

Test(state_tokens, the_secret_file_takes_the_longest_token_with_its_newline)
{
	static char text[TOKEN_SECRET_MAX_BYTES + 3];
	struct token_set set = {0};

	memset(text, 'f', TOKEN_SECRET_MAX_BYTES);
	memcpy(text + TOKEN_SECRET_MAX_BYTES, "\r\n", 2);
	spill(file, text, TOKEN_SECRET_MAX_BYTES + 2, 0600);
	cr_assert_eq(add_original(&set, NULL, file), 1, "%s", error);
	token_set_fini(&set);
	memset(text, 'f', TOKEN_SECRET_MAX_BYTES + 1);
	spill(file, text, TOKEN_SECRET_MAX_BYTES + 1, 0600);
	cr_assert_eq(add_original(&set, NULL, file), -EINVAL);
}

Test(state_tokens, a_secret_file_that_others_can_read_or_that_is_missing_is_refused)
{
	struct token_set set = {0};

	spill(file, "s3cret\n", 7, 0644);
	cr_assert_eq(add_original(&set, NULL, file), -EACCES);
	error_has("others can read it; run 'chmod 600 ", file);
	unlink(file);
	cr_assert_eq(add_original(&set, NULL, file), -ENOENT);
	error_has(file, "cannot open it");
}

Test(state_tokens, both_ways_at_once_are_refused_and_wiped)
{
	struct token_set set = {0};
	char copy[] = "s3cret";

	spill(file, "s3cret\n", 7, 0600);
	cr_assert_eq(add_original(&set, copy, file), -EINVAL);
	error_has("DOCKER_API_TOKEN", "DOCKER_API_TOKEN_FILE");
	cr_assert_str_empty(copy);
	cr_assert_eq(set.count, 0);
}

Test(state_tokens, a_token_called_default_in_the_file_is_in_the_way)
{
	const struct token taken = {.name = TOKEN_ORIGINAL_NAME, .role_name = "read", .digest = {1}};
	struct token_set set = {0};
	char copy[] = "s3cret";

	cr_assert_eq(token_set_add(&set, &taken), 0);
	cr_assert_eq(add_original(&set, copy, NULL), -EEXIST);
	error_has("'default'", "rename");
	cr_assert_eq(set.count, 1);
	token_set_fini(&set);
}

/* -- all of them
 * ------------------------------------------------------------------------------------- */

static int load(struct token_set *set, const struct config *config)
{
	*set = (struct token_set){0};
	return state_tokens_load(set, config, base, path, sizeof(path), error, sizeof(error));
}

Test(state_tokens, all_tokens_of_a_state_directory)
{
	static const char text[] =
	    "a sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad role=r\n";
	struct config config = {.state_dir = base};
	struct token_set set;
	char value[] = "s3cret";

	cr_assert_eq(load(&set, &config), 1, "there is none: one has to be made");
	cr_assert_str_eq(path, file);
	cr_assert_eq(set.count, 0);
	config.original_token = value;
	cr_assert_eq(load(&set, &config), 0, "DOCKER_API_TOKEN is one");
	cr_assert_eq(set.count, 1);
	cr_assert_str_empty(value);
	token_set_fini(&set);
	config.original_token = NULL;
	spill(file, text, sizeof(text) - 1, 0600);
	cr_assert_eq(load(&set, &config), 0, "%s", error);
	cr_assert_eq(set.count, 1);
	token_set_fini(&set);
	spill(file, "", 0, 0600);
	cr_assert_eq(load(&set, &config), 0, "an empty file is a file");
	cr_assert_eq(set.count, 0);
	spill(file, "a\n", 2, 0600);
	cr_assert_eq(load(&set, &config), -EINVAL);
	error_has("/tokens:1: ", "mend or remove that line");
}

Test(state_tokens, all_tokens_of_a_given_file)
{
	static const char text[] =
	    "a sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad role=r\n";
	char given[512], value[] = "s3cret", twice[] = "abc";
	struct config config = {.tokens_file = given};
	struct token_set set;

	snprintf(given, sizeof(given), "%s", below("given"));
	cr_assert_eq(load(&set, &config), -ENOENT, "a given file is not made");
	error_has("/given: no such token file", "");
	spill(given, text, sizeof(text) - 1, 0600);
	config.original_token = value;
	cr_assert_eq(load(&set, &config), 0, "%s", error);
	cr_assert_str_eq(path, given);
	cr_assert_eq(set.count, 2);
	token_set_fini(&set);
	/* "abc" is what the line has: to revoke the line would not revoke it. */
	config.original_token = twice;
	cr_assert_eq(load(&set, &config), -ENOTUNIQ);
	error_has("DOCKER_API_TOKEN: it is a token of the token file already", "");
	token_set_fini(&set);
}
