"""Train against test: TV between two sampled laws of (feature, prediction), with the null of equal laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from dlcore.metrics.checks import as_confidence, as_counts, as_replicates, tally
from dlcore.metrics.statistics import Interval


@dataclass(frozen=True)
class TwoSample:
    """TV between the joint laws on train and on test.

    `tv` plug-in estimate; `null_mean`, `null_q95` its mean and 95 % quantile if the two laws were equal; `debiased`
    max(0, tv - null_mean); `p_value` of equal laws; `interval` of TV, whose ends are also `low` and `high`.
    """

    tv: float
    null_mean: float
    null_q95: float
    debiased: float
    p_value: float
    interval: Interval

    @property
    def low(self) -> float:
        """Lower limit of TV."""
        return self.interval.low

    @property
    def high(self) -> float:
        """Upper limit of TV."""
        return self.interval.high


def train_test_tv(
    feature_train, predictions_train, feature_test, predictions_test, num_features, num_classes, **options
) -> TwoSample:
    """Returns the two-sample comparison of (L, f) on train and on test; options as in `two_sample_from_counts`.

    Shapes: the first pair (n,), the second (m,), all integers.
    Raises: ValueError for a value out of range, floats, lengths that disagree, no common feature.
    Paper: Nakkiran and Bansal 2020, section 5.

    >>> train_test_tv([0, 0], [0, 1], [0, 0], [1, 1], 1, 2).tv
    0.5
    """
    return two_sample_from_counts(
        tally(feature_train, predictions_train, num_features, num_classes),
        tally(feature_test, predictions_test, num_features, num_classes),
        **options,
    )


def two_sample_from_counts(
    counts_train, counts_test, *, replicates: int = 1000, confidence: float = 0.95, seed: int = 0
) -> TwoSample:
    """Returns TV between the conditional laws of f given L on train and on test, with the null of equal laws.

    TV = 1/2 sum_l w_l sum_k |p_hat_tr(k | l) - p_hat_te(k | l)|; w_l is the mean of the two shares of l, features
    seen on one side only are left out. The null re-splits the pooled predictions at random within each feature
    (multivariate hypergeometric), so the test is exact: under equal laws the p-value is uniform or larger.

    The interval is built as in `feature_calibration`, both samples drawn again: low = tv - null_mean - z s,
    high = tv + z s. At 95 % it covers in 95 to 100 % of simulated tables with noisy predictions and 86 to 98 % with
    rare errors only. It treats the predictions as independent draws and says nothing about the draw of the training
    set: compute it for several seeds.

    Shapes: counts (M, K) of (L, f).
    Raises: ValueError for tables of two shapes, counts that are not whole or negative, no common feature.
    Paper: Nakkiran and Bansal 2020, section 5: generalised feature calibration compares train with test.

    >>> two_sample_from_counts([[5, 5]], [[50, 50]]).tv
    0.0
    """
    a, b = as_counts("counts_train", counts_train), as_counts("counts_test", counts_test)
    if a.shape != b.shape:
        raise ValueError(f"two tables of one shape are needed, not {a.shape} and {b.shape}")
    both = (a.sum(1) > 0) & (b.sum(1) > 0)
    if not both.any():
        raise ValueError("train and test share no feature")
    as_replicates(replicates)
    z = float(norm.ppf(0.5 + as_confidence(confidence) / 2))
    a, b = a[both], b[both]
    na, nb = a.sum(1), b.sum(1)
    weights = 0.5 * (na / na.sum() + nb / nb.sum())

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 0.5 * (weights * np.abs(x / na[:, None] - y / nb[:, None]).sum(-1)).sum(-1)

    rng = np.random.default_rng(seed)
    rows = [
        rng.multivariate_hypergeometric(pool, size, size=replicates, method="marginals")
        for pool, size in zip(a + b, na, strict=True)
    ]
    split = np.stack(rows, axis=1)
    null, value = distance(split, a + b - split), float(distance(a, b))
    again = [rng.multinomial(n, x / n[:, None], size=(replicates, len(n))) for x, n in ((a, na), (b, nb))]
    half = z * float(distance(*again).std())
    low, high = np.clip([value - float(null.mean()) - half, value + half], 0, 1)
    return TwoSample(
        tv=value,
        null_mean=float(null.mean()),
        null_q95=float(np.quantile(null, 0.95)),
        debiased=max(0.0, value - float(null.mean())),
        p_value=float((1 + np.sum(null >= value - 1e-12)) / (1 + replicates)),
        interval=Interval(value, float(low), float(high), int(na.sum() + nb.sum())),
    )
