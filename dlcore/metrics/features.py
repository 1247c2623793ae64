"""Two representations of the same inputs: their checks, and centring that is exact where float32 is not enough."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dlcore.arrays import LARGEST, as_array, outside

BLOCK = 2048


class SimilarityWarning(RuntimeWarning):
    """A similarity that is undefined (the value is NaN) or says nothing about the representations."""


class Features(NamedTuple):
    """One representation: the values as given, and what centres and scales them.

    The mean is held as a sum, `mean` + `rest`: one float64 near 1e12 is off by 1e-4, which all rows would then share.
    `scale` is a power of two, so that multiplying by it is exact; `scale * (values - mean)` is at most 2 in size and
    no product of such numbers overflows. `constant` says that no column varies. `rounding` is the relative spacing of
    the numbers as they were given.
    """

    values: np.ndarray
    mean: np.ndarray
    rest: np.ndarray
    scale: float
    constant: bool
    rounding: float

    def centred(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Returns scale * (values - mean) of some rows and columns, C-contiguous, in the values' own precision.

        The difference is taken in float64 and rounded once: a float32 column near 1e4 loses nothing more.
        """
        part = self.values[rows, columns]
        out = np.empty(part.shape, self.values.dtype)
        np.subtract(part, self.mean[columns], out=out, casting="same_kind")
        np.subtract(out, self.rest[columns], out=out, casting="same_kind")
        out *= self.values.dtype.type(self.scale)
        return out

    def double(self) -> np.ndarray:
        """Returns scale * (values - mean) in float64."""
        return self.deviations() * self.scale

    def deviations(self) -> np.ndarray:
        """Returns values - mean in float64."""
        return (self.values - self.mean) - self.rest

    def row_blocks(self) -> Iterator[np.ndarray]:
        """Yields the centred rows, a block at a time."""
        for start in range(0, len(self.values), BLOCK):
            yield self.centred(slice(start, start + BLOCK))

    def column_blocks(self) -> Iterator[np.ndarray]:
        """Yields the centred columns, a block at a time."""
        for start in range(0, self.values.shape[1], BLOCK):
            yield self.centred(columns=slice(start, start + BLOCK))


def as_features(name: str, values, rows: int = 2) -> Features:
    """Returns one representation, checked; float16 and bfloat16 are taken as float32, integers as float64.

    Raises: ValueError for anything but a finite matrix with at least `rows` rows and a column.
    """
    array = as_array(values, name)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(
            f"{name} must be a matrix, one row an input, not of shape {array.shape}; flatten channels and positions "
            "into columns with reshape(n, -1), or make every position a row"
        )
    if len(array) < rows:
        raise ValueError(f"{name} has {len(array)} rows; at least {rows} are needed")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers, not {array.dtype}")
    given = np.finfo(array.dtype if array.dtype.kind == "f" else float)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32 if array.dtype == np.float16 else np.float64)
    low, high = array.min(0), array.max(0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError(f"{name} contains NaN or infinity")
    if max(float(high.max()), -float(low.min())) > LARGEST:
        raise ValueError(f"{name} holds numbers beyond {LARGEST:.2g}, whose differences may overflow: divide it first")
    middle = low / 2 + high / 2
    mean = middle + _mean(array, middle)
    # a constant column gets its own value as mean: its deviations are exact zeros, whatever its size
    mean = np.where(low == high, low, mean)
    rest = _mean(array, mean)
    span = float((high.astype(np.float64) - low.astype(np.float64)).max())
    reach = 120 if array.dtype == np.float32 else 1000
    scale = 2.0 ** -int(np.clip(np.frexp(span)[1], -reach, reach)) if span > 0 else 1.0
    return Features(array, mean, rest, scale, span == 0, max(float(given.eps), float(np.finfo(float).eps)))


def _mean(array: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Returns the mean of array - offset over the rows, in float64."""
    total = np.zeros(array.shape[1])
    for start in range(0, len(array), BLOCK):
        total += np.sum((array[start : start + BLOCK] - offset.astype(np.float64)) / len(array), axis=0)
    return total


def as_pair(x, y, rows: int = 2) -> tuple[Features, Features]:
    """Returns two representations of the same inputs, checked.

    Raises: ValueError for other shapes than n x p and n x q, too few rows, NaN or infinity.
    """
    a, b = as_features("x", x, rows), as_features("y", y, rows)
    if len(a.values) != len(b.values):
        raise ValueError(f"x has {len(a.values)} rows and y {len(b.values)}; row i of both must be the same input")
    return a, b


def undefined(reason: str) -> float:
    """Warns and returns NaN."""
    warnings.warn(f"the similarity is undefined: {reason}", SimilarityWarning, stacklevel=outside())
    return float("nan")


def constant_reason(x: Features, y: Features) -> str:
    """Returns why a similarity that centres its columns is undefined, or an empty string."""
    names = [name for name, one in (("x", x), ("y", y)) if one.constant]
    return f"no column of {' and of '.join(names)} varies" if names else ""
