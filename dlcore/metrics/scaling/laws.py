"""Data-scaling laws in log space: value, Jacobian, elasticity, bounds and starts of a fit, for many curves at once.

A law maps theta (B, k), the parameters of B curves, and x (n,) or (B, n), logs of sizes, to log losses (B, n). Amounts are
held as logarithms, so that they stay positive and a bound is far from every sensible value. Sizes are measured in
units of their geometric mean during a fit: `shift` takes theta back to the user's unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from scipy.special import expit

# D_max C, or floor / smallest loss, below which a bend is 1e-4 of the loss at most: reported as 0
NEGLIGIBLE = 1e-4
MAX_EXPONENT = 5.0


def _absent(*_: object) -> NoReturn:
    raise ValueError("a joint law has no slope in one size, and several curves at once have only their losses")


@dataclass(frozen=True)
class Law:
    """One law. `logarithmic` says which entries of theta are logs of the parameters; `vanishing` may be 0.

    `evaluate(theta, x, jacobian)` returns log losses (B, n), or with their Jacobian (B, n, k); `slope(theta, x)` the
    elasticity -d log L / d log D (B, n); `bounds(x, y)` lower and upper (k,); `starts(x, y)` (B, S, k) for y (B, n).
    `terms` of a joint law: the amount and the exponent that say nothing without each other.
    A function that is left out raises ValueError: a joint law has no slope in one size, several curves at once only losses.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]
    logarithmic: tuple[bool, ...]
    exponent: str
    vanishing: str | None
    evaluate: Callable
    slope: Callable = _absent
    bounds: Callable = _absent
    starts: Callable = _absent
    shift: Callable = _absent
    terms: tuple[tuple[str, str], ...] = ()

    def __reduce__(self) -> tuple:
        # a fit can be stored and sent: its law is known by its name
        return _named, (self.name,)

    def index(self, parameter: str | None) -> int:
        """Returns a parameter's place. Raises: ValueError for a name that the law has not, such as None."""
        return self.parameters.index(parameter)

    def natural(self, theta: np.ndarray, shift) -> np.ndarray:
        """Returns the parameters (B, k) in the user's unit of size."""
        moved = self.shift(theta, shift)
        # a prefactor far outside of floating point is an infinity, not an error
        with np.errstate(over="ignore"):
            return np.where(self.logarithmic, np.exp(np.where(self.logarithmic, moved, 0.0)), moved)


def softplus(u: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, u)


def regress(design: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Returns least-squares coefficients (B, S, m) of y (B, n) or (B, S, n) on designs (S, n, m) or (B, S, n, m)."""
    target = y[:, None, :] if y.ndim == 2 else y
    if weights is None:
        inverse = np.linalg.pinv(design)
        return np.einsum("smn,bsn->bsm", inverse, np.broadcast_to(target, (len(y), len(design), y.shape[-1])))
    scaled = design * weights[..., None]
    gram = np.swapaxes(scaled, -1, -2) @ scaled + 1e-12 * np.eye(design.shape[-1])
    right = np.swapaxes(scaled, -1, -2) @ (weights * target)[..., None]
    return np.linalg.solve(gram, right)[..., 0]


def columns(*columns) -> np.ndarray:
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


# bansal: log L = a + p log(1/D + C)


def _bansal(theta, x, jacobian=False):
    a, c, p = (theta[:, i, None] for i in range(3))
    inner = np.logaddexp(-x, c)
    value = a + p * inner
    return (value, columns(np.ones_like(value), p * expit(c + x), inner)) if jacobian else value


def _bansal_bounds(x, y):
    lower = np.array([-1e3, np.log(NEGLIGIBLE) - x.max(), 0.0])
    return lower, np.array([1e3, np.log(1e3) - x.min(), MAX_EXPONENT])


def _bansal_starts(x, y):
    # for a fixed C the law is linear in (a, p): a grid in one dimension sees every valley
    c = np.linspace(-x.max() - 4, -x.min() + 4, 32)
    inner = np.logaddexp(-x, c[:, None])
    ap = regress(columns(np.ones_like(inner), inner), y)
    return columns(ap[..., 0], np.broadcast_to(c, ap.shape[:2]), ap[..., 1])


# power: log L = b - c log D


def _power(theta, x, jacobian=False):
    value = theta[:, :1] - theta[:, 1:] * x
    return (value, columns(np.ones_like(value), np.broadcast_to(-x, value.shape))) if jacobian else value


def _power_starts(x, y):
    return regress(columns(np.ones_like(x), -x)[None], y)


# floor: log L = log(floor + beta D^-c)


def _floor(theta, x, jacobian=False):
    e, b, c = (theta[:, i, None] for i in range(3))
    excess = b - c * x
    value = np.logaddexp(e, excess)
    share = expit(excess - e)
    return (value, columns(1 - share, share, -share * x)) if jacobian else value


def _floor_bounds(x, y):
    lower = np.array([np.log(NEGLIGIBLE) + y.min(), -1e3, 0.0])
    return lower, np.array([y.max(), 1e3, MAX_EXPONENT])


_SHARES = np.array([1e-3, 0.2, 0.4, 0.55, 0.7, 0.8, 0.87, 0.92, 0.95, 0.97, 0.985, 0.995])


def _above(y: np.ndarray, shares: np.ndarray):
    """Returns log floors (B, S), log(L - floor) (B, S, n), and the weights that turn its errors into those of log L."""
    floor = np.exp(y).min(1, keepdims=True) * shares
    excess = np.exp(y)[:, None, :] - floor[..., None]
    return np.log(floor), np.log(excess), excess / np.exp(y)[:, None, :]


def _floor_starts(x, y):
    floor, excess, weights = _above(y, _SHARES)
    bc = regress(columns(np.ones_like(x), -x)[None], excess, weights)
    return columns(floor, bc[..., 0], bc[..., 1])


# broken: log L = log(a + b D^-c0 (1 + (D/d1)^(1/f1))^(-c1 f1))


def _broken(theta, x, jacobian=False):
    la, lb, c0, c1, d, lf = (theta[:, i, None] for i in range(6))
    f = np.exp(lf)
    u = (x - d) / f
    bend = softplus(u)
    g = lb - c0 * x - c1 * f * bend
    value = np.logaddexp(la, g)
    if not jacobian:
        return value
    share, turn = expit(g - la), expit(u)
    return value, columns(
        1 - share, share, -share * x, -share * f * bend, share * c1 * turn, -share * c1 * f * (bend - u * turn)
    )


def _broken_slope(theta, x):
    la, lb, c0, c1, d, lf = (theta[:, i, None] for i in range(6))
    u = (x - d) / np.exp(lf)
    g = lb - c0 * x - c1 * np.exp(lf) * softplus(u)
    return expit(g - la) * (c0 + c1 * expit(u))


def _broken_bounds(x, y):
    # a break outside of the data, or sharper than they resolve, is not a finding
    lower = [np.log(NEGLIGIBLE) + y.min(), -1e3, -MAX_EXPONENT, -2 * MAX_EXPONENT, x.min(), np.log(0.1)]
    return np.array(lower), np.array([y.max(), 1e3, MAX_EXPONENT, 2 * MAX_EXPONENT, x.max(), np.log(5.0)])


def _broken_starts(x, y):
    # for fixed (a, d1, f1) the law is linear in (log b, c0, c1)
    d, lf = (
        v.ravel() for v in np.meshgrid(np.linspace(x.min(), x.max(), 14)[1:-1], np.log([0.12, 0.3, 0.7, 1.5, 3.5]))
    )
    bend = np.exp(lf)[:, None] * softplus((x - d[:, None]) / np.exp(lf)[:, None])
    design = columns(np.ones_like(bend), -x, -bend)
    found = []
    for share in (1e-3, 0.3, 0.55, 0.75, 0.9, 0.97):
        floor, excess, _ = _above(y, np.array([share]))
        linear = regress(design, excess[:, 0])
        found.append(columns(floor, linear[..., 0], linear[..., 1], linear[..., 2], d, lf))
    return np.concatenate(found, axis=1)


def _move(prefactor: int, exponent: int, place: int | None = None, sign: int = 1):
    """Returns the change of unit of a law beta (D / unit)^-exponent, with `sign` times a location in log D at `place`."""

    def shift(theta, s):
        moved = np.array(theta, dtype=float)
        moved[:, prefactor] += moved[:, exponent] * s
        if place is not None:
            moved[:, place] += sign * s
        return moved

    return shift


# laws of one size and, from `joint`, of two
NAMED: dict[str, Law] = {}


def _named(name: str) -> Law:
    return NAMED[name]


LAWS = {
    "bansal": Law(
        name="bansal",
        formula="alpha (1/D + C)^p",
        parameters=("alpha", "C", "p"),
        logarithmic=(True, True, False),
        exponent="p",
        vanishing="C",
        evaluate=_bansal,
        slope=lambda theta, x: theta[:, 2:] * expit(-theta[:, 1:2] - x),
        bounds=_bansal_bounds,
        starts=_bansal_starts,
        shift=_move(0, 2, place=1, sign=-1),
    ),
    "power": Law(
        name="power",
        formula="beta D^-c",
        parameters=("beta", "c"),
        logarithmic=(True, False),
        exponent="c",
        vanishing=None,
        evaluate=_power,
        slope=lambda theta, x: np.broadcast_to(theta[:, 1:], (len(theta), len(x))),
        bounds=lambda x, y: (np.array([-1e3, 0.0]), np.array([1e3, MAX_EXPONENT])),
        starts=_power_starts,
        shift=_move(0, 1),
    ),
    "floor": Law(
        name="floor",
        formula="floor + beta D^-c",
        parameters=("floor", "beta", "c"),
        logarithmic=(True, True, False),
        exponent="c",
        vanishing="floor",
        evaluate=_floor,
        slope=lambda theta, x: theta[:, 2:] * expit(theta[:, 1:2] - theta[:, 2:] * x - theta[:, :1]),
        bounds=_floor_bounds,
        starts=_floor_starts,
        shift=_move(1, 2),
    ),
    "broken": Law(
        name="broken",
        formula="a + b D^-c0 (1 + (D/d1)^(1/f1))^(-c1 f1)",
        parameters=("a", "b", "c0", "c1", "d1", "f1"),
        logarithmic=(True, True, False, False, True, True),
        exponent="c0",
        vanishing="a",
        evaluate=_broken,
        slope=_broken_slope,
        bounds=_broken_bounds,
        starts=_broken_starts,
        shift=_move(1, 2, place=4),
    ),
}
NAMED.update(LAWS)
