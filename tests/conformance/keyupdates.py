"""A TLS 1.3 client that sends a flood of KeyUpdates. Python's ssl cannot, so this drives the libssl
that it has loaded by hand."""

from __future__ import annotations

import ctypes
import socket
import ssl  # noqa: F401  loads libssl
import threading
from pathlib import Path

HANDSHAKE_SECONDS = 20.0
REFUSED_SECONDS = 0.5
POINTERS = ("TLS_client_method", "SSL_CTX_new", "SSL_new", "BIO_s_mem", "BIO_new")
NOT_REQUESTED = 0  # SSL_KEY_UPDATE_NOT_REQUESTED: the peer owes nothing in return


def _load() -> ctypes.CDLL:
    maps = Path("/proc/self/maps").read_text().split()
    lib = ctypes.CDLL(next((name for name in maps if "/libssl.so" in name), "libssl.so.3"))
    for name in POINTERS:
        getattr(lib, name).restype = ctypes.c_void_p
    return lib


class Flood:
    """A connection, and the bytes that are to come, sealed beforehand."""

    def __init__(self, address: tuple[str, int], count: int, request: bytes) -> None:
        self.sock = socket.create_connection(address, timeout=HANDSHAKE_SECONDS)
        lib = _load()
        context = ctypes.c_void_p(lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method())))
        session = ctypes.c_void_p(lib.SSL_new(context))
        self.sock.setblocking(True)
        try:
            if lib.SSL_set_fd(session, self.sock.fileno()) != 1 or lib.SSL_connect(session) != 1:
                raise ConnectionError("TLS handshake")
            self.data = self._seal(lib, session, count, request)
        finally:
            lib.SSL_free(session)
            lib.SSL_CTX_free(context)
        self.sender = threading.Thread(target=self._send, daemon=True)

    @staticmethod
    def _seal(lib: ctypes.CDLL, session: ctypes.c_void_p, count: int, request: bytes) -> bytes:
        memory = ctypes.c_void_p(lib.BIO_new(ctypes.c_void_p(lib.BIO_s_mem())))
        lib.SSL_set0_wbio(session, memory)  # owns it
        for _ in range(count):
            if (lib.SSL_key_update(session, NOT_REQUESTED) != 1
                    or lib.SSL_do_handshake(session) != 1):
                raise ConnectionError("KeyUpdate")
        if lib.SSL_write(session, request, len(request)) != len(request):
            raise ConnectionError("SSL_write")
        sealed = ctypes.create_string_buffer(count * 64 + len(request) + 4096)
        size = lib.BIO_read(memory, sealed, len(sealed))
        return sealed.raw[:size]

    def _send(self) -> None:
        try:
            self.sock.sendall(self.data)
        except OSError:
            pass  # headgate has closed it

    def start(self) -> None:
        self.sender.start()

    def over(self) -> bool:
        """The answer to the request behind the flood is there, or the end."""
        try:
            self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def refused(self) -> bool:
        """headgate has closed it, as it may where the kernel cannot change keys."""
        self.sock.settimeout(REFUSED_SECONDS)
        try:
            while self.sock.recv(1 << 16):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self.sender.is_alive():
            self.sender.join()
        self.sock.close()
