"""The same bytes in every possible portion."""

from __future__ import annotations

from typing import Iterable

from dataclasses import replace

from model import Answer, Pause, Script, Send, Steps

GAP = Pause(0.001)


def record_splits(steps: Steps) -> Iterable[Steps]:
    """The first Send as two TLS records, split at every point."""
    first, *rest = steps
    assert isinstance(first, Send)
    for at in range(1, len(first.data)):
        yield (Send(first.data[:at]), GAP, Send(first.data[at:]), *rest)


def wire_pieces(steps: Steps) -> Iterable[Steps]:
    """The ciphertext in pieces of 1, 2, 3, 5 and 7 bytes."""
    for piece in (1, 2, 3, 5, 7):
        yield tuple(replace(s, wire=piece) if isinstance(s, Send) else s for s in steps)


def record_pieces(steps: Steps) -> Iterable[Steps]:
    """The plaintext in records of 1, 2, 3, 5 and 7 bytes."""
    for piece in (1, 2, 3, 5, 7):
        yield tuple(replace(s, record=piece) if isinstance(s, Send) else s for s in steps)


def answer_splits(script: Script) -> Iterable[Script]:
    """The script's first Answer as two writes, split at every point."""
    where, answer = next((i, s) for i, s in enumerate(script) if isinstance(s, Answer))
    for at in range(1, len(answer.data)):
        yield (*script[:where], replace(answer, at=at), *script[where + 1:])


def answer_pieces(script: Script) -> Iterable[Script]:
    """Every Answer in writes of 1, 2, 3, 5 and 7 bytes."""
    for piece in (1, 2, 3, 5, 7):
        yield tuple(replace(s, piece=piece) if isinstance(s, Answer) else s for s in script)
