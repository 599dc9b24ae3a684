/* SPDX-License-Identifier: MIT */
/*
 * welcome.h: what a user reads on the first start: the token, once, and the lines to use it. Layer 5.
 */
#ifndef HEADGATE_WELCOME_H
#define HEADGATE_WELCOME_H

#include <stdio.h>

#include "listener.h"

/*
 * Prints the token and, for a TLS listener, the lines to use it. `ca_file` is NULL when the certificate is
 * the user's own: then clients trust it by their own means, or by the CA file that the user has.
 */
void welcome_print(FILE *out, const struct listener *listener, const char *ca_file, const char *state_dir,
		   const char *token);

/* For a start that makes no token: where the CA is that clients need, and a line to use it with. No secret.
 */
void welcome_print_ca(FILE *out, const struct listener *listener, const char *ca_file);

#endif
