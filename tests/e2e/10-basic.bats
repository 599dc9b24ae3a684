#!/usr/bin/env bats
# What a client sees first: versions, lists, who gets in and who does not.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

@test "version" {
	same version
	is "$status" 0
	has "$output" 'API version: +1\.4[0-9] \(minimum'
	same version --format '{{.Server.Version}}'
	has "$output" "$(newer_engine && echo '^26\.1' || echo '^20\.10')"
}

@test "info" {
	# The engine lists its runtimes in any order.
	NORM='s/(Runtimes|System Time|File Descriptors|Goroutines): .*/\1/; s,(Path: +)/.*,\1,'
	same info
	is "$status" 0
	has "$output" 'Server Version:'
	has "$output" 'Docker Root Dir: /var/lib/docker'
}

@test "lists and inspections: ps, images, network, volume, inspect, history, system df" {
	prepare run -d --name {} "$IMAGE" sleep 600
	# A column is as wide as "Less than a second ago".
	NORM='s/ {2,}/  /g'
	same ps --filter "name={}"
	has "$output" "sleep 600.*Up "
	same images
	has "$output" '^busybox +latest'
	same image inspect "$IMAGE"
	has "$output" '"Architecture"'
	same history "$IMAGE"
	same network ls
	has "$output" 'bridge +bridge +local'
	same inspect --format '{{.Name}} {{.Config.Cmd}} {{.State.Status}}' {}
	has "$output" "^/$N-v \[sleep 600\] running$"
	same system df
	has "$output" '^Images'
}

@test "volumes: create, ls, inspect, rm" {
	same volume create {}
	is "$output" "$N-v"
	same volume ls --filter "name={}"
	has "$output" "local +$N-v"
	same volume inspect {}
	same volume rm {}
	same volume inspect {}
	is "$status" 1
	has "$error" '[Nn]o such volume'
}

@test "networks: create, connect, ls, rm" {
	prepare run -d --name {} "$IMAGE" sleep 600
	same network create {}
	same network connect {} {}
	same network inspect --format '{{range .Containers}}{{.Name}}{{end}}' {}
	is "$output" "$N-v"
	same network disconnect {} {}
	same network rm {}
	is "$status" 0
}

@test "errors of the engine arrive as they are" {
	same inspect "$N-nothing"
	is "$status" 1
	has "$error" 'No such object'
	same start "$N-nothing"
	is "$status" 1
	has "$error" 'No such container'
	same rmi "$N-nothing"
	has "$error" 'No such image'
}

@test "unversioned and versioned paths give what the engine gives" {
	for path in /networks /images/json /v1.40/images/json /v1.41/networks /version /v1.24/version /volumes '/containers/json?all=1&limit=1' /nothing; do
		engine_api "$path" -o d.body -w '%{http_code} %{content_type}' >d.out
		api "$path" -o v.body -w '%{http_code} %{content_type}' >v.out
		diff -u d.out v.out
		# The engine lists networks in any order, and a second later a container is "Up 8 seconds".
		for side in d v; do
			jq -S 'if type == "array" then sort_by(.Id) | map(del(.Status)) else . end' $side.body >$side.json
		done
		diff -u d.json v.json
	done
	is "$(cat v.out)" '404 application/json'
	is "$(api /_ping)" OK
	is "$(api /_ping -I -o /dev/null -w '%{http_code}')" 200
	has "$(api /_ping -I)" '[Aa]pi-[Vv]ersion: 1\.4'
}

@test "the three ways to bring the token" {
	for header in "token: $TOKEN" "Authorization: Bearer $TOKEN" "Authorization: Basic $(printf 'any:%s' "$TOKEN" | base64 -w0)"; do
		is "$(curl -sS --cacert "$CA" -H @<(echo "$header") -o out -w '%{http_code}' "$URL/version")" 200
		has "$(cat out)" '"ApiVersion"'
	done
}

@test "no token and a wrong token: 401 in Docker's form, the same for both" {
	curl -sS -i --cacert "$CA" "$URL/version" >missing
	curl -sS -i --cacert "$CA" -H "token: ${TOKEN%?}" "$URL/version" >wrong
	curl -sS -i --cacert "$CA" -H "token: $(proxy_token)" "$URL/containers/json" >other
	for f in missing wrong other; do
		has "$(cat $f)" '^HTTP/1\.1 401 '
		has "$(cat $f)" '^[Cc]ontent-[Tt]ype: application/json'
		sed -E '/^[Dd]ate:/d; s/\r$//' $f >$f.plain
	done
	diff missing.plain wrong.plain
	diff missing.plain other.plain
	tail -n 1 missing.plain | jq -e '.message | length > 0'
}

@test "the docker CLI shows the 401's message" {
	message=$(curl -sS --cacert "$CA" "$URL/version" | jq -r .message)
	[ -n "$message" ]
	for token in "" wrong "${TOKEN%?}"; do
		docker_config config "$token"
		for command in ps 'run --rm busybox true' 'exec x true' 'logs x'; do
			rc=0
			# shellcheck disable=SC2086 # words
			DOCKER_CONFIG=$PWD/config timeout 20 "$DOCKER" -H "tcp://127.0.0.1:$PORT" --tlsverify --tlscacert "$CA" \
				$command >out 2>err || rc=$?
			[ "$rc" -ne 0 ] && [ "$rc" -ne 124 ]
			grep -qF "Error response from daemon: $message" err || fail "$(cat err)"
			is "$(cat out)" ""
		done
	done
}

@test "a docker context with nothing but the CA and the header" {
	docker_config config "$TOKEN"
	export DOCKER_CONFIG=$PWD/config
	"$DOCKER" context create gate --docker "host=tcp://127.0.0.1:$PORT,ca=$CA"
	is "$("$DOCKER" --context gate version --format '{{.Server.Version}}')" "$(direct version --format '{{.Server.Version}}')"
	is "$("$DOCKER" --context gate run --rm "$IMAGE" echo hello)" hello
}

@test "a client that trusts another CA does not get in touch" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out other.pem -subj /CN=other -days 2 2>/dev/null
	rc=0
	DOCKER_CONFIG=$PROXY_DIR/config "$DOCKER" -H "tcp://127.0.0.1:$PORT" --tlsverify --tlscacert other.pem ps 2>err || rc=$?
	is "$rc" 1
	has "$(cat err)" 'x509|certificate'
	via ps
}

@test "plain HTTP on the TLS port gets a readable 400" {
	curl -s -i --max-time 10 "http://127.0.0.1:$PORT/version" >out || true
	has "$(head -n 1 out)" '^HTTP/1\.[01] 400'
	has "$(tail -n 1 out)" '[Hh][Tt][Tt][Pp][Ss]|TLS'
	via version >/dev/null
}

@test "TLS 1.2 and 1.3; nothing older" {
	is "$(api /_ping --tls-max 1.2)" OK
	is "$(api /_ping --tlsv1.3)" OK
	is "$(api /_ping --http2)" OK
	fails api /_ping --tls-max 1.1 --ciphers 'ALL:@SECLEVEL=0'
}
