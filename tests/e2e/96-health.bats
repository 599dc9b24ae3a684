#!/usr/bin/env bats
# `headgate health` against a headgate that runs, one that has lost its engine, and none.

# shellcheck disable=SC2154,SC2153 # variables that common.bash sets
# shellcheck disable=SC2030,SC2031 # each test is a subshell
load common

test_teardown() {
	for e in "$WORK/e" "$WORK/f"; do "$ENGINE" stop "$e" || true; done
}

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

# on E COMMAND: the docker CLI with that engine.
on() { DOCKER_CONFIG=$DIRECT_CONFIG timeout 60 "$DOCKER" -H "unix://$WORK/$1/docker.sock" "${@:2}"; }
ready() { health --ready --admin "unix://$WORK/admin.sock" && [ "$rc" = 0 ]; }
is_no_manager() { not_ready && [[ $(cat err) =~ in\ a\ swarm\ \(active\),\ and\ no\ manager\ of\ it\ that\ reaches\ its\ leader ]]; }
not_ready() { health --ready --admin "unix://$WORK/admin.sock" && [ "$rc" = 1 ]; }

@test "health: a manager that is demoted, or cut off from the others, is not ready" {
	local e pids=()
	for e in e f; do
		"$ENGINE" start "$SUITE" "$WORK/$e" --bridge=none --iptables=false
		pids+=("$(cut -d' ' -f1 "$WORK/$e/pid")")
	done
	ip link add hg0 netns "${pids[0]}" type veth peer name hg0 netns "${pids[1]}"
	for e in 0 1; do
		nsenter --target "${pids[e]}" --net ip address add "10.99.0.$((e + 1))/24" dev hg0
		nsenter --target "${pids[e]}" --net ip link set hg0 up
	done
	serve --state "$WORK/state" --engine "unix://$WORK/f/docker.sock" --admin "unix://$WORK/admin.sock"
	ready || fail "in no swarm: $(cat err)"
	on e swarm init --advertise-addr 10.99.0.1 >/dev/null
	on f swarm join --token "$(on e swarm join-token -q manager)" --advertise-addr 10.99.0.2 10.99.0.1:2377 >/dev/null
	node=$(on f info -f '{{.Swarm.NodeID}}')
	within 30 ready || fail "$(cat err)"
	# Without the other one it has no majority, and so no leader.
	nsenter --target "${pids[1]}" --net ip link set hg0 down
	within 60 not_ready
	nsenter --target "${pids[1]}" --net ip link set hg0 up
	within 60 ready || fail "$(cat err)"
	on e node demote "$node" >/dev/null
	# Beside other work an engine may also be too slow for a moment, which is another reason.
	within 30 is_no_manager || fail "$(cat err)"
	is "$(on f version -f '{{.Server.Version}}')" "$(on e version -f '{{.Server.Version}}')"
}
