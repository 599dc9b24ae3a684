# SPDX-License-Identifier: MIT
"""Rounds: who is measured when. The proxies run all the time, but where a workload needs a fresh one; a round measures
one after the other, so that what disturbs the machine disturbs them alike, in an order of its own, so that nobody is
always behind the same one."""

import os
import random
import re
import subprocess
import sys
import time

from . import loads, process
from .dockerd import Docker
from .host import GB, RELEASE, Failed, say, tool
from .proxies import ENGINE


class Progress:
    """One line that is rewritten on a terminal, a line a round elsewhere."""

    def __init__(self, workloads=1):
        self.done, self.all = 0, workloads
        self.terminal = sys.stderr.isatty()
        self.started = time.monotonic()

    def at(self, workload, number, rounds, name):
        part = f"{workload.part[1]}, " if workload.part else ""
        text = f"{time.monotonic() - self.started:5.0f} s  {self.done + 1} of {self.all}, {workload.name}: " \
               f"{part}round {number + 1} of {rounds}"
        if self.terminal:
            print(f"\r\x1b[K{text}{', ' if name else ''}{name}"[:84], end="", file=sys.stderr, flush=True)
        elif name == "":
            print(text, file=sys.stderr, flush=True)

    def clear(self):
        if self.terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Engine:
    """The stand-in engine, beside the load."""

    def __init__(self, core):
        self.core = core
        self.start()

    def start(self):
        self.process = subprocess.Popen([os.path.join(RELEASE, "bench/engine"), ENGINE], stdout=subprocess.PIPE,
                                        preexec_fn=process.pin(self.core))
        if self.process.stdout.readline() != b"ready\n":
            raise Failed("the stand-in engine did not start")
        os.chmod(ENGINE, 0o777)  # not every peer works as root

    def prepare(self, prompt):
        """Before each workload: it lives, and is a real-time process if it has to be prompt and we may make it one. It
        goes before the load's, which could fill its backlog otherwise."""
        if self.process.poll() is not None:
            say("the stand-in engine has died: what failed after that is its failure")
            self.start()
        try:
            os.sched_setscheduler(self.process.pid, os.SCHED_FIFO if prompt else os.SCHED_OTHER,
                                  os.sched_param(2 if prompt else 0))
        except PermissionError:
            pass

    def stop(self):
        process.stop(self.process)
        self.process.stdout.close()
        if os.path.exists(ENGINE):
            os.unlink(ENGINE)


def start_all(proxies, core):
    """Those that work, and why the others do not."""
    working, failed = [], {}
    for proxy in proxies:
        try:
            proxy.start()
            proxy.check(core)
            working.append(proxy)
        except Failed as failure:
            proxy.stop()
            failed[proxy.name] = f"{failure}{proxy.last_words()}"
            say(f"{proxy.name}: {failed[proxy.name]}")
    return working, failed


def measure_one(workload, proxy, record, number, attempt=0):
    """One round of one proxy; a failure is part of the record, and the last of it."""
    try:
        if proxy.has_died():
            raise Failed("behind the round before")
        if not proxy.lives():
            proxy.start()
        if proxy.warm_for != (workload, workload.part):
            workload.warm_up(proxy)
            proxy.warm_for = (workload, workload.part)
        figures = workload.measure(proxy)
        if number == len(record["rounds"]):
            record["rounds"].append({})
        record["rounds"][number].update(figures)
    except (Failed, OSError, ValueError, subprocess.TimeoutExpired) as failure:
        # Where a connection is refused or a port is taken by another program once, a second try tells; but a
        # proxy must not die, whatever is done to it.
        died = proxy.has_died()
        proxy.stop()
        if attempt == 0 and not died:
            record["retried"] = f"{failure}"
            measure_one(workload, proxy, record, number, 1)
            return
        record["failed"] = ("it died: " if died else "") + (f"{failure}" or type(failure).__name__)


def measure_round(workload, proxies, records, number, progress):
    progress.at(workload, number, workload.rounds(), "")
    # The same orders in every run.
    for proxy in random.Random(number).sample(proxies, len(proxies)):
        if "failed" in records[proxy.name]:
            continue
        progress.at(workload, number, workload.rounds(), proxy.name)
        measure_one(workload, proxy, records[proxy.name], number)
        if not proxy.calm_down():  # measure_one() starts it again
            records[proxy.name]["restarted"] = "it went on working for 2 s after a round"
            proxy.stop()


def measure_workload(workload, proxies, progress):
    """{proxy's name: {"rounds": [figures], "failed": reason}}"""
    records = {proxy.name: {"rounds": []} for proxy in proxies}
    for part in workload.parts:
        workload.part = part
        for number in range(workload.rounds()):
            measure_round(workload, proxies, records, number, progress)
    progress.clear()
    return records


def measure_docker(workload, proxies, progress):
    """The same, in front of a real engine: every proxy is started anew for it, and again for the stand-in after it."""
    docker = Docker(workload.sizes.image_bytes, workload.core)
    others = [proxy for proxy in proxies if proxy.has_engine]
    records = {proxy.name: {"rounds": []} for proxy in proxies}
    try:
        docker.start()
        workload.docker = docker
        for proxy in others:
            proxy.stop()
            proxy.engine = docker.socket
        records = measure_workload(workload, proxies, progress)
    except (Failed, OSError, subprocess.TimeoutExpired) as failure:
        say(f"docker: {failure}")
        for record in records.values():
            record.setdefault("failed", str(failure))
    finally:
        for proxy in others:
            proxy.stop()
            proxy.engine = ENGINE
        docker.stop()
    return records


def system_calls(workload, proxy, core):
    """System calls per GB, in a short transfer of its own: strace makes everything slow, so it is in no timed round."""
    if not tool("strace"):
        raise Failed("strace is not installed")
    runner = loads.load(proxy, core, workload.mode, "--bytes", 64 << 20)
    out = os.path.join(proxy.dir, "strace")
    tracer = None
    try:
        command = ["strace", "-f", "-c", "-q", "-o", out]
        for pid in proxy.pids():
            command += ["-p", str(pid)]
        tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        if tracer.poll() is not None:
            raise Failed("strace cannot attach")
        result = runner.go().result()
        runner.end()
    finally:
        runner.close()
        if tracer:
            process.stop(tracer)
    with open(out, encoding="utf-8", errors="replace") as file:
        text = file.read()
    match = re.search(r"^100\.00\s+\S+\s+(?:\S+\s+)?(\d+)(?:\s+\d+)?\s+total$", text, re.M)
    if not match:
        raise Failed("strace counted nothing")
    return int(match.group(1)) / (result["bytes"] / GB)


def run(workloads, everybody, engine, core, on_done, trace=True, everywhere=True):
    """Measures everything; on_done(workload, records, seconds) after each workload. `everywhere`: also
    where a workload leaves a proxy out."""
    progress = Progress(len(workloads))
    for workload in workloads:
        proxies = [proxy for proxy in everybody if everywhere or proxy.name not in workload.without]
        measure = measure_docker if workload.real_engine else measure_workload
        engine.prepare(workload.prompt_engine)
        for proxy in proxies:
            proxy.hurry(workload.prompt_engine)
        spinners = [process.keep_awake(one) for one in {proxies[0].core, core} - {None}] if workload.awake else []
        started = time.monotonic()
        try:
            records = measure(workload, proxies, progress)
        finally:
            for spinner in spinners:
                process.stop(spinner)
        engine.prepare(False)
        for proxy in proxies:
            proxy.hurry(False)
        if trace and getattr(workload, "syscalls", False):
            for proxy in proxies:
                try:
                    records[proxy.name]["system_calls_per_gb"] = system_calls(workload, proxy, core)
                except (Failed, OSError, ValueError) as failure:
                    records[proxy.name]["system_calls_failed"] = str(failure)
                    proxy.restart()
        progress.done += 1
        on_done(workload, records, time.monotonic() - started)
