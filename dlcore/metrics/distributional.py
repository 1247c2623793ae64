"""Distributional generalization: how far the joint law of (feature, prediction) is from that of the labels.

The plug-in estimate of a total variation distance is biased upward: two equal laws have a positive estimate. Every
estimate here comes with the size of that bias (`null_mean`, `null_q95`) and is debiased with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from dlcore.metrics.agreement import (
    GDE,
    AgreementGap,
    agreement,
    agreement_gap,
    gde,
    knn_flip_rate,
    sampler_accuracy,
    sampler_agreement,
    symmetric_noise_agreement,
)
from dlcore.metrics.checks import as_integers, as_law
from dlcore.metrics.statistics import Interval, wilson_interval

__all__ = [
    "GDE",
    "AgreementGap",
    "Calibration",
    "TwoSample",
    "agreement",
    "agreement_gap",
    "bayes_reference",
    "calibration_from_counts",
    "conjecture_holds",
    "distinguishability",
    "feature_calibration",
    "gde",
    "joint_density",
    "knn_flip_rate",
    "null_bias",
    "sampler_accuracy",
    "sampler_agreement",
    "symmetric_noise_agreement",
    "total_variation",
    "train_test_tv",
    "two_sample_from_counts",
]


@dataclass(frozen=True)
class Calibration:
    """TV((L, f), (L, y)) on one set of inputs.

    `tv` plug-in estimate; `null_mean`, `null_q95` its mean and 95 % quantile if the classifier were an exact
    sampler; `debiased` max(0, tv - null_mean), meant for the neighbourhood of 0; `low`, `high` interval;
    `p_value` of the hypothesis TV = 0.
    """

    tv: float
    null_mean: float
    null_q95: float
    debiased: float
    low: float
    high: float
    p_value: float
    num_samples: int


@dataclass(frozen=True)
class TwoSample:
    """TV between the joint laws on train and on test, with the null of equal laws (fields as in `Calibration`)."""

    tv: float
    null_mean: float
    null_q95: float
    debiased: float
    p_value: float


def joint_density(feature, predictions, num_features: int, num_classes: int) -> np.ndarray:
    """Returns the empirical joint law of (L(x), f(x)).

    Shapes: feature, predictions (n,) integers; result (num_features, num_classes), sums to 1.
    Raises: ValueError for empty input, lengths that disagree, an index out of range.

    >>> joint_density([0, 0, 1, 1], [0, 1, 1, 1], 2, 2).tolist()
    [[0.25, 0.25], [0.0, 0.5]]
    """
    counts = _counts(feature, predictions, num_features, num_classes)
    return counts / counts.sum()


def _counts(feature, predictions, num_features: int, num_classes: int) -> np.ndarray:
    rows = as_integers("feature", feature, num_features)
    columns = as_integers("predictions", predictions, num_classes)
    if rows.shape != columns.shape:
        raise ValueError(f"feature has {rows.size} entries, predictions {columns.size}")
    counts = np.zeros((num_features, num_classes), dtype=np.int64)
    np.add.at(counts, (rows, columns), 1)
    return counts


def total_variation(p, q) -> float:
    """Returns 1/2 sum |p - q|, in [0, 1], of two laws of the same shape.

    Raises: ValueError when the shapes differ or a law does not sum to 1.
    Paper: Nakkiran and Bansal 2020, equation 2.

    >>> total_variation([0.5, 0.5], [1.0, 0.0])
    0.5
    """
    p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
    if p.shape != q.shape:
        raise ValueError(f"shapes differ: {p.shape} and {q.shape}")
    for name, law in (("p", p), ("q", q)):
        if not np.isfinite(law).all() or (law < 0).any() or abs(law.sum() - 1) > 1e-6:
            raise ValueError(f"{name} is not a law: it must be non-negative and sum to 1, not to {law.sum():.6g}")
    return float(0.5 * np.abs(p - q).sum())


def null_bias(conditional, group_sizes, other_sizes=None) -> float:
    """Returns the mean of the plug-in TV between equal laws, 1/2 sum_l w_l sum_k sqrt(2 p (1 - p) / (pi N_l)).

    With `other_sizes` both laws are sampled and 1/N_l becomes 1/N_l + 1/N'_l. w_l is N_l / N.

    Shapes: conditional (M, K), rows p(y | l); sizes (M,).
    Differs: the paper shows plain estimates; the formula is the mean absolute value of a normal.

    >>> round(null_bias([[0.5, 0.5]], [100]), 4)
    0.0399
    """
    law = as_law("conditional", conditional)
    sizes = np.asarray(group_sizes, dtype=float)
    if sizes.shape != (len(law),) or (sizes < 0).any() or sizes.sum() == 0:
        raise ValueError(f"group_sizes must hold {len(law)} counts, not {group_sizes}")
    with np.errstate(divide="ignore"):
        inverse = 1 / sizes + (0 if other_sizes is None else 1 / np.asarray(other_sizes, dtype=float))
    there = sizes > 0
    spread = np.sqrt(2 * law * (1 - law) / np.pi).sum(1)
    return float(0.5 * np.sum((sizes / sizes.sum() * spread)[there] * np.sqrt(inverse[there])))


def feature_calibration(
    feature, predictions, conditional, *, replicates: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Calibration:
    """Returns TV((L(x), f(x)), (L(x), y)) with its bias, debiased value and interval.

    Both laws use the same inputs, so their L-marginals coincide:
    TV = 1/2 sum_l w_l sum_k |p_hat(f = k | l) - p(y = k | l)|, w_l = N_l / N.

    Shapes: feature, predictions (n,) integers; conditional (M, K), row l the exact law p(y | L = l).
    Raises: ValueError for bad labels, or a conditional whose rows are not laws.
    Paper: Nakkiran and Bansal 2020, conjecture 1 (feature calibration).
    Differs: the exact p(y | l) instead of sampled noisy test labels, which would raise the bias by sqrt(2); a
        parametric null (multinomial draws); an interval. The interval takes its width from a bootstrap over test
        points, stratified by L, and leaves room for the bias: low = tv - null_mean - z s, high = tv + z s. It is
        conservative (a test simulates its coverage) and says nothing about the draw of the training set, so
        compute it for several seeds.

    >>> feature_calibration([0, 0, 1, 1], [0, 0, 0, 0], [[1, 0], [0, 1]]).tv
    0.5
    """
    law = as_law("conditional", conditional)
    counts = _counts(feature, predictions, *law.shape)
    return calibration_from_counts(counts, law, replicates=replicates, confidence=confidence, seed=seed)


def calibration_from_counts(
    counts, conditional, *, replicates: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Calibration:
    """Returns `feature_calibration` of a table of counts (M, K) of (L, f)."""
    law = as_law("conditional", conditional)
    table = np.asarray(counts)
    if table.shape != law.shape or (table < 0).any() or table.sum() == 0:
        raise ValueError(f"counts must be a non-empty {law.shape} table, not {table.shape}")
    sizes = table.sum(1)
    there = sizes > 0
    table, law, sizes = table[there], law[there], sizes[there]
    weights = sizes / sizes.sum()

    def distance(draws: np.ndarray) -> np.ndarray:
        return 0.5 * (weights * np.abs(draws / sizes[:, None] - law).sum(-1)).sum(-1)

    rng = np.random.default_rng(seed)
    value = float(distance(table))
    null = distance(_multinomial(rng, sizes, law, replicates))
    again = distance(_multinomial(rng, sizes, table / sizes[:, None], replicates))
    half = float(norm.ppf(0.5 + confidence / 2) * again.std())
    # the bias lies between 0 (far from the null) and null_mean (at the null): each end allows for the worse case
    low, high = np.clip([value - float(null.mean()) - half, value + half], 0, 1)
    p_value = (1 + np.sum(null >= value - 1e-12)) / (1 + replicates)
    return Calibration(
        tv=value,
        null_mean=float(null.mean()),
        null_q95=float(np.quantile(null, 0.95)),
        debiased=max(0.0, value - float(null.mean())),
        low=float(low),
        high=float(high),
        p_value=float(p_value),
        num_samples=int(sizes.sum()),
    )


def _multinomial(rng: np.random.Generator, sizes: np.ndarray, law: np.ndarray, replicates: int) -> np.ndarray:
    """Returns (replicates, M, K) counts."""
    return rng.multinomial(sizes, law / law.sum(1, keepdims=True), size=(replicates, len(sizes)))


def train_test_tv(
    feature_train, predictions_train, feature_test, predictions_test, num_features, num_classes, **options
) -> TwoSample:
    """Returns the two-sample comparison of (L, f) on train and on test; options as in `two_sample_from_counts`."""
    return two_sample_from_counts(
        _counts(feature_train, predictions_train, num_features, num_classes),
        _counts(feature_test, predictions_test, num_features, num_classes),
        **options,
    )


def two_sample_from_counts(counts_train, counts_test, *, replicates: int = 1000, seed: int = 0) -> TwoSample:
    """Returns TV between the conditional laws of f given L on train and on test, with the null of equal laws.

    TV = 1/2 sum_l w_l sum_k |p_hat_tr(k | l) - p_hat_te(k | l)|; w_l is the mean of the two shares of l, features
    seen on one side only are left out. The null re-splits the pooled predictions at random within each feature
    (multivariate hypergeometric), so the test is exact: under equal laws the p-value is uniform or larger.

    Shapes: counts (M, K) of (L, f).
    Paper: Nakkiran and Bansal 2020, section 5: generalised feature calibration compares train with test.
    """
    a, b = np.asarray(counts_train), np.asarray(counts_test)
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"two tables of one shape are needed, not {a.shape} and {b.shape}")
    both = (a.sum(1) > 0) & (b.sum(1) > 0)
    if not both.any():
        raise ValueError("train and test share no feature")
    a, b = a[both].astype(np.int64), b[both].astype(np.int64)
    na, nb = a.sum(1), b.sum(1)
    weights = 0.5 * (na / na.sum() + nb / nb.sum())

    def distance(x: np.ndarray) -> np.ndarray:
        return 0.5 * (weights * np.abs(x / na[:, None] - (a + b - x) / nb[:, None]).sum(-1)).sum(-1)

    rng = np.random.default_rng(seed)
    rows = [
        rng.multivariate_hypergeometric(pool, size, size=replicates, method="marginals")
        for pool, size in zip(a + b, na, strict=True)
    ]
    null, value = distance(np.stack(rows, axis=1)), float(distance(a))
    return TwoSample(
        tv=value,
        null_mean=float(null.mean()),
        null_q95=float(np.quantile(null, 0.95)),
        debiased=max(0.0, value - float(null.mean())),
        p_value=float((1 + np.sum(null >= value - 1e-12)) / (1 + replicates)),
    )


def bayes_reference(conditional) -> np.ndarray:
    """Returns the law of the Bayes classifier that sees L only: all mass on the likeliest label, ties shared.

    >>> bayes_reference([[0.6, 0.4], [0.5, 0.5]]).tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    law = as_law("conditional", conditional)
    best = np.isclose(law, law.max(1, keepdims=True), atol=1e-12)
    return best / best.sum(1, keepdims=True)


def distinguishability(predictions, feature, confidence: float = 0.95) -> Interval:
    """Returns epsilon, the test error of the same procedure trained on the labels L, with Wilson's interval.

    Paper: Nakkiran and Bansal 2020, definition 1: L is (epsilon, A, D, n)-distinguishable.

    >>> distinguishability([0, 1, 1, 0], [0, 1, 1, 1]).value
    0.25
    """
    f, labels = (np.asarray(v.detach().cpu() if hasattr(v, "detach") else v) for v in (predictions, feature))
    if f.shape != labels.shape or f.size == 0:
        raise ValueError(f"predictions {f.shape} and feature {labels.shape} must be equally long and not empty")
    return wilson_interval(int((f != labels).sum()), f.size, confidence)


def conjecture_holds(calibration: Calibration, epsilon: Interval) -> bool:
    """Whether the data are compatible with TV <= epsilon: the lower limit of TV does not pass the upper of epsilon."""
    return calibration.low <= epsilon.high
