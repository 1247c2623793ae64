"""Similarity of the shapes of two representations: Procrustes, similarity matrices (RSA), mutual nearest neighbours."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from dlcore.arrays import typed
from dlcore.config import one_of
from dlcore.metrics.features import BLOCK, Features, as_pair, constant_reason, undefined

DISTANCES = ("correlation", "euclidean", "cosine")


def procrustes(x, y) -> float:
    """Returns ||X'Y||_* / (||X|| ||Y||), centred: the cosine after the best rotation of one onto the other.

    ||.||_* is the sum of singular values, ||.|| the Frobenius norm. In [0, 1]; p and q may differ (the narrower is
    padded with zeros). The Procrustes distance of the normalised matrices is 2 - 2 s (Ding et al. 2021), the angle
    arccos(s) is a metric (Williams et al. 2021). NaN with a `SimilarityWarning` where no column varies.

    Shapes: x (n, p), y (n, q), n >= 2.
    Raises: ValueError for other shapes, unequal n, NaN or infinity.
    Paper: Ding et al. 2021, "Grounding representation similarity with statistical testing"; Williams et al. 2021,
        equation 6.
    Differs: a similarity instead of a distance.

    >>> round(procrustes([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], [[0.0, 3.0], [-3.0, 0.0], [3.0, -3.0]]), 6)
    1.0
    """
    a, b = as_pair(x, y)
    if reason := constant_reason(a, b):
        return undefined(reason)
    n, p = a.values.shape
    q = b.values.shape[1]
    cross, squares = np.zeros((p, q) if n >= min(p, q) else (0, 0)), np.zeros(2)
    for u, v in zip(a.row_blocks(), b.row_blocks(), strict=True):
        squares += [np.sum(w * w, dtype=np.float64) for w in (u, v)]
        if cross.size:
            cross += u.T @ v
    # X'Y has the singular values of the product of the square roots of both Gram matrices
    product = cross if cross.size else _root(a) @ _root(b)
    nuclear = np.linalg.svd(product, compute_uv=False).sum()
    return min(1.0, float(nuclear / math.sqrt(squares[0]) / math.sqrt(squares[1])))


def _root(x: Features) -> np.ndarray:
    """Returns S U' with K = U S^2 U', without the directions that are rounding, transposed for a product."""
    gram = np.zeros((len(x.values),) * 2)
    for part in x.column_blocks():
        part = part.astype(np.float64)
        gram += part @ part.T
    values, vectors = np.linalg.eigh(gram)
    keep = values > len(values) * np.finfo(np.float64).eps * values[-1]
    return (vectors[:, keep] * np.sqrt(values[keep])) @ vectors[:, keep].T


def rsa(x, y, *, distance: str = "correlation", comparison: str = "spearman") -> float:
    """Returns the correlation, over all pairs of inputs, of their dissimilarities in x and in y.

    "correlation" is 1 - Pearson's r of two rows: it ignores an offset common to all columns and the size of a row,
    and depends on the basis. "euclidean" ignores rotations and offsets, "cosine" rotations and the size of a row.
    NaN with a `SimilarityWarning` where a row has no direction (all its entries equal, for "correlation"; all zero,
    for "cosine") or where all dissimilarities are equal. Memory is about 16 n^2 bytes.

    Shapes: x (n, p), y (n, q), n >= 3; "correlation" needs p, q >= 2 (with 2, dissimilarities are 0 and 2 only).
    Args:
        distance: "correlation", "euclidean" or "cosine".
        comparison: "spearman" (ties share their mean rank) or "pearson".
    Raises: ValueError for an unknown choice, other shapes, unequal n, NaN or infinity.
    Paper: Kriegeskorte, Mur and Bandettini 2008, "Representational similarity analysis".
    Differs: a similarity, the correlation itself, instead of one minus it; nothing is averaged over sessions or subjects.

    >>> round(rsa([[0.0], [1.0], [3.0], [7.0]], [[0.0], [2.0], [6.0], [14.0]], distance="euclidean"), 6)
    1.0
    """
    one_of("distance", distance, DISTANCES)
    one_of("comparison", comparison, ("spearman", "pearson"))
    upper = []
    for name, one in zip("xy", as_pair(x, y, 3), strict=True):
        rows, reason = _directions(one, distance)
        if reason:
            return undefined(reason.format(name))
        squares = np.maximum(_squared_distances(rows, slice(None)), 0)[np.triu_indices(len(rows), 1)]
        values = np.sqrt(squares) if distance == "euclidean" else squares / 2
        # what differs by rounding only is a tie
        values = np.round(values / values.max(), 11) if values.max() > 0 else values
        if np.ptp(values) == 0:
            return undefined(f"all dissimilarities in {name} are equal")
        upper.append(stats.rankdata(values) if comparison == "spearman" else values)
    a, b = (values - values.mean() for values in upper)
    return float(np.clip(a @ b / math.sqrt(a @ a) / math.sqrt(b @ b), -1, 1))


@typed
def mutual_knn(x, y, *, k: int = 10, distance: str = "cosine") -> float:
    """Returns the mean share of the k nearest neighbours that an input has in x and also in y.

    In [0, 1]; unrelated representations share k / (n - 1) on average. Neighbours are found in float64, a block of
    inputs at a time. NaN with a `SimilarityWarning` where all inputs are equal, or where one has no direction.

    Shapes: x (n, p), y (n, q), n > k.
    Args: distance: "cosine" (not centred), "euclidean", or "correlation" (cosine of rows minus their mean).
    Raises: ValueError for k outside 1..n-1, an unknown distance, other shapes, unequal n, NaN or infinity.
    Paper: Huh et al. 2024, "The platonic representation hypothesis", appendix A: mutual k-nearest neighbours.
    Differs: activations are taken as they are, where the authors' code offers to clamp the largest; in float64; distances
        other than the cosine's.

    >>> mutual_knn([[0.0], [1.0], [3.0], [9.0]], [[0.0], [2.0], [6.0], [18.0]], k=1, distance="euclidean")
    1.0
    """
    one_of("distance", distance, DISTANCES)
    a, b = as_pair(x, y)
    n = len(a.values)
    if not 1 <= k < n:
        raise ValueError(f"k = {k} must be a whole number from 1 to {n - 1}: {n} inputs have {n - 1} neighbours")
    sides = []
    for name, one in (("x", a), ("y", b)):
        rows, reason = _directions(one, distance)
        if reason or not np.ptp(rows, axis=0).any():
            return undefined(reason.format(name) or f"all inputs are equal in {name}")
        sides.append(rows)
    shared, chosen = 0, np.zeros((2, BLOCK // 4, n), bool)
    for start in range(0, n, BLOCK // 4):
        block = slice(start, min(start + BLOCK // 4, n))
        size = block.stop - block.start
        chosen[:] = False
        for mark, rows in zip(chosen, sides, strict=True):
            squares = _squared_distances(rows, block)
            squares[np.arange(size), np.arange(block.start, block.stop)] = np.inf
            np.put_along_axis(mark[:size], np.argpartition(squares, int(k) - 1, axis=1)[:, : int(k)], True, axis=1)
        shared += int(np.sum(chosen[0] & chosen[1]))
    return shared / (n * int(k))


def _directions(x: Features, distance: str) -> tuple[np.ndarray, str]:
    """Returns rows whose Euclidean distances order pairs as `distance` does, and why there are none ({}: a name)."""
    if distance == "euclidean":
        return x.double(), ""
    rows = x.values.astype(np.float64)
    # row by row, by powers of two: a row of 1e300 has no sum, one of 1e-200 no squares
    rows = rows * np.ldexp(1.0, -np.clip(np.frexp(np.abs(rows).max(1))[1], -1000, 1000))[:, None]
    if distance == "correlation":
        level = rows.min(1) == rows.max(1)
        # twice: the rounding of a mean far from 0 would be a common direction of all rows
        for _ in range(2):
            rows = rows - rows.mean(1, keepdims=True)
        what = "has equal entries"
    else:
        level = ~rows.any(1)
        what = "is zero"
    if level.any():
        return rows, f"row {int(np.flatnonzero(level)[0])} of {{}} {what}, so it has no direction"
    rows /= np.abs(rows).max(1, keepdims=True)
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    # distances do not see a common offset, rounding does
    return rows - rows.mean(0), ""


def _squared_distances(rows: np.ndarray, block: slice) -> np.ndarray:
    norms = np.einsum("ij,ij->i", rows, rows)
    squares = rows[block] @ rows.T
    squares *= -2
    squares += norms[block, None]
    squares += norms
    return squares
