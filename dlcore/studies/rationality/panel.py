"""The live panel of chapter 1: the settings it offers, and the runs that it draws beside the reader's."""

from __future__ import annotations

import pandas as pd

from dlcore.charts.panel import RATES, PanelSpec
from dlcore.records import RecordStore
from dlcore.studies.rationality.config import Config
from dlcore.studies.rationality.figures.gaps import noise_sweep
from dlcore.studies.rationality.table import derived


def rows(store: RecordStore) -> pd.DataFrame:
    """Returns a row for every run."""
    return derived(store.table("rationality"))


PANEL = PanelSpec(
    config=Config,
    title="Do the wrong labels get memorised?",
    fields={
        "dataset": ("digits", "mnist1d"),
        "objective": ("simclr", "vicreg", "barlow_twins", "rotation", "supervised", "random", "pixels"),
        "noise": RATES[1:],
        "n_train": (None, 250, 500, 1000),
        "width": (None, 8, 16, 32, 64),
        "seed": (0,),
    },
    start={"dataset": "digits", "objective": "simclr", "noise": 0.2, "seed": 100},
    fixed={"preset": "laptop"},
    same=("dataset", "objective"),
    x="noise",
    y="memorization",
    x_title="noise rate",
    y_title="memorization gap",
    usual=lambda t: t.usual & t.probe.isin(["ridge"]) | t.objective.eq("supervised"),
    rows=rows,
    explorer=lambda store: noise_sweep(rows(store)),
    shown=("train", "test", "memorization", "bound"),
)
