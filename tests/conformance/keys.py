"""The token, and the certificates of a run."""

from __future__ import annotations

import base64
import secrets
import subprocess
from dataclasses import replace
from pathlib import Path

from model import BASIC, SHORT, TOKEN, Send, Steps


class Secrets:
    """The token, put into what is sent and masked in what is printed."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(32)
        self.basic = base64.b64encode(f"user:{self.token}".encode()).decode()

    def fill(self, steps: Steps) -> Steps:
        return tuple(replace(s, data=self.into(s.data)) if isinstance(s, Send) else s
                     for s in steps)

    def into(self, data: bytes) -> bytes:
        for mark, value in ((TOKEN, self.token), (SHORT, self.token[:-1]), (BASIC, self.basic)):
            data = data.replace(mark.encode(), value.encode())
        return data

    def masked(self, line: str) -> str:
        return line.replace(self.token, TOKEN).replace(self.basic, BASIC)

    def leaked(self, data: bytes) -> bool:
        return self.token.encode() in data or self.basic.encode() in data


def make_certificates(home: Path) -> None:
    """A CA, a server's and a client's certificate, by the names that --engine-cert-dir asks for."""

    def openssl(name: str, key: str, *more: str | Path) -> None:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                        "-keyout", home / key, *more], check=True, capture_output=True)
        (home / key).chmod(0o600)

    openssl("conformance CA", "ca-key.pem", "-out", home / "ca.pem")
    signed = ("-CA", home / "ca.pem", "-CAkey", home / "ca-key.pem", "-addext",
              "basicConstraints=critical,CA:FALSE")
    openssl("engine", "server-key.pem", "-out", home / "server.pem", *signed, "-addext",
            "subjectAltName=IP:127.0.0.1", "-addext", "extendedKeyUsage=serverAuth")
    openssl("headgate", "key.pem", "-out", home / "cert.pem", *signed, "-addext",
            "extendedKeyUsage=clientAuth")
