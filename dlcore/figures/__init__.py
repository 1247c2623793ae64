"""Tables of records -> Altair charts, the same in the page, Jupyter and Colab. Never imports torch.

The charts of a study are those that its package `figures` imports; here they are side by side.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pandas as pd

from dlcore import studies
from dlcore.charts.shared import DATASETS
from dlcore.charts.theme import setup
from dlcore.figures.synthesis import memorising_and_sampling, noise_in_four, what_similar_buys
from dlcore.studies.meanings import columns


def _told(study: str, chart: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a chart that names the columns of its study's table that a foreign one lacks, and what draws no table."""

    @functools.wraps(chart)
    def call(*args: Any, **options: Any) -> Any:
        first = next(iter([*args, *options.values()]), None)
        if hasattr(first, "to_frame") or hasattr(first, "dtype"):  # a result of dlcore; an array, tensor or column
            own = "a result draws itself, result.plot(), and functions of dlcore.metrics make one of arrays"
            raise ValueError(f"{chart.__name__} draws runs of {study}, not of type {type(first).__name__}: {own}")
        try:
            return chart(*args, **options)
        except (AttributeError, KeyError) as error:
            there = set(getattr(first, "columns", ()))
            name = error.name if isinstance(error, AttributeError) else error.args[0]
            if not there or name in there or not hasattr(getattr(error, "obj", pd.DataFrame), "columns"):
                raise
            lacking = ", ".join(column for column in columns(study).column if column not in there)
            text = f"the table has no {name}; it must be dlcore.studies.table({study!r}, runs), of which it lacks {lacking}"
            raise ValueError(f"{chart.__name__}: {text}") from error

    return call


_CHARTS = {
    name: _told(study, chart)
    for study in studies.STUDIES
    for name, chart in vars(studies.part(study, "figures")).items()
    if inspect.isfunction(chart)
}
globals().update(_CHARTS)

__all__ = ["DATASETS", "memorising_and_sampling", "noise_in_four", "setup", "what_similar_buys", *_CHARTS]
