# SPDX-License-Identifier: MIT
"""Two runs beside each other: what moved beyond the noise."""

import json
import os

from . import stats
from .host import die
from .report import digits, values
from .workloads import ALL


MACHINE = ("cpu", "processors", "kernel")


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            run = json.load(file)
    except OSError as error:
        hint = "; `make bench` writes it" if os.path.basename(path) in ("last.json", "baseline.json") else ""
        die(f"{path}: {error.strerror}{hint}", 2)
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
        if key != "few_rounds" and old["sizes"].get(key) != new["sizes"].get(key):
            found.append(f"size of {key}: {old['sizes'].get(key)} -> {new['sizes'].get(key)}")
    for name in sorted(set(old["tables"]) & set(new["tables"])):
        before, after = old["tables"][name], new["tables"][name]
        if before["openssl"] != after["openssl"]:
            found.append(f"{name}: {before['openssl']} -> {after['openssl']}")
        for what, names in (("only before", set(before["versions"]) - set(after["versions"])),
                            ("only after", set(after["versions"]) - set(before["versions"]))):
            if names:
                found.append(f"{name}, {what}: {', '.join(sorted(names))}")
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


def between(verdict):
    """One round lies where it lies."""
    return verdict.get("between", (verdict["value"],) * 2)


def targets(old, new):
    """(table, verdict before, verdict after, whether their ratios lie apart) of all in both. A ratio has the machine's
    speed on both sides, so it can be compared where seconds cannot."""
    for table in old["tables"]:
        after = {(verdict["workload"], verdict["metric"]): verdict
                 for verdict in new["tables"].get(table, {}).get("verdicts", [])}
        for verdict in old["tables"][table].get("verdicts", []):
            other = after.get((verdict["workload"], verdict["metric"]))
            if not other or verdict["kind"] != "ratio" or verdict["value"] is None or other["value"] is None:
                continue
            (low, high), (other_low, other_high) = between(verdict), between(other)
            gap = max(low - other_high, other_low - high)
            yield table, verdict, other, gap > stats.NOISE_FLOOR * verdict["value"]


def print_targets(old, new):
    found = list(targets(old, new))
    if not found:
        return False
    print(f"\n{'ratio to the best peer':40}{'before':>17}{'after':>17}")
    for table, before, after, apart in found:
        place = f"{table} {before['workload']} {before['name']}: {before['label']}"
        cells = "".join("{:8.2f} {:.2f}-{:.2f}".format(verdict["value"], *between(verdict)).rjust(18)
                        for verdict in (before, after))
        print(f"{place[:39]:39}{cells}{'  *' if apart else ''}".rstrip())
    count = sum(apart for *_, apart in found)
    print(f"{len(found) - count} of {len(found)} ratios lie where they lay" + (", others (*) apart" if count else ""))
    return True


def main(old_path, new_path):
    old, new = load(old_path), load(new_path)
    print(f"{old_path} -> {new_path}")
    for line in differences(old, new):
        print(f"  unlike: {line}")
    amounts = (set(old["sizes"]) | set(new["sizes"])) - {"rounds", "few_rounds"}
    if any(old["facts"].get(key) != new["facts"].get(key) for key in MACHINE) or \
            any(old["sizes"].get(key) != new["sizes"].get(key) for key in amounts):
        print("  so seconds are not compared, only ratios")
        if not print_targets(old, new):
            die("the two runs have no ratio in common", 2)
        return
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
    print_targets(old, new)
