"""A client, with TLS or without, that can do what no well-behaved one does: split records and
writes anywhere, half-close by close_notify or by FIN alone, abort, and tell a clean end from a cut
one."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from pathlib import Path
from typing import Callable

import wire
from model import (Await, AwaitEnd, AwaitRaw, Calm, Case, CloseNotify, End, Fin, Pause, Push, Rst,
                   Send, Sleep, Steps)

STEP_SECONDS = 8.0
STALLED_SECONDS = 0.3  # without room in the socket
LINGER_SECONDS = 0.05  # a connection that stays open may still say something wrong
CALM_CPU_SECONDS = 0.2  # in a second without anything to do; spinning takes all of it

Address = tuple[str, int] | Path


def dial(address: Address, receive_bytes: int = 0) -> socket.socket:
    is_unix = isinstance(address, Path)
    sock = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET, socket.SOCK_STREAM)
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(STEP_SECONDS)
    sock.connect(str(address) if is_unix else address)
    if not is_unix:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def context(ca: Path, tls: str, alpn: tuple[str, ...]) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(str(ca))
    version = ssl.TLSVersion.TLSv1_2 if tls == "1.2" else ssl.TLSVersion.TLSv1_3
    made.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # a cut is not a clean end
    made.minimum_version = made.maximum_version = version
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


class Client:
    def __init__(self, address: Address, made: ssl.SSLContext | None, wire_size: int,
                 cpu: Callable[[], float], receive_bytes: int = 0) -> None:
        self.sock = dial(address, receive_bytes)
        self.cpu = cpu  # headgate's CPU time
        self.sock.setblocking(False)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls: ssl.SSLObject | None = None
        self.got = bytearray()
        self.end: End | None = None
        self.trouble = ""
        self.writable = True
        if made is not None:
            self.tls = made.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
            self._handshake(wire_size)

    # -- the wire

    def _write(self, data: bytes, piece: int = 0) -> None:
        """Write, and read what comes meanwhile."""
        deadline = time.monotonic() + STEP_SECONDS
        at = 0
        while at < len(data) and self.writable:
            left = deadline - time.monotonic()
            if left <= 0:
                self.trouble = "client could not write"
                return
            watch = [] if self.end else [self.sock]
            can_read, can_write, _ = select.select(watch, [self.sock], [], left)
            try:
                if can_write:
                    at += self.sock.send(data[at:at + piece] if piece else data[at:at + (1 << 18)])
            except BlockingIOError:
                pass
            except OSError:
                self.writable = False
            if can_read:
                self._read()

    def _flush(self, piece: int = 0) -> None:
        self._write(self.outgoing.read(), piece)

    def _read(self) -> None:
        """Read once without waiting; the plaintext goes to self.got."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            self.end = self.end or End.CUT
            return
        if self.tls is None:
            self.got += data
            if not data:
                self.end = End.CLEAN
            return
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()
        self._decrypt()
        if not data:
            self.end = self.end or End.CUT

    def _decrypt(self) -> None:
        if self.tls is None:
            return
        while self.end is None:
            try:
                data = self.tls.read(1 << 16)
                if not data:
                    self.end = End.CLEAN
                self.got += data
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                self.end = End.CLEAN
            except ssl.SSLError as error:
                if error.reason != "UNEXPECTED_EOF_WHILE_READING":
                    self.trouble = f"TLS: {error.reason}"
                self.end = End.CUT

    def _handshake(self, piece: int) -> None:
        assert self.tls is not None
        deadline = time.monotonic() + STEP_SECONDS
        while True:
            try:
                self.tls.do_handshake()
                self._flush(piece)
                return
            except ssl.SSLWantReadError:
                self._flush(piece)
            if not select.select([self.sock], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError("TLS handshake")
            data = self.sock.recv(1 << 16)
            if not data:
                raise ConnectionError("closed during the handshake")
            self.incoming.write(data)

    # -- what steps are made of

    def send(self, data: bytes, record: int = 0, piece: int = 0) -> None:
        size = record or 1 << 18
        for at in range(0, len(data), size):
            if self.tls is None:
                self._write(data[at:at + size], piece)
                continue
            self.tls.write(data[at:at + size])
            self._flush(piece)

    def push(self, data: bytes, stalls: bool) -> None:
        """Write, without reading, until the socket has had no room for a while."""
        piece, rest = 1 << 16, b""
        for at in range(0, len(data), piece):
            rest = data[at:at + piece]
            if self.tls is not None:
                self.tls.write(rest)
                rest = self.outgoing.read()
            while rest:
                if not select.select([], [self.sock], [], STALLED_SECONDS)[1]:
                    return
                try:
                    rest = rest[self.sock.send(rest):]
                except BlockingIOError:
                    time.sleep(0.01)
        if stalls:
            self.trouble = f"all of {len(data)} bytes got away; nothing stood still"

    def close_notify(self) -> None:
        if self.tls is not None:
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass  # the peer's own close_notify is still to come
            self._flush()

    def fin(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.writable = False

    def rst(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait(self, done, seconds: float = STEP_SECONDS) -> bool:
        """Read until done(), the end, or the time is up."""
        deadline = time.monotonic() + seconds
        self._decrypt()
        while not done():
            left = deadline - time.monotonic()
            if self.end is not None or left <= 0:
                return False
            if select.select([self.sock], [], [], left)[0]:
                self._read()
        return True

    def calm(self, seconds: float) -> None:
        until, before = time.monotonic() + seconds, self.cpu()
        self.wait(lambda: False, seconds)
        time.sleep(max(0.0, until - time.monotonic()))
        used = self.cpu() - before
        if used >= CALM_CPU_SECONDS:
            self.trouble = f"headgate used {used:.2f} s of CPU time in {seconds} s of nothing to do"

    def has_answers(self, count: int, bodiless: tuple[int, ...]) -> bool:
        if count and b"\r\n\r\n" not in self.got:
            return False
        found, _, _ = wire.answers(bytes(self.got), bodiless)
        return sum(m.whole for m in found) >= count

    def close(self) -> None:
        if self.sock.fileno() >= 0:
            if self.end is None and self.writable:
                self.close_notify()
            self.sock.close()


def play(case: Case, steps: Steps, client: Client) -> None:
    """Do the steps, then read until the end that the case asks for."""
    for step in steps:
        match step:
            case Send(data, record, piece):
                client.send(data, record, piece)
            case Pause(seconds):
                client.wait(lambda: False, seconds)
            case Sleep(seconds):
                time.sleep(seconds)
            case Push(data, stalls):
                client.push(data, stalls)
            case Await(count):
                client.wait(lambda n=count: client.has_answers(n, case.bodiless))
            case AwaitRaw(data):
                client.wait(lambda d=data: d in client.got)
            case AwaitEnd():
                client.wait(lambda: False)
            case CloseNotify():
                client.close_notify()
            case Fin():
                client.fin()
            case Calm(seconds):
                client.calm(seconds)
            case Rst():
                client.rst()
                client.end = End.ANY
                return
    counts = [len(want.status) for want in (case.want, *case.also)
              if want.end in (End.OPEN, End.ANY)]
    if client.wait(lambda: any(client.has_answers(n, case.bodiless) for n in counts)):
        client.wait(lambda: False, 0.0 if case.sweep or case.script_sweep else LINGER_SECONDS)
