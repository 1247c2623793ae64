"""Chapter 3's findings: classifiers that interpolate noisy labels, with the premise of each run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dlcore.tables.findings import FINDINGS, findings
from dlcore.tables.names import family

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
    rows = findings(table, presets, _OPTIONAL)
    if rows.empty:
        return rows
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
