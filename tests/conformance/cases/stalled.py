"""Readers that stand still: clients that take their time over an answer, and clients that go away
from an engine that reads nothing."""

from __future__ import annotations

from pathlib import Path

from model import (Answer, AwaitRaw, Calm, Case, Close, End, Head, Hold, Outcome, Push, Reached,
                   Request, Rst, Send, Sleep, http, reached, req, with_chunks, with_length)

from .upgrade import ATTACH, UP, switch, up

GONE_SECONDS = 3.0
LINGER_SECONDS = 10.0  # headgate's own: how long it waits for a client that reads no more
SMALL = 1 << 16
PIECE = bytes(i * 17 % 241 for i in range(1 << 16))
# More than sockets take, which is as much as the system lets them grow to.
SOCKETS_BYTES = sum(int(Path(f"/proc/sys/net/ipv4/tcp_{way}mem").read_text().split()[2])
                    for way in "rw")
PIECES = SOCKETS_BYTES // len(PIECE) + 128
BULK = PIECE * PIECES
BULK_CHUNKED = (b"10000\r\n" + PIECE + b"\r\n") * PIECES
EVENTS = req("GET /events")
EVENTS_GOT = reached("GET /events", close=True)
ARCHIVE = "PUT /containers/x/archive?path=/"
CREATE = "POST /containers/create"
TE = "Transfer-Encoding: chunked"


def asleep(name: str, body: bytes, length: bool) -> Case:
    """The client sleeps for longer than headgate lingers, while the rest of a whole answer waits
    in sockets, and it has sent what nobody reads: a close() then would destroy the answer."""
    return Case(f"a reader that sleeps at the end of {name}",
                (Send(EVENTS), Sleep(1.0), Send(b"x" * 1000), Sleep(LINGER_SECONDS + 1.5),
                 Send(b"y" * 100), Sleep(0.5)),
                Outcome(((EVENTS_GOT,),), (200,), bodies=(body,), closing=True),
                scripts=((Request(), Answer(http("200 OK", length=length, body=body)), Close()),),
                receive_bytes=SMALL, slow=True, at_least=LINGER_SECONDS)


def gone(name: str, request: bytes, want: Reached, body: bytes, *, status: tuple = (),
         answer: bytes = b"", **kw) -> Case:
    """The engine reads nothing of the body, and the client goes away from behind it: that costs
    no CPU time, and does not hold the engine's leg until the engine comes back."""
    answered = (AwaitRaw(b"ready"),) if answer else ()
    raw = b"ready" if status == (101,) else None
    script = (Head(), *((Answer(answer),) if answer else ()), Hold())
    return Case(f"RST behind an engine that reads nothing: {name}",
                (Send(request), *answered, Push(body), Calm(), Rst()),
                Outcome(((want,),), status, End.ANY, raw=raw), scripts=(script,),
                ends_within=GONE_SECONDS, slow=True, **kw)


ASLEEP = tuple(
    asleep(f"{size} with{'' if length else 'out'} a length", body, length)
    for size, body in (("300 kB", PIECE * 5), ("3 MB", PIECE * 46)) for length in (True, False)
)

GONE = (
    gone("a body", req(CREATE, f"Content-Length: {len(BULK)}"),
         with_length(CREATE, BULK, whole=False), BULK),
    gone("a stream's body", req(ARCHIVE, f"Content-Length: {len(BULK)}"),
         with_length(ARCHIVE, BULK, whole=False, close=True), BULK),
    gone("a chunked body", req("POST /build", TE),
         with_chunks("POST /build", PIECE * 512, whole=False), BULK_CHUNKED),
    gone("a chunked body, its answer begun", req("POST /build", TE),
         with_chunks("POST /build", PIECE * 512, whole=False), BULK_CHUNKED, status=(200,),
         answer=http("200 OK", length=False, body="ready")),
    gone("a tunnel", req(ATTACH, *UP), up(ATTACH, tail=BULK, whole=False), BULK, status=(101,),
         answer=switch() + b"ready"),
)

CASES = ASLEEP + GONE
