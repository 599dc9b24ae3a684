/* SPDX-License-Identifier: MIT */
/* file_test.c: reading, writing whole or not at all, locks, and whether a file has changed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"

#define NOBODY 65534

static char base[64], path[128], error[512];

static void setup(void)
{
	snprintf(base, sizeof(base), "/tmp/file-test.XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	snprintf(path, sizeof(path), "%s/file", base);
	umask(022);
}

/* Only what the test made can be there, and `base` came from mkdtemp(). */
static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	cr_assert_eq(system(command), 0);
}

TestSuite(file, .init = setup, .fini = teardown, .timeout = 300);

static void spill(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

static int take(enum file_secrecy secrecy, size_t limit, struct file_text *text)
{
	return file_read(path, secrecy, limit, text, error, sizeof(error));
}

static void holds(const char *wanted)
{
	struct file_text text;

	cr_assert_eq(take(FILE_PUBLIC, 100, &text), 0, "%s", error);
	cr_assert_eq(text.len, strlen(wanted));
	cr_assert_str_eq(text.data, wanted);
	file_text_fini(&text);
	cr_assert_null(text.data);
}

static int put(const char *data, mode_t mode, enum file_replace replace)
{
	return file_write(path, data, strlen(data), mode, replace, error, sizeof(error));
}

static void no_leftover(void)
{
	char leftover[160];

	snprintf(leftover, sizeof(leftover), "%s.new", path);
	cr_assert_neq(access(leftover, F_OK), 0, "%s is still there", leftover);
}

Test(file, is_read_up_to_its_limit)
{
	struct file_text text;

	spill(path, "12345", 0644);
	cr_assert_eq(take(FILE_PUBLIC, 4, &text), -EFBIG);
	cr_assert_null(text.data);
	cr_assert_not_null(strstr(error, "larger than 4 bytes"), "%s", error);
	cr_assert_eq(take(FILE_PUBLIC, 5, &text), 0);
	cr_assert_eq(memcmp(text.data, "12345", 6), 0);
	file_text_fini(&text);
	cr_assert_eq(take(FILE_SECRET, 5, &text), -EACCES);
	cr_assert_eq(take(FILE_TRUSTED, 5, &text), 0);
	file_text_fini(&text);
	spill(path, "12345", 0646);
	cr_assert_eq(take(FILE_TRUSTED, 5, &text), -EACCES);
	cr_assert_not_null(strstr(error, ": everybody can write to it; run 'chmod o-w "), "%s", error);
	spill(path, "", 0600);
	cr_assert_eq(take(FILE_SECRET, 0, &text), 0);
	cr_assert(text.len == 0 && text.data[0] == '\0');
	file_text_fini(&text);
	unlink(path);
	cr_assert_eq(take(FILE_PUBLIC, 5, &text), -ENOENT);
	cr_assert_eq(symlink(path, path), 0);
	cr_assert_eq(take(FILE_PUBLIC, 5, &text), -ELOOP);
}

Test(file, is_written_with_its_mode_whatever_the_umask)
{
	static const mode_t modes[] = {0600, 0640, 0644, 0400};
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		umask(i & 1 ? 0777 : 0);
		cr_assert_eq(put("text", modes[i], FILE_REPLACE), 0, "%s", error);
		cr_assert_eq(stat(path, &st), 0);
		cr_assert_eq(st.st_mode & 07777, modes[i]);
		holds("text");
		no_leftover();
	}
}

Test(file, that_is_kept_stays)
{
	cr_assert_eq(put("first", 0600, FILE_KEEP), 0, "%s", error);
	cr_assert_eq(put("second", 0600, FILE_KEEP), -EEXIST);
	cr_assert_not_null(strstr(error, "cannot write it"), "%s", error);
	holds("first");
	no_leftover();
	cr_assert_eq(put("third", 0600, FILE_REPLACE), 0);
	holds("third");
}

/* What a crash has left does not stand in the way, and a link laid there is not followed. */
Test(file, leftovers_are_in_nobodys_way)
{
	char temp[160], other[160];

	snprintf(temp, sizeof(temp), "%s.new", path);
	snprintf(other, sizeof(other), "%s/other", base);
	spill(temp, "half of", 0644);
	cr_assert_eq(put("whole", 0600, FILE_REPLACE), 0, "%s", error);
	holds("whole");
	spill(other, "other", 0644);
	cr_assert_eq(symlink(other, temp), 0);
	cr_assert_eq(put("again", 0600, FILE_KEEP), -EEXIST);
	cr_assert_eq(put("again", 0600, FILE_REPLACE), 0, "%s", error);
	holds("again");
	strcpy(path, other);
	holds("other");
}

Test(file, that_is_replaced_keeps_its_owner)
{
	struct stat st;

	if (geteuid() != 0)
		cr_skip_test("only root can give a file away");
	cr_assert_eq(put("mine", 0600, FILE_REPLACE), 0);
	cr_assert_eq(chown(path, NOBODY, NOBODY - 1), 0);
	cr_assert_eq(put("his", 0640, FILE_REPLACE), 0, "%s", error);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_uid, NOBODY);
	cr_assert_eq(st.st_gid, NOBODY - 1);
	cr_assert_eq(st.st_mode & 07777, 0640);
	holds("his");
}

Test(file, that_cannot_be_written_stays_as_it_was)
{
	static char longer[5000];

	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_lt(put("text", 0600, FILE_REPLACE), 0);
	no_leftover();
	cr_assert_eq(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/missing/file", base);
	cr_assert_eq(put("text", 0600, FILE_REPLACE), -ENOENT);
	memset(longer, 'a', sizeof(longer) - 1);
	cr_assert_eq(file_write(longer, "", 0, 0600, FILE_KEEP, error, sizeof(error)), -ENAMETOOLONG);
}

Test(file, parents)
{
	static const struct {
		const char *path, *parent;
	} rows[] = {{"a", "."}, {"/a", "/"}, {"/a/b", "/a"}, {"a/b", "a"}, {"/a/", "/a"}, {"", "."}};
	char dir[8];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_expect_eq(file_parent(rows[i].path, dir, sizeof(dir)), 0, "row %zu", i);
		cr_expect_str_eq(dir, rows[i].parent);
	}
	cr_expect_eq(file_parent("/123456/a", dir, sizeof(dir)), 0);
	cr_expect_eq(file_parent("/1234567/a", dir, sizeof(dir)), -ENAMETOOLONG);
}

/* Whoever has it keeps the others out, and its close lets them in. */
Test(file, locks_exclude)
{
	int lock = file_lock(base, error, sizeof(error)), status, ready[2];
	char byte;
	pid_t pid;

	cr_assert_geq(lock, 0, "%s", error);
	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		close(lock);
		close(ready[0]);
		_exit(file_lock(base, error, sizeof(error)) >= 0 && write(ready[1], "x", 1) == 1 ? 0 : 1);
	}
	close(ready[1]);
	cr_assert_eq(fcntl(ready[0], F_SETFL, O_NONBLOCK), 0);
	usleep(200 * 1000);
	cr_assert(read(ready[0], &byte, 1) < 0 && errno == EAGAIN, "two have the lock");
	close(lock);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	lock = file_lock(base, error, sizeof(error));
	cr_assert_geq(lock, 0, "the process that had it is gone: %s", error);
	close(lock);
	cr_assert_eq(file_lock(path, error, sizeof(error)), -ENOENT);
}

/* ---- has it changed? ---- */

static uint64_t now_ms;

/* As long after the last look as a file has to rest. */
static bool look(struct file_watch *watch)
{
	now_ms += FILE_REST_MS;
	return file_watch_changed(watch, path, now_ms);
}

static void changed(struct file_watch *watch, bool first, bool second, const char *what)
{
	cr_assert_eq(look(watch), first, "%s", what);
	cr_assert_eq(look(watch), second, "%s, at rest", what);
	file_watch_mark(watch, path);
	cr_assert(!look(watch), "%s, read again", what);
}

Test(file, a_change_is_seen_when_it_rests)
{
	struct file_watch watch;
	char other[160];

	snprintf(other, sizeof(other), "%s/other", base);
	file_watch_mark(&watch, path);
	changed(&watch, false, false, "still missing");
	spill(path, "1", 0600);
	changed(&watch, false, true, "made");
	changed(&watch, false, false, "as it was");
	spill(path, "12", 0600);
	changed(&watch, false, true, "longer");
	usleep(20 * 1000); /* clocks of file systems go in steps */
	spill(path, "34", 0600);
	changed(&watch, false, true, "the same length");
	spill(other, "34", 0600);
	cr_assert_eq(rename(other, path), 0);
	changed(&watch, false, true, "replaced");
	usleep(20 * 1000);
	cr_assert_eq(chmod(path, 0644), 0);
	changed(&watch, false, true, "its mode");
	cr_assert_eq(unlink(path), 0);
	changed(&watch, false, true, "gone");
}

/* A swarm config or a mounted volume is a link that moves. */
Test(file, what_a_link_points_to_counts)
{
	struct file_watch watch;
	char one[160], two[160];

	snprintf(one, sizeof(one), "%s/one", base);
	snprintf(two, sizeof(two), "%s/two", base);
	spill(one, "same", 0600);
	spill(two, "same", 0600);
	cr_assert_eq(symlink(one, path), 0);
	file_watch_mark(&watch, path);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(symlink(two, path), 0);
	changed(&watch, false, true, "another file");
}

/* While it is written it is not read; and what was put back is no change. */
Test(file, a_change_in_progress_is_left_alone)
{
	struct file_watch watch;

	spill(path, "0", 0600);
	file_watch_mark(&watch, path);
	for (int i = 1; i < 10; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%0*d", i + 1, i);
		spill(path, text, 0600);
		cr_assert(!look(&watch), "%d", i);
	}
	cr_assert(look(&watch));
	cr_assert(look(&watch), "until it is read");
	file_watch_mark(&watch, path);
	cr_assert_eq(unlink(path), 0);
	cr_assert(!look(&watch));
	spill(path, "another", 0600);
	cr_assert(!look(&watch), "it was missing a moment ago");
	cr_assert(look(&watch));
}

/* What is written between the mark and the reading is seen later: it is read once more rather than never. */
Test(file, a_change_right_after_the_mark_is_seen)
{
	struct file_watch watch;

	spill(path, "before", 0600);
	file_watch_mark(&watch, path);
	spill(path, "meanwhile", 0600);
	cr_assert(!look(&watch));
	cr_assert(look(&watch));
}

/* Whoever asks the admin listener makes the next look come soon: that is no rest. */
Test(file, looking_often_is_no_rest)
{
	struct file_watch watch;

	spill(path, "whole", 0600);
	file_watch_mark(&watch, path);
	spill(path, "", 0600);
	cr_assert(!file_watch_changed(&watch, path, 1000));
	cr_assert(!file_watch_changed(&watch, path, 1000));
	cr_assert(!file_watch_changed(&watch, path, 1000 + FILE_REST_MS - 1), "it is being written");
	spill(path, "whole again", 0600);
	cr_assert(!file_watch_changed(&watch, path, 1000 + FILE_REST_MS));
	cr_assert(!file_watch_changed(&watch, path, 1000 + 2 * FILE_REST_MS - 1));
	cr_assert(file_watch_changed(&watch, path, 1000 + 2 * FILE_REST_MS));
}

Test(file, whether_it_was_there)
{
	struct file_watch watch;

	file_watch_mark(&watch, path);
	cr_assert(!file_watch_was_there(&watch));
	spill(path, "", 0600);
	cr_assert(!file_watch_was_there(&watch), "then");
	file_watch_mark(&watch, path);
	cr_assert(file_watch_was_there(&watch));
}

/* A group that the writer may not give is given up; the file is the same person's, and nobody else's more
 * than before. */
Test(file, a_group_that_cannot_be_given)
{
	static const struct {
		mode_t mode, left;
	} cases[] = {{0640, 0600}, {0644, 0644}, {0664, 0644}, {0600, 0600}};
	char where[] = "/tmp/file-group.XXXXXX", name[64], why[256] = "";
	struct stat st;

	cr_assert_eq(geteuid(), 0, "the tests run as root");
	cr_assert_not_null(mkdtemp(where));
	cr_assert_eq(chown(where, 65534, 65534), 0);
	snprintf(name, sizeof(name), "%s/f", where);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		cr_assert_geq(fd, 0);
		cr_assert_eq(fchown(fd, 65534, 4711), 0);
		close(fd);
		pid_t pid = fork();
		if (pid == 0) {
			_exit(setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0 ||
			      file_write(name, "x", 1, cases[i].mode, FILE_REPLACE, why, sizeof(why)) < 0);
		}
		int status = -1;
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert_eq(status, 0);
		cr_assert_eq(stat(name, &st), 0);
		cr_assert_eq(st.st_gid, 65534);
		cr_assert_eq(st.st_mode & 0777, cases[i].left, "%o", st.st_mode & 0777);
		cr_assert_eq(unlink(name), 0);
	}
	cr_assert_eq(rmdir(where), 0);
}
