"""What the live panels offer and draw: one `Finding` for each study that has a panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dlcore import figures, tables
from dlcore.records import PACKAGED, RecordStore

NOISE = tuple(round(0.1 * i, 1) for i in range(10))


@dataclass(frozen=True)
class Finding:
    """What a panel of one study offers and draws.

    fields: the study's parameters -> the values offered; None stands for the recipe's own value. `same`: parameters
    that recorded runs must share with the reader's to be drawn beside them.
    """

    study: str
    title: str
    fields: Mapping[str, tuple]
    start: Mapping[str, Any]
    fixed: Mapping[str, Any]
    same: tuple[str, ...]
    x: str
    y: str
    x_title: str
    y_title: str
    derive: Callable[[pd.DataFrame], pd.DataFrame]
    explorer: Callable[[pd.DataFrame], Any]
    reference: Mapping[str, list] | None = None
    log: bool = False
    unit: str = "epoch"
    shown: tuple[str, ...] = ()


def _sampler() -> dict[str, list]:
    return {"noise": [0.0, 0.9], "flip_rate_test": [0.0, 0.9]}


FINDINGS: dict[str, Finding] = {
    "rationality": Finding(
        study="rationality",
        title="Do the wrong labels get memorised?",
        fields={
            "dataset": ("digits", "mnist1d"),
            "objective": ("simclr", "vicreg", "barlow_twins", "rotation", "supervised", "random", "pixels"),
            "noise": NOISE[1:],
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
        derive=lambda t: t[t.usual & t.probe.isin(["ridge"]) | t.objective.eq("supervised")],
        explorer=figures.noise_sweep,
        shown=("train", "test", "memorization", "bound"),
    ),
    "distributional": Finding(
        study="distributional",
        title="Does the noise come back on test?",
        fields={
            "dataset": ("digits", "mnist1d"),
            "architecture": ("mlp", "convnet", "knn", "tree", "forest", "kernel_laplace"),
            "noise": NOISE,
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
        derive=lambda t: t[t.usual & (t.experiment == "cyclic") & (t.neighbours == 1)],
        explorer=figures.spectrum,
        reference=_sampler(),
        shown=("train_error", "test_error", "flip_rate_test", "tv"),
    ),
}


def table_of(finding: Finding, store: RecordStore) -> pd.DataFrame:
    """Returns the recorded and the local runs of a study that a panel may draw; `own` marks the local ones."""
    table = getattr(tables, finding.study)(store.table(finding.study))
    own = {p.stem for p in (store.path / finding.study).glob("*.json")} if store.path != Path(PACKAGED) else set()
    table = table.assign(own=table.key.isin(own))
    for name, value in finding.fixed.items():
        table = table[(table[name] == value) | (name == "preset")]
    return table.reset_index(drop=True)
