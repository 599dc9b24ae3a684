#!/usr/bin/env bats
# Answers that stream: logs, events, stats, wait; and the commands that move a container from state to state.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

@test "logs: all, tail, timestamps, stdout and stderr apart" {
	# One container for both: the engine orders stdout against stderr as they come.
	direct run --name "$N" "$IMAGE" sh -c 'for i in 1 2 3 4 5; do echo line $i; echo err $i >&2; done'
	same logs "$N"
	is "$output" $'line 1\nline 2\nline 3\nline 4\nline 5'
	has "$error" '^err 5$'
	same logs --tail 2 "$N"
	same logs -t "$N"
	has "$output" '^20[0-9-]+T.* line 1$'
	same logs -f "$N"
	has "$output" '^line 5$'
	same logs "$N-nothing"
	is "$status" 1
	has "$error" 'No such container'
}

@test "logs of 200,000 lines" {
	prepare run --name {} "$IMAGE" sh -c 'seq 200000'
	same logs {}
	is "$(wc -l <v.out)" 200000
	is "$(tail -n 1 v.out)" 200000
}

@test "logs -f: a line arrives when it is written; the end of the container ends it" {
	direct run -d --name "$N-v" "$IMAGE" \
		sh -c 'for i in 1 2 3; do echo line $i; until [ -e /tmp/$i ]; do sleep 0.1; done; done; echo end'
	background logs ./docker-via logs -f "$N-v"
	for i in 1 2 3; do
		within 20 file_has logs.out "line $i"
		direct exec "$N-v" touch "/tmp/$i"
	done
	within 20 test -s logs.rc
	is "$(cat logs.rc)" 0
	is "$(cat logs.out)" $'line 1\nline 2\nline 3\nend'
}

@test "clients of logs -f, events and stats that die leave nothing open in headgate" {
	direct run -d --name "$N-v" "$IMAGE" sh -c 'while :; do echo on; sleep 0.2; done'
	before=$(proxy_fds)
	for i in 1 2 3 4; do
		background "l$i" ./docker-via logs -f "$N-v"
		background "s$i" ./docker-via stats --format '{{.Name}} on' "$N-v"
		background "e$i" ./docker-via events
	done
	for i in 1 2 3 4; do within 20 file_has "l$i.out" on && within 20 file_has "s$i.out" on; done
	[ "$(proxy_fds)" -gt "$before" ]
	for pid in "${BACKGROUND[@]}"; do kill "$pid"; done
	within 15 proxy_fds_at_most "$before"
}

@test "events of the past" {
	since=$(date +%s)
	prepare run --rm --name {} "$IMAGE" true
	# A window that ends in the future would follow.
	sleep 1
	same events --since "$since" --until "$(date +%s)" --filter "container={}" --format '{{.Action}}'
	is "$(head -n 2 v.out)" $'create\nattach'
	has "$output" '^destroy$'
}

@test "events as they happen" {
	background events ./docker-via events --filter "container=$N-v" --format '{{.Action}}'
	sleep 1
	direct run --name "$N-v" "$IMAGE" true
	within 10 file_has events.out die
	is "$(head -n 4 events.out)" $'create\nattach\nstart\ndie'
	[ ! -e events.rc ]
}

@test "stats: one frame, and a stream" {
	prepare run -d --name {} "$IMAGE" sleep 600
	same stats --no-stream --format '{{.Name}} {{.PIDs}} {{.BlockIO}}' {}
	has "$output" "^$N-v 1 "
	background stats ./docker-via stats --format '{{.Name}} frame' "$N-v"
	frames() { [ "$(grep -c frame stats.out)" -ge 3 ]; }
	within 20 frames
}

@test "wait that waits, and two at once" {
	prepare run -d --name {} "$IMAGE" sh -c 'sleep 3; exit 6'
	background one ./docker-via wait "$N-v"
	background two ./docker-via wait "$N-v"
	same wait {}
	is "$output" 6
	within 5 test -s one.rc
	within 5 test -s two.rc
	is "$(cat one.out two.out)" $'6\n6'
}

@test "kill, stop, start, restart, pause, unpause, rename, update, rm" {
	prepare run -d --name {} "$IMAGE" sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
	same pause {}
	same exec {} true
	is "$status" 1
	same unpause {}
	same stop {}
	same wait {}
	is "$output" 3
	same start {}
	same kill {}
	same wait {}
	is "$output" 137
	same kill {}
	is "$status" 1
	has "$error" 'is not running'
	same restart -t 0 {}
	same rename {} {}-b
	same update --memory 64m --memory-swap 64m {}-b
	same rm {}-b
	is "$status" 1
	same rm -f {}-b
	is "$output" "$N-v-b"
}

@test "top, diff, port, commit" {
	prepare run -d --name {} "$IMAGE" sh -c 'echo x >/tmp/new; sleep 600'
	within 10 direct exec "$N-d" test -e /tmp/new
	within 10 direct exec "$N-v" test -e /tmp/new
	NORM='s/^ *[0-9]+ /PID /'
	same top {} -o pid,args
	is "$status" 0
	has "$output" 'sleep 600'
	same diff {}
	has "$output" '^A /tmp/new$'
	same port {}
	same commit {} {}:new
	has "$output" '^sha256:[0-9a-f]{64}$'
	same run --rm {}:new cat /tmp/new
	is "$output" x
	# A layer that both share goes with the second one.
	NORM='/^Deleted:/d'
	same rmi {}:new
	has "$output" "Untagged: $N-v:new"
}
