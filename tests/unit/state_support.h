/* SPDX-License-Identifier: MIT */
/* state_support.h: a directory of its own for each test of the state directory and of what is in it. */
#ifndef HEADGATE_STATE_SUPPORT_H
#define HEADGATE_STATE_SUPPORT_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state.h"

#define NOBODY 65534

static char base[64], file[128], path[4096], error[512];

static inline void setup(void)
{
	snprintf(base, sizeof(base), "/tmp/state-test.XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	snprintf(file, sizeof(file), "%s/tokens", base);
	umask(022);
}

/* Only what the test made can be there, and `base` came from mkdtemp(). */
static inline void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	cr_assert_eq(system(command), 0);
}

static inline void error_has(const char *a, const char *b)
{
	cr_assert(strstr(error, a) && strstr(error, b), "want '%s' and '%s' in: %s", a, b, error);
	cr_assert_null(strchr(error, '\n'), "more than one line: %s", error);
}

static inline mode_t mode_of(const char *name)
{
	struct stat st;

	cr_assert_eq(stat(name, &st), 0, "%s: %s", name, strerror(errno));
	return st.st_mode & 07777;
}

static inline void spill(const char *name, const char *text, size_t len, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, len), (ssize_t)len);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

static inline int dir_open(const char *given)
{
	return state_dir_open(given, path, sizeof(path), error, sizeof(error));
}

static inline char *below(const char *name)
{
	static char out[512];

	snprintf(out, sizeof(out), "%s/%s", base, name);
	return out;
}

#endif
