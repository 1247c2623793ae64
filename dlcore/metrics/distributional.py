"""Distributional generalization: how far the joint law of (feature, prediction) is from that of the labels.

The plug-in estimate of a total variation distance is biased upward: two equal laws have a positive estimate. Every
estimate here comes with the size of that bias (`null_mean`, `null_q95`) and is debiased with it.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from dlcore.arrays import as_integers, as_reals, as_whole, typed
from dlcore.metrics.checks import as_confidence, as_counts, as_law, as_rate, as_weights, tally
from dlcore.metrics.statistics import Interval, wilson_interval
from dlcore.metrics.two_sample import DENSE, Cells, TwoSample, estimates, train_test_tv, two_sample_from_counts
from dlcore.results import Result

__all__ = [
    "AgreementGap",
    "Calibration",
    "TwoSample",
    "agreement",
    "agreement_gap",
    "calibration_from_counts",
    "distinguishability",
    "feature_calibration",
    "joint_density",
    "knn_flip_rate",
    "null_bias",
    "partition_tv",
    "sampler_agreement",
    "symmetric_noise_agreement",
    "total_variation",
    "train_test_tv",
    "two_sample_from_counts",
]


class Calibration(Result, plot="calibration"):
    """TV((L, f), (L, y)) on one set of inputs.

    `tv` plug-in estimate; `null_mean`, `null_q95` its mean and 95 % quantile if the classifier were an exact
    sampler; `debiased` max(0, tv - null_mean), meant for the neighbourhood of 0; `bootstrap_debiased`
    max(0, 2 tv - mean of the bootstrap), for the rest: it takes off less; `low`, `high` interval; `p_value` of the
    hypothesis TV = 0.
    """

    tv: float
    null_mean: float
    null_q95: float
    debiased: float
    low: float
    high: float
    p_value: float
    num_samples: int
    bootstrap_debiased: float


@typed
def joint_density(feature, predictions, num_features: int, num_classes: int) -> np.ndarray:
    """Returns the empirical joint law of (L(x), f(x)).

    Shapes: feature, predictions (n,) integers; result (num_features, num_classes), sums to 1.
    Raises: ValueError for empty input, lengths that disagree, an index out of range.

    >>> joint_density([0, 0, 1, 1], [0, 1, 1, 1], 2, 2).tolist()
    [[0.25, 0.25], [0.0, 0.5]]
    """
    counts = tally(feature, predictions, num_features, num_classes)
    return counts / counts.sum()


def total_variation(p, q) -> float:
    """Returns 1/2 sum |p - q|, in [0, 1], of two laws of the same shape.

    Raises: ValueError when the shapes differ or a law does not sum to 1.
    Paper: Nakkiran and Bansal 2020, equation 2.

    >>> total_variation([0.5, 0.5], [1.0, 0.0])
    0.5
    """
    p, q = (as_reals(name, law) for name, law in (("p", p), ("q", q)))
    if p.shape != q.shape:
        raise ValueError(f"shapes differ: {p.shape} and {q.shape}")
    for name, law in (("p", p), ("q", q)):
        if not np.isfinite(law).all() or (law < 0).any() or abs(law.sum() - 1) > 1e-6:
            raise ValueError(f"{name} is not a law: it must be non-negative and sum to 1, not to {law.sum():.6g}")
    return min(1.0, float(0.5 * np.abs(p - q).sum()))


def null_bias(conditional, group_sizes, *, other_sizes=None) -> float:
    """Returns the mean of the plug-in TV between equal laws, 1/2 sum_l w_l sum_k sqrt(2 p (1 - p) / (pi N_l)).

    w_l is N_l / N. With `other_sizes` both laws are sampled: 1/N_l becomes 1/N_l + 1/N'_l, and w_l the mean of the
    two shares, as in `two_sample_from_counts`; a feature absent from either sample is left out.

    Shapes: conditional (M, K), rows p(y | l); sizes (M,).
    Raises: ValueError for a row that is not a law, sizes of another length, negative, or without a common feature.
    Differs: the paper shows plain estimates; the formula is the mean absolute value of a normal.

    >>> round(null_bias([[0.5, 0.5]], [100]), 4)
    0.0399
    """
    law = as_law("conditional", conditional)
    given = [("group_sizes", group_sizes)] + ([] if other_sizes is None else [("other_sizes", other_sizes)])
    sizes = []
    for name, values in given:
        one = as_reals(name, values)
        if one.shape != (len(law),) or not np.isfinite(one).all() or (one < 0).any():
            raise ValueError(f"{name} must hold {len(law)} counts, not {values}")
        sizes.append(one)
    there = np.all([one > 0 for one in sizes], axis=0)
    if not there.any():
        raise ValueError(f"no feature has points: {', '.join(f'{name} = {values}' for name, values in given)}")
    share = np.mean([one[there] / one[there].sum() for one in sizes], axis=0)
    inverse = np.sum([1 / one[there] for one in sizes], axis=0)
    spread = np.sqrt(2 * law[there] * (1 - law[there]) / np.pi).sum(1)
    return float(0.5 * np.sum(share * spread * np.sqrt(inverse)))


@typed
def feature_calibration(
    feature, predictions, conditional, *, replicates: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Calibration:
    """Returns TV((L(x), f(x)), (L(x), y)) with its bias, debiased value and interval.

    Both laws use the same inputs, so their L-marginals coincide:
    TV = 1/2 sum_l w_l sum_k |p_hat(f = k | l) - p(y = k | l)|, w_l = N_l / N.

    Shapes: feature, predictions (n,) integers; conditional (M, K), row l the exact law p(y | L = l).
    Raises: ValueError for bad labels, or a conditional whose rows are not laws or are those of the points.
    Paper: Nakkiran and Bansal 2020, conjecture 1 (feature calibration).
    Differs: the exact p(y | l) instead of sampled noisy test labels, which would raise the bias by sqrt(2); a
        parametric null (multinomial draws); an interval. The interval takes its width s from a bootstrap over test
        points, stratified by L, and leaves room for the bias, which lies between 0 (far from the null) and
        null_mean (at the null): low = tv - null_mean - z s, high = tv + z s. At 95 %, over 10 groups of 20 to 1,000
        points, low <= TV in 97 to 100 % of simulated tables, and low = 0 in 98 to 100 % of those with TV = 0. Where
        labels are noisy, both limits cover TV in 96 to 100 %. Where p(y | l) is deterministic, TV is an error rate
        and high is Wald's limit: both cover in only 60 % when one error is expected, 91 to 97 % from ten on; use
        `wilson_interval` of the error there. No limit speaks of the draw of the training set, so compute it for
        several seeds.

    >>> feature_calibration([0, 0, 1, 1], [0, 0, 0, 0], [[1, 0], [0, 1]]).tv
    0.5
    """
    law = as_law("conditional", conditional)
    counts = tally(feature, predictions, *law.shape)
    rows, classes = law.shape
    # points are many to a feature; a square law of as many classes as points is one all the same
    if rows == counts.sum() != classes and not counts[-1].any():
        why = "one for each point, where one for each feature is needed"
        raise ValueError(f"conditional has {rows} rows, {why}: give the mean of the rows of a feature's points")
    return calibration_from_counts(counts, law, replicates=replicates, confidence=confidence, seed=seed)


@typed
def calibration_from_counts(
    counts, conditional, *, replicates: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Calibration:
    """Returns `feature_calibration` of a table of counts of (L, f); features without points are left out.

    Shapes: counts, conditional (M, K).
    Raises: ValueError for counts that are not whole, negative, all zero or of another shape, and as
        `feature_calibration` does.

    >>> calibration_from_counts([[50, 50], [0, 100]], [[0.5, 0.5], [0.0, 1.0]]).tv
    0.0
    """
    law = as_law("conditional", conditional)
    table = as_counts("counts", counts, law.shape)
    replicates, confidence = as_whole("replicates", replicates, 2), as_confidence(confidence)
    sizes = table.sum(1)
    there = sizes > 0
    table, law, sizes = table[there], law[there], sizes[there]
    weights = sizes / sizes.sum()

    def distance(draws: np.ndarray) -> np.ndarray:
        return 0.5 * (weights * np.abs(draws / sizes[:, None] - law).sum(-1)).sum(-1)

    rng = np.random.default_rng(seed)
    value = float(distance(table))
    laws = law / law.sum(1, keepdims=True), table / sizes[:, None]
    if replicates * law.size <= DENSE:
        null, again = (distance(rng.multinomial(sizes, p, size=(replicates, len(sizes)))) for p in laws)
    else:
        null, again = (_by_points(rng, Cells(sizes, p), sizes, law, replicates) for p in laws)
    return Calibration(
        **estimates(value, null, again, confidence),
        num_samples=int(sizes.sum()),
        bootstrap_debiased=min(1.0, max(0.0, 2 * value - float(again.mean()))),
    )


def _by_points(
    rng: np.random.Generator, cells: Cells, sizes: np.ndarray, law: np.ndarray, replicates: int
) -> np.ndarray:
    """Returns the distances of `replicates` simulated tables from a law; none is held, and only filled cells are seen."""
    weights, flat = sizes / sizes.sum(), law.ravel()
    # an empty cell is as far off as its share is large
    empty = float(weights @ law.sum(1))
    found = np.empty(replicates)
    for draw in range(replicates):
        filled, counts = np.unique(cells.draw(rng), return_counts=True)
        row, share = filled // law.shape[1], flat[filled]
        found[draw] = 0.5 * (empty + float(weights[row] @ (np.abs(counts / sizes[row] - share) - share)))
    return found


def partition_tv(counts, conditional, groups) -> tuple[float, float]:
    """Returns (TV, its bias) of a coarser partition: each feature's counts and law are added up within its group.

    The bias is the mean of the estimate when the classifier is an exact sampler of the *finer* law. Drawing from the
    coarser law would exaggerate it: a group of noise-free features of different labels has no noise at all.

    Shapes: counts, conditional (M, K); groups (M,) integers.
    Raises: ValueError as `calibration_from_counts` does, and for another number of groups.
    Paper: Nakkiran and Bansal 2020, definition 1: the partition may be this class against the rest.

    >>> partition_tv([[8, 2], [10, 0], [1, 9]], [[0.8, 0.2], [1, 0], [0, 1]], [0, 1, 1])[0]
    0.03333333333333333
    """
    law = as_law("conditional", conditional)
    table = as_counts("counts", counts, law.shape)
    of = as_integers("groups", groups)
    if of.shape != (len(law),):
        raise ValueError(f"groups must hold one number for each of {len(law)} features, not {of.shape}")
    member = np.eye(of.max() + 1)[of].T
    sizes = table.sum(1, keepdims=True)
    apart = member @ (table - sizes * law)
    variance = member @ (sizes * law * (1 - law))
    scale = 0.5 / table.sum()
    return float(scale * np.abs(apart).sum()), float(scale * np.sqrt(2 * variance / np.pi).sum())


@typed
def distinguishability(predictions, feature, *, confidence: float = 0.95) -> Interval:
    """Returns epsilon, the test error of the same procedure trained on the labels L, with Wilson's interval.

    Shapes: both (n,) integers.
    Raises: ValueError for empty input, floats, lengths that disagree, a confidence outside (0, 1).
    Paper: Nakkiran and Bansal 2020, definition 1: L is (epsilon, A, D, n)-distinguishable.

    >>> distinguishability([0, 1, 1, 0], [0, 1, 1, 1]).value
    0.25
    """
    f, labels = as_integers("predictions", predictions, ndim=1), as_integers("feature", feature, ndim=1)
    if f.shape != labels.shape:
        raise ValueError(f"predictions {f.shape} and feature {labels.shape} must be equally long")
    return wilson_interval(int((f != labels).sum()), f.size, confidence=confidence)


class AgreementGap(Result, plot="agreement"):
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


@typed
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
    draws = np.random.default_rng(seed).multinomial(a.size, counts / a.size, size=as_whole("replicates", replicates, 2))
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


@typed
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


@typed
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
