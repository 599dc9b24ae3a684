"""The table: one module a topic, each with a tuple CASES."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable

from model import Case, CloseNotify, Fin, Script, Send, Steps, passed, reached, req

from . import (auth, body, connection, engine_answer, engine_end, fields, framing_request, pace,
               roles, stalled, stream, target, upgrade)
from .sweeps import wire_pieces

TOPICS = (framing_request, target, auth, fields, body, stream, upgrade, engine_answer, engine_end,
          connection, stalled, pace, roles)


def _named(topic: str, case: Case) -> Case:
    return replace(case, name=f"{topic}/{case.name}")


ALL: tuple[Case, ...] = tuple(
    _named(t.__name__.rsplit(".", 1)[1], c) for t in TOPICS for c in t.CASES)

_names = [c.name for c in ALL]
assert len(set(_names)) == len(_names), sorted(n for n in _names if _names.count(n) > 1)

# For the checks after the run.
ATTACH = req(upgrade.ATTACH, *upgrade.UP)
SWITCH = upgrade.switch()
ORDINARY = passed("an ordinary request", req("GET /version"), reached("GET /version"))


def _needs_tls(case: Case) -> bool:
    return (case.tls != "1.3" or bool(case.alpn) or case.wire > 0
            or case.sweep is wire_pieces)


def _plain(table: Iterable[Case]) -> list[Case]:
    """The cases for a client without TLS. There is one way to half-close there; what differs
    only in that, or is about TLS, is left out."""
    kept: dict[Case, Case] = {}
    for case in sorted(table, key=lambda c: CloseNotify() in c.steps):
        if _needs_tls(case):
            continue
        steps = [Fin() if isinstance(s, CloseNotify) else s for s in case.steps]
        steps = [s for s, before in zip(steps, [None, *steps]) if s != Fin() or before != Fin()]
        case = replace(case, steps=tuple(steps), name=case.name.replace(", TLS 1.3", ""))
        kept.setdefault(replace(case, name=""), case)
    return list(kept.values())


def table(client: str, engine: str) -> list[Case]:
    """What there is to check with these legs."""
    fit = [c for c in ALL if client in c.clients and engine in c.engines
           and (engine == "tls" or c.engine_tls == "1.3")
           and (engine == "unix" or c.engine_state != "missing")]
    return fit if client == "tls" else _plain(fit)


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
