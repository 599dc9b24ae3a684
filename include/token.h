/* SPDX-License-Identifier: MIT */
/*
 * token.h: who is asking. Tokens are known only by their SHA-256 digests; a presented one is hashed, and the
 * digest is what is looked for. Pure (the file is read elsewhere; the time is the caller's), fuzzed.
 *
 * The token file has one token a line, fields separated by spaces, `#` starts a comment:
 *
 *     NAME sha256=<64 hex digits> role=ROLE [id=<8 hex>] [created=TIME] [expires=TIME]
 *          [from=CIDR[,CIDR...]] [previous=<64 hex> previous-until=TIME]
 *
 * (one line). TIME is 2026-11-23T19:30:00Z. `sha256` and `role` are required; a field that is not known, or
 * stands twice, is an error: a line is either understood wholly or the file is refused. Layer 1.
 */
#ifndef HEADGATE_TOKEN_H
#define HEADGATE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "compiler.h"
#include "span.h"

#define TOKEN_DIGEST_BYTES ((size_t)32)
#define TOKEN_NAME_MAX	   ((size_t)63)
#define TOKEN_SOURCES_MAX  ((size_t)8)
/* The original system's tokens have up to 4096 hex digits. */
#define TOKEN_SECRET_MAX_BYTES ((size_t)4096)
/* hg_ + 8 hex + _ + 64 hex, and the NUL. */
#define TOKEN_GENERATED_BYTES ((size_t)(3 + 8 + 1 + 64 + 1))
#define TOKEN_ID_BYTES	      ((size_t)(8 + 1))
#define TOKEN_SET_MAX	      ((size_t)16384)
/* The longest line of the token file, with its newline and a NUL. */
#define TOKEN_LINE_MAX ((size_t)1024)

struct role; /* policy.h */

struct token {
	char name[TOKEN_NAME_MAX + 1];
	char role_name[TOKEN_NAME_MAX + 1];
	char id[TOKEN_ID_BYTES]; /* the <id> of hg_<id>_<secret>, for lists; "" where it is not known */
	uint8_t digest[TOKEN_DIGEST_BYTES];
	/* After a rotation the secret before is good until then; previous_until_s is 0 when there is none. */
	uint8_t previous[TOKEN_DIGEST_BYTES];
	int64_t previous_until_s;
	int64_t created_s, expires_s; /* seconds since 1970; 0: not known, never */
	struct address_prefix sources[TOKEN_SOURCES_MAX];
	size_t sources_count;	 /* 0: from everywhere */
	const struct role *role; /* bound by snapshot_new(); borrowed */
};

/* Immutable once sealed; shared read-only by the workers. */
struct token_set {
	struct token *tokens; /* owned */
	size_t count;
	struct token_index *index; /* owned; by digest and by name */
};

/* Frees what the set owns and wipes it; the set is empty afterwards. */
void token_set_fini(struct token_set *set);

/* SHA-256 of a secret. 0, or -EIO when the crypto library fails (the caller refuses the request). */
int token_digest(struct span secret, uint8_t digest[TOKEN_DIGEST_BYTES]) MUST_USE;

/*
 * Adds a token (a copy). 0, -EEXIST (name), -ENOTUNIQ (one of its digests is known already: taking one line
 * away would not revoke that secret), -EINVAL (name, role name, times), -E2BIG (TOKEN_SET_MAX), -ENOMEM.
 */
int token_set_add(struct token_set *set, const struct token *token) MUST_USE;

/*
 * Reads the text of a token file into the (empty) set. 0, or -EINVAL with *line_number and a static
 * text in *reason (nothing of the input in it); the set is empty then.
 */
int token_set_parse(struct token_set *set, struct span text, size_t *line_number,
		    const char **reason) MUST_USE;

/* Writes the file line for a token, with a newline. Returns the length, -EINVAL or -ENOSPC. */
long token_line_write(const struct token *token, char *buf, size_t cap) MUST_USE;

/* Why a credential is not taken. To the client TOKEN_UNKNOWN and TOKEN_ELSEWHERE are the same. */
enum token_standing {
	TOKEN_GOOD,
	TOKEN_UNKNOWN,
	TOKEN_EXPIRED,	 /* the token, or a secret that was rotated out */
	TOKEN_ELSEWHERE, /* good, but not from this address */
};

/* What a client proved: a secret, or (digest all zero) a name, by a client certificate. Outlives a reload. */
struct token_credential {
	uint8_t digest[TOKEN_DIGEST_BYTES];
	char name[TOKEN_NAME_MAX + 1];
};

/*
 * The token with that secret, and how it stands at `now_s` for a client at `from` (NULL: a unix socket, which
 * is everywhere). *token is set except with TOKEN_UNKNOWN; *credential is filled with TOKEN_GOOD. The time
 * does not depend on how much of a digest is right: digests are found through a keyed hash and compared in
 * constant time. An empty secret is never known. Wipes what it computed of the secret.
 */
enum token_standing token_set_find(const struct token_set *set, struct span secret,
				   const struct address *from, int64_t now_s, const struct token **token,
				   struct token_credential *credential);

/* The token of that name, as it stands in the file; NULL when there is none. */
const struct token *token_set_name(const struct token_set *set, struct span name);

/* The same for a name that a client certificate proved. */
enum token_standing token_set_find_name(const struct token_set *set, struct span name,
					const struct address *from, int64_t now_s, const struct token **token,
					struct token_credential *credential);

/* The same for what was proved earlier: after a reload, and when time has passed. */
enum token_standing token_set_recheck(const struct token_set *set, const struct token_credential *credential,
				      const struct address *from, int64_t now_s, const struct token **token);

/* The next second at which one of the tokens, or of the secrets before, ends; INT64_MAX when none does. */
int64_t token_set_next_end(const struct token_set *set, int64_t now_s);

/*
 * The secret that a request presents: the `token` field first (the original system's way), else
 * Authorization: Bearer, else Authorization: Basic (the password). Basic is decoded into `scratch`
 * (at least TOKEN_SECRET_MAX_BYTES + 512), which the caller wipes. False when there is none or it is
 * malformed or longer than TOKEN_SECRET_MAX_BYTES; *secret is empty then.
 */
bool token_from_fields(struct span token_field, struct span authorization, char *scratch, size_t scratch_cap,
		       struct span *secret);

/* Makes a new secret, `hg_<8 hex>_<64 hex>`: 256 random bits. 0 or -EIO. The caller wipes it. */
int token_generate(char secret[TOKEN_GENERATED_BYTES]) MUST_USE;

/* Why no request could ever present this secret, or NULL. Nothing of the secret is in the text. */
const char *token_secret_problem(struct span secret);

/* Letters, digits, '.', '-', '_'; starts with a letter or digit; 1 to TOKEN_NAME_MAX. Names of roles, too. */
bool token_name_ok(struct span name);

/* "2026-11-23T19:30:00Z" to seconds since 1970 (days and months checked, leap years too), and back. */
int token_time_parse(struct span text, int64_t *seconds) MUST_USE;
void token_time_write(int64_t seconds, char text[sizeof("2026-11-23T19:30:00Z")]);

#endif
