/* SPDX-License-Identifier: MIT */
/* pki_test.c: the CA and the server certificate in a state directory, over years and accidents. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "compiler.h"
#include "pki.h"
#include "pki_cert.h"

#define DAY	((time_t)86400)
#define PROCS	6
#define FIELD	512
#define PEM_MAX 65536

/* A time of our own: nothing here depends on today, except what verifies against the clock given to it. */
static const time_t start = 1800000000;

static char dir[64], error[FIELD];
static struct pki_paths paths;

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/pki-test.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(pki_paths(&paths, dir), 0);
}

static void teardown(void)
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

TestSuite(pki, .init = setup, .fini = teardown, .timeout = 60);

static int ensure(time_t now)
{
	return pki_ensure(dir, NULL, 0, now, error, sizeof(error));
}

static int ensure_san(time_t now, const char *san)
{
	return pki_ensure(dir, &san, 1, now, error, sizeof(error));
}

static size_t slurp(const char *path, char *buf)
{
	FILE *file = fopen(path, "r");
	size_t len;

	cr_assert_not_null(file, "%s: %s", path, strerror(errno));
	len = fread(buf, 1, PEM_MAX - 1, file);
	fclose(file);
	buf[len] = '\0';
	return len;
}

static void spill(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
	cr_assert_eq(chmod(path, mode), 0);
}

static X509 *cert_at(const char *path, unsigned index)
{
	static char buf[PEM_MAX];
	size_t len = slurp(path, buf);

	return pki_cert_read((struct span){.ptr = buf, .len = len}, index);
}

/* OpenSSL's own verdict, strict, as a TLS client would ask for it: name or address, purpose, time. */
static int verify(const char *host, const char *ip, time_t now)
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

static mode_t mode_of(const char *path)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0, "%s: %s", path, strerror(errno));
	return st.st_mode & 07777;
}

/* All four files, to see that nothing, or only what should, has changed. */
struct picture {
	char ca[PEM_MAX], ca_key[PEM_MAX], cert[PEM_MAX], key[PEM_MAX];
};

static void picture_take(struct picture *picture)
{
	memset(picture, 0, sizeof(*picture));
	slurp(paths.ca, picture->ca);
	slurp(paths.ca_key, picture->ca_key);
	slurp(paths.cert, picture->cert);
	slurp(paths.key, picture->key);
}

static struct picture before, after;

static void error_has(const char *a, const char *b)
{
	cr_assert(strstr(error, a) && strstr(error, b), "want '%s' and '%s' in: %s", a, b, error);
	cr_assert_null(strchr(error, '\n'), "more than one line: %s", error);
}

/* -- what a first start makes --------------------------------------------------------------------- */

Test(pki, first_start_makes_a_chain_that_verifies_strictly)
{
	umask(077);
	cr_assert_eq(ensure(start), 1, "%s", error);
	cr_assert_eq(verify(NULL, NULL, start), X509_V_OK);
	cr_assert_eq(mode_of(paths.ca), 0644);
	cr_assert_eq(mode_of(paths.ca_key), 0600);
	cr_assert_eq(mode_of(paths.cert), 0644);
	cr_assert_eq(mode_of(paths.key), 0600);
	cr_assert_eq(ensure(start), 0, "%s", error);
	cr_assert_str_empty(error);
}

Test(pki, an_open_umask_opens_no_key)
{
	umask(0);
	cr_assert_eq(ensure(start), 1, "%s", error);
	cr_assert_eq(mode_of(paths.ca_key), 0600);
	cr_assert_eq(mode_of(paths.key), 0600);
	cr_assert_eq(mode_of(paths.ca), 0644);
}

Test(pki, the_life_is_ninety_days_and_an_hour_back)
{
	static const struct {
		time_t offset;
		int want;
	} rows[] = {
	    {-3601, X509_V_ERR_CERT_NOT_YET_VALID},
	    {-3599, X509_V_OK},
	    {90 * DAY - 1, X509_V_OK},
	    {90 * DAY + 1, X509_V_ERR_CERT_HAS_EXPIRED},
	};

	cr_assert_eq(ensure(start), 1, "%s", error);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_eq(verify(NULL, NULL, start + rows[i].offset), rows[i].want, "row %zu", i);
}

Test(pki, the_ca_is_one_and_can_sign_no_other_ca)
{
	char name[128], host[65] = {0};
	X509 *ca;

	cr_assert_eq(ensure(start), 1, "%s", error);
	ca = cert_at(paths.ca, 0);
	cr_assert_eq(X509_check_ca(ca), 1);
	cr_assert_eq(X509_get_pathlen(ca), 0);
	cr_assert_eq(X509_get_key_usage(ca), (uint32_t)(KU_KEY_CERT_SIGN | KU_CRL_SIGN));
	cr_assert_eq(X509_get_signature_nid(ca), NID_ecdsa_with_SHA256);
	cr_assert_not_null(X509_get0_subject_key_id(ca));
	cr_assert_eq(X509_NAME_get_text_by_NID(X509_get_subject_name(ca), NID_commonName, name, sizeof(name)),
		     (int)strlen(name));
	gethostname(host, sizeof(host) - 1);
	cr_assert_eq(strncmp(name, "headgate CA ", 12), 0, "%s", name);
	if (strlen(host) <= 43)
		cr_assert_eq(strncmp(name + 12, host, strlen(host)), 0, "%s", name);
	cr_assert_leq(strlen(name), 64);
	X509_free(ca);
}

Test(pki, the_leaf_has_the_profile_of_a_server)
{
	X509 *ca, *leaf;
	char group[32];
	BIGNUM *serial;

	cr_assert_eq(ensure(start), 1, "%s", error);
	ca = cert_at(paths.ca, 0);
	leaf = cert_at(paths.cert, 0);
	cr_assert_eq(X509_check_ca(leaf), 0);
	cr_assert_eq(X509_get_version(leaf), 2);
	cr_assert_eq(X509_get_key_usage(leaf), (uint32_t)KU_DIGITAL_SIGNATURE);
	cr_assert_eq(X509_get_extended_key_usage(leaf), (uint32_t)XKU_SSL_SERVER);
	cr_assert_eq(EVP_PKEY_get_group_name(X509_get0_pubkey(leaf), group, sizeof(group), NULL), 1);
	cr_assert_str_eq(group, "prime256v1");
	cr_assert_eq(X509_get_signature_nid(leaf), NID_ecdsa_with_SHA256);
	cr_assert_eq(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(leaf), X509_get0_subject_key_id(ca)),
		     0);
	cr_assert_not_null(X509_get0_subject_key_id(leaf));
	serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL);
	cr_assert_eq(BN_num_bits(serial), 128);
	cr_assert_not(BN_is_negative(serial));
	BN_free(serial);
	X509_free(ca);
	X509_free(leaf);
}

Test(pki, server_pem_is_leaf_then_ca)
{
	X509 *ca, *second;

	cr_assert_eq(ensure(start), 1, "%s", error);
	ca = cert_at(paths.ca, 0);
	second = cert_at(paths.cert, 1);
	cr_assert_not_null(second);
	cr_assert_eq(X509_cmp(ca, second), 0);
	cr_assert_null(cert_at(paths.cert, 2));
	X509_free(ca);
	X509_free(second);
}

/* -- names ---------------------------------------------------------------------------------------- */

Test(pki, local_names_and_addresses_are_covered)
{
	char host[65] = {0}, text[INET6_ADDRSTRLEN];
	struct ifaddrs *all;

	cr_assert_eq(ensure(start), 1, "%s", error);
	cr_assert_eq(verify("localhost", NULL, start), X509_V_OK);
	cr_assert_eq(verify(NULL, "127.0.0.1", start), X509_V_OK);
	cr_assert_eq(verify(NULL, "::1", start), X509_V_OK);
	cr_assert_eq(gethostname(host, sizeof(host) - 1), 0);
	cr_assert_eq(verify(host, NULL, start), X509_V_OK, "%s", host);
	cr_assert_eq(getifaddrs(&all), 0);
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, text,
			  sizeof(text));
		cr_assert_eq(verify(NULL, text, start), X509_V_OK, "%s", text);
	}
	freeifaddrs(all);
	cr_assert_eq(verify("example.org", NULL, start), X509_V_ERR_HOSTNAME_MISMATCH);
	cr_assert_eq(verify(NULL, "192.0.2.1", start), X509_V_ERR_IP_ADDRESS_MISMATCH);
	/* An address must not be in the certificate as a DNS name too: Go and curl differ on it. */
	cr_assert_eq(verify("127.0.0.1", NULL, start), X509_V_ERR_HOSTNAME_MISMATCH);
}

Test(pki, asked_for_names_are_covered)
{
	static const char *const sans[] = {
	    "Docker.Example.org", "*.swarm.example",	   "192.0.2.7", "2001:db8::7", "[2001:db8::8]",
	    "under_score",	  "xn--bcher-kva.example",
	};

	cr_assert_eq(pki_ensure(dir, sans, ARRAY_SIZE(sans), start, error, sizeof(error)), 1, "%s", error);
	cr_assert_eq(verify("docker.example.org", NULL, start), X509_V_OK);
	cr_assert_eq(verify("node1.swarm.example", NULL, start), X509_V_OK);
	cr_assert_eq(verify("xn--bcher-kva.example", NULL, start), X509_V_OK);
	cr_assert_eq(verify(NULL, "192.0.2.7", start), X509_V_OK);
	cr_assert_eq(verify(NULL, "2001:db8::7", start), X509_V_OK);
	cr_assert_eq(verify(NULL, "2001:db8::8", start), X509_V_OK);
	cr_assert_eq(pki_ensure(dir, sans, ARRAY_SIZE(sans), start, error, sizeof(error)), 0, "%s", error);
}

Test(pki, what_is_no_name_is_refused)
{
	static const char *const bad[] = {
	    "",
	    " ",
	    "a b",
	    "a..b",
	    ".a",
	    "a.",
	    "-a.example",
	    "a-.example",
	    "b\xc3\xbc-cher",
	    "1.2.3",
	    "1.2.3.256",
	    "1.2.3.4.5",
	    "*",
	    "*.",
	    "a.*.b",
	    "[::1",
	    "::1]",
	    "[]",
	    "2001:db8::g",
	    "fe80::1%eth0",
	    "a/b",
	    "host:443",
	    "a\nb",
	    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg.example",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect_eq(ensure_san(start, bad[i]), -EINVAL, "row %zu '%s'", i, bad[i]);
		cr_expect(strstr(error, "--san"), "row %zu: %s", i, error);
		cr_expect_neq(access(paths.ca, F_OK), 0, "row %zu made a CA", i);
	}
}

Test(pki, the_longest_dns_name_fits_and_one_more_does_not)
{
	char name[256];

	memset(name, 'a', sizeof(name));
	for (size_t i = 63; i < sizeof(name); i += 64)
		name[i] = '.';
	name[253] = '\0';
	cr_assert_eq(ensure_san(start, name), 1, "%s", error);
	cr_assert_eq(verify(name, NULL, start), X509_V_OK);
	name[253] = 'a';
	name[254] = '\0';
	cr_assert_eq(ensure_san(start, name), -EINVAL);
}

Test(pki, more_names_than_fit_are_refused)
{
	static char names[PKI_NAME_MAX + 1][16];
	const char *sans[PKI_NAME_MAX + 1];

	for (size_t i = 0; i < ARRAY_SIZE(sans); i++) {
		snprintf(names[i], sizeof(names[i]), "h%zu.example", i);
		sans[i] = names[i];
	}
	cr_assert_eq(pki_ensure(dir, sans, ARRAY_SIZE(sans), start, error, sizeof(error)), -ENOSPC);
	error_has("--san", "too many");
	/* 200 of them leave room for what is local, and the certificate still verifies. */
	cr_assert_eq(pki_ensure(dir, sans, 200, start, error, sizeof(error)), 1, "%s", error);
	cr_assert_eq(verify("h199.example", NULL, start), X509_V_OK);
	cr_assert_eq(verify("localhost", NULL, start), X509_V_OK);
}

/* -- renewal -------------------------------------------------------------------------------------- */

Test(pki, renewed_when_a_third_is_left_and_the_ca_stays)
{
	/* The life is 90 days and the hour before; the last third begins here. */
	const time_t due = start + 90 * DAY - (90 * DAY + 3600) / 3;

	cr_assert_eq(ensure(start), 1, "%s", error);
	picture_take(&before);
	cr_assert_eq(ensure(due - 1), 0, "%s", error);
	picture_take(&after);
	cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0);
	cr_assert_eq(ensure(due), 1, "%s", error);
	error_has("third", "life");
	picture_take(&after);
	cr_assert_str_eq(before.ca, after.ca);
	cr_assert_str_eq(before.ca_key, after.ca_key);
	cr_assert_str_eq(before.key, after.key);
	cr_assert_str_neq(before.cert, after.cert);
	cr_assert_eq(verify(NULL, NULL, due + 90 * DAY - 1), X509_V_OK);
	cr_assert_eq(ensure(due), 0, "%s", error);
}

Test(pki, nine_years_of_renewals_keep_one_ca)
{
	int renewals = 0;

	cr_assert_eq(ensure(start), 1, "%s", error);
	picture_take(&before);
	for (time_t now = start; now < start + 9 * 365 * DAY; now += 5 * DAY) {
		int ret = ensure(now);

		cr_assert_geq(ret, 0, "%s", error);
		renewals += ret;
		cr_assert_eq(verify("localhost", NULL, now), X509_V_OK);
	}
	picture_take(&after);
	cr_assert_str_eq(before.ca, after.ca);
	cr_assert_str_eq(before.ca_key, after.ca_key);
	cr_assert(renewals >= 50 && renewals <= 60, "%d", renewals);
}

Test(pki, renewed_after_it_has_expired)
{
	cr_assert_eq(ensure(start), 1, "%s", error);
	cr_assert_eq(ensure(start + 200 * DAY), 1, "%s", error);
	cr_assert_eq(verify(NULL, NULL, start + 200 * DAY), X509_V_OK);
}

/* It was made while the clock ran ahead: nobody would accept it now. */
Test(pki, renewed_when_it_begins_in_the_future)
{
	cr_assert_eq(ensure(start), 1, "%s", error);
	cr_assert_eq(ensure(start + 300 * DAY), 1, "%s", error);
	cr_assert_eq(ensure(start + 10 * DAY), 1, "%s", error);
	cr_assert_eq(verify(NULL, NULL, start + 10 * DAY), X509_V_OK);
}

Test(pki, the_last_certificate_ends_with_the_ca_and_is_not_made_again_and_again)
{
	const time_t end = start + PKI_CA_DAYS * DAY;
	const time_t late = end - 10 * DAY;

	cr_assert_eq(ensure(start), 1, "%s", error);
	cr_assert_eq(ensure(late), 1, "%s", error);
	cr_assert_eq(verify(NULL, NULL, end - 1), X509_V_OK);
	cr_assert_eq(ensure(end - DAY), 0, "%s", error);
	cr_assert_eq(ensure(end), -EKEYEXPIRED);
	error_has("ca.pem: has expired", "remove");
}

Test(pki, a_clock_before_the_ca_is_an_error)
{
	cr_assert_eq(ensure(start), 1, "%s", error);
	picture_take(&before);
	cr_assert_eq(ensure(start - DAY), -EKEYREJECTED);
	error_has("begins in the future", "clock");
	picture_take(&after);
	cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0);
}

Test(pki, renewed_when_a_name_is_missing)
{
	cr_assert_eq(ensure(start), 1, "%s", error);
	cr_assert_eq(ensure_san(start, "new.example"), 1, "%s", error);
	error_has("did not cover", "new.example");
	cr_assert_eq(verify("new.example", NULL, start), X509_V_OK);
	cr_assert_eq(ensure_san(start, "NEW.example"), 0, "%s", error);
	cr_assert_eq(ensure_san(start, "198.51.100.9"), 1, "%s", error);
	error_has("did not cover", "198.51.100.9");
	/* A name that is asked for no longer is no reason. */
	cr_assert_eq(ensure(start), 0, "%s", error);
}

/* -- accidents with the server's files: regenerated ------------------------------------------------- */

/* Runs once more, and sees a good set with the CA it was. */
static void heals(const char *reason)
{
	cr_assert_eq(ensure(start), 1, "%s", error);
	error_has(reason, "");
	picture_take(&after);
	cr_assert_str_eq(before.ca, after.ca);
	cr_assert_str_eq(before.ca_key, after.ca_key);
	cr_assert_eq(verify("localhost", NULL, start), X509_V_OK);
	cr_assert_eq(mode_of(paths.key), 0600);
	cr_assert_eq(ensure(start), 0, "%s", error);
}

static void first(void)
{
	cr_assert_eq(ensure(start), 1, "%s", error);
	picture_take(&before);
}

Test(pki, a_missing_server_certificate_is_made)
{
	first();
	unlink(paths.cert);
	heals("there was none");
	cr_assert_str_eq(before.key, after.key);
}

Test(pki, a_missing_server_key_is_made)
{
	first();
	unlink(paths.key);
	heals("server-key.pem was missing");
}

Test(pki, a_half_written_server_certificate_is_made_again)
{
	first();
	cr_assert_eq(truncate(paths.cert, 300), 0);
	heals("server.pem was broken");
}

Test(pki, an_empty_server_certificate_is_made_again)
{
	first();
	cr_assert_eq(truncate(paths.cert, 0), 0);
	heals("server.pem was broken");
}

Test(pki, a_half_written_server_key_is_made_again)
{
	first();
	cr_assert_eq(truncate(paths.key, 100), 0);
	heals("server-key.pem was broken");
}

Test(pki, a_server_certificate_without_the_ca_is_made_again)
{
	first();
	*(strstr(before.cert, "END CERTIFICATE-----\n") + strlen("END CERTIFICATE-----\n")) = '\0';
	spill(paths.cert, before.cert, 0644);
	heals("lacked the CA");
}

Test(pki, a_server_key_of_another_certificate_gets_a_new_certificate)
{
	EVP_PKEY *other = pki_key_new();
	FILE *file;

	first();
	file = fopen(paths.key, "w");
	PEM_write_PrivateKey(file, other, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	EVP_PKEY_free(other);
	heals("does not belong to server-key.pem");
}

Test(pki, a_certificate_of_another_ca_is_replaced)
{
	first();
	unlink(paths.ca);
	unlink(paths.ca_key);
	cr_assert_eq(ensure(start), 1, "%s", error);
	error_has("another CA", "");
	slurp(paths.ca, after.ca);
	cr_assert_str_neq(before.ca, after.ca);
	cr_assert_eq(verify("localhost", NULL, start), X509_V_OK);
}

/* The name of the CA may be the same, its key not: the signature decides. */
Test(pki, a_certificate_by_a_forged_ca_of_the_same_name_is_replaced)
{
	static struct pki_names names;
	EVP_PKEY *forger = pki_key_new(), *key;
	X509 *ca, *leaf;
	BIO *pem;
	char *data;
	long len;

	first();
	ca = cert_at(paths.ca, 0);
	key = pki_key_read(span_of(before.key));
	cr_assert_eq(pki_names_add_local(&names), 0);
	leaf = pki_cert_new_server(key, ca, forger, &names, start, 90);
	cr_assert_not_null(leaf);
	pem = pki_certs_pem(leaf, ca);
	len = BIO_get_mem_data(pem, &data);
	cr_assert_gt(len, 0);
	memcpy(before.cert, data, (size_t)len);
	before.cert[len] = '\0';
	spill(paths.cert, before.cert, 0644);
	heals("another CA");
	BIO_free(pem);
	X509_free(leaf);
	X509_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(forger);
}

Test(pki, what_a_crash_left_behind_is_no_obstacle)
{
	char temp[4200];

	snprintf(temp, sizeof(temp), "%s.new", paths.ca_key);
	spill(temp, "half", 0644);
	cr_assert_eq(ensure(start), 1, "%s", error);
	cr_assert_neq(access(temp, F_OK), 0);
	cr_assert_eq(mode_of(paths.ca_key), 0600);
	cr_assert_eq(verify("localhost", NULL, start), X509_V_OK);
}

/* -- accidents with the CA: refused ---------------------------------------------------------------- */

static void refuses(int want, const char *a, const char *b)
{
	static struct picture again;

	picture_take(&before);
	cr_assert_eq(ensure(start), want, "%s", error);
	error_has(a, b);
	picture_take(&again);
	cr_assert_eq(memcmp(&before, &again, sizeof(before)), 0, "something was written");
}

Test(pki, a_half_written_ca_is_refused)
{
	first();
	cr_assert_eq(truncate(paths.ca, 200), 0);
	refuses(-EBADMSG, "ca.pem: not a certificate", "restore it from a backup, or remove");
}

Test(pki, an_empty_ca_is_refused)
{
	first();
	cr_assert_eq(truncate(paths.ca, 0), 0);
	refuses(-EBADMSG, "ca.pem: not a certificate", "remove");
}

Test(pki, a_broken_ca_key_is_refused)
{
	first();
	cr_assert_eq(truncate(paths.ca_key, 60), 0);
	refuses(-EBADMSG, "ca-key.pem: not a private key", "restore it from a backup, or remove");
}

Test(pki, a_ca_key_with_a_passphrase_is_refused_and_nobody_is_asked)
{
	EVP_PKEY *key;
	FILE *file;

	first();
	key = pki_key_read(span_of(before.ca_key));
	file = fopen(paths.ca_key, "w");
	PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL);
	fclose(file);
	EVP_PKEY_free(key);
	refuses(-EBADMSG, "ca-key.pem: not a private key", "remove");
}

Test(pki, a_ca_key_of_another_ca_is_refused)
{
	EVP_PKEY *other = pki_key_new();
	FILE *file;

	first();
	file = fopen(paths.ca_key, "w");
	PEM_write_PrivateKey(file, other, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	EVP_PKEY_free(other);
	refuses(-EKEYREJECTED, "ca-key.pem: not the key of ca.pem", "remove");
}

Test(pki, a_server_certificate_as_ca_is_refused)
{
	first();
	spill(paths.ca, before.cert, 0644);
	spill(paths.ca_key, before.key, 0600);
	refuses(-EINVAL, "ca.pem: not a CA's certificate", "remove");
}

Test(pki, a_missing_ca_key_is_refused)
{
	first();
	unlink(paths.ca_key);
	cr_assert_eq(ensure(start), -ENOENT);
	error_has("ca-key.pem: missing, but ca.pem is there", "restore");
	cr_assert_neq(access(paths.ca_key, F_OK), 0);
}

Test(pki, a_missing_ca_is_refused_once_something_was_issued)
{
	first();
	unlink(paths.ca);
	cr_assert_eq(ensure(start), -ENOENT);
	error_has("ca.pem: missing, but ca-key.pem is there", "restore");
	cr_assert_neq(access(paths.ca, F_OK), 0);
}

/* A first start that was cut off between key and certificate: nobody has seen this CA. */
Test(pki, a_ca_key_alone_gets_its_certificate)
{
	first();
	unlink(paths.ca);
	unlink(paths.cert);
	unlink(paths.key);
	cr_assert_eq(ensure(start), 1, "%s", error);
	picture_take(&after);
	cr_assert_str_eq(before.ca_key, after.ca_key);
	cr_assert_eq(verify("localhost", NULL, start), X509_V_OK);
}

Test(pki, keys_that_others_can_read_are_refused)
{
	static const mode_t modes[] = {0644, 0640, 0604, 0660, 0601};

	first();
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		cr_assert_eq(chmod(paths.ca_key, modes[i]), 0);
		refuses(-EACCES, "ca-key.pem: others can read it; run 'chmod 600 /tmp/pki-test.",
			"/ca-key.pem'");
		cr_assert_eq(chmod(paths.ca_key, 0600), 0);
		cr_assert_eq(chmod(paths.key, modes[i]), 0);
		refuses(-EACCES, "server-key.pem: others can read it; run 'chmod 600 ", "/server-key.pem'");
		cr_assert_eq(chmod(paths.key, 0600), 0);
	}
	cr_assert_eq(chmod(paths.ca_key, 0400), 0);
	cr_assert_eq(ensure(start), 0, "%s", error);
}

/* An administrator's own CA, here with an RSA key, signs as well. */
Test(pki, a_foreign_rsa_ca_signs)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	X509 *ca;
	FILE *file;

	cr_assert_not_null(key);
	ca = pki_cert_new_ca(key, "elsewhere", start, 100);
	cr_assert_not_null(ca);
	file = fopen(paths.ca, "w");
	PEM_write_X509(file, ca);
	fclose(file);
	umask(077);
	file = fopen(paths.ca_key, "w");
	PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	cr_assert_eq(ensure(start), 1, "%s", error);
	cr_assert_eq(verify("localhost", NULL, start), X509_V_OK);
	EVP_PKEY_free(key);
	X509_free(ca);
}

Test(pki, a_pipe_in_place_of_a_file_holds_nothing_up)
{
	cr_assert_eq(mkfifo(paths.ca, 0600), 0);
	cr_assert_eq(ensure(start), -EINVAL);
	error_has("ca.pem: not a regular file", "");
}

Test(pki, a_missing_directory_is_an_error)
{
	cr_assert_eq(pki_ensure("/tmp/pki-test.not-there", NULL, 0, start, error, sizeof(error)), -ENOENT);
	error_has("/tmp/pki-test.not-there", "cannot open the directory");
}

Test(pki, a_path_that_is_too_long_is_an_error)
{
	static char path[5000];

	memset(path, 'a', sizeof(path) - 1);
	cr_assert_eq(pki_ensure(path, NULL, 0, start, error, sizeof(error)), -ENAMETOOLONG);
	cr_assert_eq(pki_paths(&paths, path), -ENAMETOOLONG);
	cr_assert_eq(pki_paths(&paths, dir), 0);
}

/* -- several at once ------------------------------------------------------------------------------- */

/* Starts PROCS processes that run pki_ensure() at the same moment; returns how many wrote. */
static int race(time_t now)
{
	int gate[2], wrote = 0;
	pid_t pids[PROCS];

	cr_assert_eq(pipe(gate), 0);
	for (int i = 0; i < PROCS; i++) {
		pids[i] = fork();
		cr_assert_geq(pids[i], 0);
		if (pids[i] == 0) {
			char byte;
			int ret;

			close(gate[1]);
			(void)!read(gate[0], &byte, 1);
			ret = ensure(now);
			_exit(ret < 0 ? 99 : ret);
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < PROCS; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1, "status %x", (unsigned)status);
		wrote += WEXITSTATUS(status);
	}
	return wrote;
}

Test(pki, processes_at_once_end_with_one_consistent_set)
{
	cr_assert_eq(race(start), 1);
	cr_assert_eq(verify("localhost", NULL, start), X509_V_OK);
	picture_take(&before);
	cr_assert_eq(ensure(start), 0, "%s", error);
	cr_assert_eq(race(start + 80 * DAY), 1);
	picture_take(&after);
	cr_assert_str_eq(before.ca, after.ca);
	cr_assert_eq(verify("localhost", NULL, start + 80 * DAY), X509_V_OK);
	cr_assert_eq(ensure(start + 80 * DAY), 0, "%s", error);
}

/* -- the small ones -------------------------------------------------------------------------------- */

Test(pki, days_left_are_rounded_down)
{
	static const struct {
		time_t offset;
		int days;
	} rows[] = {
	    {0, 90},
	    {1, 89},
	    {DAY, 89},
	    {89 * DAY, 1},
	    {89 * DAY + 1, 0},
	    {90 * DAY, 0},
	    {90 * DAY + 1, -1},
	    {91 * DAY, -1},
	    {91 * DAY + 1, -2},
	    {1000 * DAY, -910},
	};
	int days;

	cr_assert_eq(ensure(start), 1, "%s", error);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(pki_days_left(paths.cert, start + rows[i].offset, &days, error, sizeof(error)),
			     0);
		cr_expect_eq(days, rows[i].days, "row %zu: %d", i, days);
	}
	cr_assert_eq(pki_days_left(paths.key, start, &days, error, sizeof(error)), -EBADMSG);
	error_has("server-key.pem: not a certificate", "");
	cr_assert_eq(pki_days_left("/tmp/pki-test.not-there", start, &days, error, sizeof(error)), -ENOENT);
}

Test(pki, the_fingerprint_is_that_of_the_first_certificate)
{
	unsigned char der[4096], *end = der, digest[32];
	char print[96], want[97];
	X509 *leaf;
	int len;

	cr_assert_eq(ensure(start), 1, "%s", error);
	cr_assert_eq(pki_fingerprint(paths.cert, print), 0);
	leaf = cert_at(paths.cert, 0);
	len = i2d_X509(leaf, &end);
	cr_assert(len > 0 && len <= (int)sizeof(der));
	cr_assert_eq(EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL), 1);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(want + i * 3, 4, "%02X:", digest[i]);
	want[95] = '\0';
	cr_assert_str_eq(print, want);
	cr_assert_eq(pki_fingerprint("/tmp/pki-test.not-there", print), -ENOENT);
	X509_free(leaf);
}
