"""Probes against scikit-learn and explicit refits; the noisy experiment on digits against measured values."""

import functools
import time

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier

from dlcore import noise, probing
from dlcore.metrics import rationality as rr


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order] / 16.0, y[order]
    return x[:1000], y[:1000], x[1000:], y[1000:]


def _noisy(y, rate, draws, seed=1):
    return probing.noisy_draws(y, 10, rate, seed, draws)


@pytest.mark.parametrize(("n", "d"), [(60, 8), (20, 40)])
def test_ridge_through_the_hat_matrix_equals_an_explicit_refit(n, d):
    rng = np.random.default_rng(0)
    x, test, y = rng.normal(size=(n, d)), rng.normal(size=(15, d)), rng.integers(0, 4, (5, n))
    found = probing.probe("ridge", x, y, test, 4, strength=0.3)
    one, two = (np.c_[v, np.ones(len(v))] for v in (x, test))
    solve = np.linalg.inv(one.T @ one + 0.3 * np.eye(d + 1)) @ one.T
    for r, labels in enumerate(y):
        weights = solve @ np.eye(4)[labels]
        np.testing.assert_array_equal(found.train[r], (one @ weights).argmax(1))
        np.testing.assert_array_equal(found.test[r], (two @ weights).argmax(1))
    assert found.degrees_of_freedom == pytest.approx(np.trace(one @ solve))


def test_ridge_without_a_penalty_interpolates():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 60)), rng.integers(0, 3, (4, 30))
    found = probing.probe("ridge", x, y, x, 3, strength=0.0)
    np.testing.assert_array_equal(found.train, y)
    assert found.degrees_of_freedom == pytest.approx(30, abs=1e-3)


@pytest.mark.parametrize("strength", [1.0, 0.01])
def test_logistic_reaches_the_optimum_of_newtons_method(digits, strength):
    x, y, test, _ = digits
    noisy = _noisy(y, 0.2, 3)
    found = probing.probe("logistic", x, noisy, test, 10, strength=strength)
    for r, labels in enumerate(noisy):
        theirs = LogisticRegression(C=1 / strength, solver="newton-cholesky", tol=1e-10).fit(x, labels)
        loss = -theirs.predict_log_proba(x)[np.arange(len(x)), labels].sum()
        loss += 0.5 * strength * np.square(theirs.coef_).sum()
        assert found.objective[r] == pytest.approx(loss, rel=1e-7)
        assert np.mean(found.train[r] == theirs.predict(x)) > 0.995
        assert np.mean(found.test[r] == theirs.predict(test)) > 0.995


def test_logistic_on_awkward_features(digits):
    """Scales of 1e-3 to 1e3, a constant column, a copied column, a large offset."""
    x, y, test, _ = digits
    keep = slice(0, 20)
    scale = 10.0 ** np.linspace(-3, 3, 20)
    wide, wide_test = (np.c_[v[:, keep] * scale + 50, np.ones(len(v)), v[:, 5] * scale[5]] for v in (x, test))
    found = probing.probe("logistic", wide, y, wide_test, 10, strength=1e-3)
    assert np.isfinite(found.objective).all()
    centre = wide.mean(0)
    theirs = LogisticRegression(C=1e3, solver="newton-cholesky", max_iter=300, tol=1e-8).fit(wide - centre, y)
    loss = -theirs.predict_log_proba(wide - centre)[np.arange(len(x)), y].sum() + 5e-4 * np.square(theirs.coef_).sum()
    assert found.objective[0] <= loss * (1 + 1e-6)


def test_problems_of_a_batch_do_not_disturb_each_other(digits):
    x, y, test, _ = digits
    noisy = _noisy(y, 0.3, 3)
    together = probing.probe("logistic", x, noisy, test, 10)
    alone = [probing.probe("logistic", x, v, test, 10) for v in noisy]
    np.testing.assert_allclose(together.objective, [a.objective[0] for a in alone], rtol=1e-7)


def test_an_unconverged_logistic_probe_says_so(digits):
    x, y, test, _ = digits
    with pytest.warns(probing.UnconvergedWarning, match="1 of 1 logistic fits ended after 3 steps"):
        probing.probe("logistic", x, y, test, 10, iterations=3)


def test_memorization_of_ridge_is_the_share_of_margins_below_the_leverage(digits):
    """Two classes, exactly: a label's own vote h decides at a point iff the others' margin s lies in (-h, h]."""
    x, y, _, _ = digits
    keep = (y == 3) | (y == 8)
    f, two = x[keep], (y[keep] == 8).astype(np.int64)
    n, eta = len(two), 0.2
    noisy = probing.noisy_draws(two, 2, eta, 1, 400)
    found = probing.probe("ridge", f, noisy, f[:1], 2, strength=1.0)
    one = np.c_[f, np.ones(n)]
    hat = one @ np.linalg.solve(one.T @ one + np.eye(one.shape[1]), one.T)
    own, clean = np.diag(hat), 2 * two - 1
    others = clean * ((2 * noisy - 1) @ (hat - np.diag(own)))
    e = rr.noisy_experiment(found.train, noisy, two)
    right = np.where(noisy == two, others > -own, others > own)
    assert np.mean(right == (found.train == two)) > 0.9999  # but for ties
    expected = (1 - eta) * np.mean((others > -own) & (others <= own))
    assert e.train_noisy - e.noisy_train == pytest.approx(expected, abs=0.004)


@pytest.mark.parametrize("k", [1, 7])
def test_neighbours_vote_as_in_scikit_learn(digits, k):
    x, y, test, _ = digits
    noisy = _noisy(y, 0.2, 2)
    found = probing.probe("knn", x, noisy, test, 10, neighbours=k)
    for r, labels in enumerate(noisy):
        theirs = KNeighborsClassifier(k).fit(x, labels)
        assert np.mean(found.train[r] == theirs.predict(x)) > 0.99  # ties between copies of an image
        assert np.mean(found.test[r] == theirs.predict(test)) > 0.99


def test_mlp_probe_learns(digits):
    x, y, test, y_test = digits
    found = probing.probe("mlp", x, y, test, 10, epochs=30)
    assert np.mean(found.test[0] == y_test) > 0.93


# measured with an independent script, n = 1000, eta = 0.2, 200 draws; (train, test, robustness, memorization, tr H), per cent
ROWS = {
    "pca 20": (1.0, 92.9, 90.6, 0.8, 1.4, 21),
    "raw": (1.0, 95.6, 92.8, 1.2, 2.8, 49),
    "relu 200": (1.0, 98.2, 96.1, 1.1, 3.6, 103),
    "relu 500": (1.0, 99.5, 97.9, 1.9, 7.0, 183),
    "relu 500, weak": (0.01, 99.9, 97.7, 8.1, 32.1, 374),
    "relu 2000, weak": (0.001, 100.0, 96.2, 20.0, 80.0, None),
}


def _features(kind, x, test):
    if kind.startswith("pca"):
        fitted = PCA(20, random_state=0).fit(x)
        return fitted.transform(x), fitted.transform(test)
    if kind.startswith("relu"):
        d = int(kind.split()[1].rstrip(","))
        w = np.random.default_rng(3).normal(size=(64, d)) / 8
        b = np.random.default_rng(4).normal(size=d) * 0.5
        return np.maximum(x @ w + b, 0), np.maximum(test @ w + b, 0)
    return x, test


@pytest.mark.parametrize("kind", ROWS)
def test_the_ridge_rows_of_the_measured_table(digits, kind):
    x, y, test, y_test = digits
    strength, train, on_test, robustness, memorization, freedom = ROWS[kind]
    f, g = _features(kind, x, test)
    clean = probing.probe("ridge", f, y, g, 10, strength=strength)
    assert 100 * np.mean(clean.train[0] == y) == pytest.approx(train, abs=0.06)
    assert 100 * np.mean(clean.test[0] == y_test) == pytest.approx(on_test, abs=0.06)
    if freedom is not None:
        assert clean.degrees_of_freedom == pytest.approx(freedom, abs=0.6)
    noisy = _noisy(y, 0.2, 200)
    start = time.process_time()
    found = probing.probe("ridge", f, noisy, g, 10, strength=strength)
    assert time.process_time() - start < 2
    e = rr.noisy_experiment(found.train, noisy, y)
    found = rr.gap_intervals(float(np.mean(clean.train[0] == y)), 0.9, 797, e)
    for interval, measured in ((found.memorization, memorization), (found.robustness, robustness)):
        half = interval.high - interval.value
        # other noise draws than the script's: two intervals of the same width
        assert 100 * interval.value == pytest.approx(measured, abs=100 * 1.5 * half + 0.05)


def test_any_procedure_in_ten_lines(digits):
    x, y, test, y_test = digits

    def fit(features, labels):
        model = KNeighborsClassifier(1).fit(features, labels)
        return model.predict

    found = probing.rationality(fit, x[:300], y[:300], test, y_test, rate=0.2, draws=4)
    assert found.gaps.memorization == pytest.approx(1 - found.rate, abs=1e-9)
    assert found.gaps.bound == pytest.approx(1.0)
    assert "memorization" in str(found)
    assert found.bound_sharp >= found.gaps.memorization


def test_a_probe_on_cached_features_is_the_procedure_one_draw_at_a_time(digits):
    x, y, test, y_test = digits

    def fit(features, labels):
        return lambda rows: probing.probe("ridge", features, labels, rows, 10).test[0]

    settings = {"rate": 0.2, "draws": 3, "seed": 4}
    slow = probing.rationality(fit, x[:200], y[:200], test, y_test, **settings)
    assert probing.probe_rationality("ridge", x[:200], y[:200], test, y_test, **settings) == slow


def test_a_class_that_is_real_but_absent_counts_when_it_is_named(digits):
    x, y, test, y_test = digits
    keep, keep_test = y != 4, y_test != 4
    args = x[keep], y[keep], test[keep_test], y_test[keep_test]
    found = probing.probe_rationality("ridge", *args, rate=0.2, draws=2, num_classes=10)
    assert 0 < found.gaps.memorization < 1
    with pytest.raises(ValueError, match="no label is 4"):
        probing.probe_rationality("ridge", *args, rate=0.2, draws=2)


def test_tensors_and_tables_are_as_good_as_arrays(digits):
    x, y, test, _ = digits
    wanted = probing.probe("ridge", x[:50], y[:50], test, 10)
    for make, column in (
        (lambda v: torch.tensor(v, requires_grad=True), torch.tensor),
        (pd.DataFrame, pd.Series),
        (np.ndarray.tolist, np.ndarray.tolist),
    ):
        found = probing.probe("ridge", make(x[:50]), column(y[:50]), make(test), 10)
        np.testing.assert_array_equal(found.test, wanted.test)
    assert probing.probe("ridge", torch.tensor(x[:50]).bfloat16(), y[:50], test, 10).test.shape == (1, len(test))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: probing.probe("rigde", x, y, x, 10), "did you mean 'ridge'"),
        (lambda x, y: probing.probe("ridge", x, y + 5, x, 10), "0..9"),
        (lambda x, y: probing.probe("mlp", x, y, x, 10, lr=0.1), "unknown option of mlp 'lr'"),
        (lambda x, y: probing.probe("ridge", x, y, x, 10, epochs=3), "unknown option of ridge 'epochs'"),
        (lambda x, y: probing.probe("ridge", x * np.nan, y, x, 10), "NaN"),
        (lambda x, y: probing.probe("ridge", x, y[:5], x, 10), "are needed"),
        (lambda x, y: probing.probe("ridge", x, y, x, 10, strength=-1), "strength = -1"),
        (lambda x, y: probing.probe("knn", x[:5], y[:5], x, 10, neighbours=6), "neighbours = 6"),
        (lambda x, y: probing.rationality(None, x, y, x, y, draws=1), "draws = 1"),
        (lambda x, y: probing.rationality(lambda f, t: lambda v: 0, x, y, x, y), "shape"),
        (lambda x, y: probing.rationality(lambda f, t: lambda v: v, x, y, x, y), r"float64; .*argmax\(1\)"),
        (lambda x, y: probing.rationality(None, x, y.astype(str), x, y), "number the classes"),
        (lambda x, y: probing.rationality(None, x, y * 10, x, y), r"no label is 11, but some are 90: .*0\.\."),
        (lambda x, y: probing.rationality(None, x, y[:5], x, y), "features has 1000 rows"),
        (lambda x, y: probing.rationality(None, x, y, x[:0], y[:0]), "test_labels is empty"),
        (lambda x, y: probing.probe_rationality("ridge", x * np.nan, y, x, y), "NaN"),
    ],
)
def test_bad_input(digits, call, message):
    with pytest.raises(ValueError, match=message):
        call(*digits[:2])


def _by_hand(digits, noisy):
    """Gaps of ridge regression by scikit-learn alone."""
    x, y, test, y_test = digits
    clean = RidgeClassifier().fit(x, y)
    found = np.stack([RidgeClassifier().fit(x, labels).predict(x) for labels in noisy])
    wrong = noisy != y
    return rr.gaps(
        np.mean(clean.predict(x) == y),
        np.mean(clean.predict(test) == y_test),
        np.mean(found == y),
        np.mean((found == y)[wrong]),
    )


class Mine:
    """Fits in place, returns nothing, predicts by a method."""

    def fit(self, x, y):
        self.inner = RidgeClassifier().fit(x, y)

    def predict(self, x):
        return self.inner.predict(x)


@pytest.mark.parametrize(
    "fit",
    [RidgeClassifier(), RidgeClassifier().fit, Mine(), lambda x, y: RidgeClassifier().fit(x, y)],
    ids=["estimator", "its fit", "fits in place", "returns a model"],
)
def test_whatever_fits_and_predicts_is_a_procedure(digits, fit):
    found = probing.rationality(fit, *digits, draws=3, seed=1)
    wanted = _by_hand(digits, _noisy(digits[1], 0.1, 3))
    assert found.gaps.memorization == pytest.approx(wanted.memorization)
    assert found.gaps.signed_rationality == pytest.approx(wanted.signed_rationality)
    assert not hasattr(fit, "coef_")  # a clone was fitted


CALLS = []


def test_a_stopped_run_goes_on_and_processes_change_nothing(digits, tmp_path):
    def fit(x, y):
        CALLS.append(y)
        if len(CALLS) == 3:
            raise RuntimeError("stopped")
        return RidgeClassifier().fit(x, y)

    CALLS.clear()
    with pytest.raises(RuntimeError, match="stopped"):
        probing.rationality(fit, *digits, draws=4, keep=tmp_path / "mine")
    found = probing.rationality(fit, *digits, draws=4, keep=tmp_path / "mine")
    assert len(CALLS) == 3 + 3
    assert found == probing.rationality(RidgeClassifier(), *digits, draws=4, n_jobs=2)


def _scaled(factor):
    return lambda x, y: RidgeClassifier(factor).fit(x, y)


def _ridge(x, y, factor=1.0):
    return RidgeClassifier(factor).fit(x, y)


class Kept(Mine):
    def __init__(self, factor):
        self.factor = factor

    def fit(self, x, y):
        self.inner = RidgeClassifier(self.factor).fit(x, y)


def _typed(factor):
    """A function without a text, as one typed at a prompt."""
    names = {"RidgeClassifier": RidgeClassifier}
    exec(f"def fit(x, y): return RidgeClassifier({factor}).fit(x, y)", names)
    return names["fit"]


@pytest.mark.parametrize(
    "made",
    [
        RidgeClassifier,
        _scaled,
        lambda factor: functools.partial(_ridge, factor=factor),
        Kept,
        lambda factor: RidgeClassifier(factor).fit,
        _typed,
    ],
    ids=["estimator", "closure", "partial", "object", "method", "no text"],
)
def test_what_was_kept_of_another_procedure_is_not_taken(digits, made, tmp_path):
    for factor in (1.0, 1e9):
        found = probing.rationality(made(factor), *digits, draws=2, keep=tmp_path)
        assert found == probing.rationality(RidgeClassifier(factor), *digits, draws=2)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_procedure_that_cannot_be_named_is_not_kept(digits, tmp_path):
    with open(__file__) as held, pytest.raises(ValueError, match="cannot be told from others"):
        probing.rationality(lambda x, y: held, *digits, draws=2, keep=tmp_path)


def test_other_noise_than_flips(digits):
    law = noise.confusion("pair", 10, 0.2)
    one = probing.rationality(RidgeClassifier(), *digits, draws=3, noise=law)
    two = probing.rationality(RidgeClassifier(), *digits, draws=3, noise=lambda y, s: noise.apply_confusion(y, law, s))
    assert one.gaps == two.gaps
    assert one.rate == pytest.approx(0.2, abs=0.02)
    assert np.isnan(one.bound_sharp)
    with pytest.raises(ValueError, match="changed no label"):
        probing.rationality(RidgeClassifier(), *digits, draws=3, noise=np.eye(10))
    with pytest.raises(ValueError, match="returned int, which neither predicts"):
        probing.rationality(lambda x, y: 3, *digits)


# what belongs to the caller, or is used again, is not handed to a procedure to write into
class Writes:
    """Nearest neighbours of centred rows with turned labels, worked out on copies or in the arrays that it is given."""

    def __init__(self, inplace):
        self.inplace = inplace

    def fit(self, x, y):
        x, y = (x, y) if self.inplace else (x.copy(), y.copy())
        x -= x.mean(0)
        y += 1
        y %= 3
        self.model = KNeighborsClassifier(3).fit(x.copy(), y.copy())
        return self

    def predict(self, x):
        x = x if self.inplace else x.copy()
        x -= x.mean(0)
        return self.model.predict(x)


def _turn(labels, seed, inplace=True):
    labels = labels if inplace else labels.copy()
    labels[np.random.default_rng(seed).random(len(labels)) < 0.3] += 1
    labels %= 3
    return labels


@pytest.mark.parametrize("how", ["estimator", "function", "noise", "processes"])
def test_a_procedure_may_write_into_what_it_is_given(how):
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 1, (60, 4)), rng.integers(0, 3, 60)
    given = [x, y, x[:20] * 2, y[:20].copy()]
    copies = [v.copy() for v in given]

    def run(inplace):
        if how == "noise":
            noise = functools.partial(_turn, inplace=inplace)
            return probing.rationality(KNeighborsClassifier(3), *given, draws=3, noise=noise).gaps
        method = Writes(inplace).fit if how == "function" else Writes(inplace)
        return probing.rationality(method, *given, draws=3, n_jobs=2 if how == "processes" else 1)

    assert run(True) == run(False)
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
