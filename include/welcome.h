/* SPDX-License-Identifier: MIT */
/*
 * welcome.h: what a user reads on the first start: the token, once, and the lines to use it. Layer 5.
 */
#ifndef HEADGATE_WELCOME_H
#define HEADGATE_WELCOME_H

#include <stdio.h>

#include "listener.h"

/* `token` is NULL when it is the user's own (DOCKER_API_TOKEN): it is not printed back. */
void welcome_print(FILE *out, const struct listener *listener, const char *ca_file, const char *state_dir,
		   const char *token);

#endif
