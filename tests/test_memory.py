"""A thousand classes: peak memory, and the same numbers as tables that hold every cell."""

import tracemalloc

import numpy as np
import pytest

from dlcore import noise, probing
from dlcore.metrics import distributional as dg
from dlcore.metrics import rationality as rr
from dlcore.metrics import two_sample
from dlcore.metrics.information import jackknife_information, mutual_information

N, K = 50_000, 1000
RNG = np.random.default_rng(0)


def _noisy(labels, share, classes=K):
    return np.where(RNG.random(np.shape(labels)) < share, RNG.integers(0, classes, np.shape(labels)), labels)


def _peak(call):
    """Returns what a call holds at most at one time, in bytes, beyond what was there."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def points():
    labels = RNG.integers(0, K, N)
    draws = _noisy(np.broadcast_to(labels, (100, N)), 0.1)
    return labels, _noisy(labels, 0.3), draws, 0.7 * np.eye(K) + 0.3 / K


@pytest.mark.parametrize(
    "call",
    [
        lambda y, p, draws, law: dg.feature_calibration(y, p, law, replicates=3),
        lambda y, p, draws, law: dg.train_test_tv(y, p, y, p[::-1], K, K, replicates=3),
        lambda y, p, draws, law: dg.joint_density(y, p, K, K),
        lambda y, p, draws, law: dg.agreement_gap(p, p[::-1], y),
        lambda y, p, draws, law: rr.noisy_experiment(draws, draws[::-1], y),
        lambda y, p, draws, law: rr.deviation_complexity(draws, draws[::-1], y, K),
        lambda y, p, draws, law: rr.deviation_complexity(draws[:5], draws[5:10], y, K, correction="jackknife"),
        lambda y, p, draws, law: rr.prediction_complexity(draws, draws[::-1], y, K),
        lambda y, p, draws, law: rr.prediction_complexity(draws[:30], draws[30:60], y, K, correction="jackknife"),
        lambda y, p, draws, law: noise.flip_labels(y, K, 0.2, 0),
        lambda y, p, draws, law: noise.apply_confusion(y, law, 0),
        lambda y, p, draws, law: probing.probe("knn", y[:4000, None] / 7, y[:4000], y[:9, None] / 7, K),
    ],
    ids=lambda call: call.__code__.co_names[1],
)
def test_a_thousand_classes_fit_into_memory(points, call):
    assert _peak(lambda: call(*points)) < 1e9


def test_probabilities_of_a_thousand_classes():
    shares = RNG.dirichlet(np.ones(K), 2000)
    labels = RNG.integers(0, K, 2000)
    assert _peak(lambda: noise.apply_probabilities(labels, shares, 0)) < 6 * shares.nbytes


def test_points_drawn_one_by_one_give_the_same_law(monkeypatch):
    feature, classes = np.repeat(np.arange(3), [400, 30, 5]), 4
    law = np.array([[0.4, 0.3, 0.2, 0.1], [0.97, 0.01, 0.01, 0.01], [0.0, 0.5, 0.5, 0.0]])
    found = np.array([RNG.choice(classes, p=law[row]) for row in feature])
    other = _noisy(found, 0.2, classes)
    calls = (
        lambda: dg.feature_calibration(feature, found, law, replicates=4000),
        lambda: dg.train_test_tv(feature, found, feature[::-1], other[::-1], 3, classes, replicates=4000),
    )
    dense = [call() for call in calls]
    for module in (dg, two_sample):
        monkeypatch.setattr(module, "DENSE", 0)
    for one, two in zip([call() for call in calls], dense, strict=True):
        assert one.tv == two.tv
        for name in ("null_mean", "null_q95", "low", "high"):
            assert getattr(one, name) == pytest.approx(getattr(two, name), abs=0.004), name
        assert one.p_value == pytest.approx(two.p_value, abs=0.04)


@pytest.mark.parametrize("correction", [None, "miller-madow", "jackknife"])
def test_cells_that_occur_are_enough(correction):
    classes, draws, n = 5, 12, 40
    y = RNG.integers(0, classes, n)
    noisy = _noisy(np.broadcast_to(y, (draws, n)), 0.3, classes)
    found = np.where(RNG.random((draws, n)) < 0.5, noisy, y)
    delta, shift = (found - y) % classes, (noisy - y) % classes

    def tables(i):
        one = np.zeros((draws, classes, classes))
        one[np.arange(draws), delta[:, i], shift[:, i]] = 1
        return one

    def information(tables):
        if correction == "jackknife":
            return jackknife_information(tables.sum(0), tables, len(tables))
        return mutual_information(tables.sum(0), correction)

    each = [max(0.0, information(tables(i))) for i in range(n)]
    assert rr.prediction_complexity(found, noisy, y, classes, correction=correction) == pytest.approx(sum(each))
    whole = information(sum(tables(i) for i in range(n)))
    assert rr.deviation_complexity(found, noisy, y, classes, correction=correction) == pytest.approx(n * whole)
