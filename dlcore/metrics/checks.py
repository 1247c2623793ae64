"""Checks of the arguments of metrics: clear errors before any work is done."""

from __future__ import annotations

import numpy as np

from dlcore.arrays import as_integers, as_reals


def as_counts(name: str, table, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Returns a non-empty int64 matrix of counts; raises ValueError for any other shape, fractions, negatives."""
    counts = as_integers(name, table)
    if counts.ndim != 2 or counts.shape != (shape or counts.shape) or counts.sum() == 0:
        wanted = f"a non-empty {shape} table" if shape else "a non-empty matrix"
        raise ValueError(f"{name} must be {wanted}, not of shape {counts.shape} with sum {counts.sum()}")
    return counts


def as_law(name: str, rows) -> np.ndarray:
    """Returns an (M, K) float array whose rows are laws; raises ValueError naming the first row that is not."""
    law = as_reals(name, rows)
    if law.ndim != 2:
        raise ValueError(f"{name} must be a matrix with a law in each row, not of shape {law.shape}")
    wrong = ~np.isfinite(law).all(1) | (law < 0).any(1) | (np.abs(law.sum(1) - 1) > 1e-6)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{name}: row {row} is not a law (it sums to {law[row].sum():.6g})")
    return law


def as_weights(name: str, weights, size: int) -> np.ndarray:
    """Returns one law of `size` entries; raises ValueError for another length or a sum that is not 1."""
    share = as_law(name, as_reals(name, weights)[None])[0]
    if share.shape != (size,):
        raise ValueError(f"{name} must hold {size} shares, not {share.size}")
    return share


def as_rate(name: str, rate, missing: bool = False) -> np.ndarray:
    """Returns rates as a float array; raises ValueError outside [0, 1], and for NaN unless some may be `missing`."""
    array = as_reals(name, rate)
    inside = (array >= 0) & (array <= 1) | (np.isnan(array) & missing)
    if not inside.all():
        raise ValueError(f"{name} = {array[~inside].flat[0]} is outside [0, 1]: a fraction is needed")
    return array


def as_confidence(confidence: float) -> float:
    """Returns the level of an interval; raises ValueError outside (0, 1): 0.95, not 95."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence = {confidence} is outside (0, 1)")
    return confidence


def tally(feature, predictions, num_features: int, num_classes: int) -> np.ndarray:
    """Returns the (num_features, num_classes) counts of pairs; raises ValueError as `as_integers` does.

    >>> tally([0, 0, 1], [1, 1, 0], 2, 2).tolist()
    [[0, 2], [1, 0]]
    """
    rows = as_integers("feature", feature, num_features, ndim=1)
    columns = as_integers("predictions", predictions, num_classes, ndim=1)
    if rows.shape != columns.shape:
        raise ValueError(f"feature has {rows.size} entries, predictions {columns.size}")
    cells = np.bincount(rows * num_classes + columns, minlength=num_features * num_classes)
    return cells.reshape(num_features, num_classes)
