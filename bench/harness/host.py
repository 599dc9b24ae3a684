# SPDX-License-Identifier: MIT
"""The machine: where things are, its processors, its clocks and its memory."""

import os
import re
import resource
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCH = os.path.join(TOP, "bench")
RELEASE = os.path.join(TOP, "build/release")
WORK = os.path.join(TOP, "build/bench")
TOKEN = "0123456789abcdef" * 8
GB = 1e9
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A measurement that could not be made; its text goes into the report."""


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def die(text, code=1):
    say(text)
    sys.exit(code)


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def tool(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")


def siblings(processor):
    """The processors that share a core with it, itself among them."""
    try:
        text = read(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list").strip()
    except OSError:
        return {processor}
    found = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def cores():
    """The proxy's processor and the one of load and engine, on another core if there is one; None each where there is
    only one."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        return None, None
    apart = [processor for processor in allowed if processor not in siblings(allowed[0])]
    return allowed[0], (apart or allowed[1:])[0]


def raise_file_limit():
    """10,000 streams are 20,000 descriptors of a proxy. Root may raise its own limit."""
    wanted = 65536
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def machine_busy_s():
    """Seconds that all processors together were not idle; time stolen by the hypervisor is not theirs."""
    fields = [int(text) for text in read("/proc/stat").split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, _steal = fields
    return (user + nice + system + irq + softirq) / TICKS


def kernel_memory_kb():
    """What sockets, their buffers and whoever serves them take: slabs, stacks, page tables, and the pages that TCP
    counts."""
    found = re.findall(r"^(?:Slab|KernelStack|PageTables):\s+(\d+) kB", read("/proc/meminfo"), re.M)
    pages = int(re.search(r"^TCP: .* mem (\d+)", read("/proc/net/sockstat"), re.M).group(1))
    return sum(int(text) for text in found) + pages * os.sysconf("SC_PAGESIZE") // 1024


def has_kernel_tls():
    try:
        return "tls" in read("/proc/sys/net/ipv4/tcp_available_ulp").split()
    except OSError:
        return False


def facts():
    match = re.search(r"^model name\s*: (.*)$", read("/proc/cpuinfo"), re.M)
    openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout
    git = subprocess.run(["git", "-C", TOP, "describe", "--tags", "--always", "--dirty"], capture_output=True,
                         text=True, check=False).stdout.strip()
    return {
        "cpu": match.group(1) if match else os.uname().machine,
        "processors": len(os.sched_getaffinity(0)),
        "kernel": os.uname().release,
        "kernel_tls": has_kernel_tls(),
        "openssl": " ".join(openssl.split()[:2]),
        "headgate": git or "unknown",
        "load_average": round(os.getloadavg()[0], 2),
    }
