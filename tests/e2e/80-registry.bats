#!/usr/bin/env bats
# push and pull against a registry on the loopback of the engine's own network.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
load common

test_setup() {
	PORT_R=$((20000 + RANDOM % 10000))
	cat >"$ENGINE_DIR/$N.yml" <<-E
		version: 0.1
		log: {level: error}
		storage: {filesystem: {rootdirectory: /tmp/$N}}
		http: {addr: "127.0.0.1:$PORT_R"}
	E
	"$ENGINE" exec "$ENGINE_DIR" docker-registry serve "/run/engine/$N.yml" >registry.log 2>&1 3>&- 4>&- &
	BACKGROUND+=($!)
	within 20 "$ENGINE" exec "$ENGINE_DIR" busybox wget -q -O /dev/null "http://127.0.0.1:$PORT_R/v2/"
	R=127.0.0.1:$PORT_R
}

test_teardown() { rm -f "$ENGINE_DIR/$N.yml"; }

@test "push, pull, and the digests" {
	direct tag "$IMAGE" "$R/i:d"
	direct tag "$IMAGE" "$R/i:v"
	NORM="s,$R/i:[dv],IMAGE,g; s,i:[dv]\b,IMAGE,g; s/^[dv]: (digest|Pulling)/X: \1/; s/(Pushed|Layer already exists|Preparing|Waiting|Pushing|Pulling fs layer|Already exists|Download complete|Pull complete|Verifying Checksum|Downloading|Extracting).*//; /^ID: *$/d"
	via push "$R/i:v" >v.out
	direct push "$R/i:d" >d.out
	diff -u <(normal d.out) <(normal v.out)
	digest=$(sed -n 's/.*digest: \(sha256:[0-9a-f]*\) .*/\1/p' v.out)
	is "$digest" "$(sed -n 's/.*digest: \(sha256:[0-9a-f]*\) .*/\1/p' d.out)"
	has "$digest" '^sha256:[0-9a-f]{64}$'
	direct rmi "$R/i:v" "$R/i:d"
	via pull "$R/i:v" >v.out
	direct pull "$R/i:d" >d.out
	diff -u <(normal d.out) <(normal v.out)
	has "$(cat v.out)" "Digest: $digest"
	is "$(via image inspect -f '{{.Id}}' "$R/i:v")" "$(direct image inspect -f '{{.Id}}' "$IMAGE")"
	direct rmi "$R/i:v" "$R/i:d"
}

@test "a layer of 60 MB there and back" {
	mkdir big
	random_file big/data 60
	tar -c -C big . | direct import - "$R/big:v"
	id=$(direct image inspect -f '{{.Id}}' "$R/big:v")
	via push "$R/big:v"
	direct rmi "$R/big:v"
	via pull -q "$R/big:v"
	is "$(direct image inspect -f '{{.Id}}' "$R/big:v")" "$id"
	direct rmi "$R/big:v"
}

@test "pull and push of what is not there" {
	same pull "$R/nothing:x"
	is "$status" 1
	has "$error" 'not found|manifest unknown'
	same push "$R/nothing:x"
	is "$status" 1
	has "$error" 'does not exist'
}

# A pipeline's token: it builds, pushes and pulls, and gets into no container.
@test "a token with the role build: builds and pushes, cannot exec or run" {
	serve --state "$WORK/state"
	"$HEADGATE_BIN" token create ci --role build --state "$WORK/state" >secret 2>err || fail "$(cat err)"
	docker_config cli "$(<secret)"
	ci() {
		rc=0
		DOCKER_CONFIG=$WORK/cli timeout -k 5 "$COMMAND_TIMEOUT" "$DOCKER" -H "tcp://127.0.0.1:$GATE_PORT" \
			--tlsverify --tlscacert "$WORK/state/ca.pem" "$@" >out 2>err <"$STDIN" || rc=$?
	}
	ready() { ci version && [ "$rc" = 0 ]; }
	within 3 ready
	mkdir context
	printf 'FROM %s\nCOPY word /word\n' "$IMAGE" >context/Dockerfile
	echo "$N" >context/word
	export DOCKER_BUILDKIT=0
	ci build -t "$R/built:v" context
	is "$rc" 0 || fail "$(cat err)"
	ci push "$R/built:v"
	is "$rc" 0 || fail "$(cat err)"
	direct rmi "$R/built:v"
	ci pull "$R/built:v"
	is "$rc" 0 || fail "$(cat err)"
	is "$(direct run --rm --name "$N-d" "$R/built:v" cat /word)" "$N"
	direct run -d --name "$N-v" "$IMAGE" sleep 60 >/dev/null
	ci exec "$N-v" id
	is "$rc" 1
	has "$(cat err)" "the right '(exec-create|container-inspect)'"
	ci run --rm "$IMAGE" id
	has "$(cat err)" "the right 'container-create'"
	ci cp "$N-v:/etc/passwd" -
	fails test "$rc" = 0
	is "$(cat out)" ""
	direct rmi "$R/built:v"
}
