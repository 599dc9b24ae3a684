/* SPDX-License-Identifier: MIT */
/*
 * config_option.h: what a row of an option table is; shared by the files of config, for nobody else.
 * Layer 1.
 */
#ifndef HEADGATE_CONFIG_OPTION_H
#define HEADGATE_CONFIG_OPTION_H

#include "config.h"
#include "span.h"

/* Longer than any option's name and its environment name. */
#define CONFIG_NAME_CAP ((size_t)64)
/* The longest reason that config_value_set() gives, with its NUL. */
#define CONFIG_REASON_CAP ((size_t)256)

enum config_value_kind {
	CONFIG_VALUE_TEXT,     /* const char *: a path */
	CONFIG_VALUE_NAME,     /* const char *: a host name or address */
	CONFIG_VALUE_NUMBER,   /* unsigned, min to max */
	CONFIG_VALUE_DURATION, /* unsigned, milliseconds, from min */
	CONFIG_VALUE_WORD,     /* an enum whose values are the indices of `words` */
	CONFIG_VALUE_LISTEN,   /* struct config_address */
	CONFIG_VALUE_ENGINE,   /* struct config_address */
	CONFIG_VALUE_ADMIN,    /* struct config_address */
	CONFIG_VALUE_REMOTE,   /* struct config_address: another headgate, HOST:PORT */
	CONFIG_VALUE_FLAG,     /* bool: needs no value; true or false */
	CONFIG_VALUE_PREFIX,   /* struct address_prefix */
	CONFIG_VALUE_RATE,     /* unsigned number, and behind it unsigned milliseconds: 20/1m */
	CONFIG_VALUE_DIGEST,   /* struct config_digest: a SHA-256 in hex */
};

struct config_option {
	const char *name;     /* without dashes */
	const char *argument; /* what help calls the value */
	enum config_value_kind kind;
	size_t offset;	      /* of the value in struct config */
	const char *group;    /* title in help */
	const char *fallback; /* the default, read like any value; NULL leaves the field all zero */
	const char *help;
	size_t count_offset; /* repeatable: of the size_t that counts the values; 0 for one value */
	unsigned min, max;   /* of a number; `max` of a repeatable option's count */
	const char *const *words;
	unsigned commands;	   /* CONFIG_BIT() of those that it means something to */
	unsigned without_fallback; /* those among them that have no default */
};

#define CONFIG_BIT(command) (1U << (command))

/* The table of all commands' options. */
const struct config_option *config_options(size_t *count);

/* HEADGATE_SOME_NAME for some-name. */
void config_environment_name(const struct config_option *option, char out[CONFIG_NAME_CAP]);

/*
 * Reads `value` into the option's field (appends, where it is repeatable). 0, or -EINVAL with the rest
 * of a sentence that starts with the value: "is not a number between 1 and 256".
 */
int config_value_set(struct config *config, const struct config_option *option, const char *value,
		     char reason[CONFIG_REASON_CAP]);

/*
 * How many characters must be changed, added, left out or swapped with their neighbour to get from `a`
 * to `b`; SIZE_MAX when one of them is longer than any option.
 */
size_t config_edit_distance(struct span a, struct span b);

#endif
