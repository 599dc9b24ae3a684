#!/usr/bin/env bats
# exec and attach: the tunnels, with and without stdin, and what closing one half does.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

test_setup() { prepare run -d --name {} "$IMAGE" sleep 600; }

@test "exec: stdout, stderr and exit code" {
	same exec {} sh -c 'echo out; echo err >&2; exit 8'
	is "$status" 8
	is "$output" out
	is "$error" err
}

@test "exec without -i does not read stdin" {
	echo not-for-you >in
	STDIN=in
	same exec {} sh -c 'cat; sleep 1; echo late'
	is "$output" late
}

@test "echo hi | docker exec -i c cat" {
	echo hi >in
	STDIN=in
	same exec -i {} cat
	is "$output" hi
	is "$status" 0
	is "$(echo hi | via exec -i "$N-v" cat)" hi
}

@test "exec -i: output after the end of stdin" {
	echo x >in
	STDIN=in
	same exec -i {} sh -c 'cat >/dev/null; sleep 2; echo late; exit 6'
	is "$output" late
	is "$status" 6
}

@test "exec -i: the end of stdout does not end stdin" {
	{ echo first; sleep 1; echo second; } | via exec -i "$N-v" sh -c 'exec >&- 2>&-; cat >/tmp/got'
	is "$(direct exec "$N-v" cat /tmp/got)" $'first\nsecond'
}

@test "exec -i carries 50 MB up and 50 MB down unchanged" {
	random_file in 50
	is "$(via exec -i "$N-v" sha256sum <in | cut -d' ' -f1)" "$(sha <in)"
	via exec -i "$N-v" sh -c 'cat >/tmp/f' <in
	is "$(via exec "$N-v" cat /tmp/f | sha)" "$(sha <in)"
}

@test "exec -it: a conversation on a terminal" {
	rc=0
	on_pty size=30x90 'expect=# ' \
		'send=until [ "$(stty size)" = "30 9""0" ]; do sleep 0.1; done; stty size; tty\n' 'expect=30 90' 'expect=/dev/pts/' 'send=exit 2\n' \
		-- ./docker-via exec -it "$N-v" sh >out || rc=$?
	is "$rc" 2
}

@test "exec -d" {
	same exec -d {} sh -c 'echo was-here >/tmp/detached'
	is "$status" 0
	within 10 direct exec "$N-v" grep -q was-here /tmp/detached
}

@test "exec of a program that is not there, and in a container that is not there" {
	same exec {} /nothing
	has "$status" '^12[67]$'
	same exec "$N-nothing" true
	is "$status" 1
	has "$error" 'No such container'
}

@test "30 execs at the same time" {
	for i in $(seq 30); do
		echo "$i" >in
		STDIN=in
		background "e$i" ./docker-via exec -i "$N-v" sh -c "cat; exit $i"
		within 10 test -e "e$i.out"
	done
	for i in $(seq 30); do
		within 60 test -s "e$i.rc"
		is "$(cat "e$i.rc")" "$i"
	done
}

@test "an exec whose client dies leaves nothing open in headgate" {
	before=$(proxy_fds)
	open_stdin
	for i in 1 2 3 4 5; do background "e$i" ./docker-via exec -i "$N-v" sh -c 'echo on; cat'; done
	for i in 1 2 3 4 5; do within 20 file_has "e$i.out" on; done
	for pid in "${BACKGROUND[@]}"; do kill "$pid"; done
	within 15 proxy_fds_at_most "$before"
}

@test "attach: output only, and the exit code" {
	prepare run -d --name {}-a "$IMAGE" sh -c 'sleep 2; echo said; echo wrong >&2; exit 4'
	direct attach "$N-d-a" >d.out 2>d.err & pid=$!
	rc=0
	via attach "$N-v-a" >v.out 2>v.err || rc=$?
	wait $pid || is $? 4
	is "$rc" 4
	is "$(cat v.out)" said
	is "$(cat v.err)" wrong
	diff d.out v.out
}

@test "start -ai: stdin and stdout of a container that was created before" {
	prepare create -i --name {}-a "$IMAGE" sh -c 'cat; echo end; exit 3'
	echo hello >in
	STDIN=in
	same start -ai {}-a
	is "$output" $'hello\nend'
	is "$status" 3
}

@test "attach with stdin" {
	prepare create -i -a stdin -a stdout --name {}-a "$IMAGE" cat
	direct start "$N-d-a" "$N-v-a"
	echo hello >in
	STDIN=in
	same attach {}-a
	is "$output" hello
	is "$status" 0
}

@test "attach to a terminal, and the detach keys" {
	prepare run -dit --name {}-a "$IMAGE" sh
	for side in direct via; do
		rc=0
		on_pty 'send=echo $((40+2))\n' 'expect=42' 'expect=# ' 'send=\x10\x11' 'expect=read escape sequence' \
			-- "./docker-$side" attach "$N-${side:0:1}-a" || rc=$?
		echo "$rc" >"$side.rc"
		is "$(direct inspect -f '{{.State.Running}}' "$N-${side:0:1}-a")" true
	done
	diff direct.rc via.rc
}
