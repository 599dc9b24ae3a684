# SPDX-License-Identifier: MIT
"""Two runs beside each other: what moved beyond the noise."""

import json

from . import stats
from .host import die
from .report import digits, values
from .workloads import ALL


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            run = json.load(file)
    except OSError as error:
        die(f"{path}: {error.strerror}", 2)
    except ValueError:
        die(f"{path}: no JSON", 2)
    if run.get("format") != 1:
        die(f"{path}: not a run of this harness", 2)
    return run


def differences(old, new):
    """Whatever makes the two runs unlike, so that a change need not be the program's."""
    found = []
    for key in ("cpu", "processors", "kernel", "kernel_tls"):
        if old["facts"].get(key) != new["facts"].get(key):
            found.append(f"{key}: {old['facts'].get(key)} -> {new['facts'].get(key)}")
    for key in sorted(set(old["sizes"]) | set(new["sizes"])):
        if "rounds" not in key and old["sizes"].get(key) != new["sizes"].get(key):
            found.append(f"size of {key}: {old['sizes'].get(key)} -> {new['sizes'].get(key)}")
    for name in sorted(set(old["tables"]) & set(new["tables"])):
        before, after = old["tables"][name], new["tables"][name]
        if before["openssl"] != after["openssl"]:
            found.append(f"{name}: {before['openssl']} -> {after['openssl']}")
        for proxy in sorted(set(before["versions"]) & set(after["versions"])):
            if before["versions"][proxy] != after["versions"][proxy]:
                found.append(f"{name}, {proxy}: {before['versions'][proxy]} -> {after['versions'][proxy]}")
    return found


def changes(old, new):
    """(table, workload, proxy, metric, median before, median after, change, whether it moved) of all in both."""
    for table in old["tables"]:
        if table not in new["tables"]:
            continue
        for workload in ALL:
            before = old["tables"][table]["workloads"].get(str(workload.number), {})
            after = new["tables"][table]["workloads"].get(str(workload.number), {})
            for proxy in before:
                if proxy not in after:
                    continue
                for metric in workload.metrics:
                    ours, theirs = values(before[proxy], metric.key), values(after[proxy], metric.key)
                    if ours and theirs:
                        change, is_moved = stats.moved(ours, theirs)
                        yield (table, workload, proxy, metric, stats.median(ours), stats.median(theirs), change,
                               is_moved)
                    elif ours or theirs:
                        yield table, workload, proxy, metric, ours, theirs, None, True


def main(old_path, new_path):
    old, new = load(old_path), load(new_path)
    print(f"{old_path} -> {new_path}")
    for line in differences(old, new):
        print(f"  unlike: {line}")
    looked_at = moved = 0
    worse = []
    for table, workload, proxy, metric, before, after, change, is_moved in changes(old, new):
        looked_at += 1
        if not is_moved:
            continue
        moved += 1
        place = f"{table} {workload.number} {workload.name}, {proxy}"
        if change is None:
            print(f"{place:34} {metric.label[:18]:18} {'measured' if before else 'failed'} -> "
                  f"{'measured' if after else 'failed'}")
            continue
        is_worse = (change > 0) == (metric.better == "low")
        print(f"{place[:34]:34} {metric.label[:18]:18} {digits(before):>8} {digits(after):>8} {change * 100:+6.1f}%")
        if is_worse and proxy.startswith("headgate") and (metric.target or metric.absolute is not None):
            worse.append(f"{place}: {metric.label}")
    if not looked_at:
        die("the two runs have no figure in common", 2)
    print(f"{looked_at} figures, {moved} moved beyond the noise; "
          f"of headgate's with a target {len(worse)} for the worse")
    for line in worse:
        print(f"  worse: {line}")
