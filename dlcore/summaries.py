"""Which records count as findings, and their means over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dlcore.metrics.statistics import mean_interval

FINDINGS = ("laptop", "gpu")


def findings(table: pd.DataFrame, presets: Sequence[str] = FINDINGS, optional: Sequence[str] = ()) -> pd.DataFrame:
    """Returns a copy of the rows of the given presets; `optional` columns that no record has are NaN.

    >>> findings(pd.DataFrame({"preset": ["smoke", "laptop"], "tv": [0.5, 0.1]}), optional=["agreement"]).tv.tolist()
    [0.1]
    """
    if table.empty:
        return table
    rows = table[table.preset.isin(presets)].copy()
    return rows if rows.empty else rows.assign(**{name: np.nan for name in optional if name not in rows})


def over_seeds(table: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Returns mean, 95 % t interval and number of seeds of a column for each group; one seed has no interval."""
    found = []
    for key, group in table.dropna(subset=[value]).groupby(list(by), sort=True):
        interval = mean_interval(group[value])
        found.append(
            {**dict(zip(by, key, strict=True)), value: interval.value, "low": interval.low, "high": interval.high}
        )
        found[-1]["seeds"] = interval.n
    return pd.DataFrame(found, columns=[*by, value, "low", "high", "seeds"])
