# SPDX-License-Identifier: MIT
"""What was measured, in 80 columns, and whether the targets were met."""

import textwrap

from . import stats

NAME_WIDTH, WIDE, NARROW, LINE = 15, 13, 10, 80


LEGEND = (
    ("direct", "no proxy: the stand-in engine with TLS of its own, where the proxies run"),
    ("headgate-epoll", "with --event epoll in place of io_uring"),
    ("machine", "CPU of all processors; io-wq: of it, io_uring's own threads; switches: context switches"),
)


def values(record, key):
    return [figures[key] for figures in record["rounds"] if figures.get(key) is not None]


def digits(value):
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def cell(record, metric):
    found = values(record, metric.key)
    if not found:
        return "failed" if "failed" in record else "-"
    text, spread = digits(stats.median(found)), stats.spread(found) * 100
    if len(found) == 1 or not metric.has_spread():
        return text
    return f"{text} ±{spread:.0f}%" if spread < 99.5 else f"{text} ±>99%"


def best_peer(records, peers, metric):
    """The peer whose median is the best, or None."""
    found = {name: stats.median(values(records[name], metric.key)) for name in peers
             if name in records and "failed" not in records[name] and values(records[name], metric.key)}
    if not found:
        return None
    return (min if metric.better == "low" else max)(found, key=found.get)


def ratio(records, name, best, metric):
    ours, theirs = values(records[name], metric.key), values(records[best], metric.key)
    if not ours or not theirs:
        return None
    return stats.ratio_by_round(ours, theirs)


def judge(workload, records, peers, name="headgate", gates=()):
    """One verdict for each target of a workload; `gates` are the peers that check the token, too."""
    verdicts = []
    for metric in workload.metrics:
        if metric.target is None and metric.absolute is None:
            continue
        verdict = {"workload": workload.number, "name": workload.name, "metric": metric.key, "label": metric.label,
                   "target": metric.target if metric.target is not None else metric.absolute,
                   "kind": "ratio" if metric.target is not None else "figure", "better": metric.better,
                   "best_peer": None, "value": None, "verdict": "not measured"}
        record = records.get(name, {"rounds": []})
        found = values(record, metric.key)
        if "failed" in record:
            verdict["verdict"] = "failed"
        elif found and metric.target is not None:
            verdict["best_peer"] = best_peer(records, peers, metric)
            if verdict["best_peer"]:
                verdict["value"] = ratio(records, name, verdict["best_peer"], metric)
                verdict["between"] = stats.interval(
                    stats.ratios(found, values(records[verdict["best_peer"]], metric.key)))
            gate = best_peer(records, gates, metric)
            if gate and gate != verdict["best_peer"]:
                verdict["best_gate"], verdict["gate_value"] = gate, ratio(records, name, gate, metric)
        elif found:
            # A figure that must hold must hold in every round, but fairness is a matter of the median.
            verdict["value"] = max(found) if metric.better == "low" else stats.median(found)
        if verdict["value"] is not None:
            far = verdict["value"] - verdict["target"]
            met = far <= 0 if metric.better == "low" else far >= 0
            if metric.target is not None and len(found) == 1 and not metric.steady:
                del verdict["between"]
                verdict["verdict"] = "one round"
                verdicts.append(verdict)
                continue
            low, high = verdict.get("between", (verdict["value"], verdict["value"]))
            undecided = low <= verdict["target"] <= high and low < high
            verdict["verdict"] = "undecided" if undecided else "met" if met else f"missed by {digits(abs(far))}"
        verdicts.append(verdict)
    return verdicts


def heading(columns):
    """Labels that are wrapped and stand at the bottom of their columns."""
    wrapped = [(width, textwrap.wrap(label, width - 1, break_long_words=False) or [""]) for label, width, _ in columns]
    height = max(len(lines) for _, lines in wrapped)
    for i in range(height):
        cells = [([""] * (height - len(lines)) + lines)[i].rjust(width) for width, lines in wrapped]
        print(" " * NAME_WIDTH + "".join(cells))


def narrow(label):
    return max(NARROW, max(len(word) for word in label.split()) + 1)


def columns_of(workload, records, peers):
    """(label, width, function of a proxy's name) for each column."""
    columns = []
    for metric in workload.metrics:
        if not any(values(record, metric.key) for record in records.values()):
            continue
        columns.append((metric.label, WIDE if metric.has_spread() else narrow(metric.label),
                        lambda name, metric=metric: cell(records[name], metric)))
        best = best_peer(records, peers, metric) if metric.target is not None else None
        if best:
            def of_best(name, metric=metric, best=best):
                share = ratio(records, name, best, metric)
                return "-" if share is None else f"{share:.2f}" + (" *" if name == best else "")
            columns.append(("ratio to *", NARROW, of_best))
    if any("system_calls_per_gb" in record for record in records.values()):
        columns.append(("system calls/GB", NARROW,
                        lambda name: digits(records[name]["system_calls_per_gb"])
                        if "system_calls_per_gb" in records[name] else "-"))
    return columns


def workload_table(workload, records, peers, notes):
    rounds = max(len(record["rounds"]) for record in records.values())
    print(f"\n{workload.number} {workload.name}: {workload.what}; {rounds} round{'s' if rounds != 1 else ''}")
    absent = [name for name in notes if name not in records]
    if absent:
        print("\n".join(textwrap.wrap(f"left out here (PEERS=all has them): {', '.join(absent)}", LINE)))
    columns = columns_of(workload, records, peers)
    while columns:
        most, count, used = workload.row or len(columns), 0, NAME_WIDTH
        while count < min(len(columns), most) and used + columns[count][1] <= LINE:
            used += columns[count][1]
            count += 1
        part, columns = columns[:count], columns[count:]
        heading(part)
        for name in records:
            print((name + notes.get(name, "")).ljust(NAME_WIDTH)
                  + "".join(of(name).rjust(width) for _, width, of in part))
    for name, record in records.items():
        if "failed" in record:
            print("\n".join(textwrap.wrap(f"{name} failed: {record['failed']}", 80, subsequent_indent="  ")))
        elif "retried" in record:
            print("\n".join(textwrap.wrap(f"{name}, tried again: {record['retried']}", 80, subsequent_indent="  ")))
        if "restarted" in record:
            print(f"{name}, started again: {record['restarted']}")
        if "system_calls_failed" in record:
            print("\n".join(textwrap.wrap(f"{name}, system calls: {record['system_calls_failed']}", 80,
                                          subsequent_indent="  ")))
    stall_line(records)


def stall_line(records):
    """What is not in the latencies, because the machine itself stood still."""
    def all_of(key):
        return [value for record in records.values() for value in values(record, key)]

    left_out, shares, longest = all_of("left_out"), all_of("stalled_share"), all_of("longest_stall_ms")
    if left_out:
        text = (f"the machine stood still for {stats.median(shares) * 100:.1f} % of the time (worst round: "
                f"{max(shares) * 100:.1f} %, longest: {max(longest):.0f} ms); left out of the latencies is "
                f"what ran meanwhile ({stats.median(left_out) * 100:.1f} %, at most {max(left_out) * 100:.1f} %)")
        print("\n".join(textwrap.wrap(text, LINE, subsequent_indent="  ")))


def near(value, target):
    """Two digits, or three where two would hide on which side of the target it is."""
    text = f"{value:.2f}"
    return text if (float(text) > target) == (value > target) and (float(text) < target) == (value < target) \
        else f"{value:.3f}"


def verdict_table(verdicts, title="headgate's targets: ratios to the best peer of the same run, or figures"):
    if not verdicts:
        return
    print(f"\n{title}")
    print(f"{'workload':15}{'figure':18}{'target':>8}{'is':>6}{'between':>11} {'best peer':12}verdict")
    for verdict in verdicts:
        sign = "<=" if verdict["better"] == "low" else ">="
        value = "-" if verdict["value"] is None else near(verdict["value"], verdict["target"])
        place = f"{verdict['workload']} {verdict['name']}"
        between = "-".join(near(bound, verdict["target"]) for bound in verdict.get("between", ()))
        target = f"{sign} {verdict['target']:g}"
        line = (f"{place:15}{verdict['label'][:17]:18}{target:>8}{value:>6}{between:>11} "
                f"{verdict['best_peer'] or '':12}{verdict['verdict'].partition(' by ')[0]}")
        print(line.rstrip())
    for verdict in verdicts:
        if verdict.get("gate_value") is not None:
            text = (f"{verdict['workload']} {verdict['name']}: {verdict['best_peer']} checks no token; to "
                    f"{verdict['best_gate']}, which does, the ratio of {verdict['label']} is "
                    f"{verdict['gate_value']:.2f}")
            print("\n".join(textwrap.wrap(text, LINE, subsequent_indent="  ")))
    met = sum(verdict["verdict"] == "met" for verdict in verdicts)
    undecided = sum(verdict["verdict"] == "undecided" for verdict in verdicts)
    once = sum(verdict["verdict"] == "one round" for verdict in verdicts)
    print(f"{met} of {len(verdicts)} targets met"
          + (f", {undecided} undecided: the target lies between the rounds" if undecided else "")
          + (f"\n{once} of one round only" if once else ""))


def intro(facts, table, core):
    print(f"{facts['cpu']}, {facts['processors']} processors, Linux {facts['kernel']}, kernel TLS "
          f"{'there' if facts['kernel_tls'] else 'not there'}")
    print(f"{table['openssl']}; load average before: {facts['load_average']:.1f}")
    print("\n".join(textwrap.wrap("; ".join(dict.fromkeys(table["versions"].values())), 80)))
    print("one processor: nothing is pinned, all share it" if core is None else
          "proxy on a processor of its own, load generator and engine on another")
    print("medians ± half the range between best and worst round; a ratio is the median of\nthe rounds' ratios")
    for name, meaning in LEGEND:
        print("\n".join(textwrap.wrap(f"{name}: {meaning}", LINE, subsequent_indent="  ")))
    if any(not checks for checks in table["checks_token"].values()):
        names = [name for name, checks in table["checks_token"].items() if not checks]
        print("\n".join(textwrap.wrap(f"(t): checks no token: {', '.join(names)}", 80)))
    for name, reason in {**table["skipped"], **table["failed"]}.items():
        print("\n".join(textwrap.wrap(f"skipped: {name}: {reason}", 80, subsequent_indent="  ")))
