"""Chapter 3's findings: classifiers that interpolate noisy labels, with the premise of each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dlcore.metrics.distributional import partition_tv
from dlcore.summaries import FINDINGS, family, findings, select

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
# metrics that only some experiments have, and a field that early records lack
_OPTIONAL = (
    "noisy_class",
    "agreement",
    "other_same_error",
    "label_error",
    "largest_train_test_excess",
    "flip_rate_test",
    "tv",
)
# where L is the class, the premise is the run on clean labels
_CLASS_IS_FEATURE = ("cyclic", "subgroup", "one_class", "pair", "symmetric", "sparse", "human")


# what is known of a run with one noisy class from its records, see `_one_class`
ONE_CLASS = ("noisy", "class_tv", "class_debiased", "class_epsilon", "returned", "elsewhere")


def derived(
    table: pd.DataFrame, presets: Sequence[str] = FINDINGS, records: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """Returns the findings of chapter 3: rows of the given presets, with `family`, `epsilon` and `usual`.

    `epsilon` is the test error of the same procedure, seed and n on the partition's own labels, NaN where that
    run is missing; it is 0 for the constant partition. `usual` marks the settings of the main comparison.

    With `records` (key -> record), runs with one noisy class have the columns of that class against the rest:
    `noisy` the class; `class_tv` and `class_debiased`; `class_epsilon`; `returned`, the flips of that class above those
    of the run without noise, over the flips of its training labels (a sampler: 1, Bayes: 0); `elsewhere`, the share of the
    noise's extra errors that other classes make.
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
    # runs of one procedure on one training set
    alike = rows.assign(procedure=rows.groupby([c for c in _SAME if c in rows], dropna=False).ngroup())
    clean, own = select(alike, experiment="cyclic", noise=0.0, feature=False), select(alike, feature=True)
    premise = alike.procedure.map(dict(zip(clean.procedure, clean.test_error, strict=True)))
    premises = dict(zip(zip(own.experiment, own.procedure, strict=True), own.test_error, strict=True))
    on_own = np.array([premises.get(at, np.nan) for at in zip(rows.experiment, alike.procedure, strict=True)])
    rows["epsilon"] = premise.where(rows.experiment.isin(_CLASS_IS_FEATURE), on_own)
    rows["epsilon"] = rows.epsilon.mask(rows.experiment == "imbalance", 0.0)
    found = _one_class(alike, records or {})
    return rows.assign(**{c: [found.get(k, {}).get(c, np.nan) for k in rows.key] for c in ONE_CLASS})


def _one_class(rows: pd.DataFrame, records: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Returns key -> the columns ONE_CLASS of the runs with one noisy class whose records are given."""
    at = select(rows, experiment=["subgroup", "one_class"], key=[*records])
    keys = dict(zip(at.key, at.procedure, strict=True))
    # both experiments are one without noise
    own, told = select(at, feature=False), select(at, feature=True).dropna(subset=["noisy_class"])
    clean = {keys[k]: np.array(records[k].arrays["counts_test"]) for k in select(own, noise=0.0).key}
    epsilon = {(keys[k], int(c)): v for k, c, v in zip(told.key, told.noisy_class, told.test_error, strict=True)}
    found, noisy = {}, own[own.noise > 0]
    for key, trained in zip(noisy.key, noisy.flip_rate_labels, strict=True):
        arrays = records[key].arrays
        counts, law, label = (np.array(arrays[k]) for k in ("counts_test", "conditional", "clean"))
        noisy = int(law.max(1).argmin())
        rest = np.arange(len(law)) != noisy
        tv, bias = partition_tv(counts, law, 1 * rest)
        found[key] = {"noisy": noisy, "class_tv": tv, "class_debiased": max(0.0, tv - bias)}
        found[key]["class_epsilon"] = epsilon.get((keys[key], noisy), np.nan)
        if (before := clean.get(keys[key])) is not None:
            # extra errors, class by class, on the same test inputs
            more = before[range(len(label)), label] - counts[range(len(label)), label]
            found[key]["returned"] = more[noisy] / counts[noisy].sum() / trained
            found[key]["elsewhere"] = more[rest].sum() / more.sum() if more.sum() > 0 else np.nan
    return found
