/* SPDX-License-Identifier: MIT */
/*
 * console.h: the two private routes of the SOAJS console, which its old proxy answered itself: GET /metrics
 * and GET /maintenance. A connection takes what is here for its engine: a socket on which a request is
 * answered. Layer 2.
 */
#ifndef HEADGATE_CONSOLE_H
#define HEADGATE_CONSOLE_H

#include <stdbool.h>

#include "compiler.h"
#include "engine.h"
#include "span.h"

struct console; /* locks itself */

/* Whether the path (normal form) is one of the two; exactly, as the original had it: not with a version. */
bool console_has(struct span path);

/* `engine` has to live until console_free(). 0 or -ENOMEM. */
int console_new(struct console **made, const struct engine *engine) MUST_USE;
/* Waits for the answers that are being made, a few seconds at most. NULL is fine. */
void console_free(struct console *console);

/*
 * Opens a socket, the caller's, on which one HTTP/1.1 request is answered with `Connection: close`. 0; -EBUSY
 * when so many are being answered that one more has to wait; or -errno. Any thread.
 */
int console_open(struct console *console, int *fd) MUST_USE;

#endif
