"""The live panel of chapter 4: the settings it offers, and the runs that it draws beside the reader's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dlcore.charts.panel import PanelSpec
from dlcore.charts.theme import ROLES
from dlcore.keys import described
from dlcore.records import RecordStore
from dlcore.studies.scaling.config import Config
from dlcore.studies.scaling.figures.learning_curves import learning_curves
from dlcore.studies.scaling.table import (
    HELD_OUT,
    architecture_name,
    derived,
    every_fit,
    noise_name,
    published_scaling,
    rate_name,
)
from dlcore.summaries import with_controls

BASE = {"architecture": "2L2L", "noise": 0.0, "noise_kind": "none", "width": 64}
COUNTING = "a learner that counts words"
USUAL_WIDTH = 64  # of the recorded translation models


def translation(config: Mapping[str, Any]) -> str:
    """Returns the display name of everything but size and seed of a translation run.

    >>> translation({"architecture": "4L1L", "noise": 0.0, "noise_kind": "none", "width": 32})
    '4L1L, clean, width 32'
    """
    name = architecture_name(config["architecture"])
    wide = "" if config["width"] == USUAL_WIDTH else f", width {config['width']:.0f}"
    models = (config.get(n, float("nan")) for n in ("reverse_pairs", "reverse_width", "filter_pairs"))
    off = rate_name(config.get("learning_rate"), config["width"], config.get("preset", "laptop"))
    scored = HELD_OUT if config.get("held_out") == "noisy" else ""
    return f"{name}, {noise_name(config['noise_kind'], config['noise'], *models)}{wide}{off}{scored}"


def translation_arm(config: Mapping[str, Any]) -> str:
    """Returns what runs must share to be drawn beside each other: widths and rates may differ.

    >>> translation_arm({"architecture": "4L1L", "noise": 0.2, "noise_kind": None, "width": 32})
    'architecture=4L1L noise=0.2 noise_kind=target'
    """
    kind = config.get("noise_kind") or ("target" if config["noise"] else "none")
    shared = {"architecture": config["architecture"], "noise": config["noise"] or None, "noise_kind": kind}
    shared |= {name: config.get(name) for name in ("reverse_pairs", "reverse_width", "filter_pairs")}
    shared["held_out"] = "noisy" if config.get("held_out") == "noisy" else None
    return described({name: float(v) if isinstance(v, int) else v for name, v in shared.items() if v == v})


def scaled(store: RecordStore) -> pd.DataFrame:
    """Returns a row for every translation run, with its kind and arm; and for the counting learner on clean pairs."""
    table = derived(store.table("scaling"), any_budget=True)  # a reader's own run may have any
    if table.empty:
        return table
    configs = table.to_dict("records")
    table = table.assign(kind=[translation(c) for c in configs], arm=[translation_arm(c) for c in configs])
    # beside other questions the usual width and rate stand for the base
    table = table.assign(plain=table.width.eq(USUAL_WIDTH) & ~table.untuned)
    controls = table[table.plain & table.arm.eq(translation_arm(BASE))]
    return with_controls(table, controls.assign(kind=COUNTING, excess=controls.reference - controls.oracle))


def in_its_steps(rows: pd.DataFrame) -> pd.Series:
    """Returns which translation runs have the recorded steps and rate; with others they are another experiment."""
    return rows.preset.eq("laptop") & ~rows.longer & ~rows.untuned


def explorer(store: RecordStore) -> Any:
    """Returns chapter 4's chart of the recorded runs."""
    rows = derived(store.table("scaling"))
    return learning_curves(rows if len(rows) else published_scaling(), every_fit(rows))


PANEL = PanelSpec(
    config=Config,
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
    usual=in_its_steps,
    rows=scaled,
    explorer=explorer,
    log=True,
    unit="step",
    loss="nats per token",
    shown=("loss", "oracle", "excess", "exact"),
    free=("test_pairs",),
    kind=translation,
    arm=translation_arm,
    base=BASE,
    colours={translation(BASE): ROLES["train"], COUNTING: ROLES["null"]},
)
