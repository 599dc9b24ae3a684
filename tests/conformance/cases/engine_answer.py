"""Answers of an engine that is broken, hostile, early, late or not there."""

from __future__ import annotations

from model import (ENGINE, INNER, SMUGGLED, Answer, Await, Case, Close, End, Head, Outcome, Pause,
                   Request, Reset, Script, Send, Serve, Status, Wait, chunks, http, passed, reached,
                   req, with_chunks, with_length)

from .sweeps import answer_pieces, answer_splits

GET = req("GET /version")
GOT = reached("GET /version")
TE = "Transfer-Encoding: chunked"
BIG = bytes(i * 13 % 247 for i in range(1 << 20))


def good(name: str, answer: bytes, body: bytes | None = b"{}", status: int | tuple = 200,
         **kw) -> Case:
    """Delivered; the connection is good for a second request, which is answered, too."""
    statuses = (*(status if isinstance(status, tuple) else (status,)), 200)
    bodies = (None,) * (len(statuses) - 2) + (body, b"GET /info")
    return passed(name, (Send(GET), Await(len(statuses) - 1), Send(req("GET /info"))), GOT,
                  reached("GET /info"), status=statuses, bodies=bodies,
                  scripts=((Request(), Answer(answer), Serve()),), **kw)


def last(name: str, answer: bytes, body: bytes = b"{}", **kw) -> Case:
    """Delivered, and the connection ends with it."""
    return passed(name, GET + SMUGGLED, GOT, end=End.CLEAN, closing=True, bodies=(body,),
                  scripts=((Request(), Answer(answer), Close()),), **kw)


def broken(name: str, answer: bytes, status: Status = 502, *then) -> Case:
    """A head that cannot be trusted: 502, and not a byte of it."""
    return Case(name, (Send(GET + SMUGGLED),), Outcome(((GOT,),), (status,), refusal=True),
                scripts=((Request(), Answer(answer), *then),))


def cut(name: str, answer: bytes, *then, maybe_502: bool = False) -> Case:
    """The head is out when it goes wrong: the client must see that the body is not whole."""
    also = (Outcome(((GOT,),), (502,), refusal=True),) if maybe_502 else ()
    return Case(name, (Send(GET + SMUGGLED),), Outcome(((GOT,),), (200,), End.CUT), also,
                scripts=((Request(), Answer(answer), *(then or (Close(),))),))


def surplus(name: str, request: bytes, want, answer: bytes, *, bodiless: tuple[int, ...] = (),
            pause: float = 0.0, body: bytes = b"") -> Case:
    """Bytes behind the answer are nobody's: neither the next answer nor part of this one."""
    script = (Request(), Answer(answer), Wait(pause), Answer(http("200 OK", body="evil")),
              Serve())
    return Case(name, (Send(request), Await(1), Pause(0.1), Send(req("GET /info"))),
                Outcome(((want,), (reached("GET /info"),)), (200, 200), End.OPEN,
                        bodies=(body, b"GET /info")),
                (Outcome(((want,),), (200,), End.CLOSED, bodies=(body,)),),
                scripts=(script, (Serve(),)), bodiless=bodiless)


GOOD = (
    good("Content-Length", http("200 OK", body="{}")),
    good("Content-Length 0", http("200 OK"), b""),
    good("chunked", http("200 OK", TE, length=False, body=chunks("{", "}"))),
    good("chunked, empty", http("200 OK", TE, length=False, body=chunks()), b""),
    good("chunked in other letters", http("200 OK", "transfer-encoding: CHUNKED", length=False,
                                          body=chunks("{}"))),
    good("204", http("204 No Content", length=False), b"", 204),
    good("304", http("304 Not Modified", length=False), b"", 304),
    good("304 with a length", http("304 Not Modified", "Content-Length: 50", length=False), b"",
         304),
    good("404", http("404 Not Found", body="{}"), b"{}", 404),
    good("500", http("500 Internal Server Error", body="{}"), b"{}", 500),
    good("no reason phrase", b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}"),
    good("a body of 1 MiB", http("200 OK", body=BIG), BIG),
    good("a chunked body of 1 MiB", http("200 OK", TE, length=False, body=chunks(
        *(BIG[i:i + 32768] for i in range(0, 1 << 20, 32768)))), BIG),
    good("100 before the answer", b"HTTP/1.1 100 Continue\r\n\r\n" + http("200 OK", body="{}"),
         b"{}", (100, 200)),
    good("103 before the answer", http("103 Early Hints", "Link: </a>", length=False)
         + http("200 OK", body="{}"), b"{}", (103, 200)),
    good("split at every point", http("200 OK", "X-A: b", body="{}"), script_sweep=answer_splits),
    good("split at every point, chunked", http("200 OK", TE, length=False, body=chunks("{", "}")),
         script_sweep=answer_splits),
    good("split at every point, 100 and 204", b"HTTP/1.1 100 Continue\r\n\r\n"
         + http("204 OK", length=False), b"", (100, 204), script_sweep=answer_splits),
    good("small writes", http("200 OK", TE, length=False, body=chunks("{", "}")),
         script_sweep=answer_pieces),
    passed("HEAD with a length", (Send(req("HEAD /_ping")), Await(1), Send(req("GET /info"))),
           reached("HEAD /_ping"), reached("GET /info"), bodies=(b"", b"GET /info"),
           bodiless=(0,), fields=(),
           scripts=((Request(), Answer(http("200 OK", "Content-Length: 50", length=False)),
                     Serve()),)),
    passed("HEAD with a coding", (Send(req("HEAD /_ping")), Await(1), Send(req("GET /info"))),
           reached("HEAD /_ping"), reached("GET /info"), bodies=(b"", b"GET /info"),
           bodiless=(0,),
           scripts=((Request(), Answer(http("200 OK", TE, length=False)), Serve()),)),
    last("no length", http("200 OK", length=False, body="{}")),
    last("no length, empty", http("200 OK", length=False), b""),
    last("no length, 1 MiB", http("200 OK", length=False, body=BIG), BIG),
    last("HTTP/1.0 without a length", http("200 OK", length=False, body="{}").replace(
        b"HTTP/1.1", b"HTTP/1.0")),
    passed("a head that comes later than the head deadline", GET, GOT, bodies=(b"{}",),
           scripts=((Request(), Wait(2.8), Answer(http("200 OK", body="{}"))),), slow=True,
           at_least=2.5),
    passed("a body that pauses longer than the head deadline", GET, GOT, bodies=(b"{}",),
           scripts=((Request(), Answer(http("200 OK", body="{}")[:-1]), Wait(2.8),
                     Answer(b"}")),), slow=True, at_least=2.5),
)

BROKEN = tuple(
    broken(name, answer)
    for name, answer in (
        ("no status line", b"{}\r\n\r\n"),
        ("an empty line first", b"\r\n" + http("200 OK", body="{}")),
        ("another protocol", b"FTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        ("HTTP/2", b"HTTP/2 200\r\nContent-Length: 2\r\n\r\n{}"),
        ("HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        ("a status of two digits", http("20 OK", body="{}")),
        ("a status of four digits", http("2000 OK", body="{}")),
        ("a status of letters", http("abc OK", body="{}")),
        ("a negative status", http("-20 OK", body="{}")),
        ("status 099", http("099 Low", body="{}")),
        ("status 000", http("000 Zero", body="{}")),
        ("two spaces before the status", http(" 200 OK", body="{}")),
        ("LF in the head", b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"),
        ("LF behind one field", b"HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 2\r\n\r\n{}"),
        ("CR in a value", http("200 OK", "X-A: a\rb", body="{}")),
        ("CR in the reason phrase", http("200 O\rK", body="{}")),
        ("NUL in a value", http("200 OK", "X-A: a\0b", body="{}")),
        ("NUL in the reason phrase", http("200 O\0K", body="{}")),
        ("no colon", http("200 OK", "X-A", body="{}")),
        ("no field name", http("200 OK", ": b", body="{}")),
        ("space before a colon", http("200 OK", "X-A : b", body="{}")),
        ("obs-fold", http("200 OK", "X-A: a\r\n b", body="{}")),
        ("length and coding", http("200 OK", TE, body=chunks("{}"))),
        ("two lengths", http("200 OK", "Content-Length: 1", body="{}")),
        ("a list of lengths", http("200 OK", "Content-Length: 2, 3", length=False, body="{}")),
        ("a negative length", http("200 OK", "Content-Length: -2", length=False, body="{}")),
        ("a length with plus", http("200 OK", "Content-Length: +2", length=False, body="{}")),
        ("an empty length", http("200 OK", "Content-Length:", length=False, body="{}")),
        ("a length of letters", http("200 OK", "Content-Length: two", length=False, body="{}")),
        ("length 2^64 + 2", http("200 OK", "Content-Length: 18446744073709551618", length=False,
                                 body="{}")),
        ("coding gzip", http("200 OK", "Transfer-Encoding: gzip", length=False, body="{}")),
        ("coding gzip, chunked", http("200 OK", "Transfer-Encoding: gzip, chunked", length=False,
                                      body=chunks("{}"))),
        ("coding chunked twice", http("200 OK", TE, TE, length=False, body=chunks("{}"))),
        ("coding chunked, chunked", http("200 OK", TE + ", chunked", length=False,
                                         body=chunks("{}"))),
        ("a head of 70,000 bytes", http("200 OK", "X-A: " + "a" * 70_000, body="{}")),
        ("a head that never ends", b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 300_000),
    )
) + (
    Case("a hundred times 100", (Send(GET + SMUGGLED),),
         Outcome(((GOT,),), (502,), refusal=True),
         tuple(Outcome(((GOT,),), (*(100,) * n, 502), refusal=True) for n in range(1, 33)),
         scripts=((Request(), Answer(b"HTTP/1.1 100 Continue\r\n\r\n" * 100
                                     + http("200 OK", body="{}"))),)),
    Case("two equal lengths", (Send(GET),), Outcome(((GOT,),), (502,), refusal=True),
         (Outcome(((GOT,),), (200,), End.OPEN, bodies=(b"{}",)),
          Outcome(((GOT,),), (200,), End.CLEAN, bodies=(b"{}",))),
         scripts=((Request(), Answer(http("200 OK", "Content-Length: 2", body="{}"))),)),
    broken("closes at once", b"", 502, Close()),
    broken("closes in the status line", b"HTTP/1.", 502, Close()),
    broken("closes in the head", http("200 OK", body="{}")[:30], 502, Close()),
    Case("closes behind a 100", (Send(GET + SMUGGLED),),
         Outcome(((GOT,),), (100, 502), refusal=True),
         scripts=((Request(), Answer(b"HTTP/1.1 100 Continue\r\n\r\n"), Close()),)),
    Case("resets in the middle of the request",
         (Send(req("POST /containers/create", f"Content-Length: {len(BIG)}", body=BIG)),),
         Outcome(((with_length("POST /containers/create", BIG, whole=False),),), (502,),
                 refusal=True),
         scripts=((Head(), Reset()),)),
)

CUT = (
    cut("closes in the body", http("200 OK", "Content-Length: 50", length=False, body="{}")),
    cut("closes before the body", http("200 OK", "Content-Length: 50", length=False)),
    cut("closes before the last byte of 1 MiB", http("200 OK", body=BIG)[:-1]),
    cut("closes in a chunk", http("200 OK", TE, length=False, body="5\r\nhel")),
    cut("closes behind a chunk", http("200 OK", TE, length=False, body="5\r\nhello\r\n")),
    cut("closes in a chunk size", http("200 OK", TE, length=False, body="5\r\nhello\r\n1")),
    cut("closes in the last chunk", http("200 OK", TE, length=False, body="5\r\nhello\r\n0\r\n")),
) + tuple(
    cut(f"bad chunk: {name}", http("200 OK", TE, length=False, body=body), Wait(0.1),
        maybe_502=True)
    for name, body in (
        ("size", "x\r\nhello\r\n0\r\n\r\n"), ("empty size", "\r\nhello\r\n0\r\n\r\n"),
        ("negative size", "-5\r\nhello\r\n0\r\n\r\n"), ("LF", "5\nhello\r\n0\r\n\r\n"),
        ("size 2^64 + 5", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("data longer than its size", "5\r\nhello!\r\n0\r\n\r\n"),
        ("second", "5\r\nhello\r\ny\r\n"),
    )
)

SURPLUS = (
    surplus("bytes behind a length", GET, GOT, http("200 OK", body="{}"), body=b"{}"),
    surplus("bytes behind the last chunk", GET, GOT,
            http("200 OK", TE, length=False, body=chunks("{}")), body=b"{}"),
    surplus("bytes behind an answer, later", GET, GOT, http("200 OK", body="{}"), pause=0.03,
            body=b"{}"),
    surplus("a body behind HEAD", req("HEAD /_ping"), reached("HEAD /_ping"),
            http("200 OK", body="evil"), bodiless=(0,)),
    Case("a body behind 204", (Send(GET), Await(1), Pause(0.1), Send(req("GET /info"))),
         Outcome(((GOT,), (reached("GET /info"),)), (204, 200), End.OPEN,
                 bodies=(b"", b"GET /info")),
         (Outcome(((GOT,),), (204,), End.CLOSED),),
         scripts=((Request(), Answer(http("204 No Content", length=False) + b"evil"), Serve()),
                  (Serve(),))),
    Case("bytes behind an answer, requests pipelined", (Send(GET + req("GET /info")),),
         Outcome(((GOT,), (reached("GET /info"),)), (200, 200), End.OPEN,
                 bodies=(b"{}", b"GET /info")),
         (Outcome(((GOT,),), (200,), End.CLOSED, bodies=(b"{}",)),
          Outcome(((GOT,),), (200, 502), refusal=True, bodies=(b"{}", None))),
         scripts=((Request(), Answer(http("200 OK", body="{}") + http("200 OK", body="evil")),
                   Serve()), (Serve(),))),
    Case("an answer before the request", (Send(GET), Await(1)),
         Outcome(((GOT,),), (200,), End.ANY, bodies=(b"GET /version",)),
         (Outcome(((GOT,),), (502,), refusal=True), Outcome((), (502,), refusal=True),
          Outcome(((GOT,),), (200,), End.ANY, bodies=(b"evil",)),),
         scripts=((Answer(http("200 OK", body="evil")), Serve()),)),
)


def early(name: str, request: bytes, want, script: Script, body: bytes = b"{}") -> Case:
    """A final answer while the body is coming: delivered; the rest of the body is thrown away."""
    return Case(name, (Send(request),), Outcome(((want,),), (404,), End.CLOSED, bodies=(body,),
                closing=True), scripts=(script,))


_BODY = INNER * (1 << 17)
_LONG = req("POST /containers/create", f"Content-Length: {len(_BODY) + 1}", body=_BODY)
_LOAD = req("POST /images/load", TE, body=b"".join(
    b"8000\r\n" + bytes(32768) + b"\r\n" for _ in range(256)) + b"0\r\n\r\n")
_LONG_GOT = with_length("POST /containers/create", _BODY, whole=False)
_LOAD_GOT = with_chunks("POST /images/load", bytes(8 << 20), whole=False)
_NO = http("404 Not Found", "Connection: close", body="{}")

EARLY = (
    early("early 404, the engine closes", _LONG, _LONG_GOT, (Head(), Answer(_NO), Reset())),
    early("early 404, the engine half-closes", _LONG, _LONG_GOT,
          (Head(), Answer(_NO), Wait(0.2), Close())),
    early("early 404 to a chunked body, the engine closes", _LOAD, _LOAD_GOT,
          (Head(), Answer(_NO), Reset())),
    early("early 404 to a chunked body, the engine half-closes", _LOAD, _LOAD_GOT,
          (Head(), Answer(_NO), Wait(0.2), Close())),
    Case("early 404, and the rest of the body is a request",
         (Send(req("POST /containers/create", f"Content-Length: {len(INNER)}", body=INNER[:1])),
          Await(1), Send(INNER[1:] + INNER)),
         Outcome(((with_length("POST /containers/create", INNER, whole=False),),), (404,),
                 closing=True, bodies=(b"{}",)),
         scripts=((Head(), Answer(http("404 Not Found", body="{}")), Wait(0.2)),)),
)

_WAITING = with_length("POST /containers/create", INNER, whole=False, optional=True)
EARLY += (
    Case("early 404 before any of the body: delivered, or 408 first",
         (Send(req("POST /containers/create", f"Content-Length: {len(INNER)}")),),
         Outcome(((_WAITING,),), (404,), closing=True, bodies=(b"{}",)),
         (Outcome(((_WAITING,),), (408,), refusal=True),),
         scripts=((Head(), Answer(http("404 Not Found", body="{}"))),), slow=True),
)

GONE = (
    Case("the engine closes an idle connection",
         (Send(GET), Await(1), Pause(0.1), Send(req("GET /info"))),
         Outcome(((GOT,), (reached("GET /info"),)), (200, 200), End.OPEN,
                 bodies=(b"{}", b"GET /info")),
         scripts=((Request(), Answer(http("200 OK", body="{}")), Close()), (Serve(),))),
    Case("the engine says Connection: close",
         (Send(GET), Await(1), Pause(0.1), Send(req("GET /info"))),
         Outcome(((GOT,), (reached("GET /info"),)), (200, 200), End.OPEN,
                 bodies=(b"{}", b"GET /info")),
         (Outcome(((GOT,),), (200,), End.CLEAN, bodies=(b"{}",)),),
         scripts=((Request(), Answer(http("200 OK", "Connection: close", body="{}")), Serve()),
                  (Serve(),))),
    Case("the engine says Connection: close and stays",
         (Send(GET), Await(1), Send(req("GET /info"))),
         Outcome(((GOT,), (reached("GET /info"),)), (200, 200), End.OPEN,
                 bodies=(b"{}", b"GET /info")),
         (Outcome(((GOT,),), (200,), End.CLOSED, bodies=(b"{}",)),),
         scripts=((Request(), Answer(http("200 OK", "Connection: close", body="{}")),
                   Wait(0.2)), (Serve(),))),
    Case("HTTP/1.0 with a length", (Send(GET), Await(1), Pause(0.05), Send(req("GET /info"))),
         Outcome(((GOT,), (reached("GET /info"),)), (200, 200), End.OPEN,
                 bodies=(b"{}", b"GET /info")),
         (Outcome(((GOT,),), (200,), End.CLEAN, bodies=(b"{}",)),),
         scripts=((Request(), Answer(http("200 OK", body="{}").replace(b"1.1", b"1.0")),
                   Close()), (Serve(),))),
    Case("no socket", (Send(GET + SMUGGLED),), Outcome((), ((502, 503),), refusal=True,
         says=ENGINE), engine_state="missing"),
    Case("nobody listens", (Send(GET + SMUGGLED),), Outcome((), ((502, 503),), refusal=True,
         says=ENGINE), engine_state="deaf"),
    Case("nobody listens for a stream", (Send(req("GET /events") + SMUGGLED),),
         Outcome((), ((502, 503),), refusal=True, says=ENGINE), engine_state="deaf"),
    Case("no socket for a stream", (Send(req("GET /events") + SMUGGLED),),
         Outcome((), ((502, 503),), refusal=True, says=ENGINE), engine_state="missing"),
    Case("no socket for a tunnel",
         (Send(req("POST /session", "Connection: Upgrade", "Upgrade: h2c") + SMUGGLED),),
         Outcome((), ((502, 503),), refusal=True, says=ENGINE), engine_state="missing"),
)

CASES = GOOD + BROKEN + CUT + SURPLUS + EARLY + GONE
