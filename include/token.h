/* SPDX-License-Identifier: MIT */
/*
 * token.h: who is asking. Tokens are known only by their SHA-256 digests; a presented one is hashed
 * and compared with every known digest in constant time. Pure (the file is read elsewhere), fuzzed.
 *
 * The token file has one token a line, fields separated by spaces, `#` starts a comment:
 *
 *     NAME sha256=<64 hex digits> role=admin created=2026-11-23T19:30:00Z
 *
 * `sha256` and `role` are required; a field that is not known is an error: a line is either understood
 * wholly or the file is refused. Layer 1.
 */
#ifndef HEADGATE_TOKEN_H
#define HEADGATE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "compiler.h"
#include "span.h"

#define TOKEN_DIGEST_BYTES ((size_t)32)
#define TOKEN_NAME_MAX	   ((size_t)63)
/* The original system's tokens have up to 4096 hex digits. */
#define TOKEN_SECRET_MAX_BYTES ((size_t)4096)
/* hg_ + 8 hex + _ + 64 hex, and the NUL. */
#define TOKEN_GENERATED_BYTES ((size_t)(3 + 8 + 1 + 64 + 1))
#define TOKEN_SET_MAX	      ((size_t)4096)

enum token_role { TOKEN_ROLE_ADMIN };

struct token {
	char name[TOKEN_NAME_MAX + 1];
	uint8_t digest[TOKEN_DIGEST_BYTES];
	enum token_role role;
};

/* Immutable once built; shared read-only by the workers. */
struct token_set {
	struct token *tokens; /* owned */
	size_t count;
};

/* Frees what the set owns and wipes it; the set is empty afterwards. */
void token_set_fini(struct token_set *set);

/* SHA-256 of a secret. 0, or -EIO when the crypto library fails (the caller refuses the request). */
int token_digest(struct span secret, uint8_t digest[TOKEN_DIGEST_BYTES]) MUST_USE;

/* Adds a token. 0, -EEXIST (name), -EINVAL (name or role), -E2BIG (TOKEN_SET_MAX), -ENOMEM. */
int token_set_add(struct token_set *set, const char *name, const uint8_t digest[TOKEN_DIGEST_BYTES],
		  enum token_role role) MUST_USE;

/*
 * Reads the text of a token file into the (empty) set. 0, or -EINVAL with *line_number and a static
 * text in *reason (nothing of the input in it); the set is empty then.
 */
int token_set_parse(struct token_set *set, struct span text, size_t *line_number,
		    const char **reason) MUST_USE;

/* Writes the file line for a token, with a newline. Returns the length or -ENOSPC. */
long token_line_write(const struct token *token, const char *created, char *buf, size_t cap) MUST_USE;

/*
 * Finds the token with that secret. Looks at every entry whatever it finds, so the time depends on
 * the size of the set and the length of what the client sent only. NULL when there is none; an empty
 * secret never matches.
 */
const struct token *token_set_find(const struct token_set *set, struct span secret);

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

/* Letters, digits, '.', '-', '_'; starts with a letter or digit; 1 to TOKEN_NAME_MAX. */
bool token_name_ok(struct span name);

#endif
