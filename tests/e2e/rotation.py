#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many clients while tokens are rotated: rotation.py PORT CA PATH STREAMS ASKERS

STREAMS read PATH with the secret in the file `first`, for ever; ASKERS send one request after the other on a
connection of their own, each with what is in the file `newest` then. The file `ready` says that all streams have begun;
the file `stop` ends it. An answer other than 200, a connection that ends, or a stream that has nothing more to say is
an error, with one line on standard error; the last line of the output is the counts.
"""

from __future__ import annotations

import faulthandler
import http.client
import os
import pathlib
import ssl
import sys
import threading
import time
from collections.abc import Callable

QUIET_S = 3.0


class Clients:
    def __init__(self, port: int, ca: str) -> None:
        self.port = port
        self.context = ssl.create_default_context(cafile=ca)
        self.lock = threading.Lock()
        self.errors: list[str] = []
        self.heard: dict[int, float] = {}
        self.requests = 0
        self.stop = threading.Event()

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=30)

    def failed(self, who: str, what: object) -> None:
        with self.lock:
            self.errors.append(f"{who}: {what}")

    def stream(self, number: int, path: str, secret: str) -> None:
        try:
            connection = self.connect()
            connection.request("GET", path, headers={"token": secret})
            answer = connection.getresponse()
            if answer.status != 200:
                raise OSError(f"status {answer.status}")
            while not self.stop.is_set():
                if not answer.read1(4096):
                    raise OSError("it ended")
                self.heard[number] = time.monotonic()
        except (OSError, http.client.HTTPException) as error:
            self.failed(f"stream {number}", repr(error))

    def ask(self, number: int) -> None:
        try:
            connection = self.connect()
            while not self.stop.is_set():
                secret = pathlib.Path("newest").read_text().strip()
                connection.request("GET", "/_ping", headers={"token": secret})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise OSError(f"status {answer.status}")
                with self.lock:
                    self.requests += 1
        except (OSError, http.client.HTTPException) as error:
            self.failed(f"asker {number}", repr(error))


def main() -> int:
    faulthandler.enable()
    port, ca, path, streams, askers = sys.argv[1:]
    clients = Clients(int(port), ca)
    secret = pathlib.Path("first").read_text().strip()
    threads: list[threading.Thread] = []

    def start(target: Callable[..., None], *arguments: object) -> None:
        threads.append(threading.Thread(target=target, args=arguments))
        threads[-1].start()

    for number in range(int(streams)):
        start(clients.stream, number, path, secret)
    end = time.monotonic() + 60
    while len(clients.heard) < int(streams) and not clients.errors and time.monotonic() < end:
        time.sleep(0.1)
    began = time.monotonic()
    for number in range(int(askers)):
        start(clients.ask, number)
    pathlib.Path("ready").touch()
    while not os.path.exists("stop") and not clients.errors:
        time.sleep(0.05)
    took_s = time.monotonic() - began
    now = time.monotonic()
    clients.stop.set()
    for number in range(int(streams)):
        if now - clients.heard.get(number, 0.0) > QUIET_S:
            clients.failed(f"stream {number}", "it stands still")
    # None of them may run on while the interpreter goes: in OpenSSL that is a crash now and then.
    for thread in threads:
        thread.join()
    for error in clients.errors:
        print(error, file=sys.stderr)
    print(f"streams {len(clients.heard)} requests {clients.requests} seconds {took_s:.1f}")
    return 1 if clients.errors else 0


if __name__ == "__main__":
    sys.exit(main())
