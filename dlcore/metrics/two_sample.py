"""Train against test: TV between two sampled laws of (feature, prediction), with the null of equal laws."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from dlcore.arrays import as_whole, typed
from dlcore.metrics.checks import as_confidence, as_counts, tally
from dlcore.metrics.statistics import Interval
from dlcore.results import Result

# counts in all simulated tables together, beyond which they are drawn one by one and point by point
DENSE = 2**24


class Cells:
    """Simulated points of a law p(k | l), as the cells l K + k that they fall into: `sizes` (M,) points of each row.

    A multinomial draw goes through every cell: of 1,000 features and classes a million, for some thousand points.
    """

    def __init__(self, sizes: np.ndarray, law: np.ndarray) -> None:
        self.rows, self.last = np.repeat(np.arange(len(sizes)), sizes), law.shape[1] - 1
        edges = np.cumsum(law, axis=1)
        self.edges = (edges / edges[:, -1:] + np.arange(len(law))[:, None]).ravel()

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Returns the cells of one simulated sample (n,), in order."""
        # in order, so that the search goes through the table once
        found = np.searchsorted(self.edges, np.sort(self.rows + rng.random(len(self.rows))), side="right")
        # rounding at the end of a row must not lead into the next
        return np.minimum(found, self.rows * (self.last + 1) + self.last)


class TwoSample(Result, plot="calibration"):
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


def estimates(value: float, null: np.ndarray, again: np.ndarray, confidence: float) -> dict[str, float]:
    """Returns what is said of a distance, from simulated ones of equal laws (`null`) and of the laws found (`again`)."""
    mean, half = float(null.mean()), float(norm.ppf(0.5 + confidence / 2)) * float(again.std())
    # the bias lies between 0 (far from the null) and null_mean (at the null): each end allows for the worse case
    low, high = np.clip([value - mean - half, value + half], 0, 1)
    return {
        "tv": value,
        "null_mean": mean,
        "null_q95": float(np.quantile(null, 0.95)),
        "debiased": max(0.0, value - mean),
        "low": float(low),
        "high": float(high),
        "p_value": float((1 + np.sum(null >= value - 1e-12)) / (1 + len(null))),
    }


@typed
def train_test_tv(
    feature_train, predictions_train, feature_test, predictions_test, num_features: int, num_classes: int, **options
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


@typed
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
    replicates, confidence = as_whole("replicates", replicates, 2), as_confidence(confidence)
    a, b = a[both], b[both]
    na, nb = a.sum(1), b.sum(1)
    weights = 0.5 * (na / na.sum() + nb / nb.sum())

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 0.5 * (weights * np.abs(x / na[:, None] - y / nb[:, None]).sum(-1)).sum(-1)

    rng, value = np.random.default_rng(seed), float(distance(a, b))
    if replicates * a.size <= DENSE:
        rows = [
            rng.multivariate_hypergeometric(pool, size, size=replicates, method="marginals")
            for pool, size in zip(a + b, na, strict=True)
        ]
        split = np.stack(rows, axis=1)
        null = distance(split, a + b - split)
        again = distance(*(rng.multinomial(n, x / n[:, None], (replicates, len(n))) for x, n in ((a, na), (b, nb))))
    else:
        null, again = _by_points(rng, a, b, weights, replicates)
    found = estimates(value, null, again, confidence)
    interval = Interval(value, found.pop("low"), found.pop("high"), int(na.sum() + nb.sum()))
    return TwoSample(**found, interval=interval)


def _by_points(
    rng: np.random.Generator, a: np.ndarray, b: np.ndarray, weights: np.ndarray, replicates: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distances of both kinds of simulated tables, of which none is held."""
    na, nb = a.sum(1), b.sum(1)
    pooled = np.repeat(np.arange(a.size), (a + b).ravel())
    rows, width = pooled // a.shape[1], a.shape[1]
    # of the points of a row in random order the first n_a are train's
    to_train = np.arange(len(pooled)) - (np.cumsum(na + nb) - na - nb)[rows] < na[rows]
    sides = Cells(na, a / na[:, None]), Cells(nb, b / nb[:, None])

    def distance(x: np.ndarray, y: np.ndarray) -> float:
        where = np.unique(np.concatenate([x, y]), return_inverse=True)[1]
        shares = np.concatenate([(weights / na)[x // width], -(weights / nb)[y // width]])
        return 0.5 * float(np.abs(np.bincount(where, weights=shares)).sum())

    null, again = np.empty(replicates), np.empty(replicates)
    for draw in range(replicates):
        order = pooled[np.argsort(rows + rng.random(len(pooled)))]
        null[draw] = distance(order[to_train], order[~to_train])
        again[draw] = distance(*(side.draw(rng) for side in sides))
    return null, again
