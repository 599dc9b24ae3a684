/* SPDX-License-Identifier: MIT */
/*
 * run.h: the cases and what they have in common. A case is a function that opens clients, says what it wants
 * of the engine in the request's query, and calls run_expect(); the first thing that is not as expected is
 * the case's reason, and the case returns. The runner frees the clients and looks after headgate.
 */
#ifndef GUEST_RUN_H
#define GUEST_RUN_H

#include "certs.h"
#include "engine.h"
#include "gate.h"
#include "head.h"
#include "peer.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define KIB		  ((uint64_t)1024)
#define MIB		  ((uint64_t)1024 * 1024)
#define RUN_CLIENTS_MAX	  1024
#define DRAIN_TIMEOUT	  "1s" /* of all cases but those about it */

/* Which engine stands behind headgate; each has a headgate of its own. */
enum leg_kind {
	LEG_UNIX,
	LEG_TCP,
	LEG_TLS13,
	LEG_TLS12,
	LEG_FOREIGN_CA,
	LEG_WRONG_NAME,
	LEG_COUNT,
};

/* A TLS version with a cipher suite. */
struct suite {
	const char *name; /* in names of cases */
	int version;
	const char *version_name, *suite_name; /* as OpenSSL calls them, and headgate's log */
};

#define SUITE_COUNT	   6
#define SUITE_TLS13_AES128 0
#define SUITE_TLS12_AES128 3
extern const struct suite run_suites[SUITE_COUNT];

enum carried {
	CARRIED_ANY,
	CARRIED_USERSPACE,
	CARRIED_KERNEL,
};

struct run;

struct test {
	char name[80];
	void (*run)(struct run *run);
	enum leg_kind leg;
	unsigned suite;
	bool core;	/* of the short selection */
	uint64_t bytes; /* the rest is the case's own */
	enum framing framing;
	struct records records;
	unsigned variant;
	unsigned cpu_factor; /* as much more CPU than the driver's headgate may use; 0: as most cases */
};

struct test_list {
	struct test *tests; /* owned */
	size_t count, cap;
};

struct driver {
	const char *program, *ktls, *event, *mover;
	const char *drain_timeout; /* of each headgate that is started */
	enum carried carried;
	unsigned scale;	 /* sizes of streams that stand still are divided by this */
	double slowness; /* limits are multiplied by this */
	char dir[256];
	struct certs certs;
	SSL_CTX *client_ctx;		  /* owned */
	SSL_CTX *engine_ctx[LEG_COUNT];	  /* owned */
	struct engine engines[LEG_COUNT]; /* fd -1 until used */
	struct gate gates[LEG_COUNT];	  /* pid 0 until used */
	unsigned idle_sockets[LEG_COUNT]; /* of a headgate that serves nobody */
	int start_error[LEG_COUNT];	  /* of an earlier try; there is no second one */
	uint64_t last_id;
};

/* One number of /metrics. */
struct run_counted {
	uint64_t before; /* at the case's begin */
	bool once;	 /* the case has to add one to it */
};

struct run {
	struct driver *driver;
	const struct test *test;
	struct engine *engine;
	struct gate *gate;
	size_t log_from; /* where this case's part of the log begins */
	struct run_counted key_updates, truncations;
	uint64_t cpu_us, own_cpu_us; /* headgate's, and the driver's own: of the whole case */
	bool failed;
	char reason[700];
	struct peer *clients[RUN_CLIENTS_MAX];
	unsigned clients_count;
};

const char *run_leg_name(enum leg_kind leg);
/* Adds a copy of `test` with a name from the format. */
void test_add(struct test_list *list, struct test test, const char *name_format, ...)
    __attribute__((format(printf, 3, 4)));

/* One a file of cases. */
void cases_bulk(struct test_list *list);
void cases_message(struct test_list *list);
void cases_tunnel(struct test_list *list);
void cases_arm(struct test_list *list);
void cases_revoke(struct test_list *list);
void cases_drain(struct test_list *list);
void cases_small(struct test_list *list);
void cases_urgent(struct test_list *list);
void cases_cut(struct test_list *list);
void cases_control(struct test_list *list);
void cases_garbage(struct test_list *list);
void cases_stall(struct test_list *list);
void cases_flood(struct test_list *list);
void cases_idle(struct test_list *list);
void cases_engine(struct test_list *list);

/* Runs one; what went wrong is in run->reason. */
void run_test(struct run *run, struct driver *driver, const struct test *test);
/* Starts the engine and the headgate for `leg`, unless they run. 0 or -errno. */
int run_prepare(struct driver *driver, enum leg_kind leg);
/* Stops headgate and engine; false, with the reason, when that or what the log has is not as it must be. */
bool run_finish(struct driver *driver, enum leg_kind leg, char *reason, size_t reason_cap);

/* ---- for cases ---- */

/* A new headgate in place of the one that served other cases. False: failed. */
bool run_renew(struct run *run);
/* Returns `good`; the first false is the case's failure. */
bool run_expect(struct run *run, bool good, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* `ms` for an idle server processor, stretched for this one. */
uint64_t run_stretch_ms(const struct run *run, uint64_t ms);
uint64_t run_deadline(const struct run *run, uint64_t ms);
uint64_t run_new_id(struct run *run);
/* What "promptly" and "in the end" mean. */
#define PROMPTLY_MS 2000
#define LONG_MS	    6000

/* A client whose handshake is still to be done. */
struct peer *run_connect(struct run *run, int receive_bytes);
/* A client with the test's suite, handshake done. NULL: failed. receive_bytes: SO_RCVBUF, 0 for the default.
 */
struct peer *run_client(struct run *run, int receive_bytes);
/* Takes a client out of the runner's hands. */
void run_forget(struct run *run, const struct peer *client);
int run_port(const struct peer *client);

/* Sends a request's head as one record: "METHOD target", further fields each ended by CRLF. */
bool run_ask(struct run *run, struct peer *client, const char *request, const char *fields);
size_t run_write_head(char *out, size_t cap, const char *request, const char *fields);
/* Reads an answer's head that must have this status. */
bool run_answer(struct run *run, struct peer *client, struct head *head, int status);
/* Reads and checks the content behind a head of the engine's. until_end: and then a clean end. */
bool run_body(struct run *run, struct peer *client, const struct head *head, uint64_t seed, uint64_t bytes,
	      bool until_end);
/* Opens a tunnel whose script is in `query`. */
bool run_tunnel(struct run *run, struct peer *client, const char *query);
/* The engine got the whole body or tunnel input, byte for byte, with this ending (NONE: do not look). */
bool run_engine_got(struct run *run, uint64_t id, uint64_t bytes, enum ending ending);
/* headgate ends the connection soon; CPU is not burnt meanwhile. */
bool run_closes(struct run *run, struct peer *client, const char *after_what);
/*
 * headgate's log record of this client's last exchange: bytes as given (UINT64_MAX: do not look) and movers
 * as --ktls demands; `known_length` says that --mover decides, where the body is long.
 */
bool run_carried(struct run *run, const struct peer *client, uint64_t up_bytes, uint64_t down_bytes,
		 bool known_length);
/* Some line behind this case's begin contains `text`. */
bool run_logged(struct run *run, const char *text);
/* When all of this case is over, /metrics has to count one more of these than at its begin. */
void run_counts_key_update(struct run *run);
void run_counts_truncation(struct run *run);

/* Settings are the whole machine's: only where nobody else is on it. */
bool run_is_guest(void);
bool run_write_setting(const char *path, const char *text);

/* CPU time of headgate over a stretch of time. */
struct run_load {
	uint64_t start_us, cpu_us;
};

struct run_load run_load_begin(const struct run *run);
/* Fails when headgate used more than `percent` of the time since, and more than a few ms. */
bool run_load_end(struct run *run, struct run_load begin, unsigned percent, const char *during_what);

#endif
