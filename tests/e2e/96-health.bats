#!/usr/bin/env bats
# `headgate health` against a headgate that runs, one that has lost its engine, and none.

# shellcheck disable=SC2154,SC2153 # variables that common.bash sets
# shellcheck disable=SC2030,SC2031 # each test is a subshell
load common

health() {
	rc=0
	timeout 20 "$HEADGATE_BIN" health "$@" >out 2>err </dev/null || rc=$?
}

@test "health: it runs, and is ready while the engine is there" {
	"$ENGINE" start "$SUITE" "$WORK/e" --bridge=none --iptables=false
	serve --state "$WORK/state" --engine "unix://$WORK/e/docker.sock" --admin "unix://$WORK/admin.sock"
	health --admin "unix://$WORK/admin.sock"
	is "$rc $(cat out)" '0 ok'
	health --ready --admin "unix://$WORK/admin.sock"
	is "$rc $(cat out)" '0 ok'
	HEADGATE_ADMIN=unix://$WORK/admin.sock health --ready
	is "$rc" 0
	"$ENGINE" stop "$WORK/e"
	health --ready --admin "unix://$WORK/admin.sock"
	is "$rc $(cat out)" '1 '
	has "$(cat err)" "cannot reach the Docker Engine at unix://$WORK/e/docker.sock"
	health --admin "unix://$WORK/admin.sock"
	is "$rc" 0
}

@test "health: nobody there, somebody else there, and no address" {
	health --admin "unix://$WORK/admin.sock"
	is "$rc" 1
	is "$(cat err)" "headgate health: no answer from unix://$WORK/admin.sock: No such file or directory"
	/usr/bin/python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(9)
c = s.accept()[0]; c.recv(99); c.sendall(b"220 mail\r\n"); c.close()
d = s.accept()[0]; s.accept()' "$WORK/other.sock" 3>&- 4>&- &
	BACKGROUND+=($!)
	within 5 test -S other.sock
	health --admin "unix://$WORK/other.sock"
	is "$rc" 1
	has "$(cat err)" ': that is no headgate$'
	before=$SECONDS
	health --admin "unix://$WORK/other.sock"
	is "$rc" 1
	has "$(cat err)" 'Connection timed out$'
	[ $((SECONDS - before)) -le 6 ]
	health
	is "$rc" 2
	has "$(cat err)" '^headgate health: --admin is needed'
	health --admin nonsense
	is "$rc" 2
}
