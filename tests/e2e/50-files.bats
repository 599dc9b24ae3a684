#!/usr/bin/env bats
# Files and images: cp, export and import, save and load, the classic build; long bodies in both directions.

# shellcheck disable=SC2034,SC2154,SC2153 # variables that common.bash reads or sets
# shellcheck disable=SC2016,SC2030,SC2031 # scripts for the containers; each test is a subshell
load common

@test "cp: files and directories, in and out" {
	prepare run -d --name {} "$IMAGE" sleep 600
	mkdir -p tree/a/b
	echo one >tree/a/one
	random_file tree/a/b/two 30
	ln -s one tree/a/link
	chmod 751 tree/a/b
	same cp tree {}:/tmp/
	is "$status" 0
	is "$(direct exec "$N-v" sha256sum /tmp/tree/a/b/two | cut -d' ' -f1)" "$(sha <tree/a/b/two)"
	via cp "$N-v:/tmp/tree" back
	diff -r --no-dereference tree back
	is "$(stat -c %a back/a/b)" 751
	same cp tree/a/one {}:/tmp/other
	same exec {} cat /tmp/other
	is "$output" one
}

@test "cp with a tar on stdin and stdout" {
	prepare run -d --name {} "$IMAGE" sleep 600
	random_file file 20
	tar -c file >in
	STDIN=in
	same cp - {}:/tmp
	is "$status" 0
	STDIN=/dev/null
	via cp "$N-v:/tmp/file" - >v.tar
	direct cp "$N-v:/tmp/file" - >d.tar
	cmp v.tar d.tar
	is "$(tar -xOf v.tar file | sha)" "$(sha <file)"
}

@test "cp from and to what is not there" {
	prepare create --name {} "$IMAGE" true
	same cp {}:/nothing x
	is "$status" 1
	has "$error" 'no such file|No such|Could not find'
	echo x >file
	same cp file "$N-nothing:/tmp"
	is "$status" 1
	has "$error" 'No such container'
}

@test "export and import" {
	prepare run --name {} "$IMAGE" sh -c 'echo content >/tmp/file'
	direct export "$N-v" >d.tar
	via export "$N-v" >v.tar
	cmp d.tar v.tar
	has "$(via import --change 'CMD ["cat", "/tmp/file"]' v.tar "$N:imported")" '^sha256:[0-9a-f]{64}$'
	has "$(via import - "$N:stdin" <v.tar)" '^sha256:[0-9a-f]{64}$'
	is "$(direct run --rm --name "$N-run" "$N:imported")" content
	is "$(direct image inspect -f '{{index .RootFS.Layers 0}}' "$N:stdin")" "sha256:$(sha <v.tar)"
	direct rmi "$N:imported" "$N:stdin"
}

@test "save and load of a 500 MB image: the digests are the same" {
	# The disk takes half a GB several times; where it is slow, and busy with other tests, a minute is too little.
	COMMAND_TIMEOUT=300
	mkdir big
	random_file big/data 500
	content=$(sha <big/data)
	tar -c -C big . | direct import - "$N:big"
	rm -r big
	id=$(direct image inspect -f '{{.Id}}' "$N:big")
	via save "$N:big" >v.tar
	[ "$(stat -c %s v.tar)" -gt 524288000 ]
	# The tar itself has the time of the save in it.
	is "$(tar_contents <v.tar)" "$(direct save "$N:big" | tar_contents)"
	direct rmi "$N:big"
	has "$(via load -i v.tar)" "Loaded image: $N:big"
	is "$(via image inspect -f '{{.Id}}' "$N:big")" "$id"
	direct create --name "$N-big" "$N:big" none
	is "$(via cp "$N-big:/data" - | tar -xO | sha)" "$content"
	direct rm "$N-big"
	direct rmi "$N:big"
}

@test "load from stdin; load of what is no image" {
	direct save "$IMAGE" >in
	STDIN=in
	same load
	is "$status" 0
	has "$output" "Loaded image: $IMAGE"
	random_file in 3
	same load
	is "$status" 1
	has "$error" 'unexpected EOF|invalid|unrecognized|archive/tar'
}

@test "the classic build" {
	export DOCKER_BUILDKIT=0
	mkdir context
	random_file context/data 40
	printf 'FROM %s\nCOPY data /data\nRUN sha256sum /data >/sum && echo "built $((40 + 2))"\nCMD ["cat", "/sum"]\n' "$IMAGE" \
		>context/Dockerfile
	NORM='/DEPRECATED|legacy builder|BuildKit|buildx/d; s/Sending build context.*(\r|$)//g; /^ *$/d'
	same build --no-cache -t {}:built context
	is "$status" 0
	has "$output" '^built 42$'
	has "$output" "^Successfully tagged $N-v:built"
	is "$(direct run --rm --name "$N-run" "$N-v:built" | cut -d' ' -f1)" "$(sha <context/data)"
	direct rmi "$N-d:built" "$N-v:built"
}

@test "the classic build: a step that fails, a context on stdin" {
	export DOCKER_BUILDKIT=0
	NORM='/DEPRECATED|legacy builder|BuildKit|buildx/d; s/Sending build context.*(\r|$)//g; /^ *$/d'
	printf 'FROM %s\nRUN exit 5\n' "$IMAGE" >in
	STDIN=in
	same build --no-cache -
	is "$status" 5
	has "$error" 'returned a non-zero code: 5'
}
