/* SPDX-License-Identifier: MIT */
/*
 * inspect_own.c: what of the swarm is headgate's own, in requests and in the engine's answers.
 *
 * Theory of operation. A service is given a secret or a config by its ID and its name, and the swarm refuses
 * the two when they do not belong together (swarmkit manager/controlapi/service.go, checkSecretExistence). So
 * the name decides, whether the ID is known here or not; a reference without a name, which the swarm would
 * refuse too, is refused here. The IDs that are known are looked at all the same.
 */
#include "inspect_impl.h"

#include <string.h>

int inspect_rule_new_name(struct inspect *inspect, const char *name, json_t *value)
{
	struct span text;
	int error = inspect_json_string(inspect, name, value, &text);

	if (error || !own_is_named(inspect->limits->own, text))
		return error;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "the name %s, which is headgate's own",
			      inspect_quote(text).text);
}

/* Of a secret or config that is given to a service. */
static int check_reference(struct inspect *inspect, json_t *value, enum own_kind kind, const char *id_member,
			   const char *name_member)
{
	const struct own *own = inspect->limits->own;
	const char *what = kind == OWN_SECRET ? "secret" : "config";
	struct span id = {0}, name = {0};
	int error = inspect_json_member(inspect, value, id_member, &id);

	if (!error)
		error = inspect_json_member(inspect, value, name_member, &name);
	if (error || !own || !own->name)
		return error;
	if (name.len == 0)
		return inspect_refuse(inspect, INSPECT_LACKS_ANY, "a %s without its name", what);
	/* An ID that is not known yet is none of headgate's if the name is none: the swarm sees to that. */
	bool bears_name = own_is_named(own, name);
	if (!bears_name && own_is(own, kind, id) != OWN_IT_IS)
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "headgate's own %s %s", what,
			      inspect_quote(bears_name ? name : id).text);
}

static const struct inspect_field secret_fields[] = {
    {"File", NULL, "where in the container, and whose"},
    {"SecretID", NULL, "judged by check_reference()"},
    {"SecretName", NULL, "judged by check_reference()"},
};
static const struct inspect_table secret_table = INSPECT_TABLE("Secrets", secret_fields);

static int check_secret(struct inspect *inspect, const char *name, json_t *value)
{
	int error = inspect_json_table(inspect, value, &secret_table);

	(void)name;
	return error ? error : check_reference(inspect, value, OWN_SECRET, "SecretID", "SecretName");
}

int inspect_rule_secrets(struct inspect *inspect, const char *name, json_t *value)
{
	return inspect_json_objects(inspect, name, value, check_secret);
}

static const struct inspect_field config_fields[] = {
    {"File", NULL, "where in the container, and whose"},
    {"Runtime", NULL, "for a credential spec, which is refused itself"},
    {"ConfigID", NULL, "judged by check_reference()"},
    {"ConfigName", NULL, "judged by check_reference()"},
};
static const struct inspect_table config_table = INSPECT_TABLE("Configs", config_fields);

static int check_config(struct inspect *inspect, const char *name, json_t *value)
{
	int error = inspect_json_table(inspect, value, &config_table);

	(void)name;
	return error ? error : check_reference(inspect, value, OWN_CONFIG, "ConfigID", "ConfigName");
}

int inspect_rule_configs(struct inspect *inspect, const char *name, json_t *value)
{
	return inspect_json_objects(inspect, name, value, check_config);
}

static const struct inspect_field made_fields[] = {
    {"Name", inspect_rule_new_name, "the stack's own would be taken for one that deploy.sh made"},
    {"Labels", NULL, "words; a driver may take orders from them"},
    {"Data", NULL, "the secret"},
    {"Driver", inspect_rule_none, "a plugin gives what it likes of the secrets it keeps"},
    {"Templating", NULL, "of what the task has been given"},
};
static const struct inspect_table made_table = INSPECT_TABLE("the secret", made_fields);

int inspect_secret(struct inspect *inspect, json_t *root)
{
	return inspect_json_table(inspect, root, &made_table);
}

/* False when it has no name and should have one. A container that is being removed has none. */
static bool names_own(const struct own *own, enum own_kind kind, json_t *one, bool *is_own)
{
	json_t *names = json_object_get(one, "Names"), *name;
	size_t i;

	*is_own = kind == OWN_TASK;
	if (kind == OWN_TASK)
		return true;
	if (kind != OWN_CONTAINER) {
		const char *text = json_string_value(json_object_get(json_object_get(one, "Spec"), "Name"));
		*is_own = text && own_is_named(own, span_of(text));
		return text;
	}
	json_array_foreach(names, i, name)
	{
		const char *text = json_string_value(name);

		if (text && own_is_named(own, span_of(text + strspn(text, "/"))))
			*is_own = true;
	}
	return true;
}

bool inspect_own_ids(struct span json, const struct own *own, enum own_kind kind, struct own_ids *ids)
{
	json_t *root = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL), *one;
	bool good = json_is_array(root), is_own;
	size_t i;

	json_array_foreach(root, i, one)
	{
		const char *id = json_string_value(json_object_get(one, kind == OWN_CONTAINER ? "Id" : "ID"));

		good = good && json_is_object(one) && names_own(own, kind, one, &is_own) &&
		       (!is_own || (id && own_ids_add(ids, kind, span_of(id))));
	}
	json_decref(root);
	return good;
}
