"""Every estimator's bias and interval by simulation, closed forms, invariances, Theorem 1, bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcore.metrics import distributional as dg
from dlcore.metrics.nearest import nearest_neighbour_bound
from dlcore.models.classical import classical
from dlcore.noise import apply_confusion

ONE = np.array([[0.7, 0.3]] + [[1.0, 0.0]] * 9)
ALL = np.tile([0.6, 0.2, 0.2], (10, 1))


@pytest.mark.parametrize(
    ("n", "law", "mean", "q95"),
    [
        (600, ONE, 0.0047, 0.0117),
        (600, ALL, 0.0664, 0.0850),
        (2000, ALL, 0.0364, 0.0470),
        (10_000, ONE, 0.0012, 0.0028),
        (10_000, ALL, 0.0163, 0.0210),
    ],
)
def test_null_mean_and_quantile(n, law, mean, q95):
    """The values of an independent simulation with 20,000 replicates."""
    found = dg.calibration_from_counts(
        np.random.default_rng(0).multinomial([n // 10] * 10, law), law, replicates=20_000
    )
    assert dg.null_bias(law, [n // 10] * 10) == pytest.approx(mean, abs=6e-5)
    assert found.null_mean == pytest.approx(mean, rel=0.03, abs=6e-5)
    assert found.null_q95 == pytest.approx(q95, rel=0.04, abs=6e-5)


def test_the_mean_of_the_estimate_is_the_bias_where_the_laws_are_equal():
    rng = np.random.default_rng(1)
    draws = [dg.calibration_from_counts(rng.multinomial([60] * 10, ALL), ALL, replicates=2).tv for _ in range(400)]
    assert np.mean(draws) == pytest.approx(dg.null_bias(ALL, [60] * 10), rel=0.04)


def test_two_sample_bias_is_sqrt_two_larger():
    """The price of sampled test labels: 1/N becomes 2/N."""
    rng = np.random.default_rng(2)
    draws = [
        dg.two_sample_from_counts(rng.multinomial([200] * 10, ALL), rng.multinomial([200] * 10, ALL), replicates=2).tv
        for _ in range(300)
    ]
    ratio = np.mean(draws) / dg.null_bias(ALL, [200] * 10)
    assert ratio == pytest.approx(np.sqrt(2), rel=0.05)
    assert dg.null_bias(ALL, [200] * 10, other_sizes=[200] * 10) / dg.null_bias(ALL, [200] * 10) == pytest.approx(
        np.sqrt(2)
    )


@pytest.mark.parametrize("tv", [0.0, 0.02, 0.05, 0.2])
@pytest.mark.parametrize("n", [60, 1000])
def test_interval_covers_the_truth(tv, n):
    """Coverage over 200 tables is at least 95 % less three standard errors; the interval is conservative."""
    law = np.tile([0.7, 0.3], (10, 1))
    truth = law + np.array([tv, -tv])
    rng = np.random.default_rng(int(1000 * tv) + n)
    hits = 0
    for i in range(200):
        found = dg.calibration_from_counts(rng.multinomial([n] * 10, truth), law, replicates=200, seed=i)
        hits += found.low <= tv <= found.high
    assert hits / 200 > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 200)


def test_a_known_shift_is_recovered_and_found():
    law = np.tile([0.7, 0.3], (10, 1))
    rng = np.random.default_rng(3)
    values = [
        dg.calibration_from_counts(rng.multinomial([500] * 10, law + [-0.1, 0.1]), law, replicates=200)
        for _ in range(100)
    ]
    tv = np.array([v.tv for v in values])
    assert abs(tv.mean() - 0.1) < 3 * tv.std() / 10 + 0.002
    assert all(v.p_value < 0.01 and v.low > 0 for v in values)


def test_p_values_are_valid_under_equal_laws_and_powerful_otherwise():
    rng = np.random.default_rng(4)
    equal, shifted = [], []
    for i in range(300):
        a = rng.multinomial([100] * 5, [0.5, 0.3, 0.2])
        equal.append(
            dg.two_sample_from_counts(a, rng.multinomial([80] * 5, [0.5, 0.3, 0.2]), replicates=200, seed=i).p_value
        )
        shifted.append(
            dg.two_sample_from_counts(a, rng.multinomial([80] * 5, [0.3, 0.5, 0.2]), replicates=200, seed=i).p_value
        )
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(equal) <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 300))
    assert np.mean(np.array(shifted) < 0.05) > 0.95


def test_hand_computed():
    found = dg.feature_calibration([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1], [[0.5, 0.5], [0.0, 1.0]])
    assert found.tv == pytest.approx(4 / 6 * 0.25)
    assert found.num_samples == 6
    assert dg.train_test_tv([0, 0, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1], 2, 2).tv == pytest.approx(2 / 3 * 0.5)


def test_joint_density_sums_to_one_and_takes_tensors():
    joint = dg.joint_density(torch.tensor([0, 1, 1]), torch.tensor([2, 0, 0]), 2, 3)
    assert joint.sum() == pytest.approx(1)
    assert joint[1, 0] == pytest.approx(2 / 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_relabelling_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.ones(4), size=5)
    feature, f = rng.integers(0, 5, 300), rng.integers(0, 4, 300)
    rows, columns = rng.permutation(5), rng.permutation(4)
    a = dg.feature_calibration(feature, f, law, replicates=2)
    moved = np.empty_like(law)
    moved[np.ix_(rows, columns)] = law
    b = dg.feature_calibration(rows[feature], columns[f], moved, replicates=2)
    assert a.tv == pytest.approx(b.tv)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_total_variation_is_a_bounded_metric(seed):
    p, q, r = np.random.default_rng(seed).dirichlet(np.full(6, 0.3), size=3)
    assert 0 <= dg.total_variation(p, q) <= 1
    assert dg.total_variation(p, q) == pytest.approx(dg.total_variation(q, p))
    assert dg.total_variation(p, r) <= dg.total_variation(p, q) + dg.total_variation(q, r) + 1e-12
    # the definition as a supremum over tests: the best one is the indicator of p > q
    assert dg.total_variation(p, q) == pytest.approx(((p - q) * (p > q)).sum())


def test_knn_rates():
    expected = {1: 0.3, 3: 0.216, 5: 0.163, 9: 0.099, 15: 0.050, 31: 0.010}
    for k, value in expected.items():
        assert float(dg.knn_flip_rate(k, 0.3)) == pytest.approx(value, abs=5e-4)
    votes = np.random.default_rng(0).random((200_000, 9)) < 0.3
    assert (votes.sum(1) > 4).mean() == pytest.approx(float(dg.knn_flip_rate(9, 0.3)), abs=0.003)
    assert np.allclose(dg.knn_flip_rate(5, np.array([0.0, 0.5, 1.0])), [0, 0.5, 1])


def test_agreement_of_synthetic_samplers_is_the_closed_form():
    rng = np.random.default_rng(5)
    law, share = rng.dirichlet(np.ones(4), size=3), np.array([0.5, 0.3, 0.2])
    feature = rng.choice(3, size=100_000, p=share)
    a, b, y = (apply_confusion(feature, law, s).labels for s in (1, 2, 3))
    closed = dg.sampler_agreement(law, share)
    assert dg.agreement(a, b) == pytest.approx(closed, abs=0.006)
    gap = dg.agreement_gap(a, b, y)
    assert gap.accuracy == pytest.approx(closed, abs=0.006)
    assert gap.low <= 0 <= gap.high


def test_agreement_scored_on_clean_labels_looks_broken():
    """Why the labels must follow the training law: sum Q(l|l) is not sum Q(k|l)^2."""
    eta, classes = 0.3, 10
    law = np.full((classes, classes), eta / 9)
    np.fill_diagonal(law, 1 - eta)
    share = np.full(classes, 0.1)
    assert dg.sampler_agreement(law, share) == pytest.approx(float(dg.symmetric_noise_agreement(eta, classes)))
    # against clean labels the accuracy is sum pi Q(l|l): with those the property looks broken
    assert share @ np.diag(law) - dg.sampler_agreement(law, share) > 0.15


def test_agreement_interval_covers():
    rng = np.random.default_rng(6)
    hits = 0
    for i in range(200):
        a, b, y = (rng.random((3, 300)) < 0.7).astype(int)
        gap = dg.agreement_gap(a, b, y, replicates=300, seed=i)
        hits += gap.low <= 0 <= gap.high  # all three are draws of one law: the true gap is 0
    assert hits / 200 > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 200)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_theorem_one_holds_on_random_problems(seed, n):
    rng = np.random.default_rng(seed)
    x_law, y_laws = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(3), size=12)
    found = nearest_neighbour_bound(x_law, y_laws, rng.integers(0, 3, 12), n, draws=100, seed=seed)
    assert found.distance <= found.epsilon + found.delta + 1e-12


def test_theorem_one_is_not_empty():
    """Both terms are needed: with epsilon alone, or delta alone, the inequality fails somewhere."""
    sharp = np.eye(2)[[0, 1]]
    # one feature only: epsilon is 0, all of the distance is delta
    skewed = nearest_neighbour_bound([0.9, 0.1], sharp, [0, 0], n=1, draws=4000)
    assert skewed.epsilon == 0
    alike = nearest_neighbour_bound([0.2] * 5, np.eye(2)[[0, 1, 0, 1, 0]], [0, 1, 0, 1, 0], n=2, draws=4000)
    assert alike.distance > alike.delta
    # with many training points both vanish
    large = nearest_neighbour_bound([0.2] * 5, np.eye(2)[[0, 1, 0, 1, 0]], [0, 1, 0, 1, 0], n=200, draws=300)
    assert max(large) < 0.01


def test_one_nn_on_far_apart_blobs_reproduces_the_confusion_matrix():
    rng = np.random.default_rng(9)
    law = np.array([[0.6, 0.3, 0.1], [0.0, 0.8, 0.2], [0.25, 0.25, 0.5]])
    feature = rng.integers(0, 3, 8000)
    x = rng.normal(size=(8000, 2)) + 100 * np.eye(3, 2)[feature]
    y = apply_confusion(feature, law, 0).labels
    f = classical("knn").fit(x[:4000], y[:4000]).predict(x[4000:])
    found = dg.feature_calibration(feature[4000:], f, law)
    assert found.low == 0
    assert found.tv < 0.04


def test_epsilon():
    epsilon = dg.distinguishability(np.zeros(100, int), np.r_[np.zeros(90, int), np.ones(10, int)])
    assert epsilon.value == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dg.joint_density([0, 2], [0, 0], 2, 2), "feature holds 2, outside 0..1"),
        (lambda: dg.joint_density([0], [0, 0], 2, 2), "1 entries, predictions 2"),
        (lambda: dg.joint_density([], [], 2, 2), "empty"),
        (lambda: dg.joint_density([0.0], [0], 2, 2), "integers"),
        (lambda: dg.joint_density([0, 1], ["cat", "dog"], 2, 2), "number the classes"),
        (lambda: dg.joint_density([0, 1], [[0.3, 0.7], [0.6, 0.4]], 2, 2), r"argmax\(1\)"),
        (lambda: dg.joint_density([0, 1], [True, False], 2, 2), r"bool; use astype\(int\)"),
        (
            lambda: dg.joint_density([0, 1], [[0, 0], [1, 1]], 2, 2),
            r"predictions must have one axis, not the shape \(2, 2\)",
        ),
        (lambda: dg.total_variation([0.5, 0.5], [0.7, 0.5]), "q is not a law"),
        (lambda: dg.total_variation([1.0], [0.5, 0.5]), "shapes differ"),
        (lambda: dg.total_variation([np.nan, 1], [0.5, 0.5]), "p is not a law"),
        (lambda: dg.feature_calibration([0], [0], [[0.5, 0.4]]), r"row 0 is not a law \(it sums to 0.9\)"),
        (lambda: dg.feature_calibration([0], [0], [0.5, 0.5]), "matrix"),
        (lambda: dg.calibration_from_counts([[0, 0]], [[0.5, 0.5]]), "non-empty"),
        (lambda: dg.two_sample_from_counts([[1, 0], [0, 0]], [[0, 0], [1, 0]]), "share no feature"),
        (lambda: dg.knn_flip_rate(4, 0.3), "odd"),
        (lambda: dg.knn_flip_rate(3, 1.3), "outside"),
        (lambda: dg.agreement([0], [0, 1]), "1 and 2 predictions"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_partition_tv_and_its_bias():
    """Three features, the last two in one cell: the value by hand, the bias by simulation of the finer sampler."""
    law = np.array([[0.7, 0.3], [1.0, 0.0], [0.4, 0.6]])
    sizes, groups = np.array([100, 300, 200]), [0, 1, 1]
    counts = np.array([[80, 20], [290, 10], [60, 140]])
    value, bias = dg.partition_tv(counts, law, groups)
    # |80 - 70| in the first cell; 350 against 380 in the second
    assert value == pytest.approx((10 + 30) / 600)
    rng = np.random.default_rng(0)
    draws = np.stack([rng.multinomial(n, p, size=4000) for n, p in zip(sizes, law, strict=True)], axis=1)
    found = [dg.partition_tv(d, law, groups)[0] for d in draws]
    assert np.mean(found) == pytest.approx(bias, rel=0.03)
    # one group a feature is the partition itself
    own = dg.calibration_from_counts(counts, law)
    assert dg.partition_tv(counts, law, [0, 1, 2])[0] == pytest.approx(own.tv)
    with pytest.raises(ValueError, match="groups"):
        dg.partition_tv(counts, law, [0, 1])
