/* SPDX-License-Identifier: MIT */
/* inspect_stats_test.c: lists and statistics as engines answer them, and as they do not. */
#include <criterion/criterion.h>

#include "compiler.h"
#include "inspect.h"

TestSuite(inspect_stats, .timeout = 300);

Test(inspect_stats, listed)
{
	static const char json[] =
	    "[{\"Id\":\"0123ab\",\"Names\":[\"/web.1\",\"/a/b\"]},{\"Id\":\"45\",\"Names\":[]},"
	    "{\"Id\":\"67\",\"Names\":[\"/x\\\"y\"]},7,{\"Id\":\"89\",\"Names\":[\"/last\"]}]";
	struct inspect_listed listed[3];
	size_t count;

	cr_assert(inspect_list_read(SPAN(json), listed, ARRAY_SIZE(listed), &count));
	cr_assert_eq(count, 2, "what has no name is left out, and what follows it is not");
	cr_assert_str_eq(listed[0].id, "0123ab");
	cr_assert_str_eq(listed[0].name, "web.1");
	cr_assert_str_eq(listed[1].name, "last");
	cr_assert(inspect_list_read(SPAN(json), listed, 1, &count));
	cr_assert_eq(count, 1);
	cr_assert(inspect_list_read(SPAN("[]"), listed, ARRAY_SIZE(listed), &count));
	cr_assert_eq(count, 0);
	cr_assert_not(inspect_list_read(SPAN("{}"), listed, ARRAY_SIZE(listed), &count));
	cr_assert_not(inspect_list_read(SPAN(""), listed, ARRAY_SIZE(listed), &count));
}

Test(inspect_stats, sample)
{
	static const char json[] =
	    "{\"read\":\"2026-11-24T16:00:00.123456789Z\",\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":900},"
	    "\"system_cpu_usage\":5000,\"online_cpus\":4},\"precpu_stats\":{\"cpu_usage\":{\"total_usage\":0}"
	    "},"
	    "\"memory_stats\":{\"usage\":1024,\"limit\":9223372036854771712},"
	    "\"blkio_stats\":{\"io_service_bytes_recursive\":[{\"op\":\"read\",\"value\":1},{\"op\":"
	    "\"Write\",\"value\":2},"
	    "{\"op\":\"Read\",\"value\":4},{\"op\":\"Total\",\"value\":8},{\"value\":16},7]},"
	    "\"networks\":{\"eth0\":{\"rx_bytes\":10,\"tx_bytes\":20},\"eth1\":{\"rx_bytes\":1,\"tx_bytes\":"
	    "2}}}";
	struct inspect_sample sample;

	cr_assert(inspect_sample_read(SPAN(json), &sample));
	cr_assert_eq(sample.cpu, 900);
	cr_assert_eq(sample.system, 5000);
	cr_assert_eq(sample.cpu_before, 0);
	cr_assert_eq(sample.online_cpus, 4);
	cr_assert_eq(sample.memory, 1024);
	cr_assert_eq(sample.memory_limit, 9223372036854771712U);
	cr_assert_eq(sample.block_read, 5);
	cr_assert_eq(sample.block_written, 2);
	cr_assert_eq(sample.net_received, 11);
	cr_assert_eq(sample.net_sent, 22);
	cr_assert_str_eq(sample.read_at, "2026-11-24T16:00:00.123456789Z");
}

Test(inspect_stats, what_is_none)
{
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{}",
	    "{\"cpu_stats\":{}}",
	    "{\"read\":\"2026\"}",
	    "{\"read\":\"a\\\"b\",\"cpu_stats\":{}}",
	};
	struct inspect_sample sample;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_not(inspect_sample_read(span_of(bad[i]), &sample), "%s", bad[i]);
	/* Of the wrong kind: 0. */
	cr_assert(inspect_sample_read(SPAN("{\"read\":\"2026\",\"cpu_stats\":{\"cpu_usage\":[],\"online_"
					   "cpus\":-4},\"networks\":[1],\"blkio_stats\":1}"),
				      &sample));
	cr_assert_eq(sample.cpu + sample.online_cpus + sample.net_sent + sample.block_read, 0);
}
