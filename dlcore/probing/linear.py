"""Linear probes on many label vectors at once: ridge by one factorisation, logistic regression by batched L-BFGS."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional


class Probed(NamedTuple):
    """Predictions of R fits: on the training rows (R, n), on the test rows (R, m); and tr H of a ridge probe.

    `objective` holds each fit's final loss where there is one, (R,), else it is empty.
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


def ridge(x: torch.Tensor, y: torch.Tensor, test: torch.Tensor, classes: int, strength: float) -> Probed:
    """f(x) = argmax of F A onehot(y) with A = (F'F + lambda I)^-1 F', or F'(FF' + lambda I)^-1 when n < d."""
    one, two = (torch.cat([v, v.new_ones(len(v), 1)], 1) for v in (x, test))
    n, d = one.shape
    # a jitter of the size of rounding: with strength 0 and dependent columns there is no inverse
    if n <= d:
        gram = one @ one.T
        jitter = 1e-12 * gram.diagonal().mean()
        factor = torch.linalg.cholesky(gram + (strength + jitter) * torch.eye(n, dtype=x.dtype))
        hat = torch.cholesky_solve(gram, factor).T
        hat_test = torch.cholesky_solve((two @ one.T).T, factor).T
        freedom = float(hat.trace())

        def outputs(onehot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return hat @ onehot, hat_test @ onehot
    else:
        normal = one.T @ one
        jitter = 1e-12 * normal.diagonal().mean()
        factor = torch.linalg.cholesky(normal + (strength + jitter) * torch.eye(d, dtype=x.dtype))
        freedom = float(torch.cholesky_solve(normal, factor).trace())

        def outputs(onehot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            weights = torch.cholesky_solve(one.T @ onehot, factor)
            return one @ weights, two @ weights

    found: list[list[torch.Tensor]] = [[], []]
    for part in chunks(y, classes):
        onehot = functional.one_hot(part.T, classes).to(x.dtype).flatten(1)
        for side, out in enumerate(outputs(onehot)):
            found[side].append(out.view(len(out), len(part), classes).argmax(2).T)
    train, on_test = (torch.cat(parts).numpy() for parts in found)
    return Probed(train, on_test, freedom, np.empty(0))


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
    centre = x.mean(0)
    one, two = x - centre, test - centre
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
        target = functional.one_hot(part.T, classes).to(x.dtype)

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
