# SPDX-License-Identifier: MIT
"""The arithmetic: medians, spreads, fairness, ratios, and what counts as moved."""

import statistics

median = statistics.median


def spread(values):
    """Half of the range between best and worst round, as a share of the median."""
    middle = median(values)
    return (max(values) - min(values)) / 2 / abs(middle) if middle else 0.0


def deviation(values):
    """Median absolute deviation as a share of the median: one bad round does not change it."""
    middle = median(values)
    return median(abs(value - middle) for value in values) / abs(middle) if middle else 0.0


def jain(rates):
    """Jain's index: 1 when all get the same, 1/n when one gets everything."""
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else 0.0


def ratios(ours, theirs):
    """Of each round."""
    return [a / b for a, b in zip(ours, theirs) if b]


def ratio_by_round(ours, theirs):
    """Median of the ratios within each round: what disturbed a round disturbed both."""
    found = ratios(ours, theirs)
    return median(found) if found else None


def interval(values):
    """Where the median lies, whatever the distribution: order statistics, the sign test's interval. With seven rounds
    that is so in 88 %, with three in 75 %."""
    ordered = sorted(values)
    drop = 1 if len(ordered) >= 7 else 0
    return ordered[drop], ordered[-1 - drop]


# How far two medians must lie apart: three times what rounds differ by, and never less than this.
NOISE_FACTOR = 3
NOISE_FLOOR = 0.05


def noise(before, after):
    """The share by which a median may change without meaning anything.

    Three times the deviation of both runs together, divided by the root of the rounds, because a median of many rounds
    is steadier than a round; no less than 5 %, because two runs differ by more than rounds of one do.
    """
    together = (deviation(before) ** 2 / len(before) + deviation(after) ** 2 / len(after)) ** 0.5
    single = min(len(before), len(after)) < 3
    return max(NOISE_FACTOR * 1.4826 * together, NOISE_FLOOR if not single else 0.15)


def moved(before, after):
    """(change of the median as a share, whether it is more than the noise)."""
    old, new = median(before), median(after)
    if not old:
        return (0.0 if not new else float("inf")), bool(new)
    change = new / old - 1
    return change, abs(change) > noise(before, after)
