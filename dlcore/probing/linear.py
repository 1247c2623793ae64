"""Linear probes on many label vectors at once: ridge by one factorisation, logistic regression by batched L-BFGS."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from dlcore.arrays import outside
from dlcore.results import Result


class Probed(Result):
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
    return torch.zeros(y.shape[1], len(y), classes, dtype=torch.float64, device="cpu").scatter_(2, y.T[:, :, None], 1.0)


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
    found = []
    for part in chunks(y, classes):
        sides = outputs(_one_hot(part, classes).flatten(1))
        found.append([out.view(len(out), len(part), classes).argmax(2).T for out in sides])
    train, on_test = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
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
    matrix = normal + weak * torch.eye(len(normal), dtype=normal.dtype, device="cpu")
    # each column by its own size, so that a small one beside a large one is not lost; then a jitter of the size of
    # rounding: with strength 0 and dependent columns there is no inverse
    diagonal = matrix.diagonal()
    size = torch.where(diagonal > 0, diagonal.clamp(min=1e-300).rsqrt(), 0.0)
    factor = torch.linalg.cholesky(
        matrix * size * size[:, None] + 1e-12 * torch.eye(len(normal), dtype=normal.dtype, device="cpu")
    )

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
        factor = torch.linalg.cholesky(gram + weak * torch.eye(len(gram), dtype=gram.dtype, device="cpu"))
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
    tolerance: float,
    iterations: int,
) -> Probed:
    """Minimises sum of cross-entropies + strength/2 |W|^2 for every label vector."""
    rows = centred(x, test)
    one, two = (functional.pad(side, (0, 1), value=1.0) for side in (rows.train, rows.test))
    penalty = one.new_full((x.shape[1] + 1, 1, 1), rows.penalty(strength))
    penalty[-1] = 0
    found = []
    for part in chunks(y, classes):
        problem = _Softmax(one, part.T[:, None].contiguous(), penalty)
        weights, loss = _lbfgs(problem, classes, tolerance, iterations)
        scores = [(design @ weights.flatten(1)).view(-1, *weights.shape[1:]) for design in (one, two)]
        found.append([*(side.argmax(1).T for side in scores), loss])
    train, on_test, loss = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return Probed(train, on_test, float("nan"), loss)


class _Softmax(NamedTuple):
    """Softmax regressions on the same rows: design (n, d), labels (n, 1, R), penalties of the columns (d, 1, 1).

    Weights are (d, c, R): log-softmax along a last axis of 10 classes takes 7 times as long.
    """

    design: torch.Tensor
    labels: torch.Tensor
    penalty: torch.Tensor

    def rounded(self) -> _Softmax:
        return _Softmax(_rounded(self.design), self.labels, _rounded(self.penalty))

    def scores(self, weights: torch.Tensor) -> torch.Tensor:
        return (self.design @ weights.flatten(1)).view(-1, *weights.shape[1:])

    def value(self, weights: torch.Tensor, which: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses (r,) and gradients (d, c, r) of the label vectors `which` (r,) at weights (d, c, r)."""
        labels = self.labels[:, :, which]
        logs = self.scores(weights).log_softmax(1)
        loss, pull = -logs.gather(1, labels).sum((0, 1)), self.penalty * weights
        rest = logs.exp_().scatter_add_(1, labels, logs.new_full((1, 1, 1), -1.0).expand(labels.shape))
        gradient = (self.design.T @ rest.flatten(1)).view_as(weights).add_(pull)
        return loss + 0.5 * (pull * weights).sum((0, 1)), gradient

    def inverse(self, weights: torch.Tensor) -> torch.Tensor:
        """Inverse Hessians (c, d, d) of each class's weights alone, where curvatures are the mean of the label vectors'.

        (1, d, d), of the mean of the classes too, where label vectors are so few that c of them cost more than some steps.
        """
        chances = self.scores(weights).softmax(1)
        share = (chances * (1 - chances)).mean(2).T
        if len(weights) > 8 * weights.shape[2]:
            share = share.mean(0, keepdim=True)
        hessian = torch.stack([self.design.T @ (self.design * s[:, None]) for s in share])
        diagonal = hessian.diagonal(dim1=1, dim2=2)
        diagonal += self.penalty[:, 0, 0]
        # as in `_primal`: columns of any size, dependent ones and zeros
        size = torch.where(diagonal > 0, diagonal.clamp(min=1e-300).rsqrt(), 0.0)
        hessian *= size[:, :, None] * size[:, None, :]
        diagonal += 1e-12
        return torch.cholesky_inverse(torch.linalg.cholesky(hessian)) * size[:, :, None] * size[:, None, :]


def _rounded(x: torch.Tensor) -> torch.Tensor:
    """Returns float32, without the infinities that a column or a penalty of another size would give."""
    return x.clamp(-1e30, 1e30).float()


def _lbfgs(
    exact: _Softmax, classes: int, tolerance: float, iterations: int, memory: int = 10
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns weights (d, c, R) and losses (R,) at the minima; every label vector has its own steps and line search.

    L-BFGS begins each direction with the inverse Hessian of `_Softmax.inverse`, at 0 and at some later weights: digits
    with a penalty of 0.01 take 45 instead of 115 evaluations with that at 0 alone. Steps are in float32 while that sees
    the loss fall, which takes 0.43 instead of 0.73 s. Stops when every gradient, whitened with the curvature at 0, is
    below `tolerance` times the larger of 1 and its first norm, or, with an UnconvergedWarning, after `iterations` steps.
    """

    def dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a * b).sum((0, 1))

    def scaled(inverse: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        found = (inverse @ gradient.transpose(0, 1)).transpose(0, 1)
        # one shift of all classes changes no probability, which the blocks of single classes do not know
        return found - found.mean(1, keepdim=True)

    problem, every = exact.rounded(), torch.arange(exact.labels.shape[2], device="cpu")
    weights = exact.design.new_zeros(exact.design.shape[1], classes, len(every))
    curved = whitening = exact.inverse(weights)[:1]
    loss, gradient = exact.value(weights, every)
    enough = tolerance**2 * dot(gradient, scaled(whitening, gradient)).clamp(min=1.0)
    weights, loss, gradient = (v.float() for v in (weights, loss, gradient))
    inverse = white = _rounded(whitening)
    pace, slack = torch.ones((), device="cpu"), 3e-7
    steep = scaled(inverse, gradient)
    pairs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for iteration in range(iterations + 1):
        left = dot(gradient, steep)
        active = dot(gradient, scaled(white, gradient)) > enough
        if problem is not exact and (iteration == iterations // 2 or not (active & (left > 1e-8 * loss)).any()):
            problem, slack, weights, white, inverse = exact, 1e-12, weights.double(), whitening, curved
            pairs = [(s.double(), z.double(), c.double()) for s, z, c in pairs]
            loss, gradient = problem.value(weights, every)
            steep = scaled(inverse, gradient)
            left = dot(gradient, steep)
            active = dot(gradient, scaled(white, gradient)) > enough
        elif iteration in (3, 8, 20, 50, 100):
            curved, pace = exact.inverse(weights.double()), torch.ones((), device="cpu")
            inverse = curved if problem is exact else _rounded(curved)
            steep = scaled(inverse, gradient)
            left = dot(gradient, steep)
        which = active.nonzero()[:, 0]
        if not len(which) or iteration == iterations:
            break
        direction, kept = gradient.clone(), []
        for s, z, curvature in reversed(pairs):
            kept.append(dot(s, direction) / curvature)
            direction -= kept[-1] * z
        direction = scaled(inverse, direction) * pace
        for (s, z, curvature), a in zip(pairs, reversed(kept), strict=True):
            direction += s * (a - dot(z, direction) / curvature)
        slope = dot(gradient, direction)
        # not a descent direction: rounding
        bad = ~(slope > 0)
        direction, slope = torch.where(bad, steep, direction), torch.where(bad, left, slope)
        step = torch.ones_like(loss)
        before, old, old_steep = weights, gradient, steep
        weights, loss, gradient = weights.clone(), loss.clone(), gradient.clone()
        start = loss.clone()
        for _ in range(30):
            ahead = before[:, :, which] - step[which] * direction[:, :, which]
            weights[:, :, which] = ahead
            loss[which], gradient[:, :, which] = problem.value(ahead, which)
            gain, hoped = (start - loss)[which], (step * slope)[which]
            # rounding of the loss itself must not fail a step that is good
            worse = ~(gain >= 1e-4 * hoped - slack * start[which])
            if not worse.any():
                break
            # to the minimum of the parabola through both losses and the slope
            step[which] *= torch.where(worse, (0.5 * hoped / (hoped - gain)).nan_to_num(0).clamp(0.1, 0.5), 1.0)
            which = which[worse]
        steep = scaled(inverse, gradient)
        s, z = weights - before, gradient - old
        curvature = dot(s, z)
        pace = curvature / dot(z, steep - old_steep)
        # a vector that stands still would divide 0 by 0
        moved = pace > 1e-8
        pairs.append((s * moved, z * moved, torch.where(moved, curvature, 1.0)))
        pairs, pace = pairs[-memory:], torch.where(moved, pace, 1.0)
    if len(which):
        what = f"{len(which)} of {len(every)} logistic fits ended after {iterations} steps"
        warnings.warn(f"{what}, above their tolerance of {tolerance:g}", UnconvergedWarning, stacklevel=outside())
    return weights, loss
