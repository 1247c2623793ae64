"""Rationality metrics: identities, exact enumerations, biases and interval coverage by simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from dlcore import noise
from dlcore.metrics import information
from dlcore.metrics import rationality as rr

FRACTION = st.floats(0, 1)


@given(FRACTION, FRACTION, FRACTION, FRACTION)
def test_gaps_telescope_and_the_bound_holds(train, test, train_noisy, noisy_train):
    g = rr.gaps(train, test, train_noisy, noisy_train)
    parts = g.signed_robustness + g.signed_memorization + g.signed_rationality
    assert parts == pytest.approx(g.signed_generalization, abs=1e-12)
    assert g.signed_generalization <= g.bound + 1e-12
    assert g.generalization <= g.bound + 1e-12
    assert min(g.robustness, g.memorization, g.rationality, g.generalization) >= 0


def test_an_interpolator_has_a_vacuous_bound():
    labels = np.arange(200) % 5
    noisy = np.stack([noise.flip_labels(labels, 5, 0.3, s).labels for s in range(4)])
    e = rr.noisy_experiment(noisy, noisy, labels)
    g = rr.gaps(1.0, 0.9, e.train_noisy, e.noisy_train)
    assert e.noisy_train == 0
    assert g.robustness == pytest.approx(e.rate)
    assert g.bound == pytest.approx(1.0)
    assert g.signed_rationality == pytest.approx(-0.9)


def _random_experiment(seed, draws=6, n=40, classes=4):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    noisy = np.where(rng.random((draws, n)) < 0.4, rng.integers(0, classes, (draws, n)), labels)
    follow = rng.random((draws, n))
    predictions = np.where(follow < 0.3, noisy, np.where(follow < 0.8, labels, rng.integers(0, classes, (draws, n))))
    return predictions, noisy, labels, classes


@pytest.mark.parametrize("seed", range(8))
def test_ratio_of_sums_and_the_noisy_train_accuracy_by_loops(seed):
    predictions, noisy, labels, _ = _random_experiment(seed)
    e = rr.noisy_experiment(predictions, noisy, labels)
    hits = [
        p == y
        for row, given in zip(predictions, noisy, strict=True)
        for p, t, y in zip(row, given, labels, strict=True)
        if t != y
    ]
    assert e.noisy_train == pytest.approx(np.mean(hits))
    assert e.train_noisy == pytest.approx(np.mean(predictions == labels))
    assert e.fitted.sum() == (predictions == noisy).sum()
    assert e.rate == pytest.approx(np.mean(noisy != labels))


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.int64, (3, 12), elements=st.integers(0, 2)),
    hnp.arrays(np.int64, (3, 12), elements=st.integers(0, 2)),
    hnp.arrays(np.int64, (12,), elements=st.integers(0, 2)),
)
def test_the_bounds_hold_identically(predictions, noisy, labels):
    if not (noisy != labels).any():
        return
    e = rr.noisy_experiment(predictions, noisy, labels)
    gap = abs(e.train_noisy - e.noisy_train)
    n = len(labels)
    full = rr.deviation_complexity(predictions, noisy, labels, 3)
    two = rr.binary_deviation_complexity(predictions, noisy, labels)
    assert two <= full + 1e-9
    assert gap <= rr.sharp_memorization_bound(two, n, e.rate) + 1e-9
    assert gap <= rr.sharp_memorization_bound(full, n, e.rate) + 1e-9
    assert rr.sharp_memorization_bound(full, n, e.rate) <= rr.memorization_bound(full, n, e.rate) / 2 + 1e-9


def _two_by_two(rate, on_flipped, on_clean):
    """Train(eta) - NTrain(eta) and I(B; M) in nats, by the definition of information."""
    joint = np.array(
        [[rate * on_flipped, rate * (1 - on_flipped)], [(1 - rate) * on_clean, (1 - rate) * (1 - on_clean)]]
    )
    return joint[:, 0].sum() - on_flipped, float(entropy(joint.ravel(), np.outer(joint.sum(1), joint.sum(0)).ravel()))


@given(st.floats(1e-3, 1 - 1e-3), FRACTION, FRACTION)
def test_no_law_of_two_bits_violates_the_sharp_bound(rate, on_flipped, on_clean):
    gap, nats = _two_by_two(rate, on_flipped, on_clean)
    assert abs(gap) <= rr.sharp_memorization_bound(nats, 1, rate) + 1e-7
    assert rr.sharp_memorization_bound(nats, 1, rate) <= rr.memorization_bound(nats, 1, rate) / 2 + 1e-12


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.3, 0.5, 0.9])
def test_the_sharp_bound_is_tight_at_every_rate_and_half_of_the_published_one_is_not(rate):
    gap, nats = _two_by_two(rate, 0.5 - 1e-3 * (1 - rate), 0.5 + 1e-3 * rate)
    assert gap / rr.sharp_memorization_bound(nats, 1, rate) == pytest.approx(1, abs=1e-4)
    assert gap / rr.memorization_bound(nats, 1, rate) == pytest.approx(np.sqrt(rate * (1 - rate)), abs=1e-4)


def _enumerate(rng, n=4, classes=3, rate=0.3):
    """A random deterministic fit on a tiny problem, and the exact law of (prediction vector, noisy labels)."""
    labels = rng.integers(0, classes, n)
    outcomes = list(itertools.product(range(classes), repeat=n))
    weights = np.array(
        [
            math.prod(1 - rate if t == y else rate / (classes - 1) for t, y in zip(o, labels, strict=True))
            for o in outcomes
        ]
    )
    kernel = rng.random((n, n)) ** 3
    fitted = []
    for o in outcomes:
        votes = kernel @ np.eye(classes)[list(o)] + 1e-6 * np.arange(classes)
        fitted.append(votes.argmax(1))
    return labels, np.array(outcomes), np.array(fitted), weights


def _information(table):
    table = table / table.sum()
    outer = table.sum(1, keepdims=True) * table.sum(0, keepdims=True)
    at = table > 0
    return float((table[at] * np.log(table[at] / outer[at])).sum())


def test_the_chain_and_the_bound_on_exact_enumerations():
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(60):
        classes, rate = 3, float(rng.uniform(0.05, 0.6))
        labels, noisy, fitted, weights = _enumerate(rng, rate=rate)
        n = len(labels)
        delta, shift = (fitted - labels) % classes, (noisy - labels) % classes
        pooled, each = np.zeros((classes, classes)), np.zeros((n, classes, classes))
        for d, s, w in zip(delta, shift, weights, strict=True):
            for i in range(n):
                pooled[d[i], s[i]] += w
                each[i, d[i], s[i]] += w
        dc = n * _information(pooled)
        pc = sum(_information(t) for t in each)
        _, code = np.unique(fitted, axis=0, return_inverse=True)
        law = np.bincount(code.ravel(), weights=weights)
        mdl = -float((law * np.log(law)).sum())
        assert dc <= pc + 1e-9
        assert pc <= mdl + 1e-9
        flipped = shift != 0
        train_noisy = float((weights[:, None] * (delta == 0)).sum() / n)
        on_flipped = float((weights[:, None] * ((delta == 0) & flipped)).sum() / (weights[:, None] * flipped).sum())
        gap = abs(train_noisy - on_flipped)
        for complexity in (dc, pc, mdl):
            assert gap <= rr.sharp_memorization_bound(complexity, n, rate) + 1e-9
        if dc > 1e-9:
            ratios.append((gap / rr.sharp_memorization_bound(dc, n, rate), gap / rr.memorization_bound(dc, n, rate)))
    sharp, published = np.max(ratios, axis=0)
    assert 0.9 < sharp <= 1
    # never more than half of it is used
    assert published <= 0.5


def test_information_equals_scikit_learn_and_the_loops():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 4, 300), rng.integers(0, 5, 300)
    b = np.where(rng.random(300) < 0.5, a, b)
    table = np.zeros((5, 5))
    np.add.at(table, (a, b), 1)
    assert information.mutual_information(table) == pytest.approx(mutual_info_score(a, b), rel=1e-9)
    tables = rng.integers(0, 5, (7, 3, 3))
    left_out = [_information(tables.sum(0) - t) for t in tables]
    wanted = 7 * _information(tables.sum(0)) - 6 * np.mean(left_out)
    assert information.jackknife_information(tables.sum(0), tables, len(tables)) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("correction", [None, "miller-madow", "jackknife"])
def test_prediction_complexity_is_a_sum_over_samples(correction):
    predictions, noisy, labels, classes = _random_experiment(3, draws=9, n=12)
    total = 0.0
    for i in range(len(labels)):
        d, s = (predictions[:, i] - labels[i]) % classes, (noisy[:, i] - labels[i]) % classes
        tables = np.zeros((9, classes, classes))
        tables[np.arange(9), d, s] = 1
        if correction == "jackknife":
            value = information.jackknife_information(tables.sum(0), tables, len(tables))
        else:
            value = information.mutual_information(tables.sum(0), correction)
        total += max(0.0, float(value))
    assert rr.prediction_complexity(predictions, noisy, labels, classes, correction=correction) == pytest.approx(
        total, abs=1e-9
    )


def test_the_plug_in_bias_is_its_formula_and_corrections_remove_it():
    rng = np.random.default_rng(2)
    n, draws, classes, found = 300, 8, 5, []
    labels = rng.integers(0, classes, n)
    for _ in range(80):
        noisy = (labels + np.where(rng.random((draws, n)) < 0.5, rng.integers(1, classes, (draws, n)), 0)) % classes
        predictions = rng.integers(0, classes, (draws, n))
        found.append(
            [
                rr.deviation_complexity(predictions, noisy, labels, classes, correction=c)
                for c in (None, "miller-madow", "jackknife")
            ]
        )
    plug, miller, jackknife = np.mean(found, 0)
    bias = (classes - 1) ** 2 / (2 * draws)  # as its documentation says
    assert plug == pytest.approx(bias, rel=0.1)
    assert abs(miller) < 0.15 * bias
    assert abs(jackknife) < 0.25 * bias


def test_intervals_cover():
    """Draws with their own accuracy, test points by chance: 95 % intervals of the truth, 300 times."""
    rng, hits = np.random.default_rng(3), {"memorization": 0, "rationality": 0, "robustness": 0, "bound": 0}
    n, draws, n_test, rate, repeats = 400, 10, 300, 0.3, 300
    clean, wrong, test = 0.9, 0.8, 0.75
    train_noisy = (1 - rate) * clean + rate * wrong
    truth = {"memorization": train_noisy - wrong, "rationality": wrong - test, "robustness": 0.95 - train_noisy}
    truth["bound"] = sum(truth.values())
    for _ in range(repeats):
        shift = rng.normal(0, 0.02, (draws, 1))
        flipped = rng.random((draws, n)) < rate
        right = rng.random((draws, n)) < np.where(flipped, wrong, clean) + shift
        e = rr.NoisyExperiment(right.sum(1), flipped.sum(1), (right & flipped).sum(1), right.sum(1), n)
        found = rr.gap_intervals(0.95, rng.binomial(n_test, test) / n_test, n_test, e)
        for name in hits:
            interval = getattr(found, name)
            hits[name] += interval.low <= truth[name] <= interval.high
    covered = {k: v / repeats for k, v in hits.items()}
    # the rationality gap lies within two standard errors of 0 here: clipping it makes the bound's interval too short
    assert 0.86 <= covered.pop("bound") <= 0.97
    assert all(0.92 <= v <= 0.98 for v in covered.values()), covered


def test_intervals_agree_with_the_point_estimates():
    predictions, noisy, labels, _ = _random_experiment(5)
    e = rr.noisy_experiment(predictions, noisy, labels)
    g = rr.gaps(0.9, 0.7, e.train_noisy, e.noisy_train)
    found = rr.gap_intervals(0.9, 0.7, 500, e)
    for name in ("robustness", "memorization", "rationality", "generalization"):
        assert getattr(found, name).value == pytest.approx(getattr(g, f"signed_{name}"))
    assert found.bound.value == pytest.approx(g.bound)
    assert found.generalization.low < found.generalization.value < found.generalization.high


def test_the_table_formula_is_exact_on_an_enumerable_world():
    """Every training set of two points, every label vector: inserting the test point gains what the formula says."""
    rng = np.random.default_rng(4)
    points, classes, n, rate = 3, 3, 2, 0.2
    truth = rng.integers(0, classes, points)
    mass = rng.dirichlet(np.ones(points))
    near = rng.random((points, points))

    def fit(inputs, labels):
        """Votes of the training points by nearness, and an unlabelled part: how often the input itself occurs."""
        scores = np.zeros((points, classes))
        for x, t in zip(inputs, labels, strict=True):
            scores[:, t] += near[:, x] + 0.4 * inputs.count(x)
        return (scores + 1e-9 * np.arange(classes)).argmax(1)

    def law(label):
        return [1 - rate if t == label else rate / (classes - 1) for t in range(classes)]

    train_noisy = flips = hit = inserted = 0.0
    for inputs in itertools.product(range(points), repeat=n):
        p_inputs = mass[list(inputs)].prod()
        for labels in itertools.product(range(classes), repeat=n):
            p = p_inputs * math.prod(law(truth[x])[t] for x, t in zip(inputs, labels, strict=True))
            f = fit(inputs, labels)
            for x, t in zip(inputs, labels, strict=True):
                train_noisy += p * (f[x] == truth[x]) / n
                flips += p * (t != truth[x]) / n
                hit += p * (t != truth[x]) * (f[x] == truth[x]) / n
            # slot 0 holds the test point, with a uniform label; the others carry eta-noise
            others = math.prod(law(truth[x])[t] for x, t in zip(inputs[1:], labels[1:], strict=True))
            inserted += p_inputs * others / classes * (f[inputs[0]] == truth[inputs[0]])
    assert inserted == pytest.approx(rr.table_accuracy(train_noisy, hit / flips, rate, classes), abs=1e-12)


def test_certificates():
    assert rr.memorization_bound(-1.0, 100, 0.1) == 0
    assert rr.cluster_vote_complexity(10, 10) == pytest.approx(10 * math.log(10))
    # the a-priori bound of ten clusters at 50,000 samples and 5 % noise
    assert rr.memorization_bound(rr.cluster_vote_complexity(10, 10), 50_000, 0.05) == pytest.approx(0.3035, abs=1e-3)
    assert rr.noisy_label_accuracy(0.5, 0.2, 5) == pytest.approx(0.5 * 0.8 + 0.5 * 0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rr.gaps(95.0, 0.9, 0.9, 0.9), "train = 95"),
        (lambda: rr.noisy_experiment([[0, 1]], [[0, 1]], [0, 1]), "no label was flipped"),
        (lambda: rr.noisy_experiment([[0, 1]], [[0, 1, 1]], [0, 1]), "must be"),
        (lambda: rr.deviation_complexity([[0, 3]], [[0, 1]], [0, 1], 3), "holds 3"),
        (lambda: rr.deviation_complexity([[0, 1]], [[0, 1]], [0, 1], 2, correction="jacknife"), "jackknife"),
        (lambda: rr.deviation_complexity([[0, 1]], [[1, 1]], [0, 1], 2, correction="jackknife"), "draws >= 2"),
        (lambda: rr.memorization_bound(1.0, 10, 0.0), "must be positive"),
        (lambda: rr.memorization_bound(float("nan"), 10, 0.1), "nan"),
        (lambda: rr.cluster_vote_complexity(0, 10), "0 clusters"),
        (lambda: rr.table_accuracy(0.9, 0.8, 1.0, 10), "rate = 1.0"),
        (lambda: information.mutual_information([1, 2]), "table"),
        (lambda: information.mutual_information([[1, -2], [0, 1]]), "non-negative"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
