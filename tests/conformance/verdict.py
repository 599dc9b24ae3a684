"""Compares what the engine and the client saw with what a case asks for."""

from __future__ import annotations

import json
from dataclasses import dataclass

import wire
from engine import Connection
from model import Case, End, Outcome, Reached

FRAMING = ("host", "connection", "content-length", "transfer-encoding", "upgrade")
NEVER = ("token", "authorization", "proxy-authorization", "proxy-connection", "keep-alive", "te",
         "http2-settings", "proxy-authenticate")


@dataclass
class Seen:
    connections: list[Connection]
    got: bytes
    end: End
    trouble: str
    seconds: float
    plain: bool = False  # the client's leg has no TLS: a cut may look like an end


def short(data: bytes, most: int = 300) -> str:
    if len(data) <= most:
        return repr(data)[1:]
    return f"{data[:most]!r}... ({len(data)} bytes)"[1:]


def _request(want: Reached, have: wire.Message) -> list[str]:
    bad = []

    def same(what: str, left: object, right: object) -> None:
        if left != right:
            bad.append(f"engine saw {what} {right!r}, not {left!r}")

    same("request line", want.line, have.line)
    same("Host", [] if want.host is None else [want.host], have.values("host"))
    rest = [f"{n}: {v}".rstrip() for n, v in have.fields if n.lower() not in FRAMING]
    same("fields", [f.rstrip() for f in want.fields], rest)
    bad += [f"engine saw the field {n}" for n, _ in have.fields if n.lower() in NEVER]
    same("framing", want.framing, have.framing)
    tokens = ",".join(have.values("connection")).lower()
    if want.upgrade is not None:
        same("Connection", "upgrade", tokens)
        same("Upgrade", [want.upgrade], have.values("upgrade"))
    else:
        same("Upgrade", [], have.values("upgrade"))
        if want.close is not None:
            allowed = ("close",) if want.close else ("", "keep-alive")
            if tokens not in allowed:
                bad.append(f"engine saw Connection {tokens!r}, not {allowed[0]!r}")
    if want.tail is not None:
        return bad
    if want.whole and not have.whole:
        bad.append("the request that reached the engine has no end")
    elif want.whole and have.body != want.body:
        bad.append(f"engine saw body {short(have.body, 200)}, not {short(want.body, 200)}")
    elif not want.whole and have.whole:
        bad.append("a request that never ended reached the engine as a whole one")
    elif not want.whole and not want.body.startswith(have.body):
        bad.append(f"engine saw body {short(have.body, 200)}, not a part of"
                   f" {short(want.body, 200)}")
    return bad


def _connection(wants: tuple[Reached, ...], data: bytes) -> list[str]:
    bad: list[str] = []
    for want in wants:
        try:
            have = wire.request(data)
        except wire.Malformed as error:
            return bad + [f"engine saw a malformed request: {error}"]
        if have is None:
            return bad + [f"engine never saw {want.line!r}, but {short(data, 80)}"]
        bad += _request(want, have)
        data = data[have.size:]
        if want.tail is not None:
            if data != want.tail and (want.whole or not want.tail.startswith(data)):
                bad.append(f"engine saw {short(data, 200)} in the tunnel, not"
                           f" {short(want.tail, 200)}")
            return bad
    if data:
        bad.append(f"bytes reached the engine behind the last request: {short(data, 200)}")
    return bad


def _engine(want: Outcome, seen: Seen) -> list[str]:
    have = [bytes(c.seen) for c in seen.connections]
    wants = list(want.engine)
    if not have:
        wants = [w for w in wants if not all(r.optional for r in w)]
    if len(have) != len(wants):
        return [f"{len(have)} engine connections carried bytes, not {len(wants)}"]
    return [bad for w, data in zip(wants, have) for bad in _connection(w, data)]


def _refusal(answer: wire.Message, bodiless: bool) -> list[str]:
    bad = []
    if not any("close" in v.lower() for v in answer.values("connection")):
        bad.append("the refusal has no Connection: close")
    if bodiless:
        return bad
    if answer.framing != "length":
        bad.append("the refusal has no Content-Length")
    try:
        message = json.loads(answer.body)["message"]
        if not isinstance(message, str) or not message:
            bad.append("the refusal's message is empty")
    except (ValueError, KeyError, TypeError):
        bad.append(f"the refusal is not {{\"message\": ...}}: {short(answer.body, 200)}")
    return bad


def _client(case: Case, want: Outcome, seen: Seen) -> list[str]:
    if case.tls == "garbage":
        return []
    found, left, wrong = wire.answers(seen.got, case.bodiless)
    bad = [f"client saw a {wrong}"] if wrong else []
    statuses = [m.status for m in found]
    if len(statuses) != len(want.status) or any(
            s not in (w if isinstance(w, tuple) else (w,))
            for s, w in zip(statuses, want.status)):
        bad.append(f"client saw status {statuses}, not {list(want.status)}")
        return bad
    clean = seen.end in (End.CLEAN, End.ANY)
    for at, message in enumerate(found):
        whole = message.whole or (message.framing == "eof" and clean)
        if not whole and want.end not in (End.CUT, End.ANY):
            bad.append(f"answer {at} is not whole")
        if (whole and want.end is End.CUT and at == len(found) - 1 and message.framing != "eof"
                and want.raw is None):
            bad.append(f"answer {at} is whole, although the engine's was not")
        if at < len(want.bodies) and want.bodies[at] is not None:
            if message.body != want.bodies[at]:
                bad.append(f"answer {at} has body {short(message.body, 200)}, not"
                           f" {short(want.bodies[at], 200)}")
        bad += [f"answer {at} carries {n}" for n, _ in message.fields if n.lower() in want.absent]
    if want.raw is not None and left != want.raw:
        bad.append(f"client saw {short(left, 200)} in the tunnel, not {short(want.raw, 200)}")
    if want.raw is None and left and not wrong:
        bad.append(f"client saw {short(left, 200)} behind the answers")
    allowed = {End.CLOSED: (End.CLEAN, End.CUT)}.get(want.end, (want.end,))
    if seen.plain and want.end is End.CUT:
        allowed = (End.CLEAN, End.CUT)  # a length or a last chunk is missing then; see above
    if want.end is not End.ANY and seen.end not in allowed:
        bad.append(f"client's connection is {seen.end.value}, not {want.end.value}")
    if found:
        last = found[-1]
        if want.refusal:
            bad += _refusal(last, len(found) - 1 in case.bodiless)
        if want.says and want.says.encode() not in last.body:
            bad.append(f"the last answer does not say {want.says!r}")
        if want.closing and not any("close" in v.lower() for v in last.values("connection")):
            bad.append("the last answer has no Connection: close")
        have = [f"{n}: {v}" for n, v in last.fields]
        bad += [f"the last answer lacks {f!r}" for f in want.fields if f not in have]
    return bad


def judge(case: Case, seen: Seen) -> list[str]:
    """What is wrong; empty if any of the case's outcomes holds."""
    first: list[str] = []
    for want in (case.want, *case.also):
        bad = _engine(want, seen) + _client(case, want, seen)
        if not bad:
            first = []
            break
        first = first or bad
    bad = first + [c for conn in seen.connections for c in conn.complaints]
    if seen.trouble:
        bad.append(seen.trouble)
    if seen.seconds < case.at_least:
        bad.append(f"it took {seen.seconds:.2f} s, less than {case.at_least} s")
    return bad
