"""Canonical correlations between two representations: their mean (CCA), after truncation (SVCCA), weighted (PWCCA).

All three speak of subspaces of R^n. Two subspaces of dimensions r and s in the n - 1 dimensions that centring leaves
share at least r + s - (n - 1) directions, whatever they mean. Where that is positive a warning says how many of the
correlations are one for this reason alone; with p, q >= n - 1 every one of them is.
"""

from __future__ import annotations

import warnings

import numpy as np

from dlcore.arrays import outside, typed
from dlcore.config import one_of
from dlcore.metrics.features import Features, SimilarityWarning, as_pair, constant_reason, undefined
from dlcore.results import Result


class Canonical(Result):
    """Canonical correlations (k,), largest first, and the unit variates (n, k) of x and of y behind them."""

    correlations: np.ndarray
    variates_x: np.ndarray
    variates_y: np.ndarray
    rank_x: int
    rank_y: int


@typed
def cca(x, y, *, squared: bool = False, rtol: float | None = None) -> float:
    """Returns the mean canonical correlation, over the smaller of the two ranks.

    Says little unless n is several times p + q: independent representations have a mean near sqrt(p / n), not 0.
    Warns where correlations are one because n is small (see the module); NaN with a warning where nothing varies.

    Shapes: x (n, p), y (n, q), n >= 2.
    Args:
        squared: mean of the squared correlations instead.
        rtol: directions with a singular value below rtol times the largest (columns at unit length) count as
            rounding and are left out; by default ten times the rounding of the input relative to its deviations.
    Raises: ValueError for other shapes, unequal n, NaN or infinity, rtol outside [0, 1).
    Paper: Kornblith et al. 2019, table 1: mean CCA correlation, and R^2 of CCA with `squared`.
    Differs: they divide by p, the number of columns of x; we by the number of correlations that exist.

    >>> round(cca([[1.0, 0.0], [0.0, 1.0], [3.0, 1.0], [2.0, 5.0]], [[2.0], [0.0], [6.0], [4.0]]), 6)
    1.0
    """
    found = _canonical(x, y, rtol)
    if found is None:
        return float("nan")
    _warn_small(found, len(found.variates_x), "CCA")
    return float(np.mean(found.correlations**2 if squared else found.correlations))


@typed
def svcca(x, y, *, variance: float = 0.99, squared: bool = False) -> float:
    """Returns the mean canonical correlation of the leading principal components that keep a share of the variance.

    Shapes: x (n, p), y (n, q), n >= 2.
    Args: variance: share of the variance (the sum of squared singular values) that the kept components reach.
    Raises: ValueError for a share outside (0, 1], and as `cca` does.
    Paper: Raghu et al. 2017, section 2.
    Differs: of the packages at hand one counts the sum of singular values instead of their squares and leaves the
        columns uncentred, one always keeps ten components, one averages squared correlations: state the convention.

    >>> round(svcca([[0.0, 0.1], [1.0, 0.0], [2.0, 0.1], [4.0, 0.0]], [[1.0], [2.0], [3.0], [5.0]]), 6)
    1.0
    """
    if not 0 < variance <= 1:
        raise ValueError(f"variance = {variance} is outside (0, 1]: it is a share, 0.99 and not 99")
    a, b = as_pair(x, y)
    if reason := constant_reason(a, b):
        return undefined(reason)
    bases = []
    for one in (a, b):
        columns = one.double()
        left, values, _ = np.linalg.svd(columns, full_matrices=False)
        # the roundings of all columns add up
        offset = len(columns) * np.sum((one.mean[columns.any(0)] * one.scale) ** 2) / np.sum(values**2)
        share = np.cumsum(values**2) / np.sum(values**2)
        # the tolerance: a share of exactly one is not reached in floating point
        keep = int(np.searchsorted(share, variance - 1e-12)) + 1
        bases.append(left[:, : min(keep, _numerical_rank(values, _rtol(one, offset)))])
    found = _from_bases(*bases)
    _warn_small(found, len(a.values), "SVCCA")
    return float(np.mean(found.correlations**2 if squared else found.correlations))


@typed
def pwcca(x, y, *, weights: str = "x", rtol: float | None = None) -> float:
    """Returns the canonical correlations averaged with projection weights: how much of x each variate accounts for.

    The weight of variate h_i of x is sum_j |<h_i, x_j>| over the centred columns x_j. It is not symmetric, and it
    depends on the basis of x: permuting columns of x changes nothing, rotating them does. Any invertible map of y
    leaves it as it is. Where canonical correlations are equal the variates are not unique, nor is the value; with
    p >= n - 1 that is always so, and a warning says it.

    Shapes: x (n, p), y (n, q), n >= 2.
    Args:
        weights: "x" or "y", the representation whose columns weigh.
        rtol: as in `cca`.
    Raises: ValueError for another choice of weights, and as `cca` does.
    Paper: Morcos et al. 2018, section 2.2.
    Differs: the columns are centred in the weights too; one package centres them in the correlations only.

    >>> round(pwcca([[0.0], [1.0], [5.0]], [[1.0], [-1.0], [-9.0]]), 6)
    1.0
    """
    one_of("weights", weights, ("x", "y"))
    found = _canonical(x, y, rtol)
    if found is None:
        return float("nan")
    _warn_small(found, len(found.variates_x), "PWCCA")
    sides = as_pair(x, y)
    variates, columns = (found.variates_x, sides[0]) if weights == "x" else (found.variates_y, sides[1])
    weight = np.abs(variates.T @ columns.double()).sum(1)
    return float(weight @ found.correlations / weight.sum())


@typed
def canonical_correlations(x, y, *, rtol: float | None = None) -> np.ndarray:
    """Returns all canonical correlations, largest first; warns and is NaN as `cca`.

    Shapes: x (n, p), y (n, q); result (min of the two ranks,).
    Raises: ValueError as `cca` does.

    >>> canonical_correlations([[0.0], [1.0], [3.0]], [[0.0], [2.0], [6.0]]).round(6).tolist()
    [1.0]
    """
    found = _canonical(x, y, rtol)
    if found is None:
        return np.array([np.nan])
    _warn_small(found, len(found.variates_x), "CCA")
    return found.correlations


def _canonical(x, y, rtol: float | None) -> Canonical | None:
    if rtol is not None and not 0 <= rtol < 1:
        raise ValueError(f"rtol = {rtol} is outside [0, 1)")
    a, b = as_pair(x, y)
    if reason := constant_reason(a, b):
        undefined(reason)
        return None
    return _from_bases(*(_basis(one, rtol) for one in (a, b)))


def _basis(x: Features, rtol: float | None) -> np.ndarray:
    """Returns orthonormal columns that span the centred ones; columns are brought to one length first."""
    columns, mean = x.deviations(), x.mean
    varies = columns.any(0)
    columns, mean = columns[:, varies], mean[varies]
    # powers of two first, column by column: sizes of 1e200 and 1e-200 have squares that are no numbers
    power = np.ldexp(1.0, -np.clip(np.frexp(np.abs(columns).max(0))[1], -1000, 1000))
    columns, mean = columns * power, mean * power
    length = np.sqrt(np.einsum("ij,ij->j", columns, columns))
    columns /= length
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    # each column brings its own rounding
    offset = len(columns) * np.mean((mean / length) ** 2)
    return left[:, : _numerical_rank(values, _rtol(x, offset) if rtol is None else rtol)]


def _rtol(x: Features, offset: float) -> float:
    """Returns ten roundings of the input relative to what centring leaves; `offset` is what it takes off (squared)."""
    floor = max(x.values.shape) * np.finfo(np.float64).eps
    return float(np.clip(10 * x.rounding * np.sqrt(1 + offset), floor, 0.5))


def _numerical_rank(values: np.ndarray, rtol: float) -> int:
    return max(1, int(np.sum(values > rtol * values[0])))


def _from_bases(left: np.ndarray, right: np.ndarray) -> Canonical:
    u, correlations, v = np.linalg.svd(left.T @ right, full_matrices=False)
    return Canonical(np.clip(correlations, 0, 1), left @ u, right @ v.T, left.shape[1], right.shape[1])


def _warn_small(found: Canonical, n: int, name: str) -> None:
    forced = found.rank_x + found.rank_y - (n - 1)
    if forced > 0:
        warnings.warn(
            f"{name} of {n} inputs in {found.rank_x} and {found.rank_y} directions: {forced} of "
            f"{len(found.correlations)} correlations are 1 for any two representations"
            + ("; the value is meaningless" if forced >= len(found.correlations) else "; more inputs are needed"),
            SimilarityWarning,
            stacklevel=outside(),
        )
