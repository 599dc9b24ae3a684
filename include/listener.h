/* SPDX-License-Identifier: MIT */
/*
 * listener.h: the sockets that clients connect to. Layer 4.
 */
#ifndef HEADGATE_LISTENER_H
#define HEADGATE_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "compiler.h"
#include "config.h"

struct listener {
	char label[320];	       /* "--listen tls://:2376", for messages */
	struct config_address address; /* with the port that the kernel chose */
	int *fds; /* owned; one a worker: TCP sockets of their own, or one unix socket, duplicated */
	unsigned count;
	bool is_private; /* a unix socket that its owner alone may open */
	bool bound;	 /* a unix socket's file was made; this one: */
	dev_t dev;
	ino_t ino;
};

/*
 * Binds and listens, for `workers` workers. An address that another process already serves is refused
 * (SO_REUSEPORT alone would share it silently); a stale unix socket is replaced, a live one is not, and
 * of several that start at once one gets the path. The others' error is the same as later.
 * `option` is what to call it in messages. 0 or -errno with a one-line `error`; listener_close() is due in
 * either case.
 */
int listener_open(struct listener *listener, const char *option, const struct config_address *address,
		  unsigned workers, char *error, size_t error_cap);

/* The same, but a unix socket is its owner's alone (0600); otherwise its group's, too, as docker.sock (0660).
 */
int listener_open_private(struct listener *listener, const char *option, const struct config_address *address,
			  unsigned workers, char *error, size_t error_cap);

/* Refuses further connections, while the workers still have the descriptors. */
void listener_stop(const struct listener *listener);

/* Closes what is still open and removes a unix socket's file, unless another process has put its own there.
 */
void listener_close(struct listener *listener);

/* "tls://127.0.0.1:8443" or "unix:///run/headgate.sock", with the port really bound. */
void listener_name(const struct listener *listener, char *text, size_t text_cap);

#endif
