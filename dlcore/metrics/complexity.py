"""Complexities of a fit to noisy labels, in nats, and the bounds on memorization that follow from them."""

from __future__ import annotations

import numpy as np

from dlcore.arrays import as_integers
from dlcore.metrics.checks import as_rate
from dlcore.metrics.information import (
    check_correction,
    columnwise_information,
    jackknife_of,
    mutual_information,
)


def as_draws(predictions, noisy_labels, labels, num_classes: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns predictions, noisy labels (K, n) and clean labels (n,) as int64; raises ValueError for other shapes."""
    given = as_integers("labels", labels, num_classes, ndim=1)
    found = as_integers("predictions", predictions, num_classes, ndim=2)
    noisy = as_integers("noisy_labels", noisy_labels, num_classes, ndim=2)
    if found.shape != noisy.shape or found.shape[1] != len(given):
        raise ValueError(
            f"predictions and noisy_labels must be (draws, {given.size}), not {found.shape} and {noisy.shape}"
        )
    return found, noisy, given


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
    check_correction(correction)
    found, noisy, given = as_draws(predictions, noisy_labels, labels, num_classes)
    delta, shift = (found - given) % num_classes, (noisy - given) % num_classes
    code = delta * num_classes + shift

    def table(rows: np.ndarray) -> np.ndarray:
        return np.bincount(rows.ravel(), minlength=num_classes**2).reshape(num_classes, num_classes)

    if correction != "jackknife":
        return float(len(given) * mutual_information(table(code), correction))
    if len(code) < 2:
        raise ValueError("the jackknife needs draws >= 2, not 1")
    return float(len(given) * jackknife_of(table(code), map(table, code), len(code)))


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
    found, noisy, given = as_draws(predictions, noisy_labels, labels, num_classes)
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
    found, noisy, given = as_draws(predictions, noisy_labels, labels, None)
    right = (found != given).astype(np.int64)
    flipped = (noisy != given).astype(np.int64)
    return deviation_complexity(right, flipped, np.zeros_like(given), 2, correction=correction)


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


def plugin_bias(num_classes: int, draws: int) -> float:
    """Returns (c - 1)^2 / (2 K) nats, how much the plug-in C_dc is too large when classifier and noise are independent.

    >>> plugin_bias(num_classes=2, draws=10)
    0.05
    """
    return (num_classes - 1) ** 2 / (2 * draws)


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
