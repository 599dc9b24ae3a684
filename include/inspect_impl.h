/* SPDX-License-Identifier: MIT */
/*
 * inspect_impl.h: what the files inspect*.c share; of no use to others. Layer 1.
 *
 * A request is judged by tables: each row is a field of an object and the function that judges its value. A
 * field that stands in no table is refused by name, because the next engine may give it a meaning that this
 * table cannot know. Every function here returns 0, or a negative errno with the reason written.
 */
#ifndef HEADGATE_INSPECT_IMPL_H
#define HEADGATE_INSPECT_IMPL_H

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "compiler.h"
#include "inspect.h"
#include "span.h"

/* The right that is missing, in the policy's words. */
#define INSPECT_LACKS_ANY	   "body any"
#define INSPECT_LACKS_PRIVILEGED   "body privileged"
#define INSPECT_LACKS_NAMESPACES   "body host-namespaces"
#define INSPECT_LACKS_MOUNTS	   "body mounts"
#define INSPECT_LACKS_IMAGES	   "body images"
#define INSPECT_LACKS_CAPABILITIES "body capabilities"
#define INSPECT_LACKS_DEVICES	   "body devices"

struct inspect {
	const struct inspect_limits *limits; /* borrowed */
	char *reason;			     /* INSPECT_REASON_BYTES, borrowed */
};

struct inspect_field {
	const char *name;
	/* NULL: allowed whatever it says. */
	int (*check)(struct inspect *inspect, const char *name, json_t *value);
	const char *why; /* one line for whoever changes the table */
};

struct inspect_table {
	const char *what; /* for reasons: "HostConfig" */
	const struct inspect_field *fields;
	size_t count;
	const struct inspect_table *also; /* where a field is looked for that is not here; may be NULL */
};

#define INSPECT_TABLE(text, rows)                                           \
	{                                                                   \
		.what = (text), .fields = (rows), .count = ARRAY_SIZE(rows) \
	}

/* -EACCES and "asks for WHAT; its role lacks: LACKS". */
int inspect_refuse(struct inspect *inspect, const char *lacks, const char *format, ...) PRINTF_LIKE(3, 4);
/* -EBADMSG and the text. */
int inspect_unreadable(struct inspect *inspect, const char *format, ...) PRINTF_LIKE(2, 3);

/* The client's own words, cut and without anything but plain ASCII; lives as long as the expression it stands
 * in. */
struct inspect_quoted {
	char text[96];
};
struct inspect_quoted inspect_quote(struct span text);

/*
 * inspect_json.c. The value of the body: bounded in depth and number of values, no two keys alike. 0 with
 * *root, which the caller json_decref()s; -EBADMSG; -ENOMEM.
 */
int inspect_json_load(struct inspect *inspect, struct span body, json_t **root);
/* The member whose key folds to `name`, or NULL. */
json_t *inspect_json_get(json_t *object, const char *name);
/* Go's zero values: null, false, 0, "", [] and {}. */
bool inspect_json_is_zero(json_t *value);
/* A string, or null, which is an empty one. */
int inspect_json_string(struct inspect *inspect, const char *name, json_t *value, struct span *text);
/* inspect_json_string() of a member that may be missing. */
int inspect_json_member(struct inspect *inspect, json_t *object, const char *name, struct span *text);
/* Judges each string of a list (a string alone counts as a list of one, as with the engine's StrSlice). */
int inspect_json_strings(struct inspect *inspect, const char *name, json_t *value,
			 int (*check)(struct inspect *inspect, const char *name, struct span text));
/* Judges each object of a list. */
int inspect_json_objects(struct inspect *inspect, const char *name, json_t *value,
			 int (*check)(struct inspect *inspect, const char *name, json_t *value));
/* Judges an object's members by a table. null is an object without members. */
int inspect_json_table(struct inspect *inspect, json_t *value, const struct inspect_table *table);

/* inspect_rule.c. Judges of one value each, for the tables. */
int inspect_rule_none(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_privileged(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_privileged_unless_null(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_namespace(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_ipc(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_network_mode(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_capabilities(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_devices(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_security_options(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_sysctls(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_runtime(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_isolation(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_oom_score(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_storage(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_log(struct inspect *inspect, const char *name, json_t *value);

/* inspect_own.c. The name of what is made: none of headgate's. */
int inspect_rule_new_name(struct inspect *inspect, const char *name, json_t *value);
/* Secrets and configs that a service is given. */
int inspect_rule_secrets(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_configs(struct inspect *inspect, const char *name, json_t *value);

/* inspect_path.c. Paths of the host. */
int inspect_host_path(struct inspect *inspect, struct span path);
/* Not yet what the host will see: swarm makes something else of it. */
bool inspect_is_template(struct span text);
/* `path` is one of the devices, or below one. */
bool inspect_device_allowed(const struct inspect_limits *limits, struct span path);

/* inspect_mount.c */
int inspect_rule_binds(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_mounts(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_tmpfs(struct inspect *inspect, const char *name, json_t *value);
int inspect_rule_volume_driver(struct inspect *inspect, const char *name, json_t *value);
int inspect_volume(struct inspect *inspect, json_t *root);

/* inspect_image.c */
int inspect_image(struct inspect *inspect, struct span reference);
int inspect_rule_image(struct inspect *inspect, const char *name, json_t *value);

/* inspect_container.c, inspect_service.c, inspect_network.c, inspect_own.c: whole bodies. */
int inspect_container(struct inspect *inspect, json_t *root);
int inspect_container_update(struct inspect *inspect, json_t *root);
int inspect_container_start(struct inspect *inspect, json_t *root);
int inspect_exec(struct inspect *inspect, json_t *root);
int inspect_commit(struct inspect *inspect, json_t *root);
int inspect_checkpoint(struct inspect *inspect, json_t *root);
int inspect_service(struct inspect *inspect, json_t *root);
int inspect_secret(struct inspect *inspect, json_t *root);
int inspect_network(struct inspect *inspect, json_t *root);
int inspect_network_member(struct inspect *inspect, json_t *root); /* who joins or leaves */

/* inspect_query.c */
struct inspect_pair {
	struct span key, value; /* decoded */
};

struct inspect_query {
	char *decoded;		    /* owned */
	struct inspect_pair *pairs; /* owned */
	size_t count;
};

/*
 * The pairs of a query as Go's url.ParseQuery reads them. A key may stand twice only when `repeatable` (NULL:
 * none) names it. 0, and the caller calls inspect_query_fini(); -EBADMSG; -ENOMEM.
 */
int inspect_query_parse(struct inspect *inspect, struct inspect_query *query, struct span text,
			const char *const *repeatable);
void inspect_query_fini(struct inspect_query *query);

int inspect_query_build(struct inspect *inspect, struct span path, const struct inspect_query *query);
int inspect_query_image_create(struct inspect *inspect, struct span path, const struct inspect_query *query);
int inspect_query_image_load(struct inspect *inspect, struct span path, const struct inspect_query *query);
int inspect_query_image_tag(struct inspect *inspect, struct span path, const struct inspect_query *query);
int inspect_query_commit(struct inspect *inspect, struct span path, const struct inspect_query *query);
int inspect_query_start(struct inspect *inspect, struct span path, const struct inspect_query *query);
int inspect_query_checkpoint(struct inspect *inspect, struct span path, const struct inspect_query *query);

#endif
