"""Tokens that may less than everything: what is refused before a byte of it reaches the engine."""

from __future__ import annotations

import json

from model import (DEPLOYER, ELSEWHERE, EXPIRED, READER, ROTATED, SMUGGLED, Answer, Await, Case,
                   Head, Outcome, Pause, Send, Take, chunks, http, passed, reached, refused, req,
                   with_length)

CREATE = "POST /containers/create"
JSON = "Content-Type: application/json"
PLAIN = json.dumps({"Image": "busybox", "HostConfig": {"Binds": ["data:/data"]}})


def by(token: str, line: str, *fields: str, body: str | bytes = b"") -> bytes:
    return req(line, *fields, body=body, auth=f"token: {token}")


def create(body: str | bytes, *fields: str, line: str = CREATE) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    return by(DEPLOYER, line, *(fields or (JSON,)), f"Content-Length: {len(data)}", body=data)


def allowed(name: str, token: str, line: str, **kw) -> Case:
    return passed(f"allowed: {name}", by(token, line), reached(line), **kw)


def denied(name: str, token: str, line: str, right: str, *fields: str) -> Case:
    return refused(f"denied: {name}", by(token, line, *fields) + SMUGGLED, 403,
                   says=f"this token does not have the right '{right}'")


def too_much(name: str, body: str, status: int = 403, line: str = CREATE) -> Case:
    return refused(f"body: {name}", create(body, line=line) + SMUGGLED, status)


READ = (
    allowed("read lists", READER, "GET /containers/json"),
    allowed("read lists, by version", READER, "GET /v1.41/containers/json"),
    allowed("a secret before its rotation", ROTATED, "GET /containers/json"),
    denied("read does not create", READER, CREATE, "container-create", JSON,
           "Content-Length: 0"),
    denied("read does not see environments", READER, "GET /containers/x/json",
           "container-inspect"),
    denied("read reads no files", READER, "GET /containers/x/archive?path=/etc/shadow",
           "container-archive"),
    denied("read reads no files, an encoded letter", READER, "GET /containers/x/%65xport",
           "container-export"),
    denied("read does not attach", READER, "GET /containers/x/attach/ws?stream=1",
           "container-attach-ws", "Connection: Upgrade", "Upgrade: websocket"),
    denied("read does not exec", READER, "POST /exec/x/start", "exec-start", "Connection: Upgrade",
           "Upgrade: tcp", "Content-Length: 0"),
    denied("read sees no join tokens", READER, "GET /swarm", "swarm-inspect"),
    denied("read sees no unlock key", READER, "GET /v1.41/swarm/unlockkey", "swarm-unlockkey"),
    denied("read saves no image", READER, "GET /images/get?names=x", "image-save-many"),
    denied("read gets no logs", READER, "GET /containers/x/logs?stdout=1", "container-logs"),
    denied("plugins (CVE-2026-44848)", DEPLOYER, "POST /plugins/pull?remote=x", "plugin-pull",
           "Content-Length: 0"),
    denied("BuildKit", DEPLOYER, "POST /grpc", "grpc", "Connection: Upgrade", "Upgrade: h2c"),
    denied("an unknown path", DEPLOYER, "GET /containers/x/secrets", "unknown"),
    denied("an unknown method", DEPLOYER, "PATCH /containers/x", "unknown"),
    denied("two versions", DEPLOYER, "GET /v1.41/v1.41/containers/json", "unknown"),
    Case("denied: HEAD is GET", (Send(by(READER, "HEAD /containers/x/json") + SMUGGLED),),
         Outcome((), (403,), closing=True), bodiless=(0,)),
    refused("expired", by(EXPIRED, "GET /version") + SMUGGLED, 401, says="has expired"),
    refused("not from here", by(ELSEWHERE, "GET /version") + SMUGGLED, 401, group="auth/401",
            clients=("tls",)),
)

BODY = (
    passed("body: nothing of the host's", create(PLAIN) + create(PLAIN),
           *(with_length(CREATE, PLAIN, JSON),) * 2),
    passed("body: with a charset", create(PLAIN, JSON + "; charset=utf-8"),
           with_length(CREATE, PLAIN, JSON + "; charset=utf-8")),
    passed("body: in two pieces", (Send(create(PLAIN)[:-20]), Pause(0.2), Send(create(PLAIN)[-20:])),
           with_length(CREATE, PLAIN, JSON)),
    passed("body: spaces and order stay", create("  " + PLAIN + "\n"),
           with_length(CREATE, "  " + PLAIN + "\n", JSON)),
    passed("body: as long as allowed", create(PLAIN + " " * (1048576 - len(PLAIN))),
           with_length(CREATE, PLAIN + " " * (1048576 - len(PLAIN)), JSON)),
    passed("body: start without one", by(DEPLOYER, "POST /containers/x/start", "Content-Length: 0"),
           with_length("POST /containers/x/start", b"")),
    passed("body: Expect, and 100 comes from headgate, too",
           (Send(create(PLAIN, JSON, "Expect: 100-continue")[:-len(PLAIN)]), Await(1),
            Send(PLAIN.encode())),
           with_length(CREATE, PLAIN, JSON, "Expect: 100-continue"), status=(100, 100, 200),
           scripts=((Head(), Answer(b"HTTP/1.1 100 Continue\r\n\r\n"), Take(PLAIN.encode()),
                     Answer(http("200 OK", body="{}"))),)),
    too_much("privileged", '{"Image":"x","HostConfig":{"Privileged":true}}'),
    too_much("privileged, in other letters", '{"Image":"x","hOSTcONFIG":{"pRIVILEGED":true}}'),
    too_much("privileged, a long s", '{"Image":"x","Ho\\u017ftConfig":{"Privileged":true}}'),
    too_much("privileged, escaped", '{"Image":"x","\\u0048ostConfig":{"Privileged":true}}'),
    too_much("two keys that fold alike",
             '{"HostConfig":{"Privileged":false},"hostconfig":{"Privileged":true}}', 400),
    too_much("the same key twice",
             '{"HostConfig":{"Privileged":true},"HostConfig":{"Privileged":false}}', 400),
    too_much("the host's files", '{"HostConfig":{"Binds":["/:/host"]}}'),
    too_much("the engine's socket", '{"HostConfig":{"Mounts":[{"Type":"bind",'
             '"Source":"/var/run/docker.sock","Target":"/s"}]}}'),
    too_much("the host's processes", '{"HostConfig":{"PidMode":"host"}}'),
    too_much("a capability", '{"HostConfig":{"CapAdd":["SYS_ADMIN"]}}'),
    too_much("a device", '{"HostConfig":{"Devices":[{"PathOnHost":"/dev/sda"}]}}'),
    too_much("a field that nobody knows", '{"HostConfig":{"Surprise":1}}'),
    too_much("of a service (CVE-2026-44849)", '{"Name":"x","TaskTemplate":{"ContainerSpec":'
             '{"Image":"x","Mounts":[{"Type":"bind","Source":"/","Target":"/h"}]}}}',
             line="POST /services/create"),
    too_much("a volume that is a directory of the host's", '{"Name":"x","Driver":"local",'
             '"DriverOpts":{"type":"none","o":"bind","device":"/etc"}}',
             line="POST /volumes/create"),
    too_much("bytes behind the value", '{"Image":"x"}{"HostConfig":{"Privileged":true}}', 400),
    too_much("no JSON", "Image=x&HostConfig=y", 400),
    too_much("deep", '{"Labels":' + "[" * 100 + "]" * 100 + "}", 400),
    refused("body: none (CVE-2024-41110)",
            by(DEPLOYER, CREATE, JSON, "Content-Length: 0") + SMUGGLED, 400),
    refused("body: another type",
            create(PLAIN, "Content-Type: application/x-www-form-urlencoded") + SMUGGLED, 400),
    refused("body: start with one", create('{"Privileged":true}', line="POST /containers/x/start"),
            (400, 403)),
    refused("body: chunked", by(DEPLOYER, CREATE, JSON, "Transfer-Encoding: chunked",
                                body=chunks(PLAIN)), 411),
    refused("body: too long (CVE-2026-34040)",
            by(DEPLOYER, CREATE, JSON, "Content-Length: 1048577"), 413),
    refused("body: ends early", (Send(create(PLAIN)[:-5]), Pause(0.1)), 408, slow=True,
            at_least=1.5),
    refused("body: a new name in a form",
            by(DEPLOYER, "POST /containers/x/rename",
               "Content-Type: application/x-www-form-urlencoded", "Content-Length: 6",
               body="name=y") + SMUGGLED, 400),
    passed("body: a new name in the query",
           by(DEPLOYER, "POST /containers/x/rename?name=y", "Content-Length: 0"),
           with_length("POST /containers/x/rename?name=y", b"")),
    too_much("a template that swarm fills in", '{"Name":"x","TaskTemplate":{"ContainerSpec":'
             '{"Image":"x","Mounts":[{"Type":"volume","Source":"v","Target":"/h","VolumeOptions":'
             '{"DriverConfig":{"Options":{"type":"tmpfs","device":"/",'
             '"o":"size={{printf \\"1%cbind\\" 44}}"}}}}]}}}', line="POST /services/create"),
    refused("query: a build in the host's network",
            by(DEPLOYER, "POST /build?networkmode=host",
               "Content-Type: application/x-tar", "Content-Length: 1", body="x"), 403),
)

CASES = (*READ, *BODY)
