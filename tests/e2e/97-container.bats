#!/usr/bin/env bats
# container/: the image out of the Dockerfile, deploy.sh and the stack, with a real engine. No registry of Alpine's can be
# reached here: `alpine` and its packages are those of tests/support/alpine. One test runs the whole Dockerfile; the
# others, to save time, have what its build stage would make from tests/support/musl.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

TOP=$E2E_DIR/../..
GATE=manager-docker-api

test_setup() {
	mkdir bin
	ln -s ../docker-direct bin/docker
	export PATH=$WORK/bin:$PATH DOCKER_CONFIG=$DIRECT_CONFIG
	# Where dockerd listens is the tests' own choice; deploy.sh looks where it is everywhere.
	"$ENGINE" exec "$ENGINE_DIR" busybox ln -sf /run/engine/docker.sock /run/docker.sock
	[ -n "$(direct images -q headgate:latest)" ] || make_image_of_headgate
	P=$((30000 + RANDOM % 10000))
}

test_teardown() {
	if [ -n "${ENGINE_BEFORE:-}" ]; then
		"$ENGINE" stop "$ENGINE_DIR" || true
		ENGINE_DIR=$ENGINE_BEFORE
	fi
	direct rm -f -v "$GATE" "$GATE-before" >/dev/null 2>&1 || true
	direct volume rm "$GATE" >/dev/null 2>&1 || true
}

# import_alpine ENGINE_SUITE [URL_OF_PACKAGES]
import_alpine() {
	rm -rf alpine
	"$TOP/tests/support/alpine" root "$("$ENGINE" cli "$1" | sed 's,/host/docker$,,')/usr/bin/busybox" alpine "${@:2}"
	tar -C alpine -c . | direct import \
		--change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - alpine:3.22 >/dev/null
}

make_image_of_headgate() {
	"$TOP/tests/support/musl"
	mkdir -p context/out/usr/local/sbin
	strip -o context/out/usr/local/sbin/headgate "$TOP/build/musl/bin/headgate"
	import_alpine "$SUITE"
	(cd "$TOP" && docker buildx build -f container/Dockerfile --build-arg VERSION=test \
		--build-context "build=$WORK/context" -t headgate:latest .) >built 2>&1 || fail "$(cat built)"
}

# From here on everything is about an engine of the test's own, from Debian forky.
use_newest_engine() {
	ENGINE_BEFORE=$ENGINE_DIR ENGINE_DIR=$WORK/e DIRECT_CONFIG=$WORK/config
	"$ENGINE" start forky "$ENGINE_DIR" 2>start.err || fail "$(cat start.err)"
	DOCKER=$("$ENGINE" cli forky)
	docker_config "$DIRECT_CONFIG"
	export DOCKER_CONFIG=$DIRECT_CONFIG
	docker_programs "$WORK"
	"$ENGINE" exec "$ENGINE_DIR" busybox ln -sf /run/engine/docker.sock /run/docker.sock
}

# deploy [ARGUMENTS]: out, err, rc. SHELL_OF: another shell.
deploy() {
	rc=0
	# shellcheck disable=SC2086 # a command and its arguments
	timeout 120 ${SHELL_OF:-dash} "$TOP/container/deploy.sh" "$@" >out 2>err </dev/null || rc=$?
}

deployed() {
	deploy --standalone --port "$P" "$@"
	is "$rc" 0 || fail "$(cat out err)" "$(direct logs "$GATE" 2>&1 | tail -n 5)"
}

# The network of the engine, where the port is published.
inside() { nsenter --target "$(cut -d' ' -f1 "$ENGINE_DIR/pid")" --net "$@"; }

# The same in the background, where the process itself has to be the one that is killed: exec_inside ... &
exec_inside() { exec nsenter --target "$(cut -d' ' -f1 "$ENGINE_DIR/pid")" --net "$@"; }

secret() { grep -o 'hg_[0-9a-f]*_[0-9a-f]*' out; }

# ping SECRET: the status code.
ping() {
	direct cp "$GATE:/var/lib/headgate/ca.pem" ca.pem 2>/dev/null
	inside curl -sS -o /dev/null -w '%{http_code}' --max-time 20 --cacert ca.pem -H "token: $1" "https://127.0.0.1:$P/_ping" 2>&1 ||
		true
}

of_container() { direct container inspect -f "$1" "$GATE"; }

@test "container: one command, then the docker CLI and dockerode with the token it printed" {
	deployed
	is "$(sed -n 1,3p out)" "$(printf 'cleaning up old manager container\nDeploying new manager container...\nmanager container deployed')"
	has "$(cat out)" '^\* Use the following Token to connect to your docker deployment:$'
	is "$(awk 'length > 80' out err)" ""
	[ -e /sys/module/tls ] || has "$(cat err)" "^note: the kernel's tls module is not loaded"
	token=$(secret)
	# The words it printed.
	direct cp "$GATE:/var/lib/headgate/ca.pem" . 2>/dev/null
	docker_config cli "$token"
	version=$(DOCKER_CONFIG=$WORK/cli inside "$DOCKER" -H "tcp://127.0.0.1:$P" --tlsverify --tlscacert ca.pem version -f '{{.Server.Version}}')
	is "$version" "$(direct version -f '{{.Server.Version}}')"
	is "$(DOCKER_CONFIG=$WORK/cli inside "$DOCKER" -H "tcp://127.0.0.1:$P" --tlsverify --tlscacert ca.pem run --rm "$IMAGE" echo through)" through
	NODE_PATH=$NODE_PATH inside node -e '
		const Docker = require("dockerode"), [port, token] = process.argv.slice(1);
		new Docker({ protocol: "https", host: "127.0.0.1", port, ca: require("fs").readFileSync("ca.pem"), headers: { token } })
			.version().then((v) => console.log(v.Version), (e) => { console.log(String(e)); process.exit(1); });' "$P" "$token" >node.out
	is "$(cat node.out)" "$version"
	is "$(ping wrong)" 401
	# The original's way to see it again, and this one's.
	has "$(of_container '{{.Config.Env}}')" "DOCKER_API_TOKEN=$token"
	deploy token
	is "$(cat out)" "$token"
	deploy status
	is "$rc" 0
	has "$(cat out)" '^ready +yes$'
	is "$(of_container '{{.HostConfig.RestartPolicy.Name}}')" always
	healthy() { [ "$(of_container '{{.State.Health.Status}}')" = healthy ]; }
	within 25 healthy
	deploy remove
	is "$rc" 0
	is "$(direct ps -aq --filter "name=$GATE")" ""
	[ -n "$(direct volume ls -q --filter "name=$GATE")" ]
	deploy remove --all
	is "$(direct volume ls -q --filter "name=$GATE")" ""
	deploy status
	is "$rc" 1
	has "$(cat err)" 'there is no container manager-docker-api; deploy it first$'
}

@test "container: not root, nothing to write, no capabilities; io_uring by our profile, epoll by Docker's" {
	deployed
	has "$(direct logs "$GATE" 2>&1)" 'listening on .* events by uring,'
	has "$(direct logs "$GATE" 2>&1)" 'sandbox: files, ports and system calls are limited$'
	direct exec "$GATE" cat /proc/1/status >status
	has "$(cat status)" '^Uid:.2376.2376.2376.2376$'
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do has "$(cat status)" "^$set:.0000000000000000$"; done
	has "$(cat status)" '^NoNewPrivs:.1$'
	has "$(cat status)" '^Seccomp:.2$'
	direct exec "$GATE" sh -c 'echo x >/etc/x' 2>err && fail "it could write"
	has "$(cat err)" 'Read-only file system'
	is "$(of_container '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}')" '1073741824 0 512'
	# What the program never does is refused.
	direct exec "$GATE" busybox unshare -U true 2>err && fail "namespaces can be made"
	has "$(cat err)" 'Operation not permitted'
	[ "$(direct image inspect -f '{{.Size}}' headgate:latest)" -lt 15000000 ]
	is "$(inside curl -sS -o /dev/null -w '%{http_code}' --max-time 20 -k -H "token: $(secret)" "https://127.0.0.1:$P/metrics")" 200
	deployed --seccomp default --memory 200m --cpus 0.5
	has "$(direct logs "$GATE" 2>&1)" 'listening on .* events by epoll,'
	has "$(direct logs "$GATE" 2>&1)" 'sandbox: files, ports and system calls are limited$'
	is "$(ping "$(secret)")" 200
	is "$(of_container '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}')" '209715200 500000000'
}

# Each leg has its half: the build takes a while.
@test "container: Docker 28.5 or later: the Dockerfile as it stands, checked and built; io_uring by our profile, epoll by Docker's" {
	direct save -o image.tar headgate:latest
	use_newest_engine
	echo "# $(direct version -f '{{.Server.Version}}')"
	if [ "$EVENT" = epoll ]; then
		direct load -q -i image.tar
		deployed --seccomp default
		has "$(direct logs "$GATE" 2>&1)" 'listening on .* events by epoll,'
		is "$(ping "$(secret)")" 200
		return
	fi
	gateway=$(direct network inspect bridge -f '{{(index .IPAM.Config 0).Gateway}}')
	exec_inside python3 -m http.server --bind "$gateway" --directory "$("$TOP/tests/support/alpine" packages)" 8000 >http.out 2>&1 3>&- 4>&- &
	BACKGROUND+=($!)
	within 5 inside bash -c "exec 3<>/dev/tcp/$gateway/8000"
	import_alpine forky "http://$gateway:8000"
	# A check that finds something, a package that Alpine does not have: what these say of ours is worth something.
	printf 'FROM alpine:3.22\nCMD echo\n' >Dockerfile.bad
	fails docker build --check -f Dockerfile.bad . >checked 2>&1
	has "$(cat checked)" JSONArgsRecommended
	printf 'FROM alpine:3.22\nRUN apk add --no-cache no-such\n' >Dockerfile.bad
	fails docker build -f Dockerfile.bad . >built 2>&1
	has "$(cat built)" 'no-such \(no such package\)'
	docker build --check -f "$TOP/container/Dockerfile" "$TOP" >checked 2>&1 || fail "$(cat checked)"
	has "$(cat checked)" 'Check complete, no warnings found\.'
	docker build --progress plain -f "$TOP/container/Dockerfile" --build-arg VERSION=test -t headgate:latest "$TOP" >built 2>&1 ||
		fail "$(grep -v ' CC ' built)"
	# The shared libraries of what it was linked with.
	is "$(direct run --rm --entrypoint cat headgate:latest /lib/apk/db/installed | sort | tr '\n' ' ')" \
		'P:jansson P:libbsd P:libcrypto3 P:libseccomp P:libssl3 P:liburing '
	is "$(direct run --rm --read-only --cap-drop ALL headgate:latest --version)" 'headgate test'
	is "$(direct image inspect -f '{{.Config.User}} {{.Config.Healthcheck.Test}} {{.Config.StopSignal}}' headgate:latest)" \
		'2376:2376 [CMD headgate health] SIGTERM'
	is "$(direct image inspect -f '{{range $k, $v := .Config.Labels}}{{$k}} {{end}}' headgate:latest)" \
		'org.opencontainers.image.description org.opencontainers.image.licenses org.opencontainers.image.title org.opencontainers.image.version '
	deployed
	has "$(direct logs "$GATE" 2>&1)" 'listening on .* events by uring,'
	is "$(ping "$(secret)")" 200
}

@test "container: again keeps the token, --rotate and --token-file do not; CA and shells" {
	# The container of the system before: its token goes on.
	old=$(openssl rand -hex 512)
	DOCKER_API_TOKEN=$old direct run -d --name "$GATE" --restart=always -e DOCKER_API_TOKEN -e NODE_TYPE=manager -p "$P:2376" \
		"$IMAGE" sleep 600 >/dev/null
	deployed --bind 127.0.0.1
	has "$(cat out)" "^$old$"
	is "$(ping "$old")" 200
	is "$(direct ps -aq --filter "name=$GATE" | wc -l)" 1
	is "$(of_container '{{(index (index .NetworkSettings.Ports "2376/tcp") 0).HostIp}}')" 127.0.0.1
	deployed --rotate
	first=$(secret)
	is "$(ping "$old")" 401
	direct cp "$GATE:/var/lib/headgate/ca.pem" ca.first 2>/dev/null
	SHELL_OF=bash deployed
	is "$(secret)" "$first"
	has "$(cat err)" 'the token is the one before; --rotate makes a new one'
	SHELL_OF="$("$ENGINE" cli "$SUITE" | sed 's,/host/docker$,,')/usr/bin/busybox sh" deployed --rotate
	second=$(secret)
	fails test "$first" = "$second"
	is "$(ping "$first") $(ping "$second")" '401 200'
	cmp ca.first ca.pem
	printf 'mine-%s' "$N" >token
	deployed --token-file token --print-token no --admin "127.0.0.1:$((P + 1))"
	fails grep -F "mine-$N" out err
	is "$(ping "mine-$N")" 200
	# For a load balancer, without a token; the engine stands alone, so it is no manager.
	is "$(inside curl -sS -o /dev/null -w '%{http_code}' --max-time 20 "http://127.0.0.1:$((P + 1))/health" 2>&1)" 200
	has "$(inside curl -sS --max-time 20 "http://127.0.0.1:$((P + 1))/ready" 2>&1)" .
	deploy --admin 9323
	is "$rc" 2
}

@test "container: sealed keeps the digest alone" {
	deployed --sealed
	first=$(secret)
	fails has "$(of_container '{{.Config.Env}}')" DOCKER_API_TOKEN 2>/dev/null
	is "$(ping "$first")" 200
	deployed # and it stays sealed
	has "$(cat err)" 'sealed, as before'
	fails has "$(of_container '{{.Config.Env}}')" DOCKER_API_TOKEN 2>/dev/null
	is "$(secret || true)" ""
	is "$(ping "$first")" 200
	deploy token
	second=$(secret)
	opens() { [ "$(ping "$second")" = 200 ]; }
	within 3 opens
	is "$(ping "$first")" 401
	# A rotation that comes to nothing leaves the token as it was.
	deploy --standalone --port "$P" --sealed --rotate --engine tcp://127.0.0.1:1 --wait 2
	is "$rc" 1
	within 5 opens
	deployed --sealed --rotate
	first=$second second=$(secret)
	within 3 opens
	is "$(ping "$first")" 401
}

@test "container: what fails says why, and the one before goes on" {
	deployed
	first=$(secret) id=$(of_container '{{.Id}}')
	before() { is "$rc" 1 && is "$(of_container '{{.Id}}')" "$id" && is "$(of_container '{{.State.Running}}')" true; }
	# The port of another.
	exec_inside python3 -c 'import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("0.0.0.0", 29999)); s.listen(); time.sleep(60)' 3>&- 4>&- &
	BACKGROUND+=($!)
	within 5 inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/29999'
	deploy --standalone --port 29999
	before
	has "$(cat err)" 'port 29999 is in use on this host; stop what uses it, or give --port; the container before runs again$'
	direct run -d --name "$N-d" -p 29998:80 "$IMAGE" sleep 60 >/dev/null
	deploy --standalone --port 29998
	before
	has "$(cat err)" 'port 29998 is in use on this host; stop what uses it, or give --port; the container before runs again$'
	# An image that is not there, and one that ends at once.
	deploy --standalone --port "$P" --image headgate:nothing
	before
	has "$(cat err)" 'there is no image headgate:nothing'
	printf 'FROM headgate:latest\nENTRYPOINT ["sh", "-c", "echo cannot go on >&2; exit 3"]\n' |
		docker buildx build -t headgate:broken - >/dev/null 2>&1
	deploy --standalone --port "$P" --image headgate:broken
	before
	has "$(cat err)" 'the new container has ended: cannot go on; the container before runs again$'
	# No random numbers: a token that everybody knows would be worse than none.
	for program in od openssl; do printf '#!/bin/sh\nexit 1\n' >"bin/$program" && chmod 755 "bin/$program"; done
	deploy --standalone --port "$P" --rotate
	before
	has "$(cat err)" 'no random numbers'
	rm bin/od bin/openssl
	# An engine that does not answer.
	deploy --standalone --port "$P" --engine tcp://127.0.0.1:1 --wait 2
	before
	has "$(cat err)" 'not ready after 2 s: .*cannot reach the Docker Engine at tcp://127.0.0.1:1'
	is "$(ping "$first")" 200
	is "$(direct ps -aq --filter "name=$GATE" | wc -l)" 1
	# No swarm, no engine, wrong options.
	[ "$(direct info -f '{{.Swarm.LocalNodeState}}')" = inactive ] || direct swarm leave --force >/dev/null
	deploy --port "$P"
	before
	has "$(cat err)" "this engine is no swarm manager; run 'docker swarm init', or give --standalone$"
	deploy swarm
	has "$(cat err)" "this engine is no swarm manager; run 'docker swarm init'$"
	rc=0
	env PATH=/nowhere "$(command -v dash)" "$TOP/container/deploy.sh" >out 2>err || rc=$?
	is "$rc $(cat err)" '1 deploy.sh: there is no docker command; install the docker CLI'
	printf '#!/bin/sh\nexec "%s" -H unix:///nowhere "$@"\n' "$DOCKER" >bin/docker.none
	chmod 755 bin/docker.none
	mv bin/docker bin/docker.real && cp bin/docker.none bin/docker
	deploy --port "$P"
	is "$rc" 1
	has "$(cat err)" '^deploy\.sh: the Docker Engine does not answer: '
	for bad in '--port x' '--port 70000' '--nonsense 1' 'fly' '--port' '--print-token maybe' '--memory much' '--cpus 1.2.3'; do
		# shellcheck disable=SC2086 # words
		deploy $bad
		is "$rc" 2
		has "$(cat err)" "try 'deploy.sh --help'$"
	done
}

@test "container: what a killed or hopeless deployment leaves" {
	deployed
	first=$(secret) id=$(of_container '{{.Id}}')
	# Killed between rename and start: the next one takes the container before up again, its token too.
	direct rename "$GATE" "$GATE-before"
	direct stop -t 1 "$GATE-before" >/dev/null
	deploy --standalone --port "$P" --image headgate:nothing
	is "$rc" 1
	deploy --standalone --port "$P" --engine tcp://127.0.0.1:1 --wait 2
	is "$rc" 1
	has "$(cat err)" 'a deployment was broken off: the container before it is back'
	is "$(of_container '{{.Id}} {{.State.Running}}')" "$id true"
	direct rename "$GATE" "$GATE-before"
	direct stop -t 1 "$GATE-before" >/dev/null
	deployed
	is "$(secret)" "$first"
	is "$(ping "$first")" 200
	is "$(direct ps -aq --filter "name=$GATE" | wc -l)" 1
	# One that cannot be renamed stays as it is.
	id=$(of_container '{{.Id}}')
	mv bin/docker bin/docker.real
	printf '#!/bin/sh\n[ "$1" != rename ] || exit 1\nexec "%s" "$@"\n' "$WORK/bin/docker.real" >bin/docker
	chmod 755 bin/docker
	deploy --standalone --port "$P"
	mv bin/docker.real bin/docker
	is "$rc" 1
	has "$(cat err)" 'the old container cannot be renamed$'
	is "$(of_container '{{.Id}} {{.State.Running}}')" "$id true"
	# Certificates that are not there are noticed while everything still runs.
	id=$(of_container '{{.Id}}')
	deploy --standalone --port "$P" --engine tls://127.0.0.1:1 --engine-cert-dir "$WORK/none"
	is "$rc" 1
	has "$(cat err)" 'none/ca\.pem: cannot be read$'
	is "$(of_container '{{.Id}} {{.State.Running}}')" "$id true"
}

# certificate NAME EXTENSIONS: NAME.pem and NAME-key.pem, signed by ca.pem.
certificate() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1-key.pem" -out "$1.csr" 2>/dev/null
	printf '%s\n' "$2" >"$1.ext"
	openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}

@test "container: in front of an engine elsewhere, by TLS and a client certificate" {
	gateway=$(direct network inspect bridge -f '{{(index .IPAM.Config 0).Gateway}}')
	Q=$((40000 + RANDOM % 10000))
	mkdir tls client
	(
		cd tls
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca-key.pem -out ca.pem 2>/dev/null
		certificate server "subjectAltName=IP:$gateway"
		certificate client extendedKeyUsage=clientAuth
		cp ca.pem ../client/ca.pem
		cp client.pem ../client/cert.pem
		cp client-key.pem ../client/key.pem
	)
	chmod 600 client/key.pem
	exec_inside python3 "$E2E_DIR/tls_engine.py" tls "$ENGINE_DIR/docker.sock" "$gateway" "$Q" >tls.out 2>&1 3>&- 4>&- &
	BACKGROUND+=($!)
	within 5 file_has tls.out '^ready$'
	deployed --engine "tls://$gateway:$Q" --engine-cert-dir client
	token=$(secret)
	is "$(ping "$token")" 200
	fails has "$(of_container '{{.HostConfig.Mounts}}')" docker.sock 2>/dev/null
	docker_config cli "$token"
	is "$(DOCKER_CONFIG=$WORK/cli inside "$DOCKER" -H "tcp://127.0.0.1:$P" --tlsverify --tlscacert ca.pem run --rm "$IMAGE" echo through)" through
	# Without a certificate, and with one that the engine does not know.
	deploy --standalone --port "$P" --engine "tls://$gateway:$Q"
	is "$rc" 2
	has "$(cat err)" 'needs --engine-cert-dir'
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other -keyout client/key.pem -out client/cert.pem 2>/dev/null
	deploy --standalone --port "$P" --engine "tls://$gateway:$Q" --engine-cert-dir client --wait 2
	is "$rc" 1
	has "$(cat err)" "not ready after 2 s: .*$Q"
	# The one before has its own certificate still.
	is "$(ping "$token")" 200
	cp tls/client.pem client/cert.pem
	cp tls/client-key.pem client/key.pem
	deployed --engine "tls://$gateway:$Q" --engine-cert-dir client
	is "$(direct exec "$GATE" sh -c 'echo /var/lib/headgate/engine*')" "$(of_container '{{range .Config.Env}}{{println .}}{{end}}' |
		sed -n 's/^HEADGATE_ENGINE_CERT_DIR=//p')"
}

@test "container: lesser roles are kept from headgate's own" {
	deployed
	id=$(of_container '{{.Id}}')
	direct exec "$GATE" headgate token create wide --role deploy >secret.deploy 2>err || fail "$(cat err)"
	direct exec "$GATE" headgate token create seer --role read-env >secret.read 2>err || fail "$(cat err)"
	direct exec "$GATE" headgate token create hand --role operate >secret.operate 2>err || fail "$(cat err)"
	direct cp "$GATE:/var/lib/headgate/ca.pem" ca.pem 2>/dev/null
	as() {
		local role=$1
		shift
		docker_config "cli.$role" "$(<"secret.$role")"
		rc=0
		DOCKER_CONFIG=$WORK/cli.$role inside timeout 30 "$DOCKER" -H "tcp://127.0.0.1:$P" --tlsverify --tlscacert ca.pem \
			"$@" >out 2>err </dev/null || rc=$?
	}
	ready() { as read version && [ "$rc" = 0 ]; }
	within 3 ready
	direct run -d --name "$N-d" -e WORD=other "$IMAGE" sleep 60 >/dev/null
	as read inspect "$N-d"
	is "$rc" 0
	has "$(cat out)" WORD=other
	for name in "$GATE" "$id" "${id:0:12}" "${id:0:5}"; do
		as read inspect --type container "$name"
		is "$rc" 1
		has "$(cat err)" "headgate's own, for tokens with the role admin alone"
		as operate stop "$name"
		has "$(cat err)" "headgate's own"
	done
	for mount in "-v $GATE:/x" "--mount type=volume,src=$GATE,dst=/x"; do
		# shellcheck disable=SC2086 # words
		as deploy run --rm $mount "$IMAGE" cat /x/ca-key.pem
		fails test "$rc" = 0
		has "$(cat err)" "headgate's own volume"
	done
	as deploy run --rm -v "$N-v:/x" "$IMAGE" true
	is "$rc" 0 || fail "$(cat err)"
	# A link shows the environment, and gives the container another name.
	for name in "$GATE" "$id" "${id:0:5}"; do
		as deploy run --rm --link "$name:hg" "$IMAGE" env
		fails test "$rc" = 0
		has "$(cat err)" "headgate's own container"
	done
	as deploy run --rm --link "$N-d:other" "$IMAGE" env
	is "$rc" 0 || fail "$(cat err)"
	as deploy network disconnect -f bridge "$GATE"
	has "$(cat err)" "headgate's own container"
	is "$(ping "$(<secret.deploy)")" 200
	# What bears its name would be taken for the container before by the next deployment.
	as deploy create --name "$GATE-before" "$IMAGE" true
	has "$(cat err)" "headgate's own"
	as deploy rename "$N-d" "$GATE-before"
	has "$(cat err)" "headgate's own"
	# The container before, while deploy.sh waits for the new one, and by its ID as soon as the engine was asked.
	before=$(direct create --name "$GATE-before" -e DOCKER_API_TOKEN=old "$IMAGE" true)
	as read inspect "$GATE-before"
	has "$(cat err)" "headgate's own"
	maker=$(direct create --name "$GATE-maker" "$IMAGE" true)
	hidden() { as read inspect "${1:0:12}" && [ "$rc" = 1 ] && grep -q "headgate's own" err; }
	within 10 hidden "$before"
	within 10 hidden "$maker"
	direct rm "$maker" >/dev/null
	direct volume rm "$N-v" >/dev/null
}

# With the token `wide`, whose role can create services.
lesser_roles_and_the_stack() {
	local key key_name service task it
	docker_config cli.wide "$(<secret.wide)"
	wide() {
		rc=0
		DOCKER_CONFIG=$WORK/cli.wide inside timeout 60 "$DOCKER" -H "tcp://localhost:$P" --tlsverify --tlscacert state/ca.pem \
			"$@" >out 2>err </dev/null || rc=$?
	}
	# post TARGET BODY: the status code; the answer is in `answer`.
	post() {
		inside curl -sS -o answer -w '%{http_code}' --max-time 20 --cacert state/ca.pem -H "token: $(<secret.wide)" \
			-H 'Content-Type: application/json' -d "$2" "https://localhost:$P$1"
	}
	key=$(direct secret ls -q --filter name=headgate_key | head -n 1)
	key_name=$(direct secret inspect -f '{{.Spec.Name}}' "$key")
	service=$(direct service inspect -f '{{.ID}}' headgate_gate)
	task=$(direct service ps -q --no-trunc headgate_gate | head -n 1)
	# Its secrets are not given to another service, by whatever name; the engine itself compares name and ID.
	for it in $(direct secret ls --filter name=headgate_ --format '{{.Name}}'); do
		wide service create --detach --name "$N-thief" --secret "$it" "$IMAGE" cat "/run/secrets/$it"
		is "$rc" 1
		has "$(cat err)" "headgate's own secret $it"
	done
	has "$it" '^headgate_'
	spec() {
		printf '{"Name":"%s","TaskTemplate":{"ContainerSpec":{"Image":"%s","Secrets":[{"SecretID":"%s","SecretName":"%s",
			"File":{"Name":"x","UID":"0","GID":"0","Mode":256}}]}}}' "$N-thief" "$IMAGE" "$1" "$2"
	}
	is "$(post /services/create "$(spec "$key" "$key_name")")" 403
	is "$(post /services/create "$(spec "$key" other)")" 403
	is "$(curl -sS -o answer -w '%{http_code}' --unix-socket "$ENGINE_DIR/docker.sock" -H 'Content-Type: application/json' \
		-d "$(spec "$key" other)" http://engine/services/create)" 400
	has "$(cat answer)" 'secret not found: other'
	is "$(direct service ls -q --filter "name=$N-thief")" ""
	# Nor is its port: clients would send their tokens there.
	wide service create --detach --name "$N-thief" --publish "$P:80" "$IMAGE" sleep 60
	is "$rc" 1
	has "$(cat err)" "headgate's own port"
	# The service itself, its tasks and its secrets, by name and by ID.
	wide service ls --filter name=headgate_gate --format '{{.Name}}'
	is "$(cat out)" headgate_gate
	for it in headgate_gate "$service" "${service:0:6}"; do
		wide service inspect "$it"
		is "$rc" 1
		has "$(cat err)" "headgate's own"
		wide service rm "$it"
		is "$rc" 1
		has "$(cat err)" "headgate's own"
	done
	is "$(post "/services/$service/update?version=1" '{"Name":"headgate_gate"}')" 403
	for it in "$task" "${task:0:12}"; do
		wide inspect --type task "$it"
		has "$(cat err)" "headgate's own"
	done
	for it in "$key" "$key_name" "${key:0:8}"; do
		wide secret inspect "$it"
		has "$(cat err)" "headgate's own"
	done
	is "$(post /secrets/create '{"Name":"headgate_tokens_1","Data":"eA=="}')" 403
	# Others are his to use.
	printf x >value
	wide secret create "$N-s" value
	is "$rc" 0 || fail "$(cat err)"
	wide service create --detach --name "$N-other" --secret "$N-s" "$IMAGE" sleep 60
	is "$rc" 0 || fail "$(cat err)"
	wide service inspect "$N-other"
	is "$rc" 0 || fail "$(cat err)"
	wide service rm "$N-other"
	is "$rc" 0 || fail "$(cat err)"
	removed() { direct secret rm "$N-s"; }
	within 20 removed
}

@test "container: a swarm, and an update while a log is followed" {
	[ "$(direct info -f '{{.Swarm.ControlAvailable}}')" = true ] || direct swarm init --advertise-addr 127.0.0.1 >/dev/null
	deploy swarm --port "$P" --state "$WORK/state" --san localhost
	is "$rc" 0 || fail "$(cat out err)" "$(direct service ps --no-trunc headgate_gate 2>&1)"
	token=$(secret)
	docker_config cli "$token"
	is "$(direct service inspect -f '{{with .Spec.TaskTemplate.Resources.Limits}}{{.MemoryBytes}} {{.NanoCPUs}} {{.Pids}}{{end}}' \
		headgate_gate)" '1073741824 0 512'
	cli() { DOCKER_CONFIG=$WORK/cli inside "$DOCKER" -H "tcp://localhost:$P" --tlsverify --tlscacert state/ca.pem "$@"; }
	has "$(cli node ls)" 'Leader'
	direct run -d --name "$N-d" "$IMAGE" sh -c 'for i in $(seq 60); do echo "line $i"; sleep 0.2; done' >/dev/null
	cli logs -f "$N-d" >followed 2>&1 3>&- 4>&- &
	follower=$!
	within 10 file_has followed '^line 3$'
	"$TOP/build/release/headgate" token create wide --role deploy --state "$WORK/state" >secret.wide 2>err || fail "$(cat err)"
	# Another certificate: the old task drains, the log with it, and is not cut.
	deploy swarm --port "$P" --state "$WORK/state" --san other.example --wait 90
	is "$rc" 0 || fail "$(cat out err)" "$(direct service ps --no-trunc headgate_gate 2>&1)"
	has "$(cat err)" 'the token is the one before'
	wait "$follower"
	is "$(tail -n 1 followed)" 'line 60'
	is "$(wc -l <followed)" 60
	is "$(cli version -f '{{.Server.Version}}')" "$(direct version -f '{{.Server.Version}}')"
	has "$(openssl x509 -in state/server.pem -noout -ext subjectAltName)" 'DNS:other\.example'
	is "$(stat -c %a state/ca-key.pem state/server-key.pem state/tokens | sort -u)" 600
	lesser_roles_and_the_stack
	# --rotate is about the one token; what the maker said is in no log.
	"$TOP/build/release/headgate" token create ci --role build --state "$WORK/state" >/dev/null 2>&1
	deploy swarm --port "$P" --state "$WORK/state" --rotate --wait 90
	is "$rc" 0 || fail "$(cat out err)"
	fails test "$(secret)" = "$token"
	has "$(cat state/tokens)" '\bci\b'
	docker_config cli "$(secret)"
	is "$(cli version -f '{{.Server.Version}}')" "$(direct version -f '{{.Server.Version}}')"
	is "$(direct service inspect -f '{{.Spec.TaskTemplate.ContainerSpec.Image}}' headgate_gate)" \
		"$(direct image inspect -f '{{.Id}}' headgate:latest)"
	# "network ... is in use by task": docker takes the network away before the engine has ended the tasks.
	within 60 direct stack rm headgate
	gone() { [ -z "$(direct ps -q --filter name=headgate_gate)" ]; }
	within 60 gone
	for s in $(direct secret ls -q --filter name=headgate_); do direct secret rm "$s" >/dev/null; done
}
