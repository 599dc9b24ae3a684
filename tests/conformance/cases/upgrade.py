"""Tunnels: only on five routes, only after the engine's own 101, and not a byte before it."""

from __future__ import annotations

from dataclasses import replace

from model import (SMUGGLED, Answer, AwaitEnd, AwaitRaw, Case, Close, CloseNotify, Echo, Eof, End,
                   Fin, HalfClose, Hold, Outcome, Pause, Quiet, Reached, Request, Rst, Script,
                   Send, Status, Steps, Take, Wait, chunks, http, passed, reached, refused, req)

from .sweeps import answer_pieces, answer_splits, record_pieces, record_splits

ATTACH = "POST /v1.41/containers/x/attach?stream=1&stdin=1"
START = "POST /exec/x/start"
UP = ("Connection: Upgrade", "Upgrade: tcp")
RAW = "Content-Type: application/vnd.docker.raw-stream"
MULTIPLEXED = "Content-Type: application/vnd.docker.multiplexed-stream"
BULK = bytes(i * 11 % 253 for i in range(1 << 20))


def switch(to: str | None = "tcp", connection: str | None = "Upgrade") -> bytes:
    lines = ["HTTP/1.1 101 UPGRADED", RAW]
    lines += [f"Connection: {connection}"] if connection is not None else []
    lines += [f"Upgrade: {to}"] if to is not None else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def held(answer: bytes, *then) -> Script:
    """Read the request, see that nothing follows it, answer."""
    return (Request(), Quiet(), Answer(answer), *then)


def up(line: str, *fields: str, to: str = "tcp", **kw) -> Reached:
    return reached(line, *fields, upgrade=to, **kw)


def tunnel(name: str, line: str, *fields: str, to: str = "tcp", connection: str = "Upgrade",
           host: str = "docker", want: Reached | None = None) -> Case:
    """`early` is sent with the head and held; then each side speaks and closes in turn."""
    request = req(line, f"Connection: {connection}", f"Upgrade: {to}", *fields, host=host)
    want = want or up(line, *fields, to=to, host=host, tail=b"early late")
    return Case(name, (Send(request + b"early "), AwaitRaw(b"ready "), Send(b"late"),
                       CloseNotify()),
                Outcome(((want,),), (101,), raw=b"ready early late"),
                scripts=(held(switch(to), Answer(b"ready "), Echo()),))


def no_tunnel(name: str, line: str, *fields: str, upgrade: tuple[str, ...] = UP,
              status: Status = 200, want: Reached | None = None, **kw) -> Case:
    """The Upgrade is ignored: one ordinary request, an answer, and the end."""
    request = req(line, *upgrade, *fields) + SMUGGLED
    return passed(name, request, want or reached(line, *fields, close=None), status=(status,),
                  end=End.CLEAN, closing=True, **kw)


def unasked(name: str, line: str, *fields: str, answer: bytes = switch(),
            upgrade: tuple[str, ...] = UP, want: Reached | None = None, **kw) -> Case:
    """The engine answers 101 where nothing is to be upgraded: 502, and nothing gets through."""
    request = req(line, *upgrade, *fields) + SMUGGLED
    want = want or reached(line, *fields, close=None)
    return Case(name, (Send(request),), Outcome(((want,),), (502,), refusal=True),
                scripts=((Request(), Answer(answer), Wait(0.1), Answer(b"evil")),), **kw)


def denied(name: str, answer: bytes, status: int, body: bytes | None = None,
           end: End = End.CLEAN, **kw) -> Case:
    """The engine declines: its answer is delivered, what was held is thrown away."""
    return Case(name, (Send(req(ATTACH, *UP) + SMUGGLED), Pause(0.25), Send(SMUGGLED)),
                Outcome(((up(ATTACH),),), (status,), end, bodies=(body,), closing=True),
                scripts=(held(answer),), **kw)


def legacy(name: str, line: str, kind: str, *fields: str, body: str = "",
           tail: bytes = b"early late") -> Case:
    """No Upgrade; the engine's bare 200 opens the tunnel."""
    fields = (*fields, f"Content-Length: {len(body)}")
    want = reached(line, *fields[:-1], body=body.encode(), framing="length", close=None, tail=tail)
    return Case(name, (Send(req(line, *fields, body=body) + b"early "), AwaitRaw(b"ready "),
                       Send(b"late"), CloseNotify()),
                Outcome(((want,),), (200,), bodies=(b"ready early late",)),
                scripts=(held(http("200 OK", kind, length=False), Answer(b"ready "), Echo()),))


def no_legacy(name: str, line: str, answer: bytes, status: int = 200,
              want: Reached | None = None, body: bytes | None = None) -> Case:
    """An answer that opens no tunnel: delivered, and what follows the request goes nowhere."""
    return Case(name, (Send(req(line) + SMUGGLED), Pause(0.2), Send(SMUGGLED)),
                Outcome(((want or reached(line, close=None),),), (status,), End.CLEAN,
                        bodies=(body,), closing=True),
                scripts=((Request(), Quiet(), Answer(answer), Wait(0.2), Close()),))


SOCKET = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")

OPENED = (
    tunnel("attach", ATTACH, "Content-Type: text/plain"),
    tunnel("attach, no version", "POST /containers/x/attach"),
    tunnel("exec/start", START),
    tunnel("exec/start with a version", "POST /v1.47/exec/x/start"),
    tunnel("attach/ws", "GET /containers/x/attach/ws?stream=1", *SOCKET, to="websocket"),
    tunnel("session", "POST /session", "X-Docker-Expose-Session-Grpc-Method: /a",
           "X-Docker-Expose-Session-Grpc-Method: /b", to="h2c", host=""),
    tunnel("session with a version", "POST /v1.47/session", to="h2c"),
    tunnel("grpc", "POST /grpc", to="h2c", host=""),
    tunnel("Connection in a list", ATTACH, connection="keep-alive, uPGRADE"),
    tunnel("an escaped route", "POST /containers/x/%61ttach",
           want=up("POST /containers/x/attach", tail=b"early late")),
    Case("exec/start with a body",
         (Send(req(START, *UP, "Content-Type: application/json", "Content-Length: 29",
                   body='{"Detach":false,"Tty":false}\n') + b"early"), AwaitRaw(b"early"),
          CloseNotify()),
         Outcome(((up(START, "Content-Type: application/json", framing="length",
                      body=b'{"Detach":false,"Tty":false}\n', tail=b"early"),),), (101,),
                 raw=b"early"),
         scripts=(held(switch(), Echo()),)),
    Case("Content-Length 0",
         (Send(req(ATTACH, *UP, "Content-Length: 0") + b"early"), AwaitRaw(b"early"),
          CloseNotify()),
         Outcome(((up(ATTACH, framing="length", tail=b"early"),),), (101,), raw=b"early"),
         scripts=(held(switch(), Echo()),)),
    Case("a request in the tunnel is only bytes",
         (Send(req(ATTACH, *UP)), AwaitRaw(b"ready"), Send(b"GET /x HTTP/1.1\r\n\r\n"),
          CloseNotify()),
         Outcome(((up(ATTACH, tail=b"GET /x HTTP/1.1\r\n\r\n"),),), (101,),
                 raw=b"readyGET /x HTTP/1.1\r\n\r\n"),
         scripts=(held(switch() + b"ready", Echo()),)),
    Case("the engine's first bytes come with the 101", (Send(req(ATTACH, *UP)), CloseNotify()),
         Outcome(((up(ATTACH, tail=b""),),), (101,), raw=b"HTTP/1.1 200 OK\r\n\r\n"),
         scripts=((Request(), Answer(switch() + b"HTTP/1.1 200 OK\r\n\r\n"), Eof(), Close()),)),
    Case("a 100 does not let held bytes go",
         (Send(req(ATTACH, *UP) + b"early"), AwaitRaw(b"early"), CloseNotify()),
         Outcome(((up(ATTACH, tail=b"early"),),), (100, 101), raw=b"early"),
         scripts=((Request(), Answer(b"HTTP/1.1 100 Continue\r\n\r\n"), Quiet(),
                   Answer(switch()), Echo()),)),
    Case("1 MiB is held before the 101 and comes whole after it",
         (Send(req(ATTACH, *UP) + BULK), CloseNotify()),
         Outcome(((up(ATTACH, tail=BULK),),), (101,), raw=b"done"),
         scripts=(held(switch(), Take(BULK), Eof(), Answer(b"done"), HalfClose()),)),
    Case("1 MiB both ways", (Send(req(ATTACH, *UP)), AwaitRaw(b"ready"), Send(BULK),
                             CloseNotify()),
         Outcome(((up(ATTACH, tail=BULK),),), (101,), raw=b"ready" + BULK),
         scripts=((Request(), Answer(switch() + b"ready"), Echo()),)),
    Case("1 MiB both ways, TLS 1.2", (Send(req(ATTACH, *UP)), AwaitRaw(b"ready"), Send(BULK),
                                      CloseNotify()),
         Outcome(((up(ATTACH, tail=BULK),),), (101,), raw=b"ready" + BULK),
         scripts=((Request(), Answer(switch() + b"ready"), Echo()),), tls="1.2"),
    Case("a silence longer than the head deadline",
         (Send(req(ATTACH, *UP)), AwaitRaw(b"ready"), Pause(2.8), Send(b"late"), CloseNotify()),
         Outcome(((up(ATTACH, tail=b"late"),),), (101,), raw=b"readylate"),
         scripts=((Request(), Answer(switch() + b"ready"), Take(b"late"), Answer(b"late"),
                   Echo()),), slow=True, at_least=2.5),
    Case("split at every point: the request", (Send(req(START, *UP) + b"early"),
                                               AwaitRaw(b"early"), CloseNotify()),
         Outcome(((up(START, tail=b"early"),),), (101,), raw=b"early"), sweep=record_splits,
         scripts=((Request(), Answer(switch()), Echo()),)),
    Case("split at every point: the 101", (Send(req(START, *UP) + b"early"), AwaitRaw(b"early"),
                                           CloseNotify()),
         Outcome(((up(START, tail=b"early"),),), (101,), raw=b"ready early"),
         scripts=((Request(), Answer(switch() + b"ready "), Echo()),),
         script_sweep=answer_splits),
    Case("small records", (Send(req(START, *UP) + b"early"), AwaitRaw(b"early"), CloseNotify()),
         Outcome(((up(START, tail=b"early"),),), (101,), raw=b"early"), sweep=record_pieces,
         scripts=((Request(), Answer(switch()), Echo()),)),
)


def half_close(name: str, steps: tuple, script: Script, tail: bytes, answer: bytes,
               tls: str = "1.3") -> Case:
    return Case(f"half-close: {name}", steps, Outcome(((up(ATTACH, tail=tail),),), (101,),
                raw=answer), scripts=(script,), tls=tls)


HALF_CLOSE = tuple(
    half_close(f"{name}, TLS {tls}", (*steps, CloseNotify()), script, tail, answer, tls)
    for tls in ("1.3", "1.2")
    for name, steps, script, tail, answer in (
        ("with held bytes", (Send(req(ATTACH, *UP) + b"hi"),),
         held(switch(), Take(b"hi"), Eof(), Wait(0.1), Answer(b"hi"), HalfClose()),
         b"hi", b"hi"),
        ("at once after the 101", (Send(req(ATTACH, *UP)), AwaitRaw(b"ready")),
         (Request(), Answer(switch() + b"ready"), Eof(), Wait(0.2), Answer(b"later"),
          HalfClose()), b"", b"readylater"),
        ("after bytes", (Send(req(ATTACH, *UP)), AwaitRaw(b"ready"), Send(b"in")),
         (Request(), Answer(switch() + b"ready"), Take(b"in"), Eof(), Answer(b"out"),
          HalfClose()), b"in", b"readyout"),
    )
) + (
    half_close("of the engine, the client goes on",
               (Send(req(ATTACH, *UP)), AwaitRaw(b"ready"), AwaitEnd(), Pause(0.1),
                Send(b"still here"), CloseNotify()),
               (Request(), Answer(switch() + b"ready"), HalfClose(), Take(b"still here"), Eof()),
               b"still here", b"ready"),
    half_close("longer than the head deadline", (Send(req(ATTACH, *UP)), AwaitRaw(b"ready"),
                                                 CloseNotify()),
               (Request(), Answer(switch() + b"ready"), Eof(), Wait(2.8), Answer(b"later"),
                HalfClose()), b"", b"readylater"),
    *(Case(f"half-close: a FIN without close_notify is none, TLS {tls}",
           (Send(req(ATTACH, *UP)), AwaitRaw(b"ready"), Fin()),
           Outcome(((up(ATTACH, tail=b""),),), (101,), End.CUT, raw=b"ready"), tls=tls,
           scripts=((Request(), Answer(switch() + b"ready"), Eof()),), clients=("tls",),
           log_has="client-truncated")
      for tls in ("1.3", "1.2")),
    Case("half-close: the client aborts", (Send(req(ATTACH, *UP)), AwaitRaw(b"ready"), Rst()),
         Outcome(((up(ATTACH, tail=b""),),), (101,), End.ANY, raw=b"ready"),
         scripts=((Request(), Answer(switch() + b"ready"), Eof()),)),
    Case("half-close: the engine is gone", (Send(req(ATTACH, *UP)), AwaitRaw(b"ready")),
         Outcome(((up(ATTACH, tail=b""),),), (101,), End.CLOSED, raw=b"ready"),
         scripts=((Request(), Answer(switch() + b"ready"), Close()),)),
    Case("the client aborts before the 101", (Send(req(ATTACH, *UP) + SMUGGLED), Pause(0.1),
                                              Rst()),
         Outcome(((up(ATTACH),),), (), End.ANY), scripts=((Request(), Eof()),)),
)



def gone(name: str, request: bytes, want: Reached, answer: bytes, status: tuple[Status, ...],
         how: Steps) -> Case:
    """A client that has half-closed is gone altogether; the engine has nothing to say to it."""
    return Case(f"gone after a half-close: {name}", (Send(request), *how, Pause(0.2), Rst()),
                Outcome(((want,),), status, End.ANY, raw=b"ready" if status == (101,) else None),
                ends_within=3.0,
                scripts=((Request(), Answer(answer), Eof(), Hold()),))


_READY = (AwaitRaw(b"ready"), CloseNotify())

GONE = (
    gone("tunnel", req(ATTACH, *UP), up(ATTACH, tail=b""), switch() + b"ready", (101,), _READY),
    gone("tunnel, with bytes", req(ATTACH, *UP) + b"hi", up(ATTACH, tail=b"hi"),
         switch() + b"ready", (101,), _READY),
    gone("tunnel, FIN", req(ATTACH, *UP), up(ATTACH, tail=b""), switch() + b"ready", (101,),
         (AwaitRaw(b"ready"), Fin())),
    gone("tunnel, close_notify and FIN", req(ATTACH, *UP), up(ATTACH, tail=b""),
         switch() + b"ready", (101,), (*_READY, Fin())),
    gone("legacy tunnel", req(ATTACH), reached(ATTACH, close=None, tail=b""),
         http("200 OK", RAW, length=False, body="ready"), (200,), _READY),
    gone("stream", req("GET /containers/x/logs"),
         reached("GET /containers/x/logs", close=True),
         http("200 OK", RAW, length=False, body="ready"), (200,), _READY),
    gone("pending", req("GET /version"), reached("GET /version"), b"", (), (CloseNotify(),)),
)

DENIED = (
    denied("404", http("404 Not Found", body="{}"), 404, b"{}"),
    denied("404, the engine closes", http("404 Not Found", "Connection: close", body="{}"), 404,
           b"{}"),
    denied("400", http("400 Bad Request", body="{}"), 400, b"{}"),
    denied("409, chunked", http("409 Conflict", "Transfer-Encoding: chunked", length=False,
                                body=chunks("{}")), 409, b"{}"),
    denied("500 without a body", http("500 Oops"), 500, b""),
    denied("200 with a length", http("200 OK", RAW, body="ok"), 200, b"ok"),
    denied("204", http("204 No Content", length=False), 204, b""),
    denied("403, then a 101", http("403 Forbidden", body="{}") + switch() + b"evil", 403, b"{}"),
    denied("426 with Upgrade", http("426 Upgrade Required", "Upgrade: tcp", "Connection: Upgrade",
                                    body="{}"), 426, b"{}"),
    Case("an answer without a length", (Send(req(ATTACH, *UP) + SMUGGLED),),
         Outcome(((up(ATTACH),),), (404,), bodies=(b"{}",), closing=True),
         scripts=(held(http("404 Not Found", length=False, body="{}"), Close()),)),
    Case("the engine closes instead of answering", (Send(req(ATTACH, *UP) + SMUGGLED),),
         Outcome(((up(ATTACH),),), (502,), refusal=True), scripts=((Request(), Close()),)),
)


def wrong_switch(name: str, answer: bytes) -> Case:
    return unasked(name, ATTACH, answer=answer, want=up(ATTACH))


WRONG_SWITCH = (
    wrong_switch("101 without Upgrade", switch(None)),
    wrong_switch("101 to something else", switch("h2c")),
    wrong_switch("101 to a longer name", switch("tcp2")),
    wrong_switch("101 to a list", switch("tcp, h2c")),
    wrong_switch("101 with an empty Upgrade", switch("")),
    wrong_switch("101 with two Upgrades",
                 switch().replace(b"Upgrade: tcp", b"Upgrade: h2c\r\nUpgrade: tcp")),
    wrong_switch("101 with a bare LF", switch().replace(b"UPGRADED\r\n", b"UPGRADED\n")),
    unasked("101 to a plain GET", "GET /version", upgrade=()),
    unasked("101 to a GET that asked for it", "GET /version"),
    unasked("101 to HEAD of attach/ws", "HEAD /containers/x/attach/ws", bodiless=(0,)),
    unasked("101 to a stream", "GET /events", want=reached("GET /events", close=True)),
    unasked("101 to attach without Upgrade", ATTACH, upgrade=()),
    unasked("101 to attach with Upgrade alone", ATTACH, upgrade=("Upgrade: tcp",)),
    unasked("101 to attach with Connection alone", ATTACH, upgrade=("Connection: Upgrade",)),
)

OTHER_ROUTES = tuple(
    no_tunnel(f"no tunnel on {line}", line)
    for line in (
        "GET /version", "GET /_ping", "GET /containers/json", "POST /containers/x/start",
        "GET /containers/x/attach", "POST /containers/x/attach/ws", "PUT /containers/x/attach",
        "GET /exec/x/start", "POST /exec/x/json", "POST /exec/start", "GET /session", "GET /grpc",
        "POST /sessions", "POST /session/x", "POST /grpc/x", "POST /containers/attach",
        "POST /containers/x/y/attach", "POST /x/containers/y/attach",
        "POST /v1.41/v1.41/containers/x/attach", "POST /v1/containers/x/attach",
        "POST /v1.x/containers/x/attach", "POST /V1.41/containers/x/attach",
        "POST /v1.41.1/containers/x/attach", "POST /Containers/x/attach", "post /session",
        "POST /containers/x/attachx", "GET /events", "POST /build", "POST /containers/x/wait",
    )
) + (
    no_tunnel("no tunnel for h2c", "GET /version", "X-A: b",
              upgrade=("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                       "HTTP2-Settings: AAMAAABk")),
    no_tunnel("no tunnel for a websocket elsewhere", "GET /containers/x/json", *SOCKET,
              upgrade=("Connection: Upgrade", "Upgrade: websocket")),
    passed("no tunnel on HEAD of attach/ws",
           req("HEAD /containers/x/attach/ws", *UP) + SMUGGLED,
           reached("HEAD /containers/x/attach/ws", close=None), end=End.CLEAN, closing=True,
           bodiless=(0,)),
    refused("attach without an id", req("POST /containers//attach", *UP) + SMUGGLED),
    refused("attach through dot-dot", req("POST /x/../containers/x/attach", *UP) + SMUGGLED),
    refused("Connection lists Upgrade and Host",
            req(ATTACH, "Connection: Upgrade, Host", "Upgrade: tcp") + SMUGGLED),
)


def doubtful(name: str, line: str, *fields: str, body: bytes = b"",
             want: Reached | None = None, asked: Reached | None = None) -> Case:
    """Refused, or one request, and what is behind it goes nowhere as the engine does not switch."""
    wants = (want or reached(line, close=None), *((asked,) if asked else ()))
    return Case(name, (Send(req(line, *fields, body=body) + SMUGGLED),),
                Outcome((), (400,), refusal=True),
                tuple(Outcome(((w,),), (200,)) for w in wants))


DOUBTFUL = (
    doubtful("two Upgrades", ATTACH, "Connection: Upgrade", "Upgrade: tcp", "Upgrade: h2c"),
    doubtful("a list of Upgrades", ATTACH, "Connection: Upgrade", "Upgrade: tcp, h2c"),
    doubtful("an empty Upgrade", ATTACH, "Connection: Upgrade", "Upgrade:"),
    doubtful("Upgrade in HTTP/1.0", "POST /containers/x/attach HTTP/1.0", *UP),
    doubtful("Upgrade with a chunked body", START, *UP, "Transfer-Encoding: chunked",
             body=chunks("{}"),
             want=reached(START, body=b"{}", framing="chunked", close=True),
             asked=up(START, body=b"{}", framing="chunked")),
)

LEGACY = (
    legacy("legacy attach, raw", ATTACH, RAW),
    legacy("legacy attach, multiplexed", "POST /containers/x/attach", MULTIPLEXED),
    legacy("legacy exec/start with a body", START, RAW, "X-A: b",
           body='{"Detach":false,"Tty":false}\n'),
    Case("legacy: half-close with held bytes",
         (Send(req(ATTACH) + b"hi"), CloseNotify()),
         Outcome(((reached(ATTACH, close=None, tail=b"hi"),),), (200,), bodies=(b"hi",)),
         scripts=(held(http("200 OK", RAW, length=False), Take(b"hi"), Eof(), Wait(0.1),
                       Answer(b"hi"), HalfClose()),)),
    Case("legacy: the client aborts", (Send(req(ATTACH)), AwaitRaw(b"ready"), Rst()),
         Outcome(((reached(ATTACH, close=None, tail=b""),),), (200,), End.ANY),
         scripts=((Request(), Answer(http("200 OK", RAW, length=False, body="ready")), Eof()),)),
    Case("legacy: split at every point", (Send(req(START) + b"early"), AwaitRaw(b"early"),
                                          CloseNotify()),
         Outcome(((reached(START, close=None, tail=b"early"),),), (200,), bodies=(b"early",)),
         scripts=((Request(), Answer(http("200 OK", RAW, length=False)), Echo()),),
         script_sweep=answer_splits),
    no_legacy("legacy: JSON opens nothing", START,
              http("200 OK", "Content-Type: application/json", length=False, body="{}"),
              body=b"{}"),
    no_legacy("legacy: no content type opens nothing", START,
              http("200 OK", length=False, body="{}"), body=b"{}"),
    no_legacy("legacy: a longer content type opens nothing", START,
              http("200 OK", RAW + "2", length=False, body="{}"), body=b"{}"),
    no_legacy("legacy: a length opens nothing", START, http("200 OK", RAW, body="ok"),
              body=b"ok"),
    no_legacy("legacy: length 0 opens nothing", START, http("200 OK", RAW), body=b""),
    no_legacy("legacy: chunked opens nothing", START,
              http("200 OK", RAW, "Transfer-Encoding: chunked", length=False, body=chunks("ok")),
              body=b"ok"),
    no_legacy("legacy: 404 opens nothing", ATTACH, http("404 Not Found", RAW, length=False,
                                                        body="{}"), 404, body=b"{}"),
    no_legacy("legacy: 201 opens nothing", ATTACH, http("201 Created", RAW, length=False,
                                                        body="{}"), 201, body=b"{}"),
    no_legacy("legacy: logs are no tunnel", "GET /containers/x/logs",
              http("200 OK", RAW, length=False, body="log"),
              want=reached("GET /containers/x/logs", close=True), body=b"log"),
    no_legacy("legacy: wait is no tunnel", "POST /containers/x/wait",
              http("200 OK", RAW, length=False, body="ok"),
              want=reached("POST /containers/x/wait", close=True), body=b"ok"),
)

_STDIN = reached(ATTACH, close=None, framing="chunked", body=b"{}", tail=b"early late")
_NO_STDIN = replace(_STDIN, tail=None)


def chunked_legacy(name: str, steps: Steps, **kw) -> Case:
    """A chunked body, then stdin: all of it reaches the tunnel, in order, or there is none, and
    the client is told so (by a refusal, or by Connection: close in place of a tunnel)."""
    return Case(f"legacy, chunked body: {name}", (*steps, AwaitRaw(b"ready "), Send(b"late"),
                                                  CloseNotify()),
                Outcome(((_STDIN,),), (200,), bodies=(b"ready early late",)),
                (Outcome((), (400,), refusal=True),
                 Outcome(((_NO_STDIN,),), ((400, 502),), refusal=True),
                 Outcome(((_NO_STDIN,),), (200,), bodies=(b"ready ",), closing=True)),
                scripts=((Request(), Answer(http("200 OK", RAW, length=False)), Answer(b"ready "),
                          Echo()),), **kw)


_CHUNKED = req(ATTACH, "Transfer-Encoding: chunked", body=chunks("{", "}"))

CHUNKED_LEGACY = (
    chunked_legacy("one write", (Send(_CHUNKED + b"early "),)),
    chunked_legacy("one write, split at every point", (Send(_CHUNKED + b"early "),),
                   sweep=record_splits),
    chunked_legacy("small records", (Send(_CHUNKED + b"early "),), sweep=record_pieces),
    chunked_legacy("stdin in the next write", (Send(_CHUNKED), Send(b"early "))),
    chunked_legacy("stdin a little later", (Send(_CHUNKED), Pause(0.05), Send(b"early "))),
    chunked_legacy("stdin split", (Send(_CHUNKED + b"ea"), Pause(0.05), Send(b"rly "))),
)

PIECES = (
    Case("small writes of the engine", (Send(req(ATTACH, *UP) + b"early"), AwaitRaw(b"early"),
                                        CloseNotify()),
         Outcome(((up(ATTACH, tail=b"early"),),), (101,), raw=b"ready early"),
         scripts=((Request(), Answer(switch() + b"ready "), Echo()),),
         script_sweep=answer_pieces),
)

CASES = (OPENED + HALF_CLOSE + GONE + DENIED + WRONG_SWITCH + OTHER_ROUTES + DOUBTFUL + LEGACY
         + CHUNKED_LEGACY + PIECES)
