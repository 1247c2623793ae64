"""Similarity of two representations of the same inputs: the indices, and what each declares about itself.

Every index takes matrices with one row an input, `x` (n, p) and `y` (n, q), is 1 for equal ones, and leaves them as
they are. `INDICES` states for each what it ignores (its invariances, for x and for y apart, since PWCCA differs) and
what it needs. The tests read the declarations: they check that an index ignores what it declares to ignore and, by an
example, that it sees everything else.

>>> sorted(INDICES["linear_cka"].invariant_x - INDICES["mutual_knn"].invariant_x)
['common_offset', 'constant_columns', 'translation']
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dlcore.arrays import as_array, as_whole, typed
from dlcore.config import one_of
from dlcore.metrics.canonical import canonical_correlations, cca, pwcca, svcca
from dlcore.metrics.checks import as_confidence
from dlcore.metrics.cka import MinibatchCKA, linear_cka, rbf_cka
from dlcore.metrics.features import SimilarityWarning
from dlcore.metrics.geometry import mutual_knn, procrustes, rsa
from dlcore.results import Result

__all__ = [
    "INDICES",
    "TRANSFORMATIONS",
    "Index",
    "MinibatchCKA",
    "PermutationNull",
    "SimilarityWarning",
    "canonical_correlations",
    "cca",
    "linear_cka",
    "mutual_knn",
    "permutation_null",
    "procrustes",
    "pwcca",
    "rbf_cka",
    "rsa",
    "similarity",
    "svcca",
]

TRANSFORMATIONS = {
    "permutation": "the columns in another order",
    "orthogonal": "the columns rotated or reflected",
    "scaling": "everything times one positive number",
    "translation": "a number added to every column, one for each",
    "common_offset": "one number added to everything",
    "column_scaling": "every column times a positive number, one for each",
    "row_scaling": "every row times a positive number, one for each",
    "invertible": "the columns times an invertible matrix",
    "constant_columns": "columns added that do not vary",
    "zero_columns": "columns of zeros added",
}


@dataclass(frozen=True)
class Index:
    """What a similarity index declares; its convention, which differs between packages, is in its function's documentation.

    `invariant_x`, `invariant_y`: keys of `TRANSFORMATIONS` that leave the value as it is. `symmetric`: whether
    s(x, y) = s(y, x). `low`: the least value (the greatest is 1). `min_rows`: the fewest inputs. `grows_with_p`:
    whether independent representations look similar when p is not small beside n.
    """

    function: Callable[..., float]
    invariant_x: frozenset[str]
    invariant_y: frozenset[str]
    symmetric: bool = True
    low: float = 0.0
    min_rows: int = 2
    grows_with_p: bool = True
    options: dict[str, object] = field(default_factory=dict)

    def __call__(self, x, y) -> float:
        """Returns the index of two representations, with the options of the declaration."""
        return self.function(x, y, **self.options)


_ISOMETRIES = frozenset(
    {"permutation", "orthogonal", "scaling", "translation", "common_offset", "constant_columns", "zero_columns"}
)
_LINEAR = _ISOMETRIES | {"column_scaling", "invertible"}
_COSINE = frozenset({"permutation", "orthogonal", "scaling", "row_scaling", "zero_columns"})
_CORRELATION = frozenset({"permutation", "scaling", "common_offset", "row_scaling"})
# unbiased estimates: they may be negative, and are never cut off
_DEBIASED = {"low": -float("inf"), "min_rows": 4, "grows_with_p": False, "options": {"debiased": True}}

INDICES: dict[str, Index] = {
    "linear_cka": Index(linear_cka, _ISOMETRIES, _ISOMETRIES),
    "linear_cka_debiased": Index(linear_cka, _ISOMETRIES, _ISOMETRIES, **_DEBIASED),
    "rbf_cka": Index(rbf_cka, _ISOMETRIES, _ISOMETRIES),
    "rbf_cka_debiased": Index(rbf_cka, _ISOMETRIES, _ISOMETRIES, **_DEBIASED),
    "cca": Index(cca, _LINEAR, _LINEAR),
    "svcca": Index(svcca, _ISOMETRIES, _ISOMETRIES),
    "pwcca": Index(pwcca, _ISOMETRIES - {"orthogonal"}, _LINEAR, symmetric=False),
    "procrustes": Index(procrustes, _ISOMETRIES, _ISOMETRIES),
    "rsa": Index(rsa, _CORRELATION, _CORRELATION, low=-1.0, min_rows=3, grows_with_p=False),
    "mutual_knn": Index(mutual_knn, _COSINE, _COSINE, min_rows=11, grows_with_p=False),
}


def similarity(name: str, x, y) -> float:
    """Returns an index by its name in `INDICES`.

    Raises: ValueError for an unknown name, and as the index does.

    >>> similarity("linear_cka", [[0.0], [1.0]], [[1.0], [3.0]])
    1.0
    """
    return INDICES[one_of("similarity index", name, INDICES)](x, y)


class PermutationNull(Result):
    """An index beside what it is when the inputs of y are shuffled, so that x and y have nothing in common.

    `value` the index; `mean` of the shuffled values; `threshold` their quantile, the value itself counted among them;
    `calibrated` = max(0, (value - threshold) / (1 - threshold)), 0 for what chance explains and 1 for equal representations;
    `p_value` the share of shuffled values that reach the value, which counts as one of them.
    """

    value: float
    mean: float
    threshold: float
    calibrated: float
    p_value: float


@typed
def permutation_null(
    name: str, x, y, *, permutations: int = 200, confidence: float = 0.95, seed: int = 0
) -> PermutationNull:
    """Returns an index with its permutation null: what width, depth and few inputs give it without any likeness.

    An index that is biased upwards is above zero for unrelated representations, the more so the wider they are beside the
    number of inputs (`grows_with_p`). A shuffle of the rows of y keeps both shapes and breaks every relation. It takes
    `permutations` times as long as the index. NaN in all fields, with a `SimilarityWarning`, where the index is undefined.

    Shapes: x (n, p), y (n, q), as the index takes them.
    Raises: ValueError for an unknown name, fewer than one permutation, a confidence outside (0, 1), and as the index does.
    Paper: Groger, Wen and Brbic 2026, "Revisiting the platonic representation hypothesis" (null calibration).
    Differs: they take the largest value over all pairs of layers in each shuffle, too, where the largest is what is
        reported; here one pair of representations has one null.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(2, 40, 60))
    >>> found = permutation_null("linear_cka", x, y, permutations=50)
    >>> found.value > 0.5, found.calibrated < 0.1
    (True, True)
    """
    index = INDICES[one_of("similarity index", name, INDICES)]
    permutations = as_whole("permutations", permutations, 1)
    level = as_confidence(confidence)
    x, y = as_array(x, "x"), as_array(y, "y")
    value = index(x, y)
    if np.isnan(value):
        return PermutationNull(*[float("nan")] * 5)
    rng = np.random.default_rng(seed)
    with warnings.catch_warnings():
        # a warning of the index was given with its value; a shuffle would only repeat it
        warnings.simplefilter("ignore", SimilarityWarning)
        null = np.array([index(x, y[rng.permutation(len(y))]) for _ in range(permutations)])
    threshold = float(np.quantile([*null, value], level))
    calibrated = max(0.0, (value - threshold) / (1 - threshold)) if threshold < 1 else 0.0
    p_value = float((1 + np.sum(null >= value)) / (1 + permutations))
    return PermutationNull(value, float(null.mean()), threshold, calibrated, p_value)
