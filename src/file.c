/* SPDX-License-Identifier: MIT */
/* file.c: see file.h. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_PATH_MAX	   4096
#define LOCK_STEP_NS	   (50L * 1000 * 1000)
#define LOCK_STEPS	   200
#define SECRET_MODE_FORBID ((mode_t)077)
/* With a file of root's and a headgate that is not root, group read is how it gets in at all. */
#define SECRET_MODE_FORBID_ROOTS ((mode_t)037)

void file_text_fini(struct file_text *text)
{
	if (text->data)
		explicit_bzero(text->data, text->len);
	free(text->data);
	*text = (struct file_text){0};
}

static int secret_check(const char *path, const struct stat *st, char *error, size_t error_cap)
{
	mode_t forbidden = SECRET_MODE_FORBID;
	static const char mounted[] = "/run/secrets/";

	if (strncmp(path, mounted, sizeof(mounted) - 1) == 0)
		return 0;
	if (st->st_uid == 0 && geteuid() != 0)
		forbidden = SECRET_MODE_FORBID_ROOTS;
	if ((st->st_mode & forbidden) == 0)
		return 0;
	snprintf(error, error_cap, "%s: others can read it; run 'chmod 600 %s'", path, path);
	return -EACCES;
}

int file_secret_check(const char *path, char *error, size_t error_cap)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		int ret = -errno;
		snprintf(error, error_cap, "%s: %s", path, strerror(-ret));
		return ret;
	}
	return secret_check(path, &st, error, error_cap);
}

/* One byte more than `want` is asked for, so that a file that grew after fstat() is noticed. */
static int read_all(int fd, size_t want, struct file_text *text)
{
	text->data = malloc(want + 1);
	if (!text->data)
		return -ENOMEM;
	while (text->len <= want) {
		ssize_t n = read(fd, text->data + text->len, want + 1 - text->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		text->len += (size_t)n;
	}
	if (text->len > want)
		return -EAGAIN;
	text->data[text->len] = '\0';
	return 0;
}

static int read_checked(int fd, const char *path, enum file_secrecy secrecy, size_t limit,
			struct file_text *text, char *error, size_t error_cap)
{
	struct stat st;
	int ret;

	if (fstat(fd, &st) < 0) {
		ret = -errno;
		snprintf(error, error_cap, "%s: cannot look at it: %m", path);
		return ret;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(error, error_cap, "%s: not a regular file", path);
		return -EINVAL;
	}
	if (secrecy == FILE_TRUSTED && (st.st_mode & S_IWOTH)) {
		snprintf(error, error_cap, "%s: everybody can write to it; run 'chmod o-w %s'", path, path);
		return -EACCES;
	}
	if (secrecy == FILE_SECRET) {
		ret = secret_check(path, &st, error, error_cap);
		if (ret < 0)
			return ret;
	}
	if (st.st_size < 0 || (uintmax_t)st.st_size > limit) {
		snprintf(error, error_cap, "%s: larger than %zu bytes; is it the right file?", path, limit);
		return -EFBIG;
	}
	ret = read_all(fd, (size_t)st.st_size, text);
	if (ret < 0) {
		errno = -ret;
		snprintf(error, error_cap, "%s: cannot read it: %m", path);
		file_text_fini(text);
	}
	return ret;
}

int file_read(const char *path, enum file_secrecy secrecy, size_t limit, struct file_text *text, char *error,
	      size_t error_cap)
{
	int fd, ret;

	*text = (struct file_text){0};
	/* O_NONBLOCK: a named pipe at that place must not hold up the start. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		ret = -errno;
		snprintf(error, error_cap, "%s: cannot open it: %m", path);
		return ret;
	}
	ret = read_checked(fd, path, secrecy, limit, text, error, error_cap);
	close(fd);
	return ret;
}

static struct file_stamp stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return (struct file_stamp){0};
	return (struct file_stamp){.device = st.st_dev,
				   .inode = st.st_ino,
				   .size = st.st_size,
				   .modified = st.st_mtim,
				   .changed = st.st_ctim};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_stamp(const struct file_stamp *a, const struct file_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

void file_watch_mark(struct file_watch *watch, const char *path)
{
	watch->read = stamp_of(path);
	watch->seen = watch->read;
	watch->seen_ms = 0;
}

bool file_watch_was_there(const struct file_watch *watch)
{
	return watch->read.inode != 0;
}

bool file_watch_changed(struct file_watch *watch, const char *path, uint64_t now_ms)
{
	struct file_stamp now = stamp_of(path);

	if (!same_stamp(&now, &watch->seen)) {
		watch->seen = now;
		watch->seen_ms = now_ms;
		return false;
	}
	return !same_stamp(&now, &watch->read) && now_ms - watch->seen_ms >= FILE_REST_MS;
}

int file_parent(const char *path, char *dir, size_t dir_cap)
{
	const char *slash = strrchr(path, '/');
	int len;

	if (!slash)
		len = snprintf(dir, dir_cap, ".");
	else if (slash == path)
		len = snprintf(dir, dir_cap, "/");
	else if (slash - path >= FILE_PATH_MAX)
		return -ENAMETOOLONG;
	else
		len = snprintf(dir, dir_cap, "%.*s", (int)(slash - path), path);
	return (len < 0 || (size_t)len >= dir_cap) ? -ENAMETOOLONG : 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Makes the rename itself durable. */
static int sync_parent(const char *path)
{
	char dir[FILE_PATH_MAX];
	int fd, ret;

	ret = file_parent(path, dir, sizeof(dir));
	if (ret < 0)
		return ret;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* EINVAL: a file system that has no such thing. */
	ret = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
	close(fd);
	return ret;
}

/*
 * Whose the replaced file was, it stays. A group that is not ours to give (a container that runs with another
 * one than before) is given up: then ours may do no more than everybody.
 */
static int keep_owner(int fd, const struct stat *replaced, mode_t *mode)
{
	if (replaced->st_uid == geteuid() && replaced->st_gid == getegid())
		return 0;
	if (fchown(fd, replaced->st_uid, replaced->st_gid) == 0)
		return 0;
	if (errno != EPERM || replaced->st_uid != geteuid())
		return -errno;
	*mode &= ~(mode_t)S_IRWXG | (*mode & S_IRWXO) << 3;
	return 0;
}

/* `replaced` is the file that it will be, if there is one. */
static int write_new(const char *path, const char *replaced, const void *data, size_t len, mode_t mode)
{
	struct stat st;
	int fd, ret;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = write_all(fd, data, len);
	if (ret == 0 && stat(replaced, &st) == 0)
		ret = keep_owner(fd, &st, &mode);
	if (ret == 0 && fchmod(fd, mode) < 0)
		ret = -errno;
	if (ret == 0 && fsync(fd) < 0)
		ret = -errno;
	if (close(fd) < 0 && ret == 0)
		ret = -errno;
	return ret;
}

int file_write(const char *path, const void *data, size_t len, mode_t mode, enum file_replace replace,
	       char *error, size_t error_cap)
{
	char temp[FILE_PATH_MAX];
	int ret, n;

	n = snprintf(temp, sizeof(temp), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(temp)) {
		snprintf(error, error_cap, "%.64s...: the path is too long", path);
		return -ENAMETOOLONG;
	}
	/* NOLINTNEXTLINE(readability-suspicious-call-argument): temp takes the place of path */
	ret = write_new(temp, path, data, len, mode);
	/* link() and not rename() where an existing file must stay: only it says EEXIST everywhere. */
	if (ret == 0 && replace == FILE_KEEP && link(temp, path) < 0)
		ret = -errno;
	if (ret == 0 && replace == FILE_REPLACE && rename(temp, path) < 0)
		ret = -errno;
	if (ret < 0 || replace == FILE_KEEP)
		(void)unlink(temp);
	if (ret == 0)
		ret = sync_parent(path);
	if (ret < 0) {
		errno = -ret;
		snprintf(error, error_cap, "%s: cannot write it: %m", path);
	}
	return ret;
}

/*
 * LOCK_NB in steps and not a blocking flock(): whoever holds the lock needs milliseconds, and a start
 * that hangs for ever because of a stuck process says nothing to anybody.
 */
int file_lock(const char *dir, char *error, size_t error_cap)
{
	const struct timespec step = {.tv_nsec = LOCK_STEP_NS};
	int fd, ret;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		snprintf(error, error_cap, "%s: cannot open the directory: %m", dir);
		return ret;
	}
	for (int i = 0; i < LOCK_STEPS; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		if (errno != EWOULDBLOCK && errno != EINTR) {
			ret = -errno;
			snprintf(error, error_cap, "%s: cannot lock the directory: %m", dir);
			close(fd);
			return ret;
		}
		nanosleep(&step, NULL);
	}
	close(fd);
	snprintf(error, error_cap, "%s: locked by another process for ten seconds; see 'fuser -v %s'", dir,
		 dir);
	return -EBUSY;
}
