"""Intervals cover what they promise."""

import numpy as np
import pytest

from dlcore.metrics import statistics


@pytest.mark.parametrize("p", [0.02, 0.3])
def test_wilson_covers(p):
    rng = np.random.default_rng(0)
    hits = [i.low <= p <= i.high for i in (statistics.wilson_interval(int(k), 80) for k in rng.binomial(80, p, 2000))]
    assert 0.92 < np.mean(hits) < 0.985


def test_mean_and_paired_intervals_cover():
    rng = np.random.default_rng(1)
    draws = rng.normal(1.0, 2.0, size=(2000, 5))
    hits = [i.low <= 1 <= i.high for i in map(statistics.mean_interval, draws)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)
    found = statistics.paired_difference(draws[0] + 3, draws[0])
    assert (found.value, found.n) == (pytest.approx(3.0), 5)


def test_bootstrap_covers_roughly_and_handles_constants():
    rng = np.random.default_rng(2)
    draws = rng.exponential(size=(150, 30))
    hits = [i.low <= 1 <= i.high for i in (statistics.bootstrap_interval(d, replicates=300, seed=1) for d in draws)]
    assert np.mean(hits) > 0.85
    assert statistics.bootstrap_interval([2.0, 2.0, 2.0])[:3] == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: statistics.wilson_interval(3, 2),
        lambda: statistics.wilson_interval(0, 0),
        lambda: statistics.mean_interval([]),
        lambda: statistics.mean_interval([1.0, np.nan]),
        lambda: statistics.paired_difference([1.0], [1.0, 2.0]),
        lambda: statistics.bootstrap_interval([1.0, 2.0]),
        lambda: statistics.mean_interval([1.0, 2.0], confidence=1.5),
    ],
)
def test_bad_input(call):
    with pytest.raises(ValueError, match=r"\w"):
        call()
