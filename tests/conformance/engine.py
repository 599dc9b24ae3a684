"""The scripted engine, on a unix socket, TCP or TLS: it records every byte that reaches it.

A connection belongs to the session that is open when it is accepted, and plays that session's
script; when the script is through, the connection is read to its end, so that nothing that
reaches the engine stays unseen.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct
import threading
import time
from pathlib import Path

import wire
from model import (Abort, Answer, Close, Echo, EngineStep, Eof, Flight, HalfClose, Head, Hold,
                   Quiet, Request, Reset, Script, Serve, Take, Truncate, Wait)

STEP_SECONDS = 8.0
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Stop(Exception):
    """The script ends here."""


class Connection:
    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self.sock = sock
        self.seen = bytearray()  # every byte that came
        self.used = 0  # bytes that the script has asked for
        self.complaints: list[str] = []
        self.ended = threading.Event()
        self.eof = False
        self.notified = False  # the end was a close_notify
        self.closed = False
        self.written = True  # our side is still open for writing
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context and context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

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
        if self.tls is None:
            self.eof = not data
            self.seen += data
            return bool(data)
        before = len(self.seen)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()
        self._decrypt()
        self.eof = self.eof or not data
        return not self.eof or len(self.seen) > before

    def _decrypt(self) -> None:
        assert self.tls is not None
        while not self.eof:
            try:
                data = self.tls.read(1 << 16)
                self.seen += data
                self.eof = self.notified = not data
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                self.eof = self.notified = True
            except ssl.SSLError as error:
                self.eof = True
                if error.reason != "UNEXPECTED_EOF_WHILE_READING":
                    self.complaints.append(f"engine's TLS: {error.reason}")

    def _handshake(self) -> None:
        """Step through it; Stop if headgate goes away meanwhile."""
        assert self.tls is not None
        deadline = time.monotonic() + STEP_SECONDS
        while True:
            try:
                self.tls.do_handshake()
                self._flush()
                self._decrypt()  # what came together with the client's Finished
                return
            except ssl.SSLWantReadError:
                self._flush()
            except ssl.SSLError as error:
                self._flush()
                self.complaints.append(f"engine's TLS handshake: {error.reason}")
                raise Stop from None
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.sock], [], [], left)[0]
            try:
                data = self.sock.recv(1 << 16) if ready else b""
            except OSError:
                data = b""
            if not data:
                self.eof = True
                raise Stop
            self.incoming.write(data)

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

    def _flush(self, flags: int = 0) -> None:
        data = self.outgoing.read()
        try:
            self.sock.sendall(data, flags)
        except OSError:
            pass  # headgate is gone; what it wanted is in self.seen

    def _put(self, data: bytes) -> None:
        """Into the outgoing BIO, with TLS as records of its own."""
        if self.tls is None:
            self.outgoing.write(data)
        elif self.written and data:
            try:
                self.tls.write(data)
            except ssl.SSLError:
                pass  # the connection broke; the verdict tells

    def _send(self, data: bytes) -> None:
        self._put(data)
        self._flush()

    def _notify(self) -> None:
        """A close_notify into the outgoing BIO."""
        if self.tls is not None and self.written:
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass  # the peer's own close_notify is still to come

    def _shut(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.written = False

    def _half_close(self) -> None:
        self._notify()
        self._flush()
        if self.tls is None:
            self._shut()
        self.written = False

    def _flight(self, step: Flight) -> None:
        for part in step.parts:
            self._put(part)
        if step.end:
            self._notify()
        corked = step.end and self.tls is None and self.sock.family == socket.AF_INET
        self._flush(socket.MSG_MORE if corked else 0)
        if step.end:
            if self.tls is None:
                self._shut()
            self.written = False

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            self._notify()
            self._flush()
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

    def _quiet(self, deadline: float) -> None:
        while len(self.seen) == self.used and self._fill(deadline):
            pass
        if self.eof:
            self.complaints.append("engine saw the end too early")
        elif len(self.seen) > self.used:
            early = bytes(self.seen[self.used:][:60])
            self.complaints.append(f"bytes came before their time: {early!r}")

    def _eof(self, deadline: float, notified: bool) -> None:
        while not self.eof:
            self._fill(deadline)
            if time.monotonic() > deadline:
                self.complaints.append("engine waited in vain for the end")
                raise Stop
        if notified and self.tls is not None and not self.notified:
            self.complaints.append("engine saw a FIN without close_notify")
        self.used = len(self.seen)

    def _play(self, step: EngineStep, session: Session) -> None:
        deadline = time.monotonic() + STEP_SECONDS
        match step:
            case Serve():
                self._serve(session.give_up)
            case Request():
                self._message()
            case Head():
                self._message(head_only=True)
            case Take(data):
                while len(self.seen) - self.used < len(data):
                    self._need(f"{len(data)} bytes", deadline)
                self.used += len(data)
            case Eof(notified):
                self._eof(deadline, notified)
            case Quiet(seconds):
                self._quiet(time.monotonic() + seconds)
            case Answer(data, 0, 0):
                self._send(data)
            case Answer(data, 0, at):
                self._send(data[:at])
                time.sleep(0.002)
                self._send(data[at:])
            case Answer(data, piece, _):
                for i in range(0, len(data), piece):
                    self._send(data[i:i + piece])
            case Flight():
                self._flight(step)
            case Wait(seconds):
                time.sleep(seconds)
            case Hold():
                session.release.wait(4 * STEP_SECONDS)
            case Echo():
                while True:
                    self._send(bytes(self.seen[self.used:]))
                    self.used = len(self.seen)
                    if not self._fill(deadline):
                        break
                self._half_close()
            case HalfClose():
                self._half_close()
            case Truncate():
                self._shut()
            case Reset():
                select.select([self.sock], [], [], STEP_SECONDS)
                self.written = False  # no close_notify
                self._close()
                raise Stop
            case Abort():
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.written = False
                self._close()
                raise Stop
            case Close():
                self._close()
                raise Stop

    def run(self, script: Script, session: Session) -> None:
        try:
            if self.tls is not None:
                self._handshake()
            for step in script:
                self._play(step, session)
        except Stop:
            pass
        while not self.closed and not self.eof and not session.give_up.is_set():
            self._fill(time.monotonic() + 0.5)
        self._close()
        self.ended.set()


class Session:
    """The engine's side of one case (or of the neighbour)."""

    def __init__(self, scripts: tuple[Script, ...], tls: str) -> None:
        self.scripts = scripts
        self.tls = tls
        self.connections: list[Connection] = []
        self.release = threading.Event()
        self.give_up = threading.Event()

    def finish(self, seconds: float) -> bool:
        """Wait until headgate has ended all connections; False if it has not."""
        deadline = time.monotonic() + seconds
        self.release.set()
        ended = all(c.ended.wait(max(0.0, deadline - time.monotonic()))
                    for c in list(self.connections))
        self.give_up.set()
        return ended

    def seen(self) -> list[Connection]:
        return [c for c in self.connections if c.seen]

    def handshake_complaints(self) -> list[str]:
        return [text for c in self.connections if not c.seen for text in c.complaints]


def contexts(cert_dir: Path) -> dict[str, ssl.SSLContext]:
    """One a protocol version; a client without a certificate is refused."""
    made = {}
    for name, version in VERSIONS.items():
        made[name] = context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert_dir / "server.pem", cert_dir / "server-key.pem")
        context.load_verify_locations(cert_dir / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        context.minimum_version = context.maximum_version = version
    return made


def bind_tcp() -> socket.socket:
    """A port that stays ours over a shutdown(): only one that was asked for by number does."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(probe.getsockname())
        return sock


class Engine:
    """`kind` is unix (a socket at `path`), tcp or tls (loopback, certificates in `cert_dir`)."""

    def __init__(self, kind: str, path: Path, cert_dir: Path) -> None:
        self.path = path
        self.is_unix = kind == "unix"
        self.contexts = contexts(cert_dir) if kind == "tls" else {}
        if self.is_unix:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(str(path))
            self.name, self.url = path.name, f"unix://{path}"
        else:
            self.listener = bind_tcp()
            self.name = f"127.0.0.1:{self.listener.getsockname()[1]}"
            self.url = f"{kind}://{self.name}"
        self.deaf = False
        self.own_port = 0  # of the connection that catch_up() makes
        self.session = Session(((Serve(),),), "1.3")
        self.caught_up = threading.Semaphore(0)
        self._listen()

    def _listen(self) -> None:
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _is_own(self, sock: socket.socket, address: object) -> bool:
        if not self.is_unix:
            return address == ("127.0.0.1", self.own_port)
        peer = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return struct.unpack("iii", peer)[0] == os.getpid()

    def _accept(self) -> None:
        while True:
            try:
                sock, address = self.listener.accept()
            except OSError:
                return
            if self._is_own(sock, address):
                sock.close()
                self.caught_up.release()
                continue
            session = self.session
            script = session.scripts[min(len(session.connections), len(session.scripts) - 1)]
            connection = Connection(sock, self.contexts.get(session.tls))
            session.connections.append(connection)
            threading.Thread(target=connection.run, args=(script, session), daemon=True).start()

    def begin(self, scripts: tuple[Script, ...], tls: str = "1.3") -> Session:
        self.session = Session(scripts, tls)
        return self.session

    def catch_up(self) -> None:
        """Return when every connection made before this call has been accepted."""
        with socket.socket(self.listener.family, socket.SOCK_STREAM) as own:
            if not self.is_unix:
                own.bind(("127.0.0.1", 0))
                self.own_port = own.getsockname()[1]
            own.connect(str(self.path) if self.is_unix else self.listener.getsockname())
            self.caught_up.acquire(timeout=STEP_SECONDS)

    def set_state(self, state: str) -> None:
        """up, missing (no such file; unix only) or deaf (an address that nobody listens on)."""
        away = self.path.with_suffix(".away")
        if not self.is_unix:
            if state == "deaf":
                self.listener.shutdown(socket.SHUT_RDWR)  # still bound, and accept() returns
                self.deaf = True
            elif self.deaf:
                self.deaf = False
                self._listen()
        elif state == "up":
            if away.exists():
                away.rename(self.path)
        else:
            self.path.rename(away)
            if state == "deaf":
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
                    deaf.bind(str(self.path))

    def close(self) -> None:
        self.listener.close()
        if self.path.exists():
            self.path.unlink()
