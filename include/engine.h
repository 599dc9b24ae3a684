/* SPDX-License-Identifier: MIT */
/*
 * engine.h: the Docker Engine that is being guarded: where it is, how to connect to it, and how to
 * tell a user what is wrong with it. Immutable after start; shared by the workers. Layer 2.
 */
#ifndef HEADGATE_ENGINE_H
#define HEADGATE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "buf.h"
#include "compiler.h"
#include "config.h"
#include "tls.h"

struct engine {
	struct config_address address;
	struct sockaddr_storage sockaddr; /* of unix and tcp alike */
	socklen_t sockaddr_len;
	struct tls_client *tls; /* owned; NULL unless tls:// */
	bool is_remote;		/* another headgate stands in front of it, see engine_init_remote() */
};

/*
 * Resolves the address (names once, at start) and loads the client certificate of a tls:// engine. The
 * engine need not run yet. 0, or -errno with a one-line `error`.
 */
int engine_init(struct engine *engine, const struct config *config, char *error, size_t error_cap);

/*
 * The engine behind another headgate, for `connect`: config->engine is that one's address. It wants no
 * certificate of ours; it is verified by config->ca_file, the fingerprint or the system's CAs, as
 * config->server_name or the address's host. The same results.
 */
int engine_init_remote(struct engine *engine, const struct config *config, char *error, size_t error_cap);
void engine_fini(struct engine *engine);

/*
 * Starts a connection: a non-blocking descriptor in *fd (the caller owns it). 0 when connected,
 * -EINPROGRESS (wait for EVENT_OUT, then engine_connected()), or -errno with *fd = -1.
 */
int engine_connect(const struct engine *engine, int *fd);

/* After -EINPROGRESS and EVENT_OUT: 0, -EINPROGRESS (not yet), or -errno of the attempt. */
int engine_connected(int fd);

/*
 * One line for the client and the log: which engine, what is wrong, what to do. `connected`: it was
 * reached, and failed then. `error` is a -errno or 0, `detail` more about it, or NULL.
 */
void engine_trouble(const struct engine *engine, bool connected, int error, const char *detail, char *text,
		    size_t text_cap);

#endif
