#!/usr/bin/env bats
# Streams that were silent for SILENCE_S seconds still work. The run script started them before the first test.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
load common

test_setup() {
	S=$LEG/silence
	local left=$(($(cat "$S/since") + SILENCE_S - $(date +%s)))
	[ "$left" -le 0 ] || sleep "$left"
}

ended() { ! kill -0 "$(cat "$S/$1.pid")" 2>/dev/null; }

@test "logs -f after the silence" {
	within 20 file_has "$S/logs" after
	is "$(cat "$S/logs")" $'before\nafter'
	within 10 ended logs
}

@test "run after the silence: a half-closed tunnel" {
	within 20 file_has "$S/run" after
	is "$(cat "$S/run")" $'before\nafter'
	within 10 ended run
	is "$(direct inspect -f '{{.State.ExitCode}}' silent-run)" 0
}

@test "exec -i after the silence: client to container and back" {
	within 20 file_has "$S/exec" after
	is "$(cat "$S/exec")" $'before\nafter'
	within 10 ended exec
}
