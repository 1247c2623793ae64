"""One exponent for several curves: the joint fit, and the test against an exponent for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

import numpy as np
from scipy import stats

from dlcore.arrays import typed
from dlcore.config import one_of
from dlcore.metrics.checks import as_confidence
from dlcore.metrics.scaling.curve import (
    DELTA,
    Curve,
    as_curve,
    as_delta,
    log_positive,
    resampled,
    vanishing_inside,
)
from dlcore.metrics.scaling.laws import LAWS, Law
from dlcore.metrics.scaling.solver import covariance, minimise, multistart, open_directions, undetermined
from dlcore.results import Result


class SharedExponent(Result, plot="shared"):
    """A joint fit with one exponent, tested against one for each curve.

    `exponent` with its interval `low`, `high` (curvature, t); `parameters` by curve, NaN where the curves do not
    determine one, and then `flags`, by "exponent" or "curve: parameter", says so; `rmsle` of the joint fit,
    `rmsle_separate` of the free one; `statistic` F with `dof`; `p_value` by F; `p_value_bootstrap` by resampling
    residuals within each curve (NaN without); `p_value_chi2` of the likelihood ratio's limit, too small for short
    curves, for comparison.
    """

    law: str
    exponent: float
    low: float
    high: float
    parameters: dict[str, dict[str, float]]
    rmsle: float
    rmsle_separate: float
    statistic: float
    dof: tuple[int, int]
    p_value: float
    p_value_bootstrap: float
    p_value_chi2: float
    converged: bool
    flags: dict[str, str]
    _curves: dict[str, tuple[Curve, np.ndarray]] = field(repr=False)

    def predict(self, name: str, sizes) -> np.ndarray:
        """Returns the losses of the joint fit for one curve at sizes of any shape.

        Raises: ValueError for an unknown curve, or a size that is not positive and finite.
        """
        x, (curve, theta) = log_positive("sizes", sizes), self._curves[one_of("curve", name, self._curves)]
        return np.exp(curve.law.evaluate(theta[None], x.ravel() - curve.shift)[0]).reshape(x.shape)


@typed
def shared_exponent(
    curves: Mapping[str, tuple],
    *,
    law: str = "bansal",
    bootstrap: int = 0,
    seed: int = 0,
    delta: float = DELTA,
    confidence: float = 0.95,
) -> SharedExponent:
    """Returns the fit with one exponent for all curves, and the likelihood-ratio test against one for each.

    F = ((S0 - S1) / (m - 1)) / (S1 / (n - k m)), S0 and S1 twice the summed loss of the shared and the separate fits
    of m curves, n runs in all: the likelihood ratio for normal noise of one variance, at the size that short curves
    need. Over 5 curves of 11 points with 1 % noise F rejects a true null at 5 % in 5 % of simulations, the chi-squared
    limit in 13 % (tested). Residuals are taken as independent: where a law misfits systematically, a small p-value
    says that the exponents under this law differ, not by how much; see `equivalence` for that.

    Shapes: curves maps a name to (sizes, losses), each (n,).
    Raises: ValueError for fewer than two curves, no point to spare, bootstrap = 1 or negative, and as `fit` does.
    Paper: Bansal et al. 2022 for the question; Seber and Wild 1989, section 5.3, for F in nonlinear regression.

    >>> d = [1e3, 4e3, 16e3, 64e3]
    >>> two = {"a": (d, [v**-0.3 for v in d]), "b": (d, [2 * v**-0.3 for v in d])}
    >>> round(shared_exponent(two, law="power").exponent, 6)
    0.3
    """
    chosen = LAWS[one_of("law", law, LAWS)]
    if len(curves) < 2:
        raise ValueError(f"{len(curves)} curves: a shared exponent needs at least 2")
    if bootstrap != 0 and bootstrap < 2:
        raise ValueError(f"bootstrap = {bootstrap} must be 0 or at least 2 draws")
    as_confidence(confidence)
    parts, threshold = [], as_delta(delta)
    for name, (sizes, losses) in curves.items():
        try:
            x, y = as_curve(sizes, losses, chosen)
        except ValueError as error:
            raise ValueError(f"curve {name!r}: {error}") from None
        shift = float(x.mean())
        parts.append(Curve(chosen, x - shift, y, shift, np.unique(x, return_inverse=True)[1], threshold))
    number, runs, k = len(parts), sum(part.y.size for part in parts), len(chosen.parameters)
    dof = (number - 1, runs - k * number)
    if dof[1] < 1:
        raise ValueError(f"{runs} runs leave no residual for {k} parameters of {number} curves")
    joint = _Joint(parts)
    separate, shared, theta, converged = joint.costs([part.y[None] for part in parts])
    ratio = _ratio(separate, shared, dof)[0]
    p_bootstrap = float("nan")
    if bootstrap:
        # residuals of the free fits on the curves of the shared one: the null is true, the noise that of the data
        null = [
            part.law.evaluate(bound[None], part.x)
            + resampled(part, free[0], "residual", bootstrap, seed + i)
            - part.law.evaluate(free, part.x)
            for i, (part, bound, free) in enumerate(zip(parts, joint.split(theta[0]), joint.separate, strict=True))
        ]
        drawn = _ratio(*joint.costs(null, start=theta[0])[:2], dof)
        p_bootstrap = float((1 + (drawn >= ratio).sum()) / (1 + bootstrap))
    x, y = np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])
    lower, upper = joint.bounds
    free = np.flatnonzero((theta[0] > lower + 1e-9) & (theta[0] < upper - 1e-9))
    left = runs - theta.shape[1]
    error = np.sqrt(2 * shared[0] / left * covariance(joint.law, x, y, theta[0], threshold, free)[0, 0])
    half = stats.t.ppf(0.5 + confidence / 2, left) * error
    rows = joint.split(theta[0])
    named = {name: _named(part, row) for name, part, row in zip(curves, parts, rows, strict=True)}
    exponent, flags = float(theta[0, 0]), {}
    for name, lost in zip(curves, joint.undetermined(theta[0]), strict=True):
        for parameter in lost:
            key = "exponent" if parameter == chosen.exponent else f"{name}: {parameter}"
            flags[key] = "not determined: other values fit these runs as well"
            named[name][parameter] = float("nan")
    if "exponent" in flags:
        exponent = half = float("nan")
    apart = np.concatenate([p.law.evaluate(free, p.x)[0] for p, free in zip(parts, joint.separate, strict=True)])
    return SharedExponent(
        law=chosen.name,
        exponent=exponent,
        low=float(exponent - half),
        high=float(exponent + half),
        parameters=named,
        rmsle=float(np.sqrt(np.mean((joint.law.evaluate(theta, x)[0] - y) ** 2))),
        rmsle_separate=float(np.sqrt(np.mean((apart - y) ** 2))),
        statistic=float(ratio),
        dof=dof,
        p_value=float(stats.f.sf(ratio, *dof)),
        p_value_bootstrap=p_bootstrap,
        p_value_chi2=float(stats.chi2.sf(runs * np.log1p(ratio * dof[0] / dof[1]), dof[0])),
        converged=bool(converged[0]),
        flags=flags,
        _curves=dict(zip(curves, zip(parts, rows, strict=True), strict=True)),
    )


def _ratio(separate, shared, dof) -> np.ndarray:
    # a joint fit cannot be better; where both are exact, rounding must not decide
    return np.maximum(shared - separate, 0) / dof[0] / np.maximum(separate / dof[1], 1e-24)


def _named(curve: Curve, theta: np.ndarray) -> dict[str, float]:
    law = curve.law
    values = dict(zip(law.parameters, map(float, law.natural(theta[None], curve.shift)[0]), strict=True))
    if law.vanishing and theta[law.index(law.vanishing)] <= curve.bounds[0][law.index(law.vanishing)] + 1e-9:
        values[law.vanishing] = 0.0
    return values


class _Joint:
    """The curves as one law: theta holds the shared exponent first, then what remains of each curve."""

    def __init__(self, parts: list[Curve]):
        self.parts = parts
        self.base = parts[0].law
        self.place = self.base.index(self.base.exponent)
        self.rest = [j for j in range(len(self.base.parameters)) if j != self.place]
        lower, upper = zip(*(part.bounds for part in parts), strict=True)
        self.bounds = tuple(
            np.concatenate([side[0][[self.place]]] + [one[self.rest] for one in side]) for side in (lower, upper)
        )
        self.law = Law("shared", "", (), (), "", None, self._evaluate)
        self.separate: list[np.ndarray] = []

    def columns(self, i: int) -> list[int]:
        """Returns where theta holds the parameters of curve i, in its law's order."""
        first = 1 + i * len(self.rest)
        found = list(range(first, first + len(self.rest)))
        found.insert(self.place, 0)
        return found

    def split(self, theta: np.ndarray) -> list[np.ndarray]:
        return [theta[self.columns(i)] for i in range(len(self.parts))]

    def undetermined(self, theta: np.ndarray) -> list[list[str]]:
        """Returns the parameters of each curve that the curves together do not determine."""
        lower, upper = self.bounds
        inside, free = theta.copy(), (theta > lower + 1e-9) & (theta < upper - 1e-9)
        for i, part in enumerate(self.parts):
            if self.base.vanishing:  # inside of its range, as in `fit`
                j = self.columns(i)[self.base.index(self.base.vanishing)]
                inside[j], free[j] = vanishing_inside(part), True
        directions = open_directions(self.law, None, inside, np.flatnonzero(free))
        return [undetermined(self.base, directions[self.columns(i)], p.shift) for i, p in enumerate(self.parts)]

    def _evaluate(self, theta, x, jacobian=False):
        values, blocks = [], []
        for i, part in enumerate(self.parts):
            found = self.base.evaluate(theta[:, self.columns(i)], part.x, jacobian)
            values.append(found[0] if jacobian else found)
            if jacobian:
                block = np.zeros((len(theta), part.x.size, theta.shape[1]))
                block[:, :, self.columns(i)] = found[1]
                blocks.append(block)
        value = np.concatenate(values, axis=1)
        return (value, np.concatenate(blocks, axis=1)) if jacobian else value

    def costs(self, ys: list[np.ndarray], start: np.ndarray | None = None):
        """Returns costs of the separate and of the shared fits (B,), theta of the shared (B, K), and convergence (B,).

        Starts of the shared fit: the curves' fits at their mean exponent, and at each one's own, or from `start`.
        """
        delta = self.parts[0].delta
        found = [
            multistart(self.base, part.x, y, part.bounds, delta, top=None if start is None else 4)
            for part, y in zip(self.parts, ys, strict=True)
        ]
        if start is None:
            self.separate = [one.theta for one in found]
        own = np.stack([one.theta[:, self.place] for one in found], axis=1)
        tries = own.mean(1, keepdims=True)
        if start is None:
            tries = np.concatenate([tries, own], axis=1)
        y, x = np.concatenate(ys, axis=1), np.concatenate([part.x for part in self.parts])
        held = np.arange(len(self.base.parameters)) == self.place
        guesses = [] if start is None else [np.tile(start, (len(y), 1))]
        for exponent in tries.T:
            rows = [exponent[:, None]]
            for part, target, one in zip(self.parts, ys, found, strict=True):
                first = np.where(held, exponent[:, None], one.theta)
                again = multistart(
                    self.base, part.x, target, part.bounds, delta, top=2, extra=first[:, None], fixed=held
                )
                rows.append(again.theta[:, self.rest])
            guesses.append(np.concatenate(rows, axis=1))
        tried = [minimise(self.law, x, y, guess, self.bounds, delta) for guess in guesses]
        theta, cost, converged = (np.stack(part) for part in zip(*tried, strict=True))
        best, curve = cost.argmin(0), np.arange(len(y))
        return (
            np.sum([one.cost for one in found], axis=0),
            cost[best, curve],
            theta[best, curve],
            converged[best, curve],
        )
