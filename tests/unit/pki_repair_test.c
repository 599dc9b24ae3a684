/* SPDX-License-Identifier: MIT */
/*
 * pki_repair_test.c: accidents with the files, and several processes at once. What is the server's is made
 * again; what is the CA's is refused.
 */
#include <openssl/rsa.h>

#include "pki_support.h"

#define PROCS 6

static struct picture after;

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
		refuses(-EACCES, "ca-key.pem: others can read it; run 'chmod 600 /tmp/headgate-test.",
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
	cr_assert_eq(pki_ensure("/tmp/headgate-test.not-there", NULL, 0, start, error, sizeof(error)),
		     -ENOENT);
	error_has("/tmp/headgate-test.not-there", "cannot open the directory");
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

static int ensure_at(void *now)
{
	int ret = ensure(*(const time_t *)now);

	return ret < 0 ? 99 : ret;
}

/* Several processes run pki_ensure() at the same moment; returns how many wrote. */
static int race(time_t now)
{
	return net_race(PROCS, ensure_at, &now);
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
