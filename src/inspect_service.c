/* SPDX-License-Identifier: MIT */
/*
 * inspect_service.c: swarm services, which reach the same things as containers by other names.
 */
#include "inspect_impl.h"

/* Zero, or a mode that is the engine's default. */
static int check_mode(struct inspect *inspect, const char *name, json_t *value)
{
	struct span mode;
	int error;

	if (inspect_json_is_zero(value) || inspect->limits->privileged)
		return 0;
	if (!json_is_object(value))
		return inspect_unreadable(inspect, "%s is not an object", name);
	error = inspect_json_member(inspect, value, "Mode", &mode);
	/* Alone: beside it stands a profile. */
	if (error || (json_object_size(value) == 1 && inspect_json_get(value, "Mode") &&
		      (mode.len == 0 || span_eq(mode, SPAN("default")))))
		return error;
	return inspect_refuse(inspect, INSPECT_LACKS_PRIVILEGED, "Privileges.%s", name);
}

/* An object whose members are all zero is what some clients send for none. */
static int check_zero_members(struct inspect *inspect, const char *name, json_t *value)
{
	const char *key;
	json_t *member;
	bool zero = inspect_json_is_zero(value) || json_is_object(value);

	if (json_is_object(value))
		json_object_foreach(value, key, member)
		{
			zero = zero && inspect_json_is_zero(member);
		}
	if (zero || inspect->limits->privileged)
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_PRIVILEGED, "Privileges.%s", name);
}

static const struct inspect_field privileges_fields[] = {
    {"CredentialSpec", check_zero_members, "Windows only; a file of the host"},
    {"SELinuxContext", check_zero_members, "another label, or none"},
    {"Seccomp", check_mode, "unconfined, or a profile that may allow more"},
    {"AppArmor", check_mode, "disabled"},
    {"NoNewPrivileges", NULL, "only ever less"},
};
static const struct inspect_table privileges_table = INSPECT_TABLE("Privileges", privileges_fields);

static int check_privileges(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &privileges_table);
}

static const struct inspect_field container_fields[] = {
    {"Image", inspect_rule_image, "images by prefix"},
    {"Labels", NULL, "words"},
    {"Command", NULL, "the container's own"},
    {"Args", NULL, "the container's own"},
    {"Hostname", NULL, "the container's own"},
    {"Env", NULL, "the container's own"},
    {"Dir", NULL, "the container's own"},
    {"User", NULL, "a user without the host's files"},
    {"Groups", NULL, "groups without the host's files"},
    {"Privileges", check_privileges, "seccomp, AppArmor, SELinux"},
    {"Init", NULL, "the container's own"},
    {"StopSignal", NULL, "the container's own"},
    {"TTY", NULL, "the container's own"},
    {"OpenStdin", NULL, "the container's own"},
    {"ReadOnly", NULL, "less than without"},
    {"Mounts", inspect_rule_mounts, "paths of the host"},
    {"StopGracePeriod", NULL, "the container's own"},
    {"Healthcheck", NULL, "a command within the container"},
    {"Hosts", NULL, "the container's own"},
    {"DNSConfig", NULL, "the container's own"},
    {"Secrets", inspect_rule_secrets, "of the swarm; who may create services may use all but headgate's"},
    {"Configs", inspect_rule_configs, "of the swarm; who may create services may use all but headgate's"},
    {"Isolation", inspect_rule_isolation, "Windows only"},
    {"Sysctls", inspect_rule_sysctls, "only those of a namespace"},
    {"CapabilityAdd", inspect_rule_capabilities, "capabilities"},
    {"CapabilityDrop", NULL, "less than without"},
    {"Capabilities", inspect_rule_capabilities, "the exact list of an engine before 20.10"},
    {"Ulimits", NULL, "use"},
    {"OomScoreAdj", inspect_rule_oom_score, "below zero others die first"},
};
static const struct inspect_table container_table = INSPECT_TABLE("ContainerSpec", container_fields);

static int check_container(struct inspect *inspect, const char *name, json_t *value)
{
	int error = inspect_json_table(inspect, value, &container_table);

	(void)name;
	if (!error && json_is_object(value) && !inspect_json_get(value, "Image"))
		error = inspect_image(inspect, (struct span){0});
	return error;
}

/* Of the swarm's IDs, which are the ones that a service's network has. */
#define SWARM_ID_LENGTH ((size_t)25)

/* IDs are small letters and digits: what has another character is a name and nothing else. */
static bool could_be_id(struct span target)
{
	for (size_t i = 0; i < target.len; i++) {
		char c = target.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')))
			return false;
	}
	return true;
}

/*
 * The engine looks for an ID, then a name, then the beginning of an ID, among the swarm's networks and its
 * own (tried with 20.10 and 26.1: four letters of the host network's ID put a service there). Without knowing
 * the ID, every name that could be such a beginning may be the host's.
 */
static bool may_be_host_network(const struct inspect_limits *limits, struct span target)
{
	bool known = false;

	if (span_ieq(target, SPAN("host")))
		return true;
	if (!could_be_id(target))
		return false;
	for (size_t i = 0; i < limits->host_networks.count; i++) {
		struct span id = span_of(limits->host_networks.words[i]);

		if (span_starts(id, target))
			return true;
		known = known || id.len == SWARM_ID_LENGTH;
	}
	return !known;
}

static const struct inspect_field attachment_fields[] = {
    {"Target", NULL, "judged by check_network()"},
    {"Aliases", NULL, "names on the network"},
    {"DriverOpts", NULL, "settings of the container's own interface"},
};
static const struct inspect_table attachment_table = INSPECT_TABLE("Networks", attachment_fields);

static int check_network(struct inspect *inspect, const char *name, json_t *value)
{
	struct span target = {0};
	int error = inspect_json_table(inspect, value, &attachment_table);

	(void)name;
	if (!error)
		error = inspect_json_member(inspect, value, "Target", &target);
	if (error || inspect->limits->host_namespaces || !may_be_host_network(inspect->limits, target))
		return error;
	return inspect_refuse(inspect, INSPECT_LACKS_NAMESPACES,
			      "the network %s, which is or could be the host's", inspect_quote(target).text);
}

static int check_networks(struct inspect *inspect, const char *name, json_t *value)
{
	return inspect_json_objects(inspect, name, value, check_network);
}

static int check_runtime(struct inspect *inspect, const char *name, json_t *value)
{
	struct span text;
	int error = inspect_json_string(inspect, name, value, &text);

	if (error || text.len == 0 || span_eq(text, SPAN("container")))
		return error;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "a task of the kind %s", inspect_quote(text).text);
}

static const struct inspect_field task_fields[] = {
    {"ContainerSpec", check_container, "the table above"},
    {"PluginSpec", inspect_rule_none, "a plugin is root on the host"},
    {"NetworkAttachmentSpec", inspect_rule_none, "only swarm itself makes these"},
    {"Resources", NULL, "use"},
    {"RestartPolicy", NULL, "the task's own"},
    {"Placement", NULL, "which node; the limits are the same on each"},
    {"Networks", check_networks, "the host's network"},
    {"LogDriver", inspect_rule_log, "plugins, sockets and files of the host"},
    {"ForceUpdate", NULL, "a counter"},
    {"Runtime", check_runtime, "plugin"},
};
static const struct inspect_table task_table = INSPECT_TABLE("TaskTemplate", task_fields);

static int check_task(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &task_table);
}

/*
 * A port of a service's leads to it on every node, before what else listens there: docker's DNAT comes first.
 * Tokens that clients send to headgate would go to the service.
 */
static int check_published(struct inspect *inspect, const char *name, json_t *value)
{
	if (json_is_null(value))
		return 0;
	if (!json_is_integer(value))
		return inspect_unreadable(inspect, "%s is not a whole number", name);
	if (!own_is_port(inspect->limits->own, json_integer_value(value)))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "headgate's own port");
}

static const struct inspect_field port_fields[] = {
    {"Name", NULL, "a name"},
    {"Protocol", NULL, "tcp, udp, sctp"},
    {"TargetPort", NULL, "the container's own"},
    {"PublishedPort", check_published, "headgate's own"},
    {"PublishMode", NULL, "on every node or the task's"},
};
static const struct inspect_table port_table = INSPECT_TABLE("Ports", port_fields);

static int check_port(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &port_table);
}

static int check_ports(struct inspect *inspect, const char *name, json_t *value)
{
	return inspect_json_objects(inspect, name, value, check_port);
}

static const struct inspect_field endpoint_fields[] = {
    {"Mode", NULL, "vip or dnsrr"},
    {"Ports", check_ports, "ports of the host are what publishing is for, but not headgate's"},
};
static const struct inspect_table endpoint_table = INSPECT_TABLE("EndpointSpec", endpoint_fields);

static int check_endpoint(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &endpoint_table);
}

static const struct inspect_field service_fields[] = {
    /* An update has to say it, whatever the service is called in the path (tried with 26.1: a rollback, too).
     */
    {"Name", inspect_rule_new_name, "a name, and not headgate's"},
    {"Labels", NULL, "words"},
    {"TaskTemplate", check_task, "the table above"},
    {"Mode", NULL, "how many"},
    {"UpdateConfig", NULL, "how fast"},
    {"RollbackConfig", NULL, "how fast"},
    {"Networks", check_networks, "the host's network; the old place"},
    {"EndpointSpec", check_endpoint, "headgate's own port"},
    {"version", NULL, "dockerode repeats the query's; the engine ignores it"},
    {"registryAuthFrom", NULL, "dockerode repeats the query's; the engine ignores it"},
    {"rollback", NULL, "dockerode repeats the query's; the engine ignores it"},
};
static const struct inspect_table service_table = INSPECT_TABLE("the service", service_fields);

int inspect_service(struct inspect *inspect, json_t *root)
{
	return inspect_json_table(inspect, root, &service_table);
}
