"""The register of what the ledger measures: a function of a study's table for each claim."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from dlcore.metrics.statistics import mean_interval


class Measured(NamedTuple):
    """A measured value, its 95 % interval and the number of runs behind it; NaN where there are runs and none qualifies."""

    value: float
    low: float
    high: float
    runs: int


Table = pd.DataFrame
MEASURES: dict[str, Callable[[Table], Measured | None]] = {}
# measures of published numbers alone
WITHOUT_RUNS: set[str] = set()


def measure(name: str) -> Callable:
    """Registers a function table -> Measured under a claim's id."""

    def register(function: Callable[[Table], Measured | None]) -> Callable:
        MEASURES[name] = function
        return function

    return register


def with_arguments(function: Callable[..., Measured | None], *arguments) -> Callable[[Table], Measured | None]:
    """Returns the measure that calls a function with a table and further arguments: one claim on several data sets."""
    return lambda table: function(table, *arguments)


def mean(values: pd.Series) -> Measured | None:
    """Returns the mean with its t interval, None without values."""
    values = values.dropna()
    return Measured(*mean_interval(values)) if len(values) else None


def mean_where(values: pd.Series, meets: pd.Series) -> Measured | None:
    """Returns the mean over the runs that meet a claim's condition; NaN with the number of all runs where none does."""
    if values.empty:
        return None
    return mean(values[meets]) or Measured(math.nan, math.nan, math.nan, len(values))


def largest(groups: list[pd.Series], absolute: bool = False) -> Measured | None:
    """Returns the largest group mean; the interval's ends are the largest lower and the largest upper limit of any group."""
    found = [mean_interval(g.dropna()) for g in groups if g.notna().sum() > 1]
    if not found:
        return None
    if absolute:
        ends = [
            (abs(i.value), 0.0 if i.low <= 0 <= i.high else min(abs(i.low), abs(i.high)), max(abs(i.low), abs(i.high)))
            for i in found
        ]
    else:
        ends = [(i.value, i.low, i.high) for i in found]
    return Measured(*(max(column) for column in zip(*ends, strict=True)), runs=sum(i.n for i in found))


def by(t: Table, column: str | pd.Series, *names: str) -> list[pd.Series]:
    """Returns the values of a column in groups of equal `names`."""
    values = t[column] if isinstance(column, str) else column
    return [group for _, group in values.groupby([t[n] for n in names])]
