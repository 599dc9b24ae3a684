/* SPDX-License-Identifier: MIT */
/*
 * inspect_container.c: the bodies of container and exec requests, field by field.
 *
 * The fields are those of API versions 1.24 to 1.56. Where NULL stands, the field reaches nothing but the
 * container itself and what it may use up.
 */
#include "inspect_impl.h"

static int check_other_containers(struct inspect *inspect, const char *name, json_t *value)
{
	if (inspect_json_is_zero(value))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "%s: another container's mounts", name);
}

/*
 * CONTAINER:ALIAS. The engine gives the new one the linked one's environment, and headgate's may hold the
 * token. Of other containers it shows no more than container-inspect does.
 */
static int check_link(struct inspect *inspect, const char *name, struct span text)
{
	const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
	struct span container = {.ptr = text.ptr, .len = colon ? (size_t)(colon - text.ptr) : text.len};

	if (!own_is(inspect->limits->own, OWN_CONTAINER, container))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "%s to headgate's own container", name);
}

static int check_links(struct inspect *inspect, const char *name, json_t *value)
{
	return inspect_json_strings(inspect, name, value, check_link);
}

static const struct inspect_field host_fields[] = {
    {"Binds", inspect_rule_binds, "paths of the host"},
    {"ContainerIDFile", NULL, "written by the client, not by the engine"},
    {"LogConfig", inspect_rule_log, "plugins, sockets and files of the host"},
    {"NetworkMode", inspect_rule_network_mode, "the host's network, or another container's"},
    {"PortBindings", NULL, "ports of the host are what publishing is for"},
    {"RestartPolicy", NULL, "the container's own"},
    {"AutoRemove", NULL, "the container's own"},
    {"VolumeDriver", inspect_rule_volume_driver, "a plugin may mount anything"},
    {"VolumesFrom", check_other_containers, "may hold what this role may not mount"},
    {"ConsoleSize", NULL, "the container's own"},
    {"Annotations", inspect_rule_privileged, "runtimes take orders from them"},
    {"CapAdd", inspect_rule_capabilities, "capabilities"},
    {"Capabilities", inspect_rule_capabilities, "19.03's exact list of them"},
    {"CapDrop", NULL, "less than without"},
    {"CgroupnsMode", inspect_rule_namespace, "host"},
    {"Dns", NULL, "the container's own"},
    {"DnsOptions", NULL, "the container's own"},
    {"DnsSearch", NULL, "the container's own"},
    {"ExtraHosts", NULL, "the container's own"},
    {"GroupAdd", NULL, "groups without the host's files"},
    {"IpcMode", inspect_rule_ipc, "host, or another container's"},
    {"Cgroup", inspect_rule_namespace, "another container's"},
    {"Links", check_links, "another container's environment, headgate's own perhaps"},
    {"OomScoreAdj", inspect_rule_oom_score, "below zero others die first"},
    {"OomKillDisable", NULL, "the container's own cgroup"},
    {"PidMode", inspect_rule_namespace, "host, or another container's"},
    {"Privileged", inspect_rule_privileged, "the host"},
    {"PublishAllPorts", NULL, "as PortBindings"},
    {"ReadonlyRootfs", NULL, "less than without"},
    {"SecurityOpt", inspect_rule_security_options, "seccomp, AppArmor, SELinux, masked paths"},
    {"StorageOpt", inspect_rule_storage, "a size; others are the storage driver's"},
    {"Tmpfs", inspect_rule_tmpfs, "memory, unless its options make a bind mount of it"},
    {"UTSMode", inspect_rule_namespace, "the host's name"},
    {"UsernsMode", inspect_rule_namespace, "switches user namespaces off"},
    {"ShmSize", NULL, "the container's own"},
    {"Sysctls", inspect_rule_sysctls, "only those of a namespace"},
    {"Runtime", inspect_rule_runtime, "may isolate as it likes"},
    {"Isolation", inspect_rule_isolation, "Windows only"},
    {"Mounts", inspect_rule_mounts, "paths of the host"},
    {"MaskedPaths", inspect_rule_privileged_unless_null, "an empty list masks nothing"},
    {"ReadonlyPaths", inspect_rule_privileged_unless_null, "an empty list makes /proc/sys writable"},
    {"Init", NULL, "the container's own"},
    {"CpuShares", NULL, "use"},
    {"Memory", NULL, "use"},
    {"NanoCpus", NULL, "use"},
    {"CgroupParent", inspect_rule_privileged, "out of the limits that the engine's cgroup has"},
    {"BlkioWeight", NULL, "use"},
    {"BlkioWeightDevice", NULL, "use"},
    {"BlkioDeviceReadBps", NULL, "use"},
    {"BlkioDeviceWriteBps", NULL, "use"},
    {"BlkioDeviceReadIOps", NULL, "use"},
    {"BlkioDeviceWriteIOps", NULL, "use"},
    {"CpuPeriod", NULL, "use"},
    {"CpuQuota", NULL, "use"},
    {"CpuRealtimePeriod", NULL, "use"},
    {"CpuRealtimeRuntime", NULL, "use"},
    {"CpusetCpus", NULL, "use"},
    {"CpusetMems", NULL, "use"},
    {"Devices", inspect_rule_devices, "devices of the host"},
    {"DeviceCgroupRules", inspect_rule_privileged, "any device, made with mknod"},
    {"DeviceRequests", inspect_rule_privileged, "a device driver gives what it likes"},
    {"KernelMemory", NULL, "use"},
    {"KernelMemoryTCP", NULL, "use"},
    {"MemoryReservation", NULL, "use"},
    {"MemorySwap", NULL, "use"},
    {"MemorySwappiness", NULL, "use"},
    {"PidsLimit", NULL, "use"},
    {"Ulimits", NULL, "use"},
    {"CpuCount", NULL, "Windows only"},
    {"CpuPercent", NULL, "Windows only"},
    {"IOMaximumIOps", NULL, "Windows only"},
    {"IOMaximumBandwidth", NULL, "Windows only"},
    {"LxcConf", inspect_rule_none, "a driver that is gone; old clients send it empty"},
};
static const struct inspect_table host_table = INSPECT_TABLE("HostConfig", host_fields);

static int check_host(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &host_table);
}

/* Its keys are names of networks. */
static int check_endpoints(struct inspect *inspect, const char *name, json_t *value)
{
	const char *key;
	json_t *member;

	if (json_is_null(value))
		return 0;
	if (!json_is_object(value))
		return inspect_unreadable(inspect, "%s is not an object", name);
	json_object_foreach(value, key, member)
	{
		if (span_ieq(span_of(key), SPAN("host")) && !inspect->limits->host_namespaces)
			return inspect_refuse(inspect, INSPECT_LACKS_NAMESPACES, "the host's network");
	}
	return 0;
}

static const struct inspect_field networking_fields[] = {
    {"EndpointsConfig", check_endpoints, "the host's network"},
};
static const struct inspect_table networking_table = INSPECT_TABLE("NetworkingConfig", networking_fields);

static int check_networking(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &networking_table);
}

static const struct inspect_field create_fields[] = {
    {"Hostname", NULL, "the container's own"},
    {"Domainname", NULL, "the container's own"},
    {"User", NULL, "a user without the host's files"},
    {"AttachStdin", NULL, "the container's own"},
    {"AttachStdout", NULL, "the container's own"},
    {"AttachStderr", NULL, "the container's own"},
    {"ExposedPorts", NULL, "the container's own"},
    {"Tty", NULL, "the container's own"},
    {"OpenStdin", NULL, "the container's own"},
    {"StdinOnce", NULL, "the container's own"},
    {"Env", NULL, "the container's own"},
    {"Cmd", NULL, "the container's own"},
    {"Healthcheck", NULL, "a command within the container"},
    {"ArgsEscaped", NULL, "Windows only"},
    {"Image", inspect_rule_image, "images by prefix"},
    {"Volumes", NULL, "volumes without a name; its keys are the container's paths"},
    {"WorkingDir", NULL, "the container's own"},
    {"Entrypoint", NULL, "the container's own"},
    {"NetworkDisabled", NULL, "less than without"},
    {"MacAddress", NULL, "the container's own"},
    {"OnBuild", NULL, "the container's own"},
    {"Labels", NULL, "words"},
    {"StopSignal", NULL, "the container's own"},
    {"StopTimeout", NULL, "the container's own"},
    {"Shell", NULL, "the container's own"},
    {"Cpuset", NULL, "old name of CpusetCpus"},
    {"HostConfig", check_host, "the table above"},
    {"NetworkingConfig", check_networking, "the host's network"},
    {"name", NULL, "dockerode and Portainer repeat the query's; the engine ignores it"},
    {"platform", NULL, "dockerode repeats the query's; the engine ignores it"},
};
/* Engines up to 24 take HostConfig's fields here, too, and use them when HostConfig itself is missing. */
static const struct inspect_table create_table = {
    .what = "the container",
    .fields = create_fields,
    .count = ARRAY_SIZE(create_fields),
    .also = &host_table,
};

int inspect_container(struct inspect *inspect, json_t *root)
{
	int error = inspect_json_table(inspect, root, &create_table);

	if (!error && inspect->limits->images.count && !inspect_json_get(root, "Image"))
		error = inspect_image(inspect, (struct span){0});
	return error;
}

static const struct inspect_field commit_fields[] = {
    {"container", NULL, "dockerode repeats the query's; the engine ignores it"},
    {"repo", NULL, "the same"},
    {"tag", NULL, "the same"},
    {"comment", NULL, "the same"},
    {"author", NULL, "the same"},
    {"pause", NULL, "the same"},
    {"changes", NULL, "the same"},
};
static const struct inspect_table commit_table = {
    .what = "the commit",
    .fields = commit_fields,
    .count = ARRAY_SIZE(commit_fields),
    .also = &create_table,
};

/* A commit's body is a container's configuration. Its Image is what the container came from: nothing is run.
 */
int inspect_commit(struct inspect *inspect, json_t *root)
{
	struct inspect_limits limits = *inspect->limits;
	struct inspect any_image = {.limits = &limits, .reason = inspect->reason};

	limits.images = (struct inspect_words){0};
	return inspect_json_table(&any_image, root, &commit_table);
}

/* Resources and RestartPolicy: their names mean the same as in HostConfig. */
int inspect_container_update(struct inspect *inspect, json_t *root)
{
	return inspect_json_table(inspect, root, &host_table);
}

/* Before API 1.24 a whole HostConfig; old engines take it still. */
int inspect_container_start(struct inspect *inspect, json_t *root)
{
	if (json_object_size(root) == 0)
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "a start with a configuration");
}

static const struct inspect_field exec_fields[] = {
    {"User", NULL, "one of the container's"},
    {"Privileged", inspect_rule_privileged, "all capabilities"},
    {"Tty", NULL, "the command's own"},
    {"ConsoleSize", NULL, "the command's own"},
    {"AttachStdin", NULL, "the command's own"},
    {"AttachStdout", NULL, "the command's own"},
    {"AttachStderr", NULL, "the command's own"},
    {"Detach", NULL, "the command's own"},
    {"DetachKeys", NULL, "the command's own"},
    {"Env", NULL, "the command's own"},
    {"WorkingDir", NULL, "the command's own"},
    {"Cmd", NULL, "the command's own"},
    {"Container", NULL, "old clients repeat the path's; the engine ignores it"},
};
static const struct inspect_table exec_table = INSPECT_TABLE("exec", exec_fields);

int inspect_exec(struct inspect *inspect, json_t *root)
{
	return inspect_json_table(inspect, root, &exec_table);
}

static const struct inspect_field checkpoint_fields[] = {
    {"CheckpointID", NULL, "a name"},
    {"CheckpointDir", inspect_rule_none, "a directory of the host"},
    {"Exit", NULL, "the container's own"},
};
static const struct inspect_table checkpoint_table = INSPECT_TABLE("the checkpoint", checkpoint_fields);

int inspect_checkpoint(struct inspect *inspect, json_t *root)
{
	return inspect_json_table(inspect, root, &checkpoint_table);
}
