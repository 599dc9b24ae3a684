"""Starts and stops one headgate."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

READY = re.compile(rb"listening on (?:tls://127\.0\.0\.1:(\d+)|unix://)")
REPORTS = ("ERROR: AddressSanitizer", "LeakSanitizer", "runtime error",
           "WARNING: ThreadSanitizer")
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class Gate:
    started: list[Gate] = []
    over = False  # set when the run was told to stop

    def __init__(self, binary: Path, home: Path, token: str, client: str,
                 options: list[str]) -> None:
        self.state = home / "state"
        self.log_path = home / "log"
        self.out_path = home / "out"
        self.ca = self.state / "ca.pem"
        self.path = home / "client.sock"
        listen = ["tls://127.0.0.1:0"] + [f"unix://{self.path}"] * (client == "unix")
        self.command = [str(binary), "serve", *(f"--listen={address}" for address in listen),
                        "--state", str(self.state), "--workers", "2", "--head-timeout", "2s",
                        "--auth-failures", "0",
                        "--engine-poll", "0",  # what reaches the engine is what clients sent
                        *options]
        self.listeners = len(listen)
        self.environment = {**os.environ, "DOCKER_API_TOKEN": token, "HEADGATE_SANDBOX": "on"}
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start (again); the log goes on where it was."""
        if Gate.over:
            raise RuntimeError("told to stop")
        before = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log, open(self.out_path, "ab") as out:
            self.process = subprocess.Popen(self.command, env=self.environment, stderr=log,
                                            stdout=out, stdin=subprocess.DEVNULL,
                                            start_new_session=True)
        if self not in Gate.started:
            Gate.started.append(self)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            ready = list(READY.finditer(self.log_path.read_bytes()[before:]))
            if len(ready) == self.listeners:
                self.port = int(next(r[1] for r in ready if r[1]))
                return
            if not self.alive():
                break
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"headgate did not start (exit {self.process.returncode}):\n"
                           + self.tail(30))

    def alive(self) -> bool:
        return self.process.poll() is None

    def cpu_seconds(self) -> float:
        """User and system time that all threads have used."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def sockets(self) -> int:
        """How many sockets it has open."""
        count = 0
        with contextlib.suppress(OSError):  # it died
            for fd in Path(f"/proc/{self.process.pid}/fd").iterdir():
                with contextlib.suppress(OSError):  # closed meanwhile
                    count += os.readlink(fd).startswith("socket:")
        return count

    def sockets_left(self, most: int, seconds: float) -> int:
        """How many sockets it has beyond `most` after so many seconds at most."""
        deadline = time.monotonic() + seconds
        while (left := self.sockets() - most) > 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        return max(0, left)

    def kill(self) -> None:
        if self.alive():
            self.process.kill()
        self.process.wait()

    @classmethod
    def kill_all(cls) -> None:
        """From a signal handler: no waiting, nobody starts another one."""
        cls.over = True
        for gate in cls.started:
            gate.process.kill()

    def stop(self) -> int | None:
        """SIGTERM; the exit code, or None if it had to be killed."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def log(self) -> str:
        return (self.log_path.read_bytes() + self.out_path.read_bytes()).decode("latin-1")

    def log_bytes(self) -> int:
        return self.log_path.stat().st_size

    def log_from(self, start: int) -> str:
        return self.log_path.read_bytes()[start:].decode("latin-1")

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log_path.read_text("latin-1").splitlines()[-lines:])

    def reports(self) -> list[str]:
        """The log's lines that a sanitizer wrote."""
        return [line for line in self.log().splitlines() if any(r in line for r in REPORTS)]
