# SPDX-License-Identifier: MIT
"""bench/guest's figures in the shape of a table: kernel TLS against headgate's own TLS in userspace, in counted
instructions and KB of memory, on a guest kernel that has it."""

import json
import os
import subprocess

from . import report
from .host import BENCH, WORK, Failed
from .workloads import Metric, Workload

OURS, YARDSTICK = "kTLS splice", "userspace"


class Counted(Workload):
    mode = None
    metrics = (Metric("cpu_s_per_gb", "counted s/GB", target=0.75, main=True),)


class LoadLength(Counted):
    number, name, mode, what = 1, "load", "up-cl", "images/load, Content-Length"


class LoadChunked(Counted):
    number, name, mode, what = 2, "load-chunked", "up-chunked", "images/load, chunked as Go does it"


class Get(Counted):
    number, name, mode, what = 3, "get", "down", "images/get"


class Idle(Counted):
    number, name, mode, what = 8, "idle", "idle", "400 idle TLS streams, beside 100 others"
    metrics = (Metric("user_kb", "user KB/stream", absolute=2, main=True), Metric("kernel_kb", "kernel KB, all ends"))


def run(runs):
    """bench/guest: {"kernel": ..., "figures": {cpu: {config: {mode: [s/GB]}}}, "idle": {cpu: {config: [KB, KB]}}}"""
    path = os.path.join(WORK, "guest.json")
    command = [os.path.join(BENCH, "guest"), "--runs", str(runs), "--json", path]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as process:
        try:
            output = process.communicate()[0]
        except BaseException:
            process.terminate()  # it ends its guests
            raise
    if process.returncode:
        raise Failed(f"bench/guest: {' '.join(output.split())[-300:]}")
    with open(path, encoding="ascii") as file:
        return json.load(file)


def rounds_of(workload, modes, idle):
    if isinstance(workload, Idle):
        return [dict(zip(("user_kb", "kernel_kb"), idle))]
    return [{"cpu_s_per_gb": value} for value in modes.get(workload.mode, [])]


def tables(result):
    """(name, table, workloads) for each CPU model, printed as the others are."""
    for cpu, configs in result["figures"].items():
        table = {"openssl": "OpenSSL of the static build", "skipped": {}, "failed": {}, "workloads": {}, "verdicts": [],
                 "versions": {name: f"headgate in Linux {result['kernel']}" for name in configs}}
        kinds = [kind(None, None) for kind in (LoadLength, LoadChunked, Get, Idle)]
        print(f"\n==== guest, -cpu {cpu}: Linux {result['kernel']} in qemu, counted instructions ====")
        for workload in kinds:
            records = {name: {"rounds": rounds_of(workload, modes, result["idle"][cpu][name])}
                       for name, modes in configs.items()}
            table["workloads"][str(workload.number)] = records
            table["verdicts"] += report.judge(workload, records, [YARDSTICK], OURS)
            report.workload_table(workload, records, [YARDSTICK], {})
        report.verdict_table(table["verdicts"], "kTLS and splice against headgate's own TLS in userspace")
        yield f"guest {cpu}", table, kinds
