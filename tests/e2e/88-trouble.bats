#!/usr/bin/env bats
# The engine is away, not to be reached, dies in the middle, comes back; and engines over tcp:// and tls://.
#
# Each test has a headgate of its own, and an engine of its own where one has to die.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2030,SC2031 # each test is a subshell
load common

test_setup() {
	PROXY_PREFIX=()
	E=$WORK/e
	mkdir "$E"
}

test_teardown() {
	local failed=0
	proxy_stop "$WORK/p" || failed=1
	"$ENGINE" stop "$E"
	# For the rest of the clean-up.
	ENGINE_DIR=$LEG/engine
	return "$failed"
}

# trouble WORDS: an answer that says what is wrong, at once, in Docker's form, with the path of the socket.
trouble() {
	has "$(api /version --max-time 15 -o body -D head -w '%{http_code}')" '^50[23]$'
	has "$(cat head)" '^[Cc]ontent-[Tt]ype: application/json'
	has "$(jq -r .message body)" "$1"
	has "$(jq -r .message body)" "$2"
	rc=0
	COMMAND_TIMEOUT=20 via ps 2>err || rc=$?
	is "$rc" 1
	has "$(cat err)" "Error response from daemon: .*$1"
}

own_engine() {
	"$ENGINE" start "$SUITE" "$E" "$@"
	ENGINE_DIR=$E
	ENGINE_DIR=$LEG/engine direct save "$IMAGE" | direct load >/dev/null
}

@test "no socket; then the engine comes, without a restart of headgate" {
	proxy_start "$WORK/p" --engine "unix://$E/docker.sock"
	trouble "$E/docker.sock" 'No such file'
	"$ENGINE" start "$SUITE" "$E"
	is "$(via version --format '{{.Server.Version}}')" "$(direct version --format '{{.Server.Version}}')"
}

@test "a socket where nobody listens" {
	/usr/bin/python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$E/docker.sock"
	proxy_start "$WORK/p" --engine "unix://$E/docker.sock"
	trouble "$E/docker.sock" '[Cc]onnection refused'
}

@test "a socket that headgate may not open" {
	chmod 711 "$WORK"
	mkdir -m 777 "$WORK/p" "$WORK/bin"
	# The build may lie where others cannot look.
	cp "$HEADGATE_BIN" "$WORK/bin/headgate"
	HEADGATE_BIN=$WORK/bin/headgate
	/usr/bin/python3 -c 'import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(300)' \
		"$E/docker.sock" 3>&- 4>&- &
	BACKGROUND+=($!)
	within 5 test -S "$E/docker.sock"
	chmod 600 "$E/docker.sock"
	PROXY_PREFIX=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	proxy_start "$WORK/p" --engine "unix://$E/docker.sock"
	trouble "$E/docker.sock" '[Pp]ermission denied'
}

@test "a path that is no socket" {
	echo text >"$E/docker.sock"
	proxy_start "$WORK/p" --engine "unix://$E/docker.sock"
	trouble "$E/docker.sock" '[Cc]onnection refused|[Nn]ot a socket'
}

@test "an engine that closes without an answer" {
	/usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()
while True: s.accept()[0].close()' "$E/docker.sock" 3>&- 4>&- &
	BACKGROUND+=($!)
	within 5 test -S "$E/docker.sock"
	proxy_start "$WORK/p" --engine "unix://$E/docker.sock"
	has "$(api /version -o body -w '%{http_code}')" '^50[23]$'
	has "$(jq -r .message body)" "$E/docker.sock"
}

@test "the engine dies in the middle of streams and comes back" {
	own_engine
	proxy_start "$WORK/p" --engine "unix://$E/docker.sock"
	docker_programs "$WORK"
	via run -d --name "$N-v" "$IMAGE" sh -c 'while :; do echo on; sleep 0.1; done'
	open_stdin
	background logs ./docker-via logs -f "$N-v"
	background exec ./docker-via exec -i "$N-v" sh -c 'echo on; cat'
	background events ./docker-via events
	background wait ./docker-via wait "$N-v"
	mkfifo load
	STDIN=load
	exec 9<>load
	background load ./docker-via load
	within 20 file_has logs.out on
	within 20 file_has exec.out on
	"$ENGINE" kill "$E"
	for s in logs exec events wait load; do
		within 15 test -s $s.rc || fail "$s hangs"
	done
	is "$(cat wait.rc)" 1
	exec 9>&-
	trouble "$E/docker.sock" '[Nn]o such file|[Cc]onnection refused'
	"$ENGINE" start "$SUITE" "$E"
	is "$(via run --rm --name "$N-w" "$IMAGE" echo again)" again
	[ ! -e "$WORK/p/exit" ]
}

@test "three times: the engine dies under load; headgate stays" {
	own_engine
	proxy_start "$WORK/p" --engine "unix://$E/docker.sock"
	docker_programs "$WORK"
	before=$(proxy_fds)
	for round in 1 2 3; do
		for i in 1 2 3 4; do
			background "r$round-$i" ./docker-via run --rm --name "$N-$round-$i" "$IMAGE" sh -c 'while :; do echo on; done'
		done
		within 20 file_has "r$round-1.out" on
		"$ENGINE" kill "$E"
		for i in 1 2 3 4; do within 20 test -s "r$round-$i.rc"; done
		"$ENGINE" start "$SUITE" "$E"
		via version >/dev/null
		: >"r$round-1.out"
	done
	within 10 proxy_fds_at_most "$((before + 2))"
}

# headgate and its clients join the engine's own network, the only one where its TCP ports can be reached.
inside() {
	local pid
	read -r pid _ <"$E/pid"
	nsenter --target "$pid" --net "$@"
}

@test "an engine over tcp://" {
	own_engine -H tcp://127.0.0.1:2375 --tls=false
	PROXY_PREFIX=(nsenter --target "$(cut -d' ' -f1 "$E/pid")" --net)
	proxy_start "$WORK/p" --engine tcp://127.0.0.1:2375
	docker_programs "$WORK"
	is "$(inside ./docker-via version --format '{{.Server.Version}}')" "$(direct version --format '{{.Server.Version}}')"
	inside ./docker-via run -d --name "$N-v" "$IMAGE" sleep 600
	is "$(echo hi | inside timeout 30 ./docker-via exec -i "$N-v" cat)" hi
	random_file in 20
	is "$(inside timeout 60 ./docker-via exec -i "$N-v" sh -c 'cat; sleep 1' <in | sha)" "$(sha <in)"
	direct save "$IMAGE" | inside timeout 60 ./docker-via load
}

certificates() {
	mkdir certs
	(
		cd certs || exit
		new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1-key.pem" "${@:2}" 2>/dev/null; }
		new ca -x509 -out ca.pem -subj /CN=test-ca -days 2
		for who in server client; do
			new $who -out $who.csr -subj /CN=$who
			printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=%sAuth\n' $who >ext
			openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out $who.pem -days 2 -extfile ext 2>/dev/null
		done
	)
	mkdir -p "$E/certs" client
	cp certs/ca.pem certs/server.pem certs/server-key.pem "$E/certs/"
	cp certs/ca.pem client/ca.pem
	cp certs/client.pem client/cert.pem
	cp certs/client-key.pem client/key.pem
}

@test "an engine over tls:// with a client certificate" {
	certificates
	own_engine -H tcp://127.0.0.1:2376 --tlsverify --tlscacert /run/engine/certs/ca.pem \
		--tlscert /run/engine/certs/server.pem --tlskey /run/engine/certs/server-key.pem
	PROXY_PREFIX=(nsenter --target "$(cut -d' ' -f1 "$E/pid")" --net)
	proxy_start "$WORK/p" --engine tls://127.0.0.1:2376 --engine-cert-dir "$WORK/client"
	docker_programs "$WORK"
	is "$(inside ./docker-via version --format '{{.Server.Version}}')" "$(direct version --format '{{.Server.Version}}')"
	inside ./docker-via run -d --name "$N-v" "$IMAGE" sleep 600
	is "$(echo hi | inside timeout 30 ./docker-via exec -i "$N-v" cat)" hi
	is "$(inside timeout 30 ./docker-via run --rm --name "$N-w" "$IMAGE" sh -c 'sleep 1; echo late')" late
	random_file in 20
	is "$(inside timeout 60 ./docker-via exec -i "$N-v" sh -c 'cat; sleep 1' <in | sha)" "$(sha <in)"
	direct save "$IMAGE" | inside timeout 60 ./docker-via load
}

@test "an engine over tls:// whose certificate comes from another CA is not believed" {
	certificates
	own_engine -H tcp://127.0.0.1:2376 --tlsverify --tlscacert /run/engine/certs/ca.pem \
		--tlscert /run/engine/certs/server.pem --tlskey /run/engine/certs/server-key.pem
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out client/ca.pem -subj /CN=other -days 2 2>/dev/null
	PROXY_PREFIX=(nsenter --target "$(cut -d' ' -f1 "$E/pid")" --net)
	proxy_start "$WORK/p" --engine tls://127.0.0.1:2376 --engine-cert-dir "$WORK/client"
	docker_programs "$WORK"
	rc=0
	inside timeout 20 ./docker-via ps 2>err || rc=$?
	is "$rc" 1
	has "$(cat err)" 'Error response from daemon: .*certificate'
}
