/* SPDX-License-Identifier: MIT */
/*
 * pki.c: see pki.h.
 *
 * Theory of operation. pki_ensure() takes the lock of the state directory and then goes top to bottom:
 *
 *   CA       both files there   -> used as they are, or refused with a remedy; never written again
 *            neither there      -> made; the key is written first, then the certificate
 *            only the key, and nothing was ever issued -> a first start was cut off between the two
 *                                  files: the certificate is made for that key
 *            anything else      -> refused: clients trust this CA, so only a person may replace it
 *   server   key missing or broken -> made; nobody but us depends on it
 *            certificate missing, broken, due, short of a name, for another key or by another CA
 *                               -> made, with the key that is there, so that a renewal replaces one
 *                                  file, and whoever reads both never sees a pair that does not match
 *
 * Each file appears whole, by rename, so a crash anywhere leaves a state that the next run completes.
 */
#include "pki.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "file.h"
#include "pki_cert.h"
#include "pki_names.h"
#include "span.h"

#define PEM_MAX_BYTES ((size_t)1 << 20)
#define DAY_S	      ((time_t)86400)
#define CERT_MODE     ((mode_t)0644)
#define KEY_MODE      ((mode_t)0600)

/* What one pki_ensure() works with. */
struct job {
	struct pki_paths paths;
	struct pki_names *names; /* owned */
	time_t now;
	X509 *ca, *cert;	    /* owned */
	EVP_PKEY *ca_key, *key;	    /* owned */
	bool dry;		    /* nothing is written */
	char why[PKI_DNS_MAX + 80]; /* the reason for a new server certificate */
	char *error;		    /* borrowed from the caller */
	size_t error_cap;
};

int pki_paths(struct pki_paths *paths, const char *state_dir)
{
	const struct {
		char *path;
		const char *name;
	} files[] = {
	    {paths->ca, "ca.pem"},
	    {paths->ca_key, "ca-key.pem"},
	    {paths->cert, "server.pem"},
	    {paths->key, "server-key.pem"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int n = snprintf(files[i].path, sizeof(paths->ca), "%s/%s", state_dir, files[i].name);

		if (n < 0 || (size_t)n >= sizeof(paths->ca))
			return -ENAMETOOLONG;
	}
	return 0;
}

/* -EBADMSG: the file is there, but no certificate of that number is in it. */
static int cert_load(const char *path, unsigned index, X509 **cert, char *error, size_t error_cap)
{
	struct file_text text;
	int ret = file_read(path, FILE_PUBLIC, PEM_MAX_BYTES, &text, error, error_cap);

	if (ret < 0)
		return ret;
	*cert = pki_cert_read((struct span){.ptr = text.data, .len = text.len}, index);
	file_text_fini(&text);
	if (*cert)
		return 0;
	snprintf(error, error_cap, "%s: not a certificate in PEM form (%s)", path, pki_crypto_reason());
	return -EBADMSG;
}

static int key_load(const char *path, EVP_PKEY **key, char *error, size_t error_cap)
{
	struct file_text text;
	int ret = file_read(path, FILE_SECRET, PEM_MAX_BYTES, &text, error, error_cap);

	if (ret < 0)
		return ret;
	*key = pki_key_read((struct span){.ptr = text.data, .len = text.len});
	file_text_fini(&text);
	if (*key)
		return 0;
	snprintf(error, error_cap, "%s: not a private key in PEM form without a passphrase (%s)", path,
		 pki_crypto_reason());
	return -EBADMSG;
}

/* Takes the BIO, which may be NULL: then what was to be in it could not be made. */
static int bio_store(struct job *job, const char *path, BIO *bio, mode_t mode)
{
	char *data = NULL;
	long len;
	int ret;

	if (!bio) {
		snprintf(job->error, job->error_cap, "%s: cannot make it: %s", path, pki_crypto_reason());
		return -EIO;
	}
	len = BIO_get_mem_data(bio, &data);
	ret = len <= 0 ? -EIO
	      : job->dry
		  ? 0
		  : file_write(path, data, (size_t)len, mode, FILE_REPLACE, job->error, job->error_cap);
	BIO_free(bio);
	return ret;
}

/* The CA's errors all have one remedy, and a person has to choose. */
static int ca_refuse(struct job *job, const char *path, const char *what, int error_number)
{
	snprintf(job->error, job->error_cap,
		 "%s: %s; restore it from a backup, or remove %s and %s for a new CA (every client then "
		 "needs the new ca.pem)",
		 path, what, job->paths.ca, job->paths.ca_key);
	return -error_number;
}

static int ca_make(struct job *job)
{
	int ret;

	if (!job->ca_key) {
		job->ca_key = pki_key_new();
		ret = bio_store(job, job->paths.ca_key, job->ca_key ? pki_key_pem(job->ca_key) : NULL,
				KEY_MODE);
		if (ret < 0)
			return ret;
	}
	job->ca = pki_cert_new_ca(job->ca_key, job->names->host, job->now, PKI_CA_DAYS);
	return bio_store(job, job->paths.ca, job->ca ? pki_certs_pem(job->ca, NULL) : NULL, CERT_MODE);
}

static int ca_check(struct job *job)
{
	time_t not_before, not_after;

	if (X509_check_private_key(job->ca, job->ca_key) != 1)
		return ca_refuse(job, job->paths.ca_key, "not the key of ca.pem", EKEYREJECTED);
	if (X509_check_ca(job->ca) == 0)
		return ca_refuse(job, job->paths.ca, "not a CA's certificate", EINVAL);
	if (pki_cert_times(job->ca, &not_before, &not_after) < 0)
		return ca_refuse(job, job->paths.ca, "its dates cannot be read", EINVAL);
	if (job->now >= not_after)
		return ca_refuse(job, job->paths.ca, "has expired", EKEYEXPIRED);
	if (job->now < not_before) {
		snprintf(job->error, job->error_cap, "%s: begins in the future; set this host's clock right",
			 job->paths.ca);
		return -EKEYREJECTED;
	}
	return 0;
}

/* Whether a server certificate was ever issued here. */
static bool issued(const struct job *job)
{
	return access(job->paths.cert, F_OK) == 0 || errno != ENOENT;
}

static int ca_ensure(struct job *job)
{
	int cert_ret = cert_load(job->paths.ca, 0, &job->ca, job->error, job->error_cap);
	int key_ret;

	if (cert_ret == -EBADMSG)
		return ca_refuse(job, job->paths.ca, "not a certificate in PEM form", EBADMSG);
	if (cert_ret < 0 && cert_ret != -ENOENT)
		return cert_ret;
	key_ret = key_load(job->paths.ca_key, &job->ca_key, job->error, job->error_cap);
	if (key_ret == -EBADMSG)
		return ca_refuse(job, job->paths.ca_key, "not a private key in PEM form", EBADMSG);
	if (key_ret < 0 && key_ret != -ENOENT)
		return key_ret;
	if (cert_ret == 0 && key_ret == 0)
		return ca_check(job);
	if (cert_ret == 0)
		return ca_refuse(job, job->paths.ca_key, "missing, but ca.pem is there", ENOENT);
	if (key_ret == 0 && issued(job))
		return ca_refuse(job, job->paths.ca, "missing, but ca-key.pem is there", ENOENT);
	return ca_make(job);
}

static void why(struct job *job, const char *reason)
{
	snprintf(job->why, sizeof(job->why), "%s", reason);
}

/* True when by its dates the certificate has to be replaced. */
static bool time_due(const struct job *job)
{
	time_t not_before, not_after, ca_not_before, ca_not_after;

	if (pki_cert_times(job->cert, &not_before, &not_after) < 0 ||
	    pki_cert_times(job->ca, &ca_not_before, &ca_not_after) < 0)
		return true;
	if (job->now < not_before || job->now >= not_after)
		return true;
	/* One that ends with the CA cannot be made to last longer. */
	if (not_after == ca_not_after)
		return false;
	return job->now >= not_after - (not_after - not_before) / 3;
}

/* Sets job->why when the server's certificate (loaded) has to be replaced. */
static void cert_judge(struct job *job)
{
	const struct pki_name *missing;

	if (X509_check_private_key(job->cert, job->key) != 1)
		why(job, "it does not belong to server-key.pem");
	else if (!pki_cert_signed_by(job->cert, job->ca))
		why(job, "it was signed by another CA");
	else if (time_due(job))
		why(job, "less than a third of its life was left");
	else if ((missing = pki_cert_missing(job->cert, job->names)) != NULL) {
		char text[PKI_DNS_MAX + 1];

		pki_name_text(missing, text);
		snprintf(job->why, sizeof(job->why), "it did not cover %s", text);
	}
}

/* The second certificate in server.pem is what a client that has only an older copy needs to see. */
static bool chain_complete(struct job *job)
{
	X509 *second = NULL;
	bool ok = cert_load(job->paths.cert, 1, &second, job->error, job->error_cap) == 0 &&
		  X509_cmp(second, job->ca) == 0;

	X509_free(second);
	return ok;
}

/* Loads what is there; *key_new says whether a key had to be made. */
static int server_load(struct job *job, bool *key_new)
{
	int ret = key_load(job->paths.key, &job->key, job->error, job->error_cap);

	*key_new = ret == -ENOENT || ret == -EBADMSG;
	if (ret < 0 && !*key_new)
		return ret;
	if (*key_new)
		why(job, ret == -ENOENT ? "server-key.pem was missing" : "server-key.pem was broken");
	ret = cert_load(job->paths.cert, 0, &job->cert, job->error, job->error_cap);
	if (ret == -ENOENT)
		why(job, "there was none");
	else if (ret == -EBADMSG)
		why(job, "server.pem was broken");
	else if (ret < 0)
		return ret;
	return 0;
}

static int server_ensure(struct job *job)
{
	bool key_new;
	int ret = server_load(job, &key_new);

	if (ret < 0)
		return ret;
	if (!job->why[0])
		cert_judge(job);
	if (!job->why[0] && !chain_complete(job))
		why(job, "server.pem lacked the CA");
	if (!job->why[0])
		return 0;
	if (key_new) {
		job->key = pki_key_new();
		ret = bio_store(job, job->paths.key, job->key ? pki_key_pem(job->key) : NULL, KEY_MODE);
		if (ret < 0)
			return ret;
	}
	X509_free(job->cert);
	job->cert =
	    pki_cert_new_server(job->key, job->ca, job->ca_key, job->names, job->now, PKI_SERVER_DAYS);
	ret =
	    bio_store(job, job->paths.cert, job->cert ? pki_certs_pem(job->cert, job->ca) : NULL, CERT_MODE);
	return ret < 0 ? ret : 1;
}

static int names_collect(struct job *job, const char *const *sans, size_t sans_count)
{
	int ret;

	/* What was asked for comes first, so that it is never what there is no room for. */
	for (size_t i = 0; i < sans_count; i++) {
		ret = pki_names_add(job->names, sans[i]);
		if (ret < 0) {
			snprintf(job->error, job->error_cap, "--san '%.64s': %s", sans[i],
				 ret == -ENOSPC ? "too many names"
						: "neither a DNS name (ASCII; IDNs as xn--) nor an address");
			return ret;
		}
	}
	ret = pki_names_add_local(job->names);
	if (ret < 0)
		snprintf(job->error, job->error_cap, "cannot list this host's addresses: %s",
			 ret == -ENOSPC ? "too many --san" : "getifaddrs() failed");
	return ret;
}

static int job_run(struct job *job, const char *state_dir, const char *const *sans, size_t sans_count)
{
	int lock = -1, ret;

	if (pki_paths(&job->paths, state_dir) < 0) {
		snprintf(job->error, job->error_cap, "%.64s...: the path is too long", state_dir);
		return -ENAMETOOLONG;
	}
	ret = names_collect(job, sans, sans_count);
	if (ret < 0)
		return ret;
	if (!job->dry) {
		lock = file_lock(state_dir, job->error, job->error_cap);
		if (lock < 0)
			return lock;
	}
	ret = ca_ensure(job);
	if (ret == 0)
		ret = server_ensure(job);
	if (lock >= 0)
		close(lock);
	return ret;
}

static int run(bool dry, const char *state_dir, const char *const *sans, size_t sans_count, time_t now,
	       char *error, size_t error_cap)
{
	struct job *job = calloc(1, sizeof(*job));
	int ret = -ENOMEM;

	if (job)
		job->names = calloc(1, sizeof(*job->names));
	if (job && job->names) {
		job->dry = dry;
		job->now = now;
		job->error = error;
		job->error_cap = error_cap;
		ret = job_run(job, state_dir, sans, sans_count);
		/* The tries on the way (a file that is not there yet) leave texts of their own. */
		if (ret >= 0)
			snprintf(error, error_cap, "%s", job->why);
		X509_free(job->ca);
		X509_free(job->cert);
		EVP_PKEY_free(job->ca_key);
		EVP_PKEY_free(job->key);
		free(job->names);
	} else {
		snprintf(error, error_cap, "out of memory");
	}
	free(job);
	ERR_clear_error();
	return ret;
}

int pki_ensure(const char *state_dir, const char *const *sans, size_t sans_count, time_t now, char *error,
	       size_t error_cap)
{
	return run(false, state_dir, sans, sans_count, now, error, error_cap);
}

int pki_look(const char *state_dir, const char *const *sans, size_t sans_count, time_t now, char *error,
	     size_t error_cap)
{
	return run(true, state_dir, sans, sans_count, now, error, error_cap);
}

int pki_life(const char *cert_file, time_t *not_before, time_t *not_after, char *error, size_t error_cap)
{
	X509 *cert = NULL;
	int ret = cert_load(cert_file, 0, &cert, error, error_cap);

	if (ret < 0)
		return ret;
	ret = pki_cert_times(cert, not_before, not_after);
	X509_free(cert);
	if (ret < 0)
		snprintf(error, error_cap, "%s: its dates cannot be read", cert_file);
	return ret;
}

int pki_days_left(const char *cert_file, time_t now, int *days, char *error, size_t error_cap)
{
	time_t not_before, not_after, left, whole;
	int ret = pki_life(cert_file, &not_before, &not_after, error, error_cap);

	if (ret < 0)
		return ret;
	left = not_after - now;
	whole = left / DAY_S;
	/* Rounded down also below zero: one that ended an hour ago has -1 days left and not 0. */
	*days = (int)(left % DAY_S < 0 ? whole - 1 : whole);
	return 0;
}

int pki_fingerprint(const char *cert_file, char text[PKI_FINGERPRINT_BYTES], char *error, size_t error_cap)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	X509 *cert = NULL;
	int ret = cert_load(cert_file, 0, &cert, error, error_cap);

	if (ret < 0)
		return ret;
	ret =
	    X509_digest(cert, EVP_sha256(), digest, &len) == 1 && len == PKI_FINGERPRINT_BYTES / 3 ? 0 : -EIO;
	X509_free(cert);
	if (ret < 0)
		snprintf(error, error_cap, "%s: cannot compute its fingerprint", cert_file);
	for (unsigned i = 0; i < len && ret == 0; i++)
		snprintf(text + (size_t)3 * i, 4, "%02X%s", digest[i], i + 1 < len ? ":" : "");
	return ret;
}
