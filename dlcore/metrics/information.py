"""Mutual information of two discrete variables from counts, in nats, with corrections of the plug-in's upward bias."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.special import xlogy

from dlcore.arrays import as_reals

CORRECTIONS = (None, "miller-madow", "jackknife")


def check_correction(correction: str | None) -> str | None:
    """Returns the name of a correction; raises ValueError for any other."""
    if correction not in CORRECTIONS:
        raise ValueError(f"unknown correction {correction!r}; choose from: None, 'miller-madow', 'jackknife'")
    return correction


def mutual_information(counts, correction: str | None = None) -> np.ndarray:
    """Returns the mutual information, in nats, of the row and the column of tables of counts.

    The plug-in estimate is biased upward by about (R - 1)(C - 1) / (2 N) for independent R x C tables of N counts.
    "miller-madow" takes off (cells - rows - columns + 1) / (2 N), counting what is not empty.

    Shapes: counts (..., R, C) non-negative; result (...), a float for one table. An empty table has NaN.
    Raises: ValueError for negative or non-finite counts, fewer than two axes, an unknown correction ("jackknife"
        needs the draws: `jackknife_information`).
    Paper: Miller 1955; plug-in as in the released code of Bansal et al. 2021, which takes it in bits.

    >>> round(float(mutual_information([[50, 0], [0, 50]])), 4)  # log 2
    0.6931
    >>> float(mutual_information([[25, 25], [25, 25]]))
    0.0
    """
    table = as_reals("counts", counts)
    if table.ndim < 2:
        raise ValueError(f"counts must be a table, not of shape {table.shape}")
    if not np.isfinite(table).all() or (table < 0).any():
        raise ValueError("counts must be finite and non-negative")
    if check_correction(correction) == "jackknife":
        raise ValueError("the jackknife deletes draws: give their tables to jackknife_information")
    total = table.sum((-2, -1))
    rows, columns = table.sum(-1), table.sum(-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        # sum n log n - sum r log r - sum c log c + N log N, over N: no division by an empty margin
        found = xlogy(table, table).sum((-2, -1)) - xlogy(rows, rows).sum(-1) - xlogy(columns, columns).sum(-1)
        found = (found + xlogy(total, total)) / total
        found = np.maximum(found, 0.0)
        if correction == "miller-madow":
            filled = (table > 0).sum((-2, -1)) - (rows > 0).sum(-1) - (columns > 0).sum(-1) + 1
            found = found - filled / (2 * total)
    return found[()]


def jackknife_information(total: np.ndarray, tables: Iterable[np.ndarray], draws: int) -> float:
    """Returns K I(all) - (K - 1) mean of I(all but draw k), in nats: the delete-one-draw jackknife.

    It makes no assumption on the counts inside one draw, which share their classifier and are not independent.

    Shapes: total (R, C), the sum of the tables; tables, one (R, C) for each of K draws, which may come one by one.
    """
    left = [float(mutual_information(total - table)) for table in tables]
    return float(draws * mutual_information(total) - (draws - 1) * np.mean(left))


def columnwise_information(first: np.ndarray, second: np.ndarray, levels: int, correction: str | None) -> np.ndarray:
    """Returns I(first[:, i]; second[:, i]) over the draws, in nats, for every column i.

    Only cells that occur are counted: K of them at most in a column, where a table has levels^2.

    Shapes: first, second (K, n) integers in 0..levels-1; result (n,).
    """
    draws, n = first.shape
    at = np.arange(n)
    counts, sums, filled = [], [], []
    for code in (at * levels**2 + first * levels + second, at * levels + first, at * levels + second):
        cells, where, count = np.unique(code, return_inverse=True, return_counts=True)
        column = cells // (levels**2 if not counts else levels)
        counts.append(count[where].reshape(draws, n))
        sums.append(np.bincount(column, weights=xlogy(count, count), minlength=n))
        filled.append(np.bincount(column, minlength=n))
    sums = sums[0] - sums[1] - sums[2]
    whole = np.maximum((sums + xlogy(draws, draws)) / draws, 0.0)
    if correction == "miller-madow":
        whole = whole - (filled[0] - filled[1] - filled[2] + 1) / (2 * draws)
    if correction != "jackknife":
        return whole
    # leaving a draw out lowers one cell, its row and its column by one: the change is a difference of x log x
    change = [_step(count) for count in counts]
    sums = draws * (whole - np.log(draws))  # sum n log n - sum r log r - sum c log c
    left = (sums - change[0] + change[1] + change[2]) / (draws - 1) + np.log(draws - 1)
    return draws * whole - (draws - 1) * left.mean(0)


def _step(count: np.ndarray) -> np.ndarray:
    return xlogy(count, count) - xlogy(count - 1, count - 1)
