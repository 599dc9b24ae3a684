#!/usr/bin/env bats
# Swarm: init, nodes, services and their logs, secrets, configs, stacks.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

# One swarm for the file; the tests of init and leave make it new.
test_setup() {
	[ "$(direct info -f '{{.Swarm.LocalNodeState}}')" = active ] || direct swarm init --advertise-addr 127.0.0.1 >/dev/null
}

test_teardown() {
	local ids
	ids=$(direct service ls -q --filter "name=$N" 2>/dev/null) || return 0
	# shellcheck disable=SC2086 # a list of ids
	[ -z "$ids" ] || direct service rm $ids >/dev/null
}

# Ids of swarm objects: 25 letters and digits, 12 of them in tables.
ids='s/\b[0-9a-z]{25}\b/ID/g; s/^[0-9a-z]{12}( [ *])/ID\1/; s/SWMTKN-[0-9a-z-]+/TOKEN/'

@test "swarm init, and leave" {
	NORM=$ids
	for side in direct via; do
		direct swarm leave --force >/dev/null
		$side swarm init --advertise-addr 127.0.0.1 >$side.out
		normal $side.out >$side.normal
	done
	diff -u direct.normal via.normal
	has "$(cat via.out)" 'Swarm initialized: current node .* is now a manager'
	is "$(direct info -f '{{.Swarm.LocalNodeState}}')" active
	via swarm leave --force
	is "$(direct info -f '{{.Swarm.LocalNodeState}}')" inactive
	same service ls
	is "$status" 1
	has "$error" 'not a swarm manager'
}

@test "node ls, inspect, update; swarm join-token, update" {
	NORM=$ids
	same node ls
	has "$output" 'Ready +Active +Leader'
	same node inspect self --format '{{.Spec.Role}} {{.Status.State}}'
	is "$output" 'manager ready'
	node=$(direct node ls -q)
	same node update --label-add one=two "$node"
	is "$output" "$node"
	is "$(direct node inspect self --format '{{.Spec.Labels.one}}')" two
	same swarm join-token worker
	has "$output" 'docker swarm join --token SWMTKN-1-'
	same swarm update --task-history-limit 4
}

@test "service create waits for the tasks; ls, ps, inspect, scale, update, rm" {
	NORM="$ids; s/(overall progress|verify|[0-9]+\/[0-9]+|ID|[1-3]): .*//; s/\r//g"
	via service create --name "$N-v" --replicas 2 "$IMAGE" sleep 600 >created
	has "$(cat created)" 'Service .* converged|Service converged'
	direct service create -d --name "$N-d" --replicas 2 "$IMAGE" sleep 600
	both_run() { [ "$(direct service ps -f desired-state=running --format '{{.CurrentState}}' "$N-d" "$N-v" | grep -c ^Running)" = 4 ]; }
	within 30 both_run
	same service ls --filter "name={}" --format '{{.Name}} {{.Mode}} {{.Replicas}} {{.Image}}'
	is "$output" "$N-v replicated 2/2 busybox:latest"
	same service ps --format '{{.Name}} {{.DesiredState}}' {}
	has "$output" "^$N-v\.2 Running$"
	same service inspect --pretty {}
	has "$output" 'sleep 600'
	same service scale -d {}=1
	has "$output" "$N-v scaled to 1"
	same service update -d --env-add A=b {}
	is "$(direct service inspect -f '{{.Spec.TaskTemplate.ContainerSpec.Env}}' "$N-v")" '[A=b]'
	same service rm {}
	is "$output" "$N-v"
	same service inspect {}
	is "$status" 1
}

@test "service logs, and service logs -f" {
	for side in d v; do
		direct service create -d --name "$N-$side" "$IMAGE" sh -c 'echo line 1; sleep 3; echo line 2; sleep 600'
	done
	background logs ./docker-via service logs --raw -f "$N-v"
	within 30 file_has logs.out 'line 1'
	within 30 file_has logs.out 'line 2'
	[ ! -e logs.rc ]
	both() { [ "$(direct service logs --raw "$N-d" 2>&1 | wc -l)" = 2 ]; }
	within 30 both
	same service logs --raw {}
	is "$output" $'line 1\nline 2'
}

@test "secrets and configs: create from stdin, ls, inspect, seen in a service, rm" {
	NORM=$ids
	for kind in secret config; do
		printf '%s\0content' $kind >in
		STDIN=in
		same $kind create {} -
		has "$output" '^[0-9a-z]{25}$'
		STDIN=/dev/null
		same $kind ls --filter "name={}" --format '{{.Name}}'
		is "$output" "$N-v"
		same $kind inspect {} --format '{{.Spec.Name}}'
		is "$output" "$N-v"
	done
	via service create -d --name "$N-v" --secret "$N-v" --config "source=$N-v,target=/etc/c" "$IMAGE" \
		sh -c "sha256sum </run/secrets/$N-v; sha256sum </etc/c; sleep 600" >/dev/null
	background logs ./docker-via service logs --raw -f "$N-v"
	within 30 file_has logs.out "^$(printf 'secret\0content' | sha)"
	within 30 file_has logs.out "^$(printf 'config\0content' | sha)"
	rc=0
	via secret rm "$N-v" 2>err || rc=$?
	is "$rc" 1
	has "$(cat err)" "is in use by the following service: $N-v"
	via service rm "$N-v"
	same secret rm {}
	is "$output" "$N-v"
	same config rm {}
	is "$status" 0
	same config inspect {}
	is "$status" 1
}

@test "stack deploy, services, ps, rm" {
	printf 'version: "3.8"\nservices:\n  one:\n    image: %s\n    command: sleep 600\n' "$IMAGE" >stack.yml
	NORM=$ids
	same stack deploy --detach=true --resolve-image never -c stack.yml {}
	has "$output" "Creating service $N-v_one"
	same stack services --format '{{.Name}} {{.Mode}}' {}
	is "$output" "$N-v_one replicated"
	# Swarm keeps a network for as long as a task of it is on its way out, and the CLI asks once.
	for side in direct:d via:v; do
		for _ in {1..20}; do
			rc=0
			${side%:*} stack rm "$N-${side#*:}" >out 2>err || rc=$?
			[ "$rc" != 0 ] || break
			has "$(cat err)" 'in use by task|active endpoints'
			sleep 1
		done
		is "$rc" 0
		is "$(${side%:*} service ls -q --filter "name=$N-${side#*:}_one")" ""
	done
}

@test "overlay networks: create, inspect, rm" {
	NORM=$ids
	same network create -d overlay --attachable {}
	has "$output" '^[0-9a-z]{25}$'
	same network inspect --format '{{.Driver}} {{.Scope}} {{.Attachable}}' {}
	is "$output" 'overlay swarm true'
	same network rm {}
	is "$status" 0
}

# The engine takes the beginning of an ID for a network, and the host's network has one.
@test "lesser roles: services on networks, scaled and updated, never on the host's" {
	serve --state "$WORK/state"
	serve_stop
	for role in deploy operate; do
		"$HEADGATE_BIN" token create "$role" --role "$role" --state "$WORK/state" >"secret.$role" 2>err || fail "$(cat err)"
		docker_config "cli.$role" "$(<"secret.$role")"
	done
	serve --state "$WORK/state"
	as() {
		local role=$1
		shift
		rc=0
		DOCKER_CONFIG=$WORK/cli.$role timeout -k 5 "$COMMAND_TIMEOUT" "$DOCKER" -H "tcp://127.0.0.1:$GATE_PORT" \
			--tlsverify --tlscacert "$WORK/state/ca.pem" "$@" >out 2>err </dev/null || rc=$?
	}
	network=net$(od -An -tx4 -N4 /dev/urandom | tr -d ' ')
	direct network create -d overlay --attachable "$network" >/dev/null
	as deploy service create -d --name "$N-v" --network "$network" "$IMAGE" sleep 600
	is "$rc" 0 || fail "$(cat err)"
	as deploy service update -d --replicas 2 "$N-v"
	is "$rc" 0 || fail "$(cat err)"
	as operate service scale -d "$N-v=1"
	is "$rc" 0 || fail "$(cat err)"
	is "$(direct service inspect -f '{{.Spec.Mode.Replicated.Replicas}}' "$N-v")" 1
	for id in $(direct network inspect --scope swarm -f '{{.Id}}' host) $(direct network inspect -f '{{.Id}}' host); do
		for target in "$id" "${id:0:12}" "${id:0:1}" host; do
			printf '{"Name":"%s-d","TaskTemplate":{"ContainerSpec":{"Image":"%s"},"Networks":[{"Target":"%s"}]}}' \
				"$N" "$IMAGE" "$target" >body
			code=$(curl -sS -o said -w '%{http_code}' --max-time 20 --cacert state/ca.pem -H "token: $(<secret.deploy)" \
				-H 'Content-Type: application/json' -d @body "https://127.0.0.1:$GATE_PORT/services/create")
			is "$code" 403 || fail "$target: $(cat said)"
			has "$(cat said)" "which is or could be the host's"
		done
	done
	direct service rm "$N-v" >/dev/null
	within 20 direct network rm "$network"
}
