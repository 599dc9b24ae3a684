# SPDX-License-Identifier: MIT
"""bench/histogram.c against percentiles of the sorted values."""

import ctypes
import os
import random
import subprocess
import tempfile
import unittest

from harness.host import BENCH


class Histogram(ctypes.Structure):
    _fields_ = [("counts", ctypes.c_uint64 * (64 * 32)), ("total", ctypes.c_uint64), ("max_ns", ctypes.c_uint64)]


class Percentiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        path = os.path.join(cls.directory.name, "histogram.so")
        subprocess.run([os.environ.get("CC", "cc"), "-std=c17", "-O1", "-shared", "-fPIC", "-o", path,
                        os.path.join(BENCH, "histogram.c")], check=True)
        cls.lib = ctypes.CDLL(path)
        cls.lib.histogram_add.argtypes = [ctypes.POINTER(Histogram), ctypes.c_uint64]
        cls.lib.histogram_merge.argtypes = [ctypes.POINTER(Histogram), ctypes.POINTER(Histogram)]
        cls.lib.histogram_quantile.argtypes = [ctypes.POINTER(Histogram), ctypes.c_double]
        cls.lib.histogram_quantile.restype = ctypes.c_uint64

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def of(self, values):
        histogram = Histogram()
        for value in values:
            self.lib.histogram_add(histogram, value)
        return histogram

    def test_percentiles_of_random_values(self):
        source = random.Random(7)
        values = [int(10 ** source.uniform(2, 10)) for _ in range(20000)]
        histogram = self.of(values)
        values.sort()
        for fraction in (0.01, 0.5, 0.99, 0.999, 1.0):
            exact = values[max(0, -(-int(fraction * 1000000) * len(values) // 1000000) - 1)]
            found = self.lib.histogram_quantile(histogram, fraction)
            # The lower end of a bucket of 1/32.
            self.assertLessEqual(found, exact)
            self.assertGreaterEqual(found * (1 + 1 / 32) + 1, exact)

    def test_extremes(self):
        histogram = self.of([0, 1, 2**63])
        self.assertEqual(histogram.total, 3)
        self.assertEqual(histogram.max_ns, 2**63)
        self.assertEqual(self.lib.histogram_quantile(histogram, 1.0), 2**63)
        self.assertLessEqual(self.lib.histogram_quantile(histogram, 0.5), 32)

    def test_empty(self):
        self.assertEqual(self.lib.histogram_quantile(Histogram(), 0.99), 0)

    def test_merge(self):
        both, second = self.of([100] * 10), self.of([1000000])
        self.lib.histogram_merge(both, second)
        self.assertEqual((both.total, both.max_ns), (11, 1000000))
