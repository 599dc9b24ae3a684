"""What `GET /metrics` of the admin listener says has happened, to the number: after each of these
connections exactly what is named here has been counted, and nothing else."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cases
from client import Client, play
from model import (Answer, Await, AwaitRaw, Case, CloseNotify, End, Eof, Fin, Hold, Outcome, Pause,
                   Request, Rst, Script, Send, Serve, Steps, Truncate, Wait, http, req)

if TYPE_CHECKING:
    from alone import Place

OVER_SECONDS = 12.0  # a cut connection lingers for 10 s at most
OPEN = "connections_open"
OPENED = "connections_total"
ANY = ("body_bytes_total", "kernel_tls_connections_total")  # the next table and the machine decide


def result(name: str) -> str:
    return f'requests_total{{result="{name}"}}'


def truncated(side: str) -> str:
    return f'truncated_total{{side="{side}"}}'


TUNNEL = (Request(), Answer(cases.SWITCH + b"ready"), Eof())
HALF = http("200 OK", "Content-Length: 100", length=False, body="half")
LOGS = http("200 OK", "Content-Type: application/vnd.docker.raw-stream", length=False,
            body="ready")


@dataclass(frozen=True)
class Row:
    name: str
    steps: Steps
    counts: dict[str, int]  # but for OPENED, which is one
    script: Script = (Serve(),)
    tls: str = "1.3"
    clients: tuple[str, ...] = ("tls", "unix")  # the legs that it is for
    engines: tuple[str, ...] = ("unix", "tcp", "tls")
    down_bytes: int | None = None  # of bodies


GET = req("GET /counted")
ROWS = (
    Row("an answer", (Send(GET), Await()), {result("answered"): 1},
        down_bytes=len("GET /counted")),
    Row("two answers", (Send(GET), Await(), Send(GET), Await(2)), {result("answered"): 2},
        down_bytes=2 * len("GET /counted")),
    Row("no token", (Send(req("GET /counted", auth=None)), Await()),
        {result("unauthorized"): 1}, down_bytes=0),
    Row("refused, 400", (Send(req("GET /a/../b")), Await()), {result("refused"): 1},
        down_bytes=0),
    Row("refused, 501", (Send(req("POST /counted", "Transfer-Encoding: gzip")), Await()),
        {result("refused"): 1}),
    Row("refused, 505", (Send(req("GET /counted HTTP/2.0")), Await()), {result("refused"): 1}),
    Row("an engine's nonsense", (Send(GET), Await()), {result("engine_trouble"): 1},
        (Request(), Answer(b"nonsense\r\n\r\n"))),
    Row("no request at all", (CloseNotify(),), {}),
    Row("a broken handshake", (Send(b"\x16\x03\x01\x00\x05nonsense" * 10), Pause(0.1)),
        {"tls_handshakes_failed_total": 1}, tls="garbage", clients=("tls",)),
    Row("a tunnel", (Send(cases.ATTACH), AwaitRaw(b"ready"), CloseNotify()),
        {result("answered"): 1, "tunnels_total": 1}, TUNNEL),
    Row("a tunnel cut by the client", (Send(cases.ATTACH), AwaitRaw(b"ready"), Fin()),
        {result("answered"): 1, "tunnels_total": 1, truncated("client"): 1}, TUNNEL,
        clients=("tls",)),
    Row("an upload cut by the client",
        (Send(req("POST /images/load", "Content-Length: 100", body="half")), Fin()),
        {result("refused"): 1, truncated("client"): 1}, (Request(),), clients=("tls",)),
    # The FIN has to come before the second answer has left.
    Row("a FIN behind two requests", (Send(GET + GET), Fin(), Await(2)),
        {result("answered"): 2, truncated("client"): 1},
        (Request(), Answer(http("200 OK", body="{}")), Request(), Wait(0.5),
         Answer(http("200 OK", body="{}")), Hold()), clients=("tls",)),
    Row("a FIN in the middle of a head", (Send(GET[:-6]), Fin()), {truncated("client"): 1},
        clients=("tls",)),
    Row("a FIN behind a request and a half", (Send(GET + GET[:-6]), Fin(), Await()),
        {result("answered"): 1, truncated("client"): 1}, clients=("tls",)),
    Row("a FIN between two requests", (Send(GET), Await(), Fin()), {result("answered"): 1},
        clients=("tls",)),
    Row("a stream whose client is gone",
        (Send(req("GET /containers/x/logs")), AwaitRaw(b"ready"), CloseNotify(), Pause(0.1),
         Rst()),
        {result("answered"): 1}, (Request(), Answer(LOGS), Hold()), down_bytes=len("ready")),
    Row("a stream whose client is gone after a FIN",
        (Send(req("GET /containers/x/logs")), AwaitRaw(b"ready"), Fin(), Pause(0.1), Rst()),
        {result("answered"): 1, truncated("client"): 1}, (Request(), Answer(LOGS), Hold()),
        clients=("tls",), down_bytes=len("ready")),
    Row("no answer yet, and the client is gone", (Send(GET), CloseNotify(), Pause(0.1), Rst()),
        {result("broken"): 1}, (Request(), Hold())),
    Row("an answer cut by the engine", (Send(GET), AwaitRaw(b"half")),
        {result("answered"): 1, truncated("engine"): 1}, (Request(), Answer(HALF), Truncate()),
        engines=("tls",), down_bytes=len("half")),
    Row("a tunnel cut by the engine", (Send(cases.ATTACH), AwaitRaw(b"ready")),
        {result("answered"): 1, "tunnels_total": 1, truncated("engine"): 1},
        (Request(), Answer(cases.SWITCH + b"ready"), Truncate()), engines=("tls",)),
    Row("the engine's FIN instead of an answer", (Send(GET), Await()),
        {result("engine_trouble"): 1, truncated("engine"): 1}, (Request(), Truncate()),
        engines=("tls",)),
)


def metrics(admin: Path) -> dict[str, int]:
    """All samples, by name and labels, without the prefix."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(OVER_SECONDS)
        sock.connect(str(admin))
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: docker\r\n\r\n")
        answer = b""
        while piece := sock.recv(1 << 16):
            answer += piece
    head, _, body = answer.decode().partition("\r\n\r\n")
    if not head.startswith("HTTP/1.1 200 "):
        raise OSError(f"/metrics: {head.splitlines()[0]}")
    samples = (line.rpartition(" ") for line in body.splitlines() if not line.startswith("#"))
    return {name.removeprefix("headgate_"): int(value) for name, _, value in samples}


def quiet(place: Place) -> dict[str, int]:
    """The numbers once no connection is open any more, and so none can change."""
    deadline = time.monotonic() + OVER_SECONDS
    while (seen := metrics(place.admin))[OPEN] != 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{seen[OPEN]} connections stay open")
        time.sleep(0.02)
    return seen


def connect(place: Place, client: str, row: Row) -> Client:
    if client == "unix":
        return Client(place.gate.path, None, 0, place.gate.cpu_seconds)
    if row.tls == "garbage":
        return Client(("127.0.0.1", place.gate.port), None, 0, place.gate.cpu_seconds)
    return place.tls()


def count(place: Place, client: str, row: Row) -> list[str]:
    before = quiet(place)
    session = place.engine.begin((row.script,))
    made = connect(place, client, row)
    try:
        steps = place.keys.fill(row.steps)
        if client == "unix":  # there is one half-close
            steps = tuple(Fin() if isinstance(s, CloseNotify) else s for s in steps)
        play(Case(row.name, steps, Outcome(end=End.ANY)), steps, made)
    finally:
        made.close()
    trouble = [f"{row.name}: {made.trouble}"] if made.trouble and row.tls != "garbage" else []
    now = quiet(place)
    session.finish(0.0)
    want = {OPENED: 1, **row.counts}
    names = [name for name in now if not name.startswith(ANY)]
    missing = [name for name in want if name not in now]
    wrong = [f"{row.name}: {name} counts {now[name] - before[name]}, not {want.get(name, 0)}"
             for name in names if now[name] - before[name] != want.get(name, 0)]
    down = 'body_bytes_total{direction="down"}'
    if row.down_bytes not in (None, now[down] - before[down]):
        wrong.append(f"{row.name}: {now[down] - before[down]} bytes down, not {row.down_bytes}")
    return trouble + [f"{row.name}: there is no {name}" for name in missing] + wrong


def exactly(place: Place, client: str, engine: str) -> list[str]:
    return [bad for row in ROWS if client in row.clients and engine in row.engines
            for bad in count(place, client, row)]
