"""Derived columns and summaries of the tidy table of records; chapter 4's are in `learning_curves`. Never imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dlcore.metrics.statistics import mean_interval
from dlcore.tables.learning_curves import (
    FINDINGS,
    LAWS,
    PUBLISHED,
    CurveFit,
    architecture_name,
    back_translation,
    fits_table,
    holdouts,
    noise_name,
    paired,
    published_scaling,
    scaling,
    scaling_fits,
    translations,
)

__all__ = [
    "FINDINGS",
    "LAWS",
    "PUBLISHED",
    "USUAL_BANDWIDTH",
    "CurveFit",
    "architecture_name",
    "back_translation",
    "distributional",
    "family",
    "fits_table",
    "holdouts",
    "method",
    "noise_name",
    "over_seeds",
    "paired",
    "published_scaling",
    "rationality",
    "scaling",
    "scaling_fits",
    "translations",
]
_FAMILY = {
    "tree": "tree",
    "extra_tree": "extra tree",
    "forest": "forest",
    "logistic": "logistic",
    "svm": "SVM",
    "kernel_gaussian": "Gaussian kernel",
    "kernel_laplace": "Laplace kernel",
    "mlp": "MLP",
    "convnet": "convnet",
    "resnet": "ResNet",
    "resnet18": "ResNet-18",
}
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


def family(architecture: str, neighbours: int = 1) -> str:
    """Returns the display name of a model family.

    >>> family("knn", 15)
    '15-NN'
    """
    return f"{int(neighbours)}-NN" if architecture == "knn" else _FAMILY.get(architecture, architecture)


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


_OBJECTIVE = {
    "supervised": "end to end",
    "simclr": "SimCLR",
    "vicreg": "VICReg",
    "barlow_twins": "Barlow Twins",
    "rotation": "rotation",
    "random": "untrained network",
    "random_relu": "random ReLU",
    "pixels": "raw inputs",
    "pca": "PCA",
    "clusters": "cluster vote",
    "neighbours": "neighbour average",
}
_RATIONALITY_COLUMNS = ("dimension", "strength", "probe", "table_measured", "table_predicted", "bound_prediction")
# the settings of the main comparison; other values belong to a sweep of their own
_USUAL_DIMENSION = {"random_relu": 500, "pca": 20, "clusters": 10}
_USUAL_SIZE = {"digits": 1000, "mnist1d": 4000, "fashion_mnist": 10000, "cifar10": 10000, "cifar10_full": 50000}


def method(objective: str) -> str:
    """Returns the display name of what makes the features in chapter 1.

    >>> method("vicreg")
    'VICReg'
    """
    return _OBJECTIVE.get(objective, objective)


def rationality(table: pd.DataFrame, presets: Sequence[str] = FINDINGS) -> pd.DataFrame:
    """Returns the findings of chapter 1: rows of the given presets, with `method`, `leverage` and `usual`.

    `method` is the display name of the objective, `leverage` is tr H / n of a ridge probe, the mean share of a
    point's own label in its own score. `usual` marks the settings of the main comparison.
    """
    if table.empty:
        return table
    rows = table[table.preset.isin(presets)].copy()
    if rows.empty:
        return rows
    for name in _RATIONALITY_COLUMNS:
        if name not in rows:
            rows[name] = np.nan
    rows["method"] = rows.objective.map(_OBJECTIVE)
    rows["leverage"] = rows.degrees_of_freedom / rows.num_train
    usual = (rows.experiment == "gaps") & ~rows.augmented.astype(bool) & ~rows.transductive.astype(bool)
    usual &= rows.n_train == rows.dataset.map(_USUAL_SIZE)
    usual &= rows.strength.isna() | (rows.strength == 1.0)
    wanted = rows.objective.map(_USUAL_DIMENSION)
    rows["usual"] = usual & ((rows.dimension == wanted) | (rows.dimension.isna() & wanted.isna()))
    return rows


_SHARES = {0.05: "5 % of the data", 0.25: "a quarter", 1.0: "all data"}


def pair(config: Mapping[str, Any]) -> str:
    """Returns the display name of what the bottom of a stitched pair differs in.

    >>> pair({"noise": 0.5, "top_share": 1.0, "bottom_share": 1.0})
    '50 % random labels'
    """
    get = config.get
    if get("top_share", 1.0) < 1 and get("top_share") == get("bottom_share"):
        return "disjoint halves" if get("top_share") == 0.5 else "other quarter of the data, top a quarter"
    if get("top_share", 1.0) < 1:
        return f"bottom {_SHARES.get(get('bottom_share'), get('bottom_share'))}, top a quarter"
    if get("bottom_share", 1.0) < get("top_share", 1.0):
        return (
            f"bottom {_SHARES.get(get('bottom_share'), get('bottom_share')).removesuffix(' of the data')} of the data"
        )
    if get("noise"):
        return f"{get('noise') * 100:.0f} % random labels"
    if get("bottom_labels", "classes") != "classes":
        return "two superclasses"
    if get("bottom_objective", "supervised") != "supervised":
        return f"{method(get('bottom_objective'))} bottom, supervised top"
    if get("top_objective", "supervised") != "supervised":
        return f"supervised bottom, {method(get('top_objective'))} top"
    if get("bottom_width") and get("bottom_width") != get("width"):
        return f"width x {get('bottom_width') / get('width'):g}"
    if get("bottom_time", 1.0) != 1.0:
        return f"epochs x {get('bottom_time'):g}"
    return "two seeds"


# the top's width in the main comparison; other widths belong to a sweep of their own
_TOP_WIDTH = {("mnist1d", "mlp"): 128, ("mnist1d", "convnet"): 16, ("fashion_mnist", "resnet"): 8}
# what a stage may cost and still count as free in freeze training
FREE = 0.02


def stitching(
    table: pd.DataFrame, presets: Sequence[str] = FINDINGS, records: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """Returns the findings of chapter 2: rows of the given presets, with `pair` and `usual`.

    `pair` says what the bottom differs in; `usual` marks the paper's map, recalibrated, on the top's own samples, and
    `usual_width` the tops of the main comparison. From the curves of the records come (NaN without them) `barrier`, the largest test error on the path of stitched
    networks above that of the worse end; `linear_cka_mid`; `late_into_early_task` and `late_into_early_least_squares`,
    penalties of the bottom's last stage but the pooling in the top's first; and `freeze_error`, the error above the
    bottom's frozen layers until the deepest stage whose excess is at most 2 points.

    Args: records: key of a record -> the record.
    """
    if table.empty:
        return table
    rows = table[table.preset.isin(presets)].copy()
    if rows.empty:
        return rows
    rows["pair"] = [pair(row) for row in rows.to_dict("records")]
    rows["freeze"] = rows.get("freeze", pd.Series(False, rows.index)).fillna(False).astype(bool)
    sizes = [_TOP_WIDTH.get(k) for k in zip(rows.dataset, rows.architecture, strict=True)]
    rows["usual_width"] = rows.width.eq(pd.Series(sizes, rows.index))
    usual = (rows.family == "auto") & (rows.bn_mode == "recalibrate") & (rows.init == "random")
    rows["usual"] = usual & (rows.kernel_size == 1) & (rows.stitcher_data == "top")
    found = [_of_curves(records[key]) if records else {} for key in rows.key]
    for name in ("barrier", "linear_cka_mid", *_LATE, "freeze_error"):
        rows[name] = [row.get(name, np.nan) for row in found]
    return rows


_LATE = ("late_into_early_task", "late_into_early_least_squares")


def _of_curves(record: Any) -> dict[str, float]:
    curves, arrays, metrics = record.curves, record.arrays, record.metrics
    ends = [metrics["top_error"], metrics["bottom_error"]]
    found = {
        "barrier": metrics["top_error"] + max(curves["penalty"]) - max(ends),
        "linear_cka_mid": curves["linear_cka"][len(curves["linear_cka"]) // 2],
    }
    if "task" in arrays:
        found |= {name: arrays[kind][-1][0] for name, kind in zip(_LATE, ("task", "least_squares"), strict=True)}
    if "freeze_error" in curves:
        free = [i for i, excess in enumerate(curves["excess"]) if excess <= FREE]
        found["freeze_error"] = curves["freeze_error"][max(free)] if free else np.nan
    return found


def stages(table: pd.DataFrame, curves: Mapping[str, Mapping[str, list]]) -> pd.DataFrame:
    """Returns a row for every stage of every run of `stitching`'s table, with what its curves hold.

    Args: curves: key of a record -> its curves.
    """
    found = []
    kept = ["key", "dataset", "architecture", "pair", "family", "bn_mode", "init", "rank", "seed", "stitcher_data"]
    for row in table[[*kept, "width", "usual_width", "usual"]].to_dict("records"):
        lists = curves[row["key"]]
        own = {k: v for k, v in lists.items() if k not in ("seed", "family", "bn_mode")}
        found.append(pd.DataFrame({**{k: [v] * len(lists["depth"]) for k, v in row.items()}, **own}))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()
