/* SPDX-License-Identifier: MIT */
#include "swarm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine_ask.h"
#include "inspect.h"

/* In a swarm only who reaches the leader can answer this; one that is in none has nothing to reach. */
int swarm_is_manageable(const struct engine *engine, unsigned timeout_ms, char *text, size_t text_cap)
{
	static const char *const state_path[] = {"Swarm", "LocalNodeState", NULL};
	struct engine_body body;
	char state[32] = "";
	int result = engine_get(engine, "/swarm", timeout_ms, &body, text, text_cap);

	if (result < 0)
		return result;
	int status = body.status;
	engine_body_fini(&body);
	if (status == 200)
		return 0;
	result = engine_get(engine, "/info", timeout_ms, &body, text, text_cap);
	if (result < 0)
		return result;
	if (body.status == 200 && body.data)
		(void)inspect_answer_text((struct span){.ptr = body.data, .len = body.len}, state_path, state,
					  sizeof(state));
	status = body.status;
	engine_body_fini(&body);
	if (strcmp(state, "inactive") == 0)
		return 0;
	if (state[0])
		snprintf(text, text_cap,
			 "the Docker Engine at %s is in a swarm (%s), and no manager of it that reaches its "
			 "leader",
			 engine->address.text, state);
	else
		snprintf(text, text_cap, "the Docker Engine at %s answers GET /info with %d",
			 engine->address.text, status);
	return -EHOSTDOWN;
}
