# SPDX-License-Identifier: MIT
"""Peers out of Debian trixie, which has OpenSSL 3.5 and HAProxy 3.0, on a host that has older ones."""

import os
import subprocess

from .host import BENCH, TOP, WORK, Failed, say

STATIC = os.path.join(TOP, "build/guest/bin")


class Tree:
    """bench/tree unpacks it; programs run in it by chroot, with our work directory at its own path."""

    def __init__(self):
        self.root = os.path.join(WORK, "trixie")

    def make(self):
        if os.geteuid() != 0:
            raise Failed("a tree of another release needs root")
        for command in ([os.path.join(BENCH, "tree")], [os.path.join(TOP, "tests/guest/build"), "bench"]):
            say(f"{os.path.relpath(command[0], TOP)}: OpenSSL 3.5 and what uses it")
            if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode:
                raise Failed(f"{os.path.relpath(command[0], TOP)} failed")

    def has(self, program):
        return any(os.path.exists(os.path.join(self.root, where, program)) for where in ("usr/sbin", "usr/bin"))

    def inside(self, command):
        """unshare and chroot both end in exec: the process is the program."""
        script = 'root=$1 work=$2; shift 2; mkdir -p "$root$work"; mount --bind "$work" "$root$work"; ' \
                 'mount --rbind /dev "$root/dev"; mount -t proc proc "$root/proc"; exec chroot "$root" "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "tree", self.root, WORK,
                *command]

    def openssl(self):
        done = subprocess.run(self.inside(["openssl", "version"]), capture_output=True, text=True, check=False)
        return " ".join(done.stdout.split()[:2]) or "unknown"
