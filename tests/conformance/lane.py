"""A lane: a headgate of its own with a scripted engine of its own, so that whatever reaches that
engine belongs to the one case the lane is at; and the checks after each case and at the end."""

from __future__ import annotations

import argparse
import re
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cases
import verdict
from client import CALM_CPU_SECONDS, Client, context, play
from engine import Engine
from gate import Gate
from keys import Secrets
from model import (ENGINE, Answer, Case, End, HalfClose, Hold, Request, Script, Send, Serve,
                   Steps)
from tally import Tally, describe, expected

ENGINE_END_SECONDS = 6.0  # how long headgate may keep an engine leg whose client is gone
LEFT_SECONDS = 3.0  # the same for whatever is still open after the last case
LOG_SECONDS = 2.0
PROMPT_SECONDS = 5.0  # a stop that nothing holds up
QUERY_SECRET = "conformance-query-secret"  # in the queries of some cases; never to be logged


class Lane:
    def __init__(self, number: int, options: argparse.Namespace, home: Path, keys: Secrets,
                 tally: Tally) -> None:
        self.name = f"lane {number}"
        self.keys = keys
        self.tally = tally
        self.home = home / str(number)
        self.home.mkdir()
        self.client = options.client
        self.engine = Engine(options.engine, self.home / "engine.sock", home)
        tokens = self.home / "tokens"
        tokens.touch(0o600)
        tokens.write_text(keys.token_file())
        self.gate = Gate(options.bin, self.home, keys.token, options.client, [
            "--tokens", str(tokens), "--engine", self.engine.url, "--event", options.event, "--mover", options.mover,
            *(["--engine-cert-dir", str(home)] if options.engine == "tls" else [])])
        self.contexts: dict[tuple, ssl.SSLContext] = {}
        self.neighbour: Client | None = None
        self.meet_neighbour()

    # -- the neighbour

    def meet_neighbour(self) -> None:
        self.neighbours = self.engine.begin(((Serve(),),))
        self.neighbour = self.connect("1.3", ())
        bad = self.ask_neighbour()
        if bad:
            raise RuntimeError(f"{self.name}: {bad}\n{self.gate.tail()}")
        self.idle = self.engine.begin(((),))
        self.sockets = self.gate.sockets()  # with nothing but the neighbour

    def ask_neighbour(self) -> str:
        """One request on the neighbour's connection; what went wrong, or nothing."""
        client = self.neighbour
        assert client is not None
        if client.end is not None:
            return "the neighbour's connection has ended"
        client.got.clear()
        client.send(f"GET /neighbour HTTP/1.1\r\nHost: docker\r\ntoken: {self.keys.token}"
                    "\r\n\r\n".encode())
        client.wait(lambda: client.has_answers(1, ()))
        if not client.got.startswith(b"HTTP/1.1 200") or not client.got.endswith(b"/neighbour"):
            return f"the neighbour got {verdict.short(bytes(client.got))}"
        return ""

    # -- one case

    def connect(self, tls: str, alpn: tuple[str, ...], wire: int = 0,
                receive_bytes: int = 0) -> Client:
        how = (wire, self.gate.cpu_seconds, receive_bytes)
        if self.client == "unix":
            return Client(self.gate.path, None, *how)
        address = ("127.0.0.1", self.gate.port)
        if tls in ("plain", "garbage"):
            return Client(address, None, *how)
        key = (tls, alpn)
        if key not in self.contexts:
            self.contexts[key] = context(self.gate.ca, tls, alpn)
        return Client(address, self.contexts[key], *how)

    def local(self, case: Case) -> Case:
        """The case with this engine's name in it."""
        return replace(case, want=replace(
            case.want, says=case.want.says.replace(ENGINE, self.engine.name)))

    def bad_log(self, case: Case, start: int) -> list[str]:
        """What is wrong with what headgate has logged since `start`."""
        deadline = time.monotonic() + LOG_SECONDS
        while not re.search(case.log_has, text := self.gate.log_from(start)):
            if time.monotonic() > deadline:
                return [f"the log has no {case.log_has!r}"]
            time.sleep(0.02)
        if case.log_lacks and re.search(case.log_lacks, text):
            return [f"the log has {case.log_lacks!r}"]
        return []

    def attempt(self, case: Case, steps: Steps) -> list[str]:
        """Play the case once; what is wrong with what came of it."""
        session = self.engine.begin(case.scripts, case.engine_tls)
        log_start = self.gate.log_bytes()
        started = time.monotonic()
        self.engine.set_state(case.engine_state)
        client: Client | None = None
        try:
            client = self.connect(case.tls, case.alpn, case.wire, case.receive_bytes)
            play(case, steps, client)
            got, end, trouble = bytes(client.got), client.end or End.OPEN, client.trouble
        except (OSError, TimeoutError) as error:
            got, end, trouble = b"", End.CUT, f"client: {error}"
            if client is not None:
                got = bytes(client.got)
        finally:
            if client is not None:
                client.close()
            self.engine.set_state("up")
        seconds = time.monotonic() - started
        left = 0
        if case.ends_within:
            left = self.gate.sockets_left(self.sockets, case.ends_within)
        self.engine.catch_up()
        ended = session.finish(ENGINE_END_SECONDS)
        self.idle = self.engine.begin(((),))
        seen = verdict.Seen(session.seen(), got, end, trouble, seconds, self.client == "unix")
        bad = verdict.judge(case, seen) + session.handshake_complaints()
        if left:
            bad.append(f"{case.ends_within} s after the client headgate has {left} sockets open")
        if case.log_has:
            bad += self.bad_log(case, log_start)
        if not ended:
            bad.append("headgate kept an engine connection although the client is gone")
        if any(self.keys.leaked(bytes(c.seen)) for c in session.connections):
            bad.append("the token reached the engine")
        if self.keys.leaked(got):
            bad.append("the token came back to the client")
        if not bad:
            if case.group:
                self.tally.note_group(case.group, case.name, got)
            return []
        lines = ([f"- {b}" for b in bad] + ["sent:"] + describe(steps) + ["expected:"]
                 + expected(case) + ["engine saw:"]
                 + ([f"  {verdict.short(bytes(c.seen))}" for c in seen.connections]
                    or ["  nothing"])
                 + [f"client saw ({end.value}, after {seconds:.2f} s):",
                    f"  {verdict.short(got)}"])
        return [self.keys.masked(line) for line in lines]

    def run(self, case: Case) -> None:
        started = time.monotonic()
        bad: list[str] = []
        case = self.local(case)
        for scripts in cases.script_variants(case):
            for steps in cases.variants(case, self.keys.fill(case.steps)):
                bad = self.attempt(replace(case, scripts=scripts), steps)
                if bad:
                    break
            if bad:
                if case.script_sweep:
                    bad.append(f"engine's script: {scripts!r}"[:900])
                break
        trouble = self.after()
        if trouble:
            bad.append(f"- {trouble}")
        if bad:
            tail = self.keys.masked(self.gate.tail())
            self.tally.fail(case.name, bad + [f"headgate's log ({self.name}):"]
                            + [f"  {line}" for line in tail.splitlines()])
        else:
            self.tally.ok(case.name, time.monotonic() - started)

    def after(self) -> str:
        """headgate and the neighbour must be as they were; if not, start over for the rest."""
        if not self.gate.alive():
            code = self.gate.process.returncode
            self.gate.start()
            self.contexts.clear()
            self.meet_neighbour()
            return f"headgate died (exit {code})"
        bad = self.ask_neighbour()
        if not bad and self.idle.connections:
            bad = "an engine connection was opened after the case: " + ", ".join(
                verdict.short(bytes(c.seen), 80) for c in self.idle.connections)
            self.idle = self.engine.begin(((),))
        elif bad:
            assert self.neighbour is not None
            self.neighbour.close()
            self.meet_neighbour()
        return bad

    # -- the storm: all refusals at once at one headgate

    def storm(self, refusals: list[Case], threads: int) -> list[str]:
        session = self.engine.begin(((),))

        def one(case: Case) -> str:
            try:
                client = self.connect(case.tls, case.alpn)
                try:
                    play(case, self.keys.fill(case.steps), client)
                finally:
                    client.close()
            except (OSError, TimeoutError) as error:
                return f"{case.name}: {error}"
            seen = verdict.Seen([], bytes(client.got), client.end or End.OPEN, "", 0.0,
                                self.client == "unix")
            return "; ".join(f"{case.name}: {b}" for b in verdict.judge(case, seen))

        with ThreadPoolExecutor(threads) as pool:
            bad = [b for b in pool.map(one, refusals) if b]
        self.engine.catch_up()
        session.finish(ENGINE_END_SECONDS)
        bad += [f"engine saw {verdict.short(bytes(c.seen), 200)}" for c in session.seen()]
        self.idle = self.engine.begin(((),))
        return bad + [b for b in [self.after()] if b]

    # -- the end

    def half_closed(self, script: Script, from_client: bool) -> Client:
        """A tunnel of which one direction has ended."""
        self.engine.begin((script,))
        client = self.connect("1.3", ())
        client.send(self.keys.into(cases.ATTACH))
        if not client.wait(lambda: b"ready" in client.got):
            raise RuntimeError(f"no tunnel, but {verdict.short(bytes(client.got))}")
        if from_client:
            client.close_notify() if client.tls else client.fin()
        return client

    def idle_costs(self) -> list[str]:
        """The neighbour and two half-closed tunnels stand still: that costs no CPU time."""
        opened = (Request(), Answer(cases.SWITCH + b"ready"))
        tunnels, sessions = [], []
        try:
            for script, from_client in (((*opened, Hold()), True),
                                        ((*opened, HalfClose(), Hold()), False)):
                tunnels.append(self.half_closed(script, from_client))
                sessions.append(self.engine.session)
            time.sleep(0.1)
            before = self.gate.cpu_seconds()
            time.sleep(1.0)
            used = self.gate.cpu_seconds() - before
        except (OSError, RuntimeError) as error:
            return [str(error)]
        finally:
            for session in sessions:
                session.finish(0.0)
            for client in tunnels:
                client.close()
            self.idle = self.engine.begin(((),))
        return [f"{used:.2f} s of CPU time in a second"] if used >= CALM_CPU_SECONDS else []

    def finish(self) -> dict[str, list[str]]:
        """The checks after the run: a complaint list by check."""
        alive = [] if self.gate.alive() else ["headgate is dead"]
        neighbour = [] if alive else [b for b in [self.ask_neighbour()] if b]
        answers: list[str] = []
        if not alive:
            answers = self.attempt(cases.ORDINARY, self.keys.fill(cases.ORDINARY.steps))
        idle = alive or self.idle_costs()
        left = self.gate.sockets_left(self.sockets, LEFT_SECONDS)
        started = time.monotonic()
        code = self.gate.stop()
        seconds = time.monotonic() - started
        leaks = [self.keys.masked(line) for line in self.gate.log().splitlines()
                 if QUERY_SECRET in line or self.keys.leaked(line.encode("latin-1"))]
        reports = self.gate.reports()
        if reports:
            reports += self.gate.tail(60).splitlines()
        self.engine.close()
        return {
            "after/headgate lives and answers": alive + answers,
            "after/the neighbour still works": neighbour,
            "after/an idle connection and half-closed tunnels use no CPU time": idle,
            "after/no socket is left open": [f"{left} sockets"] if left else [],
            "after/exit 0 on SIGTERM": [] if code == 0 else [
                f"exit {code}" if code is not None else "still running; killed",
                self.gate.tail()],
            "after/an idle connection does not hold up SIGTERM": [] if seconds < PROMPT_SECONDS
            else [f"it took {seconds:.1f} s; the neighbour had asked for nothing"],
            "after/no sanitizer report": reports,
            "after/neither token nor query in the log": leaks,
        }
