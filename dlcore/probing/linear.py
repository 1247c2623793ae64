"""Linear probes on many label vectors at once: ridge by one factorisation, logistic regression by batched L-BFGS."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch


class Probed(NamedTuple):
    """Predictions of R fits: on the training rows (R, n), on the test rows (R, m); and tr H of a ridge probe.

    `degrees_of_freedom`, tr H, is at most the number of features and one, for the constant column, and at most n;
    NaN for other probes. `objective` holds each fit's final loss where there is one, (R,), else it is empty.
    """

    train: np.ndarray
    test: np.ndarray
    degrees_of_freedom: float
    objective: np.ndarray


class UnconvergedWarning(UserWarning):
    """A fit ended at its largest number of steps, before its tolerance."""


def chunks(y: torch.Tensor, width: int) -> tuple[torch.Tensor, ...]:
    """Returns parts of the label vectors whose (n, vectors, classes) doubles stay below about 64 MB."""
    return y.split(max(1, 8_000_000 // (y.shape[1] * width)))


def _one_hot(y: torch.Tensor, classes: int) -> torch.Tensor:
    """Returns (n, vectors, classes) doubles of label vectors; `functional.one_hot` makes as many integers first."""
    return torch.zeros(y.shape[1], len(y), classes, dtype=torch.float64).scatter_(2, y.T[:, :, None], 1.0)


class Rows(NamedTuple):
    """Training and test features less the training mean, times `scale`, a power of two; `mean` is so scaled too.

    What centring takes off is kept apart: features near 1e9 or of size 1e200 lose nothing more than in float64.
    """

    train: torch.Tensor
    test: torch.Tensor
    mean: torch.Tensor
    scale: float

    def penalty(self, strength: float) -> float:
        """Returns the strength of the penalty on weights of the scaled features; beyond 1e200 it is as good as infinite."""
        return min(strength * min(self.scale, 1e100) ** 2, 1e200)


def centred(x: torch.Tensor, test: torch.Tensor) -> Rows:
    """Returns the features centred and scaled, so that the largest deviation of a training row is near 1."""
    middle = x.amin(0) / 2 + x.amax(0) / 2
    mean = middle + ((x - middle) / len(x)).sum(0)
    mean = torch.where((x == x[0]).all(0), x[0], mean)
    one = x - mean
    # once more, from nearby: the rounding of a mean near 1e9 is 1e-7, and all rows would share it
    rest = (one / len(x)).sum(0)
    one = one - rest
    span = float(one.abs().max())
    scale = 2.0 ** -int(np.clip(np.frexp(span)[1], -1000, 1000)) if span > 0 else 1.0
    two = (test - mean - rest) * scale
    if two.numel() and not float(two.abs().max()) < 1e150:
        raise ValueError(f"test_features lie 1e150 times farther out than features, which span {span:.3g}")
    return Rows(one * scale, two, mean * scale, scale)


def ridge(x: torch.Tensor, y: torch.Tensor, test: torch.Tensor, classes: int, strength: float) -> Probed:
    """f(x) = argmax of least squares on one-hot labels with penalty lambda (|W|^2 + b^2), exact for large offsets too.

    With X = Z + 1 m', Z centred, and c = m'W + b, the weights solve (Z'Z + lambda I + k m m') W = Z'y + k m mean(y),
    k = lambda n / (n + lambda): the inverse B of Z'Z + lambda I gives them by a formula of rank one, in which no
    large numbers cancel. In B the n x n matrix ZZ' takes the place of Z'Z when n <= d.
    """
    rows = centred(x, test)
    n, d = rows.train.shape
    mean, largest = rows.mean, float(rows.mean.abs().max())
    if largest > 0:
        mean = mean / largest
    weak = rows.penalty(strength)
    apply, hat = (_dual if n <= d else _primal)(rows, weak, mean)
    # the penalty on b alone; a vanishing one, or a mean of 0, leaves the centred problem
    pulled = strength > 0 and largest > 0
    ratio = hat.unit * min((1 / strength + 1 / n) / largest / largest, 1e300) if pulled else 0.0
    gain = 1 / (ratio + hat.along) if pulled and ratio + hat.along > 0 else 0.0
    share, rest = (hat.along * gain, ratio * gain) if gain else (0.0, 1.0)

    def outputs(onehot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        base, base_test, mean_weights = apply(onehot)
        average = onehot.mean(0)
        pull = (average / largest - mean_weights) * gain if gain else torch.zeros_like(average)
        # m'W, between that of the centred problem and mean(y)
        slope = share * average + rest * largest * mean_weights
        level = (n * average + strength * slope) / (n + strength)
        return base.addr_(hat.train, pull).add_(level), base_test.addr_(hat.test, pull).add_(level)

    freedom = hat.trace - gain * hat.loss + (n + strength * share) / (n + strength)
    found: list[list[torch.Tensor]] = [[], []]
    for part in chunks(y, classes):
        onehot = _one_hot(part, classes).flatten(1)
        for side, out in enumerate(outputs(onehot)):
            found[side].append(out.view(len(out), len(part), classes).argmax(2).T)
    train, on_test = (torch.cat(parts).numpy() for parts in found)
    return Probed(train, on_test, freedom, np.empty(0))


class _Hat(NamedTuple):
    """With u = unit B m: Z u and T u (n,), (m,), m'u; |Z B m|^2 unit; tr Z B Z' of the centred problem; `unit`."""

    train: torch.Tensor
    test: torch.Tensor
    along: float
    loss: float
    trace: float
    unit: float


_Apply = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def _primal(rows: Rows, weak: float, mean: torch.Tensor) -> tuple[_Apply, _Hat]:
    normal = rows.train.T @ rows.train
    matrix = normal + weak * torch.eye(len(normal), dtype=normal.dtype)
    # each column by its own size, so that a small one beside a large one is not lost; then a jitter of the size of
    # rounding: with strength 0 and dependent columns there is no inverse
    diagonal = matrix.diagonal()
    size = torch.where(diagonal > 0, diagonal.clamp(min=1e-300).rsqrt(), 0.0)
    factor = torch.linalg.cholesky(matrix * size * size[:, None] + 1e-12 * torch.eye(len(normal), dtype=normal.dtype))

    def solve(right: torch.Tensor) -> torch.Tensor:
        return size[:, None] * torch.cholesky_solve(size[:, None] * right, factor)

    def apply(onehot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        weights = solve(rows.train.T @ onehot)
        return rows.train @ weights, rows.test @ weights, mean @ weights

    u = solve(mean[:, None])[:, 0]
    train = rows.train @ u
    trace = float((size[:, None] * torch.cholesky_inverse(factor) * size * normal).sum())
    return apply, _Hat(train, rows.test @ u, float(mean @ u), float(train @ train), trace, 1.0)


def _dual(rows: Rows, weak: float, mean: torch.Tensor) -> tuple[_Apply, _Hat]:
    one = rows.train
    gram = one @ one.T
    if weak > 1e-10 * float(gram.diagonal().sum()):
        factor = torch.linalg.cholesky(gram + weak * torch.eye(len(gram), dtype=gram.dtype))
        hat = torch.cholesky_solve(gram, factor)
        votes = torch.cholesky_solve((rows.test @ one.T).T, factor).T
        across = torch.cholesky_solve((one @ mean)[:, None], factor)[:, 0]
        u = mean - one.T @ across
        along = float(mean @ u)
    else:
        # ZZ' would square a condition number that is large already; dependent rows have no inverse without a penalty
        left, values, right = torch.linalg.svd(one, full_matrices=False)
        keep = values > max(one.shape) * torch.finfo(one.dtype).eps * values[0]
        left, values, right = left[:, keep], values[keep], right[keep]
        shrunk = values**2 / (values**2 + weak)
        hat = (left * shrunk) @ left.T
        votes = (rows.test @ right.T * (shrunk / values)) @ left.T
        inside, kept = right @ mean, weak / (values**2 + weak)
        across = left @ (shrunk / values * inside)
        # what lies outside of the rows' span, twice: a column of size 1 beside one of 1e9 leaves 1e-9 of the mean
        outside = mean - right.T @ inside
        outside = outside - right.T @ (right @ outside)
        u = outside + right.T @ (kept * inside)
        along = float(outside @ outside + kept @ inside**2)

    def apply(onehot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return hat @ onehot, votes @ onehot, across @ onehot

    # Z u = weak (ZZ' + weak I)^-1 Z m, without the cancellation of its definition
    loss = weak * float(across @ across)
    return apply, _Hat(weak * across, rows.test @ u, along, loss, float(hat.trace()), weak)


def logistic(
    x: torch.Tensor,
    y: torch.Tensor,
    test: torch.Tensor,
    classes: int,
    strength: float,
    tolerance: float = 1e-5,
    iterations: int = 500,
) -> Probed:
    """Minimises sum of cross-entropies + strength/2 |W|^2 for every label vector.

    The features are whitened with the curvature at W = 0, where the softmax has covariance I/c - 11'/c^2; L-BFGS
    then starts from a nearly round problem, and needs tens of steps where the plain one needs hundreds.
    """
    rows = centred(x, test)
    one, two, strength = rows.train, rows.test, rows.penalty(strength)
    d = x.shape[1]
    curvature = one.T @ one / classes + max(strength, 1e-9 * float(one.square().sum(0).mean()) + 1e-12) * torch.eye(
        d, dtype=x.dtype
    )
    factor = torch.linalg.cholesky(curvature)
    white = torch.linalg.solve_triangular(factor, one.T, upper=False).T
    white = torch.cat([white, white.new_full((len(x), 1), (classes / len(x)) ** 0.5)], 1)
    # W = L^-T V, so |W|^2 = V' (L'L)^-1 V
    inverse = torch.linalg.solve_triangular(factor, torch.eye(d, dtype=x.dtype), upper=False)
    penalty = strength * (inverse @ inverse.T)
    found: list[list[torch.Tensor]] = [[], [], []]
    for part in chunks(y, classes):
        runs = len(part)
        target = _one_hot(part, classes)

        def value(
            v: torch.Tensor, target: torch.Tensor = target, runs: int = runs
        ) -> tuple[torch.Tensor, torch.Tensor]:
            """Loss (R,) and gradient (R, d + 1, c) at v."""
            flat = v.permute(1, 0, 2).reshape(d + 1, runs * classes)
            scores = (white @ flat).view(len(x), runs, classes)
            log_norm = scores.logsumexp(2)
            loss = (log_norm - (scores * target).sum(2)).sum(0)
            rest = (scores - log_norm[:, :, None]).exp_().sub_(target).view(len(x), runs * classes)
            gradient = (white.T @ rest).view(d + 1, runs, classes).permute(1, 0, 2)
            pull = penalty @ v[:, :d]
            loss = loss + 0.5 * (pull * v[:, :d]).sum((1, 2))
            gradient = gradient.clone()
            gradient[:, :d] += pull
            return loss, gradient

        v, loss = lbfgs(value, x.new_zeros(runs, d + 1, classes), tolerance, iterations)
        weights = torch.linalg.solve_triangular(factor.T, v[:, :d].permute(1, 0, 2).reshape(d, -1), upper=True)
        offset = (v[:, d] * (classes / len(x)) ** 0.5).reshape(1, -1)
        for side, rows in enumerate((one, two)):
            found[side].append((rows @ weights + offset).view(len(rows), runs, classes).argmax(2).T)
        found[2].append(loss)
    train, on_test, loss = (torch.cat(parts).numpy() for parts in found)
    return Probed(train, on_test, float("nan"), loss)


def lbfgs(
    value: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    start: torch.Tensor,
    tolerance: float,
    iterations: int,
    memory: int = 10,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimises R independent smooth convex functions at once; every one has its own steps and line search.

    Stops when every gradient is below `tolerance` times the larger of 1 and its first norm, or, with an
    UnconvergedWarning, after `iterations` steps.
    """

    def dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a * b).sum((1, 2), keepdim=True)

    v = start
    loss, gradient = value(v)
    enough = tolerance * dot(gradient, gradient).sqrt().clamp(min=1.0)
    pairs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for _ in range(iterations):
        active = dot(gradient, gradient).sqrt() > enough
        if not active.any():
            break
        direction, kept = gradient.clone(), []
        for s, z, curvature in reversed(pairs):
            a = dot(s, direction) / curvature
            direction -= a * z
            kept.append(a)
        if pairs:
            s, z, _ = pairs[-1]
            direction *= dot(s, z) / dot(z, z)
        for (s, z, curvature), a in zip(pairs, reversed(kept), strict=True):
            direction += s * (a - dot(z, direction) / curvature)
        slope = dot(gradient, direction)
        # not a descent direction: rounding; begin with the gradient again
        bad = slope <= 0
        direction = torch.where(bad, gradient, direction)
        slope = torch.where(bad, dot(gradient, gradient), slope)
        step = active.to(v.dtype)
        for _ in range(30):
            ahead = v - step * direction
            ahead_loss, ahead_gradient = value(ahead)
            # rounding of the loss itself must not fail a step that is good
            slack = 1e-12 * loss.abs().view(-1, 1, 1)
            worse = ahead_loss.view(-1, 1, 1) > loss.view(-1, 1, 1) - 1e-4 * step * slope + slack
            if not (worse & active).any():
                break
            step = torch.where(worse, step / 2, step)
        s, z = ahead - v, ahead_gradient - gradient
        curvature = dot(s, z)
        # a problem that stands still would divide 0 by 0: a harmless pair instead
        still = curvature <= 1e-300
        pairs.append((torch.where(still, 0.0, s), torch.where(still, 1.0, z), torch.where(still, 1.0, curvature)))
        pairs = pairs[-memory:]
        v, loss, gradient = ahead, ahead_loss, ahead_gradient
    else:
        if late := int((dot(gradient, gradient).sqrt() > enough).sum()):
            warnings.warn(
                f"{late} of {len(v)} logistic fits ended after {iterations} steps, above their tolerance of {tolerance:g}",
                UnconvergedWarning,
                stacklevel=4,
            )
    return v, loss
