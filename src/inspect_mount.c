/* SPDX-License-Identifier: MIT */
/*
 * inspect_mount.c: mounts in each of the ways that the API has: Binds, Mounts, volumes with options.
 *
 * A named volume is allowed, a path of the host only below an allowed prefix, in whatever disguise: a bind
 * mount, a volume of the local driver with `o=bind`, a service's mount without a type (which swarm takes for
 * a bind mount), a template that swarm makes one of these after the request was judged.
 */
#include <string.h>

#include "inspect_impl.h"

/* Nothing that a template of swarm's, or the engine's own reading, could make into more than one value. */
static bool value_ok(struct span value)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = span_lower(value.ptr[i]);

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')) && !(c && strchr("%:=-_.", c)))
			return false;
	}
	return true;
}

/* Options that mount(2) gets: those that change nothing about whose files they are. */
static bool mount_option_ok(struct span option)
{
	static const char *const flags[] = {
	    "",		"ro",	       "rw",	  "noexec",   "exec",	       "nosuid",
	    "suid",	"nodev",       "dev",	  "sync",     "async",	       "noatime",
	    "atime",	"relatime",    "private", "diratime", "norelatime",    "nodiratime",
	    "rprivate", "strictatime", "slave",	  "rslave",   "nostrictatime",
	};
	static const char *const values[] = {
	    "size=", "uid=", "gid=", "mode=", "nr_inodes=", "nr_blocks=", "mpol=",
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (span_eq(option, span_of(flags[i])))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (span_starts(option, span_of(values[i])))
			return value_ok(option);
	return false;
}

/* Takes the text up to `separator` off the front. */
static struct span take_until(struct span *rest, char separator)
{
	const char *found = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
	struct span part = *rest;

	if (found)
		part.len = (size_t)(found - rest->ptr);
	*rest = span_skip(*rest, found ? part.len + 1 : part.len);
	return part;
}

/* `*bind` says whether it is a bind mount; NULL: that is not allowed. */
static int check_mount_options(struct inspect *inspect, struct span options, bool *bind)
{
	while (options.len) {
		struct span option = take_until(&options, ',');

		if (bind && (span_eq(option, SPAN("bind")) || span_eq(option, SPAN("rbind"))))
			*bind = true;
		else if (!mount_option_ok(option))
			return inspect_refuse(inspect, INSPECT_LACKS_ANY, "the mount option %s",
					      inspect_quote(option).text);
	}
	return 0;
}

int inspect_rule_tmpfs(struct inspect *inspect, const char *name, json_t *value)
{
	const char *key;
	json_t *member;

	if (json_is_null(value))
		return 0;
	if (!json_is_object(value))
		return inspect_unreadable(inspect, "%s is not an object", name);
	json_object_foreach(value, key, member)
	{
		struct span options;
		int error = inspect_json_string(inspect, name, member, &options);

		if (!error)
			error = check_mount_options(inspect, options, NULL);
		if (error)
			return error;
	}
	return 0;
}

/* The engine's pattern for names of the local driver: a path is none. */
static bool volume_name_ok(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!letter && (i == 0 || (c != '_' && c != '.' && c != '-')))
			return false;
	}
	return true;
}

static int check_volume_name(struct inspect *inspect, struct span name)
{
	if (own_is_named(inspect->limits->own, name))
		return inspect_refuse(inspect, INSPECT_LACKS_ANY, "headgate's own volume");
	if (volume_name_ok(name))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_MOUNTS, "the mount of %s, which is no volume's name",
			      inspect_quote(name).text);
}

/* The third part of SOURCE:TARGET:MODE. */
static int check_bind_mode(struct inspect *inspect, struct span modes)
{
	static const char *const harmless[] = {
	    "",	       "ro",	 "rw",	  "z",	    "Z",       "cached",   "consistent", "delegated",
	    "default", "nocopy", "slave", "rslave", "private", "rprivate", "rro",
	};

	while (modes.len) {
		struct span mode = take_until(&modes, ',');
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
			known = known || span_eq(mode, span_of(harmless[i]));
		if (!known && !inspect->limits->privileged)
			return inspect_refuse(inspect, INSPECT_LACKS_PRIVILEGED, "the mount mode %s",
					      inspect_quote(mode).text);
	}
	return 0;
}

static int check_bind(struct inspect *inspect, const char *name, struct span bind)
{
	struct span rest = bind, source = take_until(&rest, ':');
	int error;

	(void)name;
	/* A target alone makes a volume without a name. */
	if (source.len == bind.len)
		return 0;
	(void)take_until(&rest, ':');
	error = check_bind_mode(inspect, rest);
	if (error)
		return error;
	if (source.len && source.ptr[0] == '/')
		return inspect_host_path(inspect, source);
	if (source.len == 0)
		return inspect_unreadable(inspect, "a bind mount has no source");
	return check_volume_name(inspect, source);
}

int inspect_rule_binds(struct inspect *inspect, const char *name, json_t *value)
{
	return inspect_json_strings(inspect, name, value, check_bind);
}

int inspect_rule_volume_driver(struct inspect *inspect, const char *name, json_t *value)
{
	struct span driver;
	int error = inspect_json_string(inspect, name, value, &driver);

	if (error || driver.len == 0 || span_eq(driver, SPAN("local")))
		return error;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "the volume driver %s", inspect_quote(driver).text);
}

/* What the local driver hands to mount(2). */
static int check_local(struct inspect *inspect, struct span type, struct span device, struct span o)
{
	bool bind = false;
	int error = check_mount_options(inspect, o, &bind);

	if (error || (type.len == 0 && device.len == 0 && o.len == 0))
		return error;
	if (bind)
		return inspect_host_path(inspect, device);
	if (span_eq(type, SPAN("tmpfs")))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "a volume that is a mount of type %s from %s",
			      inspect_quote(type).text, inspect_quote(device).text);
}

/* The driver knows these keys, in small letters, and refuses others. */
static int check_local_options(struct inspect *inspect, const char *name, json_t *options)
{
	struct span type = {0}, device = {0}, o = {0}, size;
	const char *key;
	json_t *value;

	if (json_is_null(options))
		return 0;
	if (!json_is_object(options))
		return inspect_unreadable(inspect, "%s is not an object", name);
	json_object_foreach(options, key, value)
	{
		struct span word = span_of(key);
		struct span *out = span_eq(word, SPAN("type"))	   ? &type
				   : span_eq(word, SPAN("device")) ? &device
				   : span_eq(word, SPAN("o"))	   ? &o
				   : span_eq(word, SPAN("size"))   ? &size
								   : NULL;
		int error;

		if (!out)
			return inspect_refuse(inspect, INSPECT_LACKS_ANY, "the volume option %s",
					      inspect_quote(word).text);
		error = inspect_json_string(inspect, name, value, out);
		if (!error && inspect_is_template(*out))
			error =
			    inspect_refuse(inspect, INSPECT_LACKS_ANY, "the volume option %s with a template",
					   inspect_quote(word).text);
		if (error)
			return error;
	}
	return check_local(inspect, type, device, o);
}

static const struct inspect_field driver_fields[] = {
    {"Name", inspect_rule_volume_driver, "a plugin may mount anything"},
    {"Options", check_local_options, "the local driver mounts what they say"},
};
static const struct inspect_table driver_table = INSPECT_TABLE("DriverConfig", driver_fields);

static int check_driver(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &driver_table);
}

static const struct inspect_field volume_fields[] = {
    {"NoCopy", NULL, "the volume stays empty"},
    {"Labels", NULL, "words"},
    {"Subpath", NULL, "within the volume; the engine resolves it there"},
    {"DriverConfig", check_driver, "the volume may be made with it"},
};
static const struct inspect_table volume_table = INSPECT_TABLE("VolumeOptions", volume_fields);

static int check_volume_options(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &volume_table);
}

static int check_propagation(struct inspect *inspect, const char *name, json_t *value)
{
	struct span text;
	int error = inspect_json_string(inspect, name, value, &text);

	/* Shared: what the container mounts appears on the host. Swarm takes capitals, too. */
	if (error || inspect->limits->privileged || text.len == 0 || span_ieq(text, SPAN("private")) ||
	    span_ieq(text, SPAN("rprivate")) || span_ieq(text, SPAN("slave")) ||
	    span_ieq(text, SPAN("rslave")))
		return error;
	return inspect_refuse(inspect, INSPECT_LACKS_PRIVILEGED, "%s=%s", name, inspect_quote(text).text);
}

static const struct inspect_field bind_fields[] = {
    {"Propagation", check_propagation, "shared reaches the host"},
    {"NonRecursive", NULL, "mounts less"},
    {"CreateMountpoint", NULL, "below an allowed prefix, else the source is refused"},
    {"ReadOnlyNonRecursive", NULL, "how far read-only goes"},
    {"ReadOnlyForceRecursive", NULL, "how far read-only goes"},
};
static const struct inspect_table bind_table = INSPECT_TABLE("BindOptions", bind_fields);

static int check_bind_options(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &bind_table);
}

/* Each is a list of one word, or of a word and its value. */
static int check_tmpfs_option(struct inspect *inspect, json_t *option)
{
	struct span word, value = {0};
	char text[64];
	int error;

	if (!json_is_array(option) || json_array_size(option) < 1 || json_array_size(option) > 2)
		return inspect_unreadable(inspect, "TmpfsOptions.Options holds what is no option");
	error = inspect_json_string(inspect, "an option", json_array_get(option, 0), &word);
	if (!error && json_array_size(option) == 2)
		error = inspect_json_string(inspect, "an option", json_array_get(option, 1), &value);
	if (error)
		return error;
	/* The engine joins them again, by commas. */
	snprintf(text, sizeof(text), "%.*s%s%.*s", (int)word.len, word.ptr ? word.ptr : "",
		 json_array_size(option) == 2 ? "=" : "", (int)value.len, value.ptr ? value.ptr : "");
	if (word.len + value.len + 2 > sizeof(text))
		return inspect_refuse(inspect, INSPECT_LACKS_ANY, "the mount option %s",
				      inspect_quote(word).text);
	return check_mount_options(inspect, span_of(text), NULL);
}

static int check_tmpfs_options(struct inspect *inspect, const char *name, json_t *value)
{
	json_t *option;
	size_t i;

	if (json_is_null(value))
		return 0;
	if (!json_is_array(value))
		return inspect_unreadable(inspect, "%s is not a list", name);
	json_array_foreach(value, i, option)
	{
		int error = check_tmpfs_option(inspect, option);

		if (error)
			return error;
	}
	return 0;
}

static const struct inspect_field tmpfs_fields[] = {
    {"SizeBytes", NULL, "use"},
    {"Mode", NULL, "the mount's own"},
    {"Options", check_tmpfs_options, "as those of HostConfig.Tmpfs: remount reaches what is mounted there"},
};
static const struct inspect_table tmpfs_table = INSPECT_TABLE("TmpfsOptions", tmpfs_fields);

static int check_tmpfs(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &tmpfs_table);
}

static const struct inspect_field mount_fields[] = {
    {"Type", NULL, "judged by check_mount()"},
    {"Source", NULL, "judged by check_mount()"},
    {"Target", NULL, "the container's own"},
    {"ReadOnly", NULL, "less than without"},
    {"Consistency", NULL, "macOS only"},
    {"BindOptions", check_bind_options, "propagation"},
    {"VolumeOptions", check_volume_options, "the volume's driver"},
    {"ImageOptions", NULL, "a path within the image"},
    {"TmpfsOptions", check_tmpfs, "size, mode, and options of mount(2)"},
    {"ClusterOptions", inspect_rule_none, "cluster volumes are a plugin's"},
};
static const struct inspect_table mount_table = INSPECT_TABLE("Mounts", mount_fields);

static int check_mount(struct inspect *inspect, const char *name, json_t *value)
{
	struct span type = {0}, source = {0};
	int error = inspect_json_table(inspect, value, &mount_table);

	(void)name;
	if (!error)
		error = inspect_json_member(inspect, value, "Type", &type);
	if (!error)
		error = inspect_json_member(inspect, value, "Source", &source);
	if (error)
		return error;
	/* Swarm upper-cases the type before it looks it up, and its enumeration starts with bind. */
	if (type.len == 0 || span_ieq(type, SPAN("bind")))
		return inspect_host_path(inspect, source);
	if (span_ieq(type, SPAN("volume")))
		return check_volume_name(inspect, source);
	if (span_ieq(type, SPAN("tmpfs")) && source.len == 0)
		return 0;
	if (span_ieq(type, SPAN("image")))
		return inspect_image(inspect, source);
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "a mount of type %s", inspect_quote(type).text);
}

int inspect_rule_mounts(struct inspect *inspect, const char *name, json_t *value)
{
	return inspect_json_objects(inspect, name, value, check_mount);
}

static const struct inspect_field create_fields[] = {
    {"Name", inspect_rule_new_name, "the engine judges the rest"},
    {"Driver", inspect_rule_volume_driver, "a plugin may mount anything"},
    {"DriverOpts", check_local_options, "the local driver mounts what they say"},
    {"Labels", NULL, "words"},
    {"ClusterVolumeSpec", inspect_rule_none, "a storage plugin's"},
};
static const struct inspect_table create_table = INSPECT_TABLE("the volume", create_fields);

int inspect_volume(struct inspect *inspect, json_t *root)
{
	return inspect_json_table(inspect, root, &create_table);
}
