"""Agreement of independently trained classifiers, its closed forms, and the identity behind it (GDE)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from dlcore.arrays import as_integers
from dlcore.metrics.checks import (
    as_confidence,
    as_law,
    as_rate,
    as_replicates,
    as_weights,
)
from dlcore.results import usable


@usable(plot="agreement")
@dataclass(frozen=True)
class AgreementGap:
    """Accuracy of two classifiers, how often they agree, and gap = agreement - mean accuracy with its interval."""

    accuracy_a: float
    accuracy_b: float
    accuracy: float
    agreement: float
    gap: float
    low: float
    high: float


@usable()
@dataclass(frozen=True)
class GDE:
    """Mean disagreement of two members and mean test error of one, over an ensemble.

    `calibration_error` bounds their difference: the class-aggregated calibration error of the vote shares.
    """

    disagreement: float
    error: float
    calibration_error: float


def agreement(predictions_a, predictions_b) -> float:
    """Returns the share of points on which two classifiers predict the same class.

    Shapes: both (n,) integers.
    Raises: ValueError for empty input, floats, or lengths that disagree.
    Paper: Nakkiran and Bansal 2020, agreement property: Pr[f1(x) = y] is close to Pr[f1(x) = f2(x)].

    >>> agreement([0, 1, 1, 2], [0, 1, 2, 2])
    0.75
    """
    a, b = (
        as_integers(name, v, ndim=1) for name, v in (("predictions_a", predictions_a), ("predictions_b", predictions_b))
    )
    if a.shape != b.shape:
        raise ValueError(f"{a.size} and {b.size} predictions")
    return float((a == b).mean())


def agreement_gap(
    predictions_a, predictions_b, labels, *, confidence: float = 0.95, replicates: int = 1000, seed: int = 0
) -> AgreementGap:
    """Returns accuracy and agreement of two classifiers on the same points, with a paired bootstrap over points.

    `labels` must be drawn from the law of the *training* labels. Scored against clean labels, a sampler of noisy
    labels has accuracy sum pi Q(l|l) but agreement sum pi Q(k|l)^2, and the property looks broken when it holds.

    low and high are percentiles of the bootstrap: at 95 % they cover in 93 to 95 % of simulated samples of 300, 90 %
    where only two points in a hundred are wrong. They speak of the draw of the test points and labels, not of the
    training sets: repeat over pairs.

    Shapes: all (n,) integers.
    Raises: ValueError for empty input, floats, lengths that disagree, a confidence outside (0, 1).
    Paper: the agreement property as restated by Jiang et al. 2022.

    >>> agreement_gap([0, 1], [0, 1], [0, 1]).gap
    0.0
    """
    a, b, y = (
        as_integers(name, v, ndim=1)
        for name, v in (("predictions_a", predictions_a), ("predictions_b", predictions_b), ("labels", labels))
    )
    if not a.shape == b.shape == y.shape:
        raise ValueError(f"{a.size} and {b.size} predictions, {y.size} labels")
    tail = (1 - as_confidence(confidence)) / 2
    # each point contributes one of -1, -1/2, 0, 1/2, 1: resampling the five counts is resampling the points
    per_point = (a == b) - 0.5 * ((a == y).astype(float) + (b == y))
    values, counts = np.unique(per_point, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(a.size, counts / a.size, size=as_replicates(replicates))
    draws = draws @ values / a.size
    low, high = np.quantile(draws, [tail, 1 - tail])
    acc_a, acc_b = float((a == y).mean()), float((b == y).mean())
    agree = float((a == b).mean())
    mean = (acc_a + acc_b) / 2
    return AgreementGap(acc_a, acc_b, mean, agree, agree - mean, float(low), float(high))


def sampler_agreement(conditional, weights) -> float:
    """Returns sum_l pi_l sum_k Q(k|l)^2: the agreement of two ideal samplers of the training law, and also their
    accuracy against fresh labels of that law.

    Shapes: conditional (M, K), weights (M,), the law of L.
    Raises: ValueError where a row or the weights are not a law, or the lengths disagree.

    >>> sampler_agreement([[0.5, 0.5]], [1.0])
    0.5
    """
    law = as_law("conditional", conditional)
    return float(as_weights("weights", weights, len(law)) @ (law**2).sum(1))


def sampler_accuracy(conditional, weights) -> float:
    """Returns sum_l pi_l Q(l|l): the accuracy of an ideal sampler against clean labels.

    Shapes: conditional (K, K), weights (K,).
    Raises: ValueError for a matrix that is not square, and as `sampler_agreement` does.

    >>> sampler_accuracy([[0.7, 0.3], [0.0, 1.0]], [0.5, 0.5])
    0.85
    """
    law = as_law("conditional", conditional)
    if law.shape[0] != law.shape[1]:
        raise ValueError(f"a square matrix is needed, not {law.shape}")
    return float(as_weights("weights", weights, len(law)) @ np.diag(law))


def symmetric_noise_agreement(rate, num_classes: int):
    """Returns (1 - eta)^2 + eta^2 / (K - 1), `sampler_agreement` of symmetric different-class noise.

    Shapes: rate a number or an array; the result has its shape.
    Raises: ValueError for a rate outside [0, 1] or fewer than two classes.
    Paper: Chen et al. 2019, "Understanding and utilizing deep neural networks trained with noisy labels", for the
        accuracy against noisy labels (as restated by later work).

    >>> round(float(symmetric_noise_agreement(0.2, 10)), 4)
    0.6444
    """
    if num_classes < 2:
        raise ValueError(f"num_classes = {num_classes} must be at least 2")
    eta = as_rate("rate", rate)
    return (1 - eta) ** 2 + eta**2 / (num_classes - 1)


def knn_flip_rate(k: int, rate):
    """Returns Pr[Bin(k, rate) > k/2], how often the majority of k independent noisy labels is wrong; odd k.

    In the locally constant idealisation it is the flip rate of k-NN on train and on test alike, and of a majority
    vote of k independent interpolators.

    Shapes: rate a number or an array; the result has its shape.
    Raises: ValueError for an even or non-positive k, a rate outside [0, 1].

    >>> [round(float(knn_flip_rate(k, 0.3)), 3) for k in (1, 3, 5)]
    [0.3, 0.216, 0.163]
    """
    if not k >= 1 or k % 2 != 1:
        raise ValueError(f"k = {k} must be an odd positive integer: an even vote can tie")
    return stats.binom.sf(k // 2, int(k), as_rate("rate", rate))


def gde(predictions, labels, num_classes: int | None = None) -> GDE:
    """Returns mean disagreement and mean error over all pairs and members of an ensemble of classifiers.

    If the vote shares are class-aggregated calibrated, sum_k p(Y = k, h_k = q) = q sum_k p(h_k = q) for every
    share q, then disagreement = error.

    Shapes: predictions (models, n), labels (n,), all 0..num_classes-1 (by default, up to the largest seen).
    Raises: ValueError for floats, a label out of range, shapes that disagree.
    Paper: Jiang et al. 2022, "Assessing generalization of SGD via disagreement" (GDE).
    Differs: disagreement is over independent draws of two members (a member may meet itself), as in the theorem.

    >>> gde([[0, 1], [0, 0]], [0, 1]).error
    0.25
    """
    votes = as_integers("predictions", predictions, num_classes, ndim=2)
    y = as_integers("labels", labels, num_classes, ndim=1)
    if votes.shape[1] != y.size:
        raise ValueError(f"predictions (models, {y.size}) are needed, not {votes.shape}")
    models, n = votes.shape
    classes = int(max(votes.max(), y.max())) + 1
    # the cells (point, class) with votes alone: of 1,000 classes most have none
    counts = np.unique(np.arange(n) * classes + votes, return_counts=True)[1]
    own = (votes == y).sum(0)
    # by the number of votes of a cell: how many are the label's, less the share that the votes promise
    excess = np.bincount(own, minlength=models + 1) - np.arange(models + 1) / models * np.bincount(
        counts, minlength=models + 1
    )
    return GDE(
        disagreement=float(1 - np.square(counts / models).sum() / n),
        error=float(1 - own.mean() / models),
        calibration_error=float(np.abs(excess).sum() / n),
    )


def class_aggregated_calibration_error(probabilities, labels, bins: int | None = None) -> float:
    """Returns sum over levels q of |sum_k p(Y = k, h_k = q) - q sum_k p(h_k = q)|, which bounds |error - disagreement|.

    Each distinct probability is a level, which suits vote shares; for continuous probabilities give `bins`, the
    number of equal bins of [0, 1]. It lies in [0, 2]; like every plug-in sum of absolute values it is biased
    upward, the more the finer the levels.

    Shapes: probabilities (n, K), rows laws; labels (n,) in 0..K-1.
    Raises: ValueError for a row that is not a law, a label out of range, lengths that disagree, bins < 1.
    Paper: Jiang et al. 2022, class-aggregated calibration error; an integral over q there.

    >>> class_aggregated_calibration_error([[0.5, 0.5], [0.5, 0.5]], [0, 1])
    0.0
    >>> class_aggregated_calibration_error([[1.0, 0.0], [1.0, 0.0]], [0, 1])
    1.0
    """
    shares = as_law("probabilities", probabilities)
    y = as_integers("labels", labels, shares.shape[1], ndim=1)
    if y.shape != (len(shares),):
        raise ValueError(f"{len(shares)} rows of probabilities, labels of shape {y.shape}")
    if bins is not None and bins < 1:
        raise ValueError(f"bins = {bins} must be at least 1")

    def level(values: np.ndarray) -> np.ndarray:
        # 12 decimals: equal shares may differ in the last bit
        return np.round(values, 12) if bins is None else np.minimum((values * bins).astype(int), bins - 1)

    levels = np.arange(bins) if bins is not None else _distinct(level(shares))
    excess = np.zeros(len(levels))
    size = max(1, 2_000_000 // shares.shape[1])
    for start in range(0, len(shares), size):  # in parts: 50,000 laws of 1,000 classes are 400 MB
        part, labels = shares[start : start + size], y[start : start + size]
        # in order, so that the search goes through the levels once
        values = np.sort(part, axis=None)
        np.subtract.at(excess, np.searchsorted(levels, level(values)), values)
        np.add.at(excess, np.searchsorted(levels, level(part[np.arange(len(part)), labels])), 1.0)
    return float(np.abs(excess).sum() / y.size)


def _distinct(values: np.ndarray) -> np.ndarray:
    """Returns the distinct values in order, and overwrites them: `np.unique` would hold two copies."""
    values = values.ravel()
    values.sort()
    return values[np.append(True, values[1:] != values[:-1])]
