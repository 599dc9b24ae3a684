"""The end of an engine's connection: together with an answer, with bytes behind it, or cut."""

from __future__ import annotations

from model import (Abort, Answer, AwaitRaw, Await, Calm, Case, Close, CloseNotify, Echo, End, Eof,
                   Flight, HalfClose, Outcome, Pause, Push, Request, Reached, Send, Serve, Sleep,
                   Truncate, Wait, chunks, http, reached, req)

from .upgrade import ATTACH, RAW, UP, switch, up

GET = req("GET /version")
GOT = reached("GET /version")
INFO = req("GET /info")
GOT_INFO = reached("GET /info")
TE = "Transfer-Encoding: chunked"
OK = http("200 OK", body="{}")
EVIL = http("200 OK", body="evil")
SURPLUS = req("GET /" + "x" * 900) * 1000  # more than headgate reads and holds
ALL = ("unix", "tcp", "tls")
TCP = ("tcp", "tls")
TLS = ("tls",)


def kept(name: str, parts: tuple[bytes, ...], *, end: bool = False, calm: bool = True,
         pipelined: bool = False, request: bytes = GET, want: Reached = GOT, status: int = 200,
         body: bytes = b"{}", **kw) -> Case:
    """The engine's leg is spent, the client's goes on: the second request gets its own answer
    from a new connection, and no leg costs CPU time, between them (`calm`) or afterwards."""
    if pipelined:
        steps = (Send(request + INFO), Await(2), Calm())
    elif calm:
        steps = (Send(request), Await(1), Calm(), Send(INFO), Await(2))
    else:
        steps = (Send(request), Await(1), Send(INFO), Await(2), Calm())
    return Case(name, steps,
                Outcome(((want,), (GOT_INFO,)), (status, 200), End.OPEN,
                        bodies=(body, b"GET /info")),
                scripts=((Request(), Flight(parts, end)), (Serve(),)), slow=True, **kw)


def cut(name: str, request: bytes, want: Reached, answer: bytes, how, status: int = 200,
        raw: bytes | None = None, **kw) -> Case:
    """What only the connection's end could have ended was cut: no clean end for the client."""
    return Case(name, (Send(request), AwaitRaw(b"some")),
                Outcome(((want,),), (status,), End.CUT, raw=raw),
                scripts=((Request(), Answer(answer), Wait(0.05), how),), **kw)


_CHUNKED = http("200 OK", TE, length=False, body=chunks("{", "}"))
_NO_BODY = http("204 No Content", length=False)

WITH_THE_ANSWER = (
    kept("the end in the same write", (OK,), end=True),
    kept("the end in the same write, chunked", (_CHUNKED,), end=True),
    kept("the end in the same write, 204", (_NO_BODY,), end=True, status=204, body=b""),
    kept("the end in the same write, HEAD", (http("200 OK", "Content-Length: 50", length=False),),
         end=True, request=req("HEAD /_ping"), want=reached("HEAD /_ping"), body=b"",
         bodiless=(0,)),
    kept("the end in the same write, a record a byte", tuple(bytes([b]) for b in OK), end=True),
    kept("the end in the same write, the next request at once", (OK,), end=True, calm=False,
         engines=TCP),
    kept("the end in the same write, requests pipelined", (OK,), end=True, pipelined=True,
         engines=TCP),
    kept("the end in the same write, TLS 1.2", (OK,), end=True, engine_tls="1.2"),
    kept("the end in the same write, the next request at once, TLS 1.2", (OK,), end=True,
         calm=False, engine_tls="1.2"),
)

BEHIND = (
    kept("surplus in a later record", (OK, EVIL)),
    kept("surplus in a later record, the next request at once", (OK, EVIL), calm=False),
    kept("surplus in a later record, TLS 1.2", (OK, EVIL), engine_tls="1.2"),
    kept("surplus in the same record", (OK + EVIL,)),
    kept("surplus behind the last chunk", (_CHUNKED, EVIL)),
    kept("surplus behind a head without a body", (_NO_BODY, EVIL), status=204, body=b""),
    kept("surplus, then the end", (OK, EVIL), end=True),
    kept("one byte of surplus in a later record", (OK, b"H")),
    kept("the body and the surplus in one record", (OK[:-2], OK[-2:] + EVIL)),
    kept("surplus of 1 MiB", (OK, bytes(1 << 20))),
)

_LOGS = req("GET /containers/x/logs?follow=1")
_LOGS_GOT = reached("GET /containers/x/logs?follow=1", close=True)
_SOME = http("200 OK", RAW, length=False, body="some")
_TUNNEL_GOT = up(ATTACH, tail=b"")

CUT = tuple(
    case
    for how, engines in ((Truncate(), TLS), (Abort(), TCP))
    for kind in (type(how).__name__,)
    for case in (
        cut(f"{kind} in an answer without a length", GET, GOT,
            http("200 OK", length=False, body="some"), how, engines=engines),
        cut(f"{kind} in a stream without a length", _LOGS, _LOGS_GOT, _SOME, how,
            engines=engines),
        cut(f"{kind} in a chunked stream", req("GET /events"), reached("GET /events", close=True),
            http("200 OK", TE, length=False, body="4\r\nsome\r\n"), how, engines=engines),
        cut(f"{kind} in a body with a length", GET, GOT,
            http("200 OK", "Content-Length: 50", length=False, body="some"), how,
            engines=engines),
        cut(f"{kind} in a tunnel", req(ATTACH, *UP), _TUNNEL_GOT, switch() + b"some", how, 101,
            b"some", engines=engines),
        cut(f"{kind} in a legacy tunnel", req(ATTACH), reached(ATTACH, close=None, tail=b""),
            _SOME, how, engines=engines),
    )
) + tuple(
    cut(f"{name}, TLS 1.2", *what, engine_tls="1.2", engines=TLS)
    for name, *what in (
        ("Truncate in an answer without a length", GET, GOT,
         http("200 OK", length=False, body="some"), Truncate()),
        ("Truncate in a tunnel", req(ATTACH, *UP), _TUNNEL_GOT, switch() + b"some", Truncate(),
         101, b"some"),
    )
) + (
    Case("Truncate behind a whole answer", (Send(GET), Await(1), Pause(0.1), Send(INFO)),
         Outcome(((GOT,), (GOT_INFO,)), (200, 200), End.OPEN, bodies=(b"{}", b"GET /info")),
         scripts=((Request(), Answer(OK), Truncate()), (Serve(),))),
    Case("Truncate behind a whole stream", (Send(req("GET /events")),),
         Outcome(((reached("GET /events", close=True),),), (200,), bodies=(b"{}",)),
         scripts=((Request(), Answer(_CHUNKED), Truncate()),)),
    Case("Truncate instead of an answer", (Send(GET),),
         Outcome(((GOT,),), (502,), refusal=True), scripts=((Request(), Truncate()),)),
)

_LONG = bytes(i * 7 % 251 for i in range(1 << 20))


def destroyed(name: str, second: bytes, how, **kw) -> Case:
    """The second answer is cut while the first, a whole one, is still on its way to a slow reader
    that has sent more than anybody reads: a close() then resets the connection and destroys it."""
    return Case(f"{name} behind a whole answer, and the client has sent more",
                (Send(GET + INFO), Push(SURPLUS, stalls=False), Sleep(1.0)),
                Outcome(((GOT, GOT_INFO),), (200, 200), End.CUT, bodies=(_LONG, None)),
                scripts=((Request(), Answer(http("200 OK", body=_LONG)), Request(),
                          Answer(second), Wait(0.05), how),), receive_bytes=1 << 16, slow=True,
                **kw)


DESTROYED = tuple(
    destroyed(f"{name} {type(how).__name__}", second, how, engines=engines)
    for how, engines in ((Close(), ALL), (Truncate(), TLS), (Abort(), TCP))
    for name, second in (
        ("a length and", http("200 OK", "Content-Length: 1000", length=False, body="some")),
        ("a chunk and", http("200 OK", TE, length=False, body="4\r\nsome\r\n")),
    )
)

NOTIFIED = tuple(
    Case(f"a half-close arrives as close_notify: {name}, TLS {tls}", steps,
         Outcome(((want,),), (status,), bodies=bodies, raw=raw), scripts=(script,),
         engines=TLS, engine_tls=tls)
    for tls in ("1.3", "1.2")
    for name, steps, want, status, bodies, raw, script in (
        ("pending", (Send(GET), CloseNotify()), GOT, 200, (b"{}",), None,
         (Request(), Eof(notified=True), Wait(0.1), Answer(OK))),
        ("tunnel", (Send(req(ATTACH, *UP)), AwaitRaw(b"some"), Send(b"in"), CloseNotify()),
         up(ATTACH, tail=b"in"), 101, (), b"some later",
         (Request(), Answer(switch() + b"some"), Eof(notified=True), Wait(0.1),
          Answer(b" later"), HalfClose())),
    )
) + (
    Case("an engine with TLS 1.2", (Send(GET), Await(1), Send(INFO)),
         Outcome(((GOT, GOT_INFO),), (200, 200), End.OPEN), engines=TLS, engine_tls="1.2"),
    Case("a tunnel to an engine with TLS 1.2",
         (Send(req(ATTACH, *UP) + b"early "), AwaitRaw(b"early "), Send(b"late"), CloseNotify()),
         Outcome(((up(ATTACH, tail=b"early late"),),), (101,), raw=b"early late"),
         scripts=((Request(), Answer(switch()), Echo()),), engines=TLS, engine_tls="1.2"),
)

CASES = WITH_THE_ANSWER + BEHIND + CUT + DESTROYED + NOTIFIED
