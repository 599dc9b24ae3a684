#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""After a second SIGTERM nothing is answered any more: second_signal.py HEADGATE DIRECTORY ADMIN READER

The two are secrets of tokens in DIRECTORY/state. The engine is one of our own, whose answer to /containers/json never
comes: what headgate's console asks it for goes on while headgate ends. Heads that are half there when it ends must not
be served by then; the exit code has to be 0.
"""

from __future__ import annotations

import contextlib
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

WAIT_S = 60.0
HALVES = 20


class Engine:
    def __init__(self, path: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.held: list[socket.socket] = []
        self.is_asked = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while True:
            client, _ = self.listener.accept()
            if client.recv(4096).startswith(b"GET /containers/json"):
                self.held.append(client)
                self.is_asked.set()
                continue
            with contextlib.suppress(OSError):  # the start only looks whether somebody is there
                client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
            client.close()


def until(log: pathlib.Path, pattern: str) -> re.Match[str]:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found = re.search(pattern, log.read_text())
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{pattern!r} is not in the log: {log.read_text()}")


def answer(client: ssl.SSLSocket) -> bytes:
    try:
        client.sendall(b"\r\n\r\n")
        return client.recv(100)
    except OSError:
        return b""


def main(binary: str, directory: str, admin: str, reader: str) -> None:
    base = pathlib.Path(directory)
    log, engine = base / "second.err", Engine(str(base / "second.sock"))
    with log.open("w") as err, subprocess.Popen(
        [binary, "serve", "--listen", "tls://127.0.0.1:0", "--state", str(base / "state"), "--engine",
         f"unix://{base}/second.sock", "--engine-poll", "1h", "--container", "mine"],
        stdout=subprocess.DEVNULL, stderr=err,
    ) as gate:
        port = int(until(log, r"listening on tls://127\.0\.0\.1:(\d+)")[1])
        context = ssl.create_default_context(cafile=str(base / "state/ca.pem"))

        def send(path: str, secret: str) -> ssl.SSLSocket:
            raw = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
            client = context.wrap_socket(raw, server_hostname="127.0.0.1")
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\ntoken: {secret}".encode())
            return client

        halves = [send("/containers/other/json", reader) for _ in range(HALVES)]
        console = send("/metrics", admin)
        console.sendall(b"\r\n\r\n")
        assert engine.is_asked.wait(WAIT_S), "the console asks nothing"
        gate.send_signal(signal.SIGTERM)
        until(log, " draining: ")
        gate.send_signal(signal.SIGTERM)
        until(log, "a second signal; open exchanges are cut")
        time.sleep(0.5)
        answers = [answer(half) for half in halves]
        assert gate.wait(WAIT_S) == 0, f"{gate.returncode}: {log.read_text()}"
    assert not any(answers), f"answered when it had ended: {answers}"


main(*sys.argv[1:])
