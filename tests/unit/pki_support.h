/* SPDX-License-Identifier: MIT */
/*
 * pki_support.h: what the tests of CA and certificates share: a state directory of the test's own, OpenSSL's
 * verdict on what is in it, and a picture of its four files.
 */
#ifndef HEADGATE_PKI_SUPPORT_H
#define HEADGATE_PKI_SUPPORT_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "net_support.h"
#include "pki.h"
#include "pki_cert.h"

#define DAY	((time_t)86400)
#define FIELD	512
#define PEM_MAX 65536

/* A time of our own: nothing here depends on today, except what verifies against the clock given to it. */
static const time_t start = 1800000000;

static char dir[64], error[FIELD];
static struct pki_paths paths;

static inline void setup(void)
{
	net_dir_make(dir);
	cr_assert_eq(pki_paths(&paths, dir), 0);
}

static inline void teardown(void)
{
	const char *const files[] = {paths.ca, paths.ca_key, paths.cert, paths.key};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char temp[4200];

		snprintf(temp, sizeof(temp), "%s.new", files[i]);
		unlink(temp);
		unlink(files[i]);
	}
	cr_assert_eq(rmdir(dir), 0, "something else was left in %s", dir);
}

TestSuite(pki, .init = setup, .fini = teardown, .timeout = 300);

static inline int ensure(time_t now)
{
	return pki_ensure(dir, NULL, 0, now, error, sizeof(error));
}

static inline int ensure_san(time_t now, const char *san)
{
	return pki_ensure(dir, &san, 1, now, error, sizeof(error));
}

static inline size_t slurp(const char *path, char *buf)
{
	FILE *file = fopen(path, "r");
	size_t len;

	cr_assert_not_null(file, "%s: %s", path, strerror(errno));
	len = fread(buf, 1, PEM_MAX - 1, file);
	fclose(file);
	buf[len] = '\0';
	return len;
}

static inline void spill(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
	cr_assert_eq(chmod(path, mode), 0);
}

static inline X509 *cert_at(const char *path, unsigned index)
{
	static char buf[PEM_MAX];
	size_t len = slurp(path, buf);

	return pki_cert_read((struct span){.ptr = buf, .len = len}, index);
}

/* OpenSSL's own verdict, strict, as a TLS client would ask for it: name or address, purpose, time. */
static inline int verify(const char *host, const char *ip, time_t now)
{
	X509 *ca = cert_at(paths.ca, 0), *leaf = cert_at(paths.cert, 0);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int ret;

	cr_assert(ca && leaf && store && ctx);
	X509_STORE_add_cert(store, ca);
	X509_STORE_CTX_init(ctx, store, leaf, NULL);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
	X509_VERIFY_PARAM_set_time(param, now);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
	if (host)
		X509_VERIFY_PARAM_set1_host(param, host, 0);
	if (ip)
		cr_assert_eq(X509_VERIFY_PARAM_set1_ip_asc(param, ip), 1);
	ret = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(ca);
	X509_free(leaf);
	return ret;
}

static inline mode_t mode_of(const char *path)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0, "%s: %s", path, strerror(errno));
	return st.st_mode & 07777;
}

/* All four files, to see that nothing, or only what should, has changed. */
struct picture {
	char ca[PEM_MAX], ca_key[PEM_MAX], cert[PEM_MAX], key[PEM_MAX];
};

static inline void picture_take(struct picture *picture)
{
	memset(picture, 0, sizeof(*picture));
	slurp(paths.ca, picture->ca);
	slurp(paths.ca_key, picture->ca_key);
	slurp(paths.cert, picture->cert);
	slurp(paths.key, picture->key);
}

static struct picture before;

static inline void error_has(const char *a, const char *b)
{
	cr_assert(strstr(error, a) && strstr(error, b), "want '%s' and '%s' in: %s", a, b, error);
	cr_assert_null(strchr(error, '\n'), "more than one line: %s", error);
}

static inline void first(void)
{
	cr_assert_eq(ensure(start), 1, "%s", error);
	picture_take(&before);
}

#endif
