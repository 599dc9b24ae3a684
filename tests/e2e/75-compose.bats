#!/usr/bin/env bats
# docker compose: up, ps, logs, exec, run, down.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

test_setup() {
	cat >compose.yml <<-E
		services:
		  one:
		    image: $IMAGE
		    pull_policy: never
		    command: sh -c 'echo started; trap "exit 0" TERM; while :; do sleep 0.2; done'
		    volumes: ["data:/data"]
		  two:
		    image: $IMAGE
		    pull_policy: never
		    depends_on: [one]
		    command: sh -c 'echo second; exit 3'
		volumes:
		  data:
	E
}

test_teardown() {
	for side in d v; do direct compose -p "$N-$side" down -v -t 1 >/dev/null 2>&1 || true; done
}

# Its progress comes on stderr, in an order that varies.
progress='/^ ?(Container|Network|Volume) |^\[\+\]|^ *$/d'

@test "compose up -d, ps, logs, exec, down" {
	NORM=$progress
	same compose -p {} up -d
	is "$status" 0
	within 10 direct wait "$N-v-two-1"
	within 10 direct wait "$N-d-two-1"
	same compose -p {} ps -a --format '{{.Service}} {{.State}} {{.ExitCode}}'
	is "$output" $'one running 0\ntwo exited 3'
	same compose -p {} logs --no-log-prefix one
	has "$output" 'started$'
	same compose -p {} logs --no-log-prefix two
	has "$output" 'second$'
	same compose -p {} exec -T one sh -c 'echo in; exit 5'
	is "$output" in
	is "$status" 5
	echo hello >in
	STDIN=in
	same compose -p {} exec -T one cat
	is "$output" hello
	STDIN=/dev/null
	same compose -p {} down -v -t 2
	is "$status" 0
	is "$(direct ps -aq --filter "name=$N-v")" ""
	is "$(direct volume ls -q --filter "name=$N-v")" ""
}

@test "compose up in the foreground, and its end" {
	NORM="$progress; s/ +\|/ |/; /Attaching to|Aborting|Stopp|exited with code|Killing|Gracefully/d; s/Aborting on container exit.*//"
	same compose -p {} up --exit-code-from two --abort-on-container-exit -t 2
	is "$status" 3
	has "$output" 'two-1 +\| second'
}

@test "compose logs -f follows" {
	direct compose -p "$N-v" up -d one
	background logs ./docker-via compose -p "$N-v" logs -f --no-log-prefix one
	within 20 file_has logs.out started
	[ ! -e logs.rc ]
	direct compose -p "$N-v" stop -t 2 one
	within 20 test -s logs.rc
}

@test "compose run, compose build" {
	NORM=$progress
	same compose -p {} run --rm -T two sh -c 'echo ran; exit 4'
	is "$output" ran
	is "$status" 4
}
