/* SPDX-License-Identifier: MIT */
/* token_recheck_test.c: what a client proved, and how it stands after a reload. */
#include <criterion/criterion.h>
#include <string.h>

#include "token_support.h"

TestSuite(token_recheck, .timeout = 300);

static struct token one_token(void)
{
	struct token token = {.name = "name-1", .role_name = "read"};

	cr_assert_eq(token_digest(SPAN("secret-1"), token.digest), 0);
	return token;
}

static struct token_credential proved(const char *secret, const char *name)
{
	struct token_set set = {0};
	struct token_credential credential;
	const struct token *token;
	struct token one = {.name = "ci", .role_name = "read"};

	cr_assert_eq(token_digest(span_of(secret), one.digest), 0);
	cr_assert_eq(token_set_add(&set, &one), 0);
	if (name)
		cr_assert_eq(token_set_find_name(&set, span_of(name), NULL, NOW, &token, &credential),
			     TOKEN_GOOD);
	else
		cr_assert_eq(token_set_find(&set, span_of(secret), NULL, NOW, &token, &credential),
			     TOKEN_GOOD);
	token_set_fini(&set);
	return credential;
}

/* How the two credentials stand in a set of this one token. */
static void reloaded(const struct token *token, const struct address *from, enum token_standing by_secret,
		     enum token_standing by_name, const char *what)
{
	const struct token_credential secret = proved("old", NULL), name = proved("old", "ci");
	struct token_set set = {0};
	const struct token *found;

	cr_assert_eq(token_set_add(&set, token), 0);
	cr_assert_eq(token_set_recheck(&set, &secret, from, NOW, &found), by_secret, "%s", what);
	cr_assert_eq(found, by_secret == TOKEN_UNKNOWN ? NULL : set.tokens, "%s", what);
	cr_assert_eq(token_set_recheck(&set, &name, from, NOW, &found), by_name, "%s", what);
	cr_assert_eq(found, by_name == TOKEN_UNKNOWN ? NULL : set.tokens, "%s", what);
	token_set_fini(&set);
}

Test(token_recheck, recheck_after_a_reload)
{
	struct token token = {.name = "ci", .role_name = "read"}, old;
	struct address here, there;

	cr_assert_eq(address_parse(&here, SPAN("192.0.2.1")), 0);
	cr_assert_eq(address_parse(&there, SPAN("198.51.100.1")), 0);
	cr_assert_eq(token_digest(SPAN("old"), token.digest), 0);
	old = token;
	reloaded(&token, &here, TOKEN_GOOD, TOKEN_GOOD, "as it was");
	strcpy(token.name, "other");
	reloaded(&token, &here, TOKEN_GOOD, TOKEN_UNKNOWN, "renamed");
	token = old;
	token.digest[31] ^= 1;
	reloaded(&token, &here, TOKEN_UNKNOWN, TOKEN_GOOD, "rotated, no overlap");
	memcpy(token.previous, old.digest, sizeof(token.previous));
	token.previous_until_s = NOW + 1;
	reloaded(&token, &here, TOKEN_GOOD, TOKEN_GOOD, "rotated, overlap");
	token.previous_until_s = NOW;
	reloaded(&token, &here, TOKEN_EXPIRED, TOKEN_GOOD, "rotated, the overlap is over");
	token.previous_until_s = NOW + 9;
	token.expires_s = NOW;
	reloaded(&token, &here, TOKEN_EXPIRED, TOKEN_EXPIRED, "expired before the overlap is over");
	token = old;
	cr_assert_eq(address_prefix_parse(&token.sources[0], SPAN("192.0.2.0/24")), 0);
	token.sources_count = 1;
	reloaded(&token, &here, TOKEN_GOOD, TOKEN_GOOD, "from here");
	reloaded(&token, &there, TOKEN_ELSEWHERE, TOKEN_ELSEWHERE, "from elsewhere");
}

/* A credential that nobody has proved opens nothing. */
Test(token_recheck, an_empty_credential_is_unknown)
{
	const struct token_credential none = {0};
	struct token_set set = {0};
	const struct token *found = (const struct token *)&set;
	struct token token = one_token();

	cr_assert_eq(token_set_recheck(&set, &none, NULL, NOW, &found), TOKEN_UNKNOWN);
	cr_assert_null(found);
	cr_assert_eq(token_set_add(&set, &token), 0);
	cr_assert_eq(token_set_recheck(&set, &none, NULL, NOW, &found), TOKEN_UNKNOWN);
	token_set_fini(&set);
}

/* Who is refused leaves no credential behind, and it is known who it would have been. */
Test(token_recheck, only_a_good_one_fills_the_credential)
{
	struct token_credential credential, blank;
	struct token_set set = {0};
	struct token token = one_token();
	const struct token *found;

	memset(&credential, 'x', sizeof(credential));
	blank = credential;
	token.expires_s = NOW;
	cr_assert_eq(token_set_add(&set, &token), 0);
	cr_assert_eq(token_set_find(&set, SPAN("secret-1"), NULL, NOW, &found, &credential), TOKEN_EXPIRED);
	cr_assert_eq(found, set.tokens);
	cr_assert_eq(token_set_find_name(&set, SPAN("name-1"), NULL, NOW, &found, &credential),
		     TOKEN_EXPIRED);
	cr_assert_eq(found, set.tokens);
	cr_assert_eq(token_set_find(&set, SPAN("secret-2"), NULL, NOW, &found, &credential), TOKEN_UNKNOWN);
	cr_assert_null(found);
	cr_assert_eq(memcmp(&credential, &blank, sizeof(blank)), 0);
	cr_assert_eq(token_set_find(&set, SPAN("secret-1"), NULL, NOW - 1, &found, &credential), TOKEN_GOOD);
	cr_assert_eq(memcmp(credential.digest, token.digest, sizeof(token.digest)), 0);
	cr_assert_str_empty(credential.name);
	token_set_fini(&set);
}
