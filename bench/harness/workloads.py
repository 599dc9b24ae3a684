# SPDX-License-Identifier: MIT
"""The workloads: what is done, which figures come out of it, and what headgate should reach.

Each measure() is one round with one proxy and returns {metric key: figure}.
"""

import dataclasses
import time

from . import host, loads, process, stats
from .host import GB, Failed


@dataclasses.dataclass(frozen=True)
class Metric:
    key: str
    label: str  # with its unit
    better: str = "low"  # or "high"
    target: float = None  # headgate's ratio to the best peer
    absolute: float = None  # or its figure itself
    main: bool = False  # has a plot
    steady: bool = False  # one round is as good as many

    def has_spread(self):
        """Whether the table shows how far its rounds lie apart; it does so where somebody compares."""
        return self.main or self.target is not None or self.key in ("p99_us", "mb_per_s")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much of everything: the full run and the quick one."""

    rounds: int
    few_rounds: int  # of logs and echo: as many, but in the quick run
    bytes: int
    mixed_bytes: int
    pings: int
    paced_pings: int
    handshakes: int
    idle: int
    followers: int
    lines: int
    sessions: int
    echoes: int
    attack_pings: int
    image_bytes: int


# Seven rounds of 288 MiB are 2.1 GB a workload and proxy; smaller pieces, because the machine changes within seconds.
FULL = Sizes(rounds=7, few_rounds=7, bytes=288 << 20, mixed_bytes=6 << 20, pings=10000, paced_pings=1000,
             handshakes=800, idle=10000, followers=1000, lines=2, sessions=1000, echoes=5000, attack_pings=100,
             image_bytes=500 * 1000 * 1000)
QUICK = Sizes(rounds=3, few_rounds=1, bytes=96 << 20, mixed_bytes=2 << 20, pings=4000, paced_pings=800,
              handshakes=200, idle=1000, followers=200, lines=2, sessions=200, echoes=1000, attack_pings=100,
              image_bytes=100 * 1000 * 1000)

# Whom a workload leaves out, for the time that it takes: one of two configurations that differ by their buffers, where
# these decide little or neither is near the best; of headgate's event back-ends the one that is not the default; and
# where a round waits for a second and more, who was a third and more behind the best.
LARGE_BUFFERS = ("headgate-epoll", "nginx-64k", "haproxy-64k")
BEHIND = (*LARGE_BUFFERS, "stunnel", "node")


def each(amount, count):
    return None if amount is None else amount / count


def per_gb(result):
    size = result["bytes"] / GB
    return {"cpu_s_per_gb": result["cpu_s"] / size, "mb_per_s": result["bytes_per_s"] / 1e6,
            "user_share": result["user_s"] / max(result["user_s"] + result["system_s"], 1e-9),
            "iowq_s_per_gb": result["iowq_s"] / size, "switches_per_gb": each(result["switches"], size),
            "machine_s_per_gb": result["machine_s"] / size}


def latencies(result):
    figures = {f"{key}_us": result[f"{key}_us"] for key in ("p50", "p99", "p999")}
    if result["watched"]:
        figures.update(left_out=result["left_out"] / max(result["latencies"], 1),
                       **{key: result[key] for key in ("all_p99_us", "stalled_share", "longest_stall_ms")})
    return figures


BULK_EXTRA = (
    Metric("user_share", "of it user"),
    Metric("mb_per_s", "MB/s", better="high"),
    Metric("iowq_s_per_gb", "io-wq s/GB"),
    Metric("switches_per_gb", "switches/GB"),
    Metric("machine_s_per_gb", "machine s/GB"),
    Metric("peak_mb", "peak RSS MB"),
)


class Workload:
    number = 0
    name = ""
    what = ""
    metrics = ()
    seldom = False  # few rounds
    real_engine = False
    prompt_engine = False  # latencies: the stand-in engine has to answer at once, whatever else its processor does
    awake = False  # mostly waits: its processors are kept from sleep, out of which a guest's come late
    without = ()  # whom `make bench` leaves out here
    parts = (None,)  # what is done one after the other, each with all rounds
    part = None  # of them; set by measure.py
    row = None  # how many columns a row of its table has; None: as many as fit

    def __init__(self, sizes, core):
        self.sizes, self.core = sizes, core

    def rounds(self):
        return self.sizes.few_rounds if self.seldom else self.sizes.rounds

    def warm_up(self, proxy):
        """Not measured, before the first round of a proxy that was started or did something else."""
        loads.measure(proxy, self.core, "ping", "--requests", 200, "--connections", 8)

    def measure(self, proxy):
        raise NotImplementedError


class Bulk(Workload):
    mode = None
    syscalls = True

    def warm_up(self, proxy):
        loads.measure(proxy, self.core, self.mode, "--bytes", 32 << 20)

    def measure(self, proxy):
        process.forget_peak(proxy.pids())
        figures = per_gb(loads.measure(proxy, self.core, self.mode, "--bytes", self.sizes.bytes))
        return {**figures, "peak_mb": process.memory_kb(proxy.pids(), "VmHWM") / 1024}


class LoadLength(Bulk):
    number, name, mode = 1, "load", "up-cl"
    what = "images/load, Content-Length"
    metrics = (Metric("cpu_s_per_gb", "CPU s/GB", target=0.75, main=True), *BULK_EXTRA)


class LoadChunked(Bulk):
    number, name, mode = 2, "load-chunked", "up-chunked"
    what = "images/load, chunked as Go does it"
    metrics = (Metric("cpu_s_per_gb", "CPU s/GB", target=0.75, main=True), *BULK_EXTRA)


class Get(Bulk):
    number, name, mode = 3, "get", "down"
    what = "images/get"
    metrics = (Metric("cpu_s_per_gb", "CPU s/GB", target=0.70, main=True), *BULK_EXTRA)


class Mixed(Workload):
    number, name = 4, "mixed"
    what = "64 transfers at once, both ways"
    metrics = (
        Metric("mb_per_s", "MB/s", better="high", target=1.2, main=True),
        Metric("jain", "fairness (Jain)", better="high", absolute=0.95),
        Metric("cpu_s_per_gb", "CPU s/GB"),
        Metric("peak_mb", "peak RSS MB"),
    )

    def measure(self, proxy):
        process.forget_peak(proxy.pids())
        result = loads.measure(proxy, self.core, "mixed", "--connections", 64, "--bytes", self.sizes.mixed_bytes)
        figures = per_gb(result)
        figures["jain"] = stats.jain([1 / seconds for seconds in result["transfer_s"]])
        figures["peak_mb"] = process.memory_kb(proxy.pids(), "VmHWM") / 1024
        return figures


class Ping(Workload):
    number, name = 5, "ping"
    what = "_ping and inspect with token, 32 kept connections"
    metrics = (
        Metric("cpu_us", "CPU us/request", target=0.9, main=True),
        Metric("p99_us", "p99 us", target=1.0),
        Metric("inspect_cpu_us", "inspect: CPU us", target=0.9),
        Metric("inspect_p99_us", "inspect: p99 us", target=1.0),
        Metric("p50_us", "p50 us"),
        Metric("p999_us", "p99.9 us"),
        Metric("requests_per_s", "requests/s", better="high"),
        Metric("switches_per_request", "switches/request"),
    )
    without = LARGE_BUFFERS
    arguments = ("--connections", 32)

    def warm_up(self, proxy):
        for mode in ("ping", "inspect"):
            loads.measure(proxy, self.core, mode, "--requests", 1000, *self.arguments)

    def measure(self, proxy):
        result, inspects = (loads.measure(proxy, self.core, mode, "--requests", count, *self.arguments, watched=True)
                            for mode, count in (("ping", self.sizes.pings), ("inspect", self.sizes.pings // 2)))
        return {"cpu_us": result["cpu_s"] / result["requests"] * 1e6, "requests_per_s": result["requests_per_s"],
                "switches_per_request": each(result["switches"], result["requests"]), **latencies(result),
                "inspect_cpu_us": inspects["cpu_s"] / inspects["requests"] * 1e6, "inspect_p99_us": inspects["p99_us"]}


class PingUnderBulk(Workload):
    number, name, without = 6, "ping-bulk", LARGE_BUFFERS
    prompt_engine = True
    what = "500 _ping/s while images/load runs"
    metrics = (
        Metric("p99_us", "p99 us", target=0.5, main=True),
        Metric("p50_us", "p50 us"),
        Metric("p999_us", "p99.9 us"),
        Metric("bulk_mb_per_s", "bulk MB/s", better="high"),
    )

    def measure(self, proxy):
        """The pings go by the clock: what a slow answer delays counts as late. Their client and the engine are real-time
        processes (as root), because what is measured is the proxy, not the queue for the processor that they share with
        the bulk's client."""
        bulk = loads.load(proxy, self.core, "up-cl", "--bytes", self.sizes.bytes // 3, "--requests", 1 << 30)
        try:
            bulk.go()
            time.sleep(0.2)
            result = loads.measure(proxy, self.core, "ping", "--connections", 4, "--interval-us", 8000, "--requests",
                                   self.sizes.paced_pings, realtime=True, watched=True)
            moved = bulk.interrupt().result()
            bulk.end()
        finally:
            bulk.close()
        return {**latencies(result), "bulk_mb_per_s": moved["bytes_per_s"] / 1e6}


class Handshake(Workload):
    number, name, without = 7, "handshake", LARGE_BUFFERS
    what = "a new connection for each _ping"
    metrics = (
        Metric("cpu_us", "CPU us/connection", target=1.0, main=True),
        Metric("p50_us", "p50 us"),
        Metric("p99_us", "p99 us"),
        Metric("requests_per_s", "connections/s", better="high"),
    )

    def warm_up(self, proxy):
        loads.measure(proxy, self.core, "handshake", "--requests", 50, "--connections", 8)

    def measure(self, proxy):
        result = loads.measure(proxy, self.core, "handshake", "--requests", self.sizes.handshakes, "--connections", 8,
                               watched=True)
        return {"cpu_us": result["cpu_s"] / result["requests"] * 1e6, "requests_per_s": result["requests_per_s"],
                **latencies(result)}


class Idle(Workload):
    number, name, without = 8, "idle", LARGE_BUFFERS
    what = "idle TLS streams"
    metrics = (
        Metric("user_kb", "user KB/stream", target=0.9, main=True, steady=True),
        Metric("kernel_kb", "kernel KB/stream (*)"),
    )

    def __init__(self, sizes, core):
        super().__init__(sizes, core)
        # A proxy has two descriptors for each.
        self.count = min(sizes.idle, (host.raise_file_limit() - 600) // 2)
        self.what = f"{self.count} idle TLS streams"
        if self.count < sizes.idle:
            self.what += ", as many as descriptors allow"

    def rounds(self):
        return 1  # each takes a fresh process and 10,000 handshakes, and memory hardly varies

    def measure(self, proxy):
        proxy.restart()
        loads.measure(proxy, self.core, "ping", "--requests", 10)
        time.sleep(0.3)
        count = self.count
        runner = loads.load(proxy, self.core, "idle", "--connections", count, "--sources", 8)
        try:
            user, kernel = process.memory_kb(proxy.pids(), "VmRSS"), host.kernel_memory_kb()
            runner.go().result()
            time.sleep(1)
            user = process.memory_kb(proxy.pids(), "VmRSS") - user
            kernel = host.kernel_memory_kb() - kernel
            left = int(runner.end().split(b":")[1].strip(b" }\n"))
        finally:
            runner.close()
            # The next one needs the engine's descriptors, whatever this one keeps.
            proxy.restart()
            time.sleep(1)
        if left != count:
            raise Failed(f"only {left} of {count} streams were left")
        return {"user_kb": user / count, "kernel_kb": kernel / count}


class Logs(Workload):
    number, name, seldom, without = 9, "logs", True, BEHIND
    prompt_engine = awake = True
    what = "log followers, a line a second each"
    metrics = (
        Metric("p99_us", "p99 us", target=1.0, main=True),
        Metric("missing", "lines missing", absolute=0),
        Metric("p50_us", "p50 us"),
        Metric("cpu_us", "CPU us/line"),
        Metric("switches_per_line", "switches/line"),
    )

    def measure(self, proxy):
        """The first lines come a second after the requests: what a line costs is taken from the steady time between
        these and the end, the latencies are those of all lines but the last."""
        count, lines = self.sizes.followers, self.sizes.lines
        runner = loads.load(proxy, self.core, "logs", "--connections", count, "--lines", lines,
                            "--interval-us", 1000000, "--sources", 8, realtime=True, watched=True)
        try:
            runner.go()
            time.sleep(1.2)
            before, started = process.sample(proxy.pids()), time.monotonic()
            time.sleep(lines - 1.4)
            used, took = process.sample(proxy.pids()) - before, time.monotonic() - started
            result = runner.result()
            runner.end()
        finally:
            runner.close()
        # The load ends with an error at a line that is missing or out of order; this counts once more.
        switches = each(used.switches, count * took) if proxy.keeps_threads else None
        return {**latencies(result), "missing": count * lines - result["lines"],
                "cpu_us": used.cpu_s / (count * took) * 1e6, "switches_per_line": switches}


class Echo(Workload):
    number, name, seldom, without = 10, "echo", True, BEHIND
    prompt_engine = awake = True
    what = "exec sessions, 5 bytes a second each"
    metrics = (
        Metric("p99_us", "p99 us", target=0.8, main=True),
        Metric("p50_us", "p50 us"),
        Metric("p999_us", "p99.9 us"),
        Metric("cpu_us", "CPU us/echo"),
    )

    def measure(self, proxy):
        result = loads.measure(proxy, self.core, "echo", "--connections", self.sizes.sessions, "--requests",
                               self.sizes.echoes, "--interval-us", 200000, "--sources", 8, realtime=True, watched=True)
        return {**latencies(result), "cpu_us": result["cpu_s"] / result["requests"] * 1e6}


# The longest an attack lasts: some proxies serve nobody meanwhile.
ATTACK_S = 3
# How much more memory an attack may take than the first two did. The others come on top of each other: connections'
# memory that is lost adds up, an allocator and its pages settle within this share.
GROWN_PERCENT = 15


class Abuse(Workload):
    """A round is an attack, and the proxy has not been started again since the one before: the first two make the room
    that the others find."""

    number, name, without = 11, "abuse", BEHIND
    prompt_engine = True
    row = 6
    what = "attackers from one address, a good client"
    parts = (("slow-heads", "slow heads", 500), ("stalled-readers", "stalled", 100), ("tiny-records", "1-byte rec.", 4),
             ("bad-tokens", "bad tokens", 8))
    metrics = tuple(metric for kind, label, _ in parts for metric in (
        Metric(f"{kind}_p99_us", f"{label}: p99 us", main=True),
        Metric(f"{kind}_lost", f"{label}: not served", absolute=0),
        Metric(f"{kind}_kb", f"{label}: KB each"),
        Metric(f"{kind}_grown", f"{label}: grown %", absolute=GROWN_PERCENT),
        Metric(f"{kind}_cpu", f"{label}: CPU share"),
        Metric(f"{kind}_sent", f"{label}: sent/s"),
    ))

    def __init__(self, sizes, core):
        super().__init__(sizes, core)
        self.quiet_kb, self.peaks_kb = {}, {}  # by proxy: before the first attack, and in each

    def warm_up(self, proxy):
        proxy.restart()
        loads.measure(proxy, self.core, "ping", "--requests", 100)
        self.quiet_kb[proxy.name], self.peaks_kb[proxy.name] = process.memory_kb(proxy.pids(), "VmRSS"), []

    def measure(self, proxy):
        kind, label, count = self.part
        if kind == "bad-tokens" and not proxy.checks_token:
            return {}
        try:
            figures, peak_kb = self.attack(proxy, kind, count)
        except Failed as failure:
            raise Failed(f"{label}: {failure}") from failure
        before = self.peaks_kb[proxy.name]
        figures["kb"] = (peak_kb - self.quiet_kb[proxy.name]) / count
        if len(before) > 1:
            figures["grown"] = max(0, (peak_kb / max(before[:2]) - 1) * 100)
        before.append(peak_kb)
        return {f"{kind}_{key}": value for key, value in figures.items()}

    def attack(self, proxy, kind, count):
        """(figures, the most memory it took, in KB)"""
        requests = self.sizes.attack_pings
        process.forget_peak(proxy.pids())
        attackers = loads.abuse(proxy, self.core, kind, ATTACK_S, count)
        try:
            attackers.go()
            begun = time.monotonic()
            time.sleep(0.3)
            before, started = process.sample(proxy.pids()), time.monotonic()
            good = loads.measure(proxy, self.core, "ping", "--connections", 4, "--interval-us", 20000, "--requests",
                                 requests, realtime=True, watched=True)
            used, took = process.sample(proxy.pids()) - before, time.monotonic() - started
            memory_kb = process.memory_kb(proxy.pids(), "VmHWM")
            attacked_s = min(time.monotonic() - begun, ATTACK_S)
            sent = attackers.interrupt().result()["sent"] / attacked_s
            attackers.end()
        finally:
            attackers.close()
        return {"p99_us": good["p99_us"], "lost": requests - good["requests"], "cpu": used.cpu_s / took,
                "sent": sent}, memory_kb


class Docker(Workload):
    """docker load and docker save with Docker's own CLI and engine; direct is the engine's own socket."""

    number, name, real_engine = 12, "docker", True
    what = "docker load and save, real engine"
    # A round takes eight seconds of each, most of them the engine's: the two peers that were best at load.
    without = ("headgate-epoll", "nginx", "haproxy", "haproxy-64k", "stunnel", "hitch", "node")
    metrics = (
        Metric("load_cpu_s_per_gb", "load: CPU s/GB", main=True),
        Metric("save_cpu_s_per_gb", "save: CPU s/GB"),
        Metric("load_s", "load: s"),
        Metric("save_s", "save: s"),
    )

    def __init__(self, sizes, core):
        super().__init__(sizes, core)
        self.docker = None  # set by measure.py: a dockerd.Docker

    def measure(self, proxy):
        figures = {}
        for what in ("load", "save"):
            seconds, cpu_s, size = self.docker.transfer(what, proxy if proxy.has_engine else None)
            figures[f"{what}_s"] = seconds
            if cpu_s is not None:
                figures[f"{what}_cpu_s_per_gb"] = cpu_s / (size / GB)
        return figures


ALL = (LoadLength, LoadChunked, Get, Mixed, Ping, PingUnderBulk, Handshake, Idle, Logs, Echo, Abuse, Docker)


def choose(text):
    """Of "1,ping,..."; None for an unknown one."""
    chosen = []
    for word in text.replace(",", " ").split():
        found = [kind for kind in ALL if word in (str(kind.number), kind.name)]
        if not found:
            raise ValueError(f"no workload '{word}'; there are: "
                             + ", ".join(f"{kind.number} {kind.name}" for kind in ALL))
        chosen += [kind for kind in found if kind not in chosen]
    return chosen
