"""Agreement of independently trained classifiers, and its closed forms."""

from __future__ import annotations

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
class AgreementGap:
    """Accuracy of two classifiers, how often they agree, and gap = agreement - mean accuracy with its interval."""

    accuracy_a: float
    accuracy_b: float
    accuracy: float
    agreement: float
    gap: float
    low: float
    high: float


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
