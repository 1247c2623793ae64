"""A learning curve ready for a fit: checks of what was given, and its resampled versions for a bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlcore.arrays import as_reals
from dlcore.config import one_of
from dlcore.metrics.scaling.laws import Law

DELTA = 0.05


@dataclass(frozen=True)
class Curve:
    """What a law is fitted to: log sizes x less their mean `shift`, log losses y (n,), and the size of each run."""

    law: Law
    x: np.ndarray
    y: np.ndarray
    shift: float | np.ndarray
    group: np.ndarray
    delta: float

    @property
    def bounds(self):
        return self.law.bounds(self.x, self.y)

    @property
    def dof(self) -> int:
        return self.y.size - len(self.law.parameters)


def vanishing_inside(curve: Curve) -> float:
    """Returns a value of the law's vanishing parameter well inside of its range: that of a start in the middle."""
    j = curve.law.index(curve.law.vanishing)
    starts = curve.law.starts(curve.x, curve.y[None])[0]
    return float(np.clip(starts[len(starts) // 2, j], *(side[j] for side in curve.bounds)))


def resampling(curve: Curve, bootstrap: int, resample: str) -> str:
    one_of("resample", resample, ("auto", "residual", "seed"))
    runs = np.bincount(curve.group)
    if resample == "seed" and runs.min() < 2:
        raise ValueError(f"resample = 'seed' needs two runs of every size; {int((runs < 2).sum())} sizes have one")
    if bootstrap == 0:
        return "delta"
    if bootstrap < 2:
        raise ValueError(f"bootstrap = {bootstrap} must be 0 or at least 2 draws")
    if curve.dof < 1:
        raise ValueError(
            f"{curve.y.size} runs leave no residual for {len(curve.law.parameters)} parameters: no bootstrap"
        )
    return resample if resample != "auto" else "seed" if runs.min() >= 2 else "residual"


def resampled(curve: Curve, theta: np.ndarray, method: str, draws: int, seed: int) -> np.ndarray:
    """Returns `draws` simulated curves of log losses (draws, n)."""
    rng = np.random.default_rng(seed)
    y, n = curve.y, curve.y.size
    if method == "residual":
        fitted = curve.law.evaluate(theta[None], curve.x)[0]
        residuals = (y - fitted - (y - fitted).mean()) * np.sqrt(n / max(curve.dof, 1))
        return fitted + residuals[rng.integers(n, size=(draws, n))]
    runs = np.bincount(curve.group)
    mean = (np.bincount(curve.group, weights=y) / runs)[curve.group]
    spread = (y - mean) * np.sqrt(runs / (runs - 1))[curve.group]
    order = np.argsort(curve.group, kind="stable")
    first = np.concatenate([[0], np.cumsum(runs)[:-1]])
    pick = first[curve.group] + rng.integers(runs[curve.group], size=(draws, n))
    return mean + spread[order[pick]]


def as_delta(delta: float) -> float:
    if not delta > 0:
        raise ValueError(f"delta = {delta} must be positive: the log residual at which Huber's loss turns linear")
    return float(delta)


def log_positive(name: str, values) -> np.ndarray:
    """Returns logs of positive finite numbers; raises ValueError that names the first other."""
    array = as_reals(name, values)
    wrong = ~(np.isfinite(array) & (array > 0))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{name} holds {array.flat[place]} at position {place}: positive finite numbers are needed")
    return np.log(array)


def as_curve(sizes, losses, law: Law) -> tuple[np.ndarray, np.ndarray]:
    """Returns log sizes and log losses; raises ValueError where a law cannot be fitted to them."""
    x, y = log_positive("sizes", sizes), log_positive("losses", losses)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"sizes and losses must be equally long lists, not of shapes {x.shape} and {y.shape}")
    check_enough(law, np.unique(x).size, "sizes")
    return x, y


def curve_of(law: Law, sizes, losses, delta: float = DELTA) -> Curve:
    """Returns the runs of a law in one size as a curve. Raises ValueError as `as_curve` does."""
    x, y = as_curve(sizes, losses, law)
    shift = float(x.mean())
    return Curve(law, x - shift, y, shift, np.unique(x, return_inverse=True)[1], delta)


def check_enough(law: Law, distinct: int, what: str) -> None:
    """Raises ValueError where a law has more parameters than there are distinct sizes, or pairs of them."""
    if distinct < len(law.parameters):
        raise ValueError(
            f"{law.name} has {len(law.parameters)} parameters ({', '.join(law.parameters)}) and needs as many distinct "
            f"{what}: {distinct} given"
        )
