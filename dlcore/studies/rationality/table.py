"""Chapter 1's findings: the noisy experiment by procedure, by probe and by size, and beside the released rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dlcore import published
from dlcore.metrics.rationality import noisy_label_accuracy
from dlcore.metrics.statistics import mean_interval
from dlcore.summaries import FINDINGS, OBJECTIVES, PROBES, findings, select

_RATIONALITY_COLUMNS = ("dimension", "strength", "probe", "table_measured", "table_predicted", "bound_prediction")
# the settings of the main comparison; other values belong to a sweep of their own
_USUAL_DIMENSION = {"random_relu": 500, "pca": 20, "clusters": 10}
_USUAL_SIZE = {"digits": 1000, "mnist1d": 4000, "fashion_mnist": 10000, "cifar10": 10000, "cifar10_full": 50000}
# of self-supervised pretraining, where two lengths are recorded
_USUAL_EPOCHS = {("fashion_mnist", "simclr"): 200, ("fashion_mnist", "vicreg"): 200}
# the paper's row of the same procedure as preset "gpu"
RELEASED = {"method": "SimCLR", "backbone": "ResNet-18", "dataset": "cifar10"}
_LARGE = 40000  # training images of preset "gpu"; CIFAR-10 without its official test file leaves as many


def derived(table: pd.DataFrame, presets: Sequence[str] = FINDINGS) -> pd.DataFrame:
    """Returns the findings of chapter 1: rows of the given presets, with `method`, `leverage`, `certificate` and `usual`.

    `method` is the display name of the objective, with the probe where it is not that of the main comparison: ridge, in
    preset "gpu" logistic. `leverage` is tr H / n of a ridge probe, at most (features + 1) / n: the mean share of a point's own
    label in its own score. `sampler_share` is the clean test accuracy that the noise costs, over what it costs a sampler of
    the noisy labels, and `memorized_share` the memorization gap over that of an interpolator, 1 - eta. `certificate` is
    `sharp_memorization_bound` of the 2 x 2 table. `usual` marks the settings of the main comparison, with any probe.
    """
    rows = findings(table, presets, _RATIONALITY_COLUMNS)
    if rows.empty:
        return rows
    other = rows.probe.notna() & (rows.probe != np.where(rows.preset == "gpu", "logistic", "ridge"))
    rows["method"] = rows.objective.map(OBJECTIVES) + np.where(other, " + " + rows.probe.fillna("").map(PROBES), "")
    rows["leverage"] = rows.degrees_of_freedom / rows.num_train
    # the records hold half of the published bound, sqrt(I / 2) / 2 eta
    rows["certificate"] = 2 * rows.bound_sharp * np.sqrt(rows.flip_rate * (1 - rows.flip_rate))
    # what a sampler of the noisy labels that confuses no class would score on clean ones
    sampler = noisy_label_accuracy(rows.test, rows.flip_rate, rows.num_classes)
    rows["sampler_share"] = (rows.test - rows.test_after_noise) / (rows.test - sampler)
    rows["memorized_share"] = rows.memorization / (1 - rows.flip_rate)
    usual = (rows.experiment == "gaps") & ~rows.augmented.astype(bool) & ~rows.transductive.astype(bool)
    large = rows.preset == "gpu"
    usual &= (rows.n_train == rows.dataset.map(_USUAL_SIZE)) | (large & (rows.n_train >= _LARGE))
    usual &= rows.strength.isna() | (rows.strength == 1.0)
    longest = [_USUAL_EPOCHS.get(of, np.nan) for of in zip(rows.dataset, rows.objective, strict=True)]
    usual &= np.isnan(longest) | (rows.epochs == longest)
    wanted = rows.objective.map(_USUAL_DIMENSION)
    rows["usual"] = usual & ((rows.dimension == wanted) | (rows.dimension.isna() & wanted.isna()))
    return rows


def probes(table: pd.DataFrame, objective: str = "vicreg", rates: Sequence[float] = (0.05, 0.2, 0.4)) -> pd.DataFrame:
    """Returns, per data set and probe on one kind of features, the memorization gap by noise rate and the test accuracy lost.

    Means over seeds, fractions; `lost` is clean test accuracy minus that after the largest of the rates. Only data sets on
    which several probes were run.
    Args: table: that of `rationality`.
    """
    own = select(table, usual=True, objective=objective)
    own = own[own.groupby("dataset").probe.transform("nunique") > 1]
    found = []
    for (dataset, probe), rows in own.groupby(["dataset", "probe"], sort=False):
        at = {rate: select(rows, noise=rate) for rate in rates}
        worst = at[max(rates)]
        row = {"data": dataset, "probe": PROBES[probe], "test": rows.groupby("seed").test.first().mean()}
        row |= {f"memorized, {rate:.0%}": part.memorization.mean() for rate, part in at.items()}
        found.append(row | {"lost": (worst.test - worst.test_after_noise).mean(), "seeds": rows.seed.nunique()})
    return pd.DataFrame(found)


def beside_the_paper(table: pd.DataFrame, noise: float = 0.05) -> pd.DataFrame:
    """Returns ResNet-18 with SimCLR on CIFAR-10, preset gpu, beside the released row: one row a quantity, in points.

    Columns `quantity`, `ours` with the record's own 95 % limits `low` and `high` (noise draws and test points, one seed),
    `paper`, `ratio`. Theorem II in nats, by Miller and Madow's correction here, and below it the same information
    under `sharp_memorization_bound`.
    """
    own = select(table, preset="gpu", objective="simclr", noise=noise)
    if own.empty:
        return pd.DataFrame()
    ours = own.iloc[0].copy()
    theirs = select(published.read("bansal2021_gaps"), **RELEASED).iloc[0]
    released = theirs[["train", "test", "robustness", "memorization", "rationality"]].to_dict()
    released |= {
        "generalization": theirs.train - theirs.test,
        "bound_miller_madow": theirs.theorem_bits * np.log(2) ** 0.5,
    }
    names = {"train": "train accuracy", "test": "test accuracy", "generalization": "generalization gap"}
    names |= {n: n for n in ("robustness", "memorization", "rationality")} | {"bound_miller_madow": "Theorem II"}
    names["sharper"] = "the sharper bound"
    sharper = np.sqrt(noise * (1 - noise))
    released["sharper"], ours["sharper"] = (v["bound_miller_madow"] * sharper for v in (released, ours))
    found = []
    for name, label in names.items():
        low, high = (100 * ours.get(f"{name}_{end}", np.nan) for end in ("low", "high"))
        found.append({"quantity": label, "ours": 100 * ours[name], "low": low, "high": high, "paper": released[name]})
    frame = pd.DataFrame(found)
    gaps = frame.quantity.isin(["generalization gap", "robustness", "memorization", "Theorem II", "the sharper bound"])
    return frame.assign(ratio=(frame.ours / frame.paper).where(gaps)).round(2)


def by_size(table: pd.DataFrame, noise: float = 0.2) -> pd.DataFrame:
    """Returns the ridge probes on features that were made from the same n training points, where three n or more are recorded."""
    rows = select(
        table, probe="ridge", experiment="gaps", noise=noise, augmented=False, transductive=False, strength=1.0
    )
    rows = select(rows, objective=["vicreg", "random", "random_relu"], dimension=[np.nan, 500])
    return rows[rows.groupby("dataset").n_train.transform("nunique") > 2]


def slopes(rows: pd.DataFrame, least: int = 3) -> pd.Series:
    """Returns the slope of log memorization over log n, by seed, of those with as many n that memorise something."""
    rows = rows[rows.memorization > 0]
    found = {
        seed: np.polyfit(np.log(own.n_train), np.log(own.memorization), 1)[0]
        for seed, own in rows.groupby("seed")
        if own.n_train.nunique() >= least
    }
    return pd.Series(found, dtype=float)


def slopes_in_n(table: pd.DataFrame, noise: float = 0.2) -> pd.DataFrame:
    """Returns the slope of log memorization over log n with its t interval over seeds, per data set and features of `by_size`."""
    rows = by_size(table, noise)
    parts = {key: slopes(own) for key, own in rows.groupby(["dataset", "method"], sort=False)}
    found = [[*key, *mean_interval(values)] for key, values in parts.items() if len(values)]
    return pd.DataFrame(found, columns=["data", "features", "slope", "low", "high", "seeds"])
