/* SPDX-License-Identifier: MIT */
/* own_test.c: what is headgate's own in its container, in every way to name it. */
#include "own.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "compiler.h"

#define NAME "manager-docker-api"
#define ID   "0123456789ab"

/* Of the container where its host name is no ID, and of the one before. */
#define WHOLE_ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BEFORE_ID "fedcba98765432100123456789abcdef0123456789abcdef0123456789abcdef"

/* Of the swarm. */
#define SERVICE_ID "nftvohcrdok9hrp0i5xkrnl35"
#define SECRET_ID  "qx3nwz10pf6v0f2m8c1kztbr4"

static void learn(struct own_ids *ids)
{
	*ids = (struct own_ids){0};
	for (enum own_kind kind = 0; kind < OWN_KINDS; kind++)
		own_ids_clear(ids, kind);
	cr_assert(own_ids_add(ids, OWN_CONTAINER, SPAN(WHOLE_ID)));
	cr_assert(own_ids_add(ids, OWN_CONTAINER, SPAN(BEFORE_ID)));
	cr_assert(own_ids_add(ids, OWN_SERVICE, SPAN(SERVICE_ID)));
	cr_assert(own_ids_add(ids, OWN_SECRET, SPAN(SECRET_ID)));
}

static bool meant(const char *host_name, const char *path, const char *query)
{
	struct own_ids ids;
	struct own own;

	own_init(&own, NAME, host_name);
	learn(&ids);
	own.ids = &ids;
	enum own_verdict verdict = own_is_meant(&own, span_of(path), span_of(query));
	cr_assert_neq(verdict, OWN_PERHAPS, "%s", path);
	return verdict == OWN_IT_IS;
}

Test(own, what_is)
{
	static const char *const paths[] = {
	    "/containers/" NAME "/json",
	    "/v1.41/containers/" NAME "/json",
	    "/containers/" NAME,
	    "/containers/Manager-Docker-API/logs",
	    "/containers/" ID "/exec",
	    "/containers/" ID "cdef0123/archive",
	    "/containers/0/stop",
	    "/containers/01234567/attach/ws",
	    "/containers/" NAME "-before/json",
	    "/containers/" BEFORE_ID "/json",
	    "/containers/fedc/json",
	    "/containers/web/alias",
	    "/v1.24/containers/web/headgate",
	    "/volumes/" NAME,
	    "/v1.30/volumes/" NAME "-more",
	    "/services/" NAME "_gate",
	    "/secrets/" NAME ".key",
	    "/configs/" NAME "/update",
	    "/services/" SERVICE_ID,
	    "/v1.41/services/nftv/update",
	    "/services/" SERVICE_ID "/logs",
	    "/secrets/" SECRET_ID "/update",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		cr_assert(meant(ID, paths[i], ""), "%s", paths[i]);
	cr_assert(meant(ID, "/commit", "?container=" NAME "&repo=x"));
	cr_assert(meant(ID, "/v1.41/commit", "?repo=x&container=0123"));
	cr_assert(meant(ID, "/commit", "?container=manager%2Ddocker-api"));
	cr_assert(meant(ID, "/commit", "?c%6fntainer=web"));
	cr_assert(meant(ID, "/commit", "?container=thief/alias"));
	cr_assert(meant(ID, "/containers/create", "?name=" NAME "-before"));
	cr_assert(meant(ID, "/v1.41/containers/create", "?platform=&name=/" NAME));
	cr_assert(meant(ID, "/containers/create", "?name=manager%2Ddocker-api-before"));
	cr_assert(meant(ID, "/containers/web/rename", "?name=" NAME "-before"));
	cr_assert(meant("manager1", "/containers/" WHOLE_ID "/json", ""), "told by the engine alone");
}

/* Until the engine has said which IDs there are, nothing that could be one is let through. */
Test(own, unsure)
{
	static const char *const perhaps[] = {
	    "/containers/11ce/json",	  "/services/web", "/services/nothing1/update",
	    "/tasks/" SERVICE_ID "/logs", "/secrets/0",	   "/v1.41/configs/a",
	};
	static const char *const not [] = {
	    "/containers/web/json",	 "/containers/create", "/services/create",
	    "/services/my_web",		 "/services/Web",      "/tasks/web.1",
	    "/secrets/create",		 "/services",	       "/volumes/0123",
	    "/services/" SERVICE_ID "0", "/images/0123/json",
	};
	struct own_ids ids = {0};
	struct own own;

	own_init(&own, NAME, "manager1");
	for (int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < ARRAY_SIZE(perhaps); i++)
			cr_assert_eq(own_is_meant(&own, span_of(perhaps[i]), SPAN("")), OWN_PERHAPS, "%s",
				     perhaps[i]);
		for (size_t i = 0; i < ARRAY_SIZE(not ); i++)
			cr_assert_eq(own_is_meant(&own, span_of(not [i]), SPAN("")), OWN_NOT, "%s", not [i]);
		own.ids = &ids;
	}
	cr_assert_eq(own_is(&own, OWN_CONTAINER, SPAN("/0")), OWN_PERHAPS);
	learn(&ids);
	for (size_t i = 0; i < ARRAY_SIZE(perhaps); i++)
		cr_assert_eq(own_is_meant(&own, span_of(perhaps[i]), SPAN("")), OWN_NOT, "%s", perhaps[i]);
	cr_assert(own_is_meant(&own, span_of("/containers/" NAME "/json"), SPAN("")));
	cr_assert_not(own_is(NULL, OWN_CONTAINER, SPAN(NAME)));
	cr_assert_not(own_is_named(NULL, SPAN(NAME)));
}

/* As the engine looks for services: an ID, a name, the beginning of an ID. */
Test(own, services)
{
	static const char id[] = "ftmikd9x4dgetodzgjxcexy0v";
	static const char *const own_ones[] = {"ftmikd9x4dgetodzgjxcexy0v", "ftmi", "f", NAME "_gate",
					       "ftmikd9x4dgetodzgjxcexy0v0"};
	static const char *const others[] = {"ftmj", "3bvr16quhqhoe8ynofinlet78", "web", "create"};
	struct own_ids ids = {0};
	struct own own;
	char path[128];

	own_init(&own, NAME, ID);
	own.ids = &ids;
	own_ids_clear(&ids, OWN_CONTAINER);
	cr_assert(own_is_meant(&own, SPAN("/services/web"), SPAN("")), "nobody knows yet");
	cr_assert(own_is_meant(&own, SPAN("/v1.45/services/3bvr/logs"), SPAN("")));
	cr_assert_not(own_is_meant(&own, SPAN("/services/my-web"), SPAN("")), "no ID");
	cr_assert_not(own_is_meant(&own, SPAN("/services/create"), SPAN("")));
	cr_assert_not(own_is_meant(&own, SPAN("/services"), SPAN("")));
	own_ids_clear(&ids, OWN_SERVICE);
	cr_assert(own_ids_add(&ids, OWN_SERVICE, span_of(id)));
	for (size_t i = 0; i < ARRAY_SIZE(own_ones); i++) {
		snprintf(path, sizeof(path), "/v1.41/services/%s/update", own_ones[i]);
		cr_expect_eq(own_is_meant(&own, span_of(path), SPAN("?version=1")), OWN_IT_IS, "%s", path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		snprintf(path, sizeof(path), "/services/%s", others[i]);
		cr_expect_eq(own_is_meant(&own, span_of(path), SPAN("")), OWN_NOT, "%s", path);
	}
}

/* One kind is learnt anew, the others stay; more than there is room for is not known. */
Test(own, ids)
{
	struct own_ids ids, more = {0};
	char id[OWN_ID_BYTES];

	learn(&ids);
	cr_assert(own_ids_add(&more, OWN_SERVICE, SPAN("other")));
	cr_assert(own_ids_replace(&ids, OWN_SERVICE, &more));
	cr_assert_eq(ids.count, 4);
	struct own own = {.name = NAME, .ids = &ids};
	cr_assert_eq(own_is(&own, OWN_SERVICE, SPAN("oth")), OWN_IT_IS);
	cr_assert_eq(own_is(&own, OWN_SERVICE, SPAN(SERVICE_ID)), OWN_NOT);
	cr_assert_eq(own_is(&own, OWN_SECRET, SPAN("oth")), OWN_NOT);
	cr_assert_eq(own_is(&own, OWN_SECRET, SPAN(SECRET_ID)), OWN_IT_IS);
	more = (struct own_ids){0};
	for (size_t i = 0; i < OWN_IDS_MAX; i++) {
		snprintf(id, sizeof(id), "%025zu", i);
		cr_assert(own_ids_add(&more, OWN_SERVICE, span_of(id)));
	}
	cr_assert_not(own_ids_add(&more, OWN_SERVICE, SPAN("x")));
	cr_assert_not(own_ids_replace(&ids, OWN_SERVICE, &more), "there are other kinds, too");
	cr_assert_eq(own_is(&own, OWN_SERVICE, SPAN("zzz")), OWN_PERHAPS);
	cr_assert_eq(own_is(&own, OWN_SECRET, SPAN(SECRET_ID)), OWN_IT_IS);
	own_ids_clear(&ids, OWN_SERVICE);
	cr_assert_eq(own_is(&own, OWN_SERVICE, SPAN("zzz")), OWN_NOT);
	cr_assert_not(own_ids_add(&ids, OWN_SERVICE, SPAN("")));
	cr_assert_not(own_ids_add(&ids, OWN_SERVICE, SPAN("A")));
	cr_assert_not(own_ids_add(&ids, OWN_SERVICE, SPAN(SERVICE_ID "0")));
	cr_assert_not(own_ids_add(&ids, OWN_CONTAINER, SPAN("g")));
	cr_assert_not(own_ids_add(&ids, OWN_CONTAINER, SPAN(WHOLE_ID "0")));
}

Test(own, what_is_not)
{
	static const char *const paths[] = {
	    "/containers/json",
	    "/containers/create",
	    "/containers/web/json",
	    "/containers/web",
	    "/containers/web/checkpoints",
	    "/containers/web/checkpoints/one",
	    "/containers/web/attach/ws",
	    "/containers/" NAME "x/json",
	    "/containers/1123/json",
	    "/containers/0123456789ac/json",
	    "/volumes/other",
	    "/volumes/" NAME "x",
	    "/images/" NAME "/json",
	    "/",
	    "",
	    "/services/x",
	    "/services/" SECRET_ID,
	    "/tasks/" SERVICE_ID,
	    "/services/create",
	    "/volumes",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		cr_assert_not(meant(ID, paths[i], "?container=" NAME), "%s", paths[i]);
	cr_assert_not(meant(ID, "/commit", "?container=web&repo=x"));
	cr_assert_not(meant(ID, "/commit", "?container=web&comment=two%20words&&x=+"));
	cr_assert_not(meant(ID, "/commit", ""));
	/* A host name of one's own is no ID; and without a container there is nothing. */
	cr_assert_not(meant("manager1", "/containers/m/json", ""));
	cr_assert_not(meant("0123456789AB", "/containers/0123456789AB/json", ""));
	cr_assert_not(meant(ID, "/commit", "?container=/web"));
	cr_assert_not(meant(ID, "/containers/create", "?name=web"));
	cr_assert_not(meant(ID, "/containers/create", "?name=0123"));
	cr_assert_not(meant(ID, "/containers/web/rename", "?name=web2"));
	cr_assert_not(meant(ID, "/containers/web/json", "?name=" NAME));
	struct own own;
	own_init(&own, NULL, ID);
	cr_assert_not(own_is_meant(&own, span_of("/containers/" ID "/json"), SPAN("")));
	cr_assert_not(own_is_meant(NULL, span_of("/containers/" ID "/json"), SPAN("")));
}
