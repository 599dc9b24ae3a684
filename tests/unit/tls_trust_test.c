/* SPDX-License-Identifier: MIT */
/* tls_trust_test.c: certificates and keys: what is loaded, who is trusted, what a reload changes. */
#include "tls_support.h"

#include <signal.h>

static char dir[64], other[64], error[512];
static struct authority authority, stranger;

static void setup(void)
{
	net_dir_make(dir);
	net_dir_make(other);
	authority_make(&authority);
	authority_make(&stranger);
	credentials_save(&authority, dir);
	credentials_save(&stranger, other);
	signal(SIGPIPE, SIG_IGN); /* bare OpenSSL's socket BIO writes without MSG_NOSIGNAL */
}

static void teardown(void)
{
	authority_free(&authority);
	authority_free(&stranger);
	net_dir_remove(dir);
	net_dir_remove(other);
}

TestSuite(tls_trust, .init = setup, .fini = teardown, .timeout = 300);

static void expect_error(const char *a, const char *b)
{
	cr_assert(strstr(error, a) && strstr(error, b), "want '%s' and '%s' in: %s", a, b, error);
	cr_assert_null(strchr(error, '\n'), "more than one line: %s", error);
}

/* Client and server of ours meet; true when both say that they are done. `why` is the client's reason. */
static bool meet(struct tls_server *server, struct tls_client *client, char why[256])
{
	struct end ends[2];
	enum tls_step steps[2];
	int fds[2];

	net_unix_pair(fds);
	end_ours(&ends[0], fds[0], NULL, client);
	end_ours(&ends[1], fds[1], server, NULL);
	ends_shake(ends, steps);
	snprintf(why, 256, "%s", tls_failure(ends[0].tls));
	if (steps[0] == TLS_FAILED)
		cr_assert_neq(steps[1], TLS_DONE, "the server is told");
	end_close(&ends[0]);
	end_close(&ends[1]);
	return steps[0] == TLS_DONE && steps[1] == TLS_DONE;
}

/* ---- whom a client trusts ---- */

Test(tls_trust, names_and_addresses)
{
	static const struct {
		const char *host;
		bool good;
	} rows[] = {
	    {TLS_HOST, true},	  {"ENGINE.test", true}, {"127.0.0.1", true},	 {"127.0.0.2", false},
	    {"localhost", false}, {"server", false},	 {"a." TLS_HOST, false}, {"::1", false},
	};
	struct tls_server *server = server_of(dir);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tls_client *client = client_of(dir, rows[i].host);
		char why[256];

		cr_assert_eq(meet(server, client, why), rows[i].good, "%s: %s", rows[i].host, why);
		if (!rows[i].good)
			cr_assert_not_null(strstr(why, "mismatch"), "%s: %s", rows[i].host, why);
		tls_client_free(client);
	}
	tls_server_free(server);
}

Test(tls_trust, a_strange_ca)
{
	struct tls_server *server = server_of(other);
	struct tls_client *client = client_of(dir, TLS_HOST);
	char why[256];

	cr_assert_not(meet(server, client, why));
	cr_assert_not_null(
	    strstr(why, "; ca.pem in --engine-cert-dir has to be the CA that signed its certificate"), "%s",
	    why);
	tls_client_free(client);
	client = tls_client_new_remote(NULL, NULL, TLS_HOST, error, sizeof(error));
	cr_assert_not_null(client, "%s", error);
	cr_assert_not(meet(server, client, why));
	cr_assert_not_null(strstr(why, "; --ca has to be the CA that signed its certificate"), "%s", why);
	tls_client_free(client);
	tls_server_free(server);
}

/* An engine that wants certificates of its own CA takes ours, and refuses a stranger's. */
Test(tls_trust, the_client_shows_its_certificate)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(versions); i++) {
		bool good = i % 2 == 0;
		SSL_CTX *ctx = bare_ctx(dir, true, versions[i / 2]);
		struct tls_client *client;
		struct end ends[2];
		enum tls_step steps[2];
		char byte, name[64] = "";
		int fds[2];

		if (!good) /* trusts the engine, but has a certificate that the engine does not */
			pem_save(other, "ca.pem", pki_certs_pem(authority.cert, NULL), 0644);
		client = client_of(good ? dir : other, TLS_HOST);
		net_unix_pair(fds);
		end_ours(&ends[0], fds[0], NULL, client);
		end_bare(&ends[1], fds[1], ctx, true);
		ends_shake(ends, steps);
		cr_assert_eq(steps[1], good ? TLS_DONE : TLS_FAILED);
		if (good) {
			X509 *cert = SSL_get1_peer_certificate(ends[1].ssl);
			cr_assert_not_null(cert);
			X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name,
						  sizeof(name));
			cr_assert_str_eq(name, "client");
			X509_free(cert);
		} else {
			/* In 1.3 the client is done before the server has looked. */
			cr_assert(steps[0] == TLS_FAILED || end_read(&ends[0], &byte, 1) == -EPROTO);
			cr_assert_not_null(strstr(tls_failure(ends[0].tls), "unknown ca"), "%s",
					   tls_failure(ends[0].tls));
		}
		end_close(&ends[0]);
		end_close(&ends[1]);
		tls_client_free(client);
		SSL_CTX_free(ctx);
	}
}

/* ---- what is loaded ---- */

Test(tls_trust, a_client_needs_its_three_files)
{
	static const char *const names[] = {"ca.pem", "cert.pem", "key.pem"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		credentials_save(&authority, dir);
		cr_assert_eq(unlink(path_in(dir, names[i])), 0);
		error[0] = '\0';
		cr_assert_null(tls_client_new(dir, TLS_HOST, error, sizeof(error)), "%s", names[i]);
		expect_error(path_in(dir, names[i]), ": ");
		cr_assert_not_null(strstr(error, "No such file"), "%s", error);
	}
	cr_assert_null(tls_client_new("/nowhere", TLS_HOST, error, sizeof(error)));
	expect_error("/nowhere/ca.pem", ": ");
}

static void spoil(const char *name, const char *text, mode_t mode)
{
	FILE *file = fopen(path_in(dir, name), "w");

	fputs(text, file);
	fclose(file);
	chmod(path_in(dir, name), mode);
}

Test(tls_trust, no_pem)
{
	static const char *const server_files[] = {"server.pem", "server-key.pem"};
	static const char *const client_files[] = {"ca.pem", "cert.pem", "key.pem"};

	for (size_t i = 0; i < ARRAY_SIZE(server_files); i++) {
		credentials_save(&authority, dir);
		spoil(server_files[i], "hello\n", 0600);
		cr_assert_null(tls_server_new(path_in(dir, "server.pem"), path_in(dir, "server-key.pem"),
					      NULL, error, sizeof(error)));
		expect_error(path_in(dir, server_files[i]), "PEM");
	}
	for (size_t i = 0; i < ARRAY_SIZE(client_files); i++) {
		credentials_save(&authority, dir);
		spoil(client_files[i], "", 0600);
		cr_assert_null(tls_client_new(dir, TLS_HOST, error, sizeof(error)));
		expect_error(path_in(dir, client_files[i]), ": ");
	}
}

Test(tls_trust, a_missing_server_file)
{
	static const char *const names[] = {"server.pem", "server-key.pem"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		credentials_save(&authority, dir);
		unlink(path_in(dir, names[i]));
		cr_assert_null(tls_server_new(path_in(dir, "server.pem"), path_in(dir, "server-key.pem"),
					      NULL, error, sizeof(error)));
		expect_error(path_in(dir, names[i]), "No such file");
	}
}

Test(tls_trust, a_key_that_others_can_read)
{
	static const mode_t bad[] = {0604, 0644, 0666, 0602}, good[] = {0400, 0600};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		chmod(path_in(dir, "server-key.pem"), bad[i]);
		cr_assert_null(tls_server_new(path_in(dir, "server.pem"), path_in(dir, "server-key.pem"),
					      NULL, error, sizeof(error)),
			       "%04o", bad[i]);
		expect_error(path_in(dir, "server-key.pem"), "chmod");
		chmod(path_in(dir, "key.pem"), bad[i]);
		cr_assert_null(tls_client_new(dir, TLS_HOST, error, sizeof(error)), "%04o", bad[i]);
		expect_error(path_in(dir, "key.pem"), "chmod");
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		chmod(path_in(dir, "server-key.pem"), good[i]);
		chmod(path_in(dir, "key.pem"), good[i]);
		tls_server_free(server_of(dir));
		tls_client_free(client_of(dir, TLS_HOST));
	}
}

Test(tls_trust, a_key_of_another_certificate)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048);

	for (int kind = 0; kind < 2; kind++) { /* the same type of key, and another one */
		const char *key = path_in(other, "server-key.pem");

		if (kind == 1)
			pem_save(other, "server-key.pem", pki_key_pem(rsa), 0600);
		cr_assert_null(tls_server_new(path_in(dir, "server.pem"), key, NULL, error, sizeof(error)));
		expect_error(key, path_in(dir, "server.pem"));
		expect_error("belong", "key");
	}
	pair_save(&authority, dir, "another.pem", "key.pem", "another", "DNS:another");
	cr_assert_null(tls_client_new(dir, TLS_HOST, error, sizeof(error)));
	expect_error(path_in(dir, "key.pem"), path_in(dir, "cert.pem"));
	EVP_PKEY_free(rsa);
}

Test(tls_trust, freeing_nothing)
{
	tls_server_free(NULL);
	tls_client_free(NULL);
	tls_conn_free(NULL);
}

/* ---- reload ---- */

/* The common name that a new client sees. */
static void name_of_server(struct tls_server *server, char name[64])
{
	SSL_CTX *ctx = bare_ctx(dir, false, TLS1_3_VERSION);
	struct end ends[2];
	enum tls_step steps[2];
	int fds[2];

	net_unix_pair(fds);
	end_ours(&ends[0], fds[0], server, NULL);
	end_bare(&ends[1], fds[1], ctx, false);
	ends_shake(ends, steps);
	cr_assert_eq(steps[1], TLS_DONE);
	X509 *cert = SSL_get1_peer_certificate(ends[1].ssl);
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, 64);
	X509_free(cert);
	end_close(&ends[0]);
	end_close(&ends[1]);
	SSL_CTX_free(ctx);
}

static int reload(struct tls_server *server, const char *cert_name, const char *key_name)
{
	error[0] = '\0';
	return tls_server_reload(server, path_in(dir, cert_name), path_in(dir, key_name), NULL, error,
				 sizeof(error));
}

Test(tls_trust, a_reload_drops_nothing)
{
	struct tls_server *server = server_of(dir);
	struct tls_client *client = client_of(dir, TLS_HOST);
	struct end old[2], half[2];
	enum tls_step steps[2];
	char name[64];
	int fds[2];

	net_unix_pair(fds);
	end_ours(&old[0], fds[0], server, NULL);
	end_ours(&old[1], fds[1], NULL, client);
	ends_shake(old, steps);
	net_unix_pair(fds);
	end_ours(&half[0], fds[0], server, NULL); /* in the middle of its handshake */
	end_ours(&half[1], fds[1], NULL, client);
	cr_assert_eq(end_shake(&half[1]), TLS_WANT_READ);

	pair_save(&authority, dir, "new.pem", "new-key.pem", "renewed", "DNS:" TLS_HOST);
	name_of_server(server, name);
	cr_assert_str_eq(name, "server");
	cr_assert_eq(reload(server, "new.pem", "new-key.pem"), 0, "%s", error);
	name_of_server(server, name);
	cr_assert_str_eq(name, "renewed");

	ends_carry(&old[0], &old[1], 200000, 70000, 65536);
	ends_carry(&old[1], &old[0], 200000, 70000, 65536);
	ends_shake(half, steps);
	cr_assert(steps[0] == TLS_DONE && steps[1] == TLS_DONE);
	for (int i = 0; i < 2; i++) {
		end_close(&old[i]);
		end_close(&half[i]);
	}
	tls_client_free(client);
	tls_server_free(server);
}

Test(tls_trust, a_bad_reload_changes_nothing)
{
	struct tls_server *server = server_of(dir);
	char name[64];

	pair_save(&authority, dir, "new.pem", "new-key.pem", "renewed", "DNS:" TLS_HOST);
	cr_assert_eq(reload(server, "new.pem", "server-key.pem"), -EINVAL, "not its key");
	expect_error(path_in(dir, "server-key.pem"), path_in(dir, "new.pem"));
	cr_assert_eq(reload(server, "gone.pem", "new-key.pem"), -EINVAL, "not there");
	expect_error(path_in(dir, "gone.pem"), "No such file");
	chmod(path_in(dir, "new-key.pem"), 0644);
	cr_assert_eq(reload(server, "new.pem", "new-key.pem"), -EINVAL, "others can read it");
	expect_error(path_in(dir, "new-key.pem"), "chmod");
	name_of_server(server, name);
	cr_assert_str_eq(name, "server");
	tls_server_free(server);
}
