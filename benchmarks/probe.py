"""Probes on many noisy label vectors: ours, all vectors at once, against scikit-learn, one fit a vector.

python benchmarks/probe.py
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import harness
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from dlcore import data, probing

REPEATS, FEW = 3, 4
VECTORS = {"ridge": 200, "logistic": 50}


def objective(model: LogisticRegression, x: np.ndarray, y: np.ndarray, strength: float) -> float:
    """Returns scikit-learn's objective times its C, which is ours."""
    loss = -model.predict_log_proba(x)[np.arange(len(x)), y].sum()
    return loss + 0.5 * strength * np.square(model.coef_).sum()


def theirs(kind: str, x: np.ndarray, noisy: np.ndarray, strength: float) -> list:
    """Returns scikit-learn's models of some label vectors."""
    if kind == "ridge":
        return [RidgeClassifier(alpha=strength).fit(x, y) for y in noisy]
    return [LogisticRegression(C=1 / strength, max_iter=5000).fit(x, y) for y in noisy]


def compared(quick: bool) -> harness.Table:
    """Returns the table against scikit-learn."""
    n, few, vectors, repeats = (200, 2, dict.fromkeys(VECTORS, 4), 1) if quick else (1000, FEW, VECTORS, REPEATS)
    digits = data.load("digits", n_train=n)
    raw = digits.train_inputs.reshape(n, -1).astype(float)
    rng = np.random.default_rng(0)
    features = {"raw, 64": raw, "random, 200": np.maximum(raw @ rng.normal(size=(64, 200)) / 8, 0)}
    if quick:
        features.pop("random, 200")
    rows = []
    for kind, count in vectors.items():
        noisy = probing.noisy_draws(digits.train_labels, 10, 0.2, 1, count)
        for name, x in features.items():
            for strength in (1.0, 0.01):
                works: dict[str, Callable[[], Any]] = {
                    "ours": lambda k=kind, x=x, y=noisy, s=strength: probing.probe(k, x, y, x[:1], 10, strength=s),
                    "theirs": lambda k=kind, x=x, y=noisy, s=strength: theirs(k, x, y[:few], s),
                }
                spent = harness.turns(works, repeats)
                ours, peer = spent["ours"], spent["theirs"]
                row = {"probe": kind, "features": name, "vectors": count, "penalty": strength}
                row |= {"dlcore, CPU-s": ours.cpu, "scikit-learn, CPU-s": peer.cpu * count / few}
                row |= {"scikit-learn / dlcore": peer.cpu * count / few / ours.cpu}
                row |= {"dlcore, extra MB": ours.memory, "scikit-learn, extra MB": peer.memory}
                if kind == "logistic":
                    gaps = [objective(m, x, y, strength) for m, y in zip(peer.value, noisy, strict=False)]
                    row["excess objective"] = f"{np.max(np.array(gaps) / ours.value.objective[:few] - 1):+.1e}"
                rows.append(row)
    note = (
        f"Digits, {n:,} samples with 20 % of labels flipped anew for each vector; raw pixels and random ReLU features. CPU "
        f"time for all label vectors, the median of {repeats} turns; scikit-learn is timed on {few} of them and multiplied. "
        "For logistic regression, the relative excess of scikit-learn's final objective over ours: the faster one must "
        "not be the sloppier one. dlcore's memory is of all vectors, scikit-learn's of one fit after the other."
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
        "n d K R for the outputs. Logistic: n d K R in each step of L-BFGS and n d² once; the number of steps may change too."
    )
    return harness.growth("Probes as their size doubles", note, axes, 1 if quick else 3, least=0.0 if quick else 0.05)


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the tables of this benchmark."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return [compared(quick), grown(quick)]


if __name__ == "__main__":
    harness.main(tables, __doc__)
