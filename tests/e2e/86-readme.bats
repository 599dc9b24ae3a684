#!/usr/bin/env bats
# README.md's snippets, word for word: a reader pastes them.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2030,SC2031 # each test is a subshell
load common

test_setup() {
	export HOME=$WORK/home PATH=$WORK/bin:$PATH
	mkdir -p "$HOME/.docker-headgate" bin
	ln -s "$DOCKER" bin/docker
	# Where compose is for a user who has not installed it for all.
	ln -s "$(dirname "$DOCKER")/cli-plugins" "$HOME/.docker-headgate/cli-plugins"
	cp "$CA" ca.pem
	unset DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_CERT_PATH DOCKER_TLS_VERIFY REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
	VERSION=$(direct version --format '{{.Server.Version}}')
}

test_teardown() { direct compose -p "$N-v" down -v -t 1 >/dev/null 2>&1 || true; }

# block LANGUAGE START: the first fenced block behind the line that begins with START, with what a reader puts in.
block() {
	awk -v fence="\`\`\`$1" -v start="$2" '
		index($0, start) == 1 { found = 1 }
		inside && $0 == "```" { exit }
		inside { print }
		found && /^```/ && !inside { if ($0 != fence) exit; inside = 1 }' "$E2E_DIR/../../README.md" >block
	[ -s block ] || fail "README.md has no $1 block behind $2" || return
	sed -E "s,/path/to,$WORK,g; s,\bHOST\b,127.0.0.1,g; s,\bPORT\b,$PORT,g; s,\bTOKEN\b,$TOKEN,g
		s,/var/lib/headgate,$WORK/state,g" block
}

@test "README: docker CLI 27.1 or later" {
	script=$(block sh '**docker CLI 27.1')
	has "$script" "DOCKER_CUSTOM_HEADERS=token=$TOKEN\$"
	# The tree's CLI is older and does not know that variable: it gets the same header from its configuration.
	export DOCKER_CONFIG=$PROXY_DIR/config
	output=$(bash -euc "$script")
	is "$(grep -c '^ *Version:' <<<"$output")" "$(direct version | grep -c '^ *Version:')"
}

@test "README: any docker CLI, and compose" {
	export COMPOSE_PROJECT_NAME=$N-v
	printf 'services:\n  one:\n    image: %s\n    pull_policy: never\n    command: sleep 600\n' "$IMAGE" >compose.yml
	output=$(bash -euc "$(block sh '**Any docker CLI')" 2>err) || fail "$(cat err)"
	is "$(grep -c '^Server:' <<<"$output")" 2
	is "$(direct ps -q --filter "name=$N-v-one-1" | wc -l)" 1
}

@test "README: dockerode" {
	is "$(timeout 60 node -e "$(block js '**dockerode')")" "$VERSION"
}

@test "README: docker-py" {
	is "$(timeout 60 /usr/bin/python3 -c "$(block python '**docker-py')")" "$VERSION"
}

@test "README: curl" {
	output=$(bash -euc "$(block sh '**curl')" 2>err) || fail "$(cat err)"
	is "$(grep -cF ",\"Version\":\"$VERSION\"," <<<"$output")" 3
}

@test "README: tokens, roles and a policy" {
	mkdir -p own-bin
	ln -s "$HEADGATE_BIN" own-bin/headgate
	export PATH=$WORK/own-bin:$PATH HEADGATE_STATE=$WORK/state
	serve
	output=$(bash -euc "$(block sh '**Tokens**')" 2>err) || fail "$(cat err)"
	is "$(grep -cE '^hg_[0-9a-f]{8}_[0-9a-f]{64}$' <<<"$output")" 2
	has "$output" '^ci +build +20..-..-..T..:..:..Z +10.0.0.0/8$'
	has "$output" '^ci is revoked; '
	fails file_has state/tokens '^ci '
	block policy '**Own roles**' >state/policy
	token=$(headgate token create ci --role web 2>/dev/null)
	output=$(bash -uc "$(block sh '**Roles**')") || [ $? = 1 ]
	has "$output" '^refused$'
	has "$output" '^  right  container-logs$'
	has "$(headgate explain POST /containers/web-3/restart --token ci)" '^         line 4 of '
	fails headgate explain POST /images/x/push --token ci >/dev/null
	for _ in {1..50}; do
		[ "$(curl -sS --cacert state/ca.pem -H "token: $token" "https://127.0.0.1:$GATE_PORT/_ping")" != OK ] || break
		sleep 0.1
	done
	is "$(curl -sS --cacert state/ca.pem -H "token: $token" "https://127.0.0.1:$GATE_PORT/_ping")" OK
	has "$(curl -sS --cacert state/ca.pem -H "token: $token" "https://127.0.0.1:$GATE_PORT/info")" '"Containers"'
	has "$(curl -sS --cacert state/ca.pem -H "token: $token" "https://127.0.0.1:$GATE_PORT/volumes")" \
		"this token does not have the right 'volume-list'"
}
