#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""explain: every route with every role, asked of the gate and of `headgate explain`: they have to agree.

    explain.py HEADGATE STATE PORT ROLE=TOKEN...     prints the number of questions, or each difference
    explain.py --engine SOCKET                       an engine that says yes to everything

The routes are those of tests/unit/policy_roles.txt, which the unit tests hold to the route table.
"""
import http.client
import json
import os
import re
import socket
import socketserver
import ssl
import subprocess
import sys

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unit", "policy_roles.txt")
ROW = re.compile(r"^  (\S+) +[r-][w-][s-][x-] .* (GET|HEAD|POST|PUT|DELETE|OPTIONS) (/\S*)$")
# What is no route, and what is no path.
OTHERS = [
    ("GET", "/unknown"),
    ("GET", "/containers/x/attach"),
    ("PATCH", "/containers/json"),
    ("GET", "/containers/../swarm"),
    ("GET", "/containers/%2e%2e/swarm"),
    ("GET", "/containers//json"),
    ("GET", "/containers%2fjson"),
    ("GET", "/containers/x/%65xport"),
    ("HEAD", "/v1.45/_ping"),
    ("HEAD", "/containers/x/json"),
    ("GET", "/v1.45/containers/json?all=1"),
    ("GET", "/v1/containers/json"),
    ("GET", "/networks/"),
]
CONSOLE_PATHS = ("/metrics", "/maintenance")


class YesMan(socketserver.StreamRequestHandler):
    def handle(self):
        asked = self.rfile.readline()
        if not asked:
            return
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        # What the console's GET /metrics asks of the engine has to be a list.
        body = b"[]" if asked.startswith(b"GET /containers/json") else b""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        self.wfile.write(head % len(body) + body)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def questions():
    found = []
    with open(GOLDEN, encoding="ascii") as lines:
        for line in lines:
            row = ROW.match(line)
            if row:
                path = row[3].replace("**", "one/two").replace("*", "one")
                found += [(row[2], path), (row[2], "/v1.45" + path)]
    return found + OTHERS


class Gate:
    def __init__(self, state, port):
        self.port = port
        self.context = ssl.create_default_context(cafile=os.path.join(state, "ca.pem"))

    def ask(self, token, method, path):
        """Whether the gate lets it through, and the right that it names where not."""
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self.context)
        connection.putrequest(method, path, skip_accept_encoding=True)
        connection.putheader("token", token)
        body = b"{}" if method == "POST" else b""
        if method in ("POST", "PUT"):
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status == 200:
            return True, None
        if answer.status == 500 and path in CONSOLE_PATHS and "error" in json.loads(text):
            return True, None  # the console's own form: its routes have answers of their own
        # HEAD has no body: its status alone says it.
        message = json.loads(text)["message"] if text else ""
        right = re.search(r"does not have the right '([^']*)'", message)
        if answer.status == 403 and (right or method == "HEAD"):
            return False, right[1] if right else None
        if answer.status == 400 and re.search(r"normal form", message):
            return False, "everybody"
        if answer.status in (400, 403):
            return True, None  # the role may, but `{}` was looked into
        raise SystemExit(f"{method} {path}: {answer.status} {message}")


def explain(headgate, state, role, method, path):
    done = subprocess.run(
        [headgate, "explain", "--state", state, "--role", role, method, path],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )
    if done.returncode not in (0, 1) or done.stderr:
        raise SystemExit(f"explain {role} {method} {path}: {done.returncode} {done.stderr}")
    right = re.search(r"^  right  (\S+)$", done.stdout, re.M)
    return done.returncode == 0, right[1] if right else "everybody"


def compare(headgate, state, port, tokens):
    gate = Gate(state, port)
    asked = refused = different = 0
    for role, token in tokens:
        for method, path in questions():
            allowed, right = gate.ask(token, method, path)
            explained, explained_right = explain(headgate, state, role, method, path)
            asked += 1
            refused += not allowed
            if allowed != explained or (right and right != explained_right):
                different += 1
                print(f"{role} {method} {path}: the gate {allowed} {right}, explain {explained} {explained_right}")
    print(f"{asked} asked, {refused} refused, {different} different")
    return different


def main():
    if sys.argv[1:2] == ["--engine"]:
        with Server(sys.argv[2], YesMan) as server:
            server.serve_forever()
    headgate, state, port = sys.argv[1:4]
    tokens = [argument.split("=", 1) for argument in sys.argv[4:]]
    socket.setdefaulttimeout(20)
    return 1 if compare(headgate, state, int(port), tokens) else 0


if __name__ == "__main__":
    sys.exit(main())
