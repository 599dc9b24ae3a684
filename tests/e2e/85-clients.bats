#!/usr/bin/env bats
# Two more real clients: dockerode (node) and docker-py (Debian's python3-docker).

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
load common

@test "dockerode" {
	export N IMAGE
	timeout 120 node "$E2E_DIR/dockerode.js"
}

@test "docker-py" {
	export N IMAGE
	timeout 120 /usr/bin/python3 "$E2E_DIR/docker_py.py"
}
