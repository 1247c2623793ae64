"""Rationality: the gaps of the noisy experiment, the complexities that bound memorization, and their intervals.

Notation: y the clean labels, y' the noisy ones, f the classifier trained on y'; Delta = (f - y) mod c and
N = (y' - y) mod c; eta the flip rate. All accuracies are against *clean* labels.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from dlcore.arrays import as_integers, as_reals, typed
from dlcore.metrics.checks import as_confidence, as_rate
from dlcore.metrics.information import (
    check_correction,
    columnwise_information,
    jackknife_information,
    mutual_information,
)
from dlcore.metrics.statistics import Interval
from dlcore.results import Result


class Gaps(Result):
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


@typed
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


class NoisyExperiment(Result):
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


def _draws(predictions, noisy_labels, labels, num_classes: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns predictions, noisy labels (K, n) and clean labels (n,) as int64; raises ValueError for other shapes."""
    given = as_integers("labels", labels, num_classes, ndim=1)
    found = as_integers("predictions", predictions, num_classes, ndim=2)
    noisy = as_integers("noisy_labels", noisy_labels, num_classes, ndim=2)
    if found.shape != noisy.shape or found.shape[1] != len(given):
        raise ValueError(
            f"predictions and noisy_labels must be (draws, {given.size}), not {found.shape} and {noisy.shape}"
        )
    return found, noisy, given


def noisy_experiment(predictions, noisy_labels, labels) -> NoisyExperiment:
    """Returns the sums that the gaps and their intervals are made of.

    Shapes: predictions, noisy_labels (K, n), one row for each noise draw; labels (n,), clean.
    Raises: ValueError for shapes that disagree, or when no label was flipped.
    """
    found, noisy, given = _draws(predictions, noisy_labels, labels, None)
    right, wrong = found == given, noisy != given
    if not wrong.any():
        raise ValueError("no label was flipped: NTrain(eta) is not defined without noise")
    sums = (right.sum(1), wrong.sum(1), (right & wrong).sum(1), (found == noisy).sum(1))
    return NoisyExperiment(*sums, num_samples=len(given))


class GapIntervals(Result, plot="gaps"):
    """Interval estimates; robustness, memorization, rationality and generalization are the signed gaps."""

    train_noisy: Interval
    noisy_train: Interval
    generalization: Interval
    robustness: Interval
    memorization: Interval
    rationality: Interval
    bound: Interval


@typed
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
    if draws < 2 or num_test < 1:
        raise ValueError(f"{draws} draws and {num_test} test points: two draws have a spread, and a test has points")
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


def noisy_label_accuracy(accuracy, rate, num_classes):
    """Returns the accuracy against equally noisy labels of fresh points, a (1 - eta) + (1 - a) eta / (c - 1).

    Numbers or arrays of one shape, accuracy and rate as fractions, NaN where one is; exact where the wrong predictions are uniform over the wrong classes or
    the flips are, as those of `noise.flip_labels`. Derived here, no equation of the paper.

    Raises: ValueError for a fraction outside [0, 1], or fewer than two classes.

    >>> round(float(noisy_label_accuracy(0.9, 0.9, 10)), 6)
    0.1
    """
    a, eta = as_rate("accuracy", accuracy, missing=True), as_rate("rate", rate, missing=True)
    if ((classes := as_reals("num_classes", num_classes)) < 2).any():
        raise ValueError(f"num_classes = {num_classes}: a wrong label needs at least two classes")
    return (a * (1 - eta) + (1 - a) * eta / (classes - 1))[()]


@typed
def table_accuracy(train_noisy, noisy_train, rate: float, num_classes: int):
    """Returns the exact expected accuracy of the procedure that puts test points into the training set.

    Test_S = NTrain(eta) + (Train(eta) - NTrain(eta)) / (c (1 - eta)): the inserted point's uniform label is wrong
    with probability 1 - 1/c, and the other points carry eta-noise.

    Raises: ValueError for a rate outside [0, 1), an accuracy outside [0, 1].
    Paper: Bansal, Kaplun, Barak 2021, theorem III, in an exact form that is ours: no o(1), no robustness term.

    >>> round(float(table_accuracy(train_noisy=0.838, noisy_train=0.787, rate=0.1, num_classes=10)), 3)
    0.793
    """
    if not 0 <= rate < 1 or num_classes < 1:
        raise ValueError(f"rate = {rate} is outside [0, 1), or num_classes = {num_classes} below 1")
    train_noisy, noisy_train = as_rate("train_noisy", train_noisy), as_rate("noisy_train", noisy_train)
    return (noisy_train + (train_noisy - noisy_train) / (num_classes * (1 - rate)))[()]


@typed
def deviation_complexity(
    predictions, noisy_labels, labels, num_classes: int, *, correction: str | None = None
) -> float:
    """Returns C_dc = n I(Delta; N), in nats: pooled over samples and draws.

    Shapes: predictions, noisy_labels (K, n) integers in 0..num_classes-1; labels (n,), clean.
    Args: correction: None (plug-in, biased upward by (c - 1)^2 / (2 K) nats), "miller-madow" or "jackknife"
        (over draws). A corrected value can be negative.
    Raises: ValueError for shapes that disagree, a label out of range, an unknown correction.
    Paper: Bansal, Kaplun, Barak 2021, deviation complexity.
    Differs: nats, not bits (the released code); for bits divide by log 2.

    >>> deviation_complexity([[0, 1], [0, 1]], [[0, 1], [1, 1]], [0, 1], 2)  # the classifier ignores the noise
    0.0
    """
    found, noisy, given = _draws(predictions, noisy_labels, labels, num_classes)
    delta, shift = (found - given) % num_classes, (noisy - given) % num_classes
    code = delta * num_classes + shift

    def table(rows: np.ndarray) -> np.ndarray:
        return np.bincount(rows.ravel(), minlength=num_classes**2).reshape(num_classes, num_classes)

    if correction != "jackknife":
        return float(len(given) * mutual_information(table(code), correction))
    if len(code) < 2:
        raise ValueError("the jackknife needs draws >= 2, not 1")
    return float(len(given) * jackknife_information(table(code), map(table, code), len(code)))


@typed
def prediction_complexity(
    predictions, noisy_labels, labels, num_classes: int, *, correction: str | None = None
) -> float:
    """Returns C_pc = sum over samples of I(f(x_i); y'_i), in nats: each information from K draws.

    Needs many draws: an information from K samples cannot exceed log K, and its plug-in bias is (c - 1)^2 / (2 K)
    nats *per sample*. Quote it with K >= 100 only. A corrected information is clipped at 0 for each sample.

    Shapes, errors: as `deviation_complexity`.
    Paper: Bansal, Kaplun, Barak 2021, prediction complexity; C_dc <= C_pc.
    """
    check_correction(correction)
    found, noisy, given = _draws(predictions, noisy_labels, labels, num_classes)
    delta, shift = (found - given) % num_classes, (noisy - given) % num_classes
    if correction == "jackknife" and len(found) < 2:
        raise ValueError("the jackknife needs two draws at least")
    return float(np.maximum(columnwise_information(delta, shift, num_classes, correction), 0).sum())


def binary_deviation_complexity(predictions, noisy_labels, labels, *, correction: str | None = None) -> float:
    """Returns n I(f = y; y' = y), in nats: deviation complexity of the 2 x 2 table of right and flipped.

    At most C_dc (data processing), and its plug-in bias is only 1 / (2 K) nats. With `sharp_memorization_bound` it is
    the package's certificate.

    Shapes: predictions, noisy_labels (K, n), labels (n,).
    Raises: ValueError as `deviation_complexity` does.
    Differs: the paper has the c x c table only; the 2 x 2 one is ours.
    """
    found, noisy, given = _draws(predictions, noisy_labels, labels, None)
    right = (found != given).astype(np.int64)
    flipped = (noisy != given).astype(np.int64)
    return deviation_complexity(right, flipped, np.zeros_like(given), 2, correction=correction)


@typed
def memorization_bound(complexity: float, num_samples: int, rate: float) -> float:
    """Returns sqrt(C / 2n) / eta, the published bound on the memorization gap as a fraction; it may exceed 1.

    Args:
        complexity: C in nats; a negative (bias-corrected) one counts as 0.
        rate: Pr[y' != y].
    Raises: ValueError for a rate that is not in (0, 1], no samples, NaN.
    Paper: Bansal, Kaplun, Barak 2021, theorem II. `sharp_memorization_bound` is never larger.

    >>> memorization_bound(complexity=2.0, num_samples=100, rate=0.5)
    0.2
    """
    return _root_of_information(complexity, num_samples, rate) / rate


@typed
def sharp_memorization_bound(complexity: float, num_samples: int, rate: float) -> float:
    """Returns sqrt((1 - eta) C / (2 n eta)), a bound on the memorization gap that is never above the published one.

    It is `memorization_bound` times sqrt(eta (1 - eta)): 4.6 times smaller at eta = 0.05. Proof: let M say whether the
    label was flipped and B whether the point is predicted right; p = Pr[B], g = p - Pr[B | M]. Where M = 0, Pr[B] is
    p + eta g / (1 - eta). Pinsker's inequality in each row of the 2 x 2 table gives
    I(B; M) >= 2 eta g^2 + 2 (1 - eta) (eta g / (1 - eta))^2 = 2 g^2 eta / (1 - eta), and n I(B; M) <= C. It is tight:
    at p = 1/2 gap and bound agree as g tends to 0, for every eta.

    Args, errors: as `memorization_bound`; C may be `binary_deviation_complexity` or anything that is larger.
    Paper: not in Bansal, Kaplun, Barak 2021. Averaging |Pr[B | M] - p| over M instead of its square (Ahlswede 2007,
    on Tao's inequality) gives half of the published bound. For a fair M, eta = 1/2, it has the form of the bounds
    by the information between one loss and a fair sign (Wang and Mao 2023), which say nothing of other rates.

    >>> round(sharp_memorization_bound(complexity=5.0, num_samples=1000, rate=0.2), 3)
    0.1
    """
    return _root_of_information(complexity, num_samples, rate) * float(np.sqrt((1 - rate) / rate))


def _root_of_information(complexity: float, num_samples: int, rate: float) -> float:
    if not 0 < float(as_rate("rate", rate)) <= 1:
        raise ValueError(f"rate = {rate} must be positive: without flips there is nothing to bound")
    if num_samples < 1 or not np.isfinite(complexity):
        raise ValueError(f"num_samples = {num_samples} and complexity = {complexity} bound nothing")
    return float(np.sqrt(max(complexity, 0.0) / (2 * num_samples)))


@typed
def cluster_vote_complexity(num_clusters: int, num_classes: int) -> float:
    """Returns m log c, in nats, which bounds the description length of a vote inside each of m clusters.

    The clusters must have been found without labels. Derived (H(g) <= m log c); the paper has no such number.

    Raises: ValueError for no cluster or fewer than two classes.

    >>> round(cluster_vote_complexity(10, 10), 2)
    23.03
    """
    if num_clusters < 1 or num_classes < 2:
        raise ValueError(f"{num_clusters} clusters and {num_classes} classes make no classifier")
    return float(num_clusters * np.log(num_classes))


def trustworthy(*estimates: float) -> bool:
    """Whether estimates of one bound (plug-in, Miller-Madow, jackknife) differ by at most a third of the largest.

    >>> trustworthy(0.67, 0.42, 0.0), trustworthy(0.095, 0.080, 0.080)
    (False, True)
    """
    return max(estimates) - min(estimates) <= max(estimates) / 3
