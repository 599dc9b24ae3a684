/* SPDX-License-Identifier: MIT */
/* access_test.c: tokens and policy loaded, watched and loaded again; what is broken changes nothing. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access.h"

#define A "a sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad role="
#define B "b sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 role="

static char base[64], error[512], secret[TOKEN_GENERATED_BYTES];
static struct config config;
static struct access gate;

static void setup(void)
{
	snprintf(base, sizeof(base), "/tmp/access-test.XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	config = (struct config){.state_dir = base};
}

/* Only what the test made can be there, and `base` came from mkdtemp(). */
static void teardown(void)
{
	char command[128];

	access_fini(&gate);
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	cr_assert_eq(system(command), 0);
}

TestSuite(access, .init = setup, .fini = teardown, .timeout = 300);

static void spill(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void gone(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	cr_assert_eq(unlink(path), 0);
}

static int load(char new_token[TOKEN_GENERATED_BYTES])
{
	return access_load(&gate, &config, base, new_token, error, sizeof(error));
}

/* A change is seen once it rests. */
static bool has_changed(void)
{
	static uint64_t now_ms = 1000;
	bool first = access_has_changed(&gate, now_ms);

	cr_assert(!first, "it has not rested yet");
	now_ms += FILE_REST_MS;
	return access_has_changed(&gate, now_ms);
}

static int reload(void)
{
	return access_reload(&gate, error, sizeof(error));
}

Test(access, the_first_start_makes_a_token)
{
	cr_assert_eq(load(NULL), 1, "%s", error);
	cr_assert_eq(gate.snapshot->tokens.count, 0);
	access_fini(&gate);
	cr_assert_eq(load(secret), 0, "%s", error);
	cr_assert_eq(strlen(secret), TOKEN_GENERATED_BYTES - 1);
	cr_assert_eq(gate.snapshot->tokens.count, 1);
	cr_assert_not_null(gate.snapshot->tokens.tokens[0].role);
	cr_assert(!has_changed(), "what it made itself is no change");
	access_fini(&gate);
	cr_assert_eq(load(secret), 0, "%s", error);
	cr_assert_str_empty(secret, "the second start makes none");
}

Test(access, a_start_that_fails_makes_no_token)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/tokens", base);
	spill("policy", "role mine\n\tallow nonsense\n");
	cr_assert_lt(load(secret), 0);
	cr_assert_not_null(strstr(error, "/policy:2: "), "%s", error);
	cr_assert_str_empty(secret);
	cr_assert_neq(access(path, F_OK), 0, "nobody would ever see its secret");
	access_fini(&gate);
	gone("policy");
	cr_assert_eq(load(secret), 0, "%s", error);
	cr_assert_eq(strlen(secret), TOKEN_GENERATED_BYTES - 1);
}

Test(access, a_change_is_loaded)
{
	spill("tokens", A "read\n");
	cr_assert_eq(load(secret), 0, "%s", error);
	spill("tokens", A "read\n" B "mine\n");
	spill("policy", "role mine\n\tallow GET /info\n");
	cr_assert(has_changed());
	cr_assert_eq(reload(), 0, "%s", error);
	cr_assert_eq(gate.snapshot->tokens.count, 2);
	cr_assert(!has_changed());
	spill("tokens", "");
	cr_assert(has_changed());
	cr_assert_eq(reload(), 0, "%s", error);
	cr_assert_eq(gate.snapshot->tokens.count, 0, "the last one was revoked");
}

/* Refused as a whole; told once, and not again before the file changes again. */
static void broken(const char *reason)
{
	struct snapshot *before = gate.snapshot;

	cr_assert(has_changed(), "%s", reason);
	cr_assert_lt(reload(), 0, "%s", reason);
	cr_assert_not_null(strstr(error, reason), "%s", error);
	cr_assert_null(strchr(error, '\n'));
	cr_assert_eq(gate.snapshot, before, "the old one stays");
	cr_assert_eq(gate.snapshot->tokens.count, 1);
	cr_assert(!has_changed(), "%s: it would be told for ever", reason);
}

Test(access, what_is_broken_changes_nothing)
{
	spill("tokens", A "mine\n");
	spill("policy", "role mine\n\tallow GET /info\n");
	cr_assert_eq(load(secret), 0, "%s", error);
	spill("tokens", A "mine\nhalf a line");
	broken("/tokens:2: ");
	gone("tokens");
	broken("/tokens: the token file is gone");
	spill("tokens", A "nobody\n");
	broken("the token 'a' has the role 'nobody', which is not known");
	spill("tokens", A "mine\n");
	spill("policy", "role mine\n\tallow nonsense\n");
	broken("/policy:2: ");
	gone("policy");
	broken("the role 'mine', which is not known");
	/* Both at once, the tokens first: the policy has not even been read. */
	spill("tokens", "nonsense\n");
	spill("policy", "role mine\n\tallow GET /version\n");
	broken("/tokens:1: ");
	spill("tokens", A "mine\n");
	cr_assert(has_changed());
	cr_assert_eq(reload(), 0, "%s", error);
	cr_assert(!has_changed());
}

Test(access, the_token_of_the_environment_stays)
{
	char value[] = "s3cret";
	struct token_credential credential;
	const struct token *token;

	config.original_token = value;
	spill("tokens", A "read\n");
	cr_assert_eq(load(secret), 0, "%s", error);
	cr_assert_eq(gate.snapshot->tokens.count, 2);
	cr_assert_str_empty(value);
	spill("tokens", A "read\n" B "read\n");
	cr_assert_eq(reload(), 0, "%s", error);
	cr_assert_eq(gate.snapshot->tokens.count, 3);
	cr_assert_eq(token_set_find(&gate.snapshot->tokens, SPAN("s3cret"), NULL, 0, &token, &credential),
		     TOKEN_GOOD);
	cr_assert_not_null(token->role);
	spill("tokens",
	      "default sha256=00000000000000000000000000000000000000000000000000000000000000ff role=read\n");
	cr_assert_lt(reload(), 0);
	cr_assert_not_null(strstr(error, "'default', or with its secret, stands beside DOCKER_API_TOKEN"),
			   "%s", error);
	cr_assert_eq(gate.snapshot->tokens.count, 3);
}

Test(access, beside_the_token_of_the_environment_there_need_be_no_file)
{
	char value[] = "s3cret";

	config.original_token = value;
	cr_assert_eq(load(secret), 0, "%s", error);
	cr_assert_str_empty(secret, "none is made");
	cr_assert_eq(gate.snapshot->tokens.count, 1);
	spill("policy", "role mine\n\tallow GET /info\n");
	cr_assert(has_changed());
	cr_assert_eq(reload(), 0, "%s", error);
	cr_assert_eq(gate.snapshot->tokens.count, 1);
	cr_assert_not_null(policy_role(gate.snapshot->policy, SPAN("mine")));
	spill("tokens", A "mine\n");
	cr_assert(has_changed());
	cr_assert_eq(reload(), 0, "%s", error);
	cr_assert_eq(gate.snapshot->tokens.count, 2);
	gone("tokens");
	cr_assert(has_changed());
	cr_assert_eq(reload(), -ENOENT, "once it was there it has to be");
	cr_assert_eq(gate.snapshot->tokens.count, 2);
}

Test(access, the_file_of_the_original_token_is_watched)
{
	struct token_credential credential;
	const struct token *token;
	char path[128];

	snprintf(path, sizeof(path), "%s/original", base);
	config.original_token_file = path;
	spill("original", "first\n");
	cr_assert_eq(load(secret), 0, "%s", error);
	cr_assert(!has_changed());
	spill("original", "second one\n");
	cr_assert(has_changed());
	cr_assert_eq(reload(), 0, "%s", error);
	cr_assert(!has_changed());
	cr_assert_eq(token_set_find(&gate.snapshot->tokens, SPAN("second one"), NULL, 0, &token, &credential),
		     TOKEN_GOOD);
	cr_assert_eq(token_set_find(&gate.snapshot->tokens, SPAN("first"), NULL, 0, &token, &credential),
		     TOKEN_UNKNOWN);
	gone("original");
	cr_assert(has_changed());
	cr_assert_lt(reload(), 0);
	cr_assert(!has_changed(), "told once");
	cr_assert_eq(gate.snapshot->tokens.count, 1, "the old one stays");
}
