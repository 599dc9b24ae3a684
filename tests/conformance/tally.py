"""Counts what passed and prints what did not."""

from __future__ import annotations

import re
import threading
from dataclasses import replace

import verdict
from model import Case, Reached, Steps

MOST_BYTES = 300  # of what was sent


class Tally:
    """Counts and prints, from any lane."""

    def __init__(self, verbose: bool) -> None:
        self.lock = threading.Lock()
        self.verbose = verbose
        self.passed = self.failed = self.skipped = 0
        self.groups: dict[str, dict[bytes, str]] = {}

    def ok(self, name: str, seconds: float = 0.0) -> None:
        with self.lock:
            self.passed += 1
            if self.verbose:
                print(f"ok   {name} ({seconds:.2f} s)", flush=True)

    def fail(self, name: str, lines: list[str]) -> None:
        with self.lock:
            self.failed += 1
            print(f"FAIL {name}", *(f"     {line}" for line in lines), sep="\n", flush=True)

    def note_group(self, group: str, name: str, got: bytes) -> None:
        got = re.sub(rb"(?im)^date:.*$", b"Date: -", got)
        with self.lock:
            self.groups.setdefault(group, {}).setdefault(got, name)


def describe(steps: Steps) -> list[str]:
    out = []
    for step in steps:
        data = getattr(step, "data", b"")
        if len(data) > MOST_BYTES:
            step = replace(step, data=data[:MOST_BYTES])
        cut = f"... ({len(data)} bytes)" if len(data) > MOST_BYTES else ""
        out.append(f"  {step!r}{cut}")
    return out


def expected(case: Case) -> list[str]:
    out = []
    for want in (case.want, *case.also):
        legs = " | ".join(" + ".join(_reached(r) for r in leg) for leg in want.engine)
        out.append(f"  engine: {legs or 'nothing'}; client: {list(want.status)},"
                   f" {want.end.value}")
    return out


def _reached(want: Reached) -> str:
    end = "" if want.whole else " (without its end)"
    tail = f", tunnel {verdict.short(want.tail, 80)}" if want.tail is not None else ""
    return f"{want.line} [{want.framing} {verdict.short(want.body, 80)}]{end}{tail}"
