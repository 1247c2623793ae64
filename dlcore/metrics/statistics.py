"""Intervals: Wilson for a proportion, t for a mean over seeds or a paired difference, the largest of several means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from dlcore.arrays import LARGEST, as_reals, typed
from dlcore.metrics.checks import as_confidence
from dlcore.results import Result


class Interval(Result):
    """An estimate with its interval and the number of observations behind it."""

    value: float
    low: float
    high: float
    n: int


def _values(values) -> np.ndarray:
    array = as_reals("values", values).ravel()
    if array.size == 0:
        raise ValueError("no values")
    if not np.isfinite(array).all():
        raise ValueError("values contain NaN or infinity")
    if np.abs(array).max() > LARGEST:
        raise ValueError(f"values beyond {LARGEST:.2g}, whose differences may overflow")
    return array


def _unit(*arrays: np.ndarray) -> tuple[list[np.ndarray], int]:
    """Returns the values over a power of two, which changes no digit, so that their squares neither overflow nor vanish."""
    power = int(np.frexp(max(float(np.abs(a).max()) for a in arrays))[1])
    return [np.ldexp(a, -power) for a in arrays], power


def _interval(value: float, half: float, power: int, n: int) -> Interval:
    value, low, high = np.ldexp([value, value - half, value + half], power).tolist()
    return Interval(value, low, high, n)


@typed
def wilson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Returns the proportion with Wilson's score interval, which behaves near 0 and 1.

    Raises: ValueError unless 0 <= successes <= trials and trials > 0, and 0 < confidence < 1.

    >>> [round(v, 3) for v in wilson_interval(0, 10)[:3]]
    [0.0, 0.0, 0.278]
    """
    if not (trials > 0 and 0 <= successes <= trials):
        raise ValueError(f"{successes} successes in {trials} trials")
    z = stats.norm.ppf(0.5 + as_confidence(confidence) / 2)
    p = successes / trials
    centre = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    # at 0 and 1 the bound is exact; rounding must not cut it off
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return Interval(float(p), float(low), float(high), int(trials))


@typed
def mean_interval(values, *, confidence: float = 0.95) -> Interval:
    """Returns the mean over seeds with its t interval; one value has NaN bounds, since nothing is known of them.

    Raises: ValueError for no values, NaN or infinity, a confidence outside (0, 1).

    >>> mean_interval([1.0]).low
    nan
    """
    array, level = _values(values), as_confidence(confidence)
    if array.size == 1:
        return Interval(float(array[0]), float("nan"), float("nan"), 1)
    (array,), power = _unit(array)
    half = stats.t.ppf(0.5 + level / 2, array.size - 1) * array.std(ddof=1) / np.sqrt(array.size)
    return _interval(array.mean(), half, power, array.size)


@typed
def welch_interval(a, b, *, confidence: float = 0.95) -> Interval:
    """Returns the mean of a minus that of b with Welch's t interval: independent samples, spreads that may differ.

    `n` is the number of values of both.
    Raises: ValueError for fewer than two values of either, and as `mean_interval` does.

    >>> [round(v, 2) for v in welch_interval([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])[:3]]
    [2.0, -0.27, 4.27]
    """
    a, b, level = _values(a), _values(b), as_confidence(confidence)
    if min(a.size, b.size) < 2:
        raise ValueError(f"{a.size} and {b.size} values: two of each are needed")
    (a, b), power = _unit(a, b)
    parts = np.array([v.var(ddof=1) / v.size for v in (a, b)])
    error = parts.sum()
    freedom = error**2 / (parts**2 / (np.array([a.size, b.size]) - 1)).sum() if error > 0 else 1.0
    difference = float(a.mean() - b.mean())
    half = float(stats.t.ppf(0.5 + level / 2, freedom) * np.sqrt(error))
    return _interval(difference, half, power, a.size + b.size)


@typed
def largest_interval(groups: Sequence, *, confidence: float = 0.95, absolute: bool = False) -> Interval:
    """Returns the largest of several means with an interval for the largest of the true ones; `n` counts all values.

    The upper end is the largest upper end of the groups' t intervals: that of the group with the largest true mean would
    do. The lower end is the largest lower end of intervals whose error is shared out among the groups (Bonferroni), for
    any of them may be the one that is too high; the largest of 95 % intervals misses more often, the more groups there are.
    The value itself is too large on average, as it is the luckiest.

    Args: groups: values, one array a group; absolute: whether the largest absolute mean is asked for.
    Raises: ValueError for no groups, a group of one value, and as `mean_interval` does.

    >>> [round(v, 2) for v in largest_interval([[1.0, 2.0, 3.0], [0.0, 1.0, 2.0]])[:3]]
    [2.0, -1.58, 4.48]
    """
    arrays = [_values(g) for g in groups]
    if not arrays or min(a.size for a in arrays) < 2:
        raise ValueError("groups of at least two values are needed")
    outer = [mean_interval(a, confidence=confidence) for a in arrays]
    # of an absolute mean either end may be the one that is too high
    errors = len(arrays) * (2 if absolute else 1)
    inner = [mean_interval(a, confidence=1 - (1 - confidence) / errors) for a in arrays]
    values, lows, highs = [i.value for i in outer], [i.low for i in inner], [i.high for i in outer]
    if absolute:
        values = [abs(v) for v in values]
        lows = [max(0.0, i.low, -i.high) for i in inner]
        highs = [max(-i.low, i.high) for i in outer]
    return Interval(max(values), max(lows), max(highs), sum(a.size for a in arrays))
