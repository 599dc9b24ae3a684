# SPDX-License-Identifier: MIT
"""What is measured: headgate, the stand-in engine alone, and what all of them have in common."""

import os
import socket
import subprocess
import time

from . import loads, process
from .host import RELEASE, TOKEN, TOP, WORK, Failed

ENGINE = os.path.join(WORK, "engine.sock")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def first_line(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout.strip().splitlines() or ["unknown"])[0]


class Proxy:
    """One configuration under test. Subclasses write its files and say its command."""

    is_peer = False
    checks_token = True
    has_engine = True  # behind it
    keeps_threads = True  # a thread a connection takes its count of context switches along
    program = None  # what has to be installed; None: it is ours
    package = None  # the Debian package that brings it
    environment = {}
    tools = os.path.join(RELEASE, "bench")  # whose load generator measures it

    def __init__(self, name, core):
        self.name, self.core, self.process = name, core, None
        self.dir = os.path.join(WORK, "run", name)
        self.port = 0
        self.engine = ENGINE
        self.first = False
        self.warm_for = None  # the workload and the part of it that this process is warm for
        self.tree = None  # of another Debian release, where it runs in one

    def command(self):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def missing(self):
        """Why it cannot run here, or None."""
        return None

    def start(self):
        os.makedirs(self.dir, exist_ok=True)
        self.warm_for = None
        self.port = free_port()
        command = self.command()
        if self.tree:
            command = self.tree.inside(command)
        log_path = os.path.join(self.dir, "log")
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.environment}, cwd=self.dir,
                                            preexec_fn=process.pin(self.core))
        for _ in range(150):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                time.sleep(0.1)
                self.hurry(self.first)
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        with open(log_path, encoding="utf-8", errors="replace") as log:
            raise Failed(f"did not start: {' '.join(log.read().split())[-300:]}")

    def last_words(self):
        """The end of its log, where a reason for a failure may be."""
        try:
            with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as log:
                lines = log.read().split("\n")
        except OSError:
            return ""
        said = [line.strip() for line in lines if line.strip()]
        return f"; its log: {said[-1][-160:]}" if said else ""

    def stop(self):
        if self.process:
            process.stop(self.process)
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def lives(self):
        return self.process is not None and self.process.poll() is None

    def has_died(self):
        """By itself; not when it could not start."""
        return self.process is not None and self.process.poll() is not None

    def hurry(self, first):
        """Goes before other programs on its processor from now on, or no longer; threads that it starts later are like
        the one that starts them. Another program's work would be in its latencies otherwise."""
        self.first = first
        for pid in process.family(self.process.pid) if self.lives() else []:
            process.hurry_threads(pid, first)
        if self.lives():
            process.hurry_session(self.process.pid, first)

    def calm_down(self):
        """Whether it does nothing any more, within 2 s; a proxy that goes on working would be in the others' figures."""
        for _ in range(100):
            try:
                before = process.sample(self.pids()).cpu_s
                time.sleep(0.02)
                if process.sample(self.pids()).cpu_s - before < 0.002:
                    return True
            except (Failed, OSError):  # it has died, or one of its processes has: the next round will tell
                return True
        return False

    def pids(self):
        if not self.lives():
            raise Failed("it has died")
        return process.family(self.process.pid)

    def check(self, core):
        """That it asks for the token, and lets everything through, before anything of it is measured."""
        if self.checks_token:
            runner = loads.load(self, core, "ping", "--expect-status", "401", token="wrong")
            try:
                runner.go().result()
                runner.end()
            finally:
                runner.close()
        for mode in ("up-cl", "up-chunked", "up-go", "down"):
            result = loads.measure(self, core, mode, "--bytes", 4 << 20)
            if result["bytes"] != 4 << 20:
                raise Failed(f"{mode}: {result['bytes']} bytes of {4 << 20}")


class Headgate(Proxy):
    environment = {"DOCKER_API_TOKEN": TOKEN}
    binary = os.path.join(RELEASE, "headgate")

    def __init__(self, name, core, *options, binary=None):
        super().__init__(name, core)
        self.options = options
        self.binary = binary or self.binary

    def command(self):
        return [self.binary, "serve", "--listen", f"tls://127.0.0.1:{self.port}", "--engine", f"unix://{self.engine}",
                "--state", os.path.join(self.dir, "state"), "--cert", f"{WORK}/cert.pem", "--key", f"{WORK}/key.pem",
                "--workers", "1", "--log-level", "warn", *self.options]

    def version(self):
        return first_line([self.binary, "--version"])

    def missing(self):
        return None if os.path.exists(self.binary) else f"{os.path.relpath(self.binary, TOP)} is not built"


class Direct(Proxy):
    """No proxy: TLS ends in the stand-in engine, which runs where the proxies do. The ceiling."""

    checks_token = False
    has_engine = False

    def command(self):
        return [os.path.join(self.tools, "engine"), "--tls", str(self.port), "--cert", f"{WORK}/cert.pem", "--key",
                f"{WORK}/key.pem"]

    def version(self):
        return "bench/engine"
