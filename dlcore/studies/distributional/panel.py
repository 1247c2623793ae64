"""The live panel of chapter 3: the settings it offers, and the runs that it draws beside the reader's."""

from __future__ import annotations

import pandas as pd

from dlcore.charts.panel import RATES, PanelSpec
from dlcore.records import RecordStore
from dlcore.studies.distributional.config import Config
from dlcore.studies.distributional.figures.spectrum import spectrum
from dlcore.studies.distributional.table import derived


def rows(store: RecordStore) -> pd.DataFrame:
    """Returns a row for every run."""
    return derived(store.table("distributional"))


PANEL = PanelSpec(
    config=Config,
    title="Does the noise come back on test?",
    fields={
        "dataset": ("digits", "mnist1d"),
        "architecture": ("mlp", "convnet", "knn", "tree", "forest", "kernel_laplace"),
        "noise": RATES,
        "n_train": (None, 250, 500, 1000, 2000, 4000),
        "width": (None, 8, 16, 32, 64, 128, 256),
        "seed": (0,),
    },
    start={"dataset": "digits", "architecture": "mlp", "noise": 0.3, "seed": 100},
    fixed={"preset": "laptop", "experiment": "cyclic"},
    same=("dataset", "architecture"),
    x="noise",
    y="flip_rate_test",
    x_title="noise rate in training",
    y_title="rate of the noise's target on test",
    usual=lambda t: t.usual & (t.neighbours == 1),
    rows=rows,
    explorer=lambda store: spectrum(rows(store)),
    # a sampler of the training distribution
    reference={"noise": [0.0, 0.9], "flip_rate_test": [0.0, 0.9]},
    shown=("train_error", "test_error", "flip_rate_test", "tv"),
)
