"""One table of inputs over every public function that takes arrays: the same value, or a refusal by name."""

import contextlib
import inspect
import random
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.linear_model import RidgeClassifier
from torch import nn
from torch.masked import masked_tensor

from dlcore import arrays, data, noise, pretraining, probing, runtime, stitching, training
from dlcore import similarity as networks
from dlcore.metrics import distributional as dg
from dlcore.metrics import nearest, scaling, similarity, statistics
from dlcore.metrics import rationality as rr
from dlcore.metrics.information import mutual_information
from dlcore.metrics.nearest import nearest_neighbour_bound
from dlcore.models import classical as classifiers
from dlcore.models import networks as models
from dlcore.models.classical import CLASSICAL, classical
from dlcore.probing.linear import centred
from dlcore.stitching import activations, connectivity, penalty_curve, stage_names, stitch
from dlcore.translation import decoding, text
from dlcore.translation import models as translators
from dlcore.translation import training as sequences

MODULES = (dg, rr, scaling, similarity, statistics, noise, probing, stitching, pretraining, training, networks)
RNG = np.random.default_rng(0)
N, K, D = 60, 4, 3
# halves of integers: float32 holds them, so that a cast changes nothing
X, Z = RNG.integers(-8, 9, (N, D)) / 2 + np.eye(D)[RNG.integers(0, D, N)], RNG.integers(-8, 9, (N, 5)) / 2
Y, A = RNG.integers(0, K, N), RNG.integers(0, K, N)
B = np.where(RNG.random(N) < 0.5, Y, A)
LAW = np.full((K, K), 0.125) + 0.5 * np.eye(K)
DRAWS = np.stack([B, A, Y])
SIZES = 1024.0 * 2 ** np.arange(6)
LOSSES = np.float32(2 * (1 / SIZES + 1e-4) ** 0.3).astype(float)
COUNTS = np.array([[8, 2], [3, 9]])
W = torch.ones((), requires_grad=True)


def _net():
    with runtime.seeded(0):
        return nn.Sequential(nn.Linear(D, 6), nn.ReLU(), nn.Linear(6, K))


def _trained(x, y):
    net = _net()
    return training.fit(net, (x, y), training.TrainConfig(epochs=1), device="cpu").train_loss[0]


def _many(x, y):
    curves = training.fit_many([_net(), _net()], (x, y), training.TrainConfig(epochs=1), device="cpu")
    return [c.train_loss[0] for c in curves]


def _stitched(x, y):
    options = {"family": "least_squares", "device": "cpu", "random": False}
    return penalty_curve(_net(), _net(), (x, y, x, y), ["0"], **options)[0].penalty


def _one_stitch(x, y):
    return stitch(_net(), _net(), "0", data=(x, y, x, y), family="least_squares", device="cpu").loss


def _path(x, y):
    return connectivity(_net(), _net(), (x, y, x, y), family="least_squares", device="cpu")[:5]


def _pretrained(x):
    net, curves = pretraining.pretrain(x, "simclr", "mlp", epochs=1, width=8, depth=1, device="cpu")
    return curves.train_loss[0], pretraining.features(net, x)


IMAGES = RNG.integers(0, 3, (12, 1, 8, 8)) / 2

# every public function of arrays of labels, and where they go
LABELS = {
    "flip_labels": (lambda y: noise.flip_labels(y, K, 0.3, 0), [Y]),
    "apply_confusion": (lambda y: noise.apply_confusion(y, LAW, 0), [Y]),
    "apply_probabilities": (lambda y: noise.apply_probabilities(y, LAW[Y], 0), [Y]),
    "instance_probabilities": (lambda y: noise.instance_probabilities(X, y, K, 0.3, 0), [Y]),
    "noisy_draws": (lambda y: probing.noisy_draws(y, K, 0.3, 0, 2), [Y]),
    "subgroup_confusion": (lambda y: noise.subgroup_confusion(y, K, [0], 3, 0.3), [np.array([0, 1, 2, 3, 0, 1])]),
    "agreement": (dg.agreement, [A, B]),
    "agreement_gap": (dg.agreement_gap, [A, B, Y]),
    "distinguishability": (dg.distinguishability, [A, Y]),
    "joint_density": (lambda f, p: dg.joint_density(f, p, K, K), [A, B]),
    "feature_calibration": (lambda f, p: dg.feature_calibration(f, p, LAW), [A, B]),
    "train_test_tv": (lambda a, b, c, d: dg.train_test_tv(a, b, c, d, K, K), [A, B, A, Y]),
    "deviation_complexity": (lambda y: rr.deviation_complexity(DRAWS, DRAWS[::-1], y, K), [Y]),
    "prediction_complexity": (lambda y: rr.prediction_complexity(DRAWS, DRAWS[::-1], y, K), [Y]),
    "binary_deviation_complexity": (lambda y: rr.binary_deviation_complexity(DRAWS, DRAWS[::-1], y), [Y]),
    "noisy_experiment": (lambda y: rr.noisy_experiment(DRAWS, DRAWS[::-1], y).rate, [Y]),
    "nearest_neighbour_bound": (lambda y: nearest_neighbour_bound([0.25] * 4, LAW, y, 3, draws=9), [np.arange(4) % 2]),
    "probe": (lambda y: probing.probe("ridge", X, y, X, K)[:2], [Y]),
    "probe_rationality": (lambda y, t: probing.probe_rationality("knn", X, y, X, t, draws=2, neighbours=3), [Y, B]),
    "rationality": (
        lambda y, t: probing.rationality(lambda f, g: classical("knn").fit(f, g).predict, X, y, X, t, draws=2),
        [Y, B],
    ),
    "fit": (lambda y: _trained(X, y), [Y]),
    "fit_many": (lambda y: _many(X, y), [Y]),
    "penalty_curve": (lambda y: _stitched(X, y), [Y]),
    "classical": (lambda y: classical("knn").fit(X, y).predict(X), [Y]),
}
TABLES = {
    "complexity, draws": (lambda f, v: rr.deviation_complexity(f, v, Y, K), [DRAWS, DRAWS[::-1].copy()]),
    "jackknife, draws": (
        lambda f, v: rr.prediction_complexity(f, v, Y, K, correction="jackknife"),
        [DRAWS, DRAWS[::-1].copy()],
    ),
    "probe, vectors": (lambda y: probing.probe("ridge", X, y, X, K)[:2], [DRAWS]),
    "calibration_from_counts": (lambda c: dg.calibration_from_counts(c, [[0.75, 0.25], [0.25, 0.75]]), [COUNTS]),
    "two_sample_from_counts": (dg.two_sample_from_counts, [COUNTS, COUNTS.T.copy()]),
    "partition_tv": (lambda c: dg.partition_tv(c, [[0.75, 0.25], [0.25, 0.75]], [0, 0]), [COUNTS]),
    "confusion_from_counts": (noise.confusion_from_counts, [COUNTS]),
}
# what a procedure of the caller's is fitted to: any form that it takes
PASSED_ON = {
    "rationality, features": (
        lambda x, t: probing.rationality(lambda f, g: classical("knn").fit(f, g).predict, x, Y, t, Y[:9], draws=2),
        [X, X[:9]],
    ),
}
REALS = {
    **{name: (index, [X, Z]) for name, index in similarity.INDICES.items()},
    "canonical_correlations": (similarity.canonical_correlations, [X, Z]),
    "similarity": (lambda x, y: similarity.similarity("procrustes", x, y), [X, Z]),
    "MinibatchCKA": (lambda x, y: similarity.MinibatchCKA().update(x, y).compute().value, [X, Z]),
    **{
        f"probe, {name}": (lambda x, t, name=name: probing.probe(name, x, Y, t, K)[:2], [X, X[:9]])
        for name in ("ridge", "logistic", "knn")
    },
    "probe, mlp": (lambda x, t: probing.probe("mlp", x, Y, t, K, epochs=1, device="cpu")[:2], [X, X[:9]]),
    "probe_rationality, features": (lambda x: probing.probe_rationality("ridge", x, Y, X, B, draws=2), [X]),
    **{f"classical, {name}": (lambda x, name=name: classical(name).fit(x, Y).predict(x), [X]) for name in CLASSICAL},
    "fit, inputs": (lambda x: _trained(x, Y), [X]),
    "fit_many, inputs": (lambda x: _many(x, Y), [X]),
    "predict": (lambda x: training.predict(_net(), x).numpy(), [X]),
    "penalty_curve, inputs": (lambda x: _stitched(x, Y), [X]),
    "stitch, inputs": (lambda x: _one_stitch(x, Y), [X]),
    "connectivity, inputs": (lambda x: _path(x, Y), [X]),
    "matrix": (lambda x: networks.matrix(_net(), _net(), x, ["0", "2"], batch_size=20).value.to_numpy(), [X]),
    "features": (lambda x: pretraining.features(_net(), x), [X]),
    "permutation_null": (lambda x, y: similarity.permutation_null("linear_cka", x, y, permutations=9).value, [X, Z]),
    "instance_probabilities, inputs": (lambda x: noise.instance_probabilities(x, Y, K, 0.3, 0), [X]),
    "activations": (lambda x: activations(_net(), x, ["1"])["1"].numpy(), [X]),
    "stage_names": (lambda x: stage_names(_net(), x), [X]),
    "mutual_information": (mutual_information, [COUNTS / 2]),
    "total_variation": (dg.total_variation, [LAW / K, LAW.T / K]),
    "apply_confusion, law": (lambda law: noise.apply_confusion(Y, law, 0), [LAW]),
    "apply_probabilities, law": (lambda law: noise.apply_probabilities(Y, law, 0), [LAW[Y]]),
    "feature_calibration, law": (lambda law: dg.feature_calibration(A, B, law).tv, [LAW]),
}
VECTORS = {
    **{
        f"fit, {law}": (lambda d, y, law=law: scaling.fit(d, y, law=law).parameters, [SIZES, LOSSES])
        for law in scaling.LAWS
    },
    "fit_joint": (
        lambda d, n, y: scaling.fit_joint(N=n, D=d, loss=y).parameters,
        [np.tile(SIZES[:4], 2), np.repeat(SIZES[:2], 4), np.tile(LOSSES[:4], 2) * np.repeat([1, 0.5], 4)],
    ),
    "predict of a law": (lambda d: scaling.fit(SIZES, LOSSES).predict(d), [SIZES]),
    "marginal_value": (lambda d: scaling.marginal_value(scaling.fit(SIZES, LOSSES), d), [SIZES]),
    "effective_data": (
        lambda d: scaling.effective_data(scaling.fit(SIZES, LOSSES), scaling.fit(SIZES, LOSSES, law="power"), d).size,
        [SIZES],
    ),
    "report": (lambda d, y: scaling.report(d, y, bootstrap=0).sentence, [SIZES, LOSSES]),
    "compare_laws": (lambda d, y: list(scaling.compare_laws(d, y, laws=("power", "bansal"))), [SIZES, LOSSES]),
    "alternating_fit": (scaling.alternating_fit, [SIZES, LOSSES]),
    "paired_equivalence": (scaling.paired_equivalence, [SIZES, LOSSES, SIZES, LOSSES * 0.5]),
    "shared_exponent": (
        lambda d, y: scaling.shared_exponent({"a": (d, y), "b": (SIZES, LOSSES * 2)}, law="power").exponent,
        [SIZES, LOSSES],
    ),
    "mean_interval": (statistics.mean_interval, [LOSSES]),
    "welch_interval": (statistics.welch_interval, [LOSSES, LOSSES * 0.5]),
    "largest_interval": (lambda a: statistics.largest_interval([a, LOSSES]), [LOSSES * 2]),
    "confusion, rates": (lambda r: noise.confusion("symmetric", 4, r), [np.array([0.25, 0.5, 0.125, 0.125])]),
    "sampler_agreement": (lambda w: dg.sampler_agreement(LAW, w), [np.array([0.5, 0.25, 0.125, 0.125])]),
    "symmetric_noise_agreement": (lambda r: dg.symmetric_noise_agreement(r, 10), [np.array([0.25, 0.5])]),
    "knn_flip_rate": (lambda r: dg.knn_flip_rate(3, r), [np.array([0.25, 0.5])]),
    "noisy_label_accuracy": (lambda a: rr.noisy_label_accuracy(a, 0.2, 10), [np.array([0.25, 0.5])]),
    "table_accuracy": (lambda a, b: rr.table_accuracy(a, b, 0.2, 10), [np.array([0.25, 0.5]), np.array([0.5, 0.5])]),
    "null_bias": (lambda s: dg.null_bias(LAW, s), [np.array([8.0, 4.0, 2.0, 16.0])]),
    "nearest_neighbour_bound, law": (
        lambda p: nearest_neighbour_bound(p, LAW, [0, 1, 0, 1], 3, draws=9),
        [np.array([0.5, 0.25, 0.125, 0.125])],
    ),
}
# tables of three axes
STACKS = {
    "pretrain": (_pretrained, [IMAGES]),
    "encoder": (lambda x: pretraining.encoder("mlp", x, width=8, depth=1)[0].normalise.mean.numpy(), [IMAGES]),
    "to_unit": (lambda x: pretraining.to_unit(x).numpy(), [IMAGES]),
}


# a loss, which `fit` calls; and what gives its arrays to `fit_joint`
OTHERS = {"cross_entropy", "report_joint"}


def test_the_tables_have_every_public_function_of_arrays():
    """By its signature: what has no annotation, or that of an array, takes arrays."""
    known = {name.partition(",")[0] for name in (*LABELS, *TABLES, *REALS, *VECTORS, *STACKS)}
    missing = set()
    for module in MODULES:
        own = [n for n, f in vars(module).items() if getattr(f, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", own):
            function = getattr(module, name)
            if name[0] == "_" or not inspect.isfunction(function):
                continue
            kinds = {str(p.annotation) for p in inspect.signature(function).parameters.values()}
            if any(re.search("_empty|ndarray|Tensor", kind) for kind in kinds) and name not in known:
                missing.add(name)
    assert missing == OTHERS


def _reversed_memory(v):
    return v[tuple(slice(None, None, -1) for _ in v.shape)].copy()[tuple(slice(None, None, -1) for _ in v.shape)]


def _read_only(v):
    w = v.copy()
    w.flags.writeable = False
    return w


def _nested(v, leaf):
    return [_nested(row, leaf) for row in v] if v.ndim > 1 else [leaf(e) for e in v]


ANY = {
    "negative strides": _reversed_memory,
    "big-endian": lambda v: v.astype(v.dtype.newbyteorder(">")),
    "Fortran order": np.asfortranarray,
    "read-only": _read_only,
    "objects": lambda v: v.astype(object),
    "list": lambda v: v.tolist(),
    "tensor": torch.tensor,
    "tensor, transposed": lambda v: torch.tensor(v.T.copy()).permute(*reversed(range(v.ndim))),
    "list of tensors": lambda v: [torch.tensor(row) for row in v],
}
FRAME = {"DataFrame": pd.DataFrame, "DataFrame, nullable": lambda v: pd.DataFrame(v).convert_dtypes()}
COLUMN = {
    "Series": pd.Series,
    "Series, shuffled index": lambda v: pd.Series(v, index=np.arange(len(v))[::-1]),
    "nullable": lambda v: pd.Series(v).convert_dtypes(),
    "categorical of numbers": lambda v: pd.Series(v).astype("category"),
}
INTEGER = {
    "int32": lambda v: v.astype(np.int32),
    "uint8": lambda v: v.astype(np.uint8),
    "int32 tensor": lambda v: torch.tensor(v).int(),
}
REAL = {
    "float32": lambda v: v.astype(np.float32),
    "float32 tensor": lambda v: torch.tensor(v).float(),
    "tensor with gradient": lambda v: torch.tensor(v, requires_grad=True),
    "tensor computed with gradients": lambda v: W.double() * torch.tensor(v),
    "list of rows with gradients": lambda v: [W * torch.tensor(row) for row in v],
    "list of numbers with gradients": lambda v: _nested(v, lambda e: W.double() * float(e)),
}


def _values(found):
    if isinstance(found, torch.Tensor):
        found = found.detach().numpy()
    if hasattr(found, "__dataclass_fields__"):
        found = [getattr(found, name) for name in found.__dataclass_fields__]
    if isinstance(found, dict):
        found = list(found.values())
    return [_values(v) for v in found] if isinstance(found, list | tuple) else found


def _same(found, wanted):
    found, wanted = _values(found), _values(wanted)
    if isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            _same(one, other)
    elif isinstance(wanted, str):
        assert found == wanted
    else:
        np.testing.assert_allclose(np.asarray(found, float), np.asarray(wanted, float), rtol=1e-5, atol=1e-9)


def _pairs(functions, forms):
    return [pytest.param(*functions[f], form, id=f"{f}-{name}") for f in functions for name, form in forms.items()]


def _globals():
    return {
        "numpy": [str(part) for part in np.random.get_state()],  # noqa: NPY002
        "python": random.getstate(),
        "torch": torch.random.get_rng_state().tolist(),
        "errors": np.geterr(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        # the first import of sympy, by torch's optimizers, adds its own
        "filters": [f for f in warnings.filters if not f[2].__module__.startswith("sympy")],
    }


@contextlib.contextmanager
def unchanged():
    """What all code of a process shares is as it was."""
    before = _globals()
    yield
    assert _globals() == before


EVERY = (
    _pairs(LABELS, ANY | COLUMN | INTEGER | {"column": lambda v: v[:, None], "table": lambda v: pd.DataFrame({"y": v})})
    + _pairs(TABLES, ANY | FRAME | INTEGER)
    + _pairs(REALS | PASSED_ON, ANY | FRAME | REAL)
    + _pairs(VECTORS, ANY | COLUMN | REAL)
    + _pairs(STACKS, ANY | REAL)
)


@pytest.mark.table
@pytest.mark.filterwarnings("ignore::dlcore.metrics.features.SimilarityWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("function", "given", "form"), EVERY)
def test_a_form_of_the_same_numbers_gives_the_same_value(function, given, form):
    formed = [form(v) for v in given]
    copies = [np.array(v) for v in given]
    with unchanged():
        _same(function(*formed), function(*given))
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def _hot(v):
    return np.eye(K + 2, dtype=int)[v]


prototype = pytest.mark.filterwarnings("ignore:.*MaskedTensors")
WRONG_LABELS = {
    "one-hot": (_hot, "one-hot"),
    "one-hot tensor": (lambda v: torch.tensor(_hot(v)), "one-hot"),
    "masked": (lambda v: np.ma.masked_array(v, v == 0), "masked"),
    "masked tensor": (
        lambda v: masked_tensor(torch.tensor(v), torch.tensor(v > 0)),
        "is a masked tensor: give .*to_tensor",
    ),
    "scores": (lambda v: _hot(v) * 0.7, r"argmax\(1\)"),
    "text": (lambda v: v.astype(str), "number the classes"),
    "categorical of text": (lambda v: pd.Series(v.astype(str)).astype("category"), "take its codes"),
    "missing": (lambda v: pd.Series(v).where(v > 0).astype("Int64"), "integers|missing"),
    "None": (lambda v: [None, *v[1:]], "missing value at position 0"),
    "fractions": (lambda v: v + 0.5, "must hold integers, not float64$"),
    "floats": (lambda v: v.astype(float), r"use astype\(int\)"),
    "negative": (lambda v: v - 1, r"holds -1, outside 0\.\."),
    "dates": (lambda v: v.astype("datetime64[s]"), "dates"),
    "nothing": (lambda v: v[:0], "empty"),
}


@pytest.mark.table
@prototype
@pytest.mark.parametrize(
    ("function", "given", "form", "message"),
    [
        pytest.param(*LABELS[f], *wrong, id=f"{f}-{name}")
        for f in LABELS
        for name, wrong in WRONG_LABELS.items()
        # a family of scikit-learn learns classes by any names
        if f != "classical" or name in ("one-hot", "masked", "None", "dates")
    ],
)
def test_what_is_no_vector_of_labels_is_refused_by_name(function, given, form, message):
    with pytest.raises(ValueError, match=message):
        function(*[form(v) for v in given])


@pytest.mark.parametrize("name", ["complexity, draws", "jackknife, draws", "probe, vectors"])
def test_what_is_no_table_of_labels_is_refused_by_name(name):
    function, given = TABLES[name]
    shares = [0.7 * np.eye(K)[v] + 0.3 / K for v in given]
    for wrong in (shares, [np.eye(K)[v] for v in given], [np.eye(K, dtype=int)[v] for v in given]):
        with pytest.raises(ValueError, match=r"argmax\(2\)|labels \(R, n\) .* are needed, not"):
            function(*wrong)
    with pytest.raises(ValueError, match=r"must hold integers, not float64; use astype\(int\)"):
        function(*[v.astype(float) for v in given])


def test_a_law_for_each_point_is_no_law_for_each_feature():
    """The first four points' would be taken for those of the four classes."""
    with pytest.raises(ValueError, match="conditional has 60 rows, one for each point, where one for each feature"):
        dg.feature_calibration(Y, A, LAW[Y])
    # as many features as points, or as classes
    assert dg.feature_calibration([0, 1, 2], [0, 1, 1], np.eye(2)[[0, 1, 1]]).tv == 0
    assert dg.feature_calibration([0, 0, 0], [0, 0, 0], np.eye(3)).tv == 0


WRONG_NUMBERS = {
    "masked": (lambda v: np.ma.masked_array(v, v == v.max()), "masked"),
    "masked tensor": (
        lambda v: masked_tensor(torch.tensor(v), torch.tensor(v > 0)),
        "is a masked tensor: give .*to_tensor",
    ),
    "complex": (lambda v: v + 1j, "complex"),
    "complex tensor": (lambda v: torch.tensor(v + 1j), "complex"),
    "text": (lambda v: v.astype(str), "text|numbers"),
    "text of any length": (lambda v: v.astype(str).astype(np.dtypes.StringDType()), "text|numbers"),
    "dates": (lambda v: v.astype("datetime64[s]"), "dates"),
    "missing": (lambda v: _nested(v, lambda e: None), "missing"),
    "records": (lambda v: np.zeros(len(v), [("a", float), ("b", float)]), "records"),
    "set": (lambda v: set(v.ravel().tolist()), "set"),
    "ragged": (lambda v: [[1.0], [1.0, 2.0]], "unequal length"),
    "sparse": (lambda v: scipy.sparse.csr_matrix(v.reshape(len(v), -1)), "sparse"),
    "sparse tensor": (lambda v: torch.tensor(v).to_sparse(), "sparse"),
    "meta tensor": (lambda v: torch.tensor(v).to("meta"), "meta device"),
}


@pytest.mark.table
@prototype
@pytest.mark.parametrize(
    ("function", "given", "form", "message"),
    [
        pytest.param(*functions[f], *wrong, id=f"{f}-{name}")
        for functions in (REALS, VECTORS, STACKS)
        for f in functions
        for name, wrong in WRONG_NUMBERS.items()
    ],
)
def test_what_is_no_array_of_numbers_is_refused_by_name(function, given, form, message):
    with pytest.raises(ValueError, match=message):
        function(*[form(v) for v in given])


def test_features_of_a_procedure_may_be_sparse_but_have_an_order():
    fit, test = RidgeClassifier(), (X[:9], Y[:9])
    dense = probing.rationality(fit, X, Y, *test, draws=2)
    sparse = probing.rationality(fit, scipy.sparse.csr_matrix(X), Y, scipy.sparse.csr_matrix(X[:9]), Y[:9], draws=2)
    assert sparse == dense
    with pytest.raises(ValueError, match="features is a set, which has no order: give a list"):
        probing.rationality(fit, set(range(len(Y))), Y, *test, draws=2)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (torch.tensor([1.5, -2.0]).bfloat16(), [1.5, -2.0]),
        (torch._neg_view(torch.tensor([1.0, 2.0])), [-1.0, -2.0]),
        ({"a": 1.5, "b": 2}.values(), [1.5, 2.0]),
        (iter([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        (np.array([[1, 2]]).view(np.matrix), [[1, 2]]),
        (np.array([1.5], np.longdouble), [1.5]),
        (pd.Series(pd.arrays.SparseArray([0, 1, 0])), [0, 1, 0]),
        (pd.Index([3, 4]), [3, 4]),
        ([np.float32(1.5), 2, torch.tensor(3.0)], [1.5, 2.0, 3.0]),
        (2.5, 2.5),
    ],
)
def test_other_holders_of_numbers(values, wanted):
    assert arrays.as_array(values).tolist() == wanted


@pytest.mark.filterwarnings("ignore:.*quantize")
def test_a_quantised_tensor_is_its_numbers():
    given = torch.quantize_per_tensor(torch.tensor([[1.5, -2.0]]), 0.5, 0, torch.qint8)
    assert arrays.as_array(given).tolist() == arrays.as_tensor("x", given).tolist() == [[1.5, -2.0]]


WHOLE = {
    "replicates": lambda k: dg.feature_calibration(A, B, LAW, replicates=k).tv,
    "replicates, agreement": lambda k: dg.agreement_gap(A, B, Y, replicates=k),
    "replicates, two samples": lambda k: dg.two_sample_from_counts(COUNTS, COUNTS.T, replicates=k),
    "permutations": lambda k: similarity.permutation_null("linear_cka", X, Z, permutations=k),
    "draws of a bound": lambda k: nearest_neighbour_bound([0.25] * 4, LAW, [0, 1, 0, 1], 3, draws=k),
    "draws of noise": lambda k: probing.noisy_draws(Y, K, 0.3, 0, k),
    "draws of a probe": lambda k: probing.probe_rationality("knn", X, Y, X, B, draws=k, neighbours=3),
}


@pytest.mark.parametrize("function", WHOLE.values(), ids=WHOLE)
def test_a_whole_number_may_be_written_as_a_float(function):
    _same(function(2e1), function(20))
    for wrong in (2.5, "20", True):
        with pytest.raises(TypeError, match="must be an integer"):
            function(wrong)
    with pytest.raises(ValueError, match="must be at least"):
        function(0)


def _numeric_parameters():
    """Yields the public functions of arrays and networks, each with a parameter that is declared as a number."""
    for module in (*MODULES, nearest, classifiers, models, text, decoding, sequences, translators, data):
        own = [n for n, f in vars(module).items() if getattr(f, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", own):
            function = getattr(module, name)
            if name[0] == "_" or not inspect.isfunction(function):
                continue
            for p in inspect.signature(function).parameters.values():
                if str(p.annotation).split(" | ")[0] in ("int", "float") and p.kind is not p.VAR_POSITIONAL:
                    yield pytest.param(function, p.name, id=f"{module.__name__.split('.')[-1]}.{name}-{p.name}")


@pytest.mark.table
@pytest.mark.parametrize(("function", "name"), list(_numeric_parameters()))
def test_every_number_is_looked_at_first(function, name):
    """Before anything is done with the other arguments, which are none here."""
    needed = [
        1 if str(p.annotation) in ("int", "float") else None
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD and p.name != name
    ]
    if name in (first := [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty]):
        needed = needed[: first.index(name)]
    whole = "int" in str(inspect.signature(function).parameters[name].annotation)
    for wrong in ("3", b"3", True, 1j, {}, *((2.5, np.nan, [3], torch.tensor(2.5)) if whole else ())):
        with pytest.raises(TypeError, match=rf"^{name} = .* must be an? (integer|number)"):
            function(*needed, **{name: wrong})


def test_typed_wherever_they_stand():
    @arrays.typed
    def function(first: int, second: float, *, third: int | None = None, **rest: int):
        return first, second, third, rest

    assert repr(function(1e3, 2.0, third=np.float32(4), more=5.0)) == "(1000, 2.0, 4, {'more': 5})"
    assert repr(function(np.int8(1), 2)) == "(1, 2, None, {})"
    with pytest.raises(TypeError, match="more = 0.5 must be an integer"):
        function(1, 2, more=0.5)


@pytest.mark.parametrize("seed", [3.0, np.int64(3), np.float32(3), torch.tensor(3)])
def test_a_seed_is_a_number_whatever_its_type(seed):
    assert runtime.mix(seed, 1) == runtime.mix(3, 1)
    assert noise.flip_labels(Y, K, 0.5, seed).labels.tolist() == noise.flip_labels(Y, K, 0.5, 3).labels.tolist()


def test_a_number_of_classes_makes_no_fractions_of_labels():
    assert noise.flip_labels(Y, float(K), 0.5, 0).labels.dtype == np.int64


def _resumed(tmp_path):
    (tmp_path / "run.pt").write_bytes(b"damaged")
    training.fit(_net(), (X, Y), training.TrainConfig(epochs=1), checkpoint=tmp_path / "run.pt", device="cpu")


def _lonely():
    """A curve whose exponent one run decides, far from all others."""
    sizes = np.append(np.linspace(1000, 1400, 9), 1e5)
    losses = 3 * sizes**-0.3 * np.exp(0.01 * np.random.default_rng(1).normal(size=10))
    return sizes, [*losses[:-1], losses[-1] * 1.2]


WARNS = {
    "linear_cka": lambda _: similarity.linear_cka(np.ones((9, 2)), Z[:9]),
    "rbf_cka": lambda _: similarity.rbf_cka(np.ones((9, 2)), Z[:9]),
    "similarity": lambda _: similarity.similarity("procrustes", np.ones((9, 2)), Z[:9]),
    "cca": lambda _: similarity.cca(X[:6], Z[:6]),
    "probe": lambda _: probing.probe("logistic", X, Y, X, K, iterations=1),
    "report": lambda _: scaling.report(*_lonely(), bootstrap=0),
    "fit": _resumed,
}


@pytest.mark.parametrize("function", WARNS.values(), ids=WARNS)
def test_a_warning_names_the_line_that_led_to_it(function, tmp_path):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        function(tmp_path)
    assert {one.filename for one in told} == {__file__}


def test_classes_and_draws_of_a_formula_are_counted():
    for call in (
        lambda: rr.table_accuracy(0.9, 0.8, 0.1, 0),
        lambda: rr.noisy_label_accuracy(0.9, 0.1, [10, 1]),
        lambda: rr.gap_intervals(0.9, 0.8, 0, rr.noisy_experiment(DRAWS, DRAWS[::-1], Y)),
    ):
        with pytest.raises(ValueError, match="classes|draws|num_classes|test points"):
            call()


def test_labels_from_one_to_k():
    gaps = [probing.probe_rationality("ridge", X, Y + k, X, B + k, draws=2) for k in (0, 1)]
    assert gaps[0] == gaps[1]
    with pytest.raises(ValueError, match="run from 1 to 4: subtract 1"):
        probing.probe("ridge", X, Y + 1, X, K)
    with pytest.raises(ValueError, match="run from 1 to 4: subtract 1"):
        _trained(X, Y + 1)


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (X[:, :2], Y, r"does not run on inputs of shape \(2, 2\)"),
        (Y[:, None] * np.ones((1, D), int), Y, "does not run on inputs .* torch.int64"),
        (X, np.stack([Y, Y], 1), "must have one axis"),
        (np.full_like(X, np.nan), Y, "NaN"),
        (X, Y[:5], "60 inputs and 5 targets"),
    ],
)
def test_training_data_that_do_not_fit_are_refused_before_any_work(inputs, labels, message):
    net = _net().train()
    before = [p.clone() for p in net.parameters()]
    with pytest.raises(ValueError, match=message):
        training.fit(net, (inputs, labels), training.TrainConfig(epochs=1), device="cpu")
    assert net.training
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


@pytest.mark.filterwarnings("ignore:.*nested tensors")
def test_a_nested_tensor_is_refused_by_name():
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    for call in (lambda: arrays.as_array(nested, "x"), lambda: arrays.as_tensor("x", nested)):
        with pytest.raises(ValueError, match="x is a nested tensor, with rows of unequal length"):
            call()


@pytest.mark.parametrize("name", CLASSICAL)
def test_rows_without_a_number_teach_nothing(name):
    with pytest.raises(ValueError, match="inputs must be rows of numbers, not of shape"):
        classical(name).fit(X[:, :0], Y)


@pytest.mark.parametrize(
    ("option", "value"), [*(("bandwidth", v) for v in (0, -1, np.inf)), ("ridge", -1), ("ridge", np.nan)]
)
def test_options_of_a_family_have_a_range(option, value):
    with pytest.raises(ValueError, match=f"{option} = {value}"):
        classical("kernel_gaussian", **{option: value})


def test_one_label_is_no_vector():
    with pytest.raises(ValueError, match="60 inputs and 1 targets"):
        _trained(X, 3)


def test_the_look_before_training_changes_nothing():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.norm, self.off = nn.Linear(D, K), nn.BatchNorm1d(K), nn.Dropout()
            self.off.eval()

        def forward(self, x):
            x += torch.randn_like(x)
            return self.norm(self.body(x))

    net, x = Noisy(), torch.tensor(X).float()
    torch.manual_seed(1)
    training._checked_labels(net, x, torch.tensor(Y))
    assert torch.equal(x, torch.tensor(X).float())
    assert net.norm.num_batches_tracked == 0
    assert [m.training for m in net.modules()] == [True, True, True, False]
    drawn = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(3))


def test_a_network_in_double_precision_keeps_it():
    x = torch.tensor(X).float().requires_grad_()
    net = _net().double()
    training.fit(net, (x, Y), training.TrainConfig(epochs=1), device="cpu")
    assert next(net.parameters()).dtype == torch.float64
    assert x.grad is None


def test_offsets_are_taken_off_exactly():
    x = torch.tensor(X + 2.0**40)
    rows = centred(x, x)
    np.testing.assert_allclose(rows.train / rows.scale, X - X.mean(0), atol=1e-14)
