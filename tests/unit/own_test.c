/* SPDX-License-Identifier: MIT */
/* own_test.c: what is headgate's own in its container, in every way to name it. */
#include "own.h"

#include <criterion/criterion.h>

#include "compiler.h"

#define NAME "manager-docker-api"
#define ID   "0123456789ab"

/* Of the container where its host name is no ID, and of the one before. */
#define WHOLE_ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BEFORE_ID "fedcba98765432100123456789abcdef0123456789abcdef0123456789abcdef"

static bool meant(const char *host_name, const char *path, const char *query)
{
	struct own own;

	own_init(&own, NAME, host_name);
	own_learn(&own, WHOLE_ID, BEFORE_ID);
	own.services.is_sure = true;
	return own_is_meant(&own, span_of(path), span_of(query));
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

/* Until the engine has said which ID the name has, nothing that could be one is let through. */
Test(own, unsure)
{
	struct own own;

	own_init(&own, NAME, "manager1");
	cr_assert(own_is_meant(&own, span_of("/containers/11ce/json"), SPAN("")));
	cr_assert(own_is_container(&own, SPAN("/0")));
	cr_assert_not(own_is_meant(&own, span_of("/containers/web/json"), SPAN("")));
	own_learn(&own, "", "");
	cr_assert_not(own_is_meant(&own, span_of("/containers/11ce/json"), SPAN("")));
	cr_assert(own_is_meant(&own, span_of("/containers/" NAME "/json"), SPAN("")));
	cr_assert_not(own_is_container(NULL, SPAN(NAME)));
	cr_assert_not(own_is_named(NULL, SPAN(NAME)));
}

/* As the engine looks for services: an ID, a name, the beginning of an ID. */
Test(own, services)
{
	static const char id[] = "ftmikd9x4dgetodzgjxcexy0v";
	static const char *const own_ones[] = {"ftmikd9x4dgetodzgjxcexy0v", "ftmi", "f", NAME "_gate"};
	static const char *const others[] = {"ftmj", "3bvr16quhqhoe8ynofinlet78", "web",
					     "ftmikd9x4dgetodzgjxcexy0v0", "create"};
	struct own own;
	char path[128];

	own_init(&own, NAME, ID);
	own_learn(&own, "", "");
	cr_assert(own_is_meant(&own, SPAN("/services/web"), SPAN("")), "nobody knows yet");
	cr_assert(own_is_meant(&own, SPAN("/v1.45/services/3bvr/logs"), SPAN("")));
	cr_assert_not(own_is_meant(&own, SPAN("/services/my-web"), SPAN("")), "no ID");
	cr_assert_not(own_is_meant(&own, SPAN("/services/create"), SPAN("")));
	cr_assert_not(own_is_meant(&own, SPAN("/services"), SPAN("")));
	own.services.is_sure = true;
	memcpy(own.services.ids[OWN_SERVICES - 1], id, sizeof(id));
	for (size_t i = 0; i < ARRAY_SIZE(own_ones); i++) {
		snprintf(path, sizeof(path), "/v1.41/services/%s/update", own_ones[i]);
		cr_expect(own_is_meant(&own, span_of(path), SPAN("?version=1")), "%s", path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		snprintf(path, sizeof(path), "/services/%s", others[i]);
		cr_expect_not(own_is_meant(&own, span_of(path), SPAN("")), "%s", path);
	}
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
