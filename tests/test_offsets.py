"""Features far from 0 or of any size: as exact as for centred features of ordinary size, or refused."""

import math

import mpmath
import numpy as np
import pytest

from dlcore import probing
from dlcore.metrics import rationality, similarity, statistics
from dlcore.metrics.features import as_features
from dlcore.models.classical import CLASSICAL, classical

RNG = np.random.default_rng(0)
# thousandths of 2: the offsets below are added without rounding, so that the truth is the value without them
X, Z = (np.round(RNG.normal(size=(80, d)) * 2**20) / 2**20 for d in (6, 9))
Z[:, :4] += 2 * X[:, :4]
Y = RNG.integers(0, 3, 80)
SCALES = [2.0**-900, 1e-200, 1e-60, 1e60, 1e200, 2.0**900]


# the others see offsets, and say so
IGNORE_OFFSETS = [n for n, i in similarity.INDICES.items() if "common_offset" in i.invariant_x & i.invariant_y]


@pytest.mark.parametrize("name", IGNORE_OFFSETS)
@pytest.mark.parametrize("offset", [2.0**17, 2.0**27, -(2.0**31)])
def test_an_offset_of_all_columns_changes_no_index_that_ignores_it(name, offset):
    index = similarity.INDICES[name]
    assert index(X + offset, Z - offset) == pytest.approx(index(X, Z), abs=1e-9)


@pytest.mark.parametrize("name", similarity.INDICES)
@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_changes_no_index(name, scale):
    index = similarity.INDICES[name]
    assert index(X * scale, Z / scale) == pytest.approx(index(X, Z), abs=1e-9)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_a_scale_changes_no_index_of_single_precision(scale):
    for name, index in similarity.INDICES.items():
        found = index((X * scale).astype(np.float32), Z.astype(np.float32))
        assert found == pytest.approx(index(X.astype(np.float32), Z.astype(np.float32)), abs=1e-5), name


@pytest.mark.parametrize("name", ["cca", "pwcca"])
def test_canonical_correlations_see_no_sizes_of_columns(name):
    sizes = 2.0 ** np.array([-900, -300, 0, 1, 300, 900])
    index = similarity.INDICES[name]
    assert index(Z, X * sizes) == pytest.approx(index(Z, X), abs=1e-9)
    constant = np.full((80, 1), 1e200)
    assert index(Z, np.hstack([X, constant])) == pytest.approx(index(Z, X), abs=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_batches_of_very_different_sizes(scale):
    whole, apart = similarity.MinibatchCKA(), similarity.MinibatchCKA()
    for start in range(0, 80, 20):
        rows = slice(start, start + 20)
        whole.update(X[rows], Z[rows])
        apart.update(X[rows] * scale, Z[rows] / scale)
    assert apart.compute()[:3] == pytest.approx(whole.compute()[:3], abs=1e-9)
    # a batch of another size weighs as its features do
    assert apart.update(X[:20] * scale * 1e100, Z[:20]).compute().n == 5


@pytest.mark.parametrize("call", [similarity.linear_cka, lambda x, z: probing.probe("ridge", x, Y, x, 3)])
def test_numbers_whose_differences_overflow_are_refused(call):
    x = X.copy()
    x[0, 0], x[1, 0] = 1.7e308, -1.7e308
    with pytest.raises(ValueError, match=r"numbers beyond 4\.5e\+307"):
        call(x, Z)


def test_the_mean_is_taken_off_to_the_last_digit():
    offset = 2.0**32
    found = as_features("x", X + offset)
    exact = [[float(mpmath.mpf(v) - mpmath.fsum(column) / 80) for v in column] for column in X.T.tolist()]
    np.testing.assert_allclose(found.double() / found.scale, np.transpose(exact), atol=1e-14)


def _exact_ridge(x, y, test, strength):
    """Returns predictions and tr H of ridge regression on [x, 1], all of whose weights are penalised, in 900 digits."""
    with mpmath.workdps(900):
        one, two = (mpmath.matrix(np.c_[v, np.ones(len(v))].tolist()) for v in (x, test))
        normal = one.T * one + strength * mpmath.eye(one.cols)
        inverse = normal**-1
        scores = two * (inverse * (one.T * mpmath.matrix(np.eye(3)[y].tolist())))
        trace = sum((inverse * (one.T * one))[i, i] for i in range(one.cols))
        return [max(range(3), key=lambda k: scores[i, k]) for i in range(two.rows)], float(trace)


@pytest.mark.parametrize("shape", [(30, 4), (8, 12), (9, 9)])
@pytest.mark.parametrize("strength", [1e-3, 1.0])
@pytest.mark.parametrize(
    ("offset", "scale"),
    [(0, 1), (2.0**17, 1), (2.0**31, 1), (0, 2.0**-500), (0, 2.0**500), (2.0**12, 2.0**10), (2.0**20, 2.0**-20)],
)
def test_ridge_solves_the_problem_it_states(shape, strength, offset, scale):
    n, d = shape
    rng = np.random.default_rng(n)
    # steps of 2^-12, so that neither the offset nor the scale is rounded
    x = np.round(rng.normal(size=(n + 60, d)) * 2**12) / 2**12
    moved, y = (x + offset) * scale, rng.integers(0, 3, n)
    found = probing.probe("ridge", moved[:n], y, moved[n:], 3, strength=strength)
    wanted, trace = _exact_ridge(moved[:n], y, moved[n:], strength)
    assert found.test[0].tolist() == wanted
    assert found.degrees_of_freedom == pytest.approx(trace, rel=1e-6)
    assert found.degrees_of_freedom <= min(n, d + 1) + 1e-9


@pytest.mark.parametrize("shape", [(30, 4), (8, 12)])
def test_columns_of_very_different_sizes(shape):
    n, d = shape
    rng = np.random.default_rng(1)
    x = np.round(rng.normal(size=(n + 60, d)) * 2**12) / 2**12
    x *= 2.0 ** np.where(np.arange(d) % 2, 30, 0)
    y = rng.integers(0, 3, n)
    found = probing.probe("ridge", x[:n], y, x[n:], 3, strength=1.0)
    assert found.test[0].tolist() == _exact_ridge(x[:n], y, x[n:], 1.0)[0]


def test_the_degrees_of_freedom_count_the_constant_column():
    found = probing.probe("ridge", X, Y, X, 3, strength=1e-9)
    assert found.degrees_of_freedom == pytest.approx(X.shape[1] + 1, abs=1e-6)


@pytest.mark.parametrize(
    "x", [np.zeros((80, 3)), np.full((80, 3), 1e200), np.c_[X[:, :1], X[:, :1]]], ids=["zeros", "constant", "copied"]
)
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_ridge_without_an_inverse(x, strength):
    found = probing.probe("ridge", x, Y, x, 3, strength=strength)
    if not np.ptp(x, axis=0).any():
        assert (found.test == np.bincount(Y).argmax()).all()
    assert math.isfinite(found.degrees_of_freedom)


@pytest.mark.parametrize(
    ("name", "offset", "scale"),
    [
        (name, offset, scale)
        for name in ("knn", "logistic", "mlp")
        for offset, scale in ((2.0**20, 1), (2.0**30, 1), (0, 2.0**-600), (0, 2.0**600))
        if (name, offset) != ("mlp", 2.0**30)  # a network of single precision sees the rounding of the mean
    ],
)
def test_other_probes(name, offset, scale):
    # logistic regression's penalty is not that of another scale
    options = {
        "mlp": {"epochs": 2, "device": "cpu"},
        "logistic": {"strength": 0.0 if scale != 1 else 1.0, "tolerance": 1e-8},
    }
    x = np.r_[X, X[:20] + 2.0**-9]
    call = {"neighbours": 5, **options.get(name, {})}
    wanted = probing.probe(name, x[:80], Y, x[80:], 3, **call)
    found = probing.probe(name, (x[:80] + offset) * scale, Y, (x[80:] + offset) * scale, 3, **call)
    np.testing.assert_array_equal(found.train, wanted.train)
    np.testing.assert_array_equal(found.test, wanted.test)


@pytest.mark.parametrize(
    ("name", "offset", "scale"),
    [
        (name, offset, scale)
        for name in CLASSICAL
        for offset, scale in ((2.0**30, 1), (0, 2.0**600), (0, 2.0**-600))
        if name != "logistic" or scale == 1  # its penalty is on the weights of the inputs as given
    ],
)
def test_classical_families(name, offset, scale):
    def move(rows):
        return (rows + offset) * scale

    options = {"neighbours": 3, "ridge": 0.1 if name.startswith(("svm", "kernel")) else 0.0}
    wanted = classical(name, **options).fit(X[:60], Y[:60]).predict(X[60:])
    found = classical(name, **options).fit(move(X[:60]), Y[:60]).predict(move(X[60:]))
    assert np.mean(found == wanted) > 0.9 if name == "extra_tree" else (found == wanted).all()


@pytest.mark.parametrize(("name", "value"), [("strength", v) for v in (np.nan, np.inf, -1.0)] + [("neighbours", 1.5)])
@pytest.mark.parametrize("probe", ["ridge", "logistic", "knn"])
def test_options_that_are_no_numbers_are_refused(probe, name, value):
    with pytest.raises(ValueError, match=f"{name} = {value}"):
        probing.probe(probe, X, Y, X, 3, **{name: value})


def test_test_rows_out_of_this_world():
    with pytest.raises(ValueError, match="test_features lie 1e150 times farther out"):
        probing.probe("ridge", X, Y, X * 1e200, 3)


@pytest.mark.parametrize("d", [2, 6, 20])
@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_a_row_is_its_own_first_neighbour_however_often_it_occurs(d, offset):
    x = np.repeat(RNG.normal(size=(50, d)) + offset, 4, axis=0)
    y = RNG.integers(0, 4, 200)
    assert (probing.probe("knn", x, y, x[:5], 4, neighbours=1).train[0] == y).all()
    found = probing.probe_rationality("knn", x, y, x, y, rate=0.2, draws=3, neighbours=1)
    assert found.gaps.noisy_train == 0
    # its own label and those of its three copies, in any order
    majority = [np.bincount(y[4 * (i // 4) : 4 * (i // 4) + 4], minlength=4).argmax() for i in range(200)]
    np.testing.assert_array_equal(probing.probe("knn", x, y, x[:5], 4, neighbours=4).train[0], majority)


@pytest.mark.parametrize("scale", [2.0**-600, 2.0**-30, 2.0**1015])
@pytest.mark.parametrize("interval", [lambda a, b: statistics.mean_interval(a), statistics.welch_interval])
def test_a_scale_changes_no_interval(interval, scale):
    a, b = np.linspace(1, 5, 9) ** 2, np.sin(np.arange(9.0))
    assert interval(a * scale, b * scale)[:3] == tuple(scale * v for v in interval(a, b)[:3])


def test_intervals_refuse_what_overflows():
    with pytest.raises(ValueError, match="may overflow"):
        statistics.mean_interval([1e308, 1.0])


def test_features_that_do_not_vary_teach_a_network_the_largest_class():
    x, y = np.full((8, 2), 1e9), np.array([0, 1, 1, 1, 1, 1, 1, 2])
    found = probing.probe("mlp", x, y, x, 3, width=4, epochs=60, device="cpu")
    assert found.test.tolist() == [[1] * 8]


@pytest.mark.parametrize("name", ["kernel_gaussian", "kernel_laplace", "svm"])
@pytest.mark.parametrize("x", [np.ones((8, 2)), np.r_[np.zeros((8, 2)), np.ones((1, 2))], np.ones((1, 2))])
def test_equal_rows_set_no_bandwidth(name, x):
    with pytest.raises(ValueError, match="nothing sets a bandwidth"):
        classical(name).fit(x, np.arange(len(x)) % 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda percent: rationality.noisy_label_accuracy([0.5, percent], 0.2, 10),
        lambda percent: rationality.noisy_label_accuracy(0.5, percent, 10),
        lambda percent: rationality.table_accuracy(percent, 0.5, 0.2, 10),
        lambda percent: rationality.gaps(percent, 0.5, 0.5, 0.5),
    ],
)
def test_a_percentage_is_no_fraction(call):
    with pytest.raises(ValueError, match=r"= 85.0 is outside \[0, 1\]: a fraction"):
        call(85.0)
