/* SPDX-License-Identifier: MIT */
/*
 * inspect_image.c: whether an image's reference lies below an allowed prefix.
 *
 * References and prefixes are compared in their long form (`nginx` is docker.io/library/nginx), and a prefix
 * ends where a part of the reference ends: at `/`, `:` or `@`, so registry/app does not allow
 * registry/app-evil. An ID names no repository: it is refused, and so is a name that could be the start of
 * one.
 */
#include "inspect_impl.h"

#define REFERENCE_MAX ((size_t)512)

static bool all_hex(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

/* What a reference is made of (distribution/reference), with IPv6 registries. */
static bool letters_ok(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
			continue;
		if (c == '\0' || !strchr("._-+/:@[]", c))
			return false;
	}
	return true;
}

/* Of the first part, when a slash follows it: a registry, not a user of Docker Hub. */
static bool is_domain(struct span part)
{
	if (span_eq(part, SPAN("localhost")))
		return true;
	for (size_t i = 0; i < part.len; i++)
		if (part.ptr[i] == '.' || part.ptr[i] == ':' || (part.ptr[i] >= 'A' && part.ptr[i] <= 'Z'))
			return true;
	return false;
}

static bool append(char out[REFERENCE_MAX], size_t *length, struct span text)
{
	if (text.len > REFERENCE_MAX - *length)
		return false;
	if (text.len)
		memcpy(out + *length, text.ptr, text.len);
	*length += text.len;
	return true;
}

static bool expand(struct span reference, char out[REFERENCE_MAX], struct span *result)
{
	const char *slash = reference.len ? memchr(reference.ptr, '/', reference.len) : NULL;
	struct span domain = SPAN("docker.io"), rest = reference;
	size_t length = 0;

	if (reference.len == 0 || !letters_ok(reference))
		return false;
	if (slash) {
		struct span first = {.ptr = reference.ptr, .len = (size_t)(slash - reference.ptr)};

		if (is_domain(first)) {
			domain = span_eq(first, SPAN("index.docker.io")) ? domain : first;
			rest = span_skip(reference, first.len + 1);
		}
	}
	if (!append(out, &length, domain) || !append(out, &length, SPAN("/")))
		return false;
	if (span_eq(domain, SPAN("docker.io")) && rest.len && !memchr(rest.ptr, '/', rest.len) &&
	    !append(out, &length, SPAN("library/")))
		return false;
	if (!append(out, &length, rest))
		return false;
	*result = (struct span){.ptr = out, .len = length};
	return true;
}

static bool ends_part(char c)
{
	return c == '/' || c == ':' || c == '@';
}

static bool has_prefix(struct span reference, struct span prefix)
{
	if (!span_starts(reference, prefix))
		return false;
	return reference.len == prefix.len || ends_part(prefix.ptr[prefix.len - 1]) ||
	       ends_part(reference.ptr[prefix.len]);
}

int inspect_image(struct inspect *inspect, struct span reference)
{
	const struct inspect_words *images = &inspect->limits->images;
	char long_form[REFERENCE_MAX], long_prefix[REFERENCE_MAX];
	struct span own, prefix;

	if (images->count == 0)
		return 0;
	if (all_hex(reference) || span_eq(reference, SPAN("sha256")) ||
	    span_starts(reference, SPAN("sha256:")))
		return inspect_refuse(inspect, INSPECT_LACKS_IMAGES,
				      "an image without a name, or by its ID (name it with its tag)");
	if (expand(reference, long_form, &own))
		for (size_t i = 0; i < images->count; i++)
			if (expand(span_of(images->words[i]), long_prefix, &prefix) &&
			    has_prefix(own, prefix))
				return 0;
	return inspect_refuse(inspect, INSPECT_LACKS_IMAGES, "the image %s", inspect_quote(reference).text);
}

int inspect_rule_image(struct inspect *inspect, const char *name, json_t *value)
{
	struct span reference;
	int error = inspect_json_string(inspect, name, value, &reference);

	return error ? error : inspect_image(inspect, reference);
}
