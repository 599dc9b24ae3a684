/* SPDX-License-Identifier: MIT */
/* tls_test.c: TLS between two ends in one thread, ours against ours and against bare OpenSSL. */
#include "tls_support.h"

#include <criterion/parameterized.h>
#include <signal.h>

/* Who stands at end 0 (always ours) and at end 1. */
static const struct kind {
	bool server; /* end 0 is the server */
	int version; /* of bare OpenSSL at end 1; 0: ours */
} kinds[] = {
    {true, 0},
    {true, TLS1_3_VERSION},
    {true, TLS1_2_VERSION},
    {false, TLS1_3_VERSION},
    {false, TLS1_2_VERSION},
};

#define KINDS ARRAY_SIZE(kinds)

/* Bytes of a record of TLS 1.3 beside its text: header, content type, tag. */
#define RECORD_EXTRA 22

static struct rig {
	char dir[64];
	struct authority authority;
	struct tls_server *server;
	struct tls_client *client;
	SSL_CTX *ctx;
	struct end ends[2];
	struct tls *ours;
} rig;

static char data[TLS_WRITE_MAX_BYTES + 1000];

static void setup(void)
{
	net_dir_make(rig.dir);
	authority_make(&rig.authority);
	credentials_save(&rig.authority, rig.dir);
	rig.server = server_of(rig.dir);
	rig.client = client_of(rig.dir, TLS_HOST);
	rig.ends[0].fd = rig.ends[1].fd = -1;
	signal(SIGPIPE, SIG_IGN); /* bare OpenSSL's socket BIO writes without MSG_NOSIGNAL */
}

static void close_ends(void)
{
	for (int i = 0; i < 2; i++)
		end_close(&rig.ends[i]);
	SSL_CTX_free(rig.ctx);
	rig.ctx = NULL;
}

static void teardown(void)
{
	close_ends();
	tls_server_free(rig.server);
	tls_client_free(rig.client);
	authority_free(&rig.authority);
	net_dir_remove(rig.dir);
}

TestSuite(tls, .init = setup, .fini = teardown, .timeout = 300);

/* Both ends, before the handshake. */
static void open_ends(const struct kind *kind)
{
	int fds[2];

	close_ends();
	net_unix_pair(fds);
	end_ours(&rig.ends[0], fds[0], kind->server ? rig.server : NULL, rig.client);
	rig.ours = rig.ends[0].tls;
	if (kind->version == 0) {
		end_ours(&rig.ends[1], fds[1], kind->server ? NULL : rig.server, rig.client);
	} else {
		rig.ctx = bare_ctx(rig.dir, !kind->server, kind->version);
		end_bare(&rig.ends[1], fds[1], rig.ctx, !kind->server);
	}
}

static void shake(void)
{
	enum tls_step steps[2];

	ends_shake(rig.ends, steps);
	cr_assert(steps[0] == TLS_DONE && steps[1] == TLS_DONE, "%d %d: %s", steps[0], steps[1],
		  tls_failure(rig.ours));
}

static void connect_ends(const struct kind *kind)
{
	open_ends(kind);
	shake();
}

/* A body that runs with the ends of each kind connected. */
#define TLS_TEST(name)                                           \
	static void tls_##name(const struct kind *kind);         \
	ParameterizedTestParameters(tls, name)                   \
	{                                                        \
		static int indexes[] = {0, 1, 2, 3, 4};          \
		return cr_make_param_array(int, indexes, KINDS); \
	}                                                        \
	ParameterizedTest(int *index, tls, name)                 \
	{                                                        \
		connect_ends(&kinds[*index]);                    \
		tls_##name(&kinds[*index]);                      \
		close_ends();                                    \
	}                                                        \
	static void tls_##name(const struct kind *kind)

/* A body that opens its ends itself. What fails in a suite's .fini is not counted, so they close here. */
#define TLS_TEST_ALONE(name)          \
	static void tls_##name(void); \
	Test(tls, name)               \
	{                             \
		tls_##name();         \
		close_ends();         \
	}                             \
	static void tls_##name(void)

static void expect_text(struct end *end, const char *text)
{
	char got[256];
	ssize_t n = end_read(end, got, sizeof(got));

	cr_assert_eq(n, (ssize_t)strlen(text), "%zd: %s", n, end->tls ? tls_failure(end->tls) : "");
	cr_assert_eq(memcmp(got, text, (size_t)n), 0);
}

static void say(struct end *end, const char *text)
{
	cr_assert_eq(end_write(end, text, strlen(text)), (ssize_t)strlen(text));
}

/* ---- handshake and bytes ---- */

TLS_TEST(shakes_hands)
{
	cr_assert_str_eq(tls_version(rig.ours), kind->version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
	cr_assert_not_null(strstr(tls_cipher(rig.ours), "AES"), "%s", tls_cipher(rig.ours));
	cr_assert_null(strstr(tls_cipher(rig.ours), "CBC"));
	cr_assert_not_null(tls_failure(rig.ours));
	cr_assert_not(tls_has_pending(rig.ours));
	cr_assert_eq(end_read(&rig.ends[0], data, 1), -EAGAIN);
	cr_assert_eq(rig.ends[0].pool.taken_count, 0, "an idle connection holds no buffer");
	if (!kind->server)
		cr_assert_str_eq(SSL_get_servername(rig.ends[1].ssl, TLSEXT_NAMETYPE_host_name), TLS_HOST);
}

TLS_TEST(carries_any_size_both_ways)
{
	static const size_t sizes[] = {1, 2, 255, 16383, 16384, 16385, 65537, 99991, 229376, 229377, 1 << 20};

	(void)kind;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (int side = 0; side < 2; side++)
			ends_carry(&rig.ends[side], &rig.ends[!side], sizes[i], sizes[i], 65536);
	ends_carry(&rig.ends[0], &rig.ends[1], 3000, 1, 7);
	ends_carry(&rig.ends[1], &rig.ends[0], 3000, 1, 7);
	ends_carry(&rig.ends[0], &rig.ends[1], 1 << 20, 10007, 1009);
	ends_carry(&rig.ends[1], &rig.ends[0], 1 << 20, 10007, 1009);
	cr_assert_eq(rig.ends[0].pool.taken_count, 0);
}

TLS_TEST(wiping_secrets_changes_no_bytes)
{
	(void)kind;
	tls_expect_secrets(rig.ours, true);
	ends_carry(&rig.ends[1], &rig.ends[0], 100000, 20000, 333);
	tls_expect_secrets(rig.ours, false);
	ends_carry(&rig.ends[1], &rig.ends[0], 100000, 20000, 333);
	tls_trim(rig.ours);
	ends_carry(&rig.ends[1], &rig.ends[0], 100000, 20000, 333);
	tls_trim(rig.ours);
	ends_carry(&rig.ends[0], &rig.ends[1], 100000, 20000, 333);
}

/* ---- ends ---- */

TLS_TEST(close_notify_is_a_whole_end)
{
	(void)kind;
	say(&rig.ends[1], "bye");
	cr_assert_eq(end_finish(&rig.ends[1]), 0);
	expect_text(&rig.ends[0], "bye");
	cr_assert_eq(end_read(&rig.ends[0], data, 1), 0);
	cr_assert_not(tls_was_truncated(rig.ours));
	shutdown(rig.ends[1].fd, SHUT_WR);
	cr_assert_eq(end_read(&rig.ends[0], data, 1), 0, "and it stays so");
	cr_assert_not(tls_was_truncated(rig.ours), "the FIN behind a close_notify");
}

TLS_TEST(a_fin_alone_is_a_truncation)
{
	(void)kind;
	say(&rig.ends[1], "bye");
	shutdown(rig.ends[1].fd, SHUT_WR);
	expect_text(&rig.ends[0], "bye");
	cr_assert_not(tls_was_truncated(rig.ours), "not yet");
	cr_assert_eq(end_read(&rig.ends[0], data, 1), 0);
	cr_assert(tls_was_truncated(rig.ours));
	cr_assert_eq(end_read(&rig.ends[0], data, 1), 0);
	say(&rig.ends[0], "still here");
	expect_text(&rig.ends[1], "still here");
}

TLS_TEST(half_close_reading_goes_on)
{
	(void)kind;
	say(&rig.ends[0], "last words");
	cr_assert_eq(tls_end(rig.ours), 0);
	cr_assert_eq(tls_end(rig.ours), 0, "twice is once");
	expect_text(&rig.ends[1], "last words");
	cr_assert_eq(end_read(&rig.ends[1], data, 1), 0);
	cr_assert(net_is_silent(rig.ends[1].fd), "one close_notify and no FIN");
	ends_carry(&rig.ends[1], &rig.ends[0], 300000, 70000, 65536);
	cr_assert_eq(end_finish(&rig.ends[1]), 0);
	cr_assert_eq(end_read(&rig.ends[0], data, 1), 0);
	cr_assert_not(tls_was_truncated(rig.ours));
}

TLS_TEST(half_close_by_the_peer_writing_goes_on)
{
	(void)kind;
	cr_assert_eq(end_finish(&rig.ends[1]), 0);
	cr_assert_eq(end_read(&rig.ends[0], data, 1), 0);
	ends_carry(&rig.ends[0], &rig.ends[1], 300000, 70000, 65536);
	cr_assert_eq(tls_end(rig.ours), 0);
	cr_assert_eq(end_read(&rig.ends[1], data, 1), 0);
}

/* What the peer would send: TEXT a record, then close_notify. Returns the bytes, in `out`. */
static size_t capture(const char *const *texts, size_t count, bool finish, char *out, size_t cap)
{
	SSL *ssl = rig.ends[1].ssl;
	BIO *mem = BIO_new(BIO_s_mem());

	SSL_set0_wbio(ssl, mem);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(SSL_write(ssl, texts[i], (int)strlen(texts[i])), (int)strlen(texts[i]));
	if (finish)
		cr_assert_geq(SSL_shutdown(ssl), 0);
	int n = BIO_read(mem, out, (int)cap);
	cr_assert_gt(n, 0);
	return (size_t)n;
}

/* A stream that is cut anywhere: whole records count, and only the whole close_notify is an end. */
TLS_TEST_ALONE(a_cut_at_every_byte)
{
	static const char *const texts[] = {"one", "second"};
	size_t total = 0;

	for (size_t cut = 0; cut == 0 || cut <= total; cut++) {
		char records[256], got[64];
		size_t have = 0, whole = 0;
		ssize_t n;

		connect_ends(&kinds[1]);
		total = capture(texts, 2, true, records, sizeof(records));
		if (cut > 0)
			net_send(rig.ends[1].fd, records, cut);
		shutdown(rig.ends[1].fd, SHUT_WR);
		/* The FIN is an event of its own when bytes came before it. */
		for (int i = 0; i < 5; i++) {
			n = end_read(&rig.ends[0], got + have, sizeof(got) - have);
			have += n > 0 ? (size_t)n : 0;
		}
		whole += cut >= 3 + RECORD_EXTRA ? 3 : 0;
		whole += cut >= 9 + 2 * RECORD_EXTRA ? 6 : 0;
		cr_assert_eq(have, whole, "cut %zu", cut);
		cr_assert_eq(memcmp(got, "onesecond", have), 0);
		cr_assert_eq(n, 0, "cut %zu: %zd", cut, n);
		cr_assert_eq(tls_was_truncated(rig.ours), cut < total, "cut %zu of %zu", cut, total);
	}
}

/* ---- what poll does not know of ---- */

TLS_TEST_ALONE(a_whole_record_behind_is_pending)
{
	static const char *const texts[] = {"one", "second"};
	char records[256];
	size_t len;

	connect_ends(&kinds[1]);
	len = capture(texts, 2, true, records, sizeof(records));
	net_send(rig.ends[1].fd, records, len);
	expect_text(&rig.ends[0], "one");
	cr_assert(tls_has_pending(rig.ours), "a record");
	cr_assert_eq(tls_read(rig.ours, data, 2), 2);
	cr_assert(tls_has_pending(rig.ours), "its rest");
	cr_assert_eq(tls_read(rig.ours, data, sizeof(data)), 4);
	cr_assert(tls_has_pending(rig.ours), "a close_notify");
	cr_assert_eq(tls_read(rig.ours, data, 1), 0);
	cr_assert_not(tls_has_pending(rig.ours), "nothing");
}

/* In whatever way it is cut: one more read at most, then the event loop is to be asked. */
TLS_TEST_ALONE(part_of_a_record_does_not_stay_pending)
{
	static const char *const texts[] = {"one", "second"};

	for (size_t cut = 3 + RECORD_EXTRA; cut < 9 + 2 * RECORD_EXTRA; cut++) {
		char records[256];
		size_t len;

		connect_ends(&kinds[1]);
		len = capture(texts, 2, true, records, sizeof(records));
		net_send(rig.ends[1].fd, records, cut);
		expect_text(&rig.ends[0], "one");
		if (tls_has_pending(rig.ours))
			cr_assert_eq(tls_read(rig.ours, data, 1), -EAGAIN);
		cr_assert_not(tls_has_pending(rig.ours), "cut %zu", cut);
		cr_assert_eq(rig.ends[0].pool.taken_count, 0, "waiting holds no buffer");
		net_send(rig.ends[1].fd, records + cut, len - cut);
		expect_text(&rig.ends[0], "second");
		cr_assert(tls_has_pending(rig.ours));
		cr_assert_eq(end_read(&rig.ends[0], data, 1), 0);
	}
}

/* The client may speak right behind its Finished: no further event comes for it. */
TLS_TEST_ALONE(a_record_behind_the_handshake_is_pending)
{
	enum tls_step step = TLS_WANT_READ;
	char records[8192];
	BIO *mem;
	int n;

	open_ends(&kinds[1]);
	cr_assert_eq(end_shake(&rig.ends[1]), TLS_WANT_READ);
	cr_assert_eq(end_shake(&rig.ends[0]), TLS_WANT_READ);
	mem = BIO_new(BIO_s_mem());
	SSL_set0_wbio(rig.ends[1].ssl, mem);
	cr_assert_eq(SSL_do_handshake(rig.ends[1].ssl), 1);
	cr_assert_eq(SSL_write(rig.ends[1].ssl, "early", 5), 5);
	n = BIO_read(mem, records, sizeof(records));
	net_send(rig.ends[1].fd, records, (size_t)n);
	step = end_shake(&rig.ends[0]);
	cr_assert_eq(step, TLS_DONE);
	cr_assert(tls_has_pending(rig.ours));
	cr_assert_eq(tls_read(rig.ours, data, sizeof(data)), 5);
	cr_assert_eq(memcmp(data, "early", 5), 0);
}

/* ---- slow readers ---- */

TLS_TEST(a_slow_reader_blocks_and_loses_nothing)
{
	static char got[65536];
	size_t taken = 0, received = 0;
	ssize_t n;

	(void)kind;
	net_small_buffers(rig.ends[0].fd);
	for (int i = 0; i < 1000; i++) {
		net_fill(data, taken, 50000);
		n = tls_write(rig.ours, data, 50000);
		if (n < 0)
			break;
		taken += (size_t)n;
	}
	cr_assert_eq(n, -EAGAIN);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(tls_write(rig.ours, "never", 5), -EAGAIN, "it takes nothing while records wait");
	cr_assert_eq(tls_flush(rig.ours), -EAGAIN);
	cr_assert_eq(rig.ends[0].pool.taken_count, 1);
	while (received < taken) {
		n = end_read(&rig.ends[1], got, sizeof(got));
		if (n > 0) {
			cr_assert(net_is(got, received, (size_t)n));
			received += (size_t)n;
			continue;
		}
		cr_assert_eq(n, -EAGAIN);
		n = tls_flush(rig.ours);
		cr_assert(n == 0 || n == -EAGAIN);
	}
	cr_assert_eq(tls_flush(rig.ours), 0);
	cr_assert_eq(end_read(&rig.ends[1], got, 1), -EAGAIN);
	cr_assert_eq(rig.ends[0].pool.taken_count, 0);
	say(&rig.ends[0], "on");
	expect_text(&rig.ends[1], "on");
}

TLS_TEST(the_largest_write_leaves_room_for_the_end)
{
	static char got[65536];
	size_t received = 0;
	ssize_t n;

	(void)kind;
	net_small_buffers(rig.ends[0].fd);
	net_fill(data, 0, sizeof(data));
	cr_assert_eq(tls_write(rig.ours, data, sizeof(data)), (ssize_t)TLS_WRITE_MAX_BYTES);
	cr_assert_eq(tls_end(rig.ours), -EAGAIN, "queued");
	cr_assert_eq(tls_end(rig.ours), -EAGAIN);
	while ((n = end_read(&rig.ends[1], got, sizeof(got))) != 0) {
		cr_assert(n > 0 || n == -EAGAIN, "%zd", n);
		if (n > 0)
			cr_assert(net_is(got, received, (size_t)n));
		received += n > 0 ? (size_t)n : 0;
		(void)tls_end(rig.ours);
	}
	cr_assert_eq(received, TLS_WRITE_MAX_BYTES);
	cr_assert_eq(tls_end(rig.ours), 0);
	if (rig.ends[1].tls)
		cr_assert_not(tls_was_truncated(rig.ends[1].tls));
}

/* A connection that dies with records on their way both in and out. */
TLS_TEST(free_in_the_middle)
{
	(void)kind;
	net_small_buffers(rig.ends[0].fd);
	cr_assert_gt(tls_write(rig.ours, data, sizeof(data)), 0);
	(void)end_write(&rig.ends[1], data, 40000);
	cr_assert_eq(end_read(&rig.ends[0], data, 1), 1);
	cr_assert_geq(rig.ends[0].pool.taken_count, 1);
	tls_conn_free(rig.ours);
	rig.ends[0].tls = NULL;
	cr_assert_eq(rig.ends[0].pool.taken_count, 0);
	cr_assert_eq(fcntl(rig.ends[0].fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC, "the descriptor stays");
	tls_conn_free(NULL);
}

TLS_TEST(a_peer_that_is_gone)
{
	ssize_t n = 0;

	(void)kind;
	close(rig.ends[1].fd);
	rig.ends[1].fd = -1;
	for (int i = 0; i < 3 && n >= 0; i++)
		n = tls_write(rig.ours, data, 100000);
	cr_assert(n == -EPIPE || n == -ECONNRESET, "%s", strerror((int)-n));
}

/* ---- bad bytes ---- */

TLS_TEST(garbage_behind_a_record)
{
	char garbage[64] = "\x17\x03\x03";

	(void)kind;
	garbage[4] = 40;
	say(&rig.ends[1], "good");
	net_send(rig.ends[1].fd, garbage, 45);
	expect_text(&rig.ends[0], "good");
	cr_assert_eq(end_read(&rig.ends[0], data, 1), -EPROTO);
	cr_assert_str_not_empty(tls_failure(rig.ours));
	cr_assert_not(tls_was_truncated(rig.ours));
	cr_assert_lt(end_read(&rig.ends[0], data, 1), 0, "never a clean end");
	cr_assert_eq(end_read(&rig.ends[1], data, 1), -EPROTO, "an alert tells the peer");
}

TLS_TEST(no_record_at_all)
{
	(void)kind;
	net_send(rig.ends[1].fd, "GET / HTTP/1.1\r\n\r\n", 18);
	cr_assert_eq(end_read(&rig.ends[0], data, 1), -EPROTO);
	cr_assert_str_not_empty(tls_failure(rig.ours));
}

TLS_TEST_ALONE(plain_http_is_told_apart)
{
	static const char *const requests[] = {
	    "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /_ping HTTP/1.1\r\n\r\n",
	    "POST /v1.45/containers/create HTTP/1.1\r\n\r\n", "PUT /x HTTP/1.1\r\n\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		open_ends(&kinds[1]);
		net_send(rig.ends[1].fd, requests[i], strlen(requests[i]));
		cr_assert_eq(end_shake(&rig.ends[0]), TLS_PLAIN_HTTP, "%s", requests[i]);
		cr_assert(net_is_silent(rig.ends[1].fd), "the answer is the caller's");
	}
}

TLS_TEST_ALONE(garbage_instead_of_a_handshake)
{
	open_ends(&kinds[1]);
	net_send(rig.ends[1].fd, "SSH-2.0-OpenSSH_9.2\r\n", 21);
	cr_assert_eq(end_shake(&rig.ends[0]), TLS_FAILED);
	cr_assert_str_not_empty(tls_failure(rig.ours));
	open_ends(&kinds[1]);
	net_send(rig.ends[1].fd, "\x16\x03\x01", 3);
	cr_assert_eq(end_shake(&rig.ends[0]), TLS_WANT_READ);
	cr_assert_eq(rig.ends[0].pool.taken_count, 0, "a client that waits costs no buffer");
	shutdown(rig.ends[1].fd, SHUT_WR);
	cr_assert_eq(end_shake(&rig.ends[0]), TLS_FAILED);
	cr_assert_str_not_empty(tls_failure(rig.ours));
}

/* ---- renegotiation and new keys ---- */

TLS_TEST_ALONE(renegotiation_is_refused)
{
	connect_ends(&kinds[2]);
	cr_assert_eq(SSL_renegotiate(rig.ends[1].ssl), 1);
	for (int i = 0; i < 10; i++) {
		int done = SSL_do_handshake(rig.ends[1].ssl);
		cr_assert_neq(done, 1, "a second handshake came to its end");
		ssize_t n = end_read(&rig.ends[0], data, 1);
		cr_assert(n == -EAGAIN || n == -EPROTO || n == 0, "%zd", n);
	}
}

static void key_updates(struct end *peer, int type, int count)
{
	for (int i = 0; i < count; i++) {
		cr_assert_eq(SSL_key_update(peer->ssl, type), 1);
		cr_assert_eq(SSL_do_handshake(peer->ssl), 1);
	}
}

/* One call takes one record: the others get their turn between the KeyUpdates of a flood. */
static ssize_t read_all_records(void)
{
	ssize_t n;

	do
		n = end_read(&rig.ends[0], data, 1);
	while (n == -EAGAIN && tls_has_pending(rig.ours));
	return n;
}

TLS_TEST_ALONE(one_call_takes_one_key_update)
{
	connect_ends(&kinds[1]);
	key_updates(&rig.ends[1], SSL_KEY_UPDATE_NOT_REQUESTED, 3);
	cr_assert_eq(end_read(&rig.ends[0], data, 1), -EAGAIN);
	cr_assert(tls_has_pending(rig.ours));
}

TLS_TEST_ALONE(key_updates_change_nothing)
{
	static const int types[] = {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED};
	static const size_t which[] = {1, 3};

	for (size_t row = 0; row < 4; row++) {
		connect_ends(&kinds[which[row / 2]]);
		for (int round = 1; round <= 5; round++) {
			key_updates(&rig.ends[1], types[row % 2], round);
			cr_assert_eq(read_all_records(), -EAGAIN);
			cr_assert_not(tls_has_pending(rig.ours));
			cr_assert_eq(rig.ends[0].pool.taken_count, 0);
			ends_carry(&rig.ends[1], &rig.ends[0], 40000, 9999, 5000);
			ends_carry(&rig.ends[0], &rig.ends[1], 40000, 9999, 5000);
		}
	}
}

/* Each asks for an answer, and the peer reads none of them. */
TLS_TEST_ALONE(a_flood_of_key_updates_is_bounded)
{
	ssize_t n = -EAGAIN;

	connect_ends(&kinds[1]);
	net_small_buffers(rig.ends[0].fd);
	for (int i = 0; i < 2000 && n == -EAGAIN; i++) {
		key_updates(&rig.ends[1], SSL_KEY_UPDATE_REQUESTED, 16);
		n = read_all_records();
		cr_assert_leq(rig.ends[0].pool.taken_count, 2);
	}
	cr_assert_eq(n, -EPROTO, "%zd", n);
	cr_assert_str_not_empty(tls_failure(rig.ours));
}

/* ---- versions, suites, ALPN ---- */

/* A bare client with these settings against our server; the server's last step. */
static enum tls_step meet(int version, const char *suites, const unsigned char *alpn, unsigned alpn_len)
{
	enum tls_step steps[2];
	int fds[2];

	close_ends();
	net_unix_pair(fds);
	rig.ctx = bare_ctx(rig.dir, false, version);
	SSL_CTX_set_security_level(rig.ctx, 0);
	if (suites)
		cr_assert_eq(SSL_CTX_set_cipher_list(rig.ctx, suites), 1, "%s", suites);
	if (alpn)
		cr_assert_eq(SSL_CTX_set_alpn_protos(rig.ctx, alpn, alpn_len), 0);
	end_ours(&rig.ends[0], fds[0], rig.server, NULL);
	rig.ours = rig.ends[0].tls;
	end_bare(&rig.ends[1], fds[1], rig.ctx, false);
	ends_shake(rig.ends, steps);
	return steps[0];
}

TLS_TEST_ALONE(old_versions_are_refused)
{
	static const int old[] = {TLS1_VERSION, TLS1_1_VERSION};

	for (size_t i = 0; i < ARRAY_SIZE(old); i++) {
		cr_assert_eq(meet(old[i], "ALL:@SECLEVEL=0", NULL, 0), TLS_FAILED);
		cr_assert_not_null(strstr(tls_failure(rig.ours), "unsupported protocol"), "%s",
				   tls_failure(rig.ours));
	}
	cr_assert_eq(meet(TLS1_2_VERSION, "ALL:@SECLEVEL=0", NULL, 0), TLS_DONE, "the same, but newer");
}

TLS_TEST_ALONE(only_aead_suites)
{
	static const char *const rows[] = {
	    "ECDHE-ECDSA-AES128-SHA",	 "ECDHE-ECDSA-AES256-SHA",	   "ECDHE-ECDSA-AES128-SHA256",
	    "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-CAMELLIA128-SHA256",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char both[128];

		cr_assert_eq(meet(TLS1_2_VERSION, rows[i], NULL, 0), TLS_FAILED, "%s", rows[i]);
		cr_assert_not_null(strstr(tls_failure(rig.ours), "no shared cipher"), "%s",
				   tls_failure(rig.ours));
		snprintf(both, sizeof(both), "%s:ECDHE-ECDSA-CHACHA20-POLY1305", rows[i]);
		cr_assert_eq(meet(TLS1_2_VERSION, both, NULL, 0), TLS_DONE, "%s", both);
		cr_assert_str_eq(tls_cipher(rig.ours), "ECDHE-ECDSA-CHACHA20-POLY1305");
	}
}

TLS_TEST_ALONE(alpn)
{
	static const struct {
		const char *offer;
		unsigned len;
		const char *want; /* NULL: refused */
	} rows[] = {
	    {NULL, 0, ""},
	    {"\x08http/1.1", 9, "http/1.1"},
	    {"\x02h2\x08http/1.1", 12, "http/1.1"},
	    {"\x08http/1.1\x02h2", 12, "http/1.1"},
	    {"\x02h2", 3, NULL},
	    {"\x08http/1.0", 9, NULL},
	};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		size_t row = i / 2;
		const unsigned char *chosen = NULL;
		unsigned len = 0;
		enum tls_step step = meet(i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION, NULL,
					  (const unsigned char *)rows[row].offer, rows[row].len);

		if (!rows[row].want) {
			cr_assert_eq(step, TLS_FAILED, "row %zu", row);
			cr_assert_eq(ERR_GET_REASON(ERR_peek_last_error()),
				     SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, "the client is told");
			continue;
		}
		cr_assert_eq(step, TLS_DONE, "row %zu", row);
		SSL_get0_alpn_selected(rig.ends[1].ssl, &chosen, &len);
		cr_assert_eq(len, strlen(rows[row].want), "row %zu", row);
		cr_assert_eq(memcmp(chosen ? (const char *)chosen : "", rows[row].want, len), 0);
	}
}
