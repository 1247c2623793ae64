"""What the studies' settings and grids share: recipes by data and architecture, and products of fields."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def recipe_of(
    recipes: Mapping[tuple[str, str], Any], kind: str, architecture: str, dataset: str, others: Iterable[str] = ()
) -> Any:
    """Returns the recipe of an architecture on a kind of data.

    Args: others: architectures that need no recipe, to be named beside those that have one.
    Raises: ValueError for an architecture without one; the message names the data set and what fits it.
    """
    if (found := recipes.get((kind, architecture))) is None:
        fits = [name for of, name in recipes if of == kind] + list(others)
        raise ValueError(f"architecture {architecture!r} does not fit {dataset!r}; choose from: {', '.join(fits)}")
    return found


def product(make: Callable[..., T], **fields: Any) -> list[T]:
    """Returns what `make` makes of every combination of fields: a list, tuple or range is an axis, the first varies slowest.

    >>> product(dict, seed=range(2), noise=(0.1, 0.2), dataset="digits")[1]
    {'seed': 0, 'noise': 0.2, 'dataset': 'digits'}
    """
    axes = [values if isinstance(values, (list, tuple, range)) else (values,) for values in fields.values()]
    return [make(**dict(zip(fields, values, strict=True))) for values in itertools.product(*axes)]
