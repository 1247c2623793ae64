"""Profile likelihood intervals: how far a parameter moves before the best fit of the others becomes implausible."""

from __future__ import annotations

import numpy as np
from scipy import stats

from dlcore.arrays import typed
from dlcore.config import one_of
from dlcore.metrics.checks import as_confidence
from dlcore.metrics.scaling.fit import Fit
from dlcore.metrics.scaling.solver import multistart
from dlcore.metrics.statistics import Interval


@typed
def profile_interval(fitted: Fit, *, parameter: str | None = None, confidence: float = 0.95) -> Interval:
    """Returns a parameter (by default the exponent) with its profile likelihood interval; n is the number of runs.

    The limits are where the minimum over the other parameters of the summed loss is 1 + F / (n - k) times its overall
    minimum, F the quantile of F(1, n - k). An end that is not reached within the range of the fit is 0 below an
    amount or an exponent that cannot be negative, else infinite: the curve does not bound it. Other than the
    intervals of `fit` it follows a curved trade-off, such as that of p and C, and may be lopsided.

    Raises: ValueError for a parameter that the law lacks, a confidence outside (0, 1), no point to spare.
    Paper: Bates and Watts 1988, chapter 6, for profiles of nonlinear regressions.

    >>> from dlcore.metrics.scaling.fit import fit
    >>> found = profile_interval(fit([1, 2, 4, 8, 16], [1.0, 0.82, 0.66, 0.55, 0.45], law="power"))
    >>> [round(v, 3) for v in found[:3]]
    [0.288, 0.275, 0.301]
    """
    curve, law = fitted.curve, fitted.curve.law
    name = one_of(f"parameter of {law.name}", parameter or law.exponent, law.parameters)
    as_confidence(confidence)
    if curve.dof < 1:
        raise ValueError(f"{curve.y.size} runs leave no residual for {len(law.parameters)} parameters: no profile")
    j = law.index(name)
    # in the user's unit every parameter is a coordinate
    x = curve.x + curve.shift
    theta = law.shift(fitted.theta[None], curve.shift)[0]
    lower, upper = law.bounds(x, curve.y)
    theta = np.where(np.isfinite(theta), theta, lower)
    limit = fitted.cost * (1 + stats.f.ppf(confidence, 1, curve.dof) / curve.dof) + 1e-20
    held = np.arange(theta.size) == j

    def excess(values: np.ndarray) -> np.ndarray:
        start = np.tile(theta, (len(values), 1, 1))
        start[:, 0, j] = values
        y = np.tile(curve.y, (len(values), 1))
        top = 12 if theta.size > 3 else 4
        return multistart(law, x, y, (lower, upper), curve.delta, top=top, extra=start, fixed=held).cost - limit

    ends = []
    for end, open_end in ((lower[j], -np.inf if lower[j] < 0 else 0.0), (upper[j], np.inf)):
        reach = min(abs(end - theta[j]), 50.0)
        # a fan of distances, then two finer ones inside of the step that crosses the limit
        distance = reach * np.concatenate([[0.0], np.geomspace(1e-5, 1.0, 40)])
        for _ in range(3):
            outside = np.flatnonzero(excess(theta[j] + np.sign(end - theta[j]) * distance) > 0)
            if outside.size == 0 or reach == 0:
                break
            first = max(int(outside[0]), 1)
            distance = np.linspace(distance[first - 1], distance[first], 16)
        ends.append(open_end if outside.size == 0 or reach == 0 else theta[j] + np.sign(end - theta[j]) * distance[-1])
    if law.logarithmic[j]:
        ends = [float(np.exp(v)) for v in ends]
    return Interval(fitted.parameters[name], float(ends[0]), float(ends[1]), int(curve.y.size))
