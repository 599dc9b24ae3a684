#!/usr/bin/env bats
# `headgate token` beside a headgate that runs: each change is in force within a second, and ends what it is to end and
# nothing else.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

test_setup() {
	serve --state state --auth-failures 0
	grep -o 'hg_[0-9a-f]*_[0-9a-f]*' serve.out | head -n 1 >secret.admin
}

# No secret is in the log, and none in the token file.
test_teardown() {
	for file in secret.*; do
		[ -s "$file" ] || continue
		fails grep -qF "$(<"$file")" serve.err
		fails grep -qF "$(<"$file")" state/tokens
	done
}

# token VERB...: out, err, rc.
token() {
	rc=0
	"$HEADGATE_BIN" token "$@" --state "$WORK/state" >out 2>err </dev/null || rc=$?
}

# create NAME ROLE [OPTIONS]: its secret is in secret.NAME, and it opens the gate.
create() {
	local name=$1 role=$2
	shift 2
	token create "$name" --role "$role" "$@"
	is "$rc" 0 || fail "$(cat err)" || return
	cp out "secret.$name"
	within 2 opens "secret.$name"
}

# ping FILE: the status code that the secret in that file gets.
ping() {
	curl -sS -o /dev/null -w '%{http_code}' --max-time 20 --cacert state/ca.pem -H @<(printf 'token: %s\n' "$(<"$1")") \
		"https://127.0.0.1:$GATE_PORT/_ping"
}

opens() { [ "$(ping "$1")" = 200 ]; }
shut() { [ "$(ping "$1")" = 401 ]; }

# as NAME: docker-as-NAME is the stock CLI with that token's secret; `via` and `same` use it from now on.
as() {
	docker_config "config.$1" "$(<"secret.$1")"
	printf '#!/bin/sh\nDOCKER_CONFIG=%s exec %s -H tcp://127.0.0.1:%s --tlsverify --tlscacert %s "$@"\n' \
		"$WORK/config.$1" "$DOCKER" "$GATE_PORT" "$WORK/state/ca.pem" >"docker-as-$1"
	chmod 755 "docker-as-$1"
	NOW_AS=$1
}

via() { timeout --foreground -k 5 "$COMMAND_TIMEOUT" "./docker-as-$NOW_AS" "$@"; }

# A container that says a line each tenth of a second, followed by `logs -f` of the stock CLI as that token.
follow() {
	local name=$1
	[ -n "$(direct ps -q --filter "name=$N-lines")" ] ||
		direct run -d --name "$N-lines" "$IMAGE" sh -c 'i=0; while :; do echo line $((i+=1)); sleep 0.1; done' >/dev/null
	as "$name"
	background "logs.$name" "./docker-as-$name" logs -f --tail 1 "$N-lines"
	within 10 file_has "logs.$name.out" '^line [0-9]'
}

# still NAME: the followed log goes on, and more lines come.
still() {
	local before
	before=$(wc -l <"logs.$1.out")
	within 5 more_than "$before" "logs.$1.out"
	fails test -e "logs.$1.rc"
}

more_than() { [ "$(wc -l <"$2")" -gt "$1" ]; }

now_ms() { date +%s%3N; }

# ended_within NAME MS SINCE
ended_within() {
	within 5 test -s "logs.$1.rc" || return
	local took=$(($(now_ms) - $3))
	[ "$took" -le "$2" ] || fail "it took $took ms to end"
}

@test "token: create prints the secret alone, and says the rest to the terminal" {
	create ci build
	is "$(wc -l <secret.ci)" 1
	has "$(cat secret.ci)" '^hg_[0-9a-f]{8}_[0-9a-f]{64}$'
	has "$(cat err)" "Token 'ci', role build"
	is "$(stat -c %a state/tokens)" 600
	has "$(cat state/tokens)" "^ci sha256=$(printf %s "$(<secret.ci)" | sha) role=build id=$(cut -d_ -f2 secret.ci) "
	token create ci --role read
	is "$rc" 1
	has "$(cat err)" "there is a token 'ci' already"
	is "$(wc -c <out)" 0
	is "$(grep -c '^ci ' state/tokens)" 1
	for bad in 'two words' '' -x "$(printf 'x%.0s' {1..64})"; do
		token create --role read -- "$bad"
		is "$rc" 2
	done
	token create x
	is "$rc" 2
	has "$(cat err)" '--role is needed'
	token create x --role nobody
	is "$rc" 2
	has "$(cat err)" "there is no role 'nobody'"
	token create x --role read --expires yesterday
	is "$rc" 2
	token create x --role read --expires 2020-01-31
	has "$(cat err)" 'is over already'
	token create x --role read --from 10.0.0.1/8
	is "$rc" 2
	fails grep -q '^x ' state/tokens
	opens secret.ci
	opens secret.admin
}

@test "token: list and show say what is known, and never the secret" {
	create ci build --expires 90d --from 127.0.0.0/8 --from 2001:db8::/32
	create reader read
	until=$(date -u -d '+90 days' +%Y-%m-%d)
	token list
	is "$rc" 0
	has "$(cat out)" "^ci +build +${until}T[0-9:]+Z +127.0.0.0/8,2001:db8::/32$"
	has "$(cat out)" '^reader +read +never +anywhere$'
	has "$(cat out)" '^admin +admin +never +anywhere$'
	is "$(wc -l <out)" 4
	token list --json
	is "$(python3 -c 'import json, sys; print(*(t["name"] + "=" + t["role"] for t in json.load(sys.stdin)))' <out)" \
		'admin=admin ci=build reader=read'
	token show ci
	has "$(cat out)" "^id +$(cut -d_ -f2 secret.ci)$"
	has "$(cat out)" '^from +127.0.0.0/8,2001:db8::/32$'
	token show ci --json
	is "$(python3 -c 'import json, sys; t = json.load(sys.stdin); print(t["name"], t["id"], *t["from"])' <out)" \
		"ci $(cut -d_ -f2 secret.ci) 127.0.0.0/8 2001:db8::/32"
	for words in list show\ ci 'list --json' 'show ci --json'; do
		# shellcheck disable=SC2086 # words
		token $words
		fails grep -qE 'sha256|[0-9a-f]{64}' out
	done
	token show nobody
	is "$rc" 1
	has "$(cat err)" "there is no token 'nobody'"
}

@test "token: what a role does not allow is a 403 in Docker's form" {
	create reader read
	as reader
	same ps -a --format '{{.Names}}' --filter "name=$N"
	rc=0
	via run --name "$N-v" "$IMAGE" true 2>err || rc=$?
	is "$rc" 125
	has "$(cat err)" "Error response from daemon: .*does not have the right"
	is "$(direct ps -aq --filter "name=$N")" ''
	rc=0
	curl -sS --max-time 20 --cacert state/ca.pem -H "token: $(<secret.reader)" -D headers -o body -X POST \
		-H 'Content-Type: application/json' -d '{}' "https://127.0.0.1:$GATE_PORT/v1.41/containers/create"
	has "$(cat headers)" '^HTTP/1.1 403 '
	has "$(tr -d '\r' <headers)" '^Content-Type: application/json$'
	python3 -c 'import json, sys; m = json.load(sys.stdin); assert list(m) == ["message"] and m["message"]' <body
	has "$(cat serve.err)" ' reader POST /v1.41/containers/create 403 '
}

@test "token: only from where it may come" {
	create near read --from 127.0.0.1
	token create far --role admin --from 192.0.2.0/24 --from 2001:db8::/32
	is "$rc" 0
	cp out secret.far
	within 2 grep -q ': 3 tokens' serve.err
	is "$(ping secret.far)" 401
	opens secret.near
	# The same answer as to one that is not known.
	echo wrong >wrong
	for file in secret.far wrong; do
		curl -sS --cacert state/ca.pem -H "token: $(<"$file")" "https://127.0.0.1:$GATE_PORT/_ping" >"answer.${file##*.}"
	done
	cmp answer.far answer.wrong
}

@test "token: when it expires, what it has open ends" {
	create keeper logs
	follow keeper
	token create short --role logs --expires 2099-01-01
	cp out secret.short
	# There is no option for seconds: its line says when.
	ends=$(($(date +%s) + 4))
	sed -i -E "s/^(short .* expires=)[^ ]*/\1$(date -u -d "@$ends" +%Y-%m-%dT%H:%M:%SZ)/" state/tokens
	within 2 opens secret.short
	follow short
	still short
	[ "$(date +%s)" -lt "$ends" ]
	within 8 test -s logs.short.rc
	took=$(($(now_ms) - ends * 1000))
	if [ "$took" -lt 0 ] || [ "$took" -gt 2000 ]; then fail "it ended $took ms after its time"; fi
	is "$(ping secret.short)" 401
	has "$(cat serve.err)" ' short GET .*/logs 200 .*expired'
	still keeper
	token list
	has "$(cat out)" '^short +logs +expired '
	via ps >/dev/null 2>err && fail 'it still works'
	has "$(cat err)" 'a valid token is required'
}

@test "token: revocation ends a followed log within a second, and nothing else" {
	create gone logs
	create keeper logs
	follow keeper
	follow gone
	still gone
	since=$(now_ms)
	token revoke gone
	is "$rc" 0
	ended_within gone 1000 "$since"
	is "$(ping secret.gone)" 401
	fails grep -q '^gone ' state/tokens
	has "$(cat serve.err)" ' gone GET .*/logs 200 .*revoked'
	still keeper
	opens secret.admin
	token revoke gone
	is "$rc" 1
	has "$(cat err)" "there is no token 'gone'"
}

@test "token: revocation ends an exec in both directions" {
	create gone admin
	direct run -d --name "$N-e" "$IMAGE" sleep 600 >/dev/null
	as gone
	open_stdin
	background logs.gone ./docker-as-gone exec -i "$N-e" cat
	echo first >&8
	within 10 file_has logs.gone.out first
	since=$(now_ms)
	token revoke gone
	ended_within gone 1000 "$since"
	fails is "$(cat logs.gone.rc)" 0
	echo second >&8
	sleep 0.5
	fails file_has logs.gone.out second
}

@test "token: rotation with an overlap loses nothing; then the old secret ends" {
	create ci logs
	follow ci
	token rotate ci --overlap 1h
	is "$rc" 0
	cp out secret.new
	has "$(cat err)" 'The secret before stays good until '
	within 2 opens secret.new
	opens secret.ci
	still ci
	token show ci
	has "$(cat out)" '^rotated +the secret before is good until '
	has "$(cat out)" "^id +$(cut -d_ -f2 secret.new)$"
	sed -i -E "s/previous-until=[^ ]*/previous-until=$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)/" state/tokens
	still ci
	within 5 test -s logs.ci.rc
	is "$(ping secret.ci)" 401
	opens secret.new
	# Without: at once.
	cp secret.new secret.second
	token rotate ci --overlap 0
	is "$rc" 0
	cp out secret.new
	within 2 shut secret.second
	opens secret.new
	is "$(grep -c '^ci ' state/tokens)" 1
	# Twice within an overlap: there is one secret before, and it is said whose turn has ended.
	cp secret.new secret.third
	token rotate ci --overlap 1h
	fails has "$(cat err)" 'it has ended now' 2>/dev/null
	cp out secret.fourth
	token rotate ci --overlap 1h
	has "$(cat err)" '^The one before that was still good from the last rotation; it has ended now\.$'
	within 2 shut secret.third
	opens secret.fourth
	token rotate ci --overlap 5x
	is "$rc" 2
	token rotate nobody
	is "$rc" 1
}

@test "token: a secret that cannot be written is an error; one that has expired is not rotated" {
	for verb in 'create ci --role read' 'rotate ci'; do
		rc=0
		# shellcheck disable=SC2086 # words
		"$HEADGATE_BIN" token $verb --state "$WORK/state" >/dev/full 2>err </dev/null || rc=$?
		is "$rc" 1
		has "$(cat err)" "^headgate token: its secret could not be written .*'headgate token rotate ci --overlap 0'"
	done
	token rotate ci --overlap 0
	is "$rc" 0
	cp out secret.ci
	within 2 opens secret.ci
	sed -i '/^ci /s/$/ expires=2020-01-01T00:00:00Z/' state/tokens
	cp state/tokens before
	token rotate ci
	is "$rc" 1
	has "$(cat err)" "the token 'ci' has expired"
	[ ! -s out ]
	cmp before state/tokens
}

@test "token: one that is given another name in the file is counted by that" {
	serve_stop
	serve --state state --auth-failures 0 --token-connections 1
	create ci logs
	follow ci
	crowded() { [ "$(ping secret.ci)" = 429 ]; }
	crowded
	has "$(cat serve.err)" " GET - 429 .*with the token 'ci' "
	reloads=$(grep -c 'were read again' serve.err)
	read_again() { [ "$(grep -c 'were read again' serve.err)" -gt "$reloads" ]; }
	sed -i 's/^ci /cj /' state/tokens
	within 5 read_again
	sleep 0.3
	crowded
	kill "${BACKGROUND[-1]}"
	within 5 opens secret.ci
	reloads=$(grep -c 'were read again' serve.err)
	sed -i 's/^cj /ci /' state/tokens
	within 5 read_again
	within 2 opens secret.ci
}

# 200 streams with a secret that is rotated out, and clients that ask all the time with whichever is the newest.
@test "token: rotation under 200 streams and many requests loses none" {
	create held logs
	create busy logs
	cp secret.held first
	cp secret.busy newest
	direct run -d --name "$N-lines" "$IMAGE" sh -c 'while :; do echo line; sleep 0.5; done' >/dev/null
	background clients /usr/bin/python3 "$E2E_DIR/rotation.py" "$GATE_PORT" state/ca.pem \
		"/containers/$N-lines/logs?follow=1&stdout=1&tail=1" 200 4
	within 70 test -e ready
	fails test -s clients.rc || fail "$(cat clients.err)" || return
	token rotate held --overlap 1h
	is "$rc" 0
	cp out secret.next
	within 2 opens secret.next
	for i in {1..10}; do
		token rotate busy --overlap 1h
		is "$rc" 0
		cp out "secret.busy$i"
		within 2 opens "secret.busy$i"
		# Whole or not at all, for those who read it meanwhile.
		cp "secret.busy$i" newest.tmp && mv newest.tmp newest
	done
	sleep 1
	touch stop
	within 20 test -s clients.rc
	is "$(cat clients.rc)" 0 || fail "$(cat clients.err)" || return
	has "$(cat clients.out)" '^streams 200 requests [0-9]{3,} '
}

@test "token: before there is a place for them the error says what makes it" {
	for verb in 'create ci --role read' 'rotate ci' 'revoke ci' list 'show ci'; do
		rc=0
		# shellcheck disable=SC2086 # a list of words
		"$HEADGATE_BIN" token $verb --state "$WORK/nowhere" >out 2>err </dev/null || rc=$?
		is "$rc" 1
		has "$(cat err)" "^headgate token: $WORK/nowhere/tokens: there is no such file or directory; start 'headgate serve' once"
		[ ! -e nowhere ]
	done
}

@test "token: a broken file changes nothing, and the log says why, once" {
	create ci logs
	follow ci
	cp state/tokens good
	echo 'ci sha256=beef role=logs' >>state/tokens
	within 2 grep -q 'keeping the present tokens and policy: .*/tokens:3: ' serve.err
	sleep 1
	is "$(grep -c 'keeping the present' serve.err)" 1
	fails grep -q beef serve.err
	opens secret.ci
	opens secret.admin
	still ci
	# Nor does the command touch it.
	token create x --role read
	is "$rc" 2
	has "$(cat err)" '/tokens:3: .*; mend or remove that line'
	token revoke ci
	is "$rc" 2
	# Readable by others; gone; with a role that nobody knows.
	cp good state/tokens
	within 2 grep -q ': 2 tokens' serve.err
	chmod 644 state/tokens
	within 2 grep -q "others can read it; run 'chmod 600 " serve.err
	chmod 600 state/tokens
	mv state/tokens away
	within 2 grep -q 'the token file is gone' serve.err
	opens secret.ci
	sed 's/role=logs/role=nobody/' away >state/tokens
	chmod 600 state/tokens
	within 2 grep -q "the role 'nobody', which is not known" serve.err
	opens secret.ci
	still ci
	# Mended: in force, and the stream has seen none of it.
	cp good state/tokens
	echo "x sha256=$(printf secret-of-x | sha) role=read" >>state/tokens
	echo secret-of-x >x
	within 2 opens x
	still ci
}

@test "token: a role that is changed in the policy counts for the next request" {
	printf 'role mine\n\tallow GET /_ping\n\tallow GET /version\n' >state/policy
	create it mine
	get() {
		curl -sS -o /dev/null -w '%{http_code}' --max-time 20 --cacert state/ca.pem -H "token: $(<secret.it)" \
			"https://127.0.0.1:$GATE_PORT$1"
	}
	is "$(get /version)" 200
	is "$(get /info)" 403
	printf 'role mine\n\tallow GET /_ping\n\tallow GET /info\n' >state/policy
	info_is_open() { [ "$(get /info)" = 200 ]; }
	within 2 info_is_open
	is "$(get /version)" 403
	token revoke it
	is "$rc" 0
}

@test "token: commands at once lose nothing" {
	for i in {1..12}; do
		"$HEADGATE_BIN" token create "n$i" --role read --state "$WORK/state" >"secret.n$i" 2>"err.$i" </dev/null 3>&- 4>&- &
		MADE[i]=$!
	done
	for i in {1..12}; do wait "${MADE[i]}" || fail "$(cat "err.$i")"; done
	is "$(wc -l <state/tokens)" 13
	for i in {1..12}; do within 3 opens "secret.n$i"; done
}

@test "token: --tokens names the file, --state where its roles are" {
	serve_stop
	mkdir given
	"$HEADGATE_BIN" token create one --role read --tokens given/tokens >secret.one 2>err </dev/null || fail "$(cat err)"
	is "$(stat -c %a given/tokens)" 600
	serve --state state --tokens given/tokens
	opens secret.one
	is "$(ping secret.admin)" 401
	"$HEADGATE_BIN" token rotate one --overlap 0 --tokens given/tokens >secret.two 2>err </dev/null || fail "$(cat err)"
	within 2 opens secret.two
	is "$(ping secret.one)" 401
	printf 'role mine\n\tallow GET /_ping\n' >state/policy
	"$HEADGATE_BIN" token create three --role mine --tokens given/tokens --state state >secret.three 2>err </dev/null ||
		fail "$(cat err)"
	within 2 opens secret.three
}
