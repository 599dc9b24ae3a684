#!/usr/bin/env bats
# The SOAJS console's two private routes, in the shapes that its old proxy gave.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2030,SC2031 # each test is a subshell
load common

test_setup() {
	serve --state state
	SECRET=$(sed -n 's/^ *\(hg_[0-9a-f]*_[0-9a-f]*\)$/\1/p' serve.out | head -n 1)
}

at() {
	local target=$1
	shift
	curl -sS --max-time 30 --cacert state/ca.pem -H "token: $SECRET" -w '\n%{http_code}' "$@" "https://127.0.0.1:$GATE_PORT$target"
}

@test "console: /metrics has every container of this engine, by name" {
	direct run -d --name "$N-busy" "$IMAGE" sh -c 'while :; do :; done' >/dev/null
	direct run -d --name "$N-idle" "$IMAGE" sleep 600 >/dev/null
	at /metrics >out
	is "$(tail -n 1 out)" 200
	head -n 1 out | python3 -c '
import json, re, sys
all = json.load(sys.stdin)
busy, idle = (all[sys.argv[1] + end] for end in ("-busy", "-idle"))
for one in (busy, idle):
    assert sorted(one) == sorted("cpuPercent memory online_cpus memoryLimit memPercent timestamp blkRead blkWrite netIn netOut".split()), one
    for name in ("cpuPercent", "memPercent"):
        assert re.fullmatch(r"\d+\.\d\d", one[name]), one
    for name in ("memory", "online_cpus", "memoryLimit"):
        assert isinstance(one[name], int) and one[name] > 0, one
    assert re.match(r"2\d{3}-\d\d-\d\dT", one["timestamp"]), one
assert float(busy["cpuPercent"]) > 1 + 4 * float(idle["cpuPercent"]), (busy, idle)  # others have the machine, too
' "$N" >python.out 2>&1 || fail "$(cat python.out out)"
	# The same connection goes on with the engine.
	is "$(curl -sS --max-time 30 --cacert state/ca.pem -H "token: $SECRET" -o /dev/null -o /dev/null -w '%{http_code} ' \
		"https://127.0.0.1:$GATE_PORT/_ping" "https://127.0.0.1:$GATE_PORT/metrics")" '200 200 '
	is "$(at /v1.40/metrics | tail -n 1)" 404
	is "$(at /metrics -X POST -H 'Content-Type: application/json' -d '{}' | tail -n 1)" 200
	SECRET=wrong
	is "$(at /metrics | tail -n 1)" 401
}

# What the console's threads and the engine's watch leave behind is nobody's any more.
@test "console: it is asked nothing when headgate has ended, by a second signal while the engine hangs" {
	"$HEADGATE_BIN" token create seer --role read-env --state state >made 2>&1
	serve_stop
	/usr/bin/python3 "$E2E_DIR/second_signal.py" "$HEADGATE_BIN" "$WORK" "$SECRET" \
		"$(grep -o 'hg_[0-9a-f]*_[0-9a-f]*' made)" >python.out 2>&1 || fail "$(cat python.out)"
}

@test "console: /maintenance calls nobody" {
	is "$(at /maintenance)" '{"error":"One or more parameters are missing. Make sure id, maintenancePort, operation, and network are provided"}
500'
	is "$(at '/maintenance?id=x&maintenancePort=80&operation=reload&network=soajsnet')" '{"error":"The swarm network is not configured properly. Maintenance operations are not available at the moment."}
500'
}

@test "console: lesser roles, and an engine that does not answer" {
	"$HEADGATE_BIN" token create seer --role read --state state >made 2>&1
	"$HEADGATE_BIN" token create old --role soajs --state state >made.soajs 2>&1
	opens() { [ "$(SECRET=$(grep -o 'hg_[0-9a-f]*_[0-9a-f]*' made.soajs) at /metrics | tail -n 1)" = 200 ]; }
	within 5 opens
	is "$(SECRET=$(grep -o 'hg_[0-9a-f]*_[0-9a-f]*' made) at /metrics | tail -n 1)" 403
	serve_stop
	serve --state state --engine unix:///nowhere
	is "$(at /metrics)" '{"error":"Unable to list containers"}
500'
}
