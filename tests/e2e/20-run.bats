#!/usr/bin/env bats
# docker run in all its forms: the tunnel of attach, its half-close, terminals, signals, exit codes.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

@test "run: stdout, stderr and exit code" {
	same run --rm "$IMAGE" sh -c 'echo out; echo err >&2; exit 7'
	is "$status" 7
	is "$output" out
	is "$error" err
}

@test "run without -i does not read stdin, and its output comes after the half-close" {
	echo not-for-you >in
	STDIN=in
	same run --rm "$IMAGE" sh -c 'cat; sleep 2; echo late'
	is "$status" 0
	is "$output" late
}

@test "run -i: stdin to its end, and the answer after it" {
	printf 'a\nb\n' >in
	STDIN=in
	same run --rm -i "$IMAGE" sh -c 'cat; sleep 1; echo end'
	is "$output" $'a\nb\nend'
	is "$status" 0
}

@test "run -i carries 20 MB both ways unchanged" {
	random_file in 20
	STDIN=in
	is "$(via run --rm -i "$IMAGE" cat <in | sha)" "$(sha <in)"
}

@test "run -i with closed stdin ends" {
	same run --rm -i "$IMAGE" cat
	is "$status" 0
	is "$output" ""
}

@test "run -t: a terminal with its size" {
	for side in direct via; do
		on_pty size=33x101 -- ./docker-$side run --rm -t "$IMAGE" sh -c '
			i=0; until [ "$(stty size 2>/dev/null)" = "33 101" ] || [ $i = 100 ]; do i=$((i + 1)); sleep 0.1; done
			tty; stty size; exit 4' >$side.out || rc=$?
		is "$rc" 4
	done
	diff -u direct.out via.out
	is "$(tr -d '\r' <via.out)" $'/dev/pts/0\n33 101'
}

@test "run -it: a conversation, a change of size, an exit code" {
	rc=0
	on_pty size=24x80 'expect=# ' 'send=echo $((6*7))\n' 'expect=42' size=40x120 \
		'send=until [ "$(stty size)" = "40 1""20" ]; do sleep 0.1; done; stty size\n' 'expect=40 120' \
		'send=exit 3\n' -- ./docker-via run --rm -it "$IMAGE" sh >out || rc=$?
	is "$rc" 3
}

@test "run -it: the detach keys leave the container running" {
	on_pty 'expect=# ' 'send=\x10\x11' -- ./docker-via run -it --name "$N-v" "$IMAGE" sh
	is "$(direct inspect -f '{{.State.Running}}' "$N-v")" true
}

@test "run -d and wait" {
	same run -d --name {} "$IMAGE" sh -c 'sleep 1; exit 9'
	has "$output" '^[0-9a-f]{64}$'
	same wait {}
	is "$output" 9
}

@test "run of a program that is not there" {
	# A race inside of the old CLI.
	NORM='/error waiting for container: context canceled/d'
	same run --rm --name {} "$IMAGE" /nothing
	is "$status" 127
	has "$error" 'no such file or directory'
}

@test "run passes on the signals that the client gets" {
	background run ./docker-via run --rm --name "$N-v" "$IMAGE" sh -c 'trap "echo got it; exit 5" TERM; echo ready; while :; do sleep 0.1; done'
	within 20 file_has run.out ready
	direct kill -s TERM "$N-v"
	within 20 test -s run.rc
	is "$(cat run.rc)" 5
	has "$(cat run.out)" 'got it'
}

@test "a line of output arrives when it is written, not later" {
	# The second line is not written before the first one has arrived here.
	background run ./docker-via run --rm --name "$N-v" "$IMAGE" \
		sh -c 'echo line 1; until [ -e /tmp/go ]; do sleep 0.1; done; echo line 2; sleep 600'
	within 20 file_has run.out 'line 1'
	direct exec "$N-v" touch /tmp/go
	within 20 file_has run.out 'line 2'
	[ ! -e run.rc ]
}

@test "20 containers at the same time" {
	for i in $(seq 20); do background "r$i" ./docker-via run --rm --name "$N-v$i" "$IMAGE" sh -c "echo $i; exit $i"; done
	for i in $(seq 20); do
		within 60 test -s "r$i.rc"
		is "$(cat "r$i.rc")" "$i"
		is "$(cat "r$i.out")" "$i"
	done
}
