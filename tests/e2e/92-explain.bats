#!/usr/bin/env bats
# `headgate explain` and what the gate then does: the same, for every route and role; and what roles are good for.

# shellcheck disable=SC2154,SC2153 # variables that common.bash sets
# shellcheck disable=SC2030,SC2031 # each test is a subshell
load common

explain() {
	rc=0
	"$HEADGATE_BIN" explain --state "$WORK/state" "$@" >out 2>err </dev/null || rc=$?
}

# token_of ROLE: its secret; it is made when it is asked for first.
token_of() {
	[ -e "token.$1" ] || "$HEADGATE_BIN" token create "the-$1" --role "$1" --state "$WORK/state" \
		>"token.$1" 2>token.err || fail "$(cat token.err)" || return
	cat "token.$1"
}

# as ROLE COMMAND...: the docker CLI with that role's token.
as() {
	local role=$1
	shift
	rc=0
	mkdir -p "cli.$role"
	printf '{"HttpHeaders": {"token": "%s"}}\n' "$(token_of "$role")" >"cli.$role/config.json"
	"$DOCKER" --config "cli.$role" --host "tcp://localhost:$GATE_PORT" --tlsverify \
		--tlscacert "$WORK/state/ca.pem" "$@" >out 2>err <"$STDIN" || rc=$?
}

# Each role that is asked for below, before the gate starts: it does not have to notice.
tokens_first() {
	local role
	serve --state "$WORK/state"
	serve_stop
	for role in "$@"; do token_of "$role" >/dev/null; done
}

@test "explain: the gate says the same, for every route and every role" {
	roles=$("$HEADGATE_BIN" explain --state "$WORK/none" --roles | cut -d' ' -f1)
	[ "$(wc -w <<<"$roles")" -ge 9 ]
	# shellcheck disable=SC2086 # a list of names
	tokens_first $roles
	/usr/bin/python3 "$E2E_DIR/explain.py" --engine "$WORK/yes.sock" 3>&- 4>&- &
	BACKGROUND+=($!)
	within 10 test -S yes.sock
	serve --state "$WORK/state" --engine "unix://$WORK/yes.sock" --auth-failures 0
	arguments=()
	for role in $roles; do arguments+=("$role=$(token_of "$role")"); done
	timeout 300 /usr/bin/python3 "$E2E_DIR/explain.py" "$HEADGATE_BIN" "$WORK/state" "$GATE_PORT" "${arguments[@]}" >compared ||
		fail "$(tail -n 30 compared)"
	has "$(tail -n 1 compared)" '^[0-9]{4} asked, [0-9]{3,4} refused, 0 different$'
}

@test "explain: read lists, and sees no file, log or environment" {
	tokens_first read
	serve --state "$WORK/state"
	direct run -d --name "$N-d" -e SECRET=hunter2 "$IMAGE" sleep 60 >/dev/null
	as read ps --filter "name=$N" --format '{{.Names}}'
	is "$(cat out)" "$N-d"
	for command in images "network ls" info version "stats --no-stream"; do
		# shellcheck disable=SC2086 # a command line
		as read $command
		is "$rc" 0 || fail "$command: $(cat err)"
	done
	for command in "logs $N-d" "cp $N-d:/etc/passwd -" "export $N-d" "inspect $N-d" "top $N-d auxe" \
		"exec $N-d id" "rm -f $N-d" "stop $N-d" "service ls" "run $IMAGE true" "attach $N-d" "save $IMAGE"; do
		# shellcheck disable=SC2086 # a command line
		as read $command
		fails test "$rc" = 0
		has "$(cat err)" "this token does not have the right '[a-z-]+'" || fail "$command"
		fails grep hunter2 out
	done
	explain GET "/containers/$N-d/logs" --role read
	is "$rc" 1
	has "$(cat out)" '^  right  container-logs$'
}

@test "explain: read cannot get a file out of a container" {
	tokens_first read
	serve --state "$WORK/state"
	direct run -d --name "$N-d" "$IMAGE" sleep 60 >/dev/null
	as read ps --format '{{.Names}}'
	is "$rc" 0
	has "$(cat out)" "^$N-d$"
	as read cp "$N-d:/etc/passwd" -
	fails test "$rc" = 0
	is "$(cat out)" ""
	as read export "$N-d"
	has "$(cat err)" "the right 'container-export'"
	code=$(curl -sS -o body -w '%{http_code}' --max-time 20 --cacert state/ca.pem -H "token: $(token_of read)" \
		"https://localhost:$GATE_PORT/v1.41/containers/$N-d/archive?path=/etc/passwd")
	is "$code" 403
	has "$(cat body)" "the right 'container-archive"
}

@test "explain: logs follows logs and does nothing else" {
	tokens_first logs
	serve --state "$WORK/state"
	direct run -d --name "$N-d" "$IMAGE" sh -c 'echo hello; sleep 60' >/dev/null
	has_said() { direct logs "$1" | grep -q "$2"; }
	within 10 has_said "$N-d" hello
	as logs logs "$N-d"
	is "$(cat out)" hello
	as logs exec "$N-d" id
	fails test "$rc" = 0
	as logs restart "$N-d"
	has "$(cat err)" "the right 'container-restart'"
}

@test "explain: operate restarts, and makes and removes nothing" {
	tokens_first operate
	serve --state "$WORK/state"
	direct run -d --name "$N-d" "$IMAGE" sleep 60 >/dev/null
	for command in stop start restart pause unpause kill; do
		as operate "$command" "$N-d"
		is "$rc" 0 || fail "$command: $(cat err)"
	done
	as operate rm -f "$N-d"
	has "$(cat err)" "the right 'container-delete'"
	as operate run --rm "$IMAGE" true
	has "$(cat err)" "the right 'container-create'"
}

@test "explain: deploy runs what asks for nothing of the host's" {
	tokens_first deploy
	serve --state "$WORK/state"
	as deploy run --rm --name "$N-d" "$IMAGE" echo ran
	is "$(cat out)" ran
	as deploy run --rm --name "$N-d" -v /etc:/host "$IMAGE" cat /host/passwd
	fails test "$rc" = 0
	as deploy run --rm --name "$N-d" --privileged "$IMAGE" true
	fails test "$rc" = 0
	direct run -d --name "$N-v" "$IMAGE" sleep 60 >/dev/null
	as deploy exec "$N-v" id
	has "$(cat err)" "the right 'exec-create'"
}

@test "explain: a role of one's own, by name" {
	mkdir -m 700 state
	printf 'role web\n  include read\n  allow GET /containers/%s-d/logs\n  allow container-inspect\n' "$N" >state/policy
	explain --role web
	is "$rc" 0
	tokens_first web
	serve --state "$WORK/state"
	direct run -d --name "$N-d" "$IMAGE" sh -c 'echo mine; sleep 60' >/dev/null
	direct run -d --name "$N-v" "$IMAGE" sh -c 'echo yours; sleep 60' >/dev/null
	# The CLI asks by the ID that the inspect gave it: a name is what a program asks by that takes the API itself.
	for side in d v; do
		curl -sS --cacert state/ca.pem -H "token: $(token_of web)" -o "$side.logs" -w '%{http_code}' \
			"https://localhost:$GATE_PORT/containers/$N-$side/logs?stdout=1" >"$side.code"
		explain GET "/containers/$N-$side/logs" --role web
		echo "$rc" >>"$side.code"
	done
	is "$(cat d.code)" 2000
	has "$(tr -d '\0' <d.logs)" mine
	is "$(cat v.code)" 4031
	fails grep -a yours v.logs
}

@test "explain: a policy that cannot be read is named with its line, by serve too" {
	mkdir -m 700 state
	printf 'role web\n\n  allow container-log\n' >state/policy
	explain --roles
	is "$rc" 2
	has "$(cat err)" "policy:3: 'container-log' is no right"
	rc=0
	timeout 20 "$HEADGATE_BIN" serve --listen tls://127.0.0.1:0 --state "$WORK/state" \
		--engine "unix://$ENGINE_DIR/docker.sock" >serve.out 2>serve.err </dev/null || rc=$?
	is "$rc" 2
	has "$(cat serve.err)" "policy:3: 'container-log' is no right"
}

@test "explain: the switches of docker-socket-proxy become a policy that is taken" {
	CONTAINERS=1 SERVICES=1 POST=0 ALLOW_RESTARTS=1 explain --from-env
	is "$rc" 0
	mkdir -m 700 state
	cp out state/policy
	explain GET /v1.45/containers/json --role socket-proxy
	is "$rc" 0
	explain POST /containers/x/restart --role socket-proxy
	is "$rc" 0
	explain POST /containers/create --role socket-proxy
	is "$rc" 1
	explain GET /containers/x/attach/ws --role socket-proxy
	is "$rc" 1
}
