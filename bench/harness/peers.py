# SPDX-License-Identifier: MIT
"""The peers. Their configurations are templates in bench/peers, with the reason for each directive."""

import hashlib
import os
import re
import shutil
import subprocess

from .host import BENCH, TOKEN, WORK, Failed, raise_file_limit, tool
from .proxies import Proxy, first_line


def fill(template, values):
    with open(os.path.join(BENCH, "peers", template), encoding="ascii") as file:
        text = file.read()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    left = re.search(r"@[A-Z_]+@", text)
    if left:
        raise ValueError(f"{template}: nothing for {left.group(0)}")
    return text


class Peer(Proxy):
    is_peer = True
    template = None
    uses_openssl = True  # the host's or the tree's
    # "No tickets" alone makes OpenSSL send tickets of another kind in TLS 1.3. Its own file of defaults reaches those
    # that have no directive for their number.
    environment = {"OPENSSL_CONF": os.path.join(WORK, "openssl.cnf")}

    def missing(self):
        if self.tree and not self.uses_openssl:
            return "it has TLS of its own, so OpenSSL's version is no matter"
        if self.tree:
            return None if self.tree.has(self.program) else f"{self.program} is not in the tree"
        return None if tool(self.program) else f"{self.program} is not installed"

    def binary(self):
        return self.program if self.tree else tool(self.program)

    def values(self):
        return {"DIR": self.dir, "CERT": f"{WORK}/cert.pem", "KEY": f"{WORK}/key.pem", "PAIR": f"{WORK}/pair.pem",
                "PORT": self.port, "ENGINE": self.engine, "TOKEN": TOKEN}

    def write(self, name, **more):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(fill(self.template, {**self.values(), **more}))
        return path

    def ask_version(self, *arguments, use_stderr=False, find=r"(.*)"):
        command = [self.binary(), *arguments]
        done = subprocess.run(self.tree.inside(command) if self.tree else command, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        found = re.search(find, done.stderr if use_stderr else done.stdout)
        return found.group(1) if found else "unknown"


class Nginx(Peer):
    program, package, template = "nginx", "nginx-light", "nginx.conf"

    def __init__(self, name, core, large_buffers):
        super().__init__(name, core)
        self.large_buffers = large_buffers

    def command(self):
        buffers = ""
        if self.large_buffers:
            with open(os.path.join(BENCH, "peers/nginx-64k.conf"), encoding="ascii") as file:
                buffers = file.read()
        return [self.binary(), "-p", self.dir, "-c", self.write("nginx.conf", BUFFERS=buffers)]

    def version(self):
        return self.ask_version("-v", use_stderr=True, find=r"(nginx/\S+)")


class Haproxy(Peer):
    program, package, template = "haproxy", "haproxy", "haproxy.cfg"

    def __init__(self, name, core, bufsize):
        super().__init__(name, core)
        self.bufsize = bufsize

    def command(self):
        return [self.binary(), "-db", "-f", self.write("haproxy.cfg", BUFSIZE=self.bufsize,
                                                       MAXCONN=min(30000, (raise_file_limit() - 500) // 2))]

    def version(self):
        return "haproxy/" + self.ask_version("-v", find=r"version (\S+)")


class Stunnel(Peer):
    program, package, template = "stunnel4", "stunnel4", "stunnel.conf"
    checks_token = False
    keeps_threads = False

    def command(self):
        return [self.binary(), self.write("stunnel.conf")]

    def version(self):
        return "stunnel/" + self.ask_version("-version", use_stderr=True, find=r"stunnel ([0-9.]+)")


class Hitch(Peer):
    program, package, template = "hitch", "hitch", "hitch.conf"
    checks_token = False

    def command(self):
        # It refuses to work as root; the key is read before it becomes nobody.
        user = 'user = "nobody"' if os.geteuid() == 0 else ""
        return [self.binary(), f"--config={self.write('hitch.conf', USER=user)}"]

    def version(self):
        return "hitch/" + self.ask_version("--version", find=r"hitch (\S+)")


class Caddy(Peer):
    program, package, template = "caddy", "caddy", "Caddyfile"
    uses_openssl = False

    @property
    def environment(self):
        # One processor for its scheduler and collector, too; its state stays in our directory.
        return {"GOMAXPROCS": "1", "HOME": self.dir, "XDG_DATA_HOME": self.dir, "XDG_CONFIG_HOME": self.dir}

    def command(self):
        return [self.binary(), "run", "--adapter", "caddyfile", "--config", self.write("Caddyfile")]

    def version(self):
        return "caddy/" + self.ask_version("version", find=r"(\S+)")


class Node(Peer):
    """The design that headgate replaces: node, the http-proxy package, a comparison of the token."""

    program = "node"
    uses_openssl = False

    def missing(self):
        return super().missing() or (None if tool("npm") else "npm is not installed")

    def install(self):
        """Once for each lock file, outside the source tree."""
        source, target = os.path.join(BENCH, "peers/node"), os.path.join(WORK, "node")
        want = hashlib.sha256()
        for name in ("package.json", "package-lock.json", "proxy.js"):
            with open(os.path.join(source, name), "rb") as file:
                want.update(file.read())
        stamp = os.path.join(target, ".complete")
        if os.path.exists(stamp) and open(stamp, encoding="ascii").read() == want.hexdigest():
            return target
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                              cwd=target, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"npm ci: {done.stderr.strip()[-200:]}")
        with open(stamp, "w", encoding="ascii") as file:
            file.write(want.hexdigest())
        return target

    def command(self):
        return [tool("node"), os.path.join(self.install(), "proxy.js"), str(self.port), self.engine, f"{WORK}/cert.pem",
                f"{WORK}/key.pem", TOKEN]

    def version(self):
        return f"node/{first_line([tool('node'), '--version'])}"


def all_peers(core):
    return [
        Nginx("nginx", core, False), Nginx("nginx-64k", core, True),
        Haproxy("haproxy", core, 16384), Haproxy("haproxy-64k", core, 65536),
        Stunnel("stunnel", core), Hitch("hitch", core), Caddy("caddy", core), Node("node", core),
    ]
