#!/usr/bin/env bats
# What a start says: headgate's, `make run`'s, the private engine's.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for other shells; each test is a subshell
load common

# printed START: the block of indented lines behind the line of serve.out that begins with START. A token or a quote goes
# on in the first column.
printed() {
	awk -v start="$1" 'index($0, start) == 1 { found = 1; next } found && /^[A-Za-z].*:$/ { exit } found { print }' \
		serve.out >block
	[ -s block ] || fail "nothing printed behind '$1' in:" "$(cat serve.out)" || return
	cat block
}

@test "the lines that a first start prints work as they are" {
	export HOME=$WORK/home PATH=$WORK/bin:$PATH
	mkdir -p "$HOME" bin
	ln -s "$DOCKER" bin/docker
	version=$(direct version --format '{{.Server.Version}}')
	serve --state "$WORK/state"
	has "$(bash -euc "$(printed 'Any docker CLI')")" "^Server:"
	bash -euc "$(printed 'curl:' | sed '/^Other/d')" | grep -F ",\"Version\":\"$version\","
	# The tree's CLI does not know the variable with the header.
	export DOCKER_CONFIG=$HOME/.docker-headgate
	has "$(bash -euc "$(printed 'docker CLI, 27.1')")" "^Server:"
	has "$(printed 'docker CLI, 27.1' | tr -d '\n')" 'DOCKER_CUSTOM_HEADERS=token=\\hg_[0-9a-f]{8}_[0-9a-f]{64} '
}

@test "a start that makes no token says where the CA is, and nothing secret" {
	DOCKER_API_TOKEN=$TOKEN serve --state "$WORK/state"
	has "$(cat serve.out)" "^  $WORK/state/ca\.pem$"
	fails grep -F "$TOKEN" serve.out serve.err
	export DOCKER_CONFIG=$PROXY_DIR/config PATH=$WORK/bin:$PATH
	mkdir bin
	ln -s "$DOCKER" bin/docker
	has "$(bash -euc "$(printed 'DOCKER_CUSTOM_HEADERS')")" '^Server:'
}

@test "what is printed fits 80 columns" {
	serve --state "$WORK/state"
	serve_stop
	sed "s,$WORK/state,/var/lib/headgate,g" serve.out >first
	serve --state "$WORK/state"
	sed "s,$WORK/state,/var/lib/headgate,g" serve.out >second
	"$HEADGATE_BIN" --help >help
	"$HEADGATE_BIN" serve --help >serve-help
	"$HEADGATE_BIN" check --help >check-help
	for f in first second help serve-help check-help; do
		[ -s $f ]
		is "$(awk 'length > 80' $f)" ""
	done
}

@test "an empty token or option in the environment is refused in one line, before anything is made" {
	for name in DOCKER_API_TOKEN DOCKER_API_TOKEN_FILE HEADGATE_TOKENS HEADGATE_CERT; do
		rc=0
		env "$name=" timeout 10 "$HEADGATE_BIN" serve --listen tls://127.0.0.1:0 --state "$WORK/state" >out 2>err || rc=$?
		is "$rc" 2
		is "$(wc -l <err)" 1
		has "$(cat err)" "$name is set but empty; .* unset it"
		[ ! -e state ]
	done
}

@test "a start that fails has made no token: the next one shows it" {
	rc=0
	timeout 10 "$HEADGATE_BIN" serve --listen tls://127.0.0.1:0 --state "$WORK/state" --engine tls://127.0.0.1:1 \
		--engine-cert-dir "$WORK/nowhere" >out 2>err || rc=$?
	is "$rc" 2
	has "$(cat err)" "$WORK/nowhere"
	[ ! -e state/tokens ]
	serve --state "$WORK/state"
	has "$(cat serve.out)" 'Token, shown this once'
}

@test "a token that could not be shown: a warning says how to have another" {
	"$HEADGATE_BIN" serve --listen tls://127.0.0.1:0 --state "$WORK/state" >/dev/full 2>err &
	BACKGROUND+=($!)
	within 10 file_has err " warn the token could not be written .*; 'headgate token rotate admin --overlap 0' makes another$"
	"$HEADGATE_BIN" token rotate admin --overlap 0 --state "$WORK/state" >out
	has "$(cat out)" '^hg_'
}

@test "a token file without a token: a warning" {
	mkdir -m 700 state
	for file in state/tokens own; do
		printf '# none yet\n\n' >$file
		chmod 600 $file
	done
	serve --state "$WORK/state"
	has "$(cat serve.err)" " warn .*state/tokens: no token in it, nobody can get in; add one: headgate token create NAME "
	serve_stop
	serve --state "$WORK/state" --tokens "$WORK/own"
	has "$(cat serve.err)" " warn .*own: no token in it, nobody can get in; add one"
	serve_stop
	DOCKER_API_TOKEN=$TOKEN serve --state "$WORK/state"
	fails file_has serve.err 'no token in it'
}

# certificate FROM TO: a self-signed one with these dates, for the key in key.pem. `openssl req` makes none that has ended.
certificate() {
	rm -f index* serial*
	touch index
	openssl ca -batch -config ca.cnf -selfsign -rand_serial -keyfile key.pem -in request -notext -out new.pem \
		-startdate "$1" -enddate "$2" 2>ca.log || fail "$(cat ca.log)" || return
	mv new.pem cert.pem
}

from_now() { date -u -d "$1" +%Y%m%d%H%M%SZ; }

@test "a certificate that has expired or ends soon: a warning, at the start and on SIGHUP" {
	cat >ca.cnf <<-'E'
		[ca]
		default_ca = x
		[x]
		database = index
		new_certs_dir = .
		serial = serial
		default_md = sha256
		policy = p
		[p]
		commonName = supplied
	E
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj /CN=x -out request 2>/dev/null
	own=(--cert "$WORK/cert.pem" --key "$WORK/key.pem")
	export DOCKER_API_TOKEN=$TOKEN

	certificate 20200101000000Z 20200201000000Z
	serve "${own[@]}"
	has "$(cat serve.err)" " warn $WORK/cert\.pem: the certificate has expired, clients refuse it; .*SIGHUP"
	serve_stop

	certificate "$(from_now "-1 days")" "$(from_now "29 days 12 hours")"
	serve "${own[@]}"
	has "$(cat serve.err)" " warn $WORK/cert\.pem: the certificate ends in 29 days; .*SIGHUP"
	serve_stop

	certificate "$(from_now "-1 days")" "$(from_now "31 days")"
	serve "${own[@]}"
	certificate "$(from_now "-1 days")" "$(from_now "1 hour")"
	fails file_has serve.err 'the certificate'
	kill -HUP "$GATE"
	within 10 file_has serve.err ' warn .*the certificate ends within a day; '
	certificate "$(from_now "-1 days")" "$(from_now "400 days")"
	: >serve.err
	kill -HUP "$GATE"
	within 10 file_has serve.err 'get this certificate from now on'
	fails file_has serve.err ' warn '
}

@test "dockerd does not start: its own words, and no file that is gone" {
	rc=0
	"$ENGINE" start "$SUITE" "$WORK/e" --no-such-flag >out 2>err || rc=$?
	"$ENGINE" stop "$WORK/e"
	is "$rc" 1
	has "$(cat err)" 'dockerd did not come up; the end of its log:'
	has "$(cat err)" '^    .*unknown flag: --no-such-flag'
	fails file_has err "$WORK/e"
}

# try_in COMMAND: `make run` with no /var/run but COMMAND's, of a tree that needs no packages and is built. The real engine
# is told of an option that it does not have.
try_in() {
	mkdir -p tree/tests/support bin
	cp "$E2E_DIR/../support/try" tree/tests/support/
	printf '#!/bin/sh\n' | tee bin/make >tree/tests/support/install-packages
	printf '#!/bin/sh\n[ "$1" != start ] || set -- "$@" --no-such-flag\nexec %s "$@"\n' "$ENGINE" >tree/tests/support/engine
	chmod -R a+rX .
	chmod 755 bin/make tree/tests/support/*
	rc=0
	PATH=$WORK/bin:$PATH env -u ENGINE -u PORT timeout 100 unshare --mount --propagation private bash -euc "mount -t tmpfs -o mode=755 tmpfs /run
		$1" >out 2>&1 3>&- 4>&- </dev/null || rc=$?
	is "$rc" 1
}

socket='/usr/bin/python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\"/run/docker.sock\")"; chmod 660 /run/docker.sock'
nobody='exec setpriv --reuid 65534 --regid 65534 --clear-groups tree/tests/support/try'

@test "make run without permission for the engine's socket says what to do" {
	try_in "$socket; chgrp mail /run/docker.sock; $nobody"
	is "$(tail -n 1 out)" "make run: /var/run/docker.sock is not for user nobody: run 'sudo make run', or 'sudo usermod -aG mail nobody', then log in again"
	try_in "$socket; $nobody"
	is "$(tail -n 1 out)" "make run: /var/run/docker.sock is not for user nobody: run 'sudo make run'"
	try_in "$nobody"
	has "$(tail -n 1 out)" '^make run: no engine at /var/run/docker\.sock; start one \(a private one needs root'
}

@test "make run whose private engine does not start shows why" {
	try_in 'exec tree/tests/support/try'
	has "$(cat out)" 'unknown flag: --no-such-flag'
	has "$(tail -n 1 out)" '^make run: the private engine did not start; ENGINE='
	fails file_has out '/tmp/headgate\.'
}
