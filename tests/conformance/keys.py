"""The token, and the certificates of a run."""

from __future__ import annotations

import base64
import hashlib
import secrets
import subprocess
from dataclasses import replace
from pathlib import Path

from model import (BASIC, DEPLOYER, ELSEWHERE, EXPIRED, OTHERS, READER, ROTATED, SHORT, TOKEN, Send,
                   Steps)


class Secrets:
    """The token, put into what is sent and masked in what is printed."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(32)
        self.basic = base64.b64encode(f"user:{self.token}".encode()).decode()
        self.others = {mark: secrets.token_hex(32) for mark in OTHERS}

    def token_file(self) -> str:
        """The other tokens, as headgate keeps them."""
        digest = {mark: hashlib.sha256(secret.encode()).hexdigest()
                  for mark, secret in self.others.items()}
        return (f"reader sha256={digest[READER]} role=read\n"
                f"deployer sha256={digest[DEPLOYER]} role=deploy previous={digest[ROTATED]} "
                "previous-until=2100-01-01T00:00:00Z\n"
                f"expired sha256={digest[EXPIRED]} role=admin expires=2026-01-01T00:00:00Z\n"
                f"elsewhere sha256={digest[ELSEWHERE]} role=admin from=192.0.2.0/24,2001:db8::/32\n")

    def fill(self, steps: Steps) -> Steps:
        return tuple(replace(s, data=self.into(s.data)) if isinstance(s, Send) else s
                     for s in steps)

    def into(self, data: bytes) -> bytes:
        for mark, value in ((TOKEN, self.token), (SHORT, self.token[:-1]), (BASIC, self.basic),
                            *self.others.items()):
            data = data.replace(mark.encode(), value.encode())
        return data

    def masked(self, line: str) -> str:
        for mark, secret in self.others.items():
            line = line.replace(secret, mark)
        return line.replace(self.token, TOKEN).replace(self.basic, BASIC)

    def leaked(self, data: bytes) -> bool:
        return any(secret.encode() in data
                   for secret in (self.token, self.basic, *self.others.values()))


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
