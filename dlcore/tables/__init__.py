"""Derived columns and summaries of the tidy table of records; never imports torch.

Chapter 1's are in `gaps`, chapter 2's in `pairs` and `pair_numbers`, chapter 4's in `learning_curves`, `side_by_side` and
`readings`, display names in `names`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dlcore.metrics.statistics import mean_interval
from dlcore.tables.gaps import beside_the_paper, by_size, probes, rationality, slopes_in_n
from dlcore.tables.learning_curves import (
    FINDINGS,
    LAWS,
    PUBLISHED,
    CurveFit,
    architecture_name,
    fits_table,
    holdouts,
    noise_name,
    paired,
    published_scaling,
    scaling,
    scaling_fits,
)
from dlcore.tables.names import PROBES, family, method
from dlcore.tables.pair_numbers import pair_numbers
from dlcore.tables.pairs import has_usual_width, order_table, pair, rank_correlations, stages, stitching
from dlcore.tables.readings import (
    all_pairs,
    back_translation,
    held_out_laws,
    last_steps,
    translation_quality,
    translations,
)
from dlcore.tables.side_by_side import beside_counting, counting_ratios, exponents_under_noise, ratios, size_by_size

__all__ = [
    "FINDINGS",
    "LAWS",
    "PROBES",
    "PUBLISHED",
    "USUAL_BANDWIDTH",
    "CurveFit",
    "all_pairs",
    "architecture_name",
    "back_translation",
    "beside_counting",
    "beside_the_paper",
    "by_size",
    "counting_ratios",
    "distributional",
    "exponents_under_noise",
    "family",
    "fits_table",
    "has_usual_width",
    "held_out_laws",
    "holdouts",
    "last_steps",
    "method",
    "noise_name",
    "order_table",
    "over_seeds",
    "pair",
    "pair_numbers",
    "paired",
    "probes",
    "published_scaling",
    "rank_correlations",
    "rationality",
    "ratios",
    "scaling",
    "scaling_fits",
    "size_by_size",
    "slopes_in_n",
    "stages",
    "stitching",
    "translation_quality",
    "translations",
]
# bandwidths (in median distances) of the two kernels in the main comparison; others belong to the kernel's path
USUAL_BANDWIDTH = {"kernel_gaussian": 0.66, "kernel_laplace": 0.33, "svm": 0.33}
_SAME = [
    "dataset",
    "architecture",
    "n_train",
    "seed",
    "neighbours",
    "max_depth",
    "bandwidth",
    "ridge",
    "width",
    "epochs",
]
# metrics that only some experiments have
_OPTIONAL = ("agreement", "other_same_error", "label_error", "largest_train_test_excess", "flip_rate_test", "tv")
# where L is the class, the premise is the run on clean labels
_CLASS_IS_FEATURE = ("cyclic", "subgroup", "pair", "symmetric", "sparse", "human")


def distributional(table: pd.DataFrame, presets: Sequence[str] = FINDINGS) -> pd.DataFrame:
    """Returns the findings of chapter 3: rows of the given presets, with `family`, `epsilon` and `usual`.

    `epsilon` is the test error of the same procedure, seed and n on the partition's own labels, NaN where that
    run is missing; it is 0 for the constant partition. `usual` marks the settings of the main comparison.
    """
    if table.empty:
        return table
    rows = table[table.preset.isin(presets)].copy()
    if rows.empty:
        return rows
    for name in _OPTIONAL:
        if name not in rows:
            rows[name] = np.nan
    rows["family"] = [family(a, k) for a, k in zip(rows.architecture, rows.neighbours, strict=True)]
    width = rows.architecture.map(USUAL_BANDWIDTH)
    rows["usual"] = (
        (width.isna() | (rows.bandwidth == width))
        & (rows.ridge == 0)
        & (rows.max_depth == 0)
        & rows.neighbours.isin([1, 15])
    )
    clean = rows[(rows.experiment == "cyclic") & (rows.noise == 0) & ~rows.feature.astype(bool)]
    own = rows[rows.feature.astype(bool)]
    key = [c for c in _SAME if c in rows]

    def filled(frame: pd.DataFrame) -> list[tuple]:
        return list(frame[key].astype(object).where(frame[key].notna(), None).itertuples(index=False, name=None))

    premise = dict(zip(filled(clean), clean.test_error, strict=True))
    premise_own = {(e, *k): v for e, k, v in zip(own.experiment, filled(own), own.test_error, strict=True)}
    rows["epsilon"] = [
        0.0
        if e == "imbalance"
        else premise.get(k, np.nan)
        if e in _CLASS_IS_FEATURE
        else premise_own.get((e, *k), np.nan)
        for e, k in zip(rows.experiment, filled(rows), strict=True)
    ]
    return rows


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
