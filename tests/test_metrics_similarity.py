"""Similarity indices: declared invariances hold and the others do not, closed forms, second routes, hard inputs."""

import itertools
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes, qr
from scipy.spatial.distance import cdist, pdist
from scipy.stats import ortho_group, spearmanr

from dlcore.metrics import cka, features
from dlcore.metrics import similarity as sim

NAMES = list(sim.INDICES)
CENTRED = [name for name in NAMES if name not in ("rsa", "mutual_knn")]


def _pair(n=60, p=6, q=5, seed=0, shared=3):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, shared)) ** 3
    return tuple(z @ rng.normal(size=(shared, d)) + rng.gamma(2.0, size=(n, d)) + rng.normal(size=d) for d in (p, q))


def _transform(name, x, seed=0):
    rng = np.random.default_rng([seed, 99])
    n, p = x.shape
    return {
        "permutation": lambda: x[:, np.roll(np.arange(p), 1)],
        "orthogonal": lambda: x @ ortho_group.rvs(p, random_state=rng),
        "scaling": lambda: 37.5 * x,
        "translation": lambda: x + 5 * rng.normal(size=p),
        "common_offset": lambda: x + 4.0,
        "column_scaling": lambda: x * np.geomspace(0.05, 20, p),
        "row_scaling": lambda: x * rng.uniform(0.2, 5, size=(n, 1)),
        "invertible": lambda: x @ (rng.normal(size=(p, p)) + np.diag(np.geomspace(0.3, 3, p))),
        "constant_columns": lambda: np.hstack([x, np.full((n, 2), [3.0, -1.0])]),
        "zero_columns": lambda: np.hstack([x, np.zeros((n, 2))]),
    }[name]()


# --- the declarations


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), p=st.integers(2, 7), q=st.integers(2, 7))
def test_declared_invariances_hold(name, seed, p, q):
    index = sim.INDICES[name]
    x, y = _pair(p=p, q=q, seed=seed)
    value = index(x, y)
    for kind in sim.TRANSFORMATIONS:
        if kind in index.invariant_x:
            assert index(_transform(kind, x, seed), y) == pytest.approx(value, abs=1e-8), f"x: {kind}"
        if kind in index.invariant_y:
            assert index(x, _transform(kind, y, seed)) == pytest.approx(value, abs=1e-8), f"y: {kind}"
    order = np.random.default_rng(seed).permutation(len(x))
    assert index(x[order], y[order]) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(("name", "kind"), list(itertools.product(NAMES, sim.TRANSFORMATIONS)))
def test_every_other_transformation_is_seen(name, kind):
    index = sim.INDICES[name]
    x, y = _pair(n=200)
    value = index(x, y)
    for side, declared in (("x", index.invariant_x), ("y", index.invariant_y)):
        if kind not in declared:
            changed = index(_transform(kind, x), y) if side == "x" else index(x, _transform(kind, y))
            assert abs(changed - value) > 1e-3, f"{name} ignores {kind} of {side} and does not declare it"


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_range_identity_and_symmetry(name, seed):
    index = sim.INDICES[name]
    x, y = _pair(seed=seed)
    assert index(x, x) == pytest.approx(1.0, abs=1e-9)
    assert index.low - 1e-12 <= index(x, y) <= 1.0
    if index.symmetric:
        assert index(y, x) == pytest.approx(index(x, y), abs=1e-9)


def test_pwcca_is_not_symmetric_as_declared():
    x, y = _pair()
    assert abs(sim.pwcca(x, y) - sim.pwcca(y, x)) > 1e-3
    assert sim.pwcca(x, y, weights="y") == pytest.approx(sim.pwcca(y, x), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_growth_with_dimension_is_as_declared(name):
    """Independent Gaussian features, p close to n: near its chance level or far above it."""
    index, rng = sim.INDICES[name], np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sim.SimilarityWarning)
        few, many = (index(rng.normal(size=(100, p)), rng.normal(size=(100, p))) for p in (2, 95))
    assert (many - few > 0.1) == index.grows_with_p


@pytest.mark.parametrize("name", NAMES)
def test_fewest_rows_are_as_declared(name):
    index = sim.INDICES[name]
    x, y = _pair(n=index.min_rows, p=3, q=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sim.SimilarityWarning)
        index(x, y)
    with pytest.raises(ValueError, match="rows|neighbours"):
        index(x[:-1], y[:-1])


# --- closed forms and second routes


def _naive_hsic(k, m, debiased):
    n = len(k)
    if not debiased:
        h = np.eye(n) - 1 / n
        return np.trace(k @ h @ m @ h) / (n - 1) ** 2
    k, m, one = k - np.diag(np.diag(k)), m - np.diag(np.diag(m)), np.ones(n)
    inner = (
        np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ m @ one)
    )
    return inner / (n * (n - 3))


def _naive_cka(k, m, debiased):
    a, b, c = (_naive_hsic(u, v, debiased) for u, v in ((k, m), (k, k), (m, m)))
    return a / np.sqrt(b * c)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("shape", [(40, 6, 5), (12, 30, 25), (30, 3, 200)])
def test_linear_cka_is_the_gram_formula(shape, debiased):
    x, y = _pair(*shape)
    assert sim.linear_cka(x, y, debiased=debiased) == pytest.approx(_naive_cka(x @ x.T, y @ y.T, debiased), abs=1e-10)


@pytest.mark.parametrize("debiased", [False, True])
def test_feature_and_gram_routes_agree(debiased, monkeypatch):
    x, y = _pair(400, 30, 20)
    a, b = features.as_pair(x, y)
    monkeypatch.setattr(features, "BLOCK", 64)
    by_features = cka._linear_hsic(a, b, debiased)
    by_grams = cka._hsic_of_grams(cka._gram(a), cka._gram(b), debiased)
    assert by_features[:3] == pytest.approx(by_grams[:3], rel=1e-10)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("block", [4, 2048])
def test_rbf_cka_is_the_kernel_formula(debiased, block, monkeypatch):
    """Also with so small blocks that distances are computed again in each pass."""
    monkeypatch.setattr(cka, "BLOCK", block)
    x, y = _pair(45, 4, 3)
    kernels = [np.exp(-(cdist(v, v) ** 2) / (2 * (0.6 * np.median(pdist(v))) ** 2)) for v in (x, y)]
    assert sim.rbf_cka(x, y, scale=0.6, debiased=debiased) == pytest.approx(_naive_cka(*kernels, debiased), abs=1e-10)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 50])
def test_median_distance_is_exact(n):
    x = np.random.default_rng(n).normal(size=(n, 3)).round(1)
    assert cka._Distances(features.as_features("x", x)).median() == pytest.approx(
        np.median(pdist(x)) * features.as_features("x", x).scale
    )


def test_a_wide_kernel_is_the_linear_one():
    x, y = _pair()
    assert sim.rbf_cka(x, y, scale=1e4) == pytest.approx(sim.linear_cka(x, y), abs=1e-6)
    assert sim.rbf_cka(x.astype(np.float32), y.astype(np.float32), scale=1e4) == pytest.approx(
        sim.linear_cka(x, y), abs=1e-5
    )


def test_debiasing_takes_the_bias_off():
    """Independent features, p = n: biased CKA is near p / (p + n), debiased is 0 on average."""
    rng = np.random.default_rng(1)
    draws = [(rng.normal(size=(30, 30)), rng.normal(size=(30, 30))) for _ in range(200)]
    debiased = np.array([sim.linear_cka(x, y, debiased=True) for x, y in draws])
    assert abs(debiased.mean()) < 3 * debiased.std() / np.sqrt(len(draws))
    assert debiased.min() < 0  # not cut off
    assert np.mean([sim.linear_cka(x, y) for x, y in draws]) == pytest.approx(0.5, abs=0.05)


def test_cka_of_gaussians_is_the_population_value():
    """x = (u, v), y = u: population CKA ||Sxy||^2 / (||Sxx|| ||Syy||) = 1 / sqrt(2)."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(20000, 2))
    assert sim.linear_cka(x, x[:, :1]) == pytest.approx(np.sqrt(0.5), abs=0.02)


@pytest.mark.parametrize(("batches", "least", "most"), [(20, 0.92, 0.97), (5, 0.87, 0.96)])
def test_minibatch_interval_covers(batches, least, most):
    """The population value is known: x = z a + e, y = z b + f with orthonormal a, b."""
    rng, p, runs = np.random.default_rng(3), 10, 400
    a, b = (np.linalg.qr(rng.normal(size=(p, 3)))[0].T * 1.5 for _ in range(2))
    cross, own = 1.5**4 * 3, 3 * 3.25**2 + (p - 3)
    hits = 0
    for _ in range(runs):
        estimate = sim.MinibatchCKA()
        for _ in range(batches):
            z = rng.normal(size=(32, 3))
            estimate.update(z @ a + rng.normal(size=(32, p)), z @ b + rng.normal(size=(32, p)))
        found = estimate.compute()
        hits += found.low <= cross / own <= found.high
    assert least - 0.02 < hits / runs < most + 0.02


def test_minibatches_do_not_depend_on_their_size_or_their_scale():
    rng = np.random.default_rng(4)
    z = rng.normal(size=(1536, 4))
    x, y = z @ rng.normal(size=(4, 40)) + rng.normal(size=(1536, 40)), z @ rng.normal(size=(4, 30))
    whole = sim.linear_cka(x, y, debiased=True)
    for size in (32, 100, 512):
        estimate = sim.MinibatchCKA()
        for start in range(0, 1536, size):
            estimate.update(x[start : start + size], y[start : start + size])
        assert estimate.compute().value == pytest.approx(whole, abs=0.01)
    one = sim.MinibatchCKA().update(x, y)
    assert one.compute()[:2] == (pytest.approx(whole, abs=1e-10), pytest.approx(np.nan, nan_ok=True))
    assert len(sim.MinibatchCKA().update(x[:700], y[:700]).update(x[700:], y[700:])) == 2


def test_cca_is_the_qr_route_and_finds_planted_correlations():
    x, y = _pair()
    qx, qy = (qr(v - v.mean(0), mode="economic")[0] for v in (x, y))
    expected = np.linalg.svd(qx.T @ qy, compute_uv=False)
    assert sim.canonical_correlations(x, y) == pytest.approx(expected, abs=1e-12)
    assert sim.cca(x, y, squared=True) == pytest.approx(np.mean(expected**2))
    rng = np.random.default_rng(5)
    u, v = rng.normal(size=(2, 40000, 3))
    planted = np.array([0.9, 0.5, 0.1])
    found = sim.canonical_correlations(u, planted * u + np.sqrt(1 - planted**2) * v)
    assert found == pytest.approx(planted, abs=0.02)


def test_svcca_keeps_the_variance_it_says():
    """Columns of variance 90, 9.5, .5 (uncorrelated): 99 % is two of them; the third is the only shared one."""
    rng = np.random.default_rng(6)
    basis = np.linalg.qr(rng.normal(size=(50, 6)) - rng.normal(size=(50, 6)).mean(0))[0]
    basis = np.linalg.qr(basis - basis.mean(0))[0]
    sizes = np.sqrt([90, 9.5, 0.5])
    x = basis[:, :3] * sizes
    y = basis[:, [3, 4, 2]] * sizes
    assert sim.svcca(x, y) == pytest.approx(0, abs=1e-9)
    assert sim.svcca(x, y, variance=1.0) == pytest.approx(1 / 3)
    assert sim.cca(x, y) == pytest.approx(1 / 3)
    assert sim.svcca(x, x[:, :2], variance=0.9) == pytest.approx(1)
    with pytest.raises(ValueError, match="99 and not|0.99"):
        sim.svcca(x, y, variance=99)


def test_pwcca_weighs_by_projection():
    """Orthogonal columns of lengths 3 and 1; only the first is in y: weights 3/4 and 1/4."""
    rng = np.random.default_rng(7)
    basis = rng.normal(size=(40, 4))
    basis = np.linalg.qr(basis - basis.mean(0))[0]
    x, y = basis[:, :2] * [3, 1], basis[:, [0, 2]]
    assert sim.pwcca(x, y) == pytest.approx(0.75)
    assert sim.pwcca(x, y, weights="y") == pytest.approx(0.5)
    with pytest.raises(ValueError, match="unknown weights 'z'"):
        sim.pwcca(x, y, weights="z")


@pytest.mark.parametrize("shape", [(40, 6, 6), (10, 25, 25)])
def test_procrustes_is_scipys(shape):
    x, y = (v - v.mean(0) for v in _pair(*shape))
    rotation, nuclear = orthogonal_procrustes(x, y)
    unit_x, unit_y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    assert sim.procrustes(x, y) == pytest.approx(nuclear / np.linalg.norm(x) / np.linalg.norm(y), abs=1e-9)
    distance = np.linalg.norm(unit_x @ rotation - unit_y) ** 2
    assert distance == pytest.approx(2 - 2 * sim.procrustes(x, y), abs=1e-9)


def test_procrustes_of_few_inputs_and_low_rank():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 90))
    y = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 80))
    xc, yc = x - x.mean(0), y - y.mean(0)
    direct = np.linalg.svd(xc.T @ yc, compute_uv=False).sum() / np.linalg.norm(xc) / np.linalg.norm(yc)
    assert sim.procrustes(x, y) == pytest.approx(direct, abs=1e-10)


@pytest.mark.parametrize(("distance", "scipys"), [("correlation",) * 2, ("euclidean",) * 2, ("cosine",) * 2])
def test_rsa_is_scipys(distance, scipys):
    x, y = _pair()
    expected = spearmanr(pdist(x, scipys), pdist(y, scipys)).statistic
    assert sim.rsa(x, y, distance=distance) == pytest.approx(expected, abs=1e-12)
    pearson = np.corrcoef(pdist(x, scipys), pdist(y, scipys))[0, 1]
    assert sim.rsa(x, y, distance=distance, comparison="pearson") == pytest.approx(pearson, abs=1e-10)


def test_rsa_ties_share_a_rank():
    """A square and a line: the sides are equal exactly, whatever rounding says."""
    square = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]) + 0.1
    turned = square @ np.array([[0.8, 0.6], [-0.6, 0.8]]) * 0.3
    line = np.array([[0.0], [1], [2], [4]])
    expected = spearmanr([1, 1, 2, 2, 1, 1], [1, 2, 4, 1, 3, 2]).statistic
    for x in (square, turned):
        assert sim.rsa(x, line, distance="euclidean") == pytest.approx(expected)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_mutual_knn_is_brute_force(distance):
    x, y = _pair(700, 8, 6)
    near = [np.argsort(cdist(v, v, distance) + 1e9 * np.eye(700), axis=1)[:, :7] for v in (x, y)]
    expected = np.mean([len(set(a) & set(b)) / 7 for a, b in zip(*near, strict=True)])
    assert sim.mutual_knn(x, y, k=7, distance=distance) == pytest.approx(expected, abs=1e-12)


def test_mutual_knn_of_unrelated_features_is_chance():
    rng = np.random.default_rng(9)
    found = sim.mutual_knn(rng.normal(size=(400, 5)), rng.normal(size=(400, 5)), k=40)
    assert found == pytest.approx(40 / 399, abs=0.01)


def test_useless_coordinates_lower_cka():
    """The thought experiment of the stitching paper, section 3: a linear map ignores them, CKA does not."""
    rng = np.random.default_rng(10)
    x = rng.normal(size=(500, 10))
    padded = np.hstack([x, rng.normal(size=(500, 1000))])
    assert sim.linear_cka(x, padded) < 0.3
    assert np.linalg.lstsq(padded[:, :10], x, rcond=None)[1].max() < 1e-20


# --- inputs that trip implementations


def _hard(kind):
    x, y = _pair(80, 12, 9, seed=11)
    if kind == "offset":
        x, y = x + 1e4, y - 1e4
    elif kind == "tiny":
        x, y = 1e-4 * x, 1e-4 * y
    elif kind == "unequal":
        x = x * np.geomspace(1e-4, 1, 12)
    elif kind == "constant columns":
        x[:, 3], y[:, 0] = 0.1, 3e4
    elif kind == "wide":
        x, y = _pair(30, 90, 70, seed=11)
    return x, y


HARD = ["plain", "offset", "tiny", "unequal", "constant columns", "wide"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("name", NAMES)
def test_low_precision_input_is_computed_exactly(name, kind, dtype):
    """The numbers given are taken as exact: the same values in float64 must give the same index."""
    x, y = (v.astype(dtype) for v in _hard(kind))
    index = sim.INDICES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sim.SimilarityWarning)
        found, expected = index(x, y), index(x.astype(np.float64), y.astype(np.float64))
    if np.isnan(expected):
        assert np.isnan(found)
    elif name in ("cca", "svcca", "pwcca") and (kind == "offset" or dtype is np.float16):
        # directions at the size of the input's rounding are left out, and float64 input claims to have none
        assert 0 <= found <= 1
    else:
        assert found == pytest.approx(expected, rel=2e-6, abs=1e-7)


def test_canonical_correlations_of_offset_features_are_those_without_it():
    x, y = _hard("plain")
    for name in ("cca", "svcca", "pwcca"):
        found = sim.similarity(name, (x + 1e4).astype(np.float32), (y - 1e4).astype(np.float32))
        assert found == pytest.approx(sim.similarity(name, x, y), abs=1e-4)
        low = sim.similarity(name, x.astype(np.float16), y.astype(np.float16))
        assert low == pytest.approx(sim.similarity(name, x, y), abs=1e-2)


@pytest.mark.parametrize("kind", HARD)
def test_linear_cka_of_hard_inputs_against_extended_precision(kind):
    for dtype in (np.float32, np.float64):
        x, y = (v.astype(dtype).astype(np.longdouble) for v in _hard(kind))
        x, y = x - x.mean(0), y - y.mean(0)
        exact = ((x.T @ y) ** 2).sum() / np.sqrt(((x.T @ x) ** 2).sum() * ((y.T @ y) ** 2).sum())
        given = [v.astype(dtype) for v in _hard(kind)]
        assert sim.linear_cka(*given) == pytest.approx(float(exact), rel=2e-6 if dtype is np.float32 else 1e-11)


@pytest.mark.parametrize("name", CENTRED)
def test_scales_that_overflow_float32_squares(name):
    x, y = (v.astype(np.float32) for v in _pair())
    index = sim.INDICES[name]
    for factor in (1e-30, 1e30):
        assert index(np.float32(factor) * x, y) == pytest.approx(index(x, y), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_constant_representation_is_undefined(name):
    x, _ = _pair()
    for constant in (np.full((60, 4), 0.1), np.zeros((60, 4)), np.full((60, 1), np.float32(7e7))):
        with pytest.warns(sim.SimilarityWarning, match="undefined"):
            value = sim.similarity(name, x, constant)
        assert np.isnan(value) or (name == "mutual_knn" and constant.any())


def test_other_undefined_cases():
    one_hot = np.eye(8)
    assert sim.linear_cka(one_hot, one_hot) == pytest.approx(1)
    with pytest.warns(sim.SimilarityWarning, match="equally similar"):
        assert np.isnan(sim.linear_cka(one_hot, one_hot, debiased=True))
    with pytest.warns(sim.SimilarityWarning, match="width is zero"):
        assert np.isnan(sim.rbf_cka(np.array([0.0, 0, 0, 0, 1])[:, None], np.arange(5.0)[:, None]))
    with pytest.warns(sim.SimilarityWarning, match="row 2 of y is zero"):
        assert np.isnan(sim.mutual_knn(np.ones((4, 2)) + np.eye(4, 2), np.diag([1.0, 1, 0, 1]), k=1))
    with pytest.warns(sim.SimilarityWarning, match="row 0 of x has equal entries"):
        assert np.isnan(sim.rsa(np.arange(5.0)[:, None], _pair(5)[0]))
    with pytest.warns(sim.SimilarityWarning, match="equal"):
        assert np.isnan(sim.rsa(one_hot, _pair(8)[0], distance="euclidean"))
    with pytest.warns(sim.SimilarityWarning, match="does not vary"):
        assert np.isnan(sim.MinibatchCKA().update(np.ones((5, 2)), _pair(5)[0]).compute().value)


@pytest.mark.parametrize("name", ["cca", "pwcca", "svcca"])
def test_canonical_correlations_of_few_inputs_are_called_meaningless(name):
    rng = np.random.default_rng(12)
    x, y = rng.normal(size=(20, 50)), rng.normal(size=(20, 60))
    with pytest.warns(sim.SimilarityWarning, match="meaningless"):
        assert sim.INDICES[name](x, y) == pytest.approx(1)
    with pytest.warns(sim.SimilarityWarning, match="5 of 12 correlations are 1 for any two"):
        found = sim.canonical_correlations(x[:, :12], y[:, :12])
    assert np.sum(found > 1 - 1e-9) == 5


def test_rounding_is_no_direction():
    """Columns that repeat each other up to float32 rounding add no canonical correlation."""
    x, y = (v.astype(np.float32) for v in _pair(300, 4, 4))
    mix = np.random.default_rng(13).normal(size=(4, 20)).astype(np.float32)
    assert sim.cca(x @ mix + np.float32(50), y) == pytest.approx(sim.cca(x, y), abs=1e-4)
    assert len(sim.canonical_correlations(x @ mix, y @ mix)) == 4


def test_tensors_lists_and_integers_are_taken():
    x, y = _pair()
    value = sim.linear_cka(x, y)
    assert sim.linear_cka(torch.tensor(x, requires_grad=True), torch.tensor(y)) == value
    assert sim.linear_cka(x.tolist(), np.asfortranarray(y)) == pytest.approx(value, abs=1e-12)
    assert sim.linear_cka(torch.tensor(x).bfloat16(), torch.tensor(y)) == pytest.approx(value, abs=0.01)
    whole = np.arange(12).reshape(6, 2) % 5
    assert sim.linear_cka(whole, whole.astype(float)) == 1.0
    before = x.copy()
    for name in NAMES:
        sim.similarity(name, x, y)
    assert np.array_equal(x, before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, 0], "must be a matrix"),
        (lambda x: x.reshape(60, 2, 3), "flatten"),
        (lambda x: x[:50], "50 rows"),
        (lambda x: np.where(x > 1, np.nan, x), "NaN or infinity"),
        (lambda x: np.where(x > 1, np.inf, x), "NaN or infinity"),
        (lambda x: x[:, :0], "must be a matrix"),
        (lambda x: x.astype(complex), "real"),
    ],
)
def test_bad_representations(name, change, message):
    x, y = _pair()
    with pytest.raises(ValueError, match=message):
        sim.similarity(name, change(x), y)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: sim.similarity("linear_cca", x, y), "did you mean 'linear_cka'"),
        (lambda x, y: sim.rbf_cka(x, y, scale=0), "scale = 0 must be positive"),
        (lambda x, y: sim.rbf_cka(x, y, scale=np.nan), "must be positive"),
        (lambda x, y: sim.mutual_knn(x, y, k=60), "k = 60 must be"),
        (lambda x, y: sim.mutual_knn(x, y, k=0), "k = 0 must be"),
        (lambda x, y: sim.mutual_knn(x, y, distance="cosin"), "did you mean 'cosine'"),
        (lambda x, y: sim.rsa(x, y, distance="euclid"), "did you mean 'euclidean'"),
        (lambda x, y: sim.rsa(x, y, comparison="kendall"), "unknown comparison"),
        (lambda x, y: sim.cca(x, y, rtol=1), "rtol = 1"),
        (lambda x, y: sim.linear_cka(x[:3], y[:3], debiased=True), "at least 4"),
        (lambda x, y: sim.MinibatchCKA().update(x[:3], y[:3]), "at least 4"),
        (lambda x, y: sim.MinibatchCKA().compute(), "no batches"),
        (lambda x, y: sim.MinibatchCKA().update(x, y).compute(confidence=95), "confidence"),
    ],
)
def test_bad_options(call, message):
    with pytest.raises(ValueError, match=message):
        call(*_pair())


def test_large_features_need_little_memory_and_keep_their_digits():
    """n = 10,000, d = 512, float32; the extra memory stays below 100 MB. The time is in benchmarks/similarity.py."""
    rng = np.random.default_rng(14)
    z = rng.standard_normal((10000, 8), np.float32)
    x, y = (
        z @ rng.standard_normal((8, 512), np.float32) + 10 * rng.standard_normal((10000, 512), np.float32)
        for _ in range(2)
    )
    tracemalloc.start()
    found = sim.linear_cka(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert found == pytest.approx(sim.linear_cka(x.astype(np.float64), y.astype(np.float64)), rel=2e-6)


# --- the permutation null


@pytest.mark.table
@pytest.mark.parametrize("name", NAMES)
def test_the_null_rejects_unrelated_representations_as_often_as_it_says(name):
    """The p-value of independent representations is uniform on its grid: below 1/5 in a fifth of the draws."""
    rng = np.random.default_rng(3)
    draws = [
        sim.permutation_null(name, *rng.normal(size=(2, 14, 6)), permutations=9, confidence=0.8, seed=s).p_value
        for s in range(100)
    ]
    # 4.5 standard errors; ties of the neighbour overlap only make it more careful
    low = 0.0 if name == "mutual_knn" else 0.2 - 4.5 * np.sqrt(0.16 / 100)
    assert low <= np.mean(np.array(draws) <= 0.2 + 1e-9) <= 0.2 + 4.5 * np.sqrt(0.16 / 100)


@pytest.mark.parametrize("name", NAMES)
def test_the_null_leaves_equal_representations_at_one(name):
    x, _ = _pair(n=60)
    found = sim.permutation_null(name, x, x, permutations=30)
    assert found.value == pytest.approx(1, abs=1e-6)
    assert found.calibrated == pytest.approx(1, abs=1e-5)
    assert found.p_value == pytest.approx(1 / 31)


def test_width_inflates_an_index_and_its_null_alike():
    """Unrelated and wide: CKA looks high, its calibrated value does not; the debiased form needs no null."""
    rng = np.random.default_rng(0)
    narrow, wide = ([rng.normal(size=(50, p)) for _ in range(2)] for p in (2, 200))
    raw = [sim.permutation_null("linear_cka", *pair, permutations=60) for pair in (narrow, wide)]
    assert raw[1].value > 0.7 > 0.2 > raw[0].value
    assert raw[1].value == pytest.approx(raw[1].mean, abs=0.02)
    assert max(one.calibrated for one in raw) < 0.05
    assert abs(sim.permutation_null("linear_cka_debiased", *wide, permutations=60).mean) < 0.02


def test_the_null_is_repeatable_and_says_what_is_wrong():
    x, y = _pair()
    assert sim.permutation_null("rsa", x, y, permutations=5) == sim.permutation_null("rsa", x, y, permutations=5)
    with pytest.raises(ValueError, match="linear_cka"):
        sim.permutation_null("cka", x, y)
    with pytest.raises(ValueError, match="permutations"):
        sim.permutation_null("rsa", x, y, permutations=0)
    with pytest.warns(sim.SimilarityWarning):
        assert np.isnan(sim.permutation_null("linear_cka", x, 0 * y).calibrated)
