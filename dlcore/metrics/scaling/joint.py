"""Joint laws in the number of parameters N and of training pairs D."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import field

import numpy as np
from scipy.special import expit

from dlcore.arrays import outside, typed
from dlcore.config import one_of
from dlcore.metrics.checks import as_confidence
from dlcore.metrics.scaling.curve import DELTA, Curve, as_delta, check_enough, log_positive
from dlcore.metrics.scaling.fit import Fit, solve
from dlcore.metrics.scaling.influence import InfluenceWarning, influence
from dlcore.metrics.scaling.laws import MAX_EXPONENT, NAMED, NEGLIGIBLE, Law, columns, regress
from dlcore.metrics.scaling.solver import multistart

# robust standard deviations (1.48 times the median absolute residual) beyond which a run lies off the law: of 1,000 normal
# residuals one lies beyond in 1 of 1,700 tables
FAR = 5.0


class OutlierWarning(InfluenceWarning):
    """A few runs that lie off a joint law move an exponent out of the interval that it has without them."""


class JointFit(Fit, plot="joint"):
    """A fitted joint law: as `Fit`, with losses predicted for pairs of sizes.

    `outliers`: the places, in the arrays given, of the runs that lie off the law; `without`: the fit of the others, or
    None. A parameter that they move out of the interval that it has without them has a flag.
    """

    outliers: tuple[int, ...] = ()
    without: JointFit | None = field(default=None, repr=False)

    def predict(self, *, N, D) -> np.ndarray:
        """Returns the losses at model sizes N and data sizes D, broadcast against each other; NaN as in `Fit`.

        Raises: ValueError for a size that is not positive and finite.
        """
        x, shape = self._place(N, D)
        return np.exp(self.log_losses(x)).reshape(shape)

    def band(self, *, N, D, confidence: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns lower and upper bootstrap limits of the law at pairs of sizes.

        Raises: ValueError without bootstrap draws, or for a size that is not positive and finite.
        """
        x, shape = self._place(N, D)
        low, high = self._band(x, confidence)
        return low.reshape(shape), high.reshape(shape)

    def _place(self, N, D):
        both = np.broadcast_arrays(log_positive("D", D), log_positive("N", N))
        return np.stack([one.ravel() for one in both]) - self.curve.shift, both[0].shape


@typed
def fit_joint(
    *,
    N,
    D,
    loss,
    law: str = "kaplan",
    bootstrap: int = 0,
    seed: int = 0,
    delta: float = DELTA,
    resample: str = "auto",
    confidence: float = 0.95,
) -> JointFit:
    """Returns a law of loss in model size N and data size D, fitted as `fit` does; all by name, no order to mistake.

    "kaplan" alpha (1/D + c N^-q)^p: at fixed N the law "bansal" with C = c N^-q, so that a larger model moves the
    knee, not the exponent; its exponents are alpha_D = p and alpha_N = p q. "hoffmann" E + A N^-a + B D^-b.

    Outliers are looked for around the fit with delta = 1e-3, close to least absolute deviations, which a few runs cannot
    pull: those beyond 5 robust standard deviations, until no more are found.

    Shapes: N, D, loss (n,); a pair that occurs more than once holds the runs of several seeds.
    Raises: ValueError for fewer than two data or model sizes, model sizes that follow from the data sizes, fewer distinct
        pairs than parameters, and as `fit` does. Warns (OutlierWarning) where outliers move an exponent out of its interval,
        and as `fit` does.
    Paper: Kaplan et al. 2020, equation 1.5, there ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D; Hoffmann et al.
        2022, equation 2, there with delta = 1e-3.
    Differs: delta, as in `fit`.

    >>> d, n = np.meshgrid([1e3, 1e4, 1e5, 1e6], [1e5, 1e6, 1e7])
    >>> found = fit_joint(N=n.ravel(), D=d.ravel(), loss=(3 * (1 / d + 0.01 * n**-0.5) ** 0.4).ravel())
    >>> {name: float(f"{value:.3g}") for name, value in found.parameters.items()}
    {'alpha': 3.0, 'c': 0.01, 'p': 0.4, 'q': 0.5}
    """
    curve = _curve(JOINT_LAWS[one_of("law", law, JOINT_LAWS)], N, D, loss, as_delta(delta))
    options = bootstrap, seed, resample, as_confidence(confidence)
    found = solve(curve, JointFit, *options)
    if not (off := _outliers(curve)).any():
        influence(found)
        return found
    others = solve(_rows(curve, ~off), JointFit, *options)
    found = dataclasses.replace(found, outliers=tuple(np.flatnonzero(off).tolist()), without=others)
    listed = ", ".join(map(str, found.outliers[:8])) + (", ..." if off.sum() > 8 else "")
    for name, value in others.parameters.items():
        here, (low, high) = found.parameters[name], others.intervals[name]
        if name not in found.flags and np.isfinite([low, high, here]).all() and not low <= here <= high:
            found.flags[name] = f"{here:.3g} with the outliers, {value:.3g} without them (runs {listed})"
    exponents = [name for name, log in zip(curve.law.parameters, curve.law.logarithmic, strict=True) if not log]
    if moved := [name for name in exponents if "with the outliers" in found.flags.get(name, "")]:
        text = "; ".join(f"{name} {found.flags[name]}" for name in moved)
        warnings.warn(f"{curve.law.name}: {text}; see .outliers and .without", OutlierWarning, stacklevel=outside())
    influence(found)
    return found


def _curve(law: Law, N, D, loss, delta: float) -> Curve:
    x, nu, y = log_positive("D", D), log_positive("N", N), log_positive("loss", loss)
    if x.ndim != 1 or not x.shape == nu.shape == y.shape:
        raise ValueError(f"N, D and loss must be equally long lists, not of shapes {nu.shape}, {x.shape}, {y.shape}")
    for what, values in (("data", x), ("model", nu)):
        if np.unique(values).size < 2:
            raise ValueError(f"{np.unique(values).size} distinct {what} size: a joint law needs at least 2; see fit")
    both = np.stack([x, nu])
    spread = np.linalg.svd(both - both.mean(1, keepdims=True), compute_uv=False)
    if spread[1] < 1e-9 * spread[0]:
        raise ValueError(
            f"N moves with D, as D^{np.polyfit(x, nu, 1)[0]:.3g}: no law can tell their effects apart; add runs of one "
            "model size with other data sizes, or see fit"
        )
    pairs, group = np.unique(both, axis=1, return_inverse=True)
    check_enough(law, pairs.shape[1], "pairs of sizes")
    shift = both.mean(1, keepdims=True)
    return Curve(law, both - shift, y, shift, group.ravel(), delta)


def _rows(curve: Curve, keep: np.ndarray) -> Curve:
    group = np.unique(curve.group[keep], return_inverse=True)[1]
    return dataclasses.replace(curve, x=curve.x[:, keep], y=curve.y[keep], group=group)


def _outliers(curve: Curve) -> np.ndarray:
    """Returns which runs (n,) lie off the law, none where too few would be left to fit it to."""
    off = np.zeros(curve.y.size, bool)
    while True:
        part = dataclasses.replace(_rows(curve, ~off), delta=1e-3)
        theta = multistart(part.law, part.x, part.y[None], part.bounds, part.delta).theta
        residuals = np.abs(curve.y - curve.law.evaluate(theta, curve.x)[0])
        # least absolute deviations pass through as many points as there are parameters: these say nothing of the spread
        spread = max(1.4826 * float(np.median(np.sort(residuals[~off])[len(part.law.parameters) :])), 1e-6)
        more = off | (residuals > FAR * spread)
        # half of the points left, or a design that no longer tells N from D, is no sample with a few outliers
        kept = curve.x[:, ~more]
        if 2 * more.sum() > more.size or min(np.unique(v).size for v in kept) < 3:
            return np.zeros_like(off)
        if (more == off).all():
            return off
        off = more


def _kaplan(theta, x, jacobian=False):
    a, c, p, q = (theta[:, i, None] for i in range(4))
    capacity = c - q * x[1]
    inner = np.logaddexp(-x[0], capacity)
    value = a + p * inner
    share = p * expit(capacity + x[0])
    return (value, columns(np.ones_like(value), share, inner, -share * x[1])) if jacobian else value


def _kaplan_bounds(x, y):
    spread = np.ptp(x[1]) * MAX_EXPONENT
    lower = [-1e3, np.log(NEGLIGIBLE) - x[0].max() - spread, 0.0, -MAX_EXPONENT]
    return np.array(lower), np.array([1e3, np.log(1e3) - x[0].min() + spread, MAX_EXPONENT, MAX_EXPONENT])


def _kaplan_starts(x, y):
    c, q = (
        v.ravel() for v in np.meshgrid(np.linspace(-x[0].max() - 2, -x[0].min() + 2, 10), [0.1, 0.3, 0.6, 1.0, 1.5])
    )
    inner = np.logaddexp(-x[0], c[:, None] - q[:, None] * x[1])
    ap = regress(columns(np.ones_like(inner), inner), y)
    return columns(ap[..., 0], c, ap[..., 1], q)


def _kaplan_shift(theta, s):
    moved, (data, model) = np.array(theta, dtype=float), np.ravel(s * np.ones((2, 1)))
    moved[:, 0] += moved[:, 2] * data
    moved[:, 1] += moved[:, 3] * model - data
    return moved


def _hoffmann(theta, x, jacobian=False):
    e, a, alpha, b, beta = (theta[:, i, None] for i in range(5))
    terms = np.stack(np.broadcast_arrays(e, a - alpha * x[1], b - beta * x[0]), axis=-1)
    value = np.logaddexp.reduce(terms, axis=-1)
    if not jacobian:
        return value
    share = np.exp(terms - value[..., None])
    model, data = share[..., 1], share[..., 2]
    return value, columns(share[..., 0], model, -model * x[1], data, -data * x[0])


def _hoffmann_bounds(x, y):
    lower = [np.log(NEGLIGIBLE) + y.min(), -1e3, 0.0, -1e3, 0.0]
    return np.array(lower), np.array([y.max(), 1e3, MAX_EXPONENT, 1e3, MAX_EXPONENT])


def _hoffmann_starts(x, y):
    # for fixed exponents the loss itself is linear in (E, A, B); weights 1 / L make its errors those of log L
    grid = np.array([0.1, 0.2, 0.35, 0.6, 1.0])
    alpha, beta = (v.ravel() for v in np.meshgrid(grid, grid))
    design = columns(np.ones((alpha.size, y.shape[1])), np.exp(-alpha[:, None] * x[1]), np.exp(-beta[:, None] * x[0]))
    weights = np.broadcast_to(np.exp(-y)[:, None, :], (len(y), alpha.size, y.shape[1]))
    amounts = regress(design, np.broadcast_to(np.exp(y)[:, None, :], weights.shape), weights)
    amounts = np.log(np.maximum(amounts, 1e-2 * np.exp(y).min(1)[:, None, None]))
    return columns(amounts[..., 0], amounts[..., 1], alpha, amounts[..., 2], beta)


def _hoffmann_shift(theta, s):
    moved, (data, model) = np.array(theta, dtype=float), np.ravel(s * np.ones((2, 1)))
    moved[:, 1] += moved[:, 2] * model
    moved[:, 3] += moved[:, 4] * data
    return moved


JOINT_LAWS = {
    "kaplan": Law(
        name="kaplan",
        formula="alpha (1/D + c N^-q)^p",
        parameters=("alpha", "c", "p", "q"),
        logarithmic=(True, True, False, False),
        exponent="p",
        vanishing=None,
        evaluate=_kaplan,
        bounds=_kaplan_bounds,
        starts=_kaplan_starts,
        shift=_kaplan_shift,
        terms=(("c", "q"),),
    ),
    "hoffmann": Law(
        name="hoffmann",
        formula="E + A N^-a + B D^-b",
        parameters=("E", "A", "a", "B", "b"),
        logarithmic=(True, True, False, True, False),
        exponent="b",
        vanishing="E",
        evaluate=_hoffmann,
        bounds=_hoffmann_bounds,
        starts=_hoffmann_starts,
        shift=_hoffmann_shift,
        terms=(("A", "a"), ("B", "b")),
    ),
}
NAMED.update(JOINT_LAWS)
