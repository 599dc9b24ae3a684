#!/usr/bin/env bats
# headgate connect: a unix socket here, a headgate with a token there, the engine behind it.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

test_setup() {
	printf '%s\n' "$TOKEN" >token
	chmod 600 token
}

# What it leaves behind when it ends, too; the second signal cuts what still runs.
test_teardown() {
	if [ -n "${LINK-}" ] && kill -TERM "$LINK" 2>/dev/null; then
		sleep 0.2
		kill -TERM "$LINK" 2>/dev/null || true
		wait "$LINK" || true
	fi
	fails grep -qsE 'Sanitizer|runtime error:' connect.err serve.err
}

# connect [OPTIONS]: one of the test's own; what it says is in connect.out and connect.err, its process in LINK.
connect() {
	rm -f connect.err
	"$HEADGATE_BIN" connect --listen "unix://$WORK/c.sock" --event "$EVENT" --workers 1 --token-file token "$@" \
		>connect.out 2>connect.err </dev/null 3>&- 4>&- &
	LINK=$!
	BACKGROUND+=("$LINK")
	within 10 grep -qs 'listening on' connect.err || fail "$(cat connect.err)" || return
	# shellcheck disable=SC2016 # its own shell expands them
	printf '#!/bin/sh\nDOCKER_CONFIG=%s exec %s -H unix://%s/c.sock "$@"\n' "$DIRECT_CONFIG" "$DOCKER" "$WORK" >docker-via
}

connect_here() { connect --ca "$CA" "127.0.0.1:$PORT"; }

# What ends at once: the exit code in rc, the rest in connect.out and connect.err.
connect_fails() {
	rc=0
	timeout 10 "$HEADGATE_BIN" connect --listen "unix://$WORK/c.sock" "$@" >connect.out 2>connect.err </dev/null || rc=$?
	is "$rc" 2
	is "$(wc -l <connect.err)" 1
	fails grep -qF "$TOKEN" connect.err
}

# For `same`: no token, no certificate, no TLS.
via() {
	DOCKER_CONFIG=$DIRECT_CONFIG timeout --foreground -k 5 "$COMMAND_TIMEOUT" "$DOCKER" -H "unix://$WORK/c.sock" "$@"
}

through() { curl -sS --max-time "$COMMAND_TIMEOUT" --unix-socket c.sock "$@"; }

@test "connect: the stock CLI, with nothing but the socket" {
	connect_here
	has "$(cat connect.out)" "export DOCKER_HOST=unix://$WORK/c.sock"
	within 10 grep -q 'connected to tls://127.0.0.1:[0-9]*: Docker/' connect.err
	same version
	has "$output" 'Server:'
	same run --name {} "$IMAGE" sh -c 'echo out; echo err >&2; exit 7'
	is "$status" 7
	is "$output" out
	is "$error" err
	same logs {}
	same inspect -f '{{.State.ExitCode}}' {}
	is "$output" 7
	fails grep -qF "$TOKEN" connect.err
}

@test "connect: half-closed exec, output behind the end of stdin" {
	prepare run -d --name {} "$IMAGE" sleep 600
	connect_here
	echo hi >in
	STDIN=in
	same exec -i {} cat
	is "$output" hi
	same exec -i {} sh -c 'cat >/dev/null; sleep 2; echo late; exit 6'
	is "$output" late
	is "$status" 6
	STDIN=/dev/null
	{ echo first; sleep 1; echo second; } | via exec -i "$N-v" sh -c 'exec >&- 2>&-; cat >/tmp/got'
	is "$(direct exec "$N-v" cat /tmp/got)" $'first\nsecond'
	rc=0
	on_pty size=30x90 'expect=# ' 'send=tty\n' 'expect=/dev/pts/' 'send=exit 2\n' \
		-- ./docker-via exec -it "$N-v" sh >out || rc=$?
	is "$rc" 2
}

@test "connect: long bodies both ways" {
	prepare run -d --name {} "$IMAGE" sleep 600
	connect_here
	random_file in 50
	via exec -i "$N-v" sh -c 'cat >/tmp/f' <in
	is "$(via exec "$N-v" cat /tmp/f | sha)" "$(sha <in)"
	via cp in "$N-v:/tmp/g"
	is "$(via cp "$N-v:/tmp/g" - | tar -xO | sha)" "$(sha <in)"
	via save "$IMAGE" >v.tar
	is "$(tar_contents <v.tar)" "$(direct save "$IMAGE" | tar_contents)"
	has "$(via load -i v.tar)" "Loaded image"
}

@test "connect: a log that is followed, and what happens when its client goes" {
	prepare run -d --name {} "$IMAGE" sh -c 'i=0; while :; do echo line $((i+=1)); sleep 0.2; done'
	connect_here
	links() { find "/proc/$LINK/fd" -type l | wc -l; }
	links_at_most() { [ "$(links)" -le "$1" ]; }
	before=$(links)
	background logs ./docker-via logs -f "$N-v"
	within 10 file_has logs.out 'line 5$'
	kill "${BACKGROUND[-1]}"
	within 15 links_at_most "$before"
}

@test "connect: BuildKit with the stock buildx" {
	connect_here
	mkdir context
	random_file context/data 5
	printf 'FROM %s\nCOPY data /data\nRUN sha256sum /data >/sum && echo "built $((40 + 2))"\n' "$IMAGE" >context/Dockerfile
	DOCKER_BUILDKIT=1 via build --progress plain --no-cache -t "$N:built" context >build.out 2>&1 || fail "$(cat build.out)"
	has "$(cat build.out)" 'built 42$'
	is "$(direct run --rm --name "$N-run" "$N:built" cut -d' ' -f1 /sum)" "$(sha <context/data)"
	direct rmi "$N:built"
}

@test "connect: the socket is its owner's, and gone at the end" {
	connect_here
	is "$(stat -c '%a %F' c.sock)" '600 socket'
	chmod 711 "$WORK"
	fails setpriv --reuid 65534 --regid 65534 --clear-groups curl -sS --max-time 5 --unix-socket "$WORK/c.sock" http://x/_ping
	kill -TERM "$LINK"
	wait "$LINK"
	fails test -e c.sock
	has "$(cat connect.err)" 'stopped'
}

@test "connect: what the caller presents is not looked at, web pages are still refused" {
	connect_here
	is "$(through -H 'token: wrong' http://x/_ping)" OK
	is "$(through -H 'Authorization: Bearer wrong' http://x/_ping)" OK
	is "$(through -o /dev/null -w '%{http_code}' -H 'Origin: http://evil' http://x/_ping)" 403
	is "$(through -o /dev/null -w '%{http_code}' --path-as-is http://x/a/../_ping)" 400
}

@test "connect: the server is known by a fingerprint" {
	fingerprint=$(openssl x509 -noout -fingerprint -sha256 -in "$CA" | cut -d= -f2)
	connect --fingerprint "$fingerprint" "127.0.0.1:$PORT"
	is "$(through http://x/_ping)" OK
	kill -TERM "$LINK"
	wait "$LINK"
	# The same without colons, in small letters; and of the server's own certificate.
	own=$(openssl x509 -noout -fingerprint -sha256 -in "${CA%ca.pem}server.pem" | cut -d= -f2 | tr -d : | tr A-F a-f)
	connect --fingerprint "$own" "localhost:$PORT"
	is "$(through http://x/_ping)" OK
	kill -TERM "$LINK"
	wait "$LINK"
	connect --fingerprint "$(tr 0-9A-F 1-9A-F0 <<<"$fingerprint")" "127.0.0.1:$PORT"
	has "$(cat connect.err)" 'fingerprint'
	has "$(through http://x/_ping)" 'cannot reach the headgate at tls://127.0.0.1:[0-9]*: .*fingerprint'
	fails grep -q 'TLS handshake failed.*token' "$PROXY_DIR/log"
}

@test "connect: a server of another CA, or of another name, gets no token" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -days 2 \
		-keyout other-key.pem -out other.pem 2>/dev/null
	connect --ca other.pem "127.0.0.1:$PORT"
	has "$(through http://x/_ping)" 'cannot reach the headgate .*certificate'
	kill -TERM "$LINK"
	wait "$LINK"
	connect --ca "$CA" --server-name another.name "127.0.0.1:$PORT"
	has "$(through http://x/_ping)" 'cannot reach the headgate .*mismatch'
	has "$(cat connect.err)" 'mismatch'
}

@test "connect: a token that is not taken is told at the start and to the caller" {
	echo "hg_00000000_$(printf '0%.0s' {1..64})" >token
	connect_here
	within 10 grep -q 'does not take the token' connect.err
	has "$(via version 2>&1 || true)" 'a valid token is required'
}

@test "connect: a token file is checked, and read again when it changes and on SIGHUP" {
	connect_fails "127.0.0.1:$PORT"
	has "$(cat connect.err)" '--token-file'
	connect_fails --token-file nothing "127.0.0.1:$PORT"
	has "$(cat connect.err)" 'nothing'
	chmod 644 token
	connect_fails --ca "$CA" --token-file token "127.0.0.1:$PORT"
	has "$(cat connect.err)" 'chmod 600'
	chmod 600 token
	for bad in '' 'two words' $'two\nlines'; do
		printf %s "$bad" >token
		connect_fails --ca "$CA" --token-file token "127.0.0.1:$PORT"
		has "$(cat connect.err)" '^headgate connect: token: '
	done
	echo wrong >token
	connect_here
	is "$(through -o /dev/null -w '%{http_code}' http://x/_ping)" 401
	printf '%s\n' "$TOKEN" >token.new
	chmod 600 token.new
	mv token.new token # seen without a signal, too
	within 5 grep -q 'this token from now on' connect.err
	is "$(through http://x/_ping)" OK
	kill -HUP "$LINK"
	within 5 eval '[ "$(grep -c "this token from now on" connect.err)" = 2 ]'
	: >token
	within 5 grep -q 'keeping the present token' connect.err
	is "$(through http://x/_ping)" OK
	fails grep -qF "$TOKEN" connect.err
}

@test "connect: it listens on unix sockets alone" {
	connect_fails --listen tls://127.0.0.1:0 --ca "$CA" --token-file token "127.0.0.1:$PORT"
	has "$(cat connect.err)" 'unix:///PATH'
	connect_fails --ca "$CA" --token-file token
	has "$(cat connect.err)" 'HOST:PORT'
	connect_fails --ca "$CA" --token-file token "tcp://127.0.0.1:$PORT"
	has "$(cat connect.err)" 'tls://HOST:PORT'
}

@test "connect: the other side is not there, and comes later" {
	serve --state state
	printf '%s\n' "$(sed -n 's/^ *\(hg_[0-9a-f]*_[0-9a-f]*\)$/\1/p' serve.out | head -n 1)" >token
	serve_stop
	connect --ca state/ca.pem "127.0.0.1:$GATE_PORT"
	has "$(cat connect.err)" 'is headgate serve running there'
	has "$(through http://x/_ping)" 'cannot reach the headgate'
	port=$GATE_PORT
	serve --state state --listen "tls://127.0.0.1:$port"
	is "$(through http://x/_ping)" OK
}

# The CLI asks for the exit code on another connection, for which it is too late then.
@test "connect: SIGTERM lets what runs finish" {
	prepare run -d --name {} "$IMAGE" sleep 600
	connect_here
	background slow ./docker-via exec "$N-v" sh -c 'echo on; sleep 3; echo off'
	within 10 file_has slow.out on
	kill -TERM "$LINK"
	within 5 grep -q draining connect.err
	wait "$LINK"
	within 10 test -s slow.rc
	is "$(cat slow.out)" $'on\noff'
}
