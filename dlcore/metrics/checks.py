"""Checks of the arguments of metrics: clear errors before any work is done."""

from __future__ import annotations

import numpy as np


def as_integers(name: str, values, bound: int | None = None) -> np.ndarray:
    """Returns a flat int64 array; raises ValueError for floats, an empty array or a value outside 0..bound-1."""
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if array.size == 0:
        raise ValueError(f"{name} is empty")
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must hold integers, not {array.dtype}")
    array = array.astype(np.int64)
    if bound is not None:
        bad = array[(array < 0) | (array >= bound)]
        if bad.size:
            raise ValueError(f"{name} holds {bad.flat[0]}, outside 0..{bound - 1}")
    return array


def as_law(name: str, rows) -> np.ndarray:
    """Returns an (M, K) float array whose rows are laws; raises ValueError naming the first row that is not."""
    law = np.asarray(rows.detach().cpu() if hasattr(rows, "detach") else rows, dtype=float)
    if law.ndim != 2:
        raise ValueError(f"{name} must be a matrix with a law in each row, not of shape {law.shape}")
    wrong = ~np.isfinite(law).all(1) | (law < 0).any(1) | (np.abs(law.sum(1) - 1) > 1e-6)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{name}: row {row} is not a law (it sums to {law[row].sum():.6g})")
    return law


def as_rate(name: str, rate) -> np.ndarray:
    """Returns rates as a float array; raises ValueError outside [0, 1]."""
    array = np.asarray(rate, dtype=float)
    if not np.isfinite(array).all() or ((array < 0) | (array > 1)).any():
        raise ValueError(f"{name} = {rate} is outside [0, 1]")
    return array
