"""The model size and the data size that a joint law calls best for a training budget."""

from __future__ import annotations

import numpy as np

from dlcore.arrays import typed
from dlcore.metrics.scaling.curve import log_positive
from dlcore.metrics.scaling.joint import JointFit
from dlcore.metrics.statistics import Interval
from dlcore.results import Result


class ComputeOptimal(Result):
    """For a budget: the model size `N`, the data size `D`, their `ratio` D / N, the `loss`, each with its interval, and
    the `exponent` of N in the budget. The interval's `n` is the number of bootstrap draws; without any it is NaN.
    """

    budget: float
    N: Interval
    D: Interval
    ratio: Interval
    loss: Interval
    exponent: Interval


@typed
def compute_optimal(fitted: JointFit, budget: float, *, flop_per_product: float = 6.0) -> ComputeOptimal:
    """Returns the N and D of least loss with `flop_per_product` N D = budget.

    "hoffmann": N = G (C/6)^(b / (a + b)), G = (a A / (b B))^(1 / (a + b)); "kaplan": N = (c q C/6)^(1 / (1 + q)). The
    interval is by percentiles of the bootstrap draws of the fit.

    Args: flop_per_product: 6 for a transformer's forward and backward pass; the unit of the budget follows.
    Raises: ValueError for a budget that is not positive, or a parameter that the runs do not determine.
    Paper: Hoffmann et al. 2022, equation 4.

    >>> d, n = np.meshgrid([1e3, 1e4, 1e5, 1e6], [1e5, 1e6, 1e7])
    >>> loss = 1 + 400 * n**-0.5 + 400 * d**-0.5
    >>> from dlcore.metrics.scaling import fit_joint
    >>> best = compute_optimal(fit_joint(N=n.ravel(), D=d.ravel(), loss=loss.ravel(), law="hoffmann"), 6e12)
    >>> round(best.N.value), round(best.ratio.value, 3), round(best.exponent.value, 3)
    (1000000, 1.0, 0.5)
    """
    if lost := [name for name, value in fitted.parameters.items() if not np.isfinite(value)]:
        raise ValueError(f"the runs of this fit do not determine {', '.join(lost)}, so there is no optimum to tell")
    product = float(log_positive("budget", budget)) - float(log_positive("flop_per_product", flop_per_product))
    rows = np.array([list(fitted.parameters.values())])
    draws = 0 if fitted.draws is None else len(fitted.draws)
    if fitted.draws is not None and draws:
        rows = np.concatenate([rows, fitted.draws])
    with np.errstate(divide="ignore", invalid="ignore"):
        if fitted.law == "hoffmann":
            e, big_a, a, big_b, b = rows.T
            exponent = b / (a + b)
            log_n = np.log(a * big_a / (b * big_b)) / (a + b) + exponent * product
            loss = e + big_a * np.exp(-a * log_n) + big_b * np.exp(-b * (product - log_n))
        else:
            alpha, c, p, q = rows.T
            exponent = 1 / (1 + q)
            log_n = exponent * (np.log(c * q) + product)
            loss = alpha * (np.exp(log_n - product) + c * np.exp(-q * log_n)) ** p
    log_d = product - log_n
    tail = fitted.tail(fitted.confidence) if draws else 0.5

    def interval(values: np.ndarray) -> Interval:
        low, high = np.quantile(values[1:], [tail, 1 - tail]) if draws else (np.nan, np.nan)
        return Interval(float(values[0]), float(low), float(high), draws)

    found = (np.exp(log_n), np.exp(log_d), np.exp(log_d - log_n), loss, exponent)
    return ComputeOptimal(float(budget), *map(interval, found))
