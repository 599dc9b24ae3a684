# SPDX-License-Identifier: MIT
"""A real Docker Engine of its own, and its CLI, for workload 12."""

import hashlib
import json
import os
import subprocess
import tarfile
import time

from . import process
from .host import TOKEN, TOP, WORK, Failed, say

ENGINE = os.path.join(TOP, "tests/support/engine")
SUITE = "trixie"
IMAGE = "headgate-bench:image"


class Docker:
    """Its socket's path has to be short, and its data wants a real file system."""

    def __init__(self, size, core):
        self.size, self.core = size, core
        self.dir = os.path.join(WORK, "docker")
        self.socket = os.path.join(self.dir, "docker.sock")
        self.archive = os.path.join(WORK, "image.tar")
        self.config = os.path.join(WORK, "docker-config")
        self.cli = None

    def start(self):
        if os.geteuid() != 0:
            raise Failed("a private engine needs root")
        say("starting a private Docker Engine")
        for command in ([ENGINE, "cli", SUITE], [ENGINE, "start", SUITE, self.dir]):
            done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            if done.returncode:
                raise Failed(f"the engine does not start: {' '.join(done.stderr.split())[-200:]}")
            if command[1] == "cli":
                self.cli = done.stdout.strip()
        with open(os.path.join(self.dir, "pid"), encoding="ascii") as file:
            self.pin(int(file.read().split()[0]))
        os.chmod(self.socket, 0o777)  # not every peer works as root; it is this run's engine alone
        os.makedirs(self.config, exist_ok=True)
        with open(os.path.join(self.config, "config.json"), "w", encoding="ascii") as file:
            json.dump({"HttpHeaders": {"token": TOKEN}}, file)
        self.make_archive()

    def pin(self, first):
        """Everything that dockerd is, beside the load: the proxy has its processor for itself."""
        if self.core is None:
            return
        waiting = [first]
        while waiting:
            pid = waiting.pop()
            waiting += process.family(pid)[1:]
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), {self.core})

    def make_archive(self):
        """An image of one layer of bytes that do not compress, as docker save writes it."""
        layer = os.path.join(WORK, "layer")
        with open(layer, "wb") as file:
            block = hashlib.shake_128(b"headgate").digest(1 << 20)
            written = 0
            while written < self.size:
                # Other bytes in each block, and the same ones in every run.
                block = block[1:] + block[:1]
                written += file.write(block[:self.size - written])
        with tarfile.open(layer + ".tar", "w", format=tarfile.GNU_FORMAT) as tar:
            tar.add(layer, arcname="data")
        os.unlink(layer)
        self.run(["import", layer + ".tar", IMAGE], None)
        os.unlink(layer + ".tar")
        self.run(["save", "-o", self.archive, IMAGE], None)

    def run(self, arguments, proxy, stdout=subprocess.DEVNULL):
        if proxy is None:
            where = ["-H", f"unix://{self.socket}"]
        else:
            where = ["-H", f"tcp://localhost:{proxy.port}", "--tlsverify", "--tlscacert", f"{WORK}/cert.pem"]
        done = subprocess.run([self.cli, "--config", self.config, *where, *arguments], stdin=subprocess.DEVNULL,
                              stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=180,
                              preexec_fn=process.pin(self.core))
        if done.returncode:
            raise Failed(f"docker {arguments[0]}: {done.stderr.decode(errors='replace').strip()[-200:]}")

    def transfer(self, what, proxy):
        """(seconds, the proxy's CPU seconds or None, bytes) of a load or save. proxy None: the engine's socket."""
        if what == "load":  # an image that is there has no layer to send
            self.run(["rmi", "-f", IMAGE], None)
        before = process.sample(proxy.pids()) if proxy else None
        started = time.monotonic()
        if what == "load":
            self.run(["load", "-q", "-i", self.archive], proxy)
        else:
            with open("/dev/null", "wb") as sink:
                self.run(["save", IMAGE], proxy, stdout=sink)
        took = time.monotonic() - started
        used = process.sample(proxy.pids()) - before if proxy else None
        return took, used.cpu_s if used else None, os.path.getsize(self.archive)

    def stop(self):
        subprocess.run([ENGINE, "stop", self.dir], capture_output=True, check=False)
        for path in (self.archive, os.path.join(WORK, "layer"), os.path.join(WORK, "layer.tar")):
            if os.path.exists(path):
                os.unlink(path)
