# shellcheck shell=bash
# common.bash: what every e2e test file loads.
#
# The verdict of most tests is `same`: the command gives the same stdout, stderr and exit code through headgate as
# straight from the engine. Each test adds a check of its own on the content, since two empty outputs are the same too.
#
# The run script has started the engine and headgate and exported: DOCKER, ENGINE_DIR, DIRECT_CONFIG, PROXY_DIR, EVENT,
# SUITE, LEG (its temporary directory), E2E_DIR (this one), IMAGE (a busybox), SILENCE_S.

# shellcheck source=tests/support/proxy.bash
source "$E2E_DIR/../support/proxy.bash"

setup() {
	proxy_use "$PROXY_DIR"
	N=hg$BATS_TEST_NUMBER-$(od -An -tx2 -N4 /dev/urandom | tr -d ' ')
	WORK=$(mktemp -d "$LEG/t.XXXXXX")
	cd "$WORK" || return
	NORM=
	STDIN=/dev/null
	BACKGROUND=()
	docker_programs "$WORK"
	! declare -F test_setup >/dev/null || test_setup
}

teardown() {
	local ids pid
	! declare -F test_teardown >/dev/null || test_teardown
	for pid in "${BACKGROUND[@]}"; do kill "$pid" 2>/dev/null || true; done
	ids=$(direct ps -aq --filter "name=$N")
	# shellcheck disable=SC2086 # a list of ids
	[ -z "$ids" ] || direct rm -f -v $ids >/dev/null
	cd / && rm -rf "$WORK"
}

fail() {
	printf '%s\n' "$@" >&2
	return 1
}

# Ids, dates, durations and the two names become the same word on both sides; NORM is one more sed script.
normal() {
	sed -E "s/$N-[dv]/{}/g; s/[0-9a-f]{64}/ID/g; s/\b[0-9a-f]{12}\b/ID/g
		s/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)?/DATE/g
		s/(About )?(an?|[0-9]+|Less than a) (second|minute)s?( ago)?/AGO/g
		$NORM" "$1"
}

# In each argument {} becomes this side's name.
same() {
	local side rc
	for side in d v; do
		rc=0
		if [ $side = d ]; then
			direct "${@//\{\}/$N-d}" <"$STDIN" >d.out 2>d.err || rc=$?
		else
			via "${@//\{\}/$N-v}" <"$STDIN" >v.out 2>v.err || rc=$?
		fi
		normal $side.out >$side.out.normal
		normal $side.err >$side.err.normal
		echo "$rc" >$side.rc
	done
	if ! { diff -u d.rc v.rc && diff -u d.err.normal v.err.normal && diff -u d.out.normal v.out.normal; }; then
		fail "not the same through headgate: docker $*"
	fi
	# shellcheck disable=SC2034 # for the tests
	status=$(<v.rc) output=$(<v.out) error=$(<v.err)
}

# A fixture for `same`: the command straight to the engine, once for each side.
prepare() {
	direct "${@//\{\}/$N-d}" >/dev/null && direct "${@//\{\}/$N-v}" >/dev/null
}

is() { [ "$1" = "$2" ] || fail "expected: $2" "got:      $1"; }

# has TEXT PATTERN: an extended regular expression, found in a line of the text.
has() { grep -qE -- "$2" <<<"$1" || fail "expected to find: $2" "in: $1"; }

# `!` in the middle of a test is not seen by bats.
fails() { if "$@"; then fail "should have failed: $*"; fi; }

# within SECONDS COMMAND: until it succeeds.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || fail "still not so: $*" || return
		sleep 0.1
	done
}

file_has() { grep -qE -- "$2" "$1"; }

# background NAME COMMAND: NAME.out, NAME.err and, at its end, NAME.rc. COMMAND is a program, not a function of ours
# (./docker-via, ./docker-direct), so that a kill reaches it.
background() {
	local name=$1
	shift
	(
		exec 3>&- 4>&- 8>&-
		trap 'kill $! 2>/dev/null; exit 143' TERM
		"$@" >"$name.out" 2>"$name.err" <"$STDIN" &
		rc=0
		wait $! || rc=$?
		echo "$rc" >"$name.rc"
	) &
	BACKGROUND+=($!)
}

# serve [OPTIONS]: a headgate of the test's own in front of the engine, with the tokens that it makes or is given; what
# it says is in serve.out and serve.err, its process in GATE, its port in GATE_PORT.
serve() {
	rm -f serve.err
	"$HEADGATE_BIN" serve --listen tls://127.0.0.1:0 --engine "unix://$ENGINE_DIR/docker.sock" --event "$EVENT" \
		--workers 1 "$@" >serve.out 2>serve.err </dev/null 3>&- 4>&- &
	GATE=$!
	BACKGROUND+=("$GATE")
	within 10 grep -qs 'listening on' serve.err || fail "$(cat serve.err)" || return
	# shellcheck disable=SC2034 # for the tests
	GATE_PORT=$(sed -n 's,.*listening on tls://127\.0\.0\.1:\([0-9]*\).*,\1,p' serve.err)
}

serve_stop() {
	kill -TERM "$GATE"
	wait "$GATE"
}

# A STDIN that stays open and silent.
open_stdin() {
	mkfifo open
	exec 8<>open
	STDIN=open
}

proxy_fds() { find "/proc/$PROXY_PID/fd" -type l | wc -l; }
proxy_fds_at_most() { [ "$(proxy_fds)" -le "$1" ]; }

# 26.1 and later have what 20.10's packages lack.
newer_engine() { [ "$SUITE" != bookworm ]; }

sha() { sha256sum | cut -d' ' -f1; }

# shellcheck disable=SC2016 # tar's own shell expands them
tar_contents() { tar -x --to-command='printf "%s %s\n" "$TAR_FILENAME" "$(sha256sum)"' | sort; }

# random_file FILE MEGABYTES: bytes that neither compress nor repeat.
random_file() { head -c "$(($2 * 1048576))" /dev/urandom >"$1"; }

# On a terminal of its own (-t); the words before -- are the conversation, see terminal.py.
on_pty() { /usr/bin/python3 "$E2E_DIR/terminal.py" "$@"; }
