#!/usr/bin/env bats
# Clients below the docker CLI: curl, and sockets that send what no library would.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
load common

raw() { timeout 60 /usr/bin/python3 "$E2E_DIR/raw.py" "$@"; }

@test "bytes sent before the 101 of an exec arrive" {
	direct run -d --name "$N-v" "$IMAGE" sleep 600
	raw early-exec "$N-v"
}

@test "bytes sent before the 101 of an attach arrive" {
	direct run -dit --name "$N-v" "$IMAGE" cat
	raw early-attach "$N-v"
}

@test "the old hijack without Upgrade: exec" {
	direct run -d --name "$N-v" "$IMAGE" sleep 600
	raw legacy-exec "$N-v"
}

@test "the old hijack without Upgrade: attach" {
	direct run -dit --name "$N-v" "$IMAGE" cat
	raw legacy-attach "$N-v"
}

@test "the token is checked for every request of a connection" {
	raw keep-alive none
}

@test "a 404 that comes while the body is still on its way: a bare socket" {
	raw early-404 "$N-nothing"
}

@test "a 404 that comes while the body is still on its way: curl, chunked and with a length" {
	random_file body 100
	for how in "-T -" "-T body"; do
		# shellcheck disable=SC2086 # words
		is "$(api "/containers/$N-nothing/archive?path=/tmp" -X PUT -H 'Expect:' $how -o out -w '%{http_code}' <body 2>err || true)" 404
		has "$(cat out)" 'No such container'
	done
	via version >/dev/null
}

@test "Expect: 100-continue, chunked and with a length" {
	prepare run -d --name {} "$IMAGE" sleep 600
	random_file file 20
	tar -c file >body
	for how in "-T -" "-T body"; do
		# shellcheck disable=SC2086 # words
		is "$(api "/containers/$N-v/archive?path=/tmp" -v -X PUT -H 'Expect: 100-continue' -H 'Content-Type: application/x-tar' \
			--expect100-timeout 20 $how -o out -w '%{http_code} %{time_total}' <body 2>err | sed 's/\..*//' |
			awk '{ print $1, ($2 < 15) ? "in time" : "late" }')" "200 in time"
		has "$(cat err)" '< HTTP/1.1 100'
		is "$(direct exec "$N-v" sha256sum /tmp/file | cut -d' ' -f1)" "$(sha <file)"
		direct exec "$N-v" rm /tmp/file
	done
}

@test "Expect: 100-continue and an answer that needs no body" {
	random_file body 20
	is "$(api "/containers/$N-nothing/archive?path=/tmp" -X PUT -H 'Expect: 100-continue' -T body -o out -w '%{http_code}')" 404
	has "$(cat out)" 'No such container'
}

@test "a body with a length that the engine reads whole, and many requests on one connection" {
	direct save "$IMAGE" >body
	has "$(api /images/load -X POST -H 'Content-Type: application/x-tar' -H 'Expect:' -T body)" 'Loaded image'
	for _ in $(seq 50); do printf 'url = "%s/version"\noutput = /dev/null\n' "$URL"; done >list
	is "$(curl -sS --cacert "$CA" -H @<(echo "token: $TOKEN") -w '%{http_code} %{num_connects}\n' -K list | sort | uniq -c |
		tr -s ' ')" $' 49 200 0\n 1 200 1'
}
