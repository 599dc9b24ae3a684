/* SPDX-License-Identifier: MIT */
#include "head.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int head_read_by(struct head *head, struct peer *peer, uint64_t deadline_ms)
{
	const char *end = NULL;

	head->len = 0;
	head->text[0] = '\0';
	while (!end) {
		size_t room = sizeof(head->text) - 1 - head->len;
		if (room == 0)
			return -EMSGSIZE;
		ssize_t n = peer_get_by(peer, head->text + head->len, room, deadline_ms);
		if (n <= 0)
			return n == 0 ? -EPIPE : (int)n;
		head->len += (size_t)n;
		head->text[head->len] = '\0';
		end = memmem(head->text, head->len, "\r\n\r\n", 4);
	}
	size_t head_len = (size_t)(end - head->text) + 4;
	/* Only behind what was put back before and not read again: the rest of a buffer that was all read. */
	if (peer->back_start < peer->back_end)
		peer->back_start -= head->len - head_len;
	else if (head->len > head_len)
		peer_unget(peer, head->text + head_len, head->len - head_len);
	head->len = head_len;
	head->text[head_len] = '\0';
	return 0;
}

int head_status(const struct head *head)
{
	return strncmp(head->text, "HTTP/1.1 ", 9) == 0 ? atoi(head->text + 9) : 0;
}

bool head_has(const struct head *head, const char *name, const char *value)
{
	const char *line = head->text;
	size_t name_len = strlen(name);

	while ((line = strstr(line, "\r\n"))) {
		line += 2;
		if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
			continue;
		const char *end = strstr(line, "\r\n"), *found = value ? strcasestr(line, value) : line;
		if (end && found && found < end)
			return true;
	}
	return false;
}

bool head_line_has(const struct head *head, const char *text)
{
	const char *end = strstr(head->text, "\r\n");
	const char *found = strstr(head->text, text);

	return end && found && found < end;
}

uint64_t head_query(const struct head *head, const char *name, uint64_t otherwise)
{
	const char *at = strchr(head->text, '?'), *end = strstr(head->text, "\r\n");
	size_t len = strlen(name);

	for (; at && end && at < end; at = strchr(at, '&')) {
		at++;
		if (strncmp(at, name, len) == 0 && at[len] == '=')
			return strtoull(at + len + 1, NULL, 10);
	}
	return otherwise;
}

enum framing head_framing(const struct head *head, uint64_t *length)
{
	const char *field = strcasestr(head->text, "\r\nContent-Length:");

	*length = field ? strtoull(field + strlen("\r\nContent-Length:"), NULL, 10) : 0;
	if (head_has(head, "Transfer-Encoding", "chunked"))
		return FRAMING_CHUNKED;
	return field ? FRAMING_LENGTH : FRAMING_RAW;
}
