"""Similarity of two representations of the same inputs: the indices, and what each declares about itself.

Every index takes matrices with one row an input, `x` (n, p) and `y` (n, q), is 1 for equal ones, and leaves them as
they are. `INDICES` states for each what it ignores (its invariances, for x and for y apart, since PWCCA differs), its
convention, and what it needs. The tests read the declarations: they check that an index ignores what it declares to
ignore and, by an example, that it sees everything else.

>>> sorted(INDICES["linear_cka"].invariant_x - INDICES["mutual_knn"].invariant_x)
['common_offset', 'constant_columns', 'translation']
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dlcore.metrics.canonical import canonical_correlations, cca, pwcca, svcca
from dlcore.metrics.checks import as_choice
from dlcore.metrics.cka import MinibatchCKA, linear_cka, rbf_cka
from dlcore.metrics.features import SimilarityWarning
from dlcore.metrics.geometry import mutual_knn, procrustes, rsa

__all__ = [
    "INDICES",
    "TRANSFORMATIONS",
    "Index",
    "MinibatchCKA",
    "SimilarityWarning",
    "canonical_correlations",
    "cca",
    "linear_cka",
    "mutual_knn",
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
    """What a similarity index declares.

    `invariant_x`, `invariant_y`: keys of `TRANSFORMATIONS` that leave the value as it is. `symmetric`: whether
    s(x, y) = s(y, x). `low`: the least value (the greatest is 1). `min_rows`: the fewest inputs. `grows_with_p`:
    whether independent representations look similar when p is not small beside n. `centring`, `convention`: what a
    reader must know to compare the number with another package's.
    """

    function: Callable[..., float]
    invariant_x: frozenset[str]
    invariant_y: frozenset[str]
    centring: str
    convention: str
    paper: str
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


def _both(
    function: Callable[..., float], invariances: frozenset[str], centring: str, convention: str, paper: str, **more
):
    return Index(function, invariances, invariances, centring, convention, paper, **more)


_HSIC = "unbiased HSIC (Song et al. 2012) above and below; may be negative, never cut off; not divided by n"

INDICES: dict[str, Index] = {
    "linear_cka": _both(
        linear_cka, _ISOMETRIES, "columns", "biased HSIC, features flattened by the caller", "Kornblith et al. 2019"
    ),
    "linear_cka_debiased": _both(
        linear_cka,
        _ISOMETRIES,
        "columns",
        _HSIC,
        "Nguyen et al. 2021",
        low=-float("inf"),
        min_rows=4,
        grows_with_p=False,
        options={"debiased": True},
    ),
    "rbf_cka": _both(
        rbf_cka,
        _ISOMETRIES,
        "kernel",
        "width = 0.8 x the median distance of different rows, biased HSIC",
        "Kornblith et al. 2019",
    ),
    "rbf_cka_debiased": _both(
        rbf_cka,
        _ISOMETRIES,
        "kernel",
        f"width = 0.8 x the median distance of different rows; {_HSIC}",
        "Kornblith et al. 2019; Song et al. 2012",
        low=-float("inf"),
        min_rows=4,
        grows_with_p=False,
        options={"debiased": True},
    ),
    "cca": _both(
        cca,
        _LINEAR,
        "columns",
        "mean correlation over the smaller rank; rounding directions left out",
        "Hotelling 1936",
    ),
    "svcca": _both(
        svcca,
        _ISOMETRIES,
        "columns",
        "components that keep 99 % of the variance (squared singular values); mean correlation",
        "Raghu et al. 2017",
    ),
    "pwcca": Index(
        pwcca,
        _ISOMETRIES - {"orthogonal"},
        _LINEAR,
        "columns, in the weights too",
        "weights from x: sum over columns of |<variate, column>|",
        "Morcos et al. 2018",
        symmetric=False,
    ),
    "procrustes": _both(
        procrustes,
        _ISOMETRIES,
        "columns",
        "||X'Y||_* of matrices of Frobenius norm 1; the distance is 2 - 2 s",
        "Ding et al. 2021; Williams et al. 2021",
    ),
    "rsa": _both(
        rsa,
        _CORRELATION,
        "rows",
        "1 - Pearson's r of rows; Spearman's correlation of the pairs, ties share a rank",
        "Kriegeskorte et al. 2008",
        low=-1.0,
        min_rows=3,
        grows_with_p=False,
    ),
    "mutual_knn": _both(
        mutual_knn,
        _COSINE,
        "none",
        "10 nearest by cosine, the input itself left out; share of common ones",
        "Huh et al. 2024",
        min_rows=11,
        grows_with_p=False,
    ),
}


def similarity(name: str, x, y) -> float:
    """Returns an index by its name in `INDICES`.

    Raises: ValueError for an unknown name, and as the index does.

    >>> similarity("linear_cka", [[0.0], [1.0]], [[1.0], [3.0]])
    1.0
    """
    return INDICES[as_choice("similarity index", name, INDICES)](x, y)
