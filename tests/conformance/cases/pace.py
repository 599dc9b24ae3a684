"""Bodies that come fast, and then do not: headgate waits for more than a byte of a fast one, and must
not do so for what is not coming. Without its timer some of these get no answer (over TLS; on unix
sockets there is no such wait)."""

from __future__ import annotations

from model import (Answer, AwaitRaw, Case, Close, CloseNotify, End, Eof, Fin, Head, Outcome, Send,
                   Take, http, passed, reached, req, streamed, with_chunks, with_length)

# Enough of it for that to begin, at a hundredth of what a processor can do.
FAST = bytes(i * 13 % 239 for i in range(1 << 16)) * 256
TE = "Transfer-Encoding: chunked"
BUILD = "POST /build"
CREATE = "POST /containers/create"
TURNS = 20


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


FAST_CHUNKS = b"".join(chunk(FAST[at:at + 32768]) for at in range(0, len(FAST), 32768))
WORDS = tuple(b"word %d;" % i for i in range(TURNS))
ASKED = tuple(b"more than %d?" % i for i in range(TURNS))
BEGUN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


def broken_off(name: str, end) -> Case:
    """A FIN is no byte and is told at once all the same; a close_notify waits for the timer."""
    return Case(f"fast, then {name}",
                (Send(req(BUILD, TE) + FAST_CHUNKS + b"8000\r\nhalf"), end),
                Outcome(((with_chunks(BUILD, FAST + b"half", whole=False),),), (400,),
                        End.ANY, refusal=True),
                scripts=((Head(), Take(FAST_CHUNKS), Eof()),))


CASES = (
    # Each word is an answer to what the engine has said to the one before.
    streamed("fast, then by words",
             (Send(req(BUILD, TE) + FAST_CHUNKS),
              *(step for asked, word in zip(ASKED, WORDS)
                for step in (AwaitRaw(asked), Send(chunk(word)))), Send(b"0\r\n\r\n")),
             with_chunks(BUILD, FAST + b"".join(WORDS)),
             scripts=((Head(), Take(FAST_CHUNKS), Answer(BEGUN),
                       *(step for asked, word in zip(ASKED, WORDS)
                         for step in (Answer(chunk(asked)), Take(chunk(word)))),
                       Take(b"0\r\n\r\n"), Answer(b"0\r\n\r\n"), Close()),),
             bodies=(b"".join(ASKED),)),
    streamed("fast, then fast again",
             (Send(req(BUILD, TE) + FAST_CHUNKS), AwaitRaw(ASKED[0]),
              Send(FAST_CHUNKS + b"0\r\n\r\n")),
             with_chunks(BUILD, FAST * 2),
             scripts=((Head(), Take(FAST_CHUNKS), Answer(BEGUN + chunk(ASKED[0])),
                       Take(FAST_CHUNKS + b"0\r\n\r\n"), Answer(b"0\r\n\r\n"), Close()),),
             bodies=(ASKED[0],)),
    passed("fast, and a small request behind it",
           (Send(req(CREATE, f"Content-Length: {len(FAST)}", body=FAST)), AwaitRaw(b"created"),
            Send(req("GET /version"))),
           with_length(CREATE, FAST), reached("GET /version"),
           scripts=((Head(), Take(FAST), Answer(http("200 OK", body="created")),
                     Head(), Answer(http("200 OK", body="{}"))),), bodies=(b"created", b"{}")),
    streamed("fast with a length, its last byte by itself",
             (Send(req(BUILD, f"Content-Length: {len(FAST) + 1}", body=FAST)),
              AwaitRaw(ASKED[0]), Send(b"!")),
             with_length(BUILD, FAST + b"!", close=True),
             scripts=((Head(), Take(FAST), Answer(BEGUN + chunk(ASKED[0])), Take(b"!"),
                       Answer(b"0\r\n\r\n"), Close()),), bodies=(ASKED[0],)),
    broken_off("close_notify", CloseNotify()),
    broken_off("FIN", Fin()),
)
