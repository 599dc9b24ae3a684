# SPDX-License-Identifier: MIT
"""Verdicts and comparisons, of records that were written by hand."""

import contextlib
import io
import json
import os
import tempfile
import unittest

from harness import compare, report, workloads


def record(*values, key="cpu_s_per_gb", **more):
    return {"rounds": [{key: value} for value in values], **more}


class Verdicts(unittest.TestCase):
    def setUp(self):
        self.load = workloads.LoadLength(workloads.QUICK, None)

    def judge(self, records, peers=("a", "b")):
        return report.judge(self.load, records, peers)[0]

    def test_the_best_peer_is_the_yardstick(self):
        verdict = self.judge({"headgate": record(0.7, 0.7), "a": record(1.0, 1.0), "b": record(2.0, 2.0)})
        self.assertEqual((verdict["best_peer"], verdict["verdict"]), ("a", "met"))
        self.assertAlmostEqual(verdict["value"], 0.7)

    def test_missed_by_how_much(self):
        verdict = self.judge({"headgate": record(0.8, 0.8), "a": record(1.0, 1.0)})
        self.assertEqual(verdict["verdict"], "missed by 0.050")

    def test_one_round_decides_nothing(self):
        verdict = self.judge({"headgate": record(0.8), "a": record(1.0)})
        self.assertEqual((verdict["verdict"], "between" in verdict), ("one round", False))

    def test_but_of_what_hardly_varies(self):
        records = {name: {"rounds": [{"user_kb": kb}]} for name, kb in (("headgate", 8.0), ("a", 10.0))}
        self.assertEqual(report.judge(workloads.Idle(workloads.QUICK, None), records, ("a",))[0]["verdict"], "met")

    def test_digits_show_the_side_of_the_target(self):
        self.assertEqual([report.near(value, 0.8) for value in (0.8033, 0.7967, 0.8, 0.71)],
                         ["0.803", "0.797", "0.80", "0.71"])

    def test_a_failure_is_not_met(self):
        verdict = self.judge({"headgate": record(0.1, failed="it has died"), "a": record(1.0)})
        self.assertEqual(verdict["verdict"], "failed")

    def test_beside_the_best_that_checks_the_token(self):
        records = {"headgate": record(0.9), "a": record(0.8), "b": record(1.0)}
        verdict = report.judge(self.load, records, ("a", "b"), gates=("b",))[0]
        self.assertEqual((verdict["best_peer"], verdict["best_gate"]), ("a", "b"))
        self.assertAlmostEqual(verdict["gate_value"], 0.9)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            report.verdict_table([verdict])
        self.assertIn("1 load: a checks no token; to b, which does, the ratio of CPU s/GB is 0.90", out.getvalue())

    def test_what_the_rounds_do_not_decide(self):
        ours, peer = (0.7, 0.72, 0.74, 0.76, 0.78, 0.8, 0.3), (1.0,) * 7
        verdict = self.judge({"headgate": record(*ours), "a": record(*peer)})
        self.assertEqual((verdict["verdict"], verdict["between"]), ("undecided", (0.7, 0.78)))
        verdict = self.judge({"headgate": record(*[value - 0.1 for value in ours]), "a": record(*peer)})
        self.assertEqual(verdict["verdict"], "met")

    def test_a_failed_peer_is_no_yardstick(self):
        records = {"headgate": record(0.7), "a": record(0.1, failed="it has died"), "b": record(1.0)}
        self.assertEqual(self.judge(records)["best_peer"], "b")

    def test_verdicts_fit_the_line(self):
        out = io.StringIO()
        records = {"headgate": record(0.71, 0.8), "haproxy-64k": record(1.0, 1.0)}
        with contextlib.redirect_stdout(out):
            report.verdict_table(report.judge(self.load, records, ("haproxy-64k",)))
        self.assertLessEqual(max(len(line) for line in out.getvalue().splitlines()), 80)

    def test_system_calls_that_were_not_counted(self):
        out = io.StringIO()
        records = {"headgate": record(0.7, system_calls_per_gb=9.0), "a": record(1.0, system_calls_failed="no")}
        with contextlib.redirect_stdout(out):
            report.workload_table(self.load, records, ("a",), {})
        self.assertTrue(any(line.startswith("a ") and line.endswith(" -") for line in out.getvalue().splitlines()))

    def test_direct_is_no_peer(self):
        verdict = self.judge({"headgate": record(0.7), "direct": record(0.1), "a": record(1.0)})
        self.assertEqual(verdict["best_peer"], "a")

    def test_without_peers_nothing_is_claimed(self):
        self.assertEqual(self.judge({"headgate": record(0.1)}, ())["verdict"], "not measured")

    def test_more_is_better_where_it_is(self):
        mixed = workloads.Mixed(workloads.QUICK, None)
        records = {"headgate": {"rounds": [{"mb_per_s": 130, "jain": 0.9}] * 2},
                   "a": {"rounds": [{"mb_per_s": 100, "jain": 1.0}] * 2}}
        verdicts = report.judge(mixed, records, ("a",))
        self.assertEqual([verdict["verdict"] for verdict in verdicts], ["met", "missed by 0.050"])

    def test_a_table_fits_the_line_and_names_failures(self):
        out = io.StringIO()
        records = {"headgate": record(0.7123, 0.8), "haproxy-64k": record(10000.5), "hitch": record(failed="no socket")}
        with contextlib.redirect_stdout(out):
            report.workload_table(self.load, records, ("haproxy-64k", "hitch"), {"hitch": " (t)"})
        self.assertLessEqual(max(len(line) for line in out.getvalue().splitlines()), 80)
        self.assertIn("hitch failed: no socket", out.getvalue())


    def test_what_is_left_out_is_said(self):
        out = io.StringIO()
        stalled = {"cpu_s_per_gb": 1, "left_out": 0.1234, "stalled_share": 0.0567, "longest_stall_ms": 51.2}
        records = {"headgate": {"rounds": [stalled] * 2}, "a": record(1.0)}
        with contextlib.redirect_stdout(out):
            report.workload_table(self.load, records, ("a",), {})
        self.assertLessEqual(max(len(line) for line in out.getvalue().splitlines()), 80)
        text = " ".join(out.getvalue().split())
        self.assertIn("5.7 % of the time (worst round: 5.7 %, longest: 51 ms)", text)
        self.assertIn("(12.3 %, at most 12.3 %)", text)


class Compare(unittest.TestCase):
    def run_of(self, *values, **more):
        records = {"headgate": record(*values), "a": record(*(1.0,) * len(values))}
        verdicts = report.judge(workloads.LoadLength(workloads.QUICK, None), records, ("a",))
        return {"format": 1, "facts": {"cpu": "c", **more}, "sizes": {"bytes": 1}, "tables": {"host": {
            "openssl": "o", "versions": {"headgate": "1"}, "verdicts": verdicts,
            "workloads": {"1": {"headgate": record(*values)}}}}}

    def compare(self, old, new):
        out = io.StringIO()
        with tempfile.TemporaryDirectory() as directory:
            paths = []
            for name, run in (("old", old), ("new", new)):
                paths.append(os.path.join(directory, name))
                with open(paths[-1], "w", encoding="ascii") as file:
                    json.dump(run, file)
            with contextlib.redirect_stdout(out):
                compare.main(*paths)
        return out.getvalue()

    def test_nothing_moved(self):
        self.assertIn("1 figures, 0 moved", self.compare(self.run_of(1, 1, 1), self.run_of(1.01, 1, 1)))

    def test_worse_is_named(self):
        text = self.compare(self.run_of(1, 1, 1), self.run_of(1.5, 1.5, 1.5))
        self.assertIn("1 figures, 1 moved", text)
        self.assertIn("worse: host 1 load, headgate", text)

    def test_better_is_not_worse(self):
        self.assertNotIn("worse: ", self.compare(self.run_of(1, 1, 1), self.run_of(0.5, 0.5, 0.5)))

    def test_what_failed_since_moved(self):
        self.assertIn("measured -> failed", self.compare(self.run_of(1, 1, 1), self.run_of()))

    def test_another_machine_is_said(self):
        text = self.compare(self.run_of(1, 1), self.run_of(1.5, 1.5, cpu="d"))
        self.assertIn("unlike: cpu: c -> d", text)
        self.assertNotIn("worse: ", text)
        self.assertIn("0 of 1 ratios lie where they lay", text)


class Ratios(unittest.TestCase):
    def run_of(self, *ours):
        records = {"headgate": record(*ours), "a": record(*(1.0,) * len(ours))}
        verdicts = report.judge(workloads.LoadLength(workloads.QUICK, None), records, ("a",))
        return {"tables": {"host": {"verdicts": verdicts}}}

    def printed(self, old, new):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            compare.print_targets(old, new)
        self.assertLessEqual(max(len(line) for line in out.getvalue().splitlines()), 80)
        return out.getvalue()

    def test_the_same_within_the_rounds(self):
        self.assertIn("1 of 1 ratios lie where they lay\n",
                      self.printed(self.run_of(0.7, 0.8, 0.9), self.run_of(0.85, 0.95, 1.0)))

    def test_a_hair_is_not_apart(self):
        self.assertIn("1 of 1 ratios lie where they lay\n", self.printed(self.run_of(0.808), self.run_of(0.809)))

    def test_apart(self):
        text = self.printed(self.run_of(0.7, 0.8, 0.9), self.run_of(1.0, 1.0, 1.1))
        self.assertIn("0 of 1 ratios lie where they lay, others (*) apart", text)
        self.assertIn("0.80 0.70-0.90", text)


class Choice(unittest.TestCase):
    def test_by_number_and_name_once(self):
        self.assertEqual([kind.number for kind in workloads.choose("1,ping 5")], [1, 5])

    def test_unknown(self):
        with self.assertRaises(ValueError):
            workloads.choose("1,nonsense")

    def test_numbers_are_those_of_the_list(self):
        self.assertEqual([kind.number for kind in workloads.ALL], list(range(1, 13)))
