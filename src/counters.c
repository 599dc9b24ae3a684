/* SPDX-License-Identifier: MIT */
#include "counters.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void counters_sum(uint64_t sums[COUNTER_COUNT], const struct counters *counters)
{
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		sums[i] += atomic_load_explicit(&counters->values[i], memory_order_relaxed);
}

/* Rows of one metric stand together; HELP and TYPE are printed before the first. */
static const struct metric {
	enum counter counter;
	const char *name, *labels, *help;
} metrics[] = {
    {COUNTER_OPENED, "connections_total", "", "Connections of clients."},
    {COUNTER_HANDSHAKES_FAILED, "tls_handshakes_failed_total", "", "TLS handshakes of clients that failed."},
    {COUNTER_KERNEL_SENDS, "kernel_tls_connections_total", "{direction=\"send\"}",
     "Connections of clients that the kernel carries."},
    {COUNTER_KERNEL_RECEIVES, "kernel_tls_connections_total", "{direction=\"receive\"}", ""},
    {COUNTER_ANSWERED, "requests_total", "{result=\"answered\"}", "Requests, by what became of them."},
    {COUNTER_UNAUTHORIZED, "requests_total", "{result=\"unauthorized\"}", ""},
    {COUNTER_REFUSED, "requests_total", "{result=\"refused\"}", ""},
    {COUNTER_ENGINE_TROUBLE, "requests_total", "{result=\"engine_trouble\"}", ""},
    {COUNTER_BROKEN, "requests_total", "{result=\"broken\"}", ""},
    {COUNTER_TUNNELS, "tunnels_total", "", "Requests that became a tunnel: attach, exec, BuildKit."},
    {COUNTER_CLIENT_TRUNCATED, "truncated_total", "{side=\"client\"}",
     "Ends without TLS's close_notify in the middle of a request or tunnel."},
    {COUNTER_ENGINE_TRUNCATED, "truncated_total", "{side=\"engine\"}", ""},
    {COUNTER_KEY_UPDATES, "key_updates_total", "",
     "Connections that ended because the kernel cannot follow a KeyUpdate."},
    {COUNTER_UP_BYTES, "body_bytes_total", "{direction=\"up\"}",
     "Bytes of bodies and tunnels, added when they end."},
    {COUNTER_DOWN_BYTES, "body_bytes_total", "{direction=\"down\"}", ""},
};

long counters_write(const uint64_t sums[COUNTER_COUNT], char *text, size_t cap)
{
	uint64_t opened = sums[COUNTER_OPENED], closed = sums[COUNTER_CLOSED];
	/* The two are not read at the same moment: one may have been opened and closed between. */
	uint64_t open = opened > closed ? opened - closed : 0;
	size_t used = 0;
	int n = snprintf(text, cap,
			 "# HELP headgate_connections_open Connections of clients that are open now.\n"
			 "# TYPE headgate_connections_open gauge\n"
			 "headgate_connections_open %" PRIu64 "\n",
			 open);

	for (size_t i = 0; n >= 0 && i < ARRAY_SIZE(metrics); i++) {
		const struct metric *metric = &metrics[i];

		used += (size_t)n;
		if (used >= cap)
			return -ENOSPC;
		if (*metric->help)
			n = snprintf(text + used, cap - used,
				     "# HELP headgate_%s %s\n# TYPE headgate_%s counter\n", metric->name,
				     metric->help, metric->name);
		else
			n = 0;
		if (n < 0 || used + (size_t)n >= cap)
			return -ENOSPC;
		used += (size_t)n;
		n = snprintf(text + used, cap - used, "headgate_%s%s %" PRIu64 "\n", metric->name,
			     metric->labels, sums[metric->counter]);
	}
	if (n < 0 || used + (size_t)n >= cap)
		return -ENOSPC;
	return (long)(used + (size_t)n);
}

uint64_t counters_requests(const uint64_t sums[COUNTER_COUNT])
{
	return sums[COUNTER_ANSWERED] + sums[COUNTER_UNAUTHORIZED] + sums[COUNTER_REFUSED] +
	       sums[COUNTER_ENGINE_TROUBLE] + sums[COUNTER_BROKEN];
}
