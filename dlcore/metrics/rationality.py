"""Rationality: the gaps of the noisy experiment, the complexities that bound memorization, and their intervals.

Notation: y the clean labels, y' the noisy ones, f the classifier trained on y'; Delta = (f - y) mod c and
N = (y' - y) mod c; eta the flip rate. All accuracies are against *clean* labels.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from dlcore.arrays import as_reals
from dlcore.metrics.checks import as_confidence, as_rate
from dlcore.metrics.complexity import (
    as_draws,
    binary_deviation_complexity,
    cluster_vote_complexity,
    deviation_complexity,
    memorization_bound,
    plugin_bias,
    prediction_complexity,
    sharp_memorization_bound,
    trustworthy,
)
from dlcore.metrics.statistics import Interval
from dlcore.results import usable

__all__ = [
    "GapIntervals",
    "Gaps",
    "NoisyExperiment",
    "binary_deviation_complexity",
    "cluster_vote_complexity",
    "deviation_complexity",
    "gap_intervals",
    "gaps",
    "memorization_bound",
    "noisy_experiment",
    "noisy_label_accuracy",
    "plugin_bias",
    "prediction_complexity",
    "sharp_memorization_bound",
    "table_accuracy",
    "trustworthy",
]


@usable()
class Gaps:
    """The generalization gap and its three parts, as fractions; each is clipped at 0, `signed_*` is not."""

    train: float
    test: float
    train_noisy: float
    noisy_train: float

    @property
    def signed_generalization(self) -> float:
        """Train - Test."""
        return self.train - self.test

    @property
    def signed_robustness(self) -> float:
        """Train - Train(eta)."""
        return self.train - self.train_noisy

    @property
    def signed_memorization(self) -> float:
        """Train(eta) - NTrain(eta)."""
        return self.train_noisy - self.noisy_train

    @property
    def signed_rationality(self) -> float:
        """NTrain(eta) - Test."""
        return self.noisy_train - self.test

    @property
    def generalization(self) -> float:
        """max(0, Train - Test)."""
        return max(0.0, self.signed_generalization)

    @property
    def robustness(self) -> float:
        """max(0, Train - Train(eta)): what the noise costs on the training points."""
        return max(0.0, self.signed_robustness)

    @property
    def memorization(self) -> float:
        """max(0, Train(eta) - NTrain(eta)): what a point's own wrong label costs it."""
        return max(0.0, self.signed_memorization)

    @property
    def rationality(self) -> float:
        """max(0, NTrain(eta) - Test): how much better a wrong label is than no label."""
        return max(0.0, self.signed_rationality)

    @property
    def bound(self) -> float:
        """robustness + rationality + memorization, at least the generalization gap."""
        return self.robustness + self.rationality + self.memorization


def gaps(train: float, test: float, train_noisy: float, noisy_train: float) -> Gaps:
    """Returns the three gaps and their sum from the four accuracies, which are fractions.

    Args:
        train: Pr[f(x_i) = y_i] on the training points, trained on clean labels.
        test: the same on fresh points.
        train_noisy: Train(eta), on *all* training points after training on noisy labels, against clean labels.
        noisy_train: NTrain(eta), the same, on the points whose label was flipped.
    Raises: ValueError for a value outside [0, 1].
    Paper: Bansal, Kaplun, Barak 2021 (ICLR), the RRM bound: Train - Test <= bound, by telescoping.
    Differs: the signed gaps are kept beside the clipped ones, so that cancelling parts can be seen.

    >>> g = gaps(train=0.95, test=0.90, train_noisy=0.94, noisy_train=0.91)
    >>> [round(v, 3) for v in (g.robustness, g.memorization, g.rationality, g.bound)]
    [0.01, 0.03, 0.01, 0.05]
    """
    values = {"train": train, "test": test, "train_noisy": train_noisy, "noisy_train": noisy_train}
    return Gaps(**{name: float(as_rate(name, value)) for name, value in values.items()})


@usable()
class NoisyExperiment:
    """Sums over each of K noise draws, (K,) arrays: correct points, flipped points, correct flipped points; and n.

    `fitted` counts the points whose prediction equals their *noisy* label.
    """

    correct: np.ndarray
    flipped: np.ndarray
    correct_flipped: np.ndarray
    fitted: np.ndarray
    num_samples: int

    @property
    def rate(self) -> float:
        """The share of labels that were flipped."""
        return float(self.flipped.sum() / (len(self.flipped) * self.num_samples))

    @property
    def train_noisy(self) -> float:
        """Train(eta)."""
        return float(self.correct.mean() / self.num_samples)

    @property
    def noisy_train(self) -> float:
        """NTrain(eta), a ratio of sums: the mean of the draws' ratios would weigh draws with few flips too much."""
        return float(self.correct_flipped.sum() / self.flipped.sum())


def noisy_experiment(predictions, noisy_labels, labels) -> NoisyExperiment:
    """Returns the sums that the gaps and their intervals are made of.

    Shapes: predictions, noisy_labels (K, n), one row for each noise draw; labels (n,), clean.
    Raises: ValueError for shapes that disagree, or when no label was flipped.
    """
    found, noisy, given = as_draws(predictions, noisy_labels, labels, None)
    right, wrong = found == given, noisy != given
    if not wrong.any():
        raise ValueError("no label was flipped: NTrain(eta) is not defined without noise")
    sums = (right.sum(1), wrong.sum(1), (right & wrong).sum(1), (found == noisy).sum(1))
    return NoisyExperiment(*sums, num_samples=len(given))


@usable()
class GapIntervals:
    """Interval estimates; robustness, memorization, rationality and generalization are the signed gaps."""

    train_noisy: Interval
    noisy_train: Interval
    generalization: Interval
    robustness: Interval
    memorization: Interval
    rationality: Interval
    bound: Interval


def gap_intervals(
    train: float, test: float, num_test: int, experiment: NoisyExperiment, *, confidence: float = 0.95
) -> GapIntervals:
    """Returns the gaps with intervals for the draw of the noise and of the test points; the training set is fixed.

    Draws: delete-one jackknife of the ratios of sums. Test points: the variance of their bootstrap, which for an accuracy
    p is p (1 - p) / m in closed form, carried through by the derivative. The two are added, with a t quantile of the
    combined degrees of freedom (Welch and Satterthwaite). What another training set would change is not covered: repeat
    with other seeds for that. In a test 95 % intervals cover 92 to 98 %; that of `bound` can fall to 86 % where a
    clipped part is within two standard errors of 0.

    Args: train, test: accuracies after clean training, fractions; num_test: test points, m; experiment: of `noisy_experiment`.
    Raises: ValueError for fewer than two draws, or an accuracy outside [0, 1].
    """
    as_confidence(confidence)
    train, test = (float(as_rate(name, value)) for name, value in (("train", train), ("test", test)))
    draws = len(experiment.flipped)
    if draws < 2:
        raise ValueError(f"{draws} draw has no spread; two at least")
    e = experiment

    def functionals(sums, count, accuracy):
        correct, flipped, hit = sums
        noisy, on_flipped = correct / (count * e.num_samples), hit / np.maximum(flipped, 1)
        parts = (train - noisy, noisy - on_flipped, on_flipped - accuracy)
        bound = sum(np.maximum(p, 0) for p in parts)
        shape = np.zeros_like(noisy)
        return np.stack([noisy, on_flipped, train - accuracy + shape, *parts, bound])

    sums = [v.astype(float) for v in (e.correct, e.flipped, e.correct_flipped)]
    whole = functionals([v.sum() for v in sums], draws, test)
    left = functionals([v.sum() - v for v in sums], draws - 1, test)
    by_draws = (draws - 1) / draws * ((left - left.mean(1, keepdims=True)) ** 2).sum(1)
    # Wilson's centre keeps the variance positive at an accuracy of 1
    p = (test * num_test + 2) / (num_test + 4)
    step = np.sqrt(p * (1 - p) / num_test)
    ends = [functionals([v.sum() for v in sums], draws, test + s) for s in (-step, step)]
    by_test = ((ends[1] - ends[0]) / 2) ** 2
    variance = by_draws + by_test
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = np.where(variance > 0, variance**2 / (by_draws**2 / (draws - 1) + by_test**2 / num_test), 1e9)
    half = stats.t.ppf(0.5 + confidence / 2, np.maximum(freedom, 1)) * np.sqrt(variance)
    found = [Interval(float(v), float(v - h), float(v + h), draws) for v, h in zip(whole, half, strict=True)]
    return GapIntervals(*found)


def noisy_label_accuracy(accuracy, rate: float, num_classes: int):
    """Returns the accuracy against equally noisy labels of fresh points, a (1 - eta) + (1 - a) eta / (c - 1).

    Numbers or arrays of one shape, accuracy and rate as fractions, NaN where one is; exact where the wrong predictions are uniform over the wrong classes or
    the flips are, as those of `noise.flip_labels`. Derived here, no equation of the paper.

    Raises: ValueError for a number outside [0, 1].

    >>> round(float(noisy_label_accuracy(0.9, 0.9, 10)), 6)
    0.1
    """
    a, eta = as_rate("accuracy", accuracy, missing=True), as_rate("rate", rate, missing=True)
    return (a * (1 - eta) + (1 - a) * eta / (as_reals("num_classes", num_classes) - 1))[()]


def table_accuracy(train_noisy, noisy_train, rate: float, num_classes: int):
    """Returns the exact expected accuracy of the procedure that puts test points into the training set.

    Test_S = NTrain(eta) + (Train(eta) - NTrain(eta)) / (c (1 - eta)): the inserted point's uniform label is wrong
    with probability 1 - 1/c, and the other points carry eta-noise.

    Raises: ValueError for a rate outside [0, 1), an accuracy outside [0, 1].
    Paper: Bansal, Kaplun, Barak 2021, theorem III, in an exact form that is ours: no o(1), no robustness term.

    >>> round(float(table_accuracy(train_noisy=0.838, noisy_train=0.787, rate=0.1, num_classes=10)), 3)
    0.793
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate = {rate} is outside [0, 1)")
    train_noisy, noisy_train = as_rate("train_noisy", train_noisy), as_rate("noisy_train", noisy_train)
    return (noisy_train + (train_noisy - noisy_train) / (num_classes * (1 - rate)))[()]
