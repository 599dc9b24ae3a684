#!/usr/bin/env bats
# The SOAJS console: its calls, and its two private routes in the shapes that its old proxy gave.

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

# By address, so without SNI; nothing verified; paths without a version; `createNetwork` has its body in the query, too.
@test "console: its calls, with the role soajs" {
	[ "$(direct info -f '{{.Swarm.ControlAvailable}}')" = true ] || direct swarm init --advertise-addr 127.0.0.1 >/dev/null
	"$HEADGATE_BIN" token create old --role soajs --state state >made 2>/dev/null
	SECRET=$(<made)
	let_in() { [ "$(at /_ping | tail -n 1)" = 200 ]; }
	within 5 let_in
	NODE_TLS_REJECT_UNAUTHORIZED=0 NODE_NO_WARNINGS=1 node - "$GATE_PORT" "$SECRET" "$N" "$IMAGE" >node.out 2>&1 <<-'E' || fail "$(cat node.out)"
		const Docker = require('dockerode'), [port, token, name, image] = process.argv.slice(2);
		const d = new Docker({ protocol: 'https', host: '127.0.0.1', port, headers: { token } });
		const wait = (ms) => new Promise((r) => setTimeout(r, ms));
		(async () => {
			await d.ping();
			await d.info();
			await d.swarmInspect();
			const nodes = await d.listNodes();
			await d.getNode(nodes[0].ID).inspect();
			await d.listNetworks();
			const network = await d.createNetwork({ Name: name, Driver: 'overlay', Attachable: true });
			await d.createSecret({ Name: name, Data: Buffer.from('x').toString('base64') });
			const { ID } = (await d.listSecrets({ filters: { name: [name] } }))[0];
			const spec = { Name: name, TaskTemplate: { ContainerSpec: { Image: image,
				Command: ['sh', '-c', 'echo from the task; sleep 60'],
				Secrets: [{ SecretID: ID, SecretName: name, File: { Name: 'x', UID: '0', GID: '0', Mode: 256 } }] } },
				Mode: { Replicated: { Replicas: 1 } } };
			const service = await d.createService(spec);
			const id = service.id || service.ID;
			let tasks;
			for (let i = 0; i < 300; i++) {
				tasks = await d.listTasks({ filters: { service: [id] } });
				if (tasks.length && tasks[0].Status.State === 'running') break;
				await wait(100);
			}
			let log = '';
			for (let i = 0; i < 100 && !log.includes('from the task'); i++) {
				log = String(await d.getTask(tasks[0].ID).logs({ stdout: true, follow: false }));
				await wait(100);
			}
			console.log(log.includes('from the task') ? 'log' : 'no log of ' + tasks[0].ID + ': ' + log);
			const now = await d.getService(id).inspect();
			await d.getService(id).update({ ...spec, version: now.Version.Index, Mode: { Replicated: { Replicas: 2 } } });
			console.log((await d.listServices({ filters: { id: [id] } }))[0].Spec.Mode.Replicated.Replicas);
			await d.listContainers();
			await d.getService(id).remove();
			for (let i = 0; i < 300; i++) {
				try { await d.getSecret(ID).remove(); break; } catch (e) { if (i === 299) throw e; await wait(100); }
			}
			await network.remove();
			console.log('end');
		})().catch((e) => { console.log(String(e)); process.exit(1); });
	E
	is "$(cat node.out)" 'log
2
end'
	# What its role does not have.
	is "$(at /containers/create -X POST -H 'Content-Type: application/json' -d '{}' | tail -n 1)" 403
}
