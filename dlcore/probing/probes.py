"""Probes by name, and what they make of noisy labels: chapter 1's experiment on features or on any procedure."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tqdm.auto import tqdm

from dlcore import borrowed, cache, keys, runtime, training
from dlcore import noise as kinds
from dlcore.arrays import LARGEST, as_integers, as_reals, as_tensor, as_whole, typed
from dlcore.config import one_of
from dlcore.metrics import rationality as rr
from dlcore.probing import DEFAULTS, PROBES
from dlcore.probing.linear import Probed, centred, logistic, ridge
from dlcore.results import Result

OPTIONS = {
    "ridge": ("strength",),
    "logistic": ("strength", "tolerance", "iterations"),
    "knn": ("neighbours",),
    "mlp": ("seed", "width", "epochs", "progress", "device"),
}


def _prepare(features, labels, test_features, num_classes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x = as_tensor("features", as_reals("features", features))
    test = as_tensor("test_features", as_reals("test_features", test_features))
    y = torch.from_numpy(_label_vectors(labels, len(x), num_classes))
    if x.ndim != 2 or test.ndim != 2 or not x.shape[1] == test.shape[1] > 0 or y.ndim != 2 or y.shape[1] != len(x):
        shapes = f"{tuple(x.shape)}, {tuple(y.shape)} and {tuple(test.shape)}"
        raise ValueError(f"features (n, d), labels (R, n) and test_features (m, d) are needed, not {shapes}")
    if not (torch.isfinite(x).all() and torch.isfinite(test).all()):
        raise ValueError("features contain NaN or infinity")
    if max(float(v.abs().max()) if v.numel() else 0.0 for v in (x, test)) > LARGEST:
        raise ValueError(f"features hold numbers beyond {LARGEST:.2g}, whose differences may overflow: divide them")
    return x, y, test


def _label_vectors(labels, rows: int, num_classes: int) -> np.ndarray:
    """Returns label vectors (R, n) of what may be one, of n labels, or a column; raises ValueError for one-hot rows."""
    y = as_integers("labels", labels, num_classes)
    if y.ndim == 2 and len(y) == rows != y.shape[1]:
        y = as_integers("labels", y, num_classes, ndim=1)
    return y[None] if y.ndim == 1 else y


@typed
def probe(
    name: str,
    features,
    labels,
    test_features,
    num_classes: int,
    *,
    strength: float = 1.0,
    neighbours: int = 15,
    seed: int = 0,
    **options: Any,
) -> Probed:
    """Fits a probe to every label vector and returns its predictions on the training and the test rows.

    "ridge": least squares on one-hot labels, exact for all label vectors from one factorisation, predictions are the
    largest output. "logistic": multinomial logistic regression to its optimum, all vectors at once. "mlp": a network
    with one hidden layer, one training a vector. "knn": majority of k neighbours, a training row being its own first.

    Shapes: features (n, d), labels (R, n) or (n,) integers, test_features (m, d).
    Args:
        strength: of the squared penalty: ridge, lambda (the constant column is penalised too); logistic, 1 / C
            of scikit-learn (the intercept is free).
        options: `tolerance` of "logistic"; `width`, `epochs`, `progress`, `device` of "mlp".
    Raises: ValueError for an unknown probe, NaN features, labels out of range, shapes that disagree. Warns
        (UnconvergedWarning) where "logistic" ends before its tolerance.
    Differs: the authors train a linear layer with Adam (100 epochs at 2e-4, weight decay 1e-6); "logistic" is the optimum of
        the penalised problem, "ridge" has no counterpart in the paper.

    >>> probe("ridge", [[0.0], [1.0]], [0, 1], [[0.9]], 2, strength=0.01).test.tolist()
    [[1]]
    """
    one_of("probe", name, PROBES)
    for option in options:
        one_of(f"option of {name}", option, OPTIONS[name])
    if not (math.isfinite(strength) and strength >= 0):
        raise ValueError(f"strength = {strength} must be a finite number, at least 0")
    neighbours, num_classes = as_whole("neighbours", neighbours, 1), as_whole("num_classes", num_classes, 1)
    x, y, test = _prepare(features, labels, test_features, num_classes)
    if name == "ridge":
        return ridge(x, y, test, num_classes, strength)
    if name == "logistic":
        return logistic(x, y, test, num_classes, strength, **{**DEFAULTS[name], **options})
    if name == "knn":
        return _knn(x, y, test, num_classes, neighbours)
    return _mlp(x, y, test, num_classes, seed, **{**DEFAULTS[name], **options})


def _knn(x: torch.Tensor, y: torch.Tensor, test: torch.Tensor, classes: int, neighbours: int) -> Probed:
    from sklearn.neighbors import NearestNeighbors

    if neighbours > len(x):
        raise ValueError(f"neighbours = {neighbours} is more than the {len(x)} training rows")
    # a common offset and scale: scikit-learn's products lose both features near 1e9 and those of 1e200
    rows = centred(x, test)
    tree = NearestNeighbors(n_neighbors=max(neighbours - 1, 1)).fit(rows.train.numpy())
    # a training row is its own first neighbour, also where it was given twice
    near = np.arange(len(x))[:, None]
    if neighbours > 1:
        near = np.hstack([near, tree.kneighbors(return_distance=False)])
    near_test = tree.kneighbors(rows.test.numpy(), neighbours, return_distance=False)
    return Probed(_votes(near, y, classes), _votes(near_test, y, classes), float("nan"), np.empty(0))


def _votes(near: np.ndarray, y: torch.Tensor, classes: int) -> np.ndarray:
    """Returns the majority among the labels of the neighbours (m, k) for every label vector, (R, m)."""
    found = np.empty((len(y), len(near)), np.int64)
    size = max(1, 4_000_000 // classes)
    for row, labels in enumerate(y.numpy()):
        for start in range(0, len(near), size):
            part = labels[near[start : start + size]]
            code = np.arange(len(part))[:, None] * classes + part
            counts = np.bincount(code.ravel(), minlength=len(part) * classes)
            found[row, start : start + size] = counts.reshape(len(part), classes).argmax(1)
    return found


@borrowed.own_settings()
def _mlp(
    x: torch.Tensor,
    y: torch.Tensor,
    test: torch.Tensor,
    classes: int,
    seed: int,
    *,
    width: int,
    batch_size: int,
    progress: bool = False,
    device: str | torch.device = "auto",
    **training_options: Any,
) -> Probed:
    from dlcore.models import network

    # a power of two: it changes no digit, and features of 1e200 have squares
    scale = centred(x, test).scale
    x, test = x * scale, test * scale
    mean, deviation = x.mean(0), x.std(0)
    deviation = deviation.clamp(min=1e-6 * min(scale, float(deviation.max())))
    deviation = torch.where(deviation > 0, deviation, 1.0)  # nothing varies
    one, two = (((v - mean) / deviation).float() for v in (x, test))
    found = []
    for r, target in enumerate(y):
        net = network("mlp", tuple(x.shape[1:]), classes, seed=seed + r, width=width, depth=1).float()
        settings = training.TrainConfig(batch_size=min(batch_size, len(x)), seed=seed + r, **training_options)
        curves = training.fit(net, (one, target), settings, device=device, progress=progress, label=f"mlp probe {r}")
        sides = (training.predict(net, rows).cpu().numpy() for rows in (one, two))
        found.append((*sides, curves.train_loss[-1]))
    train, on_test, loss = map(np.array, zip(*found, strict=True))
    return Probed(train, on_test, float("nan"), loss)


class Rationality(Result, plot="gaps"):
    """The gaps of a procedure with intervals, and two bounds on memorization; `str()` is a paragraph to read.

    `bound_sharp`: of the 2 x 2 table of right and flipped over the draws (plug-in), by `sharp_memorization_bound`: it
    holds for these draws. `bound_published`: Theorem II from the c x c table with Miller and Madow's correction, an
    estimate of what many draws would give, which can lie below the measured gap. `rate`: the share of flipped labels.
    """

    gaps: rr.Gaps
    intervals: rr.GapIntervals
    bound_published: float
    bound_sharp: float
    rate: float

    def __str__(self) -> str:
        lines = [f"train {self.gaps.train:.4f}, test {self.gaps.test:.4f}, flip rate {self.rate:.3f}"]
        for name in ("generalization", "robustness", "memorization", "rationality", "bound"):
            v = getattr(self.intervals, name)
            lines.append(f"{name:14} {v.value:+.4f} [{v.low:+.4f}, {v.high:+.4f}]")
        published = f"Theorem II: about {self.bound_published:.4f}"
        lines.append(f"memorization is at most {self.bound_sharp:.4f} (2 x 2 table, ours); {published}")
        return "\n".join(lines)


@typed
def rationality(
    fit: Any,
    features,
    labels,
    test_features,
    test_labels,
    *,
    rate: float = 0.1,
    draws: int = 20,
    seed: int = 0,
    num_classes: int | None = None,
    noise: Any = None,
    n_jobs: int = 1,
    progress: bool = False,
    keep: str | Path | None = None,
) -> Rationality:
    """Measures robustness, memorization and rationality of any procedure.

    The procedure is fitted once to the clean labels and `draws` times to labels flipped at `rate`.

    Shapes: features (n, ...), labels (n,), test_features (m, ...), test_labels (m,).
    Args:
        fit: an estimator, of which a clone is fitted each time, or a function `fit(features, labels)` that returns what
            predicts: a function of features, or anything with a method `predict`. Both return classes.
        num_classes: by default the largest label + 1; then every class must occur, because a flip to a class that does not
            exist is another noise.
        noise: instead of uniform flips, a matrix (K, K) for `noise.apply_confusion`, or a function (labels, seed) that
            returns noisy labels. `rate` is not used then, and the two bounds, which are those of uniform flips, are NaN.
        n_jobs: processes (of joblib), -1 for one a core.
        keep: a folder for the predictions of each draw: a run that was stopped goes on from there. They are filed under the
            text of the procedure and its parameters, attributes, or the values that a function has from around it; what it
            reads elsewhere is not in the name.
    Raises: ValueError for a rate outside (0, 1), fewer than two draws, labels that are no integers or skip a class,
        lengths that disagree, predictions of the wrong shape, a procedure to `keep` that cannot be told from others.
    Paper: Bansal, Kaplun, Barak 2021, the noisy experiment. Which draws suffice: eta n K of some thousands, see the chapter.
    Differs: all accuracies are those of the final classifier; the released code averages over the last epoch.
    """
    y, y_test, classes = _checked_labels(features, labels, test_features, test_labels, rate, draws, num_classes)
    noisy = noisy_draws(y, classes, rate, seed, draws, noise=noise)
    if not (noisy != y).any():
        raise ValueError("the noise changed no label")
    features, test_features = _values(features), _values(test_features)
    folder = None if keep is None else cache.expanded(keep) / keys.procedure(fit)
    clean, on_test = _predicted(fit, features, y, (features, test_features), folder)
    for name, found, wanted in (("features", clean, y), ("test_features", on_test, y_test)):
        if found.shape != wanted.shape:
            raise ValueError(f"predict({name}) has shape {found.shape}, not that of classes, {wanted.shape}")
    from sklearn.utils.parallel import Parallel, delayed

    jobs = (delayed(_predicted)(fit, features, given, (features,), folder) for given in noisy)
    done = cast(Any, Parallel(n_jobs=n_jobs, return_as="generator")(jobs))
    done = tqdm(done, desc="rationality", total=draws, unit="draw", disable=not progress)
    predictions = np.stack([found for (found,) in done])
    summary = _summary(clean, on_test, predictions, noisy, y, y_test, classes)
    return summary if noise is None else dataclasses.replace(summary, bound_published=math.nan, bound_sharp=math.nan)


def _values(given: Any) -> Any:
    """Returns what holds no gradients: a tensor that was computed with them can neither be copied nor hashed."""
    if isinstance(given, torch.Tensor):
        return given.detach()
    nested = isinstance(given, list | tuple) and given and isinstance(given[0], list | tuple | torch.Tensor)
    return [_values(one) for one in given] if nested else given


def _predicted(fit: Any, features, labels: np.ndarray, inputs: tuple, keep: Path | None) -> list[np.ndarray]:
    """Returns the predictions of the procedure, fitted to these labels, for each of the inputs."""
    path = None
    if keep is not None:
        import joblib

        hashed = [np.asarray(cast(Any, v).cpu() if hasattr(v, "cpu") else v) for v in (features, labels, *inputs)]
        path = keep / f"{joblib.hash(hashed):.16}.npz"
        if (there := cache.read_arrays(path)) is not None:
            return list(there.values())
    from sklearn.base import clone

    # `safe=False` copies what is no estimator of scikit-learn's
    model: Any = clone(fit, safe=False) if hasattr(fit, "fit") else fit
    # copies: a procedure may centre its inputs in place, or be run by joblib on read-only memory
    own = copy.deepcopy((features, labels))
    found = model.fit(*own) if hasattr(model, "fit") else model(*own)
    found = model if found is None else found
    predict = getattr(found, "predict", found)
    if not callable(predict):
        raise ValueError(f"the procedure returned {type(found).__name__}, which neither predicts nor has `predict`")
    answers = [as_integers("what predict returns", predict(copy.deepcopy(v))) for v in inputs]
    if path is not None:
        cache.write_arrays(path, **{f"a{i}": answer for i, answer in enumerate(answers)})
    return answers


@typed
def probe_rationality(
    name: str,
    features,
    labels,
    test_features,
    test_labels,
    *,
    rate: float = 0.1,
    draws: int = 20,
    seed: int = 0,
    num_classes: int | None = None,
    **options: Any,
) -> Rationality:
    """Returns the `rationality` of a probe on cached features; its fits to all draws share what they can.

    Shapes: features (n, d), labels (n,), test_features (m, d), test_labels (m,).
    Args: name, options: as in `probe`; the rest as in `rationality`.
    Raises: ValueError as these two do.

    >>> x = np.random.default_rng(0).normal(size=(80, 2))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> found = probe_rationality("knn", x[:40], y[:40], x[40:], y[40:], rate=0.2, draws=5, neighbours=1)
    >>> found.gaps.noisy_train  # one neighbour, itself: a flipped label always returns
    0.0
    """
    features, test_features = as_reals("features", features), as_reals("test_features", test_features)
    y, y_test, classes = _checked_labels(features, labels, test_features, test_labels, rate, draws, num_classes)
    noisy = noisy_draws(y, classes, rate, seed, draws)
    found = probe(name, features, np.concatenate([y[None], noisy]), test_features, classes, seed=seed, **options)
    return _summary(found.train[0], found.test[0], found.train[1:], noisy, y, y_test, classes)


def _checked_labels(
    features, labels, test_features, test_labels, rate: float, draws: int, num_classes: int | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Returns both label vectors and the number of classes."""
    as_whole("draws", draws, 2)
    if not 0 < rate < 1:
        raise ValueError(f"rate = {rate} must be in (0, 1)")
    found = []
    for prefix, x, given in (("", features, labels), ("test_", test_features, test_labels)):
        y = as_integers(f"{prefix}labels", given, ndim=1)
        if isinstance(x, Set | Mapping):
            raise ValueError(f"{prefix}features is a {type(x).__name__}, which has no order: give a list")
        rows = next(iter(x.shape), 0) if hasattr(x, "shape") else len(x)  # a sparse matrix has no length
        if y.shape != (rows,):
            raise ValueError(f"{prefix}features has {rows} rows, {prefix}labels the shape {y.shape}")
        found.append(y)
    there = np.union1d(*found)
    if len(there) == there[-1] and there[0] == 1 and num_classes in (None, len(there)):
        # 1..K with no gap: the gaps do not depend on what the classes are called
        found, there = [y - 1 for y in found], there - 1
    if num_classes is not None:
        found = [as_integers(f"{prefix}labels", y, num_classes) for prefix, y in zip(("", "test_"), found, strict=True)]
    if num_classes is None and len(there) <= there[-1]:
        gap = int(np.setdiff1d(np.arange(there[-1]), there)[0])
        todo = f"number the classes 0..{len(there) - 1}, or give num_classes where class {gap} is real"
        raise ValueError(f"no label is {gap}, but some are {there[-1]}: {todo}")
    return found[0], found[1], int(there[-1]) + 1 if num_classes is None else num_classes


def _summary(
    clean: np.ndarray,
    on_test: np.ndarray,
    predictions: np.ndarray,
    noisy: np.ndarray,
    labels: np.ndarray,
    test_labels: np.ndarray,
    classes: int,
) -> Rationality:
    experiment = rr.noisy_experiment(predictions, noisy, labels)
    train, test = float(np.mean(clean == labels)), float(np.mean(on_test == test_labels))
    full = rr.deviation_complexity(predictions, noisy, labels, classes, correction="miller-madow")
    two = rr.binary_deviation_complexity(predictions, noisy, labels)
    return Rationality(
        rr.gaps(train, test, experiment.train_noisy, experiment.noisy_train),
        rr.gap_intervals(train, test, len(test_labels), experiment),
        rr.memorization_bound(full, len(labels), experiment.rate),
        rr.sharp_memorization_bound(two, len(labels), experiment.rate),
        experiment.rate,
    )


@typed
def noisy_draws(
    labels: np.ndarray, num_classes: int, rate: float, seed: int, draws: int, *, noise: Any = None
) -> np.ndarray:
    """Returns K noisy label vectors (K, n), each label flipped to a different class; rates of one seed are nested.

    With `noise`, a matrix (K, K) or a function (labels, seed), the vectors are drawn by that.

    >>> noisy_draws(np.array([0, 1]), 2, 0.5, seed=0, draws=3).shape
    (3, 2)
    """
    seeds = runtime.rng(seed, 0x7E57).integers(0, 2**31, as_whole("draws", draws, 1))
    if noise is None:
        return np.stack([kinds.flip_labels(labels, num_classes, rate, int(s)).labels for s in seeds])
    draw = noise if callable(noise) else lambda given, s: kinds.apply_confusion(given, noise, s)
    found = [getattr(drawn, "labels", drawn) for drawn in (draw(labels.copy(), int(s)) for s in seeds)]
    return np.stack([as_integers("what noise returns", v, num_classes, ndim=1) for v in found])
