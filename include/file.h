/* SPDX-License-Identifier: MIT */
/*
 * file.h: small files that must be whole or absent: bounded reading, writing by rename after fsync, the
 * check that a secret is nobody else's, and a lock on a directory. Every failure leaves one line in
 * `error` that names the file and, where there is one, the remedy. Layer 1, kernel.
 */
#ifndef HEADGATE_FILE_H
#define HEADGATE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "compiler.h"

/*
 * A secret may be read and written by its owner only. Two exceptions, both set up by an administrator:
 * a file of root's may be readable by a group when headgate does not run as root; and below
 * /run/secrets/ the container runtime's mount decides who reads (0444 by default, and read-only).
 */
enum file_secrecy {
	FILE_PUBLIC,
	FILE_TRUSTED, /* everybody may read it, but not write it */
	FILE_SECRET,
};
enum file_replace { FILE_KEEP, FILE_REPLACE };

/* A file's contents; a NUL follows that is not counted. */
struct file_text {
	char *data; /* owned; NULL when nothing was read */
	size_t len;
};

/*
 * Reads the whole of a regular file of at most `limit` bytes. 0, -ENOENT, -EACCES (others can read a
 * secret or write what is trusted, or we cannot read it), -EFBIG, -EINVAL (not a regular file), or another
 * -errno.
 */
int file_read(const char *path, enum file_secrecy secrecy, size_t limit, struct file_text *text, char *error,
	      size_t error_cap) MUST_USE;

/* Only the check of FILE_SECRET, for a file that a library reads. 0, -EACCES or another -errno. */
int file_secret_check(const char *path, char *error, size_t error_cap) MUST_USE;

/* Wipes and frees. */
void file_text_fini(struct file_text *text);

/*
 * Writes a file with that mode, whatever the umask is: all of it or nothing, also when the power fails.
 * One that is replaced keeps its owner. With FILE_KEEP an existing file stays and the answer is -EEXIST. The
 * caller holds file_lock() of the directory: the temporary file, PATH.new, has a fixed name, so that one left
 * by a crash goes away.
 */
int file_write(const char *path, const void *data, size_t len, mode_t mode, enum file_replace replace,
	       char *error, size_t error_cap) MUST_USE;

/*
 * Takes the lock of a directory; processes and threads of headgate exclude each other by it. Returns a
 * descriptor, whose close() releases the lock, or -errno: -EBUSY when it was not to be had in ten
 * seconds.
 */
int file_lock(const char *dir, char *error, size_t error_cap) MUST_USE;

/* How a file looks from outside; all zero when it is not there. */
struct file_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

/* A file that may be replaced or written while we run; by its name, so that a replaced one is seen. */
struct file_watch {
	struct file_stamp read, seen;
	uint64_t seen_ms; /* when it first looked as `seen` */
};

/* So long a file has to look the same before it is taken for whole. */
#define FILE_REST_MS 200

/* Before the file is read: what comes later is a change. */
void file_watch_mark(struct file_watch *watch, const char *path);

/* Whether it was there then. */
bool file_watch_was_there(const struct file_watch *watch);

/*
 * Whether it has changed since then, and has looked the same for FILE_REST_MS by now, however often it was
 * looked at: whoever writes it is done.
 */
bool file_watch_changed(struct file_watch *watch, const char *path, uint64_t now_ms);

/* The directory that holds `path`, in `dir`. 0 or -ENAMETOOLONG. */
int file_parent(const char *path, char *dir, size_t dir_cap) MUST_USE;

#endif
