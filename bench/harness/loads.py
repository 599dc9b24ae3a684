# SPDX-License-Identifier: MIT
"""Runs of bench/load and bench/abuse against a proxy."""

import dataclasses
import json
import os
import select
import subprocess
import time

from . import process
from .host import TOKEN, Failed

TLS = "TLSv1.3 TLS_AES_128_GCM_SHA256"
PATIENCE_S = 60


class Runner:
    """A program that says "ready", waits for a line, and answers with a line of JSON."""

    def __init__(self, proxy, core, program, arguments, realtime=False):
        command = [os.path.join(proxy.tools, program), *arguments, "--port", str(proxy.port)]
        self.proxy, self.label = proxy, f"{program} {arguments[0]}"
        self.errors = open(os.path.join(proxy.dir, "load.err"), "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        preexec_fn=process.pin(core, realtime))

    def failed(self, text):
        self.close()
        with open(self.errors.name, encoding="utf-8", errors="replace") as file:
            said = file.read().strip()[-200:]
        raise Failed(f"{self.label}: {text}{'; ' if said else ''}{said}")

    def line(self, patience_s=PATIENCE_S):
        if not select.select([self.process.stdout], [], [], patience_s)[0]:
            self.failed(f"no answer in {patience_s} s")
        line = self.process.stdout.readline()
        if not line:
            self.failed("it ended")
        return line

    def ready(self):
        if self.line() != b"ready\n":
            self.failed("not ready")
        return self

    def go(self):
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        return self

    def result(self):
        result = json.loads(self.line())
        if result.get("errors"):
            self.failed(f"{result['errors']} errors; {result['error'][:120]}")
        return result

    def interrupt(self):
        """The load stops; its result is what was complete by now."""
        self.process.terminate()
        return self

    def end(self):
        """Its last words."""
        self.process.stdin.close()
        rest = self.process.stdout.read()
        code = self.process.wait()
        self.errors.close()
        if code:
            raise Failed(f"{self.label}: it ended with {code}")
        return rest

    def close(self):
        if not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except OSError:
                pass
        process.stop(self.process)
        self.process.stdout.close()
        self.errors.close()


def watch(*cores):
    """So that latencies are without what ran while the machine stood still, where we may watch it."""
    if os.geteuid() != 0:
        return []
    return [text for core in sorted(set(cores) - {None}) for text in ("--watch", str(core))]


def load(proxy, core, mode, *arguments, token=TOKEN, realtime=False, watched=False):
    """bench/load, ready to go."""
    options = [mode, "--token", token, "--wait", *(watch(proxy.core, core) if watched else []),
               *(str(argument) for argument in arguments)]
    return Runner(proxy, core, "load", options, realtime).ready()


def abuse(proxy, core, kind, seconds, connections):
    return Runner(proxy, core, "abuse", [kind, "--token", TOKEN, "--seconds", str(seconds), "--connections",
                                         str(connections)]).ready()


def measure(proxy, core, mode, *arguments, realtime=False, watched=False):
    """The load's own figures, with what the proxy and the machine took for it."""
    runner = load(proxy, core, mode, *arguments, realtime=realtime, watched=watched)
    try:
        pids = proxy.pids()
        before = process.sample(pids)
        result = runner.go().result()
        result.update(dataclasses.asdict(process.sample(pids) - before))
        if not proxy.keeps_threads:
            result["switches"] = None
        runner.end()
    finally:
        runner.close()
    if result["tls"] != TLS:
        raise Failed(f"TLS is {result['tls']}")
    return result
