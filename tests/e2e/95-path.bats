#!/usr/bin/env bats
# A token in the path (--token-in-path): DOCKER_HOST=tcp://HOST:PORT/t/TOKEN and nothing else.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

test_setup() {
	serve --state state --token-in-path
	SECRET=$(sed -n 's/^ *\(hg_[0-9a-f]*_[0-9a-f]*\)$/\1/p' serve.out | head -n 1)
	printf '#!/bin/sh\nDOCKER_CONFIG=%s DOCKER_HOST=tcp://127.0.0.1:%s/t/%s exec %s --tlsverify --tlscacert %s "$@"\n' \
		"$DIRECT_CONFIG" "$GATE_PORT" "$SECRET" "$DOCKER" "$WORK/state/ca.pem" >docker-via
}

test_teardown() {
	fails grep -qF "$SECRET" serve.err
}

via() { timeout --foreground -k 5 "$COMMAND_TIMEOUT" ./docker-via "$@"; }

at() {
	local target=$1
	shift
	curl -sS --max-time 20 --path-as-is --cacert state/ca.pem "$@" "https://127.0.0.1:$GATE_PORT$target"
}

code() {
	local target=$1
	shift
	at "$target" -o /dev/null -w '%{http_code}' "$@"
}

@test "path: the stock CLI with DOCKER_HOST=tcp://HOST:PORT/t/TOKEN" {
	same version
	has "$output" 'Server:'
	same run --name {} "$IMAGE" sh -c 'echo out; echo err >&2; exit 7'
	is "$status" 7
	is "$output" out
	is "$error" err
	same logs {}
	prepare run -d --name {}-b "$IMAGE" sleep 600
	is "$(echo hi | via exec -i "$N-v-b" cat)" hi
	# The path in the log is the one behind the token.
	has "$(cat serve.err)" ' admin POST /v1\.[0-9]*/containers/create 201 '
}

# BuildKit's own two connections leave the path out, as they leave the header out: there it takes connect or a
# certificate.
@test "path: long bodies, a followed log, the classic build" {
	prepare run -d --name {} "$IMAGE" sh -c 'i=0; while :; do echo line $((i+=1)); sleep 0.2; done'
	random_file in 20
	via cp in "$N-v:/tmp/g"
	is "$(via cp "$N-v:/tmp/g" - | tar -xO | sha)" "$(sha <in)"
	background logs ./docker-via logs -f "$N-v"
	within 10 file_has logs.out 'line 5$'
	printf 'FROM %s\nRUN echo "built $((40 + 2))"\n' "$IMAGE" >Dockerfile
	DOCKER_BUILDKIT=0 via build --no-cache -t "$N:built" - <Dockerfile >build.out 2>&1 || fail "$(cat build.out)"
	has "$(cat build.out)" '^built 42$'
	direct rmi "$N:built"
}

@test "path: the token is found there alone, in one spelling" {
	is "$(at "/t/$SECRET/_ping")" OK
	has "$(at "/t/$SECRET/v1.40/version?x=/t/y")" ApiVersion
	is "$(code "/t/$SECRET")" 404
	is "$(code "/t/$SECRET/")" 404
	is "$(code "/t/wrong/_ping")" 401
	is "$(code "/v1.40/t/$SECRET/_ping")" 401
	for bad in "/t//_ping" "/t/../_ping" "/%74/$SECRET/_ping" "/t/$SECRET/t/$SECRET/_ping" "/t/$SECRET//_ping" \
		"/t/$SECRET/a/../_ping" "/t/$SECRET%20/_ping"; do
		is "$(code "$bad")" 400
	done
	# Where a field has a token as well, that one counts.
	is "$(code "/t/$SECRET/_ping" -H 'token: wrong')" 401
	is "$(code "/t/wrong/_ping" -H "token: $SECRET")" 200
	is "$(code "/t/$SECRET/_ping" -H 'Origin: http://evil')" 403
}

@test "path: off unless it is asked for" {
	is "$(curl -sS -o /dev/null -w '%{http_code}' --cacert "$CA" "$URL/t/$TOKEN/_ping")" 401
}
