"""Probes on many noisy label vectors: ours, all vectors at once, against scikit-learn, one fit a vector.

python benchmarks/probe.py
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import harness
import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dlcore import data, probing

REPEATS = 5
# label vectors of dlcore's run, and those of scikit-learn's, whose time is multiplied
VECTORS = {"ridge": (200, 4), "logistic": (50, 2), "knn": (50, 4), "mlp": (2, 2)}


def theirs(kind: str, x: np.ndarray, strength: float) -> Any:
    """Returns scikit-learn's estimator of the same problem."""
    if kind == "ridge":
        return RidgeClassifier(alpha=strength)
    if kind == "logistic":
        return LogisticRegression(C=1 / strength, max_iter=5000)
    if kind == "knn":
        return KNeighborsClassifier(15)
    network = MLPClassifier(256, batch_size=min(128, len(x)), alpha=0, max_iter=60, tol=0, n_iter_no_change=60)
    return make_pipeline(StandardScaler(), network)


def fitted(kind: str, x: np.ndarray, noisy: np.ndarray, test: np.ndarray, strength: float) -> list[tuple[Any, ...]]:
    """Returns scikit-learn's models, one a label vector, and their predictions on training and test rows."""
    models = [theirs(kind, x, strength).fit(x, y) for y in noisy]
    return [(model, model.predict(x), model.predict(test)) for model in models]


def objective(model: LogisticRegression, x: np.ndarray, y: np.ndarray, strength: float) -> float:
    """Returns scikit-learn's objective times its C, which is ours."""
    loss = -model.predict_log_proba(x)[np.arange(len(x)), y].sum()
    return loss + 0.5 * strength * np.square(model.coef_).sum()


def excess(found: Any, models: list[Any], x: np.ndarray, noisy: np.ndarray, strength: float) -> dict[str, str]:
    """Returns how far both sides' first objective is above the optimum, which Newton's method finds to 1e-12."""
    newton = LogisticRegression(C=1 / strength, solver="newton-cholesky", tol=1e-12, max_iter=100).fit(x, noisy[0])
    least = objective(newton, x, noisy[0], strength)
    sides = {"dlcore": found.objective[0], "scikit-learn": objective(models[0], x, noisy[0], strength)}
    return {f"excess, {side}": f"{value / least - 1:.0e}" for side, value in sides.items()}


def compared(quick: bool) -> harness.Table:
    """Returns the table against scikit-learn."""
    n, vectors, repeats = (200, dict.fromkeys(VECTORS, (2, 2)), 1) if quick else (1000, VECTORS, REPEATS)
    digits = data.load("digits", n_train=n)
    train, test = (v.reshape(len(v), -1).astype(float) for v in (digits.train_inputs, digits.test_inputs))
    weights = np.random.default_rng(0).normal(size=(64, 200)) / 8
    features = {"raw, 64": (train, test), "random, 200": tuple(np.maximum(v @ weights, 0) for v in (train, test))}
    if quick:
        features.pop("random, 200")
    rows = []
    for kind, (count, few) in vectors.items():
        noisy = probing.noisy_draws(digits.train_labels, 10, 0.2, 1, count)
        for (name, (x, z)), strength in itertools.product(features.items(), (1.0, 0.01)):
            penalised = kind in ("ridge", "logistic")
            if not penalised and (strength != 1 or (kind == "mlp" and name != "raw, 64")):
                continue

            def ours(k: str = kind, x: np.ndarray = x, z: np.ndarray = z, y: np.ndarray = noisy, s: float = strength):
                return probing.probe(k, x, y, z, 10, strength=s)

            works: dict[str, Callable[[], Any]] = {
                "ours": ours,
                "theirs": lambda k=kind, x=x, z=z, y=noisy[:few], s=strength: fitted(k, x, y, z, s),
            }
            spent = harness.turns(works, repeats)
            mine, peer = spent["ours"], spent["theirs"]
            times = count / few
            peer = peer._replace(cpu=peer.cpu * times, runs=tuple((c * times, w * times) for c, w in peer.runs))
            row = {"probe": kind, "features": name, "vectors": count, **({"penalty": strength} if penalised else {})}
            row |= {"dlcore, CPU-s": mine.cpu, "scikit-learn, CPU-s": peer.cpu}
            row |= harness.compared(peer, mine, "scikit-learn / dlcore")
            if kind != "knn":  # its distances are scikit-learn's
                limit = harness.peak(torch.float64 if kind == "ridge" else torch.float32)
                row["share of peak"] = f"{harness.flops(ours) / mine.cpu / limit:.0%}"
            row |= {"dlcore, extra MB": mine.memory, "scikit-learn, extra MB": peer.memory}
            truth = digits.test_labels
            row["accuracy, dlcore"] = f"{np.mean(mine.value.test[:few] == truth):.1%}"
            row["accuracy, scikit-learn"] = f"{np.mean([found == truth for *_, found in peer.value]):.1%}"
            if kind == "logistic":
                row |= excess(mine.value, [model for model, *_ in peer.value], x, noisy, strength)
            rows.append(row)
    note = (
        f"Digits, {n:,} samples with 20 % of labels flipped anew for each vector; raw pixels and random ReLU features; fits "
        f"and predictions on all rows. CPU time for all label vectors, the median of {repeats} turns; scikit-learn is timed "
        "on a few and multiplied. The share is that of the measured peak of matrix products, in float32 (ridge: float64). "
        "Accuracies are on test rows with clean labels; the excess is that of the logistic objective over the optimum of "
        "Newton's method, relative. dlcore's memory is of all vectors, scikit-learn's of one fit after the other."
    )
    peers = harness.versions("scikit-learn", "torch")
    return harness.Table("Probes against scikit-learn", note, rows, ("scikit-learn / dlcore",), peers)


def grown(quick: bool) -> harness.Table:
    """Returns the table of costs as sizes double."""
    rng = np.random.default_rng(0)

    def work(kind: str, n: int, d: int, classes: int, vectors: int) -> Callable[[], Any]:
        x, y = rng.normal(size=(n, d)), rng.integers(0, classes, (vectors, n))
        return lambda: probing.probe(kind, x, y, x[:1], classes, strength=1.0)

    axes = []
    for kind in ("ridge", "logistic"):
        n, d, k, r = (40, 8, 2, 2) if quick else (1000, 128, 10, 20 if kind == "ridge" else 5)

        def double(value: int) -> tuple[int, ...]:
            return (value, 2 * value, 4 * value)

        expected = {"n": "2", "d": "2 to 4", "K": "2", "R": "2"}
        if kind == "ridge":
            expected |= {"d": "2 to 8", "K": "1 to 2", "R": "1 to 2"}
        axes += [
            harness.Axis(
                f"{kind}: samples n", double(n), lambda v, q=kind, d=d, k=k, r=r: work(q, v, d, k, r), expected["n"]
            ),
            harness.Axis(
                f"{kind}: features d", double(d), lambda v, q=kind, n=n, k=k, r=r: work(q, n, v, k, r), expected["d"]
            ),
            harness.Axis(
                f"{kind}: classes K", double(k), lambda v, q=kind, n=n, d=d, r=r: work(q, n, d, v, r), expected["K"]
            ),
            harness.Axis(
                f"{kind}: vectors R", double(r), lambda v, q=kind, n=n, d=d, k=k: work(q, n, d, k, v), expected["R"]
            ),
        ]
    note = (
        "Gaussian features and random labels. Ridge: n d² for the normal equations and d³/3 for their factor, once, then "
        "n d K R for the outputs. Logistic: n d K R in each step of L-BFGS and at most K n d² in a few; the number of steps may change too."
    )
    return harness.growth("Probes as their size doubles", note, axes, 1 if quick else 3, least=0.0 if quick else 0.05)


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the tables of this benchmark."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return [compared(quick), grown(quick)]


if __name__ == "__main__":
    harness.main(tables, __doc__)
