/* SPDX-License-Identifier: MIT */
/*
 * inspect_rule.c: judges of one value each, which the tables name.
 *
 * Each lists what is known to be harmless and refuses the rest, so that a word that a later engine, another
 * runtime or podman's copy of the API understands is refused, too.
 */
#include "inspect_impl.h"

static bool one_of(struct span text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_eq(text, span_of(words[i])))
			return true;
	return false;
}

#define ONE_OF(text, words) one_of((text), (words), ARRAY_SIZE(words))

int inspect_rule_none(struct inspect *inspect, const char *name, json_t *value)
{
	if (inspect_json_is_zero(value))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "%s", name);
}

int inspect_rule_privileged(struct inspect *inspect, const char *name, json_t *value)
{
	if (inspect_json_is_zero(value) || inspect->limits->privileged)
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_PRIVILEGED, "%s", name);
}

int inspect_rule_privileged_unless_null(struct inspect *inspect, const char *name, json_t *value)
{
	if (json_is_null(value) || inspect->limits->privileged)
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_PRIVILEGED, "%s", name);
}

static int check_words(struct inspect *inspect, const char *name, json_t *value, const char *const *words,
		       size_t count, bool allowed, const char *lacks)
{
	struct span text;
	int error = inspect_json_string(inspect, name, value, &text);

	if (error || allowed || text.len == 0 || one_of(text, words, count))
		return error;
	return inspect_refuse(inspect, lacks, "%s=%s", name, inspect_quote(text).text);
}

int inspect_rule_namespace(struct inspect *inspect, const char *name, json_t *value)
{
	static const char *const words[] = {"private"};

	return check_words(inspect, name, value, words, ARRAY_SIZE(words), inspect->limits->host_namespaces,
			   INSPECT_LACKS_NAMESPACES);
}

int inspect_rule_ipc(struct inspect *inspect, const char *name, json_t *value)
{
	static const char *const words[] = {"none", "private", "shareable"};

	return check_words(inspect, name, value, words, ARRAY_SIZE(words), inspect->limits->host_namespaces,
			   INSPECT_LACKS_NAMESPACES);
}

/* A network's name. What is joined with `:` is another container's, or (podman) a file that is a namespace.
 */
int inspect_rule_network_mode(struct inspect *inspect, const char *name, json_t *value)
{
	struct span text;
	int error = inspect_json_string(inspect, name, value, &text);

	if (error || inspect->limits->host_namespaces || text.len == 0)
		return error;
	if (!span_ieq(text, SPAN("host")) && !memchr(text.ptr, ':', text.len) &&
	    !memchr(text.ptr, '/', text.len))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_NAMESPACES, "%s=%s", name, inspect_quote(text).text);
}

/* Without CAP_, whatever the case (the engine takes cap_sys_admin, too). */
static struct span capability_name(struct span text)
{
	static const struct span prefix = {.ptr = "CAP_", .len = 4};

	if (text.len > prefix.len && span_ieq((struct span){.ptr = text.ptr, .len = prefix.len}, prefix))
		return span_skip(text, prefix.len);
	return text;
}

static int check_capability(struct inspect *inspect, const char *name, struct span text)
{
	/* What every container has unless it gives it away: adding it back after dropping ALL is good
	 * practice. */
	static const char *const usual[] = {
	    "CHOWN",  "DAC_OVERRIDE", "FSETID",	 "FOWNER",	     "MKNOD",	   "NET_RAW", "SETGID",
	    "SETUID", "SETFCAP",      "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL",    "AUDIT_WRITE",
	};
	const struct inspect_words *allowed = &inspect->limits->capabilities;
	struct span capability = capability_name(text);

	if (inspect->limits->privileged || text.len == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if (span_ieq(capability, span_of(usual[i])))
			return 0;
	for (size_t i = 0; i < allowed->count; i++) {
		struct span word = capability_name(span_of(allowed->words[i]));

		if (span_ieq(capability, word) || span_ieq(word, SPAN("ALL")))
			return 0;
	}
	return inspect_refuse(inspect, INSPECT_LACKS_CAPABILITIES, "%s=%s", name, inspect_quote(text).text);
}

int inspect_rule_capabilities(struct inspect *inspect, const char *name, json_t *value)
{
	return inspect_json_strings(inspect, name, value, check_capability);
}

static const struct inspect_field device_fields[] = {
    {"PathOnHost", NULL, "judged by check_device()"},
    {"PathInContainer", NULL, "the container's own"},
    {"CgroupPermissions", NULL, "how the device may be used, once it is allowed"},
};
static const struct inspect_table device_table = INSPECT_TABLE("Devices", device_fields);

static int check_device(struct inspect *inspect, const char *name, json_t *value)
{
	struct span path = {0};
	int error = inspect_json_table(inspect, value, &device_table);

	if (!error)
		error = inspect_json_member(inspect, value, "PathOnHost", &path);
	if (error || inspect->limits->privileged || inspect_device_allowed(inspect->limits, path))
		return error;
	return inspect_refuse(inspect, INSPECT_LACKS_DEVICES, "%s=%s", name, inspect_quote(path).text);
}

int inspect_rule_devices(struct inspect *inspect, const char *name, json_t *value)
{
	return inspect_json_objects(inspect, name, value, check_device);
}

/* A profile given as text may allow more than the default one; so may one that lies on the host. */
static int check_security_option(struct inspect *inspect, const char *name, struct span text)
{
	static const char *const harmless[] = {
	    "no-new-privileges", "no-new-privileges:true",  "no-new-privileges=true",  "seccomp=builtin",
	    "seccomp:builtin",	 "apparmor=docker-default", "apparmor:docker-default",
	};

	if (inspect->limits->privileged || ONE_OF(text, harmless))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_PRIVILEGED, "%s=%s", name, inspect_quote(text).text);
}

int inspect_rule_security_options(struct inspect *inspect, const char *name, json_t *value)
{
	return inspect_json_strings(inspect, name, value, check_security_option);
}

/* Those that belong to a namespace. The runtime makes a path of it: dots become slashes. */
static bool sysctl_ok(struct span key)
{
	static const char *const namespaced[] = {
	    "kernel.domainname", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",	     "kernel.sem",
	    "kernel.shmall",	 "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
	};

	for (size_t i = 0; i < key.len; i++)
		if (key.ptr[i] == '/' || (key.ptr[i] == '.' && i + 1 < key.len && key.ptr[i + 1] == '.'))
			return false;
	return ONE_OF(key, namespaced) || span_starts(key, SPAN("net.")) ||
	       span_starts(key, SPAN("fs.mqueue."));
}

int inspect_rule_sysctls(struct inspect *inspect, const char *name, json_t *value)
{
	const char *key;
	json_t *member;

	if (json_is_null(value) || inspect->limits->privileged)
		return 0;
	if (!json_is_object(value))
		return inspect_unreadable(inspect, "%s is not an object", name);
	json_object_foreach(value, key, member)
	{
		if (!sysctl_ok(span_of(key)))
			return inspect_refuse(inspect, INSPECT_LACKS_PRIVILEGED, "%s=%s", name,
					      inspect_quote(span_of(key)).text);
	}
	return 0;
}

/* Another runtime isolates as it likes; since engine 23 this may be any program of the host. */
int inspect_rule_runtime(struct inspect *inspect, const char *name, json_t *value)
{
	static const char *const words[] = {"runc", "io.containerd.runc.v2"};

	return check_words(inspect, name, value, words, ARRAY_SIZE(words), inspect->limits->privileged,
			   INSPECT_LACKS_PRIVILEGED);
}

int inspect_rule_isolation(struct inspect *inspect, const char *name, json_t *value)
{
	static const char *const words[] = {"default"};

	return check_words(inspect, name, value, words, ARRAY_SIZE(words), false, INSPECT_LACKS_ANY);
}

/* Below zero the host's own processes are killed first. */
int inspect_rule_oom_score(struct inspect *inspect, const char *name, json_t *value)
{
	if (json_is_null(value) || inspect->limits->privileged)
		return 0;
	if (!json_is_integer(value))
		return inspect_unreadable(inspect, "%s is not a whole number", name);
	if (json_integer_value(value) >= 0)
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_PRIVILEGED, "%s below zero", name);
}

int inspect_rule_storage(struct inspect *inspect, const char *name, json_t *value)
{
	const char *key;
	json_t *member;

	if (json_is_null(value) || inspect->limits->privileged)
		return 0;
	if (!json_is_object(value))
		return inspect_unreadable(inspect, "%s is not an object", name);
	json_object_foreach(value, key, member)
	{
		if (!span_ieq(span_of(key), SPAN("size")))
			return inspect_refuse(inspect, INSPECT_LACKS_PRIVILEGED, "%s=%s", name,
					      inspect_quote(span_of(key)).text);
	}
	return 0;
}

static bool names_host_path(struct span text)
{
	static const char *const prefixes[] = {"/", "unix:", "unixgram:", "unixpacket:", "file:"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		struct span prefix = span_of(prefixes[i]);

		if (text.len >= prefix.len &&
		    span_ieq((struct span){.ptr = text.ptr, .len = prefix.len}, prefix))
			return true;
	}
	return false;
}

/* No file and no unix socket of the host as an option's value; a tag may begin with a slash. */
static int check_log_options(struct inspect *inspect, const char *name, json_t *options)
{
	const char *key;
	json_t *member;

	if (!options || json_is_null(options))
		return 0;
	if (!json_is_object(options))
		return inspect_unreadable(inspect, "the options of %s are not an object", name);
	json_object_foreach(options, key, member)
	{
		struct span text;
		int error = inspect_json_string(inspect, name, member, &text);

		if (error)
			return error;
		if (!span_eq(span_of(key), SPAN("tag")) && names_host_path(text))
			return inspect_refuse(inspect, INSPECT_LACKS_ANY, "%s with the host's path %s", name,
					      inspect_quote(text).text);
	}
	return 0;
}

/* LogConfig (Type, Config) and a service's LogDriver (Name, Options). A plugin does what it likes. */
int inspect_rule_log(struct inspect *inspect, const char *name, json_t *value)
{
	static const char *const drivers[] = {
	    "json-file", "local",   "none",    "journald", "syslog",
	    "gelf",	 "fluentd", "awslogs", "gcplogs",  "splunk",
	};
	static const struct inspect_field fields[] = {
	    {"Type", NULL, "judged below"},
	    {"Name", NULL, "judged below"},
	    {"Config", NULL, "judged below"},
	    {"Options", NULL, "judged below"},
	};
	static const struct inspect_table table = INSPECT_TABLE("the log's configuration", fields);
	static const char *const kinds[] = {"Type", "Name"}, *const options[] = {"Config", "Options"};
	int error = inspect_json_table(inspect, value, &table);

	if (json_is_null(value))
		return 0;
	for (size_t i = 0; !error && i < ARRAY_SIZE(kinds); i++) {
		struct span driver;

		error = inspect_json_member(inspect, value, kinds[i], &driver);
		if (!error && driver.len && !ONE_OF(driver, drivers))
			error = inspect_refuse(inspect, INSPECT_LACKS_ANY, "the log driver %s",
					       inspect_quote(driver).text);
		if (!error)
			error = check_log_options(inspect, name, inspect_json_get(value, options[i]));
	}
	return error;
}
