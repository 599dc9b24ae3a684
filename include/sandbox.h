/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h: what headgate gives up between preparing and serving, so that whoever takes it over can do no
 * more than it does itself. Layer 5.
 */
#ifndef HEADGATE_SANDBOX_H
#define HEADGATE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "compiler.h"
#include "config.h"
#include "engine.h"

#define SANDBOX_PATHS_MAX (CONFIG_LISTEN_MAX + 8)

/* What a command goes on needing. Paths are borrowed. */
struct sandbox {
	enum config_sandbox mode;
	/* Files that are read again. Each may be replaced, and so may a symbolic link on the way to it. */
	const char *files[SANDBOX_PATHS_MAX];
	size_t files_count;
	/* Files in it are made, written and removed; where its links lead is read. Or NULL. */
	const char *state_dir;
	const char *sockets[SANDBOX_PATHS_MAX]; /* unix sockets of ours, which go away at the end */
	size_t sockets_count;
	int engine_family;    /* AF_UNIX, AF_INET or AF_INET6 */
	unsigned engine_port; /* of TCP; 0 with AF_UNIX */
	bool asks_interfaces; /* getifaddrs(3), for a certificate */
};

/* Where it connects to. */
void sandbox_add_engine(struct sandbox *sandbox, const struct engine *engine);

/* NULL is left out. */
void sandbox_add_file(struct sandbox *sandbox, const char *path);

/* An address that is listened at; nothing follows from those of TCP. */
void sandbox_add_listener(struct sandbox *sandbox, const struct config_address *address);

/*
 * Enters it, for this thread and all that it starts later; no way leads back. Capabilities that are not
 * needed go, core dumps and debuggers of the same user too (prctl(2), PR_SET_DUMPABLE), no program can be
 * started (PR_SET_NO_NEW_PRIVS; seccomp(2)), files and TCP ports are those above alone (landlock(7)), and
 * the kernel takes no calls but those of sandbox_calls.c. Libraries that open files when they are needed
 * (OpenSSL its CAs) have to be filled before.
 *
 * With CONFIG_SANDBOX_AUTO, what this kernel or a container around us refuses is left out, with a line in
 * the log, and a call that is not in the list fails with ENOSYS. With CONFIG_SANDBOX_ON it is an error, and
 * such a call ends the process (SIGSYS). 0, or -errno with `error`.
 */
int sandbox_enter(const struct sandbox *sandbox, char *error, size_t error_cap) MUST_USE;

/* CONFIG_SANDBOX_ON can be had here: 0, or -ENOTSUP with `error`. Nothing is entered. */
int sandbox_require(char *error, size_t error_cap) MUST_USE;

/* What sandbox_enter() would find here, without entering: NULL, or what is missing and why, in `reason`. */
const char *sandbox_missing(char *reason, size_t reason_cap);

#endif
