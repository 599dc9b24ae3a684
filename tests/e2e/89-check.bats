#!/usr/bin/env bats
# `headgate check`: what it says has to be what serve and the engine then do, and nothing may be left of it.

# shellcheck disable=SC2154,SC2153 # variables that common.bash sets
# shellcheck disable=SC2030,SC2031 # each test is a subshell
load common

# check [OPTIONS]: out, err and rc; --state is the test's own, the last --engine counts.
check() {
	rc=0
	timeout 60 "$HEADGATE_BIN" check --engine "unix://$ENGINE_DIR/docker.sock" --state "$WORK/state" "$@" \
		>out 2>err </dev/null || rc=$?
	is "$(cat err)" ""
	is "$(awk 'length > 80 && !/\/headgate-e/' out)" ""
	fails grep -F "$TOKEN" out
}

# Names, sizes and times of everything in a directory.
picture() { find "$1" -printf '%p %m %s %T@ %C@\n' | sort; }

# remedies NAME: how many there are for that item.
remedies() { grep -cE -- "^  - $1: " out || true; }

@test "check: an engine that answers, and nothing is made" {
	check
	is "$rc" 0
	version=$(direct version --format '{{.Server.Version}}')
	api=$(direct version --format '{{.Server.APIVersion}}')
	has "$(tr -s ' \n' ' ' <out)" "ok engine unix://$ENGINE_DIR/docker\.sock: Docker ${version//+/\\+}, API $api "
	has "$(cat out)" "^ok +kernel +Linux $(uname -r)$"
	has "$(cat out)" '^ok +certificate +will be made at the first start$'
	has "$(cat out)" '^ok +tokens +the first will be made at the first start$'
	has "$(tail -n 2 out)" '^Ready: '
	is "$(grep -cE '^ +TLSv1\.[23]  .* (yes|no) +(yes|no)$' out)" 6
	[ ! -e state ]
	is "$(grep -c $'\033' out)" 0
}

@test "check: what it says about kernel TLS is what serve does" {
	check --ktls on
	if grep -qE '^ +TLSv1\.3  AES-128-GCM +yes +yes$' out; then
		is "$rc" 0
		serve --state "$WORK/state" --ktls on
		has "$(cat serve.err)" 'TLS in the kernel'
	else
		is "$rc" 1
		has "$(cat out)" '^error +kernel TLS '
		has "$(cat out)" "^Not ready: .*kernel TLS"
		[ "$(($(remedies OpenSSL) + $(remedies 'tls module') + $(remedies 'kernel TLS') + $(remedies AES-GCM)))" -ge 1 ]
		rc=0
		timeout 20 "$HEADGATE_BIN" serve --listen tls://127.0.0.1:0 --state "$WORK/state" --ktls on \
			--engine "unix://$ENGINE_DIR/docker.sock" >serve.out 2>serve.err </dev/null || rc=$?
		is "$rc" 2
		has "$(cat serve.err)" '--ktls on: '
	fi
	check --ktls off
	is "$rc" 0
	has "$(cat out)" '^ok +kernel TLS +not tried: --ktls off$'
	fails grep TLSv1 out
	check --listen "unix://$WORK/gate"
	has "$(cat out)" '^ok +kernel TLS +not tried: neither clients nor engine use TLS$'
	has "$(cat out)" '^ok +certificate +not needed'
	[ ! -e gate ]
}

@test "check: beside a headgate that serves, without touching its files" {
	serve --state "$WORK/state"
	picture state >before
	check
	is "$rc" 0
	has "$(cat out)" '^ok +certificate +valid for (89|90) more days, renewed in time$'
	has "$(cat out)" '^ok +tokens +1 token$'
	DOCKER_API_TOKEN=$TOKEN check
	has "$(cat out)" '^ok +tokens +2 tokens$'
	picture state | diff before -
	check --san other.example
	is "$rc" 0
	has "$(tr -s ' \n' ' ' <out)" 'ok certificate will be made at the next start: it did not cover other\.example'
	picture state | diff before -
	chmod 644 state/tokens
	check
	is "$rc" 1
	has "$(cat out)" '^error +tokens '
	is "$(remedies tokens)" 1
	has "$(cat out)" "  - tokens: run 'chmod 600"
	serve_stop
}

@test "check: everything that serve would stumble over has one remedy and exit code 1" {
	check --engine "unix://$WORK/nobody"
	is "$rc" 1
	has "$(cat out)" '^error +engine +cannot reach the Docker Engine at'
	is "$(remedies engine)" 1
	has "$(tail -n 1 out)" '^Not ready: .* engine\.$'
	check --engine tcp://127.0.0.1:1
	is "$rc $(remedies engine)" "1 1"
	check --tokens "$WORK/none"
	is "$rc $(remedies tokens)" "1 1"
	printf '# none yet\n' >empty
	chmod 600 empty
	check --tokens "$WORK/empty"
	is "$rc $(remedies tokens)" "1 1"
	has "$(tr -s ' \n' ' ' <out)" 'error tokens none in .*/empty, nobody can get in'
	printf 'what is this\n' >empty
	check --tokens "$WORK/empty"
	is "$rc $(remedies tokens)" "1 1"
	mkdir -m 777 wide
	check --state "$WORK/wide"
	is "$rc $(remedies state)" "1 1"
	has "$(cat out)" "  - state: run 'chmod 700"
	check --state "$WORK/empty/below"
	is "$rc $(remedies state)" "1 1"
	check --cert "$WORK/none.pem" --key "$WORK/none.pem"
	is "$rc $(remedies certificate)" "1 1"
}

@test "check: a certificate of the user's own that is good, ends soon, has ended" {
	export DOCKER_API_TOKEN=$TOKEN
	own=(--cert "$WORK/cert.pem" --key "$WORK/key.pem")
	for days in 400 10; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem \
			-subj /CN=x -days $days 2>/dev/null
		check "${own[@]}"
		is "$rc" 0
		has "$(cat out)" "^(ok|note) +certificate +valid for ($days|$((days - 1))) more days$"
		is "$(remedies certificate)" "$((days < 30))"
	done
	# `openssl req` makes none that has ended.
	openssl req -new -key key.pem -subj /CN=x -out request 2>/dev/null
	touch index
	printf '%s\n' '[ca]' default_ca=x '[x]' database=index new_certs_dir=. serial=serial default_md=sha256 policy=p \
		'[p]' commonName=supplied >ca.cnf
	openssl ca -batch -config ca.cnf -selfsign -rand_serial -keyfile key.pem -in request -notext -out cert.pem \
		-startdate 20200101000000Z -enddate 20200201000000Z 2>/dev/null
	check "${own[@]}"
	is "$rc $(remedies certificate)" "1 1"
	has "$(tr -s ' \n' ' ' <out)" 'error certificate .*/cert\.pem has expired'
}

@test "check: options are those of serve, a wrong one is exit code 2" {
	rc=0
	timeout 10 "$HEADGATE_BIN" check --no-such >out 2>err || rc=$?
	is "$rc" 2
	is "$(wc -c <out)" 0
	has "$(cat err)" "^headgate check: unknown option '--no-such'; try 'headgate check --help'$"
	HEADGATE_ENGINE=tcp://127.0.0.1:1 timeout 10 "$HEADGATE_BIN" check --workers 2 --mover copy --log-level warn \
		--state "$WORK/state" >out 2>err || rc=$?
	has "$(tr -s ' \n' ' ' <out)" 'error engine cannot reach the Docker Engine at tcp://127\.0\.0\.1:1:'
	"$HEADGATE_BIN" check --help >out
	has "$(cat out)" '^  --ktls WHEN '
	fails grep -e --workers out
}

@test "check: as a plain user" {
	chmod 711 .
	user=(setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent)
	rc=0
	timeout 30 "${user[@]}" "$HEADGATE_BIN" check --engine "unix://$ENGINE_DIR/docker.sock" --ktls off >out 2>err || rc=$?
	is "$rc" 1
	has "$(cat out)" '^error +engine '
	has "$(cat out)" '^  - engine: run headgate as root \(sudo\), or as a member of the group'
	has "$(cat out)" '^error +state '
	fails grep -E '(certificate|tokens) +will be made' out
	mkdir -m 777 place
	timeout 30 "${user[@]}" XDG_STATE_HOME="$WORK/place" "$HEADGATE_BIN" check --ktls off >out 2>err || true
	has "$(tr -s ' \n' ' ' <out)" "ok state $WORK/place/headgate will be made at the first start"
	is "$(ls place)" ""
}

@test "check: colours on a terminal only, and not where they are unwanted" {
	command=("$HEADGATE_BIN" check --engine "unix://$ENGINE_DIR/docker.sock" --state "$WORK/state")
	on_pty -- env TERM=xterm "${command[@]}" >out
	has "$(cat out)" $'^\033\\[32mok   \033\\[0m  kernel'
	for unwanted in NO_COLOR=1 TERM=dumb; do
		on_pty -- env TERM=xterm "$unwanted" "${command[@]}" >out
		has "$(cat out)" '^ok     kernel'
		is "$(grep -c $'\033' out)" 0
	done
}
