/* SPDX-License-Identifier: MIT */
/*
 * inspect_stats.c: of the engine's answers to GET /containers/json and /containers/ID/stats what the
 * console's /metrics is made of (moby api/types/container/stats.go). A number that is not there counts as 0.
 */
#include <string.h>

#include "inspect_impl.h"

/* What stands in names, IDs and times, and needs no escape in JSON. */
static bool copy_plain(char *out, size_t cap, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:+-";

	out[0] = '\0';
	return text && text[strspn(text, plain)] == '\0' && strlcpy(out, text, cap) < cap;
}

static json_t *parse(struct span json)
{
	return json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL);
}

static bool listed_read(json_t *one, struct inspect_listed *listed)
{
	const char *name = json_string_value(json_array_get(json_object_get(one, "Names"), 0));

	while (name && *name == '/')
		name++;
	return copy_plain(listed->id, sizeof(listed->id), json_string_value(json_object_get(one, "Id"))) &&
	       copy_plain(listed->name, sizeof(listed->name), name) && listed->id[0] && listed->name[0];
}

bool inspect_list_read(struct span json, struct inspect_listed *listed, size_t cap, size_t *count)
{
	json_t *root = parse(json), *one;
	bool is_list = json_is_array(root);
	size_t i;

	*count = 0;
	json_array_foreach(root, i, one)
	{
		if (*count == cap)
			break;
		if (listed_read(one, &listed[*count]))
			(*count)++;
	}
	json_decref(root);
	return is_list;
}

static uint64_t number(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);
	json_int_t whole = json_integer_value(value);

	if (json_is_real(value)) /* beyond 2^63: a limit that is none */
		return json_real_value(value) > 0 ? INT64_MAX : 0;
	return whole > 0 ? (uint64_t)whole : 0;
}

/* Bytes by device and operation; cgroup v1 says "Read", v2 "read". */
static void add_block(json_t *list, struct inspect_sample *sample)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *operation = json_string_value(json_object_get(one, "op"));

		if (operation && (*operation == 'r' || *operation == 'R'))
			sample->block_read += number(one, "value");
		else if (operation && (*operation == 'w' || *operation == 'W'))
			sample->block_written += number(one, "value");
	}
}

bool inspect_sample_read(struct span json, struct inspect_sample *sample)
{
	json_t *root = parse(json), *cpu = json_object_get(root, "cpu_stats"),
	       *before = json_object_get(root, "precpu_stats"),
	       *memory = json_object_get(root, "memory_stats"), *network;
	const char *name;

	*sample = (struct inspect_sample){
	    .cpu = number(json_object_get(cpu, "cpu_usage"), "total_usage"),
	    .system = number(cpu, "system_cpu_usage"),
	    .cpu_before = number(json_object_get(before, "cpu_usage"), "total_usage"),
	    .system_before = number(before, "system_cpu_usage"),
	    .online_cpus = number(cpu, "online_cpus"),
	    .memory = number(memory, "usage"),
	    .memory_limit = number(memory, "limit"),
	};
	if (sample->online_cpus == 0)
		sample->online_cpus =
		    json_array_size(json_object_get(json_object_get(cpu, "cpu_usage"), "percpu_usage"));
	add_block(json_object_get(json_object_get(root, "blkio_stats"), "io_service_bytes_recursive"),
		  sample);
	json_object_foreach(json_object_get(root, "networks"), name, network)
	{
		sample->net_received += number(network, "rx_bytes");
		sample->net_sent += number(network, "tx_bytes");
	}
	bool good = cpu && copy_plain(sample->read_at, sizeof(sample->read_at),
				      json_string_value(json_object_get(root, "read")));
	json_decref(root);
	return good;
}
