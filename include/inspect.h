/* SPDX-License-Identifier: MIT */
/*
 * inspect.h: what a create or update request asks for, beyond its route: privileged, the host's namespaces,
 * its files, devices, capabilities, images. Fails closed: what cannot be read as the engine would read it is
 * refused. Pure, fuzzed; the only user of the JSON library. Layer 1.
 *
 * JSON as Go's encoding/json reads it: keys match without regard to case, with U+017F and U+212A folding to s
 * and k; of two that fold alike the last would win there, and here both are refused.
 */
#ifndef HEADGATE_INSPECT_H
#define HEADGATE_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"
#include "own.h"
#include "route.h"
#include "span.h"

#define INSPECT_BODY_MAX_BYTES ((size_t)1048576)
#define INSPECT_DEPTH_MAX      64
#define INSPECT_REASON_BYTES   ((size_t)256)

struct inspect_words {
	char **words; /* owned, NUL-terminated */
	size_t count;
};

/*
 * What is allowed. All zero: named volumes and tmpfs, any image, the engine's own set of capabilities,
 * nothing of the host's.
 */
struct inspect_limits {
	bool any;	 /* nothing is looked into */
	bool privileged; /* and with it every capability, device, security option, sysctl and runtime */
	/* The host's namespaces and other containers'; macvlan and the host's bridges, too. */
	bool host_namespaces;
	/*
	 * Path prefixes, whole segments; bind mounts below them are allowed. A socket (*.sock), and a
	 * directory that holds docker.sock, only when the socket itself is listed. Links below a prefix
	 * cannot be judged: whoever may write there can make one to anywhere.
	 */
	struct inspect_words mounts;
	/*
	 * Prefixes of references, ending at a part's end: `nginx`, `mycorp/`, `registry:5000/ci/`,
	 * `docker.io/`; none: every image. Also the names under which the role may make images (build,
	 * commit, tag, import), so that it does not get a foreign one by giving it an allowed name.
	 */
	struct inspect_words images;
	struct inspect_words
	    capabilities;	      /* names as --cap-add takes them, with or without CAP_; ALL is all */
	struct inspect_words devices; /* paths on the host, or directories of such; privileged allows all */
	/*
	 * IDs of the engine's `host` network, of the swarm's (25 letters) and of its own: GET /networks/host
	 * with and without ?scope=swarm (engine_watch.h). Not of the policy: filled in by the caller. A
	 * service may name a network by any beginning of its ID, so as long as the swarm's is not here, only
	 * names with a character that no ID has (stack_default) are let through.
	 */
	struct inspect_words host_networks;
	/* What is headgate's own: nobody mounts it, links to it, takes its network away or its port, or gives
	 * its secrets to a service. NULL: there is none. Borrowed, filled in as these are. */
	const struct own *own;
};

enum inspect_need {
	INSPECT_NOTHING, /* this route's requests hold nothing that is limited */
	INSPECT_QUERY, /* query and content type alone (build: the body is a tar); `body` is not looked at */
	INSPECT_BODY,  /* body and query */
	INSPECT_NEVER, /* cannot be judged (plugins, cluster volumes): refused to a role with limits */
};
enum inspect_need inspect_need(const struct route *route);

/*
 * Whether the request stays within the limits. `path` (the engine's pattern variables), `query` with its '?',
 * `content_type` and the whole `body` as sent. 0; -EACCES: asks for more than is allowed; -EBADMSG: cannot be
 * read (bad JSON, not JSON by its type, two keys that fold alike, too deep, bytes behind the value, a query
 * key twice); -ENOMEM. `reason` is one line for the client: what it asks for and that its role lacks it,
 * never the policy.
 */
int inspect_request(const struct inspect_limits *limits, const struct route *route, struct span path,
		    struct span query, struct span content_type, struct span body,
		    char reason[INSPECT_REASON_BYTES]) MUST_USE;

/*
 * The string that an answer of the engine's has at `path`, names of members that end with NULL. False, and ""
 * in `text`, when there is none or it does not fit.
 */
bool inspect_answer_text(struct span json, const char *const *path, char *text, size_t text_cap);

/*
 * The ID in the engine's answer to GET /networks/NAME. False when there is none of letters and digits alone
 * that fits.
 */
#define INSPECT_NETWORK_ID_BYTES ((size_t)65)
bool inspect_network_id(struct span json, char id[INSPECT_NETWORK_ID_BYTES]);

/*
 * Adds the IDs of what is headgate's own, by its name, in the engine's list of one kind; of tasks, whose
 * names the engine does not list, all. False when that is no such list, or one in it has no name or no ID, or
 * there is no room: then what is in `ids` is not all.
 */
bool inspect_own_ids(struct span json, const struct own *own, enum own_kind kind, struct own_ids *ids);

/* A container in the engine's answer to GET /containers/json; nothing in it needs an escape in JSON. */
struct inspect_listed {
	char id[INSPECT_NETWORK_ID_BYTES];
	char name[256]; /* the first, without its slash */
};

/*
 * At most `cap` containers of the list, without those that have no ID and name as the engine makes them (one
 * that is being removed has none). False when it is no list.
 */
bool inspect_list_read(struct span json, struct inspect_listed *listed, size_t cap, size_t *count);

/* Of an answer to GET /containers/ID/stats: CPU time in ns, the rest in bytes; 0 where it says nothing. */
struct inspect_sample {
	uint64_t cpu, system;		    /* of the container, of the whole host */
	uint64_t cpu_before, system_before; /* of the sample before; 0 where one alone was asked for */
	uint64_t online_cpus;
	uint64_t memory, memory_limit;
	uint64_t block_read, block_written, net_received, net_sent;
	char read_at[64]; /* RFC 3339 */
};

/* False when it is no such answer. */
bool inspect_sample_read(struct span json, struct inspect_sample *sample);

/*
 * ASCII case, U+017F to s, U+212A to k, as encoding/json's foldName (which folds the rest of Unicode, too: of
 * no importance, since the engine's names are ASCII). Both are UTF-8. For tests and fuzzing.
 */
bool inspect_keys_fold_alike(struct span a, struct span b);

#endif
