"""What the live panels offer and draw: one `Finding` for each study that has a panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from dlcore import figures, studies, tables
from dlcore.figures.theme import ROLES
from dlcore.lab import kinds
from dlcore.records import RecordStore

NOISE = tuple(round(0.1 * i, 1) for i in range(10))


def _same_label(label: str, config: Any) -> str:
    return label


@dataclass(frozen=True)
class Finding:
    """What a panel of one study offers and draws.

    fields: the study's parameters -> the values offered; None stands for the recipe's own value. `same`: parameters
    that recorded runs must share with the reader's to be drawn beside them. `rows`: the runs as the chart draws them,
    one row each or more; `usual`: which recorded rows are drawn; `free`: parameters that change nothing drawn.

    Where runs of several kinds are drawn in one chart, `kind` names that of a configuration; those with the `arm` of
    the reader's settings are drawn, and those with the arm `base`. `colours` holds the kinds that have their own.
    `live` names what trains, from the label of its training loop.
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
    usual: Callable[[pd.DataFrame], pd.Series]
    rows: Callable[[RecordStore], pd.DataFrame]
    explorer: Callable[[RecordStore], Any]
    reference: Mapping[str, list] | None = None
    log: bool = False
    percent: bool = False
    unit: str = "epoch"
    loss: str = "loss, error"
    shown: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    kind: Callable[[Mapping[str, Any]], str] | None = None
    arm: Callable[[Mapping[str, Any]], str] | None = None
    base: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)
    live: Callable[[str, Any], str] = _same_label

    @property
    def config(self) -> type:
        """The study's configuration."""
        return studies.study(self.study).Config


def _rationality(store: RecordStore) -> pd.DataFrame:
    return tables.rationality(store.table("rationality"))


def _distributional(store: RecordStore) -> pd.DataFrame:
    return tables.distributional(store.table("distributional"))


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
        usual=lambda t: t.usual & t.probe.isin(["ridge"]) | t.objective.eq("supervised"),
        rows=_rationality,
        explorer=lambda store: figures.noise_sweep(_rationality(store)),
        shown=("train", "test", "memorization", "bound"),
    ),
    "stitching": Finding(
        study="stitching",
        title="Can one network go on where another stops?",
        fields={
            "architecture": ("mlp", "convnet"),
            "noise": (*NOISE, 1.0),
            "bottom_width": (None, 8, 16, 32, 64, 128, 256),
            "bottom_share": (1.0, 0.25, 0.05),
            "top_share": (1.0, 0.5, 0.25),
            "disjoint": (False, True),
            "n_train": (None, 500, 1000, 2000),
            "seed": (0,),
        },
        start={
            **{"architecture": "mlp", "noise": 0.3, "seed": 100},
            **{"bottom_share": 1.0, "top_share": 1.0, "disjoint": False},
        },
        fixed={"preset": "laptop", "dataset": "mnist1d"},
        same=("architecture",),
        x="share",
        y="excess",
        x_title="share of the stages taken from the bottom",
        y_title="excess penalty, points of test error",
        usual=lambda t: t.usual,
        rows=kinds.stitched,
        explorer=lambda store: figures.penalty_by_depth(kinds.stages(store)),
        percent=True,
        shown=("top_error", "penalty_mid", "excess_mid", "random_excess_mid"),
        free=("cross",),
        kind=kinds.bottom,
        arm=kinds.bottom_arm,
        base=kinds.bottom_arm({}),
        colours={"two seeds": ROLES["train"], kinds.UNTRAINED: ROLES["null"]},
        live=kinds.who_trains,
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
        usual=lambda t: t.usual & (t.neighbours == 1),
        rows=_distributional,
        explorer=lambda store: figures.spectrum(_distributional(store)),
        # a sampler of the training distribution
        reference={"noise": [0.0, 0.9], "flip_rate_test": [0.0, 0.9]},
        shown=("train_error", "test_error", "flip_rate_test", "tv"),
    ),
    "scaling": Finding(
        study="scaling",
        title="What are twice as many sentence pairs worth?",
        fields={
            "pairs": (128, 256, 512, 1024),
            "architecture": ("2L2L", "4L1L", "1L4L", "decoder_only", "transformer_lstm"),
            "noise": (0.0, 0.1, 0.2, 0.4),
            "noise_kind": (None, "target", "source_unigram", "source_uniform", "misaligned"),
            "width": (16, 32, 64, 128),
            "seed": (0,),
        },
        start={"pairs": 256, "architecture": "2L2L", "noise": 0.2, "width": 64, "seed": 100},
        fixed={"preset": "laptop", "dataset": "transduction"},
        same=(),
        x="pairs",
        y="excess",
        x_title="training pairs D",
        y_title="loss over the oracle's, nats per token",
        usual=kinds.in_its_steps,
        rows=kinds.scaled,
        explorer=kinds.learning_curves,
        log=True,
        unit="step",
        loss="nats per token",
        shown=("loss", "oracle", "excess", "exact"),
        free=("test_pairs",),
        kind=kinds.translation,
        arm=kinds.translation_arm,
        base=kinds.CLEAN,
        colours={kinds.CLEAN: ROLES["train"], kinds.COUNTING: ROLES["null"]},
    ),
}
