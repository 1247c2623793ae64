"""Joint laws in the number of parameters N and of training pairs D."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from dlcore.metrics.checks import as_confidence
from dlcore.metrics.scaling.curve import DELTA, Curve, as_delta, as_law_name, log_positive
from dlcore.metrics.scaling.fit import Fit, solve
from dlcore.metrics.scaling.laws import MAX_EXPONENT, NEGLIGIBLE, Law, columns, regress


class JointFit(Fit):
    """A fitted joint law: as `Fit`, with losses predicted for pairs of sizes."""

    def predict(self, sizes, model_sizes) -> np.ndarray:
        """Returns the losses at sizes and model_sizes, broadcast against each other; NaN as in `Fit`.

        Raises: ValueError for a size that is not positive and finite.
        """
        x, shape = self._place(sizes, model_sizes)
        return np.exp(self.log_losses(x)).reshape(shape)

    def band(self, sizes, model_sizes, confidence: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns lower and upper bootstrap limits of the law at pairs of sizes.

        Raises: ValueError without bootstrap draws, or for a size that is not positive and finite.
        """
        x, shape = self._place(sizes, model_sizes)
        low, high = self._band(x, confidence)
        return low.reshape(shape), high.reshape(shape)

    def _place(self, sizes, model_sizes):
        both = np.broadcast_arrays(log_positive("sizes", sizes), log_positive("model_sizes", model_sizes))
        return np.stack([one.ravel() for one in both]) - self.curve.shift, both[0].shape


def fit_joint(
    sizes,
    model_sizes,
    losses,
    law: str = "kaplan",
    bootstrap: int = 0,
    seed: int = 0,
    *,
    delta: float = DELTA,
    resample: str = "auto",
    confidence: float = 0.95,
) -> JointFit:
    """Returns a law of loss in data and model size, fitted as `fit` does.

    "kaplan" alpha (1/D + c N^-q)^p: at fixed N the law "bansal" with C = c N^-q, so that a larger model moves the
    knee, not the exponent; its exponents are alpha_D = p and alpha_N = p q. "hoffmann" E + A N^-a + B D^-b.

    Shapes: sizes, model_sizes, losses (n,); a pair that occurs more than once holds the runs of several seeds.
    Raises: ValueError for fewer than two data or model sizes, model sizes that follow from the data sizes, fewer distinct pairs than parameters, and as `fit` does.
    Paper: Kaplan et al. 2020, equation 1.5, there ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D; Hoffmann et al.
        2022, equation 2.
    Differs: delta, as in `fit`.

    >>> d, n = np.meshgrid([1e3, 1e4, 1e5, 1e6], [1e5, 1e6, 1e7])
    >>> found = fit_joint(d.ravel(), n.ravel(), (3 * (1 / d + 0.01 * n**-0.5) ** 0.4).ravel())
    >>> {name: float(f"{value:.3g}") for name, value in found.parameters.items()}
    {'alpha': 3.0, 'c': 0.01, 'p': 0.4, 'q': 0.5}
    """
    chosen = as_law_name(law, JOINT_LAWS)
    x, nu, y = log_positive("sizes", sizes), log_positive("model_sizes", model_sizes), log_positive("losses", losses)
    if x.ndim != 1 or not x.shape == nu.shape == y.shape:
        raise ValueError(
            f"sizes, model_sizes and losses must be equally long lists, not of shapes {x.shape}, {nu.shape}, {y.shape}"
        )
    for what, values in (("data", x), ("model", nu)):
        if np.unique(values).size < 2:
            raise ValueError(f"{np.unique(values).size} distinct {what} size: a joint law needs at least 2; see fit")
    both = np.stack([x, nu])
    spread = np.linalg.svd(both - both.mean(1, keepdims=True), compute_uv=False)
    if spread[1] < 1e-9 * spread[0]:
        raise ValueError(
            f"model_sizes move with sizes, as D^{np.polyfit(x, nu, 1)[0]:.3g}: no law can tell their effects apart; add runs "
            "of one model size with other data sizes, or see fit"
        )
    pairs, group = np.unique(both, axis=1, return_inverse=True)
    if pairs.shape[1] < len(chosen.parameters):
        raise ValueError(
            f"{chosen.name} has {len(chosen.parameters)} parameters ({', '.join(chosen.parameters)}) and needs as many "
            f"distinct pairs of sizes: {pairs.shape[1]} given"
        )
    shift = both.mean(1, keepdims=True)
    curve = Curve(chosen, both - shift, y, shift, group.ravel(), as_delta(delta))
    return solve(curve, JointFit, bootstrap, seed, resample, as_confidence(confidence))


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
        slope=None,
        bounds=_kaplan_bounds,
        starts=_kaplan_starts,
        shift=_kaplan_shift,
    ),
    "hoffmann": Law(
        name="hoffmann",
        formula="E + A N^-a + B D^-b",
        parameters=("E", "A", "a", "B", "b"),
        logarithmic=(True, True, False, True, False),
        exponent="b",
        vanishing="E",
        evaluate=_hoffmann,
        slope=None,
        bounds=_hoffmann_bounds,
        starts=_hoffmann_starts,
        shift=_hoffmann_shift,
    ),
}
