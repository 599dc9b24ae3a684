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

void welcome_print_ca(FILE *out, const struct listener *listener, const char *ca_file)
{
	char host[280];

	client_host(listener, host, sizeof(host));
	fprintf(out,
		"\nClients need a token and a copy of this file:\n\n  %s\n"
		"\ndocker CLI with the token in its configuration, or 27.1 or later with\n"
		"DOCKER_CUSTOM_HEADERS=token=TOKEN in its environment:\n\n"
		"  docker -H tcp://%s:%u --tlsverify \\\n"
		"    --tlscacert %s version\n\n",
		ca_file, host, listener->address.port, ca_file);
	(void)fflush(out);
}

void welcome_print(FILE *out, const struct listener *listener, const char *ca_file, const char *state_dir,
		   const char *token)
{
	char host[280];
	unsigned port = listener->address.port;
	/* With a certificate of the user's own we do not know where the client keeps the CA. */
	const char *ca = ca_file ? ca_file : "/path/to/ca.pem";
	const char *ca_dir = ca_file ? state_dir : "/path/to";

	fprintf(out, "\nToken, shown this once (full access to the engine):\n\n  %s\n", token);
	if (listener->address.scheme != CONFIG_TLS) {
		fprintf(
		    out,
		    "\ncurl:\n\n  curl --unix-socket %s http://docker/version \\\n    -H token:\\\n%s\n\n",
		    listener->address.path, token);
		(void)fflush(out);
		return;
	}
	client_host(listener, host, sizeof(host));
	fprintf(out,
		"\ndocker CLI, 27.1 or later:\n\n"
		"  export DOCKER_HOST=tcp://%s:%u DOCKER_TLS_VERIFY=1 \\\n"
		"    DOCKER_CERT_PATH=%s \\\n"
		"    DOCKER_CUSTOM_HEADERS=token=\\\n%s\n"
		"  docker version\n",
		host, port, ca_dir, token);
	/* A directory of its own: HttpHeaders in the usual one would go to every engine this CLI talks to. */
	fprintf(out,
		"\nAny docker CLI and compose, older ones too:\n\n"
		"  mkdir -p ~/.docker-headgate; export DOCKER_CONFIG=~/.docker-headgate\n"
		"  echo '{\"HttpHeaders\": {\"token\":\n\"%s\"\n"
		"  }}' >~/.docker-headgate/config.json\n"
		"  docker context create headgate --docker \\\n"
		"    \"host=tcp://%s:%u,ca=%s\"\n"
		"  docker --context headgate version\n",
		token, host, port, ca);
	fprintf(out, "\ncurl:\n\n  curl --cacert %s https://%s:%u/version \\\n    -H token:\\\n%s\n", ca,
		host, port, token);
	fprintf(out,
		"\nbuildx, and what else cannot send a header (FILE holds the token, mode 600):\n\n"
		"  headgate connect %s:%u --token-file FILE \\\n    --ca %s\n",
		host, port, ca);
	if (ca_file)
		fprintf(out, "\nOther users and machines need a copy of %s, nothing else.\n", ca_file);
	fputc('\n', out);
	(void)fflush(out);
}
