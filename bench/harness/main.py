# SPDX-License-Identifier: MIT
"""The command line: sets up, measures, reports."""

import argparse
import dataclasses
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from . import compare, guest, host, measure, peers, plots, report, workloads
from .host import TOP, WORK, Failed, die, say
from .proxies import Direct, Headgate
from .tree import STATIC, Tree

LAST = os.path.join(WORK, "last.json")
BASELINE = os.path.join(host.BENCH, "baseline.json")
QUICK_WORKLOADS = "1 2 3 4 5 6 7 8 10"
QUICK_PEERS = "nginx haproxy"
# What OpenSSL's version bears on; the others would only take time twice.
TREE_WORKLOADS = (1, 2, 3, 5, 7, 8)


def options_read(arguments):
    parser = argparse.ArgumentParser(
        prog="bench/run", description="headgate beside its peers. `bench/run compare [OLD [NEW]]` compares two runs.")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds, nginx and HAProxy: 2 minutes")
    parser.add_argument("--workloads", default="", metavar="N,...", help="by number or name (default: all)")
    parser.add_argument("--peers", default="", metavar="NAME,...",
                        help="by name, or by program for all its configurations; "
                             "all, or none (default: all, quick: "
                             f"{QUICK_PEERS}). Who is named, or all, is measured in every workload; by default each "
                             "leaves out some configurations")
    parser.add_argument("--table", choices=["host", "trixie", "both", "guest"], default=None,
                        help="host's packages, Debian trixie's with OpenSSL 3.5, or both (default: both, quick: host); "
                             "guest: kernel TLS in a guest kernel, counted")
    parser.add_argument("--rounds", type=int, help="instead of 7 (quick: 3)")
    parser.add_argument("--no-install", action="store_true", help="skip peers that are missing")
    parser.add_argument("--no-trace", action="store_true", help="do not count system calls")
    parser.add_argument("--json", default=LAST, metavar="FILE", help="where all figures go")
    parser.add_argument("--baseline", action="store_true", help="also into bench/baseline.json, plots in bench/plots")
    options = parser.parse_args(arguments)
    if options.baseline and (options.quick or options.workloads or options.peers):
        parser.error("--baseline is of whole tables: not with --quick, --workloads or --peers")
    options.sizes = workloads.QUICK if options.quick else workloads.FULL
    if options.rounds is not None:
        if options.rounds < 1:
            parser.error("--rounds: at least 1")
        options.sizes = dataclasses.replace(options.sizes, rounds=options.rounds,
                                            few_rounds=min(options.rounds, options.sizes.few_rounds) if options.quick
                                            else options.rounds)
    try:
        # Before everything is measured, and not after it.
        if not os.access(os.path.dirname(os.path.abspath(options.json)), os.W_OK) and options.json != LAST:
            parser.error(f"--json: {options.json} cannot be written")
        chosen = options.workloads or (QUICK_WORKLOADS if options.quick else "")
        options.chosen = workloads.choose(chosen) if chosen else list(workloads.ALL)
    except ValueError as error:
        parser.error(str(error))
    options.table = options.table or ("host" if options.quick else "both")
    return options


def install(packages):
    """From Debian, as root; the services that come with them are not started."""
    policy = "/usr/sbin/policy-rc.d"
    ours = not os.path.exists(policy)
    if ours:
        with open(os.open(policy, os.O_WRONLY | os.O_CREAT, 0o755), "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 101\n")
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["-y", "--no-install-recommends", "install", *packages]):
            subprocess.run(["apt-get", "-q", *command], env=environment, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False)
    finally:
        if ours:
            os.unlink(policy)


def chosen_peers(options, core):
    known = peers.all_peers(core)
    words = (options.peers or (QUICK_PEERS if options.quick else "")).replace(",", " ").split()
    if "all" in words:
        return known
    for word in words:
        if word != "none" and not any(word in (peer.name, peer.program) for peer in known):
            die(f"no peer '{word}'; there are: {' '.join(peer.name for peer in known)}", 2)
    return [peer for peer in known if not words or peer.name in words or peer.program in words]


def install_missing(options, packages):
    if packages and not options.no_install and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {' '.join(packages)}")
        install(packages)


def install_tools(options):
    tools = {"gnuplot": "gnuplot-nox", "strace": "strace", "openssl": "openssl"}
    install_missing(options, [package for name, package in tools.items() if not host.tool(name)])
    if not host.tool("openssl"):
        die("the openssl program is not installed: it makes the certificate; apt-get install openssl", 2)


def host_proxies(options, core):
    wanted = chosen_peers(options, core)
    install_missing(options, sorted({peer.package for peer in wanted if peer.package and peer.missing()}))
    ours = [Headgate("headgate", core), Headgate("headgate-epoll", core, "--event", "epoll")]
    if host.has_kernel_tls():
        ours.append(Headgate("headgate-user", core, "--ktls", "off"))
    return [*ours, Direct("direct", core), *wanted]


def tree_proxies(options, core):
    tree = Tree()
    tree.make()
    wanted = chosen_peers(options, core)
    for peer in wanted:
        peer.tree = tree
    ours = [Headgate("headgate", core, binary=os.path.join(STATIC, "headgate"))]
    if host.has_kernel_tls():
        ours.append(Headgate("headgate-user", core, "--ktls", "off", binary=os.path.join(STATIC, "headgate")))
    proxies = [*ours, Direct("direct", core), *wanted]
    for proxy in proxies:
        proxy.tools = os.path.join(STATIC, "bench")
    return tree, proxies


def make_certificate():
    """ECDSA on P-256, as headgate's own, for every proxy."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", f"{WORK}/key.pem", "-out",
                    f"{WORK}/cert.pem"], check=True, capture_output=True)
    os.chmod(f"{WORK}/key.pem", 0o600)
    with open(os.open(f"{WORK}/pair.pem", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as pair:
        for name in ("cert.pem", "key.pem"):
            with open(os.path.join(WORK, name), "rb") as file:
                pair.write(file.read())


def make_openssl_defaults():
    with open(os.path.join(WORK, "openssl.cnf"), "w", encoding="ascii") as file:
        file.write("openssl_conf = defaults\n[defaults]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n"
                   "[all]\nNumTickets = 0\n")


def run_table(name, options, proxies, openssl, run, cores):
    """Measures one table, prints it as it grows, and adds it to the run."""
    skipped = {proxy.name: proxy.missing() for proxy in proxies if proxy.missing()}
    for proxy, reason in skipped.items():
        say(f"skipped: {proxy}: {reason}")
    present = [proxy for proxy in proxies if proxy.name not in skipped]
    chosen = [kind(options.sizes, cores[1]) for kind in options.chosen
              if name == "host" or kind.number in TREE_WORKLOADS or options.workloads]
    engine = measure.Engine(cores[1])
    table = {"openssl": openssl, "skipped": skipped, "workloads": {}, "verdicts": [], "seconds": {}}
    run["tables"][name] = table
    table["facts"], started = dict(run["facts"]), time.monotonic()
    try:
        working, table["failed"] = measure.start_all(present, cores[1])
        if not any(isinstance(proxy, Headgate) for proxy in working):
            die("headgate does not work: nothing to compare")
        table["versions"] = {proxy.name: proxy.version() for proxy in working}
        table["checks_token"] = {proxy.name: proxy.checks_token for proxy in working}
        peer_names = [proxy.name for proxy in working if proxy.is_peer]
        gates = [proxy.name for proxy in working if proxy.is_peer and proxy.checks_token]
        notes = {proxy.name: "" if proxy.checks_token else " (t)" for proxy in working}
        print(f"\n==== {name}: {'packages of this host' if name == 'host' else 'Debian trixie'} ====")
        report.intro(run["facts"], table, cores[0])
        sys.stdout.flush()

        def done(workload, records, seconds):
            table["workloads"][str(workload.number)] = records
            table["seconds"][str(workload.number)] = round(seconds)
            table["verdicts"] += report.judge(workload, records, peer_names, gates=gates)
            report.workload_table(workload, records, peer_names, notes)
            sys.stdout.flush()
            save(run, options.json)

        measure.run(chosen, working, engine, cores[1], done, not options.no_trace,
                    everywhere=bool(options.peers))
        table["facts"]["seconds"] = round(time.monotonic() - started)
        report.verdict_table(table["verdicts"])
        if any(workload.number == 8 for workload in chosen):
            print("(*) kernel memory of the whole machine: also of the client's and engine's ends")
    finally:
        for proxy in proxies:
            proxy.stop()
        engine.stop()
    plots.draw_all(plot_directory(options), name, chosen, table["workloads"], table["verdicts"])


def guest_tables(options, run):
    say("kernel TLS in a guest that counts instructions: some minutes, whatever else this machine does")
    try:
        for name, table, kinds in guest.tables(guest.run(options.sizes.rounds)):
            run["tables"][name] = {**table, "facts": dict(run["facts"])}
            plots.draw_all(plot_directory(options), name.replace(" ", "-").replace(",", ""), kinds, table["workloads"],
                           table["verdicts"], "its own TLS in userspace")
    except Failed as failure:
        die(str(failure))


def plot_directory(options):
    return os.path.join(host.BENCH, "plots") if options.baseline else os.path.join(WORK, "plots")


def save(run, path):
    with open(path + ".new", "w", encoding="utf-8") as file:
        # A round on a line: readable, and small in a diff.
        text = json.dumps(run, indent=1)
        file.write(re.sub(r"\{\s*((?:\"[a-z0-9_-]+\": -?[0-9.e-]+,?\s*)+)\}",
                          lambda match: "{" + " ".join(match.group(1).split()) + "}", text) + "\n")
    os.replace(path + ".new", path)


def rounded(value):
    """Six digits are more than any of this is worth."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def baseline_add(run):
    """As the baseline; a table that this run did not measure stays, if it is of this machine. Each has its own facts."""
    if os.path.exists(BASELINE):
        before = compare.load(BASELINE)
        if all(before["facts"].get(key) == run["facts"].get(key) for key in compare.MACHINE):
            run = {**run, "tables": {**before["tables"], **run["tables"]}}
    save(run, BASELINE)


def alone():
    """Two runs at once would measure each other, with each other's files. The lock lasts as long as the process."""
    lock = os.open(os.path.join(WORK, "lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        die("another run is under way")


def on_term(_number, _frame):
    """So that what was started is stopped."""
    raise KeyboardInterrupt


def bench(arguments):
    options = options_read(arguments)
    os.makedirs(os.path.join(WORK, "run"), exist_ok=True)
    host.raise_file_limit()
    for name in ("headgate", "bench/engine", "bench/load", "bench/abuse"):
        if not os.path.exists(os.path.join(host.RELEASE, name)):
            die(f"build/release/{name} is not there; run 'make bench' or 'make bench-quick'", 2)
    alone()
    started = time.monotonic()
    cores = host.cores()
    install_tools(options)
    make_certificate()
    make_openssl_defaults()
    facts = host.facts()
    run = {"format": 1, "facts": facts, "sizes": dataclasses.asdict(options.sizes), "tables": {}}
    if options.table in ("host", "both"):
        run_table("host", options, host_proxies(options, cores[0]), facts["openssl"], run, cores)
    if options.table in ("trixie", "both"):
        try:
            tree, proxies = tree_proxies(options, cores[0])
            run_table("trixie", options, proxies, tree.openssl(), run, cores)
        except Failed as failure:
            if not run["tables"]:
                die(f"no table with trixie's OpenSSL: {failure}")
            say(f"no table with trixie's OpenSSL: {failure}")
            run["trixie_failed"] = str(failure)
    if options.table == "guest":
        guest_tables(options, run)
    run["facts"]["seconds"] = round(time.monotonic() - started)
    save(rounded(run), options.json)
    print(f"\n{run['facts']['seconds']} s; all figures: {os.path.relpath(options.json, TOP)}; plots: "
          f"{os.path.relpath(plot_directory(options), TOP)}")
    if options.baseline:
        baseline_add(rounded(run))
        print(f"baseline: {os.path.relpath(BASELINE, TOP)}")


def main():
    arguments = sys.argv[1:]
    signal.signal(signal.SIGTERM, on_term)
    try:
        if arguments[:1] == ["compare"]:
            parser = argparse.ArgumentParser(prog="bench/run compare", description="What moved between two runs.")
            parser.add_argument("old", nargs="?", default=BASELINE, help="default: bench/baseline.json")
            parser.add_argument("new", nargs="?", default=LAST, help="default: the last run")
            options = parser.parse_args(arguments[1:])
            compare.main(options.old, options.new)
        else:
            bench(arguments)
    except KeyboardInterrupt:
        say("interrupted; what was complete is in the file that --json names")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
