"""Intervals cover what they promise."""

import numpy as np
import pytest
from scipy import stats

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


@pytest.mark.parametrize(
    "call",
    [
        lambda: statistics.wilson_interval(3, 2),
        lambda: statistics.wilson_interval(0, 0),
        lambda: statistics.mean_interval([]),
        lambda: statistics.mean_interval([1.0, np.nan]),
        lambda: statistics.largest_interval([]),
        lambda: statistics.welch_interval([1.0], [1.0, 2.0]),
        lambda: statistics.largest_interval([[1.0, 2.0], [3.0]]),
        lambda: statistics.mean_interval([1.0, 2.0], confidence=1.5),
    ],
)
def test_bad_input(call):
    with pytest.raises(ValueError, match=r"\w"):
        call()


@pytest.mark.parametrize("seeds", [2, 3, 5, 9])
@pytest.mark.parametrize("draw", ["normal", "share"])
def test_the_mean_of_few_seeds_is_covered(seeds, draw):
    """At the numbers of seeds of the ledger; "share" is lopsided, as shares near 0 are."""
    rng = np.random.default_rng(seeds)
    values = rng.normal(1, 2, (3000, seeds)) if draw == "normal" else rng.beta(2, 8, (3000, seeds))
    true = 1.0 if draw == "normal" else 0.2
    hits = [i.low <= true <= i.high for i in map(statistics.mean_interval, values)]
    # 93 % for the lopsided ones
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015 if draw == "normal" else 0.03)


@pytest.mark.parametrize("sizes", [(5, 3), (3, 3), (2, 5)])
def test_the_difference_of_two_means_is_covered(sizes):
    rng = np.random.default_rng(7)
    hits = []
    for _ in range(2000):
        i = statistics.welch_interval(rng.normal(1.5, 0.5, sizes[0]), rng.normal(1.0, 1.0, sizes[1]))
        hits.append(i.low <= 0.5 <= i.high)
    assert np.mean(hits) > 0.92
    a, b = rng.normal(size=sizes[0]), rng.normal(size=sizes[1])
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert statistics.welch_interval(a, b)[1:3] == pytest.approx((theirs.low, theirs.high))


def test_an_interval_cut_to_the_possible_values_covers_as_before():
    """Rank correlations over four stages, three and five seeds: their t interval may reach beyond 1, where no mean can lie."""
    rng = np.random.default_rng(3)
    for seeds in (3, 5):
        values = np.round(np.clip(rng.normal(0.4, 0.5, (3000, seeds)), -1, 1) * 5) / 5
        true = np.round(np.clip(rng.normal(0.4, 0.5, 400_000), -1, 1) * 5).mean() / 5
        whole = [statistics.mean_interval(v) for v in values]
        hits = [max(i.low, -1) <= true <= min(i.high, 1) for i in whole]
        assert hits == [i.low <= true <= i.high for i in whole]
        assert np.mean(hits) > 0.92


@pytest.mark.table
@pytest.mark.parametrize(("cells", "seeds"), [(3, 3), (9, 5), (10, 20), (18, 5)])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_the_largest_of_several_means_is_covered(cells, seeds, spread):
    """At the cells and seeds of the ledger's largest values; equal true means are the hardest."""
    rng = np.random.default_rng(cells)
    means = spread * np.linspace(-1, 0, cells)
    plain, found = [], []
    for _ in range(600):
        groups = list(means[:, None] + rng.normal(0, 1, (cells, seeds)))
        i = statistics.largest_interval(groups)
        found.append(i.low <= 0 <= i.high)
        each = [statistics.mean_interval(g) for g in groups]
        plain.append(max(e.low for e in each) <= 0)
    assert np.mean(found) > 0.93
    if spread == 0 and cells > 3:
        # the largest of the 95 % intervals' lower ends is no limit: this is what the ledger had at first
        assert np.mean(plain) < 0.9


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_largest_absolute_mean_is_covered_at_zero(seeds):
    rng = np.random.default_rng(5)
    found = [statistics.largest_interval(rng.normal(0, 1, (4, seeds)), absolute=True) for _ in range(2000)]
    assert np.mean([i.low <= 0 for i in found]) > 0.94
    assert all(i.low <= i.value <= i.high for i in found)


@pytest.mark.parametrize("seeds", [3, 5])
def test_a_ratio_over_seeds_is_covered_in_logarithms(seeds):
    """The ledger's ratios of memorization gaps: log-normal, with spreads as recorded."""
    rng = np.random.default_rng(6)
    logs = np.log(40) + rng.normal(0, 0.15, (3000, seeds))
    hits = [i.low <= np.log(40) <= i.high for i in map(statistics.mean_interval, logs)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)
