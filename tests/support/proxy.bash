# shellcheck shell=bash
# proxy.bash: headgate and two docker CLIs for a test (source it from bash, load it from bats).
#
#   proxy_start DIR [serve options]   starts headgate with its state under DIR; sets PORT, TOKEN, CA, URL, PROXY_PID
#   proxy_use DIR                     sets them for one that already runs
#   proxy_stop DIR                    SIGTERM; its exit code is the result; fails on a sanitizer's report or a token in the log
#   direct ARGS                       docker ARGS straight to the engine's socket
#   via ARGS                          docker ARGS through headgate
#   docker_config DIR [TOKEN]         makes a DOCKER_CONFIG, with TOKEN as the header of every request
#   api PATH [curl options]           curl through headgate, the token sent;  engine_api: the same straight to the engine
#
# It reads DOCKER (a docker CLI), ENGINE_DIR (the directory of docker.sock), EVENT (the event back-end) and
# HEADGATE_BIN. PROXY_PREFIX, an array, goes in front of headgate's command line (another user, another network).

support_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${HEADGATE_BIN:=$(cd "$support_dir/../.." && pwd)/build/release/headgate}"

# A command that hangs is a failure to show, not one to wait for.
: "${COMMAND_TIMEOUT:=60}"

# 512 bytes from the kernel; hexadecimal, as `openssl rand -hex 512` in the original's script makes them.
proxy_token() { od -An -v -tx1 -N512 /dev/urandom | tr -d ' \n'; }

docker_config() {
	local dir=$1 token=${2-}
	mkdir -p "$dir"
	if [ -n "$token" ]; then
		printf '{"HttpHeaders": {"token": "%s"}}\n' "$token"
	else
		echo '{}'
	fi >"$dir/config.json"
	chmod 600 "$dir/config.json"
	ln -sfn "$(dirname "$DOCKER")/cli-plugins" "$dir/cli-plugins"
}

proxy_use() {
	TOKEN=$(<"$1/token")
	PORT=$(<"$1/port")
	PROXY_PID=$(<"$1/pid")
	PROXY_DIR=$1
	CA=$1/state/ca.pem
	URL=https://127.0.0.1:$PORT
	export TOKEN PORT PROXY_PID PROXY_DIR CA URL
}

proxy_start() {
	local dir=$1 token i
	shift
	mkdir -p "$dir"
	token=$(proxy_token)
	printf %s "$token" >"$dir/token"
	chmod 600 "$dir/token"
	# Bats waits for whoever holds its descriptors: the daemon gets none of them. Its exit code is kept by the shell
	# that waits for it, because `proxy_stop` may well be called from another one.
	(
		for fd in /proc/"$BASHPID"/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done
		exec >/dev/null 2>"$dir/log" </dev/null
		DOCKER_API_TOKEN=$token "${PROXY_PREFIX[@]}" "$HEADGATE_BIN" serve --listen tls://127.0.0.1:0 --auth-failures 0 \
			--state "$dir/state" --event "${EVENT:-auto}" --workers "${WORKERS:-2}" "$@" &
		echo $! >"$dir/pid"
		rc=0
		wait $! || rc=$?
		echo "$rc" >"$dir/exit"
	) &
	disown
	for ((i = 0; i < 400; i++)); do
		if [ ! -e "$dir/exit" ] && sed -n 's,.*listening on tls://127\.0\.0\.1:\([0-9]*\).*,\1,p' "$dir/log" \
			2>/dev/null | head -n 1 >"$dir/port" && [ -s "$dir/port" ]; then
			docker_config "$dir/config" "$token"
			proxy_use "$dir"
			return 0
		fi
		[ ! -e "$dir/exit" ] || break
		sleep 0.05
	done
	echo "headgate did not start:" >&2
	cat "$dir/log" >&2
	return 1
}

proxy_stop() {
	local dir=$1 i rc
	[ -s "$dir/pid" ] || return 0
	[ -e "$dir/exit" ] || kill -TERM "$(<"$dir/pid")" 2>/dev/null || true
	for ((i = 0; i < 400; i++)); do
		[ ! -s "$dir/exit" ] || break
		sleep 0.05
	done
	if [ ! -s "$dir/exit" ]; then
		echo "headgate did not end within 20 s of SIGTERM" >&2
		kill -KILL "$(<"$dir/pid")" 2>/dev/null || true
		return 1
	fi
	rc=$(<"$dir/exit")
	if grep -E 'ERROR: (Address|Leak|Thread|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:' "$dir/log" >&2; then
		rc=99
	fi
	if grep -qF "$(<"$dir/token")" "$dir/log"; then
		echo "the token is in headgate's log" >&2
		rc=98
	fi
	[ "$rc" = 0 ] || tail -n 40 "$dir/log" >&2
	return "$rc"
}

direct() {
	DOCKER_CONFIG=$DIRECT_CONFIG timeout --foreground -k 5 "$COMMAND_TIMEOUT" "$DOCKER" \
		-H "unix://$ENGINE_DIR/docker.sock" "$@"
}

via() {
	DOCKER_CONFIG=$PROXY_DIR/config timeout --foreground -k 5 "$COMMAND_TIMEOUT" "$DOCKER" \
		-H "tcp://127.0.0.1:$PORT" --tlsverify --tlscacert "$CA" "$@"
}

# The same two as one executable each, for programs that start docker themselves.
docker_programs() {
	local dir=$1
	printf '#!/bin/sh\nDOCKER_CONFIG=%s exec %s -H unix://%s/docker.sock "$@"\n' \
		"$DIRECT_CONFIG" "$DOCKER" "$ENGINE_DIR" >"$dir/docker-direct"
	printf '#!/bin/sh\nDOCKER_CONFIG=%s/config exec %s -H tcp://127.0.0.1:%s --tlsverify --tlscacert %s "$@"\n' \
		"$PROXY_DIR" "$DOCKER" "$PORT" "$CA" >"$dir/docker-via"
	chmod 755 "$dir/docker-direct" "$dir/docker-via"
}

# Curl reads the header from a file: arguments can be seen by every user.
api() {
	local path=$1
	shift
	curl -sS --max-time "$COMMAND_TIMEOUT" --cacert "$CA" -H @<(printf 'token: %s\n' "$TOKEN") "$@" "$URL$path"
}

engine_api() {
	local path=$1
	shift
	curl -sS --max-time "$COMMAND_TIMEOUT" --unix-socket "$ENGINE_DIR/docker.sock" "$@" "http://localhost$path"
}
