"""Metrics of chapter 3 by second routes: simulated bias and coverage, brute force, scipy, and refused arguments.

Tolerances of simulated shares are three standard errors.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from dlcore.metrics import distributional as dg
from dlcore.metrics import statistics

NOISY = np.tile([0.7, 0.3], (10, 1))
CLEAN = np.tile([1.0, 0.0], (10, 1))
MOVE = np.array([-1.0, 1.0])


def _three_errors(share: float, runs: int) -> float:
    return 3 * np.sqrt(share * (1 - share) / runs)


def _limits(law: np.ndarray, tv: float, n: int, runs: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(round(1000 * tv) + n)
    found = [
        dg.calibration_from_counts(rng.multinomial([n] * 10, law + tv * MOVE), law, replicates=200, seed=i)
        for i in range(runs)
    ]
    return np.array([f.low for f in found]), np.array([f.high for f in found])


# --- TV: bias and interval


def test_lower_limit_is_zero_for_a_perfect_sampler():
    """One-sided: a sampler must not be refused. Binary and ten-class noise, few and many points."""
    rng = np.random.default_rng(0)
    ten = np.full((10, 10), 0.4 / 9) + (0.6 - 0.4 / 9) * np.eye(10)
    for law, n in ((NOISY, 20), (NOISY, 1000), (ten, 60)):
        lows = [
            dg.calibration_from_counts(rng.multinomial([n] * 10, law), law, replicates=200, seed=i).low
            for i in range(150)
        ]
        assert np.mean(np.array(lows) == 0) >= 0.95 - _three_errors(0.95, 150)


def test_upper_limit_is_short_where_an_error_is_rare():
    """The limitation that the docstring states, so that it cannot be forgotten."""
    few = _limits(CLEAN, 0.005, 20, 400)  # one error is expected in the whole table
    assert np.mean(few[0] <= 0.005 + 1e-12) > 0.99
    assert np.mean(few[1] >= 0.005) == pytest.approx(1 - (1 - 0.005) ** 200, abs=_three_errors(0.63, 400))
    more = _limits(CLEAN, 0.02, 60, 400)  # twelve
    assert 0.91 - _three_errors(0.91, 400) < np.mean((more[0] <= 0.02) & (more[1] >= 0.02)) < 0.97
    # what the docstring offers instead
    counts = np.random.default_rng(1).binomial(200, 0.005, size=400)
    held = [w.low <= 0.005 <= w.high for w in (statistics.wilson_interval(int(c), 200) for c in counts)]
    assert np.mean(held) >= 0.91


def test_clean_labels_make_tv_the_error():
    rng = np.random.default_rng(2)
    labels, f = rng.integers(0, 4, 500), rng.integers(0, 4, 500)
    assert dg.feature_calibration(labels, f, np.eye(4)).tv == pytest.approx(np.mean(labels != f))


@pytest.mark.parametrize("tv", [0.05, 0.2])
def test_bootstrap_debiasing_takes_part_of_the_bias_off(tv):
    law = np.tile([0.6, 0.2, 0.2], (10, 1))
    rng = np.random.default_rng(3)
    found = [
        dg.calibration_from_counts(
            rng.multinomial([60] * 10, law + tv * np.array([-1, 1, 0])), law, replicates=200, seed=i
        )
        for i in range(60)
    ]
    plug, null, boot = (np.mean([getattr(f, n) for f in found]) for n in ("tv", "debiased", "bootstrap_debiased"))
    assert abs(boot - tv) < abs(plug - tv)
    assert null < tv < boot < plug  # near 0 the null's mean takes too much off, the bootstrap too little


def test_weights_are_the_shares_of_the_features():
    """Unequal groups: 90 points with distance .3, 10 points with distance 0."""
    counts = [[36, 54], [10, 0]]
    assert dg.calibration_from_counts(counts, [[0.7, 0.3], [1.0, 0.0]]).tv == pytest.approx(0.9 * 0.3)
    # the same number through the joint laws
    joint = np.array(counts) / 100
    assert dg.total_variation(joint, np.array([[0.63, 0.27], [0.1, 0.0]])) == pytest.approx(0.27)


def test_features_without_points_are_left_out():
    full = dg.calibration_from_counts([[6, 4]], [[0.5, 0.5]])
    assert dg.calibration_from_counts([[6, 4], [0, 0]], [[0.5, 0.5], [1.0, 0.0]]) == full


def test_sampled_test_labels_inflate_the_bias():
    """The price of comparing with noisy test labels instead of the exact law: sqrt(2)."""
    rng = np.random.default_rng(4)
    law, n = np.tile([0.6, 0.2, 0.2], (10, 1)), 200
    f, y = (rng.multinomial([n] * 10, law, size=(2000, 10)) / n for _ in range(2))
    exact, sampled = (0.05 * np.abs(f - other).sum((1, 2)).mean() for other in (law, y))
    assert exact == pytest.approx(dg.null_bias(law, [n] * 10), rel=0.02)
    assert sampled / exact == pytest.approx(np.sqrt(2), abs=0.03)
    assert sampled == pytest.approx(dg.null_bias(law, [n] * 10, other_sizes=[n] * 10), rel=0.02)


def test_two_sample_bias_with_unequal_groups_is_the_closed_form():
    law = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.4, 0.6, 0.0]])
    train, test = [900, 200, 100], [60, 200, 240]
    rng = np.random.default_rng(5)
    nulls = [
        dg.two_sample_from_counts(rng.multinomial(train, law), rng.multinomial(test, law), seed=i).null_mean
        for i in range(30)
    ]
    assert np.mean(nulls) == pytest.approx(dg.null_bias(law, train, other_sizes=test), rel=0.05)


@pytest.mark.parametrize(("law", "tv", "least"), [(NOISY, 0.0, 0.95), (NOISY, 0.2, 0.95), (CLEAN, 0.005, 0.86)])
def test_two_sample_interval_covers(law, tv, least):
    rng = np.random.default_rng(6)
    hits = 0
    for i in range(150):
        a, b = rng.multinomial([120] * 10, law), rng.multinomial([60] * 10, law + tv * MOVE)
        found = dg.two_sample_from_counts(a, b, replicates=200, seed=i)
        hits += found.low <= tv <= found.high
    assert hits / 150 > least - _three_errors(least, 150)


def test_two_sample_null_is_the_permutation_null():
    """The hypergeometric draws against shuffling the pooled predictions within each feature."""
    rng = np.random.default_rng(7)
    a, b = np.array([[30, 10], [5, 15]]), np.array([[12, 8], [9, 1]])
    feature = np.repeat([0, 1], [60, 30])
    pooled = np.r_[np.repeat([0, 1], (a + b)[0]), np.repeat([0, 1], (a + b)[1])]
    share = 0.5 * (np.array([40, 20]) / 60 + np.array([20, 10]) / 30)
    values = []
    for _ in range(3000):
        tv = 0.0
        for row, n in ((0, 40), (1, 20)):
            f = rng.permutation(pooled[feature == row])
            tv += share[row] * abs(f[:n].mean() - f[n:].mean())
        values.append(tv)
    found = dg.two_sample_from_counts(a, b, replicates=3000)
    error = np.std(values) * np.sqrt(2 / 3000)
    assert found.null_mean == pytest.approx(np.mean(values), abs=4 * error)
    assert found.null_q95 == pytest.approx(np.quantile(values, 0.95), rel=0.08)


def test_a_tie_with_the_null_counts_against_the_finding():
    """One point a side, unlike: every split is as far apart as the data, so nothing has been found."""
    assert dg.two_sample_from_counts([[1, 0]], [[0, 1]]).p_value == 1
    assert dg.calibration_from_counts([[1, 0]], [[0.5, 0.5]]).p_value == 1


def test_swapping_train_and_test_changes_nothing():
    a, b = np.array([[30, 10], [5, 15]]), np.array([[12, 8], [9, 1]])
    assert dg.two_sample_from_counts(a, b).tv == pytest.approx(dg.two_sample_from_counts(b, a).tv)


def test_the_same_seed_gives_the_same_answer():
    counts = [[60, 40], [30, 70]]
    law = [[0.5, 0.5], [0.5, 0.5]]
    assert dg.calibration_from_counts(counts, law, seed=3) == dg.calibration_from_counts(counts, law, seed=3)
    other = dg.calibration_from_counts(counts, law, seed=4)
    assert other.null_mean != dg.calibration_from_counts(counts, law, seed=3).null_mean


def test_tensors_are_taken_everywhere():
    law = torch.tensor([[0.5, 0.5]], requires_grad=True)
    zero = torch.zeros(4, dtype=torch.int64)
    assert dg.feature_calibration(zero, zero, law).tv == 0.5
    assert dg.total_variation(law, law) == 0
    assert dg.calibration_from_counts(torch.tensor([[2, 2]]), law).tv == 0
    assert dg.sampler_agreement(law, torch.tensor([1.0])) == 0.5
    assert dg.distinguishability(zero, zero).value == 0
    assert dg.agreement(zero, zero) == 1


# --- agreement and calibration of ensembles


def test_agreement_gap_by_hand():
    """Agreement 3/4, accuracies 1/2 and 1/4: classifiers that share their mistakes agree more than they are right."""
    gap = dg.agreement_gap([0, 1, 0, 1], [0, 1, 0, 0], [0, 0, 1, 1])
    assert (gap.accuracy_a, gap.accuracy_b, gap.agreement) == (0.5, 0.25, 0.75)
    assert gap.gap == pytest.approx(0.75 - 0.375)
    assert gap.low <= gap.gap <= gap.high


# --- intervals against scipy


@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 10), (50, 50), (141, 1000)])
def test_wilson_is_that_of_scipy(k, n):
    ours = statistics.wilson_interval(k, n, confidence=0.9)
    theirs = stats.binomtest(k, n).proportion_ci(0.9, method="wilson")
    assert (ours.low, ours.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_t_intervals_are_those_of_scipy():
    a, b = np.random.default_rng(9).normal(size=(2, 6))
    ours, theirs = statistics.mean_interval(a, confidence=0.9), stats.ttest_1samp(a, 0).confidence_interval(0.9)
    assert (ours.low, ours.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    ours, theirs = statistics.mean_interval(a - b), stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (ours.low, ours.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_one_seed_has_no_interval():
    found = statistics.mean_interval([0.4])
    assert found.value == 0.4
    assert np.isnan([found.low, found.high]).all()


# --- refused arguments

TWO = [[5, 5], [5, 5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dg.calibration_from_counts(TWO, [[0.5, 0.5]] * 2, confidence=95), "confidence = 95"),
        (lambda: dg.calibration_from_counts(TWO, [[0.5, 0.5]] * 2, replicates=0), "replicates = 0"),
        (lambda: dg.calibration_from_counts([[np.nan, 1]], [[0.5, 0.5]]), "counts must hold integers, not float64"),
        (lambda: dg.calibration_from_counts([[-1, 3]], [[0.5, 0.5]]), "counts holds -1"),
        (lambda: dg.calibration_from_counts([[1, 3]], [[np.nan, 0.5]]), "row 0 is not a law"),
        (lambda: dg.two_sample_from_counts([[1.5, 1]], [[1, 3]]), "counts_train must hold integers"),
        (lambda: dg.two_sample_from_counts(TWO, [[-1, 3], [1, 1]]), "counts_test holds -1"),
        (lambda: dg.two_sample_from_counts(TWO, [[1, 1]]), "one shape"),
        (lambda: dg.two_sample_from_counts(TWO, TWO, confidence=0), "confidence = 0"),
        (lambda: dg.null_bias([[0.5, 0.5]], [10], other_sizes=[0]), "no feature has points"),
        (lambda: dg.null_bias([[0.5, 0.5]], [10], other_sizes=[10, 20]), "other_sizes must hold 1 counts"),
        (lambda: dg.null_bias([[0.5, 0.5]], [np.nan]), "group_sizes must hold 1 counts"),
        (lambda: dg.distinguishability([0.0], [np.nan]), "predictions must hold integers"),
        (lambda: dg.agreement([0, -1], [0, 1]), "predictions_a holds -1"),
        (lambda: dg.agreement_gap([0, 1], [0, 1], [0, 1], confidence=95), "confidence = 95"),
        (lambda: dg.sampler_agreement([[0.5, 0.5]] * 3, [1.0]), "weights must hold 3 shares, not 1"),
        (lambda: dg.sampler_agreement(np.eye(2), [0.5, 0.4]), "weights"),
        (lambda: dg.knn_flip_rate(float("nan"), 0.3), "must be an integer"),
        (lambda: dg.knn_flip_rate(2.5, 0.3), "must be an integer"),
        (lambda: dg.knn_flip_rate(0, 0.3), "odd"),
        (lambda: dg.knn_flip_rate(3, [0.1, np.nan]), "outside"),
        (lambda: dg.symmetric_noise_agreement(0.1, 1), "at least 2"),
        (lambda: statistics.mean_interval([1.0], confidence=95), "confidence = 95"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
