/* SPDX-License-Identifier: MIT */
/* pki_names.c: see pki_names.h. */
#include "pki_names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "span.h"

static bool name_eq(const struct pki_name *a, const struct pki_name *b)
{
	if (a->address_len != b->address_len)
		return false;
	if (a->address_len)
		return memcmp(a->address, b->address, a->address_len) == 0;
	return strcmp(a->dns, b->dns) == 0;
}

void pki_name_text(const struct pki_name *name, char out[PKI_DNS_MAX + 1])
{
	if (name->address_len == 0)
		snprintf(out, PKI_DNS_MAX + 1, "%s", name->dns);
	else if (!inet_ntop(name->address_len == 4 ? AF_INET : AF_INET6, name->address, out,
			    (socklen_t)(PKI_DNS_MAX + 1)))
		out[0] = '\0';
}

static int name_parse(const char *text, struct pki_name *name)
{
	struct span san;
	enum config_host kind = config_host_san(span_of(text), &san);

	*name = (struct pki_name){0};
	if (kind == CONFIG_HOST_NONE)
		return -EINVAL;
	for (size_t i = 0; i < san.len; i++)
		name->dns[i] = span_lower(san.ptr[i]);
	if (kind == CONFIG_HOST_IPV4 && inet_pton(AF_INET, name->dns, name->address) == 1)
		name->address_len = 4;
	else if (kind == CONFIG_HOST_IPV6 && inet_pton(AF_INET6, name->dns, name->address) == 1)
		name->address_len = 16;
	return 0;
}

static int list_put(struct pki_names *list, const struct pki_name *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (name_eq(&list->names[i], name))
			return 0;
	if (list->count == ARRAY_SIZE(list->names))
		return -ENOSPC;
	list->names[list->count++] = *name;
	return 0;
}

int pki_names_add(struct pki_names *list, const char *text)
{
	struct pki_name name;
	int ret = name_parse(text, &name);

	return ret < 0 ? ret : list_put(list, &name);
}

/* False for what nobody can connect to by a certificate's name: fe80:: needs a scope, which SANs lack. */
static bool address_of(const struct sockaddr *addr, struct pki_name *name)
{
	*name = (struct pki_name){0};
	if (addr && addr->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, addr, sizeof(in));
		memcpy(name->address, &in.sin_addr, 4);
		name->address_len = 4;
		return true;
	}
	if (addr && addr->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, addr, sizeof(in6));
		memcpy(name->address, &in6.sin6_addr, 16);
		name->address_len = 16;
		return !IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr) && !IN6_IS_ADDR_MULTICAST(&in6.sin6_addr);
	}
	return false;
}

static int add_interfaces(struct pki_names *list)
{
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct pki_name name;

		/* A full list is no failure: what was asked for came first. */
		if (address_of(i->ifa_addr, &name) && list_put(list, &name) < 0)
			break;
	}
	freeifaddrs(all);
	return 0;
}

int pki_names_add_local(struct pki_names *list)
{
	static const char *const always[] = {"localhost", "127.0.0.1", "::1"};
	char host[PKI_HOST_MAX + 1] = {0};
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(always); i++) {
		ret = pki_names_add(list, always[i]);
		if (ret < 0)
			return ret;
	}
	snprintf(list->host, sizeof(list->host), "%s", always[0]);
	if (gethostname(host, sizeof(host) - 1) == 0 && pki_names_add(list, host) == 0) {
		char *dot = strchr(host, '.');

		snprintf(list->host, sizeof(list->host), "%s", host);
		if (dot && (host[0] < '0' || host[0] > '9')) {
			*dot = '\0';
			/* Only a convenience: what is not a name by itself is left out. */
			(void)!pki_names_add(list, host);
		}
	}
	return add_interfaces(list);
}
