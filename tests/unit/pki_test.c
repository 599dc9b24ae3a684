/* SPDX-License-Identifier: MIT */
/* pki_test.c: the CA and the server certificate of a first start, and their renewal over the years. */
#include "pki_support.h"

static struct picture after;

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
	cr_assert_eq(pki_days_left("/tmp/headgate-test.not-there", start, &days, error, sizeof(error)),
		     -ENOENT);
}

/* The form of `openssl x509 -fingerprint -sha256`; of the leaf where the CA follows. */
Test(pki, fingerprint)
{
	const char *const files[] = {paths.ca, paths.cert};
	char text[PKI_FINGERPRINT_BYTES], want[PKI_FINGERPRINT_BYTES], command[4300], line[256];

	cr_assert_eq(ensure(time(NULL)), 1, "%s", error);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(command, sizeof(command), "openssl x509 -noout -fingerprint -sha256 -in %s",
			 files[i]);
		FILE *pipe = popen(command, "r");
		cr_assert(pipe && fgets(line, sizeof(line), pipe) && strchr(line, '='), "%s", command);
		snprintf(want, sizeof(want), "%s", strchr(line, '=') + 1);
		pclose(pipe);
		cr_assert_eq(pki_fingerprint(files[i], text, error, sizeof(error)), 0, "%s", error);
		cr_expect_str_eq(text, want);
		cr_expect_eq(strlen(text), PKI_FINGERPRINT_BYTES - 1);
	}
	cr_expect_lt(pki_fingerprint(paths.ca_key, text, error, sizeof(error)), 0);
	cr_expect(strstr(error, paths.ca_key) && !strchr(error, '\n'), "%s", error);
}
