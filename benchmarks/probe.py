"""Probes on many noisy label vectors: ours, all vectors at once, against scikit-learn, one fit a vector.

Digits, 1,000 samples; raw pixels and 200 random features; ridge and logistic regression. CPU seconds of this process for
all label vectors (scikit-learn is timed on a few and multiplied), the median of REPEATS runs, in one run. For logistic
regression, the relative excess of scikit-learn's final objective over ours: the faster one must not be the sloppier one.

    OMP_NUM_THREADS=1 python benchmarks/probe.py
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from dlcore import data, probing

REPEATS, FEW = 3, 4
VECTORS = {"ridge": 200, "logistic": 50}


def seconds(work: Callable[[], object]) -> tuple[float, object]:
    """Returns the median CPU seconds of some runs, and the last result."""
    spent, result = [], None
    for _ in range(REPEATS):
        start = time.process_time()
        result = work()
        spent.append(time.process_time() - start)
    return median(spent), result


def objective(model: LogisticRegression, x: np.ndarray, y: np.ndarray, strength: float) -> float:
    """Returns scikit-learn's objective times its C, which is ours."""
    loss = -model.predict_log_proba(x)[np.arange(len(x)), y].sum()
    return loss + 0.5 * strength * np.square(model.coef_).sum()


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    digits = data.load("digits", n_train=1000)
    raw = digits.train_inputs.reshape(1000, -1).astype(float)
    rng = np.random.default_rng(0)
    features = {"raw, 64": raw, "random, 200": np.maximum(raw @ rng.normal(size=(64, 200)) / 8, 0)}
    print(
        f"{'probe':10} {'features':12} {'strength':>8} {'ours, s':>9} {'theirs, s':>10} {'ratio':>6}  excess objective"
    )
    for kind, count in VECTORS.items():
        noisy = probing.noisy_draws(digits.train_labels, 10, 0.2, 1, count)
        for name, x in features.items():
            for strength in (1.0, 0.01):

                def theirs(kind=kind, x=x, strength=strength, noisy=noisy) -> list:
                    if kind == "ridge":
                        return [RidgeClassifier(alpha=strength).fit(x, y) for y in noisy[:FEW]]
                    return [LogisticRegression(C=1 / strength, max_iter=5000).fit(x, y) for y in noisy[:FEW]]

                def ours(kind=kind, x=x, strength=strength, noisy=noisy) -> probing.Probed:
                    return probing.probe(kind, x, noisy, x[:1], 10, strength=strength)

                mine, found = seconds(ours)
                peer, models = seconds(theirs)
                peer *= count / FEW
                excess = ""
                if kind == "logistic":
                    gaps = [objective(m, x, y, strength) for m, y in zip(models, noisy, strict=False)]
                    excess = f"{np.max(np.array(gaps) / found.objective[:FEW] - 1):+.1e}"
                print(f"{kind:10} {name:12} {strength:8} {mine:9.2f} {peer:10.2f} {peer / mine:6.1f}  {excess}")


if __name__ == "__main__":
    main()
