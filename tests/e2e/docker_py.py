#!/usr/bin/python3
"""A session of docker-py through headgate: PORT, CA, TOKEN, IMAGE and N (a prefix for names) come from the environment."""
import io
import os
import socket
import tarfile

import docker

URL = "https://127.0.0.1:" + os.environ["PORT"]
IMAGE = os.environ["IMAGE"]
NAME = os.environ["N"] + "-py"


def client(token):
    tls = docker.tls.TLSConfig(ca_cert=os.environ["CA"], verify=True)
    made = docker.DockerClient(base_url=URL, tls=tls, timeout=60, version="1.40")
    made.api.trust_env = False  # a CA bundle in the environment would replace ours
    made.api.headers["token"] = token
    return made


gate = client(os.environ["TOKEN"])
assert gate.ping()
assert gate.version()["Version"].startswith(("26.1", "20.10"))
assert gate.info()["ServerVersion"]
assert any(n.name == "bridge" for n in gate.networks.list())
assert gate.images.get(IMAGE).id.startswith("sha256:")

assert gate.containers.run(IMAGE, ["echo", "ran"], remove=True, name=NAME) == b"ran\n"
try:
    gate.containers.run(IMAGE, ["sh", "-c", "echo bad >&2; exit 9"], remove=True, name=NAME)
    raise AssertionError("no ContainerError")
except docker.errors.ContainerError as error:
    assert error.exit_status == 9 and b"bad" in error.stderr, error

box = gate.containers.run(IMAGE, ["sh", "-c", "echo begin; sleep 600"], detach=True, name=NAME)
result = box.exec_run(["sh", "-c", "echo out; echo err >&2; exit 7"], demux=True)
assert result.exit_code == 7 and result.output == (b"out\n", b"err\n"), result
assert b"".join(box.exec_run(["seq", "20000"], stream=True).output).endswith(b"20000\n")

# The hijack with a socket: stdin goes in, comes back, and its end ends the exec.
made = gate.api.exec_create(box.id, ["cat"], stdin=True, tty=True)
sock = gate.api.exec_start(made["Id"], tty=True, socket=True)
raw = getattr(sock, "_sock", sock)
raw.settimeout(20)
raw.sendall(b"hello\n")
data = b""
while data.count(b"hello") < 2:
    more = raw.recv(4096)
    assert more, data
    data += more
raw.sendall(b"\x04")
while True:
    try:
        if not raw.recv(4096):
            break
    except (socket.timeout, TimeoutError):
        raise AssertionError("the exec did not end")
assert gate.api.exec_inspect(made["Id"])["ExitCode"] == 0

assert box.logs() == b"begin\n"
assert next(iter(box.logs(stream=True, follow=True))) == b"begin\n"
assert box.stats(stream=False)["read"]
assert next(box.stats(stream=True, decode=True))["read"]
assert "sleep 600" in str(box.top()["Processes"])

# An archive of 20 MB in and out.
content = os.urandom(20 << 20)
buffer = io.BytesIO()
with tarfile.open(fileobj=buffer, mode="w") as tar:
    member = tarfile.TarInfo("data")
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
assert box.put_archive("/tmp", buffer.getvalue())
stream, stat = box.get_archive("/tmp/data")
assert stat["size"] == len(content)
with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
    assert tar.extractfile("data").read() == content

events = gate.events(decode=True, filters={"container": box.id})
box.kill()
assert next(events)["Action"] in ("kill", "die")
events.close()
assert box.wait()["StatusCode"] == 137
box.remove()

image, lines = gate.images.build(
    fileobj=io.BytesIO(("FROM %s\nRUN echo built\n" % IMAGE).encode()), tag=NAME + ":built", nocache=True, rm=True)
assert any("built" in line.get("stream", "") for line in lines)
saved = b"".join(image.save(named=True))
gate.images.remove(NAME + ":built")
assert gate.images.load(saved)[0].id == image.id
gate.images.remove(NAME + ":built")

try:
    gate.containers.get(NAME + "-nothing")
    raise AssertionError("no NotFound")
except docker.errors.NotFound as error:
    assert "No such container" in error.explanation
try:
    client("wrong").containers.list()
    raise AssertionError("let in with a wrong token")
except docker.errors.APIError as error:
    assert error.status_code == 401 and error.explanation, error
