"""Checks of the arguments of metrics: clear errors before any work is done."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np


def as_array(values) -> np.ndarray:
    """Returns a NumPy array of a list, an array, or a tensor on any device."""
    if not hasattr(values, "detach"):
        return np.asarray(values)
    tensor = values.detach().cpu()
    # NumPy has no bfloat16
    return np.asarray(tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor)


def as_integers(name: str, values, bound: int | None = None) -> np.ndarray:
    """Returns an int64 array of labels; raises ValueError for floats, an empty array or a value outside 0..bound-1.

    Without a bound, only negative values are refused.
    """
    array = as_array(values)
    if array.size == 0:
        raise ValueError(f"{name} is empty")
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must hold integers, not {array.dtype}{_remedy(array)}")
    array = array.astype(np.int64)
    bad = array[(array < 0) | (array >= (np.inf if bound is None else bound))]
    if bad.size:
        raise ValueError(f"{name} holds {bad.flat[0]}, outside 0..{'' if bound is None else bound - 1}")
    return array


def _remedy(array: np.ndarray) -> str:
    """Returns how to make integers of what was given, or an empty string."""
    if array.dtype.kind in "USO":
        return "; number the classes 0, 1, 2, ... first, with one numbering for all arrays"
    if array.dtype.kind == "f" and array.ndim == 2:
        return "; of class scores (n, classes) take argmax(1)"
    return "; use astype(int)" if array.dtype.kind == "b" else ""


def as_counts(name: str, table, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Returns a non-empty int64 matrix of counts; raises ValueError for any other shape, fractions, negatives."""
    counts = as_array(table)
    if counts.ndim != 2 or counts.shape != (shape or counts.shape) or counts.sum() == 0:
        wanted = f"a non-empty {shape} table" if shape else "a non-empty matrix"
        raise ValueError(f"{name} must be {wanted}, not of shape {counts.shape} with sum {counts.sum()}")
    return as_integers(name, counts)


def as_law(name: str, rows) -> np.ndarray:
    """Returns an (M, K) float array whose rows are laws; raises ValueError naming the first row that is not."""
    law = np.asarray(as_array(rows), dtype=float)
    if law.ndim != 2:
        raise ValueError(f"{name} must be a matrix with a law in each row, not of shape {law.shape}")
    wrong = ~np.isfinite(law).all(1) | (law < 0).any(1) | (np.abs(law.sum(1) - 1) > 1e-6)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{name}: row {row} is not a law (it sums to {law[row].sum():.6g})")
    return law


def as_weights(name: str, weights, size: int) -> np.ndarray:
    """Returns one law of `size` entries; raises ValueError for another length or a sum that is not 1."""
    share = as_law(name, [as_array(weights)])[0]
    if share.shape != (size,):
        raise ValueError(f"{name} must hold {size} shares, not {share.size}")
    return share


def as_rate(name: str, rate) -> np.ndarray:
    """Returns rates as a float array; raises ValueError outside [0, 1]."""
    array = np.asarray(as_array(rate), dtype=float)
    if not np.isfinite(array).all() or ((array < 0) | (array > 1)).any():
        raise ValueError(f"{name} = {rate} is outside [0, 1]")
    return array


def as_confidence(confidence: float) -> float:
    """Returns the level of an interval; raises ValueError outside (0, 1): 0.95, not 95."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence = {confidence} is outside (0, 1)")
    return confidence


def as_replicates(replicates: int) -> int:
    """Returns the number of simulated draws; raises ValueError below 2, where there is no spread."""
    if replicates < 2:
        raise ValueError(f"replicates = {replicates} must be at least 2")
    return replicates


def as_choice(name: str, value: str, choices: Iterable[str]) -> str:
    """Returns the value; raises ValueError for one that is not a choice, with the nearest that is.

    >>> as_choice("distance", "euclid", ["euclidean", "cosine"])
    Traceback (most recent call last):
    ValueError: unknown distance 'euclid'; did you mean 'euclidean'? choose from: euclidean, cosine
    """
    choices = list(choices)
    if value in choices:
        return value
    near = difflib.get_close_matches(str(value).lower(), choices, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    raise ValueError(f"unknown {name} {value!r}{hint} choose from: {', '.join(choices)}")


def tally(feature, predictions, num_features: int, num_classes: int) -> np.ndarray:
    """Returns the (num_features, num_classes) counts of pairs; raises ValueError as `as_integers` does.

    >>> tally([0, 0, 1], [1, 1, 0], 2, 2).tolist()
    [[0, 2], [1, 0]]
    """
    rows = as_integers("feature", feature, num_features)
    columns = as_integers("predictions", predictions, num_classes)
    if rows.shape != columns.shape:
        what = f"{rows.size} entries, predictions {columns.size}"
        if rows.size == columns.size:
            what = f"shape {rows.shape}, predictions {columns.shape}: flatten both"
        raise ValueError(f"feature has {what}")
    cells = np.bincount((rows * num_classes + columns).ravel(), minlength=num_features * num_classes)
    return cells.reshape(num_features, num_classes)
