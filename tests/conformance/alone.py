"""Checks that need a headgate of their own, with one worker: what one client does to another."""

from __future__ import annotations

import argparse
import array
import fcntl
import os
import signal
import socket
import ssl
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import counted
import wire
from client import Client, context, dial
from engine import Engine
from gate import Gate
from keys import Secrets
from keyupdates import Flood
from model import DEPLOYER, Serve, req
from tally import Tally

KEY_UPDATES = 100_000  # half a second of work for headgate, or more
NEIGHBOUR_ANSWERS = 20  # while they come; if they are worked off at one go, it is one or two
PROMPT_SECONDS = 0.2
SILENT = 20
SILENT_SECONDS = 0.05  # that each may hold up the health check
ADMIN_SECONDS = 30.0
PATIENCE_SECONDS = 30.0
STILL_SECONDS = 0.3
FILLERS = 1000  # some 300 fill a unix socket of 208 KiB
TOGETHER = 100  # clients; more than wait for each other at most
TOGETHER_PIPELINED = 3
TOGETHER_LATE = 20
TOGETHER_ROUNDS = 3
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


class Place:
    """A headgate with one worker and an admin listener, and an engine that serves."""

    def __init__(self, options: argparse.Namespace, home: Path, certificates: Path,
                 keys: Secrets) -> None:
        home.mkdir()
        self.keys = keys
        self.options = options
        self.admin = home / "admin.sock"
        tokens = home / "tokens"
        tokens.touch(0o600)
        tokens.write_text(keys.token_file())
        self.engine = Engine(options.engine, home / "engine.sock", certificates)
        self.gate = Gate(options.bin, home, keys.token, options.client, [
            "--engine", self.engine.url, "--event", options.event, "--mover", options.mover,
            "--workers", "1", "--head-timeout", "60s", "--admin", f"unix://{self.admin}",
            "--tokens", str(tokens),
            *(["--engine-cert-dir", str(certificates)] if options.engine == "tls" else [])])
        self.engine.begin(((Serve(),),))

    def request(self, target: str) -> bytes:
        return (f"GET {target} HTTP/1.1\r\nHost: docker\r\ntoken: {self.keys.token}"
                "\r\n\r\n").encode()

    def unix(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(PATIENCE_SECONDS)
        sock.connect(str(self.gate.path))
        return sock

    def tls(self) -> Client:
        made: ssl.SSLContext = context(self.gate.ca, "1.3", ())
        return Client(("127.0.0.1", self.gate.port), made, 0, self.gate.cpu_seconds)

    def local(self) -> Client:
        return Client(self.gate.path, None, 0, self.gate.cpu_seconds)

    def close(self) -> list[str]:
        """What went wrong at the end."""
        code = self.gate.stop()
        self.engine.close()
        reports = self.gate.reports()
        if reports:
            reports += self.gate.tail(60).splitlines()
        return reports + ([] if code == 0 else [f"exit {code} on SIGTERM"])


def key_updates(place: Place) -> list[str]:
    neighbour = place.tls()
    flood = Flood(("127.0.0.1", place.gate.port), KEY_UPDATES, place.request("/flood"))
    answers, worst = 0, 0.0
    try:
        started = time.monotonic()
        flood.start()
        while not flood.over():
            before = time.monotonic()
            neighbour.got.clear()
            neighbour.send(place.request("/neighbour"))
            if not neighbour.wait(lambda: neighbour.has_answers(1, ())):
                return ["the neighbour got no answer"]
            answers += 1
            worst = max(worst, time.monotonic() - before)
        seconds = time.monotonic() - started
        refused = flood.refused()
    finally:
        flood.close()
        neighbour.close()
    if answers >= NEIGHBOUR_ANSWERS or (refused and worst < PROMPT_SECONDS):
        return []
    return [f"{KEY_UPDATES} KeyUpdates took {seconds:.2f} s, and a neighbour that asked all the"
            f" time got {answers} answers meanwhile, the slowest after {worst:.2f} s"]


def silent_admins(place: Place) -> list[str]:
    silent = []
    try:
        for _ in range(SILENT):
            silent.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            silent[-1].connect(str(place.admin))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(ADMIN_SECONDS)
            started = time.monotonic()
            asking.connect(str(place.admin))
            asking.sendall(b"GET /health HTTP/1.1\r\nHost: docker\r\n\r\n")
            answer = asking.recv(4096)
            seconds = time.monotonic() - started
    finally:
        for sock in silent:
            sock.close()
    bad = [] if answer.startswith(b"HTTP/1.1 200") else [f"the answer is {answer[:80]!r}"]
    if seconds > SILENT * SILENT_SECONDS:
        bad.append(f"behind {SILENT} silent clients it took {seconds:.2f} s")
    return bad


def queued(sock: socket.socket) -> int:
    """What has come and is not read, once no more comes."""
    count = array.array("i", [-1])
    while True:
        before = count[0]
        time.sleep(STILL_SECONDS)
        fcntl.ioctl(sock, termios.FIONREAD, count)
        if count[0] == before:
            return before


def read_until(sock: socket.socket, got: bytes, what: bytes) -> bytes:
    while what not in got:
        more = sock.recv(1 << 20)
        if not more:
            break
        got += more
    return got


def continue_waits(place: Place) -> list[str]:
    """So many small answers fill the client's socket exactly; then 100 Continue has to wait."""
    ask = place.request("/filler")
    body = b'{"Image":"x"}'
    create = place.keys.into(req("POST /containers/create", "Content-Type: application/json",
                                 "Expect: 100-continue", f"Content-Length: {len(body)}",
                                 auth=f"token: {DEPLOYER}"))
    with place.unix() as sock:
        sock.sendall(ask)
        one = len(read_until(sock, b"", b"GET /filler"))
        sock.sendall(ask * FILLERS)
        answers, rest = divmod(queued(sock), one)
    if rest or answers >= FILLERS:
        return [f"{FILLERS} answers of {one} bytes do not fill a socket: {answers} and {rest} bytes"]
    with place.unix() as sock:
        sock.sendall(ask * answers + create)
        if queued(sock) != answers * one:
            return ["the socket was not full"]
        got = read_until(sock, b"", GO_ON)[answers * one:]
        if got != GO_ON:
            return [f"behind {answers} unread answers came {got!r}, not 100 Continue"]
        sock.sendall(body)
        got = read_until(sock, b"", b"POST /containers/create")
    return [] if got.startswith(b"HTTP/1.1 200") else [f"the answer is {got!r}"]


def asks(number: int) -> int:
    """How many requests this client has at once."""
    return TOGETHER_PIPELINED if number % 7 == 3 else 1


def own_answers(place: Place, number: int, client: Client) -> list[str]:
    """What is wrong with the answers to the requests that came_together() sent."""
    want = asks(number)
    if not client.wait(lambda: client.has_answers(want, ()), PATIENCE_SECONDS):
        return [f"client {number} has no {want} answers: {bytes(client.got)!r}"]
    found, _, _ = wire.answers(bytes(client.got), ())
    bodies = [message.body.decode() for message in found]
    if bodies != [f"GET /{number}/{i}" for i in range(want)]:
        return [f"client {number} got the answers {bodies}"]
    return []


def came_together(place: Place) -> list[str]:
    """
    While headgate is stopped all ask, so that it finds their requests in one wait. Some ask more than once, some
    have gone again by then, some come in with a handshake. Each of the others gets its own answer.
    """
    connect = place.tls if place.options.client == "tls" else place.local
    clients: list[Client | None] = []
    bad: list[str] = []
    try:
        for number in range(TOGETHER):  # each has its connection to the engine, whose queue is short
            clients.append(connect())
            clients[-1].send(place.request("/first"))
            if not clients[-1].wait(lambda: clients[-1].has_answers(1, ())):
                return [f"client {number} got no first answer"]
        for round_number in range(TOGETHER_ROUNDS):
            os.kill(place.gate.process.pid, signal.SIGSTOP)
            try:
                for number, client in enumerate(clients):
                    if client is None:
                        continue
                    client.got.clear()
                    client.send(b"".join(place.request(f"/{number}/{i}")
                                         for i in range(asks(number))))
                    if number % 11 == 5 and round_number + 1 == TOGETHER_ROUNDS:
                        client.rst()
                        clients[number] = None
                late = [dial(place.gate.path if place.options.client == "unix"
                             else ("127.0.0.1", place.gate.port)) for _ in range(TOGETHER_LATE)]
            finally:
                os.kill(place.gate.process.pid, signal.SIGCONT)
            for number, client in enumerate(clients):
                bad += own_answers(place, number, client) if client else []
            for sock in late:
                sock.close()
    finally:
        for client in filter(None, clients):
            client.close()
    return bad[:5]


def counts(place: Place) -> list[str]:
    return counted.exactly(place, place.options.client, place.options.engine)


@dataclass(frozen=True)
class Check:
    name: str
    play: Callable[[Place], list[str]]
    clients: tuple[str, ...] = ("tls", "unix")


CHECKS = (
    Check("alone/a flood of KeyUpdates leaves a neighbour its turn", key_updates, ("tls",)),
    Check("alone/silent clients of the admin listener do not hold up a health check",
          silent_admins),
    Check("alone/100 Continue waits where the client's socket is full", continue_waits, ("unix",)),
    Check("alone/requests that come together get their own answers", came_together),
    Check("alone/GET /metrics counts each thing once", counts),
)


def table(client: str) -> list[Check]:
    return [check for check in CHECKS if client in check.clients]


def run(check: Check, number: int, options: argparse.Namespace, home: Path, keys: Secrets,
        tally: Tally) -> None:
    started = time.monotonic()
    try:
        place = Place(options, home / f"alone-{number}", home, keys)
        try:
            bad = check.play(place)
        except (OSError, TimeoutError) as error:
            bad = [f"{type(error).__name__}: {error}", place.gate.tail()]
        bad += place.close()
    except (OSError, RuntimeError) as error:
        bad = [str(error)]
    if bad:
        tally.fail(check.name, [keys.masked(f"- {line}") for line in bad])
    else:
        tally.ok(check.name, time.monotonic() - started)
