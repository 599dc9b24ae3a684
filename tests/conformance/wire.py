"""A strict reader of HTTP/1.1, for the verdict: what it cannot read, nobody should have sent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*\Z")
REQUEST_LINE = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\x7e\x80-\xff]+ HTTP/1\.[01]\Z")
STATUS_LINE = re.compile(r"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?\Z")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}\Z")


class Malformed(Exception):
    pass


@dataclass
class Message:
    line: str
    fields: list[tuple[str, str]]
    framing: str = "none"  # none, length, chunked or eof
    body: bytes = b""
    whole: bool = True
    size: int = 0  # bytes taken
    status: int = 0  # of an answer
    length: int = field(default=0)

    def values(self, name: str) -> list[str]:
        return [v for n, v in self.fields if n.lower() == name]


def _head(data: bytes) -> tuple[str, list[tuple[str, str]], int] | None:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = data[:end].decode("latin-1").split("\r\n")
    fields = []
    for line in lines[1:]:
        match = FIELD.match(line)
        if match is None:
            raise Malformed(f"field {line!r}")
        fields.append((match[1], match[2]))
    return lines[0], fields, end + 4


def _chunked(data: bytes, at: int) -> tuple[bytes, int, bool]:
    """The decoded body, where it ends, and whether it is whole."""
    body = []
    while True:
        eol = data.find(b"\r\n", at)
        if eol < 0:
            if len(data) - at > 17:
                raise Malformed(f"chunk size {data[at:at + 40]!r}")
            return b"".join(body), len(data), False
        if not CHUNK_SIZE.match(data[at:eol]):
            raise Malformed(f"chunk size {data[at:eol][:40]!r}")
        size, at = int(data[at:eol], 16), eol + 2
        if size == 0:
            break
        body.append(data[at:at + size])
        if len(data) < at + size + 2:
            if data[at + size:] not in (b"", b"\r"):
                raise Malformed("no CRLF behind a chunk")
            return b"".join(body), len(data), False
        if data[at + size:at + size + 2] != b"\r\n":
            raise Malformed("no CRLF behind a chunk")
        at += size + 2
    while True:
        eol = data.find(b"\r\n", at)
        if eol < 0:
            return b"".join(body), len(data), False
        line, at = data[at:eol].decode("latin-1"), eol + 2
        if not line:
            return b"".join(body), at, True
        if not FIELD.match(line):
            raise Malformed(f"trailer {line!r}")


def _frame(message: Message, data: bytes, at: int) -> Message:
    lengths, codings = message.values("content-length"), message.values("transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Malformed("more than one framing field")
    if codings:
        if codings[0].lower() != "chunked":
            raise Malformed(f"transfer coding {codings[0]!r}")
        message.framing = "chunked"
        message.body, message.size, message.whole = _chunked(data, at)
    elif lengths:
        if not re.fullmatch(r"[0-9]{1,18}", lengths[0]):
            raise Malformed(f"Content-Length {lengths[0]!r}")
        message.framing, message.length = "length", int(lengths[0])
        message.body = data[at:at + message.length]
        message.whole = len(message.body) == message.length
        message.size = at + len(message.body)
    else:
        message.size = at
    return message


def request(data: bytes) -> Message | None:
    """The first request in data; None while its head is not whole."""
    head = _head(data)
    if head is None:
        return None
    line, fields, at = head
    if not REQUEST_LINE.match(line):
        raise Malformed(f"request line {line!r}")
    return _frame(Message(line, fields), data, at)


def answer(data: bytes, bodiless: bool) -> Message | None:
    """The first answer in data; with framing `eof` it takes all there is and is never whole."""
    head = _head(data)
    if head is None:
        return None
    line, fields, at = head
    match = STATUS_LINE.match(line)
    if not match:
        raise Malformed(f"status line {line!r}")
    message = Message(line, fields, status=int(match[1]))
    if message.status < 200 or message.status in (204, 304) or bodiless:
        message.size = at
        return message
    _frame(message, data, at)
    if message.framing == "none":
        message.framing, message.body = "eof", data[at:]
        message.size, message.whole = len(data), False
    return message


def answers(data: bytes, bodiless: tuple[int, ...]) -> tuple[list[Message], bytes, str]:
    """All answers in data, what is left behind them (a tunnel's bytes), and what is wrong."""
    found: list[Message] = []
    while data:
        try:
            message = answer(data, len(found) in bodiless)
        except Malformed as error:
            return found, data, f"malformed answer: {error}"
        if message is None:
            return found, data, "half an answer head"
        found.append(message)
        data = data[message.size:]
        if message.status == 101:
            return found, data, ""
    return found, b"", ""
