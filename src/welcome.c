/* SPDX-License-Identifier: MIT */
#include "welcome.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

/* An address that clients can use: the one listened on, or for every address this host's first one. */
static void client_host(const struct listener *listener, char *host, size_t host_cap)
{
	const char *given = listener->address.host;
	struct ifaddrs *all = NULL;

	if (given[0]) {
		snprintf(host, host_cap, strchr(given, ':') ? "[%s]" : "%s", given);
		return;
	}
	strlcpy(host, "127.0.0.1", host_cap);
	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *one = all; one; one = one->ifa_next) {
		if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET || (one->ifa_flags & IFF_LOOPBACK))
			continue;
		const struct sockaddr_in *in = (const struct sockaddr_in *)(void *)one->ifa_addr;
		(void)inet_ntop(AF_INET, &in->sin_addr, host, (socklen_t)host_cap);
		break;
	}
	freeifaddrs(all);
}

void welcome_print(FILE *out, const struct listener *listener, const char *ca_file, const char *state_dir,
		   const char *token)
{
	char host[280];
	unsigned port = listener->address.port;
	const char *shown = token ? token : "$DOCKER_API_TOKEN";

	client_host(listener, host, sizeof(host));
	if (token)
		fprintf(out, "\nToken, shown this once (full access to the engine):\n\n  %s\n", token);
	fprintf(out,
		"\ndocker CLI (27.1 or later), compose:\n\n"
		"  export DOCKER_HOST=tcp://%s:%u DOCKER_TLS_VERIFY=1 \\\n"
		"    DOCKER_CERT_PATH=%s \\\n"
		"    DOCKER_CUSTOM_HEADERS=token=%s\n"
		"  docker version\n",
		host, port, state_dir, shown);
	fprintf(out,
		"\nAny docker CLI, with a context: add to ~/.docker/config.json\n"
		"  \"HttpHeaders\": {\"token\": \"%s\"}\nand then\n\n"
		"  docker context create headgate --docker \\\n"
		"    \"host=tcp://%s:%u,ca=%s\"\n"
		"  docker --context headgate version\n",
		shown, host, port, ca_file);
	fprintf(out, "\ncurl:\n\n  curl --cacert %s \\\n    -H \"token: %s\" \\\n    https://%s:%u/version\n",
		ca_file, shown, host, port);
	fprintf(out, "\nOther machines need a copy of %s, nothing else.\n\n", ca_file);
	(void)fflush(out);
}
