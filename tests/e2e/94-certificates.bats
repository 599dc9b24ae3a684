#!/usr/bin/env bats
# Client certificates in place of a token: for programs that can show one and send no header.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

# ca NAME: NAME.pem and NAME-key.pem.
ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -days 2 \
		-keyout "$1-key.pem" -out "$1.pem" 2>/dev/null
}

# client NAME CA [SANS [DAYS]]: NAME-CA.pem and NAME-CA-key.pem, with the common name NAME.
client() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1-$2-key.pem" -out csr 2>/dev/null
	{
		echo 'extendedKeyUsage = clientAuth'
		[ -z "${3-}" ] || echo "subjectAltName = $3"
	} >extensions
	openssl x509 -req -in csr -CA "$2.pem" -CAkey "$2-key.pem" -CAcreateserial -days "${4:-2}" -extfile extensions \
		-out "$1-$2.pem" 2>/dev/null
}

# A secret that nobody knows: the name is what counts here.
token_line() { echo "$1 sha256=$(head -c 32 /dev/urandom | sha256sum | cut -d' ' -f1) role=$2"; }

test_setup() {
	ca clients
	ca strangers
	client ci clients
	{
		token_line ci admin
		token_line reader read
	} >tokens
	printf 'known sha256=%s role=admin\n' "$(printf secret-of-known | sha256sum | cut -d' ' -f1)" >>tokens
	chmod 600 tokens
	serve --state state --tokens tokens --client-ca clients.pem
	as ci-clients
}

# as NAME: `via`, docker-via and `by` show that certificate from now on.
as() {
	SHOWN=$1
	printf '#!/bin/sh\nDOCKER_CONFIG=%s exec %s -H tcp://127.0.0.1:%s --tlsverify --tlscacert %s --tlscert %s --tlskey %s "$@"\n' \
		"$DIRECT_CONFIG" "$DOCKER" "$GATE_PORT" "$WORK/state/ca.pem" "$WORK/$SHOWN.pem" "$WORK/$SHOWN-key.pem" >docker-via
}

via() { timeout --foreground -k 5 "$COMMAND_TIMEOUT" ./docker-via "$@"; }

# Curl shows what it is given, whichever CAs the server asks for; docker keeps a certificate of another CA to itself.
by() {
	curl -sS --max-time 20 --cacert state/ca.pem --cert "$SHOWN.pem" --key "$SHOWN-key.pem" "$@"
}

code() { by -o /dev/null -w '%{http_code}' "$@" "https://127.0.0.1:$GATE_PORT/_ping"; }

@test "certificates: the stock CLI with --tlscert and --tlskey, and no token" {
	same version
	has "$output" 'Server:'
	same run --name {} "$IMAGE" sh -c 'echo out; exit 7'
	is "$status" 7
	is "$output" out
	prepare run -d --name {}-b "$IMAGE" sleep 600
	is "$(echo hi | via exec -i "$N-v-b" cat)" hi
	has "$(cat serve.err)" ' ci POST '
}

@test "certificates: BuildKit with the stock buildx" {
	mkdir context
	random_file context/data 5
	printf 'FROM %s\nCOPY data /data\nRUN sha256sum /data >/sum && echo "built $((40 + 2))"\n' "$IMAGE" >context/Dockerfile
	DOCKER_BUILDKIT=1 via build --progress plain --no-cache -t "$N:built" context >build.out 2>&1 || fail "$(cat build.out)"
	has "$(cat build.out)" 'built 42$'
	is "$(direct run --rm --name "$N-run" "$N:built" cut -d' ' -f1 /sum)" "$(sha <context/data)"
	direct rmi "$N:built"
}

@test "certificates: the name's role counts" {
	client reader clients
	as reader-clients
	has "$(via ps --format '{{.Names}}')" ''
	rc=0
	via run --rm "$IMAGE" true 2>err || rc=$?
	is "$rc" 125
	has "$(cat err)" 'does not have the right'
}

@test "certificates: a DNS name will do, a name without a token will not" {
	client somebody clients DNS:elsewhere,DNS:ci
	as somebody-clients
	is "$(code)" 200
	client nobody clients
	as nobody-clients
	is "$(code)" 401
	has "$(via version 2>&1 || true)" 'a valid token is required'
	has "$(cat serve.err)" ' presented a certificate, but no token has a name of it$'
}

@test "certificates: of another CA, expired, or a server's: the handshake fails, with one line in the log" {
	client ci strangers
	as ci-strangers
	fails by "https://127.0.0.1:$GATE_PORT/_ping"
	client ci clients '' 0
	as ci-clients
	sleep 1
	fails by "https://127.0.0.1:$GATE_PORT/_ping"
	within 5 grep -q 'refused: certificate has expired' serve.err
	is "$(grep -c "TLS handshake failed: the client's certificate is refused: " serve.err)" 2
	is "$(grep -c ' refused: ' serve.err)" 2
	fails grep -q ' ci ' serve.err
	# headgate's own server certificate, where its own CA is the one that was given.
	serve_stop
	serve --state state --tokens tokens --client-ca state/ca.pem
	SHOWN=state/server
	fails by "https://127.0.0.1:$GATE_PORT/_ping"
	has "$(cat serve.err)" 'refused: .*purpose'
}

@test "certificates: a client without one needs a token, and one with one may send a token" {
	ping=https://127.0.0.1:$GATE_PORT/_ping
	is "$(curl -sS -o /dev/null -w '%{http_code}' --cacert state/ca.pem "$ping")" 401
	is "$(curl -sS --cacert state/ca.pem -H 'token: secret-of-known' "$ping")" OK
	is "$(code -H 'token: secret-of-known')" 200
	# Who presents a token is who he says by it; a wrong one is not made good by a certificate.
	is "$(code -H 'token: wrong')" 401
	# docker with a certificate of another CA and a token: the certificate stays at home.
	client ci strangers
	as ci-strangers
	docker_config config secret-of-known
	DOCKER_CONFIG=$WORK/config "$DOCKER" -H "tcp://127.0.0.1:$GATE_PORT" --tlsverify --tlscacert state/ca.pem \
		--tlscert ci-strangers.pem --tlskey ci-strangers-key.pem version
}

@test "certificates: SIGHUP reads the CA again, a bad file changes nothing" {
	client ci strangers
	cp strangers.pem clients.pem
	kill -HUP "$GATE"
	within 5 grep -q 'new connections get this certificate' serve.err
	as ci-strangers
	is "$(code)" 200
	echo nonsense >clients.pem
	kill -HUP "$GATE"
	within 5 grep -q 'keeping the present certificate: clients.pem: ' serve.err
	is "$(code)" 200
	as ci-clients
	fails by "https://127.0.0.1:$GATE_PORT/_ping"
}

@test "certificates: a name that is revoked ends what it has open" {
	prepare run -d --name {} "$IMAGE" sh -c 'while :; do echo line; sleep 0.2; done'
	background logs ./docker-via logs -f "$N-v"
	within 10 file_has logs.out line
	sed -i '/^ci /d' tokens
	kill -HUP "$GATE"
	within 3 test -s logs.rc
	is "$(code)" 401
}

@test "certificates: no CA, no start" {
	serve_stop
	for file in nothing.pem tokens; do
		rc=0
		timeout 10 "$HEADGATE_BIN" serve --listen tls://127.0.0.1:0 --state state --tokens tokens --client-ca "$file" \
			>out 2>err </dev/null || rc=$?
		is "$rc" 2
		has "$(cat err)" "$file: "
	done
}
