/* SPDX-License-Identifier: MIT */
/*
 * inspect_json.c: a body as Go's encoding/json would read it, or not at all.
 *
 * Theory of operation. The bytes are counted through once before the library sees them, because it recurses
 * and makes some hundred bytes of memory out of two: nesting and the number of values are bounded there. The
 * library refuses what JSON does not allow, bytes behind the value, invalid UTF-8, lone surrogates, U+0000,
 * numbers out of range and a key that stands twice as it is; then the objects are walked for keys that are
 * not the same but mean the same to Go. After that each key of an object means one field, and looking for it
 * by folding is unambiguous.
 *
 * Go folds by all of Unicode; here only what folds to ASCII counts, since the engine's fields are all ASCII.
 * Keys of maps (labels, options) are not folded by Go, and are refused all the same when two of them fold
 * alike: nobody means that, and the tables need not say which object is a map.
 */
#include <stdlib.h>

#include "inspect_impl.h"

/* Of each `,`, `:`, `[` and `{`. A real body has some hundred; each may cost 300 bytes. */
#define VALUES_MAX ((size_t)32768)

/* The folded form of the character at *text, which is moved behind it. */
static unsigned char fold_next(struct span *text)
{
	unsigned char c = (unsigned char)text->ptr[0];

	if (text->len >= 2 && c == 0xc5 && (unsigned char)text->ptr[1] == 0xbf) {
		*text = span_skip(*text, 2); /* U+017F, long s */
		return 'S';
	}
	if (text->len >= 3 && c == 0xe2 && (unsigned char)text->ptr[1] == 0x84 &&
	    (unsigned char)text->ptr[2] == 0xaa) {
		*text = span_skip(*text, 3); /* U+212A, the Kelvin sign */
		return 'K';
	}
	*text = span_skip(*text, 1);
	return c >= 'a' && c <= 'z' ? (unsigned char)(c - 'a' + 'A') : c;
}

bool inspect_keys_fold_alike(struct span a, struct span b)
{
	while (a.len && b.len)
		if (fold_next(&a) != fold_next(&b))
			return false;
	return a.len == b.len;
}

/* What stands between quotation marks does not count; what is no JSON is left to the library. */
static int bound(struct inspect *inspect, struct span body)
{
	size_t depth = 0, values = 0;
	bool quoted = false;

	for (size_t i = 0; i < body.len; i++) {
		char c = body.ptr[i];

		if (quoted) {
			if (c == '\\')
				i++;
			quoted = c != '"';
			continue;
		}
		quoted = c == '"';
		values += c == ',' || c == ':' || c == '[' || c == '{';
		if (c == '[' || c == '{')
			depth++;
		else if ((c == ']' || c == '}') && depth)
			depth--;
		if (depth > INSPECT_DEPTH_MAX)
			return inspect_unreadable(inspect, "the body is nested too deep");
		if (values > VALUES_MAX)
			return inspect_unreadable(inspect, "the body has too many values");
	}
	return 0;
}

/* 0, -EEXIST when one like it is in `seen` already, -ENOMEM. `folded` has room for the key. */
static int note_key(json_t *seen, struct span key, char *folded)
{
	size_t length = 0;

	while (key.len)
		folded[length++] = (char)fold_next(&key);
	folded[length] = '\0';
	if (json_object_get(seen, folded))
		return -EEXIST;
	/* Unchecked: cutting at bytes keeps what is UTF-8 so, and nobody reads it anyway. */
	return json_object_set_new_nocheck(seen, folded, json_true()) ? -ENOMEM : 0;
}

static int keys_differ(struct inspect *inspect, json_t *object)
{
	json_t *seen = json_object();
	const char *key;
	json_t *value;
	int error = seen ? 0 : -ENOMEM;

	json_object_foreach(object, key, value)
	{
		char *folded = error ? NULL : malloc(strlen(key) + 1);

		if (!folded) {
			error = error ? error : -ENOMEM;
			break;
		}
		error = note_key(seen, span_of(key), folded);
		free(folded);
		if (error == -EEXIST)
			error = inspect_unreadable(inspect, "the field %s stands twice in one object",
						   inspect_quote(span_of(key)).text);
	}
	json_decref(seen);
	return error;
}

/* Recurses as deep as bound() allows. */
// NOLINTNEXTLINE(misc-no-recursion): the depth is bounded before
static int all_keys_differ(struct inspect *inspect, json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;
	int error = 0;

	if (json_is_array(value)) {
		json_array_foreach(value, i, member)
		{
			error = all_keys_differ(inspect, member);
			if (error)
				return error;
		}
	}
	if (!json_is_object(value))
		return 0;
	error = keys_differ(inspect, value);
	if (error)
		return error;
	json_object_foreach(value, key, member)
	{
		error = all_keys_differ(inspect, member);
		if (error)
			return error;
	}
	return 0;
}

int inspect_json_load(struct inspect *inspect, struct span body, json_t **root)
{
	json_error_t json_error;
	int error;

	*root = NULL;
	error = bound(inspect, body);
	if (error)
		return error;
	/* Any value: `null` is what the docker CLI sends for a commit. */
	*root = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &json_error);
	if (!*root) {
		if (json_error_code(&json_error) == json_error_out_of_memory)
			return -ENOMEM;
		return inspect_unreadable(inspect, "the body is not one JSON value (line %d, column %d)",
					  json_error.line, json_error.column);
	}
	error = all_keys_differ(inspect, *root);
	if (error) {
		json_decref(*root);
		*root = NULL;
	}
	return error;
}

json_t *inspect_json_get(json_t *object, const char *name)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (inspect_keys_fold_alike(span_of(key), span_of(name)))
			return value;
	}
	return NULL;
}

bool inspect_json_is_zero(json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_NULL:
	case JSON_FALSE:
		return true;
	case JSON_INTEGER:
		return json_integer_value(value) == 0;
	case JSON_STRING:
		return json_string_length(value) == 0;
	case JSON_ARRAY:
		return json_array_size(value) == 0;
	case JSON_OBJECT:
		return json_object_size(value) == 0;
	case JSON_REAL:
	case JSON_TRUE:
		return false;
	}
	return false;
}

int inspect_json_string(struct inspect *inspect, const char *name, json_t *value, struct span *text)
{
	*text = (struct span){0};
	if (json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return inspect_unreadable(inspect, "%s is not a string", name);
	*text = (struct span){.ptr = json_string_value(value), .len = json_string_length(value)};
	return 0;
}

int inspect_json_member(struct inspect *inspect, json_t *object, const char *name, struct span *text)
{
	json_t *value = inspect_json_get(object, name);

	*text = (struct span){0};
	return value ? inspect_json_string(inspect, name, value, text) : 0;
}

int inspect_json_strings(struct inspect *inspect, const char *name, json_t *value,
			 int (*check)(struct inspect *inspect, const char *name, struct span text))
{
	struct span text;
	json_t *item;
	size_t i;
	int error;

	if (json_is_null(value))
		return 0;
	if (json_is_string(value)) {
		error = inspect_json_string(inspect, name, value, &text);
		return error ? error : check(inspect, name, text);
	}
	if (!json_is_array(value))
		return inspect_unreadable(inspect, "%s is not a list", name);
	json_array_foreach(value, i, item)
	{
		error = inspect_json_string(inspect, name, item, &text);
		if (!error)
			error = check(inspect, name, text);
		if (error)
			return error;
	}
	return 0;
}

int inspect_json_objects(struct inspect *inspect, const char *name, json_t *value,
			 int (*check)(struct inspect *inspect, const char *name, json_t *value))
{
	json_t *item;
	size_t i;

	if (json_is_null(value))
		return 0;
	if (!json_is_array(value))
		return inspect_unreadable(inspect, "%s is not a list", name);
	json_array_foreach(value, i, item)
	{
		int error;

		if (!json_is_object(item))
			return inspect_unreadable(inspect, "%s holds what is not an object", name);
		error = check(inspect, name, item);
		if (error)
			return error;
	}
	return 0;
}

static const struct inspect_field *field_find(const struct inspect_table *table, struct span key)
{
	for (; table; table = table->also)
		for (size_t i = 0; i < table->count; i++)
			if (inspect_keys_fold_alike(key, span_of(table->fields[i].name)))
				return &table->fields[i];
	return NULL;
}

int inspect_json_table(struct inspect *inspect, json_t *value, const struct inspect_table *table)
{
	const char *key;
	json_t *member;

	if (json_is_null(value))
		return 0;
	if (!json_is_object(value))
		return inspect_unreadable(inspect, "%s is not an object", table->what);
	json_object_foreach(value, key, member)
	{
		const struct inspect_field *field = field_find(table, span_of(key));
		int error = 0;

		if (!field)
			return inspect_refuse(inspect, INSPECT_LACKS_ANY,
					      "the field %s of %s, which headgate does not know",
					      inspect_quote(span_of(key)).text, table->what);
		if (field->check)
			error = field->check(inspect, field->name, member);
		if (error)
			return error;
	}
	return 0;
}

bool inspect_answer_text(struct span json, const char *const *path, char *text, size_t text_cap)
{
	json_t *root = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL);
	json_t *value = root;

	for (; *path; path++)
		value = json_object_get(value, *path);
	const char *found = json_string_value(value);
	bool fits = found && strlcpy(text, found, text_cap) < text_cap;
	if (!fits)
		text[0] = '\0';
	json_decref(root);
	return fits;
}
