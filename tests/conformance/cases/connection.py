"""A connection's life: keep-alive, pipelining, half-closes, aborts, old and wrong protocols."""

from __future__ import annotations

from model import (SMUGGLED, Answer, Await, Case, Close, CloseNotify, End, Eof, Fin, Hold, Outcome,
                   Pause, Quiet, Reached, Request, Rst, Send, Serve, Wait, http, passed, reached,
                   refused, req, streamed, with_length)

from .sweeps import record_splits

GET = req("GET /version")
GOT = reached("GET /version")
OLD = "GET /version HTTP/1.0"
FLOOD = req("GET /" + "x" * 900) * 192  # fits what a unix socket takes beside what is held
PLAIN = b"Client sent an HTTP request to an HTTPS server."


def pending(name: str, *how, tls: str = "1.3") -> Case:
    """The client half-closes while the answer is pending: the engine sees it, the answer comes."""
    return Case(f"{name}, TLS {tls}", (Send(GET), *how),
                Outcome(((GOT,),), (200,), End.CLEAN, bodies=(b"{}",)),
                scripts=((Request(), Eof(), Wait(0.1), Answer(http("200 OK", body="{}")),
                          Close()),), tls=tls)


def nothing(name: str, *steps, status: tuple = (), end: End = End.CLOSED, **kw) -> Case:
    """Nothing reaches the engine and there is nothing to say."""
    return Case(name, steps, Outcome((), (), end), (Outcome((), ((400, 408),), end),), **kw)


KEEP = (
    passed("two requests, one behind the other",
           (Send(GET), Await(1), Send(req("GET /info"))), GOT, reached("GET /info"),
           bodies=(b"GET /version", b"GET /info")),
    passed("HEAD, then GET", (Send(req("HEAD /_ping")), Await(1), Send(GET)),
           reached("HEAD /_ping"), GOT, bodiless=(0,)),
    passed("idle for longer than the head deadline",
           (Send(GET), Await(1), Pause(2.8), Send(req("GET /info"))), GOT, reached("GET /info"),
           slow=True, at_least=2.5),
    passed("a hundred requests, one behind the other",
           tuple(s for i in range(100) for s in (Send(req(f"GET /{i}")), Await(i + 1))),
           *(reached(f"GET /{i}") for i in range(100))),
    passed("three pipelined", GET + req("GET /info") + req("GET /_ping"), GOT,
           reached("GET /info"), reached("GET /_ping"),
           bodies=(b"GET /version", b"GET /info", b"GET /_ping")),
    passed("a hundred pipelined", b"".join(req(f"GET /{i}") for i in range(100)),
           *(reached(f"GET /{i}") for i in range(100)),
           bodies=tuple(f"GET /{i}".encode() for i in range(100))),
    passed("two pipelined, split at every point", GET + req("GET /i"), GOT, reached("GET /i"),
           sweep=record_splits),
    passed("pipelined requests reach the engine one at a time", GET + req("GET /info"), GOT,
           reached("GET /info"), bodies=(b"one", b"two"),
           scripts=((Request(), Quiet(), Answer(http("200 OK", body="one")), Request(), Quiet(),
                     Answer(http("200 OK", body="two"))),)),
    Case("a pipelined request behind a stream",
         (Send(GET + req("GET /events") + SMUGGLED),),
         Outcome(((GOT, reached("GET /events", close=True)),), (200, 200), closing=True),
         (Outcome(((GOT,), (reached("GET /events", close=True),)), (200, 200), closing=True),)),
    Case("a pipelined request that is malformed",
         (Send(GET + b"GET /info HTTP/1.1\nHost: docker\n\n" + SMUGGLED),),
         Outcome(((GOT,),), (200, 400), refusal=True)),
    Case("a CRLF between pipelined requests", (Send(GET + b"\r\n" + SMUGGLED),),
         Outcome(((GOT,),), (200, 400), refusal=True)),
    Case("a pipelined tunnel",
         (Send(GET + req("POST /session", "Connection: Upgrade", "Upgrade: h2c") + b"held"),),
         Outcome(((GOT, reached("POST /session", upgrade="h2c")),), (200, 404), closing=True),
         (Outcome(((GOT,), (reached("POST /session", upgrade="h2c"),)), (200, 404),
                  closing=True),),
         scripts=((Request(), Answer(http("200 OK", body="{}")), Request(), Quiet(),
                   Answer(http("404 Not Found", body="{}"))),
                  (Request(), Quiet(), Answer(http("404 Not Found", body="{}"))))),
    Case("a second head that stops", (Send(GET), Await(1), Send(GET[:30])),
         Outcome(((GOT,),), (200, 408), refusal=True), slow=True, at_least=1.5),
    passed("requests with and without a body",
           (Send(req("POST /a", "Content-Length: 3", body="abc") + GET
                 + req("POST /b", "Content-Length: 0") + req("DELETE /c")),),
           with_length("POST /a", "abc"), GOT, with_length("POST /b", ""), reached("DELETE /c")),
)

OLD_HTTP = (
    passed("HTTP/1.0", req(OLD) + SMUGGLED, reached(OLD, close=True), end=End.CLEAN,
           bodies=(b"GET /version",)),
    passed("HTTP/1.0 with keep-alive", req(OLD, "Connection: keep-alive") + SMUGGLED,
           reached(OLD, close=True), end=End.CLEAN),
    passed("HTTP/1.0 with a body",
           req("POST /a HTTP/1.0", "Content-Length: 3", body="abc") + SMUGGLED,
           with_length("POST /a HTTP/1.0", "abc", close=True), end=End.CLEAN),
    Case("HTTP/1.0 without Host", (Send(req(OLD, host=None)),),
         Outcome(((reached(OLD, host=None, close=True),),), (200,)),
         (Outcome(((reached(OLD, host="", close=True),),), (200,)),
          Outcome(((reached(OLD, host="docker", close=True),),), (200,)),
          Outcome((), (400,), refusal=True))),
    streamed("HTTP/1.0 on a stream route", req("GET /events HTTP/1.0") + SMUGGLED,
             reached("GET /events HTTP/1.0", close=True)),
) + tuple(
    streamed(f"HTTP/1.0 and {name}", req(OLD), reached(OLD, close=True), bodies=(b"{}",),
             scripts=((Request(), Answer(early), Wait(0.05),
                       Answer(http("200 OK", "Connection: close", body="{}"))),))
    for name, early in (
        ("100", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("102 and 103", b"HTTP/1.1 102 Processing\r\n\r\n"
         + http("103 Early Hints", "Link: </a>", length=False)),
    )
) + (
    streamed("HTTP/1.0, Expect and 100", req("POST /a HTTP/1.0", "Content-Length: 3",
                                            "Expect: 100-continue", body="abc"),
             with_length("POST /a HTTP/1.0", "abc", close=True), bodies=(b"{}",),
             scripts=((Request(), Answer(b"HTTP/1.1 100 Continue\r\n\r\n"),
                       Answer(http("200 OK", "Connection: close", body="{}"))),)),
)

HALF_CLOSED = tuple(
    pending(f"{type(how).__name__} behind the request", how, tls=tls)
    for tls in ("1.3", "1.2") for how in (CloseNotify(), Fin())
) + (
    pending("close_notify while the engine works", Pause(0.1), CloseNotify()),
    pending("FIN while the engine works", Pause(0.1), Fin()),
    pending("close_notify and FIN", CloseNotify(), Fin()),
    Case("half-close behind two pipelined requests", (Send(GET + req("GET /info")), CloseNotify()),
         Outcome(((GOT, reached("GET /info")),), (200, 200)),
         (Outcome(((GOT,), (reached("GET /info"),)), (200, 200)),),
         scripts=((Request(), Wait(0.1), Answer(http("200 OK", body="{}")), Serve()),
                  (Serve(),))),
    nothing("half-close before a request", CloseNotify()),
    nothing("FIN before a request", Fin()),
    nothing("RST before a request", Rst(), end=End.ANY),
    nothing("half-close in the head", Send(GET[:-1]), CloseNotify()),
    nothing("FIN in the head", Send(GET[:-1]), Fin()),
    nothing("FIN in the head, with a whole line behind it", Send(GET[:-2]), Fin()),
    nothing("RST in the head", Send(GET[:-1]), Rst(), end=End.ANY),
    Case("half-close between requests", (Send(GET), Await(1), CloseNotify()),
         Outcome(((GOT,),), (200,), End.CLOSED)),
    Case("FIN between requests", (Send(GET), Await(1), Fin()),
         Outcome(((GOT,),), (200,), End.CLOSED)),
    Case("RST while the answer is pending", (Send(GET), Pause(0.1), Rst()),
         Outcome(((GOT,),), (), End.ANY), scripts=((Request(), Eof()),)),
    Case("RST in the middle of a long answer",
         (Send(GET), Pause(0.1), Rst()),
         Outcome(((GOT,),), (200,), End.ANY), (Outcome(((GOT,),), (), End.ANY),),
         scripts=((Request(), Answer(http("200 OK", body=b"x" * (4 << 20)))),)),
)



def flooded(name: str, request: bytes, want: Reached, **kw) -> Case:
    """More behind a pending request than headgate holds, then a reset: it has to be noticed."""
    return Case(f"RST with much behind a pending request: {name}",
                (Send(request + FLOOD), Pause(0.3), Rst()),
                Outcome(((want,),), (), End.ANY), scripts=((Request(), Hold()),),
                ends_within=3.0, **kw)


FLOODED = (
    flooded("requests", GET, GOT),
    flooded("stream", req("GET /events"), reached("GET /events", close=True)),
    flooded("before the 101", req("POST /session", "Connection: Upgrade", "Upgrade: h2c"),
            reached("POST /session", upgrade="h2c")),
)

PROTOCOLS = (
    passed("TLS 1.2", GET, GOT, tls="1.2"),
    passed("TLS 1.2, two requests", (Send(GET), Await(1), Send(req("GET /info"))), GOT,
           reached("GET /info"), tls="1.2"),
    passed("ALPN http/1.1", GET, GOT, alpn=("http/1.1",)),
    passed("ALPN h2 and http/1.1", GET, GOT, alpn=("h2", "http/1.1")),
    passed("ALPN http/1.1, TLS 1.2", GET, GOT, alpn=("http/1.1",), tls="1.2"),
    refused("HTTP/2 over TLS", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505),
            alpn=("h2", "http/1.1")),
    passed("the handshake byte by byte", GET, GOT, wire=1),
    passed("the handshake byte by byte, TLS 1.2", GET, GOT, wire=1, tls="1.2"),
    Case("plain HTTP", (Send(SMUGGLED),), Outcome((), (400,), End.CLOSED,
         says=PLAIN.decode()), tls="plain"),
    Case("plain HTTP, POST", (Send(req("POST /containers/create", "Content-Length: 2",
                                       body="{}")),),
         Outcome((), (400,), End.CLOSED, says=PLAIN.decode()), tls="plain"),
    Case("plain HTTP, HEAD", (Send(req("HEAD /_ping")),),
         Outcome((), (400,), End.CLOSED, says=PLAIN.decode()),
         (Outcome((), (400,), End.CLOSED),), tls="plain"),
) + tuple(
    Case(f"not TLS: {name}", steps, Outcome((), (), End.CLOSED), tls="garbage")
    for name, steps in (
        ("zeros", (Send(bytes(200)),)), ("text", (Send(b"hello there\r\n\r\n"),)),
        ("half a record", (Send(b"\x16\x03\x01\x02\x00\x01"), Fin())),
        ("a record that is too long", (Send(b"\x16\x03\x01\xff\xff" + bytes(300)),)),
        ("an alert", (Send(b"\x15\x03\x01\x00\x02\x02\x28"),)),
        ("application data", (Send(b"\x17\x03\x03\x00\x20" + bytes(32)),)),
        ("nothing and FIN", (Fin(),)), ("nothing and RST", (Rst(),)),
    )
)

CASES = KEEP + OLD_HTTP + HALF_CLOSED + FLOODED + PROTOCOLS
