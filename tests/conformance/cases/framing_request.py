"""The request head: bytes that two parsers could read in two ways, and bounds."""

from __future__ import annotations

from model import (SMUGGLED, TOKEN, Case, End, Outcome, Pause, Send, passed, raw, reached, refused,
                   req, with_chunks, with_length)

from .sweeps import record_pieces, record_splits, wire_pieces

GET = "GET /version HTTP/1.1\r\n"
HOST = "Host: docker\r\n"
END = "\r\n"
POST = "POST /containers/create"


def bad(name: str, head: str, status=400, **kw) -> Case:
    """The head, and behind it a request that must not get through either."""
    return refused(name, raw(head) + SMUGGLED, status, **kw)


def field(name: str, line: str, status=400, **kw) -> Case:
    return bad(name, GET + HOST + "{t}" + line + "\r\n\r\n", status, **kw)


def length(name: str, *lines: str, body: str = "hello", status=400) -> Case:
    return refused(f"content-length {name}", req(POST, *lines, body=body) + SMUGGLED, status)


def coding(name: str, *lines: str, status=400) -> Case:
    body = b"5\r\nhello\r\n0\r\n\r\n"
    return refused(f"transfer-encoding {name}", req(POST, *lines, body=body) + SMUGGLED, status)


LINES = (
    bad("bare LF behind the request line", "GET /version HTTP/1.1\n" + HOST + "{t}" + END),
    bad("bare LF behind a field", GET + "Host: docker\n{t}" + END),
    bad("bare LF ends the head", GET + HOST + "{t}\n"),
    bad("bare LF everywhere", f"GET /version HTTP/1.1\nHost: docker\ntoken: {TOKEN}\n\n"),
    bad("LF CR instead of CR LF", GET + "Host: docker\n\r{t}" + END),
    bad("bare CR in the request line", "GET /version\r HTTP/1.1\r\n" + HOST + "{t}" + END),
    bad("bare CR in the target", "GET /ver\rsion HTTP/1.1\r\n" + HOST + "{t}" + END),
    bad("bare CR behind the request line", "GET /version HTTP/1.1\r" + HOST + "{t}" + END),
    bad("bare CR in a value", GET + HOST + "{t}X-A: a\rb\r\n" + END),
    bad("bare CR hides a field", GET + HOST + "{t}X-A: a\rTransfer-Encoding: chunked\r\n" + END),
    bad("CR CR LF", GET + HOST + "{t}X-A: a\r\r\n" + END),
    bad("CR CR LF ends the head", GET + HOST + "{t}\r\r\n"),
    bad("obs-fold with a space", GET + HOST + "{t}X-A: a\r\n b\r\n" + END),
    bad("obs-fold with a tab", GET + HOST + "{t}X-A: a\r\n\tb\r\n" + END),
    bad("obs-fold of the first field", GET + " X-A: a\r\n" + HOST + "{t}" + END),
    bad("obs-fold hides a framing field",
        GET + HOST + "{t}X-A: a\r\n Transfer-Encoding: chunked\r\n" + END),
    bad("obs-fold of an empty line", GET + HOST + "{t} \r\n" + END),
    bad("CRLF before the request", "\r\n" + GET + HOST + "{t}" + END),
    bad("LF before the request", "\n" + GET + HOST + "{t}" + END),
    bad("two CRLF before the request", "\r\n\r\n" + GET + HOST + "{t}" + END),
    bad("space before the request", " " + GET + HOST + "{t}" + END),
)

CONTROL = tuple(
    field(f"byte {byte:#04x} in a value", f"X-A: a{chr(byte)}b")
    for byte in (0x00, 0x01, 0x08, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F)
) + tuple(
    field(f"byte {byte:#04x} in a field name", f"X{chr(byte)}A: b")
    for byte in (0x00, 0x01, 0x09, 0x20, 0x22, 0x28, 0x2C, 0x2F, 0x3B, 0x40, 0x5B, 0x7B, 0x7F,
                 0x80, 0xFF)
) + (
    field("NUL in front of the colon", "X-A\0: b"),
    field("NUL ends a framing value", "Content-Length: 5\0"),
    bad("NUL in the method", "G\0ET /version HTTP/1.1\r\n" + HOST + "{t}" + END),
    bad("NUL in the version", "GET /version HTTP/1.1\0\r\n" + HOST + "{t}" + END),
)

NAMES = (
    field("space before the colon", "X-A : b"),
    field("tab before the colon", "X-A\t: b"),
    field("space before the colon of Content-Length", "Content-Length : 5"),
    field("space before the colon of Transfer-Encoding", "Transfer-Encoding : chunked"),
    field("no colon", "X-A"),
    field("no name", ": b"),
    field("no name and a space", " : b"),
    field("long s in a framing name", "Tran\xc5\xbffer-Encoding: chunked"),
    bad("a second request line as a field",
        GET + "GET /smuggled HTTP/1.1\r\n" + HOST + "{t}" + END),
)

REQUEST_LINES = tuple(
    bad(name, line + "\r\n" + HOST + "{t}" + END, status)
    for name, line, status in (
        ("two spaces behind the method", "GET  /version HTTP/1.1", 400),
        ("two spaces before the version", "GET /version  HTTP/1.1", 400),
        ("tab behind the method", "GET\t/version HTTP/1.1", 400),
        ("tab before the version", "GET /version\tHTTP/1.1", 400),
        ("space behind the version", "GET /version HTTP/1.1 ", 400),
        ("a word behind the version", "GET /version HTTP/1.1 x", 400),
        ("space in the target", "GET /ver sion HTTP/1.1", 400),
        ("no target", "GET HTTP/1.1", 400),
        ("empty target", "GET  HTTP/1.1", 400),
        ("no method", "/version HTTP/1.1", 400),
        ("HTTP/0.9 with fields", "GET /version", 400),
        ("@ in the method", "G@T /version HTTP/1.1", 400),
        ("parenthesis in the method", "GE(T /version HTTP/1.1", 400),
        ("colon in the method", "GET: /version HTTP/1.1", 400),
        ("non-ASCII byte in the method", "G\xc9T /version HTTP/1.1", 400),
        ("HTTP/2.0", "GET /version HTTP/2.0", (400, 505)),
        ("HTTP/3.0", "GET /version HTTP/3.0", (400, 505)),
        ("HTTP/1.2", "GET /version HTTP/1.2", (400, 505)),
        ("HTTP/0.9 as a version", "GET /version HTTP/0.9", (400, 505)),
        ("HTTP/1", "GET /version HTTP/1", (400, 505)),
        ("HTTP/1.", "GET /version HTTP/1.", (400, 505)),
        ("HTTP/1.10", "GET /version HTTP/1.10", (400, 505)),
        ("HTTP/01.1", "GET /version HTTP/01.1", (400, 505)),
        ("HTTP/1,1", "GET /version HTTP/1,1", (400, 505)),
        ("http/1.1 in small letters", "GET /version http/1.1", (400, 505)),
        ("another protocol", "GET /version HTTPS/1.1", (400, 505)),
        ("a space in the version", "GET /version HTTP/ 1.1", (400, 505)),
        ("CONNECT", "CONNECT docker:2375 HTTP/1.1", 400),
        ("CONNECT with a path", "CONNECT /version HTTP/1.1", 400),
        ("OPTIONS *", "OPTIONS * HTTP/1.1", 400),
        ("GET *", "GET * HTTP/1.1", 400),
    )
) + (
    refused("HTTP/0.9", b"GET /version\r\n\r\n"),
    refused("the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
            (400, 505)),
)

HOSTS = tuple(
    bad(name, GET + lines + "{t}" + END)
    for name, lines in (
        ("no Host", ""),
        ("two Hosts", "Host: docker\r\nHost: other\r\n"),
        ("two equal Hosts", "Host: docker\r\nHost: docker\r\n"),
        ("two Hosts, one empty", "Host:\r\nHost: docker\r\n"),
        ("two Hosts in other letters", "Host: docker\r\nhOST: docker\r\n"),
        ("Host with a space", "Host: doc ker\r\n"),
        ("Host with a slash", "Host: docker/version\r\n"),
        ("Host with user information", "Host: user@docker\r\n"),
        ("Host with a comma", "Host: docker, other\r\n"),
        ("Host with a question mark", "Host: docker?x\r\n"),
        ("Host with a fragment", "Host: docker#x\r\n"),
        ("Host with a backslash", "Host: docker\\x\r\n"),
        ("Host with a non-ASCII byte", "Host: d\xf6cker\r\n"),
        ("Host with a quote", "Host: \"docker\"\r\n"),
    )
) + (
    passed("Host may be empty", req("GET /version", host=""), reached("GET /version", host="")),
    passed("Host with a port", req("GET /version", host="docker:2376"),
           reached("GET /version", host="docker:2376")),
    passed("Host is an IPv6 address", req("GET /version", host="[::1]:2376"),
           reached("GET /version", host="[::1]:2376")),
)

LENGTHS = (
    length("twice, equal", "Content-Length: 5", "Content-Length: 5"),
    length("twice, different", "Content-Length: 5", "Content-Length: 0"),
    length("twice, in other letters", "Content-Length: 5", "content-length: 50"),
    length("empty", "Content-Length:"),
    length("with plus", "Content-Length: +5"),
    length("negative", "Content-Length: -5"),
    length("minus zero", "Content-Length: -0"),
    length("list of equal", "Content-Length: 5, 5"),
    length("list of different", "Content-Length: 5, 6"),
    length("list with an empty member", "Content-Length: 5,"),
    length("hexadecimal", "Content-Length: 0x5"),
    length("with a space inside", "Content-Length: 0 5"),
    length("with a letter behind", "Content-Length: 5a"),
    length("with a point", "Content-Length: 5.0"),
    length("with an exponent", "Content-Length: 5e0"),
    length("in quotes", "Content-Length: \"5\""),
    length("with an underscore", "Content-Length: 0_5"),
    length("in other digits", "Content-Length: \xd9\xa5"),
    length("2^63", "Content-Length: 9223372036854775808"),
    length("2^64", "Content-Length: 18446744073709551616"),
    length("2^64 + 5", "Content-Length: 18446744073709551621"),
    length("2^128 + 5", "Content-Length: 340282366920938463463374607431768211461"),
    length("of 300 digits", "Content-Length: " + "9" * 300),
)

CODINGS = (
    coding("then Content-Length", "Transfer-Encoding: chunked", "Content-Length: 5"),
    coding("behind Content-Length", "Content-Length: 5", "Transfer-Encoding: chunked"),
    coding("with Content-Length 0", "Content-Length: 0", "Transfer-Encoding: chunked"),
    coding("identity with Content-Length", "Content-Length: 5", "Transfer-Encoding: identity",
           status=(400, 501)),
    coding("identity", "Transfer-Encoding: identity", status=501),
    coding("gzip", "Transfer-Encoding: gzip", status=501),
    coding("gzip, chunked", "Transfer-Encoding: gzip, chunked", status=(400, 501)),
    coding("chunked, gzip", "Transfer-Encoding: chunked, gzip", status=(400, 501)),
    coding("chunked, identity", "Transfer-Encoding: chunked, identity", status=(400, 501)),
    coding("identity, chunked", "Transfer-Encoding: identity, chunked", status=(400, 501)),
    coding("chunked, chunked", "Transfer-Encoding: chunked, chunked"),
    coding("twice", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    coding("twice, identity first", "Transfer-Encoding: identity", "Transfer-Encoding: chunked",
           status=(400, 501)),
    coding("twice, identity last", "Transfer-Encoding: chunked", "Transfer-Encoding: identity",
           status=(400, 501)),
    coding("empty", "Transfer-Encoding:", status=(400, 501)),
    coding("comma behind", "Transfer-Encoding: chunked,", status=(400, 501)),
    coding("comma before", "Transfer-Encoding: ,chunked", status=(400, 501)),
    coding("with a parameter", "Transfer-Encoding: chunked;q=1", status=(400, 501)),
    coding("xchunked", "Transfer-Encoding: xchunked", status=(400, 501)),
    coding("chunkedx", "Transfer-Encoding: chunkedx", status=(400, 501)),
    coding("in quotes", "Transfer-Encoding: \"chunked\"", status=(400, 501)),
    coding("with a vertical tab", "Transfer-Encoding: \x0bchunked"),
    coding("with a Kelvin sign", "Transfer-Encoding: chun\xe2\x84\xaaed", status=(400, 501)),
    refused("transfer-encoding in HTTP/1.0",
            req(POST + " HTTP/1.0", "Transfer-Encoding: chunked", body="0\r\n\r\n") + SMUGGLED),
    passed("transfer-encoding in other letters",
           req(POST, "tRANSFER-eNCODING: ChUnKeD", body="5\r\nhello\r\n0\r\n\r\n"),
           with_chunks(POST, "hello"), end=End.CLEAN),
)

_fill = "X-F: " + "f" * 120 + "\r\n"


def _head_of(size: int) -> bytes:
    """A head of so many bytes, with the token as long as it is (64 characters)."""
    start = raw(GET + HOST + "{t}")
    grow = 64 - len(TOKEN)
    rest = size - len(start) - grow - len("X-F: \r\n\r\n")
    return start + b"X-F: " + b"f" * rest + b"\r\n\r\n"


def _fields(count: int) -> tuple[str, ...]:
    """So many fields together with Host and token."""
    return tuple(f"X-{i}: v" for i in range(count - 2))


BOUNDS = (
    passed("a head of 60,000 bytes", _head_of(60_000),
           reached("GET /version", "X-F: " + _head_of(60_000).split(b"X-F: ")[1].decode().strip())),
    refused("a head of 66,000 bytes", _head_of(66_000) + SMUGGLED, 431),
    refused("a head of 200,000 bytes", _head_of(200_000) + SMUGGLED, 431),
    refused("a head that never ends", raw(GET + HOST + "{t}" + _fill * 2000), 431),
    refused("a field name that never ends", raw(GET + HOST + "{t}" + "X" * 200_000), 431),
    refused("a request line that never ends", ("GET /" + "v" * 200_000).encode(), (414, 431)),
    refused("a method that never ends", b"G" * 200_000, (400, 414, 431)),
    passed("256 fields", req("GET /version", *_fields(256)),
           reached("GET /version", *_fields(256))),
    refused("257 fields", req("GET /version", *_fields(257)) + SMUGGLED, 431),
    refused("5,000 fields", req("GET /version", *(("A: b",) * 5000)) + SMUGGLED, 431),
    refused("a head that stops", (Send(raw(GET + HOST)),), 408, at_least=1.5, slow=True),
    refused("a head that stops in the last CRLF", (Send(raw(GET + HOST + "{t}\r")),), 408,
            at_least=1.5, slow=True),
    refused("a head that drips", tuple(
        step for byte in req("GET /version", "X-A: abcdefghijkl")[:30]
        for step in (Send(bytes([byte])), Pause(0.2))), 408, at_least=1.5, slow=True),
    Case("nothing is ever sent", (), Outcome((), (408,), refusal=True), (Outcome((), ()),),
         at_least=1.5, slow=True),
)

SWEEPS = (
    passed("split at every point: a request", req("GET /version", "X-A: b"),
           reached("GET /version", "X-A: b"), sweep=record_splits),
    passed("split at every point: a body", req(POST, "Content-Length: 5", body="hello"),
           with_length(POST, "hello"), sweep=record_splits),
    refused("split at every point: bare LF", raw(GET + HOST + "{t}\n") + SMUGGLED,
            sweep=record_splits),
    refused("split at every point: obs-fold",
            raw(GET + HOST + "{t}X-A: a\r\n Content-Length: 5\r\n\r\n"), sweep=record_splits),
    refused("split at every point: CL and TE",
            req(POST, "Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n"),
            sweep=record_splits),
    passed("small records", req("GET /version", "X-A: b"), reached("GET /version", "X-A: b"),
           sweep=record_pieces),
    passed("small writes", req("GET /version", "X-A: b"), reached("GET /version", "X-A: b"),
           sweep=wire_pieces, wire=1),
    passed("small records, TLS 1.2", req("GET /version"), reached("GET /version"),
           sweep=record_pieces, tls="1.2"),
)

CASES = (LINES + CONTROL + NAMES + REQUEST_LINES + HOSTS + LENGTHS + CODINGS + BOUNDS + SWEEPS)
