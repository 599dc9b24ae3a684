# SPDX-License-Identifier: MIT
"""Rounds with proxies that fail, die or do not come to rest, and what of a run becomes the baseline."""

import json
import os
import tempfile
import time
import unittest
from unittest import mock

from harness import main, measure, peers, process, proxies, workloads
from harness.host import Failed


class Proxy:
    """Counts how often it was started."""

    def __init__(self, name="p"):
        self.name, self.warm_for, self.starts, self.up, self.calm = name, None, 0, False, True
        self.dead = False

    def lives(self):
        return self.up

    def start(self):
        self.starts, self.up, self.warm_for = self.starts + 1, True, None

    def stop(self):
        self.up = False

    def has_died(self):
        return self.dead

    def calm_down(self):
        return self.calm

    def hurry(self, first):
        pass


class Workload:
    number, name, without = 1, "w", ()
    real_engine = prompt_engine = awake = False
    parts, part = (None,), None

    def __init__(self, *results):
        self.results, self.warmed = list(results), []

    def rounds(self):
        return 3

    def warm_up(self, proxy):
        self.warmed.append(proxy.name)

    def measure(self, _proxy):
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return {"figure": result}


class Awake(unittest.TestCase):
    def test_it_takes_what_is_left_and_ends(self):
        core = max(os.sched_getaffinity(0))
        spinner = process.keep_awake(core)
        self.addCleanup(process.stop, spinner)
        for _ in range(100):
            if os.sched_getscheduler(spinner.pid) == os.SCHED_IDLE and os.sched_getaffinity(spinner.pid) == {core}:
                break
            time.sleep(0.05)
        self.assertEqual(os.sched_getscheduler(spinner.pid), os.SCHED_IDLE)
        self.assertEqual(os.sched_getaffinity(spinner.pid), {core})
        process.stop(spinner)
        self.assertIsNotNone(spinner.poll())


class Rounds(unittest.TestCase):
    def measure(self, workload, *proxies_):
        with mock.patch.object(measure, "Progress"):
            return measure.measure_workload(workload, proxies_, measure.Progress())

    def test_each_round_of_each_proxy(self):
        workload = Workload(1, 2, 3, 4, 5, 6)
        records = self.measure(workload, Proxy("a"), Proxy("b"))
        self.assertEqual(sorted(figures["figure"] for record in records.values() for figures in record["rounds"]),
                         [1, 2, 3, 4, 5, 6])
        self.assertEqual(sorted(workload.warmed), ["a", "b"])

    def test_a_second_try_is_said(self):
        proxy = Proxy()
        record = self.measure(Workload(1, Failed("refused"), 2, 3), proxy)["p"]
        self.assertEqual((record["retried"], "failed" in record, len(record["rounds"])), ("refused", False, 3))
        self.assertEqual(proxy.starts, 2)

    def test_who_dies_has_failed(self):
        class Mortal(Workload):
            def measure(self, proxy):
                proxy.dead = len(self.results) == 1
                return super().measure(proxy)

        proxy, workload = Proxy(), Mortal(1, Failed("refused"))
        record = self.measure(workload, proxy)["p"]
        self.assertEqual((record["failed"], proxy.starts, len(record["rounds"])), ("it died: refused", 1, 1))

    def test_who_dies_between_two_rounds_has_failed(self):
        class Mortal(Workload):
            def measure(self, proxy):
                proxy.dead = True
                return super().measure(proxy)

        record = self.measure(Mortal(1, 2, 3), Proxy())["p"]
        self.assertEqual((record["failed"], len(record["rounds"])), ("it died: behind the round before", 1))

    def test_a_second_failure_ends_it(self):
        record = self.measure(Workload(1, Failed("refused"), Failed("refused again")), Proxy())["p"]
        self.assertEqual((record["failed"], len(record["rounds"])), ("refused again", 1))

    def test_who_goes_on_working_is_started_again_and_warmed(self):
        proxy, workload = Proxy(), Workload(1, 2, 3)
        proxy.calm = False
        record = self.measure(workload, proxy)["p"]
        self.assertIn("restarted", record)
        self.assertEqual((proxy.starts, workload.warmed), (3, ["p"] * 3))


    def test_parts_share_their_rounds(self):
        class Parts(Workload):
            parts = (("a", "one"), ("b", "another"))

            def measure(self, proxy):
                return {f"{self.part[0]}_{key}": value for key, value in super().measure(proxy).items()}

        workload = Parts(1, 2, 3, 4, 5, 6)
        record = self.measure(workload, Proxy())["p"]
        self.assertEqual(record["rounds"], [{"a_figure": 1, "b_figure": 4}, {"a_figure": 2, "b_figure": 5},
                                            {"a_figure": 3, "b_figure": 6}])
        self.assertEqual(workload.warmed, ["p", "p"])

    def test_a_part_that_failed_ends_all(self):
        workload = Workload(1, 2, 3, 4, Failed("refused"), Failed("refused again"))
        workload.parts = (("a", "one"), ("b", "another"), ("c", "a third"))
        record = self.measure(workload, Proxy())["p"]
        self.assertEqual((record["failed"], record["rounds"], workload.results),
                         ("refused again", [{"figure": 4}, {"figure": 2}, {"figure": 3}], []))


class Growth(unittest.TestCase):
    """What an attack takes beyond the most that it took before."""

    def grown(self, *peaks_kb):
        abuse, proxy = workloads.Abuse(workloads.FULL, None), mock.Mock(checks_token=True)
        proxy.name = "p"
        abuse.part = abuse.parts[0]
        with mock.patch.object(workloads, "loads"), \
                mock.patch.object(workloads.process, "memory_kb", return_value=100):
            abuse.warm_up(proxy)
        with mock.patch.object(abuse, "attack", side_effect=[({"lost": 0}, peak) for peak in peaks_kb]):
            rounds = [abuse.measure(proxy) for _ in peaks_kb]
        self.assertEqual(rounds[0], {"slow-heads_lost": 0, "slow-heads_kb": (peaks_kb[0] - 100) / 500})
        return [figures.get("slow-heads_grown") for figures in rounds]

    def test_a_leak_adds_up(self):
        found = self.grown(*(200 + 10 * i for i in range(7)))
        self.assertEqual(found[:2], [None, None])
        self.assertGreater(max(found[2:]), workloads.GROWN_PERCENT)

    def test_room_that_the_first_two_made(self):
        self.assertEqual(self.grown(200, 400, 400, 300, 400), [None, None, 0, 0, 0])


class LeftOut(unittest.TestCase):
    def run_all(self, **more):
        seen, workload = {}, Workload(*range(6))
        workload.without = ("b",)
        with mock.patch.object(measure, "Progress"):
            measure.run([workload], [Proxy("a"), Proxy("b")], mock.Mock(), None,
                        lambda _workload, records, _seconds: seen.update(records), **more)
        return sorted(seen)

    def test_by_the_workload(self):
        self.assertEqual(self.run_all(everywhere=False), ["a"])

    def test_not_when_it_was_named(self):
        self.assertEqual(self.run_all(everywhere=True), ["a", "b"])

    def test_only_names_that_there_are(self):
        known = {peer.name for peer in peers.all_peers(None)} | {"headgate-epoll"}
        for workload in workloads.ALL:
            self.assertLessEqual(set(workload.without), known, workload.name)


class Calm(unittest.TestCase):
    def calm_down(self, *cpu_s):
        proxy = proxies.Proxy("p", None)
        samples = iter(cpu_s)
        with mock.patch.object(proxy, "pids", return_value=[1]), mock.patch.object(proxies.time, "sleep"), \
                mock.patch.object(process, "sample", side_effect=lambda _: mock.Mock(cpu_s=next(samples))):
            return proxy.calm_down()

    def test_at_rest(self):
        self.assertTrue(self.calm_down(1.0, 1.001))

    def test_after_a_while(self):
        self.assertTrue(self.calm_down(1.0, 1.02, 1.02, 1.04, 1.04, 1.04))

    def test_never(self):
        self.assertFalse(self.calm_down(*(0.02 * i for i in range(200))))


class Baseline(unittest.TestCase):
    def add(self, before, run):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "baseline.json")
            if before:
                with open(path, "w", encoding="ascii") as file:
                    json.dump(before, file)
            with mock.patch.object(main, "BASELINE", path):
                main.baseline_add(run)
            with open(path, encoding="ascii") as file:
                return json.load(file)

    @staticmethod
    def run_of(kernel="k", **tables):
        return {"format": 1, "facts": {"cpu": "c", "processors": 2, "kernel": kernel}, "tables": tables}

    def test_the_first(self):
        self.assertEqual(self.add(None, self.run_of(host=1))["tables"], {"host": 1})

    def test_what_was_not_measured_stays(self):
        self.assertEqual(self.add(self.run_of(host=1, trixie=2), self.run_of(host=3))["tables"],
                         {"host": 3, "trixie": 2})

    def test_not_of_another_machine(self):
        self.assertEqual(self.add(self.run_of(host=1, trixie=2), self.run_of(kernel="l", host=3))["tables"],
                         {"host": 3})
