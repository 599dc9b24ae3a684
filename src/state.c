/* SPDX-License-Identifier: MIT */
/* state.c: see state.h. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "span.h"

#define DIR_MODE	 ((mode_t)0700)
#define DIR_MODE_FORBID	 ((mode_t)022)
#define TOKEN_ROLE_ADMIN "admin"
#define TOKEN_FIRST_NAME "admin"

/* An absolute path outside our own choice: the XDG rule says that a relative one is to be ignored. */
static const char *absolute_env(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] == '/' ? value : NULL;
}

/* Chooses the directory, as an absolute path: it is printed in commands that people run elsewhere. */
static int dir_choose(const char *given, char *path, size_t path_cap, char *error, size_t error_cap)
{
	char cwd[STATE_PATH_MAX];
	const char *base;
	int n;

	if (given && !given[0]) {
		snprintf(error, error_cap, "--state: the name is empty");
		return -EINVAL;
	}
	if (given && given[0] == '/') {
		n = snprintf(path, path_cap, "%s", given);
	} else if (given) {
		if (!getcwd(cwd, sizeof(cwd))) {
			int ret = -errno;

			snprintf(error, error_cap, "--state: the current directory has no name: %m");
			return ret;
		}
		n = snprintf(path, path_cap, "%s/%s", cwd, given);
	} else if (geteuid() == 0) {
		n = snprintf(path, path_cap, "/var/lib/headgate");
	} else if ((base = absolute_env("XDG_STATE_HOME")) != NULL) {
		n = snprintf(path, path_cap, "%s/headgate", base);
	} else if ((base = absolute_env("HOME")) != NULL) {
		n = snprintf(path, path_cap, "%s/.local/state/headgate", base);
	} else {
		snprintf(error, error_cap,
			 "no place for the state directory (HOME is not set); give --state DIR");
		return -ENOENT;
	}
	if (n < 0 || (size_t)n >= path_cap) {
		snprintf(error, error_cap, "--state: the path is too long");
		return -ENAMETOOLONG;
	}
	for (size_t len = (size_t)n; len > 1 && path[len - 1] == '/'; len--)
		path[len - 1] = '\0';
	return 0;
}

/* Like mkdir -p, each new directory being ours alone. `path` is changed on the way and restored. */
static int dir_make(char *path)
{
	for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		int ret = 0;

		*slash = '\0';
		if (mkdir(path, DIR_MODE) < 0 && errno != EEXIST)
			ret = -errno;
		*slash = '/';
		/* EROFS and EACCES come before EEXIST on some file systems; what is missing shows below. */
		if (ret < 0 && ret != -EROFS && ret != -EACCES)
			return ret;
	}
	return mkdir(path, DIR_MODE) < 0 && errno != EEXIST ? -errno : 0;
}

/* Who is not root cannot take it over, and mostly wants the other one's state, not one of his own. */
static void dir_is_anothers(const char *path, uid_t owner, char *error, size_t error_cap)
{
	unsigned self = (unsigned)geteuid();
	int n = snprintf(error, error_cap, "%s: belongs to user %u, headgate runs as user %u; ", path,
			 (unsigned)owner, self);

	if (n < 0 || (size_t)n >= error_cap)
		return;
	if (self == 0)
		snprintf(error + n, error_cap - (size_t)n, "run 'chown 0 %s'", path);
	else
		snprintf(error + n, error_cap - (size_t)n, "run it as %s, or give another with --state DIR",
			 owner == 0 ? "root (sudo)" : "that user");
}

static int dir_check(const char *path, char *error, size_t error_cap)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		int ret = -errno;

		snprintf(error, error_cap, "%s: cannot look at it: %m", path);
		return ret;
	}
	if (!S_ISDIR(st.st_mode)) {
		snprintf(error, error_cap, "%s: not a directory; give another with --state DIR", path);
		return -ENOTDIR;
	}
	if (st.st_uid != geteuid()) {
		dir_is_anothers(path, st.st_uid, error, error_cap);
		return -EPERM;
	}
	/* Reading is allowed: ca.pem is for everybody on this host, and each secret has its own mode. */
	if (st.st_mode & DIR_MODE_FORBID) {
		snprintf(error, error_cap, "%s: others can write to it; run 'chmod 700 %s'", path, path);
		return -EACCES;
	}
	return 0;
}

int state_dir_open(const char *given, char *path, size_t path_cap, char *error, size_t error_cap)
{
	struct stat st;
	int ret = dir_choose(given, path, path_cap, error, error_cap);

	if (ret < 0)
		return ret;
	if (stat(path, &st) < 0 && errno == ENOENT) {
		ret = dir_make(path);
		if (ret < 0) {
			errno = -ret;
			snprintf(error, error_cap,
				 "%s: cannot make the directory: %m; give another with --state DIR", path);
			return ret;
		}
	}
	return dir_check(path, error, error_cap);
}

/* Whether mkdir -p could make it: the nearest directory that is there is asked. `path` is restored. */
static int dir_could_be_made(char *path, char *error, size_t error_cap)
{
	for (size_t end = strlen(path); end > 0; end--) {
		struct stat st;
		char kept = path[end];
		const char *parent = end > 1 ? path : "/";
		int ret;

		if (end > 1 && kept != '/')
			continue;
		if (end > 1)
			path[end] = '\0';
		ret = stat(parent, &st) < 0 ? -errno : 0;
		if (ret == 0 && !S_ISDIR(st.st_mode))
			ret = -ENOTDIR;
		if (ret == 0 && faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) < 0)
			ret = -errno;
		path[end] = kept;
		if (ret == -ENOENT)
			continue;
		if (ret < 0)
			snprintf(error, error_cap,
				 "%s: cannot make the directory: %s; give another with --state DIR", path,
				 strerror(-ret));
		return ret;
	}
	return -ENOENT;
}

int state_dir_look(const char *given, char *path, size_t path_cap, char *error, size_t error_cap)
{
	struct stat st;
	int ret = dir_choose(given, path, path_cap, error, error_cap);

	if (ret < 0)
		return ret;
	if (stat(path, &st) < 0 && errno == ENOENT) {
		ret = dir_could_be_made(path, error, error_cap);
		return ret < 0 ? ret : 1;
	}
	return dir_check(path, error, error_cap);
}

int state_tokens_read(const char *file, struct token_set *set, char *error, size_t error_cap)
{
	struct file_text text;
	size_t line_number = 0;
	const char *reason = "";
	int ret = file_read(file, FILE_SECRET, STATE_TOKENS_MAX_BYTES, &text, error, error_cap);

	if (ret < 0)
		return ret;
	ret = token_set_parse(set, (struct span){.ptr = text.data, .len = text.len}, &line_number, &reason);
	file_text_fini(&text);
	if (ret < 0)
		snprintf(error, error_cap, "%s:%zu: %s; mend or remove that line", file, line_number, reason);
	return ret;
}

int state_token_make(struct token *token, char secret[TOKEN_GENERATED_BYTES])
{
	if (token_generate(secret) < 0 || token_digest(span_of(secret), token->digest) < 0) {
		explicit_bzero(secret, TOKEN_GENERATED_BYTES);
		return -EIO;
	}
	memcpy(token->id, secret + 3, TOKEN_ID_BYTES - 1);
	token->id[TOKEN_ID_BYTES - 1] = '\0';
	return 0;
}

/* The file's first line, and the secret that belongs to it. */
static int first_line_make(char secret[TOKEN_GENERATED_BYTES], char *line, size_t line_cap, size_t *line_len)
{
	struct token token = {
	    .name = TOKEN_FIRST_NAME, .role_name = TOKEN_ROLE_ADMIN, .created_s = time(NULL)};
	long len;

	if (state_token_make(&token, secret) < 0)
		return -EIO;
	len = token_line_write(&token, line, line_cap);
	if (len < 0)
		return (int)len;
	*line_len = (size_t)len;
	return 0;
}

int state_tokens_create(const char *file, char secret[TOKEN_GENERATED_BYTES], char *error, size_t error_cap)
{
	char dir[STATE_PATH_MAX], line[TOKEN_LINE_MAX];
	size_t line_len = 0;
	int lock, ret;

	if (file_parent(file, dir, sizeof(dir)) < 0) {
		snprintf(error, error_cap, "%.64s...: the path is too long", file);
		return -ENAMETOOLONG;
	}
	lock = file_lock(dir, error, error_cap);
	if (lock < 0)
		return lock;
	ret = first_line_make(secret, line, sizeof(line), &line_len);
	if (ret < 0)
		snprintf(error, error_cap, "%s: cannot make a token: the random number generator failed",
			 file);
	else
		ret = file_write(file, line, line_len, STATE_TOKENS_MODE, FILE_KEEP, error, error_cap);
	close(lock);
	if (ret < 0)
		explicit_bzero(secret, TOKEN_GENERATED_BYTES);
	return ret;
}

/* One newline at the end belongs to the file and not to the secret; an editor may have made it CR LF. */
static struct span newline_off(struct span text)
{
	if (text.len && text.ptr[text.len - 1] == '\n') {
		text.len--;
		if (text.len && text.ptr[text.len - 1] == '\r')
			text.len--;
	}
	return text;
}

static int original_add(struct token_set *set, const char *source, struct span secret, char *error,
			size_t error_cap)
{
	const char *problem = token_secret_problem(secret);
	struct token token = {.name = TOKEN_ORIGINAL_NAME, .role_name = TOKEN_ROLE_ADMIN};
	int ret;

	if (problem) {
		snprintf(error, error_cap, "%s: %s; give another token", source, problem);
		return -EINVAL;
	}
	ret = token_digest(secret, token.digest);
	if (ret == 0)
		ret = token_set_add(set, &token);
	if (ret == -EEXIST)
		snprintf(error, error_cap,
			 "%s: the token file has a token named '%s' already; rename that one, or unset this",
			 source, TOKEN_ORIGINAL_NAME);
	else if (ret == -ENOTUNIQ)
		snprintf(error, error_cap,
			 "%s: it is a token of the token file already; unset it, or remove that one", source);
	else if (ret < 0)
		snprintf(error, error_cap, "%s: cannot add it: %s", source,
			 ret == -E2BIG ? "too many tokens" : "out of memory, or the crypto library failed");
	return ret < 0 ? ret : 1;
}

/* The only writer of this memory from here on; /proc/PID/environ shows zeros afterwards. */
static void environment_wipe(const char *value)
{
	explicit_bzero((void *)(uintptr_t)value, strlen(value));
}

int state_tokens_add_original(struct token_set *set, const struct config *config, char *error,
			      size_t error_cap)
{
	const char *value = config->original_token, *file = config->original_token_file;
	struct file_text text;
	int ret;

	if (value) {
		if (file) {
			snprintf(error, error_cap,
				 "DOCKER_API_TOKEN and DOCKER_API_TOKEN_FILE are both set; unset one");
			ret = -EINVAL;
		} else {
			ret = original_add(set, "DOCKER_API_TOKEN", span_of(value), error, error_cap);
		}
		environment_wipe(value);
		return ret;
	}
	if (!file)
		return 0;
	ret = file_read(file, FILE_SECRET, TOKEN_SECRET_MAX_BYTES + 2, &text, error, error_cap);
	if (ret < 0)
		return ret;
	ret = original_add(set, file, newline_off((struct span){.ptr = text.data, .len = text.len}), error,
			   error_cap);
	file_text_fini(&text);
	return ret;
}

int state_tokens_load(struct token_set *set, const struct config *config, const char *state_dir, char *path,
		      size_t path_cap, char *error, size_t error_cap)
{
	bool missing;
	int ret, n;

	path[0] = '\0';
	if (!config->tokens_file && !config_needs_state(config)) {
		ret = state_tokens_add_original(set, config, error, error_cap);
		return ret < 0 ? ret : 0;
	}
	n = snprintf(path, path_cap, "%s%s", config->tokens_file ? config->tokens_file : state_dir,
		     config->tokens_file ? "" : "/tokens");
	if (n < 0 || (size_t)n >= path_cap) {
		snprintf(error, error_cap, "%.64s...: the path is too long", path);
		return -ENAMETOOLONG;
	}
	ret = state_tokens_read(path, set, error, error_cap);
	missing = ret == -ENOENT;
	if (missing && config->tokens_file) {
		snprintf(
		    error, error_cap,
		    "%s: no such token file; make one: headgate token create NAME --role ROLE --tokens %s",
		    path, path);
		return ret;
	}
	if (ret < 0 && !missing)
		return ret;
	ret = state_tokens_add_original(set, config, error, error_cap);
	if (ret < 0)
		return ret;
	return missing && ret == 0 ? 1 : 0;
}

int state_tokens_path(const struct config *config, char *path, size_t path_cap, char *error, size_t error_cap)
{
	char dir[STATE_PATH_MAX] = "";
	int n, ret = 0;

	if (!config->tokens_file)
		ret = state_dir_look(config->state_dir, dir, sizeof(dir), error, error_cap);
	if (ret < 0)
		return ret;
	n = config->tokens_file ? snprintf(path, path_cap, "%s", config->tokens_file)
				: snprintf(path, path_cap, "%s/tokens", dir);
	if (n >= 0 && (size_t)n < path_cap)
		return 0;
	snprintf(error, error_cap, "%.64s...: the path is too long", path);
	return -ENAMETOOLONG;
}
