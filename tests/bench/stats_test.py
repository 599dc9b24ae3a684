# SPDX-License-Identifier: MIT
"""The arithmetic, on numbers whose answers are known."""

import unittest

from harness import stats


class Stats(unittest.TestCase):
    def test_spread_is_half_the_range(self):
        self.assertAlmostEqual(stats.spread([9, 10, 12]), 0.15)
        self.assertEqual(stats.spread([5]), 0)
        self.assertEqual(stats.spread([0, 0]), 0)

    def test_deviation_ignores_one_bad_round(self):
        self.assertAlmostEqual(stats.deviation([10, 10.1, 9.9, 10, 50]), 0.01)

    def test_jain(self):
        self.assertAlmostEqual(stats.jain([3, 3, 3, 3]), 1)
        self.assertAlmostEqual(stats.jain([1, 0, 0, 0]), 0.25)
        self.assertAlmostEqual(stats.jain([1, 2]), 0.9)
        self.assertEqual(stats.jain([0, 0]), 0)

    def test_ratio_is_taken_round_by_round(self):
        # A machine that is twice as slow in each round: the ratio does not see it, that of medians would be the same
        # only by chance.
        self.assertAlmostEqual(stats.ratio_by_round([1, 2, 8], [2, 4, 16]), 0.5)
        self.assertAlmostEqual(stats.ratio_by_round([1, 10, 3], [1, 20, 2]), 1)
        self.assertIsNone(stats.ratio_by_round([1], [0]))


class Noise(unittest.TestCase):
    steady = [1.00, 1.01, 0.99, 1.00, 1.02, 0.98, 1.00]

    def test_a_small_change_is_noise(self):
        change, moved = stats.moved(self.steady, [value * 1.03 for value in self.steady])
        self.assertAlmostEqual(change, 0.03)
        self.assertFalse(moved)

    def test_a_large_change_of_steady_rounds_moved(self):
        self.assertTrue(stats.moved(self.steady, [value * 1.10 for value in self.steady])[1])
        self.assertTrue(stats.moved(self.steady, [value * 0.90 for value in self.steady])[1])

    def test_the_same_change_of_wild_rounds_did_not(self):
        wild = [0.7, 1.3, 1.0, 0.8, 1.2, 0.9, 1.1]
        self.assertFalse(stats.moved(wild, [value * 1.10 for value in wild])[1])

    def test_single_rounds_need_more(self):
        self.assertFalse(stats.moved([1.0], [1.1])[1])
        self.assertTrue(stats.moved([1.0], [1.2])[1])

    def test_from_nothing(self):
        self.assertEqual(stats.moved([0, 0, 0], [0, 0, 0]), (0.0, False))
        self.assertTrue(stats.moved([0, 0, 0], [1, 1, 1])[1])
