"""Derived columns and summaries of the tidy table of records; never imports torch.

Chapter 2's are in `pairs`, chapter 4's in `learning_curves`, `side_by_side` and `readings`, display names in `names`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dlcore.metrics.statistics import mean_interval
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
from dlcore.tables.names import OBJECTIVES, PROBES, family, method
from dlcore.tables.pairs import has_usual_width, pair, rank_correlations, stages, stitching
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
    "over_seeds",
    "pair",
    "paired",
    "published_scaling",
    "rank_correlations",
    "rationality",
    "ratios",
    "scaling",
    "scaling_fits",
    "size_by_size",
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


_RATIONALITY_COLUMNS = ("dimension", "strength", "probe", "table_measured", "table_predicted", "bound_prediction")
# the settings of the main comparison; other values belong to a sweep of their own
_USUAL_DIMENSION = {"random_relu": 500, "pca": 20, "clusters": 10}
_USUAL_SIZE = {"digits": 1000, "mnist1d": 4000, "fashion_mnist": 10000, "cifar10": 10000, "cifar10_full": 50000}
# of self-supervised pretraining, where two lengths are recorded
_USUAL_EPOCHS = {("fashion_mnist", "simclr"): 200, ("fashion_mnist", "vicreg"): 200}
_LARGE = 40000  # training images of preset "gpu"; CIFAR-10 without its official test file leaves as many


def rationality(table: pd.DataFrame, presets: Sequence[str] = FINDINGS) -> pd.DataFrame:
    """Returns the findings of chapter 1: rows of the given presets, with `method`, `leverage` and `usual`.

    `method` is the display name of the objective, with the probe where it is not that of the main comparison: ridge, in
    preset "gpu" logistic. `leverage` is tr H / n of a ridge probe, the mean share of a point's own label in its own
    score. `usual` marks the settings of the main comparison, with any probe.
    """
    if table.empty:
        return table
    rows = table[table.preset.isin(presets)].copy()
    if rows.empty:
        return rows
    for name in _RATIONALITY_COLUMNS:
        if name not in rows:
            rows[name] = np.nan
    other = rows.probe.notna() & (rows.probe != np.where(rows.preset == "gpu", "logistic", "ridge"))
    rows["method"] = rows.objective.map(OBJECTIVES) + np.where(other, " + " + rows.probe.fillna("").map(PROBES), "")
    rows["leverage"] = rows.degrees_of_freedom / rows.num_train
    usual = (rows.experiment == "gaps") & ~rows.augmented.astype(bool) & ~rows.transductive.astype(bool)
    large = rows.preset == "gpu"
    usual &= (rows.n_train == rows.dataset.map(_USUAL_SIZE)) | (large & (rows.n_train >= _LARGE))
    usual &= rows.strength.isna() | (rows.strength == 1.0)
    longest = [_USUAL_EPOCHS.get(of, np.nan) for of in zip(rows.dataset, rows.objective, strict=True)]
    usual &= np.isnan(longest) | (rows.epochs == longest)
    wanted = rows.objective.map(_USUAL_DIMENSION)
    rows["usual"] = usual & ((rows.dimension == wanted) | (rows.dimension.isna() & wanted.isna()))
    return rows
