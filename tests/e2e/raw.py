#!/usr/bin/python3
"""raw.py CASE CONTAINER: requests that no ready-made client sends so, on a TLS socket. PORT, CA and TOKEN: environment.

early-exec, early-attach    bytes for the container right behind the request, long before the engine's 101
legacy-exec, legacy-attach  the hijack of old clients: no Upgrade, the answer is a 200, raw in both directions
keep-alive                  the token is checked for every request of a connection
early-404                   the answer comes while the body is still on its way
"""
import json
import os
import socket
import ssl
import sys

TOKEN = os.environ["TOKEN"]


def connect():
    context = ssl.create_default_context(cafile=os.environ["CA"])
    raw = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), timeout=30)
    return context.wrap_socket(raw, server_hostname="127.0.0.1")


def request(method, path, body=b"", token=TOKEN, **headers):
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: headgate"]
    if token:
        lines.append("token: " + token)
    headers = {"Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}
    lines += ["%s: %s" % item for item in headers.items() if item[1] is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def read_head(sock):
    """The answer's status, its headers, and what came behind them."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        assert more, "ended in the head: %r" % data
        data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (x.split(": ", 1) for x in lines[1:])}, rest


def read_until(sock, data, wanted):
    while wanted not in data:
        more = sock.recv(65536)
        assert more, "ended before %r: %r" % (wanted, data)
        data += more
    return data


def call(method, path, body=None):
    data = json.dumps(body).encode() if body is not None else b""
    with connect() as sock:
        sock.sendall(request(method, path, data, Content_Type="application/json", Connection="close"))
        status, _, rest = read_head(sock)
        while True:
            more = sock.recv(65536)
            if not more:
                break
            rest += more
    assert status < 300, (status, rest)
    return json.loads(rest)


def new_exec(container):
    return call("POST", "/containers/%s/exec" % container,
                {"AttachStdin": True, "AttachStdout": True, "Tty": True, "Cmd": ["cat"]})["Id"]


def conversation(sock, data):
    """What went ahead comes back, and so does a second line: the tunnel is raw in both directions."""
    read_until(sock, data, b"early bird")
    sock.sendall(b"second\n")
    read_until(sock, b"", b"second")


case, container = sys.argv[1:3]
if case == "early-exec":
    start = json.dumps({"Detach": False, "Tty": True}).encode()
    with connect() as sock:
        sock.sendall(request("POST", "/exec/%s/start" % new_exec(container), start, Content_Type="application/json",
                             Connection="Upgrade", Upgrade="tcp") + b"early bird\n")
        status, headers, rest = read_head(sock)
        assert status == 101 and headers["upgrade"] == "tcp", (status, headers)
        conversation(sock, rest)
elif case == "early-attach":
    with connect() as sock:
        sock.sendall(request("POST", "/containers/%s/attach?stream=1&stdin=1&stdout=1&stderr=1" % container,
                             Connection="Upgrade", Upgrade="tcp") + b"early bird\n")
        status, headers, rest = read_head(sock)
        assert status == 101, (status, headers)
        conversation(sock, rest)
elif case == "legacy-exec":
    start = json.dumps({"Detach": False, "Tty": True}).encode()
    with connect() as sock:
        sock.sendall(request("POST", "/exec/%s/start" % new_exec(container), start, Content_Type="application/json"))
        status, headers, rest = read_head(sock)
        assert status == 200, (status, headers)
        assert headers["content-type"].startswith("application/vnd.docker."), headers
        sock.sendall(b"early bird\n")
        conversation(sock, rest)
elif case == "legacy-attach":
    with connect() as sock:
        sock.sendall(request("POST", "/containers/%s/attach?stream=1&stdin=1&stdout=1" % container))
        status, headers, rest = read_head(sock)
        assert status == 200, (status, headers)
        sock.sendall(b"early bird\n")
        conversation(sock, rest)
elif case == "keep-alive":
    with connect() as sock:
        for token, want in ((TOKEN, 200), (TOKEN, 200), ("wrong", 401)):
            sock.sendall(request("GET", "/_ping", token=token, Content_Length=None))
            status, headers, rest = read_head(sock)
            assert status == want, (status, want)
            while len(rest) < int(headers.get("content-length", "0")):
                rest += sock.recv(65536)
    with connect() as sock:
        sock.sendall(request("GET", "/_ping", Content_Length=None))
        assert read_head(sock)[0] == 200
        sock.sendall(request("GET", "/_ping", token=None, Content_Length=None))
        assert read_head(sock)[0] == 401
elif case == "early-404":
    with connect() as sock:
        sock.sendall(request("PUT", "/containers/%s/archive?path=/tmp" % container, Content_Length=None,
                             Transfer_Encoding="chunked", Content_Type="application/x-tar"))
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        sent = 0
        try:
            while sent < 400 << 20:
                sock.sendall(chunk)
                sent += 0x8000
        except OSError:
            pass  # the engine's way to say that it wants no more
        status, _, rest = read_head(sock)
        assert status == 404, status
        read_until(sock, rest, b"No such container")
else:
    sys.exit("unknown case " + case)
