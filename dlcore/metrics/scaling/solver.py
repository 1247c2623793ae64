"""Levenberg-Marquardt for many curves at once: Huber loss of log residuals, bounds, any parameter held fixed.

A bootstrap is one call: 1,000 curves move together as arrays. The loss is summed, never averaged, and a fit ends when
a further step cannot lower it, so that the unit of the loss cannot stop it early.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dlcore.metrics.scaling.laws import Law

# Starts of one curve that are followed to the end, beyond a sixth of them: the rest stop after 15 steps. On 100 curves
# the broken law loses the best optimum of its 360 starts in 3, by less than 0.1 % of the cost; a start of the thesis's
# law never ends elsewhere, but some creep for 150 steps along the valley where p and C trade off.
FOLLOWED = 12
# A combination of parameters whose effect is below this share of the largest is open: a fit stops within 1e-7 or so of
# its optimum, and rounding adds 1e-15. Three parameters on sizes within a factor of 1.5 reach 1e-4.
RANK = 1e-7


class Solution(NamedTuple):
    """Parameters (B, k), summed Huber loss, whether the optimum was reached, and from how many of the starts; (B,)."""

    theta: np.ndarray
    cost: np.ndarray
    converged: np.ndarray
    reached: np.ndarray
    starts: int


def huber(residuals: np.ndarray, delta: float) -> np.ndarray:
    """Returns the sum over the last axis of r^2 / 2, linear beyond delta."""
    size = np.abs(residuals)
    near = np.minimum(size, delta)
    # near^2 / 2 + near (size - near): both branches at once, and exact for an infinite delta
    return (near * (size - 0.5 * near)).sum(-1)


def minimise(law: Law, x, y, theta, bounds, delta: float, fixed=None, iterations: int = 300, kept=None):
    """Returns theta (B, k), cost (B,), converged (B,) of local fits of y (B, n) from theta (B, k).

    `fixed` (k,) marks parameters that stay as given, also outside of the bounds; `kept` (B, n) the points that count.
    """
    theta = np.array(theta, dtype=float)
    held = np.zeros(theta.shape[1], bool) if fixed is None else np.asarray(fixed, bool)
    lower, upper = bounds
    theta = np.where(held, theta, np.clip(theta, lower, upper))
    kept = np.ones((len(theta), 1)) if kept is None else kept
    cost = huber(kept * (law.evaluate(theta, x) - y), delta)
    damping = np.full(len(theta), 1e-3)
    converged = np.zeros(len(theta), bool)
    rows = np.arange(len(theta))
    for _ in range(iterations):
        now = theta[rows]
        value, jacobian = law.evaluate(now, x, True)
        residuals = value - y[rows]
        weights = delta / np.maximum(np.abs(residuals), delta) if np.isfinite(delta) else np.ones_like(residuals)
        weighted = jacobian * (kept[rows] * weights)[..., None]
        gradient = np.einsum("bnk,bn->bk", weighted, residuals)
        # a bound that the gradient pushes against holds its parameter in this step
        pressed = ((now <= lower) & (gradient > 0)) | ((now >= upper) & (gradient < 0)) | held
        gradient[pressed] = 0
        hessian = np.swapaxes(jacobian, 1, 2) @ weighted
        hessian[pressed] = 0
        hessian.transpose(0, 2, 1)[pressed] = 0
        diagonal = np.einsum("bkk->bk", hessian)
        scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        hessian = hessian / (scale[:, :, None] * scale[:, None, :])
        np.einsum("bkk->bk", hessian)[:] = 1 + damping[rows, None]
        step = np.linalg.solve(hessian, -(gradient / scale)[..., None])[..., 0] / scale
        trial = np.where(held, now, np.clip(now + step, lower, upper))
        new = huber(kept[rows] * (law.evaluate(trial, x) - y[rows]), delta)
        better = new <= cost[rows]
        promise = -(gradient * step).sum(1)
        theta[rows[better]] = trial[better]
        cost[rows[better]] = new[better]
        damping[rows] = np.clip(damping[rows] * np.where(better, 0.2, 5.0), 1e-9, 1e12)
        # the first-order gain of the step is beneath what rounding of the cost can show; a heavily damped step
        # promises little wherever it is, so it is not evidence of an optimum
        done = (promise <= 1e-13 * cost[rows] + 1e-26) & (damping[rows] < 1e3)
        stuck = damping[rows] >= 1e12
        # at the limit of rounding no step is better: then the undamped gain decides
        done |= stuck & (promise * damping[rows] <= 1e-7 * cost[rows] + 1e-20)
        converged[rows[done]] = True
        rows = rows[~(done | stuck)]
        if rows.size == 0:
            break
    return theta, cost, converged


def multistart(law: Law, x, y, bounds, delta: float, *, top: int | None = None, extra=None, fixed=None) -> Solution:
    """Returns the best of local fits of each curve y (B, n), from the `top` best of the law's starts and the `extra`.

    Many starts of a curve are all taken some steps, then the best go on to the end.

    Shapes: extra (B, E, k) or None; `fixed` marks parameters that keep the value that they have in extra[:, 0].
    """
    grid = law.starts(x, y)
    held = np.zeros(grid.shape[-1], bool) if fixed is None else np.asarray(fixed, bool)
    if extra is not None:
        grid = np.where(held, extra[:, :1], grid)
    grid = np.where(held, grid, np.clip(grid, *bounds))
    if top is not None:
        grid = _best(grid, huber(_all(law, x, grid) - y[:, None], delta), top)
    if extra is not None:
        grid = np.concatenate([extra, grid], axis=1)
    kept = max(FOLLOWED, grid.shape[1] // 6)
    if grid.shape[1] > kept:
        theta, cost, _ = _follow(law, x, y, grid, bounds, delta, held, iterations=15)
        grid = _best(theta, cost, kept)
    theta, cost, converged = _follow(law, x, y, grid, bounds, delta, held)
    pick, row = cost.argmin(1), np.arange(len(y))
    near = cost <= cost.min(1, keepdims=True) * (1 + 1e-6) + 1e-20
    # equal costs: the optimum is reached if any of the starts at it says so
    return Solution(theta[row, pick], cost[row, pick], (near & converged).any(1), near.sum(1), grid.shape[1])


def _all(law: Law, x, grid) -> np.ndarray:
    return law.evaluate(grid.reshape(-1, grid.shape[-1]), x).reshape(*grid.shape[:2], -1)


def _best(grid, cost, number: int) -> np.ndarray:
    return np.take_along_axis(grid, np.argsort(cost, axis=1)[:, :number, None], axis=1)


def _follow(law: Law, x, y, grid, bounds, delta: float, held, iterations: int = 300):
    curves, starts, k = grid.shape
    theta, cost, converged = minimise(
        law, x, np.repeat(y, starts, axis=0), grid.reshape(-1, k), bounds, delta, held, iterations
    )
    return theta.reshape(grid.shape), cost.reshape(curves, starts), converged.reshape(curves, starts)


def covariance(law: Law, x, y, theta, delta: float, free) -> np.ndarray:
    """Returns the Gauss-Newton covariance (k, k) of one fit for a unit variance of noise; NaN where nothing is known.

    Directions that the points leave open (`open_directions`) are left out: of the parameters that they move it says nothing.
    """
    value, jacobian = law.evaluate(theta[None], x, True)
    residuals = value[0] - y
    weights = np.minimum(1.0, delta / np.maximum(np.abs(residuals), 1e-300))
    design = jacobian[0][:, free] * np.sqrt(weights)[:, None]
    result = np.full((theta.size, theta.size), np.nan)
    scale = np.linalg.norm(design, axis=0)
    if (scale == 0).any():
        return result
    values, vectors = np.linalg.eigh((design / scale).T @ (design / scale))
    told = values > RANK**2
    inner = (vectors[:, told] / values[told]) @ vectors[:, told].T / np.outer(scale, scale)
    result[np.ix_(free, free)] = inner
    return result


def open_directions(law: Law, x, theta, free) -> np.ndarray:
    """Returns orthonormal directions (k, r) in which one fit may move and predict its points all the same.

    They are the null space of the Jacobian with columns at length one; `free` are the parameters that may move. Amounts
    are held as logarithms, so that a step of one is a factor of e, or one of an exponent.
    """
    jacobian = law.evaluate(theta[None], x, True)[1][0][:, free]
    scale = np.linalg.norm(jacobian, axis=0)
    scale[scale < 1e-9] = 1.0  # a step of one that changes no digit which a loss has is no step
    _, values, vectors = np.linalg.svd(jacobian / scale, full_matrices=True)
    rank = int(np.sum(values > RANK * max(values.max(initial=0.0), 1e-300)))
    found = np.zeros((theta.size, vectors.shape[0] - rank))
    found[free] = vectors[rank:].T / scale[:, None]
    return np.linalg.qr(found)[0]


def undetermined(law: Law, directions: np.ndarray, shift) -> list[str]:
    """Returns the parameters, in the user's unit of size, that move in an open direction."""
    # the change of unit is linear in theta
    size = len(directions)
    move = (law.shift(np.eye(size), shift) - law.shift(np.zeros((1, size)), shift)).T
    moved = np.linalg.norm(move @ directions, axis=1) > 1e-4
    return [name for name, lost in zip(law.parameters, moved, strict=True) if lost]
