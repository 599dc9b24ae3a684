/* SPDX-License-Identifier: MIT */
/* policy_print.c: roles, for `headgate explain`. A role is printed in the language that it was read in. */
#include <string.h>

#include "config.h"
#include "policy_impl.h"

#define NAME_COLUMN_MAX ((size_t)24)

void policy_print_roles(const struct policy *policy, FILE *out)
{
	size_t width = 0;

	for (size_t i = 0; i < policy->roles_count; i++) {
		size_t length = strlen(policy->roles[i]->name);

		if (length > width && length <= NAME_COLUMN_MAX)
			width = length;
	}
	for (size_t i = 0; i < policy->roles_count; i++) {
		const struct role *role = policy->roles[i];
		const char *about = role->about ? role->about : role->built_in ? "" : "Of the policy file.";

		fprintf(out, "%-*s  ", (int)width, role->name);
		(void)config_print_words(out, about, width + 2, width + 2);
		fputc('\n', out);
	}
}

/* All rights there are, with what they are for: this is where one looks them up. */
static void print_rights(FILE *out)
{
	static const char *const methods[] = {
	    [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD",	  [HTTP_POST] = "POST",
	    [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS"};
	size_t count;
	const struct route *routes = route_table(&count);

	for (int group = 0; group < ROUTE_GROUP_COUNT; group++) {
		fprintf(out, "  # %s\n", route_group_name((enum route_group)group));
		for (size_t i = 0; i < count; i++)
			if ((int)routes[i].group == group)
				fprintf(out, "  #   %-23s %-7s %s%s\n", routes[i].name,
					methods[routes[i].method], routes[i].pattern,
					routes[i].traits & ROUTE_SENSITIVE ? "  (sensitive)" : "");
	}
}

static void print_words(FILE *out, const char *what, const struct inspect_words *list)
{
	if (list->count)
		fprintf(out, "  body %s", what);
	for (size_t i = 0; i < list->count; i++)
		fprintf(out, " %s%s", list->words[i], i + 1 == list->count ? "\n" : "");
}

static void print_comment(FILE *out, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		fprintf(out, "# %.*s\n", (int)length, text);
		text += length;
		text += *text == '\n';
	}
}

void policy_print_role(const struct role *role, FILE *out)
{
	const struct inspect_limits *limits = &role->limits;
	const char *last = NULL;

	if (role->about)
		print_comment(out, role->about);
	fprintf(out, "role %s\n", role->name);
	if (role->unlimited) {
		fputs("  # everything; the rights that others may have:\n", out);
		print_rights(out);
		return;
	}
	for (size_t i = 0; i < role->rules_count; i++) {
		const char *text = role->policy->rules[role->rules[i]].text;

		if (text != last) /* a line with several rights is several rules */
			fprintf(out, "  %s\n", text);
		last = text;
	}
	if (limits->any)
		fputs("  body any\n", out);
	if (limits->privileged)
		fputs("  body privileged\n", out);
	if (limits->host_namespaces)
		fputs("  body host-namespaces\n", out);
	print_words(out, "mounts", &limits->mounts);
	print_words(out, "images", &limits->images);
	print_words(out, "capabilities", &limits->capabilities);
	print_words(out, "devices", &limits->devices);
}
