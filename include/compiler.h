/* SPDX-License-Identifier: MIT */
/*
 * compiler.h: what the compiler can check for us. Layer 0; includes nothing of ours.
 */
#ifndef HEADGATE_COMPILER_H
#define HEADGATE_COMPILER_H

#include <stddef.h>

#define PRINTF_LIKE(format_arg, first_arg) __attribute__((format(printf, format_arg, first_arg)))
#define MUST_USE			   __attribute__((warn_unused_result))
#define ARRAY_SIZE(array)		   (sizeof(array) / sizeof((array)[0]))

/* The structure that holds `member`, from a pointer to that member (lists and timers are embedded). */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
