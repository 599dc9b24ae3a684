/* SPDX-License-Identifier: MIT */
/*
 * thread.h: threads with a stack of known size: the C libraries' defaults lie between 128 KiB (musl) and 8
 * MiB. Layer 1.
 */
#ifndef HEADGATE_THREAD_H
#define HEADGATE_THREAD_H

#include <pthread.h>

/* As pthread_create(), with THREAD_STACK_BYTES of stack. 0 or -errno. */
#define THREAD_STACK_BYTES ((size_t)1048576)
int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

#endif
