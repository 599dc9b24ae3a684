/* SPDX-License-Identifier: MIT */
/*
 * inspect_network.c: networks that are made. Bridges and overlays of the engine's own are allowed; what puts
 * containers on the host's own links (macvlan, ipvlan, a bridge that is there already) counts as the host's
 * network.
 */
#include "inspect_impl.h"

#include <string.h>

#include "address.h"

static int check_driver(struct inspect *inspect, const char *name, json_t *value)
{
	static const char *const host[] = {"host", "macvlan", "ipvlan"};
	struct span text;
	int error = inspect_json_string(inspect, name, value, &text);

	if (error || text.len == 0 || span_eq(text, SPAN("bridge")) || span_eq(text, SPAN("overlay")) ||
	    span_eq(text, SPAN("null")))
		return error;
	for (size_t i = 0; i < ARRAY_SIZE(host); i++) {
		if (!span_eq(text, span_of(host[i])))
			continue;
		if (inspect->limits->host_namespaces)
			return 0;
		return inspect_refuse(inspect, INSPECT_LACKS_NAMESPACES, "a network of the kind %s", host[i]);
	}
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "the network driver %s", inspect_quote(text).text);
}

/*
 * Known harmless ones, as everywhere here. Not so: `parent`, a bridge's name, and `default_bridge`, which is
 * a name, too: docker0 got the new network's address in place of its own (tried with 26.1).
 */
static int check_options(struct inspect *inspect, const char *name, json_t *value)
{
	static const char *const harmless[] = {
	    "com.docker.network.bridge.enable_icc",
	    "com.docker.network.bridge.enable_ip_masquerade",
	    "com.docker.network.bridge.gateway_mode_ipv4",
	    "com.docker.network.bridge.gateway_mode_ipv6",
	    "com.docker.network.bridge.host_binding_ipv4",
	    "com.docker.network.bridge.inhibit_ipv4",
	    "com.docker.network.container_iface_prefix",
	    "com.docker.network.container_interface_prefix",
	    "com.docker.network.driver.mtu",
	    "com.docker.network.driver.overlay.vxlanid_list",
	    "com.docker.network.enable_ipv4",
	    "com.docker.network.enable_ipv6",
	    "com.docker.network.host_ipv4",
	    "com.docker.network.host_ipv6",
	    "com.docker.network.internal",
	    "encrypted",
	};
	const char *key;
	json_t *member;

	if (json_is_null(value) || inspect->limits->host_namespaces)
		return 0;
	if (!json_is_object(value))
		return inspect_unreadable(inspect, "%s is not an object", name);
	json_object_foreach(value, key, member)
	{
		size_t i = 0;

		while (i < ARRAY_SIZE(harmless) && !span_eq(span_of(key), span_of(harmless[i])))
			i++;
		if (i == ARRAY_SIZE(harmless))
			return inspect_refuse(inspect, INSPECT_LACKS_NAMESPACES, "the network option %s",
					      inspect_quote(span_of(key)).text);
	}
	return 0;
}

static int check_ipam_driver(struct inspect *inspect, const char *name, json_t *value)
{
	struct span text;
	int error = inspect_json_string(inspect, name, value, &text);

	if (error || text.len == 0 || span_eq(text, SPAN("default")))
		return error;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "the address driver %s", inspect_quote(text).text);
}

/*
 * Nobody's in the Internet (RFC 1918, 6598, 2544, 4193), or in documents (3849). A bridge gets a route of the
 * host's for its subnet: with 8.8.8.0/24 the host's own questions to 8.8.8.8 would go to a container. A
 * network of the host's neighbourhood can be covered in the same way; which ones these are is not known here.
 */
static bool subnet_is_private(const struct address_prefix *subnet)
{
	static const char *const private[] = {"10.0.0.0/8",    "172.16.0.0/12", "192.168.0.0/16",
					      "100.64.0.0/10", "198.18.0.0/15", "fc00::/7",
					      "2001:db8::/32"};

	for (size_t i = 0; i < ARRAY_SIZE(private); i++) {
		struct address_prefix prefix;

		if (address_prefix_parse(&prefix, span_of(private[i])) == 0 && subnet->bits >= prefix.bits &&
		    address_prefix_has(&prefix, &subnet->address))
			return true;
	}
	return false;
}

static int check_subnet(struct inspect *inspect, const char *name, json_t *value)
{
	struct address_prefix subnet;
	struct span text;
	int error = inspect_json_string(inspect, name, value, &text);

	if (error || text.len == 0 || inspect->limits->host_namespaces)
		return error;
	if (address_prefix_parse(&subnet, text) == 0 && subnet_is_private(&subnet))
		return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_NAMESPACES, "the subnet %s, which is not a private one",
			      inspect_quote(text).text);
}

static const struct inspect_field subnet_fields[] = {
    {"Subnet", check_subnet, "the host's routes"},
    {"IPRange", NULL, "within the subnet, as the engine sees to"},
    {"Gateway", NULL, "within the subnet"},
    {"AuxiliaryAddresses", NULL, "within the subnet"},
};
static const struct inspect_table subnet_table = INSPECT_TABLE("IPAM.Config", subnet_fields);

static int check_subnet_table(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &subnet_table);
}

static int check_subnets(struct inspect *inspect, const char *name, json_t *value)
{
	return inspect_json_objects(inspect, name, value, check_subnet_table);
}

static const struct inspect_field ipam_fields[] = {
    {"Driver", check_ipam_driver, "a plugin"},
    {"Config", check_subnets, "the host's routes"},
    {"Options", NULL, "of the default driver"},
};
static const struct inspect_table ipam_table = INSPECT_TABLE("IPAM", ipam_fields);

static int check_ipam(struct inspect *inspect, const char *name, json_t *value)
{
	(void)name;
	return inspect_json_table(inspect, value, &ipam_table);
}

static const struct inspect_field network_fields[] = {
    {"Name", NULL, "a name"},
    {"CheckDuplicate", NULL, "the engine ignores it"},
    {"Driver", check_driver, "host, macvlan, ipvlan, plugins"},
    {"Scope", NULL, "local or swarm"},
    {"EnableIPv4", NULL, "the network's own"},
    {"EnableIPv6", NULL, "the network's own"},
    {"IPAM", check_ipam, "plugins"},
    {"Internal", NULL, "less than without"},
    {"Attachable", NULL, "the network's own"},
    {"Ingress", NULL, "the routing mesh; the engine allows one"},
    {"ConfigOnly", NULL, "used by a network that is judged itself"},
    {"ConfigFrom", NULL, "a network that was judged itself"},
    {"Options", check_options, "a link of the host's"},
    {"Labels", NULL, "words"},
};
static const struct inspect_table network_table = INSPECT_TABLE("the network", network_fields);

int inspect_network(struct inspect *inspect, json_t *root)
{
	return inspect_json_table(inspect, root, &network_table);
}

static int check_member(struct inspect *inspect, const char *name, json_t *value)
{
	struct span text;
	int error = inspect_json_string(inspect, name, value, &text);

	if (error || !own_is(inspect->limits->own, OWN_CONTAINER, text))
		return error;
	return inspect_refuse(inspect, INSPECT_LACKS_ANY, "the networks of headgate's own container");
}

static const struct inspect_field member_fields[] = {
    {"Container", check_member, "headgate's own, which must stay reachable"},
    {"EndpointConfig", NULL, "addresses and names in that network"},
    {"Force", NULL, "how a container leaves"},
};
static const struct inspect_table member_table = INSPECT_TABLE("the network's member", member_fields);

int inspect_network_member(struct inspect *inspect, json_t *root)
{
	return inspect_json_table(inspect, root, &member_table);
}

bool inspect_network_id(struct span json, char id[INSPECT_NETWORK_ID_BYTES])
{
	static const char *const path[] = {"Id", NULL};

	if (inspect_answer_text(json, path, id, INSPECT_NETWORK_ID_BYTES) && id[0] &&
	    id[strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz")] == '\0')
		return true;
	id[0] = '\0';
	return false;
}
