"""What a case is made of: client steps, engine steps, and what must come of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Callable, Iterable, Union

# Stands for the token in every table; replaced just before sending, masked again when printed.
TOKEN = "@TOKEN@"
BASIC = "@BASIC@"  # base64("user:" + token)
SHORT = "@SHORT@"  # the token without its last character
READER = "@READER@"  # of the role read
DEPLOYER = "@DEPLOYER@"  # of the role deploy
ROTATED = "@ROTATED@"  # the deployer's secret before its rotation, which is still good
EXPIRED = "@EXPIRED@"
ELSEWHERE = "@ELSEWHERE@"  # good, but not from here
OTHERS = (READER, DEPLOYER, ROTATED, EXPIRED, ELSEWHERE)
ENGINE = "@ENGINE@"  # how headgate's own messages name the engine


class End(Enum):
    """How the client's connection ended, or must end."""

    CLEAN = "clean"  # close_notify was seen; without TLS: FIN
    CUT = "cut"  # FIN or RST without close_notify; without TLS: RST
    OPEN = "open"  # still open
    CLOSED = "closed"  # expectation only: clean or cut
    ANY = "any"  # expectation only


# ---- what the client does -------------------------------------------------------------------


@dataclass(frozen=True)
class Send:
    data: bytes
    record: int = 0  # plaintext bytes in one TLS record; 0: as few records as possible
    wire: int = 0  # ciphertext bytes in one write(); 0: all at once


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Sleep:
    """For so long do not even read."""

    seconds: float


@dataclass(frozen=True)
class Push:
    """Write without reading until nothing more gets away. No Send can follow."""

    data: bytes
    stalls: bool = True  # not all of it may get away


@dataclass(frozen=True)
class Await:
    """Wait until so many answers (1xx count) have come whole."""

    answers: int = 1


@dataclass(frozen=True)
class AwaitRaw:
    """Wait until these bytes have been received."""

    data: bytes


@dataclass(frozen=True)
class AwaitEnd:
    """Wait for headgate's close_notify or FIN, then go on."""


@dataclass(frozen=True)
class CloseNotify:
    """Half-close: close_notify, no FIN."""


@dataclass(frozen=True)
class Fin:
    """Half-close: FIN, no close_notify."""


@dataclass(frozen=True)
class Rst:
    """Abort; nothing is read afterwards."""


@dataclass(frozen=True)
class Calm:
    """For so long nothing is to be done, and headgate must not use CPU time for it."""

    seconds: float = 1.0


ClientStep = Union[
    Send, Pause, Sleep, Push, Await, AwaitRaw, AwaitEnd, CloseNotify, Fin, Rst, Calm
]
Steps = tuple[ClientStep, ...]

# ---- what the scripted engine does on one connection ----------------------------------------


@dataclass(frozen=True)
class Serve:
    """Answer every request with 200 and `METHOD TARGET` as the body, as dockerd would."""


@dataclass(frozen=True)
class Request:
    """Read one whole request."""


@dataclass(frozen=True)
class Head:
    """Read one request head; what follows stays unread as far as possible."""


@dataclass(frozen=True)
class Take:
    """Read exactly these bytes."""

    data: bytes


@dataclass(frozen=True)
class Eof:
    """Wait for the end of what headgate sends."""

    notified: bool = False  # with TLS: it has to be a close_notify


@dataclass(frozen=True)
class Quiet:
    """For so long nothing more may arrive, neither a byte nor the end."""

    seconds: float = 0.15


@dataclass(frozen=True)
class Answer:
    data: bytes
    piece: int = 0  # bytes in one write(); 0: all at once
    at: int = 0  # split here, with a short pause between the two halves


@dataclass(frozen=True)
class Flight:
    """Everything in one write: each part a TLS record of its own, and maybe the end, too."""

    parts: tuple[bytes, ...]
    end: bool = False  # with TLS: close_notify in the same write; TCP: FIN on the same segment


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Hold:
    """Neither read nor send nor close until the client is gone and the checks are through."""


@dataclass(frozen=True)
class Echo:
    """Send everything back until the end comes, then half-close."""


@dataclass(frozen=True)
class HalfClose:
    """With TLS: close_notify, no FIN (as Go's CloseWrite)."""


@dataclass(frozen=True)
class Truncate:
    """Half-close by FIN alone: with TLS a cut, as anybody on the way could make it."""


@dataclass(frozen=True)
class Close:
    """With TLS: close_notify first."""


@dataclass(frozen=True)
class Reset:
    """Close with bytes unread: the peer gets ECONNRESET."""


@dataclass(frozen=True)
class Abort:
    """Reset at once; TCP and TLS only."""


EngineStep = Union[
    Serve, Request, Head, Take, Eof, Quiet, Answer, Flight, Wait, Hold, Echo, HalfClose, Truncate,
    Close, Reset, Abort
]
Script = tuple[EngineStep, ...]

# ---- what must come of it -------------------------------------------------------------------


@dataclass(frozen=True)
class Reached:
    """One request as it must have reached the engine."""

    line: str
    fields: tuple[str, ...] = ()  # end-to-end fields but Host, `Name: value`, in order
    host: str | None = "docker"
    body: bytes = b""
    framing: str = "none"  # none, length or chunked
    close: bool | None = False  # Connection: close; None: either way
    upgrade: str | None = None
    tail: bytes | None = None  # raw tunnel bytes behind the request
    whole: bool = True  # False: it never ended; `body` or `tail` is the most that may have come
    optional: bool = False  # may also not have come at all


Status = Union[int, tuple[int, ...]]


@dataclass(frozen=True)
class Outcome:
    """A verdict: what reached the engine, one tuple a connection, and what the client saw."""

    engine: tuple[tuple[Reached, ...], ...] = ()
    status: tuple[Status, ...] = ()
    end: End = End.CLEAN
    bodies: tuple[bytes | None, ...] = ()  # of the answers in turn; None: any
    raw: bytes | None = None  # what the client saw after a 101
    refusal: bool = False  # the last answer is headgate's own: JSON and Connection: close
    says: str = ""  # stands in the last answer's body
    closing: bool = False  # the last answer carries Connection: close
    fields: tuple[str, ...] = ()  # stand in the last answer
    absent: tuple[str, ...] = ()  # field names that no answer may carry


@dataclass(frozen=True)
class Case:
    name: str
    steps: Steps
    want: Outcome
    also: tuple[Outcome, ...] = ()  # other outcomes that are as safe
    scripts: tuple[Script, ...] = ((Serve(),),)  # one a connection; the last one repeats
    bodiless: tuple[int, ...] = ()  # answers to HEAD, by index
    tls: str = "1.3"  # 1.2; plain: no TLS; garbage: no TLS, and any answer to it is fine
    alpn: tuple[str, ...] = ()
    wire: int = 0  # ciphertext bytes in one write() of the handshake
    receive_bytes: int = 0  # what the client's socket takes without being read; 0: as it comes
    engine_state: str = "up"  # or missing (no socket), or deaf (nobody listens)
    sweep: Callable[[Steps], Iterable[Steps]] | None = None
    script_sweep: Callable[[Script], Iterable[Script]] | None = None
    at_least: float = 0.0  # seconds that it has to take
    group: str = ""  # all answers of a group are the same bytes
    slow: bool = field(default=False)  # seconds, not milliseconds: started first
    clients: tuple[str, ...] = ("tls", "unix")  # the legs that it is for
    engines: tuple[str, ...] = ("unix", "tcp", "tls")
    engine_tls: str = "1.3"  # where the engine's leg is TLS
    ends_within: float = 0.0  # seconds in which headgate closes both legs once the client is gone
    log_has: str = ""  # patterns for what headgate logs meanwhile
    log_lacks: str = ""


# ---- short forms for the tables -------------------------------------------------------------

SMUGGLED = (
    f"GET /smuggled HTTP/1.1\r\nHost: docker\r\ntoken: {TOKEN}\r\n\r\n".encode("latin-1")
)

# The same without a token: for bodies, whose length must not change when the token is put in.
INNER = b"GET /smuggled HTTP/1.1\r\nHost: docker\r\n\r\n"


def text(data: str | bytes) -> bytes:
    return data if isinstance(data, bytes) else data.encode("latin-1")


def req(line: str, *fields: str, body: str | bytes = b"", host: str | None = "docker",
        auth: str | None = f"token: {TOKEN}") -> bytes:
    """A request: `GET /x`, Host and token if not told otherwise, the fields, the body."""
    lines = [line if " HTTP/" in line else line + " HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host}")
    if auth is not None:
        lines.append(auth)
    lines.extend(fields)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + text(body)


def raw(head: str, token: bool = True) -> bytes:
    """A request written out by hand; {t} stands for the token field."""
    return head.replace("{t}", f"token: {TOKEN}\r\n" if token else "").encode("latin-1")


def chunks(*parts: str | bytes) -> bytes:
    out = b"".join(b"%x\r\n%s\r\n" % (len(text(p)), text(p)) for p in parts)
    return out + b"0\r\n\r\n"


def reached(line: str, *fields: str, **kw) -> Reached:
    kw["fields"] = fields
    return Reached(line if " HTTP/" in line else line + " HTTP/1.1", **kw)


def with_length(line: str, body: str | bytes, *fields: str, **kw) -> Reached:
    return reached(line, *fields, body=text(body), framing="length", **kw)


def with_chunks(line: str, body: str | bytes, *fields: str, **kw) -> Reached:
    return reached(line, *fields, body=text(body), framing="chunked", close=True, **kw)


def http(status: str, *fields: str, body: str | bytes = b"", length: bool = True) -> bytes:
    """An engine's answer; Content-Length unless told otherwise."""
    lines = [f"HTTP/1.1 {status}", *fields]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + text(body)


def steps_of(what: bytes | Steps) -> Steps:
    return (Send(what),) if isinstance(what, bytes) else what


def refused(name: str, what: bytes | Steps, status: Status = 400, **kw) -> Case:
    """Nothing reaches the engine; one JSON refusal; the connection is closed."""
    want = Outcome((), (status,), refusal=True, says=kw.pop("says", ""))
    return Case(name, steps_of(what), want, **kw)


def passed(name: str, what: bytes | Steps, *requests: Reached, **kw) -> Case:
    """Exactly these requests reach the engine on one connection; each is answered with 200."""
    end = kw.pop("end", End.OPEN)
    status = kw.pop("status", (200,) * len(requests))
    return Case(name, steps_of(what), Outcome((requests,), status, end,
                closing=kw.pop("closing", False), bodies=kw.pop("bodies", ()),
                fields=kw.pop("fields", ()), absent=kw.pop("absent", ())), **kw)


def streamed(name: str, what: bytes | Steps, request: Reached, **kw) -> Case:
    """One request with Connection: close on both legs, and nothing of what follows it."""
    return passed(name, what, request, end=kw.pop("end", End.CLEAN), closing=True, **kw)
