"""The scripted engine: a unix socket that records every byte that reaches it.

A connection belongs to the session that is open when it is accepted, and plays that session's
script; when the script is through, the connection is read to its end, so that nothing that
reaches the engine stays unseen.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from pathlib import Path

import wire
from model import (Answer, Close, Echo, EngineStep, Eof, HalfClose, Head, Quiet, Request, Reset,
                   Script, Serve, Take, Wait)

STEP_SECONDS = 8.0


class Stop(Exception):
    """The script ends here."""


class Connection:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.seen = bytearray()  # every byte that came
        self.used = 0  # bytes that the script has asked for
        self.complaints: list[str] = []
        self.ended = threading.Event()
        self.eof = False
        self.closed = False
        self.written = True  # our side is still open for writing

    # -- reading

    def _fill(self, deadline: float) -> bool:
        """Read once; False at the end or at the deadline."""
        left = deadline - time.monotonic()
        if self.eof or left <= 0 or not select.select([self.sock], [], [], left)[0]:
            return False
        try:
            data = self.sock.recv(1 << 18)
        except OSError:
            data = b""
        self.eof = not data
        self.seen += data
        return bool(data)

    def _need(self, what: str, deadline: float) -> None:
        if not self._fill(deadline):
            if not self.eof:
                self.complaints.append(f"engine waited in vain for {what}")
            raise Stop

    def _message(self, head_only: bool = False) -> wire.Message:
        deadline = time.monotonic() + STEP_SECONDS
        while True:
            data = bytes(self.seen[self.used:])
            if head_only and b"\r\n\r\n" in data:
                self.used += data.index(b"\r\n\r\n") + 4
                return wire.Message("", [])
            try:
                message = wire.request(data)
            except wire.Malformed:
                raise Stop from None  # the verdict says what was wrong
            if message is not None and message.whole:
                self.used += message.size
                return message
            self._need("a request", deadline)

    # -- writing

    def _send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError:
            pass  # headgate is gone; what it wanted is in self.seen

    def _half_close(self) -> None:
        self.written = False
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            self.sock.close()

    # -- steps

    def _serve(self, give_up: threading.Event) -> None:
        while True:
            while len(self.seen) == self.used and not self.eof and not give_up.is_set():
                self._fill(time.monotonic() + 0.5)  # idle for as long as it likes
            if len(self.seen) == self.used:
                return
            message = self._message()
            method, target, version = message.line.split(" ")
            closing = version == "HTTP/1.0" or "close" in message.values("connection")
            body = f"{method} {target}".encode("latin-1")
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
            head += "Connection: close\r\n\r\n" if closing else "\r\n"
            self._send(head.encode() + (b"" if method == "HEAD" else body))
            if closing:
                self._half_close()
                return

    def _play(self, step: EngineStep, give_up: threading.Event) -> None:
        deadline = time.monotonic() + STEP_SECONDS
        match step:
            case Serve():
                self._serve(give_up)
            case Request():
                self._message()
            case Head():
                self._message(head_only=True)
            case Take(data):
                while len(self.seen) - self.used < len(data):
                    self._need(f"{len(data)} bytes", deadline)
                self.used += len(data)
            case Eof():
                while not self.eof:
                    self._fill(deadline)
                    if time.monotonic() > deadline:
                        self.complaints.append("engine waited in vain for the end")
                        raise Stop
                self.used = len(self.seen)
            case Quiet(seconds):
                self._fill(time.monotonic() + seconds)
                if self.eof:
                    self.complaints.append("engine saw the end too early")
                elif len(self.seen) > self.used:
                    early = bytes(self.seen[self.used:][:60])
                    self.complaints.append(f"bytes came before their time: {early!r}")
            case Answer(data, 0, 0):
                self._send(data)
            case Answer(data, 0, at):
                self._send(data[:at])
                time.sleep(0.002)
                self._send(data[at:])
            case Answer(data, piece, _):
                for i in range(0, len(data), piece):
                    self._send(data[i:i + piece])
            case Wait(seconds):
                time.sleep(seconds)
            case Echo():
                while True:
                    self._send(bytes(self.seen[self.used:]))
                    self.used = len(self.seen)
                    if not self._fill(deadline):
                        break
                self._half_close()
            case HalfClose():
                self._half_close()
            case Reset():
                select.select([self.sock], [], [], STEP_SECONDS)
                self._close()
                raise Stop
            case Close():
                self._close()
                raise Stop

    def run(self, script: Script, give_up: threading.Event) -> None:
        try:
            for step in script:
                self._play(step, give_up)
        except Stop:
            pass
        while not self.closed and not self.eof and not give_up.is_set():
            self._fill(time.monotonic() + 0.5)
        self._close()
        self.ended.set()


class Session:
    """The engine's side of one case (or of the neighbour)."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self.scripts = scripts
        self.connections: list[Connection] = []
        self.give_up = threading.Event()

    def finish(self, seconds: float) -> bool:
        """Wait until headgate has ended all connections; False if it has not."""
        deadline = time.monotonic() + seconds
        ended = all(c.ended.wait(max(0.0, deadline - time.monotonic()))
                    for c in list(self.connections))
        self.give_up.set()
        return ended

    def seen(self) -> list[Connection]:
        return [c for c in self.connections if c.seen]


class Engine:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.session = Session(((Serve(),),))
        self.caught_up = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            peer = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            if struct.unpack("iii", peer)[0] == os.getpid():
                sock.close()
                self.caught_up.release()
                continue
            session = self.session
            script = session.scripts[min(len(session.connections), len(session.scripts) - 1)]
            connection = Connection(sock)
            session.connections.append(connection)
            threading.Thread(target=connection.run, args=(script, session.give_up),
                             daemon=True).start()

    def begin(self, scripts: tuple[Script, ...]) -> Session:
        self.session = Session(scripts)
        return self.session

    def catch_up(self) -> None:
        """Return when every connection made before this call has been accepted."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as own:
            own.connect(str(self.path))
            self.caught_up.acquire(timeout=STEP_SECONDS)

    def set_state(self, state: str) -> None:
        """up, missing (no such file) or deaf (a socket that nobody listens on)."""
        away = self.path.with_suffix(".away")
        if state == "up":
            if away.exists():
                away.rename(self.path)
            return
        self.path.rename(away)
        if state == "deaf":
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
                deaf.bind(str(self.path))

    def close(self) -> None:
        self.listener.close()
        if self.path.exists():
            self.path.unlink()
