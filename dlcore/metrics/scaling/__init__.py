"""Data-scaling laws: fits with intervals, comparison of exponents and laws, and what another pair is worth.

The law of the thesis, "bansal", is L(D) = alpha (1/D + C)^p: a power law D^-p up to a knee at D = 1/C, flat beyond.
The exponent belongs to the law as much as to the data: c of "floor" is about twice p of "bansal" on the same points.
"""

from __future__ import annotations

import numpy as np

from dlcore.arrays import typed
from dlcore.metrics.checks import as_confidence
from dlcore.metrics.scaling.alternating import Alternating, alternating_fit
from dlcore.metrics.scaling.compare import Equivalence, Holdout, compare_laws, equivalence, paired_equivalence
from dlcore.metrics.scaling.curve import log_positive
from dlcore.metrics.scaling.fit import Fit, fit
from dlcore.metrics.scaling.influence import InfluenceWarning
from dlcore.metrics.scaling.joint import JOINT_LAWS, JointFit, OutlierWarning, fit_joint
from dlcore.metrics.scaling.laws import LAWS
from dlcore.metrics.scaling.optimal import ComputeOptimal, compute_optimal
from dlcore.metrics.scaling.profile import profile_interval
from dlcore.metrics.scaling.report import LawReport, report, report_joint
from dlcore.metrics.scaling.shared import SharedExponent, shared_exponent
from dlcore.results import Result

__all__ = [
    "JOINT_LAWS",
    "LAWS",
    "Alternating",
    "ComputeOptimal",
    "EffectiveData",
    "Equivalence",
    "Fit",
    "Holdout",
    "InfluenceWarning",
    "JointFit",
    "LawReport",
    "MarginalValue",
    "OutlierWarning",
    "SharedExponent",
    "alternating_fit",
    "compare_laws",
    "compute_optimal",
    "effective_data",
    "equivalence",
    "fit",
    "fit_joint",
    "marginal_value",
    "paired_equivalence",
    "profile_interval",
    "report",
    "report_joint",
    "shared_exponent",
]


class MarginalValue(Result):
    """What more data brings at a size: `derivative` dL/dD (negative: the loss falls), in loss per unit of size;
    `elasticity` -d log L / d log D; `doubling` L(2 D) / L(D).
    """

    derivative: np.ndarray | float
    elasticity: np.ndarray | float
    doubling: np.ndarray | float


class EffectiveData(Result):
    """The amount of A-data that gives the loss of D B-data: `size`, its interval `low`, `high`, `factor` = size / D."""

    size: np.ndarray | float
    low: np.ndarray | float
    high: np.ndarray | float
    factor: np.ndarray | float


def marginal_value(fitted: Fit, size) -> MarginalValue:
    """Returns derivative, elasticity and the effect of doubling at a size, for any law.

    For "bansal" the elasticity is p / (1 + C D), halved at the knee, and doubling multiplies the loss by
    ((1 + 2 C D) / (2 (1 + C D)))^p.

    Shapes: size a number or an array; each field has its shape.
    Raises: ValueError for a size that is not positive and finite, a joint fit, or one with parameters that the data
        do not determine.
    Paper: derived from the law of Bansal et al. 2022.

    >>> d = np.array([1e3, 4e3, 16e3, 64e3])
    >>> found = marginal_value(fit(d, 2 * (1 / d + 1e-4) ** 0.3), 1e4)
    >>> round(found.elasticity, 6), round(found.doubling, 6) == round(0.75**0.3, 6)
    (0.15, True)
    """
    _one_size(fitted)
    x = log_positive("size", size)
    flat, law = x.ravel() - fitted.curve.shift, fitted.curve.law
    value = law.evaluate(fitted.theta[None], flat)[0]
    elasticity = np.asarray(law.slope(fitted.theta[None], flat)[0])
    doubled = np.exp(law.evaluate(fitted.theta[None], flat + np.log(2))[0] - value)
    derivative = -elasticity * np.exp(value - x.ravel())
    return MarginalValue(*(_shaped(v, x.shape) for v in (derivative, elasticity, doubled)))


@typed
def effective_data(fit_a: Fit, fit_b: Fit, size, *, confidence: float = 0.95) -> EffectiveData:
    """Returns how much data under the baseline A is worth `size` data under B: the D' with L_A(D') = L_B(size).

    Infinite where no amount of A-data reaches that loss. For two fits of "bansal" with C = 0 and one p the factor is
    (alpha_A / alpha_B)^(1/p); in general D' = 1 / ((L_B(D) / alpha_A)^(1/p) - C_A). The interval is by percentiles of
    the bootstrap draws of both fits, taken as independent; NaN where a fit has none.

    Shapes: size a number or an array; each field has its shape. Both fits must count data in one unit.
    Raises: ValueError as `marginal_value` does, and for a law A whose loss rises with data.
    Paper: Bansal et al. 2022, abstract: a marginally worse setup is compensated by a constant factor more data.
    Differs: the factor is not assumed constant; the laws and exponents may differ.

    >>> d = np.array([1e3, 4e3, 16e3, 64e3])
    >>> a, b = fit(d, 2 * d**-0.5, law="power"), fit(d, 4 * d**-0.5, law="power")
    >>> round(effective_data(a, b, 8000.0).factor, 6)
    0.25
    """
    _one_size(fit_a)
    _one_size(fit_b)
    as_confidence(confidence)
    x = log_positive("size", size)
    flat = x.ravel()
    target = fit_b.curve.law.evaluate(fit_b.theta[None], flat - fit_b.curve.shift)
    found = _inverse(fit_a, fit_a.theta[None], target)[0]
    if np.isnan(found).any():
        raise ValueError(f"the loss of A rises with data ({fit_a.parameters}): no single size has a given loss")
    low = high = np.full(flat.shape, np.nan)
    if fit_a.theta_draws is not None and fit_b.theta_draws is not None:
        number = min(len(fit_a.theta_draws), len(fit_b.theta_draws))
        # two fits with one seed resample the same places: a permutation makes the draws independent
        order = np.random.default_rng(0).permutation(number)
        again = fit_b.curve.law.evaluate(fit_b.theta_draws[:number][order], flat - fit_b.curve.shift)
        drawn = _inverse(fit_a, fit_a.theta_draws[:number], again)
        drawn = drawn[~np.isnan(drawn).any(1)]
        if len(drawn):
            tail = min(fit_a.tail(confidence), fit_b.tail(confidence))
            low = np.quantile(drawn, tail, axis=0, method="lower")
            high = np.quantile(drawn, 1 - tail, axis=0, method="higher")
    with np.errstate(over="ignore"):
        sizes = [np.exp(v) for v in (found, low, high, found - flat)]
    return EffectiveData(*(_shaped(v, x.shape) for v in sizes))


def _inverse(fitted: Fit, theta: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns log sizes (B, n) at which the laws theta have the log losses target; inf where none has, NaN if rising."""
    law = fitted.curve.law
    # bisection serves every law; 200 on either side are 87 decades
    low, high = np.full(target.shape, -200.0), np.full(target.shape, 200.0)

    out_of_reach = target <= law.evaluate(theta, high)
    for _ in range(70):
        middle = (low + high) / 2
        above = law.evaluate(theta, middle) > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    found = np.where(out_of_reach, np.inf, (low + high) / 2 + fitted.curve.shift)
    if law.name == "broken":
        rising = (theta[:, 2] < 0) | (theta[:, 2] + theta[:, 3] < 0)
        found[rising] = np.nan
    return found


def _one_size(fitted: Fit) -> None:
    if isinstance(fitted, JointFit):
        raise ValueError(
            f"the joint law {fitted.law} depends on the model's size too: use predict, or fit one model size"
        )
    if lost := [name for name, why in fitted.flags.items() if why.startswith("not determined")]:
        raise ValueError(f"the data of this fit do not determine {', '.join(lost)}, so they say nothing of other sizes")


def _shaped(values: np.ndarray, shape: tuple[int, ...]):
    return values.reshape(shape) if shape else float(values[0])
