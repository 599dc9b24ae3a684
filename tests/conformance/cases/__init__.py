"""The table: one module a topic, each with a tuple CASES."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable

from model import Case, Script, Send, Steps, passed, reached, req

from . import (auth, body, connection, engine_answer, fields, framing_request, stream, target,
               upgrade)

TOPICS = (framing_request, target, auth, fields, body, stream, upgrade, engine_answer, connection)


def _named(topic: str, case: Case) -> Case:
    return replace(case, name=f"{topic}/{case.name}")


ALL: tuple[Case, ...] = tuple(
    _named(t.__name__.rsplit(".", 1)[1], c) for t in TOPICS for c in t.CASES)

_names = [c.name for c in ALL]
assert len(set(_names)) == len(_names), sorted(n for n in _names if _names.count(n) > 1)

ORDINARY = passed("an ordinary request", req("GET /version"), reached("GET /version"))


def variants(case: Case, steps: Steps) -> Iterable[Steps]:
    """The steps (with the token in them) in every portion that the case asks for."""
    return case.sweep(steps) if case.sweep else (steps,)


def script_variants(case: Case) -> Iterable[tuple[Script, ...]]:
    if case.script_sweep is None:
        return (case.scripts,)
    return ((s,) for s in case.script_sweep(case.scripts[0]))


def is_plain_refusal(case: Case) -> bool:
    """Fit for the storm: refused whatever the engine does, and quickly."""
    return (not case.want.engine and not case.also and case.want.refusal and not case.slow
            and case.engine_state == "up" and all(isinstance(s, Send) for s in case.steps))
