# SPDX-License-Identifier: MIT
"""Processes: pinned starts and sure ends, and what the kernel counts of them."""

import ctypes
import dataclasses
import os
import re
import signal
import subprocess
import time

from . import host


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def pin(core, realtime=False):
    """What a child does first: keep to one processor, in a session of its own, and end with us whatever ends us."""

    def child():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if core is not None:
            os.sched_setaffinity(0, {core})
        if realtime:
            try:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            except PermissionError:
                pass
        os.setsid()

    return child


def keep_awake(core):
    """Uses what time nobody else wants on that processor, so that it does not sleep: out of that a guest's processor
    comes when its host has time for it, up to milliseconds late. The process is the caller's to stop."""
    child = pin(core)

    def idle():
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        child()

    return subprocess.Popen(["sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL, preexec_fn=idle)


def hurry_threads(pid, first):
    """Before all other programs on its processor, or like them; where we may. What ends meanwhile is no matter.

    No real-time processes: a thread that spins until another one of the program has done its part, as collectors of
    garbage do, would wait for ever, and all other programs with it.
    """
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        try:
            os.setpriority(os.PRIO_PROCESS, int(thread), -20 if first else 0)
        except (PermissionError, ProcessLookupError):
            pass


def hurry_session(pid, first):
    """The same for its whole session, where the kernel groups by it: nice values count within a group only then."""
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
            file.write("-20" if first else "0")
    except OSError:
        pass


def stop(process):
    """Ends what pin() has started, with its children."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except OSError:
                process.kill()
            process.wait()


def forget_peak(pids):
    """VmHWM is what was the most since now."""
    for pid in pids:
        try:
            with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        except OSError:
            pass


def family(pid):
    """The process and its children, which is all that the programs here start."""
    found = [pid]
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            parent = int(host.read(f"/proc/{name}/stat").rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if parent == pid:
            found.append(int(name))
    return found


def memory_kb(pids, field):
    total = 0
    for pid in pids:
        match = re.search(rf"^{field}:\s+(\d+) kB", host.read(f"/proc/{pid}/status"), re.M)
        total += int(match.group(1)) if match else 0
    return total


def cpu_clock_s(pid):
    """User and system time of all threads, also of those that have ended (io-wq workers are threads, too).

    The same sum as utime + stime in /proc/PID/stat, but in nanoseconds instead of ticks of 10 ms: the
    process's CPU clock, whose id Linux makes of the pid (clock_getcpuclockid(3)).
    """
    return time.clock_gettime(((~pid) << 3) | 2)


@dataclasses.dataclass
class Sample:
    """What has been used up to now. Two of them subtracted are what a measurement took."""

    cpu_s: float
    user_s: float
    system_s: float
    iowq_s: float
    switches: int  # None when threads have ended meanwhile: the kernel does not keep what they had
    machine_s: float

    def __sub__(self, before):
        used = Sample(*(getattr(self, field.name) - getattr(before, field.name)
                        for field in dataclasses.fields(self)))
        used.iowq_s = max(used.iowq_s, 0.0)
        used.switches = used.switches if used.switches >= 0 else None
        return used


def sample(pids):
    cpu = user = system = iowq = 0.0
    switches = 0
    for pid in pids:
        cpu += cpu_clock_s(pid)
        fields = host.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        user += int(fields[11]) / host.TICKS
        system += int(fields[12]) / host.TICKS
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                status = host.read(f"/proc/{pid}/task/{task}/status")
                switches += sum(int(n) for n in re.findall(r"voluntary_ctxt_switches:\s+(\d+)", status))
                if status.startswith("Name:\tiou-wrk"):
                    iowq += int(host.read(f"/proc/{pid}/task/{task}/schedstat").split()[0]) / 1e9
            except (OSError, IndexError):  # a thread that has just ended
                continue
    return Sample(cpu, user, system, iowq, switches, host.machine_busy_s())
