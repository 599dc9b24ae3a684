# SPDX-License-Identifier: MIT
"""SVG by gnuplot: one plot for each workload's main figure, and one of all ratios."""

import os
import re
import subprocess

from . import stats
from .host import say, tool
from .report import values

STYLE = """set terminal svg size 720,{height} font "sans-serif,13" background "white"
set output "{out}"
set title "{title}" noenhanced
set style fill solid 0.85 noborder
set boxwidth 0.7
unset key
set grid y lc rgb "#dddddd"
set border 3
set xtics nomirror rotate by -30 noenhanced
set ytics nomirror
set yrange [0:*]
"""


def draw(out, title, body, rows, height=360):
    data = "\n".join(rows)
    script = STYLE.format(out=out, title=title.replace('"', "'"), height=height)
    done = subprocess.run([tool("gnuplot")], input=f"{script}$data << EOD\n{data}\nEOD\n{body}\n", text=True,
                          capture_output=True, check=False)
    if done.returncode:
        say(f"gnuplot: {done.stderr.strip()[-200:]}")


def colour(name):
    return "0x2a6fb0" if name.startswith("headgate") else "0xbbbbbb" if name == "direct" else "0xd08a3c"


def workload_plot(directory, table_name, workload, records):
    main = [metric for metric in workload.metrics if metric.main]
    for metric in main:
        rows = []
        for name, record in records.items():
            found = values(record, metric.key)
            if found:
                rows.append(f'{len(rows)} "{name}" {stats.median(found)} {min(found)} {max(found)} {colour(name)}')
        if rows:
            part = f"-{metric.key.partition('_')[0]}" if len(main) > 1 else ""
            draw(os.path.join(directory, f"{table_name}-{workload.number:02}-{workload.name}{part}.svg"),
                 f"{workload.what}: {metric.label} ({'less' if metric.better == 'low' else 'more'} is better)",
                 "plot $data using 1:3:6:xtic(2) with boxes lc rgb variable, "
                 "$data using 1:4:(0):($5-$4) with vectors heads size graph 0.008,90 lc rgb '#333333'", rows)


def overview(directory, table_name, verdicts, yardstick):
    rows = []
    for verdict in verdicts:
        if verdict["kind"] == "ratio" and verdict["value"]:
            # Less is better everywhere: a rate's ratio is turned round.
            label, figures = verdict["label"], [verdict["value"], verdict["target"],
                                                *verdict.get("between", [verdict["value"]] * 2)]
            if verdict["better"] == "high":
                label, figures = f"1 / ({label})", [1 / figure for figure in figures]
            value, target, low, high = figures
            rows.append(f'{len(rows)} "{verdict["workload"]} {verdict["name"]} {label}" {value} {target} '
                        f'{min(low, high)} {max(low, high)}')
    if rows:
        draw(os.path.join(directory, f"{table_name}-overview.svg"),
             f"headgate's ratio to {yardstick} (line at 1); less is better; targets: crosses",
             "set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead lc rgb '#d08a3c' lw 2\n"
             "plot $data using 1:3:xtic(2) with boxes lc rgb '#2a6fb0', "
             "$data using 1:5:(0):($6-$5) with vectors heads size graph 0.008,90 lc rgb '#333333', "
             "$data using 1:4 with points pt 2 ps 1.2 lw 2 lc rgb '#b03030'", rows, height=440)


def draw_all(directory, table_name, workloads, records_of, verdicts, yardstick="the best peer"):
    if not tool("gnuplot"):
        say("gnuplot is not installed: no plots")
        return
    os.makedirs(directory, exist_ok=True)
    # None of another run's beside this one's.
    for name in os.listdir(directory):
        if re.fullmatch(re.escape(table_name) + r"-(\d\d-.*|overview)\.svg", name):
            os.unlink(os.path.join(directory, name))
    for workload in workloads:
        workload_plot(directory, table_name, workload, records_of[str(workload.number)])
    overview(directory, table_name, verdicts, yardstick)
