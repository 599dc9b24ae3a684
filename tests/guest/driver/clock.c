/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <time.h>

/* One signature with OpenSSL 3.0 on an EPYC of that time. */
#define REFERENCE_SIGN_US 40.0
#define ROUNDS		  5
#define SIGNS_A_ROUND	  4

uint64_t clock_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_now_ms(void)
{
	return clock_now_us() / 1000;
}

void clock_sleep_ms(unsigned ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&left, &left) < 0)
		;
}

static int sign_once(EVP_PKEY *key)
{
	static const unsigned char text[32] = "how fast is this processor?";
	unsigned char signature[128];
	size_t len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int good = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		   EVP_DigestSign(ctx, signature, &len, text, sizeof(text)) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

double clock_slowness(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	uint64_t best_us = UINT64_MAX;

	/* The best round: another process on this processor must not loosen the limits. */
	for (int round = 0; key && round < ROUNDS; round++) {
		uint64_t start_us = clock_now_us();
		for (int i = 0; i < SIGNS_A_ROUND; i++)
			(void)sign_once(key);
		uint64_t took_us = clock_now_us() - start_us;
		if (took_us < best_us)
			best_us = took_us;
	}
	EVP_PKEY_free(key);
	double slowness = (double)best_us / SIGNS_A_ROUND / REFERENCE_SIGN_US;
	return !key || slowness < 1 ? 1 : slowness;
}
