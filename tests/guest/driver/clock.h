/* SPDX-License-Identifier: MIT */
/*
 * clock.h: time, and how slow this machine is. An emulated processor takes twenty times as long; limits that
 * judge headgate are stretched by what was measured here, never by a guess.
 */
#ifndef GUEST_CLOCK_H
#define GUEST_CLOCK_H

#include <stdint.h>

uint64_t clock_now_us(void);
uint64_t clock_now_ms(void);
void clock_sleep_ms(unsigned ms);

/* How many times longer a P-256 signature takes here than on an idle server processor of 2020; at least 1. */
double clock_slowness(void);

#endif
