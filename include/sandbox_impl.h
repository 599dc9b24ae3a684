/* SPDX-License-Identifier: MIT */
/* sandbox_impl.h: between sandbox.c and sandbox_calls.c. */
#ifndef HEADGATE_SANDBOX_IMPL_H
#define HEADGATE_SANDBOX_IMPL_H

#include "sandbox.h"

/* Only the calls of the list from here on. 0 or -errno: nothing has changed then. */
int sandbox_calls_enter(const struct sandbox *sandbox) MUST_USE;

/* Whether the kernel takes filters: 0 or -errno. */
int sandbox_calls_probe(void) MUST_USE;

#endif
