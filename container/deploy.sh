#!/bin/sh
# SPDX-License-Identifier: MIT
#
# deploy.sh: headgate in a container on this manager, in one command. See usage() below, or --help.
#
# Theory of operation. The container that is there is kept, stopped and renamed, until the new one has answered that it
# is ready; whatever fails before that, a signal too, brings the old one back. The restart policy is set last, so that a
# start that fails does not go round in circles. The token is in the container's environment, where
# `docker inspect` shows it to whoever has the engine anyway (the original's way), or nowhere with --sealed.
set -u

name=manager-docker-api
command='' port=443 bind='' token_file='' image=headgate:latest seccomp='' print_token=yes rotate='' sealed=''
engine='' cert_dir='' standalone='' sans='' wait_s=60 all='' memory=1g cpus=0 admin='' state="${XDG_CONFIG_HOME:-${HOME:-/root}/.config}/headgate"

usage() {
	cat <<-'USAGE'
		Usage: deploy.sh [deploy] [OPTION]...   on this manager, first or again
		       deploy.sh swarm [OPTION]...      on every manager of this swarm
		       deploy.sh token                  the token (--sealed: a new one)
		       deploy.sh status                 says how the container is
		       deploy.sh remove [--all]         --all: its CA and tokens, too

		  --port PORT            on the host (default: 443)
		  --bind ADDRESS         listen on this address alone (default: every one)
		  --image IMAGE          default: headgate:latest (make image)
		  --san NAME             one more name or address that clients use; repeatable
		  --rotate               a new token (default: the one before, if there is one)
		  --token-file FILE      the token to use
		  --sealed               keeps the digest only: docker inspect shows none
		  --print-token no       does not print it
		  --engine tls://H:PORT  an engine elsewhere (default: this one's socket)
		  --engine-cert-dir DIR  ca.pem, cert.pem and key.pem for it
		  --admin ADDRESS:PORT   /health, /ready and /metrics for a load balancer, on
		                         the host, without a token (default: nowhere)
		  --seccomp FILE         seccomp.json beside this script; `default`: Docker's
		  --standalone           this engine need not be a swarm manager
		  --memory SIZE          what it may use at most (default: 1g; 0: all)
		  --cpus NUMBER          how much it may compute at most (default: 0, all)
		  --wait SECONDS         for the new one to be ready (default: 60)
		  --state DIR            swarm: for CA and keys (~/.config/headgate)
	USAGE
}

# macOS's tar would send its own attributes along.
export COPYFILE_DISABLE=1

say() { printf '%s\n' "$*"; }
note() { printf '%s\n' "$*" >&2; }
die() { printf 'deploy.sh: %s\n' "$*" >&2; exit 1; }
die_usage() { printf "deploy.sh: %s; try 'deploy.sh --help'\n" "$*" >&2; exit 2; }

read_arguments() {
	case ${1:-} in
	deploy | swarm | token | status | remove) command=$1; shift ;;
	'' | -*) command=deploy ;;
	*) die_usage "'$1' is not a command" ;;
	esac
	while [ $# -gt 0 ]; do
		case $1 in
		--help | -h) usage; exit 0 ;;
		--rotate) rotate=1; shift; continue ;;
		--sealed) sealed=1; shift; continue ;;
		--standalone) standalone=1; shift; continue ;;
		--all) all=1; shift; continue ;;
		--*=*) option=${1%%=*} value=${1#*=}; shift ;;
		--*) [ $# -ge 2 ] || die_usage "$1 needs a value"; option=$1 value=$2; shift 2 ;;
		*) die_usage "'$1' is not an option" ;;
		esac
		[ -n "$value" ] || die_usage "$option needs a value"
		case $option in
		--port) port=$value ;;
		--bind) bind=$value ;;
		--token-file) token_file=$value ;;
		--image) image=$value ;;
		--san) sans=${sans:+$sans,}$value ;;
		--seccomp) seccomp=$value ;;
		--print-token) print_token=$value ;;
		--engine) engine=$value ;;
		--engine-cert-dir) cert_dir=$value ;;
		--admin) admin=$value ;;
		--memory) memory=$value ;;
		--cpus) cpus=$value ;;
		--wait) wait_s=$value ;;
		--state) state=$value ;;
		*) die_usage "unknown option '$option'" ;;
		esac
	done
	case $port in '' | *[!0-9]*) die_usage "--port: '$port' is no number" ;; esac
	if [ "$port" -lt 1 ] || [ "$port" -gt 65535 ]; then die_usage "--port: '$port' is not from 1 to 65535"; fi
	case $admin in '' | *:*[0-9]) ;; *) die_usage "--admin: '$admin' is not ADDRESS:PORT" ;; esac
	case $wait_s in '' | *[!0-9]*) die_usage "--wait: '$wait_s' is no number of seconds" ;; esac
	case $memory in *[!0-9bkmgBKMG]* | [!0-9]*) die_usage "--memory: '$memory' is not like 512m or 1g" ;; esac
	case $cpus in *[!0-9.]* | *.*.*) die_usage "--cpus: '$cpus' is no number" ;; esac
	case $print_token in yes | no) ;; *) die_usage "--print-token: yes or no" ;; esac
	case $engine in '' | tls://* | tcp://*) ;; *) die_usage "--engine: '$engine' is not tls://HOST:PORT" ;; esac
	case $engine$cert_dir in tls://*) [ -n "$cert_dir" ] || die_usage "--engine tls:// needs --engine-cert-dir" ;; esac
	[ -z "$token_file" ] || [ -z "$rotate$sealed" ] || die_usage "--token-file does not go with --rotate or --sealed"
}

# ---- what there is ----

need_engine() {
	command -v docker >/dev/null 2>&1 || die "there is no docker command; install the docker CLI"
	error=$(docker version --format '{{.Server.Version}}' 2>&1) ||
		die "the Docker Engine does not answer: $(say "$error" | tail -n 1)"
}

# need_manager [OPTION]: the one that would do without.
need_manager() {
	[ -z "$standalone" ] || return 0
	[ "$(docker info --format '{{.Swarm.ControlAvailable}}' 2>/dev/null)" = true ] ||
		die "this engine is no swarm manager; run 'docker swarm init'${1:+, or give $1}"
}

# From here on the image goes by its ID: its name is given to another image by whoever builds one of that name.
need_image() {
	image_name=$image
	if ! docker image inspect "$image" >/dev/null 2>&1; then
		note "fetching the image $image"
		docker pull "$image" >&2 ||
			die "there is no image $image; build it ('make image' in the source), or give --image"
	fi
	image=$(docker image inspect --format '{{.Id}}' "$image_name") || die "the image $image_name cannot be inspected"
}

need_certificates() {
	[ -n "$cert_dir" ] || return 0
	for file in ca.pem cert.pem key.pem; do
		[ -r "$cert_dir/$file" ] || die "$cert_dir/$file: cannot be read"
	done
}

exists() { docker container inspect "$1" >/dev/null 2>&1; }
running() { [ "$(docker container inspect --format '{{.State.Running}}' "$1" 2>/dev/null)" = true ]; }

# The token in the environment of the container that is there; empty when it is sealed.
present_token() {
	docker container inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$name" 2>/dev/null |
		sed -n 's/^DOCKER_API_TOKEN=//p'
}

new_token() { printf 'hg_%s_%s' "$(random_hex 4)" "$(random_hex 32)"; }
random_hex() {
	bytes=$(od -An -v -tx1 -N"$1" /dev/urandom 2>/dev/null | tr -d ' \n')
	[ ${#bytes} -eq $(($1 * 2)) ] || bytes=$(openssl rand -hex "$1")
	printf %s "$bytes"
}

# Seen from the engine's host, which need not be this one: by a container.
socket_group() {
	docker run --rm --network none --cap-drop ALL --user 2376 --entrypoint stat \
		--mount type=bind,src=/var/run/docker.sock,dst=/sock,ro "$image" -L -c %g /sock 2>/dev/null
}

# Kernel TLS is a module that nothing loads by itself.
load_tls_module() {
	[ "$(uname -s)" = Linux ] && [ ! -e /sys/module/tls ] || return 0
	modprobe tls 2>/dev/null && [ -e /sys/module/tls ] && return 0
	note "note: the kernel's tls module is not loaded (modprobe tls, as root):"
	note "      TLS stays in userspace"
}

# ---- deploying ----

# Brings the container back that was there before; what is deployed by then is not good.
undo() {
	[ -n "$undoing" ] || return 0
	undoing=
	# Not renamed yet, or not at all: what bears the name is the one before.
	if [ -n "$had_one" ] && ! exists "$name-before"; then
		[ -z "$was_running" ] || docker start "$name" >/dev/null 2>&1
		return 0
	fi
	docker rm -f -v "$name" >/dev/null 2>&1
	exists "$name-before" || return 0
	docker rename "$name-before" "$name" >/dev/null
	[ -z "$was_running" ] || docker start "$name" >/dev/null || note "deploy.sh: the container before does not start again"
}

# What a run that was killed has left: the container before is the good one, unless the new one came up.
take_up() {
	exists "$name-before" || return 0
	if running "$name" && docker exec "$name" headgate health --ready >/dev/null 2>&1; then
		docker rm -f -v "$name-before" >/dev/null 2>&1
		return 0
	fi
	note "a deployment was broken off: the container before it is back"
	docker rm -f -v "$name" >/dev/null 2>&1
	docker rename "$name-before" "$name" >/dev/null || die "$name-before cannot be renamed"
	docker start "$name" >/dev/null 2>&1 || note "deploy.sh: it does not start"
}

fail() {
	undo
	if [ -n "$was_running" ] && running "$name"; then die "$*; the container before runs again"; fi
	die "$*"
}

choose_token() {
	token='' kept=''
	# Unsealed by a run that forgot the option, the sealed token would go on unseen beside the new one.
	if [ -z "$sealed$token_file" ] && exists "$name" && [ -z "$(present_token)" ]; then
		sealed=1
		note "sealed, as before: the token's digest alone is kept ('deploy.sh remove --all' ends that)"
	fi
	if [ -n "$token_file" ]; then
		[ -r "$token_file" ] || die "$token_file: cannot be read"
		token=$(cat "$token_file")
		[ -n "$token" ] || die "$token_file: there is no token in it"
		[ ${#token} -ge 32 ] || note "note: a token of ${#token} characters can be guessed; 32 or more are good"
	elif [ -z "$rotate" ] && [ -z "$sealed" ]; then
		token=$(present_token)
		[ -z "$token" ] || kept=1
	fi
	[ -z "$token" ] && [ -z "$sealed" ] || return 0
	token=$(new_token)
	[ ${#token} -eq 76 ] || die "no random numbers: neither od with /dev/urandom nor openssl gives any"
}

# With --sealed the token is made where its digest is kept, and is known here alone. One that is there already is needed
# by the container before until the new one is ready: see rotate_sealed_token().
make_sealed_token() {
	# No log of it: that would have the token. Under this name lesser roles are kept from it.
	in_state="docker run --rm --name $name-maker --log-driver none --network none --read-only --cap-drop ALL --mount"
	if $in_state "type=volume,src=$name,dst=/var/lib/headgate" "$image" token show admin >/dev/null 2>&1; then
		kept=1
		return 0
	fi
	token=$($in_state "type=volume,src=$name,dst=/var/lib/headgate" "$image" token create admin --role admin 2>/dev/null) ||
		fail "the token could not be made in the volume $name"
}

rotate_sealed_token() {
	if [ -z "$sealed" ] || [ -z "$rotate" ] || [ -z "$kept" ]; then return 0; fi
	token=$(docker exec "$name" headgate token rotate admin --overlap 0 2>/dev/null) || fail "the token could not be rotated"
	kept=''
	docker kill --signal HUP "$name" >/dev/null 2>&1 # it would see it in half a second by itself
}

# The certificates go into the state: a key that root alone may read is of no use to the program there. Into a directory
# of their own, because the container before needs its own when it comes back.
copy_engine_certificates() {
	engine_dir=/var/lib/headgate/engine.$(random_hex 4)
	tar -C "$cert_dir" -cf - ca.pem cert.pem key.pem | docker run --rm -i --name "$name-maker" --network none --user 2376:2376 \
		--mount "type=volume,src=$name,dst=/var/lib/headgate" --entrypoint sh "$image" \
		-c 'umask 077; mkdir -p "$1" && tar -xf - -C "$1"' sh "$engine_dir" ||
		fail "the certificates for the engine could not be copied"
}

# In a container of its own: the one that runs may not remove directories (seccomp.json).
remove_old_certificates() {
	# shellcheck disable=SC2016 # for the shell in the container
	docker run --rm --name "$name-maker" --network none --user 2376:2376 \
		--mount "type=volume,src=$name,dst=/var/lib/headgate" --entrypoint sh "$image" \
		-c 'for d in /var/lib/headgate/engine*; do [ "$d" = "$1" ] || rm -rf "$d"; done' sh "$engine_dir" ||
		note "deploy.sh: old certificates for the engine are left in the volume $name"
}

start_container() {
	set -- --detach --name "$name" --read-only --cap-drop ALL --security-opt no-new-privileges \
		--mount "type=volume,src=$name,dst=/var/lib/headgate" \
		--publish "${bind:+$bind:}$port:2376" --stop-timeout 40 --memory "$memory" --cpus "$cpus" --pids-limit 512 \
		--label "headgate.image=$image_name" --env NODE_TYPE=manager --env "HEADGATE_SAN=$names" --env "HEADGATE_CONTAINER=$name" \
		--env "HEADGATE_CONTAINER_PORT=$port"
	if [ -n "$engine" ]; then
		set -- "$@" --user 2376:2376 --env "HEADGATE_ENGINE=$engine"
		[ -z "$cert_dir" ] || set -- "$@" --env "HEADGATE_ENGINE_CERT_DIR=$engine_dir"
	else
		set -- "$@" --user "2376:$group" --mount type=bind,src=/var/run/docker.sock,dst=/var/run/docker.sock
	fi
	[ -z "$profile" ] || set -- "$@" --security-opt "seccomp=$profile"
	[ -z "$admin" ] || set -- "$@" --publish "$admin:9323" --env HEADGATE_ADMIN=tcp://0.0.0.0:9323
	if [ -z "$sealed" ]; then
		set -- "$@" --env DOCKER_API_TOKEN # by its name: arguments can be seen by every user
		export DOCKER_API_TOKEN="$token"
	fi
	error=$(docker run "$@" "$image" serve 2>&1 >/dev/null) && return 0
	case $error in
	*"already allocated"* | *"address already in use"*)
		fail "port $port is in use on this host; stop what uses it, or give --port" ;;
	*) fail "the container does not start: $(say "$error" | sed -n 's/^docker: //p; $p' | head -n 1)" ;;
	esac
}

# A dot a second on a terminal.
wait_until_ready() {
	seconds=0
	until error=$(docker exec "$name" headgate health --ready 2>&1); do
		if ! running "$name"; then
			fail "the new container has ended: $(docker logs --tail 3 "$name" 2>&1 | tail -n 1)"
		fi
		[ "$seconds" -lt "$wait_s" ] || fail "not ready after $wait_s s: $(say "$error" | tail -n 1)"
		[ ! -t 2 ] || printf . >&2
		seconds=$((seconds + 1))
		sleep 1
	done
	[ ! -t 2 ] || [ "$seconds" -eq 0 ] || printf '\n' >&2
}

choose_names() {
	names=$(docker info --format '{{.Name}},{{.Swarm.NodeAddr}}' 2>/dev/null)
	names=${names%,}${bind:+,$bind}${sans:+,$sans}
}

choose_profile() {
	profile=
	case $seccomp in
	default) return 0 ;;
	'') profile=$(dirname "$0")/seccomp.json; [ -r "$profile" ] || profile='' ;;
	*) [ -r "$seccomp" ] || die "--seccomp $seccomp: cannot be read"; profile=$seccomp ;;
	esac
	# An engine without seccomp refuses every profile.
	case $(docker info --format '{{.SecurityOptions}}' 2>/dev/null) in *seccomp*) ;; *) profile='' ;; esac
}

print_banner() {
	stars='**************************************************************************'
	say "$stars"
	if [ "$print_token" = no ]; then
		say "* The token is not printed (--print-token no)."
	elif [ -n "$token" ]; then
		say '* Use the following Token to connect to your docker deployment:'
		say "$stars"
		say "$token"
	else
		say "* The token is the one before; 'deploy.sh --sealed --rotate' makes a new one."
	fi
	say "$stars"
}

do_deploy() {
	need_engine
	need_manager --standalone
	need_image
	need_certificates
	choose_profile
	choose_names
	group=''
	if [ -z "$engine" ]; then
		group=$(socket_group)
		[ -n "$group" ] || die "there is no /var/run/docker.sock on the engine's host; give --engine"
	fi
	take_up
	choose_token
	load_tls_module

	was_running='' undoing='' had_one=''
	trap undo EXIT
	trap 'exit 130' INT TERM HUP
	say 'cleaning up old manager container'
	undoing=1
	if exists "$name"; then
		had_one=1
		! running "$name" || was_running=1
		docker rename "$name" "$name-before" >/dev/null || die "the old container cannot be renamed"
		docker stop "$name-before" >/dev/null || fail "the old container cannot be stopped"
	fi
	say 'Deploying new manager container...'
	[ -z "$sealed" ] || make_sealed_token
	[ -z "$cert_dir" ] || copy_engine_certificates
	start_container
	wait_until_ready
	rotate_sealed_token
	undoing=
	docker update --restart always "$name" >/dev/null || note "deploy.sh: the restart policy could not be set"
	docker rm -f -v "$name-before" >/dev/null 2>&1
	trap - EXIT INT TERM HUP
	[ -z "$cert_dir" ] || remove_old_certificates

	say 'manager container deployed'
	[ -z "$kept" ] || note "the token is the one before; --rotate makes a new one"
	print_banner
	cat <<-WORDS

		docker CLI, 27.1 or later (HOST: this manager's name or address):

		  docker cp $name:/var/lib/headgate/ca.pem .
		  export DOCKER_HOST=tcp://HOST:$port DOCKER_TLS_VERIFY=1 \\
		    DOCKER_CERT_PATH=\$PWD DOCKER_CUSTOM_HEADERS=token=TOKEN
		  docker version
	WORDS
}

# ---- the other commands ----

do_token() {
	need_engine
	exists "$name" || die "there is no container $name; deploy it first"
	token=$(present_token)
	if [ -z "$token" ]; then
		token=$(docker exec "$name" headgate token rotate admin --overlap 0 2>/dev/null) ||
			die "the container keeps no token, and could not make a new one; is it running?"
		note "the container keeps digests only: this is a new token, the one before has ended"
	fi
	say "$token"
}

do_status() {
	need_engine
	exists "$name" || die "there is no container $name; deploy it first"
	docker container inspect --format 'container  {{.Name}} {{.State.Status}} since {{.State.StartedAt}}
image      {{with index .Config.Labels "headgate.image"}}{{.}}{{else}}{{.Config.Image}}{{end}}
restarts   {{.RestartCount}}' "$name" | sed 's,  /,  ,'
	say "ports      $(docker port "$name" 2>/dev/null | tr '\n' ' ')"
	token='its digest alone'
	[ -z "$(present_token)" ] || token='in the environment'
	say "token      $token"
	answer=$(docker exec "$name" headgate health --ready 2>&1) && { say "ready      yes"; return 0; }
	say "ready      no: $answer"
	exit 1
}

do_remove() {
	need_engine
	exists "$name" || exists "$name-before" || [ -n "$all" ] || { say "there is no container $name"; return 0; }
	docker rm -f -v "$name" "$name-before" >/dev/null 2>&1
	! exists "$name" || die "the container $name cannot be removed"
	[ -z "$all" ] || docker volume rm "$name" >/dev/null 2>&1 || ! docker volume inspect "$name" >/dev/null 2>&1 ||
		die "the volume $name cannot be removed"
	say "removed$([ -n "$all" ] || printf %s '; its CA and tokens are kept in the volume, --all removes them')"
}

# ---- a swarm ----

# A CA, a certificate for every manager and the token, made by headgate itself in a container without a network and
# without a log: that would have the token. The state is in its memory alone, where nobody can copy it from by the
# container's ID, which a gate that runs already need not know yet as its own.
make_certificate() {
	umask 077
	mkdir -p "$state" || die "$state: cannot be made"
	addresses=$(docker node ls --filter role=manager --quiet |
		xargs docker node inspect --format '{{.Description.Hostname}},{{.Status.Addr}}' | sed 's/,127\.0\.0\.1$//; s/,0\.0\.0\.0$//' |
		tr '\n' ',')
	docker rm -f -v headgate-maker >/dev/null 2>&1
	maker=$(docker create --name headgate-maker --log-driver none --network none --user 0 --cap-drop ALL \
		--tmpfs /state:mode=0700 --env "HEADGATE_SAN=${addresses%,}${sans:+,$sans}" --entrypoint sh "$image" \
		-c 'trap exit TERM; while :; do sleep 1; done') || die "the certificate's maker cannot be created"
	trap 'docker rm -f -v "$maker" >/dev/null 2>&1' EXIT
	trap 'exit 130' INT TERM HUP
	docker start "$maker" >/dev/null || die "the certificate's maker does not start"
	tar -C "$state" -cf - . | docker exec -i "$maker" tar -C /state -xof - || die "$state: cannot be copied"
	make_swarm_token
	docker exec -d "$maker" sh -c 'exec headgate serve --listen tls://127.0.0.1:2376 --state /state >/serve.log 2>&1'
	seconds=0
	until docker exec "$maker" headgate health >/dev/null 2>&1; do
		if ! running "$maker" || [ "$seconds" -ge 30 ]; then
			die "no certificate was made: $(docker exec "$maker" tail -n 1 /serve.log 2>&1)"
		fi
		seconds=$((seconds + 1))
		sleep 1
	done
	# Complete before it takes the place of what was there.
	set -- ca.pem ca-key.pem server.pem server-key.pem tokens
	docker exec "$maker" tar -C /state -cf - "$@" >"$state/new.tar" || die "the certificate could not be copied to $state"
	tar -C "$state" -xof "$state/new.tar" "$@" || die "$state: cannot be written"
	rm -f "$state/new.tar"
	docker rm -f -v "$maker" >/dev/null 2>&1
	trap - EXIT INT TERM HUP
}

# The other tokens stay.
make_swarm_token() {
	token=''
	if [ -n "$rotate" ]; then
		token=$(docker exec "$maker" headgate token rotate admin --overlap 0 --state /state 2>/dev/null)
	elif docker exec "$maker" headgate token show admin --state /state >/dev/null 2>&1; then
		return 0
	fi
	[ -n "$token" ] || token=$(docker exec "$maker" headgate token create admin --role admin --state /state 2>&1) ||
		die "no token was made: $token"
	token=$(say "$token" | grep -o 'hg_[0-9a-f]*_[0-9a-f]*' | head -n 1)
}

# A secret cannot be changed: its name has the digest of what is in it.
secret_of() {
	digest=$(openssl dgst -sha256 -r "$state/$2" 2>/dev/null || sha256sum "$state/$2") || die "no sha256sum and no openssl here"
	secret=headgate_$1_$(printf %s "$digest" | cut -c1-12)
	docker secret inspect "$secret" >/dev/null 2>&1 || docker secret create "$secret" "$state/$2" >/dev/null ||
		die "the secret $secret cannot be made"
	say "$secret"
}

do_swarm() {
	need_engine
	standalone='' need_manager
	need_image
	GROUP=$(socket_group)
	[ -n "$GROUP" ] || die "there is no /var/run/docker.sock on the engine's host"
	make_certificate
	HEADGATE_CERT=$(secret_of cert server.pem) || exit 1
	HEADGATE_KEY=$(secret_of key server-key.pem) || exit 1
	HEADGATE_TOKENS=$(secret_of tokens tokens) || exit 1
	# As the other managers can get it.
	HEADGATE_IMAGE=$(docker image inspect --format '{{with .RepoDigests}}{{index . 0}}{{end}}' "$image")
	HEADGATE_IMAGE=${HEADGATE_IMAGE:-$image} HEADGATE_PORT=$port HEADGATE_MEMORY=$memory HEADGATE_CPUS=$cpus
	export GROUP HEADGATE_CERT HEADGATE_KEY HEADGATE_TOKENS HEADGATE_IMAGE HEADGATE_PORT HEADGATE_MEMORY HEADGATE_CPUS
	say 'Deploying the stack headgate on all managers...'
	docker stack deploy --resolve-image never -c "$(dirname "$0")/stack.yml" headgate >&2 ||
		die "the stack could not be deployed"
	seconds=0
	until stack_is_up; do
		[ "$seconds" -lt "$wait_s" ] || die "not all managers run it after $wait_s s: docker service ps headgate_gate"
		seconds=$((seconds + 1))
		sleep 1
	done
	say 'headgate runs on all managers'
	say "CA for clients: $state/ca.pem"
	[ -n "$token" ] || note "the token is the one before; --rotate makes a new one"
	print_banner
}

# Every manager has one that runs, and the update, if there was one, is over.
stack_is_up() {
	managers=$(docker node ls --filter role=manager --quiet | wc -l)
	up=$(docker service ps --filter desired-state=running --format '{{.CurrentState}}' headgate_gate 2>/dev/null | grep -c '^Running')
	update=$(docker service inspect --format '{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}' headgate_gate 2>/dev/null)
	case $update in
	rollback_*) die "the new one did not stay up, and the one before is back: docker service ps headgate_gate" ;;
	updating) return 1 ;;
	esac
	[ "$up" -eq "$managers" ]
}

read_arguments "$@"
"do_$command"
