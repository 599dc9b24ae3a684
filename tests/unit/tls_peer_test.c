/* SPDX-License-Identifier: MIT */
/* tls_peer_test.c: client certificates and the names in them; servers trusted by CA or by fingerprint. */
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

TestSuite(tls_peer, .init = setup, .fini = teardown, .timeout = 300);

/* ---- certificates of every kind ---- */

#define DAY 86400

struct recipe {
	const char *common_name; /* NULL: none */
	int common_name_len;	 /* -1: up to its NUL */
	int common_name_type;	 /* 0: UTF-8 */
	const char *sans;
	const char *usage; /* extendedKeyUsage */
	const char *constraints;
	long from_s, until_s; /* from now; both 0: a day */
};

static void extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension = value ? X509V3_EXT_conf_nid(NULL, NULL, nid, value) : NULL;

	cr_assert(!value || extension, "%s", value);
	if (extension)
		X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
}

static struct authority cook(const struct recipe *recipe, const struct authority *issuer)
{
	struct authority made = {.key = pki_key_new(), .cert = X509_new()};
	X509_NAME *name = X509_get_subject_name(made.cert);

	X509_set_version(made.cert, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(made.cert), arc4random());
	X509_gmtime_adj(X509_getm_notBefore(made.cert), recipe->until_s ? recipe->from_s : -3600);
	X509_gmtime_adj(X509_getm_notAfter(made.cert), recipe->until_s ? recipe->until_s : DAY);
	if (recipe->common_name)
		cr_assert_eq(X509_NAME_add_entry_by_NID(
				 name, NID_commonName,
				 recipe->common_name_type ? recipe->common_name_type : MBSTRING_UTF8,
				 (const unsigned char *)recipe->common_name,
				 recipe->common_name_len ? recipe->common_name_len : -1, -1, 0),
			     1);
	X509_set_issuer_name(made.cert, X509_get_subject_name(issuer->cert));
	X509_set_pubkey(made.cert, made.key);
	extend(made.cert, NID_subject_alt_name, recipe->sans);
	extend(made.cert, NID_ext_key_usage, recipe->usage);
	extend(made.cert, NID_basic_constraints, recipe->constraints);
	cr_assert_gt(X509_sign(made.cert, issuer->key, EVP_sha256()), 0);
	return made;
}

/* ---- a client before a server of ours ---- */

static struct tls_server *asking_server(void)
{
	struct tls_server *server = tls_server_new(path_in(dir, "server.pem"), path_in(dir, "server-key.pem"),
						   path_in(dir, "ca.pem"), error, sizeof(error));

	cr_assert_not_null(server, "%s", error);
	return server;
}

/* The names as one text, "a b c"; "none" without a certificate, "-" without a name in it. */
static void names_text(const struct tls *tls, char text[512])
{
	char *names;
	size_t len = 0;

	cr_assert_eq(tls_peer_names(tls, &names), 0);
	snprintf(text, 512, "%s", !names ? "none" : "-");
	for (const char *name = names; name && *name; name += strlen(name) + 1)
		len += (size_t)snprintf(text + len, 512 - len, "%s%s", len ? " " : "", name);
	free(names);
}

/*
 * Meets with that certificate (NULL: none) and those behind it. What the server says goes to `text`: the
 * names, or why it refused.
 */
static enum tls_step meet_with(struct tls_server *server, int version, const struct authority *own,
			       const struct authority *chain, size_t chain_count, char text[512])
{
	SSL_CTX *ctx = bare_ctx(dir, false, version);
	struct end ends[2];
	enum tls_step steps[2];
	char byte;
	int fds[2];

	if (own) {
		SSL_CTX_use_certificate(ctx, own->cert);
		SSL_CTX_use_PrivateKey(ctx, own->key);
	}
	for (size_t i = 0; i < chain_count; i++)
		SSL_CTX_add1_chain_cert(ctx, chain[i].cert);
	net_unix_pair(fds);
	end_ours(&ends[0], fds[0], server, NULL);
	end_bare(&ends[1], fds[1], ctx, false);
	ends_shake(ends, steps);
	if (steps[0] == TLS_DONE) {
		names_text(ends[0].tls, text);
		ends_carry(&ends[1], &ends[0], 1000, 1000, 1000);
		ends_carry(&ends[0], &ends[1], 1000, 1000, 1000);
	} else {
		snprintf(text, 512, "%s", tls_failure(ends[0].tls));
		/* In 1.3 the client is done before the server has looked; the alert comes then. */
		cr_assert(steps[1] == TLS_FAILED || end_read(&ends[1], &byte, 1) == -EPROTO);
	}
	end_close(&ends[0]);
	end_close(&ends[1]);
	SSL_CTX_free(ctx);
	return steps[0];
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static const struct {
	struct recipe recipe;
	const char *names;
} named[] = {
    {{.common_name = "ci", .usage = "clientAuth"}, "ci"},
    {{.common_name = "ci"}, "ci"}, /* no usage: for everything */
    {{.common_name = "ci", .usage = "serverAuth,clientAuth"}, "ci"},
    {{.common_name = "ci", .sans = "DNS:build,DNS:deploy.a-b_c"}, "ci build deploy.a-b_c"},
    {{.sans = "DNS:build"}, "build"},
    {{.common_name = "ci", .common_name_type = V_ASN1_PRINTABLESTRING}, "ci"},
    {{.common_name = "\0c\0i", .common_name_len = 4, .common_name_type = V_ASN1_BMPSTRING}, "ci"},
    /* what is no token's name is no name */
    {{.common_name = "A Person"}, "-"},
    {{.common_name = "-a"}, "-"},
    {{.common_name = "d\xc3\xa9j\xc3\xa0"}, "-"},
    {{.common_name = "admin\0.evil", .common_name_len = 11}, "-"},
    {{.common_name = "\0a\0\0\0b", .common_name_len = 6, .common_name_type = V_ASN1_BMPSTRING}, "-"},
    {{.common_name = "a b",
      .sans = "DNS:*.ci,DNS:ci,IP:127.0.0.1,URI:admin,otherName:1.2.3.4;UTF8:admin,email:me@ci"},
     "ci"},
    {{.common_name = "x23456789012345678901234567890123456789012345678901234567890123"},
     "x23456789012345678901234567890123456789012345678901234567890123"},
    {{.common_name = "x234567890123456789012345678901234567890123456789012345678901234"}, "-"},
    {{.common_name = NULL}, "-"},
    /* the first 16 */
    {{.common_name = "a",
      .sans = "DNS:b,DNS:c,DNS:d,DNS:e,DNS:f,DNS:g,DNS:h,DNS:i,DNS:j,DNS:k,DNS:l,DNS:m,"
	      "DNS:n,DNS:o,DNS:p,DNS:q,DNS:r"},
     "a b c d e f g h i j k l m n o p"},
};

Test(tls_peer, names)
{
	struct tls_server *server = asking_server();

	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		struct authority client = cook(&named[i].recipe, &authority);
		char text[512];
		for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
			cr_expect_eq(meet_with(server, versions[v], &client, NULL, 0, text), TLS_DONE,
				     "row %zu: %s", i, text);
			cr_expect_str_eq(text, named[i].names, "row %zu: '%s', not '%s'", i, text,
					 named[i].names);
		}
		authority_free(&client);
	}
	tls_server_free(server);
}

Test(tls_peer, two_common_names_count_both)
{
	struct tls_server *server = asking_server();
	struct authority client = {.key = pki_key_new(), .cert = X509_new()};
	X509_NAME *name = X509_get_subject_name(client.cert);
	char text[512];

	X509_set_version(client.cert, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(client.cert), -DAY);
	X509_gmtime_adj(X509_getm_notAfter(client.cert), DAY);
	for (int i = 0; i < 2; i++)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
					   (const unsigned char *)(i ? "two" : "one"), -1, -1, 0);
	X509_set_issuer_name(client.cert, X509_get_subject_name(authority.cert));
	X509_set_pubkey(client.cert, client.key);
	X509_sign(client.cert, authority.key, EVP_sha256());
	cr_assert_eq(meet_with(server, TLS1_3_VERSION, &client, NULL, 0, text), TLS_DONE, "%s", text);
	cr_expect_str_eq(text, "one two");
	authority_free(&client);
	tls_server_free(server);
}

Test(tls_peer, who_shows_none_is_served)
{
	struct tls_server *server = asking_server(), *plain = server_of(dir);
	struct authority client = cook(&(struct recipe){.common_name = "ci"}, &authority);
	char text[512];

	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		cr_expect_eq(meet_with(server, versions[v], NULL, NULL, 0, text), TLS_DONE);
		cr_expect_str_eq(text, "none");
		/* Where nobody asks for one, one that is there proves nothing. */
		cr_expect_eq(meet_with(plain, versions[v], &client, NULL, 0, text), TLS_DONE);
		cr_expect_str_eq(text, "none");
	}
	authority_free(&client);
	tls_server_free(plain);
	tls_server_free(server);
}

Test(tls_peer, bad_certificates)
{
	static const struct {
		struct recipe recipe;
		bool strange;
		const char *why;
	} rows[] = {
	    {{.common_name = "ci"}, true, "unable to get local issuer"},
	    {{.common_name = "ci", .from_s = -2 * DAY, .until_s = -DAY}, false, "has expired"},
	    {{.common_name = "ci", .from_s = DAY, .until_s = 2 * DAY}, false, "not yet valid"},
	    /* A server's certificate of the same CA, as headgate's own is, makes nobody a client. */
	    {{.common_name = "ci", .usage = "serverAuth"}, false, "purpose"},
	    {{.common_name = "ci", .usage = "codeSigning"}, false, "purpose"},
	};
	struct tls_server *server = asking_server();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct authority client = cook(&rows[i].recipe, rows[i].strange ? &stranger : &authority);
		for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
			char text[512];
			cr_expect_eq(meet_with(server, versions[v], &client, NULL, 0, text), TLS_FAILED,
				     "row %zu: %s", i, text);
			cr_expect(strstr(text, "the client's certificate is refused: ") == text &&
				      strstr(text, rows[i].why) && !strchr(text, '\n'),
				  "row %zu wants '%s': %s", i, rows[i].why, text);
		}
		authority_free(&client);
	}
	tls_server_free(server);
}

/* A self-signed one that calls itself the CA; one below a client's certificate, which is no CA. */
Test(tls_peer, certificates_that_nobody_may_sign)
{
	struct tls_server *server = asking_server();
	struct authority self = {.key = pki_key_new()};
	struct authority client = cook(&(struct recipe){.common_name = "ci"}, &authority);
	struct authority below = cook(&(struct recipe){.common_name = "admin"}, &client);
	char text[512];

	self.cert = pki_cert_new_ca(self.key, "test", time(NULL), 2);
	cr_expect_eq(meet_with(server, TLS1_3_VERSION, &self, NULL, 0, text), TLS_FAILED, "%s", text);
	cr_expect_eq(meet_with(server, TLS1_3_VERSION, &below, &client, 1, text), TLS_FAILED, "%s", text);
	authority_free(&below);
	authority_free(&client);
	authority_free(&self);
	tls_server_free(server);
}

/* Four intermediate CAs are taken, five are not. */
Test(tls_peer, depth)
{
	struct tls_server *server = asking_server();
	struct authority chain[6], reversed[6], root = {.key = pki_key_new()};
	char text[512];

	/* headgate's own CA may have none below it, this one may. */
	root.cert = X509_new();
	X509_set_version(root.cert, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(root.cert), -DAY);
	X509_gmtime_adj(X509_getm_notAfter(root.cert), DAY);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(root.cert), "CN", MBSTRING_UTF8,
				   (const unsigned char *)"root", -1, -1, 0);
	X509_set_issuer_name(root.cert, X509_get_subject_name(root.cert));
	X509_set_pubkey(root.cert, root.key);
	extend(root.cert, NID_basic_constraints, "critical,CA:TRUE");
	X509_sign(root.cert, root.key, EVP_sha256());
	pem_save(dir, "root.pem", pki_certs_pem(root.cert, NULL), 0644);
	cr_assert_eq(tls_server_reload(server, path_in(dir, "server.pem"), path_in(dir, "server-key.pem"),
				       path_in(dir, "root.pem"), error, sizeof(error)),
		     0, "%s", error);
	for (int count = 0; count <= 5; count++) {
		const struct authority *issuer = &root;
		for (int i = 0; i < count; i++) {
			char name[16];
			snprintf(name, sizeof(name), "ca-%d", i);
			chain[i] = cook(
			    &(struct recipe){.common_name = name, .constraints = "critical,CA:TRUE"}, issuer);
			issuer = &chain[i];
			reversed[count - 1 - i] = chain[i];
		}
		struct authority client = cook(&(struct recipe){.common_name = "ci"}, issuer);
		enum tls_step step =
		    meet_with(server, TLS1_3_VERSION, &client, reversed, (size_t)count, text);
		cr_expect_eq(step, count <= 4 ? TLS_DONE : TLS_FAILED, "%d: %s", count, text);
		cr_expect(count > 4 || strcmp(text, "ci") == 0, "%d: %s", count, text);
		authority_free(&client);
		for (int i = 0; i < count; i++)
			authority_free(&chain[i]);
	}
	authority_free(&root);
	tls_server_free(server);
}

/* A client finds out whose certificates are wanted, and keeps one of another CA to itself. */
Test(tls_peer, the_server_says_whose_certificates)
{
	struct tls_server *server = asking_server();
	SSL_CTX *ctx = bare_ctx(dir, false, TLS1_3_VERSION);
	struct end ends[2];
	enum tls_step steps[2];
	int fds[2];

	net_unix_pair(fds);
	end_ours(&ends[0], fds[0], server, NULL);
	end_bare(&ends[1], fds[1], ctx, false);
	ends_shake(ends, steps);
	const STACK_OF(X509_NAME) *wanted = SSL_get0_peer_CA_list(ends[1].ssl);
	cr_assert_eq(sk_X509_NAME_num(wanted), 1);
	cr_expect_eq(X509_NAME_cmp(sk_X509_NAME_value(wanted, 0), X509_get_subject_name(authority.cert)), 0);
	end_close(&ends[0]);
	end_close(&ends[1]);
	SSL_CTX_free(ctx);
	tls_server_free(server);
}

/* A session of before has a certificate in it that was never looked at again: there are none. */
Test(tls_peer, nothing_is_resumed)
{
	struct tls_server *server = asking_server();
	struct authority client = cook(&(struct recipe){.common_name = "ci"}, &authority);

	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		SSL_CTX *ctx = bare_ctx(dir, false, versions[v]);
		SSL_SESSION *session = NULL;
		SSL_CTX_use_certificate(ctx, client.cert);
		SSL_CTX_use_PrivateKey(ctx, client.key);
		for (int round = 0; round < 2; round++) {
			struct end ends[2];
			enum tls_step steps[2];
			char text[512];
			int fds[2];
			net_unix_pair(fds);
			end_ours(&ends[0], fds[0], server, NULL);
			end_bare(&ends[1], fds[1], ctx, false);
			if (session)
				SSL_set_session(ends[1].ssl, session);
			ends_shake(ends, steps);
			cr_assert(steps[0] == TLS_DONE && steps[1] == TLS_DONE, "%s",
				  tls_failure(ends[0].tls));
			names_text(ends[0].tls, text);
			cr_expect_str_eq(text, "ci");
			cr_expect_not(SSL_session_reused(ends[1].ssl));
			SSL_SESSION_free(session);
			session = SSL_get1_session(ends[1].ssl);
			end_close(&ends[0]);
			end_close(&ends[1]);
		}
		SSL_SESSION_free(session);
		SSL_CTX_free(ctx);
	}
	authority_free(&client);
	tls_server_free(server);
}

Test(tls_peer, reload_changes_whose_certificates)
{
	struct tls_server *server = asking_server();
	struct authority client = cook(&(struct recipe){.common_name = "ci"}, &authority);
	const char *cert = path_in(dir, "server.pem"), *key = path_in(dir, "server-key.pem");
	char text[512];

	cr_expect_eq(meet_with(server, TLS1_3_VERSION, &client, NULL, 0, text), TLS_DONE);
	cr_assert_eq(tls_server_reload(server, cert, key, path_in(other, "ca.pem"), error, sizeof(error)), 0);
	cr_expect_eq(meet_with(server, TLS1_3_VERSION, &client, NULL, 0, text), TLS_FAILED);
	/* A file that is not good changes nothing. */
	cr_assert_eq(tls_server_reload(server, cert, key, path_in(dir, "none.pem"), error, sizeof(error)),
		     -EINVAL);
	cr_expect(strstr(error, "none.pem: ") && strstr(error, "No such file"), "%s", error);
	cr_assert_eq(tls_server_reload(server, cert, key, key, error, sizeof(error)), -EINVAL);
	cr_expect(strstr(error, "server-key.pem: ") && strstr(error, "--client-ca"), "%s", error);
	cr_expect_null(strchr(error, '\n'));
	cr_expect_eq(meet_with(server, TLS1_3_VERSION, &client, NULL, 0, text), TLS_FAILED);
	cr_assert_eq(tls_server_reload(server, cert, key, NULL, error, sizeof(error)), 0);
	cr_expect_eq(meet_with(server, TLS1_3_VERSION, &client, NULL, 0, text), TLS_DONE);
	cr_expect_str_eq(text, "none");
	cr_assert_null(tls_server_new(cert, key, path_in(dir, "none.pem"), error, sizeof(error)));
	authority_free(&client);
	tls_server_free(server);
}

/* ---- a client of ours before a server ---- */

/* Whether they meet; `why` is the client's reason if not. */
static bool reaches(struct tls_client *client, SSL_CTX *server, char why[256])
{
	struct end ends[2];
	enum tls_step steps[2];
	int fds[2];

	net_unix_pair(fds);
	end_ours(&ends[0], fds[0], NULL, client);
	end_bare(&ends[1], fds[1], server, true);
	ends_shake(ends, steps);
	snprintf(why, 256, "%s", tls_failure(ends[0].tls));
	if (steps[0] == TLS_FAILED)
		cr_assert_neq(steps[1], TLS_DONE, "the server is told");
	end_close(&ends[0]);
	end_close(&ends[1]);
	return steps[0] == TLS_DONE && steps[1] == TLS_DONE;
}

static SSL_CTX *server_showing(const struct authority *own, const X509 *second, const X509 *third,
			       int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	SSL_CTX_set_num_tickets(ctx, 0);
	cr_assert_eq(SSL_CTX_use_certificate(ctx, own->cert), 1);
	cr_assert_eq(SSL_CTX_use_PrivateKey(ctx, own->key), 1);
	if (second)
		SSL_CTX_add1_chain_cert(ctx, (X509 *)(uintptr_t)second);
	if (third)
		SSL_CTX_add1_chain_cert(ctx, (X509 *)(uintptr_t)third);
	return ctx;
}

static struct tls_client *pinned_to(const X509 *cert, const char *host)
{
	uint8_t fingerprint[TLS_FINGERPRINT_BYTES];
	unsigned len = 0;

	cr_assert_eq(X509_digest(cert, EVP_sha256(), fingerprint, &len), 1);
	cr_assert_eq(len, TLS_FINGERPRINT_BYTES);
	struct tls_client *client = tls_client_new_remote(NULL, fingerprint, host, error, sizeof(error));
	cr_assert_not_null(client, "%s", error);
	return client;
}

static const struct recipe server_recipe = {
    .common_name = "server", .sans = "DNS:" TLS_HOST ",IP:127.0.0.1", .usage = "serverAuth"};

/* Takes the client, and compares: why NULL is a success. */
static void expect_reach(struct tls_client *client, SSL_CTX *server, const char *why, const char *what)
{
	char got[256];
	bool reached = reaches(client, server, got);

	cr_expect_eq(reached, why == NULL, "%s: %s", what, got);
	if (why)
		cr_expect(strstr(got, why), "%s wants '%s': %s", what, why, got);
	tls_client_free(client);
}

Test(tls_peer, pinned_to_the_servers_own)
{
	struct authority good = cook(&server_recipe, &authority), twin = cook(&server_recipe, &authority);
	struct authority old = cook(
	    &(struct recipe){.common_name = "x", .from_s = -2 * DAY, .until_s = -DAY, .usage = "serverAuth"},
	    &stranger);

	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		SSL_CTX *server = server_showing(&good, NULL, NULL, versions[v]);
		expect_reach(pinned_to(good.cert, TLS_HOST), server, NULL, "its own");
		expect_reach(pinned_to(good.cert, "another.name"), server, NULL, "by another name");
		expect_reach(pinned_to(good.cert, "127.0.0.9"), server, NULL, "by another address");
		expect_reach(pinned_to(twin.cert, TLS_HOST), server, "fingerprint", "its twin's");
		expect_reach(pinned_to(authority.cert, TLS_HOST), server, "fingerprint",
			     "its CA's, which it does not show");
		SSL_CTX_free(server);
		server = server_showing(&old, NULL, NULL, versions[v]);
		expect_reach(pinned_to(old.cert, TLS_HOST), server, NULL, "an expired one");
		SSL_CTX_free(server);
	}
	authority_free(&good);
	authority_free(&twin);
	authority_free(&old);
}

Test(tls_peer, pinned_to_a_ca_that_comes_with_it)
{
	struct authority good = cook(&server_recipe, &authority), renewed = cook(&server_recipe, &authority);
	struct authority strange = cook(&server_recipe, &stranger);
	struct authority old = cook(
	    &(struct recipe){
		.common_name = "x", .sans = "DNS:" TLS_HOST, .from_s = -2 * DAY, .until_s = -DAY},
	    &authority);
	struct authority client = cook(
	    &(struct recipe){.common_name = "x", .sans = "DNS:" TLS_HOST, .usage = "clientAuth"}, &authority);
	const X509 *ca = authority.cert;

	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		const struct {
			const struct authority *own;
			const X509 *second, *third;
			const char *host, *why;
		} rows[] = {
		    {&good, ca, NULL, TLS_HOST, NULL},
		    {&good, ca, NULL, "127.0.0.1", NULL},
		    {&renewed, ca, NULL, TLS_HOST, NULL},
		    {&good, stranger.cert, ca, TLS_HOST, NULL},
		    {&good, ca, NULL, "another.name", "mismatch"},
		    {&good, ca, NULL, "127.0.0.9", "mismatch"},
		    {&old, ca, NULL, TLS_HOST, "has expired"},
		    {&client, ca, NULL, TLS_HOST, "purpose"},
		    /* The CA's certificate is public: showing it proves nothing. */
		    {&strange, ca, NULL, TLS_HOST, "issuer"},
		    {&strange, stranger.cert, ca, TLS_HOST, ""},
		    {&strange, stranger.cert, NULL, TLS_HOST, "fingerprint"},
		};
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			SSL_CTX *server =
			    server_showing(rows[i].own, rows[i].second, rows[i].third, versions[v]);
			char what[32];
			snprintf(what, sizeof(what), "row %zu", i);
			expect_reach(pinned_to(ca, rows[i].host), server, rows[i].why, what);
			SSL_CTX_free(server);
		}
	}
	authority_free(&good);
	authority_free(&renewed);
	authority_free(&strange);
	authority_free(&old);
	authority_free(&client);
}

/* headgate's own pair, as the state directory has it: the leaf, then the CA. */
Test(tls_peer, pinned_to_headgates_own_ca)
{
	SSL_CTX *server = bare_ctx(dir, true, TLS1_3_VERSION);

	SSL_CTX_set_verify(server, SSL_VERIFY_NONE, NULL);
	expect_reach(pinned_to(authority.cert, TLS_HOST), server, NULL, "server.pem");
	SSL_CTX_free(server);
}

/* Some systems have them in a directory alone, and in the sandbox nothing can be read there any more. */
Test(tls_peer, remote_by_a_directory_of_the_systems)
{
	struct authority good = cook(&server_recipe, &authority);
	SSL_CTX *server = server_showing(&good, NULL, NULL, TLS1_3_VERSION);
	char name[32], dirs[256];

	snprintf(name, sizeof(name), "%08lx.0", X509_subject_name_hash(authority.cert));
	pem_save(dir, name, pki_certs_pem(authority.cert, NULL), 0644);
	pem_save(dir, "00000000.0", BIO_new_mem_buf("rubbish", -1), 0644);
	snprintf(dirs, sizeof(dirs), "%s:%s", path_in(dir, "none"), dir);
	cr_assert_eq(setenv("SSL_CERT_FILE", path_in(dir, "none.pem"), 1), 0);
	cr_assert_eq(setenv("SSL_CERT_DIR", dirs, 1), 0);
	struct tls_client *client = tls_client_new_remote(NULL, NULL, TLS_HOST, error, sizeof(error));
	cr_assert_not_null(client, "%s", error);
	cr_assert_eq(unlink(path_in(dir, name)), 0);
	expect_reach(client, server, NULL, "a CA that was there at the start");
	SSL_CTX_free(server);
	authority_free(&good);
}

Test(tls_peer, remote_by_ca)
{
	struct authority good = cook(&server_recipe, &authority), strange = cook(&server_recipe, &stranger);
	const char *ca = path_in(dir, "ca.pem");
	struct tls_client *client;
	uint8_t fingerprint[TLS_FINGERPRINT_BYTES] = {1};
	SSL_CTX *server = server_showing(&good, NULL, NULL, TLS1_3_VERSION);

	client = tls_client_new_remote(ca, NULL, TLS_HOST, error, sizeof(error));
	cr_assert_not_null(client, "%s", error);
	expect_reach(client, server, NULL, "no certificate of ours is needed");
	client = tls_client_new_remote(ca, NULL, "another.name", error, sizeof(error));
	expect_reach(client, server, "mismatch", "another name");
	client = tls_client_new_remote(NULL, NULL, TLS_HOST, error, sizeof(error));
	cr_assert_not_null(client, "%s", error);
	expect_reach(client, server, "certificate", "the system's CAs did not sign it");
	SSL_CTX_free(server);
	server = server_showing(&strange, stranger.cert, NULL, TLS1_3_VERSION);
	client = tls_client_new_remote(ca, NULL, TLS_HOST, error, sizeof(error));
	expect_reach(client, server, "certificate", "a stranger's");
	SSL_CTX_free(server);

	cr_assert_null(tls_client_new_remote(path_in(dir, "none.pem"), NULL, TLS_HOST, error, sizeof(error)));
	cr_expect(strstr(error, "none.pem") && strstr(error, "No such file"), "%s", error);
	cr_assert_null(tls_client_new_remote(ca, fingerprint, TLS_HOST, error, sizeof(error)));
	cr_expect(strstr(error, "--ca") && strstr(error, "--fingerprint"), "%s", error);
	authority_free(&good);
	authority_free(&strange);
}
