"""The register of what the ledger measures: a function of a study's table for each claim."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import NamedTuple, cast

import pandas as pd

from dlcore.metrics.statistics import largest_interval, mean_interval

# the confidence of every interval; only `multiplicity` asks for another one
CONFIDENCE: ContextVar[float] = ContextVar("confidence", default=0.95)


class Measured(NamedTuple):
    """A measured value, its interval and the number of runs behind it; NaN where there are runs and none qualifies.

    The interval has the level CONFIDENCE, 95 %; both ends are the value for a test statistic or an exact number.
    `method`: "seeds" for Student's t, which more runs narrow; "law" for the fit of a law, whose misfit no run takes away.
    """

    value: float
    low: float
    high: float
    runs: int
    method: str = ""


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


def with_arguments(function: Callable[..., Measured | None], *arguments, **named) -> Callable[[Table], Measured | None]:
    """Returns the measure that calls a function with a table and further arguments: one claim on several data sets."""
    return lambda table: function(table, *arguments, **named)


def exact(value: float, runs: int) -> Measured:
    """Returns a number without an interval of its own: a largest value, a test statistic, an error of one held-out size."""
    return Measured(float(value), float(value), float(value), runs)


@contextlib.contextmanager
def at_confidence(level: float) -> Iterator[None]:
    """Has every interval of this level inside of the context."""
    asked = CONFIDENCE.set(level)
    try:
        yield
    finally:
        CONFIDENCE.reset(asked)


def mean(values: pd.Series, within: tuple[float, float] = (-math.inf, math.inf)) -> Measured | None:
    """Returns the mean with its t interval, None without values.

    Args: within: the values that the mean can have; the interval is cut to them, which costs no coverage.
    """
    values = values.dropna()
    if values.empty:
        return None
    i = mean_interval(values, confidence=CONFIDENCE.get())
    # the mean and NaN ends stay as they are
    low, high = (end if math.isnan(end) else min(max(end, within[0]), within[1]) for end in (i.low, i.high))
    return Measured(i.value, low, high, i.n, "seeds")


def mean_where(values: pd.Series, meets: pd.Series) -> Measured | None:
    """Returns the mean over the runs that meet a claim's condition; NaN with the number of all runs where none does."""
    if values.empty:
        return None
    return mean(values.loc[meets]) or exact(math.nan, len(values))


def largest(groups: list[pd.Series], absolute: bool = False) -> Measured | None:
    """Returns the largest group mean with a simultaneous interval; groups of one run have none and are left out."""
    found = [values for g in groups if len(values := g.dropna()) > 1]
    if not found:
        return None
    i = largest_interval(found, confidence=CONFIDENCE.get(), absolute=absolute)
    return Measured(i.value, i.low, i.high, i.n)


def by(t: Table, column: str | pd.Series, *names: str) -> list[pd.Series]:
    """Returns the values of a column in groups of equal `names`."""
    values = cast(pd.Series, t[column] if isinstance(column, str) else column)
    return [group for _, group in values.groupby([t[n] for n in names])]


def average(values: pd.Series) -> float:
    """Returns the mean of a column as a sentence prints it, infinity without values.

    >>> average(pd.Series([1.0, float("nan"), 2.0])), average(pd.Series(dtype=float))
    (1.5, inf)
    """
    values = values.dropna()
    return float(values.mean()) if len(values) else math.inf


def with_interval(value: float, low: float, high: float) -> str:
    """Returns a number with its interval as a sentence has them, in two digits.

    >>> with_interval(39.625, 33.292, 47.162)
    '40 (33 to 47)'
    """
    middle, least, most = two_digits(value, low, high).split()
    return f"{middle} ({least} to {most})"


def two_digits(*values: float) -> str:
    """Returns numbers as text, all with as many decimals, four at most, as the largest of them needs for two digits.

    >>> two_digits(0.1168, 0.0832, 0.1504), two_digits(39.625), two_digits(0.0, -0.0004)
    ('0.12 0.08 0.15', '40', '0.0000 -0.0004')
    """
    largest = max(abs(v) for v in values)
    decimals = 2 if largest == 0 else min(max(0, 1 - math.floor(math.log10(largest))), 4)
    return " ".join(f"{round(v, decimals) + 0.0:.{decimals}f}" for v in values)
