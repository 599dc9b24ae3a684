"""Request bodies: where one ends is where the next request begins."""

from __future__ import annotations

from model import (INNER, SMUGGLED, Answer, Await, Case, CloseNotify, End, Fin, Head, Hold,
                   Outcome, Pause, Rst, Send, Take, Wait, chunks, http, passed, reached, refused,
                   req, streamed, with_chunks, with_length)

from .sweeps import record_pieces, record_splits, wire_pieces

POST = "POST /containers/create"
TE = "Transfer-Encoding: chunked"
BIG = bytes(i * 7 % 251 for i in range(1 << 20))


def sized(name: str, body: bytes, **kw) -> Case:
    return passed(name, req(POST, f"Content-Length: {len(body)}", body=body),
                  with_length(POST, body), **kw)


def chunked(name: str, coded: bytes, plain: bytes, behind: bytes = SMUGGLED, **kw) -> Case:
    return streamed(name, req(POST, TE, body=coded) + behind, with_chunks(POST, plain), **kw)


def malformed(name: str, coded: str | bytes, sound: bytes = b"", **kw) -> Case:
    """400; what is sound before the trouble may have gone on, but never as a whole request."""
    start = with_chunks(POST, sound, whole=False, optional=True)
    coded = coded if isinstance(coded, bytes) else coded.encode("latin-1")
    return Case(f"chunked {name}", (Send(req(POST, TE, body=coded) + SMUGGLED),),
                Outcome(((start,),), (400,), refusal=True), **kw)


def broken_off(name: str, request: bytes, start, how) -> Case:
    """The client goes away in the middle of the body: nothing whole reaches the engine."""
    return Case(f"{name}, then {type(how).__name__}", (Send(request), Pause(0.1), how),
                Outcome(((start,),), (), End.ANY),
                (Outcome(((start,),), (400,), End.ANY), Outcome(((start,),), (408,), End.ANY)))


_part = req(POST, "Content-Length: 1000", body="part")
_part_start = with_length(POST, b"part" + b"\0" * 996, whole=False, optional=True)
_some = req(POST, TE, body="4\r\npart\r\n10\r\nmore")
_some_start = with_chunks(POST, b"partmore", whole=False, optional=True)
_LINE = (Send(req(POST, "Content-Length: 5")), Pause(0.05), Send(b"he"), Pause(0.05), Send(b"llo"))

SIZED = (
    sized("Content-Length 0", b""),
    sized("Content-Length 5", b"hello"),
    sized("a body of every byte", bytes(range(256))),
    sized("a body of 1 MiB", BIG),
    sized("a body of 1 MiB, TLS 1.2", BIG, tls="1.2"),
    sized("a body that is a request", INNER),
    sized("a body that looks chunked", b"0\r\n\r\n"),
    passed("GET with a body", req("GET /version", "Content-Length: 5", body="hello"),
           with_length("GET /version", "hello")),
    passed("DELETE with a body", req("DELETE /containers/x", "Content-Length: 2", body="{}"),
           with_length("DELETE /containers/x", "{}")),
    # A field name whose length does not fit a byte was taken for Content-Length by others (CVE-2021-40346).
    passed("a field name of 270 bytes that begins with Content-Length",
           req(POST, f"Content-Length{'0' * 256}: 0", "Content-Length: 5", body="hello"),
           with_length(POST, "hello", f"Content-Length{'0' * 256}: 0")),
    passed("POST without a body", req("POST /containers/x/start"),
           reached("POST /containers/x/start")),
    passed("a body in its own records", _LINE, with_length(POST, "hello")),
    passed("a request right behind the body",
           req(POST, "Content-Length: 5", body="hello") + req("GET /version"),
           with_length(POST, "hello"), reached("GET /version"),
           bodies=(b"POST /containers/create", b"GET /version")),
    passed("requests behind bodies, 1 byte a record",
           (Send(req(POST, "Content-Length: 5", body="hello") + req("GET /version"), record=1),),
           with_length(POST, "hello"), reached("GET /version")),
    passed("requests behind bodies, split at every point",
           req(POST, "Content-Length: 3", body="abc") + req("GET /v", auth="token:@TOKEN@"),
           with_length(POST, "abc"), reached("GET /v"), sweep=record_splits),
    Case("more than the Content-Length says",
         (Send(req(POST, "Content-Length: 5", body="hello(!") + SMUGGLED),),
         Outcome(((with_length(POST, "hello"),),), (200, 400), refusal=True)),
    Case("a line feed more than the Content-Length says",
         (Send(req(POST, "Content-Length: 5", body="hello\n") + SMUGGLED),),
         Outcome(((with_length(POST, "hello"),),), (200, 400), refusal=True)),
    passed("a body that drips", (Send(req(POST, "Content-Length: 5")), *(
        step for c in b"hello" for step in (Pause(0.7), Send(bytes([c]))))),
        with_length(POST, "hello"), at_least=3.0, slow=True),
    Case("a body that never comes", (Send(req(POST, "Content-Length: 5")),),
         Outcome(((with_length(POST, "hello", whole=False, optional=True),),), (408,),
                 refusal=True), at_least=1.5, slow=True),
    Case("a stale Content-Length on GET",
         (Send(req("GET /version", "Content-Type: application/json", "Content-Length: 17")),),
         Outcome(((with_length("GET /version", b"\0" * 17, "Content-Type: application/json",
                               whole=False, optional=True),),), (408,), refusal=True),
         at_least=1.5, slow=True),
    Case("a body that stops", (Send(_part),),
         Outcome(((_part_start,),), (408,), refusal=True), at_least=1.5, slow=True),
    broken_off("part of a body", _part, _part_start, CloseNotify()),
    broken_off("part of a body", _part, _part_start, Fin()),
    broken_off("part of a body", _part, _part_start, Rst()),
)

EXPECT = (
    passed("Expect, and the engine says 100",
           (Send(req(POST, "Content-Length: 5", "Expect: 100-continue")), Await(1),
            Send(b"hello")),
           with_length(POST, "hello", "Expect: 100-continue"), status=(100, 200),
           scripts=((Head(), Answer(b"HTTP/1.1 100 Continue\r\n\r\n"), Take(b"hello"),
                     Answer(http("200 OK", body="{}"))),)),
    streamed("Expect on a stream, and the engine says 100",
             (Send(req("POST /images/load", TE, "Expect: 100-continue")), Await(1),
              Send(chunks("hello") + SMUGGLED)),
             with_chunks("POST /images/load", "hello", "Expect: 100-continue"),
             status=(100, 200),
             scripts=((Head(), Answer(b"HTTP/1.1 100 Continue\r\n\r\n"), Take(chunks("hello")),
                       Answer(http("200 OK", "Connection: close", body="{}"))),)),
    Case("Expect, and the engine says no",
         (Send(req(POST, "Content-Length: 5", "Expect: 100-continue")),),
         Outcome(((with_length(POST, "hello", "Expect: 100-continue", whole=False),),), (404,),
                 closing=True),
         scripts=((Head(), Answer(http("404 Not Found", "Connection: close", body="{}"))),)),
    Case("Expect, the engine says no and the body comes after all",
         (Send(req(POST, f"Content-Length: {len(INNER)}", "Expect: 100-continue")), Await(1),
          Send(INNER)),
         Outcome(((with_length(POST, INNER, "Expect: 100-continue", whole=False),),), (404,),
                 closing=True),
         scripts=((Head(), Answer(http("404 Not Found", body="{}"))),)),
    passed("Expect, and the engine takes longer than the head deadline to say 100",
           (Send(req(POST, "Content-Length: 5", "Expect: 100-continue")), Await(1),
            Send(b"hello")),
           with_length(POST, "hello", "Expect: 100-continue"), status=(100, 200),
           scripts=((Head(), Wait(2.8), Answer(b"HTTP/1.1 100 Continue\r\n\r\n"),
                     Take(b"hello"), Answer(http("200 OK", body="{}"))),), slow=True,
           at_least=2.5),
    Case("Expect, the engine says 100, and nothing comes",
         (Send(req(POST, "Content-Length: 5", "Expect: 100-continue")),),
         Outcome(((with_length(POST, "hello", "Expect: 100-continue", whole=False),),),
                 (100, 408), refusal=True),
         scripts=((Head(), Answer(b"HTTP/1.1 100 Continue\r\n\r\n"), Hold()),), slow=True,
         at_least=1.5),
)

CHUNKED = (
    chunked("chunked", chunks("hello"), b"hello"),
    chunked("chunked, several", chunks("a", "bc", "def" * 100), b"abc" + b"def" * 100),
    chunked("chunked, empty", chunks(), b""),
    chunked("chunked, capital digits", b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    chunked("chunked, zeros before the size", b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    chunked("chunked, 16 digits", b"0000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
    chunked("chunked, data that looks like the end", chunks("0\r\n\r\n"), b"0\r\n\r\n"),
    chunked("chunked, data that is a request", chunks(INNER), INNER),
    chunked("chunked, a trailer", b"5\r\nhello\r\n0\r\nX-Digest: 1\r\n\r\n", b"hello"),
    chunked("chunked, 1 MiB", chunks(*(BIG[i:i + 32768] for i in range(0, 1 << 20, 32768))), BIG),
    chunked("chunked, 1 MiB in one chunk", chunks(BIG), BIG),
    chunked("chunked, split at every point", chunks("hello", "you"), b"helloyou",
            sweep=record_splits),
    chunked("chunked, small records", chunks("hello", "you"), b"helloyou", sweep=record_pieces),
    chunked("chunked, small writes", chunks("hello", "you"), b"helloyou", sweep=wire_pieces),
    streamed("chunked, what comes after the answer is no request",
             (Send(req("POST /images/load", TE, body=chunks("hello"))), Await(1),
              Send(SMUGGLED)),
             with_chunks("POST /images/load", "hello")),
    broken_off("part of a chunk", _some, _some_start, CloseNotify()),
    broken_off("part of a chunk", _some, _some_start, Fin()),
    broken_off("part of a chunk", _some, _some_start, Rst()),
    broken_off("chunks without the last one", req(POST, TE, body="4\r\npart\r\n"),
               with_chunks(POST, b"part", whole=False, optional=True), CloseNotify()),
    broken_off("the last chunk without its end", req(POST, TE, body="4\r\npart\r\n0\r\n"),
               with_chunks(POST, b"part", whole=False, optional=True), CloseNotify()),
)

HELLO = "5\r\nhello\r\n"
MALFORMED = (
    malformed("size is no number", "g\r\nhello\r\n0\r\n\r\n"),
    malformed("size empty", "\r\nhello\r\n0\r\n\r\n"),
    malformed("size negative", "-5\r\nhello\r\n0\r\n\r\n"),
    malformed("size with plus", "+5\r\nhello\r\n0\r\n\r\n"),
    malformed("size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
    malformed("size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
    malformed("size behind a space", " 5\r\nhello\r\n0\r\n\r\n"),
    malformed("size before a space", "5 \r\nhello\r\n0\r\n\r\n"),
    malformed("size before a tab", "5\t\r\nhello\r\n0\r\n\r\n"),
    malformed("size before NUL", "5\0\r\nhello\r\n0\r\n\r\n"),
    malformed("size with a letter behind", "5g\r\nhello\r\n0\r\n\r\n"),
    malformed("extension", "5;a=b\r\nhello\r\n0\r\n\r\n"),
    malformed("extension without a name", "5;\r\nhello\r\n0\r\n\r\n"),
    malformed("extension in quotes", "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n"),
    malformed("extension with a line feed", "5;\nxx\r\nhello\r\n0\r\n\r\n"),
    malformed("extension of the last chunk", HELLO + "0;a\r\n\r\n", b"hello"),
    malformed("LF behind the size", "5\nhello\r\n0\r\n\r\n"),
    malformed("CR behind the size", "5\rhello\r\n0\r\n\r\n"),
    malformed("CR CR LF behind the size", "5\r\r\nhello\r\n0\r\n\r\n"),
    malformed("LF behind the data", "5\r\nhello\n0\r\n\r\n", b"hello"),
    malformed("CR behind the data", "5\r\nhello\r0\r\n\r\n", b"hello"),
    malformed("nothing behind the data", "5\r\nhello0\r\n\r\n", b"hello"),
    malformed("more data than the size", "5\r\nhello!\r\n0\r\n\r\n", b"hello"),
    malformed("less data than the size", "7\r\nhello\r\n0\r\n\r\n", b"hello\r\n"),
    malformed("17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
    malformed("size 2^64 + 5", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    malformed("size 2^128 + 5", "100000000000000000000000000000005\r\nhello\r\n0\r\n\r\n"),
    malformed("size 2^64 - 1", "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
    malformed("size 2^63", "8000000000000000\r\nhello\r\n0\r\n\r\n"),
    malformed("size that never ends", "0" * 100_000),
    malformed("LF behind the last size", HELLO + "0\n\r\n", b"hello"),
    malformed("LF ends the body", HELLO + "0\r\n\n", b"hello"),
    malformed("trailer without a colon", HELLO + "0\r\nX\r\n\r\n", b"hello"),
    malformed("trailer with a space in its name", HELLO + "0\r\nX Y: 1\r\n\r\n", b"hello"),
    malformed("trailer with a space before the colon", HELLO + "0\r\nX : 1\r\n\r\n", b"hello"),
    malformed("trailer with LF", HELLO + "0\r\nX: 1\n\r\n", b"hello"),
    malformed("trailer with CR", HELLO + "0\r\nX: 1\rY: 2\r\n\r\n", b"hello"),
    malformed("trailer with NUL", HELLO + "0\r\nX: \0\r\n\r\n", b"hello"),
    malformed("trailer folded", HELLO + "0\r\nX: 1\r\n 2\r\n\r\n", b"hello"),
    malformed("trailer that is a request line", HELLO + "0\r\nGET /smuggled HTTP/1.1\r\n\r\n",
              b"hello"),
    malformed("second chunk", HELLO + "x\r\n", b"hello"),
    malformed("split at every point: extension", "5;a\r\nhello\r\n0\r\n\r\n",
              sweep=record_splits),
    malformed("split at every point: LF behind the size", "5\nhello\r\n0\r\n\r\n",
              sweep=record_splits),
    refused("a Content-Length body and a chunked one",
            req(POST, "Content-Length: 15", TE, body=HELLO + "0\r\n\r\n") + SMUGGLED),
)

CASES = SIZED + EXPECT + CHUNKED + MALFORMED
