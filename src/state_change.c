/* SPDX-License-Identifier: MIT */
/* state_change.c: one line of the token file made, changed or taken out. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "span.h"
#include "state.h"

/* The name that a line of the token file is about; empty for a comment. */
static struct span line_name(struct span line)
{
	struct span name = {.ptr = line.ptr};

	while (line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
		line = span_skip(line, 1);
	name.ptr = line.ptr;
	while (name.len < line.len && !strchr(" \t#\n", line.ptr[name.len]))
		name.len++;
	return name;
}

/* The comment behind a token, with the blanks before it and the newline; empty when there is none. */
static struct span line_comment(struct span line)
{
	const char *comment = memchr(line.ptr, '#', line.len);

	if (!comment)
		return (struct span){0};
	while (comment > line.ptr && (comment[-1] == ' ' || comment[-1] == '\t'))
		comment--;
	return span_skip(line, (size_t)(comment - line.ptr));
}

static char *append(char *end, struct span text)
{
	if (text.len)
		memcpy(end, text.ptr, text.len);
	return end + text.len;
}

/*
 * The text with the line of `name` replaced (nothing: taken out), or with `line` behind it when there is
 * none. All others stay byte for byte, comments too, also the one behind that token. The caller frees it.
 */
static char *text_with(struct span text, struct span name, struct span line, size_t *len)
{
	char *out = malloc(text.len + line.len + 2), *end = out;
	bool found = false;

	while (out && text.len) {
		const char *newline = memchr(text.ptr, '\n', text.len);
		struct span old = {.ptr = text.ptr,
				   .len = newline ? (size_t)(newline - text.ptr) + 1 : text.len};
		struct span kept = old;

		if (!found && span_eq(line_name(old), name)) {
			found = true;
			kept = line.len ? line_comment(old) : (struct span){0};
			end = append(end, (struct span){.ptr = line.ptr, .len = line.len - !!kept.len});
		}
		end = append(end, kept);
		text = span_skip(text, old.len);
	}
	if (out && !found && line.len) {
		if (end > out && end[-1] != '\n')
			*end++ = '\n';
		end = append(end, line);
	}
	*len = out ? (size_t)(end - out) : 0;
	return out;
}

/* Reads, lets `change` have its way, and writes; the lock is held. */
static int change_locked(const char *file, const char *name, state_change *change, void *context, char *error,
			 size_t error_cap)
{
	struct token_set set = {0};
	struct token token = {0};
	struct file_text text;
	char line[TOKEN_LINE_MAX];
	const char *reason;
	struct stat st;
	size_t number, len;
	long line_len = 0;
	int ret = file_read(file, FILE_SECRET, STATE_TOKENS_MAX_BYTES, &text, error, error_cap);
	bool missing = ret == -ENOENT;

	if (missing)
		text = (struct file_text){0};
	else if (ret < 0)
		return ret;
	struct span before = {.ptr = text.data, .len = text.len};
	ret = token_set_parse(&set, before, &number, &reason);
	if (ret < 0) {
		snprintf(error, error_cap, "%s:%zu: %s; mend or remove that line", file, number, reason);
		goto out;
	}
	const struct token *present = token_set_name(&set, span_of(name));
	if (present)
		token = *present;
	ret = change(context, present != NULL, &token, error, error_cap);
	if (ret < 0)
		goto out;
	if (ret != STATE_REMOVE)
		line_len = token_line_write(&token, line, sizeof(line));
	if (line_len < 0) {
		snprintf(error, error_cap, "%s: the line would be too long", file);
		ret = (int)line_len;
		goto out;
	}
	char *after =
	    text_with(before, span_of(name), (struct span){.ptr = line, .len = (size_t)line_len}, &len);
	if (!after) {
		snprintf(error, error_cap, "out of memory");
		ret = -ENOMEM;
		goto out;
	}
	/* What is written must be read again: a set that is full, a secret that is there twice. */
	token_set_fini(&set);
	ret = token_set_parse(&set, (struct span){.ptr = after, .len = len}, &number, &reason);
	if (ret < 0)
		snprintf(error, error_cap, "%s: %s", file, reason);
	else
		ret =
		    file_write(file, after, len, stat(file, &st) == 0 ? st.st_mode & 0777 : STATE_TOKENS_MODE,
			       missing ? FILE_KEEP : FILE_REPLACE, error, error_cap);
	free(after);
out:
	token_set_fini(&set);
	file_text_fini(&text);
	return ret;
}

int state_tokens_change(const char *file, const char *name, state_change *change, void *context, char *error,
			size_t error_cap)
{
	char dir[STATE_PATH_MAX], real[PATH_MAX];
	int lock, ret;

	/* A link stays one: what it points to is replaced. */
	if (realpath(file, real))
		file = real;
	if (file_parent(file, dir, sizeof(dir)) < 0) {
		snprintf(error, error_cap, "%.64s...: the path is too long", file);
		return -ENAMETOOLONG;
	}
	lock = file_lock(dir, error, error_cap);
	if (lock < 0)
		return lock;
	ret = change_locked(file, name, change, context, error, error_cap);
	close(lock);
	return ret;
}
